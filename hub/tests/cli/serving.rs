//! `tieup hub`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Folder;

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = Folder::begun();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.replace("tieup.yaml", "127.0.0.1:7440", "127.0.0.1:0");
    folder.replace("tieup.yaml", "127.0.0.1:8000", &address);
    let ran = folder.run(&["hub"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.err.starts_with(&format!("error: cannot listen on {address}\ncaused by: ")), "{}", ran.err);
}

/// Waits until the process has handlers for SIGINT and SIGTERM. It has them a moment after it said that it serves.
#[cfg(target_os = "linux")]
fn wait_until_signals_are_heard(id: u32) {
    const WANTED: u64 = 1 << (2 - 1) | 1 << (15 - 1);
    let deadline = Instant::now() + Duration::from_secs(20);
    let caught = || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    while caught() & WANTED != WANTED {
        assert!(Instant::now() < deadline, "the hub hears no signal: {:x}", caught());
        std::thread::yield_now();
    }
}

/// A process that does not outlive its test.
#[cfg(target_os = "linux")]
struct Running(std::process::Child);

#[cfg(target_os = "linux")]
impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.0.kill();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_hub_serves_until_it_is_told_to_end() {
    let folder = Folder::begun();
    folder.replace("tieup.yaml", "127.0.0.1:7440", "127.0.0.1:0");
    folder.replace("tieup.yaml", "127.0.0.1:8000", "127.0.0.1:0");
    for signal in ["INT", "TERM"] {
        let mut command = folder.command(&["hub"]);
        let mut hub = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        let mut lines = BufReader::new(hub.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with(" files are served.")), "the hub ended before it served anything");
        wait_until_signals_are_heard(hub.0.id());
        Command::new("kill").args(["-s", signal, &hub.0.id().to_string()]).status().unwrap();
        assert_eq!(hub.0.wait().unwrap().code(), Some(0), "after {signal}");
    }
}

/// The answer for the page at `path`.
#[cfg(target_os = "linux")]
fn answer(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut line = std::net::TcpStream::connect(address).unwrap();
    write!(line, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).unwrap();
    answer
}

/// The status of the page at `path`.
#[cfg(target_os = "linux")]
fn status(address: &str, path: &str) -> u16 {
    let answer = answer(address, path);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_hub_shows_a_page_when_its_time_comes_and_takes_it_away_when_it_ends() {
    let folder = Folder::begun();
    folder.replace("tieup.yaml", "127.0.0.1:7440", "127.0.0.1:0");
    folder.replace("tieup.yaml", "127.0.0.1:8000", "127.0.0.1:0");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    folder.write("content/next.md", &format!("---\ntitle: Next\npublish: {soon}\n---\n"));
    folder.write("content/last.md", &format!("---\ntitle: Last\nexpires: {soon}\n---\n"));
    let mut command = folder.command(&["hub"]);
    let mut hub = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(hub.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.next().unwrap();
    let address = told.split('/').nth(2).unwrap_or_else(|| panic!("no address is told: {told}"));
    assert!(lines.any(|line| line.ends_with(" files are served.")), "the hub ended before it served anything");
    let deadline = Instant::now() + Duration::from_secs(30);
    while (status(address, "/next/"), status(address, "/last/")) != (200, 404) {
        assert!(Instant::now() < deadline, "the pages' time has come, and nothing changed");
        std::thread::yield_now();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_site_that_cannot_be_built_is_an_alarm_until_it_can() {
    let folder = Folder::begun();
    folder.replace("tieup.yaml", "127.0.0.1:7440", "127.0.0.1:0");
    folder.replace("tieup.yaml", "127.0.0.1:8000", "127.0.0.1:0");
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let text = fs::read_to_string(folder.path("tieup.yaml")).unwrap();
    folder.write("tieup.yaml", &format!("{text}admin: {admin}\n"));
    let mut command = folder.command(&["hub"]);
    let mut hub = Running(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut lines = BufReader::new(hub.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with(" files are served.")), "the hub ended before it served anything");
    let until = |is_told: bool| {
        let deadline = Instant::now() + Duration::from_mins(1);
        let alarm = "ALARM: the site cannot be built since ";
        while folder.run(&["status"]).done().starts_with(alarm) != is_told {
            assert!(Instant::now() < deadline, "the alarm is not as it should be: {is_told}");
        }
        let gauge = format!("\ntieup_site_build_failing {}.0\n", u8::from(is_told));
        assert!(answer(&admin, "/metrics").contains(&gauge), "{gauge}");
    };
    until(false);
    // One that is found when the site is read, and one that is found when a page is made.
    folder.write("content/typo.md", "---\ntitel: Typo\n---\n");
    until(true);
    folder.write("content/typo.md", "---\ntitle: Typo\n---\n");
    until(false);
    let template = fs::read_to_string(folder.path("themes/plain/templates/page.html")).unwrap();
    folder.write("themes/plain/templates/page.html", &format!("{template}{{{{ page.titel.of }}}}"));
    until(true);
    folder.write("themes/plain/templates/page.html", &template);
    until(false);
}
