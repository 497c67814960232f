//! The fee terms of a contract: how visits are counted, what is charged for, what is taken off.
//!
//! This is the language alone. The `fees` crate gives it its meaning.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Partnership;
use crate::decimal::{Decimal, Percent};
use crate::digest::Digest;

/// Meters by name.
pub type Meters = BTreeMap<String, Meter>;
/// Charges by name.
pub type Charges = BTreeMap<String, Charge>;

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
    /// What is taken off, in this order: percentages (on undiscounted amounts, added up), the cap, the minimum.
    pub adjust: Vec<Adjustment>,
    /// When a period is closed.
    pub close: Close,
    /// How long a statement may be disputed.
    pub dispute: Option<Dispute>,
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
        seconds
            .map(|seconds| Self { seconds })
            .ok_or_else(|| format!("`{text}` is not a time span such as 30s, 5m, 12h or 5d"))
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
}

/// A currency whose minor unit is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// Japanese yen, no minor unit.
    Jpy,
    /// Euro, two digits.
    Eur,
    /// United States dollar, two digits.
    Usd,
}

impl Currency {
    /// The ISO 4217 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Jpy => "JPY",
            Self::Eur => "EUR",
            Self::Usd => "USD",
        }
    }

    /// How many decimal digits the minor unit has.
    pub const fn exponent(self) -> u32 {
        match self {
            Self::Jpy => 0,
            Self::Eur | Self::Usd => 2,
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

/// A quantity taken from the counted journal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenMeter")]
pub enum Meter {
    /// A count of one class of pages.
    Counted {
        /// What is counted.
        quantity: Quantity,
        /// Of which pages.
        class: MeterClass,
    },
    /// One meter divided by another.
    Ratio {
        /// The meter above the line.
        numerator: String,
        /// The meter below the line.
        denominator: String,
        /// What the ratio is when the meter below the line is 0.
        if_zero: ZeroRatio,
    },
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Page views after the double-click rule.
    Views,
    /// Pages seen at least once in a session.
    UniqueViews,
    /// Bytes sent.
    Bytes,
}

/// Which pages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeterClass {
    /// Tie-up pages.
    Tieup,
    /// Original pages.
    Original,
}

/// What a ratio is when its denominator is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroRatio {
    /// There is no ratio: discounts on it do not apply.
    None,
    /// The ratio is 0.
    Zero,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMeter {
    views: Option<WrittenClass>,
    unique_views: Option<WrittenClass>,
    bytes: Option<WrittenClass>,
    ratio: Option<(String, String)>,
    if_zero: Option<ZeroRatio>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenClass {
    class: MeterClass,
}

impl TryFrom<WrittenMeter> for Meter {
    type Error = String;

    fn try_from(written: WrittenMeter) -> Result<Self, String> {
        let counted = |quantity| move |of: WrittenClass| Self::Counted { quantity, class: of.class };
        let if_zero = written.if_zero;
        let ratio = |(numerator, denominator)| Self::Ratio {
            numerator,
            denominator,
            if_zero: if_zero.unwrap_or(ZeroRatio::None),
        };
        let mut kinds = [
            written.views.map(counted(Quantity::Views)),
            written.unique_views.map(counted(Quantity::UniqueViews)),
            written.bytes.map(counted(Quantity::Bytes)),
            written.ratio.map(ratio),
        ]
        .into_iter()
        .flatten();
        match (kinds.next(), kinds.next()) {
            (Some(Self::Counted { .. }), None) if if_zero.is_some() => Err("`if_zero` belongs to a ratio".to_owned()),
            (Some(meter), None) => Ok(meter),
            _ => Err("a meter is exactly one of views, unique_views, bytes and ratio".to_owned()),
        }
    }
}

/// Something that is charged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenCharge")]
pub enum Charge {
    /// An amount by the kind of partnership.
    Base(Base),
    /// A price a unit that depends on the tier, each unit at the price of the tier it falls in.
    Graduated(Tiered),
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

/// A graduated price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tiered {
    /// The meter that is charged.
    pub meter: String,
    /// The price of a unit from each threshold on.
    pub tiers: Tiers<Decimal>,
}

/// A handling fee on each event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerEvent {
    /// The kind of event, such as `settled_orders`.
    pub event: String,
    /// The share of the event's amount.
    pub rate: Percent,
    /// The least fee for one event.
    pub min: Decimal,
    /// The highest fee for one event.
    pub max: Decimal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCharge {
    by: Option<ByPartnership>,
    link: Option<Decimal>,
    framework: Option<Decimal>,
    inherited: Option<Decimal>,
    graduated: Option<String>,
    tiers: Option<Tiers<Decimal>>,
    per_event: Option<String>,
    rate: Option<Percent>,
    min: Option<Decimal>,
    max: Option<Decimal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ByPartnership {
    Partnership,
}

impl TryFrom<WrittenCharge> for Charge {
    type Error = String;

    fn try_from(written: WrittenCharge) -> Result<Self, String> {
        match written {
            WrittenCharge {
                by: Some(ByPartnership::Partnership),
                link: Some(link),
                framework: Some(framework),
                inherited: Some(inherited),
                graduated: None,
                tiers: None,
                per_event: None,
                rate: None,
                min: None,
                max: None,
            } => Ok(Self::Base(Base { link, framework, inherited })),
            WrittenCharge {
                graduated: Some(meter),
                tiers: Some(tiers),
                by: None,
                link: None,
                framework: None,
                inherited: None,
                per_event: None,
                rate: None,
                min: None,
                max: None,
            } => Ok(Self::Graduated(Tiered { meter, tiers })),
            WrittenCharge {
                per_event: Some(event),
                rate: Some(rate),
                min: Some(min),
                max: Some(max),
                by: None,
                link: None,
                framework: None,
                inherited: None,
                graduated: None,
                tiers: None,
            } => Ok(Self::PerEvent(PerEvent { event, rate, min, max })),
            _ => Err("a charge is one of {by: partnership, link, framework, inherited}, {graduated, tiers} and \
                      {per_event, rate, min, max}"
                .to_owned()),
        }
    }
}

/// Something that is taken off, or a bound of what is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenAdjustment")]
pub enum Adjustment {
    /// A percentage off that depends on the band a meter is in.
    Banded(BandedDiscount),
    /// All percentages together are at most this.
    CapDiscount(Percent),
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
    /// The meter whose value chooses the band.
    pub meter: String,
    /// The charges it is taken off.
    pub on: Vec<String>,
    /// The percentage from each threshold on.
    pub off: Percentages,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAdjustment {
    id: Option<String>,
    bands: Option<String>,
    on: Option<Vec<String>>,
    off: Option<Percentages>,
    cap_discount: Option<Percent>,
    minimum: Option<Decimal>,
}

impl TryFrom<WrittenAdjustment> for Adjustment {
    type Error = String;

    fn try_from(written: WrittenAdjustment) -> Result<Self, String> {
        match written {
            WrittenAdjustment {
                id: Some(id),
                bands: Some(meter),
                on: Some(on),
                off: Some(off),
                cap_discount: None,
                minimum: None,
            } => Ok(Self::Banded(BandedDiscount { id, meter, on, off })),
            WrittenAdjustment {
                cap_discount: Some(cap),
                id: None,
                bands: None,
                on: None,
                off: None,
                minimum: None,
            } => Ok(Self::CapDiscount(cap)),
            WrittenAdjustment {
                minimum: Some(least),
                id: None,
                bands: None,
                on: None,
                off: None,
                cap_discount: None,
            } => Ok(Self::Minimum(least)),
            _ => Err("an adjustment is one of {id, bands, on, off}, {cap_discount} and {minimum}".to_owned()),
        }
    }
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
    fn a_meter_is_exactly_one_thing() {
        let views = Meter::Counted { quantity: Quantity::Views, class: MeterClass::Tieup };
        assert_eq!(read("{views: {class: tieup}}"), Ok(views));
        let bytes = Meter::Counted { quantity: Quantity::Bytes, class: MeterClass::Original };
        assert_eq!(read("{bytes: {class: original}}"), Ok(bytes));
        let ratio = |if_zero| Meter::Ratio { numerator: "own".to_owned(), denominator: "tie".to_owned(), if_zero };
        assert_eq!(read("{ratio: [own, tie]}"), Ok(ratio(ZeroRatio::None)));
        assert_eq!(read("{ratio: [own, tie], if_zero: zero}"), Ok(ratio(ZeroRatio::Zero)));
        let one_thing = "a meter is exactly one of views, unique_views, bytes and ratio";
        for (bad, why) in [
            ("{}", one_thing),
            ("{views: {class: tieup}, bytes: {class: tieup}}", one_thing),
            ("{views: {class: tieup}, ratio: [a, b]}", one_thing),
            ("{if_zero: none}", one_thing),
            ("{views: {class: tieup}, if_zero: none}", "`if_zero` belongs to a ratio"),
            ("{views: {class: both}}", "unknown variant"),
            ("{clicks: {class: tieup}}", "unknown field"),
            ("{ratio: [own]}", "invalid length"),
        ] {
            let error = read::<Meter>(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn a_charge_is_whole_and_of_one_kind() {
        for good in [
            "{by: partnership, link: 0, framework: 20000, inherited: 50000}",
            "{graduated: tie, tiers: [[0, \"0.50\"]]}",
            "{per_event: settled_orders, rate: \"3.5%\", min: 30, max: 5000}",
        ] {
            assert!(read::<Charge>(good).is_ok(), "{good}");
        }
        let kinds = "a charge is one of";
        for (bad, why) in [
            ("{by: partnership, link: 0, framework: 20000}", kinds),
            ("{graduated: tie}", kinds),
            ("{graduated: tie, tiers: [[0, 1]], min: 30}", kinds),
            ("{per_event: x, rate: \"3.5%\", min: 30}", kinds),
            ("{by: volume, link: 0, framework: 0, inherited: 0}", "unknown variant"),
            ("{graduated: tie, tiers: [[0, 0.50]]}", "a whole number or a decimal in quotes"),
            ("{per_event: x, rate: 3.5, min: 30, max: 5000}", "is not a percentage"),
        ] {
            let error = read::<Charge>(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn an_adjustment_is_whole_and_of_one_kind() {
        for good in
            ["{id: a, bands: tie, on: [base], off: [[0, \"0%\"]]}", "{cap_discount: \"40%\"}", "{minimum: 10000}"]
        {
            assert!(read::<Adjustment>(good).is_ok(), "{good}");
        }
        for bad in
            ["{}", "{id: a, bands: tie, on: [base]}", "{cap_discount: \"40%\", minimum: 1}", "{minimum: 1, id: a}"]
        {
            let error = read::<Adjustment>(bad).expect_err(bad);
            assert!(error.contains("an adjustment is one of"), "{bad}: {error}");
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
