//! When a certificate is asked for. Pure: time and chance come in as arguments.

use jiff::{SignedDuration, Timestamp};

use crate::https::pair::About;

/// How often an authority is asked within an hour at most. Let's Encrypt refuses a host after five failures an hour.
pub(super) const AN_HOUR: usize = 4;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// The longest wait.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(12);

/// How large a part of something is meant, drawn once: so that not all who began together come together again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chance(pub(super) u16);

impl Chance {
    /// This part of `whole`.
    fn of(self, whole: SignedDuration) -> SignedDuration {
        let parts = i128::from(self.0) * i128::from(whole.as_secs()) / i128::from(u16::MAX);
        SignedDuration::from_secs(i64::try_from(parts).unwrap_or(0))
    }
}

/// The time in which an authority wants a certificate to be renewed (RFC 9773).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// When a certificate is to be renewed: within the window that its authority names, or else when two thirds of its life
/// are over and up to a thirtieth of it later. Never so late that it would have expired.
pub(super) fn renewal(about: &About, window: Option<Window>, chance: Chance) -> Timestamp {
    let life = about.expires.duration_since(about.begins);
    let third = SignedDuration::from_secs(life.as_secs() / 3);
    let latest = about.expires - SignedDuration::from_secs(life.as_secs() / 10);
    let planned = match window.filter(|window| window.start < window.end) {
        Some(window) => window.start + chance.of(window.end.duration_since(window.start)),
        None => about.expires - third + chance.of(SignedDuration::from_secs(life.as_secs() / 30)),
    };
    planned.min(latest)
}

/// When an authority may be asked again, of which it was asked in vain at the times `tried`, oldest first. `failures` of
/// them were in a row since this program started: what a person mends and starts anew is tried at once, unless the
/// hour is full.
pub(super) fn next_try(tried: &[Timestamp], failures: u32, chance: Chance) -> Option<Timestamp> {
    let last = *tried.last()?;
    let wait = match failures.checked_sub(1) {
        None => SignedDuration::ZERO,
        Some(doublings) => FIRST_WAIT.saturating_mul(1 << doublings.min(6)).min(LONGEST_WAIT),
    };
    // Between the wait and a quarter more.
    let due = last + wait + chance.of(SignedDuration::from_secs(wait.as_secs() / 4));
    let full = tried.len().checked_sub(AN_HOUR).map(|at| tried[at] + HOUR);
    Some(full.map_or(due, |free| due.max(free)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: Chance = Chance(0);
    const MUCH: Chance = Chance(u16::MAX);

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn ninety_days() -> About {
        About { names: Vec::new(), begins: at("2026-01-01T00:00:00Z"), expires: at("2026-04-01T00:00:00Z") }
    }

    #[test]
    fn a_certificate_is_renewed_when_two_thirds_of_its_life_are_over() {
        assert_eq!(renewal(&ninety_days(), None, LITTLE), at("2026-03-02T00:00:00Z"));
        assert_eq!(renewal(&ninety_days(), None, MUCH), at("2026-03-05T00:00:00Z"));
        let short = About { expires: at("2026-01-07T00:00:00Z"), ..ninety_days() };
        assert_eq!(renewal(&short, None, LITTLE), at("2026-01-05T00:00:00Z"));
    }

    #[test]
    fn the_authority_names_another_time() {
        let window = |start: &str, end: &str| Some(Window { start: at(start), end: at(end) });
        let early = window("2026-01-05T00:00:00Z", "2026-01-07T00:00:00Z");
        assert_eq!(renewal(&ninety_days(), early, LITTLE), at("2026-01-05T00:00:00Z"));
        assert_eq!(renewal(&ninety_days(), early, MUCH), at("2026-01-07T00:00:00Z"));
        let late = window("2027-01-05T00:00:00Z", "2027-01-07T00:00:00Z");
        assert_eq!(renewal(&ninety_days(), late, LITTLE), at("2026-03-23T00:00:00Z"), "it would have expired");
        let turned = window("2026-01-07T00:00:00Z", "2026-01-05T00:00:00Z");
        assert_eq!(renewal(&ninety_days(), turned, LITTLE), at("2026-03-02T00:00:00Z"));
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_waits() {
        let last = at("2026-01-01T12:00:00Z");
        let wait = |failures, chance| next_try(&[last], failures, chance).unwrap().duration_since(last).as_mins();
        assert_eq!([0, 1, 2, 3, 7, u32::MAX].map(|failures| wait(failures, LITTLE)), [0, 15, 30, 60, 720, 720]);
        assert_eq!(wait(3, MUCH), 75);
        assert_eq!(next_try(&[], 0, LITTLE), None);
    }

    #[test]
    fn no_hour_has_more_than_four_tries_however_often_the_program_is_started() {
        let tried: Vec<Timestamp> =
            [0, 1, 2, 3].map(|minute| at("2026-01-01T12:00:00Z") + SignedDuration::from_mins(minute)).into();
        assert_eq!(next_try(&tried[..3], 0, LITTLE), Some(tried[2]));
        assert_eq!(next_try(&tried, 0, LITTLE), Some(at("2026-01-01T13:00:00Z")));
        assert_eq!(next_try(&tried, 9, LITTLE), Some(at("2026-01-02T00:03:00Z")));
    }
}
