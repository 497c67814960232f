//! The admin address: whether the program is up and ready, and its numbers, for machines that watch over it.
//!
//! Nothing can be changed here and nothing of a visitor is told, so nobody is asked who they are; who may read it is a
//! matter of where it listens.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::listener::{Shutdown, serve_router};
use crate::metrics::{Exposition, MEDIA_TYPE};

/// An address to listen at, as a configuration gives it: `127.0.0.1:9180`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AdminAddress(pub SocketAddr);

impl TryFrom<String> for AdminAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}").parse(),
            None => text.parse(),
        };
        address.map(Self).map_err(|_| format!("`{text}` is not an address to listen at: write it like 127.0.0.1:9180"))
    }
}

/// A service that is watched over.
pub trait Watched: Send + Sync + 'static {
    /// Whether it does what it is there for, or else why not, in a sentence.
    fn ready(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Adds its numbers to `page`.
    fn measure(&self, page: &mut Exposition) -> impl Future<Output = ()> + Send;
}

/// Answers at `listener` for `service` until `shutdown`.
pub async fn serve(listener: TcpListener, service: impl Watched, shutdown: Shutdown) {
    serve_router(listener, router(Arc::new(service)), shutdown).await;
}

fn router<W: Watched>(service: Arc<W>) -> Router {
    Router::new()
        .route("/healthz", get(async || said(StatusCode::OK, "up\n".to_owned())))
        .route("/readyz", get(ready::<W>))
        .route("/metrics", get(metrics::<W>))
        .with_state(service)
}

async fn ready<W: Watched>(State(service): State<Arc<W>>) -> Response {
    match service.ready().await {
        Ok(()) => said(StatusCode::OK, "ready\n".to_owned()),
        Err(why) => said(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics<W: Watched>(State(service): State<Arc<W>>) -> Response {
    let mut page = Exposition::default();
    service.measure(&mut page).await;
    ([(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "no-store")], page.text()).into_response()
}

fn said(status: StatusCode, text: String) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        let address = |text: &str| AdminAddress::try_from(text.to_owned()).map(|address| address.0.to_string());
        assert_eq!(address("localhost:9180").unwrap(), "127.0.0.1:9180");
        assert_eq!(address("[::1]:9180").unwrap(), "[::1]:9180");
        assert!(address("9180").unwrap_err().contains("127.0.0.1:9180"));
    }
}
