//! Receipts for main's own log that main has: how much each covers, and since when, by main's clock.
//!
//! What a statement must count is what main had when it signed. A receipt that was made here before, and reached main
//! after, is no reason to refuse one.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::period::Month;
use tieup_store::document::{Document, DocumentError};

/// A receipt that main has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shown {
    /// How many entries it covers.
    size: u64,
    /// When main had it.
    at: Timestamp,
}

/// The receipts of one month that main has taken, in their order.
#[derive(Debug)]
pub(crate) struct ShownReceipts(Document<Vec<Shown>>);

impl ShownReceipts {
    /// Those of `month`, beside the copies in `folder`.
    pub(crate) fn of(folder: &Path, month: Month) -> Self {
        Self(Document::at(folder.join(format!("{month}.receipts.json"))))
    }

    /// Notes that main has a receipt for so many entries since `at`; the first time stands. Durable on return.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(crate) fn note(&self, size: u64, at: Timestamp) -> Result<(), DocumentError> {
        let mut all = self.0.read()?.unwrap_or_default();
        if all.iter().any(|shown| shown.size >= size) {
            return Ok(());
        }
        all.push(Shown { size, at });
        self.0.write(&all)
    }

    /// How many entries main had a receipt for before `time`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn before(&self, time: Timestamp) -> Result<u64, DocumentError> {
        let all = self.0.read()?.unwrap_or_default();
        Ok(all.iter().filter(|shown| shown.at < time).map(|shown| shown.size).max().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_main_had_at_a_time_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let receipts = ShownReceipts::of(folder.path(), "2026-11".parse().unwrap());
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        assert_eq!(receipts.before(at(100)).unwrap(), 0);
        for (size, second) in [(5, 10), (5, 20), (9, 30), (9, 40)] {
            receipts.note(size, at(second)).unwrap();
        }
        let had: Vec<u64> = [10, 11, 30, 31].into_iter().map(|second| receipts.before(at(second)).unwrap()).collect();
        assert_eq!(had, [0, 5, 5, 9]);
    }
}
