//! Which version of a contract a period is charged under: by all that were ever approved, and by what was issued.

use std::collections::{BTreeMap, BTreeSet};

use tieup_protocol::contract::{Contract, Segment, Side, charged_until, segments};
use tieup_protocol::digest::Digest;
use tieup_protocol::period::{Month, Period};

/// The versions of a contract that one side knows to be approved. What was issued stays with the one that it was issued
/// under.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Versions {
    approved: Vec<Contract>,
    /// The contract of each issued period; none where its statement does not say it.
    issued: BTreeMap<Period, Option<Digest>>,
}

/// Why a period is charged under no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ungoverned {
    /// Nothing was ever approved.
    #[error("no release has been approved yet, so no contract is in force")]
    NoContract,
    /// No version governs a period, or not by itself.
    #[error("no version of the contract governs {0} by itself")]
    ByNone(Period),
    /// Several versions govern a month, and each has its statement.
    #[error(
        "{month} has a statement for each version of the contract that governs days of it; name one: {}",
        periods.iter().map(|period| period.key()).collect::<Vec<_>>().join(", ")
    )]
    Several {
        /// The month.
        month: Month,
        /// The periods.
        periods: Vec<Period>,
    },
    /// The contract that a statement was issued under is not among those that were approved.
    #[error("the statement for {0} was issued under contract {1}, which no release here has any more")]
    Gone(Period, Digest),
}

impl Versions {
    /// Those that were `approved`, where what was `issued` names its contract.
    pub fn new(approved: Vec<Contract>, issued: impl IntoIterator<Item = (Period, Option<Digest>)>) -> Self {
        Self { approved, issued: issued.into_iter().collect() }
    }

    /// All of them.
    pub fn approved(&self) -> &[Contract] {
        &self.approved
    }

    /// What was issued, with the contract that it was charged under.
    pub fn pinned(&self) -> impl Iterator<Item = (Period, Digest)> {
        self.issued.iter().filter_map(|(period, contract)| Some((*period, (*contract)?)))
    }

    /// The one that `period` is charged under: where its statement was issued, the one that it was issued under, whatever was
    /// approved since.
    ///
    /// # Errors
    /// See [`Ungoverned`].
    pub fn contract(&self, period: Period) -> Result<Contract, Ungoverned> {
        if let Some(pinned) = self.issued.get(&period).copied().flatten() {
            let found = self.approved.iter().find(|contract| contract.digest() == pinned);
            return found.cloned().ok_or(Ungoverned::Gone(period, pinned));
        }
        let is_open = self.issued.keys().all(|issued| !issued.overlaps(period));
        let segments = segments(self.approved.iter().cloned(), period.month()).into_iter();
        let found = segments.filter(|_| is_open).find(|Segment { period: of, .. }| *of == period);
        found.map(|Segment { contract, .. }| contract).ok_or_else(|| self.not_governed(period))
    }

    /// The periods of `month` that have a statement each: those that were issued, as they were, and of the versions that
    /// govern the month now, those whose days are in no issued one.
    pub fn periods(&self, month: Month) -> Vec<Period> {
        let mut periods: Vec<Period> = self.issued.keys().copied().filter(|period| period.month() == month).collect();
        let governed = segments(self.approved.iter().cloned(), month).into_iter().map(|segment| segment.period);
        let open: Vec<Period> = governed.filter(|open| periods.iter().all(|issued| !issued.overlaps(*open))).collect();
        periods.extend(open);
        periods.sort_unstable();
        periods
    }

    /// Who writes the log that `month` is charged by. It changes where a month begins alone.
    ///
    /// # Errors
    /// When nothing was ever approved.
    pub fn writer(&self, month: Month) -> Result<Side, Ungoverned> {
        let pinned: BTreeSet<Digest> =
            self.pinned().filter(|(period, _)| period.month() == month).map(|(_, contract)| contract).collect();
        let contract = charged_until(self.approved.clone(), month, &pinned).ok_or(Ungoverned::NoContract)?;
        Ok(contract.journal.writer)
    }

