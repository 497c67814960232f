//! Logs that were put aside for others: what was charged for them is corrected, and what was struck out of them has no effect.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tieup_hub::refusals::Settlement;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::dispute::Decision;
use tieup_protocol::period::Month;
use tieup_protocol::strike::PUT_ASIDE;
use tieup_protocol::wire::{Cause, StatementVerdict};
use tieup_store::journal::month_dir;
use tieup_tests::issuing::{before, closes, issue, issue_at, log_in, log_uncollected, row};
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::{World, assert_says, told};

use crate::disputes::falsify;
use crate::placements::tieup;
use crate::strikes::{main_strikes, mains, visited};

/// Lets the partner have another log of `month`, with the first so many `entries` of which one is another. Main puts its copy
/// aside for it.
async fn put_aside(world: &mut World, month: Month, entries: usize) {
    Box::pin(put_aside_at(world, month, entries, Timestamp::now())).await;
}

/// The same at `now`.
async fn put_aside_at(world: &mut World, month: Month, entries: usize, now: Timestamp) {
    let another = |state: &Path| {
        let log = JournalOnDisk::open(state, month);
        let mut others = log.entries();
        others.truncate(entries);
        let entry = AccessEntry::decode(&others[0]).unwrap();
        others[0] = AccessEntry { bytes: entry.bytes + 1, ..entry }.encode();
        log.replace(&others, &log.signer);
    };
    Box::pin(world.restart_after("north", another)).await;
    let refused = told(&world.try_collect("north").await.unwrap_err());
    assert_says(&refused, &["the log "]);
    let north = row(world, "north").await;
    world.hub().settle_journal(&north.id, month, Settlement::PutAside, "its disk was lost", now).unwrap();
    world.collect("north").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_corrected_by_the_log_that_came_in_the_place_of_its_own_however_short_that_is() {
    // Six visits at 10 yen were charged. Of the log in the place of that four are left, and no strike was ever agreed on.
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    let signed = closes(month.next());
    Box::pin(put_aside_at(&mut world, month, 4, signed - SignedDuration::from_secs(1))).await;
    Box::pin(log_in(&mut world, month.next(), 1)).await;
    let (later, verdict) = issue(&world, month.next()).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(&later.statement, &["the log was put aside for another: 60 was charged, 40 is right"]);
    // That is charged once, and what is damaged of it since does not matter.
    let (state, copy, kept) =
        (world.state("north"), month_dir(&world.mirrors("north"), month), tempfile::tempdir().unwrap());
    copy_dir(&copy, kept.path());
    falsify(&copy, &state, month, 2);
    let last = world.hub().made(&row(&world, "north").await, world.month("north")).await.unwrap().1;
    assert!(last.revisions.is_empty(), "{:?}", last.revisions);
    copy_dir(kept.path(), &copy);
    // Another one takes the place of that, with as many visits, and is looked at, also where it does so before the second in
    // which that was signed is over.
    Box::pin(put_aside_at(&mut world, month, 4, signed + SignedDuration::from_millis(500))).await;
    let (last, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", last.statement);
    assert_says(&last.statement, &["the log was put aside for another: 40 was charged, 40 is right"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_put_aside_in_the_second_in_which_that_was_charged_for_is_told_once() {
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    let [aside, signed] = [100, 900].map(|millis| closes(month.next()) + SignedDuration::from_millis(millis));
    Box::pin(put_aside_at(&mut world, month, 4, aside)).await;
    Box::pin(log_in(&mut world, month.next(), 1)).await;
    let (later, _) = issue_at(&world, month.next(), signed).await;
    assert_says(&later.statement, &["the log was put aside for another: 60 was charged, 40 is right"]);
    let (last, verdict) = issue(&world, world.month("north")).await;
    assert_eq!((&last.revisions[..], verdict), (&[][..], StatementVerdict::Identical));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_partner_has_logged_since_main_collected_does_not_hide_that_its_log_is_another() {
    // Six visits at 10 yen were charged; of the log in the place of that four are left, and are charged for.
    let (mut world, second) = visited().await;
    let month = before(second);
    Box::pin(log_in(&mut world, month, 6)).await;
    issue(&world, month).await;
    let signed = closes(second);
    Box::pin(put_aside_at(&mut world, month, 4, signed - SignedDuration::from_secs(1))).await;
    let (later, _) = issue(&world, second).await;
    assert_says(&later.statement, &["the log was put aside for another: 60 was charged, 40 is right"]);
    // The one in the place of that has three, and more than four by the time that the next statement comes.
    Box::pin(put_aside_at(&mut world, month, 3, signed + SignedDuration::from_secs(1))).await;
    Box::pin(log_in(&mut world, second.next(), 1)).await;
    Box::pin(log_uncollected(&mut world, month, 5)).await;
    let (third, verdict) = issue(&world, second.next()).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", third.statement);
    assert_says(&third.statement, &["the log was put aside for another: 40 was charged, 30 is right"]);
    // What main collects then is charged for as what came late, and changes nothing of what was issued.
    world.collect("north").await;
    let (last, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", last.statement);
    assert_says(&last.statement, &["entries came late: 30 was charged, 80 is right", "due:             60 JPY"]);
    assert_eq!(issue(&world, second.next()).await, (third, StatementVerdict::Identical));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_older_than_what_was_charged_is_not_another_log() {
    // Main's copies come back from a backup that is older than its database: four of six entries.
    let (mut world, month) = visited().await;
    let north = row(&world, "north").await;
    let (copy, kept) = (month_dir(&world.mirrors("north"), month), tempfile::tempdir().unwrap());
    copy_dir(&copy, kept.path());
    Box::pin(log_in(&mut world, month, 2)).await;
    let (issued, _) = issue(&world, month).await;
    assert_says(&issued.statement, &["total:           80 JPY"]);
    std::fs::remove_dir_all(&copy).unwrap();
    std::fs::create_dir(&copy).unwrap();
    copy_dir(kept.path(), &copy);
    let later = world.hub().made(&north, world.month("north")).await.unwrap().1;
    assert!(later.revisions.is_empty(), "{:?}", later.revisions);
}

fn copy_dir(from: &Path, to: &Path) {
    let run = std::process::Command::new("cp").arg("-rT").arg(from).arg(to).status().unwrap();
    assert!(run.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_struck_out_of_a_log_that_was_put_aside_has_no_effect_and_both_say_so() {
    // One of six visits at 10 yen is struck out. The partner loses its log, and has another with as many visits.
    let (mut world, month) = visited().await;
    main_strikes(&world, month, "1", Decision::Accepted).await;
    let (issued, verdict) = issue(&world, month).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", issued.statement);
    assert_says(&issued.statement, &["total:           50 JPY"]);
    Box::pin(put_aside(&mut world, month, 6)).await;
    let north = row(&world, "north").await;

    // What is struck out of the one in its place has effect.
    let strike = main_strikes(&world, month, "0,2", Decision::Accepted).await;
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(&later.statement, &["the log was put aside for another: 50 was charged, 40 is right"]);
    assert_eq!((later.revisions[0].cause, &later.revisions[0].strikes[..]), (Cause::OtherLog, &[strike][..]));
    let (mains, partners) = (mains(&world).await, world.daemon("north").strikes().unwrap());
    // Both may have been proposed in the same second.
    let aside = mains.iter().find(|kept| kept.strike.digest() != strike).unwrap();
    let expected = [(aside.strike.digest(), PUT_ASIDE.to_owned())].into();
    assert_eq!(world.hub().without_effect(&north, &mains).await.unwrap(), expected);
    assert_eq!(world.daemon("north").without_effect(&partners).unwrap(), expected);
    assert_says(&tieup(&world, &["fee", "strikes", "north"]).1, &["accepted on", PUT_ASIDE]);
}
