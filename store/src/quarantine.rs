//! The quarantine: what was found damaged, set aside for a person to look at.
//!
//! It is bounded. What is oldest goes first; nothing depends on what lies here.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::durable::{self, DiskError, Step};

/// How many files are kept.
const MOST_FILES: usize = 100;

/// How many bytes are kept.
const MOST_BYTES: u64 = 256 << 20;

/// A folder of damaged content.
#[derive(Debug)]
pub struct Quarantine {
    dir: PathBuf,
}

impl Quarantine {
    /// The quarantine in `dir`, which is made when it is needed.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Sets `bytes` aside under the time and a `name` that is fit for a file.
    ///
    /// Durable on return. What was set aside first makes room. The same bytes under the same name are kept once.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(&self, name: &str, bytes: &[u8], now: Timestamp) -> Result<PathBuf, DiskError> {
        durable::create_dir_all(&self.dir)?;
        let bytes = &bytes[..bytes.len().min(usize::try_from(MOST_BYTES).unwrap_or(usize::MAX))];
        if let Some(held) = self.held(name, bytes)? {
            return Ok(held);
        }
        self.make_room(bytes.len() as u64)?;
        let path = self.dir.join(format!("{}-{name}", now.strftime("%Y%m%dT%H%M%S%3fZ")));
        durable::write_file(&path, bytes)?;
        Ok(path)
    }

    /// The file that holds just these bytes under `name`, if there is one.
    fn held(&self, name: &str, bytes: &[u8]) -> Result<Option<PathBuf>, DiskError> {
        for path in durable::list_dir(&self.dir)? {
            let is_named = path.file_name().and_then(|file| file.to_str()).is_some_and(|file| file.ends_with(name));
            let has_length = || path.metadata().is_ok_and(|about| about.len() == bytes.len() as u64);
            if is_named && has_length() && durable::read_file(&path)?.as_deref() == Some(bytes) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    fn make_room(&self, for_bytes: u64) -> Result<(), DiskError> {
        let mut held = Vec::new();
        for path in durable::list_dir(&self.dir)? {
            let length = durable::step(Step::Read, &path, || Ok(path.symlink_metadata()?.len()))?;
            held.push((path, length));
        }
        let mut total: u64 = held.iter().map(|(_, length)| length).sum();
        let mut count = held.len();
        for (path, length) in held {
            if count < MOST_FILES && total + for_bytes <= MOST_BYTES {
                break;
            }
            durable::remove_file(&path)?;
            (count, total) = (count - 1, total - length);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;
    use crate::fault::at_every_step;

    #[test]
    fn what_was_set_aside_first_makes_room() {
        let dir = tempdir().unwrap();
        let quarantine = Quarantine::at(dir.path().join("quarantine"));
        let at = |second| Timestamp::from_second(second).unwrap();
        let first = quarantine.keep("blob", b"first", at(0)).unwrap();
        for second in 1..=100 {
            assert!(first.exists(), "{second}");
            quarantine.keep("blob", second.to_string().as_bytes(), at(second)).unwrap();
        }
        assert!(!first.exists());
        assert_eq!(durable::list_dir(quarantine.dir()).unwrap().len(), MOST_FILES);
        let last = quarantine.keep("blob", b"100", at(200)).unwrap();
        assert!(last.to_string_lossy().contains("T000140"), "the same bytes are kept once: {}", last.display());
    }

    #[test]
    fn what_is_set_aside_is_whole_whatever_fails() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let quarantine = Quarantine::at(dir.path().join("quarantine"));
            let kept = fault.during(|| quarantine.keep("blob", b"damaged", Timestamp::UNIX_EPOCH));
            if let Ok(path) = kept {
                assert_eq!(std::fs::read(path).unwrap(), b"damaged", "{fault:?}");
            }
            quarantine.keep("blob", b"damaged", Timestamp::UNIX_EPOCH).unwrap();
        });
    }
}
