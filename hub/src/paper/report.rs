//! A month of all partners side by side: their accesses, what their fees are made up of, and what they contribute.
//!
//! What is owed is what each statement says; this adds up what stands there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use tieup_fees::count::Totals;
use tieup_fees::{Exact, Line, Made, Why};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::wire::StatementStatus;

use super::{ChartError, review, sold};
use crate::sales::Regional;

/// A month of all partners.
#[derive(Clone, Debug)]
pub struct Report {
    /// The month.
    pub month: Month,
    /// The partners that have a statement, or a draft of one.
    pub rows: Vec<Reported>,
    /// The others, and why they have none.
    pub left_out: Vec<(SiteId, String)>,
}

/// A partner's statement.
#[derive(Clone, Debug)]
pub struct Reported {
    /// The partner.
    pub partner: SiteId,
    /// The statement, with what it was made from.
    pub made: Made,
    /// What was sold in its days, by region.
    pub sold: Vec<Regional>,
    /// Draft or final.
    pub status: StatementStatus,
}

/// What lines of a statement are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Partnership,
    Services,
    Accesses,
    Sales,
    Limits,
}

impl Part {
    pub(super) const ALL: [Self; 5] = [Self::Partnership, Self::Services, Self::Accesses, Self::Sales, Self::Limits];

    pub(super) fn of(line: &Line) -> Self {
        match line.why {
            Why::Partnership { .. } => Self::Partnership,
            Why::Services(_) => Self::Services,
            Why::Graduated { .. } | Why::Volume { .. } | Why::Flat { .. } | Why::Package { .. } => Self::Accesses,
            Why::PerEvent(_) => Self::Sales,
            Why::Discount { .. } | Why::Cap { .. } | Why::Maximum { .. } | Why::Minimum { .. } => Self::Limits,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Partnership => "partnership",
            Self::Services => "services",
            Self::Accesses => "accesses and pages",
            Self::Sales => "sales",
            Self::Limits => "discounts and limits",
        }
    }

    /// The same, as the name of a column.
    fn column(self) -> &'static str {
        match self {
            Self::Accesses => "accesses",
            Self::Limits => "adjustments",
            other => other.word(),
        }
    }
}

impl Reported {
    pub(super) fn tieup(&self) -> &Totals {
        &self.made.counted.tieup
    }

    pub(super) fn original(&self) -> &Totals {
        &self.made.counted.original
    }

    /// Views of pages of both classes.
    pub(super) fn views(&self) -> u64 {
        self.made.counted.both.tally.views
    }

    /// How many of a thousand views were of original pages, to the nearest; none where there was no view.
    pub(super) fn original_share(&self) -> Option<u64> {
        share(self.original().tally.views, self.views())
    }

    pub(super) fn currency(&self) -> &'static str {
        self.made.statement.total.currency().code()
    }

    /// What the lines of each part come to, as they are charged: rounded where the contract rounds them.
    pub(super) fn parts(&self) -> BTreeMap<Part, Exact> {
        let mut parts: BTreeMap<Part, Exact> = Part::ALL.into_iter().map(|part| (part, Exact::zero())).collect();
        for line in &self.made.statement.lines {
            let amount = line.rounded.map_or_else(|| line.exact.clone(), tieup_fees::Money::exact);
            let part = parts.entry(Part::of(line)).or_insert_with(Exact::zero);
            *part = part.clone() + &amount;
        }
        parts
    }

    pub(super) fn status_word(&self) -> &'static str {
        match self.status {
            StatementStatus::Draft => "draft",
            StatementStatus::Final => "final",
        }
    }
}

/// How many of a thousand of `all` are `part`, to the nearest, halves up.
fn share(part: u64, all: u64) -> Option<u64> {
    let thousand = (u128::from(part) * 2_000 + u128::from(all)) / (u128::from(all) * 2).max(1);
    if all == 0 { None } else { u64::try_from(thousand).ok() }
}

/// A share of a thousand as a percentage with one decimal.
pub(super) fn percent(share: Option<u64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{}.{}", share / 10, share % 10))
}

/// A row, for programs. Amounts are exact, as text.
#[derive(Serialize)]
struct Told<'a> {
    partner: &'a SiteId,
    contract: String,
    status: &'static str,
    currency: &'static str,
    tieup_views: u64,
    original_views: u64,
    unique_views: u64,
    visitors: u64,
    original_percent: Option<String>,
    parts: BTreeMap<&'static str, String>,
    sales: &'a [Regional],
    total: String,
    due: String,
    statement: String,
}

/// A partner without a statement, for programs.
#[derive(Serialize)]
struct LeftOut<'a> {
    partner: &'a SiteId,
    why: &'a str,
}

/// The report, for programs.
#[derive(Serialize)]
struct ToldReport<'a> {
    month: String,
    partners: Vec<Told<'a>>,
    left_out: Vec<LeftOut<'a>>,
}

