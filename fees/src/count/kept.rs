//! A counter that is put away, and goes on later.
//!
//! All that it knows has one form: what maps hold is in order. So counters that counted the same are kept as the same bytes,
//! wherever they were put away in between.

use serde::{Deserialize, Serialize};
use tieup_protocol::access::VisitorToken;
use tieup_protocol::contract::{Count, MeterClass};
use tieup_protocol::period::{Period, Zone};

use super::counted::{ByClass, ByScope, LeftOut, Tally, Totals};
use super::seen::{Classes, Day};
use super::visitors::Remembered;
use super::{Click, Counter, PageNumber};

/// More entries than a month's journal can have, so that no sum of counts overflows.
const MOST_ENTRIES: u64 = 1 << 48;

/// More hours than a month has.
const MOST_HOURS: usize = 800;

type Token = [u8; 16];

/// Views, unique views and bytes.
type KeptTally = (u64, u64, u128);

/// A tally, sessions and visitors.
type KeptTotals = (KeptTally, u64, u64);

/// All that a counter knows, but the rules.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    entries: u64,
    left_out: [u64; 8],
    hours: Vec<(i64, [KeptTotals; 3])>,
    /// In the order in which they were first clicked on.
    pages: Vec<(String, [KeptTally; 2])>,
    /// Time, visitor, page and class of the last click.
    chains: Vec<(i64, Token, u32, u8)>,
    open_hours: Vec<KeptHour>,
    days: Vec<(i64, Vec<(Token, u8)>)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptHour {
    number: i64,
    pages: Vec<(Token, u32, u8)>,
    visitors: Vec<(Token, u8)>,
}

impl Counter {
    /// All that this counter knows, which must be settled: see [`Counter::settle`].
    pub(crate) fn keep(&self) -> Kept {
        debug_assert!(self.waiting.is_empty(), "a counter is settled before it is put away");
        let page = |(path, tallies): &(_, ByClass)| {
            (ToString::to_string(path), [keep_tally(tallies.tieup), keep_tally(tallies.original)])
        };
        let keep_chain = |(visitor, page, click): (VisitorToken, PageNumber, Click)| {
            (self.time(click.time), visitor.0, page, keep_class(click.class))
        };
        let mut chains: Vec<_> = self.visitors.chains().map(keep_chain).collect();
        chains.sort_unstable();
        Kept {
            entries: self.counted.entries,
            left_out: keep_left_out(self.counted.left_out),
            hours: self.hours.counts().into_iter().map(|(number, counts)| (number, keep_counts(counts))).collect(),
            pages: self.pages.tallies().iter().map(page).collect(),
            chains,
            open_hours: self.visitors.hours().into_iter().map(|(number, hour)| keep_hour(number, &hour)).collect(),
            days: self.visitors.days().iter().map(|(number, day)| (*number, keep_visitors(day.visitors()))).collect(),
        }
    }

    /// A counter that goes on where the one that was `kept` stopped, after so many entries. None where that cannot be what
    /// a counter knew.
    pub(crate) fn resume(rules: &Count, zone: &Zone, period: Period, kept: &Kept, entries: u64) -> Option<Self> {
        let mut counter = Self::of_period(rules, zone, period);
        counter.counted.entries =
            Some(entries).filter(|entries| *entries == kept.entries && *entries < MOST_ENTRIES)?;
        counter.counted.left_out = resume_left_out(kept)?;
        counter.resume_counts(kept)?;
        counter.resume_chains(kept)?;
        kept.open_hours.iter().try_for_each(|hour| counter.resume_hour(hour))?;
        for (number, visitors) in &kept.days {
            let day: Option<Day> = visitors.iter().map(resume_visitor).collect();
            counter.visitors.resume_day(*number, day?);
        }
        Some(counter)
    }

    /// Hours and pages, whose sums must be the same.
    fn resume_counts(&mut self, kept: &Kept) -> Option<()> {
        if kept.hours.len() > MOST_HOURS {
            return None;
        }
        let (mut by_hour, mut by_page) = (Tally::default(), Tally::default());
        for (number, counts) in &kept.hours {
            let counts = resume_counts(counts, kept.entries)?;
            by_hour.add(&counts.both.tally);
            self.hours.put(*number, counts);
        }
        for (path, [tieup, original]) in &kept.pages {
            let tallies = ByClass { tieup: resume_tally(*tieup), original: resume_tally(*original) };
            by_page = by_page.checked_sum(&tallies.tieup)?.checked_sum(&tallies.original)?;
            self.pages.put(&path.parse().ok()?, tallies)?;
        }
        (self.hours.len() == kept.hours.len() && by_hour == by_page).then_some(())
    }

