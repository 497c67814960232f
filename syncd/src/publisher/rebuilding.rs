//! What is made anew from the audit trail: the records that say where releases stand, the document that says what is live,
//! and that of a declared emergency.
//!
//! The trail has the digest of each release's manifest, what became of it, by whom and when, and each of its lines proves
//! those before it. So a record is made anew as it was, but for what had been approved and was not live yet: that waits
//! for the operator again. What is live is merged anew from the release that went live last, also where its document is
//! gone; where that release cannot be had, the last good one is served. Which paths were withdrawn is kept beside the live document; where that is damaged, too, main's
//! are known from the releases that were live and are still kept. Of the live document one thing is lost: whether main changed
//! a page beneath an original before.

use std::collections::BTreeSet;

use jiff::Timestamp;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord, ReleaseState};
use tieup_protocol::audit::{Actor, AuditEntry, Event, Happening};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::wire::DeclaredEmergency;
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable;
use tieup_store::quarantine::Quarantine;

use super::rights::Withdrawn;
use super::{Live, PublishError, Publisher};

/// Why a release waits that was made anew.
const ASKS_AGAIN: &str = "its record was damaged, so what was approved counts no more";

/// The state folder's documents as they were read at start, and why one of them could not be.
pub(super) struct Found<T> {
    /// What it says; nothing where it is damaged.
    pub(super) value: Option<T>,
    /// What is wrong with it.
    pub(super) damage: Option<DocumentError>,
}

impl<T: serde::Serialize + serde::de::DeserializeOwned> Found<T> {
    /// Reads a document of which the trail knows enough.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn read(document: &Document<T>) -> Result<Self, DocumentError> {
        match document.read() {
            Ok(value) => Ok(Self { value, damage: None }),
            Err(damage @ DocumentError::Json { .. }) => Ok(Self { value: None, damage: Some(damage) }),
            Err(error) => Err(error),
        }
    }
}

