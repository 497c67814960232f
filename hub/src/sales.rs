//! Sales as they are handed over, in files of CSV or NDJSON: read and checked with all mistakes at once, put into the
//! record, and summed up by region. Nothing in them is about a buyer.

mod file;
mod groups;
mod regions;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tieup_fees::{Event, Gathering, Ungoverned};
use tieup_protocol::audit::{Actor, Event as AuditEvent};
use tieup_protocol::contract::{Charge, Contract, Currency, Meter, Sales, Segment, charged_under};
use tieup_protocol::diagnostic::{Diagnostic, Report, nearest};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::record::{Entry, Sale, Withdrawal, Word};

pub use self::file::{FIELDS, Read, SalesFile};
pub use self::groups::{Group, groups};
pub use self::regions::{Regional, by_region};
use crate::database::{DatabaseError, Existing, PartnerRow, Tally, Unless};
use crate::partners::{Hub, HubError};
use crate::record::{Noting, RecordError};
use crate::statements::StatementFailure;
use crate::terms::governing;

/// How many sales the trail names, of those that were noted together.
const MOST_NAMED: usize = 5;

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
    /// They were not put into the record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A contract cannot be read.
    #[error(transparent)]
    Contract(#[from] StatementFailure),
    /// There is no such sale to take back.
    #[error("the record of `{partner}` has no sale `{id}`")]
    Unknown {
        /// The partner.
        partner: SiteId,
        /// The sale.
        id: Word,
    },
}

/// What was sold in a month.
#[derive(Debug)]
pub struct Sold {
    /// The currency of the amounts.
    pub currency: Currency,
    /// The sales.
    pub sales: Vec<Sale>,
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
        let sentence = |partner: &SiteId, entries: &[Entry]| format!("{partner}: {}", noted(entries));
        let noting = Noting { who: Actor::Main, what: AuditEvent::SalesNoted, sentence: &sentence };
        match self.note_recorded(&entries, existing.into(), noting, now).await {
            Err(RecordError::Differing(places)) => {
                let problem = |place: usize| sales.get(place).map(|read| differing(file, read));
                file.check(places.into_iter().filter_map(problem).collect()).map_err(SalesError::File)?;
                Ok(Tally::default())
            }
            noted => Ok(noted?),
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
        let sentence = |partner: &SiteId, entries: &[Entry]| format!("{partner}: {}, taken back", noted(entries));
        let noting = Noting { who: Actor::Main, what: AuditEvent::SalesNoted, sentence: &sentence };
        Ok(self.note_recorded(&entries, Unless::Never, noting, now).await?)
    }

    /// What a partner has sold in `month`, by name, in the currency of the contract that the month is charged under.
    ///
    /// # Errors
    /// When there is no contract, whose zone says when a month begins, or the database fails.
    pub async fn sales(&self, partner: &PartnerRow, month: Month) -> Result<Sold, SalesError> {
        let contract = charged_under(self.agreed(partner).await?, month).ok_or(Ungoverned::NoContract);
        let contract = contract.map_err(StatementFailure::from)?;
        // All of it, also where versions govern parts of it, or none governs a part.
        let sales = self.sales_of(partner, &contract, Period::whole(month), u64::MAX).await?;
        Ok(Sold { currency: contract.terms.money.currency, sales })
    }

