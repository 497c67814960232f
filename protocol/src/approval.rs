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
    /// Served to the public.
    Live,
    /// Was live until another release replaced it; can be rolled back to.
    Retired,
    /// The operator said no.
    Rejected {
        /// Why, in the operator's words.
        reason: String,
    },
    /// A later release arrived before this one was decided on.
    Superseded,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// A person at the partner.
    Operator,
    /// A rule of the contract.
    Rule,
    /// The arrival of a later release.
    LaterRelease,
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
}

/// A step that the state does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalStep {
    /// Only a staged release can be approved or rejected.
    #[error("release {0} is not waiting for a decision: it is {1}")]
    NotStaged(ReleaseVersion, &'static str),
    /// What was approved is not what is staged.
    #[error("release {0} was staged anew since you looked: read the change again, then decide")]
    OtherManifest(ReleaseVersion),
    /// Only a release that has been live can be rolled back to.
    #[error("release {0} cannot be rolled back to: it is {1}, and was never live")]
    NeverLive(ReleaseVersion, &'static str),
}

impl ReleaseState {
    /// The state in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Live => "live",
            Self::Retired => "retired",
            Self::Rejected { .. } => "rejected",
            Self::Superseded => "superseded",
        }
    }
}

impl ReleaseRecord {
    /// The record after it went live by approval of the manifest `approved`.
    ///
    /// # Errors
    /// When it is not staged, or another manifest was meant.
    pub fn approve(&self, approved: Digest, by: DecidedBy, now: Timestamp) -> Result<Self, IllegalStep> {
        self.decide(approved, ReleaseState::Live, by, now)
    }

    /// The record after the operator said no to the manifest `rejected`.
    ///
    /// # Errors
    /// When it is not staged, or another manifest was meant.
    pub fn reject(&self, rejected: Digest, reason: String, now: Timestamp) -> Result<Self, IllegalStep> {
        self.decide(rejected, ReleaseState::Rejected { reason }, DecidedBy::Operator, now)
    }

    /// The record after a later release took its place in the queue.
    ///
    /// # Errors
    /// When it is not staged.
    pub fn supersede(&self, now: Timestamp) -> Result<Self, IllegalStep> {
        self.decide(self.manifest, ReleaseState::Superseded, DecidedBy::LaterRelease, now)
    }

    /// The record of a live release after another one went live.
    #[must_use]
    pub fn retire(&self, now: Timestamp) -> Self {
        Self { state: ReleaseState::Retired, since: now, ..self.clone() }
    }

    /// The record after the operator rolled back to it.
    ///
    /// # Errors
    /// When it has never been live.
    pub fn restore(&self, now: Timestamp) -> Result<Self, IllegalStep> {
        match self.state {
            ReleaseState::Retired => {
                Ok(Self { state: ReleaseState::Live, since: now, by: Some(DecidedBy::Operator), ..self.clone() })
            }
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
        if self.state != ReleaseState::Staged {
            return Err(IllegalStep::NotStaged(self.version, self.state.word()));
        }
        if self.manifest != manifest {
            return Err(IllegalStep::OtherManifest(self.version));
        }
        Ok(Self { state, since: now, by: Some(by), waits_for: None, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged() -> ReleaseRecord {
        ReleaseRecord {
            version: ReleaseVersion::FIRST,
            manifest: Digest::of(b"manifest"),
            state: ReleaseState::Staged,
            since: Timestamp::UNIX_EPOCH,
            by: None,
            sentence: String::new(),
            waits_for: None,
        }
    }

    #[test]
    fn row_003_20_21_a_staged_release_is_approved_or_rejected_once() {
        let now = Timestamp::UNIX_EPOCH;
        let record = staged();
        let live = record.approve(record.manifest, DecidedBy::Operator, now).unwrap();
        assert_eq!(live.state, ReleaseState::Live);
        assert_eq!(
            live.approve(live.manifest, DecidedBy::Operator, now),
            Err(IllegalStep::NotStaged(live.version, "live"))
        );
        let rejected = record.reject(record.manifest, "typo".to_owned(), now).unwrap();
        assert_eq!(rejected.restore(now), Err(IllegalStep::NeverLive(record.version, "rejected")));
    }

    #[test]
    fn approval_names_what_was_read() {
        let error = staged().approve(Digest::of(b"another"), DecidedBy::Operator, Timestamp::UNIX_EPOCH);
        assert_eq!(error, Err(IllegalStep::OtherManifest(ReleaseVersion::FIRST)));
    }

    #[test]
    fn only_what_was_live_can_be_rolled_back_to() {
        let now = Timestamp::UNIX_EPOCH;
        let live = staged().approve(staged().manifest, DecidedBy::Rule, now).unwrap();
        assert_eq!(live.retire(now).restore(now).unwrap().state, ReleaseState::Live);
        assert!(live.restore(now).is_err());
        assert!(staged().restore(now).is_err());
    }
}
