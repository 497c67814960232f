//! Meters: the quantities that charges and discounts speak of.
//!
//! A meter reads the counted journal, the catalogue of what is published, or the sales of the period; or it is one
//! meter divided by another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mounts::covered_path;
use crate::path::SitePath;

/// Meters by name.
pub type Meters = BTreeMap<String, Meter>;

/// A quantity.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenMeter")]
pub enum Meter {
    /// A count of visits, by the journal.
    Counted {
        /// What is counted.
        quantity: Quantity,
        /// On which pages.
        class: Classes,
        /// Within which paths; anywhere where there are none.
        paths: Vec<SitePath>,
    },
    /// How much is published, by the catalogue.
    Published {
        /// What of it.
        extent: Extent,
        /// Of which pages.
        class: Classes,
    },
    /// How many advertisements the pages carry, by the catalogue.
    Advertisements(Advertiser),
    /// How many units main offers of goods in limited number, by the catalogue.
    Offered(String),
    /// What was sold.
    Sold {
        /// What of the sales.
        measure: Measure,
        /// Of which sales.
        of: Sales,
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

/// What is counted of visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Page views after the double-click rule.
    Views,
    /// Pages seen at least once in a session.
    UniqueViews,
    /// Bytes sent.
    Bytes,
    /// Visitors by hour.
    Sessions,
    /// Visitors by day.
    Visitors,
}

/// How much is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Pages.
    Pages,
    /// Bytes of pages and what belongs to them.
    Bytes,
}

/// What of sales is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// How many there were.
    Number,
    /// How many units were sold.
    Units,
    /// Their amounts together, in major units of the currency.
    Amount,
}

/// Whose page something is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeterClass {
    /// A tie-up page.
    Tieup,
    /// An original page.
    Original,
}

/// Which pages are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Classes {
    /// Tie-up pages.
    Tieup,
    /// Original pages.
    Original,
    /// All of them.
    Both,
}

/// Whose advertisements are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advertiser {
    /// Main's.
    Main,
    /// The partner's.
    Partner,
    /// All of them.
    Both,
}

/// Which events are meant: those of a kind, of goods and by a way where these are said.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sales {
    /// The kind of event, such as `settled_orders`.
    pub event: String,
    /// Of these goods alone.
    pub goods: Option<String>,
    /// Those alone whose buyer came from a page of this class.
    pub via: Option<MeterClass>,
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

impl Sales {
    /// Whether an event of this `kind`, of these `goods` and by this way is meant.
    pub fn mean(&self, kind: &str, goods: Option<&str>, via: Option<MeterClass>) -> bool {
        self.event == kind
            && self.goods.as_deref().is_none_or(|meant| goods == Some(meant))
            && self.via.is_none_or(|meant| via == Some(meant))
    }
}

impl Meter {
    /// Whether it reads whole numbers alone.
    pub fn is_whole(&self) -> bool {
        !matches!(self, Self::Ratio { .. } | Self::Sold { measure: Measure::Amount, .. })
    }

    /// Whether it always has a value.
    pub fn is_total(&self) -> bool {
        !matches!(self, Self::Ratio { if_zero: ZeroRatio::None, .. })
    }

    /// Whether a month's threshold for it stands for a part of itself in a part of the month. What is published and
    /// ratios are as large on one day as in a month.
    pub fn grows_with_time(&self) -> bool {
        matches!(self, Self::Counted { .. } | Self::Sold { .. })
    }

