//! What the threads that serve share: the batch that is being gathered, and the logs that it is written to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tieup_protocol::access::{AccessEntry, Purpose};
use tieup_protocol::path::SitePath;
use tieup_protocol::period::{Month, Zone};
use tieup_store::journal::{AppendError, Appender, EntryBatch, InvalidEntryLength};

use super::batch::{Batch, Run};
use super::keeper::Message;
use crate::access_log::{NotLogged, Ticket, Visit};
use crate::visitors::{Visitor, Wish};

/// How long a log that could not be opened is left alone; visits of its month fail meanwhile.
const REST: Duration = Duration::from_secs(1);

/// How many entries are written before the keeper hashes them: some tenths of a millisecond's work.
pub(super) const HASH_AFTER: usize = 1024;

/// The visits that are recorded, and the logs that they go to.
///
/// `gathering` is locked for moments; `logs` while somebody writes. Who holds both took `logs` first.
pub(super) struct Ledger {
    gathering: Mutex<Gathering>,
    logs: Mutex<Logs>,
    keeper: Sender<Message>,
    /// Set from the first visit after a checkpoint on, until the keeper begins the next.
    dirty: AtomicBool,
}

/// What is written next.
struct Gathering {
    runs: Vec<Run>,
    /// Whose visits they are.
    ledger: Weak<Ledger>,
    /// Memory of a batch that was written.
    spare: Option<EntryBatch>,
    calendar: Calendar,
    closed: bool,
}

/// Which month it is, without asking the time zone for each visit.
struct Calendar {
    zone: Zone,
    month: Month,
    from: Timestamp,
    until: Timestamp,
}

/// The logs that are open, and what waits for one that is not.
#[derive(Default)]
pub(super) struct Logs {
    open: BTreeMap<Month, Log>,
    parked: VecDeque<Run>,
    /// How many entries were written since the keeper was told to hash.
    unhashed: usize,
}

enum Log {
    /// Visits are written to it.
    Open {
        appender: Appender,
        /// Whether the last visits could not be written, which is said once.
        failing: bool,
    },
    /// It could not be opened, and is left alone until then.
    Broken(Instant),
}

/// How the logs stand that visits go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is known to be wrong.
    Sound,
    /// The last visits of this month could not be written.
    Failing(Month),
    /// The log of this month could not be opened.
    Broken(Month),
}

impl Ledger {
    /// A ledger with no log open. What it cannot write it leaves to `keeper`.
    pub(super) fn new(zone: Zone, keeper: Sender<Message>) -> Arc<Self> {
        Arc::new_cyclic(|ledger| {
            let (ledger, calendar) = (ledger.clone(), Calendar::at(Timestamp::UNIX_EPOCH, zone));
            let gathering = Gathering { runs: Vec::new(), ledger, spare: None, calendar, closed: false };
            Self { gathering: Mutex::new(gathering), logs: Mutex::default(), keeper, dirty: AtomicBool::new(false) }
        })
    }

    /// Puts a visit into the batch that is being gathered.
    pub(super) fn record(&self, visit: &Visit<'_>) -> Ticket {
        let entry = entry(visit);
        let mut gathering = self.gathering();
        // An entry is as long as its path at most allows, far less than a log does.
        let pushed = if gathering.closed { None } else { gathering.push(&entry).ok() };
        drop(gathering);
        let Some(batch) = pushed else {
            let refused = Batch::of(Weak::new());
            refused.finish(Err(NotLogged));
            return Ticket::new(Arc::new(refused));
        };
        if !self.dirty.load(Ordering::Relaxed) && !self.dirty.swap(true, Ordering::AcqRel) {
            self.tell(Message::Dirty);
        }
        Ticket::new(batch)
    }

