//! The rules once more, by the plainest means: each set is a set, nothing is packed and no look-up is spared. What
//! [`Counter`](super::Counter) counts is tested against this.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use tieup_protocol::access::{AccessEntry, Method, Purpose, VisitorToken};
use tieup_protocol::contract::{Count, MeterClass};
use tieup_protocol::path::SitePath;
use tieup_protocol::period::{Period, Zone};
use tieup_protocol::robots;

use super::{ByClass, Counted, DISORDER, Reason, Tally};

/// Counts the entries of one month, one by one.
///
/// Memory grows with the pages of the site and with the visitors of the last two days, not with the journal.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    from: Timestamp,
    until: Timestamp,
    zone: Zone,
    /// The longest time between two clicks of a double click, in milliseconds.
    window: i64,
    /// The last robot rule of the list that the contract pins.
    last_robot: u16,
    pages: Pages,
    /// The last click of every open chain.
    chains: HashMap<(VisitorToken, PageNumber), Click>,
    /// The same chains by a time that each had: its own or an earlier one, so that a repeat moves nothing here.
    by_time: BTreeSet<(i64, VisitorToken, PageNumber)>,
    /// The minute of the last click, and its hour, which the time zone was asked for.
    last_hour: Option<(i64, i64)>,
    hours: BTreeMap<i64, OpenHour>,
    days: BTreeMap<i64, Seen>,
    counted: Counted,
}

impl Plain {
    /// A counter of the days of `period` in `zone` by the contract's rules.
    pub(super) fn of_period(rules: &Count, zone: &Zone, period: Period) -> Self {
        Self {
            from: period.start(zone),
            until: period.end(zone),
            zone: zone.clone(),
            window: i64::from(rules.double_click.seconds()) * 1_000,
            // A contract that was parsed pins a list that is known.
            last_robot: robots::words_of(rules.robots).unwrap_or(u16::MAX),
            pages: Pages::default(),
            chains: HashMap::new(),
            by_time: BTreeSet::new(),
            last_hour: None,
            hours: BTreeMap::new(),
            days: BTreeMap::new(),
            counted: Counted::new(rules, zone, period),
        }
    }

    /// Takes the next entry of the journal.
    pub(super) fn observe(&mut self, entry: &AccessEntry) {
        self.counted.entries += 1;
        match self.judge(entry) {
            Ok(class) => self.click(entry, class),
            Err(reason) => *reason.counter(&mut self.counted.left_out) += 1,
        }
    }

    /// Passes over the next entry of the journal, since both sides have struck it out.
    pub(super) fn strike(&mut self) {
        self.counted.entries += 1;
        self.counted.left_out.struck += 1;
    }

    /// What was counted. Chains that are still open count.
    pub(super) fn finish(mut self) -> Counted {
        self.end_chains_before(i64::MAX);
        self.counted.sum_hours();
        self.counted.pages = self.pages.tallies();
        self.counted
    }

    /// The class of a click, or why the entry is none (rule 1).
    fn judge(&self, entry: &AccessEntry) -> Result<MeterClass, Reason> {
        if entry.time < self.from || entry.time >= self.until {
            return Err(Reason::OtherMonth);
        }
        let class = entry.class.ok_or(Reason::NoPage)?;
        if (1..=self.last_robot).contains(&entry.robot) {
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
        let hour = self.hour(entry.time);
        let counts = self.counted.hours.entry(hour).or_default();
        for scope in [Some(class), None] {
            counts.of(scope).tally.bytes += u128::from(entry.bytes);
        }
        self.pages.tally(page, class).bytes += u128::from(entry.bytes);
        self.chain(entry.visitor, page, Click { time, class });
    }

    /// Rule 2.
    fn chain(&mut self, visitor: VisitorToken, page: PageNumber, click: Click) {
        let Some(chain) = self.chains.get_mut(&(visitor, page)) else {
            self.chains.insert((visitor, page), click);
            self.by_time.insert((click.time, visitor, page));
            return;
        };
        let last = *chain;
        if click.time.abs_diff(last.time) <= self.window.unsigned_abs() {
            self.counted.left_out.double_clicks += 1;
            *chain = last.max(click);
        } else if click.time < last.time {
            self.view(visitor, page, click);
        } else {
            *chain = click;
            self.view(visitor, page, last);
        }
    }

    /// The hour of a click. Clocks are set by whole minutes, so one minute is of one hour.
    fn hour(&mut self, time: Timestamp) -> i64 {
        let minute = time.as_second().div_euclid(60);
        if let Some((_, hour)) = self.last_hour.filter(|(last, _)| *last == minute) {
            return hour;
        }
        let hour = self.zone.hour_number(time);
        self.last_hour = Some((minute, hour));
        hour
    }

    /// Ends the chains whose time is before `time`, in the order of their times (rule 3).
    fn end_chains_before(&mut self, time: i64) {
        while let Some(&(oldest, visitor, page)) = self.by_time.first() {
            if oldest >= time {
                break;
            }
            self.by_time.pop_first();
            let Some(&click) = self.chains.get(&(visitor, page)) else { continue };
            if click.time > oldest {
                // It was repeated since, and its turn comes later.
                self.by_time.insert((click.time, visitor, page));
            } else {
                self.chains.remove(&(visitor, page));
                self.view(visitor, page, click);
            }
        }
    }

    /// Counts one view (rules 4 to 6).
    fn view(&mut self, visitor: VisitorToken, page: PageNumber, click: Click) {
        let Click { time, class } = click;
        let instant = Timestamp::from_millisecond(time).expect("the time of a click was a timestamp before");
        let hour = self.hour(instant);
        let day = hour.div_euclid(24);
        forget_before(&mut self.hours, hour - 1);
        forget_before(&mut self.days, day - 1);

        let open = self.hours.entry(hour).or_default();
        let unique = open.pages.insert((visitor, page, class));
        self.pages.tally(page, class).add_view(unique);
        let counts = self.counted.hours.entry(hour).or_default();
        for scope in [Some(class), None] {
            let seen = (visitor, scope);
            let yesterday = self.days.get(&(day - 1)).is_some_and(|day| day.contains(&seen));
            let new_visitor = self.days.entry(day).or_default().insert(seen) && !yesterday;
            let totals = counts.of(scope);
            totals.tally.add_view(unique);
            totals.sessions += u64::from(open.visitors.insert(seen));
            totals.visitors += u64::from(new_visitor);
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
