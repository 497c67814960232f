//! Findings: what is worth a question in main's verified copy of a partner's journal, and beside what main knows of the
//! month by itself. Nobody is asked, and nothing is kept: whoever looks again finds the same.

use std::collections::BTreeSet;
use std::iter;
use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use tieup_fees::findings::{Beacons, Heartbeat, Pulse, Witness};
use tieup_fees::{Findings, StatementError, examine};
use tieup_protocol::contract::Contract;
use tieup_protocol::period::{Month, Zone};
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::journal::{CheckpointError, JournalReader, ReadError, month_dir, months, verify_cosignature};

use crate::database::{DatabaseError, PartnerRow};
use crate::keys::KeyError;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// How long before a collection hours must have ended to be compared: it takes its time, and so do answers.
const SETTLED: SignedDuration = SignedDuration::from_hours(1);

/// The most bytes of a month's entries that are looked through on the side: some 300,000 visits.
const SMALL: u64 = 16 << 20;

/// What was found in a month, and how its hours were cut.
#[derive(Debug)]
pub struct Examined {
    /// The zone of the contract that the month is charged under.
    pub zone: Zone,
    /// What was found.
    pub found: Findings,
}

/// Why nothing can be said of a journal.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// There is no copy, or no contract.
    #[error(transparent)]
    Copy(#[from] StatementFailure),
    /// Main's copy holds what is no entry.
    #[error("main's copy of the journal cannot be examined")]
    Entries(#[from] StatementError<ReadError>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is not known until when main holds the journal.
    #[error("it cannot be read when the journal was collected last")]
    Collected(#[from] DocumentError),
    /// The same.
    #[error("main's cosignature of the journal cannot be verified")]
    Cosignature(#[from] CheckpointError),
    /// Main's own key cannot be read.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Hub {
    /// Looks through a month of a partner's journal, up to what main has cosigned, and holds it against what main counted
    /// by itself. Of a month that main only counted itself, and of which it has no copy, the journal is empty.
    ///
    /// # Errors
    /// See [`ExamineError`].
    pub async fn examine(&self, partner: &PartnerRow, month: Month) -> Result<Examined, ExamineError> {
        let contract = self.charged_by_record(partner, month).await?;
        let (zone, robots) = (contract.effective.tz.clone(), contract.terms.count.robots);
        let copy = match self.cosigned_copy(partner, month) {
            Ok((reader, _, size)) => Ok((reader, size)),
            Err(failure @ StatementFailure::NotCollected(_)) => Err(failure),
            Err(failure) => return Err(failure.into()),
        };
        let held = self.held_until(partner, copy.as_ref().ok().map(|(reader, _)| reader))?;
        let witness = self.witness(partner, month, &contract, held).await?;
        let found = match copy {
            Ok((reader, size)) => {
                let entries = reader.entries(0..size).map_err(StatementFailure::from)?;
                examine(&zone, month, robots, entries, &witness)?
            }
            Err(_) if witness != Witness::default() => examine(&zone, month, robots, iter::empty(), &witness)?,
            Err(failure) => return Err(failure.into()),
        };
        Ok(Examined { zone, found })
    }

    /// The months that can be examined: those of which main has a copy, and those of which it counted beacons.
    ///
    /// # Errors
    /// When the copies cannot be listed, or the database fails.
    pub async fn examinable(&self, partner: &PartnerRow) -> Result<BTreeSet<Month>, ExamineError> {
        let mut known: BTreeSet<Month> = months(&self.mirrors(partner))?.into_iter().collect();
        let Some((first, last)) = self.database.beacon_span(&partner.id).await? else { return Ok(known) };
        let month = |hour: i64| Timestamp::from_second(hour * 3600).map(|time| Month::of(time, &Zone::utc()));
        let (Ok(mut next), Ok(last)) = (month(first), month(last)) else { return Ok(known) };
        while next <= last && next < next.next() {
            known.insert(next);
            next = next.next();
        }
        Ok(known)
    }

    /// How many findings there are in the newest month of a partner; none where that has none, cannot be examined, or is
    /// so large that it takes more than a moment.
    pub async fn newest_findings(&self, partner: &PartnerRow) -> Option<(Month, NonZeroUsize)> {
        let month = self.examinable(partner).await.ok()?.pop_last()?;
        let entries = month_dir(&self.mirrors(partner), month).join("entries");
        if entries.metadata().is_ok_and(|about| about.len() > SMALL) {
            return None;
        }
        let examined = self.examine(partner, month).await.ok()?;
        Some((month, NonZeroUsize::new(examined.found.findings.len())?))
    }

    /// What main knows of a month by itself, where it holds the journal up to `held`.
    async fn witness(
        &self,
        partner: &PartnerRow,
        month: Month,
        contract: &Contract,
        held: Option<Timestamp>,
    ) -> Result<Witness, ExamineError> {
        let zone = &contract.effective.tz;
        let [from, until] = [month, month.next()].map(|month| zone.hour_number(month.start(zone)));
        let counts = self.database.beacons(&partner.id, from..until).await?;
        let pulse = self.pulse(partner, month, zone, held).await?;
        if counts.hours.is_empty() {
            return Ok(Witness { pulse, ..Witness::default() });
        }
        let until = held.map_or(from, |held| until.min(zone.hour_number(held - SETTLED)));
        // A contract that asks for beacons says so, and a month may be charged under one from before.
        let newest = || self.contract(&partner.id)?.terms.dispute;
        let dispute = contract.terms.dispute.clone().or_else(newest);
        let tolerance = dispute.map(|dispute| dispute.beacon_tolerance);
        let beacons = Beacons { hours: counts.hours, pages: counts.pages, until, tolerance };
        Ok(Witness { beacons, pulse })
    }

    /// The heartbeats of a month whose entries main holds: those that came an hour or more before it collected.
    async fn pulse(
        &self,
        partner: &PartnerRow,
        month: Month,
        zone: &Zone,
        held: Option<Timestamp>,
    ) -> Result<Pulse, ExamineError> {
        let (from, end) = (month.start(zone), month.next().start(zone));
        let until = held.map_or(from, |held| end.min(held - SETTLED));
        let came = self.database.heartbeats(&partner.id, from, until).await?;
        let sizes = came.iter().filter_map(|heartbeat| Some((heartbeat.at, *heartbeat.journals.get(&month)?)));
        let told = sizes.max_by_key(|(_, size)| *size);
        let heartbeats =
            came.iter().map(|told| Heartbeat { started: told.started, at: told.at, answered: told.answered });
        Ok(Pulse { heartbeats: heartbeats.collect(), told })
    }

    /// Until when main holds everything that a partner logged, as far as it was told: when all was collected last, or the
    /// month of which this is main's `copy` was.
    fn held_until(
        &self,
        partner: &PartnerRow,
        copy: Option<&JournalReader>,
    ) -> Result<Option<Timestamp>, ExamineError> {
        let collected = self.collected_at(partner)?;
        let note = copy.map(JournalReader::cosigned).transpose().map_err(StatementFailure::from)?.flatten();
        let Some(note) = note else { return Ok(collected) };
        let cosigned = verify_cosignature(note.as_bytes(), &self.keys.cosigner()?.verifier())?;
        Ok(Some(collected.map_or(cosigned, |collected| collected.max(cosigned))))
    }
}
