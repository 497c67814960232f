//! Exact decimal numbers as contracts write them. There is no floating point in a fee.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A decimal with at most 18 digits in all: `units / 10^scale`.
///
/// In YAML it stands in quotes (`"0.50"`) or as a whole number. A bare `0.50` is refused, since a YAML parser would
/// make a binary fraction of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    units: i64,
    scale: u32,
}

/// A percentage as contracts write it: `"3.5%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(Decimal);

/// Why a text is not a decimal or a percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecimal {
    /// Not digits with at most one point and one leading minus, or more than 18 digits.
    #[error("`{0}` is not a decimal number of at most 18 digits, such as \"0.50\"")]
    Number(String),
    /// No percent sign, or no decimal before it.
    #[error("`{0}` is not a percentage, such as \"3.5%\"")]
    Percentage(String),
}

impl Decimal {
    /// The whole number `units`.
    pub const fn whole(units: i64) -> Self {
        Self { units, scale: 0 }
    }

    /// Numerator and the power of ten beneath it: `0.50` is `(50, 2)`.
    pub const fn parts(self) -> (i64, u32) {
        (self.units, self.scale)
    }

    /// Whether the number is above `other`.
    pub fn is_above(self, other: Self) -> bool {
        let scaled = |number: Self, scale: u32| i128::from(number.units) * 10_i128.pow(scale);
        scaled(self, other.scale) > scaled(other, self.scale)
    }

    /// Whether the number is below zero.
    pub const fn is_negative(self) -> bool {
        self.units < 0
    }
}

impl Percent {
    /// All of it: `100%`.
    pub const WHOLE: Self = Self(Decimal::whole(100));

    /// The number before the percent sign.
    pub const fn hundredths(self) -> Decimal {
        self.0
    }
}

impl FromStr for Decimal {
    type Err = InvalidDecimal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDecimal::Number(text.to_owned());
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
        let dangling = digits.contains('.') && fraction.is_empty();
        if whole.is_empty() || !all_digits || dangling || whole.len() + fraction.len() > 18 {
            return Err(invalid());
        }
        let magnitude: i64 = format!("{whole}{fraction}").parse().map_err(|_| invalid())?;
        let scale = u32::try_from(fraction.len()).map_err(|_| invalid())?;
        Ok(Self { units: if text.starts_with('-') { -magnitude } else { magnitude }, scale })
    }
}

impl FromStr for Percent {
    type Err = InvalidDecimal;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDecimal::Percentage(text.to_owned());
        let number = text.strip_suffix('%').ok_or_else(invalid)?;
        number.parse().map(Self).map_err(|_| invalid())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let scale = self.scale as usize;
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        if fraction.is_empty() { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

/// What YAML or JSON holds where a decimal is expected.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a whole number or a decimal in quotes, such as \"0.50\"")]
enum Written {
    Whole(i64),
    Text(String),
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Whole(units) => units.to_string().parse().map_err(serde::de::Error::custom),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_kept_to_the_digit() {
        for text in ["0", "0.50", "-3.125", "100000", "0.000001"] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), text);
        }
        assert_eq!("0.50".parse::<Decimal>().unwrap().parts(), (50, 2));
    }

    #[test]
    fn what_is_not_a_decimal_is_refused() {
        for bad in ["", "-", ".5", "5.", "1e3", "1,000", "+1", "--1", "NaN", "1234567890123456789"] {
            assert!(bad.parse::<Decimal>().is_err(), "{bad}");
        }
        for bad in ["5", "%", "5 %", "five%"] {
            assert!(bad.parse::<Percent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn yaml_may_not_smuggle_in_a_binary_fraction() {
        assert_eq!(serde_yaml::from_str::<Decimal>("\"0.50\"").unwrap().parts(), (50, 2));
        assert_eq!(serde_yaml::from_str::<Decimal>("20000").unwrap(), Decimal::whole(20_000));
        assert!(serde_yaml::from_str::<Decimal>("0.50").is_err());
    }
}
