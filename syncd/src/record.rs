//! The partner's copy of main's record of what fees go by besides visits. Main tells it page by page; what was told once
//! is never told otherwise, and where main has it otherwise now, the first entry that differs is found.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tieup_fees::{Basis, FeeError, Gathering, Ledger as _, PricingError, Recorded, StatementError};
use tieup_protocol::contract::{Contract, charged_under};
use tieup_protocol::location::{LocatedFile, LocatedHoldings};
use tieup_protocol::period::Period;
use tieup_protocol::record::{
    Entry, Extent, Holdings, LocatedRecord, MAX_PAGE, MAX_RECORD, RECORD, RecordHeld, RecordPage, RecordRequest, Sale,
};
use tieup_protocol::wire::StatementStatus;
use tieup_store::document::DocumentError;
use tieup_store::durable;
use tieup_store::durable::DiskError;
use tieup_store::lines::Lines;

use crate::daemon::Partner;
use crate::extents::Extents;
use crate::location::LocateError;
use crate::statement::{STATEMENTS, StatementFailure};

/// The file among main's statements, an entry a line.
const FILE: &str = "record.jsonl";

/// Why the record was not taken, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A page is too long.
    #[error("main tells {0} entries at once; {MAX_PAGE} are the most")]
    LongPage(u64),
    /// The record is too long.
    #[error("main's record has more than {MAX_RECORD} entries")]
    TooLong,
    /// An entry makes no sense.
    #[error("entry {0} of main's record has an amount below 0")]
    Unsound(u64),
    /// An entry that was kept cannot be read.
    #[error("entry {0} of the copy of main's record cannot be read")]
    Damaged(u64),
    /// Main has told less than its statement goes by.
    #[error("main's statement goes by {until} entries of its record, and it has told {held}")]
    NotTold {
        /// What is here.
        held: u64,
        /// What the statement goes by.
        until: u64,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The copy.
#[derive(Debug)]
pub struct RecordCopy(Mutex<Lines>);

impl RecordCopy {
    /// The copy in a state folder.
    pub fn in_state(state: &Path) -> Self {
        Self(Mutex::new(Lines::at(state.join(STATEMENTS).join(FILE))))
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first `until` entries, in their order.
    ///
    /// # Errors
    /// When there are fewer; then each, when it cannot be read.
    fn first(&self, until: u64) -> Result<impl Iterator<Item = Result<Entry, RecordError>> + use<>, RecordError> {
        let mut lines = self.lines();
        let held = lines.count()?;
        if held < until {
            return Err(RecordError::NotTold { held, until });
        }
        let entry = |(number, line): (u64, Result<String, DiskError>)| {
            serde_json::from_str(&line?).map_err(|_| RecordError::Damaged(number))
        };
        Ok((0..).zip(lines.first(until)?).map(entry))
    }

    /// Takes a page where it follows what is here. Durable on return.
    fn take(&self, page: &RecordPage) -> Result<RecordHeld, RecordError> {
        let mut lines = self.lines();
        let held = lines.count()?;
        if page.from != held || page.entries.is_empty() {
            return Ok(RecordHeld { held });
        }
        let more = page.entries.len() as u64;
        if more > MAX_PAGE {
            return Err(RecordError::LongPage(more));
        }
        if held + more > MAX_RECORD {
            return Err(RecordError::TooLong);
        }
        if let Some((number, _)) = (held..).zip(&page.entries).find(|(_, entry)| !entry.is_sound()) {
            return Err(RecordError::Unsound(number));
        }
        lines.append(&page.entries.iter().map(Entry::line).collect::<Vec<_>>())?;
        Ok(RecordHeld { held: held + more })
    }
}

impl Partner {
    /// Takes a page of main's record where it follows what is here, and says how much is. Durable on return.
    ///
    /// # Errors
    /// When it is too much, makes no sense, or the disk fails.
    pub fn take_record(&self, page: &RecordPage) -> Result<RecordHeld, RecordError> {
        durable::create_dir_all(&self.state().join(STATEMENTS))?;
        self.record().take(page)
    }

    /// The sales of `period`, as far as main has told them, by name. Those of a month are all of it, also where versions of
    /// the contract govern parts of it, or none governs a part: main lists them so, too.
    ///
    /// # Errors
    /// When no contract is in force, or what was told cannot be read.
    pub fn sales(&self, period: impl Into<Period>) -> Result<Vec<Sale>, StatementFailure> {
        let period = period.into();
        let contract = if period.is_whole() {
            charged_under(self.versions()?, period.month()).ok_or(StatementFailure::NoContract)?
        } else {
            self.contract(period)?
        };
        let held = self.record().lines().count().map_err(RecordError::from)?;
        Ok(self.gathered(&contract, period, held)?.sales())
    }

    /// What main's record says of the period that `basis` is for, under `contract`, and as far as it counts there.
    ///
    /// # Errors
    /// When main has not told as many, or they cannot be read or charged under the contract.
    pub(crate) fn recorded_of(&self, contract: &Contract, basis: &Basis) -> Result<Recorded, StatementFailure> {
        let period = basis.period;
        let mut gathering = self.gathered(contract, period, basis.record)?;
        self.correct_holdings(&mut gathering, period.end(&contract.effective.tz), basis.status)?;
        let unpriced =
            |error| StatementFailure::Fees(StatementError::Fee(FeeError::Pricing(PricingError::Event(error))));
        gathering.finish(contract).map_err(unpriced)
    }

    /// How much the site held when the period ended at `end` is known best here: that takes the place of what main was told.
    /// A draft is of the instant at which main asked.
    fn correct_holdings(
        &self,
        gathering: &mut Gathering,
        end: Timestamp,
        status: StatementStatus,
    ) -> Result<(), StatementFailure> {
        let noted = gathering.holdings().map(|told| self.noted(told, end, status)).transpose()?.flatten();
        if let Some(noted) = noted {
            gathering.correct_holdings(noted);
        }
        Ok(())
    }

    /// What is noted here in place of what main was `told`; none where nothing is.
    fn noted(
        &self,
        told: Holdings,
        end: Timestamp,
        status: StatementStatus,
    ) -> Result<Option<Holdings>, StatementFailure> {
        let at = if status == StatementStatus::Final { end } else { told.at };
        let noted = self.extents().before(at)?;
        Ok(noted.map(|Extent { release, tieup, original, .. }| Holdings { at: told.at, release, tieup, original }))
    }

    /// Where main's statement for `period` goes by another size of the site than is noted here; none where it goes by no
    /// size, or by the same.
    ///
    /// # Errors
    /// When main has sent no statement, or what it told or is kept here cannot be read.
    pub fn locate_holdings(&self, period: impl Into<Period>) -> Result<Option<LocatedHoldings>, StatementFailure> {
        let basis = Basis::of(&self.notice(period)?);
        let contract = self.contract(basis.period)?;
        if !contract.terms.go_by_catalogue() {
            return Ok(None);
        }
        let gathering = self.gathered(&contract, basis.period, basis.record)?;
        let Some(told) = gathering.holdings() else { return Ok(None) };
        let noted = self.noted(told, basis.period.end(&contract.effective.tz), basis.status)?;
        let Some(located) = noted.and_then(|noted| LocatedHoldings::between(told, noted)) else { return Ok(None) };
        let publisher = self.publisher();
        // One that was swept is not compared.
        let kept = |release| publisher.manifest_of(release).ok().flatten();
        let manifests = kept(located.main.release).zip(kept(located.partner.release));
        let file = manifests.and_then(|(main, partner)| LocatedFile::between(&main, &partner));
        Ok(Some(LocatedHoldings { file, ..located }))
    }

    /// How much the live site holds, and held.
    pub fn extents(&self) -> Extents {
        Extents::in_state(self.state())
    }

    fn gathered(&self, contract: &Contract, period: Period, until: u64) -> Result<Gathering, RecordError> {
        let mut gathering = Gathering::new(contract, period);
        for entry in self.record().first(until)? {
            gathering.take(entry?);
        }
        Ok(gathering)
    }

    /// Finds the first entry of the record, of those that the statement of `period` goes by, that main has otherwise now
    /// than it told; none where they are alike.
    ///
    /// # Errors
    /// See [`LocateError`].
    pub async fn locate_record(&self, period: impl Into<Period>) -> Result<Option<LocatedRecord>, LocateError> {
        let told = self.record().first(self.notice(period)?.record_told()).map_err(StatementFailure::from)?;
        let main = self.main().await?;
        let mut page = Vec::new().into_iter();
        for (number, told) in (0..).zip(told) {
            let told = told.map_err(StatementFailure::from)?.line();
            if page.as_slice().is_empty() {
                let next: RecordPage = main.post(RECORD, &RecordRequest { from: number }).await?;
                page = next.entries.iter().map(Entry::line).collect::<Vec<_>>().into_iter();
            }
            let now = page.next();
            if now.as_ref() != Some(&told) {
                return Ok(Some(LocatedRecord { number, main: now, partner: Some(told) }));
            }
        }
        Ok(None)
    }
}

impl From<RecordError> for StatementFailure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Disk(error) => Self::Document(DocumentError::from(error)),
            other => Self::Record(Box::new(other)),
        }
    }
}
