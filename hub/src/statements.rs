//! Statements: what a partner owes for a month, computed from main's verified copy of its journal.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tieup_fees::compute::count;
use tieup_fees::{Account, Counted, JournalHead, Statement, StatementError, statement};
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::contract::{Contract, Side, charged_under};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{STATEMENT, StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::journal::{
    CheckpointError, InvalidKey, JournalReader, Origin, ReadError, SignedCheckpoint, month_dir, months,
};
use tieup_web::client::CallError;

use crate::database::{DatabaseError, PartnerRow, ReleaseRow, StatementRow};
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
    /// The partner has verified nothing of main's own log, by which it is charged.
    #[error("the partner has not verified your own log of {0} yet: it is charged up to what it has cosigned")]
    NotWitnessed(Month),
    /// What the partner has verified cannot be read.
    #[error(transparent)]
    Receipts(#[from] DocumentError),
    /// The contract cannot be used.
    #[error("the contract cannot be used:\n{0}")]
    Contract(Diagnostic),
    /// Nothing was ever approved, so there is no contract in force.
    #[error("the partner has approved no release yet, so no contract is in force")]
    NoContract,
    /// The cosigned checkpoint in main's copy is damaged.
    #[error("main's copy of the journal has a damaged checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// The partner's key is damaged in the database.
    #[error("the partner's journal key cannot be used")]
    Key(#[from] InvalidKey),
    /// A final statement does not change.
    #[error("the statement for {0} has been issued and is final; corrections belong in the next month")]
    Issued(Month),
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
        let contract = self.charged_under(partner, month).await?;
        let (counted, head) = match contract.journal.writer {
            Side::Main => self.counted_by_main(partner, &contract, month)?,
            Side::Partner | Side::Both => self.counted(partner, &contract, contract.period(month))?,
        };
        let status = status(&contract, month, now);
        let account = Account::of_visits(&head, &counted, status);
        let statement = statement(&contract, month, &account).map_err(StatementError::from)?;
        let notice = StatementNotice { month, size: head.size, status, statement: statement.text.clone() };
        let mut row = StatementRow { statement: statement.text.clone(), status, verdict: None };
        if !self.database.put_statement(&partner.id, month, &row).await? {
            return Err(StatementFailure::Issued(month));
        }
        let verdict: StatementVerdict = self.call(partner).await?.post(STATEMENT, &notice).await?;
        row.verdict = serde_json::to_string(&verdict).ok();
        self.database.put_statement(&partner.id, month, &row).await?;
        Ok(Delivered { statement, verdict })
    }

    /// What main's own log of visits to a partner's pages comes to, and its head. No rollup is kept of it: which of its
    /// entries count depends on the contract's mounts.
    fn counted_by_main(
        &self,
        partner: &PartnerRow,
        contract: &Contract,
        month: Month,
    ) -> Result<(Counted, JournalHead), StatementFailure> {
        let (reader, origin, size) = self.witnessed(partner, month)?;
        let head = JournalHead { origin: origin.to_string(), size, root: reader.root_at(size)?.to_string() };
        let entries = reader.entries(0..size)?.map(|entry| entry.map(|entry| contract.of_mains_log(entry)));
        Ok((count(contract, month, entries)?, head))
    }

    /// Main's copy of a journal, whose it is, and how many of its entries main has cosigned.
    ///
    /// # Errors
    /// Nothing was collected or cosigned, or the copy cannot be read.
    pub(crate) fn cosigned_copy(
        &self,
        partner: &PartnerRow,
        month: Month,
    ) -> Result<(JournalReader, Origin, u64), StatementFailure> {
        let mirrors = self.mirrors(partner);
        if !months(&mirrors)?.contains(&month) {
            return Err(StatementFailure::NotCollected(month));
        }
        let reader = JournalReader::open(month_dir(&mirrors, month))?;
        let cosigned = reader.cosigned()?.ok_or(StatementFailure::NotCollected(month))?;
        let origin = Origin::new(&self.config.main, &partner.id, month);
        let checkpoint = SignedCheckpoint::open(cosigned.as_bytes(), &origin, &partner.journal_key.parse()?)?;
        Ok((reader, origin, checkpoint.size()))
    }

    /// The contract that `month` is charged under, of all that the partner has approved; it is asked first.
    async fn charged_under(&self, partner: &PartnerRow, month: Month) -> Result<Contract, StatementFailure> {
        self.status(partner).await?;
        self.charged_by_record(partner, month).await
    }

    /// The contract that `month` is charged under, of all that the partner has approved by main's own record.
    ///
    /// # Errors
    /// None was approved, or it cannot be read.
    pub(crate) async fn charged_by_record(
        &self,
        partner: &PartnerRow,
        month: Month,
    ) -> Result<Contract, StatementFailure> {
        charged_under(self.approved(partner).await?, month).ok_or(StatementFailure::NoContract)
    }

    /// The contracts that the partner has approved by main's own record, each once.
    async fn approved(&self, partner: &PartnerRow) -> Result<Vec<Contract>, StatementFailure> {
        let was_live =
            |row: &ReleaseRow| [ReleaseState::Live.word(), ReleaseState::Retired.word()].contains(&&*row.state);
        let rows = self.database.releases(&partner.id).await?;
        let texts: BTreeSet<String> = rows.into_iter().filter(was_live).map(|row| row.contract).collect();
        let parse = |text: &String| Contract::parse("contract.yaml", text).map_err(StatementFailure::Contract);
        texts.iter().map(parse).collect()
    }

    /// What is agreed on with a partner by main's own record; by the contract that it is offered, while it has approved none.
    ///
    /// # Errors
    /// When a contract cannot be read.
    pub(crate) async fn agreed(&self, partner: &PartnerRow) -> Result<Vec<Contract>, StatementFailure> {
        let approved = self.approved(partner).await?;
        Ok(if approved.is_empty() { self.contract(&partner.id).into_iter().collect() } else { approved })
    }
}

/// A statement is final when the month and its days of grace are over.
fn status(contract: &Contract, month: Month, now: Timestamp) -> StatementStatus {
    let grace = SignedDuration::from_secs(contract.terms.close.grace.seconds().into());
    let closes = month.next().start(&contract.effective.tz) + grace;
    if now >= closes { StatementStatus::Final } else { StatementStatus::Draft }
}
