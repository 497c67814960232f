//! Main's record of what a fee goes by besides visits: the sales of a partner, what it paid in advance, how much its site
//! holds, whose advertisements are on it, and what main offers in limited number.
//!
//! It only grows. Each entry has a number, counted from 0, and an entry that corrects an earlier one comes after it. So
//! one number says all that a statement takes from it: how many entries count, from the first on. Both sides hold the
//! same entries, and each reads them for itself. Nothing in it is about a buyer.

mod messages;
mod span;
mod words;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::contract::MeterClass;
use crate::decimal::Decimal;
use crate::ids::ReleaseVersion;
use crate::period::Month;

pub use self::messages::{
    EXTENT, ExtentGrant, ExtentRequest, LocatedRecord, MAX_PAGE, MAX_PAGE_BYTES, RECORD, RecordHeld, RecordPage,
    RecordRequest,
};
pub use self::span::{InvalidSpan, Span};
pub use self::words::{InvalidWord, MAX_WORD, Region, Word};

/// The most entries of a partner's record.
pub const MAX_RECORD: u64 = 1_000_000;

/// A sale, or something else that is charged for besides visits, such as a settled order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sale {
    /// Its name, by which nothing is charged twice: an order's number.
    pub id: Word,
    /// The kind, as contracts name it: `settled_orders`.
    pub kind: Word,
    /// The amount that it was about, in major units of the contract's currency; never negative.
    pub amount: Decimal,
    /// How many units were sold.
    pub units: u64,
    /// Of which goods, where they are told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goods: Option<Word>,
    /// From a page of which class the buyer came, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<MeterClass>,
    /// What was transferred to main with the sale, in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected: Option<Decimal>,
    /// When; it belongs to the month of that.
    pub time: Timestamp,
    /// Where, for reports alone: no fee goes by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

/// An entry of the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum Entry {
    /// A sale, in place of an earlier one of the same name.
    Sale(Sale),
    /// There was no such sale.
    Withdrawn(Withdrawal),
    /// A payment in advance, in place of an earlier one of the same reference in the same month.
    Payment(Payment),
    /// How much the partner's site held, as the partner said; the last one before a period ends counts for it.
    Holdings(Holdings),
    /// How many advertisements are on the partner's pages from a day on.
    Advertisements(Advertisements),
    /// How many units main offers of goods in limited number from a day on.
    Offered(Offered),
}

/// How much there is of one class of pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stock {
    /// Pages.
    pub pages: u64,
    /// Their bytes, with those of what belongs to them.
    pub bytes: u64,
}

/// How much a partner's site held at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holdings {
    /// When it was so.
    pub at: Timestamp,
    /// The release that was live.
    pub release: ReleaseVersion,
    /// What main published with that release.
    pub tieup: Stock,
    /// What the partner has of its own.
    pub original: Stock,
}

/// Advertisements on a partner's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advertisements {
    /// From which day on.
    pub since: Date,
    /// Main's.
    pub main: u64,
    /// The partner's.
    pub partner: u64,
}

/// Goods in limited number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    /// From which day on.
    pub since: Date,
    /// Which goods.
    pub goods: Word,
    /// How many units.
    pub units: u64,
}

/// How much the live site holds from an instant on, by the partner's own record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// From when on.
    pub since: Timestamp,
    /// The release that is live.
    pub release: ReleaseVersion,
    /// What main published with that release.
    pub tieup: Stock,
    /// What the partner has of its own.
    pub original: Stock,
}

/// What a partner paid in advance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// A day of the period that it is for.
    pub day: Date,
    /// Its name, by which none counts twice.
    pub reference: Word,
    /// How much, in major units of the contract's currency; never negative.
    pub amount: Decimal,
}

/// That a sale was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// Its name.
    pub id: Word,
}

