//! What no single fee term shows: that names are known, that bands leave no value out and hold none twice, that no
//! price is negative and that the adjustments stand in the order in which they are applied.
//!
//! The `fees` crate relies on every rule that is held here.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::terms::{Adjustment, BandedDiscount, Base, Charge, Currency, Meter, PerEvent, Terms, Tiered, Tiers};
use crate::decimal::{Decimal, Percent};
use crate::diagnostic::{Diagnostic, nearest};

/// The longest name of a meter, charge, discount or kind of event.
const MAX_NAME: usize = 40;

/// The longest double-click time: ten minutes, in seconds. What is kept while counting grows with it, and hours are
/// remembered for long enough only if it is well under one.
const MAX_DOUBLE_CLICK: u32 = 600;

/// Names of lines that every statement may have.
const RESERVED: [&str; 2] = ["cap", "minimum"];

/// A term that is well formed but makes no sense among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TermProblem {
    code: &'static str,
    message: String,
    /// Words that lead to the place: each stands after the one before it. The last one found is pointed at.
    trail: Vec<String>,
    help: Option<String>,
}

type Check = Result<(), TermProblem>;

/// Where a term stands, as words that follow one another in the document.
#[derive(Clone, Copy)]
struct Place<'a> {
    section: &'static str,
    name: &'a str,
}

impl Place<'_> {
    fn problem(self, code: &'static str, words: &[&dyn Display], message: impl Into<String>) -> TermProblem {
        let words = words.iter().map(ToString::to_string);
        let trail = [self.section.to_owned(), self.name.to_owned()].into_iter().filter(|word| !word.is_empty());
        TermProblem { code, message: message.into(), trail: trail.chain(words).collect(), help: None }
    }
}

impl TermProblem {
    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at the problem in the document.
    pub(super) fn locate(self, file: &str, text: &str) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(self.code, file, self.message);
        if let Some((offset, word)) = follow(text, &self.trail) {
            diagnostic = diagnostic.at_offset(text, offset, word.chars().count());
        }
        diagnostic.help = self.help;
        diagnostic
    }
}

/// The place of the last word of `trail` that stands in `text` after all those before it.
fn follow<'a>(text: &str, trail: &'a [String]) -> Option<(usize, &'a str)> {
    let (section, rest) = trail.split_first()?;
    let key = format!("\n{section}:");
    let start = text.find(&key).map(|newline| newline + 1).or_else(|| find_word(text, 0, section))?;
    let mut found = (start, section.as_str());
    for word in rest {
        let Some(offset) = find_word(text, found.0 + found.1.len(), word) else { break };
        found = (offset, word);
    }
    Some(found)
}

/// The first place at or after `from` where `word` stands and is not a part of a longer word or number.
fn find_word(text: &str, from: usize, word: &str) -> Option<usize> {
    let part_of_a_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '%');
    let stands_alone = |offset: usize| {
        let before = text[..offset].chars().next_back();
        let after = text[offset + word.len()..].chars().next();
        !before.is_some_and(part_of_a_word) && !after.is_some_and(part_of_a_word)
    };
    let found = text.get(from..)?.match_indices(word).map(|(offset, _)| from + offset);
    found.filter(|offset| stands_alone(*offset)).min()
}

/// Checks the terms against one another; the first problem is returned.
pub(super) fn check(terms: &Terms) -> Check {
    check_count(terms)?;
    check_meters(terms)?;
    for (name, charge) in &terms.charges {
        let place = Place { section: "charges", name };
        check_name(place, "charge", name)?;
        check_charge(terms, place, charge)?;
    }
    check_adjustments(terms)
}

fn check_count(terms: &Terms) -> Check {
    if terms.count.double_click.seconds() <= MAX_DOUBLE_CLICK {
        return Ok(());
    }
    let place = Place { section: "count", name: "double_click" };
    Err(place.problem("bad-span", &[], "a double click cannot take longer than ten minutes").help("write 30s"))
}

fn check_meters(terms: &Terms) -> Check {
    for (name, meter) in &terms.meters {
        let place = Place { section: "meters", name };
        check_name(place, "meter", name)?;
        if let Meter::Ratio { numerator, denominator, .. } = meter {
            check_counted(terms, place, numerator)?;
            check_counted(terms, place, denominator)?;
        }
    }
    Ok(())
}

