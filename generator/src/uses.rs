//! What a template can depend on, read from its text: other templates, the variables that it names, and the fields of
//! pages. Where the text leaves a doubt, everything counts, so that this only ever says too much.

use std::collections::{BTreeMap, BTreeSet};

use crate::print::{Print, Printer};

/// A field of a page's summary that not every template looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// `description`.
    Description,
    /// `date`.
    Date,
    /// `updated`.
    Updated,
    /// `weight`.
    Weight,
    /// `extra`.
    Extra,
    /// `data`.
    Data,
    /// `word_count`.
    WordCount,
    /// `summary`.
    Summary,
    /// `taxonomies`.
    Taxonomies,
}

/// Some of the fields of a page's summary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fields(u16);

impl Field {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Description, "description"),
        (Self::Date, "date"),
        (Self::Updated, "updated"),
        (Self::Weight, "weight"),
        (Self::Extra, "extra"),
        (Self::Data, "data"),
        (Self::WordCount, "word_count"),
        (Self::Summary, "summary"),
        (Self::Taxonomies, "taxonomies"),
    ];
}

impl Fields {
    /// Every field.
    pub(crate) const ALL: Self = Self(u16::MAX);

    /// Whether `field` is one of them.
    pub(crate) fn has(self, field: Field) -> bool {
        self.0 & (1 << field as u16) != 0
    }
}

/// What a page made by one template can depend on.
#[derive(Clone, Debug)]
pub(crate) struct Uses {
    /// The template's text and those of every template that it reaches.
    pub(crate) print: Print,
    words: BTreeSet<String>,
    /// Parts of `data` by name; none where the whole of it may be looked at.
    sets: Option<BTreeSet<String>>,
    /// Whether a whole page may be looked at, whatever its fields.
    whole: bool,
    /// Whether the template defines components.
    components: bool,
    /// The fields of pages that the template can look at.
    fields: Fields,
}

/// One template's text, looked at word by word.
#[derive(Clone, Debug, Default)]
struct Reading<'a> {
    words: BTreeSet<&'a str>,
    sets: BTreeSet<&'a str>,
    all_sets: bool,
    whole: bool,
    /// The templates that it extends or includes.
    names: Vec<&'a str>,
    /// The components that it defines.
    components: Vec<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Word(&'a str),
    Text(&'a str),
    Mark(u8),
    /// `{{` or `{%`.
    Open(u8),
    Close,
}

impl Uses {
    /// What the templates among `all` that define components can depend on, taken together.
    pub(crate) fn of_components<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let none = Self {
            print: Print::default(),
            words: BTreeSet::new(),
            sets: Some(BTreeSet::new()),
            whole: false,
            components: false,
            fields: Fields::default(),
        };
        all.filter(|uses| uses.components).fold(none, |together, uses| together.and(uses))
    }

    /// What a page can depend on that is made with both.
    pub(crate) fn and(&self, other: &Self) -> Self {
        let sets = self.sets.as_ref().zip(other.sets.as_ref()).map(|(a, b)| a | b);
        Self {
            print: Print::all([self.print, other.print]),
            words: &self.words | &other.words,
            sets,
            whole: self.whole || other.whole,
            components: self.components,
            fields: Fields(self.fields.0 | other.fields.0),
        }
    }

    /// Whether the template can look at the variable or field `name`.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.words.contains(name) || self.words.contains("__tera_context")
    }

    /// Whether the template can look at this field of a page.
    pub(crate) fn field(&self, name: &str) -> bool {
        self.whole || self.names(name)
    }

    /// The fields of pages that the template can look at.
    pub(crate) fn fields(&self) -> Fields {
        self.fields
    }

    /// Whether the template can look at `data.<name>`.
    pub(crate) fn data(&self, name: &str) -> bool {
        self.names("data") && self.sets.as_ref().is_none_or(|sets| sets.contains(name))
    }
}

