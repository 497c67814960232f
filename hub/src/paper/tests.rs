use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use jiff::Timestamp;
use tieup_fees::{Basis, Counted, Counter, Issued, JournalHead, Ledger, Maker, Recorded};
use tieup_protocol::access::{AccessEntry, AgentClass, Method, Purpose, ReferrerClass, VisitorToken};
use tieup_protocol::contract::{Contract, MeterClass};
use tieup_protocol::decimal::Decimal;
use tieup_protocol::digest::Digest;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::record::Sale;
use tieup_protocol::robots;

use super::*;
use crate::sales::{Regional, by_region};

/// Two views of a tie-up page and one of an original page, on two days.
struct Simulated;

impl Ledger for Simulated {
    type Error = Infallible;

    fn contract(&self, _: Period) -> Result<Contract, Infallible> {
        let text = format!(
            r#"contract: lampworks/north@1
effective: {{from: 2020-01-01, tz: Asia/Tokyo}}
partnership: inherited
mounts: {{"/": main, "/local/**": partner}}
rights: {{override: never}}
slots: [nav]
approval: {{policy: ask}}
journal: {{writer: partner, verifier: both}}
count: {{rules: page-view/1, robots: "{}", double_click: 30s, session: hour}}
money: {{currency: JPY, round: half_up, at: line}}
meters: {{tie: {{views: {{class: tieup}}}}, own: {{views: {{class: original}}}}}}
charges:
  base: {{by: partnership, link: 0, framework: 20000, inherited: 50000}}
  access: {{graduated: tie, tiers: [[0, "10"]]}}
  orders: {{per_event: settled_orders, rate: "10%", min: 45, max: 80}}
adjust:
  - {{id: incentive, bands: own, on: [base], off: [[0, "0%"], [1, "5%"]]}}
close: {{grace: 5d, late: next_period_correction}}
"#,
            robots::list_digest()
        );
        Ok(Contract::parse("contract.yaml", &text).unwrap_or_else(|error| panic!("{error}")))
    }

    fn head(&self, month: Month, size: u64) -> Result<JournalHead, Infallible> {
        Ok(JournalHead { origin: format!("lampworks/north/{month}"), size, root: "root".to_owned() })
    }

    fn struck(&self, _: Month, _: &[Digest]) -> Result<BTreeSet<u64>, Infallible> {
        Ok(BTreeSet::new())
    }

    fn begins_with(&self, _: Month, _: u64, _: Option<&str>) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn is_of_log(&self, _: Month, _: &Digest) -> Result<bool, Infallible> {
        Ok(true)
    }

    fn count(&self, contract: &Contract, period: Period, _: u64, _: &BTreeSet<u64>) -> Result<Counted, Infallible> {
        let mut counter = Counter::of_period(&contract.terms.count, &contract.effective.tz, period);
        let visits = [
            ("2026-11-02T03:00:00Z", MeterClass::Tieup),
            ("2026-11-02T04:00:00Z", MeterClass::Tieup),
            ("2026-11-30T04:00:00Z", MeterClass::Original),
        ];
        for (time, class) in visits {
            counter.observe(&visit(time.parse().unwrap(), class));
        }
        Ok(counter.finish())
    }

    fn recorded(&self, _: &Contract, _: Period, _: u64, _: StatementStatus) -> Result<Recorded, Infallible> {
        Ok(Recorded::default())
    }
}

fn visit(time: Timestamp, class: MeterClass) -> AccessEntry {
    AccessEntry {
        time,
        class: Some(class),
        method: Method::Get,
        status: 200,
        bytes: 1_000,
        purpose: Purpose::Document,
        visitor: VisitorToken([1; 16]),
        agent: AgentClass::Desktop,
        robot: 0,
        referrer: ReferrerClass::None,
        path: "/".parse().unwrap(),
    }
}

fn made() -> Made {
    let issued: Issued = BTreeMap::new();
    let basis = Basis {
        period: "2026-11".parse().unwrap(),
        size: 3,
        strikes: Vec::new(),
        record: 0,
        status: StatementStatus::Draft,
        revisions: Vec::new(),
        charged: None,
    };
    Maker::new(&Simulated, &issued).make(&basis).unwrap()
}

