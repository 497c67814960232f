//! The publisher beside those of the partner's other main sites, with which it shares the public site.

use std::path::Path;
use std::sync::Arc;

use super::{Live, PublishError, Publisher};
use crate::candidate::{Candidate, CandidateError, Workplace};
use crate::shared_site::{Share, Terms};
use crate::trust::{Release, Verified};

impl Publisher {
    /// Its share in the public site.
    pub fn share(&self) -> &Share {
        &self.share
    }

    /// The site that `release` makes with the originals in `site`.
    ///
    /// # Errors
    /// When it cannot be made, or another main site of this partner has some of its paths.
    pub(super) fn merge(&self, release: &Verified<Release>, site: &Path) -> Result<Arc<Candidate>, PublishError> {
        let (standing, beside) = (self.standing(), self.share.beside());
        let at = Workplace { blobs: &self.blobs, pictures: &self.pictures, parts: &self.parts };
        let candidate = Candidate::build(release, site, at, standing, &beside)?;
        if !self.share.is_alone() {
            let terms = Terms::new(release.manifest.version, &release.contract);
            self.share.turn().check(candidate.to_live(), &terms).map_err(CandidateError::Taken)?;
        }
        Ok(candidate)
    }

    /// Puts what is live before the public when the daemon starts.
    pub(super) fn show_live(&self) {
        let terms = self.terms_beside_others(&self.live).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "the live release cannot be read back");
            None
        });
        self.share.turn().show(self.live.shown(), terms);
    }

    /// What the release in `live` says of whose paths are whose; none where there is nobody to say it to.
    pub(super) fn terms_beside_others(&self, live: &Live) -> Result<Option<Terms>, PublishError> {
        let Some(version) = live.version.filter(|_| !self.share.is_alone()) else { return Ok(None) };
        Ok(Some(Terms::new(version, &self.terms(version)?)))
    }
}
