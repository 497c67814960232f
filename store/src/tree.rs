//! A browsable tree of files: what `tieup build` leaves in a folder.
//!
//! It can be built again at any time, so it is written without waiting for the disk. A list of its files lies beside
//! them; the next build removes those that it no longer makes, and never touches a file that it did not write.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tieup_protocol::path::SourcePath;

use crate::durable::{self, DiskError, Step};

/// The list of files, one a line.
const LIST: &str = ".tieup-files";

/// Writes `files` into the folder `dir`, which is made if it is missing, and removes what an earlier call wrote there
/// and this one does not. Returns how many bytes the files have.
///
/// # Errors
/// When the disk fails; some files may have been written then.
pub fn write<'a>(dir: &Path, files: impl Iterator<Item = (SourcePath, &'a [u8])>) -> Result<u64, DiskError> {
    let list = dir.join(LIST);
    durable::step(Step::CreateDir, dir, || fs::create_dir_all(dir))?;
    let mut stale = earlier(&list)?;
    let mut names = String::new();
    let mut total = 0;
    let mut folder = PathBuf::new();
    for (name, bytes) in files {
        let path = dir.join(name.as_str());
        if let Some(parent) = path.parent().filter(|parent| *parent != folder) {
            durable::step(Step::CreateDir, parent, || fs::create_dir_all(parent))?;
            folder = parent.to_owned();
        }
        durable::step(Step::Write, &path, || fs::write(&path, bytes))?;
        total += bytes.len() as u64;
        names.push_str(name.as_str());
        names.push('\n');
        stale.remove(&name);
    }
    for name in stale {
        durable::remove_file(&dir.join(name.as_str()))?;
    }
    durable::step(Step::Write, &list, || fs::write(&list, names))?;
    Ok(total)
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

    #[test]
    fn what_is_no_longer_made_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("out");
        let pages = [(name("index.html"), &b"home"[..]), (name("old/index.html"), b"old")];
        assert_eq!(write(&dir, pages.into_iter()).unwrap(), 7);
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        write(&dir, [(name("index.html"), &b"new"[..])].into_iter()).unwrap();
        assert_eq!(fs::read(dir.join("index.html")).unwrap(), b"new");
        assert!(!dir.join("old/index.html").exists());
        assert!(dir.join("notes.txt").exists());
    }
}
