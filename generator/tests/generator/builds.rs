//! What is made of a site that is right: paths, order, languages, slots, releases and originals.

use std::collections::BTreeMap;

use tieup_generator::{Framework, build_originals, fill_slots};
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::{SitePath, SourcePath};

use crate::small::{Small, html};

/// Every path, without those under a fingerprint.
fn paths(output: &tieup_generator::Output) -> Vec<&str> {
    let plain = |path: &&str| !path.starts_with("/style.") || *path == "/style.css";
    output.files.keys().map(SitePath::as_str).filter(plain).collect()
}

fn titled(small: &Small, path: &str, front: &str) {
    small.write(&format!("site/content/{path}"), format!("---\n{front}\n---\n"));
}

#[test]
fn files_become_paths() {
    let small = Small::new();
    titled(&small, "about.md", "title: About");
    titled(&small, "old-name.md", "title: Named\nslug: named");
    titled(&small, "far.md", "title: Far\npath: /somewhere/else");
    titled(&small, "hidden.md", "title: Hidden\ndraft: true");
    titled(&small, "news/_index.md", "title: News\nslug: stories");
    titled(&small, "news/opening.md", "title: Opening");
    titled(&small, "no-section/page.md", "title: Alone");
    small.write("site/static/folder/index.html", "<p>own</p>").write("site/static/style.css", "p {}");
    small.write("site/static/.well-known/security.txt", "Contact: ...").write("site/static/.notes/a.txt", "x");
    let output = small.main().unwrap();
    assert_eq!(
        paths(&output),
        [
            "/",
            "/.well-known/security.txt",
            "/404.html",
            "/about/",
            "/folder/",
            "/named/",
            "/no-section/page/",
            "/robots.txt",
            "/sitemap.xml",
            "/somewhere/else/",
            "/stories/",
            "/stories/opening/",
            "/style.css"
        ]
    );
    let style = &output.files["/style.css"];
    assert_eq!((style.kind, &*style.bytes), (EntryKind::Asset, b"p {}".as_slice()), "a site's file hides its theme's");
    let tree: Vec<String> = output.tree().map(|(path, _)| path.to_string()).collect();
    assert!(tree.contains(&"stories/opening/index.html".to_owned()));
}

#[test]
fn sections_keep_their_order_and_pages_know_their_neighbours() {
    let small = Small::new();
    titled(&small, "news/_index.md", "title: News\nsort_by: date");
    titled(&small, "news/a.md", "title: Oldest\ndate: 2026-01-01");
    titled(&small, "news/b.md", "title: Newest\ndate: 2026-03-01");
    titled(&small, "news/c.md", "title: Middle\ndate: 2026-02-01");
    titled(&small, "news/d.md", "title: Undated");
    titled(&small, "news/more/_index.md", "title: More");
    small
        .write(
            "themes/plain/templates/section.html",
            "{% for p in section.pages %}{{ p.title }} {% endfor %}/{% for s in section.subsections %}{{ s.title }}{% endfor %}",
        );
    small.write("themes/plain/templates/page.html", "{% if page.prev %}{{ page.prev.title }}{% else %}-{% endif %} {% if page.next %}{{ page.next.title }}{% else %}-{% endif %} {{ page.section }}{% for a in page.ancestors %} {{ a.path }}{% endfor %}");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/news/"), "Newest Middle Oldest Undated /More");
    assert_eq!(html(&output, "/news/b/"), "- Middle /news/ / /news/");
    assert_eq!(html(&output, "/news/c/"), "Newest Oldest /news/ / /news/");
    let index: Vec<&str> = output.index.iter().map(|page| page.path.as_str()).collect();
    assert_eq!(index, ["/", "/news/", "/news/b/", "/news/c/", "/news/a/", "/news/d/", "/news/more/"]);
}

#[test]
fn pages_come_from_data_in_every_language() {
    let small = Small::new();
    small
        .write("site/site.yaml", "title: M\nbase_url: https://m.example\ntheme: plain\ncurrency: JPY\nlanguages: [{code: ja, name: 日本語}]\n")
        .write("site/data/products.yaml", "- {id: pan, name: Pan, price: 1234, z: 1, a: 2}\n- {id: pot, name: Pot, price: 5}\n")
        .write("themes/plain/templates/product.html", "{{ page.data.price | yen }} {{ page.lang }}{% for t in page.translations %} {{ t.lang }} {{ t.name }} {{ t.permalink }}{% endfor %}{% for key in page.data | keys %} {{ key }}{% endfor %}");
    let section = "title: All\npages_from: {data: products, template: product.html}";
    titled(&small, "products/_index.md", section);
    titled(&small, "products/_index.ja.md", section);
    titled(&small, "_index.ja.md", "title: 家");
    let output = small.main().unwrap();
    assert_eq!(
        html(&output, "/products/pan/"),
        "¥1,234 en ja 日本語 https://m.example/ja/products/pan/ id name price z a"
    );
    assert!(html(&output, "/ja/products/pot/").starts_with("¥5 ja en English https://m.example/products/pot/"));
    assert!(html(&output, "/sitemap.xml").contains("https://m.example/ja/products/pot/"));
}

