//! The journal goes back to main: the operator may begin it, and the daemon does each hour.
//!
//! Main fetches, as it does by itself; this end says that it is time. What was fetched stays fetched where it is cut off.

use std::sync::Arc;
use std::time::Duration;

use tieup_protocol::joining::main_tls_name;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{COLLECT, CollectGrant, CollectRequest, CollectedMonth};
use tieup_store::journal::JournalReader;
use tieup_web::client::{CallError, PeerClient};
use tieup_web::complaint;
use tieup_web::journal::JournalError;
use tieup_web::listener::Shutdown;
use tieup_web::tls::TlsError;

use crate::daemon::Partner;

/// How often the journal is returned.
const EVERY: Duration = Duration::from_hours(1);

/// How long main may take over a journal without a word.
const PATIENCE: Duration = Duration::from_mins(30);

/// Why the journal was not returned.
#[derive(Debug, thiserror::Error)]
pub enum ReturnError {
    /// The partner joined before main's address was kept.
    #[error("it is not known where the main site answers: join again with a new token")]
    NoHub,
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Main could not be reached, or did not take it.
    #[error("the main site did not take the journal")]
    Call(#[from] CallError),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Partner {
    /// Lets main fetch what is new in the journal, of one month or of all. On return main has cosigned it.
    ///
    /// # Errors
    /// See [`ReturnError`].
    pub async fn return_journal(&self, month: Option<Month>) -> Result<Vec<CollectedMonth>, ReturnError> {
        let identity = self.identity();
        let hub = identity.hub.as_deref().ok_or(ReturnError::NoHub)?;
        let client = PeerClient::new(self.tls().client()?, main_tls_name(&identity.main), hub).await?;
        let grant: CollectGrant = client.patient_for(PATIENCE).post(COLLECT, &CollectRequest { month }).await?;
        Ok(grant.months)
    }

    /// Whether main has not cosigned everything that was logged.
    fn owes_journal(&self) -> Result<bool, JournalError> {
        for month in self.journal().months()? {
            let reader = self.journal().reader(month)?;
            if reader.size() > cosigned(&reader)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// How many entries main has cosigned, by this end's own record.
fn cosigned(reader: &JournalReader) -> Result<u64, JournalError> {
    let note = reader.cosigned()?.unwrap_or_default();
    Ok(note.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0))
}

/// Returns the journal each hour until `shutdown`.
pub(crate) async fn keep_returned(partner: Arc<Partner>, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        match tokio::task::block_in_place(|| partner.owes_journal()) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) => tracing::warn!("the journal cannot be read\n{}", complaint::render(&error)),
        }
        let returned = tokio::select! {
            // Main goes on where it was cut off.
            () = shutdown.wait() => return,
            returned = partner.return_journal(None) => returned,
        };
        if let Err(error) = returned {
            tracing::warn!("the journal was not returned\n{}", complaint::render(&error));
        }
    }
}
