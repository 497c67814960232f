//! Decisions about releases: approve now or for later, hold, let go, refuse, go back.
//!
//! Each is written into the audit trail, durably, before it takes effect.

use jiff::Timestamp;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord, ReleaseState};
use tieup_protocol::audit::Event;
use tieup_protocol::contract::{Decision, Strategy};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;

use super::trail::happening;
use super::{PublishError, Publisher};

impl Publisher {
    /// Makes the release `version` live. `manifest` is what was read when the decision was taken.
    ///
    /// Durable on return; after a crash either the old site is live or the new one, never a mixture.
    ///
    /// # Errors
    /// When it does not wait, was staged anew, or no longer fits the originals.
    pub fn approve(
        &mut self,
        version: ReleaseVersion,
        manifest: Digest,
        by: DecidedBy,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let approved = self.record(version)?.approve(manifest, by, now, now)?;
        self.make_live(&approved, Word::New, now)
    }

    /// Lets the release `version` go live at `at`; at once where that is over. Until then a hold, a refusal or a later
    /// release cancels it.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When it does not wait, was staged anew, or no longer fits the originals.
    pub fn schedule(
        &mut self,
        version: ReleaseVersion,
        manifest: Digest,
        by: DecidedBy,
        at: Timestamp,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        if at <= now {
            return self.approve(version, manifest, by, now);
        }
        let approved = self.record(version)?.approve(manifest, by, at, now)?;
        let reason = format!("for {at}");
        self.audit.append(&[happening(&approved, by, Event::Approved, Some(&reason))], now)?;
        self.keep(approved)
    }

