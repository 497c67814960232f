//! What each charge comes to before anything is taken off.

use tieup_protocol::contract::{Charge, Contract, Meter, Package, PerEvent, Proration, Rate, Terms, Tiered, Tiers};
use tieup_protocol::decimal::{Decimal, Percent};
use tieup_protocol::period::Period;

use super::PricingError;
use super::line::{Band, EventFees, Monthly, TierPart, Why};
use super::reading::{Reading, Readings};
use crate::books::Event;
use crate::money::Exact;

/// What amounts depend on besides the terms of one charge.
pub(super) struct Scales<'a> {
    pub(super) contract: &'a Contract,
    pub(super) readings: &'a Readings,
    pub(super) events: &'a [Event],
    /// The part of a month that is charged: 1, or the period's share of the month's days.
    pub(super) part: Exact,
}

/// A meter and the band that it is in.
type BandOf = (String, Band<Percent>);

/// A line's reason and its exact amount.
type Amount = Result<(Why, Exact), PricingError>;

impl<'a> Scales<'a> {
    pub(super) fn new(contract: &'a Contract, period: Period, readings: &'a Readings, events: &'a [Event]) -> Self {
        let days = Exact::ratio(period.days().into(), period.days_of_month().into());
        let part = match contract.terms.money.prorate {
            Proration::None => None,
            Proration::Days => days,
        };
        Self { contract, readings, events, part: part.unwrap_or_else(Exact::one) }
    }

    fn terms(&self) -> &Terms {
        &self.contract.terms
    }

    /// What an amount for a month is for the period.
    pub(super) fn monthly(&self, whole: Decimal) -> Monthly {
        Monthly { whole, part: self.part.clone() }
    }

    /// A threshold for `meter` in the period.
    pub(super) fn threshold(&self, meter: &str, threshold: Decimal) -> Exact {
        let threshold = Exact::from(threshold);
        let grows = self.terms().meters.get(meter).is_some_and(Meter::grows_with_time);
        if grows { threshold * &self.part } else { threshold }
    }

    /// What `meter` reads; none for a ratio that does not exist.
    pub(super) fn value(&self, meter: &str) -> Result<Option<&Exact>, PricingError> {
        self.readings.get(meter).map(Reading::value).ok_or_else(|| PricingError::Meter(meter.to_owned()))
    }

    /// What `meter` reads, where it is a count.
    fn units(&self, meter: &str) -> Result<&Exact, PricingError> {
        match self.readings.get(meter) {
            Some(Reading::Count { value, .. }) => Ok(value),
            _ => Err(PricingError::Meter(meter.to_owned())),
        }
    }

    /// The band that `value` of `meter` lies in: the last one whose threshold is not above it.
    pub(super) fn band<T: Copy>(&self, meter: &str, bands: &Tiers<T>, value: &Exact) -> Result<Band<T>, PricingError> {
        let from = |at: usize| bands.get(at).map(|(threshold, _)| self.threshold(meter, *threshold));
        let beyond = (0..bands.len()).find(|at| from(*at).is_some_and(|from| from > *value)).unwrap_or(bands.len());
        let no_band = || PricingError::Tiers(meter.to_owned());
        let at = beyond.checked_sub(1).ok_or_else(no_band)?;
        let (_, holds) = *bands.get(at).ok_or_else(no_band)?;
        Ok(Band { value: value.clone(), from: from(at).ok_or_else(no_band)?, until: from(beyond), holds })
    }

    /// What `charge` comes to.
    pub(super) fn amount(&self, charge: &Charge) -> Amount {
        match charge {
            Charge::Base(base) => {
                let kind = self.contract.partnership;
                let fee = self.monthly(base.amount(kind));
                let exact = fee.exact();
                Ok((Why::Partnership { kind, fee }, exact))
            }
            Charge::Services(prices) => {
                let rendered = self.terms().services.iter();
                let fee = |service: &String| Some((service.clone(), self.monthly(*prices.get(service)?)));
                let fees: Vec<(String, Monthly)> = rendered.filter_map(fee).collect();
                let exact = fees.iter().fold(Exact::zero(), |sum, (_, fee)| sum + &fee.exact());
                Ok((Why::Services(fees), exact))
            }
            Charge::Graduated(tiered) => self.graduated(tiered),
            Charge::Volume(tiered) => self.volume(tiered),
            Charge::Flat(tiered) => self.flat(tiered),
            Charge::Package(package) => self.package(package),
            Charge::PerEvent(terms) => self.per_event(terms),
        }
    }

