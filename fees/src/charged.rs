//! What an issued statement says of itself, read back from its text: under which contract, and how much was charged, for
//! its own period and in corrections of earlier ones.
//!
//! The text was signed, so both sides hold the same; what it charged is what a correction goes by, whatever a journal
//! comes to by now, and the contract that it names is the one that its period stays with.

use tieup_protocol::contract::Currency;
use tieup_protocol::digest::Digest;
use tieup_protocol::period::Period;

use crate::money::Money;
use crate::text::{COLLECTED, CORRECTIONS, IS, IS_RIGHT, WAS_CHARGED};

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
    /// What it says is right of earlier periods.
    corrected: Vec<Corrected>,
}

/// What an issued statement says is right of an earlier period.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Corrected {
    /// The period, as it is written there.
    period: String,
    /// The digest of the statement that is right.
    right: Digest,
    /// What is right, as it stands there.
    owed: String,
}

impl Charged {
    /// What the statement in `text` says; none where it is no statement.
    pub fn read(text: &str) -> Option<Self> {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let contract = value("digest:")?.parse().ok()?;
        let collected = value(COLLECTED).map(str::to_owned);
        let (statement, total) = (Digest::of(text.as_bytes()), value("total:")?.to_owned());
        Some(Self { statement, contract, total, collected, corrected: corrected(text) })
    }

    /// The total without what was collected with sales, where they are amounts in `currency`.
    pub fn amount(&self, currency: Currency) -> Option<Money> {
        let total = Money::read(&self.total, currency)?;
        let Some(collected) = &self.collected else { return Some(total) };
        Some(Money::new(currency, total.minor().checked_add(amount(collected, currency)?.minor())?))
    }

    /// What it says is right of an earlier `period`, without what was collected with sales, and by which statement; none
    /// where it corrects nothing of it, or not in `currency`.
    pub fn right(&self, period: Period, currency: Currency) -> Option<(Digest, Money)> {
        let name = period.to_string();
        let corrected = self.corrected.iter().find(|corrected| corrected.period == name)?;
        Some((corrected.right, amount(&corrected.owed, currency)?))
    }
}

/// The amount in `currency` that `digits` say.
fn amount(digits: &str, currency: Currency) -> Option<Money> {
    Money::read(&format!("{digits} {}", currency.code()), currency)
}

/// What the section of corrections in `text` says is right; nothing where there is none.
fn corrected(text: &str) -> Vec<Corrected> {
    let section = text.lines().skip_while(|line| !line.starts_with(CORRECTIONS)).skip(1);
    let (mut corrected, mut period, mut owed) = (Vec::new(), None, None);
    for line in section.take_while(|line| !line.is_empty()) {
        let Some(note) = line.strip_prefix("    ") else {
            period = line.trim().rsplit_once(' ').map(|(period, _)| period.trim_end().to_owned());
            continue;
        };
        if let Some((_, right)) = note.strip_suffix(IS_RIGHT).and_then(|note| note.rsplit_once(WAS_CHARGED)) {
            owed = Some(right.to_owned());
        }
        if let Some(right) = note.strip_prefix(IS).and_then(|digest| digest.parse().ok()) {
            corrected.extend(period.take().zip(owed.take()).map(|(period, owed)| Corrected { period, right, owed }));
        }
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{contract, counted, head, november};
    use crate::settlement::{Cause, Correction};
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

    #[test]
    fn a_correction_says_what_is_right_of_each_period() {
        let contract = contract();
        let counted = counted(&contract, 10, 3);
        let head = head(&counted);
        let of = |period: &str, charged: i128, owed: i128| Correction {
            period: period.parse().unwrap(),
            issued: Digest::of(period.as_bytes()),
            right: Digest::of(&owed.to_be_bytes()),
            cause: Cause::LateEntries,
            charged: Money::new(Currency::Jpy, charged),
            owed: Money::new(Currency::Jpy, owed),
        };
        let corrections = [of("2026-09", 500, 600), of("2026-10-01_2026-10-15", 70, -30)];
        let account = Account { corrections: &corrections, ..Account::of_visits(&head, &counted, Status::Final) };
        let charged = Charged::read(&statement(&contract, november(), &account).unwrap().text).unwrap();
        for Correction { period, right, owed, .. } in corrections {
            assert_eq!(charged.right(period, Currency::Jpy), Some((right, owed)));
            assert_eq!(charged.right(period, Currency::Eur), None);
        }
        assert_eq!(charged.right("2026-10".parse().unwrap(), Currency::Jpy), None);
    }
}
