//! Entries that both sides agree to leave out: proposed by either, answered by the other, in both trails, and corrected
//! where the month was issued.

use std::path::Path;

use jiff::Timestamp;
use tieup_hub::refusals::Settlement;
use tieup_hub::rollups::Standing;
use tieup_hub::strikes::StrikeError;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::audit::Event;
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{Claim, Decision};
use tieup_protocol::period::Month;
use tieup_protocol::strike::{
    Checkpoint, KeptStrike, Numbers, PUT_ASIDE, Party, STRIKES, Strike, StrikeAnswer, StrikeRefused, TELLING, Untaken,
};
use tieup_protocol::wire::{Cause, STATEMENT, StatementNotice, StatementVerdict};
use tieup_store::journal::month_dir;
use tieup_syncd::identity::Identity;
use tieup_syncd::strikes::StrikeError as Refused;
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::{World, assert_says, told};

use crate::disputes::falsify;
use crate::periods::start;
use crate::placements::tieup;
use tieup_tests::issuing::{issue, issue_at, log_before, log_in, log_uncollected, row};

/// A partner with six visits two months before at 10 yen each, and one now. Returns that month.
async fn visited() -> (World, Month) {
    let mut world = Box::pin(start()).await;
    world.get("north", "/about/").await;
    let month = Box::pin(log_before(&mut world, 6)).await;
    (world, month)
}

fn numbers(text: &str) -> Numbers {
    text.parse().unwrap()
}

/// Main proposes, and the partner answers.
pub(crate) async fn main_strikes(world: &World, month: Month, entries: &str, decision: Decision) -> Digest {
    let north = row(world, "north").await;
    let words = (&numbers(entries), "a test of our own");
    let proposed = world.hub().propose_strike(&north, month, words, Timestamp::now()).await;
    let strike = proposed.unwrap_or_else(|error| panic!("{}", told(&error)));
    let name: String = strike.digest().hex().chars().take(12).collect();
    let answer = world.daemon("north").answer_strike(&name, (decision, "as you say"), Timestamp::now()).await;
    answer.unwrap_or_else(|error| panic!("{}", told(&error)));
    strike.digest()
}

