//! The journal of visits to the pages that main serves itself, by the same code and in the same form as partners'.
//!
//! It lies in the state folder as a partner's does in its own, signed by a key that does nothing else. Its months are cut
//! in UTC: no contract says otherwise.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tieup_protocol::period::{Month, Zone};
use tieup_store::journal::Origin;
use tieup_store::lock::StateLock;
use tieup_web::journal::{Journal, JournalSetup};

use crate::partners::{Hub, HubError};

/// The folder of main's own journal, below the state folder.
const JOURNAL: &str = "journal";

/// Main's own journal, while the hub runs.
pub(crate) struct OwnJournal {
    journal: Arc<Journal>,
    thread: JoinHandle<()>,
    /// A journal has one writer.
    _lock: StateLock,
}

impl OwnJournal {
    /// Goes on with the journal of `hub`, or begins it.
    ///
    /// # Errors
    /// When its key or its folder cannot be used, or another process writes it.
    pub(crate) fn start(hub: &Hub) -> Result<Self, HubError> {
        let lock = StateLock::take(&hub.own_journals())?;
        let (journal, thread) = Journal::start(JournalSetup {
            dir: hub.own_journals(),
            main: hub.config.main.clone(),
            site: hub.config.main.clone(),
            zone: Zone::utc(),
            signer: hub.keys.journal()?,
            cosigner: hub.keys.cosigner()?.verifier(),
        })?;
        Ok(Self { journal: Arc::new(journal), thread, _lock: lock })
    }

    /// Where visits are recorded.
    pub(crate) fn log(&self) -> Arc<Journal> {
        self.journal.clone()
    }

    /// Signs a last time.
    pub(crate) async fn close(self) {
        self.journal.close();
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

impl Hub {
    /// The folder with the journals of visits to main's own pages.
    pub fn own_journals(&self) -> PathBuf {
        self.config.state.join(JOURNAL)
    }

    /// Which log main's own visits of `month` are in.
    pub fn own_origin(&self, month: Month) -> Origin {
        Origin::new(&self.config.main, &self.config.main, month)
    }
}
