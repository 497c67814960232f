//! Whole logs: tiles, recovery, tampering, copies.

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

fn width(width: u64) -> TileWidth {
    TileWidth::new(width).unwrap()
}

#[test]
fn row_003_48_the_tiles_of_70_000_entries_are_those_of_the_specification() {
    let all = entries(0..70_000);
    let reference = Reference::of(&all);
    let dir = tempdir().unwrap();
    let mut writer = open(dir.path());
    for batch in all.chunks(777) {
        writer.append(&refs(batch)).unwrap();
    }
    let root = tree_hash(70_000, &reference).unwrap();
    assert_eq!(writer.checkpoint().unwrap().root(), root);
    for reader in [writer.reader(), JournalReader::open(dir.path()).unwrap()] {
        check_tiles(&reader, &reference);
        check_bundles(&reader, &all);
        assert_eq!(reader.root_at(70_000).unwrap(), root);
    }
    assert_eq!(verify(dir.path()).unwrap().checkpoint.size(), 70_000);
}

/// "A tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of width 112, one full
/// level 1 tile, one partial level 1 tile of width 17, and one partial level 2 tile of width 1."
fn check_tiles(reader: &JournalReader, reference: &Reference) {
    let partial = [(0, 273, 112), (1, 1, 17), (2, 0, 1)];
    let full = (0..273).map(|index| (0, index, 256)).chain([(1, 0, 256)]);
    for (level, index, wide) in full.chain(partial) {
        assert_eq!(reader.tile(level, index, width(wide)).unwrap(), reference.tile(level, index, wide));
    }
    assert_eq!(reader.resource("tile/1/001.p/17".parse().unwrap()).unwrap(), reference.tile(1, 1, 17));
    for (level, index, wide) in
        [(0, 273, 113), (0, 274, 1), (1, 1, 18), (2, 0, 2), (3, 0, 1), (63, 0, 1), (0, u64::MAX, 256)]
    {
        let beyond = reader.tile(level, index, width(wide));
        assert!(matches!(beyond, Err(ReadError::Beyond { .. })), "{level} {index} {wide}");
    }
}

fn check_bundles(reader: &JournalReader, all: &[Vec<u8>]) {
    for (index, chunk) in (0..).zip(all.chunks(256)) {
        let bytes = reader.entry_bundle(index, width(chunk.len() as u64)).unwrap();
        assert_eq!(split_bundle(&bytes).unwrap(), refs(chunk));
    }
    let narrow = reader.entry_bundle(273, width(5)).unwrap();
    assert_eq!(split_bundle(&narrow).unwrap(), refs(&all[69_888..69_893]));
    assert!(matches!(reader.entry_bundle(273, width(113)), Err(ReadError::Beyond { .. })));
}

#[test]
fn any_range_of_entries_can_be_read() {
    let (dir, writer) = log(1000);
    for reader in [writer.reader(), JournalReader::open(dir.path()).unwrap()] {
        for range in [0..0, 0..1, 255..257, 256..512, 700..1000, 1000..1000, 0..1000] {
            let read: Vec<_> = reader.entries(range.clone()).unwrap().map(Result::unwrap).collect();
            assert_eq!(read, entries(range));
        }
        assert!(matches!(reader.entries(0..1001), Err(ReadError::Beyond { .. })));
        assert!(matches!(reader.entries(Range { start: 2, end: 1 }), Err(ReadError::Beyond { .. })));
    }
}

#[test]
fn proofs_convince_the_library() {
    let (_dir, writer) = log(1000);
    let reader = writer.reader();
    for size in [1, 2, 255, 256, 257, 999, 1000] {
        let root = reader.root_at(size).unwrap();
        for number in [0, size / 2, size - 1] {
            let proof = reader.inclusion_proof(number, size).unwrap();
            check_record(&proof, size, root, number, record_hash(&entry(number))).unwrap();
        }
        let proof = reader.consistency_proof(size, 1000).unwrap();
        check_tree(&proof, 1000, reader.root_at(1000).unwrap(), size, root).unwrap();
    }
    assert!(reader.inclusion_proof(5, 5).is_err());
    assert!(matches!(reader.inclusion_proof(0, 1001), Err(ReadError::Beyond { .. })));
    assert!(matches!(reader.root_at(1001), Err(ReadError::Beyond { .. })));
}

