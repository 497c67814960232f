//! A site as its templates see it: every page's summary, the sections and their order. Made once, then only read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tera::{Map, Value};
use tieup_protocol::diagnostic::nearest;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::config::SiteConfig;
use crate::front_matter::SortBy;
use crate::page::{Page, PageKind, Place};
use crate::source::{scrub, scrub_text};

/// With more pages than this, a path that does not exist is not compared with all of them.
const MAX_SUGGESTIONS: usize = 2_000;

/// All pages of one build: its own, and those that came with a release.
#[derive(Debug)]
pub(crate) struct View {
    config: SiteConfig,
    nodes: Vec<Node>,
    by_path: HashMap<SitePath, usize>,
    translations: HashMap<String, Vec<usize>>,
}

/// One page among the others.
#[derive(Debug)]
pub(crate) struct Node {
    /// What others see of it.
    pub(crate) entry: IndexedPage,
    /// The page itself; none for one that came with a release.
    pub(crate) own: Option<Arc<Page>>,
    /// The section around it.
    pub(crate) parent: Option<usize>,
    /// What it holds, if it is a section.
    pub(crate) listing: Option<Listing>,
    summary: Value,
    neighbours: [Option<usize>; 2],
}

/// The pages of a section.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Those directly in it, in its order.
    pub(crate) pages: Vec<usize>,
    /// The sections directly in it.
    pub(crate) subsections: Vec<usize>,
    value: Value,
}

impl View {
    /// The view of `pages`, and of those `inherited` pages whose path is free.
    pub(crate) fn new(config: &SiteConfig, pages: &[Arc<Page>], inherited: &[IndexedPage]) -> Self {
        let taken: BTreeSet<&SitePath> = pages.iter().map(|page| &page.entry.path).collect();
        let inherited = inherited.iter().filter(|entry| !taken.contains(&entry.path));
        let mut nodes: Vec<Node> = inherited.map(|entry| Node::inherited(entry, config)).collect();
        nodes.extend(pages.iter().map(|page| Node::own(page, config)));
        let by_path = nodes.iter().enumerate().map(|(at, node)| (node.entry.path.clone(), at)).collect();
        let mut view = Self { config: config.clone(), nodes, by_path, translations: HashMap::new() };
        view.find_parents();
        view.list();
        view.relate_translations();
        view
    }

    /// The site's configuration.
    pub(crate) fn config(&self) -> &SiteConfig {
        &self.config
    }

    /// The pages that are rendered, with their numbers.
    pub(crate) fn own(&self) -> impl Iterator<Item = (usize, &Arc<Page>)> {
        self.nodes.iter().enumerate().filter_map(|(at, node)| Some((at, node.own.as_ref()?)))
    }

    /// The page with number `at`.
    pub(crate) fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// Whether a page stands at `path`.
    pub(crate) fn contains(&self, path: &SitePath) -> bool {
        self.by_path.contains_key(path)
    }

    /// The path of a page that `path` was probably meant to be.
    pub(crate) fn suggest(&self, path: &str) -> Option<&str> {
        if self.nodes.len() > MAX_SUGGESTIONS {
            return None;
        }
        nearest(path, self.nodes.iter().map(|node| node.entry.path.as_str()))
    }

    /// The summary of the page at `path`.
    pub(crate) fn page(&self, path: &str) -> Result<Value, String> {
        Ok(self.find(path, "page")?.summary.clone())
    }

    /// The section at `path`, with its pages.
    pub(crate) fn section(&self, path: &str) -> Result<Value, String> {
        let node = self.find(path, "section")?;
        let listing = node.listing.as_ref().ok_or_else(|| format!("`{path}` is a page, not a section"))?;
        let mut map = Map::new();
        for key in ["title", "description", "path", "permalink", "lang"] {
            map.insert(key.into(), node.summary.get_from_path(key).cloned().unwrap_or_else(Value::none));
        }
        for key in ["pages", "subsections"] {
            map.insert(key.into(), listing.value.get_from_path(key).cloned().unwrap_or_else(Value::none));
        }
        Ok(Value::from(map))
    }