    /// What the first `until` entries of a partner's record say that was sold in `period` under `contract`, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn sales_of(
        &self,
        partner: &PartnerRow,
        contract: &Contract,
        period: Period,
        until: u64,
    ) -> Result<Vec<Sale>, DatabaseError> {
        let span = (period.start(&contract.effective.tz), period.end(&contract.effective.tz));
        let mut gathering = Gathering::new(contract, period);
        for entry in self.database.record_of(&partner.id, until, span).await? {
            gathering.take(entry);
        }
        Ok(gathering.sales())
    }

    /// What is to be said where nothing that is agreed on with `partner` goes by sales; nothing without a contract.
    ///
    /// # Errors
    /// When a contract cannot be read.
    pub async fn unused_sales(&self, partner: &PartnerRow) -> Result<Option<String>, SalesError> {
        Ok(unused(&self.agreed(partner).await?, "charges for no sale", |contract| contract.terms.go_by_sales()))
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
        file.check(problems.collect()).map_err(SalesError::File)
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

/// What is to be said of what was put into the record, where none of the `agreed` contracts goes by it.
pub(crate) fn unused(agreed: &[Contract], why: &str, goes_by: impl Fn(&Contract) -> bool) -> Option<String> {
    let newest = agreed.iter().max_by_key(|contract| contract.id.version)?;
    (!agreed.iter().any(goes_by)).then(|| format!("contract {} {why}: no statement goes by these", newest.id))
}

/// What main's trail says of sales, after the partner's name.
fn noted(entries: &[Entry]) -> String {
    let named: Vec<String> = entries.iter().take(MOST_NAMED).filter_map(Entry::subject).collect();
    match entries.len().saturating_sub(MOST_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Why a sale cannot be charged under the version of the contract that governs its day, and at which of its values.
fn problem(read: &Read, contracts: &[Contract], now: Timestamp) -> Option<(String, Diagnostic)> {
    let Read { partner, sale, .. } = read;
    let told = |value: &str, code, message: String, help: &str| {
        Some((value.to_owned(), Diagnostic::new(code, "", message).help(help.to_owned())))
    };
    if contracts.is_empty() {
        let message = format!("`{partner}` has not joined, or has no contract");
        return told(partner.as_str(), "unknown-partner", message, "`tieup partner list` has those that have joined");
    }
    if sale.time > now {
        let message = format!("sale `{}` is of a time that has not come", sale.id);
        return told("", "sale-to-come", message, "give the time at which it was settled, with its offset from UTC");
    }
    let Some(Segment { contract, .. }) = governing(contracts, sale.time) else {
        let message = format!("no version of the contract governs the day of sale `{}`", sale.id);
        return told(
            "",
            "not-governed",
            message,
            "give the time at which it was settled, or agree on a contract for it",
        );
    };
    if let Err(error) = Event::of(sale, contract.terms.money.currency) {
        return told(
            &sale.amount.to_string(),
            "finer-than-currency",
            error.to_string(),
            "give amounts in whole minor units",
        );
    }
    if let Some(misspelled) = unnamed(sale, &contract) {
        return Some(misspelled);
    }
    let goods = sale.goods.as_ref().map(Word::as_str);
    if let Some(collected) = sale.collected.filter(|_| !contract.terms.collect(sale.kind.as_str(), goods, sale.via)) {
        let message = format!("something was collected with sale `{}`, and no charge is collected with it", sale.id);
        let help = format!("leave `collected` out, or name the charge in `pay.collected` of contract {}", contract.id);
        return told(&collected.to_string(), "not-collected", message, &help);
    }
    None
}

/// What the kind or the goods of a sale are not called in `contract`, so that nothing would go by it. A contract in which
/// nothing goes by sales has no names, and takes every one.
fn unnamed(sale: &Sale, contract: &Contract) -> Option<(String, Diagnostic)> {
    let named = named_sales(contract);
    let kinds: BTreeSet<&str> = named.iter().map(|of| of.event.as_str()).collect();
    let kind = sale.kind.as_str();
    if kinds.is_empty() {
        return None;
    }
    if !kinds.contains(kind) {
        return Some((kind.to_owned(), unknown("unknown-kind", "kind", kind, &kinds, contract)));
    }
    let of_kind = || named.iter().filter(|of| of.event == kind);
    let goods = sale.goods.as_ref()?.as_str();
    // Where something goes by all sales of the kind, goods of any name count.
    if of_kind().any(|of| of.goods.is_none()) {
        return None;
    }
    let sold: BTreeSet<&str> = of_kind().filter_map(|of| of.goods.as_deref()).collect();
    (!sold.contains(goods)).then(|| (goods.to_owned(), unknown("unknown-goods", "goods", goods, &sold, contract)))
}

/// Which sales the meters and charges of a contract speak of.
fn named_sales(contract: &Contract) -> Vec<&Sales> {
    let meters = contract.terms.meters.values().filter_map(|meter| match meter {
        Meter::Sold { of, .. } => Some(of),
        _ => None,
    });
    let charges = contract.terms.charges.values().filter_map(|charge| match charge {
        Charge::PerEvent(fee) => Some(&fee.of),
        _ => None,
    });
    meters.chain(charges).collect()
}

fn unknown(code: &'static str, what: &str, said: &str, names: &BTreeSet<&str>, contract: &Contract) -> Diagnostic {
    let names: Vec<&str> = names.iter().copied().collect();
    let message = format!("contract {} has no {what} `{said}`: nothing would be charged", contract.id);
    Diagnostic::new(code, "", message).help(match nearest(said, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", names.join(", ")),
    })
}

fn differing(file: &SalesFile<'_>, read: &Read) -> Diagnostic {
    let id = read.sale.id.as_str();
    let message = format!("sale `{id}` of `{}` is in the record with other content", read.partner);
    let told = Diagnostic::new("sale-differs", "", message)
        .help("if this is what is right, add the file again with --correct; another sale needs another id");
    file.at(read.line, id, told)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::terms::tests::version;

    /// What is told of a sale of `kind` and `goods` at noon of a day of November 2026; nothing where it is right.
    fn told(contracts: &[Contract], kind: &str, goods: &str, day: u8) -> String {
        let text = format!("id,kind,amount,goods,time\na,{kind},100,{goods},2026-11-{day:02}T12:00:00+09:00\n");
        let file = SalesFile::new("sales.csv", text.as_bytes()).unwrap();
        let sales = file.sales(Some(&"north".parse().unwrap())).unwrap();
        let found = problem(&sales[0], contracts, "2026-12-01T00:00:00Z".parse().unwrap());
        found.map(|(value, told)| file.at(2, &value, told).to_string()).unwrap_or_default()
    }

    #[test]
    fn a_sale_goes_by_the_version_that_governs_its_day() {
        let orders = |kind: &str| format!(r#", orders: {{per_event: {kind}, rate: "10%", min: 0, max: 5000}}"#);
        let versions =
            [version(1, "2026-11-10", &orders("order"), ""), version(2, "2026-11-20", &orders("parcel"), "")];
        assert_eq!(told(&versions, "order", "", 19), "");
        assert_eq!(told(&versions, "parcel", "", 20), "");
        assert!(told(&versions, "order", "", 20).contains("main/north@2 has no kind `order`"));
        assert!(told(&versions, "order", "", 9).contains("no version of the contract governs the day of sale `a`"));
    }

    #[test]
    fn sales_that_nothing_goes_by_are_told() {
        let (none, orders) = ("", r#", orders: {per_event: order, rate: "10%", min: 0, max: 5000}"#);
        let told = |versions: &[Contract]| unused(versions, "is so", |contract| contract.terms.go_by_sales());
        let (first, second) = (version(1, "2026-11-10", none, ""), version(2, "2026-11-20", none, ""));
        let expected = "contract main/north@2 is so: no statement goes by these";
        assert_eq!(told(&[second, first.clone()]).as_deref(), Some(expected));
        assert_eq!(told(&[first, version(2, "2026-11-20", orders, "")]), None);
        assert_eq!(told(&[]), None);
    }

    #[test]
    fn a_kind_and_goods_that_the_contract_does_not_have_are_mistakes_with_the_nearest_name() {
        let all = r#", orders: {per_event: settled_orders, rate: "10%", min: 0, max: 5000}"#;
        let lanterns = r#", orders: {per_event: settled_orders, goods: lantern, rate: "10%", min: 0, max: 5000}"#;
        let with = |charges| [version(1, "2026-01-01", charges, "")];
        let misspelled = told(&with(all), "setled_orders", "", 5);
        assert!(
            misspelled.contains("no kind `setled_orders`") && misspelled.contains("did you mean `settled_orders`?")
        );
        assert!(told(&with(all), "gift", "", 5).contains("there are: settled_orders"));
        assert_eq!(told(&with(all), "settled_orders", "anything", 5), "");
        let misspelled = told(&with(lanterns), "settled_orders", "lantrn", 5);
        assert!(misspelled.contains("no goods `lantrn`") && misspelled.contains("did you mean `lantern`?"));
        assert_eq!(told(&with(lanterns), "settled_orders", "lantern", 5), "");
        assert_eq!(told(&with(""), "anything", "", 5), "", "nothing goes by sales");
    }
}
