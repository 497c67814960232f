//! Findings: what is worth a question in main's verified copy of a partner's journal. Nobody is asked, and nothing is
//! kept: whoever looks again finds the same.

use tieup_fees::{Findings, StatementError, examine};
use tieup_protocol::period::{Month, Zone};
use tieup_store::journal::ReadError;

use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// What was found in a month, and how its hours were cut.
#[derive(Debug)]
pub struct Examined {
    /// The zone of the contract that the month is charged under.
    pub zone: Zone,
    /// What was found.
    pub found: Findings,
}

/// Why nothing can be said of a journal.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// There is no copy, or no contract.
    #[error(transparent)]
    Copy(#[from] StatementFailure),
    /// Main's copy holds what is no entry.
    #[error("main's copy of the journal cannot be examined")]
    Entries(#[from] StatementError<ReadError>),
}

impl Hub {
    /// Looks through a month of a partner's journal, up to what main has cosigned.
    ///
    /// # Errors
    /// See [`ExamineError`].
    pub async fn examine(&self, partner: &PartnerRow, month: Month) -> Result<Examined, ExamineError> {
        let zone = self.charged_by_record(partner, month).await?.effective.tz;
        let (reader, _, size) = self.cosigned_copy(partner, month)?;
        let entries = reader.entries(0..size).map_err(StatementFailure::from)?;
        let found = examine(&zone, month, entries)?;
        Ok(Examined { zone, found })
    }
}