    /// When the next approved release goes live.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn next_due(&self) -> Result<Option<Timestamp>, PublishError> {
        let due = |record: ReleaseRecord| match record.state {
            ReleaseState::Approved { at } => Some(at),
            _ => None,
        };
        Ok(self.releases.list()?.into_iter().filter_map(due).min())
    }

    /// Makes the approved release live whose time has come, if there is one. One that no longer fits the originals
    /// waits for the operator again, and says why.
    ///
    /// # Errors
    /// When it could not be done now; it is tried again at the next call.
    pub fn switch_due(&mut self, now: Timestamp) -> Result<Option<ReleaseRecord>, PublishError> {
        let is_due = |record: &ReleaseRecord| matches!(record.state, ReleaseState::Approved { at } if at <= now);
        let Some(due) = self.releases.list()?.into_iter().find(is_due) else { return Ok(None) };
        match self.make_live(&due, Word::Given, now) {
            Err(PublishError::Candidate(error)) if error.is_of_content() => {
                let reason = format!("it could not go live at its time: {error}");
                self.withdraw(&due, &reason, now).map(Some)
            }
            other => other.map(Some),
        }
    }

    /// Puts the release `version` aside until the operator says otherwise. What it was approved for is cancelled.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When it does not wait, is held, or was staged anew.
    pub fn hold(
        &mut self,
        version: ReleaseVersion,
        manifest: Digest,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let held = self.record(version)?.hold(manifest, reason, now)?;
        self.audit.append(&[happening(&held, DecidedBy::Operator, Event::Held, held.state.reason())], now)?;
        self.keep(held)
    }

    /// Lets go of the held release `version`: the contract's policy decides about it anew, as if it came now.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When it is not held, was staged anew, or no longer fits the originals.
    pub fn release(
        &mut self,
        version: ReleaseVersion,
        manifest: Digest,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let released = self.record(version)?.release(manifest, now)?;
        let release = self.reread(version)?;
        let change = self.compare(&release, &self.build(&release)?)?.change;
        let decision = match self.decided_before(version)? {
            Some(reason) => Decision::Ask(reason),
            None => release.contract.approval.decide(&change, &release.contract.effective.tz, now),
        };
        let waits_for = super::why_it_waits(&decision, change.emergency.as_deref());
        let released = ReleaseRecord { waits_for, ..released };
        self.audit.append(&[happening(&released, DecidedBy::Operator, Event::Released, None)], now)?;
        let released = self.keep(released)?;
        self.act(&released, &decision, now)
    }

    /// Refuses the release `version` for the operator's `reason`. The public site stays as it is.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When it does not wait or was staged anew.
    pub fn reject(
        &mut self,
        version: ReleaseVersion,
        manifest: Digest,
        reason: String,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let record = self.record(version)?.reject(manifest, reason, now)?;
        let reason = record.state.reason();
        self.audit.append(&[happening(&record, DecidedBy::Operator, Event::Rejected, reason)], now)?;
        self.keep(record)
    }

    /// Makes an earlier release live again: `version`, or the one that was live last. What a rule has approved for
    /// later waits for the operator from now on.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When there is none, it was overwritten, or it no longer fits the originals.
    pub fn roll_back(
        &mut self,
        version: Option<ReleaseVersion>,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let target = match version {
            Some(version) => self.record(version)?,
            None => self.last_retired()?,
        };
        let reason = self.live.version.map(|live| format!("from release {live}"));
        self.go_back(&target, DecidedBy::Operator, reason.as_deref(), now)
    }

    /// Makes `target` live again, which was live before.
    pub(super) fn go_back(
        &mut self,
        target: &ReleaseRecord,
        by: DecidedBy,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let record = target.restore(by, now)?;
        self.check_kept(record.version)?;
        let release = self.reread(record.version)?;
        let site = self.build(&release)?;
        // Going forward again to a later release ends the rollback.
        let from = self.live.version.filter(|live| *live > record.version);
        self.audit.append(&[happening(&record, by, Event::RolledBack, reason)], now)?;
        self.withdraw_what_a_rule_approved(from, now)?;
        self.switch(record.version, by, from, site)?;
        self.follow_live(now)?;
        self.announce()?;
        self.note_terms(&record, by, &release.contract, now);
        Ok(record)
    }

    /// Does what the policy says of a staged release.
    pub(super) fn act(
        &mut self,
        record: &ReleaseRecord,
        decision: &Decision,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        match *decision {
            Decision::Approve { by, at } => self.schedule(record.version, record.manifest, by, at, now),
            Decision::Ask(_) => Ok(record.clone()),
        }
    }

    /// Makes an approved release live.
    fn make_live(
        &mut self,
        approved: &ReleaseRecord,
        word: Word,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let live = approved.go_live(now)?;
        let by = approved.by.unwrap_or(DecidedBy::Operator);
        self.keep_first_originals()?;
        let release = self.reread(live.version)?;
        let site = self.build(&release)?;
        if word == Word::New {
            self.audit.append(&[happening(approved, by, Event::Approved, None)], now)?;
        }
        self.switch(live.version, by, None, site)?;
        self.follow_live(now)?;
        self.announce()?;
        self.note_live(&live, by, &release.contract, now);
        Ok(live)
    }

    /// Takes back what a rule approved for later, once the operator has rolled back.
    fn withdraw_what_a_rule_approved(
        &mut self,
        rolled_back: Option<ReleaseVersion>,
        now: Timestamp,
    ) -> Result<(), PublishError> {
        let Some(from) = rolled_back else { return Ok(()) };
        let by_rule = |record: &ReleaseRecord| {
            matches!(record.state, ReleaseState::Approved { .. }) && record.by != Some(DecidedBy::Operator)
        };
        let approved: Vec<ReleaseRecord> = self.releases.list()?.into_iter().filter(by_rule).collect();
        for record in approved {
            self.withdraw(&record, &format!("the operator rolled back from release {from}"), now)?;
        }
        Ok(())
    }

    fn withdraw(
        &mut self,
        record: &ReleaseRecord,
        reason: &str,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let withdrawn = record.withdraw(reason.to_owned(), now)?;
        let by = record.by.unwrap_or(DecidedBy::Operator);
        self.audit.append(&[happening(record, by, Event::Withdrawn, Some(reason))], now)?;
        self.keep(withdrawn)
    }

    /// Under a contract that overwrites, only the release that was live last can be had back.
    fn check_kept(&self, version: ReleaseVersion) -> Result<(), PublishError> {
        let overwrites = self.contract()?.is_some_and(|live| live.approval.strategy == Strategy::Overwrite);
        if overwrites && self.last_retired()?.version != version {
            return Err(PublishError::Overwritten(version));
        }
        Ok(())
    }

    fn keep(&mut self, record: ReleaseRecord) -> Result<ReleaseRecord, PublishError> {
        self.releases.set_record(&record)?;
        self.announce()?;
        Ok(record)
    }
}

/// Whether an approval is given now, or was before and stands in the trail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    New,
    Given,
}
