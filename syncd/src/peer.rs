//! What main may ask of the daemon, over mutual TLS. The listener has verified that it is main who asks.

use std::future::ready;
use std::io::{self, Read as _};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::map_request;
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use serde::Deserialize;
use tieup_protocol::dispute::{RULING, Ruling, UNKNOWN_DISPUTE};
use tieup_protocol::drift::GuardReport;
use tieup_protocol::period::Month;
use tieup_protocol::record::{EXTENT, ExtentGrant, ExtentRequest, MAX_PAGE_BYTES, RECORD, RecordHeld, RecordPage};
use tieup_protocol::strike::{STRIKE_ANSWERS, STRIKES, Strike, StrikeAnswer};
use tieup_protocol::wire::{
    AUDIT, AUDIT_SIGNED, BLOBS, COSIGNATURE, Cosigned, FRESHNESS, Fresh, JOURNAL, MANIFEST, MAX_OFFER, MAX_REVOCATIONS,
    Metadata, NO_SUCH_TILE, OFFER, Offer, PartnerStatus, RESTORE, REVOCATIONS, Ready, STATEMENT, STATUS, Staged,
    StatementNotice, StatementVerdict, UNKNOWN_BASE, Wanted,
};
use tieup_store::journal::{ReadError, TilePath};
use tieup_web::complaint::causes;
use tieup_web::problem::Refusal;
use tieup_web::versions::speaking;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::candidate::CandidateError;
use crate::daemon::Partner;
use crate::dispute::DisputeError;
use crate::flow::{Limits, begin, paced};
use crate::guard::GuardError;
use crate::intake::{Intake, IntakeError};
use crate::publisher::PublishError;
use crate::record::RecordError;
use crate::revocation::{RevocationError, StaleRevocations};
use tieup_web::journal::JournalError;

/// The most bytes of a compressed offer.
const MAX_PACKED_OFFER: usize = 64 << 20;

/// The most bytes of a strike.
const MAX_STRIKE: usize = 64 << 10;

/// The most bytes of a statement of freshness. Its documents are held to their own length.
const MAX_FRESHNESS: usize = 4 << 20;

