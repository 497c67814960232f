//! A folder of results that took long to make, by a key that stands for everything they were made from.
//!
//! What is kept here can be lost at any time: an entry that is missing or damaged is made anew, and one that cannot be
//! kept is no failure. Anyone may remove the folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tieup_protocol::digest::Digest;

use crate::durable::{self, Access, DiskError, UnfinishedFile};

/// How many bytes after the content say what it was: its digest.
const SEAL: usize = 32;

/// A folder of results.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// The cache in the folder `dir`, which is made when something is kept.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// What was kept for `key`; none where nothing was, or where what is there is not what was kept.
    pub fn get(&self, key: &Digest) -> Option<Vec<u8>> {
        let mut bytes = durable::read_file(&self.file(key)).ok()??;
        let seal = bytes.split_off(bytes.len().checked_sub(SEAL)?);
        (Digest::of(&bytes).as_bytes() == seal.as_slice()).then_some(bytes)
    }

    /// Keeps `bytes` for `key`, if the disk lets it. Nobody waits for the disk: what a crash tears is not what was kept.
    pub fn put(&self, key: &Digest, bytes: &[u8]) {
        // What could not be kept is made again the next time.
        let _ = durable::create_dir_all(&self.dir).and_then(|()| self.try_put(key, bytes));
    }

    /// Forgets what was kept before `time`, and what a crash left unfinished then.
    pub fn forget_before(&self, time: SystemTime) {
        for file in durable::list_dir(&self.dir).unwrap_or_default() {
            let is_old = fs::metadata(&file).and_then(|about| about.modified()).is_ok_and(|kept| kept < time);
            if is_old {
                // What cannot be removed is in nobody's way.
                let _ = fs::remove_file(&file);
            }
        }
    }

    fn try_put(&self, key: &Digest, bytes: &[u8]) -> Result<(), DiskError> {
        let mut file = UnfinishedFile::create_in(&self.dir, Access::Usual)?;
        file.write(bytes)?;
        file.write(Digest::of(bytes).as_bytes())?;
        file.rename_to(&self.file(key))
    }

    fn file(&self, key: &Digest) -> PathBuf {
        self.dir.join(key.hex())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::tempdir;

    use super::*;
    use crate::fault::at_every_step;

    #[test]
    fn an_entry_is_what_was_kept_or_nothing() {
        let dir = tempdir().unwrap();
        let cache = Cache::at(dir.path().join("deep/pictures"));
        let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
        assert_eq!(cache.get(&key), None);
        cache.put(&key, b"picture");
        assert_eq!((cache.get(&key).as_deref(), cache.get(&other)), (Some(b"picture".as_slice()), None));
        let file = cache.file(&key);
        let whole = fs::read(&file).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[1..], b"", b"short", &[b'P', b'x'].repeat(40)] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(cache.get(&key), None);
        }
        cache.put(&key, b"anew");
        assert_eq!(cache.get(&key).as_deref(), Some(b"anew".as_slice()));
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let dir = tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let [old, new] = [b"old", b"new"].map(|name| Digest::of(name));
        cache.put(&old, b"first");
        cache.put(&new, b"second");
        let file = fs::File::options().write(true).open(cache.file(&old)).unwrap();
        let long_ago = SystemTime::now() - Duration::from_hours(1);
        file.set_modified(long_ago).unwrap();
        cache.forget_before(long_ago + Duration::from_mins(1));
        assert_eq!((cache.get(&old), cache.get(&new).as_deref()), (None, Some(b"second".as_slice())));
        Cache::at(dir.path().join("none")).forget_before(SystemTime::now());
    }

    #[test]
    fn a_disk_that_fails_costs_the_entry_and_nothing_else() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let cache = Cache::at(dir.path().join("pictures"));
            let key = Digest::of(b"key");
            fault.during(|| cache.put(&key, b"picture"));
            assert!(cache.get(&key).is_none_or(|found| found == b"picture"), "{fault:?}");
        });
    }
}
