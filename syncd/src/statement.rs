//! The partner's own statement: computed from its own journal and contract, and held against main's.

mod counting;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tieup_fees::{
    Basis, BasisError, Counted, Difference, Issued, JournalHead, Ledger, Maker, Statement, StatementError,
    first_difference,
};
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::period::Month;
use tieup_protocol::wire::{StatementNotice, StatementStatus, StatementVerdict};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable;
use tieup_store::journal::{
    CheckpointError, CosignerVerifier, InvalidKey, JournalReader, LogSigner, LogVerifier, Origin, ReadError,
    SignedText, SignedTextError, VerifyError, month_dir, verify_cosignature, verify_entries,
};
use tieup_web::journal::JournalError;

use self::counting::Counting;
use crate::daemon::Partner;
use crate::main_journal::MainJournalError;
use crate::publisher::PublishError;

/// The folder of main's statements in the state folder.
pub const STATEMENTS: &str = "statements";

/// Why a statement could not be computed.
#[derive(Debug, thiserror::Error)]
pub enum StatementFailure {
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// The journal is not what was logged: nothing is counted.
    #[error("the journal of {month} does not verify")]
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
    /// A statement that is final is signed by main, and no other is.
    #[error("main's statement for {0} is not the text that main signed")]
    Unsigned(Month),
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
    /// Main has not sent a statement for this month.
    #[error("main has sent no statement for {0} yet")]
    NoNotice(Month),
    /// What main sent could not be kept or read back.
    #[error("main's statement cannot be kept or read back")]
    Document(#[from] DocumentError),
    /// Main's own log, by which the month is charged, is not here.
    #[error("main's own log of {0}, by which it is charged, has not been verified here yet: `syncd log fetch`")]
    NotFetched(Month),
    /// The key of main's own log cannot be used.
    #[error(transparent)]
    MainJournal(#[from] Box<MainJournalError>),
    /// No contract is in force.
    #[error("no release is live, so no contract is in force")]
    NoContract,
}

/// Where main's notice for a month is kept.
pub fn notice_document(state: &Path, month: Month) -> Document<StatementNotice> {
    Document::at(state.join(STATEMENTS).join(format!("{month}.json")))
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
    /// When it is another one than the final one before, or is final and not signed by main, or when the partner's own
    /// cannot be computed.
    pub fn take_statement(&self, notice: &StatementNotice) -> Result<Verified, StatementFailure> {
        let document = notice_document(self.state(), notice.month);
        if let Some(folder) = document.path().parent() {
            durable::create_dir_all(folder).map_err(DocumentError::from)?;
        }
        let before = document.read()?.filter(|before| before.status == StatementStatus::Final);
        if before.is_some_and(|before| before != *notice) {
            return Err(StatementFailure::Issued(notice.month));
        }
        self.signed(notice)?;
        document.write(notice)?;
        self.verify_statement(notice.month)
    }

    /// Compares the statement that main sent for `month` with the partner's own.
    ///
    /// # Errors
    /// When main has sent none or did not sign it, or the partner's own cannot be computed.
    pub fn verify_statement(&self, month: Month) -> Result<Verified, StatementFailure> {
        let notice = self.notice(month)?;
        let issued = self.signed(&notice)?;
        issued.map_or(Ok(()), |issued| self.check_complete(&notice, issued))?;
        let bases = self.issued_statements()?;
        let statement = Maker::new(self, &bases).make(&Basis::of(&notice))?.statement;
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

    /// What main sent for `month`.
    ///
    /// # Errors
    /// When it has sent nothing.
    pub fn notice(&self, month: Month) -> Result<StatementNotice, StatementFailure> {
        notice_document(self.state(), month).read()?.ok_or(StatementFailure::NoNotice(month))
    }

    /// When main signed `notice`; none for a draft.
    fn signed(&self, notice: &StatementNotice) -> Result<Option<Timestamp>, StatementFailure> {
        let unsigned = || StatementFailure::Unsigned(notice.month);
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
        let folder = self.state().join(STATEMENTS);
        let files = if folder.is_dir() { durable::list_dir(&folder).map_err(DocumentError::from)? } else { Vec::new() };
        let mut issued = Issued::new();
        for month in files.iter().filter_map(|file| file.file_stem()?.to_str()?.parse().ok()) {
            let notice = notice_document(self.state(), month).read()?;
            let last = notice.filter(|notice| notice.status == StatementStatus::Final);
            issued.extend(last.map(|notice| (month, Basis::of(&notice))));
        }
        Ok(issued)
    }

    /// Main may not leave out the end of a month that it had cosigned when it signed the statement at `issued`. What was
    /// cosigned later is corrected in a later statement.
    fn check_complete(&self, notice: &StatementNotice, issued: Timestamp) -> Result<(), StatementFailure> {
        let contract = self.contract(notice.month)?;
        let Some(note) = self.charged_log(&contract, notice.month)?.cosigned()? else { return Ok(()) };
        let Some((_, key)) = self.log_keys(&contract)? else { return Ok(()) };
        let at = verify_cosignature(note.as_bytes(), &key)?;
        // The daemon verified the note before it kept it; its second line is the size (c2sp.org/tlog-checkpoint).
        let cosigned = note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0);
        if at < issued && cosigned > notice.size {
            return Err(StatementFailure::LeavesOut { counted: notice.size, cosigned });
        }
        Ok(())
    }

    /// The log that a month is charged by under `contract`: the partner's own, or its copy of main's where main alone writes.
    ///
    /// # Errors
    /// When it is not here, or cannot be read.
    pub(crate) fn charged_log(&self, contract: &Contract, month: Month) -> Result<JournalReader, StatementFailure> {
        if contract.journal.writer != Side::Main {
            return Ok(self.journal().reader(month)?);
        }
        Ok(JournalReader::open(self.charged_dir(contract, month)?)?)
    }

    /// The folder of that log.
    fn charged_dir(&self, contract: &Contract, month: Month) -> Result<PathBuf, StatementFailure> {
        if contract.journal.writer != Side::Main {
            return Ok(month_dir(&self.journals(), month));
        }
        let dir = self.main_journal().dir(month);
        if dir.is_dir() { Ok(dir) } else { Err(StatementFailure::NotFetched(month)) }
    }

    /// Which log that is.
    pub(crate) fn origin(&self, contract: &Contract, month: Month) -> Origin {
        let identity = self.identity();
        let writer = if contract.journal.writer == Side::Main { &identity.main } else { &identity.partner };
        Origin::new(&identity.main, writer, month)
    }

    /// The key that signs that log, and the one that cosigns it; none before main's log was fetched.
    pub(crate) fn log_keys(
        &self,
        contract: &Contract,
    ) -> Result<Option<(LogVerifier, CosignerVerifier)>, StatementFailure> {
        let identity = self.identity();
        if contract.journal.writer != Side::Main {
            let log = identity.journal_key.parse::<LogSigner>()?.verifier();
            return Ok(Some((log, identity.cosigner_key.parse()?)));
        }
        let mains = self.main_journal();
        let (log, cosigner) = (mains.key().map_err(Box::new)?, mains.cosigner().map_err(Box::new)?);
        Ok(log.zip(cosigner.map(|cosigner| cosigner.verifier())))
    }
}

/// An entry of the log that `contract` charges by, as it counts.
pub(crate) fn as_counted(contract: &Contract, entry: Vec<u8>) -> Vec<u8> {
    if contract.journal.writer == Side::Main { contract.of_mains_log(entry) } else { entry }
}

impl Ledger for Partner {
    type Error = StatementFailure;

    fn contract(&self, month: Month) -> Result<Contract, StatementFailure> {
        let contract = self.publisher().charged_under(month).map_err(Box::new)?;
        contract.ok_or(StatementFailure::NoContract)
    }

    fn head(&self, month: Month, size: u64) -> Result<JournalHead, StatementFailure> {
        let contract = self.contract(month)?;
        let (origin, root) = (self.origin(&contract, month), self.charged_log(&contract, month)?.root_at(size)?);
        Ok(JournalHead { origin: origin.to_string(), size, root: root.to_string() })
    }

    /// Verifies the log from its first byte to its last, and counts its first `size` entries in the same pass: what was
    /// damaged on this disk is told as that, and not as a difference from main's count.
    fn count(&self, contract: &Contract, month: Month, size: u64) -> Result<Counted, StatementFailure> {
        let mut counting = Counting::of(contract, month, size);
        if size == 0 {
            return counting.finish();
        }
        let (dir, origin) = (self.charged_dir(contract, month)?, self.origin(contract, month));
        let (key, _) = self.log_keys(contract)?.ok_or(StatementFailure::NotFetched(month))?;
        let verified = verify_entries(&dir, &origin, &key, |entry| counting.take(entry));
        let signed = verified.map_err(|source| StatementFailure::Damaged { month, source })?.checkpoint.size();
        if signed < size {
            return Err(StatementFailure::Beyond { month, counted: size, signed });
        }
        counting.finish()
    }
}

/// A failure of the partner's own books is told as what it is.
impl From<BasisError<Self>> for StatementFailure {
    fn from(error: BasisError<Self>) -> Self {
        match error {
            BasisError::Ledger(failure) => failure,
            BasisError::Fee(error) => Self::Fees(error.into()),
            other => Self::Basis(other.to_string()),
        }
    }
}
