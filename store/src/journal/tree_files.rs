//! The files of a month's hashes, which follow its entries.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use tlog_tiles::{HASH_SIZE, Hash};

use super::bundle::EntryBatch;
use super::entry_file::{EntryFile, SharedExtent, Unsure};
use super::files::{WriteError, cut, entries_path, open_growing};
use super::reader::EntrySource;
use super::tree::{Frontier, HashFiles, TILE, hashes_at};
use crate::durable::{self, DiskError, Step};

/// At most how many entries are hashed between two writes.
const CHUNK: u64 = 512;

/// The hashes, open for appending. The tree has as many entries as have their hashes stored.
#[derive(Debug)]
pub(super) struct TreeFiles {
    dir: PathBuf,
    /// The entries' file, to be synced with the hashes.
    entries: File,
    /// By tile level.
    hashes: Vec<File>,
    frontier: Frontier,
    extent: SharedExtent,
    unsure: Unsure,
}

impl TreeFiles {
    /// Opens the hashes of `entries` in the month's folder `dir`.
    ///
    /// They are trusted for the first `trusted` entries and cut off after those; where fewer are stored, they are cut
    /// off after these. Fails where the tree cannot be read from them.
    pub(super) fn open(
        dir: &Path,
        entries: &EntryFile,
        trusted: u64,
        unsure: Unsure,
    ) -> Result<Option<Self>, DiskError> {
        let (dir, extent, entries) = (dir.to_owned(), entries.extent(), entries.handle()?);
        let mut tree = Self { dir, entries, hashes: Vec::new(), frontier: Frontier::default(), extent, unsure };
        tree.open_files()?;
        let trusted = HashFiles(&tree.dir).reach(trusted)?;
        let read = tree.cut_to(trusted)?;
        Ok(read.then_some(tree))
    }

    /// The tree as it is.
    pub(super) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The month's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The extent of the log.
    pub(super) fn extent(&self) -> SharedExtent {
        self.extent.clone()
    }

    /// How many entries are written, hashed or not.
    pub(super) fn written(&self) -> u64 {
        self.extent.read().unwrap_or_else(PoisonError::into_inner).size
    }

    /// Hashes the entries that are written and not hashed, the first `size` of all.
    ///
    /// On return the operating system has the hashes. After an error the first of them may be stored, and the rest can
    /// be hashed later.
    pub(super) fn hash_up_to(&mut self, size: u64) -> Result<(), WriteError> {
        self.check_sure()?;
        let hashed = self.hash_rest(size);
        if hashed.is_err() && self.cut_files(self.frontier.size()).is_err() {
            self.unsure.set();
        }
        Ok(hashed?)
    }

    /// The same in a log that is being opened: what an error leaves is found when it is opened again.
    pub(super) fn hash_rest(&mut self, size: u64) -> Result<(), DiskError> {
        if self.frontier.size() >= size {
            return Ok(());
        }
        let mut source = EntrySource::open(&self.dir, &self.extent, self.frontier.size())?;
        while self.frontier.size() < size {
            // Up to where a tile ends, so that those after it are hashed whole.
            let end = (self.frontier.size() + CHUNK) / TILE as u64 * TILE as u64;
            let (frontier, hashes) = self.hash_chunk(&mut source, size.min(end))?;
            self.write(&hashes)?;
            self.frontier = frontier;
            self.extent.write().unwrap_or_else(PoisonError::into_inner).hashed = self.frontier.size();
        }
        Ok(())
    }

    /// An error where what the files hold is not known.
    pub(super) fn check_sure(&self) -> Result<(), WriteError> {
        self.unsure.check(&self.dir)
    }

    /// From here on nothing is written: what the files hold is not known.
    pub(super) fn give_up(&self) {
        self.unsure.set();
    }

    /// Waits until all entries that were written are on the disk.
    pub(super) fn sync_entries(&self) -> Result<(), WriteError> {
        self.sync(&entries_path(&self.dir), &self.entries)
    }

    /// Waits until all hashes that were written are on the disk.
    pub(super) fn sync_hashes(&self) -> Result<(), WriteError> {
        let paths = (0..).map(|level| HashFiles(&self.dir).path(level));
        paths.zip(&self.hashes).try_for_each(|(path, file)| self.sync(&path, file))
    }

    fn sync(&self, path: &Path, file: &File) -> Result<(), WriteError> {
        self.check_sure()?;
        let synced = durable::step(Step::Sync, path, || file.sync_data());
        if synced.is_err() {
            // After a failed sync the system may have dropped what it could not write, and says so only once.
            self.unsure.set();
        }
        Ok(synced?)
    }

    /// Cuts the tree to its first `size` entries; whether it could be read from its files.
    pub(super) fn cut_to(&mut self, size: u64) -> Result<bool, DiskError> {
        self.cut_files(size)?;
        let Ok(frontier) = Frontier::read(&self.dir, size) else { return Ok(false) };
        self.frontier = frontier;
        self.extent.write().unwrap_or_else(PoisonError::into_inner).hashed = size;
        Ok(true)
    }

    fn hash_chunk(&self, source: &mut EntrySource, to: u64) -> Result<(Frontier, Vec<Vec<u8>>), DiskError> {
        let (mut frontier, mut hashes) = (self.frontier.clone(), vec![Vec::new()]);
        let mut entries = EntryBatch::default();
        source.read_batch(&mut entries, usize::try_from(to - frontier.size()).unwrap_or(usize::MAX))?;
        frontier.extend(&entries.leaves(), |level, added| keep(&mut hashes, level, added));
        Ok((frontier, hashes))
    }

    /// Writes hashes, by tile level, that follow those of the tree.
    fn write(&mut self, hashes: &[Vec<u8>]) -> Result<(), DiskError> {
        for (level, bytes) in hashes.iter().enumerate().filter(|(_, bytes)| !bytes.is_empty()) {
            let path = HashFiles(&self.dir).path(level);
            if self.hashes.len() == level {
                self.hashes.push(open_growing(&self.dir, &path)?);
            }
            let (file, begin) = (&self.hashes[level], hash_bytes(level, self.frontier.size()));
            durable::step(Step::Write, &path, || file.write_all_at(bytes, begin))?;
        }
        Ok(())
    }

    fn cut_files(&self, size: u64) -> Result<(), DiskError> {
        let mut levels = self.hashes.iter().enumerate();
        levels.try_for_each(|(level, file)| cut(&HashFiles(&self.dir).path(level), file, hash_bytes(level, size)))
    }

    fn open_files(&mut self) -> Result<(), DiskError> {
        let mut path = HashFiles(&self.dir).path(0);
        while path.exists() {
            self.hashes.push(open_growing(&self.dir, &path)?);
            path = HashFiles(&self.dir).path(self.hashes.len());
        }
        Ok(())
    }
}

fn keep(hashes: &mut Vec<Vec<u8>>, level: usize, added: &[Hash]) {
    if hashes.len() == level {
        hashes.push(Vec::new());
    }
    for hash in added {
        hashes[level].extend_from_slice(&hash.0);
    }
}

/// Where in its file the next hash of tile level `level` stands in a tree of `size` entries.
fn hash_bytes(level: usize, size: u64) -> u64 {
    hashes_at(level, size) * HASH_SIZE as u64
}
