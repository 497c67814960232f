//! Main's own log as partners verify it, where their contracts let main write (REQUIREMENTS 003-50 and 51), and their
//! receipts for it.
//!
//! A partner is told of the months that its contract gives it to verify, and of no other. What it has verified comes back
//! cosigned, and is what main may charge it by.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::contract::{JournalTerms, charged_under};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{MAIN_JOURNAL, MAIN_RECEIPT, MainJournals, MainReceipt, NO_SUCH_TILE, ReceiptTaken};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable;
use tieup_store::journal::{
    CheckpointError, CosignerVerifier, InvalidKey, JournalReader, Origin, ReadError, SignedCheckpoint, TilePath,
    VerifyError, month_dir, verify_cosignature, verify_log,
};
use tieup_web::journal::{Journal, JournalError};
use tieup_web::listener::Peer;
use tieup_web::problem::Refusal;
use tokio::task::block_in_place;

use crate::database::PartnerRow;
use crate::keys::KeyError;
use crate::lines::admit;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// The most bytes of a receipt.
const MAX_RECEIPT: usize = 128 << 10;

/// The file with the key of a partner's receipts, beside them.
const KEY: &str = "key.json";

/// Why a receipt was not taken. The one before it stands.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Its key is none.
    #[error("the key of the receipt cannot be used")]
    Key(#[from] InvalidKey),
    /// The partner cosigns with another key since it joined.
    #[error("`{0}` has cosigned with another key before: join again to change it")]
    OtherKey(SiteId),
    /// It is not of main's own log, or not cosigned.
    #[error("the receipt does not verify")]
    Checkpoint(#[from] CheckpointError),
    /// It is of a log that main does not have.
    #[error("main's own log has another root at {0} entries")]
    OtherRoot(u64),
    /// It covers less than one before.
    #[error("the receipt covers {size} entries, and one before it {before}")]
    Older {
        /// What it covers.
        size: u64,
        /// What the one before covers.
        before: u64,
    },
    /// Main's own keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Main's own log cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Main's own log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Receipts cannot be read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// A partner's receipt for a month of main's own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The checkpoint with the partner's cosignature.
    pub note: String,
    /// How many entries it covers.
    pub size: u64,
    /// When the partner cosigned it.
    pub cosigned: Timestamp,
}

/// The key that a partner cosigns with since it joined.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PinnedKey {
    joined: Timestamp,
    key: String,
}

/// What the handlers share.
struct Shown {
    hub: Arc<Hub>,
    journal: Arc<Journal>,
    /// The months that a partner was told of last.
    granted: Mutex<BTreeMap<SiteId, BTreeSet<Month>>>,
    /// Up to which size a month of main's own log was hashed again; held while one is.
    verified: tokio::sync::Mutex<BTreeMap<Month, u64>>,
}

/// The hub's answers to partners that verify main's own log.
pub(crate) fn router(hub: Arc<Hub>, journal: Arc<Journal>) -> Router {
    let shown = Shown { hub, journal, granted: Mutex::default(), verified: tokio::sync::Mutex::default() };
    Router::new()
        .route(MAIN_JOURNAL, get(list))
        .route(&format!("{MAIN_JOURNAL}/{{month}}/checkpoint"), get(checkpoint))
        .route(&format!("{MAIN_JOURNAL}/{{month}}/tile/{{*tile}}"), get(tile))
        .route(MAIN_RECEIPT, post(receipt).layer(DefaultBodyLimit::max(MAX_RECEIPT)))
        .with_state(Arc::new(shown))
}

type Caller = Option<Extension<Peer>>;

async fn list(State(shown): State<Arc<Shown>>, peer: Caller) -> Result<Json<MainJournals>, Refusal> {
    let partner = shown.admit(peer).await?;
    let agreed = shown.hub.agreed(&partner).await.map_err(|error| internal(&error))?;
    let mut months = BTreeSet::new();
    for month in block_in_place(|| shown.journal.months()).map_err(|error| internal(&error))? {
        let terms = charged_under(agreed.iter().cloned(), month).map(|contract| contract.journal);
        let Some(terms) = terms.filter(JournalTerms::partner_verifies_main) else { continue };
        if terms.main_verifies_itself() {
            shown.verify(month).await?;
        }
        months.insert(month);
    }
    if months.is_empty() && !agreed.iter().any(|contract| contract.journal.partner_verifies_main()) {
        return Err(not_agreed(&partner.id));
    }
    shown.granted().insert(partner.id, months.clone());
    let key = shown.hub.keys.journal().map_err(|error| internal(&error))?.verifier().to_string();
    Ok(Json(MainJournals { key, months: months.into_iter().collect() }))
}

