//! The thread that keeps the logs: it opens them, and signs checkpoints behind those who write.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tieup_protocol::access::{AccessEntry, CODEC, InvalidEntry};
use tieup_protocol::period::Month;
use tieup_store::journal::{JournalWriter, Sealer, SignError, cosigned_note, month_dir};
use tokio::sync::oneshot;

use super::ledger::Ledger;
use super::{JournalError, JournalSetup, Readers};
use crate::visitors::{SystemRandomness, VisitorKey};

/// How long after a visit its checkpoint is begun: so that hashing, syncing and signing are over within a second of it.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(800);

/// The longest time, in seconds, after which the keeper looks which day it is.
const LONGEST_REST: u64 = 600;

/// What the keeper is asked to do.
pub(super) enum Message {
    /// Something has been recorded since the last checkpoint.
    Dirty,
    /// So many entries were written since this was said last that they are better hashed now than with the next checkpoint.
    Hash,
    /// Visits wait for the log of this month.
    Open(Month),
    /// A checkpoint is wanted now.
    Checkpoint(Month, oneshot::Sender<Result<String, JournalError>>),
    /// A checkpoint came back cosigned.
    Cosigned(Month, String, oneshot::Sender<Result<(), JournalError>>),
    /// It is over.
    Close,
}

/// The thread's state: the months that have been written or asked for, and since when there are entries without a
/// checkpoint.
pub(super) struct Keeper {
    setup: JournalSetup,
    readers: Readers,
    ledger: Arc<Ledger>,
    /// The key of visitors' tokens, which is not to outlast its day.
    key: Arc<VisitorKey>,
    open: BTreeMap<Month, Sealer>,
    /// The months whose logs could not be opened the last time, which is said once.
    failing: BTreeSet<Month>,
    pub(super) dirty_since: Option<Instant>,
    closed: bool,
}

impl Keeper {
    /// A keeper of the logs that `ledger` writes. None is open yet.
    pub(super) fn new(setup: JournalSetup, readers: Readers, ledger: Arc<Ledger>, key: Arc<VisitorKey>) -> Self {
        let (open, failing) = (BTreeMap::new(), BTreeSet::new());
        Self { setup, readers, ledger, key, open, failing, dirty_since: None, closed: false }
    }

