//! The statement as an HTML page.

use tieup_fees::Line;
use tieup_protocol::wire::StatementStatus;
use tieup_web::console::Html;
use tieup_web::html;

use super::charts::{ChartError, make_up, views_by_day};
use super::{Paper, kind};

/// How it looks, on a screen that is light or dark, and on paper.
pub(super) const STYLE: &str = include_str!("paper.css");

/// The page.
pub(super) fn write(paper: &Paper<'_>) -> Result<String, ChartError> {
    let (made, period) = (paper.made, paper.made.counted.period());
    let title = format!("Statement for {period}: {}", paper.partner);
    let (days, lines) = (Html::of_program(views_by_day(paper)?), Html::of_program(make_up(paper)?));
    let page = html!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n\
         <style>{}</style>\n</head>\n<body>\n<main>\n<h1>{}</h1>\n{}\n{}\n\
         <h2>The fee</h2>\n{}\n<figure>{}</figure>\n\
         <h2>Accesses</h2>\n{}\n<figure>{}</figure>\n{}\n\
         <h2 class=\"canonical\">The statement, word for word</h2>\n\
         <p>This text is what is owed, and what the partner computes as well. Its digest is {}.</p>\n\
         <pre>{}</pre>\n{}</main>\n</body>\n</html>\n",
        title,
        Html::of_program(STYLE.to_owned()),
        title,
        standing(paper.status),
        html!("<p>Contract {}, in the time of {}.</p>", made.contract.id, made.counted.zone().name()),
        bill(paper),
        lines,
        classes(paper),
        days,
        by_day(paper),
        made.statement.digest(),
        made.statement.text,
        signature(paper.note),
    );
    Ok(page.as_str().to_owned())
}

fn standing(status: StatementStatus) -> Html {
    match status {
        StatementStatus::Draft => html!("<p class=\"draft\">A draft: it changes until it is issued.</p>"),
        StatementStatus::Final => html!("<p>Final. What comes later is corrected in a later statement.</p>"),
    }
}

fn bill(paper: &Paper<'_>) -> Html {
    let (statement, code) = (&paper.made.statement, paper.currency());
    let row = |line: &Line| {
        let rounded = line.rounded.map(tieup_fees::Money::digits).unwrap_or_default();
        html!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>\n",
            line.id,
            kind(line),
            line.exact,
            rounded
        )
    };
    let sum = |label: &str, amount: tieup_fees::Money| {
        html!(
            "<tr><th scope=\"row\">{}</th><td></td><td></td><td class=\"number\">{}</td></tr>\n",
            label,
            amount.digits()
        )
    };
    html!(
        "<table>\n<caption>Lines of the statement, in {}</caption>\n<thead><tr><th scope=\"col\">line</th>\
         <th scope=\"col\">kind</th><th scope=\"col\" class=\"number\">exact</th>\
         <th scope=\"col\" class=\"number\">rounded</th></tr></thead>\n<tbody>\n{}</tbody>\n<tfoot>\n{}{}</tfoot>\n</table>",
        code,
        statement.lines.iter().map(row).collect::<Html>(),
        sum("total", statement.total),
        sum("due", statement.settlement.due),
    )
}

fn classes(paper: &Paper<'_>) -> Html {
    let counted = &paper.made.counted;
    let row = |(label, totals): (&str, &tieup_fees::count::Totals)| {
        html!(
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td></tr>\n",
            label,
            totals.tally.views,
            totals.tally.unique_views,
            totals.visitors
        )
    };
    let rows = [("tie-up pages", &counted.tieup), ("original pages", &counted.original), ("both", &counted.both)];
    html!(
        "<table>\n<caption>Accesses by class</caption>\n<thead><tr><th scope=\"col\">pages</th>\
         <th scope=\"col\" class=\"number\">views</th><th scope=\"col\" class=\"number\">unique views</th>\
         <th scope=\"col\" class=\"number\">visitors</th></tr></thead>\n<tbody>\n{}</tbody>\n</table>",
        rows.into_iter().map(row).collect::<Html>()
    )
}

/// The table beside the chart of days.
fn by_day(paper: &Paper<'_>) -> Html {
    let rows = paper.days().map(|(day, counts)| {
        html!(
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>\n",
            day,
            counts.tieup.tally.views,
            counts.original.tally.views
        )
    });
    html!(
        "<table>\n<caption>Views by day</caption>\n<thead><tr><th scope=\"col\">day</th>\
         <th scope=\"col\" class=\"number\">tie-up pages</th><th scope=\"col\" class=\"number\">original pages</th></tr>\
         </thead>\n<tbody>\n{}</tbody>\n</table>",
        rows.collect::<Html>()
    )
}

/// The signature of a statement that was issued: the last line of its note.
fn signature(note: Option<&str>) -> Html {
    let line = note.and_then(|note| note.lines().last());
    line.map_or_else(Html::default, |line| html!("<p>Signed by the main site:</p>\n<pre>{}</pre>\n", line))
}
