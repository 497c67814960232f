//! Statements: what a partner owes for a month, computed from main's verified copy of its journal.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tieup_fees::basis::charged_so_far;
use tieup_fees::compute::count;
use tieup_fees::{Basis, BasisError, Counted, Issued, JournalHead, Ledger, Made, Maker, StatementError, closes};
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::contract::{Contract, Side, charged_under};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::dispute::{Decision, Dispute};
use tieup_protocol::period::Month;
use tieup_protocol::wire::{Cause, Revision, STATEMENT, StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::journal::{
    CheckpointError, InvalidKey, JournalReader, Origin, ReadError, SignedCheckpoint, SignedText, SignedTextError,
    month_dir, months,
};
use tieup_web::client::CallError;

use crate::database::{DatabaseError, PartnerRow, ReleaseRow, StatementRow};
use crate::partners::{Hub, HubError};

/// A statement and what the partner says of it.
#[derive(Debug)]
pub struct Delivered {
    /// The statement, as the partner was told it.
    pub notice: StatementNotice,
    /// Whether it was issued, or when it can be.
    pub standing: Standing,
    /// The partner's own result.
    pub verdict: StatementVerdict,
}

/// How far the statement of a month is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The month, or its days of grace, are not over.
    Open {
        /// When they are.
        closes: Timestamp,
    },
    /// It can be issued.
    Due,
    /// It was issued, and does not change.
    Issued,
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
    /// A month that is open is not issued.
    #[error("{month} is not closed yet: its statement can be issued from {} on", closes.strftime("%Y-%m-%d %H:%M UTC"))]
    Open {
        /// The month.
        month: Month,
        /// When it is closed.
        closes: Timestamp,
    },
    /// What was issued does not fit together.
    #[error("the statements that were issued do not fit together: {0}")]
    Basis(String),
    /// The copy of the journal here does not give what was issued any more.
    #[error("main's copy of the journal does not give the statement that was issued for {0}: tieup log verify")]
    Changed(Month),
    /// The statement cannot be signed.
    #[error("the statement cannot be signed")]
    Sign(#[from] SignedTextError),
    /// The fee cannot be computed.
    #[error("the statement cannot be computed")]
    Fees(#[from] StatementError<ReadError>),
    /// The partner could not be told.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Hub {
    /// The statement of a partner for `month`: the one that was issued, else a draft up to the last cosigned checkpoint.
    /// Hands it to the partner and returns its verdict.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn statement(
        &self,
        partner: &PartnerRow,
        month: Month,
        now: Timestamp,
    ) -> Result<Delivered, StatementFailure> {
        self.status(partner).await?;
        let books = self.books(partner).await?;
        if let Some(notice) = books.notice(month) {
            return self.hand_over(partner, notice.clone(), now).await;
        }
        let (basis, made) = books.make(month, StatementStatus::Draft)?;
        let row =
            StatementRow { statement: made.statement.text.clone(), status: StatementStatus::Draft, verdict: None };
        if !self.database.put_statement(&partner.id, month, &row).await? {
            return Err(StatementFailure::Issued(month));
        }
        self.hand_over(partner, notice_of(&basis, &made, None), now).await
    }

    /// Issues the statement of a partner for `month`, whose days of grace are over at `now`: signs it and keeps it for
    /// good. One that was issued before is the same to the byte. Hands it to nobody.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn issue(
        &self,
        partner: &PartnerRow,
        month: Month,
        now: Timestamp,
    ) -> Result<StatementNotice, StatementFailure> {
        let books = self.books(partner).await?;
        if let Some(notice) = books.notice(month) {
            return Ok(notice.clone());
        }
        if let Standing::Open { closes } = books.standing(month, now)? {
            return Err(StatementFailure::Open { month, closes });
        }
        let (basis, made) = books.make(month, StatementStatus::Final)?;
        let row =
            StatementRow { statement: made.statement.text.clone(), status: StatementStatus::Final, verdict: None };
        let note = SignedText::sign(&made.statement.text, &self.keys.cosigner().map_err(HubError::from)?, now)?;
        let notice = self.database.put_issued(&partner.id, &notice_of(&basis, &made, Some(&note))).await?;
        self.database.put_statement(&partner.id, month, &row).await?;
        Ok(notice)
    }

    /// The months of which something was fetched from a partner, that are closed at `now` and were not issued.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn due_statements(&self, partner: &PartnerRow, now: Timestamp) -> Result<Vec<Month>, StatementFailure> {
        let books = self.books(partner).await?;
        let mut due = Vec::new();
        let logged: BTreeSet<Month> =
            months(&self.mirrors(partner))?.into_iter().chain(months(&self.own_journals())?).collect();
        for month in logged {
            let is_there = match books.log(&books.contract(month)?, month) {
                Err(StatementFailure::NotCollected(_) | StatementFailure::NotWitnessed(_)) => false,
                log => log.map(|_| true)?,
            };
            if is_there && books.standing(month, now)? == Standing::Due {
                due.push(month);
            }
        }
        Ok(due)
    }

    /// Hands a statement to the partner, keeps its verdict and returns it.
    ///
    /// # Errors
    /// When the partner cannot be reached or refuses the statement; what was issued stays issued.
    pub async fn hand_over(
        &self,
        partner: &PartnerRow,
        notice: StatementNotice,
        now: Timestamp,
    ) -> Result<Delivered, StatementFailure> {
        let verdict: StatementVerdict = self.call(partner).await?.post(STATEMENT, &notice).await?;
        let row = StatementRow {
            statement: notice.statement.clone(),
            status: notice.status,
            verdict: serde_json::to_string(&verdict).ok(),
        };
        self.database.put_statement(&partner.id, notice.month, &row).await?;
        let standing = self.books(partner).await?.standing(notice.month, now)?;
        Ok(Delivered { notice, standing, verdict })
    }

    /// The statement for `month` as it was issued, or as a draft, with what it was made from. Nobody is asked, and nothing
    /// is kept.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn made(&self, partner: &PartnerRow, month: Month) -> Result<(Made, StatementNotice), StatementFailure> {
        let books = self.books(partner).await?;
        let Some(notice) = books.notice(month) else {
            let (basis, made) = books.make(month, StatementStatus::Draft)?;
            let notice = notice_of(&basis, &made, None);
            return Ok((made, notice));
        };
        let made = Maker::new(&books, &books.issued).make(&Basis::of(notice))?;
        if made.statement.text != notice.statement {
            return Err(StatementFailure::Changed(month));
        }
        Ok((made, notice.clone()))
    }

    /// What is read to make a partner's statements, by main's own record.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn books<'a>(&'a self, partner: &'a PartnerRow) -> Result<MainBooks<'a>, StatementFailure> {
        let notices = self.database.issued(&partner.id).await?;
        let issued = notices.iter().map(|notice| (notice.month, Basis::of(notice))).collect();
        let approved = self.approved(partner).await?;
        let disputes = self.database.disputes().await?.into_iter().filter(|(of, _)| *of == partner.id);
        let accepted = |dispute: &Dispute| dispute.ruling.as_ref().is_some_and(|it| it.decision == Decision::Accepted);
        let accepted = disputes.map(|(_, dispute)| dispute).filter(accepted).map(|dispute| dispute.claim.month);
        Ok(MainBooks { hub: self, partner, approved, notices, issued, accepted: accepted.collect() })
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

    /// The log that a month is charged by under `contract`, whose it is, and how many of its entries the other side has
    /// cosigned: main's copy of the partner's, or main's own where main alone writes.
    ///
    /// # Errors
    /// Nothing was collected or cosigned, or the log cannot be read.
    pub(crate) fn charged_log(
        &self,
        partner: &PartnerRow,
        contract: &Contract,
        month: Month,
    ) -> Result<(JournalReader, Origin, u64), StatementFailure> {
        match contract.journal.writer {
            Side::Main => self.witnessed(partner, month),
            Side::Partner | Side::Both => self.cosigned_copy(partner, month),
        }
    }
}

