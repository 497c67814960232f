//! The tariff: from a contract's terms and what was counted to lines, each with its reason, and their total.
//!
//! The order is fixed. Charges come first, by name. Then the percentages: each discount finds the band that its meter
//! is in and takes that percentage off the *undiscounted, exact* amounts of its charges, and percentages on one charge
//! add up. Then the cap: on each charge, what goes beyond the cap is given back. A contract without a cap has one of
//! 100%. Then the minimum: what the lines so far fall short of it is added. A contract without a minimum has one of 0.
//!
//! With `round: ..., at: line` every line is rounded and the total is the sum of the rounded lines; the minimum is then
//! held against rounded lines. With `at: total` lines stay exact and their sum alone is rounded.

use std::collections::BTreeMap;

use tieup_protocol::contract::{
    Adjustment, BandedDiscount, Charge, Contract, Currency, Meter, MeterClass, Money as MoneyTerms, Partnership,
    PerEvent, Quantity, RoundAt, Terms, Tiered, Tiers, ZeroRatio,
};
use tieup_protocol::decimal::{Decimal, Percent};

use crate::count::Counted;
use crate::money::{Exact, Money};

/// Something besides a visit that is charged for, such as a settled order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The kind, as contracts name it: `settled_orders`. Kinds that no charge names cost nothing.
    pub kind: String,
    /// The amount it was about; never negative.
    pub amount: Money,
}

/// A month's fee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// Charges by name, then adjustments in the order of the contract.
    pub lines: Vec<Line>,
    /// The sum of the lines' exact amounts.
    pub exact: Exact,
    /// What is to be paid.
    pub total: Money,
    /// What each meter of the contract reads.
    pub readings: BTreeMap<String, Reading>,
}

/// One line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The name of the charge or discount; `cap` or `minimum`.
    pub id: String,
    /// Inputs and band.
    pub why: Why,
    /// The exact amount in major units; below 0 for what is taken off.
    pub exact: Exact,
    /// The rounded amount; none where the contract rounds the total alone.
    pub rounded: Option<Money>,
}

/// Where a line's amount comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The kind of partnership.
    Partnership(Partnership),
    /// Units of a meter, each at the price of its tier.
    Graduated {
        /// The meter.
        meter: String,
        /// What it read.
        units: u128,
        /// The tiers that hold at least one unit.
        tiers: Vec<TierPart>,
    },
    /// A fee on each event.
    PerEvent(EventFees),
    /// A percentage by band.
    Discount {
        /// The meter.
        meter: String,
        /// The band that it is in; none where a ratio does not exist.
        band: Option<Band>,
        /// What is taken off, by charge.
        on: Vec<Share>,
    },
    /// What percentages beyond the cap are given back.
    Cap {
        /// The highest percentage on any charge.
        cap: Percent,
        /// What is given back, by charge; only charges that were beyond the cap.
        on: Vec<Share>,
    },
    /// What was short of the minimum.
    Minimum {
        /// The minimum in major units.
        least: Decimal,
        /// The sum of the lines before it.
        before: Exact,
    },
}

/// The units in one tier of a graduated price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierPart {
    /// The number of the first unit of the tier, counted from 1.
    pub first: u128,
    /// The number of the last unit of the tier; none for the last tier.
    pub last: Option<u128>,
    /// How many of the meter's units lie in it.
    pub units: u128,
    /// The price of one.
    pub price: Decimal,
    /// Units times price.
    pub exact: Exact,
}

/// The fees on events of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFees {
    /// The terms.
    pub terms: PerEvent,
    /// How many events.
    pub events: u64,
    /// The sum of their amounts, in major units.
    pub amount: Exact,
    /// How many paid the least fee because the rate gave less.
    pub at_min: u64,
    /// How many paid the highest fee because the rate gave more.
    pub at_max: u64,
}

/// The band of a discount that a value lies in: from its threshold up to, and without, the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Band {
    /// The value.
    pub value: Exact,
    /// The lowest value in the band.
    pub from: Decimal,
    /// The lowest value that is beyond it; none for the last band.
    pub until: Option<Decimal>,
    /// The percentage that holds in it.
    pub off: Percent,
}