async fn mains(world: &World) -> Vec<KeptStrike> {
    world.hub().database.strikes().await.unwrap().into_iter().map(|(_, kept)| kept).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_both_sides_strike_out_stands_in_both_trails_and_corrects_an_issued_month() {
    let (world, month) = visited().await;
    let (issued, _) = issue(&world, month).await;
    assert_says(&issued.statement, &["total:           60 JPY"]);
    let strike = main_strikes(&world, month, "1,3-4", Decision::Accepted).await;
    let due = world.hub().due_counting().await.unwrap();
    assert!(due.is_empty(), "{due:?}");
    world.hub().plan_counting(&row(&world, "north").await, month).await.unwrap();
    let due = world.hub().due_counting().await.unwrap();
    assert!(due.iter().any(|day| day.period.month() == month), "it is still told that all is counted");
    main_strikes(&world, month, "5", Decision::Rejected).await;
    for trail in [world.hub().own_trail().unwrap(), world.daemon("north").publisher().audit_entries().unwrap()] {
        let of = |what| trail.iter().filter(move |entry| entry.what == what).filter_map(|entry| entry.reason.as_ref());
        assert_says(
            of(Event::StrikeProposed).next().unwrap(),
            &[&strike.to_string(), "entries 1,3-4: a test of our own"],
        );
        assert_says(of(Event::StrikeAnswered).next().unwrap(), &[&strike.to_string(), "accepted: as you say"]);
        assert_eq!((of(Event::StrikeProposed).count(), of(Event::StrikeAnswered).count()), (2, 2));
    }
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(
        &later.statement,
        &["entries were struck out: 60 was charged, 30 is right", "due:             -20 JPY"],
    );
    assert_eq!((later.revisions[0].cause, &later.revisions[0].strikes[..]), (Cause::StruckEntries, &[strike][..]));
    assert_eq!(issue(&world, month).await, (issued, StatementVerdict::Identical), "what was issued has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_partner_proposes_takes_effect_once_main_has_agreed_and_told_it() {
    let (world, month) = visited().await;
    let (north, daemon) = (row(&world, "north").await, world.daemon("north"));
    let words = (&numbers("0,5"), "our own robot");
    let proposed = daemon.propose_strike(month, words, Timestamp::now()).await;
    let proposed = proposed.unwrap_or_else(|error| panic!("{}", told(&error)));
    let again = daemon.propose_strike(month, words, Timestamp::now()).await.unwrap();
    assert_eq!((again, mains(&world).await), (proposed.clone(), vec![proposed.clone()]));
    let name = proposed.strike.digest().to_string();
    let own = daemon.answer_strike(&name, (Decision::Accepted, "we agree"), Timestamp::now()).await.unwrap_err();
    assert!(matches!(own, Refused::Refused(StrikeRefused::OwnSide)), "{own}");
    let before = world.hub().made(&north, month).await.unwrap().0;
    assert_eq!((before.statement.total.minor(), before.counted.left_out.struck), (60, 0));

    let words = (Decision::Accepted, "so do we");
    world.hub().answer_strike(&north, &name, words, Timestamp::now()).await.unwrap();
    let (notice, verdict) = issue(&world, month).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", notice.statement);
    assert_says(&notice.statement, &["total:           40 JPY"]);
    assert_eq!(notice.strikes, [proposed.strike.digest()]);
    assert_eq!(world.hub().made(&north, month).await.unwrap().0.counted.left_out.struck, 2);
    assert_eq!(world.hub().verify_rollup(&north, month).await.unwrap(), Standing::Agrees(6));
    assert_eq!(daemon.locate(month).await.unwrap(), None);
    let other = world.hub().answer_strike(&north, &name, (Decision::Rejected, "no"), Timestamp::now()).await;
    assert!(matches!(other.unwrap_err(), StrikeError::Refused(StrikeRefused::Answered(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_not_there_and_strikes_that_nobody_agreed_on_are_refused() {
    let (world, month) = visited().await;
    let north = row(&world, "north").await;
    let beyond = world.hub().propose_strike(&north, month, (&numbers("6"), "x"), Timestamp::now()).await.unwrap_err();
    assert_says(&told(&beyond), &["names entry 6, and there are 6"]);
    assert!(mains(&world).await.is_empty());
    let proposed = world.hub().propose_strike(&north, month, (&numbers("2"), "x"), Timestamp::now()).await.unwrap();
    let draft = world.hub().statement(&north, month, Timestamp::now()).await.unwrap();
    assert_says(&draft.notice.statement, &["total:           60 JPY"]);
    let forged = StatementNotice { strikes: vec![proposed.digest()], ..draft.notice };
    let error = world.call("north").await.post::<StatementVerdict>(STATEMENT, &forged).await.unwrap_err();
    assert_says(&told(&error), &["is not agreed on here"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_main_never_heard_is_told_again_by_itself() {
    let (mut world, month) = visited().await;
    let north = row(&world, "north").await;
    let proposed = world.hub().propose_strike(&north, month, (&numbers("2"), "x"), Timestamp::now()).await.unwrap();
    let name = proposed.digest().to_string();
    let kept = std::fs::read(world.state("north").join("identity.json")).unwrap();
    // Where nobody answers.
    let nowhere = |state: &Path| {
        let identity = Identity { hub: Some("127.0.0.1:1".to_owned()), ..Identity::load(state).unwrap() };
        std::fs::write(state.join("identity.json"), serde_json::to_vec(&identity).unwrap()).unwrap();
    };
    Box::pin(world.restart_after("north", nowhere)).await;
    let words = (Decision::Accepted, "as you say");
    let error = world.daemon("north").answer_strike(&name, words, Timestamp::now()).await.unwrap_err();
    assert!(matches!(error, Refused::Call(_)), "{error}");
    assert!(world.daemon("north").tell_answers(&mut Untaken::default(), Timestamp::now()).await.is_err());
    assert!(!mains(&world).await[0].is_agreed());
    let back = |state: &Path| std::fs::write(state.join("identity.json"), kept).unwrap();
    Box::pin(world.restart_after("north", back)).await;
    let untold = world.daemon("north").strikes().unwrap();
    for _ in 0..2 {
        world.daemon("north").tell_answers(&mut Untaken::default(), Timestamp::now()).await.unwrap();
        let (here, there) = (world.daemon("north").strikes().unwrap(), mains(&world).await);
        assert!(there[0].takes_effect() && here[0].takes_effect() && here[0].answer == untold[0].answer);
    }
    let trail = world.hub().own_trail().unwrap();
    assert_eq!(trail.iter().filter(|entry| entry.what == Event::StrikeAnswered).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_partner_never_heard_is_told_again_by_itself() {
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    let north = row(&world, "north").await;
    let proposed = world.daemon("north").propose_strike(month, (&numbers("0"), "x"), Timestamp::now()).await.unwrap();
    let asked = ("our own test", Some(&numbers("1")));
    world.daemon("north").dispute_striking(month, asked, Timestamp::now()).await.unwrap();
    let name = proposed.strike.digest().to_string();
    let halted = world.halt("north").await;
    let accepted = (Decision::Accepted, "as you say");
    let error = world.hub().answer_strike(&north, &name, accepted, Timestamp::now()).await.unwrap_err();
    assert!(matches!(error, StrikeError::Call(_)), "{error}");
    assert!(world.hub().rule(&north, month, accepted, Timestamp::now()).await.is_err());
    assert!(world.hub().tell_answers(&north, &mut Untaken::default(), Timestamp::now()).await.is_err());
    assert!(mains(&world).await.iter().all(|kept| kept.is_agreed() && !kept.takes_effect()));
    Box::pin(world.resume(halted)).await;
    assert!(!world.daemon("north").strikes().unwrap()[0].is_agreed());
    for _ in 0..2 {
        world
            .hub()
            .tell_answers(&north, &mut Untaken::default(), Timestamp::now())
            .await
            .unwrap_or_else(|error| panic!("{}", told(&error)));
        let (mut here, mut there) = (world.daemon("north").strikes().unwrap(), mains(&world).await);
        assert!(there.len() == 2 && there.iter().chain(&here).all(KeptStrike::takes_effect), "{there:?} {here:?}");
        let by_digest = |kept: &KeptStrike| kept.strike.digest();
        here.sort_by_key(by_digest);
        there.sort_by_key(by_digest);
        assert!(here.iter().zip(&there).all(|(here, there)| here.answer == there.answer));
    }
    let trail = world.daemon("north").publisher().audit_entries().unwrap();
    let answers = [Event::StrikeAnswered, Event::DisputeAnswered];
    assert_eq!(answers.map(|what| trail.iter().filter(|entry| entry.what == what).count()), [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strike_means_the_entries_under_its_checkpoint_and_no_others() {
    let (world, month) = visited().await;
    let (notice, verdict) = issue(&world, month).await;
    let (north, daemon) = (row(&world, "north").await, world.daemon("north"));
    let strike = daemon.propose_strike(month, (&numbers("2"), "x"), Timestamp::now()).await.unwrap().strike;
    let checkpoint = strike.checkpoint.clone().unwrap();
    assert_eq!(checkpoint.size, 6);
    let with = |checkpoint| Strike { checkpoint, reason: "y".to_owned(), ..strike.clone() };
    let of = |size, root: &str| with(Some(Checkpoint { size, root: root.to_owned() }));
    let cases = [
        (with(None), "names no checkpoint of the log"),
        (of(6, "another root"), "the first 6 entries of the log are not here those that it is of"),
        (of(5, &checkpoint.root), "the first 5 entries of the log are not here those that it is of"),
        (of(7, &checkpoint.root), "there are 6 here that both sides have signed"),
        (of(2, &checkpoint.root), "names entry 2, and there are 2"),
    ];
    let statement = Digest::of(notice.statement.as_bytes());
    for (wrong, why) in cases {
        let of_main = Strike { by: Party::Main, ..wrong.clone() };
        let error = world.call("north").await.post::<()>(STRIKES, &of_main).await.unwrap_err();
        assert_says(&told(&error), &[why]);
        let (reason, verdict) = ("y".to_owned(), verdict.clone());
        let claim = Claim { period: month.into(), statement, reason, verdict, located: None, strike: Some(wrong) };
        let error = world.hub().open_dispute(&north, claim, Timestamp::now()).await.unwrap_err();
        assert_says(&told(&error), &[why]);
    }
    assert_eq!((mains(&world).await.len(), daemon.strikes().unwrap().len()), (1, 1));

    // Main's copy is damaged: it is not taken for another log, of which what was agreed on would not be.
    let name = strike.digest().to_string();
    world.hub().answer_strike(&north, &name, (Decision::Accepted, "yes"), Timestamp::now()).await.unwrap();
    let struck = async || world.hub().made(&north, world.month("north")).await.unwrap().1.revisions;
    assert_eq!(struck().await[0].strikes, [strike.digest()]);
    falsify(&month_dir(&world.mirrors("north"), month), &world.state("north"), month, 4);
    let error = world.hub().made(&north, world.month("north")).await.unwrap_err();
    let why = ["the first 6 entries of the journal", "not those that were cosigned: put it back from a backup"];
    assert_says(&told(&error), &why);
    let kept = mains(&world).await;
    let without = world.hub().without_effect(&north, &kept).await.unwrap();
    let untold = "whether it has effect cannot be told";
    assert_says(&without[&strike.digest()], &[untold, why[0]]);
    // Nor is the partner's.
    let state = world.state("north");
    falsify(&JournalOnDisk::open(&state, month).dir, &state, month, 4);
    let without = daemon.without_effect(&daemon.strikes().unwrap()).unwrap();
    assert_says(&without[&strike.digest()], &[untold, &format!("the journal of {month} does not verify")]);
}

/// Lets the partner have another log of `month`, with the first so many `entries` of which one is another. Main puts its copy
/// aside for it.
async fn put_aside(world: &mut World, month: Month, entries: usize) {
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
    let (north, now) = (row(world, "north").await, Timestamp::now());
    world.hub().settle_journal(&north.id, month, Settlement::PutAside, "its disk was lost", now).unwrap();
    world.collect("north").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_corrected_by_the_log_that_came_in_the_place_of_its_own_however_short_that_is() {
    // Six visits at 10 yen were charged. Of the log in the place of that four are left, and no strike was ever agreed on.
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    Box::pin(put_aside(&mut world, month, 4)).await;
    Box::pin(log_in(&mut world, month.next(), 1)).await;
    let (later, verdict) = issue_at(&world, month.next(), Timestamp::now()).await;
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
    // Another one takes the place of that, with as many visits, and is looked at.
    Box::pin(put_aside(&mut world, month, 4)).await;
    let (last, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", last.statement);
    assert_says(&last.statement, &["the log was put aside for another: 40 was charged, 40 is right"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_partner_has_logged_since_main_collected_does_not_hide_that_its_log_is_another() {
    // Six visits at 10 yen were charged; of the log in the place of that four are left, and are charged for.
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    Box::pin(put_aside(&mut world, month, 4)).await;
    Box::pin(log_in(&mut world, month.next(), 1)).await;
    let (later, _) = issue_at(&world, month.next(), Timestamp::now()).await;
    assert_says(&later.statement, &["the log was put aside for another: 60 was charged, 40 is right"]);
    // The one in the place of that has three, and more than four by the time that the next statement comes.
    Box::pin(put_aside(&mut world, month, 3)).await;
    Box::pin(log_uncollected(&mut world, month, 5)).await;
    let (last, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", last.statement);
    assert_says(&last.statement, &["the log was put aside for another: 40 was charged, 30 is right"]);
    // What main collects then is charged for as what came late.
    world.collect("north").await;
    assert_eq!(issue(&world, world.month("north")).await, (last, StatementVerdict::Identical));
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

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_dispute_strikes_out_what_it_asked_for() {
    let (world, month) = visited().await;
    issue(&world, month).await;
    let (north, daemon) = (row(&world, "north").await, world.daemon("north"));
    let asked = ("these two were our own tests", Some(&numbers("2-3")));
    let dispute = daemon.dispute_striking(month, asked, Timestamp::now()).await;
    let dispute = dispute.unwrap_or_else(|error| panic!("{}", told(&error)));
    assert!(mains(&world).await.is_empty(), "it took effect before it was answered");
    let words = (Decision::Accepted, "so they were");
    world.hub().rule(&north, month, words, Timestamp::now()).await.unwrap();
    let strike = dispute.claim.strike.unwrap();
    assert_eq!(mains(&world).await.iter().map(|kept| &kept.strike).collect::<Vec<_>>(), [&strike]);
    assert!(daemon.strikes().unwrap()[0].is_agreed());
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(&later.statement, &["a dispute was decided: 60 was charged, 40 is right", "due:             -10 JPY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_cannot_overwrite_a_strike_that_was_agreed_on() {
    let (world, month) = visited().await;
    let (notice, verdict) = issue(&world, month).await;
    let (north, daemon) = (row(&world, "north").await, world.daemon("north"));
    let proposed = daemon.propose_strike(month, (&numbers("2-3"), "tests"), Timestamp::now()).await.unwrap();
    let name = proposed.strike.digest().to_string();
    world.hub().answer_strike(&north, &name, (Decision::Accepted, "yes"), Timestamp::now()).await.unwrap();
    let agreed = mains(&world).await;
    assert!(agreed[0].takes_effect());
    let (statement, reason) = (Digest::of(notice.statement.as_bytes()), "these, too".to_owned());
    let claim =
        Claim { period: month.into(), statement, reason, verdict, located: None, strike: Some(proposed.strike) };
    let error = world.hub().open_dispute(&north, claim, Timestamp::now()).await.unwrap_err();
    assert_says(&told(&error), &["is known already"]);
    assert_eq!(mains(&world).await, agreed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_whose_answer_was_lost_is_made_again_with_the_same_words() {
    let (world, month) = visited().await;
    issue(&world, month).await;
    let daemon = world.daemon("north");
    let asked = ("our own tests", Some(&numbers("2-3")));
    let dispute = daemon.dispute_striking(month, asked, Timestamp::now()).await.unwrap();
    let kept = world.state("north").join(format!("statements/{month}.dispute.json"));
    std::fs::remove_file(&kept).unwrap();
    let again = daemon.dispute_striking(month, asked, Timestamp::now()).await;
    assert_eq!(again.unwrap_or_else(|error| panic!("{}", told(&error))), dispute);
    assert!(kept.is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_that_nobody_can_take_any_more_is_proposed_anew() {
    let (world, month) = visited().await;
    let (north, daemon) = (row(&world, "north").await, world.daemon("north"));
    let file = world.state("north").join("statements/strikes.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let (reason, now) = ("x".to_owned(), Timestamp::now());
    let another = Some(Checkpoint { size: 6, root: "of a log that was put aside".to_owned() });
    let cases = [
        ("0", Party::Main, None),
        ("1", Party::Main, another.clone()),
        ("2", Party::Partner, None),
        ("3", Party::Partner, another),
    ];
    for (entries, by, checkpoint) in cases {
        // Both sides have kept it from before.
        let (log, words) = (format!("lampworks/north/{month}"), numbers(entries));
        let strike =
            Strike { month, log, checkpoint, entries: words.clone(), reason: reason.clone(), by, proposed: now };
        let stale = KeptStrike::proposed(strike);
        assert!(world.hub().database.change_strike(&north.id, None, &stale).await.unwrap());
        let known = [daemon.strikes().unwrap(), vec![stale]].concat();
        std::fs::write(&file, serde_json::to_vec(&known).unwrap()).unwrap();
        match by {
            Party::Main => drop(world.hub().propose_strike(&north, month, (&words, &reason), now).await.unwrap()),
            Party::Partner => drop(daemon.propose_strike(month, (&words, &reason), now).await.unwrap()),
        }
        let of = |known: Vec<KeptStrike>| known.into_iter().filter(|kept| kept.strike.entries == words).collect();
        let (here, there): (Vec<_>, Vec<_>) = (of(daemon.strikes().unwrap()), of(mains(&world).await));
        assert_eq!(here, there);
        let [KeptStrike { strike, .. }] = here.as_slice() else { panic!("{here:?}") };
        assert!(strike.checkpoint.as_ref().is_some_and(|of| of.size == 6 && !of.root.contains("aside")), "{strike:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_proposal_that_was_replaced_is_dropped_and_the_new_one_waits() {
    let (world, month) = visited().await;
    let (north, daemon, now) = (row(&world, "north").await, world.daemon("north"), Timestamp::now());
    let file = world.state("north").join("statements/strikes.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    for (entries, by) in [("0", Party::Main), ("1", Party::Partner)] {
        // Both have kept it from before, one has answered it, and the other has not heard that.
        let (log, words, reason) = (format!("lampworks/north/{month}"), numbers(entries), "x".to_owned());
        let strike =
            Strike { month, log, checkpoint: None, entries: words.clone(), reason: reason.clone(), by, proposed: now };
        let stale = KeptStrike::proposed(strike);
        let strike = stale.strike.digest();
        let answer = StrikeAnswer { strike, decision: Decision::Accepted, answer: "yes".to_owned(), decided: now };
        let answered = KeptStrike { answer: Some(answer), ..stale.clone() };
        let (here, there) = if by == Party::Main { (&answered, &stale) } else { (&stale, &answered) };
        assert!(world.hub().database.change_strike(&north.id, None, there).await.unwrap());
        let known = [daemon.strikes().unwrap(), vec![here.clone()]].concat();
        std::fs::write(&file, serde_json::to_vec(&known).unwrap()).unwrap();
        // The other renews its proposal. The answer to the first finds nothing there.
        let mut untaken = Untaken::default();
        match by {
            Party::Main => {
                world.hub().propose_strike(&north, month, (&words, &reason), now).await.unwrap();
                daemon.tell_answers(&mut untaken, now).await.unwrap();
            }
            Party::Partner => {
                daemon.propose_strike(month, (&words, &reason), now).await.unwrap();
                let told = world.hub().tell_answers(&north, &mut untaken, now).await;
                told.unwrap_or_else(|error| panic!("{error}"));
            }
        }
        let of = |known: Vec<KeptStrike>| known.into_iter().filter(|kept| kept.strike.entries == words).collect();
        let (here, there): (Vec<_>, Vec<_>) = (of(daemon.strikes().unwrap()), of(mains(&world).await));
        assert_eq!(here, there);
        assert!(matches!(here.as_slice(), [kept] if kept.answer.is_none()), "{here:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_dropped_is_told_once_in_the_trail() {
    let (world, month) = visited().await;
    let (north, daemon, now) = (row(&world, "north").await, world.daemon("north"), Timestamp::now());
    let yes = (Decision::Accepted, "yes");
    // Main has lost its proposal, and the operator's answer is told twice at once.
    let by_main = world.hub().propose_strike(&north, month, (&numbers("0"), "x"), now).await.unwrap();
    world.hub().database.drop_strike(&north.id, &KeptStrike::proposed(by_main.clone())).await.unwrap();
    let name = by_main.digest().to_string();
    let (one, other) = tokio::join!(daemon.answer_strike(&name, yes, now), daemon.answer_strike(&name, yes, now));
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert!(matches!(error, Refused::Withdrawn(_)), "{error}");
    }
    assert!(daemon.strikes().unwrap().is_empty());
    let trail = daemon.publisher().audit_entries().unwrap();
    let told = trail.iter().filter_map(|entry| entry.reason.as_ref());
    assert_eq!(told.filter(|reason| reason.contains("the answer is dropped")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_dispute_that_the_partner_never_heard_is_told_again_by_itself() {
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    let north = row(&world, "north").await;
    world.daemon("north").dispute(month, "too much", Timestamp::now()).await.unwrap();
    let halted = world.halt("north").await;
    let words = (Decision::Rejected, "it is what you have signed");
    assert!(world.hub().rule(&north, month, words, Timestamp::now()).await.is_err());
    Box::pin(world.resume(halted)).await;
    let answered = |world: &World| world.daemon("north").disputed(month).unwrap().unwrap().ruling;
    assert_eq!(answered(&world), None);
    // What was told in vain waits until it is due; what was told is not told again.
    let (mut untaken, now) = (Untaken::default(), Timestamp::now());
    let statement = world.daemon("north").disputed(month).unwrap().unwrap().claim.statement;
    untaken.told(statement, now);
    world.hub().tell_answers(&north, &mut untaken, now).await.unwrap();
    assert_eq!(answered(&world), None);
    world.hub().tell_answers(&north, &mut untaken, now + TELLING).await.unwrap();
    assert_eq!(answered(&world).map(|ruling| ruling.answer).as_deref(), Some(words.1));
    let disputes = world.hub().database.disputes_of(&north.id).await.unwrap();
    assert!(disputes[0].untold().is_none(), "{disputes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_effect_is_not_dropped_where_the_other_side_has_lost_it() {
    let (world, month) = visited().await;
    let (north, daemon, now) = (row(&world, "north").await, world.daemon("north"), Timestamp::now());
    let by_main = main_strikes(&world, month, "1", Decision::Accepted).await.to_string();
    let proposed = daemon.propose_strike(month, (&numbers("2"), "x"), now).await.unwrap();
    let by_partner = proposed.strike.digest().to_string();
    let accepted = (Decision::Accepted, "as you say");
    world.hub().answer_strike(&north, &by_partner, accepted, now).await.unwrap();
    let (here, there) = (daemon.strikes().unwrap(), mains(&world).await);
    assert!(there.len() == 2 && there.iter().all(KeptStrike::takes_effect));
    // The partner has lost its state, and the operators give their answers once more.
    let file = world.state("north").join("statements/strikes.json");
    std::fs::remove_file(&file).unwrap();
    let error = world.hub().answer_strike(&north, &by_partner, accepted, now).await.unwrap_err();
    assert!(matches!(error, StrikeError::Call(_)), "{error}");
    assert_eq!(mains(&world).await, there);
    // And so has main.
    std::fs::write(&file, serde_json::to_vec(&here).unwrap()).unwrap();
    for kept in &there {
        world.hub().database.drop_strike(&north.id, kept).await.unwrap();
    }
    let error = daemon.answer_strike(&by_main, accepted, now).await.unwrap_err();
    assert!(matches!(error, Refused::Call(_)), "{error}");
    assert_eq!(daemon.strikes().unwrap(), here);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_dispute_that_the_partner_has_lost_is_not_told_for_ever() {
    let (mut world, month) = visited().await;
    issue(&world, month).await;
    let north = row(&world, "north").await;
    world.daemon("north").dispute(month, "too much", Timestamp::now()).await.unwrap();
    let halted = world.halt("north").await;
    assert!(world.hub().rule(&north, month, (Decision::Rejected, "no"), Timestamp::now()).await.is_err());
    std::fs::remove_file(halted.config.state.join(format!("statements/{month}.dispute.json"))).unwrap();
    Box::pin(world.resume(halted)).await;
    let mut untaken = Untaken::default();
    // The claim is there, and is enough: main's answer to that may have been lost alone.
    let claim = world.state("north").join(format!("statements/{month}.claim.json"));
    world.hub().tell_answers(&north, &mut untaken, Timestamp::now()).await.unwrap();
    let known = world.daemon("north").disputed(month).unwrap().unwrap();
    assert_eq!(known.ruling.map(|ruling| ruling.answer).as_deref(), Some("no"));
    // Neither is.
    std::fs::remove_file(&claim).unwrap();
    std::fs::remove_file(world.state("north").join(format!("statements/{month}.dispute.json"))).unwrap();
    let error = world.hub().rule(&north, month, (Decision::Rejected, "no"), Timestamp::now()).await.unwrap_err();
    assert_says(&told(&error), &["has lost what it knew of its dispute"]);
    let disputes = world.hub().database.disputes_of(&north.id).await.unwrap();
    assert!(disputes[0].untold().is_none(), "{disputes:?}");
}
