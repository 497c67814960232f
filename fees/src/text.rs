//! The words and columns of a statement: version 2 of its text.
//!
//! One layout for every statement: what a section holds depends on the contract alone, widths are fixed, and nothing
//! depends on a locale. Whoever changes a word here makes a new version of the format.

mod words;

use std::fmt::{Display, Write as _};

use tieup_protocol::contract::{Contract, Count, Money as MoneyTerms, RoundAt};
use tieup_protocol::decimal::Percent;

use self::words::{
    range, reading_words, rounding_words, rule_set_word, sales_words, session_words, status_word, tier_words,
};
use crate::books::{Catalogue, Event, sales_digest};
use crate::count::{Counted, Totals};
use crate::money::{Exact, Money};
use crate::settlement::{Correction, Payment, Settlement};
use crate::statement::{Account, JournalHead, is_in_effect};
use crate::tariff::{Band, Condition, EventFees, Line, Monthly, Priced, Share, TierPart, Why};

/// The first line of every statement.
const VERSION: &str = "tieup-statement/2";

/// What stands before the root hash of the journal.
pub(crate) const ROOT: &str = "  root";

/// The title of the section of corrections.
pub(crate) const CORRECTIONS: &str = "corrections of earlier months";

/// The title of the section with what is due.
pub(crate) const SETTLEMENT: &str = "settlement";

/// What stands between what was charged and what is right.
pub(crate) const WAS_CHARGED: &str = " was charged, ";

/// What stands behind what is right.
pub(crate) const IS_RIGHT: &str = " is right";

/// What stands before the digest of the statement that is right.
pub(crate) const IS: &str = "is  ";

/// What stands before the digest of the statement that was right before.
pub(crate) const WAS: &str = "was ";

/// What stands before what was collected with sales.
pub(crate) const COLLECTED: &str = "  collected with sales";

/// The width of a column of numbers, the space before it left out.
const COLUMN: usize = 18;

/// The width of a whole line: 84 characters.
const WIDTH: usize = 84;

/// Everything that a statement is about.
pub(crate) struct Facts<'a> {
    pub(crate) contract: &'a Contract,
    pub(crate) account: &'a Account<'a>,
    pub(crate) priced: &'a Priced,
    pub(crate) settlement: &'a Settlement,
}

/// The canonical text.
pub(crate) fn write(facts: &Facts<'_>) -> String {
    let Facts { contract, account, priced, settlement } = facts;
    let terms = &contract.terms;
    let mut sheet = Sheet { text: format!("{VERSION}\n") };
    sheet.parties(contract, account);
    sheet.journal(account.journal);
    sheet.rules(&terms.count);
    sheet.counts(account.books.counted);
    sheet.left_out(account.books.counted);
    if terms.go_by_catalogue() {
        account.books.catalogue.iter().for_each(|catalogue| sheet.catalogue(catalogue));
    }
    if terms.go_by_sales() {
        sheet.sales(account.books.events);
    }
    sheet.meters(priced);
    sheet.bill(priced, &terms.money);
    if !account.corrections.is_empty() {
        sheet.corrections(account.corrections, &terms.money);
    }
    if !terms.pay.advance.is_empty() || !terms.pay.collected.is_empty() || !account.corrections.is_empty() {
        sheet.settlement(settlement, account.payments);
    }
    sheet.text
}

struct Sheet {
    text: String,
}

impl Sheet {
    fn parties(&mut self, contract: &Contract, account: &Account<'_>) {
        let (zone, period) = (&contract.effective.tz, account.books.counted.period());
        let month = period.month();
        self.end_line();
        self.pair("contract", &contract.id);
        self.pair("digest", contract.digest());
        self.pair("in effect from", contract.effective.from);
        contract.effective.until.iter().for_each(|until| self.pair("until", until));
        self.pair("partnership", contract.partnership.as_str());
        self.pair("month", format_args!("{month}, {}", zone.name()));
        if !period.is_whole() {
            self.pair("days", format_args!("{period}, {} of {}", period.days(), period.days_of_month()));
        }
        self.pair("begins", period.start(zone));
        self.pair("ends before", period.end(zone));
        self.pair("status", status_word(account.status));
        if !is_in_effect(contract, month) {
            self.pair("note", "the contract is not in effect in this month; this shows what it would charge");
        }
    }

