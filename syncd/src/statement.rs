//! The partner's own statement: computed from its own journal and contract, and held against main's.

mod books;

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tieup_fees::{
    Basis, Difference, Issued, Made, Maker, Statement, StatementError, Ungoverned, corrected_after, first_difference,
};
use tieup_protocol::contract::{Contract, Side, segments};
use tieup_protocol::digest::Digest;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::wire::{StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable;
use tieup_store::journal::{
    CheckpointError, InvalidKey, ReadError, SignedText, SignedTextError, VerifyError, verify_cosignature,
};
use tieup_web::journal::JournalError;

use crate::daemon::Partner;
use crate::main_journal::MainJournalError;
use crate::pins::Pins;
use crate::publisher::PublishError;
use crate::record::RecordError;
use crate::returning::cosigned;

/// What a signature's time is rounded down to.
const A_SECOND: SignedDuration = SignedDuration::from_secs(1);

/// The folder of main's statements in the state folder.
pub const STATEMENTS: &str = "statements";

/// Why a statement could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum StatementFailure {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// The journal is not what was logged: nothing is counted.
    #[error(
        "the journal of {month} does not verify: put it back from a backup; `syncd log verify` tells when it is whole"
    )]
    Damaged {
        /// The month.
        month: Month,
        /// What is wrong with it.
        source: VerifyError,
    },
    /// Main counts more than was ever signed for here.
    #[error("main's statement counts {counted} entries, and the journal of {month} has {signed} that are signed for")]
    Beyond {
        /// The month.
        month: Month,
        /// What main counts.
        counted: u64,
        /// What there is.
        signed: u64,
    },
    /// There is no journal, or it cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The kept releases cannot be read.
    #[error("the releases cannot be read")]
    Releases(#[from] Box<PublishError>),
    /// A final statement does not change.
    #[error("the statement for {0} is final; corrections belong in the next one")]
    Issued(Period),
    /// A final statement must count all that main has cosigned.
    #[error("main's final statement counts {counted} entries, but main has cosigned {cosigned}")]
    LeavesOut {
        /// What it counts.
        counted: u64,
        /// What it should count.
        cosigned: u64,
    },
    /// A statement that is final is signed by main, and no other is.
    #[error("main's statement for {0} is not the text that main signed")]
    Unsigned(Period),
    /// The words and the amounts of a final statement differ, so that nobody can say what it charges.
    #[error(
        "main's statement for {0} does not say what it charges, or its words and amounts differ, and what is issued stays: agree with the main site on what is due for it"
    )]
    NotAddingUp(Period),
    /// Main's signature does not hold.
    #[error("main's statement is not signed by the key that main cosigns with")]
    Signature(#[from] SignedTextError),
    /// Main's key is damaged in the identity.
    #[error("the main site's key cannot be used")]
    Key(#[from] InvalidKey),
    /// Main's cosignature is damaged.
    #[error("main's receipt for the journal cannot be read")]
    Receipt(#[from] CheckpointError),
    /// What main corrects does not fit what it issued.
    #[error("main's statement does not fit those before it: {0}")]
    Basis(String),
    /// The fee cannot be computed.
    #[error("the statement cannot be computed")]
    Fees(#[from] StatementError<ReadError>),
    /// Main has not sent a statement for this period.
    #[error("main has sent no statement for {0} yet")]
    NoNotice(Period),
    /// Days of a final statement are in another one.
    #[error("main's statement for {period} has days in it that are in the final one for {other}")]
    Overlaps {
        /// The period.
        period: Period,
        /// The one that has the days already.
        other: Period,
    },
    /// A final statement names a version of the contract that does not govern its days.
    #[error("main's statement for {period} is under contract {contract}, which does not govern these days here")]
    OtherVersion {
        /// The period.
        period: Period,
        /// The contract that it names.
        contract: Digest,
    },
    /// A statement corrects what one for a later period had corrected when it was signed.
    #[error("main's statement for {period} corrects {corrected}, which the earlier signed one for {by} has corrected")]
    CorrectedBefore {
        /// The period of the statement.
        period: Period,
        /// The period that it corrects.
        corrected: Period,
        /// The period whose statement has corrected it.
        by: Period,
    },
    /// Main's statement goes by a strike that is not agreed on here.
    #[error("main's statement leaves out entries by strike {0}, which is not agreed on here for this month")]
    NotAgreed(Digest),
    /// Main's statement goes by a strike of another log.
    #[error(
        "main's statement leaves out entries by strike {0}, which is of a log with other entries than the one here"
    )]
    OtherLog(Digest),
    /// No version of the contract governs the period, or several do.
    #[error(transparent)]
    Ungoverned(#[from] Ungoverned),
    /// What main sent could not be kept or read back.
    #[error("main's statement cannot be kept or read back")]
    Document(#[from] DocumentError),
    /// Main's record, by which the statement goes, was not told or cannot be read.
    #[error(transparent)]
    Record(Box<RecordError>),
    /// Main's own log, by which the month is charged, is not here.
    #[error("main's own log of {0}, by which it is charged, has not been verified here yet: `syncd log fetch`")]
    NotFetched(Month),
    /// The key of main's own log cannot be used.
    #[error(transparent)]
    MainJournal(#[from] Box<MainJournalError>),
}

/// Where main's notice for a period is kept.
pub fn notice_document(state: &Path, period: Period) -> Document<StatementNotice> {
    Document::at(state.join(STATEMENTS).join(format!("{}.json", period.key())))
}

/// A statement that was held against main's.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The partner's own statement.
    pub statement: Statement,
    /// How main's compares.
    pub verdict: StatementVerdict,
    /// When main signed it; none for a draft.
    pub issued: Option<Timestamp>,
}

impl Partner {
    /// Keeps main's statement and compares it with the partner's own.
    ///
    /// # Errors
    /// When it is another one than the final one before, or is final and not signed by main, or its words and amounts differ,
    /// or when the partner's own cannot be computed.
    pub fn take_statement(&self, notice: &StatementNotice) -> Result<Verified, StatementFailure> {
        let records = self.records();
        let document = notice_document(self.state(), notice.period);
        if let Some(folder) = document.path().parent() {
            durable::create_dir_all(folder).map_err(DocumentError::from)?;
        }
        let before = document.read()?.filter(|before| before.status == StatementStatus::Final);
        if before.as_ref().is_some_and(|before| before != notice) {
            return Err(StatementFailure::Issued(notice.period));
        }
        let signed = self.signed(notice)?;
        if before.is_none() && !adds_up(notice) {
            return Err(StatementFailure::NotAddingUp(notice.period));
        }
        self.check_apart(notice)?;
        if let Some(signed) = signed {
            self.check_order(notice, signed)?;
            self.pin(notice, signed)?;
        }
        document.write(notice)?;
        drop(records);
        self.verify_statement(notice.period)
    }

    /// No day is in two final statements.
    fn check_apart(&self, notice: &StatementNotice) -> Result<(), StatementFailure> {
        let issued = self.issued_statements()?;
        let mut others = issued.into_keys().filter(|other| *other != notice.period && other.overlaps(notice.period));
        match others.next() {
            Some(other) if notice.status == StatementStatus::Final => {
                Err(StatementFailure::Overlaps { period: notice.period, other })
            }
            _ => Ok(()),
        }
    }

    /// No difference is charged twice: what a statement for a later period had corrected when this one was `signed` is not
    /// corrected by it. One that was signed before and came here late is as it should be.
    fn check_order(&self, notice: &StatementNotice, signed: Timestamp) -> Result<(), StatementFailure> {
        let (issued, period) = (self.issued_statements()?, notice.period);
        for corrected in notice.revisions.iter().map(|revision| revision.period) {
            let Some(by) = corrected_after(&issued, period, corrected) else { continue };
            if self.signed(&self.notice(by)?)?.is_some_and(|before| before < signed) {
                return Err(StatementFailure::CorrectedBefore { period, corrected, by });
            }
        }
        Ok(())
    }

    /// Keeps the contract that a final statement names: it stays with it. It must be the one that governs its days by all
    /// that was approved here, or by what was live here before the statement was `signed`.
    fn pin(&self, notice: &StatementNotice, signed: Timestamp) -> Result<(), StatementFailure> {
        let (period, pins) = (notice.period, Pins::in_state(self.state()));
        let Some(contract) = Basis::of(notice).charged.map(|charged| charged.contract) else { return Ok(()) };
        let governs = |versions: Vec<Contract>| {
            let mut segments = segments(versions, period.month()).into_iter();
            segments.any(|segment| segment.period == period && segment.contract.digest() == contract)
        };
        let is_pinned = pins.of(period)? == Some(contract);
        // A signature tells whole seconds.
        let governed = |time| Ok::<_, StatementFailure>(governs(self.versions_live_before(time)?));
        let governed_then = || Ok::<_, StatementFailure>(governed(signed)? || governed(signed + A_SECOND)?);
        if !is_pinned && !governs(self.versions()?) && !governed_then()? {
            return Err(StatementFailure::OtherVersion { period, contract });
        }
        Ok(pins.keep(period, contract)?)
    }

    /// Compares the statement that main sent for `period` with the partner's own, under the contract that a final one was
    /// kept with.
    ///
    /// # Errors
    /// When main has sent none or did not sign it, or the partner's own cannot be computed.
    pub fn verify_statement(&self, period: impl Into<Period>) -> Result<Verified, StatementFailure> {
        let notice = self.notice(period)?;
        let issued = self.signed(&notice)?;
        issued.map_or(Ok(()), |issued| self.check_complete(&notice, issued))?;
        let bases = self.issued_statements()?;
        let Made { statement, .. } = Maker::new(self, &bases).make(&Basis::of(&notice))?;
        let verdict = match first_difference(&notice.statement, &statement.text) {
            None => StatementVerdict::Identical,
            Some(Difference { line, left, right }) => StatementVerdict::Different {
                line: line as u64,
                main: left.unwrap_or_default(),
                partner: right.unwrap_or_default(),
            },
        };
        Ok(Verified { statement, verdict, issued })
    }

    /// What main sent for `period`.
    ///
    /// # Errors
    /// When it has sent nothing for it, or several statements for parts of the month.
    pub fn notice(&self, period: impl Into<Period>) -> Result<StatementNotice, StatementFailure> {
        let period = period.into();
        let month = period.month();
        let noticed = self.noticed()?.into_iter();
        let parts: Vec<Period> = noticed.filter(|part| part.month() == month && !part.is_whole()).collect();
        let is_in_parts = period.is_whole() && !parts.is_empty();
        // A draft for all of a month is of no use where versions part it by now.
        let is_good = |notice: &StatementNotice| !is_in_parts || notice.status == StatementStatus::Final;
        match notice_document(self.state(), period).read()?.filter(is_good) {
            Some(notice) => Ok(notice),
            None if is_in_parts => Err(Ungoverned::Several { month, periods: parts }.into()),
            None => Err(StatementFailure::NoNotice(period)),
        }
    }

    /// The periods that main has sent a statement for, in their order.
    fn noticed(&self) -> Result<BTreeSet<Period>, StatementFailure> {
        let folder = self.state().join(STATEMENTS);
        let files = if folder.is_dir() { durable::list_dir(&folder).map_err(DocumentError::from)? } else { Vec::new() };
        Ok(files.iter().filter_map(|file| file.file_stem()?.to_str()?.parse().ok()).collect())
    }

    /// When main signed `notice`; none for a draft.
    fn signed(&self, notice: &StatementNotice) -> Result<Option<Timestamp>, StatementFailure> {
        let unsigned = || StatementFailure::Unsigned(notice.period);
        let note = match (notice.status, &notice.note) {
            (StatementStatus::Draft, None) => return Ok(None),
            (StatementStatus::Final, Some(note)) => note,
            _ => return Err(unsigned()),
        };
        let signed = SignedText::open(note, &self.identity().cosigner_key.parse()?)?;
        if signed.text() == notice.statement { Ok(Some(signed.signed())) } else { Err(unsigned()) }
    }

    /// What main's final statements were made from, as main says.
    fn issued_statements(&self) -> Result<Issued, StatementFailure> {
        let mut issued = Issued::new();
        for period in self.noticed()? {
            let notice = notice_document(self.state(), period).read()?;
            let last = notice.filter(|notice| notice.status == StatementStatus::Final);
            issued.extend(last.map(|notice| (period, Basis::of(&notice))));
        }
        Ok(issued)
    }

    /// Main may not leave out the end of a month that it had cosigned when it signed the statement at `issued`, nor, of its
    /// own log, what it had a receipt for then. What came later is corrected in a later statement.
    fn check_complete(&self, notice: &StatementNotice, issued: Timestamp) -> Result<(), StatementFailure> {
        let (month, writer) = (notice.period.month(), self.writer(notice.period.month())?);
        if writer == Side::Main {
            let (counted, cosigned) = (notice.size, self.main_journal().shown_before(month, issued)?);
            return if cosigned > counted { Err(StatementFailure::LeavesOut { counted, cosigned }) } else { Ok(()) };
        }
        let log = self.charged_log(writer, month)?;
        let Some(note) = log.cosigned()? else { return Ok(()) };
        let Some((_, key)) = self.log_keys(writer)? else { return Ok(()) };
        let at = verify_cosignature(note.as_bytes(), &key)?;
        let cosigned = cosigned(&log)?;
        if at < issued && cosigned > notice.size {
            return Err(StatementFailure::LeavesOut { counted: notice.size, cosigned });
        }
        Ok(())
    }
}

/// Whether a draft or what a final statement charges can be gone by later.
fn adds_up(notice: &StatementNotice) -> bool {
    notice.status == StatementStatus::Draft || Basis::of(notice).charged.is_some_and(|charged| charged.adds_up())
}
