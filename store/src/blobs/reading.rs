//! Reading a blob piece by piece, for those that are too large to be in memory.

use std::sync::Arc;

use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::BlobRef;

use super::segment::Segment;
use super::{BlobStore, CHUNK, Place, ReadBlobError};
use crate::durable::DiskError;
use crate::look::Look;

/// A blob that was found undamaged, to be read in pieces.
#[derive(Debug)]
pub struct BlobReader {
    segment: Arc<Segment>,
    place: Place,
    /// What its segment looked like before it was checked.
    checked: Look,
}

impl BlobStore {
    /// Opens a blob to be read in pieces, once all of it was checked against its digest. None where it is kept as a patch,
    /// so that it can only be read as a whole.
    ///
    /// # Errors
    /// As [`BlobStore::read`], with the same consequences for a damaged one.
    pub fn open_checked(&self, blob: &BlobRef) -> Result<Option<BlobReader>, ReadBlobError> {
        let place = self.place(&blob.digest).filter(|place| place.record.blob == *blob);
        let place = place.ok_or(ReadBlobError::Missing(blob.digest))?;
        if place.record.base.is_some() {
            return Ok(None);
        }
        let segment = self.shelf().segments.get(&place.segment).cloned();
        let segment = segment.ok_or(ReadBlobError::Missing(blob.digest))?;
        let reader = BlobReader { checked: segment.look()?, segment, place };
        match reader.digest() {
            Ok(digest) if digest == blob.digest => Ok(Some(reader)),
            // Reads it once more, and does with a damaged one what is to be done.
            _ => self.read(blob).map(|_| None),
        }
    }
}

impl BlobReader {
    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        self.place.record.blob.length
    }

    /// Whether nobody has touched its segment since it was checked. One that was swept counts as touched.
    pub fn is_as_checked(&self) -> bool {
        self.segment.look().is_ok_and(|look| look == self.checked)
    }

    /// The bytes from `at` on, at most `most` and none beyond the end.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read_at(&self, at: u64, most: usize) -> Result<Vec<u8>, DiskError> {
        let left = self.length().saturating_sub(at).min(most as u64);
        self.segment.read(self.place.at + at, left)
    }

    fn digest(&self) -> Result<Digest, DiskError> {
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < self.length() {
            let piece = self.read_at(at, CHUNK)?;
            hasher.update(&piece);
            at += piece.len() as u64;
        }
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::os::unix::fs::FileExt as _;

    use tempfile::tempdir;

    use super::*;

    #[test]
    fn a_large_blob_is_read_in_pieces_while_it_is_undamaged() {
        let dir = tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * CHUNK + 7).collect();
        let blob = store.put(&bytes).unwrap();
        let reader = store.open_checked(&blob).unwrap().unwrap();
        let at = |at: usize, most| reader.read_at(at as u64, most).unwrap();
        assert_eq!(at(5, 10), bytes[5..15]);
        assert_eq!(at(3 * CHUNK, CHUNK), bytes[3 * CHUNK..]);
        assert_eq!(at(bytes.len() + 1, 10), b"");
        assert!(reader.is_as_checked());

        let segment = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let file = OpenOptions::new().write(true).open(&segment).unwrap();
        file.write_all_at(b"damage", fs::metadata(&segment).unwrap().len() - 6).unwrap();
        assert!(!reader.is_as_checked());
        assert!(matches!(store.open_checked(&blob), Err(ReadBlobError::Damaged(_))));
        assert!(matches!(store.open_checked(&blob), Err(ReadBlobError::Missing(_))));
    }
}
