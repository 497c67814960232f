//! Writes that fail while a partner joins and its daemon starts for the first time, while a daemon starts after a crash,
//! while its journal is collected and while its operator is told; and while a main site makes its keys.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tieup_examples::visitor::{BROWSER, Visitor};
use tieup_hub::keys::KeyFolder;
use tieup_protocol::audit::{AuditEntry, Event};
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::joining::Invitation;
use tieup_store::failing::FailingWrites;
use tieup_syncd::config::Config;
use tieup_syncd::daemon::{Besides, Daemon, Listeners, StartError};
use tieup_syncd::identity::Identity;
use tieup_syncd::prompt::{Board, Prompter, Retries, Stand};
use tieup_tests::hook::Receiver;
use tieup_tests::journal::files_below;
use tieup_tests::marked;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, told};
use tieup_web::listener::Shutdown;
use tokio::net::TcpListener;

use super::failures::{Failures, assert_named};
use super::{Shop, contract};

/// The kinds of files that are written when a partner joins, its daemon starts and the first visitor comes.
pub(super) const IN_A_JOIN: &[&str] =
    &["", "joining.json", "identity.json", "lock", "journal", "journal/N-N", "blobs", "releases"];

/// Those that are written when a daemon starts after a crash.
pub(super) const AT_THE_START: &[&str] =
    &[".tmp-N-N", "blobs/.tmp-N-N", "releases/N/.tmp-N-N", "releases/N/record.json", "audit.jsonl", "originals"];

/// Those that are written when main collects the journal.
pub(super) const IN_A_COLLECTION: &[&str] = &["journal/N-N/entries", "journal/N-N/checkpoint", "journal/N-N/cosigned"];

/// Those that are written when the operator has been told.
pub(super) const IN_A_PROMPT: &[&str] = &["prompts.json"];

/// Those that are written when a main site makes its keys.
pub(super) const IN_NEW_KEYS: &[&str] = &["keys", "keys/authority.key", "keys/root.json"];

/// How long something may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A partner that has not joined, in a folder of its own, and dials main.
fn newcomer(folder: &Path) -> Config {
    let file = folder.join("syncd.yaml");
    fs::create_dir_all(folder.join("site")).unwrap();
    fs::write(folder.join("site/site.yaml"), "title: north\nbase_url: https://north.example/\n").unwrap();
    fs::write(&file, "site: site\nstate: state\npublic: 127.0.0.1:0\ndial: main\n").unwrap();
    Config::load(&file).unwrap()
}

