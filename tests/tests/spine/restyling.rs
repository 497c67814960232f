//! What a release changes on pages without changing their words: the layout of a partner's own pages, and what search
//! engines are told about main's; and what the partner's own pages change on main's: the navigation.

use tieup_protocol::approval::ReleaseRecord;
use tieup_tests::{Contract, World, assert_says};

/// The originals of a partner that inherits the framework alone.
const ORIGINALS: [(&str, &str); 4] = [
    ("/", "Our own first page."),
    ("/hours/", "Open from nine."),
    ("/shelf/", "Our own shelf."),
    ("/way/", "Behind the church."),
];

#[tokio::test(flavor = "multi_thread")]
async fn row_003_29_a_layout_release_restyles_the_originals_and_says_on_how_many_pages() {
    let plan = World::new().main_page("/about/", "We mend lamps.").contract("town", Contract::framework());
    let world = ORIGINALS.iter().fold(plan, |plan, (path, words)| plan.original("town", path, words)).start().await;
    world.go_live("town").await;
    world.restyle(
        "plain/templates/base.html",
        "<footer>plain footer</footer>",
        "<footer class=\"wide\">lamps</footer>",
    );
    let waiting = world.publish("town").await;
    // The page for where nothing stands comes from the theme, and is one more.
    let pages = ORIGINALS.len() + 1;
    let says = format!("Release 2 from lampworks: {pages} changed; layout change on {pages} pages; no new scripts");
    assert!(waiting.sentence.starts_with(&says), "{}", waiting.sentence);
    let page = world.operator("town").await.get("/releases/2").await;
    let counted = format!("<li>{pages} pages or files change in more than words</li>");
    assert_says(&page.body, &[&waiting.sentence, &counted, &format!("<li>the layout changes on {pages} pages</li>")]);
    assert_says(&page.body, &["<h3>/ and 4 more in the same way</h3>", "&lt;footer class=&quot;wide&quot;&gt;lamps"]);
    for (path, words) in ORIGINALS {
        world.assert_shows("town", path, "<footer>plain footer</footer>").await;
        world.assert_shows("town", path, words).await;
    }
    world.approve("town");
    for (path, words) in ORIGINALS {
        world.assert_shows("town", path, "<footer class=\"wide\">lamps</footer>").await;
        world.assert_shows("town", path, words).await;
    }
    assert_eq!(world.get("town", "/about/").await.status, 404, "the framework brings none of main's pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_29_a_change_of_words_in_the_layout_is_told_as_one_of_words() {
    let plan = World::new().contract("town", Contract::framework());
    let world = ORIGINALS.iter().fold(plan, |plan, (path, words)| plan.original("town", path, words)).start().await;
    world.go_live("town").await;
    world.restyle("plain/templates/base.html", "plain footer", "another footer");
    let sentence = world.publish("town").await.sentence;
    assert!(sentence.starts_with("Release 2 from lampworks: 5 changed; text only; no new scripts"), "{sentence}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_29_a_style_sheet_that_changes_where_it_stands_is_told_as_what_changes_the_pages_looks() {
    let plan = World::new().contract("town", Contract::framework());
    let world = ORIGINALS.iter().fold(plan, |plan, (path, words)| plan.original("town", path, words)).start().await;
    world.go_live("town").await;
    world.restyle("plain/static/style.css", "2rem", "3rem");
    let waiting = world.publish("town").await;
    // Under its fingerprinted name it is another file.
    let says =
        "Release 2 from lampworks: 1 changed, 1 new, 1 removed; the layout's file /style.css changes; no new scripts";
    assert!(waiting.sentence.starts_with(says), "{}", waiting.sentence);
    let page = world.operator("town").await.get("/releases/2").await;
    assert_says(&page.body, &["<li>the file /style.css of the layout changes, and with it how your pages look"]);
    world.approve("town");
    world.assert_shows("town", "/style.css", "3rem").await;
}

/// What a contract says of search engines.
fn indexed(version: u32, index: &str) -> String {
    Contract::inherited().version(version).text("north").replacen("\nslots:", &format!("\nindex: {index}\nslots:"), 1)
}

/// Lets a new contract travel: what the operator reads of it.
async fn agree(world: &World, version: u32, index: &str) -> ReleaseRecord {
    world.write_main("partners/north/contract.yaml", &indexed(version, index));
    let waiting = world.publish("north").await;
    let changes = format!("the contract changes from version {} to {version}", version - 1);
    assert_says(&waiting.sentence, &[&changes]);
    world.approve("north");
    waiting
}

/// What the head of the page at `path` tells search engines: the canonical address, and whether to leave it out.
async fn head(world: &World, path: &str) -> (Option<String>, bool) {
    let text = world.get("north", path).await.text;
    let canonical = text.split_once("<link rel=\"canonical\" href=\"").and_then(|(_, rest)| rest.split_once('"'));
    (canonical.map(|(address, _)| address.to_owned()), text.contains("<meta name=\"robots\" content=\"noindex\">"))
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_sitemap_and_sentence_follow_what_the_contract_says_of_search_engines() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .main_page("/prices/", "Nothing is free.")
        .contract("north", Contract::raw(&indexed(1, "canonical")))
        .original("north", "/local/", "Our own shelf.")
        .start()
        .await;
    world.restyle("plain/templates/base.html", "<nav>", "{{ head_meta() }}<nav>");
    world.go_live("north").await;
    let (mains, own) = ("https://lampworks.example/about/".to_owned(), "https://north.example/local/");
    let own_head = head(&world, "/local/").await;
    assert_eq!(own_head, (Some(own.to_owned()), false));
    let copies = ["https://north.example/about/</loc>", "https://north.example/prices/</loc>"];
    let is_listed = async || {
        let map = world.get("north", "/sitemap.xml").await.text;
        assert_says(&map, &[&format!("{own}</loc>")]);
        copies.map(|copy| map.contains(copy))
    };
    assert_eq!(head(&world, "/about/").await, (Some(mains.clone()), false));
    assert_eq!(is_listed().await, [false; 2]);

    let hidden = agree(&world, 2, "noindex").await;
    // Main's three pages are the first page, and two below it. Each named an address of its own.
    assert_says(&hidden.sentence, &["Release 2 from lampworks: 3 changed; the contract", "no new scripts"]);
    assert_eq!(head(&world, "/about/").await, (None, true));
    assert_eq!(is_listed().await, [false; 2]);

    let found = agree(&world, 3, "unique").await;
    assert_says(&found.sentence, &["4 changed; layout change on 3 pages; the contract"]);
    assert_eq!(head(&world, "/about/").await, (None, false));
    assert_eq!(is_listed().await, [true; 2], "the sitemap is the fourth change");

    let again = agree(&world, 4, "canonical").await;
    assert_says(&again.sentence, &["Release 4 from lampworks: 4 changed; the contract", "no new scripts"]);
    assert_eq!(head(&world, "/about/").await, (Some(mains), false));
    assert_eq!(is_listed().await, [false; 2]);
    assert_eq!(head(&world, "/local/").await, own_head, "the partner's own page is none of it");
}

/// A page of `north`'s own that asks for a place in the navigation.
fn placed(title: &str, weight: u8) -> String {
    format!("---\ntitle: {title}\nmenus: {{nav: {{weight: {weight}}}}}\n---\nOur own words.\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn originals_that_ask_for_a_place_in_the_navigation_stand_in_it_on_mains_pages_and_on_their_own() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited())
        .original("north", "/local/", "Our own shelf.")
        .partner_file("north", "content/local/hours.md", &placed("Opening hours", 1))
        .partner_file("north", "content/local/way.md", &placed("The way & how", 2))
        .start()
        .await;
    world.go_live("north").await;
    let navigation = async || {
        let mut seen = Vec::new();
        for path in ["/", "/about/", "/local/", "/local/hours/"] {
            let text = world.get("north", path).await.text;
            let rest = text.split_once("<nav>").unwrap().1.split_once("</nav>").unwrap().0;
            seen.push(rest.replace('\n', ""));
        }
        seen.dedup();
        seen
    };
    let hours = "<li><a href=\"/local/hours/\">Opening hours</a></li>";
    let way = "<li><a href=\"/local/way/\">The way &amp; how</a></li>";
    assert_eq!(navigation().await, [format!("<ul>{hours}{way}</ul>")], "on every page the same");

    let site = world.partner("north").config.site.clone();
    let refresh = || world.daemon("north").publisher().refresh_originals().unwrap();
    std::fs::write(site.join("content/local/way.md"), placed("The way & how", 0)).unwrap();
    refresh();
    assert_eq!(navigation().await, [format!("<ul>{way}{hours}</ul>")]);
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    assert_eq!(navigation().await, [format!("<ul>{way}{hours}</ul>")], "a release of main's changes nothing of it");

    std::fs::create_dir_all(site.join("slots")).unwrap();
    std::fs::write(site.join("slots/nav.html"), "<b>by hand</b>").unwrap();
    refresh();
    assert_eq!(navigation().await, ["<b>by hand</b>"], "what the operator wrote for it comes first");
    std::fs::remove_file(site.join("slots/nav.html")).unwrap();
    for page in ["hours", "way"] {
        std::fs::remove_file(site.join(format!("content/local/{page}.md"))).unwrap();
    }
    refresh();
    let mains = world.get("north", "/about/").await.text;
    assert_says(&mains, &["<nav>main's menu</nav>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_mains_that_ask_for_a_place_in_a_menu_stand_in_it_on_originals_too() {
    let about = |menus: &str| format!("---\ntitle: About\n{menus}---\nWe mend lamps.\n");
    let world = World::new()
        .main_file("content/about.md", &about("menus: {nav: {weight: 1}}\n"))
        .contract("north", Contract::inherited())
        .original("north", "/local/", "Our own shelf.")
        .partner_file("north", "content/local/way.md", &placed("The way", 2))
        .start()
        .await;
    let lines = "<ol>{% for line in menus.nav or [] %}<li>{{ line.path }}</li>{% endfor %}</ol>\n<nav>";
    world.restyle("plain/templates/base.html", "<nav>", lines);
    world.go_live("north").await;
    let text = async |path| world.get("north", path).await.text.replace('\n', "");
    let (mains, own) = ("<li>/about/</li>", "<li>/local/way/</li>");
    assert_says(&text("/about/").await, &[&format!("<ol>{mains}</ol>")]);
    assert_says(&text("/local/").await, &[&format!("<ol>{mains}{own}</ol>")]);
    let both = "<nav><ul><li><a href=\"/about/\">About</a></li><li><a href=\"/local/way/\">The way</a></li></ul></nav>";
    for path in ["/", "/about/", "/local/", "/local/way/"] {
        assert_says(&text(path).await, &[both]);
    }
    world.write_main("content/about.md", &about(""));
    world.go_live("north").await;
    assert_says(&text("/about/").await, &["<ol></ol>"]);
    assert_says(&text("/local/").await, &[&format!("<ol>{own}</ol>")]);
}
