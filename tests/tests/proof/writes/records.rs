//! Writes that fail while main tells its record anew, since the partner's copy is damaged.

use std::fs;
use std::path::Path;

use jiff::Timestamp;
use tieup_protocol::record::{Entry, RecordPage};
use tieup_syncd::daemon::Partner;
use tieup_syncd::record::RecordError;
use tieup_tests::World;

use super::contract;
use super::failures::{Failures, assert_named};

/// The kinds of files that are written when a damaged copy is set aside and the record is told anew.
pub(super) const IN_A_RECORD: &[&str] = &["quarantine/*", "audit.jsonl", "statements/record.jsonl"];

/// Two sales, as main tells them.
fn sales() -> Vec<Entry> {
    let sale = |id: &str| {
        let json = format!(
            r#"{{"entry":"sale","id":"{id}","kind":"order","amount":"900","units":1,"time":"2026-11-05T03:00:00Z"}}"#
        );
        serde_json::from_str(&json).unwrap()
    };
    vec![sale("A-1"), sale("A-2")]
}

/// Main asks how much is here, and tells what is not.
fn tell(partner: &Partner) -> Result<(), RecordError> {
    let now = Timestamp::now();
    let held = partner.take_record(&RecordPage { from: 0, entries: Vec::new() }, now)?.held;
    let rest = sales().split_off(usize::try_from(held).unwrap());
    partner.take_record(&RecordPage { from: held, entries: rest }, now).map(|_| ())
}

fn lines(copy: &Path) -> Vec<Entry> {
    fs::read_to_string(copy).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_a_damaged_record_is_told_anew_it_can_be_told_again() {
    let started =
        World::new().main_page("/about/", "We mend lamps.").contract("north", contract("{policy: ask}")).start();
    let world = Box::pin(started).await;
    let (state, copy) = (world.state("north"), world.state("north").join("statements/record.jsonl"));
    tell(world.daemon("north")).unwrap();
    let mut failures = Failures::of("telling a record anew");
    loop {
        // As long as it was, so that nothing but what it says tells.
        let damaged = fs::read_to_string(&copy).unwrap().replace("900", "500");
        fs::write(&copy, damaged).unwrap();
        let _ = fs::remove_dir_all(state.join("quarantine"));
        let laid = failures.lay_sparing(&state, &state.join("journal"));
        let told = tell(world.daemon("north"));
        let said = failures.said(&laid);
        match &told {
            Ok(()) => assert_eq!(lines(&copy), sales(), "{said}"),
            Err(error) => assert_named(error, &laid, &said),
        }
        let has_failed = failures.take(&state, laid);
        tell(world.daemon("north")).unwrap_or_else(|error| panic!("{said}: {}", tieup_tests::told(&error)));
        assert_eq!(lines(&copy), sales(), "{said}");
        if !has_failed {
            return failures.end(IN_A_RECORD);
        }
    }
}
