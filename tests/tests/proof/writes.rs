//! Writes of the daemon that fail, one after another: while a release arrives, is approved, goes live or is rolled back,
//! while originals are merged, and while what nothing needs any more is swept.
//!
//! Each step is done again and again, each time with the next write failing, until none is left to fail. How it fails
//! takes turns; `TIEUP_WRITES=1 cargo test -p tieup-tests --test proof writes -- --nocapture` lets each write fail in every
//! way.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use tieup_protocol::approval::DecidedBy;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_store::audit::AuditTrail;
use tieup_store::failing::{FailingWrites, How};
use tieup_syncd::control::{Answer, Command};
use tieup_tests::marked::{self, Seen};
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, child, told};

use crate::setting;

/// How a write can fail.
const WAYS: [How; 4] = [How::FullFromThenOn, How::NotDone, How::DoneYetFailed, How::FullForAMoment];

/// More writes than any step takes.
const MOST: usize = 500;

/// What is done while a write fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A release arrives, and waits or goes live as its contract says.
    Pushing,
    /// The operator approves the release that waits.
    Approving,
    /// The operator puts the release that waits aside.
    Holding,
    /// The operator says no to it.
    Rejecting,
    /// Main says that what is live is still the newest.
    Freshening,
    /// The operator goes back to the release before.
    RollingBack,
    /// The partner's own page is merged anew.
    Merging,
    /// What older releases leave behind is swept.
    Sweeping,
}

/// A partner, and what it was given last.
struct Shop {
    world: World,
    mark: u64,
    note: u64,
}

