//! Connections of visitors: who is let in, which protocol they speak, and when they are let go.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::gather::Gathered;
use super::pace::{Pace, Paced, Protocol, Tired};
use super::turns::{Begun, Turns};
use super::{PublicSite, SiteBody};
use crate::listener::{ACCEPT_PAUSE, Shutdown, finish};
use crate::metrics::{Refused, Traffic};
use crate::visitors::Remembered;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How large the head of a request may be, its address and its headers, and how much of it is read ahead.
const HEAD: usize = 16 << 10;

/// The same for HTTP/2.
const HEAD_LIST: u32 = 16 << 10;

/// How long a connection that is let go has to end well.
const FAREWELL: Duration = Duration::from_secs(1);

/// How many requests of one HTTP/2 connection are answered at once.
const STREAMS: u32 = 128;

/// After how long without a sign of life the other end of an HTTP/2 connection is asked for one, and how long it has.
const SIGN_OF_LIFE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// How many visitors are let in: the key `visitors` of `syncd.yaml` and `tieup.yaml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// How many connections there are in all; further ones wait until one has ended.
    pub connections: NonZeroU32,
    /// How many there are of one address, or of one IPv6 network of 64 bits; further ones are closed.
    pub of_one_address: NonZeroU32,
}

impl Admission {
    /// So many connections in all and of one address; one at least.
    pub const fn of(connections: u32, of_one_address: u32) -> Self {
        Self { connections: at_least_one(connections), of_one_address: at_least_one(of_one_address) }
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::of(4096, 256)
    }
}

/// A door of a public site.
pub struct Door {
    /// Where visitors come in.
    pub listener: TcpListener,
    /// How they are spoken to in private; none for plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// What browsers are told of coming by HTTPS alone: the value of `Strict-Transport-Security`.
    pub hsts: Option<HeaderValue>,
}

impl Door {
    /// A door of plain HTTP.
    pub fn plain(listener: TcpListener) -> Self {
        Self { listener, tls: None, hsts: None }
    }
}

