//! Whole logs.

mod copies;
mod proving;
mod reading;
mod recovery;
mod tampering;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tempfile::{TempDir, tempdir};
use tlog_tiles::{
    Error, HashReader, check_record, check_tree, record_hash, stored_hash_index, stored_hashes, tree_hash,
};

use super::*;
use crate::durable::Step;
use crate::fault::{Fault, Then, When, at_every_step};

fn origin() -> Origin {
    Origin::new(&"nationwide".parse().unwrap(), &"harbor-shop".parse().unwrap(), "2026-11".parse().unwrap())
}

fn key() -> LogSigner {
    LogSigner::from_seed("harbor-shop", &[1; 32]).unwrap()
}

fn cosigner() -> Cosigner {
    Cosigner::from_seed("nationwide", &[2; 32]).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_second(1_795_000_000).unwrap()
}

/// The entry with this number; lengths differ.
fn entry(number: u64) -> Vec<u8> {
    format!("visit {number} {}", "x".repeat(usize::try_from(number % 50).unwrap())).into_bytes()
}

fn entries(numbers: Range) -> Vec<Vec<u8>> {
    numbers.map(entry).collect()
}

type Range = std::ops::Range<u64>;

type Change<'a> = &'a dyn Fn(&mut Vec<Vec<u8>>);

fn refs(entries: &[Vec<u8>]) -> Vec<&[u8]> {
    entries.iter().map(Vec::as_slice).collect()
}

fn open(dir: &Path) -> JournalWriter {
    JournalWriter::open(dir, origin(), key()).unwrap()
}

fn append(writer: &mut JournalWriter, numbers: Range) {
    assert_eq!(writer.append(&refs(&entries(numbers.clone()))).unwrap(), numbers);
}

/// A log of `size` entries that are all signed for.
fn log(size: u64) -> (TempDir, JournalWriter) {
    let dir = tempdir().unwrap();
    let mut writer = open(dir.path());
    append(&mut writer, 0..size);
    writer.checkpoint().unwrap();
    (dir, writer)
}

fn verify(dir: &Path) -> Result<VerifiedLog, VerifyError> {
    verify_log(dir, &origin(), &key().verifier())
}

fn read_all(reader: &JournalReader) -> Vec<Vec<u8>> {
    reader.entries(0..reader.size()).unwrap().map(Result::unwrap).collect()
}

/// Every file of a folder with its bytes.
fn snapshot(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = durable::list_dir(dir).unwrap();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Rewrites `entries` as if these had been logged.
fn rewrite_entries(dir: &Path, entries: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    for entry in entries {
        bundle::push_entry(&mut bytes, entry).unwrap();
    }
    fs::write(dir.join("entries"), bytes).unwrap();
}

/// The hashes of a tree as the library computes and orders them.
struct Reference(Vec<Hash>);

impl Reference {
    fn of(entries: &[Vec<u8>]) -> Self {
        let mut reference = Self(Vec::new());
        for (number, entry) in (0..).zip(entries) {
            let hashes = stored_hashes(number, entry, &reference).unwrap();
            reference.0.extend(hashes);
        }
        reference
    }

    fn tile(&self, level: u8, index: u64, width: u64) -> Vec<u8> {
        let numbers = index * 256..index * 256 + width;
        let hash = |n| self.0[usize::try_from(stored_hash_index(level * 8, n)).unwrap()].0;
        numbers.flat_map(hash).collect()
    }
}

impl HashReader for Reference {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
    }
}
