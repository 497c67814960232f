//! Visitors while the daemon is killed, and while its disk is full: what somebody saw whole is in the journal.
//!
//! `TIEUP_KILLS=200 cargo test -p tieup-tests --test proof visitors -- --nocapture` kills so often; `TIEUP_SEED` repeats
//! a run.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tieup_protocol::access::AccessEntry;
use tieup_store::journal::{JournalReader, SignedCheckpoint, month_dir, verify_log};
use tieup_tests::child::Program;
use tieup_tests::journal::JournalOnDisk;
use tieup_tests::raw;
use tieup_tests::world::Halted;
use tieup_tests::{Contract, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::disk::{SMALL, is_permitted, start_behind};
use crate::setting;

/// How often the daemon is killed unless `TIEUP_KILLS` says otherwise.
const KILLS: u64 = 20;

/// How many visitors ask at once.
const VISITORS: usize = 8;

/// The longest time from the first visit to the kill, in milliseconds: past a checkpoint, which is due each second.
const LONGEST: u64 = 1_300;

/// In how many lives there is one that is killed shortly after a checkpoint, however long that takes.
const SIGNED: u64 = 4;

/// How long a checkpoint is waited for before the test says that none comes.
const PATIENCE: Duration = Duration::from_mins(2);

/// What all visitors have seen.
#[derive(Default)]
struct Seen {
    next: AtomicU64,
    over: AtomicBool,
    whole: Mutex<HashSet<String>>,
}

async fn live() -> (World, Halted) {
    let mut world =
        World::new().main_page("/about/", "We mend lamps.").contract("north", Contract::inherited()).start().await;
    world.go_live("north").await;
    let halted = world.halt("north").await;
    (world, halted)
}

/// Asks for one page after the other on one connection, each at an address of its own, until the daemon is gone.
async fn visit(site: SocketAddr, seen: Arc<Seen>) {
    let Ok(mut stream) = TcpStream::connect(site).await else { return };
    while !seen.over.load(Ordering::SeqCst) {
        let page = format!("/nothing/{}/", seen.next.fetch_add(1, Ordering::SeqCst));
        let request = format!("GET {page} HTTP/1.1\r\nhost: {site}\r\n\r\n");
        if stream.write_all(request.as_bytes()).await.is_err() || !is_whole(&mut stream).await {
            return;
        }
        seen.whole.lock().unwrap().insert(page);
    }
}

/// Reads an answer; whether it came to its end.
async fn is_whole(stream: &mut TcpStream) -> bool {
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines().map(str::to_ascii_lowercase);
            let length = lines.find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            let length = length.unwrap_or_else(|| panic!("an answer without a length: {head}"));
            assert!(text.starts_with("HTTP/1.1 404"), "{head}");
            if body.len() >= length {
                return true;
            }
        }
        match stream.read(&mut piece).await {
            Ok(length @ 1..) => answer.extend_from_slice(&piece[..length]),
            _ => return false,
        }
    }
}

/// The pages in the journal.
fn logged(folder: &Path) -> Vec<String> {
    let reader = JournalReader::open(folder).unwrap();
    let entries = reader.entries(0..reader.size()).unwrap();
    entries.map(|entry| AccessEntry::decode(&entry.unwrap()).unwrap().path.to_string()).collect()
}

/// The checkpoint of the newest month, if there is one.
fn newest_note(halted: &Halted) -> Option<Vec<u8>> {
    let journal = halted.config.state.join("journal");
    let months = tieup_store::journal::months(&journal).unwrap_or_default();
    fs::read(month_dir(&journal, *months.last()?).join("checkpoint")).ok()
}

