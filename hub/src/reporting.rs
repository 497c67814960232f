//! The report of a month: what every partner's statement comes to, as it was issued or as a draft. Nobody is asked, and
//! nothing is kept.

use tieup_protocol::period::Month;

use crate::database::DatabaseError;
use crate::paper::{Report, Reported};
use crate::partners::Hub;

impl Hub {
    /// The statements of all partners for `month`. A partner that has none is named with the reason.
    ///
    /// # Errors
    /// When the partners cannot be listed.
    pub async fn report(&self, month: Month) -> Result<Report, DatabaseError> {
        let mut report = Report { month, rows: Vec::new(), left_out: Vec::new() };
        for partner in self.database.partners().await? {
            match self.made(&partner, month).await {
                Ok((made, notice)) => report.rows.push(Reported { partner: partner.id, made, status: notice.status }),
                Err(error) => report.left_out.push((partner.id, error.to_string())),
            }
        }
        Ok(report)
    }
}
