//! Counting: which journal entries are views, and how many there were. The rule set `page-view/1`.
//!
//! The rules, after COUNTER R5.1, complete enough to be written again in another language from this text alone:
//!
//! 1. **What takes part.** Entries are taken in the order of the journal. An entry is left out for the first of these
//!    reasons that fits: its time is not within the month in the contract's zone; nothing stands at its path (it has
//!    no class); a robot rule matched; its purpose is not a document; its method is not GET; its status is neither
//!    200 nor 304. What remains are *clicks*.
//! 2. **Double clicks.** Clicks of one visitor on one page form a chain. A click whose time differs by at most the
//!    contract's `double_click` from the chain's time joins the chain, and the later of the two gives the chain its
//!    time and class (at the same time, `original` wins over `tieup`): always remove the first, retain the second. A
//!    chain of any length is one view. A click later than that ends the chain and begins the next; a click earlier
//!    than that, which came out of order, is a view by itself and leaves the chain as it is.
//! 3. **Open chains end** when a click arrives, on any page by any visitor, whose time is more than `double_click` and
//!    [`DISORDER`] after the chain's. So memory does not grow with the journal, and clicks up to [`DISORDER`] out of
//!    order are still recognized as repeats. Chains do not cross months: each month is a journal of its own.
//! 4. **Views** count in the hour, class and page of their chain's last click, chains that end together in the order of
//!    their times, those still open at the end of the journal likewise.
//! 5. **Sessions** are a visitor in one hour of the clock in the contract's zone. **Unique views** are pages that a
//!    session viewed at least once. An hour is remembered until a view two hours or more later is counted; a view in
//!    an hour that was forgotten begins that hour anew.
//! 6. **Visitors** are visitor tokens. One that was not seen on the day of the view or the day before is new; the
//!    tokens of two days differ in any case, since their key is changed daily. Days are forgotten as hours are.
//! 7. **Bytes** are those of all clicks, repeats included, since they were sent; they count in the hour of each click.
//!
//! One consequence of rule 2 is COUNTER's own: a click can join two chains, so a journal with one click more can have
//! one view less.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use tieup_protocol::access::{AccessEntry, Method, Purpose, VisitorToken};
use tieup_protocol::contract::{Count, MeterClass, Quantity};
use tieup_protocol::path::SitePath;
use tieup_protocol::period::{Month, Zone};

/// How far out of order clicks may stand in the journal and still be recognized as repeats: ten minutes, in
/// milliseconds. Part of the rule set.
pub const DISORDER: i64 = 600_000;

/// Counts the entries of one month, one by one.
///
/// Memory grows with the pages of the site and with the visitors of the last two days, not with the journal.
#[derive(Clone, Debug)]
pub struct Counter {
    from: Timestamp,
    until: Timestamp,
    zone: Zone,
    /// The longest time between two clicks of a double click, in milliseconds.
    window: i64,
    pages: Pages,
    /// The last click of every open chain.
    chains: HashMap<(VisitorToken, PageNumber), Click>,
    /// The same chains by time.
    by_time: BTreeSet<(i64, VisitorToken, PageNumber)>,
    hours: BTreeMap<i64, OpenHour>,
    days: BTreeMap<i64, Seen>,
    counted: Counted,
}

/// What was counted, and by which rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    rules: Count,
    zone: Zone,
    month: Month,
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
    /// The tallies of each hour that has any, by [`Zone::hour_number`].
    pub hours: BTreeMap<i64, ByClass>,
    /// The tallies of each page that has any.
    pub pages: BTreeMap<SitePath, ByClass>,
}

/// The counts of a month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Views, unique views and bytes.
    pub tally: Tally,
    /// Sessions: visitors by hour.
    pub sessions: u64,
    /// Visitors by day.
    pub visitors: u64,
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
    /// Their time is not within the month.
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

impl Counter {
    /// A counter of `month` in `zone` by the contract's rules.
    pub fn new(rules: &Count, zone: &Zone, month: Month) -> Self {
        Self {
            from: month.start(zone),
            until: month.next().start(zone),
            zone: zone.clone(),
            window: i64::from(rules.double_click.seconds()) * 1_000,
            pages: Pages::default(),
            chains: HashMap::new(),
            by_time: BTreeSet::new(),
            hours: BTreeMap::new(),
            days: BTreeMap::new(),
            counted: Counted::new(rules, zone, month),
        }
    }

