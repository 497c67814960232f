//! The guard: what disks do to stored content, and the way back; and what may go from the disk.

use std::fs;
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use tieup_hub::archive::{Archive, Remembered};
use tieup_protocol::approval::DecidedBy;
use tieup_protocol::audit::{Actor, Event};
use tieup_protocol::digest::Digest;
use tieup_protocol::drift::{GuardReport, piece_head};
use tieup_protocol::manifest::BlobRef;
use tieup_protocol::wire::{PartnerStatus, RESTORE};
use tieup_syncd::guard::{PATIENCE, QUARANTINE};
use tieup_tests::parcel::{self, pack, send_blobs};
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};

use crate::settled;

/// The blob that visitors of `north` get at `path`.
fn served(world: &World, path: &str) -> BlobRef {
    world.served("north", path)
}

fn check(world: &World, at: Timestamp) -> GuardReport {
    let partner = world.daemon("north");
    partner.guard().check(partner, at).unwrap()
}

/// What main reads of `north`, having sent what it has of what is lacking there.
async fn status(world: &World) -> PartnerStatus {
    world.hub().status(&world.hub().partner(&site_id("north")).await.unwrap()).await.unwrap()
}

fn quarantined(world: &World) -> Vec<PathBuf> {
    fs::read_dir(world.state("north").join(QUARANTINE))
        .map_or(Vec::new(), |files| files.map(|file| file.unwrap().path()).collect())
}

fn events(world: &World) -> Vec<(Actor, Event, String)> {
    let entries = world.daemon("north").publisher().audit_entries().unwrap();
    entries.into_iter().map(|entry| (entry.who, entry.what, entry.reason.unwrap_or_default())).collect()
}

