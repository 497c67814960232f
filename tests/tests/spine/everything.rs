//! A month in which everything is charged at once, under two versions of the contract, with sales, a payment, a strike and a
//! dispute: main and the partner come to the same bytes, and so does the second implementation in Python.

use std::fs;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde_json::{Value, json};
use tieup_fees::{Line, Made, Money};
use tieup_hub::catalogue::Published;
use tieup_hub::database::Existing;
use tieup_hub::payments::Paid;
use tieup_hub::sales::SalesFile;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::access_export::ExportFormat;
use tieup_protocol::contract::MeterClass;
use tieup_protocol::dispute::Decision;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::record::{Holdings, Sale, Stock};
use tieup_protocol::robots;
use tieup_protocol::wire::{Cause, StatementVerdict};
use tieup_tests::issuing::{closes, log_before_as, row};
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::{Contract, World, assert_says, told};

use crate::catalogue::long_live;
use crate::periods::issue_part;
use crate::strikes::main_strikes;

/// The second implementation.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/outside/fees/statement.py");

/// Version `number`, which takes effect on the day `from`, at `price` yen for each of the first forty views.
fn contract(number: u32, from: &str, price: &str) -> Value {
    json!({
        "contract": format!("lampworks/north@{number}"),
        "effective": {"from": from, "tz": "Asia/Tokyo"},
        "partnership": "inherited",
        "mounts": {"/": "main", "/local/**": "partner"},
        "rights": {"override": "never"},
        "slots": ["nav"],
        "services": ["backup"],
        "approval": {"policy": "ask"},
        "journal": {"writer": "partner", "verifier": "both"},
        "count": {"rules": "page-view/1", "robots": robots::list_digest().to_string(), "double_click": "30s", "session": "hour"},
        "money": {"currency": "JPY", "round": "half_up", "at": "line", "prorate": "days"},
        "meters": {
            "tie": {"views": {"class": "tieup"}},
            "own": {"views": {"class": "original"}},
            "popular": {"views": {"class": "original", "paths": ["/local/**"]}},
            "attract": {"ratio": ["own", "tie"], "if_zero": "zero"},
            "mains": {"ads": {"owner": "main"}},
            "all": {"ads": {"owner": "both"}},
            "share": {"ratio": ["mains", "all"], "if_zero": "zero"},
            "led": {"amount": {"event": "settled_orders", "via": "original"}},
            "left": {"offered": {"goods": "lantern"}},
        },
        "charges": {
            "base": {"by": "partnership", "link": 0, "framework": 20000, "inherited": 50000},
            "help": {"services": {"backup": 3000}},
            "access": {"graduated": "tie", "tiers": [[0, price], [40, "7.25"]]},
            "attraction": {"flat": "attract", "tiers": [[0, 900], ["0.05", 400]]},
            "advertising": {"flat": "share", "tiers": [[0, 50], ["0.75", 20]]},
            "orders": {"per_event": "settled_orders", "rate": "3.5%", "min": 30, "max": 50},
            "scarce": {"per_event": "limited", "goods": "lantern", "rate_by": "left", "rates": [[0, "10%"], [10, "5%"]], "min": 10, "max": 500},
        },
        "adjust": [
            {"id": "incentive", "bands": "tie", "on": ["base", "access"], "off": [[0, "0%"], [60, "5%"]]},
            {"id": "led-here", "when": {"meter": "popular", "from": 1}, "bands": "led", "on": ["base"], "off": [[0, "0%"], [1000, "50%"]]},
            {"cap_discount": "40%"},
            {"maximum": 40000},
            {"minimum": 10000},
        ],
        "pay": {"advance": ["base"], "collected": ["orders"]},
        "close": {"grace": "5d", "late": "next_period_correction"},
        "dispute": {"window": "180d", "beacon_tolerance": "2%"},
    })
}

