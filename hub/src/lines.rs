//! The lines that partners behind NAT have dialed, and the socket by which every command of the hub calls over them.
//!
//! A line is handed to one call at a time and given back when its answer has been read to the end. The socket is in the
//! state folder, and only its owner can open it; a request to it names the partner in its header `Host`, by its name in
//! TLS, and is passed on as it is.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Json, Router};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::upgrade::OnUpgrade;
use jiff::Timestamp;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::{partner_of_tls_name, partner_tls_name};
use tieup_protocol::version::{self, Versions};
use tieup_protocol::wire::{LINE, VERSIONS};
use tieup_web::certificate::{Certificate, Serial};
use tieup_web::client::{LINE_CUT, NO_LINE};
use tieup_web::line::{UPGRADE, is_asked_for};
use tieup_web::listener::{Peer, Shutdown};
use tieup_web::problem::Refusal;
use tokio::sync::Notify;

use crate::database::PartnerRow;
use crate::partners::{Hub, HubError};

/// POST at the socket: what another process of the hub has changed in the database is to be followed now.
pub(crate) const REFRESH: &str = "/hub/refresh";

/// How long a call waits for a line.
const WAIT: Duration = Duration::from_secs(5);

/// How often partners are asked for a sign of life, so that a line which died in silence is found and NAT keeps it open.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// How long a sign of life may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the hub looks whether its own certificate is due, and whether another process has revoked something.
const REFRESH_EVERY: Duration = Duration::from_secs(2);

/// The most lines that are held for one partner; the oldest make room.
const MOST: usize = 8;

/// The lines of a running hub.
pub(crate) struct Lines {
    hub: Arc<Hub>,
    idle: Mutex<HashMap<SiteId, Vec<Line>>>,
    arrived: Notify,
}

/// A line that nobody is using, or that is in one call's hands.
struct Line {
    sender: SendRequest<Body>,
    partner: SiteId,
    /// Main's own certificate with which the partner dialed; a line goes when main has another.
    shown: Serial,
    /// When the partner's certificate expires; it dials with a new one before that.
    expires: Timestamp,
}

impl Lines {
    /// No line yet.
    pub(crate) fn new(hub: Arc<Hub>) -> Arc<Self> {
        Arc::new(Self { hub, idle: Mutex::default(), arrived: Notify::new() })
    }

    /// The answers to partners that dial.
    pub(crate) fn joining_router(self: &Arc<Self>) -> Router {
        Router::new().route(LINE, post(hold)).with_state(self.clone())
    }

    /// The answers to other commands of the hub, at the socket.
    pub(crate) fn socket_router(self: &Arc<Self>) -> Router {
        Router::new().route(REFRESH, post(refresh)).fallback(forward).with_state(self.clone())
    }

    /// Keeps lines alive, follows what other processes have changed and renews main's own certificate, until
    /// `shutdown`; then every line ends.
    pub(crate) async fn keep(self: Arc<Self>, shutdown: Shutdown) {
        let (mut refreshing, mut asking) = (tokio::time::interval(REFRESH_EVERY), tokio::time::interval(SIGN_OF_LIFE));
        loop {
            tokio::select! {
                () = shutdown.wait() => break,
                _ = refreshing.tick() => if let Err(error) = self.refresh(Timestamp::now()).await {
                    tracing::warn!(%error, "the hub could not look what has been revoked");
                },
                _ = asking.tick() => self.ask_for_signs_of_life(),
            }
        }
        self.idle().clear();
    }

    async fn refresh(&self, now: Timestamp) -> Result<(), HubError> {
        self.hub.refresh_tls(now).await?;
        let shown = self.hub.tls().certificate().serial;
        for lines in self.idle().values_mut() {
            lines.retain(|line| line.shown == shown);
        }
        Ok(())
    }

    /// Asks every line for one. What one partner does not answer keeps neither another nor the caller waiting.
    fn ask_for_signs_of_life(self: &Arc<Self>) {
        let lines: Vec<Line> = self.idle().drain().flat_map(|(_, lines)| lines).collect();
        for line in lines {
            self.ask_for_sign_of_life(line);
        }
    }

