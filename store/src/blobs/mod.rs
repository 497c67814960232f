//! Blobs: content kept by its digest.
//!
//! Blobs lie in segments, files of many blobs each, so that the thousands of a release cost one sync and not one each.
//! A segment is written by one batch, synced, named, and never changed; which blob stands where is read from the
//! segments when the store is opened. What has been synced is whole: content is checked before it is kept, and again
//! whenever it is read. A blob may be kept as a patch against another that is whole here; readers do not notice.

mod damage;
mod drift;
mod reading;
mod segment;
mod shelf;
mod sweep;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::BlobRef;
use tieup_protocol::patch;

pub use self::damage::Damage;
use self::damage::Damages;
pub use self::drift::{Changed, Drifted};
pub use self::reading::BlobReader;
use self::segment::{Record, Segment, SegmentWriter, Since};
use self::shelf::{Place, Shelf};
pub use self::sweep::Swept;
use crate::durable::{self, DiskError};

/// How much of a stream is in memory at a time.
const CHUNK: usize = 64 << 10;

/// How large a segment becomes before the next one is begun.
const SEGMENT: u64 = 256 << 20;

/// A folder of blobs.
#[derive(Debug)]
pub struct BlobStore {
    dir: PathBuf,
    shelf: RwLock<Shelf>,
    damages: Damages,
}

/// Blobs that become durable together.
///
/// A blob can be read when [`BlobBatch::sync`] has returned. A batch that is dropped without that keeps what it can, for
/// whoever asks for the same blobs again; [`BlobBatch::discard`] keeps nothing.
#[derive(Debug)]
pub struct BlobBatch<'a> {
    store: &'a BlobStore,
    writing: RefCell<Writing>,
}

#[derive(Debug, Default)]
struct Writing {
    /// The segment that is being written.
    segment: Option<SegmentWriter>,
    /// What it holds.
    held: HashMap<Digest, BlobRef>,
}

/// Why a blob could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum PutBlobError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The stream that the blob came from broke.
    #[error("the stream broke within blob {digest}")]
    Stream {
        /// The blob that was expected.
        digest: Digest,
        /// What the stream said.
        source: io::Error,
    },
    /// The stream ended within the blob.
    #[error("blob {} ended after {received} of {} bytes", expected.digest, expected.length)]
    Short {
        /// The blob that was expected.
        expected: BlobRef,
        /// How many bytes came.
        received: u64,
    },
    /// The bytes are not those that were named.
    #[error("blob {expected} was announced, but the bytes are {received}")]
    Mismatch {
        /// The digest that was expected.
        expected: Digest,
        /// The digest of what came.
        received: Digest,
    },
}

/// Why a blob could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadBlobError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no such blob.
    #[error("blob {0} is not here")]
    Missing(Digest),
    /// The bytes on the disk are no longer those that were kept.
    #[error("blob {0} is damaged on disk")]
    Damaged(Digest),
}