/// A percentage of one charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The charge.
    pub charge: String,
    /// The undiscounted, exact amount of the charge.
    pub of: Exact,
    /// The share, 0.05 for 5%.
    pub share: Exact,
    /// Share times amount.
    pub exact: Exact,
}

/// What a meter reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A count.
    Count {
        /// What is counted.
        quantity: Quantity,
        /// Of which pages.
        class: MeterClass,
        /// How many.
        value: u128,
    },
    /// One count over another.
    Ratio {
        /// The meter above the line.
        numerator: String,
        /// What it reads.
        above: u128,
        /// The meter below the line.
        denominator: String,
        /// What it reads.
        below: u128,
        /// The ratio, by the contract's rule where the meter below reads 0.
        value: Option<Exact>,
    },
}

/// Why a month cannot be priced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// A term names a meter that does not exist or is of the other kind. Contracts that were parsed have none.
    #[error("the contract has no meter `{0}` that could be used here")]
    Meter(String),
    /// A discount names a charge that does not exist. Contracts that were parsed have none.
    #[error("the contract has no charge `{0}`")]
    Charge(String),
    /// Tiers do not begin at 0. Contracts that were parsed have none such.
    #[error("the tiers of `{0}` leave a value without a tier")]
    Tiers(String),
    /// An event is in another currency.
    #[error("a `{kind}` event is in {}; the contract is in {}", .event.code(), .contract.code())]
    EventCurrency {
        /// The kind of event.
        kind: String,
        /// Its currency.
        event: Currency,
        /// The contract's.
        contract: Currency,
    },
    /// An event's amount is below 0.
    #[error("a `{kind}` event has the negative amount {amount}")]
    NegativeEvent {
        /// The kind of event.
        kind: String,
        /// Its amount.
        amount: Money,
    },
    /// An amount is beyond what money can hold.
    #[error("the amount of `{0}` is too large")]
    TooLarge(String),
}

/// Prices what was `counted` and what happened by the terms of `contract`.
///
/// There is no proration: a month in which the contract begins is charged whole.
///
/// # Errors
/// See [`PricingError`]. A contract that was parsed and not changed fails only for events and for sheer size.
pub fn price(contract: &Contract, counted: &Counted, events: &[Event]) -> Result<Priced, PricingError> {
    let terms = &contract.terms;
    let readings = readings(terms, counted)?;
    let mut bill = Bill { money: &terms.money, lines: Vec::new() };
    for (name, charge) in &terms.charges {
        let (why, exact) = charge_amount(charge, contract.partnership, &readings, events, terms.money.currency)?;
        bill.add(name, why, exact)?;
    }
    let charges: BTreeMap<String, Exact> = bill.lines.iter().map(|l| (l.id.clone(), l.exact.clone())).collect();
    let off = add_discounts(&mut bill, terms, &charges, &readings)?;
    add_cap(&mut bill, terms, &charges, &off)?;
    add_minimum(&mut bill, terms)?;
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

    fn total(self, readings: BTreeMap<String, Reading>) -> Result<Priced, PricingError> {
        let total = self.round("total", &self.sum())?;
        let exact = self.lines.iter().map(|line| &line.exact).sum();
        Ok(Priced { lines: self.lines, exact, total, readings })
    }
}

fn readings(terms: &Terms, counted: &Counted) -> Result<BTreeMap<String, Reading>, PricingError> {
    let read = |(name, meter): (&String, &Meter)| Ok((name.clone(), reading(terms, meter, counted)?));
    terms.meters.iter().map(read).collect()
}

fn reading(terms: &Terms, meter: &Meter, counted: &Counted) -> Result<Reading, PricingError> {
    let count = |name: &String| match terms.meters.get(name) {
        Some(Meter::Counted { quantity, class }) => Ok(counted.quantity(*quantity, *class)),
        _ => Err(PricingError::Meter(name.clone())),
    };
    match meter {
        Meter::Counted { quantity, class } => {
            let value = counted.quantity(*quantity, *class);
            Ok(Reading::Count { quantity: *quantity, class: *class, value })
        }
        Meter::Ratio { numerator, denominator, if_zero } => {
            let (above, below) = (count(numerator)?, count(denominator)?);
            let undefined = || match if_zero {
                ZeroRatio::None => None,
                ZeroRatio::Zero => Some(Exact::zero()),
            };
            let value = Exact::ratio(above, below).or_else(undefined);
            Ok(Reading::Ratio { numerator: numerator.clone(), above, denominator: denominator.clone(), below, value })
        }
    }
}