/// Names stand in statements word by word, so that one with a line break could forge a line there.
fn check_name(place: Place<'_>, what: &str, name: &str) -> Check {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && name.len() <= MAX_NAME && name.bytes().all(allowed) {
        return Ok(());
    }
    let message = format!("{name:?} cannot be the name of a {what}");
    let help = format!("use 1 to {MAX_NAME} lower-case letters, digits, `-` and `_`, beginning with a letter");
    Err(place.problem("bad-name", &[&name], message).help(help))
}

fn check_known<'a>(place: Place<'_>, name: &str, what: &str, all: impl Iterator<Item = &'a String> + Clone) -> Check {
    if all.clone().any(|candidate| candidate == name) {
        return Ok(());
    }
    let near = nearest(name, all.map(String::as_str));
    let mut problem = place.problem("unknown-name", &[&name], format!("there is no {what} `{name}`"));
    problem.help = near.map(|near| format!("did you mean `{near}`?"));
    Err(problem)
}

fn check_counted(terms: &Terms, place: Place<'_>, name: &str) -> Check {
    check_known(place, name, "meter", terms.meters.keys())?;
    match terms.meters.get(name) {
        Some(Meter::Ratio { .. }) => {
            let message = format!("meter `{name}` is a ratio; a count is needed here");
            Err(place.problem("wrong-meter", &[&name], message))
        }
        _ => Ok(()),
    }
}

fn check_charge(terms: &Terms, place: Place<'_>, charge: &Charge) -> Check {
    let currency = terms.money.currency;
    match charge {
        Charge::Base(Base { link, framework, inherited }) => {
            check_amount(place, "link", *link, currency)?;
            check_amount(place, "framework", *framework, currency)?;
            check_amount(place, "inherited", *inherited, currency)
        }
        Charge::Graduated(tiered) => check_graduated(terms, place, tiered),
        Charge::PerEvent(per_event) => check_per_event(place, per_event, currency),
    }
}

fn check_graduated(terms: &Terms, place: Place<'_>, Tiered { meter, tiers }: &Tiered) -> Check {
    check_counted(terms, place, meter)?;
    check_tiers(place, "tiers", tiers)?;
    check_whole_thresholds(place, "tiers", tiers)?;
    match tiers.iter().find(|(_, price)| price.is_negative()) {
        Some((_, price)) => Err(negative(place, &["tiers"], *price)),
        None => Ok(()),
    }
}

fn check_per_event(place: Place<'_>, per_event: &PerEvent, currency: Currency) -> Check {
    let PerEvent { event, rate, min, max } = per_event;
    check_name(place, "kind of event", event)?;
    check_percent(place, "rate", *rate)?;
    check_amount(place, "min", *min, currency)?;
    check_amount(place, "max", *max, currency)?;
    if min.is_above(*max) {
        let message = format!("the least fee {min} is above the highest fee {max}");
        return Err(place.problem("bad-bounds", &[&"min", min], message));
    }
    Ok(())
}

fn negative(place: Place<'_>, words: &[&str], amount: Decimal) -> TermProblem {
    let trail: Vec<&dyn Display> = words.iter().map(|w| w as &dyn Display).chain([&amount as &dyn Display]).collect();
    let message = format!("{amount} is negative; what is taken off belongs into `adjust`");
    place.problem("negative-amount", &trail, message)
}

/// An amount that is to be paid: not negative, and no finer than the currency.
fn check_amount(place: Place<'_>, key: &'static str, amount: Decimal, currency: Currency) -> Check {
    if amount.is_negative() {
        return Err(negative(place, &[key], amount));
    }
    if decimals(amount) <= currency.exponent() {
        return Ok(());
    }
    let digits = currency.exponent();
    let message = format!("{amount} is finer than {}, which has {digits} decimals", currency.code());
    Err(place.problem("finer-than-currency", &[&key, &amount], message))
}

/// How many decimals a number needs, zeros at the end left out.
fn decimals(number: Decimal) -> u32 {
    let (mut units, mut scale) = number.parts();
    while scale > 0 && units % 10 == 0 {
        units /= 10;
        scale -= 1;
    }
    scale
}

fn check_percent(place: Place<'_>, key: &'static str, percent: Percent) -> Check {
    let number = percent.hundredths();
    if number.is_negative() || number.is_above(Decimal::whole(100)) {
        let message = format!("{percent} does not lie between 0% and 100%");
        return Err(place.problem("bad-percentage", &[&key, &percent], message));
    }
    Ok(())
}

