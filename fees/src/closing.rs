//! When a month is closed, and where what comes later is charged.

use jiff::{SignedDuration, Timestamp};
use tieup_protocol::contract::Contract;
use tieup_protocol::period::Month;

use crate::statement::Status;

/// The instant at which `month` is closed under `contract`: when its days of grace are over.
pub fn closes(contract: &Contract, month: Month) -> Timestamp {
    let grace = SignedDuration::from_secs(contract.terms.close.grace.seconds().into());
    let end = month.next().start(&contract.effective.tz);
    end.checked_add(grace).unwrap_or(Timestamp::MAX)
}

/// What a statement for `month` that is made at `now` is: a draft as long as the month is open.
pub fn status_at(contract: &Contract, month: Month, now: Timestamp) -> Status {
    if now >= closes(contract, month) { Status::Final } else { Status::Draft }
}

/// The month that a correction of `month` belongs to when it is found at `now`: the first after it that is open.
pub fn corrected_in(contract: &Contract, month: Month, now: Timestamp) -> Month {
    let mut open = month.next();
    while status_at(contract, open, now) == Status::Final && open.next() > open {
        open = open.next();
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{contract, november};

    #[test]
    fn a_month_closes_when_its_days_of_grace_are_over() {
        // Five days after midnight in Tokyo, which is 15:00 UTC of the day before.
        let contract = contract();
        let closes = "2026-12-05T15:00:00Z".parse().unwrap();
        assert_eq!(super::closes(&contract, november()), closes);
        assert_eq!(status_at(&contract, november(), closes), Status::Final);
        let before = closes - SignedDuration::from_millis(1);
        assert_eq!(status_at(&contract, november(), before), Status::Draft);
    }

    #[test]
    fn a_correction_belongs_to_the_next_month_that_is_open() {
        let contract = contract();
        let found = |now: &str| corrected_in(&contract, november(), now.parse().unwrap()).to_string();
        // December closes on 5 January at 15:00 UTC.
        assert_eq!(found("2026-12-10T00:00:00Z"), "2026-12");
        assert_eq!(found("2027-01-05T14:59:59Z"), "2026-12");
        assert_eq!(found("2027-01-05T15:00:00Z"), "2027-01");
        assert_eq!(found("2028-06-01T00:00:00Z"), "2028-05");
        // Before it is closed there is nothing to correct, and the month after it is named all the same.
        assert_eq!(found("2026-11-10T00:00:00Z"), "2026-12");
        assert!(corrected_in(&contract, november(), Timestamp::MAX) > november());
    }
}
