//! Blobs: files named by the digest of their content.
//!
//! A blob lies at `ab/cdef…`, the digest's hexadecimal digits with a slash after the second. What has its name is
//! whole: content is checked and synced before a file gets its name.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::BlobRef;

use crate::durable::{self, Access, DiskError, Step, UnfinishedFile};

/// How much of a stream is in memory at a time.
const CHUNK: usize = 64 << 10;

/// How many files of a batch wait for their sync, each of them open.
const PENDING: usize = 128;

/// A folder of blobs.
#[derive(Debug)]
pub struct BlobStore {
    dir: PathBuf,
    /// Folders with names that may not be on the disk yet.
    unsynced: Mutex<BTreeSet<PathBuf>>,
}

/// Blobs that become durable together, for the thousands of a first release.
///
/// Files are synced some time after they are written, since the disk is then mostly done with them, and each folder
/// once. A blob can be read when [`BlobBatch::sync`] has returned. A batch that is dropped without that keeps what it
/// holds, which becomes durable with the next [`BlobStore::sync`].
#[derive(Debug)]
pub struct BlobBatch<'a> {
    store: &'a BlobStore,
    /// Written and checked, but not synced: at most [`PENDING`].
    pending: RefCell<Vec<(UnfinishedFile, BlobRef)>>,
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
    /// The file no longer holds what it is named for.
    #[error("blob {0} is damaged on disk")]
    Damaged(Digest),
}

impl BlobStore {
    /// Opens the store in `dir`, which is made if it is missing, and removes what a crash left unfinished.
    ///
    /// One process opens a store at a time; within it, any number of threads use it.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, DiskError> {
        let dir = dir.into();
        durable::create_dir_all(&dir)?;
        durable::settle(&dir)?;
        // A process that died may have left names in any of them that were never synced.
        let folders = durable::list_dir(&dir)?.into_iter().filter(|path| path.is_dir());
        let unsynced = folders.chain([dir.clone()]).collect();
        Ok(Self { dir, unsynced: Mutex::new(unsynced) })
    }

    /// Where the blob's file is, or would be.
    pub fn path(&self, blob: &BlobRef) -> PathBuf {
        let hex = blob.digest.hex();
        let (folder, name) = hex.split_at(2);
        self.dir.join(folder).join(name)
    }

    /// Whether the blob is here at its full length. Its content is checked when it is read.
    pub fn contains(&self, blob: &BlobRef) -> bool {
        fs::metadata(self.path(blob)).is_ok_and(|file| file.is_file() && file.len() == blob.length)
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
        BlobBatch { store: self, pending: RefCell::default() }
    }

    /// The blob's bytes, checked against its digest.
    ///
    /// A damaged blob loses its name, so that [`BlobStore::contains`] says no and it can be got again.
    pub fn read(&self, blob: &BlobRef) -> Result<Vec<u8>, ReadBlobError> {
        let path = self.path(blob);
        let bytes = durable::read_file(&path)?.ok_or(ReadBlobError::Missing(blob.digest))?;
        if BlobRef::of(&bytes) == *blob {
            return Ok(bytes);
        }
        let aside = path.with_extension("damaged");
        durable::step(Step::Rename, &path, || fs::rename(&path, &aside))?;
        Err(ReadBlobError::Damaged(blob.digest))
    }

    /// Makes every blob that is here durable. Needed before relying on what [`BlobStore::contains`] says across a crash.
    pub fn sync(&self) -> Result<(), DiskError> {
        // Held throughout, so that whoever comes second does not return before the folders are on the disk.
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(folder) = unsynced.first() {
            durable::sync_dir(folder)?;
            unsynced.pop_first();
        }
        Ok(())
    }

    /// Syncs finished files and gives them their blobs' names.
    fn name_all(&self, files: &mut Vec<(UnfinishedFile, BlobRef)>) -> Result<(), DiskError> {
        for (file, blob) in files.drain(..) {
            file.sync()?;
            self.name(file, &blob)?;
        }
        Ok(())
    }

    /// Gives a synced file its blob's name. The folder is synced with the batch.
    fn name(&self, file: UnfinishedFile, blob: &BlobRef) -> Result<(), DiskError> {
        let path = self.path(blob);
        let folder = durable::parent(&path);
        // Held until the folder is noted, so that whoever sees the file finds its folder in the list.
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        unsynced.insert(folder.to_owned());
        if !folder.is_dir() {
            unsynced.insert(self.dir.clone());
            durable::step(Step::CreateDir, folder, || fs::create_dir(folder))?;
        }
        file.rename_to(&path)
    }
}

