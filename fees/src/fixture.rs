//! What the tests of this crate share: the simulated contract, and entries that are views until a test says otherwise.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tieup_protocol::access::{AccessEntry, AgentClass, Method, Purpose, ReferrerClass, VisitorToken};
use tieup_protocol::contract::{Contract, Currency, MeterClass};
use tieup_protocol::period::Month;
use tieup_protocol::robots;

use crate::books::{Books, Event};
use crate::count::{Counted, Counter};
use crate::money::Money;
use crate::statement::JournalHead;

/// The text of the simulated contract.
pub(crate) fn contract_text() -> String {
    include_str!("../fixtures/harbor-shop.yaml").replace("ROBOTS", &robots::list_digest().to_string())
}

/// The simulated contract.
pub(crate) fn contract() -> Contract {
    parse(&contract_text())
}

/// The simulated contract with some words changed; every change must find its words.
pub(crate) fn contract_with(changes: &[(&str, &str)]) -> Contract {
    let change = |text: String, (from, to): &(&str, &str)| {
        assert!(text.contains(from), "the fixture does not hold `{from}`");
        text.replacen(from, to, 1)
    };
    parse(&changes.iter().fold(contract_text(), change))
}

/// A settled order of so many yen, of one unit.
pub(crate) fn order(id: &str, minor: i128) -> Event {
    Event {
        id: id.to_owned(),
        kind: "settled_orders".to_owned(),
        amount: Money::new(Currency::Jpy, minor),
        units: 1,
        goods: None,
        via: None,
        collected: None,
    }
}

/// Books of visits and sales.
pub(crate) fn books<'a>(counted: &'a Counted, events: &'a [Event]) -> Books<'a> {
    Books { counted, catalogue: None, events }
}

fn parse(text: &str) -> Contract {
    Contract::parse("contract.yaml", text).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn november() -> Month {
    "2026-11".parse().unwrap()
}

/// A view of `/` on a tie-up page by visitor `visitor`, `time` being an RFC 3339 instant.
pub(crate) fn view(time: &str, visitor: u8) -> AccessEntry {
    AccessEntry {
        time: time.parse().unwrap(),
        class: Some(MeterClass::Tieup),
        method: Method::Get,
        status: 200,
        bytes: 1_000,
        purpose: Purpose::Document,
        visitor: VisitorToken([visitor; 16]),
        agent: AgentClass::Desktop,
        robot: 0,
        referrer: ReferrerClass::None,
        path: "/".parse().unwrap(),
    }
}

/// Counts `entries` for November by the rules of `contract`.
pub(crate) fn count_under<'a>(contract: &Contract, entries: impl IntoIterator<Item = &'a AccessEntry>) -> Counted {
    let mut counter = Counter::of_period(&contract.terms.count, &contract.effective.tz, contract.period(november()));
    entries.into_iter().for_each(|entry| counter.observe(entry));
    counter.finish()
}

/// Counts `entries` for November by the rules of the simulated contract.
pub(crate) fn count<'a>(entries: impl IntoIterator<Item = &'a AccessEntry>) -> Counted {
    count_under(&contract(), entries)
}

/// Counts that read as if so many views of tie-up and of original pages had been observed.
pub(crate) fn counted(contract: &Contract, tieup: u64, original: u64) -> Counted {
    let mut counted = count_under(contract, []);
    counted.tieup.tally.views = tieup;
    counted.original.tally.views = original;
    counted.both.tally.views = tieup + original;
    counted.entries = tieup + original;
    counted
}

/// A head for the journal that was counted.
pub(crate) fn head(counted: &Counted) -> JournalHead {
    JournalHead {
        origin: "nationwide.example/harbor-shop/2026-11".to_owned(),
        size: counted.entries,
        root: "Dx2m6nXvQ2mV0d0vJm8s4Zl3y3c0H2mYJm9m2g3mC5k=".to_owned(),
    }
}

