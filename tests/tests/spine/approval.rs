//! Approval beyond yes and no: later, not now, by rule, in an emergency; what is shown, and what is written down.

use std::fs;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tieup_hub::audit::FetchAuditError;
use tieup_hub::publish::{Outcome, Rejected};
use tieup_protocol::approval::{DecidedBy, ReleaseRecord, ReleaseState};
use tieup_protocol::audit::{Actor, Event};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_syncd::config::OriginalsApproval;
use tieup_syncd::control::{Answer, Command, ask};
use tieup_tests::world::site_id;
use tieup_tests::{Contract, Kept, World, assert_says, told};

use crate::settled;

/// Lets words anywhere go live unasked, an hour after they came.
const SOAK: &str = r#"{policy: ask, auto: [{paths: "/**", only: text}], soak: 1h}"#;

/// A partner under a contract with these terms of approval, whose first release is live.
async fn under(approval: &str) -> World {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().approval(approval))
        .start()
        .await;
    world.go_live("north").await;
    world
}

fn in_hours(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours)
}

fn hold(world: &World, release: &ReleaseRecord) -> ReleaseRecord {
    let reason = Some("not on a Friday".to_owned());
    world.daemon("north").publisher().hold(release.version, release.manifest, reason, Timestamp::now()).unwrap()
}

/// Waits until the release is in this state.
async fn until(world: &World, state: fn(&ReleaseState) -> bool) -> ReleaseRecord {
    let mut releases = world.partner("north").daemon.watch();
    let found = releases.wait_for(|releases| releases.iter().any(|release| state(&release.state))).await.unwrap();
    found.iter().find(|release| state(&release.state)).unwrap().clone()
}

async fn command(world: &World, command: Command) -> Answer {
    let socket = world.partner("north").config.control_socket();
    tokio::task::spawn_blocking(move || ask(&socket, &command)).await.unwrap().unwrap()
}

