//! Adjustments: what is taken off the charges, and the bounds of what is.

use serde::Deserialize;

use super::charges::Tiers;
use crate::decimal::{Decimal, Percent};

/// Something that is taken off, or a bound of what is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenAdjustment")]
pub enum Adjustment {
    /// A percentage off that depends on the band a meter is in.
    Banded(BandedDiscount),
    /// All percentages together are at most this.
    CapDiscount(Percent),
    /// The total is at most this, in major units.
    Maximum(Decimal),
    /// The total is at least this, in major units.
    Minimum(Decimal),
}

/// Percentages by threshold.
pub type Percentages = Tiers<Percent>;

/// A discount by bands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BandedDiscount {
    /// The name on the statement.
    pub id: String,
    /// What must be so for it to be given.
    pub when: Option<When>,
    /// The meter whose value chooses the band.
    pub meter: String,
    /// The charges it is taken off.
    pub on: Vec<String>,
    /// The percentage from each threshold on.
    pub off: Percentages,
}

/// A condition: a meter has a value, and reads at least so much.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The meter.
    pub meter: String,
    /// The least that it must read.
    pub from: Decimal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAdjustment {
    id: Option<String>,
    when: Option<When>,
    bands: Option<String>,
    on: Option<Vec<String>>,
    off: Option<Percentages>,
    cap_discount: Option<Percent>,
    maximum: Option<Decimal>,
    minimum: Option<Decimal>,
}

impl WrittenAdjustment {
    /// The discount, where all its keys are written.
    fn discount(self) -> Option<Adjustment> {
        let (id, meter, on, off) = (self.id?, self.bands?, self.on?, self.off?);
        Some(Adjustment::Banded(BandedDiscount { id, when: self.when, meter, on, off }))
    }
}

impl TryFrom<WrittenAdjustment> for Adjustment {
    type Error = String;

    fn try_from(written: WrittenAdjustment) -> Result<Self, String> {
        let is_discount = written.id.is_some()
            || written.when.is_some()
            || written.bands.is_some()
            || written.on.is_some()
            || written.off.is_some();
        let adjustment = match (is_discount, written.cap_discount, written.maximum, written.minimum) {
            (true, None, None, None) => written.discount(),
            (false, Some(cap), None, None) => Some(Self::CapDiscount(cap)),
            (false, None, Some(highest), None) => Some(Self::Maximum(highest)),
            (false, None, None, Some(least)) => Some(Self::Minimum(least)),
            _ => None,
        };
        adjustment.ok_or_else(|| {
            "an adjustment is one of {id, bands, on, off}, with or without {when}, {cap_discount}, {maximum} and {minimum}".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adjustment_is_whole_and_of_one_kind() {
        let read = |yaml: &str| serde_yaml::from_str::<Adjustment>(yaml).map_err(|error| error.to_string());
        for good in [
            "{id: a, bands: tie, on: [base], off: [[0, \"0%\"]]}",
            "{id: a, when: {meter: own, from: 5000}, bands: tie, on: [base], off: [[0, \"0%\"]]}",
            "{cap_discount: \"40%\"}",
            "{maximum: 90000}",
            "{minimum: 10000}",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in [
            "{}",
            "{id: a, bands: tie, on: [base]}",
            "{cap_discount: \"40%\", minimum: 1}",
            "{minimum: 1, id: a}",
            "{maximum: 1, when: {meter: own, from: 1}}",
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains("an adjustment is one of"), "{bad}: {error}");
        }
    }
}
