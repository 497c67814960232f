//! The tariff: from a contract's terms and what happened to lines, each with its reason, and their total.
//!
//! `docs/fees.md` says every rule in full. The order is fixed. Charges come first, by name. Then the percentages: each
//! discount finds the band that its meter is in and takes that percentage off the *undiscounted, exact* amounts of its
//! charges, and percentages on one charge add up. Then the cap: on each charge, what goes beyond the cap is given back.
//! A contract without a cap has one of 100%. Then the maximum: what the lines so far go beyond it is taken off. Then the
//! minimum: what the lines so far fall short of it is added. A contract without a minimum has one of 0.
//!
//! With `round: ..., at: line` every line is rounded and the total is the sum of the rounded lines; maximum and minimum
//! are then held against rounded lines. With `at: total` lines stay exact and their sum alone is rounded.

mod adjustments;
mod charges;
mod line;
mod reading;

use tieup_protocol::contract::{Contract, Money as MoneyTerms, RoundAt};

use self::adjustments::ByCharge;
use self::charges::Scales;
use crate::books::{Books, Catalogue, InvalidEvent, check_events};
use crate::money::{Exact, Money};

pub use self::line::{Band, Condition, EventFees, Line, Monthly, Share, TierPart, Why};
pub use self::reading::{Reading, Readings};

/// The fee for a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// Charges by name, then adjustments in the order of the contract.
    pub lines: Vec<Line>,
    /// The sum of the lines' exact amounts.
    pub exact: Exact,
    /// The fee.
    pub total: Money,
    /// What each meter of the contract reads.
    pub readings: Readings,
}

/// Why a period cannot be priced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// A term names a meter that does not exist or is of the other kind. Contracts that were parsed have none.
    #[error("the contract has no meter `{0}` that could be used here")]
    Meter(String),
    /// A charge goes by a meter that has no value. Contracts that were parsed have none.
    #[error("the meter `{0}` has no value, and a charge goes by it")]
    Undefined(String),
    /// A discount names a charge that does not exist. Contracts that were parsed have none.
    #[error("the contract has no charge `{0}`")]
    Charge(String),
    /// Tiers do not begin at 0. Contracts that were parsed have none such.
    #[error("the tiers of `{0}` leave a value without a tier")]
    Tiers(String),
    /// A meter reads the catalogue, and there is none.
    #[error("the meter `{0}` reads the catalogue of what is published, and none was given")]
    NoCatalogue(String),
    /// The catalogue offers goods whose name is not one printable word.
    #[error("the catalogue offers {0:?}, which is not one printable word")]
    Goods(String),
    /// A sale makes no sense.
    #[error(transparent)]
    Event(#[from] InvalidEvent),
    /// An amount is beyond what money can hold.
    #[error("the amount of `{0}` is too large")]
    TooLarge(String),
}

/// Prices what `books` hold by the terms of `contract`.
///
/// Where the contract is prorated by days, amounts for a month count for the days that were counted.
///
/// # Errors
/// See [`PricingError`]. A contract that was parsed and not changed fails only for events that make no sense, for a
/// catalogue that it needs and that was not given, and for sheer size.
pub fn price(contract: &Contract, books: &Books<'_>) -> Result<Priced, PricingError> {
    let terms = &contract.terms;
    check_events(books.events, terms.money.currency)?;
    if let Some(goods) = books.catalogue.and_then(Catalogue::misnamed) {
        return Err(PricingError::Goods(goods.to_owned()));
    }
    let readings = reading::readings(terms, books)?;
    let scales = Scales::new(contract, books.counted.period(), &readings, books.events);
    let mut bill = Bill { money: &terms.money, lines: Vec::new() };
    for (name, charge) in &terms.charges {
        let (why, exact) = scales.amount(charge)?;
        bill.add(name, why, exact)?;
    }
    let charges: ByCharge = bill.lines.iter().map(|line| (line.id.clone(), line.exact.clone())).collect();
    adjustments::add(&mut bill, &scales, &charges)?;
    bill.total(readings)
}

/// The lines so far.
struct Bill<'a> {
    money: &'a MoneyTerms,
    lines: Vec<Line>,
}

impl Bill<'_> {
    fn add(&mut self, id: &str, why: Why, exact: Exact) -> Result<(), PricingError> {
        let rounded = match self.money.at {
            RoundAt::Line => Some(self.round(id, &exact)?),
            RoundAt::Total => None,
        };
        self.lines.push(Line { id: id.to_owned(), why, exact, rounded });
        Ok(())
    }

    fn round(&self, id: &str, exact: &Exact) -> Result<Money, PricingError> {
        let too_large = || PricingError::TooLarge(id.to_owned());
        exact.round(self.money.currency, self.money.round).ok_or_else(too_large)
    }

    /// The sum of what the lines come to: rounded amounts where lines are rounded, else exact ones.
    fn sum(&self) -> Exact {
        let effective = |line: &Line| line.rounded.map_or_else(|| line.exact.clone(), Money::exact);
        self.lines.iter().map(effective).fold(Exact::zero(), |sum, amount| sum + &amount)
    }

    fn total(self, readings: Readings) -> Result<Priced, PricingError> {
        let total = self.round("total", &self.sum())?;
        let exact = self.lines.iter().map(|line| &line.exact).sum();
        Ok(Priced { lines: self.lines, exact, total, readings })
    }
}

#[cfg(test)]
mod tests;
