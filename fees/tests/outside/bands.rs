//! Every value is in one tier alone, whatever charges or discounts by it, under a thousand random contracts.

use std::collections::BTreeMap;

use tieup_fees::{Exact, Line, Why, price};
use tieup_protocol::contract::{Adjustment, Charge, Meter, Proration, Rate};
use tieup_protocol::decimal::Decimal;

use super::{CASES, counted};
use crate::case::Case;

#[test]
fn no_value_is_in_two_tiers_or_in_none() {
    let mut seen = BTreeMap::new();
    for case in (0..CASES).map(Case::random) {
        let lines = price(&case.contract, &case.books(&counted(&case))).unwrap().lines;
        for line in &lines {
            if let Some(kind) = check(&case, line) {
                *seen.entry(kind).or_insert(0) += 1;
            }
        }
    }
    for kind in ["graduated", "volume", "flat", "package", "rate", "discount"] {
        assert!(seen.get(kind).is_some_and(|number| *number > 100), "the cases show too little: {seen:?}");
    }
}

/// Fails unless what `line` goes by is in the one tier that it says. Returns what kind of tiers those are.
fn check(case: &Case, line: &Line) -> Option<&'static str> {
    let terms = &case.contract.terms;
    let discount = terms.adjust.iter().find_map(|adjustment| match adjustment {
        Adjustment::Banded(discount) if discount.id == line.id => Some(discount),
        _ => None,
    });
    match (&line.why, terms.charges.get(&line.id), discount) {
        (Why::Graduated { units, tiers, .. }, Some(Charge::Graduated(of)), _) => {
            let bounds = bounds(case, &of.meter, &of.tiers);
            assert_eq!(tiers.iter().map(|tier| &tier.units).sum::<Exact>(), *units, "{}", case.told());
            for (tier, bound) in tiers.iter().zip(&bounds) {
                let most = bound.1.clone().map_or_else(|| units.clone(), |end| end.min(units.clone()));
                assert_eq!((&tier.above, &tier.up_to), (&bound.0, &bound.1), "{}", case.told());
                assert_eq!(tier.units, most - &bound.0, "{}", case.told());
            }
            Some("graduated")
        }
        (Why::Volume { units, reached, .. }, Some(Charge::Volume(of)), _) => {
            // The first one has what is nothing.
            let holds = |above: &Exact, up_to: Option<&Exact>| {
                (above < units || above.is_zero()) && up_to.is_none_or(|end| units <= end)
            };
            let at = only(case, &bounds(case, &of.meter, &of.tiers), holds);
            assert_eq!(reached.price, of.tiers[at].1, "{}", case.told());
            Some("volume")
        }
        (Why::Flat { band, .. }, Some(Charge::Flat(of)), _) => {
            let at = only(case, &bounds(case, &of.meter, &of.tiers), from(&band.value));
            assert_eq!(band.holds.whole, of.tiers[at].1, "{}", case.told());
            Some("flat")
        }
        (Why::Package { units, packages, size, .. }, Some(Charge::Package(_)), _) => {
            let hold = |packages: Exact| packages * &Exact::from(*size);
            let is_begun = packages.is_zero() || hold(packages.clone() - &Exact::one()) < *units;
            assert!(packages.is_whole() && is_begun && *units <= hold(packages.clone()), "{}", case.told());
            Some("package")
        }
        (Why::PerEvent(fees), Some(Charge::PerEvent(of)), _) => {
            let (Rate::Banded { meter, rates }, Some((_, band))) = (&of.rate, &fees.band) else { return None };
            let at = only(case, &bounds(case, meter, rates), from(&band.value));
            assert_eq!((fees.rate, band.holds), (rates[at].1, rates[at].1), "{}", case.told());
            Some("rate")
        }
        (Why::Discount { band: Some(band), .. }, _, Some(of)) => {
            let at = only(case, &bounds(case, &of.meter, &of.off), from(&band.value));
            assert_eq!(band.holds, of.off[at].1, "{}", case.told());
            Some("discount")
        }
        _ => None,
    }
}

/// Whether `value` is in the tier that begins at a threshold, and ends before the next.
fn from(value: &Exact) -> impl Fn(&Exact, Option<&Exact>) -> bool {
    move |from, until| from <= value && until.is_none_or(|until| value < until)
}

/// Which of the tiers between `bounds` holds a value, which none besides does.
fn only(case: &Case, bounds: &[(Exact, Option<Exact>)], holds: impl Fn(&Exact, Option<&Exact>) -> bool) -> usize {
    let holding = (0..bounds.len()).filter(|at| holds(&bounds[*at].0, bounds[*at].1.as_ref()));
    let holding: Vec<usize> = holding.collect();
    assert_eq!(holding.len(), 1, "{holding:?} of {bounds:?}: {}", case.told());
    holding[0]
}

/// Where each of `tiers` of `meter` begins in the period, and where the next one does.
fn bounds<T>(case: &Case, meter: &str, tiers: &[(Decimal, T)]) -> Vec<(Exact, Option<Exact>)> {
    let (terms, period) = (&case.contract.terms, case.period);
    let grows = terms.meters.get(meter).is_some_and(Meter::grows_with_time);
    let part = match terms.money.prorate {
        Proration::Days if grows => Exact::ratio(period.days().into(), period.days_of_month().into()).unwrap(),
        Proration::Days | Proration::None => Exact::one(),
    };
    let begin = |at: usize| tiers.get(at).map(|(threshold, _)| Exact::from(*threshold) * &part);
    (0..tiers.len()).map(|at| (begin(at).unwrap(), begin(at + 1))).collect()
}
