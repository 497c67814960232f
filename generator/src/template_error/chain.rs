//! What a template's text says of others: which it extends, includes and calls. Reads tags and renders nothing.

use std::collections::{BTreeMap, VecDeque};

use tieup_protocol::diagnostic::Related;

use super::{Sources, Template};

/// A place where one template leads on to another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Edge<'a> {
    line: usize,
    verb: &'static str,
    /// A template's name, or a component's.
    to: &'a str,
}

/// The places by which the template `from` leads to the template `to`, the last one first; none where they are one.
pub(super) fn between(from: &str, to: &str, sources: &Sources) -> Vec<Related> {
    let (Some(from), Some(to)) = (sources.key(from), sources.key(to)) else { return Vec::new() };
    let components = defined(sources, "component");
    let mut came: BTreeMap<&str, (&str, Edge<'_>)> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(name) = next.pop_front().filter(|_| !came.contains_key(to)) {
        for edge in sources.0.get(name).map(|template| edges(&template.text)).unwrap_or_default() {
            let reached = if edge.verb == "calls" { components.get(edge.to).copied() } else { sources.key(edge.to) };
            let reached = reached.filter(|reached| *reached != from && !came.contains_key(reached));
            if let Some(reached) = reached {
                came.insert(reached, (name, edge));
                next.push_back(reached);
            }
        }
    }
    let mut notes = Vec::new();
    let mut at = to;
    while let Some((before, edge)) = came.get(at) {
        let message = format!("{} `{}`", edge.verb, edge.to);
        notes.push(Related { file: sources.file(before), line: Some(edge.line), message });
        at = before;
    }
    notes
}

/// The names that tags `{% word NAME` define, with the template that does.
pub(super) fn defined<'a>(sources: &'a Sources, word: &str) -> BTreeMap<&'a str, &'a str> {
    let mut names = BTreeMap::new();
    for (template, Template { text, .. }) in &sources.0 {
        for (_, tag) in tags(text) {
            let name = tag.strip_prefix(word).filter(|rest| rest.starts_with(' ')).map(|rest| first_word(rest.trim()));
            names.extend(name.map(|name| (name, template.as_str())));
        }
    }
    names
}

/// Where in `text` the tag begins that is open when the text ends: its offset and its first word.
pub(super) fn unclosed(text: &str) -> Option<(usize, &str)> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    for (at, tag) in tags(text) {
        let word = first_word(tag);
        match word.strip_prefix("end") {
            Some(ended) if open.last().is_some_and(|(_, word)| *word == ended) => drop(open.pop()),
            _ if ["if", "for", "block", "filter", "component"].contains(&word) => open.push((at, word)),
            _ if word == "set" && !tag.contains('=') => open.push((at, word)),
            _ => {}
        }
    }
    open.pop()
}

/// The tags of a text, without what encloses them: the offset and the text of each.
fn tags(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("{%").filter_map(|(at, _)| {
        let inner = text[at + 2..].split("%}").next()?.trim_start_matches('-').trim();
        Some((text.len() - text[at..].len() + text[at..].find(inner)?, inner))
    })
}

fn edges(text: &str) -> Vec<Edge<'_>> {
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let named = tags(text).filter_map(|(at, tag)| {
        let verb = match first_word(tag) {
            "extends" => "extends",
            "include" => "includes",
            _ => return None,
        };
        let quote = tag.find(['"', '\''])?;
        let to = tag[quote + 1..].split(['"', '\'']).next()?;
        Some(Edge { line: line(at), verb, to })
    });
    let calls = ["{{", "{%"].into_iter().flat_map(|open| text.match_indices(open)).filter_map(|(at, _)| {
        let to = text[at + 2..].trim_start_matches('-').trim_start().strip_prefix('<').map(first_word)?;
        Some(Edge { line: line(at), verb: "calls", to })
    });
    named.chain(calls).collect()
}

fn first_word(text: &str) -> &str {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))).next().unwrap_or_default()
}
