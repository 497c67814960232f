//! Messages between main and partner, as JSON over HTTP over mutual TLS, and the paths they go to.
//!
//! hub calls syncd on most paths; syncd calls hub on [`JOIN`], [`RENEW`], [`LINE`], [`HEARTBEAT`] and, by GET, [`REVOCATIONS`]. The first
//! segment of every path but [`VERSIONS`] is the version of the protocol (see [`version`](crate::version)).

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::approval::ReleaseRecord;
use crate::digest::Digest;
use crate::drift::GuardReport;
use crate::ids::{ReleaseVersion, SiteId};
use crate::joining::Reach;
use crate::manifest::BlobRef;
#[cfg(doc)]
use crate::manifest::Manifest;
use crate::path::SitePath;
use crate::period::{Month, Period};

/// POST a [`JoinRequest`] to hub, get a [`JoinGrant`].
pub const JOIN: &str = "/v2/join";
/// POST a [`RenewRequest`] to hub, get a [`RenewGrant`].
pub const RENEW: &str = "/v2/renew";
/// POST to hub with `Upgrade: tieup-line`: the connection becomes a line, over which hub calls the partner that dialed.
pub const LINE: &str = "/v2/line";
/// Main's newest list of revoked certificates (an X.509 CRL in PEM): GET it at hub, POST it to syncd.
pub const REVOCATIONS: &str = "/v2/revocations";
/// GET which versions of the protocol an end speaks, a [`Speaks`](crate::version::Speaks).
pub const VERSIONS: &str = "/versions";
/// GET a [`PartnerStatus`].
pub const STATUS: &str = "/v2/status";
/// POST an [`Offer`] compressed by zstd, get [`Ready`].
pub const OFFER: &str = "/v2/releases/offer";
/// PUT the manifest of the offered release as steps (see [`crate::delta`]), compressed by zstd, get [`Wanted`].
pub const MANIFEST: &str = "/v2/releases/manifest";
/// PUT the wanted blobs of the offered release, get [`Staged`].
///
/// The body is the blobs' bytes one after another, in the order of [`Wanted::of`], compressed by zstd as a whole.
pub const BLOBS: &str = "/v2/releases/blobs";
/// POST a [`Metadata`], get [`Fresh`]: the newest release is still the newest.
pub const FRESHNESS: &str = "/v2/freshness";
/// PUT content that the partner's status names as lacking, get a [`GuardReport`].
///
/// The body is pieces one after another, compressed by zstd as a whole: digest and length (see
/// [`crate::drift::piece_head`]), then the bytes. What is not lacking is refused.
pub const RESTORE: &str = "/v2/restore";
/// POST a [`Cosigned`] checkpoint.
pub const COSIGNATURE: &str = "/v2/journal/cosignature";
/// POST a [`StatementNotice`], get a [`StatementVerdict`].
pub const STATEMENT: &str = "/v2/statement";
/// GET lines of the partner's audit trail, one JSON document each: `/v2/audit?from=12`, the first of which is line 12.
/// Not all of them come at once where they are many.
pub const AUDIT: &str = "/v2/audit";
/// GET below it: C2SP tlog-tiles of one month, `/v2/journal/2026-11/checkpoint`, `/v2/journal/2026-11/tile/...`.
pub const JOURNAL: &str = "/v2/journal";
/// POST at the hub, with the partner's certificate: what is new in the partner's journal is to be fetched now. See
/// [`CollectRequest`] and [`CollectGrant`].
pub const COLLECT: &str = "/v2/journal/collect";
/// GET at the hub, with the partner's certificate: [`MainJournals`], main's own log, where the contract lets the partner verify
/// it. GET below it the same as below [`JOURNAL`].
pub const MAIN_JOURNAL: &str = "/v2/journal/main";
/// POST a [`MainReceipt`] at the hub.
pub const MAIN_RECEIPT: &str = "/v2/journal/main/cosignature";
/// POST a [`Heartbeat`] to hub, with the partner's certificate. A hub from before heartbeats answers 404; nothing depends on
/// it.
pub const HEARTBEAT: &str = "/v2/heartbeat";
/// The problem of a tile that the journal does not hold.
pub const NO_SUCH_TILE: &str = "no-such-tile";

/// The kind of problem with which a partner refuses a manifest that is told against a release it cannot build on.
///
/// Main tells it whole then.
pub const UNKNOWN_BASE: &str = "unknown-base";