/// A world in which the month two months ago has 200 visits an hour apart, every tenth to a page of the partner's own, and
/// the second of `contracts` governs it from its sixteenth day on. Returns the month and its two periods.
async fn parted() -> (World, Month, [(Period, Value); 2]) {
    let first = contract(1, "2020-01-01", "10");
    let started = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::raw(&first.to_string()))
        .original("north", "/local/", "Our own shelf.")
        .start();
    let mut world = Box::pin(started).await;
    Box::pin(world.go_live("north")).await;
    world.get("north", "/about/").await;
    let month = tieup_tests::issuing::before(tieup_tests::issuing::before(world.month("north")));
    let whole = Period::whole(month);
    let fifteenth = month.first_day().checked_add(jiff::Span::new().days(14)).unwrap();
    let sixteenth = fifteenth.tomorrow().unwrap();
    let second = contract(2, &sixteenth.to_string(), "12.5");
    world.write_main("partners/north/contract.yaml", &second.to_string());
    Box::pin(world.go_live("north")).await;
    assert_eq!(Box::pin(long_live(&mut world, None)).await, month);
    let own = |number: i64, entry: AccessEntry| match number % 10 {
        0 => AccessEntry { class: Some(MeterClass::Original), path: "/local/".parse().unwrap(), ..entry },
        _ => entry,
    };
    Box::pin(log_before_as(&mut world, 200, own)).await;
    let part = |first, last| whole.within(first, last).unwrap();
    let parts = [(part(month.first_day(), fifteenth), first), (part(sixteenth, whole.last()), second)];
    (world, month, parts)
}

/// Notes sales in both periods, what is published, and what was paid in advance for the first.
async fn note(world: &World, month: Month, first: Period) {
    let (north, now) = (row(world, "north").await, Timestamp::now());
    let day = |day: i64| {
        let noon = jiff::SignedDuration::from_hours(24 * (day - 1) + 12);
        month.start(&"Asia/Tokyo".parse().unwrap()) + noon
    };
    let text = format!(
        "id,kind,amount,goods,via,collected,time,region\n\
         A-1,settled_orders,1200,,original,40,{five},Otaru\nA-2,settled_orders,300,,tieup,,{five},\n\
         B-1,limited,2500,lantern,tieup,,{five},Otaru\nA-3,settled_orders,5000,,original,50,{twenty},Hakodate\n\
         B-2,limited,40,lantern,,,{twenty},\n",
        five = day(5),
        twenty = day(20)
    );
    let file = SalesFile::new("sales.csv", text.as_bytes()).unwrap();
    let sales = file.sales(Some(&north.id)).unwrap_or_else(|report| panic!("{report}"));
    let added = world.hub().add_sales(&file, sales, Existing::Refuse, now).await;
    added.unwrap_or_else(|error| panic!("{}", told(&error)));
    let published = Published { ads: Some((3, 1)), offered: vec![("lantern".parse().unwrap(), 9)] };
    world.hub().note_published(&north, month.first_day(), &published, Existing::Refuse, now).await.unwrap();
    let paid = Paid { period: first, reference: "BANK-7".parse().unwrap(), amount: "20000".parse().unwrap() };
    world.hub().note_payment(&north, paid, Existing::Refuse, now).await.unwrap_or_else(|error| panic!("{error}"));
}

