//! Every way of charging that the requirements name, written as a contract and worked out by hand.

#![cfg(test)]

mod month;

use std::collections::BTreeMap;

use tieup_fees::{Cause, Correction, Counter, Event, Money, Payment};
use tieup_protocol::access::{AccessEntry, AgentClass, Method, Purpose, ReferrerClass, VisitorToken};
use tieup_protocol::contract::{Contract, Currency, MeterClass};
use tieup_protocol::digest::Digest;
use tieup_protocol::robots;

use self::month::{month, month_with};

const POPULAR: &str = r#"
meters:
  own: {views: {class: original}}
  tie: {views: {class: tieup}}
  led: {amount: {event: settled_orders, via: original}}
charges:
  base: {by: partnership, link: 0, framework: 20000, inherited: 50000}
adjust:
  - {id: attraction, when: {meter: own, from: 5000}, bands: led, on: [base], off: [[0, "0%"], [100000, "10%"], [300000, "20%"]]}
"#;

#[test]
fn row_003_39_popular_originals_that_lift_mains_sales_are_discounted() {
    let via_originals = |event: &mut Event| event.via = Some(MeterClass::Original);
    // 5,000 views of originals, and 120,000 yen of sales that came by them: 10% of 50,000 = 5,000 off.
    let popular = month(POPULAR).views(100, 5_000).sale(80_000, via_originals).sale(40_000, via_originals);
    assert_eq!((popular.line("attraction").as_str(), popular.total().as_str()), ("-5000", "45000 JPY"));
    // The same sales with 4,999 views: the pages are not popular, so nothing.
    let unseen = month(POPULAR).views(100, 4_999).sale(120_000, via_originals);
    assert_eq!(unseen.line("attraction"), "0");
    // Any number of views without sales: invented visits earn nothing.
    assert_eq!(month(POPULAR).views(0, 1_000_000).line("attraction"), "0");
    // Sales that came by tie-up pages are main's own doing.
    let mains = month(POPULAR).views(0, 9_000).sale(500_000, |event| event.via = Some(MeterClass::Tieup));
    assert_eq!(mains.line("attraction"), "0");
}

#[test]
fn row_003_39_single_pages_can_be_the_popular_ones() {
    // A path of a meter covers itself and what is below: 3 views of /local/festival/ and below it, of 4 in all.
    let mut month = month(
        r#"
meters:
  festival: {views: {class: original, paths: ["/local/festival/**"]}}
charges:
  base: {by: partnership, link: 0, framework: 20000, inherited: 50000}
adjust:
  - {id: festival, bands: festival, on: [base], off: [[0, "0%"], [3, "1%"]]}
"#,
    );
    let contract = month.contract.clone();
    let count = |paths: &[&str]| {
        let november = "2026-11".parse().unwrap();
        let mut counter = Counter::new(&contract.terms.count, &contract.effective.tz, november);
        paths.iter().zip(1..).for_each(|(path, visitor)| counter.observe(&original(path, visitor)));
        counter.finish()
    };
    month.counted = count(&["/local/festival/", "/local/festival/map/", "/local/festival/", "/local/festivals/"]);
    assert_eq!(month.line("festival"), "-500"); // 1% of 50,000
    month.counted = count(&["/local/festival/", "/local/festival/map/", "/local/festivals/"]);
    assert_eq!(month.line("festival"), "0");
}

/// A view of an original page.
fn original(path: &str, visitor: u8) -> AccessEntry {
    AccessEntry {
        time: "2026-11-10T03:00:00Z".parse().unwrap(),
        class: Some(MeterClass::Original),
        method: Method::Get,
        status: 200,
        bytes: 1_000,
        purpose: Purpose::Document,
        visitor: VisitorToken([visitor; 16]),
        agent: AgentClass::Desktop,
        robot: 0,
        referrer: ReferrerClass::None,
        path: path.parse().unwrap(),
    }
}