/// Why a body is not an offer.
#[derive(Debug, thiserror::Error)]
enum UnreadableOffer {
    #[error("the offer cannot be unpacked")]
    Zstd(#[from] io::Error),
    #[error("the offer unpacks to more than {MAX_OFFER} bytes")]
    TooLong,
    #[error("the offer cannot be read")]
    Json(#[from] serde_json::Error),
}

/// The daemon's answers to main, which may send no slower than `limits` say.
pub fn router(partner: Arc<Partner>, limits: Limits) -> Router {
    let router = Router::new()
        .route(REVOCATIONS, post(revocations).layer(DefaultBodyLimit::max(MAX_REVOCATIONS)))
        .route(STATUS, get(status))
        .route(OFFER, post(offer).layer(DefaultBodyLimit::max(MAX_PACKED_OFFER)))
        .route(MANIFEST, put(manifest))
        .route(BLOBS, put(blobs))
        .route(FRESHNESS, post(freshness).layer(DefaultBodyLimit::max(MAX_FRESHNESS)))
        .route(RESTORE, put(restore))
        .route(&format!("{JOURNAL}/{{month}}/checkpoint"), get(checkpoint))
        .route(&format!("{JOURNAL}/{{month}}/tile/{{*tile}}"), get(tile))
        .route(COSIGNATURE, post(cosignature))
        .route(RECORD, post(record).layer(DefaultBodyLimit::max(MAX_PAGE_BYTES)))
        .route(EXTENT, post(extent))
        .route(STATEMENT, post(statement))
        .route(RULING, post(ruling))
        .route(STRIKES, post(strike).layer(DefaultBodyLimit::max(MAX_STRIKE)))
        .route(STRIKE_ANSWERS, post(strike_answer))
        .route(AUDIT, get(audit))
        .route(AUDIT_SIGNED, get(audit_signed))
        .layer(Extension(limits))
        .layer(map_request(move |request: Request| ready(paced(request, limits))))
        .with_state(partner);
    speaking(router, concat!("syncd ", env!("CARGO_PKG_VERSION")))
}

async fn revocations(State(partner): State<Arc<Partner>>, list: String) -> Result<Json<u64>, Refusal> {
    let taken = tokio::task::block_in_place(|| partner.take_revocations(&list));
    taken.map(Json).map_err(|error| match error {
        RevocationError::Invalid(_) => Refusal::caused_by(StatusCode::BAD_REQUEST, "bad-revocations", &error),
        RevocationError::Older(_) => Refusal::caused_by(StatusCode::CONFLICT, "older-revocations", &error),
        RevocationError::Disk(_) => internal(&error),
    })
}

async fn status(State(partner): State<Arc<Partner>>) -> Result<Json<PartnerStatus>, Refusal> {
    tokio::task::block_in_place(|| partner.status()).map(Json).map_err(|error| internal(&error))
}

async fn offer(State(partner): State<Arc<Partner>>, packed: Bytes) -> Result<Json<Ready>, Refusal> {
    let unpacked = tokio::task::block_in_place(|| unpack(&packed));
    let offer = unpacked.map_err(|error| Refusal::caused_by(StatusCode::BAD_REQUEST, "unreadable-offer", &error))?;
    partner.check_revocations(Timestamp::now()).map_err(|stale| refuse_stale(&partner, &stale))?;
    let kept = tokio::task::block_in_place(|| partner.publisher().kept_manifests());
    let kept = kept.map_err(|error| internal(&error))?;
    let ready = partner.intake().await.offer(offer, kept).await;
    ready.map(Json).map_err(|error| refuse_offer(&partner, &error))
}

async fn manifest(
    State(partner): State<Arc<Partner>>,
    Extension(limits): Extension<Limits>,
    body: Body,
) -> Result<Json<Wanted>, Refusal> {
    let coming = Coming { body, limits, announced: Intake::manifest_bytes };
    let wanted = take_in(&partner, coming, |partner, intake, unpacked| {
        intake.manifest(|digest| partner.publisher().kept_manifest(digest), unpacked)
    });
    wanted.await.map(Json)
}

async fn freshness(
    State(partner): State<Arc<Partner>>,
    Json(metadata): Json<Metadata>,
) -> Result<Json<Fresh>, Refusal> {
    let fresh = partner.intake().await.freshen(&metadata).await;
    fresh.map(Json).map_err(|error| refuse_offer(&partner, &error))
}

async fn blobs(
    State(partner): State<Arc<Partner>>,
    Extension(limits): Extension<Limits>,
    body: Body,
) -> Result<Json<Staged>, Refusal> {
    let coming = Coming { body, limits, announced: Intake::wanted_bytes };
    let staged = take_in(&partner, coming, |partner, intake, unpacked| {
        intake.receive(unpacked)?;
        intake.stage(&mut partner.publisher(), Timestamp::now())
    });
    staged.await.map(|release| Json(Staged { release }))
}

/// A body of a release, and what bounds the time that it may take.
struct Coming {
    body: Body,
    limits: Limits,
    /// How many bytes the intake expects of it.
    announced: fn(&Intake) -> u64,
}

/// Lets the intake take a body that zstd compressed, and notes what it refuses. Until the first part of the body is here
/// the intake goes on with others, and then for no longer than what was announced takes.
async fn take_in<T: Send + 'static>(
    partner: &Arc<Partner>,
    coming: Coming,
    take: impl FnOnce(&Partner, &mut Intake, &mut dyn io::Read) -> Result<T, IntakeError> + Send + 'static,
) -> Result<T, Refusal> {
    let Coming { body, limits, announced } = coming;
    let begun = begin(body).await.map_err(|error| refuse_offer(partner, &IntakeError::Stream(error)))?;
    let receiving = partner.clone();
    // On a thread of its own: the body arrives through the task that runs this handler.
    let taken = tokio::task::spawn_blocking(move || {
        let mut intake = receiving.intake_blocking();
        let (first, rest) = begun.in_its_turn(announced(&intake), limits);
        let rest = SyncIoBridge::new(StreamReader::new(Box::pin(rest)));
        let mut unpacked = zstd::Decoder::new(io::Cursor::new(first).chain(rest)).map_err(IntakeError::Stream)?;
        take(&receiving, &mut intake, &mut unpacked)
    });
    taken.await.map_err(|error| internal(&error))?.map_err(|error| refuse_offer(partner, &error))
}

/// What main sends of what is lacking here.
async fn restore(State(partner): State<Arc<Partner>>, body: Body) -> Result<Json<GuardReport>, Refusal> {
    let reader = reader(body);
    let taken = tokio::task::spawn_blocking(move || {
        let unpacked = zstd::Decoder::new(reader).map_err(GuardError::Stream)?;
        partner.guard().take_in(&partner, unpacked, Timestamp::now())
    });
    let report = taken.await.map_err(|error| internal(&error))?;
    report.map(Json).map_err(|error| match &error {
        GuardError::NotLacking(_) => Refusal::caused_by(StatusCode::CONFLICT, "not-lacking", &error),
        GuardError::Blob(_) => Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, "bad-blob", &error),
        GuardError::Stream(_) => Refusal::caused_by(StatusCode::BAD_REQUEST, "broken-stream", &error),
        GuardError::Disk(_) | GuardError::Publisher(_) => internal(&error),
    })
}

