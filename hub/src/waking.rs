//! Waking when a page goes live or expires by itself. What is done then is decided by the caller.

use std::future;
use std::time::Duration;

use jiff::Timestamp;

/// The longest sleep. A machine that was suspended, or whose clock was set, is not behind for longer than this.
const LONGEST: Duration = Duration::from_mins(1);

/// Returns once `clock` has reached `change`; never where no change is to come.
pub async fn reached(change: Option<Timestamp>, clock: impl Fn() -> Timestamp) {
    let Some(change) = change else { return future::pending().await };
    while let Some(nap) = nap(change, clock()) {
        tokio::time::sleep(nap).await;
    }
}

/// How long to sleep before the clock is asked again; none once it has reached `change`.
fn nap(change: Timestamp, now: Timestamp) -> Option<Duration> {
    let left = Duration::try_from(change.duration_since(now)).ok().filter(|left| !left.is_zero())?;
    Some(left.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_at_the_change_and_is_never_long() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let change = at("2026-11-01T00:00:00Z");
        assert_eq!(nap(change, at("2026-10-31T23:59:58.5Z")), Some(Duration::from_millis(1500)));
        assert_eq!(nap(change, at("2026-10-01T00:00:00Z")), Some(LONGEST), "the clock is looked at on the way");
        assert_eq!(nap(change, change), None, "at its instant the change has come");
        assert_eq!(nap(change, at("2027-01-01T00:00:00Z")), None, "a clock that leapt over it has reached it");
    }
}