    /// Takes the next entry of the journal.
    pub fn observe(&mut self, entry: &AccessEntry) {
        self.counted.entries += 1;
        match self.judge(entry) {
            Ok(class) => self.click(entry, class),
            Err(reason) => *reason.counter(&mut self.counted.left_out) += 1,
        }
    }

    /// What was counted. Chains that are still open count.
    pub fn finish(mut self) -> Counted {
        self.end_chains_before(i64::MAX);
        self.counted.pages = self.pages.tallies();
        self.counted
    }

    /// The class of a click, or why the entry is none (rule 1).
    fn judge(&self, entry: &AccessEntry) -> Result<MeterClass, Reason> {
        if entry.time < self.from || entry.time >= self.until {
            return Err(Reason::OtherMonth);
        }
        let class = entry.class.ok_or(Reason::NoPage)?;
        if entry.robot != 0 {
            return Err(Reason::Robot);
        }
        if entry.purpose != Purpose::Document {
            return Err(Reason::NotADocument);
        }
        if entry.method != Method::Get {
            return Err(Reason::NotGet);
        }
        if !matches!(entry.status, 200 | 304) {
            return Err(Reason::OtherStatus);
        }
        Ok(class)
    }

    fn click(&mut self, entry: &AccessEntry, class: MeterClass) {
        let time = entry.time.as_millisecond();
        self.end_chains_before(time.saturating_sub(self.window + DISORDER));
        let page = self.pages.number(&entry.path);
        let hour = self.zone.hour_number(entry.time);
        self.counted.add_bytes(hour, class, entry.bytes);
        self.pages.tally(page, class).bytes += u128::from(entry.bytes);
        self.chain(entry.visitor, page, Click { time, class });
    }

    /// Rule 2.
    fn chain(&mut self, visitor: VisitorToken, page: PageNumber, click: Click) {
        let Some(&last) = self.chains.get(&(visitor, page)) else {
            self.set_chain(visitor, page, click);
            return;
        };
        if click.time.abs_diff(last.time) <= self.window.unsigned_abs() {
            self.counted.left_out.double_clicks += 1;
            self.by_time.remove(&(last.time, visitor, page));
            self.set_chain(visitor, page, last.max(click));
        } else if click.time < last.time {
            self.view(visitor, page, click);
        } else {
            self.by_time.remove(&(last.time, visitor, page));
            self.view(visitor, page, last);
            self.set_chain(visitor, page, click);
        }
    }

    fn set_chain(&mut self, visitor: VisitorToken, page: PageNumber, click: Click) {
        self.chains.insert((visitor, page), click);
        self.by_time.insert((click.time, visitor, page));
    }

    /// Ends the chains whose time is before `time`, in the order of their times (rule 3).
    fn end_chains_before(&mut self, time: i64) {
        while let Some(&(oldest, visitor, page)) = self.by_time.first() {
            if oldest >= time {
                break;
            }
            self.by_time.pop_first();
            if let Some(click) = self.chains.remove(&(visitor, page)) {
                self.view(visitor, page, click);
            }
        }
    }

    /// Counts one view (rules 4 to 6).
    fn view(&mut self, visitor: VisitorToken, page: PageNumber, click: Click) {
        let Click { time, class } = click;
        let instant = Timestamp::from_millisecond(time).expect("the time of a click was a timestamp before");
        let hour = self.zone.hour_number(instant);
        let day = hour.div_euclid(24);
        forget_before(&mut self.hours, hour - 1);
        forget_before(&mut self.days, day - 1);

        let open = self.hours.entry(hour).or_default();
        let unique = open.pages.insert((visitor, page, class));
        self.pages.tally(page, class).add_view(unique);
        self.counted.add_view(hour, class, unique);
        for scope in [Some(class), None] {
            let seen = (visitor, scope);
            let yesterday = self.days.get(&(day - 1)).is_some_and(|day| day.contains(&seen));
            let new_visitor = self.days.entry(day).or_default().insert(seen) && !yesterday;
            let totals = self.counted.totals_mut(scope);
            totals.sessions += u64::from(open.visitors.insert(seen));
            totals.visitors += u64::from(new_visitor);
        }
    }
}

