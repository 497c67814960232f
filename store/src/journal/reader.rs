//! Reading a log: tiles, bundles, entries, roots and proofs.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tlog_tiles::{Hash, prove_record, prove_tree, tree_hash};

use super::bundle::{EntryBatch, EntryStream, Found, PREFIX, split_bundle};
use super::entry_file::{Extent, SharedExtent};
use super::files::{CHECKPOINT, COSIGNED, entries_path};
use super::tile_path::{TilePath, TileWidth};
use super::tree::{Frontier, HashFiles, TILE, hashes_at};
use crate::durable::{self, DiskError, Step};

/// One month's log for reading. Clones are cheap and read the same log.
///
/// One that a writer or a mirror handed out sees what that appends; one that was opened sees what was there then.
#[derive(Clone, Debug)]
pub struct JournalReader {
    dir: PathBuf,
    extent: SharedExtent,
}

/// The entries of a range, in order.
#[derive(Debug)]
pub struct Entries {
    source: EntrySource,
    left: u64,
}

/// Why something could not be read from a log.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk refused, or a file is shorter than it was.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The log does not reach there.
    #[error("{} has {size} entries and does not hold {asked}", dir.display())]
    Beyond {
        /// The month's folder.
        dir: PathBuf,
        /// How many entries the log has.
        size: u64,
        /// What was asked for.
        asked: String,
    },
    /// The stored hashes cannot be read.
    #[error("the hashes in {} cannot be read", dir.display())]
    Hashes {
        /// The month's folder.
        dir: PathBuf,
        /// What is wrong.
        source: tlog_tiles::Error,
    },
}

/// The root hash of the first `size` entries of the log in `dir`, by its stored hashes alone: of use for a log that was
/// verified, which is not read again.
///
/// # Errors
/// When the hashes cannot be read, or are those of fewer entries.
pub fn stored_root(dir: &Path, size: u64) -> Result<Hash, ReadError> {
    tree_hash(size, &HashFiles(dir)).map_err(|source| ReadError::Hashes { dir: dir.to_owned(), source })
}

