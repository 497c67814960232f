//! The files of one language's index: which pages have a term, what a result shows, what products cost.
//!
//! All are JSON. Every file but `index.json` is named after its content, so that a browser never puts pieces of two
//! versions together. The module `search.js` of the storefront theme is the reader; its format stands in
//! `docs/content.md`.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use serde_json::Value;
use tieup_protocol::digest::Digest;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use super::product::Product;
use super::text::shortened;
use super::tokens::Manner;
use super::words::{EXCERPT, PageWords};

/// The version of the format.
const FORMAT: u32 = 1;

/// About how many bytes a file of terms has.
const SHARD: usize = 24 << 10;

/// How many pages' results stand in one file.
const RECORDS: usize = 32;

/// From so many pages on, a word that more than half of them have is common.
const MANY: usize = 200;

/// What a common word must weigh on a page to be kept there: it stands in the title, or often in the headings.
const TELLING: u8 = 4;

/// What a word of the title weighs (more than all other places together), one of the description, and one that names a
/// product or its kind.
const TITLE: u8 = 7;
const DESCRIPTION: u8 = 1;
const NAMED: u8 = 2;

/// The most that a term can weigh: postings write it as one digit.
const MOST: u8 = 9;

/// One page in the index of a language.
pub(super) struct Found<'a> {
    pub(super) entry: &'a IndexedPage,
    pub(super) product: Option<Product<'a>>,
    /// None for a product whose page is in another language.
    pub(super) words: Option<PageWords>,
}

/// What a list of results shows of a page.
#[derive(Serialize)]
struct Record<'a> {
    path: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    /// The language of the page, where it is another than that of the index.
    #[serde(skip_serializing_if = "Option::is_none")]
    lang: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a Product<'a>>,
}

/// `index.json`: what a browser reads first.
#[derive(Serialize)]
struct Head {
    format: u32,
    pages: usize,
    /// How many records a file has.
    each: usize,
    /// Words that tell little, and are kept for few pages.
    common: Vec<Box<str>>,
    /// The files of terms: the first term of each, and its name.
    words: Vec<(Box<str>, String)>,
    /// The files of records, in the order of the pages.
    records: Vec<String>,
    /// The file of products.
    #[serde(skip_serializing_if = "Option::is_none")]
    products: Option<String>,
}

/// The pages that have a term, as text: the number of pages left out since the last one, in letters to base 26, and
/// the weight as one digit.
#[derive(Default)]
struct Postings {
    next: usize,
    pages: usize,
    text: String,
}

/// Writes the index of `pages`, which are in the order of their paths, into `files`.
pub(super) fn write(lang: &str, pages: Vec<Found<'_>>, files: &mut BTreeMap<SitePath, Vec<u8>>) {
    let mut out = Folder { lang, files };
    let records = pages.chunks(RECORDS).map(|pages| out.put(&records(lang, pages))).collect();
    let products = products(&pages);
    let products = (!products.is_empty()).then(|| out.put(&products));
    let count = pages.len();
    let mut terms = HashMap::new();
    for (number, page) in pages.into_iter().enumerate() {
        post(lang, number, &page, &mut terms);
    }
    let mut terms: Vec<(Box<str>, Postings)> = terms.into_iter().collect();
    terms.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let common = thin(&mut terms, count);
    let words = shards(&terms).into_iter().map(|shard| (shard[0].0.clone(), out.put(&Shard(shard)))).collect();
    out.put_as("index", &Head { format: FORMAT, pages: count, each: RECORDS, common, words, records, products });
}

/// The folder of one language.
struct Folder<'a> {
    lang: &'a str,
    files: &'a mut BTreeMap<SitePath, Vec<u8>>,
}

impl Folder<'_> {
    /// Keeps a file and returns its name, which is made from its content.
    fn put(&mut self, content: &impl Serialize) -> String {
        let bytes = json(content);
        let name = Digest::of(&bytes).hex()[..12].to_owned();
        self.keep(&name, bytes);
        name
    }

    fn put_as(&mut self, name: &str, content: &impl Serialize) {
        self.keep(name, json(content));
    }

    fn keep(&mut self, name: &str, bytes: Vec<u8>) {
        // A release could name a language that is no segment of a path. Then there is no index in it.
        if let Ok(path) = format!("/search/{}/{name}.json", self.lang).parse() {
            self.files.insert(path, bytes);
        }
    }
}

fn json(content: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(content).expect("keys are texts and nothing here fails to serialize")
}

