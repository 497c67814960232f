//! Whole journals on a real disk.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::task::{Context, Waker};
use std::time::Duration;

use axum::http::StatusCode;
use tempfile::{TempDir, tempdir};
use tieup_protocol::access::{AccessEntry, CODEC, InvalidEntry, Method};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;
use tieup_store::journal::{Cosigner, Mirror, VerifiedLog, verify_log};

use super::ledger::HASH_AFTER;
use super::*;
use crate::access_log::{Introduction, NotLogged};

/// A journal in a folder of its own.
struct Kept {
    dir: TempDir,
    journal: Journal,
    thread: Option<thread::JoinHandle<()>>,
}

impl Kept {
    fn new() -> Self {
        Self::in_dir(tempdir().unwrap())
    }

    fn in_dir(dir: TempDir) -> Self {
        let (journal, thread) = Journal::start(setup(dir.path())).unwrap();
        Self { dir, journal, thread: Some(thread) }
    }

    fn record(&self, time: &str, page: &str) -> Ticket {
        let time: Timestamp = time.parse().unwrap();
        let caller = Caller { time, address: IpAddr::from([192, 0, 2, 1]), introduction: Introduction::default() };
        let visitor = self.journal.recognise(&caller, &mut Remembered::default());
        let path: SitePath = page.parse().unwrap();
        self.journal.record(&Visit {
            time,
            visitor,
            path: &path,
            class: Some(MeterClass::Tieup),
            method: Method::Get,
            status: StatusCode::OK,
            bytes: 1,
            purpose: tieup_protocol::access::Purpose::Document,
        })
    }

    /// The pages in the log of `month`, as they stand on the disk at this moment.
    fn pages(&self, month: &str) -> Vec<String> {
        let reader = JournalReader::open(self.dir.path().join(month)).unwrap();
        let entries = reader.entries(0..reader.size()).unwrap();
        entries.map(|entry| AccessEntry::decode(&entry.unwrap()).unwrap().path.to_string()).collect()
    }

    /// Ends the journal and verifies a month.
    fn end(&mut self, month: &str) -> VerifiedLog {
        self.journal.close();
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
        let setup = setup(self.dir.path());
        let month: Month = month.parse().unwrap();
        let origin = setup.origin(month);
        verify_log(&month_dir(self.dir.path(), month), &origin, &setup.signer.verifier()).unwrap()
    }
}

fn setup(dir: &Path) -> JournalSetup {
    JournalSetup {
        dir: dir.to_owned(),
        main: "nationwide".parse().unwrap(),
        site: "harbor-shop".parse().unwrap(),
        zone: "Asia/Tokyo".parse().unwrap(),
        signer: LogSigner::from_seed("harbor-shop", &[1; 32]).unwrap(),
        cosigner: Cosigner::from_seed("nationwide", &[2; 32]).unwrap().verifier(),
    }
}

/// A visit of nobody.
fn visit<'a>(time: &str, path: &'a SitePath) -> Visit<'a> {
    let (class, purpose) = (Some(MeterClass::Tieup), tieup_protocol::access::Purpose::Document);
    let (time, method, status) = (time.parse().unwrap(), Method::Get, StatusCode::OK);
    Visit { time, visitor: Visitor::NOBODY, path, class, method, status, bytes: 1, purpose }
}

/// A keeper of logs in `dir` that does nothing by itself, its ledger, and what that tells it.
fn keeper(dir: &Path) -> (Keeper, Arc<Ledger>, Receiver<Message>) {
    let (setup, (sender, messages)) = (setup(dir), channel());
    let ledger = Ledger::new(setup.zone.clone(), sender);
    let key = Arc::new(VisitorKey::new(0, &SystemRandomness));
    (Keeper::new(setup, Readers::default(), ledger.clone(), key), ledger, messages)
}

#[tokio::test]
async fn a_visit_is_on_disk_when_its_ticket_says_so_and_is_signed_for_at_the_end() {
    let mut kept = Kept::new();
    for number in 0..20 {
        kept.record("2026-11-07T03:00:00Z", &format!("/{number}/")).await.unwrap();
        assert_eq!(kept.pages("2026-11").len(), number + 1);
    }
    let last = kept.end("2026-11");
    assert_eq!((last.checkpoint.size(), last.unsigned), (20, 0));
}

