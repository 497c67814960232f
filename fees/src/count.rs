//! Counting: which journal entries are views, and how many there were. The rule set `page-view/1`.
//!
//! The rules, after COUNTER R5.1, complete enough to be written again in another language from this text alone:
//!
//! 1. **What takes part.** Entries are taken in the order of the journal. An entry is left out for the first of these
//!    reasons that fits: both sides have struck it out; its time is not within the period in the contract's zone;
//!    nothing stands at its path (it has no class); a robot rule of the list that the contract pins matched; its purpose
//!    is not a document; its method is not GET; its status is neither 200 nor 304. What remains are *clicks*.
//! 2. **Double clicks.** Clicks of one visitor on one page form a chain. A click whose time differs by at most the
//!    contract's `double_click` from the chain's time joins the chain, and the later of the two gives the chain its
//!    time and class (at the same time, `original` wins over `tieup`): always remove the first, retain the second. A
//!    chain of any length is one view. A click later than that ends the chain and begins the next; a click earlier
//!    than that, which came out of order, is a view by itself and leaves the chain as it is.
//! 3. **Open chains end** when a click arrives, on any page by any visitor, whose time is more than `double_click` and
//!    [`DISORDER`] after the chain's. So memory does not grow with the journal, and clicks up to [`DISORDER`] out of
//!    order are still recognized as repeats. Chains do not cross periods: what a period begins with is a view of it.
//! 4. **Views** count in the hour, class and page of their chain's last click, chains that end together in the order of
//!    their times, those still open at the end of the journal likewise.
//!    Its place in files, tiles or batches changes nothing: chains cross hours and files alike.
//! 5. **Sessions** are a visitor in one hour of the clock in the contract's zone. **Unique views** are pages that a
//!    session viewed at least once. An hour is remembered until a view two hours or more later is counted; a view in
//!    an hour that was forgotten begins that hour anew.
//! 6. **Visitors** are visitor tokens. One that was not seen on the day of the view or the day before is new; the
//!    tokens of two days differ in any case, since their key is changed daily. Days are forgotten as hours are.
//! 7. **Bytes** are those of all clicks, repeats included, since they were sent; they count in the hour of each click.
//!
//! One consequence of rule 2 is COUNTER's own: a click can join two chains, so a journal with one click more can have
//! one view less.

mod counted;
mod hours;
mod kept;
mod pages;
#[cfg(test)]
mod plain;
mod queue;
mod seen;
mod visitor;
mod visitors;

use jiff::Timestamp;
use tieup_protocol::access::{AccessEntry, InvalidEntry, Method, Purpose, VisitorToken, path_of};
use tieup_protocol::contract::{Count, MeterClass};
use tieup_protocol::path::SitePath;
use tieup_protocol::period::{Month, Period, Zone};
use tieup_protocol::robots;

use self::hours::Hours;
use self::pages::{PageNumber, Pages};
use self::queue::Queue;
use self::visitors::{VisitorNumber, Visitors};

pub(crate) use self::kept::Kept;

pub use self::counted::{ByClass, ByScope, Counted, LeftOut, Tally, Totals};

/// How far out of order clicks may stand in the journal and still be recognized as repeats: ten minutes, in
/// milliseconds. Part of the rule set.
pub const DISORDER: i64 = 600_000;

/// How many clicks are counted together.
const TOGETHER: usize = 64;

/// Counts the entries of one month, one by one.
///
/// Memory grows with the pages of the site, with the visitors of the last two days, and with the most visitors that were
/// there within two hours, whose records are used again and not given back; not with the journal.
///
/// The maps hash quickly rather than cryptographically. What is looked up are tokens, which are keyed hashes under a key
/// that is destroyed, and paths of pages that stand on the site; and the hashes are seeded anew in each process, so
/// whoever writes a journal by hand cannot know which tokens would meet. No count depends on a map's order.
#[derive(Clone, Debug)]
pub struct Counter {
    from: Timestamp,
    until: Timestamp,
    /// The longest time between two clicks of a double click, in milliseconds.
    window: i64,
    /// The last robot rule of the list that the contract pins.
    last_robot: u16,
    pages: Pages,
    /// The open chains with their visitors, and who was seen.
    visitors: Visitors,
    /// All open chains, each once.
    by_time: Queue,
    /// Clicks that were admitted and not counted yet, so that their visitors are looked up together.
    waiting: Vec<Waiting>,
    hours: Hours,
    counted: Counted,
}

