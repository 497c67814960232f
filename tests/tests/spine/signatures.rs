//! What both sides sign: main a release with its contract, the partner its audit trail, by which the contract is in force.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use tieup_hub::audit::FetchAuditError;
use tieup_protocol::audit::Event;
use tieup_store::journal::LogSigner;
use tieup_syncd::identity::Identity;
use tieup_tests::issuing::{issue, log_before, row};
use tieup_tests::{Contract, World, assert_says, python, told};

use crate::rejoining::aside;
use crate::returns::{said, tieup};
use crate::settled;

/// Has a program of others verify main's copy of the trail of `north`, and gives whether it does, and what it says.
fn verified(world: &World, trail: &Path) -> Option<(bool, String)> {
    let python = python::with(python::VERIFYING, env!("CARGO_TARGET_TMPDIR"))?;
    let mut command = Command::new(python);
    command.arg(python::outside("verify_trail.py")).arg(trail).arg(world.mirrors("north").join("audit.signed"));
    command.arg("--key").arg(world.journal_key("north").to_string()).args(["--trail", "lampworks/north"]);
    let output = command.output().unwrap();
    Some((output.status.success(), said(&output)))
}

/// Fetches the trail of `north`, and gives what went wrong.
async fn fetch(world: &World) -> Result<u64, FetchAuditError> {
    world.hub().fetch_audit(&row(world, "north").await).await.map(|end| end.lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_06_the_contract_of_a_statement_is_one_that_the_partner_signed() {
    let fees = "meters: {tie: {views: {class: tieup}}}\ncharges: {access: {graduated: tie, tiers: [[0, \"10\"]]}}\n";
    let contract = Contract::inherited().fees(fees);
    let world = World::new().main_page("/about/", "We mend lamps.").contract("north", contract.clone());
    let mut world = Box::pin(world.start()).await;
    world.go_live("north").await;
    world.get("north", "/about/").await;
    let month = Box::pin(log_before(&mut world, 3)).await;
    let issued = said(&tieup(&world, &["fee", "issue", "north", "--month", &month.to_string()]));
    assert!(issued.contains("issued; ") && !issued.contains("is not signed by it here"), "{issued}");
    let (notice, _) = issue(&world, month).await;
    let first = world.built("north").manifest().contract.digest;
    assert_says(&notice.statement, &[&first.to_string()]);
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::get("Asia/Tokyo").unwrap()).date().to_string();
    world.write_main("partners/north/contract.yaml", &contract.version(2).text("north").replace("2020-01-01", &today));
    world.go_live("north").await;
    let second = world.built("north").manifest().contract.digest;

    let lines = fetch(&world).await.unwrap();
    let north = row(&world, "north").await;
    let signed = world.hub().audit_signature(&north).unwrap().unwrap();
    assert_eq!(signed.end(), world.hub().audit_copy(&north).end().unwrap());
    let trail = world.hub().audit_copy(&north).entries().unwrap();
    let terms = trail.iter().filter(|entry| entry.what == Event::ContractChanged);
    let terms: Vec<_> = terms.map(|entry| entry.reason.as_deref().unwrap()).collect();
    assert_eq!(terms, [format!("version 1 ({first})"), format!("version 2 ({second})")]);
    for contract in [first, second] {
        assert_eq!(world.hub().signed_terms(&north, &contract).unwrap(), Some(signed.time()));
    }
    let never = tieup_protocol::digest::Digest::of(b"a contract that nobody took");
    assert_eq!(world.hub().signed_terms(&north, &never).unwrap(), None);
    let file = || fs::metadata(world.mirrors("north").join("audit.signed")).unwrap().ino();
    let before = file();
    assert_eq!(fetch(&world).await.unwrap(), lines, "nothing new");
    assert_eq!(file(), before, "and it is not signed again");
    let shown = said(&tieup(&world, &["audit", "north"]));
    assert_says(&shown, &[&format!("Signed by `north` up to entry {} on ", lines - 1)]);

    let copy = world.mirrors("north").join("audit.jsonl");
    let Some((accepted, told)) = verified(&world, &copy) else { return };
    assert!(accepted, "{told}");
    assert_says(
        &told,
        &[&format!("version 2 ({second})"), &format!("{lines} of {lines} lines are what lampworks/north signed on")],
    );
    let (text, altered) = (fs::read_to_string(&copy).unwrap(), world.folder().join("altered.jsonl"));
    let cut = text.lines().next().unwrap().to_owned() + "\n";
    for other in [text.replacen("version 2", "version 3", 1), text.replacen("\"staged\"", "\"held\"", 1), cut] {
        assert_ne!(other, text);
        fs::write(&altered, other).unwrap();
        let (accepted, told) = verified(&world, &altered).unwrap();
        assert!(!accepted && told.contains("NOT verified"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_partner_signed_it_cannot_take_back_though_main_lost_its_copy() {
    let mut world = settled().await;
    fetch(&world).await.unwrap();
    fs::remove_file(world.mirrors("north").join("audit.jsonl")).unwrap();
    // It begins anew, and each of its lines continues the one before it.
    let begin_anew = |state: &Path| fs::remove_file(state.join("audit.jsonl")).unwrap();
    world.restart_after("north", begin_anew).await;
    let error = fetch(&world).await.unwrap_err();
    assert!(matches!(error, FetchAuditError::Refused(..)), "{error:?}");
    let signed = world.mirrors("north").join("audit.signed").display().to_string();
    assert_says(&told(&error), &["`north` is REFUSED", "are not those that it signed on", &signed]);
    assert!(!world.mirrors("north").join("audit.jsonl").exists(), "what was refused is no copy");
    let shown = tieup(&world, &["audit", "north"]);
    assert_eq!(shown.status.code(), Some(1));
    assert_says(&said(&shown), &["Signed by `north` up to entry 3 on ", "`north` is REFUSED"]);

    let note = fs::read_to_string(&signed).unwrap();
    let settled = tieup(&world, &["audit", "north", "--settle", "--reason", "they told us by telephone"]);
    assert!(settled.status.success(), "{}", said(&settled));
    assert_eq!(fs::read_to_string(aside(&world, "signed")).unwrap(), note);
    fetch(&world).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_signed_again_by_a_key_that_took_the_place_of_another_and_by_no_stranger() {
    let mut world = settled().await;
    fetch(&world).await.unwrap();
    let north = row(&world, "north").await;
    let before = world.hub().audit_signature(&north).unwrap().unwrap();
    // The daemon has another key than the one that joined.
    let stranger = LogSigner::from_seed("north", &[7; 32]).unwrap();
    let take = |state: &Path| {
        let identity = Identity::load(state).unwrap();
        Identity { journal_key: stranger.to_private_text(), ..identity }.save(state).unwrap();
    };
    world.restart_after("north", take).await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    let error = fetch(&world).await.unwrap_err();
    assert!(matches!(error, FetchAuditError::Unsigned(..)), "{error:?}");
    assert_says(
        &told(&error),
        &["its daemon does not sign it as the partner that joined", "not signed by the partner's key"],
    );
    assert_eq!(world.hub().audit_signature(&north).unwrap().unwrap(), before, "what it signed before stands");
    let lines = world.hub().fetch_trail(&north).await.unwrap().lines;
    assert!(lines > before.end().lines, "what it decided is known all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_main_lost_is_fetched_again_and_what_is_no_signature_is_kept() {
    let world = settled().await;
    let lines = fetch(&world).await.unwrap();
    let (copy, signed) = (world.mirrors("north").join("audit.jsonl"), world.mirrors("north").join("audit.signed"));
    let (text, note) = (fs::read(&copy).unwrap(), fs::read(&signed).unwrap());
    // All of it, then its end.
    fs::remove_file(&copy).unwrap();
    assert_eq!(fetch(&world).await.unwrap(), lines);
    let first = text.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    fs::write(&copy, &text[..first]).unwrap();
    assert_eq!(fetch(&world).await.unwrap(), lines);
    assert_eq!(fs::read(&copy).unwrap(), text);
    assert!(!world.mirrors("north").join("audit.shown.jsonl").exists());
    fs::write(&signed, "no signature").unwrap();
    assert_eq!(fetch(&world).await.unwrap(), lines);
    assert_eq!(fs::read_to_string(aside(&world, "signed")).unwrap(), "no signature");
    assert!(fs::read(&signed).unwrap().starts_with(&note[..note.iter().position(|byte| *byte == b'Z').unwrap() - 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_signed_whenever_a_journal_comes_back() {
    let world = settled().await;
    assert!(world.hub().audit_signature(&row(&world, "north").await).unwrap().is_none());
    world.get("north", "/about/").await;
    world.daemon("north").return_journal(None).await.unwrap();
    let signed = world.hub().audit_signature(&row(&world, "north").await).unwrap().unwrap();
    let north = row(&world, "north").await;
    assert_eq!(signed.end(), world.hub().audit_copy(&north).end().unwrap());
    let contract = world.built("north").manifest().contract.digest;
    assert!(world.hub().signed_terms(&north, &contract).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_the_trail_does_not_name_is_named_at_the_next_start() {
    let mut world = settled().await;
    let named = |world: &World| {
        let entries = world.daemon("north").publisher().audit_entries().unwrap();
        entries.into_iter().filter(|entry| entry.what == Event::ContractChanged).count()
    };
    assert_eq!(named(&world), 1);
    // The power was cut after the release was live.
    let cut = |state: &Path| {
        let file = state.join("audit.jsonl");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.lines().last().unwrap().contains("contract-changed"), "{text}");
        fs::write(file, &text[..=text.trim_end().rfind('\n').unwrap()]).unwrap();
    };
    world.restart_after("north", cut).await;
    assert_eq!(named(&world), 1);
    world.restart("north").await;
    assert_eq!(named(&world), 1, "and it is named once");
}
