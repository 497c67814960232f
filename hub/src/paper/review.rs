//! The report of a month of all partners, as an HTML page.

use tieup_fees::Exact;
use tieup_protocol::contract::Rounding;
use tieup_web::console::Html;
use tieup_web::html;

use super::charts::{ChartError, FIFTH, FIRST, FOURTH, Paint, Row, SECOND, THIRD, Words, clamped, rows_of};
use super::page::STYLE;
use super::report::{Part, Report, Reported, Sums, percent};
use super::sold;

/// How many partners a chart shows: as many as fit on a page of paper.
const SHOWN: usize = 20;

/// The page.
pub(super) fn write(report: &Report) -> Result<String, ChartError> {
    let title = format!("Accesses and fees of all partners: {}", report.month);
    let page = html!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>{}</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n{}\n\
         <h2>Accesses and contribution</h2>\n{}{}{}\n<h2>Fees</h2>\n{}{}{}{}</main>\n</body>\n</html>\n",
        title,
        Html::of_program(STYLE.to_owned()),
        title,
        standing(report),
        accesses_chart(report)?,
        contribution_chart(report)?,
        accesses(report),
        fee_charts(report)?,
        fees(report),
        sold::section(report)?,
        left_out(report),
    );
    Ok(page.as_str().to_owned())
}

fn standing(report: &Report) -> Html {
    let drafts = report.rows.iter().filter(|row| row.status_word() == "draft").count();
    let count = report.rows.len();
    match drafts {
        0 => html!("<p>Final statements: {}.</p>", count),
        _ => html!(
            "<p class=\"draft\">Statements: {}; drafts, which change until they are issued: {}.</p>",
            count,
            drafts
        ),
    }
}

/// A chart of the first of `rows`, as many as fit, in the order in which they come. Its name is one that no other has.
pub(super) fn bars(
    (name, title): (&str, &str),
    mut rows: Vec<Row>,
    keys: &[(Paint, &str)],
) -> Result<Html, ChartError> {
    let all = rows.len();
    rows.truncate(SHOWN);
    let chart = rows_of(&rows, &Words { name, title, description: &described(&rows) })?;
    Ok(figure(title, keys, &shown(all), chart))
}

/// A sentence where some of `all` are not shown.
fn shown(all: usize) -> Html {
    match all {
        0..=SHOWN => Html::default(),
        _ => html!(" The {} with the most, of {}; the table has all.", SHOWN, all),
    }
}

/// The partners with the most of something, and a sentence where some are not shown.
fn most<'a>(rows: impl Iterator<Item = &'a Reported>, of: impl Fn(&Reported) -> i128) -> (Vec<&'a Reported>, Html) {
    let mut rows: Vec<&Reported> = rows.collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(of(row)), row.partner.clone()));
    let note = shown(rows.len());
    rows.truncate(SHOWN);
    (rows, note)
}

fn figure(title: &str, keys: &[(Paint, &str)], note: &Html, chart: String) -> Html {
    let key =
        |(paint, word): &(Paint, &str)| html!("<span class=\"key\"><i class=\"{}\"></i>{}</span>", paint.name, word);
    html!(
        "<figure><figcaption><b>{}.</b>{}<br>{}</figcaption>{}</figure>\n",
        title,
        note,
        keys.iter().map(key).collect::<Html>(),
        Html::of_program(chart)
    )
}

fn accesses_chart(report: &Report) -> Result<Html, ChartError> {
    let (shown, note) = most(report.rows.iter(), |row| row.views().into());
    let row = |row: &&Reported| {
        let (below, above) = (row.tieup().tally.views, row.original().tally.views);
        let (middle, end) = (clamped(below.into()), clamped(i128::from(below) + i128::from(above)));
        let label = format!("{}: {below} of tie-up pages, {above} of original pages", row.partner);
        Row { label, parts: vec![(0, middle, FIRST), (middle, end, SECOND)] }
    };
    let rows: Vec<Row> = shown.iter().map(row).collect();
    let title = "Views by class and partner";
    let chart = rows_of(&rows, &Words { name: "accesses", title, description: &described(&rows) })?;
    Ok(figure(title, &[(FIRST, "tie-up pages"), (SECOND, "original pages")], &note, chart))
}

fn contribution_chart(report: &Report) -> Result<Html, ChartError> {
    let (shown, note) = most(report.rows.iter(), |row| row.original().tally.views.into());
    let row = |row: &&Reported| {
        let views = row.original().tally.views;
        let label = format!("{}: {views}, {}% of all views there", row.partner, percent(row.original_share()));
        Row { label, parts: vec![(0, clamped(views.into()), SECOND)] }
    };
    let rows: Vec<Row> = shown.iter().map(row).collect();
    let title = "What partners' own pages contribute: views of them";
    let chart = rows_of(&rows, &Words { name: "contribution", title, description: &described(&rows) })?;
    Ok(figure(title, &[(SECOND, "original pages")], &note, chart))
}

/// What the rows of a chart say, in a sentence.
fn described(rows: &[Row]) -> String {
    let labels: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    format!("{}.", labels.join("; "))
}

