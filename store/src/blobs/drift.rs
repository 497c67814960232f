//! Segments that were changed by somebody else: written to, replaced, removed.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tieup_protocol::manifest::BlobRef;

use super::BlobStore;
use super::segment::{Segment, Since};
use crate::durable::DiskError;

/// What somebody else did to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was written to; what it holds must be verified.
    Written,
    /// Its file was removed or replaced. What the open file still held has been written anew.
    Displaced,
}

/// A segment that somebody else changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drifted {
    /// Its file.
    pub path: PathBuf,
    /// What was done to it.
    pub how: Changed,
    /// The blobs that stood in it.
    pub blobs: Vec<BlobRef>,
}

impl BlobStore {
    /// The segments whose files were changed since this was last asked, each told once. Looks at the files from
    /// outside alone, so it can be asked often.
    ///
    /// A segment whose file is gone is written anew from what is still open of it; durable on return.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn drifted(&self) -> Result<Vec<Drifted>, DiskError> {
        let segments: Vec<Arc<Segment>> = self.shelf().segments.values().cloned().collect();
        let mut drifted = Vec::new();
        for segment in segments {
            let since = segment.look_again()?;
            // One that was swept meanwhile is gone by our own hand.
            let swept = || !self.shelf().segments.contains_key(&segment.number);
            let how = match since {
                Since::Same => continue,
                Since::Displaced if swept() => continue,
                Since::Written => Changed::Written,
                Since::Displaced => Changed::Displaced,
            };
            let blobs = self.places(|place| place.segment == segment.number);
            let blobs = blobs.into_iter().map(|place| place.record.blob).collect();
            if how == Changed::Displaced {
                self.rewrite(std::slice::from_ref(&segment), |_| true)?;
            }
            drifted.push(Drifted { path: segment.path.clone(), how, blobs });
        }
        Ok(drifted)
    }

    /// Every blob that is here.
    pub fn blobs(&self) -> HashSet<BlobRef> {
        self.shelf().places().map(|place| place.record.blob).collect()
    }
}

/// Whether a read failed because the bytes are no longer there: the file was cut, or the disk has lost a sector.
pub(super) fn is_damage(error: &DiskError) -> bool {
    let lost_sector = rustix::io::Errno::IO.raw_os_error();
    error.source.kind() == io::ErrorKind::UnexpectedEof || error.source.raw_os_error() == Some(lost_sector)
}