#[test]
fn a_checkpoint_is_signed_once_for_each_size() {
    let (dir, mut writer) = log(0);
    let empty = writer.checkpoint().unwrap();
    assert_eq!((empty.size(), empty.root()), (0, tlog_tiles::EMPTY_HASH));
    append(&mut writer, 0..3);
    let three = writer.checkpoint().unwrap();
    assert_eq!(three.size(), 3);
    assert_eq!(crate::fault::steps_of(|| assert_eq!(writer.checkpoint().unwrap(), three)), []);
    assert_eq!(writer.reader().checkpoint().unwrap().as_deref(), Some(three.note()));
    drop(writer);
    assert_eq!(open(dir.path()).checkpoint().unwrap(), three);
}

#[test]
fn entries_are_synced_before_they_are_signed_for() {
    let (_dir, mut writer) = log(3);
    let steps = crate::fault::steps_of(|| append(&mut writer, 3..5));
    assert_eq!(steps, [Step::Write, Step::Write]);
    let steps = crate::fault::steps_of(|| drop(writer.checkpoint().unwrap()));
    assert_eq!(steps[..2], [Step::Sync, Step::Sync]);
    assert_eq!(steps[2..], [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncDir]);
}

#[test]
fn an_entry_that_cannot_be_held_spoils_no_other() {
    let (_dir, mut writer) = log(3);
    let long = vec![0; MAX_ENTRY + 1];
    for bad in [b"".as_slice(), &long] {
        assert!(matches!(writer.append(&[b"good", bad]), Err(AppendError::Entry(_))));
        assert_eq!(writer.size(), 3);
    }
    assert_eq!(writer.append(&[]).unwrap(), 3..3);
    writer.append(&[&long[1..]]).unwrap();
    assert_eq!(read_all(&writer.reader())[3], long[1..]);
}

#[test]
fn a_log_torn_at_any_byte_of_its_last_entry_continues() {
    let (dir, mut writer) = log(290);
    append(&mut writer, 290..300);
    let whole = fs::read(dir.path().join("entries")).unwrap();
    drop(writer);
    for cut in 1..=entry(299).len() + 2 {
        for tail in [Vec::new(), vec![0; 2], vec![0; 5000]] {
            let torn = [&whole[..whole.len() - cut], &tail].concat();
            if torn.len() > whole.len() - entry(299).len() && !tail.is_empty() && cut != entry(299).len() + 2 {
                continue; // Zeros within an entry cannot be told from its bytes.
            }
            fs::write(dir.path().join("entries"), torn).unwrap();
            let mut writer = open(dir.path());
            assert_eq!(read_all(&writer.reader()), entries(0..299), "{cut} {}", tail.len());
            append(&mut writer, 299..300);
            assert_eq!(fs::read(dir.path().join("entries")).unwrap(), whole);
            let root = Reference::of(&entries(0..300));
            assert_eq!(writer.reader().root_at(300).unwrap(), tree_hash(300, &root).unwrap());
        }
    }
}

#[test]
fn missing_hashes_are_computed() {
    let (dir, mut writer) = log(66_000);
    append(&mut writer, 66_000..66_700);
    drop(writer);
    let before = snapshot(dir.path());
    let shorten = |name: &str, length: u64| {
        fs::OpenOptions::new().write(true).open(dir.path().join(name)).unwrap().set_len(length).unwrap();
    };
    let damages: [&dyn Fn(); 6] = [
        &|| shorten("hashes-0", 66_400 * 32 + 5),
        &|| shorten("hashes-0", 65_999 * 32),
        &|| shorten("hashes-1", 3 * 32),
        &|| fs::remove_file(dir.path().join("hashes-2")).unwrap(),
        &|| fs::remove_file(dir.path().join("hashes-0")).unwrap(),
        &|| edit(&dir.path().join("hashes-0"), |bytes| bytes.extend([7; 320])),
    ];
    for damage in damages {
        damage();
        assert_eq!(open(dir.path()).size(), 66_700);
        assert_eq!(snapshot(dir.path()), before);
    }
}

