//! Putting away and going on gives the same counts as counting in one go, and bytes of any kind are an error at worst.

use std::convert::Infallible;

use proptest::prelude::*;
use tieup_protocol::access::AccessEntry;

use super::*;
use crate::count_without;
use crate::fixture::{any_disordered_log, contract, contract_with, november, view};

fn head(size: u64) -> JournalHead {
    JournalHead { origin: "nationwide/harbor-shop/2026-11".to_owned(), size, root: format!("root-of-{size}") }
}

fn period() -> Period {
    contract().period(november())
}

fn begin() -> Rollup {
    Rollup::begin(&contract(), period(), &head(0).origin)
}

fn go_on(rollup: &mut Rollup, log: &[AccessEntry], to: usize, struck: &BTreeSet<u64>) {
    for entry in &log[usize::try_from(rollup.covers().size).unwrap()..to] {
        rollup.take(&entry.encode(), struck).unwrap();
    }
    rollup.reach::<Infallible>(head(to as u64)).unwrap();
}

/// The rollup of a log with some of everything that can be open.
fn rolled_up() -> Rollup {
    let log = ["2026-11-10T03:00:00Z", "2026-11-10T03:00:10Z", "2026-11-10T13:01:00Z", "2026-11-11T13:01:00Z"];
    let log = log.map(|time| view(time, 1));
    let mut rollup = begin();
    go_on(&mut rollup, &log, log.len(), &BTreeSet::from([1]));
    rollup
}

#[test]
fn other_rules_zones_and_days_are_refused() {
    let bytes = rolled_up().encode();
    assert!(Rollup::decode(&bytes, &contract(), period()).is_ok());
    for change in [("double_click: 30s", "double_click: 31s"), ("Asia/Tokyo", "Asia/Seoul")] {
        let other = contract_with(&[change]);
        let refused = Rollup::decode(&bytes, &other, other.period(november())).unwrap_err();
        assert_eq!(refused, RollupError::OtherTerms, "{change:?}");
    }
    let part = period().within("2026-11-02".parse().unwrap(), "2026-11-30".parse().unwrap()).unwrap();
    assert_eq!(Rollup::decode(&bytes, &contract(), part).unwrap_err(), RollupError::OtherTerms);
}

#[test]
fn a_change_of_prices_keeps_the_counts() {
    let dearer = contract_with(&[("inherited: 50000", "inherited: 60000")]);
    assert!(Rollup::decode(&rolled_up().encode(), &dearer, dearer.period(november())).is_ok());
}

#[test]
fn damage_at_any_place_is_an_error() {
    let bytes = rolled_up().encode();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Rollup::decode(&damaged, &contract(), period()).is_err(), "byte {at}");
        assert!(Rollup::decode(&bytes[..at], &contract(), period()).is_err(), "the first {at} bytes");
    }
    assert!(Rollup::decode(&[&bytes, b"x".as_slice()].concat(), &contract(), period()).is_err());
}

#[test]
fn what_was_struck_out_since_is_noticed() {
    let rollup = rolled_up();
    assert!(rollup.agrees_on(&BTreeSet::from([1])));
    // Numbers beyond the end are of entries to come.
    assert!(rollup.agrees_on(&BTreeSet::from([1, 4, 9])));
    assert!(!rollup.agrees_on(&BTreeSet::from([1, 2])));
    assert!(!rollup.agrees_on(&BTreeSet::new()));
}

#[test]
fn an_entry_that_is_none_is_refused() {
    assert!(rolled_up().take(&[9, 9], &BTreeSet::new()).is_err());
}

#[test]
fn a_rollup_is_not_of_more_or_fewer_entries_than_were_taken() {
    for size in [3, 5] {
        let refused: Result<(), StatementError<Infallible>> = rolled_up().reach(head(size));
        assert_eq!(refused, Err(StatementError::OtherSize { taken: 4, size }));
    }
}

/// Gives forged bytes the digest that belongs to them.
fn signed(body: &[u8]) -> Vec<u8> {
    [FORM, Digest::of(body).as_bytes().as_slice(), body].concat()
}

proptest! {
    #[test]
    fn putting_away_and_going_on_anywhere_changes_nothing(
        log in any_disordered_log(),
        stops in proptest::collection::vec(0..200_usize, 0..6),
        struck in proptest::collection::btree_set(0..200_u64, 0..5),
    ) {
        let entries = log.iter().map(|entry| Ok::<_, Infallible>(entry.encode()));
        let in_one_go = count_without(&contract(), period(), entries, &struck).unwrap();
        let mut whole = begin();
        go_on(&mut whole, &log, log.len(), &struck);

        let mut rollup = begin();
        let mut stops: Vec<usize> = stops.into_iter().filter(|stop| *stop < log.len()).chain([log.len()]).collect();
        stops.sort_unstable();
        for stop in stops {
            go_on(&mut rollup, &log, stop, &struck);
            let bytes = rollup.encode();
            rollup = Rollup::decode(&bytes, &contract(), period()).unwrap();
            prop_assert_eq!(rollup.encode(), bytes);
        }
        prop_assert_eq!(rollup.covers(), &head(log.len() as u64));
        prop_assert_eq!(rollup.encode(), whole.encode());
        prop_assert_eq!(rollup.counted(), in_one_go);
    }

    #[test]
    fn forged_bytes_never_panic(log in any_disordered_log(), at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut rollup = begin();
        go_on(&mut rollup, &log, log.len(), &BTreeSet::new());
        let bytes = rollup.encode();
        let mut body = bytes[FORM.len() + DIGEST..].to_vec();
        let at = at.index(body.len());
        body[at] = with;
        for forged in [signed(&body), signed(&body[..at])] {
            if let Ok(mut read) = Rollup::decode(&forged, &contract(), period()) {
                read.counter.observe(&view("2026-11-29T03:00:00Z", 1));
                read.counted();
            }
        }
    }
}
