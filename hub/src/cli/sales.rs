//! `tieup sales`: what was sold is put into the record that fees go by, corrected, taken back, and listed.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Serialize;
use tieup_protocol::diagnostic::Report;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::record::{Region, Sale, Word};
use tieup_web::say;
use tieup_web::terminal::counted;

use super::Format;
use super::logs::meant;
use super::site::say_json;
use crate::database::{Existing, Tally};
use crate::partners::Hub;
use crate::sales::{Group, SalesError, SalesFile, Sold, groups};

#[derive(Subcommand)]
pub(super) enum SalesAction {
    /// Put the sales of a file into the record: all of them, or none where one is not right. A sale that is there already
    /// changes nothing.
    ///
    /// The file is CSV with a header, or NDJSON. Fields: partner, id, kind, amount and time, and where they are known units
    /// (1), goods, via (tieup or original: from which page the buyer came), collected (what was transferred with the sale)
    /// and region. Amounts are text in major units: 12.50. Times are as in 2026-11-03T10:15:00+09:00. Nothing may be about
    /// a buyer.
    Add(AddArguments),
    /// Take sales back that were none. Where their month was issued, the next statement corrects it.
    Withdraw {
        /// The partner.
        partner: SiteId,
        /// The sales, by their ids.
        #[arg(required = true)]
        ids: Vec<Word>,
    },
    /// List the sales of a month, and sum them up by region and goods.
    List(ListArguments),
}

#[derive(Args)]
pub(super) struct AddArguments {
    /// The file; `-` for standard input.
    file: PathBuf,
    /// Whose sales they are, where the file does not say.
    #[arg(long)]
    partner: Option<SiteId>,
    /// Sales that the record has with other content are corrected. Where their month was issued, the next statement says so.
    #[arg(long)]
    correct: bool,
    /// How mistakes are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Args)]
pub(super) struct ListArguments {
    /// Only this partner's.
    partner: Option<SiteId>,
    /// The month, such as 2026-11, in the time zone of the contract.
    #[arg(long)]
    month: Month,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A partner's sales, for programs.
#[derive(Serialize)]
struct Told {
    partner: SiteId,
    month: Month,
    #[serde(skip)]
    currency: &'static str,
    sales: Vec<Sale>,
    groups: Vec<Group>,
}

pub(super) async fn sales(hub: &Hub, action: &SalesAction) -> anyhow::Result<()> {
    match action {
        SalesAction::Add(arguments) => add(hub, arguments).await,
        SalesAction::Withdraw { partner, ids } => {
            let row = hub.partner(partner).await?;
            tell(hub.withdraw_sales(&row, ids, Timestamp::now()).await?);
            Ok(())
        }
        SalesAction::List(arguments) => list(hub, arguments).await,
    }
}

async fn add(hub: &Hub, arguments: &AddArguments) -> anyhow::Result<()> {
    let AddArguments { file, partner, correct, format } = arguments;
    let bytes = read(file)?;
    let name = file.display().to_string();
    let refused = |mistakes: Report| refuse(mistakes, *format);
    let file = SalesFile::new(&name, &bytes).map_err(refused)?;
    let sales = file.sales(partner.as_ref()).map_err(refused)?;
    let partners: BTreeSet<SiteId> = sales.iter().map(|read| read.partner.clone()).collect();
    match hub.add_sales(&file, sales, existing(*correct), Timestamp::now()).await {
        Err(SalesError::File(mistakes)) => Err(refused(mistakes)),
        added => {
            tell(added?);
            for partner in &partners {
                if let Some(unused) = hub.unused_sales(&hub.partner(partner).await?).await? {
                    say!("note: {unused}");
                }
            }
            Ok(())
        }
    }
}

/// What becomes of what the record has with other content, where `--correct` was said or not.
pub(super) fn existing(is_corrected: bool) -> Existing {
    if is_corrected { Existing::Correct } else { Existing::Refuse }
}

/// Tells the mistakes of a file, of which nothing was taken.
fn refuse(mistakes: Report, format: Format) -> anyhow::Error {
    match format {
        Format::Text => anyhow::Error::from(mistakes).context("nothing of the file was taken"),
        Format::Json => {
            say_json(&mistakes);
            anyhow::anyhow!("nothing of the file was taken: its mistakes stand on standard output")
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("standard input cannot be read")?;
        return Ok(bytes);
    }
    std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

fn tell(Tally { new, corrected, unchanged }: Tally) {
    say!("{new} new, {corrected} corrected, {unchanged} in the record already");
}

async fn list(hub: &Hub, arguments: &ListArguments) -> anyhow::Result<()> {
    let mut told = Vec::new();
    for row in meant(hub, arguments.partner.as_ref()).await? {
        let Sold { currency, sales } = match hub.sales(&row, arguments.month).await {
            // Of all partners, those without a contract have sold nothing.
            Err(SalesError::Contract(_)) if arguments.partner.is_none() => continue,
            sales => sales?,
        };
        if !sales.is_empty() || arguments.partner.is_some() {
            let (groups, currency) = (groups(&sales), currency.code());
            told.push(Told { partner: row.id, month: arguments.month, currency, sales, groups });
        }
    }
    if arguments.format == Format::Json {
        say_json(&told);
        return Ok(());
    }
    if told.iter().all(|told| told.sales.is_empty()) {
        say!("No sale of {} is in the record.", arguments.month);
    }
    told.iter().filter(|told| !told.sales.is_empty()).for_each(show);
    Ok(())
}

fn show(Told { partner, month, currency, sales, groups }: &Told) {
    say!("{partner} {month}: {}", counted(sales.len(), "sale", "sales"));
    for sale in sales {
        let Sale { id, kind, amount, units, goods, via: _, collected, time, region } = sale;
        let units = counted(*units, "unit", "units");
        let goods = goods.as_ref().map_or_else(String::new, |goods| format!(" of {goods}"));
        let region = region.as_ref().map_or_else(String::new, |region| format!(", {region}"));
        let collected = collected.map_or_else(String::new, |collected| format!(", {collected} collected"));
        say!("  {time} {id} {kind}: {amount} {currency}, {units}{goods}{region}{collected}");
    }
    say!("  by region and goods:");
    say!("  {:<24} {:<24} {:<20} {:>7} {:>9} {:>16}", "region", "goods", "kind", "sales", "units", "amount");
    for Group { region, goods, kind, sales, units, amount } in groups {
        let (region, goods) = (region.as_ref().map_or("-", Region::as_str), goods.as_ref().map_or("-", Word::as_str));
        say!("  {region:<24} {goods:<24} {:<20} {sales:>7} {units:>9} {amount:>16}", kind.as_str());
    }
}