impl Reading {
    /// The value; none for a ratio that does not exist.
    pub fn value(&self) -> Option<Exact> {
        match self {
            Self::Count { value, .. } => Some(Exact::from(*value)),
            Self::Ratio { value, .. } => value.clone(),
        }
    }
}

fn charge_amount(
    charge: &Charge,
    partnership: Partnership,
    readings: &BTreeMap<String, Reading>,
    events: &[Event],
    currency: Currency,
) -> Result<(Why, Exact), PricingError> {
    match charge {
        Charge::Base(base) => Ok((Why::Partnership(partnership), base.amount(partnership).into())),
        Charge::Graduated(tiered) => graduated(tiered, readings),
        Charge::PerEvent(terms) => per_event(terms, events, currency),
    }
}

fn graduated(tiered: &Tiered, readings: &BTreeMap<String, Reading>) -> Result<(Why, Exact), PricingError> {
    let Some(Reading::Count { value: units, .. }) = readings.get(&tiered.meter) else {
        return Err(PricingError::Meter(tiered.meter.clone()));
    };
    let no_tier = || PricingError::Tiers(tiered.meter.clone());
    let starts: Option<Vec<u128>> = tiered.tiers.iter().map(|(threshold, _)| whole(*threshold)).collect();
    let starts = starts.filter(|s| s.first() == Some(&0)).ok_or_else(no_tier)?;
    let ends = starts.iter().skip(1).copied().map(Some).chain([None]);
    let tiers: Vec<TierPart> = starts
        .iter()
        .zip(ends)
        .zip(&tiered.tiers)
        .map(|((start, end), (_, price))| tier_part(*units, *start, end, *price))
        .filter(|part| part.units > 0)
        .collect();
    let exact = tiers.iter().map(|part| &part.exact).sum();
    Ok((Why::Graduated { meter: tiered.meter.clone(), units: *units, tiers }, exact))
}

/// The part of `units` that lies above `start`, up to and with `end`.
fn tier_part(units: u128, start: u128, end: Option<u128>, price: Decimal) -> TierPart {
    let reached = end.map_or(units, |end| units.min(end));
    let within = reached.saturating_sub(start);
    let exact = Exact::from(within) * &price.into();
    TierPart { first: start + 1, last: end, units: within, price, exact }
}

/// The value of a decimal that is a whole number, not below 0.
fn whole(decimal: Decimal) -> Option<u128> {
    let (units, scale) = decimal.parts();
    let divisor = 10_i64.checked_pow(scale)?;
    (units % divisor == 0).then_some(units / divisor).and_then(|whole| whole.try_into().ok())
}

fn per_event(terms: &PerEvent, events: &[Event], currency: Currency) -> Result<(Why, Exact), PricingError> {
    let (least, highest) = (Exact::from(terms.min), Exact::from(terms.max));
    let mut fees = EventFees { terms: terms.clone(), events: 0, amount: Exact::zero(), at_min: 0, at_max: 0 };
    let mut exact = Exact::zero();
    for event in events.iter().filter(|event| event.kind == terms.event) {
        let amount = event_amount(event, currency)?;
        let by_rate = Exact::from(terms.rate) * &amount;
        fees.events += 1;
        fees.amount = fees.amount + &amount;
        fees.at_min += u64::from(by_rate < least);
        fees.at_max += u64::from(by_rate > highest);
        exact = exact + &by_rate.max(least.clone()).min(highest.clone());
    }
    Ok((Why::PerEvent(fees), exact))
}

fn event_amount(event: &Event, currency: Currency) -> Result<Exact, PricingError> {
    if event.amount.currency() != currency {
        let kind = event.kind.clone();
        return Err(PricingError::EventCurrency { kind, event: event.amount.currency(), contract: currency });
    }
    if event.amount.minor() < 0 {
        return Err(PricingError::NegativeEvent { kind: event.kind.clone(), amount: event.amount });
    }
    Ok(event.amount.exact())
}

