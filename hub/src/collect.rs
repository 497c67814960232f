//! Collecting journals: what a partner logged is fetched, verified against its signed checkpoint, and cosigned.
//!
//! It is fetched bundle by bundle, and what has come is kept: a collection that was cut off goes on where it was. What
//! contradicts main's copy is refused for good.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
pub use tieup_protocol::wire::CollectedMonth as Collected;
use tieup_protocol::wire::{COSIGNATURE, Cosigned, JOURNAL, NO_SUCH_TILE};
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::journal::{
    CheckpointError, Extended, InvalidBundle, InvalidKey, LogVerifier, Mirror, MirrorError, OpenError, Origin,
    SignedCheckpoint, TilePath, TileWidth, month_dir, months, split_bundle,
};
use tieup_store::lock::{LockError, StateLock};
use tieup_web::client::{CallError, PeerClient};

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
    /// The checkpoint is not the partner's.
    #[error("the journal's checkpoint does not verify")]
    Checkpoint(#[from] CheckpointError),
    /// A bundle of entries is not one.
    #[error("the journal's entries cannot be read")]
    Bundle(#[from] InvalidBundle),
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
    /// What is kept of refusals cannot be read or written.
    #[error(transparent)]
    Refusals(#[from] DocumentError),
    /// Main's own copy cannot be opened.
    #[error("main's copy of the journal cannot be opened")]
    Open(#[from] OpenError),
    /// Another command is collecting from this partner.
    #[error("another command is collecting from `{0}` at this moment")]
    Busy(SiteId, #[source] LockError),
    /// A bundle with more entries than it may have.
    #[error("the journal's bundle {0} has too many entries")]
    Overfull(TilePath),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Hub {
    /// Fetches what is new in every month of a partner's journal, verifies it and cosigns it.
    ///
    /// Durable on return, and the partner holds the cosignatures.
    ///
    /// # Errors
    /// See [`CollectError`]; the months that did not fail have been taken.
    pub async fn collect(&self, partner: &PartnerRow) -> Result<Vec<Collected>, CollectError> {
        self.collect_months(partner, None).await
    }

    /// The same for one month.
    ///
    /// # Errors
    /// See [`CollectError`].
    pub async fn collect_month(&self, partner: &PartnerRow, month: Month) -> Result<Vec<Collected>, CollectError> {
        self.collect_months(partner, Some(month)).await
    }

    /// The folder with main's copies of a partner's journals.
    pub fn mirrors(&self, partner: &PartnerRow) -> std::path::PathBuf {
        self.config.state.join("journals").join(partner.id.as_str())
    }

    async fn collect_months(&self, partner: &PartnerRow, only: Option<Month>) -> Result<Vec<Collected>, CollectError> {
        let status = self.status(partner).await?;
        let client = self.call(partner).await?;
        let mirrors = self.mirrors(partner);
        let busy = |error| CollectError::Busy(partner.id.clone(), error);
        let _lock = StateLock::take(&mirrors).map_err(busy)?;
        // A month that main holds and the partner no longer has is looked at too.
        let held: BTreeSet<Month> = months(&mirrors)?.into_iter().chain(status.journals.iter().copied()).collect();
        let mut collected = Vec::new();
        let mut failed = None;
        for month in held.into_iter().filter(|month| only.is_none_or(|only| only == *month)) {
            let collecting = Collecting::open(self, partner, &client, month);
            let taken = match collecting {
                Ok(collecting) if status.journals.contains(&month) => collecting.collect().await,
                Ok(collecting) => collecting.miss(),
                Err(error) => Err(error),
            };
            match taken {
                Ok(month) => collected.push(month),
                // The months after a damaged one are taken all the same.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(collected), Err)
    }
}

/// One month's journal, while it is collected.
struct Collecting<'a> {
    hub: &'a Hub,
    partner: &'a PartnerRow,
    client: &'a PeerClient,
    month: Month,
    origin: Origin,
    key: LogVerifier,
    mirror: Mirror,
}

impl<'a> Collecting<'a> {
    /// Opens main's copy, unless a refusal stands.
    fn open(hub: &'a Hub, partner: &'a PartnerRow, client: &'a PeerClient, month: Month) -> Result<Self, CollectError> {
        if let Some(refused) = hub.refused_journal(&partner.id, month)? {
            return Err(CollectError::Stands { partner: partner.id.clone(), refused: Box::new(refused) });
        }
        let key: LogVerifier = partner.journal_key.parse()?;
        let origin = Origin::new(&hub.config.main, &partner.id, month);
        let mirror = Mirror::open(&month_dir(&hub.mirrors(partner), month))?;
        Ok(Self { hub, partner, client, month, origin, key, mirror })
    }

    async fn collect(mut self) -> Result<Collected, CollectError> {
        let note = self.client.get_bytes(&format!("{JOURNAL}/{}/checkpoint", self.month)).await?;
        let signed = SignedCheckpoint::open(&note, &self.origin, &self.key)?.size();
        let waited = self.mirror.size() > self.mirror.confirmed();
        let mut taken = self.take_up_to(signed, &note).await;
        if waited && matches!(&taken, Err(CollectError::Refused { .. })) {
            // What had come before a cut may be what is wrong. The partner is not blamed for that.
            self.drop_waiting()?;
            taken = self.take_up_to(signed, &note).await;
        }
        let extended = match taken {
            Err(CollectError::Refused { month, source }) => {
                self.refuse(&source, Some(&note))?;
                return Err(CollectError::Refused { month, source });
            }
            taken => taken?,
        };
        let cosigner = self.hub.keys.cosigner().map_err(HubError::from)?;
        let note = self.mirror.cosign(&cosigner, Timestamp::now()).map_err(|source| self.refused(source))?;
        let () = self.client.post(COSIGNATURE, &Cosigned { month: self.month, note }).await?;
        Ok(Collected { month: self.month, added: extended.added, size: extended.size })
    }

    /// A month that the partner has no journal of any more, of which main cosigned entries.
    fn miss(mut self) -> Result<Collected, CollectError> {
        let held = self.mirror.confirmed();
        if held == 0 {
            return Ok(Collected { month: self.month, added: 0, size: 0 });
        }
        let source = MirrorError::Shrunk { held, signed: 0 };
        self.refuse(&source, None)?;
        Err(self.refused(source))
    }

    /// Fetches the entries up to `signed`, bundle by bundle, and confirms them with the checkpoint `note`.
    ///
    /// What has been fetched is kept where a call fails, and the next attempt goes on there.
    async fn take_up_to(&mut self, signed: u64, note: &[u8]) -> Result<Extended, CollectError> {
        let size = self.mirror.size();
        // Only the first bundle can hold entries that main has already.
        let mut held = usize::try_from(size % TileWidth::FULL.get()).unwrap_or_default();
        for path in TilePath::bundles(size, signed) {
            let bundle = self.bundle(path, signed).await?;
            let entries = split_bundle(&bundle)?;
            if entries.len() as u64 > TileWidth::FULL.get() {
                return Err(CollectError::Overfull(path));
            }
            let new = entries.get(held..).unwrap_or_default();
            self.mirror.take(new).map_err(|source| self.refused(source))?;
            held = 0;
        }
        self.mirror.confirm(note, &self.origin, &self.key).map_err(|source| self.refused(source))
    }

    /// A bundle of entries. That it is not to be had, though it was signed for, is the partner's fault.
    async fn bundle(&self, path: TilePath, signed: u64) -> Result<Vec<u8>, CollectError> {
        match self.client.get_bytes(&format!("{JOURNAL}/{}/{path}", self.month)).await {
            Err(error) if error.is_problem(NO_SUCH_TILE) => {
                Err(self.refused(MirrorError::Short { signed, given: self.mirror.size() }))
            }
            bundle => Ok(bundle?),
        }
    }

    /// Keeps that the journal is refused, with both checkpoints, and drops what was not confirmed.
    fn refuse(&mut self, source: &MirrorError, shown: Option<&[u8]>) -> Result<(), CollectError> {
        if !source.is_contradiction() {
            return Ok(());
        }
        let refused = RefusedJournal {
            month: self.month,
            since: Timestamp::now(),
            reason: source.to_string(),
            held: self.mirror.checkpoint().map(|held| held.note().to_owned()),
            shown: shown.map(|note| String::from_utf8_lossy(note).into_owned()),
            settled: None,
        };
        self.hub.refuse_journal(&self.partner.id, refused)?;
        self.drop_waiting()
    }

    fn drop_waiting(&mut self) -> Result<(), CollectError> {
        self.mirror.drop_waiting().map_err(|source| self.refused(source))
    }

    fn refused(&self, source: MirrorError) -> CollectError {
        match source {
            MirrorError::Disk(error) => error.into(),
            source => CollectError::Refused { month: self.month, source },
        }
    }
}