/// A new partner's request to join.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The partner's name, as in the invitation.
    pub partner: SiteId,
    /// The token's secret.
    pub secret: crate::joining::Secret,
    /// A PKCS #10 request in PEM for the key that the partner has just made.
    pub csr: String,
    /// How hub reaches the partner's daemon.
    pub address: Reach,
    /// The key that signs the partner's journal, as a C2SP verifier key.
    pub journal_key: String,
}

/// What a partner has joined with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinGrant {
    /// The partner's certificate in PEM.
    pub certificate: String,
    /// Main's certificate authority in PEM.
    pub authority: String,
    /// Main's TUF root metadata.
    pub root: String,
    /// The contract, word for word.
    pub contract: String,
    /// The key with which main cosigns journals, as a C2SP verifier key.
    pub cosigner_key: String,
}

/// A partner's request for a new certificate for the key that it joined with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewRequest {
    /// The partner.
    pub partner: SiteId,
    /// A PKCS #10 request in PEM; its signature shows that the partner has the key.
    pub csr: String,
}

/// A new certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewGrant {
    /// The partner's certificate in PEM.
    pub certificate: String,
}

/// The kind of the problem that a join with a revoked key gets; its token stays good.
pub const REVOKED_KEY: &str = "revoked-key";

/// The most bytes of a list of revoked certificates.
pub const MAX_REVOCATIONS: usize = 8 << 20;

/// A release on offer: what is signed of it, and none of its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Root metadata newer than version 1, oldest first.
    pub roots: Vec<String>,
    /// The TUF timestamp metadata.
    pub timestamp: String,
    /// The TUF snapshot metadata.
    pub snapshot: String,
    /// The TUF targets metadata. Its one target is the manifest.
    pub targets: String,
    /// The contract the release was made under, word for word.
    pub contract: String,
}

impl Offer {
    /// The offer's TUF metadata.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            roots: self.roots.clone(),
            timestamp: self.timestamp.clone(),
            snapshot: self.snapshot.clone(),
            targets: self.targets.clone(),
        }
    }
}

/// The TUF metadata of a release, without anything of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Root metadata newer than version 1, oldest first and without a gap.
    pub roots: Vec<String>,
    /// The TUF timestamp metadata: main's statement that `snapshot` is its newest.
    pub timestamp: String,
    /// The TUF snapshot metadata.
    pub snapshot: String,
    /// The TUF targets metadata.
    pub targets: String,
}

/// The longest metadata document that a partner looks at, in bytes.
pub const MAX_METADATA: u64 = 128 << 10;

/// The most root metadata documents that a partner looks at.
pub const MAX_ROOTS: usize = 256;

/// The partner's answer to metadata that it has verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    /// Until when the partner takes the release for the newest.
    pub until: Timestamp,
}

/// What stands for the role in an alarm about main's list of revoked certificates.
pub const REVOCATIONS_ROLE: &str = "revocations";

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

/// The largest offer after decompression, in bytes.
pub const MAX_OFFER: u64 = 4 << 20;

/// The partner's answer to an offer whose signatures verify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ready {
    /// The digests of manifests that are here, and against which the release may be told; the best first.
    pub bases: Vec<Digest>,
    /// What is lacking, where the manifest of this very release is here since an earlier offer.
    pub wanted: Option<Wanted>,
}

/// The partner's answer to a manifest that has proved to be the one that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The release.
    pub version: ReleaseVersion,
    /// Which of the manifest's blobs ([`Manifest::blobs_in_order`]) the partner lacks, as lengths of runs: so many are
    /// here, so many are lacking, so many are here, and so on.
    pub runs: Vec<u64>,
}

impl Wanted {
    /// The answer that asks for those of `blobs` that are lacking.
    pub fn new(version: ReleaseVersion, blobs: &[BlobRef], is_lacking: impl Fn(&BlobRef) -> bool) -> Self {
        let mut runs = vec![0];
        for blob in blobs {
            let in_a_run_of_lacking = runs.len() % 2 == 0;
            if is_lacking(blob) != in_a_run_of_lacking {
                runs.push(0);
            }
            if let Some(run) = runs.last_mut() {
                *run += 1;
            }
        }
        Self { version, runs }
    }

    /// Those of `blobs` that are asked for, in their order.
    pub fn of(&self, blobs: &[BlobRef]) -> Vec<BlobRef> {
        let mut rest = blobs;
        let mut wanted = Vec::new();
        for (number, run) in self.runs.iter().enumerate() {
            let length = usize::try_from(*run).map_or(rest.len(), |run| run.min(rest.len()));
            let (these, after) = rest.split_at(length);
            if number % 2 == 1 {
                wanted.extend_from_slice(these);
            }
            rest = after;
        }
        wanted
    }
}

