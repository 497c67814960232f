//! Where a fee term stands in its document, and what is told of it there.

use std::fmt::Display;

use crate::diagnostic::Diagnostic;

/// A term that is well formed but makes no sense among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TermProblem {
    code: &'static str,
    message: String,
    /// Words that lead to the place: each stands after the one before it. The last one found is pointed at.
    trail: Vec<String>,
    pub(super) help: Option<String>,
}

/// Where a term stands, as words that follow one another in the document.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) section: &'static str,
    pub(super) name: &'a str,
}

impl Place<'_> {
    pub(super) fn problem(self, code: &'static str, words: &[&dyn Display], message: impl Into<String>) -> TermProblem {
        let words = words.iter().map(ToString::to_string);
        let trail = [self.section.to_owned(), self.name.to_owned()].into_iter().filter(|word| !word.is_empty());
        TermProblem { code, message: message.into(), trail: trail.chain(words).collect(), help: None }
    }
}

impl TermProblem {
    /// A problem of the key to which these words lead.
    pub(super) fn at(trail: &[&str], code: &'static str, message: impl Into<String>) -> Self {
        let trail = trail.iter().map(|word| (*word).to_owned()).collect();
        Self { code, message: message.into(), trail, help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at the problem in the document.
    pub(super) fn locate(self, file: &str, text: &str) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(self.code, file, self.message);
        if let Some((offset, word)) = follow(text, &self.trail) {
            diagnostic = diagnostic.at_offset(text, offset, word.chars().count());
        }
        diagnostic.help = self.help;
        diagnostic
    }
}

/// The place of the last word of `trail` that stands in `text` after all those before it.
fn follow<'a>(text: &str, trail: &'a [String]) -> Option<(usize, &'a str)> {
    let (section, rest) = trail.split_first()?;
    let key = format!("\n{section}:");
    let start = text.find(&key).map(|newline| newline + 1).or_else(|| find_word(text, 0, section))?;
    let mut found = (start, section.as_str());
    for word in rest {
        let Some(offset) = find_word(text, found.0 + found.1.len(), word) else { break };
        found = (offset, word);
    }
    Some(found)
}

/// The first place at or after `from` where `word` stands and is not a part of a longer word or number.
fn find_word(text: &str, from: usize, word: &str) -> Option<usize> {
    let part_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '%');
    let stands_alone = |offset: usize| {
        let before = text[..offset].chars().next_back();
        let after = text[offset + word.len()..].chars().next();
        !before.is_some_and(part_of_a_word) && !after.is_some_and(part_of_a_word)
    };
    let found = text.get(from..)?.match_indices(word).map(|(offset, _)| from + offset);
    found.filter(|offset| stands_alone(*offset)).min()
}
