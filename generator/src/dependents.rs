//! Which files may come out otherwise when a page says something else: the way from a page to those that show it.
//!
//! Rather too many than too few are named; whether a file differs is for its record to say.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tieup_protocol::path::SitePath;

use crate::asking::Question;
use crate::known::Records;
use crate::maker::Record;
use crate::page::{Page, PageKind};
use crate::plan::{Item, Plan, What};
use crate::uses::Fields;
use crate::view::View;

/// The files of one build by what they show.
#[derive(Debug, Default)]
pub(crate) struct Dependents {
    /// The files, with the fields of other pages that each can show.
    files: Vec<(SitePath, Fields)>,
    numbers: HashMap<SitePath, usize>,
    /// By the node that they are made for.
    of_node: HashMap<usize, Vec<usize>>,
    /// The feeds, by the node whose pages they hold. They hold whole texts.
    feeds: HashMap<usize, Vec<usize>>,
    /// By the path of a page that their templates asked about.
    asked: HashMap<String, HashSet<usize>>,
    /// By the path of a page of which their templates asked for the head, which tells all of it.
    heads: HashMap<String, HashSet<usize>>,
    /// By the path of the page to which their templates asked for related ones.
    related: HashMap<String, HashSet<usize>>,
    /// Those that may show any page: the feeds of first pages, and the page for paths where nothing stands.
    any: Vec<usize>,
}

impl Dependents {
    /// Of what a plan makes of a view, and what was asked then. `fields` are those of other pages that a file can show.
    pub(crate) fn new(plan: &Plan, view: &View, fields: &dyn Fn(&Item) -> Fields, records: &Records) -> Self {
        let mut dependents = Self::default();
        for (path, item) in plan.items() {
            dependents.add_item(path, item, view, fields(item));
        }
        dependents.add(records);
        dependents
    }

    fn add_item(&mut self, path: &SitePath, item: &Item, view: &View, fields: Fields) {
        let is_home = |at: usize| view.node(at).own().is_some_and(|page| matches!(page.kind, PageKind::Home(_)));
        let files = match &item.what {
            What::Page { at, .. } => self.of_node.entry(*at).or_default(),
            What::Redirect { to, .. } => match view.at(to) {
                Some(at) => self.of_node.entry(at).or_default(),
                None => return,
            },
            What::Feed { at, .. } if !is_home(*at) => self.feeds.entry(*at).or_default(),
            What::Feed { .. } | What::NotFound { .. } => &mut self.any,
            What::Given => return,
        };
        files.push(self.files.len());
        self.numbers.insert(path.clone(), self.files.len());
        self.files.push((path.clone(), fields));
    }

    /// A file can show these fields of other pages from now on.
    pub(crate) fn shows(&mut self, path: &SitePath, fields: Fields) {
        if let Some(number) = self.numbers.get(path) {
            self.files[*number].1 = fields;
        }
    }

    /// Takes in what the templates of some files asked.
    pub(crate) fn add<'a>(&mut self, records: impl IntoIterator<Item = (&'a SitePath, &'a Record)>) {
        for (path, record) in records {
            let Some(number) = self.numbers.get(path) else { continue };
            for question in &record.asked {
                let (known, about) = match question {
                    Question::Page(about) | Question::Section(about) => (&mut self.asked, about),
                    Question::Related(about, _) => (&mut self.related, about),
                    // Mostly a file asks for its own head, and is looked at anyway.
                    Question::Head(about, _) if about == path.as_str() => continue,
                    Question::Head(about, None) | Question::Head(_, Some(about)) => (&mut self.heads, about),
                    Question::Asset(_) | Question::Image(_) => continue,
                };
                known.entry(about.clone()).or_default().insert(*number);
            }
        }
    }

    /// The files that may come out otherwise where `pages` take their places in the view `old`, which is `new` then;
    /// none where that may be any.
    pub(crate) fn of(&self, old: &View, new: &View, pages: &[Arc<Page>]) -> Option<HashSet<&SitePath>> {
        let mut files: HashSet<usize> = self.any.iter().copied().collect();
        for page in pages {
            let at = new.at(&page.entry.path)?;
            if page.entry.is_section && old.entry(at).title != page.entry.title {
                // The way to every page below names it.
                return None;
            }
            let mut change = Change { of: self, old, new, at, known: Vec::new(), files: &mut files };
            change.add_own();
            change.add_others();
        }
        Some(files.into_iter().map(|number| &self.files[number].0).collect())
    }
}

/// One page that says something else, and the files found so far.
struct Change<'a> {
    of: &'a Dependents,
    old: &'a View,
    new: &'a View,
    at: usize,
    /// Whether some fields of it differ.
    known: Vec<(Fields, bool)>,
    files: &'a mut HashSet<usize>,
}

impl Change<'_> {
    /// Those that show the page itself, or its text.
    fn add_own(&mut self) {
        self.files.extend(self.of.of_node.get(&self.at).into_iter().flatten());
        self.add_heads(self.at);
        for list in self.new.lists_of(self.at).into_iter().chain([self.at]) {
            self.files.extend(self.of.feeds.get(&list).into_iter().flatten());
        }
    }

    /// Those that show something of it on their way. Where it leaves its place or takes another, nobody but those
    /// beside it has other neighbours.
    fn add_others(&mut self) {
        let (old, new, at) = (self.old, self.new, self.at);
        self.add_asking(at);
        for other in new.translated(at) {
            self.add(other);
            self.add_heads(other);
        }
        [old, new].into_iter().flat_map(|view| view.neighbours(at)).for_each(|near| self.add(near));
        for list in new.lists_of(at) {
            self.add(list);
            if !new.entry(list).is_section && !self.of.related.is_empty() {
                // The pages of a term are related.
                for page in new.listing(list).iter().flat_map(|listing| &listing.pages) {
                    let related = self.of.related.get(new.entry(*page).path.as_str());
                    self.take(related.into_iter().flatten());
                }
            }
        }
    }

    /// Those that are made for another node or ask about it.
    fn add(&mut self, at: usize) {
        self.take(self.of.of_node.get(&at).into_iter().flatten());
        self.add_asking(at);
    }

    fn add_heads(&mut self, at: usize) {
        self.files.extend(self.of.heads.get(self.new.entry(at).path.as_str()).into_iter().flatten());
    }

    fn add_asking(&mut self, at: usize) {
        self.take(self.of.asked.get(self.new.entry(at).path.as_str()).into_iter().flatten());
    }

    fn take<'f>(&mut self, files: impl Iterator<Item = &'f usize>) {
        for number in files {
            if !self.files.contains(number) && self.differs(self.of.files[*number].1) {
                self.files.insert(*number);
            }
        }
    }

    /// Whether it comes out otherwise to those who look at some of its fields, or stands elsewhere among others.
    fn differs(&mut self, fields: Fields) -> bool {
        if let Some((_, differs)) = self.known.iter().find(|(known, _)| *known == fields) {
            return *differs;
        }
        let seen =
            |view: &View| (view.entry(self.at).date, view.entry(self.at).weight, view.print_summary(self.at, fields));
        let differs = seen(self.old) != seen(self.new);
        self.known.push((fields, differs));
        differs
    }
}
