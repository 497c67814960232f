//! Which version of a contract governs which days of a month.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::terms::Proration;
use super::{Contract, charged_under};
use crate::digest::Digest;
use crate::period::{Month, Period};

/// A contract and the days of a month that it governs.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The contract.
    pub contract: Contract,
    /// The days.
    pub period: Period,
}

impl Contract {
    /// The days of `month` that this contract governs as long as no later version does: all of them, unless it is
    /// prorated by days and begins or ends within the month.
    pub fn period(&self, month: Month) -> Period {
        let whole = Period::whole(month);
        match self.terms.money.prorate {
            Proration::None => whole,
            Proration::Days => {
                let last = self.effective.until.unwrap_or(Date::MAX);
                whole.within(self.effective.from, last).unwrap_or(whole)
            }
        }
    }

    /// The first day that this version governs.
    fn first_governed(&self) -> Date {
        let from = self.effective.from;
        match self.terms.money.prorate {
            Proration::Days => from,
            Proration::None if from.day() == 1 => from,
            Proration::None => Month::of_day(from).next().first_day(),
        }
    }

    /// The last day that this version governs where no later one does.
    fn last_governed(&self) -> Date {
        match (self.effective.until, self.terms.money.prorate) {
            (None, _) => Date::MAX,
            (Some(until), Proration::Days) => until,
            (Some(until), Proration::None) => until.last_of_month(),
        }
    }
}

/// The versions that govern `month`, each with its days, in their order; days that none governs are in no segment.
///
/// A day is governed by the highest of the versions that had begun by then; where that one has ended, by none. Before
/// any has begun, a month is the lowest version's, whole, as [`charged_under`] says.
pub fn segments(contracts: impl IntoIterator<Item = Contract>, month: Month) -> Vec<Segment> {
    let mut contracts: Vec<Contract> = contracts.into_iter().collect();
    contracts.sort_by_key(|contract| contract.id.version);
    let whole = Period::whole(month);
    if contracts.iter().all(|contract| contract.first_governed() > whole.last()) {
        let lowest = charged_under(contracts, month);
        return lowest.map(|contract| Segment { contract, period: whole }).into_iter().collect();
    }
    let governed = |at: usize| {
        let later = contracts[at + 1..].iter().map(Contract::first_governed).min();
        let before_later = later.map_or(Date::MAX, |day| day.yesterday().unwrap_or(Date::MIN));
        let last = contracts[at].last_governed().min(before_later);
        Some((at, whole.within(contracts[at].first_governed(), last)?))
    };
    let mut parts: Vec<(usize, Period)> = (0..contracts.len()).filter_map(governed).collect();
    parts.sort_by_key(|(_, period)| period.first());
    parts.into_iter().map(|(at, period)| Segment { contract: contracts[at].clone(), period }).collect()
}

/// The version that says who writes the log of `month`, of which statements were issued under the `pinned` contracts: no
/// version above those counts, so that the log of what was issued stays the same one.
pub fn charged_until(contracts: Vec<Contract>, month: Month, pinned: &BTreeSet<Digest>) -> Option<Contract> {
    let of_pinned = contracts.iter().filter(|contract| pinned.contains(&contract.digest()));
    let highest = of_pinned.map(|contract| contract.id.version).max().unwrap_or(u32::MAX);
    charged_under(contracts.into_iter().filter(|contract| contract.id.version <= highest), month)
}

