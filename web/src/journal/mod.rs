//! The access log of a public site: visits become entries of a month's log before their responses end.
//!
//! The threads that serve write the entries themselves, in batches: whoever finds nobody writing writes what all have
//! recorded. Hashing, waiting for the disk and signing are left to one keeper's thread, which signs a checkpoint at most
//! a second after a visit, everything before it durable.
//!
//! Entries stand in the order in which they were recorded. A clock that steps changes their times, never their order. The
//! month of an entry is that of its time in the contract's zone.

mod batch;
pub mod export;
pub mod fetching;
mod keeper;
mod ledger;
pub mod refusals;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use jiff::Timestamp;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Zone};
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::{
    AppendError, CosignedError, CosignerVerifier, JournalReader, LogSigner, OpenError, Origin, ReadError, SignError,
    SignedCheckpoint, cosigned_note, keep_cosigned, month_dir, months,
};
use tokio::sync::oneshot;

use self::keeper::{Keeper, Message};
use self::ledger::{Ledger, Standing};
use crate::access_log::{AccessLog, Caller, Ticket, Visit};
use crate::visitors::{Remembered, SystemRandomness, Visitor, VisitorKey};

/// The file that is written to see whether the disk takes anything again.
const PROBE: &str = "probe";

/// How many bytes it has: more than a few visits.
const PROBE_LENGTH: usize = 64 << 10;

/// Where journals are and in whose name they are signed.
#[derive(Clone)]
pub struct JournalSetup {
    /// The folder with a folder for each month.
    pub dir: PathBuf,
    /// The main site.
    pub main: SiteId,
    /// Whose visits they are: a partner, or the main site itself.
    pub site: SiteId,
    /// The time zone that cuts months.
    pub zone: Zone,
    /// The key that signs checkpoints.
    pub signer: LogSigner,
    /// The key that main cosigns with.
    pub cosigner: CosignerVerifier,
}

impl JournalSetup {
    /// Which log the visits of `month` are in.
    fn origin(&self, month: Month) -> Origin {
        Origin::new(&self.main, &self.site, month)
    }
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
    /// Visits of this month cannot be logged at this moment, so they are not served.
    #[error("visits of {0} cannot be logged: the journal's log says why")]
    NotTaken(Month),
    /// The journal's thread has ended.
    #[error("the journal is closed")]
    Closed,
}

/// The journals of one site, a log for each month. Clones are not needed: it is shared behind an `Arc`.
pub struct Journal {
    ledger: Arc<Ledger>,
    keeper: Sender<Message>,
    key: Arc<VisitorKey>,
    setup: JournalSetup,
    readers: Readers,
}

/// A reader of each month that has been asked for or written; opening one reads the whole log.
type Readers = Arc<Mutex<BTreeMap<Month, JournalReader>>>;

impl Journal {
    /// Starts the thread that keeps the journal. It ends, with a last checkpoint, at [`Journal::close`].
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn start(setup: JournalSetup) -> Result<(Self, thread::JoinHandle<()>), DiskError> {
        durable::create_dir_all(&setup.dir)?;
        let (keeper, messages) = channel();
        let readers = Readers::default();
        let ledger = Ledger::new(setup.zone.clone(), keeper.clone());
        let key = Arc::new(VisitorKey::new(Timestamp::now().as_second(), &SystemRandomness));
        let thread = {
            let keeper = Keeper::new(setup.clone(), readers.clone(), ledger.clone(), key.clone());
            thread::spawn(move || keeper.run(&messages))
        };
        Ok((Self { ledger, keeper, key, setup, readers }, thread))
    }

