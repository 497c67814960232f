//! Space at main: of what partners were sent, what the next releases and their partners' guards may ask for stays.

use std::collections::HashSet;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::Manifest;
use tieup_store::blobs::Swept;
use tieup_store::document::DocumentError;

use crate::archive::Archive;
use crate::database::DatabaseError;
use crate::manifests::BASES;
use crate::partners::Hub;

/// How long what nobody needs is kept, and how long it is from one sweep to the next.
pub const GRACE: SignedDuration = SignedDuration::from_hours(24);

/// Why space could not be given back. Nothing that is needed is lost.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The archive failed.
    #[error("the archive of what partners were sent cannot be swept")]
    Archive(#[from] DocumentError),
}

impl Hub {
    /// Gives up manifests and content that neither the newest releases to a partner name, nor one that is live or
    /// waits there; nothing, where it is less than a day since the last time.
    ///
    /// # Errors
    /// When the database or the disk fails.
    pub async fn sweep(&self, archive: &Archive, now: Timestamp) -> Result<Swept, SweepError> {
        if !archive.is_due(now)? {
            return Ok(Swept::default());
        }
        let mut keep: HashSet<Digest> = HashSet::new();
        for partner in self.database.partners().await? {
            self.database.forget_manifests(&partner.id, BASES).await?;
            for text in self.database.kept_manifests(&partner.id).await? {
                let manifest = Manifest::parse(text.as_bytes()).ok();
                let blobs = manifest.map(|manifest| manifest.blobs()).unwrap_or_default();
                keep.extend(blobs.into_iter().map(|blob| blob.digest));
            }
        }
        Ok(tokio::task::block_in_place(|| archive.sweep(&keep, SystemTime::from(now - GRACE), now))?)
    }
}
