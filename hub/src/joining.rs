//! How a partner joins: its token is redeemed, its key certified, and it gets what it must pin.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use jiff::Timestamp;
use tieup_protocol::contract::Contract;
use tieup_protocol::joining::compare_code;
use tieup_protocol::wire::{JOIN, JoinGrant, JoinRequest};
use tieup_store::journal::LogVerifier;
use tieup_web::problem::Refusal;

use crate::database::{PartnerRow, Redeemed};
use crate::keys::KeyError;
use crate::partners::Hub;

/// The most bytes of a join request.
const MAX_REQUEST: usize = 16 << 10;

/// The hub's answers to those who join.
pub fn router(hub: Arc<Hub>) -> Router {
    Router::new().route(JOIN, post(join)).layer(DefaultBodyLimit::max(MAX_REQUEST)).with_state(hub)
}

async fn join(State(hub): State<Arc<Hub>>, Json(request): Json<JoinRequest>) -> Result<Json<JoinGrant>, Refusal> {
    check_token(&hub, &request).await?;
    let contract = read_contract(&hub, &request)?;
    let journal_key = request.journal_key.parse::<LogVerifier>();
    journal_key.map_err(|error| Refusal::caused_by(StatusCode::BAD_REQUEST, "bad-journal-key", &error))?;
    let authority = hub.keys.authority().map_err(internal)?;
    let issued = authority.issue_partner(&request.partner, &request.csr, SystemTime::now());
    let issued = issued.map_err(|error| Refusal::caused_by(StatusCode::BAD_REQUEST, "bad-request", &error))?;
    redeem(&hub, &request).await?;
    let code = compare_code(authority.digest().map_err(KeyError::from).map_err(internal)?, &issued.public_key);
    let partner = PartnerRow {
        id: request.partner,
        address: request.address,
        journal_key: request.journal_key,
        compare_code: code,
        joined: Timestamp::now(),
    };
    hub.database.put_partner(&partner).await.map_err(internal)?;
    tracing::info!(partner = %partner.id, code = %partner.compare_code, "a partner joined");
    Ok(Json(JoinGrant {
        certificate: issued.certificate,
        authority: authority.certificate().to_owned(),
        root: hub.keys.root().map_err(internal)?,
        contract,
        cosigner_key: hub.keys.cosigner().map_err(internal)?.verifier().to_string(),
    }))
}

fn read_contract(hub: &Hub, request: &JoinRequest) -> Result<String, Refusal> {
    let file = hub.contract_file(&request.partner);
    let missing = |_| {
        let title = format!("main has no contract for `{}`", request.partner);
        Refusal::new(StatusCode::FORBIDDEN, "no-contract", title)
    };
    let text = std::fs::read_to_string(&file).map_err(missing)?;
    let contract = Contract::parse(&file.display().to_string(), &text);
    contract.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "bad-contract", error.message))?;
    Ok(text)
}

/// Turns away whoever has no good token, before anything else is looked at.
async fn check_token(hub: &Hub, request: &JoinRequest) -> Result<(), Refusal> {
    let secret = request.secret.fingerprint();
    let found = hub.database.look_up_invitation(&request.partner, secret, Timestamp::now()).await;
    judge(found.map_err(internal)?, request)
}

/// Uses the token up; of two at the same time one gets through.
async fn redeem(hub: &Hub, request: &JoinRequest) -> Result<(), Refusal> {
    let secret = request.secret.fingerprint();
    let redeemed = hub.database.redeem_invitation(&request.partner, secret, Timestamp::now()).await;
    judge(redeemed.map_err(internal)?, request)
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
    tracing::error!(error = &error as &dyn std::error::Error, "a join failed");
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the main site could not complete the join")
}
