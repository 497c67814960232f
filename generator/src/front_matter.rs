//! The front matter of a Markdown file: YAML between two lines of `---`.

use std::fmt;

use jiff::civil::Date;
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SitePath;
use tieup_protocol::yaml;

use crate::source::{scrub, scrub_text};

/// The keys of a page; those of a section are refused on other pages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrontMatter {
    /// The title.
    pub(crate) title: String,
    /// One or two sentences about the page.
    pub(crate) description: Option<String>,
    /// The day it was published.
    #[serde(default, deserialize_with = "day")]
    pub(crate) date: Option<Date>,
    /// The day it was last changed.
    #[serde(default, deserialize_with = "day")]
    pub(crate) updated: Option<Date>,
    /// Whether the page is left out.
    #[serde(default)]
    pub(crate) draft: bool,
    /// What replaces the last segment of the path.
    pub(crate) slug: Option<String>,
    /// What replaces the whole path.
    #[serde(default, deserialize_with = "site_path")]
    pub(crate) path: Option<SitePath>,
    /// The template, where it is not the usual one.
    pub(crate) template: Option<String>,
    /// The place among siblings; lower comes first.
    #[serde(default)]
    pub(crate) weight: i64,
    /// Free keys.
    #[serde(default)]
    pub(crate) extra: Map<String, Value>,
    /// A section's order.
    pub(crate) sort_by: Option<SortBy>,
    /// The template of a section's pages.
    pub(crate) page_template: Option<String>,
    /// The list from which a section's pages are made.
    pub(crate) pages_from: Option<PagesFrom>,
}

/// The order of a section's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PagesFrom {
    /// The name of the list under `data`.
    pub(crate) data: String,
    /// The template of its pages; by default that of the section's pages.
    pub(crate) template: Option<String>,
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    let read = |text: &str| text.parse().ok().filter(|_| text.len() == "2026-11-01".len());
    deserializer.deserialize_str(Text { read, expected: "a day of the calendar written like 2026-11-01" }).map(Some)
}

fn site_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SitePath>, D::Error> {
    let read = |text: &str| text.parse().ok();
    deserializer.deserialize_str(Text { read, expected: "a path of this site such as /news/opening/" }).map(Some)
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
    let Some((part, body_at)) = split(text) else {
        return Err(Diagnostic::new("missing-front-matter", file, "the file does not begin with front matter")
            .at_line(text, 1, 1)
            .help("begin with a line `---`, then `title: ...`, then another line `---`"));
    };
    let mut front: FrontMatter = yaml::parse_part(file, part, 1, text)?;
    if of == Of::Page {
        front.refuse_section_keys(file, text)?;
    }
    front.scrub();
    Ok((front, body_at))
}

/// What a file's front matter describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// A section, `_index.md`.
    Section,
    /// Any other page.
    Page,
}

fn split(text: &str) -> Option<(&str, usize)> {
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
            ("page_template", self.page_template.is_some()),
            ("pages_from", self.pages_from.is_some()),
        ];
        match keys.into_iter().find(|(_, there)| *there) {
            None => Ok(()),
            Some((key, _)) => Err(Diagnostic::new("unknown-key", file, format!("`{key}` belongs to a section"))
                .at_text(text, key)
                .help("write it in the folder's `_index.md`")),
        }
    }

    fn scrub(&mut self) {
        scrub_text(&mut self.title);
        self.description.iter_mut().for_each(scrub_text);
        self.extra.values_mut().for_each(scrub);
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
