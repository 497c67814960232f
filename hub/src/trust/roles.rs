//! The roles as people speak of them: TUF's targets and snapshot are signed together, as one release.

use std::fmt;
use std::str::FromStr;

use tough::schema::RoleType;

/// Who signs what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Says whose keys the other roles have, and its own.
    Root,
    /// Signs releases: TUF's targets and snapshot.
    Release,
    /// Says that a release is still the newest: TUF's timestamp. Its key is on the hub.
    Freshness,
}

/// Why a text is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role: it is `root`, `release` or `freshness`")]
pub struct InvalidRole(String);

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Root, Self::Release, Self::Freshness];

    /// The role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Release => "release",
            Self::Freshness => "freshness",
        }
    }

    /// The roles that TUF has for it. Their keys and thresholds are equal.
    pub fn types(self) -> &'static [RoleType] {
        match self {
            Self::Root => &[RoleType::Root],
            Self::Release => &[RoleType::Targets, RoleType::Snapshot],
            Self::Freshness => &[RoleType::Timestamp],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| InvalidRole(text.to_owned()))
    }
}
