//! Statements: what a partner owes for a month, computed from main's verified copy of its journal.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use tieup_fees::{Basis, Charged, Made, StatementError, Ungoverned};
use tieup_protocol::approval::ReleaseState;
use tieup_protocol::contract::{Contract, Side, charged_under};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::wire::{STATEMENT, StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::journal::{
    CheckpointError, InvalidKey, JournalReader, LogVerifier, Origin, ReadError, SignedCheckpoint, SignedText,
    SignedTextError, VerifyError, checkpoint_note, cosigned_note, month_dir, months,
};
use tieup_web::client::CallError;

use crate::catalogue::CatalogueError;
use crate::database::{DatabaseError, PartnerRow, ReleaseRow, StatementRow};
use crate::findings::ExamineError;
use crate::partners::{Hub, HubError};
use crate::reviews::Held;
use crate::signers::signer_of;

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

/// How far the statement of a period is.
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
    /// The log here is not what was logged: nothing is counted.
    #[error(
        "the journal {0} does not verify here: put it back from a backup; `tieup log verify` tells when it is whole"
    )]
    Damaged(Origin, #[source] VerifyError),
    /// The log here is not the one that was cosigned: nothing is counted.
    #[error(
        "the first {1} entries of the journal {0} are not those that were cosigned: put it back from a backup; `tieup log verify` tells when it is whole"
    )]
    OtherThanCosigned(Origin, u64),
    /// Main's copies of the journals cannot be listed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Nothing has been collected.
    #[error(
        "no journal of {0} has been collected: `tieup log fetch` fetches what there is and names its months, which begin by the \
         clock of the contract's zone"
    )]
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
    /// No version of the contract governs the period.
    #[error(transparent)]
    Ungoverned(#[from] Ungoverned),
    /// It gives a discount by visits that nobody has looked at.
    #[error("the statement for {period} is held back: {held}")]
    Held {
        /// The period.
        period: Period,
        /// What holds it back.
        held: Held,
    },
    /// The journal of a statement that gives a discount cannot be examined.
    #[error("what holds the statement back cannot be examined")]
    Examine(#[source] Box<ExamineError>),
    /// How much the site held was never known, and the contract charges by it.
    #[error("it is not known how much the partner's site held")]
    Catalogue(#[source] Box<CatalogueError>),
    /// A statement goes by a strike that is not agreed on.
    #[error("strike {0} is not agreed on, or is of another month")]
    NotAgreed(Digest),
    /// A strike is of another log than the one that is here.
    #[error("strike {0} is of a log of this month with other entries than the one that is here")]
    OtherLog(Digest),
    /// The cosigned checkpoint in main's copy is damaged.
    #[error("main's copy of the journal has a damaged checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// The partner's key is damaged in the database.
    #[error("the partner's journal key cannot be used")]
    Key(#[from] InvalidKey),
    /// A final statement does not change.
    #[error("the statement for {0} has been issued and is final; corrections belong in the next one")]
    Issued(Period),
    /// A period whose month is open is not issued.
    #[error("{period} is not closed yet: its statement can be issued from {} on", closes.strftime("%Y-%m-%d %H:%M UTC"))]
    Open {
        /// The period.
        period: Period,
        /// When it is closed.
        closes: Timestamp,
    },
    /// The partner does not take the record that a statement goes by.
    #[error("the partner holds {held} entries of the record, and the statement goes by {until}")]
    RecordNotTaken {
        /// What it holds.
        held: u64,
        /// What it needs.
        until: u64,
    },
    /// Something was noted while the statement was made.
    #[error("something was added to the record while the statement for {0} was made, so it was not issued: try again")]
    RecordGrew(Period),
    /// What was issued does not fit together.
    #[error("the statements that were issued do not fit together: {0}")]
    Basis(String),
    /// What was made does not say what it charges.
    #[error(
        "the statement for {0} does not say what it charges, or its words and amounts differ, so it was not issued: no partner would take it. This is a fault of this program; `tieup fee statement` shows the draft"
    )]
    NotAddingUp(Period),
    /// The copy of the journal here does not give what was issued any more.
    #[error("main's copy of the journal does not give the statement that was issued for {0}: tieup log verify")]
    Changed(Period),
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
    /// The statement of a partner for `period`: the one that was issued, else a draft up to the last cosigned checkpoint.
    /// Hands it to the partner and returns its verdict.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn statement(
        &self,
        partner: &PartnerRow,
        period: impl Into<Period>,
        now: Timestamp,
    ) -> Result<Delivered, StatementFailure> {
        let period = period.into();
        self.status(partner).await?;
        self.ask_holdings(partner, period, now).await?;
        let books = self.books(partner).await?;
        if let Some(notice) = books.notice(period) {
            return self.hand_over(partner, notice.clone(), now).await;
        }
        let (basis, made) = books.make(period, StatementStatus::Draft)?;
        let row =
            StatementRow { statement: made.statement.text.clone(), status: StatementStatus::Draft, verdict: None };
        if !self.database.put_statement(&partner.id, period, &row).await? {
            return Err(StatementFailure::Issued(period));
        }
        self.hand_over(partner, notice_of(&basis, &made, None), now).await
    }

    /// Issues the statement of a partner for `period`, whose days of grace are over at `now`: signs it and keeps it for
    /// good, and with it the contract that it is charged under. One that was issued before is the same to the byte. Hands
    /// it to nobody. One that gives a discount by visits which a finding asks about waits until somebody has looked at it.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn issue(
        &self,
        partner: &PartnerRow,
        period: impl Into<Period>,
        now: Timestamp,
    ) -> Result<StatementNotice, StatementFailure> {
        let period = period.into();
        self.ask_holdings(partner, period, now).await?;
        let books = self.books(partner).await?;
        if let Some(notice) = books.notice(period) {
            return Ok(notice.clone());
        }
        if let Standing::Open { closes } = books.standing(period, now)? {
            return Err(StatementFailure::Open { period, closes });
        }
        let (basis, made) = books.make(period, StatementStatus::Final)?;
        if let Some(held) = self.held(partner, &made).await? {
            return Err(StatementFailure::Held { period, held });
        }
        if !Charged::read(&made.statement.text).is_some_and(|charged| charged.adds_up()) {
            return Err(StatementFailure::NotAddingUp(period));
        }
        let row =
            StatementRow { statement: made.statement.text.clone(), status: StatementStatus::Final, verdict: None };
        let note = SignedText::sign(&made.statement.text, &self.keys.cosigner().map_err(HubError::from)?, now)?;
        let notice = notice_of(&basis, &made, Some(&note));
        let kept = self.database.put_issued(&partner.id, &notice, books.record).await?;
        let notice = kept.ok_or(StatementFailure::RecordGrew(period))?;
        self.database.put_statement(&partner.id, period, &row).await?;
        Ok(notice)
    }

    /// The periods of which something was fetched from a partner, that are closed at `now` and were not issued.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn due_statements(&self, partner: &PartnerRow, now: Timestamp) -> Result<Vec<Period>, StatementFailure> {
        let books = self.books(partner).await?;
        let mut due = Vec::new();
        let logged: BTreeSet<Month> =
            months(&self.mirrors(partner))?.into_iter().chain(months(&self.own_journals())?).collect();
        for month in logged {
            match books.log(month) {
                Err(StatementFailure::NotCollected(_) | StatementFailure::NotWitnessed(_)) => continue,
                log => drop(log?),
            }
            for period in books.periods(month) {
                if books.standing(period, now)? == Standing::Due {
                    due.push(period);
                }
            }
        }
        Ok(due)
    }

    /// The periods of `month` whose statements were issued.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn issued_in(&self, partner: &SiteId, month: Month) -> Result<Vec<Period>, DatabaseError> {
        let issued = self.database.issued(partner).await?.into_iter().map(|notice| notice.period);
        Ok(issued.filter(|period| period.month() == month).collect())
    }

    /// The periods of `month` that have a statement each, issued or not.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn periods(&self, partner: &PartnerRow, month: Month) -> Result<Vec<Period>, StatementFailure> {
        let books = self.books(partner).await?;
        let versions = books.versions();
        if versions.approved().is_empty() { Err(Ungoverned::NoContract.into()) } else { Ok(versions.periods(month)) }
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
        let client = self.call(partner).await?;
        self.tell_record(partner, &client, notice.record_told()).await?;
        let verdict: StatementVerdict = client.post(STATEMENT, &notice).await?;
        let row = StatementRow {
            statement: notice.statement.clone(),
            status: notice.status,
            verdict: serde_json::to_string(&verdict).ok(),
        };
        self.database.put_statement(&partner.id, notice.period, &row).await?;
        let standing = self.books(partner).await?.standing(notice.period, now)?;
        Ok(Delivered { notice, standing, verdict })
    }

    /// The statement for `period` as it was issued, or as a draft, with what it was made from. Nobody is asked, and nothing
    /// is kept.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn made(
        &self,
        partner: &PartnerRow,
        period: impl Into<Period>,
    ) -> Result<(Made, StatementNotice), StatementFailure> {
        let period = period.into();
        let books = self.books(partner).await?;
        let Some(notice) = books.notice(period) else {
            let (basis, made) = books.make(period, StatementStatus::Draft)?;
            let notice = notice_of(&basis, &made, None);
            return Ok((made, notice));
        };
        let made = books.remake(notice)?;
        if made.statement.text != notice.statement {
            return Err(StatementFailure::Changed(period));
        }
        Ok((made, notice.clone()))
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
        let key = signer_of(partner, &origin, Some(cosigned.as_bytes()))?;
        let checkpoint = SignedCheckpoint::open(cosigned.as_bytes(), &origin, &key)?;
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
        Ok(charged_under(self.approved(partner).await?, month).ok_or(Ungoverned::NoContract)?)
    }

    /// The contracts that the partner has approved by main's own record, each once.
    pub(crate) async fn approved(&self, partner: &PartnerRow) -> Result<Vec<Contract>, StatementFailure> {
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

    /// The log that a month is charged by, whose it is, and how many of its entries the other side has cosigned: main's copy
    /// of the partner's, or main's own where main alone is the `writer`.
    ///
    /// # Errors
    /// Nothing was collected or cosigned, or the log cannot be read.
    pub(crate) fn charged_log(
        &self,
        partner: &PartnerRow,
        writer: Side,
        month: Month,
    ) -> Result<(JournalReader, Origin, u64), StatementFailure> {
        match writer {
            Side::Main => self.witnessed(partner, month),
            Side::Partner | Side::Both => self.cosigned_copy(partner, month),
        }
    }

    /// Where that log lies, which it is, and the key that signs it.
    pub(crate) fn charged_files(
        &self,
        partner: &PartnerRow,
        writer: Side,
        month: Month,
    ) -> Result<(PathBuf, Origin, LogVerifier), StatementFailure> {
        if writer == Side::Main {
            let key = self.keys.journal().map_err(HubError::from)?.verifier();
            return Ok((month_dir(&self.own_journals(), month), self.own_origin(month), key));
        }
        let (dir, origin) =
            (month_dir(&self.mirrors(partner), month), Origin::new(&self.config.main, &partner.id, month));
        let key = signer_of(partner, &origin, checkpoint_note(&dir)?.as_deref())?;
        Ok((dir, origin, key))
    }

    /// How many entries of that log the other side has cosigned, and their root hash.
    ///
    /// # Errors
    /// Nothing was collected or cosigned, or the note of it cannot be read.
    pub(crate) fn charged_head(
        &self,
        partner: &PartnerRow,
        writer: Side,
        month: Month,
    ) -> Result<(u64, String), StatementFailure> {
        let (dir, origin, own) = self.charged_files(partner, writer, month)?;
        let (note, lacking) = match writer {
            Side::Main => {
                let receipt = self.receipt(&partner.id, month)?;
                (receipt.map(|receipt| receipt.note.into_bytes()), StatementFailure::NotWitnessed(month))
            }
            Side::Partner | Side::Both => (cosigned_note(&dir)?, StatementFailure::NotCollected(month)),
        };
        let note = note.ok_or(lacking)?;
        let key = if writer == Side::Main { own } else { signer_of(partner, &origin, Some(&note))? };
        let checkpoint = SignedCheckpoint::open(&note, &origin, &key)?;
        Ok((checkpoint.size(), checkpoint.root().to_string()))
    }
}

fn notice_of(basis: &Basis, made: &Made, note: Option<&SignedText>) -> StatementNotice {
    StatementNotice {
        period: basis.period,
        size: basis.size,
        strikes: basis.strikes.clone(),
        record: basis.record,
        status: basis.status,
        statement: made.statement.text.clone(),
        revisions: basis.revisions.clone(),
        note: note.map(|note| note.note().to_owned()),
    }
}