/// Starts the daemon of a newcomer, and lets a visitor come.
async fn start_and_visit(config: &Config) -> Result<(Daemon, u16), StartError> {
    let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = public.local_addr().unwrap();
    let daemon =
        Daemon::start(config, Listeners { public, peer: None, mains: BTreeMap::new(), besides: Besides::default() })?;
    let answer = Visitor::new(BROWSER).get(address, "/").await.unwrap();
    Ok((daemon, answer.status))
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_a_partner_joins_and_starts_the_same_token_and_another_start_finish_it() {
    let world = World::new().contract_alone("north", Contract::inherited()).start().await;
    let mut failures = Failures::of("joining");
    loop {
        let folder = world.folder().join(format!("newcomer-{}", failures.at));
        let config = newcomer(&folder);
        let invitation = world.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap();
        let laid = failures.lay(&config.state);
        join_and_start(&config, &invitation, &laid, &failures).await;
        if !failures.take(&config.state, laid) {
            break failures.end(IN_A_JOIN);
        }
        if Identity::load(&config.state).is_err() {
            let joined = Identity::join(&config.state, &invitation, &config.address).await;
            joined.unwrap_or_else(|error| panic!("the same token is worth nothing any more: {}", told(&error)));
        }
        let (daemon, status) = start_and_visit(&config).await.unwrap();
        assert_eq!(status, 404, "there is nothing yet, and it is logged");
        daemon.stop().await;
    }
}

/// Joins, starts and visits as far as that goes.
async fn join_and_start(config: &Config, invitation: &Invitation, laid: &FailingWrites, failures: &Failures) {
    if let Err(error) = Identity::join(&config.state, invitation, &config.address).await {
        return assert_named(&error, laid, &failures.said(laid));
    }
    match start_and_visit(config).await {
        Err(error) => assert_named(&error, laid, &failures.said(laid)),
        Ok((daemon, status)) => {
            let expected = if laid.failed().is_empty() { &[404][..] } else { &[404, 503] };
            assert!(expected.contains(&status), "{}: a visitor is answered {status}", failures.said(laid));
            daemon.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_a_daemon_starts_after_a_crash_the_next_start_finishes() {
    let mut shop = Shop::open(contract("{policy: ask}")).await;
    shop.world.reconfigure("north", "originals: ask\n").await;
    let mut failures = Failures::of("starting");
    loop {
        let crashed = shop.crash().await;
        let halted = shop.world.halt("north").await;
        let state = halted.config.state.clone();
        crashed.leave(&state);
        // The journal writes on a thread of its own, so that the others would not be the same ones each time.
        let laid = failures.lay_sparing(&state, &state.join("journal"));
        let halted = match shop.world.try_resume(halted).await {
            Ok(()) => {
                assert_eq!(shop.world.daemon("north").publisher().live_version(), Some(crashed.live));
                shop.world.halt("north").await
            }
            Err((error, halted)) => {
                assert_named(&error, &laid, &failures.said(&laid));
                halted
            }
        };
        let said = failures.said(&laid);
        let has_failed = failures.take(&state, laid);
        shop.world.resume(halted).await;
        shop.assert_settled(&crashed, &said);
        if !has_failed {
            return failures.end(AT_THE_START);
        }
    }
}

/// What a daemon leaves that is killed right after a release went live.
struct Crashed {
    live: ReleaseVersion,
    /// The files as they were before.
    before: Vec<(PathBuf, Vec<u8>)>,
}

impl Crashed {
    fn leave(&self, state: &Path) {
        for (path, bytes) in &self.before {
            fs::write(path, bytes).unwrap();
        }
        for folder in ["", "blobs", "releases", &format!("releases/{}", self.live)] {
            fs::write(state.join(folder).join(".tmp-0-1"), "what was begun").unwrap();
        }
        fs::create_dir_all(state.join("releases/.old-1")).unwrap();
        // What is damaged besides is made anew.
        fs::write(state.join("releases/1/record.json"), format!("damaged before release {}", self.live)).unwrap();
        // The moment between the two names of a folder that is replaced.
        fs::rename(state.join("originals"), state.join(".old-originals")).unwrap();
    }
}

impl Shop {
    /// A release goes live, and what is written after that is not.
    async fn crash(&mut self) -> Crashed {
        self.mark += 1;
        marked::write_release(&self.world, self.mark);
        self.world.publish("north").await;
        let (state, audit) = (self.world.state("north"), self.world.state("north").join("audit.jsonl"));
        let records =
            files_below(&state.join("releases")).into_iter().filter(|(path, _)| path.ends_with("record.json"));
        let mut before: Vec<_> = records.collect();
        self.approve_open();
        // The approval stands in the trail; that it took effect does not.
        let text = fs::read_to_string(&audit).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        before.push((audit, lines[..lines.len() - 1].concat().into_bytes()));
        let live = self.world.daemon("north").publisher().live_version().unwrap();
        Crashed { live, before }
    }

    /// What went live is served, the records and the trail say so, and nothing is left of what was begun.
    fn assert_settled(&self, crashed: &Crashed, said: &str) {
        assert_eq!(self.seen(said).mark, self.mark, "{said}");
        let live: Vec<_> =
            self.world.releases("north").into_iter().filter(|record| record.state.word() == "live").collect();
        assert_eq!(live.iter().map(|record| record.version).collect::<Vec<_>>(), [crashed.live], "{said}");
        let trail = self.world.daemon("north").publisher().audit_entries().unwrap();
        // What was made anew is written down after it, where the start before could not.
        let is_decision = |entry: &&AuditEntry| !matches!(entry.what, Event::DriftFound | Event::DriftRestored);
        let last = trail.iter().rev().find(is_decision).unwrap();
        assert_eq!((last.what, last.release), (Event::Live, Some(crashed.live)), "{said}");
        // What a start leaves that failed is for another process to take away.
        let first = self.world.releases("north").into_iter().find(|record| record.version == ReleaseVersion::FIRST);
        assert_eq!(first.map(|record| record.state.word()), Some("retired"), "{said}: its record is damaged");
        let left = files_below(&self.world.state("north")).into_keys();
        let left: Vec<_> = left.filter(|path| path.ends_with(".tmp-0-1")).collect();
        assert!(left.is_empty(), "{said}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_the_journal_is_collected_the_next_collection_has_every_visit() {
    let mut world =
        World::new().main_page("/about/", "We mend lamps.").contract("north", Contract::inherited()).start().await;
    world.go_live("north").await;
    let (mut failures, mut visits) = (Failures::of("collecting"), 0);
    loop {
        world.assert_shows("north", "/about/", "We mend lamps.").await;
        visits += 1;
        let journal = world.state("north").join("journal");
        let laid = failures.lay(&journal);
        // Whoever fails: a checkpoint is also made by itself, once a second.
        let collected = world.try_collect("north").await;
        let said = failures.said(&laid);
        if let Ok(collected) = collected {
            assert_eq!(collected[0].size, visits, "{said}");
        }
        let has_failed = failures.take(&world.state("north"), laid);
        world.restart("north").await;
        let collected = world.try_collect("north").await.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        assert_eq!(collected[0].size, visits, "{said}");
        if !has_failed {
            return failures.end(IN_A_COLLECTION);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_after_the_operator_was_told_they_are_told_again_rather_than_never() {
    let mut world =
        World::new().main_page("/about/", "We mend lamps.").contract("north", Contract::inherited()).start().await;
    world.publish("north").await;
    let mut failures = Failures::of("prompting");
    loop {
        let (folder, hook) = (tempfile::tempdir().unwrap(), Receiver::start(0).await);
        let laid = failures.lay(folder.path());
        prompt(&world, folder.path(), &hook).await;
        assert_eq!(hook.posted().len(), 1, "{}", failures.said(&laid));
        let has_failed = failures.take(folder.path(), laid);
        prompt(&world, folder.path(), &hook).await;
        let told = hook.posted().len();
        assert!(if has_failed { [1, 2].contains(&told) } else { told == 1 }, "told {told} times");
        prompt(&world, folder.path(), &hook).await;
        assert_eq!(hook.posted().len(), told, "what was noted is told again");
        if !has_failed {
            break failures.end(IN_A_PROMPT);
        }
    }
    world.restart("north").await;
}

/// Lets a prompter with its memory in `folder` look once at what waits, and tell `hook` of it.
async fn prompt(world: &World, folder: &Path, hook: &Receiver) {
    fs::write(folder.join("secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let file = folder.join("syncd.yaml");
    let prompts = format!("{{webhook: {{url: '{}', secret: secret}}}}", hook.url());
    fs::write(&file, format!("state: s\npublic: a:1\npeer: b:1\nprompts: {prompts}\n")).unwrap();
    let ways = Config::load(&file).unwrap().prompts;
    let parties = (site_id("lampworks"), site_id("north"));
    let before = hook.posted().len();
    let prompter = Prompter::open(parties, None, &ways, folder, Retries(Vec::new())).unwrap();
    let (board, shutdown) = (prompter.board(), Shutdown::new());
    let is_noted = fs::exists(folder.join("prompts.json")).unwrap();
    let tasks = prompter.start(&world.daemon("north").publisher().watch(), &shutdown);
    if !is_noted {
        hook.wait(before + 1).await;
        until_told(&board).await;
    }
    shutdown.begin();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn until_told(board: &Board) {
    let mut ways = board.watch();
    let told = ways.wait_for(|ways| ways.values().all(|way| matches!(way.stand, Stand::Told { .. })));
    let told = tokio::time::timeout(PATIENCE, told).await.map(drop);
    told.unwrap_or_else(|_| panic!("it came otherwise: {:?}", board.all()));
}

#[test]
fn whichever_write_fails_while_a_main_site_makes_its_keys_it_has_all_of_them_or_makes_them_anew() {
    let mut failures = Failures::of("making keys");
    loop {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyFolder::new(folder.path(), &site_id("lampworks"));
        let laid = failures.lay(folder.path());
        let made = keys.create();
        if let Err(error) = &made {
            assert_named(error, &laid, &failures.said(&laid));
        }
        let said = failures.said(&laid);
        let has_failed = failures.take(folder.path(), laid);
        if !keys.exists() {
            keys.create().unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        }
        keys.authority().unwrap();
        keys.cosigner().unwrap();
        assert_eq!(keys.signing_keys().unwrap().len(), 3, "{said}");
        let signer = keys.release_signer();
        assert!(signer.is_ok(), "{said}");
        if !has_failed {
            return failures.end(IN_NEW_KEYS);
        }
    }
}
