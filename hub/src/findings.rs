//! Findings: what is worth a question in the log that a partner is charged by, main's verified copy of its journal or main's
//! own log, and beside what main knows of the month by itself. Nobody is asked, and nothing is kept: whoever looks again
//! finds the same.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::{fmt, iter};

use jiff::{SignedDuration, Timestamp};
use tieup_fees::findings::{Beacons, Heartbeat, Pulse, Terms, Witness};
use tieup_fees::{Findings, StatementError, Ungoverned, Versions, examine};
use tieup_protocol::access::AccessEntry;
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::period::{Month, Period, Zone};
use tieup_store::document::DocumentError;
use tieup_store::durable::DiskError;
use tieup_store::journal::{CheckpointError, JournalReader, ReadError, month_dir, months, verify_cosignature};

use crate::books::MainBooks;
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
    /// The zones of the versions of the contract that govern the month, in the order of its days.
    pub zones: Vec<Zone>,
    /// The parts of the month in which nothing of main's own log was looked at.
    pub left_out: Vec<LeftOut>,
    /// What was found.
    pub found: Findings,
}

/// A part of a month of main's own log in which nothing is looked at: which entries of it count is said by the version of the
/// contract that it is charged under, and that one cannot be had.
#[derive(Debug)]
pub struct LeftOut {
    /// The days.
    pub period: Period,
    /// Why.
    pub why: Ungoverned,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { period, why } = self;
        write!(f, "{period} is not looked at, since nobody can say which entries of your own log count there: {why}")
    }
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
    /// Looks through the log that a month of a partner is charged by, as its entries count, up to what the end that does not
    /// write it has cosigned. A partner's journal is held against what main counted by itself; of a month that main only
    /// counted itself, and of which it has no copy, it is empty.
    ///
    /// # Errors
    /// See [`ExamineError`].
    pub async fn examine(&self, partner: &PartnerRow, month: Month) -> Result<Examined, ExamineError> {
        let contract = self.charged_by_record(partner, month).await?;
        let books = self.books(partner).await?;
        let (writer, (versions, left_out)) = (books.writer(month)?, versions_of(books.versions(), month));
        let terms = terms_of(month, &contract, &versions);
        // The entries of a partner's own log count whatever version governs them.
        let left_out = if writer == Side::Main { left_out } else { Vec::new() };
        let zones = terms.zones().into_iter().cloned().collect();
        let versions = Some(versions).filter(|_| writer == Side::Main);
        let log = match self.charged_log(partner, writer, month) {
            Ok((reader, _, size)) => Ok((reader, size)),
            Err(failure @ StatementFailure::NotCollected(_)) => Err(failure),
            Err(failure) => return Err(failure.into()),
        };
        let witness = if writer == Side::Main {
            Witness::default()
        } else {
            let held = self.held_until(partner, log.as_ref().ok().map(|(reader, _)| reader))?;
            self.witness(partner, month, (&contract, &terms), held).await?
        };
        let found = match log {
            Ok((reader, size)) => {
                let entries = reader.entries(0..size).map_err(StatementFailure::from)?;
                let entries = entries.map(|entry| entry.map(|entry| as_charged(versions.as_deref(), entry)));
                examine(terms, entries, &witness)?
            }
            Err(_) if witness != Witness::default() => examine(terms, iter::empty(), &witness)?,
            Err(failure) => return Err(failure.into()),
        };
        Ok(Examined { zones, left_out, found })
    }

    /// The months that can be examined: those of which main has a copy, those of its own log that the partner is charged by
    /// and has cosigned, and those of which it counted beacons.
    ///
    /// # Errors
    /// When the copies cannot be listed, or the database fails.
    pub async fn examinable(&self, partner: &PartnerRow) -> Result<BTreeSet<Month>, ExamineError> {
        let mut known: BTreeSet<Month> = months(&self.mirrors(partner))?.into_iter().collect();
        let books = self.books(partner).await?;
        let by_main = months(&self.own_journals())?.into_iter();
        known.extend(by_main.filter(|month| is_by_main(&books, *month) && books.log(*month).is_ok()));
        let Some((first, last)) = self.database.beacon_span(&partner.id).await? else { return Ok(known) };
        let month = |hour: i64| Timestamp::from_second(hour * 3600).map(|time| Month::of(time, &Zone::utc()));
        let (Ok(mut next), Ok(last)) = (month(first), month(last)) else { return Ok(known) };
        while next <= last && next < next.next() {
            known.insert(next);
            next = next.next();
        }
        Ok(known)
    }

    /// How many findings there are in the newest month of a partner that has begun; none where that has none, cannot be
    /// examined, or is so large that it takes more than a moment.
    pub async fn newest_findings(&self, partner: &PartnerRow) -> Option<(Month, NonZeroUsize)> {
        let month = newest(&self.examinable(partner).await.ok()?, Timestamp::now())?;
        let is_own = is_by_main(&self.books(partner).await.ok()?, month);
        let logs = if is_own { self.own_journals() } else { self.mirrors(partner) };
        let entries = month_dir(&logs, month).join("entries");
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
        (contract, terms): (&Contract, &Terms),
        held: Option<Timestamp>,
    ) -> Result<Witness, ExamineError> {
        // The numbers of a month's hours are those that clocks show, whatever the zone.
        let zone = &contract.effective.tz;
        let [from, until] = [month, month.next()].map(|month| zone.hour_number(month.start(zone)));
        let counts = self.database.beacons(&partner.id, from..until).await?;
        let pulse = self.pulse(partner, month, terms, held).await?;
        if counts.hours.is_empty() {
            return Ok(Witness { pulse, ..Witness::default() });
        }
        let until = held.map_or(from, |held| until.min(terms.hour_number(held - SETTLED)));
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
        terms: &Terms,
        held: Option<Timestamp>,
    ) -> Result<Pulse, ExamineError> {
        let Range { start: from, end } = terms.span();
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

/// A version of the contract with the days that it governs, and from when until when they are.
struct Governing {
    period: Period,
    span: Range<Timestamp>,
    contract: Contract,
}

/// Those of the `versions` that govern the parts of `month` that have a statement each, and the parts whose version cannot be
/// had.
fn versions_of(versions: &Versions, month: Month) -> (Vec<Governing>, Vec<LeftOut>) {
    let (mut governing, mut left_out) = (Vec::new(), Vec::new());
    for period in versions.periods(month) {
        match versions.contract(period) {
            Ok(contract) => governing.push(Governing::of(period, contract)),
            Err(why) => left_out.push(LeftOut { period, why }),
        }
    }
    (governing, left_out)
}

impl Governing {
    fn of(period: Period, contract: Contract) -> Self {
        let zone = &contract.effective.tz;
        Self { period, span: period.start(zone)..period.end(zone), contract }
    }
}

/// The terms by which `month` is looked at: those of these `versions`, and of `contract` where none of them governs.
fn terms_of(month: Month, contract: &Contract, versions: &[Governing]) -> Terms {
    let of = |contract: &Contract| (contract.effective.tz.clone(), contract.terms.count.robots);
    let (zone, robots) = of(contract);
    versions.iter().fold(Terms::new(month, &zone, robots), |terms, version| {
        let (zone, robots) = of(&version.contract);
        terms.with(version.period, &zone, robots)
    })
}

/// An entry as it counts: one of main's own log goes by the mounts of the one of these `versions` that governs its time, and
/// is of no page where none does; one of a partner's log, of which none are given, is as it is. So is what is no entry.
fn as_charged(versions: Option<&[Governing]>, entry: Vec<u8>) -> Vec<u8> {
    let Some(versions) = versions else { return entry };
    let Ok(decoded) = AccessEntry::decode(&entry) else { return entry };
    match versions.iter().find(|version| version.span.contains(&decoded.time)) {
        Some(version) => version.contract.as_counted(Side::Main, entry),
        None => AccessEntry { class: None, ..decoded }.encode(),
    }
}

/// The newest of `months`, but for those that have begun nowhere at `now`: a clock was wrong there.
fn newest(months: &BTreeSet<Month>, now: Timestamp) -> Option<Month> {
    months.range(..=Month::latest(now)).next_back().copied()
}

/// Whether main alone writes the log that `month` is charged by.
fn is_by_main(books: &MainBooks<'_>, month: Month) -> bool {
    books.writer(month).is_ok_and(|writer| writer == Side::Main)
}

#[cfg(test)]
mod tests {
    use tieup_protocol::access::{AgentClass, Method, Purpose, ReferrerClass, VisitorToken};
    use tieup_protocol::contract::MeterClass;
    use tieup_protocol::path::SitePath;

    use super::*;
    use crate::terms::tests::version;

    #[test]
    fn an_entry_of_mains_log_goes_by_the_mounts_of_the_version_that_governed_its_time() {
        let second = "2026-11-16T00:00:00Z".parse::<Timestamp>().unwrap();
        let first = "2026-11-10T00:00:00Z".parse::<Timestamp>().unwrap();
        let [mut before, mut after] = [version(1, "2026-11-10", "", ""), version(2, "2026-11-16", "", "")];
        (before.effective.tz, after.effective.tz) = (Zone::utc(), Zone::utc());
        after.mounts = serde_json::from_str(r#"{"/": "main", "/local/**": "partner"}"#).unwrap();
        let days = |days: &str| days.parse::<Period>().unwrap();
        let versions =
            [Governing::of(days("2026-11-10_2026-11-15"), before), Governing::of(days("2026-11-16_2026-11-30"), after)];
        let entry = |time: Timestamp, path: &str| AccessEntry {
            time,
            class: Some(MeterClass::Tieup),
            method: Method::Get,
            status: 200,
            bytes: 10,
            purpose: Purpose::Document,
            visitor: VisitorToken([1; 16]),
            agent: AgentClass::Desktop,
            robot: 0,
            referrer: ReferrerClass::None,
            path: path.parse::<SitePath>().unwrap(),
        };
        let moment = SignedDuration::from_secs(1);
        let class = |time, path| {
            let charged = as_charged(Some(&versions), entry(time, path).encode());
            AccessEntry::decode(&charged).unwrap().class
        };
        assert_eq!(class(second - moment, "/local/"), Some(MeterClass::Tieup), "version 1 gives the path to main");
        assert_eq!(class(second, "/local/"), None, "version 2 gives it to the partner");
        assert_eq!(class(second, "/about/"), Some(MeterClass::Tieup));
        assert_eq!(class(first - moment, "/about/"), None, "no version governs that day");
        let of_partner = entry(second, "/local/").encode();
        assert_eq!(as_charged(None, of_partner.clone()), of_partner);
    }

    #[test]
    fn the_newest_month_is_none_that_has_yet_to_come() {
        let months = |months: &[&str]| months.iter().map(|month| month.parse().unwrap()).collect::<BTreeSet<Month>>();
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        let newest = |all: &[&str]| newest(&months(all), now).map(|month| month.to_string());
        assert_eq!(newest(&["2026-09", "2026-10", "2099-01", "9999-12"]).as_deref(), Some("2026-10"));
        assert_eq!(newest(&["2026-10", "2026-11", "2026-12"]).as_deref(), Some("2026-11"));
        assert_eq!(newest(&["2099-01"]), None);
    }

    #[test]
    fn a_part_whose_version_no_release_has_any_more_is_left_out_and_told() {
        let [gone, here] = [version(1, "2026-11-01", "", ""), version(2, "2026-11-16", "", "")];
        let [first, second] = ["2026-11-01_2026-11-15", "2026-11-16_2026-11-30"].map(|days| days.parse().unwrap());
        let issued = [(first, Some(gone.digest())), (second, Some(here.digest()))];
        let of = |approved| versions_of(&Versions::new(approved, issued), "2026-11".parse().unwrap());
        let (governing, left_out) = of(vec![here.clone()]);
        assert_eq!(governing.iter().map(|it| it.period).collect::<Vec<_>>(), [second]);
        let [part] = left_out.as_slice() else { panic!("{left_out:?}") };
        let told = format!(
            "2026-11-01 to 2026-11-15 is not looked at, since nobody can say which entries of your own log count there: the \
             statement for 2026-11-01 to 2026-11-15 was issued under contract {}, which no release here has any more",
            gone.digest()
        );
        assert_eq!(part.to_string(), told);
        assert!(of(vec![gone, here]).1.is_empty());
    }

    #[test]
    fn a_month_is_looked_at_by_the_clocks_of_the_version_that_governs_each_day() {
        let [before, mut after] = [version(1, "2026-11-10", "", ""), version(2, "2026-11-16", "", "")];
        after.effective.tz = Zone::utc();
        let days = |days: &str| days.parse::<Period>().unwrap();
        let versions = [
            Governing::of(days("2026-11-10_2026-11-15"), before.clone()),
            Governing::of(days("2026-11-16_2026-11-30"), after),
        ];
        let terms = terms_of("2026-11".parse().unwrap(), &before, &versions);
        let hour = |time: &str| terms.hour_number(time.parse().unwrap()) % 24;
        // No version governs the second day: it is looked at by the version that the month is charged by.
        assert_eq!(["2026-11-01T18:00:00Z", "2026-11-12T18:00:00Z", "2026-11-20T18:00:00Z"].map(hour), [3, 3, 18]);
        assert_eq!(terms.zones().into_iter().map(Zone::name).collect::<Vec<_>>(), ["Asia/Tokyo", "UTC"]);
        assert_eq!(terms.span().end, "2026-12-01T00:00:00Z".parse().unwrap());
    }
}
