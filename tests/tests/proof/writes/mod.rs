//! Writes of the daemon that fail, one after another, in whatever it does: with a release that arrives, is decided on, goes
//! live or is rolled back; with the partner's own pages and emergencies; with damage, certificates, statements and space.
//! How it joins and starts is in `beginnings`; what it keeps of main's log and of disputes in `ledgers`, of main's record in
//! `records`; what the main site writes while it publishes in `main_site`; that no place which writes is left out is seen to
//! in `places`.
//!
//! Each step is done again and again, each time with the next write failing, until none is left to fail. How it fails
//! takes turns; `TIEUP_WRITES=1 cargo test -p tieup-tests --test proof writes -- --nocapture` lets each write fail in every
//! way.

mod beginnings;
mod failures;
mod ledgers;
mod main_site;
mod places;
mod records;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use tieup_protocol::approval::DecidedBy;
use tieup_store::audit::AuditTrail;
use tieup_store::durable;
use tieup_store::failing::{FailingWrites, How};
use tieup_tests::marked::{self, Seen};
use tieup_tests::{Contract, World, told};
use tieup_web::certificate::Serial;

use self::places::assert_kinds;
use self::step::Step;
use crate::setting;

/// How a write can fail.
const WAYS: [How; 4] = [How::FullFromThenOn, How::NotDone, How::DoneYetFailed, How::FullForAMoment];

/// More writes than any step takes.
const MOST: usize = 500;

/// What is said where no file is named.
const BRIEFLY: [&str; 3] = ["its log says why", "the partner's disk is full", "still lacking"];

/// A partner, and what it was given last.
struct Shop {
    world: World,
    mark: u64,
    note: u64,
    /// The number of the certificate that was shown before it was renewed.
    serial: Option<Serial>,
}

/// What became of one step.
struct Outcome {
    /// What whoever asked for it was told.
    told: Result<(), String>,
    /// Which writes failed.
    failed: Vec<(durable::Step, PathBuf)>,
}

/// The contract of every shop here, under these terms of approval.
fn contract(approval: &str) -> Contract {
    Contract::inherited().rights("{override: emergency}").approval(approval)
}

