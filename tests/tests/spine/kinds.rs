//! The kinds of partnership: what each gets, what it begins with, and what it does not get.

use std::path::PathBuf;

use tieup_hub::kit;
use tieup_hub::publish::Outcome;
use tieup_protocol::manifest::EntryKind;
use tieup_store::durable;
use tieup_syncd::config::Config;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};

/// Writes the kit for `partner` into an empty folder.
fn write_kit(world: &World, partner: &str) -> PathBuf {
    let folder = world.folder().join("kits").join(partner);
    let files = kit::files(&world.site(), &site_id(partner)).expect("there is a contract");
    durable::replace_dir(&folder, &files).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kit_is_a_site_that_joins_and_goes_live() {
    let mut world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract_alone("north", Contract::inherited())
        .contract_alone("town", Contract::framework())
        .start()
        .await;
    for (partner, title, path) in [("north", "North", "/local/"), ("town", "Town", "/")] {
        let folder = write_kit(&world, partner);
        let config = Config::load(&folder.join("syncd.yaml")).unwrap();
        assert!(config.site.join("site.yaml").is_file(), "{}", config.site.display());
        world.join(partner, &folder).await;
        world.go_live(partner).await;
        world.assert_shows(partner, path, &format!("<h1>{title}</h1><p>This is your first page, at {path}.")).await;
        let link = format!("<nav><p><a href=\"{path}\">{title}</a></p>\n</nav>");
        world.assert_shows(partner, path, &link).await;
    }
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_framework_release_holds_no_content_of_mains() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .main_file("data/prices.yaml", "lamp: 5\n")
        .main_file("static/price-list.txt", "lamp 5")
        .contract("town", Contract::framework())
        .start()
        .await;
    let manifest = world.manifest("town", 1);
    assert!(manifest.entries.values().all(|entry| entry.kind == EntryKind::Layout), "{:?}", manifest.entries.keys());
    assert!(manifest.framework.keys().all(|path| path.as_str().starts_with("plain/")), "{:?}", manifest.framework);
    world.go_live("town").await;
    for path in ["/about/", "/price-list.txt"] {
        assert_eq!(world.get("town", path).await.status, 404, "{path}");
    }
    assert_eq!(world.get("town", "/style.css").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_gets_nothing_and_a_kit_to_link_with() {
    let world = World::new().contract("friend", Contract::link()).start().await;
    world.write_theme("plain/static/logo.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>");
    assert_eq!(world.try_publish("friend").await.unwrap(), Outcome::LinkAlone(None));
    assert!(world.releases("friend").is_empty());
    assert!(world.hub().database.releases(&site_id("friend")).await.unwrap().is_empty());
    for path in ["/", "/style.css", "/404.html"] {
        assert_eq!(world.get("friend", path).await.status, 404, "{path}");
    }
    let manifest = world.manifest("friend", 1);
    assert!(manifest.entries.is_empty() && manifest.framework.is_empty());
    let folder = write_kit(&world, "friend");
    let manual = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let link = "<a href=\"https://lampworks.example/\">Lampworks</a>";
    assert_says(&manual, &[link, "It needs no `rel`", "<img src=\"pictures/logo.svg\" alt=\"Lampworks\">"]);
    assert!(folder.join("pictures/logo.svg").is_file() && !folder.join("syncd.yaml").exists());
    let paid = "meters: {}\ncharges: {base: {by: partnership, link: 3000, framework: 0, inherited: 0}}\n";
    world.write_main("partners/friend/contract.yaml", &Contract::link().version(2).fees(paid).text("friend"));
    let manual = std::fs::read_to_string(write_kit(&world, "friend").join("README.md")).unwrap();
    assert_says(&manual, &["<a href=\"https://lampworks.example/\" rel=\"sponsored\">", "JPY 3000 a month"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_an_earlier_contract_is_told_where_only_a_link_remains() {
    let world = World::new().contract("town", Contract::framework()).start().await;
    world.go_live("town").await;
    world.hub().status(&world.hub().partner(&site_id("town")).await.unwrap()).await.unwrap();
    world.write_main("partners/town/contract.yaml", &Contract::link().version(2).text("town"));
    let live = world.releases("town")[0].version;
    assert_eq!(world.try_publish("town").await.unwrap(), Outcome::LinkAlone(Some(live)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_the_contract_does_not_give_is_not_filled() {
    let world = World::new()
        .contract("north", Contract::inherited())
        .partner_file("north", "slots/banner.md", "Sale!\n")
        .start()
        .await;
    world.write_theme("plain/theme.yaml", "name: plain\napi: 1\nslots: [nav, banner]\n");
    let error = world.try_publish("north").await.unwrap_err();
    let says = [
        "the contract lampworks/north@1 does not give you the slot `banner`",
        "remove the file, or the menu of that name; these are yours: nav",
    ];
    assert_says(&told(&error), &says);
    assert!(world.releases("north").is_empty());
    let site = world.partner("north").config.site.clone();
    std::fs::remove_file(site.join("slots/banner.md")).unwrap();
    std::fs::create_dir_all(site.join("content")).unwrap();
    std::fs::write(site.join("content/local.md"), "---\ntitle: Sale\nmenus: [banner]\n---\n").unwrap();
    assert_says(&told(&world.try_publish("north").await.unwrap_err()), &says);
    std::fs::remove_file(site.join("content/local.md")).unwrap();
    world.go_live("north").await;
    world.assert_shows("north", "/", "main's menu").await;
}
