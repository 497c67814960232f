//! A database server that takes what it is sent and says nothing more: a hub that waits for it is told to end, and does.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tieup_hub::config::Config;
use tieup_hub::partners::Hub;
use tieup_tests::postgres::new_database;
use tieup_tests::world::MAIN;

/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a socket of PostgreSQL is called.
const SOCKET: &str = ".s.PGSQL.5432";

/// What a hub asks for the lead with.
const LEAD: &str = "pg_try_advisory_lock";

/// Passes everything on to the server whose socket lies in `server`, at a socket in `folder`, but what holds `words`: nothing
/// comes back on that connection. A message comes for each that falls silent.
fn silent_at(words: &'static str, folder: &Path, server: &Path) -> Receiver<()> {
    let listener = UnixListener::bind(folder.join(SOCKET)).unwrap();
    let (silent, fallen) = channel();
    let server = server.join(SOCKET);
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let far = UnixStream::connect(&server).unwrap();
            let (answers, asker) = (far.try_clone().unwrap(), near.try_clone().unwrap());
            let silent = silent.clone();
            thread::spawn(move || pass(near, far, words, &silent));
            thread::spawn(move || pass(answers, asker, "", &channel().0));
        }
    });
    fallen
}

/// Passes bytes on until one end is gone, or until they hold `words`: then both ends are kept, and nothing passes.
fn pass(mut from: UnixStream, mut to: UnixStream, words: &str, silent: &Sender<()>) {
    let mut bytes = [0; 8192];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if !words.is_empty() && bytes[..read].windows(words.len()).any(|part| part == words.as_bytes()) {
            silent.send(()).unwrap();
            // Until whoever asked gives up.
            while matches!(from.read(&mut bytes), Ok(1..)) {}
            break;
        }
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // The other direction ends with this one.
    let _ = to.shutdown(Shutdown::Both);
}

/// A process that does not outlive its test.
struct Running(Child);

impl Running {
    /// How it ended; it must have by then.
    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it was told to end, and has not heard");
            thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_waits_for_a_silent_server_to_give_it_the_lead_ends_when_it_is_told_to() {
    let (folder, address) = (tempfile::tempdir().unwrap(), new_database());
    let config = folder.path().join("tieup.yaml");
    let text = "themes: themes\nstate: state\njoin: 127.0.0.1:0\npublic: 127.0.0.1:0\n";
    fs::write(&config, format!("main: {MAIN}\n{text}database: {address}\n")).unwrap();
    Hub::create(Config::load(&config).unwrap()).await.unwrap();
    let server = address.split(['=', '&']).nth(1).unwrap();
    let silent = silent_at(LEAD, folder.path(), Path::new(server));

    let mut command = Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
    command
        .arg("--config")
        .arg(&config)
        .arg("hub")
        .env("TIEUP_DATABASE", address.replace(server, folder.path().to_str().unwrap()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut hub = Running(command.spawn().unwrap());
    silent.recv_timeout(PATIENCE).expect("the hub asked for no lead");
    let told = Command::new("kill").args(["-s", "TERM", &hub.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert!(hub.ended().success(), "it heard, and did not end well");
}