#[test]
fn row_003_40_accesses_above_a_threshold_are_discounted() {
    let terms = r#"
meters:
  all: {views: {class: both}}
charges:
  base: {by: partnership, link: 0, framework: 20000, inherited: 50000}
adjust:
  - {id: incentive, bands: all, on: [base], off: [[0, "0%"], [200000, "5%"]]}
"#;
    assert_eq!(month(terms).views(150_000, 49_999).total(), "50000 JPY");
    // From 200,000 on: 50,000 - 5% = 47,500.
    assert_eq!(month(terms).views(150_000, 50_000).total(), "47500 JPY");
}

#[test]
fn row_003_41_the_kind_of_partnership_and_each_service_have_a_price() {
    let terms = r"
meters: {}
charges:
  base: {by: partnership, link: 1000, framework: 20000, inherited: 50000}
  help: {services: {backup: 3000, security: 5000, marketing: 12000}}
";
    // Rendered are backup and security: 3,000 + 5,000.
    for (kind, base) in [("link", "1000"), ("framework", "20000"), ("inherited", "50000")] {
        let kind = format!("partnership: {kind}");
        let month = month_with(&[("partnership: inherited", &kind)], terms);
        assert_eq!((month.line("base").as_str(), month.line("help").as_str()), (base, "8000"), "{kind}");
    }
    let all = month_with(&[("[backup, security]", "[backup, security, marketing]")], terms);
    assert_eq!((all.line("help").as_str(), all.total().as_str()), ("20000", "70000 JPY"));
    let none = month_with(&[("[backup, security]", "[]")], terms);
    assert_eq!(none.total(), "50000 JPY");
}

#[test]
fn row_003_36_central_user_logs_are_a_service_with_a_price() {
    let terms = "meters: {}\ncharges:\n  help: {services: {members: 8000}}\n";
    assert_eq!(month_with(&[("[backup, security]", "[members]")], terms).total(), "8000 JPY");
}

#[test]
fn row_003_42_bytes_and_pages_of_both_classes_choose_the_class_of_fee() {
    let terms = r"
meters:
  pages: {pages: {class: tieup}}
  size: {content_bytes: {class: original}}
charges:
  pages: {flat: pages, tiers: [[0, 5000], [10, 12000], [100, 30000]]}
  storage: {package: size, size: 1000000, price: 150}
";
    // (tie-up pages, bytes of originals, fee for pages, fee for bytes: 150 for each megabyte that was begun)
    for (pages, bytes, by_pages, by_bytes) in [
        (0, 0, "5000", "0"),
        (9, 1, "5000", "150"),
        (10, 1_000_000, "12000", "150"),
        (99, 1_000_001, "12000", "300"),
        (100, 9_999_999, "30000", "1500"),
    ] {
        let month = month(terms).published((pages, 7), (3, bytes));
        assert_eq!((month.line("pages"), month.line("storage")), (by_pages.to_owned(), by_bytes.to_owned()), "{pages}");
    }
}

#[test]
fn row_003_43_the_ratio_of_tieup_to_original_accesses_sets_the_fee() {
    let terms = r#"
meters:
  own: {views: {class: original}}
  all: {views: {class: both}}
  share: {ratio: [own, all], if_zero: zero}
charges:
  content: {flat: share, tiers: [[0, 60000], ["0.3", 40000], ["0.6", 25000]]}
"#;
    // Sites C and D have as many pages. C's draw 60 of 100 accesses, D's 10: C pays 25,000 and D 60,000.
    assert_eq!(month(terms).views(40, 60).total(), "25000 JPY");
    assert_eq!(month(terms).views(90, 10).total(), "60000 JPY");
    // 3/10 exactly is in the second band; 299/1000 is not; and a month without any access is in the first.
    assert_eq!(month(terms).views(7, 3).total(), "40000 JPY");
    assert_eq!(month(terms).views(701, 299).total(), "60000 JPY");
    assert_eq!(month(terms).views(0, 0).total(), "60000 JPY");
}

