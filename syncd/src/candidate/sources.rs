//! What the originals are made of, told apart by one digest.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tieup_protocol::digest::Digest;

/// What a partner's site is made of: one file, and folders.
pub(crate) const SITE_FILE: &str = "site.yaml";
pub(crate) const FOLDERS: [&str; 5] = ["content", "data", "slots", "static", "templates"];

/// One digest over the names and contents of everything that the partner's site in `site` is made of; none where it
/// holds something that is no file, or cannot be read: who builds it finds out what.
pub(super) fn digest(site: &Path) -> Option<Digest> {
    let mut files = vec![site.join(SITE_FILE)];
    for folder in FOLDERS.map(|folder| site.join(folder)) {
        if folder.exists() {
            add_files(folder, &mut files).ok()?;
        }
    }
    files.sort_unstable();
    let mut told = Vec::new();
    for file in files {
        for part in [file.as_os_str().as_encoded_bytes(), &fs::read(&file).ok()?] {
            told.extend_from_slice(Digest::of(part).as_bytes());
        }
    }
    Some(Digest::of(&told))
}

/// Adds every file below `folder`.
fn add_files(folder: PathBuf, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut open = vec![folder];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            } else {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_every_byte_counts_and_what_lies_beside_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        assert_eq!(digest(folder.path()), None, "there is no site");
        write(SITE_FILE, "title: A\n");
        let mut seen = vec![digest(folder.path()).unwrap()];
        let edits = [
            ("content/a.md", "a"),
            ("content/b/a.md", "a"),
            ("content/a.md", "ab"),
            ("static/a.md", ""),
            (SITE_FILE, ""),
        ];
        for (name, text) in edits {
            write(name, text);
            let now = digest(folder.path()).unwrap();
            assert!(!seen.contains(&now), "{name}: {text}");
            assert_eq!(digest(folder.path()), Some(now));
            seen.push(now);
        }
        fs::rename(folder.path().join("content/a.md"), folder.path().join("content/c.md")).unwrap();
        assert!(!seen.contains(&digest(folder.path()).unwrap()));
        let before = digest(folder.path());
        write("log", "told");
        write("state/live.json", "{}");
        assert_eq!(digest(folder.path()), before);
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("content/link.md")).unwrap();
        assert_eq!(digest(folder.path()), None, "nobody knows when it changes");
    }
}
