//! What no single fee term shows: that names are known, that bands leave no value out and hold none twice, that no
//! price is negative and that the adjustments stand in the order in which they are applied.
//!
//! The `fees` crate relies on every rule that is held here. What is merely of no effect is told by `lint`.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::Effective;
use super::adjustments::{Adjustment, BandedDiscount, When};
use super::charges::{Base, Charge, Package, PerEvent, Rate, Tiered, Tiers};
use super::meters::{Meter, Sales};
use super::place::{Place, TermProblem};
use super::terms::{Currency, Terms};
use crate::decimal::{Decimal, Percent};
use crate::diagnostic::nearest;

/// The longest name of a meter, charge, discount, service, goods or kind of event.
const MAX_NAME: usize = 40;

/// The longest double-click time: ten minutes, in seconds. What is kept while counting grows with it, and hours are
/// remembered for long enough only if it is well under one.
const MAX_DOUBLE_CLICK: u32 = 600;

/// Names of lines that every statement may have.
const RESERVED: [&str; 4] = ["cap", "maximum", "minimum", "correction"];

type Check = Result<(), TermProblem>;

/// Checks the terms against one another. Each term is told of once, for the first thing that is wrong with it.
pub(super) fn check(effective: &Effective, terms: &Terms) -> Vec<TermProblem> {
    let mut checks = vec![check_effective(effective), check_count(terms)];
    checks.extend(terms.meters.iter().map(|(name, meter)| check_meter(terms, name, meter)));
    checks.extend(terms.charges.iter().map(|(name, charge)| check_charge(terms, name, charge)));
    checks.push(check_services(terms));
    checks.extend(check_adjustments(terms));
    checks.push(check_pay(terms));
    checks.into_iter().filter_map(Result::err).collect()
}

fn check_effective(effective: &Effective) -> Check {
    match effective.until.filter(|until| *until < effective.from) {
        Some(until) => {
            let place = Place { section: "effective", name: "until" };
            let message = format!("the last day, {until}, comes before the first, {}", effective.from);
            Err(place.problem("bad-dates", &[&until], message))
        }
        None => Ok(()),
    }
}

fn check_count(terms: &Terms) -> Check {
    if terms.count.double_click.seconds() <= MAX_DOUBLE_CLICK {
        return Ok(());
    }
    let place = Place { section: "count", name: "double_click" };
    Err(place.problem("bad-span", &[], "a double click cannot take longer than ten minutes").help("write 30s"))
}

fn check_meter(terms: &Terms, name: &str, meter: &Meter) -> Check {
    let place = Place { section: "meters", name };
    check_name(place, "meter", name)?;
    match meter {
        Meter::Ratio { numerator, denominator, .. } => {
            check_counted(terms, place, numerator)?;
            check_counted(terms, place, denominator)
        }
        Meter::Offered(goods) => check_name(place, "goods", goods),
        Meter::Sold { of, .. } => check_sales(place, of),
        Meter::Counted { .. } | Meter::Published { .. } | Meter::Advertisements(_) => Ok(()),
    }
}

