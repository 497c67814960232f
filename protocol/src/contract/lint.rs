//! What of the fee terms is well formed and yet not what anybody means: tiers that no value reaches, tiers that change
//! nothing, percentages that a cap cuts, charges that fall with one more visit to a tie-up page.
//!
//! A contract with such terms can be used, and a statement under it is right. `tieup check` tells of them before both
//! sides sign.

use super::adjustments::{Adjustment, BandedDiscount};
use super::charges::{Charge, PerEvent, Rate, Tiers};
use super::meters::{Advertiser, Classes, Meter, Sales};
use super::place::{Place, TermProblem};
use super::terms::Terms;
use crate::decimal::Decimal;

/// The values that hold from one threshold after the other.
struct Steps<'a, T> {
    place: Place<'a>,
    /// The key that the tiers stand under.
    key: &'static str,
    meter: &'a str,
    tiers: &'a Tiers<T>,
}

/// Which ways one more view of a tie-up page can move a meter.
#[derive(Clone, Copy)]
struct Moves {
    up: bool,
    down: bool,
}

/// All findings, in the order of charges and adjustments.
pub(super) fn check(terms: &Terms) -> Vec<TermProblem> {
    let mut found = Vec::new();
    for (name, charge) in &terms.charges {
        let place = Place { section: "charges", name };
        match charge {
            Charge::Graduated(tiered) | Charge::Volume(tiered) => {
                let tiers = Steps { place, key: "tiers", meter: &tiered.meter, tiers: &tiered.tiers };
                found.extend(ineffective(terms, &tiers));
            }
            Charge::Flat(tiered) => {
                let flat = Steps { place, key: "tiers", meter: &tiered.meter, tiers: &tiered.tiers };
                found.extend(ineffective(terms, &flat));
                found.extend(falling(terms, &flat, |amount| *amount));
            }
            Charge::PerEvent(PerEvent { rate: Rate::Banded { meter, rates }, .. }) => {
                let banded = Steps { place, key: "rates", meter, tiers: rates };
                found.extend(ineffective(terms, &banded));
                found.extend(falling(terms, &banded, |rate| rate.hundredths()));
            }
            Charge::Base(_) | Charge::Services(_) | Charge::Package(_) | Charge::PerEvent(_) => {}
        }
    }
    found.extend(terms.adjust.iter().flat_map(|adjustment| match adjustment {
        Adjustment::Banded(banded) => discount(terms, banded),
        _ => Vec::new(),
    }));
    found
}

/// Tiers that no value reaches, and those that change nothing.
fn ineffective<T: PartialEq + std::fmt::Display>(terms: &Terms, steps: &Steps<'_, T>) -> Vec<TermProblem> {
    let Steps { place, key, meter, tiers } = steps;
    let mut found = Vec::new();
    if is_share(terms, meter) {
        let beyond = tiers.iter().find(|(threshold, _)| threshold.is_above(Decimal::whole(1)));
        found.extend(beyond.map(|(threshold, _)| {
            let message =
                format!("no value reaches the tier from {threshold}: `{meter}` is a part of a whole, at most 1");
            place.problem("unreachable-tier", &[&key, threshold], message).help("a ratio of 30% is written \"0.3\"")
        }));
    }
    let same = tiers.windows(2).filter(|pair| pair[0].1 == pair[1].1);
    found.extend(same.map(|pair| {
        let message = format!("the tier from {} changes nothing: {} holds before it, too", pair[1].0, pair[1].1);
        place.problem("same-tier", &[&key, &pair[0].0, &pair[0].1, &pair[1].0], message)
    }));
    found
}

/// Amounts that one more view of a tie-up page would lower.
fn falling<T>(terms: &Terms, steps: &Steps<'_, T>, amount: fn(&T) -> Decimal) -> Option<TermProblem> {
    let Steps { place, key, meter, tiers } = steps;
    let moves = moves(terms, meter);
    let falls = |pair: &&[(Decimal, T)]| {
        let (before, after) = (amount(&pair[0].1), amount(&pair[1].1));
        (moves.up && before.is_above(after)) || (moves.down && after.is_above(before))
    };
    let pair = tiers.windows(2).find(falls)?;
    let message = format!("one more view of a tie-up page lowers this charge where `{meter}` passes {}", pair[1].0);
    let help = "let the charge rise, and take off in `adjust`";
    Some(place.problem("falling-charge", &[&key, &pair[1].0], message).help(help))
}