/// Does each of `steps` with each of its writes failing, at a partner that asks about every release.
async fn fail_each_write_of(steps: &[Step]) {
    let mut shop = Shop::open(contract("{policy: ask}")).await;
    for step in steps {
        shop.fail_each_write_of(*step).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_the_operator_decides_or_space_is_given_back_the_site_is_whole_and_all_can_be_finished()
 {
    fail_each_write_of(&[Step::Approving, Step::RollingBack, Step::Merging, Step::Sweeping]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_nothing_is_to_go_live_the_site_stays_and_all_can_be_finished() {
    let steps = [Step::Scheduling, Step::Holding, Step::Releasing, Step::Rejecting, Step::Freshening, Step::Stating];
    fail_each_write_of(&steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_a_release_goes_live_by_a_rule_the_site_is_whole_and_all_can_be_finished() {
    let mut shop = Shop::open(contract(r#"{policy: ask, auto: [{paths: "/**", only: any}]}"#)).await;
    shop.fail_each_write_of(Step::Pushing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_in_an_emergency_it_is_declared_or_not_and_can_be_ended() {
    fail_each_write_of(&[Step::BeginningEmergency, Step::EndingEmergency]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_originals_are_approved_they_are_public_or_wait() {
    let mut shop = Shop::open(contract("{policy: ask}")).await;
    shop.world.reconfigure("north", "originals: ask\n").await;
    shop.fail_each_write_of(Step::ApprovingOriginals).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_damage_is_mended_or_certificates_change_nothing_is_lost() {
    fail_each_write_of(&[Step::Mending, Step::Restoring, Step::Renewing, Step::Revoking]).await;
}

fn keys(document: &serde_json::Value) -> BTreeSet<String> {
    document.as_object().into_iter().flat_map(serde_json::Map::keys).cloned().collect()
}

impl Shop {
    /// Two releases have been live.
    async fn open(contract: Contract) -> Self {
        let world = marked::start(contract).await;
        let beside = |words: &str| format!("---\ntitle: Beside\n---\n{words}\n");
        world.write_main("content/beside.md", &beside("Main's."));
        let originals = world.partner("north").config.site.join("content");
        fs::write(originals.join("beside.md"), beside("Ours.")).unwrap();
        fs::create_dir_all(originals.join("local")).unwrap();
        fs::write(originals.join("local/aside.md"), beside("Aside.")).unwrap();
        let mut shop = Self { world, mark: 0, note: 1, serial: None };
        shop.publish_next().await;
        shop.publish_next().await;
        shop
    }

    /// Does `step` with each of its writes failing.
    async fn fail_each_write_of(&mut self, step: Step) {
        let every_way = setting("TIEUP_WRITES").is_some();
        let (mut failures, mut kinds, mut done_all_the_same) = (0, BTreeSet::new(), BTreeMap::new());
        let state = self.world.state("north");
        for at in 0..MOST {
            let ways = if every_way { &WAYS[..] } else { &WAYS[at % WAYS.len()..=at % WAYS.len()] };
            let mut reached = false;
            for how in ways {
                let outcome = self.survive(step, at, *how).await;
                reached |= !outcome.failed.is_empty();
                failures += usize::from(!outcome.failed.is_empty());
                if let Some((_, first)) = outcome.failed.first().filter(|_| outcome.told.is_ok()) {
                    *done_all_the_same.entry(self.named(first)).or_insert(0_u64) += 1;
                }
                kinds.extend(outcome.failed.iter().filter_map(|failure| places::kind(&state, failure)));
            }
            if !reached {
                assert!(at > 0, "{step:?} writes nothing");
                println!("{step:?}: {at} writes, {failures} failures; done all the same: {done_all_the_same:?}");
                return assert_kinds(&format!("{step:?}"), &kinds, step.kinds());
            }
        }
        panic!("{step:?} has no end of writes");
    }

    /// The step with the write number `at` failing: what is served is wholly of before or after, at once and after a
    /// restart; whoever asked is told which file it was, or it is done; and the next release arrives and goes live.
    async fn survive(&mut self, step: Step, at: usize, how: How) -> Outcome {
        let before = self.prepare(step).await;
        let withdrawn = self.withdrawn();
        let state = self.world.state("north");
        let laid = FailingWrites::lay(&state, &state.join("journal"), at, how);
        let told = self.take(step).await;
        let failed = laid.failures();
        let context = format!("{step:?}, write {at} of {failed:?} {how:?}, told {told:?}");
        let seen = self.assert_whole(step, before, &context);
        if told.is_ok() {
            self.assert_done(step, before, seen, &context);
        }
        if let Err(told) = &told {
            let is_named = failed.iter().any(|(_, path)| failures::names(told, path));
            let is_said = step.is_told_briefly() && BRIEFLY.iter().any(|words| told.contains(words));
            assert!(is_named || is_said, "{context}: the file is not named");
        }
        drop(laid);
        self.world.restart("north").await;
        let after = format!("{context}: after a restart");
        let again = self.assert_whole(step, before, &after);
        assert_eq!(again.mark, seen.mark, "{after}: another release is served");
        if told.is_ok() {
            self.assert_done(step, before, again, &after);
        }
        self.assert_none_forgotten(&withdrawn, &after);
        self.end(step, &context).await;
        self.finish(step, &context).await;
        self.assert_none_forgotten(&withdrawn, &format!("{context}: after all was finished"));
        Outcome { told, failed }
    }

    /// What is served is wholly of before or after the step, and the audit trail continues itself.
    fn assert_whole(&self, step: Step, before: Seen, context: &str) -> Seen {
        let seen = self.seen(context);
        let is_allowed = step.allows(seen, before, self.mark);
        assert!(is_allowed, "{context}: {seen:?} after {before:?}");
        assert!([before.note, self.note].contains(&seen.note), "{context}: {seen:?} after {before:?}");
        let trail = AuditTrail::at(self.world.state("north").join(tieup_syncd::publisher::AUDIT)).entries();
        trail.unwrap_or_else(|error| panic!("{context}: the audit trail: {}", told(&error)));
        seen
    }

    /// Every path that was withdrawn `before` is so still, or stands again; and what is kept of them is what is live says.
    fn assert_none_forgotten(&self, before: &BTreeSet<String>, context: &str) {
        let (withdrawn, live) = (self.withdrawn(), self.document("live.json"));
        assert_eq!(keys(&live["withdrawn"]), withdrawn, "{context}");
        let forgotten =
            before.iter().find(|path| !withdrawn.contains(*path) && live["site"]["files"].get(path).is_none());
        assert_eq!(forgotten, None, "{context}");
    }

    /// The paths that are kept as withdrawn beside the live document: each release has a page that no other one has.
    fn withdrawn(&self) -> BTreeSet<String> {
        keys(&self.document("withdrawn.json"))
    }

    fn document(&self, name: &str) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.world.state("north").join(name)).unwrap()).unwrap()
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
        self.approve_originals();
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

    /// Approves the originals that wait, if any do.
    fn approve_originals(&self) {
        let mut publisher = self.world.daemon("north").publisher();
        if let Some(waiting) = publisher.waiting_originals().cloned() {
            let public = publisher.approve_originals(waiting.digest, Timestamp::now());
            public.unwrap_or_else(|error| panic!("originals are not approved: {}", told(&error)));
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