impl BlobStore {
    /// Opens the store in `dir`, which is made if it is missing, and removes what a crash left unfinished.
    ///
    /// Reads the header of every blob. One process opens a store at a time; within it, any number of threads use it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, DiskError> {
        let dir = dir.into();
        durable::create_dir_all(&dir)?;
        durable::settle(&dir)?;
        // A process that died may have left names that were never synced.
        durable::sync_dir(&dir)?;
        let mut shelf = Shelf::default();
        let mut found: Vec<(u64, PathBuf)> =
            durable::list_dir(&dir)?.into_iter().filter_map(|path| Some((segment::number_of(&path)?, path))).collect();
        found.sort_unstable();
        for (number, path) in found {
            let segment = Segment::open(number, path)?;
            let records = segment.records()?;
            shelf.add(segment, records);
        }
        Ok(Self { dir, shelf: RwLock::new(shelf), damages: Damages::default() })
    }

    /// Whether the folder is as this store left it, so that nobody else has written to it since.
    ///
    /// # Errors
    /// When the folder or one of its files cannot be looked at.
    pub fn is_current(&self) -> Result<bool, DiskError> {
        let mut found: Vec<u64> =
            durable::list_dir(&self.dir)?.iter().filter_map(|path| segment::number_of(path)).collect();
        found.sort_unstable();
        let known = self.shelf();
        if !known.segments.keys().copied().eq(found) {
            return Ok(false);
        }
        for segment in known.segments.values() {
            if segment.look_again()? != Since::Same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the blob is here, durably. Its content is checked when it is read.
    pub fn contains(&self, blob: &BlobRef) -> bool {
        self.shelf().contains(blob)
    }

    /// Keeps `bytes`.
    ///
    /// Durable on return.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, PutBlobError> {
        let batch = self.batch();
        let blob = batch.put(bytes)?;
        batch.sync()?;
        Ok(blob)
    }

    /// Keeps the blob that `source` yields next, if it is the one expected; see [`BlobBatch::put_expected`].
    ///
    /// Durable on return.
    pub fn put_expected(&self, expected: &BlobRef, source: impl Read) -> Result<(), PutBlobError> {
        let batch = self.batch();
        batch.put_expected(expected, source)?;
        Ok(batch.sync()?)
    }

    /// Begins a batch.
    pub fn batch(&self) -> BlobBatch<'_> {
        BlobBatch { store: self, writing: RefCell::default() }
    }

    /// The blob's bytes, checked against its digest.
    ///
    /// Where it is damaged and another copy is here, that one is read from then on. A blob without an undamaged copy is
    /// forgotten, so that [`BlobStore::contains`] says no and it can be got again. Either is noted; see
    /// [`BlobStore::next_damage`].
    pub fn read(&self, blob: &BlobRef) -> Result<Vec<u8>, ReadBlobError> {
        loop {
            let place = self.place(&blob.digest).filter(|place| place.record.blob == *blob);
            let place = place.ok_or(ReadBlobError::Missing(blob.digest))?;
            match self.read_at(&place)?.filter(|bytes| BlobRef::of(bytes) == *blob) {
                Some(bytes) => return Ok(bytes),
                None if self.forget(&blob.digest, &place) => return Err(ReadBlobError::Damaged(blob.digest)),
                // It has been moved or mended since it was looked up.
                None => {}
            }
        }
    }

    /// How many bytes the disk has room for.
    pub fn free_space(&self) -> Result<u64, DiskError> {
        durable::free_space(&self.dir)
    }

    /// How many bytes the segments have together.
    pub fn size(&self) -> u64 {
        self.shelf().segments.values().map(|segment| segment.length).sum()
    }

    /// What stands at `place`, unchecked; none where a patch or its base is damaged.
    fn read_at(&self, place: &Place) -> Result<Option<Vec<u8>>, ReadBlobError> {
        let Some(stored) = self.stored(place)? else { return Ok(None) };
        let Some(base) = place.record.base else { return Ok(Some(stored)) };
        let Some(base) = self.place(&base).filter(|base| base.record.base.is_none()) else { return Ok(None) };
        let Some(base) = self.stored(&base)? else { return Ok(None) };
        Ok(patch::apply(&base, &stored, place.record.blob.length).ok())
    }

    /// The blob that patches for versions of `digest` are made against: itself, or what it is a patch against.
    fn whole_of(&self, digest: &Digest) -> Option<(BlobRef, Vec<u8>)> {
        let place = self.place(digest)?;
        let whole = place.record.base.map_or(Some(place), |base| self.place(&base))?.record.blob;
        Some((whole, self.read(&whole).ok()?))
    }

    /// The bytes that are kept at `place`; none where its segment was swept since.
    fn stored(&self, place: &Place) -> Result<Option<Vec<u8>>, DiskError> {
        let segment = self.shelf().segments.get(&place.segment).cloned();
        match segment.map(|segment| segment.read(place.at, place.record.stored)).transpose() {
            Err(error) if drift::is_damage(&error) => Ok(None),
            other => other,
        }
    }

    /// Forgets that the blob stands at `place`, where it is damaged. Says whether it stands nowhere now; it does where
    /// it was moved meanwhile or another copy is here.
    fn forget(&self, digest: &Digest, place: &Place) -> bool {
        let Some(is_lost) = self.shelf_mut().forget(digest, place) else { return false };
        self.damages.note(*place, is_lost);
        is_lost
    }

    fn place(&self, digest: &Digest) -> Option<Place> {
        self.shelf().place(digest)
    }

    /// Gives a finished segment its name and makes what it holds known. Durable on return.
    fn shelve(&self, writer: SegmentWriter) -> Result<(), DiskError> {
        let number = self.shelf_mut().take_number();
        let (segment, records) = writer.seal(&self.dir, number)?;
        durable::sync_dir(&self.dir)?;
        self.shelf_mut().add(segment, records);
        self.merge_small()
    }

    fn shelf(&self) -> RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shelf_mut(&self) -> RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobBatch<'_> {
    /// Keeps `bytes`. Nothing is written if they are here already.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, PutBlobError> {
        let blob = BlobRef::of(bytes);
        if !self.holds(&blob) {
            self.write(Record::whole(blob), bytes)?;
        }
        Ok(blob)
    }

    /// Keeps `bytes` as a patch against the blob `like`, or what that is a patch against, where this takes much less.
    pub fn put_like(&self, bytes: &[u8], like: &BlobRef) -> Result<BlobRef, PutBlobError> {
        let blob = BlobRef::of(bytes);
        if self.holds(&blob) {
            return Ok(blob);
        }
        let patched = self.store.whole_of(&like.digest).map(|(base, whole)| (base, patch::between(&whole, bytes)));
        match patched.filter(|(_, patch)| patch.len() < bytes.len() / 2) {
            Some((base, patch)) => {
                let record = Record { blob, stored: patch.len() as u64, base: Some(base.digest) };
                self.write(record, &patch)?;
            }
            None => self.write(Record::whole(blob), bytes)?,
        }
        Ok(blob)
    }

    /// Keeps the blob that `source` yields next, if it is the one expected.
    ///
    /// Takes exactly the expected number of bytes from `source`, a piece at a time. A blob that is here already is
    /// written anew, which mends one that is damaged. After an error nothing of this blob is left behind, and the batch
    /// can go on or be synced.
    pub fn put_expected(&self, expected: &BlobRef, source: impl Read) -> Result<(), PutBlobError> {
        let mut writing = self.writing.borrow_mut();
        let segment = writing.segment(self.store)?;
        let (record, start) = (Record::whole(*expected), segment.length());
        segment.begin(record)?;
        let copied = copy_hashing(expected, source, segment).and_then(|received| {
            let is_it = received == expected.digest;
            if is_it { Ok(()) } else { Err(PutBlobError::Mismatch { expected: expected.digest, received }) }
        });
        match copied {
            Ok(()) => segment.finish(record),
            Err(error) => {
                segment.take_back(start)?;
                return Err(error);
            }
        }
        writing.held.insert(expected.digest, *expected);
        Ok(writing.shelve_if_full(self.store)?)
    }

    /// Makes the batch durable.
    pub fn sync(self) -> Result<(), DiskError> {
        self.writing.borrow_mut().shelve(self.store)
    }

    /// Keeps nothing of the batch, but for what filled a segment before.
    pub fn discard(self) {
        self.writing.take();
    }

    /// Whether the blob is here, or will be when the batch is synced.
    fn holds(&self, blob: &BlobRef) -> bool {
        self.writing.borrow().held.get(&blob.digest) == Some(blob) || self.store.contains(blob)
    }

    fn write(&self, record: Record, bytes: &[u8]) -> Result<(), DiskError> {
        let mut writing = self.writing.borrow_mut();
        writing.segment(self.store)?.put(record, bytes)?;
        writing.held.insert(record.blob.digest, record.blob);
        writing.shelve_if_full(self.store)
    }
}

