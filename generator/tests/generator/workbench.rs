//! A site held for somebody who works on it: what each audience sees, and what happens when a save is wrong.

use std::fs;

use jiff::Timestamp;
use proptest::prelude::*;
use tieup_generator::{Audience, Drafts, Effect, Future, Mark, Refreshed, Shown, Site, Workbench};
use tieup_protocol::diagnostic::Report;
use tieup_protocol::path::SitePath;

use crate::rebuilds::{connected, edit, saves};
use crate::small::Small;

const NOTHING: Refreshed = Refreshed { effect: Effect::Nothing, pages: 0 };

fn now() -> Timestamp {
    "2026-11-21T00:00:00Z".parse().unwrap()
}

fn open(small: &Small) -> Workbench {
    Workbench::open(&small.path("site"), &small.path("themes"), Shown::default(), now())
}

fn shop() -> Audience {
    Audience::Partner("shop".parse().unwrap())
}

/// The text at `path`; `None` where nothing stands.
fn get(bench: &Workbench, audience: &Audience, path: &str) -> Option<String> {
    let file = bench.get(audience, &path.parse().unwrap()).unwrap()?;
    Some(String::from_utf8(file.bytes.to_vec()).unwrap())
}

fn main(bench: &Workbench, path: &str) -> String {
    get(bench, &Audience::Main, path).unwrap_or_default()
}

fn codes(report: Option<&Report>) -> Vec<&'static str> {
    report.iter().flat_map(|report| report.diagnostics()).map(|problem| problem.code).collect()
}

#[test]
fn a_refresh_says_what_must_be_fetched_again() {
    let small = Small::new();
    small.page("about.md", "one");
    let mut bench = open(&small);
    assert!(main(&bench, "/about/").contains("one"));
    small.page("about.md", "two");
    let file = small.path("site/content/about.md");
    assert_eq!(bench.refresh(std::slice::from_ref(&file), now()), Refreshed { effect: Effect::Page, pages: 1 });
    assert!(main(&bench, "/about/").contains("two"));
    assert_eq!(bench.refresh(std::slice::from_ref(&file), now()), NOTHING);
    small.write("themes/plain/static/style.css", "body { color: navy }");
    let style = small.path("themes/plain/static/style.css");
    assert_eq!(bench.refresh(&[style], now()).effect, Effect::Styles);
    small.page("about.md", "three").write("site/public/about/index.html", "built");
    let others = ["site/public/about/index.html", "site/content/.about.md.swp", "site/tieup.log"];
    assert_eq!(bench.refresh(&others.map(|file| small.path(file)), now()), NOTHING);
    assert!(main(&bench, "/about/").contains("two"), "what is no source made it look at the sources");
}

#[test]
fn the_last_good_page_stays_until_a_mistake_is_mended() {
    let small = Small::new();
    small.page("about.md", "good").page("other.md", "one");
    let mut bench = open(&small);
    small.write("site/content/about.md", "---\ntilte: About\n---\nbad");
    assert_eq!(bench.refresh(&[], now()), NOTHING);
    assert_eq!(codes(bench.report().as_ref()), ["unknown-key"]);
    assert!(main(&bench, "/about/").contains("good"));
    // A mistake that shows only when pages are made leaves the others their newest bytes.
    small.page("about.md", "[nowhere](/nowhere/)").page("other.md", "two");
    assert_eq!(bench.refresh(&[], now()).effect, Effect::Page);
    assert_eq!(codes(bench.report().as_ref()), ["broken-link"]);
    assert!(main(&bench, "/other/").contains("two"));
    small.page("about.md", "mended");
    bench.refresh(&[], now());
    assert_eq!(bench.report(), None);
    assert!(main(&bench, "/about/").contains("mended"));
}