/// A body to be read on a thread that may wait.
fn reader(body: Body) -> impl io::Read + Send + 'static {
    SyncIoBridge::new(StreamReader::new(body.into_data_stream().map_err(io::Error::other)))
}

async fn checkpoint(State(partner): State<Arc<Partner>>, Path(month): Path<String>) -> Result<String, Refusal> {
    partner.journal().checkpoint(parse_month(&month)?).await.map_err(|error| refuse_journal(&error))
}

async fn tile(
    State(partner): State<Arc<Partner>>,
    Path((month, tile)): Path<(String, String)>,
) -> Result<Vec<u8>, Refusal> {
    let not_found =
        |error: &(dyn std::error::Error + 'static)| Refusal::caused_by(StatusCode::NOT_FOUND, NO_SUCH_TILE, error);
    let path: TilePath = format!("tile/{tile}").parse().map_err(|error| not_found(&error))?;
    let month = parse_month(&month)?;
    let reader = tokio::task::block_in_place(|| partner.journal().reader(month));
    let reader = reader.map_err(|error| refuse_journal(&error))?;
    match tokio::task::block_in_place(|| reader.resource(path)) {
        Err(error @ ReadError::Beyond { .. }) => Err(not_found(&error)),
        other => other.map_err(|error| internal(&error)),
    }
}

async fn cosignature(State(partner): State<Arc<Partner>>, Json(message): Json<Cosigned>) -> Result<Json<()>, Refusal> {
    let kept = partner.journal().keep_cosigned(message.month, message.note).await;
    kept.map(Json).map_err(|error| refuse_journal(&error))
}

/// From which line on main wants the audit trail.
#[derive(Deserialize)]
struct From {
    from: u64,
}

async fn audit(State(partner): State<Arc<Partner>>, Query(From { from }): Query<From>) -> Result<String, Refusal> {
    let lines = tokio::task::block_in_place(|| partner.publisher().audit_lines(from));
    lines.map_err(|error| internal(&error))
}

/// How many lines of the audit trail are to be signed.
#[derive(Deserialize)]
struct Signed {
    lines: u64,
}

async fn audit_signed(
    State(partner): State<Arc<Partner>>,
    Query(Signed { lines }): Query<Signed>,
) -> Result<String, Refusal> {
    let signed = tokio::task::block_in_place(|| partner.sign_trail(lines, Timestamp::now()));
    let signed = signed.map_err(|error| internal(&error))?;
    let shorter = || Refusal::new(StatusCode::NOT_FOUND, "shorter-trail", "the audit trail has fewer lines");
    signed.map(|signed| signed.note().to_owned()).ok_or_else(shorter)
}

async fn statement(
    State(partner): State<Arc<Partner>>,
    Json(notice): Json<StatementNotice>,
) -> Result<Json<StatementVerdict>, Refusal> {
    let verified = tokio::task::block_in_place(|| partner.take_statement(&notice));
    verified
        .map(|verified| Json(verified.verdict))
        .map_err(|error| Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, "statement-not-verified", &error))
}

