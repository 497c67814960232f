//! The lock that keeps a second process away from a state folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::durable::{self, DiskError, Step};

/// A state folder held by this process, until this is dropped or the process ends.
#[derive(Debug)]
pub struct StateLock {
    // Held open for its lock; the operating system releases that however the process ends.
    _file: File,
}

/// How long a folder that is taken is waited for.
const MOMENT: Duration = Duration::from_millis(200);

/// Why a state folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process is using {}", .0.display())]
    Taken(PathBuf),
    /// The folder or its lock file cannot be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl StateLock {
    /// Locks `dir`, which is made if it is missing. Waits for a moment where it is taken: a process that ends, or one that
    /// is just being started by another thread and still has its files, gives it back at once.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let begun = Instant::now();
        loop {
            match Self::try_take(dir)? {
                Some(lock) => return Ok(lock),
                None if begun.elapsed() < MOMENT => thread::sleep(MOMENT / 10),
                None => return Err(LockError::Taken(dir.to_owned())),
            }
        }
    }

    /// The same without waiting; none where it is taken.
    pub fn try_take(dir: &Path) -> Result<Option<Self>, DiskError> {
        durable::create_dir_all(dir)?;
        let path = dir.join("lock");
        let open = || OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = durable::step(Step::Create, &path, open)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(DiskError { step: Step::Lock, path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let lock = StateLock::take(&state).unwrap();
        assert!(matches!(StateLock::take(&state), Err(LockError::Taken(_))));
        assert!(StateLock::try_take(&state).unwrap().is_none());
        drop(lock);
        assert!(StateLock::take(&state).is_ok());
        assert!(StateLock::try_take(&state).unwrap().is_some());
    }
}
