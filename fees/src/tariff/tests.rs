//! What is charged and taken off, worked out by hand and held as properties.

use proptest::prelude::*;
use tieup_protocol::contract::Currency::{Eur, Jpy};
use tieup_protocol::contract::{Adjustment, Charge, Terms, Tiered};
use tieup_protocol::decimal::Decimal;

use super::*;
use crate::books::Event;
use crate::fixture::{books, contract, contract_with, counted, order};

const ACCESS: &str = "access: {graduated: tie, tiers: [[0, \"0.50\"], [100000, \"0.30\"]]}";
const INCENTIVE: &str = "on: [base, access], off: [[0, \"0%\"], [200000, \"5%\"]]}";
const CAP: &str = "  - {cap_discount: \"40%\"}\n";
const MINIMUM: &str = "  - {minimum: 10000}\n";

fn priced(contract: &Contract, tieup: u64, original: u64) -> Priced {
    price(contract, &books(&counted(contract, tieup, original), &[])).unwrap()
}

fn line<'a>(priced: &'a Priced, id: &str) -> &'a Line {
    priced.lines.iter().find(|line| line.id == id).unwrap_or_else(|| panic!("no line {id}"))
}

/// The exact amount of a line.
fn exact(priced: &Priced, id: &str) -> String {
    line(priced, id).exact.to_string()
}

#[test]
fn row_003_41_the_base_goes_by_the_kind_of_partnership() {
    for (kind, amount) in [("link", "0"), ("framework", "20000"), ("inherited", "50000")] {
        let contract = contract_with(&[("partnership: inherited", &format!("partnership: {kind}"))]);
        assert_eq!(exact(&priced(&contract, 0, 0), "base"), amount, "{kind}");
    }
}

#[test]
fn every_unit_has_the_price_of_its_tier() {
    let table = [
        (0, "0"),
        (1, "0.5"),           // 1 x 0.50
        (99_999, "49999.5"),  // 99,999 x 0.50
        (100_000, "50000"),   // the 100,000th view is still in the first tier
        (100_001, "50000.3"), // 50,000 + 1 x 0.30
        (250_000, "95000"),   // 50,000 + 150,000 x 0.30
    ];
    for (views, amount) in table {
        assert_eq!(exact(&priced(&contract(), views, 0), "access"), amount, "{views}");
    }
}

#[test]
fn each_tier_that_holds_units_is_shown() {
    let month = priced(&contract(), 100_001, 0);
    let Why::Graduated { units, tiers, .. } = &line(&month, "access").why else { panic!("graduated") };
    let whole = |number: u32| Exact::from(u128::from(number));
    let shown: Vec<_> =
        tiers.iter().map(|t| (t.above.clone(), t.up_to.clone(), t.units.clone(), t.exact.to_string())).collect();
    let first = (whole(0), Some(whole(100_000)), whole(100_000), "50000".to_owned());
    let second = (whole(100_000), None, whole(1), "0.3".to_owned());
    assert_eq!((units, shown), (&whole(100_001), vec![first, second]));
}

#[test]
fn row_003_42_bytes_and_unique_views_can_be_charged() {
    // 1,000,000 bytes at 0.00002 = 20; a charge on unique views in the same way.
    let by = |quantity: &str| {
        contract_with(&[("tie: {views:", &format!("tie: {{{quantity}:")), ("\"0.50\"", "\"0.00002\"")])
    };
    let of = |contract: &Contract| {
        let mut counted = counted(contract, 7, 0);
        counted.tieup.tally.bytes = 90_000;
        counted.tieup.tally.unique_views = 5;
        exact(&price(contract, &books(&counted, &[])).unwrap(), "access")
    };
    assert_eq!(of(&by("bytes")), "1.8"); // 90,000 x 0.00002
    assert_eq!(of(&by("unique_views")), "0.0001"); // 5 x 0.00002
    assert_eq!(of(&by("views")), "0.00014"); // 7 x 0.00002
}

#[test]
fn row_003_45_an_order_pays_a_rate_with_least_and_highest_fee() {
    let table = [
        (0, "30"),      // nothing, raised
        (857, "30"),    // 3.5% = 29.995, raised
        (858, "30.03"), // 3.5% = 30.03
        (142_857, "4999.995"),
        (142_858, "5000"), // 3.5% = 5,000.03, lowered
    ];
    for (amount, fee) in table {
        let contract = contract();
        let month = price(&contract, &books(&counted(&contract, 0, 0), &[order("a", amount)])).unwrap();
        assert_eq!(exact(&month, "orders"), fee, "{amount}");
    }
}

