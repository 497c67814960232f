//! Months that several versions of a contract govern, and versions that reach back into what was issued.

use jiff::Timestamp;
use jiff::civil::Date;
use tieup_fees::Ungoverned;
use tieup_hub::paper::Paper;
use tieup_hub::publish::{Outcome, PublishError};
use tieup_hub::simulation::Supposition;
use tieup_hub::statements::StatementFailure;
use tieup_hub::terms::TermsError;
use tieup_protocol::dispute::Decision;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::record::{Entry, RecordPage, Sale};
use tieup_protocol::wire::StatementVerdict;
use tieup_syncd::identity::{Identity, JoinError};
use tieup_syncd::pins::Pins;
use tieup_syncd::statement::StatementFailure as Refused;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};

use tieup_tests::issuing::{before, closes, issue, issue_by_now, log_before, log_in, row};

/// Version `number` of a contract by which each view of a tie-up page costs so many yen from the day `from` on, which it
/// governs by days.
fn by_days(number: u32, from: &str, price: u32) -> String {
    let fees = format!(
        "meters: {{tie: {{views: {{class: tieup}}}}}}\ncharges: {{access: {{graduated: tie, tiers: [[0, \"{price}\"]]}}}}\n\
         dispute: {{window: 180d, beacon_tolerance: \"2%\"}}\n"
    );
    let text = Contract::inherited().version(number).fees(&fees).text("north");
    let text = text.replace("from: 2020-01-01", &format!("from: {from}"));
    text.replace("at: line}", "at: line, prorate: days}")
}

/// The month two months before the one that is logged now.
async fn two_months_ago(world: &World) -> Month {
    world.get("north", "/about/").await;
    before(before(world.month("north")))
}

fn write_contract(world: &World, text: &str) {
    world.write_main("partners/north/contract.yaml", text);
}

pub(crate) async fn start() -> World {
    let contract = Contract::raw(&by_days(1, "2020-01-01", 10));
    let world = Box::pin(World::new().main_page("/about/", "We mend lamps.").contract("north", contract).start()).await;
    Box::pin(world.go_live("north")).await;
    world
}

/// A world in which version 2 governs the month two months ago from its 16th day on, for 20 yen a view instead of 10, with
/// 120 views before that day and 30 after. Returns the month's two periods.
async fn parted() -> (World, Month, [Period; 2]) {
    let mut world = Box::pin(start()).await;
    let month = two_months_ago(&world).await;
    let first = month.first_day();
    let sixteenth: Date = first.checked_add(jiff::Span::new().days(15)).unwrap();
    write_contract(&world, &by_days(2, &sixteenth.to_string(), 20));
    Box::pin(world.go_live("north")).await;
    // Each an hour after the other, from the eleventh day on.
    Box::pin(log_before(&mut world, 150)).await;
    let whole = Period::whole(month);
    let part = |first, last| whole.within(first, last).unwrap();
    let parts = [part(first, sixteenth.yesterday().unwrap()), part(sixteenth, whole.last())];
    (world, month, parts)
}

pub(crate) async fn issue_part(world: &World, period: Period) -> tieup_protocol::wire::StatementNotice {
    let (north, now) = (row(world, "north").await, closes(period.month()));
    let issued = world.hub().issue(&north, period, now).await;
    let notice = issued.unwrap_or_else(|error| panic!("not issued:\n{}", told(&error)));
    let delivered = world.hub().hand_over(&north, notice.clone(), now).await;
    let verdict = delivered.unwrap_or_else(|error| panic!("not taken:\n{}", told(&error))).verdict;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", notice.statement);
    notice
}

