//! The terms that a new release brings: a version of the contract that would change under which version a statement was
//! issued is not published.

use tieup_protocol::contract::{Contract, ContractId, reaches_back};
use tieup_protocol::period::Period;

use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// Why a contract is not published.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// It would take effect in a period whose statement was issued.
    #[error(
        "contract {contract} would take effect in {period}, whose statement was issued under an earlier version: let it \
         take effect after {}",
        period.last()
    )]
    ReachesBack {
        /// The contract.
        contract: ContractId,
        /// The first period that it would change.
        period: Period,
    },
    /// What was issued cannot be read.
    #[error("it cannot be read what was issued to the partner")]
    Statements(#[source] Box<StatementFailure>),
}

impl Hub {
    /// Refuses the contract in `text` where it would change under which version a statement was issued to `partner`.
    ///
    /// # Errors
    /// See [`TermsError`].
    pub(crate) async fn check_terms(&self, partner: &PartnerRow, text: &str) -> Result<(), TermsError> {
        let books = self.books(partner).await.map_err(|error| TermsError::Statements(Box::new(error)))?;
        // A release is built of a contract that was read.
        let Ok(offered) = Contract::parse("contract.yaml", text) else { return Ok(()) };
        match reaches_back(&offered, books.versions(), books.pinned()) {
            Some(period) => Err(TermsError::ReachesBack { contract: offered.id, period }),
            None => Ok(()),
        }
    }
}
