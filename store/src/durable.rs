//! Durable changes to the file system: each is there after a crash or never happened.
//!
//! Every change that this crate makes to a disk goes through `step`, which names it in errors. The tests let each
//! step fail there, before it takes effect and after; with the feature `failing-writes` those of a whole daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tieup_protocol::path::SourcePath;

/// How the names of unfinished files and folders begin.
const UNFINISHED: &str = ".tmp-";

/// How the name of a folder begins that is being replaced.
const REPLACED: &str = ".old-";

/// One change to the disk, or a look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Looking at a file or folder.
    Read,
    /// Making a file.
    Create,
    /// Making a folder.
    CreateDir,
    /// Writing into a file.
    Write,
    /// Cutting a file to a length.
    Cut,
    /// Waiting until a file's bytes are on the disk.
    Sync,
    /// Waiting until a folder's names are on the disk.
    SyncDir,
    /// Giving another name.
    Rename,
    /// Removing a file or folder.
    Remove,
    /// Locking a file.
    Lock,
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("could not {step} {}", path.display())]
pub struct DiskError {
    /// What was to be done.
    pub step: Step,
    /// With which file or folder.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::CreateDir => "create the folder",
            Self::Write => "write",
            Self::Cut => "shorten",
            Self::Sync => "sync",
            Self::SyncDir => "sync the folder",
            Self::Rename => "rename to",
            Self::Remove => "remove",
            Self::Lock => "lock",
        })
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Whom the umask allows.
    Usual,
    /// The owner alone: keys.
    Owner,
}

/// Puts `bytes` at `path`, whole, in place of what was there.
///
/// Durable on return. After an error the old or the new content is there.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    replace_file(path, bytes, Access::Usual)
}

/// Like [`write_file`], for a file that its owner alone may read: mode 0600 from its first byte on.
pub fn write_private_file(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    replace_file(path, bytes, Access::Owner)
}