#[test]
fn each_order_is_bounded_by_itself() {
    // 30 (of 500) + 700 (of 20,000) + 5,000 (of 200,000); another kind of event costs nothing.
    let contract = contract();
    let other = Event { kind: "cancelled_orders".to_owned(), ..order("d", 1_000_000) };
    let events = [order("a", 500), order("b", 20_000), other, order("c", 200_000)];
    let month = price(&contract, &books(&counted(&contract, 0, 0), &events)).unwrap();
    assert_eq!(exact(&month, "orders"), "5730");
    let Why::PerEvent(fees) = &line(&month, "orders").why else { panic!("per event") };
    assert_eq!((fees.events, fees.amount.to_string(), fees.at_min, fees.at_max), (3, "220500".to_owned(), 1, 1));
}

#[test]
fn row_003_40_accesses_above_a_threshold_are_discounted() {
    // 199,999 views: 50,000 + 99,999 x 0.30 = 79,999.7, rounded 80,000; with the base 130,000, no discount.
    let below = priced(&contract(), 199_999, 0);
    assert_eq!((exact(&below, "incentive").as_str(), below.total.minor()), ("0", 130_000));
    // 200,000 views: access 80,000; 5% of 130,000 = 6,500.
    let at = priced(&contract(), 200_000, 0);
    assert_eq!((exact(&at, "incentive").as_str(), at.total.minor()), ("-6500", 123_500));
    let Why::Discount { band: Some(band), .. } = &line(&at, "incentive").why else { panic!("discount") };
    assert_eq!(
        (band.from.to_string(), &band.until, band.holds.to_string()),
        ("200000".to_owned(), &None, "5%".to_owned())
    );
}

#[test]
fn percentages_are_of_exact_undiscounted_amounts_and_add_up() {
    // access = 3 x 0.50 = 1.5. Two discounts of 10% each take 0.15 each, not 0.15 and then 0.135.
    let second = format!("on: [access], off: [[0, \"10%\"]]}}\n  - {{id: second, bands: tie, {INCENTIVE}");
    let contract = contract_with(&[(INCENTIVE, &second), (INCENTIVE, "on: [access], off: [[0, \"10%\"]]}")]);
    let month = priced(&contract, 3, 0);
    assert_eq!((exact(&month, "incentive"), exact(&month, "second")), ("-0.15".to_owned(), "-0.15".to_owned()));
}

#[test]
fn the_cap_gives_back_what_is_beyond_it_on_each_charge() {
    // base 50,000: 30% + 25% = 55%, 15% beyond the cap of 40%: 7,500 back. access 50: 30%, not beyond.
    let on_base = "on: [base], off: [[0, \"25%\"]]}";
    let both = format!("on: [base, access], off: [[0, \"30%\"]]}}\n  - {{id: second, bands: tie, {on_base}");
    let month = priced(&contract_with(&[(INCENTIVE, &both)]), 100, 0);
    assert_eq!(exact(&month, "incentive"), "-15015"); // 30% of 50,050
    assert_eq!(exact(&month, "second"), "-12500"); // 25% of 50,000
    assert_eq!(exact(&month, "cap"), "7500");
    assert_eq!(month.total.minor(), 30_035); // 50,050 - 15,015 - 12,500 + 7,500
    let Why::Cap { on, .. } = &line(&month, "cap").why else { panic!("cap") };
    let shown: Vec<_> = on.iter().map(|s| (s.charge.as_str(), s.share.to_string())).collect();
    assert_eq!(shown, [("base", "0.15".to_owned())]);
}

#[test]
fn without_a_cap_no_charge_is_discounted_below_nothing() {
    let off = "on: [base], off: [[0, \"80%\"]]}\n  - {id: second, bands: tie, on: [base], off: [[0, \"70%\"]]}";
    let month = priced(&contract_with(&[(INCENTIVE, off), (CAP, ""), (MINIMUM, "")]), 0, 0);
    // 50,000 - 40,000 - 35,000, and the 50% beyond 100% are given back: 25,000.
    assert_eq!((exact(&month, "cap").as_str(), month.total.minor()), ("25000", 0));
    // Where it is not needed, a contract without cap and minimum has no such lines.
    let month = priced(&contract_with(&[(CAP, ""), (MINIMUM, "")]), 0, 0);
    assert!(month.lines.iter().all(|line| !matches!(line.id.as_str(), "cap" | "minimum")));
}