    fn journal(&mut self, journal: &JournalHead) {
        self.heading("journal", &[]);
        self.pair("  log", &journal.origin);
        self.pair("  entries", journal.size);
        self.pair(ROOT, &journal.root);
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
        self.row("  struck out by both sides", &[&left_out.struck]);
        self.row("  not in this period", &[&left_out.other_month]);
        self.row("  no page at the path", &[&left_out.no_page]);
        self.row("  robots", &[&left_out.robots]);
        self.row("  prefetched, or part of a page", &[&left_out.not_documents]);
        self.row("  not asked for by GET", &[&left_out.not_get]);
        self.row("  answered by neither 200 nor 304", &[&left_out.other_status]);
        self.row("  repeated clicks", &[&left_out.double_clicks]);
    }

    fn catalogue(&mut self, catalogue: &Catalogue) {
        self.heading("published", &["tie-up", "original"]);
        self.row("  pages", &[&catalogue.tieup.pages, &catalogue.original.pages]);
        self.row("  bytes", &[&catalogue.tieup.bytes, &catalogue.original.bytes]);
        self.pair("  main's ads", catalogue.main_ads);
        self.pair("  partner's ads", catalogue.partner_ads);
        self.pair("  digest", catalogue.digest());
    }

    fn sales(&mut self, events: &[Event]) {
        self.heading("sales", &[]);
        self.pair("  events", events.len());
        self.pair("  digest", sales_digest(events));
    }

    fn meters(&mut self, priced: &Priced) {
        self.heading("meters", &[]);
        for (name, reading) in &priced.readings {
            let value = reading.value().map_or_else(|| "none".to_owned(), Exact::to_string);
            self.row(&format!("  {name} = {}", reading_words(reading)), &[&value]);
        }
    }

    fn bill(&mut self, priced: &Priced, money: &MoneyTerms) {
        let code = money.currency.code();
        self.heading("money", &[]);
        self.pair("  currency", code);
        self.pair("  rounded", rounding_words(money));
        let rounded = match money.at {
            RoundAt::Line => code,
            RoundAt::Total => "",
        };
        self.heading("charges", &["exact", rounded]);
        priced.lines.iter().filter(|line| line.why.is_charge()).for_each(|line| self.line(line));
        self.heading("discounts and limits", &["exact", rounded]);
        priced.lines.iter().filter(|line| !line.why.is_charge()).for_each(|line| self.line(line));
        self.total(priced, money.at);
    }

    fn corrections(&mut self, corrections: &[Correction], money: &MoneyTerms) {
        self.heading(CORRECTIONS, &[money.currency.code()]);
        let mut sorted: Vec<&Correction> = corrections.iter().collect();
        sorted.sort_by_key(|correction| (correction.period, correction.issued));
        for correction in sorted {
            let amount = correction.amount_in(money.currency).map(Money::digits).unwrap_or_default();
            self.row(&format!("  {}", correction.period), &[&amount]);
            // What was charged in another currency says so; nothing is charged for it here.
            let said = |of: Money| if of.currency() == money.currency { of.digits() } else { of.to_string() };
            let [charged, owed] = [correction.charged, correction.owed].map(said);
            self.note(format_args!("{}: {charged}{WAS_CHARGED}{owed}{IS_RIGHT}", correction.cause.words()));
            self.note(format_args!("{WAS}{}", correction.issued));
            self.note(format_args!("{IS}{}", correction.right));
        }
    }

    fn settlement(&mut self, settlement: &Settlement, payments: &[Payment]) {
        let Settlement { fee, corrections, advance, collected, due } = settlement;
        let minus = |paid: &Money| Money::new(paid.currency(), -paid.minor()).digits();
        self.heading(SETTLEMENT, &[fee.currency().code()]);
        self.row("  fee", &[&fee.digits()]);
        self.row("  corrections", &[&corrections.digits()]);
        self.row("  paid in advance", &[&minus(advance)]);
        let mut sorted: Vec<&Payment> = payments.iter().collect();
        sorted.sort_by(|a, b| a.reference.cmp(&b.reference));
        for payment in sorted {
            self.note(format_args!("{}: {}", payment.reference, payment.amount.digits()));
        }
        self.row(COLLECTED, &[&minus(collected)]);
        self.end_line();
        self.pair("due", due);
    }

