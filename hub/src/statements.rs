//! Statements: what a partner owes for a month, computed from main's verified copy of its journal.

use jiff::{SignedDuration, Timestamp};
use tieup_fees::{JournalHead, Statement, StatementError, compute};
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::contract::Contract;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{STATEMENT, StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::durable::DiskError;
use tieup_store::journal::{JournalReader, Origin, ReadError, month_dir, months};
use tieup_web::client::CallError;

use crate::database::{DatabaseError, PartnerRow, StatementRow};
use crate::partners::{Hub, HubError};

/// A statement and what the partner says of it.
#[derive(Debug)]
pub struct Delivered {
    /// The statement.
    pub statement: Statement,
    /// The partner's own result.
    pub verdict: StatementVerdict,
}

/// Why there is no statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementFailure {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Main's copy of the journal cannot be read.
    #[error("main's copy of the journal cannot be read")]
    Read(#[from] ReadError),
    /// Main's copies of the journals cannot be listed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Nothing has been collected.
    #[error("no journal of {0} has been collected: run `tieup log fetch` first")]
    NotCollected(Month),
    /// The contract cannot be used.
    #[error("the contract cannot be used:\n{0}")]
    Contract(Diagnostic),
    /// Nothing was ever published, so there is no contract in force.
    #[error("no release is live at the partner, so no contract is in force there")]
    NoContract,
    /// The fee cannot be computed.
    #[error("the statement cannot be computed")]
    Fees(#[from] StatementError<ReadError>),
    /// The partner could not be told.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Hub {
    /// Computes a partner's statement for `month` up to the last cosigned checkpoint, keeps it, hands it to the
    /// partner and returns its verdict.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn statement(
        &self,
        partner: &PartnerRow,
        month: Month,
        now: Timestamp,
    ) -> Result<Delivered, StatementFailure> {
        let contract = self.contract_in_force(partner).await?;
        let mirrors = self.mirrors(partner);
        if !months(&mirrors)?.contains(&month) {
            return Err(StatementFailure::NotCollected(month));
        }
        let reader = JournalReader::open(month_dir(&mirrors, month))?;
        if reader.cosigned()?.is_none() {
            return Err(StatementFailure::NotCollected(month));
        }
        let size = reader.size();
        let head = JournalHead {
            origin: Origin::new(&self.config.main, &partner.id, month).to_string(),
            size,
            root: reader.root_at(size)?.to_string(),
        };
        let status = status(&contract, month, now);
        let statement = compute(&contract, month, &head, reader.entries(0..size)?, status)?;
        let notice = StatementNotice { month, size, status, statement: statement.text.clone() };
        let mut row = StatementRow { statement: statement.text.clone(), verdict: None };
        self.database.put_statement(&partner.id, month, &row).await?;
        let verdict: StatementVerdict = self.call(partner).await?.post(STATEMENT, &notice).await?;
        row.verdict = serde_json::to_string(&verdict).ok();
        self.database.put_statement(&partner.id, month, &row).await?;
        Ok(Delivered { statement, verdict })
    }

    /// The contract of the release that is live at the partner.
    async fn contract_in_force(&self, partner: &PartnerRow) -> Result<Contract, StatementFailure> {
        let status = self.status(partner).await?;
        let live = status.releases.iter().find(|record| record.state == ReleaseState::Live);
        let live = live.ok_or(StatementFailure::NoContract)?;
        let row = self.database.release(&partner.id, live.version).await?.ok_or(StatementFailure::NoContract)?;
        Contract::parse("contract.yaml", &row.contract).map_err(StatementFailure::Contract)
    }
}

/// A statement is final when the month and its days of grace are over.
fn status(contract: &Contract, month: Month, now: Timestamp) -> StatementStatus {
    let grace = SignedDuration::from_secs(contract.terms.close.grace.seconds().into());
    let closes = month.next().start(&contract.effective.tz) + grace;
    if now >= closes { StatementStatus::Final } else { StatementStatus::Draft }
}
