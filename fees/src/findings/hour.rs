//! One hour of a journal: its visitors while it is open, and the few numbers that stay when it is closed.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use tieup_protocol::access::{AccessEntry, Method, Purpose, VisitorToken};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;

/// Within how many milliseconds a visitor's next request for the same page is a repeat: 30 seconds, the usual rule for
/// double clicks. Part of every rule.
pub const REPEAT: i64 = 30_000;

/// More views than this within an hour are more than a person does: 240, a page each 15 seconds for the whole hour.
/// Part of `rate/1`.
pub const RATE: u64 = 240;

/// More often than this within an hour nobody asks again for the page they have just got: 60, each minute of the whole
/// hour. Part of `reloads/1`.
pub const RELOADS: u64 = 60;

/// How many visitors are few: 3. Part of `one-sided/1`.
pub const FEW: usize = 3;

/// What stays of an hour. Every number is a sum, so that hours that were begun anew can be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hour {
    /// Entries of any kind.
    pub(super) entries: u64,
    /// Visitors, robots among them.
    pub(super) visitors: u64,
    /// Views of tie-up pages.
    pub(super) tieup: u64,
    /// Views of original pages.
    pub(super) original: u64,
    /// Tie-up pages that were served, each once for a visitor: what beacons are compared with.
    pub(super) served: u64,
    /// Documents that robots got.
    pub(super) robots: u64,
    /// Visitors with more views than [`RATE`].
    pub(super) hasty: u64,
    /// Their views.
    pub(super) hasty_views: u64,
    /// The most views of one of them.
    pub(super) hasty_most: u64,
    /// Visitors who asked again for the page they had just got more often than [`RELOADS`].
    pub(super) reloading: u64,
    /// How often these did.
    pub(super) reloads: u64,
    /// How often the one of them did who did it most.
    pub(super) reloads_most: u64,
    /// Views of original pages by the [`FEW`] visitors that have the most.
    pub(super) few: u64,
    /// Views of original pages by visitors whose every entry of this hour is one, or repeats one.
    pub(super) alone: u64,
    /// How often times stepped back to this hour.
    pub(super) steps: u64,
    /// The furthest of these steps, in milliseconds.
    pub(super) furthest: u64,
}

/// An hour whose visitors are remembered.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenHour {
    entries: u64,
    visitors: HashMap<VisitorToken, Visitor>,
}

/// What one visitor did in an hour.
#[derive(Clone, Debug, Default)]
struct Visitor {
    /// The document asked for last, and when.
    last: Option<(SitePath, Timestamp)>,
    /// How often a document was asked for that was the last one already, by whom no robot rule matched.
    again: u64,
    tieup: u64,
    original: u64,
    robots: u64,
    /// The tie-up pages that were served, whatever for.
    served: HashSet<SitePath>,
    /// Whether there was anything that is not a view of an original page.
    others: bool,
}

impl OpenHour {
    /// Takes the next entry of this hour.
    pub(super) fn observe(&mut self, entry: &AccessEntry) {
        self.entries += 1;
        self.visitors.entry(entry.visitor).or_default().observe(entry);
    }

    /// Notes that a tie-up page was served by an entry of this hour.
    pub(super) fn serve(&mut self, entry: &AccessEntry) {
        let visitor = self.visitors.entry(entry.visitor).or_default();
        if !visitor.served.contains(&entry.path) {
            visitor.served.insert(entry.path.clone());
        }
    }

    /// How many visitors are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.visitors.len()
    }

    /// What stays of it.
    pub(super) fn close(self) -> Hour {
        let mut hour = Hour { entries: self.entries, visitors: self.visitors.len() as u64, ..Hour::default() };
        let mut most = [0; FEW];
        for visitor in self.visitors.values() {
            hour.take(visitor);
            // The smallest of the few gives way.
            most[0] = visitor.original.max(most[0]);
            most.sort_unstable();
        }
        hour.few = most.iter().sum();
        hour
    }
}

impl Visitor {
    fn observe(&mut self, entry: &AccessEntry) {
        let Some(class) = document(entry) else {
            self.others = true;
            return;
        };
        if self.repeats(entry) {
            return;
        }
        match class {
            _ if entry.robot != 0 => self.robots += 1,
            MeterClass::Tieup => self.tieup += 1,
            MeterClass::Original => self.original += 1,
        }
    }

    /// Whether this is the document that was asked for last, once more. It is the last one in any case from here on.
    fn repeats(&mut self, entry: &AccessEntry) -> bool {
        match &mut self.last {
            Some((path, time)) if *path == entry.path => {
                let apart = entry.time.as_millisecond().abs_diff(time.as_millisecond());
                *time = entry.time.max(*time);
                self.again += u64::from(entry.robot == 0);
                apart <= REPEAT.unsigned_abs()
            }
            last => {
                *last = Some((entry.path.clone(), entry.time));
                false
            }
        }
    }
}

impl Hour {
    /// Adds what a visitor did, all but the few who did most.
    fn take(&mut self, visitor: &Visitor) {
        let views = visitor.tieup + visitor.original;
        self.tieup += visitor.tieup;
        self.original += visitor.original;
        self.served += visitor.served.len() as u64;
        self.robots += visitor.robots;
        if views > RATE {
            self.hasty += 1;
            self.hasty_views += views;
            self.hasty_most = self.hasty_most.max(views);
        }
        if visitor.again > RELOADS {
            self.reloading += 1;
            self.reloads += visitor.again;
            self.reloads_most = self.reloads_most.max(visitor.again);
        }
        if !visitor.others && visitor.tieup == 0 && visitor.robots == 0 {
            self.alone += visitor.original;
        }
    }

    /// Adds what is known of another part of the same hour.
    pub(super) fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.visitors += other.visitors;
        self.tieup += other.tieup;
        self.original += other.original;
        self.served += other.served;
        self.robots += other.robots;
        self.hasty += other.hasty;
        self.hasty_views += other.hasty_views;
        self.hasty_most = self.hasty_most.max(other.hasty_most);
        self.reloading += other.reloading;
        self.reloads += other.reloads;
        self.reloads_most = self.reloads_most.max(other.reloads_most);
        self.few += other.few;
        self.alone += other.alone;
        self.steps += other.steps;
        self.furthest = self.furthest.max(other.furthest);
    }

    /// Notes that times stepped back to this hour by so many milliseconds.
    pub(super) fn step_back(&mut self, milliseconds: u64) {
        self.steps += 1;
        self.furthest = self.furthest.max(milliseconds);
    }

    /// Views of pages of a class.
    pub(super) fn views_of(&self, class: MeterClass) -> u64 {
        match class {
            MeterClass::Tieup => self.tieup,
            MeterClass::Original => self.original,
        }
    }

    /// Views of pages of both classes.
    pub(super) fn views(&self) -> u64 {
        self.tieup + self.original
    }
}

/// Whose page it was, if it is a document that somebody got.
fn document(entry: &AccessEntry) -> Option<MeterClass> {
    let got = entry.purpose == Purpose::Document && entry.method == Method::Get && matches!(entry.status, 200 | 304);
    entry.class.filter(|_| got)
}

/// Whether a visitor got a tie-up page, also in case they ask for it.
pub(super) fn is_served(entry: &AccessEntry) -> bool {
    entry.class == Some(MeterClass::Tieup)
        && entry.method == Method::Get
        && matches!(entry.status, 200 | 304)
        && entry.robot == 0
        && matches!(entry.purpose, Purpose::Document | Purpose::Prefetch)
}
