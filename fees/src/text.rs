//! The words and columns of a statement: version 1 of its text.
//!
//! One layout for every statement: what a section holds depends on the contract alone, widths are fixed, and nothing
//! depends on a locale. Whoever changes a word here makes a new version of the format.

use std::fmt::{Display, Write as _};

use tieup_protocol::contract::{
    Contract, Count, MeterClass, Money as MoneyTerms, Quantity, RoundAt, Rounding, RuleSet, Session,
};
use tieup_protocol::period::Month;

use crate::count::{Counted, Totals};
use crate::money::{Exact, Money};
use crate::statement::{JournalHead, Status};
use crate::tariff::{Band, EventFees, Line, Priced, Reading, Share, TierPart, Why};

/// The first line of every statement.
const VERSION: &str = "tieup-statement/1";

/// The width of a column of numbers, the space before it left out.
const COLUMN: usize = 18;

/// The width of a whole line: 84 characters.
const WIDTH: usize = 84;

/// Everything that a statement is about.
pub(crate) struct Facts<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) month: Month,
    pub(crate) journal: &'a JournalHead,
    pub(crate) counted: &'a Counted,
    pub(crate) status: Status,
    pub(crate) priced: &'a Priced,
}

/// The canonical text.
pub(crate) fn write(facts: &Facts<'_>) -> String {
    let mut sheet = Sheet { text: format!("{VERSION}\n") };
    sheet.parties(facts);
    sheet.journal(facts.journal);
    sheet.rules(&facts.contract.terms.count);
    sheet.counts(facts.counted);
    sheet.left_out(facts.counted);
    sheet.meters(facts.priced);
    sheet.bill(facts.priced, &facts.contract.terms.money);
    sheet.text
}

struct Sheet {
    text: String,
}

impl Sheet {
    fn parties(&mut self, facts: &Facts<'_>) {
        let Facts { contract, month, .. } = facts;
        let zone = &contract.effective.tz;
        let in_effect = month.next().first_day() > contract.effective.from;
        self.end_line();
        self.pair("contract", &contract.id);
        self.pair("digest", contract.digest());
        self.pair("in effect from", contract.effective.from);
        self.pair("partnership", contract.partnership.as_str());
        self.pair("month", format_args!("{month}, {}", zone.name()));
        self.pair("begins", month.start(zone));
        self.pair("ends before", month.next().start(zone));
        self.pair("status", status_word(facts.status));
        if !in_effect {
            self.pair("note", "the contract is not in effect in this month; this shows what it would charge");
        }
    }

    fn journal(&mut self, journal: &JournalHead) {
        self.heading("journal", &[]);
        self.pair("  log", &journal.origin);
        self.pair("  entries", journal.size);
        self.pair("  root", &journal.root);
    }

    fn rules(&mut self, rules: &Count) {
        self.heading("counting", &[]);
        self.pair("  rules", rule_set_word(rules.rules));
        self.pair("  robots", rules.robots);
        self.pair("  double click", format_args!("within {} s", rules.double_click.seconds()));
        self.pair("  session", session_words(rules.session));
    }

    fn counts(&mut self, counted: &Counted) {
        let Counted { tieup, original, both, .. } = counted;
        self.heading("counts", &["tie-up", "original", "both"]);
        let mut row = |label, number: fn(&Totals) -> u128| {
            self.row(label, &[&number(tieup), &number(original), &number(both)]);
        };
        row("  views", |t| t.tally.views.into());
        row("  unique views", |t| t.tally.unique_views.into());
        row("  sessions", |t| t.sessions.into());
        row("  visitors", |t| t.visitors.into());
        row("  bytes sent", |t| t.tally.bytes);
    }

    fn left_out(&mut self, counted: &Counted) {
        let left_out = &counted.left_out;
        self.heading("entries left out", &[]);
        self.row("  not in this month", &[&left_out.other_month]);
        self.row("  no page at the path", &[&left_out.no_page]);
        self.row("  robots", &[&left_out.robots]);
        self.row("  prefetched, or part of a page", &[&left_out.not_documents]);
        self.row("  not asked for by GET", &[&left_out.not_get]);
        self.row("  answered by neither 200 nor 304", &[&left_out.other_status]);
        self.row("  repeated clicks", &[&left_out.double_clicks]);
    }

    fn meters(&mut self, priced: &Priced) {
        self.heading("meters", &[]);
        for (name, reading) in &priced.readings {
            let value = reading.value().map_or_else(|| "none".to_owned(), |value| value.to_string());
            self.row(&format!("  {name} = {}", reading_words(reading)), &[&value]);
        }
    }

    fn bill(&mut self, priced: &Priced, money: &MoneyTerms) {
        let code = money.currency.code();
        self.heading("money", &[]);
        self.pair("  currency", code);
        self.pair("  rounded", rounding_words(money));
        let is_charge =
            |line: &&Line| matches!(line.why, Why::Partnership(_) | Why::Graduated { .. } | Why::PerEvent(_));
        let rounded = match money.at {
            RoundAt::Line => code,
            RoundAt::Total => "",
        };
        self.heading("charges", &["exact", rounded]);
        priced.lines.iter().filter(is_charge).for_each(|line| self.line(line));
        self.heading("discounts and limits", &["exact", rounded]);
        priced.lines.iter().filter(|line| !is_charge(line)).for_each(|line| self.line(line));
        self.total(priced, money.at);
    }

