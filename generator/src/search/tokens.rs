//! What counts as a word. The module in the browser cuts a question in the same way: `tokens.json` holds both to it.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// The longest word, in characters; a longer one is cut.
const MAX_WORD: usize = 32;

/// How the words of a language are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Apostrophes join, and a plural is one word with its singular.
    English,
    /// Any other language.
    Plain,
}

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'a> {
    /// A word of a script with spaces.
    Word(&'a str),
    /// Characters of scripts without spaces, or whose words carry endings: looked up pair by pair.
    Run(&'a str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Run,
    Neither,
}

impl Manner {
    /// That of the language with this BCP 47 tag.
    pub(crate) fn of(lang: &str) -> Self {
        let primary = lang.split('-').next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("en") { Self::English } else { Self::Plain }
    }

    /// Hands every term that `text` is found under to `take`, in order, as often as it stands there.
    pub(crate) fn terms(self, text: &str, take: &mut impl FnMut(&str)) {
        parts(&self.fold(text), &mut |part| match (part, self) {
            (Part::Word(word), Self::English) => stem(cut(word), take),
            (Part::Word(word), Self::Plain) => take(cut(word)),
            (Part::Run(run), _) => pairs(run, take),
        });
    }

    /// Lower case, compatibility forms made plain, and the accents of Latin, Greek and Cyrillic letters taken off.
    pub(crate) fn fold(self, text: &str) -> Cow<'_, str> {
        let joins = |c: char| self == Self::English && matches!(c, '\'' | '’');
        if text.is_ascii() {
            if !text.chars().any(|c| c.is_ascii_uppercase() || joins(c)) {
                return Cow::Borrowed(text);
            }
            return text.chars().filter(|c| !joins(*c)).map(|c| c.to_ascii_lowercase()).collect();
        }
        let bare = text.nfkd().filter(|c| !joins(*c) && !matches!(c, '\u{300}'..='\u{36f}'));
        let lower = bare.flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c });
        Cow::Owned(lower.nfc().collect())
    }
}

/// Cuts a folded text where the class of its characters changes.
fn parts(text: &str, take: &mut impl FnMut(Part<'_>)) {
    let mut open = (Class::Neither, 0);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let class = class(c);
        if class == open.0 {
            continue;
        }
        match open {
            (Class::Word, start) => take(Part::Word(&text[start..at])),
            (Class::Run, start) => take(Part::Run(&text[start..at])),
            (Class::Neither, _) => {}
        }
        open = (class, at);
    }
}

/// Thai and Lao, Burmese, Khmer, kana and what stands beside them, Chinese characters, Hangul.
const RUNS: [(char, char); 8] = [
    ('\u{e00}', '\u{eff}'),
    ('\u{1000}', '\u{109f}'),
    ('\u{1780}', '\u{17ff}'),
    ('\u{3005}', '\u{31ff}'),
    ('\u{3400}', '\u{9fff}'),
    ('\u{ac00}', '\u{d7a3}'),
    ('\u{f900}', '\u{faff}'),
    ('\u{20000}', '\u{3ffff}'),
];

fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => Class::Word,
        _ if !c.is_alphanumeric() => Class::Neither,
        _ if RUNS.iter().any(|(first, last)| (*first..=*last).contains(&c)) => Class::Run,
        _ => Class::Word,
    }
}

/// The pairs of a run, and its last character, so that each single character begins a term.
fn pairs(run: &str, take: &mut impl FnMut(&str)) {
    let mut starts = run.char_indices().map(|(at, _)| at);
    let mut first = starts.next();
    let mut second = starts.next();
    while let Some(at) = first {
        let third = starts.next();
        take(&run[at..third.filter(|_| second.is_some()).unwrap_or(run.len())]);
        (first, second) = (second, third);
    }
}

fn cut(word: &str) -> &str {
    word.char_indices().nth(MAX_WORD).map_or(word, |(end, _)| &word[..end])
}

/// An English word without the ending of its plural: `boxes` and `box`, `houses` and `house`, `berries` and `berry`
/// become one. What comes out is a key, not a word.
fn stem(word: &str, take: &mut impl FnMut(&str)) {
    if word.len() < 4 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return take(word);
    }
    let kept = ["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    let shorter = ["es", "s", "e"].iter().filter_map(|end| word.strip_suffix(end)).find(|rest| rest.len() >= 3);
    let root = if kept { word } else { shorter.unwrap_or(word) };
    match root.strip_suffix('y').filter(|_| root.len() >= 4) {
        Some(rest) => take(&format!("{rest}i")),
        None => take(root),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the module in the browser is held to as well.
    const TABLE: &str = include_str!("tokens.json");

    #[test]
    fn words_are_cut_as_the_table_says() {
        let table: Vec<(String, String, Vec<String>)> = serde_json::from_str(TABLE).unwrap();
        assert!(table.len() > 20);
        for (lang, text, expected) in table {
            let mut terms = Vec::new();
            Manner::of(&lang).terms(&text, &mut |term| terms.push(term.to_owned()));
            assert_eq!(terms, expected, "{lang}: {text}");
        }
    }
}
