//! Connections of visitors: which protocol they speak, and when they are let go.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Request, Response, header};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::crowd::{Come, Crowd};
use super::gather::Gathered;
use super::guest::Guest;
use super::household::{Held, REQUESTS_OF_CONNECTION, Share};
use super::pace::{Pace, Paced, Protocol, Tired};
use super::short_way::{Ending, Parties, ShortWay};
use super::socket::Socket;
use super::turns::{BegunAnswers, Turns};
use super::{PublicSite, SiteBody};
use crate::listener::Shutdown;
use crate::metrics::{Refused, Traffic};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How large the head of a request may be, its address and its headers, and how much of it is read ahead.
const HEAD: usize = 16 << 10;

/// The same for HTTP/2.
const HEAD_LIST: u32 = 16 << 10;

/// How long a connection that is let go has to end well.
const FAREWELL: Duration = Duration::from_secs(1);

/// After how long without a sign of life the other end of an HTTP/2 connection is asked for one, and how long it has.
const SIGN_OF_LIFE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));

/// A door of a public site.
pub(crate) struct Door {
    /// Where visitors come in.
    pub(crate) listener: TcpListener,
    /// How they are spoken to in private; none for plain HTTP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// What browsers are told of coming by HTTPS alone: the value of `Strict-Transport-Security`.
    pub(crate) hsts: Option<HeaderValue>,
}

impl Door {
    /// A door of plain HTTP.
    pub(crate) fn plain(listener: TcpListener) -> Self {
        Self { listener, tls: None, hsts: None }
    }
}

impl PublicSite {
    /// Serves visitors who come through `door` until `shutdown`, as many as `crowd` lets in, by HTTP/1.1, and over TLS by
    /// HTTP/2 where they like.
    pub(crate) async fn serve(self: Arc<Self>, door: Door, crowd: &Crowd, shutdown: Shutdown) {
        let tls = door.tls.map(TlsAcceptor::from);
        let serve = |come: Come, shutdown| {
            let (site, hsts, traffic) = (self.clone(), door.hsts.clone(), crowd.traffic().clone());
            let guest = Guest::of(come.peer, come.household);
            Connection { site, guest, hsts, traffic }.serve(come.stream, tls.clone(), shutdown)
        };
        crowd.receive(door.listener, shutdown, serve).await;
    }
}