impl JournalReader {
    /// Opens the log in `dir` as it stands, up to the last whole entry. Needs no writer, and disturbs none.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, ReadError> {
        let dir = dir.into();
        let mut extent = Extent::scan(&dir)?;
        extent.hashed = HashFiles(&dir).reach(extent.size)?;
        Ok(Self { dir, extent: Arc::new(RwLock::new(extent)) })
    }

    /// The reader of a log that is open for appending.
    pub(super) fn shared(dir: &Path, extent: SharedExtent) -> Self {
        Self { dir: dir.to_owned(), extent }
    }

    /// The month's folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many entries the log has. Those after the checkpoint are not signed for yet.
    pub fn size(&self) -> u64 {
        self.extent(|extent| extent.size)
    }

    /// The last checkpoint, a signed note; `None` before the first.
    pub fn checkpoint(&self) -> Result<Option<String>, ReadError> {
        self.note(CHECKPOINT)
    }

    /// The last checkpoint that main cosigned; `None` before the first.
    pub fn cosigned(&self) -> Result<Option<String>, ReadError> {
        self.note(COSIGNED)
    }

    /// The bytes served under a path of c2sp.org/tlog-tiles.
    pub fn resource(&self, path: TilePath) -> Result<Vec<u8>, ReadError> {
        match path {
            TilePath::Hashes { level, index, width } => self.tile(level, index, width),
            TilePath::Entries { index, width } => self.entry_bundle(index, width),
        }
    }

    /// A tile: `width` hashes.
    pub fn tile(&self, level: u8, index: u64, width: TileWidth) -> Result<Vec<u8>, ReadError> {
        let asked = TilePath::Hashes { level, index, width };
        let from = self.check(index, width, hashes_at(level.into(), self.hashed()), &asked)?;
        let (files, level) = (HashFiles(&self.dir), usize::from(level));
        Ok(durable::step(Step::Read, &files.path(level), || files.slice(level, from, width_of(width)))?)
    }

    /// An entry bundle: `width` entries, each with its length before it.
    pub fn entry_bundle(&self, index: u64, width: TileWidth) -> Result<Vec<u8>, ReadError> {
        let asked = TilePath::Entries { index, width };
        self.check(index, width, self.size(), &asked)?;
        let Range { start, end } = self.extent(|extent| extent.bundle(index)).ok_or_else(|| self.beyond(&asked))?;
        let path = entries_path(&self.dir);
        let mut bytes = vec![0; usize::try_from(end - start).map_err(|_| self.beyond(&asked))?];
        durable::step(Step::Read, &path, || File::open(&path)?.read_exact_at(&mut bytes, start))?;
        let length = length_of_first(&bytes, width_of(width)).ok_or_else(|| damaged(&path))?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The entries with these numbers, the first entry being number 0. They are read as the iterator advances.
    pub fn entries(&self, range: Range<u64>) -> Result<Entries, ReadError> {
        if range.end > self.size() || range.start > range.end {
            return Err(self.beyond(&format!("the entries {} to {}", range.start, range.end)));
        }
        let source = EntrySource::open(&self.dir, &self.extent, range.start)?;
        Ok(Entries { source, left: range.end - range.start })
    }

    /// Gives each of the entries with these numbers to `each` from the buffer that it was hashed in, and then the root hash of
    /// all entries up to the last of them: those as they were read, and those before them by their stored hashes.
    ///
    /// What `each` made of the entries is worth nothing unless the root is the one that was signed for.
    ///
    /// # Errors
    /// When an entry or a stored hash cannot be read, or the log does not reach there.
    pub fn hash_entries(&self, range: Range<u64>, mut each: impl FnMut(&[u8])) -> Result<Hash, ReadError> {
        let Entries { mut source, .. } = self.entries(range.clone())?;
        self.check_size(range.start)?;
        let frontier = Frontier::read(&self.dir, range.start);
        let (mut frontier, mut batch) = (frontier.map_err(|source| self.hashes_error(source))?, EntryBatch::default());
        while frontier.size() < range.end {
            let end = (frontier.size() / TILE as u64 + 1) * TILE as u64;
            let count = end.min(range.end) - frontier.size();
            source.read_batch(&mut batch, usize::try_from(count).unwrap_or(usize::MAX))?;
            frontier.extend(&batch.leaves(), |_, _| ());
            batch.entries().for_each(&mut each);
        }
        Ok(frontier.root())
    }

    /// The root hash of the first `size` entries.
    pub fn root_at(&self, size: u64) -> Result<Hash, ReadError> {
        self.check_size(size)?;
        stored_root(&self.dir, size)
    }

    /// The proof that entry `number` is in the log of `size` entries: RFC 6962, section 2.1.1.
    pub fn inclusion_proof(&self, number: u64, size: u64) -> Result<Vec<Hash>, ReadError> {
        self.check_size(size)?;
        prove_record(size, number, &HashFiles(&self.dir)).map_err(|source| self.hashes_error(source))
    }

    /// The proof that the log of `new` entries begins with the log of `old` entries: RFC 6962, section 2.1.2.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, ReadError> {
        self.check_size(new)?;
        prove_tree(new, old, &HashFiles(&self.dir)).map_err(|source| self.hashes_error(source))
    }

    fn extent<T>(&self, look: impl FnOnce(&Extent) -> T) -> T {
        look(&self.extent.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, name: &str) -> Result<Option<String>, ReadError> {
        let path = self.dir.join(name);
        let bytes = durable::read_file(&path)?;
        let text = |bytes| String::from_utf8(bytes).map_err(|_| damaged(&path));
        Ok(bytes.map(text).transpose()?)
    }

    /// The number of the tile's first element, if a level of `count` elements holds the whole tile.
    fn check(&self, index: u64, width: TileWidth, count: u64, asked: &TilePath) -> Result<u64, ReadError> {
        let from = index.checked_mul(TileWidth::FULL.get());
        let held = from.filter(|from| from.checked_add(width.get()).is_some_and(|end| end <= count));
        held.ok_or_else(|| self.beyond(asked))
    }

    /// How many entries have their hashes stored.
    fn hashed(&self) -> u64 {
        self.extent(|extent| extent.hashed)
    }

    fn check_size(&self, size: u64) -> Result<(), ReadError> {
        if size <= self.hashed() { Ok(()) } else { Err(self.beyond(&format!("a tree of {size}"))) }
    }

    fn beyond(&self, asked: &impl ToString) -> ReadError {
        ReadError::Beyond { dir: self.dir.clone(), size: self.size(), asked: asked.to_string() }
    }

    fn hashes_error(&self, source: tlog_tiles::Error) -> ReadError {
        ReadError::Hashes { dir: self.dir.clone(), source }
    }
}

