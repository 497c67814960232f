//! What an issued statement says of itself, read back from its text: under which contract, and how much was charged.
//!
//! The text was signed, so both sides hold the same; what it charged is what a correction goes by, whatever a journal
//! comes to by now, and the contract that it names is the one that its period stays with.

use tieup_protocol::contract::Currency;
use tieup_protocol::digest::Digest;

use crate::money::Money;

/// What was charged by an issued statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    /// The digest of the statement.
    pub statement: Digest,
    /// The digest of the contract that it was charged under.
    pub contract: Digest,
    /// The total as it stands there.
    total: String,
}

impl Charged {
    /// What the statement in `text` says; none where it is no statement.
    pub fn read(text: &str) -> Option<Self> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let contract = value("digest:")?.parse().ok()?;
        Some(Self { statement: Digest::of(text.as_bytes()), contract, total: value("total:")?.to_owned() })
    }

    /// The total, where it is an amount in `currency`.
    pub fn total(&self, currency: Currency) -> Option<Money> {
        Money::read(&self.total, currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{contract, counted, head, november};
    use crate::statement::{Account, Status, statement};

    #[test]
    fn an_issued_statement_says_what_it_charged_and_under_which_contract() {
        let contract = contract();
        let counted = counted(&contract, 1_001, 3);
        let head = head(&counted);
        let stated = statement(&contract, november(), &Account::of_visits(&head, &counted, Status::Final)).unwrap();
        let charged = Charged::read(&stated.text).unwrap();
        assert_eq!((charged.statement, charged.contract), (stated.digest(), contract.digest()));
        assert_eq!(charged.total(Currency::Jpy), Some(stated.total));
        assert_eq!(charged.total(Currency::Eur), None);
        assert_eq!(Charged::read("total:           1 JPY\n"), None);
    }
}
