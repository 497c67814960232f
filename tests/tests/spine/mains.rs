//! Several main sites on one partner: one address, each page of one of them, and nothing of one told to another.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tieup_hub::publish::PublishError;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::wire::{PartnerStatus, STATUS, StatementVerdict};
use tieup_syncd::config::Config;
use tieup_tests::neighbour::free_address;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, Neighbour, World, assert_says, raw, told};

use crate::searching::{HEAD, index};

/// What the home main site owns.
pub(crate) const HOME: &str = r#"{"/": partner, "/nw/**": main}"#;

/// What the other one owns.
pub(crate) const SOUTH: &str = r#"{"/": partner, "/south/**": main}"#;

/// `north`, which carries the pages of `lampworks` and of `southern` under these contracts; nothing is published.
pub(crate) async fn joined(home: Contract, south: Contract) -> (World, Neighbour) {
    let mut world = World::new()
        .main_page("/nw/", "Lamps of the whole nation.")
        .main_page("/nw/lamps/", "We mend lamps.")
        .contract("north", home)
        .original("north", "/local/", "Our own shelf.")
        .start()
        .await;
    let plan = World::new()
        .main_page("/south/", "Tea of the south.")
        .main_page("/south/tea/", "We pick tea.")
        .contract_alone("north", south)
        .original("north", "/tea-room/", "Our own tea room.");
    let southern = world.neighbour("southern", &plan).await;
    let doors = "console: '127.0.0.1:0', preview: '127.0.0.1:0'";
    world.join_too("north", &southern, &format!("peer: '{}', {doors}", free_address())).await;
    (world, southern)
}

/// A contract about pages with these mounts.
pub(crate) fn inherited(mounts: &str) -> Contract {
    Contract::inherited().mounts(mounts)
}

/// The same with everything live.
pub(crate) async fn live() -> (World, Neighbour) {
    let (world, southern) = joined(inherited(HOME), inherited(SOUTH)).await;
    world.go_live("north").await;
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    (world, southern)
}

/// Fails unless every page of both, and of the partner, is served as it began.
pub(crate) async fn assert_all_stand(world: &World) {
    for (path, words) in [
        ("/nw/", "Lamps of the whole nation."),
        ("/nw/lamps/", "We mend lamps."),
        ("/local/", "Our own shelf."),
        ("/south/", "Tea of the south."),
        ("/south/tea/", "We pick tea."),
        ("/tea-room/", "Our own tea room."),
    ] {
        world.assert_shows("north", path, words).await;
    }
}

/// The paths that stand in the journal beside `main`.
fn logged(world: &World, main: &str) -> BTreeSet<String> {
    let journal = world.beside("north", main).journal();
    let mut paths = BTreeSet::new();
    for month in journal.months().unwrap() {
        let reader = journal.reader(month).unwrap();
        for entry in reader.entries(0..reader.size()).unwrap() {
            paths.insert(AccessEntry::decode(&entry.unwrap()).unwrap().path.to_string());
        }
    }
    paths
}

