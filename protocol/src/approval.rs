//! The life of a release at the partner, as a state machine without I/O.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::ids::ReleaseVersion;

/// Where a release stands at the partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ReleaseState {
    /// Verified and complete; waits for the operator.
    Staged,
    /// Approved; goes live when its time comes, unless somebody says otherwise before.
    Approved {
        /// When it goes live.
        at: Timestamp,
    },
    /// The operator holds it back: nobody is asked again, and no rule approves it, until the operator says so.
    Held {
        /// Why, in the operator's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Served to the public.
    Live,
    /// Was live until another release replaced it; can be rolled back to.
    Retired,
    /// The operator said no.
    Rejected {
        /// Why, in the operator's words.
        reason: String,
    },
    /// A later release arrived before this one went live.
    Superseded,
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// A person at the partner.
    Operator,
    /// A rule of the contract.
    Rule,
    /// Main declared an emergency, and the contract lets it.
    Emergency,
    /// The arrival of a later release.
    LaterRelease,
    /// The daemon, which could not restore what is stored of another release.
    Daemon,
}

/// A release with its state, as the partner keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRecord {
    /// Which release.
    pub version: ReleaseVersion,
    /// The digest of its manifest. Approval names this digest, so a release that was staged anew needs a new word.
    pub manifest: Digest,
    /// Where it stands.
    pub state: ReleaseState,
    /// Since when.
    pub since: Timestamp,
    /// Who decided so; none while it is staged.
    pub by: Option<DecidedBy>,
    /// The sentence that the operator read.
    pub sentence: String,
    /// Why it waits; none once it has been decided on.
    #[serde(default)]
    pub waits_for: Option<String>,
    /// Since when the operator holds it back. It stays when a later release arrives, so that what was held does not
    /// go live inside of that one by a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Timestamp>,
}

/// A step that the state does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalStep {
    /// Only a release that has not been live can be decided on, and only until it is rejected or superseded.
    #[error("release {0} is not waiting for a decision: it is {1}")]
    NotStaged(ReleaseVersion, &'static str),
    /// What was approved is not what is staged.
    #[error("release {0} was staged anew since you looked: read the change again, then decide")]
    OtherManifest(ReleaseVersion),
    /// Only a release that has been live can be rolled back to.
    #[error("release {0} cannot be rolled back to: it is {1}, and was never live")]
    NeverLive(ReleaseVersion, &'static str),
    /// A rule may not approve what the operator holds.
    #[error("release {0} is held: it waits until its operator says otherwise")]
    Held(ReleaseVersion),
    /// Only a held release can be let go.
    #[error("release {0} is not held: it is {1}")]
    NotHeld(ReleaseVersion, &'static str),
    /// Only an approved release goes live.
    #[error("release {0} is not approved: it is {1}")]
    NotApproved(ReleaseVersion, &'static str),
    /// Its time has not come.
    #[error("release {0} is approved for {1}, and goes live then")]
    TooEarly(ReleaseVersion, Timestamp),
    /// Only the live release can be retired.
    #[error("release {0} is not live: it is {1}")]
    NotLive(ReleaseVersion, &'static str),
}

impl ReleaseState {
    /// The state in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Approved { .. } => "approved",
            Self::Held { .. } => "held",
            Self::Live => "live",
            Self::Retired => "retired",
            Self::Rejected { .. } => "rejected",
            Self::Superseded => "superseded",
        }
    }

    /// The operator's words, where the state has any.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Held { reason } => reason.as_deref(),
            Self::Rejected { reason } => Some(reason),
            _ => None,
        }
    }

    /// Whether it is here to be decided on: staged, approved for later, or held.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Staged | Self::Approved { .. } | Self::Held { .. })
    }
}

impl ReleaseRecord {
    /// A release that has just been verified and is complete.
    pub fn staged(version: ReleaseVersion, manifest: Digest, sentence: String, now: Timestamp) -> Self {
        let state = ReleaseState::Staged;
        Self { version, manifest, state, since: now, by: None, sentence, waits_for: None, held: None }
    }

    /// The record after the manifest `approved` was let through; it goes live at `at`.
    ///
    /// One that is approved already gets the new time.
    ///
    /// # Errors
    /// When it has been decided on for good, another manifest was meant, or a rule meets one that is held.
    pub fn approve(&self, approved: Digest, by: DecidedBy, at: Timestamp, now: Timestamp) -> Result<Self, IllegalStep> {
        if matches!(self.state, ReleaseState::Held { .. }) && by != DecidedBy::Operator {
            return Err(IllegalStep::Held(self.version));
        }
        let decided = self.decide(approved, ReleaseState::Approved { at }, by, now)?;
        Ok(Self { held: None, ..decided })
    }

