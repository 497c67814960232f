//! How a visitor's connection gets on, so that whoever takes a connection and does nothing with it, or next to nothing,
//! is let go.
//!
//! Each request and each read or write is counted, and the counts are looked at every few seconds. So a request costs
//! no timer, however many there are.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{MissedTickBehavior, Sleep, sleep};

/// How often a connection is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// For how many looks a connection may rest between two requests.
const REST: u32 = 12;

/// For how many looks it may be at a request without getting on.
const STALL: u32 = 4;

/// How many bytes must be taken between two looks for an answer to get on: 256 a second.
const LEAST: u64 = 256 * LOOK.as_secs();

/// What an answer may have besides its content: its head, and the frames of HTTP/2.
const BESIDES: u64 = 1 << 10;

/// Up to this many bytes between two looks are signs of life that are asked for or given, and no answer.
const SIGNS_OF_LIFE: u64 = 64;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// HTTP/1.1: what comes is one request after the other.
    Http1,
    /// HTTP/2: what comes may be no part of a request.
    Http2,
}

/// What has come and gone on a connection.
#[derive(Debug)]
pub(super) struct Pace {
    protocol: Protocol,
    /// How often it is looked at.
    look: Duration,
    /// Bytes that came.
    read: AtomicU64,
    /// Bytes that were taken by the other end, or by the network on its behalf.
    written: AtomicU64,
    /// Requests that came whole.
    asked: AtomicU64,
    /// Requests that were answered.
    answered: AtomicU64,
    /// Answers of which a part is still to be taken.
    sending: AtomicU64,
    /// Whether what was to be written last waits until the other end takes some of what was written before. By HTTP/1.1 an
    /// answer may have been handed over whole by then, and its body be gone.
    waits: AtomicBool,
    /// Bytes that answers have, about. What was written beyond these is no answer, but chatter: acknowledgements that
    /// the other end of an HTTP/2 connection can ask for without end.
    owed: AtomicU64,
    /// Bytes that had come with the last whole request, to its end.
    read_when_asked: AtomicU64,
}

/// Says until it is dropped that an answer is being sent.
#[derive(Debug)]
pub(super) struct Sending(Arc<Pace>);

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.sending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a connection is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tired {
    /// Nothing has been asked for in a while.
    Rested,
    /// A request or its answer does not get on.
    Stalled,
}

/// The counts at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    written: u64,
    asked: u64,
    answered: u64,
    sending: u64,
    /// Whether a part of a request has come and the rest has not.
    is_amid_request: bool,
}

impl Pace {
    /// The pace of a new connection.
    pub(super) fn of(protocol: Protocol) -> Self {
        let [read, written, asked, answered, sending, owed, read_when_asked] = Default::default();
        let waits = AtomicBool::new(false);
        Self { protocol, look: LOOK, read, written, asked, answered, sending, waits, owed, read_when_asked }
    }

    /// The same, looked at so often that a test need not wait.
    #[cfg(test)]
    pub(super) fn hasty(protocol: Protocol) -> Self {
        Self { look: Duration::from_millis(5), ..Self::of(protocol) }
    }

    /// The same, but seldom enough that what takes its time on a busy machine is not taken for slow.
    #[cfg(test)]
    pub(super) fn brisk(protocol: Protocol) -> Self {
        Self { look: Self::BRISK, ..Self::of(protocol) }
    }

    /// How often that is.
    #[cfg(test)]
    pub(super) const BRISK: Duration = Duration::from_millis(100);

