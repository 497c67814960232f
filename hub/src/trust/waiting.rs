//! Releases that wait for signatures: the request and the release's content, kept by the hub until enough people have
//! signed.
//!
//! ```text
//! signing/<partner>/42.json    what is to be signed, with the signatures that are there
//! signing/<partner>/blobs/     the content of the release that waits
//! ```

use std::path::{Path, PathBuf};

use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::Manifest;
use tieup_store::blobs::{BlobStore, PutBlobError, ReadBlobError};
use tieup_store::durable::{self, DiskError};

use super::request::{RequestError, SigningRequest};
use crate::keys::KeyError;
use crate::partners::Hub;
use crate::release::BuiltRelease;

/// The state of a release in the database that waits for signatures.
pub const AWAITING: &str = "awaiting signatures";

/// Why the content of a release that waits could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum WaitingError {
    /// A blob could not be kept.
    #[error("the release that waits for signatures cannot be kept")]
    Put(#[from] PutBlobError),
    /// A blob could not be read.
    #[error("the release that waited for signatures cannot be read")]
    Read(#[from] ReadBlobError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Hub {
    /// The folder whose lock is held while something is published to `partner`.
    pub(crate) fn publishing_folder(&self, partner: &SiteId) -> PathBuf {
        self.config.state.join("publishing").join(partner.as_str())
    }

    /// The file that asks for signatures on a release.
    pub fn request_file(&self, partner: &SiteId, version: ReleaseVersion) -> PathBuf {
        self.waiting_folder(partner).join(format!("{version}.json"))
    }

    /// Keeps the content of a release until it is signed. Durable on return.
    pub(crate) fn keep_waiting(&self, partner: &SiteId, built: &BuiltRelease) -> Result<(), WaitingError> {
        let store = BlobStore::open(self.waiting_folder(partner).join("blobs"))?;
        let batch = store.batch();
        for bytes in built.blobs() {
            batch.put(bytes)?;
        }
        Ok(batch.sync()?)
    }

    /// The release that waits, as it was built.
    pub(crate) fn read_waiting(
        &self,
        partner: &SiteId,
        manifest: Manifest,
        contract: &str,
    ) -> Result<BuiltRelease, WaitingError> {
        let store = BlobStore::open(self.waiting_folder(partner).join("blobs"))?;
        let blobs: Result<Vec<_>, _> = manifest.blobs().iter().map(|blob| store.read(blob)).collect();
        Ok(BuiltRelease::kept(manifest, contract, blobs?))
    }

    /// Removes what was kept of a release that waits no longer.
    pub(crate) fn forget_waiting(&self, partner: &SiteId) -> Result<(), WaitingError> {
        Ok(durable::remove_dir_all(&self.waiting_folder(partner))?)
    }

    fn waiting_folder(&self, partner: &SiteId) -> PathBuf {
        self.config.state.join("signing").join(partner.as_str())
    }
}

/// Keeps a request. Durable on return.
pub(super) fn write_request(file: &Path, request: &SigningRequest) -> Result<(), KeyError> {
    if let Some(folder) = file.parent() {
        durable::create_dir_all(folder)?;
    }
    Ok(durable::write_file(file, request.text().as_bytes())?)
}

/// The request in `file`, where there is one.
pub(super) fn read_request(file: &Path) -> Result<Option<SigningRequest>, RequestError> {
    match std::fs::read_to_string(file) {
        Ok(text) => SigningRequest::parse(&text).map(Some),
        Err(_) => Ok(None),
    }
}