fn events(world: &World) -> Vec<(Event, Actor, Option<u64>)> {
    let entries = world.daemon("north").publisher().audit_entries().unwrap();
    entries.iter().map(|entry| (entry.what, entry.who, entry.release.map(ReleaseVersion::get))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_20_an_approval_for_later_takes_effect_at_its_time() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    let waiting = world.publish("north").await;
    let (version, manifest) = (waiting.version, waiting.manifest);
    let at = in_hours(1);
    let Answer::Release { release } = command(&world, Command::Schedule { version, manifest, at }).await else {
        panic!("not scheduled")
    };
    assert_eq!((release.state, release.by), (ReleaseState::Approved { at }, Some(DecidedBy::Operator)));
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    assert_eq!(world.daemon("north").publisher().switch_due(at - SignedDuration::from_secs(1)).unwrap(), None);
    assert_eq!(world.try_publish("north").await.unwrap(), Outcome::Unchanged(version));
    let soon = Timestamp::now() + SignedDuration::from_millis(100);
    let blind = Command::Schedule { version, manifest: Digest::of(b"not read"), at: soon };
    assert!(matches!(command(&world, blind).await, Answer::Refused { .. }));
    command(&world, Command::Schedule { version, manifest, at: soon }).await;
    let live = until(&world, |state| *state == ReleaseState::Retired).await;
    assert_eq!(live.version.get(), 1);
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_20_a_time_that_passes_while_no_daemon_runs_is_made_up_for() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    let waiting = world.publish("north").await;
    let schedule = |at| {
        let mut publisher = world.daemon("north").publisher();
        publisher.schedule(waiting.version, waiting.manifest, DecidedBy::Operator, at, Timestamp::now()).unwrap()
    };
    schedule(in_hours(1));
    let record = |state: PathBuf| state.join("releases/2/record.json");
    world
        .restart_after("north", |state| {
            let file = record(state.to_owned());
            let mut kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            kept["state"]["at"] = "2020-01-01T00:00:00Z".into();
            fs::write(&file, kept.to_string()).unwrap();
        })
        .await;
    until(&world, |state| *state == ReleaseState::Retired).await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_21_what_is_held_stays_back_and_so_does_what_takes_it_along() {
    let mut world = under(SOAK).await;
    world.edit("/about/", "We mend everything.");
    let soaking = world.publish("north").await;
    assert!(matches!(soaking.state, ReleaseState::Approved { .. }) && soaking.by == Some(DecidedBy::Rule));
    let held = hold(&world, &soaking);
    assert_eq!(held.state, ReleaseState::Held { reason: Some("not on a Friday".to_owned()) });
    assert_eq!(world.daemon("north").publisher().switch_due(in_hours(9)).unwrap(), None);
    assert_eq!(world.try_publish("north").await.unwrap(), Outcome::Unchanged(held.version));
    world.restart("north").await;
    world.edit("/", "Lamps, old and new.");
    let later = world.publish("north").await;
    let says = "the operator held release 2, which it takes the place of";
    assert_eq!((later.state.clone(), later.waits_for.as_deref()), (ReleaseState::Staged, Some(says)));
    world.edit("/", "Lamps of every age.");
    let last = world.publish("north").await;
    assert_eq!(last.waits_for.as_deref(), Some(says), "what was held two releases before is still in this one");
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    world.approve("north");
    world.edit("/", "Lamps.");
    assert!(matches!(world.publish("north").await.state, ReleaseState::Approved { .. }), "the hold is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_release_can_be_let_go_or_approved() {
    let world = under(SOAK).await;
    world.edit("/about/", "We mend everything.");
    let held = hold(&world, &world.publish("north").await);
    decide_on_held(&world, &held);
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

fn decide_on_held(world: &World, held: &ReleaseRecord) {
    let mut publisher = world.daemon("north").publisher();
    let now = Timestamp::now();
    let refused = publisher.approve(held.version, held.manifest, DecidedBy::Rule, now).unwrap_err();
    assert_says(&told(&refused), &["release 2 is held: it waits until its operator says otherwise"]);
    let released = publisher.release(held.version, held.manifest, now).unwrap();
    let at = now + SignedDuration::from_hours(1);
    assert_eq!((released.state, released.by), (ReleaseState::Approved { at }, Some(DecidedBy::Rule)));
    publisher.hold(held.version, held.manifest, None, now).unwrap();
    let live = publisher.approve(held.version, held.manifest, DecidedBy::Operator, now).unwrap();
    assert_eq!(live.state, ReleaseState::Live);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_lets_it_soak_and_the_operator_can_refuse_meanwhile() {
    let world = under(SOAK).await;
    world.edit("/about/", "We mend nothing.");
    world.publish("north").await;
    let soaking = world.daemon("north").publisher().waiting().unwrap();
    let refused = {
        let mut publisher = world.daemon("north").publisher();
        publisher.reject(soaking.version, soaking.manifest, "we do".to_owned(), Timestamp::now()).unwrap()
    };
    assert_eq!(refused.state.word(), "rejected");
    assert_eq!(world.daemon("north").publisher().switch_due(in_hours(9)).unwrap(), None);
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    let live = world.daemon("north").publisher().switch_due(in_hours(9)).unwrap().unwrap();
    assert_eq!((live.state, live.by), (ReleaseState::Live, Some(DecidedBy::Rule)));
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_takes_back_what_a_rule_has_approved_for_later() {
    let world = under(SOAK).await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    world.daemon("north").publisher().switch_due(in_hours(9)).unwrap().unwrap();
    world.edit("/about/", "We mend everything twice.");
    let soaking = world.publish("north").await;
    assert!(matches!(soaking.state, ReleaseState::Approved { .. }));
    world.roll_back("north");
    assert_eq!(world.daemon("north").publisher().switch_due(in_hours(9)).unwrap(), None);
    let asked = world.daemon("north").publisher().staged().unwrap();
    assert_eq!(asked.waits_for.as_deref(), Some("the operator rolled back from release 2"));
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_for_later_and_is_overtaken_is_asked_about() {
    let world = under(r#"{policy: ask, auto: [{paths: "/**", only: text}]}"#).await;
    world.edit("/prices/", "Nothing is free.");
    let waiting = world.publish("north").await;
    let at = in_hours(1);
    {
        let mut publisher = world.daemon("north").publisher();
        publisher.schedule(waiting.version, waiting.manifest, DecidedBy::Operator, at, Timestamp::now()).unwrap();
    }
    world.edit("/prices/", "Little is free.");
    let later = world.publish("north").await;
    let says = format!("it takes the place of release 2, which was approved for {at}");
    assert_eq!(later.waits_for.as_deref(), Some(says.as_str()));
    assert_eq!(world.daemon("north").publisher().switch_due(in_hours(9)).unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_goes_live_where_the_contract_says_so_and_waits_elsewhere() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().approval("{policy: emergency}"))
        .contract("south", Contract::inherited())
        .start()
        .await;
    world.publish_to_all().await;
    world.approve("south");
    let publish = async |partner: &str| {
        let only = [site_id(partner)];
        let outcomes = world.hub().publish_emergency(&world.site(), &only, Rejected::Skip, "lamp 7 burns").await;
        match outcomes.unwrap().remove(0).1.unwrap() {
            Outcome::Delivered { release, .. } => release,
            other => panic!("{other:?}"),
        }
    };
    world.edit("/about/", "Switch lamp 7 off.");
    let first = publish("north").await;
    assert_eq!(first.waits_for.as_deref(), Some("main calls it an emergency, yet it is the first release"));
    world.approve("north");
    world.edit("/about/", "Switch lamp 7 off now.");
    let live = publish("north").await;
    assert_eq!((live.state, live.by), (ReleaseState::Live, Some(DecidedBy::Emergency)));
    assert_says(&live.sentence, &["Release 3 from lampworks: EMERGENCY (lamp 7 burns); 1 changed"]);
    world.assert_shows("north", "/about/", "off now").await;
    world.roll_back("north");
    world.assert_shows("north", "/about/", "lamp 7 off.").await;
    world.edit("/about/", "Switch lamp 7 off at once.");
    let after = publish("north").await;
    assert_eq!(after.state, ReleaseState::Staged, "after a rollback the operator is asked");
    let south = publish("south").await;
    assert_eq!(south.state, ReleaseState::Staged);
    assert_says(&south.sentence, &["EMERGENCY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_19_a_layout_change_is_one_sentence_and_one_group() {
    let plan = World::new().contract("north", Contract::inherited());
    let plan = ["a", "b", "c", "d"].iter().fold(plan, |plan, name| plan.main_page(&format!("/{name}/"), name));
    let world = plan.start().await;
    world.go_live("north").await;
    world.restyle("plain/templates/base.html", "<footer>plain", "<footer class=\"new\">plain");
    world.edit("/a/", "Other words.");
    let waiting = world.publish("north").await;
    let pages = world.daemon("north").publisher().releases().unwrap().len();
    assert_eq!(pages, 2);
    assert_says(&waiting.sentence, &["; layout change on ", " pages; no new scripts, forms or external hosts"]);
    let difference = world.daemon("north").publisher().difference(None).unwrap();
    let (layout, own) = (&difference.groups[0], difference.groups.last().unwrap());
    let said = format!("layout change on {} pages", layout.paths.len());
    assert_says(&waiting.sentence, &[&said]);
    assert!(layout.paths.len() >= 5, "{layout:?}");
    assert_eq!(own.paths.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/a/"]);
    assert_says(&difference.to_string(), &["more in the same way", "+<footer class=\"new\">plain footer</footer>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_15_16_17_every_strategy_goes_live_by_one_switch_and_can_be_undone() {
    for strategy in ["staged", "links", "overwrite"] {
        let world = under(&format!("{{policy: ask, strategy: {strategy}}}")).await;
        for words in ["We mend everything.", "We mend everything twice."] {
            world.edit("/about/", words);
            world.go_live("north").await;
        }
        let first = "1".parse().unwrap();
        let to_first = world.daemon("north").publisher().roll_back(Some(first), Timestamp::now());
        if strategy == "overwrite" {
            assert_says(&told(&to_first.unwrap_err()), &["release 1 cannot be rolled back to", "overwrite"]);
            world.assert_shows("north", "/about/", "twice").await;
            world.roll_back("north");
            world.assert_shows("north", "/about/", "We mend everything.").await;
        } else {
            assert_eq!(to_first.unwrap().state, ReleaseState::Live, "{strategy}");
            world.assert_shows("north", "/about/", "We mend lamps.").await;
        }
        world.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_decided_is_written_down_and_main_keeps_a_copy() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    world.reject("north", "we do not");
    world.edit("/about/", "We mend nearly everything.");
    let waiting = world.publish("north").await;
    hold(&world, &waiting);
    world.approve_open("north");
    world.roll_back("north");
    let expected = [
        (Event::Staged, Actor::Main, Some(1)),
        (Event::Approved, Actor::Operator, Some(1)),
        (Event::Live, Actor::Operator, Some(1)),
        (Event::ContractChanged, Actor::Operator, Some(1)),
        (Event::Staged, Actor::Main, Some(2)),
        (Event::Rejected, Actor::Operator, Some(2)),
        (Event::Staged, Actor::Main, Some(3)),
        (Event::Held, Actor::Operator, Some(3)),
        (Event::Approved, Actor::Operator, Some(3)),
        (Event::Live, Actor::Operator, Some(3)),
        (Event::RolledBack, Actor::Operator, Some(1)),
    ];
    assert_eq!(events(&world), expected);
    let row = world.hub().partner(&site_id("north")).await.unwrap();
    assert_eq!(world.hub().fetch_audit(&row).await.unwrap().lines, 11);
    assert_eq!(world.hub().fetch_audit(&row).await.unwrap().lines, 11, "nothing new");
    let copy = world.hub().audit_copy(&row).entries().unwrap();
    assert_eq!(copy, world.daemon("north").publisher().audit_entries().unwrap());
    assert_eq!(copy[5].reason.as_deref(), Some("we do not"));
    assert_eq!(copy[6].manifest, Some(waiting.manifest));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_written_down_once() {
    let world = settled().await;
    assert!(world.edit_original("north", "/about/", "Our own words.").is_err(), "a conflict");
    world.edit("/about/", "We mend everything.");
    for _ in 0..2 {
        world.try_publish("north").await.unwrap_err();
    }
    let refused = events(&world).into_iter().filter(|(what, ..)| *what == Event::OfferRefused).count();
    assert_eq!(refused, 2, "one for each number that main gave it");
    let entries = world.daemon("north").publisher().audit_entries().unwrap();
    assert_says(entries.last().unwrap().reason.as_deref().unwrap(), &["was not staged", "/about/"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_was_rewritten_is_refused_by_main_and_stops_decisions_not_service() {
    let mut world = settled().await;
    let row = world.hub().partner(&site_id("north")).await.unwrap();
    world.hub().fetch_audit(&row).await.unwrap();
    let rewrite = |from: &'static str, to: &'static str| {
        move |state: &std::path::Path| {
            let file = state.join("audit.jsonl");
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(&file, text.replacen(from, to, 1)).unwrap();
        }
    };
    // Its last line: the chain cannot tell, and main's copy can.
    world.restart_after("north", rewrite("\"what\":\"contract-changed\"", "\"what\":\"held\"")).await;
    let error = world.hub().fetch_audit(&row).await.unwrap_err();
    assert!(matches!(error, FetchAuditError::Refused(..)), "{error:?}");
    assert_says(&told(&error), &["the audit trail of `north` is REFUSED", "was rewritten"]);
    // Any line before it.
    world.restart_after("north", rewrite("\"what\":\"staged\"", "\"what\":\"held\"")).await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    world.edit("/about/", "We mend everything.");
    assert_says(&told(&world.try_publish("north").await.unwrap_err()), &["the audit trail"]);
    let refused = world.daemon("north").publisher().roll_back(None, Timestamp::now()).unwrap_err();
    assert!(!told(&refused).is_empty());
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn originals_that_are_refused_are_told_wherever_an_operator_looks_until_they_are_right() {
    let world = settled().await;
    let before = world.face("north").await;
    world.edit_original("north", "/about/", "Our own words.").unwrap_err();
    let Answer::Status { originals, .. } = command(&world, Command::Status).await else { panic!("no status") };
    let refused = originals.unwrap();
    assert_says(&refused.reason, &["/about/"]);
    let Answer::Refused { causes } = command(&world, Command::DiffOriginals).await else { panic!("a difference") };
    assert_says(&causes.join("\n"), &["your own pages are not published since", "the site stays as it was", "/about/"]);
    let start = world.operator("north").await.get("/").await;
    assert_says(&start.body, &["Your own pages are not published since", "(Asia/Tokyo)", "/about/", "stays as it was"]);
    world.assert_unchanged("north", &before, Kept::All).await;
    // Another mistake is told in its place, and since when stays.
    world.edit_original("north", "/elsewhere/", "Outside of our paths.").unwrap_err();
    let Answer::Status { originals, .. } = command(&world, Command::Status).await else { panic!("no status") };
    assert_eq!(originals.unwrap().since, refused.since);
    for file in ["content/about.md", "content/elsewhere.md"] {
        fs::remove_file(world.partner("north").config.site.join(file)).unwrap();
    }
    world.daemon("north").publisher().refresh_originals().unwrap();
    let Answer::Status { originals, .. } = command(&world, Command::Status).await else { panic!("no status") };
    assert_eq!(originals, None);
    assert!(!world.operator("north").await.get("/").await.body.contains("not published"));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_22_changed_originals_wait_where_the_partner_wants_it() {
    let mut world = settled().await;
    let mut halted = world.halt("north").await;
    halted.config.originals = OriginalsApproval::Ask;
    world.resume(halted).await;
    world.edit_original("north", "/local/", "Our second shelf.").unwrap();
    world.assert_shows("north", "/local/", "Our own shelf.").await;
    let Answer::Status { status, .. } = command(&world, Command::Status).await else { panic!("no status") };
    let waiting = status.originals.unwrap();
    assert_eq!(waiting.sentence, "Your own pages: 1 changed; no new scripts, forms or external hosts");
    let Answer::Diff { difference } = command(&world, Command::DiffOriginals).await else { panic!("no diff") };
    assert_says(&difference.to_string(), &["changed  /local/", "Our second shelf."]);
    // A release takes nothing along that waits.
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
    world.assert_shows("north", "/local/", "Our own shelf.").await;
    let approve = |digest| Command::ApproveOriginals { digest };
    let refused = command(&world, approve(Digest::of(b"not read"))).await;
    assert!(matches!(refused, Answer::Refused { .. }), "{refused:?}");
    let done = command(&world, approve(waiting.digest)).await;
    assert_eq!(done, Answer::Originals { paths: 1 });
    world.assert_shows("north", "/local/", "Our second shelf.").await;
    assert!(events(&world).contains(&(Event::OriginalsApproved, Actor::Operator, None)));
    world.restart("north").await;
    world.assert_shows("north", "/local/", "Our second shelf.").await;
}
