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

    /// Writes down that `record` is live now, and the contract that is in force with it where it is another. It is live
    /// whether or not that can be done; the next start writes it down otherwise.
    pub(super) fn note_live(&mut self, record: &ReleaseRecord, by: DecidedBy, contract: &Contract, now: Timestamp) {
        self.note(vec![happening(record, by, Event::Live, None)], (record, by, contract), now);
    }

    /// Writes down that `contract` is in force with `record`, where the trail names another.
    pub(super) fn note_terms(&mut self, record: &ReleaseRecord, by: DecidedBy, contract: &Contract, now: Timestamp) {
        self.note(Vec::new(), (record, by, contract), now);
    }

    fn note(
        &mut self,
        mut happenings: Vec<Happening>,
        (record, by, contract): (&ReleaseRecord, DecidedBy, &Contract),
        now: Timestamp,
    ) {
        let noted = self.change_of_terms(contract).and_then(|change| {
            happenings.extend(change.map(|named| happening(record, by, Event::ContractChanged, Some(&named))));
            self.audit.append(&happenings, now)
        });
        if let Err(error) = noted {
            tracing::error!(error = &error as &dyn std::error::Error, "that a release is live was not written down");
        }
    }

    /// What names `contract` in the trail, where what the trail names last is another.
    fn change_of_terms(&mut self, contract: &Contract) -> Result<Option<String>, AuditError> {
        let named = format!("version {} ({})", contract.id.version, contract.digest());
        let entries = self.audit.entries()?;
        let last = entries.into_iter().rev().find(|entry| entry.what == Event::ContractChanged);
        let is_last = last.and_then(|last| last.reason).is_some_and(|last| last == named);
        Ok((!is_last).then_some(named))
    }

    /// Writes down which release is live, and which contract is in force with it, where a crash kept that from being done.
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
        let Some(live) = self.live.version else { return Ok(()) };
        let record = self.record(live)?;
        let found = |what, reason: &str| {
            let found = happening(&record, DecidedBy::Operator, what, Some(reason));
            Happening { who: Actor::Daemon, ..found }
        };
        let mut happenings = Vec::new();
        if noted != Some(live) {
            happenings.push(found(Event::Live, "found to be live at start"));
        }
        // Of a release that is damaged it is known once it is restored.
        if let Ok(contract) = self.terms(live) {
            happenings.extend(self.change_of_terms(&contract)?.map(|named| found(Event::ContractChanged, &named)));
        }
        Ok(self.audit.append(&happenings, now)?)
    }
}

/// Whether a refusal stands in the trail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noted {
    Already,
    Not,
}
