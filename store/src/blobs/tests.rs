use std::fs;
use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::durable::Step;
use crate::fault::{at_every_step, steps_of};

fn store(dir: &TempDir) -> BlobStore {
    BlobStore::open(dir.path().join("blobs")).unwrap()
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    durable::list_dir(&dir.path().join("blobs")).unwrap()
}

/// Changes one byte of the only file that holds `bytes`.
fn damage(dir: &TempDir, bytes: &[u8]) {
    for path in files(dir) {
        let mut file = fs::read(&path).unwrap();
        if let Some(at) = file.windows(bytes.len()).position(|window| window == bytes) {
            file[at] ^= 1;
            fs::write(path, file).unwrap();
        }
    }
}

/// Long after everything that a test writes.
fn later() -> SystemTime {
    SystemTime::now() + Duration::from_hours(1)
}

/// Yields some bytes, then breaks.
struct Breaking(Cursor<Vec<u8>>);

impl Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            read => Ok(read),
        }
    }
}

#[test]
fn a_blob_is_found_by_its_content_also_after_a_restart() {
    let dir = tempdir().unwrap();
    let first = store(&dir);
    let blob = first.put(b"tie-up").unwrap();
    assert_eq!(first.put(b"tie-up").unwrap(), blob);
    for store in [&first, &store(&dir)] {
        assert_eq!(store.read(&blob).unwrap(), b"tie-up");
        assert!(store.contains(&blob));
        assert!(!store.contains(&BlobRef { length: 5, ..blob }));
        assert!(matches!(store.read(&BlobRef::of(b"other")), Err(ReadBlobError::Missing(_))));
    }
    assert_eq!(files(&dir).len(), 1);
}

#[test]
fn a_stream_is_taken_up_to_the_blobs_end() {
    let dir = tempdir().unwrap();
    let store = store(&dir);
    let long = vec![7; CHUNK * 2 + 1];
    let mut source = Cursor::new([long.as_slice(), b"next", b""].concat());
    for bytes in [long.as_slice(), b"next", b""] {
        store.put_expected(&BlobRef::of(bytes), &mut source).unwrap();
        assert_eq!(store.read(&BlobRef::of(bytes)).unwrap(), bytes);
    }
}

#[test]
fn hostile_streams_are_refused_and_leave_nothing() {
    let dir = tempdir().unwrap();
    let store = store(&dir);
    let expected = BlobRef::of(&[1; 1000]);
    let endless = BlobRef { length: u64::MAX, ..expected };
    let put = |blob, bytes: Vec<u8>| store.put_expected(blob, Cursor::new(bytes));
    assert!(matches!(put(&expected, vec![1; 999]), Err(PutBlobError::Short { received: 999, .. })));
    assert!(matches!(put(&expected, vec![2; 1000]), Err(PutBlobError::Mismatch { .. })));
    assert!(matches!(put(&endless, vec![1; 1000]), Err(PutBlobError::Short { received: 1000, .. })));
    let broken = store.put_expected(&expected, Breaking(Cursor::new(vec![1; 10])));
    assert!(matches!(broken, Err(PutBlobError::Stream { .. })));
    assert!(!store.contains(&expected));
    assert_eq!(files(&dir), Vec::<PathBuf>::new());
}

#[test]
fn after_a_refused_blob_the_batch_goes_on() {
    let dir = tempdir().unwrap();
    let store = store(&dir);
    let batch = store.batch();
    batch.put(b"before").unwrap();
    batch.put_expected(&BlobRef::of(&[1; 1000]), Cursor::new(vec![2; 1000])).unwrap_err();
    batch.put_expected(&BlobRef::of(b"after"), Cursor::new(b"after")).unwrap();
    batch.sync().unwrap();
    for bytes in [b"before".as_slice(), b"after"] {
        assert_eq!(store.read(&BlobRef::of(bytes)).unwrap(), bytes);
    }
    assert_eq!(self::store(&dir).shelf().count(), 2);
}

#[test]
fn damage_is_seen_on_reading_and_mended_by_another_copy() {
    let dir = tempdir().unwrap();
    let first = store(&dir);
    let blob = first.put(b"tie-up").unwrap();
    damage(&dir, b"tie-up");
    assert!(matches!(first.read(&blob), Err(ReadBlobError::Damaged(_))));
    assert!(!first.contains(&blob));
    first.put_expected(&blob, Cursor::new(b"tie-up")).unwrap();
    assert_eq!(first.read(&blob).unwrap(), b"tie-up");
    assert_eq!(store(&dir).read(&blob).unwrap(), b"tie-up");
}

