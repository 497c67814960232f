//! The rules by which a journal is held against the heartbeats of the daemon that writes it: what the daemon says it has
//! answered since it was started.
//!
//! A daemon counts an answer once its entry is written, and an entry's time is that at which the answer began, by the
//! clock of the same machine. So between two heartbeats of one process there are as many entries as answers, or more.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::contract::MeterClass;
use tieup_protocol::wire::Answered;

use super::finding::{Finding, Seen};
use super::terms::Terms;
use super::usual::Timeline;
use super::witness::{Heartbeat, Pulse};

/// How many seconds an entry may be older than the heartbeat after which its answer was counted. Part of `counters/1`.
pub const UNDER_WAY: i64 = 60;

/// How many starts in a month are many: 10. Part of `restarts/1`.
pub const STARTS: u64 = 10;

/// How many entries there are of each minute: of tie-up pages, of original pages, and of where nothing stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Minutes(BTreeMap<i64, [u64; 3]>);

impl Minutes {
    /// Takes the next entry.
    pub(super) fn observe(&mut self, entry: &AccessEntry) {
        let class = match entry.class {
            Some(MeterClass::Tieup) => 0,
            Some(MeterClass::Original) => 1,
            None => 2,
        };
        self.0.entry(minute(entry.time)).or_default()[class] += 1;
    }

    /// The entries that an answer may have which was counted between these two instants, and perhaps some more.
    fn between(&self, from: Timestamp, until: Timestamp) -> [u64; 3] {
        let first = (from.as_second() - UNDER_WAY).div_euclid(60);
        let mut sums = [0; 3];
        for entries in self.0.range(first..=minute(until).max(first)).map(|(_, entries)| entries) {
            sums.iter_mut().zip(entries).for_each(|(sum, entries)| *sum += entries);
        }
        sums
    }
}

fn minute(time: Timestamp) -> i64 {
    time.as_second().div_euclid(60)
}

/// A month as heartbeats are held against it.
pub(super) struct Month<'a> {
    /// Its hours.
    pub(super) timeline: &'a Timeline,
    /// Its minutes.
    pub(super) minutes: &'a Minutes,
    /// How many entries main holds of it.
    pub(super) held: u64,
    /// Whose clocks cut it.
    pub(super) terms: &'a Terms,
}

/// What is found.
pub(super) fn apply(month: &Month<'_>, pulse: &Pulse) -> Vec<Finding> {
    let mut found = fewer_logged(month, &pulse.heartbeats);
    found.extend(shorter(month, pulse));
    found.extend(silences(month, &pulse.heartbeats));
    found.extend(restarts(month, &pulse.heartbeats));
    found
}

/// `counters/1`: fewer entries of a class than answers that the daemon counted from one heartbeat to the next, or from
/// its start to the first. Such times one after another are one finding.
fn fewer_logged(month: &Month<'_>, heartbeats: &[Heartbeat]) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let mut last: Option<&Heartbeat> = None;
    let mut adjacent = false;
    for heartbeat in heartbeats {
        let before = last.filter(|last| last.started == heartbeat.started);
        let (from, known) = before.map_or((heartbeat.started, Answered::default()), |last| (last.at, last.answered));
        let lacking = lacking(month, (from, known), heartbeat);
        if let Some(seen) = lacking {
            let joined = if adjacent && before.is_some() { found.pop() } else { None };
            let [first, last] = [from, heartbeat.at].map(|time| month.terms.hour_number(time));
            found.push(joined.map_or(Finding { first, last, seen: seen.clone() }, |joined| with(&joined, &seen, last)));
            adjacent = true;
        } else {
            adjacent = false;
        }
        last = Some(heartbeat);
    }
    found
}

/// What entries lack of the answers that were counted after `known`, which was told at `from`.
fn lacking(month: &Month<'_>, (from, known): (Timestamp, Answered), now: &Heartbeat) -> Option<Seen> {
    let span = month.terms.span();
    if from < span.start || now.at >= span.end || now.at < from {
        return None;
    }
    let logged = month.minutes.between(from, now.at);
    let answered = [
        now.answered.tieup.saturating_sub(known.tieup),
        now.answered.original.saturating_sub(known.original),
        now.answered.nothing.saturating_sub(known.nothing),
    ];
    let missing: u64 = answered.iter().zip(logged).map(|(answered, logged)| answered.saturating_sub(logged)).sum();
    (missing > 0).then(|| Seen::FewerLogged { answered: answered.iter().sum(), missing })
}

/// An earlier finding and a later one, up to hour `last`, as one.
fn with(earlier: &Finding, later: &Seen, last: i64) -> Finding {
    let seen = match (&earlier.seen, later) {
        (Seen::FewerLogged { answered, missing }, Seen::FewerLogged { answered: more, missing: besides }) => {
            Seen::FewerLogged { answered: answered + more, missing: missing + besides }
        }
        _ => later.clone(),
    };
    Finding { first: earlier.first, last, seen }
}

/// `counters/1`: a heartbeat told of more entries than main got afterwards.
fn shorter(month: &Month<'_>, pulse: &Pulse) -> Option<Finding> {
    let (at, told) = pulse.told?;
    let seen = Seen::ShorterThanTold { told, held: month.held };
    (told > month.held).then(|| Finding::at(month.terms.hour_number(at), seen))
}

/// `silence/1`: hours without a heartbeat, between two with heartbeats.
fn silences(month: &Month<'_>, heartbeats: &[Heartbeat]) -> Vec<Finding> {
    let hours: BTreeSet<i64> = heartbeats.iter().map(|heartbeat| month.terms.hour_number(heartbeat.at)).collect();
    let pairs = hours.iter().zip(hours.iter().skip(1)).filter(|(before, after)| **after - **before > 1);
    let silence = |(before, after): (&i64, &i64)| {
        let (first, last) = (before + 1, after - 1);
        let entries = (first..=last).map(|hour| month.timeline.at(hour).entries).sum();
        Finding { first, last, seen: Seen::Silence { hours: (last - first + 1).unsigned_abs(), entries } }
    };
    pairs.map(silence).collect()
}

/// `restarts/1`: [`STARTS`] or more processes that began within the month.
fn restarts(month: &Month<'_>, heartbeats: &[Heartbeat]) -> Option<Finding> {
    let span = month.terms.span();
    let is_within = |time: &Timestamp| span.contains(time);
    let starts: BTreeSet<Timestamp> = heartbeats.iter().map(|heartbeat| heartbeat.started).filter(is_within).collect();
    let (first, last) = (month.terms.hour_number(*starts.first()?), month.terms.hour_number(*starts.last()?));
    let times = starts.len() as u64;
    (times >= STARTS).then_some(Finding { first, last, seen: Seen::Restarts { times } })
}
