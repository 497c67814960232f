//! Journals that a partner rewrote, and journals that a disk or a hand altered.

use std::fs;
use std::path::Path;

use tieup_protocol::access::AccessEntry;
use tieup_store::journal::{LogSigner, Origin, verify_log};
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::{World, assert_says, told};

use crate::settled;

/// A world in which `north` has logged some visits that main has cosigned.
async fn collected() -> World {
    let world = settled().await;
    for path in ["/", "/about/", "/local/", "/nothing/"] {
        world.get("north", path).await;
    }
    assert_eq!(world.collect("north").await[0].size, 4);
    world
}

/// Lets the partner falsify its journal, and fails unless main refuses it in these words and keeps its own copy.
async fn assert_refused(world: &mut World, falsify: impl FnOnce(&JournalOnDisk), says: &[&str]) {
    let (month, mirror) = (world.month("north"), world.mirror_bytes("north"));
    assert!(!mirror.is_empty(), "main holds no copy to protect");
    world.restart_after("north", |state| falsify(&JournalOnDisk::open(state, month))).await;
    let error = world.try_collect("north").await.unwrap_err();
    assert_says(&told(&error), says);
    assert_eq!(world.mirror_bytes("north"), mirror, "main's copy has changed");
}

/// The entries with one visit moved to another page: a whole and valid entry.
fn with_one_rewritten(mut entries: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut entry = AccessEntry::decode(&entries[1]).unwrap();
    entry.path = "/local/".parse().unwrap();
    entries[1] = entry.encode();
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_a_journal_with_one_entry_rewritten_is_refused() {
    let mut world = collected().await;
    let falsify = |log: &JournalOnDisk| log.replace(&with_one_rewritten(log.entries()), &log.signer);
    let month = world.month("north");
    let refused = format!("the journal of {month} is refused");
    assert_refused(&mut world, falsify, &[&refused, "the log forked: two checkpoints of 4 entries"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_a_rewritten_journal_that_has_grown_is_refused() {
    let mut world = collected().await;
    let falsify = |log: &JournalOnDisk| {
        let mut entries = with_one_rewritten(log.entries());
        entries.push(entries[0].clone());
        log.replace(&entries, &log.signer);
    };
    assert_refused(&mut world, falsify, &["the log was rewritten: the 4 entries held"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_a_journal_that_has_shrunk_is_refused() {
    let mut world = collected().await;
    let falsify = |log: &JournalOnDisk| log.replace(&log.entries()[..3], &log.signer);
    let says = ["the log shrank: 4 entries were cosigned, and the checkpoint covers 3"];
    assert_refused(&mut world, falsify, &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_a_checkpoint_by_another_key_is_refused() {
    let mut world = collected().await;
    let falsify = |log: &JournalOnDisk| {
        let other = LogSigner::from_seed("lampworks/north", &[9; 32]).unwrap();
        log.replace(&log.entries(), &other);
        let file = log.dir.join("../../identity.json");
        let identity = fs::read_to_string(&file).unwrap();
        fs::write(&file, identity.replace(&log.signer.to_private_text(), &other.to_private_text())).unwrap();
    };
    assert_refused(
        &mut world,
        falsify,
        &["the journal's checkpoint does not verify", "not signed by the expected key"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_entries_altered_before_main_saw_them_are_refused() {
    let mut world = collected().await;
    world.get("north", "/about/").await;
    let falsify = |log: &JournalOnDisk| alter_entry(&log.dir, 4);
    assert_refused(&mut world, falsify, &["the journal of", "is refused", "the log was rewritten"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_verifying_names_the_first_entry_altered_on_disk() {
    let mut world = collected().await;
    let (month, key) = (world.month("north"), world.journal_key("north"));
    let origin = Origin::new(&"lampworks".parse().unwrap(), &"north".parse().unwrap(), month);
    let (partners, mains) =
        (world.state("north").join(format!("journal/{month}")), world.mirrors("north").join(month.to_string()));
    world.restart_after("north", |_| {}).await;
    for dir in [&partners, &mains] {
        assert_eq!(verify_log(dir, &origin, &key).unwrap().checkpoint.size(), 4);
        alter_entry(dir, 2);
        let error = verify_log(dir, &origin, &key).unwrap_err();
        assert_eq!(told(&error), "error: entry 2 is not the one that was logged\n", "of {}", dir.display());
    }
}

/// Changes the last byte of an entry in the file of entries.
fn alter_entry(dir: &Path, number: usize) {
    let file = dir.join("entries");
    let mut bytes = fs::read(&file).unwrap();
    let mut end = 0;
    for _ in 0..=number {
        end += 2 + usize::from(u16::from_be_bytes([bytes[end], bytes[end + 1]]));
    }
    bytes[end - 1] ^= 1;
    fs::write(&file, bytes).unwrap();
}
