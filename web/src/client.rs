//! Calls to the other end over TLS, with problem responses turned into errors.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use rustls::ClientConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tieup_protocol::wire::Problem;

use crate::complaint;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the other end may stay silent during an answer.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// How many parts main's name in TLS has: `main.NAME.tieup.internal`. A partner's has one more.
const MAIN_NAME_PARTS: usize = 4;

/// The most bytes of a JSON answer.
const MAX_ANSWER: usize = 64 << 20;

/// What went wrong beneath HTTP: the innermost cause, without what the layers above say of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Reason(String);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The client could not be set up.
    #[error("the TLS client cannot be set up")]
    Setup(#[source] reqwest::Error),
    /// No address for the name.
    #[error("`{0}` is not an address: write host:port")]
    Address(String, #[source] io::Error),
    /// No connection: the port is closed, or nothing comes back from there.
    #[error("nobody answers at {address}: {peer} cannot be reached")]
    NoAnswer {
        /// The peer's name in TLS.
        peer: String,
        /// Where it was called.
        address: SocketAddr,
        /// What went wrong.
        #[source]
        source: Reason,
    },
    /// Somebody answers, but there was no handshake, or the connection broke off.
    #[error("{peer} at {address} cannot be reached, or one end did not accept the other's certificate")]
    Unreachable {
        /// The peer's name in TLS.
        peer: String,
        /// Where it was called.
        address: SocketAddr,
        /// What went wrong.
        #[source]
        source: Reason,
    },
    /// The other end said no.
    #[error("{}", .0.title)]
    Refused(Box<Problem>),
    /// The answer is not what the protocol says.
    #[error("{peer} answered {status} with something that is not an answer to {path}")]
    Answer {
        /// The peer's name in TLS.
        peer: String,
        /// The HTTP status.
        status: u16,
        /// The path that was called.
        path: String,
    },
}

impl CallError {
    /// The problem that the other end answered with, if it did.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the other end answered with a problem of this kind (without its prefix `tieup:`).
    pub fn is_problem(&self, kind: &str) -> bool {
        self.problem().is_some_and(|problem| problem.kind.strip_prefix("tieup:") == Some(kind))
    }

    /// Whether the call may work later without anybody changing anything at this end.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NoAnswer { .. } | Self::Unreachable { .. })
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused(problem) => problem.hint.clone(),
            Self::NoAnswer { peer, .. } => Some(format!("is `{}` running there?", program_of(peer))),
            _ => None,
        }
    }
}

/// The program that answers under a name in TLS.
fn program_of(peer: &str) -> &'static str {
    if peer.split('.').count() > MAIN_NAME_PARTS { "syncd run" } else { "tieup hub" }
}

/// A client for one peer.
#[derive(Clone, Debug)]
pub struct PeerClient {
    client: Client,
    peer: String,
    address: SocketAddr,
}

impl PeerClient {
    /// A client that calls the peer certified as `peer` at `address` (host:port).
    ///
    /// # Errors
    /// When the address does not resolve or the configuration is unusable.
    pub async fn new(config: ClientConfig, peer: String, address: &str) -> Result<Self, CallError> {
        let resolved = tokio::net::lookup_host(address)
            .await
            .and_then(|mut found| found.next().ok_or_else(|| io::Error::other("the name has no address")));
        let address = resolved.map_err(|error| CallError::Address(address.to_owned(), error))?;
        let client = Client::builder()
            .tls_backend_preconfigured(config)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .resolve(&peer, address)
            .build()
            .map_err(CallError::Setup)?;
        Ok(Self { client, peer, address })
    }

    /// GETs JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let bytes = self.get_bytes(path).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.odd_answer(200, path))
    }

    /// GETs bytes.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, CallError> {
        let response = self.send(self.request(Method::GET, path), path).await?;
        self.body(response, path).await
    }

    /// POSTs JSON and reads JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, message: &impl Serialize) -> Result<T, CallError> {
        self.call(self.request(Method::POST, path).json(message), path).await
    }

    /// POSTs bytes and reads JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post_body<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, CallError> {
        self.call(self.request(Method::POST, path).body(body), path).await
    }

    /// PUTs bytes and reads JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn put_body<T: DeserializeOwned>(&self, path: &str, body: Vec<u8>) -> Result<T, CallError> {
        self.call(self.request(Method::PUT, path).body(body), path).await
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder, path: &str) -> Result<T, CallError> {
        let response = self.send(request, path).await?;
        let status = response.status().as_u16();
        let bytes = self.body(response, path).await?;
        serde_json::from_slice(&bytes).map_err(|_| self.odd_answer(status, path))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("https://{}:{}{path}", self.peer, self.address.port()))
    }

    async fn send(&self, request: RequestBuilder, path: &str) -> Result<Response, CallError> {
        let response = request.send().await.map_err(|source| self.unreachable(&source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = self.body(response, path).await?;
        match serde_json::from_slice(&bytes) {
            Ok(problem) => Err(CallError::Refused(Box::new(problem))),
            Err(_) => Err(self.odd_answer(status.as_u16(), path)),
        }
    }

    async fn body(&self, mut response: Response, path: &str) -> Result<Vec<u8>, CallError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|source| self.unreachable(&source))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(self.odd_answer(response.status().as_u16(), path));
            }
        }
        Ok(bytes)
    }

    fn unreachable(&self, source: &reqwest::Error) -> CallError {
        let (peer, address) = (self.peer.clone(), self.address);
        let reason = Reason(innermost(source).to_string());
        if is_silence(source) {
            CallError::NoAnswer { peer, address, source: reason }
        } else {
            CallError::Unreachable { peer, address, source: reason }
        }
    }

    fn odd_answer(&self, status: u16, path: &str) -> CallError {
        CallError::Answer { peer: self.peer.clone(), status, path: path.to_owned() }
    }
}

fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    complaint::causes(error).last().unwrap_or(error)
}

/// Whether no connection came about at all.
fn is_silence(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
    let kind = innermost(error).downcast_ref::<io::Error>().map(io::Error::kind);
    let closed = matches!(kind, Some(ConnectionRefused | HostUnreachable | NetworkUnreachable | TimedOut));
    error.is_connect() && (closed || error.is_timeout())
}

#[cfg(test)]
mod tests {
    use tieup_protocol::joining::{main_tls_name, partner_tls_name};

    use super::*;

    #[test]
    fn the_hint_names_the_program_at_the_other_end() {
        let (main, partner) = ("partner".parse().unwrap(), "main".parse().unwrap());
        assert_eq!(program_of(&main_tls_name(&main)), "tieup hub");
        assert_eq!(program_of(&partner_tls_name(&main, &partner)), "syncd run");
    }
}