    /// Whether it reads the catalogue.
    pub fn is_of_catalogue(&self) -> bool {
        matches!(self, Self::Published { .. } | Self::Advertisements(_) | Self::Offered(_))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMeter {
    views: Option<Visits>,
    unique_views: Option<Visits>,
    bytes: Option<Visits>,
    sessions: Option<Pages>,
    visitors: Option<Pages>,
    pages: Option<Pages>,
    content_bytes: Option<Pages>,
    ads: Option<Ads>,
    offered: Option<Goods>,
    events: Option<Sales>,
    units: Option<Sales>,
    amount: Option<Sales>,
    ratio: Option<(String, String)>,
    if_zero: Option<ZeroRatio>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Visits {
    class: Classes,
    #[serde(default)]
    paths: Vec<Covered>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pages {
    class: Classes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ads {
    owner: Advertiser,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Goods {
    goods: String,
}

/// A path and all below it, written as in `mounts`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Covered(SitePath);

impl TryFrom<String> for Covered {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        covered_path("path", &written).map(Self)
    }
}

impl WrittenMeter {
    /// Every meter that is written here; well-formed ones are one.
    fn kinds(self) -> Vec<Meter> {
        let visits = |quantity| {
            move |of: Visits| {
                let paths = of.paths.into_iter().map(|covered| covered.0).collect();
                Meter::Counted { quantity, class: of.class, paths }
            }
        };
        let people = |quantity| move |of: Pages| Meter::Counted { quantity, class: of.class, paths: Vec::new() };
        let published = |extent| move |of: Pages| Meter::Published { extent, class: of.class };
        let sold = |measure| move |of: Sales| Meter::Sold { measure, of };
        let if_zero = self.if_zero.unwrap_or(ZeroRatio::None);
        let kinds = [
            self.views.map(visits(Quantity::Views)),
            self.unique_views.map(visits(Quantity::UniqueViews)),
            self.bytes.map(visits(Quantity::Bytes)),
            self.sessions.map(people(Quantity::Sessions)),
            self.visitors.map(people(Quantity::Visitors)),
            self.pages.map(published(Extent::Pages)),
            self.content_bytes.map(published(Extent::Bytes)),
            self.ads.map(|of| Meter::Advertisements(of.owner)),
            self.offered.map(|of| Meter::Offered(of.goods)),
            self.events.map(sold(Measure::Number)),
            self.units.map(sold(Measure::Units)),
            self.amount.map(sold(Measure::Amount)),
            self.ratio.map(|(numerator, denominator)| Meter::Ratio { numerator, denominator, if_zero }),
        ];
        kinds.into_iter().flatten().collect()
    }
}

impl TryFrom<WrittenMeter> for Meter {
    type Error = String;

    fn try_from(written: WrittenMeter) -> Result<Self, String> {
        let has_if_zero = written.if_zero.is_some();
        let mut kinds = written.kinds();
        match (kinds.pop(), kinds.is_empty()) {
            (Some(Self::Ratio { numerator, denominator, if_zero }), true) => {
                Ok(Self::Ratio { numerator, denominator, if_zero })
            }
            (Some(_), true) if has_if_zero => Err("`if_zero` belongs to a ratio".to_owned()),
            (Some(meter), true) => Ok(meter),
            _ => {
                Err("a meter is exactly one of views, unique_views, bytes, sessions, visitors, pages, content_bytes, \
                      ads, offered, events, units, amount and ratio"
                    .to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<Meter, String> {
        serde_yaml::from_str(yaml).map_err(|error| error.to_string())
    }

    fn counted(quantity: Quantity, class: Classes) -> Meter {
        Meter::Counted { quantity, class, paths: Vec::new() }
    }

    #[test]
    fn every_kind_of_meter_can_be_written() {
        let sales = |goods: Option<&str>, via| Sales {
            event: "settled_orders".to_owned(),
            goods: goods.map(str::to_owned),
            via,
        };
        let table = [
            ("{views: {class: tieup}}", counted(Quantity::Views, Classes::Tieup)),
            ("{bytes: {class: original}}", counted(Quantity::Bytes, Classes::Original)),
            ("{sessions: {class: both}}", counted(Quantity::Sessions, Classes::Both)),
            ("{visitors: {class: tieup}}", counted(Quantity::Visitors, Classes::Tieup)),
            ("{pages: {class: both}}", Meter::Published { extent: Extent::Pages, class: Classes::Both }),
            ("{content_bytes: {class: tieup}}", Meter::Published { extent: Extent::Bytes, class: Classes::Tieup }),
            ("{ads: {owner: partner}}", Meter::Advertisements(Advertiser::Partner)),
            ("{offered: {goods: lantern}}", Meter::Offered("lantern".to_owned())),
            ("{events: {event: settled_orders}}", Meter::Sold { measure: Measure::Number, of: sales(None, None) }),
            (
                "{units: {event: settled_orders, goods: lantern}}",
                Meter::Sold { measure: Measure::Units, of: sales(Some("lantern"), None) },
            ),
            (
                "{amount: {event: settled_orders, via: original}}",
                Meter::Sold { measure: Measure::Amount, of: sales(None, Some(MeterClass::Original)) },
            ),
        ];
        for (yaml, meter) in table {
            assert_eq!(read(yaml), Ok(meter), "{yaml}");
        }
    }

    #[test]
    fn a_path_of_a_meter_is_written_as_a_mount_is() {
        for written in ["/local/**", "/local/", "/local"] {
            let Ok(Meter::Counted { paths, .. }) =
                read(&format!("{{unique_views: {{class: original, paths: [\"{written}\"]}}}}"))
            else {
                panic!("{written} is refused");
            };
            assert_eq!(paths, ["/local/".parse().unwrap()], "{written}");
        }
        let error = read("{views: {class: tieup, paths: [\"/*/a\"]}}").unwrap_err();
        assert!(error.contains("`*` may stand only as a last `/**`"), "{error}");
    }

    #[test]
    fn a_meter_is_exactly_one_thing() {
        let ratio = |if_zero| Meter::Ratio { numerator: "own".to_owned(), denominator: "tie".to_owned(), if_zero };
        assert_eq!(read("{ratio: [own, tie]}"), Ok(ratio(ZeroRatio::None)));
        assert_eq!(read("{ratio: [own, tie], if_zero: zero}"), Ok(ratio(ZeroRatio::Zero)));
        let one_thing = "a meter is exactly one of";
        for (bad, why) in [
            ("{}", one_thing),
            ("{views: {class: tieup}, bytes: {class: tieup}}", one_thing),
            ("{views: {class: tieup}, ratio: [a, b]}", one_thing),
            ("{if_zero: none}", one_thing),
            ("{views: {class: tieup}, if_zero: none}", "`if_zero` belongs to a ratio"),
            ("{views: {class: all}}", "unknown variant"),
            ("{sessions: {class: tieup, paths: [\"/a/\"]}}", "unknown field"),
            ("{clicks: {class: tieup}}", "unknown field"),
            ("{ratio: [own]}", "invalid length"),
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