#[test]
fn row_003_44_the_share_of_advertisements_sets_the_fee() {
    let terms = r#"
meters:
  theirs: {ads: {owner: partner}}
  all: {ads: {owner: both}}
  share: {ratio: [theirs, all], if_zero: zero}
charges:
  stage: {by: partnership, link: 0, framework: 20000, inherited: 50000}
  ads: {flat: share, tiers: [[0, 10000], ["0.25", 6000], ["0.5", 0]]}
"#;
    // 1 of 4 is 0.25; 2 of 3 is above 0.5; none at all counts as 0.
    for (main, partner, fee) in [(4, 1, "10000"), (3, 1, "6000"), (1, 1, "0"), (1, 2, "0"), (0, 0, "10000")] {
        assert_eq!(month(terms).ads(main, partner).line("ads"), fee, "{main} {partner}");
    }
}

const LANTERNS: &str = r#"
meters:
  sold: {units: {event: settled_orders, goods: lantern}}
  offered: {offered: {goods: lantern}}
  scarcity: {ratio: [sold, offered], if_zero: zero}
charges:
  lanterns: {per_event: settled_orders, goods: lantern, rate_by: scarcity, rates: [[0, "3%"], ["0.5", "5%"], ["0.9", "8%"]], min: 30, max: 5000}
"#;

#[test]
fn row_003_45_the_rate_on_limited_goods_follows_supply_and_demand() {
    let lanterns = |units: u64| {
        let mut month = month(LANTERNS);
        month.catalogue.offered = BTreeMap::from([("lantern".to_owned(), 10)]);
        (0..units).fold(month, |month, _| month.sale(10_000, |event| event.goods = Some("lantern".to_owned())))
    };
    // 4 of 10 sold: 3% of 10,000 = 300 each. 5 of 10: 5% = 500 each. 9 of 10: 8% = 800 each.
    assert_eq!(lanterns(4).total(), "1200 JPY");
    assert_eq!(lanterns(5).total(), "2500 JPY");
    assert_eq!(lanterns(9).total(), "7200 JPY");
    // Other goods are not meant, and do not change how scarce lanterns are.
    let other = lanterns(4).sale(10_000, |event| event.goods = Some("kettle".to_owned()));
    assert_eq!(other.total(), "1200 JPY");
}

#[test]
fn row_003_45_a_price_a_unit_can_rise_as_goods_sell_out() {
    let terms = r"
meters:
  sold: {units: {event: settled_orders, goods: lantern}}
charges:
  lanterns: {graduated: sold, tiers: [[0, 50], [100, 80]]}
";
    // 150 units: 100 x 50 + 50 x 80 = 9,000.
    let lanterns = |event: &mut Event| (event.goods, event.units) = (Some("lantern".to_owned()), 75);
    assert_eq!(month(terms).sale(1, lanterns).sale(1, lanterns).total(), "9000 JPY");
}

#[test]
fn row_003_45_a_commission_can_be_by_turnover() {
    // An amount is charged like any other quantity: 4% of the first 100,000 yen and 3% beyond.
    // 4,000 + 0.03 x 50,000 = 5,500.
    let terms = r#"
meters:
  turnover: {amount: {event: settled_orders}}
charges:
  commission: {graduated: turnover, tiers: [[0, "0.04"], [100000, "0.03"]]}
"#;
    assert_eq!(month(terms).sale(90_000, |_| ()).sale(60_000, |_| ()).total(), "5500 JPY");
}

#[test]
fn row_003_46_a_fee_is_prepaid_or_collected_with_each_sale() {
    let terms = r#"
meters: {}
charges:
  base: {by: partnership, link: 0, framework: 20000, inherited: 50000}
  orders: {per_event: settled_orders, rate: "3%", min: 30, max: 5000}
pay: {advance: [base], collected: [orders]}
"#;
    // Base 50,000, paid before. Orders: 3% of 10,000 = 300, and at least 30 of 500. 300 and 15 came with the sales.
    // Fee 50,330; still due 50,330 - 50,000 - 315 = 15.
    let mut month = month(terms)
        .sale(10_000, |event| event.collected = Some(Money::new(Currency::Jpy, 300)))
        .sale(500, |event| event.collected = Some(Money::new(Currency::Jpy, 15)));
    month.payments = vec![Payment { reference: "transfer-7".to_owned(), amount: month.money(50_000) }];
    let stated = month.statement();
    assert_eq!((stated.total.minor(), stated.settlement.due.minor()), (50_330, 15));
    assert!(stated.text.contains("\n  paid in advance"), "{}", stated.text);
    assert!(stated.text.ends_with("\ndue:             15 JPY\n"), "{}", stated.text);
    // Too much paid is main's debt.
    month.payments[0].amount = month.money(51_000);
    assert_eq!(month.statement().settlement.due.minor(), -985);
}

