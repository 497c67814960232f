//! Counting a log while it is verified: entries are handed over one by one, whether they are to be counted or not.

use std::collections::BTreeSet;

use tieup_protocol::access::InvalidEntry;
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::period::Period;

use crate::compute::StatementError;
use crate::count::{Counted, Counter};

/// The beginning of a log, while it is counted.
#[derive(Debug)]
pub struct Counting<'a> {
    contract: &'a Contract,
    /// Who writes the log.
    writer: Side,
    counter: Counter,
    /// The numbers of the entries that are struck out.
    struck: &'a BTreeSet<u64>,
    size: u64,
    /// How many entries were seen.
    seen: u64,
    /// The first that is none.
    invalid: Option<(u64, InvalidEntry)>,
}

impl<'a> Counting<'a> {
    /// Nothing yet of the first `size` entries, in the days of `period`, of the log that `writer` writes, without those that
    /// are `struck` out.
    pub fn of((contract, writer): (&'a Contract, Side), period: Period, size: u64, struck: &'a BTreeSet<u64>) -> Self {
        let counter = Counter::of_period(&contract.terms.count, &contract.effective.tz, period);
        Self { contract, writer, counter, struck, size, seen: 0, invalid: None }
    }

    /// Takes the next entry of the log, whether it is to be counted or not.
    pub fn take(&mut self, entry: &[u8]) {
        let number = self.seen;
        self.seen += 1;
        if number >= self.size || self.invalid.is_some() {
            return;
        }
        if self.struck.contains(&number) {
            return self.counter.strike();
        }
        let counted = match self.writer {
            Side::Main => self.counter.observe_encoded(&self.contract.as_counted(self.writer, entry.to_vec())),
            Side::Partner | Side::Both => self.counter.observe_encoded(entry),
        };
        self.invalid = counted.err().map(|source| (number, source));
    }

    /// What they come to. It is worth nothing where the log does not verify, or has fewer entries.
    ///
    /// # Errors
    /// One of them is no entry.
    pub fn finish<E>(self) -> Result<Counted, StatementError<E>> {
        match self.invalid {
            None => Ok(self.counter.finish()),
            Some((number, source)) => Err(StatementError::Entry { number, source }),
        }
    }
}
