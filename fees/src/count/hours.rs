//! The hours of a period, and what was counted in each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tieup_protocol::period::Zone;

use super::counted::ByScope;

/// How many minutes are known at a time: those of clicks, and of views, which are counted when their chains end.
const KNOWN: usize = 32;

/// The counts of hours, found without asking the time zone for each click.
#[derive(Clone, Debug)]
pub(super) struct Hours {
    zone: Zone,
    /// Minutes that the zone was asked for, and where the counts of their hours are. Clocks are set by whole minutes, so
    /// one minute is of one hour.
    known: [Option<(i64, usize)>; KNOWN],
    places: BTreeMap<i64, usize>,
    counts: Vec<(i64, ByScope)>,
}

impl Hours {
    /// No hours yet, of the clock in `zone`.
    pub(super) fn new(zone: &Zone) -> Self {
        Self { zone: zone.clone(), known: [None; KNOWN], places: BTreeMap::new(), counts: Vec::new() }
    }

    /// The number of the hour of `time`, and what was counted in it.
    pub(super) fn of(&mut self, time: Timestamp) -> (i64, &mut ByScope) {
        let minute = time.as_second().div_euclid(60);
        let slot = usize::try_from(minute.unsigned_abs() % KNOWN as u64).unwrap_or_default();
        let place = match self.known[slot] {
            Some((known, place)) if known == minute => place,
            _ => self.place(self.zone.hour_number(time)),
        };
        self.known[slot] = Some((minute, place));
        let (number, counts) = &mut self.counts[place];
        (*number, counts)
    }

    /// The counts of the hour with this number.
    pub(super) fn put(&mut self, number: i64, counts: ByScope) {
        let place = self.place(number);
        self.counts[place].1 = counts;
    }

    /// All hours that have any.
    pub(super) fn counts(&self) -> BTreeMap<i64, ByScope> {
        self.counts.iter().copied().collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    fn place(&mut self, number: i64) -> usize {
        let next = self.counts.len();
        let place = *self.places.entry(number).or_insert(next);
        if place == next {
            self.counts.push((number, ByScope::default()));
        }
        place
    }
}
