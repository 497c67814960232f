//! What was counted: of the period, of its hours and days, and of each page.

use std::collections::BTreeMap;

use tieup_protocol::contract::{Classes, Count, MeterClass, Quantity};
use tieup_protocol::path::SitePath;
use tieup_protocol::period::{Month, Period, Zone};

/// What was counted, and by which rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    rules: Count,
    zone: Zone,
    period: Period,
    /// How many entries were read.
    pub entries: u64,
    /// Tie-up pages.
    pub tieup: Totals,
    /// Original pages.
    pub original: Totals,
    /// Pages of both classes. A session or visitor that saw both counts once here.
    pub both: Totals,
    /// What was read and not counted.
    pub left_out: LeftOut,
    /// The counts of each hour that has any, by [`Zone::hour_number`]. They add up to those of the period.
    pub hours: BTreeMap<i64, ByScope>,
    /// The tallies of each page that has any.
    pub pages: BTreeMap<SitePath, ByClass>,
}

/// The counts of a period, a day or an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Views, unique views and bytes.
    pub tally: Tally,
    /// Sessions: visitors by hour.
    pub sessions: u64,
    /// Visitors by day: those that are new in an hour count in it.
    pub visitors: u64,
}

/// Counts for each class of pages, and for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByScope {
    /// Tie-up pages.
    pub tieup: Totals,
    /// Original pages.
    pub original: Totals,
    /// Pages of both classes. A session or visitor that saw both counts once here.
    pub both: Totals,
}

/// What can be counted of an hour and of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Views after the double-click rule.
    pub views: u64,
    /// Pages seen at least once in a session.
    pub unique_views: u64,
    /// Bytes sent, repeated clicks included.
    pub bytes: u128,
}

/// A tally for each class of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByClass {
    /// Tie-up pages.
    pub tieup: Tally,
    /// Original pages.
    pub original: Tally,
}

/// How many entries were left out, each for the first reason in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Both sides have struck them out.
    pub struck: u64,
    /// Their time is not within the period.
    pub other_month: u64,
    /// Nothing stands at their path.
    pub no_page: u64,
    /// A robot rule matched.
    pub robots: u64,
    /// They were prefetched, or parts of a document.
    pub not_documents: u64,
    /// They were not asked for by GET.
    pub not_get: u64,
    /// Their status is neither 200 nor 304.
    pub other_status: u64,
    /// They are repeats: all clicks of a chain but one.
    pub double_clicks: u64,
}

impl Counted {
    pub(crate) fn new(rules: &Count, zone: &Zone, period: Period) -> Self {
        Self {
            rules: rules.clone(),
            zone: zone.clone(),
            period,
            entries: 0,
            tieup: Totals::default(),
            original: Totals::default(),
            both: Totals::default(),
            left_out: LeftOut::default(),
            hours: BTreeMap::new(),
            pages: BTreeMap::new(),
        }
    }

    /// The rules by which these were counted.
    pub fn rules(&self) -> &Count {
        &self.rules
    }

    /// The zone in which the month and its hours were cut.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The month.
    pub fn month(&self) -> Month {
        self.period.month()
    }

    /// The days of the month that were counted.
    pub fn period(&self) -> Period {
        self.period
    }

    /// The counts of each day that has any, by the day's number: days since 1970-01-01 in the zone.
    pub fn days(&self) -> BTreeMap<i64, ByScope> {
        let mut days: BTreeMap<i64, ByScope> = BTreeMap::new();
        for (hour, counts) in &self.hours {
            days.entry(hour.div_euclid(24)).or_default().add(counts);
        }
        days
    }

    /// The counts of one class.
    pub fn totals(&self, class: MeterClass) -> &Totals {
        match class {
            MeterClass::Tieup => &self.tieup,
            MeterClass::Original => &self.original,
        }
    }

    /// What a meter of a contract reads: on pages within one of `paths`, or on all where there are none. Sessions and
    /// visitors are known of all pages alone.
    pub fn quantity(&self, quantity: Quantity, class: Classes, paths: &[SitePath]) -> u128 {
        let totals = match class {
            Classes::Tieup => &self.tieup,
            Classes::Original => &self.original,
            Classes::Both => &self.both,
        };
        let tally = if paths.is_empty() { totals.tally } else { self.tally_within(class, paths) };
        match quantity {
            Quantity::Views => tally.views.into(),
            Quantity::UniqueViews => tally.unique_views.into(),
            Quantity::Bytes => tally.bytes,
            Quantity::Sessions => totals.sessions.into(),
            Quantity::Visitors => totals.visitors.into(),
        }
    }

    /// The tallies of the pages within `paths`, together; each page once.
    fn tally_within(&self, class: Classes, paths: &[SitePath]) -> Tally {
        let within = self.pages.iter().filter(|(page, _)| paths.iter().any(|path| page.is_within(path)));
        let mut sum = Tally::default();
        for (_, page) in within {
            if class != Classes::Original {
                sum.add(&page.tieup);
            }
            if class != Classes::Tieup {
                sum.add(&page.original);
            }
        }
        sum
    }

    /// Adds the hours up to the counts of the period.
    pub(crate) fn sum_hours(&mut self) {
        let mut sum = ByScope::default();
        for hour in self.hours.values() {
            sum.add(hour);
        }
        (self.tieup, self.original, self.both) = (sum.tieup, sum.original, sum.both);
    }
}

impl ByScope {
    /// The counts of a class, or of both.
    pub(crate) fn of(&mut self, scope: Option<MeterClass>) -> &mut Totals {
        match scope {
            Some(MeterClass::Tieup) => &mut self.tieup,
            Some(MeterClass::Original) => &mut self.original,
            None => &mut self.both,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.tieup.add(&other.tieup);
        self.original.add(&other.original);
        self.both.add(&other.both);
    }
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.sessions += other.sessions;
        self.visitors += other.visitors;
    }
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.views += other.views;
        self.unique_views += other.unique_views;
        self.bytes += other.bytes;
    }

    /// The sum with `other`, unless it is too large.
    pub(crate) fn checked_sum(&self, other: &Self) -> Option<Self> {
        Some(Self {
            views: self.views.checked_add(other.views)?,
            unique_views: self.unique_views.checked_add(other.unique_views)?,
            bytes: self.bytes.checked_add(other.bytes)?,
        })
    }

    pub(crate) fn add_view(&mut self, unique: bool) {
        self.views += 1;
        self.unique_views += u64::from(unique);
    }
}

impl ByClass {
    pub(crate) fn of(&mut self, class: MeterClass) -> &mut Tally {
        match class {
            MeterClass::Tieup => &mut self.tieup,
            MeterClass::Original => &mut self.original,
        }
    }
}