#[test]
fn slots_are_ranges_that_a_partner_fills() {
    let small = Small::new();
    let output = small.main().unwrap();
    let home = &output.files["/"];
    assert_eq!(html(&output, "/"), "<nav>home</nav><h1>Home</h1>");
    let [slot] = home.slots.as_slice() else { panic!("{:?}", home.slots) };
    assert_eq!((slot.name.as_str(), slot.at, slot.length), ("nav", 5, 4));
    let fills = BTreeMap::from([("nav".to_owned(), b"shop".to_vec())]);
    assert_eq!(fill_slots(&home.bytes, &home.slots, &fills), b"<nav>shop</nav><h1>Home</h1>");
}

#[test]
fn content_cannot_forge_a_slot() {
    let small = Small::new();
    titled(&small, "_index.md", "title: \"\\x01\\x30\\x02forged\\x03\"\nextra: {raw: \"\\x010\\x02forged\\x03\"}");
    small.write("site/data/d.json", r#"{"raw": "\u00010\u0002forged\u0003"}"#).write(
        "themes/plain/templates/index.html",
        "{{ page.title }}{{ page.extra.raw | safe }}{{ data.d.raw | safe }}{{ page.content }}",
    );
    small.page("a.md", "&#1;0&#2;forged&#3;");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/"), "0forged0forged0forged");
    assert_eq!(output.files["/"].slots, []);
    assert_eq!(output.files["/a/"].slots.len(), 1);
    small.write("site/content/a.md", "---\ntitle: A\n---\n\u{1}0\u{2}forged\u{3}");
    assert!(small.main().unwrap_err().contains("error[bad-character]"));
}

#[test]
fn templates_are_escaped_unless_marked_safe() {
    let small = Small::new();
    titled(&small, "_index.md", "title: \"<b>'\\\"&\"");
    assert!(html(&small.main().unwrap(), "/").contains("<h1>&lt;b&gt;&#39;&quot;&amp;</h1>"));
}

#[test]
fn a_release_holds_mains_pages_with_the_partners_variations() {
    let small = Small::new();
    small.contract("inherited");
    titled(&small, "about.md", "title: About main");
    titled(&small, "local/map.md", "title: Map");
    small
        .page("help.md", "[the map](/local/map/) and [more](/local/more/)")
        .write("site/static/local/map.pdf", "x")
        .write("site/static/a.pdf", "x")
        .write("site/static/.well-known/security.txt", "Contact: ...")
        .write("site/data/d.yaml", "a: 1")
        .write("site/partners/shop/content/about.md", "---\ntitle: About here\n---\n[help](help.md)")
        .write("site/partners/shop/content/only.md", "---\ntitle: Only here\n---\n")
        .write(
            "themes/plain/templates/index.html",
            "{% if partner %}{{ partner.id }} {{ partner.noindex }}{% else %}main{% endif %}",
        );
    let release = small.release().unwrap();
    assert_eq!(
        paths(&release.output),
        ["/", "/404.html", "/a.pdf", "/about/", "/help/", "/only/", "/style.css"],
        "what is the partner's by its mounts or speaks for its host is not main's, and the sitemap is made at the partner"
    );
    assert_eq!(html(&release.output, "/"), "shop false");
    assert!(html(&release.output, "/about/").contains("About here"));
    assert!(html(&release.output, "/about/").contains("href=\"/help/\""));
    assert!(release.output.index.iter().all(|page| page.path.as_str() != "/local/map/"));
    let files: Vec<&str> = release.framework.files().keys().map(SourcePath::as_str).collect();
    assert!(files.contains(&"data/d.yaml") && files.contains(&"plain/templates/base.html"), "{files:?}");
    let broken = small.main().unwrap_err();
    assert!(broken.contains("nothing stands at `/local/more/`"), "on the main site itself, nobody else can publish it");
}