impl Counter {
    /// A counter of `month` in `zone` by the contract's rules.
    pub fn new(rules: &Count, zone: &Zone, month: Month) -> Self {
        Self::of_period(rules, zone, Period::whole(month))
    }

    /// A counter of the days of `period` in `zone` by the contract's rules.
    pub fn of_period(rules: &Count, zone: &Zone, period: Period) -> Self {
        Self {
            from: period.start(zone),
            until: period.end(zone),
            window: i64::from(rules.double_click.seconds()) * 1_000,
            // A contract that was parsed pins a list that is known.
            last_robot: robots::words_of(rules.robots).unwrap_or(u16::MAX),
            pages: Pages::default(),
            visitors: Visitors::default(),
            by_time: Queue::default(),
            waiting: Vec::with_capacity(TOGETHER),
            hours: Hours::new(zone),
            counted: Counted::new(rules, zone, period),
        }
    }

    /// Takes the next entry of the journal.
    pub fn observe(&mut self, entry: &AccessEntry) {
        if let Some(class) = self.admit(entry) {
            let page = self.pages.number(&entry.path);
            self.admitted(entry, class, page);
        }
    }

    /// Takes the next entry of the journal as its bytes.
    ///
    /// # Errors
    /// When they are no entry: nothing was counted.
    pub fn observe_encoded(&mut self, bytes: &[u8]) -> Result<(), InvalidEntry> {
        let entry = AccessEntry::decode_with(bytes, |path| match self.pages.known(path) {
            Some(page) => Ok(Page::Known(page)),
            None => path_of(path).map(Page::Unknown),
        })?;
        if let Some(class) = self.admit(&entry) {
            let page = match &entry.path {
                Page::Known(page) => *page,
                Page::Unknown(path) => self.pages.number(path),
            };
            self.admitted(&entry, class, page);
        }
        Ok(())
    }

    /// Passes over the next entry of the journal, since both sides have struck it out.
    pub fn strike(&mut self) {
        self.counted.entries += 1;
        self.counted.left_out.struck += 1;
    }

    /// Counts the clicks that wait for others, as a counter must have done that is put away.
    pub(crate) fn settle(&mut self) {
        self.count_waiting();
    }

    /// What was counted. Chains that are still open count.
    pub fn finish(mut self) -> Counted {
        self.count_waiting();
        self.end_chains_before(Moment::MAX);
        self.counted.hours = self.hours.counts();
        self.counted.sum_hours();
        self.counted.pages = self.pages.tallies().iter().cloned().collect();
        self.counted
    }

    /// The class of the next entry, if it is a click.
    fn admit<P>(&mut self, entry: &AccessEntry<P>) -> Option<MeterClass> {
        self.counted.entries += 1;
        let judged = self.judge(entry);
        judged.map_err(|reason| *reason.counter(&mut self.counted.left_out) += 1).ok()
    }

