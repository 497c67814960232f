//! How long to wait before a push is tried again: longer after each failure, never beyond a bound, and not at the same
//! moment for all partners.

use jiff::SignedDuration;

/// Why a push did not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing came back from the partner.
    Unreachable,
    /// The partner said no. Only a change at one of the two ends makes it say yes.
    Refused,
    /// Another command pushes to this partner.
    Busy,
    /// Something at this end failed, such as a key or the disk.
    Ours,
}

/// A random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll(pub u16);

/// How a failure is waited out.
struct Pace {
    /// The wait after the first failure.
    first: SignedDuration,
    /// The longest wait.
    longest: SignedDuration,
    /// How many failures in a row are followed by another try; none where it is tried for ever.
    most: Option<u32>,
}

/// The longest wait after any failure.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(6);

impl Failure {
    fn pace(self) -> Pace {
        let (first, longest, most) = match self {
            Self::Unreachable => (SignedDuration::from_secs(10), SignedDuration::from_mins(15), None),
            Self::Refused => (SignedDuration::from_mins(5), LONGEST, Some(8)),
            Self::Busy => (SignedDuration::from_secs(5), SignedDuration::from_mins(1), None),
            Self::Ours => (SignedDuration::from_mins(1), SignedDuration::from_hours(1), None),
        };
        Pace { first, longest, most }
    }
}

/// The wait after the failure numbered `count` in a row, from 1; none where it is not tried again.
///
/// It doubles up to the bound; of that, between a half and all, as `roll` says.
pub fn delay(failure: Failure, count: u32, roll: Roll) -> Option<SignedDuration> {
    let pace = failure.pace();
    if pace.most.is_some_and(|most| count > most) {
        return None;
    }
    let doubled = 1_i32.checked_shl(count.saturating_sub(1)).filter(|factor| *factor > 0);
    let whole = doubled.and_then(|factor| pace.first.checked_mul(factor)).map_or(pace.longest, |d| d.min(pace.longest));
    let half = whole / 2;
    let part = half.as_millis() * i128::from(roll.0) / i128::from(u16::MAX);
    Some(half + SignedDuration::from_millis(i64::try_from(part).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(failure: Failure, count: u32, roll: u16) -> Option<i64> {
        delay(failure, count, Roll(roll)).map(|delay| delay.as_secs())
    }

    #[test]
    fn row_003_21_silence_is_asked_again_soon_and_a_refusal_slowly() {
        let unreachable: Vec<_> =
            (1..=9).map(|count| seconds(Failure::Unreachable, count, u16::MAX).unwrap()).collect();
        assert_eq!(unreachable, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(seconds(Failure::Unreachable, u32::MAX, u16::MAX), Some(900), "it is asked for ever");
        let refused: Vec<_> = (1..=9).map(|count| seconds(Failure::Refused, count, u16::MAX)).collect();
        let minutes = |m: i64| Some(m * 60);
        let expected = [5, 10, 20, 40, 80, 160, 320, 360].map(minutes);
        assert_eq!(refused[..8], expected);
        assert_eq!(refused[8], None, "somebody has to change something");
        assert_eq!(seconds(Failure::Busy, 1, 0), Some(2));
    }

    proptest! {
        #[test]
        fn a_wait_is_between_half_and_all_and_bounded(count in 1_u32.., roll: u16) {
            for failure in [Failure::Unreachable, Failure::Refused, Failure::Busy, Failure::Ours] {
                let Some(wait) = delay(failure, count, Roll(roll)) else { continue };
                let all = delay(failure, count, Roll(u16::MAX)).unwrap();
                prop_assert!(wait <= all && wait >= all / 2 && wait <= LONGEST && !wait.is_zero());
            }
        }
    }
}
