//! Which versions of the protocol an end speaks, and which program is to be updated where two ends have none in common.
//!
//! The first segment of each path is the version of the call. Every request and every answer names the versions that
//! its sender speaks in the header [`HEADER`], so an end that meets one from another time can say what to do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The version of the calls in this code.
///
/// It rises with every change that an end from before does not understand: a field that it does not know is refused, too.
/// 2: the status tells of an overdue certificate and of clashes between main sites, and the label of a release of an
/// emergency.
/// 3: who writes the log is said by the contract, main's record and what is published are told, strikes name a checkpoint, and
/// audit trails and causes of corrections have words for them.
pub const CURRENT: u32 = 3;

/// The header with the versions that the sender speaks: `1, 2`.
pub const HEADER: &str = "tieup-protocol";

/// The kind of the problem that a call in a version which is not spoken gets.
pub const PROBLEM: &str = "protocol-version";

/// The most versions that a header may name.
const MOST: usize = 32;

/// The versions of the protocol that one end speaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Versions(BTreeSet<u32>);

/// Why a text does not name versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("versions of the protocol are 1 to {MOST} numbers with commas between them")]
pub struct InvalidVersions;

/// The answer to GET [`VERSIONS`](crate::wire::VERSIONS).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speaks {
    /// The program that answers, with its own version: `syncd 0.1.0`.
    pub program: String,
    /// The versions of the protocol that it speaks.
    pub versions: Versions,
}

/// One of two ends that have no version in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// The end that asks which it is.
    This,
    /// The other one.
    Other,
}

impl Versions {
    /// The versions that this code speaks.
    pub fn spoken() -> Self {
        Self::from(CURRENT)
    }

    /// Whether `version` is one of them.
    pub fn contains(&self, version: u32) -> bool {
        self.0.contains(&version)
    }

    /// The highest version that both speak.
    pub fn common(&self, other: &Self) -> Option<u32> {
        self.0.intersection(&other.0).copied().max()
    }

    /// Which end is to be updated, if they have no version in common: the one whose highest version is lower.
    pub fn behind(&self, other: &Self) -> Option<Behind> {
        if self.common(other).is_some() {
            return None;
        }
        Some(if self.0.last() < other.0.last() { Behind::This } else { Behind::Other })
    }
}

impl From<u32> for Versions {
    /// One version alone.
    fn from(version: u32) -> Self {
        Self(BTreeSet::from([version]))
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, version) in self.0.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{version}")?;
        }
        Ok(())
    }
}

impl FromStr for Versions {
    type Err = InvalidVersions;

    fn from_str(text: &str) -> Result<Self, InvalidVersions> {
        if text.split(',').count() > MOST {
            return Err(InvalidVersions);
        }
        let numbers = text.split(',').map(|number| number.trim().parse());
        numbers.collect::<Result<_, _>>().map(Self).map_err(|_| InvalidVersions)
    }
}

/// The version of the protocol in which a path is called: 7 for `/v7/status`, none for a path outside the protocol.
pub fn of_path(path: &str) -> Option<u32> {
    let first = path.strip_prefix("/v")?.split('/').next()?;
    first.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(text: &str) -> Versions {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn versions_are_numbers_with_commas() {
        assert_eq!(versions("3, 1,2").to_string(), "1, 2, 3");
        for wrong in ["", "one", "1;2", "-1", "1,", &vec!["1"; MOST + 1].join(",")] {
            assert_eq!(wrong.parse::<Versions>(), Err(InvalidVersions), "{wrong:?}");
        }
    }

    #[test]
    fn two_ends_use_the_highest_version_in_common_and_the_lower_one_is_updated() {
        for (this, other, common, behind) in [
            ("1", "1", Some(1), None),
            ("1, 2, 3", "2, 3, 4", Some(3), None),
            ("1", "2", None, Some(Behind::This)),
            ("3, 4", "1, 2", None, Some(Behind::Other)),
        ] {
            let (this, other) = (versions(this), versions(other));
            assert_eq!((this.common(&other), this.behind(&other)), (common, behind), "{this} and {other}");
        }
    }

    #[test]
    fn a_path_names_its_version() {
        for (path, version) in
            [("/v1/status", Some(1)), ("/v20", Some(20)), ("/versions", None), ("/", None), ("/v1x/status", None)]
        {
            assert_eq!(of_path(path), version, "{path}");
        }
    }
}
