//! The search of a partner's site, which spans tie-up pages and originals.

use tieup_protocol::approval::ReleaseState;
use tieup_tests::{Contract, World};

/// The file that a browser reads first.
pub(crate) const HEAD: &str = "/search/en/index.json";

const MAIN: &str = "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\nsearch: true\n";

/// Everything that the index at `partner` holds.
pub(crate) async fn index(world: &World, partner: &str) -> String {
    let head = world.get(partner, HEAD).await.text;
    let value: serde_json::Value = serde_json::from_str(&head).unwrap_or_else(|error| panic!("{error}: {head}"));
    let words = value["words"].as_array().unwrap().iter().map(|shard| &shard[1]);
    let mut all = head.clone();
    for name in words.chain(value["records"].as_array().unwrap()) {
        let file = world.get(partner, &format!("/search/en/{}.json", name.as_str().unwrap())).await;
        assert_eq!((file.status, file.headers["content-type"].as_bytes()), (200, &b"application/json"[..]));
        all.push_str(&file.text);
    }
    all
}

async fn searching() -> World {
    let world = World::new()
        .main_file("site.yaml", MAIN)
        .main_page("/about/", "We mend gramophones.")
        .contract("north", Contract::inherited().auto(r#"[{paths: "/**", only: text}]"#))
        .original("north", "/local/", "Our own umbrellas.")
        .start()
        .await;
    world.go_live("north").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partners_search_finds_tie_up_pages_and_originals() {
    let world = searching().await;
    let all = index(&world, "north").await;
    for found in ["\"gramophon\"", "\"umbrella\"", "\"path\":\"/about/\"", "\"path\":\"/local/\""] {
        assert!(all.contains(found), "{found} is not in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_words_stays_one_and_reaches_the_index() {
    let world = searching().await;
    world.edit("/about/", "We mend barometers.");
    let record = world.publish("north").await;
    assert_eq!(record.state, ReleaseState::Live, "the index is no change of its own: {}", record.sentence);
    let all = index(&world, "north").await;
    assert!(all.contains("\"baromet") && !all.contains("gramophon"), "{all}");
    world.edit_original("north", "/local/", "Our own parasols.").unwrap();
    let all = index(&world, "north").await;
    assert!(all.contains("\"parasol\"") && !all.contains("umbrella"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_index_where_nobody_asked_for_one() {
    let world = crate::settled().await;
    assert_eq!(world.get("north", HEAD).await.status, 404);
    let site = world.partner("north").config.site.join("site.yaml");
    std::fs::write(&site, "title: north\nbase_url: https://north.example/\nsearch: true\n").unwrap();
    world.daemon("north").publisher().refresh_originals().unwrap();
    assert!(index(&world, "north").await.contains("\"path\":\"/about/\""), "a partner may have one of its own");
}
