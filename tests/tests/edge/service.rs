//! A daemon that a service manager starts: with sockets that are open already, and a line to say how it stands.

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tieup_tests::child::Program;
use tieup_tests::world::Halted;
use tieup_tests::{assert_says, raw};

use crate::{free_port, program, settled};

/// Does what systemd does: opens sockets, puts them where they belong, and becomes the program.
const LAUNCHER: &str = "
import fcntl, os, socket, sys
names, notify, binary = sys.argv[1], sys.argv[2], sys.argv[3]
sockets = []
for given in names.split(','):
    name, address = given.split('=')
    host, port = address.rsplit(':', 1)
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((host, int(port)))
    one.listen()
    sockets.append((name, fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 100)))
    one.detach()
for place, (_, number) in enumerate(sockets):
    os.dup2(number, 3 + place, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), NOTIFY_SOCKET=notify,
                  LISTEN_FDNAMES=':'.join(name for name, _ in sockets), WATCHDOG_USEC='2000000')
os.execv(binary, sys.argv[3:])
";

const BINARY: &str = env!("CARGO_BIN_EXE_syncd-to-kill");

/// How long the daemon may take to say something before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

fn launched(halted: &Halted, sockets: &[(&str, SocketAddr)], notify: &Path) -> Program {
    let sockets: Vec<String> = sockets.iter().map(|(name, address)| format!("{name}={address}")).collect();
    let notify = notify.display().to_string();
    let command = ["python3", "-c", LAUNCHER, &sockets.join(","), &notify, BINARY].map(str::to_owned).to_vec();
    Program { command, ..Program::new(BINARY, halted) }
}

/// Reads what is said until all of `words` were; all of it.
fn said_until(line: &UnixDatagram, words: &[&str]) -> String {
    let (mut said, end) = (String::new(), Instant::now() + PATIENCE);
    while !words.iter().all(|word| said.contains(word)) {
        assert!(Instant::now() < end, "{words:?} are not said:\n{said}");
        let mut message = [0; 4096];
        let read = line.recv(&mut message).unwrap_or_else(|error| panic!("{words:?} are not said ({error}):\n{said}"));
        said += &String::from_utf8_lossy(&message[..read]);
        said += "\n";
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_62_a_service_manager_hands_over_sockets_and_hears_how_it_goes() {
    if program("python3").is_none() {
        return;
    }
    let mut world = settled().await;
    let halted = world.halt("north").await;
    let notify = world.folder().join("notify");
    let line = UnixDatagram::bind(&notify).unwrap();
    line.set_read_timeout(Some(PATIENCE)).unwrap();
    // One by its name, the other as a unit with several ports has it: by the unit's name.
    let sockets = [("syncd.socket", halted.public), ("peer", halted.peer.unwrap())];
    let process = tokio::task::block_in_place(|| launched(&halted, &sockets, &notify).start());
    let said = tokio::task::block_in_place(|| said_until(&line, &["WATCHDOG=1", "READY=1"]));
    assert_says(&said, &["STATUS=release 1 is live"]);
    let page = raw::request(halted.public, "GET", "/about/", &[]).await;
    assert_says(&page.body, &["We mend lamps."]);
    // It began anew so that memory is given back, and had all of this all the same.
    let environment = std::fs::read(format!("/proc/{}/environ", process.id())).unwrap();
    assert_says(&String::from_utf8_lossy(&environment), &["MIMALLOC_PURGE_DELAY=0"]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id())).unwrap();
    let core = limits.lines().find(|limit| limit.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    assert_says(&tokio::task::block_in_place(|| said_until(&line, &["STOPPING=1"])), &["STATUS=finishing"]);
    drop(process);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_62_a_socket_that_the_configuration_does_not_mention_is_an_error() {
    if program("python3").is_none() {
        return;
    }
    let mut world = settled().await;
    let halted = world.halt("north").await;
    let surplus = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let sockets = [("public", halted.public), ("peer", halted.peer.unwrap()), ("smtp", surplus)];
    let program = launched(&halted, &sockets, Path::new("/nonexistent"));
    let (python, before) = program.command.split_first().unwrap();
    let mut command = Command::new(python);
    command.args(before).arg("--config").arg(&program.config_file).arg("run");
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert_says(&String::from_utf8_lossy(&output.stderr), &["socket `smtp` at", "does not mention"]);
    world.stop().await;
}
