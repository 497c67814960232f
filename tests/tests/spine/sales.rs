//! Sales: main's record of them reaches the partner, both sides come to the same statement, and what changes is corrected.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use tieup_hub::database::{Existing, Tally};
use tieup_hub::sales::{SalesError, SalesFile, groups};
use tieup_hub::simulation::Supposition;
use tieup_protocol::audit::Event;
use tieup_protocol::period::Month;
use tieup_protocol::record::{Entry, MAX_PAGE, RECORD, RecordHeld, RecordPage, Span};
use tieup_protocol::wire::{Cause, StatementVerdict};
use tieup_tests::{Contract, World, assert_says, told};

use tieup_tests::issuing::{issue, log_before, row};

/// Fees by visits and sales: 10 for a view, and 10% of an order, at least 30, which is collected with it.
const FEES: &str = r#"meters: {tie: {views: {class: tieup}}, led: {amount: {event: settled_orders, via: original}}}
charges:
  access: {graduated: tie, tiers: [[0, "10"]]}
  orders: {per_event: settled_orders, rate: "10%", min: 30, max: 5000}
adjust:
  - {id: lead, bands: led, on: [access], off: [[0, "0%"], [1000, "50%"]]}
pay: {collected: [orders]}
dispute: {window: 180d, beacon_tolerance: "2%"}
"#;

/// A partner with a live site, two visits two months before, and one now. Returns that month.
async fn visited() -> (World, Month) {
    let contract = Contract::inherited().fees(FEES);
    let mut world =
        Box::pin(World::new().main_page("/about/", "We mend lamps.").contract("north", contract).start()).await;
    Box::pin(world.go_live("north")).await;
    world.get("north", "/about/").await;
    let month = Box::pin(log_before(&mut world, 2)).await;
    (world, month)
}

/// An instant of day `day` of a month in Tokyo.
fn noon(month: Month, day: i64) -> Timestamp {
    month.start(&"Asia/Tokyo".parse().unwrap()) + SignedDuration::from_hours(24 * (day - 1) + 12)
}

/// A file of sales of `north` on the fifth of `month`: id, amount, collected and region each.
fn file(month: Month, sales: &[[&str; 4]]) -> String {
    let time = noon(month, 5);
    let row = |[id, amount, collected, region]: &[&str; 4]| {
        format!("{id},settled_orders,{amount},lantern,original,{collected},{time},{region}\n")
    };
    let rows: String = sales.iter().map(row).collect();
    format!("id,kind,amount,goods,via,collected,time,region\n{rows}")
}

