//! Counting made-up visits, without a log and from one.

use std::path::Path;

use tieup_fees::Counter;
use tieup_protocol::contract::Contract;
use tieup_store::journal::{JournalReader, JournalWriter, LogSigner, Origin, verify_entries, verify_log};

use crate::measure::{peak, rate, timed};
use crate::november;
use crate::visits::{STEP, Visits};

/// How many entries are made at a time.
const CHUNK: u64 = 1 << 12;

fn counter(contract: &Contract) -> Counter {
    Counter::new(&contract.terms.count, &contract.effective.tz, november())
}

/// Counts so many entries; only decoding and counting are timed. Peak memory is noted at 1, 10 and 100 million.
pub fn count(entries: u64, contract: &Contract) -> serde_json::Value {
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

/// Verifies and counts a log of so many entries.
pub fn log(dir: &Path, entries: u64, contract: &Contract) -> serde_json::Value {
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
