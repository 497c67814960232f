//! Charges: what is to be paid before anything is taken off.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::Partnership;
use super::meters::{MeterClass, Sales};
use crate::decimal::{Decimal, Percent};

/// Charges by name.
pub type Charges = BTreeMap<String, Charge>;

/// Something that is charged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenCharge")]
pub enum Charge {
    /// An amount by the kind of partnership.
    Base(Base),
    /// An amount for each service that the contract names.
    Services(BTreeMap<String, Decimal>),
    /// A price a unit that depends on the tier, each unit at the price of the tier it falls in.
    Graduated(Tiered),
    /// A price a unit that depends on the tier, all units at the price of the tier that their number reaches.
    Volume(Tiered),
    /// An amount for the tier that the meter is in, whatever it reads within it.
    Flat(Tiered),
    /// A price for each package of units that was begun.
    Package(Package),
    /// A rate on events such as settled orders.
    PerEvent(PerEvent),
}

/// Amounts by the kind of partnership, in major units of the currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// For a link.
    pub link: Decimal,
    /// For the framework.
    pub framework: Decimal,
    /// For layout and pages.
    pub inherited: Decimal,
}

impl Base {
    /// The amount for `partnership`.
    pub fn amount(&self, partnership: Partnership) -> Decimal {
        match partnership {
            Partnership::Link => self.link,
            Partnership::Framework => self.framework,
            Partnership::Inherited => self.inherited,
        }
    }
}

/// Thresholds in rising order, the first at 0, each with what holds from there on.
pub type Tiers<T> = Vec<(Decimal, T)>;

/// Prices or amounts by tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiered {
    /// The meter that is charged.
    pub meter: String,
    /// The price of a unit, or the amount, from each threshold on.
    pub tiers: Tiers<Decimal>,
}

/// Units that are sold by the package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The meter that is charged.
    pub meter: String,
    /// How many units a package holds.
    pub size: Decimal,
    /// The price of a package.
    pub price: Decimal,
}

/// A handling fee on each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerEvent {
    /// Which events, such as `settled_orders` of one kind of goods.
    pub of: Sales,
    /// The share of the event's amount.
    pub rate: Rate,
    /// The least fee for one event.
    pub min: Decimal,
    /// The highest fee for one event.
    pub max: Decimal,
}