#[test]
fn a_framework_release_holds_the_layout_and_a_link_nothing() {
    let small = Small::new();
    let release = small.contract("framework").release().unwrap();
    assert_eq!(paths(&release.output), ["/style.css"]);
    assert_eq!(release.output.files["/style.css"].kind, EntryKind::Layout);
    assert_eq!(release.output.index, []);
    let release = small.contract("link").release().unwrap();
    assert!(release.output.files.is_empty() && release.framework.files().is_empty());
}

#[test]
fn originals_see_what_they_inherit_and_hide_what_they_replace() {
    let small = Small::new();
    small.contract("inherited");
    titled(&small, "news/_index.md", "title: News");
    titled(&small, "news/a.md", "title: Main news");
    titled(&small, "help.md", "title: Help of main");
    let inherited = small.release().unwrap().output.index;
    small
        .write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\n")
        .write("partner/content/help.md", "---\ntitle: Help of ours\n---\n")
        .write("partner/content/news/ours.md", "---\ntitle: Our news\n---\n[home](/) ![logo](/brand.svg) [css](/style.css)")
        .write("partner/slots/nav.md", "[us](/help/)")
        .write("partner/slots/banner.html", "<b>Sale</b>")
        .write(
            "themes/plain/templates/page.html",
            "{% set help = get_page(path=\"/help/\") %}{% set news = get_section(path=\"/news/\") %}{{ site.title }}: {{ help.title }}, {% for p in news.pages %}{{ p.title }} {% endfor %}{{ page.permalink }} {{ page.section }}",
        );
    let originals = small.originals(&inherited).unwrap();
    assert_eq!(paths(&originals.output), ["/404.html", "/help/", "/news/ours/"]);
    assert_eq!(
        html(&originals.output, "/news/ours/"),
        "Shop: Help of ours, Main news Our news https://shop.example/news/ours/ /news/"
    );
    assert_eq!(originals.slots["nav"], b"<p><a href=\"/help/\">us</a></p>\n");
    assert_eq!(originals.slots["banner"], b"<b>Sale</b>");
    let index: Vec<&str> = originals.output.index.iter().map(|page| page.path.as_str()).collect();
    assert_eq!(index, ["/help/", "/news/ours/"]);
}

#[test]
fn mains_menus_stand_among_those_of_originals_and_in_the_slot_that_these_fill() {
    let small = Small::new();
    small.contract("inherited").write(
        "site/site.yaml",
        "title: Main\nbase_url: https://main.example\ntheme: plain\nmenus: {nav: [{title: Desk, url: 'https://desk.example/'}]}\n",
    );
    titled(&small, "help.md", "title: Help\nmenus: {nav: {weight: 5}}");
    titled(&small, "local/map.md", "title: Map\nmenus: [nav]");
    let release = small.release().unwrap();
    let framework = Framework::from_files("plain", release.framework.files().clone()).unwrap();
    let lines = "{% for line in menus.nav %}{{ line.title }} {{ line.path or line.url }};{% endfor %}";
    small
        .write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\n")
        .write("partner/templates/page.html", lines)
        .write("partner/content/local/hours.md", "---\ntitle: Hours\n---\n");
    let build = || build_originals(&small.path("partner"), &framework, &release.output.index).unwrap();
    let originals = build();
    let (desk, help) = ("Desk https://desk.example/;", "Help /help/;");
    assert_eq!(html(&originals.output, "/local/hours/"), format!("{desk}{help}"), "the map would be the partner's own");
    assert!(originals.slots.is_empty(), "what main wrote into its slot stays");

    small.write("partner/content/local/hours.md", "---\ntitle: Hours\nmenus: {nav: {weight: 2}}\n---\n");
    let originals = build();
    assert_eq!(html(&originals.output, "/local/hours/"), format!("{desk}Hours /local/hours/;{help}"));
    let filled = "<ul>\n<li><a href=\"https://desk.example/\">Desk</a></li>\n<li><a href=\"/local/hours/\">Hours</a></li>\n\
        <li><a href=\"/help/\">Help</a></li>\n</ul>\n";
    assert_eq!(String::from_utf8_lossy(&originals.slots["nav"]), filled);
}

#[test]
fn a_file_of_a_framework_that_this_version_does_not_know_is_left_aside() {
    let small = Small::new();
    small.contract("inherited").write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\n");
    let mut files = small.release().unwrap().framework.files().clone();
    files.insert("later.json".parse().unwrap(), b"{".to_vec());
    let framework = Framework::from_files("plain", files).unwrap();
    build_originals(&small.path("partner"), &framework, &[]).unwrap();
}

