//! What main and the partner tell each other of the record, and of how much the partner's site holds.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Entry, Extent};

/// POST a [`RecordPage`] to syncd, get a [`RecordHeld`]; POST a [`RecordRequest`] to hub, get a [`RecordPage`].
pub const RECORD: &str = "/v3/record";

/// POST an [`ExtentRequest`] to syncd, get an [`ExtentGrant`].
pub const EXTENT: &str = "/v3/extent";

/// The most entries of a page.
pub const MAX_PAGE: u64 = 500;

/// The most bytes of a page: 500 entries of the longest words.
pub const MAX_PAGE_BYTES: usize = 1 << 20;

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

impl fmt::Display for LocatedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |entry: &Option<String>| entry.clone().unwrap_or_else(|| "nothing".to_owned());
        writeln!(f, "The first entry of main's record that differs is number {}, counted from 0.", self.number)?;
        writeln!(f, "  main has now:         {}", words(&self.main))?;
        writeln!(f, "  main told the partner: {}", words(&self.partner))
    }
}
