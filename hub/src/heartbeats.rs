//! Heartbeats of partners' daemons: kept, so that their journals can be held against them.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use tieup_protocol::wire::{HEARTBEAT, Heartbeat};
use tieup_web::listener::Peer;
use tieup_web::problem::Refusal;

use crate::database::HeartbeatKept;
use crate::lines::admit;
use crate::partners::Hub;

/// The most bytes of a heartbeat.
const MAX_HEARTBEAT: usize = 4 << 10;

/// The hub's answers to heartbeats.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new().route(HEARTBEAT, post(heartbeat)).layer(DefaultBodyLimit::max(MAX_HEARTBEAT)).with_state(hub)
}

async fn heartbeat(
    State(hub): State<Arc<Hub>>,
    peer: Option<Extension<Peer>>,
    Json(heartbeat): Json<Heartbeat>,
) -> Result<Json<()>, Refusal> {
    let Some(Extension(Peer(certificate))) = peer else {
        let title = "a heartbeat comes with a partner's certificate";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "no-certificate", title));
    };
    let partner = admit(&hub, &certificate.name).await?;
    match hub.database.keep_heartbeat(&partner.id, &heartbeat, Timestamp::now()).await {
        Ok(HeartbeatKept::Kept) => Ok(Json(())),
        Ok(HeartbeatKept::TooMany) => {
            let title = "more heartbeats came today than are kept";
            Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too-many-heartbeats", title))
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a heartbeat was not kept");
            let title = "the main site could not keep the heartbeat";
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title))
        }
    }
}