/// A share of an event's amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rate {
    /// The same for every event.
    Fixed(Percent),
    /// By the band that a meter is in at the end of the period, such as the share of goods that were sold out.
    Banded {
        /// The meter.
        meter: String,
        /// The rate from each threshold on.
        rates: Tiers<Percent>,
    },
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(percent) => percent.fmt(f),
            Self::Banded { meter, .. } => write!(f, "a rate by the meter `{meter}`"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCharge {
    by: Option<ByPartnership>,
    link: Option<Decimal>,
    framework: Option<Decimal>,
    inherited: Option<Decimal>,
    services: Option<BTreeMap<String, Decimal>>,
    graduated: Option<String>,
    volume: Option<String>,
    flat: Option<String>,
    tiers: Option<Tiers<Decimal>>,
    package: Option<String>,
    size: Option<Decimal>,
    price: Option<Decimal>,
    per_event: Option<String>,
    goods: Option<String>,
    via: Option<MeterClass>,
    rate: Option<Percent>,
    rate_by: Option<String>,
    rates: Option<Tiers<Percent>>,
    min: Option<Decimal>,
    max: Option<Decimal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ByPartnership {
    Partnership,
}

impl WrittenCharge {
    /// The keys that are written.
    fn keys(&self) -> Vec<&'static str> {
        let keys = [
            ("by", self.by.is_some()),
            ("link", self.link.is_some()),
            ("framework", self.framework.is_some()),
            ("inherited", self.inherited.is_some()),
            ("services", self.services.is_some()),
            ("graduated", self.graduated.is_some()),
            ("volume", self.volume.is_some()),
            ("flat", self.flat.is_some()),
            ("tiers", self.tiers.is_some()),
            ("package", self.package.is_some()),
            ("size", self.size.is_some()),
            ("price", self.price.is_some()),
            ("per_event", self.per_event.is_some()),
            ("goods", self.goods.is_some()),
            ("via", self.via.is_some()),
            ("rate", self.rate.is_some()),
            ("rate_by", self.rate_by.is_some()),
            ("rates", self.rates.is_some()),
            ("min", self.min.is_some()),
            ("max", self.max.is_some()),
        ];
        keys.into_iter().filter(|(_, written)| *written).map(|(key, _)| key).collect()
    }

    /// The charge, where all keys of its kind are written; others are not looked at.
    fn charge(self) -> Option<Charge> {
        if self.by.is_some() {
            let (link, framework, inherited) = (self.link?, self.framework?, self.inherited?);
            return Some(Charge::Base(Base { link, framework, inherited }));
        }
        if let Some(prices) = self.services {
            return Some(Charge::Services(prices));
        }
        if let Some(meter) = self.package {
            return Some(Charge::Package(Package { meter, size: self.size?, price: self.price? }));
        }
        if let Some(event) = self.per_event {
            let rate = match self.rate_by {
                Some(meter) => Rate::Banded { meter, rates: self.rates? },
                None => Rate::Fixed(self.rate?),
            };
            let of = Sales { event, goods: self.goods, via: self.via };
            return Some(Charge::PerEvent(PerEvent { of, rate, min: self.min?, max: self.max? }));
        }
        let tiers = self.tiers?;
        match (self.graduated, self.volume, self.flat) {
            (Some(meter), ..) => Some(Charge::Graduated(Tiered { meter, tiers })),
            (_, Some(meter), _) => Some(Charge::Volume(Tiered { meter, tiers })),
            (.., Some(meter)) => Some(Charge::Flat(Tiered { meter, tiers })),
            _ => None,
        }
    }
}

impl Charge {
    /// Whether `keys` are those of the charge and no others.
    fn has_keys(&self, keys: &[&str]) -> bool {
        let allowed: &[&str] = match self {
            Self::Base(_) => &["by", "link", "framework", "inherited"],
            Self::Services(_) => &["services"],
            Self::Graduated(_) => &["graduated", "tiers"],
            Self::Volume(_) => &["volume", "tiers"],
            Self::Flat(_) => &["flat", "tiers"],
            Self::Package(_) => &["package", "size", "price"],
            Self::PerEvent(PerEvent { rate: Rate::Fixed(_), .. }) => {
                &["per_event", "goods", "via", "rate", "min", "max"]
            }
            Self::PerEvent(_) => &["per_event", "goods", "via", "rate_by", "rates", "min", "max"],
        };
        keys.iter().all(|key| allowed.contains(key))
    }
}

impl TryFrom<WrittenCharge> for Charge {
    type Error = String;

    fn try_from(written: WrittenCharge) -> Result<Self, String> {
        let keys = written.keys();
        written.charge().filter(|charge| charge.has_keys(&keys)).ok_or_else(|| {
            "a charge is one of {by: partnership, link, framework, inherited}, {services}, {graduated, tiers}, \
             {volume, tiers}, {flat, tiers}, {package, size, price}, {per_event, rate, min, max} and \
             {per_event, rate_by, rates, min, max}"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Charge, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn a_charge_is_whole_and_of_one_kind() {
        for good in [
            "{by: partnership, link: 0, framework: 20000, inherited: 50000}",
            "{services: {backup: 3000, security: 5000}}",
            "{graduated: tie, tiers: [[0, \"0.50\"]]}",
            "{volume: tie, tiers: [[0, \"0.50\"]]}",
            "{flat: tie, tiers: [[0, 100]]}",
            "{package: tie, size: 1000, price: 250}",
            "{per_event: settled_orders, rate: \"3.5%\", min: 30, max: 5000}",
            "{per_event: settled_orders, goods: lantern, via: tieup, rate: \"3.5%\", min: 30, max: 5000}",
            "{per_event: settled_orders, rate_by: sold, rates: [[0, \"3%\"]], min: 30, max: 5000}",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        let kinds = "a charge is one of";
        for (bad, why) in [
            ("{by: partnership, link: 0, framework: 20000}", kinds),
            ("{graduated: tie}", kinds),
            ("{graduated: tie, volume: tie, tiers: [[0, 1]]}", kinds),
            ("{graduated: tie, tiers: [[0, 1]], min: 30}", kinds),
            ("{tiers: [[0, 1]]}", kinds),
            ("{package: tie, size: 1000}", kinds),
            ("{services: {backup: 1}, price: 1}", kinds),
            ("{per_event: x, rate: \"3.5%\", min: 30}", kinds),
            ("{per_event: x, rate: \"3.5%\", rate_by: y, rates: [[0, \"1%\"]], min: 30, max: 40}", kinds),
            ("{by: volume, link: 0, framework: 0, inherited: 0}", "unknown variant"),
            ("{graduated: tie, tiers: [[0, 0.50]]}", "a whole number or a decimal in quotes"),
            ("{per_event: x, rate: 3.5, min: 30, max: 5000}", "is not a percentage"),
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn row_003_41_the_base_amount_goes_by_the_partnership() {
        let Ok(Charge::Base(base)) = read("{by: partnership, link: 1, framework: 2, inherited: 3}") else {
            panic!("a base charge");
        };
        assert_eq!(base.amount(Partnership::Link), Decimal::whole(1));
        assert_eq!(base.amount(Partnership::Framework), Decimal::whole(2));
        assert_eq!(base.amount(Partnership::Inherited), Decimal::whole(3));
    }
}
