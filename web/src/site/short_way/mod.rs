//! The short way of plain requests by HTTP/1.1: read, looked up, logged and answered without the protocol's library.
//!
//! Most requests are for a page that is in memory, and say nothing that changes what HTTP does with them. Those are answered
//! here. The first one that is anything else is left to the library, with all that came, and so is all that follows it on its
//! connection: what is refused, and how, is decided there alone.

mod finding;
mod heads;
mod request;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, ready};

use axum::http::HeaderValue;
use jiff::Timestamp;
use tieup_protocol::access::Method;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use self::finding::{Fetched, Found, PlainAnswer, Unsent, Wanted};
use self::heads::Dates;
pub(super) use self::heads::Heads;
use self::request::{Accepting, Come};
use super::PublicSite;
use super::answer::{self, Answer};
use super::guest::Guest;
use super::pace::{Pace, Paced};
use crate::metrics::Traffic;

/// How much is read ahead, and how large the head of a plain request may be.
const BUFFER: usize = 4 << 10;

/// Says on a connection that its current answer is the last one.
#[derive(Debug, Default)]
pub(super) struct Ending(AtomicBool);

impl Ending {
    /// From here on it is.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Who asks whom on a connection.
#[derive(Clone, Copy)]
pub(super) struct Parties<'a> {
    pub(super) site: &'a PublicSite,
    pub(super) guest: &'a Guest,
    pub(super) traffic: &'a Traffic,
    pub(super) pace: &'a Pace,
    pub(super) ending: &'a Ending,
}

/// A connection on which only plain requests have come.
pub(super) struct ShortWay<'a, S> {
    parties: Parties<'a>,
    stream: Paced<S>,
    buffer: Vec<u8>,
    /// What of it came and is not answered.
    unread: Range<usize>,
    /// The head of an answer.
    head: Vec<u8>,
    hsts: Option<&'a HeaderValue>,
    accepting: Accepting,
    dates: Dates,
}

/// What is to be done next on a connection.
enum Next<'a> {
    Send(Unsent<'a>),
    /// Only a part of a request is here, or nothing.
    Read,
    /// Something is to be fetched before it can be answered.
    Fetch(Wanted),
    /// A request came that is not of the short way.
    HandOver,
}

/// What came of reading.
enum Read {
    /// More of a request.
    More,
    /// The end from the other side.
    End,
    /// Nothing: this side ends the connection.
    Stop,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> ShortWay<'a, S> {
    /// The short way of a new connection.
    pub(super) fn of(parties: Parties<'a>, stream: Paced<S>, hsts: Option<&'a HeaderValue>) -> Self {
        let (buffer, accepting, dates) = (vec![0; BUFFER], Accepting::default(), Dates::default());
        Self { parties, stream, buffer, unread: 0..0, head: Vec::new(), hsts, accepting, dates }
    }

    /// Answers until the connection has ended, or a request comes that is not plain: then gives the connection back with it.
    ///
    /// Where this side ends the connection, a request that is not here whole is no reason to wait.
    ///
    /// # Errors
    /// When the connection fails.
    pub(super) async fn go(mut self) -> io::Result<Option<Paced<S>>> {
        loop {
            match self.next().await {
                Next::Send(unsent) => {
                    if self.answer(unsent).await? {
                        break;
                    }
                }
                Next::Read => match self.read().await? {
                    Read::More => {}
                    Read::Stop => break,
                    Read::End if self.unread.is_empty() => break,
                    // It says what becomes of a request that never comes whole.
                    Read::End => return Ok(Some(self.hand_over())),
                },
                Next::Fetch(_) | Next::HandOver => return Ok(Some(self.hand_over())),
            }
        }
        self.stream.shutdown().await?;
        Ok(None)
    }

    /// The connection with what came and is not answered.
    fn hand_over(self) -> Paced<S> {
        self.stream.with_unread(&self.buffer[self.unread])
    }

