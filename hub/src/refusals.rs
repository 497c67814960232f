//! Journals of partners that main refused for good, and how a person settles it.

use std::path::PathBuf;

use jiff::Timestamp;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_store::document::DocumentError;
use tieup_web::journal::refusals::Refusals;
pub use tieup_web::journal::refusals::{RefusedJournal, SettleError, Settled, Settlement};

use crate::partners::Hub;

impl Hub {
    /// What is refused of a partner's journals and not settled, oldest month first.
    ///
    /// # Errors
    /// When what is kept of refusals cannot be read.
    pub fn refused_journals(&self, partner: &SiteId) -> Result<Vec<RefusedJournal>, DocumentError> {
        self.refusals(partner).standing()
    }

    /// The refusal of a partner's journal of `month` that stands, if one does.
    ///
    /// # Errors
    /// When what is kept of refusals cannot be read.
    pub fn refused_journal(&self, partner: &SiteId, month: Month) -> Result<Option<RefusedJournal>, DocumentError> {
        self.refusals(partner).of(month)
    }

    /// Settles what stands against a partner's journal of `month`, for a person's `reason`. Durable on return.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub fn settle_journal(
        &self,
        partner: &SiteId,
        month: Month,
        copy: Settlement,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), SettleError> {
        let decision = Settled { at: now, reason: reason.to_owned(), copy };
        self.refusals(partner).settle((partner.as_str(), month), &self.copies(partner), decision)
    }

    /// Where what is refused of a partner's journals is kept.
    pub(crate) fn refusals(&self, partner: &SiteId) -> Refusals {
        Refusals::in_folder(self.config.state.join("refusals").join(partner.as_str()))
    }

    /// The folder with main's copies of the journals of `partner`.
    pub(crate) fn copies(&self, partner: &SiteId) -> PathBuf {
        self.config.state.join("journals").join(partner.as_str())
    }
}
