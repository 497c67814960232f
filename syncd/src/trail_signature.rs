//! The partner's signature over its audit trail, for which main asks.

use jiff::Timestamp;
use tieup_store::audit::{AuditError, Between, SignedEnd, TrailNoteError};
use tieup_store::journal::InvalidKey;

use crate::daemon::Partner;

/// Why the audit trail was not signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignTrailError {
    /// It cannot be read.
    #[error(transparent)]
    Trail(#[from] AuditError),
    /// The key is unusable.
    #[error("the key of the journal cannot be used")]
    Key(#[from] InvalidKey),
    /// The key cannot sign.
    #[error("the audit trail could not be signed")]
    Sign(#[from] TrailNoteError),
}

impl Partner {
    /// Signs the first `lines` lines of the audit trail with the key of the journal; none where there are fewer.
    ///
    /// # Errors
    /// When the trail does not verify.
    pub(crate) fn sign_trail(&self, lines: u64, now: Timestamp) -> Result<Option<SignedEnd>, SignTrailError> {
        let Some(end) = self.publisher().audit_end_after(lines)? else { return Ok(None) };
        let identity = self.identity();
        let of = Between { main: &identity.main, partner: &identity.partner };
        Ok(Some(SignedEnd::sign(of, end, now, &identity.journal_key.parse()?)?))
    }
}
