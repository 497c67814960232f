//! How a partner joins: its token is redeemed, its key certified, and it gets what it must pin; and how it renews its
//! certificate later.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use tieup_protocol::contract::Contract;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::compare_code;
use tieup_protocol::wire::{JOIN, JoinGrant, JoinRequest, RENEW, REVOCATIONS, REVOKED_KEY, RenewGrant, RenewRequest};
use tieup_store::journal::LogVerifier;
use tieup_web::authority::Authority;
use tieup_web::problem::Refusal;

use crate::database::{Admission, DatabaseError, Owner, PartnerRow, Redeemed};
use crate::keys::KeyError;
use crate::partners::Hub;
use crate::renewal::{RenewError, issued_row};
use crate::terms::TermsError;

/// The most bytes of a join request.
const MAX_REQUEST: usize = 16 << 10;

/// The hub's answers to those who join.
pub fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route(JOIN, post(join))
        .route(RENEW, post(renew))
        .route(REVOCATIONS, get(revocations))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(hub)
}

/// The newest list of revoked certificates; nothing where main has never revoked anything.
async fn revocations(State(hub): State<Arc<Hub>>) -> Result<String, Refusal> {
    hub.database.revocation_list().await.map(Option::unwrap_or_default).map_err(internal)
}

async fn renew(State(hub): State<Arc<Hub>>, Json(request): Json<RenewRequest>) -> Result<Json<RenewGrant>, Refusal> {
    let renewed = hub.renew(&request, Timestamp::now()).await;
    renewed.map(|certificate| Json(RenewGrant { certificate })).map_err(|error| refuse_renewal(error, &request.partner))
}

fn refuse_renewal(error: RenewError, partner: &SiteId) -> Refusal {
    let (status, kind) = match &error {
        RenewError::Request(_) => (StatusCode::BAD_REQUEST, "bad-request"),
        RenewError::Revoked(_) => (StatusCode::FORBIDDEN, "revoked"),
        RenewError::OtherKey(_) => (StatusCode::FORBIDDEN, "unknown-key"),
        RenewError::TooLate { .. } => (StatusCode::FORBIDDEN, "too-late"),
        RenewError::Hub(_) => return internal(error),
    };
    let hint = format!("join again: the main site makes a token with `tieup partner invite {partner}`");
    Refusal::caused_by(status, kind, &error).hint(hint)
}

async fn join(State(hub): State<Arc<Hub>>, Json(request): Json<JoinRequest>) -> Result<Json<JoinGrant>, Refusal> {
    let token = check_token(&hub, &request).await?;
    let contract = read_contract(&hub, &request).await?;
    let journal_key = request.journal_key.parse::<LogVerifier>();
    journal_key.map_err(|error| Refusal::caused_by(StatusCode::BAD_REQUEST, "bad-journal-key", &error))?;
    let authority = hub.keys.authority().map_err(internal)?;
    check_key(&hub, &request).await?;
    let issued = authority.issue_partner(&request.partner, &request.csr, SystemTime::now());
    let issued = issued.map_err(|error| Refusal::caused_by(StatusCode::BAD_REQUEST, "bad-request", &error))?;
    let code = compare_code(authority.digest().map_err(KeyError::from).map_err(internal)?, &issued.public_key);
    let certificate = issued_row(&issued.certificate, Owner::Partner(request.partner.clone())).map_err(internal)?;
    let partner = PartnerRow {
        id: request.partner.clone(),
        address: request.address.clone(),
        journal_key: request.journal_key.clone(),
        earlier_keys: Vec::new(),
        compare_code: code,
        joined: Timestamp::now(),
        revoked: None,
    };
    let admission = Admission { partner, certificate, fingerprint: request.secret.fingerprint() };
    let replaced = replaced(&hub, &request).await.map_err(internal)?;
    match token {
        Token::Good => {
            let admitted = hub.admit(&admission, Timestamp::now()).await;
            judge(admitted.map_err(internal)?, &request)?;
        }
        Token::UsedByThisKey => admit_again(&hub, &admission, &request).await?,
    }
    let partner = admission.partner;
    hub.queue_changed.notify_one();
    if let Some(before) = replaced {
        let told = "a partner joined again with other keys: those with the code before are revoked";
        tracing::warn!(partner = %partner.id, code = %partner.compare_code, %before, "{told}");
    } else {
        tracing::info!(partner = %partner.id, code = %partner.compare_code, "a partner joined");
    }
    Ok(Json(JoinGrant {
        certificate: issued.certificate,
        authority: authority.certificate().to_owned(),
        root: hub.keys.root().map_err(internal)?,
        contract,
        cosigner_key: hub.keys.cosigner().map_err(internal)?.verifier().to_string(),
    }))
}

