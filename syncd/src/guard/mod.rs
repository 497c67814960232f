//! The guard: what is stored is still what was verified, or it is not served, set aside, restored, and told.
//!
//! Every read checks the blob it reads, so damage is served to nobody. The guard hears of it at once; it also looks at
//! the files from outside every few seconds, and reads everything that is kept in a slow cycle. What has drifted is
//! restored from the first of these that has it:
//!
//! 1. another copy in the store;
//! 2. the release and the partner's own pages, from which the merged site is made anew;
//! 3. main, which reads in the partner's status what is lacking, and sends it;
//! 4. the last good release: if a page cannot be restored within [`PATIENCE`], the daemon rolls back by itself, and no
//!    rule approves anything until the operator has.

mod mend;
mod space;
mod watch;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tieup_protocol::digest::Digest;
use tieup_protocol::drift::GuardReport;
use tieup_protocol::manifest::BlobRef;
use tieup_store::blobs::{BlobStore, PutBlobError, ReadBlobError};
use tieup_store::durable::DiskError;
use tieup_store::quarantine::Quarantine;
use tokio::sync::Notify;

pub use self::watch::{Pace, keep_watch, run_cycle};
use crate::daemon::Partner;
use crate::publisher::PublishError;

/// The folder of the quarantine in the state folder.
pub const QUARANTINE: &str = "quarantine";

/// How long a page may be lacking before the daemon goes back to the last good release.
pub const PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// Watches over what is stored.
pub struct Guard {
    blobs: Arc<BlobStore>,
    quarantine: Quarantine,
    alarm: Arc<Notify>,
    /// Held by the one who mends, so that what one has taken up is done before another looks.
    mending: Mutex<()>,
    state: Mutex<State>,
}

/// What the guard knows.
#[derive(Default)]
struct State {
    report: GuardReport,
    /// All blobs that are lacking, of which the report names the first.
    lost: BTreeSet<BlobRef>,
}

/// Why the guard could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The releases cannot be read or put right.
    #[error("the releases cannot be checked")]
    Publisher(#[from] PublishError),
    /// Main sent what is not lacking.
    #[error("{0} is not lacking here")]
    NotLacking(Digest),
    /// What main sent is not what it said.
    #[error("what was sent to restore a file is not that file")]
    Blob(#[from] PutBlobError),
    /// The stream broke.
    #[error("the stream broke off")]
    Stream(#[source] std::io::Error),
}

impl Guard {
    /// A guard over `blobs`, with its quarantine in the folder `state`.
    pub fn new(state: &Path, blobs: Arc<BlobStore>) -> Self {
        let alarm = Arc::new(Notify::new());
        let heard = alarm.clone();
        blobs.on_damage(move || heard.notify_one());
        Self {
            blobs,
            quarantine: Quarantine::at(state.join(QUARANTINE)),
            alarm,
            mending: Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Has what is damaged mended soon.
    pub fn call(&self) {
        self.alarm.notify_one();
    }

    /// What it has to tell.
    pub fn report(&self) -> GuardReport {
        self.state().report.clone()
    }

    /// Reads everything that is kept, and mends what can be mended. Blocks on the disk for as long as that takes.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn check(&self, partner: &Partner, now: Timestamp) -> Result<GuardReport, GuardError> {
        self.check_segments()?;
        let holdings = partner.publisher().holdings()?;
        self.verify(&holdings.blobs());
        self.state().report.checked = Some(now);
        self.mend(partner, now)
    }

    /// Looks at the files from outside, and reads what lies in those that somebody else changed. Says whether any was.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn check_segments(&self) -> Result<Look, GuardError> {
        let drifted = self.blobs.drifted()?;
        for segment in &drifted {
            tracing::warn!(file = %segment.path.display(), how = ?segment.how, "a file was changed by somebody else");
            self.verify(&segment.blobs);
        }
        Ok(if drifted.is_empty() { Look::Quiet } else { Look::Drifted })
    }

    /// Reads blobs. The store forgets those that are damaged, and tells.
    fn verify(&self, blobs: &[BlobRef]) {
        for blob in blobs {
            if let Err(error @ ReadBlobError::Disk(_)) = self.blobs.read(blob) {
                tracing::error!(error = &error as &dyn std::error::Error, "a stored file cannot be verified");
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a look at the files from outside found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    Quiet,
    /// Somebody else changed a file.
    Drifted,
}