/// The first of the `issued` periods, each with the contract that it was charged under, that would be charged under another
/// one if `offered` were agreed on beside the versions that are; none where `offered` leaves them as they are.
pub fn reaches_back(
    offered: &Contract,
    agreed: &[Contract],
    issued: impl IntoIterator<Item = (Period, Digest)>,
) -> Option<Period> {
    if agreed.iter().any(|contract| contract.digest() == offered.digest()) {
        return None;
    }
    let governs = |contracts: Vec<Contract>, (period, digest): (Period, Digest)| {
        let segments = segments(contracts, period.month());
        segments.iter().any(|segment| segment.period == period && segment.contract.digest() == digest)
    };
    let with_it = || -> Vec<Contract> { agreed.iter().chain([offered]).cloned().collect() };
    let writer = |contracts: Vec<Contract>, (period, _): (Period, Digest)| {
        charged_under(contracts, period.month()).map(|contract| contract.journal.writer)
    };
    let mut changed = issued.into_iter().filter(|it| {
        let is_moved = governs(agreed.to_vec(), *it) && !governs(with_it(), *it);
        is_moved || writer(agreed.to_vec(), *it) != writer(with_it(), *it)
    });
    changed.next().map(|(period, _)| period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::robots;

    fn contract(version: u32, effective: &str, prorate: &str) -> Contract {
        let robots = robots::list_digest();
        let text = format!(
            r#"contract: main/shop@{version}
effective: {{{effective}, tz: Asia/Tokyo}}
partnership: inherited
mounts: {{"/": main}}
approval: {{policy: ask}}
journal: {{writer: partner, verifier: both}}
count: {{rules: page-view/1, robots: "{robots}", double_click: 30s, session: hour}}
money: {{currency: JPY, round: half_up, at: line, prorate: {prorate}}}
meters: {{tie: {{views: {{class: tieup}}}}}}
charges: {{base: {{by: partnership, link: 0, framework: 20000, inherited: 50000}}}}
close: {{grace: 5d, late: next_period_correction}}
"#
        );
        Contract::parse("contract.yaml", &text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The versions and days that govern November 2026.
    fn november(contracts: &[Contract]) -> Vec<(u32, i8, i8)> {
        let segments = segments(contracts.iter().cloned(), "2026-11".parse().unwrap());
        let days = |segment: &Segment| {
            (segment.contract.id.version, segment.period.first().day(), segment.period.last().day())
        };
        segments.iter().map(days).collect()
    }

    #[test]
    fn a_version_supersedes_those_before_it_from_its_day() {
        let first = contract(1, "from: 2026-01-01", "none");
        // Not prorated: from the next month on. Prorated: from the very day.
        assert_eq!(november(&[first.clone(), contract(2, "from: 2026-11-16", "none")]), [(1, 1, 30)]);
        assert_eq!(november(&[first.clone(), contract(2, "from: 2026-11-16", "days")]), [(1, 1, 15), (2, 16, 30)]);
        assert_eq!(november(&[contract(2, "from: 2026-11-01", "none"), first.clone()]), [(2, 1, 30)]);
        let three = [first, contract(2, "from: 2026-11-10", "days"), contract(3, "from: 2026-11-20", "days")];
        assert_eq!(november(&three), [(1, 1, 9), (2, 10, 19), (3, 20, 30)]);
    }

    #[test]
    fn a_version_that_begins_before_an_earlier_one_leaves_it_nothing() {
        let late = contract(1, "from: 2026-11-20", "days");
        assert_eq!(november(&[late, contract(2, "from: 2026-11-10", "days")]), [(2, 10, 30)]);
    }

    #[test]
    fn what_has_ended_does_not_come_back_and_days_without_a_contract_are_nobodys() {
        let first = contract(1, "from: 2026-01-01", "days");
        let short = contract(2, "from: 2026-11-05, until: 2026-11-10", "days");
        assert_eq!(november(&[first, short]), [(1, 1, 4), (2, 5, 10)]);
        assert_eq!(november(&[contract(1, "from: 2026-11-16", "days")]), [(1, 16, 30)]);
        assert_eq!(november(&[contract(1, "from: 2026-01-01, until: 2026-11-10", "none")]), [(1, 1, 30)]);
        assert_eq!(november(&[contract(1, "from: 2026-01-01, until: 2026-10-10", "none")]), []);
    }

    #[test]
    fn a_version_that_reaches_into_an_issued_period_is_told_apart() {
        let first = contract(1, "from: 2026-01-01", "none");
        let issued = |text: &str| (text.parse::<Period>().unwrap(), first.digest());
        let october = [issued("2026-09"), issued("2026-10")];
        let reached = |effective: &str, prorate: &str| {
            reaches_back(&contract(2, effective, prorate), std::slice::from_ref(&first), october)
        };
        assert_eq!(reached("from: 2026-11-01", "none"), None);
        assert_eq!(reached("from: 2026-10-02", "none"), None, "not prorated, it takes effect in November");
        assert_eq!(reached("from: 2026-10-02", "days"), Some("2026-10".parse().unwrap()));
        assert_eq!(reached("from: 2026-02-01", "none"), Some("2026-09".parse().unwrap()));
        assert_eq!(reaches_back(&first, std::slice::from_ref(&first), october), None, "it is in force");
        // Of a month in parts, those that were issued are held alone.
        let agreed = [first.clone(), contract(2, "from: 2026-11-16", "days")];
        let third = contract(3, "from: 2026-11-20", "days");
        let part = |text: &str, of: &Contract| (text.parse::<Period>().unwrap(), of.digest());
        assert_eq!(reaches_back(&third, &agreed, [part("2026-11-01_2026-11-15", &first)]), None);
        let second = part("2026-11-16_2026-11-30", &agreed[1]);
        assert_eq!(reaches_back(&third, &agreed, [second]), Some(second.0));
    }

    #[test]
    fn who_writes_a_month_is_not_said_by_a_version_above_those_that_it_was_issued_under() {
        let two = [contract(1, "from: 2026-01-01", "none"), contract(2, "from: 2026-11-01", "none")];
        let says = |pinned: &[&Contract]| {
            let pinned = pinned.iter().map(|contract| contract.digest()).collect();
            charged_until(two.to_vec(), "2026-11".parse().unwrap(), &pinned).map(|contract| contract.id.version)
        };
        assert_eq!((says(&[]), says(&[&two[0]]), says(&[&two[1]])), (Some(2), Some(1), Some(2)));
    }

    #[test]
    fn before_any_has_begun_the_lowest_is_shown() {
        assert_eq!(november(&[contract(1, "from: 2026-11-16", "none")]), [(1, 1, 30)]);
        assert_eq!(
            november(&[contract(2, "from: 2027-01-01", "days"), contract(1, "from: 2026-12-01", "days")]),
            [(1, 1, 30)]
        );
        assert_eq!(november(&[]), []);
    }

    #[test]
    fn a_prorated_contract_governs_its_days_alone() {
        let month = "2026-11".parse().unwrap();
        let days = |effective: &str, prorate: &str| contract(1, effective, prorate).period(month).days();
        assert_eq!(days("from: 2026-11-16", "days"), 15);
        assert_eq!(days("from: 2026-11-16, until: 2026-11-20", "days"), 5);
        assert_eq!(days("from: 2026-11-16", "none"), 30);
        assert_eq!(days("from: 2026-12-16", "days"), 30);
    }
}
