//! The audit trail of what the publisher does.

use jiff::Timestamp;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord};
use tieup_protocol::audit::{Actor, AuditEntry, Event, Happening, TrailEnd};
use tieup_protocol::contract::Contract;
use tieup_protocol::ids::ReleaseVersion;
use tieup_store::audit::AuditError;

use super::{PublishError, Publisher};

/// The most bytes of the trail that are handed out at once.
const MOST_AT_ONCE: usize = 1 << 20;

/// How many of the last refusals are looked at before one like it is written down.
const REFUSALS_ALIKE: usize = 3;

/// What happened to a release.
pub(super) fn happening(record: &ReleaseRecord, by: DecidedBy, what: Event, reason: Option<&str>) -> Happening {
    let release = Some((record.version, record.manifest));
    Happening { who: by.into(), what, release, reason: reason.map(str::to_owned) }
}

/// What is to be said of a contract that comes into force instead of `before`; nothing of the same one.
pub(super) fn change_of_terms(before: Option<&Contract>, after: &Contract) -> Option<String> {
    let (version, digest) = (after.id.version, after.digest());
    match before {
        Some(before) if before.digest() == digest => None,
        Some(before) => Some(format!("version {version} ({digest}) after version {}", before.id.version)),
        None => Some(format!("version {version} ({digest})")),
    }
}

impl Publisher {
    /// The lines of the audit trail from number `from` on; not all of them, where they are many.
    ///
    /// # Errors
    /// When the trail does not verify.
    pub fn audit_lines(&mut self, from: u64) -> Result<String, AuditError> {
        self.audit.lines(from, MOST_AT_ONCE)
    }

    /// Where the first `lines` lines of the audit trail end; none where there are fewer.
    ///
    /// # Errors
    /// When the trail does not verify.
    pub fn audit_end_after(&mut self, lines: u64) -> Result<Option<TrailEnd>, AuditError> {
        self.audit.end_after(lines)
    }

    /// Every entry of the audit trail, verified.
    ///
    /// # Errors
    /// When the trail does not verify.
    pub fn audit_entries(&mut self) -> Result<Vec<AuditEntry>, AuditError> {
        self.audit.entries()
    }

    /// Writes down what happened besides releases. Durable on return.
    ///
    /// # Errors
    /// When the disk refuses or the trail does not verify.
    pub fn write_down(&mut self, happening: &Happening, now: Timestamp) -> Result<(), AuditError> {
        self.audit.append(std::slice::from_ref(happening), now)
    }

    /// Writes down that something which main offered was refused for `reason`. One that comes again and again is
    /// written down once, so that offers cannot fill the disk.
    pub fn note_refusal(&mut self, reason: &str, now: Timestamp) {
        let refusal =
            Happening { who: Actor::Main, what: Event::OfferRefused, release: None, reason: Some(reason.to_owned()) };
        let noted = self.is_noted(&refusal).and_then(|noted| match noted {
            Noted::Already => Ok(()),
            Noted::Not => self.audit.append(&[refusal], now),
        });
        if let Err(error) = noted {
            tracing::error!(error = &error as &dyn std::error::Error, "a refusal was not written down");
        }
    }

    fn is_noted(&mut self, refusal: &Happening) -> Result<Noted, AuditError> {
        let entries = self.audit.entries()?;
        let last = entries.iter().rev().take(REFUSALS_ALIKE).filter(|entry| entry.what == Event::OfferRefused);
        let alike = last.filter(|entry| entry.reason == refusal.reason).count();
        Ok(if alike > 0 { Noted::Already } else { Noted::Not })
    }

    /// Writes down that `record` is live now, and the change of `terms` where other ones are in force with it. It is live
    /// whether or not that can be done; the next start writes it down otherwise.
    pub(super) fn note_live(&mut self, record: &ReleaseRecord, by: DecidedBy, terms: Option<String>, now: Timestamp) {
        let mut happenings = vec![happening(record, by, Event::Live, None)];
        if let Some(reason) = terms {
            happenings.push(happening(record, by, Event::ContractChanged, Some(&reason)));
        }
        if let Err(error) = self.audit.append(&happenings, now) {
            tracing::error!(error = &error as &dyn std::error::Error, "that a release is live was not written down");
        }
    }

    /// Writes down which release is live where a crash kept that from being done.
    ///
    /// A trail that does not verify keeps nobody from being served: it keeps decisions from being taken.
    pub(super) fn settle_trail(&mut self, now: Timestamp) {
        if let Err(error) = self.try_settle_trail(now) {
            tracing::error!(error = &error as &dyn std::error::Error, "nothing can be decided until this is put right");
        }
    }

    fn try_settle_trail(&mut self, now: Timestamp) -> Result<(), PublishError> {
        let entries = self.audit.entries()?;
        let goes_live = |entry: &&AuditEntry| matches!(entry.what, Event::Live | Event::RolledBack);
        let noted: Option<ReleaseVersion> = entries.iter().rev().find(goes_live).and_then(|entry| entry.release);
        let Some(live) = self.live.version.filter(|live| noted != Some(*live)) else { return Ok(()) };
        let record = self.record(live)?;
        let found = happening(&record, DecidedBy::Operator, Event::Live, Some("found to be live at start"));
        Ok(self.audit.append(&[Happening { who: Actor::Daemon, ..found }], now)?)
    }
}

/// Whether a refusal stands in the trail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    Already,
    Not,
}
