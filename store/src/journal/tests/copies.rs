//! Main's copies, what they refuse, and receipts.

use super::*;

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
    mirror.take(&refs(entries))?;
    let extended = mirror.confirm(signed.note().as_bytes(), &origin(), &key().verifier());
    if extended.is_err() {
        mirror.drop_waiting()?;
    }
    extended
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
    mirror.take(&refs(&new)).unwrap();
    let refused = mirror.confirm(signed.note().as_bytes(), &december, &key().verifier());
    assert!(matches!(refused, Err(MirrorError::Checkpoint(CheckpointError::Origin { .. }))));
    let other = LogSigner::from_seed("harbor-shop", &[9; 32]).unwrap().verifier();
    let refused = mirror.confirm(signed.note().as_bytes(), &origin(), &other);
    assert!(matches!(refused, Err(MirrorError::Checkpoint(CheckpointError::Signature(_)))));
    let refused = mirror.confirm(b"not a note", &origin(), &key().verifier());
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
        let confirmed = mirror.confirmed();
        assert!(confirmed == 600 || (confirmed == 250 && result.is_err()), "{fault:?}: {confirmed}");
        assert_eq!(verify(dir.path()).unwrap().checkpoint.size(), confirmed);
        let held = mirror.size();
        extend(&mut mirror, &entries(held..600), &second).unwrap();
        assert_eq!(read_all(&mirror.reader()), entries(0..600));
    });
}

#[test]
fn entries_are_synced_before_a_copy_says_that_it_has_them() {
    let (_log_dir, mut writer, _dir, mut mirror) = mirrored();
    let signed = writer.checkpoint().unwrap();
    let steps = crate::fault::steps_of(|| assert!(extend(&mut mirror, &entries(300..600), &signed).is_ok()));
    assert_eq!(steps[..6], [Step::Write, Step::Write, Step::Write, Step::Sync, Step::Sync, Step::Sync]);
    assert_eq!(steps[6..], [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncDir]);
}

#[test]
fn a_copy_goes_on_after_its_checkpoint_was_not_written() {
    let (_log_dir, mut writer, dir, mut mirror) = mirrored();
    let signed = writer.checkpoint().unwrap();
    // Three syncs, then the first step of writing the checkpoint.
    mirror.take(&refs(&entries(300..600))).unwrap();
    let fault = Fault::new(3, When::NotDone, Then::Recovers);
    let confirm = |mirror: &mut Mirror| mirror.confirm(signed.note().as_bytes(), &origin(), &key().verifier());
    fault.during(|| confirm(&mut mirror)).unwrap_err();
    assert!(matches!(mirror.drop_waiting(), Err(MirrorError::Unsure(_))));
    drop(mirror);
    let mut mirror = Mirror::open(dir.path()).unwrap();
    assert_eq!((mirror.confirmed(), mirror.size()), (300, 600));
    confirm(&mut mirror).unwrap();
    assert_eq!(verify(dir.path()).unwrap().checkpoint, signed);
}

#[test]
fn what_waits_in_a_copy_is_written_again_before_it_is_confirmed() {
    let (_log_dir, mut writer, dir, mut mirror) = mirrored();
    let signed = writer.checkpoint().unwrap();
    mirror.take(&refs(&entries(300..600))).unwrap();
    // The sync fails: the system takes what it could not write for written.
    let confirm = |mirror: &mut Mirror| mirror.confirm(signed.note().as_bytes(), &origin(), &key().verifier());
    Fault::new(0, When::NotDone, Then::Recovers).during(|| confirm(&mut mirror)).unwrap_err();
    drop(mirror);
    let written = (Step::Write, dir.path().join("entries"));
    let mut mirror = None;
    let steps = crate::fault::steps_with_paths(|| mirror = Some(Mirror::open(dir.path()).unwrap()));
    assert!(steps.contains(&written), "{steps:?}");
    confirm(&mut mirror.unwrap()).unwrap();
    assert_eq!(verify(dir.path()).unwrap().checkpoint, signed);
}

#[test]
fn row_003_33_a_copy_that_was_cut_off_goes_on_where_it_was() {
    let (_log_dir, mut writer, dir, mut mirror) = mirrored();
    let signed = writer.checkpoint().unwrap();
    mirror.take(&refs(&entries(300..512))).unwrap();
    drop(mirror);
    let mut mirror = Mirror::open(dir.path()).unwrap();
    assert_eq!((mirror.confirmed(), mirror.size()), (300, 512));
    assert_eq!(extend(&mut mirror, &entries(512..600), &signed).unwrap(), Extended { added: 300, size: 600 });
    assert_eq!(verify(dir.path()).unwrap().checkpoint, signed);
    // What waits can be dropped, also where it was torn.
    let (_log_dir, _writer, dir, mut mirror) = mirrored();
    let before = snapshot(dir.path());
    mirror.take(&refs(&entries(300..512))).unwrap();
    drop(mirror);
    edit(&dir.path().join("entries"), |bytes| bytes.truncate(bytes.len() - 1));
    let mut mirror = Mirror::open(dir.path()).unwrap();
    assert_eq!(mirror.size(), 511);
    mirror.drop_waiting().unwrap();
    assert_eq!(mirror.size(), 300);
    assert_eq!(snapshot(dir.path()), before);
    drop(mirror);
    assert_eq!(read_all(&Mirror::open(dir.path()).unwrap().reader()), entries(0..300));
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
fn a_checkpoint_with_lines_of_strangers_is_kept_and_cosigned_without_them() {
    let (_log_dir, mut writer, dir, mut mirror) = mirrored();
    let signed = writer.checkpoint().unwrap();
    mirror.take(&refs(&entries(300..600))).unwrap();
    let lines = "— stranger AAAAAAAA\n".repeat(99);
    let crowded = format!("{}{lines}", signed.note());
    mirror.confirm(crowded.as_bytes(), &origin(), &key().verifier()).unwrap();
    assert_eq!(mirror.checkpoint(), Some(&signed));
    let note = mirror.cosign(&cosigner(), now()).unwrap();
    drop(mirror);
    assert_eq!(Mirror::receipt(dir.path(), &signed).unwrap(), Some(note));
    assert_eq!(Mirror::open(dir.path()).unwrap().checkpoint(), Some(&signed));
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
fn a_receipt_does_not_give_way_to_one_for_less() {
    let (_log_dir, mut writer, _dir, mut mirror) = mirrored();
    let older = mirror.cosign(&cosigner(), now()).unwrap();
    extend(&mut mirror, &entries(300..600), &writer.checkpoint().unwrap()).unwrap();
    let newer = mirror.cosign(&cosigner(), now()).unwrap();
    let kept = |writer: &JournalWriter| writer.reader().cosigned().unwrap().unwrap();
    for note in [&older, &older, &newer, &newer] {
        writer.keep_cosigned(note, &cosigner().verifier()).unwrap();
        assert_eq!(kept(&writer), *note);
    }
    let refused = writer.keep_cosigned(&older, &cosigner().verifier());
    assert!(matches!(refused, Err(CosignedError::Older { size: 300, kept: 600 })), "{refused:?}");
    assert_eq!(kept(&writer), newer);
    // What was damaged says nothing.
    fs::write(writer.reader().dir().join("cosigned"), "not a note").unwrap();
    writer.keep_cosigned(&older, &cosigner().verifier()).unwrap();
    assert_eq!(kept(&writer), older);
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