/// The whole of a file, or `None` where there is none.
pub fn read_file(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match step(Step::Read, path, || fs::read(path)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes a file; one that is not there is no error.
///
/// Durable on return.
pub fn remove_file(path: &Path) -> Result<(), DiskError> {
    match step(Step::Remove, path, || fs::remove_file(path)) {
        Err(error) if error.source.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_dir(parent(path)),
    }
}

/// Removes a folder with all that is in it; one that is not there is no error.
///
/// Durable on return. After an error some of it may be gone.
pub fn remove_dir_all(path: &Path) -> Result<(), DiskError> {
    match step(Step::Remove, path, || fs::remove_dir_all(path)) {
        Err(error) if error.source.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_dir(parent(path)),
    }
}

/// Makes a folder and those above it that are missing.
///
/// Durable on return.
pub fn create_dir_all(path: &Path) -> Result<(), DiskError> {
    if path.is_dir() {
        return Ok(());
    }
    create_dir_all(parent(path))?;
    match step(Step::CreateDir, path, || fs::create_dir(path)) {
        Err(error) if !path.is_dir() || error.source.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_dir(parent(path)),
    }
}

/// Gives a file or folder another name beside its own; one that is not there is no error.
///
/// Durable on return.
pub fn put_aside(path: &Path, aside: &Path) -> Result<(), DiskError> {
    if path.exists() {
        rename(path, aside)?;
    }
    sync_dir(parent(aside))
}

/// How many bytes this process may still write to the disk that `path` is on.
pub(crate) fn free_space(path: &Path) -> Result<u64, DiskError> {
    let about = step(Step::Read, path, || Ok(rustix::fs::statvfs(path)?))?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

/// Puts a folder with exactly `files` at `path`, whole, in place of the folder that was there.
///
/// Durable on return. Where a folder is replaced there is a moment in which neither is at `path`; if the process dies
/// in it, [`settle`] brings the old one back.
pub fn replace_dir(path: &Path, files: &BTreeMap<SourcePath, Vec<u8>>) -> Result<(), DiskError> {
    replace_dir_by(path, files.iter().map(|(name, bytes)| (name, bytes.as_slice())))
}

/// The same with files that stand in no map.
pub(crate) fn replace_dir_by<'a>(
    path: &Path,
    files: impl Iterator<Item = (&'a SourcePath, &'a [u8])>,
) -> Result<(), DiskError> {
    let fresh = unfinished_in(parent(path));
    let replaced = replaced_name(path);
    let done = fill_dir(&fresh, files).and_then(|()| swap_dirs(path, &fresh, &replaced));
    if done.is_err() {
        if !path.exists() && replaced.exists() {
            rename(&replaced, path)?;
        }
        discard_dir(&fresh);
    }
    discard_dir(&replaced);
    done
}

/// Clears what a crash left in `dir`: unfinished files and folders are removed, a folder whose replacement did not
/// arrive gets its name back.
///
/// Only for the process that holds the folder's lock. What this process itself has not finished is left alone.
pub fn settle(dir: &Path) -> Result<(), DiskError> {
    for entry in list_dir(dir)? {
        let Some(name) = entry.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if let Some(original) = name.strip_prefix(REPLACED) {
            settle_replaced(&entry, &dir.join(original))?;
        } else if name.starts_with(UNFINISHED) && !name.starts_with(&own_prefix()) {
            remove_any(&entry)?;
        }
    }
    Ok(())
}

/// A file under a temporary name, removed unless it is kept.
#[derive(Debug)]
pub(crate) struct UnfinishedFile {
    path: PathBuf,
    file: File,
}

impl UnfinishedFile {
    /// Makes an empty file in `dir`.
    pub(crate) fn create_in(dir: &Path, access: Access) -> Result<Self, DiskError> {
        let path = unfinished_in(dir);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if access == Access::Owner {
            options.mode(0o600);
        }
        let file = step(Step::Create, &path, || options.open(&path))?;
        Ok(Self { path, file })
    }

    /// Writes `bytes` after those already written.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        step(Step::Write, &self.path, || self.file.write_all(bytes))
    }

    /// Takes back what was written after the first `length` bytes.
    pub(crate) fn cut(&mut self, length: u64) -> Result<(), DiskError> {
        step(Step::Cut, &self.path, || {
            self.file.set_len(length)?;
            self.file.seek(SeekFrom::Start(length)).map(drop)
        })
    }

    /// Waits until the content is on the disk.
    pub(crate) fn sync(&self) -> Result<(), DiskError> {
        step(Step::Sync, &self.path, || self.file.sync_all())
    }

    /// Gives the file its name, which is durable once the folder is synced.
    pub(crate) fn rename_to(self, target: &Path) -> Result<(), DiskError> {
        rename(&self.path, target)
    }
}

impl Drop for UnfinishedFile {
    fn drop(&mut self) {
        // After `rename_to` there is nothing at this name; where removal fails, `settle` finds it.
        if self.path.exists() {
            let _ = step(Step::Remove, &self.path, || fs::remove_file(&self.path));
        }
    }
}

/// Does one change to the disk and names it where it fails.
pub(crate) fn step<T>(step: Step, path: &Path, change: impl FnOnce() -> io::Result<T>) -> Result<T, DiskError> {
    #[cfg(test)]
    let change = || crate::fault::around(step, path, change);
    #[cfg(all(feature = "failing-writes", debug_assertions))]
    let change = || crate::failing::around(step, path, change);
    change().map_err(|source| DiskError { step, path: path.to_owned(), source })
}

/// Waits until the names in `dir` are on the disk.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), DiskError> {
    step(Step::SyncDir, dir, || File::open(dir)?.sync_all())
}

/// Writes `bytes` at `at` in an open file. Durable on return.
pub(crate) fn write_at(mut file: &File, path: &Path, at: u64, bytes: &[u8]) -> Result<(), DiskError> {
    step(Step::Write, path, || {
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)
    })?;
    step(Step::Sync, path, || file.sync_all())
}

/// What lies in `dir`, in order of name.
pub fn list_dir(dir: &Path) -> Result<Vec<PathBuf>, DiskError> {
    step(Step::Read, dir, || {
        let mut paths = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    })
}