    /// The class of a click, or why the entry is none (rule 1).
    fn judge<P>(&self, entry: &AccessEntry<P>) -> Result<MeterClass, Reason> {
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

    fn admitted<P>(&mut self, entry: &AccessEntry<P>, class: MeterClass, page: PageNumber) {
        let (time, visitor, bytes) = (entry.time.as_millisecond(), entry.visitor, entry.bytes);
        self.waiting.push(Waiting { time, visitor, bytes, page, class });
        if self.waiting.len() == TOGETHER {
            self.count_waiting();
        }
    }

    /// Counts the clicks that wait.
    ///
    /// What will be asked for is touched first: nothing of it waits for another, so that the processor fetches much of it
    /// from memory at a time rather than one after the other.
    fn count_waiting(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.visitors.touch_chains(waiting.iter().map(|click| click.visitor));
        self.visitors.touch_pages(self.by_time.next_in_line().take(waiting.len()));
        for click in waiting.drain(..) {
            self.click(click);
        }
        self.waiting = waiting;
    }

    fn click(&mut self, Waiting { time, visitor, bytes, page, class }: Waiting) {
        let moment = self.moment(time).expect("a period has at most a month, and the click is within it");
        // Where this is before the period's first moment, no chain is older.
        if let Ok(ended) = Moment::try_from(i64::from(moment) - self.window - DISORDER) {
            self.end_chains_before(ended);
        }
        let (_, counts) = self.hours.of(time);
        for scope in [Some(class), None] {
            counts.of(scope).tally.bytes += u128::from(bytes);
        }
        self.pages.tally(page, class).bytes += u128::from(bytes);
        self.chain(visitor, page, Click { time: moment, class });
    }

    /// A time as a moment of the period, if it is one.
    fn moment(&self, millisecond: i64) -> Option<Moment> {
        millisecond.checked_sub(self.from.as_millisecond())?.try_into().ok()
    }

    /// The time of a moment of the period, in milliseconds since 1970.
    fn time(&self, moment: Moment) -> i64 {
        self.from.as_millisecond() + i64::from(moment)
    }

    /// Rule 2.
    fn chain(&mut self, token: VisitorToken, page: PageNumber, click: Click) {
        let visitor = self.visitors.number(token);
        let Some(chain) = self.visitors.chain(visitor, page) else {
            self.visitors.open_chain(visitor, page, click);
            self.by_time.put((click.time, visitor, page));
            return;
        };
        let last = *chain;
        if i64::from(click.time.abs_diff(last.time)) <= self.window {
            self.counted.left_out.double_clicks += 1;
            *chain = last.max(click);
        } else if click.time < last.time {
            self.view(visitor, page, click);
        } else {
            *chain = click;
            self.view(visitor, page, last);
        }
    }

    /// Ends the chains whose time is before `time`, in the order of their times (rule 3).
    fn end_chains_before(&mut self, time: Moment) {
        while let Some((oldest, visitor, page)) = self.by_time.take_before(time) {
            let Some(last) = self.visitors.chain(visitor, page).copied() else { continue };
            if last.time > oldest {
                // It was repeated since, and its turn comes later.
                self.by_time.put((last.time, visitor, page));
            } else {
                self.view(visitor, page, last);
                self.visitors.end_chain(visitor, page);
            }
        }
    }

    /// Counts one view (rules 4 to 6) of a visitor who has an open chain.
    fn view(&mut self, visitor: VisitorNumber, page: PageNumber, click: Click) {
        let Click { time, class } = click;
        let time = self.time(time);
        let (hour, counts) = self.hours.of(time);
        let new = self.visitors.see(visitor, page, class, hour);
        self.pages.tally(page, class).add_view(new.page);
        for (scope, new_session, new_visitor) in
            [(Some(class), new.session.of_class, new.visitor.of_class), (None, new.session.of_all, new.visitor.of_all)]
        {
            let totals = counts.of(scope);
            totals.tally.add_view(new.page);
            totals.sessions += u64::from(new_session);
            totals.visitors += u64::from(new_visitor);
        }
    }
}

/// Milliseconds since the period began, which has at most a month.
type Moment = u32;

/// The last click of a chain. The order is that in which one click replaces another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Click {
    time: Moment,
    class: MeterClass,
}

/// A click that is to be counted.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Milliseconds since 1970.
    time: i64,
    visitor: VisitorToken,
    bytes: u64,
    page: PageNumber,
    class: MeterClass,
}

/// The page of an entry that is read: its number, or where it has none yet, its path.
enum Page {
    Known(PageNumber),
    Unknown(SitePath),
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
mod tests;