impl Writing {
    fn segment(&mut self, store: &BlobStore) -> Result<&mut SegmentWriter, DiskError> {
        match &mut self.segment {
            Some(segment) => Ok(segment),
            none => Ok(none.insert(SegmentWriter::create_in(&store.dir)?)),
        }
    }

    fn shelve_if_full(&mut self, store: &BlobStore) -> Result<(), DiskError> {
        if self.segment.as_ref().is_some_and(|segment| segment.length() >= SEGMENT) {
            self.shelve(store)
        } else {
            Ok(())
        }
    }

    fn shelve(&mut self, store: &BlobStore) -> Result<(), DiskError> {
        self.held.clear();
        match self.segment.take() {
            Some(segment) if !segment.is_void() => store.shelve(segment),
            _ => Ok(()),
        }
    }
}

impl Drop for BlobBatch<'_> {
    fn drop(&mut self) {
        // What cannot be kept is fetched again: nobody has been told that it is here.
        let _ = self.writing.get_mut().shelve(self.store);
    }
}

/// Copies exactly the expected number of bytes and gives their digest.
fn copy_hashing(
    expected: &BlobRef,
    mut source: impl Read,
    segment: &mut SegmentWriter,
) -> Result<Digest, PutBlobError> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    let mut received = 0;
    while received < expected.length {
        let most = usize::try_from(expected.length - received).map_or(CHUNK, |left| left.min(CHUNK));
        let read = match source.read(&mut chunk[..most]) {
            Ok(0) => return Err(PutBlobError::Short { expected: *expected, received }),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(PutBlobError::Stream { digest: expected.digest, source }),
        };
        hasher.update(&chunk[..read]);
        segment.extend(&chunk[..read])?;
        received += read as u64;
    }
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}