#[tokio::test(flavor = "multi_thread")]
async fn each_version_of_a_contract_in_a_month_has_its_statement_on_both_sides() {
    let (mut world, month, [first, second]) = parted().await;
    let north = row(&world, "north").await;
    assert_eq!(world.hub().periods(&north, month).await.unwrap(), [first, second]);
    let error = world.hub().statement(&north, month, closes(month)).await.unwrap_err();
    assert!(matches!(error, StatementFailure::Ungoverned(Ungoverned::Several { .. })), "{error}");
    assert_says(&told(&error), &[&first.key(), &second.key()]);
    let draft = world.hub().statement(&north, second, closes(month)).await.unwrap();
    assert_eq!(draft.verdict, StatementVerdict::Identical);
    assert_eq!(world.hub().due_statements(&north, closes(month)).await.unwrap(), [first, second]);
    let (one, two) = (issue_part(&world, first).await, issue_part(&world, second).await);
    // 120 views at 10, and 30 at 20.
    assert_says(&one.statement, &["lampworks/north@1", "-15, 15 of", "total:           1200 JPY"]);
    assert_says(&two.statement, &["lampworks/north@2", "-16 to ", "total:           600 JPY"]);
    assert_eq!(world.hub().due_statements(&north, closes(month)).await.unwrap(), []);

    let daemon = world.daemon("north").clone();
    let unclear = daemon.verify_statement(month).unwrap_err();
    assert!(matches!(unclear, Refused::Ungoverned(Ungoverned::Several { .. })), "{unclear}");
    assert_eq!(daemon.verify_statement(second).unwrap().statement.text, two.statement);
    let (made, notice) = world.hub().made(&north, second).await.unwrap();
    let paper = Paper { partner: &north.id, made: &made, status: notice.status, note: notice.note.as_deref() };
    assert_says(&paper.html().unwrap(), &[&format!("Statement for {second}"), "600"]);
    let simulated = world.hub().simulate(&north, &Supposition::default(), 3).await.unwrap();
    assert_eq!(simulated.iter().map(|bill| bill.period).take(2).collect::<Vec<_>>(), [first, second]);

    let dispute = daemon.dispute(second, "too dear", closes(month)).await.unwrap_or_else(|e| panic!("{}", told(&e)));
    assert_eq!((dispute.claim.period, dispute.claim.located), (second, None));
    let words = (Decision::Rejected, "it is what was agreed on");
    world.hub().rule(&north, second, words, closes(month)).await.unwrap();
    assert!(daemon.disputed(second).unwrap().unwrap().ruling.is_some() && daemon.disputed(first).unwrap().is_none());

    // Ten more views, all of them after the sixteenth: the second part alone is corrected.
    log_before(&mut world, 10).await;
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(&later.statement, &[&second.to_string(), "entries came late: 600 was charged, 800 is right"]);
    assert_eq!(later.revisions.iter().map(|revision| revision.period).collect::<Vec<_>>(), [second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_day_is_charged_in_two_final_statements() {
    let (world, month, [first, second]) = parted().await;
    let notice = issue_part(&world, first).await;
    let north = row(&world, "north").await;
    let error = world.hub().issue(&north, month, closes(month)).await.unwrap_err();
    assert!(matches!(error, StatementFailure::Ungoverned(Ungoverned::Several { .. })), "{error}");
    let whole = tieup_protocol::wire::StatementNotice { period: month.into(), ..notice.clone() };
    let error = world.daemon("north").take_statement(&whole).unwrap_err();
    assert!(matches!(error, Refused::Overlaps { other, .. } if other == first), "{error}");
    issue_part(&world, second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_reaches_back_into_an_issued_month_is_refused_and_a_later_one_changes_nothing_of_it() {
    let mut world = Box::pin(start()).await;
    let month = two_months_ago(&world).await;
    log_before(&mut world, 4).await;
    let (issued, _) = issue(&world, month).await;
    assert_says(&issued.statement, &["total:           40 JPY"]);

    write_contract(&world, &by_days(2, &format!("{month}-02"), 30));
    let error = world.try_publish("north").await.unwrap_err();
    assert!(matches!(&error, PublishError::Terms(TermsError::ReachesBack { .. })), "{error}");
    assert_says(&told(&error), &["lampworks/north@2", &format!("take effect after {}", Period::whole(month).last())]);

    // The month after was not issued: a version may still take effect in it, also from its first day.
    write_contract(&world, &by_days(2, &month.next().first_day().to_string(), 30));
    assert!(matches!(world.try_publish("north").await.unwrap(), Outcome::Delivered { .. }));
    world.approve("north");
    log_before(&mut world, 2).await;
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    // One view at 30 now; six views at 10 then, by the version that the month was issued under.
    assert_says(&later.statement, &["lampworks/north@2", "40 was charged, 60 is right", "due:             50 JPY"]);
    assert_eq!(issue(&world, month).await, (issued, StatementVerdict::Identical));
}

/// A world in which 40 yen were charged two months ago for 4 views, and version 2 charges 30 euros a view since then. Returns
/// the first of the two months.
async fn then_in_euros() -> (World, Month) {
    let mut world = Box::pin(start()).await;
    let month = two_months_ago(&world).await;
    log_before(&mut world, 4).await;
    let (issued, _) = issue(&world, month).await;
    assert_says(&issued.statement, &["total:           40 JPY"]);

    let in_euros = by_days(2, &month.next().first_day().to_string(), 30).replace("JPY", "EUR");
    write_contract(&world, &in_euros);
    Box::pin(world.go_live("north")).await;
    log_in(&mut world, month.next(), 1).await;
    (world, month)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_changes_no_amount_is_closed_by_a_statement_in_another_currency() {
    let (world, month) = Box::pin(then_in_euros()).await;
    let (between, north) = (month.next(), row(&world, "north").await);
    world.daemon("north").dispute(month, "is this right?", Timestamp::now()).await.unwrap();
    world.hub().rule(&north, month, (Decision::Accepted, "we look at it again"), Timestamp::now()).await.unwrap();
    next_second().await;
    let (said, verdict) = issue_by_now(&world, between).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", said.statement);
    let says = ["a dispute was decided: 40 JPY was charged, 40 JPY is right", "due:             30.00 EUR"];
    assert_says(&said.statement, &says);
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!((verdict, &later.revisions[..]), (StatementVerdict::Identical, &[][..]), "\n{}", later.statement);
    // What was issued is made from it again, on both sides.
    assert_eq!(issue(&world, between).await, (said, StatementVerdict::Identical));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_of_another_currency_stops_no_statement_and_is_corrected_when_that_one_is_charged_in_again() {
    let (mut world, month) = Box::pin(then_in_euros()).await;
    let (between, now) = (month.next(), world.month("north"));
    write_contract(&world, &by_days(3, &now.first_day().to_string(), 10));
    Box::pin(world.go_live("north")).await;
    log_before(&mut world, 2).await;

    let (other, verdict) = issue(&world, between).await;
    assert_eq!((verdict, &other.revisions[..]), (StatementVerdict::Identical, &[][..]), "\n{}", other.statement);
    assert_says(&other.statement, &["lampworks/north@2", "total:           30.00 EUR"]);
    let (later, verdict) = issue(&world, now).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(&later.statement, &["lampworks/north@3", "40 was charged, 60 is right", "due:             30 JPY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_issued_stays_under_its_version_also_where_another_was_already_waiting() {
    let mut world = Box::pin(start()).await;
    let month = two_months_ago(&world).await;
    log_before(&mut world, 4).await;
    write_contract(&world, &by_days(2, &month.first_day().to_string(), 30));
    world.publish("north").await;
    let (issued, _) = issue(&world, month).await;
    world.approve("north");
    log_before(&mut world, 2).await;
    let (later, verdict) = issue(&world, world.month("north")).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(&later.statement, &["lampworks/north@2", "40 was charged, 60 is right"]);
    assert_eq!(issue(&world, month).await, (issued, StatementVerdict::Identical));
}

/// Waits for the clock's next second, since a signature tells whole ones.
async fn next_second() -> Timestamp {
    let begin = Timestamp::now().as_second();
    loop {
        let now = Timestamp::now();
        if now.as_second() > begin {
            return now;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_late_is_verified_under_the_version_that_it_names() {
    let mut world = Box::pin(start()).await;
    let month = two_months_ago(&world).await;
    Box::pin(log_before(&mut world, 4)).await;
    write_contract(&world, &by_days(2, &month.first_day().to_string(), 30));
    world.publish("north").await;
    let north = row(&world, "north").await;
    let issued = world.hub().issue(&north, month, next_second().await).await.unwrap();
    next_second().await;
    world.approve("north");
    let daemon = world.daemon("north");
    let verified = daemon.take_statement(&issued).unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(verified.verdict, StatementVerdict::Identical, "\n{}", issued.statement);
    // By then the second version was live: what is signed from now on is under that one.
    let key = world.hub().keys.cosigner().unwrap();
    let pins = world.state("north").join("statements");
    std::fs::remove_dir_all(&pins).unwrap();
    let note = tieup_store::journal::SignedText::sign(&issued.statement, &key, next_second().await).unwrap();
    let later = tieup_protocol::wire::StatementNotice { note: Some(note.note().to_owned()), ..issued };
    let error = daemon.take_statement(&later).unwrap_err();
    assert!(matches!(error, Refused::OtherVersion { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_too_refuses_a_version_that_reaches_back() {
    let world = Box::pin(start()).await;
    let month = two_months_ago(&world).await;
    let [live] = &world.daemon("north").publisher().approved().unwrap()[..] else { panic!("one is in force") };
    std::fs::create_dir_all(world.state("north").join("statements")).unwrap();
    Pins::in_state(&world.state("north")).keep(month.into(), live.digest()).unwrap();
    write_contract(&world, &by_days(2, &format!("{month}-16"), 30));
    let error = world.try_publish("north").await.unwrap_err();
    assert_says(&told(&error), &["contract lampworks/north@2 would take effect in", &month.to_string()]);
    assert_eq!(world.releases("north").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_whose_months_are_not_those_of_the_journal_is_refused_by_both_sides_and_at_a_join() {
    let contract = |number, zone: &str| by_days(number, "2020-01-01", 10).replace("Asia/Tokyo", zone);
    let joined = Contract::raw(&contract(1, "Asia/Tokyo"));
    let mut world =
        Box::pin(World::new().main_page("/about/", "We mend lamps.").contract("north", joined).start()).await;
    // Nothing was agreed on yet, and main knows no other zone.
    write_contract(&world, &contract(1, "UTC"));
    let error = world.try_publish("north").await.unwrap_err();
    assert_says(
        &told(&error),
        &["the months of UTC, and the journal here those of Asia/Tokyo", "needs `tz: Asia/Tokyo`"],
    );
    assert!(world.releases("north").is_empty());
    // Nor can it join again under it once it has logged a visit, whatever that came to.
    world.get("north", "/about/").await;
    let halted = world.halt("north").await;
    let invitation = world.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap();
    let join = || Identity::join(&halted.config.state, &invitation, &halted.config.address);
    let error = join().await.unwrap_err();
    assert!(matches!(&error, JoinError::OtherZone { .. }), "{error}");
    write_contract(&world, &contract(1, "Asia/Tokyo"));
    join().await.unwrap_or_else(|error| panic!("with the same token: {}", told(&error)));
    world.resume(halted).await;

    Box::pin(world.go_live("north")).await;
    write_contract(&world, &contract(2, "UTC"));
    let error = world.try_publish("north").await.unwrap_err();
    assert!(matches!(&error, PublishError::Terms(TermsError::OtherZone { .. })), "{error}");
    assert_says(&told(&error), &["lampworks/north@2 has the months of UTC", "write `tz: Asia/Tokyo` in it"]);

    // Not by joining again either, from an empty folder or from its own.
    let halted = world.halt("north").await;
    let invitation = world.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap();
    let empty = world.folder().join("empty");
    for state in [&empty, &halted.config.state] {
        let error = Identity::join(state, &invitation, &halted.config.address).await.unwrap_err();
        assert!(matches!(&error, JoinError::Call { .. }), "{error}");
        assert_says(&told(&error), &["lampworks/north@2 has the months of UTC", "write `tz: Asia/Tokyo` in it"]);
    }
    write_contract(&world, &contract(2, "Asia/Tokyo"));
    let joined = Identity::join(&halted.config.state, &invitation, &halted.config.address).await;
    joined.unwrap_or_else(|error| panic!("the token was used up: {}", told(&error)));
    world.resume(halted).await;
    Box::pin(world.go_live("north")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sales_of_a_month_are_listed_whole_whatever_versions_govern_its_days() {
    let (world, month, parts) = Box::pin(parted()).await;
    let zone = "Asia/Tokyo".parse().unwrap();
    let sale = |id: &str, time| {
        let (id, kind) = (id.parse().unwrap(), "settled_orders".parse().unwrap());
        let amount = "10".parse().unwrap();
        Entry::Sale(Sale { id, kind, amount, units: 1, goods: None, via: None, collected: None, time, region: None })
    };
    let entries = vec![sale("A-1", parts[0].start(&zone)), sale("A-2", parts[1].start(&zone))];
    let daemon = world.daemon("north");
    daemon.take_record(&RecordPage { from: 0, entries }, Timestamp::now()).unwrap();
    let listed =
        |period: Period| daemon.sales(period).unwrap().iter().map(|sale| sale.id.to_string()).collect::<Vec<_>>();
    assert_eq!(listed(month.into()), ["A-1", "A-2"]);
    assert_eq!(parts.map(listed), [["A-1"], ["A-2"]]);
}