#[test]
fn a_log_that_lost_what_it_signed_for_is_not_continued() {
    let (dir, writer) = log(300);
    drop(writer);
    edit(&dir.path().join("entries"), |bytes| bytes.truncate(bytes.len() - 1));
    let before = snapshot(dir.path());
    let error = JournalWriter::open(dir.path(), origin(), key()).unwrap_err();
    assert!(matches!(error, OpenError::Lost { signed: 300, found: 299, .. }), "{error}");
    assert_eq!(snapshot(dir.path()), before);
    assert!(matches!(verify(dir.path()), Err(VerifyError::Short { signed: 300, found: 299 })));
}

#[test]
fn a_log_that_is_not_what_it_signed_for_is_not_continued() {
    let (dir, writer) = log(300);
    drop(writer);
    edit(&dir.path().join("hashes-0"), |bytes| bytes[299 * 32] ^= 1);
    let damaged = JournalWriter::open(dir.path(), origin(), key());
    assert!(matches!(damaged, Err(OpenError::Damaged { signed: 300, .. })));
    fs::remove_file(dir.path().join("hashes-0")).unwrap();
    assert_eq!(open(dir.path()).size(), 300);
    edit(&dir.path().join("entries"), |bytes| bytes[4] ^= 1);
    fs::remove_file(dir.path().join("hashes-0")).unwrap();
    let damaged = JournalWriter::open(dir.path(), origin(), key());
    assert!(matches!(damaged, Err(OpenError::Damaged { signed: 300, .. })));
}

#[test]
fn a_log_of_another_key_or_month_is_not_continued() {
    let (dir, writer) = log(3);
    drop(writer);
    let other = LogSigner::from_seed("harbor-shop", &[9; 32]).unwrap();
    let opened = JournalWriter::open(dir.path(), origin(), other);
    assert!(matches!(opened, Err(OpenError::Checkpoint { source: CheckpointError::Signature(_), .. })));
    let december =
        Origin::new(&"nationwide".parse().unwrap(), &"harbor-shop".parse().unwrap(), "2026-12".parse().unwrap());
    let opened = JournalWriter::open(dir.path(), december, key());
    assert!(matches!(opened, Err(OpenError::Checkpoint { source: CheckpointError::Origin { .. }, .. })));
}

#[test]
fn an_append_is_whole_or_not_at_all_whatever_fails() {
    at_every_step(|fault| {
        let (dir, mut writer) = log(250);
        let result = fault.during(|| writer.append(&refs(&entries(250..300))));
        if result.is_err() {
            assert_eq!(writer.size(), 250);
            assert_eq!(read_all(&writer.reader()), entries(0..250));
        }
        drop(writer);
        let mut writer = open(dir.path());
        let size = writer.size();
        assert!(size == 300 || (size == 250 && result.is_err()), "{fault:?}: {size}");
        append(&mut writer, size..301);
        writer.checkpoint().unwrap();
        assert_eq!(read_all(&writer.reader()), entries(0..301));
        verify(dir.path()).unwrap();
    });
}

#[test]
fn a_writer_goes_on_after_a_write_that_failed() {
    for when in [When::NotDone, When::DoneYetFailed] {
        for at in 0..4 {
            let (dir, mut writer) = log(250);
            let fault = Fault::new(at, when, Then::Recovers);
            fault.during(|| writer.append(&refs(&entries(250..300)))).unwrap_err();
            append(&mut writer, 250..251);
            writer.checkpoint().unwrap();
            assert_eq!(JournalReader::open(dir.path()).unwrap().size(), 251, "{fault:?}");
            verify(dir.path()).unwrap();
        }
    }
}

