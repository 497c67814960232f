//! What survives: restarts, crashes between two writes, half a release, a torn log, and broken files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tieup_protocol::approval::DecidedBy;
use tieup_protocol::audit::Event;
use tieup_syncd::daemon::{Besides, Daemon, Listeners};
use tieup_syncd::guard::QUARANTINE;
use tieup_syncd::identity::Identity;
use tieup_tests::child::Program;
use tieup_tests::journal::files_below;
use tieup_tests::parcel::{self, pack, send_blobs};
use tieup_tests::world::site_id;
use tieup_tests::{Kept, World, assert_says, told};
use tokio::net::TcpListener;

use crate::settled;

/// The files of which each says where one release stands.
fn records(state: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = files_below(&state.join("releases")).into_iter();
    files.filter(|(path, _)| path.ends_with("record.json")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_serves_what_was_live_and_keeps_what_waits() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    let waiting = world.publish("north").await;
    let before = world.face("north").await;
    world.restart("north").await;
    world.assert_unchanged("north", &before, Kept::All).await;
    assert_eq!(world.approve("north").version, waiting.version);
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_follow_the_live_document_after_a_crash_between_the_two() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    let old_records = records(&world.state("north"));
    assert_eq!(old_records.len(), 2);
    world.approve("north");
    let live = fs::read(world.state("north").join("live.json")).unwrap();
    world
        .restart_after("north", |_| {
            for (path, bytes) in &old_records {
                fs::write(path, bytes).unwrap();
            }
        })
        .await;
    let words: Vec<_> = world.releases("north").iter().map(|r| (r.version.get(), r.state.word())).collect();
    assert_eq!(words, [(2, "live"), (1, "retired")]);
    assert_eq!(fs::read(world.state("north").join("live.json")).unwrap(), live);
    world.assert_shows("north", "/about/", "We mend everything.").await;
    assert_eq!(world.roll_back("north").version.get(), 1);
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_survives_a_restart() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    assert_eq!(world.roll_back("north").version.get(), 1);
    let before = world.face("north").await;
    world.restart("north").await;
    world.assert_unchanged("north", &before, Kept::All).await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    assert_eq!(world.roll_back("north").version.get(), 2, "forward again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_arrived_by_half_is_completed_after_a_restart() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.edit("/prices/", "Nothing is free.");
    let before = world.face("north").await;
    let client = world.call("north").await;
    let wanted = parcel::offer(&client, &world.offer("north", 2).await).await.unwrap();
    send_blobs(&client, pack(&world.contents("north", &wanted[..1]))).await.unwrap_err();
    world.restart("north").await;
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
    world.go_live("north").await;
    world.assert_shows("north", "/prices/", "Nothing is free.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_on_the_same_state_is_refused() {
    let world = settled().await;
    let before = world.face("north").await;
    let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listeners = Listeners {
        public: bind().await,
        peer: Some(bind().await),
        mains: BTreeMap::new(),
        besides: Besides::default(),
    };
    let config = &world.partner("north").config;
    let Err(error) = Daemon::start(config, listeners) else { panic!("two daemons work in one folder") };
    assert_says(&told(&error), &["error: another process is using ", &config.state.display().to_string()]);
    world.assert_unchanged("north", &before, Kept::All).await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn originals_that_broke_while_the_daemon_was_down_take_nothing_offline() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    let before = world.face("north").await;
    let halted = world.halt("north").await;
    let file = halted.config.site.join("content/local.md");
    fs::write(&file, "---\ntitel: Local\n---\n").unwrap();
    world.resume(halted).await;
    world.assert_unchanged("north", &before, Kept::All).await;
    let waiting = world.daemon("north").publisher().staged().unwrap();
    let decide = world.daemon("north").publisher().approve(
        waiting.version,
        waiting.manifest,
        DecidedBy::Operator,
        Timestamp::now(),
    );
    let says = ["the originals cannot be built", "local.md:2:1", "unknown key `titel`", "did you mean `title`?"];
    assert_says(&told(&decide.unwrap_err()), &says);
    world.assert_unchanged("north", &before, Kept::All).await;
    world.edit_original("north", "/local/", "Our own shelf.").unwrap();
    world.approve("north");
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_originals_that_a_crash_left_between_two_names_are_those_that_are_merged() {
    let mut world = settled().await;
    world.reconfigure("north", "originals: ask\n").await;
    world.edit_original("north", "/local/", "Nobody has approved this.").unwrap();
    world
        .restart_after("north", |state| {
            fs::rename(state.join("originals"), state.join(".old-originals")).unwrap();
            fs::create_dir(state.join(".tmp-0-1")).unwrap();
        })
        .await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
    world.assert_shows("north", "/local/", "Our own shelf.").await;
    assert!(world.daemon("north").publisher().waiting_originals().is_some());
    assert!(!world.state("north").join(".tmp-0-1").exists(), "what a crash left lies there for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_were_damaged_while_no_daemon_ran_are_made_anew_from_the_audit_trail() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world.edit("/about/", "We mend it all.");
    world.publish("north").await;
    let before = world.releases("north");
    world
        .restart_after("north", |state| {
            fs::write(state.join("releases/3/record.json"), "{").unwrap();
            fs::write(state.join("releases/2/record.json"), b"\0\0\0").unwrap();
            fs::remove_file(state.join("releases/1/record.json")).unwrap();
        })
        .await;
    let after = world.releases("north");
    assert_eq!(after[1..], before[1..], "what is live, and what was before");
    assert_eq!((&after[0].state, &after[0].sentence), (&before[0].state, &before[0].sentence));
    assert_says(&after[0].waits_for.clone().unwrap(), &["its record was damaged"]);
    assert_eq!(quarantined(&world).len(), 2);
    let trail = world.daemon("north").publisher().audit_entries().unwrap();
    let found = trail.iter().find(|entry| entry.what == Event::DriftFound).unwrap();
    let names = ["the record of release 3", "the record of release 2", "the record of release 1"];
    assert_says(found.reason.as_deref().unwrap(), &names);
    world.approve("north");
    world.assert_shows("north", "/about/", "We mend it all.").await;
    assert_eq!(world.roll_back("north").version.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_document_that_was_damaged_while_no_daemon_ran_is_made_anew_from_the_release_that_was_live() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world.roll_back("north");
    let file = world.state("north").join("live.json");
    let before = fs::read(&file).unwrap();
    world.restart_after("north", |_| fs::write(&file, &before[..before.len() / 2]).unwrap()).await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    world.assert_shows("north", "/local/", "Our own shelf.").await;
    assert_eq!(fs::read(&file).unwrap(), before, "it knows who made it live, and from what they rolled back");
    assert_eq!(quarantined(&world).len(), 1);
    world.edit("/about/", "We mend it all.");
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend it all.").await;
}

/// A site from which main has withdrawn its prices: release 2 has them, and 3 is live.
async fn without_prices() -> World {
    let world = settled().await;
    world.edit("/prices/", "Nothing is free.");
    world.go_live("north").await;
    fs::remove_file(world.hub().config.site.join("content/prices.md")).unwrap();
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_document_that_is_made_anew_knows_which_of_mains_pages_were_withdrawn() {
    let mut world = without_prices().await;
    world.edit("/about/", "We mend it all.");
    world.go_live("north").await;
    let statuses = async |world: &World| {
        let status = async |path| world.get("north", path).await.status;
        [status("/prices/").await, status("/about/").await, status("/local/").await, status("/never/").await]
    };
    assert_eq!(statuses(&world).await, [410, 200, 200, 404]);
    world.restart_after("north", |state| fs::write(state.join("live.json"), "{").unwrap()).await;
    assert_eq!(statuses(&world).await, [410, 200, 200, 404]);
    // Release 2 is the one that has it.
    let version = Some("2".parse().unwrap());
    world.daemon("north").publisher().roll_back(version, Timestamp::now()).unwrap();
    assert_eq!(statuses(&world).await, [200, 200, 200, 404]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_document_that_is_made_anew_knows_what_swept_releases_and_originals_had() {
    let mut world = without_prices().await;
    let site = world.partner("north").config.site.clone();
    fs::write(site.join("content/local.md"), "---\ntitle: Local\npath: /local/shelf/\n---\nOur own shelf.\n").unwrap();
    world.daemon("north").publisher().refresh_originals().unwrap();
    let statuses = async |world: &World| {
        let status = async |path| world.get("north", path).await.status;
        [status("/prices/").await, status("/local/").await, status("/local/shelf/").await, status("/never/").await]
    };
    assert_eq!(statuses(&world).await, [410, 410, 200, 404]);
    // Release 2 is the one that had the prices. The first time there are the paths that were kept, the second time none.
    for (kept, after) in [(None, [410, 410, 200, 404]), (Some("{"), [404, 404, 200, 404])] {
        world
            .restart_after("north", |state| {
                fs::write(state.join("live.json"), "{").unwrap();
                let _ = fs::remove_file(state.join("releases/2/manifest.json"));
                if let Some(damaged) = kept {
                    fs::write(state.join("withdrawn.json"), damaged).unwrap();
                }
            })
            .await;
        assert_eq!(statuses(&world).await, after);
    }
}

/// What is kept of withdrawn paths beside the live document.
fn kept_withdrawn(world: &World) -> serde_json::Value {
    serde_json::from_slice(&fs::read(world.state("north").join("withdrawn.json")).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_document_that_is_gone_is_made_anew_with_its_withdrawn_paths() {
    let mut world = without_prices().await;
    let kept = kept_withdrawn(&world);
    assert!(kept.get("/prices/").is_some(), "{kept}");
    world.restart_after("north", |state| fs::remove_file(state.join("live.json")).unwrap()).await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
    assert_eq!(world.get("north", "/prices/").await.status, 410);
    assert_eq!(kept_withdrawn(&world), kept);
    let words: Vec<_> = world.releases("north").iter().map(|r| (r.version.get(), r.state.word())).collect();
    assert_eq!(words, [(3, "live"), (2, "retired"), (1, "retired")]);
    // Where nothing tells what was live, nothing is, and what is kept goes on with the next release.
    let lose = |state: &Path| ["live.json", "audit.jsonl"].iter().for_each(|f| fs::remove_file(state.join(f)).unwrap());
    world.restart_after("north", lose).await;
    assert!(!world.state("north").join("live.json").exists());
    assert_eq!(world.get("north", "/about/").await.status, 404);
    world.edit("/about/", "We mend it all.");
    world.go_live("north").await;
    assert_eq!(world.get("north", "/prices/").await.status, 410);
    assert_eq!(kept_withdrawn(&world), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_what_was_live_cannot_be_had_either_the_last_good_release_is_served() {
    let mut world = settled().await;
    for words in ["We mend everything.", "We mend it all."] {
        world.edit("/about/", words);
        world.go_live("north").await;
    }
    world
        .restart_after("north", |state| {
            for file in ["live.json", "releases/3/manifest.json", "releases/2/manifest.json", "emergency.json"] {
                fs::write(state.join(file), "{").unwrap();
            }
        })
        .await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    let live = world.releases("north").into_iter().find(|record| record.state.word() == "live").unwrap();
    assert_eq!((live.version.get(), live.by), (1, Some(DecidedBy::Daemon)));
    let document: serde_json::Value =
        serde_json::from_slice(&fs::read(world.state("north").join("live.json")).unwrap()).unwrap();
    assert_eq!(document["rolled_back"], 3, "a rule could make a release live");
    assert!(!world.state("north").join("emergency.json").exists(), "no emergency had been declared");
    // Main has both manifests, and the operator goes on.
    world.daemon("north").guard().check(world.daemon("north"), Timestamp::now()).unwrap();
    let north = world.hub().partner(&site_id("north")).await.unwrap();
    assert_eq!(world.hub().status(&north).await.unwrap().guard.drift, None);
    let version = Some("3".parse().unwrap());
    world.daemon("north").publisher().roll_back(version, Timestamp::now()).unwrap();
    world.assert_shows("north", "/about/", "We mend it all.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_originals_are_why_nothing_can_be_shown_the_log_tells_what_is_wrong_with_them() {
    let mut world = settled().await;
    let halted = world.halt("north").await;
    fs::remove_file(halted.config.state.join("live.json")).unwrap();
    fs::write(halted.config.site.join("content/local.md"), "---\ntitel: Local\n---\n").unwrap();
    let program = Program::new(env!("CARGO_BIN_EXE_syncd-to-kill"), &halted);
    let mut process = program.start();
    process.kill();
    let says = ["release 1 is of no use", "local.md:2:1", "unknown key `titel`", "did you mean `title`?"];
    assert_says(&program.logged(), &says);
    fs::write(halted.config.site.join("content/local.md"), "---\ntitle: Local\n---\nMended.\n").unwrap();
    world.resume(halted).await;
    world.assert_shows("north", "/local/", "Mended.").await;
}

fn quarantined(world: &World) -> Vec<PathBuf> {
    let files = fs::read_dir(world.state("north").join(QUARANTINE));
    files.map_or(Vec::new(), |files| files.map(|file| file.unwrap().path()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_document_that_nothing_else_knows_is_named_and_left_alone() {
    for (name, says) in
        [("live.json", "live.json is not a valid document"), ("identity.json", "identity.json is damaged")]
    {
        let mut world = settled().await;
        let halted = world.halt("north").await;
        let file = halted.config.state.join(name);
        let damaged = b"{\"version\": 1, \"si".to_vec();
        fs::write(&file, &damaged).unwrap();
        fs::write(halted.config.state.join("audit.jsonl"), "damaged, too\n").unwrap();
        let Err((error, _)) = world.try_resume(halted).await else { panic!("the daemon started without {name}") };
        assert_says(&told(&error), &[says]);
        assert_eq!(fs::read(&file).unwrap(), damaged, "{name} was replaced");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_on_disk_before_its_answer_ends_and_a_torn_one_is_cut_off() {
    let mut world = settled().await;
    world.get("north", "/about/").await;
    let entries = world.state("north").join(format!("journal/{}/entries", world.month("north")));
    let logged = fs::read(&entries).unwrap();
    assert!(logged.ends_with(b"/about/"), "the visit was answered before it was written");
    world
        .restart_after("north", |_| {
            let mut torn = logged.clone();
            torn.extend_from_slice(&[0, 60, 1, 2, 3]);
            fs::write(&entries, torn).unwrap();
        })
        .await;
    world.get("north", "/local/").await;
    assert_eq!(world.collect("north").await[0].size, 2);
    assert!(fs::read(&entries).unwrap().starts_with(&logged));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_joins_again_keeps_its_keys_and_goes_on() {
    let mut world = settled().await;
    world.get("north", "/about/").await;
    world.collect("north").await;
    let (before, key) = (world.face("north").await, world.journal_key("north"));
    let halted = world.halt("north").await;
    let invitation = world.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap();
    let again = Identity::join(&halted.config.state, &invitation, &halted.config.address).await.unwrap();
    assert_eq!(again.compare_code, halted.compare_code, "the code that both ends compared");
    world.resume(halted).await;
    world.assert_unchanged("north", &before, Kept::All).await;
    assert_eq!(world.journal_key("north"), key);
    let collected = world.collect("north").await;
    assert!(collected[0].added > 0 && collected[0].size > collected[0].added, "the journal begins anew: {collected:?}");
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}
