//! Measures counting on one core. Prints one JSON object.
//!
//! `count ENTRIES CONTRACT` counts made-up entries that never stand in memory all at once; `log FOLDER ENTRIES CONTRACT`
//! verifies and counts a log of them; `close FOLDER PARTNERS CONTRACT` closes a month for partners whose rollups are kept.

mod visits;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tieup_fees::{Account, Counter, JournalHead, Rollup, Status, statement};
use tieup_protocol::contract::Contract;
use tieup_protocol::period::Month;
use tieup_store::journal::{JournalReader, JournalWriter, LogSigner, Origin, verify_entries, verify_log};

use self::visits::{STEP, Visits};

/// How many entries are made at a time.
const CHUNK: u64 = 1 << 12;

/// How many entries the journal of each partner has whose month is closed.
const OF_PARTNER: u64 = 100_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let figures = match arguments.as_slice() {
        ["count", entries, contract] => count(entries.parse().unwrap(), &read(contract)),
        ["log", folder, entries, contract] => log(Path::new(folder), entries.parse().unwrap(), &read(contract)),
        ["close", folder, partners, contract] => {
            close(Path::new(folder), partners.parse().unwrap(), &read(contract), contract)
        }
        _ => panic!("count ENTRIES CONTRACT, log FOLDER ENTRIES CONTRACT, or close FOLDER PARTNERS CONTRACT"),
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
    let mut chunk = Vec::new();
    while done < entries {
        let length = CHUNK.min(entries - done);
        let lengths = fill(&mut chunk, &mut visits, length);
        spent += timed(|| observe(&mut counter, &chunk, &lengths));
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

/// Puts the next visits into `chunk`, and gives their lengths.
fn fill(chunk: &mut Vec<u8>, visits: &mut Visits, count: u64) -> Vec<usize> {
    chunk.clear();
    let mut next = |_| {
        let begin = chunk.len();
        visits.next().encode_into(chunk);
        chunk.len() - begin
    };
    (0..count).map(&mut next).collect()
}

fn observe(counter: &mut Counter, mut chunk: &[u8], lengths: &[usize]) {
    for length in lengths {
        let (entry, rest) = chunk.split_at(*length);
        counter.observe_encoded(entry).unwrap();
        chunk = rest;
    }
}

/// Closes the month of so many partners, whose rollups lie in `dir`: each is read and decoded, its journal's head compared,
/// and its statement computed.
fn close(dir: &Path, partners: u64, contract: &Contract, file: &str) -> serde_json::Value {
    let period = contract.period(november());
    let heads: Vec<JournalHead> = (0..partners).map(|partner| roll_up(dir, partner, contract)).collect();
    let text = fs::read_to_string(file).unwrap();
    let (begin, mut bytes, mut total) = (Instant::now(), 0, 0);
    let spent = timed(|| {
        for (partner, head) in heads.iter().enumerate() {
            // Each partner has a contract of its own.
            let contract = Contract::parse("contract.yaml", &text).unwrap();
            let kept = fs::read(dir.join(partner.to_string())).unwrap();
            bytes += kept.len();
            let rollup = Rollup::decode(&kept, &contract, period).unwrap();
            assert_eq!(rollup.covers(), head);
            let counted = rollup.counted();
            let account = Account::of_visits(head, &counted, Status::Final);
            total += statement(&contract, november(), &account).unwrap().total.minor();
        }
    });
    serde_json::json!({
        "partners": partners,
        "entries": partners * OF_PARTNER,
        "close_cpu_seconds": spent,
        "close_seconds": begin.elapsed().as_secs_f64(),
        "rollups_mib": bytes >> 20,
        "fees": total.to_string(),
    })
}

/// Keeps the rollup of a partner's journal: a visit each 25 seconds or so, all month.
fn roll_up(dir: &Path, partner: u64, contract: &Contract) -> JournalHead {
    let mut visits = Visits::new(november().start(&contract.effective.tz), STEP * 1_000, partner);
    let origin = format!("nationwide/partner-{partner}/2026-11");
    let head = JournalHead { size: OF_PARTNER, root: format!("root-{partner}"), origin };
    let mut rollup = Rollup::begin(contract, contract.period(november()), &head.origin);
    let next = |entry: &mut Vec<u8>| {
        entry.clear();
        visits.next().encode_into(entry);
        Ok::<_, Infallible>(())
    };
    rollup.go_on(head.clone(), &BTreeSet::new(), next).unwrap();
    fs::write(dir.join(partner.to_string()), rollup.encode()).unwrap();
    head
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
    let mut counter = self::counter(contract);
    let count = timed(|| {
        let (mut all, mut entry) = (reader.entries(0..entries).unwrap(), Vec::new());
        for _ in 0..entries {
            all.next_into(&mut entry).unwrap();
            counter.observe_encoded(&entry).unwrap();
        }
    });
    let two_passes = counter.finish();
    let mut counter = self::counter(contract);
    let both = timed(|| {
        let each = |entry: &[u8]| counter.observe_encoded(entry).unwrap();
        assert_eq!(verify_entries(dir, &origin, &key, each).unwrap().checkpoint.size(), entries);
    });
    assert_eq!(counter.finish(), two_passes);
    serde_json::json!({
        "verify_per_cpu_second": rate(entries, verify),
        "read_per_cpu_second": rate(entries, read),
        "read_and_count_per_cpu_second": rate(entries, count),
        "two_passes_per_cpu_second": rate(entries, verify + count),
        "verify_and_count_per_cpu_second": rate(entries, both),
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