    /// Puts the line back once it has given one, and drops it if it gives none.
    fn ask_for_sign_of_life(self: &Arc<Self>, mut line: Line) {
        let lines = self.clone();
        tokio::spawn(async move {
            let name = partner_tls_name(&lines.hub.config.main, &line.partner);
            match tokio::time::timeout(PATIENCE, is_alive(&mut line, &name)).await {
                Ok(true) => lines.put(line),
                Ok(false) => {}
                Err(_) => tracing::warn!(partner = %line.partner, "a line gave no sign of life, and is given up"),
            }
        });
    }

    /// Takes a line that was just dialed. A partner whose lines live dials no more of them than it keeps, so those that
    /// were there before are asked whether they do.
    fn welcome(self: &Arc<Self>, line: Line) {
        let before = self.idle().remove(&line.partner).unwrap_or_default();
        self.put(line);
        for line in before {
            self.ask_for_sign_of_life(line);
        }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<SiteId, Vec<Line>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a line where calls find it.
    fn put(&self, line: Line) {
        if line.sender.is_closed()
            || line.expires <= Timestamp::now()
            || line.shown != self.hub.tls().certificate().serial
        {
            return;
        }
        let mut idle = self.idle();
        let lines = idle.entry(line.partner.clone()).or_default();
        lines.push(line);
        if lines.len() > MOST {
            lines.remove(0);
        }
        drop(idle);
        self.arrived.notify_waiters();
    }

    /// A line to `partner`, waited for if there is none at this moment.
    async fn take(&self, partner: &SiteId) -> Option<Line> {
        let deadline = tokio::time::Instant::now() + WAIT;
        loop {
            let arrived = self.arrived.notified();
            let line = self.idle().get_mut(partner).and_then(Vec::pop);
            match line {
                Some(mut line) => {
                    // It may be busy for a moment with the end of the answer before; a dead one is never ready.
                    if matches!(tokio::time::timeout_at(deadline, line.sender.ready()).await, Ok(Ok(()))) {
                        return Some(line);
                    }
                }
                None => tokio::time::timeout_at(deadline, arrived).await.ok()?,
            }
        }
    }
}

/// The most bytes of a sign of life.
const LONGEST_SIGN: usize = 4 << 10;

/// Asks for the partner's versions, and reads the answer.
async fn is_alive(line: &mut Line, name: &str) -> bool {
    let request = Request::builder()
        .uri(VERSIONS)
        .header(header::HOST, name)
        .header(version::HEADER, Versions::spoken().to_string())
        .body(Body::empty());
    let Ok(request) = request else { return false };
    match line.sender.send_request(request).await {
        Ok(response) => Limited::new(response.into_body(), LONGEST_SIGN).collect().await.is_ok(),
        Err(_) => false,
    }
}

/// Answers a partner that dials: the connection becomes a line.
async fn hold(
    State(lines): State<Arc<Lines>>,
    peer: Option<Extension<Peer>>,
    mut request: Request,
) -> Result<Response, Refusal> {
    let Some(Extension(Peer(certificate))) = peer else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "no-certificate", "a line needs a partner's certificate"));
    };
    let partner = admit(&lines.hub, &certificate.name).await?.id;
    if !is_asked_for(request.headers()) {
        return Err(Refusal::new(
            StatusCode::UPGRADE_REQUIRED,
            "no-upgrade",
            "a line begins with `Upgrade: tieup-line`",
        ));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Err(error) = turn_around(&lines, upgrade, partner, &certificate).await {
            tracing::debug!(%error, "a line ended before it began");
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, UPGRADE);
    Ok(response)
}