    /// Writes what has been gathered, unless another thread is writing: it will wake who waits.
    pub(super) fn write_unless_somebody_does(self: &Arc<Self>) {
        let logs = match self.logs.try_lock() {
            Ok(logs) => logs,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        self.write_to(logs);
    }

    /// Writes what has been gathered, after whoever is writing. From here on what comes makes the ledger dirty again.
    pub(super) fn flush(self: &Arc<Self>) {
        self.dirty.store(false, Ordering::Release);
        self.write_to(self.logs());
    }

    /// Gives `month` its log, or says that it could not be opened, and writes what has waited for it.
    pub(super) fn opened(self: &Arc<Self>, month: Month, appender: Option<Appender>) {
        let mut logs = self.logs();
        let log = match appender {
            Some(appender) => Log::Open { appender, failing: false },
            None => Log::Broken(Instant::now() + REST),
        };
        logs.open.insert(month, log);
        for run in std::mem::take(&mut logs.parked) {
            self.write(&mut logs, run);
        }
        self.write_to(logs);
    }

    /// Whether it is known at `now` what becomes of visits of `month`.
    pub(super) fn knows(&self, month: Month, now: Instant) -> bool {
        self.logs().knows(month, now)
    }

    /// Whether nothing of `month` is open, waits, or is being gathered: what the disk holds of it is all there is.
    pub(super) fn is_at_rest(&self, month: Month) -> bool {
        let logs = self.logs();
        let of_month = |run: &Run| run.month == month;
        let waits = logs.parked.iter().any(of_month);
        !logs.open.contains_key(&month) && !waits && !self.gathering().runs.iter().any(of_month)
    }

    /// How the logs stand that visits go to.
    pub(super) fn standing(&self) -> Standing {
        let logs = self.logs();
        let failing =
            logs.open.iter().find_map(|(month, log)| matches!(log, Log::Open { failing: true, .. }).then_some(*month));
        let broken = logs.open.iter().find_map(|(month, log)| matches!(log, Log::Broken(_)).then_some(*month));
        match (broken, failing) {
            (Some(month), _) => Standing::Broken(month),
            (None, Some(month)) => Standing::Failing(month),
            (None, None) => Standing::Sound,
        }
    }

    /// From here on visits of `month` wait until its log was opened.
    pub(super) fn shut(&self, month: Month) {
        self.logs().open.remove(&month);
    }

    /// From here on nothing is recorded; what has been and cannot be written is said not to be.
    pub(super) fn close(self: &Arc<Self>) {
        self.gathering().closed = true;
        let mut logs = self.logs();
        for run in std::mem::take(&mut logs.parked).into_iter().chain(self.take()) {
            run.batch.finish(Err(NotLogged));
        }
    }

    fn write_to(self: &Arc<Self>, mut logs: MutexGuard<'_, Logs>) {
        let mut written = None;
        for run in self.take() {
            written = self.write(&mut logs, run).or(written);
        }
        drop(logs);
        let mut gathering = self.gathering();
        gathering.spare = written.or(gathering.spare.take());
        let waiting: Vec<Arc<Batch>> = gathering.runs.iter().map(|run| run.batch.clone()).collect();
        drop(gathering);
        // Who came meanwhile found this thread writing, and waits; the first of them writes next.
        for batch in waiting {
            batch.wake();
        }
    }

    /// Takes what has been gathered.
    fn take(&self) -> Vec<Run> {
        std::mem::take(&mut self.gathering().runs)
    }

    /// Writes visits, or leaves them to the keeper where they are of a month whose log is not open.
    ///
    /// Gives back memory that serves again.
    fn write(&self, logs: &mut Logs, run: Run) -> Option<EntryBatch> {
        if !logs.knows(run.month, Instant::now()) {
            self.tell(Message::Open(run.month));
            logs.parked.push_back(run);
            return None;
        }
        run.batch.finish(logs.append(&run));
        if logs.unhashed >= HASH_AFTER {
            logs.unhashed = 0;
            self.tell(Message::Hash);
        }
        let mut spare = run.entries;
        spare.clear();
        Some(spare)
    }

    fn tell(&self, message: Message) {
        // Where the keeper has ended, the ledger is closed, and nobody is left waiting.
        let _ = self.keeper.send(message);
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.gathering.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn logs(&self) -> MutexGuard<'_, Logs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathering {
    /// Takes in a visit, and gives what it is written with.
    fn push(&mut self, entry: &AccessEntry<&SitePath>) -> Result<Arc<Batch>, InvalidEntryLength> {
        let month = self.calendar.month(entry.time);
        if self.runs.last().is_none_or(|run| run.month != month) {
            let batch = Arc::new(Batch::of(self.ledger.clone()));
            self.runs.push(Run { month, entries: self.spare.take().unwrap_or_default(), batch });
        }
        let run = self.runs.last_mut().expect("a run was there, or has been added");
        run.entries.push(|bytes| entry.encode_into(bytes))?;
        Ok(run.batch.clone())
    }
}

impl Calendar {
    fn at(time: Timestamp, zone: Zone) -> Self {
        let month = Month::of(time, &zone);
        Self { from: month.start(&zone), until: month.next().start(&zone), month, zone }
    }

    fn month(&mut self, time: Timestamp) -> Month {
        if time < self.from || time >= self.until {
            *self = Self::at(time, self.zone.clone());
        }
        self.month
    }
}

impl Logs {
    /// Whether it is known at `now` what becomes of visits of `month`.
    fn knows(&self, month: Month, now: Instant) -> bool {
        match self.open.get(&month) {
            Some(Log::Open { .. }) => true,
            Some(Log::Broken(until)) => now < *until,
            None => false,
        }
    }

    fn append(&mut self, run: &Run) -> Result<(), NotLogged> {
        let Some(Log::Open { appender, failing }) = self.open.get_mut(&run.month) else { return Err(NotLogged) };
        let appended = appender.append(&run.entries);
        let failed_before = std::mem::replace(failing, appended.is_err());
        let Err(error) = appended else {
            self.unhashed += run.entries.len();
            return Ok(());
        };
        if !failed_before {
            tracing::error!(month = %run.month, error = &error as &dyn std::error::Error, "visits cannot be logged");
        }
        if matches!(error, AppendError::Unsure(_)) {
            // The keeper opens it anew for the next batch.
            self.open.remove(&run.month);
        }
        Err(NotLogged)
    }
}

/// The entry for a visit.
fn entry<'a>(visit: &Visit<'a>) -> AccessEntry<&'a SitePath> {
    let Visitor { token, agent, robot, referrer, wish } = visit.visitor;
    let purpose = match (visit.purpose, wish) {
        (Purpose::Document, Wish::Prefetch) => Purpose::Prefetch,
        (purpose, _) => purpose,
    };
    AccessEntry {
        time: visit.time,
        class: visit.class,
        method: visit.method,
        status: visit.status.as_u16(),
        bytes: visit.bytes,
        purpose,
        visitor: token,
        agent,
        robot,
        referrer,
        path: visit.path,
    }
}
