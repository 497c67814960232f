//! `tieup key` as people type it: on the hub's machine, and on machines that know of no hub.

#![cfg(test)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use tieup_hub::keys::KeyFolder;
use tieup_hub::trust::SigningRequest;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::manifest::{BlobRef, ContractRef, FORMAT, Manifest};

/// What `tieup` said in `folder`, and its exit status.
fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieup"));
    let output = command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[track_caller]
fn done(folder: &Path, arguments: &[&str]) -> String {
    let (status, text) = run(folder, arguments);
    assert_eq!(status, Some(0), "tieup {arguments:?}: {text}");
    text
}

#[track_caller]
fn fails(folder: &Path, arguments: &[&str], says: &str) {
    let (status, text) = run(folder, arguments);
    assert_eq!(status, Some(1), "tieup {arguments:?}: {text}");
    assert!(text.contains(says), "tieup {arguments:?}: {text}");
}

/// What stands after `name` in a line of its own.
#[track_caller]
fn told<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is not told: {text}")).trim()
}

/// A hub's machine, and one of a person.
fn machines() -> (tempfile::TempDir, tempfile::TempDir) {
    let (hub, person) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    done(hub.path(), &["init", "brand"]);
    (hub, person)
}

fn keys(hub: &Path) -> KeyFolder {
    KeyFolder::new(&hub.join(".tieup"), &"brand".parse().unwrap())
}

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        main: "brand".parse().unwrap(),
        partner: "otaru".parse().unwrap(),
        version: ReleaseVersion::new(7).unwrap(),
        contract: ContractRef { id: "brand/otaru@1".parse().unwrap(), digest: Digest::of(b"contract") },
        theme: "plain".to_owned(),
        entries: BTreeMap::new(),
        framework: BTreeMap::new(),
        index: BlobRef::of(b"[]"),
        emergency: None,
    }
}

#[test]
fn a_person_makes_a_key_without_a_hub() {
    let person = tempfile::tempdir().unwrap();
    let text = done(person.path(), &["key", "create", "--out", "sato.key"]);
    assert_eq!((told(&text, "public:").len(), told(&text, "id:").len()), (64, 64), "{text}");
    assert_eq!(fs::metadata(person.path().join("sato.key")).unwrap().permissions().mode() & 0o777, 0o600);
    fails(person.path(), &["key", "create", "--out", "sato.key"], "sato.key is there already; it is not replaced");
}

#[test]
fn two_people_get_the_release_key_and_the_hub_gives_its_own_away() {
    let (hub, person) = machines();
    let shown = done(hub.path(), &["key", "show"]);
    assert!(shown.contains("Root version 1") && shown.contains("release.key"), "{shown}");
    assert_eq!(shown.matches("needs 1 of 1").count(), 3, "{shown}");
    let public = |name: &str| {
        let text = done(person.path(), &["key", "create", "--out", name]);
        (told(&text, "public:").to_owned(), told(&text, "id:").to_owned())
    };
    let ((sato, sato_id), (mori, _)) = (public("sato.key"), public("mori.key"));
    let old = shown.lines().find_map(|line| line.strip_suffix("release.key")).unwrap().split_whitespace().next();
    let (add_sato, add_mori) = (format!("release={sato}"), format!("release={mori}"));
    let rotate = ["key", "rotate", "--add", &add_sato, "--add", &add_mori, "--remove", old.unwrap()];
    fails(hub.path(), &[rotate.as_slice(), &["--threshold", "release=3"]].concat(), "would need 3 signatures");
    let drafted = done(hub.path(), &[rotate.as_slice(), &["--threshold", "release=2"]].concat());
    assert!(drafted.contains("a draft of root version 2") && drafted.contains("needs 2 of 2"), "{drafted}");
    let installed = done(hub.path(), &["key", "install", "root-2.json"]);
    assert!(installed.contains("Root version 2 is in force"), "{installed}");
    let shown = done(hub.path(), &["key", "show"]);
    assert!(shown.contains("Root version 2") && shown.contains(&sato_id), "{shown}");
    assert!(shown.lines().any(|line| line.contains("no role") && line.ends_with("release.key")), "{shown}");
    fails(hub.path(), &["key", "install", "root-2.json"], "this is version 2 of the root, and version 3 comes next");
}

