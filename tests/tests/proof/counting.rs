//! Processes that share counting: each day of each journal is counted once, whoever dies over it, and results are those of
//! one process.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tieup_hub::config::Config;
use tieup_hub::counting::Scope;
use tieup_hub::database::{PartnerRow, ReleaseRow};
use tieup_hub::partners::Hub;
use tieup_protocol::access::{AccessEntry, AgentClass, Method, Purpose, ReferrerClass, VisitorToken};
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::contract::MeterClass;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::joining::Reach;
use tieup_protocol::path::SitePath;
use tieup_protocol::period::Month;
use tieup_store::journal::{JournalWriter, LogSigner, Mirror, Origin, month_dir};
use tieup_tests::hearing::Hearing;
use tieup_tests::journal::files_below;
use tieup_tests::postgres::{new_database, run_sql};
use tieup_tests::world::MAIN;
use tieup_tests::{Contract, assert_says};
use tieup_web::listener::Shutdown;

/// Whose journals were collected.
const PARTNERS: [&str; 4] = ["east", "north", "south", "west"];

/// How many pairs of visits each journal has, how far they are from each other, and on how many days that is.
const PAIRS: i64 = 3_750;
const STEP: SignedDuration = SignedDuration::from_millis(115_200);
const DAYS: usize = 6;

/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long the server may take to carry out what a stopped process has sent it.
const ARRIVAL: Duration = Duration::from_millis(300);

/// A hub whose journals were collected and not counted, with nobody running.
struct Stock {
    folder: TempDir,
}

/// A process that counts, or a hub, killed when it is dropped.
struct Counter {
    child: Child,
    said: Hearing,
    complained: Hearing,
}

fn november() -> Month {
    "2026-11".parse().unwrap()
}

/// Visits in pairs: the same page twice within 20 seconds, which is one view. The last pair of each day begins before midnight
/// in Tokyo and ends after it.
fn visits(seed: i64) -> Vec<Vec<u8>> {
    let begin = november().start(&"Asia/Tokyo".parse().unwrap()) + SignedDuration::from_secs(105);
    let of = |number: i64| {
        let (pair, second) = (number / 2, i32::try_from(number % 2).unwrap());
        let visitor = u8::try_from((pair * seed) % 37).unwrap();
        let class = if pair % 3 == 0 { MeterClass::Original } else { MeterClass::Tieup };
        AccessEntry {
            time: begin + STEP * i32::try_from(pair).unwrap() + SignedDuration::from_secs(20) * second,
            class: Some(class),
            method: Method::Get,
            status: 200,
            bytes: 1_000 + u64::try_from(number % 7).unwrap(),
            purpose: Purpose::Document,
            visitor: VisitorToken([visitor; 16]),
            agent: AgentClass::Desktop,
            robot: 0,
            referrer: ReferrerClass::None,
            path: format!("/page-{}/", pair % 11).parse::<SitePath>().unwrap(),
        }
        .encode()
    };
    (0..2 * PAIRS).map(of).collect()
}

fn signer(name: &str, seed: i64) -> LogSigner {
    LogSigner::from_seed(name, &[u8::try_from(seed).unwrap(); 32]).unwrap()
}

/// Puts a journal with these visits where main keeps what it has collected and cosigned of this partner.
fn collect(hub: &Hub, partner: &PartnerRow, key: LogSigner, visits: &[Vec<u8>]) {
    let dir = month_dir(&hub.mirrors(partner), november());
    fs::create_dir_all(&dir).unwrap();
    let origin = Origin::new(&hub.config.main, &partner.id, november());
    let mut writer = JournalWriter::open(&dir, origin, key).unwrap();
    writer.append(visits).unwrap();
    writer.checkpoint().unwrap();
    drop(writer);
    Mirror::open(&dir).unwrap().cosign(&hub.keys.cosigner().unwrap(), Timestamp::now()).unwrap();
}

impl Stock {
    /// A hub of which nothing was counted yet, with its database at `database`, or in its file where that is empty.
    async fn new(database: &str) -> Self {
        let stock = Self { folder: tempfile::tempdir().unwrap() };
        let database = if database.is_empty() { String::new() } else { format!("database: {database}\n") };
        let text =
            format!("main: {MAIN}\nthemes: themes\nstate: state\njoin: 127.0.0.1:0\npublic: 127.0.0.1:0\n{database}");
        fs::write(stock.config(), text).unwrap();
        let hub = Hub::create(Config::load(&stock.config()).unwrap()).await.unwrap();
        for (seed, name) in (1..).zip(PARTNERS) {
            stock.add(&hub, name, seed).await;
        }
        stock
    }

