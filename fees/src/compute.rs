//! The whole way in one step: encoded entries of a journal, in their order, to the statement of their month.

use std::collections::BTreeSet;

use tieup_protocol::access::{AccessEntry, InvalidEntry};
use tieup_protocol::contract::{Contract, Segment};
use tieup_protocol::period::{Month, Period};

use crate::count::{Counted, Counter};
use crate::statement::{Account, FeeError, JournalHead, Statement, Status, statement};

/// Why a journal has no statement; `E` is what reading an entry can fail with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError<E> {
    /// An entry could not be read.
    #[error("entry {number} of the journal cannot be read")]
    Read {
        /// Its place in the journal, counted from 0.
        number: u64,
        /// Why.
        source: E,
    },
    /// What was read is not an entry.
    #[error("entry {number} of the journal is not valid")]
    Entry {
        /// Its place in the journal, counted from 0.
        number: u64,
        /// Why.
        source: InvalidEntry,
    },
    /// Other entries were taken than those that the count is to be of.
    #[error("{taken} entries of the journal were counted, and not {size}")]
    OtherSize {
        /// How many were taken.
        taken: u64,
        /// How many it is to be of.
        size: u64,
    },
    /// There is no statement for what was counted.
    #[error(transparent)]
    Fee(#[from] FeeError),
}

/// The statement of `month` for the journal whose head is `journal` and whose entries are `entries`, all of them and
/// in their order, with visits alone: whoever has sales, a catalogue, payments or corrections too makes an [`Account`].
///
/// # Errors
/// An entry that cannot be read or decoded, with its number; else as [`statement()`].
pub fn compute<E>(
    contract: &Contract,
    month: Month,
    journal: &JournalHead,
    entries: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    status: Status,
) -> Result<Statement, StatementError<E>> {
    let counted = count(contract, month, entries)?;
    Ok(statement(contract, month, &Account::of_visits(journal, &counted, status))?)
}

/// The statements of a month that several versions of a contract govern, one for each of `segments`, with visits alone.
/// `entries` gives the entries of the journal anew each time, all of them and in their order.
///
/// # Errors
/// As [`compute()`].
pub fn compute_segments<E, Entries: IntoIterator<Item = Result<Vec<u8>, E>>>(
    segments: &[Segment],
    journal: &JournalHead,
    entries: impl Fn() -> Entries,
    status: Status,
) -> Result<Vec<Statement>, StatementError<E>> {
    let of = |Segment { contract, period }: &Segment| {
        let counted = count_without(contract, *period, entries(), &BTreeSet::new())?;
        Ok(statement(contract, period.month(), &Account::of_visits(journal, &counted, status))?)
    };
    segments.iter().map(of).collect()
}

/// What the encoded `entries` of a month come to by the rules of `contract`, in the days of it that it governs.
///
/// # Errors
/// An entry that cannot be read or decoded, with its number.
pub fn count<E>(
    contract: &Contract,
    month: Month,
    entries: impl IntoIterator<Item = Result<Vec<u8>, E>>,
) -> Result<Counted, StatementError<E>> {
    count_without(contract, contract.period(month), entries, &BTreeSet::new())
}

/// What the encoded `entries` come to in the days of `period` by the rules of `contract`, without those whose numbers
/// both sides have `struck` out.
///
/// # Errors
/// An entry that cannot be read or decoded, with its number.
pub fn count_without<E>(
    contract: &Contract,
    period: Period,
    entries: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    struck: &BTreeSet<u64>,
) -> Result<Counted, StatementError<E>> {
    let mut counter = Counter::of_period(&contract.terms.count, &contract.effective.tz, period);
    for (entry, number) in entries.into_iter().zip(0..) {
        let bytes = entry.map_err(|source| StatementError::Read { number, source })?;
        if struck.contains(&number) {
            counter.strike();
        } else {
            counter.observe_encoded(&bytes).map_err(|source| StatementError::Entry { number, source })?;
        }
    }
    Ok(counter.finish())
}

