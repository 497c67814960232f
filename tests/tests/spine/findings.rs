//! What main finds in a partner's verified journal: visits that were invented on the partner's own pages, and nothing
//! where there were none.

use std::net::IpAddr;
use std::process::{Command, Output};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tieup_examples::visitor::Visitor;
use tieup_protocol::access::{Method, Purpose};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;
use tieup_tests::{World, assert_says};
use tieup_web::site::{AccessLog as _, Caller, Visit};
use tieup_web::visitors::Remembered;

use crate::settled;

/// How many visits are invented.
const INVENTED: u64 = 360;

/// Runs `tieup log findings` with further `arguments` beside the hub of `world`.
fn run(world: &World, arguments: &[&str]) -> Output {
    tieup(world, &[&["log", "findings"], arguments].concat())
}

/// Runs `tieup` beside the hub of `world`.
fn tieup(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
    let config = world.hub().config.state.with_file_name("tieup.yaml");
    command.arg("--config").arg(&config).args(arguments).output().unwrap()
}

/// What it says where it ends with status 0, and nothing is wrong.
fn findings(world: &World, arguments: &[&str]) -> String {
    let output = run(world, arguments);
    let said = String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

pub(crate) fn findings_as_json(world: &World, arguments: &[&str]) -> Vec<Value> {
    let said = findings(world, &[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}:\n{said}"))
}

/// The rules of the findings of a month.
pub(crate) fn rules(of_month: &Value) -> Vec<&str> {
    of_month["findings"].as_array().unwrap().iter().filter_map(|finding| finding["rule"].as_str()).collect()
}

/// Visits by people: several, each of a few pages.
async fn visit_honestly(world: &World) {
    for number in 0..5 {
        let visitor = Visitor::new(&format!("Mozilla/5.0 (X11; Linux x86_64; rv:{number}) Gecko/20100101"));
        for path in ["/", "/about/", "/local/"] {
            assert_eq!(world.visit("north", path, &visitor).await.status, 200);
        }
    }
}

/// Logs visits of one visitor to the partner's own pages, all within the hour that `now` is of, as somebody would who
/// holds the daemon's own means: the journal is genuine in every other way.
async fn invent_visits(world: &World, now: Timestamp) {
    let journal = world.daemon("north").journal();
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"));
    let caller = Caller { time: now, address: IpAddr::from([192, 0, 2, 1]), introduction: (&headers).into() };
    let visitor = journal.recognise(&caller, &mut Remembered::default());
    let hour = now - SignedDuration::from_secs(now.as_second().rem_euclid(3600));
    let mut last = None;
    for (number, second) in (0..INVENTED).zip(0_i64..) {
        let path: SitePath = format!("/local/{}/", number % 9).parse().unwrap();
        last = Some(journal.record(&Visit {
            time: hour + SignedDuration::from_secs(second),
            visitor,
            path: &path,
            class: Some(MeterClass::Original),
            method: Method::Get,
            status: StatusCode::OK,
            bytes: 1,
            purpose: Purpose::Document,
        }));
    }
    last.unwrap().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_39_40_43_invented_visits_to_originals_are_found_in_a_verified_journal() {
    let world = settled().await;
    invent_visits(&world, Timestamp::now()).await;
    visit_honestly(&world).await;
    world.collect("north").await;
    let month = world.month("north").to_string();
    let found = findings_as_json(&world, &["north", "--month", &month]);
    let [of_month] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&of_month["partner"], &of_month["month"]), (&"north".into(), &month.as_str().into()));
    assert_eq!((&of_month["zones"][0], &of_month["entries"]), (&"Asia/Tokyo".into(), &(INVENTED + 15).into()));
    assert_eq!(rules(of_month), ["rate/1", "one-sided/1"]);
    let rate = &of_month["findings"][0];
    assert_eq!((&rate["severity"], &rate["figures"]["visitors"]), (&"warning".into(), &1.into()));
    assert_eq!((&rate["figures"]["most"], &rate["figures"]["views"]), (&INVENTED.into(), &INVENTED.into()));
    let said = findings(&world, &[]);
    assert_says(
        &said,
        &[
            &format!("north {month}: 2 findings in {} entries; hours of Asia/Tokyo", INVENTED + 15),
            "rate/1       warning      One visitor viewed 360 pages, more than the 240 a person can in an hour",
            "views of original pages are from 3 visitors or fewer.",
        ],
    );
    let status = |arguments: &[&str]| String::from_utf8(tieup(&world, arguments).stdout).unwrap();
    let told = format!("2 findings in the journal of {month}: tieup log findings north");
    assert_says(&status(&["status", "north"]), &[&told]);
    assert!(!status(&["status"]).contains("findings"), "who asks for all waits for no journal to be read");
    let json: Value = serde_json::from_str(&status(&["status", "north", "--format", "json"])).unwrap();
    assert_eq!(json[0]["findings"], serde_json::json!({"month": month, "number": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_honest_journal_nothing_is_found() {
    let world = settled().await;
    visit_honestly(&world).await;
    world.collect("north").await;
    let found = findings_as_json(&world, &["north"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["entries"], 15);
    assert_eq!(found[0]["findings"], Value::Array(Vec::new()));
    assert_says(&findings(&world, &["north"]), &["no findings in 15 entries"]);
    assert_eq!(findings_as_json(&world, &["south"]), Vec::<Value>::new(), "nothing of `south` was fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_examined_is_told_and_holds_up_no_other() {
    let world = settled().await;
    visit_honestly(&world).await;
    world.collect("north").await;
    let month = world.month("north");
    std::fs::create_dir_all(world.mirrors("north").join(month.next().to_string())).unwrap();
    let output = run(&world, &["north"]);
    assert_eq!(output.status.code(), Some(1));
    assert_says(&String::from_utf8_lossy(&output.stdout), &[&format!("north {month}: no findings in 15 entries")]);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_says(&complaint, &[&format!("north {}:", month.next()), "1 journal was not examined"]);
}
