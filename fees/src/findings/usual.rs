//! What is usual at an hour: the median of the hours that it can be compared with, and how far they spread.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use num_rational::Ratio;

use super::hour::Hour;
use super::terms::Terms;

/// How many other hours there must be to say what is usual.
pub(super) const ENOUGH: usize = 3;

/// The hours after which days and weeks are alike.
const WEEK: i64 = 7 * 24;
const DAY: i64 = 24;

/// The hours of a journal, from the first that has an entry to the last.
pub(super) struct Timeline {
    /// All hours that the clocks showed, also those without entries. Where clocks skip an hour there is none.
    calendar: BTreeSet<i64>,
    hours: BTreeMap<i64, Hour>,
    empty: Hour,
}

/// What is usual at an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usual {
    /// The median of the other hours.
    pub(super) median: Ratio<u64>,
    /// The median of how far each of them is from that: their MAD.
    pub(super) spread: Ratio<u64>,
}

impl Timeline {
    /// The hours of a journal, of what is known of those that have entries.
    pub(super) fn new(terms: &Terms, hours: BTreeMap<i64, Hour>) -> Self {
        let ends = hours.first_key_value().zip(hours.last_key_value());
        let calendar = match ends {
            Some(((first, _), (last, _))) => calendar(terms).range(first..=last).copied().collect(),
            None => BTreeSet::new(),
        };
        Self { calendar, hours, empty: Hour::default() }
    }

    /// All hours in their order.
    pub(super) fn hours(&self) -> impl Iterator<Item = (i64, &Hour)> {
        self.calendar.iter().map(|number| (*number, self.at(*number)))
    }

    /// What is known of an hour; an empty one where nothing is.
    pub(super) fn at(&self, number: i64) -> &Hour {
        self.hours.get(&number).unwrap_or(&self.empty)
    }

    /// What is usual at an hour: by the same hour of the other weeks where there are [`ENOUGH`] of them, else by the
    /// same hour of the other days; nothing where there are not enough of those either.
    pub(super) fn usual(&self, number: i64, quantity: impl Fn(&Hour) -> u64) -> Option<Usual> {
        [WEEK, DAY].into_iter().find_map(|period| {
            let alike = |other: &&i64| **other != number && (**other - number) % period == 0;
            let others: Vec<u64> = self.calendar.iter().filter(alike).map(|other| quantity(self.at(*other))).collect();
            (others.len() >= ENOUGH).then(|| Usual::of(&others))
        })
    }
}

impl Usual {
    /// What is usual where there are these `samples`, of which there is one at least.
    fn of(samples: &[u64]) -> Self {
        let samples: Vec<Ratio<u64>> = samples.iter().copied().map(Ratio::from_integer).collect();
        let median = median(samples.clone());
        let distance = |sample: Ratio<u64>| if sample > median { sample - median } else { median - sample };
        Self { median, spread: self::median(samples.into_iter().map(distance).collect()) }
    }
}

/// The middle one, or what is halfway between the two in the middle. There is one at least.
fn median(mut samples: Vec<Ratio<u64>>) -> Ratio<u64> {
    samples.sort_unstable();
    let middle = samples.len() / 2;
    if samples.len().is_multiple_of(2) { (samples[middle - 1] + samples[middle]) / 2 } else { samples[middle] }
}

/// The hours that clocks show in a month. They are set by whole quarters of an hour.
fn calendar(terms: &Terms) -> BTreeSet<i64> {
    let span = terms.span();
    let quarters = (span.start.as_second()..span.end.as_second()).step_by(15 * 60);
    quarters.filter_map(|second| Timestamp::from_second(second).ok()).map(|time| terms.hour_number(time)).collect()
}

#[cfg(test)]
mod tests {
    use tieup_protocol::robots;

    use super::*;

    #[test]
    fn what_is_usual_is_exact_and_robust() {
        // Of 4, 5, 6, 9 the median is 5 1/2; they are 3/2, 1/2, 1/2 and 7/2 from it, of which the median is 1.
        let usual = Usual::of(&[9, 4, 6, 5]);
        assert_eq!((usual.median, usual.spread), (Ratio::new(11, 2), Ratio::from_integer(1)));
        // One hour that is far off moves neither: of 4, 5, 6, 5, 900 the median is 5, and of 1, 0, 1, 0, 895 it is 1.
        let usual = Usual::of(&[4, 5, 6, 5, 900]);
        assert_eq!((usual.median, usual.spread), (Ratio::from_integer(5), Ratio::from_integer(1)));
    }

    #[test]
    fn an_hour_that_clocks_skip_is_none() {
        let terms = Terms::new("2026-03".parse().unwrap(), &"Europe/Berlin".parse().unwrap(), robots::list_digest());
        let day = terms.hour_number("2026-03-29T10:00:00Z".parse().unwrap()) / 24;
        let of_day = calendar(&terms).into_iter().filter(|hour| hour / 24 == day);
        let hours: Vec<i64> = of_day.map(|hour| hour.rem_euclid(24)).collect();
        let expected: Vec<i64> = (0..24).filter(|hour| *hour != 2).collect();
        assert_eq!(hours, expected);
    }
}