/// Adds a line for each discount; returns the percentages on each charge, added up.
fn add_discounts(
    bill: &mut Bill<'_>,
    terms: &Terms,
    charges: &BTreeMap<String, Exact>,
    readings: &BTreeMap<String, Reading>,
) -> Result<BTreeMap<String, Exact>, PricingError> {
    let mut off: BTreeMap<String, Exact> = BTreeMap::new();
    for adjustment in &terms.adjust {
        let Adjustment::Banded(discount) = adjustment else { continue };
        let reading = readings.get(&discount.meter).ok_or_else(|| PricingError::Meter(discount.meter.clone()))?;
        let band = reading.value().map(|value| find_band(&discount.meter, &discount.off, value)).transpose()?;
        let percent = band.as_ref().map_or_else(Exact::zero, |band| band.off.into());
        let on = shares(discount, charges, &percent)?;
        for share in &on {
            let sum = off.entry(share.charge.clone()).or_insert_with(Exact::zero);
            *sum = sum.clone() + &share.share;
        }
        let exact = -on.iter().map(|share| &share.exact).sum::<Exact>();
        bill.add(&discount.id, Why::Discount { meter: discount.meter.clone(), band, on }, exact)?;
    }
    Ok(off)
}

/// The band that `value` lies in: the last one whose threshold is not above it.
fn find_band(meter: &str, bands: &Tiers<Percent>, value: Exact) -> Result<Band, PricingError> {
    let beyond = bands.iter().position(|(threshold, _)| Exact::from(*threshold) > value).unwrap_or(bands.len());
    let (from, off) = *bands.get(beyond.wrapping_sub(1)).ok_or_else(|| PricingError::Tiers(meter.to_owned()))?;
    Ok(Band { value, from, until: bands.get(beyond).map(|(threshold, _)| *threshold), off })
}

fn shares(
    discount: &BandedDiscount,
    charges: &BTreeMap<String, Exact>,
    percent: &Exact,
) -> Result<Vec<Share>, PricingError> {
    let take = |charge: &String| {
        let of = charges.get(charge).ok_or_else(|| PricingError::Charge(charge.clone()))?;
        Ok(share(charge, of, percent.clone()))
    };
    discount.on.iter().map(take).collect()
}

fn share(charge: &str, of: &Exact, share: Exact) -> Share {
    let exact = of.clone() * &share;
    Share { charge: charge.to_owned(), of: of.clone(), share, exact }
}

/// Gives back what the percentages `off` take beyond the cap.
fn add_cap(
    bill: &mut Bill<'_>,
    terms: &Terms,
    charges: &BTreeMap<String, Exact>,
    off: &BTreeMap<String, Exact>,
) -> Result<(), PricingError> {
    let written = terms.adjust.iter().find_map(|adjustment| match adjustment {
        Adjustment::CapDiscount(cap) => Some(*cap),
        _ => None,
    });
    let cap = written.unwrap_or(Percent::WHOLE);
    let highest = Exact::from(cap);
    let beyond = |(name, of): (&String, &Exact)| {
        let excess = off.get(name)?.clone() - &highest;
        (excess > Exact::zero()).then(|| share(name, of, excess))
    };
    let on: Vec<Share> = charges.iter().filter_map(beyond).collect();
    if written.is_none() && on.is_empty() {
        return Ok(());
    }
    let exact = on.iter().map(|share| &share.exact).sum();
    bill.add("cap", Why::Cap { cap, on }, exact)
}

/// Adds what the lines so far are short of the minimum.
fn add_minimum(bill: &mut Bill<'_>, terms: &Terms) -> Result<(), PricingError> {
    let written = terms.adjust.iter().find_map(|adjustment| match adjustment {
        Adjustment::Minimum(least) => Some(*least),
        _ => None,
    });
    let least = written.unwrap_or(Decimal::whole(0));
    let before = bill.sum();
    let short = (Exact::from(least) - &before).max(Exact::zero());
    if written.is_none() && short.is_zero() {
        return Ok(());
    }
    bill.add("minimum", Why::Minimum { least, before }, short)
}

#[cfg(test)]
mod tests;
