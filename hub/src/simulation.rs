//! What a partner's fetched months would have cost otherwise. Nothing is kept, and nobody is asked.

use tieup_fees::simulation::{Change, SideBySide, side_by_side, with_originals};
use tieup_fees::{Counted, Ledger as _, count_without};
use tieup_protocol::contract::Contract;
use tieup_protocol::period::Period;
use tieup_store::journal::months;

use crate::books::MainBooks;
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

/// A period as it is charged, and as it would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// The period.
    pub period: Period,
    /// The contract that it is charged under.
    pub now: String,
    /// The one that it would be.
    pub other: String,
    /// Both bills.
    pub bills: SideBySide,
}

impl Hub {
    /// Simulates the last `most` months of which a journal of `partner` was fetched, up to what main has cosigned, with all
    /// that is recorded; oldest first.
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
        let periods = months.iter().rev().take(most).rev().flat_map(|month| books.periods(*month));
        for period in periods {
            let now = books.contract(period)?;
            let other = supposition.contract.clone().unwrap_or_else(|| now.clone());
            let (counted, mut supposed) = (count_by(&books, &now, period)?, count_by(&books, &other, period)?);
            if let Some(change) = supposition.originals {
                supposed = with_originals(&supposed, change);
            }
            let recorded = |contract: &Contract| books.all_recorded(contract, period);
            let (recorded, imagined) = (recorded(&now)?, recorded(&other)?);
            let (real, unreal) = (recorded.books(&counted), imagined.books(&supposed));
            let bills = side_by_side((&now, &real), (&other, &unreal)).map_err(|error| {
                StatementFailure::Fees(tieup_fees::StatementError::Fee(tieup_fees::FeeError::Pricing(error)))
            })?;
            simulated.push(Simulated { period, now: now.id.to_string(), other: other.id.to_string(), bills });
        }
        Ok(simulated)
    }
}

/// What the log that a period is charged by comes to by the rules of `rules`.
fn count_by(books: &MainBooks<'_>, rules: &Contract, period: Period) -> Result<Counted, StatementFailure> {
    let ((reader, _, size), writer) = (books.log(period.month())?, books.writer(period.month())?);
    let entries = reader.entries(0..size)?.map(|entry| entry.map(|entry| rules.as_counted(writer, entry)));
    Ok(count_without(rules, period, entries, &books.struck_now(period.month())?)?)
}
