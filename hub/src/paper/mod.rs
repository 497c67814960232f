//! A statement, and a month of all partners, for people and their programs: as a page that prints well, as a table, and as
//! JSON.
//!
//! What is owed is what the statement's text says; nothing here computes an amount.

mod charts;
mod page;
mod report;
mod review;
mod sold;

use std::fmt::Write as _;

use jiff::civil::Date;
use serde::Serialize;
use tieup_fees::count::ByScope;
use tieup_fees::{Line, Made};
use tieup_protocol::ids::SiteId;
use tieup_protocol::wire::StatementStatus;

pub use self::charts::ChartError;
pub use self::report::{Report, Reported};

/// A statement, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Paper<'a> {
    /// The partner.
    pub partner: &'a SiteId,
    /// The statement, with what it was made from.
    pub made: &'a Made,
    /// Draft or final.
    pub status: StatementStatus,
    /// The note that main signed; none for a draft.
    pub note: Option<&'a str>,
}

/// A statement, for programs. Amounts are exact, as text.
#[derive(Serialize)]
struct Told<'a> {
    partner: &'a SiteId,
    month: String,
    contract: String,
    status: StatementStatus,
    currency: &'static str,
    lines: Vec<ToldLine<'a>>,
    total: String,
    due: String,
    days: Vec<ToldDay>,
    digest: String,
    statement: &'a str,
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct ToldLine<'a> {
    line: &'a str,
    charge: bool,
    exact: String,
    rounded: Option<String>,
}

#[derive(Serialize)]
struct ToldDay {
    day: Date,
    tieup_views: u64,
    original_views: u64,
}

impl Paper<'_> {
    /// The statement as an HTML page of its own: no script, nothing from elsewhere, ready to be printed.
    ///
    /// # Errors
    /// When a chart cannot be drawn.
    pub fn html(&self) -> Result<String, ChartError> {
        page::write(self)
    }

    /// The lines of the statement, its total and what is due, as comma-separated values.
    pub fn csv(&self) -> String {
        let (statement, code) = (&self.made.statement, self.currency());
        let mut text = "line,kind,exact,rounded,currency\n".to_owned();
        for line in &statement.lines {
            let rounded = line.rounded.map(tieup_fees::Money::digits).unwrap_or_default();
            let _ = writeln!(text, "{},{},{},{rounded},{code}", line.id, kind(line), line.exact);
        }
        for (label, amount) in [("total", statement.total), ("due", statement.settlement.due)] {
            let _ = writeln!(text, "{label},sum,{},{},{code}", amount.exact(), amount.digits());
        }
        text
    }

    /// The statement as a JSON document.
    pub fn json(&self) -> impl Serialize {
        let Self { partner, made, status, note } = *self;
        let statement = &made.statement;
        Told {
            partner,
            month: made.counted.period().key(),
            contract: made.contract.id.to_string(),
            status,
            currency: self.currency(),
            lines: statement.lines.iter().map(tell).collect(),
            total: statement.total.digits(),
            due: statement.settlement.due.digits(),
            days: self.days().map(|(day, counts)| tell_day(day, &counts)).collect(),
            digest: statement.digest().to_string(),
            statement: &statement.text,
            note,
        }
    }

    fn currency(&self) -> &'static str {
        self.made.statement.total.currency().code()
    }

    /// Every day of the period with its counts.
    fn days(&self) -> impl Iterator<Item = (Date, ByScope)> {
        let (period, counts) = (self.made.counted.period(), self.made.counted.days());
        let days = period.first().series(jiff::Span::new().days(1)).take(period.days().into());
        days.map(move |day| {
            let number = day.since(Date::constant(1970, 1, 1)).map_or(0, |span| i64::from(span.get_days()));
            (day, counts.get(&number).copied().unwrap_or_default())
        })
    }
}

/// What a line is, in a word.
fn kind(line: &Line) -> &'static str {
    if line.why.is_charge() { "charge" } else { "adjustment" }
}

fn tell(line: &Line) -> ToldLine<'_> {
    let rounded = line.rounded.map(tieup_fees::Money::digits);
    ToldLine { line: &line.id, charge: line.why.is_charge(), exact: line.exact.to_string(), rounded }
}

fn tell_day(day: Date, counts: &ByScope) -> ToldDay {
    ToldDay { day, tieup_views: counts.tieup.tally.views, original_views: counts.original.tally.views }
}

#[cfg(test)]
mod tests;