impl Counted {
    fn new(rules: &Count, zone: &Zone, month: Month) -> Self {
        Self {
            rules: rules.clone(),
            zone: zone.clone(),
            month,
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
        self.month
    }

    /// The counts of one class.
    pub fn totals(&self, class: MeterClass) -> &Totals {
        match class {
            MeterClass::Tieup => &self.tieup,
            MeterClass::Original => &self.original,
        }
    }

    /// What a meter of a contract reads.
    pub fn quantity(&self, quantity: Quantity, class: MeterClass) -> u128 {
        let tally = &self.totals(class).tally;
        match quantity {
            Quantity::Views => tally.views.into(),
            Quantity::UniqueViews => tally.unique_views.into(),
            Quantity::Bytes => tally.bytes,
        }
    }

    /// The totals of a class, or of both.
    fn totals_mut(&mut self, scope: Option<MeterClass>) -> &mut Totals {
        match scope {
            Some(MeterClass::Tieup) => &mut self.tieup,
            Some(MeterClass::Original) => &mut self.original,
            None => &mut self.both,
        }
    }

    fn add_view(&mut self, hour: i64, class: MeterClass, unique: bool) {
        self.hours.entry(hour).or_default().of(class).add_view(unique);
        for scope in [Some(class), None] {
            self.totals_mut(scope).tally.add_view(unique);
        }
    }

    fn add_bytes(&mut self, hour: i64, class: MeterClass, bytes: u64) {
        self.hours.entry(hour).or_default().of(class).bytes += u128::from(bytes);
        for scope in [Some(class), None] {
            self.totals_mut(scope).tally.bytes += u128::from(bytes);
        }
    }
}

impl Tally {
    fn add_view(&mut self, unique: bool) {
        self.views += 1;
        self.unique_views += u64::from(unique);
    }
}

impl ByClass {
    fn of(&mut self, class: MeterClass) -> &mut Tally {
        match class {
            MeterClass::Tieup => &mut self.tieup,
            MeterClass::Original => &mut self.original,
        }
    }
}

/// The last click of a chain. The order is that in which one click replaces another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Click {
    /// Milliseconds since 1970.
    time: i64,
    class: MeterClass,
}

/// Who was seen on pages of a class (`Some`), and who at all (`None`).
type Seen = HashSet<(VisitorToken, Option<MeterClass>)>;

/// What must be remembered of an hour to know what is new in it.
#[derive(Clone, Debug, Default)]
struct OpenHour {
    pages: HashSet<(VisitorToken, PageNumber, MeterClass)>,
    visitors: Seen,
}

fn forget_before<T>(open: &mut BTreeMap<i64, T>, first: i64) {
    while open.first_key_value().is_some_and(|(number, _)| *number < first) {
        open.pop_first();
    }
}

/// Which page, by the order in which pages were first seen.
type PageNumber = usize;

/// The pages seen so far, numbered, so that what is remembered of a click is small.
#[derive(Clone, Debug, Default)]
struct Pages {
    numbers: HashMap<SitePath, PageNumber>,
    tallies: Vec<ByClass>,
}

impl Pages {
    fn number(&mut self, path: &SitePath) -> PageNumber {
        if let Some(number) = self.numbers.get(path) {
            return *number;
        }
        let number = self.tallies.len();
        self.tallies.push(ByClass::default());
        self.numbers.insert(path.clone(), number);
        number
    }

    fn tally(&mut self, page: PageNumber, class: MeterClass) -> &mut Tally {
        self.tallies[page].of(class)
    }

    fn tallies(self) -> BTreeMap<SitePath, ByClass> {
        let tallies = self.tallies;
        self.numbers.into_iter().map(|(path, number)| (path, tallies[number])).collect()
    }
}

/// Why an entry is not a click.
#[derive(Clone, Copy, Debug)]
enum Reason {
    OtherMonth,
    NoPage,
    Robot,
    NotADocument,
    NotGet,
    OtherStatus,
}