/// Decodes `entries` in their order, and gives each to `observe`.
///
/// # Errors
/// An entry that cannot be read or decoded, with its number.
pub(crate) fn read_entries<E>(
    entries: impl IntoIterator<Item = Result<Vec<u8>, E>>,
    mut observe: impl FnMut(&AccessEntry),
) -> Result<(), StatementError<E>> {
    for (entry, number) in entries.into_iter().zip(0..) {
        let bytes = entry.map_err(|source| StatementError::Read { number, source })?;
        let entry = AccessEntry::decode(&bytes).map_err(|source| StatementError::Entry { number, source })?;
        observe(&entry);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::fixture;

    fn encoded() -> Vec<Vec<u8>> {
        let times = ["2026-11-10T03:00:00Z", "2026-11-10T03:00:10Z", "2026-11-10T03:01:00Z"];
        times.iter().map(|time| fixture::view(time, 1).encode()).collect()
    }

    #[test]
    fn bytes_and_entries_give_the_same_statement() {
        let contract = fixture::contract();
        let entries: Vec<AccessEntry> = encoded().iter().map(|bytes| AccessEntry::decode(bytes).unwrap()).collect();
        let counted = fixture::count(&entries);
        let head = fixture::head(&counted);
        let account = Account::of_visits(&head, &counted, Status::Final);
        let by_entries = statement(&contract, fixture::november(), &account).unwrap();
        let readable = encoded().into_iter().map(Ok::<_, Infallible>);
        let by_bytes = compute(&contract, fixture::november(), &head, readable, Status::Final).unwrap();
        assert_eq!(by_bytes, by_entries);
    }

    #[test]
    fn each_version_charges_its_own_days_and_no_visit_is_charged_twice() {
        // Version 3 governs 1 to 15 November and takes half of its base of 50,000; version 4, from the 16th on, half of
        // 20,000. Four views: two before midnight in Tokyo of the 15th (15:00 UTC), two after, at 0.50 each: 1 yen each.
        let earlier =
            fixture::contract_with(&[("  - {minimum: 10000}\n", ""), ("at: line", "at: line, prorate: days")]);
        let later = fixture::contract_with(&[
            ("harbor-shop@3", "harbor-shop@4"),
            ("from: 2026-11-01", "from: 2026-11-16"),
            ("inherited: 50000", "inherited: 20000"),
            ("  - {minimum: 10000}\n", ""),
            ("at: line", "at: line, prorate: days"),
        ]);
        let times = ["2026-11-10T03:00:00Z", "2026-11-15T14:59:59Z", "2026-11-15T15:00:01Z", "2026-11-20T03:00:00Z"];
        let entries = || times.map(|time| Ok::<_, Infallible>(fixture::view(time, 1).encode()));
        let journal = JournalHead { size: 4, ..fixture::head(&fixture::counted(&earlier, 0, 0)) };
        let segments = tieup_protocol::contract::segments([earlier, later], fixture::november());
        let stated = compute_segments(&segments, &journal, entries, Status::Final).unwrap();
        let totals: Vec<i128> = stated.iter().map(|statement| statement.total.minor()).collect();
        assert_eq!(totals, [25_001, 10_001]);
        let days = ["2026-11-01 to 2026-11-15, 15 of 30", "2026-11-16 to 2026-11-30, 15 of 30"];
        assert!(stated.iter().zip(days).all(|(statement, days)| statement.text.contains(days)));
    }

    #[test]
    fn a_bad_entry_is_named_by_its_number() {
        let contract = fixture::contract();
        let count = |entries: Vec<Result<Vec<u8>, &'static str>>| count(&contract, fixture::november(), entries);
        let good = |number: usize| Ok(encoded().swap_remove(number));
        let unreadable = count(vec![good(0), Err("disk"), good(1)]);
        assert_eq!(unreadable, Err(StatementError::Read { number: 1, source: "disk" }));
        let invalid = count(vec![good(0), good(1), Ok(vec![9, 9])]);
        assert!(matches!(invalid, Err(StatementError::Entry { number: 2, .. })), "{invalid:?}");
    }
}
