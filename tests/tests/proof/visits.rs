//! Writes of the access log that fail while visitors are there: nobody gets a page without an entry, and the log goes on.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use tieup_store::failing::{FailingWrites, How};
use tieup_tests::{Contract, World, assert_says, raw, told};

use crate::setting;

/// How a write can fail.
const WAYS: [How; 4] = [How::FullFromThenOn, How::NotDone, How::DoneYetFailed, How::FullForAMoment];

/// How many writes fail in turn, each in every way, unless `TIEUP_WRITES` says that it shall be many.
const WRITES: usize = 4;
const MANY: usize = 24;

/// How long visitors come in the hope that a write fails. A checkpoint is due each second.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_of_the_access_log_fails_no_page_is_served_without_an_entry() {
    let mut world =
        World::new().main_page("/about/", "We mend lamps.").contract("north", Contract::inherited()).start().await;
    world.go_live("north").await;
    let (mut served, mut refused, mut logged) = (0, 0, 0);
    let writes = if setting("TIEUP_WRITES").is_some() { MANY } else { WRITES };
    for (at, how) in (0..writes).flat_map(|at| WAYS.map(|how| (at, how))) {
        let context = format!("write {at}, {how:?}");
        let (state, began, before) = (world.state("north"), Instant::now(), (served, refused));
        let laid = FailingWrites::lay(&state.join("journal"), &state.join("nothing"), at, how);
        while laid.failed().is_empty() {
            assert!(began.elapsed() < PATIENCE, "{context}: it never comes");
            match world.get("north", "/about/").await.status {
                200 => served += 1,
                503 => refused += 1,
                other => panic!("{context}: a visitor was answered {other}"),
            }
        }
        drop(laid);
        world.restart("north").await;
        world.assert_shows("north", "/about/", "We mend lamps.").await;
        served += 1;
        let collected = world.try_collect("north").await;
        let collected = collected.unwrap_or_else(|error| panic!("{context}: {}", told(&error)));
        let entries = collected.iter().map(|month| month.size).sum::<u64>() - logged;
        logged += entries;
        let (pages, others) = (served - before.0, refused - before.1);
        // An entry may be there of whom the page was refused all the same, since nobody knew.
        assert!(
            (pages..=pages + others).contains(&entries),
            "{context}: {pages} pages were served, {others} refused, and {entries} are logged"
        );
    }
    println!("{served} pages served, {refused} refused");
    assert!(refused > 0, "no write of an entry failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_journal_takes_no_visits_is_not_ready_until_there_is_room() {
    let mut world =
        World::new().main_page("/about/", "We mend lamps.").contract("north", Contract::inherited()).start().await;
    world.go_live("north").await;
    let free = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap().local_addr().unwrap();
    world.reconfigure("north", &format!("admin: {free}\n")).await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    let ready = async || raw::request(free, "GET", "/readyz", &[]).await;
    assert_eq!(ready().await.status, 200);
    let (state, began) = (world.state("north"), Instant::now());
    let laid = FailingWrites::lay(&state.join("journal"), &state.join("nothing"), 0, How::FullFromThenOn);
    while world.get("north", "/about/").await.status != 503 {
        assert!(began.elapsed() < PATIENCE, "no visit was refused");
    }
    let refused = ready().await;
    assert_eq!(refused.status, 503);
    assert_says(&refused.body, &["the journal for `lampworks` takes no entries"]);
    drop(laid);
    // Nobody is sent to a daemon that is not ready: it must find out by itself.
    while ready().await.status != 200 {
        assert!(began.elapsed() < PATIENCE, "it is never ready again");
    }
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}