    /// Why `period` has no contract.
    fn not_governed(&self, period: Period) -> Ungoverned {
        let (month, periods) = (period.month(), self.periods(period.month()));
        if self.approved.is_empty() {
            Ungoverned::NoContract
        } else if period.is_whole() && periods.iter().any(|part| *part != period) {
            Ungoverned::Several { month, periods }
        } else {
            Ungoverned::ByNone(period)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    const FIRST: &str = "2026-11-01_2026-11-15";
    const SECOND: &str = "2026-11-16_2026-11-30";

    fn version(number: u32, from: &str) -> Contract {
        let (id, from) = (format!("harbor-shop@{number}"), format!("from: {from}"));
        fixture::contract_with(&[
            ("harbor-shop@3", &id),
            ("from: 2026-11-01", &from),
            ("at: line", "at: line, prorate: days"),
        ])
    }

    fn period(key: &str) -> Period {
        key.parse().unwrap()
    }

    fn of(approved: &[Contract], issued: &[(&str, &Contract)]) -> Versions {
        let issued = issued.iter().map(|(key, contract)| (period(key), Some(contract.digest())));
        Versions::new(approved.to_vec(), issued)
    }

    #[test]
    fn a_month_has_a_statement_for_each_version_and_what_was_issued_stays() {
        let two = [version(3, "2026-11-01"), version(4, "2026-11-16")];
        let periods =
            |versions: Versions| versions.periods(fixture::november()).into_iter().map(Period::key).collect::<Vec<_>>();
        assert_eq!(periods(of(&two, &[])), [FIRST, SECOND]);
        // A third version that reaches into what was issued changes nothing of it.
        let three = [&two[..], &[version(5, "2026-11-11")]].concat();
        assert_eq!(periods(of(&three, &[])), ["2026-11-01_2026-11-10", "2026-11-11_2026-11-30"]);
        assert_eq!(periods(of(&three, &[(SECOND, &two[1])])), ["2026-11-01_2026-11-10", SECOND]);
        assert_eq!(periods(of(&three, &[(FIRST, &two[0]), (SECOND, &two[1])])), [FIRST, SECOND]);
    }

    #[test]
    fn a_period_is_charged_under_the_version_that_governs_it_or_that_it_was_issued_under() {
        let two = [version(3, "2026-11-01"), version(4, "2026-11-16")];
        let number = |versions: &Versions, key: &str| versions.contract(period(key)).map(|found| found.id.version);
        let open = of(&two, &[]);
        assert_eq!((number(&open, FIRST), number(&open, SECOND)), (Ok(3), Ok(4)));
        let several = Ungoverned::Several { month: fixture::november(), periods: vec![period(FIRST), period(SECOND)] };
        assert_eq!(number(&open, "2026-11"), Err(several));
        let within = "2026-11-02_2026-11-03";
        assert_eq!(number(&open, within), Err(Ungoverned::ByNone(period(within))));
        assert_eq!(number(&of(&[], &[]), FIRST), Err(Ungoverned::NoContract));
        // Issued under the version before: the later one has nothing of it, and no part of it is open.
        let issued = of(&two, &[("2026-11", &two[0])]);
        assert_eq!(number(&issued, "2026-11"), Ok(3));
        assert_eq!(number(&issued, SECOND), Err(Ungoverned::ByNone(period(SECOND))));
        // One that does not say under which it was issued is no month with several statements.
        let unsaid = Versions::new(two.to_vec(), [(period("2026-11"), None)]);
        assert_eq!(number(&unsaid, "2026-11"), Err(Ungoverned::ByNone(period("2026-11"))));
        let gone = of(&two[1..], &[("2026-11", &two[0])]);
        assert_eq!(number(&gone, "2026-11"), Err(Ungoverned::Gone(period("2026-11"), two[0].digest())));
    }
}