/// The folder that names `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

fn replace_file(path: &Path, bytes: &[u8], access: Access) -> Result<(), DiskError> {
    // Whoever reads the error knows the file that was to be written, and not the name it has until it is whole.
    let named = |error: DiskError| DiskError { path: path.to_owned(), ..error };
    let mut file = UnfinishedFile::create_in(parent(path), access).map_err(named)?;
    file.write(bytes).map_err(named)?;
    file.sync().map_err(named)?;
    file.rename_to(path)?;
    sync_dir(parent(path))
}

fn fill_dir<'a>(dir: &Path, files: impl Iterator<Item = (&'a SourcePath, &'a [u8])>) -> Result<(), DiskError> {
    create_dir_all(dir)?;
    let mut folders = BTreeSet::from([dir.to_owned()]);
    for (name, bytes) in files {
        let path = dir.join(name.as_str());
        create_dir_all(parent(&path))?;
        folders.insert(parent(&path).to_owned());
        let mut file = step(Step::Create, &path, || File::create_new(&path))?;
        step(Step::Write, &path, || file.write_all(bytes))?;
        step(Step::Sync, &path, || file.sync_all())?;
    }
    folders.iter().try_for_each(|folder| sync_dir(folder))
}

fn swap_dirs(path: &Path, fresh: &Path, replaced: &Path) -> Result<(), DiskError> {
    discard_dir(replaced);
    if path.exists() {
        rename(path, replaced)?;
    }
    rename(fresh, path)?;
    sync_dir(parent(path))
}

fn settle_replaced(replaced: &Path, original: &Path) -> Result<(), DiskError> {
    if original.exists() {
        return remove_any(replaced);
    }
    rename(replaced, original)?;
    sync_dir(parent(original))
}

fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    step(Step::Rename, to, || fs::rename(from, to))
}

fn remove_any(path: &Path) -> Result<(), DiskError> {
    step(Step::Remove, path, || if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) })
}

/// Removes a folder that nobody needs any more. Where that fails, [`settle`] tries again at the next start.
fn discard_dir(path: &Path) {
    if path.exists() {
        let _ = remove_any(path);
    }
}

fn replaced_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!("{REPLACED}{name}"))
}