    /// Reads more of the next request.
    async fn read(&mut self) -> io::Result<Read> {
        let Self { parties, stream, buffer, unread, .. } = self;
        buffer.copy_within(unread.clone(), 0);
        *unread = 0..unread.len();
        poll_fn(|cx| {
            if parties.ending.is_set() {
                return Poll::Ready(Ok(Read::Stop));
            }
            let mut rest = ReadBuf::new(&mut buffer[unread.end..]);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut rest))?;
            let came = rest.filled().len();
            unread.end += came;
            Poll::Ready(Ok(if came > 0 { Read::More } else { Read::End }))
        })
        .await
    }

    /// Begins to answer the next request, once its content is in memory.
    async fn next(&mut self) -> Next<'a> {
        match self.prepare(None) {
            Next::Fetch(wanted) => {
                let fetched = self.parties.site.fetch(wanted).await;
                // Where something else stands there now, it is left to the library.
                self.prepare(Some(&fetched))
            }
            next => next,
        }
    }

    /// Begins to answer the next request where its content is in memory or was fetched, the head of the answer with it.
    fn prepare(&mut self, fetched: Option<&Fetched>) -> Next<'a> {
        let Self { parties, buffer, unread, head, accepting, dates, .. } = self;
        if unread.start == unread.end {
            return Next::Read;
        }
        let request = match Come::read(&buffer[unread.clone()]) {
            Come::Plain(request) => request,
            Come::Part if unread.len() < BUFFER => return Next::Read,
            Come::Part | Come::Other => return Next::HandOver,
        };
        // Also whoever waits for content to be made has asked, and whose request goes to the library.
        parties.pace.asked(unread.len() - request.length);
        head.clear();
        let site = parties.site;
        let (path, answer) = match site.find_plain(&request, accepting, fetched, head) {
            Some(Found::Answer(path, answer)) => (path, answer),
            Some(Found::Awaits(wanted)) => return Next::Fetch(wanted),
            None => return Next::HandOver,
        };
        let now = Timestamp::now();
        dates.set(now);
        let unsent = site.record_plain(parties.guest, &request, &path, now, answer);
        let Some(unsent) = unsent else { return Next::HandOver };
        unread.start += request.length;
        Next::Send(unsent)
    }

    /// Sends the answer once its visit is written. Whether it was the last one.
    async fn answer(&mut self, unsent: Unsent<'a>) -> io::Result<bool> {
        let Parties { traffic, pace, ending, .. } = self.parties;
        let Unsent { visit, method, mut answer, room: _room } = unsent;
        if visit.written().await.is_err() {
            self.head.clear();
            answer = PlainAnswer::of(Answer::unclassed(answer::not_logged()), &mut self.head);
        }
        let PlainAnswer { status, body, .. } = answer;
        let body = body.bytes();
        pace.answered(body.len() as u64);
        traffic.answered(method, status, body.len() as u64);
        let is_last = ending.is_set();
        self.finish_head(is_last);
        self.write(if method == Method::Head { &[] } else { body }).await?;
        Ok(is_last || ending.is_set())
    }

    /// Adds to a head what differs from connection to connection and from moment to moment.
    fn finish_head(&mut self, is_last: bool) {
        if let Some(hsts) = self.hsts {
            self.head.extend_from_slice(b"strict-transport-security: ");
            self.head.extend_from_slice(hsts.as_bytes());
            self.head.extend_from_slice(b"\r\n");
        }
        if is_last {
            self.head.extend_from_slice(b"connection: close\r\n");
        }
        self.head.extend_from_slice(self.dates.line());
    }

    /// Writes the head and `body`.
    async fn write(&mut self, mut body: &[u8]) -> io::Result<()> {
        let Self { stream, head, .. } = self;
        let mut head = &head[..];
        poll_fn(|cx| {
            while !head.is_empty() || !body.is_empty() {
                let pieces = [IoSlice::new(head), IoSlice::new(body)];
                let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &pieces))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                let of_head = written.min(head.len());
                (head, body) = (&head[of_head..], &body[written - of_head..]);
            }
            Pin::new(&mut *stream).poll_flush(cx)
        })
        .await
    }
}