    fn find(&self, path: &str, what: &str) -> Result<&Node, String> {
        let at = path.parse::<SitePath>().ok().and_then(|path| self.by_path.get(&path));
        at.map(|at| &self.nodes[*at]).ok_or_else(|| match self.suggest(path) {
            Some(near) => format!("there is no {what} `{path}`; did you mean `{near}`?"),
            None => format!("there is no {what} `{path}`"),
        })
    }

    /// Everything a template can know of page `at` itself.
    pub(crate) fn page_value(&self, at: usize) -> Value {
        let node = &self.nodes[at];
        let mut map = node.summary.as_map().cloned().unwrap_or_default();
        let own = node.own.as_ref();
        let content = own.map_or("", |page| &page.body.html);
        let parent = node.parent.map(|parent| self.nodes[parent].entry.path.as_str());
        let [prev, next] = node.neighbours.map(|at| at.map_or_else(Value::none, |at| self.step(at)));
        map.insert("updated".into(), text(node.entry.updated.map(|date| date.to_string())));
        map.insert("content".into(), Value::safe_string(content));
        map.insert("reading_time".into(), Value::from(own.map_or(0, |page| page.body.length.minutes())));
        map.insert("section".into(), text(parent));
        map.insert("ancestors".into(), Value::from(self.ancestors(at)));
        map.insert("translations".into(), Value::from(self.translations_of(at)));
        map.insert("prev".into(), prev);
        map.insert("next".into(), next);
        Value::from(map)
    }

    /// The page that is shown where there is none.
    pub(crate) fn not_found_value(&self) -> Value {
        let mut map = Map::new();
        let none = ["description", "permalink", "date", "updated", "data", "section", "prev", "next"];
        for key in none {
            map.insert(key.into(), Value::none());
        }
        for key in ["ancestors", "translations"] {
            map.insert(key.into(), Value::from(Vec::<Value>::new()));
        }
        for key in ["weight", "word_count", "reading_time"] {
            map.insert(key.into(), Value::from(0));
        }
        map.insert("title".into(), Value::from("Not found"));
        map.insert("path".into(), Value::from("/404.html"));
        map.insert("lang".into(), Value::from(self.config.language.as_str()));
        map.insert("extra".into(), Value::from(Map::new()));
        map.insert("content".into(), Value::safe_string(""));
        Value::from(map)
    }

    /// What a section's template knows of its pages.
    pub(crate) fn listing_value(&self, at: usize) -> Option<Value> {
        self.nodes[at].listing.as_ref().map(|listing| listing.value.clone())
    }

    /// The index of the own pages: sections by path, each followed by its pages in its order.
    pub(crate) fn index(&self) -> Vec<IndexedPage> {
        let mut sections: Vec<usize> = (0..self.nodes.len()).filter(|at| self.nodes[*at].listing.is_some()).collect();
        sections.sort_by(|a, b| self.nodes[*a].entry.path.cmp(&self.nodes[*b].entry.path));
        let mut order = Vec::with_capacity(self.nodes.len());
        for at in sections {
            order.push(at);
            order.extend(self.nodes[at].listing.iter().flat_map(|listing| &listing.pages));
        }
        let loose = |at: &usize| self.nodes[*at].parent.is_none() && self.nodes[*at].listing.is_none();
        order.extend((0..self.nodes.len()).filter(loose));
        let own = order.into_iter().map(|at| &self.nodes[at]).filter(|node| node.own.is_some());
        own.map(|node| node.entry.clone()).collect()
    }

