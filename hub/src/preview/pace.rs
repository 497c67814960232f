//! How long a save takes to reach a browser: from the file's own time of change to when the browser had the new bytes,
//! as the browser tells. Said on the terminal, one line a change.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tieup_generator::Change;
use tieup_web::say;

/// How long a browser may take to tell that it has a change.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// How much earlier than it was noticed a file can have been saved; an earlier time was set by somebody.
const BELIEVABLE: Duration = Duration::from_secs(1);

/// The save that browsers are waited for, and the last one that arrived.
#[derive(Default)]
pub(super) struct Pace {
    waiting: Option<Saved>,
    last: Option<String>,
}

/// A change on disk that has been taken up.
pub(super) struct Saved {
    what: String,
    outcome: String,
    state: String,
    at: SystemTime,
    ready: Duration,
}

impl Saved {
    pub(super) fn new(site: &Path, change: &Change, outcome: String, state: String) -> Self {
        let at = saved_at(change);
        Self { what: what(site, &change.files), outcome, state, at, ready: Duration::ZERO }
    }

    fn line(&self, end: &str) -> String {
        format!("{}: {}, {end}", self.what, self.outcome)
    }
}

impl Pace {
    /// A save was taken up, and `lookers` browsers are told.
    pub(super) fn saved(&mut self, saved: Saved, lookers: usize, now: SystemTime) {
        self.give_up();
        let ready = now.duration_since(saved.at).unwrap_or_default();
        self.waiting = Some(Saved { ready, ..saved });
        if lookers == 0 {
            self.give_up();
        }
    }

    /// A browser had the bytes of `state` at `received`; gives the time in words if this is the first to say so.
    pub(super) fn received(&mut self, state: &str, received: SystemTime) -> Option<String> {
        let saved = self.waiting.take_if(|saved| saved.state == state)?;
        let milliseconds = received.duration_since(saved.at).unwrap_or_default().as_millis();
        say!("{}", saved.line(&format!("{milliseconds} ms to the browser")));
        self.last = Some(format!("{milliseconds} ms from save to browser"));
        self.last.clone()
    }

    /// The time that the last save took, in words.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Whether a browser is waited for.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Says what can be said of a save that no browser has told of.
    pub(super) fn give_up(&mut self) {
        if let Some(saved) = self.waiting.take() {
            say!("{}", saved.line(&format!("ready in {} ms", saved.ready.as_millis())));
        }
    }
}

/// When the change was saved: the newest of its files' times, or, where those cannot be it, when it was noticed.
fn saved_at(change: &Change) -> SystemTime {
    let times = change.files.iter().filter_map(|file| fs::metadata(file).ok()?.modified().ok());
    let believable = |time: &SystemTime| change.noticed.duration_since(*time).is_ok_and(|early| early < BELIEVABLE);
    times.filter(believable).max().unwrap_or(change.noticed)
}

/// The files of a change as an editor knows them.
fn what(site: &Path, files: &[PathBuf]) -> String {
    let hidden = |file: &Path| file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let mut shown = files.iter().filter(|file| !hidden(file) && !file.is_dir());
    let Some(first) = shown.next() else { return "something changed".to_owned() };
    let below = first.strip_prefix(site.join("content")).or_else(|_| first.strip_prefix(site)).unwrap_or(first);
    let verb = if first.exists() { "saved" } else { "removed" };
    match shown.count() {
        0 => format!("{} {verb}", below.display()),
        more => format!("{} and {more} more {verb}", below.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_runs_from_the_save_to_the_first_browser() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("content/help/delivery.md");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "new").unwrap();
        let written = fs::metadata(&file).unwrap().modified().unwrap();
        let change = Change { files: vec![file.clone()], noticed: written + Duration::from_millis(1) };
        let saved = || Saved::new(dir.path(), &change, "1 page changed".to_owned(), "a-1".to_owned());
        assert_eq!(saved().line("."), "help/delivery.md saved: 1 page changed, .");
        let mut pace = Pace::default();
        pace.saved(saved(), 2, written + Duration::from_millis(20));
        assert_eq!(pace.received("a-0", written), None, "a browser that is behind says nothing of this save");
        let told = pace.received("a-1", written + Duration::from_millis(31));
        assert_eq!(told.as_deref(), Some("31 ms from save to browser"));
        assert_eq!(pace.received("a-1", written), None, "only the first browser counts");
        // A file that was put there with an old time was saved when that was noticed.
        fs::File::options().write(true).open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(saved_at(&change), change.noticed);
    }
}
