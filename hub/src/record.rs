//! Main's record of what fees go by besides visits: told to partners page by page, and read for a period.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use tieup_fees::{FeeError, Gathering, PricingError, Recorded, StatementError};
use tieup_protocol::contract::Contract;
use tieup_protocol::period::Period;
use tieup_protocol::record::{MAX_PAGE, RECORD, RecordHeld, RecordPage, RecordRequest};
use tieup_web::client::PeerClient;
use tieup_web::listener::Peer;
use tieup_web::problem::Refusal;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::database::{DatabaseError, PartnerRow};
use crate::locating::caller;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// The most bytes of a request.
const MAX_REQUEST: usize = 1 << 10;

impl Hub {
    /// What the first `until` entries of a partner's record say of `period` under `contract`. Blocks.
    ///
    /// # Errors
    /// When the database fails, or an amount cannot be charged under the contract.
    pub(crate) fn recorded(
        &self,
        partner: &PartnerRow,
        contract: &Contract,
        period: Period,
        until: u64,
    ) -> Result<Recorded, StatementFailure> {
        if until == 0 {
            return Ok(Recorded::default());
        }
        let span = (period.start(&contract.effective.tz), period.end(&contract.effective.tz));
        let entries = self.database.record_of(&partner.id, until, span);
        let entries = block_in_place(|| Handle::current().block_on(entries))?;
        let mut gathering = Gathering::new(contract, period);
        for entry in entries {
            gathering.take(entry);
        }
        let unpriced =
            |error| StatementFailure::Fees(StatementError::Fee(FeeError::Pricing(PricingError::Event(error))));
        gathering.finish(contract).map_err(unpriced)
    }

    /// Tells the partner what it does not hold of the first `until` entries of its record.
    ///
    /// # Errors
    /// When it cannot be reached, or does not take them.
    pub(crate) async fn tell_record(
        &self,
        partner: &PartnerRow,
        client: &PeerClient,
        until: u64,
    ) -> Result<(), StatementFailure> {
        if until == 0 {
            return Ok(());
        }
        let none = RecordPage { from: 0, entries: Vec::new() };
        let mut held = client.post::<RecordHeld>(RECORD, &none).await?.held;
        while held < until {
            let entries = self.database.record(&partner.id, held, MAX_PAGE.min(until - held)).await?;
            let page = RecordPage { from: held, entries };
            let holds = client.post::<RecordHeld>(RECORD, &page).await?.held;
            if holds <= held {
                return Err(StatementFailure::RecordNotTaken { held: holds, until });
            }
            held = holds;
        }
        Ok(())
    }
}

/// The hub's answers to partners that hold main's record against what they were told.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new().route(RECORD, post(tell)).layer(DefaultBodyLimit::max(MAX_REQUEST)).with_state(hub)
}

async fn tell(
    State(hub): State<Arc<Hub>>,
    peer: Option<Extension<Peer>>,
    Json(RecordRequest { from }): Json<RecordRequest>,
) -> Result<Json<RecordPage>, Refusal> {
    let partner = caller(&hub, peer).await?;
    let entries = hub.database.record(&partner.id, from, MAX_PAGE).await;
    entries.map(|entries| Json(RecordPage { from, entries })).map_err(|error| refuse(&error))
}

fn refuse(error: &DatabaseError) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "the record could not be told");
    let title = "the main site could not read its record; its log says why";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title)
}
