//! A release that is made from what partners share has, byte for byte, what it has when it is made alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use proptest::prelude::*;
use tieup_generator::{Loading, Output, OutputFile, Progress, Site};
use tieup_protocol::ids::SiteId;
use tieup_protocol::path::SitePath;

use crate::rebuilds::{Written, connected, written};
use crate::small::Small;

const PARTNERS: [&str; 3] = ["east", "north", "west"];

/// What a partner has otherwise.
#[derive(Clone, Debug)]
enum Variation {
    Page(u8, Written),
    /// The text alone; all else is main's.
    Text(u8, u8),
    Title(u8, u8),
    Date(u8, u8),
    Section(u8),
    Home(u8),
    Hidden(u8),
    New(u8),
    Translated(u8),
    Products(u8),
}

fn variation() -> impl Strategy<Value = Variation> {
    prop_oneof![
        1 => (0..6u8, written()).prop_map(|(page, written)| Variation::Page(page, written)),
        3 => (0..6u8, 0..9u8).prop_map(|(page, text)| Variation::Text(page, text)),
        3 => (0..6u8, 0..9u8).prop_map(|(page, title)| Variation::Title(page, title)),
        3 => (0..6u8, 1..9u8).prop_map(|(page, day)| Variation::Date(page, day)),
        1 => (0..3u8).prop_map(Variation::Section),
        1 => (0..3u8).prop_map(Variation::Home),
        1 => (0..6u8).prop_map(Variation::Hidden),
        1 => (0..2u8).prop_map(Variation::New),
        1 => (0..6u8).prop_map(Variation::Translated),
        1 => (0..3u8).prop_map(Variation::Products),
    ]
}

fn write(small: &Small, partner: &str, variation: &Variation) {
    let content = format!("site/partners/{partner}/content");
    let news = |page: &u8| format!("{content}/news/page-{page}.md");
    match variation {
        Variation::Page(page, written) => small.write(&news(page), written.text()),
        Variation::Text(page, text) => small.write(&news(page), format!("---\n---\n## H\n\nText {text}.")),
        Variation::Title(page, title) => small.write(&news(page), format!("---\ntitle: Other {title}\n---\n")),
        Variation::Date(page, day) => small.write(&news(page), format!("---\ndate: 2026-11-1{day}\n---\n")),
        Variation::Section(title) => {
            small.write(&format!("{content}/news/_index.md"), format!("---\ntitle: News {title}\n---\n"))
        }
        Variation::Home(text) => small.write(&format!("{content}/_index.md"), format!("---\n---\nWelcome {text}")),
        Variation::Hidden(page) => small.write(&news(page), "---\ntitle: Hidden\ndraft: true\n---\n"),
        Variation::New(page) => {
            small.write(&format!("{content}/news/new-{page}.md"), format!("---\ntitle: New {page}\n---\nNew."))
        }
        Variation::Products(weight) => {
            small.write(&format!("{content}/products/_index.md"), format!("---\nweight: {weight}\n---\n"))
        }
        Variation::Translated(page) => {
            small.write(&format!("{content}/news/page-{page}.ja.md"), "---\ntitle: 訳\n---\n訳")
        }
    };
}

/// Six pages of news that link to each other's anchors, and partners of two kinds.
fn shared() -> Small {
    let small = connected();
    (0..6).for_each(|number| {
        let (next, tag) = ((number + 1) % 6, number % 2);
        small.write(
            &format!("site/content/news/page-{number}.md"),
            format!(
                "---\ntitle: First {number}\ndate: 2026-11-1{number}\ntaxonomies: {{tags: [t{tag}]}}\n---\n\
                 ## H\n\n[next](/news/page-{next}/#h)"
            ),
        );
    });
    small.write("site/content/news/page-0.ja.md", "---\ntitle: 最初\n---\n");
    small.write("site/data/products.yaml", "- {id: lamp, name: Lamp, price: 100, currency: JPY}\n");
    let section = "---\ntitle: Products\npaginate_by: 2\npages_from: {data: products, type: product}\n---\n";
    small.write("site/content/products/_index.md", section);
    let beacons = "beacons: {to: https://main.example, from: [https://west.example]}\n\
                   dispute: {window: 30d, beacon_tolerance: \"2%\"}\n";
    for (partner, more) in PARTNERS.iter().zip(["", "", beacons]) {
        let index = if more.is_empty() { "canonical" } else { "noindex" };
        small.contract_with(partner, &format!("partnership: inherited\nindex: {index}\n{more}"));
    }
    small
}

