//! A partition: main and partner in two network namespaces of their own, joined by a pair of virtual cards, of which one is
//! taken down in the middle of a push.
//!
//! The test begins anew within a namespace, so that nothing of this machine's own network is touched. Where the system
//! does not let it make one, or `ip` is not installed, it says so and ends; with `TIEUP_NAMESPACES=1` it fails then.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tieup_hub::partners::Hub;
use tieup_hub::publish::{Outcome, Rejected};
use tieup_protocol::joining::Reach;
use tieup_tests::child::{Process, Program};
use tieup_tests::marked::{self, Seen};
use tieup_tests::world::{Halted, site_id};
use tieup_tests::{Contract, World, told};

use crate::setting;

/// The name of the test, by which it begins anew.
const TEST: &str = "partition::a_push_that_a_partition_cuts_changes_nothing_and_is_resumed";

/// Set within the namespace of the main site.
const WITHIN: &str = "TIEUP_WITHIN_NAMESPACE";

/// Makes a pair of virtual cards and a further namespace, as the test will: whether that is permitted.
const PROBE: &str = "ip link set lo up && ip link add main type veth peer name shop && unshare -n true";

/// How long something may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(3);

/// How long the hub waits for a partner that lets nothing move.
const SHORT: Duration = Duration::from_secs(5);

/// How many bytes of a push pass before the line is cut.
const BEFORE_THE_CUT: u64 = 2 << 20;

/// The addresses of the two cards.
const MAIN: &str = "10.177.0.1";
const SHOP: &str = "10.177.0.2";

/// The namespace of the partner, which lasts as long as the process that holds it.
struct Namespace(Child);

