//! What the partner reads to make statements: its own log or its copy of main's, and which version of the contract governs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use tieup_fees::{BasisError, Counted, Counting, JournalHead, Ledger, Recorded, Versions};
use tieup_protocol::audit::Event;
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::wire::StatementStatus;
use tieup_store::journal::{
    CosignerVerifier, JournalReader, LogSigner, LogVerifier, Origin, month_dir, verify_entries,
};

use super::StatementFailure;
use crate::daemon::Partner;
use crate::pins::Pins;
use crate::publisher::PublishError;

impl Partner {
    /// Who writes the log that `month` is charged by. It changes where a month begins alone.
    ///
    /// # Errors
    /// When no contract is in force, or a kept release cannot be read.
    pub(crate) fn writer(&self, month: Month) -> Result<Side, StatementFailure> {
        Ok(self.governing()?.writer(month)?)
    }

    /// Which version governs what, by all that was ever approved here and by what main has issued.
    pub(super) fn governing(&self) -> Result<Versions, StatementFailure> {
        let pins = Pins::in_state(self.state()).all()?;
        Ok(Versions::new(self.versions()?, pins.into_iter().map(|(period, contract)| (period, Some(contract)))))
    }

    /// Every version of the contract that was ever approved here.
    pub(crate) fn versions(&self) -> Result<Vec<Contract>, StatementFailure> {
        Ok(self.publisher().approved().map_err(Box::new)?)
    }

    /// Those that had been live here by then, as the audit trail has it.
    pub(super) fn versions_live_before(&self, time: Timestamp) -> Result<Vec<Contract>, StatementFailure> {
        let mut publisher = self.publisher();
        let trail = publisher.audit_entries().map_err(|error| Box::new(PublishError::from(error)))?;
        let live = trail.iter().filter(|entry| entry.what == Event::Live && entry.time < time);
        let releases: BTreeSet<ReleaseVersion> = live.filter_map(|entry| entry.release).collect();
        Ok(publisher.approved_in(|version| releases.contains(&version)).map_err(Box::new)?)
    }

    /// The log that a month is charged by: the partner's own, or its copy of main's where main alone is the `writer`.
    ///
    /// # Errors
    /// When it is not here, or cannot be read.
    pub(crate) fn charged_log(&self, writer: Side, month: Month) -> Result<JournalReader, StatementFailure> {
        if writer != Side::Main {
            return Ok(self.journal().reader(month)?);
        }
        Ok(JournalReader::open(self.charged_dir(writer, month)?)?)
    }

    /// The folder of that log.
    pub(super) fn charged_dir(&self, writer: Side, month: Month) -> Result<PathBuf, StatementFailure> {
        if writer != Side::Main {
            return Ok(month_dir(&self.journals(), month));
        }
        let dir = self.main_journal().dir(month);
        if dir.is_dir() { Ok(dir) } else { Err(StatementFailure::NotFetched(month)) }
    }

    /// Verifies that log from its first byte to its last, and hands each entry to `take`. Returns how many entries it has
    /// that are signed for.
    ///
    /// # Errors
    /// When it is not here, or is not what was signed for.
    pub(crate) fn verify_log(
        &self,
        writer: Side,
        month: Month,
        take: impl FnMut(&[u8]),
    ) -> Result<u64, StatementFailure> {
        let (dir, origin) = (self.charged_dir(writer, month)?, self.origin(writer, month));
        let (key, _) = self.log_keys(writer)?.ok_or(StatementFailure::NotFetched(month))?;
        let verified = verify_entries(&dir, &origin, &key, take);
        Ok(verified.map_err(|source| StatementFailure::Damaged { month, source })?.checkpoint.size())
    }

    /// Which log that is.
    pub(crate) fn origin(&self, writer: Side, month: Month) -> Origin {
        let identity = self.identity();
        let writer = if writer == Side::Main { &identity.main } else { &identity.partner };
        Origin::new(&identity.main, writer, month)
    }

    /// The key that signs that log, and the one that cosigns it; none before main's log was fetched.
    pub(crate) fn log_keys(&self, writer: Side) -> Result<Option<(LogVerifier, CosignerVerifier)>, StatementFailure> {
        let identity = self.identity();
        if writer != Side::Main {
            let log = identity.journal_key.parse::<LogSigner>()?.verifier();
            return Ok(Some((log, identity.cosigner_key.parse()?)));
        }
        let mains = self.main_journal();
        let (log, cosigner) = (mains.key().map_err(Box::new)?, mains.cosigner().map_err(Box::new)?);
        Ok(log.zip(cosigner.map(|cosigner| cosigner.verifier())))
    }
}

impl Ledger for Partner {
    type Error = StatementFailure;

    fn contract(&self, period: Period) -> Result<Contract, StatementFailure> {
        Ok(self.governing()?.contract(period)?)
    }

    fn is_of_log(&self, month: Month, strike: &Digest) -> Result<bool, StatementFailure> {
        self.strikes_out(month, *strike)
    }

    fn head(&self, month: Month, size: u64) -> Result<JournalHead, StatementFailure> {
        let writer = self.writer(month)?;
        let (origin, root) = (self.origin(writer, month), self.charged_log(writer, month)?.root_at(size)?);
        Ok(JournalHead { origin: origin.to_string(), size, root: root.to_string() })
    }

    fn struck(&self, month: Month, strikes: &[Digest]) -> Result<BTreeSet<u64>, StatementFailure> {
        self.struck_out(month, strikes)
    }

    /// Verifies the log from its first byte to its last, and counts its first `size` entries in the same pass: what was
    /// damaged on this disk is told as that, and not as a difference from main's count.
    fn count(
        &self,
        contract: &Contract,
        period: Period,
        size: u64,
        struck: &BTreeSet<u64>,
    ) -> Result<Counted, StatementFailure> {
        let month = period.month();
        let writer = self.writer(month)?;
        let mut counting = Counting::of((contract, writer), period, size, struck);
        if size == 0 {
            return Ok(counting.finish()?);
        }
        let signed = self.verify_log(writer, month, |entry| counting.take(entry))?;
        if signed < size {
            return Err(StatementFailure::Beyond { month, counted: size, signed });
        }
        Ok(counting.finish()?)
    }

    fn begins_with(&self, month: Month, size: u64, root: Option<&str>) -> Result<bool, StatementFailure> {
        let writer = self.writer(month)?;
        let reader = self.charged_log(writer, month)?;
        let is_root = |root| Ok::<_, StatementFailure>(reader.root_at(size)?.to_string() == root);
        let begins = size <= reader.size() && root.map_or(Ok(true), is_root)?;
        if !begins {
            self.check_signed(month)?;
        }
        Ok(begins)
    }

    fn recorded(
        &self,
        contract: &Contract,
        period: Period,
        record: u64,
        status: StatementStatus,
    ) -> Result<Recorded, StatementFailure> {
        self.recorded_of(contract, period, record, status)
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
