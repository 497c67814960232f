//! What an issued statement is made from, told in a few words, so that the other side makes it from its own journal.
//!
//! Main decides which months a statement corrects and up to which entry each journal counts; that alone is told. Both
//! sides go the same way from there, so that the partner takes no amount of main's on trust.

mod issued;
mod maker;
mod versions;

use std::collections::BTreeSet;
use std::sync::Arc;

use tieup_protocol::contract::{Contract, Currency};
use tieup_protocol::digest::Digest;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::wire::{Revision, StatementNotice};

use crate::charged::Charged;
use crate::count::Counted;
use crate::record::Recorded;
use crate::settlement::Correction;
use crate::statement::{FeeError, JournalHead, Statement, Status};

pub use self::issued::{Decided, Extent, Issued, charged_so_far, corrected_after, corrects, is_disputed, last_charged};
pub use self::maker::Maker;
pub use self::versions::{Ungoverned, Versions};

/// What a statement is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// The period.
    pub period: Period,
    /// How many entries of its month's journal count.
    pub size: u64,
    /// The strikes by which entries of it are left out.
    pub strikes: Vec<Digest>,
    /// How many entries of main's record count.
    pub record: u64,
    /// Draft or final.
    pub status: Status,
    /// What of earlier periods is corrected.
    pub revisions: Vec<Revision>,
    /// What was charged, where it was issued.
    pub charged: Option<Charged>,
}

/// Where contracts and journals are read.
pub trait Ledger {
    /// Why they cannot be read.
    type Error;

    /// The contract that `period` is charged under: where its statement was issued, the one that it was issued under,
    /// whatever was agreed on since.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    fn contract(&self, period: Period) -> Result<Contract, Self::Error>;

    /// The head of the first `size` entries of the journal of `month`.
    ///
    /// # Errors
    /// When the journal is shorter, or cannot be read.
    fn head(&self, month: Month, size: u64) -> Result<JournalHead, Self::Error>;

    /// The numbers of the entries that `strikes` leave out of the journal of `month`.
    ///
    /// # Errors
    /// When one of them is not agreed on, or is of another month or journal.
    fn struck(&self, month: Month, strikes: &[Digest]) -> Result<BTreeSet<u64>, Self::Error>;

    /// Whether `strike` is of the journal of `month` that is here, and not of one that was put aside for it.
    ///
    /// # Errors
    /// When it is not agreed on, or nobody can say: the journal is not what was signed for.
    fn is_of_log(&self, month: Month, strike: &Digest) -> Result<bool, Self::Error>;

    /// Whether the journal of `month` that is here begins with what was charged for: so many entries, with this root hash,
    /// where that is known. Else it came in the place of one that was put aside.
    ///
    /// # Errors
    /// When nobody can say: the journal is not what was signed for.
    fn begins_with(&self, month: Month, size: u64, root: Option<&str>) -> Result<bool, Self::Error>;

    /// What those entries of the journal of its month come to in `period` by the rules of `contract`, without those that
    /// are `struck` out.
    ///
    /// # Errors
    /// When the journal is shorter, or cannot be read.
    fn count(
        &self,
        contract: &Contract,
        period: Period,
        size: u64,
        struck: &BTreeSet<u64>,
    ) -> Result<Counted, Self::Error>;

    /// What the first `record` entries of main's record say of `period`, of which a statement of that status is made.
    ///
    /// # Errors
    /// When the record is shorter, or cannot be read or charged under `contract`.
    fn recorded(
        &self,
        contract: &Contract,
        period: Period,
        record: u64,
        status: Status,
    ) -> Result<Recorded, Self::Error>;
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
    /// What is right of the earlier periods that it corrects.
    pub corrected: Vec<Arc<Made>>,
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
    /// A period is corrected in its own statement, or in an earlier one.
    #[error("the statement for {statement} cannot correct {corrected}")]
    NotEarlier {
        /// The period of the statement.
        statement: Period,
        /// The period that would be corrected.
        corrected: Period,
    },
    /// A period is corrected twice in one statement.
    #[error("{0} is corrected twice in one statement")]
    Twice(Period),
    /// No statement was issued for a period, so there is nothing to correct.
    #[error("{0} is corrected, and no statement was issued for it")]
    NotIssued(Period),
    /// A correction counts less of a journal than was counted before.
    #[error("the correction of {period} counts {size} entries, and {before} were counted before")]
    Shrunk {
        /// The period.
        period: Period,
        /// What it counts.
        size: u64,
        /// What was counted before.
        before: u64,
    },
    /// What was charged for a period cannot be read from the statement that was issued, or its words, amounts and sums differ.
    #[error("the statement that was issued for {0} does not say what it charged, or its words and amounts differ")]
    Unsaid(Period),
    /// A period was charged in another currency than the statement that would correct it.
    #[error(
        "{} was charged for {} where {} is right by now, and the statement for {statement} is in {}",
        .correction.charged, .correction.period, .correction.owed, .currency.code()
    )]
    OtherCurrency {
        /// The period of the statement.
        statement: Period,
        /// Its currency.
        currency: Currency,
        /// What would be corrected.
        correction: Box<Correction>,
    },
    /// A correction takes back a strike.
    #[error("the correction of {0} counts entries again that were struck out")]
    Unstruck(Period),
    /// A correction goes by less of main's record than was gone by before.
    #[error("the correction of {period} goes by {record} entries of main's record, and by {before} it went before")]
    ShrunkRecord {
        /// The period.
        period: Period,
        /// What it goes by.
        record: u64,
        /// What was gone by before.
        before: u64,
    },
}

impl Basis {
    /// What the statement of `notice` is made from, as main says.
    pub fn of(notice: &StatementNotice) -> Self {
        let StatementNotice { period, size, record, status, ref strikes, ref revisions, ref statement, .. } = *notice;
        let charged = if status == Status::Final { Charged::read(statement) } else { None };
        Self { period, size, strikes: strikes.clone(), record, status, revisions: revisions.clone(), charged }
    }

    /// What it corrects of `period`.
    fn revision(&self, period: Period) -> Option<&Revision> {
        self.revisions.iter().find(|revision| revision.period == period)
    }
}

#[cfg(test)]
mod tests;
