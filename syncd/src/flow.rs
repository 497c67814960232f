//! How fast what main sends has to come: whoever falls silent, or sends a byte now and then, is cut off, so that the
//! next one is not held up.
//!
//! What counts is the time for which the daemon waits, not that which it takes itself.

use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use futures_util::{TryStreamExt as _, stream};
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
}

impl Default for Limits {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self { silence_seconds: number(30), wait_seconds: number(60), least_kib: number(16) }
    }
}

/// Why no more of a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Cut {
    #[error("main fell silent for {0} s")]
    Silent(NonZeroU32),
    #[error("main sent less than {least_kib} KiB in {wait_seconds} s", least_kib = .0.least_kib, wait_seconds = .0.wait_seconds)]
    TooSlow(Limits),
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

#[cfg(test)]
mod tests {
    use super::*;

    const THIRTY: NonZeroU32 = NonZeroU32::new(30).unwrap();
    const LIMITS: Limits =
        Limits { silence_seconds: THIRTY, wait_seconds: NonZeroU32::new(60).unwrap(), least_kib: NonZeroU32::MIN };

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
    fn what_is_cut_off_is_told_why() {
        assert_eq!(Cut::Silent(THIRTY).to_string(), "main fell silent for 30 s");
        assert_eq!(Cut::TooSlow(LIMITS).to_string(), "main sent less than 1 KiB in 60 s");
    }
}
