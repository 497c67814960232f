//! Names of the parties: who publishes, who receives, and which of its releases is meant.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name of a site, so that names fit into certificates, paths and log origins.
pub const MAX_SITE_ID: usize = 40;

/// The name of a main site or a partner: lower-case letters, digits and single hyphens, at most [`MAX_SITE_ID`] bytes.
///
/// The alphabet is that of a DNS label, since the name becomes one in the party's certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteId(String);

/// Why a text is not a [`SiteId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a site name: use 1 to {MAX_SITE_ID} lower-case letters, digits and hyphens, beginning with a letter"
)]
pub struct InvalidSiteId(String);

impl SiteId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SiteId {
    type Err = InvalidSiteId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let valid = text.len() <= MAX_SITE_ID
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(letters)
            && !text.ends_with('-')
            && !text.contains("--");
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidSiteId(text.to_owned())) }
    }
}

impl TryFrom<String> for SiteId {
    type Error = InvalidSiteId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SiteId> for String {
    fn from(id: SiteId) -> Self {
        id.0
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a release to one partner, counted from 1; a later release has a higher number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseVersion(NonZeroU64);

impl ReleaseVersion {
    /// The first release a partner ever gets.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The version with this number, or `None` for 0.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// The same number in the type that TUF metadata uses.
    pub fn non_zero(self) -> NonZeroU64 {
        self.0
    }

    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for ReleaseVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ReleaseVersion {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_id_is_a_dns_label() {
        for good in ["nationwide", "harbor-shop", "a1"] {
            assert_eq!(good.parse::<SiteId>().map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "Harbor", "1st", "a--b", "a-", "../etc", "a b", "é", &"a".repeat(41)] {
            assert!(bad.parse::<SiteId>().is_err(), "{bad}");
        }
    }
}
