//! When an answer that the other side has not got is told again.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::digest::Digest;

/// How often it is looked for answers that are due.
pub const TELLING: Duration = Duration::from_mins(20);

/// The longest that one waits.
const LONGEST: Duration = Duration::from_hours(24);

/// The answers that the other side did not take, by the digest of what they answer: each is told again ever more seldom,
/// once a day at least, whatever becomes of the others. It is forgotten with the program.
#[derive(Debug, Default)]
pub struct Untaken(BTreeMap<Digest, (u32, Timestamp)>);

impl Untaken {
    /// Whether the answer to `of` is told at `now`.
    pub fn is_due(&self, of: Digest, now: Timestamp) -> bool {
        self.0.get(&of).is_none_or(|(_, due)| *due <= now)
    }

    /// Counts that the answer to `of` is told at `now`; it counts as not taken until it is.
    pub fn told(&mut self, of: Digest, now: Timestamp) {
        let times = self.0.get(&of).map_or(0, |(times, _)| times.saturating_add(1));
        let after = TELLING.saturating_mul(1 << times.min(16)).min(LONGEST);
        self.0.insert(of, (times, now.saturating_add(after).unwrap_or(Timestamp::MAX)));
    }

    /// The other side has the answer to `of`, or knows nothing of that any more.
    pub fn taken(&mut self, of: Digest) {
        self.0.remove(&of);
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    #[test]
    fn an_answer_is_told_again_ever_more_seldom_and_once_a_day_at_least_whatever_becomes_of_others() {
        let (of, other, mut untaken) = (Digest::of(b"1"), Digest::of(b"2"), Untaken::default());
        let mut now = Timestamp::UNIX_EPOCH;
        for minutes in [20, 40, 80, 160, 320, 640, 1280, 1440, 1440] {
            assert!(untaken.is_due(of, now) && untaken.is_due(other, now));
            untaken.told(of, now);
            assert!(!untaken.is_due(of, now + (minutes * 60 - 1).seconds()) && untaken.is_due(other, now));
            now += minutes.minutes();
        }
        untaken.told(of, now);
        untaken.taken(of);
        assert!(untaken.is_due(of, now));
    }
}
