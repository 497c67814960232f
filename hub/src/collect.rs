//! Collecting journals: what a partner logged is fetched, verified against its signed checkpoint, and cosigned.
//!
//! It is fetched bundle by bundle, and what has come is kept: a collection that was cut off goes on where it was. What
//! contradicts main's copy is refused for good.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::access::MAX_ENTRY;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
pub use tieup_protocol::wire::CollectedMonth as Collected;
use tieup_protocol::wire::{COSIGNATURE, Cosigned, JOURNAL, NO_SUCH_TILE};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::DiskError;
use tieup_store::journal::{
    CheckpointError, Extended, InvalidBundle, InvalidKey, LogVerifier, Mirror, MirrorError, OpenError, Origin,
    SignedCheckpoint, TilePath, TileWidth, month_dir, months, split_bundle,
};
use tieup_store::lock::{LockError, StateLock};
use tieup_web::client::{CallError, PeerClient};
use tokio::task::block_in_place;

use crate::database::PartnerRow;
use crate::partners::{Hub, HubError};
use crate::refusals::RefusedJournal;

/// How many bytes stay free on main's disk, whatever partners have logged: main's own pages and their journal need them.
const RESERVE: u64 = 256 << 20;

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
    /// What is kept of refusals, or of the last collection, cannot be read or written.
    #[error(transparent)]
    Refusals(#[from] DocumentError),
    /// Main's own copy cannot be opened.
    #[error("main's copy of the journal cannot be opened")]
    Open(#[from] OpenError),
    /// Another command is collecting from this partner.
    #[error("another command is collecting from `{0}` at this moment")]
    Busy(SiteId, #[source] LockError),
    /// The journal of this partner is being collected by this program.
    #[error("the journal of `{0}` is being collected at this moment")]
    UnderWay(SiteId),
    /// A bundle with more entries than it may have.
    #[error("the journal's bundle {0} has too many entries")]
    Overfull(TilePath),
    /// An entry that is longer than a visit can be.
    #[error("the journal's bundle {path} has an entry of {length} bytes; a visit has {MAX_ENTRY} at most")]
    LongEntry {
        /// The bundle.
        path: TilePath,
        /// How long the entry is.
        length: usize,
    },
    /// Main's disk has too little room left.
    #[error("main's disk has {free} bytes left, of which {RESERVE} stay free: make room before journals are collected")]
    NoSpace {
        /// How many bytes are free.
        free: u64,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl CollectError {
    /// Whether what came of the journal is of no use: it is neither evidence nor something to go on with.
    fn spoils(&self) -> bool {
        matches!(self, Self::Bundle(_) | Self::Overfull(_) | Self::LongEntry { .. } | Self::NoSpace { .. })
    }
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
    /// Fetches what is new in every month of a partner's journal, verifies it and cosigns it.
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
        self.config.state.join("journals").join(partner.id.as_str())
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
        let _lock = block_in_place(|| StateLock::take(&mirrors)).map_err(busy)?;
        // A month that main holds and the partner no longer has is looked at too.
        let held: BTreeSet<Month> = months(&mirrors)?.into_iter().chain(status.journals.iter().copied()).collect();
        let mut collected = Vec::new();
        let mut failed = None;
        for month in held.into_iter().filter(|month| only.is_none_or(|only| only == *month)) {
            let log = block_in_place(|| Log::of(self, partner, &client, month));
            let taken = match log {
                Ok(log) if status.journals.contains(&month) => log.collect().await,
                Ok(log) => block_in_place(|| log.open()?.miss()),
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

/// One month's journal, as the partner keeps it.
struct Log<'a> {
    hub: &'a Hub,
    partner: &'a PartnerRow,
    client: &'a PeerClient,
    month: Month,
    origin: Origin,
    key: LogVerifier,
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
        let key: LogVerifier = partner.journal_key.parse()?;
        let origin = Origin::new(&hub.config.main, &partner.id, month);
        Ok(Self { hub, partner, client, month, origin, key })
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
        let note = self.client.get_bytes(&format!("{JOURNAL}/{}/checkpoint", self.month)).await?;
        let signed = SignedCheckpoint::open(&note, &self.origin, &self.key)?;
        if let Some(receipt) = block_in_place(|| Mirror::receipt(&self.dir(), &signed))? {
            self.show(receipt).await?;
            return Ok(Collected { month: self.month, added: 0, size: signed.size() });
        }
        block_in_place(|| self.open())?.collect(signed.size(), &note).await
    }

    /// Gives the partner main's cosignature.
    async fn show(&self, note: String) -> Result<(), CollectError> {
        Ok(self.client.post(COSIGNATURE, &Cosigned { month: self.month, note }).await?)
    }
}

impl Collecting<'_> {
    /// Takes the entries up to `signed`, as the checkpoint `note` covers them, and cosigns it.
    async fn collect(mut self, signed: u64, note: &[u8]) -> Result<Collected, CollectError> {
        let waited = self.mirror.size() > self.mirror.confirmed();
        let mut taken = self.take_up_to(signed, note).await;
        if waited && matches!(&taken, Err(CollectError::Refused { .. })) {
            // What had come before a cut may be what is wrong. The partner is not blamed for that.
            block_in_place(|| self.drop_waiting())?;
            taken = self.take_up_to(signed, note).await;
        }
        let extended = block_in_place(|| self.judge(taken, note))?;
        let receipt = block_in_place(|| self.cosign())?;
        self.log.show(receipt).await?;
        Ok(Collected { month: self.log.month, added: extended.added, size: extended.size })
    }

    /// Keeps the evidence where the journal is refused, and nothing of what is of no use.
    fn judge(&mut self, taken: Result<Extended, CollectError>, note: &[u8]) -> Result<Extended, CollectError> {
        match &taken {
            Err(CollectError::Refused { source, .. }) => self.refuse(source, Some(note))?,
            Err(error) if error.spoils() => self.drop_waiting()?,
            _ => {}
        }
        taken
    }

    fn cosign(&mut self) -> Result<String, CollectError> {
        let cosigner = self.log.hub.keys.cosigner().map_err(HubError::from)?;
        self.mirror.cosign(&cosigner, Timestamp::now()).map_err(|source| self.refused(source))
    }

    /// A month that the partner has no journal of any more, of which main cosigned entries.
    fn miss(mut self) -> Result<Collected, CollectError> {
        let held = self.mirror.confirmed();
        if held == 0 {
            return Ok(Collected { month: self.log.month, added: 0, size: 0 });
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
            block_in_place(|| self.take(path, &bundle, held, signed))?;
            held = 0;
        }
        let confirmed = block_in_place(|| self.mirror.confirm(note, &self.log.origin, &self.log.key));
        confirmed.map_err(|source| self.refused(source))
    }

    /// Takes in a bundle but for its first `held` entries. The size that is collected up to is what the partner signed: that
    /// each bundle is whole is what makes an end of it.
    fn take(&mut self, path: TilePath, bundle: &[u8], held: usize, signed: u64) -> Result<(), CollectError> {
        let entries = whole(path, bundle, signed).map_err(|failed| match failed {
            Failed::Short(source) => self.refused(source),
            Failed::Unusable(error) => error,
        })?;
        check_room(self.mirror.free_space()?)?;
        self.mirror.take(entries.get(held..).unwrap_or_default()).map_err(|source| self.refused(source))
    }

    /// A bundle of entries. That it is not to be had, though it was signed for, is the partner's fault.
    async fn bundle(&self, path: TilePath, signed: u64) -> Result<Vec<u8>, CollectError> {
        match self.log.client.get_bytes(&format!("{JOURNAL}/{}/{path}", self.log.month)).await {
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
            month: self.log.month,
            since: Timestamp::now(),
            reason: source.to_string(),
            held: self.mirror.checkpoint().map(|held| held.note().to_owned()),
            shown: shown.map(|note| String::from_utf8_lossy(note).into_owned()),
            settled: None,
        };
        self.log.hub.refuse_journal(&self.log.partner.id, refused)?;
        self.drop_waiting()
    }

    fn drop_waiting(&mut self) -> Result<(), CollectError> {
        self.mirror.drop_waiting().map_err(|source| self.refused(source))
    }

    fn refused(&self, source: MirrorError) -> CollectError {
        match source {
            MirrorError::Disk(error) => error.into(),
            source => CollectError::Refused { month: self.log.month, source },
        }
    }
}

/// What is wrong with a bundle.
#[derive(Debug)]
enum Failed {
    /// Entries that were signed for are not in it.
    Short(MirrorError),
    /// It is not what a journal can hold.
    Unusable(CollectError),
}

/// The entries of the bundle `path` of a log of `signed` entries: exactly as many as the path says, none longer than a
/// visit can be.
fn whole(path: TilePath, bundle: &[u8], signed: u64) -> Result<Vec<&[u8]>, Failed> {
    let entries = split_bundle(bundle).map_err(|error| Failed::Unusable(error.into()))?;
    let (given, width) = (entries.len() as u64, path.width().get());
    if given > width {
        return Err(Failed::Unusable(CollectError::Overfull(path)));
    }
    if given < width {
        return Err(Failed::Short(MirrorError::Short { signed, given: path.first().saturating_add(given) }));
    }
    match entries.iter().map(|entry| entry.len()).find(|length| *length > MAX_ENTRY) {
        Some(length) => Err(Failed::Unusable(CollectError::LongEntry { path, length })),
        None => Ok(entries),
    }
}

fn check_room(free: u64) -> Result<(), CollectError> {
    if free < RESERVE { Err(CollectError::NoSpace { free }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bundle of `count` entries of `length` bytes.
    fn bundle(count: usize, length: u16) -> Vec<u8> {
        [length.to_be_bytes().as_slice(), &vec![7; length.into()]].concat().repeat(count)
    }

    #[test]
    fn a_bundle_has_exactly_the_entries_that_its_path_says() {
        let [first, last]: [TilePath; 2] = TilePath::bundles(0, 300).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(whole(first, &bundle(256, 50), 300).unwrap().len(), 256);
        assert_eq!(whole(last, &bundle(44, 50), 300).unwrap().len(), 44);
        for (path, count, held) in [(first, 0, 0), (first, 255, 255), (last, 0, 256), (last, 43, 299)] {
            let failed = whole(path, &bundle(count, 50), 300).unwrap_err();
            let is_short = matches!(failed, Failed::Short(MirrorError::Short { signed: 300, given }) if given == held);
            assert!(is_short, "{path} with {count} entries: {failed:?}");
        }
        for (path, count) in [(first, 257), (last, 45)] {
            let failed = whole(path, &bundle(count, 50), 300).unwrap_err();
            assert!(matches!(failed, Failed::Unusable(CollectError::Overfull(_))), "{path} with {count}: {failed:?}");
        }
    }

    #[test]
    fn an_entry_is_no_longer_than_a_visit_can_be() {
        let path = TilePath::bundles(0, 1).next().unwrap();
        let longest = u16::try_from(MAX_ENTRY).unwrap();
        whole(path, &bundle(1, longest), 1).unwrap();
        for length in [longest + 1, u16::MAX] {
            let failed = whole(path, &bundle(1, length), 1).unwrap_err();
            assert!(matches!(failed, Failed::Unusable(CollectError::LongEntry { .. })), "{failed:?}");
        }
    }

    #[test]
    fn room_stays_free_on_mains_disk() {
        check_room(RESERVE).unwrap();
        assert!(matches!(check_room(RESERVE - 1), Err(CollectError::NoSpace { .. })));
    }

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
