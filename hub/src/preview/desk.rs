//! What everybody who looks at a preview shares: the site, the name of its state, and how fast the last save was.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use jiff::Timestamp;
use tieup_generator::{Change, Effect, Refreshed, Shown, Workbench};
use tieup_protocol::diagnostic::Report;
use tieup_web::terminal;
use tokio::sync::broadcast;

use super::pace::{Pace, Saved};

/// How many changes a browser may be behind before it fetches its page anyway.
const BACKLOG: usize = 16;

/// What everybody who looks at a preview shares.
pub(super) struct Desk {
    site: PathBuf,
    bench: RwLock<Workbench>,
    /// Tells this run of the preview from earlier ones, whose pages may still be open.
    run: String,
    number: AtomicU64,
    told: broadcast::Sender<Told>,
    pace: Mutex<Pace>,
}

/// What browsers are told of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The state of the site after it.
    pub(super) state: String,
    /// What to fetch again; where that is nothing, other mistakes are shown.
    pub(super) effect: Effect,
}

impl Desk {
    pub(super) fn new(site: &Path, bench: Workbench) -> Self {
        Self {
            site: site.to_owned(),
            bench: RwLock::new(bench),
            run: format!("{:x}", Timestamp::now().as_microsecond()),
            number: AtomicU64::new(0),
            told: broadcast::Sender::new(BACKLOG),
            pace: Mutex::default(),
        }
    }

    /// The site, to look at.
    pub(super) fn bench(&self) -> RwLockReadGuard<'_, Workbench> {
        self.bench.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn bench_to_change(&self) -> RwLockWriteGuard<'_, Workbench> {
        self.bench.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How fast saves reach the browser.
    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the site's state, which differs after every change.
    pub(super) fn state(&self) -> String {
        format!("{}-{}", self.run, self.number.load(Ordering::SeqCst))
    }

    /// Hears of every change from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Told> {
        self.told.subscribe()
    }

    /// Takes up what changed on disk, and tells everybody who looks.
    pub(super) fn take_up(&self, change: &Change) {
        if let Some((outcome, state)) = self.change(|bench| bench.refresh(&change.files, Timestamp::now())) {
            let saved = Saved::new(&self.site, change, outcome, state);
            self.pace().saved(saved, self.told.receiver_count(), SystemTime::now());
        }
    }

    /// Looks at everything again, as when a page goes live by itself.
    pub(super) fn look_again(&self) {
        self.change(|bench| bench.refresh(&[], Timestamp::now()));
    }

    /// Shows other pages than before, to everybody.
    pub(super) fn show(&self, shown: Shown) {
        if self.bench().shown() != shown {
            self.change(|bench| bench.show(shown, Timestamp::now()));
        }
    }

    /// Tells on the terminal what is wrong.
    pub(super) fn complain(&self) {
        if let Some(report) = self.bench().report() {
            terminal::complain(&report);
        }
    }

    /// Makes a change and tells it; gives its outcome in words and the new state, where anything is otherwise.
    fn change(&self, make: impl FnOnce(&mut Workbench) -> Refreshed) -> Option<(String, String)> {
        let mut bench = self.bench_to_change();
        let before = bench.report();
        let refreshed = make(&mut bench);
        let after = bench.report();
        if refreshed.effect == Effect::Nothing && before == after {
            return None;
        }
        // While the site is locked, so that no page of the new state carries the name of the old one.
        self.number.fetch_add(1, Ordering::SeqCst);
        drop(bench);
        let state = self.state();
        // Nobody may be looking.
        let _ = self.told.send(Told { state: state.clone(), effect: refreshed.effect });
        if after.is_some() && before != after {
            self.complain();
        }
        Some((outcome(refreshed, before.as_ref(), after.as_ref()), state))
    }
}

fn outcome(refreshed: Refreshed, before: Option<&Report>, after: Option<&Report>) -> String {
    match (after, refreshed.effect) {
        (Some(report), _) => mistakes(report),
        (None, Effect::Styles) => "other styles".to_owned(),
        (None, Effect::Nothing) => "mended".to_owned(),
        (None, Effect::Page) => {
            let mended = if before.is_some() { "mended, " } else { "" };
            let pages = if refreshed.pages == 1 { "page" } else { "pages" };
            format!("{mended}{} {pages} changed", refreshed.pages)
        }
    }
}

/// How many mistakes there are, in words.
pub(super) fn mistakes(report: &Report) -> String {
    match report.diagnostics().len() {
        1 => "1 mistake".to_owned(),
        more => format!("{more} mistakes"),
    }
}
