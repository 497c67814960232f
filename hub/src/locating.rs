//! What main counts of a partner's journal, told to the partner hour by hour and entry by entry: where the two differ,
//! the partner finds out where.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use tieup_fees::location::hours;
use tieup_fees::{Ledger as _, StatementError};
use tieup_protocol::access::AccessEntry;
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::digest::Digest;
use tieup_protocol::location::{CountedHour, ENTRIES, EntriesRequest, HOURS, HourEntries, HoursRequest, NumberedEntry};
use tieup_protocol::period::Period;
use tieup_store::journal::{JournalReader, ReadError};
use tieup_web::listener::Peer;
use tieup_web::problem::Refusal;

use crate::database::PartnerRow;
use crate::lines::admit;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// The most bytes of a request: it names strikes.
const MAX_REQUEST: usize = 64 << 10;

/// The most entries of an answer.
const MOST_ENTRIES: usize = 1_000;

/// The hub's answers to partners that compute another statement.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route(HOURS, post(tell_hours))
        .route(ENTRIES, post(tell_entries))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .with_state(hub)
}

async fn tell_hours(
    State(hub): State<Arc<Hub>>,
    peer: Option<Extension<Peer>>,
    Json(HoursRequest { period, size, strikes }): Json<HoursRequest>,
) -> Result<Json<Vec<CountedHour>>, Refusal> {
    let partner = caller(&hub, peer).await?;
    let Opened { contract, writer, reader, struck } = open(&hub, &partner, period, &strikes).await?;
    let counted = tokio::task::block_in_place(|| {
        let entries = reader.entries(0..size)?.map(|entry| entry.map(|entry| contract.as_counted(writer, entry)));
        hours(&contract, period, entries, &struck).map_err(StatementFailure::from)
    });
    counted.map(Json).map_err(|error| refuse(&error))
}

async fn tell_entries(
    State(hub): State<Arc<Hub>>,
    peer: Option<Extension<Peer>>,
    Json(request): Json<EntriesRequest>,
) -> Result<Json<HourEntries>, Refusal> {
    let partner = caller(&hub, peer).await?;
    let opened = open(&hub, &partner, request.period, &[]).await?;
    let found = tokio::task::block_in_place(|| entries_of(&opened, &request));
    found.map(Json).map_err(|error| refuse(&error))
}

/// The entries of the hour that is asked for, as many as an answer may hold.
fn entries_of(opened: &Opened, request: &EntriesRequest) -> Result<HourEntries, StatementFailure> {
    let Opened { contract, writer, reader, .. } = opened;
    let from = request.from.min(request.size);
    let mut entries = Vec::new();
    for (bytes, number) in reader.entries(from..request.size)?.zip(from..) {
        let bytes = contract.as_counted(*writer, bytes?);
        let entry = AccessEntry::decode(&bytes);
        let entry = entry.map_err(|source| StatementError::<ReadError>::Entry { number, source })?;
        if contract.effective.tz.hour_number(entry.time) != request.hour {
            continue;
        }
        if entries.len() == MOST_ENTRIES {
            return Ok(HourEntries { entries, next: Some(number) });
        }
        entries.push(NumberedEntry::new(number, &bytes));
    }
    Ok(HourEntries { entries, next: None })
}

/// Who calls: a partner, with its certificate.
pub(crate) async fn caller(hub: &Hub, peer: Option<Extension<Peer>>) -> Result<PartnerRow, Refusal> {
    let Some(Extension(Peer(certificate))) = peer else {
        let title = "statements are spoken of with a partner's certificate";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "no-certificate", title));
    };
    admit(hub, &certificate.name).await
}

/// A log that a period is charged by, who writes it, the contract that the period is charged under, and what is struck out.
struct Opened {
    contract: Contract,
    writer: Side,
    reader: JournalReader,
    struck: BTreeSet<u64>,
}

async fn open(hub: &Hub, partner: &PartnerRow, period: Period, strikes: &[Digest]) -> Result<Opened, Refusal> {
    let books = hub.books(partner).await.map_err(|error| refuse(&error))?;
    let open = || {
        let (contract, writer) = (books.contract(period)?, books.writer(period.month())?);
        let struck = books.struck(period.month(), strikes)?;
        Ok(Opened { contract, writer, reader: books.log(period.month())?.0, struck })
    };
    open().map_err(|error: StatementFailure| refuse(&error))
}

/// Says why nothing can be told. It is the partner's own journal, so it may be told in full.
fn refuse(error: &StatementFailure) -> Refusal {
    tracing::warn!(error = error as &dyn std::error::Error, "what is counted of a journal could not be told");
    Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, "not-counted", error)
}
