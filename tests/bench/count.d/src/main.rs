//! Measures counting on one core. Prints one JSON object.
//!
//! `count ENTRIES CONTRACT` counts made-up entries that never stand in memory all at once; `log FOLDER ENTRIES CONTRACT`
//! verifies and counts a log of them.

mod visits;

use std::fs;
use std::path::Path;
use std::time::Duration;

use tieup_fees::Counter;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::contract::Contract;
use tieup_protocol::period::Month;
use tieup_store::journal::{JournalReader, JournalWriter, LogSigner, Origin, verify_log};

use self::visits::{STEP, Visits};

/// How many entries are made at a time.
const CHUNK: u64 = 1 << 16;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let figures = match arguments.as_slice() {
        ["count", entries, contract] => count(entries.parse().unwrap(), &read(contract)),
        ["log", folder, entries, contract] => log(Path::new(folder), entries.parse().unwrap(), &read(contract)),
        _ => panic!("count ENTRIES CONTRACT, or log FOLDER ENTRIES CONTRACT"),
    };
    println!("{figures}");
}

fn read(contract: &str) -> Contract {
    Contract::parse("contract.yaml", &fs::read_to_string(contract).unwrap()).unwrap()
}

fn november() -> Month {
    "2026-11".parse().unwrap()
}

fn counter(contract: &Contract) -> Counter {
    Counter::new(&contract.terms.count, &contract.effective.tz, november())
}

/// Counts so many entries; only decoding and counting are timed. Peak memory is noted at 1, 10 and 100 million.
fn count(entries: u64, contract: &Contract) -> serde_json::Value {
    let mut visits = Visits::new(november().start(&contract.effective.tz), STEP, 6);
    let mut counter = counter(contract);
    let (mut spent, mut done, mut peaks) = (0.0, 0, Vec::new());
    let mut chunk: Vec<Vec<u8>> = Vec::new();
    while done < entries {
        let length = CHUNK.min(entries - done);
        chunk.clear();
        chunk.extend((0..length).map(|_| visits.next().encode()));
        spent += timed(|| chunk.iter().for_each(|bytes| counter.observe(&AccessEntry::decode(bytes).unwrap())));
        let before = done;
        done += length;
        for mark in [1_000_000, 10_000_000, 100_000_000] {
            if (before + 1..=done).contains(&mark) {
                peaks.push((mark.to_string(), (peak() >> 10).into()));
            }
        }
    }
    let counted = counter.finish();
    assert_eq!(counted.entries, entries);
    serde_json::json!({
        "count_per_cpu_second": rate(entries, spent),
        "views": counted.both.tally.views,
        "visitors": counted.both.visitors,
        "double_clicks": counted.left_out.double_clicks,
        "peak_kib": serde_json::Map::from_iter(peaks),
    })
}

/// Verifies and counts a log of so many entries.
fn log(dir: &Path, entries: u64, contract: &Contract) -> serde_json::Value {
    let signer = LogSigner::from_seed("harbor-shop", &[1; 32]).unwrap();
    let key = signer.verifier();
    let origin = Origin::new(&"nationwide".parse().unwrap(), &"harbor-shop".parse().unwrap(), november());
    write_log(dir, &origin, signer, entries, contract);
    let verify = timed(|| assert_eq!(verify_log(dir, &origin, &key).unwrap().checkpoint.size(), entries));
    let reader = JournalReader::open(dir).unwrap();
    let read = timed(|| assert_eq!(reader.entries(0..entries).unwrap().count() as u64, entries));
    let mut counter = counter(contract);
    let count = timed(|| {
        for entry in reader.entries(0..entries).unwrap() {
            counter.observe(&AccessEntry::decode(&entry.unwrap()).unwrap());
        }
    });
    assert_eq!(counter.finish().entries, entries);
    serde_json::json!({
        "verify_per_cpu_second": rate(entries, verify),
        "read_per_cpu_second": rate(entries, read),
        "read_and_count_per_cpu_second": rate(entries, count),
        "two_passes_per_cpu_second": rate(entries, verify + count),
    })
}

fn write_log(dir: &Path, origin: &Origin, signer: LogSigner, entries: u64, contract: &Contract) {
    let mut visits = Visits::new(november().start(&contract.effective.tz), STEP, 6);
    let mut writer = JournalWriter::open(dir, origin.clone(), signer).unwrap();
    let mut done = 0;
    while done < entries {
        let length = CHUNK.min(entries - done);
        let chunk: Vec<Vec<u8>> = (0..length).map(|_| visits.next().encode()).collect();
        writer.append(&chunk).unwrap();
        done += length;
    }
    writer.checkpoint().unwrap();
}

#[allow(clippy::cast_precision_loss)]
fn rate(entries: u64, seconds: f64) -> f64 {
    (entries as f64 / seconds).round()
}

/// The CPU time that something takes: the machine may be busy with other things.
fn timed(action: impl FnOnce()) -> f64 {
    let begin = cpu_time();
    action();
    (cpu_time() - begin).as_secs_f64()
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
