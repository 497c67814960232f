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
    /// What was collected with sales, with its sign, where the statement says so.
    collected: Option<String>,
}

impl Charged {
    /// What the statement in `text` says; none where it is no statement.
    pub fn read(text: &str) -> Option<Self> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let contract = value("digest:")?.parse().ok()?;
        let collected = value("  collected with sales").map(str::to_owned);
        let (statement, total) = (Digest::of(text.as_bytes()), value("total:")?.to_owned());
        Some(Self { statement, contract, total, collected })
    }

    /// The total without what was collected with sales, where they are amounts in `currency`.
    pub fn amount(&self, currency: Currency) -> Option<Money> {
        let total = Money::read(&self.total, currency)?;
        let Some(collected) = &self.collected else { return Some(total) };
        let minus = Money::read(&format!("{collected} {}", currency.code()), currency)?;
        Some(Money::new(currency, total.minor().checked_add(minus.minor())?))
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
        assert_eq!(charged.amount(Currency::Jpy), Some(stated.total));
        assert_eq!(charged.amount(Currency::Eur), None);
        let collected = format!("{}\nsettlement   JPY\n  collected with sales                   -130\n", stated.text);
        let amount = Charged::read(&collected).unwrap().amount(Currency::Jpy).unwrap();
        assert_eq!(amount.minor(), stated.total.minor() - 130);
        assert_eq!(Charged::read("total:           1 JPY\n"), None);
    }
}
