//! Space: what neither the live site needs, nor a waiting release, nor a rollback, goes after a time of grace.

use std::time::SystemTime;

use jiff::Timestamp;
use tieup_store::blobs::Swept;

use super::{Guard, GuardError};
use crate::daemon::Partner;
use crate::intake::Intake;

impl Guard {
    /// Gives up what nothing needs and was written or decided on before `before`. Whoever calls this has the `intake`,
    /// so that none goes on meanwhile; what the release on offer counts on is kept.
    ///
    /// Nothing goes while it is not known what a kept release needs. After a failure nothing is lost that is kept.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sweep(&self, partner: &Partner, intake: &Intake, before: Timestamp) -> Result<Swept, GuardError> {
        // Held to the end: what is merged meanwhile could count on a blob that goes.
        let mut publisher = partner.publisher();
        let Some(mut keep) = publisher.needed()? else {
            tracing::warn!("nothing is swept while releases are damaged");
            return Ok(Swept::default());
        };
        let releases = publisher.sweep_releases(before)?;
        keep.extend(intake.needed());
        let swept = self.blobs.sweep(&keep, SystemTime::from(before))?;
        if releases > 0 || swept.blobs > 0 {
            tracing::info!(releases, blobs = swept.blobs, bytes = swept.bytes, "swept");
        }
        Ok(swept)
    }
}