    fn resume_chains(&mut self, kept: &Kept) -> Option<()> {
        for &(time, visitor, page, class) in &kept.chains {
            let is_within = (self.from.as_millisecond()..=self.until.as_millisecond()).contains(&time);
            let click = Click { time: self.moment(time)?, class: resume_class(class)? };
            let visitor = self.visitors.number(VisitorToken(visitor));
            if !is_within || page >= self.pages.len() || self.visitors.chain(visitor, page).is_some() {
                return None;
            }
            self.visitors.open_chain(visitor, page, click);
            self.by_time.put((click.time, visitor, page));
        }
        Some(())
    }

    fn resume_hour(&mut self, hour: &KeptHour) -> Option<()> {
        let page = |&(visitor, page, bits): &(Token, PageNumber, u8)| {
            Classes::from_bits(bits)
                .filter(|_| page < self.pages.len())
                .map(|classes| (VisitorToken(visitor), page, classes))
        };
        let pages: Option<Vec<_>> = hour.pages.iter().map(page).collect();
        let visitors: Option<Vec<_>> = hour.visitors.iter().map(resume_visitor).collect();
        let remembered = Remembered { pages: pages?, visitors: visitors? };
        self.visitors.resume_hour(self.hours.find(hour.number)?, &remembered)
    }
}

fn keep_tally(tally: Tally) -> KeptTally {
    (tally.views, tally.unique_views, tally.bytes)
}

fn resume_tally((views, unique_views, bytes): KeptTally) -> Tally {
    Tally { views, unique_views, bytes }
}

fn keep_counts(counts: ByScope) -> [KeptTotals; 3] {
    [counts.tieup, counts.original, counts.both]
        .map(|totals| (keep_tally(totals.tally), totals.sessions, totals.visitors))
}

/// The counts of an hour in a journal of so many entries. None where one is higher than that many entries can make it.
fn resume_counts(kept: &[KeptTotals; 3], entries: u64) -> Option<ByScope> {
    let bytes = u128::from(entries) * u128::from(u64::MAX);
    let possible = |((views, unique, sent), sessions, visitors): &KeptTotals| {
        [views, unique, sessions, visitors].into_iter().all(|count| *count <= entries) && *sent <= bytes
    };
    let [tieup, original, both] =
        kept.map(|(tally, sessions, visitors)| Totals { tally: resume_tally(tally), sessions, visitors });
    kept.iter().all(possible).then_some(ByScope { tieup, original, both })
}

fn keep_left_out(left: LeftOut) -> [u64; 8] {
    let LeftOut { struck, other_month, no_page, robots, not_documents, not_get, other_status, double_clicks } = left;
    [struck, other_month, no_page, robots, not_documents, not_get, other_status, double_clicks]
}

fn resume_left_out(kept: &Kept) -> Option<LeftOut> {
    let [struck, other_month, no_page, robots, not_documents, not_get, other_status, double_clicks] = kept.left_out;
    let left = LeftOut { struck, other_month, no_page, robots, not_documents, not_get, other_status, double_clicks };
    kept.left_out.iter().all(|count| *count <= kept.entries).then_some(left)
}

fn keep_class(class: MeterClass) -> u8 {
    match class {
        MeterClass::Tieup => 1,
        MeterClass::Original => 2,
    }
}

fn resume_class(class: u8) -> Option<MeterClass> {
    match class {
        1 => Some(MeterClass::Tieup),
        2 => Some(MeterClass::Original),
        _ => None,
    }
}

fn keep_hour(number: i64, hour: &Remembered) -> KeptHour {
    let mut pages: Vec<_> = hour.pages.iter().map(|(visitor, page, seen)| (visitor.0, *page, seen.bits())).collect();
    pages.sort_unstable();
    KeptHour { number, pages, visitors: keep_visitors(hour.visitors.iter().copied()) }
}

fn keep_visitors(visitors: impl Iterator<Item = (VisitorToken, Classes)>) -> Vec<(Token, u8)> {
    let mut kept: Vec<_> = visitors.map(|(visitor, classes)| (visitor.0, classes.bits())).collect();
    kept.sort_unstable();
    kept
}

fn resume_visitor((visitor, bits): &(Token, u8)) -> Option<(VisitorToken, Classes)> {
    Classes::from_bits(*bits).map(|classes| (VisitorToken(*visitor), classes))
}