    /// Keeps the logs until it is told to end.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        self.begin(Timestamp::now());
        while !self.closed {
            let left = self.dirty_since.map(|since| CHECKPOINT_INTERVAL.saturating_sub(since.elapsed()));
            if left == Some(Duration::ZERO) {
                // Due now, however many messages are waiting.
                self.seal();
                continue;
            }
            let until_midnight = self.key.turn(Timestamp::now().as_second(), &SystemRandomness);
            // A clock that was set, or a machine that slept, is noticed before long.
            let rest = Duration::from_secs(until_midnight.min(LONGEST_REST));
            match messages.recv_timeout(left.unwrap_or(rest)) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) if left.is_some() => self.seal(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.closed = true,
            }
        }
        self.end(messages);
    }

    /// Opens the log of the month that it is, where it was begun, before anybody asks for anything.
    fn begin(&mut self, now: Timestamp) {
        let month = Month::of(now, &self.setup.zone);
        if month_dir(&self.setup.dir, month).is_dir() {
            self.open(month, Instant::now());
        }
    }

    /// Does what it is asked to.
    pub(super) fn handle(&mut self, message: Message) {
        match message {
            Message::Dirty => {
                self.dirty_since.get_or_insert_with(Instant::now);
            }
            Message::Hash => self.hash(),
            Message::Open(month) => self.open(month, Instant::now()),
            Message::Checkpoint(month, reply) => {
                self.ledger.flush();
                let _ = reply.send(self.checkpoint(month));
            }
            Message::Cosigned(month, note, reply) => {
                let _ = reply.send(self.keep_cosigned(month, &note));
            }
            Message::Close => self.closed = true,
        }
    }

    /// Writes and signs what has been recorded, after which nothing more is.
    fn end(&mut self, messages: &Receiver<Message>) {
        self.ledger.flush();
        // What was recorded last may be of a month that is not open.
        for message in messages.try_iter() {
            if let Message::Open(month) = message {
                self.open(month, Instant::now());
            }
        }
        self.ledger.close();
        self.seal();
    }

    /// Opens the log of a month that visits wait for, unless that has been done meanwhile, or failed just before `now`:
    /// each batch that waited has asked for it.
    pub(super) fn open(&mut self, month: Month, now: Instant) {
        if !self.ledger.knows(month, now) {
            self.reopen(month);
        }
    }

    /// Opens a log anew. Nobody writes to it while it is put right.
    fn reopen(&mut self, month: Month) {
        self.ledger.shut(month);
        self.open.remove(&month);
        let Err(error) = self.sealer(month) else { return };
        if self.failing.insert(month) {
            tracing::error!(%month, error = &error as &dyn std::error::Error, "the journal could not be opened");
        }
        self.ledger.opened(month, None);
    }

    /// Hashes what has been written. Where visitors are answered on the same processor, they wait for as long as that takes, which
    /// for all entries of a busy site between two checkpoints would be many times as long. (While the disk is waited for, they
    /// gather all the same.)
    fn hash(&mut self) {
        for (month, sealer) in &mut self.open {
            if let Err(error) = sealer.hash_appended() {
                tracing::error!(%month, error = &error as &dyn std::error::Error, "the journal could not be hashed");
            }
        }
    }

    /// Signs every month that has entries without a checkpoint; the others have nothing to sign.
    pub(super) fn seal(&mut self) {
        self.dirty_since = None;
        self.ledger.flush();
        let months: Vec<Month> = self.open.keys().copied().collect();
        for month in months {
            if let Err(error) = self.checkpoint(month) {
                tracing::error!(%month, error = &error as &dyn std::error::Error, "the journal could not be signed");
                self.dirty_since = Some(Instant::now());
            }
        }
    }

    /// Signs for a month. Where a failure left it unsure what the disk holds, its log is opened anew first.
    fn checkpoint(&mut self, month: Month) -> Result<String, JournalError> {
        match self.sealer(month)?.checkpoint() {
            Err(SignError::Unsure(_)) => self.reopen(month),
            signed => return Ok(signed?.note().to_owned()),
        }
        Ok(self.sealer(month)?.checkpoint()?.note().to_owned())
    }

    fn keep_cosigned(&mut self, month: Month, note: &str) -> Result<(), JournalError> {
        if cosigned_note(&month_dir(&self.setup.dir, month))?.is_some_and(|kept| kept == note.as_bytes()) {
            // Main shows again what is kept here already: no log needs to be read for that.
            return Ok(());
        }
        let cosigner = self.setup.cosigner.clone();
        self.sealer(month)?.keep_cosigned(note, &cosigner)?;
        Ok(())
    }

    /// The half of `month`'s log that signs. It stays open, and so does the other: opening a log reads it whole.
    fn sealer(&mut self, month: Month) -> Result<&mut Sealer, JournalError> {
        match self.open.entry(month) {
            Entry::Occupied(open) => Ok(open.into_mut()),
            Entry::Vacant(vacant) => {
                let origin = self.setup.origin(month);
                let (dir, signer) = (month_dir(&self.setup.dir, month), self.setup.signer.clone());
                let writer = JournalWriter::open_checked(&dir, origin, signer, may_be_visit)?;
                let (appender, sealer) = writer.into_halves();
                self.readers.lock().unwrap_or_else(PoisonError::into_inner).insert(month, sealer.reader());
                self.failing.remove(&month);
                // What waited for the log is written to it now, and what a killed process left there is not signed for either.
                // Nobody says so again.
                self.dirty_since.get_or_insert_with(Instant::now);
                self.ledger.opened(month, Some(appender));
                Ok(vacant.insert(sealer))
            }
        }
    }
}

/// Whether this is an entry of a visit. One of a later encoding may be: a newer version may have run here.
fn may_be_visit(entry: &[u8]) -> bool {
    AccessEntry::decode(entry)
        .map_or_else(|error| matches!(error, InvalidEntry::Codec(codec) if codec > CODEC), |_| true)
}