    /// A hub of the same database and keys with a state folder of its own, which has collected the same journals.
    fn beside(&self) -> Self {
        let other = Self { folder: tempfile::tempdir().unwrap() };
        fs::copy(self.config(), other.config()).unwrap();
        let (from, to) = (self.folder.path().join("state"), other.folder.path().join("state"));
        fs::create_dir(&to).unwrap();
        let copied =
            Command::new("cp").arg("-r").args([from.join("keys"), from.join("journals")]).arg(to).status().unwrap();
        assert!(copied.success());
        other
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("tieup.yaml")
    }

    /// A partner that has joined and approved a release, and whose journal main has collected and cosigned.
    async fn add(&self, hub: &Hub, name: &str, seed: i64) {
        let id: SiteId = name.parse().unwrap();
        let key = signer(name, seed);
        let row = PartnerRow {
            id: id.clone(),
            address: Reach::Line,
            journal_key: key.verifier().to_string(),
            earlier_keys: Vec::new(),
            compare_code: String::new(),
            joined: Timestamp::UNIX_EPOCH,
            revoked: None,
        };
        hub.database.put_partner(&row).await.unwrap();
        let release = ReleaseRow {
            version: ReleaseVersion::FIRST,
            contract: Contract::inherited().text(name),
            state: ReleaseState::Live.word().to_owned(),
            detail: String::new(),
            since: Timestamp::UNIX_EPOCH,
        };
        hub.database.add_release(&id, &release, None).await.unwrap();
        collect(hub, &row, key, &visits(seed));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
        command.arg("--config").arg(self.config()).args(arguments).stdin(Stdio::null());
        command
    }

    fn count(&self) -> Counter {
        self.start(&["log", "count"])
    }

    fn hub(&self) -> Counter {
        self.start(&["hub"])
    }

    fn start(&self, arguments: &[&str]) -> Counter {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let said = Hearing::of(child.stdout.take().unwrap(), PATIENCE);
        let complained = Hearing::of(child.stderr.take().unwrap(), PATIENCE);
        Counter { child, said, complained }
    }

    /// Every rollup, by its place in the folder of rollups.
    fn rollups(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let folder = self.folder.path().join("state/rollups");
        let below = |(file, bytes): (PathBuf, Vec<u8>)| (file.strip_prefix(&folder).unwrap().to_owned(), bytes);
        files_below(&folder).into_iter().map(below).collect()
    }
}

impl Counter {
    /// All that it says from now on, once it has ended well.
    fn ends(mut self) -> Vec<String> {
        let (said, complaints) = (self.said.rest(), self.complained.rest());
        assert!(self.ended().success(), "{said:?}\n{}", complaints.join("\n"));
        said
    }

