//! When the hub pushes by itself: at its time, after a change, again after a failure, and never what was rejected.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tieup_hub::cli::keep_publishing;
use tieup_hub::partners::Hub;
use tieup_hub::publish::Outcome;
use tieup_hub::schedule::queue::{Cause, Coming};
use tieup_hub::schedule::standing::{Contact, Kind, Known, Standing};
use tieup_protocol::approval::ReleaseState;
use tieup_tests::desk::Tried;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, Desk, World, assert_says};
use tokio::sync::oneshot;

/// Five o'clock in the morning in Tokyo, after all that the world has seen.
const FIVE: &str = "2031-11-01T20:00:00Z";
/// An hour later.
const SIX: &str = "2031-11-01T21:00:00Z";

const QUARTER: SignedDuration = SignedDuration::from_mins(15);

/// Partners that inherit pages and whose contracts name no time.
async fn world(partners: &[&str]) -> World {
    let plan = World::new().main_page("/about/", "We mend lamps.");
    partners.iter().fold(plan, |plan, partner| plan.contract(partner, Contract::inherited())).start().await
}

/// The number of the release that a try delivered.
#[track_caller]
fn delivered((partner, outcome): &Tried) -> u64 {
    match outcome {
        Ok(Outcome::Delivered { release, .. }) => release.version.get(),
        other => panic!("nothing was delivered to `{partner}`: {other:?}"),
    }
}

#[track_caller]
fn failed((partner, outcome): Tried, says: &[&str]) {
    match outcome {
        Err(told) => assert_says(&told, says),
        Ok(outcome) => panic!("`{partner}` did not fail: {outcome:?}"),
    }
}

