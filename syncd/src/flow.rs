//! How fast what main sends has to come: whoever falls silent, or sends a byte now and then, is cut off, so that the
//! next one is not held up.
//!
//! A release is taken in by one at a time. The first part of a body has to be here before its turn comes, and in its turn
//! what was announced has to keep a pace.
//!
//! What counts is the time for which the daemon waits, not that which it takes itself.

use std::io;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use futures_util::{Stream, TryStreamExt as _, stream};
use serde::Deserialize;
use tokio::time::Instant;

/// How slowly main may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// For how many seconds it may send nothing.
    pub silence_seconds: NonZeroU32,
    /// For how many seconds it may be waited for ...
    pub wait_seconds: NonZeroU32,
    /// ... before so many KiB have come; then both begin anew.
    pub least_kib: NonZeroU32,
    /// How many KiB have to come in a second on average of a release that others may have to wait for.
    pub pace_kib: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self { silence_seconds: number(30), wait_seconds: number(60), least_kib: number(16), pace_kib: number(4) }
    }
}

/// Why no more of a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Cut {
    #[error("main fell silent for {0} s")]
    Silent(NonZeroU32),
    #[error("main sent less than {least_kib} KiB in {wait_seconds} s", least_kib = .0.least_kib, wait_seconds = .0.wait_seconds)]
    TooSlow(Limits),
    #[error("main sent less than {0} KiB a second of what it had announced, and others wait")]
    KeepsWaiting(NonZeroU32),
}

/// How a body has come so far.
#[derive(Clone, Copy, Debug)]
struct Flow {
    limits: Limits,
    /// For how long it was waited for since it last was fast enough.
    waited: Duration,
    /// How many bytes have come since.
    came: u64,
}

impl Flow {
    fn new(limits: Limits) -> Self {
        Self { limits, waited: Duration::ZERO, came: 0 }
    }

    /// For how long the next piece may be waited for, and what is wrong if it does not come.
    fn patience(&self) -> (Duration, Cut) {
        let silence = Duration::from_secs(self.limits.silence_seconds.get().into());
        let left = Duration::from_secs(self.limits.wait_seconds.get().into()).saturating_sub(self.waited);
        if silence <= left {
            (silence, Cut::Silent(self.limits.silence_seconds))
        } else {
            (left, Cut::TooSlow(self.limits))
        }
    }

    /// A piece of `bytes` came, which was waited for so long.
    fn took(&mut self, waited: Duration, bytes: usize) {
        self.waited += waited;
        self.came = self.came.saturating_add(bytes as u64);
        if self.came >= u64::from(self.limits.least_kib.get()) << 10 {
            *self = Self::new(self.limits);
        }
    }
}

/// The request with a body that ends in an error where it comes too slowly.
pub(crate) fn paced(request: Request, limits: Limits) -> Request {
    request.map(|body| {
        let chunks = Box::pin(body.into_data_stream().map_err(io::Error::other));
        Body::from_stream(stream::try_unfold((chunks, Flow::new(limits)), |(mut chunks, mut flow)| async move {
            let (began, (patience, cut)) = (Instant::now(), flow.patience());
            let next: Option<Bytes> = match tokio::time::timeout(patience, chunks.try_next()).await {
                Ok(next) => next?,
                Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, cut)),
            };
            Ok(next.map(|piece| {
                flow.took(began.elapsed(), piece.len());
                (piece, (chunks, flow))
            }))
        }))
    })
}

/// A body of which the first part is here.
pub(crate) struct Begun {
    /// That part: [`AHEAD`] bytes or more, or the whole.
    pub(crate) first: Vec<u8>,
    rest: Pieces,
}

/// What comes of a body, piece by piece.
type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// How many bytes of a body have to be here before anybody waits for it: whoever sends less holds nobody up.
const AHEAD: usize = 16 << 10;

/// Waits for the first part of a body.
///
/// # Errors
/// When it breaks off.
pub(crate) async fn begin(body: Body) -> io::Result<Begun> {
    let mut rest: Pieces = Box::pin(body.into_data_stream().map_err(io::Error::other));
    let mut first = Vec::new();
    while first.len() < AHEAD {
        let Some(piece) = rest.try_next().await? else { break };
        first.extend_from_slice(&piece);
    }
    Ok(Begun { first, rest })
}

impl Begun {
    /// What comes after the first part, in the turn of a body for which `bytes` were announced in all.
    pub(crate) fn in_its_turn(
        self,
        bytes: u64,
        limits: Limits,
    ) -> (Vec<u8>, impl Stream<Item = io::Result<Bytes>> + Send) {
        let mut turn = Turn::new(bytes, limits);
        turn.took(Duration::ZERO, self.first.len());
        let rest = stream::try_unfold((self.rest, turn), |(mut rest, mut turn)| async move {
            let began = Instant::now();
            let next = match tokio::time::timeout(turn.left, rest.try_next()).await {
                Ok(next) => next?,
                Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, Cut::KeepsWaiting(turn.pace_kib))),
            };
            Ok(next.map(|piece| {
                turn.took(began.elapsed(), piece.len());
                (piece, (rest, turn))
            }))
        });
        (self.first, rest)
    }
}

