//! The partner's own statement: computed from its own journal and contract, and held against main's.

use tieup_fees::{Difference, JournalHead, Statement, StatementError, compute, first_difference};
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::document::{Document, DocumentError};
use tieup_store::journal::{JournalReader, Origin, ReadError};

use crate::publisher::PublishError;
use tieup_web::journal::JournalError;

/// The folder of main's statements in the state folder.
pub const STATEMENTS: &str = "statements";

/// Why a statement could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum StatementFailure {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// There is no journal, or it cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The kept releases cannot be read.
    #[error("the releases cannot be read")]
    Releases(#[from] Box<PublishError>),
    /// A final statement does not change.
    #[error("the statement for {0} is final; corrections belong in the next month")]
    Issued(Month),
    /// A final statement must count all that main has cosigned.
    #[error("main's final statement counts {counted} entries, but main has cosigned {cosigned}")]
    LeavesOut {
        /// What it counts.
        counted: u64,
        /// What it should count.
        cosigned: u64,
    },
    /// The fee cannot be computed.
    #[error("the statement cannot be computed")]
    Fees(#[from] StatementError<ReadError>),
    /// Main has not sent a statement for this month.
    #[error("main has sent no statement for {0} yet")]
    NoNotice(Month),
    /// What main sent could not be kept or read back.
    #[error("main's statement cannot be kept or read back")]
    Document(#[from] DocumentError),
    /// Main's own log, by which the month is charged, is not here.
    #[error("main's own log of {0}, by which it is charged, has not been verified here yet: `syncd log fetch`")]
    NotFetched(Month),
    /// No contract is in force.
    #[error("no release is live, so no contract is in force")]
    NoContract,
}

/// Where main's notice for a month is kept.
pub fn notice_document(state: &std::path::Path, month: Month) -> Document<StatementNotice> {
    Document::at(state.join(STATEMENTS).join(format!("{month}.json")))
}

/// Computes the statement that `notice` speaks of from the log that the contract charges by and the contract, and compares.
/// `reader` reads the partner's own journal, or its copy of main's log where main alone writes.
///
/// # Errors
/// When the journal is shorter than main says, or cannot be read.
pub fn verify(
    contract: &Contract,
    reader: &JournalReader,
    notice: &StatementNotice,
) -> Result<(Statement, StatementVerdict), StatementFailure> {
    check_complete(reader, notice)?;
    let is_mains = contract.journal.writer == Side::Main;
    let writer = if is_mains { &contract.id.main } else { &contract.id.partner };
    let head = head(&contract.id.main, writer, reader, notice)?;
    let counted = |entry| if is_mains { contract.of_mains_log(entry) } else { entry };
    let entries = reader.entries(0..notice.size)?.map(|entry| entry.map(counted));
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

/// Main may not leave out the end of a month that it has cosigned.
fn check_complete(reader: &JournalReader, notice: &StatementNotice) -> Result<(), StatementFailure> {
    let note = reader.cosigned()?.unwrap_or_default();
    // The daemon verified the note before it kept it; its second line is the size (c2sp.org/tlog-checkpoint).
    let cosigned = note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0);
    if notice.status == StatementStatus::Final && notice.size < cosigned {
        return Err(StatementFailure::LeavesOut { counted: notice.size, cosigned });
    }
    Ok(())
}

fn head(
    main: &SiteId,
    writer: &SiteId,
    reader: &JournalReader,
    notice: &StatementNotice,
) -> Result<JournalHead, ReadError> {
    let root = reader.root_at(notice.size)?.to_string();
    Ok(JournalHead { origin: Origin::new(main, writer, notice.month).to_string(), size: notice.size, root })
}
