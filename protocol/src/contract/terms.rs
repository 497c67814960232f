//! The fee terms of a contract: how visits are counted, how money is rounded, how and when it is paid. What is charged
//! and taken off stands in `meters`, `charges` and `adjustments`.
//!
//! This is the language alone. The `fees` crate gives it its meaning; `docs/fees.md` says it in full.

use serde::de::value::{Error as Unknown, StrDeserializer};
use serde::{Deserialize, Serialize};

use super::adjustments::Adjustment;
use super::charges::{Charge, Charges};
use super::meters::{Meter, MeterClass, Meters};
use crate::decimal::Percent;
use crate::digest::Digest;

/// All fee terms of one contract.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// How entries become counts.
    pub count: Count,
    /// Currency and rounding.
    pub money: Money,
    /// The quantities that charges and discounts speak of.
    pub meters: Meters,
    /// What is charged.
    pub charges: Charges,
    /// What is taken off, in this order: percentages (on undiscounted amounts, added up), the cap, the maximum, the
    /// minimum.
    pub adjust: Vec<Adjustment>,
    /// The services that main renders to the partner.
    pub services: Vec<String>,
    /// What is paid otherwise than when the statement comes.
    pub pay: Pay,
    /// When a period is closed.
    pub close: Close,
    /// How long a statement may be disputed.
    pub dispute: Option<Dispute>,
}

impl Terms {
    /// Whether anything goes by sales.
    pub fn go_by_sales(&self) -> bool {
        self.meters.values().any(|meter| matches!(meter, Meter::Sold { .. }))
            || self.charges.values().any(|charge| matches!(charge, Charge::PerEvent(_)))
    }

    /// Whether anything goes by the catalogue.
    pub fn go_by_catalogue(&self) -> bool {
        self.meters.values().any(Meter::is_of_catalogue)
    }

    /// Whether anything goes by main's record.
    pub fn go_by_record(&self) -> bool {
        self.go_by_sales() || self.go_by_catalogue() || !self.pay.advance.is_empty()
    }

    /// Whether something is collected with sales of this `kind`, of these `goods` and by this way.
    pub fn collect(&self, kind: &str, goods: Option<&str>, via: Option<MeterClass>) -> bool {
        let charges = self.pay.collected.iter().filter_map(|name| self.charges.get(name));
        charges.into_iter().any(|charge| matches!(charge, Charge::PerEvent(fee) if fee.of.mean(kind, goods, via)))
    }
}

/// How journal entries become counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The rule set, such as `page-view/1`.
    pub rules: RuleSet,
    /// The list of robots, by digest.
    pub robots: Digest,
    /// Two views of one page by one visitor within this time count once.
    pub double_click: Span,
    /// What a session is.
    pub session: Session,
}

/// A named, versioned set of counting rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleSet {
    /// Page views after COUNTER R5.1.
    #[serde(rename = "page-view/1")]
    PageView1,
}

/// What a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Session {
    /// One visitor in one hour of the clock.
    Hour,
}

/// A length of time in whole seconds, written `30s`, `5m`, `12h` or `5d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span {
    seconds: u32,
}

impl Span {
    /// The length in seconds.
    pub const fn seconds(self) -> u32 {
        self.seconds
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let factor = match text.as_bytes().last() {
            Some(b's') => Some(1),
            Some(b'm') => Some(60),
            Some(b'h') => Some(3_600),
            Some(b'd') => Some(86_400),
            _ => None,
        };
        let number = |factor: u32| text[..text.len() - 1].parse::<u32>().ok()?.checked_mul(factor);
        let seconds = factor.and_then(number);
        seconds.map(|seconds| Self { seconds }).ok_or_else(|| match text.parse::<u32>() {
            Ok(number) => {
                format!("`{text}` is a time span without its unit: write `{number}m` for minutes, or 30s, 12h or 5d")
            }
            Err(_) => format!("`{text}` is not a time span: write it like 30s, 5m, 12h or 5d"),
        })
    }
}

/// Currency and rounding.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// The ISO 4217 code.
    pub currency: Currency,
    /// How halves are rounded.
    pub round: Rounding,
    /// What is rounded.
    pub at: RoundAt,
    /// What becomes of amounts for a month in a part of it.
    #[serde(default)]
    pub prorate: Proration,
}

