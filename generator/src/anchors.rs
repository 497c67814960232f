//! The ids of headings, which links with a `#` lead to.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Tag, TagEnd};

/// The ids of a text's headings.
#[derive(Default)]
pub(crate) struct Anchors {
    taken: BTreeSet<String>,
    open: Option<Open>,
    done: Option<(usize, String)>,
    /// The headings that have ended, in their order.
    pub(crate) headings: Vec<Heading>,
}

/// A heading of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    /// 1 to 6.
    pub(crate) level: u8,
    /// Its id.
    pub(crate) id: String,
    /// Its words, without markup.
    pub(crate) title: String,
}

struct Open {
    at: usize,
    level: u8,
    id: Option<String>,
    words: String,
}

impl Anchors {
    /// Hears the next event of the text, which will stand at `at` in the list of events.
    pub(crate) fn visit(&mut self, event: &Event<'_>, at: usize) {
        match (event, &mut self.open) {
            (Event::Start(Tag::Heading { id, level, .. }), _) => {
                let (id, level) = (id.as_ref().map(ToString::to_string), *level as u8);
                self.open = Some(Open { at, level, id, words: String::new() });
            }
            (Event::Text(words) | Event::Code(words), Some(heading)) => heading.words.push_str(words),
            (Event::SoftBreak | Event::HardBreak, Some(heading)) => heading.words.push(' '),
            (Event::End(TagEnd::Heading(_)), open) => {
                if let Some(heading) = open.take() {
                    let id = self.unique(&heading.id.unwrap_or_else(|| anchor(&heading.words)));
                    self.headings.push(Heading { level: heading.level, id: id.clone(), title: heading.words });
                    self.done = Some((heading.at, id));
                }
            }
            _ => {}
        }
    }

    /// The id of a heading that has just ended, and where in the list of events it began.
    pub(crate) fn settle(&mut self) -> Option<(usize, String)> {
        self.done.take()
    }

    fn unique(&mut self, wanted: &str) -> String {
        let mut id = wanted.to_owned();
        let mut number = 0;
        while !self.taken.insert(id.clone()) {
            number += 1;
            id = format!("{wanted}-{number}");
        }
        id
    }
}

/// The id that a heading's words give: letters and digits of any script, hyphens for what lies between.
fn anchor(words: &str) -> String {
    let id = slug(words);
    if id.is_empty() { "section".to_owned() } else { id }
}

/// `words` as part of an address: letters and digits of any script in lower case, hyphens for what lies between.
pub(crate) fn slug(words: &str) -> String {
    let mut id = String::new();
    for c in words.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            id.push(c);
        } else if (c.is_whitespace() || c == '-' || c == '_') && !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    id.truncate(id.trim_end_matches('-').len());
    id
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Options, Parser};

    use super::*;

    fn ids(text: &str) -> Vec<String> {
        let mut anchors = Anchors::default();
        let mut ids = Vec::new();
        for event in Parser::new_ext(text, Options::ENABLE_HEADING_ATTRIBUTES) {
            anchors.visit(&event, 0);
            ids.extend(anchors.settle().map(|(_, id)| id));
        }
        ids
    }

    #[test]
    fn headings_have_ids_of_their_own() {
        let ids = ids("# Who *we* are\n\n## Who we are\n\n## 会社\n\n## `x`-y!\n\n## !\n\n## Z {#who-we-are}\n");
        assert_eq!(ids, ["who-we-are", "who-we-are-1", "会社", "x-y", "section", "who-we-are-2"]);
    }
}
