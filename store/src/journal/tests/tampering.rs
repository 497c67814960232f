//! What verifying a log on disk finds.

use super::*;

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
    forger.checkpoint().unwrap();
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
