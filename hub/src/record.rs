//! Main's record of what fees go by besides visits: written after main's audit trail, told to partners page by page, and
//! read for a period.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use tieup_fees::{FeeError, Gathering, PricingError, Recorded, StatementError};
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::contract::Contract;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Period;
use tieup_protocol::record::{Entry, MAX_PAGE, RECORD, RecordHeld, RecordPage, RecordRequest, Span};
use tieup_web::client::PeerClient;
use tieup_web::listener::Peer;
use tieup_web::problem::Refusal;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::database::{Adding, DatabaseError, Late, PartnerRow, Tally, Unless};
use crate::locating::caller;
use crate::partners::Hub;
use crate::statements::StatementFailure;
use crate::trail::TrailError;

/// The most bytes of a request.
const MAX_REQUEST: usize = 1 << 10;

/// Why entries were not put into the record. None of them was.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The trail could not be continued.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// The record is full.
    #[error("the record of `{0}` has as many entries as a record may have")]
    Full(SiteId),
    /// Those at these places stand in the record with other content.
    #[error("the record has {} of these with other content", .0.len())]
    Differing(Vec<usize>),
    /// What is paid after the issue is no payment in advance.
    #[error("the statement for {0} has been issued: what is paid now is paid for what is due by it")]
    Issued(Period),
    /// A payment counts in what was issued already.
    #[error(
        "the payment counts in the statement for {0}, which has been issued: give what was paid besides another reference"
    )]
    Counted(Period),
    /// What is said of it is to correct what was issued, and is not said to.
    #[error("a statement for {0} has been issued, and goes by what was said then")]
    Said(Period),
}

/// What main's trail says of entries that were noted.
pub(crate) struct Noting<'a> {
    /// Who noted them.
    pub(crate) who: Actor,
    /// What they are.
    pub(crate) what: Event,
    /// What is said of those of one partner.
    pub(crate) sentence: &'a (dyn Fn(&SiteId, &[Entry]) -> String + Sync),
}

impl Hub {
    /// Puts entries into the records of partners, all of them or none: looked at first, then into main's trail, with the
    /// digest of what is added, then into the record. Those that are there already change nothing, and no trail. Durable on
    /// return.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub(crate) async fn note_recorded(
        &self,
        entries: &[(SiteId, Entry)],
        unless: Unless,
        Noting { who, what, sentence }: Noting<'_>,
        now: Timestamp,
    ) -> Result<Tally, RecordError> {
        let addition = match self.database.begin_adding(entries, unless, now).await? {
            Adding::Ready(addition) => addition,
            Adding::Differing(places) => return Err(RecordError::Differing(places)),
            Adding::Full(partner) => return Err(RecordError::Full(partner)),
            Adding::Issued(Late::Payment, period) => return Err(RecordError::Issued(period)),
            Adding::Issued(Late::MovedPayment, period) => return Err(RecordError::Counted(period)),
            Adding::Issued(Late::Said, period) => return Err(RecordError::Said(period)),
        };
        let happened = addition.added().map(|(partner, from, entries)| {
            let lines: Vec<String> = entries.iter().map(Entry::line).collect();
            // A long reason is cut off at its end: the digest is not.
            let reason = Span::of(from, &lines).map(|span| format!("{span}: {}", sentence(partner, entries)));
            Happening { who, what, release: None, reason }
        });
        self.write_all_down(&happened.collect::<Vec<_>>(), now)?;
        Ok(addition.keep().await?)
    }

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
