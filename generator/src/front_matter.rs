//! The front matter of a Markdown file: YAML between two lines of `---`.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use jiff::civil::Date;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SitePath;
use tieup_protocol::yaml;

use crate::schedule::Moment;
use crate::source::{scrub, scrub_text};

/// The keys of a page; those of a section are refused on other pages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrontMatter {
    /// The title; empty in a variation that leaves it to the page it varies.
    #[serde(default)]
    pub(crate) title: String,
    /// One or two sentences about the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The day it was published.
    #[serde(default, deserialize_with = "day", skip_serializing_if = "Option::is_none")]
    pub(crate) date: Option<Date>,
    /// The day it was last changed.
    #[serde(default, deserialize_with = "day", skip_serializing_if = "Option::is_none")]
    pub(crate) updated: Option<Date>,
    /// When it goes live; at once, where nothing is said.
    #[serde(default, deserialize_with = "moment", skip_serializing_if = "Option::is_none")]
    pub(crate) publish: Option<Moment>,
    /// When it ends.
    #[serde(default, deserialize_with = "moment", skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Moment>,
    /// Whether the page is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) draft: Option<bool>,
    /// Whether search engines are asked to leave the page out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) noindex: Option<bool>,
    /// What replaces the last segment of the path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slug: Option<String>,
    /// What replaces the whole path.
    #[serde(default, deserialize_with = "site_path", skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<SitePath>,
    /// Old addresses that lead here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) aliases: Vec<Address>,
    /// The template, where it is not the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<String>,
    /// The place among siblings; lower comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weight: Option<i64>,
    /// Its terms, by taxonomy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) taxonomies: BTreeMap<String, Vec<String>>,
    /// The menus that it stands in.
    #[serde(default, skip_serializing_if = "Menus::is_empty")]
    pub(crate) menus: Menus,
    /// Free keys.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) extra: Map<String, Value>,
    /// A section's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sort_by: Option<SortBy>,
    /// How many pages a section shows at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) paginate_by: Option<NonZeroUsize>,
    /// What pages and sections below a section have where they say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cascade: Option<Box<Cascade>>,
    /// The template of a section's pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) page_template: Option<String>,
    /// The list from which a section's pages are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pages_from: Option<Box<PagesFrom>>,
}

/// What a section gives to everything below it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cascade {
    /// The template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<String>,
    #[serde(default, deserialize_with = "moment", skip_serializing_if = "Option::is_none")]
    publish: Option<Moment>,
    #[serde(default, deserialize_with = "moment", skip_serializing_if = "Option::is_none")]
    expires: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draft: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    noindex: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<i64>,
    /// Terms for pages that name none of that taxonomy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) taxonomies: BTreeMap<String, Vec<String>>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    extra: Map<String, Value>,
}

/// A path of the site that a person wrote: of a page, unless its last segment has an extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Address(pub(crate) SitePath);

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let path: SitePath = text.parse().ok()?;
        let is_file = text.rsplit('/').next().is_some_and(|last| last.contains('.'));
        Some(Self(if is_file { path } else { path.with_slash() }))
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text { read: Self::parse, expected: PATH })
    }
}

/// The menus of a page: `[main]`, or `{main: {weight: 1, title: Shop}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Menus(pub(crate) BTreeMap<String, MenuPlace>);

/// How a page stands in a menu.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MenuPlace {
    /// What the menu says instead of the page's title.
    pub(crate) title: Option<String>,
    /// Its place; the page's weight where nothing is said.
    pub(crate) weight: Option<i64>,
}

impl Menus {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Menus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MenusVisitor)
    }
}

struct MenusVisitor;

