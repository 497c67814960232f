//! How much is live is noted at each change, whatever the contract of the live release: which one governs a day can be
//! said later.

use jiff::Timestamp;
use tieup_protocol::record::Extent;

use super::{PublishError, Publisher};

impl Publisher {
    /// Notes how much is live from `now` on. What is live is so whether or not that can be noted.
    pub(super) fn note_extent(&self, now: Timestamp) {
        if let Err(error) = self.try_note_extent(now) {
            tracing::error!(error = &error as &dyn std::error::Error, "it was not noted how much the site holds");
        }
    }

    fn try_note_extent(&self, now: Timestamp) -> Result<(), PublishError> {
        let Some(version) = self.live.version else { return Ok(()) };
        let release = self.reread(version)?;
        let (tieup, original) = (release.manifest.stock(), self.live.site.originals());
        Ok(self
            .extents
            .note(Extent { since: now, release: version, tieup, original }, &release.contract.effective.tz)?)
    }
}
