//! The growing files of one month's folder, `entries` and `hashes-*`, as they are opened together.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::bundle::{EntryBatch, EntryCheck};
use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::entry_file::{EntryFile, Unsure};
use super::tree_files::TreeFiles;
use crate::durable::{self, DiskError, Step};

/// The file of the last checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The file of the last cosigned checkpoint.
pub(super) const COSIGNED: &str = "cosigned";
/// The file of the entries.
const ENTRIES: &str = "entries";

/// Why a month's log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The checkpoint on disk is not one that the log's key made.
    #[error("the checkpoint in {} is not valid", dir.display())]
    Checkpoint {
        /// The month's folder.
        dir: PathBuf,
        /// What is wrong with it.
        source: CheckpointError,
    },
    /// Entries are gone that have been signed for.
    #[error("{} has {found} whole entries, but its checkpoint is signed for {signed}", dir.display())]
    Lost {
        /// The month's folder.
        dir: PathBuf,
        /// How many the checkpoint covers.
        signed: u64,
        /// How many are there.
        found: u64,
    },
    /// What is there is not what was signed. Verifying the log tells which entry or hash.
    #[error("the first {signed} entries in {} do not hash to the root that its checkpoint is signed for", dir.display())]
    Damaged {
        /// The month's folder.
        dir: PathBuf,
        /// How many the checkpoint covers.
        signed: u64,
    },
}

/// Why entries could not be written or synced.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("an earlier failure left {} unsure", .0.display())]
    Unsure(PathBuf),
}

/// The growing files, open for appending: entries, and the hashes that follow them.
#[derive(Debug)]
pub(super) struct LogFiles {
    pub(super) entries: EntryFile,
    pub(super) tree: TreeFiles,
}

impl LogFiles {
    /// Opens the log in `dir`, which is made if it is missing. Every entry is hashed on return.
    ///
    /// A last entry that is cut off is removed. Hashes are trusted up to the checkpoint, where they must give the root
    /// that was signed, and are computed anew after it. Entries after it are written once more, up to the first that is none
    /// by `is_entry`, with which the log ends.
    pub(super) fn open(dir: &Path, signed: Option<&SignedCheckpoint>, is_entry: EntryCheck) -> Result<Self, OpenError> {
        durable::create_dir_all(dir)?;
        durable::settle(dir)?;
        let unsure = Unsure::default();
        let mut entries = EntryFile::open(dir, unsure.clone())?;
        let (size, signed_size) = (entries.size(), signed.map_or(0, SignedCheckpoint::size));
        if size < signed_size {
            return Err(OpenError::Lost { dir: dir.to_owned(), signed: signed_size, found: size });
        }
        let damaged = || OpenError::Damaged { dir: dir.to_owned(), signed: signed_size };
        entries.trim()?;
        let mut tree = TreeFiles::open(dir, &entries, signed_size, unsure)?.ok_or_else(damaged)?;
        tree.hash_rest(signed_size)?;
        if signed.is_some_and(|signed| signed.root() != tree.frontier().root()) {
            return Err(damaged());
        }
        entries.renew(signed_size, is_entry)?;
        tree.hash_rest(entries.size())?;
        Ok(Self { entries, tree })
    }

    /// Writes entries and hashes them. After an error none is in the log.
    pub(super) fn append(&mut self, batch: &EntryBatch) -> Result<(), WriteError> {
        let (size, bytes) = self.reach();
        self.entries.append(batch)?;
        let hashed = self.tree.hash_up_to(self.entries.size());
        if hashed.is_err() {
            self.cut_to(size, bytes)?;
        }
        hashed
    }

    /// How many entries there are, and where the last ends.
    fn reach(&self) -> (u64, u64) {
        let extent = self.entries.extent();
        let extent = extent.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        (extent.size, extent.bytes)
    }

    /// Forgets and cuts off all entries but the first `size`, which end at byte `bytes`.
    ///
    /// Where that fails, nothing is written until the log was opened anew.
    pub(super) fn cut_to(&mut self, size: u64, bytes: u64) -> Result<(), WriteError> {
        self.tree.check_sure()?;
        let cut = self.entries.cut_to(size, bytes).and_then(|()| self.tree.cut_to(size));
        if !matches!(cut, Ok(true)) {
            self.tree.give_up();
        }
        if cut? { Ok(()) } else { Err(WriteError::Unsure(self.tree.dir().to_owned())) }
    }
}

/// The file of the entries in the month's folder `dir`.
pub(super) fn entries_path(dir: &Path) -> PathBuf {
    dir.join(ENTRIES)
}

/// Opens a file that grows. A new one has its name on the disk on return.
pub(super) fn open_growing(dir: &Path, path: &Path) -> Result<File, DiskError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if path.exists() {
        return durable::step(Step::Create, path, || options.open(path));
    }
    let file = durable::step(Step::Create, path, || options.create(true).truncate(false).open(path))?;
    durable::sync_dir(dir)?;
    Ok(file)
}

/// Shortens a file to `length` bytes if it is longer.
pub(super) fn cut(path: &Path, file: &File, length: u64) -> Result<(), DiskError> {
    let current = durable::step(Step::Read, path, || Ok(file.metadata()?.len()))?;
    if current <= length { Ok(()) } else { durable::step(Step::Cut, path, || file.set_len(length)) }
}
