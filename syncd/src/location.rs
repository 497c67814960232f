//! Where main's statement and the partner's own part: main is asked what it counts, and the first difference is proven
//! from the partner's own journal.

use tieup_fees::location::{first_differing_entry, first_differing_hour, hour_begins, hours};
use tieup_fees::{Ledger as _, StatementError};
use tieup_protocol::access::AccessEntry;
use tieup_protocol::contract::{Contract, Side};
use tieup_protocol::joining::main_tls_name;
use tieup_protocol::location::{
    CountedHour, ENTRIES, EntriesRequest, HOURS, HourEntries, HoursRequest, Located, LocatedEntry, NumberedEntry,
};
use tieup_protocol::period::{Month, Period};
use tieup_protocol::wire::StatementNotice;
use tieup_store::journal::{InclusionProof, JournalReader, ProofKeys, ReadError};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::journal::JournalError;
use tieup_web::tls::TlsError;

use crate::daemon::Partner;
use crate::statement::StatementFailure;

/// Why a difference could not be located.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The partner joined before main's address was kept.
    #[error("it is not known where the main site answers: join again with a new token")]
    NoHub,
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Main could not be asked.
    #[error("the main site does not tell what it counts")]
    Call(#[from] CallError),
    /// There is nothing to compare, or no contract.
    #[error(transparent)]
    Statement(#[from] StatementFailure),
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// The partner's own journal holds what is no entry.
    #[error("the journal here is damaged: put it back from a copy")]
    Damaged(#[from] StatementError<ReadError>),
    /// Main tells entries in no order.
    #[error("what the main site tells has no order")]
    Order,
}

impl Partner {
    /// Finds the first hour, and the first entry in it, in which main's count for the statement of `period` is another
    /// than the partner's; none where both count the same visits.
    ///
    /// # Errors
    /// See [`LocateError`].
    pub async fn locate(&self, period: impl Into<Period>) -> Result<Option<Located>, LocateError> {
        let period = period.into();
        let StatementNotice { size, strikes, .. } = self.notice(period)?;
        let struck = self.struck_out(period.month(), &strikes)?;
        let (contract, writer) = (self.contract(period)?, self.writer(period.month())?);
        let reader = self.charged_log(writer, period.month())?;
        let entries = reader.entries(0..size)?.map(|entry| entry.map(|entry| contract.as_counted(writer, entry)));
        let own = hours(&contract, period, entries, &struck)?;
        let main = self.main().await?;
        let mains: Vec<CountedHour> = main.post(HOURS, &HoursRequest { period, size, strikes }).await?;
        let Some((mains, own)) = first_differing_hour(&mains, &own) else { return Ok(None) };
        let Some(hour) = mains.or(own).map(|hour| hour.number) else { return Ok(None) };
        let asked = EntriesRequest { period, size, hour, from: 0 };
        let entry = self.locate_entry(&Log { contract: &contract, writer, reader: &reader }, &main, asked).await?;
        let zone = contract.effective.tz.name().to_owned();
        Ok(Some(Located { hour: hour_begins(hour), zone, main: mains, partner: own, entry }))
    }

    /// A client that calls main.
    pub(crate) async fn main(&self) -> Result<PeerClient, LocateError> {
        let identity = self.identity();
        let hub = identity.hub.as_deref().ok_or(LocateError::NoHub)?;
        Ok(PeerClient::new(self.tls().client()?, main_tls_name(&identity.main), hub).await?)
    }

    async fn locate_entry(
        &self,
        log: &Log<'_>,
        main: &PeerClient,
        asked: EntriesRequest,
    ) -> Result<Option<LocatedEntry>, LocateError> {
        let own = own_entries(log, &asked)?;
        let mains = mains_entries(main, asked).await?;
        let Some(number) = first_differing_entry(&mains, &own) else { return Ok(None) };
        let at =
            |entries: &[NumberedEntry]| entries.iter().find(|entry| entry.number == number).map(NumberedEntry::words);
        let partner = at(&own);
        let proof = if partner.is_some() { self.proof(log, asked.period.month(), number)? } else { None };
        Ok(Some(LocatedEntry { number, main: at(&mains), partner, proof }))
    }

    /// The proof that entry `number` stands, as it is here, in the log that both sides signed; none where it does not.
    fn proof(&self, of: &Log<'_>, month: Month, number: u64) -> Result<Option<String>, StatementFailure> {
        let Some((log, cosigner)) = self.log_keys(of.writer)? else { return Ok(None) };
        let origin = self.origin(of.writer, month);
        let Ok(proof) = InclusionProof::of(of.reader, number, &origin, &log) else { return Ok(None) };
        let keys = ProofKeys { log, cosigner: Some(cosigner) };
        Ok(proof.verify(&origin, &keys).is_ok().then(|| proof.to_string()))
    }
}

/// The log that a period is charged by, who writes it, and the contract that the period is charged under.
struct Log<'a> {
    contract: &'a Contract,
    writer: Side,
    reader: &'a JournalReader,
}

/// The partner's own entries in the hour.
fn own_entries(log: &Log<'_>, asked: &EntriesRequest) -> Result<Vec<NumberedEntry>, LocateError> {
    let &Log { contract, writer, reader } = log;
    let mut found = Vec::new();
    for (bytes, number) in reader.entries(0..asked.size)?.zip(0..) {
        let bytes = contract.as_counted(writer, bytes?);
        let entry = AccessEntry::decode(&bytes).map_err(|source| StatementError::Entry { number, source })?;
        if contract.effective.tz.hour_number(entry.time) == asked.hour {
            found.push(NumberedEntry::new(number, &bytes));
        }
    }
    Ok(found)
}

/// The entries of the hour in main's copy.
async fn mains_entries(main: &PeerClient, asked: EntriesRequest) -> Result<Vec<NumberedEntry>, LocateError> {
    let (mut found, mut from) = (Vec::new(), 0);
    loop {
        let HourEntries { entries, next } = main.post(ENTRIES, &EntriesRequest { from, ..asked }).await?;
        found.extend(entries);
        match next {
            None => return Ok(found),
            // What goes on at the same place, or beyond the end, never ends.
            Some(next) if next > from && next < asked.size => from = next,
            Some(_) => return Err(LocateError::Order),
        }
    }
}