/// An entry of the log that `contract` charges by, as it counts.
pub(crate) fn as_counted(contract: &Contract, entry: Vec<u8>) -> Vec<u8> {
    if contract.journal.writer == Side::Main { contract.of_mains_log(entry) } else { entry }
}

/// What main reads to make a partner's statements.
pub(crate) struct MainBooks<'a> {
    hub: &'a Hub,
    partner: &'a PartnerRow,
    approved: Vec<Contract>,
    /// What was issued, by month.
    notices: Vec<StatementNotice>,
    /// What that was made from.
    issued: Issued,
    /// The months whose statement was disputed, and main accepted it.
    accepted: BTreeSet<Month>,
}

impl MainBooks<'_> {
    /// What was issued for `month`.
    pub(crate) fn notice(&self, month: Month) -> Option<&StatementNotice> {
        self.notices.iter().find(|notice| notice.month == month)
    }

    /// How far the statement of `month` is at `now`.
    fn standing(&self, month: Month, now: Timestamp) -> Result<Standing, StatementFailure> {
        if self.notice(month).is_some() {
            return Ok(Standing::Issued);
        }
        let closes = closes(&self.contract(month)?, month);
        Ok(if now < closes { Standing::Open { closes } } else { Standing::Due })
    }

    /// The statement of `month` up to the last cosigned checkpoint.
    pub(crate) fn make(&self, month: Month, status: StatementStatus) -> Result<(Basis, Made), StatementFailure> {
        let (_, _, size) = self.log(&self.contract(month)?, month)?;
        let mut maker = Maker::new(self, &self.issued);
        let revisions = self.revisions(month, &mut maker)?;
        let basis = Basis { month, size, status, revisions };
        let made = maker.make(&basis)?;
        Ok((basis, made))
    }

    fn log(&self, contract: &Contract, month: Month) -> Result<(JournalReader, Origin, u64), StatementFailure> {
        self.hub.charged_log(self.partner, contract, month)
    }

    /// The earlier months whose fee is another by now than what was charged for them.
    fn revisions(&self, month: Month, maker: &mut Maker<'_, Self>) -> Result<Vec<Revision>, StatementFailure> {
        let mut revisions = Vec::new();
        for earlier in self.issued.keys().copied().take_while(|earlier| *earlier < month) {
            let (_, _, size) = self.log(&self.contract(earlier)?, earlier)?;
            if charged_so_far(&self.issued, earlier, month).is_none_or(|before| size <= before) {
                continue;
            }
            let cause = if self.accepted.contains(&earlier) { Cause::Dispute } else { Cause::LateEntries };
            let revision = Revision { month: earlier, size, cause };
            if maker.correction(month, &revision)?.is_some() {
                revisions.push(revision);
            }
        }
        Ok(revisions)
    }
}