#[test]
fn the_minimum_comes_last() {
    // A link costs nothing as such; 1,000 views are 500; the minimum of 10,000 adds 9,500.
    let month = priced(&contract_with(&[("partnership: inherited", "partnership: link")]), 1_000, 0);
    assert_eq!((exact(&month, "minimum").as_str(), month.total.minor()), ("9500", 10_000));
    assert_eq!(month.lines.last().map(|line| line.id.as_str()), Some("minimum"));
    // At the minimum exactly, and above it, nothing is added: 20,000 views are 10,000.
    let month = priced(&contract_with(&[("partnership: inherited", "partnership: link")]), 20_000, 0);
    assert_eq!((exact(&month, "minimum").as_str(), month.total.minor()), ("0", 10_000));
}

#[test]
fn lines_or_the_total_are_rounded() {
    // Two charges of 0.5: rounded up one by one they are 2, together 1.
    let twice = format!("{ACCESS}\n  again: {{graduated: tie, tiers: [[0, \"0.50\"]]}}");
    let link = ("partnership: inherited", "partnership: link");
    let changes = [link, (ACCESS, twice.as_str()), (MINIMUM, "")];
    let by_line = priced(&contract_with(&changes), 1, 0);
    assert_eq!(by_line.total.minor(), 2);
    let by_total = priced(&contract_with(&[&changes[..], &[("at: line", "at: total")]].concat()), 1, 0);
    assert_eq!((by_total.total.minor(), by_total.lines[0].rounded), (1, None));
}

#[test]
fn rounding_lines_never_gives_a_fee_below_nothing() {
    // Two charges of 0.4 are 0 each; 100% off both is 0.8, rounded 1: -1 without the minimum of 0.
    let twice = "access: {graduated: tie, tiers: [[0, \"0.4\"]]}\n  again: {graduated: tie, tiers: [[0, \"0.4\"]]}";
    let all_off = "on: [access, again], off: [[0, \"100%\"]]}";
    let link = ("partnership: inherited", "partnership: link");
    let month = priced(&contract_with(&[link, (ACCESS, twice), (INCENTIVE, all_off), (CAP, ""), (MINIMUM, "")]), 1, 0);
    assert_eq!((exact(&month, "minimum").as_str(), month.total.minor()), ("1", 0));
}

#[test]
fn row_003_43_the_ratio_of_original_to_tieup_accesses_discounts() {
    let by_ratio = "bands: attract, on: [base], off: [[0, \"0%\"], [\"0.3334\", \"2%\"], [\"0.5\", \"4%\"]]}";
    let contract =
        contract_with(&[("bands: tie, on: [base, access], off: [[0, \"0%\"], [200000, \"5%\"]]}", by_ratio)]);
    let table = [
        (3, 1, "0"),       // 1/3 is below 0.3334
        (30, 11, "-1000"), // 11/30 = 0.3666...: 2% of 50,000
        (2, 1, "-2000"),   // exactly 0.5: 4%
        (2, 9, "-2000"),
        (5, 0, "0"),
        (0, 9, "0"), // no tie-up views: there is no ratio, so no discount
    ];
    for (tieup, original, off) in table {
        assert_eq!(exact(&priced(&contract, tieup, original), "incentive"), off, "{original}/{tieup}");
    }
    assert_eq!(priced(&contract, 3, 1).readings["attract"].value().unwrap().to_string(), "1/3");
}

#[test]
fn a_ratio_over_nothing_goes_by_the_contract() {
    let from_zero = "bands: attract, on: [base], off: [[0, \"1%\"]]}";
    let bands = "bands: tie, on: [base, access], off: [[0, \"0%\"], [200000, \"5%\"]]}";
    let none = contract_with(&[(bands, from_zero)]);
    let zero = contract_with(&[(bands, from_zero), ("if_zero: none", "if_zero: zero")]);
    assert_eq!(exact(&priced(&none, 0, 5), "incentive"), "0");
    assert_eq!(exact(&priced(&zero, 0, 5), "incentive"), "-500"); // the band from 0: 1% of 50,000
}

#[test]
fn row_003_59_accesses_to_originals_count_towards_the_fee() {
    // A regional partner pays for the accesses to its own pages: 1,000 x 0.50.
    let regional =
        contract_with(&[("graduated: tie", "graduated: own"), ("partnership: inherited", "partnership: framework")]);
    let month = priced(&regional, 70, 1_000);
    assert_eq!((exact(&month, "access").as_str(), month.total.minor()), ("500", 20_500));
}