/// What each of `templates` (names and texts) can depend on. `resolve` gives the full name behind the name that a
/// template calls another by.
pub(crate) fn of<'a>(
    templates: impl Iterator<Item = (&'a str, &'a str)>,
    resolve: impl Fn(&str) -> Option<&'a str>,
) -> BTreeMap<String, Uses> {
    let texts: BTreeMap<&str, &str> = templates.collect();
    let readings: BTreeMap<&str, Reading<'_>> = texts.iter().map(|(name, text)| (*name, Reading::of(text))).collect();
    let reached = |name: &str| {
        let mut reached = BTreeSet::new();
        let mut next = vec![name];
        while let Some(name) = next.pop() {
            let Some((name, reading)) = readings.get_key_value(name) else { continue };
            if !reached.insert(*name) {
                continue;
            }
            next.extend(reading.names.iter().filter_map(|name| resolve(name)));
            let calls = |other: &&Reading<'_>| other.components.iter().any(|known| reading.words.contains(known));
            next.extend(readings.iter().filter(|(_, other)| calls(other)).map(|(name, _)| *name));
        }
        reached
    };
    let uses = |name: &str| Uses {
        components: !readings[name].components.is_empty(),
        ..join(&reached(name), &readings, &texts)
    };
    texts.keys().map(|name| ((*name).to_owned(), uses(name))).collect()
}

fn join(reached: &BTreeSet<&str>, readings: &BTreeMap<&str, Reading<'_>>, texts: &BTreeMap<&str, &str>) -> Uses {
    let (mut words, mut sets) = (BTreeSet::new(), BTreeSet::new());
    let (mut whole, mut all_sets) = (false, false);
    let mut printer = Printer::default();
    for name in reached {
        let reading = &readings[name];
        words.extend(reading.words.iter().map(|word| (*word).to_owned()));
        sets.extend(reading.sets.iter().map(|set| (*set).to_owned()));
        whole |= reading.whole;
        all_sets |= reading.all_sets;
        printer.text(name).text(texts[name]);
    }
    let (print, sets) = (printer.finish(), (!all_sets).then_some(sets));
    let uses = Uses { print, words, sets, whole, components: false, fields: Fields::default() };
    let seen = Field::ALL.into_iter().filter(|(_, name)| uses.field(name));
    let fields = Fields(seen.fold(0, |fields, (field, _)| fields | 1 << field as u16));
    Uses { fields, ..uses }
}

impl<'a> Reading<'a> {
    fn of(text: &'a str) -> Self {
        let tokens = tokens(text);
        let mut reading = Self::default();
        for (at, token) in tokens.iter().enumerate() {
            let before = |back: usize| at.checked_sub(back).map(|at| tokens[at]);
            let after = |on: usize| tokens.get(at + on).copied();
            match *token {
                Token::Word(word) => {
                    reading.words.insert(word);
                    reading.word(word, [before(2), before(1)], [after(1), after(2), after(3)]);
                }
                Token::Text(text) => {
                    reading.words.extend(words(text));
                    if matches!(before(1), Some(Token::Word("extends" | "include"))) {
                        reading.names.push(text);
                    }
                }
                Token::Mark(b'[') => reading.index(&tokens[..at], [after(1), after(2)]),
                _ => {}
            }
        }
        reading
    }

    fn word(&mut self, word: &'a str, before: [Option<Token<'a>>; 2], after: [Option<Token<'a>>; 3]) {
        let is_field = matches!(before[1], Some(Token::Mark(b'.')));
        if word == "data" && !is_field {
            match after {
                [Some(Token::Mark(b'.')), Some(Token::Word(set)), _] => drop(self.sets.insert(set)),
                _ => self.all_sets = true,
            }
        }
        if let (Some(Token::Open(_)), "component", [Some(Token::Word(name)), ..]) = (before[1], word, after) {
            self.components.push(name);
        }
        // `for key, value in` sees the names of all fields.
        self.whole |= matches!((word, before[1]), ("in", Some(Token::Word(_)))) && before[0] == Some(Token::Mark(b','));
        self.whole |= !is_field && is_bare(word, before, after);
    }

