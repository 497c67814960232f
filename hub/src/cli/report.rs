//! `tieup fee report`: a month of all partners side by side.

use anyhow::bail;
use clap::Args;
use tieup_protocol::period::Month;
use tieup_web::terminal;

use super::fees::Layout;
use super::partners::joined;
use super::progress::Watched;
use super::site::say_json;
use crate::partners::Hub;

#[derive(Args)]
pub(super) struct ReportArguments {
    /// The month, such as 2026-11.
    #[arg(long)]
    month: Month,
    /// Sales by partner and region alone; as a page or JSON they are in the report anyway.
    #[arg(long)]
    sales: bool,
    /// How it is written.
    #[arg(long = "as", value_enum, default_value_t = Layout::Text)]
    layout: Layout,
}

/// Writes out the statements of all partners as they were issued, or as drafts, from what is here.
pub(super) async fn report(hub: &Hub, arguments: &ReportArguments) -> anyhow::Result<()> {
    if joined(hub).await?.is_empty() {
        return Ok(());
    }
    let watched = Watched::begin(hub);
    let report = hub.report(arguments.month).await?;
    drop(watched);
    if report.rows.is_empty() {
        let reasons: Vec<String> =
            report.left_out.iter().map(|(partner, why)| format!("\n  {partner}: {why}")).collect();
        bail!("no partner has a statement for {}:{}", arguments.month, reasons.concat());
    }
    match arguments.layout {
        Layout::Text if arguments.sales => terminal::say(&report.sales_text()),
        Layout::Csv if arguments.sales => terminal::say(&report.sales_csv()),
        Layout::Text => terminal::say(&report.text()),
        Layout::Html => terminal::say(&report.html()?),
        Layout::Csv => terminal::say(&report.csv()),
        Layout::Json => say_json(&report.json()),
    }
    Ok(())
}
