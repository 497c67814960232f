//! Giving space back: segments that hold little of what is kept are written anew without the rest.
//!
//! What is copied is checked on the way. The copy is durable before the old segment goes; a crash between the two
//! leaves a blob in both, which is no harm.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::SystemTime;

use tieup_protocol::digest::Digest;

use super::segment::{Record, Records, Segment, SegmentWriter};
use super::{BlobStore, Place};
use crate::durable::{self, DiskError};

/// A segment of fewer bytes is small.
const SMALL: u64 = 4 << 20;

/// How many small segments there may be before they become one.
const SMALL_SEGMENTS: usize = 32;

/// What a sweep gave back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many blobs are no longer here.
    pub blobs: usize,
    /// How many bytes the segments have become smaller together.
    pub bytes: u64,
}

impl BlobStore {
    /// Forgets the blobs that are not in `keep`, and gives back their space where a segment was written before `since`
    /// and less than half of it is kept. What kept blobs are patches against stays.
    ///
    /// The caller sees to it that nobody counts on a blob outside `keep` meanwhile.
    ///
    /// # Errors
    /// When the disk fails; then no blob that is kept has been lost.
    pub fn sweep(&self, keep: &HashSet<Digest>, since: SystemTime) -> Result<Swept, DiskError> {
        let (before, count) = (self.size(), self.shelf().count());
        let kept = self.with_bases(keep);
        let old: Vec<Arc<Segment>> =
            self.shelf().segments.values().filter(|segment| segment.written < since).cloned().collect();
        let sparse = old.into_iter().filter(|segment| self.held_in(segment, &kept) * 2 < segment.length);
        self.rewrite(&sparse.collect::<Vec<_>>(), |place| kept.contains(&place.record.blob.digest))?;
        let (after, left) = (self.size(), self.shelf().count());
        Ok(Swept { blobs: count.saturating_sub(left), bytes: before.saturating_sub(after) })
    }

    /// Makes one segment of the small ones, where there are many.
    pub(super) fn merge_small(&self) -> Result<(), DiskError> {
        let small: Vec<Arc<Segment>> =
            self.shelf().segments.values().filter(|segment| segment.length < SMALL).cloned().collect();
        if small.len() <= SMALL_SEGMENTS {
            return Ok(());
        }
        self.rewrite(&small, |_| true)
    }

    /// `keep` and what those of it that are patches are made from.
    fn with_bases(&self, keep: &HashSet<Digest>) -> HashSet<Digest> {
        let bases = keep.iter().filter_map(|digest| self.place(digest)?.record.base);
        keep.iter().copied().chain(bases).collect()
    }

    /// How many bytes of a segment are records of `kept`.
    fn held_in(&self, segment: &Segment, kept: &HashSet<Digest>) -> u64 {
        let here = self.places(|place| place.segment == segment.number && kept.contains(&place.record.blob.digest));
        here.iter().map(|place| place.record.stored).sum()
    }

    /// Copies what is wanted of `segments` into a new one and removes them.
    pub(super) fn rewrite(&self, segments: &[Arc<Segment>], wanted: impl Fn(&Place) -> bool) -> Result<(), DiskError> {
        if segments.is_empty() {
            return Ok(());
        }
        let numbers: HashSet<u64> = segments.iter().map(|segment| segment.number).collect();
        let mut places = self.places(|place| numbers.contains(&place.segment) && wanted(place));
        places.sort_unstable_by_key(|place| (place.segment, place.at));
        let copied = self.copy(&places)?;
        self.shelf_mut().replace(&numbers, copied);
        segments.iter().try_for_each(|segment| segment.remove())?;
        durable::sync_dir(&self.dir)
    }

    pub(super) fn places(&self, wanted: impl Fn(&Place) -> bool) -> Vec<Place> {
        self.shelf().places().filter(|place| wanted(place)).collect()
    }

    /// A new segment with the undamaged of `places`, durable; none where there is nothing to copy.
    fn copy(&self, places: &[Place]) -> Result<Option<(Segment, Records)>, DiskError> {
        let mut writer = SegmentWriter::create_in(&self.dir)?;
        for place in places {
            if let Some((record, stored)) = self.undamaged(place)? {
                writer.put(record, &stored)?;
            }
        }
        if writer.is_void() {
            return Ok(None);
        }
        let number = self.shelf_mut().take_number();
        let sealed = writer.seal(&self.dir, number)?;
        durable::sync_dir(&self.dir)?;
        Ok(Some(sealed))
    }

    /// What is kept of the blob at `place`, if it can be read: there, or at another place that it falls back to.
    fn undamaged(&self, place: &Place) -> Result<Option<(Record, Vec<u8>)>, DiskError> {
        let blob = place.record.blob;
        match self.read(&blob) {
            Ok(_) => {}
            Err(super::ReadBlobError::Disk(error)) => return Err(error),
            Err(_) => return Ok(None),
        }
        let Some(good) = self.place(&blob.digest) else { return Ok(None) };
        Ok(self.stored(&good)?.map(|stored| (good.record, stored)))
    }
}
