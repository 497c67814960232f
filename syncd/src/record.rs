//! The partner's copy of main's record of what fees go by besides visits. Main tells it page by page, and the audit trail
//! has the digest of each page; what was told once is never told otherwise, and where main has it otherwise now, the first
//! entry that differs is found. A copy that is not what was told is set aside, and main tells it anew.

mod copy;

use jiff::Timestamp;
use tieup_fees::{Basis, FeeError, Gathering, Ledger as _, PricingError, Recorded, StatementError, Ungoverned};
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::contract::{Contract, charged_under};
use tieup_protocol::location::{LocatedFile, LocatedHoldings};
use tieup_protocol::period::Period;
use tieup_protocol::record::{
    Entry, Extent, Holdings, LocatedRecord, MAX_PAGE, MAX_RECORD, RECORD, RecordHeld, RecordPage, RecordRequest, Sale,
    Span,
};
use tieup_protocol::wire::StatementStatus;
use tieup_store::audit::AuditError;
use tieup_store::document::DocumentError;
use tieup_store::durable;
use tieup_store::durable::DiskError;
use tieup_store::quarantine::Quarantine;

use crate::daemon::Partner;
use crate::extents::Extents;
use crate::guard::QUARANTINE;
use crate::location::LocateError;
use crate::statement::{STATEMENTS, StatementFailure};

use self::copy::{Kept, MOST_PAGES, Told};

pub use self::copy::RecordCopy;

