//! Where two counts of one journal part: the first hour that differs, then the first entry in it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use jiff::{Timestamp, tz::TimeZone};
use tieup_protocol::access::AccessEntry;
use tieup_protocol::contract::Contract;
use tieup_protocol::location::{CountedHour, NumberedEntry};
use tieup_protocol::period::Period;

use crate::compute::StatementError;
use crate::count::Counter;

/// What the encoded `entries` of the journal of its month come to in `period` by the rules of `contract`, hour by hour, in
/// the order of the hours; those that are `struck` out are no views.
///
/// # Errors
/// An entry that cannot be read or decoded, with its number.
pub fn hours<E>(
    contract: &Contract,
    period: Period,
    entries: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    struck: &BTreeSet<u64>,
) -> Result<Vec<CountedHour>, StatementError<E>> {
    let zone = &contract.effective.tz;
    let mut counter = Counter::of_period(&contract.terms.count, zone, period);
    let mut hours: BTreeMap<i64, CountedHour> = BTreeMap::new();
    for (entry, number) in entries.into_iter().zip(0..) {
        let bytes = entry.map_err(|source| StatementError::Read { number, source })?;
        let entry = AccessEntry::decode(&bytes).map_err(|source| StatementError::Entry { number, source })?;
        if struck.contains(&number) {
            counter.strike();
        } else {
            counter.observe(&entry);
        }
        let hour = zone.hour_number(entry.time);
        hours.entry(hour).or_insert_with(|| CountedHour::empty(hour)).add(number, &bytes);
    }
    for (number, counts) in counter.finish().hours {
        let hour = hours.entry(number).or_insert_with(|| CountedHour::empty(number));
        (hour.tieup, hour.original) = (counts.tieup.tally.views, counts.original.tally.views);
    }
    Ok(hours.into_values().collect())
}

/// What the clocks show when the hour `number` begins.
pub fn hour_begins(number: i64) -> DateTime {
    let instant = number.checked_mul(3600).and_then(|seconds| Timestamp::from_second(seconds).ok());
    TimeZone::UTC.to_datetime(instant.unwrap_or_default())
}

/// The first hour in which two counts differ, as each has it; none where they are the same.
pub fn first_differing_hour(
    left: &[CountedHour],
    right: &[CountedHour],
) -> Option<(Option<CountedHour>, Option<CountedHour>)> {
    let by_number = |hours: &[CountedHour]| hours.iter().map(|hour| (hour.number, *hour)).collect::<BTreeMap<_, _>>();
    let (left, right) = (by_number(left), by_number(right));
    let mut numbers: Vec<i64> = left.keys().chain(right.keys()).copied().collect();
    numbers.sort_unstable();
    let both = numbers.into_iter().map(|number| (left.get(&number).copied(), right.get(&number).copied()));
    both.into_iter().find(|(left, right)| left != right)
}

/// The number of the first entry that is not the same in both; none where all are.
pub fn first_differing_entry(left: &[NumberedEntry], right: &[NumberedEntry]) -> Option<u64> {
    let same = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    let numbers = [left.get(same), right.get(same)].into_iter().flatten().map(|entry| entry.number);
    numbers.min()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::fixture;

    fn count(entries: &[AccessEntry]) -> Vec<CountedHour> {
        let encoded = entries.iter().map(|entry| Ok::<_, Infallible>(entry.encode()));
        hours(&fixture::contract(), fixture::november().into(), encoded, &BTreeSet::new()).unwrap()
    }

    fn numbered(entries: &[AccessEntry]) -> Vec<NumberedEntry> {
        entries.iter().zip(0..).map(|(entry, number)| NumberedEntry::new(number, &entry.encode())).collect()
    }

    /// Three visits in three hours: 12:00, 13:00 and 14:00 in Tokyo.
    fn visits() -> Vec<AccessEntry> {
        ["03", "04", "05"].map(|hour| fixture::view(&format!("2026-11-10T{hour}:00:00Z"), 1)).into()
    }

    #[test]
    fn the_first_hour_that_differs_is_found() {
        let (genuine, mut altered) = (visits(), visits());
        assert_eq!(first_differing_hour(&count(&genuine), &count(&altered)), None);
        altered[1].robot = 1;
        altered[2].robot = 1;
        let (left, right) = first_differing_hour(&count(&genuine), &count(&altered)).unwrap();
        let (left, right) = (left.unwrap(), right.unwrap());
        assert_eq!(hour_begins(left.number).to_string(), "2026-11-10T13:00:00");
        assert_eq!((left.tieup, right.tieup, left.entries, right.entries), (1, 0, 1, 1));
        altered.truncate(1);
        let (left, right) = first_differing_hour(&count(&genuine), &count(&altered)).unwrap();
        assert_eq!((left.unwrap().entries, right), (1, None));
    }

    #[test]
    fn an_entry_that_changes_no_count_differs_all_the_same() {
        let (genuine, mut altered) = (visits(), visits());
        altered[2].bytes += 1;
        let (left, right) = first_differing_hour(&count(&genuine), &count(&altered)).unwrap();
        assert_eq!(left.unwrap().tieup, right.unwrap().tieup);
        assert_eq!(first_differing_entry(&numbered(&genuine), &numbered(&altered)), Some(2));
    }

    #[test]
    fn the_first_entry_that_differs_is_found() {
        let (genuine, mut altered) = (numbered(&visits()), numbered(&visits()));
        assert_eq!(first_differing_entry(&genuine, &altered), None);
        assert_eq!(first_differing_entry(&genuine, &genuine[..2]), Some(2));
        altered.remove(1);
        assert_eq!(first_differing_entry(&genuine, &altered), Some(1));
    }
}
