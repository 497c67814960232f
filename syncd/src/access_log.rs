//! The access log: one thread owns the journal, and every visit waits until its entry is written.
//!
//! Visits that arrive together are written together. A checkpoint is signed, and everything before it made durable,
//! at most a second after a visit.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tieup_protocol::access::{AccessEntry, Purpose};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Zone};
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::{
    AppendError, CosignedError, CosignerVerifier, JournalReader, JournalWriter, LogSigner, OpenError, Origin,
    ReadError, SignError, month_dir, months,
};
use tieup_web::site::{AccessLog, Caller, NotLogged, Pending, Ticket, Visit};
use tieup_web::visitors::{Remembered, SystemRandomness, Visitor, VisitorKey, Wish};
use tokio::sync::oneshot;

/// The longest time between a visit and the signed checkpoint that covers it.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);

/// The most visits that are written in one go.
const BATCH: usize = 1024;

/// Where journals are and in whose name they are signed.
#[derive(Clone)]
pub struct JournalSetup {
    /// The folder with a folder for each month.
    pub dir: PathBuf,
    /// The main site.
    pub main: SiteId,
    /// This partner.
    pub partner: SiteId,
    /// The time zone that cuts months.
    pub zone: Zone,
    /// The key that signs checkpoints.
    pub signer: LogSigner,
    /// The key that main cosigns with.
    pub cosigner: CosignerVerifier,
}

/// Why the journal could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A month's log could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Entries could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A checkpoint could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A cosignature was not accepted.
    #[error(transparent)]
    Cosigned(#[from] CosignedError),
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is no journal of this month.
    #[error("there is no journal of {0}")]
    NoMonth(Month),
    /// The journal's thread has ended.
    #[error("the journal is closed")]
    Closed,
}

/// The partner's journal. Clones are not needed: it is shared behind an `Arc`.
pub struct Journal {
    sender: Mutex<Sender<Message>>,
    key: VisitorKey,
    dir: PathBuf,
    readers: Readers,
}

/// A reader of each month that has been asked for or written; opening one reads the whole log.
type Readers = Arc<Mutex<BTreeMap<Month, JournalReader>>>;

/// An entry, and whom to tell that it has been written.
type PendingVisit = (AccessEntry, Reply);

enum Message {
    Append(AccessEntry, Reply),
    Checkpoint(Month, oneshot::Sender<Result<String, JournalError>>),
    Cosigned(Month, String, oneshot::Sender<Result<(), JournalError>>),
    Close,
}

impl Journal {
    /// Starts the thread that owns the journal. It ends, with a last checkpoint, at [`Journal::close`].
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn start(setup: JournalSetup) -> Result<(Self, thread::JoinHandle<()>), DiskError> {
        durable::create_dir_all(&setup.dir)?;
        let (sender, receiver) = channel();
        let (dir, readers) = (setup.dir.clone(), Readers::default());
        let keeper =
            Keeper { setup, readers: readers.clone(), open: BTreeMap::new(), dirty_since: None, closed: false };
        let thread = thread::spawn(move || keeper.run(&receiver));
        let key = VisitorKey::new(Timestamp::now().as_second(), &SystemRandomness);
        Ok((Self { sender: Mutex::new(sender), key, dir, readers }, thread))
    }

    /// The months of which there is a journal, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn months(&self) -> Result<Vec<Month>, DiskError> {
        months(&self.dir)
    }

    /// A reader of one month, which sees what is appended later too.
    ///
    /// # Errors
    /// When there is no journal of that month or it cannot be read.
    pub fn reader(&self, month: Month) -> Result<JournalReader, JournalError> {
        if !self.months()?.contains(&month) {
            return Err(JournalError::NoMonth(month));
        }
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = readers.get(&month) {
            return Ok(reader.clone());
        }
        let reader = JournalReader::open(month_dir(&self.dir, month))?;
        readers.insert(month, reader.clone());
        Ok(reader)
    }

    /// A signed checkpoint over everything that has been logged in `month` so far.
    ///
    /// # Errors
    /// When there is no journal of that month or it cannot be signed.
    pub async fn checkpoint(&self, month: Month) -> Result<String, JournalError> {
        if !self.months()?.contains(&month) {
            return Err(JournalError::NoMonth(month));
        }
        let (reply, answer) = oneshot::channel();
        self.send(Message::Checkpoint(month, reply));
        answer.await.map_err(|_| JournalError::Closed)?
    }

    /// Keeps main's cosignature.
    ///
    /// # Errors
    /// When it is not main's, or not of this log.
    pub async fn keep_cosigned(&self, month: Month, note: String) -> Result<(), JournalError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Cosigned(month, note, reply));
        answer.await.map_err(|_| JournalError::Closed)?
    }

    /// Ends the journal's thread after what has been sent to it. Visits after that are not logged, so not served.
    pub fn close(&self) {
        self.send(Message::Close);
    }

    fn send(&self, message: Message) {
        // When the thread has ended, the reply channel inside the message is dropped, and its owner learns so.
        let _ = self.sender.lock().unwrap_or_else(PoisonError::into_inner).send(message);
    }
}

impl AccessLog for Journal {
    fn recognise(&self, caller: &Caller<'_>, remembered: &mut Remembered) -> Visitor {
        self.key.recognise(caller, remembered, &SystemRandomness)
    }

