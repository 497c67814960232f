//! Main's own log, where the contract lets main write: fetched, verified and cosigned by the partner, as main does with the
//! partner's (REQUIREMENTS 003-50 and 51).
//!
//! The key that signs main's log is the one that main named first, over mutual TLS; from then on it stands, and so does what
//! was cosigned: a log that contradicts it is refused for good, until the operator has settled it.

mod shown;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::main_tls_name;
use tieup_protocol::period::{Month, Zone};
use tieup_protocol::wire::{CollectedMonth, MAIN_JOURNAL, MAIN_RECEIPT, MainJournals, MainReceipt, ReceiptTaken};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::{
    Cosigner, Extended, InvalidKey, LogVerifier, Mirror, MirrorError, OpenError, Origin, month_dir, months,
};
use tieup_store::lock::{LockError, StateLock};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::journal::fetching::{FetchError, RemoteLog};
use tieup_web::journal::refusals::{Refusals, RefusedJournal};
use tieup_web::tls::TlsError;
use tokio::task::block_in_place;

use self::shown::ShownReceipts;
use crate::daemon::Partner;

/// The folder with all that is kept of main's log, in the state folder.
const FOLDER: &str = "main-journal";

/// The file with the key that signs main's log, in that folder.
const KEY: &str = "key.json";

/// The file with the key that this partner cosigns with, beside it; its owner alone can read it.
const COSIGNER: &str = "cosigner.key";

/// How long main may take without a word: it may hash its own log again first.
const PATIENCE: Duration = Duration::from_mins(30);

/// How far main's clock may be ahead of the one here.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// Why main's log was not verified. Nothing was cosigned.
#[derive(Debug, thiserror::Error)]
pub enum MainJournalError {
    /// The partner joined before main's address was kept.
    #[error("it is not known where the main site answers: join again with a new token")]
    NoHub,
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Main could not be reached, or did not show its log.
    #[error("the main site did not show its log")]
    Call(#[from] CallError),
    /// A key is none.
    #[error("a key of the main site's log cannot be used")]
    Key(#[from] InvalidKey),
    /// Main names another key than before.
    #[error("the main site's log is signed by another key than before: ask the main site, by telephone say, before {} is removed", .0.display())]
    OtherKey(PathBuf),
    /// It could not be fetched whole.
    #[error(transparent)]
    Fetch(FetchError),
    /// It contradicts what was cosigned, or itself.
    #[error("the main site's log of {month} is refused")]
    Refused {
        /// The month.
        month: Month,
        /// What does not fit.
        #[source]
        source: MirrorError,
    },
    /// It was refused before, and nobody has settled it.
    #[error("{}", .0.sentence())]
    Stands(Box<RefusedJournal>),
    /// What is kept beside the copies cannot be read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The copy cannot be opened.
    #[error("the copy of the main site's log cannot be opened")]
    Open(#[from] OpenError),
    /// It is being verified already.
    #[error("the main site's log is being verified at this moment")]
    Busy(#[from] LockError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// No random numbers.
    #[error("the operating system gives no random numbers")]
    Randomness,
}

/// The key of main's log as main named it first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinnedKey {
    key: String,
}

/// What a partner keeps of main's log: a copy of each month, the keys, and what was refused.
#[derive(Clone, Debug)]
pub struct MainJournal {
    folder: PathBuf,
}

impl MainJournal {
    /// What is kept in the state folder `state`, where there may be nothing yet.
    pub fn in_state(state: &Path) -> Self {
        Self { folder: state.join(FOLDER) }
    }

    /// The months of which there is a copy, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn months(&self) -> Result<Vec<Month>, DiskError> {
        months(&self.folder)
    }

    /// The folder of a month's copy.
    pub fn dir(&self, month: Month) -> PathBuf {
        month_dir(&self.folder, month)
    }

    /// How many entries of main's log of `month` main had a receipt for before `time`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn shown_before(&self, month: Month, time: Timestamp) -> Result<u64, DocumentError> {
        ShownReceipts::of(&self.folder, month).before(time)
    }

    /// The folder of all copies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was refused of it.
    pub fn refusals(&self) -> Refusals {
        Refusals::in_folder(self.folder.join("refusals"))
    }

    /// The key that signs main's log; none before it was fetched for the first time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn key(&self) -> Result<Option<LogVerifier>, MainJournalError> {
        let pinned = self.pinned().read()?;
        Ok(pinned.map(|pinned| pinned.key.parse()).transpose()?)
    }

