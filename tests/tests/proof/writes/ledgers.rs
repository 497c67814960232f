//! Writes that fail while a partner verifies main's log and refuses one that was forked, while it disputes a statement and
//! main answers, and while entries are struck out.

use std::fs;

use jiff::Timestamp;
use tieup_hub::collect::Collected;
use tieup_protocol::dispute::Decision;
use tieup_protocol::period::{Month, Zone};
use tieup_protocol::strike::{KeptStrike, Strike};
use tieup_store::failing::FailingWrites;
use tieup_syncd::main_journal::MainJournalError;
use tieup_tests::issuing::{issue, log_before, row};
use tieup_tests::{Contract, World, told};

use super::BRIEFLY;
use super::failures::{Failures, assert_named, names};

/// The kinds of files that are written when main's log is verified for the first time.
pub(super) const OF_MAINS_LOG: &[&str] = &[
    "main-journal",
    "main-journal/key.json",
    "main-journal/cosigner.key",
    "main-journal/N-N/entries",
    "main-journal/N-N.receipts.json",
];

/// Those that are written when it is refused.
pub(super) const IN_A_REFUSAL: &[&str] = &["main-journal/refusals", "main-journal/refusals/N-N.json"];

/// Those that are written when a statement is disputed, and when main answers.
pub(super) const IN_A_DISPUTE: &[&str] = &["audit.jsonl", "statements/N-N.claim.json", "statements/N-N.dispute.json"];
const IN_AN_ANSWER: &[&str] = &["audit.jsonl", "statements/N-N.dispute.json"];

/// Those that are written when main proposes to strike entries out, and when the partner answers.
pub(super) const IN_A_STRIKE: &[&str] = &["audit.jsonl", "statements", "statements/strikes.json"];
const IN_ITS_ANSWER: &[&str] = &["audit.jsonl", "statements/strikes.json"];

/// Those that main writes when a partner shows a receipt, and when a dispute is opened.
pub(super) const OF_A_RECEIPT: &[&str] = &["receipts/north", "receipts/north/N-N.json"];
pub(super) const IN_MAINS_TRAIL: &[&str] = &["trail/audit.jsonl"];

/// What a contract charges that main's own log can count.
const BY_MAIN: &str = "meters: {tie: {views: {class: tieup}}}\ncharges:\n  \
    access: {graduated: tie, tiers: [[0, \"10\"]]}\n";

/// The same, which may be disputed.
const DISPUTABLE: &str = "meters: {tie: {views: {class: tieup}}}\ncharges:\n  \
    access: {graduated: tie, tiers: [[0, \"10\"]]}\ndispute: {window: 180d, beacon_tolerance: \"2%\"}\n";