/// A visitor's connection.
struct Connection {
    site: Arc<PublicSite>,
    guest: Guest,
    hsts: Option<HeaderValue>,
    traffic: Arc<Traffic>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, tls: Option<TlsAcceptor>, shutdown: Shutdown) {
        let _open = self.traffic.opened();
        let stream = Socket::from(stream);
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
        let watch = self.watch(&pace, shutdown);
        let (stream, ending) = (Paced::new(stream, pace.clone()), Ending::default());
        let conversation = pin!(self.converse(stream, pace, &ending));
        run(conversation, |_| ending.set(), watch, &traffic).await;
    }

    /// Answers by the short way, and from the first request on that is not plain by the protocol's library.
    async fn converse(
        self,
        stream: Paced<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
        pace: Arc<Pace>,
        ending: &Ending,
    ) -> hyper::Result<()> {
        let parties = Parties { site: &self.site, guest: &self.guest, traffic: &self.traffic, pace: &pace, ending };
        match ShortWay::of(parties, stream, self.hsts.as_ref()).go().await {
            Ok(Some(stream)) => self.go_on(stream, pace, ending).await,
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "a visitor's connection failed");
                Ok(())
            }
        }
    }

    /// Answers by the protocol's library.
    async fn go_on(
        self,
        stream: Paced<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>,
        pace: Arc<Pace>,
        ending: &Ending,
    ) -> hyper::Result<()> {
        let mut builder = http1::Builder::new();
        // Whoever is slow is let go by the pace, which costs nothing for each request.
        // Whoever says that nothing more is asked for gets the answer all the same, and nothing is read before it is sent.
        builder.header_read_timeout(None).max_buf_size(HEAD).half_close(true);
        let mut is_ending = ending.is_set();
        builder.keep_alive(!is_ending);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), self.service(pace)));
        poll_fn(|cx| {
            if ending.is_set() && !std::mem::replace(&mut is_ending, true) {
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx)
        })
        .await
    }

    async fn speak_http2(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        pace: Pace,
        shutdown: Shutdown,
    ) {
        let (pace, traffic) = (Arc::new(pace), self.traffic.clone());
        let watch = self.watch(&pace, shutdown);
        let (begun, stream) = (BegunAnswers::default(), Gathered::new(Paced::new(stream, pace.clone())));
        let mut builder = http2::Builder::new(begun.clone());
        let builder = builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(REQUESTS_OF_CONNECTION)
            .max_header_list_size(HEAD_LIST);
        builder.keep_alive_interval(SIGN_OF_LIFE.0).keep_alive_timeout(SIGN_OF_LIFE.1);
        let connection = builder.serve_connection(TokioIo::new(stream.clone()), self.service(pace.clone()));
        let turns = pin!(Turns::of(connection, begun, stream));
        run(turns, |mut turns| turns.connection.as_mut().graceful_shutdown(), watch, &traffic).await;
    }

    /// What parties this connection from this side.
    fn watch(&self, pace: &Arc<Pace>, shutdown: Shutdown) -> Watch {
        Watch { pace: pace.clone(), share: self.guest.share.clone(), shutdown }
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
        let answering = Arc::new((self, pace));
        service_fn(move |mut request: Request<Incoming>| {
            name_host(&mut request);
            let answering = answering.clone();
            async move {
                let (connection, pace) = &*answering;
                pace.asked(0);
                let room = connection.room(pace).await;
                let mut response = connection.site.answer(&connection.guest, &request).await;
                response.body_mut().answer_to(room);
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

impl Connection {
    /// The room that a request takes until its answer was sent. By HTTP/1.1 there is one at a time, and it takes none.
    async fn room(&self, pace: &Pace) -> Option<Held> {
        match pace.protocol() {
            Protocol::Http1 => None,
            Protocol::Http2 => self.guest.share.for_request().await,
        }
    }
}

/// What parties a connection from this side.
struct Watch {
    pace: Arc<Pace>,
    share: Share,
    shutdown: Shutdown,
}

/// Why a connection parties from this side.
enum Over {
    /// It does not get on.
    Tired(Tired),
    /// It holds what others of its household need.
    Hoarding,
    /// The server stops.
    Stopping,
}

impl Watch {
    async fn over(self) -> Over {
        tokio::select! {
            biased;
            tired = self.pace.runs_out() => Over::Tired(tired),
            () = self.share.is_to_leave() => Over::Hoarding,
            () = self.shutdown.wait() => Over::Stopping,
        }
    }
}

/// Lets a connection go on until it parties by itself or `watch` parties it.
async fn run<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    watch: Watch,
    traffic: &Traffic,
) {
    // In a set of its own the watch is looked at when it stirs, and not whenever the connection does.
    let mut watching: FuturesUnordered<_> = std::iter::once(watch.over()).collect();
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        Some(over) = watching.next() => match over {
            Over::Tired(tired) => {
                if tired == Tired::Stalled {
                    traffic.refused(Refused::Slow);
                }
                finish(connection.as_mut());
                // Whoever does not hear that it is over is cut off.
                tokio::time::timeout(FAREWELL, connection).await.unwrap_or(Ok(()))
            }
            // What it holds is needed by others of its household: it is cut off as it is.
            Over::Hoarding => return traffic.refused(Refused::Crowded),
            Over::Stopping => {
                finish(connection.as_mut());
                connection.await
            }
        },
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
mod half_closed;
#[cfg(test)]
mod idle;
#[cfg(test)]
mod lying;
#[cfg(test)]
mod ways;
