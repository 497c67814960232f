//! Which files may come out otherwise when a page says something else: the way from a page to those that show it.
//!
//! Rather too many than too few are named; whether a file differs is for its record to say.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tieup_protocol::path::SitePath;

use crate::asking::Question;
use crate::known::Records;
use crate::maker::Record;
use crate::page::Page;
use crate::plan::{Plan, What};
use crate::uses::Fields;
use crate::view::View;

/// The files of one build by what they show.
#[derive(Debug, Default)]
pub(crate) struct Dependents {
    /// By the node that they are made for.
    of_node: HashMap<usize, Vec<SitePath>>,
    /// By the path of a page that their templates asked about.
    asked: HashMap<String, Vec<SitePath>>,
    /// By the path of the page to which their templates asked for related ones.
    related: HashMap<String, Vec<SitePath>>,
    /// Those that may show any page.
    any: Vec<SitePath>,
}

impl Dependents {
    /// Of what a plan makes of a view, and what was asked then.
    pub(crate) fn new(plan: &Plan, view: &View, records: &Records) -> Self {
        let mut dependents = Self::default();
        for (path, item) in plan.items() {
            let node = match &item.what {
                What::Page { at, .. } => Some(*at),
                What::Redirect { to, .. } => view.at(to),
                What::Feed { .. } | What::NotFound { .. } => {
                    dependents.any.push(path.clone());
                    None
                }
                What::Given => None,
            };
            if let Some(at) = node {
                dependents.of_node.entry(at).or_default().push(path.clone());
            }
        }
        dependents.add(records);
        dependents
    }

    /// Takes in what the templates of some files asked.
    pub(crate) fn add<'a>(&mut self, records: impl IntoIterator<Item = (&'a SitePath, &'a Record)>) {
        for (path, record) in records {
            for question in &record.asked {
                let (known, about) = match question {
                    Question::Page(about) | Question::Section(about) | Question::Head(about, None) => {
                        (&mut self.asked, about)
                    }
                    Question::Head(_, Some(listing)) => (&mut self.asked, listing),
                    Question::Related(about, _) => (&mut self.related, about),
                    Question::Asset(_) | Question::Image(_) => continue,
                };
                let files = known.entry(about.clone()).or_default();
                if files.last() != Some(path) {
                    files.push(path.clone());
                }
            }
        }
    }

    /// The files that may come out otherwise where `pages` take their places in the view `old`, which is `new` then;
    /// none where that may be any.
    pub(crate) fn of(&self, old: &View, new: &View, pages: &[Arc<Page>]) -> Option<HashSet<&SitePath>> {
        let mut found = Found { of: self, files: self.any.iter().collect() };
        let mut lists = HashSet::new();
        for page in pages {
            let at = new.at(&page.entry.path)?;
            if page.entry.is_section && old.entry(at).title != page.entry.title {
                // The way to every page below names it.
                return None;
            }
            found.add(new, at);
            if old.print_summary(at, Fields::ALL) == new.print_summary(at, Fields::ALL) {
                // Others show nothing of the rest of it.
                continue;
            }
            // Where the page leaves its place or takes another, nobody but those beside it has other neighbours.
            new.translated(at).for_each(|other| found.add(new, other));
            [old, new].into_iter().flat_map(|view| view.neighbours(at)).for_each(|near| found.add(new, near));
            lists.extend(new.lists_of(at));
        }
        for list in lists {
            found.add(new, list);
            if !new.entry(list).is_section {
                // The pages of a term are related.
                let pages = new.listing(list).into_iter().flat_map(|listing| &listing.pages);
                pages.for_each(|page| found.add_related(new, *page));
            }
        }
        Some(found.files)
    }
}

/// Files on their way to be named.
struct Found<'a> {
    of: &'a Dependents,
    files: HashSet<&'a SitePath>,
}

impl Found<'_> {
    /// Those that are made for node `at` or asked about it.
    fn add(&mut self, view: &View, at: usize) {
        self.files.extend(self.of.of_node.get(&at).into_iter().flatten());
        self.files.extend(self.of.asked.get(view.entry(at).path.as_str()).into_iter().flatten());
    }

    /// Those that asked for the pages related to node `at`.
    fn add_related(&mut self, view: &View, at: usize) {
        if !self.of.related.is_empty() {
            self.files.extend(self.of.related.get(view.entry(at).path.as_str()).into_iter().flatten());
        }
    }
}
