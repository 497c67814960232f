//! A site as its templates see it: every page's summary, the sections and their order. Made once, then only read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use tera::{Map, Value};
use tieup_protocol::diagnostic::nearest;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::config::SiteConfig;
use crate::front_matter::SortBy;
use crate::page::{Page, PageKind, Place};
use crate::pager::Pager;
use crate::source::{scrub, scrub_text};
use crate::taxonomy::Grouping;
use crate::{discovery, menu, parallel, toc};

/// With more pages than this, a path that does not exist is not compared with all of them.
const MAX_SUGGESTIONS: usize = 2_000;

/// All pages of one build: its own, and those that came with a release.
#[derive(Debug)]
pub(crate) struct View {
    config: SiteConfig,
    nodes: Vec<Node>,
    by_path: HashMap<SitePath, usize>,
    translations: HashMap<String, Vec<usize>>,
    /// The menus, by language.
    menus: HashMap<String, Value>,
    groups: Vec<Group>,
}

/// The nodes of one taxonomy in one language.
#[derive(Debug)]
struct Group {
    list: usize,
    terms: Range<usize>,
    taxonomy: usize,
}

/// The terms of every taxonomy as templates see them, by language, number of the taxonomy and name.
type Terms<'a> = HashMap<(&'a str, usize), HashMap<&'a str, Value>>;

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
    /// How many pages are shown at once.
    per_page: Option<NonZeroUsize>,
    value: Value,
}

impl View {
    /// The view of `pages` and of what they are grouped by, and of those `inherited` pages whose path is free.
    pub(crate) fn new(
        config: &SiteConfig,
        pages: &[Arc<Page>],
        inherited: &[IndexedPage],
        groupings: &[Grouping],
    ) -> Self {
        let taken: HashSet<&SitePath> = pages.iter().map(|page| &page.entry.path).collect();
        let inherited = inherited.iter().filter(|entry| !taken.contains(&entry.path));
        let mut nodes: Vec<Node> = inherited.map(|entry| Node::inherited(entry, config)).collect();
        let terms = terms(config, groupings);
        let own = nodes.len();
        nodes.extend(parallel::map(pages, |page| Node::own(page, config, &terms)));
        let mut groups = Vec::with_capacity(groupings.len());
        for grouping in groupings {
            let list = nodes.len();
            nodes.push(Node::own(&grouping.list, config, &terms));
            nodes.extend(grouping.terms.iter().map(|term| Node::own(&term.page, config, &terms)));
            groups.push(Group { list, terms: list + 1..nodes.len(), taxonomy: grouping.taxonomy });
        }
        let by_path = nodes.iter().enumerate().map(|(at, node)| (node.entry.path.clone(), at)).collect();
        let (translations, menus) = (HashMap::new(), menu::all(config, pages));
        let mut view = Self { config: config.clone(), nodes, by_path, translations, menus, groups };
        view.find_parents();
        view.list();
        view.list_terms(own, groupings);
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
        map.insert("content".into(), Value::safe_string(content));
        map.insert("toc".into(), toc::value(own.map_or(&[], |page| &page.body.headings)));
        map.insert("reading_time".into(), Value::from(own.map_or(0, |page| page.body.length.minutes())));
        map.insert("section".into(), text(parent));
        map.insert("ancestors".into(), Value::from(self.ancestors(at)));
        map.insert("translations".into(), Value::from(self.translations_of(at)));
        map.insert("prev".into(), prev);
        map.insert("next".into(), next);
        Value::from(map)
    }

    /// The same for a later page of a listing, which has an address of its own.
    pub(crate) fn paged_value(&self, at: usize, path: &SitePath) -> Value {
        let mut map = self.page_value(at).into_map().unwrap_or_default();
        map.insert("path".into(), Value::from(path.as_str()));
        map.insert("permalink".into(), Value::from(self.config.permalink(path)));
        Value::from(map)
    }