/// The partner's answer when it has every blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staged {
    /// The release as the partner keeps it: staged, or live where a rule covers the change.
    pub release: ReleaseRecord,
}

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

/// A partner wants its journal to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectRequest {
    /// This month alone; every month if left out.
    #[serde(default)]
    pub month: Option<Month>,
}

/// What main has fetched, verified and cosigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectGrant {
    /// Month by month.
    pub months: Vec<CollectedMonth>,
}

/// What main has fetched of one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectedMonth {
    /// The month.
    pub month: Month,
    /// How many entries were new.
    pub added: u64,
    /// How many entries main holds and has cosigned now.
    pub size: u64,
}

/// Main's own log of the pages that main serves, as far as the contract lets the partner verify it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MainJournals {
    /// The key that signs it, a C2SP verifier key.
    pub key: String,
    /// The months, oldest first.
    pub months: Vec<Month>,
}

/// A checkpoint of main's own log with the partner's cosignature: the partner's receipt for the log up to there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MainReceipt {
    /// The month.
    pub month: Month,
    /// The signed note, with the partner's signature after main's.
    pub note: String,
    /// The key with which the partner cosigns main's log, a C2SP verifier key.
    pub key: String,
}

/// What main answers to a receipt that it was shown with the query `told=time`: since when it has it. To one without it main
/// answers nothing, as it did before this was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptTaken {
    /// When it was durable, by main's clock.
    pub at: Timestamp,
}

/// What a partner's daemon has answered since it was started. An end that meets a field which it does not know passes over
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When the process began; another time is another process, which counts anew.
    pub started: Timestamp,
    /// When this was told, by the same clock.
    pub at: Timestamp,
    /// How many requests it answered and logged since then.
    pub answered: Answered,
    /// How many entries the newest months' journals had then, or more.
    #[serde(default)]
    pub journals: BTreeMap<Month, u64>,
}

/// How many requests were answered and logged, by whose page it was. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// For tie-up pages.
    pub tieup: u64,
    /// For original pages.
    pub original: u64,
    /// For where nothing stands.
    pub nothing: u64,
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

/// A checkpoint with main's cosignature: main's receipt for the log up to there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosigned {
    /// The journal's month.
    pub month: Month,
    /// The signed note, with main's signature after the partner's.
    pub note: String,
}

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
    /// Sales were added, changed or taken back.
    ChangedSales,
    /// What was published was noted otherwise.
    ChangedCatalogue,
    /// A dispute was decided.
    Dispute,
}

impl Cause {
    /// What a statement says.
    pub fn words(self) -> &'static str {
        match self {
            Self::LateEntries => "entries came late",
            Self::StruckEntries => "entries were struck out",
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

/// An error over HTTP, after RFC 9457 (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{title}")]
pub struct Problem {
    /// A stable name of this kind of problem, such as `tieup:older-release`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, in one sentence.
    pub title: String,
    /// The chain of causes, one a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When.
    pub time: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::version::{self, CURRENT};

    #[test]
    fn every_call_is_in_the_version_that_is_spoken() {
        let calls = [
            JOIN,
            RENEW,
            LINE,
            REVOCATIONS,
            STATUS,
            OFFER,
            MANIFEST,
            BLOBS,
            FRESHNESS,
            RESTORE,
            COSIGNATURE,
            STATEMENT,
            AUDIT,
            JOURNAL,
            MAIN_JOURNAL,
            MAIN_RECEIPT,
            HEARTBEAT,
        ];
        for path in calls {
            assert_eq!(version::of_path(path), Some(CURRENT), "{path}");
        }
        assert_eq!(version::of_path(VERSIONS), None, "every end can be asked what it speaks");
    }

    proptest! {
        #[test]
        fn what_is_lacking_is_asked_for(lacking in proptest::collection::vec(any::<bool>(), 0..40)) {
            let blobs: Vec<BlobRef> = (0..lacking.len()).map(|n| BlobRef::of(&n.to_be_bytes())).collect();
            let is_lacking = |blob: &BlobRef| blobs.iter().position(|b| b == blob).is_some_and(|at| lacking[at]);
            let wanted = Wanted::new(ReleaseVersion::FIRST, &blobs, is_lacking);
            let expected: Vec<BlobRef> = blobs.iter().filter(|blob| is_lacking(blob)).copied().collect();
            prop_assert_eq!(wanted.of(&blobs), expected);
        }
    }
}