    /// How it ended; it must have by then.
    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one process makes of the same journals.
async fn by_one_process() -> BTreeMap<PathBuf, Vec<u8>> {
    let alone = Stock::new("").await;
    let said = alone.count().ends();
    let days = PARTNERS.len() * DAYS;
    assert_eq!(said.len(), days + 1, "{said:?}");
    assert_says(&said[days], &["All is counted: 30000 entries of 24 days here."]);
    let rollups = alone.rollups();
    assert_eq!(rollups.len(), PARTNERS.len());
    rollups
}

/// The days that a process said it has counted, with how many entries.
fn counted(said: &[String]) -> Vec<(String, u64)> {
    let of = |line: &String| {
        let (day, rest) = line.split_once(": ")?;
        Some((day.to_owned(), rest.strip_suffix(" entries were counted")?.parse().unwrap()))
    };
    said.iter().filter_map(of).collect()
}

fn until(is_so: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_count_each_day_once_and_one_that_is_killed_loses_nothing() {
    let address = new_database();
    let stock = Stock::new(&address).await;
    let claims = || {
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND state LIKE 'idle in transaction%'";
        run_sql(&address, open)
    };
    let first = stock.count();
    // Stopped while it holds the claim on a day. One that is stopped between two days goes on for a while.
    let mut said = vec![first.said.line().unwrap()];
    loop {
        first.signal("STOP");
        // What it had sent before is carried out all the same: what still stands then is what it holds.
        std::thread::sleep(ARRIVAL);
        if claims() == "1" {
            break;
        }
        first.signal("CONT");
        said.push(first.said.line().unwrap());
    }
    let others = [stock.count(), stock.count()];
    let left = || run_sql(&address, "SELECT string_agg(DISTINCT partner, ' ') FROM counting WHERE counted IS NULL");
    until(|| !left().contains(' '), "the end of what the others can count");
    let (held, before) = (left(), run_sql(&address, "SELECT count(*) FROM counting WHERE counted IS NULL"));
    assert_eq!(run_sql(&address, "SELECT count(*) FROM counting"), "24");
    assert_ne!((held.as_str(), before.as_str()), ("", "0"), "the others counted what was claimed");

    first.signal("KILL");
    for other in others {
        said.extend(other.ends());
    }
    // What the killed one said before it was stopped, and nobody has read.
    said.extend(first.said.rest());
    let mut told = counted(&said);
    told.sort();
    let mut days: Vec<&String> = told.iter().map(|(day, _)| day).collect();
    days.dedup();
    assert_eq!(days.len(), told.len(), "a day was counted twice: {told:?}");
    let record = "SELECT count(*) || ' ' || min(times) || ' ' || max(times) FROM counting";
    assert_eq!(run_sql(&address, record), "24 1 1");
    // The first counted a day before it was stopped, and left some. Whether both others came to count is up to the machine.
    let counters = run_sql(&address, "SELECT count(DISTINCT counter) FROM counting");
    assert!(["2", "3"].contains(&counters.as_str()), "{counters} processes counted");
    let gaps = "SELECT count(*) FROM counting AS one WHERE begun > 0 AND NOT EXISTS (SELECT 1 FROM counting AS other \
                WHERE other.partner = one.partner AND other.entries = one.begun)";
    assert_eq!(run_sql(&address, gaps), "0", "a day was not begun where the day before ended");
    assert_eq!(stock.rollups(), by_one_process().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_share_a_file_count_each_day_once_as_well() {
    let stock = Stock::new("").await;
    let both = [stock.count(), stock.count()];
    let said: Vec<String> = both.into_iter().flat_map(Counter::ends).collect();
    let mut told = counted(&said);
    told.sort();
    let entries: u64 = told.iter().map(|(_, entries)| entries).sum();
    let days = told.iter().map(|(day, _)| day).collect::<std::collections::BTreeSet<_>>();
    assert_eq!((days.len(), told.len(), entries), (24, 24, 30_000), "{told:?}");
    assert_eq!(stock.rollups(), by_one_process().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_are_lost_are_counted_again_and_what_is_counted_is_left_alone() {
    let stock = Stock::new("").await;
    stock.count().ends();
    let good = stock.rollups();
    assert_eq!(stock.count().ends(), ["All is counted: 0 entries of 0 days here."]);
    let lost = stock.folder.path().join("state/rollups/north");
    fs::remove_dir_all(lost).unwrap();
    let said = stock.count().ends();
    assert_says(said.last().unwrap(), &["All is counted: 7500 entries of 6 days here."]);
    assert!(said[..DAYS].iter().all(|line| line.starts_with("north 2026-11-0")), "{said:?}");
    assert_eq!(stock.rollups(), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_another_took_the_place_of_is_counted_though_it_is_shorter() {
    let stock = Stock::new("").await;
    stock.count().ends();
    let hub = Hub::open(Config::load(&stock.config()).unwrap()).await.unwrap();
    let north = hub.partner(&"north".parse().unwrap()).await.unwrap();
    fs::remove_dir_all(hub.mirrors(&north)).unwrap();
    collect(&hub, &north, signer("north", 2), &visits(2)[..2_000]);
    // The days that were counted of the other one, and that end beyond this one, are no longer there; the others stand.
    assert_says(stock.count().ends().last().unwrap(), &["All is counted: 2000 entries of 1 days here."]);
    assert_eq!(stock.count().ends(), ["All is counted: 0 entries of 0 days here."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs_with_state_folders_of_their_own_leave_each_others_counts_alone() {
    let one = Stock::new(&new_database()).await;
    let other = one.beside();
    let all = |said: Vec<String>| said.last().unwrap().clone();
    assert_says(&all(one.count().ends()), &["30000 entries of 24 days here."]);
    let good = one.rollups();
    assert_says(&all(other.count().ends()), &["30000 entries of 24 days here."]);
    assert_eq!(other.rollups(), good);
    // What one loses the other has not lost.
    fs::remove_dir_all(other.folder.path().join("state/rollups/north")).unwrap();
    assert_eq!(one.count().ends(), ["All is counted: 0 entries of 0 days here."]);
    assert_says(&all(other.count().ends()), &["7500 entries of 6 days here."]);
    assert_eq!(other.rollups(), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_told_to_stop_claims_no_further_day() {
    for address in [new_database(), String::new()] {
        let stock = Stock::new(&address).await;
        let hub = Hub::open(Config::load(&stock.config()).unwrap()).await.unwrap();
        for name in PARTNERS {
            let partner = hub.partner(&name.parse().unwrap()).await.unwrap();
            hub.plan_counting(&partner, november()).await.unwrap();
        }
        let (shutdown, mut days) = (Shutdown::new(), 0);
        let tell = &mut |_| {
            days += 1;
            shutdown.begin();
        };
        hub.share_counting(&Scope::default(), &shutdown, tell).await.unwrap();
        assert_eq!(days, 1);
        // The others are counted by whoever comes next.
        let said = stock.count().ends();
        assert_says(said.last().unwrap(), &[" entries of 23 days here."]);
    }
}

/// A site of one page.
fn write_site(folder: &Path) {
    for (file, text) in [
        ("site.yaml", "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\n"),
        ("content/_index.md", "---\ntitle: Lamps\n---\n"),
        ("themes/plain/theme.yaml", "name: plain\napi: 1\nslots: [nav]\n"),
        ("themes/plain/templates/index.html", "<h1>{{ page.title }}</h1>"),
        ("themes/plain/templates/page.html", "{% extends \"index.html\" %}"),
        ("themes/plain/templates/section.html", "{% extends \"index.html\" %}"),
        ("themes/plain/templates/404.html", "{% extends \"index.html\" %}"),
    ] {
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hubs_of_one_database_one_pushes_and_the_other_counts() {
    for address in [new_database(), String::new()] {
        let stock = Stock::new(&address).await;
        write_site(stock.folder.path());
        let mut first = stock.hub();
        first.said.until("Serving the main site on");
        let watching = stock.command(&["publish", "--watch"]).output().unwrap();
        assert_eq!(watching.status.code(), Some(1));
        assert_says(&String::from_utf8_lossy(&watching.stderr), &["another hub of `lampworks` pushes already"]);
        let second = stock.hub();
        second.said.until("this one takes part in counting alone");
        // Planned by somebody who does not count: the second hub does.
        let opened = Hub::open(Config::load(&stock.config()).unwrap()).await.unwrap();
        let north = opened.partner(&"north".parse().unwrap()).await.unwrap();
        opened.plan_counting(&north, november()).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !opened.due_counting().await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "nobody counts");
        }
        assert_eq!(stock.rollups().len(), 1);
        // One that began while the lock of one that is gone still stood pushes when it is free.
        first.signal("KILL");
        first.ended();
        second.said.until("The other hub is gone: this one pushes now.");
        second.said.until("Serving the main site on");
        let mut third = stock.hub();
        third.said.until("this one takes part in counting alone");
        third.signal("TERM");
        assert!(third.ended().success());
    }
}

/// The database at `address`, whose server lets somebody in or nobody. Who is in already stays.
fn let_in(address: &str, is_open: &str) {
    let name = address.strip_prefix("postgres:///").and_then(|rest| rest.split('?').next()).unwrap();
    run_sql(&new_database(), &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {is_open}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hub_outlasts_a_server_that_lets_nobody_in_and_ends_when_it_is_told_to_meanwhile() {
    let address = new_database();
    let stock = Stock::new(&address).await;
    write_site(stock.folder.path());
    let mut first = stock.hub();
    first.said.until("Serving the main site on");
    let others = [stock.hub(), stock.hub()];
    for other in &others {
        other.said.until("this one takes part in counting alone");
    }
    let_in(&address, "false");
    for other in &others {
        other.complained.until("the database did not let this hub in: it is asked again in 4 s");
    }
    let [mut second, mut third] = others;
    third.signal("TERM");
    assert!(third.ended().success());
    let_in(&address, "true");
    first.signal("KILL");
    first.ended();
    second.said.until("The other hub is gone: this one pushes now.");
    second.said.until("Serving the main site on");
    second.signal("TERM");
    assert!(second.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_of_one_main_site_and_of_its_keys() {
    for server in [true, false] {
        let address = if server { new_database() } else { String::new() };
        let stock = Stock::new(&address).await;
        let state = stock.folder.path().join("state");
        let told = |main: &str| {
            let text = fs::read_to_string(stock.config()).unwrap();
            fs::write(stock.config(), text.replacen("main: lampworks", &format!("main: {main}"), 1)).unwrap();
            fs::rename(state.join("keys"), state.join(format!("keys-before-{main}"))).unwrap();
            tieup_hub::keys::KeyFolder::new(&state, &main.parse().unwrap()).create().unwrap();
            let ran = stock.command(&["partner", "list"]).output().unwrap();
            fs::write(stock.config(), text).unwrap();
            assert_eq!(ran.status.code(), Some(1));
            String::from_utf8(ran.stderr).unwrap()
        };
        assert_says(&told("otherworks"), &["belongs to the main site `lampworks`, and this is `otherworks`"]);
        assert_says(&told("lampworks"), &["belongs to a main site `lampworks` with other keys", "copy the keys"]);
    }
}