fn paths(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|path| (*path).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_pages_of_two_main_sites_stand_under_one_address_through_a_restart() {
    let (mut world, southern) = live().await;
    assert_all_stand(&world).await;
    assert_eq!(world.get("north", "/style.css").await.status, 200);
    world.restart("north").await;
    assert_all_stand(&world).await;
    southern.edit("/south/tea/", "We roast tea.");
    southern.publish("north").await.unwrap();
    world.assert_shows("north", "/south/tea/", "We pick tea.").await;
    world.approve_beside("north", "southern").unwrap();
    world.assert_shows("north", "/south/tea/", "We roast tea.").await;
    world.assert_shows("north", "/nw/lamps/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_each_main_site_hears_of_visits_to_its_own_pages_alone_and_charges_for_them() {
    let (world, southern) = live().await;
    let home = ["/", "/nw/", "/nw/lamps/", "/nw/lamps", "/nw/never/", "/local/", "/nowhere/", "/style.css"];
    let south = ["/south/", "/south/tea/", "/south/tea", "/south/never/", "/tea-room/"];
    for path in home.iter().chain(&south) {
        world.get("north", path).await;
    }
    assert_eq!(logged(&world, "lampworks"), paths(&home));
    assert_eq!(logged(&world, "southern"), paths(&south));
    assert_eq!(world.collect("north").await[0].size, home.len() as u64);
    assert_eq!(southern.collect("north").await[0].size, south.len() as u64);
    let (mains, souths) = (world.statement("north").await, southern.statement("north", world.month("north")).await);
    assert_eq!((&mains.verdict, &souths.verdict), (&StatementVerdict::Identical, &StatementVerdict::Identical));
    assert_says(&mains.notice.statement, &["lampworks/north@1", "total:           50001 JPY"]);
    assert_says(&souths.notice.statement, &["southern/north@1", "total:           50001 JPY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_page_and_a_wrong_method_are_told_to_its_own_main_site_alone() {
    let (world, southern) = live().await;
    std::fs::remove_file(southern.hub().config.site.join("content/south/tea.md")).unwrap();
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    assert_eq!(world.get("north", "/south/tea/").await.status, 410);
    let public = world.partner("north").public;
    raw::request(public, "POST", "/south/", &[("content-length", "0")]).await;
    let originals = &world.partner("north").config.mains[&site_id("southern")].site;
    std::fs::remove_file(originals.join("content/tea-room.md")).unwrap();
    world.beside("north", "southern").publisher().refresh_originals().unwrap();
    assert_eq!(world.get("north", "/tea-room/").await.status, 410);
    assert_eq!(logged(&world, "southern"), paths(&["/south/tea/", "/south/", "/tea-room/"]));
    assert_eq!(logged(&world, "lampworks"), paths(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_a_path_of_another_main_site_or_of_its_originals_is_refused_with_both_named() {
    let (world, southern) = joined(inherited(HOME), inherited(r#"{"/": partner, "/nw/lamps/**": main}"#)).await;
    world.go_live("north").await;
    southern.edit("/nw/lamps/", "We mend lamps better.");
    let error = southern.publish("north").await.unwrap_err();
    assert!(matches!(error, PublishError::Push { .. }), "{error:?}");
    assert_says(
        &told(&error),
        &[
            "/nw/lamps/ is claimed by main site `southern` (mounts of contract southern/north@1) and by main site \
             `lampworks` (mounts of contract lampworks/north@1)",
            "hint: agree with the partner on paths",
        ],
    );
    world.assert_shows("north", "/nw/lamps/", "We mend lamps.").await;
    assert_eq!(world.beside("north", "southern").publisher().releases().unwrap(), []);

    let (world, southern) = joined(inherited(HOME), inherited(SOUTH)).await;
    world.edit_original("north", "/south/", "Our way to the south.").unwrap();
    world.go_live("north").await;
    let error = southern.publish("north").await.unwrap_err();
    assert_says(
        &told(&error),
        &[
            "/south/ is claimed by main site `southern` (release 1) and by the partner's own page beside main site `lampworks`",
        ],
    );
    world.assert_shows("north", "/south/", "Our way to the south.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_main_site_has_no_section_too() {
    let mut world = World::new().contract("north", inherited(HOME)).start().await;
    let mut halted = world.halt("north").await;
    let further = Config { peer: None, ..halted.config.clone() };
    halted.config.mains.insert(site_id("lampworks"), further);
    let Err((error, _)) = world.try_resume(halted).await else { panic!("one main site has two tie-ups") };
    assert_says(&told(&error), &["`lampworks` could not be started", "cannot stand under `mains` too"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_where_another_main_site_has_a_page_is_not_published() {
    let (world, _southern) = live().await;
    let refused = world.edit_original("north", "/south/tea/", "Our own tea.").unwrap_err();
    assert_says(
        &told(&refused),
        &[
            "/south/tea/ is claimed by the partner's own page beside main site `lampworks` and by main site `southern` (release 1)",
        ],
    );
    assert_all_stand(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_releases_approved_at_once_that_take_the_same_path_one_goes_live() {
    let both = r#"{"/": partner, "/nw/**": main, "/south/**": main}"#;
    let (world, southern) = joined(inherited(both), inherited(both)).await;
    world.publish("north").await;
    southern.publish("north").await.unwrap();
    let results: Vec<_> = thread::scope(|scope| {
        let approve = |main| {
            let world = &world;
            scope.spawn(move || world.approve_beside("north", main))
        };
        let both = ["lampworks", "southern"].map(approve);
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    let refused = results.iter().find_map(|result| result.as_ref().err()).unwrap();
    assert_says(
        &told(refused),
        &["main site `southern` (mounts", "main site `lampworks` (mounts", "/nw/ is claimed by"],
    );
    let (nw, south) = (world.get("north", "/nw/").await.status, world.get("north", "/south/").await.status);
    assert!([(200, 404), (404, 200)].contains(&(nw, south)), "{nw} {south}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_one_main_site_that_revokes_or_vanishes_touches_nothing_of_the_other() {
    let (world, southern) = live().await;
    southern.hub().revoke_partner(&site_id("north"), "the tea ran out", Timestamp::now()).await.unwrap();
    assert!(southern.publish("north").await.is_err());
    world.edit("/nw/lamps/", "We mend everything.");
    world.go_live("north").await;
    world.assert_shows("north", "/nw/lamps/", "We mend everything.").await;
    world.assert_shows("north", "/south/", "Tea of the south.").await;
    let client = world.call_as(southern.hub().tls(), "north").await;
    assert!(client.get::<PartnerStatus>(STATUS).await.is_err(), "one main site is taken for another");
    southern.stop().await;
    world.edit("/nw/lamps/", "We mend nothing.");
    world.go_live("north").await;
    world.assert_shows("north", "/nw/lamps/", "We mend nothing.").await;
    world.assert_shows("north", "/tea-room/", "Our own tea room.").await;
    let home = world.hub().clone();
    home.revoke_partner(&site_id("north"), "the lamps broke", Timestamp::now()).await.unwrap();
    world.assert_shows("north", "/nw/", "Lamps of the whole nation.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_the_sitemap_names_the_pages_of_both() {
    let unique =
        |mounts: &str| Contract::raw(&inherited(mounts).text("north").replace("approval:", "index: unique\napproval:"));
    let south =
        Contract::raw(&inherited(SOUTH).between("southern", "north").replace("approval:", "index: unique\napproval:"));
    let (world, southern) = joined(unique(HOME), south).await;
    world.go_live("north").await;
    let alone = world.get("north", "/sitemap.xml").await.text;
    assert_says(&alone, &["<urlset", "https://north.example/nw/lamps/</loc>"]);
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    // The home site is merged anew by itself.
    let index = once(&world, "/sitemap.xml", |text| text.contains("<sitemapindex")).await;
    let named = ["https://north.example/sitemap-1.xml</loc>", "https://north.example/sitemap-southern.xml</loc>"];
    assert_says(&index, &["<sitemapindex", named[0], named[1]]);
    let home = world.get("north", "/sitemap-1.xml").await.text;
    assert_says(&home, &["https://north.example/nw/lamps/</loc>", "https://north.example/local/</loc>"]);
    let south = world.get("north", "/sitemap-southern.xml").await.text;
    assert_says(&south, &["https://north.example/south/tea/</loc>", "https://north.example/tea-room/</loc>"]);
    assert!(!south.contains("/nw/") && !home.contains("/south/"), "{home}{south}");
    assert_says(&world.get("north", "/nowhere/").await.text, &["Not found"]);
}

/// The file that `north` serves at `path` once it is `wanted`.
async fn once(world: &World, path: &str, wanted: impl Fn(&str) -> bool) -> String {
    let said = async {
        loop {
            let text = world.get("north", path).await.text;
            if wanted(&text) {
                return text;
            }
            tokio::task::yield_now().await;
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(30), said).await;
    said.unwrap_or_else(|_| panic!("{path} does not become what it should"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_search_finds_pages_of_both_as_they_are_public() {
    let (mut world, southern) = joined(inherited(HOME), inherited(SOUTH)).await;
    let searching = "title: north\nbase_url: https://north.example/\nsearch: true\n";
    std::fs::write(world.partner("north").config.site.join("site.yaml"), searching).unwrap();
    world.go_live("north").await;
    let all = index(&world, "north").await;
    assert!(all.contains("\"path\":\"/nw/lamps/\"") && !all.contains("/south/"), "{all}");
    let head = world.get("north", HEAD).await.text;
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    once(&world, HEAD, |text| text != head).await;
    let found = ["\"path\":\"/south/tea/\"", "\"path\":\"/tea-room/\"", "\"path\":\"/nw/lamps/\"", "\"tea\""];
    assert_says(&index(&world, "north").await, &found);
    world.restart("north").await;
    assert_says(&index(&world, "north").await, &found);
    assert_eq!(world.get("north", "/search/pages.json").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_the_feed_of_the_whole_site_has_pages_of_both_and_is_as_long_as_its_owner_lets_it() {
    let (world, southern) = joined(inherited(HOME), inherited(SOUTH)).await;
    let dated = |day: &str| format!("---\ntitle: Of {day}\ndate: 2026-03-{day}\n---\nWords.\n");
    let own = "title: north\nbase_url: https://north.example/\nfeeds: {site: [atom], limit: 3}\n";
    let config = &world.partner("north").config;
    let (site, beside) = (config.site.clone(), config.mains[&site_id("southern")].site.clone());
    std::fs::write(site.join("site.yaml"), own).unwrap();
    std::fs::write(site.join("content/_index.md"), "---\ntitle: north\n---\nWelcome.\n").unwrap();
    std::fs::write(site.join("content/local.md"), dated("01")).unwrap();
    std::fs::write(beside.join("content/tea-room.md"), dated("02")).unwrap();
    std::fs::write(southern.hub().config.site.join("content/south/tea.md"), dated("03")).unwrap();
    world.write_main("content/nw/lamps.md", &dated("04"));
    world.go_live("north").await;
    let titles = |feed: &str| feed.matches("<title>Of ").count();
    assert_eq!(titles(&world.get("north", "/atom.xml").await.text), 2);
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    let feed = once(&world, "/atom.xml", |text| text.contains("/south/tea/")).await;
    let places = ["/nw/lamps/</id>", "/south/tea/</id>", "/tea-room/</id>"].map(|entry| feed.find(entry).unwrap());
    assert!(places.is_sorted() && titles(&feed) == 3, "{feed}");
    std::fs::write(southern.hub().config.site.join("content/south/tea.md"), dated("05")).unwrap();
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    let feed = once(&world, "/atom.xml", |text| text.contains("Of 05")).await;
    assert!(feed.find("/south/tea/</id>") < feed.find("/nw/lamps/</id>"), "{feed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_of_a_section_called_like_a_language_is_none_of_the_whole_site() {
    let (world, southern) = joined(inherited(HOME), inherited(SOUTH)).await;
    let dated = |title: &str| format!("---\ntitle: {title}\ndate: 2026-03-01\n---\nWords.\n");
    let own = "title: north\nbase_url: https://north.example/\nfeeds: {site: [atom], sections: [atom]}\n";
    let config = &world.partner("north").config;
    let (site, beside) = (config.site.clone(), config.mains[&site_id("southern")].site.clone());
    std::fs::create_dir(site.join("content/en")).unwrap();
    for (file, text) in [
        ("site.yaml", own),
        ("content/_index.md", "---\ntitle: north\n---\n"),
        ("content/en/_index.md", "---\ntitle: England\nsort_by: date\n---\n"),
        ("content/en/york.md", &dated("York")),
    ] {
        std::fs::write(site.join(file), text).unwrap();
    }
    std::fs::write(beside.join("content/tea-room.md"), dated("Room")).unwrap();
    world.go_live("north").await;
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    once(&world, "/atom.xml", |text| text.contains("/tea-room/")).await;
    let england = world.get("north", "/en/atom.xml").await.text;
    assert_eq!(["/en/york/", "/tea-room/"].map(|page| england.contains(page)), [true, false], "{england}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_the_navigation_names_pages_of_both() {
    let (mut world, southern) = joined(inherited(HOME), inherited(SOUTH)).await;
    let placed = |title: &str| format!("---\ntitle: {title}\nmenus: {{nav: {{}}}}\n---\nWords.\n");
    let config = &world.partner("north").config;
    let beside = config.mains[&site_id("southern")].site.clone();
    std::fs::write(config.site.join("content/local.md"), placed("Shelf")).unwrap();
    std::fs::write(beside.join("content/tea-room.md"), placed("Room")).unwrap();
    let souths = southern.hub().config.site.join("content");
    std::fs::write(souths.join("south/tea.md"), placed("Tea")).unwrap();
    world.write_main("content/nw/lamps.md", &placed("Lamps"));
    let shown = |text: &str, title: &str| text.contains(&format!(">{title}</a></li>"));
    world.go_live("north").await;
    let alone = world.get("north", "/local/").await.text;
    assert_eq!(["Shelf", "Lamps", "Tea", "Room"].map(|title| shown(&alone, title)), [true, true, false, false]);
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    once(&world, "/local/", |text| shown(text, "Tea")).await;
    world.restart("north").await;
    for path in ["/local/", "/nw/lamps/"] {
        let all = world.get("north", path).await.text;
        let titles = ["Shelf", "Lamps", "Tea", "Room"].map(|title| shown(&all, title));
        assert_eq!(titles, [true; 4], "{path}: {all}");
    }
    assert_eq!(world.get("north", "/search/menus.json").await.status, 404);
    std::fs::write(souths.join("south/tea.md"), "---\ntitle: Tea\n---\nWords.\n").unwrap();
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    once(&world, "/nw/lamps/", |text| shown(text, "Room") && !shown(text, "Tea")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_a_further_main_site_for_every_language_stands_in_one_that_the_pages_beside_it_lack() {
    let (world, southern) = joined(inherited(HOME), inherited(SOUTH)).await;
    let config = &world.partner("north").config;
    let site = "title: north\nbase_url: https://north.example/\nlanguage: ja\n";
    std::fs::write(config.site.join("site.yaml"), site).unwrap();
    std::fs::write(config.site.join("content/local.md"), "---\ntitle: 棚\nmenus: {nav: {}}\n---\nWords.\n").unwrap();
    let menus = "menus: {nav: [{title: Tea, path: /south/tea/}, {title: South, path: /south/, lang: en}]}\n";
    let file = southern.hub().config.site.join("site.yaml");
    let site = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, site + menus).unwrap();
    world.go_live("north").await;
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    let shown = |text: &str, title: &str| text.contains(&format!(">{title}</a></li>"));
    let nav = once(&world, "/local/", |text| shown(text, "Tea")).await;
    assert_eq!(["棚", "South"].map(|title| shown(&nav, title)), [true, false], "{nav}");
}

#[tokio::test(flavor = "multi_thread")]
async fn console_and_preview_are_of_one_main_site_and_the_preview_shows_the_others_around_it() {
    let (world, southern) = live().await;
    southern.edit("/south/tea/", "We roast tea.");
    southern.publish("north").await.unwrap();
    let front = world.beside("north", "southern").front();
    let console = raw::request(world.listens(front.console()), "GET", "/sign-in", &[]).await;
    assert_says(&console.body, &["north, with southern"]);
    let stranger = raw::request(world.listens(front.console()), "GET", "/", &[]).await;
    assert_says(&stranger.body, &["<code>syncd --main southern console</code>"]);
    let preview = world.listens(front.preview());
    for (path, words) in
        [("/south/tea/", "We roast tea."), ("/nw/lamps/", "We mend lamps."), ("/tea-room/", "tea room")]
    {
        let shown = raw::request(preview, "GET", path, &[]).await;
        assert_eq!((shown.status, shown.header("tieup-preview")), (200, Some("release 2")), "{path}");
        assert_says(&shown.body, &[words]);
    }
    world.assert_shows("north", "/south/tea/", "We pick tea.").await;
    assert_eq!((logged(&world, "southern"), logged(&world, "lampworks")), (paths(&["/south/tea/"]), paths(&[])));
}

/// Runs `syncd` with these arguments beside the daemon of `north`: its exit status, and what it said.
fn syncd(world: &World, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncd-to-kill"));
    command.arg("--config").arg(&world.partner("north").config_file).args(arguments);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_names_the_main_site_it_is_about() {
    let (world, southern) = joined(inherited(HOME), inherited(SOUTH)).await;
    world.publish("north").await;
    southern.publish("north").await.unwrap();
    let (code, status) = syncd(&world, &["status"]);
    assert_eq!(code, Some(0), "{status}");
    assert_says(
        &status,
        &["with lampworks:", "syncd --main lampworks approve 1", "with southern:", "syncd --main southern approve 1"],
    );
    let (code, refused) = syncd(&world, &["approve", "1"]);
    assert_eq!(code, Some(1), "{refused}");
    assert_says(&refused, &["you have a tie-up with each of `lampworks`, `southern`", "--main lampworks"]);
    let (code, approved) = syncd(&world, &["approve", "1", "--main", "southern"]);
    assert_eq!(code, Some(0), "{approved}");
    assert_says(&approved, &["Release 1 from southern", "Release 1 is live."]);
    world.assert_shows("north", "/south/", "Tea of the south.").await;
    assert_eq!(world.get("north", "/nw/").await.status, 404);
    for arguments in [["audit", "--main", "southern"], ["overrides", "--main", "southern"]] {
        assert_eq!(syncd(&world, &arguments).0, Some(0), "{arguments:?}");
    }
    let (_, json) = syncd(&world, &["status", "--format", "json"]);
    let stands: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&stands[0]["main"], &stands[1]["main"]), (&"lampworks".into(), &"southern".into()));
    assert_eq!(stands[1]["status"]["status"]["releases"][0]["state"]["state"], "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_a_token_of_another_main_site_asks_for_its_lines_and_then_finds_its_folder() {
    let mut world = World::new().contract("north", inherited(HOME)).start().await;
    let plan = World::new().main_page("/south/", "Tea of the south.").contract_alone("north", inherited(SOUTH));
    let southern = world.neighbour("southern", &plan).await;
    let token = southern.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap().to_string();
    let (code, refused) = syncd(&world, &["join", &token]);
    assert_eq!(code, Some(1), "{refused}");
    assert_says(&refused, &["has joined `lampworks`", "no place for `southern`", "mains:\n  southern: {peer: "]);
    world.reconfigure("north", "mains:\n  southern: {dial: main}\n").await;
    let (code, joined) = syncd(&world, &["join", &token]);
    assert_eq!(code, Some(0), "{joined}");
    assert_says(&joined, &["Joined `southern` as `north`.", "mains/southern/site.yaml"]);
    world.restart("north").await;
    southern.publish("north").await.unwrap();
    world.approve_beside("north", "southern").unwrap();
    world.assert_shows("north", "/south/", "Tea of the south.").await;
    let config = &world.partner("north").config;
    assert!(config.state.join("mains/southern/identity.json").is_file());
    let site = std::fs::read_to_string(config.mains[&site_id("southern")].site.join("site.yaml")).unwrap();
    assert_eq!(site, "title: north\nbase_url: https://north.example/\n");
}
