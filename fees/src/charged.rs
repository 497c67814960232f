//! What an issued statement says of itself, read back from its text: under which contract, and how much was charged, for
//! its own period and in corrections of earlier ones.
//!
//! The text was signed, so both sides hold the same; what it charged is what a correction goes by, whatever a journal
//! comes to by now, and the contract that it names is the one that its period stays with.

use tieup_protocol::contract::Currency;
use tieup_protocol::digest::Digest;
use tieup_protocol::period::Period;
use tieup_protocol::wire::Revision;

use crate::money::Money;
use crate::settlement::Correction;
use crate::text::{COLLECTED, CORRECTIONS, IS, IS_RIGHT, ROOT, SETTLEMENT, WAS, WAS_CHARGED};

/// What was charged by an issued statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charged {
    /// The digest of the statement.
    pub statement: Digest,
    /// The digest of the contract that it was charged under.
    pub contract: Digest,
    /// The root hash of the journal that it was charged by; none where it cannot be read.
    pub root: Option<String>,
    /// Its amounts; none where they cannot be read, or do not come to what it says in words and in sums.
    amounts: Option<Amounts>,
}

/// The amounts of an issued statement, in minor units, which fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Amounts {
    /// The total as it stands there, with its currency.
    total: String,
    /// The total without what was collected with sales.
    own: i128,
    /// What it charges for earlier periods.
    corrected: Vec<Corrected>,
}

/// What an issued statement charges for an earlier period.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Corrected {
    /// The period, as it is written there.
    period: String,
    /// The digest of the statement that was right before.
    issued: Digest,
    /// The digest of the statement that is right.
    right: Digest,
    /// What it says was charged before.
    before: i128,
    /// What it charges besides, or gives back where it is below 0.
    amount: i128,
}

impl Charged {
    /// What the statement in `text` says; none where it is no statement.
    pub fn read(text: &str) -> Option<Self> {
        let contract = text.lines().find_map(|line| line.strip_prefix("digest:"))?.trim().parse().ok()?;
        let root = text.lines().find_map(|line| line.strip_prefix(ROOT)?.strip_prefix(':'));
        let root = root.map(|root| root.trim().to_owned());
        Some(Self { statement: Digest::of(text.as_bytes()), contract, root, amounts: Amounts::read(text) })
    }

    /// Whether its amounts can be read, and come to what it says in words and in sums.
    pub fn adds_up(&self) -> bool {
        self.amounts.is_some()
    }

    /// The total without what was collected with sales, where it adds up in `currency`.
    pub fn amount(&self, currency: Currency) -> Option<Money> {
        Some(Money::new(currency, self.amounts_in(currency)?.own))
    }

    /// What `before` has come to with what it charges for an earlier `period`, and the digest of the statement that is right
    /// of that; the first is none where it says that something else was charged before, and both where it corrects nothing
    /// of the period, or does not add up in the currency.
    pub(crate) fn corrected(&self, period: Period, before: Money) -> Option<(Option<Money>, Digest)> {
        let (name, currency) = (period.to_string(), before.currency());
        let Corrected { right, before: said, amount, .. } =
            self.amounts_in(currency)?.corrected.iter().find(|corrected| corrected.period == name)?;
        let sum = before.minor().checked_add(*amount).filter(|_| *said == before.minor());
        Some((sum.map(|sum| Money::new(currency, sum)), *right))
    }

    /// What it charges for earlier periods by `revisions`, in its order; none where it does not add up in `currency`, or
    /// corrects what none of them is of.
    pub(crate) fn corrections(&self, currency: Currency, revisions: &[Revision]) -> Option<Vec<Correction>> {
        let read = |corrected: &Corrected| {
            let Corrected { period, issued, right, before, amount } = corrected;
            let revision = revisions.iter().find(|revision| revision.period.to_string() == *period)?;
            let owed = before.checked_add(*amount)?;
            let [charged, owed] = [*before, owed].map(|minor| Money::new(currency, minor));
            let (issued, right, cause) = (*issued, *right, revision.cause);
            Some(Correction { period: revision.period, issued, right, cause, charged, owed })
        };
        self.amounts_in(currency)?.corrected.iter().map(read).collect()
    }

    fn amounts_in(&self, currency: Currency) -> Option<&Amounts> {
        self.amounts.as_ref().filter(|amounts| Money::read(&amounts.total, currency).is_some())
    }
}

impl Amounts {
    fn read(text: &str) -> Option<Self> {
        let total = text.lines().find_map(|line| line.strip_prefix("total:"))?.trim();
        let reading = Reading { decimals: decimals(total.split_once(' ')?.0) };
        let fee = reading.minor(total.split_once(' ')?.0)?;
        let corrected = reading.corrections(text)?;
        let collected = reading.collected(text, fee, &corrected)?;
        Some(Self { total: total.to_owned(), own: fee.checked_add(collected)?, corrected })
    }
}

/// How the amounts of one statement are written: all with as many decimals.
struct Reading {
    decimals: usize,
}

impl Reading {
    fn minor(&self, digits: &str) -> Option<i128> {
        let is_written = digits.starts_with(|first: char| first == '-' || first.is_ascii_digit());
        let minor = digits.replacen('.', "", 1).parse().ok();
        minor.filter(|_| is_written && decimals(digits) == self.decimals)
    }

