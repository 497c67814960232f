//! The journal goes back to main, and main's own log is verified, when the contract says so; the operator may begin both.
//!
//! Main fetches, as it does by itself; this end says that it is time. What was fetched stays fetched where it is cut off.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tieup_protocol::contract::charged_under;
use tieup_protocol::joining::main_tls_name;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{COLLECT, CollectGrant, CollectRequest, CollectedMonth};
use tieup_store::journal::{
    InvalidKey, JournalReader, LogSigner, Origin, ReadError, VerifyError, month_dir, verify_log,
};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::complaint;
use tieup_web::journal::JournalError;
use tieup_web::listener::Shutdown;
use tieup_web::tls::TlsError;
use tokio::task::block_in_place;

use crate::daemon::Partner;

/// The longest wait for the time, so that a contract which was approved, or a clock that was set, is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
    /// The journal's key is damaged.
    #[error("the journal's key cannot be used")]
    Key(#[from] InvalidKey),
    /// It is not what its checkpoint was signed for, by this end's own reading.
    #[error("the journal of {month} does not verify here, and was not returned")]
    Damaged {
        /// The month.
        month: Month,
        /// What does not fit.
        #[source]
        source: VerifyError,
    },
}

impl Partner {
    /// Lets main fetch what is new in the journal, of one month or of all. On return main has cosigned it.
    ///
    /// Where the contract lets the partner verify too, what main has not cosigned yet is hashed again first: what was
    /// damaged on this disk is found before main refuses it for good.
    ///
    /// # Errors
    /// See [`ReturnError`].
    pub async fn return_journal(&self, month: Option<Month>) -> Result<Vec<CollectedMonth>, ReturnError> {
        let identity = self.identity();
        let hub = identity.hub.as_deref().ok_or(ReturnError::NoHub)?;
        self.verify_owed(month).await?;
        let client = PeerClient::new(self.tls().client()?, main_tls_name(&identity.main), hub).await?;
        let grant: CollectGrant = client.patient_for(PATIENCE).post(COLLECT, &CollectRequest { month }).await?;
        Ok(grant.months)
    }

    /// Hashes each month again of which main lacks something, where the contract of the month lets the partner verify.
    async fn verify_owed(&self, only: Option<Month>) -> Result<(), ReturnError> {
        let agreed = self.placed().agreed();
        for month in block_in_place(|| self.owed())?.into_iter().filter(|month| only.is_none_or(|only| only == *month))
        {
            let terms = charged_under(agreed.iter().cloned(), month).map(|contract| contract.journal);
            if terms.is_some_and(|terms| terms.partner_verifies_itself()) {
                self.journal().checkpoint(month).await?;
                block_in_place(|| self.verify_own(month))?;
            }
        }
        Ok(())
    }

    fn verify_own(&self, month: Month) -> Result<(), ReturnError> {
        let identity = self.identity();
        let key = identity.journal_key.parse::<LogSigner>()?.verifier();
        let (dir, origin) = (month_dir(&self.journals(), month), Origin::new(&identity.main, &identity.partner, month));
        let verified = verify_log(&dir, &origin, &key);
        verified.map(drop).map_err(|source| ReturnError::Damaged { month, source })
    }

    /// The months of which main has not cosigned everything that was logged.
    fn owed(&self) -> Result<Vec<Month>, JournalError> {
        let mut owed = Vec::new();
        for month in self.journal().months()? {
            let reader = self.journal().reader(month)?;
            if reader.size() > cosigned(&reader)? {
                owed.push(month);
            }
        }
        Ok(owed)
    }
}

/// How many entries of a log the end that does not write it has cosigned, by this end's own record.
pub(crate) fn cosigned(reader: &JournalReader) -> Result<u64, ReadError> {
    // The daemon verified the note before it kept it; its second line is the size (c2sp.org/tlog-checkpoint).
    let note = reader.cosigned()?.unwrap_or_default();
    Ok(note.lines().nth(1).and_then(|size| size.parse().ok()).unwrap_or(0))
}

/// Returns the journal, and verifies main's, when the contract says so, until `shutdown`.
pub(crate) async fn keep_returned(partner: Arc<Partner>, shutdown: Shutdown) {
    let mut last = Timestamp::now();
    loop {
        let (due, now) = (due(&partner, last), Timestamp::now());
        let wait = due.map(|due| Duration::try_from(due.duration_since(now)).unwrap_or_default());
        if wait != Some(Duration::ZERO) {
            tokio::select! {
                () = shutdown.wait() => return,
                () = tokio::time::sleep(wait.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT)) => {}
            }
            continue;
        }
        last = now;
        tokio::select! {
            // Whoever fetches goes on where it was cut off.
            () = shutdown.wait() => return,
            () = give_and_take(&partner) => {}
        }
    }
}

/// When the contract of the month lets the journal be returned, after `last`.
fn due(partner: &Partner, last: Timestamp) -> Option<Timestamp> {
    let agreed = partner.placed().agreed();
    let month = Month::of(last, &agreed.first()?.effective.tz);
    charged_under(agreed.iter().cloned(), month)?.journal.returned.next(last)
}

/// Returns the journal where main lacks something of it, and verifies main's where some contract says so.
async fn give_and_take(partner: &Partner) {
    give(partner).await;
    if partner.placed().agreed().iter().any(|contract| contract.journal.partner_verifies_main()) {
        take(partner).await;
    }
}

async fn give(partner: &Partner) {
    let owed = block_in_place(|| partner.owed()).inspect_err(|error| {
        tracing::warn!("the journal cannot be read\n{}", complaint::render(error));
    });
    if owed.is_ok_and(|owed| !owed.is_empty())
        && let Err(error) = partner.return_journal(None).await
    {
        tracing::warn!("the journal was not returned\n{}", complaint::render(&error));
    }
}

async fn take(partner: &Partner) {
    match partner.verify_main_journal().await {
        Ok(months) => {
            let added: u64 = months.iter().map(|month| month.added).sum();
            tracing::info!(added, "the main site's own log was verified");
        }
        Err(error) => tracing::warn!("the main site's own log was not verified\n{}", complaint::render(&error)),
    }
}