#[test]
fn a_page_that_could_never_be_made_gives_its_mistake() {
    let small = Small::new();
    small.write("site/content/bad.md", "---\ntitle: Bad\ntemplate: bad.html\n---\n");
    small.write("themes/plain/templates/bad.html", "{{ page.nothing.at_all }}");
    let mut bench = open(&small);
    let bad = "/bad/".parse().unwrap();
    assert!(bench.get(&Audience::Main, &bad).is_err());
    assert!(main(&bench, "/").contains("Home"));
    assert_eq!(get(&bench, &Audience::Main, "/nowhere/"), None);
    // From a good version on, that one stands in.
    small.write("themes/plain/templates/bad.html", "good");
    bench.refresh(&[], now());
    small.write("themes/plain/templates/bad.html", "{{ page.nothing.at_all }}");
    bench.refresh(&[], now());
    assert_eq!(main(&bench, "/bad/"), "good");
    assert!(bench.report().is_some());
}

#[test]
fn a_site_that_cannot_be_read_is_opened_with_its_report() {
    let small = Small::new();
    small.write("site/site.yaml", "title: Main\n");
    let mut bench = open(&small);
    assert!(bench.get(&Audience::Main, &"/".parse().unwrap()).is_err());
    assert_eq!((bench.audiences(), bench.title()), (vec![Audience::Main], None));
    small.write("site/site.yaml", "title: Main\nbase_url: https://main.example\ntheme: plain\n");
    assert_eq!(bench.refresh(&[], now()).effect, Effect::Page);
    assert!(main(&bench, "/").contains("Home"));
}

#[test]
fn a_partner_sees_its_slots_filled_and_a_sample_on_its_own_paths() {
    let small = Small::new();
    small.contract("inherited").page("about.md", "ours");
    small.write("site/partners/shop/slots/nav.md", "The **shop**");
    let bench = open(&small);
    assert_eq!(bench.audiences(), [Audience::Main, shop()]);
    let (mains, shops) = (main(&bench, "/about/"), get(&bench, &shop(), "/about/").unwrap());
    assert!(mains.contains("<nav>home</nav>"), "{mains}");
    assert!(shops.contains("<strong>shop</strong>") && !shops.contains("home"), "{shops}");
    let file = bench.get(&shop(), &"/about/".parse().unwrap()).unwrap().unwrap();
    let (at, end) = (file.slots[0].at, file.slots[0].at + file.slots[0].length);
    let there = &file.bytes[usize::try_from(at).unwrap()..usize::try_from(end).unwrap()];
    assert_eq!(there.trim_ascii(), b"<p>The <strong>shop</strong></p>");
    let sample = get(&bench, &shop(), "/local/map/").unwrap();
    assert!(sample.contains("one that the partner writes") && sample.contains("<strong>shop</strong>"), "{sample}");
    assert_eq!(bench.mark(&shop(), &"/local/map/".parse().unwrap()), Some(Mark::Sample));
    assert_eq!(get(&bench, &shop(), "/nowhere/"), None);
    assert_eq!(get(&bench, &Audience::Main, "/local/map/"), None);
    small.write("site/partners/shop/slots/banner.md", "Not ours");
    assert_eq!(codes(open(&small).report().as_ref()), ["slot-not-given"]);
}

