//! Who writes the access log, who verifies it and when it is returned, as contracts say it: REQUIREMENTS 003-49 to 51.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tieup_hub::collect::Collected;
use tieup_hub::refusals::RefusedJournal;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::dispute::Decision;
use tieup_protocol::joining::main_tls_name;
use tieup_protocol::period::{Month, Zone};
use tieup_protocol::wire::{MAIN_RECEIPT, MainReceipt, StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::journal::{Cosigner, JournalWriter, Mirror, SignedText, month_dir};
use tieup_tests::issuing::{before, closes, issue_at, row};
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::world::{MAIN, site_id};
use tieup_tests::{Contract, World, assert_says, told};
use tieup_web::client::PeerClient;

use crate::mirrors::mirroring;
use crate::strikes::main_strikes;

/// What a contract charges that main's own log can count.
const BY_MAIN: &str = "meters: {tie: {views: {class: tieup}}}\ncharges:\n  \
    base: {by: partnership, link: 0, framework: 20000, inherited: 50000}\n  \
    access: {graduated: tie, tiers: [[0, \"10\"]]}\n";

/// How long something that happens by itself may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// `north` is live under these terms of the journal; main serves its own pages, one of which stands where the contract
/// gives the path to the partner.
async fn world(journal: &str) -> World {
    let contract = Contract::inherited().zone("UTC").fees(BY_MAIN).journal(journal);
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .main_page("/local/", "Our workshop.")
        .contract("north", contract)
        .original("north", "/local/", "Our own shelf.")
        .start()
        .await;
    world.go_live("north").await;
    world.show_main();
    world
}

fn now() -> Month {
    Month::of(Timestamp::now(), &Zone::utc())
}

/// Visits main's own pages: two of the contract's, one of the partner's paths, one that is not there.
async fn visit_main(world: &World) {
    for (path, status) in [("/about/", 200), ("/", 200), ("/local/", 200), ("/nothing/", 404)] {
        assert_eq!(world.get_main(path).await.status, status, "{path}");
    }
}

fn run(world: &World, binary: &str, config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let _ = world;
    let Output { status, stdout, stderr } =
        Command::new(binary).arg("--config").arg(config).args(arguments).output().unwrap();
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

pub(crate) fn tieup(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let config = world.hub().config.state.with_file_name("tieup.yaml");
    run(world, env!("CARGO_BIN_EXE_tieup-to-call"), &config, arguments)
}

fn syncd(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    run(world, env!("CARGO_BIN_EXE_syncd-to-kill"), &world.partner("north").config_file, arguments)
}

/// Changes the last byte of the first entry of the log in `dir`, as a bad disk does.
fn damage(dir: &Path) {
    let file = dir.join("entries");
    let mut bytes = fs::read(&file).unwrap();
    let end = 1 + usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    bytes[end] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_49_where_both_verify_the_partner_finds_what_its_own_disk_damaged_before_main_blames_it() {
    let world = world("{writer: partner, verifier: both}").await;
    world.get("north", "/about/").await;
    let month = world.month("north");
    world.daemon("north").journal().checkpoint(month).await.unwrap();
    damage(&world.state("north").join(format!("journal/{month}")));
    let error = world.daemon("north").return_journal(None).await.unwrap_err();
    assert_says(
        &told(&error),
        &["does not verify here, and was not returned", "entry 0 is not the one that was logged"],
    );
    assert_eq!(world.hub().refused_journals(&site_id("north")).unwrap(), []);
    let error = world.daemon("north").verify_main_journal().await.unwrap_err();
    assert_says(&told(&error), &["did not show its log", "does not let it verify the main site's log"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_49_where_main_alone_verifies_the_partner_returns_what_it_has_and_main_refuses_it() {
    let world = world("{writer: partner, verifier: main}").await;
    world.get("north", "/about/").await;
    let month = world.month("north");
    world.daemon("north").journal().checkpoint(month).await.unwrap();
    damage(&world.state("north").join(format!("journal/{month}")));
    let error = world.daemon("north").return_journal(None).await.unwrap_err();
    assert_says(&told(&error), &["the main site did not take the journal", "is refused", "the log was rewritten"]);
    assert_eq!(world.hub().refused_journals(&site_id("north")).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_main_writes_a_receipt_that_came_after_the_issue_refuses_nothing_and_one_before_counts() {
    let world = world("{writer: main, verifier: partner}").await;
    visit_main(&world).await;
    let (month, row) = (now(), world.hub().partner(&site_id("north")).await.unwrap());
    world.daemon("north").verify_main_journal().await.unwrap();
    world.get_main("/about/").await;
    // The partner makes a receipt for five entries, and it does not get through.
    let receipts = world.hub().config.state.join("receipts");
    let aside = receipts.with_extension("aside");
    fs::rename(&receipts, &aside).unwrap();
    fs::write(&receipts, "").unwrap();
    let lost = world.daemon("north").verify_main_journal().await.unwrap_err();
    fs::remove_file(&receipts).unwrap();
    fs::rename(&aside, &receipts).unwrap();
    assert_says(&told(&lost), &["did not show its log"]);
    // The month is closed as main sees it: what it signs counts the four that it has a receipt for.
    let closed = Timestamp::now();
    let mut issued = world.hub().statement(&row, month, closed).await.unwrap().notice;
    assert_eq!(issued.size, 4);
    issued.status = StatementStatus::Final;
    issued.statement = issued.statement.replace("status:          draft", "status:          final");
    let sign = |notice: &StatementNotice, at| {
        let key = world.hub().keys.cosigner().unwrap();
        Some(SignedText::sign(&notice.statement, &key, at).unwrap().note().to_owned())
    };
    issued.note = sign(&issued, closed);
    let verified = world.daemon("north").take_statement(&issued).unwrap_or_else(|error| panic!("{}", told(&error)));
    assert_eq!(verified.verdict, StatementVerdict::Identical);
    // The receipt arrives: the statement stands. One that is signed from then on may not leave its entry out.
    world.daemon("north").verify_main_journal().await.unwrap();
    assert_eq!(world.daemon("north").verify_statement(month).unwrap().verdict, StatementVerdict::Identical);
    let file = world.state("north").join(format!("statements/{month}.json"));
    // A signature tells whole seconds.
    let later = Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let late = StatementNotice { note: sign(&issued, later), ..issued };
    fs::write(file, serde_json::to_string(&late).unwrap()).unwrap();
    let error = world.daemon("north").verify_statement(month).unwrap_err();
    assert_says(&told(&error), &["counts 4 entries, but main has cosigned 5"]);
}

/// That an entry of main's own log is proven by the receipt of `north`, whose fee it is.
fn prove_by_receipt(world: &World, month: Month) {
    let month = month.to_string();
    let (code, said) = tieup(world, &["log", "prove", "north", &month, "3", "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let told: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((told["entry"]["path"].as_str(), told["entry"]["status"].as_u64()), (Some("/nothing/"), Some(404)));
    let file = world.folder().join("entry.tlog-proof");
    fs::write(&file, told["proof"].as_str().unwrap()).unwrap();
    let [file, key, cosigner] =
        [&file.display().to_string(), told["key"].as_str().unwrap(), told["cosigner"].as_str().unwrap()];
    let (code, said) = tieup(world, &["log", "verify-proof", file, "--key", key, "--cosigner", cosigner]);
    assert_says(
        &said,
        &[&format!("entry 3 is in {MAIN}/{MAIN}/{month}, whose checkpoint covers 4 entries, cosigned at")],
    );
    assert_eq!(code, Some(0));
    let (code, said) = tieup(world, &["log", "prove", MAIN, &month, "3"]);
    assert_says(&said, &["your own log is proven by what a partner has cosigned of it"]);
    assert_eq!(code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_50_where_main_writes_the_partner_logs_nothing_and_verifies_what_it_is_charged_by() {
    let world = world("{writer: main, verifier: partner}").await;
    for path in ["/", "/about/", "/local/", "/nothing/"] {
        world.get("north", path).await;
    }
    assert_eq!(world.daemon("north").journal().months().unwrap(), [], "the partner logged visits");
    assert_eq!(world.collect("north").await, []);
    visit_main(&world).await;
    let (month, row) = (now(), world.hub().partner(&site_id("north")).await.unwrap());
    let error = world.hub().statement(&row, month, Timestamp::now()).await.unwrap_err();
    assert_says(&told(&error), &["the partner has not verified your own log of"]);
    let verified = world.daemon("north").verify_main_journal().await.unwrap();
    assert_eq!(verified, [Collected { month, added: 4, size: 4 }]);
    world.get_main("/about/").await;
    let delivered = world.hub().statement(&row, month, Timestamp::now()).await.unwrap();
    assert_eq!(delivered.verdict, StatementVerdict::Identical);
    let text = &delivered.notice.statement;
    assert_says(text, &[&format!("{MAIN}/{MAIN}/{month}"), "total:           50020 JPY"]);
    let (code, said) = tieup(&world, &["log", "verify", MAIN]);
    assert_says(&said, &["visits to your own pages", "north has verified and cosigned 4 of them at"]);
    assert_eq!(code, Some(0));
    prove_by_receipt(&world, month);
    let (code, said) = syncd(&world, &["log", "fetch"]);
    assert_says(&said, &[&format!("{month}: 1 new entry of the main site's own log, 5 in all, verified and cosigned")]);
    assert_eq!(code, Some(0));
    let (code, said) = syncd(&world, &["log", "verify", &month.to_string()]);
    assert_says(&said, &["5 entries of the main site's own log match its checkpoint, 5 cosigned by you"]);
    assert_eq!(code, Some(0), "{said}");
    // What was cut off before its receipt was made, or before its checkpoint came, is nothing bad.
    let copied = world.state("north").join(format!("main-journal/{month}"));
    fs::remove_file(copied.join("cosigned")).unwrap();
    let (code, said) = syncd(&world, &["log", "verify"]);
    assert_says(&said, &["5 entries of the main site's own log match its checkpoint, none cosigned by you yet"]);
    assert_eq!(code, Some(0), "{said}");
    let waiting = world.state("north").join(format!("main-journal/{}", before(month)));
    Mirror::open(&waiting).unwrap().take(&[b"what has come"]).unwrap();
    damage(&copied);
    let (code, said) = syncd(&world, &["log", "verify"]);
    let waits = format!("{}: nothing of the main site's own log is confirmed yet", before(month));
    assert_says(
        &said,
        &[
            &waits,
            "1 of 2 logs did not verify",
            "the copy of the main site's own log",
            "entry 0 is not the one that was logged",
        ],
    );
    assert_eq!(code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_main_writes_what_was_issued_stays_whatever_is_settled_of_a_journal_of_the_partner() {
    for (journal, becomes) in [
        ("{writer: main, verifier: partner}", "it stays as it is, since it is charged by your own log."),
        ("{writer: partner, verifier: main}", "the next one corrects it to what the new log comes to."),
    ] {
        let world = world(journal).await;
        let (month, hub, row) = (now(), world.hub(), world.hub().partner(&site_id("north")).await.unwrap());
        visit_main(&world).await;
        world.get("north", "/about/").await;
        world.collect("north").await;
        let verified = world.daemon("north").verify_main_journal().await;
        assert_eq!(verified.is_ok(), journal.contains("writer: main"), "{verified:?}");
        hub.issue(&row, month, closes(month.next())).await.unwrap();
        let said = put_aside(&world, month);
        assert_says(&said, &["is settled", &format!("The statement for {month} was issued: {becomes}")]);
    }
}

/// Puts aside a journal of `month` that the partner has shown and main has refused, from before main wrote, say. Returns what
/// is said of it.
fn put_aside(world: &World, month: Month) -> String {
    let (since, shown) = (Timestamp::now(), Some("another".to_owned()));
    let refused =
        RefusedJournal { month, since, reason: "the log forked".to_owned(), held: None, shown, settled: None };
    let folder = world.hub().config.state.join("refusals/north");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{month}.json")), serde_json::to_vec(&[refused]).unwrap()).unwrap();
    let settle = ["log", "settle", "north", &month.to_string(), "--put-aside", "--reason", "its disk was lost"];
    let (code, said) = tieup(world, &settle);
    assert_eq!(code, Some(0), "{said}");
    said
}

/// Lets main have logged `visits` of its page `/about/` in `month`, besides what it had logged then.
fn log_at_main(world: &World, month: Month, visits: u32) {
    let (journals, signer) = (world.hub().own_journals(), world.hub().keys.journal().unwrap());
    let log = |month| JournalOnDisk {
        dir: month_dir(&journals, month),
        origin: world.hub().own_origin(month),
        signer: signer.clone(),
    };
    let visit = AccessEntry::decode(&log(now()).entries()[0]).unwrap();
    let log = log(month);
    fs::create_dir_all(&log.dir).unwrap();
    let mut writer = JournalWriter::open(&log.dir, log.origin, log.signer).unwrap();
    let tenth = month.start(&Zone::utc()) + jiff::SignedDuration::from_hours(24 * 10);
    let first = u32::try_from(writer.reader().size()).unwrap();
    for number in first..first + visits {
        let time = tenth + jiff::SignedDuration::from_hours(i64::from(number));
        writer.append(&[AccessEntry { time, ..visit.clone() }.encode().as_slice()]).unwrap();
    }
    writer.checkpoint().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_main_writes_nothing_is_told_of_a_journal_of_the_partner_that_was_put_aside() {
    let world = world("{writer: main, verifier: partner}").await;
    let daemon = world.daemon("north").clone();
    visit_main(&world).await;
    let (second, third) = (before(before(now())), before(now()));
    let first = before(second);
    let verify = || async { daemon.verify_main_journal().await.unwrap_or_else(|error| panic!("{}", told(&error))) };
    for (month, visits) in [(first, 3), (second, 1), (third, 1)] {
        log_at_main(&world, month, visits);
        // As though it had been there by then.
        fs::create_dir_all(daemon.main_journal().dir(month)).unwrap();
    }
    verify().await;
    let receipts = world.hub().config.state.join("receipts");
    let (older, kept) = (receipts.with_extension("older"), receipts.with_extension("kept"));
    copy(&receipts, &older);
    world.collect("north").await;
    let issue = |month: Month| issue_at(&world, month, closes(month.next()));
    let (issued, _) = issue(first).await;
    assert_says(&issued.statement, &["total:           50030 JPY"]);
    log_at_main(&world, first, 2);
    verify().await;
    let strike = main_strikes(&world, first, "4", Decision::Accepted).await;
    let (later, verdict) = issue(second).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", later.statement);
    assert_says(&later.statement, &["entries were struck out: 50030 was charged, 50040 is right"]);
    put_aside(&world, first);
    let (last, verdict) = issue(third).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", last.statement);
    assert!(last.revisions.is_empty(), "{:?}", last.revisions);
    // Nor is what was struck out taken for that of another log where receipts come back from an older backup.
    fs::rename(&receipts, &kept).unwrap();
    fs::rename(&older, &receipts).unwrap();
    let error = told(&world.hub().made(&row(&world, "north").await, now()).await.map(drop).unwrap_err());
    assert_says(&error, &["the entries 0 to 5"]);
    assert_eq!(later.revisions[0].strikes, [strike]);
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-rT").arg(from).arg(to).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_50_mains_own_log_is_mirrored_as_far_as_a_partner_has_cosigned_it() {
    let world = world("{writer: main, verifier: partner}").await;
    let (mirror, month) = (world.folder().join("mirror"), now());
    let hub = mirroring(&world, &mirror).await;
    visit_main(&world).await;
    hub.mirror_journals().await.unwrap();
    let folder = mirror.join(format!("{MAIN}/{month}"));
    assert!(!folder.exists(), "what nobody but main has signed is mirrored");
    world.daemon("north").verify_main_journal().await.unwrap();
    hub.mirror_journals().await.unwrap();
    let note = fs::read(folder.join("checkpoint")).unwrap();
    let receipt = hub.receipt(&site_id("north"), month).unwrap().unwrap();
    assert_eq!((note, receipt.size), (receipt.note.into_bytes(), 4));
    let bundle = fs::read(folder.join("tile/entries/000.p/4")).unwrap();
    let log = fs::read(hub.own_journals().join(format!("{month}/entries"))).unwrap();
    assert!(log.starts_with(&bundle) && folder.join("tile/0/000.p/4").is_file());
    // What is new is not shown before the partner has cosigned it, and then with what was there.
    world.get_main("/about/").await;
    hub.mirror_journals().await.unwrap();
    assert!(!folder.join("tile/entries/000.p/5").exists());
    world.daemon("north").verify_main_journal().await.unwrap();
    hub.mirror_journals().await.unwrap();
    assert!(folder.join("tile/entries/000.p/5").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_a_journal_that_is_damaged_is_told_as_that_and_not_as_a_difference_from_main() {
    let world = world("{writer: partner, verifier: main}").await;
    world.get("north", "/about/").await;
    world.collect("north").await;
    let (month, row) = (world.month("north"), world.hub().partner(&site_id("north")).await.unwrap());
    let delivered = world.hub().statement(&row, month, Timestamp::now()).await.unwrap();
    assert_eq!(delivered.verdict, StatementVerdict::Identical);
    damage(&world.state("north").join(format!("journal/{month}")));
    let error = world.daemon("north").verify_statement(month).unwrap_err();
    assert_says(
        &told(&error),
        &[&format!("the journal of {month} does not verify"), "entry 0 is not the one that was logged"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_50_where_main_verifies_too_it_hands_out_nothing_that_does_not_verify_there() {
    for (verifier, says) in [
        ("both", ["did not show its log", "does not verify there; its log says why"]),
        ("partner", ["the main site's log of", "the log was rewritten"]),
    ] {
        let world = world(&format!("{{writer: main, verifier: {verifier}}}")).await;
        visit_main(&world).await;
        // What is signed for is hashed already, so that the damage comes after it.
        assert!(world.daemon("north").verify_main_journal().await.is_ok());
        fs::remove_dir_all(world.state("north").join("main-journal")).unwrap();
        fs::remove_dir_all(world.hub().config.state.join("receipts")).unwrap();
        visit_main(&world).await;
        damage(&month_dir(&world.hub().own_journals(), now()));
        let error = world.daemon("north").verify_main_journal().await.unwrap_err();
        assert_says(&told(&error), &says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_50_mains_own_log_with_other_entries_than_the_partner_cosigned_makes_no_statement() {
    let world = world("{writer: main, verifier: partner}").await;
    visit_main(&world).await;
    let (month, row) = (now(), world.hub().partner(&site_id("north")).await.unwrap());
    world.daemon("north").verify_main_journal().await.unwrap();
    // As many others, that main's key has signed: consistent in itself.
    let (dir, signer) = (month_dir(&world.hub().own_journals(), month), world.hub().keys.journal().unwrap());
    let log = JournalOnDisk { dir, origin: world.hub().own_origin(month), signer };
    let mut entries = log.entries();
    entries.reverse();
    log.replace(&entries, &log.signer);
    let error = world.hub().statement(&row, month, Timestamp::now()).await.unwrap_err();
    assert_says(&told(&error), &["the first 4 entries of the journal", "are not those that were cosigned"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_50_what_is_no_receipt_is_refused_and_the_one_before_stands() {
    let world = world("{writer: main, verifier: partner}").await;
    let (north, month) = (site_id("north"), now());
    visit_main(&world).await;
    world.daemon("north").verify_main_journal().await.unwrap();
    let older = world.hub().receipt(&north, month).unwrap().unwrap().note;
    visit_main(&world).await;
    world.daemon("north").verify_main_journal().await.unwrap();
    let stands = world.hub().receipt(&north, month).unwrap().unwrap();
    assert_eq!(stands.size, 8);
    let cosigner = world.daemon("north").main_journal().cosigner().unwrap().unwrap();
    let (key, other) = (cosigner.verifier().to_string(), Cosigner::from_seed("north", &[9; 32]).unwrap());
    let uncosigned = fs::read_to_string(world.daemon("north").main_journal().dir(month).join("checkpoint")).unwrap();
    let forged = forge(&world, month, &cosigner);
    let cases = [
        (month.next(), &stands.note, &key, "does not let it verify the main site's log of this month"),
        (month, &stands.note, &other.verifier().to_string(), "has cosigned with another key before"),
        (month, &uncosigned, &key, "the receipt does not verify"),
        (month, &forged, &key, "main's own log has another root at 8 entries"),
        (month, &older, &key, "the receipt covers 4 entries, and one before it 8"),
    ];
    let (identity, tls) = (world.daemon("north").identity(), world.daemon("north").tls().client().unwrap());
    let client = PeerClient::new(tls, main_tls_name(&identity.main), identity.hub.as_deref().unwrap()).await.unwrap();
    for (month, note, key, says) in cases {
        let receipt = MainReceipt { month, note: note.clone(), key: key.clone() };
        let error = client.post::<()>(MAIN_RECEIPT, &receipt).await.unwrap_err();
        assert_says(&told(&error), &[says]);
    }
    assert_eq!(world.hub().receipt(&north, month).unwrap(), Some(stands));
}

/// A receipt for eight entries that main never logged, of which main's key signed the log.
fn forge(world: &World, month: Month, cosigner: &Cosigner) -> String {
    let (origin, signer) = (world.hub().own_origin(month), world.hub().keys.journal().unwrap());
    let entries = vec![b"invented"; 8];
    let mut writer = JournalWriter::open(&world.folder().join("forged"), origin.clone(), signer.clone()).unwrap();
    writer.append(&entries).unwrap();
    let checkpoint = writer.checkpoint().unwrap();
    let mut mirror = Mirror::open(&world.folder().join("copy")).unwrap();
    mirror.take(&entries).unwrap();
    mirror.confirm(checkpoint.note().as_bytes(), &origin, &signer.verifier()).unwrap();
    mirror.cosign(cosigner, Timestamp::now()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_51_where_both_write_each_verifies_the_others_and_the_partners_is_charged_by() {
    let world = world("{writer: both, verifier: both}").await;
    world.get("north", "/about/").await;
    visit_main(&world).await;
    let month = now();
    assert_eq!(world.daemon("north").return_journal(None).await.unwrap(), [Collected { month, added: 1, size: 1 }]);
    let verified = world.daemon("north").verify_main_journal().await.unwrap();
    assert_eq!(verified, [Collected { month, added: 4, size: 4 }]);
    assert_eq!(world.hub().receipt(&site_id("north"), month).unwrap().unwrap().size, 4);
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical);
    assert_says(&delivered.notice.statement, &[&format!("{MAIN}/north/{month}"), "total:           50010 JPY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_51_a_log_of_mains_that_forks_is_refused_for_good_until_the_operator_settles_it() {
    let world = world("{writer: both, verifier: both}").await;
    visit_main(&world).await;
    let month = now();
    world.daemon("north").verify_main_journal().await.unwrap();
    world.fork_mains_log("north", month);
    let error = world.daemon("north").verify_main_journal().await.unwrap_err();
    assert_says(
        &told(&error),
        &["the main site's log of", "is refused", "the log forked: two checkpoints of 4 entries"],
    );
    visit_main(&world).await;
    let error = world.daemon("north").verify_main_journal().await.unwrap_err();
    assert_says(&told(&error), &["is refused since", "the log forked"]);
    let evidence = world.state("north").join(format!("main-journal/refusals/{month}.json"));
    let evidence: serde_json::Value = serde_json::from_slice(&fs::read(evidence).unwrap()).unwrap();
    assert_ne!(evidence[0]["held"], evidence[0]["shown"]);
    let (_, said) = syncd(&world, &["status"]);
    assert_says(
        &said,
        &["ALARM: the main site's own log: the journal of", "is refused since", "syncd log settle MONTH"],
    );
    let settled = ["log", "settle", &month.to_string(), "--reason", "we talked", "--put-aside"];
    let (code, said) = syncd(&world, &settled);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(world.daemon("north").verify_main_journal().await.unwrap(), [Collected { month, added: 8, size: 8 }]);
    let (code, said) = syncd(&world, &settled);
    assert_says(&said, &["no journal of", &format!("of `{MAIN}` is refused")]);
    assert_eq!(code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_a_partner_returns_its_journal_and_verifies_mains_when_the_contract_says() {
    let world = world("{writer: both, verifier: both, every: 1s}").await;
    world.get("north", "/about/").await;
    visit_main(&world).await;
    let (began, north) = (Instant::now(), site_id("north"));
    let is_cosigned = || {
        let month = world.month("north");
        let reader = world.daemon("north").journal().reader(month).unwrap();
        let cosigned = reader.cosigned().unwrap().unwrap_or_default();
        let receipt = world.hub().receipt(&north, month).unwrap();
        cosigned.lines().nth(1) == Some("1") && receipt.is_some_and(|receipt| receipt.size == 4)
    };
    while !is_cosigned() {
        assert!(began.elapsed() < PATIENCE, "nothing was returned");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_main_pulls_from_a_partner_that_does_not_return_its_journal_in_time() {
    let mut world = world("{writer: partner, verifier: both, every: 1s}").await;
    world
        .restart_after("north", |state| {
            let file = state.join("identity.json");
            let mut identity: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            identity["hub"] = serde_json::Value::Null;
            fs::write(&file, serde_json::to_vec(&identity).unwrap()).unwrap();
        })
        .await;
    assert_says(&told(&world.daemon("north").return_journal(None).await.unwrap_err()), &["join again"]);
    world.get("north", "/about/").await;
    let (began, copy) = (Instant::now(), world.mirrors("north").join(world.month("north").to_string()));
    while !copy.join("cosigned").is_file() {
        assert!(began.elapsed() < PATIENCE, "nothing was collected");
        tokio::task::yield_now().await;
    }
}
