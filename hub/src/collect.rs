//! Collecting journals: what a partner logged is fetched, verified against its signed checkpoint, and cosigned.
//!
//! It is fetched bundle by bundle, and what has come is kept: a collection that was cut off goes on where it was. What
//! contradicts main's copy is refused for good.

mod named;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
pub use tieup_protocol::wire::CollectedMonth as Collected;
use tieup_protocol::wire::{COSIGNATURE, Cosigned, JOURNAL};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::DiskError;
use tieup_store::journal::{Extended, InvalidKey, Mirror, MirrorError, OpenError, Origin, SignedCheckpoint, month_dir};
use tieup_store::lock::{LockError, StateLock};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::journal::fetching::{FetchError, RemoteLog};
use tokio::task::block_in_place;

pub use self::named::Impossible;
use self::named::Named;
use crate::database::PartnerRow;
use crate::partners::{Hub, HubError};
use crate::refusals::RefusedJournal;

/// Why a journal was not taken. Nothing was confirmed and nothing cosigned.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The partner could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The partner's key is damaged in the database.
    #[error("the partner's journal key cannot be used")]
    Key(#[from] InvalidKey),
    /// It could not be fetched whole.
    #[error(transparent)]
    Fetch(FetchError),
    /// The entries do not fit the checkpoint, or the log was rewritten.
    #[error("the journal of {month} is refused")]
    Refused {
        /// The month.
        month: Month,
        /// What does not fit.
        #[source]
        source: MirrorError,
    },
    /// It was refused before, and nobody has settled it.
    #[error("{}", refused.sentence())]
    Stands {
        /// The partner.
        partner: SiteId,
        /// What was found then.
        refused: Box<RefusedJournal>,
    },
    /// What is kept of refusals, or of the last collection, cannot be read or written.
    #[error(transparent)]
    Refusals(#[from] DocumentError),
    /// Main's own copy cannot be opened.
    #[error("main's copy of the journal cannot be opened")]
    Open(#[from] OpenError),
    /// The month that was asked for is one that the partner can have no journal of.
    #[error("the journal of `{partner}` is not taken: {impossible}")]
    Impossible {
        /// The partner.
        partner: SiteId,
        /// What it names.
        impossible: Impossible,
    },
    /// Another command is collecting from this partner.
    #[error("another command is collecting from `{0}` at this moment")]
    Busy(SiteId, #[source] LockError),
    /// The journal of this partner is being collected by this program.
    #[error("the journal of `{0}` is being collected at this moment")]
    UnderWay(SiteId),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// When the journals of a partner were collected last, whole and without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastCollection {
    at: Timestamp,
}

/// Whose journals are being collected: one collection of a partner at a time, and a second is told at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeSet<SiteId>>>);

/// The right to collect from a partner, until it is dropped.
struct Turn {
    turns: Turns,
    partner: SiteId,
}

impl Turns {
    /// The turn of `partner`; none while somebody else has it.
    fn take(&self, partner: &SiteId) -> Option<Turn> {
        let is_free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(partner.clone());
        is_free.then(|| Turn { turns: self.clone(), partner: partner.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.partner);
    }
}

impl Hub {
    /// Fetches what is new in every month of a partner's journal, verifies it and cosigns it. Of months that it can have no
    /// journal of nothing is taken, which is logged and fails nothing.
    ///
    /// Durable on return, and the partner holds the cosignatures.
    ///
    /// # Errors
    /// See [`CollectError`]; the months that did not fail have been taken.
    pub async fn collect(&self, partner: &PartnerRow) -> Result<Vec<Collected>, CollectError> {
        let collected = self.collect_months(partner, None).await?;
        let last = LastCollection { at: Timestamp::now() };
        block_in_place(|| self.last_collection(partner).write(&last))?;
        Ok(collected)
    }

    /// The same for one month.
    ///
    /// # Errors
    /// See [`CollectError`].
    pub async fn collect_month(&self, partner: &PartnerRow, month: Month) -> Result<Vec<Collected>, CollectError> {
        self.collect_months(partner, Some(month)).await
    }

    /// The folder with main's copies of a partner's journals.
    pub fn mirrors(&self, partner: &PartnerRow) -> PathBuf {
        self.copies(&partner.id)
    }

    /// When a partner's journals were collected last, all months and without an error.
    ///
    /// # Errors
    /// When what is kept of it cannot be read.
    pub fn collected_at(&self, partner: &PartnerRow) -> Result<Option<Timestamp>, DocumentError> {
        Ok(self.last_collection(partner).read()?.map(|last| last.at))
    }

    fn last_collection(&self, partner: &PartnerRow) -> Document<LastCollection> {
        Document::at(self.mirrors(partner).join("collected.json"))
    }

    async fn collect_months(&self, partner: &PartnerRow, only: Option<Month>) -> Result<Vec<Collected>, CollectError> {
        let _turn = self.collecting.take(&partner.id).ok_or_else(|| CollectError::UnderWay(partner.id.clone()))?;
        let status = self.status(partner).await?;
        let client = self.call(partner).await?;
        let mirrors = self.mirrors(partner);
        let busy = |error| CollectError::Busy(partner.id.clone(), error);
        let lock = block_in_place(|| StateLock::take(&mirrors)).map_err(busy)?;
        // A month that main holds and the partner no longer has is looked at too.
        let Named { taken, impossible } = self.named_months(partner, &status.journals).await?;
        if let Some(impossible) = impossible {
            if only.is_some_and(|only| impossible.contains(only)) {
                return Err(CollectError::Impossible { partner: partner.id.clone(), impossible });
            }
            tracing::error!(partner = %partner.id, "not all of its journal is taken: {impossible}");
        }
        let mut collected = Vec::new();
        let mut failed = None;
        for month in taken.into_iter().filter(|month| only.is_none_or(|only| only == *month)) {
            let log = block_in_place(|| Log::of(self, partner, &client, month));
            let collecting = match log {
                Ok(log) if status.journals.contains(&month) => log.collect().await,
                Ok(log) => block_in_place(|| log.open()?.miss()),
                Err(error) => Err(error),
            };
            match collecting {
                Ok(month) => {
                    self.roll_up(partner, month.month).await;
                    collected.push(month);
                }
                // The months after a damaged one are taken all the same.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        // Whoever fetches the audit trail takes it.
        drop(lock);
        self.follow_holdings(partner, Timestamp::now()).await;
        self.collected.notify_one();
        failed.map_or(Ok(collected), Err)
    }
}

/// One month's journal, as the partner keeps it.
struct Log<'a> {
    hub: &'a Hub,
    partner: &'a PartnerRow,
    client: &'a PeerClient,
    month: Month,
    remote: RemoteLog,
}

/// The same with main's copy, while it is collected.
struct Collecting<'a> {
    log: Log<'a>,
    mirror: Mirror,
}

impl<'a> Log<'a> {
    /// The journal of `month`, unless a refusal stands.
    fn of(hub: &'a Hub, partner: &'a PartnerRow, client: &'a PeerClient, month: Month) -> Result<Self, CollectError> {
        if let Some(refused) = hub.refused_journal(&partner.id, month)? {
            return Err(CollectError::Stands { partner: partner.id.clone(), refused: Box::new(refused) });
        }
        let origin = Origin::new(&hub.config.main, &partner.id, month);
        let base = format!("{JOURNAL}/{month}");
        let remote = RemoteLog::new(client.clone(), base, origin, partner.journal_key.parse()?);
        Ok(Self { hub, partner, client, month, remote })
    }

    /// Opens main's copy, which reads all of it.
    fn open(self) -> Result<Collecting<'a>, CollectError> {
        let mirror = Mirror::open(&self.dir())?;
        Ok(Collecting { log: self, mirror })
    }

    fn dir(&self) -> PathBuf {
        month_dir(&self.hub.mirrors(self.partner), self.month)
    }

    /// Takes what is new and cosigns it. Where nothing is, the partner is shown the cosignature that there is.
    async fn collect(self) -> Result<Collected, CollectError> {
        let signed = self.remote.checkpoint().await.map_err(|error| self.failed(error))?;
        if let Some(receipt) = block_in_place(|| Mirror::receipt(&self.dir(), &signed))? {
            self.show(receipt).await?;
            return Ok(Collected { month: self.month, added: 0, size: signed.size() });
        }
        block_in_place(|| self.open())?.collect(&signed).await
    }

    /// Gives the partner main's cosignature.
    async fn show(&self, note: String) -> Result<(), CollectError> {
        Ok(self.client.post(COSIGNATURE, &Cosigned { month: self.month, note }).await?)
    }

    fn failed(&self, error: FetchError) -> CollectError {
        match error {
            FetchError::Refused(source) => CollectError::Refused { month: self.month, source },
            FetchError::Call(error) => error.into(),
            FetchError::Disk(error) => error.into(),
            error => CollectError::Fetch(error),
        }
    }
}

impl Collecting<'_> {
    /// Takes the entries up to `signed`, and cosigns it.
    async fn collect(mut self, signed: &SignedCheckpoint) -> Result<Collected, CollectError> {
        let taken = self.log.remote.extend(&mut self.mirror, signed).await;
        let extended = block_in_place(|| self.judge(taken, signed))?;
        let receipt = block_in_place(|| self.cosign())?;
        self.log.show(receipt).await?;
        Ok(Collected { month: self.log.month, added: extended.added, size: extended.size })
    }

    /// Keeps the evidence where the journal is refused.
    fn judge(
        &mut self,
        taken: Result<Extended, FetchError>,
        signed: &SignedCheckpoint,
    ) -> Result<Extended, CollectError> {
        if let Err(FetchError::Refused(source)) = &taken {
            self.refuse(source, Some(signed.note()))?;
        }
        taken.map_err(|error| self.log.failed(error))
    }

    fn cosign(&mut self) -> Result<String, CollectError> {
        let cosigner = self.log.hub.keys.cosigner().map_err(HubError::from)?;
        self.mirror.cosign(&cosigner, Timestamp::now()).map_err(|source| self.log.failed(source.into()))
    }

    /// A month that the partner has no journal of any more, of which main cosigned entries, and nobody settled that it is gone.
    fn miss(mut self) -> Result<Collected, CollectError> {
        let (held, month) = (self.mirror.confirmed(), self.log.month);
        let note = self.mirror.checkpoint().map(SignedCheckpoint::note);
        if held == 0 || self.log.hub.refusals(&self.log.partner.id).is_settled_as_gone(month, note)? {
            return Ok(Collected { month, added: 0, size: held });
        }
        let source = MirrorError::Shrunk { held, signed: 0 };
        self.refuse(&source, None)?;
        Err(self.log.failed(source.into()))
    }

    /// Keeps that the journal is refused, with both checkpoints, and drops what was not confirmed.
    fn refuse(&mut self, source: &MirrorError, shown: Option<&str>) -> Result<(), CollectError> {
        if !source.is_contradiction() {
            return Ok(());
        }
        let Log { hub, partner, month, .. } = self.log;
        let refused = RefusedJournal::of(month, &self.mirror, source, shown, Timestamp::now());
        tracing::error!(partner = %partner.id, %month, "what a partner's key signed contradicts what it signed before");
        hub.refusals(&partner.id).keep(refused)?;
        self.mirror.drop_waiting().map_err(|source| self.log.failed(source.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partner_is_collected_from_once_at_a_time() {
        let (turns, north): (Turns, SiteId) = (Turns::default(), "north".parse().unwrap());
        let turn = turns.take(&north).unwrap();
        assert!(turns.take(&north).is_none());
        assert!(turns.take(&"south".parse().unwrap()).is_some());
        drop(turn);
        assert!(turns.take(&north).is_some());
    }
}