#[test]
fn a_writer_that_cannot_know_what_is_on_disk_stops() {
    let (dir, mut writer) = log(3);
    append(&mut writer, 3..5);
    let sync_fails = Fault::new(0, When::NotDone, Then::Recovers);
    assert!(matches!(sync_fails.during(|| writer.checkpoint()), Err(SignError::Disk(_))));
    assert!(matches!(writer.append(&[b"more"]), Err(AppendError::Unsure(_))));
    assert!(matches!(writer.checkpoint(), Err(SignError::Unsure(_))));
    let mut writer = open(dir.path());
    assert_eq!(writer.checkpoint().unwrap().size(), 5);
    // The write fails, and so does taking it back.
    let full = Fault::new(0, When::DoneYetFailed, Then::Dies);
    full.during(|| writer.append(&[b"more"])).unwrap_err();
    assert!(matches!(writer.append(&[b"more"]), Err(AppendError::Unsure(_))));
}

#[test]
fn a_checkpoint_is_the_old_one_or_the_new_one_whatever_fails() {
    at_every_step(|fault| {
        let (dir, mut writer) = log(250);
        append(&mut writer, 250..300);
        let result = fault.during(|| writer.checkpoint());
        drop(writer);
        let signed = verify(dir.path()).unwrap();
        let size = signed.checkpoint.size();
        assert_eq!(size + signed.unsigned, 300, "{fault:?}");
        assert!(size == 300 || (size == 250 && result.is_err()), "{fault:?}");
        assert_eq!(open(dir.path()).checkpoint().unwrap().size(), 300);
    });
}

#[test]
fn a_new_log_can_begin_whatever_failed_before() {
    at_every_step(|fault| {
        let dir = tempdir().unwrap();
        let month = month_dir(&dir.path().join("journal"), "2026-11".parse().unwrap());
        let result = fault.during(|| -> Result<(), Box<dyn std::error::Error>> {
            let mut writer = JournalWriter::open(&month, origin(), key())?;
            writer.append(&[&entry(0)])?;
            writer.checkpoint()?;
            Ok(())
        });
        let mut writer = open(&month);
        let size = writer.size();
        assert!(size == 1 || (size == 0 && result.is_err()), "{fault:?}");
        append(&mut writer, size..2);
        writer.checkpoint().unwrap();
        verify(&month).unwrap();
        assert_eq!(months(&dir.path().join("journal")).unwrap(), ["2026-11".parse().unwrap()]);
    });
}

#[test]
fn a_reader_sees_only_whole_entries_while_the_writer_appends() {
    let (_dir, mut writer) = log(0);
    let reader = writer.reader();
    let reading = std::thread::spawn(move || {
        loop {
            let size = reader.size();
            assert_eq!(read_all(&reader)[..usize::try_from(size).unwrap()], entries(0..size));
            if let Some(last) = TilePath::bundles(0, size).last() {
                reader.resource(last).unwrap();
                reader.root_at(size).unwrap();
            }
            if size == 3000 {
                break;
            }
        }
    });
    for number in 0..3000 {
        append(&mut writer, number..number + 1);
    }
    reading.join().unwrap();
}

