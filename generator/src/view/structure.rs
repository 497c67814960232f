//! Who stands where: sections, their order, translations, terms.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock};

use tieup_protocol::contract::Indexing;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;

use super::{Group, Inherited, Listing, Node, Shown, View, values};
use crate::assets::Assets;
use crate::config::SiteConfig;
use crate::front_matter::SortBy;
use crate::menu;
use crate::page::{Page, PageKind, Place};
use crate::parallel;
use crate::source::{scrub, scrub_text};
use crate::taxonomy::Grouping;

impl View {
    /// The view of `pages` and of what they are grouped by, and of those `inherited` pages whose path is free, with the
    /// menus of both.
    pub(crate) fn new(
        config: &Arc<SiteConfig>,
        pages: &[Arc<Page>],
        inherited: &Inherited<'_>,
        groupings: &[Grouping],
        assets: Assets,
    ) -> Self {
        let taken: HashSet<&SitePath> = pages.iter().map(|page| &page.entry.path).collect();
        let beside = inherited.pages.iter().filter(|entry| !taken.contains(&entry.path));
        let mut nodes: Vec<Arc<Node>> = beside.map(Node::inherited).collect();
        let own = nodes.len();
        nodes.extend(pages.iter().map(Node::made));
        let mut groups = Vec::with_capacity(groupings.len());
        for grouping in groupings {
            let list = nodes.len();
            nodes.push(Node::made(&grouping.list));
            nodes.extend(grouping.terms.iter().map(|term| Node::made(&term.page)));
            groups.push(Group {
                lang: grouping.list.entry.lang.clone(),
                taxonomy: grouping.taxonomy,
                list,
                terms: list + 1..nodes.len(),
                by_name: values::terms(config, grouping, list + 1),
            });
        }
        let by_path = nodes.iter().enumerate().map(|(at, node)| (node.entry().path.clone(), at)).collect();
        let parents = Tree { config, nodes: &nodes, by_path: &by_path }.parents();
        let mut listings = list(&nodes, &parents);
        list_terms(config, &groups, groupings, own, &mut listings);
        let listings: HashMap<usize, Arc<Listing>> =
            parallel::map_few(&listings, |(at, listing)| (*at, Arc::new(listing.sorted(*at, &nodes))))
                .into_iter()
                .collect();
        let menus = menu::joined(config, menu::of_site(config, pages), &inherited.menus);
        let neighbours = neighbours(nodes.len(), listings.iter().filter(|(at, _)| nodes[**at].entry().is_section));
        Self {
            config: config.clone(),
            indexing: Indexing::Canonical,
            beacons: None,
            translations: Arc::new(translations(config, &nodes)),
            menus: Arc::new(menu::values(config, &menus)),
            by_path: Arc::new(by_path),
            parents: Arc::new(parents),
            neighbours: Arc::new(neighbours),
            listings: Arc::new(listings),
            groups: Arc::new(groups),
            assets: Arc::new(assets),
            nodes,
        }
    }

    /// The same view with other pages at the places of some; none where that moves more than these pages themselves,
    /// and a view must be made anew.
    pub(crate) fn with(&self, pages: &[Arc<Page>]) -> Option<Self> {
        let mut view = self.clone();
        let (mut moved, mut still) = (HashSet::new(), HashSet::new());
        for page in pages {
            let at = self.at(&page.entry.path)?;
            let old = self.nodes[at].own().filter(|old| old.stands_like(page))?;
            let place = |page: &Page| (page.entry.date, page.entry.weight, page.entry.title.clone());
            let lists = if place(old) == place(page) { &mut still } else { &mut moved };
            lists.extend(self.lists_of(at));
            view.nodes[at] = Node::made(page);
        }
        still.retain(|at| !moved.contains(at));
        view.relist(&moved, &still);
        Some(view)
    }

    /// The numbers of the listings that show page `at`: its section's and those of its terms.
    pub(crate) fn lists_of(&self, at: usize) -> Vec<usize> {
        let mut lists: Vec<usize> = self.parents[at].into_iter().collect();
        let Some(page) = self.nodes[at].own() else { return lists };
        for group in self.groups.iter().filter(|group| group.lang == page.entry.lang) {
            let names = page.terms.get(&self.config.taxonomies[group.taxonomy].name).into_iter().flatten();
            lists.extend(names.filter_map(|name| group.by_name.get(name)).map(|(at, _)| *at));
        }
        lists
    }