    /// What the section of corrections in `text` charges; nothing where there is none. None where it cannot be read, or what
    /// one charges is not the difference that it tells.
    fn corrections(&self, text: &str) -> Option<Vec<Corrected>> {
        let section = text.lines().skip_while(|line| !line.starts_with(CORRECTIONS)).skip(1);
        let section: Vec<&str> = section.take_while(|line| !line.is_empty()).collect();
        let rows = section.chunk_by(|_, next| next.starts_with("    "));
        rows.map(|row| self.correction(row)).collect()
    }

    /// A correction: a line with its period and amount, and three of words.
    fn correction(&self, row: &[&str]) -> Option<Corrected> {
        let [row, words, issued, right] = row else { return None };
        let (period, amount) = row.trim().rsplit_once(' ')?;
        let (before, owed) = words.strip_suffix(IS_RIGHT)?.rsplit_once(WAS_CHARGED)?;
        let (_, before) = before.rsplit_once(' ')?;
        let issued = issued.trim_start().strip_prefix(WAS)?.parse().ok()?;
        let right = right.trim_start().strip_prefix(IS)?.parse().ok()?;
        let (before, amount, owed) = (self.minor(before)?, self.minor(amount)?, self.minor(owed)?);
        let is_difference = before.checked_add(amount)? == owed;
        is_difference.then(|| Corrected { period: period.trim_end().to_owned(), issued, right, before, amount })
    }

    /// What was collected with sales, with its sign, by the settlement in `text` of the fee and what is `corrected`; 0 where
    /// there is none. None where it cannot be read, or its sums are not those.
    fn collected(&self, text: &str, fee: i128, corrected: &[Corrected]) -> Option<i128> {
        let section: Vec<&str> = text.lines().skip_while(|line| !line.starts_with(SETTLEMENT)).collect();
        if section.is_empty() {
            return corrected.is_empty().then_some(0);
        }
        let value = |label: &str| section.iter().find_map(|line| line.strip_prefix(label)).map(str::trim);
        let of = |label: &str| self.minor(value(label)?);
        let (corrections, advance, collected) = (of("  corrections")?, of("  paid in advance")?, of(COLLECTED)?);
        let due = self.minor(value("due:")?.split_once(' ')?.0)?;
        let sum = |amounts: &[i128]| amounts.iter().try_fold(0_i128, |sum, amount| sum.checked_add(*amount));
        let is_sum = of("  fee")? == fee
            && corrections == sum(&corrected.iter().map(|it| it.amount).collect::<Vec<_>>())?
            && due == sum(&[fee, corrections, advance, collected])?;
        is_sum.then_some(collected)
    }
}

/// How many decimals an amount has.
fn decimals(digits: &str) -> usize {
    digits.split_once('.').map_or(0, |(_, fraction)| fraction.len())
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
        let fee = stated.total.minor();
        let settled = format!(
            "{}\nsettlement   JPY\n  fee  {fee}\n  corrections  0\n  paid in advance  -7\n    P-1: 7\n  \
             collected with sales  -130\n\ndue:  {} JPY\n",
            stated.text,
            fee - 137
        );
        let amount = Charged::read(&settled).unwrap().amount(Currency::Jpy).unwrap();
        assert_eq!(amount.minor(), fee - 130);
        assert_eq!(Charged::read("total:           1 JPY\n"), None);
        // What does not add up charges nothing, and its contract is known all the same.
        for (right, wrong) in [
            ("-130\n", "-30\n"),
            ("-7\n", "7\n"),
            ("ns  0", "ns  1"),
            ("due:  ", "due:  1"),
            ("\n  fee  ", "\n  fee  1"),
        ] {
            let wrong = Charged::read(&settled.replace(right, wrong)).unwrap();
            assert_eq!((wrong.adds_up(), wrong.contract), (false, contract.digest()), "{right:?}");
            assert_eq!(wrong.amount(Currency::Jpy), None);
        }
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
        let text = statement(&contract, november(), &account).unwrap().text;
        let charged = Charged::read(&text).unwrap();
        for Correction { period, right, charged: before, owed, .. } in corrections {
            assert_eq!(charged.corrected(period, before), Some((Some(owed), right)));
            let other = Money::new(Currency::Jpy, before.minor() + 1);
            assert_eq!(charged.corrected(period, other), Some((None, right)), "another amount was charged before");
            assert_eq!(charged.corrected(period, Money::new(Currency::Eur, before.minor())), None);
        }
        assert_eq!(charged.corrected("2026-10".parse().unwrap(), Money::new(Currency::Jpy, 70)), None);
        // Words that are not those of the amounts.
        for (right, wrong) in [
            ("500 was charged, 600", "500 was charged, 700"),
            (": 70 was", ": 60 was"),
            (" 100\n", " 90\n"),
            ("\n    is  ", "\n"),
        ] {
            assert!(text.contains(right), "{right:?}");
            assert!(!Charged::read(&text.replace(right, wrong)).unwrap().adds_up(), "{right:?}");
        }
    }
}
