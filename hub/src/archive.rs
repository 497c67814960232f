//! The archive: what partners were sent, so that the next release can be told as the difference from it.
//!
//! It is kept small: a page that differs from main's by a few words, or from its own last version, is a patch. Anyone
//! may remove it while no `tieup` runs; the next release to each partner is then told whole.

use std::collections::HashSet;
use std::path::Path;
use std::sync::OnceLock;
use std::time::SystemTime;

use jiff::Timestamp;
use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_store::blobs::{BlobStore, PutBlobError, Swept};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::DiskError;
use tieup_store::lock::StateLock;

use crate::release::BuiltRelease;
use crate::space::GRACE;

/// The archive's folder in the state folder.
const FOLDER: &str = "published";

/// What partners were sent.
pub struct Archive {
    blobs: BlobStore,
    /// The release that was kept first in this process: what other partners' are like.
    first: OnceLock<Manifest>,
    /// When it was last swept.
    swept: Document<Timestamp>,
    _lock: StateLock,
}

impl Archive {
    /// Opens the archive in the state folder; none while another process has it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(state: &Path) -> Result<Option<Self>, DiskError> {
        let folder = state.join(FOLDER);
        let Ok(lock) = StateLock::take(&folder) else { return Ok(None) };
        let swept = Document::at(folder.join("swept.json"));
        let blobs = BlobStore::open(folder)?;
        Ok(Some(Self { blobs, first: OnceLock::new(), swept, _lock: lock }))
    }

    /// A blob that a partner was sent, if it is here and undamaged.
    pub fn read(&self, blob: &BlobRef) -> Option<Vec<u8>> {
        self.blobs.read(blob).ok()
    }

    /// How many bytes it takes.
    pub fn size(&self) -> u64 {
        self.blobs.size()
    }

    /// Whether it is time to sweep it. The first time is a day after this was first asked.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn is_due(&self, now: Timestamp) -> Result<bool, DocumentError> {
        let Some(swept) = self.swept.read()? else {
            self.swept.write(&now)?;
            return Ok(false);
        };
        Ok(now.duration_since(swept) >= GRACE)
    }

    /// Gives up what is not in `keep` and was written before `since`.
    ///
    /// # Errors
    /// When the disk fails; then nothing is lost that is kept.
    pub fn sweep(&self, keep: &HashSet<Digest>, since: SystemTime, now: Timestamp) -> Result<Swept, DocumentError> {
        let swept = self.blobs.sweep(keep, since)?;
        self.swept.write(&now)?;
        Ok(swept)
    }

    /// Keeps the content of a release, which is like `like`: the partner's last one, or else another partner's. Durable
    /// on return.
    ///
    /// # Errors
    /// When the disk fails; then the next release is told whole.
    pub fn keep(&self, built: &BuiltRelease, like: Option<&Manifest>) -> Result<(), PutBlobError> {
        let batch = self.blobs.batch();
        let models: Vec<&Manifest> = like.into_iter().chain(self.first.get()).collect();
        for (path, entry) in built.entries().iter().filter(|(_, entry)| !self.blobs.contains(&entry.blob)) {
            let Some(bytes) = built.blob(&entry.blob.digest) else { continue };
            match models.iter().find_map(|model| model.entries.get(path)) {
                Some(like) => batch.put_like(bytes, &like.blob)?,
                None => batch.put(bytes)?,
            };
        }
        for (old, new) in built.unserved(models.first().copied()) {
            let Some(bytes) = built.blob(&new.digest) else { continue };
            match old {
                Some(old) => batch.put_like(bytes, &old)?,
                None => batch.put(bytes)?,
            };
        }
        batch.sync()?;
        self.first.get_or_init(|| built.manifest().clone());
        Ok(())
    }
}