/// The contract to join under. Where the partner has agreed on one before, its months are those of that one.
async fn read_contract(hub: &Hub, request: &JoinRequest) -> Result<String, Refusal> {
    let file = hub.contract_file(&request.partner);
    let missing = |_| {
        let title = format!("main has no contract for `{}`", request.partner);
        Refusal::new(StatusCode::FORBIDDEN, "no-contract", title)
    };
    let text = std::fs::read_to_string(&file).map_err(missing)?;
    let contract = Contract::parse(&file.display().to_string(), &text);
    let contract =
        contract.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "bad-contract", error.message))?;
    if let Some(partner) = hub.database.partner(&request.partner).await.map_err(internal)? {
        hub.check_zone(&partner, &contract).await.map_err(|error| match error {
            TermsError::OtherZone { .. } => Refusal::caused_by(StatusCode::FORBIDDEN, "other-zone", &error),
            _ => internal(error),
        })?;
    }
    Ok(text)
}

/// What a token is worth to whoever shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// It has not been used.
    Good,
    /// It was used by the same partner with the same keys, which has not got main's answer, or could not keep it.
    UsedByThisKey,
}

/// Turns away whoever has no good token, before anything else is looked at.
async fn check_token(hub: &Hub, request: &JoinRequest) -> Result<Token, Refusal> {
    let secret = request.secret.fingerprint();
    let found = hub.database.look_up_invitation(&request.partner, secret, Timestamp::now()).await;
    let found = found.map_err(internal)?;
    if found == Redeemed::Used && has_joined_by(hub, request).await.map_err(internal)? {
        return Ok(Token::UsedByThisKey);
    }
    judge(found, request).map(|()| Token::Good)
}

/// Whether the partner has joined with just these keys, and both still hold.
async fn has_joined_by(hub: &Hub, request: &JoinRequest) -> Result<bool, DatabaseError> {
    let Ok(key) = Authority::requested_key(&request.csr) else { return Ok(false) };
    let partner = hub.database.partner(&request.partner).await?;
    let newest = hub.database.newest_certificate(&request.partner).await?;
    Ok(partner.zip(newest).is_some_and(|(partner, newest)| {
        let holds = partner.revoked.is_none() && Timestamp::now() < newest.expires;
        holds && newest.key == Digest::of(&key) && partner.journal_key == request.journal_key
    }))
}

/// The code of a partner that has joined with other keys, is not revoked, and whose place is taken now.
async fn replaced(hub: &Hub, request: &JoinRequest) -> Result<Option<String>, DatabaseError> {
    if has_joined_by(hub, request).await? {
        return Ok(None);
    }
    let before = hub.database.partner(&request.partner).await?;
    Ok(before.filter(|before| before.revoked.is_none()).map(|before| before.compare_code))
}

/// Keeps what has changed of a partner that has joined already: its certificate, and where it is.
async fn admit_again(hub: &Hub, admission: &Admission, request: &JoinRequest) -> Result<(), Refusal> {
    let Admission { partner, certificate, .. } = admission;
    let kept = hub.database.certify_again(certificate, Some(partner)).await.map_err(internal)?;
    // Another key has taken its place meanwhile, and the token has been used.
    if kept { Ok(()) } else { judge(Redeemed::Used, request) }
}

/// Turns away a key that has been revoked: the partner makes another, and its token is still good.
async fn check_key(hub: &Hub, request: &JoinRequest) -> Result<(), Refusal> {
    let key = Authority::requested_key(&request.csr);
    let key = key.map_err(|error| Refusal::caused_by(StatusCode::BAD_REQUEST, "bad-request", &error))?;
    if hub.database.is_key_revoked(Digest::of(&key)).await.map_err(internal)? {
        return Err(Refusal::new(StatusCode::FORBIDDEN, REVOKED_KEY, "this key has been revoked: make a new one"));
    }
    Ok(())
}

fn judge(redeemed: Redeemed, request: &JoinRequest) -> Result<(), Refusal> {
    let title = match redeemed {
        Redeemed::Accepted => return Ok(()),
        Redeemed::Used => "this token has been used already",
        Redeemed::Expired => "this token has expired",
        Redeemed::Unknown => "this token is not known here",
    };
    let hint = format!("ask for a new one: `tieup partner invite {}`", request.partner);
    Err(Refusal::new(StatusCode::FORBIDDEN, "bad-token", title).hint(hint))
}

/// A failure on the hub's side: logged in full, told in one sentence.
fn internal(error: impl std::error::Error + 'static) -> Refusal {
    tracing::error!(error = &error as &dyn std::error::Error, "a join or a renewal failed");
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the main site could not do it; its log says why")
}
