//! What was compared with the live site last, so that a release that a rule approves as it comes is compared once.

use std::sync::{Mutex, PoisonError};

use tieup_store::blobs::{BlobStore, ReadBlobError};

use super::Live;
use crate::candidate::Candidate;
use crate::comparison::{self, Comparison};

/// The last comparison with the live site, kept until another site is live.
#[derive(Default)]
pub(super) struct Weighed {
    last: Mutex<Option<(Candidate, Comparison)>>,
}

impl Weighed {
    /// Compares `candidate` with what is live; once, as long as neither of them differs.
    ///
    /// # Errors
    /// When a page of the candidate cannot be read.
    pub(super) fn compare(
        &self,
        live: &Live,
        candidate: &Candidate,
        blobs: &BlobStore,
    ) -> Result<Comparison, ReadBlobError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((weighed, comparison)) = &*last
            && weighed == candidate
            && is_here(candidate, blobs)
        {
            return Ok(comparison.clone());
        }
        let comparison = comparison::compare(&live.site, candidate, &live.accepted, blobs)?;
        *last = Some((candidate.clone(), comparison.clone()));
        Ok(comparison)
    }

    /// Forgets it, since another site is live.
    pub(super) fn forget(&mut self) {
        self.last.get_mut().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Whether nothing of it was found damaged since; what was is read again, and refused.
fn is_here(candidate: &Candidate, blobs: &BlobStore) -> bool {
    candidate.files.values().all(|file| blobs.contains(&file.blob))
}
