//! Under which version of the contract each issued statement was charged: it stays so, whatever is agreed on later.

use std::collections::BTreeMap;
use std::path::Path;

use tieup_protocol::digest::Digest;
use tieup_protocol::period::Period;
use tieup_store::document::{Document, DocumentError};

use crate::statement::STATEMENTS;

/// The file beside main's statements.
const FILE: &str = "contracts.json";

/// The contracts of issued statements, by digest.
#[derive(Debug)]
pub struct Pins(Document<BTreeMap<Period, Digest>>);

impl Pins {
    /// What is kept in the state folder `state`, where there may be nothing yet.
    pub fn in_state(state: &Path) -> Self {
        Self(Document::at(state.join(STATEMENTS).join(FILE)))
    }

    /// All of them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn all(&self) -> Result<BTreeMap<Period, Digest>, DocumentError> {
        Ok(self.0.read()?.unwrap_or_default())
    }

    /// The contract that the statement for `period` was charged under; none where none was issued.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(&self, period: Period) -> Result<Option<Digest>, DocumentError> {
        Ok(self.all()?.remove(&period))
    }

    /// Keeps that the statement for `period` was charged under `contract`; the first that is kept stands. Durable on return.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, period: Period, contract: Digest) -> Result<(), DocumentError> {
        let mut all = self.all()?;
        if all.contains_key(&period) {
            return Ok(());
        }
        all.insert(period, contract);
        self.0.write(&all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_contract_that_is_kept_stands() {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join(STATEMENTS)).unwrap();
        let (pins, month) = (Pins::in_state(state.path()), "2026-11".parse().unwrap());
        assert_eq!(pins.of(month).unwrap(), None);
        let (first, second) = (Digest::of(b"1"), Digest::of(b"2"));
        pins.keep(month, first).unwrap();
        pins.keep(month, second).unwrap();
        pins.keep("2026-12-01_2026-12-15".parse().unwrap(), second).unwrap();
        let again = Pins::in_state(state.path());
        assert_eq!((again.of(month).unwrap(), again.all().unwrap().len()), (Some(first), 2));
    }
}
