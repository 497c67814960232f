//! Appending and signing, and what is left when a step fails.

use super::*;

#[test]
fn entries_are_synced_before_they_are_signed_for() {
    let (_dir, mut writer) = log(3);
    let steps = crate::fault::steps_of(|| append(&mut writer, 3..5));
    assert_eq!(steps, [Step::Write]);
    let steps = crate::fault::steps_of(|| drop(writer.checkpoint().unwrap()));
    assert_eq!(steps[..3], [Step::Sync, Step::Write, Step::Sync]);
    assert_eq!(steps[3..], [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncDir]);
}

#[test]
fn entries_are_synced_where_there_is_no_room_for_their_hashes() {
    let (dir, mut writer) = log(3);
    append(&mut writer, 3..5);
    let no_room = Fault::new(1, When::NotDone, Then::Recovers);
    let steps = crate::fault::steps_with_paths(|| drop(writer.checkpoint().unwrap()));
    assert_eq!(
        steps[..2],
        [("entries", Step::Sync), ("hashes-0", Step::Write)].map(|(name, step)| (step, dir.path().join(name)))
    );
    append(&mut writer, 5..7);
    // The hashes cannot be written; entries go on, and are signed for once there is room.
    assert!(matches!(
        no_room.during(|| writer.checkpoint()),
        Err(SignError::Disk(DiskError { step: Step::Write, .. }))
    ));
    append(&mut writer, 7..8);
    assert_eq!(writer.checkpoint().unwrap().size(), 8);
}

#[test]
fn what_was_hashed_before_is_left_to_be_signed_for() {
    let (_dir, writer) = log(3);
    let (mut appender, mut sealer) = writer.into_halves();
    appender.append(&EntryBatch::of(&entries(3..700)).unwrap()).unwrap();
    let steps = crate::fault::steps_of(|| sealer.hash_appended().unwrap());
    assert!(steps.contains(&Step::Write) && !steps.contains(&Step::Sync), "{steps:?}");
    let mut root = None;
    let steps = crate::fault::steps_of(|| root = Some(sealer.checkpoint().unwrap().root()));
    assert_eq!(steps[..4], [Step::Sync, Step::Sync, Step::Sync, Step::Create], "{steps:?}");
    assert_eq!(root, Some(tree_hash(700, &Reference::of(&entries(0..700))).unwrap()));
}

#[test]
fn an_entry_that_cannot_be_held_spoils_no_other() {
    let (_dir, mut writer) = log(3);
    let long = vec![0; MAX_ENTRY + 1];
    for bad in [b"".as_slice(), &long] {
        assert!(matches!(writer.append(&[b"good", bad]), Err(AppendError::Entry(_))));
        assert_eq!(writer.size(), 3);
    }
    assert_eq!(writer.append(&entries(0..0)).unwrap(), 3..3);
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
            drop(writer);
            let writer = open(dir.path());
            let root = Reference::of(&entries(0..300));
            assert_eq!(writer.reader().root_at(300).unwrap(), tree_hash(300, &root).unwrap());
        }
    }
}

