//! Every term that makes no sense among the others is refused at its place.

use crate::contract::Contract;

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
    ["settled_orders", "\"a\\ntotal\"", "bad-name", "\"a\\ntotal\" cannot be the name of a kind of event", "13:orders"],
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
    ["on: [access]", "on: [access, access]", "duplicate", "discount `lure` names charge `access` twice", "15:access"],
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

/// Terms of the kinds that the good contract above does without: what is added to it, and the refusal of it.
const ADDED: &[[&str; 5]] = &[
    [
        "charges: {",
        "charges: {size: {flat: attract, tiers: [[0, 5]]},\n ",
        "undefined-ratio",
        "a charge goes by `attract`, which has no value where the meter below the line reads 0",
        "11:attract",
    ],
    [
        "charges: {",
        "charges: {sold: {per_event: x, rate_by: attract, rates: [[0, \"1%\"]], min: 0, max: 5},\n ",
        "undefined-ratio",
        "a charge goes by `attract`, which has no value where the meter below the line reads 0",
        "11:attract",
    ],
    [
        "charges: {",
        "charges: {size: {flat: own, tiers: [[0, \"5.5\"]]},\n ",
        "finer-than-currency",
        "5.5 is finer than JPY, which has 0 decimals",
        "11:5.5",
    ],
    [
        "charges: {",
        "charges: {mass: {volume: own, tiers: [[0, 5], [7, 3], [7, 2]]},\n ",
        "bad-tiers",
        "tier 7 does not lie above 7",
        "11:7",
    ],
    [
        "charges: {",
        "charges: {mass: {package: own, size: 0, price: 2},\n ",
        "bad-size",
        "a package of 0 cannot be; its size is a whole number above 0",
        "11:0",
    ],
    [
        "charges: {",
        "charges: {mass: {package: own, size: 10, price: -2},\n ",
        "negative-amount",
        "-2 is negative; what is taken off belongs into `adjust`",
        "11:-2",
    ],
    [
        "charges: {",
        "charges: {cap: {package: own, size: 10, price: 2},\n ",
        "duplicate",
        "`cap` is already the name of another line",
        "11:cap",
    ],
    [
        "meters: {",
        "meters: {odd: {offered: {goods: \"a b\"}},\n ",
        "bad-name",
        "\"a b\" cannot be the name of a goods",
        "10:a b",
    ],
    [
        "charges: {",
        "services: [backup, secrity]\ncharges: {help: {services: {backup: 1, security: 2}},\n ",
        "unknown-name",
        "there is no price of the service `secrity`",
        "11:secrity",
    ],
    [
        "charges: {",
        "services: [backup, backup]\ncharges: {help: {services: {backup: 1}},\n ",
        "duplicate",
        "service `backup` stands twice",
        "11:backup",
    ],
    [
        "charges: {",
        "charges: {help: {services: {backup: 1}}, more: {services: {backup: 2}},\n ",
        "duplicate",
        "service `backup` is priced twice",
        "11:backup",
    ],
    [
        "bands: tie,",
        "when: {meter: own, from: \"0.5\"}, bands: tie,",
        "fractional-threshold",
        "threshold 0.5 is not a whole number, but its meter counts in whole numbers",
        "14:0.5",
    ],
    ["bands: tie,", "when: {meter: owm, from: 5}, bands: tie,", "unknown-name", "there is no meter `owm`", "14:owm"],
    [
        "{minimum: 10000}",
        "{maximum: 9999}, {minimum: 10000}",
        "bad-bounds",
        "the minimum 10000 is above the maximum 9999",
        "17:10000",
    ],
    [
        "{minimum: 10000}",
        "{minimum: 10000}, {maximum: 20000}",
        "adjust-order",
        "`maximum` stands after `minimum`",
        "17:maximum",
    ],
    [
        "close:",
        "pay: {advance: [access]}\nclose:",
        "not-in-advance",
        "charge `access` is not known before the period has ended, so it cannot be paid in advance",
        "18:access",
    ],
    [
        "close:",
        "pay: {collected: [base]}\nclose:",
        "not-per-sale",
        "charge `base` is not on single sales, so it cannot be collected with them",
        "18:base",
    ],
    [
        "close:",
        "pay: {advance: [base], collected: [base]}\nclose:",
        "duplicate",
        "charge `base` is paid in two ways",
        "18:base",
    ],
    ["close:", "pay: {collected: [ordres]}\nclose:", "unknown-name", "there is no charge `ordres`", "18:ordres"],
    [
        "from: 2026-11-01",
        "from: 2026-11-01, until: 2026-10-31",
        "bad-dates",
        "the last day, 2026-10-31, comes before the first, 2026-11-01",
        "3:2026-10-31",
    ],
];

#[test]
fn every_inconsistent_term_is_refused_at_its_place() {
    for [from, to, code, message, place] in REFUSED.iter().chain(ADDED) {
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
fn all_terms_that_are_wrong_are_told_at_once() {
    let text = GOOD.replacen("graduated: tie", "graduated: tei", 1).replacen("bands: attract", "bands: atract", 1);
    let error = Contract::parse("contract.yaml", &text.replacen("30s", "3h", 1)).unwrap_err();
    let told: Vec<&str> = std::iter::once(&error).chain(&error.also).map(|problem| problem.code).collect();
    assert_eq!(told, ["bad-span", "unknown-name", "unknown-name"]);
}

#[test]
fn a_near_name_is_suggested() {
    let text = GOOD.replacen("graduated: tie", "graduated: tye", 1);
    let error = Contract::parse("contract.yaml", &text).unwrap_err();
    assert_eq!(error.help.as_deref(), Some("did you mean `tie`?"));
}
