//! The growing files of one month's folder: `entries` and `hashes-*`.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tlog_tiles::{HASH_SIZE, record_hash};

use super::bundle::{EntryStream, Found, InvalidEntryLength, PREFIX, push_entry};
use super::checkpoint::{CheckpointError, SignedCheckpoint};
use super::reader::EntrySource;
use super::tile_path::TileWidth;
use super::tree::{Frontier, HashFiles, hashes_at, size_covered};
use crate::durable::{self, DiskError, Step};

/// The file of the last checkpoint.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The file of the last cosigned checkpoint.
pub(super) const COSIGNED: &str = "cosigned";
/// The file of the entries.
const ENTRIES: &str = "entries";

/// How many entries are hashed between two writes when hashes are recomputed.
const REBUILD: u64 = 4096;

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

/// What becomes of entries after the checkpoint when a log is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// They are part of the log: it is ours, and they will be signed for.
    Keep,
    /// They are not: it is a copy, and nobody has signed for them.
    Drop,
}

/// How far a log reaches, and where in the file each 256th entry begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Extent {
    /// How many entries.
    pub(super) size: u64,
    /// How many bytes of `entries` they take.
    pub(super) bytes: u64,
    /// Where entries 0, 256, 512, … begin.
    pub(super) offsets: Vec<u64>,
}

/// An extent that readers share with the one writer.
pub(super) type SharedExtent = Arc<RwLock<Extent>>;

/// Entries that have been hashed and not yet written.
#[derive(Debug)]
pub(super) struct Addition {
    entries: Vec<u8>,
    offsets: Vec<u64>,
    /// By tile level.
    hashes: Vec<Vec<u8>>,
    pub(super) frontier: Frontier,
}

/// The growing files, open for appending.
#[derive(Debug)]
pub(super) struct LogFiles {
    dir: PathBuf,
    entries: File,
    /// By tile level.
    hashes: Vec<File>,
    frontier: Frontier,
    extent: SharedExtent,
    /// Set when the files may hold more than `extent` says, or may have lost what was written.
    unsure: bool,
}

impl Extent {
    /// Finds the whole entries in the month's folder `dir`, at most `limit`.
    pub(super) fn scan(dir: &Path, limit: u64) -> Result<Self, DiskError> {
        let path = entries_path(dir);
        durable::step(Step::Read, &path, || {
            let file = File::open(&path)?;
            let end = file.metadata()?.len();
            let mut stream = EntryStream::new(file, 0);
            let mut extent = Self::default();
            while extent.size < limit && stream.skip(end)? == Found::Entry {
                extent.grow(stream.position());
            }
            Ok(extent)
        })
    }

    /// Takes in one entry, which ends at byte `end`.
    fn grow(&mut self, end: u64) {
        if self.size.is_multiple_of(TileWidth::FULL.get()) {
            self.offsets.push(self.bytes);
        }
        self.size += 1;
        self.bytes = end;
    }
}

impl LogFiles {
    /// Opens the log in `dir`, which is made if it is missing.
    ///
    /// A last entry that is cut off is removed. Hashes are trusted up to the checkpoint, where they must give the root
    /// that was signed, and are computed anew after it.
    pub(super) fn open(dir: &Path, tail: Tail, signed: Option<&SignedCheckpoint>) -> Result<Self, OpenError> {
        durable::create_dir_all(dir)?;
        durable::settle(dir)?;
        let entries = open_growing(dir, &entries_path(dir))?;
        let signed_size = signed.map_or(0, SignedCheckpoint::size);
        let extent = Extent::scan(dir, if tail == Tail::Drop { signed_size } else { u64::MAX })?;
        if extent.size < signed_size {
            return Err(OpenError::Lost { dir: dir.to_owned(), signed: signed_size, found: extent.size });
        }
        let (dir, extent) = (dir.to_owned(), Arc::new(RwLock::new(extent)));
        let mut log = Self { dir, entries, hashes: Vec::new(), frontier: Frontier::default(), extent, unsure: false };
        log.recover(signed)?;
        Ok(log)
    }

