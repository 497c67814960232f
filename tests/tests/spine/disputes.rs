//! Where main's statement and the partner's own part: the first hour and entry are found and proven, and disputed.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tieup_hub::disputes::DisputeError;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::audit::Event;
use tieup_protocol::dispute::{Claim, Decision};
use tieup_protocol::period::Month;
use tieup_protocol::wire::{StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::journal::{InclusionProof, Origin, ProofKeys, SignedText, month_dir};
use tieup_syncd::dispute::DisputeError as Refused;
use tieup_tests::issuing::{closes, issue, issue_by_now, log_before, log_in, row};
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::{Contract, World, assert_says, told};

/// A partner with a live site, six visits two months before, in an hour each, and one now. Returns that month.
pub(crate) async fn visited() -> (World, Month) {
    let disputable = r#"meters: {tie: {views: {class: tieup}}}
charges: {access: {graduated: tie, tiers: [[0, "10"]]}}
dispute: {window: 180d, beacon_tolerance: "2%"}
"#;
    let contract = Contract::inherited().fees(disputable);
    let mut world =
        Box::pin(World::new().main_page("/about/", "We mend lamps.").contract("north", contract).start()).await;
    Box::pin(world.go_live("north")).await;
    world.get("north", "/about/").await;
    let month = Box::pin(log_before(&mut world, 6)).await;
    (world, month)
}

/// Makes entry `number` of the log in `dir` that of a robot; checkpoints and receipts stay as they are.
pub(crate) fn falsify(dir: &Path, state: &Path, month: Month, number: usize) {
    let log = JournalOnDisk { dir: dir.to_owned(), ..JournalOnDisk::open(state, month) };
    let notes = ["checkpoint", "cosigned"].map(|name| (name, fs::read(dir.join(name)).unwrap()));
    let mut entries = log.entries();
    let entry = AccessEntry::decode(&entries[number]).unwrap();
    entries[number] = AccessEntry { robot: 1, ..entry }.encode();
    log.replace(&entries, &log.signer);
    for (name, note) in notes {
        fs::write(dir.join(name), note).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_61_the_first_hour_and_entry_that_differ_are_found_and_proven() {
    let (world, month) = visited().await;
    // Main's copy is no longer what it cosigned: the third and the fifth visit are those of robots there.
    let copy = month_dir(&world.mirrors("north"), month);
    falsify(&copy, &world.state("north"), month, 4);
    falsify(&copy, &world.state("north"), month, 2);
    let (_, verdict) = issue(&world, month).await;
    assert!(matches!(verdict, StatementVerdict::Different { .. }), "{verdict:?}");

    let located = world.daemon("north").locate(month).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    let located = located.expect("both count the same");
    // Entries are an hour apart from the eleventh day on, in Tokyo.
    let expected = month.first_day().at(2, 0, 0, 0).checked_add(jiff::Span::new().days(10)).unwrap();
    assert_eq!((located.hour, located.zone.as_str()), (expected, "Asia/Tokyo"));
    let views = |hour: &Option<tieup_protocol::location::CountedHour>| hour.as_ref().unwrap().tieup;
    assert_eq!((views(&located.main), views(&located.partner)), (0, 1));
    let entry = located.entry.as_ref().unwrap();
    assert_eq!(entry.number, 2);
    assert_ne!(entry.main, entry.partner);
    // Whoever has the keys alone can check who is right.
    let proof: InclusionProof = entry.proof.as_ref().unwrap().parse().unwrap();
    let keys =
        ProofKeys { log: world.journal_key("north"), cosigner: Some(world.hub().keys.cosigner().unwrap().verifier()) };
    let origin = Origin::new(&"lampworks".parse().unwrap(), &"north".parse().unwrap(), month);
    assert_eq!(proof.verify(&origin, &keys).unwrap().size, 6);
    assert_eq!(AccessEntry::decode(&proof.entry).unwrap().robot, 0);
    assert_says(
        &located.to_string(),
        &["is number 2", "stands in the log that both sides signed", "c2sp.org/tlog-proof@v1"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_the_partner_rewrote_is_told_as_that_and_not_as_a_difference() {
    let (mut world, month) = visited().await;
    let halted = world.halt("north").await;
    let state = &halted.config.state;
    falsify(&month_dir(&state.join("journal"), month), state, month, 3);
    world.resume(halted).await;
    let north = row(&world, "north").await;
    let issued = world.hub().issue(&north, month, closes(month)).await.unwrap();
    let error = world.hub().hand_over(&north, issued, closes(month)).await.unwrap_err();
    assert_says(&told(&error), &["does not verify", "both were rewritten, or the checkpoint is of a fork"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn words_alone_differ_in_no_hour() {
    let (world, month) = visited().await;
    let delivered = world.hub().statement(&row(&world, "north").await, month, Timestamp::now()).await.unwrap();
    assert_eq!(world.daemon("north").locate(month).await.unwrap(), None);
    let statement = delivered.notice.statement.replace("60 JPY", "70 JPY");
    assert_ne!(statement, delivered.notice.statement);
    let notice = StatementNotice { statement, status: StatementStatus::Draft, ..delivered.notice };
    let verified = world.daemon("north").take_statement(&notice).unwrap();
    assert!(matches!(verified.verdict, StatementVerdict::Different { .. }));
    assert_eq!(world.daemon("north").locate(month).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_61_a_dispute_and_its_answer_stand_in_both_trails() {
    let (world, month) = visited().await;
    falsify(&month_dir(&world.mirrors("north"), month), &world.state("north"), month, 2);
    let (notice, _) = issue(&world, month).await;
    let (north, daemon) = (row(&world, "north").await, world.daemon("north"));
    let dispute = daemon.dispute(month, "one of our visits is gone", Timestamp::now()).await;
    let dispute = dispute.unwrap_or_else(|error| panic!("{}", told(&error)));
    let located = dispute.claim.located.as_ref().and_then(|located| located.entry.as_ref());
    assert_eq!(located.map(|entry| entry.number), Some(2));
    let known = world.hub().database.disputes().await.unwrap();
    assert_eq!(known, [("north".parse().unwrap(), dispute.clone())]);

    let error = daemon.dispute(month, "and another thing", Timestamp::now()).await.unwrap_err();
    assert_says(&told(&error), &["disputed already"]);
    let words = (Decision::Accepted, "our disk was damaged; we take your entry");
    let ruling = world.hub().rule(&north, month, words, Timestamp::now()).await.unwrap();
    assert_eq!(daemon.disputed(month).unwrap().unwrap().ruling, Some(ruling.clone()));
    assert_eq!(world.hub().rule(&north, month, words, Timestamp::now()).await.unwrap(), ruling, "told again");
    let otherwise = world.hub().rule(&north, month, (Decision::Rejected, "no"), Timestamp::now()).await.unwrap_err();
    assert!(matches!(otherwise, DisputeError::Answered(_)), "{otherwise}");

    let mains = world.hub().own_trail().unwrap();
    let partners = daemon.publisher().audit_entries().unwrap();
    for trail in [mains, partners] {
        let of = |what| trail.iter().filter(move |entry| entry.what == what);
        assert_says(
            of(Event::StatementDisputed).next().unwrap().reason.as_ref().unwrap(),
            &["visits is gone", "entry 2"],
        );
        let answers: Vec<_> = of(Event::DisputeAnswered).collect();
        assert_eq!(answers.len(), 1);
        assert_says(answers[0].reason.as_ref().unwrap(), &["accepted: our disk was damaged"]);
    }
    assert_eq!(issue(&world, month).await.0, notice, "a dispute changed what was issued");
}

/// Issues the statement of `month`, with other words in place of what main counts: as a main would whose program counts
/// wrongly.
async fn put_wrongly(world: &World, month: Month, words: &[(&str, &str)]) -> StatementNotice {
    let (hub, north) = (world.hub(), row(world, "north").await);
    let (_, mut notice) = hub.made(&north, month).await.unwrap();
    for (right, wrong) in [("status:          draft", "status:          final")].iter().chain(words) {
        assert_says(&notice.statement, &[right]);
        notice.statement = notice.statement.replace(right, wrong);
    }
    let signed = SignedText::sign(&notice.statement, &hub.keys.cosigner().unwrap(), closes(month)).unwrap();
    (notice.status, notice.note) = (StatementStatus::Final, Some(signed.note().to_owned()));
    hub.database.put_issued(&north.id, &notice, notice.record).await.unwrap().unwrap()
}

/// The same, and hands it over.
async fn issue_wrongly(world: &World, month: Month, words: &[(&str, &str)]) -> (StatementNotice, StatementVerdict) {
    let (notice, north) = (put_wrongly(world, month, words).await, row(world, "north").await);
    let delivered = world.hub().hand_over(&north, notice.clone(), closes(month)).await;
    (notice, delivered.unwrap_or_else(|error| panic!("not taken:\n{}", told(&error))).verdict)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_main_puts_right_after_a_dispute_is_corrected_by_what_was_charged() {
    let (world, month) = visited().await;
    let (north, daemon) = (row(&world, "north").await, world.daemon("north"));
    // Five of six visits at 10 yen.
    let wrong = [("total:           60 JPY", "total:           50 JPY")];
    let (notice, verdict) = issue_wrongly(&world, month, &wrong).await;
    assert!(matches!(verdict, StatementVerdict::Different { .. }), "{verdict:?}");
    daemon.dispute(month, "one of our visits is gone", Timestamp::now()).await.unwrap();
    let words = (Decision::Accepted, "our program was wrong");
    world.hub().rule(&north, month, words, Timestamp::now()).await.unwrap();
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(&later.statement, &["a dispute was decided: 50 was charged, 60 is right", "due:             20 JPY"]);
    assert_eq!(issue(&world, month).await.0, notice, "what was issued has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_dispute_of_a_month_that_was_corrected_before_is_charged_by_what_both_hold_signed() {
    // A view costs 10 yen. Of the month's 6 views main counts one too few: 5 x 10 = 50 are charged. Two come late, and the
    // next month's statement corrects that, again without the one: 7 x 10 = 70 are right by it, 20 more. The first
    // statement is disputed, main accepts it and counts as it should: 8 x 10 = 80 are right, of which 70 are charged, 10
    // more. Whoever computed what the second statement should have charged would come to 80, and to 0 more.
    let (mut world, month) = visited().await;
    let (first, _) = issue_wrongly(&world, month, &[("total:           60 JPY", "total:           50 JPY")]).await;
    let next = month.next();
    Box::pin(log_in(&mut world, month, 2)).await;
    Box::pin(log_in(&mut world, next, 1)).await;
    // The month after has one view itself: 10, and 20 more.
    let line = |label: &str, amount: &str| format!("  {label:<63} {amount:>18}\n");
    let amounts = [month.to_string().as_str(), "corrections"].map(|label| (line(label, "30"), line(label, "20")));
    let mut wrong: Vec<(&str, &str)> = amounts.iter().map(|(right, wrong)| (right.as_str(), wrong.as_str())).collect();
    wrong.extend([
        ("entries came late: 50 was charged, 80 is right", "entries came late: 50 was charged, 70 is right"),
        ("due:             40 JPY", "due:             30 JPY"),
    ]);
    let (_, verdict) = issue_wrongly(&world, next, &wrong).await;
    // The partner comes to 80.
    assert!(matches!(verdict, StatementVerdict::Different { .. }), "{verdict:?}");

    let (north, now) = (row(&world, "north").await, Timestamp::now());
    world.daemon("north").dispute(month, "one of our visits is gone", now).await.unwrap();
    world.hub().rule(&north, month, (Decision::Accepted, "our program was wrong"), now).await.unwrap();
    let (third, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", third.statement);
    assert_says(&third.statement, &["a dispute was decided: 70 was charged, 80 is right", "due:             20 JPY"]);
    assert_eq!(issue(&world, month).await.0, first, "what was issued has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_main_accepted_is_not_used_up_before_its_copy_is_mended() {
    // Of six visits at 10 yen one is not charged, and it is damaged in main's copy.
    let (world, month) = visited().await;
    let (north, copy) = (row(&world, "north").await, month_dir(&world.mirrors("north"), month));
    let whole = JournalOnDisk { dir: copy.clone(), ..JournalOnDisk::open(&world.state("north"), month) };
    let entries = whole.entries();
    falsify(&copy, &world.state("north"), month, 2);
    issue_wrongly(&world, month, &[("total:           60 JPY", "total:           50 JPY")]).await;
    world.daemon("north").dispute(month, "one of our visits is gone", Timestamp::now()).await.unwrap();
    let words = (Decision::Accepted, "our disk was damaged");
    world.hub().rule(&north, month, words, Timestamp::now()).await.unwrap();
    let next = world.month("north");
    let error = world.hub().issue(&north, next, closes(next)).await.unwrap_err();
    assert_says(&told(&error), &["does not verify here"]);

    let notes = ["checkpoint", "cosigned"].map(|name| (name, fs::read(copy.join(name)).unwrap()));
    whole.replace(&entries, &whole.signer);
    for (name, note) in notes {
        fs::write(copy.join(name), note).unwrap();
    }
    // What was counted of it before is not asked.
    let (later, verdict) = issue(&world, next).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(&later.statement, &["a dispute was decided: 50 was charged, 60 is right"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_changes_no_amount_is_told_once_and_is_closed() {
    // Six visits at 10 yen were charged, and main accepts that it may not be right. It is.
    let (mut world, month) = visited().await;
    let (north, next) = (row(&world, "north").await, month.next());
    issue(&world, month).await;
    Box::pin(log_in(&mut world, next, 1)).await;
    world.daemon("north").dispute(month, "is this right?", Timestamp::now()).await.unwrap();
    let words = (Decision::Accepted, "we look at it again");
    world.hub().rule(&north, month, words, Timestamp::now()).await.unwrap();
    let (said, verdict) = issue_by_now(&world, next).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", said.statement);
    assert_says(&said.statement, &["a dispute was decided: 60 was charged, 60 is right", "due:             10 JPY"]);
    // Nothing of it is read any more: what is damaged of it since does not matter.
    falsify(&month_dir(&world.mirrors("north"), month), &world.state("north"), month, 2);
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert!(later.revisions.is_empty(), "{:?}", later.revisions);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_say_what_it_charged_is_not_corrected_and_stops_no_later_statement() {
    let (mut world, month) = visited().await;
    put_wrongly(&world, month, &[("total:           60 JPY", "total:           some JPY")]).await;
    Box::pin(log_in(&mut world, month, 2)).await;
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!((verdict, later.revisions.len()), (StatementVerdict::Identical, 0), "\n{}", later.statement);
    assert_says(&later.statement, &["total:           10 JPY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_has_no_ground_in_the_contract_is_refused() {
    let (world, month) = visited().await;
    let (north, daemon) = (row(&world, "north").await, world.daemon("north"));
    world.hub().statement(&north, month, Timestamp::now()).await.unwrap();
    let draft = daemon.dispute(month, "too much", Timestamp::now()).await.unwrap_err();
    assert!(matches!(draft, Refused::Draft(_)), "{draft}");

    let (notice, verdict) = issue(&world, month).await;
    let statement = tieup_protocol::digest::Digest::of(notice.statement.as_bytes());
    let claim =
        Claim { period: month.into(), statement, reason: "too much".to_owned(), verdict, located: None, strike: None };
    let until = closes(month) + SignedDuration::from_hours(24 * 180);
    let open = |claim: &Claim, now| world.hub().open_dispute(&north, claim.clone(), now);
    let late = open(&claim, until + SignedDuration::from_secs(1)).await.unwrap_err();
    assert!(matches!(late, DisputeError::TooLate { until: told, .. } if told == until), "{late}");
    let other = Claim { statement: tieup_protocol::digest::Digest::of(b"another"), ..claim.clone() };
    assert!(matches!(open(&other, until).await.unwrap_err(), DisputeError::NotIssued(_)));
    let silent = Claim { reason: " ".to_owned(), ..claim.clone() };
    assert!(matches!(open(&silent, until).await.unwrap_err(), DisputeError::Words(_)));
    assert!(world.hub().database.disputes().await.unwrap().is_empty() && world.hub().own_trail().unwrap().is_empty());
    assert_eq!(open(&claim, until).await.unwrap().opened, until);
    assert_eq!(open(&claim, until).await.unwrap().opened, until, "the same claim again");
}
