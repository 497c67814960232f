//! Tiles, bundles, entries and proofs.

use super::*;

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
        writer.append(batch).unwrap();
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
fn a_reader_sees_only_whole_entries_while_the_writer_appends() {
    let (_dir, mut writer) = log(0);
    let reader = writer.reader();
    let reading = std::thread::spawn(move || {
        loop {
            let size = reader.size();
            assert_eq!(read_all(&reader)[..usize::try_from(size).unwrap()], entries(0..size));
            if let Some(last) = TilePath::bundles(0, size).last() {
                reader.resource(last).unwrap();
            }
            if let Some(note) = reader.checkpoint().unwrap() {
                let signed = SignedCheckpoint::unverified(note.as_bytes()).unwrap();
                assert_eq!(reader.root_at(signed.size()).unwrap(), signed.root());
            }
            if size == 3000 {
                break;
            }
        }
    });
    for number in 0..3000 {
        append(&mut writer, number..number + 1);
        if number % 100 == 0 {
            writer.checkpoint().unwrap();
        }
    }
    reading.join().unwrap();
}

#[test]
fn entries_are_verified_and_given_in_one_pass() {
    let (dir, mut writer) = log(700);
    append(&mut writer, 700..800);
    let mut given = Vec::new();
    let verified =
        verify_entries(dir.path(), &origin(), &key().verifier(), |entry| given.push(entry.to_vec())).unwrap();
    // Those that nobody signed for are not among them.
    assert_eq!((verified.checkpoint.size(), verified.unsigned), (700, 100));
    assert_eq!(given, entries(0..700));
}

#[test]
fn entries_are_read_into_the_same_memory_up_to_the_end_of_their_range() {
    let (_dir, writer) = log(300);
    let (mut range, mut bytes) = (writer.reader().entries(255..258).unwrap(), Vec::new());
    for number in 255..258 {
        range.next_into(&mut bytes).unwrap();
        assert_eq!(bytes, entry(number));
    }
    assert!(matches!(range.next_into(&mut bytes), Err(ReadError::Disk(_))));
    assert!(range.next().is_none());
}

#[test]
fn any_range_of_entries_is_hashed_on_the_stored_hashes_of_those_before_it() {
    let (dir, writer) = log(1000);
    for reader in [writer.reader(), JournalReader::open(dir.path()).unwrap()] {
        for range in [0..0, 0..1, 1..2, 255..257, 256..512, 300..301, 700..1000, 1000..1000, 0..1000] {
            let mut given = Vec::new();
            let root = reader.hash_entries(range.clone(), |entry| given.push(entry.to_vec())).unwrap();
            assert_eq!((root, given), (reader.root_at(range.end).unwrap(), entries(range.clone())), "{range:?}");
        }
        assert!(matches!(reader.hash_entries(0..1001, |_| ()), Err(ReadError::Beyond { .. })));
    }
    edit(&dir.path().join("entries"), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let reader = JournalReader::open(dir.path()).unwrap();
    for range in [0..1000, 999..1000] {
        assert_ne!(reader.hash_entries(range, |_| ()).unwrap(), reader.root_at(1000).unwrap());
    }
}
