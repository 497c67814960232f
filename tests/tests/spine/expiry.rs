//! Metadata that runs out where a partner has several main sites: one is refused and complained of, the others go on.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tieup_hub::partners::Hub;
use tieup_protocol::wire::{ExpiryState, PartnerStatus};
use tieup_syncd::control::{Answer, Command, ask};
use tieup_tests::forge::{Bent, Forge, Recipe};
use tieup_tests::world::site_id;
use tieup_tests::{World, assert_says, parcel, told};

use crate::mains::{assert_all_stand, live};

/// How `north` says to one of its main sites that it stands.
async fn told_to(hub: &Hub) -> PartnerStatus {
    let row = hub.partner(&site_id("north")).await.unwrap();
    hub.status(&row).await.unwrap()
}

/// What `north` says to its operator of the tie-up with `main`.
fn told_to_operator(world: &World, main: &str) -> PartnerStatus {
    let config = &world.partner("north").config;
    let section = config.mains.get(&site_id(main)).unwrap_or(config);
    match tokio::task::block_in_place(|| ask(&section.control_socket(), &Command::Status)) {
        Ok(Answer::Status { status, .. }) => *status,
        other => panic!("no status of the tie-up with `{main}` but {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_one_main_sites_metadata_runs_out_and_the_other_goes_on() {
    let (world, southern) = live().await;
    // What the partner has seen of the home main site is set back by hand, under genuine signatures.
    let past =
        Bent { set: [("/signed/expires".to_owned(), Value::from("2020-01-01T00:00:00Z"))].into(), ..Bent::default() };
    let recipe = Recipe { release: Some(1), timestamp: past, ..Recipe::default() };
    let stale = Forge::new(&world).offer(&world, &recipe).await;
    let file = world.state("north").join("trust.json");
    let mut trust: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    trust["seen"]["timestamp.json"] = Value::from(stale.offer.timestamp.clone());
    fs::write(&file, trust.to_string()).unwrap();

    for status in [told_to(world.hub()).await, told_to_operator(&world, "lampworks")] {
        assert_eq!(status.alarms.iter().map(|alarm| alarm.state).collect::<Vec<_>>(), [ExpiryState::Expired]);
        assert_says(&status.alarms[0].to_string(), &["the timestamp metadata has expired"]);
    }
    for status in [told_to(southern.hub()).await, told_to_operator(&world, "southern")] {
        assert_eq!(status.alarms, []);
    }
    let error = parcel::offer(&world.call("north").await, &stale).await.unwrap_err();
    assert_says(&told(&error), &["has expired"]);
    assert_all_stand(&world).await;

    southern.edit("/south/tea/", "We roast tea.");
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    world.assert_shows("north", "/south/tea/", "We roast tea.").await;
    world.assert_shows("north", "/nw/lamps/", "We mend lamps.").await;
    // Main's next word ends it.
    let row = world.hub().partner(&site_id("north")).await.unwrap();
    world.hub().refresh(&row, Timestamp::now()).await.unwrap();
    assert_eq!(told_to(world.hub()).await.alarms, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_a_further_main_site_that_falls_silent_is_complained_of_alone() {
    let (world, southern) = live().await;
    let (now, day) = (Timestamp::now(), SignedDuration::from_hours(24));
    let alarms = |main: &str, days: i32| world.beside("north", main).alarms(now + day * days).unwrap();
    assert_eq!((alarms("lampworks", 0), alarms("southern", 0)), (vec![], vec![]));
    // The home main site speaks again in time, the other one does not.
    world.hub().refresh_due(now + day * 11).await.unwrap();
    assert_eq!(alarms("lampworks", 31), []);
    let states: Vec<ExpiryState> = alarms("southern", 31).iter().map(|alarm| alarm.state).collect();
    assert_eq!(states, [ExpiryState::Expired]);
    assert_all_stand(&world).await;
    southern.hub().refresh_due(now + day * 12).await.unwrap();
    assert_eq!(alarms("southern", 31), []);
}
