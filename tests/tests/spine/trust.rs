//! Who may sign, and for how long it holds: new roots, people who sign together, freshness, and a check from outside.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZeroU64;
use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tieup_hub::database::PartnerRow;
use tieup_hub::publish::Outcome;
use tieup_hub::trust::{AWAITING, Installed, Refreshed, Role, RootDraft, SigningKey, SigningRequest, id_text};
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::wire::{ExpiryState, FRESHNESS, Fresh, Metadata};
use tieup_syncd::control::Command::Export;
use tieup_syncd::control::{Answer, ask};
use tieup_tests::forge::{Bent, Forge, Recipe};
use tieup_tests::parcel::Parcel;
use tieup_tests::world::site_id;
use tieup_tests::{Kept, World, assert_says, parcel, python, told};

use crate::settled;

async fn row(world: &World, partner: &str) -> PartnerRow {
    world.hub().partner(&site_id(partner)).await.unwrap()
}

/// The version of one document that `partner` has seen; `root.json` is the root it trusts.
fn seen(world: &World, partner: &str, document: &str) -> u64 {
    let trust: Value = serde_json::from_slice(&fs::read(world.state(partner).join("trust.json")).unwrap()).unwrap();
    let text = if document == "root.json" { &trust["root"] } else { &trust["seen"][document] };
    let document: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
    document["signed"]["version"].as_u64().unwrap()
}

/// A key of a person, who keeps it on a machine of their own.
fn person(world: &World, name: &str) -> SigningKey {
    let machine = world.folder().join("people");
    fs::create_dir_all(&machine).unwrap();
    SigningKey::create(&machine.join(format!("{name}.key"))).unwrap()
}

fn draft(world: &World) -> RootDraft {
    RootDraft::after(&world.hub().keys.root().unwrap(), Timestamp::now()).unwrap()
}

/// Puts a draft in force that main's own root key signs.
fn install(world: &World, mut draft: RootDraft) -> u64 {
    draft.sign(&key(world, "root")).unwrap();
    world.hub().keys.install_root(draft).unwrap()
}

fn key(world: &World, name: &str) -> SigningKey {
    SigningKey::read(&world.hub().keys.dir().join(format!("{name}.key"))).unwrap()
}

/// Lets `people` alone sign releases, all of them, and takes the release key from the hub.
fn let_people_sign(world: &World, people: &[&SigningKey]) {
    let mut draft = draft(world);
    draft.remove(&id_text(&key(world, "release").public().id())).unwrap();
    for person in people {
        draft.add(Role::Release, person.public());
    }
    draft.set_threshold(Role::Release, NonZeroU64::new(people.len() as u64).unwrap());
    install(world, draft);
    fs::remove_file(world.hub().keys.dir().join("release.key")).unwrap();
}