impl BlobBatch<'_> {
    /// Keeps `bytes`. Nothing is written if they are here already.
    pub fn put(&self, bytes: &[u8]) -> Result<BlobRef, PutBlobError> {
        let blob = BlobRef::of(bytes);
        if !self.store.contains(&blob) {
            let mut file = UnfinishedFile::create_in(&self.store.dir, Access::Usual)?;
            file.write(bytes)?;
            self.add(file, blob)?;
        }
        Ok(blob)
    }

    /// Keeps the blob that `source` yields next, if it is the one expected.
    ///
    /// Takes exactly the expected number of bytes from `source`, a piece at a time. A blob that is here already is
    /// replaced, which mends one that is damaged. After an error nothing of this blob is left behind, and the batch can
    /// go on or be synced.
    pub fn put_expected(&self, expected: &BlobRef, source: impl Read) -> Result<(), PutBlobError> {
        let mut file = UnfinishedFile::create_in(&self.store.dir, Access::Usual)?;
        let received = copy_hashing(expected, source, &mut file)?;
        if received != expected.digest {
            return Err(PutBlobError::Mismatch { expected: expected.digest, received });
        }
        Ok(self.add(file, *expected)?)
    }

    /// Makes the batch durable.
    pub fn sync(self) -> Result<(), DiskError> {
        self.store.name_all(&mut self.pending.borrow_mut())?;
        self.store.sync()
    }

    fn add(&self, file: UnfinishedFile, blob: BlobRef) -> Result<(), DiskError> {
        let mut pending = self.pending.borrow_mut();
        pending.push((file, blob));
        if pending.len() < PENDING { Ok(()) } else { self.store.name_all(&mut pending) }
    }
}

impl Drop for BlobBatch<'_> {
    fn drop(&mut self) {
        // What cannot be kept is fetched again: nobody has been told that it is here.
        let _ = self.store.name_all(self.pending.get_mut());
    }
}

