//! A random month: who visited, what was sold, what was published, and the contract it is charged under.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tieup_fees::count::{ByClass, Tally, Totals};
use tieup_fees::{Books, Catalogue, Cause, Correction, Counted, Counter, Event, Money, Payment, Stock};
use tieup_protocol::access::{AccessEntry, AgentClass, Method, Purpose, ReferrerClass, VisitorToken};
use tieup_protocol::access_export::ExportFormat;
use tieup_protocol::contract::{Contract, MeterClass};
use tieup_protocol::digest::Digest;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::robots;

use crate::terms;

const PATHS: [&str; 6] = ["/", "/a/", "/local/", "/local/map/", "/locality/", "/local/festival/x.html"];

/// Everything that a fee is made from.
pub(crate) struct Case {
    pub(crate) contract: Contract,
    pub(crate) period: Period,
    pub(crate) entries: Vec<AccessEntry>,
    pub(crate) struck: BTreeSet<u64>,
    /// Counts in place of entries.
    pub(crate) counted: Option<Counted>,
    pub(crate) catalogue: Catalogue,
    pub(crate) events: Vec<Event>,
    pub(crate) payments: Vec<Payment>,
    pub(crate) corrections: Vec<Correction>,
    document: Value,
}

impl Case {
    /// The case with this number, always the same.
    pub(crate) fn random(number: u64) -> Self {
        let mut rng = Rng::with_seed(number);
        let document = terms::contract(&mut rng);
        let text = document.to_string();
        let contract = Contract::parse("contract.yaml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let month: Month = "2026-11".parse().unwrap();
        let period = contract.period(month);
        let counted = rng.bool().then(|| counted(&mut rng, &contract, period));
        let entries = if counted.is_some() { Vec::new() } else { log(&mut rng, &contract, period) };
        let struck = (0..entries.len() as u64).filter(|_| rng.u8(..) < 10).collect();
        let events = (0..rng.u64(0..12)).map(|number| event(&mut rng, &contract, number)).collect();
        let (payments, corrections) = (payments(&mut rng, &contract), corrections(&mut rng, &contract));
        let catalogue = catalogue(&mut rng);
        Self { contract, period, entries, struck, counted, catalogue, events, payments, corrections, document }
    }

    /// Whether the linter tells of `code`.
    pub(crate) fn tells(&self, code: &str) -> bool {
        self.contract.lint("contract.yaml", &self.document.to_string()).iter().any(|problem| problem.code == code)
    }

    /// What is priced, with these counts.
    pub(crate) fn books<'a>(&'a self, counted: &'a Counted) -> Books<'a> {
        Books { counted, catalogue: Some(&self.catalogue), events: &self.events }
    }

    /// Puts a few views of one original page in place of all visits, so that tiers are near.
    pub(crate) fn forget_most_visits(&mut self) {
        let contract = &self.contract;
        let mut counted = Counter::of_period(&contract.terms.count, &contract.effective.tz, self.period).finish();
        counted.pages = PATHS.into_iter().map(|path| (path.parse().unwrap(), ByClass::default())).collect();
        let few = Tally { views: 3, unique_views: 2, bytes: 5_000 };
        counted.pages.entry("/local/".parse().unwrap()).or_default().original = few;
        (counted.original.tally, counted.both.tally) = (few, few);
        (counted.original.sessions, counted.both.sessions, counted.both.visitors) = (2, 2, 1);
        self.counted = Some(counted);
    }

    /// Adds a view of a tie-up page to the counts, of any page, and new to the session and the day or not.
    pub(crate) fn view_once_more(&mut self, number: u64) {
        let mut rng = Rng::with_seed(number);
        let Some(counted) = &mut self.counted else { return };
        let page = counted.pages.get_mut(rng.choice(PATHS).unwrap()).unwrap();
        let (unique, bytes) = (rng.u64(0..2), u128::from(rng.u64(0..9_000)));
        for tally in [&mut page.tieup, &mut counted.tieup.tally, &mut counted.both.tally] {
            add(tally, &Tally { views: 1, unique_views: unique, bytes });
        }
        let (session, visitor) = (rng.u64(0..=unique), rng.u64(0..=unique));
        counted.tieup.sessions += session;
        counted.both.sessions += rng.u64(0..=session);
        counted.tieup.visitors += visitor;
        counted.both.visitors += rng.u64(0..=visitor);
    }

    /// Turns round what has no order.
    pub(crate) fn turn(&mut self) {
        self.events.reverse();
        self.payments.reverse();
        self.corrections.reverse();
    }

    /// The case as the second implementation is told it.
    pub(crate) fn told(&self) -> Value {
        let minor = |money: Money| i64::try_from(money.minor()).unwrap();
        let stock = |stock: Stock| json!({"pages": stock.pages, "bytes": stock.bytes});
        let Catalogue { tieup, original, main_ads, partner_ads, offered } = &self.catalogue;
        let correction = |c: &Correction| json!({"charged": minor(c.charged), "owed": minor(c.owed)});
        let mut told = json!({
            "contract": self.document,
            "first": self.period.first().to_string(),
            "last": self.period.last().to_string(),
            "robot_rules": robots::words_of(self.contract.terms.count.robots).unwrap(),
            "struck": self.struck,
            "catalogue": {
                "tieup": stock(*tieup), "original": stock(*original),
                "ads": {"main": main_ads, "partner": partner_ads}, "offered": offered,
            },
            "events": self.events.iter().map(told_event).collect::<Vec<_>>(),
            "corrections": self.corrections.iter().map(correction).collect::<Vec<_>>(),
            "payments": self.payments.iter().map(|p| json!({"amount": minor(p.amount)})).collect::<Vec<_>>(),
        });
        match &self.counted {
            Some(counted) => told["counts"] = told_counts(counted),
            None => told["entries"] = self.entries.iter().zip(0..).map(told_entry).collect(),
        }
        told
    }
}

/// An entry as it is exported for other programs.
fn told_entry((entry, number): (&AccessEntry, u64)) -> Value {
    serde_json::from_str(&ExportFormat::Ndjson.line(number, entry)).unwrap()
}

fn told_event(event: &Event) -> Value {
    let minor = |money: Money| i64::try_from(money.minor()).unwrap();
    let via = event.via.map(|via| if via == MeterClass::Tieup { "tieup" } else { "original" });
    json!({
        "id": event.id, "kind": event.kind, "amount": minor(event.amount), "units": event.units,
        "goods": event.goods, "via": via, "collected": event.collected.map(minor),
    })
}

fn told_counts(counted: &Counted) -> Value {
    let page = |class: &ByClass| json!({"tieup": tally(&class.tieup), "original": tally(&class.original)});
    let pages: serde_json::Map<String, Value> =
        counted.pages.iter().map(|(path, class)| (path.to_string(), page(class))).collect();
    json!({
        "tieup": totals(&counted.tieup), "original": totals(&counted.original), "both": totals(&counted.both),
        "pages": pages,
    })
}

fn tally(tally: &Tally) -> Value {
    let bytes = u64::try_from(tally.bytes).unwrap();
    json!({"views": tally.views, "unique_views": tally.unique_views, "bytes": bytes})
}

/// Counts as the second implementation writes them.
pub(crate) fn totals(totals: &Totals) -> Value {
    let mut told = tally(&totals.tally);
    told["sessions"] = totals.sessions.into();
    told["visitors"] = totals.visitors.into();
    told
}

/// Counts of any size, as if there had been such visits.
fn counted(rng: &mut Rng, contract: &Contract, period: Period) -> Counted {
    let mut counted = Counter::of_period(&contract.terms.count, &contract.effective.tz, period).finish();
    for path in PATHS {
        let page = ByClass { tieup: any_tally(rng), original: any_tally(rng) };
        for (sum, tally) in [(&mut counted.tieup, page.tieup), (&mut counted.original, page.original)] {
            add(&mut sum.tally, &tally);
            add(&mut counted.both.tally, &tally);
        }
        counted.pages.insert(path.parse().unwrap(), page);
    }
    for totals in [&mut counted.tieup, &mut counted.original, &mut counted.both] {
        totals.sessions = rng.u64(0..=totals.tally.views);
        totals.visitors = rng.u64(0..=totals.sessions);
    }
    counted
}

fn any_tally(rng: &mut Rng) -> Tally {
    let most = rng.choice([0, 3, 50, 5_000]).unwrap();
    let views = rng.u64(0..=most);
    Tally { views, unique_views: rng.u64(0..=views), bytes: u128::from(views) * u128::from(rng.u64(0..5_000)) }
}

fn add(sum: &mut Tally, tally: &Tally) {
    sum.views += tally.views;
    sum.unique_views += tally.unique_views;
    sum.bytes += tally.bytes;
}

/// A log that is mostly in order, with repeats, gaps of hours and days, clocks that step back, and a part outside of
/// the period.
fn log(rng: &mut Rng, contract: &Contract, period: Period) -> Vec<AccessEntry> {
    let zone = &contract.effective.tz;
    let mut now = period.start(zone) + SignedDuration::from_secs(rng.i64(-7_200..86_400));
    if rng.bool() {
        now = period.end(zone) - SignedDuration::from_secs(rng.i64(0..7_200));
    }
    let mut entries = Vec::new();
    for _ in 0..rng.usize(0..90) {
        let gaps = [0, 1, 5_000, 29_999, 30_000, 30_001, 300_000, 3_000_000, 40_000_000, -10_000, -400_000, -700_000];
        now += SignedDuration::from_millis(rng.choice(gaps).unwrap());
        entries.push(entry(rng, now));
    }
    entries
}

fn entry(rng: &mut Rng, time: Timestamp) -> AccessEntry {
    let odd = rng.u8(0..40);
    let classes = [Some(MeterClass::Tieup), Some(MeterClass::Original)];
    AccessEntry {
        time,
        class: if odd == 0 { None } else { rng.choice(classes).unwrap() },
        method: if odd == 1 { Method::Head } else { Method::Get },
        status: if odd == 2 { 404 } else { rng.choice([200, 200, 304]).unwrap() },
        bytes: rng.u64(0..100_000),
        purpose: if odd == 3 { Purpose::Prefetch } else { Purpose::Document },
        visitor: VisitorToken([rng.u8(0..4); 16]),
        agent: AgentClass::Desktop,
        robot: if odd < 12 { rng.choice([1, 42, 43, 73, 74]).unwrap() } else { 0 },
        referrer: ReferrerClass::None,
        path: rng.choice(PATHS).unwrap().parse().unwrap(),
    }
}

fn event(rng: &mut Rng, contract: &Contract, number: u64) -> Event {
    let currency = contract.terms.money.currency;
    let collects = !contract.terms.pay.collected.is_empty();
    let kind = if rng.u8(0..5) == 0 && !collects { "gifts" } else { "settled_orders" };
    let goods = rng.choice([None, Some("lantern"), Some("kettle")]).unwrap();
    let most = rng.choice([100, 10_000, 1_000_000]).unwrap();
    let collected = (collects && rng.bool()).then(|| Money::new(currency, rng.i128(0..2_000)));
    Event {
        id: format!("order-{number}"),
        kind: kind.to_owned(),
        amount: Money::new(currency, rng.i128(0..most)),
        units: rng.u64(0..9),
        goods: goods.map(str::to_owned),
        via: rng.choice([None, Some(MeterClass::Tieup), Some(MeterClass::Original)]).unwrap(),
        collected,
    }
}

fn catalogue(rng: &mut Rng) -> Catalogue {
    let mut stock = || Stock { pages: rng.u64(0..200), bytes: rng.u64(0..5_000_000) };
    let (tieup, original) = (stock(), stock());
    let offered = if rng.bool() { BTreeMap::from([("lantern".to_owned(), rng.u64(0..30))]) } else { BTreeMap::new() };
    Catalogue { tieup, original, main_ads: rng.u64(0..5), partner_ads: rng.u64(0..5), offered }
}

fn payments(rng: &mut Rng, contract: &Contract) -> Vec<Payment> {
    let number = if contract.terms.pay.advance.is_empty() { 0 } else { rng.u8(0..3) };
    let currency = contract.terms.money.currency;
    let payment =
        |number| Payment { reference: format!("p{number}"), amount: Money::new(currency, rng.i128(0..90_000)) };
    (0..number).map(payment).collect()
}

fn corrections(rng: &mut Rng, contract: &Contract) -> Vec<Correction> {
    let currency = contract.terms.money.currency;
    let mut any = || Money::new(currency, rng.i128(0..5_000));
    let correction = Correction {
        period: "2026-10".parse().unwrap(),
        issued: Digest::of(b"issued"),
        right: Digest::of(b"right"),
        cause: Cause::LateEntries,
        charged: any(),
        owed: any(),
    };
    if rng.u8(0..4) == 0 { vec![correction] } else { Vec::new() }
}