fn paper(made: &Made, look: impl FnOnce(&Paper<'_>)) {
    let partner = "north".parse().unwrap();
    look(&Paper { partner: &partner, made, status: StatementStatus::Draft, note: None });
}

#[test]
fn the_page_holds_every_line_and_every_day_and_nothing_from_elsewhere() {
    paper(&made(), |paper| {
        let page = paper.html().unwrap();
        // 50,000, and 2 views at 10; 5% of 50,000 off.
        for part in ["<th scope=\"row\">access</th>", "47520", "2026-11-01", "2026-11-30", "@page{size:A4", "A draft"] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert_eq!(page.matches("<tr><th scope=\"row\">2026-11-").count(), 30);
        for foreign in ["<script", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        assert!(page.contains(&paper.made.statement.text.replace('\'', "&#39;")), "{page}");
    });
}

#[test]
fn the_label_of_a_day_stands_under_the_middle_of_its_bar() {
    paper(&made(), |paper| {
        let svg = charts::views_by_day(paper).unwrap();
        let number = |element: &str, name: &str| -> i64 {
            let (_, rest) = element.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        };
        let label = |text: &str| {
            let day: u8 = text.split_once('>')?.1.split('<').next()?.trim().parse().ok()?;
            (day == 1 && text.contains("text-anchor=\"middle\"")).then(|| number(text, "x"))
        };
        let label = svg.split("<text ").find_map(label).unwrap_or_else(|| panic!("the first day has no label: {svg}"));
        let bar = svg.split("<rect ").find(|rect| rect.contains("--first")).unwrap();
        let middle = number(bar, "x") + number(bar, "width") / 2;
        assert!((label - middle).abs() <= 1, "{label} is not under {middle}: {svg}");
    });
}

#[test]
fn each_chart_has_a_title_and_a_description() {
    paper(&made(), |paper| {
        for (svg, told) in [
            (charts::views_by_day(paper).unwrap(), "2 of tie-up pages and 1 of original pages"),
            (charts::make_up(paper).unwrap(), "access: 20; base: 50000; incentive: -2500. Together 47520 JPY."),
        ] {
            assert!(svg.starts_with("<svg role=\"img\" aria-labelledby="), "{svg:.200}");
            assert!(svg.contains("<title id=") && svg.contains(told), "{svg:.600}");
            assert!(svg.trim_end().ends_with("</svg>") && svg.contains("<rect"), "{svg}");
        }
    });
}

#[test]
fn tables_and_documents_hold_exact_amounts() {
    paper(&made(), |paper| {
        let csv = paper.csv();
        assert_eq!(
            csv.lines().collect::<Vec<_>>(),
            [
                "line,kind,exact,rounded,currency",
                "access,charge,20,20,JPY",
                "base,charge,50000,50000,JPY",
                "orders,charge,0,0,JPY",
                "incentive,adjustment,-2500,-2500,JPY",
                "total,sum,47520,47520,JPY",
                "due,sum,47520,47520,JPY",
            ]
        );
        let json = serde_json::to_value(paper.json()).unwrap();
        assert_eq!((json["due"].as_str(), json["status"].as_str()), (Some("47520"), Some("draft")));
        assert_eq!(json["days"][1]["tieup_views"], 2);
        assert_eq!(json["statement"].as_str(), Some(paper.made.statement.text.as_str()));
    });
}

/// Three sales of 1,000, 500 and 400 yen, of which the first came from a page of the partner's own.
fn sold() -> Vec<Regional> {
    let sale = |region: &str, amount: i64, via| Sale {
        id: "a".parse().unwrap(),
        kind: "settled_orders".parse().unwrap(),
        amount: Decimal::whole(amount),
        units: 2,
        goods: None,
        via,
        collected: None,
        time: Timestamp::UNIX_EPOCH,
        region: (!region.is_empty()).then(|| region.parse().unwrap()),
    };
    let own = Some(MeterClass::Original);
    by_region(&[sale("Otaru, \"port\"", 1_000, own), sale("", 500, None), sale("Otaru, \"port\"", 400, None)], &made())
}

/// Two partners with the same visits, and one without a statement.
fn report() -> Report {
    let reported = |name: &str| Reported {
        partner: name.parse().unwrap(),
        made: made(),
        sold: sold(),
        status: StatementStatus::Draft,
    };
    Report {
        month: "2026-11".parse().unwrap(),
        rows: vec![reported("north"), reported("south")],
        left_out: vec![("west".parse().unwrap(), "nothing of it was <fetched>".to_owned())],
    }
}

#[test]
fn a_report_says_of_each_partner_what_its_statement_says() {
    // 2 of 3 views are of tie-up pages; 50,000 for the partnership, 2 views at 10, 5% of 50,000 off.
    let csv = report().csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "partner,contract,status,tieup_views,original_views,unique_views,visitors,original_percent,currency,\
             partnership,services,accesses,sales,adjustments,total,due",
            "north,lampworks/north@1,draft,2,1,3,2,33.3,JPY,50000,0,20,0,-2500,47520,47520",
        ]
    );
    assert_eq!(lines.len(), 3);
    let text = report().text();
    assert!(text.contains("together") && text.contains(" 95040 ") && text.contains("west: none: nothing"), "{text}");
    let json = serde_json::to_value(report().json()).unwrap();
    assert_eq!(json["partners"][1]["parts"]["adjustments"], "-2500");
    assert_eq!(json["left_out"][0]["partner"], "west");
}

