//! The accept loop: handshakes with a time limit, a bound on connections, an end on demand.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::certificate::{Certificate, InvalidCertificate};
use crate::problem::Refusal;
use crate::revocation::Revocations;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to send a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connections may take to finish what they have begun when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How many connections are served at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 256;

/// How long to wait after a failed accept, such as when the process has no free file descriptor.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Tells servers to stop. Clones share one switch.
#[derive(Clone, Debug)]
pub struct Shutdown {
    sender: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// A switch that is off.
    pub fn new() -> Self {
        Self { sender: Arc::new(watch::Sender::new(false)) }
    }

    /// Turns it on: servers stop accepting and finish what they have begun.
    pub fn begin(&self) {
        self.sender.send_replace(true);
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits until it is on.
    pub async fn wait(&self) {
        let mut receiver = self.sender.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|on| *on).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits until this process is told to end: Ctrl-C, SIGTERM as a service manager sends it, or SIGHUP when its
/// terminal is closed.
///
/// # Errors
/// When the operating system does not let the process listen for signals.
pub async fn told_to_end() -> io::Result<()> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminated.recv() => Ok(()),
        _ = hung_up.recv() => Ok(()),
    }
}

/// Who is at the other end of a connection, as its verified certificate says. Handlers find it among a request's
/// extensions, unless the other end showed no certificate.
#[derive(Clone, Debug)]
pub struct Peer(pub Arc<Certificate>);

impl Peer {
    /// The peer with this certificate, which the handshake has verified.
    pub fn new(certificate: Certificate) -> Self {
        Self(Arc::new(certificate))
    }

    /// Who showed the first of these certificates in a handshake; none where there are none.
    ///
    /// # Errors
    /// When the certificate is not one of ours.
    pub fn of(shown: Option<&[CertificateDer<'_>]>) -> Result<Option<Self>, InvalidCertificate> {
        let first = shown.and_then(|chain| chain.first());
        first.map(|leaf| Certificate::from_der(leaf).map(Self::new)).transpose()
    }
}

/// Serves `router` over TLS until `shutdown`. Whoever fails the handshake is turned away before a byte of HTTP.
///
/// The certificate at the other end is looked up among `revocations` for each request; once it is revoked, the
/// connection is cut.
pub async fn serve_tls(
    listener: TcpListener,
    config: ServerConfig,
    revocations: Revocations,
    router: Router,
    shutdown: Shutdown,
) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    accept(listener, shutdown.clone(), move |stream, address| {
        let (acceptor, router, shutdown) = (acceptor.clone(), router.clone(), shutdown.clone());
        let revocations = revocations.clone();
        async move {
            let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tracing::warn!(peer = %address, %error, "handshake refused"),
                Err(_) => return tracing::warn!(peer = %address, "handshake took too long"),
            };
            match Peer::of(stream.get_ref().1.peer_certificates()) {
                Ok(peer) => {
                    let service = Admitted { router: TowerToHyperService::new(router), peer, revocations };
                    serve_admitted(stream, service, HEADER_TIMEOUT, shutdown).await;
                }
                Err(error) => tracing::warn!(peer = %address, %error, "connection refused"),
            }
        }
    })
    .await;
}

/// Serves `router` over plain HTTP until `shutdown`.
pub async fn serve_router(listener: TcpListener, router: Router, shutdown: Shutdown) {
    serve_plain(listener, move |_| TowerToHyperService::new(router.clone()), shutdown).await;
}

/// Serves `router` to `peer` over a line that this end has dialed, until `shutdown`, until the peer's certificate is
/// revoked, or until it asks for nothing within `silence`.
pub async fn serve_line(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    revocations: Revocations,
    router: Router,
    silence: Duration,
    shutdown: Shutdown,
) {
    let service = Admitted { router: TowerToHyperService::new(router), peer: Some(peer), revocations };
    serve_admitted(stream, service, silence, shutdown).await;
}

/// Serves `router` to whoever may open a Unix socket, until `shutdown`.
pub async fn serve_socket(listener: UnixListener, router: Router, shutdown: Shutdown) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.wait() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                connections.spawn(answer(stream, service, HEADER_TIMEOUT, shutdown.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    finish(connections).await;
}

/// Makes a socket that only its owner can open, in place of one that a process which died has left.
///
/// # Errors
/// When the path is too long for a socket, or the folder cannot be written.
pub fn bind_socket(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve_admitted(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Admitted,
    patience: Duration,
    shutdown: Shutdown,
) {
    let (peer, revocations) = (service.peer.clone(), service.revocations.clone());
    let revoked = async {
        match &peer {
            Some(Peer(certificate)) => revocations.revoked(&certificate.serial).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = answer(stream, service, patience, shutdown) => {}
        () = revoked => tracing::warn!("a connection was cut: the certificate at its other end has been revoked"),
    }
}

/// A router for one peer, whose certificate is looked at again for each request.
#[derive(Clone)]
struct Admitted {
    router: TowerToHyperService<Router>,
    peer: Option<Peer>,
    revocations: Revocations,
}

impl Service<Request<Incoming>> for Admitted {
    type Response = Response<axum::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(peer) = &self.peer {
            if let Some(refusal) = self.turn_away(&peer.0) {
                return Box::pin(std::future::ready(Ok(refusal.into_response())));
            }
            request.extensions_mut().insert(peer.clone());
        }
        Box::pin(self.router.call(request))
    }
}

impl Admitted {
    fn turn_away(&self, certificate: &Certificate) -> Option<Refusal> {
        let refusal = |kind, title| Some(Refusal::new(StatusCode::FORBIDDEN, kind, title));
        if self.revocations.has(&certificate.serial) {
            return refusal("revoked", "the certificate of this connection has been revoked");
        }
        if certificate.expires <= Timestamp::now() {
            return refusal("expired", "the certificate of this connection has expired: connect again");
        }
        None
    }
}

/// Serves plain HTTP until `shutdown`, with a service made for each visitor's address.
pub async fn serve_plain<S, B>(
    listener: TcpListener,
    service: impl Fn(SocketAddr) -> S + Send + Sync + 'static,
    shutdown: Shutdown,
) where
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    accept(listener, shutdown.clone(), move |stream, peer| {
        answer(stream, service(peer), HEADER_TIMEOUT, shutdown.clone())
    })
    .await;
}

async fn accept<F>(listener: TcpListener, shutdown: Shutdown, connection: impl Fn(TcpStream, SocketAddr) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.wait() => break,
            accepted = accept_one(&listener, slots.clone()) => accepted,
        };
        match accepted {
            Ok((slot, stream, peer)) => {
                let served = connection(stream, peer);
                connections.spawn(async move {
                    served.await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    finish(connections).await;
}

/// Lets connections finish what they have begun.
pub(crate) async fn finish(mut connections: JoinSet<()>) {
    let finished = async { while connections.join_next().await.is_some() {} };
    // Those that take longer are cut off when the set is dropped.
    let _ = tokio::time::timeout(DRAIN, finished).await;
}

/// Waits for a free slot, then for a connection to put into it.
async fn accept_one(
    listener: &TcpListener,
    slots: Arc<Semaphore>,
) -> io::Result<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let slot = slots.acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((slot, stream, peer))
}

/// Answers the requests of one connection by HTTP/1.1. Headers, the first byte included, must come within `patience`.
async fn answer<I, S, B>(stream: I, service: S, patience: Duration, shutdown: Shutdown)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(patience);
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended early");
    }
}