    /// Every tier with the units of the meter that lie in it.
    fn tiers(&self, Tiered { meter, tiers }: &Tiered, units: &Exact) -> Result<Vec<TierPart>, PricingError> {
        let starts: Vec<Exact> = tiers.iter().map(|(threshold, _)| self.threshold(meter, *threshold)).collect();
        if !starts.first().is_some_and(Exact::is_zero) {
            return Err(PricingError::Tiers(meter.clone()));
        }
        let ends = starts.iter().skip(1).cloned().map(Some).chain([None]);
        let tier = |((above, up_to), (_, price)): ((&Exact, Option<Exact>), &(Decimal, Decimal))| {
            let reached = up_to.clone().map_or_else(|| units.clone(), |end| end.min(units.clone()));
            let within = (reached - above).max(Exact::zero());
            tier_part(above.clone(), up_to, within, *price)
        };
        Ok(starts.iter().zip(ends).zip(tiers).map(tier).collect())
    }

    fn graduated(&self, tiered: &Tiered) -> Amount {
        let units = self.units(&tiered.meter)?;
        let mut tiers = self.tiers(tiered, units)?;
        tiers.retain(|part| !part.units.is_zero());
        let exact = tiers.iter().map(|part| &part.exact).sum();
        Ok((Why::Graduated { meter: tiered.meter.clone(), units: units.clone(), tiers }, exact))
    }

    /// All units at the price of the tier they reach; never less than an earlier tier's last unit would have made it.
    fn volume(&self, tiered: &Tiered) -> Amount {
        let units = self.units(&tiered.meter)?;
        let tiers = self.tiers(tiered, units)?;
        let at = tiers.iter().rposition(|part| !part.units.is_zero()).unwrap_or(0);
        let all = |part: &TierPart, units: Exact| tier_part(part.above.clone(), part.up_to.clone(), units, part.price);
        let no_tier = || PricingError::Tiers(tiered.meter.clone());
        let reached = all(tiers.get(at).ok_or_else(no_tier)?, units.clone());
        let full = tiers.iter().take(at).filter_map(|part| Some(all(part, part.up_to.clone()?)));
        let most = full.fold(None, |most: Option<TierPart>, part| match most {
            Some(most) if most.exact >= part.exact => Some(most),
            _ => Some(part),
        });
        let held = most.filter(|part| part.exact > reached.exact);
        let exact = held.as_ref().unwrap_or(&reached).exact.clone();
        Ok((Why::Volume { meter: tiered.meter.clone(), units: units.clone(), reached, held }, exact))
    }

    fn flat(&self, Tiered { meter, tiers }: &Tiered) -> Amount {
        let value = self.value(meter)?.ok_or_else(|| PricingError::Undefined(meter.clone()))?;
        let Band { value, from, until, holds } = self.band(meter, tiers, value)?;
        let band = Band { value, from, until, holds: self.monthly(holds) };
        let exact = band.holds.exact();
        Ok((Why::Flat { meter: meter.clone(), band }, exact))
    }

    fn package(&self, Package { meter, size, price }: &Package) -> Amount {
        let units = self.units(meter)?;
        let begun = units.clone().over(&Exact::from(*size)).ok_or_else(|| PricingError::Tiers(meter.clone()))?;
        let packages = begun.ceil();
        let exact = packages.clone() * &Exact::from(*price);
        let (meter, units) = (meter.clone(), units.clone());
        Ok((Why::Package { meter, units, size: *size, packages, price: *price }, exact))
    }

    fn per_event(&self, terms: &PerEvent) -> Amount {
        let (rate, band) = self.rate(&terms.rate)?;
        let (least, highest) = (Exact::from(terms.min), Exact::from(terms.max));
        let mut fees =
            EventFees { terms: terms.clone(), rate, band, events: 0, amount: Exact::zero(), at_min: 0, at_max: 0 };
        let mut exact = Exact::zero();
        for event in self.events.iter().filter(|event| event.is_of(&terms.of)) {
            let by_rate = fees.by_rate(event);
            fees.events += 1;
            fees.amount = fees.amount + &event.amount.exact();
            fees.at_min += u64::from(by_rate < least);
            fees.at_max += u64::from(by_rate > highest);
            exact = exact + &fees.limited(by_rate);
        }
        Ok((Why::PerEvent(fees), exact))
    }

    /// The rate that holds, and the band that chose it.
    fn rate(&self, rate: &Rate) -> Result<(Percent, Option<BandOf>), PricingError> {
        match rate {
            Rate::Fixed(percent) => Ok((*percent, None)),
            Rate::Banded { meter, rates } => {
                let value = self.value(meter)?.ok_or_else(|| PricingError::Undefined(meter.clone()))?;
                let band = self.band(meter, rates, value)?;
                Ok((band.holds, Some((meter.clone(), band))))
            }
        }
    }
}

fn tier_part(above: Exact, up_to: Option<Exact>, units: Exact, price: Decimal) -> TierPart {
    let exact = units.clone() * &price.into();
    TierPart { above, up_to, units, price, exact }
}
