//! Rollups grow with the journal, are made anew where they are of no use, and never decide anything.

use std::fs;

use jiff::Timestamp;
use tempfile::{TempDir, tempdir};
use tieup_fees::count_without;
use tieup_protocol::access::{AccessEntry, AgentClass, Method, Purpose, ReferrerClass, VisitorToken};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;
use tieup_store::journal::{JournalWriter, LogSigner, Origin, VerifyError};

use super::*;

/// A journal on the disk, and where its rollup is kept.
struct Bench {
    dir: TempDir,
    writer: JournalWriter,
    contract: Contract,
}

fn november() -> Month {
    "2026-11".parse().unwrap()
}

fn origin() -> Origin {
    Origin::new(&"nationwide".parse().unwrap(), &"harbor-shop".parse().unwrap(), november())
}

fn key() -> LogSigner {
    LogSigner::from_seed("harbor-shop", &[1; 32]).unwrap()
}

/// A view every 20 s by one of five visitors on one of three pages.
fn view(number: u64) -> Vec<u8> {
    let begin: Timestamp = "2026-11-10T03:00:00Z".parse().unwrap();
    AccessEntry {
        time: Timestamp::from_second(begin.as_second() + i64::try_from(number * 20).unwrap()).unwrap(),
        class: Some(MeterClass::Tieup),
        method: Method::Get,
        status: 200,
        bytes: 1_000 + number,
        purpose: Purpose::Document,
        visitor: VisitorToken([u8::try_from(number % 5).unwrap(); 16]),
        agent: AgentClass::Desktop,
        robot: 0,
        referrer: ReferrerClass::None,
        path: format!("/page-{}/", number % 3).parse::<SitePath>().unwrap(),
    }
    .encode()
}

impl Bench {
    fn new(first: u64, size: u64) -> Self {
        let dir = tempdir().unwrap();
        let writer = JournalWriter::open(&dir.path().join("journal"), origin(), key()).unwrap();
        let text = include_str!("../../../sites/nationwide/partners/harbor-shop/contract.yaml");
        let contract = Contract::parse("contract.yaml", text).unwrap();
        let mut bench = Self { dir, writer, contract };
        bench.append(first, size);
        bench
    }

    fn append(&mut self, first: u64, count: u64) {
        let entries: Vec<_> = (first..first + count).map(view).collect();
        self.writer.append(&entries).unwrap();
        self.writer.checkpoint().unwrap();
    }

    fn copy(&self) -> Copy {
        let reader = self.writer.reader();
        let (size, root) = (reader.size(), reader.root_at(reader.size()).unwrap().to_string());
        let head = JournalHead { origin: origin().to_string(), size, root };
        let (dir, struck) = (self.dir.path().join("journal"), BTreeSet::new());
        let log = (origin(), key().verifier());
        Copy { head, dir, log, struck, opened: OnceLock::new(), progress: Arc::default() }
    }

    fn place(&self) -> Place<'_> {
        let path = self.dir.path().join("rollups/harbor-shop/november");
        Place { path, contract: &self.contract, period: self.contract.period(november()) }
    }

    /// Counts with the rollup, and must get what counting all entries gives.
    fn count(&self) {
        let (copy, place) = (self.copy(), self.place());
        let entries = self.writer.reader().entries(0..copy.head.size).unwrap();
        let plain = count_without(&self.contract, place.period, entries, &BTreeSet::new()).unwrap();
        assert_eq!(place.bring_up(&copy).unwrap().counted(), plain);
    }

    fn kept(&self) -> Vec<u8> {
        fs::read(self.place().path).unwrap()
    }
}

#[test]
fn a_rollup_grows_with_the_journal_and_reads_each_entry_once() {
    let mut bench = Bench::new(0, 700);
    bench.count();
    let first = bench.kept();
    bench.append(700, 500);
    bench.count();
    assert_ne!(bench.kept(), first);
    assert_eq!(bench.place().verify(&bench.copy()).unwrap(), Standing::Agrees(1_200));

    // What is covered is read no more: without the file of entries a month can still be closed.
    let entries = bench.dir.path().join("journal/entries");
    let copy = bench.copy();
    let expected = bench.place().bring_up(&copy).unwrap().counted();
    fs::remove_file(&entries).unwrap();
    assert_eq!(bench.place().bring_up(&copy).unwrap().counted(), expected);
    assert!(bench.place().verify(&copy).is_err());
}

#[test]
fn a_missing_or_damaged_rollup_is_made_anew_by_itself() {
    let bench = Bench::new(0, 300);
    assert_eq!(bench.place().verify(&bench.copy()).unwrap(), Standing::Missing);
    let good = bench.kept();
    let path = bench.place().path;
    for damaged in [Vec::new(), good[..good.len() / 2].to_vec(), [&good[..good.len() - 1], b"x"].concat()] {
        fs::write(&path, damaged).unwrap();
        bench.count();
        assert_eq!(bench.kept(), good);
    }
    fs::remove_file(&path).unwrap();
    bench.count();
    assert_eq!(bench.kept(), good);
}

