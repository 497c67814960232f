//! The publisher beside those of the partner's other main sites, with which it shares the public site.

use std::path::Path;
use std::sync::Arc;

use super::{Live, PublishError, Publisher};
use crate::candidate::{Candidate, CandidateError, Workplace};
use crate::shared_site::{Clashes, Share, Terms};
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
        let candidate = Candidate::build(release, site, at, standing, beside)?;
        if !self.share.is_alone() {
            let terms = Terms::new(release.manifest.version, &release.contract);
            self.share.turn().check(candidate.to_live(), &terms).map_err(CandidateError::Taken)?;
        }
        Ok(candidate)
    }

    /// Puts what is live before the public when the daemon starts.
    pub(super) fn show_live(&self) {
        match self.terms_beside_others(&self.live) {
            Ok(terms) => self.share.turn().show(self.live.shown(), terms),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the live release cannot be read back");
                self.share.turn().show_unread(self.live.shown());
            }
        }
    }

    /// Reads the terms of the live release again, where they could not be read before. Nothing changes where they still
    /// cannot.
    pub(crate) fn settle_terms(&self) {
        if !self.share.is_unread() {
            return;
        }
        if let Ok(terms) = self.terms_beside_others(&self.live) {
            self.share.turn().show(self.live.shown(), terms);
            tracing::info!("the terms of the live release of `{}` can be read again", self.main);
        }
    }

    /// Says in the log what of the live site clashes with another tie-up's, when the daemon starts. Nothing that goes
    /// live afterwards can.
    pub fn tell_clashes(&self) {
        if let Some(clashes) = self.clashes() {
            self.share.note_clash();
            tracing::error!("what is live of `{}` cannot stand beside the other main sites\n{clashes}", self.main);
        }
    }

    /// What clashed when the daemon started and still does.
    pub fn lasting_clashes(&self) -> Option<Clashes> {
        if self.share.has_clashed() { self.clashes() } else { None }
    }

    fn clashes(&self) -> Option<Clashes> {
        match self.terms_beside_others(&self.live) {
            Ok(terms) => self.share.turn().check(self.live.site.to_live(), &terms?).err(),
            Err(_) => Some(Clashes::Unknown(self.main.clone())),
        }
    }

    /// What the release in `live` says of whose paths are whose; none where there is nobody to say it to.
    pub(super) fn terms_beside_others(&self, live: &Live) -> Result<Option<Terms>, PublishError> {
        let Some(version) = live.version.filter(|_| !self.share.is_alone()) else { return Ok(None) };
        Ok(Some(Terms::new(version, &self.terms(version)?)))
    }
}
