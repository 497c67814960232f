//! Recording visits, as a worker with many connections does.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use tieup_protocol::access::{Method, Purpose};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::path::SitePath;
use tieup_protocol::period::{Month, Zone};
use tieup_store::journal::{Cosigner, LogSigner, Origin, month_dir, verify_log};
use tieup_web::access_log::{AccessLog, Caller, Visit};
use tieup_web::journal::{Journal, JournalSetup};
use tieup_web::visitors::Remembered;

use crate::measure::{cpu_time, peak, rate, resident, timed};

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

/// How many connections have a request ready in one turn.
const CONNECTIONS: usize = 64;

/// Records visits for so many seconds, a signed and synced checkpoint each second, and verifies the log.
pub fn append(folder: &Path, seconds: u64) -> serde_json::Value {
    let setup = setup(folder);
    let before = resident();
    let (appended, seconds, cpu) = record(&setup, Duration::from_secs(seconds));
    let memory = peak();
    let month = Month::of(Timestamp::now(), &setup.zone);
    let dir = month_dir(folder, month);
    let verify = timed(|| {
        let origin = Origin::new(&setup.main, &setup.site, month);
        let verified = verify_log(&dir, &origin, &setup.signer.verifier()).unwrap();
        assert_eq!((verified.checkpoint.size(), verified.unsigned), (appended, 0));
    });
    serde_json::json!({
        "entries": appended,
        "append_per_second": rate(appended, seconds),
        "append_per_cpu_second": rate(appended, cpu),
        "verify_appended_per_second": rate(appended, verify),
        "memory_before_mib": before >> 20,
        "memory_peak_of_appending_mib": memory >> 20,
    })
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
fn record(setup: &JournalSetup, duration: Duration) -> (u64, f64, f64) {
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
            let visitor = journal.recognise(&Caller { time, address, introduction: (&headers).into() }, remembered);
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
