//! Counting a log while it is verified: entries are handed over one by one, whether they are to be counted or not.

use tieup_fees::{Counted, Counter, StatementError};
use tieup_protocol::access::InvalidEntry;
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::period::Month;

use super::{StatementFailure, as_counted};

/// The beginning of a log, while it is counted.
pub(super) struct Counting<'a> {
    contract: &'a Contract,
    counter: Counter,
    size: u64,
    /// How many entries were seen.
    seen: u64,
    /// The first that is none.
    invalid: Option<(u64, InvalidEntry)>,
}

impl<'a> Counting<'a> {
    /// Nothing yet of the first `size` entries of `month`.
    pub(super) fn of(contract: &'a Contract, month: Month, size: u64) -> Self {
        let (rules, zone) = (&contract.terms.count, &contract.effective.tz);
        let counter = Counter::of_period(rules, zone, contract.period(month));
        Self { contract, counter, size, seen: 0, invalid: None }
    }

    /// Takes the next entry of the log, whether it is to be counted or not.
    pub(super) fn take(&mut self, entry: &[u8]) {
        let number = self.seen;
        self.seen += 1;
        if number >= self.size || self.invalid.is_some() {
            return;
        }
        let counted = if self.contract.journal.writer == Side::Main {
            self.counter.observe_encoded(&as_counted(self.contract, entry.to_vec()))
        } else {
            self.counter.observe_encoded(entry)
        };
        self.invalid = counted.err().map(|source| (number, source));
    }

    /// What they come to.
    ///
    /// # Errors
    /// One of them is no entry.
    pub(super) fn finish(self) -> Result<Counted, StatementFailure> {
        match self.invalid {
            None => Ok(self.counter.finish()),
            Some((number, source)) => Err(StatementFailure::Fees(StatementError::Entry { number, source })),
        }
    }
}
