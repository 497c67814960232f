//! Calls to the other end, with problem responses turned into errors: over TLS that is dialed, or over a line that the
//! other end dialed and the hub holds.
//!
//! HTTP/1.1, one exchange at a time for each client; the connection is kept between them.

mod error;

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tieup_protocol::version::{self, Behind, Versions};
use tieup_protocol::wire::Problem;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::complaint;
use crate::patience::{Patience, watched};

pub use self::error::{CallError, Reason};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long nothing may move in either direction during an exchange, where a client is not told otherwise.
pub const SILENCE: Duration = Duration::from_mins(1);

/// The most bytes of a JSON answer.
const MAX_ANSWER: usize = 64 << 20;

/// The kind of the problem with which the hub says that a partner keeps no line to it.
pub const NO_LINE: &str = "no-line";

/// The kind of the problem with which the hub says that a partner's line broke off.
pub const LINE_CUT: &str = "line-cut";

/// A client for one peer. Clones share its connection.
#[derive(Clone, Debug)]
pub struct PeerClient {
    peer: String,
    way: Way,
    silence: Duration,
    kept: Arc<Mutex<Option<SendRequest<Body>>>>,
}

/// How a client gets a connection to its peer.
#[derive(Clone, Debug)]
enum Way {
    /// It dials an address and shows a certificate.
    Dialed { config: Arc<ClientConfig>, address: SocketAddr },
    /// It asks the running hub for a line that the peer dialed.
    Held { socket: PathBuf },
}

impl PeerClient {
    /// A client that calls the peer certified as `peer` at `address` (host:port).
    ///
    /// # Errors
    /// When the address does not resolve.
    pub async fn new(config: ClientConfig, peer: String, address: &str) -> Result<Self, CallError> {
        let address = resolve(address).await?;
        Ok(Self {
            peer,
            way: Way::Dialed { config: Arc::new(config), address },
            silence: SILENCE,
            kept: Arc::default(),
        })
    }

    /// A client that calls the peer certified as `peer` over a line that it keeps to the hub behind `socket`.
    pub fn through(socket: PathBuf, peer: String) -> Self {
        Self { peer, way: Way::Held { socket }, silence: SILENCE, kept: Arc::default() }
    }

    /// The same, with calls that end once nothing has moved in either direction for `silence`.
    #[must_use]
    pub fn patient_for(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// GETs JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        self.call(Method::GET, path, Body::empty()).await
    }

