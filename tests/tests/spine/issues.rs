//! Statements that are issued: signed, kept for good, verified by the partner, and corrected in later ones.

use jiff::SignedDuration;
use tieup_fees::money::Exact;
use tieup_fees::simulation::Compared;
use tieup_hub::simulation::Supposition;
use tieup_hub::statements::{Standing, StatementFailure};
use tieup_protocol::wire::{Cause, STATEMENT, StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::journal::{Cosigner, SignedText};
use tieup_tests::issuing::{closes, issue, log_before, log_in, row};
use tieup_tests::{Contract, assert_says, told};

use crate::settled;

#[tokio::test(flavor = "multi_thread")]
async fn row_003_61_what_is_issued_is_signed_and_stays_as_it_is() {
    let world = settled().await;
    world.get("north", "/about/").await;
    world.collect("north").await;
    let (month, north) = (world.month("north"), row(&world, "north").await);
    let early = closes(month) - SignedDuration::from_secs(1);
    let error = world.hub().issue(&north, month, early).await.unwrap_err();
    assert!(matches!(error, StatementFailure::Open { closes: at, .. } if at == closes(month)), "{error}");
    let draft = world.hub().statement(&north, month, early).await.unwrap();
    assert_says(&draft.notice.statement, &["status:          draft"]);
    assert_eq!(draft.standing, Standing::Open { closes: closes(month) });
    assert_eq!(world.hub().due_statements(&north, closes(month)).await.unwrap(), [month.into()]);

    let (notice, verdict) = issue(&world, month).await;
    assert_says(&notice.statement, &["status:          final", "total:           50001 JPY"]);
    assert_eq!(verdict, StatementVerdict::Identical);
    let key = world.hub().keys.cosigner().unwrap().verifier();
    let signed = SignedText::open(notice.note.as_deref().unwrap(), &key).unwrap();
    assert_eq!((signed.text(), signed.signed()), (notice.statement.as_str(), closes(month)));
    let own = world.daemon("north").verify_statement(month).unwrap();
    assert_eq!((own.statement.text, own.issued), (notice.statement.clone(), Some(closes(month))));

    let again = world.hub().statement(&north, month, closes(month)).await.unwrap();
    assert_eq!((again.notice, again.standing), (notice, Standing::Issued));
    assert_eq!(world.hub().due_statements(&north, closes(month)).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn main_may_not_leave_out_what_it_had_cosigned_when_it_signed() {
    let world = settled().await;
    world.get("north", "/about/").await;
    world.collect("north").await;
    let (month, north) = (world.month("north"), row(&world, "north").await);
    let notice = world.hub().issue(&north, month, closes(month)).await.unwrap();
    // The month is not over yet, so that this is cosigned before the statement was signed.
    world.get("north", "/").await;
    world.collect("north").await;
    let error = world.hub().hand_over(&north, notice, closes(month)).await.unwrap_err();
    assert_says(&told(&error), &["counts 1 entries, but main has cosigned 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_statement_that_main_did_not_sign_so_is_refused() {
    let world = settled().await;
    world.get("north", "/about/").await;
    world.collect("north").await;
    let (month, north) = (world.month("north"), row(&world, "north").await);
    let notice = world.hub().issue(&north, month, closes(month)).await.unwrap();
    let dearer = notice.statement.replace("50001 JPY", "60001 JPY");
    assert_ne!(dearer, notice.statement);
    let strange = Cosigner::from_seed("lampworks", &[7; 32]).unwrap();
    let by_another = SignedText::sign(&notice.statement, &strange, closes(month)).unwrap().note().to_owned();
    let client = world.call("north").await;
    for (refused, why) in [
        (StatementNotice { note: None, ..notice.clone() }, "is not the text that main signed"),
        (StatementNotice { statement: dearer, ..notice.clone() }, "is not the text that main signed"),
        (StatementNotice { note: Some(by_another), ..notice.clone() }, "not signed by the key that main cosigns with"),
    ] {
        let error = client.post::<StatementVerdict>(STATEMENT, &refused).await.unwrap_err();
        assert_says(&told(&error), &[why]);
        assert!(world.daemon("north").notice(month).is_err(), "it was kept: {why}");
    }
    assert_eq!(client.post::<StatementVerdict>(STATEMENT, &notice).await.unwrap(), StatementVerdict::Identical);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_61_what_came_late_is_corrected_in_the_next_statement() {
    let mut world = settled().await;
    world.get("north", "/about/").await;
    let (earlier, now) = (log_before(&mut world, 4).await, world.month("north"));
    let (first, verdict) = issue(&world, earlier).await;
    // 50,000 for pages that are inherited, and 4 views at 0.50.
    assert_says(&first.statement, &["total:           50002 JPY"]);
    assert_eq!(verdict, StatementVerdict::Identical);

    // Six more views: 10 at 0.50 are 5 yen, 3 more than were charged.
    log_before(&mut world, 6).await;
    let (second, verdict) = issue(&world, now).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", second.statement);
    assert_says(
        &second.statement,
        &["entries came late: 50002 was charged, 50005 is right", "due:             50004 JPY"],
    );
    assert_eq!(second.revisions[0].cause, Cause::LateEntries);
    assert_eq!(issue(&world, earlier).await.0, first, "what was issued has changed");
    let own = world.daemon("north").verify_statement(earlier).unwrap();
    assert_eq!((own.statement.text, own.verdict), (first.statement, StatementVerdict::Identical));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_the_journal_does_not_bear_out_is_seen() {
    let mut world = settled().await;
    world.get("north", "/about/").await;
    let earlier = log_before(&mut world, 4).await;
    issue(&world, earlier).await;
    log_before(&mut world, 6).await;
    let north = row(&world, "north").await;
    let later = world.month("north");
    let genuine = world.hub().issue(&north, later, closes(later)).await.unwrap();
    let key = world.hub().keys.cosigner().unwrap();
    let saying = |words: &str| {
        let statement = genuine.statement.replace("50002 was charged, 50005 is right", words);
        assert_ne!(statement, genuine.statement);
        let note = SignedText::sign(&statement, &key, closes(later)).unwrap().note().to_owned();
        StatementNotice { statement, note: Some(note), ..genuine.clone() }
    };
    let client = world.call("north").await;
    // The amount beside it is 3.
    let refused = saying("50002 was charged, 59005 is right");
    let error = client.post::<StatementVerdict>(STATEMENT, &refused).await.unwrap_err();
    assert_says(&told(&error), &["its words and amounts differ"]);
    assert!(world.daemon("north").notice(later).is_err());
    let notice = saying("59002 was charged, 59005 is right");
    let verdict = client.post::<StatementVerdict>(STATEMENT, &notice).await.unwrap();
    let StatementVerdict::Different { main, partner, .. } = verdict else { panic!("taken for identical") };
    assert_says(&main, &["59005 is right"]);
    assert_says(&partner, &["50005 is right"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_later_statement_has_corrected_is_not_corrected_by_one_that_is_signed_after_it() {
    let mut world = settled().await;
    world.get("north", "/about/").await;
    let earlier = log_before(&mut world, 4).await;
    issue(&world, earlier).await;
    log_before(&mut world, 6).await;
    let (north, later, between) = (row(&world, "north").await, world.month("north"), earlier.next());
    let (issued, verdict) = issue(&world, later).await;
    assert_eq!((verdict, issued.revisions.len()), (StatementVerdict::Identical, 1));
    // The month between is logged late, and its statement would charge the same once more.
    Box::pin(log_in(&mut world, between, 1)).await;
    let (_, draft) = world.hub().made(&north, between).await.unwrap();
    assert!(draft.revisions.is_empty(), "{:?}", draft.revisions);
    let key = world.hub().keys.cosigner().unwrap();
    let statement = draft.statement.replace("status:          draft", "status:          final");
    let signed = |at| Some(SignedText::sign(&statement, &key, at).unwrap().note().to_owned());
    let (status, revisions) = (StatementStatus::Final, issued.revisions.clone());
    let after = SignedDuration::from_secs(1);
    let note = signed(closes(later) + after);
    let again = StatementNotice { statement: statement.clone(), status, revisions, note, ..draft.clone() };
    let client = world.call("north").await;
    let error = client.post::<StatementVerdict>(STATEMENT, &again).await.unwrap_err();
    assert_says(
        &told(&error),
        &[&format!("corrects {earlier}, which the earlier signed one for {later} has corrected")],
    );
    // One that was signed before that one is as it should be, and is compared.
    let before = StatementNotice { note: signed(closes(later) - after), ..again };
    let verdict = client.post::<StatementVerdict>(STATEMENT, &before).await.unwrap();
    assert!(matches!(verdict, StatementVerdict::Different { .. }), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_months_are_simulated_line_by_line_and_nothing_is_kept() {
    let mut world = settled().await;
    world.get("north", "/about/").await;
    world.get("north", "/local/").await;
    let earlier = log_before(&mut world, 4).await;
    let north = row(&world, "north").await;
    let dearer = "meters: {own: {views: {class: original}}, tie: {views: {class: tieup}}}\ncharges:\n  \
        access: {graduated: tie, tiers: [[0, \"2\"]]}\n  own: {graduated: own, tiers: [[0, \"10\"]]}\n";
    let text = Contract::inherited().version(9).fees(dearer).text("north");
    let contract = tieup_protocol::contract::Contract::parse("contract.yaml", &text).unwrap();
    let supposition = Supposition { contract: Some(contract), originals: Some("+200%".parse().unwrap()) };
    let simulated = world.hub().simulate(&north, &supposition, 3).await.unwrap();
    let rows = |at: usize| {
        let text = |amount: Option<&Exact>| amount.map_or_else(|| "-".to_owned(), Exact::to_string);
        let line =
            |line: &Compared| format!("{} {} {}", line.id, text(line.now.as_ref()), text(line.simulated.as_ref()));
        simulated[at].bills.lines.iter().map(line).collect::<Vec<_>>()
    };
    // Four views of tie-up pages at 0.50 are 2, and at 2 are 8.
    assert_eq!((simulated.len(), simulated[0].period), (2, earlier.into()));
    assert_eq!(rows(0), ["access 2 8", "base 50000 -", "own - 0"]);
    // One view of an original page is three of them: at 10 each, 30. Half a yen is rounded to one.
    assert_eq!(rows(1), ["access 1 2", "base 50000 -", "own - 30"]);
    assert_eq!((simulated[1].bills.now.minor(), simulated[1].bills.simulated.minor()), (50_001, 32));
    assert_eq!(world.hub().database.issued(&north.id).await.unwrap(), []);
    assert!(world.daemon("north").notice(earlier).is_err(), "the partner was told");
}