    /// The record after it went live, its time having come.
    ///
    /// # Errors
    /// When it is not approved, or for later.
    pub fn go_live(&self, now: Timestamp) -> Result<Self, IllegalStep> {
        match self.state {
            ReleaseState::Approved { at } if at > now => Err(IllegalStep::TooEarly(self.version, at)),
            ReleaseState::Approved { .. } => Ok(Self { state: ReleaseState::Live, since: now, ..self.clone() }),
            _ => Err(IllegalStep::NotApproved(self.version, self.state.word())),
        }
    }

    /// The record after its approval was taken back: it waits for the operator again, for `reason`.
    ///
    /// # Errors
    /// When it is not approved.
    pub fn withdraw(&self, reason: String, now: Timestamp) -> Result<Self, IllegalStep> {
        if !matches!(self.state, ReleaseState::Approved { .. }) {
            return Err(IllegalStep::NotApproved(self.version, self.state.word()));
        }
        let (state, waits_for) = (ReleaseState::Staged, Some(reason));
        Ok(Self { state, since: now, by: None, waits_for, ..self.clone() })
    }

    /// The record after the operator put the manifest `held` aside.
    ///
    /// # Errors
    /// When it has been decided on for good or is held, or another manifest was meant.
    pub fn hold(&self, held: Digest, reason: Option<String>, now: Timestamp) -> Result<Self, IllegalStep> {
        if matches!(self.state, ReleaseState::Held { .. }) {
            return Err(IllegalStep::Held(self.version));
        }
        let decided = self.decide(held, ReleaseState::Held { reason }, DecidedBy::Operator, now)?;
        Ok(Self { held: Some(now), ..decided })
    }

    /// The record after the operator let go of it: it waits as on the day it came.
    ///
    /// # Errors
    /// When it is not held, or another manifest was meant.
    pub fn release(&self, released: Digest, now: Timestamp) -> Result<Self, IllegalStep> {
        if !matches!(self.state, ReleaseState::Held { .. }) {
            return Err(IllegalStep::NotHeld(self.version, self.state.word()));
        }
        self.check_manifest(released)?;
        Ok(Self { state: ReleaseState::Staged, since: now, by: None, held: None, ..self.clone() })
    }

    /// The record after the operator said no to the manifest `rejected`.
    ///
    /// # Errors
    /// When it has been decided on for good, or another manifest was meant.
    pub fn reject(&self, rejected: Digest, reason: String, now: Timestamp) -> Result<Self, IllegalStep> {
        let decided = self.decide(rejected, ReleaseState::Rejected { reason }, DecidedBy::Operator, now)?;
        Ok(Self { held: None, ..decided })
    }

    /// The record after a later release took its place in the queue.
    ///
    /// # Errors
    /// When it has been decided on for good.
    pub fn supersede(&self, now: Timestamp) -> Result<Self, IllegalStep> {
        self.decide(self.manifest, ReleaseState::Superseded, DecidedBy::LaterRelease, now)
    }

    /// The record of a live release after another one went live.
    ///
    /// # Errors
    /// When it is not live.
    pub fn retire(&self, now: Timestamp) -> Result<Self, IllegalStep> {
        match self.state {
            ReleaseState::Live => Ok(Self { state: ReleaseState::Retired, since: now, ..self.clone() }),
            _ => Err(IllegalStep::NotLive(self.version, self.state.word())),
        }
    }

    /// The record after somebody rolled back to it.
    ///
    /// # Errors
    /// When it has never been live.
    pub fn restore(&self, by: DecidedBy, now: Timestamp) -> Result<Self, IllegalStep> {
        match self.state {
            ReleaseState::Retired => Ok(Self { state: ReleaseState::Live, since: now, by: Some(by), ..self.clone() }),
            _ => Err(IllegalStep::NeverLive(self.version, self.state.word())),
        }
    }

    fn decide(
        &self,
        manifest: Digest,
        state: ReleaseState,
        by: DecidedBy,
        now: Timestamp,
    ) -> Result<Self, IllegalStep> {
        if !self.state.is_open() {
            return Err(IllegalStep::NotStaged(self.version, self.state.word()));
        }
        self.check_manifest(manifest)?;
        Ok(Self { state, since: now, by: Some(by), waits_for: None, ..self.clone() })
    }

    fn check_manifest(&self, meant: Digest) -> Result<(), IllegalStep> {
        if self.manifest == meant { Ok(()) } else { Err(IllegalStep::OtherManifest(self.version)) }
    }
}

#[cfg(test)]
mod tests;