#[test]
fn row_003_47_two_partners_are_charged_by_different_criteria() {
    // The same month, 100 tie-up and 300 original views, 40 pages of originals.
    // By pages: 40 original pages are in the class of 9,000.
    let by_pages = "meters: {stock: {pages: {class: original}}}\ncharges: {size: {flat: stock, tiers: [[0, 9000], [50, 20000]]}}\n";
    // By accesses: 100 x 10 = 1,000, less 20%, since 3 of 4 accesses are to originals: 800.
    let by_accesses = r#"
meters:
  tie: {views: {class: tieup}}
  own: {views: {class: original}}
  all: {views: {class: both}}
  share: {ratio: [own, all]}
charges: {access: {graduated: tie, tiers: [[0, 10]]}}
adjust: [{id: attraction, bands: share, on: [access], off: [[0, "0%"], ["0.75", "20%"]]}]
"#;
    for (terms, total) in [(by_pages, "9000 JPY"), (by_accesses, "800 JPY")] {
        assert_eq!(month(terms).views(100, 300).published((5, 5), (40, 40)).total(), total);
    }
}

#[test]
fn row_003_31_34_people_and_sessions_can_be_charged_for() {
    let terms = r"
meters:
  people: {visitors: {class: both}}
  sittings: {sessions: {class: tieup}}
charges:
  members: {graduated: people, tiers: [[0, 2]]}
  sittings: {graduated: sittings, tiers: [[0, 1]]}
";
    let mut month = month(terms);
    (month.counted.both.visitors, month.counted.tieup.sessions) = (70, 90);
    assert_eq!(month.lines(), [("members", "140"), ("sittings", "90")].map(|(id, e)| (id.to_owned(), e.to_owned())));
}

#[test]
fn tiers_are_graduated_by_volume_or_flat_and_units_come_in_packages() {
    let charge =
        |charge: &str| format!("meters: {{tie: {{views: {{class: tieup}}}}}}\ncharges: {{access: {charge}}}\n");
    let of = |terms: &str, views| month(&charge(terms)).views(views, 0).line("access");
    // Each unit at its own tier: 100 x 5 + 50 x 3 = 650.
    assert_eq!(of("{graduated: tie, tiers: [[0, 5], [100, 3]]}", 150), "650");
    // All at the tier that the last unit is in: 300 x 3 = 900. The 100th unit is still in the first tier: 100 x 5.
    let volume = "{volume: tie, tiers: [[0, 5], [100, 3]]}";
    assert_eq!(of(volume, 300), "900");
    assert_eq!(of(volume, 100), "500");
    // 101 x 3 = 303 would be less than the 500 that 100 units come to, so it is 500 until 167 x 3 = 501.
    assert_eq!([101, 166, 167].map(|views| of(volume, views)), ["500", "500", "501"]);
    assert_eq!(of(volume, 0), "0");
    // One amount from each threshold on.
    let flat = "{flat: tie, tiers: [[0, 0], [1, 700], [1000, 900]]}";
    assert_eq!([0, 1, 999, 1_000].map(|views| of(flat, views)), ["0", "700", "700", "900"]);
    // Packages that were begun: 0, 1, 1, 2 of 1,000 at 250.
    let package = "{package: tie, size: 1000, price: 250}";
    assert_eq!([0, 1, 1_000, 1_001].map(|views| of(package, views)), ["0", "250", "250", "500"]);
}

