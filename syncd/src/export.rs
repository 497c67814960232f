//! A release written into a folder as plain files, so that anybody can verify it with other tools.
//!
//! ```text
//! pinned.root.json      the root that this partner pinned when it joined
//! metadata/             the chain of roots, timestamp, snapshot and targets, as they came
//! manifest.json         and contract.yaml, as they came
//! blobs/<digest>        every file of the release, named by its BLAKE3 in hexadecimal
//! ```

use std::path::{Path, PathBuf};

use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::manifest::BlobRef;
use tieup_store::blobs::ReadBlobError;
use tieup_store::durable::{self, DiskError};

use crate::daemon::Partner;
use crate::publisher::PublishError;

/// Why a release was not exported. What was written stays in the folder.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The folder is there.
    #[error("{0} is there already; it is not written over")]
    Exists(PathBuf),
    /// No release is meant.
    #[error("no release is live: name one with --release")]
    NothingLive,
    /// The release cannot be read.
    #[error(transparent)]
    Release(#[from] PublishError),
    /// A file of it cannot be read.
    #[error("a stored file cannot be read")]
    Blob(#[from] ReadBlobError),
    /// The folder cannot be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Partner {
    /// Writes a release, the live one where `version` is none, into the folder `to`: which one it was, and of how many
    /// blobs it consists. Durable on return.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn export(&self, version: Option<ReleaseVersion>, to: &Path) -> Result<(ReleaseVersion, usize), ExportError> {
        if to.exists() {
            return Err(ExportError::Exists(to.to_owned()));
        }
        let (version, files, wanted, blobs) = {
            let publisher = self.publisher();
            let version = version.or(publisher.live_version()).ok_or(ExportError::NothingLive)?;
            let (files, manifest) = publisher.as_it_came(version)?;
            (version, files, manifest.blobs(), publisher.blobs().clone())
        };
        durable::create_dir_all(&to.join("metadata"))?;
        durable::create_dir_all(&to.join("blobs"))?;
        durable::write_file(&to.join("pinned.root.json"), self.identity().root.as_bytes())?;
        for (name, bytes) in &files {
            durable::write_file(&to.join(name.as_str()), bytes)?;
        }
        for blob in &wanted {
            durable::write_file(&to.join("blobs").join(file_name(blob)), &blobs.read(blob)?)?;
        }
        Ok((version, wanted.len()))
    }
}

/// The digest in hexadecimal, without the name of the algorithm.
fn file_name(blob: &BlobRef) -> String {
    let digest = blob.digest.to_string();
    digest.rsplit(':').next().unwrap_or(&digest).to_owned()
}