/// A chart for each currency.
fn fee_charts(report: &Report) -> Result<Html, ChartError> {
    report.sums().keys().map(|currency| fee_chart(report, currency)).collect::<Result<Html, _>>()
}

fn fee_chart(report: &Report, currency: &str) -> Result<Html, ChartError> {
    let rows = report.rows.iter().filter(|row| row.currency() == currency);
    let (shown, note) = most(rows, |row| row.made.statement.total.minor());
    let rows: Vec<Row> = shown.iter().map(|row| make_up(row)).collect();
    let title = format!("What the fees are made up of, in {currency}");
    let name = format!("fees-{}", currency.to_lowercase());
    let chart = rows_of(&rows, &Words { name: &name, title: &title, description: &described(&rows) })?;
    let keys = Part::ALL.map(|part| (paint(part), part.word()));
    Ok(figure(&title, &keys, &note, chart))
}

fn paint(part: Part) -> Paint {
    match part {
        Part::Partnership => FIRST,
        Part::Services => THIRD,
        Part::Accesses => FOURTH,
        Part::Sales => FIFTH,
        Part::Limits => SECOND,
    }
}

/// The parts of a fee: what is charged one behind the other to the right, what is taken off to the left.
fn make_up(row: &Reported) -> Row {
    let currency = row.made.statement.total.currency();
    let minor = |amount: &Exact| amount.round(currency, Rounding::HalfUp).map_or(0, |money| clamped(money.minor()));
    let (mut parts, mut right, mut left, mut words) = (Vec::new(), 0_i64, 0_i64, Vec::new());
    for (part, amount) in row.parts().iter().filter(|(_, amount)| !amount.is_zero()) {
        let length = minor(amount);
        let end = if length < 0 { &mut left } else { &mut right };
        let from = *end;
        *end = end.saturating_add(length);
        parts.push((from, *end, paint(*part)));
        words.push(format!("{} {amount}", part.word()));
    }
    let total = row.made.statement.total.digits();
    let label = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
    Row { label: format!("{}: {total}{label}", row.partner), parts }
}

pub(super) fn number(text: &impl ToString) -> Html {
    html!("<td class=\"number\">{}</td>", text.to_string())
}

fn accesses(report: &Report) -> Html {
    let row = |row: &Reported| {
        let (tieup, original, both) = (row.tieup(), row.original(), &row.made.counted.both);
        let cells = [tieup.tally.views, original.tally.views].map(|views| number(&views)).into_iter();
        let cells = cells.chain([number(&percent(row.original_share()))]);
        let cells =
            cells.chain([both.tally.unique_views, both.visitors, original.visitors].map(|count| number(&count)));
        html!("<tr><th scope=\"row\">{}</th>{}</tr>\n", row.partner, cells.collect::<Html>())
    };
    let heads = ["tie-up pages", "original pages", "original %", "unique views", "visitors", "visitors of originals"];
    table("Accesses by partner", &heads, &report.rows.iter().map(row).collect(), &Html::default())
}

fn fees(report: &Report) -> Html {
    let row = |row: &Reported| {
        let statement = &row.made.statement;
        let cells: Html = row.parts().values().map(number).collect();
        html!(
            "<tr><th scope=\"row\">{}<small>{}, {}</small></th>{}{}{}<td class=\"number\">{}</td></tr>\n",
            row.partner,
            row.made.contract.id,
            row.status_word(),
            cells,
            number(&statement.total.digits()),
            number(&statement.settlement.due.digits()),
            row.currency()
        )
    };
    let sum = |(currency, sums): (&'static str, Sums)| {
        let nothing = html!("<td></td>").as_str().repeat(Part::ALL.len());
        html!(
            "<tr><th scope=\"row\">together</th>{}{}{}<td class=\"number\">{}</td></tr>\n",
            Html::of_program(nothing),
            number(&sums.total),
            number(&sums.due),
            currency
        )
    };
    let heads: Vec<&str> = Part::ALL.map(Part::word).into_iter().chain(["fee", "due", "currency"]).collect();
    let sums = report.sums().into_iter().map(sum).collect();
    table("Fees by partner", &heads, &report.rows.iter().map(row).collect(), &sums)
}

pub(super) fn table(caption: &str, heads: &[&str], rows: &Html, sums: &Html) -> Html {
    let head = |word: &&str| html!("<th scope=\"col\" class=\"number\">{}</th>", *word);
    html!(
        "<div class=\"scroll\"><table class=\"wide\">\n<caption>{}</caption>\n<thead><tr><th scope=\"col\">partner</th>{}</tr></thead>\n\
         <tbody>\n{}</tbody>\n<tfoot>\n{}</tfoot>\n</table></div>\n",
        caption,
        heads.iter().map(head).collect::<Html>(),
        rows,
        sums
    )
}

fn left_out(report: &Report) -> Html {
    if report.left_out.is_empty() {
        return Html::default();
    }
    let item = |(partner, why): &(tieup_protocol::ids::SiteId, String)| html!("<li>{}: {}</li>\n", partner, why);
    let items: Html = report.left_out.iter().map(item).collect();
    html!("<h2>Without a statement</h2>\n<ul>\n{}</ul>\n", items)
}