async fn extent(
    State(partner): State<Arc<Partner>>,
    Json(ExtentRequest { at }): Json<ExtentRequest>,
) -> Result<Json<ExtentGrant>, Refusal> {
    let extent = tokio::task::block_in_place(|| partner.extents().before(at));
    extent.map(|extent| Json(ExtentGrant { extent })).map_err(|error| internal(&error))
}

async fn record(
    State(partner): State<Arc<Partner>>,
    Json(page): Json<RecordPage>,
) -> Result<Json<RecordHeld>, Refusal> {
    let taken = tokio::task::block_in_place(|| partner.take_record(&page, Timestamp::now()));
    taken.map(Json).map_err(|error| match error {
        RecordError::Disk(error) => internal(&error),
        RecordError::Trail(error) => internal(&error),
        error => Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, "record-not-taken", &error),
    })
}

async fn ruling(State(partner): State<Arc<Partner>>, Json(ruling): Json<Ruling>) -> Result<Json<()>, Refusal> {
    let taken = tokio::task::block_in_place(|| partner.take_ruling(&ruling, Timestamp::now()));
    taken.map(Json).map_err(|error| {
        let is_unknown = matches!(error, DisputeError::Unknown(_));
        let kind = if is_unknown { UNKNOWN_DISPUTE } else { "ruling-not-taken" };
        Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, kind, &error)
    })
}

async fn strike(State(partner): State<Arc<Partner>>, Json(strike): Json<Strike>) -> Result<Json<()>, Refusal> {
    let taken = tokio::task::block_in_place(|| partner.take_strike(&strike, Timestamp::now()));
    taken.map(Json).map_err(|error| Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, error.kind(), &error))
}

async fn strike_answer(
    State(partner): State<Arc<Partner>>,
    Json(answer): Json<StrikeAnswer>,
) -> Result<Json<()>, Refusal> {
    let taken = tokio::task::block_in_place(|| partner.take_strike_answer(&answer, Timestamp::now()));
    taken.map(Json).map_err(|error| Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, error.kind(), &error))
}

/// Unpacked whole before it is parsed: reading byte by byte from the decoder would take many times as long.
fn unpack(packed: &[u8]) -> Result<Offer, UnreadableOffer> {
    let mut text = Vec::new();
    zstd::Decoder::new(packed)?.take(MAX_OFFER + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_OFFER {
        return Err(UnreadableOffer::TooLong);
    }
    Ok(serde_json::from_slice(&text)?)
}

fn parse_month(text: &str) -> Result<Month, Refusal> {
    text.parse().map_err(|error| Refusal::caused_by(StatusCode::BAD_REQUEST, "bad-month", &error))
}

/// A refusal, which the audit trail keeps unless it is the line or the disk that failed.
fn refuse_offer(partner: &Partner, error: &IntakeError) -> Refusal {
    let lasts = match error {
        IntakeError::Publish(_, cause) => !matches!(**cause, PublishError::Audit(_) | PublishError::Disk(_)),
        other => matches!(
            other,
            IntakeError::Refused(_)
                | IntakeError::Delta(_)
                | IntakeError::Patch(_)
                | IntakeError::Blob(_)
                | IntakeError::Trailing
                | IntakeError::NoSpace { .. }
        ),
    };
    if lasts {
        let mut reason = error.to_string();
        if let IntakeError::Publish(_, cause) = error {
            reason = format!("{reason}: {cause}");
        }
        tokio::task::block_in_place(|| partner.publisher().note_refusal(&reason, Timestamp::now()));
    }
    refuse_intake(error)
}

/// The refusal of an offer by somebody who may be revoked, which the audit trail keeps.
fn refuse_stale(partner: &Partner, stale: &StaleRevocations) -> Refusal {
    tracing::warn!("a release was refused: {stale}");
    tokio::task::block_in_place(|| partner.publisher().note_refusal(&stale.to_string(), Timestamp::now()));
    Refusal::caused_by(StatusCode::FORBIDDEN, "stale-revocations", stale)
        .hint("leave `tieup hub` running, which signs the list of revoked certificates anew")
}

fn refuse_intake(error: &IntakeError) -> Refusal {
    if let Some(refusal) = refuse_full_disk(error) {
        tracing::error!(error = error as &dyn std::error::Error, "a release was refused, since the disk takes nothing");
        return refusal;
    }
    let (status, kind, hint) = match error {
        IntakeError::Refused(refused) => (StatusCode::FORBIDDEN, refused.kind(), refused.hint()),
        IntakeError::Publish(_, cause) => return refuse_publish(cause),
        IntakeError::Incomplete { .. } | IntakeError::NothingOffered | IntakeError::NoManifest(_) => {
            (StatusCode::CONFLICT, "incomplete", Some("publish again"))
        }
        IntakeError::UnknownBase(..) => (StatusCode::CONFLICT, UNKNOWN_BASE, None),
        IntakeError::Delta(_) | IntakeError::Patch(_) => (StatusCode::UNPROCESSABLE_ENTITY, "bad-manifest", None),
        IntakeError::Blob(_) | IntakeError::Trailing => (StatusCode::UNPROCESSABLE_ENTITY, "bad-blob", None),
        IntakeError::Stream(_) => (StatusCode::BAD_REQUEST, "broken-stream", Some("publish again")),
        IntakeError::NoSpace { .. } => (StatusCode::INSUFFICIENT_STORAGE, "no-space", Some("make room on its disk")),
        IntakeError::Trust(_) | IntakeError::Disk(_) | IntakeError::Releases(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "internal", None)
        }
    };
    tracing::warn!(error = error as &dyn std::error::Error, kind, "a release was refused");
    let refusal = Refusal::caused_by(status, kind, error);
    match hint {
        Some(hint) => refusal.hint(hint),
        None => refusal,
    }
}