#[test]
fn a_rollup_of_other_entries_is_not_gone_on_with() {
    let bench = Bench::new(0, 300);
    bench.count();
    let good = bench.kept();
    // Of as many entries of a log of the same name; of more entries than the journal has.
    for size in [300, 310] {
        let longer = Bench::new(100, size);
        longer.count();
        fs::write(bench.place().path, longer.kept()).unwrap();
        bench.count();
        assert_eq!(bench.kept(), good);
    }
}

#[test]
fn a_changed_rollup_is_told_and_replaced() {
    let (other, bench) = (Bench::new(100, 300), Bench::new(0, 300));
    bench.count();
    let good = bench.kept();
    // Counts of other entries that claim to be of these.
    let mut forged = Rollup::begin(&bench.contract, bench.place().period, origin().as_str());
    for entry in other.writer.reader().entries(0..300).unwrap() {
        forged.take(&entry.unwrap(), &BTreeSet::new()).unwrap();
    }
    forged.reach::<ReadError>(bench.copy().head).unwrap();
    fs::write(bench.place().path, forged.encode()).unwrap();
    assert_eq!(bench.place().verify(&bench.copy()).unwrap(), Standing::Differs(300));
    assert_eq!(bench.kept(), good);
}

#[test]
fn a_damaged_copy_is_told_and_replaces_nothing() {
    let bench = Bench::new(0, 300);
    bench.count();
    let good = bench.kept();
    // The last entry is of another page, of which there is a name as long.
    let path = bench.dir.path().join("journal/entries");
    let mut entries = fs::read(&path).unwrap();
    let last = entries.len() - 2;
    assert_eq!(&entries[last..], b"2/");
    entries[last] = b'1';
    fs::write(&path, entries).unwrap();
    let told = bench.place().verify(&bench.copy()).unwrap_err();
    assert!(matches!(told, StatementFailure::Damaged(_, VerifyError::Entry { number: 299 })), "{told}");
    assert_eq!(bench.kept(), good);
}

#[test]
fn what_is_counted_on_is_hashed_too() {
    let mut bench = Bench::new(0, 300);
    bench.count();
    let good = bench.kept();
    bench.append(300, 300);
    // Of what is read to go on: an entry of the tile that is begun, and one of the next.
    for number in [301, 599] {
        let path = bench.dir.path().join("journal/entries");
        let entries = fs::read(&path).unwrap();
        let begin: usize = (0..number).map(|number| view(number).len() + 2).sum();
        let last = begin + view(number).len();
        assert_eq!(entries[last + 1], b'/');
        let mut damaged = entries.clone();
        damaged[last] ^= 1;
        fs::write(&path, damaged).unwrap();
        let told = bench.place().bring_up(&bench.copy()).unwrap_err();
        assert!(matches!(told, StatementFailure::OtherThanCosigned(_, 600)), "{number}: {told}");
        assert_eq!(bench.kept(), good);
        fs::write(&path, entries).unwrap();
    }
    bench.count();
}

#[test]
fn a_copy_that_is_not_what_was_cosigned_is_told_and_replaces_nothing() {
    let (bench, other) = (Bench::new(0, 300), Bench::new(100, 300));
    bench.count();
    let good = bench.kept();
    let copy = Copy { head: other.copy().head, ..bench.copy() };
    assert!(matches!(bench.place().verify(&copy), Err(StatementFailure::OtherThanCosigned(_, 300))));
    assert_eq!(bench.kept(), good);
}

#[test]
fn a_copy_that_is_signed_for_fewer_entries_than_were_cosigned_is_told_and_replaces_nothing() {
    let mut bench = Bench::new(0, 200);
    let note = bench.dir.path().join("journal/checkpoint");
    let earlier = fs::read(&note).unwrap();
    bench.append(200, 100);
    bench.count();
    let good = bench.kept();
    fs::write(&note, earlier).unwrap();
    let told = bench.place().verify(&bench.copy()).unwrap_err();
    assert!(matches!(&told, StatementFailure::Read(ReadError::Beyond { size: 200, .. })), "{told}");
    assert_eq!(bench.kept(), good);
}

#[test]
fn a_disk_that_refuses_holds_up_nothing() {
    let bench = Bench::new(0, 300);
    // A file stands where the folder should.
    fs::write(bench.dir.path().join("rollups"), "").unwrap();
    let place = bench.place();
    let rollup = bench.copy().count_on(place.begin(&bench.copy())).unwrap();
    place.put(&rollup);
    assert!(!place.path.exists());
    assert_eq!(rollup.counted().entries, 300);
}
