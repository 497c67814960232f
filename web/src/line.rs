//! A line: a connection that the partner dials to the hub and turns around, so that the hub makes over it the same
//! calls that it makes when it dials. The partner is behind NAT, and opens no port for its peers.
//!
//! The partner POSTs [`LINE`] with its certificate and `Upgrade: tieup-line`; after the answer 101 it is the HTTP server
//! on the connection, and the hub the client.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::client::conn::http1::handshake;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tieup_protocol::version::{self, Versions};
use tieup_protocol::wire::LINE;

use crate::client::{CallError, PeerClient, dial, resolve};
use crate::listener::Peer;

/// What a line is called in the header `Upgrade`.
pub const UPGRADE: HeaderValue = HeaderValue::from_static("tieup-line");

/// How long the hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most bytes of a refusal.
const MAX_REFUSAL: usize = 64 << 10;

/// A line as the partner holds it.
pub struct DialedLine {
    /// The connection.
    pub stream: TokioIo<Upgraded>,
    /// Main, as its certificate says.
    pub peer: Peer,
}

impl DialedLine {
    /// Dials the hub that is certified as `peer` at `address` (host:port), and turns the connection around.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn dial(config: ClientConfig, peer: &str, address: &str) -> Result<Self, CallError> {
        let client = PeerClient::new(config.clone(), peer.to_owned(), address).await?;
        let stream = dial(&Arc::new(config), peer, resolve(address).await?).await?;
        let shown = Peer::of(stream.get_ref().1.peer_certificates());
        let shown = shown.ok().flatten().ok_or_else(|| client.odd_answer(0, LINE))?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| client.broken(&error))?;
        tokio::spawn(connection.with_upgrades());
        let request = request(peer).ok_or_else(|| client.odd_answer(0, LINE))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| client.broken(&error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            if status == StatusCode::SWITCHING_PROTOCOLS {
                let stream = hyper::upgrade::on(response).await.map_err(|error| client.broken(&error))?;
                return Ok(Self { stream: TokioIo::new(stream), peer: shown });
            }
            let body = Limited::new(response.into_body(), MAX_REFUSAL).collect().await;
            let bytes = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Err(client.refusal(status.as_u16(), &headers, &bytes, LINE))
        };
        let answered = tokio::time::timeout(PATIENCE, exchange).await;
        answered.unwrap_or_else(|elapsed| Err(client.broken(&elapsed)))
    }
}

/// Whether a request asks for a line.
pub fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE) == Some(&UPGRADE)
}

fn request(peer: &str) -> Option<Request<Body>> {
    Request::builder()
        .method(Method::POST)
        .uri(LINE)
        .header(header::HOST, peer)
        .header(version::HEADER, Versions::spoken().to_string())
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, UPGRADE)
        .body(Body::empty())
        .ok()
}
