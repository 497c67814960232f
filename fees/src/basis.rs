//! What an issued statement is made from, told in a few words, so that the other side makes it from its own journal.
//!
//! Main decides which months a statement corrects and up to which entry each journal counts; that alone is told. Both
//! sides go the same way from there, so that the partner takes no amount of main's on trust.

use std::collections::{BTreeMap, BTreeSet};

use tieup_protocol::contract::Contract;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{Revision, StatementNotice};

use crate::books::Books;
use crate::count::Counted;
use crate::settlement::Correction;
use crate::statement::{Account, FeeError, JournalHead, Statement, Status, statement};

/// What a statement is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The month.
    pub month: Month,
    /// How many entries of its journal count.
    pub size: u64,
    /// Draft or final.
    pub status: Status,
    /// What of earlier months is corrected.
    pub revisions: Vec<Revision>,
}

/// Where contracts and journals are read.
pub trait Ledger {
    /// Why they cannot be read.
    type Error;

    /// The contract that `month` is charged under.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn contract(&self, month: Month) -> Result<Contract, Self::Error>;

    /// The head of the first `size` entries of the journal of `month`.
    ///
    /// # Errors
    /// When the journal is shorter, or cannot be read.
    fn head(&self, month: Month, size: u64) -> Result<JournalHead, Self::Error>;

    /// What those entries come to by the rules of `contract`.
    ///
    /// # Errors
    /// When the journal is shorter, or cannot be read.
    fn count(&self, contract: &Contract, month: Month, size: u64) -> Result<Counted, Self::Error>;
}

/// A statement with what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// The contract.
    pub contract: Contract,
    /// The journal, counted.
    pub counted: Counted,
    /// The statement.
    pub statement: Statement,
}

/// Why no statement can be made; `E` is what reading a ledger can fail with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasisError<E> {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(E),
    /// There is no statement for what was counted.
    #[error(transparent)]
    Fee(#[from] FeeError),
    /// A month is corrected in its own statement, or in an earlier one.
    #[error("the statement for {statement} cannot correct {corrected}")]
    NotEarlier {
        /// The month of the statement.
        statement: Month,
        /// The month that would be corrected.
        corrected: Month,
    },
    /// A month is corrected twice in one statement.
    #[error("{0} is corrected twice in one statement")]
    Twice(Month),
    /// No statement was issued for a month, so there is nothing to correct.
    #[error("{0} is corrected, and no statement was issued for it")]
    NotIssued(Month),
    /// A correction counts less of a journal than was counted before.
    #[error("the correction of {month} counts {size} entries, and {before} were counted before")]
    Shrunk {
        /// The month.
        month: Month,
        /// What it counts.
        size: u64,
        /// What was counted before.
        before: u64,
    },
}

/// The statements that were issued, by month.
pub type Issued = BTreeMap<Month, Basis>;

impl Basis {
    /// What the statement of `notice` is made from, as main says.
    pub fn of(notice: &StatementNotice) -> Self {
        let StatementNotice { month, size, status, ref revisions, .. } = *notice;
        Self { month, size, status, revisions: revisions.clone() }
    }
}

/// How many entries of `month` have been charged for by statements for months before `until`; none where its own was
/// not issued.
pub fn charged_so_far(issued: &Issued, month: Month, until: Month) -> Option<u64> {
    let first = issued.get(&month)?.size;
    let later = issued.values().filter(|basis| basis.month > month && basis.month < until);
    let mut revised = later.flat_map(|basis| &basis.revisions).filter(|revision| revision.month == month);
    Some(revised.next_back().map_or(first, |revision| revision.size))
}

/// Makes statements from a ledger; what was made once is not made again.
pub struct Maker<'a, L> {
    ledger: &'a L,
    issued: &'a Issued,
    /// By month and number of entries, with the revisions that were issued for the month.
    made: BTreeMap<(Month, u64), Statement>,
}

impl<'a, L: Ledger> Maker<'a, L> {
    /// One that reads `ledger`, where `issued` has been issued.
    pub fn new(ledger: &'a L, issued: &'a Issued) -> Self {
        Self { ledger, issued, made: BTreeMap::new() }
    }

    /// The statement that `basis` tells of.
    ///
    /// # Errors
    /// See [`BasisError`].
    pub fn make(&mut self, basis: &Basis) -> Result<Made, BasisError<L::Error>> {
        let corrections = self.corrections(basis)?;
        let contract = self.ledger.contract(basis.month).map_err(BasisError::Ledger)?;
        let journal = self.ledger.head(basis.month, basis.size).map_err(BasisError::Ledger)?;
        let counted = self.ledger.count(&contract, basis.month, basis.size).map_err(BasisError::Ledger)?;
        let books = Books { counted: &counted, catalogue: None, events: &[] };
        let account =
            Account { journal: &journal, books, payments: &[], corrections: &corrections, status: basis.status };
        let statement = statement(&contract, basis.month, &account)?;
        Ok(Made { contract, counted, statement })
    }

    /// The correction of `revision` in the statement for `in_month`; none where it comes to the same fee.
    ///
    /// # Errors
    /// See [`BasisError`].
    pub fn correction(
        &mut self,
        in_month: Month,
        revision: &Revision,
    ) -> Result<Option<Correction>, BasisError<L::Error>> {
        let &Revision { month, size, cause } = revision;
        if month >= in_month {
            return Err(BasisError::NotEarlier { statement: in_month, corrected: month });
        }
        let before = charged_so_far(self.issued, month, in_month).ok_or(BasisError::NotIssued(month))?;
        if size < before {
            return Err(BasisError::Shrunk { month, size, before });
        }
        let (charged, right) = (self.counting(month, before)?, self.counting(month, size)?);
        Ok(Correction::between(month, &charged, &right, cause))
    }