/// Main writes the log, and has logged three visits of this month.
async fn where_main_writes() -> (World, Month) {
    let contract = Contract::inherited().zone("UTC").fees(BY_MAIN).journal("{writer: main, verifier: partner}");
    let world = World::new().main_page("/about/", "We mend lamps.").contract("north", contract).start().await;
    world.go_live("north").await;
    world.show_main();
    for _ in 0..3 {
        assert_eq!(world.get_main("/about/").await.status, 200);
    }
    (world, Month::of(Timestamp::now(), &Zone::utc()))
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_mains_log_is_verified_the_next_time_verifies_all_of_it() {
    let (world, month) = where_main_writes().await;
    let whole = [Collected { month, added: 3, size: 3 }];
    let mut failures = Failures::of("verifying main's log");
    loop {
        // As on the day of the join, at both ends.
        for folder in [world.state("north").join("main-journal"), world.hub().config.state.join("receipts")] {
            let _ = fs::remove_dir_all(folder);
        }
        let laid = failures.lay(&world.state("north").join("main-journal"));
        let verified = world.daemon("north").verify_main_journal().await;
        let said = failures.said(&laid);
        match &verified {
            Ok(verified) => assert_eq!(verified[..], whole, "{said}"),
            Err(error) => assert_named(error, &laid, &said),
        }
        let has_failed = failures.take(&world.state("north"), laid);
        let again = world.daemon("north").verify_main_journal().await;
        let again = again.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        assert_eq!((again.len(), again[0].size), (1, 3), "{said}");
        if !has_failed {
            return failures.end(OF_MAINS_LOG);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_of_mains_fails_while_it_keeps_a_receipt_the_partner_shows_it_again() {
    let (world, month) = where_main_writes().await;
    let state = world.hub().config.state.clone();
    let mut failures = Failures::of("keeping a receipt");
    loop {
        for folder in [world.state("north").join("main-journal"), state.join("receipts")] {
            let _ = fs::remove_dir_all(folder);
        }
        let laid = failures.lay(&state.join("receipts"));
        let verified = world.daemon("north").verify_main_journal().await;
        let said = failures.said(&laid);
        let has_failed = failures.take(&state, laid);
        assert!(verified.is_ok() || has_failed, "{said}");
        let again = world.daemon("north").verify_main_journal().await;
        let again = again.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        assert_eq!(again[0].size, 3, "{said}");
        assert!(state.join(format!("receipts/north/{month}.json")).is_file(), "{said}: main has no receipt");
        if !has_failed {
            return failures.end(OF_A_RECEIPT);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_a_forked_log_is_refused_nothing_is_cosigned_and_it_is_refused_for_good() {
    let (world, month) = where_main_writes().await;
    world.daemon("north").verify_main_journal().await.unwrap();
    world.fork_mains_log("north", month);
    let receipt = world.daemon("north").main_journal().dir(month).join("cosigned");
    let mut failures = Failures::of("refusing main's log");
    loop {
        let _ = fs::remove_dir_all(world.state("north").join("main-journal/refusals"));
        let laid = failures.lay(&world.state("north").join("main-journal"));
        let refused = world.daemon("north").verify_main_journal().await.unwrap_err();
        let said = failures.said(&laid);
        if !is_refusal(&refused) {
            assert_named(&refused, &laid, &said);
        }
        let has_failed = failures.take(&world.state("north"), laid);
        let again = world.daemon("north").verify_main_journal().await.unwrap_err();
        assert!(is_refusal(&again), "{said}: {}", told(&again));
        assert_eq!(world.daemon("north").main_journal().refusals().standing().unwrap().len(), 1, "{said}");
        assert!(!receipt.exists(), "{said}: it was cosigned");
        if !has_failed {
            return failures.end(IN_A_REFUSAL);
        }
    }
}

fn is_refusal(error: &MainJournalError) -> bool {
    matches!(error, MainJournalError::Refused { .. } | MainJournalError::Stands(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_a_statement_is_disputed_and_answered_both_ends_come_to_know_the_same() {
    let contract = Contract::inherited().fees(DISPUTABLE);
    let mut world = World::new().main_page("/about/", "We mend lamps.").contract("north", contract).start().await;
    world.go_live("north").await;
    world.get("north", "/about/").await;
    let month = log_before(&mut world, 2).await;
    issue(&world, month).await;
    let file = world.state("north").join(format!("statements/{month}.dispute.json"));
    take_dispute(&world, month).await;
    dispute(&world, month, &file).await;
    answer(&world, month, &file).await;
}

/// Lets main take the dispute, again and again, until no write of its trail is left to fail.
async fn take_dispute(world: &World, month: Month) {
    let state = world.hub().config.state.clone();
    let mut failures = Failures::of("taking a dispute");
    loop {
        let laid = failures.lay(&state.join("trail"));
        let disputed = world.daemon("north").dispute(month, "too much", Timestamp::now()).await;
        let said = failures.said(&laid);
        let has_failed = failures.take(&state, laid);
        assert!(world.hub().own_trail().is_ok(), "{said}");
        assert_eq!(world.hub().database.disputes().await.unwrap().len(), usize::from(disputed.is_ok()), "{said}");
        if !has_failed {
            assert!(disputed.is_ok(), "{said}: {disputed:?}");
            return failures.end(IN_MAINS_TRAIL);
        }
    }
}

/// Disputes the statement, again and again, until no write is left to fail.
async fn dispute(world: &World, month: Month, file: &std::path::Path) {
    let (state, now) = (world.state("north"), Timestamp::now());
    let mut failures = Failures::of("disputing");
    loop {
        let _ = fs::remove_file(file);
        let _ = fs::remove_file(file.with_file_name(format!("{month}.claim.json")));
        let laid = failures.lay_sparing(&state, &state.join("journal"));
        let disputed = world.daemon("north").dispute(month, "too much", now).await;
        let said = failures.said(&laid);
        match &disputed {
            Ok(dispute) => assert_eq!(world.daemon("north").disputed(month).unwrap().as_ref(), Some(dispute), "{said}"),
            Err(error) => assert_named(error, &laid, &said),
        }
        let has_failed = failures.take(&state, laid);
        let again = world.daemon("north").dispute(month, "too much", now).await;
        let again = again.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        let known = world.hub().database.disputes().await.unwrap();
        assert_eq!(known.iter().map(|(_, known)| known).collect::<Vec<_>>(), [&again], "{said}");
        if !has_failed {
            return failures.end(IN_A_DISPUTE);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_entries_are_struck_out_both_ends_come_to_agree() {
    let contract = Contract::inherited().fees(DISPUTABLE);
    let mut world =
        Box::pin(World::new().main_page("/about/", "We mend lamps.").contract("north", contract).start()).await;
    Box::pin(world.go_live("north")).await;
    world.get("north", "/about/").await;
    let month = Box::pin(log_before(&mut world, 2)).await;
    let strike = take_strike(&world, month).await;
    answer_strike(&world, &strike).await;
}

/// Lets main propose a strike, again and again, until no write of the partner's is left to fail.
async fn take_strike(world: &World, month: Month) -> Strike {
    let (state, north) = (world.state("north"), row(world, "north").await);
    let entries = "1".parse().unwrap();
    let mut failures = Failures::of("proposing a strike");
    loop {
        let _ = fs::remove_dir_all(state.join("statements"));
        let laid = failures.lay_sparing(&state, &state.join("journal"));
        let proposed = world.hub().propose_strike(&north, month, (&entries, "tests"), Timestamp::now()).await;
        let said = failures.said(&laid);
        if let Err(error) = &proposed {
            assert_told(&told(error), &laid, &said);
        }
        let has_failed = failures.take(&state, laid);
        let again = world.hub().propose_strike(&north, month, (&entries, "tests"), Timestamp::now()).await;
        let again = again.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        assert_eq!(world.daemon("north").strikes().unwrap(), [KeptStrike::proposed(again.clone())], "{said}");
        if !has_failed {
            failures.end(IN_A_STRIKE);
            return again;
        }
    }
}

/// Answers the strike, again and again, until no write of the partner's is left to fail.
async fn answer_strike(world: &World, strike: &Strike) {
    let (state, name, words) = (world.state("north"), strike.digest().to_string(), (Decision::Accepted, "yes"));
    let file = state.join("statements/strikes.json");
    let proposed = fs::read(&file).unwrap();
    let mut failures = Failures::of("answering a strike");
    loop {
        fs::write(&file, &proposed).unwrap();
        let laid = failures.lay_sparing(&state, &state.join("journal"));
        let answered = world.daemon("north").answer_strike(&name, words, Timestamp::now()).await;
        let said = failures.said(&laid);
        if let Err(error) = &answered {
            assert_named(error, &laid, &said);
        }
        let has_failed = failures.take(&state, laid);
        let again = world.daemon("north").answer_strike(&name, words, Timestamp::now()).await;
        let again = again.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        assert!(again.takes_effect() && world.daemon("north").strikes().unwrap() == [again], "{said}");
        assert!(world.hub().database.strikes_of(&"north".parse().unwrap()).await.unwrap()[0].takes_effect(), "{said}");
        if !has_failed {
            return failures.end(IN_ITS_ANSWER);
        }
    }
}

/// Main is told which file failed, or that the partner's own log says it.
fn assert_told(words: &str, laid: &FailingWrites, said: &str) {
    let is_named = laid.failed().iter().any(|path| names(words, path));
    assert!(is_named || BRIEFLY.iter().any(|brief| words.contains(brief)), "{said}: {words}");
}

/// Lets main answer, again and again, until no write of the partner's is left to fail.
async fn answer(world: &World, month: Month, file: &std::path::Path) {
    let (state, north, disputed) = (world.state("north"), row(world, "north").await, fs::read(file).unwrap());
    let words = (Decision::Rejected, "we count two");
    let mut failures = Failures::of("answering");
    loop {
        fs::write(file, &disputed).unwrap();
        let laid = failures.lay_sparing(&state, &state.join("journal"));
        let ruled = world.hub().rule(&north, month, words, Timestamp::now()).await;
        let said = failures.said(&laid);
        if let Err(error) = &ruled {
            assert_told(&told(error), &laid, &said);
        }
        let has_failed = failures.take(&state, laid);
        let again = world.hub().rule(&north, month, words, Timestamp::now()).await;
        let again = again.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        assert_eq!(world.daemon("north").disputed(month).unwrap().unwrap().ruling, Some(again), "{said}");
        if !has_failed {
            return failures.end(IN_AN_ANSWER);
        }
    }
}
