use jiff::ToSpan as _;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn staged() -> ReleaseRecord {
    ReleaseRecord::staged(ReleaseVersion::FIRST, Digest::of(b"manifest"), String::new(), NOW)
}

fn later(seconds: i64) -> Timestamp {
    NOW + seconds.seconds()
}

fn live() -> ReleaseRecord {
    staged().approve(staged().manifest, DecidedBy::Rule, NOW, NOW).unwrap().go_live(NOW).unwrap()
}

#[test]
fn row_003_20_21_a_staged_release_is_approved_or_rejected_once() {
    let record = staged();
    let live = live();
    assert_eq!(live.state, ReleaseState::Live);
    assert_eq!(
        live.approve(live.manifest, DecidedBy::Operator, NOW, NOW),
        Err(IllegalStep::NotStaged(live.version, "live"))
    );
    let rejected = record.reject(record.manifest, "typo".to_owned(), NOW).unwrap();
    assert_eq!(rejected.restore(DecidedBy::Operator, NOW), Err(IllegalStep::NeverLive(record.version, "rejected")));
}

#[test]
fn approval_names_what_was_read() {
    let other = Digest::of(b"another");
    let expected = Err(IllegalStep::OtherManifest(ReleaseVersion::FIRST));
    assert_eq!(staged().approve(other, DecidedBy::Operator, NOW, NOW), expected);
    assert_eq!(staged().hold(other, None, NOW), expected);
    let held = staged().hold(staged().manifest, None, NOW).unwrap();
    assert_eq!(held.release(other, NOW), expected);
}

#[test]
fn only_what_was_live_can_be_rolled_back_to() {
    let live = live();
    assert_eq!(live.retire(NOW).unwrap().restore(DecidedBy::Operator, NOW).unwrap().state, ReleaseState::Live);
    assert!(live.restore(DecidedBy::Operator, NOW).is_err());
    assert!(staged().restore(DecidedBy::Operator, NOW).is_err());
    assert!(staged().retire(NOW).is_err());
}

#[test]
fn an_approved_release_goes_live_at_its_time_and_not_before() {
    let record = staged().approve(staged().manifest, DecidedBy::Operator, later(10), NOW).unwrap();
    assert_eq!(record.go_live(later(9)), Err(IllegalStep::TooEarly(record.version, later(10))));
    assert_eq!(record.go_live(later(10)).unwrap().by, Some(DecidedBy::Operator));
    let withdrawn = record.withdraw("rolled back".to_owned(), later(1)).unwrap();
    assert_eq!(withdrawn.go_live(later(10)), Err(IllegalStep::NotApproved(record.version, "staged")));
}

#[test]
fn what_is_held_waits_for_its_operator_alone() {
    let held = staged().hold(staged().manifest, Some("not on a Friday".to_owned()), NOW).unwrap();
    for by in [DecidedBy::Rule, DecidedBy::Emergency] {
        assert_eq!(held.approve(held.manifest, by, NOW, NOW), Err(IllegalStep::Held(held.version)));
    }
    assert!(held.approve(held.manifest, DecidedBy::Operator, NOW, NOW).is_ok());
    let released = held.release(held.manifest, NOW).unwrap();
    assert_eq!((released.state.clone(), released.held), (ReleaseState::Staged, None));
    assert_eq!(released.release(held.manifest, NOW), Err(IllegalStep::NotHeld(held.version, "staged")));
}

#[test]
fn a_record_without_the_newer_fields_is_read() {
    let text = format!(
        r#"{{"version": 1, "manifest": "{}", "state": {{"state": "staged"}}, "since": "1970-01-01T00:00:00Z",
            "by": null, "sentence": ""}}"#,
        Digest::of(b"manifest")
    );
    assert_eq!(serde_json::from_str::<ReleaseRecord>(&text).unwrap(), staged());
}

/// What somebody does to one of the releases.
#[derive(Clone, Debug)]
enum Step {
    StageAnew,
    Approve(DecidedBy, Right, i64),
    GoLive,
    Withdraw,
    Hold(Right),
    Release(Right),
    Reject(Right),
    Supersede,
    Retire,
    Restore,
    TimePasses(i64),
}

/// Whether a decision names the manifest that is staged.
#[derive(Clone, Copy, Debug)]
enum Right {
    Right,
    Wrong,
}