async fn checkpoint(
    State(shown): State<Arc<Shown>>,
    peer: Caller,
    Path(month): Path<String>,
) -> Result<String, Refusal> {
    let month = shown.granted_month(peer, &month).await?;
    shown.journal.checkpoint(month).await.map_err(|error| internal(&error))
}

async fn tile(
    State(shown): State<Arc<Shown>>,
    peer: Caller,
    Path((month, tile)): Path<(String, String)>,
) -> Result<Vec<u8>, Refusal> {
    let month = shown.granted_month(peer, &month).await?;
    let missing =
        |error: &(dyn std::error::Error + 'static)| Refusal::caused_by(StatusCode::NOT_FOUND, NO_SUCH_TILE, error);
    let path: TilePath = format!("tile/{tile}").parse().map_err(|error| missing(&error))?;
    let reader = block_in_place(|| shown.journal.reader(month)).map_err(|error| internal(&error))?;
    match block_in_place(|| reader.resource(path)) {
        Err(error @ ReadError::Beyond { .. }) => Err(missing(&error)),
        other => other.map_err(|error| internal(&error)),
    }
}

/// What a partner wants to be told of a receipt.
#[derive(Deserialize)]
struct Telling {
    told: Option<String>,
}

async fn receipt(
    State(shown): State<Arc<Shown>>,
    peer: Caller,
    Query(Telling { told }): Query<Telling>,
    Json(message): Json<MainReceipt>,
) -> Result<Json<Option<ReceiptTaken>>, Refusal> {
    let partner = shown.admit(peer).await?;
    shown.check_granted(&partner.id, message.month)?;
    let taken = block_in_place(|| shown.hub.take_receipt(&partner, &shown.journal, &message));
    // It is durable: a statement that is signed from here on counts what it covers.
    let at = Timestamp::now();
    let answer = told.filter(|told| told == "time").map(|_| ReceiptTaken { at });
    taken.map(|()| Json(answer)).map_err(|error| match error {
        ReceiptError::Keys(_) | ReceiptError::Journal(_) | ReceiptError::Read(_) | ReceiptError::Document(_) => {
            internal(&error)
        }
        _ => Refusal::caused_by(StatusCode::FORBIDDEN, "bad-receipt", &error),
    })
}

impl Shown {
    async fn admit(&self, peer: Caller) -> Result<PartnerRow, Refusal> {
        let Some(Extension(Peer(certificate))) = peer else {
            let title = "the main site's log is shown to a partner with its certificate";
            return Err(Refusal::new(StatusCode::UNAUTHORIZED, "no-certificate", title));
        };
        admit(&self.hub, &certificate.name).await
    }

    /// The month of a path, if the partner that asks was told of it.
    async fn granted_month(&self, peer: Caller, month: &str) -> Result<Month, Refusal> {
        let month = month.parse();
        let month = month.map_err(|error| Refusal::caused_by(StatusCode::BAD_REQUEST, "bad-month", &error))?;
        self.check_granted(&self.admit(peer).await?.id, month)?;
        Ok(month)
    }

    fn check_granted(&self, partner: &SiteId, month: Month) -> Result<(), Refusal> {
        let is_granted = self.granted().get(partner).is_some_and(|months| months.contains(&month));
        if is_granted { Ok(()) } else { Err(not_agreed(partner)) }
    }

    fn granted(&self) -> MutexGuard<'_, BTreeMap<SiteId, BTreeSet<Month>>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes a month of main's own log again, where it has grown since that was done: what does not verify here is handed
    /// to nobody. One at a time: others wait, and need not do it again.
    async fn verify(&self, month: Month) -> Result<(), Refusal> {
        let mut verified = self.verified.lock().await;
        self.journal.checkpoint(month).await.map_err(|error| internal(&error))?;
        let reader = block_in_place(|| self.journal.reader(month)).map_err(|error| internal(&error))?;
        if verified.get(&month) == Some(&reader.size()) {
            return Ok(());
        }
        let key = self.hub.keys.journal().map_err(|error| internal(&error))?.verifier();
        let dir = month_dir(&self.hub.own_journals(), month);
        let log = block_in_place(|| verify_log(&dir, &self.hub.own_origin(month), &key));
        let log = log.map_err(|error| damaged(month, &error))?;
        verified.insert(month, log.checkpoint.size());
        Ok(())
    }
}

impl Hub {
    /// Takes a partner's receipt for main's own log. Durable on return.
    ///
    /// The first key that a partner cosigns with is its key until it joins again.
    ///
    /// # Errors
    /// See [`ReceiptError`].
    fn take_receipt(&self, partner: &PartnerRow, journal: &Journal, message: &MainReceipt) -> Result<(), ReceiptError> {
        let (month, note) = (message.month, message.note.as_bytes());
        let key: CosignerVerifier = message.key.parse()?;
        let pinned = self.pinned_key(&partner.id);
        let before = pinned.read()?.filter(|before| before.joined == partner.joined);
        if before.as_ref().is_some_and(|before| before.key != message.key) {
            return Err(ReceiptError::OtherKey(partner.id.clone()));
        }
        let signed = SignedCheckpoint::open(note, &self.own_origin(month), &self.keys.journal()?.verifier())?;
        let cosigned = verify_cosignature(note, &key)?;
        let (size, reader) = (signed.size(), journal.reader(month)?);
        if reader.root_at(size)? != signed.root() {
            return Err(ReceiptError::OtherRoot(size));
        }
        if let Some(before) = self.receipt(&partner.id, month)?.filter(|before| before.size > size) {
            return Err(ReceiptError::Older { size, before: before.size });
        }
        durable::create_dir_all(&self.receipts(&partner.id)).map_err(DocumentError::from)?;
        if before.is_none() {
            pinned.write(&PinnedKey { joined: partner.joined, key: message.key.clone() })?;
        }
        let receipt = Receipt { note: message.note.clone(), size, cosigned };
        Ok(self.receipt_document(&partner.id, month).write(&receipt)?)
    }

    /// A partner's newest receipt for a month of main's own log, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn receipt(&self, partner: &SiteId, month: Month) -> Result<Option<Receipt>, DocumentError> {
        self.receipt_document(partner, month).read()
    }

    /// The key that a partner cosigned with last, if it has cosigned anything.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn cosigner_of(&self, partner: &SiteId) -> Result<Option<String>, DocumentError> {
        Ok(self.pinned_key(partner).read()?.map(|pinned| pinned.key))
    }

    /// Main's own log, whose it is, and how many of its entries a partner has cosigned.
    ///
    /// # Errors
    /// When it has cosigned none, or the log cannot be read.
    pub(crate) fn witnessed(
        &self,
        partner: &PartnerRow,
        month: Month,
    ) -> Result<(JournalReader, Origin, u64), StatementFailure> {
        let receipt = self.receipt(&partner.id, month)?.ok_or(StatementFailure::NotWitnessed(month))?;
        let reader = JournalReader::open(month_dir(&self.own_journals(), month))?;
        Ok((reader, self.own_origin(month), receipt.size))
    }

    fn receipts(&self, partner: &SiteId) -> PathBuf {
        self.config.state.join("receipts").join(partner.as_str())
    }

    fn pinned_key(&self, partner: &SiteId) -> Document<PinnedKey> {
        Document::at(self.receipts(partner).join(KEY))
    }

    fn receipt_document(&self, partner: &SiteId, month: Month) -> Document<Receipt> {
        Document::at(self.receipts(partner).join(format!("{month}.json")))
    }
}

fn not_agreed(partner: &SiteId) -> Refusal {
    let title = format!("the contract with `{partner}` does not let it verify the main site's log of this month");
    Refusal::new(StatusCode::FORBIDDEN, "not-agreed", title)
        .hint("where main writes, a contract says so: `journal: {writer: main, verifier: partner}`")
}

fn damaged(month: Month, error: &VerifyError) -> Refusal {
    tracing::error!(%month, error = error as &dyn std::error::Error, "main's own journal does not verify");
    let title = format!("the main site's own log of {month} does not verify there; its log says why");
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "own-journal-damaged", title)
}

fn internal(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(error, "main's own journal could not be shown to a partner");
    let title = "the main site could not show its log; its own log says why";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title)
}