impl Entries {
    /// Reads the next entry into `entry`, whose memory is used again.
    ///
    /// # Errors
    /// When it cannot be read, or the range has ended.
    pub fn next_into(&mut self, entry: &mut Vec<u8>) -> Result<(), ReadError> {
        let Some(left) = self.left.checked_sub(1) else { return Err(self.source.ended().into()) };
        self.left = left;
        Ok(self.source.read(entry)?)
    }
}

impl Iterator for Entries {
    type Item = Result<Vec<u8>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let mut entry = Vec::new();
        Some(self.next_into(&mut entry).map(|()| entry))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).ok();
        (left.unwrap_or(usize::MAX), left)
    }
}

/// Entries of a log that are known to be there.
#[derive(Debug)]
pub(super) struct EntrySource {
    stream: EntryStream<File>,
    path: PathBuf,
}

impl EntrySource {
    /// Begins at entry `number`, which is at most the log's size.
    pub(super) fn open(dir: &Path, extent: &SharedExtent, number: u64) -> Result<Self, DiskError> {
        let path = entries_path(dir);
        let full = TileWidth::FULL.get();
        let extent = extent.read().unwrap_or_else(PoisonError::into_inner);
        let bundle = usize::try_from(number / full).ok().and_then(|index| extent.offsets.get(index).copied());
        let (start, skipped) = bundle.map_or((extent.bytes, 0), |start| (start, number % full));
        let end = extent.bytes;
        drop(extent);
        let stream = durable::step(Step::Read, &path, || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(start))?;
            let mut stream = EntryStream::new(file, start);
            (0..skipped).try_for_each(|_| expect_entry(stream.skip(end)?))?;
            Ok(stream)
        })?;
        Ok(Self { stream, path })
    }

    /// The error that nothing more is to be read.
    fn ended(&self) -> DiskError {
        DiskError { step: Step::Read, path: self.path.clone(), source: io::ErrorKind::UnexpectedEof.into() }
    }

    /// Reads the next entry, which must be there.
    pub(super) fn read(&mut self, entry: &mut Vec<u8>) -> Result<(), DiskError> {
        let Self { stream, path } = self;
        durable::step(Step::Read, path, || expect_entry(stream.read(entry)?))
    }

    /// Reads the next `count` entries, which must be there, in place of what `batch` has.
    pub(super) fn read_batch(&mut self, batch: &mut EntryBatch, count: usize) -> Result<(), DiskError> {
        let Self { stream, path } = self;
        batch.clear();
        durable::step(Step::Read, path, || expect_entry(stream.read_batch(batch, count)?))
    }
}

fn expect_entry(found: Found) -> io::Result<()> {
    match found {
        Found::Entry => Ok(()),
        Found::End | Found::Torn => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn damaged(path: &Path) -> DiskError {
    DiskError { step: Step::Read, path: path.to_owned(), source: io::ErrorKind::InvalidData.into() }
}

fn width_of(width: TileWidth) -> usize {
    width.get().try_into().unwrap_or(usize::MAX)
}

/// How many bytes the first `count` entries of a bundle take.
fn length_of_first(bundle: &[u8], count: usize) -> Option<usize> {
    let entries = split_bundle(bundle).ok()?;
    let taken = entries.get(..count)?;
    Some(taken.iter().map(|entry| entry.len() + PREFIX).sum())
}
