//! The statement: one partner's fee for one period, as text that people read and machines compare byte by byte.
//!
//! A pure function of contract, journal head, counts, catalogue, sales, payments, corrections and status. This file
//! decides what is asked of them; what the numbers are is decided in `count`, `tariff` and `settlement`, and what stands
//! where in `text`.

use tieup_protocol::contract::Contract;
use tieup_protocol::digest::Digest;
use tieup_protocol::period::Month;
pub use tieup_protocol::wire::StatementStatus as Status;

use crate::books::Books;
use crate::count::Counted;
use crate::money::Money;
use crate::settlement::{Correction, Payment, Settlement, SettlementError, settle};
use crate::tariff::{Line, PricingError, price};
use crate::text::{self, Facts};

/// Everything that a statement is made from, beside the contract.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The head of the journal that was counted: its final checkpoint for a final statement.
    pub journal: &'a JournalHead,
    /// What is priced.
    pub books: Books<'a>,
    /// What was paid in advance for this period.
    pub payments: &'a [Payment],
    /// What of earlier months is charged or given back now.
    pub corrections: &'a [Correction],
    /// Draft or final.
    pub status: Status,
}

impl<'a> Account<'a> {
    /// An account of visits alone.
    pub fn of_visits(journal: &'a JournalHead, counted: &'a Counted, status: Status) -> Self {
        let books = Books { counted, catalogue: None, events: &[] };
        Self { journal, books, payments: &[], corrections: &[], status }
    }
}

/// The head of the journal that was counted, as its checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// The origin of the log.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root hash, as text.
    pub root: String,
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The canonical bytes: UTF-8, lines ended by LF, the last one too.
    pub text: String,
    /// The fee of the period.
    pub total: Money,
    /// What of it is still to be paid, with corrections.
    pub settlement: Settlement,
    /// The lines of the text's `charges` and `discounts and limits`.
    pub lines: Vec<Line>,
}

impl Statement {
    /// The digest of the canonical bytes, by which corrections, disputes and signatures name the statement.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }
}

/// Why there is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    /// The counts are of another month.
    #[error("the statement is for {asked}, but {counted} was counted")]
    OtherMonth {
        /// The month of the statement.
        asked: Month,
        /// The month that was counted.
        counted: Month,
    },
    /// The counts were made by other rules, or in another zone, than the contract's.
    #[error("the journal was counted by other rules than those of contract {0}")]
    OtherRules(String),
    /// The contract begins after the month, or ended before it; a final statement is refused, a draft shows what it would be.
    #[error("contract {contract} is not in effect in {month}")]
    NotInEffect {
        /// The contract.
        contract: String,
        /// The month.
        month: Month,
    },
    /// The journal's head does not have as many entries as were counted.
    #[error("the journal has {head} entries, but {counted} were counted")]
    OtherSize {
        /// The entries by the head.
        head: u64,
        /// The entries that were counted.
        counted: u64,
    },
    /// The journal's origin or root hash is not one line of printable ASCII without spaces.
    #[error("the journal's {0} is not one printable word")]
    JournalText(&'static str),
    /// The period cannot be priced.
    #[error(transparent)]
    Pricing(#[from] PricingError),
    /// What is still to be paid cannot be said.
    #[error(transparent)]
    Settlement(#[from] SettlementError),
}

/// Where two texts part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The number of the line, counted from 1.
    pub line: usize,
    /// The line in the first text; none where that has ended.
    pub left: Option<String>,
    /// The line in the second text; none where that has ended.
    pub right: Option<String>,
}

/// The statement of `month` under `contract`; its days are those that were counted.
///
/// The same arguments give the same bytes, wherever and whenever, and so do sales, payments and corrections in another
/// order.
///
/// # Errors
/// See [`FeeError`]: counts that belong to another month, journal or contract; what cannot be priced or settled.
pub fn statement(contract: &Contract, month: Month, account: &Account<'_>) -> Result<Statement, FeeError> {
    let Account { journal, books, payments, corrections, status } = *account;
    check_journal(journal, books.counted)?;
    check_counts(contract, month, books.counted)?;
    check_in_effect(contract, month, status)?;
    let priced = price(contract, &books)?;
    let settlement = settle(contract, books.counted.period(), priced.total, books.events, corrections, payments)?;
    let text = text::write(&Facts { contract, account, priced: &priced, settlement: &settlement });
    Ok(Statement { text, total: priced.total, settlement, lines: priced.lines })
}

fn check_journal(journal: &JournalHead, counted: &Counted) -> Result<(), FeeError> {
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    if !is_word(&journal.origin) {
        return Err(FeeError::JournalText("origin"));
    }
    if !is_word(&journal.root) {
        return Err(FeeError::JournalText("root hash"));
    }
    if journal.size != counted.entries {
        return Err(FeeError::OtherSize { head: journal.size, counted: counted.entries });
    }
    Ok(())
}

fn check_counts(contract: &Contract, month: Month, counted: &Counted) -> Result<(), FeeError> {
    if month != counted.month() {
        return Err(FeeError::OtherMonth { asked: month, counted: counted.month() });
    }
    if *counted.rules() != contract.terms.count || *counted.zone() != contract.effective.tz {
        return Err(FeeError::OtherRules(contract.id.to_string()));
    }
    Ok(())
}

/// A draft for an earlier month is a simulation, and its text says so; nobody is charged by it.
fn check_in_effect(contract: &Contract, month: Month, status: Status) -> Result<(), FeeError> {
    match status {
        Status::Final if !is_in_effect(contract, month) => {
            Err(FeeError::NotInEffect { contract: contract.id.to_string(), month })
        }
        Status::Draft | Status::Final => Ok(()),
    }
}

/// Whether the contract begins before `month` ends, and ends in it or later, or not at all.
pub(crate) fn is_in_effect(contract: &Contract, month: Month) -> bool {
    let begun = month.next().first_day() > contract.effective.from;
    begun && contract.effective.until.is_none_or(|until| until >= month.first_day())
}

/// The first line in which two statements differ; none where they are the same, byte for byte.
pub fn first_difference(a: &str, b: &str) -> Option<Difference> {
    let mut left = a.split('\n');
    let mut right = b.split('\n');
    for line in 1.. {
        match (left.next(), right.next()) {
            (None, None) => break,
            (l, r) if l == r => {}
            (l, r) => return Some(Difference { line, left: l.map(str::to_owned), right: r.map(str::to_owned) }),
        }
    }
    None
}

#[cfg(test)]
mod tests;
