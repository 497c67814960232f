//! Journals that partners want to be fetched: the same collection as main's own, begun from the other end.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use tieup_protocol::wire::{COLLECT, CollectGrant, CollectRequest};
use tieup_web::journal::fetching::FetchError;
use tieup_web::listener::Peer;
use tieup_web::problem::Refusal;

use crate::collect::CollectError;
use crate::lines::admit;
use crate::partners::Hub;

/// The most bytes of a request.
const MAX_REQUEST: usize = 1 << 10;

/// The hub's answers to partners that return their journals.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new().route(COLLECT, post(collect)).layer(DefaultBodyLimit::max(MAX_REQUEST)).with_state(hub)
}

async fn collect(
    State(hub): State<Arc<Hub>>,
    peer: Option<Extension<Peer>>,
    Json(request): Json<CollectRequest>,
) -> Result<Json<CollectGrant>, Refusal> {
    let Some(Extension(Peer(certificate))) = peer else {
        let title = "a journal is returned with a partner's certificate";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "no-certificate", title));
    };
    let partner = admit(&hub, &certificate.name).await?;
    let collected = match request.month {
        Some(month) => hub.collect_month(&partner, month).await,
        None => hub.collect(&partner).await,
    };
    hub.follow_audit(&partner).await;
    collected.map(|months| Json(CollectGrant { months })).map_err(|error| refuse(&error))
}

/// Says why nothing was taken. What stands in the journal is the partner's own, so it may be told in full.
fn refuse(error: &CollectError) -> Refusal {
    tracing::warn!(error = error as &dyn std::error::Error, "a journal that a partner returned was not taken");
    let (status, kind) = match error {
        CollectError::Refused { .. } | CollectError::Stands { .. } => (StatusCode::FORBIDDEN, "journal-refused"),
        CollectError::Fetch(FetchError::NoSpace { .. }) => {
            let title = "the main site's disk has too little room; nothing is lost, and it can be returned later";
            return Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "no-space", title);
        }
        CollectError::Fetch(_) | CollectError::Impossible { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "bad-journal"),
        CollectError::Busy(..) | CollectError::UnderWay(_) => (StatusCode::CONFLICT, "busy"),
        CollectError::Call(_) => (StatusCode::BAD_GATEWAY, "not-reached"),
        CollectError::Hub(_)
        | CollectError::Key(_)
        | CollectError::Open(_)
        | CollectError::Refusals(_)
        | CollectError::Disk(_) => {
            let title = "the main site could not take the journal; its log says why";
            return Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title);
        }
    };
    Refusal::caused_by(status, kind, error)
}
