//! The report of a month: what every partner's statement comes to, as it was issued or as a draft. Nobody is asked, and
//! nothing is kept.

use tieup_protocol::period::Month;

use crate::database::{DatabaseError, PartnerRow};
use crate::paper::{Report, Reported};
use crate::partners::Hub;
use crate::sales::by_region;
use crate::statements::StatementFailure;

impl Hub {
    /// The statements of all partners for `month`. A partner that has none is named with the reason.
    ///
    /// # Errors
    /// When the partners cannot be listed.
    pub async fn report(&self, month: Month) -> Result<Report, DatabaseError> {
        let mut report = Report { month, rows: Vec::new(), left_out: Vec::new() };
        for partner in self.database.partners().await? {
            if let Err(error) = self.report_of(&partner, month, &mut report.rows).await {
                report.left_out.push((partner.id, error.to_string()));
            }
        }
        Ok(report)
    }

    /// Adds a row for each period of the month.
    async fn report_of(
        &self,
        partner: &PartnerRow,
        month: Month,
        rows: &mut Vec<Reported>,
    ) -> Result<(), StatementFailure> {
        for period in self.periods(partner, month).await? {
            let (made, notice) = self.made(partner, period).await?;
            // A contract that goes by no sale says nothing of how many entries count.
            let until = if made.contract.terms.go_by_sales() { notice.record } else { u64::MAX };
            let sales = self.sales_of(partner, &made.contract, period, until).await?;
            let sold = by_region(&sales, &made);
            rows.push(Reported { partner: partner.id.clone(), made, sold, status: notice.status });
        }
        Ok(())
    }
}
