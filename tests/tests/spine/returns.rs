//! Journals on their way back to main: begun from either end, cut off and gone on with, refused for good and settled.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use axum::http::HeaderMap;
use jiff::Timestamp;
use tieup_hub::collect::Collected;
use tieup_hub::database::PartnerRow;
use tieup_hub::refusals::Settlement;
use tieup_protocol::access::{Method, Purpose};
use tieup_protocol::path::SitePath;
use tieup_protocol::period::Month;
use tieup_store::journal::{JournalReader, JournalWriter, Mirror, month_dir, months, verify_log};
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::proxy::Fault;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};
use tieup_web::site::{AccessLog as _, Caller, Visit};
use tieup_web::visitors::Remembered;

use crate::settled;

/// How many visits make a journal of several bundles.
const MANY: u64 = 3000;

/// Logs `count` visits at `partner`, as its public site does.
pub(crate) async fn log_visits(world: &World, partner: &str, count: u64) {
    let journal = world.daemon(partner).journal();
    let (time, path, headers) = (Timestamp::now(), "/about/".parse::<SitePath>().unwrap(), HeaderMap::new());
    let caller = Caller { time, address: IpAddr::from([192, 0, 2, 1]), introduction: (&headers).into() };
    let visitor = journal.recognise(&caller, &mut Remembered::default());
    let visit = Visit {
        time,
        visitor,
        path: &path,
        class: None,
        method: Method::Get,
        status: axum::http::StatusCode::OK,
        bytes: 1,
        purpose: Purpose::Document,
    };
    let mut last = None;
    for _ in 0..count {
        last = Some(journal.record(&visit));
    }
    last.unwrap().await.unwrap();
}

async fn row(world: &World, partner: &str) -> PartnerRow {
    world.hub().partner(&site_id(partner)).await.unwrap()
}

/// The folder of main's copy of the journal that `north` writes now.
fn copy(world: &World) -> PathBuf {
    world.mirrors("north").join(world.month("north").to_string())
}

