//! What the meters of a contract read.

use std::collections::BTreeMap;

use tieup_protocol::contract::{Measure, Meter, Sales, Terms, ZeroRatio};

use super::PricingError;
use crate::books::{Books, Catalogue};
use crate::money::Exact;

/// What each meter reads, by name.
pub type Readings = BTreeMap<String, Reading>;

/// What a meter reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A count, or an amount in major units.
    Count {
        /// What is counted.
        meter: Meter,
        /// How many.
        value: Exact,
    },
    /// One count over another.
    Ratio {
        /// The meter above the line.
        numerator: String,
        /// What it reads.
        above: Exact,
        /// The meter below the line.
        denominator: String,
        /// What it reads.
        below: Exact,
        /// The ratio, by the contract's rule where the meter below reads 0.
        value: Option<Exact>,
    },
}

impl Reading {
    /// The value; none for a ratio that does not exist.
    pub fn value(&self) -> Option<&Exact> {
        match self {
            Self::Count { value, .. } => Some(value),
            Self::Ratio { value, .. } => value.as_ref(),
        }
    }
}

/// What the meters of `terms` read in `books`.
pub(super) fn readings(terms: &Terms, books: &Books<'_>) -> Result<Readings, PricingError> {
    let read = |(name, meter): (&String, &Meter)| Ok((name.clone(), reading(terms, name, meter, books)?));
    terms.meters.iter().map(read).collect()
}

fn reading(terms: &Terms, name: &str, meter: &Meter, books: &Books<'_>) -> Result<Reading, PricingError> {
    let Meter::Ratio { numerator, denominator, if_zero } = meter else {
        return Ok(Reading::Count { meter: meter.clone(), value: count(name, meter, books)? });
    };
    let part = |name: &String| {
        let meter = terms.meters.get(name).ok_or_else(|| PricingError::Meter(name.clone()))?;
        count(name, meter, books)
    };
    let (above, below) = (part(numerator)?, part(denominator)?);
    let undefined = || match if_zero {
        ZeroRatio::None => None,
        ZeroRatio::Zero => Some(Exact::zero()),
    };
    let value = above.clone().over(&below).or_else(undefined);
    Ok(Reading::Ratio { numerator: numerator.clone(), above, denominator: denominator.clone(), below, value })
}

/// What a meter that is no ratio reads.
fn count(name: &str, meter: &Meter, books: &Books<'_>) -> Result<Exact, PricingError> {
    let catalogue = || books.catalogue.ok_or_else(|| PricingError::NoCatalogue(name.to_owned()));
    match meter {
        Meter::Counted { quantity, class, paths } => Ok(books.counted.quantity(*quantity, *class, paths).into()),
        Meter::Published { extent, class } => Ok(catalogue()?.extent(*extent, *class).into()),
        Meter::Advertisements(owner) => Ok(catalogue()?.advertisements(*owner).into()),
        Meter::Offered(goods) => Ok(offered(catalogue()?, goods).into()),
        Meter::Sold { measure, of } => Ok(sold(*measure, of, books)),
        Meter::Ratio { .. } => Err(PricingError::Meter(name.to_owned())),
    }
}

fn offered(catalogue: &Catalogue, goods: &str) -> u128 {
    catalogue.offered.get(goods).copied().unwrap_or(0).into()
}

fn sold(measure: Measure, of: &Sales, books: &Books<'_>) -> Exact {
    let events = books.events.iter().filter(|event| event.is_of(of));
    match measure {
        Measure::Number => (events.count() as u128).into(),
        Measure::Units => events.map(|event| u128::from(event.units)).sum::<u128>().into(),
        Measure::Amount => events.fold(Exact::zero(), |sum, event| sum + &event.amount.exact()),
    }
}
