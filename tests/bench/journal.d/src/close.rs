//! Closing a month from rollups.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::time::Instant;

use tieup_fees::{Account, JournalHead, Rollup, Status, statement};
use tieup_protocol::contract::Contract;

use crate::measure::timed;
use crate::november;
use crate::visits::{STEP, Visits};

/// How many entries the journal of each partner has whose month is closed.
const OF_PARTNER: u64 = 100_000;

/// Closes the month of so many partners, whose rollups lie in `dir`: each is read and decoded, its journal's head compared,
/// and its statement computed.
pub fn close(dir: &Path, partners: u64, contract: &Contract, file: &str) -> serde_json::Value {
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
    let mut entry = Vec::new();
    for _ in 0..OF_PARTNER {
        entry.clear();
        visits.next().encode_into(&mut entry);
        rollup.take(&entry, &BTreeSet::new()).unwrap();
    }
    rollup.reach::<Infallible>(head.clone()).unwrap();
    fs::write(dir.join(partner.to_string()), rollup.encode()).unwrap();
    head
}