impl Publisher {
    /// Makes anew, when the daemon starts, what is damaged of records and of the documents `live` and `emergency`, and a
    /// live document that is gone.
    ///
    /// # Errors
    /// When the live document is damaged and cannot be made anew: then there is nothing to serve.
    pub(super) fn rebuild(
        &mut self,
        live: Option<DocumentError>,
        emergency: Option<DocumentError>,
        quarantine: &Quarantine,
        now: Timestamp,
    ) -> Result<(), PublishError> {
        let mut rebuilt = match self.rebuild_records(quarantine, now) {
            Ok(rebuilt) => rebuilt,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "damaged records were not made anew");
                Vec::new()
            }
        };
        if let Some(damage) = emergency {
            self.rebuild_emergency(damage, quarantine, now)?;
            rebuilt.push("emergency.json".to_owned());
        }
        if (live.is_some() || self.live.version.is_none()) && self.rebuild_live(live, quarantine, now)? {
            rebuilt.push("live.json".to_owned());
        }
        self.note_rebuilt(&rebuilt, now);
        Ok(())
    }

    /// Whether where some release stands cannot be read.
    pub fn lacks_records(&self) -> bool {
        self.releases.unrecorded().map_or(true, |lost| !lost.is_empty())
    }

    /// Makes the records anew that cannot be read or are gone, and says which. One that the trail does not know stays as
    /// it is.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When the disk fails, or the trail does not verify.
    pub(super) fn rebuild_records(
        &mut self,
        quarantine: &Quarantine,
        now: Timestamp,
    ) -> Result<Vec<String>, PublishError> {
        let lost = self.releases.unrecorded()?;
        if lost.is_empty() {
            return Ok(Vec::new());
        }
        let entries = self.audit.entries()?;
        let mut rebuilt = Vec::new();
        for version in lost {
            let Some(record) = record_of(version, &entries) else {
                tracing::error!(release = %version, "the record is damaged, and the audit trail does not know the release");
                continue;
            };
            if let Some(damaged) = self.releases.record_bytes(version)? {
                quarantine.keep(&format!("release-{version}-record.json"), &damaged, now)?;
            }
            self.releases.restore_record(&record)?;
            rebuilt.push(format!("the record of release {version}"));
        }
        Ok(rebuilt)
    }

    /// Declares the emergency anew that the trail knows of, or none.
    fn rebuild_emergency(
        &mut self,
        damage: DocumentError,
        quarantine: &Quarantine,
        now: Timestamp,
    ) -> Result<(), PublishError> {
        let Ok(entries) = self.audit.entries() else { return Err(damage.into()) };
        if let Some(damaged) = durable::read_file(self.emergency_document.path())? {
            quarantine.keep("emergency.json", &damaged, now)?;
        }
        self.emergency = emergency_of(&entries);
        match &self.emergency {
            Some(declared) => self.emergency_document.write(declared)?,
            None => durable::remove_file(self.emergency_document.path())?,
        }
        Ok(())
    }

    /// Serves what went live last, or else the last good release, and says whether there was one. Without `damage` the live
    /// document is not there, as in a folder in which nothing was live yet.
    ///
    /// # Errors
    /// `damage`, where nothing can be served.
    fn rebuild_live(
        &mut self,
        damage: Option<DocumentError>,
        quarantine: &Quarantine,
        now: Timestamp,
    ) -> Result<bool, PublishError> {
        let nothing = |damage: Option<DocumentError>| damage.map_or(Ok(false), |damage| Err(damage.into()));
        let entries = match self.audit.entries() {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "what was live is in no live.json, and cannot be read from the audit trail: put one of them back from a \
                     backup, or have the main site publish again and approve that"
                );
                return nothing(damage);
            }
        };
        let Some(last) = last_live(&entries) else { return nothing(damage) };
        if let Some(damaged) = durable::read_file(self.document.path())? {
            quarantine.keep("live.json", &damaged, now)?;
        }
        self.live.withdrawn = self.once_stood(&entries, last.version);
        let Err(error) = self.show_again(&last) else { return Ok(true) };
        tracing::error!(error = &error as &dyn std::error::Error, "release {} is of no use", last.version);
        if self.show_last_good(&last, now)?.is_some() {
            return Ok(true);
        }
        tracing::error!(
            "release {} was live, and neither it nor one before it can be shown: where your own pages are why, mend them; else \
             have the main site publish again and approve that",
            last.version
        );
        nothing(damage)
    }

    /// What is kept of withdrawn paths, and main's pages in the kept releases that have been live. Those of them that do not
    /// stand now were withdrawn, at the latest with `last`.
    fn once_stood(&self, entries: &[AuditEntry], last: ReleaseVersion) -> Withdrawn {
        let versions = entries.iter().filter(|entry| goes_live(entry)).filter_map(|entry| entry.release);
        let versions: BTreeSet<ReleaseVersion> = versions.collect();
        let mut stood = Withdrawn::new();
        for manifest in versions.into_iter().filter_map(|version| self.manifest_of(version).ok().flatten()) {
            let pages = manifest.entries.iter().filter(|(_, entry)| entry.kind.is_visited());
            stood.extend(pages.map(|(path, _)| (path.clone(), last)));
        }
        match self.withdrawn_document.read() {
            Ok(kept) => stood.extend(kept.unwrap_or_default()),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "some withdrawn paths may be forgotten");
            }
        }
        stood
    }

    fn show_again(&mut self, last: &LastLive) -> Result<(), PublishError> {
        let release = self.reread(last.version)?;
        let site = self.build(&release)?;
        self.switch(last.version, last.by, last.rolled_back, site)
    }

    /// Goes back to the newest release that is whole; none where there is none.
    fn show_last_good(&mut self, last: &LastLive, now: Timestamp) -> Result<Option<ReleaseRecord>, PublishError> {
        let reason = format!("live.json is lost, and release {} cannot be read back", last.version);
        let shown = self.fall_back(&reason, now)?;
        if shown.is_some() {
            // No rule makes anything live until the operator has looked.
            self.put_live(Live { rolled_back: Some(last.version), ..self.live.clone() })?;
        }
        Ok(shown)
    }

    fn note_rebuilt(&mut self, rebuilt: &[String], now: Timestamp) {
        if rebuilt.is_empty() {
            return;
        }
        let happening = |what, reason| Happening { who: Actor::Daemon, what, release: None, reason: Some(reason) };
        let (count, names) = (rebuilt.len(), rebuilt.join(", "));
        tracing::error!("what was damaged was made anew from the audit trail: {names}");
        let found = happening(Event::DriftFound, format!("{count} stored files: {names}"));
        self.note_drift(&[found, happening(Event::DriftRestored, format!("{count} stored files"))], now);
    }
}