fn sweep(world: &World) {
    let partner = world.daemon("north");
    let intake = tokio::task::block_in_place(|| partner.intake_blocking());
    partner.guard().sweep(partner, &intake, Timestamp::now() + SignedDuration::from_hours(1)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_30_a_damaged_page_is_set_aside_told_and_restored_from_main() {
    let world = settled().await;
    world.damage("north", &served(&world, "/about/"));
    let report = check(&world, Timestamp::now());
    let drift = report.drift.clone().unwrap();
    assert_eq!(drift.paths, ["/about/".parse().unwrap()]);
    assert_says(&report.to_string(), &["DAMAGED: 1 file lacking since", "not served: /about/"]);
    assert_eq!(world.get("north", "/about/").await.status, 500);
    assert_eq!(world.get("north", "/local/").await.status, 200, "what is whole is served");
    assert_eq!(quarantined(&world).len(), 1);
    let told = status(&world).await.guard;
    assert_eq!((told.drift, told.restored), (None, 1));
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    let events = events(&world);
    let drifted: Vec<_> = events.iter().filter(|(who, ..)| *who == Actor::Daemon).collect();
    assert_eq!(
        drifted,
        [
            &(Actor::Daemon, Event::DriftFound, "1 stored files: /about/".to_owned()),
            &(Actor::Daemon, Event::DriftRestored, "1 stored files".to_owned())
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_original_is_made_anew_without_main() {
    let world = settled().await;
    let local = served(&world, "/local/");
    world.damage("north", &local);
    let report = check(&world, Timestamp::now());
    assert_eq!(report.drift, None);
    assert!(report.restored >= 1);
    assert_eq!(served(&world, "/local/"), local);
    world.assert_shows("north", "/local/", "Our own shelf.").await;
    assert_eq!(quarantined(&world).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_documents_are_restored_from_memory_from_another_release_and_from_main() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    let state = world.state("north");
    let files = ["live.json", "releases/2/record.json", "releases/2/contract.yaml", "releases/2/manifest.json"];
    let whole = files.map(|file| fs::read(state.join(file)).unwrap());
    for file in &files[..3] {
        fs::write(state.join(file), "{").unwrap();
    }
    assert_eq!(check(&world, Timestamp::now()).drift, None);
    fs::write(state.join(files[3]), "{").unwrap();
    let drift = check(&world, Timestamp::now()).drift.unwrap();
    assert_eq!(drift.documents, [Digest::of(&whole[3])]);
    assert_eq!(status(&world).await.guard.drift, None);
    for (file, whole) in files.iter().zip(&whole) {
        assert_eq!(&fs::read(state.join(file)).unwrap(), whole, "{file}");
    }
    assert_eq!(quarantined(&world).len(), 4, "each is kept once: {:?}", quarantined(&world));
    assert_eq!(world.roll_back("north").version.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn main_restores_only_what_is_lacking_and_only_with_its_own_bytes() {
    let world = settled().await;
    let about = served(&world, "/about/");
    let client = world.call("north").await;
    let body = |digest, bytes: &[u8]| pack(&[&piece_head(digest, bytes.len() as u64), bytes].concat());
    let put = async |body| client.put_body::<GuardReport>(RESTORE, body).await.unwrap_err();
    let error = put(body(Digest::of(b"new"), b"new")).await;
    assert!(error.is_problem("not-lacking"), "{}", told(&error));
    world.damage("north", &about);
    check(&world, Timestamp::now());
    let length = usize::try_from(about.length).unwrap();
    let error = put(body(about.digest, &vec![b'x'; length])).await;
    assert!(error.is_problem("bad-blob"), "{}", told(&error));
    let error = put(pack(&piece_head(about.digest, about.length)[..10])).await;
    assert!(error.is_problem("broken-stream"), "{}", told(&error));
    assert_eq!(world.get("north", "/about/").await.status, 500);
    assert_eq!(status(&world).await.guard.drift, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_restore_in_time_goes_back_to_the_last_good_release() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    fs::remove_dir_all(world.hub().config.state.join("published")).unwrap();
    world.damage("north", &served(&world, "/about/"));
    let now = Timestamp::now();
    check(&world, now);
    assert!(status(&world).await.guard.drift.is_some(), "main has nothing to send");
    check(&world, now + PATIENCE - SignedDuration::from_mins(5));
    assert_eq!(world.get("north", "/about/").await.status, 500, "main has time");
    check(&world, now + PATIENCE + SignedDuration::from_mins(5));
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    let live = world.releases("north").into_iter().find(|release| release.version.get() == 1).unwrap();
    assert_eq!((live.state.word(), live.by), ("live", Some(DecidedBy::Daemon)));
    let events = events(&world);
    let (_, _, reason) = events.iter().find(|(_, what, _)| *what == Event::RolledBack).unwrap();
    assert_says(reason, &["/about/ has been damaged since", "and main has not restored it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_28_each_of_the_last_five_releases_can_be_had_back_after_a_sweep() {
    let world = settled().await;
    for number in 2..=8 {
        world.edit("/about/", &format!("We mended {number} lamps. {}", "And so on. ".repeat(100 * number)));
        world.go_live("north").await;
    }
    let size = |world: &World| -> u64 {
        let files = fs::read_dir(world.state("north").join("blobs")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    let before = size(&world);
    sweep(&world);
    assert!(size(&world) < before);
    let names = |number: u32| -> Vec<String> {
        let files = fs::read_dir(world.state("north").join(format!("releases/{number}"))).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(1), ["contract.b3", "contract.yaml", "record.json"]);
    assert!(names(3).contains(&"manifest.json".to_owned()));
    assert_eq!(world.releases("north").len(), 8, "the history stays");
    for number in [3, 7, 4, 6, 5, 8] {
        let version = format!("{number}").parse().unwrap();
        world.daemon("north").publisher().roll_back(Some(version), Timestamp::now()).unwrap();
        world.assert_shows("north", "/about/", &format!("We mended {number} lamps.")).await;
    }
    let refused = world.daemon("north").publisher().roll_back(Some("2".parse().unwrap()), Timestamp::now());
    assert_says(&told(&refused.unwrap_err()), &["release 2 was swept", "the last 5 are kept"]);
    assert_eq!(check(&world, Timestamp::now()).drift, None);
    world.get("north", "/about/").await;
    world.collect("north").await;
    assert_says(&world.statement("north").await.notice.statement, &["lampworks/north@1"]);
    world.edit("/about/", "We mend on.");
    world.go_live("north").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_takes_nothing_from_a_release_that_is_coming_in() {
    let mut world = settled().await;
    world.edit("/prices/", "Nothing is free.");
    world.publish("north").await;
    // What a release that is refused brought is needed by none but the next, which is on offer.
    world.reject("north", "too dear");
    world.edit("/about/", "We mend everything.");
    let client = world.call("north").await;
    let wanted = parcel::offer(&client, &world.offer("north", 3).await).await.unwrap();
    sweep(&world);
    send_blobs(&client, pack(&world.contents("north", &wanted))).await.unwrap();
    world.approve("north");
    world.assert_shows("north", "/prices/", "Nothing is free.").await;
    sweep(&world);
    world.restart("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
    assert_eq!(check(&world, Timestamp::now()).drift, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_partner_is_sent_takes_little_room_at_main() {
    let words = (0..2000).map(|number| format!("Lamp {number}, {:x}. ", number * 7919)).collect::<Vec<_>>().concat();
    let world = World::new()
        .main_page("/about/", &words)
        .contract("north", Contract::inherited())
        .contract("south", Contract::inherited())
        .start()
        .await;
    world.write_main("partners/south/content/about.md", &format!("---\n---\n{words} In the south, too.\n"));
    let kept = || Archive::open(&world.hub().config.state, &Remembered::default()).unwrap().unwrap().size();
    world.publish("north").await;
    let one = kept();
    world.publish("south").await;
    let own = world.manifest("south", 1).blobs().difference(&world.manifest("north", 1).blobs()).count();
    assert!(own > 0, "nothing is its own");
    let both = kept();
    assert!(both > one && both - one < one / 20, "{one} bytes, then {both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn main_keeps_what_the_next_release_and_the_guards_may_ask_for() {
    let world = settled().await;
    for number in 2..=8 {
        world.edit("/about/", &format!("We mended {number} lamps. {}", "And so on. ".repeat(100 * number)));
        world.go_live("north").await;
    }
    status(&world).await;
    let archive = Archive::open(&world.hub().config.state, &Remembered::default()).unwrap().unwrap();
    let now = Timestamp::now();
    assert_eq!(world.hub().sweep(&archive, now).await.unwrap().blobs, 0, "it is too early");
    let (before, later) = (archive.size(), now + SignedDuration::from_hours(48));
    assert!(world.hub().sweep(&archive, later).await.unwrap().blobs > 0);
    assert!(archive.size() < before);
    drop(archive);
    assert_eq!(world.hub().database.kept_manifests(&site_id("north")).await.unwrap().len(), 4);
    assert_eq!(world.hub().database.releases(&site_id("north")).await.unwrap().len(), 8, "the history stays");
    world.damage("north", &served(&world, "/about/"));
    check(&world, now);
    assert_eq!(status(&world).await.guard.drift, None, "main still has what is live");
    world.edit("/about/", "We mend on.");
    world.go_live("north").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_release_is_read_anew_once_somebody_wrote_to_it() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    let daemon = world.daemon("north");
    let waiting = daemon.publisher().staged().unwrap();
    daemon.publisher().proposal(waiting.version).unwrap();
    let folder = world.state("north").join(format!("releases/{}", waiting.version));
    for file in ["manifest.json", "contract.yaml"] {
        let whole = fs::read(folder.join(file)).unwrap();
        // As long as before, so that nothing but its content tells.
        let mut bent = whole.clone();
        let middle = bent.len() / 2;
        bent[middle] ^= 1;
        fs::write(folder.join(file), &bent).unwrap();
        let approved =
            daemon.publisher().approve(waiting.version, waiting.manifest, DecidedBy::Operator, Timestamp::now());
        assert_says(&told(&approved.unwrap_err()), &["release 2 cannot be read back"]);
        fs::write(folder.join(file), &whole).unwrap();
        daemon.publisher().proposal(waiting.version).unwrap();
    }
    world.approve("north");
    world.assert_shows("north", "/about/", "We mend everything.").await;
}
