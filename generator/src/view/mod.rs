//! A site as its templates see it: every page, the sections and their order. Made once, then only read.
//!
//! `structure` finds out who stands where, `values` makes what templates get of it, and `prints` says by fingerprints
//! what of it has changed.

mod prints;
mod structure;
mod values;

use std::borrow::Cow;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock};

use tera::Value;
use tieup_protocol::contract::{Indexing, WebOrigin};
use tieup_protocol::diagnostic::nearest;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use crate::assets::Assets;
use crate::config::SiteConfig;
use crate::discovery;
use crate::menu::SiteMenus;
use crate::order::newest_first;
use crate::page::{Page, PageKind};
use crate::pager::Pager;
use crate::parallel;
use crate::print::Print;
use crate::sitemap::Listed;
use crate::uses::Fields;

/// With more pages than this, a path that does not exist is not compared with all of them.
const MAX_SUGGESTIONS: usize = 2_000;

/// What came with a release, and stands beside the pages that are built.
#[derive(Debug, Default)]
pub(crate) struct Inherited<'a> {
    /// Main's pages.
    pub(crate) pages: &'a [IndexedPage],
    /// Main's menus.
    pub(crate) menus: SiteMenus,
}

/// All pages of one build: its own, and those that came with a release.
///
/// Pages are known by their numbers. Views that differ in a few pages share all others: see [`View::with`].
#[derive(Clone, Debug)]
pub(crate) struct View {
    config: Arc<SiteConfig>,
    /// How search engines shall treat the pages.
    indexing: Indexing,
    /// Where the pages' beacons go, if they have any.
    beacons: Option<WebOrigin>,
    nodes: Vec<Arc<Node>>,
    by_path: Arc<HashMap<SitePath, usize>>,
    /// The section around each page.
    parents: Arc<Vec<Option<usize>>>,
    /// The pages before and after each in its section.
    neighbours: Arc<Vec<[Option<usize>; 2]>>,
    /// What each section and term holds.
    listings: Arc<HashMap<usize, Arc<Listing>>>,
    /// The pages that are each other's translations, by what they share.
    translations: Arc<HashMap<String, Vec<usize>>>,
    /// The menus, by language.
    menus: Arc<HashMap<String, Value>>,
    groups: Arc<Vec<Group>>,
    assets: Arc<Assets>,
}

/// The nodes of one taxonomy in one language.
#[derive(Debug)]
struct Group {
    lang: String,
    taxonomy: usize,
    list: usize,
    terms: Range<usize>,
    /// The terms by name: their nodes, and how templates see them on the pages that have them.
    by_name: HashMap<String, (usize, Value)>,
}

/// One page among the others.
#[derive(Debug)]
pub(crate) struct Node {
    page: Shown,
    summary: OnceLock<Value>,
}

/// Where a node's page comes from.
#[derive(Debug)]
enum Shown {
    /// It is made here.
    Own(Arc<Page>),
    /// It came with a release.
    Inherited(Box<IndexedPage>),
}

/// The pages of a section or term.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Those directly in it, in its order.
    pub(crate) pages: Vec<usize>,
    /// The sections directly in it.
    pub(crate) subsections: Vec<usize>,
    /// How many pages are shown at once.
    per_page: Option<NonZeroUsize>,
    value: OnceLock<Value>,
    prints: Mutex<Vec<(Fields, Print)>>,
}

impl View {
    /// The same pages as copies stand that a contract says so of.
    pub(crate) fn indexed_as(self, indexing: Indexing) -> Self {
        Self { indexing, ..self }
    }

    /// The same pages with beacons that go to this origin, or with none.
    pub(crate) fn with_beacons(self, beacons: Option<WebOrigin>) -> Self {
        Self { beacons, ..self }
    }

    /// Where the pages' beacons go, if they have any.
    pub(crate) fn beacons(&self) -> Option<&WebOrigin> {
        self.beacons.as_ref()
    }

    /// How search engines shall treat the pages.
    pub(crate) fn indexing(&self) -> Indexing {
        self.indexing
    }

    /// The site's configuration.
    pub(crate) fn config(&self) -> &SiteConfig {
        &self.config
    }

    /// The files that are no pages.
    pub(crate) fn assets(&self) -> &Assets {
        &self.assets
    }

    /// The pages that are rendered, with their numbers.
    pub(crate) fn own(&self) -> impl Iterator<Item = (usize, &Arc<Page>)> {
        self.nodes.iter().enumerate().filter_map(|(at, node)| Some((at, node.own()?)))
    }

    /// The page with number `at`.
    pub(crate) fn node(&self, at: usize) -> &Node {
        &self.nodes[at]
    }

    /// The page with number `at`, as others see it; its `section` is [`View::parent`].
    pub(crate) fn entry(&self, at: usize) -> &IndexedPage {
        self.nodes[at].entry()
    }

    /// The section around the page with number `at`.
    pub(crate) fn parent(&self, at: usize) -> Option<usize> {
        self.parents[at]
    }