    /// The month's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The extent, which grows with this log.
    pub(super) fn extent(&self) -> SharedExtent {
        Arc::clone(&self.extent)
    }

    /// The tree as it is.
    pub(super) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Hashes `entries`, without writing anything.
    pub(super) fn prepare(&self, entries: &[impl AsRef<[u8]>]) -> Result<Addition, InvalidEntryLength> {
        let bytes = entries.iter().map(|entry| entry.as_ref().len() + PREFIX).sum();
        let mut addition = Addition::after(self.frontier.clone(), bytes);
        let begin = self.extent.read().unwrap_or_else(PoisonError::into_inner).bytes;
        for entry in entries.iter().map(AsRef::as_ref) {
            if addition.frontier.size().is_multiple_of(TileWidth::FULL.get()) {
                addition.offsets.push(begin + addition.entries.len() as u64);
            }
            push_entry(&mut addition.entries, entry)?;
            addition.hash(entry);
        }
        Ok(addition)
    }

    /// Writes what has been prepared.
    ///
    /// On return the operating system has it: the end of this process loses nothing, that of the machine may. After an
    /// error the log is as before.
    pub(super) fn commit(&mut self, addition: Addition) -> Result<(), WriteError> {
        self.check_sure()?;
        let (size, bytes) = self.reach();
        if let Err(error) = self.write(&addition, size, bytes) {
            self.unsure = self.roll_back(size, bytes).is_err();
            return Err(error.into());
        }
        let mut extent = self.extent.write().unwrap_or_else(PoisonError::into_inner);
        extent.size = addition.frontier.size();
        extent.bytes += addition.entries.len() as u64;
        extent.offsets.extend_from_slice(&addition.offsets);
        self.frontier = addition.frontier;
        Ok(())
    }

