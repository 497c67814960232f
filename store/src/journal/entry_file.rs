//! The file of a month's entries, and how far it reaches.

use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::bundle::{EntryBatch, EntryCheck, EntryStream, Found, PREFIX};
use super::files::{WriteError, cut, entries_path, open_growing};
use super::reader::EntrySource;
use super::tile_path::TileWidth;
use crate::durable::{self, DiskError, Step};

/// At most how many entries are written once more at a time.
const RENEWED: u64 = 4096;

/// How far a log reaches, and where in the file each 256th entry begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Extent {
    /// How many entries.
    pub(super) size: u64,
    /// How many bytes of `entries` they take.
    pub(super) bytes: u64,
    /// How many of them have their hashes stored.
    pub(super) hashed: u64,
    /// Where entries 0, 256, 512, … begin.
    pub(super) offsets: Vec<u64>,
}

/// An extent that readers share with the one writer.
pub(super) type SharedExtent = Arc<RwLock<Extent>>;

/// Whether the files may hold more than their extent says, or may have lost what was written.
///
/// Shared by all who write one month's files. Nobody becomes sure again: the log is opened anew.
#[derive(Clone, Debug, Default)]
pub(super) struct Unsure(Arc<AtomicBool>);

/// The entries, open for appending.
#[derive(Debug)]
pub(super) struct EntryFile {
    path: PathBuf,
    file: File,
    extent: SharedExtent,
    unsure: Unsure,
}

impl Unsure {
    /// An error where the files of `dir` are unsure.
    pub(super) fn check(&self, dir: &Path) -> Result<(), WriteError> {
        if self.0.load(Ordering::Acquire) { Err(WriteError::Unsure(dir.to_owned())) } else { Ok(()) }
    }

    /// From here on nothing is written.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Extent {
    /// Finds the whole entries in the month's folder `dir`. None of them counts as hashed.
    pub(super) fn scan(dir: &Path) -> Result<Self, DiskError> {
        let path = entries_path(dir);
        durable::step(Step::Read, &path, || {
            let file = File::open(&path)?;
            let end = file.metadata()?.len();
            let mut stream = EntryStream::new(file, 0);
            let mut extent = Self::default();
            while stream.skip(end)? == Found::Entry {
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

    /// Where the bundle lies, as wide as it is now.
    pub(super) fn bundle(&self, index: u64) -> Option<Range<u64>> {
        let index = usize::try_from(index).ok()?;
        let start = *self.offsets.get(index)?;
        Some(start..self.offsets.get(index + 1).copied().unwrap_or(self.bytes))
    }

    /// Forgets all entries but the first `size`, which end at byte `bytes`.
    pub(super) fn shrink(&mut self, size: u64, bytes: u64) {
        (self.size, self.bytes, self.hashed) = (size, bytes, self.hashed.min(size));
        let bundles = size.div_ceil(TileWidth::FULL.get());
        self.offsets.truncate(usize::try_from(bundles).unwrap_or(usize::MAX));
    }
}

impl EntryFile {
    /// Opens the file in the month's folder `dir`, which is there, and makes it if it is missing.
    ///
    /// A last entry that is cut off is removed once [`EntryFile::trim`] is called.
    pub(super) fn open(dir: &Path, unsure: Unsure) -> Result<Self, DiskError> {
        let path = entries_path(dir);
        let file = open_growing(dir, &path)?;
        let extent = Arc::new(RwLock::new(Extent::scan(dir)?));
        Ok(Self { path, file, extent, unsure })
    }

    /// The extent, which grows with this file.
    pub(super) fn extent(&self) -> SharedExtent {
        Arc::clone(&self.extent)
    }

    /// How many entries there are.
    pub(super) fn size(&self) -> u64 {
        self.extent.read().unwrap_or_else(PoisonError::into_inner).size
    }

    /// A second handle for whoever waits until the bytes are on the disk.
    pub(super) fn handle(&self) -> Result<File, DiskError> {
        durable::step(Step::Read, &self.path, || self.file.try_clone())
    }

    /// Appends the entries of `batch`, and gives the numbers they got.
    ///
    /// On return the operating system has them: the end of this process loses none, that of the machine may. After an
    /// error none is in the log.
    pub(super) fn append(&mut self, batch: &EntryBatch) -> Result<Range<u64>, WriteError> {
        self.unsure.check(durable::parent(&self.path))?;
        let begin = self.extent.read().unwrap_or_else(PoisonError::into_inner).bytes;
        let written = durable::step(Step::Write, &self.path, || self.file.write_all_at(batch.bytes(), begin));
        if let Err(error) = written {
            if cut(&self.path, &self.file, begin).is_err() {
                self.unsure.set();
            }
            return Err(error.into());
        }
        let mut extent = self.extent.write().unwrap_or_else(PoisonError::into_inner);
        let (first, mut end) = (extent.size, begin);
        for length in batch.lengths() {
            end += (PREFIX + length) as u64;
            extent.grow(end);
        }
        Ok(first..extent.size)
    }

    /// Cuts off what follows the whole entries.
    pub(super) fn trim(&self) -> Result<(), DiskError> {
        let bytes = self.extent.read().unwrap_or_else(PoisonError::into_inner).bytes;
        cut(&self.path, &self.file, bytes)
    }

    /// Writes the entries from number `from` on once more, where they stand. The first that is none by `is_entry` is cut off,
    /// and so is what follows it.
    ///
    /// After a sync that failed the system takes what it could not write for written: what is read here may be in memory
    /// alone, and without this the next sync would leave it there.
    pub(super) fn renew(&mut self, from: u64, is_entry: EntryCheck) -> Result<(), DiskError> {
        let (size, mut number, mut end) = (self.size(), from, self.end_of(from)?);
        let mut source = EntrySource::open(durable::parent(&self.path), &self.extent, from)?;
        let mut batch = EntryBatch::default();
        while number < size {
            source.read_batch(&mut batch, usize::try_from(RENEWED.min(size - number)).unwrap_or(usize::MAX))?;
            let (count, length) = batch.sound(is_entry);
            let sound = &batch.bytes()[..usize::try_from(length).unwrap_or(usize::MAX)];
            durable::step(Step::Write, &self.path, || self.file.write_all_at(sound, end))?;
            (number, end) = (number + count, end + length);
            if count < batch.len() as u64 {
                return self.cut_to(number, end);
            }
        }
        Ok(())
    }

    /// Where the first `size` entries end.
    pub(super) fn end_of(&self, size: u64) -> Result<u64, DiskError> {
        let extent = self.extent.read().unwrap_or_else(PoisonError::into_inner).clone();
        let full = TileWidth::FULL.get();
        let bundle = usize::try_from(size / full).ok().and_then(|index| extent.offsets.get(index).copied());
        let Some(begin) = bundle else { return Ok(extent.bytes) };
        durable::step(Step::Read, &self.path, || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(begin))?;
            let mut stream = EntryStream::new(file, begin);
            for _ in 0..size % full {
                if stream.skip(extent.bytes)? != Found::Entry {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(stream.position())
        })
    }

    /// Forgets and cuts off all entries but the first `size`, which end at byte `bytes`.
    pub(super) fn cut_to(&mut self, size: u64, bytes: u64) -> Result<(), DiskError> {
        self.extent.write().unwrap_or_else(PoisonError::into_inner).shrink(size, bytes);
        self.trim()
    }
}
