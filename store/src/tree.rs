//! A browsable tree of files: what `tieup build` leaves in a folder.
//!
//! It can be built again at any time, so it is written without waiting for the disk. It is written beside the old one
//! and takes its place file by file at the end, so that a build which finds a mistake half-way changes nothing. A list
//! of its files lies beside them; the next build removes those that it no longer makes, and never touches a file that
//! it did not write.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tieup_protocol::path::SourcePath;

use crate::durable::{self, DiskError, Step};

/// The list of files, one a line.
const LIST: &str = ".tieup-files";

/// The folder that a tree is written into until it is whole.
const NEW: &str = ".tieup-new";

/// A tree that is being written, from as many threads as one likes. Dropped before [`Writer::finish`], it leaves the
/// folder as it was.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    made_dir: bool,
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Written {
    names: BTreeSet<SourcePath>,
    bytes: u64,
    failed: Option<DiskError>,
}

impl Writer {
    /// Begins a tree in the folder `dir`, which is made if it is missing.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin(dir: &Path) -> Result<Self, DiskError> {
        let made_dir = !dir.exists();
        let new = dir.join(NEW);
        remove_all(&new)?;
        durable::step(Step::CreateDir, &new, || fs::create_dir_all(&new))?;
        Ok(Self { dir: dir.to_owned(), made_dir, written: Mutex::default() })
    }

    /// Writes one file, with the folders around it. A failure of the disk is told by [`Writer::finish`].
    pub fn write(&self, name: SourcePath, bytes: &[u8]) {
        let path = self.dir.join(NEW).join(name.as_str());
        let result = durable::step(Step::Write, &path, || {
            make_folder_of(&path)?;
            fs::write(&path, bytes)
        });
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                written.bytes += bytes.len() as u64;
                written.names.insert(name);
            }
            Err(error) => drop(written.failed.get_or_insert(error)),
        }
    }

    /// Puts the tree in the place of the earlier one, and removes what that had and this has not. Returns how many
    /// files there are, and their bytes.
    ///
    /// # Errors
    /// When the disk failed in a call of [`Writer::write`], and then nothing has changed; or when it fails now, and then
    /// the next tree here puts things right.
    pub fn finish(self) -> Result<(usize, u64), DiskError> {
        let written = std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(error) = written.failed {
            return Err(error);
        }
        let earlier = earlier(&self.dir.join(LIST))?;
        // Listed before they are there, so that a tree which ends half-way is known to the next.
        list(&self.dir, written.names.union(&earlier))?;
        // First, so that a file of the earlier tree does not stand where this one has a folder.
        for name in earlier.difference(&written.names) {
            durable::remove_file(&self.dir.join(name.as_str()))?;
        }
        move_into(&self.dir.join(NEW), &self.dir)?;
        list(&self.dir, written.names.iter())?;
        Ok((written.names.len(), written.bytes))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whatever cannot be removed now is removed by the next tree here.
        let _ = remove_all(&self.dir.join(NEW));
        if self.made_dir {
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// Moves what is in `from` into `to`: whole folders where there is none yet, file by file where there is.
fn move_into(from: &Path, to: &Path) -> Result<(), DiskError> {
    for source in durable::list_dir(from)? {
        let Some(name) = source.file_name() else { continue };
        let target = to.join(name);
        if source.is_dir() && target.is_dir() {
            move_into(&source, &target)?;
        } else {
            durable::step(Step::Rename, &target, || fs::rename(&source, &target))?;
        }
    }
    Ok(())
}

fn remove_all(dir: &Path) -> Result<(), DiskError> {
    durable::step(Step::Remove, dir, || match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
}

/// Makes the folder of `path`. Most often it is there, or its own folder is.
fn make_folder_of(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(folder),
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn list<'a>(dir: &Path, names: impl Iterator<Item = &'a SourcePath>) -> Result<(), DiskError> {
    let list = dir.join(LIST);
    let names: String = names.flat_map(|name| [name.as_str(), "\n"]).collect();
    durable::step(Step::Write, &list, || fs::write(&list, names))
}

/// The files that an earlier call wrote. Lines that are no relative paths are left alone.
fn earlier(list: &Path) -> Result<BTreeSet<SourcePath>, DiskError> {
    let bytes = durable::read_file(list)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(|line| line.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SourcePath {
        text.parse().unwrap()
    }

    fn write(dir: &Path, files: &[(&str, &str)]) -> (usize, u64) {
        let writer = Writer::begin(dir).unwrap();
        for (path, text) in files {
            writer.write(name(path), text.as_bytes());
        }
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_no_longer_made_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("out");
        assert_eq!(write(&dir, &[("index.html", "home"), ("old/index.html", "old")]), (2, 7));
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        write(&dir, &[("index.html", "new")]);
        assert_eq!(fs::read(dir.join("index.html")).unwrap(), b"new");
        assert!(!dir.join("old/index.html").exists());
        assert!(dir.join("notes.txt").exists());
        write(&dir, &[("index.html/page.html", "a folder where a file was")]);
        assert!(dir.join("index.html/page.html").exists());
        fs::remove_dir_all(dir.join("index.html")).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(LIST), "a/b/index.html\n").unwrap();
        write(&dir, &[("a/b/index.html", "again"), ("a/b/c/d.css", "deep")]);
        assert_eq!(fs::read(dir.join("a/b/index.html")).unwrap(), b"again");
    }

    #[test]
    fn a_tree_that_was_given_up_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, fresh) = (folder.path().join("out"), folder.path().join("fresh"));
        write(&dir, &[("index.html", "home")]);
        for dir in [&dir, &fresh] {
            let writer = Writer::begin(dir).unwrap();
            writer.write(name("index.html"), b"half");
            writer.write(name("half.html"), b"half");
        }
        assert_eq!(fs::read(dir.join("index.html")).unwrap(), b"home");
        assert!(!dir.join("half.html").exists() && !dir.join(NEW).exists() && !fresh.exists());
    }

    #[test]
    fn a_failure_of_the_disk_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("index.html")).unwrap();
        let writer = Writer::begin(folder.path()).unwrap();
        writer.write(name("index.html"), b"home");
        assert!(writer.finish().is_err());
    }
}
