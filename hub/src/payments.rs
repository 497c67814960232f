//! What partners pay in advance: noted in the audit trail, then in the record that statements go by.

use jiff::Timestamp;
use tieup_fees::{Basis, Issued, Money, Ungoverned, Versions};
use tieup_protocol::audit::{Actor, Event};
use tieup_protocol::contract::Contract;
use tieup_protocol::decimal::Decimal;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Period;
use tieup_protocol::record::{Entry, Payment, Word};

use crate::database::{DatabaseError, Existing, PartnerRow, Tally};
use crate::partners::Hub;
use crate::record::{Noting, RecordError};
use crate::statements::StatementFailure;

/// What is said of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The period that it is for.
    pub period: Period,
    /// Its name, by which none counts twice.
    pub reference: Word,
    /// How much, in major units.
    pub amount: Decimal,
}

/// Why a payment was not noted.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// The contract cannot be read.
    #[error(transparent)]
    Contract(#[from] StatementFailure),
    /// What was issued cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// It was not put into the record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The contract has nothing paid in advance.
    #[error("contract {0} has no charge that is paid in advance: name one in its `pay.advance`")]
    NotInAdvance(String),
    /// No statement is for the period, so the payment would count nowhere.
    #[error(
        "no statement is for {asked} as a whole; those of the month are for: {}",
        periods.iter().map(|period| period.key()).collect::<Vec<_>>().join(", ")
    )]
    NotOne {
        /// What was said.
        asked: Period,
        /// The periods of its month that have a statement each.
        periods: Vec<Period>,
    },
    /// The amount cannot be paid.
    #[error("{amount} {currency} cannot be paid: give an amount of whole minor units, or 0 to take a payment back")]
    Amount {
        /// The amount.
        amount: Decimal,
        /// The contract's currency.
        currency: &'static str,
    },
    /// The reference stands for another amount.
    #[error("`{0}` stands in the record with another amount: give another reference, or say --correct")]
    Differs(Word),
}

impl Hub {
    /// Notes a payment in advance. The same one again changes nothing. Durable on return.
    ///
    /// # Errors
    /// See [`PaymentError`].
    pub async fn note_payment(
        &self,
        partner: &PartnerRow,
        paid: Paid,
        existing: Existing,
        now: Timestamp,
    ) -> Result<Tally, PaymentError> {
        let issued: Issued =
            self.database.issued(&partner.id).await?.iter().map(|it| (it.period, Basis::of(it))).collect();
        let contract = payable(self.agreed(partner).await?, &issued, &paid)?;
        let Paid { period, reference, amount } = paid;
        let entry = Entry::Payment(Payment { day: period.first(), reference: reference.clone(), amount });
        let currency = contract.terms.money.currency.code();
        let sentence = |partner: &SiteId, _: &[Entry]| {
            format!("{partner} {period}: {amount} {currency} paid in advance, {reference}")
        };
        let noting = Noting { who: Actor::Main, what: Event::PaymentNoted, sentence: &sentence };
        match self.note_recorded(&[(partner.id.clone(), entry)], existing.into(), noting, now).await {
            Err(RecordError::Differing(_)) => Err(PaymentError::Differs(reference)),
            noted => Ok(noted?),
        }
    }
}

/// The contract under which something can be paid in advance so: the version that governs the period.
fn payable(agreed: Vec<Contract>, issued: &Issued, paid: &Paid) -> Result<Contract, PaymentError> {
    let asked = paid.period;
    if issued.contains_key(&asked) {
        return Err(RecordError::Issued(asked).into());
    }
    let versions = Versions::new(agreed, issued.keys().map(|period| (*period, None)));
    let contract = match versions.contract(asked) {
        Err(none @ Ungoverned::NoContract) => return Err(StatementFailure::from(none).into()),
        Err(_) => return Err(PaymentError::NotOne { asked, periods: versions.periods(asked.month()) }),
        Ok(contract) => contract,
    };
    if contract.terms.pay.advance.is_empty() {
        return Err(PaymentError::NotInAdvance(contract.id.to_string()));
    }
    let currency = contract.terms.money.currency;
    if paid.amount.is_negative() || Money::of_major(currency, paid.amount).is_none() {
        return Err(PaymentError::Amount { amount: paid.amount, currency: currency.code() });
    }
    Ok(contract)
}

#[cfg(test)]
mod tests {
    use tieup_protocol::period::Month;
    use tieup_protocol::wire::StatementStatus;

    use super::*;
    use crate::terms::tests::version;

    fn november(first: i8, last: i8) -> Period {
        let month: Month = "2026-11".parse().unwrap();
        let day = |day| jiff::civil::date(2026, 11, day);
        Period::whole(month).within(day(first), day(last)).unwrap()
    }

    fn paid(period: Period) -> Paid {
        Paid { period, reference: "BANK-7".parse().unwrap(), amount: "400".parse().unwrap() }
    }

    fn issued(period: Period) -> Issued {
        let basis = Basis {
            period,
            size: 0,
            strikes: Vec::new(),
            record: 0,
            status: StatementStatus::Final,
            revisions: Vec::new(),
            charged: None,
        };
        Issued::from([(period, basis)])
    }

    #[test]
    fn what_is_paid_is_for_exactly_one_statement_and_goes_by_the_version_that_governs_it() {
        let versions = || vec![version(1, "2026-11-10", "", "advance: [base]"), version(2, "2026-11-20", "", "")];
        let none = Issued::new();
        for period in [november(1, 30), november(10, 30), november(1, 9)] {
            let error = payable(versions(), &none, &paid(period)).unwrap_err().to_string();
            assert!(error.contains("2026-11-10_2026-11-19, 2026-11-20_2026-11-30"), "{error}");
        }
        assert_eq!(payable(versions(), &none, &paid(november(10, 19))).unwrap().id.version, 1);
        let error = payable(versions(), &none, &paid(november(20, 30))).unwrap_err();
        assert!(matches!(error, PaymentError::NotInAdvance(id) if id.ends_with("@2")));
        let error = payable(versions(), &issued(november(10, 19)), &paid(november(10, 19))).unwrap_err();
        assert!(matches!(error, PaymentError::Record(RecordError::Issued(_))), "{error}");
    }
}