fn discount(terms: &Terms, banded: &BandedDiscount) -> Vec<TermProblem> {
    let BandedDiscount { id, when, meter, off, .. } = banded;
    let place = Place { section: "adjust", name: id };
    let mut found = ineffective(terms, &Steps { place, key: "off", meter, tiers: off });
    if let Some(when) = when.as_ref().filter(|when| when.meter == *meter) {
        let below = off
            .windows(2)
            .filter(|pair| !pair[1].0.is_above(when.from) && pair[0].1.hundredths().is_above(Decimal::whole(0)));
        found.extend(below.map(|pair| {
            let message = format!("no value reaches the tier from {}: the discount begins at {}", pair[0].0, when.from);
            place.problem("unreachable-tier", &[&"off", &pair[0].0], message)
        }));
    }
    let cap = terms.adjust.iter().find_map(|adjustment| match adjustment {
        Adjustment::CapDiscount(cap) => Some(*cap),
        _ => None,
    });
    if let Some(cap) = cap {
        let above = off.iter().filter(|(_, percent)| percent.hundredths().is_above(cap.hundredths()));
        found.extend(above.map(|(threshold, percent)| {
            let message = format!("{percent} is never given: `cap_discount` is {cap}");
            place.problem("above-cap", &[&"off", threshold, percent], message)
        }));
    }
    found
}

/// Whether a meter is a ratio of a part to the whole that holds it.
fn is_share(terms: &Terms, meter: &str) -> bool {
    let Some(Meter::Ratio { numerator, denominator, .. }) = terms.meters.get(meter) else { return false };
    match (terms.meters.get(numerator), terms.meters.get(denominator)) {
        (Some(part), Some(whole)) => is_part(part, whole),
        _ => false,
    }
}

/// Whether all that `part` counts is counted by `whole`.
fn is_part(part: &Meter, whole: &Meter) -> bool {
    let in_class = |part: Classes, whole: Classes| whole == Classes::Both || part == whole;
    match (part, whole) {
        (Meter::Counted { quantity, class, paths }, Meter::Counted { quantity: of, class: wider, paths: within }) => {
            quantity == of && in_class(*class, *wider) && (within.is_empty() || within == paths)
        }
        (Meter::Published { extent, class }, Meter::Published { extent: of, class: wider }) => {
            extent == of && in_class(*class, *wider)
        }
        (Meter::Advertisements(part), Meter::Advertisements(whole)) => *whole == Advertiser::Both || part == whole,
        (Meter::Sold { measure, of: part }, Meter::Sold { measure: of, of: whole }) => {
            measure == of && is_among(part, whole)
        }
        _ => false,
    }
}

fn is_among(part: &Sales, whole: &Sales) -> bool {
    part.event == whole.event
        && (whole.goods.is_none() || whole.goods == part.goods)
        && (whole.via.is_none() || whole.via == part.via)
}

/// Which ways one more view of a tie-up page can move a meter.
fn moves(terms: &Terms, meter: &str) -> Moves {
    let rises = |name: &str| match terms.meters.get(name) {
        Some(Meter::Counted { class, .. }) => *class != Classes::Original,
        _ => false,
    };
    let Some(Meter::Ratio { numerator, denominator, .. }) = terms.meters.get(meter) else {
        return Moves { up: rises(meter), down: false };
    };
    // A share of the whole does not fall by what is of the part, and the view is if the part is not of some paths alone.
    // What is no share is 0 by `if_zero` before the first view, and can be anything after it.
    let (is_share, above, below) = (is_share(terms, meter), rises(numerator), rises(denominator));
    let is_of_all = matches!(terms.meters.get(numerator), Some(Meter::Counted { paths, .. }) if paths.is_empty());
    Moves { up: above || (below && !is_share), down: below && !(above && is_share && is_of_all) }
}

#[cfg(test)]
mod tests {
    use crate::contract::Contract;
    use crate::robots;

    /// A contract with nothing to find.
    fn good() -> String {
        format!(
            r#"contract: nationwide/harbor-shop@3
effective: {{from: 2026-11-01, tz: Asia/Tokyo}}
partnership: inherited
mounts: {{"/": main}}
approval: {{policy: ask}}
journal: {{writer: partner, verifier: both}}
count: {{rules: page-view/1, robots: "{}", double_click: 30s, session: hour}}
money: {{currency: JPY, round: half_up, at: line}}
meters:
  tie: {{views: {{class: tieup}}}}
  own: {{views: {{class: original}}}}
  all: {{views: {{class: both}}}}
  share: {{ratio: [own, all], if_zero: zero}}
charges:
  access: {{graduated: tie, tiers: [[0, "0.50"], [100000, "0.30"]]}}
  size: {{flat: share, tiers: [[0, 9000], ["0.5", 4000]]}}
adjust:
  - {{id: lure, when: {{meter: own, from: 1000}}, bands: own, on: [access], off: [[0, "0%"], [1000, "10%"], [5000, "20%"]]}}
  - {{cap_discount: "40%"}}
close: {{grace: 5d, late: next_period_correction}}
"#,
            robots::list_digest()
        )
    }

