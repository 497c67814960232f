//! Collecting journals: what a partner logged is fetched, verified against its signed checkpoint, and cosigned.

use jiff::Timestamp;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{COSIGNATURE, Cosigned, JOURNAL};
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::{
    CheckpointError, InvalidBundle, InvalidKey, LogVerifier, Mirror, MirrorError, OpenError, Origin, SignedCheckpoint,
    TilePath, TileWidth, month_dir, split_bundle,
};
use tieup_store::lock::{LockError, StateLock};
use tieup_web::client::{CallError, PeerClient};

use crate::database::PartnerRow;
use crate::partners::{Hub, HubError};

/// What was fetched of one month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The month.
    pub month: Month,
    /// How many entries were new.
    pub added: u64,
    /// How many entries main holds and has cosigned now.
    pub size: u64,
}

/// Why a journal was not taken. Nothing was kept and nothing cosigned.
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
        let status = self.status(partner).await?;
        let client = self.call(partner).await?;
        let mirrors = self.mirrors(partner);
        let busy = |error| CollectError::Busy(partner.id.clone(), error);
        let _lock = StateLock::take(&mirrors).map_err(busy)?;
        let mut collected = Vec::new();
        let mut failed = None;
        for month in status.journals {
            match self.collect_month(partner, &client, month).await {
                Ok(month) => collected.push(month),
                // The months after a damaged one are taken all the same.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(collected), Err)
    }

    /// The folder with main's copies of a partner's journals.
    pub fn mirrors(&self, partner: &PartnerRow) -> std::path::PathBuf {
        self.config.state.join("journals").join(partner.id.as_str())
    }

    async fn collect_month(
        &self,
        partner: &PartnerRow,
        client: &PeerClient,
        month: Month,
    ) -> Result<Collected, CollectError> {
        let key: LogVerifier = partner.journal_key.parse()?;
        let origin = Origin::new(&self.config.main, &partner.id, month);
        let note = client.get_bytes(&format!("{JOURNAL}/{month}/checkpoint")).await?;
        let checkpoint = SignedCheckpoint::open(&note, &origin, &key)?;
        let folder = month_dir(&self.mirrors(partner), month);
        durable::create_dir_all(&folder)?;
        let mut mirror = Mirror::open(&folder)?;
        let entries = fetch(client, month, mirror.size(), checkpoint.size()).await?;
        let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let refused = |source| CollectError::Refused { month, source };
        let extended = mirror.extend(&entries, &note, &origin, &key).map_err(refused)?;
        let cosigner = self.keys.cosigner().map_err(HubError::from)?;
        let note = mirror.cosign(&cosigner, Timestamp::now()).map_err(refused)?;
        let () = client.post(COSIGNATURE, &Cosigned { month, note }).await?;
        Ok(Collected { month, added: extended.added, size: extended.size })
    }
}

/// The entries `from..to`, bundle by bundle; what main has of the first bundle is dropped.
async fn fetch(client: &PeerClient, month: Month, from: u64, to: u64) -> Result<Vec<Vec<u8>>, CollectError> {
    let mut entries = Vec::new();
    // Only the first bundle can hold entries that main has already.
    let mut held = usize::try_from(from % TileWidth::FULL.get()).unwrap_or_default();
    for path in TilePath::bundles(from, to) {
        let bundle = client.get_bytes(&format!("{JOURNAL}/{month}/{path}")).await?;
        let split = split_bundle(&bundle)?;
        if split.len() as u64 > TileWidth::FULL.get() {
            return Err(CollectError::Overfull(path));
        }
        entries.extend(split.into_iter().skip(held).map(<[u8]>::to_vec));
        held = 0;
    }
    Ok(entries)
}