impl Entry {
    /// What it is about: an entry in place of an earlier one is about the same. None for what stands beside all others.
    pub fn subject(&self) -> Option<String> {
        match self {
            Self::Sale(Sale { id, .. }) | Self::Withdrawn(Withdrawal { id }) => Some(format!("sale {id}")),
            Self::Payment(Payment { day, reference, .. }) => {
                Some(format!("payment {} {reference}", Month::of_day(*day)))
            }
            Self::Holdings(_) | Self::Advertisements(_) | Self::Offered(_) => None,
        }
    }

    /// When it was sold, for a sale.
    pub fn sold(&self) -> Option<Timestamp> {
        match self {
            Self::Sale(sale) => Some(sale.time),
            _ => None,
        }
    }

    /// Whether it is about a sale.
    pub fn is_of_sale(&self) -> bool {
        matches!(self, Self::Sale(_) | Self::Withdrawn(_))
    }

    /// It as one line of JSON, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("an entry has text keys and no float, so it always serializes")
    }

    /// Whether its amounts make sense: what is negative does not.
    pub fn is_sound(&self) -> bool {
        match self {
            Self::Sale(sale) => !sale.amount.is_negative() && !sale.collected.is_some_and(Decimal::is_negative),
            Self::Withdrawn(_) | Self::Holdings(_) | Self::Advertisements(_) | Self::Offered(_) => true,
            Self::Payment(payment) => !payment.amount.is_negative(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"entry":"sale","id":"A-1","kind":"settled_orders","amount":"1200","units":2,"goods":"lantern","via":"original","collected":"42.50","time":"2026-11-03T01:02:03Z","region":"北海道"}"#;

    #[test]
    fn an_entry_survives_its_line() {
        let entry: Entry = serde_json::from_str(LINE).unwrap();
        assert_eq!((entry.line().as_str(), entry.subject().as_deref()), (LINE, Some("sale A-1")));
        for line in [
            r#"{"entry":"withdrawn","id":"A-1"}"#,
            r#"{"entry":"payment","day":"2026-11-01","reference":"BANK-1","amount":"50000"}"#,
            r#"{"entry":"holdings","at":"2026-11-30T15:00:00Z","release":7,"tieup":{"pages":2,"bytes":900},"original":{"pages":1,"bytes":40}}"#,
            r#"{"entry":"advertisements","since":"2026-11-01","main":3,"partner":1}"#,
            r#"{"entry":"offered","since":"2026-11-01","goods":"lantern","units":40}"#,
        ] {
            assert_eq!(serde_json::from_str::<Entry>(line).unwrap().line(), line);
        }
    }

    #[test]
    fn hostile_entries_are_refused() {
        let with = |from: &str, to: &str| {
            assert!(LINE.contains(from));
            serde_json::from_str::<Entry>(&LINE.replace(from, to))
        };
        for (from, to) in [
            ("A-1", "A 1"),
            ("A-1", ""),
            ("\"units\":2", "\"units\":-2"),
            ("\"units\":2", "\"units\":2,\"buyer\":\"Sato\""),
            ("\"1200\"", "12.5"),
            ("北海道", "a\\nb"),
            ("\"sale\"", "\"gift\""),
        ] {
            assert!(with(from, to).is_err(), "{to}");
        }
        assert!(with("A-1", &"x".repeat(MAX_WORD + 1)).is_err());
        assert!(!with("\"1200\"", "\"-1200\"").unwrap().is_sound());
    }

    #[test]
    fn a_page_of_the_longest_entries_has_room() {
        let word = || "\\".repeat(MAX_WORD).parse::<Word>().unwrap();
        let sale = Sale {
            id: word(),
            kind: word(),
            amount: "1234567890.12345678".parse().unwrap(),
            units: u64::MAX,
            goods: Some(word()),
            via: Some(MeterClass::Original),
            collected: Some("1234567890.12345678".parse().unwrap()),
            time: Timestamp::MAX,
            region: Some("\u{1F3EE}".repeat(MAX_WORD).parse().unwrap()),
        };
        let most = usize::try_from(MAX_PAGE).unwrap();
        assert!((Entry::Sale(sale).line().len() + 1) * most + 100 < MAX_PAGE_BYTES);
    }
}
