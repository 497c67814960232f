//! Messages between main and partner, as JSON over HTTP over mutual TLS, and the paths they go to.
//!
//! hub calls syncd on most paths; syncd calls hub on [`JOIN`], [`RENEW`], [`LINE`], [`HEARTBEAT`] and, by GET,
//! [`REVOCATIONS`]. The first segment of every path but [`VERSIONS`] is the version of the protocol (see
//! [`version`](crate::version)).

mod joining;
mod journal;
mod release;
mod statement;
mod status;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::drift::GuardReport;

pub use self::joining::{JoinGrant, JoinRequest, MAX_REVOCATIONS, REVOKED_KEY, RenewGrant, RenewRequest};
pub use self::journal::{
    Answered, CollectGrant, CollectRequest, CollectedMonth, Cosigned, Heartbeat, MainJournals, MainReceipt,
    ReceiptTaken,
};
pub use self::release::{Fresh, MAX_METADATA, MAX_OFFER, MAX_ROOTS, Metadata, Offer, Ready, Staged, Wanted};
pub use self::statement::{Cause, Revision, StatementNotice, StatementStatus, StatementVerdict};
pub use self::status::{
    DeclaredEmergency, ExpiryAlarm, ExpiryState, OverdueCertificate, OverriddenPage, OverrideState, PartnerStatus,
    REVOCATIONS_ROLE, WaitingOriginals,
};

/// POST a [`JoinRequest`] to hub, get a [`JoinGrant`].
pub const JOIN: &str = "/v3/join";
/// POST a [`RenewRequest`] to hub, get a [`RenewGrant`].
pub const RENEW: &str = "/v3/renew";
/// POST to hub with `Upgrade: tieup-line`: the connection becomes a line, over which hub calls the partner that dialed.
pub const LINE: &str = "/v3/line";
/// Main's newest list of revoked certificates (an X.509 CRL in PEM): GET it at hub, POST it to syncd.
pub const REVOCATIONS: &str = "/v3/revocations";
/// GET which versions of the protocol an end speaks, a [`Speaks`](crate::version::Speaks).
pub const VERSIONS: &str = "/versions";
/// GET a [`PartnerStatus`].
pub const STATUS: &str = "/v3/status";
/// POST an [`Offer`] compressed by zstd, get [`Ready`].
pub const OFFER: &str = "/v3/releases/offer";
/// PUT the manifest of the offered release as steps (see [`crate::delta`]), compressed by zstd, get [`Wanted`].
pub const MANIFEST: &str = "/v3/releases/manifest";
/// PUT the wanted blobs of the offered release, get [`Staged`].
///
/// The body is the blobs' bytes one after another, in the order of [`Wanted::of`], compressed by zstd as a whole.
pub const BLOBS: &str = "/v3/releases/blobs";
/// POST a [`Metadata`], get [`Fresh`]: the newest release is still the newest.
pub const FRESHNESS: &str = "/v3/freshness";
/// PUT content that the partner's status names as lacking, get a [`GuardReport`].
///
/// The body is pieces one after another, compressed by zstd as a whole: digest and length (see
/// [`crate::drift::piece_head`]), then the bytes. What is not lacking is refused.
pub const RESTORE: &str = "/v3/restore";
/// POST a [`Cosigned`] checkpoint.
pub const COSIGNATURE: &str = "/v3/journal/cosignature";
/// POST a [`StatementNotice`], get a [`StatementVerdict`].
pub const STATEMENT: &str = "/v3/statement";
/// GET lines of the partner's audit trail, one JSON document each: `/v3/audit?from=12`, the first of which is line 12.
/// Not all of them come at once where they are many.
pub const AUDIT: &str = "/v3/audit";
/// GET the partner's signature over the first lines of its audit trail, a signed note: `/v3/audit/signed?lines=12`.
pub const AUDIT_SIGNED: &str = "/v3/audit/signed";
/// GET below it: C2SP tlog-tiles of one month, `/v3/journal/2026-11/checkpoint`, `/v3/journal/2026-11/tile/...`.
pub const JOURNAL: &str = "/v3/journal";
/// POST at the hub, with the partner's certificate: what is new in the partner's journal is to be fetched now. See
/// [`CollectRequest`] and [`CollectGrant`].
pub const COLLECT: &str = "/v3/journal/collect";
/// GET at the hub, with the partner's certificate: [`MainJournals`], main's own log, where the contract lets the partner verify
/// it. GET below it the same as below [`JOURNAL`].
pub const MAIN_JOURNAL: &str = "/v3/journal/main";
/// POST a [`MainReceipt`] at the hub.
pub const MAIN_RECEIPT: &str = "/v3/journal/main/cosignature";
/// POST a [`Heartbeat`] to hub, with the partner's certificate. A hub from before heartbeats answers 404; nothing depends on
/// it.
pub const HEARTBEAT: &str = "/v3/heartbeat";
/// The problem of a tile that the journal does not hold.
pub const NO_SUCH_TILE: &str = "no-such-tile";

/// The kind of problem with which a partner refuses a manifest that is told against a release it cannot build on.
///
/// Main tells it whole then.
pub const UNKNOWN_BASE: &str = "unknown-base";

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
            AUDIT_SIGNED,
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
}
