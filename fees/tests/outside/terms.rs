//! Random contracts, as JSON, which is YAML.

use fastrand::Rng;
use serde_json::{Map, Value, json};
use tieup_protocol::robots;

/// The first version of the list of robots.
const FIRST_LIST: &str = "blake3:e104e885ce23e0ff78e43c5a5cf705dd325dfc95b1878f166b54919a3b3f959a";

/// Zones with whole, half and quarter hours, and such whose clocks are set forward or back in November.
const ZONES: [&str; 7] =
    ["Asia/Tokyo", "UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "Europe/Berlin", "America/St_Johns"];

/// Meters that grow with visits or sales, and others; by name.
const COUNTS: [(&str, &str); 13] = [
    ("tie", r#"{"views": {"class": "tieup"}}"#),
    ("own", r#"{"unique_views": {"class": "original"}}"#),
    ("all", r#"{"views": {"class": "both"}}"#),
    ("popular", r#"{"views": {"class": "both", "paths": ["/local/**", "/a"]}}"#),
    ("traffic", r#"{"bytes": {"class": "original", "paths": ["/local/festival"]}}"#),
    ("sittings", r#"{"sessions": {"class": "both"}}"#),
    ("people", r#"{"visitors": {"class": "tieup"}}"#),
    ("stock", r#"{"pages": {"class": "both"}}"#),
    ("size", r#"{"content_bytes": {"class": "original"}}"#),
    ("ads", r#"{"ads": {"owner": "partner"}}"#),
    ("offered", r#"{"offered": {"goods": "lantern"}}"#),
    ("sold", r#"{"units": {"event": "settled_orders", "goods": "lantern"}}"#),
    ("turnover", r#"{"amount": {"event": "settled_orders", "via": "original"}}"#),
];

/// A contract with random terms.
pub(crate) fn contract(rng: &mut Rng) -> Value {
    let currency = *pick(rng, &["JPY", "EUR", "KWD"]);
    let from = *pick(rng, &["2026-01-01", "2026-11-01", "2026-11-08", "2026-11-16", "2026-11-30"]);
    let mut effective = json!({"from": from, "tz": pick(rng, &ZONES)});
    if rng.u8(0..4) == 0 {
        effective["until"] = json!("2026-11-30");
    }
    let newest = robots::list_digest().to_string();
    let (charges, pay) = charges(rng);
    let names: Vec<String> = charges.keys().cloned().collect();
    json!({
        "contract": "main/shop@3",
        "effective": effective,
        "partnership": pick(rng, &["inherited", "framework", "link"]),
        "mounts": {"/": "main"},
        "approval": {"policy": "ask"},
        "services": if rng.bool() { json!(["backup", "security"]) } else { json!([]) },
        "journal": {"writer": "partner", "verifier": "both"},
        "count": {
            "rules": "page-view/1", "robots": pick(rng, &[FIRST_LIST, &newest]),
            "double_click": pick(rng, &["0s", "30s", "2m", "10m"]), "session": "hour",
        },
        "money": {
            "currency": currency, "round": pick(rng, &["half_up", "half_even", "down", "up"]),
            "at": pick(rng, &["line", "total"]), "prorate": pick(rng, &["none", "days"]),
        },
        "meters": meters(rng),
        "charges": charges,
        "adjust": adjust(rng, &names),
        "pay": pay,
        "close": {"grace": "5d", "late": "next_period_correction"},
    })
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.usize(0..of.len())]
}

/// Every count, a ratio that always has a value and one that may have none.
fn meters(rng: &mut Rng) -> Value {
    let counts = COUNTS.iter().map(|(name, meter)| ((*name).to_owned(), serde_json::from_str(meter).unwrap()));
    let mut meters: Map<String, Value> = counts.collect();
    for (name, if_zero) in [("share", "zero"), ("lure", "none")] {
        let (above, below) = (pick(rng, &COUNTS).0, pick(rng, &COUNTS).0);
        meters.insert(name.to_owned(), json!({"ratio": [above, below], "if_zero": if_zero}));
    }
    Value::Object(meters)
}

/// The name of a count.
fn count(rng: &mut Rng) -> &'static str {
    pick(rng, &COUNTS).0
}

/// A whole amount, or a price with some decimals.
fn price(rng: &mut Rng) -> Value {
    if rng.bool() { json!(rng.u32(0..200)) } else { json!(format!("{}.{:03}", rng.u32(0..3), rng.u32(0..1_000))) }
}

fn percent(rng: &mut Rng) -> Value {
    if rng.bool() {
        json!(format!("{}%", rng.u32(0..=60)))
    } else {
        json!(format!("{}.{:02}%", rng.u32(0..20), rng.u32(0..100)))
    }
}

/// Tiers whose thresholds are whole, or small decimals for ratios.
fn tiers(rng: &mut Rng, meter: &str, value: fn(&mut Rng) -> Value) -> Value {
    let is_ratio = matches!(meter, "share" | "lure");
    let most = *pick(rng, &[5, 100, 20_000]);
    let mut thresholds: Vec<u32> = (0..rng.usize(0..4)).map(|_| rng.u32(1..most)).collect();
    thresholds.push(0);
    thresholds.sort_unstable();
    thresholds.dedup();
    let decimal = |threshold: u32| json!(format!("{}.{:03}", threshold / 1_000, threshold % 1_000));
    let written = |threshold: u32| if is_ratio { decimal(threshold) } else { json!(threshold) };
    thresholds.into_iter().map(|threshold| json!([written(threshold), value(rng)])).collect()
}

fn whole(rng: &mut Rng) -> Value {
    json!(rng.u32(0..50_000))
}

fn charge(rng: &mut Rng) -> Value {
    let meter = count(rng);
    let always = if rng.bool() { "share" } else { meter };
    match rng.u8(0..8) {
        0 => json!({"by": "partnership", "link": whole(rng), "framework": whole(rng), "inherited": whole(rng)}),
        1 | 2 => json!({"graduated": meter, "tiers": tiers(rng, meter, price)}),
        3 => json!({"volume": meter, "tiers": tiers(rng, meter, price)}),
        4 => json!({"flat": always, "tiers": tiers(rng, always, whole)}),
        5 => json!({"package": meter, "size": rng.u32(1..500), "price": price(rng)}),
        _ => per_event(rng, always),
    }
}

fn per_event(rng: &mut Rng, meter: &str) -> Value {
    let mut charge = json!({"per_event": "settled_orders", "min": rng.u32(0..40), "max": rng.u32(40..5_000)});
    if rng.bool() {
        charge["rate"] = percent(rng);
    } else {
        charge["rate_by"] = json!(meter);
        charge["rates"] = tiers(rng, meter, percent);
    }
    if rng.bool() {
        charge["goods"] = json!("lantern");
    }
    if rng.bool() {
        charge["via"] = json!(pick(rng, &["tieup", "original"]));
    }
    charge
}

/// Charges with one that is on every sale, and how they are paid.
fn charges(rng: &mut Rng) -> (Map<String, Value>, Value) {
    let mut charges: Map<String, Value> = (0..rng.usize(1..6)).map(|n| (format!("c{n}"), charge(rng))).collect();
    charges.insert("orders".to_owned(), json!({"per_event": "settled_orders", "rate": "3.5%", "min": 0, "max": 5_000}));
    if rng.bool() {
        let prices = json!({"backup": whole(rng), "security": whole(rng), "marketing": 7});
        charges.insert("help".to_owned(), json!({"services": prices}));
        let pay = if rng.bool() { json!({"advance": ["help"], "collected": ["orders"]}) } else { json!({}) };
        return (charges, pay);
    }
    (charges, json!({}))
}

fn adjust(rng: &mut Rng, charges: &[String]) -> Value {
    let mut adjust: Vec<Value> = (0..rng.usize(0..4)).map(|number| discount(rng, number, charges)).collect();
    if rng.bool() {
        adjust.push(json!({"cap_discount": percent(rng)}));
    }
    if rng.bool() {
        adjust.push(json!({"maximum": rng.u32(30_000..200_000)}));
    }
    if rng.bool() {
        adjust.push(json!({"minimum": rng.u32(0..30_000)}));
    }
    Value::Array(adjust)
}

fn discount(rng: &mut Rng, number: usize, charges: &[String]) -> Value {
    let count = count(rng);
    let meter = *pick(rng, &[count, "share", "lure"]);
    let on: Vec<&String> = charges.iter().filter(|_| rng.bool()).collect();
    let on = if on.is_empty() { vec![&charges[0]] } else { on };
    let mut discount = json!({"id": format!("d{number}"), "bands": meter, "on": on, "off": tiers(rng, meter, percent)});
    if rng.u8(0..3) == 0 {
        discount["when"] = json!({"meter": pick(rng, &[count, "lure"]), "from": rng.u32(0..20)});
    }
    discount
}