    /// A field that is chosen while the template runs; `site` and `data` hold no page.
    fn index(&mut self, before: &[Token<'a>], after: [Option<Token<'a>>; 2]) {
        let value = matches!(before.last(), Some(Token::Word(_) | Token::Mark(b']' | b')' | b'?')));
        let fixed = matches!(after, [Some(Token::Text(_)), Some(Token::Mark(b']'))]);
        if !value || fixed {
            return;
        }
        let mut root = None;
        for token in before.iter().rev() {
            match token {
                Token::Word(word) => root = Some(*word),
                Token::Mark(b'.' | b'?' | b'[' | b']') | Token::Text(_) => {}
                _ => break,
            }
        }
        self.whole |= !matches!(root, Some("site" | "data" | "partner"));
    }
}

/// Whether a word stands for a whole value that is printed, compared or handed on, and not only for a way to a field.
fn is_bare(word: &str, before: [Option<Token<'_>>; 2], after: [Option<Token<'_>>; 3]) -> bool {
    const KNOWN: [&str; 12] = ["lang", "true", "false", "none", "if", "else", "and", "or", "not", "in", "is", "loop"];
    if KNOWN.contains(&word) || word.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let leads_on = matches!(after[0], Some(Token::Mark(b'.' | b'[' | b'(' | b'=')))
        || matches!(after, [Some(Token::Mark(b'?')), Some(Token::Mark(b'.' | b'[')), _])
        // A comparison begins with the same mark as an argument's name.
        && !matches!(after, [Some(Token::Mark(b'=')), Some(Token::Mark(b'=')), _]);
    if before[1] == Some(Token::Word("for")) {
        return false;
    }
    let compared = matches!(after, [Some(Token::Mark(b'=' | b'!')), Some(Token::Mark(b'=')), _])
        || matches!(before, [Some(Token::Mark(b'=')), Some(Token::Mark(b'='))])
        || matches!(before, [Some(Token::Mark(b'!')), Some(Token::Mark(b'='))]);
    let printed = matches!(before[1], Some(Token::Open(b'{') | Token::Mark(b'~' | b'(' | b',' | b'+')))
        || matches!(before[1], Some(Token::Word("else" | "or" | "and" | "if" | "in")))
        || matches!(after[0], Some(Token::Mark(b'|' | b'~') | Token::Word("is" | "in")));
    let argument = matches!(before[1], Some(Token::Mark(b'='))) && matches!(after[0], Some(Token::Mark(b')' | b',')));
    let filter = matches!(before[1], Some(Token::Mark(b'|')));
    compared || (!leads_on && !filter && (printed || argument))
}

/// The words inside a text in quotes, which can name a field too.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// What stands between the braces of a template.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let kind = rest.as_bytes().get(at + 1).copied().unwrap_or_default();
        rest = &rest[at + 1..];
        match kind {
            b'#' => rest = rest.find("#}").map_or("", |end| &rest[end + 2..]),
            b'{' | b'%' => {
                tokens.push(Token::Open(kind));
                rest = inside(&rest[1..], kind, &mut tokens);
                tokens.push(Token::Close);
            }
            _ => {}
        }
    }
    tokens
}

