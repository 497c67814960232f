//! Writes that fail as a test says, below one folder: for whole daemons, whose writes are on threads of their own.
//!
//! Built for tests alone: with the feature `failing-writes`, and never into a release build.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::durable::Step;

/// What a disk does that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// One write has no effect: EIO.
    NotDone,
    /// One write takes effect, and is told as failed: EIO.
    DoneYetFailed,
    /// One write has no effect, since there is no room at that moment: ENOSPC.
    FullForAMoment,
    /// From one write on there is no room, and nothing has an effect but a removal: ENOSPC.
    FullFromThenOn,
}

/// Failing writes below a folder, while this is kept.
#[derive(Debug)]
pub struct FailingWrites(Arc<Laid>);

#[derive(Debug)]
struct Laid {
    below: PathBuf,
    spared: PathBuf,
    at: usize,
    how: How,
    run: Mutex<Run>,
}

#[derive(Debug, Default)]
struct Run {
    writes: usize,
    failed: Vec<(Step, PathBuf)>,
}

/// All that are kept now, of every test in the process.
static LAID: Mutex<Vec<Arc<Laid>>> = Mutex::new(Vec::new());

impl FailingWrites {
    /// Lets the write number `at` fail, counted from 0, of those below the folder `below` that are not below `spared`.
    pub fn lay(below: &Path, spared: &Path, at: usize, how: How) -> Self {
        let (below, spared) = (below.to_owned(), spared.to_owned());
        let laid = Arc::new(Laid { below, spared, at, how, run: Mutex::default() });
        all().push(laid.clone());
        Self(laid)
    }

    /// The files and folders with which something failed so far, in order.
    pub fn failed(&self) -> Vec<PathBuf> {
        self.0.run().failed.iter().map(|(_, path)| path.clone()).collect()
    }

    /// What was to be done with them, too.
    pub fn failures(&self) -> Vec<(Step, PathBuf)> {
        self.0.run().failed.clone()
    }
}

impl Drop for FailingWrites {
    fn drop(&mut self) {
        all().retain(|laid| !Arc::ptr_eq(laid, &self.0));
    }
}

impl Laid {
    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether and how the next write fails, which is `step` with `path`.
    fn next(&self, step: Step, path: &Path) -> Option<How> {
        let mut run = self.run();
        let number = run.writes;
        run.writes += 1;
        let still_full = self.how == How::FullFromThenOn && number > self.at && step != Step::Remove;
        if number != self.at && !still_full {
            return None;
        }
        run.failed.push((step, path.to_owned()));
        Some(self.how)
    }
}

/// Does `change`, unless it is to fail.
pub(crate) fn around<T>(step: Step, path: &Path, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if matches!(step, Step::Read | Step::Lock) {
        return change();
    }
    let laid = all().iter().find(|laid| path.starts_with(&laid.below) && !path.starts_with(&laid.spared)).cloned();
    match laid.and_then(|laid| laid.next(step, path)) {
        None => change(),
        Some(How::NotDone) => Err(Errno::IO.into()),
        Some(How::DoneYetFailed) => change().and(Err(Errno::IO.into())),
        Some(How::FullForAMoment | How::FullFromThenOn) => Err(Errno::NOSPC.into()),
    }
}

fn all() -> MutexGuard<'static, Vec<Arc<Laid>>> {
    LAID.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::write_file;

    #[test]
    fn writes_fail_in_their_folder_alone_and_while_it_is_laid() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("state/journal")).unwrap();
        let laid = FailingWrites::lay(&at("state"), &at("state/journal"), 1, How::FullFromThenOn);
        for name in ["other", "state/journal/entries"] {
            write_file(&at(name), b"x").unwrap();
        }
        let error = write_file(&at("state/a"), b"x").unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::StorageFull);
        assert_eq!(error.path, at("state/a"));
        // What failed has another name until it is whole.
        assert!(matches!(laid.failures().as_slice(), [(Step::Write, begun)] if begun.parent() == Some(&at("state"))));
        assert_eq!(laid.failed().len(), 1);
        write_file(&at("state/b"), b"x").unwrap_err();
        assert!(std::fs::read_dir(at("state")).unwrap().count() == 1, "what was begun is removed");
        drop(laid);
        write_file(&at("state/a"), b"x").unwrap();
    }
}
