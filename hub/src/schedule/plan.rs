//! What to do next for one partner. Pure: the row, the schedule, the site's state and the time come in as arguments.

use jiff::Timestamp;
use tieup_protocol::schedule::Schedule;

use super::backoff::{Failure, LONGEST};
use super::queue::{CameTo, Cause, Coming, Queued};

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Push now.
    Push(Cause),
    /// Nothing before this; nothing at all before the site or the partner changes, where nothing is named.
    Wait(Option<Coming>),
}

/// What the plan for one partner depends on, beside its row and the time.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// When main pushes to it; none where it does whenever the site changes.
    pub schedule: Option<&'a Schedule>,
    /// When it joined.
    pub joined: Timestamp,
    /// Since when the site stands as it does.
    pub changed: Timestamp,
}

/// What to do next for the partner with the row `queued`.
///
/// One that cannot be reached is left alone until its next try, whatever changes meanwhile; a refusal may end with a
/// change of the site, and so does a site with mistakes. A prescribed time that passed while no hub was running is made
/// up for once.
pub fn plan(queued: &Queued, given: Given<'_>, now: Timestamp) -> Plan {
    let next = coming(queued, given, now);
    match next {
        Some(Coming { at, cause }) if at <= now => Plan::Push(cause),
        next => Plan::Wait(next),
    }
}

fn coming(queued: &Queued, given: Given<'_>, now: Timestamp) -> Option<Coming> {
    let came_to = queued.last.as_ref().map(|last| last.came_to);
    let retry = queued.retry.map(|at| Coming { at: not_far(at, now), cause: Cause::Retry });
    if let (Some(CameTo::Failed(Failure::Unreachable | Failure::Busy)), Some(retry)) = (came_to, retry) {
        return Some(retry);
    }
    // After a clock that was set back, what lies ahead has not been covered.
    let covered = queued.covered.map(|covered| covered.min(now));
    let is_new = covered.is_none_or(|covered| covered < given.changed);
    let at_once = Coming { at: given.changed.min(now), cause: Cause::Site };
    let fresh = match given.schedule {
        Some(schedule) => {
            let next = schedule.next(covered.unwrap_or(given.joined.min(now)));
            next.map(|at| Coming { at, cause: Cause::Prescribed })
        }
        None => (is_new || has_joined_since(covered, given.joined, now)).then_some(at_once),
    };
    let mended = (came_to == Some(CameTo::Broken) && is_new).then_some(at_once);
    [retry, fresh, mended].into_iter().flatten().min_by_key(|coming| coming.at)
}

/// Whether the partner joined, for the first time or again, after what was covered. Not by a clock that was set back.
fn has_joined_since(covered: Option<Timestamp>, joined: Timestamp, now: Timestamp) -> bool {
    joined <= now && covered.is_none_or(|covered| covered < joined)
}

