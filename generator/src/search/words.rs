//! The words of one page, counted: all that an index keeps of its text. A function of the language and the HTML alone.

use std::collections::HashMap;

use super::text::{self, PageText};
use super::tokens::Manner;

/// How many characters of a page's text can stand for it in a list of results.
pub(super) const EXCERPT: usize = 160;

/// What a heading's word weighs beside those of running text, which weigh 1 to 3.
const HEADING: u8 = 2;

/// Ends a term in [`PageWords`]; no byte of UTF-8.
const END: u8 = 0xff;

/// The terms of a page's text with their weights, in the order of the terms, and how the text begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageWords {
    /// Weight, term, [`END`], and again.
    terms: Box<[u8]>,
    /// How the text begins.
    pub(super) opening: String,
}

impl PageWords {
    /// The words of a page in the language `lang`. None for a page that does not want to be found.
    pub fn of(lang: &str, html: &[u8]) -> Option<Self> {
        let text = text::read(std::str::from_utf8(html).ok()?)?;
        Some(Self { terms: pack(&text, Manner::of(lang)), opening: text.opening(EXCERPT) })
    }

    /// Every term with its weight.
    pub(super) fn terms(&self) -> impl Iterator<Item = (&str, u8)> {
        self.terms.split(|byte| *byte == END).filter_map(|entry| {
            let (weight, term) = entry.split_first()?;
            Some((std::str::from_utf8(term).ok()?, *weight))
        })
    }
}

fn pack(text: &PageText, manner: Manner) -> Box<[u8]> {
    let mut counts: HashMap<String, (u16, u8)> = HashMap::new();
    let mut count = |term: &str, heading: u8| match counts.get_mut(term) {
        Some(count) => *count = (count.0.saturating_add(1), count.1.max(heading)),
        None => drop(counts.insert(term.to_owned(), (1, heading))),
    };
    manner.terms(&text.body, &mut |term| count(term, 0));
    manner.terms(&text.headings, &mut |term| count(term, HEADING));
    let mut terms: Vec<(String, (u16, u8))> = counts.into_iter().collect();
    terms.sort_unstable();
    let mut packed = Vec::with_capacity(terms.iter().map(|(term, _)| term.len() + 2).sum());
    for (term, (count, heading)) in terms {
        packed.push(heading + often(count));
        packed.extend_from_slice(term.as_bytes());
        packed.push(END);
    }
    packed.into()
}

/// What a term weighs that a text has so often.
fn often(count: u16) -> u8 {
    match count {
        0..=1 => 1,
        2..=4 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_weigh_more_in_headings_and_when_they_come_again() {
        let html = b"<main><h2>Pans</h2><p>A pan, a pot, a pot, a lid: pot. pot pot</p></main>";
        let words = PageWords::of("en", html).unwrap();
        let terms: Vec<_> = words.terms().collect();
        assert_eq!(terms, [("a", 2), ("lid", 1), ("pan", 4), ("pot", 3)]);
        assert_eq!(words.opening, "A pan, a pot, a pot, a lid: pot. pot pot");
        assert_eq!(PageWords::of("en", b"<main data-search=\"skip\">x</main>"), None);
        assert_eq!(PageWords::of("en", b"\xff"), None);
    }
}
