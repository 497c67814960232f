//! The search index: files of JSON that a small module in the browser asks, with no server behind them.
//!
//! It is derived from pages as they are served, so a partner makes its own when its originals and the tie-up pages are
//! merged, of the very pages that its operator approved. Nothing is made where no site asks for it.

mod index;
mod product;
mod settings;
mod text;
mod tokens;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::maker::{Record, Shelf};
use crate::offer::Currency;
use crate::output::OutputFile;
use crate::page::Page;
use crate::parallel;

use index::Found;
use product::Product;
pub use settings::Search;
pub(crate) use settings::search;
pub use words::PageWords;

impl Search {
    /// The files of the index of `pages`, by path; `read` gives the HTML of a page.
    ///
    /// Equal pages make equal files, whatever their order.
    ///
    /// # Errors
    /// The first of what `read` fails with.
    pub fn index<E: Send>(
        &self,
        pages: &[&IndexedPage],
        read: &(dyn Fn(&IndexedPage) -> Result<Vec<u8>, E> + Sync),
    ) -> Result<BTreeMap<SitePath, Vec<u8>>, E> {
        let wanted: Vec<&IndexedPage> = pages.iter().copied().filter(|entry| self.wants(entry)).collect();
        let words = parallel::map(&wanted, |entry| Ok(PageWords::of(&entry.lang, &read(entry)?)));
        let words: Vec<Option<PageWords>> = words.into_iter().collect::<Result<_, E>>()?;
        let found = wanted.into_iter().zip(words).filter_map(|(entry, words)| Some((entry, words?)));
        Ok(files(found.collect(), self.currency.as_ref()))
    }
}

/// Whether `path` is that of a file which belongs to an index.
pub(crate) fn is_index(path: &SitePath) -> bool {
    path.as_str().starts_with("/search/") && !path.is_page()
}

/// Takes the words of pages as they are made.
pub(crate) struct Gatherer<'a> {
    search: Option<&'a Search>,
    wanted: HashMap<&'a SitePath, &'a str>,
    words: Mutex<HashMap<SitePath, PageWords>>,
}

impl<'a> Gatherer<'a> {
    /// One that waits for those of `pages` that `search` wants; none where the site has no search.
    pub(crate) fn new(search: Option<&'a Search>, pages: &'a [Arc<Page>]) -> Self {
        let wanted = pages.iter().map(|page| &page.entry).filter(|entry| search.is_some_and(|all| all.wants(entry)));
        let wanted = wanted.map(|entry| (&entry.path, entry.lang.as_str())).collect();
        Self { search, wanted, words: Mutex::default() }
    }

    /// Takes the words of the page at `path`, if it was waited for.
    fn take(&self, path: &SitePath, html: &[u8]) {
        if let Some(words) = self.wanted.get(path).and_then(|lang| PageWords::of(lang, html)) {
            self.words.lock().unwrap_or_else(PoisonError::into_inner).insert(path.clone(), words);
        }
    }

    /// The files of the index of the pages that were taken.
    pub(crate) fn files(self, pages: &[IndexedPage]) -> BTreeMap<SitePath, Vec<u8>> {
        let mut words = self.words.into_inner().unwrap_or_else(PoisonError::into_inner);
        let found = pages.iter().filter_map(|entry| Some((entry, words.remove(&entry.path)?)));
        files(found.collect(), self.search.and_then(|search| search.currency.as_ref()))
    }
}

/// A shelf that has the words of pages taken on their way to another one.
pub(crate) struct Gathering<'a> {
    /// The other shelf.
    pub(crate) onto: &'a dyn Shelf,
    /// What takes the words.
    pub(crate) words: &'a Gatherer<'a>,
}

impl Shelf for Gathering<'_> {
    fn earlier(&self, path: &SitePath) -> Option<Record> {
        self.onto.earlier(path)
    }

    fn bytes(&self, path: &SitePath) -> Option<Arc<[u8]>> {
        self.onto.bytes(path)
    }

    fn keep(&self, path: &SitePath) {
        let waited = self.words.wanted.contains_key(path);
        if let Some(html) = waited.then(|| self.onto.bytes(path)).flatten() {
            self.words.take(path, &html);
        }
        self.onto.keep(path);
    }

    fn is_last(&self) -> bool {
        self.onto.is_last()
    }

    fn put(&self, path: &SitePath, file: OutputFile, record: Record) {
        self.words.take(path, &file.bytes);
        self.onto.put(path, file, record);
    }

    fn give(&self, path: &SitePath, file: &OutputFile) {
        self.onto.give(path, file);
    }
}

/// The files of the indexes of all languages.
///
/// A product stands in every language's index, since its record may name it in several (`name_ja`), but for languages
/// that have a page of its own for it.
fn files(mut pages: Vec<(&IndexedPage, PageWords)>, usual: Option<&Currency>) -> BTreeMap<SitePath, Vec<u8>> {
    pages.sort_unstable_by(|a, b| a.0.path.cmp(&b.0.path));
    let mut languages: BTreeMap<&str, Vec<Found<'_>>> = BTreeMap::new();
    let entries: Vec<&IndexedPage> = pages.iter().map(|(entry, _)| *entry).collect();
    for (entry, words) in pages {
        let page = Found { entry, product: Product::of(entry, usual), words: Some(words) };
        languages.entry(&entry.lang).or_default().push(page);
    }
    let mut files = BTreeMap::new();
    for (lang, mut found) in languages {
        found.extend(foreign(lang, &found, &entries, usual));
        found.sort_unstable_by(|a, b| a.entry.path.cmp(&b.entry.path));
        index::write(lang, found, &mut files);
    }
    files
}

/// The products that have no page in the language `lang`.
fn foreign<'a>(
    lang: &str,
    found: &[Found<'a>],
    entries: &[&'a IndexedPage],
    usual: Option<&Currency>,
) -> Vec<Found<'a>> {
    let own: BTreeSet<&str> = found.iter().filter_map(|page| Some(page.product.as_ref()?.id)).collect();
    let others = entries.iter().filter(|entry| entry.lang != lang);
    let products = others.filter_map(|entry| Some((*entry, Product::of(entry, usual)?)));
    let missing = products.filter(|(_, product)| !product.id.is_empty() && !own.contains(product.id));
    let mut once = BTreeSet::new();
    let missing = missing.filter(|(_, product)| once.insert(product.id));
    missing.map(|(entry, product)| Found { entry, product: Some(product), words: None }).collect()
}
