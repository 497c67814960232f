//! Mistakes of whole files: their bytes, their names, their places.

use super::report;
use crate::small::Small;

#[test]
fn frames() {
    assert_told!(&[
        ("no front matter", &[("site/content/a.md", "# About\n")]),
        ("front matter that does not end", &[("site/content/a.md", "---\ntitle: A\n\nAbout us.\n")]),
        ("front matter of another generator", &[("site/content/a.md", "+++\ntitle = \"A\"\n+++\n")]),
        ("an empty file", &[("site/content/a.md", "")]),
        ("lines that end as on Windows", &[("site/content/a.md", "---\r\ntitle: A\r\nwieght: 3\r\n---\r\n")]),
        ("a byte order mark", &[("site/content/a.md", "\u{feff}---\ntitle: A\nwieght: 3\n---\n")]),
        ("a control character", &[("site/content/a.md", "---\ntitle: A\n---\nBe\u{1}fore\n")]),
    ]);
}

#[test]
fn encodings() {
    let utf_16 = |little: bool| {
        let units = "\u{feff}---\ntitle: A\n".encode_utf16();
        units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect::<Vec<u8>>()
    };
    let mut table = String::new();
    for bytes in [
        b"---\ntitle: Caf\xe9\n---\n".to_vec(),
        b"---\ntitle: \x8a\xed\x95i\n---\n".to_vec(),
        utf_16(true),
        utf_16(false),
    ] {
        let small = Small::new();
        small.write("site/content/a.md", bytes);
        table.push_str(&report(&small).unwrap());
        table.push_str("\n\n");
    }
    insta::assert_snapshot!(table);
}

// Elsewhere the file system itself would take two of these names for one.
#[cfg(target_os = "linux")]
#[test]
fn names() {
    assert_told!(&[
        ("a picture among the content", &[("site/content/photo.jpg", "x")]),
        ("another name for Markdown", &[("site/content/a.markdown", "---\ntitle: A\n---\n")]),
        ("an extension in capitals", &[("site/content/a.MD", "---\ntitle: A\n---\n")]),
        ("a language that the site lacks", &[("site/content/a.fr.md", "---\ntitle: A\n---\n")]),
        (
            "two names that differ by case",
            &[("site/content/About.md", "---\ntitle: A\n---\n"), ("site/content/about.md", "---\ntitle: B\n---\n")],
        ),
        (
            "two names that look the same",
            &[
                ("site/content/caf\u{e9}.md", "---\ntitle: A\n---\n"),
                ("site/content/cafe\u{301}.md", "---\ntitle: B\n---\n")
            ],
        ),
        ("two static files that differ by case", &[("site/static/Logo.svg", "x"), ("site/static/logo.svg", "y")]),
        ("a picture that is none", &[("site/static/photo.png", "x")]),
        ("a colon in a name", &[("site/static/a:b.txt", "x")]),
    ]);
}

#[test]
fn data() {
    assert_told!(&[
        ("bad JSON", &[("site/data/d.json", "{\n  \"a\": }\n")]),
        ("bad YAML", &[("site/data/d.yaml", "a: [1\n")]),
        ("a key twice", &[("site/data/d.yaml", "a: 1\nb: 2\na: 3\n")]),
        ("one name twice", &[("site/data/d.json", "1"), ("site/data/d.yaml", "1")]),
        ("another format", &[("site/data/d.toml", "a = 1")]),
        ("a folder", &[("site/data/more/d.yaml", "1")]),
        ("an empty file", &[("site/data/d.json", "")]),
    ]);
}

#[test]
fn products() {
    const SECTION: &str = "---\ntitle: All\npages_from: {data: products, type: product}\n---\n";
    let of = |list: &'static str| [("site/content/all/_index.md", SECTION), ("site/data/products.yaml", list)];
    assert_told!(&[
        ("a price without a currency", &of("- {id: lamp, name: Lamp, price: 1280}\n")),
        ("a price in words", &of("- {id: lamp, name: Lamp, price: cheap, currency: JPY}\n")),
        ("no id", &of("- {name: Lamp}\n")),
        ("no name", &of("- id: cup\n  name: Cup\n- id: lamp\n")),
        ("no list", &of("lamp: {name: Lamp}\n")),
    ]);
}

#[test]
fn paths() {
    assert_told!(&[
        (
            "two pages at one path",
            &[
                ("site/content/about.md", "---\ntitle: A\n---\n"),
                ("site/content/us.md", "---\ntitle: B\nslug: about\n---\n")
            ],
        ),
        (
            "two pages by their names",
            &[
                ("site/content/news.md", "---\ntitle: A\n---\n"),
                ("site/content/news/_index.md", "---\ntitle: B\n---\n")
            ],
        ),
        (
            "an alias at a page",
            &[
                ("site/content/a.md", "---\ntitle: A\n---\n"),
                ("site/content/b.md", "---\ntitle: B\naliases:\n- /a/\n---\n"),
            ],
        ),
        (
            "a file where a folder must be",
            &[("site/content/about.md", "---\ntitle: A\n---\n"), ("site/static/about", "x")],
        ),
        (
            "a page at a static file's path",
            &[("site/content/a.md", "---\ntitle: A\npath: /a.html\n---\n"), ("site/static/a.html", "x")],
        ),
        ("a page at a theme's file", &[("site/content/a.md", "---\ntitle: A\npath: /style.css\n---\n")]),
        ("a page at the sitemap", &[("site/content/a.md", "---\ntitle: A\npath: /sitemap.xml\n---\n")]),
        (
            "two paths of one file",
            &[
                ("site/content/a.md", "---\ntitle: A\n---\n"),
                ("site/content/b.md", "---\ntitle: B\npath: /a/index.html\n---\n"),
            ],
        ),
    ]);
}

#[test]
fn reserved() {
    assert_told!(&[
        ("a page where beacons are answered", &[("site/content/tieup-beacon/a.md", "---\ntitle: A\n---\n")]),
        (
            "a path where a certificate authority asks",
            &[("site/content/a.md", "---\ntitle: A\npath: /.well-known/acme-challenge/a/\n---\n")],
        ),
        ("an alias", &[("site/content/a.md", "---\ntitle: A\naliases:\n- /tieup-beacon/a/\n---\n")]),
        ("a static file", &[("site/static/tieup-beacon/token.txt", "x")]),
        ("a file of the theme", &[("themes/plain/static/tieup-beacon/dot.svg", "<svg/>")]),
    ]);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_is_no_content() {
    let small = Small::new();
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder.path(), small.write("site/static/a.txt", "x").path("site/static/out")).unwrap();
    insta::assert_snapshot!(report(&small).unwrap());
}
