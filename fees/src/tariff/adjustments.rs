//! What is taken off the charges, and the bounds of what is.

use std::collections::BTreeMap;

use tieup_protocol::contract::{Adjustment, BandedDiscount, Terms, When};
use tieup_protocol::decimal::{Decimal, Percent};

use super::charges::Scales;
use super::line::{Condition, Share, Why};
use super::{Bill, PricingError};
use crate::money::Exact;

/// Undiscounted amounts, or percentages, by charge.
pub(super) type ByCharge = BTreeMap<String, Exact>;

/// Adds the lines of all adjustments: percentages, then the cap, the maximum and the minimum.
pub(super) fn add(bill: &mut Bill<'_>, scales: &Scales<'_>, charges: &ByCharge) -> Result<(), PricingError> {
    let terms = &scales.contract.terms;
    let off = add_discounts(bill, terms, scales, charges)?;
    add_cap(bill, terms, charges, &off)?;
    add_maximum(bill, terms, scales)?;
    add_minimum(bill, terms, scales)
}

/// Adds a line for each discount; returns the percentages on each charge, added up.
fn add_discounts(
    bill: &mut Bill<'_>,
    terms: &Terms,
    scales: &Scales<'_>,
    charges: &ByCharge,
) -> Result<ByCharge, PricingError> {
    let mut off = ByCharge::new();
    for adjustment in &terms.adjust {
        let Adjustment::Banded(discount) = adjustment else { continue };
        let why = discount_of(discount, scales, charges)?;
        let Why::Discount { on, .. } = &why else { continue };
        for share in on {
            let sum = off.entry(share.charge.clone()).or_insert_with(Exact::zero);
            *sum = sum.clone() + &share.share;
        }
        let exact = -on.iter().map(|share| &share.exact).sum::<Exact>();
        bill.add(&discount.id, why, exact)?;
    }
    Ok(off)
}

fn discount_of(
    BandedDiscount { when, meter, on, off, .. }: &BandedDiscount,
    scales: &Scales<'_>,
    charges: &ByCharge,
) -> Result<Why, PricingError> {
    let when = when.as_ref().map(|when| condition(when, scales)).transpose()?;
    let band = scales.value(meter)?.map(|value| scales.band(meter, off, value)).transpose()?;
    let is_given = when.as_ref().is_none_or(Condition::is_met);
    let percent = band.as_ref().filter(|_| is_given).map_or_else(Exact::zero, |band| band.holds.into());
    let take = |charge: &String| match charges.get(charge) {
        Some(of) => Ok(share(charge, of, percent.clone())),
        None => Err(PricingError::Charge(charge.clone())),
    };
    let on = on.iter().map(take).collect::<Result<_, _>>()?;
    Ok(Why::Discount { when, meter: meter.clone(), band, on })
}

fn condition(When { meter, from }: &When, scales: &Scales<'_>) -> Result<Condition, PricingError> {
    let value = scales.value(meter)?.cloned();
    Ok(Condition { meter: meter.clone(), value, from: scales.threshold(meter, *from) })
}

fn share(charge: &str, of: &Exact, share: Exact) -> Share {
    let exact = of.clone() * &share;
    Share { charge: charge.to_owned(), of: of.clone(), share, exact }
}

/// Gives back what the percentages `off` take beyond the cap.
fn add_cap(bill: &mut Bill<'_>, terms: &Terms, charges: &ByCharge, off: &ByCharge) -> Result<(), PricingError> {
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

/// Takes off what of the lines so far is beyond the maximum.
fn add_maximum(bill: &mut Bill<'_>, terms: &Terms, scales: &Scales<'_>) -> Result<(), PricingError> {
    let written = terms.adjust.iter().find_map(|adjustment| match adjustment {
        Adjustment::Maximum(most) => Some(*most),
        _ => None,
    });
    let Some(most) = written.map(|most| scales.monthly(most)) else { return Ok(()) };
    let before = bill.sum();
    let beyond = (before.clone() - &most.exact()).max(Exact::zero());
    bill.add("maximum", Why::Maximum { most, before }, -beyond)
}

/// Adds what the lines so far are short of the minimum.
fn add_minimum(bill: &mut Bill<'_>, terms: &Terms, scales: &Scales<'_>) -> Result<(), PricingError> {
    let written = terms.adjust.iter().find_map(|adjustment| match adjustment {
        Adjustment::Minimum(least) => Some(*least),
        _ => None,
    });
    let least = scales.monthly(written.unwrap_or(Decimal::whole(0)));
    let before = bill.sum();
    let short = (least.exact() - &before).max(Exact::zero());
    if written.is_none() && short.is_zero() {
        return Ok(());
    }
    bill.add("minimum", Why::Minimum { least, before }, short)
}
