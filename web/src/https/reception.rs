//! How visitors' connections are received where there is HTTPS: the site by TLS, and on the plain port the way there.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tieup_protocol::access::Method;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::acme::Challenges;
use super::plain::{self, Answer};
use super::shown::PublicTls;
use crate::listener::Shutdown;
use crate::metrics::{Refused, Traffic};
use crate::site::PublicSite;
use crate::visitors::Remembered;

/// How many connections to the plain port are open at once; further ones wait.
const MAX_PLAIN: usize = 256;

/// How many connections by TLS are open at once; further ones wait.
const MAX_SECURE: usize = 1024;

/// How long a handshake, and the headers of a request, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a visitor who is only led on may take for all of it.
const LED: Duration = Duration::from_secs(15);

/// The most bytes of a request's headers on the plain port.
const MAX_HEADERS: usize = 16 << 10;

/// How long connections may take to finish when the server stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How long to wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a reception serves.
#[derive(Clone)]
pub(super) struct Reception {
    pub(super) site: Arc<PublicSite>,
    pub(super) tls: PublicTls,
    pub(super) challenges: Challenges,
    /// The port that visitors are led to.
    pub(super) port: u16,
    /// What browsers are told of coming by HTTPS alone.
    pub(super) hsts: HeaderValue,
    pub(super) traffic: Arc<Traffic>,
}

impl Reception {
    /// Serves the site by TLS until `shutdown`.
    pub(super) async fn serve_secure(self, listener: TcpListener, shutdown: Shutdown) {
        let until = shutdown.clone();
        accept(listener, MAX_SECURE, &shutdown, |stream, peer| self.clone().secure(stream, peer, until.clone())).await;
    }

    /// Answers challenges and leads visitors on until `shutdown`. Before there is a first certificate, they see the site
    /// here: a page without encryption is more use to them than none.
    pub(super) async fn serve_plain(self, listener: TcpListener, shutdown: Shutdown) {
        let until = shutdown.clone();
        accept(listener, MAX_PLAIN, &shutdown, |stream, peer| self.clone().plain(stream, peer, until.clone())).await;
    }

    async fn secure(self, stream: TcpStream, peer: SocketAddr, shutdown: Shutdown) {
        let _open = self.traffic.opened();
        let stream = match tokio::time::timeout(PATIENCE, self.tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a visitor's handshake failed");
                return self.traffic.refused(Refused::Handshake);
            }
            Err(_) => return self.traffic.refused(Refused::Slow),
        };
        let is_second = stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
        let visitor = Arc::new(Mutex::default());
        let service = service_fn(move |request| {
            let (this, visitor) = (self.clone(), visitor.clone());
            async move { Ok::<_, Infallible>(this.show(peer, &visitor, &request).await) }
        });
        if is_second {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder.timer(TokioTimer::new()).keep_alive_interval(PATIENCE).keep_alive_timeout(PATIENCE);
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            finish(connection.as_mut(), &shutdown, http2::Connection::graceful_shutdown).await;
        } else {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
            finish(connection.as_mut(), &shutdown, http1::Connection::graceful_shutdown).await;
        }
    }

    async fn plain(self, stream: TcpStream, peer: SocketAddr, shutdown: Shutdown) {
        let _open = self.traffic.opened();
        let (tls, traffic) = (self.tls.clone(), self.traffic.clone());
        let visitor = Arc::new(Mutex::default());
        let service = service_fn(move |request| {
            let (this, visitor) = (self.clone(), visitor.clone());
            async move { Ok::<_, Infallible>(this.lead(peer, &visitor, &request).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        builder.keep_alive(false).max_buf_size(MAX_HEADERS);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let served = finish(connection.as_mut(), &shutdown, http1::Connection::graceful_shutdown);
        if !tls.has_certificate() {
            return served.await;
        }
        if tokio::time::timeout(LED, served).await.is_err() {
            traffic.refused(Refused::Slow);
        }
    }

    /// The site's answer by TLS.
    async fn show(&self, peer: SocketAddr, visitor: &Mutex<Remembered>, request: &Request<Incoming>) -> Answer {
        let mut answer = self.site.answer(peer, visitor, request).await;
        answer.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, self.hsts.clone());
        self.count(request, &answer);
        answer
    }

    /// The answer on the plain port.
    async fn lead(&self, peer: SocketAddr, visitor: &Mutex<Remembered>, request: &Request<Incoming>) -> Answer {
        let answer = match plain::challenge(request, &self.challenges) {
            Some(answer) => answer,
            None if self.tls.has_certificate() => plain::to_https(request, self.port),
            None => self.site.answer(peer, visitor, request).await,
        };
        self.count(request, &answer);
        answer
    }

    fn count(&self, request: &Request<Incoming>, answer: &Answer) {
        let method = match request.method().as_str() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        let bytes = if method == Method::Head { 0 } else { answer.body().length() };
        self.traffic.answered(method, answer.status(), bytes);
    }
}

/// Waits until `connection` has ended, and tells it to once the server stops.
async fn finish<C, E>(
    mut connection: std::pin::Pin<&mut C>,
    shutdown: &Shutdown,
    stop: impl FnOnce(std::pin::Pin<&mut C>),
) where
    C: Future<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.wait() => {
            stop(connection.as_mut());
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a visitor's connection ended early");
    }
}

/// Accepts connections until `shutdown`, of which as many as `limit` are open at once.
async fn accept<F>(
    listener: TcpListener,
    limit: usize,
    shutdown: &Shutdown,
    connection: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limit));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (slot, stream, peer))
        };
        let accepted = tokio::select! {
            () = shutdown.wait() => break,
            accepted = next => accepted,
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
                tracing::warn!(%error, "a visitor's connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    // Those that take longer are cut off when the set is dropped.
    let _ = tokio::time::timeout(DRAIN, ended).await;
}
