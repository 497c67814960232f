//! What a page tells search engines and other sites, and what robots find.

use tieup_generator::Output;

use crate::small::{Small, html};

fn has(output: &Output, path: &str) -> bool {
    output.files.contains_key(&path.parse().unwrap())
}

/// A site in two languages whose `site.yaml` ends with `more`.
fn site(more: &str) -> Small {
    let small = Small::new();
    let text = format!(
        "title: Main\nbase_url: https://main.example\ntheme: plain\nlanguages: [{{code: ja, name: 日本語}}]\n{more}"
    );
    small.write("site/site.yaml", text);
    small.write("site/content/_index.ja.md", "---\ntitle: 家\n---\n");
    small
}

#[test]
fn the_sitemap_has_pictures_and_languages_and_not_what_hides() {
    let small = site("");
    small.write("site/static/a.svg", "<svg/>").write("site/static/b.svg", "<svg/>");
    small.write("site/content/a.md", "---\ntitle: A\nextra: {picture: /b.svg}\n---\n![One](a.svg) ![Two](b.svg)\n");
    small.write("site/content/thanks.md", "---\ntitle: Thanks\nnoindex: true\n---\n");
    small.write("site/content/low/_index.md", "---\ntitle: Low\ncascade: {noindex: true}\n---\n");
    small.write("site/content/low/b.md", "---\ntitle: B\n---\n");
    small.write("site/content/low/c.md", "---\ntitle: C\nnoindex: false\n---\n");
    let refused = small.main().unwrap_err();
    assert!(refused.contains("missing-image"), "a picture is relative to its page: {refused}");
    small.write("site/content/a.md", "---\ntitle: A\nextra: {picture: /b.svg}\n---\n![One](/a.svg) ![Two](/b.svg)\n");
    let output = small.main().unwrap();
    let sitemap = html(&output, "/sitemap.xml");
    let document = roxmltree::Document::parse(&sitemap).unwrap();
    assert!(document.root_element().has_tag_name(("http://www.sitemaps.org/schemas/sitemap/0.9", "urlset")));
    let pictures = document.descendants().filter(|node| node.tag_name().name() == "image");
    let pictures: Vec<String> =
        pictures.filter_map(|node| Some(node.first_element_child()?.text()?.to_owned())).collect();
    assert_eq!(pictures, ["https://main.example/b.svg", "https://main.example/a.svg"]);
    let alternates = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/1999/xhtml", "link")));
    let languages: Vec<&str> = alternates.filter_map(|node| node.attribute("hreflang")).collect();
    assert_eq!(languages, ["en", "ja", "x-default", "ja", "en", "x-default"]);
    assert!(["thanks", "low/b/"].iter().all(|hidden| !sitemap.contains(hidden)) && sitemap.contains("low/c/"));
}

#[test]
fn robots_find_the_sitemap_where_the_site_says_nothing_else() {
    let small = site("");
    small.contract("inherited");
    let own = html(&small.main().unwrap(), "/robots.txt");
    assert_eq!(own, "User-agent: *\nAllow: /\n\nSitemap: https://main.example/sitemap.xml\n");
    small.write("site/static/robots.txt", "User-agent: *\nDisallow: /x/\n");
    assert_eq!(html(&small.main().unwrap(), "/robots.txt"), "User-agent: *\nDisallow: /x/\n");
    let release = small.release().unwrap().output;
    assert!(!has(&release, "/robots.txt"), "the partner has a sitemap of its own to name");
}