/// Thresholds begin at 0 and rise, so that every value lies in exactly one band.
fn check_tiers<T: Display>(place: Place<'_>, key: &'static str, tiers: &Tiers<T>) -> Check {
    const HELP: &str = "begin at 0 and let thresholds rise";
    let problem = |trail: &[&dyn Display], message: String| Err(place.problem("bad-tiers", trail, message).help(HELP));
    let Some((first, _)) = tiers.first() else {
        return problem(&[&key], format!("`{key}` holds no tier"));
    };
    if first.parts().0 != 0 {
        return problem(&[&key, first], format!("the first tier begins at {first}, not at 0"));
    }
    for (at, pair) in tiers.windows(2).enumerate() {
        let (below, threshold) = (pair[0].0, pair[1].0);
        if !threshold.is_above(below) {
            let before = tiers[..=at].iter().flat_map(|(t, value)| [t as &dyn Display, value]);
            let trail: Vec<&dyn Display> =
                [&key as &dyn Display].into_iter().chain(before).chain([&threshold as _]).collect();
            return problem(&trail, format!("tier {threshold} does not lie above {below}"));
        }
    }
    Ok(())
}

/// A count never stands between two whole numbers, so neither may a threshold for it.
fn check_whole_thresholds<T>(place: Place<'_>, key: &'static str, tiers: &Tiers<T>) -> Check {
    match tiers.iter().find(|(threshold, _)| decimals(*threshold) > 0) {
        Some((threshold, _)) => {
            let message = format!("threshold {threshold} is not a whole number, but its meter counts in whole numbers");
            Err(place.problem("fractional-threshold", &[&key, threshold], message))
        }
        None => Ok(()),
    }
}

fn check_adjustments(terms: &Terms) -> Check {
    let mut ids = BTreeSet::new();
    let mut previous = Stage::Percentages;
    for adjustment in &terms.adjust {
        let stage = Stage::of(adjustment);
        check_stage(previous, stage)?;
        previous = stage;
        match adjustment {
            Adjustment::Banded(banded) => {
                check_id(terms, &banded.id, &mut ids)?;
                check_discount(terms, banded)?;
            }
            Adjustment::CapDiscount(cap) => check_percent(ADJUST, "cap_discount", *cap)?,
            Adjustment::Minimum(least) => check_amount(ADJUST, "minimum", *least, terms.money.currency)?,
        }
    }
    Ok(())
}

const ADJUST: Place<'_> = Place { section: "adjust", name: "" };

/// The steps of an adjustment, in the order in which they are made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Percentages,
    Cap,
    Minimum,
}

impl Stage {
    fn of(adjustment: &Adjustment) -> Self {
        match adjustment {
            Adjustment::Banded(_) => Self::Percentages,
            Adjustment::CapDiscount(_) => Self::Cap,
            Adjustment::Minimum(_) => Self::Minimum,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Percentages => "bands",
            Self::Cap => "cap_discount",
            Self::Minimum => "minimum",
        }
    }
}

/// A contract that wrote the steps in another order would read otherwise than it is computed.
fn check_stage(previous: Stage, stage: Stage) -> Check {
    let key = stage.key();
    if stage < previous {
        let message = format!("`{key}` stands after `{}`", previous.key());
        let help = "percentages are applied first, then `cap_discount`, then `minimum`: write them in this order";
        return Err(ADJUST.problem("adjust-order", &[&previous.key(), &key], message).help(help));
    }
    if stage == previous && stage != Stage::Percentages {
        return Err(ADJUST.problem("duplicate", &[&key, &key], format!("there are two `{key}`")));
    }
    Ok(())
}

fn check_discount(terms: &Terms, banded: &BandedDiscount) -> Check {
    let BandedDiscount { id, meter, on, off } = banded;
    let place = Place { section: "adjust", name: id };
    check_known(place, meter, "meter", terms.meters.keys())?;
    check_tiers(place, "off", off)?;
    if let Some(Meter::Counted { .. }) = terms.meters.get(meter) {
        check_whole_thresholds(place, "off", off)?;
    }
    off.iter().try_for_each(|(_, percent)| check_percent(place, "off", *percent))?;
    if on.is_empty() {
        return Err(place.problem("no-charge", &[&"on"], format!("discount `{id}` is on no charge")));
    }
    let mut seen = BTreeSet::new();
    for charge in on {
        check_known(place, charge, "charge", terms.charges.keys())?;
        if !seen.insert(charge) {
            let message = format!("discount `{id}` names charge `{charge}` twice");
            return Err(place.problem("duplicate", &[&"on", charge, charge], message));
        }
    }
    Ok(())
}