    /// How the listing of node `at` is cut into pages; none where it is shown whole.
    pub(crate) fn pager(&self, at: usize) -> Option<Pager<'_>> {
        let node = &self.nodes[at];
        let listing = node.listing.as_ref()?;
        Some(Pager { path: &node.entry.path, pages: &listing.pages, per_page: listing.per_page? })
    }

    /// What page `number` of the listing of node `at` shows.
    pub(crate) fn paginator_value(&self, at: usize, number: usize) -> Value {
        let Some(pager) = self.pager(at) else { return Value::none() };
        pager.value(number, |page| self.nodes[page].summary.clone())
    }

    /// The menus in the language `lang`.
    pub(crate) fn menus(&self, lang: &str) -> Value {
        self.menus.get(lang).cloned().unwrap_or_else(|| Value::from(Map::new()))
    }

    /// The newest pages in the language of node `at`, or of what it lists where it is no first page of a language.
    pub(crate) fn newest(&self, at: usize, limit: usize) -> Vec<&Node> {
        let node = &self.nodes[at];
        let is_home = node.own.as_ref().is_some_and(|page| matches!(page.kind, PageKind::Home(_)));
        let listed: Vec<usize> = match &node.listing {
            Some(listing) if !is_home => listing.pages.clone(),
            _ => (0..self.nodes.len()).filter(|at| !self.nodes[*at].entry.is_section).collect(),
        };
        let nodes = listed.into_iter().map(|at| &self.nodes[at]);
        let mut nodes: Vec<&Node> =
            nodes.filter(|other| other.entry.date.is_some() && other.entry.lang == node.entry.lang).collect();
        nodes.sort_by(|a, b| SortBy::Date.order(&a.entry, &b.entry));
        nodes.truncate(limit);
        nodes
    }

    /// What the template of a term sees as `term` and `taxonomy`.
    pub(crate) fn term_value(&self, at: usize) -> [Value; 2] {
        let Some(group) = self.group(at) else { return [Value::none(), Value::none()] };
        let mut map = self.counted(at).into_map().unwrap_or_default();
        let pages = self.nodes[at].listing.as_ref().and_then(|listing| listing.value.get_from_path("pages").cloned());
        map.insert("pages".into(), pages.unwrap_or_else(Value::none));
        [Value::from(map), self.taxonomy_head(group)]
    }

    /// Whether the term at node `at` has feeds.
    pub(crate) fn has_feed(&self, at: usize) -> bool {
        self.group(at).is_some_and(|group| self.config.taxonomies[group.taxonomy].feed)
    }

    fn group(&self, at: usize) -> Option<&Group> {
        self.groups.iter().find(|group| group.terms.contains(&at))
    }

    /// What the template of a taxonomy's list sees as `taxonomy`.
    pub(crate) fn taxonomy_value(&self, at: usize) -> Value {
        let Some(group) = self.groups.iter().find(|group| group.list == at) else { return Value::none() };
        let mut map = self.taxonomy_head(group).into_map().unwrap_or_default();
        let mut terms: Vec<usize> = group.terms.clone().collect();
        terms.sort_by_cached_key(|term| {
            let title = &self.nodes[*term].entry.title;
            (title.to_lowercase(), title.clone())
        });
        map.insert("terms".into(), Value::from(terms.into_iter().map(|at| self.counted(at)).collect::<Vec<_>>()));
        Value::from(map)
    }

    fn taxonomy_head(&self, group: &Group) -> Value {
        let entry = &self.nodes[group.list].entry;
        let mut map = Map::new();
        map.insert("name".into(), Value::from(self.config.taxonomies[group.taxonomy].name.as_str()));
        map.insert("path".into(), Value::from(entry.path.as_str()));
        map.insert("permalink".into(), Value::from(self.config.permalink(&entry.path)));
        Value::from(map)
    }

    fn counted(&self, at: usize) -> Value {
        let node = &self.nodes[at];
        let count = node.listing.as_ref().map_or(0, |listing| listing.pages.len());
        term_value(&self.config, &node.entry, count)
    }

    /// The page that is shown where there is none.
    pub(crate) fn not_found_value(&self) -> Value {
        let mut map = Map::new();
        let none = ["description", "permalink", "date", "updated", "data", "section", "prev", "next", "summary"];
        for key in none {
            map.insert(key.into(), Value::none());
        }
        for key in ["ancestors", "translations", "toc"] {
            map.insert(key.into(), Value::from(Vec::<Value>::new()));
        }
        for key in ["weight", "word_count", "reading_time"] {
            map.insert(key.into(), Value::from(0));
        }
        map.insert("title".into(), Value::from("Not found"));
        map.insert("path".into(), Value::from("/404.html"));
        map.insert("lang".into(), Value::from(self.config.language.as_str()));
        map.insert("extra".into(), Value::from(Map::new()));
        map.insert("taxonomies".into(), Value::from(Map::new()));
        map.insert("content".into(), Value::safe_string(""));
        Value::from(map)
    }

    /// What a section's template knows of its pages.
    pub(crate) fn listing_value(&self, at: usize) -> Option<Value> {
        self.nodes[at].listing.as_ref().map(|listing| listing.value.clone())
    }

    /// The index of the own pages: sections by path, each followed by its pages in its order.
    pub(crate) fn index(&self) -> Vec<IndexedPage> {
        let is_section = |at: &usize| self.nodes[*at].entry.is_section;
        let mut sections: Vec<usize> = (0..self.nodes.len()).filter(is_section).collect();
        sections.sort_by(|a, b| self.nodes[*a].entry.path.cmp(&self.nodes[*b].entry.path));
        let mut order = Vec::with_capacity(self.nodes.len());
        for at in sections {
            order.push(at);
            order.extend(self.nodes[at].listing.iter().flat_map(|listing| &listing.pages));
        }
        let loose = |at: &usize| {
            let node = &self.nodes[*at];
            node.entry.is_derived || (node.parent.is_none() && !node.entry.is_section)
        };
        order.extend((0..self.nodes.len()).filter(loose));
        let own = order.into_iter().filter(|at| self.nodes[*at].own.is_some());
        own.map(|at| discovery::indexed(self, at)).collect()
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
            PageKind::Taxonomy | PageKind::Term => {
                return page.entry.section.as_ref().and_then(|section| self.by_path.get(section).copied());
            }
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
            let Some(parent) = node.parent.filter(|_| !node.entry.is_derived) else { continue };
            let listing = listings.entry(parent).or_insert_with(Listing::empty);
            let list = if node.listing.is_some() { &mut listing.subsections } else { &mut listing.pages };
            list.push(at);
        }
        for at in 0..self.nodes.len() {
            if !self.nodes[at].entry.is_section {
                continue;
            }
            let mut listing = listings.remove(&at).unwrap_or_else(Listing::empty);
            self.sort(at, &mut listing);
            for (place, page) in listing.pages.iter().enumerate() {
                let before = place.checked_sub(1).map(|place| listing.pages[place]);
                self.nodes[*page].neighbours = [before, listing.pages.get(place + 1).copied()];
            }
            listing.value = self.listed(&listing);
            let kind = self.nodes[at].own.as_ref().and_then(|page| page.kind.section());
            listing.per_page = kind.and_then(|section| section.paginate_by);
            self.nodes[at].listing = Some(listing);
        }
    }

    /// Gives each term its pages, newest first; the own pages begin at node `own`.
    fn list_terms(&mut self, own: usize, groupings: &[Grouping]) {
        for (place, grouping) in groupings.iter().enumerate() {
            let first = self.groups[place].terms.start;
            for (at, term) in (first..).zip(&grouping.terms) {
                let mut listing = Listing::empty();
                listing.pages = term.members.iter().map(|at| own + at).collect();
                let entry = |at: &usize| &self.nodes[*at].entry;
                listing.pages.sort_by(|a, b| SortBy::Date.order(entry(a), entry(b)));
                listing.per_page = self.config.taxonomies[grouping.taxonomy].paginate_by;
                listing.value = self.listed(&listing);
                self.nodes[at].listing = Some(listing);
            }
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
        self.translated(at).into_iter().map(|other| self.translation(other)).collect()
    }

    /// Page `at` in the other languages, in the order of the site's languages.
    pub(crate) fn translated(&self, at: usize) -> Vec<usize> {
        let stem = self.nodes[at].own.as_ref().map(|page| &page.stem);
        let Some(group) = stem.and_then(|stem| self.translations.get(stem)) else { return Vec::new() };
        let in_language =
            |code: &str| group.iter().find(|other| **other != at && self.nodes[**other].entry.lang == code);
        self.config.codes().filter_map(in_language).copied().collect()
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
        Self { pages: Vec::new(), subsections: Vec::new(), per_page: None, value: Value::none() }
    }
}