    /// The key that this partner cosigns with; none before the first time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn cosigner(&self) -> Result<Option<Cosigner>, MainJournalError> {
        let text = durable::read_file(&self.folder.join(COSIGNER))?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).parse()).transpose()?)
    }

    fn pinned(&self) -> Document<PinnedKey> {
        Document::at(self.folder.join(KEY))
    }

    /// Keeps the key that main names, if it is the first; fails if it is another one.
    fn pin(&self, named: &str) -> Result<LogVerifier, MainJournalError> {
        let key = named.parse()?;
        match self.pinned().read()? {
            None => self.pinned().write(&PinnedKey { key: named.to_owned() })?,
            Some(pinned) if pinned.key == named => {}
            Some(_) => return Err(MainJournalError::OtherKey(self.pinned().path().to_owned())),
        }
        Ok(key)
    }

    /// The key to cosign with, which is made the first time.
    fn cosigner_of(&self, partner: &SiteId) -> Result<Cosigner, MainJournalError> {
        if let Some(cosigner) = self.cosigner()? {
            return Ok(cosigner);
        }
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| MainJournalError::Randomness)?;
        let cosigner = Cosigner::from_seed(partner.as_str(), &seed)?;
        durable::write_private_file(&self.folder.join(COSIGNER), cosigner.to_private_text().as_bytes())?;
        Ok(cosigner)
    }
}

impl Partner {
    /// What is kept of main's log.
    pub fn main_journal(&self) -> MainJournal {
        MainJournal::in_state(self.state())
    }

    /// Fetches what is new in main's log, verifies it and cosigns it. On return main has the receipts.
    ///
    /// # Errors
    /// See [`MainJournalError`]; the months that did not fail have been verified.
    pub async fn verify_main_journal(&self) -> Result<Vec<CollectedMonth>, MainJournalError> {
        let (identity, kept) = (self.identity(), self.main_journal());
        let hub = identity.hub.as_deref().ok_or(MainJournalError::NoHub)?;
        let client = PeerClient::new(self.tls().client()?, main_tls_name(&identity.main), hub).await?;
        let client = client.patient_for(PATIENCE);
        let MainJournals { key, months } = client.get(MAIN_JOURNAL).await?;
        let _lock = block_in_place(|| StateLock::take(&kept.folder))?;
        let key = block_in_place(|| kept.pin(&key))?;
        let cosigner = block_in_place(|| kept.cosigner_of(&identity.partner))?;
        let fetching = Fetching { kept: &kept, client: &client, main: &identity.main, key, cosigner };
        let held: BTreeSet<Month> = kept.months()?.into_iter().collect();
        let can_be = can_be(identity.joined, Timestamp::now());
        let shown: BTreeSet<Month> =
            months.into_iter().filter(|month| held.contains(month) || can_be.contains(month)).collect();
        let (mut verified, mut failed) = (Vec::new(), None);
        // A month that is held here and main no longer shows is looked at too.
        for month in held.union(&shown).copied() {
            let taken = if shown.contains(&month) { fetching.fetch(month).await } else { fetching.miss(month) };
            match taken {
                Ok(month) => verified.push(month),
                // The months after a damaged one are verified all the same.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(verified), Err)
    }
}

/// The months that main may show for the first time: from that of the join on, and none that has yet to come.
fn can_be(joined: Timestamp, now: Timestamp) -> RangeInclusive<Month> {
    let utc = Zone::utc();
    Month::of(joined, &utc)..=Month::of(now, &utc)
}

/// Main's log while it is fetched.
struct Fetching<'a> {
    kept: &'a MainJournal,
    client: &'a PeerClient,
    main: &'a SiteId,
    key: LogVerifier,
    cosigner: Cosigner,
}

impl Fetching<'_> {
    /// Takes what is new of a month and cosigns it. Where nothing is, main is shown the receipt that there is.
    async fn fetch(&self, month: Month) -> Result<CollectedMonth, MainJournalError> {
        self.check_unrefused(month)?;
        let base = format!("{MAIN_JOURNAL}/{month}");
        let origin = Origin::new(self.main, self.main, month);
        let remote = RemoteLog::new(self.client.clone(), base, origin, self.key.clone());
        let signed = remote.checkpoint().await.map_err(|error| failed(month, error))?;
        let dir = self.kept.dir(month);
        if let Some(receipt) = block_in_place(|| Mirror::receipt(&dir, &signed))? {
            self.show(month, receipt, signed.size()).await?;
            return Ok(CollectedMonth { month, added: 0, size: signed.size() });
        }
        let mut mirror = block_in_place(|| Mirror::open(&dir))?;
        let taken = remote.extend(&mut mirror, &signed).await;
        if let Err(FetchError::Refused(source)) = &taken {
            block_in_place(|| self.refuse(month, &mut mirror, source, Some(signed.note())))?;
        }
        let Extended { added, size } = taken.map_err(|error| failed(month, error))?;
        let receipt = block_in_place(|| mirror.cosign(&self.cosigner, Timestamp::now()));
        self.show(month, receipt.map_err(|source| failed(month, source.into()))?, size).await?;
        Ok(CollectedMonth { month, added, size })
    }