/// A disk that is full, or takes nothing at all, is told in these words: main's people can only ask the partner's.
fn refuse_full_disk(error: &(dyn std::error::Error + 'static)) -> Option<Refusal> {
    let all: Vec<_> = causes(error).collect();
    let at = all.iter().rposition(|cause| cause.is::<io::Error>())?;
    let (status, kind, title, hint) = match all[at].downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (StatusCode::INSUFFICIENT_STORAGE, "no-space", "the partner's disk is full", "make room on its disk")
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            let title = "the partner's daemon may not write to its state folder";
            (StatusCode::INTERNAL_SERVER_ERROR, "read-only", title, "let it write there")
        }
        _ => return None,
    };
    // What the disk was to do stands above what the system said.
    let failed = at.checked_sub(1).map(|above| all[above].to_string());
    Some(Refusal::new(status, kind, title).detail(failed).hint(hint))
}

fn refuse_publish(error: &PublishError) -> Refusal {
    tracing::warn!(error = error as &dyn std::error::Error, "a release was not staged");
    match error {
        PublishError::Candidate(CandidateError::Conflict(conflicts)) => {
            Refusal::new(StatusCode::CONFLICT, "conflict", conflicts.to_string())
                .hint("move the page, or change the mounts in a new version of the contract")
        }
        PublishError::Candidate(CandidateError::Taken(clashes)) if !clashes.is_of_content() => {
            Refusal::new(StatusCode::CONFLICT, "conflict", clashes.to_string())
                .hint("publish again once the partner's daemon has mended it; its operator may type `syncd guard`")
        }
        PublishError::Candidate(CandidateError::Taken(clashes)) => {
            Refusal::new(StatusCode::CONFLICT, "conflict", clashes.to_string()).hint(
                "agree with the partner on paths that no other main site of its has, in a new version of the contract",
            )
        }
        other => Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, "not-staged", other),
    }
}

fn refuse_journal(error: &JournalError) -> Refusal {
    match error {
        JournalError::NoMonth(_) => Refusal::caused_by(StatusCode::NOT_FOUND, "no-journal", error),
        JournalError::Cosigned(_) => Refusal::caused_by(StatusCode::FORBIDDEN, "bad-cosignature", error),
        other => internal(other),
    }
}

/// A failure on this side: logged in full, told in one sentence.
fn internal(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(error, "a call from main failed");
    if let Some(refusal) = refuse_full_disk(error) {
        return refusal;
    }
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the partner's daemon failed; its log says why")
}