    /// GETs bytes.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get_bytes(&self, path: &str) -> Result<Vec<u8>, CallError> {
        Ok(self.exchange(Method::GET, path, Body::empty()).await?.1)
    }

    /// POSTs JSON and reads JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post<T: DeserializeOwned>(&self, path: &str, message: &impl Serialize) -> Result<T, CallError> {
        let Ok(body) = serde_json::to_vec(message) else { return Err(self.setup(path)) };
        let json = (header::CONTENT_TYPE, "application/json");
        self.read(self.send(Method::POST, path, Some(json), body.into()).await?, path)
    }

    /// POSTs bytes, which may be a stream ([`Body::from_stream`]), and reads JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn post_body<T: DeserializeOwned>(&self, path: &str, body: impl Into<Body>) -> Result<T, CallError> {
        self.call(Method::POST, path, body.into()).await
    }

    /// PUTs bytes, which may be a stream ([`Body::from_stream`]), and reads JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn put_body<T: DeserializeOwned>(&self, path: &str, body: impl Into<Body>) -> Result<T, CallError> {
        self.call(Method::PUT, path, body.into()).await
    }

    /// Sends bytes, which may be a stream, and gives the bytes of the answer with its status.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Body>,
    ) -> Result<(u16, Vec<u8>), CallError> {
        self.send(method, path, None, body.into()).await
    }

    /// Sends bytes, which may be a stream, and reads JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call<T: DeserializeOwned>(&self, method: Method, path: &str, body: Body) -> Result<T, CallError> {
        self.read(self.send(method, path, None, body).await?, path)
    }

    fn read<T: DeserializeOwned>(&self, (status, bytes): (u16, Vec<u8>), path: &str) -> Result<T, CallError> {
        serde_json::from_slice(&bytes).map_err(|_| self.odd_answer(status, path))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        extra: Option<(header::HeaderName, &str)>,
        body: Body,
    ) -> Result<(u16, Vec<u8>), CallError> {
        let patience = Patience::new(self.silence);
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.peer);
        request = request.header(version::HEADER, Versions::spoken().to_string());
        if let Some((name, value)) = extra {
            request = request.header(name, value);
        }
        let request = request.body(watched(body, &patience)).map_err(|_| self.setup(path))?;
        let mut kept = self.kept.lock().await;
        let response = self.respond(&mut kept, request, &patience).await?;
        let (parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        let bytes = self.collect(body, status, path, &patience).await?;
        if parts.status.is_success() {
            return Ok((status, bytes));
        }
        Err(self.refusal(status, &parts.headers, &bytes, path))
    }

    /// The head of the answer. A connection that was kept, and that the other end has closed meanwhile, is made anew.
    async fn respond(
        &self,
        kept: &mut Option<SendRequest<Body>>,
        request: Request<Body>,
        patience: &Patience,
    ) -> Result<Response<Incoming>, CallError> {
        let mut request = request;
        if let Some(mut sender) = self.idle(kept.take(), patience).await {
            match patience.wait(sender.try_send_request(request)).await {
                Ok(Ok(response)) => {
                    *kept = Some(sender);
                    return Ok(response);
                }
                Ok(Err(mut failed)) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broken(failed.error())),
                },
                Err(silence) => return Err(self.broken(&silence)),
            }
        }
        let mut sender = self.connect().await?;
        match patience.wait(sender.send_request(request)).await {
            Ok(Ok(response)) => {
                *kept = Some(sender);
                Ok(response)
            }
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(silence) => Err(self.broken(&silence)),
        }
    }

    /// The connection that was kept, once it has done with the answer before; none where it has ended.
    async fn idle(&self, kept: Option<SendRequest<Body>>, patience: &Patience) -> Option<SendRequest<Body>> {
        let mut sender = kept?;
        // An answer that was read is not yet a connection that is free: its own task may have to be run first.
        matches!(patience.wait(sender.ready()).await, Ok(Ok(()))).then_some(sender)
    }

    async fn connect(&self) -> Result<SendRequest<Body>, CallError> {
        match &self.way {
            Way::Dialed { config, address } => {
                let stream = dial(config, &self.peer, *address).await?;
                self.speak(stream).await
            }
            Way::Held { socket } => {
                let stream = UnixStream::connect(socket).await.map_err(|error| CallError::NoHub {
                    peer: self.peer.clone(),
                    socket: socket.clone(),
                    source: Reason(error.to_string()),
                })?;
                self.speak(stream).await
            }
        }
    }

    async fn speak(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<SendRequest<Body>, CallError> {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        // It ends when the sender is dropped, or with the connection; errors come out of the request.
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn collect(
        &self,
        mut body: Incoming,
        status: u16,
        path: &str,
        patience: &Patience,
    ) -> Result<Vec<u8>, CallError> {
        let mut bytes = Vec::new();
        loop {
            let frame = match patience.wait(body.frame()).await {
                Ok(None) => return Ok(bytes),
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => return Err(self.broken(&error)),
                Err(silence) => return Err(self.broken(&silence)),
            };
            patience.moved();
            bytes.extend_from_slice(&frame.into_data().unwrap_or_else(|_| Bytes::new()));
            if bytes.len() > MAX_ANSWER {
                return Err(self.odd_answer(status, path));
            }
        }
    }

    pub(crate) fn refusal(&self, status: u16, headers: &HeaderMap, bytes: &[u8], path: &str) -> CallError {
        let peer = self.peer.clone();
        if let Some((theirs, behind)) = incompatible(headers) {
            return CallError::Version { peer, theirs, ours: Versions::spoken(), behind };
        }
        let Ok(problem) = serde_json::from_slice::<Problem>(bytes) else { return self.odd_answer(status, path) };
        match (&self.way, problem.kind.strip_prefix("tieup:")) {
            (Way::Held { .. }, Some(NO_LINE)) => CallError::NoLine { peer },
            (Way::Held { .. }, Some(LINE_CUT)) => {
                CallError::LineCut { peer, source: Reason(problem.detail.unwrap_or(problem.title)) }
            }
            _ => CallError::Refused(Box::new(problem)),
        }
    }

    pub(crate) fn broken(&self, error: &(dyn StdError + 'static)) -> CallError {
        let (peer, source) = (self.peer.clone(), Reason(innermost(error).to_string()));
        match &self.way {
            Way::Dialed { address, .. } => CallError::Unreachable { peer, address: *address, source },
            Way::Held { .. } => CallError::LineCut { peer, source },
        }
    }

    pub(crate) fn odd_answer(&self, status: u16, path: &str) -> CallError {
        CallError::Answer { peer: self.peer.clone(), status, path: path.to_owned() }
    }

    fn setup(&self, path: &str) -> CallError {
        CallError::Setup { peer: self.peer.clone(), path: path.to_owned() }
    }
}

/// The first address that `address` (host:port) resolves to.
pub(crate) async fn resolve(address: &str) -> Result<SocketAddr, CallError> {
    let resolved = tokio::net::lookup_host(address)
        .await
        .and_then(|mut found| found.next().ok_or_else(|| io::Error::other("the name has no address")));
    resolved.map_err(|error| CallError::Address(address.to_owned(), error))
}

/// Connects, and shakes hands with the peer that is certified as `peer`.
pub(crate) async fn dial(
    config: &Arc<ClientConfig>,
    peer: &str,
    address: SocketAddr,
) -> Result<TlsStream<TcpStream>, CallError> {
    let unreachable =
        |reason: String| CallError::Unreachable { peer: peer.to_owned(), address, source: Reason(reason) };
    let name = ServerName::try_from(peer.to_owned()).map_err(|error| unreachable(error.to_string()))?;
    let connected = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(connected) => connected,
        Err(elapsed) => Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)),
    };
    let stream = connected.map_err(|error| {
        let source = Reason(error.to_string());
        if is_silence(&error) {
            CallError::NoAnswer { peer: peer.to_owned(), address, source }
        } else {
            CallError::Unreachable { peer: peer.to_owned(), address, source }
        }
    })?;
    // Small messages go at once; a failure to say so costs only time.
    let _ = stream.set_nodelay(true);
    let shaken =
        tokio::time::timeout(HANDSHAKE_TIMEOUT, TlsConnector::from(config.clone()).connect(name, stream)).await;
    let shaken = shaken.map_err(|_| unreachable("the handshake took too long".to_owned()))?;
    shaken.map_err(|error| unreachable(innermost(&error).to_string()))
}

/// The versions that a peer speaks, and which end is to be updated, where there is none in common.
fn incompatible(headers: &HeaderMap) -> Option<(Versions, Behind)> {
    let theirs: Versions = headers.get(version::HEADER)?.to_str().ok()?.parse().ok()?;
    let behind = Versions::spoken().behind(&theirs)?;
    Some((theirs, behind))
}

fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    complaint::causes(error).last().unwrap_or(error)
}

/// Whether no connection came about at all.
fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable | TimedOut)
}
