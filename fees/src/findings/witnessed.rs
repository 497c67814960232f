//! The rules by which a journal is held against what main counted by itself.
//!
//! A tie-up page is **served** where the journal has an entry of it, asked for by GET as a document or in case somebody
//! asks for it, answered 200 or 304, that no robot rule matched; once for a visitor, page and hour, as beacons are
//! counted. So whatever a browser shows again without asking, and whatever counting leaves out, makes no difference.

use std::collections::BTreeSet;

use tieup_protocol::decimal::Percent;
use tieup_protocol::path::SitePath;

use super::finding::{Finding, Seen};
use super::usual::Timeline;
use super::witness::{Beacons, Witness};
use crate::money::Exact;

/// How many beacons without an entry no tab that a browser brought back, and no clock that is some seconds off, explains:
/// 10. Part of `beacons/1` and `unlogged/1`.
pub const UNEXPLAINED: u64 = 10;

/// How many times the spread that chance has the missing entries are above what may be missing: 4. Part of `beacons/1`.
pub const CHANCES: u64 = 4;

/// What is found, for a journal that has served the pages `served`.
pub(super) fn apply(timeline: &Timeline, served: &BTreeSet<SitePath>, witness: &Witness) -> Vec<Finding> {
    let beacons = &witness.beacons;
    let mut found: Vec<Finding> = fewer_served(timeline, beacons).into_iter().collect();
    found.extend(unlogged_hours(timeline, beacons));
    found.extend(unlogged_pages(served, beacons));
    found
}

/// `beacons/1`: fewer tie-up pages served than beacons were counted, over all hours from the first with beacons to the
/// last that can be compared; [`UNEXPLAINED`] fewer or more, and more than the contract's tolerance and chance explain.
fn fewer_served(timeline: &Timeline, beacons: &Beacons) -> Option<Finding> {
    let tolerance = beacons.tolerance?;
    let (first, last) = (beacons.comparable_hours().next()?.0, beacons.comparable_hours().last()?.0);
    let counted: u64 = beacons.comparable_hours().map(|(_, number)| number).sum();
    // What was served just before an hour began may have its beacon in it.
    let served: u64 = (first - 1..=last).map(|hour| timeline.at(hour).served).sum();
    let missing = counted.checked_sub(served)?;
    let is_far = missing >= UNEXPLAINED && is_beyond(missing, counted, tolerance);
    is_far.then_some(Finding { first, last, seen: Seen::FewerServed { beacons: counted, served, tolerance } })
}

/// Whether so many are missing that neither tolerance nor chance explains it. Where each of `beacons` lacks its entry
/// with the chance that the tolerance allows, `expected` of them do, and that number spreads by its root: it must be
/// more than [`CHANCES`] roots above.
fn is_beyond(missing: u64, beacons: u64, tolerance: Percent) -> bool {
    let whole = |number: u64| Exact::from(u128::from(number));
    let expected = whole(beacons) * &Exact::from(tolerance);
    let above = whole(missing) - &expected;
    !above.is_negative() && above.clone() * &above > whole(CHANCES * CHANCES) * &expected
}

/// `unlogged/1`: hours with [`UNEXPLAINED`] beacons or more in which the journal has served no tie-up page. Such hours
/// one after another are one finding.
fn unlogged_hours(timeline: &Timeline, beacons: &Beacons) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for (hour, number) in beacons.comparable_hours() {
        if number < UNEXPLAINED || timeline.at(hour).served > 0 {
            continue;
        }
        match found.last_mut() {
            Some(Finding { last, seen: Seen::UnloggedHours { hours, beacons }, .. }) if *last == hour - 1 => {
                (*last, *hours, *beacons) = (hour, *hours + 1, *beacons + number);
            }
            _ => found.push(Finding::at(hour, Seen::UnloggedHours { hours: 1, beacons: number })),
        }
    }
    found
}

/// `unlogged/1`: pages with [`UNEXPLAINED`] beacons or more that the journal has never served, where it has served
/// others.
fn unlogged_pages(served: &BTreeSet<SitePath>, beacons: &Beacons) -> Option<Finding> {
    let lacking = |(page, number): &(&SitePath, u64)| *number >= UNEXPLAINED && !served.contains(*page);
    let pages: Vec<(&SitePath, u64)> = beacons.comparable_pages().into_iter().filter(lacking).collect();
    let (most, _) = pages.iter().max_by_key(|(page, number)| (*number, std::cmp::Reverse(*page)))?;
    if served.is_empty() {
        // The hours tell it all.
        return None;
    }
    let days = || beacons.pages.keys().filter(|(_, page)| pages.iter().any(|(other, _)| *other == page));
    let days = || days().map(|(day, _)| *day).filter(|day| (day + 1) * 24 <= beacons.until);
    let seen = Seen::UnloggedPages {
        pages: pages.len() as u64,
        beacons: pages.iter().map(|(_, number)| number).sum(),
        most: (*most).clone(),
    };
    Some(Finding { first: days().min()? * 24, last: days().max()? * 24 + 23, seen })
}
