//! Messages between main and partner, as JSON over HTTP over mutual TLS, and the paths they go to.
//!
//! hub calls syncd on all paths but [`JOIN`], which a new partner calls at hub. The first segment of every path is the
//! version of the protocol.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::approval::ReleaseRecord;
use crate::digest::Digest;
use crate::ids::{ReleaseVersion, SiteId};
use crate::manifest::BlobRef;
use crate::period::Month;

/// POST a [`JoinRequest`] to hub, get a [`JoinGrant`].
pub const JOIN: &str = "/v1/join";
/// GET a [`PartnerStatus`].
pub const STATUS: &str = "/v1/status";
/// POST an [`Offer`] compressed by zstd, get [`Wanted`].
pub const OFFER: &str = "/v1/releases/offer";
/// PUT the wanted blobs of the offered release (see [`BlobHeader`]), get [`Staged`].
pub const BLOBS: &str = "/v1/releases/blobs";
/// POST a [`Cosigned`] checkpoint.
pub const COSIGNATURE: &str = "/v1/journal/cosignature";
/// POST a [`StatementNotice`], get a [`StatementVerdict`].
pub const STATEMENT: &str = "/v1/statement";
/// GET below it: C2SP tlog-tiles of one month, `/v1/journal/2026-11/checkpoint`, `/v1/journal/2026-11/tile/...`.
pub const JOURNAL: &str = "/v1/journal";

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
    /// Where hub reaches the partner's daemon: host and port.
    pub address: String,
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

/// A release on offer: everything needed to verify it, and none of its content.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Root metadata newer than version 1, oldest first.
    pub roots: Vec<String>,
    /// The TUF timestamp metadata.
    pub timestamp: String,
    /// The TUF snapshot metadata.
    pub snapshot: String,
    /// The TUF targets metadata.
    pub targets: String,
    /// The manifest's bytes, the TUF target.
    pub manifest: String,
    /// The contract the release was made under, word for word.
    pub contract: String,
}

/// The largest offer after decompression, in bytes.
pub const MAX_OFFER: u64 = crate::manifest::MAX_MANIFEST * 2;

/// The partner's answer to an offer that it has verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The release.
    pub version: ReleaseVersion,
    /// The blobs that the partner lacks.
    pub blobs: Vec<BlobRef>,
}

/// The partner's answer when it has every blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staged {
    /// The release as the partner keeps it: staged, or live where a rule covers the change.
    pub release: ReleaseRecord,
}

/// Before each blob in the blob stream: its digest (32 bytes), then its length (8 bytes, big-endian).
///
/// The stream is compressed by zstd as a whole. It holds the wanted blobs in any order, each at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobHeader(pub BlobRef);

impl BlobHeader {
    /// How many bytes a header has.
    pub const LENGTH: usize = 40;

    /// The header's bytes.
    pub fn encode(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..32].copy_from_slice(self.0.digest.as_bytes());
        bytes[32..].copy_from_slice(&self.0.length.to_be_bytes());
        bytes
    }

    /// Reads a header.
    pub fn decode(bytes: &[u8; Self::LENGTH]) -> Self {
        let mut digest = [0; 32];
        let mut length = [0; 8];
        digest.copy_from_slice(&bytes[..32]);
        length.copy_from_slice(&bytes[32..]);
        Self(BlobRef { digest: Digest::from_bytes(digest), length: u64::from_be_bytes(length) })
    }
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
    /// The period.
    pub month: Month,
    /// How many entries of the month's journal it counts: the size of a checkpoint that main has cosigned.
    pub size: u64,
    /// Whether the month is still open.
    pub status: StatementStatus,
    /// The statement's canonical bytes, which are text.
    pub statement: String,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
