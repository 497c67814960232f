//! Watching folders, so that a save in an editor is noticed.

use std::path::Path;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{DebounceEventResult, Debouncer, new_debouncer};

/// How long the folders must be quiet before a change is told: an editor writes a file in several steps.
const QUIET: Duration = Duration::from_millis(150);

/// A watch on folders. It ends when it is dropped.
pub struct Watch {
    _debouncer: Debouncer<RecommendedWatcher>,
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
        let mut debouncer = new_debouncer(QUIET, move |result: DebounceEventResult| {
            // After an error of the watch nobody knows what changed, so it counts as a change.
            if result.map_or(true, |events| events.iter().any(|event| !event.path.starts_with(&except))) {
                changed();
            }
        })?;
        for folder in folders {
            debouncer.watcher().watch(&folder.canonicalize()?, RecursiveMode::Recursive)?;
        }
        Ok(Self { _debouncer: debouncer })
    }
}