    fn corrections(&mut self, basis: &Basis) -> Result<Vec<Correction>, BasisError<L::Error>> {
        let mut seen = BTreeSet::new();
        let mut corrections = Vec::new();
        for revision in &basis.revisions {
            if !seen.insert(revision.month) {
                return Err(BasisError::Twice(revision.month));
            }
            corrections.extend(self.correction(basis.month, revision)?);
        }
        Ok(corrections)
    }

    /// The statement that was issued for `month`, if it had counted `size` entries.
    fn counting(&mut self, month: Month, size: u64) -> Result<Statement, BasisError<L::Error>> {
        if let Some(made) = self.made.get(&(month, size)) {
            return Ok(made.clone());
        }
        let issued = self.issued.get(&month).ok_or(BasisError::NotIssued(month))?;
        let made = self.make(&Basis { size, ..issued.clone() })?.statement;
        self.made.insert((month, size), made.clone());
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tieup_protocol::wire::Cause;

    use super::*;
    use crate::fixture;

    /// A ledger in which every month has one view of a tie-up page for each entry.
    struct Simulated;

    impl Ledger for Simulated {
        type Error = Infallible;

        fn contract(&self, _: Month) -> Result<Contract, Infallible> {
            // 50 yen a view, and nothing else.
            Ok(fixture::contract_with(&[
                ("  - {minimum: 10000}\n", ""),
                ("inherited: 50000", "inherited: 0"),
                ("[0, \"0.50\"], [100000, \"0.30\"]", "[0, \"50\"]"),
            ]))
        }

        fn head(&self, month: Month, size: u64) -> Result<JournalHead, Infallible> {
            Ok(JournalHead { origin: format!("nationwide/harbor-shop/{month}"), size, root: format!("root{size}") })
        }

        fn count(&self, contract: &Contract, month: Month, size: u64) -> Result<Counted, Infallible> {
            let (terms, zone) = (&contract.terms.count, &contract.effective.tz);
            let mut counter = crate::count::Counter::new(terms, zone, month);
            let noon = month.start(zone) + jiff::SignedDuration::from_hours(12);
            for number in 0..size {
                let time = noon + jiff::SignedDuration::from_mins(i64::try_from(number).unwrap());
                counter
                    .observe(&tieup_protocol::access::AccessEntry { time, ..fixture::view("2026-11-01T00:00:00Z", 1) });
            }
            Ok(counter.finish())
        }
    }

    fn month(text: &str) -> Month {
        text.parse().unwrap()
    }

    fn basis(of: &str, size: u64, revisions: &[(&str, u64)]) -> Basis {
        let revision = |(of, size): &(&str, u64)| Revision { month: month(of), size: *size, cause: Cause::LateEntries };
        let revisions = revisions.iter().map(revision).collect();
        Basis { month: month(of), size, status: Status::Final, revisions }
    }

    fn issued(bases: &[Basis]) -> Issued {
        bases.iter().map(|basis| (basis.month, basis.clone())).collect()
    }

    #[test]
    fn what_came_late_is_charged_once_in_the_statements_after() {
        // November was issued with 10 views (500 yen). December corrects it to 12 (+100), January to 15 (+150): of the
        // second correction, 12 views are charged already.
        let issued = issued(&[basis("2026-11", 10, &[]), basis("2026-12", 4, &[("2026-11", 12)])]);
        let mut maker = Maker::new(&Simulated, &issued);
        let december = maker.make(&issued[&month("2026-12")]).unwrap().statement;
        assert_eq!((december.total.minor(), december.settlement.due.minor()), (200, 300), "{}", december.text);
        let january = maker.make(&basis("2027-01", 1, &[("2026-11", 15)])).unwrap().statement;
        assert_eq!((january.total.minor(), january.settlement.due.minor()), (50, 200), "{}", january.text);
        assert!(january.text.contains("entries came late: 600 was charged, 750 is right"), "{}", january.text);
        // The correction names the statements by digest: that which counted 12 entries, and that which counts 15.
        let right = maker.make(&basis("2026-11", 15, &[])).unwrap().statement.digest();
        assert!(january.text.contains(&format!("is  {right}")), "{}", january.text);
    }

    #[test]
    fn a_correction_that_makes_no_sense_is_refused() {
        let issued = issued(&[basis("2026-11", 10, &[])]);
        let refused = |of: &str, revisions: &[(&str, u64)]| {
            Maker::new(&Simulated, &issued).make(&basis(of, 1, revisions)).unwrap_err()
        };
        let shrunk = BasisError::Shrunk { month: month("2026-11"), size: 9, before: 10 };
        assert_eq!(refused("2026-12", &[("2026-11", 9)]), shrunk);
        assert_eq!(refused("2026-12", &[("2026-10", 9)]), BasisError::NotIssued(month("2026-10")));
        assert_eq!(refused("2026-12", &[("2026-11", 11), ("2026-11", 12)]), BasisError::Twice(month("2026-11")));
        let own = BasisError::NotEarlier { statement: month("2026-11"), corrected: month("2026-11") };
        assert_eq!(refused("2026-11", &[("2026-11", 11)]), own);
    }
}