    fn line(&mut self, line: &Line) {
        self.amount(&format!("  {}", line.id), &line.exact, line.rounded);
        match &line.why {
            Why::Partnership { kind, fee } => {
                self.note(format_args!("partnership {}", kind.as_str()));
                self.part(fee);
            }
            Why::Services(fees) => self.services(fees),
            Why::Graduated { meter, units, tiers } => self.graduated(meter, units, tiers),
            Why::Volume { meter, units, reached, held } => self.volume(meter, units, reached, held.as_ref()),
            Why::Flat { meter, band } => {
                self.note(format_args!("{meter} = {}, in the band {}", band.value, range(band)));
                self.part(&band.holds);
            }
            Why::Package { meter, units, size, packages, price } => {
                self.note(format_args!("{meter} = {units}, in packages of {size}"));
                self.note(format_args!("begun: {packages} at {price}"));
            }
            Why::PerEvent(fees) => self.event_fees(fees),
            Why::Discount { when, meter, band, on } => self.discount(when.as_ref(), meter, band.as_ref(), on),
            Why::Cap { cap, on } => self.cap(*cap, on),
            Why::Maximum { most, before } => self.bound("most", most, before),
            Why::Minimum { least, before } => self.bound("least", least, before),
        }
    }

    fn graduated(&mut self, meter: &str, units: &Exact, tiers: &[TierPart]) {
        self.note(format_args!("{meter} = {units}, each unit at the price of its tier"));
        for tier in tiers {
            self.tier(tier);
        }
    }

    fn volume(&mut self, meter: &str, units: &Exact, reached: &TierPart, held: Option<&TierPart>) {
        self.note(format_args!("{meter} = {units}, all units at the price of the tier they reach"));
        self.tier(reached);
        if let Some(held) = held {
            self.note("which is not below what a tier before it comes to when it is full:");
            self.tier(held);
        }
    }

    fn cap(&mut self, cap: Percent, on: &[Share]) {
        let reached = if on.is_empty() { "; not exceeded" } else { "" };
        self.note(format_args!("together at most {cap} off any charge{reached}"));
        for share in on {
            self.share("back on", share, &share.exact);
        }
    }

    fn bound(&mut self, which: &str, bound: &Monthly, before: &Exact) {
        self.note(format_args!("at {which} {}; the lines above come to {before}", bound.exact()));
        self.part(bound);
    }

    /// What of an amount for a month is charged, where it is not all of it.
    fn part(&mut self, Monthly { whole, part }: &Monthly) {
        if *part != Exact::one() {
            self.note(format_args!("{part} of {whole} for a month"));
        }
    }

    fn services(&mut self, fees: &[(String, Monthly)]) {
        if fees.is_empty() {
            self.note("no service that has a price");
        }
        for (service, fee) in fees {
            self.amount(&format!("    {service}"), &fee.exact(), None);
            self.part(fee);
        }
    }

    fn discount(&mut self, when: Option<&Condition>, meter: &str, band: Option<&Band<Percent>>, on: &[Share]) {
        if let Some(when) = when {
            let value = when.value.as_ref().map_or_else(|| "none".to_owned(), Exact::to_string);
            let met = if when.is_met() { "so it is given" } else { "so it is not given" };
            self.note(format_args!("{} = {value}, from {}: {met}", when.meter, when.from));
        }
        match band {
            Some(band) => {
                self.note(format_args!("{meter} = {}, in the band {}: {}", band.value, range(band), band.holds));
            }
            None => self.note(format_args!("{meter} has no value, so no band and no discount")),
        }
        for share in on {
            self.share("off", share, &-share.exact.clone());
        }
    }

    fn tier(&mut self, tier: &TierPart) {
        let TierPart { units, price, exact, .. } = tier;
        self.amount(&format!("    {}: {units} at {price}", tier_words(tier)), exact, None);
    }

    fn event_fees(&mut self, fees: &EventFees) {
        let EventFees { terms, rate, band, events, amount, at_min, at_max } = fees;
        self.note(format_args!("{} = {events}, together {amount}", sales_words(&terms.of)));
        if let Some((meter, band)) = band {
            self.note(format_args!("{meter} = {}, in the band {}", band.value, range(band)));
        }
        self.note(format_args!("{rate} of each"));
        self.note(format_args!("at least {} each: {at_min} raised to it", terms.min));
        self.note(format_args!("at most {} each: {at_max} lowered to it", terms.max));
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