fn step() -> impl Strategy<Value = Step> {
    let right = || prop_oneof![4 => Just(Right::Right), 1 => Just(Right::Wrong)];
    let by = prop_oneof![Just(DecidedBy::Operator), Just(DecidedBy::Rule), Just(DecidedBy::Emergency)];
    prop_oneof![
        Just(Step::StageAnew),
        (by, right(), -5_i64..20).prop_map(|(by, right, at)| Step::Approve(by, right, at)),
        Just(Step::GoLive),
        Just(Step::Withdraw),
        right().prop_map(Step::Hold),
        right().prop_map(Step::Release),
        right().prop_map(Step::Reject),
        Just(Step::Supersede),
        Just(Step::Retire),
        Just(Step::Restore),
        (0_i64..10).prop_map(Step::TimePasses),
    ]
}

/// A release, and what has truly happened to it, kept apart from its record.
struct History {
    record: ReleaseRecord,
    anew: u8,
    now: i64,
    /// The manifest that the last approval named, and from when it holds.
    approved: Option<(Digest, i64)>,
    held: bool,
    was_live: bool,
    rejected: bool,
}

impl History {
    fn take(&mut self, step: &Step) -> Result<(), IllegalStep> {
        let now = later(self.now);
        let named = |right: Right| match right {
            Right::Right => self.record.manifest,
            Right::Wrong => Digest::of(b"not read"),
        };
        let next = match step {
            Step::TimePasses(seconds) => {
                self.now += seconds;
                return Ok(());
            }
            Step::StageAnew if self.record.state != ReleaseState::Staged => return Ok(()),
            Step::StageAnew => {
                let manifest = Digest::of(&[self.anew]);
                ReleaseRecord::staged(self.record.version, manifest, String::new(), now)
            }
            Step::Approve(by, right, after) => self.record.approve(named(*right), *by, later(self.now + after), now)?,
            Step::GoLive => self.record.go_live(now)?,
            Step::Withdraw => self.record.withdraw(String::new(), now)?,
            Step::Hold(right) => self.record.hold(named(*right), None, now)?,
            Step::Release(right) => self.record.release(named(*right), now)?,
            Step::Reject(right) => self.record.reject(named(*right), String::new(), now)?,
            Step::Supersede => self.record.supersede(now)?,
            Step::Retire => self.record.retire(now)?,
            Step::Restore => self.record.restore(DecidedBy::Operator, now)?,
        };
        self.note(step);
        self.record = next;
        Ok(())
    }

    /// Notes what happened, from the step alone.
    fn note(&mut self, step: &Step) {
        match step {
            Step::StageAnew => (self.anew, self.approved) = (self.anew.wrapping_add(1), None),
            Step::Approve(by, Right::Right, after) => {
                self.held &= *by != DecidedBy::Operator;
                self.approved = Some((self.record.manifest, self.now + after));
            }
            Step::Approve(_, Right::Wrong, _) => self.approved = Some((Digest::of(b"not read"), 0)),
            Step::Withdraw => self.approved = None,
            Step::Hold(_) => (self.held, self.approved) = (true, None),
            Step::Release(_) => self.held = false,
            Step::Reject(_) => self.rejected = true,
            Step::GoLive => self.was_live = true,
            _ => {}
        }
    }

    fn check(&self) {
        if self.record.state == ReleaseState::Live {
            assert!(self.approved.is_some_and(|(named, _)| named == self.record.manifest), "live without an approval");
            assert!(self.approved.is_some_and(|(_, at)| at <= self.now), "live before its time");
            assert!(!self.held, "live though held");
            assert!(!self.rejected, "live though rejected");
        }
        if matches!(self.record.state, ReleaseState::Live | ReleaseState::Retired) {
            assert!(self.was_live, "public without having gone live");
        }
        assert_eq!(matches!(self.record.state, ReleaseState::Held { .. }), self.held && self.record.state.is_open());
        assert!(self.record.waits_for.is_none() || self.record.state == ReleaseState::Staged, "decided, yet waiting");
    }
}

proptest! {
    #[test]
    fn nothing_is_live_that_was_not_approved_as_it_is(steps in prop::collection::vec(step(), 0..60)) {
        let mut history = History {
            record: staged(), anew: 0, now: 0, approved: None, held: false, was_live: false, rejected: false,
        };
        for step in &steps {
            // A refused step changes nothing: the record is only replaced where there is a new one.
            let _ = history.take(step);
            history.check();
        }
    }
}