#[test]
fn mistakes_in_originals_are_told() {
    let small = Small::new();
    small
        .write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\n")
        .write("partner/content/_index.md", "---\ntitle: Home\n---\n[a](/nowhere/) ![b](/no.png)")
        .write("partner/slots/nav.md", "Go [there](/there/).\n");
    let shown = small.originals(&[]).unwrap_err();
    assert!(shown.contains("nothing stands at `/nowhere/`") && shown.contains("no picture `/no.png`"), "{shown}");
    small.write("partner/content/_index.md", "---\ntitle: Home\n---\n");
    let shown = small.originals(&[]).unwrap_err();
    assert!(
        shown.contains("--> partner/slots/nav.md:1:12") && shown.contains("nothing stands at `/there/`"),
        "{shown}"
    );
    small.write("partner/slots/nva.md", "x").write("partner/slots/nav.html", "x");
    let shown = small.originals(&[]).unwrap_err();
    assert!(shown.contains("has no slot `nva`") && shown.contains("slot `nav` is filled by two files"), "{shown}");
    small.write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\ntheme: plain\n");
    assert!(small.originals(&[]).unwrap_err().contains("unknown key `theme`"));
}

#[test]
fn a_child_theme_reaches_its_parents_templates_by_name() {
    let small = Small::new();
    small
        .write("site/site.yaml", "title: Main\nbase_url: https://main.example\ntheme: child\n")
        .write("themes/child/theme.yaml", "name: child\napi: 1\nextends: plain\n")
        .write("themes/child/templates/base.html", "{% extends \"plain/base.html\" %}")
        .write(
            "themes/child/templates/index.html",
            "{% extends \"base.html\" %}{% block main %}child{% endblock main %}",
        )
        .write("themes/child/static/child.css", "x");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/"), "<nav>home</nav>child");
    assert!(output.files.contains_key("/child.css"));
    assert_eq!(output.files["/style.css"].kind, EntryKind::Layout);
}

#[test]
fn a_section_by_date_has_a_feed() {
    let small = Small::new();
    small.write("site/site.yaml", "title: Main\nbase_url: https://main.example\ntheme: plain\nfeeds: true\n");
    titled(&small, "news/_index.md", "title: News\nsort_by: date");
    titled(&small, "news/a.md", "title: A & B\ndate: 2026-01-01\nupdated: 2026-02-03");
    titled(&small, "other/_index.md", "title: Other");
    let output = small.main().unwrap();
    let feed = html(&output, "/news/atom.xml");
    assert!(
        feed.contains("<title>A &amp; B</title>") && feed.contains("<updated>2026-02-03T00:00:00Z</updated>"),
        "{feed}"
    );
    assert!(!output.files.contains_key("/other/atom.xml"));
}

#[test]
fn two_paths_of_one_file_and_paths_that_are_taken_are_told() {
    let site = "title: Main\nbase_url: https://main.example\ntheme: plain\n";
    for (front, told) in [
        ("path: /about/index.html", "`/about/index.html` is claimed by two files"),
        ("path: /style.css", "`/style.css` is a file of the theme or of static/"),
        ("path: /sitemap.xml", "`/sitemap.xml` tells of all pages"),
        ("aliases: [/about/index.html]", "`/about/index.html` is claimed twice"),
        ("aliases: [/robots.txt]", "`/robots.txt` tells of all pages"),
        ("aliases: [/mine.txt]", "`/mine.txt` is a file of the theme or of static/"),
    ] {
        let small = Small::new();
        small.write("site/site.yaml", site).write("site/static/mine.txt", "mine").page("about.md", "");
        titled(&small, "other.md", &format!("title: Other\n{front}"));
        let shown = small.main().unwrap_err();
        assert!(shown.contains("duplicate-path") && shown.contains(told) && shown.contains("other.md"), "{shown}");
    }
}

#[test]
fn a_path_too_long_for_its_feed_is_told() {
    let small = Small::new();
    small.write("site/site.yaml", "title: Main\nbase_url: https://main.example\ntheme: plain\nfeeds: true\n");
    let slug = "s".repeat(1018);
    titled(&small, "news/_index.md", &format!("title: News\nsort_by: date\nslug: {slug}"));
    let shown = small.main().unwrap_err();
    assert!(shown.contains("is too long for a feed below it") && shown.contains("news/_index.md"), "{shown}");
}
