//! A browsable tree of files: what `tieup build` leaves in a folder.
//!
//! It can be built again at any time, so it is written without waiting for the disk. It is written beside the old one
//! and takes its place file by file at the end, so that a build which finds a mistake half-way changes nothing. A list
//! of its files lies beside them; the next build removes those that it no longer makes, and never touches a file that
//! it did not write.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use tieup_protocol::digest::Digest;
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

/// What stands in a folder since a tree was written there: every file of the tree with its length and the fingerprint
/// of its state on disk, which changes when anyone touches the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing(BTreeMap<String, State>);

/// A file's length, and the fingerprint of its state on disk.
type State = (u64, Digest);

#[derive(Debug, Default)]
struct Written {
    files: Vec<(SourcePath, State)>,
    /// Files of the earlier tree that this one has not.
    removed: BTreeSet<SourcePath>,
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
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.metadata()
        });
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(found) => written.files.push((name, state_of(&found))),
            Err(error) => drop(written.failed.get_or_insert(error)),
        }
    }

    /// Takes a file of the earlier tree away, when the new one is patched into it: see [`Writer::patch`].
    pub fn remove(&self, name: SourcePath) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).removed.insert(name);
    }

    /// Puts what was written into the earlier tree, which `standing` describes, and leaves all else there as it is but
    /// for what was removed. Returns what stands there then.
    ///
    /// # Errors
    /// As [`Writer::finish`].
    pub fn patch(self, mut standing: Standing) -> Result<Standing, DiskError> {
        let written = std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(error) = written.failed {
            return Err(error);
        }
        let known = |name: &SourcePath| standing.0.contains_key(name.as_str());
        let listed = written.removed.is_empty() && written.files.iter().all(|(name, _)| known(name));
        if !listed {
            let new = written.files.iter().map(|(name, _)| name.as_str());
            let names: BTreeSet<&str> = standing.0.keys().map(String::as_str).chain(new).collect();
            list(&self.dir, names.into_iter())?;
        }
        for name in &written.removed {
            durable::remove_file(&self.dir.join(name.as_str()))?;
            standing.0.remove(name.as_str());
        }
        standing.0.extend(self.move_in(written.files)?.0);
        if !listed {
            list(&self.dir, standing.0.keys().map(String::as_str))?;
        }
        Ok(standing)
    }

    /// Puts the tree in the place of the earlier one, and removes what that had and this has not. Returns what stands
    /// there then.
    ///
    /// # Errors
    /// When the disk failed in a call of [`Writer::write`], and then nothing has changed; or when it fails now, and then
    /// the next tree here puts things right.
    pub fn finish(self) -> Result<Standing, DiskError> {
        let written = std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(error) = written.failed {
            return Err(error);
        }
        let earlier = earlier(&self.dir.join(LIST))?;
        let names: BTreeSet<&str> = written.files.iter().map(|(name, _)| name.as_str()).collect();
        // Listed before they are there, so that a tree which ends half-way is known to the next.
        list(&self.dir, names.iter().copied().chain(earlier.iter().map(SourcePath::as_str)))?;
        // First, so that a file of the earlier tree does not stand where this one has a folder.
        for name in earlier.iter().filter(|name| !names.contains(name.as_str())) {
            durable::remove_file(&self.dir.join(name.as_str()))?;
        }
        let standing = self.move_in(written.files)?;
        if !earlier.is_empty() {
            list(&self.dir, standing.0.keys().map(String::as_str))?;
        }
        Ok(standing)
    }

    /// Moves what was written to where it belongs. Returns what stands there of it.
    fn move_in(&self, files: Vec<(SourcePath, State)>) -> Result<Standing, DiskError> {
        let mut moved = Vec::new();
        move_into(&self.dir.join(NEW), &self.dir, &mut moved)?;
        let mut standing: BTreeMap<String, State> =
            files.into_iter().map(|(name, state)| (name.to_string(), state)).collect();
        // A file that was moved by itself has another state then; one in a folder that was moved has not.
        let below = |path: &Path| path.strip_prefix(&self.dir).ok()?.to_str().map(str::to_owned);
        let dir = open(&self.dir);
        let look = |path: &PathBuf| {
            let name = below(path)?;
            let state = look(dir.as_ref()?, &name)?;
            Some((name, state))
        };
        standing.extend(moved.iter().filter_map(look));
        Ok(Standing(standing))
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

/// Moves what is in `from` into `to`: whole folders where there is none yet, file by file where there is. Notes the
/// files that were `moved` by themselves.
fn move_into(from: &Path, to: &Path, moved: &mut Vec<PathBuf>) -> Result<(), DiskError> {
    for source in durable::list_dir(from)? {
        let Some(name) = source.file_name() else { continue };
        let target = to.join(name);
        let is_dir = source.is_dir();
        if is_dir && target.is_dir() {
            move_into(&source, &target, moved)?;
        } else {
            durable::step(Step::Rename, &target, || fs::rename(&source, &target))?;
            moved.extend((!is_dir).then_some(target));
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

impl Standing {
    /// What stands in `dir` of the tree that was written there last.
    ///
    /// # Errors
    /// When the list of files is there and cannot be read.
    pub fn of(dir: &Path) -> Result<Self, DiskError> {
        let names = durable::read_file(&dir.join(LIST))?.unwrap_or_default();
        let names = String::from_utf8_lossy(&names);
        let names: Vec<&str> = names.lines().collect();
        // From here the way to each file is short.
        let Some(dir) = &open(dir) else { return Ok(Self::default()) };
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let looked: Vec<Vec<(String, State)>> = thread::scope(|scope| {
            let shares = names.chunks(names.len().div_ceil(threads).max(1));
            let look = |share: &[&str]| {
                let stands = share.iter().filter_map(|name| Some(((*name).to_owned(), look(dir, name)?)));
                stands.collect()
            };
            let running: Vec<_> = shares.map(|share| scope.spawn(move || look(share))).collect();
            running.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
        });
        Ok(Self(looked.into_iter().flatten().collect()))
    }

    /// One digest for all of it; none where nothing stands there.
    pub fn digest(&self) -> Option<Digest> {
        let mut states = Vec::with_capacity(self.0.len() * 96);
        for (name, (_, state)) in &self.0 {
            states.extend_from_slice(name.as_bytes());
            states.push(b'\n');
            states.extend_from_slice(state.as_bytes());
        }
        (!self.0.is_empty()).then(|| Digest::of(&states))
    }

    /// How many files there are, and their bytes.
    pub fn size(&self) -> (usize, u64) {
        (self.0.len(), self.0.values().map(|(length, _)| length).sum())
    }
}

/// The folder `dir`, to look at what is in it; none where it is not there.
fn open(dir: &Path) -> Option<OwnedFd> {
    rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// The state of the file `name` below `dir`, if it is there.
fn look(dir: &OwnedFd, name: &str) -> Option<State> {
    let found = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let is_file = FileType::from_raw_mode(found.st_mode).is_file();
    // How wide these numbers are differs between systems.
    let changed =
        [found.st_mtime.into(), found.st_mtime_nsec.into(), found.st_ctime.into(), found.st_ctime_nsec.into()];
    is_file.then(|| state(found.st_size.try_into().unwrap_or_default(), found.st_ino, changed))
}

fn state_of(found: &Metadata) -> State {
    let changed = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
    state(found.len(), found.ino(), changed.map(i128::from))
}

/// The state of a file of this length and number, `changed` being when its content and its state last did, each in
/// seconds and nanoseconds.
fn state(length: u64, number: u64, changed: [i128; 4]) -> State {
    let [seconds, part, state_seconds, state_part] = changed;
    let numbers = [length.into(), number.into(), seconds, part, state_seconds, state_part].map(i128::to_le_bytes);
    (length, Digest::of(numbers.as_flattened()))
}

fn list<'a>(dir: &Path, names: impl Iterator<Item = &'a str>) -> Result<(), DiskError> {
    let list = dir.join(LIST);
    let names: String = names.flat_map(|name| [name, "\n"]).collect();
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
        let standing = writer.finish().unwrap();
        assert_eq!(standing, Standing::of(dir).unwrap());
        standing.size()
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
    fn a_patch_leaves_all_else_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("out");
        write(&dir, &[("index.html", "home"), ("old/index.html", "old"), ("same/index.html", "same")]);
        let before = Standing::of(&dir).unwrap();
        assert_eq!(before.size(), (3, 11));
        let writer = Writer::begin(&dir).unwrap();
        writer.write(name("index.html"), b"house");
        writer.write(name("new/index.html"), b"new");
        writer.remove(name("old/index.html"));
        let after = writer.patch(before.clone()).unwrap();
        assert_eq!(after, Standing::of(&dir).unwrap());
        assert_eq!((after.size(), after.digest() == before.digest()), ((3, 12), false));
        assert_eq!(fs::read(dir.join("index.html")).unwrap(), b"house");
        assert!(dir.join("same/index.html").exists() && !dir.join("old/index.html").exists());
        fs::write(dir.join("same/index.html"), "mine").unwrap();
        assert_ne!(Standing::of(&dir).unwrap().digest(), after.digest(), "somebody changed a file");
        assert_eq!(Standing::of(&folder.path().join("none")).unwrap().digest(), None);
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
