//! What is still to be paid: the fee, with corrections of earlier months, without what was paid already.

use std::collections::BTreeSet;

use tieup_protocol::contract::{Contract, Currency};
use tieup_protocol::digest::Digest;
use tieup_protocol::period::Period;
pub use tieup_protocol::wire::Cause;

use crate::books::{Event, is_word};
use crate::money::{Exact, Money};
use crate::statement::Statement;

/// A change of an earlier period's fee, which is charged in this one. What was issued stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The period that is corrected.
    pub period: Period,
    /// The statement that was issued for it, by digest.
    pub issued: Digest,
    /// The statement that is right, by digest.
    pub right: Digest,
    /// Why they differ.
    pub cause: Cause,
    /// What was charged, without what was collected with sales.
    pub charged: Money,
    /// What is right, without what was collected with sales.
    pub owed: Money,
}

/// A payment for this period that came before its statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Its name, by which none counts twice.
    pub reference: String,
    /// The amount; never negative.
    pub amount: Money,
}

/// What is still to be paid, and how it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The fee of the period.
    pub fee: Money,
    /// Corrections of earlier months, together.
    pub corrections: Money,
    /// Payments in advance, together.
    pub advance: Money,
    /// What was transferred with sales, together.
    pub collected: Money,
    /// Fee and corrections without payments; below 0 where main owes it to the partner.
    pub due: Money,
}

/// Why nothing can be settled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettlementError {
    /// A correction is of the same period or a later one.
    #[error("the statement for {statement} cannot correct {corrected}")]
    NotEarlier {
        /// The period of the statement.
        statement: Period,
        /// The period that would be corrected.
        corrected: Period,
    },
    /// A statement is corrected twice in one.
    #[error("the statement {0} is corrected twice")]
    CorrectedTwice(Digest),
    /// A payment has the reference of another, or one that is not one printable word.
    #[error("payment {0:?} stands twice, or its reference is not one printable word")]
    Reference(String),
    /// An amount is in another currency, or a payment is below 0.
    #[error("{amount} cannot be settled in {}", .contract.code())]
    Amount {
        /// The amount.
        amount: Money,
        /// The contract's currency.
        contract: Currency,
    },
    /// The contract collects nothing with sales of this kind.
    #[error("something was collected with event `{0}`, and no charge is collected with it")]
    NotCollected(String),
    /// The contract has nothing paid in advance.
    #[error("payment {0:?} was made in advance, and no charge is paid in advance")]
    NotInAdvance(String),
    /// An amount is beyond what money can hold.
    #[error("the amounts together are too large")]
    TooLarge,
}

impl Settlement {
    /// The fee without what was collected with sales; none beyond what money can hold.
    pub(crate) fn uncollected(&self) -> Option<Money> {
        let minor = self.fee.minor().checked_sub(self.collected.minor())?;
        Some(Money::new(self.fee.currency(), minor))
    }
}

impl Correction {
    /// What the correction charges in a statement in `currency`, or gives back where it is below 0; none where the period was
    /// charged in another one, unless nothing is charged, or beyond what money can hold.
    pub fn amount_in(&self, currency: Currency) -> Option<Money> {
        let minor = self.owed.minor().checked_sub(self.charged.minor())?;
        let is_in = [self.charged, self.owed].iter().all(|amount| amount.currency() == currency);
        (is_in || self.charged == self.owed).then(|| Money::new(currency, minor))
    }

    /// The correction of what was `charged` for `period`, and by which statement, by the one that is `right`; none where
    /// both come to the same, unless the cause is one that is told always. Neither holds what was collected with sales.
    pub fn between(
        period: Period,
        (issued, charged): (Digest, Money),
        right: &Statement,
        cause: Cause,
    ) -> Option<Self> {
        let owed = right.settlement.uncollected()?;
        (charged != owed || cause.is_told_always()).then(|| Self {
            period,
            issued,
            right: right.digest(),
            cause,
            charged,
            owed,
        })
    }
}

/// Settles `fee` of `period`.
///
/// # Errors
/// See [`SettlementError`].
pub(crate) fn settle(
    contract: &Contract,
    period: Period,
    fee: Money,
    events: &[Event],
    corrections: &[Correction],
    payments: &[Payment],
) -> Result<Settlement, SettlementError> {
    let currency = contract.terms.money.currency;
    check_corrections(period, currency, corrections)?;
    check_payments(contract, payments)?;
    let collected = collected(contract, events)?;
    let corrected = corrections.iter().map(|c| c.amount_in(currency).ok_or(SettlementError::TooLarge));
    let corrections = sum(currency, &corrected.collect::<Result<Vec<_>, _>>()?)?;
    let advance = sum(currency, &payments.iter().map(|payment| payment.amount).collect::<Vec<_>>())?;
    let collected = sum(currency, &collected)?;
    let paid = [advance, collected].map(|paid| Money::new(currency, -paid.minor()));
    let due = sum(currency, &[fee, corrections, paid[0], paid[1]])?;
    Ok(Settlement { fee, corrections, advance, collected, due })
}

fn check_corrections(period: Period, currency: Currency, corrections: &[Correction]) -> Result<(), SettlementError> {
    let mut seen = BTreeSet::new();
    for correction in corrections {
        if correction.period >= period {
            return Err(SettlementError::NotEarlier { statement: period, corrected: correction.period });
        }
        if !seen.insert(correction.issued) {
            return Err(SettlementError::CorrectedTwice(correction.issued));
        }
        if correction.charged == correction.owed {
            // Nothing is charged, so that nothing is of another currency.
            continue;
        }
        for amount in [correction.charged, correction.owed] {
            if amount.currency() != currency {
                return Err(SettlementError::Amount { amount, contract: currency });
            }
        }
    }
    Ok(())
}

fn check_payments(contract: &Contract, payments: &[Payment]) -> Result<(), SettlementError> {
    let currency = contract.terms.money.currency;
    let mut seen = BTreeSet::new();
    for Payment { reference, amount } in payments {
        if contract.terms.pay.advance.is_empty() {
            return Err(SettlementError::NotInAdvance(reference.clone()));
        }
        if !is_word(reference) || !seen.insert(reference) {
            return Err(SettlementError::Reference(reference.clone()));
        }
        if amount.currency() != currency || amount.minor() < 0 {
            return Err(SettlementError::Amount { amount: *amount, contract: currency });
        }
    }
    Ok(())
}

/// What was transferred with each sale that a collected charge is on.
fn collected(contract: &Contract, events: &[Event]) -> Result<Vec<Money>, SettlementError> {
    let mut amounts = Vec::new();
    for event in events {
        let Some(amount) = event.collected else { continue };
        if !contract.terms.collect(&event.kind, event.goods.as_deref(), event.via) {
            return Err(SettlementError::NotCollected(event.id.clone()));
        }
        amounts.push(amount);
    }
    Ok(amounts)
}

/// The sum of amounts in `currency`.
fn sum(currency: Currency, amounts: &[Money]) -> Result<Money, SettlementError> {
    let sum = amounts.iter().fold(Exact::zero(), |sum, amount| sum + &amount.exact());
    // A sum of whole minor units is one, whatever the rounding.
    sum.round(currency, tieup_protocol::contract::Rounding::Down).ok_or(SettlementError::TooLarge)
}

#[cfg(test)]
mod tests;