    /// Puts the pages of some listings in order again where they have `moved`, and forgets what was made of those where
    /// they stand still.
    fn relist(&mut self, moved: &HashSet<usize>, still: &HashSet<usize>) {
        let mut listings = HashMap::clone(&self.listings);
        for at in still {
            listings.entry(*at).and_modify(|listing| *listing = Arc::new(listing.anew()));
        }
        for at in moved {
            let Some(old) = self.listings.get(at) else { continue };
            let listing = old.sorted(*at, &self.nodes);
            if self.entry(*at).is_section {
                let neighbours: &mut Vec<_> = Arc::make_mut(&mut self.neighbours);
                chain(&listing.pages, neighbours);
            }
            listings.insert(*at, Arc::new(listing));
        }
        self.listings = Arc::new(listings);
    }
}

/// Pages on their way to a tree.
struct Tree<'a> {
    config: &'a SiteConfig,
    nodes: &'a [Arc<Node>],
    by_path: &'a HashMap<SitePath, usize>,
}

impl Tree<'_> {
    fn parents(&self) -> Vec<Option<usize>> {
        let sections = self.nodes.iter().enumerate().filter(|(_, node)| node.entry().is_section);
        let places: HashMap<&Place, usize> = sections.filter_map(|(at, node)| Some((&node.own()?.place, at))).collect();
        // Pages lie together in few folders, so that most find their section at once.
        let mut known: HashMap<&Place, Option<usize>> = HashMap::new();
        let mut parents = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            let parent = match node.own() {
                Some(page) if matches!(page.kind, PageKind::Single) => {
                    let near = *known.entry(&page.place).or_insert_with(|| near(Some(page.place.clone()), &places));
                    near.or_else(|| self.section_above(node.entry()))
                }
                _ => self.parent(node, &places),
            };
            parents.push(parent);
        }
        parents
    }

    /// The section around a node: the nearest in its folders, or failing that one that came with a release.
    fn parent(&self, node: &Node, places: &HashMap<&Place, usize>) -> Option<usize> {
        let by_entry = || node.entry().section.as_ref().and_then(|section| self.by_path.get(section).copied());
        let Some(page) = node.own() else { return by_entry() };
        match page.kind {
            PageKind::Home(_) => None,
            PageKind::Taxonomy | PageKind::Term => by_entry(),
            PageKind::Section(_) | PageKind::Single => {
                let around = page.place.parent().map(|(parent, _)| parent);
                near(around, places).or_else(|| self.section_above(node.entry()))
            }
        }
    }

    /// The deepest section of the same language whose path contains that of `entry`.
    fn section_above(&self, entry: &IndexedPage) -> Option<usize> {
        let home = self.config.home(&entry.lang);
        let mut path = entry.path.as_str().trim_end_matches('/');
        while let Some((above, _)) = path.rsplit_once('/') {
            let at = format!("{above}/").parse().ok().and_then(|above: SitePath| self.by_path.get(&above).copied());
            let fits = |at: &usize| {
                let node = &self.nodes[*at];
                let inherited_or_home = node.own().is_none() || node.entry().path == home;
                node.entry().is_section && node.entry().lang == entry.lang && inherited_or_home
            };
            if let Some(at) = at.filter(fits) {
                return Some(at);
            }
            path = above;
        }
        let home = self.by_path.get(&home).copied();
        home.filter(|home| self.nodes[*home].entry().is_section && self.nodes[*home].entry().path != entry.path)
    }
}

/// The section of the nearest folder that has one. The first folder of all is asked elsewhere, as a language's home.
fn near(mut place: Option<Place>, places: &HashMap<&Place, usize>) -> Option<usize> {
    while let Some(here) = place {
        match places.get(&here) {
            Some(parent) if !here.folder.is_empty() => return Some(*parent),
            _ => place = here.parent().map(|(parent, _)| parent),
        }
    }
    None
}