    fn find_parents(&mut self) {
        let sections = self.nodes.iter().enumerate().filter(|(_, node)| node.listing.is_some());
        let places: HashMap<Place, usize> =
            sections.filter_map(|(at, node)| Some((node.own.as_ref()?.place.clone(), at))).collect();
        let parents: Vec<Option<usize>> = (0..self.nodes.len()).map(|at| self.parent(at, &places)).collect();
        for (node, parent) in self.nodes.iter_mut().zip(&parents) {
            node.parent = *parent;
        }
        for (at, parent) in parents.into_iter().enumerate() {
            self.nodes[at].entry.section = parent.map(|parent| self.nodes[parent].entry.path.clone());
        }
    }

    /// The section around node `at`: the nearest in its folders, or failing that one that came with a release.
    fn parent(&self, at: usize, places: &HashMap<Place, usize>) -> Option<usize> {
        let node = &self.nodes[at];
        let Some(page) = &node.own else {
            return node.entry.section.as_ref().and_then(|section| self.by_path.get(section).copied());
        };
        let mut place = match page.kind {
            PageKind::Home(_) => return None,
            PageKind::Section(_) => page.place.parent().map(|(parent, _)| parent),
            PageKind::Single => Some(page.place.clone()),
        };
        while let Some(here) = place {
            match places.get(&here) {
                Some(parent) if !here.folder.is_empty() => return Some(*parent),
                _ => place = here.parent().map(|(parent, _)| parent),
            }
        }
        self.section_above(&node.entry)
    }

    /// The deepest section of the same language whose path contains that of `entry`.
    fn section_above(&self, entry: &IndexedPage) -> Option<usize> {
        let home = self.config.home(&entry.lang);
        let mut path = entry.path.as_str().trim_end_matches('/');
        while let Some((above, _)) = path.rsplit_once('/') {
            let at = format!("{above}/").parse().ok().and_then(|above: SitePath| self.by_path.get(&above).copied());
            let fits = |at: &usize| {
                let node = &self.nodes[*at];
                let inherited_or_home = node.own.is_none() || node.entry.path == home;
                node.listing.is_some() && node.entry.lang == entry.lang && inherited_or_home
            };
            if let Some(at) = at.filter(fits) {
                return Some(at);
            }
            path = above;
        }
        let home = self.by_path.get(&home).copied();
        home.filter(|home| self.nodes[*home].listing.is_some() && self.nodes[*home].entry.path != entry.path)
    }

