//! Main's record of what a fee goes by besides visits: the sales of a partner, what it paid in advance, how much its site
//! holds, whose advertisements are on it, and what main offers in limited number.
//!
//! It only grows. Each entry has a number, counted from 0, and an entry that corrects an earlier one comes after it. So
//! one number says all that a statement takes from it: how many entries count, from the first on. Both sides hold the
//! same entries, and each reads them for itself. Nothing in it is about a buyer.

mod span;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::contract::MeterClass;
use crate::decimal::Decimal;
use crate::ids::ReleaseVersion;
use crate::period::Month;

pub use self::span::{InvalidSpan, Span};

/// POST a [`RecordPage`] to syncd, get a [`RecordHeld`]; POST a [`RecordRequest`] to hub, get a [`RecordPage`].
pub const RECORD: &str = "/v2/record";

/// POST an [`ExtentRequest`] to syncd, get an [`ExtentGrant`].
pub const EXTENT: &str = "/v2/extent";

/// The most entries of a page.
pub const MAX_PAGE: u64 = 500;

/// The most bytes of a page: 500 entries of the longest words.
pub const MAX_PAGE_BYTES: usize = 1 << 20;

/// The most entries of a partner's record.
pub const MAX_RECORD: u64 = 1_000_000;

/// The most characters of a word of an entry.
pub const MAX_WORD: usize = 80;

/// A word of an entry: 1 to 80 printable ASCII characters without a space, as it can stand in a digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Word(String);

/// The name of a region: 1 to 80 characters in one line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(String);

/// Why a text is not a word, or no region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWord {
    /// It is no word.
    #[error("{0:?} is not a word of 1 to {MAX_WORD} printable ASCII characters without spaces")]
    Word(String),
    /// It is no name of a region.
    #[error("{0:?} is not a name of 1 to {MAX_WORD} characters in one line")]
    Region(String),
}

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

/// Main asks how much the partner's site held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtentRequest {
    /// At which instant.
    pub at: Timestamp,
}

/// How much it held; none where the partner has no record of that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtentGrant {
    /// What it was then.
    pub extent: Option<Extent>,
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

/// Entries that follow one another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordPage {
    /// The number of the first.
    pub from: u64,
    /// The entries, at most [`MAX_PAGE`]; those that do not follow what is held are not taken.
    pub entries: Vec<Entry>,
}

/// How many entries the partner holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordHeld {
    /// From the first on.
    pub held: u64,
}

/// Which entries the partner asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRequest {
    /// The number of the first. Not all that follow come at once where they are many.
    pub from: u64,
}

/// The first entry of the record that the two sides do not have alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocatedRecord {
    /// Its number.
    pub number: u64,
    /// What main has there, as JSON; none where it has nothing.
    pub main: Option<String>,
    /// What the partner was told.
    pub partner: Option<String>,
}

impl Word {
    /// It as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Region {
    /// It as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
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

impl FromStr for Word {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        let is_word = (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_word { Ok(Self(text.to_owned())) } else { Err(InvalidWord::Word(text.chars().take(MAX_WORD).collect())) }
    }
}

impl FromStr for Region {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        let is_name = (1..=MAX_WORD).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidWord::Region(text.chars().take(MAX_WORD).collect()))
        }
    }
}

impl TryFrom<String> for Word {
    type Error = InvalidWord;

    fn try_from(text: String) -> Result<Self, InvalidWord> {
        text.parse()
    }
}

impl TryFrom<String> for Region {
    type Error = InvalidWord;

    fn try_from(text: String) -> Result<Self, InvalidWord> {
        text.parse()
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.0
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for LocatedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |entry: &Option<String>| entry.clone().unwrap_or_else(|| "nothing".to_owned());
        writeln!(f, "The first entry of main's record that differs is number {}, counted from 0.", self.number)?;
        writeln!(f, "  main has now:         {}", words(&self.main))?;
        writeln!(f, "  main told the partner: {}", words(&self.partner))
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
        let word = || Word("\\".repeat(MAX_WORD));
        let sale = Sale {
            id: word(),
            kind: word(),
            amount: "1234567890.12345678".parse().unwrap(),
            units: u64::MAX,
            goods: Some(word()),
            via: Some(MeterClass::Original),
            collected: Some("1234567890.12345678".parse().unwrap()),
            time: Timestamp::MAX,
            region: Some(Region("\u{1F3EE}".repeat(MAX_WORD))),
        };
        let most = usize::try_from(MAX_PAGE).unwrap();
        assert!((Entry::Sale(sale).line().len() + 1) * most + 100 < MAX_PAGE_BYTES);
    }
}
