//! What is live, as one document, and the one step that replaces it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::approval::{DecidedBy, ReleaseRecord, ReleaseState};
use tieup_protocol::change::Risks;
use tieup_protocol::contract::WebOrigin;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::path::SitePath;

use super::rights::{Overridden, Withdrawn};
use super::{PublishError, Publisher};
use crate::candidate::{Candidate, CandidateError};
use crate::comparison;
use crate::config::OriginalsApproval;

/// What is live, as one document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Live {
    /// The live release.
    pub(super) version: Option<ReleaseVersion>,
    /// Who made it live.
    pub(super) by: Option<DecidedBy>,
    /// The merged site.
    #[serde(with = "shared")]
    pub(super) site: Arc<Candidate>,
    /// Scripts, forms and hosts that have been let through.
    pub(super) accepted: Risks,
    /// The release that the operator rolled back from. Until they approve one again, no rule makes one live.
    #[serde(default)]
    pub(super) rolled_back: Option<ReleaseVersion>,
    /// Pages that stood once and do not now, with the release with which they went.
    #[serde(default)]
    pub(super) withdrawn: Withdrawn,
    /// Originals that take the place of main's content.
    #[serde(default)]
    pub(super) overrides: BTreeMap<SitePath, Overridden>,
    /// Where the beacons of main's pages go by the contract of the live release, if they have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) beacons: Option<WebOrigin>,
}

/// A candidate that several hold is written as it is.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::candidate::Candidate;

    pub(super) fn serialize<S: Serializer>(site: &Arc<Candidate>, serializer: S) -> Result<S::Ok, S::Error> {
        site.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Candidate>, D::Error> {
        Candidate::deserialize(deserializer).map(Arc::new)
    }
}

impl Publisher {
    /// The one step: replaces the live document by the site of `version`.
    pub(super) fn switch(
        &mut self,
        version: ReleaseVersion,
        by: DecidedBy,
        rolled_back: Option<ReleaseVersion>,
        site: Arc<Candidate>,
    ) -> Result<(), PublishError> {
        let mut accepted = self.live.accepted.clone();
        accepted.extend(comparison::new_risks(&self.live.site, &site, &accepted, &self.pages())?);
        let beacons = self.terms(version)?.beacons.map(|beacons| beacons.to);
        let by = Some(by);
        self.put_live(Live { version: Some(version), by, site, accepted, rolled_back, beacons, ..Live::default() })?;
        if self.originals == OriginalsApproval::Auto {
            // It was merged with the originals as they are.
            self.refused_originals = None;
        }
        Ok(())
    }

    pub(super) fn put_live(&mut self, live: Live) -> Result<(), PublishError> {
        let live = live.after(&self.live);
        let terms = self.terms_beside_others(&live)?;
        // From here until it is public no other tie-up takes a path.
        let turn = self.share.turn();
        if let Some(terms) = &terms {
            turn.check(live.site.to_live(), terms).map_err(CandidateError::Taken)?;
        }
        self.keep_withdrawn(&live)?;
        // A write can fail after the new document has its name; then it is what the next start would serve.
        if let Err(error) = self.document.write_dense(&live)
            && self.document.read().ok().flatten().as_ref() != Some(&live)
        {
            return Err(error.into());
        }
        turn.show(live.shown(), terms);
        self.live = live;
        self.shapes.keep(&[&self.live.site]);
        self.note_extent(Timestamp::now());
        Ok(())
    }

    /// Puts the records right after the live document: one release is live, those before it are retired.
    pub(super) fn follow_live(&self, now: Timestamp) -> Result<(), PublishError> {
        for record in self.releases.list()? {
            let is_live = self.live.version == Some(record.version);
            let says_live = record.state == ReleaseState::Live;
            if is_live && !says_live {
                let by = self.live.by;
                let live =
                    ReleaseRecord { state: ReleaseState::Live, since: now, by, waits_for: None, held: None, ..record };
                self.releases.set_record(&live)?;
            } else if says_live && !is_live {
                self.releases.set_record(&record.retire(now)?)?;
            }
        }
        Ok(())
    }
}
