//! A statement as main tells it, and what the partner finds.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::period::Period;

/// A statement that main has computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementNotice {
    /// The period: a month, or the days of it that one version of the contract governs.
    #[serde(rename = "month")]
    pub period: Period,
    /// How many entries of the month's journal it counts: the size of a checkpoint that main has cosigned.
    pub size: u64,
    /// The strikes by which entries of it are left out, in the order of their digests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strikes: Vec<Digest>,
    /// Whether the month is still open.
    pub status: StatementStatus,
    /// The statement's canonical bytes, which are text.
    pub statement: String,
    /// How many entries of main's record it goes by (see [`crate::record`]); 0 where the contract goes by none.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub record: u64,
    /// What of earlier periods is corrected in it: the partner computes each correction itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revisions: Vec<Revision>,
    /// The statement as a note that main has signed; each that is final has one, and no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl StatementNotice {
    /// How many entries of main's record the partner must hold to make the statement.
    pub fn record_told(&self) -> u64 {
        self.revisions.iter().map(|revision| revision.record).fold(self.record, u64::max)
    }
}

/// An earlier period whose fee is not the one that was issued, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// The period.
    #[serde(rename = "month")]
    pub period: Period,
    /// How many entries of its journal count now: the size of a checkpoint that main has cosigned.
    pub size: u64,
    /// The strikes by which entries of it are left out now, in the order of their digests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strikes: Vec<Digest>,
    /// How many entries of main's record it goes by now.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub record: u64,
    /// Why.
    pub cause: Cause,
}

/// Whether nothing of main's record counts, which is then not told: an end from before knows of none.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives it so")]
fn is_nothing(record: &u64) -> bool {
    *record == 0
}

/// Why an issued statement is not right any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Entries came after the month was closed.
    LateEntries,
    /// Both sides have struck out entries.
    StruckEntries,
    /// The log was put aside, with what was struck out of it, and another is in its place.
    OtherLog,
    /// Sales were added, changed or taken back.
    ChangedSales,
    /// What was published was noted otherwise.
    ChangedCatalogue,
    /// A dispute was decided.
    Dispute,
}

impl Cause {
    /// Whether a correction is told also where it comes to 0, so that both sides see that it was looked at.
    pub fn is_told_always(self) -> bool {
        matches!(self, Self::Dispute | Self::OtherLog)
    }

    /// What a statement says.
    pub fn words(self) -> &'static str {
        match self {
            Self::LateEntries => "entries came late",
            Self::StruckEntries => "entries were struck out",
            Self::OtherLog => "the log was put aside for another",
            Self::ChangedSales => "sales changed",
            Self::ChangedCatalogue => "what was published was corrected",
            Self::Dispute => "a dispute was decided",
        }
    }
}

/// Whether a statement may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatementStatus {
    /// The period, or its days of grace, are not over.
    Draft,
    /// It is what is owed.
    Final,
}

/// What the partner found when it computed the statement itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum StatementVerdict {
    /// The same bytes.
    Identical,
    /// Other bytes.
    Different {
        /// The first line that differs, counted from 1.
        line: u64,
        /// What main's statement says there.
        main: String,
        /// What the partner's says.
        partner: String,
    },
}
