//! What a release would change: what an operator reads before they decide.

use std::sync::Arc;

use tieup_protocol::difference::{Difference, Hunk};
use tieup_protocol::ids::ReleaseVersion;
use tieup_store::releases::CONTRACT;

use super::{PublishError, Publisher};
use crate::candidate::Candidate;
use crate::comparison::{self, Comparison, Pages};
use crate::edits;
use crate::trust::{Release, Verified};

impl Publisher {
    /// What the release `version` would change now, or the one that waits: the contract, and the pages.
    ///
    /// # Errors
    /// When there is no such release or it does not fit the originals.
    pub fn difference(&self, version: Option<ReleaseVersion>) -> Result<Difference, PublishError> {
        let version = match version {
            Some(version) => self.record(version)?.version,
            None => self.waiting()?.version,
        };
        let release = self.reread(version)?;
        let pages = self.compare(&release, &self.build(&release)?)?.difference;
        Ok(Difference { contract: self.contract_hunks(version)?, ..pages })
    }

    /// The site that the release `version` would make with the originals as they are approved.
    ///
    /// # Errors
    /// When there is no such release or it does not fit the originals.
    pub fn candidate(&self, version: ReleaseVersion) -> Result<Arc<Candidate>, PublishError> {
        let release = self.reread(version)?;
        self.build(&release)
    }

    /// What an operator decides about: what the release `version` would change now, in short and in full.
    ///
    /// # Errors
    /// When there is no such release or it does not fit the originals.
    pub fn proposal(&self, version: ReleaseVersion) -> Result<Comparison, PublishError> {
        let release = self.reread(version)?;
        let Comparison { change, difference } = self.compare(&release, &self.build(&release)?)?;
        let difference = Difference { contract: self.contract_hunks(version)?, ..difference };
        Ok(Comparison { change, difference })
    }

    /// The same as text.
    ///
    /// # Errors
    /// As [`Publisher::difference`].
    pub fn diff(&self, version: Option<ReleaseVersion>) -> Result<String, PublishError> {
        Ok(self.difference(version)?.to_string())
    }

    /// The edits from the contract in force to that of `version`.
    fn contract_hunks(&self, version: ReleaseVersion) -> Result<Vec<Hunk>, PublishError> {
        let Some(live) = self.live.version else { return Ok(Vec::new()) };
        let (before, after) = (self.kept(live, CONTRACT)?, self.kept(version, CONTRACT)?);
        Ok(edits::hunks(&String::from_utf8_lossy(&before), &String::from_utf8_lossy(&after)))
    }

    pub(super) fn pages(&self) -> Pages<'_> {
        Pages { blobs: &self.blobs, shapes: &self.shapes }
    }

    pub(super) fn compare(
        &self,
        release: &Verified<Release>,
        candidate: &Arc<Candidate>,
    ) -> Result<Comparison, PublishError> {
        let mut comparison = comparison::compare(&self.live.site, candidate, &self.live.accepted, &self.pages())?;
        let before = self.contract()?.map(|contract| contract.id.version);
        let after = release.contract.id.version;
        let change = &mut comparison.change;
        change.contract = before.filter(|before| *before != after).map(|before| (before, after));
        change.first = self.live.version.is_none();
        change.emergency.clone_from(&release.manifest.emergency);
        Ok(comparison)
    }
}