/// What became of one step.
struct Outcome {
    /// What whoever asked for it was told.
    told: Result<(), String>,
    /// Which writes failed.
    failed: Vec<PathBuf>,
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_the_operator_decides_or_space_is_given_back_the_site_is_whole_and_all_can_be_finished()
 {
    let mut shop = Shop::open(Contract::inherited()).await;
    for step in [Step::Approving, Step::RollingBack, Step::Merging, Step::Sweeping] {
        shop.fail_each_write_of(step).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_nothing_is_to_go_live_the_site_stays_and_all_can_be_finished() {
    let mut shop = Shop::open(Contract::inherited()).await;
    for step in [Step::Holding, Step::Rejecting, Step::Freshening] {
        shop.fail_each_write_of(step).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_a_release_goes_live_by_a_rule_the_site_is_whole_and_all_can_be_finished() {
    let mut shop = Shop::open(Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#)).await;
    shop.fail_each_write_of(Step::Pushing).await;
}

impl Shop {
    /// Two releases have been live.
    async fn open(contract: Contract) -> Self {
        let mut shop = Self { world: marked::start(contract).await, mark: 0, note: 1 };
        shop.publish_next().await;
        shop.publish_next().await;
        shop
    }

    /// Does `step` with each of its writes failing.
    async fn fail_each_write_of(&mut self, step: Step) {
        let every_way = setting("TIEUP_WRITES").is_some();
        let (mut failures, mut done_all_the_same) = (0, BTreeMap::new());
        for at in 0..MOST {
            let ways = if every_way { &WAYS[..] } else { &WAYS[at % WAYS.len()..=at % WAYS.len()] };
            let mut reached = false;
            for how in ways {
                let outcome = self.survive(step, at, *how).await;
                reached |= !outcome.failed.is_empty();
                failures += usize::from(!outcome.failed.is_empty());
                if let Some(first) = outcome.failed.first().filter(|_| outcome.told.is_ok()) {
                    *done_all_the_same.entry(self.named(first)).or_insert(0_u64) += 1;
                }
            }
            if !reached {
                assert!(at > 0, "{step:?} writes nothing");
                println!("{step:?}: {at} writes, {failures} failures; done all the same: {done_all_the_same:?}");
                return;
            }
        }
        panic!("{step:?} has no end of writes");
    }

    /// The step with the write number `at` failing: what is served is wholly of before or after, at once and after a
    /// restart; whoever asked is told which file it was, or it is done; and the next release arrives and goes live.
    async fn survive(&mut self, step: Step, at: usize, how: How) -> Outcome {
        let before = self.prepare(step).await;
        let state = self.world.state("north");
        let laid = FailingWrites::lay(&state, &state.join("journal"), at, how);
        let told = self.take(step).await;
        let failed = laid.failed();
        let context = format!("{step:?}, write {at} of {failed:?} {how:?}, told {told:?}");
        let seen = self.assert_whole(step, before, &context);
        if told.is_ok() {
            self.assert_done(step, before, seen, &context);
        }
        if let Err(told) = &told {
            let is_named = failed.iter().any(|path| told.contains(&path.display().to_string()));
            assert!(is_named, "{context}: the file is not named");
        }
        drop(laid);
        self.world.restart("north").await;
        let again = self.assert_whole(step, before, &format!("{context}: after a restart"));
        assert_eq!(again.mark, seen.mark, "{context}: another release is served after a restart");
        self.finish(step, &context).await;
        Outcome { told, failed }
    }

    /// What stands in the way of the step is done; what is served then.
    async fn prepare(&mut self, step: Step) -> Seen {
        match step {
            Step::Pushing | Step::Approving | Step::Holding | Step::Rejecting => {
                self.mark += 1;
                marked::write_release(&self.world, self.mark);
            }
            Step::Merging => self.note += 1,
            Step::RollingBack | Step::Sweeping | Step::Freshening => {}
        }
        if matches!(step, Step::Approving | Step::Holding | Step::Rejecting) {
            self.world.publish("north").await;
        }
        self.seen("before")
    }

    /// Does the step.
    async fn take(&self, step: Step) -> Result<(), String> {
        let daemon = self.world.daemon("north");
        match step {
            Step::Pushing => self.world.try_publish("north").await.map(drop).map_err(|error| told(&error)),
            Step::Approving => {
                let (version, manifest) = self.open_release();
                self.ask(&Command::Approve { version, manifest })
            }
            Step::Holding => {
                let (version, manifest) = self.open_release();
                self.ask(&Command::Hold { version, manifest, reason: None })
            }
            Step::Rejecting => {
                let (version, manifest) = self.open_release();
                self.ask(&Command::Reject { version, manifest, reason: "too dear".to_owned() })
            }
            Step::Freshening => {
                let row = self.world.hub().partner(&site_id("north")).await.unwrap();
                self.world.hub().refresh(&row, Timestamp::now()).await.map(drop).map_err(|error| told(&error))
            }
            Step::RollingBack => self.ask(&Command::RollBack { version: None }),
            Step::Merging => {
                marked::write_original(&self.world.partner("north").config.site, self.note);
                daemon.publisher().refresh_originals().map(drop).map_err(|error| told(&error))
            }
            Step::Sweeping => {
                let intake = daemon.intake().await;
                let swept = daemon.guard().sweep(daemon, &intake, Timestamp::MAX);
                swept.map(drop).map_err(|error| told(&error))
            }
        }
    }

    /// The release that is open, and its manifest.
    fn open_release(&self) -> (ReleaseVersion, Digest) {
        let open = self.world.daemon("north").publisher().waiting().unwrap();
        (open.version, open.manifest)
    }

    /// Gives the daemon a command as its operator does.
    fn ask(&self, command: &Command) -> Result<(), String> {
        let socket = self.world.partner("north").config.control_socket();
        match tokio::task::block_in_place(|| child::ask(&socket, command)) {
            Ok(Answer::Refused { causes }) => Err(causes.join("\n")),
            Ok(_) => Ok(()),
            Err(error) => panic!("{command:?} was not answered: {error}"),
        }
    }

    /// What is served is wholly of before or after the step, and the audit trail continues itself.
    fn assert_whole(&self, step: Step, before: Seen, context: &str) -> Seen {
        let seen = self.seen(context);
        let is_allowed = match step {
            Step::Pushing | Step::Approving => [before.mark, self.mark].contains(&seen.mark),
            Step::RollingBack => seen.mark <= before.mark,
            Step::Merging | Step::Sweeping | Step::Holding | Step::Rejecting | Step::Freshening => {
                seen.mark == before.mark
            }
        };
        assert!(is_allowed, "{context}: {seen:?} after {before:?}");
        assert!([before.note, self.note].contains(&seen.note), "{context}: {seen:?} after {before:?}");
        let trail = AuditTrail::at(self.world.state("north").join(tieup_syncd::publisher::AUDIT)).entries();
        trail.unwrap_or_else(|error| panic!("{context}: the audit trail: {}", told(&error)));
        seen
    }

    /// A step that was told as done is done.
    fn assert_done(&self, step: Step, before: Seen, seen: Seen, context: &str) {
        let stands = |word: &str| self.world.releases("north")[0].state.word() == word;
        let is_done = match step {
            Step::Pushing => seen.mark == self.mark || stands("staged"),
            Step::Approving => seen.mark == self.mark,
            Step::RollingBack => seen.mark < before.mark,
            Step::Merging => seen.note == self.note,
            Step::Holding => stands("held"),
            Step::Rejecting => stands("rejected"),
            Step::Sweeping | Step::Freshening => true,
        };
        assert!(is_done, "{context}: told as done, and {seen:?}");
    }

    /// Publishes what the main site is now, or a next release after a step that was none of main's, and makes it live.
    async fn finish(&mut self, step: Step, context: &str) {
        if let Err(error) = self.world.try_publish("north").await {
            panic!("{context}: the push that followed: {}", told(&error));
        }
        self.approve_open();
        if !matches!(step, Step::Pushing | Step::Approving) {
            self.publish_next().await;
        }
        self.world.daemon("north").publisher().refresh_originals().unwrap();
        assert_eq!(self.seen(context), Seen { mark: self.mark, note: self.note }, "{context}: after all was finished");
    }

    async fn publish_next(&mut self) {
        self.mark += 1;
        marked::write_release(&self.world, self.mark);
        self.world.publish("north").await;
        self.approve_open();
    }

    /// Approves the release that is open, if there is one.
    fn approve_open(&self) {
        let mut publisher = self.world.daemon("north").publisher();
        if let Ok(open) = publisher.waiting() {
            let live = publisher.approve(open.version, open.manifest, DecidedBy::Operator, Timestamp::now());
            live.unwrap_or_else(|error| panic!("release {} is not approved: {}", open.version, told(&error)));
        }
    }

    fn seen(&self, context: &str) -> Seen {
        let public = self.world.partner("north").public;
        let seen = tokio::task::block_in_place(|| marked::look(public));
        seen.unwrap_or_else(|error| panic!("{context}: {error}"))
    }

    /// A file below the state folder, without the number of this run in its name.
    fn named(&self, path: &std::path::Path) -> String {
        let below = path.strip_prefix(self.world.state("north")).unwrap_or(path).display().to_string();
        below.split(".tmp-").next().unwrap_or_default().to_owned()
    }
}
