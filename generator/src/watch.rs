//! Watching folders, so that a save in an editor is noticed.

use std::path::Path;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, DebouncedEvent, Debouncer, RecommendedCache, new_debouncer};

/// How long the folders must be quiet before a change is told: an editor writes a file in several steps.
const QUIET: Duration = Duration::from_millis(150);

/// A watch on folders. It ends when it is dropped.
pub struct Watch {
    _debouncer: Debouncer<RecommendedWatcher, RecommendedCache>,
}

impl Watch {
    /// Watches `folders` and all below them, leaving out the folder `except`; calls `changed`, from a thread of the
    /// watch's own, after each change.
    ///
    /// # Errors
    /// When a folder is missing or the operating system refuses to watch.
    pub fn start(
        folders: &[&Path],
        except: &Path,
        mut changed: impl FnMut() + Send + 'static,
    ) -> Result<Self, notify::Error> {
        let except = except.canonicalize()?;
        let roots = folders.iter().map(|folder| folder.canonicalize()).collect::<Result<Vec<_>, _>>()?;
        // A file directly in a watched folder is a source only if it is YAML; a log that somebody writes there is not.
        let beside = move |path: &Path| {
            let other = path.extension().is_some_and(|extension| extension != "yaml");
            other && roots.iter().any(|root| path.parent() == Some(root))
        };
        // Reading a file is an event too; taken for a change, it would make its own reader read for ever.
        let counts = move |event: &DebouncedEvent| {
            !event.kind.is_access() && event.paths.iter().any(|path| !path.starts_with(&except) && !beside(path))
        };
        let mut debouncer = new_debouncer(QUIET, None, move |result: DebounceEventResult| {
            // After an error of the watch nobody knows what changed, so it counts as a change.
            if result.map_or(true, |events| events.iter().any(&counts)) {
                changed();
            }
        })?;
        for folder in folders {
            debouncer.watch(folder.canonicalize()?, RecursiveMode::Recursive)?;
        }
        Ok(Self { _debouncer: debouncer })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_save_is_told_and_reading_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (site, state) = (folder.path().join("site"), folder.path().join("site/state"));
        fs::create_dir_all(&state).unwrap();
        fs::create_dir(site.join("content")).unwrap();
        fs::write(site.join("content/page.md"), "one").unwrap();
        let (sender, changes) = channel();
        let _watch = Watch::start(&[&site], &state, move || sender.send(()).unwrap()).unwrap();
        fs::read(site.join("content/page.md")).unwrap();
        fs::write(state.join("own.json"), "own").unwrap();
        fs::write(site.join("watch.log"), "told").unwrap();
        assert!(changes.recv_timeout(QUIET * 4).is_err(), "reading, the state folder or a log was taken for a change");
        fs::write(site.join("content/page.md"), "two").unwrap();
        assert!(changes.recv_timeout(Duration::from_secs(10)).is_ok());
    }
}