    fn line(&mut self, line: &Line) {
        self.amount(&format!("  {}", line.id), &line.exact, line.rounded);
        match &line.why {
            Why::Partnership(partnership) => self.note(format_args!("partnership {}", partnership.as_str())),
            Why::Graduated { meter, units, tiers } => {
                self.note(format_args!("{meter} = {units}, each unit at the price of its tier"));
                for tier in tiers {
                    self.tier(tier);
                }
            }
            Why::PerEvent(fees) => self.event_fees(fees),
            Why::Discount { meter, band, on } => {
                self.band(meter, band.as_ref());
                for share in on {
                    self.share("off", share, &-share.exact.clone());
                }
            }
            Why::Cap { cap, on } => {
                let reached = if on.is_empty() { "; not exceeded" } else { "" };
                self.note(format_args!("together at most {cap} off any charge{reached}"));
                for share in on {
                    self.share("back on", share, &share.exact);
                }
            }
            Why::Minimum { least, before } => {
                self.note(format_args!("at least {least}; the lines above come to {before}"));
            }
        }
    }

    fn tier(&mut self, tier: &TierPart) {
        let TierPart { first, last, units, price, exact } = tier;
        let range = last.map_or_else(|| format!("from {first}"), |last| format!("{first} to {last}"));
        self.amount(&format!("    {range}: {units} at {price}"), exact, None);
    }

    fn event_fees(&mut self, fees: &EventFees) {
        let EventFees { terms, events, amount, at_min, at_max } = fees;
        self.note(format_args!("{} = {events}, together {amount}", terms.event));
        self.note(format_args!("{} of each", terms.rate));
        self.note(format_args!("at least {} each: {at_min} raised to it", terms.min));
        self.note(format_args!("at most {} each: {at_max} lowered to it", terms.max));
    }

    fn band(&mut self, meter: &str, band: Option<&Band>) {
        let Some(Band { value, from, until, off }) = band else {
            return self.note(format_args!("{meter} has no value, so no band and no discount"));
        };
        let range = until.map_or_else(|| format!("from {from}"), |until| format!("from {from} to below {until}"));
        self.note(format_args!("{meter} = {value}, in the band {range}: {off}"));
    }

    fn share(&mut self, word: &str, share: &Share, signed: &Exact) {
        let percent = share.share.clone() * &Exact::from(100);
        self.amount(&format!("    {word} {}: {percent}% of {}", share.charge, share.of), signed, None);
    }

    fn total(&mut self, priced: &Priced, at: RoundAt) {
        self.end_line();
        if at == RoundAt::Total {
            self.row("sum", &[&priced.exact, &""]);
        }
        self.pair("total", priced.total);
    }

    /// A row with an exact amount and, where lines are rounded, the rounded one.
    fn amount(&mut self, label: &str, exact: &Exact, rounded: Option<Money>) {
        let rounded = rounded.map(Money::digits).unwrap_or_default();
        self.row(label, &[exact, &rounded]);
    }

    /// A line of words beneath an amount.
    fn note(&mut self, words: impl Display) {
        let _ = writeln!(self.text, "    {words}");
    }

    fn heading(&mut self, title: &str, columns: &[&str]) {
        self.end_line();
        let columns: Vec<&dyn Display> = columns.iter().map(|column| column as &dyn Display).collect();
        self.row(title, &columns);
    }

    fn pair(&mut self, key: &str, value: impl Display) {
        let key = format!("{key}:");
        let _ = writeln!(self.text, "{key:<16} {value}");
    }

    /// A label and right-aligned columns that end where every line ends. No space is left at the end of a line.
    fn row(&mut self, label: &str, columns: &[&dyn Display]) {
        let label_width = WIDTH - columns.len() * (COLUMN + 1);
        let mut line = format!("{label:<label_width$}");
        for column in columns {
            // First to text: padding a `Display` is up to each type.
            let column = column.to_string();
            let _ = write!(line, " {column:>COLUMN$}");
        }
        self.text.push_str(line.trim_end());
        self.end_line();
    }

    fn end_line(&mut self) {
        self.text.push('\n');
    }
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::Draft => "draft",
        Status::Final => "final",
    }
}

fn rule_set_word(rules: RuleSet) -> &'static str {
    match rules {
        RuleSet::PageView1 => "page-view/1",
    }
}

fn session_words(session: Session) -> &'static str {
    match session {
        Session::Hour => "one visitor in one hour of the clock",
    }
}

fn reading_words(reading: &Reading) -> String {
    match reading {
        Reading::Count { quantity, class, .. } => format!("{} of {}", quantity_word(*quantity), class_words(*class)),
        Reading::Ratio { numerator, above, denominator, below, .. } => {
            format!("{numerator} / {denominator} = {above} / {below}")
        }
    }
}

fn quantity_word(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Views => "views",
        Quantity::UniqueViews => "unique views",
        Quantity::Bytes => "bytes",
    }
}

fn class_words(class: MeterClass) -> &'static str {
    match class {
        MeterClass::Tieup => "tie-up pages",
        MeterClass::Original => "original pages",
    }
}

fn rounding_words(money: &MoneyTerms) -> String {
    let place = match money.at {
        RoundAt::Line => "each line",
        RoundAt::Total => "the total alone",
    };
    let halves = match money.round {
        Rounding::HalfUp => "to the nearest, halves away from zero",
        Rounding::HalfEven => "to the nearest, halves to the even neighbour",
        Rounding::Down => "towards zero",
    };
    format!("{place}, {halves}")
}
