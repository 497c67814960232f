//! How a release travels: what is signed of it, what is lacking of it, and what became of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::approval::ReleaseRecord;
use crate::digest::Digest;
use crate::ids::ReleaseVersion;
use crate::manifest::BlobRef;
#[cfg(doc)]
use crate::manifest::Manifest;

/// The largest offer after decompression, in bytes.
pub const MAX_OFFER: u64 = 4 << 20;

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

/// The longest metadata document that a partner looks at, in bytes.
pub const MAX_METADATA: u64 = 128 << 10;

/// The most root metadata documents that a partner looks at.
pub const MAX_ROOTS: usize = 256;

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

/// The partner's answer to metadata that it has verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fresh {
    /// Until when the partner takes the release for the newest.
    pub until: Timestamp,
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