impl Node {
    fn own(page: &Arc<Page>, config: &SiteConfig, terms: &Terms<'_>) -> Self {
        let mut map = summary(&page.entry, config);
        let body = &page.body;
        map.insert("word_count".into(), Value::from(body.length.words()));
        if let Some(summary) = body.summary() {
            map.insert("summary".into(), Value::safe_string(&summary));
        }
        map.insert("taxonomies".into(), terms_of(page, config, terms));
        Self::new(page.entry.clone(), Some(page.clone()), Value::from(map))
    }

    /// What a partner did not write is scrubbed like what it did.
    fn inherited(entry: &IndexedPage, config: &SiteConfig) -> Self {
        let mut entry = entry.clone();
        scrub_text(&mut entry.title);
        entry.description.iter_mut().for_each(scrub_text);
        scrub(&mut entry.extra);
        scrub(&mut entry.data);
        let summary = Value::from(summary(&entry, config));
        Self::new(entry, None, summary)
    }

    fn new(entry: IndexedPage, own: Option<Arc<Page>>, summary: Value) -> Self {
        let listing = entry.is_section.then(Listing::empty);
        Self { entry, own, parent: None, listing, summary, neighbours: [None, None] }
    }
}

/// What listings show of a page.
fn summary(entry: &IndexedPage, config: &SiteConfig) -> Map {
    let extra = if entry.extra.is_null() { Value::from(Map::new()) } else { Value::from_serializable(&entry.extra) };
    let mut map = Map::new();
    map.reserve(24);
    map.insert("title".into(), Value::from(entry.title.as_str()));
    map.insert("description".into(), text(entry.description.as_deref()));
    map.insert("path".into(), Value::from(entry.path.as_str()));
    map.insert("permalink".into(), Value::from(config.permalink(&entry.path)));
    map.insert("lang".into(), Value::from(entry.lang.as_str()));
    map.insert("date".into(), text(entry.date.map(|date| date.to_string())));
    map.insert("updated".into(), text(entry.updated.map(|date| date.to_string())));
    map.insert("weight".into(), Value::from(entry.weight));
    map.insert("extra".into(), extra);
    map.insert("data".into(), if entry.data.is_null() { Value::none() } else { Value::from_serializable(&entry.data) });
    map.insert("word_count".into(), Value::none());
    map.insert("summary".into(), Value::none());
    map.insert("taxonomies".into(), Value::from(Map::new()));
    map
}

