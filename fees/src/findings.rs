//! Findings: what in a month's journal is not as visits by people usually are. Nothing here changes a count or a fee.
//!
//! A verified journal is one that nobody rewrote; it may still hold visits that never were, and lack some that were.
//! Each rule has a name and a version, and says of which hours it speaks, by which figures. A finding is a question to
//! ask a partner, and no proof. `docs/honesty.md` says what each rule can and cannot show.
//!
//! What the rules have in common, complete enough to be written again from this text:
//!
//! 1. Entries are taken in the order of the journal; those whose time is not within the month in the contract's zone
//!    are counted and otherwise passed over. Zone and list of robots are those of the version that governs the day.
//! 2. **Documents** are entries that have a class, were asked for by GET as documents, and were answered 200 or 304.
//!    One on the page that the same visitor asked for last in this hour, at most [`REPEAT`] from it, is a repeat and
//!    no document. **Views** are documents that no robot rule of the list that the contract pins matched.
//! 3. **Visitors** are the visitor tokens of an hour of the clock in the contract's zone, with entries of any kind.
//! 4. What main knows by itself comes in as a [`Witness`]; `witnessed` says what is compared with it.
//! 5. At most [`OPEN_HOURS`] hours are open at a time. An entry in another hour closes the one that was not read for
//!    longest; what comes in an hour that was closed begins it anew, and is added to what was known of it. So memory
//!    grows with the visitors of an hour, and not with the journal.

mod finding;
mod hour;
mod pulse;
mod questioned;
mod rules;
mod sentence;
mod terms;
mod usual;
mod witness;
mod witnessed;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::path::SitePath;

use self::hour::{Hour, OpenHour};
use self::pulse::Minutes;
use self::usual::Timeline;
use crate::compute::{StatementError, read_entries};
use crate::count::DISORDER;

pub use self::finding::{Figure, Finding, Rule, Seen, Severity};
pub use self::hour::{FEW, RATE, RELOADS, REPEAT};
pub use self::pulse::{STARTS, UNDER_WAY};
pub use self::questioned::{Questioned, given_by_visits, questioned};
pub use self::rules::{BUSY, MANY, SPREADS, TIMES};
pub use self::terms::Terms;
pub use self::witness::{Beacons, Heartbeat, Pulse, Witness};
pub use self::witnessed::{CHANCES, UNEXPLAINED};

/// How many hours are open at a time: the one that is logged and, as its answers end, the one before.
pub const OPEN_HOURS: usize = 2;

/// Looks through the entries of one month, one by one.
#[derive(Clone, Debug)]
pub struct Examiner {
    terms: Terms,
    /// Those open, the one that was read last at the end.
    open: Vec<(i64, OpenHour)>,
    /// What is known of hours that were closed, by [`Zone::hour_number`].
    hours: BTreeMap<i64, Hour>,
    /// The tie-up pages that were served.
    served: BTreeSet<SitePath>,
    /// How many there are of each minute.
    minutes: Minutes,
    /// The latest time since times last stepped back.
    latest: Option<Timestamp>,
    entries: u64,
    other_month: u64,
}

/// What was found in a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// How many entries were read.
    pub entries: u64,
    /// How many of them were passed over, since their time is not within the month.
    pub other_month: u64,
    /// What was found, by the first hour, then by rule.
    pub findings: Vec<Finding>,
}

/// What is found in the encoded `entries` of a month, all of them and in their order, and in what main knows of it by
/// itself; hours and robots are those of its `terms`.
///
/// # Errors
/// An entry that cannot be read or decoded, with its number.
pub fn examine<E>(
    terms: Terms,
    entries: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    witness: &Witness,
) -> Result<Findings, StatementError<E>> {
    let mut examiner = Examiner::new(terms);
    read_entries(entries, |entry| examiner.observe(entry))?;
    Ok(examiner.finish(witness))
}

impl Examiner {
    /// An examiner of the month that has these terms.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            open: Vec::with_capacity(OPEN_HOURS),
            hours: BTreeMap::new(),
            served: BTreeSet::new(),
            minutes: Minutes::default(),
            latest: None,
            entries: 0,
            other_month: 0,
        }
    }

    /// Takes the next entry of the journal.
    pub fn observe(&mut self, entry: &AccessEntry) {
        self.entries += 1;
        let Some(terms) = self.terms.within(entry.time) else {
            self.other_month += 1;
            return;
        };
        let (hour, counts) = (terms.hour_number(entry.time), terms.has(entry.robot));
        self.follow(entry.time, hour);
        let counted = if counts { Cow::Borrowed(entry) } else { Cow::Owned(AccessEntry { robot: 0, ..entry.clone() }) };
        self.open(hour).observe(&counted);
        self.minutes.observe(entry);
        // Beacons are counted by the newest list, so what is held against them is, too.
        if hour::is_served(entry) {
            self.open(hour).serve(entry);
            if !self.served.contains(&entry.path) {
                self.served.insert(entry.path.clone());
            }
        }
    }

    /// What was found, also of what `witness` says.
    pub fn finish(mut self, witness: &Witness) -> Findings {
        for (number, open) in std::mem::take(&mut self.open) {
            self.close(number, open);
        }
        let timeline = Timeline::new(&self.terms, self.hours);
        let mut findings = rules::apply(&timeline);
        findings.extend(witnessed::apply(&timeline, &self.served, witness));
        let (minutes, held, terms) = (&self.minutes, self.entries, &self.terms);
        let month = pulse::Month { timeline: &timeline, minutes, held, terms };
        findings.extend(pulse::apply(&month, &witness.pulse));
        findings.sort_by_key(|finding| (finding.first, finding.rule()));
        Findings { entries: self.entries, other_month: self.other_month, findings }
    }

    /// Notes it where times step back; from there on, time is what it stepped back to.
    fn follow(&mut self, time: Timestamp, hour: i64) {
        let Some(latest) = self.latest.filter(|latest| *latest > time) else {
            self.latest = Some(time);
            return;
        };
        let back = latest.as_millisecond() - time.as_millisecond();
        if back > DISORDER {
            self.hours.entry(hour).or_default().step_back(back.unsigned_abs());
            self.latest = Some(time);
        }
    }

    /// The hour that an entry belongs to, open.
    fn open(&mut self, number: i64) -> &mut OpenHour {
        if let Some(at) = self.open.iter().position(|(open, _)| *open == number) {
            let hour = self.open.remove(at);
            self.open.push(hour);
        } else {
            if self.open.len() >= OPEN_HOURS {
                let (oldest, open) = self.open.remove(0);
                self.close(oldest, open);
            }
            self.open.push((number, OpenHour::default()));
        }
        let end = self.open.len() - 1;
        &mut self.open[end].1
    }

    fn close(&mut self, number: i64, open: OpenHour) {
        self.hours.entry(number).or_default().add(&open.close());
    }
}

#[cfg(test)]
mod tests;