/// An entry whose visitor, page, class, robot rule and status vary.
fn any_entry() -> impl Strategy<Value = AccessEntry> {
    let page = prop::sample::select(vec![
        ("/", MeterClass::Tieup),
        ("/", MeterClass::Original),
        ("/a/", MeterClass::Tieup),
        ("/local/", MeterClass::Original),
    ]);
    (0..4_u8, page, 0..10_u16, 0..8_u16).prop_map(|(visitor, (path, class), robot, status)| AccessEntry {
        path: path.parse().unwrap(),
        class: Some(class),
        robot: u16::from(robot == 0),
        status: if status == 0 { 404 } else { 200 },
        ..view("2026-11-20T03:00:00Z", visitor)
    })
}

/// A log in the order of time, with entries at one instant, repeats, and gaps of hours; it may reach into December.
pub(crate) fn any_log() -> impl Strategy<Value = Vec<AccessEntry>> {
    let gap = prop::sample::select(vec![0_i64, 0, 5, 10, 29, 30, 31, 300, 3_000, 40_000]);
    proptest::collection::vec((any_entry(), gap), 0..80).prop_map(|entries| {
        let mut now: Timestamp = "2026-11-20T03:00:00Z".parse().unwrap();
        let mut timed = Vec::new();
        for (entry, gap) in entries {
            now += SignedDuration::from_secs(gap);
            timed.push(AccessEntry { time: now, ..entry });
        }
        timed
    })
}

/// A log whose times go forward by seconds, hours and days, and back as often, with all that an entry can be.
pub(crate) fn any_disordered_log() -> impl Strategy<Value = Vec<AccessEntry>> {
    let step = prop::sample::select(vec![0_i64, 1, 5, 29, 30, 31, 300, 599, 630, 631, 3_600, 7_200, 40_000, 90_000]);
    let entry = (any_entry(), step, 0..10_u8, 0..12_u8);
    proptest::collection::vec(entry, 0..200).prop_map(|entries| {
        let mut now: Timestamp = "2026-11-20T03:00:00Z".parse().unwrap();
        let mut log = Vec::new();
        for (mut entry, step, direction, kind) in entries {
            let step = SignedDuration::from_secs(step);
            now = if direction < 3 { now - step } else { now + step };
            match kind {
                0 => entry.class = None,
                1 => entry.purpose = Purpose::Prefetch,
                2 => entry.method = Method::Head,
                _ => {}
            }
            log.push(AccessEntry { time: now, ..entry });
        }
        log
    })
}

/// A log of many visitors over days, of whom some open dozens of pages within minutes; tokens come back the next day,
/// and times go back by seconds, minutes and hours.
pub(crate) fn any_crowded_log() -> impl Strategy<Value = Vec<AccessEntry>> {
    let visitor = prop_oneof![2 => Just(0_u8), 1 => Just(1), 1 => 0..60_u8];
    let step = prop_oneof![
        20 => 0..4_i64,
        4 => prop::sample::select(vec![29_i64, 30, 31, 300, 599, 630, 631]),
        1 => prop::sample::select(vec![3_600_i64, 7_200, 40_000, 86_400, 180_000]),
    ];
    let entry = (visitor, 0..40_u8, any::<bool>(), step, 0..8_u8);
    proptest::collection::vec(entry, 0..500).prop_map(|entries| {
        let mut now: Timestamp = "2026-11-20T03:00:00Z".parse().unwrap();
        let mut log = Vec::new();
        for (visitor, page, is_original, step, direction) in entries {
            let step = SignedDuration::from_secs(step);
            now = if direction == 0 { now - step } else { now + step };
            let class = if is_original { MeterClass::Original } else { MeterClass::Tieup };
            let path = format!("/page-{page}/").parse().unwrap();
            log.push(AccessEntry { time: now, class: Some(class), path, ..view("2026-11-20T03:00:00Z", visitor) });
        }
        log
    })
}