    /// What the section or term with number `at` holds.
    pub(crate) fn listing(&self, at: usize) -> Option<&Arc<Listing>> {
        self.listings.get(&at)
    }

    /// The number of the page at `path`.
    pub(crate) fn at(&self, path: &SitePath) -> Option<usize> {
        self.by_path.get(path).copied()
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
        nearest(path, self.nodes.iter().map(|node| node.entry().path.as_str()))
    }

    /// How the listing of node `at` is cut into pages; none where it is shown whole.
    pub(crate) fn pager(&self, at: usize) -> Option<Pager<'_>> {
        let listing = self.listing(at)?;
        Some(Pager { path: &self.entry(at).path, pages: &listing.pages, per_page: listing.per_page? })
    }

    /// The newest pages in the language of node `at`, or of what it lists where it is no first page of a language.
    pub(crate) fn newest(&self, at: usize, limit: usize) -> Vec<usize> {
        let lang = &self.entry(at).lang;
        let is_home = self.node(at).own().is_some_and(|page| matches!(page.kind, PageKind::Home(_)));
        let fits = |other: &usize| {
            let entry = self.entry(*other);
            entry.date.is_some() && entry.lang == *lang && !entry.is_section && !entry.is_derived
        };
        let mut listed: Vec<usize> = match self.listing(at) {
            Some(listing) if !is_home => listing.pages.iter().copied().filter(fits).collect(),
            _ => (0..self.nodes.len()).filter(fits).collect(),
        };
        let order = |a: &usize, b: &usize| newest_first(self.entry(*a), self.entry(*b));
        if limit < listed.len() {
            listed.select_nth_unstable_by(limit, order);
            listed.truncate(limit);
        }
        listed.sort_by(order);
        listed
    }

    /// Whether the term at node `at` has feeds.
    pub(crate) fn has_feed(&self, at: usize) -> bool {
        self.group(at).is_some_and(|group| self.config.taxonomies[group.taxonomy].feed)
    }

    fn group(&self, at: usize) -> Option<&Group> {
        self.groups.iter().find(|group| group.terms.contains(&at))
    }

    /// The pages before and after node `at` in its section, as far as there are any.
    pub(crate) fn neighbours(&self, at: usize) -> impl Iterator<Item = usize> {
        self.neighbours[at].into_iter().flatten()
    }

    /// The translations of node `at`, in the order of the site's languages.
    pub(crate) fn translated(&self, at: usize) -> impl Iterator<Item = usize> {
        let several = !self.translations.is_empty();
        let stem = self.nodes[at].own().filter(|_| several).map(|page| &page.stem);
        let group = stem.and_then(|stem| self.translations.get(stem)).map_or(&[][..], Vec::as_slice);
        let in_language =
            move |code: &str| group.iter().find(|other| **other != at && self.entry(**other).lang == code).copied();
        self.config.codes().filter_map(in_language)
    }

    /// The sections around node `at`, the outermost first.
    pub(crate) fn ancestors(&self, at: usize) -> Vec<usize> {
        let mut steps = Vec::new();
        let mut next = self.parents[at];
        while let Some(parent) = next.filter(|_| steps.len() < self.nodes.len()) {
            steps.push(parent);
            next = self.parents[parent];
        }
        steps.reverse();
        steps
    }

    /// The index of the own pages: sections by path, each followed by its pages in its order.
    pub(crate) fn index(&self) -> Vec<IndexedPage> {
        parallel::map(&self.in_order(), |at| discovery::indexed(self, *at))
    }

    /// The same pages, as a sitemap lists them.
    pub(crate) fn listed(&self) -> impl Iterator<Item = Listed<'_>> {
        let listed = |at| Listed { entry: self.entry(at), discovery: Cow::Owned(discovery::told(self, at)) };
        self.in_order().into_iter().map(listed)
    }

    /// The numbers of the own pages in the order of the index.
    fn in_order(&self) -> Vec<usize> {
        let is_section = |at: &usize| self.entry(*at).is_section;
        let mut sections: Vec<usize> = (0..self.nodes.len()).filter(is_section).collect();
        sections.sort_by(|a, b| self.entry(*a).path.cmp(&self.entry(*b).path));
        let mut order = Vec::with_capacity(self.nodes.len());
        for at in sections {
            order.push(at);
            order.extend(self.listing(at).iter().flat_map(|listing| &listing.pages));
        }
        let loose = |at: &usize| {
            let entry = self.entry(*at);
            entry.is_derived || (self.parents[*at].is_none() && !entry.is_section)
        };
        order.extend((0..self.nodes.len()).filter(loose));
        order.retain(|at| self.nodes[*at].own().is_some());
        order
    }
}

impl Node {
    /// The page itself; none for one that came with a release.
    pub(crate) fn own(&self) -> Option<&Arc<Page>> {
        match &self.page {
            Shown::Own(page) => Some(page),
            Shown::Inherited(_) => None,
        }
    }

    /// What others see of it.
    pub(crate) fn entry(&self) -> &IndexedPage {
        match &self.page {
            Shown::Own(page) => &page.entry,
            Shown::Inherited(entry) => entry,
        }
    }
}
