//! A page before any template, and what it says of itself.

use std::collections::BTreeMap;
use std::mem;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::{SitePath, SourcePath};

use crate::front_matter::{Menus, RecordType, SortBy};
use crate::schedule::Life;
use crate::source::read_text;
use crate::text::Text;

/// A page before any template.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// What others see of it. Its `section` is only known once all pages are: see [`crate::view`].
    pub(crate) entry: IndexedPage,
    /// What it is.
    pub(crate) kind: PageKind,
    /// The folder it stands in, by language; a section's is its own.
    pub(crate) place: Place,
    /// What its translations share: the path below `content/` without language and extension.
    pub(crate) stem: String,
    /// Its place in the order of the files: the file, and for pages from data the entry.
    pub(crate) order: (SourcePath, usize),
    /// The template that its front matter (or its section's list) names.
    pub(crate) template: Option<Choice>,
    /// Old addresses that lead to it.
    pub(crate) aliases: Vec<SitePath>,
    /// Its terms, by taxonomy.
    pub(crate) terms: BTreeMap<String, Vec<String>>,
    /// The menus that it stands in.
    pub(crate) menus: Menus,
    /// When it is live.
    pub(crate) life: Life,
    /// The text.
    pub(crate) text: Text,
    /// The file it is made from.
    pub(crate) source: Arc<Source>,
    /// The file that holds its body: another one where a partner's file varies single keys.
    pub(crate) body_source: Arc<Source>,
}

impl Page {
    /// Whether it is made from data, in this language and with this stem.
    pub(crate) fn is_record(&self, lang: &str, stem: &str) -> bool {
        self.order.1 > 0 && self.stem == stem && self.place.lang == lang
    }
}

/// A Markdown file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file, as a person knows it.
    pub(crate) file: String,
}

impl Source {
    /// What the file holds. It is read again: only mistakes need it, and the texts of a large site fill the memory.
    pub(crate) fn text(&self) -> String {
        read_text(Path::new(&self.file)).unwrap_or_default()
    }

    /// The line, from 1, of the first place after `key` where `word` stands; none where there is no such place.
    pub(crate) fn line_of(&self, key: &str, word: &str) -> Option<usize> {
        let text = self.text();
        let after = text.find(key)? + key.len();
        let at = after + text[after..].find(word)?;
        Some(text[..at].matches('\n').count() + 1)
    }
}

/// A folder of content in one language.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// The language.
    pub(crate) lang: String,
    /// The folder below `content/`; empty for `content/` itself.
    pub(crate) folder: String,
}

/// What a page is.
#[derive(Clone, Debug)]
pub(crate) enum PageKind {
    /// The first page of a language; also a section.
    Home(Section),
    /// A section.
    Section(Section),
    /// Any other page, from a file or from data.
    Single,
    /// The list of a taxonomy's terms.
    Taxonomy,
    /// The pages of one term.
    Term,
}

/// What a section says about its pages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    /// Their order.
    pub(crate) sort_by: SortBy,
    /// How many are shown at once.
    pub(crate) paginate_by: Option<NonZeroUsize>,
    /// Their template.
    pub(crate) page_template: Option<Choice>,
    /// What the entries are that its pages are made of.
    pub(crate) records: Option<RecordType>,
}

/// A template and the file that chose it.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    /// The template.
    pub(crate) template: String,
    /// The file that names it.
    pub(crate) source: Arc<Source>,
    /// The key that names it.
    pub(crate) key: &'static str,
}

impl Place {
    /// The folder around this one, and this one's name; none for `content/` itself.
    pub(crate) fn parent(&self) -> Option<(Self, &str)> {
        if self.folder.is_empty() {
            return None;
        }
        let (around, name) = self.folder.rsplit_once('/').unwrap_or(("", &self.folder));
        Some((Self { lang: self.lang.clone(), folder: around.to_owned() }, name))
    }

    /// How many folders lead here.
    pub(crate) fn depth(&self) -> usize {
        if self.folder.is_empty() { 0 } else { self.folder.matches('/').count() + 1 }
    }
}

impl Choice {
    /// The template that `key` names, if it does.
    pub(crate) fn new(key: &'static str, template: Option<&String>, source: &Arc<Source>) -> Option<Self> {
        template.map(|template| Self { template: template.clone(), source: source.clone(), key })
    }
}

impl Page {
    /// Whether this page can take the other's place, and the other its, while every other page stays where it is.
    pub(crate) fn stands_like(&self, other: &Self) -> bool {
        let named = |page: &Self| page.template.as_ref().map(|choice| choice.template.clone());
        let shown = |page: &Self| (page.entry.title.clone(), page.entry.weight);
        self.entry.path == other.entry.path
            && self.entry.lang == other.entry.lang
            && self.kind.is_like(&other.kind)
            && self.place == other.place
            && self.stem == other.stem
            && self.order == other.order
            && self.aliases == other.aliases
            && self.terms == other.terms
            && self.menus == other.menus
            && named(self) == named(other)
            && (self.menus.0.is_empty() || shown(self) == shown(other))
    }
}

impl PageKind {
    fn is_like(&self, other: &Self) -> bool {
        let settings = |section: &Section| {
            let template = section.page_template.as_ref().map(|choice| choice.template.clone());
            (section.sort_by, section.paginate_by, template, section.records)
        };
        mem::discriminant(self) == mem::discriminant(other)
            && self.section().map(settings) == other.section().map(settings)
    }

    /// What a section says about its pages; none for other pages.
    pub(crate) fn section(&self) -> Option<&Section> {
        match self {
            Self::Home(section) | Self::Section(section) => Some(section),
            Self::Single | Self::Taxonomy | Self::Term => None,
        }
    }
}