impl Reason {
    fn counter(self, left_out: &mut LeftOut) -> &mut u64 {
        match self {
            Self::OtherMonth => &mut left_out.other_month,
            Self::NoPage => &mut left_out.no_page,
            Self::Robot => &mut left_out.robots,
            Self::NotADocument => &mut left_out.not_documents,
            Self::NotGet => &mut left_out.not_get,
            Self::OtherStatus => &mut left_out.other_status,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tieup_protocol::access::{AccessEntry, Method, Purpose};
    use tieup_protocol::contract::MeterClass::Original;

    use super::*;
    use crate::fixture::{any_log, contract, contract_with, count, count_under, november, view};

    /// A view at so many seconds after noon in Tokyo on 10 November.
    fn at(seconds: i64, visitor: u8) -> AccessEntry {
        let mut entry = view("2026-11-10T03:00:00Z", visitor);
        entry.time = Timestamp::from_second(entry.time.as_second() + seconds).unwrap();
        entry
    }

    fn on(path: &str, mut entry: AccessEntry) -> AccessEntry {
        entry.path = path.parse().unwrap();
        entry
    }

    fn of(class: MeterClass, entry: AccessEntry) -> AccessEntry {
        AccessEntry { class: Some(class), ..entry }
    }

    fn views(entries: &[AccessEntry]) -> u64 {
        count(entries).tieup.tally.views
    }

    #[test]
    fn only_documents_that_a_person_got_are_views() {
        let good = || at(0, 1);
        let table: [(AccessEntry, Reason); 9] = [
            (view("2026-10-31T14:59:59.999Z", 1), Reason::OtherMonth),
            (AccessEntry { class: None, ..good() }, Reason::NoPage),
            (AccessEntry { robot: 3, ..good() }, Reason::Robot),
            (AccessEntry { purpose: Purpose::Prefetch, ..good() }, Reason::NotADocument),
            (AccessEntry { purpose: Purpose::Resource, ..good() }, Reason::NotADocument),
            (AccessEntry { method: Method::Head, ..good() }, Reason::NotGet),
            (AccessEntry { method: Method::Other, ..good() }, Reason::NotGet),
            (AccessEntry { status: 206, ..good() }, Reason::OtherStatus),
            (AccessEntry { status: 404, ..good() }, Reason::OtherStatus),
        ];
        for (entry, reason) in table {
            let mut counted = count([&entry]);
            assert_eq!(counted.both, Totals::default(), "{entry:?}");
            assert_eq!((counted.entries, *reason.counter(&mut counted.left_out)), (1, 1), "{entry:?}");
        }
        assert_eq!(views(&[good(), on("/a/", AccessEntry { status: 304, ..good() })]), 2);
    }

    #[test]
    fn an_entry_is_left_out_for_the_first_reason_alone() {
        let entry = AccessEntry { robot: 3, status: 404, method: Method::Head, ..at(0, 1) };
        let expected = LeftOut { robots: 1, ..LeftOut::default() };
        assert_eq!(count([&entry]).left_out, expected);
    }

    #[test]
    fn a_double_click_is_one_view() {
        // (seconds of the clicks of one visitor on one page, views)
        let table: [(&[i64], u64); 6] = [
            (&[0, 30], 1),          // exactly the window
            (&[0, 31], 2),          // beyond it
            (&[0, 25, 50, 75], 1),  // a chain: each click within 30 s of the one before
            (&[0, 25, 56], 2),      // 25 joins 0; 56 is 31 s after 25
            (&[0, 0, 0], 1),        // the same instant
            (&[0, 40, 70, 101], 3), // 0 | 40-70 | 101
        ];
        for (seconds, expected) in table {
            let clicks: Vec<_> = seconds.iter().map(|s| at(*s, 1)).collect();
            let counted = count(&clicks);
            assert_eq!(counted.tieup.tally.views, expected, "{seconds:?}");
            assert_eq!(counted.left_out.double_clicks, seconds.len() as u64 - expected, "{seconds:?}");
        }
    }

    #[test]
    fn the_window_is_exact_to_the_millisecond() {
        let later = |millisecond: i64| {
            let mut entry = at(30, 1);
            entry.time = Timestamp::from_millisecond(entry.time.as_millisecond() + millisecond).unwrap();
            entry
        };
        assert_eq!(views(&[at(0, 1), later(0)]), 1);
        assert_eq!(views(&[at(0, 1), later(1)]), 2);
    }

    #[test]
    fn other_pages_and_other_visitors_are_no_double_click() {
        assert_eq!(views(&[at(0, 1), on("/a/", at(1, 1)), at(2, 2)]), 3);
    }

    #[test]
    fn what_is_left_out_neither_begins_nor_prolongs_a_chain() {
        let robot = AccessEntry { robot: 1, ..at(20, 1) };
        assert_eq!(views(&[at(0, 1), robot, at(40, 1)]), 2);
    }

    #[test]
    fn row_003_47_the_window_is_the_contracts() {
        let patient = contract_with(&[("double_click: 30s", "double_click: 2m")]);
        let clicks = [at(0, 1), at(100, 1)];
        assert_eq!(count_under(&patient, &clicks).tieup.tally.views, 1);
        assert_eq!(count_under(&contract(), &clicks).tieup.tally.views, 2);
    }

    #[test]
    fn a_chain_counts_where_its_last_click_stands() {
        // 12:59:50 and 13:00:10 in Tokyo: one chain, counted in the hour from 13:00.
        let counted = count(&[at(3_590, 1), at(3_610, 1)]);
        let noon = contract().effective.tz.hour_number(at(0, 1).time);
        assert_eq!(counted.hours[&(noon + 1)].tieup.views, 1);
        assert_eq!((counted.tieup.tally.views, counted.tieup.sessions), (1, 1));
        // Bytes were sent in both hours.
        assert_eq!((counted.hours[&noon].tieup.bytes, counted.hours[&noon].tieup.views), (1_000, 0));
        assert_eq!(counted.tieup.tally.bytes, 2_000);
    }

    #[test]
    fn unique_views_sessions_and_visitors() {
        let clicks = [
            at(0, 1),
            on("/a/", at(10, 1)),
            of(Original, on("/local/", at(20, 1))),
            at(20, 2),
            at(600, 1),   // visitor 1 again on `/` in the same hour: a view, not a unique one
            at(3_600, 1), // the next hour: a new session, the same visitor
        ];
        let counted = count(&clicks);
        let totals = |views, unique_views, bytes, sessions, visitors| Totals {
            tally: Tally { views, unique_views, bytes },
            sessions,
            visitors,
        };
        // Tie-up: `/` by 1 (three times) and 2, `/a/` by 1. Sessions: 1 at noon, 2 at noon, 1 at one o'clock.
        assert_eq!(counted.tieup, totals(5, 4, 5_000, 3, 2));
        assert_eq!(counted.original, totals(1, 1, 1_000, 1, 1));
        // The session of visitor 1 at noon saw both classes and is one session here.
        assert_eq!(counted.both, totals(6, 5, 6_000, 3, 2));
        let page = |path: &str| counted.pages[&path.parse().unwrap()];
        assert_eq!(page("/").tieup, Tally { views: 4, unique_views: 3, bytes: 4_000 });
        assert_eq!(page("/local/").original, Tally { views: 1, unique_views: 1, bytes: 1_000 });
        assert_eq!(counted.hours.len(), 2);
    }

    #[test]
    fn a_visitor_stays_one_over_midnight() {
        // Midnight in Tokyo is 15:00 UTC: 23:50 and 00:10 are two days and two sessions, but one visitor.
        let late = view("2026-11-10T14:50:00Z", 1);
        let early = view("2026-11-10T15:10:00Z", 1);
        let counted = count([&late, &early]);
        assert_eq!((counted.tieup.sessions, counted.tieup.visitors), (2, 1));
        // A token that comes back after a day without it is new (rule 6).
        let two_days_on = view("2026-11-12T14:50:00Z", 1);
        assert_eq!(count([&late, &two_days_on]).both.visitors, 2);
    }

    #[test]
    fn the_month_is_cut_at_midnight_in_tokyo() {
        // Midnight in Tokyo is 15:00 UTC of the day before.
        let table = [
            ("2026-10-31T14:59:59.999Z", 0),
            ("2026-10-31T15:00:00Z", 1),
            ("2026-11-30T14:59:59.999Z", 1),
            ("2026-11-30T15:00:00Z", 0),
        ];
        for (time, expected) in table {
            assert_eq!(views(&[view(time, 1)]), expected, "{time}");
        }
        let utc = contract_with(&[("Asia/Tokyo", "UTC")]);
        assert_eq!(count_under(&utc, &[view("2026-10-31T15:00:00Z", 1)]).tieup.tally.views, 0);
    }

    #[test]
    fn clicks_a_little_out_of_order_are_still_repeats() {
        // Visitor 2 moves time on by 9 minutes; the late click at 20 s is still within 30 s of the chain's 0 s.
        assert_eq!(views(&[at(0, 1), at(540, 2), at(20, 1)]), 2);
        // After more than 10 minutes and the window, the chain has ended and the late click is a view of its own.
        assert_eq!(views(&[at(0, 1), at(631, 2), at(20, 1)]), 3);
        assert_eq!(views(&[at(0, 1), at(630, 2), at(20, 1)]), 2);
        // Earlier than the chain by more than the window: a view, and the chain goes on.
        assert_eq!(views(&[at(100, 1), at(0, 1), at(110, 1)]), 2);
    }

    #[test]
    fn one_entry_with_a_wrong_clock_does_not_end_recognition() {
        // An entry from the end of the month between ordinary ones: later double clicks are found all the same.
        let ahead = view("2026-11-30T14:00:00Z", 9);
        assert_eq!(views(&[ahead, at(0, 1), at(10, 1), at(3_000, 2), at(3_010, 2)]), 3);
    }

    #[test]
    fn memory_does_not_grow_with_the_journal() {
        let contract = contract();
        let mut counter = Counter::new(&contract.terms.count, &contract.effective.tz, november());
        for second in 0..200_000 {
            let visitor = VisitorToken(u128::try_from(second).unwrap().to_be_bytes());
            counter.observe(&AccessEntry { visitor, ..at(second, 0) });
        }
        // One click a second: those of the last 630 seconds, and of the last two hours.
        assert!(counter.chains.len() <= 631, "{}", counter.chains.len());
        assert_eq!(counter.chains.len(), counter.by_time.len());
        assert!(counter.hours.len() <= 2 && counter.days.len() <= 2);
        assert_eq!(counter.finish().tieup.visitors, 200_000);
    }

    #[test]
    fn hostile_sizes_do_not_overflow() {
        let huge = |seconds| AccessEntry { bytes: u64::MAX, ..at(seconds, 1) };
        assert_eq!(count(&[huge(0), huge(60)]).tieup.tally.bytes, 2 * u128::from(u64::MAX));
    }

    /// Views, unique views and sessions of both classes by the plainest means: all clicks at hand, nothing forgotten.
    fn plainly(log: &[AccessEntry]) -> (u64, u64, u64) {
        let zone = contract().effective.tz;
        let mut clicks: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for entry in log.iter().filter(|entry| entry.robot == 0 && entry.status == 200) {
            clicks.entry((entry.visitor, &entry.path)).or_default().push((entry.time, entry.class));
        }
        let (mut views, mut uniques, mut sessions) = (0, BTreeSet::new(), BTreeSet::new());
        for ((visitor, path), mut clicks) in clicks {
            clicks.sort();
            for (number, (time, class)) in clicks.iter().enumerate() {
                let next = clicks.get(number + 1);
                if next.is_some_and(|(next, _)| next.as_second() - time.as_second() <= 30) {
                    continue;
                }
                let hour = zone.hour_number(*time);
                views += 1;
                uniques.insert((visitor, path, *class, hour));
                sessions.insert((visitor, hour));
            }
        }
        (views, uniques.len() as u64, sessions.len() as u64)
    }

    proptest! {
        #[test]
        fn streaming_agrees_with_counting_plainly(log in any_log()) {
            let in_month: Vec<_> = log.into_iter().filter(|e| e.time < "2026-11-30T15:00:00Z".parse().unwrap()).collect();
            let counted = count(&in_month);
            let both = &counted.both;
            prop_assert_eq!((both.tally.views, both.tally.unique_views, both.sessions), plainly(&in_month));
        }

        #[test]
        fn parts_add_up_to_the_whole(log in any_log()) {
            let counted = count(&log);
            let left = counted.left_out;
            let left_out = left.other_month + left.no_page + left.robots + left.not_documents + left.not_get
                + left.other_status + left.double_clicks;
            prop_assert_eq!(counted.both.tally.views + left_out, counted.entries);
            for part in [counted.hours.values().copied().collect::<Vec<_>>(), counted.pages.values().copied().collect()] {
                let views: u64 = part.iter().map(|t| t.tieup.views + t.original.views).sum();
                let uniques: u64 = part.iter().map(|t| t.tieup.unique_views + t.original.unique_views).sum();
                let bytes: u128 = part.iter().map(|t| t.tieup.bytes + t.original.bytes).sum();
                prop_assert_eq!(Tally { views, unique_views: uniques, bytes }, counted.both.tally);
            }
        }
    }
}
