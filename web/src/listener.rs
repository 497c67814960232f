//! The accept loop: handshakes with a time limit, a bound on connections, an end on demand.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to send a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connections may take to finish what they have begun when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How many connections are served at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 256;

/// How long to wait after a failed accept, such as when the process has no free file descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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

/// Serves `router` over TLS until `shutdown`. Whoever fails the handshake is turned away before a byte of HTTP.
pub async fn serve_tls(listener: TcpListener, config: ServerConfig, router: Router, shutdown: Shutdown) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    accept(listener, shutdown.clone(), move |stream, peer| {
        let (acceptor, router, shutdown) = (acceptor.clone(), router.clone(), shutdown.clone());
        async move {
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => answer(stream, peer, TowerToHyperService::new(router), shutdown).await,
                Ok(Err(error)) => tracing::warn!(%peer, %error, "handshake refused"),
                Err(_) => tracing::warn!(%peer, "handshake took too long"),
            }
        }
    })
    .await;
}

/// Serves `router` over plain HTTP until `shutdown`.
pub async fn serve_router(listener: TcpListener, router: Router, shutdown: Shutdown) {
    serve_plain(listener, move |_| TowerToHyperService::new(router.clone()), shutdown).await;
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
    accept(listener, shutdown.clone(), move |stream, peer| answer(stream, peer, service(peer), shutdown.clone())).await;
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

/// Answers the requests of one connection by HTTP/1.1. Headers, the first byte included, have a time limit.
async fn answer<I, S, B>(stream: I, peer: SocketAddr, service: S, shutdown: Shutdown)
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
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.wait() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended early");
    }
}