#[tokio::test]
async fn a_ticket_gives_way_so_that_visits_of_one_turn_are_written_together() {
    let kept = Kept::new();
    kept.record("2026-11-07T03:00:00Z", "/first/").await.unwrap();
    let (one, other) = (kept.record("2026-11-07T03:00:00Z", "/a/"), kept.record("2026-11-07T03:00:00Z", "/b/"));
    let (mut one, mut turn) = (std::pin::pin!(one), Context::from_waker(Waker::noop()));
    assert!(one.as_mut().poll(&mut turn).is_pending());
    assert_eq!(kept.pages("2026-11"), ["/first/"]);
    other.at_once().await.unwrap();
    assert_eq!(kept.pages("2026-11"), ["/first/", "/a/", "/b/"]);
    assert!(one.as_mut().poll(&mut turn).is_ready());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn visits_of_many_threads_are_all_logged_each_in_its_order() {
    let mut kept = Arc::new(Kept::new());
    let visitors: Vec<_> = (0..8)
        .map(|visitor| {
            let kept = kept.clone();
            tokio::spawn(async move {
                for number in 0..200 {
                    let ticket = kept.record("2026-11-07T03:00:00Z", &format!("/{visitor}/{number}/"));
                    // Some do not wait for what became of their visit.
                    if number % 7 != 0 {
                        ticket.await.unwrap();
                    }
                }
            })
        })
        .collect();
    for visitor in visitors {
        visitor.await.unwrap();
    }
    let kept = Arc::get_mut(&mut kept).unwrap();
    assert_eq!(kept.end("2026-11").checkpoint.size(), 1600);
    let pages = kept.pages("2026-11");
    for visitor in 0..8 {
        let of_one: Vec<&String> = pages.iter().filter(|page| page.starts_with(&format!("/{visitor}/"))).collect();
        let expected: Vec<String> = (0..200).map(|number| format!("/{visitor}/{number}/")).collect();
        assert!(of_one.into_iter().eq(&expected), "the visits of {visitor} are not in their order");
    }
}

#[tokio::test]
async fn months_are_cut_by_the_contracts_zone_and_a_clock_may_step() {
    let mut kept = Kept::new();
    // Midnight in Tokyo is 15:00 in UTC.
    let visits = [
        ("2026-11-30T14:59:59.999Z", "/a/"),
        ("2026-11-30T15:00:00Z", "/b/"),
        ("2026-11-30T14:59:58Z", "/stepped-back/"),
        ("2026-11-30T15:00:01Z", "/c/"),
    ];
    let tickets: Vec<Ticket> = visits.iter().map(|(time, page)| kept.record(time, page)).collect();
    for ticket in tickets {
        ticket.await.unwrap();
    }
    assert_eq!(kept.pages("2026-11"), ["/a/", "/stepped-back/"]);
    assert_eq!(kept.pages("2026-12"), ["/b/", "/c/"]);
    assert_eq!(kept.end("2026-11").checkpoint.size(), 2);
    assert_eq!(kept.end("2026-12").checkpoint.size(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_where_the_month_turns_under_load() {
    let mut kept = Arc::new(Kept::new());
    let turn: Timestamp = "2026-11-30T15:00:00Z".parse().unwrap();
    let visitors: Vec<_> = (0..8_i64)
        .map(|visitor| {
            let kept = kept.clone();
            tokio::spawn(async move {
                for number in 0..200_i64 {
                    // Each visitor's clock runs over the turn, some a little ahead and back again.
                    let step = number - 100 + visitor * (number % 3);
                    let time = Timestamp::from_millisecond(turn.as_millisecond() + step).unwrap();
                    kept.record(&time.to_string(), &format!("/{visitor}/{number}/")).await.unwrap();
                }
            })
        })
        .collect();
    for visitor in visitors {
        visitor.await.unwrap();
    }
    let kept = Arc::get_mut(&mut kept).unwrap();
    let (november, december) = (kept.end("2026-11").checkpoint.size(), kept.end("2026-12").checkpoint.size());
    assert_eq!(november + december, 1600);
    assert!(november > 500 && december > 500, "{november} {december}");
}

#[tokio::test]
async fn a_month_that_cannot_be_logged_refuses_its_visits_until_it_can_be() {
    let kept = Kept::new();
    // A file stands where the month's folder should be made.
    let blocked = kept.dir.path().join("2026-11");
    fs::write(&blocked, "").unwrap();
    assert_eq!(kept.record("2026-11-07T03:00:00Z", "/lost/").await, Err(NotLogged));
    kept.record("2026-12-07T03:00:00Z", "/another-month/").await.unwrap();
    fs::remove_file(&blocked).unwrap();
    while kept.record("2026-11-07T03:00:00Z", "/again/").await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(kept.pages("2026-11"), ["/again/"]);
}

#[tokio::test]
async fn a_visit_that_is_logged_is_served_whatever_becomes_of_one_of_another_month() {
    let dir = tempdir().unwrap();
    let (mut keeper, ledger, _messages) = keeper(dir.path());
    let (november, december): (Month, Month) = ("2026-11".parse().unwrap(), "2026-12".parse().unwrap());
    let path = "/a/".parse().unwrap();
    fs::write(dir.path().join("2026-12"), "").unwrap();
    keeper.open(november, std::time::Instant::now());
    // The visits of one turn, over the end of a month and back.
    let tickets = ["2026-11-30T14:59:59Z", "2026-11-30T15:00:00Z", "2026-11-30T14:59:59Z"]
        .map(|time| ledger.record(&visit(time, &path)).at_once());
    ledger.flush();
    keeper.open(december, std::time::Instant::now());
    let [first, second, third] = tickets;
    assert_eq!((first.await, second.await, third.await), (Ok(()), Err(NotLogged), Ok(())));
    assert_eq!(JournalReader::open(month_dir(dir.path(), november)).unwrap().size(), 2);
}

#[tokio::test]
async fn a_log_goes_on_after_a_restart_and_is_closed_at_the_end() {
    let mut kept = Kept::new();
    kept.record("2026-11-07T03:00:00Z", "/before/").await.unwrap();
    kept.end("2026-11");
    assert_eq!(kept.record("2026-11-07T03:00:00Z", "/closed/").await, Err(NotLogged));
    let Kept { dir, .. } = kept;
    let mut kept = Kept::in_dir(dir);
    kept.record("2026-11-07T03:00:00Z", "/after/").await.unwrap();
    assert_eq!(kept.end("2026-11").checkpoint.size(), 2);
    assert_eq!(kept.pages("2026-11"), ["/before/", "/after/"]);
}

#[tokio::test]
async fn what_no_visit_can_be_is_not_signed_for_after_power_was_lost() {
    let mut kept = Kept::new();
    for page in ["/before/", "/later/", "/lost/"] {
        kept.record("2025-11-07T03:00:00Z", page).await.unwrap();
    }
    kept.end("2025-11");
    let Kept { dir, .. } = kept;
    // Nothing is signed for; the second entry is one of a version that is yet to come, and the last has its length and no
    // byte of its own.
    let folder = dir.path().join("2025-11");
    fs::remove_file(folder.join("checkpoint")).unwrap();
    let mut entries = fs::read(folder.join("entries")).unwrap();
    let after = |entry: usize| entry + 2 + usize::from(u16::from_be_bytes([entries[entry], entries[entry + 1]]));
    let (later, lost) = (after(0), after(after(0)));
    entries[later + 2] = CODEC + 1;
    entries[lost + 2..].fill(0);
    fs::write(folder.join("entries"), entries).unwrap();
    let mut kept = Kept::in_dir(dir);
    kept.record("2025-11-07T03:00:01Z", "/after/").await.unwrap();
    assert_eq!(kept.end("2025-11").checkpoint.size(), 3);
    let reader = JournalReader::open(&folder).unwrap();
    let kept: Vec<_> = reader.entries(0..3).unwrap().map(|entry| AccessEntry::decode(&entry.unwrap())).collect();
    let [Ok(before), Err(InvalidEntry::Codec(2)), Ok(after)] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!([before.path.as_str(), after.path.as_str()], ["/before/", "/after/"]);
}

#[tokio::test]
async fn a_checkpoint_that_is_wanted_covers_all_that_was_recorded() {
    let kept = Kept::new();
    kept.record("2026-11-07T03:00:00Z", "/a/").await.unwrap();
    // Recorded, and nobody waits for it.
    drop(kept.record("2026-11-07T03:00:00Z", "/b/"));
    let month = "2026-11".parse().unwrap();
    let note = kept.journal.checkpoint(month).await.unwrap();
    assert!(note.starts_with("nationwide/harbor-shop/2026-11\n2\n"), "{note}");
    assert!(matches!(kept.journal.checkpoint("2026-10".parse().unwrap()).await, Err(JournalError::NoMonth(_))));
    assert_eq!(kept.journal.reader(month).unwrap().size(), 2);
}

#[tokio::test]
async fn a_log_that_could_not_be_opened_is_left_alone_for_a_while_however_many_ask_for_it() {
    let dir = tempdir().unwrap();
    let (mut keeper, ledger, _messages) = keeper(dir.path());
    let (month, blocked, begun): (Month, _, _) =
        ("2026-11".parse().unwrap(), dir.path().join("2026-11"), std::time::Instant::now());
    fs::write(&blocked, "").unwrap();
    keeper.open(month, begun);
    assert_eq!(ledger.standing(), Standing::Broken(month));
    fs::remove_file(&blocked).unwrap();
    keeper.open(month, begun);
    assert!(!blocked.exists(), "it was opened again at once");
    keeper.open(month, begun + Duration::from_hours(1));
    assert!(blocked.is_dir(), "it was never opened again");
    assert_eq!(ledger.standing(), Standing::Sound);
}

#[test]
fn visits_that_waited_for_their_log_are_signed_for_though_the_checkpoint_came_first() {
    let dir = tempdir().unwrap();
    let (mut keeper, ledger, messages) = keeper(dir.path());
    let path = "/a/".parse().unwrap();
    for time in ["2026-11-07T03:00:00Z", "2026-12-07T03:00:00Z"] {
        let _ticket = ledger.record(&visit(time, &path));
    }
    // The checkpoint is due before the keeper hears that logs are to be opened.
    for message in messages.try_iter() {
        keeper.handle(message);
    }
    keeper.seal();
    assert_eq!(keeper.dirty_since, None);
    for message in messages.try_iter() {
        keeper.handle(message);
    }
    assert!(keeper.dirty_since.is_some(), "nobody signs for them until the next visit");
    keeper.seal();
    for month in ["2026-11", "2026-12"] {
        let month: Month = month.parse().unwrap();
        let (setup, folder) = (setup(dir.path()), month_dir(dir.path(), month));
        let log = verify_log(&folder, &setup.origin(month), &setup.signer.verifier()).unwrap();
        assert_eq!((log.checkpoint.size(), log.unsigned), (1, 0));
    }
}

#[tokio::test]
async fn what_a_killed_process_left_is_signed_for_when_the_next_begins() {
    let now = Timestamp::now();
    let month = Month::of(now, &setup(Path::new("")).zone).to_string();
    let mut kept = Kept::new();
    kept.record(&now.to_string(), "/a/").await.unwrap();
    kept.end(&month);
    let Kept { dir, .. } = kept;
    // As the process was killed before it signed.
    let checkpoint = dir.path().join(&month).join("checkpoint");
    fs::remove_file(&checkpoint).unwrap();
    let mut kept = Kept::in_dir(dir);
    let signed = async {
        while !checkpoint.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), signed).await.expect("nobody signs for it");
    assert_eq!(kept.end(&month).checkpoint.size(), 1);
}

#[test]
fn what_is_written_between_two_checkpoints_is_hashed_before_it_is_much() {
    let dir = tempdir().unwrap();
    let (mut keeper, ledger, messages) = keeper(dir.path());
    keeper.open("2026-11".parse().unwrap(), std::time::Instant::now());
    let path = "/a/".parse().unwrap();
    let visit = visit("2026-11-07T03:00:00Z", &path);
    let mut told = 0;
    for _ in 0..2 * HASH_AFTER - 1 {
        let _ticket = ledger.record(&visit);
        ledger.flush();
        told += messages.try_iter().filter(|message| matches!(message, Message::Hash)).count();
    }
    assert_eq!(told, 1);
    keeper.handle(Message::Hash);
    let hashes = fs::metadata(dir.path().join("2026-11/hashes-0")).unwrap().len();
    assert_eq!(hashes, 32 * (2 * HASH_AFTER - 1) as u64);
    assert!(!dir.path().join("2026-11/checkpoint").exists());
}

#[tokio::test]
async fn a_journal_that_cannot_be_opened_says_that_it_takes_no_visits_until_it_can_be() {
    let kept = Kept::new();
    let blocked = kept.dir.path().join("2026-11");
    fs::write(&blocked, "").unwrap();
    kept.journal.takes_visits().unwrap();
    assert_eq!(kept.record("2026-11-07T03:00:00Z", "/lost/").await, Err(NotLogged));
    assert!(matches!(kept.journal.takes_visits(), Err(JournalError::NotTaken(_))));
    fs::remove_file(&blocked).unwrap();
    // No visit comes where nobody is sent: asking is enough.
    while kept.journal.takes_visits().is_err() {
        tokio::task::yield_now().await;
    }
    kept.record("2026-11-07T03:00:00Z", "/again/").await.unwrap();
}

#[tokio::test]
async fn a_month_that_is_over_is_answered_for_without_opening_its_log() {
    let mut kept = Kept::new();
    let (month, other): (Month, Month) = ("2025-11".parse().unwrap(), "2025-12".parse().unwrap());
    for time in ["2025-11-07T03:00:00Z", "2025-12-07T03:00:00Z"] {
        kept.record(time, "/a/").await.unwrap();
    }
    kept.end("2025-11");
    let Kept { dir, .. } = kept;
    // An entry of one month was written and not signed for, as a crash leaves it.
    let entries = dir.path().join("2025-12/entries");
    let twice = fs::read(&entries).unwrap().repeat(2);
    fs::write(&entries, twice).unwrap();
    let stored = fs::read_to_string(dir.path().join("2025-11/checkpoint")).unwrap();
    let kept = Kept::in_dir(dir);
    assert_eq!(kept.journal.checkpoint(month).await.unwrap(), stored);
    let (copy, setup) = (tempdir().unwrap(), setup(kept.dir.path()));
    let entries = JournalReader::open(kept.dir.path().join("2025-11")).unwrap().entries(0..1).unwrap();
    let mut mirror = Mirror::open(copy.path()).unwrap();
    mirror.take(&entries.map(Result::unwrap).collect::<Vec<_>>()).unwrap();
    mirror.confirm(stored.as_bytes(), &setup.origin(month), &setup.signer.verifier()).unwrap();
    let cosigner = Cosigner::from_seed("nationwide", &[2; 32]).unwrap();
    let receipt = mirror.cosign(&cosigner, "2025-12-01T00:00:00Z".parse().unwrap()).unwrap();
    assert!(kept.journal.keep_cosigned(month, stored).await.is_err(), "what main did not cosign was kept");
    for _ in 0..2 {
        kept.journal.keep_cosigned(month, receipt.clone()).await.unwrap();
    }
    assert_eq!(fs::read_to_string(kept.dir.path().join("2025-11/cosigned")).unwrap(), receipt);
    let nothing = kept.journal.keep_cosigned("2024-01".parse().unwrap(), receipt).await;
    assert!(matches!(nothing, Err(JournalError::NoMonth(_))), "{nothing:?}");
    assert!(kept.journal.ledger.is_at_rest(month), "its log was opened");
    let signed = kept.journal.checkpoint(other).await.unwrap();
    assert!(signed.starts_with("nationwide/harbor-shop/2025-12\n2\n"), "{signed}");
    kept.record("2025-11-07T03:00:00Z", "/late/").await.unwrap();
    let late = kept.journal.checkpoint(month).await.unwrap();
    assert!(late.starts_with("nationwide/harbor-shop/2025-11\n2\n"), "{late}");
}