/// The release that went live last.
#[derive(Debug, PartialEq, Eq)]
struct LastLive {
    version: ReleaseVersion,
    by: DecidedBy,
    rolled_back: Option<ReleaseVersion>,
}

fn last_live(entries: &[AuditEntry]) -> Option<LastLive> {
    let mut gone_live = entries.iter().rev().filter(|entry| goes_live(entry));
    let last = gone_live.next()?;
    let version = last.release?;
    let before = gone_live.next().and_then(|entry| entry.release);
    let rolled_back = before.filter(|before| last.what == Event::RolledBack && *before > version);
    Some(LastLive { version, by: decided_by(last.who), rolled_back })
}

fn goes_live(entry: &AuditEntry) -> bool {
    matches!(entry.what, Event::Live | Event::RolledBack) && entry.release.is_some()
}

/// The emergency that is declared by the trail.
fn emergency_of(entries: &[AuditEntry]) -> Option<DeclaredEmergency> {
    let last = entries.iter().rev().find(|e| matches!(e.what, Event::EmergencyBegun | Event::EmergencyEnded))?;
    let reason = last.reason.clone().filter(|_| last.what == Event::EmergencyBegun)?;
    Some(DeclaredEmergency { reason, since: last.time })
}

/// Where a release stands by the trail; none where the trail does not know it.
fn record_of(version: ReleaseVersion, entries: &[AuditEntry]) -> Option<ReleaseRecord> {
    let mut record: Option<ReleaseRecord> = None;
    for entry in entries {
        record = match entry.manifest.filter(|_| entry.release == Some(version)) {
            Some(manifest) => Some(after(record, version, manifest, entry)),
            None => record.map(|record| after_another(record, entry)),
        };
    }
    let record = record?;
    let waits_for = (record.state == ReleaseState::Staged).then(|| ASKS_AGAIN.to_owned());
    Some(ReleaseRecord { waits_for, ..record })
}

/// The record after something happened to its release.
fn after(
    before: Option<ReleaseRecord>,
    version: ReleaseVersion,
    manifest: Digest,
    entry: &AuditEntry,
) -> ReleaseRecord {
    let reason = || entry.reason.clone();
    let (by, since) = (Some(decided_by(entry.who)), entry.time);
    let new = |sentence| ReleaseRecord::staged(version, manifest, sentence, since);
    let record = before.filter(|record| record.manifest == manifest).unwrap_or_else(|| new(String::new()));
    match entry.what {
        Event::Staged => new(reason().unwrap_or_default()),
        Event::Live | Event::RolledBack => ReleaseRecord { state: ReleaseState::Live, since, by, held: None, ..record },
        Event::Held => {
            let state = ReleaseState::Held { reason: reason() };
            ReleaseRecord { state, since, by, held: Some(since), ..record }
        }
        Event::Released => ReleaseRecord { state: ReleaseState::Staged, since, by: None, held: None, ..record },
        Event::Withdrawn => ReleaseRecord { state: ReleaseState::Staged, since, by: None, ..record },
        Event::Rejected => {
            let state = ReleaseState::Rejected { reason: reason().unwrap_or_default() };
            ReleaseRecord { state, since, by, held: None, ..record }
        }
        Event::Superseded => ReleaseRecord { state: ReleaseState::Superseded, since, by, ..record },
        _ => record,
    }
}

/// The record after something else happened: it is retired if another release went live.
fn after_another(record: ReleaseRecord, entry: &AuditEntry) -> ReleaseRecord {
    if goes_live(entry) && record.state == ReleaseState::Live {
        return ReleaseRecord { state: ReleaseState::Retired, since: entry.time, ..record };
    }
    record
}

