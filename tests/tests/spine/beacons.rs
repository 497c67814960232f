//! Beacons of tie-up pages: who asks for them, what main counts, and that visits a partner leaves out are found.

use axum::body::Body;
use axum::http::{Request, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tieup_examples::visitor::{BROWSER, Page, ROBOT, Visitor};
use tieup_tests::{Contract, World, assert_says};

use crate::findings::{findings_as_json, rules};

/// Where the fixture's beacons go by contract, and where its partners' visitors are.
const TO: &str = "https://lampworks.example";

/// A main site with two partners whose pages have beacons, one whose pages have none, and originals at each.
async fn world() -> World {
    let with_beacons = |partner: &str| {
        let from = format!("https://{partner}.example");
        Contract::inherited().beacons(&format!("{{to: {TO}, from: [{from}]}}"))
    };
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", with_beacons("north"))
        .original("north", "/local/", "Our own shelf.")
        .contract("south", with_beacons("south"))
        .contract("west", Contract::inherited())
        .start()
        .await;
    for partner in ["north", "south", "west"] {
        world.go_live(partner).await;
    }
    world.settle_beacons().await;
    world
}

/// Where the beacon of a page leads, as a browser would ask for it; none where the page has none.
fn beacon(page: &Page) -> Option<&str> {
    let (_, rest) = page.text.split_once(&format!("<img src=\"{TO}"))?;
    let (address, attributes) = rest.split_once('"')?;
    assert!(attributes.contains("crossorigin=\"anonymous\" referrerpolicy=\"no-referrer\""), "{attributes}");
    Some(address)
}

/// Asks main for a beacon as a browser does that shows a page of `origin`.
async fn ask(world: &World, beacon: &str, origin: &str, agent: &str, more: &[(&str, &str)]) -> Page {
    let mut request = Request::get(format!("http://{}{beacon}", world.main_public()))
        .header(header::USER_AGENT, agent)
        .header(header::ORIGIN, origin);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    Visitor::new(agent).send(request.body(Body::empty()).unwrap()).await.unwrap()
}

/// A browser, told from others by its version.
fn browser(number: usize) -> String {
    format!("Mozilla/5.0 (X11; Linux x86_64; rv:{number}) Gecko/20100101")
}

/// Somebody reads two of main's pages and one of the partner's own, and their browser asks for what stands on them.
async fn visit(world: &World, partner: &str, agent: &str) {
    let visitor = Visitor::new(agent);
    for path in ["/", "/about/"] {
        let page = world.visit(partner, path, &visitor).await;
        let beacon = beacon(&page).unwrap_or_else(|| panic!("{path} has no beacon:\n{}", page.text));
        ask(world, beacon, &format!("https://{partner}.example"), agent, &[]).await;
    }
}

/// What main counted of a partner's beacons, by page.
async fn counted(world: &World, partner: &str) -> Vec<(String, u64)> {
    world.settle_beacons().await;
    let counts = world.hub().database.beacons(&partner.parse().unwrap(), i64::MIN / 48..i64::MAX / 48).await.unwrap();
    let pages = counts.pages.into_iter().map(|((_, page), number)| (page.to_string(), number));
    let mut sums = std::collections::BTreeMap::<String, u64>::new();
    pages.for_each(|(page, number)| *sums.entry(page).or_default() += number);
    assert_eq!(counts.hours.values().sum::<u64>(), sums.values().sum::<u64>());
    sums.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_39_40_43_tieup_pages_have_a_beacon_where_the_contract_asks_for_it_and_the_policy_lets_it_through() {
    let world = world().await;
    let visitor = Visitor::new(BROWSER);
    let policy = |page: &Page| page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    let [north, south, west] = [
        world.visit("north", "/about/", &visitor).await,
        world.visit("south", "/about/", &visitor).await,
        world.visit("west", "/about/", &visitor).await,
    ];
    assert_eq!(beacon(&north), Some("/tieup-beacon/about/"));
    assert_eq!(north.text, south.text, "the same page for all partners");
    assert!(policy(&north).contains("img-src 'self' data: https://lampworks.example;"), "{}", policy(&north));
    // No third party where nobody agreed to one: not in the page, and not in its policy.
    assert!(!west.text.contains("lampworks.example/tieup-beacon") && !policy(&west).contains("lampworks"));
    let own = world.visit("north", "/local/", &visitor).await;
    assert!(beacon(&own).is_none() && !policy(&own).contains("lampworks"), "{}", own.text);
    // It is in main's own page, which its manifest binds: one blob for all who have it.
    let about = |partner| world.manifest(partner, 1).entries["/about/"].blob;
    assert_eq!(about("north"), about("south"));
    assert_ne!(about("north"), about("west"));
}

#[tokio::test(flavor = "multi_thread")]
async fn beacons_count_once_for_a_visitor_and_page_and_only_where_they_are_right() {
    let world = world().await;
    let north = "https://north.example";
    for agent in [browser(1), browser(1), browser(2)] {
        let answer = ask(&world, "/tieup-beacon/about/", north, &agent, &[]).await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
    }
    let fetched_ahead = [("sec-purpose", "prefetch;prerender")];
    assert_eq!(ask(&world, "/tieup-beacon/about/", north, &browser(3), &fetched_ahead).await.status, 204);
    assert_eq!(ask(&world, "/tieup-beacon/about/", north, ROBOT, &[]).await.status, 204);
    for (beacon, origin) in [
        ("/tieup-beacon/nowhere/", north),
        ("/tieup-beacon/style.css", north),
        ("/tieup-beacon/local/", north),
        ("/tieup-beacon/about/", "https://elsewhere.example"),
        ("/tieup-beacon/about/", "https://west.example"),
        ("/tieup-beacon/about/", "null"),
    ] {
        assert_eq!(ask(&world, beacon, origin, &browser(4), &[]).await.status, 404, "{beacon} from {origin}");
    }
    assert_eq!(counted(&world, "north").await, [("/about/".to_owned(), 2)]);
    assert_eq!(counted(&world, "south").await, []);
    let own = world.hub().own_journals();
    let logged = std::fs::read_dir(own).unwrap().filter_map(Result::ok).filter(|entry| entry.path().is_dir()).count();
    assert_eq!(logged, 0, "a beacon is no visit to main's own pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_39_40_43_visits_that_a_partner_leaves_out_are_found_by_their_beacons() {
    let world = world().await;
    for number in 0..30 {
        visit(&world, "north", &browser(number)).await;
        visit(&world, "south", &browser(number)).await;
        // At `north` others get copies of the same pages from a server that logs nothing. Their browsers do as they do
        // with any page.
        let others = if number < 25 { browser(100 + number) } else { continue };
        for beacon in ["/tieup-beacon/", "/tieup-beacon/about/"] {
            ask(&world, beacon, "https://north.example", &others, &[]).await;
        }
    }
    world.settle_beacons().await;
    for partner in ["north", "south"] {
        world.collect(partner).await;
        // Main compares hours that were over when it collected: let it have collected three hours later.
        let later = Timestamp::now() + SignedDuration::from_hours(3);
        let told = format!("{{\"at\":\"{later}\"}}");
        std::fs::write(world.mirrors(partner).join("collected.json"), told).unwrap();
    }
    let found = findings_as_json(&world, &["north"]);
    assert_eq!(rules(&found[0]), ["beacons/1"], "{found:?}");
    let finding = &found[0]["findings"][0];
    assert_eq!((&finding["figures"]["beacons"], &finding["figures"]["served"]), (&110.into(), &60.into()));
    assert_eq!(finding["severity"], "warning");
    assert_says(
        finding["sentence"].as_str().unwrap(),
        &[
            "Main counted 110 beacons of tie-up pages, and by the journal 60 were served: 50 fewer, where 2% may differ.",
        ],
    );
    let honest = findings_as_json(&world, &["south"]);
    assert_eq!(honest[0]["findings"], Value::Array(Vec::new()), "{honest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_logs_nothing_at_all_is_found_though_there_is_no_journal() {
    let world = world().await;
    for number in 0..24 {
        ask(&world, "/tieup-beacon/", "https://north.example", &browser(number), &[]).await;
    }
    world.settle_beacons().await;
    world.collect("north").await;
    let later = Timestamp::now() + SignedDuration::from_hours(3);
    std::fs::write(world.mirrors("north").join("collected.json"), format!("{{\"at\":\"{later}\"}}")).unwrap();
    let found = findings_as_json(&world, &["north"]);
    assert_eq!(found[0]["entries"], 0, "{found:?}");
    assert_eq!(rules(&found[0]), ["beacons/1", "unlogged/1"]);
}