#[test]
fn a_root_travels_to_another_machine_and_back() {
    let (hub, person) = machines();
    let text = done(person.path(), &["key", "create", "--out", "sato.key"]);
    let add = format!("root={}", told(&text, "public:"));
    done(hub.path(), &["key", "rotate", "--add", &add, "--threshold", "root=2"]);
    fails(hub.path(), &["key", "install", "root-2.json"], "1 of 2 signatures of root under root 2");
    fs::copy(hub.path().join("root-2.json"), person.path().join("root-2.json")).unwrap();
    let signed = done(person.path(), &["key", "sign", "root-2.json", "--key", "sato.key"]);
    assert!(signed.contains("This is root version 2") && signed.contains("needs 2 of 2"), "{signed}");
    // Both copies, as where people sign at the same time.
    let back = person.path().join("root-2.json");
    let installed = done(hub.path(), &["key", "install", "root-2.json", back.to_str().unwrap()]);
    assert!(installed.contains("Root version 2 is in force"), "{installed}");
    assert_eq!(keys(hub.path()).roots().unwrap().len(), 1);
}

#[test]
fn a_person_reads_what_they_sign() {
    let (hub, person) = machines();
    let request =
        SigningRequest::new(&manifest(), &manifest().to_bytes(), &keys(hub.path()).root().unwrap(), Timestamp::now())
            .unwrap();
    let file = person.path().join("7.json");
    fs::write(&file, request.text()).unwrap();
    done(person.path(), &["key", "create", "--out", "thief.key"]);
    fails(person.path(), &["key", "sign", "7.json", "--key", "thief.key"], "is none of those that sign releases");
    assert_eq!(fs::read_to_string(&file).unwrap(), request.text(), "nothing was signed");
    let key = hub.path().join(".tieup/keys/release.key");
    let text = done(person.path(), &["key", "sign", "7.json", "--key", key.to_str().unwrap()]);
    assert!(text.contains("Release 7 from brand for otaru, under contract brand/otaru@1:"), "{text}");
    assert!(text.contains(&format!("manifest {}", Digest::of(&manifest().to_bytes()))), "{text}");
    assert!(text.contains("1 of 1 signatures of targets under root 1"), "{text}");
    assert!(SigningRequest::parse(&fs::read_to_string(&file).unwrap()).unwrap().is_met());
    assert!(!text.contains("EMERGENCY"), "{text}");
    fails(hub.path(), &["key", "install", file.to_str().unwrap()], "`otaru` has not joined");
    fs::write(&file, "{}").unwrap();
    fails(person.path(), &["key", "sign", "7.json", "--key", "thief.key"], "neither a drafted root nor a release");
    fails(person.path(), &["key", "sign", "8.json", "--key", "thief.key"], "8.json cannot be read");
}

#[test]
fn a_person_reads_that_they_sign_an_emergency() {
    let (hub, person) = machines();
    let urgent = Manifest { emergency: Some("lamp 7 burns".to_owned()), ..manifest() };
    let (text, root) = (urgent.to_bytes(), keys(hub.path()).root().unwrap());
    let request = SigningRequest::new(&urgent, &text, &root, Timestamp::now()).unwrap();
    fs::write(person.path().join("7.json"), request.text()).unwrap();
    let key = hub.path().join(".tieup/keys/release.key");
    let text = done(person.path(), &["key", "sign", "7.json", "--key", key.to_str().unwrap()]);
    assert!(text.contains("  EMERGENCY (lamp 7 burns): where the contract lets it, it goes live"), "{text}");
}

#[test]
fn a_key_is_named_by_the_beginning_of_its_id() {
    let (hub, _) = machines();
    fails(hub.path(), &["key", "revoke", "zz"], "no role has a key zz");
    fails(hub.path(), &["key", "revoke", ""], "is the beginning of several keys");
    let shown = done(hub.path(), &["key", "show"]);
    let id = shown.lines().find_map(|line| line.strip_suffix("freshness.key")).unwrap().split_whitespace().next();
    fails(hub.path(), &["key", "revoke", &id.unwrap()[..10]], "the role `freshness` would need 1 signatures");
    let (status, text) = run(hub.path(), &["key", "rotate", "--threshold", "publisher=2"]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("`publisher` is not a role"), "{text}");
}
