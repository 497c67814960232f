//! The partner's own statement: computed from its own journal and contract, and held against main's.

use tieup_fees::{Difference, JournalHead, Statement, StatementError, compute, first_difference};
use tieup_protocol::contract::Contract;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{StatementNotice, StatementVerdict};
use tieup_store::document::{Document, DocumentError};
use tieup_store::journal::{JournalReader, Origin, ReadError};

/// Why a statement could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum StatementFailure {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// The fee cannot be computed.
    #[error("the statement cannot be computed")]
    Fees(#[from] StatementError<ReadError>),
    /// Main has not sent a statement for this month.
    #[error("main has sent no statement for {0} yet")]
    NoNotice(Month),
    /// What main sent could not be kept or read back.
    #[error("main's statement cannot be kept or read back")]
    Document(#[from] DocumentError),
    /// No contract is in force.
    #[error("no release is live, so no contract is in force")]
    NoContract,
}

/// Where main's notice for a month is kept.
pub fn notice_document(state: &std::path::Path, month: Month) -> Document<StatementNotice> {
    Document::at(state.join("statements").join(format!("{month}.json")))
}

/// Computes the statement that `notice` speaks of from the partner's own journal and contract, and compares.
///
/// # Errors
/// When the journal is shorter than main says, or cannot be read.
pub fn verify(
    contract: &Contract,
    reader: &JournalReader,
    notice: &StatementNotice,
) -> Result<(Statement, StatementVerdict), StatementFailure> {
    let head = head(&contract.id.main, &contract.id.partner, reader, notice)?;
    let entries = reader.entries(0..notice.size)?;
    let own = compute(contract, notice.month, &head, entries, notice.status)?;
    let verdict = match first_difference(&notice.statement, &own.text) {
        None => StatementVerdict::Identical,
        Some(Difference { line, left, right }) => StatementVerdict::Different {
            line: line as u64,
            main: left.unwrap_or_default(),
            partner: right.unwrap_or_default(),
        },
    };
    Ok((own, verdict))
}

fn head(
    main: &SiteId,
    partner: &SiteId,
    reader: &JournalReader,
    notice: &StatementNotice,
) -> Result<JournalHead, ReadError> {
    let root = reader.root_at(notice.size)?.to_string();
    Ok(JournalHead { origin: Origin::new(main, partner, notice.month).to_string(), size: notice.size, root })
}