/// The partner with this name in TLS, if it has joined and is not revoked.
pub(crate) async fn admit(hub: &Hub, name: &str) -> Result<PartnerRow, Refusal> {
    let refused = |kind, title| Refusal::new(StatusCode::FORBIDDEN, kind, title);
    let named = partner_of_tls_name(&hub.config.main, name);
    let named = named.ok_or_else(|| refused("not-joined", "only a partner may ask for this".to_owned()))?;
    match hub.partner(&named).await {
        Ok(partner) if partner.revoked.is_none() => Ok(partner),
        Ok(partner) => Err(refused("revoked", format!("`{}` has been revoked", partner.id))),
        Err(error @ HubError::NotJoined(_)) => Err(refused("not-joined", error.to_string())),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a partner could not be looked up");
            let title = "the main site could not look the partner up";
            Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title))
        }
    }
}

async fn turn_around(
    lines: &Arc<Lines>,
    upgrade: OnUpgrade,
    partner: SiteId,
    certificate: &Certificate,
) -> Result<(), hyper::Error> {
    let shown = lines.hub.tls().certificate().serial;
    let (sender, connection) = handshake(upgrade.await?).await?;
    let revocations = lines.hub.tls().revocations().clone();
    lines.welcome(Line { sender, partner: partner.clone(), shown, expires: certificate.expires });
    tokio::select! {
        // It ends with the line, and when nobody holds the sender any more.
        _ = connection => tracing::debug!(%partner, "a line ended"),
        () = revocations.revoked(&certificate.serial) => tracing::warn!(%partner, "a line was cut: the partner has been revoked"),
    }
    Ok(())
}

async fn refresh(State(lines): State<Arc<Lines>>) -> Result<Json<()>, Refusal> {
    lines.refresh(Timestamp::now()).await.map(Json).map_err(|error| {
        let (status, title) = (StatusCode::INTERNAL_SERVER_ERROR, "the hub could not look what has changed");
        tracing::error!(error = &error as &dyn std::error::Error, title);
        Refusal::new(status, "internal", title)
    })
}

/// Passes a call on over a line of the partner that it is for.
async fn forward(State(lines): State<Arc<Lines>>, mut request: Request) -> Result<Response, Refusal> {
    let partner = addressee(&lines.hub, request.headers())?;
    request.headers_mut().remove(header::CONNECTION);
    loop {
        let no_line = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, NO_LINE, format!("`{partner}` keeps no line"));
        let mut line = lines.take(&partner).await.ok_or_else(no_line)?;
        match line.sender.try_send_request(request).await {
            Ok(response) => return Ok(passed_back(lines, line, response)),
            // The line was dead, and the next one may not be.
            Err(mut failed) => match failed.take_message() {
                Some(unsent) => request = unsent,
                None => return Err(Refusal::caused_by(StatusCode::BAD_GATEWAY, LINE_CUT, failed.error())),
            },
        }
    }
}

fn addressee(hub: &Hub, headers: &HeaderMap) -> Result<SiteId, Refusal> {
    let name = headers.get(header::HOST).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let unknown = || Refusal::new(StatusCode::MISDIRECTED_REQUEST, "no-partner", format!("`{name}` is no partner"));
    partner_of_tls_name(&hub.config.main, name).ok_or_else(unknown)
}

fn passed_back(lines: Arc<Lines>, line: Line, response: Response<Incoming>) -> Response {
    let (mut parts, body) = response.into_parts();
    for hop in [header::CONNECTION, header::TRANSFER_ENCODING] {
        parts.headers.remove(hop);
    }
    Response::from_parts(parts, Body::new(Returning { body, read: Read::NotYet, line: Some(line), lines }))
}

/// Whether an answer has been read to its end.
#[derive(PartialEq, Eq)]
enum Read {
    NotYet,
    Whole,
}

/// The body of an answer; the line goes back when it has been read to its end, and ends if it has not.
struct Returning {
    body: Incoming,
    read: Read,
    line: Option<Line>,
    lines: Arc<Lines>,
}

impl hyper::body::Body for Returning {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) {
            self.read = Read::Whole;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Returning {
    fn drop(&mut self) {
        let whole = self.read == Read::Whole || hyper::body::Body::is_end_stream(&self.body);
        if let Some(line) = self.line.take().filter(|_| whole) {
            self.lines.put(line);
        }
    }
}