/// For how long a body may still be waited for: each byte that was announced gives it the time that it takes at the
/// slowest pace.
#[derive(Clone, Copy, Debug)]
struct Turn {
    left: Duration,
    /// How many of the announced bytes are still to come.
    to_come: u64,
    pace_kib: NonZeroU32,
}

impl Turn {
    /// That of a body of which `bytes` were announced. Before any of them comes it may fall silent once.
    fn new(bytes: u64, limits: Limits) -> Self {
        let left = Duration::from_secs(limits.silence_seconds.get().into());
        Self { left, to_come: bytes, pace_kib: limits.pace_kib }
    }

    /// A piece of `bytes` came, which was waited for so long.
    fn took(&mut self, waited: Duration, bytes: usize) {
        let counted = self.to_come.min(bytes as u64);
        self.to_come -= counted;
        let micros = counted.saturating_mul(1_000_000) / (u64::from(self.pace_kib.get()) << 10);
        self.left = self.left.saturating_sub(waited) + Duration::from_micros(micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIRTY: NonZeroU32 = NonZeroU32::new(30).unwrap();
    const LIMITS: Limits = Limits {
        silence_seconds: THIRTY,
        wait_seconds: NonZeroU32::new(60).unwrap(),
        least_kib: NonZeroU32::MIN,
        pace_kib: NonZeroU32::new(4).unwrap(),
    };

    #[test]
    fn silence_and_a_trickle_have_an_end_and_a_slow_line_has_none() {
        let (second, seconds) = (Duration::from_secs(1), Duration::from_secs);
        let mut trickle = Flow::new(LIMITS);
        assert_eq!(trickle.patience(), (seconds(30), Cut::Silent(THIRTY)));
        (0..50).for_each(|_| trickle.took(second, 1));
        assert_eq!(trickle.patience(), (seconds(10), Cut::TooSlow(LIMITS)));
        (0..20).for_each(|_| trickle.took(second, 1));
        assert_eq!(trickle.patience().0, Duration::ZERO);
        let mut slow = Flow::new(LIMITS);
        (0..1000).for_each(|_| slow.took(second, 20));
        assert_eq!(slow.patience().1, Cut::Silent(THIRTY));
        let mut kept_waiting = Flow::new(LIMITS);
        (0..1000).for_each(|_| kept_waiting.took(Duration::ZERO, 1));
        assert_eq!(
            kept_waiting.patience(),
            (seconds(30), Cut::Silent(THIRTY)),
            "what the daemon takes itself is not counted"
        );
    }

    #[test]
    fn a_turn_lasts_as_long_as_what_was_announced_comes_at_the_slowest_pace() {
        let (second, seconds) = (Duration::from_secs(1), Duration::from_secs);
        let mut slow = Turn::new(40 << 10, LIMITS);
        assert_eq!(slow.left, seconds(30));
        (0..10).for_each(|_| slow.took(second, 4 << 10));
        assert_eq!(slow.left, seconds(30), "it keeps the pace");
        // What was not announced gives no more time, however fast it comes.
        (0..20).for_each(|_| slow.took(second, 1 << 20));
        assert_eq!(slow.left, seconds(10));
        let mut slower = Turn::new(u64::MAX, LIMITS);
        (0..40).for_each(|_| slower.took(second, 1 << 10));
        assert!(slower.left < second);
    }

    #[tokio::test]
    async fn the_first_part_of_a_body_is_here_before_its_turn_or_all_of_a_short_one() {
        let pieces =
            |count: usize| stream::iter((0..count).map(|_| Ok::<_, io::Error>(Bytes::from_static(&[7; 1000]))));
        for (count, first) in [(0, 0), (3, 3000), (40, 17000)] {
            let begun = begin(Body::from_stream(pieces(count))).await.unwrap();
            assert_eq!(begun.first.len(), first);
            let (first, rest) = begun.in_its_turn(1, LIMITS);
            let rest: Vec<Bytes> = Box::pin(rest).try_collect().await.unwrap();
            assert_eq!(first.len() + rest.concat().len(), count * 1000);
        }
    }

    #[test]
    fn what_is_cut_off_is_told_why() {
        let slow = "main sent less than 30 KiB a second of what it had announced, and others wait";
        assert_eq!(Cut::KeepsWaiting(THIRTY).to_string(), slow);
        assert_eq!(Cut::Silent(THIRTY).to_string(), "main fell silent for 30 s");
        assert_eq!(Cut::TooSlow(LIMITS).to_string(), "main sent less than 1 KiB in 60 s");
    }
}
