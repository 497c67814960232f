//! The sales of a month by partner and region: what was sold, what of it partners' own pages led to, and what is charged.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tieup_fees::Exact;
use tieup_protocol::contract::{Currency, Rounding};
use tieup_protocol::record::Region;
use tieup_web::console::Html;
use tieup_web::html;

use super::charts::{ChartError, FIRST, Row, SECOND, clamped};
use super::report::{Report, Reported};
use super::review::{bars, number, table};
use crate::sales::Regional;

/// The names of the columns after partner and region.
const HEADS: [&str; 6] = ["sales", "units", "amount", "led by own pages", "charged", "currency"];

/// What is written where no region is known.
const UNKNOWN: &str = "-";

/// Each region of each partner.
fn rows(report: &Report) -> impl Iterator<Item = (&Reported, &Regional)> {
    report.rows.iter().flat_map(|row| row.sold.iter().map(move |sold| (row, sold)))
}

fn name(region: Option<&Region>) -> &str {
    region.map_or(UNKNOWN, Region::as_str)
}

/// A table for the terminal; nothing where nothing was sold.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for (row, Regional { region, sales, units, amount, led, commission }) in rows(report) {
        let [amount, led, commission] = [amount, led, commission].map(Exact::to_string);
        let (partner, region, currency) = (row.partner.as_str(), name(region.as_ref()), row.currency());
        let _ = writeln!(
            text,
            "{partner:<24} {region:<24} {sales:>7} {units:>9} {amount:>14} {led:>16} {commission:>14} {currency}"
        );
    }
    let [sales, units, amount, led, commission, _] = HEADS;
    let head =
        format!("{:<24} {:<24} {sales:>7} {units:>9} {amount:>14} {led:>16} {commission:>14}\n", "sales", "region");
    if text.is_empty() { text } else { head + &text }
}

/// Comma-separated values.
pub(super) fn csv(report: &Report) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let heads = ["partner", "contract", "status", "region", "sales", "units", "amount", "led_by_own_pages", "charged"];
    let mut write = |fields: Vec<String>| writer.write_record(fields).expect("memory takes every record");
    write(heads.into_iter().chain(["currency"]).map(str::to_owned).collect());
    for (row, Regional { region, sales, units, amount, led, commission }) in rows(report) {
        let region = region.as_ref().map_or("", Region::as_str);
        let whose =
            [row.partner.as_str(), &row.made.contract.id.to_string(), row.status_word(), region].map(str::to_owned);
        let numbers =
            [sales.to_string(), units.to_string(), amount.to_string(), led.to_string(), commission.to_string()];
        write(whose.into_iter().chain(numbers).chain([row.currency().to_owned()]).collect());
    }
    String::from_utf8_lossy(&writer.into_inner().unwrap_or_default()).into_owned()
}

/// The part of the page about sales; nothing where nothing was sold.
///
/// # Errors
/// When a chart cannot be drawn.
pub(super) fn section(report: &Report) -> Result<Html, ChartError> {
    if rows(report).next().is_none() {
        return Ok(Html::default());
    }
    let mut currencies: Vec<Currency> = report.rows.iter().map(|row| row.made.statement.total.currency()).collect();
    currencies.sort_by_key(|currency| currency.code());
    currencies.dedup();
    let charts = currencies.into_iter().map(|currency| chart(report, currency)).collect::<Result<Html, _>>()?;
    let row = |(row, sold): (&Reported, &Regional)| {
        let cells = [sold.sales, sold.units].map(|count| number(&count)).into_iter();
        let cells = cells.chain([&sold.amount, &sold.led, &sold.commission].map(number));
        let region = name(sold.region.as_ref());
        let head = html!("<th scope=\"row\">{}<small>{}</small></th>", row.partner, region);
        let cells: Html = cells.collect();
        html!("<tr>{}{}<td class=\"number\">{}</td></tr>\n", head, cells, row.currency())
    };
    let table = table("Sales by partner and region", &HEADS, &rows(report).map(row).collect(), &Html::default());
    Ok(html!("<h2>Sales</h2>\n{}{}", charts, table))
}

/// Amounts by region, all partners of a currency together; nothing where nothing was sold in it.
fn chart(report: &Report, currency: Currency) -> Result<Html, ChartError> {
    let mut regions: BTreeMap<&str, (Exact, Exact)> = BTreeMap::new();
    for (_, sold) in rows(report).filter(|(row, _)| row.made.statement.total.currency() == currency) {
        let (amount, led) = regions.entry(name(sold.region.as_ref())).or_insert((Exact::zero(), Exact::zero()));
        (*amount, *led) = (amount.clone() + &sold.amount, led.clone() + &sold.led);
    }
    let minor = |amount: &Exact| amount.round(currency, Rounding::HalfUp).map_or(0, |money| clamped(money.minor()));
    let mut sums: Vec<(&str, (Exact, Exact))> = regions.into_iter().collect();
    sums.sort_by(|(_, (one, _)), (_, (other, _))| other.cmp(one));
    let bar = |(region, (amount, led)): &(&str, (Exact, Exact))| {
        let (middle, end) = (minor(led), minor(amount));
        let label = format!("{region}: {amount}, of which partners' own pages led to {led}");
        Row { label, parts: vec![(0, middle, SECOND), (middle, end, FIRST)] }
    };
    let rows: Vec<Row> = sums.iter().map(bar).collect();
    if rows.is_empty() {
        return Ok(Html::default());
    }
    let title = format!("What was sold by region, in {}", currency.code());
    let name = format!("regions-{}", currency.code().to_lowercase());
    bars((&name, &title), rows, &[(SECOND, "led by partners' own pages"), (FIRST, "other sales")])
}
