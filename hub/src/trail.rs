//! Main's own audit trail: what was disputed and how it was answered, in the same form as partners' trails.

use jiff::Timestamp;
use tieup_protocol::audit::{AuditEntry, Happening};
use tieup_store::audit::{AuditError, AuditTrail};
use tieup_store::lock::{LockError, StateLock};

use crate::partners::Hub;

/// The folder of the trail in the state folder: its lock lies beside it.
const FOLDER: &str = "trail";

/// Why the trail could not be continued or read.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    /// Another process writes it.
    #[error("another command is writing the audit trail at this moment")]
    Busy(#[from] LockError),
    /// The disk refused, or the trail does not verify.
    #[error(transparent)]
    Trail(#[from] AuditError),
}

impl Hub {
    /// Writes down what happened. Durable on return.
    ///
    /// # Errors
    /// When another process is writing for longer than a moment, or the disk refuses.
    pub(crate) fn write_down(&self, happening: &Happening, now: Timestamp) -> Result<(), TrailError> {
        self.write_all_down(std::slice::from_ref(happening), now)
    }

    /// Writes down all of what happened, in this order, or after an error none of it. Durable on return.
    ///
    /// # Errors
    /// When another process is writing for longer than a moment, or the disk refuses.
    pub(crate) fn write_all_down(&self, happenings: &[Happening], now: Timestamp) -> Result<(), TrailError> {
        if happenings.is_empty() {
            return Ok(());
        }
        let folder = self.config.state.join(FOLDER);
        let _lock = StateLock::take(&folder)?;
        Ok(AuditTrail::at(folder.join("audit.jsonl")).append(happenings, now)?)
    }

    /// Every entry of main's own trail, verified.
    ///
    /// # Errors
    /// When the trail does not verify.
    pub fn own_trail(&self) -> Result<Vec<AuditEntry>, AuditError> {
        AuditTrail::at(self.config.state.join(FOLDER).join("audit.jsonl")).entries()
    }
}