fn records<'a>(lang: &str, pages: &'a [Found<'a>]) -> Vec<Record<'a>> {
    let record = |page: &'a Found<'a>| {
        let (entry, product) = (page.entry, page.product.as_ref());
        let named = |key| product.and_then(|product| product.translated(key, lang));
        let description = named("description").or(entry.description.as_deref());
        let opening = || page.words.as_ref().map(|words| words.opening.clone());
        Record {
            path: entry.path.as_str(),
            title: named("name").unwrap_or(&entry.title),
            text: description.map(|text| shortened(text, EXCERPT)).or_else(opening).unwrap_or_default(),
            lang: (entry.lang != lang).then_some(&entry.lang),
            product,
        }
    };
    pages.iter().map(record).collect()
}

/// By kind: the number of each product's page, and its price.
fn products<'a>(pages: &'a [Found<'a>]) -> BTreeMap<&'a str, Vec<(usize, &'a Value)>> {
    let mut kinds: BTreeMap<&str, Vec<(usize, &Value)>> = BTreeMap::new();
    for (number, page) in pages.iter().enumerate() {
        if let Some(product) = &page.product {
            kinds.entry(product.kind).or_default().push((number, &product.price));
        }
    }
    kinds
}

/// Notes every term of a page.
fn post(lang: &str, number: usize, page: &Found<'_>, terms: &mut HashMap<Box<str>, Postings>) {
    let mut named = named(lang, page);
    for (term, weight) in page.words.iter().flat_map(PageWords::terms) {
        let more = if named.is_empty() { 0 } else { named.remove(term).unwrap_or(0) };
        add(terms, term, number, weight + more);
    }
    for (term, weight) in named {
        add(terms, &term, number, weight);
    }
}

fn add(terms: &mut HashMap<Box<str>, Postings>, term: &str, number: usize, weight: u8) {
    match terms.get_mut(term) {
        Some(postings) => postings.add(number, weight),
        None => terms.entry(term.into()).or_default().add(number, weight),
    }
}

/// The terms by which a page is named, with what they add to its weight.
fn named(lang: &str, page: &Found<'_>) -> BTreeMap<String, u8> {
    let manner = Manner::of(lang);
    let mut terms: BTreeMap<String, u8> = BTreeMap::new();
    let mut name = |text: &str, weight: u8| {
        manner.terms(text, &mut |term| {
            let told = terms.entry(term.to_owned()).or_default();
            *told = weight.max(*told);
        });
    };
    name(&page.entry.title, TITLE);
    name(page.entry.description.as_deref().unwrap_or_default(), DESCRIPTION);
    if let Some(product) = &page.product {
        name(product.translated("name", lang).unwrap_or_default(), TITLE);
        name(product.translated("description", lang).unwrap_or_default(), DESCRIPTION);
        name(product.kind, NAMED);
        name(product.id, NAMED);
        // The whole id, so that who writes it finds this product first.
        terms.insert(manner.fold(product.id).into_owned(), MOST);
        terms.remove("");
    }
    terms
}

/// Leaves out the pages on which a common word tells little, and names these words.
fn thin(terms: &mut [(Box<str>, Postings)], pages: usize) -> Vec<Box<str>> {
    let mut common = Vec::new();
    for (term, postings) in terms {
        if pages >= MANY && postings.pages > pages / 2 {
            common.push(term.clone());
            *postings = postings.telling();
        }
    }
    common
}

/// Cuts the terms, which are in order, into files of about [`SHARD`] bytes.
fn shards(terms: &[(Box<str>, Postings)]) -> Vec<&[(Box<str>, Postings)]> {
    let mut shards = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (at, (term, postings)) in terms.iter().enumerate() {
        let bytes = term.len() + postings.text.len() + 6;
        if at > start && size + bytes > SHARD {
            shards.push(&terms[start..at]);
            (start, size) = (at, 0);
        }
        size += bytes;
    }
    if start < terms.len() {
        shards.push(&terms[start..]);
    }
    shards
}

/// A file of terms: an object from term to postings.
struct Shard<'a>(&'a [(Box<str>, Postings)]);

impl Serialize for Shard<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(term, postings)| (term, &postings.text)))
    }
}

impl Postings {
    fn add(&mut self, page: usize, weight: u8) {
        let mut gap = page - self.next;
        let mut letters = [0; 16];
        let mut length = 0;
        loop {
            letters[length] = b'a' + u8::try_from(gap % 26).expect("a remainder of 26 is small");
            length += 1;
            gap /= 26;
            if gap == 0 {
                break;
            }
        }
        self.text.extend(letters[..length].iter().rev().map(|letter| char::from(*letter)));
        self.text.push(char::from(b'0' + weight.min(MOST)));
        self.next = page + 1;
        self.pages += 1;
    }

    /// Every page with its weight.
    fn iter(&self) -> impl Iterator<Item = (usize, u8)> {
        let mut next = 0;
        self.text.split_inclusive(|c: char| c.is_ascii_digit()).filter_map(move |posting| {
            let (weight, letters) = posting.as_bytes().split_last()?;
            let gap = letters.iter().fold(0, |gap, letter| gap * 26 + usize::from(letter - b'a'));
            let page = next + gap;
            next = page + 1;
            Some((page, weight - b'0'))
        })
    }

    fn telling(&self) -> Self {
        let mut kept = Self::default();
        self.iter().filter(|(_, weight)| *weight >= TELLING).for_each(|(page, weight)| kept.add(page, weight));
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postings_survive_their_text() {
        let mut postings = Postings::default();
        let pages = [(0, 1), (1, 9), (27, 3), (28, 12), (30_000, 4)];
        for (page, weight) in pages {
            postings.add(page, weight);
        }
        assert_eq!(postings.text, "a1a9z3a9bsit4");
        assert_eq!(postings.iter().collect::<Vec<_>>(), [(0, 1), (1, 9), (27, 3), (28, 9), (30_000, 4)]);
        assert_eq!(postings.telling().iter().collect::<Vec<_>>(), [(1, 9), (28, 9), (30_000, 4)]);
    }
}
