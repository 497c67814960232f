//! Main's copies of the partners' audit trails: fetched, and taken only where they continue what main has.

use tieup_protocol::audit::TrailEnd;
use tieup_protocol::ids::SiteId;
use tieup_protocol::wire::AUDIT;
use tieup_store::audit::{AuditError, AuditTrail};
use tieup_store::durable;
use tieup_store::durable::DiskError;
use tieup_store::lock::{LockError, StateLock};
use tieup_web::client::CallError;

use crate::database::PartnerRow;
use crate::partners::{Hub, HubError};

/// The copy among a partner's journals.
const COPY: &str = "audit.jsonl";

/// Why a partner's audit trail was not taken. Main's copy is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FetchAuditError {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The partner could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What it sent is no text.
    #[error("the audit trail of `{0}` cannot be read")]
    NoText(SiteId),
    /// What it sent does not continue main's copy.
    #[error("the audit trail of `{0}` is REFUSED: ask its operator what happened")]
    Refused(SiteId, #[source] AuditError),
    /// Main's own copy failed.
    #[error("main's copy of the audit trail of `{0}` cannot be used")]
    Copy(SiteId, #[source] AuditError),
    /// Another command is at it.
    #[error("another command is fetching from `{0}` at this moment")]
    Busy(SiteId, #[source] LockError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Hub {
    /// Fetches what is new in a partner's audit trail, and keeps it if it continues what main has.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When the partner cannot be reached, or its trail is shorter than main's copy or another one.
    pub async fn fetch_audit(&self, partner: &PartnerRow) -> Result<TrailEnd, FetchAuditError> {
        let id = &partner.id;
        let client = self.call(partner).await?;
        durable::create_dir_all(&self.mirrors(partner))?;
        let _lock =
            StateLock::take(&self.mirrors(partner)).map_err(|error| FetchAuditError::Busy(id.clone(), error))?;
        let mut copy = self.audit_copy(partner);
        loop {
            let held = copy.end().map_err(|error| FetchAuditError::Copy(id.clone(), error))?;
            // The last line that is here comes again, to show that it is still the same there.
            let from = held.lines.saturating_sub(1);
            let bytes = client.get_bytes(&format!("{AUDIT}?from={from}")).await?;
            let text = String::from_utf8(bytes).map_err(|_| FetchAuditError::NoText(id.clone()))?;
            let lines: Vec<&str> = text.lines().collect();
            copy.extend(&lines).map_err(|error| refused_or_failed(id, error))?;
            let end = copy.end().map_err(|error| FetchAuditError::Copy(id.clone(), error))?;
            if end == held {
                return Ok(end);
            }
        }
    }

    /// Main's copy of a partner's audit trail.
    pub fn audit_copy(&self, partner: &PartnerRow) -> AuditTrail {
        AuditTrail::at(self.mirrors(partner).join(COPY))
    }
}

/// Who is to blame for lines that were not taken.
fn refused_or_failed(partner: &SiteId, error: AuditError) -> FetchAuditError {
    match error {
        AuditError::Disk(_) | AuditError::Broken(..) => FetchAuditError::Copy(partner.clone(), error),
        AuditError::NotContinued(..) | AuditError::Rewritten { .. } => FetchAuditError::Refused(partner.clone(), error),
    }
}