    /// The codes, messages and underlined places of what is found once `from` reads `to`.
    fn found(from: &str, to: &str) -> Vec<(&'static str, String, String)> {
        let text = good();
        assert!(text.contains(from), "{from}");
        let text = text.replacen(from, to, 1);
        let contract = Contract::parse("contract.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
        let place = |problem: &crate::diagnostic::Diagnostic| {
            let span = problem.span.as_ref().unwrap();
            let word: String = span.text.chars().skip(span.column - 1).take(span.length).collect();
            format!("{}:{}:{word}", span.line, span.column)
        };
        let told = contract.lint("contract.yaml", &text);
        told.iter().map(|problem| (problem.code, problem.message.clone(), place(problem))).collect()
    }

    #[test]
    fn good_terms_have_nothing_to_be_told_of() {
        assert_eq!(found("JPY", "JPY"), []);
    }

    #[test]
    fn what_is_of_no_effect_is_told_at_its_place() {
        let table = [
            (
                "[\"0.5\", 4000]",
                "[30, 4000]",
                "unreachable-tier",
                "no value reaches the tier from 30: `share` is a part of a whole, at most 1",
                "16:43:30",
            ),
            (
                "[100000, \"0.30\"]",
                "[100000, \"0.50\"]",
                "same-tier",
                "the tier from 100000 changes nothing: 0.50 holds before it, too",
                "15:50:100000",
            ),
            (
                "[[0, \"0%\"], [1000, \"10%\"]",
                "[[0, \"5%\"], [1000, \"10%\"]",
                "unreachable-tier",
                "no value reaches the tier from 0: the discount begins at 1000",
                "18:81:0",
            ),
            ("\"20%\"]", "\"50%\"]", "above-cap", "50% is never given: `cap_discount` is 40%", "18:114:50%"),
            (
                "[[0, 9000], [\"0.5\", 4000]]",
                "[[0, 4000], [\"0.5\", 9000]]",
                "falling-charge",
                "one more view of a tie-up page lowers this charge where `share` passes 0.5",
                "16:44:0.5",
            ),
            (
                "flat: share, tiers: [[0, 9000], [\"0.5\", 4000]]",
                "flat: tie, tiers: [[0, 9000], [5, 4000]]",
                "falling-charge",
                "one more view of a tie-up page lowers this charge where `tie` passes 5",
                "16:41:5",
            ),
        ];
        for (from, to, code, message, place) in table {
            assert_eq!(found(from, to), [(code, message.to_owned(), place.to_owned())], "{from} -> {to}");
        }
    }

    #[test]
    fn a_share_of_some_paths_can_fall_by_a_view_elsewhere() {
        let shares = |paths: &str| {
            let text = good()
                .replacen("own: {views: {class: original}}", &format!("own: {{views: {{class: tieup{paths}}}}}"), 1)
                .replacen("[[0, 9000], [\"0.5\", 4000]]", "[[0, 4000], [\"0.5\", 9000]]", 1);
            Contract::parse("contract.yaml", &text).unwrap().lint("contract.yaml", &text).len()
        };
        assert_eq!((shares(""), shares(", paths: [\"/a/\"]")), (0, 1));
    }

    #[test]
    fn a_ratio_leaves_nothing_with_the_first_view() {
        // 0 of 0 is 0 by `if_zero`; 5 of 1 is 5: so the amount may not be lower there.
        assert_eq!(found("ratio: [own, all]", "ratio: [own, tie]").len(), 1);
    }

    #[test]
    fn what_a_ratio_of_different_things_reads_is_not_guessed_at() {
        // A band of a discount from 3 on, by originals' views to tie-up views, can well be reached.
        let by_ratio = "bands: share, on: [access], off: [[0, \"0%\"], [3, \"10%\"]]";
        let discount = "bands: own, on: [access], off: [[0, \"0%\"], [1000, \"10%\"], [5000, \"20%\"]]";
        let text = good().replacen(discount, by_ratio, 1).replacen("  size: {flat: share", "  size: {flat: own", 1);
        let text = text.replacen("[\"0.5\", 4000]", "[5, 4000]", 1);
        let told = |text: &str| Contract::parse("contract.yaml", text).unwrap().lint("contract.yaml", text).len();
        assert_eq!((told(&text), told(&text.replacen("[own, all]", "[own, tie]", 1))), (1, 0));
    }
}