/// Waits until there is another checkpoint than `before`.
async fn signed_anew(halted: &Halted, before: Option<&[u8]>) {
    let deadline = Instant::now() + PATIENCE;
    while newest_note(halted).as_deref() == before {
        assert!(Instant::now() < deadline, "no checkpoint is signed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_every_visit_that_somebody_saw_whole_is_in_the_journal() {
    let kills = setting("TIEUP_KILLS").unwrap_or(KILLS);
    let seed = setting("TIEUP_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, TIEUP_SEED={seed}");
    let (mut world, halted) = live().await;
    let program = Program::new(env!("CARGO_BIN_EXE_syncd-to-kill"), &halted);
    let (mut rng, guests, mut notes) = (Rng::with_seed(seed), Arc::new(Seen::default()), Vec::new());
    let mut months = Vec::new();
    for life in 0..kills {
        let signed = newest_note(&halted);
        let mut process = program.start();
        let visitors: Vec<_> = (0..VISITORS).map(|_| tokio::spawn(visit(halted.public, guests.clone()))).collect();
        if life % SIGNED == 0 {
            signed_anew(&halted, signed.as_deref()).await;
            tokio::time::sleep(Duration::from_millis(rng.u64(..20))).await;
        } else {
            tokio::time::sleep(Duration::from_millis(rng.u64(5..LONGEST))).await;
        }
        process.kill();
        for visitor in visitors {
            visitor.await.unwrap();
        }
        months = tieup_store::journal::months(&halted.config.state.join("journal")).unwrap();
        for month in &months {
            let log = JournalOnDisk::open(&halted.config.state, *month);
            let Ok(note) = fs::read(log.dir.join("checkpoint")) else { continue };
            notes.push((*month, SignedCheckpoint::open(&note, &log.origin, &log.signer.verifier()).unwrap()));
        }
    }
    // One start more puts right what the last kill left, and the end signs for all.
    world.resume(halted).await;
    world.get("north", "/last/").await;
    let halted = world.halt("north").await;
    let mut pages = HashSet::new();
    for month in months {
        let log = JournalOnDisk::open(&halted.config.state, month);
        let verified = verify_log(&log.dir, &log.origin, &log.signer.verifier()).unwrap();
        assert_eq!(verified.unsigned, 0);
        let reader = JournalReader::open(&log.dir).unwrap();
        for (_, note) in notes.iter().filter(|(of, _)| *of == month) {
            assert_eq!(reader.root_at(note.size()).unwrap(), note.root(), "what was signed for has changed");
        }
        pages.extend(logged(&log.dir));
    }
    let whole = guests.whole.lock().unwrap();
    println!("{} answers seen whole, {} checkpoints, {} entries", whole.len(), notes.len(), pages.len());
    let lost: Vec<&String> = whole.iter().filter(|page| !pages.contains(*page)).collect();
    assert_eq!(lost, Vec::<&String>::new(), "seen whole, and not logged");
    assert!(whole.len() as u64 > kills, "nobody was served");
    assert!(notes.len() as u64 >= kills / SIGNED, "too few checkpoints to compare");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nobody_is_served_unlogged_and_it_goes_on_by_itself_once_there_is_room() {
    if !is_permitted() {
        return;
    }
    let (_world, halted) = live().await;
    let (_, process) = start_behind(&halted, SMALL);
    let state = PathBuf::from(format!("/proc/{}/root{}", process.id(), halted.config.state.display()));
    let visit = async |page: &str| raw::request(halted.public, "GET", page, &[]).await.status;
    let mut served = 0;
    assert_eq!(visit("/about/").await, 200);
    served += 1;
    let filler = state.join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);
    // The last page of the file of entries still has room.
    let refused = loop {
        match visit("/about/").await {
            200 => served += 1,
            status => break status,
        }
        assert!(served < 1_000, "the disk is never full");
    };
    assert_eq!(refused, 503);
    for _ in 0..5 {
        assert_eq!(visit("/about/").await, 503);
    }
    fs::remove_file(&filler).unwrap();
    assert_eq!(visit("/after/").await, 404);
    served += 1;
    let months = tieup_store::journal::months(&state.join("journal")).unwrap();
    let pages = logged(&state.join(format!("journal/{}", months[0])));
    assert_eq!(pages.len(), served, "something half-written is in the journal");
    assert_eq!(pages.last().map(String::as_str), Some("/after/"));
}
