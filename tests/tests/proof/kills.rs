//! SIGKILL at random moments: while a release arrives, is approved, goes live or is rolled back, while what nothing
//! needs any more is swept, while originals are merged, and while the daemon starts.
//!
//! `TIEUP_KILLS=1000 cargo test -p tieup-tests --test proof kills -- --nocapture` kills so often; `TIEUP_SEED` repeats
//! a run.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;
use tieup_hub::publish::Rejected;
use tieup_protocol::approval::ReleaseState;
use tieup_store::audit::AuditTrail;
use tieup_syncd::control::{Answer, Command};
use tieup_tests::child::{self, Process, Program};
use tieup_tests::keep_alive::KeepAlive;
use tieup_tests::marked::{self, Seen};
use tieup_tests::world::{Halted, site_id};
use tieup_tests::{Contract, World};

use crate::setting;

/// How often the daemon is killed unless `TIEUP_KILLS` says otherwise.
const KILLS: u64 = 40;

/// How many kills one world sees; then another begins, under the other way of approving.
const KILLS_A_WORLD: u64 = 125;

/// What is under way when the daemon is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Under {
    /// A release arrives, is staged and goes live.
    Publishing,
    /// A release has gone live, and those that it leaves behind are swept.
    Sweeping,
    /// The operator goes back to the release before.
    RollingBack,
    /// The partner's own page is merged anew.
    Merging,
    /// The daemon starts.
    Starting,
}

/// A partner whose daemon is a process.
struct Shop {
    world: World,
    halted: Halted,
    program: Program,
    process: Process,
    mark: u64,
    note: u64,
    /// How long each action takes where nobody is killed.
    takes: BTreeMap<Under, Duration>,
    visitor: Visitor,
}

