//! Variations: what a partner's file says in the place of a main page, as a whole page or by single keys.
//!
//! What the main page's file says is known from when it was read, or its file is read again.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::{SitePath, SourcePath};
use tieup_protocol::yaml;

use crate::front_matter::{self, FrontMatter, Of, RecordType};
use crate::known::{Files, KnownFile};
use crate::page::{Page, Source};
use crate::schedule::Moment;
use crate::source::{Found, read_text, shown};

/// The place of a page among the files: its file, and for pages from data the entry.
pub(crate) type Order = (SourcePath, usize);

/// The content that variations lie over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beneath<'a> {
    /// Its folder.
    pub(crate) folder: &'a Path,
    /// Its pages, in order.
    pub(crate) pages: &'a [Arc<Page>],
    /// What is known of its files.
    pub(crate) known: &'a Files,
}

/// What a Markdown file says, completed by what it varies.
#[derive(Debug)]
pub(crate) struct Written {
    /// The front matter.
    pub(crate) front: FrontMatter,
    /// The text that holds the body; none where the file need not be read.
    pub(crate) text: Option<String>,
    /// Where the body begins in it.
    pub(crate) body_at: usize,
    /// Which file said what.
    pub(crate) origin: Origin,
    /// The page from data that it varies.
    pub(crate) record: Option<Arc<Page>>,
    /// What the entries are that the section which it varies makes pages of.
    pub(crate) records: Option<RecordType>,
}

/// Which file said what: a Markdown file, or the one that it varies.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The file.
    pub(crate) own: Arc<Source>,
    /// The file that holds the body.
    pub(crate) body: Arc<Source>,
    /// The file that it varies, and the keys that it gives itself.
    varied: Option<(Arc<Source>, BTreeSet<String>)>,
}

impl Origin {
    /// Of a file that varies none.
    pub(crate) fn plain(file: &Path) -> Self {
        let source = Arc::new(Source { file: shown(file) });
        Self { own: source.clone(), body: source, varied: None }
    }

    /// The file that gives `key`.
    pub(crate) fn of(&self, key: &str) -> &Arc<Source> {
        match &self.varied {
            Some((main, given)) if !given.contains(key) => main,
            _ => &self.own,
        }
    }
}

/// Reads the Markdown file `found`, of which the name says the language and the stem.
///
/// Where the content `beneath` has a page of the same file, what this one does not say is as it stands there: keys that
/// it does not give, and the body where it has none. Over a page from data it needs no title.
pub(crate) fn read(
    found: &Found,
    of: Of,
    (lang, stem): (&str, &str),
    beneath: Option<Beneath<'_>>,
) -> Result<Written, Diagnostic> {
    let text = read_text(&found.file)?;
    let source = Arc::new(Source { file: shown(&found.file) });
    let origin = Origin { own: source.clone(), body: source.clone(), varied: None };
    let known = beneath.and_then(|beneath| beneath.known.get(&found.path));
    let main = beneath.map(|beneath| beneath.folder.join(found.path.as_str()));
    let main = main.filter(|file| known.is_some() || file.is_file());
    let record = || beneath?.pages.iter().find(|page| page.is_record(lang, stem)).cloned();
    let (main, record) = if main.is_some() { (main, None) } else { (None, record()) };
    let read = if main.is_some() || record.is_some() { front_matter::parse_untitled } else { front_matter::parse };
    let (front, body_at) = read(&source.file, &text, of).map_err(|problem| explain(problem, beneath, found))?;
    let mut written = Written { front, text: Some(text), body_at, origin, record, records: None };
    if let Some(main) = main {
        written.complete(&main, known.map(|known| &**known));
    }
    if let Some(record) = &written.record {
        take_from_record(&mut written.front, record);
    }
    Ok(written)
}

