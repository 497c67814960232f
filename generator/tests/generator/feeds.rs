//! Feeds, read as feed readers do: parsed, and held against what their standards ask for.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use roxmltree::{Document, Node};
use serde_json::Value;
use tieup_generator::Output;

use crate::small::{Small, html};

const ATOM: &str = "http://www.w3.org/2005/Atom";

fn built() -> Output {
    let small = Small::new();
    let site = "title: Main & co\nbase_url: https://main.example/shop\ntheme: plain\n\
                feeds: {site: [atom, rss, json], sections: [json]}\ntaxonomies: [{name: tags}]\n";
    small.write("site/site.yaml", site);
    for template in ["term", "taxonomy"] {
        small.write(&format!("themes/plain/templates/{template}.html"), "");
    }
    small.write("site/static/cup 1.svg", "<svg/>");
    small.write("site/content/news/_index.md", "---\ntitle: News\ndescription: All of it\nsort_by: date\n---\n");
    let body = "[Here](#top), [there](/news/) and [away](//cdn.example/), \
                ![a cup](</cup 1.svg>) `a href=\"/code/\"` <b data-href=\"/x/\">raw</b> \
                <img srcset=\"/a.webp 400w, /b.webp 800w\" alt>\n\n# Top\n";
    let front = "title: 'One <b> & two'\ndescription: 'Short & good'\ndate: 2026-01-02\nupdated: 2026-02-03\n\
                 taxonomies: {tags: [iron, new]}";
    small.write("site/content/news/one.md", format!("---\n{front}\n---\n{body}"));
    small.write("site/content/news/two.md", "---\ntitle: Two\ndate: 2026-01-01\n---\n");
    small.main().unwrap()
}

fn text<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    let mut found = node.children().filter(|child| child.tag_name().name() == name);
    let text = found.next().unwrap_or_else(|| panic!("<{name}> is missing")).text().unwrap_or_default();
    assert!(found.next().is_none(), "<{name}> stands twice");
    text
}

/// The content of the first entry, which every kind of feed must carry whole and with addresses that lead somewhere.
#[track_caller]
fn check_content(html: &str) {
    for part in [
        "<a href=\"#top\">Here</a>",
        "<a href=\"https://main.example/shop/news/\">there</a>",
        "<a href=\"//cdn.example/\">away</a>",
        "<img src=\"https://main.example/shop/cup%201.svg\" alt=\"a cup\"",
        "<code>a href=\"/code/\"</code>",
        "<b data-href=\"/x/\">raw</b>",
        "<img srcset=\"https://main.example/shop/a.webp 400w, https://main.example/shop/b.webp 800w\" alt>",
    ] {
        assert!(html.contains(part), "`{part}` is missing in\n{html}");
    }
}

#[test]
fn atom_has_what_rfc_4287_asks_for() {
    let output = built();
    let feed = html(&output, "/atom.xml");
    let document = Document::parse(&feed).unwrap();
    let root = document.root_element();
    assert!(root.has_tag_name((ATOM, "feed")));
    assert_eq!(text(root, "title"), "Main & co");
    assert_eq!(text(root, "id"), "https://main.example/shop/atom.xml");
    let author = root.children().find(|child| child.has_tag_name((ATOM, "author"))).unwrap();
    assert_eq!(text(author, "name"), "Main & co");
    let entries: Vec<Node<'_, '_>> = root.children().filter(|child| child.has_tag_name((ATOM, "entry"))).collect();
    assert_eq!(entries.len(), 2);
    for node in entries.iter().chain([&root]) {
        assert!(text(*node, "updated").parse::<Timestamp>().is_ok());
        assert!(text(*node, "id").starts_with("https://main.example/shop/"));
    }
    assert_eq!(text(root, "updated"), "2026-02-03T00:00:00Z", "the newest change of an entry");
    assert_eq!(text(entries[0], "title"), "One <b> & two");
    check_content(text(entries[0], "content"));
}

#[test]
fn rss_has_what_its_specification_asks_for() {
    let output = built();
    let feed = html(&output, "/rss.xml");
    let document = Document::parse(&feed).unwrap();
    assert_eq!(document.root_element().attribute("version"), Some("2.0"));
    let channel = document.root_element().first_element_child().unwrap();
    assert_eq!((text(channel, "title"), text(channel, "description")), ("Main & co", "Main & co"));
    let items: Vec<Node<'_, '_>> = channel.children().filter(|child| child.has_tag_name("item")).collect();
    assert_eq!(items.len(), 2);
    for item in &items {
        assert_eq!(text(*item, "guid"), text(*item, "link"));
        rfc2822::parse(text(*item, "pubDate")).unwrap();
    }
    check_content(text(items[0], "description"));
}

#[test]
fn json_feeds_have_what_version_1_1_asks_for() {
    let output = built();
    let feed: Value = serde_json::from_str(&html(&output, "/news/feed.json")).unwrap();
    assert_eq!(output.files["/feed.json"].media_type, "application/feed+json");
    for (key, value) in [
        ("version", "https://jsonfeed.org/version/1.1"),
        ("title", "News | Main & co"),
        ("home_page_url", "https://main.example/shop/news/"),
        ("feed_url", "https://main.example/shop/news/feed.json"),
        ("description", "All of it"),
    ] {
        assert_eq!(feed[key], value);
    }
    let items = feed["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    for (key, value) in [
        ("id", "https://main.example/shop/news/one/"),
        ("url", "https://main.example/shop/news/one/"),
        ("title", "One <b> & two"),
        ("summary", "Short & good"),
        ("image", "https://main.example/shop/cup%201.svg"),
        ("date_published", "2026-01-02T00:00:00Z"),
        ("date_modified", "2026-02-03T00:00:00Z"),
    ] {
        assert_eq!(items[0][key], value);
    }
    assert_eq!(items[0]["tags"], serde_json::json!(["iron", "new"]));
    check_content(items[0]["content_html"].as_str().unwrap());
    assert_eq!((&items[1]["content_text"], &items[1]["content_html"]), (&"Two".into(), &Value::Null));
}
