//! What a partner's fetched months would have cost otherwise. Nothing is kept, and nobody is asked.

use tieup_fees::compute::count;
use tieup_fees::simulation::{Change, SideBySide, side_by_side, with_originals};
use tieup_fees::{Counted, Ledger as _};
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::period::Month;
use tieup_store::journal::months;

use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// What is changed in a simulation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Supposition {
    /// The contract that it is charged under; the real one where none is given.
    pub contract: Option<Contract>,
    /// By how much visits to original pages change.
    pub originals: Option<Change>,
}

/// A month as it is charged, and as it would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// The month.
    pub month: Month,
    /// The contract that it is charged under.
    pub now: String,
    /// The one that it would be.
    pub other: String,
    /// Both bills.
    pub bills: SideBySide,
}

impl Hub {
    /// Simulates the last `most` months of which a journal of `partner` was fetched, up to what main has cosigned; oldest
    /// first.
    ///
    /// # Errors
    /// See [`StatementFailure`].
    pub async fn simulate(
        &self,
        partner: &PartnerRow,
        supposition: &Supposition,
        most: usize,
    ) -> Result<Vec<Simulated>, StatementFailure> {
        let books = self.books(partner).await?;
        let months = months(&self.mirrors(partner))?;
        let mut simulated = Vec::new();
        for month in months.iter().rev().take(most).rev().copied() {
            let now = books.contract(month)?;
            let other = supposition.contract.clone().unwrap_or_else(|| now.clone());
            let (counted, mut supposed) =
                (self.count_by(partner, &now, &now, month)?, self.count_by(partner, &now, &other, month)?);
            if let Some(change) = supposition.originals {
                supposed = with_originals(&supposed, change);
            }
            let bills = side_by_side((&now, &counted), (&other, &supposed)).map_err(|error| {
                StatementFailure::Fees(tieup_fees::StatementError::Fee(tieup_fees::FeeError::Pricing(error)))
            })?;
            simulated.push(Simulated { month, now: now.id.to_string(), other: other.id.to_string(), bills });
        }
        Ok(simulated)
    }

    /// What the log that a month is charged by under `now` comes to by the rules of `rules`.
    fn count_by(
        &self,
        partner: &PartnerRow,
        now: &Contract,
        rules: &Contract,
        month: Month,
    ) -> Result<Counted, StatementFailure> {
        let (reader, _, size) = self.charged_log(partner, now, month)?;
        let as_counted = |entry| if now.journal.writer == Side::Main { rules.of_mains_log(entry) } else { entry };
        Ok(count(rules, month, reader.entries(0..size)?.map(|entry| entry.map(as_counted)))?)
    }
}