/// A partner in a namespace of its own.
struct Apart {
    world: World,
    hub: Hub,
    public: SocketAddr,
    namespace: Namespace,
    _process: Process,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_a_partition_cuts_changes_nothing_and_is_resumed() {
    if std::env::var_os(WITHIN).is_none() {
        return begin_within();
    }
    let mut apart = Apart::open().await;
    apart.gives_up_and_resumes().await;
    apart.waits_out().await;
}

/// Runs this test within a namespace of its own.
fn begin_within() {
    let attempts = ["-Urn", "-n"].map(|flags| (flags, shell(&["unshare", flags, "sh", "-c", PROBE])));
    let Some((flags, _)) = attempts.iter().find(|(_, made)| made.as_ref().is_ok_and(|made| made.status.success()))
    else {
        println!("not tried: no network of its own can be made here: {attempts:?}");
        return assert!(setting("TIEUP_NAMESPACES").is_none(), "network namespaces are required");
    };
    let test = std::env::current_exe().unwrap();
    let mut inner = Command::new("unshare");
    inner.arg(flags).arg(test).args(["--exact", TEST, "--nocapture"]).env(WITHIN, "1");
    let inner = inner.output().unwrap();
    let said = [inner.stdout, inner.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(inner.status.success() && said.contains("1 passed"), "within a namespace:\n{said}");
}

impl Apart {
    /// Release 1 is live at a partner whose daemon is then moved into a namespace.
    async fn open() -> Self {
        ip(&["link", "set", "lo", "up"]);
        let mut world = marked::start(Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#)).await;
        world.go_live("north").await;
        let halted = world.halt("north").await;
        let namespace = Namespace::joined();
        let (public, peer) = (there(halted.public), there(halted.peer.unwrap()));
        move_there(&halted, &[halted.public, halted.peer.unwrap()]);
        let mut row = world.hub().partner(&site_id("north")).await.unwrap();
        row.address = Reach::Address(peer.to_string());
        world.hub().database.put_partner(&row).await.unwrap();
        let program = Program::new(env!("CARGO_BIN_EXE_syncd-to-kill"), &halted);
        let program = Program { command: namespace.command(&program.command[0]), ..program };
        let process = program.start();
        let hub = Hub::open(world.hub().config.clone()).await.unwrap().patient_for(SHORT);
        Self { world, hub, public, namespace, _process: process }
    }

    /// The line stays cut until the hub has given up; the next push arrives once it is whole again.
    async fn gives_up_and_resumes(&mut self) {
        let before = self.seen();
        self.write(2);
        let cut = async {
            self.cut_in_the_middle().await;
            assert_eq!(self.seen(), before, "while the line is cut");
        };
        let (outcome, ()) = tokio::join!(self.push(), cut);
        let refused = outcome.expect_err("a push was told as delivered over a line that is cut");
        assert!(refused.contains("nothing came for 5 s"), "{refused}");
        assert_eq!(self.seen(), before, "when the hub had given up");
        Namespace::mend();
        self.push().await.unwrap_or_else(|error| panic!("over the line that is whole again: {error}"));
        assert_eq!(self.seen().mark, 2);
    }

    /// The line is cut and whole again before anybody has given up: the push goes on where it was.
    async fn waits_out(&mut self) {
        let before = self.seen();
        self.write(3);
        let cut = async {
            self.cut_in_the_middle().await;
            assert_eq!(self.seen(), before, "while the line is cut");
            Namespace::mend();
        };
        let push = tokio::time::timeout(PATIENCE, self.world.try_publish("north"));
        let (outcome, ()) = tokio::join!(push, cut);
        let outcome = outcome.expect("the push hangs");
        outcome.unwrap_or_else(|error| panic!("over a line that was cut for a moment: {}", told(&error)));
        assert_eq!(self.seen().mark, 3);
    }

    /// The main site becomes another, with more content than the buffers on the way take.
    fn write(&self, mark: u64) {
        marked::write_release(&self.world, mark);
        let noise: String = (0..24 << 20).map(|_| fastrand::alphanumeric()).collect();
        self.world.write_main("static/noise.txt", &noise);
    }

    async fn push(&self) -> Result<Outcome, String> {
        let (site, north) = (self.world.site(), [site_id("north")]);
        let outcomes = self.hub.publish(&site, &north, Rejected::Skip);
        let outcomes = tokio::time::timeout(PATIENCE, outcomes).await.expect("a push hangs").unwrap();
        let (_, outcome) = outcomes.into_iter().next().unwrap();
        outcome.map_err(|error| told(&error))
    }

    /// Takes the card down once a part of the push has passed.
    async fn cut_in_the_middle(&self) {
        let until = sent() + BEFORE_THE_CUT;
        let passed = async {
            while sent() < until {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, passed).await.expect("no push passes");
        ip(&["link", "set", "main", "down"]);
    }

    /// What a visitor sees who is where the partner is.
    fn seen(&self) -> Seen {
        let (namespace, public) = (self.namespace.file(), self.public);
        let visitor = std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            marked::look(public)
        });
        let seen = tokio::task::block_in_place(|| visitor.join().unwrap());
        seen.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Namespace {
    /// A namespace that a pair of cards joins with this one.
    fn joined() -> Self {
        let child = Command::new("unshare").args(["-n", "sleep", "infinity"]).stdin(Stdio::null()).spawn().unwrap();
        let namespace = Self(child);
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        while fs::read_link(namespace.path()).unwrap() == own {
            std::thread::yield_now();
        }
        ip(&["link", "add", "main", "type", "veth", "peer", "name", "shop", "netns", &namespace.0.id().to_string()]);
        ip(&["address", "add", &format!("{MAIN}/30"), "dev", "main"]);
        Self::mend();
        for words in [
            &["link", "set", "lo", "up"][..],
            &["address", "add", &format!("{SHOP}/30"), "dev", "shop"],
            &["link", "set", "shop", "up"],
        ] {
            let command = namespace.command("ip");
            run(&command.iter().map(String::as_str).chain(words.iter().copied()).collect::<Vec<_>>());
        }
        namespace
    }

    /// The command by which `program` runs within.
    fn command(&self, program: &str) -> Vec<String> {
        ["nsenter", "-t", &self.0.id().to_string(), "-n", program].map(str::to_owned).to_vec()
    }

    fn path(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    fn file(&self) -> File {
        File::open(self.path()).unwrap()
    }

    /// Takes this end's card up.
    fn mend() {
        ip(&["link", "set", "main", "up"]);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A process that has ended holds nothing any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How many bytes this end's card has sent.
fn sent() -> u64 {
    let cards = fs::read_to_string("/proc/self/net/dev").unwrap();
    let numbers = cards.lines().find_map(|line| line.trim().strip_prefix("main:")).unwrap();
    numbers.split_whitespace().nth(8).and_then(|sent| sent.parse().ok()).unwrap()
}

/// The same port at the partner's card.
fn there(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(SHOP.parse().unwrap(), address.port())
}

/// Lets the daemon listen at its card where it listened at `addresses`.
fn move_there(halted: &Halted, addresses: &[SocketAddr]) {
    let file: &Path = &halted.config_file;
    let text = addresses.iter().fold(fs::read_to_string(file).unwrap(), |text, address| {
        text.replace(&address.to_string(), &there(*address).to_string())
    });
    fs::write(file, text).unwrap();
}

fn ip(words: &[&str]) {
    run(&["ip"].iter().chain(words).copied().collect::<Vec<_>>());
}

fn run(words: &[&str]) {
    let done = shell(words);
    assert!(done.as_ref().is_ok_and(|done| done.status.success()), "{words:?}: {done:?}");
}

fn shell(words: &[&str]) -> std::io::Result<Output> {
    Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output()
}
