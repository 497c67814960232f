//! Sales as they are handed over, in files of CSV or NDJSON: read and checked with all mistakes at once, put into the
//! record, and summed up by region. Nothing in them is about a buyer.

mod file;
mod groups;

use std::collections::BTreeMap;

use jiff::Timestamp;
use tieup_fees::{Event, Gathering};
use tieup_protocol::contract::{Contract, charged_under};
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::record::{Entry, Sale, Withdrawal, Word};

pub use self::file::{FIELDS, Read, SalesFile};
pub use self::groups::{Group, groups};
use crate::database::{AddedToRecord, DatabaseError, Existing, PartnerRow, Tally};
use crate::partners::{Hub, HubError};
use crate::statements::StatementFailure;

/// Why sales were not put into the record. Nothing of the file was.
#[derive(Debug, thiserror::Error)]
pub enum SalesError {
    /// The file has mistakes.
    #[error("{0}")]
    File(Report),
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A contract cannot be read.
    #[error(transparent)]
    Contract(#[from] StatementFailure),
    /// The record is full.
    #[error("the record of `{0}` has as many entries as a record may have")]
    Full(SiteId),
    /// There is no such sale to take back.
    #[error("the record of `{partner}` has no sale `{id}`")]
    Unknown {
        /// The partner.
        partner: SiteId,
        /// The sale.
        id: Word,
    },
}

impl Hub {
    /// Puts all sales of a file into the record, or none. Durable on return.
    ///
    /// # Errors
    /// See [`SalesError`].
    pub async fn add_sales(
        &self,
        file: &SalesFile<'_>,
        sales: Vec<Read>,
        existing: Existing,
        now: Timestamp,
    ) -> Result<Tally, SalesError> {
        self.check_sales(file, &sales, now).await?;
        let entries: Vec<_> = sales.iter().map(|read| (read.partner.clone(), Entry::Sale(read.sale.clone()))).collect();
        match self.database.add_to_record(&entries, existing, now).await? {
            AddedToRecord::Added(tally) => Ok(tally),
            AddedToRecord::Full(partner) => Err(SalesError::Full(partner)),
            AddedToRecord::Differing(places) => {
                let problem = |place: usize| sales.get(place).map(|read| differing(file, read));
                Report::check(places.into_iter().filter_map(problem).collect()).map_err(SalesError::File)?;
                Ok(Tally::default())
            }
        }
    }

    /// Takes sales of a partner back. Durable on return.
    ///
    /// # Errors
    /// See [`SalesError`].
    pub async fn withdraw_sales(
        &self,
        partner: &PartnerRow,
        ids: &[Word],
        now: Timestamp,
    ) -> Result<Tally, SalesError> {
        for id in ids {
            let entry = Entry::Withdrawn(Withdrawal { id: id.clone() });
            if self.database.newest_recorded(&partner.id, &entry).await?.is_none() {
                return Err(SalesError::Unknown { partner: partner.id.clone(), id: id.clone() });
            }
        }
        let entry = |id: &Word| (partner.id.clone(), Entry::Withdrawn(Withdrawal { id: id.clone() }));
        let entries: Vec<_> = ids.iter().map(entry).collect();
        match self.database.add_to_record(&entries, Existing::Correct, now).await? {
            AddedToRecord::Added(tally) => Ok(tally),
            AddedToRecord::Full(partner) => Err(SalesError::Full(partner)),
            AddedToRecord::Differing(_) => Ok(Tally::default()),
        }
    }

    /// The sales of a partner in `month`, by name.
    ///
    /// # Errors
    /// When there is no contract, whose zone says when a month begins, or the database fails.
    pub async fn sales(&self, partner: &PartnerRow, month: Month) -> Result<Vec<Sale>, SalesError> {
        let contracts = self.agreed(partner).await?;
        let contract = charged_under(contracts, month).ok_or(StatementFailure::NoContract)?;
        let period = contract.period(month);
        let span = (period.start(&contract.effective.tz), period.end(&contract.effective.tz));
        let mut gathering = Gathering::new(&contract, period);
        let entries = self.database.record_of(&partner.id, u64::MAX, span).await?;
        for entry in entries {
            gathering.take(entry);
        }
        Ok(gathering.sales())
    }

    /// Looks whether each sale can be charged: its partner has joined and has a contract, whose currency its amounts fit.
    async fn check_sales(&self, file: &SalesFile<'_>, sales: &[Read], now: Timestamp) -> Result<(), SalesError> {
        let mut contracts: BTreeMap<&SiteId, Vec<Contract>> = BTreeMap::new();
        for Read { partner, .. } in sales {
            if !contracts.contains_key(partner) {
                contracts.insert(partner, self.contracts_with(partner).await?);
            }
        }
        let problems = sales.iter().filter_map(|read| {
            let contracts = contracts.get(&read.partner).map(Vec::as_slice).unwrap_or_default();
            problem(read, contracts, now).map(|(value, told)| file.at(read.line, &value, told))
        });
        Report::check(problems.collect()).map_err(SalesError::File)
    }

    /// The contracts with a partner; none where it has not joined, or none can be charged under.
    async fn contracts_with(&self, partner: &SiteId) -> Result<Vec<Contract>, SalesError> {
        match self.partner(partner).await {
            Ok(row) => Ok(self.agreed(&row).await?),
            Err(HubError::NotJoined(_)) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why a sale cannot be charged under the contract of its month, and at which of its values.
fn problem(read: &Read, contracts: &[Contract], now: Timestamp) -> Option<(String, Diagnostic)> {
    let Read { partner, sale, .. } = read;
    let told = |value: &str, code, message: String, help: &str| {
        Some((value.to_owned(), Diagnostic::new(code, "", message).help(help.to_owned())))
    };
    let Some(first) = contracts.first() else {
        let message = format!("`{partner}` has not joined, or has no contract");
        return told(partner.as_str(), "unknown-partner", message, "`tieup partner list` has those that have joined");
    };
    if sale.time > now {
        let message = format!("sale `{}` is of a time that has not come", sale.id);
        return told("", "sale-to-come", message, "give the time at which it was settled, with its offset from UTC");
    }
    let month = Month::of(sale.time, &first.effective.tz);
    let contract = charged_under(contracts.iter().cloned(), month)?;
    if let Err(error) = Event::of(sale, contract.terms.money.currency) {
        return told(
            &sale.amount.to_string(),
            "finer-than-currency",
            error.to_string(),
            "give amounts in whole minor units",
        );
    }
    let goods = sale.goods.as_ref().map(Word::as_str);
    if let Some(collected) = sale.collected.filter(|_| !contract.terms.collect(sale.kind.as_str(), goods, sale.via)) {
        let message = format!("something was collected with sale `{}`, and no charge is collected with it", sale.id);
        let help = format!("leave `collected` out, or name the charge in `pay.collected` of contract {}", contract.id);
        return told(&collected.to_string(), "not-collected", message, &help);
    }
    None
}

fn differing(file: &SalesFile<'_>, read: &Read) -> Diagnostic {
    let id = read.sale.id.as_str();
    let message = format!("sale `{id}` of `{}` is in the record with other content", read.partner);
    let told = Diagnostic::new("sale-differs", "", message)
        .help("if this is what is right, add the file again with --correct; another sale needs another id");
    file.at(read.line, id, told)
}