    /// Waits until everything written is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), WriteError> {
        self.check_sure()?;
        let sync = |path: PathBuf, file: &File| durable::step(Step::Sync, &path, || file.sync_data());
        let paths = (0..).map(|level| HashFiles(&self.dir).path(level));
        let synced = sync(entries_path(&self.dir), &self.entries)
            .and_then(|()| paths.zip(&self.hashes).try_for_each(|(path, file)| sync(path, file)));
        // After a failed sync the system may have dropped what it could not write, and says so only once.
        self.unsure = synced.is_err();
        Ok(synced?)
    }

    fn check_sure(&self) -> Result<(), WriteError> {
        if self.unsure { Err(WriteError::Unsure(self.dir.clone())) } else { Ok(()) }
    }

    fn reach(&self) -> (u64, u64) {
        let extent = self.extent.read().unwrap_or_else(PoisonError::into_inner);
        (extent.size, extent.bytes)
    }

    fn write(&mut self, addition: &Addition, size: u64, bytes: u64) -> Result<(), DiskError> {
        let path = entries_path(&self.dir);
        durable::step(Step::Write, &path, || self.entries.write_all_at(&addition.entries, bytes))?;
        self.write_hashes(&addition.hashes, size)
    }

    /// Writes hashes, by tile level, that follow those of a tree of `size` entries.
    fn write_hashes(&mut self, hashes: &[Vec<u8>], size: u64) -> Result<(), DiskError> {
        for (level, bytes) in hashes.iter().enumerate().filter(|(_, bytes)| !bytes.is_empty()) {
            let path = HashFiles(&self.dir).path(level);
            if self.hashes.len() == level {
                self.hashes.push(open_growing(&self.dir, &path)?);
            }
            let file = &self.hashes[level];
            durable::step(Step::Write, &path, || file.write_all_at(bytes, hash_bytes(level, size)))?;
        }
        Ok(())
    }

    /// Cuts every file to what a log of `size` entries in `bytes` bytes has.
    fn roll_back(&self, size: u64, bytes: u64) -> Result<(), DiskError> {
        cut(&entries_path(&self.dir), &self.entries, bytes)?;
        for (level, file) in self.hashes.iter().enumerate() {
            cut(&HashFiles(&self.dir).path(level), file, hash_bytes(level, size))?;
        }
        Ok(())
    }

    /// Cuts off what follows the whole entries, and computes the hashes that are missing or not signed for.
    fn recover(&mut self, signed: Option<&SignedCheckpoint>) -> Result<(), OpenError> {
        let signed_size = signed.map_or(0, SignedCheckpoint::size);
        self.open_hashes()?;
        let trusted = self.hashes_reach(signed_size)?;
        let (size, bytes) = self.reach();
        self.roll_back(trusted, bytes)?;
        let damaged = || OpenError::Damaged { dir: self.dir.clone(), signed: signed_size };
        self.frontier = Frontier::read(&self.dir, trusted).map_err(|_| damaged())?;
        self.rebuild(signed_size)?;
        if signed.is_some_and(|signed| signed.root() != self.frontier.root()) {
            return Err(OpenError::Damaged { dir: self.dir.clone(), signed: signed_size });
        }
        Ok(self.rebuild(size)?)
    }

    fn open_hashes(&mut self) -> Result<(), DiskError> {
        let mut path = HashFiles(&self.dir).path(0);
        while path.exists() {
            self.hashes.push(open_growing(&self.dir, &path)?);
            path = HashFiles(&self.dir).path(self.hashes.len());
        }
        Ok(())
    }

    /// The largest tree of at most `most` entries of which all hashes are stored.
    fn hashes_reach(&self, most: u64) -> Result<u64, DiskError> {
        let mut size = most;
        for (level, file) in self.hashes.iter().enumerate() {
            let path = HashFiles(&self.dir).path(level);
            let length = durable::step(Step::Read, &path, || Ok(file.metadata()?.len()))?;
            size = size.min(size_covered(level, length / HASH_SIZE as u64));
        }
        Ok(size.min(size_covered(self.hashes.len(), 0)))
    }

    /// Computes the hashes of the entries that are stored after the frontier, up to `size`.
    fn rebuild(&mut self, size: u64) -> Result<(), DiskError> {
        let mut source = EntrySource::open(&self.dir, &self.extent, self.frontier.size())?;
        let mut entry = Vec::new();
        while self.frontier.size() < size {
            let from = self.frontier.size();
            let mut addition = Addition::after(self.frontier.clone(), 0);
            while addition.frontier.size() < size.min(from + REBUILD) {
                source.read(&mut entry)?;
                addition.hash(&entry);
            }
            self.write_hashes(&addition.hashes, from)?;
            self.frontier = addition.frontier;
        }
        Ok(())
    }
}

impl Addition {
    fn after(frontier: Frontier, bytes: usize) -> Self {
        Self { entries: Vec::with_capacity(bytes), offsets: Vec::new(), hashes: vec![Vec::new()], frontier }
    }

    fn hash(&mut self, entry: &[u8]) {
        let hashes = &mut self.hashes;
        self.frontier.push(record_hash(entry), |level, hash| {
            if hashes.len() == level {
                hashes.push(Vec::new());
            }
            hashes[level].extend_from_slice(&hash.0);
        });
    }
}

/// The file of the entries in the month's folder `dir`.
pub(super) fn entries_path(dir: &Path) -> PathBuf {
    dir.join(ENTRIES)
}

/// Where in its file the next hash of tile level `level` stands in a tree of `size` entries.
fn hash_bytes(level: usize, size: u64) -> u64 {
    hashes_at(level, size) * HASH_SIZE as u64
}

/// Opens a file that grows. A new one has its name on the disk on return.
fn open_growing(dir: &Path, path: &Path) -> Result<File, DiskError> {
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
fn cut(path: &Path, file: &File, length: u64) -> Result<(), DiskError> {
    let current = durable::step(Step::Read, path, || Ok(file.metadata()?.len()))?;
    if current <= length { Ok(()) } else { durable::step(Step::Cut, path, || file.set_len(length)) }
}