/// A visitor who asks for pages all the time.
struct Visitor {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

/// What harness and visitor tell each other.
#[derive(Default)]
struct Shared {
    /// Whether the daemon serves, or the visitor is to go home.
    state: Mutex<Opening>,
    changed: Condvar,
    /// How many steps were begun that may switch the site.
    switches: AtomicU64,
    visits: AtomicU64,
    /// The first mixture that was seen.
    mixture: Mutex<Option<String>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Opening {
    #[default]
    Closed,
    Open,
    Over,
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_is_killed_the_site_is_wholly_of_one_release_and_the_next_push_works() {
    let kills = setting("TIEUP_KILLS").unwrap_or(KILLS);
    let seed = setting("TIEUP_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, TIEUP_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let (began, mut found, mut visits) = (Instant::now(), BTreeMap::new(), 0);
    let mut left = kills;
    for number in 0.. {
        let here = left.min(if kills <= KILLS_A_WORLD { kills.div_ceil(2) } else { KILLS_A_WORLD });
        if here == 0 {
            break;
        }
        let contract = Contract::inherited();
        let contract = if number % 2 == 0 { contract } else { contract.auto(r#"[{paths: "/**", only: any}]"#) };
        let mut shop = Shop::open(contract).await;
        for _ in 0..here {
            let outcome = shop.kill_once(&mut rng).await;
            *found.entry(outcome).or_insert(0_u64) += 1;
        }
        visits += shop.close().await;
        left -= here;
    }
    println!("after {kills} kills in {:?}, TIEUP_SEED={seed}: {visits} visits, no mixture", began.elapsed());
    for ((under, what), times) in found {
        println!("  {times:5} {under:?}: {what}");
    }
}

impl Shop {
    /// Two releases have been live, and how long each action takes is known.
    async fn open(contract: Contract) -> Self {
        let mut world = marked::start(contract).await;
        world.reconfigure("north", "guard: {grace_hours: 0}\n").await;
        let halted = world.halt("north").await;
        let program = Program::new(env!("CARGO_BIN_EXE_syncd-to-kill"), &halted);
        let process = program.start();
        let visitor = Visitor::start(halted.public);
        let takes = BTreeMap::new();
        let mut shop = Self { world, halted, program, process, mark: 1, note: 1, takes, visitor };
        shop.publish().await;
        shop.visitor.shared.set(Opening::Open);
        for under in [Under::Publishing, Under::RollingBack, Under::Merging] {
            shop.prepare(under);
            let began = Instant::now();
            shop.act(under).await;
            shop.takes.insert(under, began.elapsed());
        }
        // Sweeping begins when the release has gone live, and takes less than all that came before.
        shop.takes.insert(Under::Sweeping, shop.takes[&Under::Publishing]);
        // The newest is served, so that a rollback goes to an older one.
        shop.publish_next().await;
        shop.restart(None);
        shop
    }

    /// Kills the daemon once, starts it again, looks at everything, and lets the next push through.
    async fn kill_once(&mut self, rng: &mut Rng) -> (Under, &'static str) {
        let under = match rng.u8(0..10) {
            0..5 => Under::Publishing,
            5 => Under::Sweeping,
            6 => Under::RollingBack,
            7 | 8 => Under::Merging,
            _ => Under::Starting,
        };
        let before = self.seen();
        self.prepare(under);
        let takes = self.takes.get(&under).copied().unwrap_or_default();
        let after = takes.mul_f64(rng.f64() * 1.1);
        self.visitor.shared.set(Opening::Open);
        self.killed_while(under, after).await;
        let was = self.restart_and_look(under, before);
        if under == Under::Publishing {
            self.publish().await;
        } else {
            self.publish_next().await;
        }
        self.settle_originals();
        let now = self.seen();
        assert_eq!((now.mark, now.note), (self.mark, self.note), "after the push that followed");
        self.check_records();
        (under, was)
    }

    /// Writes what the action will find.
    fn prepare(&mut self, under: Under) {
        self.visitor.shared.switches.fetch_add(1, Ordering::SeqCst);
        match under {
            Under::Publishing | Under::Sweeping => {
                self.mark += 1;
                marked::write_release(&self.world, self.mark);
            }
            Under::Merging => self.note += 1,
            Under::RollingBack | Under::Starting => {}
        }
    }

    /// Does the action to its end.
    async fn act(&self, under: Under) {
        match under {
            Under::Publishing | Under::Sweeping => self.publish().await,
            Under::RollingBack => drop(child::ask(&self.program.socket, &Command::RollBack { version: None })),
            Under::Merging => {
                marked::write_original(&self.halted.config.site, self.note);
                self.settle_originals();
            }
            Under::Starting => {}
        }
    }

    /// Begins the action and kills the daemon a while later.
    async fn killed_while(&mut self, under: Under, after: Duration) {
        let socket = self.program.socket.clone();
        match under {
            Under::Publishing => {
                let site = self.world.site();
                let push = async {
                    let _ = self.world.hub().publish(&site, &[site_id("north")], Rejected::Skip).await;
                    tokio::task::block_in_place(|| approve_open(&socket));
                };
                tokio::join!(push, kill_later(&mut self.process, after));
            }
            Under::Sweeping => {
                self.publish().await;
                kill_later(&mut self.process, after).await;
            }
            Under::RollingBack => {
                let back =
                    tokio::task::spawn_blocking(move || child::ask(&socket, &Command::RollBack { version: None }));
                kill_later(&mut self.process, after).await;
                let _ = back.await;
            }
            Under::Merging => {
                marked::write_original(&self.halted.config.site, self.note);
                kill_later(&mut self.process, after).await;
            }
            Under::Starting => {
                self.process.kill();
                self.process = self.program.spawn();
                kill_later(&mut self.process, after).await;
            }
        }
        self.visitor.shared.set(Opening::Closed);
    }

    fn restart(&mut self, under: Option<Under>) {
        if under.is_none() {
            self.process.kill();
        }
        let began = Instant::now();
        self.process = self.program.start();
        self.takes.insert(Under::Starting, began.elapsed());
    }

    /// The site after the restart is that of before or that of after the action; which one, in words.
    fn restart_and_look(&mut self, under: Under, before: Seen) -> &'static str {
        self.restart(Some(under));
        let seen = self.seen();
        self.check_records();
        let (went_back, went_on) = (seen.mark < before.mark, seen.mark == self.mark && seen.mark != before.mark);
        let allowed = match under {
            Under::Publishing => seen.mark == before.mark || went_on,
            Under::Sweeping => went_on,
            Under::RollingBack => seen.mark == before.mark || went_back,
            Under::Merging | Under::Starting => seen.mark == before.mark,
        };
        assert!(allowed, "{under:?}: {seen:?} after {before:?}");
        assert!(seen.note == before.note || seen.note == self.note, "{under:?}: {seen:?} after {before:?}");
        let waits = self.process.status().releases.iter().any(|release| release.state.is_open());
        match under {
            _ if seen.mark != before.mark => "the new one was served",
            Under::Publishing if waits => "the old one was served, the new one waited",
            Under::Merging if seen.note != before.note => "the new one was served",
            _ => "the old one was served",
        }
    }

    /// What is served now, wholly.
    fn seen(&self) -> Seen {
        if let Some(mixture) = self.visitor.shared.mixture.lock().unwrap().as_ref() {
            panic!("a visitor saw a mixture: {mixture}");
        }
        marked::look(self.halted.public).unwrap_or_else(|error| panic!("{error}\n{}", self.program.logged()))
    }

    /// Records and live document agree, and the audit trail continues itself.
    fn check_records(&self) {
        let state = &self.halted.config.state;
        let live = fs::read(state.join("live.json")).unwrap();
        let live: Value = serde_json::from_slice(&live).unwrap();
        let status = self.process.status();
        let is_live =
            |release: &&_| matches!(release, tieup_protocol::approval::ReleaseRecord { state: ReleaseState::Live, .. });
        let records: Vec<u64> = status.releases.iter().filter(is_live).map(|release| release.version.get()).collect();
        assert_eq!(
            records,
            [live["version"].as_u64().unwrap()],
            "the records and live.json:\n{}",
            self.program.logged()
        );
        assert!(status.releases.iter().filter(|release| release.state.is_open()).count() <= 1, "{status:?}");
        let trail = AuditTrail::at(state.join(tieup_syncd::publisher::AUDIT)).entries();
        trail.unwrap_or_else(|error| panic!("the audit trail: {}", tieup_tests::told(&error)));
    }

    /// Publishes what the main site is now, and approves it where it waits.
    async fn publish(&self) {
        self.visitor.shared.switches.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = self.world.try_publish("north").await {
            panic!("the push: {}\n{}", tieup_tests::told(&error), self.program.logged());
        }
        approve_open(&self.program.socket);
    }

    /// Publishes one more release.
    async fn publish_next(&mut self) {
        self.mark += 1;
        marked::write_release(&self.world, self.mark);
        self.publish().await;
    }

    /// Waits until the partner's page is served as it stands in its file.
    fn settle_originals(&self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut line = KeepAlive::open(self.halted.public).unwrap();
        let path = "/local/";
        while marked::mark(path, &line.get(path).unwrap(), "note") != Ok(self.note) {
            assert!(Instant::now() < deadline, "the original was not merged:\n{}", self.program.logged());
            std::thread::yield_now();
        }
    }

    async fn close(mut self) -> u64 {
        self.process.kill();
        let log = fs::read_to_string(&self.program.log).unwrap();
        assert!(log.contains("swept"), "nothing was ever swept");
        let visits = self.visitor.end();
        self.world.stop().await;
        visits
    }
}

/// Approves the release that is open, if there is one and the daemon lives.
pub(crate) fn approve_open(socket: &Path) {
    let Ok(Answer::Status { status, .. }) = child::ask(socket, &Command::Status) else { return };
    if let Some(open) = status.releases.iter().find(|release| release.state.is_open()) {
        let approve = Command::Approve { version: open.version, manifest: open.manifest };
        // A daemon that is killed meanwhile gives no answer.
        let _ = child::ask(socket, &approve);
    }
}

async fn kill_later(process: &mut Process, after: Duration) {
    tokio::time::sleep(after).await;
    process.kill();
}

impl Visitor {
    fn start(public: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let of_thread = shared.clone();
        let thread = std::thread::spawn(move || {
            while of_thread.wait_until_open() {
                // A daemon that was killed ends the connection; the next one begins when it serves again.
                if let Ok(mut line) = KeepAlive::open(public) {
                    while of_thread.is_open() && of_thread.visit(&mut line) {}
                }
            }
        });
        Self { shared, thread }
    }

    /// Sends the visitor home: how often they came.
    fn end(self) -> u64 {
        self.shared.set(Opening::Over);
        self.thread.join().unwrap();
        if let Some(mixture) = self.shared.mixture.lock().unwrap().as_ref() {
            panic!("a visitor saw a mixture: {mixture}");
        }
        self.shared.visits.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn set(&self, opening: Opening) {
        *self.state.lock().unwrap() = opening;
        self.changed.notify_all();
    }

    fn is_open(&self) -> bool {
        *self.state.lock().unwrap() == Opening::Open
    }

    /// Whether there is a daemon to visit; false at the end.
    fn wait_until_open(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        while *state == Opening::Closed {
            state = self.changed.wait(state).unwrap();
        }
        *state == Opening::Open
    }

    /// One round over all pages on one connection: they come from one release, and from another after each switch.
    fn visit(&self, line: &mut KeepAlive) -> bool {
        let before = self.switches.load(Ordering::SeqCst);
        let Ok(found) = marked::visit(line) else { return false };
        // A switch that was begun before the visit may come within it.
        let most =
            usize::try_from(self.switches.load(Ordering::SeqCst) - before).unwrap_or(usize::MAX).saturating_add(2);
        let mixture = match found {
            Ok(runs) if runs <= most => None,
            Ok(runs) => Some(format!("{runs} changes of release within one visit, and at most {most} switches")),
            Err(mixed) => Some(mixed),
        };
        self.visits.fetch_add(1, Ordering::SeqCst);
        if mixture.is_some() {
            self.mixture.lock().unwrap().get_or_insert(mixture.unwrap_or_default());
        }
        true
    }
}
