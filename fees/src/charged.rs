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

/// The amounts of an issued statement, which fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Amounts {
    /// The total without what was collected with sales.
    own: Money,
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
    /// What it says was charged before; in another currency than the statement's where it charges nothing besides.
    before: Money,
    /// What it charges besides, or gives back where it is below 0, in minor units.
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
        Some(self.amounts_in(currency)?.own)
    }

    /// What `before` has come to with what it charges for an earlier `period`, and the digest of the statement that is right
    /// of that; the first is none where it says that something else was charged before, and both where it corrects nothing
    /// of the period in the currency, or does not add up.
    pub(crate) fn corrected(&self, period: Period, before: Money) -> Option<(Option<Money>, Digest)> {
        let name = period.to_string();
        let is_meant = |of: &&Corrected| of.period == name && of.before.currency() == before.currency();
        let corrected = self.amounts.as_ref()?.corrected.iter().find(is_meant)?;
        Some((corrected.owed().filter(|_| corrected.before == before), corrected.right))
    }

    /// What it charges for earlier periods by `revisions`, in its order; none where it does not add up in `currency`, or
    /// corrects what none of them is of.
    pub(crate) fn corrections(&self, currency: Currency, revisions: &[Revision]) -> Option<Vec<Correction>> {
        let read = |corrected: &Corrected| {
            let &Corrected { ref period, issued, right, before: charged, .. } = corrected;
            let revision = revisions.iter().find(|revision| revision.period.to_string() == *period)?;
            let (owed, cause) = (corrected.owed()?, revision.cause);
            Some(Correction { period: revision.period, issued, right, cause, charged, owed })
        };
        self.amounts_in(currency)?.corrected.iter().map(read).collect()
    }

    fn amounts_in(&self, currency: Currency) -> Option<&Amounts> {
        self.amounts.as_ref().filter(|amounts| amounts.own.currency() == currency)
    }
}

impl Corrected {
    /// What is right; none beyond what money can hold.
    fn owed(&self) -> Option<Money> {
        let minor = self.before.minor().checked_add(self.amount)?;
        Some(Money::new(self.before.currency(), minor))
    }
}

impl Amounts {
    fn read(text: &str) -> Option<Self> {
        let total = text.lines().find_map(|line| line.strip_prefix("total:"))?.trim();
        let fee = with_code(total)?;
        let reading = Reading { currency: fee.currency() };
        let corrected = reading.corrections(text)?;
        let collected = reading.collected(text, fee.minor(), &corrected)?;
        let own = Money::new(fee.currency(), fee.minor().checked_add(collected)?);
        Some(Self { own, corrected })
    }
}

/// The currency that the amounts of one statement are in, where they say no other.
struct Reading {
    currency: Currency,
}

impl Reading {
    /// The minor units of an amount in the statement's own currency, which is not written behind it.
    fn minor(&self, digits: &str) -> Option<i128> {
        Some(Money::read(&format!("{digits} {}", self.currency.code()), self.currency)?.minor())
    }

    /// An amount in the statement's own currency, or with another one behind it.
    fn money(&self, said: &str) -> Option<Money> {
        if said.contains(' ') {
            return with_code(said).filter(|amount| amount.currency() != self.currency);
        }
        Some(Money::new(self.currency, self.minor(said)?))
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
        let (_, before) = before.rsplit_once(": ")?;
        let issued = issued.trim_start().strip_prefix(WAS)?.parse().ok()?;
        let right = right.trim_start().strip_prefix(IS)?.parse().ok()?;
        let (before, amount, owed) = (self.money(before)?, self.minor(amount)?, self.money(owed)?);
        let corrected = Corrected { period: period.trim_end().to_owned(), issued, right, before, amount };
        let is_payable = before.currency() == self.currency || amount == 0;
        (is_payable && corrected.owed() == Some(owed)).then_some(corrected)
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
        let due = with_code(value("due:")?).filter(|due| due.currency() == self.currency)?.minor();
        let sum = |amounts: &[i128]| amounts.iter().try_fold(0_i128, |sum, amount| sum.checked_add(*amount));
        let is_sum = of("  fee")? == fee
            && corrections == sum(&corrected.iter().map(|it| it.amount).collect::<Vec<_>>())?
            && due == sum(&[fee, corrections, advance, collected])?;
        is_sum.then_some(collected)
    }
}

/// An amount with the code of its currency behind it.
fn with_code(said: &str) -> Option<Money> {
    let (_, code) = said.split_once(' ')?;
    Money::read(said, Currency::of_code(code)?)
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
