//! The label of a release: what is signed beside the manifest's digest, so that a partner can judge a release before
//! any content moves.
//!
//! It stands in the `custom` field of the TUF target, and says nothing that the manifest does not say too.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::{ReleaseVersion, SiteId};
use crate::manifest::{ContractRef, Manifest};
use crate::shape::visible;

/// What kind of content a release carries. There is one kind so far.
pub const STREAM: &str = "pages";

/// What main signs about a release beside its manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseLabel {
    /// Who publishes.
    pub main: SiteId,
    /// For whom.
    pub partner: SiteId,
    /// [`STREAM`].
    pub stream: String,
    /// Which release.
    pub version: ReleaseVersion,
    /// Under which contract.
    pub contract: ContractRef,
    /// BLAKE3 of the manifest's bytes: what approval names.
    pub manifest: Digest,
    /// How many paths the partner serves.
    pub entries: u64,
    /// How many bytes of distinct content the release has.
    pub bytes: u64,
    /// Why main calls the release an emergency, so that whoever signs it reads that; none where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<String>,
}

/// Where a label and what it is about differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the release's signed label says {label} for `{field}`, but it has {found}")]
pub struct Mislabelled {
    /// The field of the label.
    pub field: &'static str,
    /// What the label says.
    pub label: String,
    /// What was found.
    pub found: String,
}

impl ReleaseLabel {
    /// The label of the release with `manifest`, whose bytes have the digest `digest`.
    pub fn of(manifest: &Manifest, digest: Digest) -> Self {
        Self {
            main: manifest.main.clone(),
            partner: manifest.partner.clone(),
            stream: STREAM.to_owned(),
            version: manifest.version,
            contract: manifest.contract.clone(),
            manifest: digest,
            entries: manifest.entries.len() as u64,
            bytes: manifest.size(),
            emergency: manifest.emergency.clone(),
        }
    }

    /// Checks that the label is that of `manifest`.
    ///
    /// # Errors
    /// The first field that differs.
    pub fn check(&self, manifest: &Manifest, digest: Digest) -> Result<(), Mislabelled> {
        let found = Self::of(manifest, digest);
        for ((field, label), (_, found)) in self.fields().into_iter().zip(found.fields()) {
            if label != found {
                return Err(Mislabelled { field, label, found });
            }
        }
        Ok(())
    }

    fn fields(&self) -> [(&'static str, String); 10] {
        [
            ("main", self.main.to_string()),
            ("partner", self.partner.to_string()),
            ("stream", self.stream.clone()),
            ("version", self.version.to_string()),
            ("contract", self.contract.id.to_string()),
            ("contract's digest", self.contract.digest.to_string()),
            ("manifest", self.manifest.to_string()),
            ("entries", self.entries.to_string()),
            ("bytes", self.bytes.to_string()),
            (
                "emergency",
                self.emergency.as_deref().map_or("none".to_owned(), |reason| format!("`{}`", visible(reason))),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::manifest::{BlobRef, FORMAT};

    #[test]
    fn a_label_is_that_of_its_manifest_alone() {
        let manifest = Manifest {
            format: FORMAT,
            main: "nationwide".parse().unwrap(),
            partner: "harbor-shop".parse().unwrap(),
            version: ReleaseVersion::FIRST,
            contract: ContractRef { id: "nationwide/harbor-shop@3".parse().unwrap(), digest: Digest::of(b"contract") },
            theme: "storefront".to_owned(),
            entries: BTreeMap::new(),
            framework: BTreeMap::new(),
            index: BlobRef::of(b"[]"),
            emergency: None,
        };
        let digest = Digest::of(&manifest.to_bytes());
        let label = ReleaseLabel::of(&manifest, digest);
        assert_eq!((label.entries, label.bytes), (0, 2));
        assert_eq!(label.check(&manifest, digest), Ok(()));
        let bent = [
            ("version", ReleaseLabel { version: label.version.next(), ..label.clone() }),
            ("stream", ReleaseLabel { stream: "programs".to_owned(), ..label.clone() }),
            ("bytes", ReleaseLabel { bytes: 1, ..label.clone() }),
            ("emergency", ReleaseLabel { emergency: Some("none".to_owned()), ..label.clone() }),
            ("manifest", ReleaseLabel { manifest: Digest::of(b"another"), ..label.clone() }),
        ];
        for (field, other) in bent {
            assert_eq!(other.check(&manifest, digest).map_err(|error| error.field), Err(field));
        }
    }
}
