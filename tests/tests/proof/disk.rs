//! Real disks that take nothing: a file system that is full, and one that may not be written.
//!
//! The daemon runs in a mount namespace of its own with a small file system in memory as its state folder. Where the
//! system does not let an ordinary user make one, the tests say so and end.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tieup_protocol::wire::PartnerStatus;
use tieup_tests::child::{Process, Program};
use tieup_tests::world::Halted;
use tieup_tests::{Contract, World, assert_says, told};
use tieup_tests::{marked, raw};

/// Makes the state folder a file system of 64 MB with what was in it, and becomes the daemon.
pub(crate) const SMALL: &str = r#"mkdir "$0.small" && mount -t tmpfs -o size=64m,mode=700 small "$0.small" &&
    cp -a "$0/." "$0.small/" && mount --move "$0.small" "$0" && exec "$@""#;

/// Lets nothing be written where content lies, and becomes the daemon.
const READ_ONLY: &str = r#"mount --bind "$0/blobs" "$0/blobs" && mount -o remount,bind,ro "$0/blobs" && exec "$@""#;

/// Lets nothing be written where visits are logged, and becomes the daemon.
const JOURNAL_READ_ONLY: &str =
    r#"mount --bind "$0/journal" "$0/journal" && mount -o remount,bind,ro "$0/journal" && exec "$@""#;

/// How long something that happens by itself may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A partner whose daemon runs in a namespace.
struct Shop {
    world: World,
    halted: Halted,
}

impl Shop {
    async fn open() -> Self {
        let mut world = marked::start(Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#)).await;
        world.go_live("north").await;
        let halted = world.halt("north").await;
        Self { world, halted }
    }

    fn start(&self, script: &str) -> (Program, Process) {
        start_behind(&self.halted, script)
    }

    async fn refused(&self) -> String {
        let refused = self.world.try_publish("north").await;
        told(&refused.expect_err("a disk that takes nothing took a release"))
    }

    fn mark(&self) -> u64 {
        marked::look(self.halted.public).unwrap_or_else(|error| panic!("{error}")).mark
    }
}

/// Starts the daemon behind what the shell does with its state folder.
pub(crate) fn start_behind(halted: &Halted, script: &str) -> (Program, Process) {
    let state = halted.config.state.display().to_string();
    let binary = env!("CARGO_BIN_EXE_syncd-to-kill").to_owned();
    let words = ["unshare", "-Urm", "sh", "-c", script, &state];
    let command = words.into_iter().map(str::to_owned).chain([binary]).collect();
    let program = Program { command, ..Program::new("", halted) };
    let mut process = program.start();
    let seen = format!("/proc/{}/root", process.id());
    process.reach_by(PathBuf::from(format!("{seen}{}", halted.config.control_socket().display())));
    (program, process)
}

/// Whether this user may make a namespace with a file system in it.
pub(crate) fn is_permitted() -> bool {
    let made = Command::new("unshare").args(["-Urm", "sh", "-c", "mount -t tmpfs none /mnt"]).output();
    let is_permitted = made.as_ref().is_ok_and(|output| output.status.success());
    if !is_permitted {
        println!("not tried: no file system of its own can be made here: {made:?}");
    }
    is_permitted
}

/// What the partner says of its releases, times aside.
fn releases(status: &PartnerStatus) -> Vec<(u64, &'static str)> {
    status.releases.iter().map(|release| (release.version.get(), release.state.word())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_full_disk_is_refused_with_its_reason_and_works_once_there_is_room() {
    if !is_permitted() {
        return;
    }
    let shop = Shop::open().await;
    let (_, process) = shop.start(SMALL);
    let state = PathBuf::from(format!("/proc/{}/root{}", process.id(), shop.halted.config.state.display()));
    let (live, before) = (fs::read(state.join("live.json")).unwrap(), process.status());
    let filler = state.join("filler");
    let mut file = File::create(&filler).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    drop(file);
    marked::write_release(&shop.world, 2);
    assert_says(&shop.refused().await, &["the partner's disk is full", "hint: make room on its disk"]);
    assert_eq!(fs::read(state.join("live.json")).unwrap(), live, "the live document");
    assert_eq!(releases(&process.status()), releases(&before));
    fs::remove_file(&filler).unwrap();
    assert_eq!(shop.mark(), 1);
    shop.world.try_publish("north").await.unwrap_or_else(|error| panic!("with room: {}", told(&error)));
    assert_eq!(shop.mark(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_disk_that_may_not_be_written_is_refused_with_its_reason() {
    if !is_permitted() {
        return;
    }
    let shop = Shop::open().await;
    let (program, mut process) = shop.start(READ_ONLY);
    let live = fs::read(shop.halted.config.state.join("live.json")).unwrap();
    let before = process.status();
    marked::write_release(&shop.world, 2);
    let says = ["the partner's daemon may not write to its state folder", "hint: let it write there"];
    assert_says(&shop.refused().await, &says);
    assert_eq!(fs::read(shop.halted.config.state.join("live.json")).unwrap(), live, "the live document");
    assert_eq!(releases(&process.status()), releases(&before));
    assert_eq!(shop.mark(), 1);
    process.kill();
    let program = Program { command: vec![env!("CARGO_BIN_EXE_syncd-to-kill").to_owned()], ..program };
    let _process = program.start();
    shop.world.try_publish("north").await.unwrap_or_else(|error| panic!("once it may: {}", told(&error)));
    assert_eq!(shop.mark(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_of_a_disk_on_which_nothing_can_be_logged_are_refused_until_it_can() {
    if !is_permitted() {
        return;
    }
    let shop = Shop::open().await;
    let admin = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap().local_addr().unwrap();
    let text = fs::read_to_string(&shop.halted.config_file).unwrap() + &format!("admin: {admin}\n");
    fs::write(&shop.halted.config_file, text).unwrap();
    let (program, process) = shop.start(JOURNAL_READ_ONLY);
    let visit = async || raw::request(shop.halted.public, "GET", "/", &[]).await;
    let refused = visit().await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let ready = async || raw::request(admin, "GET", "/readyz", &[]).await;
    let told = ready().await;
    assert_eq!(told.status, 503);
    assert_says(&told.body, &["the journal for `lampworks` takes no entries", "cannot be logged"]);
    assert_says(&program.logged(), &["the journal could not be opened", "Read-only file system"]);
    let journal = shop.halted.config.state.join("journal");
    assert_eq!(fs::read_dir(&journal).unwrap().count(), 0, "something was written");
    let mut remount = Command::new("nsenter");
    remount.args(["-U", "-m", "--preserve-credentials", "-t", &process.id().to_string()]);
    let remounted = remount.args(["mount", "-o", "remount,bind,rw"]).arg(&journal).output().unwrap();
    assert!(remounted.status.success(), "{remounted:?}");
    let began = Instant::now();
    // Nobody is sent to a daemon that is not ready: it must find out by itself.
    while ready().await.status != 200 {
        assert!(began.elapsed() < PATIENCE, "it is never ready again:\n{}", program.logged());
    }
    assert_eq!(visit().await.status, 200);
}