fn check_id<'a>(terms: &Terms, id: &'a str, earlier: &mut BTreeSet<&'a str>) -> Check {
    let place = Place { section: "adjust", name: id };
    check_name(place, "discount", id)?;
    if !earlier.insert(id) {
        return Err(place.problem("duplicate", &[&id], format!("there are two discounts `{id}`")));
    }
    if RESERVED.contains(&id) || terms.charges.contains_key(id) {
        let message = format!("`{id}` is already the name of another line of the statement");
        return Err(place.problem("duplicate", &[], message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Contract;

    const GOOD: &str = r#"
contract: nationwide/harbor-shop@3
effective: {from: 2026-11-01, tz: Asia/Tokyo}
partnership: inherited
mounts: {"/": main}
approval: {policy: ask}
journal: {writer: partner, verifier: both}
count: {rules: page-view/1, robots: "blake3:e104e885ce23e0ff78e43c5a5cf705dd325dfc95b1878f166b54919a3b3f959a", double_click: 30s, session: hour}
money: {currency: JPY, round: half_up, at: line}
meters: {tie: {views: {class: tieup}}, own: {views: {class: original}}, attract: {ratio: [own, tie], if_zero: none}}
charges: {base: {by: partnership, link: 0, framework: 20000, inherited: 50000},
          access: {graduated: tie, tiers: [[0, "0.50"], [100000, "0.30"]]},
          orders: {per_event: settled_orders, rate: "3.5%", min: 30, max: 5000}}
adjust: [{id: incentive, bands: tie, on: [base, access], off: [[0, "0%"], [200000, "5%"]]},
         {id: lure, bands: attract, on: [access], off: [[0, "0%"], ["0.5", "2%"]]},
         {cap_discount: "40%"},
         {minimum: 10000}]
close: {grace: 5d, late: next_period_correction}
"#;

    /// What stands in the good contract, what replaces it, code, message, line and word pointed at.
    const REFUSED: &[[&str; 5]] = &[
        ["30s", "601s", "bad-span", "a double click cannot take longer than ten minutes", "8:double_click"],
        ["ratio: [own, tie]", "ratio: [owm, tie]", "unknown-name", "there is no meter `owm`", "10:owm"],
        [
            "ratio: [own, tie]",
            "ratio: [attract, tie]",
            "wrong-meter",
            "meter `attract` is a ratio; a count is needed here",
            "10:attract",
        ],
        ["graduated: tie", "graduated: tei", "unknown-name", "there is no meter `tei`", "12:tei"],
        [
            "graduated: tie",
            "graduated: attract",
            "wrong-meter",
            "meter `attract` is a ratio; a count is needed here",
            "12:attract",
        ],
        ["[[0, \"0.50\"]", "[[1, \"0.50\"]", "bad-tiers", "the first tier begins at 1, not at 0", "12:1"],
        ["[100000, \"0.30\"]", "[0, \"0.30\"]", "bad-tiers", "tier 0 does not lie above 0", "12:0"],
        ["[[0, \"0.50\"], [100000, \"0.30\"]]", "[]", "bad-tiers", "`tiers` holds no tier", "12:tiers"],
        [
            "[100000,",
            "[\"0.5\",",
            "fractional-threshold",
            "threshold 0.5 is not a whole number, but its meter counts in whole numbers",
            "12:0.5",
        ],
        [
            "\"0.30\"",
            "\"-0.30\"",
            "negative-amount",
            "-0.30 is negative; what is taken off belongs into `adjust`",
            "12:-0.30",
        ],
        [
            "framework: 20000",
            "framework: -1",
            "negative-amount",
            "-1 is negative; what is taken off belongs into `adjust`",
            "11:-1",
        ],
        ["link: 0", "link: \"0.5\"", "finer-than-currency", "0.5 is finer than JPY, which has 0 decimals", "11:0.5"],
        ["\"3.5%\"", "\"100.5%\"", "bad-percentage", "100.5% does not lie between 0% and 100%", "13:100.5%"],
        ["min: 30", "min: 5001", "bad-bounds", "the least fee 5001 is above the highest fee 5000", "13:5001"],
        [
            "settled_orders",
            "\"a\\ntotal\"",
            "bad-name",
            "\"a\\ntotal\" cannot be the name of a kind of event",
            "13:orders",
        ],
        ["tie: {views", "Tie: {views", "bad-name", "\"Tie\" cannot be the name of a meter", "10:Tie"],
        ["base: {by", "ba.se: {by", "bad-name", "\"ba.se\" cannot be the name of a charge", "11:ba.se"],
        ["id: lure", "id: incentive", "duplicate", "there are two discounts `incentive`", "15:incentive"],
        ["id: lure", "id: cap", "duplicate", "`cap` is already the name of another line of the statement", "15:cap"],
        [
            "id: lure",
            "id: orders",
            "duplicate",
            "`orders` is already the name of another line of the statement",
            "15:orders",
        ],
        ["on: [access]", "on: []", "no-charge", "discount `lure` is on no charge", "15:on"],
        ["on: [access]", "on: [acess]", "unknown-name", "there is no charge `acess`", "15:acess"],
        [
            "on: [access]",
            "on: [access, access]",
            "duplicate",
            "discount `lure` names charge `access` twice",
            "15:access",
        ],
        ["bands: attract", "bands: atract", "unknown-name", "there is no meter `atract`", "15:atract"],
        [
            "[200000, \"5%\"]",
            "[\"0.5\", \"5%\"]",
            "fractional-threshold",
            "threshold 0.5 is not a whole number, but its meter counts in whole numbers",
            "14:0.5",
        ],
        ["\"5%\"", "\"-5%\"", "bad-percentage", "-5% does not lie between 0% and 100%", "14:-5%"],
        ["\"40%\"", "\"101%\"", "bad-percentage", "101% does not lie between 0% and 100%", "16:101%"],
        [
            "{minimum: 10000}",
            "{minimum: -1}",
            "negative-amount",
            "-1 is negative; what is taken off belongs into `adjust`",
            "17:-1",
        ],
        ["{minimum: 10000}", "{minimum: 1}, {minimum: 2}", "duplicate", "there are two `minimum`", "17:minimum"],
        [
            "{cap_discount: \"40%\"},\n         {minimum: 10000}",
            "{minimum: 10000}, {cap_discount: \"40%\"}",
            "adjust-order",
            "`cap_discount` stands after `minimum`",
            "16:cap_discount",
        ],
    ];

    /// The code, message and underlined place of what is wrong once `from` reads `to`.
    fn refusal(from: &str, to: &str) -> (String, String, String) {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let error = Contract::parse("contract.yaml", &text).expect_err(to);
        let span = error.span.clone();
        let place = span.map(|s| {
            let word: String = s.text.chars().skip(s.column - 1).take(s.length).collect();
            format!("{}:{word}", s.line)
        });
        (error.code.to_owned(), error.message, place.unwrap_or_default())
    }

    #[test]
    fn consistent_terms_are_accepted() {
        assert!(Contract::parse("contract.yaml", GOOD).is_ok());
        for (from, to) in [
            ("JPY, round: half_up, at: line", "EUR, round: half_even, at: total"),
            ("min: 30", "min: \"30.0\""),
            ("{minimum: 10000}", "{minimum: 0}"),
            ("\"40%\"", "\"100%\""),
            ("double_click: 30s", "double_click: 10m"),
            ("[100000, \"0.30\"]", "[\"100000.0\", \"0.30\"]"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert!(Contract::parse("contract.yaml", &text).is_ok(), "{to}");
        }
    }

    #[test]
    fn every_inconsistent_term_is_refused_at_its_place() {
        for [from, to, code, message, place] in REFUSED {
            let expected = ((*code).to_owned(), (*message).to_owned(), (*place).to_owned());
            assert_eq!(refusal(from, to), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn the_place_is_that_of_the_term_and_not_of_an_equal_word_elsewhere() {
        // The second tier's threshold repeats the first tier's price; the third one is at fault.
        let text = GOOD.replacen("[[0, \"0.50\"], [100000, \"0.30\"]]", "[[0, 5], [5, 5], [5, 1]]", 1);
        let error = Contract::parse("contract.yaml", &text).unwrap_err();
        let span = error.span.unwrap();
        assert_eq!(&span.text[span.column - 1..], "5, 1]]},");
        assert_eq!(error.help.as_deref(), Some("begin at 0 and let thresholds rise"));
    }

    #[test]
    fn a_near_name_is_suggested() {
        let text = GOOD.replacen("graduated: tie", "graduated: tye", 1);
        let error = Contract::parse("contract.yaml", &text).unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `tie`?"));
    }
}