    /// A whole request came. By HTTP/1.1, where each is answered before the next is looked at, one of which this was said already
    /// is the same. Of what came, so many bytes belong to the next ones.
    pub(super) fn asked(&self, beyond: usize) {
        match self.protocol {
            Protocol::Http1 => self.asked.store(self.answered.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
            Protocol::Http2 => add(&self.asked, 1),
        }
        self.read_when_asked.store(self.read.load(Ordering::Relaxed) - beyond as u64, Ordering::Relaxed);
    }

    /// It was answered, with so many bytes of content.
    pub(super) fn answered(&self, bytes: u64) {
        add(&self.owed, bytes + bytes / BESIDES + BESIDES);
        add(&self.answered, 1);
    }

    /// An answer is being sent, until what is returned is dropped.
    pub(super) fn sends(self: &Arc<Self>) -> Sending {
        self.sending.fetch_add(1, Ordering::Relaxed);
        Sending(self.clone())
    }

    /// What the connection speaks.
    pub(super) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Waits until the connection does not get on.
    pub(super) async fn runs_out(&self) -> Tired {
        let mut looks = tokio::time::interval_at(tokio::time::Instant::now() + self.look, self.look);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut before, mut patience) = (self.counts(), Patience::default());
        loop {
            looks.tick().await;
            let now = self.counts();
            if let Some(tired) = patience.ends(before, now) {
                return tired;
            }
            before = now;
        }
    }

    fn counts(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            written: of(&self.written).min(of(&self.owed)),
            asked: of(&self.asked),
            answered: of(&self.answered),
            sending: of(&self.sending) + u64::from(self.waits.load(Ordering::Relaxed)),
            is_amid_request: self.protocol == Protocol::Http1 && of(&self.read) > of(&self.read_when_asked),
        }
    }
}

/// Adds to a count of which nobody else adds to at the same time: the task of its connection. That costs a fraction of what
/// it takes to add in one step.
fn add(count: &AtomicU64, more: u64) {
    count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// For how many looks a connection has not got on.
#[derive(Debug, Default)]
struct Patience {
    looks: u32,
}

impl Patience {
    /// Why a connection that changed from `before` to `now` is to be let go, if it is.
    fn ends(&mut self, before: Counts, now: Counts) -> Option<Tired> {
        // Whoever leaves an answer lying does not get on by asking for more.
        let leaves_lying = before.sending > 0 && now.sending > 0;
        let gets_on = now.written >= before.written + LEAST || (now.asked > before.asked && !leaves_lying);
        if gets_on {
            self.looks = 0;
            return None;
        }
        self.looks += 1;
        let is_silent = now.asked == 0;
        let is_at_work = is_silent || leaves_lying || now.asked > now.answered || now.is_amid_request;
        let is_at_work = is_at_work || now.written > before.written + SIGNS_OF_LIFE;
        let (most, why) = if is_at_work { (STALL, Tired::Stalled) } else { (REST, Tired::Rested) };
        (self.looks >= most).then_some(why)
    }
}

/// A connection whose bytes are counted.
///
/// Where it is closed while the other end still sends, what comes is discarded for a moment: closing at once would take
/// back the answer that the other end has not read yet (RFC 9112, section 9.6).
#[derive(Debug)]
pub(super) struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    /// What was read and is to be read again.
    unread: Bytes,
    closing: Closing,
}

/// How far the closing of a connection has come.
#[derive(Debug, Default)]
enum Closing {
    /// It is open.
    #[default]
    Open,
    /// We have said that we say no more.
    Said,
    /// The other end still sent, and is listened to until then.
    Lingering(Pin<Box<Sleep>>),
}

/// For how long the other end is listened to after an answer that ends the connection.
const LINGER: Duration = Duration::from_secs(1);

impl<S> Paced<S> {
    /// Counts what comes and goes on `stream`.
    pub(super) fn new(stream: S, pace: Arc<Pace>) -> Self {
        Self { stream, pace, unread: Bytes::new(), closing: Closing::Open }
    }

