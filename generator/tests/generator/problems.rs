//! What people are told about a site that is wrong, word for word.

use crate::small::Small;

#[track_caller]
fn told<T>(result: Result<T, String>, expected: &str) {
    let Err(shown) = result else { panic!("the site was built") };
    assert_eq!(shown, expected.trim_start_matches('\n'), "\n{shown}\n");
}

#[test]
fn an_unknown_key_is_underlined_with_a_suggestion() {
    let small = Small::new();
    small.write("site/content/about.md", "---\ntitle: About\nwieght: 3\n---\n");
    told(
        small.main(),
        "
error[unknown-key]: unknown key `wieght`
 --> site/content/about.md:3:1
3 | wieght: 3
  | ^^^^^^
  = help: did you mean `weight`?

1 error",
    );
}

#[test]
fn all_mistakes_are_told_at_once_and_sorted() {
    let small = Small::new();
    small
        .write("site/data/bad.json", "{\"a\": }")
        .write("site/content/b.md", "no front matter\n")
        .write("site/content/a.fr.md", "---\ntitle: A\n---\n")
        .write("site/content/c.md", b"---\ntitle: C\xff\n---\n")
        .write("site/content/photo.jpg", "x");
    told(
        small.main(),
        "
error[unknown-language]: `fr` is not a language of this site
 --> site/content/a.fr.md
  = help: site.yaml has these languages: en

error[missing-front-matter]: the file does not begin with front matter
 --> site/content/b.md:1:1
1 | no front matter
  | ^^
  = help: begin with a line `---`, then `title: ...`, then another line `---`

error[not-utf-8]: the file is not UTF-8 text: line 2 has other bytes
 --> site/content/c.md
  = help: save the file as UTF-8

error[misplaced-file]: only Markdown files (.md) stand in a content folder
 --> site/content/photo.jpg
  = help: pictures and other files go into static/

error[bad-json]: expected value
 --> site/data/bad.json:1:7
1 | {\"a\": }
  |       ^

5 errors",
    );
}

#[test]
fn a_theme_that_does_not_exist_names_those_that_do() {
    let small = Small::new();
    small.write("site/site.yaml", "title: Main\nbase_url: https://main.example\ntheme: plan\n");
    told(
        small.load(),
        "
error[missing-theme]: there is no theme `plan` in themes
 --> site/site.yaml:3:8
3 | theme: plan
  |        ^^^^
  = help: did you mean `plain`?

1 error",
    );
}

#[test]
fn a_theme_that_extends_a_missing_one_is_told_where_it_says_so() {
    let small = Small::new();
    small.write("themes/plain/theme.yaml", "name: plain\napi: 1\nextends: elegant\n");
    told(
        small.load(),
        "
error[missing-theme]: there is no theme `elegant` in themes
 --> themes/plain/theme.yaml
  = help: these themes exist: plain

1 error",
    );
}

#[test]
fn a_path_with_two_owners_names_both_places() {
    let small = Small::new();
    small
        .write("site/content/about.md", "---\ntitle: About\n---\n")
        .write("site/content/us.md", "---\ntitle: Us\nslug: about\n---\n")
        .write("site/static/about", "x");
    told(
        small.load(),
        "
error[duplicate-path]: `/about/` is claimed by two files
 --> site/content/us.md:3:1
3 | slug: about
  | ^^^^^^^^^^^
  = note: site/content/about.md: claimed here first
  = help: give one of them another `slug` or `path`

error[duplicate-path]: `/about` cannot be a file and hold `/about/` at once
 --> site/static/about
  = note: site/content/us.md: claims a path below

2 errors",
    );
}

#[test]
fn links_anchors_and_pictures_that_lead_nowhere_are_underlined() {
    let small = Small::new();
    small.page("help/delivery.md", "## What it costs\n").page(
        "help/order.md",
        "See [a](/hlp/delivery/), [b](delivry.md), [c](delivery.md#what-it-cost)\nand ![d](/pan.png), [e](/help/delivery).\n",
    );
    told(
        small.main(),
        "
error[broken-link]: nothing stands at `/hlp/delivery/`
 --> site/content/help/order.md:4:9
4 | See [a](/hlp/delivery/), [b](delivry.md), [c](delivery.md#what-it-cost)
  |         ^^^^^^^^^^^^^^
  = help: did you mean `/help/delivery/`?

error[broken-link]: the link leads to `help/delivry.md`, and there is no such page in the content
 --> site/content/help/order.md:4:30
4 | See [a](/hlp/delivery/), [b](delivry.md), [c](delivery.md#what-it-cost)
  |                              ^^^^^^^^^^
  = help: a link to a `.md` file is relative to the file it stands in; a draft is no page

error[broken-anchor]: `/help/delivery/` has no anchor `#what-it-cost`
 --> site/content/help/order.md:4:47
4 | See [a](/hlp/delivery/), [b](delivry.md), [c](delivery.md#what-it-cost)
  |                                               ^^^^^^^^^^^^^^^^^^^^^^^^
  = help: did you mean `#what-it-costs`?

error[missing-image]: there is no picture `/pan.png`
 --> site/content/help/order.md:5:10
5 | and ![d](/pan.png), [e](/help/delivery).
  |          ^^^^^^^^
  = help: pictures go into static/, which becomes the root of the site

error[broken-link]: nothing stands at `/help/delivery`
 --> site/content/help/order.md:5:25
5 | and ![d](/pan.png), [e](/help/delivery).
  |                         ^^^^^^^^^^^^^^
  = help: did you mean `/help/delivery/`?

5 errors",
    );
}

#[test]
fn a_template_that_stumbles_is_told_once_with_the_first_page_that_shows_it() {
    let small = Small::new();
    small
        .page("a.md", "")
        .page("b.md", "")
        .write("themes/plain/templates/page.html", "<p>\n{{ page.titel }}\n")
        .write("themes/plain/templates/index.html", "{% set news = get_section(path=\"/nws/\") %}");
    told(
        small.main(),
        "
error[template-render]: there is no section `/nws/`
 --> themes/plain/templates/index.html:1:15
1 | {% set news = get_section(path=\"/nws/\") %}
  |               ^^^^^^^^^^^^^^^^^^^^^^^^^
  = note: site/content/_index.md: while making /

error[template-render]: Field `titel` is not defined
 --> themes/plain/templates/page.html:2:9
2 | {{ page.titel }}
  |         ^^^^^
  = note: site/content/a.md: while making /a/
  = help: did you mean `title`?

2 errors",
    );
}

#[test]
fn a_template_that_does_not_parse_is_told_at_its_place() {
    let small = Small::new();
    small.write("themes/plain/templates/page.html", "<p>\n{% if page.title %}\n");
    small.page("a.md", "[home](/) [nowhere](/nowhere/)");
    let shown = small.main().unwrap_err();
    assert!(shown.contains("error[template-syntax]: "), "{shown}");
    assert!(
        shown.contains("error[broken-link]: nothing stands at `/nowhere/`") && shown.ends_with("2 errors"),
        "{shown}"
    );
    assert!(shown.contains("--> themes/plain/templates/page.html:"), "{shown}");
}

#[test]
fn a_missing_template_is_told_where_it_is_named() {
    let small = Small::new();
    small
        .write("site/content/news/_index.md", "---\ntitle: News\npage_template: artcle.html\n---\n")
        .page("news/a.md", "")
        .write("site/content/b.md", "---\ntitle: B\ntemplate: pge.html\n---\n");
    told(
        small.main(),
        "
error[missing-template]: theme `plain` has no template `pge.html`
 --> site/content/b.md:3:11
3 | template: pge.html
  |           ^^^^^^^^
  = help: did you mean `page.html`?

error[missing-template]: theme `plain` has no template `artcle.html`
 --> site/content/news/_index.md:3:16
3 | page_template: artcle.html
  |                ^^^^^^^^^^^

2 errors",
    );
}

#[test]
fn slots_that_the_theme_lacks_are_told() {
    let small = Small::new();
    small.contract("inherited").write("themes/plain/theme.yaml", "name: plain\napi: 1\nslots: [nave]\n");
    told(
        small.load(),
        "
error[unknown-slot]: theme `plain` has no slot `nav`
 --> site/partners/shop/contract.yaml:5:9
5 | slots: [nav]
  |         ^^^
  = help: did you mean `nave`?

1 error",
    );
    let shown =
        Small::new().write("themes/plain/templates/index.html", "{% filter slot(name=\"nv\") %}{% endfilter %}").main();
    assert!(shown.unwrap_err().contains("the theme has no slot `nv`; did you mean `nav`?"));
}

#[test]
fn an_entry_without_a_name_is_told_with_the_section_that_needs_it() {
    let small = Small::new();
    small
        .write("site/data/products.yaml", "- {id: pan, name: Pan}\n- {name: Pot}\n- {id: a/b, name: C}\n- {id: lid}\n")
        .write("site/content/products/_index.md", "---\ntitle: All\npages_from: {data: products}\n---\n")
        .write("site/content/more/_index.md", "---\ntitle: More\npages_from: {data: product}\n---\n");
    told(
        small.main(),
        "
error[missing-data]: there is no list `data.product`
 --> site/content/more/_index.md:3:20
3 | pages_from: {data: product}
  |                    ^^^^^^^
  = help: did you mean `products`?

error[bad-entry]: entry 2 has no `id`
 --> site/data/products.yaml
  = note: site/content/products/_index.md: makes a page of each entry
  = help: give every entry an `id`, which becomes the path, and a `name`, which becomes the title

error[bad-entry]: entry 3 has the id `a/b`, which cannot be part of a path
 --> site/data/products.yaml
  = note: site/content/products/_index.md: makes a page of each entry
  = help: give every entry an `id`, which becomes the path, and a `name`, which becomes the title

error[bad-entry]: entry 4 (`lid`) has no `name`
 --> site/data/products.yaml
  = note: site/content/products/_index.md: makes a page of each entry
  = help: give every entry an `id`, which becomes the path, and a `name`, which becomes the title

4 errors",
    );
}

#[test]
fn a_partner_folder_needs_a_contract_with_that_partner() {
    let small = Small::new();
    small.contract("inherited").write("site/partners/sohp/content/a.md", "---\ntitle: A\n---\n");
    told(
        small.load(),
        "
error[missing-contract]: `sohp` has no contract
 --> site/partners/sohp
  = help: write contract.yaml into the folder, or rename the folder after a partner that has one

1 error",
    );
    let small = Small::new();
    small.contract("inherited");
    let site = small.load().unwrap();
    let contract = site.contract_text(&"shop".parse().unwrap()).unwrap();
    let small = Small::new();
    small.write("site/partners/store/contract.yaml", contract);
    let shown = small.load().unwrap_err();
    assert!(
        shown.contains("error[wrong-party]: the contract is with `shop`, and the folder is named `store`"),
        "{shown}"
    );
}

#[test]
fn keys_that_are_not_honoured_are_refused() {
    for key in ["keywords: [a]", "lastmod: 2026-01-01", "layout: a.html", "url: /a/"] {
        let small = Small::new();
        small.write("site/content/_index.md", format!("---\ntitle: Home\n{key}\n---\n"));
        assert!(small.load().unwrap_err().contains("error[unknown-key]"), "{key}");
    }
    let small = Small::new();
    small.write("site/site.yaml", "title: M\nbase_url: https://m.example\ntheme: plain\nminify: true\n");
    assert!(small.load().unwrap_err().contains("unknown key `minify`"));
}

#[test]
fn a_symbolic_link_is_no_content() {
    let small = Small::new();
    small.write("site/static/a.txt", "x");
    #[cfg(unix)]
    {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), small.path("site/static/out")).unwrap();
        assert!(small.main().unwrap_err().contains("error[not-a-file]"));
    }
}