#[test]
fn caps_maximum_and_minimum_come_in_their_order() {
    let terms = r#"
meters: {tie: {views: {class: tieup}}}
charges:
  base: {by: partnership, link: 0, framework: 20000, inherited: 50000}
  access: {graduated: tie, tiers: [[0, 1]]}
adjust:
  - {id: welcome, bands: tie, on: [base], off: [[0, "30%"]]}
  - {id: loyal, bands: tie, on: [base], off: [[0, "20%"]]}
  - {cap_discount: "40%"}
  - {maximum: 100000}
  - {minimum: 40000}
"#;
    // 50,000 + 1,000 - 15,000 - 10,000; 50% is 10% beyond the cap: 5,000 back; 31,000 is short of 40,000 by 9,000.
    let low = month(terms).views(1_000, 0);
    let expected = [
        ("access", "1000"),
        ("base", "50000"),
        ("welcome", "-15000"),
        ("loyal", "-10000"),
        ("cap", "5000"),
        ("maximum", "0"),
        ("minimum", "9000"),
    ];
    assert_eq!(low.lines(), expected.map(|(id, exact)| (id.to_owned(), exact.to_owned())));
    assert_eq!(low.total(), "40000 JPY");
    // 50,000 + 80,000 - 25,000 + 5,000 = 110,000: 10,000 beyond the maximum.
    let high = month(terms).views(80_000, 0);
    assert_eq!((high.line("maximum").as_str(), high.total().as_str()), ("-10000", "100000 JPY"));
}

#[test]
fn amounts_are_rounded_to_the_minor_unit_of_each_currency() {
    // 3 views at 0.3335 = 1.0005: 1 yen, 1.00 euro, 1.001 dinar when halves go up, 1.000 down; 2 yen when it goes up.
    let terms =
        "meters: {tie: {views: {class: tieup}}}\ncharges: {access: {graduated: tie, tiers: [[0, \"0.3335\"]]}}\n";
    for (money, total) in [
        ("JPY, round: half_up", "1 JPY"),
        ("EUR, round: half_up", "1.00 EUR"),
        ("KWD, round: half_up", "1.001 KWD"),
        ("KWD, round: half_even", "1.000 KWD"),
        ("KWD, round: down", "1.000 KWD"),
        ("JPY, round: up", "2 JPY"),
    ] {
        let month = month_with(&[("JPY, round: half_up", money)], terms).views(3, 0);
        assert_eq!(month.total(), total, "{money}");
    }
}

const PRORATED: &str = r#"
meters: {tie: {views: {class: tieup}}, stock: {pages: {class: tieup}}}
charges:
  base: {by: partnership, link: 0, framework: 20000, inherited: 50000}
  access: {graduated: tie, tiers: [[0, 5], [100, 3]]}
  size: {flat: stock, tiers: [[0, 600], [20, 900]]}
adjust:
  - {id: incentive, bands: tie, on: [access], off: [[0, "0%"], [60, "10%"]]}
  - {minimum: 60000}
"#;

#[test]
fn a_part_of_a_month_is_charged_by_its_days() {
    let days = [("from: 2026-11-01", "from: 2026-11-16"), ("at: line", "at: line, prorate: days")];
    // From 16 November 15 of 30 days are charged: base 25,000; the tier of 100 ends at 50, so 80 views are
    // 50 x 5 + 30 x 3 = 340; 25 pages are as many in half a month, so the class of 900, half of it: 450; the band of 60
    // begins at 30: 10% of 340 = 34; 25,000 + 340 + 450 - 34 = 25,756, short of half the minimum by 4,244.
    let month = month_with(&days, PRORATED).views(80, 0).published((25, 0), (0, 0));
    let expected = [("access", "340"), ("base", "25000"), ("size", "450"), ("incentive", "-34"), ("minimum", "4244")];
    assert_eq!(month.lines(), expected.map(|(id, exact)| (id.to_owned(), exact.to_owned())));
    let text = month.statement().text;
    assert!(text.contains("\ndays:            2026-11-16 to 2026-11-30, 15 of 30\n"), "{text}");
    assert!(text.contains("\n    0.5 of 50000 for a month\n"), "{text}");
    // Not prorated, the month is charged whole: 50,000 + 100% of the rest.
    let whole = month_with(&days[..1], PRORATED).views(80, 0).published((25, 0), (0, 0));
    assert_eq!((whole.line("base").as_str(), whole.line("access").as_str()), ("50000", "400"));
    // 7 of 30 days: 50,000 x 7/30 is no finite decimal, and stays exact.
    let week = [("from: 2026-11-01", "from: 2026-11-24"), days[1]];
    assert_eq!(month_with(&week, PRORATED).line("base"), "35000/3");
}