/// What the second implementation makes of a period, of which main's is `made`; none where there is no Python to run it.
async fn outside(world: &World, made: &Made, contract: &Value, struck: &[u64], paid: &[i64]) -> Option<Value> {
    let (north, period) = (row(world, "north").await, made.counted.period());
    let zone = "Asia/Tokyo".parse().unwrap();
    let within = |sale: &Sale| (period.start(&zone)..period.end(&zone)).contains(&sale.time);
    let sales = world.hub().sales(&north, period.month()).await.unwrap().sales.into_iter().filter(within);
    let yen = |amount: tieup_protocol::decimal::Decimal| amount.to_string().parse::<i64>().unwrap();
    let via = |class| if class == MeterClass::Tieup { "tieup" } else { "original" };
    let event = |sale: Sale| {
        json!({
            "id": sale.id, "kind": sale.kind, "amount": yen(sale.amount), "units": sale.units, "goods": sale.goods,
            "via": sale.via.map(via), "collected": sale.collected.map(yen),
        })
    };
    let held = world.hub().database.holdings(&north.id).await.unwrap();
    let held = held.into_iter().filter(|held| held.at <= period.end(&zone)).max_by_key(|held| held.at);
    let Holdings { tieup, original, .. } = held.expect("the partner was asked");
    let stock = |stock: Stock| json!({"pages": stock.pages, "bytes": stock.bytes});
    let entries = JournalOnDisk::open(&world.state("north"), period.month()).entries();
    let entry = |(number, entry): (u64, &Vec<u8>)| {
        let line = ExportFormat::Ndjson.line(number, &AccessEntry::decode(entry).unwrap());
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let case = json!({
        "contract": contract,
        "first": period.first().to_string(),
        "last": period.last().to_string(),
        "robot_rules": robots::words_of(made.contract.terms.count.robots).unwrap(),
        "entries": (0..).zip(&entries).map(entry).collect::<Vec<_>>(),
        "struck": struck,
        "catalogue": {
            "tieup": stock(tieup), "original": stock(original), "ads": {"main": 3, "partner": 1}, "offered": {"lantern": 9},
        },
        "events": sales.map(event).collect::<Vec<_>>(),
        "corrections": [],
        "payments": paid.iter().map(|amount| json!({"amount": amount})).collect::<Vec<_>>(),
    });
    let file = world.folder().join("case.ndjson");
    fs::write(&file, case.to_string() + "\n").unwrap();
    let needs = "import sys, zoneinfo; zoneinfo.ZoneInfo('Asia/Tokyo'); assert sys.version_info >= (3, 11)";
    let has = Command::new("python3").args(["-c", needs]).output();
    if !has.is_ok_and(|ran| ran.status.success()) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "Python 3.11 with data of time zones cannot be had");
        return None;
    }
    let ran = Command::new("python3").arg(SCRIPT).stdin(Stdio::from(fs::File::open(&file).unwrap())).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(serde_json::from_slice(&ran.stdout).unwrap())
}

/// What main makes of it, as the second implementation writes it.
fn own(made: &Made) -> Value {
    let minor = |money: Money| i64::try_from(money.minor()).unwrap();
    let line = |line: &Line| json!({"id": line.id, "exact": line.exact.fraction(), "rounded": line.rounded.map(minor)});
    let lines: Vec<Value> = made.statement.lines.iter().map(line).collect();
    json!({"lines": lines, "total": minor(made.statement.total), "due": minor(made.statement.settlement.due)})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_with_everything_at_once_is_the_same_to_the_byte_on_both_sides_and_from_outside() {
    let (world, month, parts) = Box::pin(parted()).await;
    let north = row(&world, "north").await;
    Box::pin(note(&world, month, parts[0].0)).await;
    Box::pin(main_strikes(&world, month, "3,7-9", Decision::Accepted)).await;
    for ((period, contract), paid) in parts.iter().zip([&[20_000][..], &[]]) {
        world.hub().statement(&north, *period, closes(month)).await.unwrap_or_else(|error| panic!("{}", told(&error)));
        let examined = world.hub().accept_all(&north, *period, "they are ours", Timestamp::now()).await;
        examined.unwrap_or_else(|error| panic!("{}", told(&error)));
        let notice = Box::pin(issue_part(&world, *period)).await;
        for line in ["base", "help", "access", "attraction", "advertising", "orders", "scarce", "incentive", "led-here"]
        {
            assert_says(&notice.statement, &[&format!("\n  {line} ")]);
        }
        let (made, _) = world.hub().made(&north, *period).await.unwrap();
        if let Some(mut answer) = Box::pin(outside(&world, &made, contract, &[3, 7, 8, 9], paid)).await {
            answer.as_object_mut().unwrap().remove("counts");
            assert_eq!(answer, own(&made), "{}", notice.statement);
        }
    }
    // A dispute that strikes out more is decided, and corrected on both sides alike.
    let daemon = world.daemon("north").clone();
    let (asked, now) = ("12".parse().unwrap(), closes(month));
    let disputed = daemon.dispute_striking(parts[0].0, ("a test of ours", Some(&asked)), now).await;
    disputed.unwrap_or_else(|error| panic!("{}", told(&error)));
    let ruling = world.hub().rule(&north, parts[0].0, (Decision::Accepted, "so it is"), now).await;
    ruling.unwrap_or_else(|error| panic!("{}", told(&error)));
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{}", delivered.notice.statement);
    let causes = delivered.notice.revisions.iter().map(|revision| (revision.period, revision.cause));
    assert_eq!(causes.collect::<Vec<_>>(), [(parts[0].0, Cause::Dispute)]);
}