/// What becomes of amounts for a month where a contract holds in a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proration {
    /// Months are not parted: a version governs whole months, the first that begins with its first day or after.
    #[default]
    None,
    /// By days: a version governs from its first day to its last, and is charged for these days of the month.
    Days,
}

/// What is paid otherwise than when the statement comes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// The charges that are paid before the period begins.
    #[serde(default)]
    pub advance: Vec<String>,
    /// The charges that are collected with each sale.
    #[serde(default)]
    pub collected: Vec<String>,
}

/// A currency, with the minor unit that ISO 4217 gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// Australian dollar, two decimals.
    Aud,
    /// Bahraini dinar, three decimals.
    Bhd,
    /// Canadian dollar, two decimals.
    Cad,
    /// Swiss franc, two decimals.
    Chf,
    /// Chilean peso, no decimals.
    Clp,
    /// Chinese renminbi, two decimals.
    Cny,
    /// Euro, two decimals.
    Eur,
    /// Pound sterling, two decimals.
    Gbp,
    /// Hong Kong dollar, two decimals.
    Hkd,
    /// Japanese yen, no decimals.
    Jpy,
    /// South Korean won, no decimals.
    Krw,
    /// Kuwaiti dinar, three decimals.
    Kwd,
    /// New Zealand dollar, two decimals.
    Nzd,
    /// Singapore dollar, two decimals.
    Sgd,
    /// Tunisian dinar, three decimals.
    Tnd,
    /// New Taiwan dollar, two decimals.
    Twd,
    /// United States dollar, two decimals.
    Usd,
    /// Vietnamese dong, no decimals.
    Vnd,
}

impl Currency {
    /// The one with this ISO 4217 code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::deserialize(StrDeserializer::<Unknown>::new(code)).ok()
    }

    /// The ISO 4217 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Aud => "AUD",
            Self::Bhd => "BHD",
            Self::Cad => "CAD",
            Self::Chf => "CHF",
            Self::Clp => "CLP",
            Self::Cny => "CNY",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Hkd => "HKD",
            Self::Jpy => "JPY",
            Self::Krw => "KRW",
            Self::Kwd => "KWD",
            Self::Nzd => "NZD",
            Self::Sgd => "SGD",
            Self::Tnd => "TND",
            Self::Twd => "TWD",
            Self::Usd => "USD",
            Self::Vnd => "VND",
        }
    }

    /// How many decimal digits the minor unit has.
    pub const fn exponent(self) -> u32 {
        match self {
            Self::Clp | Self::Jpy | Self::Krw | Self::Vnd => 0,
            Self::Bhd | Self::Kwd | Self::Tnd => 3,
            Self::Aud
            | Self::Cad
            | Self::Chf
            | Self::Cny
            | Self::Eur
            | Self::Gbp
            | Self::Hkd
            | Self::Nzd
            | Self::Sgd
            | Self::Twd
            | Self::Usd => 2,
        }
    }
}

/// How an amount becomes whole minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// Halves away from zero.
    HalfUp,
    /// Halves to the even neighbour.
    HalfEven,
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
}

/// What is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundAt {
    /// Every line; the total is their sum.
    Line,
    /// The total alone.
    Total,
}

/// When a period is closed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// How long after its end a period stays open.
    pub grace: Span,
    /// What becomes of entries that come later.
    pub late: Late,
}

/// What becomes of entries that come after a period was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// They are corrected in the next open period.
    NextPeriodCorrection,
}

/// How long, and from which difference on, a statement may be disputed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// How long after issue.
    pub window: Span,
    /// Up to which difference beacons and journal are taken to agree.
    pub beacon_tolerance: Percent,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: serde::de::DeserializeOwned>(yaml: &str) -> Result<T, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    #[test]
    fn spans_of_time_have_a_unit() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("12h", 43_200), ("5d", 432_000), ("0m", 0)] {
            assert_eq!(read::<Span>(text).map(Span::seconds), Ok(seconds), "{text}");
        }
        for bad in ["\"30\"", "s", "-1s", "1.5h", "5 m", "30s ago", "5000000000s", "100000d", "é", "\"\""] {
            assert!(read::<Span>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn currencies_have_the_decimals_of_iso_4217() {
        for (code, exponent) in [("JPY", 0), ("KRW", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("TND", 3)] {
            let currency: Currency = read(code).unwrap();
            assert_eq!((currency.code(), currency.exponent()), (code, exponent));
        }
        assert!(read::<Currency>("XYZ").is_err() && read::<Currency>("jpy").is_err());
    }
}