fn unfinished_in(dir: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    dir.join(format!("{}{}", own_prefix(), NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// What the unfinished files of this process begin with. A process number alone would not do: in a container every run
/// of the daemon has the same.
fn own_prefix() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    format!("{UNFINISHED}{:016x}-", *PROCESS)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::fault::{When, at_every_step, steps_of};

    fn folder(files: &[(&str, &str)]) -> BTreeMap<SourcePath, Vec<u8>> {
        files.iter().map(|(name, text)| (name.parse().unwrap(), text.as_bytes().to_vec())).collect()
    }

    fn names(dir: &TempDir) -> Vec<String> {
        let paths = list_dir(dir.path()).unwrap();
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_file_is_synced_before_it_has_its_name_and_its_folder_after() {
        let dir = tempdir().unwrap();
        let steps = steps_of(|| write_file(&dir.path().join("a"), b"new").unwrap());
        assert_eq!(steps, [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncDir]);
        let steps = steps_of(|| create_dir_all(&dir.path().join("b/c")).unwrap());
        assert_eq!(steps, [Step::CreateDir, Step::SyncDir, Step::CreateDir, Step::SyncDir]);
        let steps = steps_of(|| remove_file(&dir.path().join("a")).unwrap());
        assert_eq!(steps, [Step::Remove, Step::SyncDir]);
    }

    #[test]
    fn a_file_is_the_old_one_or_the_new_one_whatever_fails() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let path = dir.path().join("a");
            write_file(&path, b"old").unwrap();
            let result = fault.during(|| write_file(&path, b"new"));
            let found = read_file(&path).unwrap().unwrap();
            assert!(found == b"old" || found == b"new", "{fault:?}: {found:?}");
            assert!(result.is_err() || found == b"new", "{fault:?}");
            write_file(&path, b"newer").unwrap();
            assert_eq!(read_file(&path).unwrap().unwrap(), b"newer");
        });
    }

    #[test]
    fn a_disk_that_recovers_keeps_nothing_unfinished() {
        for at in 1..5 {
            let dir = tempdir().unwrap();
            let fault = crate::fault::Fault::new(at, When::NotDone, crate::fault::Then::Recovers);
            fault.during(|| write_file(&dir.path().join("a"), b"new")).unwrap_err();
            assert!(names(&dir).iter().all(|name| name == "a"), "{fault:?}: {:?}", names(&dir));
        }
    }

    #[test]
    fn an_error_names_the_step_and_the_file() {
        let error = write_file(Path::new("/nowhere/at/all"), b"").unwrap_err();
        assert_eq!(error.to_string(), "could not create /nowhere/at/all");
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
        assert!(read_file(Path::new("/nowhere/at/all")).unwrap().is_none());
    }

    #[test]
    fn a_private_file_is_its_owners_alone() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("key");
        write_file(&path, b"old").unwrap();
        write_private_file(&path, b"secret").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_removed_file_is_gone_and_may_be_removed_again() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let path = dir.path().join("a");
            write_file(&path, b"old").unwrap();
            let result = fault.during(|| remove_file(&path));
            assert!(result.is_err() || !path.exists(), "{fault:?}");
            remove_file(&path).unwrap();
            assert!(!path.exists());
        });
    }

    #[test]
    fn folders_are_made_whatever_failed_before() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let path = dir.path().join("a/b/c");
            let result = fault.during(|| create_dir_all(&path));
            assert!(result.is_err() || path.is_dir(), "{fault:?}");
            create_dir_all(&path).unwrap();
            assert!(path.is_dir());
        });
    }

    #[test]
    fn a_folder_is_the_old_one_or_the_new_one_whatever_fails() {
        let old = folder(&[("a", "old"), ("only/old", "old")]);
        let new = folder(&[("a", "new"), ("only/new", "new")]);
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let path = dir.path().join("42");
            replace_dir(&path, &old).unwrap();
            let result = fault.during(|| replace_dir(&path, &new));
            settle(dir.path()).unwrap();
            let is = |files: &BTreeMap<SourcePath, Vec<u8>>| {
                files.iter().all(|(name, bytes)| fs::read(path.join(name.as_str())).is_ok_and(|found| found == *bytes))
            };
            assert!(is(&old) != is(&new), "{fault:?}: {result:?} {:?}", names(&dir));
            assert!(is(&new) || (result.is_err() && !path.join("only/new").exists()), "{fault:?}");
            assert!(is(&old) || !path.join("only/old").exists(), "{fault:?}");
            replace_dir(&path, &new).unwrap();
            assert!(is(&new));
        });
    }

    #[test]
    fn a_new_folder_is_whole_or_missing_whatever_fails() {
        let new = folder(&[("a", "new"), ("b/c", "new")]);
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let path = dir.path().join("42");
            let result = fault.during(|| replace_dir(&path, &new));
            settle(dir.path()).unwrap();
            assert!(result.is_err() || path.exists(), "{fault:?}");
            assert!(!path.exists() || path.join("b/c").exists(), "{fault:?}");
        });
    }

    #[test]
    fn what_another_process_left_is_settled() {
        let dir = tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, content) in [(".tmp-0-1/a", "x"), (".old-41/a", "gone"), ("41/a", "here"), (".old-42/a", "back")] {
            fs::create_dir_all(parent(&at(name))).unwrap();
            fs::write(at(name), content).unwrap();
        }
        fs::write(at(".tmp-0-2"), "x").unwrap();
        let ours = UnfinishedFile::create_in(dir.path(), Access::Usual).unwrap();
        settle(dir.path()).unwrap();
        assert!(ours.path.exists());
        drop(ours);
        assert_eq!(names(&dir), ["41", "42"]);
        assert_eq!(fs::read_to_string(at("41/a")).unwrap(), "here");
        assert_eq!(fs::read_to_string(at("42/a")).unwrap(), "back");
    }
}