/// What each section holds, in no order.
fn list(nodes: &[Arc<Node>], parents: &[Option<usize>]) -> Vec<(usize, Listing)> {
    let mut held: HashMap<usize, (Vec<usize>, Vec<usize>)> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        let Some(parent) = parents[at].filter(|_| !node.entry().is_derived) else { continue };
        let (pages, subsections) = held.entry(parent).or_default();
        if node.entry().is_section { subsections.push(at) } else { pages.push(at) }
    }
    let sections = nodes.iter().enumerate().filter(|(_, node)| node.entry().is_section);
    let listings = sections.map(|(at, node)| {
        let (pages, subsections) = held.remove(&at).unwrap_or_default();
        let per_page = node.own().and_then(|page| page.kind.section()).and_then(|section| section.paginate_by);
        (at, Listing::new(pages, subsections, per_page))
    });
    listings.collect()
}

/// Adds what each term holds, in no order; the own pages begin at node `own`.
fn list_terms(
    config: &SiteConfig,
    groups: &[Group],
    groupings: &[Grouping],
    own: usize,
    listings: &mut Vec<(usize, Listing)>,
) {
    for (group, grouping) in groups.iter().zip(groupings) {
        for (at, term) in group.terms.clone().zip(&grouping.terms) {
            let pages = term.members.iter().map(|at| own + at).collect();
            listings.push((at, Listing::new(pages, Vec::new(), config.taxonomies[grouping.taxonomy].paginate_by)));
        }
    }
}

fn sort_by(section: &Node) -> SortBy {
    section.own().and_then(|page| page.kind.section()).map_or(SortBy::None, |section| section.sort_by)
}

fn neighbours<'a>(
    count: usize,
    listings: impl Iterator<Item = (&'a usize, &'a Arc<Listing>)>,
) -> Vec<[Option<usize>; 2]> {
    let mut neighbours = vec![[None, None]; count];
    for (_, listing) in listings {
        chain(&listing.pages, &mut neighbours);
    }
    neighbours
}

fn chain(pages: &[usize], neighbours: &mut [[Option<usize>; 2]]) {
    for (place, page) in pages.iter().enumerate() {
        let before = place.checked_sub(1).map(|place| pages[place]);
        neighbours[*page] = [before, pages.get(place + 1).copied()];
    }
}

/// None where there is one language alone.
fn translations(config: &SiteConfig, nodes: &[Arc<Node>]) -> HashMap<String, Vec<usize>> {
    if config.codes().nth(1).is_none() {
        return HashMap::new();
    }
    let mut translations: HashMap<String, Vec<usize>> = HashMap::with_capacity(nodes.len());
    for (at, node) in nodes.iter().enumerate() {
        if let Some(page) = node.own() {
            translations.entry(page.stem.clone()).or_default().push(at);
        }
    }
    translations
}

impl Listing {
    /// The same pages, of which nothing was made yet.
    fn anew(&self) -> Self {
        Self::new(self.pages.clone(), self.subsections.clone(), self.per_page)
    }

    /// The same in the order of node `at`: as a section says, and for a term the newest first.
    fn sorted(&self, at: usize, nodes: &[Arc<Node>]) -> Self {
        let mut listing = self.anew();
        let entry = |at: &usize| nodes[*at].entry();
        let by = if entry(&at).is_section { sort_by(&nodes[at]) } else { SortBy::Date };
        by.sort(&mut listing.pages, entry);
        SortBy::Weight.sort(&mut listing.subsections, entry);
        listing
    }

    fn new(pages: Vec<usize>, subsections: Vec<usize>, per_page: Option<NonZeroUsize>) -> Self {
        Self { pages, subsections, per_page, value: OnceLock::new(), prints: Mutex::default() }
    }
}

impl Node {
    fn made(page: &Arc<Page>) -> Arc<Self> {
        Arc::new(Self { page: Shown::Own(page.clone()), summary: OnceLock::new() })
    }

    /// What a partner did not write is scrubbed like what it did.
    fn inherited(entry: &IndexedPage) -> Arc<Self> {
        let mut entry = entry.clone();
        scrub_text(&mut entry.title);
        entry.description.iter_mut().for_each(scrub_text);
        scrub(&mut entry.extra);
        scrub(&mut entry.data);
        Arc::new(Self { page: Shown::Inherited(Box::new(entry)), summary: OnceLock::new() })
    }
}