/// Takes from a page made from data what `front` does not say.
fn take_from_record(front: &mut FrontMatter, record: &Page) {
    if front.title.is_empty() {
        front.title.clone_from(&record.entry.title);
    }
    if front.path.is_none() && front.slug.is_none() {
        front.path = Some(record.entry.path.clone());
    }
    front.description = front.description.take().or_else(|| record.entry.description.clone());
    front.publish = front.publish.or(record.life.publish.map(Moment::Instant));
    front.expires = front.expires.or(record.life.expires.map(Moment::Instant));
}

/// A partner's file needs a title only where it varies nothing, which may be a slip in its name.
fn explain(problem: Diagnostic, beneath: Option<Beneath<'_>>, found: &Found) -> Diagnostic {
    match beneath {
        Some(_) if problem.code == "missing-key" => {
            problem.help(format!("the main site has no content/{}, so this is a page of its own", found.path))
        }
        _ => problem,
    }
}

impl Written {
    /// Takes from the main page's file what this one does not say. What is wrong there is told of that file.
    fn complete(&mut self, file: &Path, known: Option<&KnownFile>) {
        let Some(own_text) = &self.text else { return };
        let has_body = !own_text[self.body_at..].trim().is_empty();
        let known = known.filter(|_| has_body).and_then(KnownFile::keys);
        let text = if known.is_some() { String::new() } else { read_text(file).unwrap_or_default() };
        let (Some(own), Some(main)) = (keys(own_text), known.or_else(|| keys(&text))) else { return };
        let source = Arc::new(Source { file: shown(file) });
        let given = own.keys().cloned().collect();
        let Some(mut front) = merged(main, own) else { return };
        if self.front.pages_from.is_none() {
            // The main site's pages from data stay as they are.
            self.records = front.pages_from.take().and_then(|from| from.kind);
        }
        self.front = front;
        if let Some((_, body_at)) = front_matter::split(&text).filter(|_| !has_body) {
            (self.text, self.body_at, self.origin.body) = (Some(text), body_at, source.clone());
        }
        self.origin.varied = Some((source, given));
    }
}

/// The keys of a text's front matter.
fn keys(text: &str) -> Option<Map<String, Value>> {
    yaml::parse_part("", front_matter::split(text)?.0, 1, text).ok()
}

/// `own` over `main`: a key takes the place of main's; those of `extra` each by itself.
fn merged(mut main: Map<String, Value>, own: Map<String, Value>) -> Option<FrontMatter> {
    for (key, value) in own {
        match (main.get_mut(&key), value) {
            (Some(Value::Object(extra)), Value::Object(more)) if key == "extra" => extra.extend(more),
            (_, value) => drop(main.insert(key, value)),
        }
    }
    front_matter::from_keys(main)
}

/// The pages of a main site with a partner's in their place, in the order of their files. Those in `hidden` are gone.
pub(crate) fn overlay(main: Vec<Arc<Page>>, own: &[Arc<Page>], hidden: &BTreeSet<Order>) -> Vec<Arc<Page>> {
    let mut pages = main;
    let mut others: Vec<&Arc<Page>> = Vec::new();
    for page in own {
        match pages.binary_search_by(|old| old.order.cmp(&page.order)) {
            Ok(at) if pages[at].entry.path == page.entry.path => pages[at] = page.clone(),
            _ => others.push(page),
        }
    }
    if others.is_empty() && hidden.is_empty() {
        return pages;
    }
    let paths: HashSet<&SitePath> = others.iter().map(|page| &page.entry.path).collect();
    let places: HashSet<&Order> = others.iter().map(|page| &page.order).chain(hidden).collect();
    pages.retain(|page| !paths.contains(&page.entry.path) && !places.contains(&page.order));
    pages.extend(others.into_iter().cloned());
    pages.sort_by(|a, b| a.order.cmp(&b.order));
    pages
}

/// The pages that `file` makes, where it is gone or makes its pages from data anew; where `record` is, that one alone.
pub(crate) fn hide(file: &SourcePath, record: Option<&Page>, main: &[Arc<Page>]) -> Vec<Order> {
    match record {
        Some(record) => vec![record.order.clone()],
        None => main.iter().filter(|page| page.order.0 == *file).map(|page| page.order.clone()).collect(),
    }
}
