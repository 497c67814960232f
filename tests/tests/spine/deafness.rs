//! Partners behind NAT that fall deaf: their line to the hub is there, and nothing comes back over it.

use std::process::Command;
use std::time::Duration;

use tieup_hub::partners::Hub;
use tieup_hub::publish::{Outcome, PublishError, Rejected};
use tieup_protocol::ids::SiteId;
use tieup_syncd::control::{Answer, Command as Order};
use tieup_tests::child::{Process, Program};
use tieup_tests::muffler::Muffler;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};

/// How long the hub is patient here, and how long something may take then; less than the patience of one that is not told.
const SHORT: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(40);

/// `north` and `south`, which both dial main; `north` by way of what is returned. Release 1 is live at both.
async fn dialing() -> (World, Muffler) {
    let contract = || Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#);
    let mut world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract_alone("north", contract())
        .contract_alone("south", contract())
        .start()
        .await;
    let hub = world.hub().config.address.clone();
    let way = Muffler::before(world.hub().config.join.parse().unwrap()).await;
    for (partner, hub) in [("north", way.address.to_string()), ("south", hub)] {
        let site = world.folder().join("sources/partners").join(partner);
        world.join_dialing(partner, &site, &hub).await;
        world.go_live(partner).await;
    }
    (world, way)
}

/// What comes of publishing to both, by a hub that does not wait for long.
async fn publish(world: &World) -> Vec<(SiteId, Result<Outcome, PublishError>)> {
    let hub = Hub::open(world.hub().config.clone()).await.unwrap().patient_for(SHORT);
    let site = world.site();
    let published = tokio::time::timeout(PATIENCE, hub.publish(&site, &[], Rejected::Skip)).await;
    published.expect("a partner that is deaf is waited for").unwrap()
}

/// `north` is found to be unreachable, is said to be, and `south` has the release.
async fn assert_north_is_given_up(world: &World) {
    world.edit("/about/", "We mend everything.");
    for (partner, outcome) in publish(world).await {
        match outcome {
            Err(error) if partner == site_id("north") => assert_says(
                &told(&error),
                &[
                    "was not published to `north`",
                    "the line that it keeps to the hub broke off",
                    "nothing came for 3 s",
                ],
            ),
            Ok(Outcome::Delivered { .. }) if partner == site_id("south") => {}
            other => panic!("`{partner}`: {other:?}"),
        }
    }
    let row = world.hub().database.newest_release(&site_id("north")).await.unwrap().unwrap();
    assert_eq!(row.state, "unreachable");
    world.assert_shows("south", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_vanished_is_unreachable_and_is_reached_over_the_lines_that_it_dials_anew() {
    let (mut world, way) = dialing().await;
    way.swallow();
    assert_north_is_given_up(&world).await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    // It is back, as after a power cut: the hub still holds what it has not found out about.
    world.restart("north").await;
    world.publish("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_died_unnoticed_stand_in_no_calls_way_once_there_are_others() {
    let (mut world, way) = dialing().await;
    way.swallow();
    world.restart("north").await;
    world.edit("/about/", "We mend everything.");
    // More calls at once than the partner keeps lines: none waits for one that is dead.
    let hub = world.hub();
    let row = hub.partner(&site_id("north")).await.unwrap();
    world.publish("north").await;
    let calls = Box::pin(async { tokio::join!(hub.status(&row), hub.status(&row), hub.status(&row)) });
    let (one, two, three) = tokio::time::timeout(PATIENCE, calls).await.expect("a call waits for a dead line");
    for answer in [one, two, three] {
        assert_eq!(answer.unwrap_or_else(|error| panic!("{}", told(&error))).partner, site_id("north"));
    }
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

/// Sends a signal to a process of this test.
fn signal(process: &Process, name: &str) {
    let sent = Command::new("kill").args([name, &process.id().to_string()]).status().unwrap();
    assert!(sent.success(), "{name} was not sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_was_stopped_is_unreachable_and_goes_on_where_it_was() {
    let (mut world, _way) = dialing().await;
    let halted = world.halt("north").await;
    let program = Program::new(env!("CARGO_BIN_EXE_syncd-to-kill"), &halted);
    let process = program.start();
    world.edit("/prices/", "Nothing is free.");
    world.publish("north").await;
    signal(&process, "-STOP");
    assert_north_is_given_up(&world).await;
    signal(&process, "-CONT");
    let published = tokio::time::timeout(PATIENCE, reach(&world)).await;
    published.unwrap_or_else(|_| panic!("it dials no line:\n{}", program.logged()));
    let status = process.status();
    assert_eq!(status.releases[0].state.word(), "live");
    assert!(matches!(process.ask(&Order::Status), Ok(Answer::Status { .. })));
}

/// Publishes to `north` as soon as it keeps a line again.
async fn reach(world: &World) {
    while let Err(error) = world.try_publish("north").await {
        assert_says(&told(&error), &["cannot be reached"]);
    }
}
