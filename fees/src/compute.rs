//! The whole way in one step: encoded entries of a journal, in their order, to the statement of their month.

use std::collections::BTreeSet;

use tieup_protocol::access::{AccessEntry, InvalidEntry};
use tieup_protocol::contract::Contract;
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
    let mut number = 0;
    read_entries(entries, |entry| {
        if struck.contains(&number) {
            counter.strike();
        } else {
            counter.observe(entry);
        }
        number += 1;
    })?;
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