#[test]
fn row_003_47_different_criteria_per_partner() {
    // The same month, 250,000 tie-up and 100,000 original views, under three contracts:
    // harbor-shop: 50,000 + 95,000 - 5% of both = 137,750
    // hill-shop pays by visits to its originals, 100,000 x 0.50, and a framework: 20,000 + 50,000 - 3,500 = 66,500
    // lane-shop has a link, is charged for nothing but a higher minimum: 95,000 - 4,750 = 90,250 -> 100,000
    let harbor = contract();
    let hill = contract_with(&[
        ("harbor-shop", "hill-shop"),
        ("partnership: inherited", "partnership: framework"),
        ("graduated: tie", "graduated: own"),
    ]);
    let lane = contract_with(&[
        ("harbor-shop", "lane-shop"),
        ("partnership: inherited", "partnership: link"),
        ("minimum: 10000", "minimum: 100000"),
    ]);
    for (contract, total) in [(harbor, 137_750), (hill, 66_500), (lane, 100_000)] {
        assert_eq!(priced(&contract, 250_000, 100_000).total, Money::new(Jpy, total), "{}", contract.id);
    }
}

#[test]
fn events_that_make_no_sense_are_refused() {
    let contract = contract();
    let refusal = |event| price(&contract, &books(&counted(&contract, 0, 0), &[event])).unwrap_err().to_string();
    let euros = Event { amount: Money::new(Eur, 100), ..order("a", 0) };
    assert_eq!(refusal(euros), "event `a` is in EUR; the contract is in JPY");
    assert_eq!(refusal(order("a", -1)), "event `a` has the negative amount -1 JPY");
}

#[test]
fn a_catalogue_is_asked_for_where_it_is_needed_and_cannot_forge_a_line() {
    let by_pages = contract_with(&[("tie: {views:", "tie: {pages:")]);
    let counted = counted(&by_pages, 0, 0);
    assert_eq!(price(&by_pages, &books(&counted, &[])), Err(PricingError::NoCatalogue("tie".to_owned())));
    let forged = Catalogue { offered: [("a 1\noffered b".to_owned(), 2)].into(), ..Catalogue::default() };
    let refused = price(&by_pages, &Books { catalogue: Some(&forged), ..books(&counted, &[]) });
    assert_eq!(refused, Err(PricingError::Goods("a 1\noffered b".to_owned())));
}

#[test]
fn sizes_that_money_cannot_hold_are_refused() {
    let contract = contract_with(&[("tie: {views:", "tie: {bytes:"), ("\"0.30\"", "\"1000\"")]);
    let mut counted = counted(&contract, 0, 0);
    counted.tieup.tally.bytes = u128::MAX;
    assert_eq!(price(&contract, &books(&counted, &[])), Err(PricingError::TooLarge("access".to_owned())));
}

#[test]
fn terms_changed_behind_the_parsers_back_are_refused_and_do_not_panic() {
    let refusal = |change: fn(&mut Terms)| {
        let mut contract = contract();
        change(&mut contract.terms);
        price(&contract, &books(&counted(&contract, 1, 1), &[])).unwrap_err()
    };
    assert_eq!(refusal(|terms| terms.meters.clear()), PricingError::Meter("tie".to_owned()));
    assert_eq!(refusal(|terms| terms.charges.clear()), PricingError::Charge("base".to_owned()));
    let no_tiers = refusal(|terms| {
        let tiered = Tiered { meter: "tie".to_owned(), tiers: vec![(Decimal::whole(5), Decimal::whole(1))] };
        terms.charges.insert("access".to_owned(), Charge::Graduated(tiered));
    });
    assert_eq!(no_tiers, PricingError::Tiers("tie".to_owned()));
}

/// Rising thresholds from 0.
fn thresholds() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::btree_set(1..2_000_u32, 0..4).prop_map(|rest| [0].into_iter().chain(rest).collect())
}

