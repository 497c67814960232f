//! Frauds seeded into journals that the daemon's own key signs: each is found, and no discount is granted on the month
//! before somebody has looked at it.

use std::path::Path;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use tieup_hub::statements::StatementFailure;
use tieup_protocol::access::{AccessEntry, VisitorToken};
use tieup_protocol::audit::Event;
use tieup_protocol::contract::MeterClass;
use tieup_protocol::period::Month;
use tieup_protocol::wire::StatementVerdict;
use tieup_store::journal::JournalWriter;
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::{Contract, World, assert_says, told};

use crate::findings::{findings_as_json, rules};
use tieup_tests::issuing::{before, closes, issue, joined_in, row};

/// 1,000 yen a month, 100 views of tie-up pages or more take 10% off, bytes of 100,000 or more 20%, and originals that are
/// seen as often as tie-up pages 30%.
const FEES: &str = r#"meters:
  tie: {views: {class: tieup}}
  own: {views: {class: original}}
  sent: {bytes: {class: tieup}}
  drawn: {ratio: [own, tie], if_zero: none}
charges: {base: {by: partnership, link: 0, framework: 0, inherited: 1000}}
adjust:
  - {id: busy, bands: tie, on: [base], off: [[0, "0%"], [100, "10%"]]}
  - {id: heavy, bands: sent, on: [base], off: [[0, "0%"], [100000, "20%"]]}
  - {id: drawing, bands: drawn, on: [base], off: [[0, "0%"], [1, "30%"]]}
"#;

/// A partner whose month two months before is seeded with what `seed` makes of a visit on the tenth day at noon, and main
/// has collected it.
async fn seeded(seed: impl Fn(&AccessEntry) -> Vec<AccessEntry>) -> (World, Month) {
    let contract = Contract::inherited().fees(FEES);
    let started = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", contract)
        .original("north", "/local/", "Our own shelf.")
        .start();
    let mut world = Box::pin(started).await;
    Box::pin(world.go_live("north")).await;
    world.get("north", "/about/").await;
    let now = world.month("north");
    let month = before(before(now));
    joined_in(&world, "north", month).await;
    let halted = world.halt("north").await;
    write(&halted.config.state, (now, month), seed);
    world.resume(halted).await;
    world.collect("north").await;
    (world, month)
}