/// How a partner stands at the hub, without asking it.
async fn standing(world: &World, partner: &str, now: &str) -> String {
    let (hub, id) = (world.hub(), site_id(partner));
    let (row, queued) = (hub.partner(&id).await.unwrap(), hub.database.queued(&id).await.unwrap());
    let releases = hub.database.releases(&id).await.unwrap();
    let contact = Contact::Answers;
    let known = Known { partner: &row, releases: &releases, queued: &queued, kind: Kind::Releases, contact: &contact };
    Standing::of(known).line(now.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_14_a_push_waits_for_its_time_and_other_partners_do_not_wait_for_it() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().schedule("{push: 0 6 * * *}"))
        .contract("south", Contract::inherited())
        .start()
        .await;
    let mut desk = Desk::open(&world, FIVE).await;
    desk.find(&world);
    assert_eq!((delivered(&desk.tried().await), world.releases("south").len()), (1, 1));
    let six = Some(Coming { at: SIX.parse().unwrap(), cause: Cause::Prescribed });
    desk.row("north", |row| row.coming == six).await;
    let says = ["waiting for schedule", "nothing was sent yet; next push 2031-11-01 21:00 UTC (in 60 min)"];
    assert_says(&standing(&world, "north", FIVE).await, &says);
    world.edit("/about/", "We mend everything.");
    desk.save(&world);
    assert_eq!(delivered(&desk.tried().await), 2);
    desk.row("north", |row| row.changed.is_some()).await;
    assert_says(&standing(&world, "north", FIVE).await, &["waiting for schedule since", "the site has changed"]);
    desk.assert_idle();
    assert_eq!(world.releases("north"), [], "pushed before its time");
    desk.set(SIX);
    let tried = desk.tried().await;
    assert_eq!((tried.0.as_str(), delivered(&tried)), ("north", 1));
    let tomorrow = Some(Coming { at: "2031-11-02T21:00:00Z".parse().unwrap(), cause: Cause::Prescribed });
    let row = desk.row("north", |row| row.coming == tomorrow).await;
    assert_eq!((row.changed, row.retry), (None, None));
    world.approve("north");
    world.assert_shows("north", "/about/", "We mend everything.").await;
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_14_a_main_site_prescribes_times_for_all_and_a_manual_push_goes_at_once() {
    let world = world(&["north"]).await;
    let site = "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\ntimezone: Asia/Tokyo\n";
    world.write_main("site.yaml", &format!("{site}schedule: {{push: [0 6 * * *, 0 18 * * *]}}\n"));
    let mut desk = Desk::open(&world, FIVE).await;
    desk.find(&world);
    desk.row("north", |row| row.coming.is_some_and(|coming| coming.at == SIX.parse().unwrap())).await;
    desk.assert_idle();
    desk.close().await;
    world.publish("north").await;
    assert_eq!(world.releases("north").len(), 1);
    world.write_main("site.yaml", &format!("{site}schedule: {{push: 0 6 * * 8}}\n"));
    let error = tieup_generator::Site::load(&world.hub().config.site, &world.hub().config.themes).unwrap_err();
    assert_says(&error.to_string(), &["`0 6 * * 8` is not a cron expression", "site.yaml:5:", "help: write minute"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_12_21_a_partner_that_was_down_gets_its_release_when_it_is_back() {
    let mut world = world(&["north"]).await;
    let sleeping = world.halt("north").await;
    let mut desk = Desk::open(&world, FIVE).await;
    desk.find(&world);
    failed(desk.tried().await, &["nobody answers at"]);
    let row = desk.row("north", |row| row.retry.is_some()).await;
    let wait = row.retry.unwrap().duration_since(FIVE.parse().unwrap());
    assert!(wait >= SignedDuration::from_secs(5) && wait <= SignedDuration::from_secs(10), "{wait}");
    desk.pass(SignedDuration::from_secs(10));
    failed(desk.tried().await, &["nobody answers at"]);
    assert_eq!(desk.row("north", |_| true).await.last.unwrap().failures, 2);
    // A save does not hurry what cannot be reached.
    desk.save(&world);
    world.resume(sleeping).await;
    desk.pass(QUARTER);
    assert_eq!(delivered(&desk.tried().await), 1, "tries that found nobody took numbers");
    assert_eq!(desk.row("north", |row| row.coming.is_none()).await.last.unwrap().failures, 0);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_21_what_was_rejected_or_rolled_back_from_is_not_sent_again_until_it_changes() {
    let mut world = world(&["north"]).await;
    let mut desk = Desk::open(&world, FIVE).await;
    desk.find(&world);
    assert_eq!(delivered(&desk.tried().await), 1);
    world.reject("north", "too dear");
    desk.save(&world);
    let again = desk.tried().await.1.unwrap();
    assert!(matches!(&again, Outcome::RejectedBefore { reason, .. } if reason == "too dear"), "{again:?}");
    desk.close().await;
    // Other content takes a number and does not arrive; then the rejected content is there again.
    let sleeping = world.halt("north").await;
    world.edit("/about/", "We mend everything.");
    world.try_publish("north").await.unwrap_err();
    world.resume(sleeping).await;
    world.edit("/about/", "We mend lamps.");
    let mut desk = Desk::open(&world, SIX).await;
    desk.find(&world);
    let again = desk.tried().await.1.unwrap();
    assert!(matches!(again, Outcome::RejectedBefore { .. }), "{again:?}");
    world.edit("/about/", "We mend more.");
    desk.save(&world);
    assert_eq!(delivered(&desk.tried().await), 3);
    world.approve("north");
    world.edit("/about/", "We mend nothing.");
    desk.save(&world);
    assert_eq!(delivered(&desk.tried().await), 4);
    world.approve("north");
    world.roll_back("north");
    desk.save(&world);
    assert!(matches!(desk.tried().await.1.unwrap(), Outcome::RolledBack(_)));
    let states: Vec<_> = world.releases("north").into_iter().map(|record| record.state).collect();
    assert!(matches!(states[..], [ReleaseState::Retired, ReleaseState::Live, ReleaseState::Rejected { .. }]));
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_12_partners_that_never_answer_hold_up_no_other() {
    let world = world(&["dead", "mute", "north"]).await;
    let (_listener, speak) = (world.deaden("dead").await, world.mute("mute").await);
    let mut desk = Desk::open(&world, FIVE).await;
    desk.find(&world);
    // One that completes the handshake may stay silent for a minute; nobody waits for that.
    let mut others = Vec::new();
    while others.len() < 2 {
        others.push(desk.tried().await);
    }
    others.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert_eq!((others[1].0.as_str(), delivered(&others[1])), ("north", 1));
    failed(others.swap_remove(0), &["dead.partner.lampworks", "cannot be reached"]);
    desk.assert_idle();
    speak.notify_one();
    let (partner, outcome) = desk.tried().await;
    assert_eq!(partner, "mute");
    outcome.unwrap_err();
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_hub_keeps_the_queue() {
    let mut world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited())
        .contract("south", Contract::inherited().schedule("{push: 0 6 * * *}"))
        .start()
        .await;
    let sleeping = world.halt("north").await;
    let mut desk = Desk::open(&world, FIVE).await;
    desk.find(&world);
    failed(desk.tried().await, &["nobody answers at"]);
    desk.pass(SignedDuration::from_secs(10));
    failed(desk.tried().await, &["nobody answers at"]);
    let before = desk.row("north", |row| row.last.as_ref().is_some_and(|last| last.failures == 2)).await;
    desk.row("south", |row| row.coming.is_some()).await;
    desk.close().await;
    // The hub was down at south's time, which is made up for; north's next try stays where it was.
    let hub = Arc::new(Hub::open(world.hub().config.clone()).await.unwrap());
    let mut desk = Desk::of(hub, "2031-11-01T20:00:11Z");
    desk.find(&world);
    let noted = desk.row("north", |row| row.coming.is_some()).await;
    assert_eq!((noted.retry, noted.last), (before.retry, before.last));
    desk.assert_idle();
    world.resume(sleeping).await;
    desk.set("2031-11-02T01:00:00Z");
    let tries = desk.tries(2).await;
    assert_eq!(tries.iter().map(delivered).collect::<Vec<_>>(), [1, 1]);
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_joins_gets_its_first_release_at_once() {
    let mut world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited())
        .contract_alone("late", Contract::inherited())
        .start()
        .await;
    let mut desk = Desk::open(&world, FIVE).await;
    desk.find(&world);
    assert_eq!(delivered(&desk.tried().await), 1);
    let site = world.partner("north").config.site.clone();
    world.join("late", &site).await;
    // It may be called before it listens; then it is tried again.
    loop {
        let tried = desk.tried().await;
        assert_eq!(tried.0, "late");
        if tried.1.is_ok() {
            assert_eq!(delivered(&tried), 1);
            break;
        }
        desk.pass(QUARTER);
    }
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_14_a_page_reaches_partners_when_its_time_comes() {
    let soon = Timestamp::now() + SignedDuration::from_secs(3);
    let world = world(&["north"]).await;
    world.write_main("content/next.md", &format!("---\ntitle: Next\npublish: {soon}\n---\nOpen now.\n"));
    let (end, ended) = oneshot::channel::<()>();
    let hub = world.hub().clone();
    let publishing = tokio::spawn(async move {
        keep_publishing(&hub, &[], async move {
            let _ = ended.await;
            Ok(())
        })
        .await
    });
    let deadline = Instant::now() + Duration::from_mins(2);
    let has_page = |text: &str| text.contains("/next/");
    loop {
        let releases = world.hub().database.releases(&site_id("north")).await.unwrap();
        let newest = releases.first().filter(|release| release.state == "staged");
        let manifest = match newest {
            Some(release) => world.hub().database.manifest(&site_id("north"), release.version).await.unwrap(),
            None => None,
        };
        if manifest.is_some_and(|manifest| has_page(&manifest)) {
            assert!(Timestamp::now() >= soon, "before its time");
            break;
        }
        assert!(Instant::now() < deadline, "its time has come, and nothing was sent: {}", releases.len());
        tokio::task::yield_now().await;
    }
    world.approve("north");
    world.assert_shows("north", "/next/", "Open now.").await;
    end.send(()).unwrap();
    publishing.await.unwrap().unwrap();
}
