//! Watching sources for somebody who waits at a browser: a few milliseconds of quiet, and the files that changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

/// How long it must be quiet before a change is told. Editors write a file anew, or write another and rename it; the
/// steps of one save lie well below this apart. What comes later is told as a change of its own.
const QUIET: Duration = Duration::from_millis(5);

/// A change is told after this time even where it is never quiet.
const LONGEST: Duration = Duration::from_millis(100);

/// What changed.
#[derive(Debug)]
pub(super) struct Change {
    /// The files, below the folders as those were named; empty where nobody knows what changed.
    pub(super) files: Vec<PathBuf>,
    /// When the first of it was noticed.
    pub(super) noticed: SystemTime,
}

/// A watch on folders. It ends when it is dropped.
pub(super) struct SourceWatch {
    _watcher: RecommendedWatcher,
}

impl SourceWatch {
    /// Watches `folders` and all below them; calls `changed`, from a thread of the watch's own, after each change. All
    /// but the first folder may be missing.
    ///
    /// # Errors
    /// When the first folder is missing or the operating system refuses to watch.
    pub(super) fn start(
        folders: &[&Path],
        changed: impl FnMut(Change) + Send + 'static,
    ) -> Result<Self, notify::Error> {
        let (sender, events) = channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Reading a file is an event too; taken for a change, it would make its own reader read for ever.
            if !event.as_ref().is_ok_and(|event| event.kind.is_access()) {
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
        // Themes within the site are named by the longer of the two.
        names.sort_by_key(|(real, _)| std::cmp::Reverse(real.components().count()));
        thread::spawn(move || tell(&events, &names, changed));
        Ok(Self { _watcher: watcher })
    }
}

type Noticed = (notify::Result<Event>, SystemTime);

/// Gathers events until it is quiet; ends with the watcher.
fn tell(events: &Receiver<Noticed>, names: &[(PathBuf, PathBuf)], mut changed: impl FnMut(Change)) {
    while let Ok((first, noticed)) = events.recv() {
        let latest = Instant::now() + LONGEST;
        let mut gathered = vec![first];
        let ended = loop {
            let left = latest.saturating_duration_since(Instant::now());
            match events.recv_timeout(QUIET.min(left)) {
                Ok((event, _)) => gathered.push(event),
                Err(RecvTimeoutError::Timeout) if !left.is_zero() && gathered.iter().any(is_begun) => {}
                Err(RecvTimeoutError::Timeout) => break false,
                Err(RecvTimeoutError::Disconnected) => break true,
            }
        };
        changed(Change { files: files(gathered, names).unwrap_or_default(), noticed });
        if ended {
            return;
        }
    }
}

/// Whether an event is of a file that holds nothing: an editor that writes a file anew empties it first.
fn is_begun(event: &notify::Result<Event>) -> bool {
    let paths = event.iter().flat_map(|event| &event.paths);
    paths.into_iter().any(|path| fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0))
}

/// The files that events name, each once; none where an event was lost.
fn files(events: Vec<notify::Result<Event>>, names: &[(PathBuf, PathBuf)]) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    for event in events {
        let event = event.ok().filter(|event| !event.need_rescan() && !event.paths.is_empty())?;
        files.extend(event.paths.iter().map(|path| named(path, names)));
    }
    files.sort();
    files.dedup();
    Some(files)
}

fn named(path: &Path, names: &[(PathBuf, PathBuf)]) -> PathBuf {
    let below = names.iter().find_map(|(real, folder)| Some(folder.join(path.strip_prefix(real).ok()?)));
    below.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_told_by_the_names_that_the_folders_have() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("link");
        fs::create_dir_all(dir.path().join("real/content")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), &site).unwrap();
        let (sender, changes) = channel();
        let watch = SourceWatch::start(&[&site, &site.join("themes")], move |change| sender.send(change).unwrap());
        // As many editors save: into another file, which then takes the place of the first.
        fs::write(site.join("content/.page.tmp"), "two").unwrap();
        fs::rename(site.join("content/.page.tmp"), site.join("content/page.md")).unwrap();
        let mut told = Vec::new();
        while !told.contains(&site.join("content/page.md")) {
            told.extend(changes.recv_timeout(Duration::from_secs(10)).unwrap().files);
        }
        fs::read(site.join("content/page.md")).unwrap();
        drop(watch);
        assert!(changes.iter().all(|change| !change.files.is_empty()), "reading was taken for a change");
    }
}
