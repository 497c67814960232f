//! The receiving end of webhooks: keeps what is posted, and answers as it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tieup_web::listener::{Shutdown, serve_router};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long a message may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// One POST as it came.
#[derive(Clone, Debug)]
pub struct Posted {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

/// A receiver, listening.
pub struct Receiver {
    /// Where.
    pub address: SocketAddr,
    posted: watch::Receiver<Vec<Posted>>,
    shutdown: Shutdown,
}

struct Desk {
    posted: watch::Sender<Vec<Posted>>,
    /// How many of the first POSTs fail.
    failures: usize,
}

impl Receiver {
    /// A receiver that answers the first `failures` POSTs with 503.
    pub async fn start(failures: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let (sender, posted) = watch::channel(Vec::new());
        let desk = Arc::new(Desk { posted: sender, failures });
        let shutdown = Shutdown::new();
        let router = Router::new().route("/hook", post(take)).with_state(desk);
        tokio::spawn(serve_router(listener, router, shutdown.clone()));
        Self { address, posted, shutdown }
    }

    /// Its address as a configuration has it.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What has been posted so far.
    pub fn posted(&self) -> Vec<Posted> {
        self.posted.borrow().clone()
    }

    /// Waits until there are `count` POSTs.
    pub async fn wait(&self, count: usize) -> Vec<Posted> {
        let mut posted = self.posted.clone();
        let found = tokio::time::timeout(PATIENCE, posted.wait_for(|posted| posted.len() >= count)).await;
        found
            .unwrap_or_else(|_| panic!("fewer than {count} POSTs came"))
            .map(|posted| posted.clone())
            .unwrap_or_default()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shutdown.begin();
    }
}

impl Posted {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// A header.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {:?}", self.headers));
        value.to_str().unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Whether the signature is one under `secret`, as Standard Webhooks 1.0 says.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let decode = |text: &str| STANDARD.decode(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &decode(secret.trim_start_matches("whsec_")));
        let signed = format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body);
        let tags = self.header("webhook-signature").split(' ').filter_map(|tag| tag.strip_prefix("v1,"));
        tags.into_iter().any(|tag| hmac::verify(&key, signed.as_bytes(), &decode(tag)).is_ok())
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: String) -> StatusCode {
    let mut number = 0;
    desk.posted.send_modify(|posted| {
        posted.push(Posted { headers, body });
        number = posted.len();
    });
    if number <= desk.failures { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
}
