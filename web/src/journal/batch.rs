//! Visits that are written together, and those who wait for them.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tieup_protocol::period::Month;
use tieup_store::journal::EntryBatch;

use super::ledger::Ledger;
use crate::access_log::{NotLogged, Pending};

/// The outcome of a batch that is not written yet.
const OPEN: u8 = 0;
/// It was written.
const WRITTEN: u8 = 1;
/// It was not.
const FAILED: u8 = 2;

/// The fate of visits that are written together.
pub(super) struct Batch {
    ledger: Weak<Ledger>,
    outcome: AtomicU8,
    waiting: Mutex<Vec<Waker>>,
}

/// Entries of one month that follow each other: they are logged together or not at all.
pub(super) struct Run {
    pub(super) month: Month,
    pub(super) entries: EntryBatch,
    /// What becomes of them.
    pub(super) batch: Arc<Batch>,
}

impl Batch {
    /// A batch of `ledger` that nothing has become of.
    pub(super) fn of(ledger: Weak<Ledger>) -> Self {
        Self { ledger, outcome: AtomicU8::new(OPEN), waiting: Mutex::default() }
    }

    /// Says what became of it, and wakes all who wait. The first word stands.
    pub(super) fn finish(&self, outcome: Result<(), NotLogged>) {
        let outcome = if outcome.is_ok() { WRITTEN } else { FAILED };
        // Who finds it open after this has not been woken by it.
        let _ = self.outcome.compare_exchange(OPEN, outcome, Ordering::AcqRel, Ordering::Acquire);
        self.wake();
    }

    /// Wakes all who wait.
    pub(super) fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }

    fn outcome(&self) -> Option<Result<(), NotLogged>> {
        match self.outcome.load(Ordering::Acquire) {
            OPEN => None,
            WRITTEN => Some(Ok(())),
            _ => Some(Err(NotLogged)),
        }
    }

    fn wait(&self, cx: &Context<'_>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
    }
}

impl Pending for Batch {
    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<Result<(), NotLogged>> {
        if let Some(outcome) = self.outcome() {
            return Poll::Ready(outcome);
        }
        let Some(ledger) = self.ledger.upgrade() else { return Poll::Ready(Err(NotLogged)) };
        ledger.write_unless_somebody_does();
        if self.outcome().is_none() {
            self.wait(cx);
            // Whoever was writing may have ended before this one waited, and not have seen it.
            ledger.write_unless_somebody_does();
        }
        self.outcome().map_or(Poll::Pending, Poll::Ready)
    }
}