/// Runs `tieup` beside the hub of `world`.
pub(crate) fn tieup(world: &World, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
    let config = world.hub().config.state.with_file_name("tieup.yaml");
    command.arg("--config").arg(&config).args(arguments).output().unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_a_partner_returns_its_journal_by_itself() {
    let world = settled().await;
    world.get("north", "/about/").await;
    let returned = world.daemon("north").return_journal(None).await.unwrap();
    let month = world.month("north");
    assert_eq!(returned, [Collected { month, added: 1, size: 1 }]);
    world.get("north", "/about/").await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncd-to-kill"));
    let pushed =
        command.arg("--config").arg(&world.partner("north").config_file).args(["log", "push"]).output().unwrap();
    assert_says(&said(&pushed), &[&format!("{month}: 1 new entry, 2 in all, cosigned by the main site")]);
    let cosigned = world.daemon("north").journal().reader(month).unwrap().cosigned().unwrap().unwrap();
    assert_eq!(cosigned.lines().nth(1), Some("2"));
    let other = world.daemon("north").return_journal(Some(month.next())).await.unwrap();
    assert_eq!(other, [], "a month that nobody logged was returned");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_a_partner_that_dials_returns_its_journal_over_its_line() {
    let mut world = World::new().main_page("/about/", "We mend lamps.").contract_alone("north", Contract::inherited());
    world = world.contract("south", Contract::inherited());
    let mut world = world.start().await;
    let (site, hub) = (world.folder().join("sources/partners/north"), world.hub().config.address.clone());
    world.join_dialing("north", &site, &hub).await;
    world.go_live("north").await;
    world.get("north", "/about/").await;
    let returned = world.daemon("north").return_journal(None).await.unwrap();
    assert_eq!(returned.iter().map(|month| month.size).sum::<u64>(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_a_collection_that_is_cut_off_goes_on_where_it_was() {
    let mut world = settled().await;
    let proxy = world.proxy("north").await;
    log_visits(&world, "north", MANY).await;
    let mut cut = 4_000;
    let waiting = loop {
        proxy.lay(Fault::Cut, cut);
        let collected = world.try_collect("north").await;
        assert!(collected.is_err(), "the collection ended before byte {cut}");
        let mirror = copy(&world);
        let held = if mirror.is_dir() {
            Mirror::open(&mirror).unwrap()
        } else {
            cut += 500;
            continue;
        };
        assert_eq!(held.confirmed(), 0, "entries were confirmed without their checkpoint");
        if held.size() > 500 {
            break held.size();
        }
        cut += 500;
    };
    assert!(waiting < MANY && waiting.is_multiple_of(256), "{waiting}");
    let confirmed = JournalReader::open(copy(&world)).unwrap();
    assert_eq!(confirmed.cosigned().unwrap(), None, "it was cosigned before it was whole");
    proxy.clear();
    let collected = world.collect("north").await;
    assert_eq!(collected[0].size, MANY);
    let asked = proxy.passed();
    // A second partner's worth of requests: the whole journal anew would have taken more.
    proxy.clear();
    fs::remove_dir_all(copy(&world)).unwrap();
    world.collect("north").await;
    assert!(asked < proxy.passed(), "what was held was fetched again: {asked} bytes and {}", proxy.passed());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_came_before_a_cut_and_are_wrong_are_fetched_again_and_nobody_is_blamed() {
    let world = settled().await;
    log_visits(&world, "north", 600).await;
    let mirror = copy(&world);
    let mut held = Mirror::open(&mirror).unwrap();
    held.take(&[b"what a bad line made of an entry"]).unwrap();
    drop(held);
    assert_eq!(world.collect("north").await[0].size, 600);
    assert_eq!(world.hub().refused_journals(&site_id("north")).unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_entries_that_no_visit_can_be_are_not_kept_and_nobody_is_blamed_for_good() {
    let mut world = settled().await;
    log_visits(&world, "north", 300).await;
    let month = world.month("north");
    let mut honest = Vec::new();
    world
        .restart_after("north", |state| {
            let log = JournalOnDisk::open(state, month);
            honest = log.entries();
        })
        .await;
    for (bad, told_of_it) in [
        (vec![1; 65_535], "has an entry of 65535 bytes"),
        (vec![0; honest[299].len()], "entry 299 of the journal cannot be read"),
    ] {
        let entries = [&honest[..299], &[bad]].concat();
        world.restart_after("north", |state| put_back(state, month, &entries)).await;
        let error = world.try_collect("north").await.unwrap_err();
        assert_says(&told(&error), &[told_of_it]);
        assert_eq!(Mirror::open(&copy(&world)).unwrap().size(), 0, "what came before it takes main's disk");
        assert_eq!(world.hub().refused_journals(&site_id("north")).unwrap(), []);
    }
    world.restart_after("north", |state| put_back(state, month, &honest)).await;
    assert_eq!(world.collect("north").await[0].size, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_a_month_with_nothing_new_is_cosigned_without_reading_mains_copy() {
    let world = settled().await;
    log_visits(&world, "north", 4).await;
    world.collect("north").await;
    let month = world.month("north");
    let (copied, receipt) =
        (copy(&world).join("entries"), world.state("north").join(format!("journal/{month}/cosigned")));
    fs::rename(&copied, copied.with_extension("away")).unwrap();
    let cosigned = fs::read(&receipt).unwrap();
    fs::remove_file(&receipt).unwrap();
    assert_eq!(world.collect("north").await, [Collected { month, added: 0, size: 4 }]);
    assert_eq!(fs::read(&receipt).unwrap(), cosigned, "the partner was not shown what main cosigned");
    log_visits(&world, "north", 1).await;
    let error = world.try_collect("north").await.unwrap_err();
    assert_says(&told(&error), &["main's copy of the journal cannot be opened"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_months_that_a_partner_cannot_have_are_told_and_nothing_of_them_is_taken() {
    let mut world = settled().await;
    log_visits(&world, "north", 4).await;
    let month = world.month("north");
    let later: Vec<Month> = ["2099-01", "9999-12"].map(|month| month.parse().unwrap()).to_vec();
    world
        .restart_after("north", |state| {
            for later in &later {
                let log = JournalOnDisk::open(state, *later);
                fs::create_dir_all(&log.dir).unwrap();
                log.replace(&[], &log.signer);
            }
        })
        .await;
    assert_eq!(world.daemon("north").journal().months().unwrap(), [month, later[0], later[1]]);
    assert_eq!(world.collect("north").await, [Collected { month, added: 4, size: 4 }]);
    assert_eq!(months(&world.mirrors("north")).unwrap(), [month]);
    let heartbeat = world.daemon("north").heartbeat().await.unwrap();
    assert_eq!(heartbeat.journals.into_iter().collect::<Vec<_>>(), [(month, 4)]);
    assert_says(
        &said(&tieup(&world, &["status", "north"])),
        &["ALARM: it names journals of 2099-01, 9999-12, and can"],
    );
    let fetched = tieup(&world, &["log", "fetch", "north", "--month", "9999-12"]);
    assert_says(&said(&fetched), &["the journal of `north` is not taken: it names journals of 2099-01, 9999-12"]);
    assert_eq!(fetched.status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_every_journal_is_verified_whatever_another_comes_to_and_one_that_is_not_there_is_told() {
    let world = settled().await;
    let told = |arguments: &[&str]| {
        let output = tieup(&world, arguments);
        (output.status.code(), said(&output))
    };
    assert_eq!(told(&["log", "verify"]), (Some(0), "No journal has been fetched yet: tieup log fetch\n".to_owned()));
    let (code, said) = told(&["log", "fetch"]);
    assert_says(&said, &["No partner has logged a visit yet.\n"]);
    assert_eq!(code, Some(0));
    for (arguments, says) in [
        (["log", "verify", "north", "2019-01"].as_slice(), "no journal of 2019-01 of `north` has been fetched"),
        (&["log", "verify", "north"], "no journal of `north` has been fetched yet"),
        (&["log", "verify", "lampworks"], "no visit to your own pages has been logged yet"),
        (&["log", "fetch", "north", "--month", "2019-01"], "`north` has no journal of 2019-01, and none was fetched"),
        (&["log", "fetch", "--month", "2019-01"], "no partner has a journal of 2019-01"),
    ] {
        let (code, said) = told(arguments);
        assert_says(&said, &[says]);
        assert_eq!(code, Some(1), "{arguments:?}");
    }
    // Main's own log is damaged, a first fetch from `north` was cut off, and `south` is whole.
    let (hub, month) = (world.hub(), "2020-01".parse().unwrap());
    let own = month_dir(&hub.own_journals(), month);
    let mut writer = JournalWriter::open(&own, hub.own_origin(month), hub.keys.journal().unwrap().clone()).unwrap();
    writer.append(&[b"a visit"]).unwrap();
    writer.checkpoint().unwrap();
    fs::write(own.join("entries"), b"\0\x07another").unwrap();
    log_visits(&world, "north", 4).await;
    Mirror::open(&copy(&world)).unwrap().take(&[b"what has come"]).unwrap();
    log_visits(&world, "south", 3).await;
    world.collect("south").await;
    let (code, said) = told(&["log", "verify"]);
    assert_says(&said, &["lampworks/lampworks/2020-01 does not verify", "entry 0 is not the one that was logged"]);
    assert_says(&said, &["nothing is confirmed yet", "3 entries match the signed checkpoint, 3 cosigned at"]);
    assert_says(&said, &["1 of 3 journals did not verify"]);
    assert_eq!(code, Some(1));
    assert_eq!(told(&["log", "verify", "north"]).0, Some(0));
    // A receipt without its checkpoint is no fetch that was cut off.
    fs::write(copy(&world).join("cosigned"), "a receipt").unwrap();
    assert_says(&told(&["log", "verify", "north"]).1, &["does not verify", "has no checkpoint"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_62_main_knows_when_it_collected_last_though_nothing_was_new() {
    let world = settled().await;
    let north = row(&world, "north").await;
    let last = || world.hub().collected_at(&north).unwrap();
    assert_eq!(last(), None);
    log_visits(&world, "north", 1).await;
    world.collect("north").await;
    let first = last().unwrap();
    world.collect("north").await;
    let second = last().unwrap();
    assert!(first < second, "{first} {second}");
    fs::remove_file(copy(&world).join("entries")).unwrap();
    log_visits(&world, "north", 1).await;
    world.try_collect("north").await.unwrap_err();
    assert_eq!(last(), Some(second), "a collection that failed counts");
}

/// A world whose `north` has rewritten an entry that main had cosigned, which main has refused, and its own log before.
async fn refused() -> (World, Vec<Vec<u8>>) {
    let mut world = settled().await;
    log_visits(&world, "north", 4).await;
    world.collect("north").await;
    let month = world.month("north");
    let mut honest = Vec::new();
    world
        .restart_after("north", |state| {
            let log = JournalOnDisk::open(state, month);
            honest = log.entries();
            let mut entries = honest.clone();
            entries[1][3] ^= 1;
            log.replace(&entries, &log.signer);
        })
        .await;
    let error = world.try_collect("north").await.unwrap_err();
    assert_says(&told(&error), &["is refused", "the log forked: two checkpoints of 4 entries"]);
    (world, honest)
}

fn put_back(state: &Path, month: Month, entries: &[Vec<u8>]) {
    let log = JournalOnDisk::open(state, month);
    log.replace(entries, &log.signer);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_a_refused_journal_stays_refused_with_both_checkpoints_until_it_is_settled() {
    let (mut world, honest) = refused().await;
    let (north, month) = (site_id("north"), world.month("north"));
    let kept = world.hub().refused_journals(&north).unwrap();
    let [evidence] = kept.as_slice() else { panic!("{kept:?}") };
    let (held, shown) = (evidence.held.as_deref().unwrap(), evidence.shown.as_deref().unwrap());
    assert_eq!(held.lines().take(2).collect::<Vec<_>>(), shown.lines().take(2).collect::<Vec<_>>());
    assert_ne!(held.lines().nth(2), shown.lines().nth(2), "both have the same root");
    // The partner puts its log back, and is refused all the same: a person has to look.
    world.restart_after("north", |state| put_back(state, month, &honest)).await;
    for collected in
        [world.try_collect("north").await, world.hub().collect_month(&row(&world, "north").await, month).await]
    {
        assert_says(&told(&collected.unwrap_err()), &["is refused since", "the log forked"]);
    }
    let error = world.daemon("north").return_journal(None).await.unwrap_err();
    assert_says(&told(&error), &["the main site did not take the journal", "is refused since"]);
    let status = tieup(&world, &["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert_says(&said(&status), &["ALARM: the journal of", "is refused since", "tieup log settle"]);
    let verified = tieup(&world, &["log", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "main's copy is what was cosigned");
    let said_of_it = said(&verified);
    assert!(said_of_it.starts_with("ALARM: north: the journal of"), "refusals come first: {said_of_it}");
    assert_says(&said_of_it, &["4 entries match the signed checkpoint"]);
    let fetched = tieup(&world, &["log", "fetch", "north"]);
    assert_eq!(fetched.status.code(), Some(1));
    assert_says(&said(&fetched), &["hint: what was signed is kept", &format!("tieup log settle north {month}")]);
    let (month, reason) = (month.to_string(), "it was put back from a copy; told by telephone");
    assert_eq!(tieup(&world, &["log", "settle", "north", &month, "--reason", " "]).status.code(), Some(2));
    let settled = tieup(&world, &["log", "settle", "north", &month, "--reason", reason]);
    assert!(settled.status.success(), "{}", said(&settled));
    assert_eq!(world.hub().refused_journals(&north).unwrap(), []);
    let file = world.hub().config.state.join(format!("refusals/north/{month}.json"));
    assert_says(&fs::read_to_string(file).unwrap(), &[reason, "the log forked"]);
    assert_eq!(world.collect("north").await[0].size, 4);
    assert!(tieup(&world, &["status"]).status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_is_settled_and_still_contradicts_is_refused_again_unless_the_copy_is_put_aside() {
    let (world, _) = refused().await;
    let (hub, north, month, now) = (world.hub(), site_id("north"), world.month("north"), Timestamp::now());
    hub.settle_journal(&north, month, Settlement::Kept, "we talked", now).unwrap();
    let error = world.try_collect("north").await.unwrap_err();
    assert_says(&told(&error), &["the log forked"]);
    hub.settle_journal(&north, month, Settlement::PutAside, "its disk was lost", now).unwrap();
    assert_eq!(world.collect("north").await[0].size, 4);
    let aside = world.mirrors("north").join(format!("{month}.aside-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    assert_eq!(JournalReader::open(aside).unwrap().size(), 4, "what main held is gone");
    let nothing = hub.settle_journal(&north, month, Settlement::Kept, "again", now);
    assert_says(&told(&nothing.unwrap_err()), &["no journal of", "of `north` is refused"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_begins_anew_with_no_entry_can_be_taken_in_the_place_of_the_copy_and_the_hint_says_so() {
    let mut world = settled().await;
    log_visits(&world, "north", 4).await;
    world.collect("north").await;
    let month = world.month("north");
    world.restart_after("north", |state| put_back(state, month, &[])).await;
    // When it is refused, and while that stands.
    for _ in 0..2 {
        let fetched = tieup(&world, &["log", "fetch", "north"]);
        let says = ["the log shrank: 4 entries were cosigned, and the checkpoint covers 0", "with --put-aside"];
        assert_says(&said(&fetched), &says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_a_month_that_vanished_is_refused_for_good() {
    let mut world = settled().await;
    log_visits(&world, "north", 4).await;
    world.collect("north").await;
    let month = world.month("north");
    world.restart_after("north", |state| fs::remove_dir_all(state.join(format!("journal/{month}"))).unwrap()).await;
    let error = world.try_collect("north").await.unwrap_err();
    assert_says(&told(&error), &["is refused", "the log shrank: 4 entries were cosigned, and the checkpoint covers 0"]);
    assert_eq!(world.hub().refused_journals(&site_id("north")).unwrap()[0].shown, None);
    // Somebody has looked: it is gone, and main's copy stands.
    let (north, now) = (site_id("north"), Timestamp::now());
    world.hub().settle_journal(&north, month, Settlement::Kept, "its disk was lost", now).unwrap();
    assert_eq!((world.collect("north").await[0].added, world.collect("north").await[0].size), (0, 4));
    log_visits(&world, "north", 2).await;
    assert_says(&told(&world.try_collect("north").await.unwrap_err()), &["is refused", "the log shrank"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_an_entry_is_proven_to_whoever_has_the_keys_and_visits_are_written_out() {
    let world = settled().await;
    log_visits(&world, "north", 300).await;
    world.collect("north").await;
    let month = world.month("north").to_string();
    let verified = tieup(&world, &["log", "verify", "north", &month]);
    assert_says(&said(&verified), &["300 entries match the signed checkpoint, 300 cosigned at"]);
    let told = tieup(&world, &["log", "prove", "north", &month, "299", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["entry"]["path"], "/about/");
    let file = world.folder().join("entry.tlog-proof");
    fs::write(&file, told["proof"].as_str().unwrap()).unwrap();
    let text = tieup(&world, &["log", "prove", "north", &month, "299"]);
    assert_eq!(text.stdout, fs::read(&file).unwrap());
    let check = |file: &Path| {
        let (key, cosigner) = (told["key"].as_str().unwrap(), told["cosigner"].as_str().unwrap());
        let file = file.display().to_string();
        tieup(&world, &["log", "verify-proof", &file, "--key", key, "--cosigner", cosigner])
    };
    assert_says(&said(&check(&file)), &["entry 299 is in lampworks/north/", "covers 300 entries, cosigned at"]);
    let altered = world.folder().join("altered.tlog-proof");
    fs::write(&altered, fs::read_to_string(&file).unwrap().replace("index 299", "index 42")).unwrap();
    assert_eq!(check(&altered).status.code(), Some(1));
    let beyond = tieup(&world, &["log", "prove", "north", &month, "300"]);
    assert_says(&said(&beyond), &["entry 300 is not covered: the cosigned checkpoint covers 300 entries"]);
    for (layout, lines) in [("ndjson", 300), ("combined", 300), ("csv", 301)] {
        let exported = tieup(&world, &["log", "export", "north", &month, "--as", layout]);
        assert_eq!(String::from_utf8(exported.stdout).unwrap().lines().count(), lines, "{layout}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncd-to-kill"));
    let own = command.arg("--config").arg(&world.partner("north").config_file);
    let own = own.args(["log", "export", &month, "--as", "combined"]).output().unwrap();
    assert_eq!(own.stdout, tieup(&world, &["log", "export", "north", &month, "--as", "combined"]).stdout);
    // What is damaged here proves nothing.
    let entries = world.mirrors("north").join(format!("{month}/entries"));
    let mut bytes = fs::read(&entries).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&entries, bytes).unwrap();
    let refused = tieup(&world, &["log", "prove", "north", &month, "299"]);
    assert_says(
        &said(&refused),
        &["nothing is proven: tieup log verify north", "damaged", "entry 299 is not in the log"],
    );
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_50_visits_to_mains_own_pages_are_in_a_journal_of_its_own() {
    let world = settled().await;
    world.show_main();
    for path in ["/about/", "/nothing/", "/about/"] {
        world.get_main(path).await;
    }
    let dir = world.hub().own_journals();
    // The checkpoint that covers them comes within a second.
    let (month, key) = (months(&dir).unwrap()[0], world.hub().keys.journal().unwrap().verifier());
    let verified = async {
        loop {
            let verified = verify_log(&month_dir(&dir, month), &world.hub().own_origin(month), &key);
            if verified.as_ref().is_ok_and(|verified| verified.checkpoint.size() == 3) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), verified).await.expect("no checkpoint covers them");
    let said_of_it = said(&tieup(&world, &["log", "verify"]));
    assert_says(
        &said_of_it,
        &["lampworks/lampworks/", "3 entries match the signed checkpoint; visits to your own pages"],
    );
    let exported = tieup(&world, &["log", "export", "lampworks", &month.to_string(), "--as", "csv"]);
    assert_says(&said(&exported), &["tieup,GET,200,", "\"/about/\"", "GET,404,"]);
}
