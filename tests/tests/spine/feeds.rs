//! The feed of a partner's site, which spans tie-up pages and originals.

use tieup_tests::{Contract, World, assert_says};

const MAIN: &str = "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\nfeeds: {site: [atom]}\n";

/// What the partner's `site.yaml` says.
const OWN: &str = "title: north\nbase_url: https://north.example/\n";

/// Who owns which paths.
const MOUNTS: &str = r#"{"/": main, "/local/**": partner}"#;

fn dated(title: &str, date: &str, words: &str) -> String {
    format!("---\ntitle: {title}\ndate: {date}\n---\n{words}\n")
}

/// `north`, whose first page is main's, each side with a page of a day.
async fn world() -> World {
    let world = World::new()
        .main_file("site.yaml", MAIN)
        .main_file("content/nw/lamps.md", &dated("Lamps", "2026-03-02", "We mend gramophones."))
        .contract("north", Contract::inherited().mounts(MOUNTS))
        .partner_file("north", "site.yaml", OWN)
        .partner_file("north", "content/local/shelf.md", &dated("Our shelf", "2026-03-01", "Our own umbrellas."))
        .start()
        .await;
    world.go_live("north").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_feed_is_mains_the_originals_stand_in_it_too() {
    let world = world().await;
    let ids = async || {
        let feed = world.get("north", "/atom.xml").await;
        assert_eq!(feed.status, 200);
        let ids = feed.text.split("<id>").skip(2).filter_map(|rest| rest.split('<').next()).map(str::to_owned);
        ids.collect::<Vec<_>>()
    };
    let shelf = "https://north.example/local/shelf/";
    let lamps = "https://lampworks.example/nw/lamps/";
    assert_eq!(ids().await, [lamps, shelf]);
    // A release that changes words alone, and a page of the partner's own that changes.
    world.write_main("content/nw/lamps.md", &dated("Lamps", "2026-03-02", "We mend barometers."));
    world.go_live("north").await;
    assert_eq!(ids().await, [lamps, shelf]);
    assert_says(&world.get("north", "/atom.xml").await.text, &["barometers"]);
    let file = world.partner("north").config.site.join("content/local/shelf.md");
    std::fs::write(file, dated("Our shelf", "2026-03-03", "Our own parasols.")).unwrap();
    world.daemon("north").publisher().refresh_originals().unwrap();
    assert_eq!(ids().await, [shelf, lamps]);
}