#[test]
fn a_damaged_header_costs_one_blob() {
    let dir = tempdir().unwrap();
    let first = store(&dir);
    let batch = first.batch();
    let blobs: Vec<BlobRef> = (0..3_u8).map(|n| batch.put(&[n; 100]).unwrap()).collect();
    batch.sync().unwrap();
    damage(&dir, blobs[1].digest.as_bytes());
    let again = store(&dir);
    assert_eq!(blobs.iter().map(|blob| again.contains(blob)).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn a_batch_costs_one_sync_of_one_file() {
    let dir = tempdir().unwrap();
    let store = store(&dir);
    let steps = steps_of(|| {
        let batch = store.batch();
        for number in 0..600_u32 {
            batch.put(&number.to_be_bytes()).unwrap();
        }
        batch.sync().unwrap();
    });
    assert_eq!(steps, [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncDir]);
}

#[test]
fn a_batch_can_be_read_when_it_is_synced_and_keeps_nothing_when_discarded() {
    let dir = tempdir().unwrap();
    let store = store(&dir);
    let batch = store.batch();
    let blob = batch.put(b"tie-up").unwrap();
    assert!(!store.contains(&blob));
    batch.sync().unwrap();
    assert_eq!(store.read(&blob).unwrap(), b"tie-up");
    let batch = store.batch();
    let other = batch.put(b"never approved").unwrap();
    batch.discard();
    assert!(!store.contains(&other));
    let dropped = store.batch().put(b"cut off").unwrap();
    assert!(store.contains(&dropped));
    assert_eq!(files(&dir).len(), 2);
}

#[test]
fn a_version_of_another_blob_is_kept_as_a_patch() {
    let dir = tempdir().unwrap();
    let first = store(&dir);
    let page: Vec<u8> = (0..4000_u32).flat_map(u32::to_be_bytes).collect();
    let mut varied = page.clone();
    varied.splice(5000..5010, *b"for Sapporo");
    let base = first.put(&page).unwrap();
    let before = first.size();
    let batch = first.batch();
    let blob = batch.put_like(&varied, &base).unwrap();
    batch.sync().unwrap();
    let batch = first.batch();
    let second = batch.put_like(&[varied.as_slice(), b"!"].concat(), &blob).unwrap();
    batch.sync().unwrap();
    assert!(first.size() - before < 2 * segment::HEADER as u64 + 100);
    let keep = [blob, second].map(|blob| blob.digest).into();
    first.sweep(&keep, later()).unwrap();
    for store in [&first, &store(&dir)] {
        assert_eq!(store.read(&blob).unwrap(), varied, "what it is a patch against stays");
        assert_eq!(store.read(&second).unwrap().len(), varied.len() + 1);
    }
    damage(&dir, &page);
    assert!(matches!(first.read(&blob), Err(ReadBlobError::Damaged(_))));
}

#[test]
fn a_sweep_gives_back_what_nobody_keeps() {
    let dir = tempdir().unwrap();
    let first = store(&dir);
    let batch = first.batch();
    let blobs: Vec<BlobRef> = (0..10_u8).map(|n| batch.put(&[n; 10_000]).unwrap()).collect();
    batch.sync().unwrap();
    let keep = blobs[..3].iter().map(|blob| blob.digest).collect();
    assert_eq!(first.sweep(&keep, SystemTime::UNIX_EPOCH).unwrap(), Swept::default(), "too young");
    let swept = first.sweep(&keep, later()).unwrap();
    assert_eq!(swept.blobs, 7);
    assert!(swept.bytes > 70_000);
    for store in [&first, &store(&dir)] {
        assert_eq!(blobs.iter().filter(|blob| store.read(blob).is_ok()).count(), 3);
    }
    first.sweep(&keep, later()).unwrap();
    assert_eq!(files(&dir).len(), 1, "what is kept whole is left alone");
}

#[test]
fn many_small_segments_become_one() {
    let dir = tempdir().unwrap();
    let first = store(&dir);
    let blobs: Vec<BlobRef> = (0..100_u8).map(|n| first.put(&[n; 10]).unwrap()).collect();
    assert!(files(&dir).len() <= 33, "{}", files(&dir).len());
    assert!(blobs.iter().all(|blob| first.read(blob).is_ok() && store(&dir).read(blob).is_ok()));
}

#[test]
fn a_blob_that_is_here_is_whole_whatever_fails() {
    let bytes = vec![3; CHUNK + 1];
    let blob = BlobRef::of(&bytes);
    at_every_step(|fault| {
        let dir = tempdir().unwrap();
        let first = store(&dir);
        let result = fault.during(|| first.put_expected(&blob, bytes.as_slice()));
        let again = store(&dir);
        assert!(result.is_err() || again.contains(&blob), "{fault:?}");
        assert!(!again.contains(&blob) || again.read(&blob).unwrap() == bytes, "{fault:?}");
        again.put(&bytes).unwrap();
        assert_eq!(again.read(&blob).unwrap(), bytes);
    });
}

#[test]
fn a_sweep_loses_nothing_that_is_kept_whatever_fails() {
    at_every_step(|fault| {
        let dir = tempdir().unwrap();
        let first = store(&dir);
        let batch = first.batch();
        let blobs: Vec<BlobRef> = (0..9_u8).map(|n| batch.put(&[n; 100]).unwrap()).collect();
        batch.sync().unwrap();
        let keep = blobs[..2].iter().map(|blob| blob.digest).collect();
        let _ = fault.during(|| first.sweep(&keep, later()));
        for store in [&first, &store(&dir)] {
            assert!(blobs[..2].iter().all(|blob| store.read(blob).is_ok()), "{fault:?}");
        }
    });
}

/// Writes the same blob into a segment of its own, once more.
fn copy_of(store: &BlobStore, bytes: &[u8]) -> BlobRef {
    let blob = BlobRef::of(bytes);
    store.put_expected(&blob, Cursor::new(bytes)).unwrap();
    blob
}

#[test]
fn another_copy_takes_the_place_of_a_damaged_one_and_the_damage_is_told() {
    for reopened in [false, true] {
        let dir = tempdir().unwrap();
        let first = store(&dir);
        let blob = copy_of(&first, b"tie-up");
        copy_of(&first, b"tie-up");
        let first = if reopened { store(&dir) } else { first };
        let heard = Arc::new(RwLock::new(0));
        let told = heard.clone();
        first.on_damage(move || *told.write().unwrap() += 1);
        let newest = files(&dir).pop().unwrap();
        let mut bytes = fs::read(&newest).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&newest, bytes).unwrap();
        assert_eq!(first.read(&blob).unwrap(), b"tie-up", "reopened: {reopened}");
        assert_eq!(*heard.read().unwrap(), 1);
        let damage = first.next_damage().unwrap().unwrap();
        assert_eq!((damage.blob, damage.bytes.as_deref(), damage.is_lost), (blob, Some(b"tie-uq".as_slice()), false));
        assert_eq!(first.next_damage().unwrap(), None, "it is handed out once");
        damage_all(&dir);
        assert!(matches!(first.read(&blob), Err(ReadBlobError::Damaged(_))));
        assert!(first.next_damage().unwrap().unwrap().is_lost);
    }
}

/// Changes the last byte of every file.
fn damage_all(dir: &TempDir) {
    for path in files(dir) {
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_file_that_was_cut_is_damaged_and_no_failure_of_the_disk() {
    let dir = tempdir().unwrap();
    let first = store(&dir);
    let blob = first.put(b"tie-up").unwrap();
    let file = fs::OpenOptions::new().write(true).open(&files(&dir)[0]).unwrap();
    file.set_len(segment::HEADER as u64 + 2).unwrap();
    assert!(matches!(first.read(&blob), Err(ReadBlobError::Damaged(_))));
    assert!(!first.contains(&blob));
}

#[test]
fn a_segment_that_somebody_writes_to_is_told_once() {
    let dir = tempdir().unwrap();
    let first = store(&dir);
    let blob = first.put(b"tie-up").unwrap();
    assert_eq!(first.drifted().unwrap(), []);
    damage(&dir, b"tie-up");
    let drifted = first.drifted().unwrap();
    assert_eq!((drifted.len(), drifted[0].how, drifted[0].blobs.as_slice()), (1, Changed::Written, [blob].as_slice()));
    assert_eq!(first.drifted().unwrap(), []);
}

#[test]
fn a_segment_that_is_removed_or_replaced_is_written_anew() {
    for replaced in [false, true] {
        let dir = tempdir().unwrap();
        let first = store(&dir);
        let blob = first.put(b"tie-up").unwrap();
        let path = files(&dir).remove(0);
        fs::remove_file(&path).unwrap();
        if replaced {
            fs::write(&path, b"something else").unwrap();
        }
        let drifted = first.drifted().unwrap();
        assert_eq!((drifted.len(), drifted[0].how), (1, Changed::Displaced));
        for store in [&first, &store(&dir)] {
            assert_eq!(store.read(&blob).unwrap(), b"tie-up", "replaced: {replaced}");
        }
        assert_eq!(first.drifted().unwrap(), []);
    }
}

#[test]
fn a_sweep_takes_the_undamaged_copy_along() {
    let dir = tempdir().unwrap();
    let first = store(&dir);
    let blob = copy_of(&first, b"tie-up");
    let batch = first.batch();
    batch.put(&[9; 1000]).unwrap();
    batch.put_expected(&blob, Cursor::new(b"tie-up")).unwrap();
    batch.sync().unwrap();
    let newest = files(&dir).pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&newest, bytes).unwrap();
    first.sweep(&[blob.digest].into(), later()).unwrap();
    for store in [&first, &store(&dir)] {
        assert_eq!(store.read(&blob).unwrap(), b"tie-up");
    }
}

proptest! {
    #[test]
    fn any_bytes_in_a_segment_are_read_or_passed_over(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0_usize..400) {
        let dir = tempdir().unwrap();
        let first = store(&dir);
        let blob = first.put(b"tie-up").unwrap();
        let whole = fs::read(&files(&dir)[0]).unwrap();
        let at = at.min(bytes.len());
        bytes.splice(at..at, whole);
        fs::write(&files(&dir)[0], bytes).unwrap();
        prop_assert!(store(&dir).contains(&blob));
    }
}