#[test]
fn the_terms_that_the_documentation_shows_are_terms() {
    let document = include_str!("../../../docs/fees.md");
    let shown = document.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let rest = "contract: nationwide/harbor-shop@3\nmounts: {\"/\": main}\napproval: {policy: ask}\n\
                journal: {writer: partner, verifier: both}\n";
    let text = rest.to_owned() + &shown.replace("blake3:...", &robots::list_digest().to_string());
    let contract = Contract::parse("contract.yaml", &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(contract.lint("contract.yaml", &text), []);
}

/// The text without digests that change whenever a word of this file does.
fn without_digests(text: &str) -> String {
    let is_digest = |word: &str| word.strip_prefix("blake3:").is_some_and(|hex| hex.len() == 64);
    let lines = text.lines().map(|line| match line.split(' ').find(|word| is_digest(word)) {
        Some(digest) => line.replace(digest, "DIGEST"),
        None => line.to_owned(),
    });
    lines.fold(String::new(), |text, line| text + &line + "\n")
}

#[test]
fn a_statement_with_every_kind_of_line_is_as_a_fee_manager_reads_it() {
    // 16 to 30 November, 15 of 30 days: amounts for a month, and thresholds of what grows with time, are halved.
    // access: 50 x 0.5 + 30 x 0.3 = 34. ads: 1 of 4 is 0.25: 6,000 / 2 = 3,000. base: 25,000. bulk: 80 x 0.25 = 20,
    // not below 50 x 0.5 = 25. help: 1,500 + 2,500 = 4,000. lanterns: 5 of 10 sold, 5% of 10,000 = 500.
    // storage: 2 x 150 = 300. Together 32,859. attraction: 5% of 25,000 and 34 = 1,251.7; loyal: 40% of 25,000 = 10,000:
    // 45% of base is 5% beyond the cap: 1,250 back. 32,859 - 1,251.7 - 10,000 + 1,250 = 22,857.3, by lines 22,857.
    // Half the maximum of 40,000 is 20,000: 2,857 off. The minimum is 15,000: reached.
    // Due: 20,000 + 750 - 24,000 - 500 = -3,750.
    let changes =
        [("from: 2026-11-01", "from: 2026-11-16, until: 2027-10-31"), ("at: line", "at: line, prorate: days")];
    let mut month = month_with(&changes, include_str!("../../fixtures/every-line.yaml")).views(80, 200).ads(3, 1);
    month = month.published((25, 90_000), (3, 1_500_000));
    month.catalogue.offered = BTreeMap::from([("lantern".to_owned(), 10)]);
    month = month.sale(10_000, |event| {
        (event.goods, event.units, event.via) = (Some("lantern".to_owned()), 5, Some(MeterClass::Original));
        event.collected = Some(Money::new(Currency::Jpy, 500));
    });
    month.payments = vec![Payment { reference: "transfer-7".to_owned(), amount: month.money(24_000) }];
    month.corrections = vec![Correction {
        period: "2026-10".parse().unwrap(),
        issued: Digest::of(b"issued"),
        right: Digest::of(b"right"),
        cause: Cause::LateEntries,
        charged: month.money(137_000),
        owed: month.money(137_750),
    }];
    let text = without_digests(&month.statement().text);
    let expected = include_str!("../../fixtures/every-line.txt");
    assert_eq!(tieup_fees::first_difference(expected, &text), None, "{text}");
}
