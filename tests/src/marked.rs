//! Releases that can be told apart wherever they show: every file that a release makes carries the release's mark.
//!
//! The layout, each page's title and words, a page that names the marks of all the others, a page that exists in the one
//! release alone (so that sitemap and search index differ, too). The partner's originals carry a mark of their own.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use crate::contract::Contract;
use crate::keep_alive::{Answer, KeepAlive};
use crate::sources::write;
use crate::world::World;

/// How many pages there are beside the first one.
const PAGES: usize = 5;

/// How often the search index is read again, since it can change between its head and its parts.
const READINGS: usize = 20;

const SITE: &str = "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\nsearch: true\n";

const FRAME: &str = "<!doctype html>\n<html lang=\"{{ lang }}\">\n<title>{{ page.title }}</title>\n\
    <nav>{% filter slot(name=\"nav\") %}main's menu{% endfilter %}</nav>\n\
    <main>{% block main %}{% endblock main %}</main>\n<footer>MARK</footer>\n</html>\n";

const FIRST: &str = "{% extends \"base.html\" %}{% block main %}{{ page.content | safe }}OTHERS{% endblock main %}\n";

/// Which release and which originals a site shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The mark of the release.
    pub mark: u64,
    /// The mark of the originals.
    pub note: u64,
}

/// The world of marked releases, with one partner, `north`.
pub async fn start(contract: Contract) -> World {
    // Main's pages stand in the sitemap only where they are to be found at the partner.
    let contract = Contract::raw(&contract.text("north").replacen("\nslots:", "\nindex: unique\nslots:", 1));
    let world = World::new()
        .main_file("site.yaml", SITE)
        .contract("north", contract)
        .partner_file("north", "content/local.md", &original(1))
        .start()
        .await;
    write_release(&world, 1);
    world
}

/// Writes the main site and its theme as they are under `mark`.
pub fn write_release(world: &World, mark: u64) {
    let title = |n| format!("{{% set item = get_page(path=\"/p{n}/\") %}}<i>{{{{ item.title }}}}</i>");
    let others = (0..PAGES).map(title).collect::<Vec<_>>().concat();
    let tag = tag("mark", mark);
    world.write_theme("plain/templates/base.html", &FRAME.replace("MARK", &tag));
    world.write_theme("plain/templates/index.html", &FIRST.replace("OTHERS", &others));
    let page = format!("---\ntitle: page {tag}\n---\nWords {tag}.\n");
    world.write_main("content/_index.md", &page);
    (0..PAGES).for_each(|n| world.write_main(&format!("content/p{n}.md"), &page));
    let _ = fs::remove_file(world.hub().config.site.join(format!("content/only-{}.md", mark - 1)));
    world.write_main(&format!("content/only-{mark}.md"), &page);
}

/// Writes the partner's original in the folder `site` as it is under `note`.
pub fn write_original(site: &std::path::Path, note: u64) {
    write(&site.join("content/local.md"), &original(note));
}

fn original(note: u64) -> String {
    format!("---\ntitle: shelf {tag}\n---\nOurs {tag}.\n", tag = tag("note", note))
}

fn tag(kind: &str, number: u64) -> String {
    format!("{kind}-{number}-")
}

/// The numbers of all marks of this kind in a text.
fn marks(text: &str, kind: &str) -> BTreeSet<u64> {
    let before = format!("{kind}-");
    let parts = text.split(before.as_str()).skip(1);
    parts.filter_map(|part| part.split_once('-').and_then(|(number, _)| number.parse().ok())).collect()
}

/// The one mark of this kind in an answer.
///
/// # Errors
/// When there is none, or there are several: a page of no release.
pub fn mark(path: &str, answer: &Answer, kind: &str) -> Result<u64, String> {
    let found = marks(&answer.text, kind);
    match found.iter().collect::<Vec<_>>()[..] {
        [one] => Ok(*one),
        _ => Err(format!("{path} answers {} and has the marks {found:?}:\n{}", answer.status, answer.text)),
    }
}

/// Every page that bears the release's mark, the page for missing paths included.
pub fn pages() -> impl Iterator<Item = String> {
    let plain = (0..PAGES).map(|n| format!("/p{n}/"));
    ["/".to_owned()].into_iter().chain(plain).chain(["/local/".to_owned(), "/nowhere/".to_owned()])
}

/// Looks at all of the site at `public` while no release is switched: which release it is, wholly.
///
/// # Errors
/// What is of another release than the rest.
pub fn look(public: SocketAddr) -> Result<Seen, String> {
    let mut line = KeepAlive::open(public).map_err(|error| error.to_string())?;
    let mut ask = |path: &str| line.get(path).map_err(|error| format!("GET {path}: {error}"));
    let first = mark("/", &ask("/")?, "mark")?;
    for path in pages() {
        let answer = ask(&path)?;
        let found = mark(&path, &answer, "mark")?;
        let expected = if path == "/nowhere/" { 404 } else { 200 };
        if found != first || answer.status != expected {
            return Err(format!("{path} answers {} from release mark {found}, / from {first}", answer.status));
        }
    }
    let alone = format!("/only-{first}/");
    for number in first.saturating_sub(2)..first + 3 {
        let path = format!("/only-{number}/");
        let status = ask(&path)?.status;
        if (status == 200) != (number == first) {
            return Err(format!("{path} answers {status}, yet the pages are of release mark {first}"));
        }
    }
    let map = ask("/sitemap.xml")?;
    if map.status != 200 || marks(&map.text.replace('/', "-"), "only") != BTreeSet::from([first]) {
        return Err(format!("the sitemap ({}) is not that of release mark {first}:\n{}", map.status, map.text));
    }
    let index = index(&mut ask)?;
    if !index.contains(&format!("\"path\":\"{alone}\"")) || marks(&index.replace('/', "-"), "only").len() != 1 {
        return Err(format!("the search index is not that of release mark {first}:\n{index}"));
    }
    let note = mark("/local/", &ask("/local/")?, "note")?;
    Ok(Seen { mark: first, note })
}

/// Everything that the search index holds. Its parts are named by their content, so a new index has other parts.
fn index(ask: &mut impl FnMut(&str) -> Result<Answer, String>) -> Result<String, String> {
    for _ in 0..READINGS {
        let head = ask("/search/en/index.json")?.text;
        let value: Value = serde_json::from_str(&head).map_err(|error| format!("the index: {error}: {head}"))?;
        let mut all = head.clone();
        let mut whole = true;
        for name in value["records"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let part = ask(&format!("/search/en/{name}.json"))?;
            whole &= part.status == 200;
            all.push_str(&part.text);
        }
        if whole {
            return Ok(all);
        }
    }
    Err("the search index lacks a part".to_owned())
}

/// Asks for every marked page over one connection, the first page again at the end, and says in how many runs of equal
/// marks they came.
///
/// # Errors
/// Outside: when the connection breaks. Inside: when a single page mixes two releases.
pub fn visit(line: &mut KeepAlive) -> io::Result<Result<usize, String>> {
    let mut runs = 0;
    let mut last = None;
    for path in pages().chain(["/".to_owned()]) {
        match mark(&path, &line.get(&path)?, "mark") {
            Ok(found) if last == Some(found) => {}
            Ok(found) => (runs, last) = (runs + 1, Some(found)),
            Err(mixed) => return Ok(Err(mixed)),
        }
    }
    Ok(Ok(runs))
}