fn check_sales(place: Place<'_>, sales: &Sales) -> Check {
    check_name(place, "kind of event", &sales.event)?;
    sales.goods.as_ref().map_or(Ok(()), |goods| check_name(place, "goods", goods))
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

fn check_charge(terms: &Terms, name: &str, charge: &Charge) -> Check {
    let place = Place { section: "charges", name };
    let currency = terms.money.currency;
    check_name(place, "charge", name)?;
    if RESERVED.contains(&name) {
        return Err(place.problem("duplicate", &[], format!("`{name}` is already the name of another line")));
    }
    match charge {
        Charge::Base(Base { link, framework, inherited }) => {
            check_amount(place, "link", *link, currency)?;
            check_amount(place, "framework", *framework, currency)?;
            check_amount(place, "inherited", *inherited, currency)
        }
        Charge::Services(prices) => prices.iter().try_for_each(|(service, price)| {
            check_name(place, "service", service)?;
            check_amount(place, "services", *price, currency)
        }),
        Charge::Graduated(tiered) | Charge::Volume(tiered) => check_prices(terms, place, tiered),
        Charge::Flat(tiered) => check_flat(terms, place, tiered),
        Charge::Package(package) => check_package(terms, place, package),
        Charge::PerEvent(per_event) => check_per_event(terms, place, per_event),
    }
}

fn check_prices(terms: &Terms, place: Place<'_>, Tiered { meter, tiers }: &Tiered) -> Check {
    check_counted(terms, place, meter)?;
    check_tiers(terms, place, "tiers", meter, tiers)?;
    match tiers.iter().find(|(_, price)| price.is_negative()) {
        Some((_, price)) => Err(negative(place, &["tiers"], *price)),
        None => Ok(()),
    }
}

fn check_flat(terms: &Terms, place: Place<'_>, Tiered { meter, tiers }: &Tiered) -> Check {
    check_total(terms, place, meter)?;
    check_tiers(terms, place, "tiers", meter, tiers)?;
    tiers.iter().try_for_each(|(_, amount)| check_amount(place, "tiers", *amount, terms.money.currency))
}

fn check_package(terms: &Terms, place: Place<'_>, Package { meter, size, price }: &Package) -> Check {
    check_counted(terms, place, meter)?;
    if decimals(*size) > 0 || !size.is_above(Decimal::whole(0)) {
        let message = format!("a package of {size} cannot be; its size is a whole number above 0");
        return Err(place.problem("bad-size", &[&"size", size], message));
    }
    if price.is_negative() { Err(negative(place, &["price"], *price)) } else { Ok(()) }
}

fn check_per_event(terms: &Terms, place: Place<'_>, per_event: &PerEvent) -> Check {
    let PerEvent { of, rate, min, max } = per_event;
    check_sales(place, of)?;
    match rate {
        Rate::Fixed(percent) => check_percent(place, "rate", *percent)?,
        Rate::Banded { meter, rates } => {
            check_total(terms, place, meter)?;
            check_tiers(terms, place, "rates", meter, rates)?;
            rates.iter().try_for_each(|(_, percent)| check_percent(place, "rates", *percent))?;
        }
    }
    check_amount(place, "min", *min, terms.money.currency)?;
    check_amount(place, "max", *max, terms.money.currency)?;
    if min.is_above(*max) {
        let message = format!("the least fee {min} is above the highest fee {max}");
        return Err(place.problem("bad-bounds", &[&"min", min], message));
    }
    Ok(())
}

/// A charge cannot do without a value, so a ratio that one goes by must always have one.
fn check_total(terms: &Terms, place: Place<'_>, meter: &str) -> Check {
    check_known(place, meter, "meter", terms.meters.keys())?;
    if terms.meters.get(meter).is_none_or(Meter::is_total) {
        return Ok(());
    }
    let message = format!("a charge goes by `{meter}`, which has no value where the meter below the line reads 0");
    Err(place.problem("undefined-ratio", &[&meter], message).help(format!("write `if_zero: zero` in `{meter}`")))
}

/// A list of prices that lacks a service that is rendered, or has it twice, charges otherwise than it reads.
fn check_services(terms: &Terms) -> Check {
    let lists = terms.charges.iter().filter_map(|(name, charge)| match charge {
        Charge::Services(prices) => Some((name, prices)),
        _ => None,
    });
    let mut known = BTreeSet::new();
    for (name, service) in lists.clone().flat_map(|(name, list)| list.keys().map(move |key| (name, key))) {
        if !known.insert(service) {
            let place = Place { section: "charges", name };
            return Err(place.problem("duplicate", &[service], format!("service `{service}` is priced twice")));
        }
    }
    let place = Place { section: "services", name: "" };
    let mut seen = BTreeSet::new();
    for service in terms.services.iter().filter(|_| lists.clone().next().is_some()) {
        check_known(place, service, "price of the service", known.iter().copied())?;
        if !seen.insert(service) {
            return Err(place.problem("duplicate", &[service, service], format!("service `{service}` stands twice")));
        }
    }
    Ok(())
}

/// What is paid in advance must be known then; what is collected with sales must be charged for them.
fn check_pay(terms: &Terms) -> Check {
    let place = Place { section: "pay", name: "" };
    let mut seen = BTreeSet::new();
    for name in terms.pay.advance.iter().chain(&terms.pay.collected) {
        check_known(place, name, "charge", terms.charges.keys())?;
        if !seen.insert(name) {
            let message = format!("charge `{name}` is paid in two ways");
            return Err(place.problem("duplicate", &[name, name], message));
        }
    }
    let charge = |name: &&String| terms.charges.get(*name);
    let fixed = |name: &&String| matches!(charge(name), Some(Charge::Base(_) | Charge::Services(_)));
    if let Some(name) = terms.pay.advance.iter().find(|name| !fixed(name)) {
        let message =
            format!("charge `{name}` is not known before the period has ended, so it cannot be paid in advance");
        return Err(place.problem("not-in-advance", &[&"advance", name], message));
    }
    let on_sales = |name: &&String| matches!(charge(name), Some(Charge::PerEvent(_)));
    match terms.pay.collected.iter().find(|name| !on_sales(name)) {
        Some(name) => {
            let message = format!("charge `{name}` is not on single sales, so it cannot be collected with them");
            Err(place.problem("not-per-sale", &[&"collected", name], message))
        }
        None => Ok(()),
    }
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
fn check_tiers<T: Display>(terms: &Terms, place: Place<'_>, key: &'static str, meter: &str, tiers: &Tiers<T>) -> Check {
    check_order(place, key, tiers)?;
    if terms.meters.get(meter).is_some_and(Meter::is_whole) {
        return tiers.iter().try_for_each(|(threshold, _)| check_whole(place, key, *threshold));
    }
    Ok(())
}

fn check_order<T: Display>(place: Place<'_>, key: &'static str, tiers: &Tiers<T>) -> Check {
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
fn check_whole(place: Place<'_>, key: &'static str, threshold: Decimal) -> Check {
    if decimals(threshold) == 0 {
        return Ok(());
    }
    let message = format!("threshold {threshold} is not a whole number, but its meter counts in whole numbers");
    Err(place.problem("fractional-threshold", &[&key, &threshold], message))
}

fn check_adjustments(terms: &Terms) -> Vec<Check> {
    let mut ids = BTreeSet::new();
    let mut previous = Stage::Percentages;
    let mut checks = Vec::new();
    for adjustment in &terms.adjust {
        let stage = Stage::of(adjustment);
        checks.push(check_stage(previous, stage));
        previous = stage;
        checks.push(match adjustment {
            Adjustment::Banded(banded) => {
                check_id(terms, &banded.id, &mut ids).and_then(|()| check_discount(terms, banded))
            }
            Adjustment::CapDiscount(cap) => check_percent(ADJUST, "cap_discount", *cap),
            Adjustment::Maximum(highest) => check_amount(ADJUST, "maximum", *highest, terms.money.currency),
            Adjustment::Minimum(least) => check_minimum(terms, *least),
        });
    }
    checks
}

fn check_minimum(terms: &Terms, least: Decimal) -> Check {
    check_amount(ADJUST, "minimum", least, terms.money.currency)?;
    let highest = terms.adjust.iter().find_map(|adjustment| match adjustment {
        Adjustment::Maximum(highest) => Some(*highest),
        _ => None,
    });
    match highest.filter(|highest| least.is_above(*highest)) {
        Some(highest) => {
            let message = format!("the minimum {least} is above the maximum {highest}");
            Err(ADJUST.problem("bad-bounds", &[&"minimum", &least], message))
        }
        None => Ok(()),
    }
}

const ADJUST: Place<'_> = Place { section: "adjust", name: "" };

/// The steps of an adjustment, in the order in which they are made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Percentages,
    Cap,
    Maximum,
    Minimum,
}

impl Stage {
    fn of(adjustment: &Adjustment) -> Self {
        match adjustment {
            Adjustment::Banded(_) => Self::Percentages,
            Adjustment::CapDiscount(_) => Self::Cap,
            Adjustment::Maximum(_) => Self::Maximum,
            Adjustment::Minimum(_) => Self::Minimum,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Percentages => "bands",
            Self::Cap => "cap_discount",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
        }
    }
}

/// A contract that wrote the steps in another order would read otherwise than it is computed.
fn check_stage(previous: Stage, stage: Stage) -> Check {
    let key = stage.key();
    if stage < previous {
        let message = format!("`{key}` stands after `{}`", previous.key());
        let help =
            "percentages are applied first, then `cap_discount`, `maximum` and `minimum`: write them in this order";
        return Err(ADJUST.problem("adjust-order", &[&previous.key(), &key], message).help(help));
    }
    if stage == previous && stage != Stage::Percentages {
        return Err(ADJUST.problem("duplicate", &[&key, &key], format!("there are two `{key}`")));
    }
    Ok(())
}

fn check_discount(terms: &Terms, banded: &BandedDiscount) -> Check {
    let BandedDiscount { id, when, meter, on, off } = banded;
    let place = Place { section: "adjust", name: id };
    check_known(place, meter, "meter", terms.meters.keys())?;
    check_tiers(terms, place, "off", meter, off)?;
    off.iter().try_for_each(|(_, percent)| check_percent(place, "off", *percent))?;
    when.as_ref().map_or(Ok(()), |when| check_when(terms, place, when))?;
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

fn check_when(terms: &Terms, place: Place<'_>, When { meter, from }: &When) -> Check {
    check_known(place, meter, "meter", terms.meters.keys())?;
    if from.is_negative() {
        let message = format!("{from} is negative, and no meter reads less than 0");
        return Err(place.problem("bad-tiers", &[&"when", from], message));
    }
    if terms.meters.get(meter).is_some_and(Meter::is_whole) { check_whole(place, "when", *from) } else { Ok(()) }
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
mod tests;