/// Copies exactly the expected number of bytes and gives their digest.
fn copy_hashing(expected: &BlobRef, mut source: impl Read, file: &mut UnfinishedFile) -> Result<Digest, PutBlobError> {
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
        file.write(&chunk[..read])?;
        received += read as u64;
    }
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::fault::{at_every_step, steps_of};

    fn store(dir: &TempDir) -> BlobStore {
        BlobStore::open(dir.path().join("blobs")).unwrap()
    }

    fn files_below(dir: &std::path::Path) -> Vec<PathBuf> {
        let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
        durable::list_dir(dir).unwrap().into_iter().flat_map(below).collect()
    }

    /// Yields some bytes, then breaks.
    struct Breaking(Cursor<Vec<u8>>);

    impl Read for Breaking {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                read => Ok(read),
            }
        }
    }

    #[test]
    fn a_blob_is_named_by_its_content() {
        let dir = tempdir().unwrap();
        let store = store(&dir);
        let blob = store.put(b"tie-up").unwrap();
        assert_eq!(store.put(b"tie-up").unwrap(), blob);
        assert_eq!(store.read(&blob).unwrap(), b"tie-up");
        let hex = blob.digest.hex();
        assert_eq!(store.path(&blob), dir.path().join("blobs").join(&hex[..2]).join(&hex[2..]));
        assert_eq!(files_below(dir.path()), [store.path(&blob)]);
        assert!(store.contains(&blob));
        assert!(!store.contains(&BlobRef { length: 5, ..blob }));
        assert!(matches!(store.read(&BlobRef::of(b"other")), Err(ReadBlobError::Missing(_))));
    }

    #[test]
    fn a_stream_is_taken_up_to_the_blobs_end() {
        let dir = tempdir().unwrap();
        let store = store(&dir);
        let long = vec![7; CHUNK * 2 + 1];
        let mut source = Cursor::new([long.as_slice(), b"next", b""].concat());
        for bytes in [long.as_slice(), b"next", b""] {
            store.put_expected(&BlobRef::of(bytes), &mut source).unwrap();
            assert_eq!(store.read(&BlobRef::of(bytes)).unwrap(), bytes);
        }
    }

    #[test]
    fn hostile_streams_are_refused_and_leave_nothing() {
        let dir = tempdir().unwrap();
        let store = store(&dir);
        let expected = BlobRef::of(&[1; 1000]);
        let endless = BlobRef { length: u64::MAX, ..expected };
        let put = |blob, bytes: Vec<u8>| store.put_expected(blob, Cursor::new(bytes));
        assert!(matches!(put(&expected, vec![1; 999]), Err(PutBlobError::Short { received: 999, .. })));
        assert!(matches!(put(&expected, vec![2; 1000]), Err(PutBlobError::Mismatch { .. })));
        assert!(matches!(put(&endless, vec![1; 1000]), Err(PutBlobError::Short { received: 1000, .. })));
        let broken = store.put_expected(&expected, Breaking(Cursor::new(vec![1; 10])));
        assert!(matches!(broken, Err(PutBlobError::Stream { .. })));
        assert!(!store.contains(&expected));
        assert_eq!(files_below(dir.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn damage_is_seen_on_reading_and_mended_by_another_copy() {
        let dir = tempdir().unwrap();
        let store = store(&dir);
        let blob = store.put(b"tie-up").unwrap();
        fs::write(store.path(&blob), b"tie-uq").unwrap();
        assert!(matches!(store.read(&blob), Err(ReadBlobError::Damaged(_))));
        store.put_expected(&blob, Cursor::new(b"tie-up")).unwrap();
        assert_eq!(store.read(&blob).unwrap(), b"tie-up");
        fs::write(store.path(&blob), b"").unwrap();
        store.put(b"tie-up").unwrap();
        assert_eq!(store.read(&blob).unwrap(), b"tie-up");
    }

    #[test]
    fn a_batch_syncs_each_file_and_each_folder_once() {
        let dir = tempdir().unwrap();
        let store = store(&dir);
        store.sync().unwrap();
        let count = |steps: &[Step], step| steps.iter().filter(|taken| **taken == step).count();
        let steps = steps_of(|| {
            let batch = store.batch();
            for number in 0..600_u32 {
                batch.put(&number.to_be_bytes()).unwrap();
            }
            batch.sync().unwrap();
        });
        let folders = durable::list_dir(&dir.path().join("blobs")).unwrap().len();
        assert_eq!(count(&steps, Step::Sync), 600);
        assert_eq!(count(&steps, Step::SyncDir), folders + 1);
        let again = steps_of(|| store.sync().unwrap());
        assert_eq!(again, []);
    }

    #[test]
    fn a_batch_can_be_read_when_it_is_synced() {
        let dir = tempdir().unwrap();
        let store = store(&dir);
        let batch = store.batch();
        let blob = batch.put(b"tie-up").unwrap();
        batch.put_expected(&blob, Cursor::new(b"tie-up")).unwrap();
        assert!(!store.contains(&blob));
        batch.sync().unwrap();
        assert_eq!(store.read(&blob).unwrap(), b"tie-up");
        assert_eq!(files_below(dir.path()), [store.path(&blob)]);
    }

    #[test]
    fn a_dropped_batch_becomes_durable_with_the_next_or_after_a_restart() {
        let dir = tempdir().unwrap();
        let first = store(&dir);
        first.sync().unwrap();
        let blob = first.batch().put(b"tie-up").unwrap();
        assert!(first.contains(&blob));
        assert_eq!(steps_of(|| first.sync().unwrap()), [Step::SyncDir; 2]);
        first.batch().put(b"tie-up, too").unwrap();
        let again = store(&dir);
        assert_eq!(steps_of(|| again.sync().unwrap()), [Step::SyncDir; 3]);
    }

    #[test]
    fn a_blob_that_has_its_name_is_whole_whatever_fails() {
        let bytes = vec![3; CHUNK + 1];
        let blob = BlobRef::of(&bytes);
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let first = store(&dir);
            let result = fault.during(|| first.put_expected(&blob, bytes.as_slice()));
            let again = store(&dir);
            assert!(result.is_err() || again.contains(&blob), "{fault:?}");
            assert!(!again.contains(&blob) || again.read(&blob).unwrap() == bytes, "{fault:?}");
            for store in [&first, &again] {
                store.put(&bytes).unwrap();
                assert_eq!(store.read(&blob).unwrap(), bytes);
                assert_eq!(steps_of(|| store.sync().unwrap()), [], "{fault:?}");
            }
        });
    }
}
