//! Watching folders, so that a save is noticed: a few milliseconds of quiet, and the files that changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How long it must be quiet before a change is told. Editors write a file anew, or write another and rename it; the
/// steps of one save lie well below this apart. What comes later is told as a change of its own.
const QUIET: Duration = Duration::from_millis(5);

/// A change is told after this time even where it is never quiet.
const LONGEST: Duration = Duration::from_millis(100);

/// The same where others shall not see half of a change: several files are copied, another state of a repository is
/// checked out, or one file is still being written.
const QUIET_BETWEEN_FILES: Duration = Duration::from_millis(150);

/// For how long after a change others count as belonging to it, which may have come file by file.
const FOLLOWING: Duration = Duration::from_secs(1);

/// A file that somebody holds open and writes nothing to for this long is taken up as it is.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// The longest wait for all of a change, so that a file to which somebody never stops writing holds up no other.
const LONGEST_FOR_ALL: Duration = Duration::from_mins(1);

/// What changed.
#[derive(Debug)]
pub struct Change {
    /// The files, below the folders as those were named; empty where nobody knows what changed.
    pub files: Vec<PathBuf>,
    /// When the first of it was noticed.
    pub noticed: SystemTime,
}

/// Whether a change of several files is told before all of it may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Yes: somebody looks at it.
    Eager,
    /// No: it goes to others, who shall not see half of it. Where files come slowly one after another, the first may be
    /// told alone; the others are waited for.
    Whole,
}

/// A watch on folders. It ends when it is dropped.
pub struct Watch {
    watcher: RecommendedWatcher,
}

impl Change {
    /// Both changes as one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        // Where nobody knows what changed in one of them, nobody knows what did in both.
        if self.files.is_empty() || other.files.is_empty() {
            return Self { files: Vec::new(), ..self };
        }
        self.files.extend(other.files);
        self
    }
}

impl Watch {
    /// Watches `folders` and all below them; calls `changed`, from a thread of the watch's own, after each change of files
    /// that count. All but the first folder may be missing.
    ///
    /// # Errors
    /// When the first folder is missing or the operating system refuses to watch.
    pub fn start(
        folders: &[&Path],
        counts: impl Fn(&Path) -> bool + Send + 'static,
        patience: Patience,
        changed: impl FnMut(Change) + Send + 'static,
    ) -> Result<Self, notify::Error> {
        let (sender, events) = channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Reading a file is an event too; taken for a change, it would make its own reader read for ever.
            if !event.as_ref().is_ok_and(|event| event.kind.is_access() && event.kind != WRITTEN) {
                let _ = sender.send((event, SystemTime::now()));
            }
        })?;
        let mut names: Vec<(PathBuf, PathBuf)> = Vec::new();
        for (number, folder) in folders.iter().enumerate() {
            if number > 0 && !folder.is_dir() {
                continue;
            }
            let real = folder.canonicalize()?;
            if !names.iter().any(|(watched, _)| real.starts_with(watched)) {
                watcher.watch(&real, RecursiveMode::Recursive)?;
            }
            names.push((real, folder.to_path_buf()));
        }
        // Folders within others are named by the longer of the two.
        names.sort_by_key(|(real, _)| std::cmp::Reverse(real.components().count()));
        let teller = Teller { events, names, counts, patience };
        thread::spawn(move || teller.tell(changed));
        Ok(Self { watcher })
    }

    /// The same without `folder` and all below it, if it is there: a folder that a program itself writes much to, so that
    /// it is not woken for each of its own writes.
    #[must_use]
    pub fn without(mut self, folder: &Path) -> Self {
        if let Ok(real) = folder.canonicalize() {
            // One that is not watched is none to leave out.
            let _ = self.watcher.unwatch(&real);
        }
        self
    }
}

/// Somebody who wrote to a file has closed it. Only Linux tells that.
const WRITTEN: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

/// What an event was, and when.
type Noticed = (notify::Result<Event>, SystemTime);

/// Makes changes of events.
struct Teller<C> {
    events: Receiver<Noticed>,
    names: Vec<(PathBuf, PathBuf)>,
    counts: C,
    patience: Patience,
}

