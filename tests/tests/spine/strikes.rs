//! Entries that both sides agree to leave out: proposed by either, answered by the other, in both trails, and corrected
//! where the month was issued.

use jiff::Timestamp;
use tieup_hub::rollups::Standing;
use tieup_hub::strikes::StrikeError;
use tieup_protocol::audit::Event;
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{Claim, Decision};
use tieup_protocol::period::Month;
use tieup_protocol::strike::{Checkpoint, KeptStrike, Numbers, Party, STRIKES, Strike, StrikeRefused};
use tieup_protocol::wire::{Cause, STATEMENT, StatementNotice, StatementVerdict};
use tieup_store::journal::month_dir;
use tieup_syncd::strikes::StrikeError as Refused;
use tieup_tests::issuing::{issue, log_before, row};
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::{World, assert_says, told};

use crate::disputes::falsify;
use crate::periods::start;

/// A partner with six visits two months before at 10 yen each, and one now. Returns that month.
pub(crate) async fn visited() -> (World, Month) {
    let mut world = Box::pin(start()).await;
    world.get("north", "/about/").await;
    let month = Box::pin(log_before(&mut world, 6)).await;
    (world, month)
}

pub(crate) fn numbers(text: &str) -> Numbers {
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

/// What main knows of strikes.
pub(crate) async fn mains(world: &World) -> Vec<KeptStrike> {
    world.hub().database.strikes_of(&"north".parse().unwrap()).await.unwrap()
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