#[test]
fn a_log_ends_before_the_first_entry_that_is_none() {
    let is_visit: EntryCheck = |entry| entry.starts_with(b"visit") && !entry.contains(&0);
    let open = |dir: &Path| JournalWriter::open_checked(dir, origin(), key(), is_visit).unwrap();
    let (dir, mut writer) = log(290);
    append(&mut writer, 290..300);
    drop(writer);
    let path = dir.path().join("entries");
    let whole = fs::read(&path).unwrap();
    let end = |count: u64| entries(0..count).iter().map(|entry| entry.len() + 2).sum::<usize>();
    // A hole from any byte after what is signed for: to the end of the file, or up to a later entry.
    for from in end(290)..end(300) {
        for to in [whole.len(), end(298)].into_iter().filter(|to| from < *to) {
            let mut torn = whole.clone();
            torn[from..to].fill(0);
            fs::write(&path, torn).unwrap();
            let lost = (290..300).find(|number| end(number + 1) > from).unwrap();
            let mut writer = open(dir.path());
            assert_eq!(read_all(&writer.reader()), entries(0..lost), "{from}..{to}");
            append(&mut writer, lost..300);
            drop(writer);
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }
    // What is signed for stays, whatever it is.
    edit(&path, |bytes| bytes[end(289) + 2] ^= 1);
    assert_eq!(open(dir.path()).checkpoint().unwrap().size(), 300);
    assert!(matches!(verify(dir.path()), Err(VerifyError::Entry { number: 289 })));
}

#[test]
fn what_is_not_signed_for_is_written_again_before_it_is() {
    let (dir, mut writer) = log(300);
    append(&mut writer, 300..10_000);
    drop(writer);
    let before = snapshot(dir.path());
    let path = dir.path().join("entries");
    let is_write = |(step, changed): &(Step, PathBuf)| *step == Step::Write && *changed == path;
    let mut writer = None;
    let steps = crate::fault::steps_with_paths(|| writer = Some(open(dir.path())));
    assert_eq!(steps.iter().filter(|step| is_write(step)).count(), 3, "{steps:?}");
    writer.unwrap().checkpoint().unwrap();
    assert_eq!(fs::read(&path).unwrap(), before.iter().find(|(file, _)| *file == path).unwrap().1);
    assert_eq!(verify(dir.path()).unwrap().checkpoint.size(), 10_000);
    // What is signed for is on the disk.
    let steps = crate::fault::steps_with_paths(|| drop(open(dir.path())));
    assert!(!steps.iter().any(is_write), "{steps:?}");
}

#[test]
fn missing_hashes_are_computed() {
    let (dir, mut writer) = log(66_000);
    append(&mut writer, 66_000..66_700);
    drop(writer);
    drop(open(dir.path()));
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
        for at in 0..1 {
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
fn a_writer_goes_on_after_hashes_that_were_not_written() {
    for when in [When::NotDone, When::DoneYetFailed] {
        for at in 1..5 {
            let (dir, mut writer) = log(250);
            append(&mut writer, 250..300);
            // After the entries were synced. Two levels of hashes, of which the second is a new file.
            let fault = Fault::new(at, when, Then::Recovers);
            fault.during(|| writer.checkpoint()).unwrap_err();
            append(&mut writer, 300..301);
            assert_eq!(writer.checkpoint().unwrap().size(), 301, "{fault:?}");
            assert_eq!(verify(dir.path()).unwrap().unsigned, 0);
        }
    }
}

#[test]
fn one_half_appends_while_the_other_signs() {
    let dir = tempdir().unwrap();
    let (mut appender, mut sealer) = open(dir.path()).into_halves();
    let reader = sealer.reader();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..3000 {
                appender.append(&EntryBatch::of(&[entry(number)]).unwrap()).unwrap();
            }
        });
        while sealer.checkpoint().unwrap().size() < 3000 {}
    });
    assert_eq!(read_all(&reader), entries(0..3000));
    assert_eq!(verify(dir.path()).unwrap().checkpoint.size(), 3000);
}

#[test]
fn a_writer_that_cannot_know_what_is_on_disk_stops() {
    // The entries' sync, and that of their hashes.
    for at in [0, 2] {
        let (dir, mut writer) = log(3);
        append(&mut writer, 3..5);
        let sync_fails = Fault::new(at, When::NotDone, Then::Recovers);
        let failed = sync_fails.during(|| writer.checkpoint());
        assert!(matches!(failed, Err(SignError::Disk(DiskError { step: Step::Sync, .. }))), "{failed:?}");
        assert!(matches!(writer.append(&[b"more"]), Err(AppendError::Unsure(_))));
        assert!(matches!(writer.checkpoint(), Err(SignError::Unsure(_))));
        assert_eq!(open(dir.path()).checkpoint().unwrap().size(), 5);
    }
    let (_dir, mut writer) = log(3);
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
fn a_log_that_could_not_be_hashed_goes_on_or_says_that_it_is_unsure() {
    at_every_step(|fault| {
        let (dir, writer) = log(250);
        let (mut appender, mut sealer) = writer.into_halves();
        let hundred = |from| EntryBatch::of(&entries(from..from + 100)).unwrap();
        appender.append(&hundred(250)).unwrap();
        let hashed = fault.during(|| sealer.hash_appended());
        let unsure = matches!(hashed, Err(SignError::Unsure(_))) || sealer.hash_appended().is_err();
        if unsure {
            assert!(hashed.is_err(), "{fault:?}");
            assert!(matches!(appender.append(&hundred(350)), Err(AppendError::Unsure(_))), "{fault:?}");
        } else {
            appender.append(&hundred(350)).unwrap();
            assert_eq!(sealer.checkpoint().unwrap().size(), 450, "{fault:?}");
        }
        drop((appender, sealer));
        assert_eq!(open(dir.path()).checkpoint().unwrap().size(), if unsure { 350 } else { 450 }, "{fault:?}");
        verify(dir.path()).unwrap();
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