#[test]
fn a_report_is_a_page_with_charts_by_partner_beside_its_tables() {
    let page = report().html().unwrap();
    for part in [
        "north: 2 of tie-up pages, 1 of original pages; south: 2 of tie-up pages",
        "north: 1, 33.3% of all views there",
        "north: 47520 (partnership 50000, accesses and pages 20, discounts and limits -2500)",
        "style=\"fill:var(--first)\"",
        "fill=\"currentColor\"",
        "<th scope=\"row\">together</th>",
        "<li>west: nothing of it was &lt;fetched&gt;</li>",
        "Statements: 2; drafts, which change until they are issued: 2.",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    for foreign in ["<script", "src=", "href=", "url(", "@import", "#FFFFFF", "fill=\"#"] {
        assert!(!page.contains(foreign), "{foreign}\n{page}");
    }
}

#[test]
fn charts_show_the_partners_with_the_most_and_say_that_there_are_more() {
    let mut many = report();
    let row = Reported { sold: Vec::new(), ..many.rows[0].clone() };
    many.rows = (0..25).map(|at| Reported { partner: format!("shop-{at}").parse().unwrap(), ..row.clone() }).collect();
    let page = many.html().unwrap();
    assert_eq!(page.matches("The 20 with the most, of 25; the table has all.").count(), 3);
    assert_eq!(page.matches("<tr><th scope=\"row\">shop-").count(), 2 * 25);
}

#[test]
fn sales_are_told_by_partner_and_region_with_what_own_pages_led_to_and_what_is_charged() {
    // 10% of each sale, at least 45 and at most 80: 80 and 45 in Otaru, 50 where it is not known.
    let csv = report().sales_csv();
    assert_eq!(
        csv.lines().take(3).collect::<Vec<_>>(),
        [
            "partner,contract,status,region,sales,units,amount,led_by_own_pages,charged,currency",
            "north,lampworks/north@1,draft,,1,2,500,0,50,JPY",
            "north,lampworks/north@1,draft,\"Otaru, \"\"port\"\"\",2,4,1400,1000,125,JPY",
        ]
    );
    assert_eq!(csv.lines().count(), 5);
    let text = report().sales_text();
    assert!(text.lines().nth(2).unwrap().ends_with("4           1400             1000            125 JPY"), "{text}");
    assert!(report().text().ends_with(&text));
    let json = serde_json::to_value(report().json()).unwrap();
    assert_eq!(json["partners"][1]["sales"][1]["commission"], "125");
    let page = report().html().unwrap();
    // Of both partners together.
    for part in [
        "What was sold by region, in JPY",
        "Otaru, &quot;port&quot;: 2800, of which partners&#39; own pages led to 2000; -: 1000, of which",
        "Sales by partner and region",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let mut none = report();
    none.rows.iter_mut().for_each(|row| row.sold.clear());
    assert!(none.sales_text().is_empty() && !none.html().unwrap().contains("<h2>Sales"));
}
