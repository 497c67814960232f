//! Writes of the access log that fail while visitors are there: nobody gets a page without an entry, and the log goes on.

use std::time::{Duration, Instant};

use tieup_store::failing::{FailingWrites, How};
use tieup_tests::{Contract, World, told};

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