/// A try that lies farther ahead than any wait was planned under another clock, and is due.
fn not_far(at: Timestamp, now: Timestamp) -> Timestamp {
    if at.duration_since(now) > LONGEST { now } else { at }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;
    use tieup_protocol::schedule::WrittenSchedule;
    use tieup_protocol::yaml;

    use super::*;
    use crate::schedule::backoff::Roll;

    const UNREACHABLE: CameTo = CameTo::Failed(Failure::Unreachable);
    const REFUSED: CameTo = CameTo::Failed(Failure::Refused);

    /// Six o'clock in the morning, every day.
    fn daily() -> Schedule {
        let written: WrittenSchedule = yaml::parse("contract.yaml", "push: 0 6 * * *\n").unwrap();
        written.within(&"UTC".parse().unwrap())
    }

    /// An instant of the first of November: `06:00`.
    fn at(time: &str) -> Timestamp {
        format!("2026-11-01T{time}:00Z").parse().unwrap()
    }

    fn row(came_to: CameTo, begun: &str) -> Queued {
        Queued::default().after(came_to, String::new(), at(begun), at(begun), Roll(u16::MAX))
    }

    fn site(changed: &str) -> Given<'static> {
        Given { schedule: None, joined: at("00:00"), changed: at(changed) }
    }

    fn wait(time: &str, cause: Cause) -> Plan {
        Plan::Wait(Some(Coming { at: at(time), cause }))
    }

    #[test]
    fn without_a_schedule_a_change_of_the_site_is_pushed_once() {
        let cases = [
            (Queued::default(), "09:00", Plan::Push(Cause::Site), "nothing was ever sent"),
            (row(CameTo::Delivered, "08:00"), "09:00", Plan::Push(Cause::Site), "changed since"),
            (row(CameTo::Delivered, "09:30"), "09:00", Plan::Wait(None), "sent already"),
            (row(CameTo::Unchanged, "09:30"), "09:00", Plan::Wait(None), "the same"),
            (row(CameTo::Rejected, "09:30"), "09:00", Plan::Wait(None), "rejected, and nothing changed"),
            (row(CameTo::RolledBack, "09:30"), "09:00", Plan::Wait(None), "rolled back from, and nothing changed"),
            (row(CameTo::Broken, "09:30"), "09:00", Plan::Wait(None), "mistakes, and nothing changed"),
            (row(CameTo::Broken, "08:30"), "09:00", Plan::Push(Cause::Site), "mended"),
            (row(UNREACHABLE, "09:50"), "09:55", Plan::Push(Cause::Retry), "its next try has come"),
            (row(REFUSED, "09:58"), "09:57", wait("10:03", Cause::Retry), "refused"),
            (row(REFUSED, "09:58"), "09:59", Plan::Push(Cause::Site), "refused, and changed since"),
        ];
        for (queued, changed, expected, why) in cases {
            assert_eq!(plan(&queued, site(changed), at("10:00")), expected, "{why}");
        }
        let unreachable = (0..9).fold(Queued::default(), |row, _| {
            row.after(UNREACHABLE, String::new(), at("09:50"), at("09:50"), Roll(u16::MAX))
        });
        assert_eq!(plan(&unreachable, site("09:59"), at("10:00")), wait("10:05", Cause::Retry), "left alone till then");
        let again = Given { joined: at("09:45"), ..site("09:00") };
        assert_eq!(plan(&row(CameTo::Delivered, "09:30"), again, at("10:00")), Plan::Push(Cause::Site), "joined again");
    }

    #[test]
    fn row_003_14_with_a_schedule_nothing_is_pushed_before_its_time() {
        let schedule = daily();
        let given = |changed: &str| Given { schedule: Some(&schedule), ..site(changed) };
        let tomorrow =
            Plan::Wait(Some(Coming { at: "2026-11-02T06:00:00Z".parse().unwrap(), cause: Cause::Prescribed }));
        let cases = [
            (Queued::default(), "05:59", wait("06:00", Cause::Prescribed), "joined, and not yet its time"),
            (Queued::default(), "06:00", Plan::Push(Cause::Prescribed), "its time"),
            (row(CameTo::Delivered, "01:00"), "05:59", wait("06:00", Cause::Prescribed), "changed, and not its time"),
            (row(CameTo::Delivered, "01:00"), "08:00", Plan::Push(Cause::Prescribed), "made up for"),
            (row(CameTo::Delivered, "06:00"), "10:00", tomorrow, "once a day"),
            (row(CameTo::Rejected, "06:00"), "10:00", tomorrow, "rejected"),
            (row(UNREACHABLE, "06:00"), "06:00", Plan::Wait(Some(retry("06:00", 10))), "tried again before tomorrow"),
            (row(UNREACHABLE, "06:00"), "06:01", Plan::Push(Cause::Retry), "tried again"),
            (row(REFUSED, "06:00"), "06:04", wait("06:05", Cause::Retry), "refused: a change does not hurry it"),
        ];
        for (queued, now, expected, why) in cases {
            assert_eq!(plan(&queued, given("05:30"), at(now)), expected, "{why}");
        }
        let broken = row(CameTo::Broken, "06:00");
        assert_eq!(plan(&broken, given("05:30"), at("10:00")), tomorrow);
        assert_eq!(plan(&broken, given("09:00"), at("10:00")), Plan::Push(Cause::Site), "mended after its time");
    }

    fn retry(time: &str, seconds: i64) -> Coming {
        Coming { at: at(time) + SignedDuration::from_secs(seconds), cause: Cause::Retry }
    }

    #[test]
    fn a_clock_that_was_set_back_stops_nobody() {
        let ahead: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let failed = Queued::default().after(UNREACHABLE, String::new(), ahead, ahead, Roll(0));
        assert_eq!(plan(&failed, site("09:00"), at("10:00")), Plan::Push(Cause::Retry));
        let schedule = daily();
        let sent = Queued::default().after(CameTo::Delivered, String::new(), ahead, ahead, Roll(0));
        let given = Given { schedule: Some(&schedule), ..site("01:00") };
        assert_eq!(plan(&sent, given, at("05:00")), wait("06:00", Cause::Prescribed));
        let joined = Given { joined: ahead, ..site("09:00") };
        assert_eq!(plan(&row(CameTo::Delivered, "09:30"), joined, at("10:00")), Plan::Wait(None));
    }

    fn came_to() -> impl Strategy<Value = CameTo> {
        let word =
            ["delivered", "unchanged", "rejected", "rolled-back", "broken", "unreachable", "refused", "busy", "failed"];
        prop::sample::select(word.to_vec()).prop_map(|word| CameTo::of_word(word).unwrap())
    }

    proptest! {
        /// A day of a hub: whatever comes of each try, a push is never followed by another at the same instant, waiting
        /// leads to the push that was named, and after a day with changes nothing new is left unsent without a plan.
        #[test]
        fn a_partner_is_neither_hammered_nor_forgotten(
            tries in prop::collection::vec((came_to(), any::<u16>(), 0_i64..4_000), 1..60),
            scheduled: bool,
        ) {
            let schedule = daily();
            let mut now = at("00:00");
            let mut given = Given { schedule: scheduled.then_some(&schedule), joined: now, changed: now };
            let mut queued = Queued::default();
            for (came_to, roll, pause) in tries {
                match plan(&queued, given, now) {
                    Plan::Push(_) => {
                        queued = queued.after(came_to, String::new(), now, now, Roll(roll));
                        prop_assert!(matches!(plan(&queued, given, now), Plan::Wait(_)), "{queued:?}");
                    }
                    Plan::Wait(Some(next)) => {
                        prop_assert!(next.at > now);
                        prop_assert_eq!(plan(&queued, given, next.at), Plan::Push(next.cause));
                        now = if pause % 2 == 0 { next.at } else { now };
                    }
                    Plan::Wait(None) => prop_assert!(!scheduled && queued.covered >= Some(given.changed)),
                }
                now += SignedDuration::from_secs(pause);
                given.changed = if pause % 3 == 0 { now } else { given.changed };
            }
            if let Some(CameTo::Failed(Failure::Unreachable)) = queued.last.as_ref().map(|last| last.came_to) {
                let retry = queued.retry.unwrap();
                prop_assert!(retry.duration_since(queued.last.unwrap().at) <= SignedDuration::from_mins(15));
            }
        }
    }
}
