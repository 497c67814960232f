//! A journal of a real daemon, verified by a program of others: `tests/outside/verify_journal.py`, which has nothing of
//! ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tieup_store::journal::JournalWriter;
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::{World, assert_says, python};

use crate::settled;

/// How many pages are visited: more than one bundle of 256.
const VISITS: usize = 300;

/// A month's folder as the daemon left it, and what is needed to verify it.
struct Journal {
    world: World,
    log: JournalOnDisk,
    cosigner: String,
    python: String,
}

impl Journal {
    /// One with visits that came over HTTP, cosigned by main.
    async fn written() -> Option<Self> {
        let python = python::with(python::VERIFYING, env!("CARGO_TARGET_TMPDIR"))?;
        let mut world = settled().await;
        for number in 0..VISITS {
            world.get("north", &format!("/nothing/{number}/")).await;
        }
        world.collect("north").await;
        let month = world.month("north");
        let cosigner = world.hub().keys.cosigner().unwrap().verifier().to_string();
        let halted = world.halt("north").await;
        let log = JournalOnDisk::open(&halted.config.state, month);
        Some(Self { world, log, cosigner, python })
    }

    /// A copy to tamper with.
    fn copy(&self, name: &str) -> PathBuf {
        let copy = self.world.folder().join(name);
        fs::create_dir(&copy).unwrap();
        for file in fs::read_dir(&self.log.dir).unwrap().map(Result::unwrap) {
            fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        copy
    }

    /// Whether the journal in `folder` is accepted, and what is said.
    fn verify(&self, folder: &Path, earlier: &[&Path]) -> (bool, String) {
        let mut command = Command::new(&self.python);
        command
            .arg(python::outside("verify_journal.py"))
            .arg(folder)
            .arg("--key")
            .arg(self.log.signer.verifier().to_string());
        command.arg("--origin").arg(self.log.origin.as_str()).arg("--cosigner").arg(&self.cosigner);
        for note in earlier {
            command.arg("--earlier").arg(note);
        }
        let ran = command.output().unwrap();
        let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
        (ran.status.success(), said)
    }

    fn assert_refused(&self, folder: &Path, earlier: &[&Path], says: &str) {
        let (accepted, said) = self.verify(folder, earlier);
        assert!(!accepted, "{} was accepted: {said}", folder.display());
        assert_says(&said, &["NOT verified:", says]);
    }

    /// Replaces what is signed in `folder` by a log of `entries`, signed with the partner's own key.
    fn forge(&self, folder: &Path, entries: &[Vec<u8>]) {
        for file in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if file.file_name() != "cosigned" {
                fs::remove_file(file.path()).unwrap();
            }
        }
        let mut writer = JournalWriter::open(folder, self.log.origin.clone(), self.log.signer.clone()).unwrap();
        writer.append(entries).unwrap();
        writer.checkpoint().unwrap();
    }
}

/// Writes entries into the file alone, and leaves hashes and checkpoint as they were.
fn rewrite(folder: &Path, entries: &[Vec<u8>]) {
    let length = |entry: &[u8]| u16::try_from(entry.len()).unwrap().to_be_bytes();
    let bytes: Vec<u8> = entries.iter().flat_map(|entry| [&length(entry), entry.as_slice()].concat()).collect();
    fs::write(folder.join("entries"), bytes).unwrap();
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// Another base64 character for the one at `at`: what is signed can still be read, and says something else.
fn change_character(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    fs::write(file, bytes).unwrap();
}

type Tampering = (&'static str, &'static str, fn(&mut Vec<Vec<u8>>));

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_a_verifier_of_others_accepts_the_journal_and_rejects_each_tampering() {
    let Some(journal) = Journal::written().await else { return };
    let genuine = journal.copy("genuine");
    let checkpoint = genuine.join("checkpoint");
    let (accepted, said) = journal.verify(&genuine, &[&checkpoint]);
    assert!(accepted, "{said}");
    assert_says(&said, &[&format!("{VISITS} entries are what was signed for")]);
    let entries = journal.log.entries();
    let tamperings: [Tampering; 4] = [
        ("changed", "entry 5 is not the one that was logged", |entries| entries[5][3] ^= 1),
        ("removed", "299 are there", |entries| drop(entries.remove(5))),
        ("inserted", "entry 5 is not the one that was logged", |entries| entries.insert(5, b"invented".to_vec())),
        ("reordered", "entry 5 is not the one that was logged", |entries| entries.swap(5, 290)),
    ];
    for (name, says, tamper) in tamperings {
        let folder = journal.copy(name);
        let mut bad = entries.clone();
        tamper(&mut bad);
        rewrite(&folder, &bad);
        journal.assert_refused(&folder, &[], says);
        // The same where the partner signs what it forged: main's receipt contradicts it.
        let folder = journal.copy(&format!("{name}-and-signed"));
        journal.forge(&folder, &bad);
        journal.assert_refused(&folder, &[], "the log ");
    }
    let folder = journal.copy("tile");
    flip(&folder.join("hashes-1"), 0);
    journal.assert_refused(&folder, &[], "a tile is damaged");
    let folder = journal.copy("rolled-back");
    journal.forge(&folder, &entries[..200]);
    fs::remove_file(folder.join("cosigned")).unwrap();
    journal.assert_refused(&folder, &[&checkpoint], "the log was rolled back: it had 300 entries, and has 200");
    let folder = journal.copy("forked");
    let mut other = entries.clone();
    other[299][3] ^= 1;
    journal.forge(&folder, &other);
    journal.assert_refused(&folder, &[&checkpoint], "the log forked: two checkpoints of 300 entries");
    let folder = journal.copy("signature");
    change_character(&folder.join("checkpoint"), fs::read(&checkpoint).unwrap().len() - 10);
    journal.assert_refused(&folder, &[], "the checkpoint is not signed by the log's key");
    let folder = journal.copy("cosignature");
    change_character(&folder.join("cosigned"), fs::read(genuine.join("cosigned")).unwrap().len() - 10);
    journal.assert_refused(&folder, &[], "not signed by the cosigner's key");
}