impl<'de> Visitor<'de> for MenusVisitor {
    type Value = Menus;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names of menus such as [main], or menus with places such as {main: {weight: 1}}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, names: A) -> Result<Menus, A::Error> {
        let names = Vec::<String>::deserialize(SeqAccessDeserializer::new(names))?;
        Ok(Menus(names.into_iter().map(|name| (name, MenuPlace::default())).collect()))
    }

    fn visit_map<A: MapAccess<'de>>(self, places: A) -> Result<Menus, A::Error> {
        BTreeMap::deserialize(MapAccessDeserializer::new(places)).map(Menus)
    }
}

/// The order of a section's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SortBy {
    /// Newest first, pages without a date last.
    Date,
    /// By title.
    Title,
    /// By weight, then title.
    Weight,
    /// By the last segment of the path.
    Slug,
    /// As the files are named, or as the entries stand in the list.
    #[default]
    None,
}

/// Pages made from data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PagesFrom {
    /// The name of the list under `data`.
    pub(crate) data: String,
    /// The template of its pages; by default that of the section's pages.
    pub(crate) template: Option<String>,
    /// What its entries are.
    #[serde(rename = "type")]
    pub(crate) kind: Option<RecordType>,
}

/// What the entries of a list are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RecordType {
    /// Goods on offer.
    Product,
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let read = |text: &str| text.parse().ok().filter(|_| text.len() == "2026-11-01".len());
    deserializer.deserialize_str(Text { read, expected: "a day of the calendar written like 2026-11-01" }).map(Some)
}

fn site_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SitePath>, D::Error> {
    Address::deserialize(deserializer).map(|address| Some(address.0))
}

const PATH: &str = "a path of this site such as /news/opening/";

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Moment>, D::Error> {
    let expected = "a day like 2026-11-01, or a time with its offset like 2026-11-01T09:00:00+09:00";
    deserializer.deserialize_str(Text { read: Moment::parse, expected }).map(Some)
}

/// Reads a value while the parser still knows its line, which it forgets once the value is a `String`.
struct Text<F> {
    read: F,
    expected: &'static str,
}

impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Reads the front matter of `text`, the content of `file`, and where the body begins.
pub(crate) fn parse(file: &str, text: &str, of: Of) -> Result<(FrontMatter, usize), Diagnostic> {
    let (front, body_at) = parse_untitled(file, text, of)?;
    if front.title.is_empty() {
        return Err(Diagnostic::new("missing-key", file, "missing key `title`")
            .at_line(text, 1, 1)
            .help("write `title: ...`"));
    }
    Ok((front, body_at))
}

/// The same, where the title may be left to another file.
pub(crate) fn parse_untitled(file: &str, text: &str, of: Of) -> Result<(FrontMatter, usize), Diagnostic> {
    let Some((part, body_at)) = split(text) else {
        return Err(no_front_matter(file, text));
    };
    let mut front: FrontMatter = yaml::parse_part(file, part, 1, text)?;
    if of == Of::Page {
        front.refuse_section_keys(file, text)?;
    }
    front.scrub();
    Ok((front, body_at))
}

fn no_front_matter(file: &str, text: &str) -> Diagnostic {
    let begin = "begin with a line `---`, then `title: ...`, then another line `---`";
    let (message, help) = match text.lines().next().map_or("", str::trim_end) {
        "" if text.trim().is_empty() => {
            return Diagnostic::new("missing-front-matter", file, "the file is empty").help(begin);
        }
        "---" => ("the front matter that begins here does not end", "write another line `---` after its last key"),
        "+++" => ("the front matter is TOML, and must be YAML", "write `title: ...` between two lines `---`"),
        _ => ("the file does not begin with front matter", begin),
    };
    Diagnostic::new("missing-front-matter", file, message).at_line(text, 1, 1).help(help)
}

/// The front matter of keys that were each read before; none where they make no front matter together.
pub(crate) fn from_keys(keys: Map<String, Value>) -> Option<FrontMatter> {
    let mut front: FrontMatter = serde_json::from_value(Value::Object(keys)).ok()?;
    front.scrub();
    Some(front)
}

