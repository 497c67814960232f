//! Measures the journal on one core: what it costs to record, to append with a checkpoint each second, to verify and to
//! count. Prints one JSON object.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use tieup_fees::Counter;
use tieup_protocol::access::{AccessEntry, Method, Purpose};
use tieup_protocol::contract::{Contract, MeterClass};
use tieup_protocol::path::SitePath;
use tieup_protocol::period::{Month, Zone};
use tieup_store::journal::{Cosigner, JournalReader, LogSigner, Origin, month_dir, verify_log};
use tieup_web::access_log::{AccessLog, Caller, Visit};
use tieup_web::journal::{Journal, JournalSetup};
use tieup_web::visitors::Remembered;

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// How many connections have a request ready in one turn.
const CONNECTIONS: usize = 64;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder to work in"));
    let seconds: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(5);
    let contract = fs::read_to_string(arguments.next().expect("a contract")).unwrap();
    let contract = Contract::parse("contract.yaml", &contract).unwrap();
    let setup = setup(&folder);
    let before = resident();
    let (appended, append_seconds, append_cpu) = append(&setup, Duration::from_secs(seconds));
    let memory = peak();
    let month = Month::of(Timestamp::now(), &setup.zone);
    let dir = month_dir(&folder, month);
    let verify_seconds = timed(|| {
        let origin = Origin::new(&setup.main, &setup.site, month);
        let verified = verify_log(&dir, &origin, &setup.signer.verifier()).unwrap();
        assert_eq!((verified.checkpoint.size(), verified.unsigned), (appended, 0));
    });
    let reader = JournalReader::open(&dir).unwrap();
    let read_seconds = timed(|| assert_eq!(reader.entries(0..appended).unwrap().count() as u64, appended));
    let decode_seconds = timed(|| {
        let entries = reader.entries(0..appended).unwrap();
        assert!(entries.map(|entry| AccessEntry::decode(&entry.unwrap()).unwrap()).all(|entry| entry.status == 200));
    });
    let mut counter = Counter::new(&contract.terms.count, &setup.zone, month);
    let count_seconds = timed(|| {
        for entry in reader.entries(0..appended).unwrap() {
            counter.observe(&AccessEntry::decode(&entry.unwrap()).unwrap());
        }
    });
    let bytes = fs::metadata(dir.join("entries")).unwrap().len();
    #[allow(clippy::cast_precision_loss)]
    let rate = |seconds: f64| (appended as f64 / seconds).round();
    let figures = serde_json::json!({
        "entries": appended,
        "bytes_per_entry": bytes / appended,
        "append_per_second": rate(append_seconds),
        "append_per_cpu_second": rate(append_cpu),
        "verify_per_second": rate(verify_seconds),
        "read_per_second": rate(read_seconds),
        "decode_per_second": rate(decode_seconds),
        "count_per_second": rate(count_seconds),
        "verify_and_count_per_second": rate(verify_seconds + count_seconds),
        "memory_before_mib": before >> 20,
        "memory_peak_of_appending_mib": memory >> 20,
        "memory_peak_mib": peak() >> 20,
    });
    println!("{figures}");
}

fn setup(dir: &Path) -> JournalSetup {
    JournalSetup {
        dir: dir.to_owned(),
        main: "nationwide".parse().unwrap(),
        site: "harbor-shop".parse().unwrap(),
        zone: "Asia/Tokyo".parse::<Zone>().unwrap(),
        signer: LogSigner::from_seed("harbor-shop", &[1; 32]).unwrap(),
        cosigner: Cosigner::from_seed("nationwide", &[2; 32]).unwrap().verifier(),
    }
}

/// Records visits for so long, as a worker with 64 connections does: one visit of each, then all wait for their tickets.
/// How many there were, and how long it took until all were signed for, by the clock and in CPU time.
fn append(setup: &JournalSetup, duration: Duration) -> (u64, f64, f64) {
    let (journal, thread) = Journal::start(setup.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let paths: Vec<SitePath> = (0..1000).map(|page| format!("/products/page-{page}/").parse().unwrap()).collect();
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(header::HOST, HeaderValue::from_static("shop.example"));
    let mut connections: Vec<Remembered> = (0..CONNECTIONS).map(|_| Remembered::default()).collect();
    let (mut count, cpu, begin) = (0_usize, cpu_time(), Instant::now());
    while begin.elapsed() < duration {
        let mut tickets = Vec::with_capacity(CONNECTIONS);
        for (number, remembered) in connections.iter_mut().enumerate() {
            let time = Timestamp::now();
            let address = IpAddr::from([10, 0, 0, u8::try_from(number).unwrap()]);
            let visitor = journal.recognise(&Caller { time, address, headers: &headers }, remembered);
            tickets.push(journal.record(&Visit {
                time,
                visitor,
                path: &paths[(count * 7 + number * 31) % paths.len()],
                class: Some(MeterClass::Tieup),
                method: Method::Get,
                status: StatusCode::OK,
                bytes: 6_144,
                purpose: Purpose::Document,
            }));
            count += 1;
        }
        runtime.block_on(async {
            for ticket in tickets {
                ticket.await.unwrap();
            }
        });
    }
    journal.close();
    thread.join().unwrap();
    (count as u64, begin.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64())
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

fn resident() -> u64 {
    field("VmRSS:")
}

fn peak() -> u64 {
    field("VmHWM:")
}

fn field(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
