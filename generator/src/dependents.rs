//! Which files may come out otherwise when a page says something else: the way from a page to those that show it.
//!
//! Rather too many than too few are named; whether a file differs is for its record to say.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use tieup_protocol::path::SitePath;

use crate::asking::Question;
use crate::build::{feed_paths, not_found, page_paths};
use crate::feed;
use crate::maker::Record;
use crate::order::newest_first;
use crate::page::Page;
use crate::plan::{Item, Plan};
use crate::uses::Fields;
use crate::view::View;

/// The files of one build by what their templates asked about other pages. What they show of others without asking
/// follows from where those stand.
#[derive(Debug, Default)]
pub(crate) struct Dependents {
    /// By the path of a page.
    asked: HashMap<String, HashSet<SitePath>>,
    /// By the path of a page of which they asked for the head, which tells all of it.
    heads: HashMap<String, HashSet<SitePath>>,
    /// By the path of the page to which they asked for related ones.
    related: HashMap<String, HashSet<SitePath>>,
    /// The first pages of the languages with the newest pages, which their feeds hold.
    newest: OnceLock<Vec<(usize, Vec<usize>)>>,
}

/// A build in which pages say something else.
pub(crate) struct Turn<'a> {
    /// What it makes.
    pub(crate) plan: &'a Plan,
    /// The fields of other pages that a file can show.
    pub(crate) fields: &'a dyn Fn(&Item) -> Fields,
    /// The pages before.
    pub(crate) old: &'a View,
    /// The pages then.
    pub(crate) new: &'a View,
}

impl Dependents {
    /// Takes in what the templates of some files asked.
    pub(crate) fn add<'a>(&mut self, records: impl IntoIterator<Item = (&'a SitePath, &'a Record)>) {
        for (path, record) in records {
            for question in record.asked.iter().filter(|question| question.is_about_others(path)) {
                let (known, about) = match question {
                    Question::Page(about) | Question::Section(about) => (&mut self.asked, about),
                    Question::Related(about, _) => (&mut self.related, about),
                    Question::Head(about, None) | Question::Head(_, Some(about)) => (&mut self.heads, about),
                    Question::Asset(_) | Question::Image(_) => continue,
                };
                known.entry(about.clone()).or_default().insert(path.clone());
            }
        }
    }

    /// Other pages may be the newest now.
    pub(crate) fn turn(&mut self) {
        self.newest.take();
    }

    /// The files that may come out otherwise at a turn, where `pages` take their places; none where that may be any.
    pub(crate) fn of(&self, turn: &Turn<'_>, pages: &[Arc<Page>]) -> Option<HashSet<SitePath>> {
        let (old, new) = (turn.old, turn.new);
        let homes = self.newest.get_or_init(|| newest(old));
        // The page for paths where nothing stands may show any.
        let mut files = HashSet::from([not_found()]);
        for page in pages {
            let at = new.at(&page.entry.path)?;
            let fed = homes.iter().filter(|(home, held)| enters(turn, *home, held, at));
            files.extend(fed.flat_map(|(home, _)| feed_paths(new, *home)));
            if page.entry.is_section && old.entry(at).title != page.entry.title {
                // The way to every page below names it.
                return None;
            }
            let mut change = Change { of: self, turn, at, known: Vec::new(), files: &mut files };
            change.add_own();
            change.add_others();
        }
        Some(files)
    }
}

/// The first page of each language, with what its feeds hold.
fn newest(view: &View) -> Vec<(usize, Vec<usize>)> {
    let homes = view.config().codes().filter_map(|code| view.at(&view.config().home(code)));
    homes.map(|home| (home, view.newest(home, feed::limit(view.config())))).collect()
}

/// Whether feeds of the language of `home`, which hold the pages `held`, hold page `at` before a turn or then.
fn enters(turn: &Turn<'_>, home: usize, held: &[usize], at: usize) -> bool {
    let (old, entry) = (turn.old, turn.new.entry(at));
    let is_full = held.len() >= feed::limit(old.config());
    let last = held.last().filter(|_| is_full).map(|last| old.entry(*last));
    entry.lang == old.entry(home).lang
        && (held.contains(&at) || last.is_none_or(|last| newest_first(entry, last).is_lt()))
}

/// One page that says something else, and the files found so far.
struct Change<'a> {
    of: &'a Dependents,
    turn: &'a Turn<'a>,
    at: usize,
    /// Whether some fields of it differ.
    known: Vec<(Fields, bool)>,
    files: &'a mut HashSet<SitePath>,
}

impl Change<'_> {
    /// Those that show the page itself, or its text.
    fn add_own(&mut self) {
        let (new, at) = (self.turn.new, self.at);
        self.files.extend(page_paths(new, at));
        self.add_heads(at);
        for list in new.lists_of(at).into_iter().chain([at]) {
            self.files.extend(feed_paths(new, list));
        }
    }

    /// Those that show something of it on their way. Where it leaves its place or takes another, nobody but those
    /// beside it has other neighbours.
    fn add_others(&mut self) {
        let (Turn { old, new, .. }, at) = (self.turn, self.at);
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
        let new = self.turn.new;
        // All pages of a listing show the same fields, and there may be many.
        let first = self.turn.plan.entry(&new.entry(at).path);
        if first.is_some_and(|(_, item)| self.differs((self.turn.fields)(item))) {
            self.files.extend(page_paths(new, at));
        }
        self.add_asking(at);
    }

    fn add_heads(&mut self, at: usize) {
        let heads = self.of.heads.get(self.turn.new.entry(at).path.as_str());
        self.files.extend(heads.into_iter().flatten().cloned());
    }

    fn add_asking(&mut self, at: usize) {
        self.take(self.of.asked.get(self.turn.new.entry(at).path.as_str()).into_iter().flatten());
    }

    fn take<'f>(&mut self, files: impl Iterator<Item = &'f SitePath>) {
        for path in files.filter(|path| !self.files.contains(*path)).collect::<Vec<_>>() {
            let item = self.turn.plan.entry(path).map(|(_, item)| item);
            if item.is_some_and(|item| self.differs((self.turn.fields)(item))) {
                self.files.insert(path.clone());
            }
        }
    }

    /// Whether it comes out otherwise to those who look at some of its fields, or stands elsewhere among others.
    fn differs(&mut self, fields: Fields) -> bool {
        if let Some((_, differs)) = self.known.iter().find(|(known, _)| *known == fields) {
            return *differs;
        }
        let at = self.at;
        let seen = |view: &View| (view.entry(at).date, view.entry(at).weight, view.print_summary(at, fields));
        let differs = seen(self.turn.old) != seen(self.turn.new);
        self.known.push((fields, differs));
        differs
    }
}