async fn add(world: &World, text: &str, existing: Existing) -> Result<Tally, SalesError> {
    let (file, north) = (SalesFile::new("sales.csv", text.as_bytes()).unwrap(), "north".parse().unwrap());
    let sales = file.sales(Some(&north)).unwrap_or_else(|report| panic!("{report}"));
    world.hub().add_sales(&file, sales, existing, Timestamp::now()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_45_sales_reach_the_partner_and_both_sides_come_to_the_same_bytes() {
    let (mut world, month) = visited().await;
    // 10% of 200 is 20, raised to 30; of 900 it is 90. What was collected with them is not due any more.
    let text = file(month, &[["A-2", "900", "80", "Otaru"], ["A-1", "200", "", "Hakodate"]]);
    assert_eq!(add(&world, &text, Existing::Refuse).await.unwrap(), Tally { new: 2, corrected: 0, unchanged: 0 });
    let (notice, verdict) = issue(&world, month).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", notice.statement);
    // 2 views at 10 and half of it off, since originals led to sales of 1,100; 120 for sales; 80 collected.
    assert_says(&notice.statement, &["  events:        2", "total:           130 JPY", "due:             50 JPY"]);
    assert_eq!(notice.record, 2);
    let north = row(&world, "north").await;
    let sales = world.hub().sales(&north, month).await.unwrap().sales;
    assert_eq!(world.daemon("north").sales(month).unwrap(), sales);
    let regions = groups(&sales).into_iter().map(|group| group.region.unwrap().as_str().to_owned());
    assert_eq!(regions.collect::<Vec<_>>(), ["Hakodate", "Otaru"]);

    let supposition = Supposition { contract: None, originals: Some("+0%".parse().unwrap()) };
    let simulated = world.hub().simulate(&north, &supposition, 3).await.unwrap();
    let orders = simulated[0].bills.lines.iter().find(|line| line.id == "orders").unwrap();
    assert_eq!(orders.now.as_ref().map(ToString::to_string).as_deref(), Some("120"));

    world.restart("north").await;
    assert_eq!(world.daemon("north").verify_statement(month).unwrap().verdict, StatementVerdict::Identical);
    assert_eq!(issue(&world, month).await, (notice, StatementVerdict::Identical));
    let again = add(&world, &text, Existing::Refuse).await.unwrap();
    assert_eq!(again, Tally { new: 0, corrected: 0, unchanged: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_that_change_after_the_issue_are_corrected_in_the_next_statement_and_in_the_one_after() {
    let (world, month) = visited().await;
    add(&world, &file(month, &[["A-1", "200", "30", ""], ["A-2", "900", "90", ""]]), Existing::Refuse).await.unwrap();
    let (first, _) = issue(&world, month).await;
    assert_says(&first.statement, &["total:           130 JPY", "due:             10 JPY"]);
    // The second order was one of 1,000, with which 100 were collected, and a third comes late, with nothing.
    let late = file(month, &[["A-2", "1000", "100", ""], ["A-3", "400", "", ""]]);
    let error = add(&world, &late, Existing::Refuse).await.unwrap_err();
    assert_says(
        &told(&error),
        &["sales.csv:2:1", "sale `A-2` of `north` is in the record with other content", "--correct"],
    );
    assert_eq!(world.hub().database.record_size(&"north".parse().unwrap()).await.unwrap(), 2, "something was kept");
    add(&world, &late, Existing::Correct).await.unwrap();

    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{}", delivered.notice.statement);
    // Without what was collected 10 were charged; right are 10 + 30 + 100 + 40 - 130 = 50.
    assert_says(&delivered.notice.statement, &["sales changed: 10 was charged, 50 is right"]);
    let causes: Vec<_> =
        delivered.notice.revisions.iter().map(|revision| (revision.period.month(), revision.cause)).collect();
    assert_eq!(causes, [(month, Cause::ChangedSales)]);

    let north = row(&world, "north").await;
    world.hub().withdraw_sales(&north, &["A-3".parse().unwrap()], Timestamp::now()).await.unwrap();
    let unknown = world.hub().withdraw_sales(&north, &["A-9".parse().unwrap()], Timestamp::now()).await.unwrap_err();
    assert!(matches!(unknown, SalesError::Unknown { .. }), "{unknown}");
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{}", delivered.notice.statement);
    // The third is gone again: what was charged is right by 10 + 30 + 100 - 130.
    assert!(!delivered.notice.statement.contains("corrections of earlier months"), "{}", delivered.notice.statement);
    assert_eq!(issue(&world, month).await.0, first, "what was issued has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_the_two_sides_do_not_have_alike_is_found() {
    let (mut world, month) = visited().await;
    add(&world, &file(month, &[["A-1", "200", "", ""], ["A-2", "900", "", ""]]), Existing::Refuse).await.unwrap();
    issue(&world, month).await;
    assert_eq!(world.daemon("north").locate_record(month).await.unwrap(), None);
    let halted = world.halt("north").await;
    let copy = halted.config.state.join("statements/record.jsonl");
    let text = fs::read_to_string(&copy).unwrap();
    fs::write(&copy, text.replace("\"900\"", "\"500\"")).unwrap();
    world.resume(halted).await;
    let verified = world.daemon("north").verify_statement(month).unwrap();
    let StatementVerdict::Different { main, partner, .. } = verified.verdict else { panic!("taken for identical") };
    assert!(main.trim_start().starts_with("digest:") && main != partner, "{main:?} {partner:?}");
    let found = world.daemon("north").locate_record(month).await.unwrap_or_else(|error| panic!("{}", told(&error)));
    let found = found.expect("both have the same");
    assert_eq!(found.number, 1);
    assert_says(found.main.as_ref().unwrap(), &["\"A-2\"", "\"900\""]);
    assert_says(found.partner.as_ref().unwrap(), &["\"A-2\"", "\"500\""]);
    assert!(world.daemon("north").locate(month).await.unwrap().is_none(), "the visits are the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_of_the_record_is_set_aside_and_told_anew_and_cannot_be_told_otherwise() {
    let (mut world, month) = visited().await;
    add(&world, &file(month, &[["A-1", "200", "", ""], ["A-2", "900", "", ""]]), Existing::Refuse).await.unwrap();
    let issued = issue(&world, month).await;
    let right = fs::read_to_string(world.state("north").join("statements/record.jsonl")).unwrap();
    // One amount is another; one line is cut in two; the first is no text.
    for (from, to) in [("\"900\"", "\"500\""), ("\"id\":\"A-2\"", "\n"), ("{", "\u{0}")] {
        let damaged = right.replacen(from, to, 1);
        Box::pin(
            world.restart_after("north", |state| fs::write(state.join("statements/record.jsonl"), &damaged).unwrap()),
        )
        .await;
        assert_eq!(issue(&world, month).await, issued, "{damaged}");
        assert_eq!(fs::read_to_string(world.state("north").join("statements/record.jsonl")).unwrap(), right);
        let aside = fs::read_dir(world.state("north").join("quarantine")).unwrap().map(|file| file.unwrap().path());
        assert!(aside.into_iter().any(|file| fs::read_to_string(file).unwrap() == damaged), "it is gone: {damaged}");
    }
    let trail = world.daemon("north").publisher().audit_entries().unwrap();
    let damage: Vec<_> = trail.iter().filter(|entry| entry.what == Event::DriftFound).collect();
    assert_eq!(damage.len(), 3, "{damage:?}");
    assert_says(damage[0].reason.as_ref().unwrap(), &["the copy of main's record", "from entry 0 on", "quarantine"]);

    // The disk lost the end: nobody says that main did not tell it.
    let (first, _) = right.split_once('\n').unwrap();
    let shortened = format!("{}\n", first.replace("\"200\"", "\"100\""));
    Box::pin(
        world.restart_after("north", |state| fs::write(state.join("statements/record.jsonl"), shortened).unwrap()),
    )
    .await;
    assert_says(
        &told(&world.daemon("north").verify_statement(month).unwrap_err()),
        &["of those that it told only 1 are here", "lost here"],
    );
    assert_eq!(issue(&world, month).await, issued);
    assert_eq!(fs::read_to_string(world.state("north").join("statements/record.jsonl")).unwrap(), right);

    // Whoever tells it anew tells what was told.
    Box::pin(world.restart_after("north", |state| fs::write(state.join("statements/record.jsonl"), "{\n").unwrap()))
        .await;
    let client = world.call("north").await;
    let entries: Vec<Entry> = right.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tell = async |from, entries| client.post::<RecordHeld>(RECORD, &RecordPage { from, entries }).await;
    assert_eq!(tell(0, Vec::new()).await.unwrap().held, 0);
    let other = vec![entries[1].clone(), entries[0].clone()];
    assert_says(
        &told(&tell(0, other).await.unwrap_err()),
        &["entries 0 to 1 of its record otherwise than it told them"],
    );
    // Also where it comes in other pages; and then it begins anew, since nobody knows who is to blame.
    assert_eq!(tell(0, vec![entries[1].clone()]).await.unwrap().held, 1);
    let unclear = told(&tell(1, vec![entries[0].clone()]).await.unwrap_err());
    assert_says(&unclear, &["entries 0 to 1 of the partner's copy", "are not what main told", "set aside"]);
    assert!(!unclear.contains("otherwise"), "main is blamed: {unclear}");
    assert_eq!(tell(0, entries).await.unwrap().held, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sales_stand_in_the_trails_of_both_sides_with_the_digest_of_what_was_noted_and_told() {
    let (world, month) = visited().await;
    let text = file(month, &[["A-1", "200", "", ""], ["A-2", "900", "", ""]]);
    add(&world, &text, Existing::Refuse).await.unwrap();
    add(&world, &text, Existing::Refuse).await.unwrap();
    add(&world, &file(month, &[["A-2", "950", "", ""]]), Existing::Refuse).await.unwrap_err();
    world.hub().withdraw_sales(&row(&world, "north").await, &["A-1".parse().unwrap()], Timestamp::now()).await.unwrap();
    let noted: Vec<_> = world.hub().own_trail().unwrap().into_iter().map(|entry| (entry.what, entry.reason)).collect();
    assert_eq!(noted.len(), 2, "something was noted that changed nothing: {noted:?}");
    let lines: Vec<String> = {
        let entries = world.hub().database.record(&"north".parse().unwrap(), 0, 10).await.unwrap();
        entries.iter().map(Entry::line).collect()
    };
    let first = Span::of(0, &lines[..2]).unwrap();
    let second = Span::of(2, &lines[2..]).unwrap();
    let sentences = [format!("{first}: north: sale A-1, sale A-2"), format!("{second}: north: sale A-1, taken back")];
    assert_eq!(noted, sentences.map(|sentence| (Event::SalesNoted, Some(sentence))));

    issue(&world, month).await;
    let trail = world.daemon("north").publisher().audit_entries().unwrap();
    let told: Vec<_> = trail.into_iter().filter(|entry| entry.what == Event::RecordTold).map(|it| it.reason).collect();
    assert_eq!(told, [Some(Span::of(0, &lines).unwrap().to_string())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_takes_what_follows_and_makes_sense_alone() {
    let (world, month) = visited().await;
    let client = world.call("north").await;
    let sale = |amount: &str| -> Entry {
        let time = noon(month, 5);
        let json =
            format!(r#"{{"entry":"sale","id":"a","kind":"order","amount":"{amount}","units":1,"time":"{time}"}}"#);
        serde_json::from_str(&json).unwrap()
    };
    let tell = async |from, entries| client.post::<RecordHeld>(RECORD, &RecordPage { from, entries }).await;
    assert_eq!(tell(1, vec![sale("1")]).await.unwrap().held, 0, "what does not follow was taken");
    assert_says(&told(&tell(0, vec![sale("-1")]).await.unwrap_err()), &["has an amount below 0"]);
    let long = vec![sale("1"); usize::try_from(MAX_PAGE).unwrap() + 1];
    assert_says(&told(&tell(0, long).await.unwrap_err()), &["tells 501 entries at once"]);
    assert_eq!(tell(0, vec![sale("1"), sale("2")]).await.unwrap().held, 2);
    assert_eq!(tell(0, vec![sale("3")]).await.unwrap().held, 2, "what was told was told otherwise");
    let sales = world.daemon("north").sales(month).unwrap();
    assert_eq!(sales.iter().map(|sale| sale.amount.to_string()).collect::<Vec<_>>(), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_46_what_was_paid_in_advance_is_told_and_is_not_due() {
    let contract = Contract::inherited().fees(
        "meters: {tie: {views: {class: tieup}}}\ncharges:\n  base: {by: partnership, link: 0, framework: 0, inherited: 500}\n  \
         access: {graduated: tie, tiers: [[0, \"10\"]]}\npay: {advance: [base]}\n",
    );
    let mut world =
        Box::pin(World::new().main_page("/about/", "We mend lamps.").contract("north", contract).start()).await;
    Box::pin(world.go_live("north")).await;
    world.get("north", "/about/").await;
    let month = Box::pin(log_before(&mut world, 2)).await;
    let pay = |of: Month, amount: &str, more: &[&str]| {
        let of = of.to_string();
        let arguments =
            [&["fee", "paid", "north", "--month", &of, "--amount", amount, "--reference", "BANK-7"], more].concat();
        let output = tieup(&world, &arguments);
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let noted = |(is_noted, said): (bool, String)| if is_noted { said } else { panic!("{said}") };
    assert_says(&noted(pay(month, "400", &[])), &["400 paid in advance, BANK-7: noted"]);
    assert_says(&noted(pay(month, "400", &[])), &["noted before"]);
    assert_says(&pay(month, "500", &[]).1, &["stands in the record with another amount"]);
    assert_says(&pay(month, "-5", &[]).1, &["-5"]);
    assert_says(&pay(month, "0.5", &[]).1, &["0.5 JPY cannot be paid"]);
    noted(pay(month, "500", &["--correct"]));
    let (notice, verdict) = issue(&world, month).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", notice.statement);
    assert_says(&notice.statement, &["total:           520 JPY", "    BANK-7: 500", "due:             20 JPY"]);
    assert_says(&pay(month, "600", &["--correct"]).1, &["has been issued"]);
    let trail = world.hub().own_trail().unwrap();
    let told: Vec<_> = trail.iter().map(|entry| entry.reason.clone().unwrap_or_default()).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_says(&told[1], &["north", "500 JPY paid in advance, BANK-7"]);
}

/// Runs `tieup` with the world's configuration.
fn tieup(world: &World, arguments: &[&str]) -> Output {
    let config = world.hub().config.state.with_file_name("tieup.yaml");
    Command::new(env!("CARGO_BIN_EXE_tieup-to-call")).arg("--config").arg(config).args(arguments).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_60_a_file_of_sales_is_taken_whole_or_not_and_listed_by_region() {
    let (world, month) = visited().await;
    let path = world.folder().join("sales.csv");
    let run = |text: &str, arguments: &[&str]| {
        fs::write(&path, text).unwrap();
        let output = tieup(&world, &[&["sales", "add", path.to_str().unwrap()], arguments].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (past, future) = (noon(month, 5), Timestamp::now() + SignedDuration::from_hours(48));
    let bad = format!(
        "partner,id,kind,amount,time,collected\nnorth,A-1,settled_orders,1.5,{past},\nsouth,A-2,order,1,{past},\n\
         north,A-3,order,1,{past},5\nnorth,A-4,order,1,{future},\n"
    );
    let (status, _, errors) = run(&bad, &[]);
    assert_eq!(status, Some(1));
    assert_says(
        &errors,
        &[
            "sales.csv:2:26",
            "finer than JPY",
            "sales.csv:3:1",
            "`south` has not joined",
            "sales.csv:4:",
            "has no kind `order`",
            "of a time that has not come",
            "4 errors",
        ],
    );
    let good = file(month, &[["A-1", "200", "", "Otaru"], ["A-2", "900", "", "Hakodate"]]);
    let (status, said, errors) = run(&good, &["--partner", "north"]);
    assert_eq!((status, said.trim()), (Some(0), "2 new, 0 corrected, 0 in the record already"), "{errors}");
    let listed = tieup(&world, &["sales", "list", "--month", &month.to_string()]);
    assert_says(
        &String::from_utf8_lossy(&listed.stdout),
        &["2 sales", " A-1 settled_orders: 200 JPY, 1 unit of lantern, Otaru\n", "Hakodate", "Otaru"],
    );
    let json = tieup(&world, &["sales", "list", "north", "--month", &month.to_string(), "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (json[0]["groups"][0]["amount"].as_str(), json[0]["groups"][0]["units"].as_u64()),
        (Some("900"), Some(1))
    );
}

#[test]
fn standard_input_is_a_file_of_sales() {
    // A hub that was made by hand: the command needs no running hub.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tieup.yaml");
    let run = |arguments: &[&str], input: &Path| {
        let input = fs::File::open(input).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
        command.current_dir(folder.path()).arg("--config").arg(&config).args(arguments).stdin(input).output().unwrap()
    };
    assert!(run(&["init", "nationwide"], Path::new("/dev/null")).status.success());
    let sales = folder.path().join("sales");
    fs::write(&sales, "{\"partner\":\"north\",\"id\":\"a\",\"kind\":\"k\",\"amount\":1}").unwrap();
    let output = run(&["sales", "add", "-"], &sales);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&String::from_utf8_lossy(&output.stderr), &["-:1:1", "the sale has no `time`"]);
}