fn decided_by(who: Actor) -> DecidedBy {
    match who {
        Actor::Operator => DecidedBy::Operator,
        Actor::Rule => DecidedBy::Rule,
        Actor::Emergency => DecidedBy::Emergency,
        Actor::Main => DecidedBy::LaterRelease,
        Actor::Daemon => DecidedBy::Daemon,
    }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::audit::TrailEnd;

    use super::*;

    fn version(number: u64) -> ReleaseVersion {
        ReleaseVersion::new(number).unwrap()
    }

    fn manifest(number: u64) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    /// A trail in which these things happened to releases, one a second.
    fn trail(happened: &[(u64, Actor, Event, Option<&str>)]) -> Vec<AuditEntry> {
        let mut end = TrailEnd::default();
        let mut entries = Vec::new();
        for (second, (number, who, what, reason)) in happened.iter().enumerate() {
            let release = Some((version(*number), manifest(*number)));
            let happening = Happening { who: *who, what: *what, release, reason: reason.map(str::to_owned) };
            let (line, _) = end.append(&happening, at(second));
            let (entry, next) = end.read(&line).unwrap();
            entries.push(entry);
            end = next;
        }
        entries
    }

    fn at(second: usize) -> Timestamp {
        Timestamp::from_second(i64::try_from(second).unwrap()).unwrap()
    }

    fn stands(number: u64, entries: &[AuditEntry]) -> (&'static str, usize) {
        let record = record_of(version(number), entries).unwrap();
        (record.state.word(), usize::try_from(record.since.as_second()).unwrap())
    }

    #[test]
    fn a_record_stands_where_the_trail_says() {
        use Actor::{Main, Operator, Rule};
        let entries = trail(&[
            (1, Main, Event::Staged, Some("Release 1.")),
            (1, Operator, Event::Approved, None),
            (1, Operator, Event::Live, None),
            (2, Main, Event::Staged, Some("Release 2.")),
            (2, Operator, Event::Rejected, Some("too dear")),
            (3, Main, Event::Staged, Some("Release 3.")),
            (3, Rule, Event::Approved, Some("for later")),
            (3, Rule, Event::Live, None),
            (4, Main, Event::Staged, Some("Release 4.")),
            (4, Operator, Event::Held, Some("not now")),
        ]);
        let all: Vec<_> = (1..=4).map(|number| stands(number, &entries)).collect();
        assert_eq!(all, [("retired", 7), ("rejected", 4), ("live", 7), ("held", 9)]);
        let one = record_of(version(1), &entries).unwrap();
        assert_eq!(
            (one.manifest, one.by, one.sentence.as_str()),
            (manifest(1), Some(DecidedBy::Operator), "Release 1.")
        );
        assert_eq!(record_of(version(3), &entries).unwrap().by, Some(DecidedBy::Rule));
        let four = record_of(version(4), &entries).unwrap();
        assert_eq!((four.state.reason(), four.held), (Some("not now"), Some(at(9))));
        assert_eq!(record_of(version(5), &entries), None);
    }

    #[test]
    fn what_was_approved_and_is_not_live_asks_again() {
        let mut happened = vec![(1, Actor::Main, Event::Staged, Some("Release 1."))];
        happened.push((1, Actor::Operator, Event::Approved, Some("for 2030-01-01T00:00:00Z")));
        let record = record_of(version(1), &trail(&happened)).unwrap();
        assert_eq!((record.state.word(), record.by, record.waits_for.as_deref()), ("staged", None, Some(ASKS_AGAIN)));
        happened.push((2, Actor::Main, Event::Staged, Some("Release 2.")));
        happened.push((1, Actor::Main, Event::Superseded, None));
        assert_eq!(stands(1, &trail(&happened)), ("superseded", 3));
    }

    #[test]
    fn what_went_live_last_is_known_with_what_it_was_rolled_back_from() {
        use Actor::{Daemon, Operator};
        let mut happened = vec![(1, Operator, Event::Live, None), (2, Operator, Event::Live, None)];
        let last =
            |happened: &[_]| last_live(&trail(happened)).map(|last| (last.version.get(), last.by, last.rolled_back));
        assert_eq!(last(&[]), None);
        assert_eq!(last(&happened), Some((2, DecidedBy::Operator, None)));
        happened.push((1, Daemon, Event::RolledBack, None));
        assert_eq!(last(&happened), Some((1, DecidedBy::Daemon, Some(version(2)))));
        happened.push((2, Operator, Event::RolledBack, None));
        assert_eq!(last(&happened), Some((2, DecidedBy::Operator, None)), "forward again");
        assert_eq!(stands(1, &trail(&happened)), ("retired", 3));
    }

    #[test]
    fn an_emergency_lasts_until_it_is_ended() {
        let mut happened = vec![(1, Actor::Operator, Event::EmergencyBegun, Some("the shop burns"))];
        let declared = emergency_of(&trail(&happened)).unwrap();
        assert_eq!((declared.reason.as_str(), declared.since), ("the shop burns", at(0)));
        happened.push((1, Actor::Operator, Event::EmergencyEnded, None));
        assert_eq!(emergency_of(&trail(&happened)), None);
        assert_eq!(emergency_of(&[]), None);
    }
}
