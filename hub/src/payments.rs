//! What partners pay in advance: noted in the audit trail, then in the record that statements go by.

use jiff::Timestamp;
use jiff::civil::Date;
use tieup_fees::Money;
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::contract::{Contract, charged_under};
use tieup_protocol::decimal::Decimal;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::record::{Entry, Payment, Word};

use crate::database::{AddedToRecord, DatabaseError, Existing, PartnerRow, Tally};
use crate::partners::Hub;
use crate::statements::StatementFailure;
use crate::trail::TrailError;

/// What is said of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// A day of the period that it is for.
    pub day: Date,
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
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The trail could not be continued.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The contract has nothing paid in advance.
    #[error("contract {0} has no charge that is paid in advance: name one in its `pay.advance`")]
    NotInAdvance(String),
    /// What is paid after the issue is no payment in advance.
    #[error("the statement for {0} has been issued: what is paid now is paid for what is due by it")]
    Issued(Period),
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
    /// The record is full.
    #[error("the record of `{0}` has as many entries as a record may have")]
    Full(SiteId),
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
        let contract = self.check_payment(partner, &paid).await?;
        let Paid { day, reference, amount } = paid;
        let entry = Entry::Payment(Payment { day, reference: reference.clone(), amount });
        let before = self.database.newest_recorded(&partner.id, &entry).await?;
        if before.as_ref() == Some(&entry) {
            return Ok(Tally { unchanged: 1, ..Tally::default() });
        }
        if before.is_some() && existing == Existing::Refuse {
            return Err(PaymentError::Differs(reference));
        }
        let currency = contract.terms.money.currency.code();
        let sentence = format!("{} {day}: {amount} {currency} paid in advance, {reference}", partner.id);
        let happening =
            Happening { who: Actor::Main, what: Event::PaymentNoted, release: None, reason: Some(sentence) };
        self.write_down(&happening, now)?;
        match self.database.add_to_record(&[(partner.id.clone(), entry)], existing, now).await? {
            AddedToRecord::Added(tally) => Ok(tally),
            AddedToRecord::Differing(_) => Err(PaymentError::Differs(reference)),
            AddedToRecord::Full(partner) => Err(PaymentError::Full(partner)),
        }
    }

    /// The contract under which something can be paid in advance so.
    async fn check_payment(&self, partner: &PartnerRow, paid: &Paid) -> Result<Contract, PaymentError> {
        let month = Month::of_day(paid.day);
        let contract = charged_under(self.agreed(partner).await?, month).ok_or(StatementFailure::NoContract)?;
        if contract.terms.pay.advance.is_empty() {
            return Err(PaymentError::NotInAdvance(contract.id.to_string()));
        }
        let issued = self.database.issued(&partner.id).await?.into_iter().map(|notice| notice.period);
        if let Some(period) = issued.into_iter().find(|period| (period.first()..=period.last()).contains(&paid.day)) {
            return Err(PaymentError::Issued(period));
        }
        let currency = contract.terms.money.currency;
        if paid.amount.is_negative() || Money::of_major(currency, paid.amount).is_none() {
            return Err(PaymentError::Amount { amount: paid.amount, currency: currency.code() });
        }
        Ok(contract)
    }
}
