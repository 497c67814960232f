//! The archive: what partners were sent, so that the next release can be told as the difference from it.
//!
//! It is kept small: a page that differs from main's by a few words, or from its own last version, is a patch. Anyone
//! may remove it while no `tieup` runs; the next release to each partner is then told whole.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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
    shelf: Arc<Shelf>,
    /// When it was last swept.
    swept: Document<Timestamp>,
    _lock: StateLock,
}

/// What is in the archive's folder, as this process knows it.
struct Shelf {
    blobs: BlobStore,
    /// The release that was kept first in this process: what other partners' are like.
    first: OnceLock<Manifest>,
}

/// What this process knew of the folder when it had the archive last, so that it need not read it again where nobody else
/// has written there since.
#[derive(Default)]
pub struct Remembered(Mutex<Option<Arc<Shelf>>>);

impl Archive {
    /// Opens the archive in the state folder; none while somebody else has it.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open(state: &Path, remembered: &Remembered) -> Result<Option<Self>, DiskError> {
        let folder = state.join(FOLDER);
        let Ok(lock) = StateLock::take(&folder) else { return Ok(None) };
        let swept = Document::at(folder.join("swept.json"));
        let mut known = remembered.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = match known.take() {
            Some(shelf) if shelf.blobs.is_current()? => shelf,
            _ => Arc::new(Shelf { blobs: BlobStore::open(folder)?, first: OnceLock::new() }),
        };
        *known = Some(shelf.clone());
        Ok(Some(Self { shelf, swept, _lock: lock }))
    }

    /// A blob that a partner was sent, if it is here and undamaged.
    pub fn read(&self, blob: &BlobRef) -> Option<Vec<u8>> {
        self.shelf.blobs.read(blob).ok()
    }

    /// How many bytes it takes.
    pub fn size(&self) -> u64 {
        self.shelf.blobs.size()
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
        let swept = self.shelf.blobs.sweep(keep, since)?;
        self.swept.write(&now)?;
        Ok(swept)
    }

    /// Keeps the content of a release, which is like `like`: the partner's last one, or else another partner's. Durable
    /// on return.
    ///
    /// # Errors
    /// When the disk fails; then the next release is told whole.
    pub fn keep(&self, built: &BuiltRelease, like: Option<&Manifest>) -> Result<(), PutBlobError> {
        let batch = self.shelf.blobs.batch();
        let models: Vec<&Manifest> = like.into_iter().chain(self.shelf.first.get()).collect();
        for (path, entry) in built.entries().iter().filter(|(_, entry)| !self.shelf.blobs.contains(&entry.blob)) {
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
        self.shelf.first.get_or_init(|| built.manifest().clone());
        Ok(())
    }
}
