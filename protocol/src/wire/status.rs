//! What a partner tells of itself.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::approval::ReleaseRecord;
use crate::digest::Digest;
use crate::drift::GuardReport;
use crate::ids::SiteId;
use crate::path::SitePath;
use crate::period::Month;

/// What stands for the role in an alarm about main's list of revoked certificates.
pub const REVOCATIONS_ROLE: &str = "revocations";

/// What a partner tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerStatus {
    /// The partner.
    pub partner: SiteId,
    /// Its releases that are staged, live, or were decided on, newest first.
    pub releases: Vec<ReleaseRecord>,
    /// The months of which it holds a journal.
    pub journals: Vec<Month>,
    /// What is running out of the metadata that it trusts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<ExpiryAlarm>,
    /// Why its certificate is not renewed, though that is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<OverdueCertificate>,
    /// What of its live site clashes with that of another main site of its, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clashes: Vec<String>,
    /// Changed pages of its own that wait for its operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub originals: Option<WaitingOriginals>,
    /// The emergency that its operator has declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<DeclaredEmergency>,
    /// Main's pages that its own take the place of, or would in an emergency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<OverriddenPage>,
    /// Whether what it stores is whole.
    #[serde(default)]
    pub guard: GuardReport,
}

/// What is running out at a partner, or has run out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpiryAlarm {
    /// The TUF role of the metadata: `root`, `targets`, `snapshot` or `timestamp`; or `revocations`, main's list of
    /// revoked certificates.
    pub role: String,
    /// When it expires or expired.
    pub expires: Timestamp,
    /// How far it has come.
    pub state: ExpiryState,
}

/// How far metadata is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExpiryState {
    /// It runs out soon, and main should have replaced it by now.
    Soon,
    /// It has run out: updates are refused until main replaces it. What is live is served as before.
    Expired,
}

impl fmt::Display for ExpiryAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = self.expires.strftime("%Y-%m-%d %H:%M UTC");
        let cause = match self.role.as_str() {
            "timestamp" => "main has not said lately that this is its newest release",
            "root" => "main's keys must be renewed",
            REVOCATIONS_ROLE => "main has not said lately which certificates it has revoked",
            _ => "main must sign the release anew",
        };
        let what = match self.role.as_str() {
            REVOCATIONS_ROLE => "list of revoked certificates".to_owned(),
            role => format!("{role} metadata"),
        };
        match self.state {
            ExpiryState::Soon => write!(f, "the {what} expires on {when}: {cause}"),
            ExpiryState::Expired => {
                write!(
                    f,
                    "the {what} has expired on {when}: {cause}; updates are refused, the site is served as before"
                )
            }
        }
    }
}

/// A certificate that is due and was not renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverdueCertificate {
    /// When it runs out.
    pub expires: Timestamp,
    /// Since when it could not be renewed.
    pub since: Timestamp,
    /// Why it was not, the last time.
    pub reason: String,
}

impl fmt::Display for OverdueCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
        let (expires, since) = (day(self.expires), day(self.since));
        write!(f, "the certificate, which holds until {expires}, is not renewed since {since}: {}", self.reason)
    }
}

/// An emergency that a partner's operator has declared: while it lasts, pages of the partner's own take the place of
/// main's where the contract lets them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredEmergency {
    /// Why, in the operator's words.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// A page of main's that one of the partner's own takes the place of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverriddenPage {
    /// Where.
    pub path: SitePath,
    /// How the two stand to each other.
    pub state: OverrideState,
}

/// How a page of the partner's own stands to main's at the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverrideState {
    /// It takes the place of main's, which is as it was then.
    Current,
    /// Main's page has changed since.
    Changed,
    /// Main's page stands; it would take its place in an emergency.
    SetAside,
}

/// A partner's own changed pages, where they wait for its operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitingOriginals {
    /// One digest over all files of the partner's site. Approval names it, so that files which changed since need a
    /// new word.
    pub digest: Digest,
    /// What would change.
    pub sentence: String,
    /// Since when.
    pub since: Timestamp,
}