fn term_value(config: &SiteConfig, entry: &IndexedPage, count: usize) -> Value {
    let mut map = Map::new();
    map.insert("name".into(), Value::from(entry.title.as_str()));
    map.insert("path".into(), Value::from(entry.path.as_str()));
    map.insert("permalink".into(), Value::from(config.permalink(&entry.path)));
    map.insert("count".into(), Value::from(count));
    Value::from(map)
}

fn terms<'a>(config: &SiteConfig, groupings: &'a [Grouping]) -> Terms<'a> {
    let named = |grouping: &'a Grouping| {
        let terms = grouping.terms.iter();
        let values = terms.map(|term| {
            let entry = &term.page.entry;
            (entry.title.as_str(), term_value(config, entry, term.members.len()))
        });
        ((grouping.list.entry.lang.as_str(), grouping.taxonomy), values.collect())
    };
    groupings.iter().map(named).collect()
}

/// The terms of a page by taxonomy; every taxonomy of the site is there, so that templates need not ask.
fn terms_of(page: &Page, config: &SiteConfig, terms: &Terms<'_>) -> Value {
    let mut map = Map::new();
    for (number, taxonomy) in config.taxonomies.iter().enumerate() {
        let known = terms.get(&(page.entry.lang.as_str(), number));
        let named = page.terms.get(&taxonomy.name).into_iter().flatten();
        let values: Vec<Value> = named.filter_map(|name| known?.get(name.as_str()).cloned()).collect();
        map.insert(taxonomy.name.clone().into(), Value::from(values));
    }
    Value::from(map)
}

fn text(text: Option<impl Into<Value>>) -> Value {
    text.map_or_else(Value::none, Into::into)
}
