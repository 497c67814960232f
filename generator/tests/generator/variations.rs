//! What a partner's file says in the place of a main page: single keys, a body, or that the page is gone.

use tieup_generator::Output;
use tieup_protocol::path::SitePath;

use crate::small::{Small, html};

/// A site with a partner that inherits pages, and templates that show what pages say.
fn site() -> Small {
    let small = Small::new();
    small
        .contract("inherited")
        .write(
            "site/site.yaml",
            "title: Main\nbase_url: https://main.example\ntheme: plain\ntaxonomies: [{name: tags}]\n",
        )
        .write(
            "themes/plain/templates/page.html",
            "{{ page.title }}|{{ page.description }}|{{ page.date }}|{{ page.weight }}|\
             {% for t in page.taxonomies.tags %}{{ t.name }} {% endfor %}|\
             {% for k, v in page.extra %}{{ k }}={{ v }} {% endfor %}|{{ page.content }}",
        )
        .write("themes/plain/templates/section.html", "{% for p in section.pages %}{{ p.title }} {% endfor %}");
    for template in ["term", "taxonomy"] {
        small.write(&format!("themes/plain/templates/{template}.html"), "{{ page.title }}");
    }
    small
}

fn main_page(small: &Small, file: &str, front: &str, body: &str) {
    small.write(&format!("site/content/{file}"), format!("---\n{front}\n---\n{body}"));
}

fn varied(small: &Small, file: &str, front: &str, body: &str) {
    small.write(&format!("site/partners/shop/content/{file}"), format!("---\n{front}\n---\n{body}"));
}

fn has(output: &Output, path: &str) -> bool {
    output.files.contains_key(&path.parse::<SitePath>().unwrap())
}

const ABOUT: &str = "title: About\ndescription: Of main\ndate: 2026-01-02\nweight: 3\ntaxonomies: {tags: [iron]}\nextra: {a: 1, b: {x: 1}}";

#[test]
fn keys_that_a_variation_does_not_give_are_the_main_pages() {
    let small = site();
    main_page(&small, "news/about.md", ABOUT, "See [help](../help.md).\n");
    small.page("help.md", "");
    varied(&small, "news/about.md", "description: Of the shop\nextra: {b: 2, c: 3}", "\n");
    let body = "<p>See <a href=\"/help/\">help</a>.</p>\n";
    let release = small.release().unwrap().output;
    let shown = format!("About|Of the shop|2026-01-02|3|iron |a=1 b=2 c=3 |{body}");
    assert_eq!(html(&release, "/news/about/"), shown);
    assert!(html(&small.main().unwrap(), "/news/about/").starts_with("About|Of main|"), "main's page is its own");
    varied(&small, "news/about.md", "title: Ours\ntaxonomies: {tags: [wood]}", "Words.\n");
    let release = small.release().unwrap().output;
    assert_eq!(
        html(&release, "/news/about/"),
        "Ours|Of main|2026-01-02|3|wood |a=1 b={&quot;x&quot;: 1} |<p>Words.</p>\n"
    );
    assert!(has(&release, "/tags/wood/") && !has(&release, "/tags/iron/"));
}

#[test]
fn a_variation_may_be_a_body_alone_and_keeps_its_pages_place() {
    let small = site();
    small.write("site/content/news/_index.md", "---\ntitle: News\n---\n");
    for (file, title) in [("a.md", "One"), ("b.md", "Two"), ("c.md", "Three")] {
        main_page(&small, &format!("news/{file}"), &format!("title: {title}\nslug: {title}"), "Main.\n");
    }
    small.write("site/partners/shop/content/news/b.md", "---\n---\nOurs.\n");
    let release = small.release().unwrap().output;
    assert_eq!(html(&release, "/news/"), "One Two Three ");
    assert!(html(&release, "/news/Two/").ends_with("<p>Ours.</p>\n"));
    varied(&small, "news/b.md", "title: Second\nslug: second", "");
    let release = small.release().unwrap().output;
    assert_eq!(html(&release, "/news/"), "One Second Three ");
    assert!(has(&release, "/news/second/") && !has(&release, "/news/Two/"), "a page that moves leaves its old place");
}

#[test]
fn a_draft_takes_the_page_away() {
    let small = site();
    main_page(&small, "about.md", "title: About", "");
    small.page("help.md", "");
    varied(&small, "about.md", "draft: true", "");
    let release = small.release().unwrap().output;
    assert!(!has(&release, "/about/") && has(&release, "/help/"));
    assert!(has(&small.main().unwrap(), "/about/"));
    small.page("help.md", "[about](about.md)");
    let shown = small.release().unwrap_err();
    assert!(shown.contains("nothing stands at `/about/`") && shown.contains("--> site/content/help.md:4:9"), "{shown}");
}

#[test]
fn a_page_from_data_is_varied_by_a_file_of_its_name() {
    let small = site();
    small
        .write(
            "site/data/goods.yaml",
            "- {id: pan, name: Pan, price: 5, currency: JPY}\n- {id: pot, name: Pot, price: 7, currency: JPY}\n- {id: cup, name: Cup}\n",
        )
        .write("themes/plain/templates/good.html", "{{ page.title }} {{ page.data.price }} {{ page.content }}");
    let section = "title: Goods\npages_from: {data: goods, template: good.html}";
    main_page(&small, "goods/_index.md", section, "");
    varied(&small, "goods/pan.md", "", "We have it.\n");
    varied(&small, "goods/cup.md", "draft: true", "");
    let release = small.release().unwrap().output;
    assert_eq!(html(&release, "/goods/pan/"), "Pan 5 <p>We have it.</p>\n");
    assert_eq!(html(&release, "/goods/"), "Pan Pot ");
    assert!(!has(&release, "/goods/cup/"));
    varied(&small, "goods/_index.md", "title: Our goods", "");
    let release = small.release().unwrap().output;
    assert_eq!(html(&release, "/goods/"), "Pan Pot ", "the section is varied, and its pages are as they were");
    varied(&small, "goods/_index.md", "draft: true", "");
    std::fs::remove_file(small.path("site/partners/shop/content/goods/pan.md")).unwrap();
    let release = small.release().unwrap().output;
    assert!(!has(&release, "/goods/") && !has(&release, "/goods/pot/"), "a section goes with its pages from data");
}

#[test]
fn a_mistake_is_told_of_the_file_that_makes_it() {
    let small = site();
    main_page(&small, "about.md", "title: About\ntemplate: abuot.html", "[there](/there/)\n");
    varied(&small, "about.md", "weight: 1", "");
    let shown = small.release().unwrap_err();
    assert!(
        shown.contains("--> site/content/about.md:3:") && shown.contains("--> site/content/about.md:5:9"),
        "{shown}"
    );
    assert!(!shown.contains("--> site/partners"), "{shown}");
    main_page(&small, "about.md", "title: About", "");
    varied(&small, "about.md", "taxonomies: {tgas: [x]}", "[there](/there/)\n");
    let shown = small.load().unwrap_err();
    assert!(shown.contains("--> site/partners/shop/content/about.md:2:") && shown.contains("`tags`"), "{shown}");
    varied(&small, "about.md", "weight: heavy", "");
    assert!(small.load().unwrap_err().contains("--> site/partners/shop/content/about.md:2:"));
    varied(&small, "about.md", "weight: 1", "");
    varied(&small, "abuot.md", "weight: 1", "");
    let shown = small.load().unwrap_err();
    assert!(
        shown.contains("missing key `title`") && shown.contains("the main site has no content/abuot.md"),
        "{shown}"
    );
}