    fn list(&mut self) {
        let mut listings: BTreeMap<usize, Listing> = BTreeMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(parent) = node.parent else { continue };
            let listing = listings.entry(parent).or_insert_with(Listing::empty);
            let list = if node.listing.is_some() { &mut listing.subsections } else { &mut listing.pages };
            list.push(at);
        }
        for at in 0..self.nodes.len() {
            if self.nodes[at].listing.is_none() {
                continue;
            }
            let mut listing = listings.remove(&at).unwrap_or_else(Listing::empty);
            self.sort(at, &mut listing);
            for (place, page) in listing.pages.iter().enumerate() {
                let before = place.checked_sub(1).map(|place| listing.pages[place]);
                self.nodes[*page].neighbours = [before, listing.pages.get(place + 1).copied()];
            }
            listing.value = self.listed(&listing);
            self.nodes[at].listing = Some(listing);
        }
    }

    fn sort(&self, section: usize, listing: &mut Listing) {
        let entry = |at: &usize| &self.nodes[*at].entry;
        let kind = self.nodes[section].own.as_ref().and_then(|page| page.kind.section());
        let sort_by = kind.map_or(SortBy::None, |section| section.sort_by);
        listing.subsections.sort_by(|a, b| SortBy::Weight.order(entry(a), entry(b)));
        listing.pages.sort_by(|a, b| sort_by.order(entry(a), entry(b)));
    }

    fn listed(&self, listing: &Listing) -> Value {
        let mut map = Map::new();
        for (key, list) in [("pages", &listing.pages), ("subsections", &listing.subsections)] {
            let summaries: Vec<Value> = list.iter().map(|at| self.nodes[*at].summary.clone()).collect();
            map.insert(key.into(), Value::from(summaries));
        }
        Value::from(map)
    }

    fn relate_translations(&mut self) {
        for (at, node) in self.nodes.iter().enumerate() {
            if let Some(page) = &node.own {
                self.translations.entry(page.stem.clone()).or_default().push(at);
            }
        }
    }

    fn translations_of(&self, at: usize) -> Vec<Value> {
        let stem = self.nodes[at].own.as_ref().map(|page| &page.stem);
        let Some(group) = stem.and_then(|stem| self.translations.get(stem)) else { return Vec::new() };
        let in_language =
            |code: &str| group.iter().find(|other| **other != at && self.nodes[**other].entry.lang == code);
        self.config.codes().filter_map(in_language).map(|other| self.translation(*other)).collect()
    }

    fn translation(&self, at: usize) -> Value {
        let entry = &self.nodes[at].entry;
        let mut map = Map::new();
        map.insert("lang".into(), Value::from(entry.lang.as_str()));
        map.insert("name".into(), Value::from(self.config.language_name(&entry.lang)));
        map.insert("path".into(), Value::from(entry.path.as_str()));
        map.insert("permalink".into(), Value::from(self.config.permalink(&entry.path)));
        Value::from(map)
    }

    fn ancestors(&self, at: usize) -> Vec<Value> {
        let mut steps = Vec::new();
        let mut next = self.nodes[at].parent;
        while let Some(parent) = next.filter(|_| steps.len() < self.nodes.len()) {
            steps.push(self.step(parent));
            next = self.nodes[parent].parent;
        }
        steps.reverse();
        steps
    }

    fn step(&self, at: usize) -> Value {
        let entry = &self.nodes[at].entry;
        let mut map = Map::new();
        map.insert("title".into(), Value::from(entry.title.as_str()));
        map.insert("path".into(), Value::from(entry.path.as_str()));
        Value::from(map)
    }
}

impl Listing {
    fn empty() -> Self {
        Self { pages: Vec::new(), subsections: Vec::new(), value: Value::none() }
    }
}

impl Node {
    fn own(page: &Arc<Page>, config: &SiteConfig) -> Self {
        let words = Value::from(page.body.length.words());
        Self::new(page.entry.clone(), Some(page.clone()), words, config)
    }

    /// What a partner did not write is scrubbed like what it did.
    fn inherited(entry: &IndexedPage, config: &SiteConfig) -> Self {
        let mut entry = entry.clone();
        scrub_text(&mut entry.title);
        entry.description.iter_mut().for_each(scrub_text);
        scrub(&mut entry.extra);
        scrub(&mut entry.data);
        Self::new(entry, None, Value::none(), config)
    }

    fn new(entry: IndexedPage, own: Option<Arc<Page>>, word_count: Value, config: &SiteConfig) -> Self {
        let summary = summary(&entry, word_count, config);
        let listing = entry.is_section.then(Listing::empty);
        Self { entry, own, parent: None, listing, summary, neighbours: [None, None] }
    }
}

fn summary(entry: &IndexedPage, word_count: Value, config: &SiteConfig) -> Value {
    let extra = if entry.extra.is_null() { Value::from(Map::new()) } else { Value::from_serializable(&entry.extra) };
    let mut map = Map::new();
    map.insert("title".into(), Value::from(entry.title.as_str()));
    map.insert("description".into(), text(entry.description.as_deref()));
    map.insert("path".into(), Value::from(entry.path.as_str()));
    map.insert("permalink".into(), Value::from(config.permalink(&entry.path)));
    map.insert("lang".into(), Value::from(entry.lang.as_str()));
    map.insert("date".into(), text(entry.date.map(|date| date.to_string())));
    map.insert("weight".into(), Value::from(entry.weight));
    map.insert("extra".into(), extra);
    map.insert("data".into(), Value::from_serializable(&entry.data));
    map.insert("word_count".into(), word_count);
    Value::from(map)
}

fn text(text: Option<impl Into<Value>>) -> Value {
    text.map_or_else(Value::none, Into::into)
}