/// Reads up to the end of one tag, and returns what follows it.
fn inside<'a>(text: &'a str, kind: u8, tokens: &mut Vec<Token<'a>>) -> &'a str {
    let bytes = text.as_bytes();
    let end = if kind == b'{' { b'}' } else { b'%' };
    let mut at = 0;
    let mut depth = 0usize;
    while let Some(byte) = bytes.get(at).copied() {
        if depth == 0 && byte == end && bytes.get(at + 1) == Some(&b'}') {
            return &text[at + 2..];
        }
        at += match byte {
            b'"' | b'\'' | b'`' => {
                let length = quoted(&text[at + 1..], byte);
                tokens.push(Token::Text(&text[at + 1..at + 1 + length]));
                (length + 2).min(text.len() - at)
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'_' => {
                let word = text[at..].split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next();
                let word = word.unwrap_or_default();
                tokens.push(Token::Word(word));
                word.len()
            }
            byte => {
                depth = match byte {
                    b'{' => depth + 1,
                    b'}' => depth.saturating_sub(1),
                    _ => depth,
                };
                if byte.is_ascii_punctuation() && byte != b'-' {
                    tokens.push(Token::Mark(byte));
                }
                text[at..].chars().next().map_or(1, char::len_utf8)
            }
        };
    }
    ""
}

/// How long a text is that ends with `quote`; a backslash takes the meaning from what follows it.
fn quoted(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == quote && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(templates: &[(&str, &'static str)], name: &str) -> Uses {
        let names: Vec<String> = templates.iter().map(|(name, _)| (*name).to_owned()).collect();
        let resolve = |asked: &str| names.iter().find(|name| *name == asked).map(String::as_str);
        let texts = names.iter().map(String::as_str).zip(templates.iter().map(|(_, text)| *text));
        of(texts, resolve).remove(name).unwrap()
    }

    fn one(text: &'static str) -> Uses {
        uses(&[("a", text)], "a")
    }

    #[test]
    fn only_what_a_template_names_counts() {
        let list = one("<section data-word_count=1>{% for entry in paginator.pages %}{{ entry.title }}{% endfor %}");
        assert!(list.names("paginator") && list.field("title"));
        assert!(!list.names("section") && !list.field("word_count") && !list.data("kinds"));
        let quoted = one("{{ section.pages | map(attribute=\"word_count\") | join }}{# data.kinds #}");
        assert!(quoted.field("word_count") && !quoted.data("kinds"));
    }

    #[test]
    fn what_may_look_at_a_whole_page_counts_for_every_field() {
        for text in [
            "{{ page }}",
            "{{ page | json_encode }}",
            "{{ \"a\" ~ page }}",
            "{% for key, value in page %}{{ key.x }}{% endfor %}",
            "{{ page[key] }}",
            "{% if item == page %}{% endif %}",
            "{% if page.a == item %}{% endif %}",
            "{{ page.a or item }}",
            "{{ f(x=page) }}",
        ] {
            assert!(one(text).field("word_count"), "{text}");
        }
        for text in [
            "{{ page.title }}{{ lang }}",
            "{% if page.title %}{{ page?.title }}{% endif %}",
            "{% set other = page %}{{ other.title }}",
            "{{ site.extra[lang] }}{{ page[\"title\"] }}",
            "{{ <card item={page} /> }}",
            "{{ page.date | date(format=\"%d\") }}",
        ] {
            assert!(!one(text).field("word_count"), "{text}");
        }
    }

    #[test]
    fn parts_of_the_data_are_told_apart() {
        let kinds = one("{{ data.kinds }}");
        assert!(kinds.data("kinds") && !kinds.data("products"));
        assert!(one("{% set all = data %}").data("products"));
    }

    #[test]
    fn templates_reach_what_they_extend_include_and_call() {
        let templates = [
            ("base", "{{ site.title }}"),
            ("parts", "{% component card(item) %}{{ item.word_count }}{% endcomponent card %}"),
            ("page", "{% extends \"base\" %}{{ <card item={page} /> }}"),
            ("plain", "{% include \"base\" %}"),
        ];
        assert!(uses(&templates, "page").field("word_count"));
        assert!(uses(&templates, "page").names("site"));
        assert!(uses(&templates, "plain").names("site") && !uses(&templates, "plain").field("word_count"));
        let mut changed = templates;
        changed[0].1 = "{{ site.name }}";
        assert_ne!(uses(&templates, "page").print, uses(&changed, "page").print);
        changed[0].1 = templates[0].1;
        changed[1].1 = "";
        assert_eq!(uses(&templates, "plain").print, uses(&changed, "plain").print);
    }
}