/// What a file's front matter describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// A section, `_index.md`.
    Section,
    /// Any other page.
    Page,
}

/// The front matter of `text`, and where the body begins; none where it begins otherwise.
pub(crate) fn split(text: &str) -> Option<(&str, usize)> {
    let rest = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"))?;
    let start = text.len() - rest.len();
    let mut at = start;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return Some((&text[start..at], at + line.len()));
        }
        at += line.len();
    }
    None
}

impl FrontMatter {
    fn refuse_section_keys(&self, file: &str, text: &str) -> Result<(), Diagnostic> {
        let keys = [
            ("sort_by", self.sort_by.is_some()),
            ("paginate_by", self.paginate_by.is_some()),
            ("cascade", self.cascade.is_some()),
            ("page_template", self.page_template.is_some()),
            ("pages_from", self.pages_from.is_some()),
        ];
        let problems = keys.into_iter().filter(|(_, there)| *there).map(|(key, _)| {
            Diagnostic::new("unknown-key", file, format!("`{key}` belongs to a section"))
                .at_text(text, key)
                .help("write it in the folder's `_index.md`")
        });
        Diagnostic::gather(problems.collect())
    }

    /// Takes from `cascade` what the page does not say itself.
    pub(crate) fn inherit(&mut self, cascade: &Cascade) {
        self.publish = self.publish.or(cascade.publish);
        self.expires = self.expires.or(cascade.expires);
        self.draft = self.draft.or(cascade.draft);
        self.noindex = self.noindex.or(cascade.noindex);
        self.weight = self.weight.or(cascade.weight);
        for (taxonomy, terms) in &cascade.taxonomies {
            self.taxonomies.entry(taxonomy.clone()).or_insert_with(|| terms.clone());
        }
        for (key, value) in &cascade.extra {
            if !self.extra.contains_key(key) {
                self.extra.insert(key.clone(), value.clone());
            }
        }
    }

    fn scrub(&mut self) {
        scrub_text(&mut self.title);
        self.description.iter_mut().for_each(scrub_text);
        self.extra.values_mut().for_each(scrub);
        self.taxonomies.values_mut().flatten().for_each(scrub_text);
        self.menus.0.values_mut().filter_map(|place| place.title.as_mut()).for_each(scrub_text);
        if let Some(cascade) = &mut self.cascade {
            cascade.extra.values_mut().for_each(scrub);
            cascade.taxonomies.values_mut().flatten().for_each(scrub_text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_begins_after_the_second_line() {
        for text in ["---\ntitle: A\n---\nBody\n", "---\r\ntitle: A\r\n---\r\nBody\n"] {
            let (front, at) = parse("a.md", text, Of::Page).unwrap();
            assert_eq!((front.title.as_str(), &text[at..]), ("A", "Body\n"));
        }
        assert_eq!(parse("a.md", "---\ntitle: A\n---", Of::Page).unwrap().1, 16);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let problem = |text: &str| {
            let problem = parse("a.md", text, Of::Page).unwrap_err();
            (problem.code, problem.span.map(|span| span.line))
        };
        assert_eq!(problem("title: A\n"), ("missing-front-matter", Some(1)));
        assert_eq!(problem("---\ntitle: A\nBody\n"), ("missing-front-matter", Some(1)));
        assert_eq!(problem("---\ntitle: A\ntitel: B\n---\n"), ("unknown-key", Some(3)));
        assert_eq!(problem("---\ntitle: A\nsort_by: date\n---\n"), ("unknown-key", Some(3)));
        assert_eq!(problem("---\ntitle: A\ndate: 2026-02-30\n---\n"), ("wrong-value", Some(3)));
        assert_eq!(problem("---\ntitle: A\npaginate_by: 3\n---\n"), ("unknown-key", Some(3)));
        assert_eq!(problem("---\ntitle: A\npath: ../x\n---\n"), ("wrong-value", Some(3)));
    }
}