    /// The months of which there is a journal, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn months(&self) -> Result<Vec<Month>, DiskError> {
        months(&self.setup.dir)
    }

    /// A reader of one month, which sees what is appended later too.
    ///
    /// # Errors
    /// When there is no journal of that month or it cannot be read.
    pub fn reader(&self, month: Month) -> Result<JournalReader, JournalError> {
        self.check_month(month)?;
        Ok(reader_of(&self.readers, &self.setup.dir, month)?)
    }

    /// A signed checkpoint over everything that has been logged in `month` so far.
    ///
    /// # Errors
    /// When there is no journal of that month or it cannot be signed.
    pub async fn checkpoint(&self, month: Month) -> Result<String, JournalError> {
        self.check_month(month)?;
        if let Some(note) = self.covering(month).await {
            return Ok(note);
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
        self.check_month(month)?;
        if let Some(kept) = self.keep_at_rest(month, note.clone()).await {
            return kept;
        }
        let (reply, answer) = oneshot::channel();
        self.send(Message::Cosigned(month, note, reply));
        answer.await.map_err(|_| JournalError::Closed)?
    }

    /// Whether visits are logged, as far as the last ones and the disk tell.
    ///
    /// Where they are not, this sees to it that it is tried again: nobody may be sent here until it works.
    ///
    /// # Errors
    /// When a log is broken, or the last visits could not be written and the disk takes nothing now either.
    pub fn takes_visits(&self) -> Result<(), JournalError> {
        match self.ledger.standing() {
            Standing::Sound => Ok(()),
            Standing::Broken(month) => {
                self.send(Message::Open(month));
                Err(JournalError::NotTaken(month))
            }
            Standing::Failing(_) => Ok(durable::write_file(&self.setup.dir.join(PROBE), &vec![1; PROBE_LENGTH])?),
        }
    }

    /// The stored checkpoint of a month that is not open, where it covers everything and gives the root that it was signed
    /// for. The keeper is not asked: it has the current month to sign.
    async fn covering(&self, month: Month) -> Option<String> {
        let (ledger, readers, setup) = (self.ledger.clone(), self.readers.clone(), self.setup.clone());
        let look = move || {
            if !ledger.is_at_rest(month) {
                return None;
            }
            let reader = reader_of(&readers, &setup.dir, month).ok()?;
            let note = reader.checkpoint().ok()??;
            let signed =
                SignedCheckpoint::open(note.as_bytes(), &setup.origin(month), &setup.signer.verifier()).ok()?;
            let covers = signed.size() == reader.size() && reader.root_at(signed.size()).ok()? == signed.root();
            covers.then_some(note)
        };
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }

    /// Keeps the cosignature of a month that is not open; none where it is. The keeper is not asked: it would read that month
    /// whole, while it has the current one to sign.
    async fn keep_at_rest(&self, month: Month, note: String) -> Option<Result<(), JournalError>> {
        let (ledger, readers, setup) = (self.ledger.clone(), self.readers.clone(), self.setup.clone());
        let keep = move || {
            if !ledger.is_at_rest(month) {
                return Ok(None);
            }
            if cosigned_note(&month_dir(&setup.dir, month))?.is_some_and(|kept| kept == note.as_bytes()) {
                // Main shows again what is kept here already: the log need not be read for that.
                return Ok(Some(()));
            }
            let reader = reader_of(&readers, &setup.dir, month)?;
            let log = (&setup.origin(month), &setup.signer.verifier());
            keep_cosigned(&reader, &note, log, &setup.cosigner)?;
            Ok(Some(()))
        };
        tokio::task::spawn_blocking(keep).await.ok().and_then(Result::transpose)
    }

    /// Ends the journal's thread after what has been recorded. Visits after that are not logged, so not served.
    pub fn close(&self) {
        self.send(Message::Close);
    }

    fn check_month(&self, month: Month) -> Result<(), JournalError> {
        if self.months()?.contains(&month) { Ok(()) } else { Err(JournalError::NoMonth(month)) }
    }

    fn send(&self, message: Message) {
        // When the thread has ended, the reply channel inside the message is dropped, and its owner learns so.
        let _ = self.keeper.send(message);
    }
}

/// The reader of a month, which is kept. Nobody waits for a log that is being read: readers are locked for moments.
fn reader_of(readers: &Readers, dir: &Path, month: Month) -> Result<JournalReader, ReadError> {
    let readers = || readers.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = readers().get(&month).cloned();
    if let Some(reader) = kept {
        return Ok(reader);
    }
    let reader = JournalReader::open(month_dir(dir, month))?;
    // Where the log was opened for writing meanwhile, its own reader stands.
    Ok(readers().entry(month).or_insert(reader).clone())
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.close();
    }
}

impl AccessLog for Journal {
    fn recognise(&self, caller: &Caller<'_>, remembered: &mut Remembered) -> Visitor {
        self.key.recognise(caller, remembered, &SystemRandomness)
    }

    fn record(&self, visit: &Visit<'_>) -> Ticket {
        self.ledger.record(visit)
    }
}
