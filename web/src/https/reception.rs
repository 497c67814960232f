//! The plain port of a site that has HTTPS: it answers challenges and leads visitors on.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::acme::Challenges;
use super::plain::{self, Answer};
use super::shown::PublicTls;
use crate::listener::Shutdown;
use crate::metrics::{Refused, Traffic};
use crate::site::{Come, Crowd, Guest, PublicSite, method_of};

/// How long the headers of a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a visitor who is led on may take for all of it.
const LED: Duration = Duration::from_secs(15);

/// How long one who is shown the site here may take, before there is a first certificate.
const SHOWN: Duration = Duration::from_mins(5);

/// The most bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;

/// What the plain port answers from.
#[derive(Clone)]
pub(super) struct Reception {
    pub(super) site: Arc<PublicSite>,
    pub(super) tls: PublicTls,
    pub(super) challenges: Challenges,
    /// The port that visitors are led to.
    pub(super) port: u16,
    pub(super) traffic: Arc<Traffic>,
}

impl Reception {
    /// Answers at `listener` until `shutdown` those whom `crowd` lets in. Before there is a first certificate, visitors see the site here: a page
    /// without encryption is more use to them than none.
    pub(super) async fn serve(self, listener: TcpListener, crowd: &Crowd, shutdown: Shutdown) {
        crowd.receive(listener, shutdown, |come, shutdown| self.clone().receive(come, shutdown)).await;
    }

    /// Answers one request of a connection, and ends it.
    async fn receive(self, Come { stream, peer, household }: Come, shutdown: Shutdown) {
        let _open = self.traffic.opened();
        let traffic = self.traffic.clone();
        let allowed = if self.tls.has_certificate() { LED } else { SHOWN };
        let guest = Arc::new(Guest::of(peer, household));
        let service = service_fn(move |request| {
            let (this, guest) = (self.clone(), guest.clone());
            async move { Ok::<_, Infallible>(this.answer(&guest, &request).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false).max_buf_size(MAX_HEAD);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let served = async {
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = shutdown.wait() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        match tokio::time::timeout(allowed, served).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_parse() => traffic.refused(Refused::Malformed),
            Ok(Err(error)) if error.is_timeout() => traffic.refused(Refused::Slow),
            Ok(Err(error)) => tracing::debug!(%error, "a visitor's connection ended early"),
            Err(_) => traffic.refused(Refused::Slow),
        }
    }

    async fn answer(&self, guest: &Guest, request: &Request<Incoming>) -> Answer {
        let answer = match plain::challenge(request, &self.challenges) {
            Some(answer) => answer,
            None if self.tls.has_certificate() => plain::to_https(request, self.port),
            None => self.site.answer(guest, request).await,
        };
        self.traffic.answered(method_of(request), answer.status(), answer.body().length());
        answer
    }
}
