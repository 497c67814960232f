//! The partner's copy of main's record of what fees go by besides visits. Main tells it page by page, and the audit trail
//! has the digest of each page; what was told once is never told otherwise, and where main has it otherwise now, the first
//! entry that differs is found. A copy that is not what was told is set aside, and main tells it anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tieup_fees::{Basis, FeeError, Gathering, Ledger as _, PricingError, Recorded, StatementError};
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
use tieup_store::lines::Lines;
use tieup_store::quarantine::Quarantine;

use crate::daemon::Partner;
use crate::extents::Extents;
use crate::guard::QUARANTINE;
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
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// The copy.
#[derive(Debug)]
pub struct RecordCopy {
    path: PathBuf,
    lines: Mutex<Lines>,
}

/// What main has told by the audit trail: the pages, by the number of their first entries.
type Told = BTreeMap<u64, Vec<Span>>;

impl RecordCopy {
    /// The copy in a state folder.
    pub fn in_state(state: &Path) -> Self {
        let path = state.join(STATEMENTS).join(FILE);
        Self { lines: Mutex::new(Lines::at(path.clone())), path }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Takes a page where it follows what is here, and is what main has `told` where it has; `note` writes down what of it is
    /// told for the first time. Durable on return.
    fn take(
        &self,
        page: &RecordPage,
        told: &Told,
        note: impl FnOnce(Span) -> Result<(), AuditError>,
    ) -> Result<RecordHeld, RecordError> {
        let mut lines = self.lines();
        let held = lines.count()?;
        if page.from != held {
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
        let coming: Vec<String> = page.entries.iter().map(Entry::line).collect();
        check_told(&mut lines, &coming, told)?;
        let first_new = told.values().flatten().map(|span| span.last + 1).max().unwrap_or(0).max(held);
        let known = usize::try_from(first_new - held).unwrap_or(usize::MAX);
        if let Some(span) = Span::of(first_new, coming.get(known..).unwrap_or_default()) {
            note(span)?;
        }
        lines.append(&coming)?;
        Ok(RecordHeld { held: held + more })
    }

    /// The number of the first entry that cannot be read or, by its page, is not what main has `told`.
    fn damaged(&self, told: &Told) -> Result<Option<u64>, RecordError> {
        let mut lines = self.lines();
        let held = lines.count()?;
        let mut open: Vec<(Span, Vec<String>)> = Vec::new();
        for (number, line) in (0..).zip(lines.first(held)?) {
            let Some(line) = line.ok().filter(|line| serde_json::from_str::<Entry>(line).is_ok()) else {
                return Ok(Some(number));
            };
            open.extend(told.get(&number).into_iter().flatten().map(|span| (*span, Vec::new())));
            for (span, page) in &mut open {
                page.push(line.clone());
                if span.last == number && Span::of(span.first, page) != Some(*span) {
                    return Ok(Some(span.first));
                }
            }
            open.retain(|(span, _)| span.last > number);
        }
        Ok(None)
    }

    /// Sets the copy aside in `quarantine`, and says where it is. Nothing is here then. Durable on return.
    fn set_aside(&self, quarantine: &Quarantine, now: Timestamp) -> Result<PathBuf, RecordError> {
        let mut lines = self.lines();
        let bytes = durable::read_file(&self.path)?.unwrap_or_default();
        let aside = quarantine.keep(FILE, &bytes, now)?;
        let removed = durable::remove_file(&self.path);
        // A removal can fail after it was done: what is there is looked at anew.
        *lines = Lines::at(self.path.clone());
        removed?;
        Ok(aside)
    }
}

/// Looks whether what main has `told` before of the entries that come now, after those in `lines`, is the same again.
fn check_told(lines: &mut Lines, coming: &[String], told: &Told) -> Result<(), RecordError> {
    let held = lines.count()?;
    let ends_now = |span: &&Span| (held..held + coming.len() as u64).contains(&span.last);
    let again: Vec<Span> = told.values().flatten().filter(ends_now).copied().collect();
    let Some(from) = again.iter().map(|span| span.first).min() else { return Ok(()) };
    let before = lines.first(held)?.skip(usize::try_from(from).unwrap_or(usize::MAX));
    let all = before.chain(coming.iter().cloned().map(Ok)).collect::<Result<Vec<_>, _>>()?;
    let from = from.min(held);
    let at = |number: u64| usize::try_from(number - from).unwrap_or(usize::MAX);
    let is_same = |span: &Span| Span::of(span.first, &all[at(span.first)..=at(span.last)]) == Some(*span);
    again.into_iter().find(|span| !is_same(span)).map_or(Ok(()), |span| Err(RecordError::Otherwise(span)))
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
        let told = self.told()?;
        if page.entries.is_empty() {
            self.mend_record(&told, now)?;
        }
        let note = |span: Span| self.note_record(Actor::Main, Event::RecordTold, span.to_string(), now);
        let taken = self.record().take(page, &told, note);
        if matches!(taken, Err(RecordError::Otherwise(_))) && page.from > 0 {
            // Which of the pages since is another one is not known: whoever tells what was told begins anew.
            self.record().set_aside(&self.quarantine(), now)?;
        }
        taken
    }

    fn quarantine(&self) -> Quarantine {
        Quarantine::at(self.state().join(QUARANTINE))
    }

    /// What main has told by the audit trail.
    fn told(&self) -> Result<Told, AuditError> {
        let mut told = Told::new();
        for entry in self.publisher().audit_entries()? {
            let reason = entry.reason.filter(|_| entry.what == Event::RecordTold);
            if let Some(span) = reason.and_then(|reason| reason.parse::<Span>().ok()) {
                told.entry(span.first).or_default().push(span);
            }
        }
        Ok(told)
    }

    /// Sets a copy aside that is not what main has `told`, and says so.
    fn mend_record(&self, told: &Told, now: Timestamp) -> Result<(), RecordError> {
        let Some(number) = self.record().damaged(told)? else { return Ok(()) };
        let aside = self.record().set_aside(&self.quarantine(), now)?;
        let aside = aside.display();
        let found =
            format!("the copy of main's record, from entry {number} on; it lies in {aside}, and main tells it anew");
        tracing::error!("damage was found in {found}");
        Ok(self.note_record(Actor::Daemon, Event::DriftFound, found, now)?)
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
