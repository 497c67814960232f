//! The feeds of a partner's site, which span tie-up pages and originals: of the site, a language, a section, a term.

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

/// What the feed at `path` has, in its order.
async fn ids(world: &World, path: &str) -> Vec<String> {
    let feed = world.get("north", path).await;
    assert_eq!(feed.status, 200, "{path}");
    let ids = feed.text.split("<id>").skip(2).filter_map(|rest| rest.split('<').next());
    ids.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_feed_is_mains_the_originals_stand_in_it_too() {
    let world = world().await;
    let ids = async || ids(&world, "/atom.xml").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn with_originals_in_it_a_feed_is_as_long_as_main_lets_it_be() {
    let world = world().await;
    let shelf = world.partner("north").config.site.join("content/local/shelf.md");
    std::fs::write(shelf.with_file_name("chest.md"), dated("Our chest", "2026-03-04", "Our chest.")).unwrap();
    for (limit, length) in [(", limit: 2", 2), (", limit: 1", 1), ("", 3)] {
        world.write_main("site.yaml", &MAIN.replace("[atom]", &format!("[atom]{limit}")));
        world.go_live("north").await;
        let own = ["chest", "shelf"].map(|page| format!("https://north.example/local/{page}/"));
        let all = [&*own[0], "https://lampworks.example/nw/lamps/", &*own[1]];
        assert_eq!(ids(&world, "/atom.xml").await, all[..length], "{limit}");
    }
}

const MANY: &str = "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\nlanguages: [{code: ja, name: 日本語}]\n\
    feeds: {site: [atom], sections: [atom]}\ntaxonomies: [{name: topics, feed: true}]\n";

/// What a partner's `site.yaml` says whose pages have main's terms.
const OWN_TERMS: &str = "title: north\nbase_url: https://north.example/\nlanguages: [{code: ja, name: 日本語}]\n\
    taxonomies: [{name: topics, feed: true}]\n";

/// Who owns which paths, in a section of main's and in another language too.
const BENEATH: &str = r#"{"/": main, "/local/**": partner, "/news/north/**": partner, "/ja/local/**": partner}"#;

fn on_topic(title: &str, date: &str, topic: &str) -> String {
    format!("---\ntitle: {title}\ndate: {date}\ntaxonomies: {{topics: [{topic}]}}\n---\nWords.\n")
}

/// `north`, with pages of its own below a section of main's, in main's other language and on main's topics.
async fn world_of_many() -> World {
    let plan = World::new()
        .main_file("site.yaml", MANY)
        .main_file("content/_index.ja.md", "---\ntitle: 家\n---\n")
        .main_file("content/news/_index.md", "---\ntitle: News\nsort_by: date\n---\n")
        .main_file("content/news/fair.md", &on_topic("Fair", "2026-03-02", "Lamps"))
        .main_file("content/news/fair.ja.md", &dated("市", "2026-03-02", "ことば。"))
        .contract("north", Contract::inherited().mounts(BENEATH))
        .partner_file("north", "site.yaml", OWN_TERMS)
        .partner_file("north", "content/local/shelf.md", &on_topic("Our shelf", "2026-03-03", "lamps"))
        .partner_file("north", "content/local/shelf.ja.md", &dated("棚", "2026-03-04", "ことば。"))
        .partner_file("north", "content/news/north/open.md", &dated("We open", "2026-03-01", "Come in."));
    let plan = ["term", "taxonomy"].iter().fold(plan, |plan, template| {
        plan.main_file(&format!("templates/{template}.html"), "<h1>{{ page.title }} of main</h1>")
    });
    let world = plan.start().await;
    world.go_live("north").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_02_originals_stand_in_the_feeds_of_their_language_section_and_terms() {
    let world = Box::pin(world_of_many()).await;
    let [fair, fair_ja] = ["news/fair/", "ja/news/fair/"].map(|path| format!("https://lampworks.example/{path}"));
    let [shelf, shelf_ja, open] =
        ["local/shelf/", "ja/local/shelf/", "news/north/open/"].map(|path| format!("https://north.example/{path}"));
    assert_eq!(ids(&world, "/atom.xml").await, [&*shelf, &*fair, &*open]);
    assert_eq!(ids(&world, "/ja/atom.xml").await, [&*shelf_ja, &*fair_ja]);
    assert_eq!(ids(&world, "/news/atom.xml").await, [&*fair, &*open]);
    assert_eq!(ids(&world, "/topics/lamps/atom.xml").await, [&*shelf, &*fair]);
    world.assert_shows("north", "/topics/lamps/", "of main").await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    assert_eq!(ids(&world, "/news/atom.xml").await, [&*fair, &*open], "after a page more, too");
}

/// What the `site.yaml` of a partner says whose default language is main's other one.
const OWN_JAPANESE: &str = "title: north\nbase_url: https://north.example/\nlanguage: ja\n\
    languages: [{code: en, name: English}]\ntaxonomies: [{name: topics, feed: true}]\n";

/// `north` in Japanese, with pages on main's topics in both languages, under a contract with these mounts.
async fn world_in_japanese(mounts: &str) -> World {
    let plan = World::new()
        .main_file("site.yaml", MANY)
        .main_file("content/_index.ja.md", "---\ntitle: 家\n---\n")
        .main_file("content/fair.md", &on_topic("Fair", "2026-03-02", "Lamps"))
        .main_file("content/fair.ja.md", &on_topic("市", "2026-03-02", "Lamps"))
        .main_file(
            "templates/page.html",
            "{% for term in page.taxonomies.topics %}<a href=\"{{ term.path }}\">{% endfor %}",
        )
        .contract("north", Contract::inherited().mounts(mounts))
        .partner_file("north", "site.yaml", OWN_JAPANESE)
        .partner_file("north", "content/local/shelf.md", &on_topic("棚", "2026-03-04", "lamps"))
        .partner_file("north", "content/local/shelf.en.md", &on_topic("Our shelf", "2026-03-03", "lamps"));
    let plan = ["term", "taxonomy"].iter().fold(plan, |plan, template| {
        plan.main_file(&format!("templates/{template}.html"), "<h1>{{ page.title }} of main</h1>")
    });
    let world = plan.start().await;
    world.go_live("north").await;
    world
}

/// Whose the pages of `north` in Japanese are.
const JAPANESE: &str = r#"{"/": main, "/local/**": partner, "/en/local/**": partner}"#;

#[tokio::test(flavor = "multi_thread")]
async fn languages_and_terms_meet_where_the_two_sites_have_other_defaults() {
    let world = Box::pin(world_in_japanese(JAPANESE)).await;
    for (home, main, own) in [("/", "fair/", "en/local/shelf/"), ("/ja/", "ja/fair/", "local/shelf/")] {
        let both = [format!("https://north.example/{own}"), format!("https://lampworks.example/{main}")];
        for feed in ["", "topics/lamps/"].map(|folder| format!("{home}{folder}atom.xml")) {
            assert_eq!(ids(&world, &feed).await, both, "{feed}");
        }
        let term = format!("{home}topics/lamps/");
        world.assert_shows("north", &format!("/{own}"), &format!("href=\"{term}\"")).await;
        world.assert_shows("north", &term, "of main").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_stay_where_the_contract_gives_their_place_to_the_partner_and_mains_feeds_have_their_pages_too() {
    let world = Box::pin(world_in_japanese(JAPANESE)).await;
    assert_eq!(world.get("north", "/en/topics/lamps/").await.status, 404);
    let mounts = JAPANESE.replace('}', r#", "/en/topics/**": partner}"#);
    let contract = Contract::inherited().mounts(&mounts).version(2);
    world.write_main("partners/north/contract.yaml", &contract.text("north"));
    world.go_live("north").await;
    let [shelf, fair] = ["https://north.example/en/local/shelf/", "https://lampworks.example/fair/"];
    world.assert_shows("north", "/en/local/shelf/", "href=\"/en/topics/lamps/\"").await;
    assert_eq!(world.get("north", "/en/topics/lamps/").await.status, 200);
    assert_eq!(ids(&world, "/en/topics/lamps/atom.xml").await, [shelf]);
    assert_eq!(ids(&world, "/topics/lamps/atom.xml").await, [shelf, fair]);
    world.assert_shows("north", "/local/shelf/", "href=\"/ja/topics/lamps/\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_stay_apart_where_mains_list_would_stand_in_the_place_of_another_language() {
    // Main speaks English alone, and its list of topics stands where the partner's Japanese one does.
    let mains = "title: Lampworks\nbase_url: https://lampworks.example/\ntheme: plain\ntaxonomies: [{name: topics}]\n";
    let plan = World::new()
        .main_file("site.yaml", mains)
        .main_file("content/fair.md", &on_topic("Fair", "2026-03-02", "Lamps"))
        .contract("north", Contract::inherited().mounts(r#"{"/": main, "/local/**": partner, "/en/**": partner}"#))
        .partner_file("north", "site.yaml", OWN_JAPANESE)
        .partner_file("north", "content/local/shelf.en.md", &on_topic("Our shelf", "2026-03-03", "lamps"));
    let plan = ["term", "taxonomy"].iter().fold(plan, |plan, template| {
        plan.main_file(&format!("templates/{template}.html"), "<h1>{{ page.title }} of main</h1>")
    });
    let world = Box::pin(plan.start()).await;
    world.go_live("north").await;
    for path in ["/topics/lamps/", "/en/topics/lamps/", "/en/local/shelf/"] {
        assert_eq!(world.get("north", path).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_that_main_does_not_have_makes_no_page_in_mains_paths() {
    let world = Box::pin(world_of_many()).await;
    let file = world.partner("north").config.site.join("content/local/shelf.md");
    std::fs::write(file, on_topic("Our shelf", "2026-03-03", "Umbrellas")).unwrap();
    world.daemon("north").publisher().refresh_originals().unwrap();
    for path in ["/topics/umbrellas/", "/topics/umbrellas/atom.xml"] {
        assert_eq!(world.get("north", path).await.status, 404, "{path}");
    }
    world.assert_shows("north", "/local/shelf/", "Words.").await;
    world.assert_shows("north", "/topics/lamps/", "of main").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn main_may_drop_its_last_page_with_a_term_and_its_feeds() {
    let world = Box::pin(world_of_many()).await;
    let fair = dated("Fair", "2026-03-02", "No lamps.");
    let edits = [("site.yaml", MANY.replace(", feed: true", "")), ("content/news/fair.md", fair)];
    for (number, (file, text)) in edits.into_iter().enumerate() {
        world.write_main(file, &text);
        world.edit("/about/", &format!("Words {number}."));
        world.go_live("north").await;
        world.assert_shows("north", "/about/", &format!("Words {number}.")).await;
        assert_eq!(world.get("north", "/topics/lamps/atom.xml").await.status, 404, "{file}");
    }
    assert_eq!(world.get("north", "/topics/lamps/").await.status, 410);
}