fn load(small: &Small, progress: &Arc<Progress>) -> Result<Site, String> {
    let loading = Loading { progress: progress.clone(), ..Loading::default() };
    let site = Site::load_as(&small.path("site"), &small.path("themes"), &loading);
    let now: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    site.map(|site| site.at(now)).map_err(|report| report.to_string())
}

/// The first file, or the index, in which two releases differ.
fn differs(one: &Output, other: &Output) -> Option<String> {
    let mut paths = one.files.keys().chain(other.files.keys());
    let path = paths.find(|path| one.files.get(*path) != other.files.get(*path));
    let text =
        |output: &Output, path| output.files.get(path).map(|file| String::from_utf8_lossy(&file.bytes).into_owned());
    let told = path.map(|path| format!("{path}\n{:?}\n{:?}", text(one, path), text(other, path)));
    told.or_else(|| (one.index != other.index).then(|| "the index".to_owned()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shared_makes_the_same_release(
        variations in proptest::collection::vec((0..3usize, variation()), 0..8)
    ) {
        let small = shared();
        for (partner, variation) in &variations {
            write(&small, PARTNERS[*partner], variation);
        }
        let Ok(site) = load(&small, &Arc::default()) else { return Ok(()) };
        let releases = site.releases();
        for partner in PARTNERS {
            let id: SiteId = partner.parse().unwrap();
            match (releases.build(&id), site.build_release(&id)) {
                (Ok(shared), Ok(alone)) => prop_assert_eq!(differs(&shared.output, &alone.output), None),
                (Err(shared), Err(alone)) => prop_assert_eq!(shared.to_string(), alone.to_string()),
                (shared, alone) => prop_assert!(false, "{:?}\n{:?}", shared.err(), alone.err()),
            }
        }
    }
}

#[test]
fn what_is_shared_is_rendered_once() {
    let (small, progress) = (shared(), Arc::<Progress>::default());
    // Titles alone are shown in listings, so that a text is of no concern to them.
    small.write("themes/plain/templates/index.html", "{{ page.title }}");
    small.write("themes/plain/templates/section.html", "{% for p in paginator.pages %}{{ p.title }}{% endfor %}");
    for partner in ["east", "north"] {
        write(&small, partner, &Variation::Text(4, 7));
    }
    let site = load(&small, &progress).unwrap();
    let releases = site.releases();
    let difference = |partner: &str| releases.difference(&partner.parse().unwrap()).unwrap();
    let (east, rendered) = (difference("east"), progress.rendered());
    let shared = || {
        let kinds: Mutex<BTreeMap<usize, BTreeMap<SitePath, OutputFile>>> = Mutex::default();
        releases.shared(&|kind, path, file| {
            kinds.lock().unwrap().entry(kind).or_default().insert(path.clone(), file.clone());
        });
        kinds.into_inner().unwrap()
    };
    let of_all = &shared()[&0];
    let own: Vec<&str> = east.own.iter().map(|(path, _)| path.as_str()).collect();
    let expected = ["/feed.json", "/news/atom.xml", "/news/page-4/", "/rss.xml", "/tags/t0/atom.xml"];
    assert_eq!((east.kind, own, east.gone.len()), (Some(0), expected.to_vec(), 0));
    assert!(of_all.len() > 10 && east.own.iter().all(|(path, file)| of_all[path].bytes != file.bytes));
    let north = difference("north");
    assert_eq!(
        progress.rendered() - rendered,
        1 + 2,
        "the second partner's own page, and those that are related to it"
    );
    assert_eq!(north.own[0].1.bytes, east.own[0].1.bytes);
    assert_eq!((difference("west").kind, shared().len()), (Some(1), 2), "other words for search engines");
}

#[test]
fn a_section_that_a_partner_varies_keeps_what_main_makes_of_its_data() {
    let small = shared();
    write(&small, "east", &Variation::Products(1));
    let release = load(&small, &Arc::default()).unwrap().build_release(&"east".parse().unwrap()).unwrap();
    let lamp = crate::small::html(&release.output, "/products/lamp/");
    assert!(lamp.contains("\"@type\":\"Product\"") && lamp.contains("\"price\":\"100\""), "{lamp}");
}

#[test]
fn a_page_that_a_partner_moves_to_its_own_paths_stands_nowhere() {
    let small = shared();
    small.write("site/content/news/lone.md", "---\ntitle: Lone\n---\n");
    small.write("site/partners/east/content/news/lone.md", "---\npath: /local/lone/\n---\n");
    let site = load(&small, &Arc::default()).unwrap();
    let has = |partner: &str, path: &str| {
        let release = site.releases().build(&partner.parse().unwrap()).unwrap();
        release.output.files.contains_key(&path.parse::<SitePath>().unwrap())
    };
    assert!(has("north", "/news/lone/"));
    assert!(!has("east", "/news/lone/") && !has("east", "/local/lone/"));
}

#[test]
fn a_link_that_breaks_for_one_partner_is_told_of_that_one() {
    let small = shared();
    small.write("site/partners/east/content/news/page-3.md", "---\n---\nNo heading.");
    small.write("site/partners/north/content/news/page-3.md", "---\n---\n## H\n\n[a](/nowhere/)");
    let site = load(&small, &Arc::default()).unwrap();
    let releases = site.releases();
    let told = |partner: &str| releases.build(&partner.parse().unwrap()).map_err(|report| report.to_string());
    let problem = told("east").unwrap_err();
    assert!(problem.contains("broken-anchor") && problem.contains("page-2.md"), "{problem}");
    assert!(told("north").unwrap_err().contains("broken-link"));
    assert!(told("west").is_ok());
}

/// Has the contract with `partner` ask for beacons, which go to `to` and come from `from`.
fn ask_for_beacons(small: &Small, partner: &str, to: &str, from: &str) {
    let dispute = "dispute: {window: 30d, beacon_tolerance: \"2%\"}\n";
    let more = format!("partnership: inherited\nbeacons: {{to: {to}, from: [{from}]}}\n{dispute}");
    small.contract_with(partner, &more);
}

#[test]
fn partners_whose_beacons_go_to_one_place_share_their_pages() {
    let small = shared();
    for (partner, to) in PARTNERS.iter().zip(["https://main.example", "https://main.example", "https://m.example"]) {
        ask_for_beacons(&small, partner, to, &format!("https://{partner}.example"));
    }
    let releases = load(&small, &Arc::default()).unwrap().releases();
    let difference = |partner: &str| releases.difference(&partner.parse().unwrap()).unwrap();
    let [east, north, west] = [difference("east"), difference("north"), difference("west")];
    assert_eq!((east.kind, east.own.len(), north.own.len()), (north.kind, 0, 0));
    assert_ne!(east.kind, west.kind);
    let page = |partner: &str| {
        let release = releases.build(&partner.parse().unwrap()).unwrap();
        let bytes = release.output.files[&"/news/page-1/".parse::<SitePath>().unwrap()].bytes.clone();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    let beacon = "<img src=\"https://main.example/tieup-beacon/news/page-1/\" alt=\"\"";
    assert_eq!(page("east").matches(beacon).count(), 1, "{}", page("east"));
    assert_eq!(page("north"), page("east"));
    assert!(page("west").contains("<img src=\"https://m.example/tieup-beacon/news/page-1/\""));
}

#[test]
fn an_origin_is_one_partners() {
    let small = shared();
    for partner in ["east", "north"] {
        ask_for_beacons(&small, partner, "https://main.example", "https://shop.example");
    }
    let told = load(&small, &Arc::default()).unwrap_err();
    assert!(
        told.contains("error[bad-origins]: beacons from https://shop.example are those of `east` already"),
        "{told}"
    );
}
