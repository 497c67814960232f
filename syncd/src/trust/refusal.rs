//! Why an offer is refused, and what the TUF client's own errors mean to an operator.

use std::io;

use tieup_protocol::contract::ContractId;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_protocol::label::{Mislabelled, STREAM};
use tieup_protocol::manifest::{InvalidManifest, MAX_MANIFEST, MAX_RELEASE};
use tieup_protocol::wire::{MAX_METADATA, MAX_ROOTS};
use tough::schema::RoleType;

/// Why an offer is refused. Nothing has changed when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum OfferRefused {
    /// Signed by the wrong keys, by too few, or inconsistent.
    #[error("the release's signatures do not verify against the pinned root of `{main}`")]
    Signature {
        /// The main site.
        main: SiteId,
        /// What the TUF client found.
        #[source]
        source: Box<tough::error::Error>,
    },
    /// The chain of root metadata has a gap, or repeats itself.
    #[error("the chain of root metadata is broken: version {offered} stands where version {expected} must follow")]
    RootVersion {
        /// The version found.
        offered: u64,
        /// The version that must follow.
        expected: u64,
    },
    /// Older than what was seen before.
    #[error("release {offered} is older than release {known}, which this partner already has")]
    Older {
        /// The version on offer.
        offered: u64,
        /// The newest version known here.
        known: u64,
    },
    /// A statement of freshness from before the newest one.
    #[error("the offer is older than what this partner has seen: its timestamp has version {offered}, after {known}")]
    Replayed {
        /// The version of the timestamp on offer.
        offered: u64,
        /// The newest version known here.
        known: u64,
    },
    /// Out of date.
    #[error("the release's {role} metadata has expired: main must publish again")]
    Expired {
        /// Which metadata.
        role: String,
    },
    /// Longer than metadata ever is.
    #[error("the release's {role} metadata has {length} bytes, and may have {MAX_METADATA}")]
    Endless {
        /// Which metadata.
        role: String,
        /// How many bytes it has.
        length: u64,
    },
    /// More root metadata than there ever is.
    #[error("{0} root metadata documents came, and {MAX_ROOTS} may")]
    TooManyRoots(usize),
    /// The clock of this machine stands before a moment that it has seen.
    #[error("this machine's clock went back, so that nothing can be said about what has expired: set it right")]
    Clock(#[source] Box<tough::error::Error>),
    /// The label of the release cannot be read.
    #[error("the release has no label that can be read: main must run a version that labels its releases")]
    Label(#[source] serde_json::Error),
    /// The label says something else than the release.
    #[error(transparent)]
    Mislabelled(#[from] Mislabelled),
    /// Another kind of content.
    #[error("the release is of the stream `{0}`; this partner takes `{STREAM}`")]
    OtherStream(String),
    /// Larger than a partner takes.
    #[error(
        "the release has a manifest of {manifest} bytes and {bytes} bytes of content; the limits are {MAX_MANIFEST} and {MAX_RELEASE}"
    )]
    TooLarge {
        /// The length of the manifest.
        manifest: u64,
        /// The length of the content.
        bytes: u64,
    },
    /// The manifest is not the one that was signed.
    #[error("the manifest is not the one that main signed")]
    Manifest,
    /// Nothing is signed that a release could be.
    #[error("the metadata names no manifest")]
    NoManifest,
    /// The signed manifest is not acceptable.
    #[error("the manifest is not acceptable")]
    InvalidManifest(#[from] InvalidManifest),
    /// Meant for somebody else.
    #[error("the release is from `{main}` for `{partner}`, not for this partner")]
    Misdirected {
        /// Who published it.
        main: SiteId,
        /// For whom.
        partner: SiteId,
    },
    /// The contract's text is unusable.
    #[error("the contract that came with the release cannot be used:\n{0}")]
    Contract(Diagnostic),
    /// The contract's text is another than the manifest names.
    #[error("the release names contract {0}, but another document came with it")]
    OtherContract(ContractId),
    /// What lies on the disk is not what was verified.
    #[error("the manifest on disk is not the one that was verified")]
    Altered,
    /// The TUF client could not keep its files.
    #[error("the metadata could not be checked")]
    Io(#[from] io::Error),
    /// The TUF client's own names could not be made.
    #[error("the metadata could not be checked")]
    Internal(#[source] Box<tough::error::Error>),
}

impl OfferRefused {
    /// A stable name for this kind of refusal.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Signature { .. } => "bad-signature",
            Self::RootVersion { .. } => "bad-root-version",
            Self::Older { .. } | Self::Replayed { .. } => "older-release",
            Self::Expired { .. } => "expired-metadata",
            Self::Endless { .. } | Self::TooManyRoots(_) => "endless-metadata",
            Self::Manifest | Self::Altered => "altered-manifest",
            Self::Label(_) | Self::Mislabelled(_) => "mislabelled-release",
            Self::TooLarge { .. } => "too-large",
            Self::InvalidManifest(_) | Self::NoManifest => "invalid-manifest",
            Self::Misdirected { .. } | Self::OtherStream(_) => "misdirected-release",
            Self::Contract(_) | Self::OtherContract(_) => "unusable-contract",
            Self::Clock(_) | Self::Io(_) | Self::Internal(_) => "not-checked",
        }
    }

    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Expired { .. } => Some("leave `tieup hub` running, which refreshes what expires"),
            Self::RootVersion { .. } => Some("put back the files below `keys/roots` from your copy of them"),
            _ => None,
        }
    }

    /// What an error of the TUF client means. Sections are those of the TUF specification 1.0.34.
    pub(super) fn by_tuf(error: tough::error::Error, main: &SiteId) -> Self {
        use tough::error::Error;
        match error {
            // 5.3.5: "the version number of the latest root metadata file (version N+1) MUST be exactly the version in
            // the trusted root metadata (version N) incremented by one".
            Error::OlderMetadata { role: RoleType::Root, current_version, new_version, .. } => {
                Self::RootVersion { offered: new_version, expected: current_version.saturating_add(1) }
            }
            // 5.4.3.1: "the version number in the trusted timestamp metadata file MUST be less than or equal to the
            // version number in the new timestamp metadata file".
            Error::OlderMetadata { role: RoleType::Timestamp, current_version, new_version, .. } => {
                Self::Replayed { offered: new_version, known: current_version }
            }
            // 5.4.3.2 and 5.5.5: the same of the snapshot that the timestamp names, and of the targets that it names.
            Error::OlderMetadata { current_version, new_version, .. } => {
                Self::Older { offered: new_version, known: current_version }
            }
            Error::OlderSnapshotInTimestamp { snapshot_new, snapshot_old, .. } => {
                Self::Older { offered: snapshot_new, known: snapshot_old }
            }
            Error::SnapshotRoleRollback { new_role_version, old_role_version, .. } => {
                Self::Older { offered: new_role_version, known: old_role_version }
            }
            // 5.3.10, 5.4.4, 5.5.6 and 5.6.5: "the expiration timestamp [...] MUST be higher than the fixed update start
            // time. If [it] has expired, abort the update cycle, report the potential freeze attack".
            Error::ExpiredMetadata { role, .. } => Self::Expired { role: format!("{role:?}").to_lowercase() },
            // 5.1: the fixed update start time is worth something only if the clock never goes back.
            source @ Error::SystemTimeSteppedBackward { .. } => Self::Clock(Box::new(source)),
            // 5.3.4, 5.4.2, 5.5.3 and 5.6.3: "MUST have been signed by a threshold of keys specified in the trusted root
            // metadata file", the root by one of the new root's keys too; 5.5.2: the snapshot's hash.
            source => Self::Signature { main: main.clone(), source: Box::new(source) },
        }
    }
}