impl PublicSite {
    /// Serves visitors who come through `door` until `shutdown`, by HTTP/1.1, and over TLS by HTTP/2 where they like.
    pub async fn serve(self: Arc<Self>, door: Door, admission: Admission, traffic: Arc<Traffic>, shutdown: Shutdown) {
        let tls = door.tls.map(TlsAcceptor::from);
        let crowd = Crowd::new(admission);
        let mut connections = JoinSet::new();
        loop {
            let admitted = tokio::select! {
                () = shutdown.wait() => break,
                admitted = crowd.admit(&door.listener, &traffic) => admitted,
            };
            match admitted {
                Ok((place, stream, peer)) => {
                    let connection =
                        Connection { site: self.clone(), peer, hsts: door.hsts.clone(), traffic: traffic.clone() };
                    let (tls, shutdown) = (tls.clone(), shutdown.clone());
                    connections.spawn(async move {
                        connection.serve(stream, tls, shutdown).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a visitor's connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
        drop(door.listener);
        finish(connections).await;
    }
}

/// Those who are in.
pub(crate) struct Crowd {
    places: Arc<Semaphore>,
    of_one_address: u32,
    present: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A place among those who are in, given back when it is dropped.
pub(crate) struct Place {
    network: IpAddr,
    present: Arc<Mutex<HashMap<IpAddr, u32>>>,
    _permit: OwnedSemaphorePermit,
}

impl Crowd {
    /// Nobody yet, of whom no more than `admission` says are let in.
    pub(crate) fn new(admission: Admission) -> Self {
        let connections = usize::try_from(admission.connections.get()).unwrap_or(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self { places, of_one_address: admission.of_one_address.get(), present: Arc::default() }
    }

    /// Waits for a free place, then for a visitor to take it.
    pub(crate) async fn admit(
        &self,
        listener: &TcpListener,
        traffic: &Traffic,
    ) -> std::io::Result<(Place, TcpStream, SocketAddr)> {
        let permit = self.places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        loop {
            let (stream, peer) = listener.accept().await?;
            if self.enter(network_of(peer.ip())) {
                let place = Place { network: network_of(peer.ip()), present: self.present.clone(), _permit: permit };
                // What is sent is whole answers, for which waiting gains nothing; where it cannot be turned off, they wait.
                let _ = stream.set_nodelay(true);
                return Ok((place, stream, peer));
            }
            traffic.refused(Refused::Crowded);
        }
    }

    /// Counts one more of `network`, unless it has as many as it may have.
    fn enter(&self, network: IpAddr) -> bool {
        let mut present = lock(&self.present);
        let there = present.entry(network).or_default();
        let enters = *there < self.of_one_address;
        *there += u32::from(enters);
        enters
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = lock(&self.present);
        if let Some(there) = present.get_mut(&self.network) {
            *there -= 1;
            if *there == 0 {
                present.remove(&self.network);
            }
        }
    }
}

fn lock(present: &Mutex<HashMap<IpAddr, u32>>) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
    present.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose address it is: a household has an IPv4 address, or an IPv6 network of 64 bits.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

/// A visitor's connection.
struct Connection {
    site: Arc<PublicSite>,
    peer: SocketAddr,
    hsts: Option<HeaderValue>,
    traffic: Arc<Traffic>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>, shutdown: Shutdown) {
        let _open = self.traffic.opened();
        let Some(tls) = tls else { return self.speak_http1(stream, Pace::of(Protocol::Http1), shutdown).await };
        match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                self.speak_http2(stream, Pace::of(Protocol::Http2), shutdown).await;
            }
            Ok(Ok(stream)) => self.speak_http1(stream, Pace::of(Protocol::Http1), shutdown).await,
            Ok(Err(error)) => {
                self.traffic.refused(Refused::Handshake);
                tracing::debug!(%error, "a visitor's handshake failed");
            }
            Err(_) => self.traffic.refused(Refused::Slow),
        }
    }

    async fn speak_http1(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        pace: Pace,
        shutdown: Shutdown,
    ) {
        let (pace, traffic) = (Arc::new(pace), self.traffic.clone());
        let stream = TokioIo::new(Paced::new(stream, pace.clone()));
        let mut builder = http1::Builder::new();
        // Whoever is slow is let go by the pace, which costs nothing for each request.
        builder.header_read_timeout(None).max_buf_size(HEAD);
        let connection = pin!(builder.serve_connection(stream, self.service(pace.clone())));
        run(connection, http1::Connection::graceful_shutdown, &pace, &traffic, &shutdown).await;
    }

    async fn speak_http2(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        pace: Pace,
        shutdown: Shutdown,
    ) {
        let (pace, traffic) = (Arc::new(pace), self.traffic.clone());
        let (begun, stream) = (Begun::default(), Gathered::new(Paced::new(stream, pace.clone())));
        let mut builder = http2::Builder::new(begun.clone());
        let builder = builder.timer(TokioTimer::new()).max_concurrent_streams(STREAMS).max_header_list_size(HEAD_LIST);
        builder.keep_alive_interval(SIGN_OF_LIFE.0).keep_alive_timeout(SIGN_OF_LIFE.1);
        let connection = builder.serve_connection(TokioIo::new(stream.clone()), self.service(pace.clone()));
        let turns = pin!(Turns::of(connection, begun, stream));
        run(turns, |mut turns| turns.connection.as_mut().graceful_shutdown(), &pace, &traffic, &shutdown).await;
    }

    /// Answers requests of this connection.
    fn service(
        self,
        pace: Arc<Pace>,
    ) -> impl hyper::service::Service<
        Request<Incoming>,
        Response = Response<SiteBody>,
        Error = Infallible,
        Future = impl Future<Output = Result<Response<SiteBody>, Infallible>> + Send,
    > {
        let answering = Arc::new((self, Mutex::new(Remembered::default()), pace));
        service_fn(move |mut request: Request<Incoming>| {
            name_host(&mut request);
            let answering = answering.clone();
            async move {
                let (connection, remembered, pace) = &*answering;
                pace.asked();
                let mut response = connection.site.answer(connection.peer, remembered, &request).await;
                if let Some(hsts) = &connection.hsts {
                    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
                }
                response.body_mut().tell(pace.sends());
                pace.answered(response.body().length());
                let method = super::method_of(&request);
                connection.traffic.answered(method, response.status(), response.body().length());
                Ok(response)
            }
        })
    }
}

/// Lets a connection go on until it ends by itself, does not get on, or is to finish.
async fn run<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    pace: &Pace,
    traffic: &Traffic,
    shutdown: &Shutdown,
) {
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        tired = pace.runs_out() => {
            if tired == Tired::Stalled {
                traffic.refused(Refused::Slow);
            }
            finish(connection.as_mut());
            // Whoever does not hear that it is over is cut off.
            tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
        }
        () = shutdown.wait() => {
            finish(connection.as_mut());
            connection.await
        }
    };
    if let Err(error) = ended {
        if error.is_parse() || error.is_parse_too_large() {
            traffic.refused(Refused::Malformed);
        }
        tracing::debug!(%error, "a visitor's connection ended early");
    }
}

/// Says in its headers which host a request is for, where it came by HTTP/2 and says it in its address (RFC 9113, section
/// 8.3.1).
fn name_host<B>(request: &mut Request<B>) {
    let authority = request.uri().authority().filter(|_| !request.headers().contains_key(header::HOST));
    if let Some(Ok(host)) = authority.map(|authority| HeaderValue::from_str(authority.as_str())) {
        request.headers_mut().insert(header::HOST, host);
    }
}

#[cfg(test)]
mod idle;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_counts_as_one() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[tokio::test]
    async fn places_are_given_back() {
        let crowd = Crowd::new(Admission::of(3, 2));
        let [one, other] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let place = || Place {
            network: one,
            present: crowd.present.clone(),
            _permit: crowd.places.clone().try_acquire_owned().unwrap(),
        };
        assert!(crowd.enter(one) && crowd.enter(one) && !crowd.enter(one));
        assert!(crowd.enter(other));
        let (first, second) = (place(), place());
        drop(first);
        assert!(crowd.enter(one) && !crowd.enter(one));
        drop(second);
        drop(place());
        assert!(!lock(&crowd.present).contains_key(&one));
    }
}