    /// The same, of which `unread` is read again before what else comes. It was counted when it came.
    pub(super) fn with_unread(self, unread: &[u8]) -> Self {
        Self { unread: Bytes::copy_from_slice(unread), ..self }
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            add(&self.pace.written, bytes as u64);
        }
        self.pace.waits.store(written.is_pending(), Ordering::Relaxed);
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        add(&self.pace.read, (buffer.filled().len() - before) as u64);
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.pace.waits.store(flushed.is_pending(), Ordering::Relaxed);
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if matches!(self.closing, Closing::Open) {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.closing = Closing::Said;
        }
        let mut discarded = [0; 4096];
        loop {
            if let Closing::Lingering(until) = &mut self.closing
                && until.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = ReadBuf::new(&mut discarded);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    if matches!(self.closing, Closing::Said) {
                        self.closing = Closing::Lingering(Box::pin(sleep(LINGER)));
                    }
                }
                Poll::Pending if matches!(self.closing, Closing::Lingering(_)) => return Poll::Pending,
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many looks a connection is let go, and why, that changes by `step` each time; none if it stays for long.
    fn ends(start: Counts, step: impl Fn(Counts) -> Counts) -> Option<(u32, Tired)> {
        let (mut before, mut patience) = (start, Patience::default());
        (1..1000).find_map(|look| {
            let now = step(before);
            let why = patience.ends(before, now);
            before = now;
            Some((look, why?))
        })
    }

    /// A connection on which one request was answered.
    const RESTING: Counts = Counts { written: 0, asked: 1, answered: 1, sending: 0, is_amid_request: false };

    #[test]
    fn whoever_gets_on_stays() {
        assert_eq!(ends(RESTING, |now| Counts { asked: now.asked + 1, answered: now.answered + 1, ..now }), None);
        assert_eq!(ends(RESTING, |now| Counts { written: now.written + LEAST, ..now }), None);
        let taking = Counts { sending: 1, ..RESTING };
        assert_eq!(ends(taking, |now| Counts { written: now.written + LEAST, ..now }), None);
    }

    #[test]
    fn whoever_does_not_is_let_go() {
        let stands_still = |at| ends(at, |now| now);
        assert_eq!(stands_still(RESTING), Some((REST, Tired::Rested)));
        let stalled = Some((STALL, Tired::Stalled));
        assert_eq!(stands_still(Counts::default()), stalled, "nothing was ever asked");
        assert_eq!(stands_still(Counts { is_amid_request: true, ..RESTING }), stalled);
        assert_eq!(stands_still(Counts { asked: 2, ..RESTING }), stalled);
        assert_eq!(ends(RESTING, |now| Counts { written: now.written + LEAST - 1, ..now }), stalled);
        let lying = Counts { sending: 1, ..RESTING };
        assert_eq!(ends(lying, |now| Counts { asked: now.asked + 1, answered: now.answered + 1, ..now }), stalled);
    }

    #[test]
    fn signs_of_life_are_no_work() {
        let asked_for_one = |now: Counts| Counts { written: now.written + 17, ..now };
        assert_eq!(ends(RESTING, asked_for_one), Some((REST, Tired::Rested)));
    }

    #[test]
    fn chatter_is_no_answer() {
        let pace = Pace { written: 1_000_000.into(), ..Pace::of(Protocol::Http2) };
        assert_eq!(pace.counts().written, 0, "nothing was asked");
        pace.answered(1000);
        pace.written.fetch_add(1_000_000, Ordering::Relaxed);
        assert!((1000..=1000 + 2 * BESIDES).contains(&pace.counts().written));
    }

    #[test]
    fn a_request_that_is_handed_on_came_once() {
        let pace = Pace::of(Protocol::Http1);
        pace.asked(0);
        pace.asked(0);
        pace.answered(0);
        assert_eq!((pace.counts().asked, pace.counts().answered), (1, 1));
        let pace = Pace::of(Protocol::Http2);
        pace.asked(0);
        pace.asked(0);
        assert_eq!(pace.counts().asked, 2, "by HTTP/2 they are under way at once");
    }

    #[test]
    fn a_part_of_a_request_is_told_by_its_bytes() {
        let is_amid = |protocol| Pace { read: 1.into(), ..Pace::of(protocol) }.counts().is_amid_request;
        assert!(is_amid(Protocol::Http1) && !is_amid(Protocol::Http2));
        let pace = Pace { read: 1.into(), ..Pace::of(Protocol::Http1) };
        pace.asked(0);
        assert!(!pace.counts().is_amid_request);
        pace.read.store(10, Ordering::Relaxed);
        pace.asked(3);
        assert!(pace.counts().is_amid_request, "three bytes of the next one are here");
    }
}