/// What was gathered of a change.
#[derive(Default)]
struct Gathered {
    files: BTreeSet<PathBuf>,
    /// Those of them that somebody is writing.
    written: BTreeSet<PathBuf>,
    /// Whether something changed, and nobody knows what.
    is_unknown: bool,
}

impl<C: Fn(&Path) -> bool> Teller<C> {
    /// Tells each change; ends with the watcher.
    fn tell(self, mut changed: impl FnMut(Change)) {
        let mut told: Option<Instant> = None;
        while let Ok((event, noticed)) = self.events.recv() {
            let mut gathered = Gathered::default();
            self.take(event, &mut gathered);
            let follows = told.is_some_and(|told| told.elapsed() < FOLLOWING);
            let is_last = !gathered.is_empty() && self.gather(&mut gathered, follows);
            if !gathered.is_empty() {
                changed(Change { files: gathered.into_files(), noticed });
                told = Some(Instant::now());
            }
            if is_last {
                return;
            }
        }
    }

    /// Gathers events of a change, which `follows` another, until it is quiet; whether the watcher ended.
    fn gather(&self, gathered: &mut Gathered, follows: bool) -> bool {
        let (begun, mut latest) = (Instant::now(), Instant::now());
        loop {
            let waits = self.patience == Patience::Whole && (follows || gathered.is_several());
            let quiet = if waits { QUIET_BETWEEN_FILES } else { QUIET };
            let longest = if self.patience == Patience::Whole { LONGEST_FOR_ALL } else { LONGEST };
            let left = longest.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            match self.events.recv_timeout(quiet.min(left)) {
                Ok((event, _)) => {
                    self.take(event, gathered);
                    latest = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) if latest.elapsed() < LONGEST_PAUSE && gathered.is_written() => {}
                Err(RecvTimeoutError::Timeout) if begun.elapsed() < LONGEST && gathered.is_begun() => {}
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
        }
    }

    fn take(&self, event: notify::Result<Event>, gathered: &mut Gathered) {
        match event {
            Ok(event) if !event.need_rescan() && !event.paths.is_empty() => {
                let named = event.paths.iter().map(|path| self.named(path));
                named.filter(|path| (self.counts)(path)).for_each(|path| gathered.take(event.kind, path));
            }
            // Some events were lost.
            _ => gathered.is_unknown = true,
        }
    }

    fn named(&self, path: &Path) -> PathBuf {
        let below = self.names.iter().find_map(|(real, folder)| Some(folder.join(path.strip_prefix(real).ok()?)));
        below.unwrap_or_else(|| path.to_owned())
    }
}

impl Gathered {
    fn take(&mut self, kind: EventKind, path: PathBuf) {
        if kind == WRITTEN {
            self.written.remove(&path);
            return;
        }
        let is_written = matches!(kind, EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)));
        if is_written && cfg!(target_os = "linux") {
            self.written.insert(path.clone());
        }
        self.files.insert(path);
    }

    /// Whether somebody is writing one of the files.
    fn is_written(&self) -> bool {
        self.written.iter().any(|path| path.is_file())
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.is_unknown
    }

    /// Whether more than one file is of the change: what a save puts in the place of another is gone after it.
    fn is_several(&self) -> bool {
        self.is_unknown || self.files.iter().filter(|path| path.is_file()).nth(1).is_some()
    }

    /// Whether one of the files holds nothing: an editor that writes a file anew empties it first.
    fn is_begun(&self) -> bool {
        self.files.iter().any(|path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0))
    }

    /// The files; none where nobody knows which.
    fn into_files(self) -> Vec<PathBuf> {
        if self.is_unknown { Vec::new() } else { self.files.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::mpsc::Receiver;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    fn watch(folders: &[&Path], counts: fn(&Path) -> bool, patience: Patience) -> (Watch, Receiver<Change>) {
        let (sender, changes) = channel();
        (Watch::start(folders, counts, patience, move |change| sender.send(change).unwrap()).unwrap(), changes)
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_left_out_is_not_told_and_wakes_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        fs::create_dir_all(state.join("journal")).unwrap();
        let (sender, changes) = channel();
        let asked = move |file: &Path| {
            sender.send(file.to_owned()).unwrap();
            true
        };
        let watch = Watch::start(&[dir.path()], asked, Patience::Eager, |_| {}).unwrap().without(&state);
        fs::write(state.join("journal/entries"), "a visit").unwrap();
        fs::create_dir(state.join("cache")).unwrap();
        fs::write(state.join("cache/file"), "").unwrap();
        fs::write(dir.path().join("page.md"), "text").unwrap();
        assert_eq!(changes.recv_timeout(LONG).unwrap(), dir.path().join("page.md"));
        drop(watch);
        assert!(changes.iter().all(|file| !file.starts_with(&state)));
    }

    #[test]
    fn a_save_is_told_by_the_names_that_the_folders_have() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("link");
        fs::create_dir_all(dir.path().join("real/content")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), &site).unwrap();
        let (watch, changes) = watch(&[&site, &site.join("themes")], |_| true, Patience::Eager);
        // As many editors save: into another file, which then takes the place of the first.
        fs::write(site.join("content/.page.tmp"), "two").unwrap();
        fs::rename(site.join("content/.page.tmp"), site.join("content/page.md")).unwrap();
        let mut told = Vec::new();
        while !told.contains(&site.join("content/page.md")) {
            told.extend(changes.recv_timeout(LONG).unwrap().files);
        }
        fs::read(site.join("content/page.md")).unwrap();
        drop(watch);
        assert!(changes.iter().all(|change| !change.files.is_empty()), "reading was taken for a change");
    }

    #[test]
    fn what_does_not_count_is_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let is_page = |path: &Path| path.extension().is_some_and(|extension| extension == "md");
        let (watch, changes) = watch(&[dir.path()], is_page, Patience::Whole);
        fs::write(dir.path().join("watch.log"), "told").unwrap();
        fs::write(dir.path().join("page.md"), "one").unwrap();
        assert_eq!(changes.recv_timeout(LONG).unwrap().files, [dir.path().join("page.md")]);
        drop(watch);
        assert!(changes.iter().all(|change| change.files == [dir.path().join("page.md")]));
    }

    #[test]
    fn several_files_are_one_change_where_others_shall_not_see_half_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = (0..20).map(|number| dir.path().join(format!("page-{number:02}.md"))).collect();
        let (_watch, changes) = watch(&[dir.path()], |_| true, Patience::Whole);
        for (number, file) in files.iter().enumerate() {
            fs::write(file, "one").unwrap();
            // Beyond the first two, which come at once, each comes later than a single file is waited for.
            if number > 0 {
                thread::sleep(QUIET * 3);
            }
        }
        assert_eq!(changes.recv_timeout(LONG).unwrap().files, files);
    }

    #[test]
    fn what_comes_file_by_file_is_few_changes() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = (0..10).map(|number| dir.path().join(format!("page-{number:02}.md"))).collect();
        let (_watch, changes) = watch(&[dir.path()], |_| true, Patience::Whole);
        for file in &files {
            fs::write(file, "one").unwrap();
            thread::sleep(QUIET * 6);
        }
        let (mut told, mut count) = (Vec::new(), 0);
        while told.len() < files.len() {
            told.extend(changes.recv_timeout(LONG).unwrap().files);
            count += 1;
        }
        assert_eq!(told, files);
        // Two, unless this thread is kept waiting.
        assert!(count <= files.len() / 2, "each was a change of its own: {count}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_is_told_when_all_of_it_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.md");
        let (sender, changes) = channel();
        let read = path.clone();
        let told = move |_| sender.send(fs::read_to_string(&read).unwrap()).unwrap();
        let _watch = Watch::start(&[dir.path()], |_| true, Patience::Whole, told).unwrap();
        let mut file = fs::File::create(&path).unwrap();
        for half in ["one ", "and the other"] {
            file.write_all(half.as_bytes()).unwrap();
            thread::sleep(QUIET * 4);
        }
        drop(file);
        assert_eq!(changes.recv_timeout(LONG).unwrap(), "one and the other");
    }

    #[test]
    fn two_changes_are_one_or_nobody_knows() {
        let change = |files: &[&str]| Change {
            files: files.iter().map(PathBuf::from).collect(),
            noticed: SystemTime::UNIX_EPOCH,
        };
        assert_eq!(change(&["a"]).and(change(&["b"])).files, [PathBuf::from("a"), PathBuf::from("b")]);
        assert!(change(&["a"]).and(change(&[])).files.is_empty());
        assert!(change(&[]).and(change(&["a"])).files.is_empty());
    }
}
