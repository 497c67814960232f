//! What a public site tells its access log of each visit, and how it waits until the visit is written.
//!
//! The way of a request: [`AccessLog::recognise`] reduces who asks to a [`Visitor`], so that nothing of the address or
//! the headers goes further; [`AccessLog::record`] puts the visit into the batch that is written next; the response ends
//! once the [`Ticket`] says that the batch was written. Visits recorded in one turn of a worker are written together.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::header::{HOST, HeaderName, REFERER, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use tieup_protocol::access::{Method, Purpose};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;

use crate::visitors::{Remembered, Visitor};

/// Who asks, as a request tells it. The log must keep neither address nor what the request says.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// When.
    pub time: Timestamp,
    /// From where.
    pub address: IpAddr,
    /// What the request says of them.
    pub introduction: Introduction<'a>,
}

/// What a request's headers say of who asks, none of it believed. Of a header that stands there several times it is the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Introduction<'a> {
    /// The program.
    pub user_agent: Option<&'a [u8]>,
    /// The host that is asked.
    pub host: Option<&'a [u8]>,
    /// Where they come from.
    pub referrer: Option<&'a [u8]>,
    /// What browsers say that fetch a page in case somebody asks for it, by either of two names.
    pub purposes: [Option<&'a [u8]>; 2],
}

/// The names of [`Introduction::purposes`].
pub const PURPOSES: [&str; 2] = ["sec-purpose", "purpose"];

impl<'a> From<&'a HeaderMap> for Introduction<'a> {
    fn from(headers: &'a HeaderMap) -> Self {
        let said = |name: HeaderName| headers.get(name).map(HeaderValue::as_bytes);
        let purposes = PURPOSES.map(|name| said(HeaderName::from_static(name)));
        Self { user_agent: said(USER_AGENT), host: said(HOST), referrer: said(REFERER), purposes }
    }
}

/// One answered request, for the log.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// When.
    pub time: Timestamp,
    /// Who, as far as the log may know.
    pub visitor: Visitor,
    /// The path that was asked for.
    pub path: &'a SitePath,
    /// Whose page, if any.
    pub class: Option<MeterClass>,
    /// The method.
    pub method: Method,
    /// The status.
    pub status: StatusCode,
    /// Bytes of body.
    pub bytes: u64,
    /// What for.
    pub purpose: Purpose,
}

/// A failure to log. The visitor is told to come back later: what is not logged is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the visit could not be logged")]
pub struct NotLogged;

/// Where visits go.
pub trait AccessLog: Send + Sync {
    /// Reduces who asks to what the log may know.
    ///
    /// `remembered` belongs to one connection and makes the second request on it cheap; a new one is as good.
    fn recognise(&self, caller: &Caller<'_>, remembered: &mut Remembered) -> Visitor;

    /// Takes a visit into the batch that is written next. Visits are logged in the order of these calls.
    ///
    /// Takes well under a microsecond and never waits for the disk; the ticket does. Where the ticket is dropped, the
    /// visit is written all the same.
    fn record(&self, visit: &Visit<'_>) -> Ticket;
}

/// A visit's place in a log.
pub trait Pending: Send + Sync {
    /// Ready once the visit would survive the end of the process, or could not be written.
    ///
    /// Whoever asks while nobody else writes writes everything that has been recorded, in place.
    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<Result<(), NotLogged>>;
}

/// A receipt for a visit that was recorded: a future that ends when the visit would survive the end of the process.
///
/// It gives way once before anything is written, so that the other requests that are ready in this turn of the worker
/// are in the same batch. Where the caller has collected a batch itself, see [`Ticket::at_once`].
#[must_use = "what is not logged is not served"]
pub struct Ticket {
    visit: Option<Arc<dyn Pending>>,
    gives_way: bool,
}

impl Ticket {
    /// The receipt for a visit that is to be written.
    pub fn new(visit: Arc<dyn Pending>) -> Self {
        Self { visit: Some(visit), gives_way: true }
    }

    /// The receipt of a log that keeps nothing.
    pub fn of_no_log() -> Self {
        Self { visit: None, gives_way: false }
    }

    /// The same without giving way: the first poll writes what has been recorded.
    pub fn at_once(mut self) -> Self {
        self.gives_way = false;
        self
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("gives_way", &self.gives_way).finish_non_exhaustive()
    }
}

impl Future for Ticket {
    type Output = Result<(), NotLogged>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.gives_way) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.visit.as_ref().map_or(Poll::Ready(Ok(())), |visit| visit.poll_written(cx))
    }
}

/// A log that keeps nothing.
pub struct NoLog;

impl AccessLog for NoLog {
    fn recognise(&self, _caller: &Caller<'_>, _remembered: &mut Remembered) -> Visitor {
        Visitor::NOBODY
    }

    fn record(&self, _visit: &Visit<'_>) -> Ticket {
        Ticket::of_no_log()
    }
}
