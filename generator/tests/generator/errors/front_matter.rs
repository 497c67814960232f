//! Mistakes between the two lines of `---`.

use super::front;

#[test]
fn front_matter() {
    let page = "site/content/a.md";
    let one = |name, lines: &str| (name, front(lines));
    let mistakes = [
        one("bad YAML: a quote that does not end", "title: \"A"),
        one("bad YAML: a colon in a title", "title: Lamps: mended and new"),
        one("bad YAML: a tab", "title: A\nextra:\n\tcolour: red"),
        one("bad YAML: a list in the wrong place", "title: A\n- b"),
        one("an unknown key near a known one", "title: A\nwieght: 3"),
        one("an unknown key near none", "title: A\nmenus: {main: {icon: x}}"),
        one("several keys at once", "titel: A\nwieght: 3\ndate: soon\nslug: a"),
        one("a key twice", "title: A\nweight: 1\ntitle: B"),
        one("no title", "weight: 3"),
        one("a wrong type", "title: A\nweight: heavy"),
        one("a list where a text belongs", "title: [A]"),
        one("a text where a list belongs", "title: A\naliases: /old/"),
        one("a date that is none", "title: A\ndate: 2026-02-30"),
        one("a date as people write it", "title: A\ndate: 1 November 2026"),
        one("a time without offset", "title: A\npublish: 2026-11-01 09:00"),
        one("a path that is none", "title: A\npath: ../a"),
        one("a slug that is none", "title: A\nslug: a/b"),
        one("an alias that is no path", "title: A\naliases: [/old/, old]"),
        one("a section's key on a page", "title: A\npaginate_by: 3"),
        one("a taxonomy that the site lacks", "title: A\ntaxonomies: {tgas: [x]}"),
        one("menus that are none", "title: A\nmenus: 3"),
    ];
    let files: Vec<_> = mistakes.iter().map(|(name, text)| (*name, [(page, text.as_str())])).collect();
    let table: Vec<_> = files.iter().map(|(name, files)| (*name, files.as_slice())).collect();
    assert_told!(&table);
}

#[test]
fn sections() {
    let section = "site/content/news/_index.md";
    assert_told!(&[
        ("an unknown order", &[(section, &front("title: N\nsort_by: datum"))]),
        ("zero pages at once", &[(section, &front("title: N\npaginate_by: 0"))]),
        ("an unknown key in a cascade", &[(section, &front("title: N\ncascade:\n  templte: a.html"))]),
        ("a template that does not exist", &[(section, &front("title: N\ntemplate: sectoin.html"))]),
        (
            "a template for its pages that does not exist",
            &[
                (section, &front("title: N\npage_template: artcle.html")),
                ("site/content/news/a.md", &front("title: A"))
            ],
        ),
        (
            "pages from data that does not exist",
            &[(section, &front("title: N\npages_from: {data: product}")), ("site/data/products.yaml", "[]")],
        ),
        (
            "pages from data without id and name",
            &[
                (section, &front("title: N\npages_from: {data: products}")),
                (
                    "site/data/products.yaml",
                    "- {id: pan, name: Pan}\n- {name: Pot}\n- {id: a/b, name: C}\n- {id: lid}\n"
                ),
            ],
        ),
        ("the first page elsewhere", &[("site/content/_index.md", &front("title: Home\nslug: home"))]),
    ]);
}