impl Ledger for MainBooks<'_> {
    type Error = StatementFailure;

    fn contract(&self, month: Month) -> Result<Contract, StatementFailure> {
        charged_under(self.approved.iter().cloned(), month).ok_or(StatementFailure::NoContract)
    }

    fn head(&self, month: Month, size: u64) -> Result<JournalHead, StatementFailure> {
        let (reader, origin, _) = self.log(&self.contract(month)?, month)?;
        Ok(JournalHead { origin: origin.to_string(), size, root: reader.root_at(size)?.to_string() })
    }

    /// From the counts that are kept with each collection, where they are of so many entries; else the log is read. None are
    /// kept of main's own log: which of its entries count depends on the contract's mounts.
    fn count(&self, contract: &Contract, month: Month, size: u64) -> Result<Counted, StatementFailure> {
        if contract.journal.writer != Side::Main {
            let (counted, head) = self.hub.counted(self.partner, contract, contract.period(month))?;
            if head.size == size {
                return Ok(counted);
            }
        }
        let (reader, _, _) = self.log(contract, month)?;
        let entries = reader.entries(0..size)?.map(|entry| entry.map(|entry| as_counted(contract, entry)));
        Ok(count(contract, month, entries)?)
    }
}

fn notice_of(basis: &Basis, made: &Made, note: Option<&SignedText>) -> StatementNotice {
    StatementNotice {
        month: basis.month,
        size: basis.size,
        status: basis.status,
        statement: made.statement.text.clone(),
        revisions: basis.revisions.clone(),
        note: note.map(|note| note.note().to_owned()),
    }
}

/// A failure of main's own books is told as what it is.
impl From<BasisError<Self>> for StatementFailure {
    fn from(error: BasisError<Self>) -> Self {
        match error {
            BasisError::Ledger(failure) => failure,
            BasisError::Fee(error) => Self::Fees(error.into()),
            other => Self::Basis(other.to_string()),
        }
    }
}