impl Report {
    /// The report as an HTML page of its own: no script, nothing from elsewhere, ready to be printed.
    ///
    /// # Errors
    /// When a chart cannot be drawn.
    pub fn html(&self) -> Result<String, ChartError> {
        review::write(self)
    }

    /// A line for each partner, as comma-separated values.
    pub fn csv(&self) -> String {
        let columns: Vec<&str> = Part::ALL.into_iter().map(Part::column).collect();
        let mut text = format!(
            "partner,contract,status,tieup_views,original_views,unique_views,visitors,original_percent,currency,{},total,due\n",
            columns.join(",")
        );
        for row in &self.rows {
            let (counted, statement) = (&row.made.counted, &row.made.statement);
            let parts: Vec<String> = row.parts().values().map(Exact::to_string).collect();
            let percent = row.original_share().map(|share| percent(Some(share))).unwrap_or_default();
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{},{percent},{},{},{},{}",
                row.partner,
                row.made.contract.id,
                row.status_word(),
                row.tieup().tally.views,
                row.original().tally.views,
                counted.both.tally.unique_views,
                counted.both.visitors,
                row.currency(),
                parts.join(","),
                statement.total.digits(),
                statement.settlement.due.digits()
            );
        }
        text
    }

    /// The report as a JSON document.
    pub fn json(&self) -> impl Serialize {
        let left_out = self.left_out.iter().map(|(partner, why)| LeftOut { partner, why });
        ToldReport {
            month: self.month.to_string(),
            partners: self.rows.iter().map(tell).collect(),
            left_out: left_out.collect(),
        }
    }

    /// The report as a table for the terminal, with what partners have no statement.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<24} {:<6} {:>12} {:>12} {:>7} {:>14} {:>14}\n",
            self.month, "", "tie-up", "original", "%", "fee", "due"
        );
        for row in &self.rows {
            let statement = &row.made.statement;
            let _ = writeln!(
                text,
                "{:<24} {:<6} {:>12} {:>12} {:>7} {:>14} {:>14} {}",
                row.partner.as_str(),
                row.status_word(),
                row.tieup().tally.views,
                row.original().tally.views,
                percent(row.original_share()),
                statement.total.digits(),
                statement.settlement.due.digits(),
                row.currency()
            );
        }
        for (currency, sums) in self.sums() {
            let Sums { tieup, original, total, due } = sums;
            let _ = writeln!(
                text,
                "{:<24} {:<6} {tieup:>12} {original:>12} {:>7} {:>14} {:>14} {currency}",
                "together",
                "",
                percent(share(original, tieup.saturating_add(original))),
                total.to_string(),
                due.to_string()
            );
        }
        for (partner, why) in &self.left_out {
            let _ = writeln!(text, "{partner}: none: {why}");
        }
        let sold = sold::text(self);
        if sold.is_empty() { text } else { format!("{text}\n{sold}") }
    }

    /// Sales by partner and region as a table for the terminal; nothing where nothing was sold.
    pub fn sales_text(&self) -> String {
        sold::text(self)
    }

    /// A line for each partner and region in which something was sold, as comma-separated values.
    pub fn sales_csv(&self) -> String {
        sold::csv(self)
    }

    /// What partners come to together, by currency.
    pub(super) fn sums(&self) -> BTreeMap<&'static str, Sums> {
        let mut sums: BTreeMap<&'static str, Sums> = BTreeMap::new();
        for row in &self.rows {
            let statement = &row.made.statement;
            let sum = sums.entry(row.currency()).or_default();
            sum.tieup = sum.tieup.saturating_add(row.tieup().tally.views);
            sum.original = sum.original.saturating_add(row.original().tally.views);
            sum.total = sum.total.clone() + &statement.total.exact();
            sum.due = sum.due.clone() + &statement.settlement.due.exact();
        }
        sums
    }
}

/// What partners come to together.
pub(super) struct Sums {
    pub(super) tieup: u64,
    pub(super) original: u64,
    pub(super) total: Exact,
    pub(super) due: Exact,
}

impl Default for Sums {
    fn default() -> Self {
        Self { tieup: 0, original: 0, total: Exact::zero(), due: Exact::zero() }
    }
}

fn tell(row: &Reported) -> Told<'_> {
    let (counted, statement) = (&row.made.counted, &row.made.statement);
    Told {
        partner: &row.partner,
        contract: row.made.contract.id.to_string(),
        status: row.status_word(),
        currency: row.currency(),
        tieup_views: row.tieup().tally.views,
        original_views: row.original().tally.views,
        unique_views: counted.both.tally.unique_views,
        visitors: counted.both.visitors,
        original_percent: row.original_share().map(|share| percent(Some(share))),
        parts: row.parts().into_iter().map(|(part, amount)| (part.column(), amount.to_string())).collect(),
        sales: &row.sold,
        total: statement.total.digits(),
        due: statement.settlement.due.digits(),
        statement: statement.digest().to_string(),
    }
}
