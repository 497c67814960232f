//! What a second look found could go wrong, each held from then on.

use std::fs;

use jiff::Timestamp;
use tieup_hub::publish::{Outcome, PublishError};
use tieup_protocol::approval::DecidedBy;
use tieup_syncd::identity::Identity;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::settled;

/// The same contract with a dearer base.
const DEARER: &str = "meters: {}
charges: {base: {by: partnership, link: 0, framework: 0, inherited: 90000}}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_does_not_choose_the_contract_that_a_month_is_charged_under() {
    let world = settled().await;
    world.write_main("partners/north/contract.yaml", &Contract::inherited().version(2).fees(DEARER).text("north"));
    let waiting = world.publish("north").await;
    assert_says(&waiting.sentence, &["the contract changes from version 1 to 2"]);
    assert_says(&world.daemon("north").publisher().diff(None).unwrap(), &["changed  the contract", "+", "90000"]);
    world.approve("north");
    world.get("north", "/about/").await;
    world.collect("north").await;
    assert_says(&world.statement("north").await.notice.statement, &["total:           90000 JPY"]);
    world.roll_back("north");
    let again = world.statement("north").await;
    assert_says(&again.notice.statement, &["contract:        lampworks/north@2", "total:           90000 JPY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_on_the_disk_goes_live_only_if_it_is_what_was_verified() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    let waiting = world.publish("north").await;
    let file = world.state("north").join("releases/2/manifest.json");
    let manifest = fs::read_to_string(&file).unwrap();
    fs::write(&file, manifest.replacen("/about/", "/abaut/", 1)).unwrap();
    let (version, now) = (waiting.version, Timestamp::now());
    let refused = world.daemon("north").publisher().approve(version, waiting.manifest, DecidedBy::Operator, now);
    assert_says(&told(&refused.unwrap_err()), &["release 2 cannot be read back", "not the one that was verified"]);
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_does_not_keep_its_replacement_out() {
    let world = settled().await;
    let live = world.daemon("north").publisher().watch().borrow().clone();
    assert_eq!(live.len(), 1);
    let blob = world.manifest("north", 1).entries["/about/"].blob;
    world.damage("north", &blob);
    assert_eq!(world.get("north", "/about/").await.status, 500);
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_publishes_at_once_one_waits_for_the_other_and_finds_nothing_to_do() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    let (first, second) = tokio::join!(world.try_publish("north"), world.try_publish("north"));
    let is_idle =
        |outcome: &Result<_, PublishError>| matches!(outcome, Ok(Outcome::Unchanged(version)) if version.get() == 2);
    assert!(is_idle(&first) != is_idle(&second), "{first:?}, {second:?}");
    for outcome in [first, second] {
        outcome.unwrap();
    }
    let versions: Vec<u64> = world.releases("north").iter().map(|record| record.version.get()).collect();
    assert_eq!(versions, [2, 1]);
    let rows = world.hub().database.releases(&site_id("north")).await.unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn originals_edited_while_no_daemon_ran_are_published_at_its_start() {
    let mut world = settled().await;
    let halted = world.halt("north").await;
    let page = halted.config.site.join("content/local/_index.md");
    fs::create_dir_all(page.parent().unwrap()).unwrap();
    fs::write(&page, "---\ntitle: Anew\n---\nWritten in the night.\n").unwrap();
    let old = halted.config.site.join("content/local.md");
    if old.exists() {
        fs::remove_file(old).unwrap();
    }
    world.resume(halted).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !world.get("north", "/local/").await.text.contains("Written in the night.") {
        assert!(std::time::Instant::now() < deadline, "the edit was not published");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_nothing_is_ended() {
    let world = World::new().contract("north", Contract::inherited()).start().await;
    let mut idle = TcpStream::connect(world.partner("north").public).await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), idle.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "an idle connection was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn journals_whose_key_is_gone_are_not_written_on_under_another() {
    let mut world = settled().await;
    world.get("north", "/about/").await;
    let halted = world.halt("north").await;
    fs::remove_file(halted.config.state.join("identity.json")).unwrap();
    let invitation = world.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap();
    let refused = Identity::join(&halted.config.state, &invitation, &halted.config.address).await.unwrap_err();
    assert_says(&told(&refused), &["signed by a key which is gone", "put `identity.json` back"]);
    assert!(!halted.config.state.join("identity.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_themes_page_for_missing_paths_is_no_claim_of_the_partners() {
    let mounts = r#"{"/": main, "/local/**": partner}"#;
    let world = World::new()
        .contract("north", Contract::framework().mounts(mounts))
        .original("north", "/local/", "Our own shelf.")
        .start()
        .await;
    world.go_live("north").await;
    world.assert_shows("north", "/local/", "Our own shelf.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_of_a_release_that_no_trail_knows_takes_nothing_offline() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    let record = world.state("north").join("releases/1/record.json");
    world
        .restart_after("north", |state| {
            fs::write(&record, "{").unwrap();
            fs::write(state.join("audit.jsonl"), "damaged, too\n").unwrap();
        })
        .await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
    let versions: Vec<u64> = world.releases("north").iter().map(|record| record.version.get()).collect();
    assert_eq!(versions, [2]);
    assert_eq!(fs::read(&record).unwrap(), b"{", "the damaged record was replaced");
}
