//! The content model: taxonomies, pagination, times, cascade, menus, permalinks, aliases, summaries, feeds.

use jiff::Timestamp;
use tieup_generator::Output;
use tieup_protocol::path::SitePath;

use crate::small::{Small, html};

/// A site whose `site.yaml` ends with `more`.
fn site(more: &str) -> Small {
    let small = Small::new();
    small.write("site/site.yaml", format!("title: Main\nbase_url: https://main.example\ntheme: plain\n{more}"));
    small
}

fn page(small: &Small, path: &str, front: &str) {
    small.write(&format!("site/content/{path}"), format!("---\n{front}\n---\n"));
}

fn template(small: &Small, name: &str, text: &str) {
    small.write(&format!("themes/plain/templates/{name}.html"), text);
}

fn has(output: &Output, path: &str) -> bool {
    output.files.contains_key(path)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn refused(small: &Small, parts: &[&str]) {
    let shown = small.main().unwrap_err();
    for part in parts {
        assert!(shown.contains(part), "`{part}` is missing in\n{shown}");
    }
}

const PAGER: &str = "{{ paginator.number }}/{{ paginator.total }}{% for p in paginator.pages %} {{ p.title }}{% endfor %} {{ paginator.prev }}|{{ paginator.next }}|{{ paginator.first }}|{{ paginator.last }} {{ page.permalink }}";

#[test]
fn terms_have_pages_newest_first_and_a_list() {
    let small = site(
        "languages: [{code: ja, name: 日本語}]\ntaxonomies: [{name: tags, paginate_by: 2, feed: true}, {name: kinds}]\n",
    );
    template(&small, "term", &format!("{{{{ taxonomy.path }}}} {{{{ term.name }}}} {{{{ term.count }}}} {PAGER}"));
    template(&small, "taxonomy", "{% for t in taxonomy.terms %}{{ t.name }} {{ t.count }} {{ t.path }};{% endfor %}");
    template(
        &small,
        "page",
        "{% for t in page.taxonomies.tags %}{{ t.name }} {{ t.path }};{% endfor %}{{ page.taxonomies.kinds | length }}",
    );
    for (name, day, tags) in [("a", 1, "[Cast Iron, new]"), ("b", 2, "[Cast Iron]"), ("c", 3, "[Cast Iron]")] {
        page(
            &small,
            &format!("{name}.md"),
            &format!("title: {name}\ndate: 2026-01-0{day}\ntaxonomies: {{tags: {tags}}}"),
        );
    }
    page(&small, "a.ja.md", "title: ア\ntaxonomies: {tags: [鉄]}");
    page(&small, "_index.ja.md", "title: 家");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/a/"), "Cast Iron /tags/cast-iron/;new /tags/new/;0");
    assert_eq!(html(&output, "/tags/"), "Cast Iron 3 /tags/cast-iron/;new 1 /tags/new/;");
    let first = "/tags/ Cast Iron 3 1/2 c b |/tags/cast-iron/page/2/|/tags/cast-iron/|/tags/cast-iron/page/2/ https://main.example/tags/cast-iron/";
    assert_eq!(html(&output, "/tags/cast-iron/"), first);
    assert!(html(&output, "/tags/cast-iron/page/2/").starts_with("/tags/ Cast Iron 3 2/2 a /tags/cast-iron/||"));
    assert_eq!(html(&output, "/ja/tags/"), "鉄 1 /ja/tags/鉄/;");
    assert!(html(&output, "/tags/new/atom.xml").contains("<title>new | Main</title>"));
    assert!(has(&output, "/kinds/") && !has(&output, "/ja/kinds/") && !has(&output, "/kinds/atom.xml"));
    assert!(html(&output, "/sitemap.xml").contains("https://main.example/tags/new/"));
    let derived = output.index.iter().filter(|page| page.is_derived).count();
    assert_eq!(derived, 6, "two lists, /ja/tags/, and three terms");
}

#[test]
fn wrong_terms_are_told() {
    let small = site("taxonomies: [{name: tags}]\n");
    template(&small, "term", "");
    template(&small, "taxonomy", "");
    page(&small, "a.md", "title: A\ntaxonomies:\n  tgs: [a]");
    refused(&small, &["error[unknown-taxonomy]: `tgs`", "site/content/a.md:4:3", "did you mean `tags`?"]);
    page(&small, "a.md", "title: A\ntaxonomies: {tags: [Rust]}");
    page(&small, "b.md", "title: B\ntaxonomies: {tags: [rust]}");
    refused(&small, &["error[duplicate-term]", "b.md:3:21", "note: site/content/a.md:3: says `Rust`"]);
    page(&small, "b.md", "title: B\ntaxonomies: {tags: ['!']}");
    refused(&small, &["the term `!` has no letter or digit", "b.md:3:1"]);
    page(&small, "b.md", "title: B\npath: /tags/rust/");
    refused(&small, &["error[duplicate-path]: `/tags/rust/` is claimed twice", "site/content/b.md"]);
    for (wrong, told) in
        [("[{name: My Tags}]", "write `my-tags`"), ("[{name: a}, {name: a}]", "named twice"), ("[{nme: a}]", "nme")]
    {
        refused(&site(&format!("taxonomies: {wrong}\n")), &[told, "site/site.yaml:4:"]);
    }
    let without = site("taxonomies: [{name: tags}]\n");
    refused(&without, &["theme `plain` has no template `taxonomy.html`"]);
}

#[test]
fn sections_are_shown_in_pages() {
    let small = Small::new();
    page(&small, "news/_index.md", "title: News\nsort_by: slug\npaginate_by: 2");
    for name in ["a", "b", "c", "d", "e"] {
        page(&small, &format!("news/{name}.md"), &format!("title: {name}"));
    }
    template(&small, "section", &format!("{PAGER} {{{{ section.pages | length }}}}"));
    template(&small, "index", "{% if paginator %}paged{% else %}whole{% endif %}");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/news/"), "1/3 a b |/news/page/2/|/news/|/news/page/3/ https://main.example/news/ 5");
    let second = "2/3 c d /news/|/news/page/3/|/news/|/news/page/3/ https://main.example/news/page/2/ 5";
    assert_eq!(html(&output, "/news/page/2/"), second);
    assert!(html(&output, "/news/page/1/").contains("url=/news/\""));
    assert!(!has(&output, "/news/page/4/"));
    assert_eq!(html(&output, "/"), "whole");
    assert!(!html(&output, "/sitemap.xml").contains("/page/"));
    page(&small, "news/page/2.md", "title: Two");
    refused(&small, &["`/news/page/2/` is claimed twice", "claimed here first"]);
    page(&small, "news/_index.md", "title: News\npaginate_by: 0");
    refused(&small, &["error[wrong-value]", "news/_index.md:3"]);
    page(&small, "news/_index.md", "title: News");
    page(&small, "news/a.md", "title: A\npaginate_by: 2");
    refused(&small, &["`paginate_by` belongs to a section", "news/a.md:3:1"]);
}

#[test]
fn aliases_lead_on_and_may_not_take_a_page() {
    let small = Small::new();
    page(&small, "a.md", "title: A\naliases: [/old/place, /old.html]");
    let output = small.main().unwrap();
    for path in ["/old/place/", "/old.html"] {
        let shown = html(&output, path);
        for part in [
            "<meta http-equiv=\"refresh\" content=\"0; url=/a/\">",
            "<link rel=\"canonical\" href=\"https://main.example/a/\">",
            "content=\"noindex\"",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
    }
    assert!(!html(&output, "/sitemap.xml").contains("old"));
    small.page("c.md", "[old](/old/place/)");
    assert!(small.main().is_ok(), "an old address is still an address");
    page(&small, "b.md", "title: B\naliases:\n  - /a/");
    refused(&small, &["`/a/` is claimed twice", "site/content/b.md:4:5", "note: site/content/a.md"]);
    page(&small, "b.md", "title: B\naliases: [a]");
    refused(&small, &["error[wrong-value]", "a path of this site", "b.md:3"]);
}

#[test]
fn pages_go_live_and_expire_at_their_instants() {
    let small = site("timezone: Asia/Tokyo\n");
    page(&small, "sale.md", "title: Sale\npublish: 2026-11-01\nexpires: 2026-11-03T12:00:00+09:00");
    small.page("a.md", "");
    let site = small.load().unwrap();
    let start = at("2026-10-31T15:00:00Z");
    assert_eq!(site.next_change(), Some(start));
    assert!(!has(&site.build_main().unwrap(), "/sale/"), "told no time, nothing is published early");
    let live = site.clone().at(start);
    assert!(has(&live.build_main().unwrap(), "/sale/"));
    assert_eq!(live.next_change(), Some(at("2026-11-03T03:00:00Z")));
    let over = site.at(at("2026-11-03T03:00:00Z"));
    assert!(!has(&over.build_main().unwrap(), "/sale/"));
    assert_eq!(over.next_change(), None);
    small.page("a.md", "[sale](sale.md)");
    let site = small.load().unwrap();
    let early = site.clone().build_main().unwrap_err().to_string();
    assert!(early.contains("error[broken-link]") && early.contains("goes live at 2026-10-31T15:00:00Z"), "{early}");
    assert!(site.at(at("2027-01-01T00:00:00Z")).build_main().is_ok(), "what expires must not stop the site");
    page(&small, "sale.md", "title: Sale\npublish: soon");
    refused(&small, &["error[wrong-value]", "a time with its offset", "sale.md:3"]);
    refused(&self::site("timezone: Mars/Base\n"), &["`Mars/Base` is not a time zone", "site.yaml:4:11"]);
}

#[test]
fn a_variation_has_its_own_times() {
    let small = Small::new();
    small.contract("inherited");
    page(&small, "about.md", "title: Main");
    small.write("site/partners/shop/content/about.md", "---\ntitle: Shop\npublish: 2026-11-01\n---\n");
    let release = |now: &str| small.load().unwrap().at(at(now)).build_release(&"shop".parse().unwrap()).unwrap();
    assert!(html(&release("2026-10-31T23:59:59Z").output, "/about/").contains("Main"));
    assert!(html(&release("2026-11-01T00:00:00Z").output, "/about/").contains("Shop"));
}

#[test]
fn sections_cascade_to_what_is_below_them() {
    let small = site("taxonomies: [{name: tags}]\n");
    template(&small, "term", "");
    template(&small, "taxonomy", "");
    template(
        &small,
        "special",
        "{{ page.extra.a }} {{ page.extra.b }} {{ page.weight }} {{ page.taxonomies.tags | length }}",
    );
    page(
        &small,
        "x/_index.md",
        "title: X\ncascade: {template: special.html, weight: 7, taxonomies: {tags: [t]}, extra: {a: far, b: far}}",
    );
    page(&small, "x/y/_index.md", "title: Y\ntemplate: section.html\ncascade: {extra: {a: near}}");
    page(&small, "x/y/p.md", "title: P\nextra: {b: own}");
    page(&small, "x/q.md", "title: Q\nweight: 1\ntaxonomies: {tags: []}");
    page(&small, "x/z/_index.md", "title: Z\ncascade: {draft: true}");
    page(&small, "x/z/d.md", "title: D");
    page(&small, "x/z/e.md", "title: E\ndraft: false");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/x/y/p/"), "near own 7 1");
    assert_eq!(html(&output, "/x/q/"), "far far 1 0");
    assert!(html(&output, "/x/").contains("<h1>X</h1>"), "a section does not give to itself");
    assert!(!has(&output, "/x/z/d/") && has(&output, "/x/z/e/"));
    page(&small, "x/_index.md", "title: X\ncascade:\n  templte: special.html");
    refused(&small, &["unknown key `templte`", "x/_index.md:4", "did you mean `template`?"]);
    page(&small, "x/_index.md", "title: X\ncascade:\n  template: specal.html");
    refused(&small, &["no template `specal.html`", "x/_index.md:4:13", "did you mean `special.html`?"]);
}

#[test]
fn menus_come_from_pages_and_from_the_site() {
    let small = site(
        "languages: [{code: ja, name: 日本語}]\nmenus:\n  main:\n    - {title: Shop, url: 'https://shop.example/', weight: 5}\n    - {title: 店, path: /ja/, lang: ja}\n",
    );
    page(&small, "_index.ja.md", "title: 家");
    page(&small, "a.md", "title: A\nmenus: {main: {weight: 9, title: About}, foot: {}}");
    page(&small, "b.md", "title: B\nweight: 1\nmenus: [main]");
    template(
        &small,
        "index",
        "{% for m in menus.main %}{{ m.title }} {{ m.path or m.url }};{% endfor %}{{ menus.foot | length }}",
    );
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/"), "B /b/;Shop https://shop.example/;About /a/;1");
    assert_eq!(html(&output, "/ja/"), "店 /ja/;Shop https://shop.example/;0");
    for (link, told) in [
        ("{title: X, path: /nowhere/}", "nothing stands at `/nowhere/`, where the menu leads"),
        ("{title: X}", "needs either a `path` or a `url`"),
        ("{title: X, path: x}", "`x` is not a path of this site"),
        ("{title: X, path: /, lang: fr}", "`fr` is not a language of this site"),
    ] {
        refused(&site(&format!("menus: {{main: [{link}]}}\n")), &[told, "site/site.yaml:4:"]);
    }
    page(&small, "b.md", "title: B\nmenus: 3");
    refused(&small, &["error[wrong-value]", "names of menus", "b.md:3"]);
}

#[test]
fn permalinks_give_paths_and_ugly_addresses() {
    let small = site("permalinks: {news: '/:section/:year/:month/:slug/', '*': '/:section/:slug.html'}\n");
    page(&small, "news/_index.md", "title: News");
    page(&small, "news/a.md", "title: A\ndate: 2026-03-09");
    page(&small, "help/b.md", "title: B\nslug: c");
    page(&small, "help/d.md", "title: D\npath: /e.html");
    small.page("help/f.md", "[a](../news/a.md) [b](b.md)");
    let output = small.main().unwrap();
    for path in ["/news/", "/news/2026/03/a/", "/help/c.html", "/e.html"] {
        assert!(has(&output, path), "{path}");
    }
    let files: Vec<String> = output.tree().map(|(file, _)| file.to_string()).collect();
    assert!(files.contains(&"help/c.html".to_owned()));
    assert!(html(&output, "/help/f.html").contains("href=\"/help/c.html\""));
    assert!(html(&output, "/sitemap.xml").contains("https://main.example/help/c.html"));
    page(&small, "news/g.md", "title: G");
    refused(&small, &["the page has no `date`", "site/content/news/g.md", "note: site/site.yaml"]);
    for (pattern, told) in [
        ("/:yaer/:slug/", "did you mean `:year`?"),
        ("/:year/", "write `:slug` into it"),
        (":slug", "is not a pattern of paths"),
    ] {
        refused(&site(&format!("permalinks: {{news: '{pattern}'}}\n")), &[told, "site/site.yaml:4:"]);
    }
}

#[test]
fn pages_know_their_summary_contents_and_change() {
    let small = Small::new();
    small.write(
        "site/content/a.md",
        "---\ntitle: A\nupdated: 2026-02-03\n---\nShort *one*.\n\n<!-- more -->\n\n## B\n\n### C `d`\n\n## E\n",
    );
    template(
        &small,
        "page",
        "{{ page.summary }}|{{ page.updated }}|{% for h in page.toc %}{{ h.level }} {{ h.id }}{% for c in h.children %} {{ c.title }}{% endfor %};{% endfor %}",
    );
    template(&small, "index", "{% for p in section.pages %}{{ p.summary }}{{ p.updated }}{% endfor %}");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/a/"), "<p>Short <em>one</em>.</p>\n|2026-02-03|2 b C d;2 e;");
    assert_eq!(html(&output, "/"), "<p>Short <em>one</em>.</p>\n2026-02-03");
}

#[test]
fn feeds_are_chosen_by_kind() {
    let small = site("feeds: {site: [rss, atom], sections: [rss], limit: 2}\n");
    page(&small, "news/_index.md", "title: News\nsort_by: date");
    for day in 1..=3 {
        page(&small, &format!("news/{day}.md"), &format!("title: 'Day {day} & on'\ndate: 2026-01-0{day}"));
    }
    let output = small.main().unwrap();
    let rss = html(&output, "/rss.xml");
    assert!(rss.contains("<title>Day 3 &amp; on</title>") && rss.contains("<pubDate>Sat, 03 Jan 2026 00:00:00 +0000"));
    assert_eq!(rss.matches("<item>").count(), 2);
    assert!(html(&output, "/atom.xml").contains("<title>Main</title>"));
    assert!(html(&output, "/news/rss.xml").contains("<title>News | Main</title>"));
    assert!(!has(&output, "/news/atom.xml"));
    assert_eq!(output.files[&"/rss.xml".parse::<SitePath>().unwrap()].media_type, "application/rss+xml");
    refused(&site("feeds: {site: [rs]}\n"), &["did you mean `rss`?", "site/site.yaml:4"]);
    refused(&site("feeds: 3\n"), &["true, false, or feeds such as", "site/site.yaml:4"]);
}