/// What a person does with a file that travels: a copy of it, signed.
fn signed_by(person: &SigningKey, file: &Path) -> SigningRequest {
    let mut request = SigningRequest::parse(&fs::read_to_string(file).unwrap()).unwrap();
    request.sign(person).unwrap();
    SigningRequest::parse(&request.text()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_key_is_replaced_and_the_old_one_signs_nothing_any_more() {
    let world = settled().await;
    let old = world.hub().keys.release_signer().unwrap();
    let mut draft = draft(&world);
    let stolen = key(&world, "release");
    draft.remove(&id_text(&stolen.public().id())[..12]).unwrap();
    let new = SigningKey::create(&world.hub().keys.dir().join("release-2.key")).unwrap();
    draft.add(Role::Release, new.public());
    assert_eq!(install(&world, draft), 2);
    assert!(world.hub().keys.dir().join("roots/2.root.json").is_file());

    world.edit("/about/", "Signed by the new key.");
    world.go_live("north").await;
    assert_eq!(seen(&world, "north", "root.json"), 2);
    world.assert_shows("north", "/about/", "Signed by the new key.").await;

    let before = world.face("north").await;
    let forged = old.sign(&world.manifest("north", 3), NonZeroU64::new(99).unwrap(), Timestamp::now()).unwrap();
    let genuine = world.offer("north", 3).await;
    assert_eq!(genuine.offer.roots.len(), 1);
    let (timestamp, snapshot, targets) = (forged.timestamp, forged.snapshot, forged.targets);
    let offer = tieup_protocol::wire::Offer { timestamp, snapshot, targets, ..genuine.offer };
    let forged = Parcel { offer, ..genuine };
    let error = parcel::offer(&world.call("north").await, &forged).await.unwrap_err();
    assert_says(&told(&error), &["signatures do not verify"]);
    world.assert_unchanged("north", &before, Kept::All).await;

    let south = world.publish("south").await;
    assert_eq!(south.state, ReleaseState::Staged, "one that pinned the first root follows the chain");
    assert_eq!(seen(&world, "south", "root.json"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_is_in_force_only_if_old_and_new_keys_have_signed_it() {
    let world = settled().await;
    let (sato, mori) = (person(&world, "sato"), person(&world, "mori"));
    let mut root = draft(&world);
    for owner in [&sato, &mori] {
        root.add(Role::Root, owner.public());
    }
    root.set_threshold(Role::Root, NonZeroU64::new(2).unwrap());
    root.remove(&id_text(&key(&world, "root").public().id())).unwrap();
    let keys = &world.hub().keys;
    let mut alone = root.clone();
    alone.sign(&key(&world, "root")).unwrap();
    let error = keys.install_root(alone.clone()).unwrap_err();
    assert_says(&told(&error), &["not enough people have signed: 0 of 2 signatures of root under root 2"]);
    let mut without_old = root.clone();
    without_old.sign(&sato).unwrap();
    without_old.sign(&mori).unwrap();
    let error = keys.install_root(without_old.clone()).unwrap_err();
    assert_says(&told(&error), &["0 of 1 signatures of root under root 1"]);
    assert_eq!(keys.roots().unwrap().len(), 0, "nothing was put in force");
    alone.merge(without_old).unwrap();
    assert_eq!(keys.install_root(alone.clone()).unwrap(), 2);
    let error = keys.install_root(alone).unwrap_err();
    assert_says(&told(&error), &["this is version 2 of the root, and version 3 comes next"]);
    let mut third = draft(&world);
    third.sign(&key(&world, "root")).unwrap();
    assert_says(&told(&keys.install_root(third).unwrap_err()), &["0 of 2 signatures of root under root 2"]);
    world.edit("/about/", "Under the second root.");
    world.go_live("north").await;
    assert_eq!(seen(&world, "north", "root.json"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_sign_a_release_on_two_machines() {
    let world = settled().await;
    let (sato, mori) = (person(&world, "sato"), person(&world, "mori"));
    let_people_sign(&world, &[&sato, &mori]);
    world.edit("/about/", "Two have read this.");
    let before = world.face("north").await;
    let Ok(Outcome::AwaitingSignatures { version, file, given: 0, needed: 2 }) = world.try_publish("north").await
    else {
        panic!("the release does not wait for two signatures")
    };
    world.assert_unchanged("north", &before, Kept::All).await;
    let asked = world.hub().database.release(&site_id("north"), version).await.unwrap().unwrap();
    let manifest = world.hub().database.manifest(&site_id("north"), version).await.unwrap();
    assert_eq!(asked.state, AWAITING);
    assert_says(&asked.detail, &["0 of 2 are there", "signing/north/2.json"]);
    let again = world.try_publish("north").await.unwrap();
    assert!(matches!(again, Outcome::AwaitingSignatures { version: same, .. } if same == version), "{again:?}");

    // The site goes on while the file travels: what was asked for is what is sent.
    let (by_sato, by_mori) = (signed_by(&sato, &file), signed_by(&mori, &file));
    let one = world.hub().install_signatures(by_sato).await.unwrap();
    assert!(
        matches!(&one, Installed::Waiting(tallies) if tallies.iter().all(|tally| tally.given.len() == 1)),
        "{one:?}"
    );
    world.assert_unchanged("north", &before, Kept::All).await;
    world.edit("/about/", "Nobody has read this.");
    let both = world.hub().install_signatures(by_mori).await.unwrap();
    let Installed::Sent(Outcome::Delivered { release, .. }) = both else { panic!("not sent: {both:?}") };
    assert_eq!(release.version, version);
    world.approve("north");
    world.assert_shows("north", "/about/", "Two have read this.").await;
    let kept = fs::read_to_string(world.state("north").join("releases/2/manifest.json")).unwrap();
    assert_eq!(Some(kept), manifest, "the very bytes");
    assert!(!file.exists());

    let next = world.try_publish("north").await.unwrap();
    assert!(matches!(next, Outcome::AwaitingSignatures { version: next, .. } if next == version.next()), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_release_waits_for_a_partner_that_is_down() {
    let mut world = settled().await;
    let sato = person(&world, "sato");
    let_people_sign(&world, &[&sato]);
    world.edit("/about/", "Signed while you were away.");
    let Ok(Outcome::AwaitingSignatures { file, version, .. }) = world.try_publish("north").await else {
        panic!("the release does not wait")
    };
    let halted = world.halt("north").await;
    let error = world.hub().install_signatures(signed_by(&sato, &file)).await.unwrap_err();
    assert_says(&told(&error), &["release 2 was not published to `north`"]);
    world.resume(halted).await;
    let outcome = world.try_publish("north").await.unwrap();
    let Outcome::Delivered { release, .. } = outcome else { panic!("not sent: {outcome:?}") };
    assert_eq!(release.version, version, "nobody has to sign again");
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_that_nobody_asked_for_or_on_something_else_are_refused() {
    let world = settled().await;
    let (sato, thief) = (person(&world, "sato"), person(&world, "thief"));
    let_people_sign(&world, &[&sato]);
    world.edit("/about/", "To be signed.");
    let Ok(Outcome::AwaitingSignatures { file, .. }) = world.try_publish("north").await else {
        panic!("the release does not wait")
    };
    let mut request = SigningRequest::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_says(&told(&request.sign(&thief).unwrap_err()), &["is none of those that sign releases under root 2"]);
    let other = world.manifest("north", 2);
    let other = tieup_protocol::manifest::Manifest { theme: "other".to_owned(), ..other };
    let other =
        SigningRequest::new(&other, &other.to_bytes(), &world.hub().keys.root().unwrap(), Timestamp::now()).unwrap();
    let error = world.hub().install_signatures(other).await.unwrap_err();
    assert_says(&told(&error), &["signatures on something else than the hub asked for"]);
    let later = world.manifest("north", 7);
    let later =
        SigningRequest::new(&later, &later.to_bytes(), &world.hub().keys.root().unwrap(), Timestamp::now()).unwrap();
    let error = world.hub().install_signatures(later).await.unwrap_err();
    assert_says(&told(&error), &["has not asked for signatures on release 7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_says_that_a_release_is_still_the_newest() {
    let world = settled().await;
    let north = row(&world, "north").await;
    let (now, day) = (Timestamp::now(), SignedDuration::from_hours(24));
    assert!(world.hub().refresh_due(now + day * 9).await.unwrap().is_empty(), "nobody is due yet");
    let replayed = metadata(&world).await;
    let first = seen(&world, "north", "timestamp.json");
    let told = world.hub().refresh_due(now + day * 11).await.unwrap();
    assert!(matches!(told.as_slice(), [(partner, Ok(Refreshed::Until(_)))] if *partner == north.id), "{told:?}");
    assert!(seen(&world, "north", "timestamp.json") > first);
    assert_eq!(seen(&world, "north", "snapshot.json"), 1, "no new release");

    let before = world.face("north").await;
    let refused = world.call("north").await.post::<Fresh>(FRESHNESS, &replayed).await.unwrap_err();
    assert_says(&tieup_tests::told(&refused), &["older than what this partner has seen"]);
    world.assert_unchanged("north", &before, Kept::All).await;

    let south = row(&world, "south").await;
    assert_eq!(world.hub().refresh(&south, now).await.unwrap(), Refreshed::NothingPublished);
}

/// Genuine metadata of what `north` has, as it is now.
async fn metadata(world: &World) -> Metadata {
    world.offer("north", 1).await.offer.metadata()
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_runs_out_gives_an_alarm_and_the_site_is_served() {
    let world = settled().await;
    let (now, day) = (Timestamp::now(), SignedDuration::from_hours(24));
    let alarms = |days| world.daemon("north").alarms(now + day * days).unwrap();
    assert_eq!(alarms(0), []);
    assert_eq!(alarms(24)[0].state, ExpiryState::Soon);
    let expired = alarms(31);
    assert_eq!(expired.len(), 1);
    assert_says(&expired[0].to_string(), &["the timestamp metadata has expired", "the site is served as before"]);
    let roles: BTreeSet<String> = alarms(366).into_iter().map(|alarm| alarm.role).collect();
    assert_eq!(roles, ["snapshot", "targets", "timestamp"].map(str::to_owned).into());

    // A partner whose metadata has run out: what it has seen is set back by hand, under genuine signatures.
    let forge = Forge::new(&world);
    let past =
        Bent { set: [("/signed/expires".to_owned(), Value::from("2020-01-01T00:00:00Z"))].into(), ..Bent::default() };
    let stale = forge.offer(&world, &Recipe { release: Some(1), timestamp: past, ..Recipe::default() }).await;
    let file = world.state("north").join("trust.json");
    let mut trust: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    trust["seen"]["timestamp.json"] = Value::from(stale.offer.timestamp.clone());
    fs::write(&file, trust.to_string()).unwrap();
    let status = world.hub().status(&row(&world, "north").await).await.unwrap();
    assert_eq!(status.alarms.iter().map(|alarm| alarm.state).collect::<Vec<_>>(), [ExpiryState::Expired]);
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    let error = parcel::offer(&world.call("north").await, &stale).await.unwrap_err();
    assert_says(&told(&error), &["has expired"]);
    // And main's next word ends it.
    world.hub().refresh(&row(&world, "north").await, now).await.unwrap();
    assert!(world.hub().status(&row(&world, "north").await).await.unwrap().alarms.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fast_forward_ends_with_new_keys_for_freshness_and_snapshot() {
    let world = settled().await;
    let forge = Forge::new(&world);
    let far = 4_000_000_000_000_u64;
    let version = |pointer: &str| (pointer.to_owned(), Value::from(far));
    let custom = "/signed/targets/manifest.json/custom/version";
    let thief = Recipe {
        timestamp: Bent { set: [version("/signed/version")].into(), ..Bent::default() },
        snapshot: Bent {
            set: [version("/signed/version"), version("/signed/meta/targets.json/version")].into(),
            ..Bent::default()
        },
        targets: Bent { set: [version("/signed/version"), version(custom)].into(), ..Bent::default() },
        ..Recipe::default()
    };
    // A thief of release key and freshness key lets the numbers leap: as metadata alone, which is genuine by its keys.
    let leap = forge.offer(&world, &thief).await.offer.metadata();
    let client = world.call("north").await;
    client.post::<Fresh>(FRESHNESS, &leap).await.unwrap();
    assert_eq!(seen(&world, "north", "snapshot.json"), far);
    world.edit("/about/", "After the theft.");
    let error = world.try_publish("north").await.unwrap_err();
    assert_says(&told(&error), &["older than what this partner has seen"]);

    let mut draft = draft(&world);
    for (name, role) in [("release", Role::Release), ("freshness", Role::Freshness)] {
        draft.remove(&id_text(&key(&world, name).public().id())).unwrap();
        let new = SigningKey::create(&world.hub().keys.dir().join(format!("{name}-2.key"))).unwrap();
        draft.add(role, new.public());
    }
    install(&world, draft);
    world.edit("/about/", "After the recovery.");
    world.go_live("north").await;
    assert_eq!(seen(&world, "north", "root.json"), 2);
    assert!(seen(&world, "north", "snapshot.json") < far);
    world.assert_shows("north", "/about/", "After the recovery.").await;
    let before = world.face("north").await;
    let error = client.post::<Fresh>(FRESHNESS, &leap).await.unwrap_err();
    assert_says(&told(&error), &["signatures do not verify"]);
    world.assert_unchanged("north", &before, Kept::All).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_live_is_signed_anew_when_its_keys_are_revoked() {
    let world = settled().await;
    let sato = person(&world, "sato");
    let_people_sign(&world, &[&sato]);
    let north = row(&world, "north").await;
    let told = world.hub().refresh_due(Timestamp::now()).await.unwrap();
    let [(_, Ok(Refreshed::AwaitingSignatures(file)))] = told.as_slice() else { panic!("nobody is asked: {told:?}") };
    let installed = world.hub().install_signatures(signed_by(&sato, file)).await.unwrap();
    assert!(matches!(installed, Installed::Refreshed(Refreshed::Until(_))), "{installed:?}");
    assert_eq!((seen(&world, "north", "root.json"), seen(&world, "north", "targets.json")), (2, 1));
    assert!(matches!(world.hub().refresh(&north, Timestamp::now()).await.unwrap(), Refreshed::Until(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_verifies_from_outside() {
    let world = settled().await;
    install(&world, draft(&world));
    world.edit("/about/", "Look at me from outside.");
    world.go_live("north").await;
    let folder = world.folder().join("exported");
    let export = Export { version: None, to: folder.clone() };
    let socket = world.partner("north").config.control_socket();
    let answer = tokio::task::block_in_place(|| ask(&socket, &export)).unwrap();
    let Answer::Exported { version, blobs, .. } = answer else { panic!("not exported: {answer:?}") };
    assert_eq!(version.get(), 2);
    let Answer::Refused { causes } = tokio::task::block_in_place(|| ask(&socket, &export)).unwrap() else {
        panic!("written over")
    };
    assert_says(&causes.join("\n"), &["is there already; it is not written over"]);
    let Some(python) = tokio::task::block_in_place(|| python::with(python::VERIFYING, env!("CARGO_TARGET_TMPDIR")))
    else {
        return;
    };
    let verify = |extra: &[&str]| {
        let script = python::outside("verify_release.py");
        let ran = Command::new(&python).arg(script).arg(&folder).args(extra).output().unwrap();
        (ran.status.code(), String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr))
    };
    let (status, text) = verify(&[]);
    assert_eq!(status, Some(0), "{text}");
    assert_says(&text, &["verified: release 2 from lampworks for north", &format!("{blobs} blobs")]);
    let pinned = world.folder().join("root.json");
    fs::write(&pinned, fs::read(world.hub().keys.dir().join("root.json")).unwrap()).unwrap();
    assert_eq!(verify(&["--root", pinned.to_str().unwrap()]).0, Some(0));

    let late = verify(&["--at", "2099-01-01T00:00:00Z"]);
    assert_eq!(late.0, Some(1), "{}", late.1);
    assert_says(&late.1, &["expired"]);
    bend_and_verify(&folder.join("manifest.json"), verify);
    bend_and_verify(&folder.join("metadata/targets.json"), verify);
    bend_and_verify(&folder.join("contract.yaml"), verify);
    let blob = fs::read_dir(folder.join("blobs")).unwrap().next().unwrap().unwrap().path();
    bend_and_verify(&blob, verify);
    let foreign = tieup_hub::keys::KeyFolder::new(&world.folder().join("foreign"), &site_id("lampworks"));
    foreign.create().unwrap();
    let root = foreign.dir().join("root.json");
    assert_eq!(verify(&["--root", root.to_str().unwrap()]).0, Some(1), "another main's root");
}

/// Changes the last byte but one of a file, fails unless the release does not verify, and puts the byte back.
fn bend_and_verify(file: &Path, verify: impl Fn(&[&str]) -> (Option<i32>, String)) {
    let genuine = fs::read(file).unwrap();
    let mut bent = genuine.clone();
    let at = bent.len() / 2;
    bent[at] ^= 1;
    fs::write(file, bent).unwrap();
    let (status, text) = verify(&[]);
    assert_eq!(status, Some(1), "{}: {text}", file.display());
    assert_says(&text, &["NOT verified"]);
    fs::write(file, genuine).unwrap();
}
