//! What was found damaged: kept until somebody has looked at it, and told at once to whoever wants to hear.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use tieup_protocol::manifest::BlobRef;

use super::{BlobStore, Place};
use crate::durable::DiskError;

/// How many damages are kept for whoever looks at them. Later ones are told and forgotten.
const MOST: usize = 10_000;

/// A copy of a blob that was found damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The blob.
    pub blob: BlobRef,
    /// What lies in its place; none where that cannot be read any more.
    pub bytes: Option<Vec<u8>>,
    /// Whether there was no other copy here.
    pub is_lost: bool,
}

/// The damages that nobody has looked at.
#[derive(Default)]
pub(super) struct Damages {
    found: Mutex<VecDeque<(Place, bool)>>,
    listener: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Damages {
    pub(super) fn note(&self, place: Place, is_lost: bool) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() < MOST {
            found.push_back((place, is_lost));
        }
        drop(found);
        if let Some(listener) = self.listener.get() {
            listener();
        }
    }

    fn next(&self) -> Option<(Place, bool)> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl fmt::Debug for Damages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Damages").field("found", &self.found).finish_non_exhaustive()
    }
}

impl BlobStore {
    /// Calls `listener` whenever a damaged copy has been found, on the thread that found it. The first listener stays.
    pub fn on_damage(&self, listener: impl Fn() + Send + Sync + 'static) {
        let _ = self.damages.listener.set(Box::new(listener));
    }

    /// The earliest damage that nobody has looked at. It is handed out once.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn next_damage(&self) -> Result<Option<Damage>, DiskError> {
        let Some((place, is_lost)) = self.damages.next() else { return Ok(None) };
        Ok(Some(Damage { blob: place.record.blob, bytes: self.stored(&place)?, is_lost }))
    }
}