#[test]
fn row_003_48_tampering_with_a_log_is_found_at_its_entry() {
    let good = entries(0..600);
    let tamper: [(&str, u64, Change<'_>); 5] = [
        ("changed", 300, &|entries| entries[300][0] ^= 1),
        ("removed", 299, &|entries| drop(entries.remove(299))),
        ("inserted", 301, &|entries| entries.insert(301, b"more".to_vec())),
        ("reordered", 7, &|entries| entries.swap(7, 500)),
        ("the last changed", 599, &|entries| entries[599].push(0)),
    ];
    let (dir, _writer) = log(600);
    for (what, number, change) in tamper {
        let mut bad = good.clone();
        change(&mut bad);
        rewrite_entries(dir.path(), &bad);
        match verify(dir.path()) {
            Err(VerifyError::Entry { number: found }) => assert_eq!(found, number, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    rewrite_entries(dir.path(), &good);
    verify(dir.path()).unwrap();
    rewrite_entries(dir.path(), &good[..599]);
    assert!(matches!(verify(dir.path()), Err(VerifyError::Short { signed: 600, found: 599 })));
}

#[test]
fn a_damaged_hash_is_told_from_a_changed_entry() {
    for (level, number) in [(0, 0), (0, 599), (1, 1)] {
        let (dir, _writer) = log(600);
        let path = dir.path().join(format!("hashes-{level}"));
        edit(&path, |bytes| bytes[number * 32 + 31] ^= 1);
        match verify(dir.path()) {
            Err(VerifyError::StoredHash { level: at, number: found }) => {
                assert_eq!((at, found), (level, number as u64));
            }
            other => panic!("{other:?}"),
        }
        fs::remove_file(path).unwrap();
        assert!(matches!(verify(dir.path()), Err(VerifyError::StoredHash { number: 0, .. })));
    }
}

#[test]
fn a_log_rewritten_whole_does_not_match_its_checkpoint() {
    let (dir, mut writer) = log(600);
    let old = writer.checkpoint().unwrap();
    drop(writer);
    let (other, mut forger) = log(0);
    let mut changed = entries(0..600);
    changed[5] = b"invented".to_vec();
    forger.append(&refs(&changed)).unwrap();
    for name in ["entries", "hashes-0", "hashes-1"] {
        fs::copy(other.path().join(name), dir.path().join(name)).unwrap();
    }
    assert!(matches!(verify(dir.path()), Err(VerifyError::Root)));
    // A checkpoint rolled back still verifies on its own, and says that it is followed by unsigned entries.
    let (dir, mut writer) = log(700);
    writer.checkpoint().unwrap();
    fs::write(dir.path().join("checkpoint"), old.note()).unwrap();
    assert_eq!(verify(dir.path()).unwrap().unsigned, 100);
    fs::remove_file(dir.path().join("checkpoint")).unwrap();
    assert!(matches!(verify(dir.path()), Err(VerifyError::NoCheckpoint(_))));
}

/// A log of 600 entries and main's copy of its first 300.
fn mirrored() -> (TempDir, JournalWriter, TempDir, Mirror) {
    let (log_dir, mut writer) = log(300);
    let dir = tempdir().unwrap();
    let mut mirror = Mirror::open(dir.path()).unwrap();
    extend(&mut mirror, &entries(0..300), &writer.checkpoint().unwrap()).unwrap();
    append(&mut writer, 300..600);
    (log_dir, writer, dir, mirror)
}

fn extend(mirror: &mut Mirror, entries: &[Vec<u8>], signed: &SignedCheckpoint) -> Result<Extended, MirrorError> {
    mirror.extend(&refs(entries), signed.note().as_bytes(), &origin(), &key().verifier())
}

#[test]
fn row_003_33_a_copy_follows_its_log() {
    let (log_dir, mut writer, dir, mut mirror) = mirrored();
    let signed = writer.checkpoint().unwrap();
    let extended = extend(&mut mirror, &entries(300..600), &signed).unwrap();
    assert_eq!(extended, Extended { added: 300, size: 600 });
    assert_eq!(extend(&mut mirror, &[], &signed).unwrap(), Extended { added: 0, size: 600 });
    assert_eq!(mirror.checkpoint(), Some(&signed));
    assert_eq!(read_all(&mirror.reader()), entries(0..600));
    assert_eq!(verify(dir.path()).unwrap().unsigned, 0);
    let mine = snapshot(dir.path()).into_iter().map(|(_, bytes)| bytes);
    assert!(mine.eq(snapshot(log_dir.path()).into_iter().map(|(_, bytes)| bytes)));
}

#[test]
fn row_003_48_a_copy_refuses_every_tampering_and_stays_as_it_was() {
    let (_log_dir, mut writer, dir, mut mirror) = mirrored();
    let signed = writer.checkpoint().unwrap();
    let before = snapshot(dir.path());
    let tamper: [(&str, Change<'_>); 3] = [
        ("changed", &|entries| entries[0][0] ^= 1),
        ("reordered", &|entries| entries.swap(7, 200)),
        ("one removed and one inserted", &|entries| {
            entries.remove(5);
            entries.insert(9, b"more".to_vec());
        }),
    ];
    for (what, change) in tamper {
        let mut bad = entries(300..600);
        change(&mut bad);
        let refused = extend(&mut mirror, &bad, &signed);
        assert!(matches!(refused, Err(MirrorError::Rewritten { held: 300, signed: 600 })), "{what}");
    }
    let removed = extend(&mut mirror, &entries(300..599), &signed);
    assert!(matches!(removed, Err(MirrorError::Short { signed: 600, given: 599 })));
    let inserted = extend(&mut mirror, &entries(300..601), &signed);
    assert!(matches!(inserted, Err(MirrorError::Unsigned { signed: 600, given: 601 })));
    let empty = extend(&mut mirror, &[entries(300..599), vec![Vec::new()]].concat(), &signed);
    assert!(matches!(empty, Err(MirrorError::Entry(_))));
    assert_eq!(snapshot(dir.path()), before);
    assert_eq!(mirror.size(), 300);
    extend(&mut mirror, &entries(300..600), &signed).unwrap();
}

#[test]
fn row_003_48_a_copy_refuses_a_log_that_shrank_or_forked() {
    let (_log_dir, writer, dir, mut mirror) = mirrored();
    drop(writer);
    let before = snapshot(dir.path());
    let (_rolled_back, mut shrunk) = log(299);
    let refused = extend(&mut mirror, &[], &shrunk.checkpoint().unwrap());
    assert!(matches!(refused, Err(MirrorError::Shrunk { held: 300, signed: 299 })));
    shrunk.append(&[b"another"]).unwrap();
    let refused = extend(&mut mirror, &[], &shrunk.checkpoint().unwrap());
    assert!(matches!(refused, Err(MirrorError::Forked { size: 300 })));
    append(&mut shrunk, 300..310);
    let refused = extend(&mut mirror, &entries(300..310), &shrunk.checkpoint().unwrap());
    assert!(matches!(refused, Err(MirrorError::Rewritten { held: 300, signed: 310 })));
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn a_copy_refuses_checkpoints_of_others() {
    let (_log_dir, mut writer, _dir, mut mirror) = mirrored();
    let signed = writer.checkpoint().unwrap();
    let new = entries(300..600);
    let december =
        Origin::new(&"nationwide".parse().unwrap(), &"harbor-shop".parse().unwrap(), "2026-12".parse().unwrap());
    let refused = mirror.extend(&refs(&new), signed.note().as_bytes(), &december, &key().verifier());
    assert!(matches!(refused, Err(MirrorError::Checkpoint(CheckpointError::Origin { .. }))));
    let other = LogSigner::from_seed("harbor-shop", &[9; 32]).unwrap().verifier();
    let refused = mirror.extend(&refs(&new), signed.note().as_bytes(), &origin(), &other);
    assert!(matches!(refused, Err(MirrorError::Checkpoint(CheckpointError::Signature(_)))));
    let refused = mirror.extend(&refs(&new), b"not a note", &origin(), &key().verifier());
    assert!(matches!(refused, Err(MirrorError::Checkpoint(CheckpointError::Malformed))));
}

#[test]
fn a_copy_is_the_old_one_or_the_new_one_whatever_fails() {
    let (_log_dir, mut writer) = log(250);
    let first = writer.checkpoint().unwrap();
    append(&mut writer, 250..600);
    let second = writer.checkpoint().unwrap();
    at_every_step(|fault| {
        let dir = tempdir().unwrap();
        let mut mirror = Mirror::open(dir.path()).unwrap();
        extend(&mut mirror, &entries(0..250), &first).unwrap();
        let result = fault.during(|| extend(&mut mirror, &entries(250..600), &second));
        drop(mirror);
        let mut mirror = Mirror::open(dir.path()).unwrap();
        let size = mirror.size();
        assert!(size == 600 || (size == 250 && result.is_err()), "{fault:?}: {size}");
        assert_eq!(verify(dir.path()).unwrap().checkpoint.size(), size);
        extend(&mut mirror, &entries(size..600), &second).unwrap();
        assert_eq!(read_all(&mirror.reader()), entries(0..600));
    });
}

#[test]
fn a_copy_goes_on_after_its_checkpoint_was_not_written() {
    let (_log_dir, mut writer, dir, mut mirror) = mirrored();
    let signed = writer.checkpoint().unwrap();
    // Two writes and three syncs, then the first step of writing the checkpoint.
    let fault = Fault::new(6, When::NotDone, Then::Recovers);
    fault.during(|| extend(&mut mirror, &entries(300..600), &signed)).unwrap_err();
    assert_eq!(mirror.size(), 600);
    extend(&mut mirror, &[], &signed).unwrap();
    assert_eq!(verify(dir.path()).unwrap().checkpoint, signed);
}

#[test]
fn a_copy_holds_nothing_that_was_not_signed_for() {
    let (_log_dir, _writer, dir, mirror) = mirrored();
    drop(mirror);
    let before = snapshot(dir.path());
    edit(&dir.path().join("entries"), |bytes| bundle::push_entry(bytes, b"unsigned").unwrap());
    edit(&dir.path().join("hashes-0"), |bytes| bytes.extend(record_hash(b"unsigned").0));
    assert_eq!(Mirror::open(dir.path()).unwrap().size(), 300);
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn a_cosigned_checkpoint_is_kept_at_both_ends() {
    let (_log_dir, mut writer, _dir, mut mirror) = mirrored();
    let note = mirror.cosign(&cosigner(), now()).unwrap();
    assert_eq!(mirror.reader().cosigned().unwrap().as_deref(), Some(note.as_str()));
    assert_eq!(writer.keep_cosigned(&note, &cosigner().verifier()).unwrap(), now());
    assert_eq!(writer.reader().cosigned().unwrap().as_deref(), Some(note.as_str()));
    let empty = tempdir().unwrap();
    let nothing = Mirror::open(empty.path()).unwrap().cosign(&cosigner(), now());
    assert!(matches!(nothing, Err(MirrorError::NoCheckpoint(_))));
}

#[test]
fn false_receipts_are_refused() {
    let (_log_dir, mut writer, _dir, mut mirror) = mirrored();
    let note = mirror.cosign(&cosigner(), now()).unwrap();
    let stranger = Cosigner::from_seed("nationwide", &[3; 32]).unwrap().verifier();
    assert!(matches!(writer.keep_cosigned(&note, &stranger), Err(CosignedError::Checkpoint(_))));
    let uncosigned = mirror.checkpoint().unwrap().note().to_owned();
    let refused = writer.keep_cosigned(&uncosigned, &cosigner().verifier());
    assert!(matches!(refused, Err(CosignedError::Checkpoint(_))));
    let (_other_dir, mut other) = log(0);
    other.append(&[b"another"]).unwrap();
    let fork = other.checkpoint().unwrap().cosign(&cosigner(), now()).unwrap();
    let refused = writer.keep_cosigned(&fork, &cosigner().verifier());
    assert!(matches!(refused, Err(CosignedError::OtherRoot { size: 1 })));
    assert_eq!(writer.reader().cosigned().unwrap(), None);
}

#[test]
fn receipts_are_the_old_or_the_new_whatever_fails() {
    let (_log_dir, mut writer, dir, mut mirror) = mirrored();
    at_every_step(|fault| {
        let old = mirror.cosign(&cosigner(), now()).unwrap();
        writer.keep_cosigned(&old, &cosigner().verifier()).unwrap();
        let later = Timestamp::from_second(1_795_000_060).unwrap();
        let result = fault.during(|| {
            let note = mirror.cosign(&cosigner(), later).ok()?;
            writer.keep_cosigned(&note, &cosigner().verifier()).ok()
        });
        for reader in [writer.reader(), JournalReader::open(dir.path()).unwrap()] {
            let kept = reader.cosigned().unwrap().unwrap();
            let time = verify_cosignature(kept.as_bytes(), &cosigner().verifier()).unwrap();
            assert!(time == later || (time == now() && result.is_none()), "{fault:?}");
        }
    });
}