/// Why the record was not taken, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A page is too long.
    #[error("main tells {0} entries at once; {MAX_PAGE} are the most")]
    LongPage(u64),
    /// The record is too long.
    #[error("main's record has more than {MAX_RECORD} entries")]
    TooLong,
    /// It came in too many pages: each is a line of the audit trail.
    #[error(
        "main has told its record in {MOST_PAGES} pages, each a line of the partner's audit trail, and no more are taken: agree \
         with each other on what is due by what main has noted since, and let main invite the partner by another partner's \
         name, whose record begins anew"
    )]
    TooManyPages,
    /// An entry makes no sense.
    #[error("entry {0} of main's record has an amount below 0")]
    Unsound(u64),
    /// An entry that was kept cannot be read.
    #[error(
        "entry {0} of the copy of main's record cannot be read: main tells the record anew with its next statement \
         (`tieup fee statement`)"
    )]
    Damaged(u64),
    /// Main tells otherwise what it told before.
    #[error(
        "main tells entries {} to {} of its record otherwise than it told them before, by the digest in the audit trail",
        .0.first,
        .0.last
    )]
    Otherwise(Span),
    /// What lies here and what main tells now are together not what it told before: the one or the other is another. What
    /// lay here was set aside.
    #[error(
        "entries {} to {} of the partner's copy of main's record, which lay there in part, are not what main told, by the \
         digest in the audit trail: the copy was set aside, and main tells its record anew with its next statement \
         (`tieup fee statement`)",
        .0.first,
        .0.last
    )]
    SetAside(Span),
    /// The audit trail could not be read or continued.
    #[error(transparent)]
    Trail(#[from] AuditError),
    /// Main has told less than its statement goes by.
    #[error("main's statement goes by {until} entries of its record, and it has told {held}")]
    NotTold {
        /// What is here.
        held: u64,
        /// What the statement goes by.
        until: u64,
    },
    /// The copy has less than main told.
    #[error(
        "main's statement goes by {until} entries of its record, and of those that it told only {held} are here: the others \
         were lost here, and main tells them anew with its next statement (`tieup fee statement`)"
    )]
    Lost {
        /// What is here.
        held: u64,
        /// What the statement goes by.
        until: u64,
    },
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Partner {
    /// Takes a page of main's record where it follows what is here, and says how much is. That it was told stands in the
    /// audit trail first. Before main tells anything it is looked whether what is here is what was told: a damaged copy is
    /// set aside, so that main tells all of it anew. Durable on return.
    ///
    /// # Errors
    /// When it is too much, makes no sense, was told otherwise before, or the disk fails.
    pub fn take_record(&self, page: &RecordPage, now: Timestamp) -> Result<RecordHeld, RecordError> {
        durable::create_dir_all(&self.state().join(STATEMENTS))?;
        let mut kept = self.record().kept();
        self.read_told(&mut kept)?;
        if page.entries.is_empty() {
            self.mend_record(&mut kept, now)?;
        }
        let note = |span: Span| self.note_record(Actor::Main, Event::RecordTold, span.to_string(), now);
        match kept.take(page, note) {
            // Whether it was damaged here or is told otherwise now is not known: main begins anew.
            Err(RecordError::Otherwise(span)) if span.first < page.from => {
                let aside = kept.set_aside(&self.quarantine(), now)?;
                let error = RecordError::SetAside(span);
                tracing::error!(aside = %aside.display(), "{error}");
                Err(error)
            }
            taken => taken,
        }
    }

    fn quarantine(&self) -> Quarantine {
        Quarantine::at(self.state().join(QUARANTINE))
    }

    /// Reads what main has told by the audit trail, where that is not known yet.
    fn read_told(&self, kept: &mut Kept) -> Result<(), AuditError> {
        if !kept.knows_told() {
            kept.learn_told(Told::of(self.publisher().audit_entries()?));
        }
        Ok(())
    }

    /// Sets a copy aside that is not what main has told, and says so. Where it has less than that it is taken back to the end
    /// of a page, so that all of a page comes from one side. Where main told entries before that was noted of each page, it is
    /// noted now that they are here: they cannot be told otherwise from then on.
    fn mend_record(&self, kept: &mut Kept, now: Timestamp) -> Result<(), RecordError> {
        if let Some(number) = kept.damaged()? {
            let aside = kept.set_aside(&self.quarantine(), now)?;
            let aside = aside.display();
            let found = format!(
                "the copy of main's record, from entry {number} on; it lies in {aside}, and main tells it anew"
            );
            tracing::error!("damage was found in {found}");
            self.note_record(Actor::Daemon, Event::DriftFound, found, now)?;
        }
        if let Some((held, told)) = kept.back_to_page()? {
            tracing::warn!(
                "the copy of main's record has {held} of the {told} entries that main told, by the audit trail: main tells \
                 the others anew"
            );
        }
        kept.note_older(|span| self.note_record(Actor::Daemon, Event::RecordTold, span.to_string(), now))
    }

    /// The first `until` entries of the record, in their order.
    ///
    /// # Errors
    /// When there are fewer, because main told fewer or they were lost here; then each, when it cannot be read.
    fn told_first(&self, until: u64) -> Result<impl Iterator<Item = Result<Entry, RecordError>> + use<>, RecordError> {
        let mut kept = self.record().kept();
        let held = kept.count()?;
        if held < until {
            self.read_told(&mut kept)?;
            let is_lost = kept.told_end() >= until;
            return Err(if is_lost { RecordError::Lost { held, until } } else { RecordError::NotTold { held, until } });
        }
        kept.first(until)
    }

    fn note_record(&self, who: Actor, what: Event, reason: String, now: Timestamp) -> Result<(), AuditError> {
        self.publisher().write_down(&Happening { who, what, release: None, reason: Some(reason) }, now)
    }

    /// The sales of `period`, as far as main has told them, by name. Those of a month are all of it, also where versions of
    /// the contract govern parts of it, or none governs a part: main lists them so, too.
    ///
    /// # Errors
    /// When no contract is in force, or what was told cannot be read.
    pub fn sales(&self, period: impl Into<Period>) -> Result<Vec<Sale>, StatementFailure> {
        let period = period.into();
        let contract = if period.is_whole() {
            charged_under(self.versions()?, period.month()).ok_or(Ungoverned::NoContract)?
        } else {
            self.contract(period)?
        };
        let held = self.record().kept().count().map_err(RecordError::from)?;
        Ok(self.gathered(&contract, period, held)?.sales())
    }

    /// What main's record says of the period that `basis` is for, under `contract`, and as far as it counts there.
    ///
    /// # Errors
    /// When main has not told as many, or they cannot be read or charged under the contract.
    pub(crate) fn recorded_of(
        &self,
        contract: &Contract,
        period: Period,
        record: u64,
        status: StatementStatus,
    ) -> Result<Recorded, StatementFailure> {
        let mut gathering = self.gathered(contract, period, record)?;
        self.correct_holdings(&mut gathering, period.end(&contract.effective.tz), status)?;
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
        for entry in self.told_first(until)? {
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
        let told = self.told_first(self.notice(period)?.record_told()).map_err(StatementFailure::from)?;
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