/// A contract with random tiers, bands, cap, minimum, currency and rounding.
fn any_contract() -> impl Strategy<Value = Contract> {
    let prices = thresholds().prop_flat_map(|t| {
        let price = (0..5_000_u32).prop_map(|p| format!("{}.{:03}", p / 1_000, p % 1_000));
        (Just(t.clone()), proptest::collection::vec(price, t.len()))
    });
    let offs = thresholds().prop_flat_map(|t| (Just(t.clone()), proptest::collection::vec(0..=100_u32, t.len())));
    let currency = prop::sample::select(vec!["JPY", "EUR", "USD"]);
    let round = prop::sample::select(vec!["half_up", "half_even", "down"]);
    let at = prop::sample::select(vec!["line", "total"]);
    let kind = prop::sample::select(vec!["inherited", "framework", "link"]);
    let limits = (0..=100_u32, 0..60_000_u32);
    (prices, offs, currency, round, at, kind, limits).prop_map(|(prices, offs, currency, round, at, kind, limits)| {
        let tiers: Vec<_> = prices.0.iter().zip(prices.1).map(|(t, p)| format!("[{t}, \"{p}\"]")).collect();
        let bands: Vec<_> = offs.0.iter().zip(offs.1).map(|(t, p)| format!("[{t}, \"{p}%\"]")).collect();
        contract_with(&[
            ("partnership: inherited", &format!("partnership: {kind}")),
            ("currency: JPY, round: half_up, at: line", &format!("currency: {currency}, round: {round}, at: {at}")),
            (ACCESS, &format!("access: {{graduated: tie, tiers: [{}]}}", tiers.join(", "))),
            (INCENTIVE, &format!("on: [base, access], off: [{}]}}", bands.join(", "))),
            (CAP, &format!("  - {{cap_discount: \"{}%\"}}\n", limits.0)),
            (MINIMUM, &format!("  - {{minimum: {}}}\n", limits.1)),
        ])
    })
}

/// The sum of the charges before anything is taken off.
fn undiscounted(priced: &Priced) -> Exact {
    priced.lines.iter().filter(|line| line.why.is_charge()).map(|line| &line.exact).sum()
}

proptest! {
    #[test]
    fn the_lines_sum_to_the_total(contract in any_contract(), tieup in 0..3_000_u64, original in 0..3_000_u64) {
        let month = priced(&contract, tieup, original);
        let money = &contract.terms.money;
        let sum = match money.at {
            RoundAt::Line => month.lines.iter().map(|line| line.rounded.unwrap().minor()).sum(),
            RoundAt::Total => month.exact.round(money.currency, money.round).unwrap().minor(),
        };
        prop_assert_eq!(sum, month.total.minor());
        prop_assert_eq!(month.lines.iter().map(|line| &line.exact).sum::<Exact>(), month.exact);
    }

    #[test]
    fn the_total_is_never_below_the_minimum(contract in any_contract(), tieup in 0..3_000_u64) {
        let least = contract.terms.adjust.iter().find_map(|adjustment| match adjustment {
            Adjustment::Minimum(least) => Some(Exact::from(*least)),
            _ => None,
        });
        prop_assert!(priced(&contract, tieup, 0).total.exact() >= least.unwrap());
    }

    #[test]
    fn one_more_tieup_view_never_lowers_the_undiscounted_charge(contract in any_contract(), views in 0..3_000_u64) {
        let (before, after) = (priced(&contract, views, 5), priced(&contract, views + 1, 5));
        prop_assert!(undiscounted(&after) >= undiscounted(&before));
    }

    #[test]
    fn tiers_share_out_every_unit_once(contract in any_contract(), views in 0..3_000_u64) {
        let month = priced(&contract, views, 0);
        let Why::Graduated { tiers, .. } = &line(&month, "access").why else { panic!("graduated") };
        prop_assert_eq!(tiers.iter().map(|tier| &tier.units).sum::<Exact>(), Exact::from(u128::from(views)));
        let mut end = Exact::zero();
        for tier in tiers {
            prop_assert_eq!(&tier.above, &end);
            end = tier.up_to.clone().unwrap_or_else(Exact::zero);
        }
    }

    #[test]
    fn no_value_is_in_two_bands(contract in any_contract(), views in 0..3_000_u64) {
        let Some(Adjustment::Banded(discount)) = contract.terms.adjust.first() else { panic!("a discount") };
        let value = Exact::from(u128::from(views));
        let bands = &discount.off;
        let holds = |at: usize| {
            let below_next = bands.get(at + 1).is_none_or(|(next, _)| value < Exact::from(*next));
            value >= Exact::from(bands[at].0) && below_next
        };
        let holding: Vec<usize> = (0..bands.len()).filter(|at| holds(*at)).collect();
        prop_assert_eq!(holding.len(), 1);
        let month = priced(&contract, views, 0);
        let Why::Discount { band: Some(band), .. } = &line(&month, "incentive").why else { panic!("a band") };
        prop_assert_eq!((&band.from, band.holds), (&Exact::from(bands[holding[0]].0), bands[holding[0]].1));
    }
}