    fn record(&self, visit: &Visit<'_>) -> Ticket {
        let waiting = Arc::new(Waiting::default());
        let reply = Reply(waiting.clone());
        self.send(Message::Append(entry(visit), reply));
        Ticket::new(waiting)
    }
}

/// The entry for a visit.
fn entry(visit: &Visit<'_>) -> AccessEntry {
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
        path: visit.path.clone(),
    }
}

/// A visit whose entry is not written yet, and who waits for that.
#[derive(Default)]
struct Waiting(Mutex<Answered>);

/// What became of a visit, and whom to wake.
#[derive(Default)]
struct Answered {
    outcome: Option<Result<(), NotLogged>>,
    waker: Option<Waker>,
}

impl Pending for Waiting {
    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<Result<(), NotLogged>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.waker = Some(cx.waker().clone());
        waiting.outcome.map_or(Poll::Pending, Poll::Ready)
    }
}

/// Whom to tell that a visit was written; dropped unsaid, it was not.
struct Reply(Arc<Waiting>);

impl Reply {
    fn send(&self, outcome: Result<(), NotLogged>) {
        let mut waiting = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.outcome.get_or_insert(outcome);
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.send(Err(NotLogged));
    }
}

/// The thread's state: the months that have been written or asked for, and since when there are entries without a
/// checkpoint.
struct Keeper {
    setup: JournalSetup,
    readers: Readers,
    open: BTreeMap<Month, JournalWriter>,
    dirty_since: Option<Instant>,
    closed: bool,
}

impl Keeper {
    fn run(mut self, receiver: &Receiver<Message>) {
        while !self.closed {
            let left = self.dirty_since.map(|since| CHECKPOINT_INTERVAL.saturating_sub(since.elapsed()));
            if left == Some(Duration::ZERO) {
                // Due now, however many visits are waiting.
                self.sign();
                continue;
            }
            match receiver.recv_timeout(left.unwrap_or(Duration::MAX)) {
                Ok(message) => self.handle(message, receiver),
                Err(RecvTimeoutError::Timeout) => self.sign(),
                Err(RecvTimeoutError::Disconnected) => self.closed = true,
            }
        }
        self.sign();
    }

    /// Handles a message and those that have piled up behind it; visits are written together.
    fn handle(&mut self, first: Message, receiver: &Receiver<Message>) {
        let mut visits = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Append(entry, reply) => visits.push((entry, reply)),
                Message::Checkpoint(month, reply) => {
                    self.append(std::mem::take(&mut visits));
                    let _ = reply.send(self.checkpoint(month));
                }
                Message::Cosigned(month, note, reply) => {
                    let _ = reply.send(self.keep_cosigned(month, &note));
                }
                Message::Close => self.closed = true,
            }
            next = if visits.len() < BATCH { receiver.try_recv().ok() } else { None };
        }
        self.append(visits);
    }

    fn append(&mut self, mut visits: Vec<PendingVisit>) {
        while let Some((first, _)) = visits.first() {
            let month = Month::of(first.time, &self.setup.zone);
            let same_month = |(entry, _): &PendingVisit| Month::of(entry.time, &self.setup.zone) == month;
            let count = visits.iter().take_while(|visit| same_month(visit)).count();
            let batch: Vec<PendingVisit> = visits.drain(..count).collect();
            let written = self.write(month, &batch);
            for (_, reply) in batch {
                reply.send(if written { Ok(()) } else { Err(NotLogged) });
            }
        }
    }

    /// Writes visits of one month; whether they are in the journal now.
    fn write(&mut self, month: Month, visits: &[PendingVisit]) -> bool {
        let entries: Vec<Vec<u8>> = visits.iter().map(|(entry, _)| entry.encode()).collect();
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        match self.writer(month).and_then(|writer| Ok(writer.append(&entries)?)) {
            Ok(_) => {
                self.dirty_since.get_or_insert_with(Instant::now);
                true
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "visits could not be logged");
                self.open.remove(&month);
                false
            }
        }
    }

    /// Signs every month that has entries without a checkpoint; the others have nothing to sign.
    fn sign(&mut self) {
        self.dirty_since = None;
        self.open.retain(|month, writer| match writer.checkpoint() {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(%month, error = &error as &dyn std::error::Error, "the journal could not be signed");
                false
            }
        });
    }

    fn checkpoint(&mut self, month: Month) -> Result<String, JournalError> {
        Ok(self.writer(month)?.checkpoint()?.note().to_owned())
    }

    fn keep_cosigned(&mut self, month: Month, note: &str) -> Result<(), JournalError> {
        let cosigner = self.setup.cosigner.clone();
        self.writer(month)?.keep_cosigned(note, &cosigner)?;
        Ok(())
    }

    /// The writer of `month`, which stays open: opening one reads the month's whole log.
    fn writer(&mut self, month: Month) -> Result<&mut JournalWriter, JournalError> {
        match self.open.entry(month) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(vacant) => {
                let dir = month_dir(&self.setup.dir, month);
                durable::create_dir_all(&dir)?;
                let origin = Origin::new(&self.setup.main, &self.setup.partner, month);
                let writer = JournalWriter::open(&dir, origin, self.setup.signer.clone())?;
                self.readers.lock().unwrap_or_else(PoisonError::into_inner).insert(month, writer.reader());
                Ok(vacant.insert(writer))
            }
        }
    }
}