#[test]
fn a_partner_with_the_frame_alone_sees_it_around_a_sample() {
    let small = Small::new();
    let contract = fs::read_to_string(small.contract("framework").path("site/partners/shop/contract.yaml"));
    let contract = contract.unwrap().replace(r#"{"/": main, "/local/**": partner}"#, r#"{"/": partner}"#);
    small.write("site/partners/shop/contract.yaml", contract).page("about.md", "ours");
    let bench = open(&small);
    for path in ["/", "/about/", "/404.html"] {
        let page = get(&bench, &shop(), path).unwrap();
        assert!(page.contains("<nav>home</nav>") && !page.contains("ours"), "{path}: {page}");
    }
    assert_eq!(get(&bench, &shop(), "/style.css").as_deref(), Some("body {}"));
}

#[test]
fn drafts_and_future_pages_are_shown_on_request() {
    let small = Small::new();
    small.write("site/content/draft.md", "---\ntitle: Draft\ndraft: true\n---\n");
    small.write("site/content/later.md", "---\ntitle: Later\npublish: 2026-12-01\n---\n[A draft](draft.md)\n");
    small.page("gone.md", "").write("site/content/gone.md", "---\ntitle: Gone\nexpires: 2026-11-01\n---\n");
    let mut bench = open(&small);
    for hidden in ["/draft/", "/later/"] {
        assert_eq!(get(&bench, &Audience::Main, hidden), None);
    }
    let shown = Shown { drafts: Drafts::Shown, future: Future::Shown };
    assert_eq!(bench.show(shown, now()).pages, 2);
    assert_eq!(bench.report(), None);
    assert!(main(&bench, "/later/").contains("href=\"/draft/\""));
    let mark = |path: &str| bench.mark(&Audience::Main, &path.parse().unwrap());
    assert_eq!(mark("/draft/"), Some(Mark::Draft));
    assert!(matches!(mark("/later/"), Some(Mark::LiveFrom(start)) if start.date().to_string() == "2026-12-01"));
    assert_eq!((mark("/"), get(&bench, &Audience::Main, "/gone/")), (None, None));
}

#[test]
fn a_partners_view_has_a_search_of_its_own() {
    let small = Small::new();
    let site = "title: Main\nbase_url: https://main.example\ntheme: plain\nsearch: true\n";
    small.contract("inherited").page("about.md", "ours").write("site/site.yaml", site);
    let bench = open(&small);
    assert!(get(&bench, &shop(), "/search/en/index.json").unwrap().contains("\"pages\":2"));
}

/// Everything that stands for an audience, or what is wrong.
fn all(bench: &Workbench, audience: &Audience, paths: &[SitePath]) -> Vec<(SitePath, Option<String>)> {
    let text = |path: &SitePath| get(bench, audience, path.as_str());
    paths.iter().map(|path| (path.clone(), text(path))).collect()
}

/// Every path that a fresh build makes for an audience.
fn paths(small: &Small, audience: &Audience) -> Vec<SitePath> {
    let site = Site::load(&small.path("site"), &small.path("themes")).unwrap().at(now());
    let output = match audience {
        Audience::Main => site.build_main(),
        Audience::Partner(id) => site.build_release(id).map(|release| release.output),
    };
    output.unwrap().files.into_keys().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_saves_shows_what_a_fresh_start_shows(
        edits in proptest::collection::vec((edit(), any::<bool>()), 1..12)
    ) {
        let small = connected();
        small.contract("inherited");
        (0..6).for_each(|number| {
            let text = format!("---\ntitle: First\ndate: 2026-11-1{number}\n---\n## H\n\nOne.");
            small.write(&format!("site/content/news/page-{number}.md"), text);
        });
        let mut bench = open(&small);
        let looked_at = |bench: &Workbench| get(bench, &shop(), "/404.html").is_some();
        for (count, (edit, looks)) in edits.iter().enumerate() {
            prop_assert!(!*looks || bench.report().is_some() || looked_at(&bench));
            let files = saves(&small, edit, count + 1);
            if !files.is_empty() {
                bench.refresh(&files, now());
            }
            let fresh = open(&small);
            let told = |bench: &Workbench| bench.report().map(|report| report.to_string());
            if fresh.report().is_some() {
                prop_assert_eq!(told(&bench), told(&fresh));
                continue;
            }
            for audience in [Audience::Main, shop()] {
                let paths = paths(&small, &audience);
                prop_assert_eq!(all(&bench, &audience, &paths), all(&fresh, &audience, &paths));
            }
            prop_assert_eq!(told(&bench), None);
        }
    }
}

#[test]
fn a_partner_sees_main_s_new_text_where_its_own_file_says_nothing_of_it() {
    let small = Small::new();
    small.contract("inherited").page("about.md", "one");
    small.write("site/partners/shop/content/about.md", "---\ntitle: About us\n---\n");
    let mut bench = open(&small);
    assert!(get(&bench, &shop(), "/about/").unwrap().contains("one"));
    small.page("about.md", "two");
    bench.refresh(&[small.path("site/content/about.md")], now());
    let seen = get(&bench, &shop(), "/about/").unwrap();
    assert!(seen.contains("two") && seen.contains("About us"), "{seen}");
    small.write("site/partners/shop/content/about.md", "---\ntitle: About you\n---\nthree");
    assert_eq!(bench.refresh(&[small.path("site/partners/shop/content/about.md")], now()).pages, 1);
    let seen = get(&bench, &shop(), "/about/").unwrap();
    assert!(seen.contains("three") && seen.contains("About you"), "{seen}");
    assert!(main(&bench, "/about/").contains("two"));
}