/// Writes the seeded entries as the daemon does, signed with its key.
fn write(state: &Path, (now, month): (Month, Month), seed: impl Fn(&AccessEntry) -> Vec<AccessEntry>) {
    let genuine = AccessEntry::decode(&JournalOnDisk::open(state, now).entries()[0]).unwrap();
    let noon = month.start(&"Asia/Tokyo".parse().unwrap()) + SignedDuration::from_hours(24 * 9 + 12);
    let log = JournalOnDisk::open(state, month);
    std::fs::create_dir_all(&log.dir).unwrap();
    let mut writer = JournalWriter::open(&log.dir, log.origin.clone(), log.signer.clone()).unwrap();
    let entries: Vec<_> =
        seed(&AccessEntry { time: noon, bytes: 10, ..genuine }).iter().map(AccessEntry::encode).collect();
    writer.append(&entries.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    writer.checkpoint().unwrap();
}

/// `number` visits like `first`, each so many seconds after the one before.
fn every(first: &AccessEntry, seconds: i64, number: i64) -> Vec<AccessEntry> {
    let visit = |n| AccessEntry { time: first.time + SignedDuration::from_secs(n * seconds), ..first.clone() };
    (0..number).map(visit).collect()
}

/// The visit as one of another visitor, to another page.
fn of(visit: &AccessEntry, visitor: u8, path: &str, class: MeterClass) -> AccessEntry {
    AccessEntry {
        visitor: VisitorToken([visitor; 16]),
        path: path.parse().unwrap(),
        class: Some(class),
        ..visit.clone()
    }
}

/// Runs `tieup` beside the hub of `world`.
fn tieup(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
    let config = world.hub().config.state.with_file_name("tieup.yaml");
    command.arg("--config").arg(&config).args(arguments).output().unwrap()
}

/// The month is found out by `rule`, and its statement is held back for `discounts` until what was found is accepted.
async fn assert_held(world: &World, month: Month, rule: &str, discounts: &[&str]) {
    let found = findings_as_json(world, &["north", "--month", &month.to_string()]);
    assert!(rules(&found[0]).contains(&rule), "{found:?}");
    let north = row(world, "north").await;
    let error = world.hub().issue(&north, month, closes(month)).await.unwrap_err();
    let StatementFailure::Held { held, .. } = &error else { panic!("not held back: {}", told(&error)) };
    assert_eq!(held.discounts.iter().map(|held| held.discount.as_str()).collect::<Vec<_>>(), discounts);
    assert_says(&told(&error), &["is held back", rule]);
    assert_eq!(world.hub().database.issued(&north.id).await.unwrap(), []);
    let said = tieup(world, &["fee", "issue", "north", "--month", &month.to_string()]);
    let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(1), "{complaint}");
    assert_says(&complaint, &["is held back", rule, "--accept ID", "--reviewed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_robot_that_does_not_name_itself_gets_no_discount_before_somebody_has_looked() {
    // 300 pages in 50 minutes, a view each.
    let crawl = |visit: &AccessEntry| {
        let pages = every(visit, 10, 300).into_iter().zip(0..);
        pages.map(|(visit, n)| AccessEntry { path: format!("/p{n}/").parse().unwrap(), ..visit }).collect()
    };
    let (world, month) = Box::pin(seeded(crawl)).await;
    assert_held(&world, month, "rate/1", &["busy"]).await;

    let found = findings_as_json(&world, &["north", "--month", &month.to_string()]);
    let digest = found[0]["findings"][0]["digest"].as_str().unwrap().strip_prefix("blake3:").unwrap().to_owned();
    let month_text = month.to_string();
    let accept = ["log", "findings", "north", "--month", &month_text, "--accept", &digest[..12], "--reason", "our own"];
    let said = tieup(&world, &accept);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let trail = world.hub().own_trail().unwrap();
    let accepted: Vec<_> = trail.iter().filter(|entry| entry.what == Event::FindingAccepted).collect();
    assert_says(accepted[0].reason.as_ref().unwrap(), &[&digest[..12], "rate/1", "Accepted: our own"]);
    let (notice, verdict) = issue(&world, month).await;
    assert_eq!(verdict, StatementVerdict::Identical);
    assert_says(&notice.statement, &["total:           900 JPY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_reloads_gets_no_discount_by_bytes_or_by_views() {
    // Every 10 seconds for 50 minutes: one view, and 300 times the bytes.
    let (world, month) = Box::pin(seeded(|visit| every(&AccessEntry { bytes: 1_000, ..visit.clone() }, 10, 300))).await;
    assert_held(&world, month, "reloads/1", &["heavy"]).await;
    let said = tieup(&world, &["fee", "issue", "north", "--month", &month.to_string(), "--reviewed", "a kiosk"]);
    let (out, complaint) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_says(&out, &["1 findings accepted", "issued; total:           800 JPY"]);
    assert!(said.status.success(), "{complaint}");

    // Every 31 seconds for an hour: a view each.
    let (world, month) = Box::pin(seeded(|visit| every(visit, 31, 116))).await;
    assert_held(&world, month, "reloads/1", &["busy"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_visits_to_originals_get_no_discount() {
    // Two people read a tie-up page; then three visitors, of whom none asks for anything else, view originals 120 times.
    let invent = |visit: &AccessEntry| {
        let mut log = every(visit, 60, 2);
        for (visit, n) in every(visit, 25, 120).into_iter().zip(0_u8..) {
            let path = format!("/local/{n}/");
            log.push(of(&visit, 100 + n % 3, &path, MeterClass::Original));
        }
        log
    };
    let (world, month) = Box::pin(seeded(invent)).await;
    assert_held(&world, month, "one-sided/1", &["drawing"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discount_that_a_correction_gives_waits_as_well() {
    // One view, and no discount. Then a robot's 300 pages come late, which take 10% off: of 1,000 yen 900 are right.
    let (mut world, month) = Box::pin(seeded(|visit| vec![visit.clone()])).await;
    let (first, _) = issue(&world, month).await;
    assert_says(&first.statement, &["total:           1000 JPY"]);
    let now = world.month("north");
    let halted = world.halt("north").await;
    let crawl = |visit: &AccessEntry| {
        let pages = every(visit, 10, 300).into_iter().zip(0..);
        pages.map(|(visit, n)| AccessEntry { path: format!("/p{n}/").parse().unwrap(), ..visit }).collect()
    };
    write(&halted.config.state, (now, month), crawl);
    world.resume(halted).await;
    world.collect("north").await;

    let north = row(&world, "north").await;
    let error = world.hub().issue(&north, now, closes(now)).await.unwrap_err();
    let StatementFailure::Held { held, .. } = &error else { panic!("not held back: {}", told(&error)) };
    let of: Vec<_> = held.discounts.iter().map(|held| (held.corrected, held.discount.as_str())).collect();
    assert_eq!(of, [(Some(month.into()), "busy")]);
    assert_says(&told(&error), &[&format!("discount `busy` of {month}, which it corrects, goes by visits"), "rate/1"]);
    assert_eq!(world.hub().accept_all(&north, now.into(), "our own", closes(now)).await.unwrap(), 1);
    let (later, verdict) = issue(&world, now).await;
    assert_eq!(verdict, StatementVerdict::Identical);
    assert_says(&later.statement, &["entries came late: 1000 was charged, 900 is right"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discount_by_the_log_that_main_writes_waits_as_well() {
    let by_bytes = r#"meters: {sent: {bytes: {class: tieup}}}
charges: {base: {by: partnership, link: 0, framework: 0, inherited: 1000}}
adjust: [{id: heavy, bands: sent, on: [base], off: [[0, "0%"], [1000, "20%"]]}]
"#;
    let contract = Contract::inherited().zone("UTC").fees(by_bytes).journal("{writer: main, verifier: partner}");
    let plan = World::new().main_page("/about/", "We mend lamps.").contract("north", contract);
    let world = Box::pin(plan.start()).await;
    Box::pin(world.go_live("north")).await;
    world.show_main();
    // One visitor asks for one page again and again: more than 60 times in one hour at least, whenever that begins.
    for _ in 0..130 {
        assert_eq!(world.get_main("/about/").await.status, 200);
    }
    world.daemon("north").verify_main_journal().await.unwrap();
    let month = Month::of(Timestamp::now(), &tieup_protocol::period::Zone::utc());
    let (north, later) = (row(&world, "north").await, closes(month) + SignedDuration::from_hours(24));
    world.hub().status(&north).await.unwrap();
    let found = findings_as_json(&world, &["north", "--month", &month.to_string()]);
    assert!(rules(&found[0]).contains(&"reloads/1"), "{found:?}");
    let error = world.hub().issue(&north, month, later).await.unwrap_err();
    assert_says(&told(&error), &["is held back", "discount `heavy` goes by visits", "reloads/1"]);
    world.hub().accept_all(&north, month.into(), "a kiosk", later).await.unwrap();
    let notice = world.hub().issue(&north, month, later).await.unwrap();
    assert_says(&notice.statement, &["total:           800 JPY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_month_is_issued_with_its_discount() {
    // 60 people view a tie-up page and an original each, a minute after each other.
    let honest = |visit: &AccessEntry| {
        let minutes = every(visit, 60, 60).into_iter().zip(0_u8..);
        let pages = [("/about/", MeterClass::Tieup), ("/local/", MeterClass::Original)];
        minutes.flat_map(|(visit, n)| pages.map(|(path, class)| of(&visit, n, path, class))).collect()
    };
    let (world, month) = Box::pin(seeded(honest)).await;
    let (notice, verdict) = issue(&world, month).await;
    assert_eq!(verdict, StatementVerdict::Identical);
    assert_says(&notice.statement, &["total:           700 JPY"]);
}

/// Asks main for a beacon as a browser does that shows a page of `north`.
async fn ask(world: &World, beacon: &str, agent: &str) {
    let request = axum::http::Request::get(format!("http://{}{beacon}", world.main_public()))
        .header(axum::http::header::USER_AGENT, agent)
        .header(axum::http::header::ORIGIN, "https://north.example");
    let request = request.body(axum::body::Body::empty()).unwrap();
    tieup_examples::visitor::Visitor::new(agent).send(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tie_up_visits_that_are_missing_get_no_discount_by_the_ratio_of_originals() {
    let fees = FEES.to_owned();
    let contract =
        Contract::inherited().fees(&fees).beacons("{to: https://lampworks.example, from: [https://north.example]}");
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", contract)
        .original("north", "/local/", "Our own shelf.")
        .start()
        .await;
    world.go_live("north").await;
    world.settle_beacons().await;
    // Forty people read a tie-up page, of which the journal has one; each one's browser asks main for the beacon.
    for number in 0..40 {
        let agent = format!("Mozilla/5.0 (X11; Linux x86_64; rv:{number}) Gecko/20100101");
        if number == 0 {
            world.visit("north", "/about/", &tieup_examples::visitor::Visitor::new(&agent)).await;
        }
        ask(&world, "/tieup-beacon/about/", &agent).await;
    }
    world.get("north", "/local/").await;
    world.settle_beacons().await;
    world.collect("north").await;
    // Main compares hours that were over when it collected: let it have collected three hours later.
    let later = Timestamp::now() + SignedDuration::from_hours(3);
    std::fs::write(world.mirrors("north").join("collected.json"), format!("{{\"at\":\"{later}\"}}")).unwrap();

    let (north, month) = (row(&world, "north").await, world.month("north"));
    let found = findings_as_json(&world, &["north", "--month", &month.to_string()]);
    assert!(rules(&found[0]).contains(&"beacons/1"), "{found:?}");
    let error = world.hub().issue(&north, month, closes(month)).await.unwrap_err();
    let StatementFailure::Held { held, .. } = &error else { panic!("not held back: {}", told(&error)) };
    assert_eq!(held.discounts.iter().map(|held| held.discount.as_str()).collect::<Vec<_>>(), ["drawing"]);
    assert_says(&told(&error), &["Main counted 40 beacons of tie-up pages"]);
}
