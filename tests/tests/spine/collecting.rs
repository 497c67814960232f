//! Journals are collected from many partners at once: one that does not answer keeps no other waiting.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tieup_hub::collecting::Rounds;
use tieup_protocol::ids::SiteId;
use tieup_tests::world::site_id;
use tieup_tests::{World, assert_says};

use crate::returns::log_visits;
use crate::settled;

/// How long something may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(2);

async fn collected_at(world: &World, partner: &str) -> Option<Timestamp> {
    let row = world.hub().partner(&site_id(partner)).await.unwrap();
    world.hub().collected_at(&row).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_a_partner_that_stalls_holds_up_neither_the_others_nor_their_next_collection() {
    let world = settled().await;
    let speak = world.mute("north").await;
    let (begun, mut before) = (Timestamp::now(), None);
    let mut rounds = Rounds::begun(begun);
    for hours in [2, 4] {
        log_visits(&world, "south", 3).await;
        rounds.go(world.hub(), begun + SignedDuration::from_hours(hours)).await;
        let ended = tokio::time::timeout(PATIENCE, rounds.collected());
        ended.await.unwrap_or_else(|_| panic!("nobody was collected from after {hours} hours"));
        let under_way: Vec<&SiteId> = rounds.under_way().collect();
        assert_eq!(under_way, [&site_id("north")], "after {hours} hours");
        let now = collected_at(&world, "south").await;
        assert!(now > before, "after {hours} hours: {now:?}");
        before = now;
    }
    speak.notify_one();
    rounds.collected().await;
    assert_eq!(rounds.under_way().count(), 0);
    assert_eq!(collected_at(&world, "north").await, None);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_fetching_from_all_is_over_for_one_while_another_stalls() {
    let world = settled().await;
    log_visits(&world, "south", 3).await;
    let speak = world.mute("north").await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
    let config = world.hub().config.state.with_file_name("tieup.yaml");
    command.arg("--config").arg(&config).args(["log", "fetch"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut fetching = command.spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while collected_at(&world, "south").await.is_none() {
        assert!(Instant::now() < end, "south waits for north");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while fetching.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "it does not end though north speaks");
        speak.notify_one();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let output = fetching.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_says(&String::from_utf8_lossy(&output.stdout), &["south ", "3 new entries, 3 in all, cosigned"]);
    // It was still being waited for when `south` was done: had its time been over, this would be told.
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_says(&complaints, &["north:", "2 journals or audit trails of partners were not taken"]);
    assert!(!complaints.contains("nothing came for"), "{complaints}");
    world.stop().await;
}