    /// A month that main no longer shows: where entries of it were cosigned, they are gone.
    fn miss(&self, month: Month) -> Result<CollectedMonth, MainJournalError> {
        self.check_unrefused(month)?;
        let mut mirror = block_in_place(|| Mirror::open(&self.kept.dir(month)))?;
        let held = mirror.confirmed();
        if held == 0 {
            return Ok(CollectedMonth { month, added: 0, size: 0 });
        }
        let source = MirrorError::Shrunk { held, signed: 0 };
        block_in_place(|| self.refuse(month, &mut mirror, &source, None))?;
        Err(failed(month, source.into()))
    }

    fn check_unrefused(&self, month: Month) -> Result<(), MainJournalError> {
        let refused = block_in_place(|| self.kept.refusals().of(month))?;
        refused.map_or(Ok(()), |refused| Err(MainJournalError::Stands(Box::new(refused))))
    }

    /// Gives main the receipt for `size` entries, and keeps since when it has it.
    async fn show(&self, month: Month, note: String, size: u64) -> Result<(), MainJournalError> {
        let receipt = MainReceipt { month, note, key: self.cosigner.verifier().to_string() };
        let taken: Option<ReceiptTaken> = self.client.post(&format!("{MAIN_RECEIPT}?told=time"), &receipt).await?;
        // A main site that does not say when has it by now.
        let at = taken_at(taken, Timestamp::now());
        Ok(block_in_place(|| ShownReceipts::of(&self.kept.folder, month).note(size, at))?)
    }

    /// Keeps that a month is refused, with both checkpoints, and drops what was not confirmed.
    fn refuse(
        &self,
        month: Month,
        mirror: &mut Mirror,
        source: &MirrorError,
        shown: Option<&str>,
    ) -> Result<(), MainJournalError> {
        if !source.is_contradiction() {
            return Ok(());
        }
        let refused = RefusedJournal::of(month, mirror, source, shown, Timestamp::now());
        tracing::error!(main = %self.main, %month, "what the main site's key signed contradicts what it signed before");
        self.kept.refusals().keep(refused)?;
        mirror.drop_waiting().map_err(|source| failed(month, source.into()))
    }
}

/// Since when main has a receipt, as it says; since `now` where it says nothing, or a time that has yet to come: with that,
/// no statement would have to count what the receipt covers.
fn taken_at(taken: Option<ReceiptTaken>, now: Timestamp) -> Timestamp {
    taken.map(|taken| taken.at).filter(|at| at.duration_since(now) <= CLOCKS).unwrap_or(now)
}

fn failed(month: Month, error: FetchError) -> MainJournalError {
    match error {
        FetchError::Refused(source) => MainJournalError::Refused { month, source },
        FetchError::Call(error) => error.into(),
        FetchError::Disk(error) => error.into(),
        error => MainJournalError::Fetch(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_that_main_says_to_have_taken_in_the_future_was_taken_now() {
        let now: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let says = |minutes| taken_at(Some(ReceiptTaken { at: now + SignedDuration::from_mins(minutes) }), now);
        assert_eq!((says(-90), says(5)), (now - SignedDuration::from_mins(90), now + SignedDuration::from_mins(5)));
        assert_eq!((says(6), says(60 * 24 * 365), taken_at(None, now)), (now, now, now));
    }

    #[test]
    fn main_shows_no_month_before_the_join_and_none_that_has_yet_to_come() {
        let months = can_be("2026-03-31T23:59:59Z".parse().unwrap(), "2026-11-29T12:00:00Z".parse().unwrap());
        for (month, can_be) in [("2026-02", false), ("2026-03", true), ("2026-11", true), ("2026-12", false)] {
            assert_eq!(months.contains(&month.parse().unwrap()), can_be, "{month}");
        }
    }
}
