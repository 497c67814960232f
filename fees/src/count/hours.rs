//! The hours of a period, and what was counted in each.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tieup_protocol::period::Zone;

use super::counted::ByScope;

/// How many minutes are known at a time: those of clicks, and of views, which are counted when their chains end.
const KNOWN: usize = 32;

/// Which hour, by the order in which hours of the period were first counted in.
pub(super) type HourPlace = u16;

/// An hour of the period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hour {
    /// By [`Zone::hour_number`].
    pub(super) number: i64,
    pub(super) place: HourPlace,
}

/// The counts of hours, found without asking the time zone for each click.
#[derive(Clone, Debug)]
pub(super) struct Hours {
    zone: Zone,
    /// Minutes that the zone was asked for, and where the counts of their hours are. Clocks are set by whole minutes, so
    /// one minute is of one hour.
    known: [Option<(i64, HourPlace)>; KNOWN],
    places: BTreeMap<i64, HourPlace>,
    counts: Vec<(i64, ByScope)>,
}

impl Hours {
    /// No hours yet, of the clock in `zone`.
    pub(super) fn new(zone: &Zone) -> Self {
        Self { zone: zone.clone(), known: [None; KNOWN], places: BTreeMap::new(), counts: Vec::new() }
    }

    /// The hour of `time`, in milliseconds since 1970, and what was counted in it.
    pub(super) fn of(&mut self, time: i64) -> (Hour, &mut ByScope) {
        let minute = time.div_euclid(60_000);
        let slot = usize::try_from(minute.unsigned_abs() % KNOWN as u64).unwrap_or_default();
        let place = match self.known[slot] {
            Some((known, place)) if known == minute => place,
            _ => {
                let time = Timestamp::from_millisecond(time).expect("the time of a click was a timestamp before");
                self.place(self.zone.hour_number(time))
            }
        };
        self.known[slot] = Some((minute, place));
        let (number, counts) = &mut self.counts[usize::from(place)];
        (Hour { number: *number, place }, counts)
    }

    /// The hour with this number, if anything was counted in it.
    pub(super) fn find(&self, number: i64) -> Option<Hour> {
        self.places.get(&number).map(|place| Hour { number, place: *place })
    }

    /// The counts of the hour with this number.
    pub(super) fn put(&mut self, number: i64, counts: ByScope) {
        let place = self.place(number);
        self.counts[usize::from(place)].1 = counts;
    }

    /// All hours that have any.
    pub(super) fn counts(&self) -> BTreeMap<i64, ByScope> {
        self.counts.iter().copied().collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    fn place(&mut self, number: i64) -> HourPlace {
        let next = self.counts.len().try_into().expect("a month has fewer than a thousand hours");
        let place = *self.places.entry(number).or_insert(next);
        if place == next {
            self.counts.push((number, ByScope::default()));
        }
        place
    }
}

impl Hour {
    /// The number of its day: days since 1970-01-01 in the zone.
    pub(super) fn day(self) -> i64 {
        self.number.div_euclid(24)
    }
}
