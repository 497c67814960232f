//! Kits of the partners of this repository.

use std::path::PathBuf;

use super::*;

fn repository() -> Site {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    Site::load(&root.join("sites/nationwide"), &root.join("themes")).unwrap_or_else(|report| panic!("{report}"))
}

fn text<'a>(files: &'a Files, path: &str) -> &'a str {
    let file = files.get(path);
    std::str::from_utf8(file.unwrap_or_else(|| panic!("{path} is not among {:?}", files.keys()))).unwrap()
}

#[test]
fn an_inherited_kit_names_what_the_contract_gives() {
    let files = files(&repository(), &"harbor-shop".parse().unwrap()).unwrap();
    let names: Vec<&str> = files.keys().map(SourcePath::as_str).collect();
    let expected = [
        "README.md",
        "content/local/_index.md",
        "contract.yaml",
        "site.yaml",
        "slots/address.md",
        "slots/banner.md",
        "slots/nav.md",
        "slots/notices.md",
        "syncd.yaml",
    ];
    assert_eq!(names, expected);
    let manual = text(&files, "README.md");
    for says in [
        "# Harbor shop and Nationwide",
        "`nationwide/harbor-shop@3`",
        "Nothing of Nationwide goes live before you approve it.",
        "Nationwide sends what is new at 06:00 (`0 6 * * *`), Asia/Tokyo time.",
        "- `/` and below: main\n- `/local/` and below: partner",
        "`content/local/_index.md` is `/local/`",
        "`nav`, `banner`, `address`, `notices`",
        "`base`, JPY 50000 a month; `orders`, 3.5% of each of `settled_orders`",
        "syncd fee verify 2026-11",
    ] {
        assert!(manual.contains(says), "{says:?} is not said:\n{manual}");
    }
    assert!(!manual.replace("{% extends", "").contains('{'), "a place was left empty:\n{manual}");
    assert_eq!(text(&files, "slots/nav.md"), "[Harbor shop](/local/)\n");
}

#[test]
fn a_framework_kit_shows_the_theme() {
    let files = files(&repository(), &"sapporo".parse().unwrap()).unwrap();
    assert!(text(&files, "theme/region/templates/base.html").contains("storefront/base.html"));
    assert!(text(&files, "content/_index.md").contains("title: \"Sapporo\""));
    let manual = text(&files, "README.md");
    for says in [
        "- `guide.html`, extends `base.html`, blocks: ",
        "- `page.html`, extends `base.html`, blocks: `main`",
        "{% extends \"region/page.html\" %}",
        "changed words at `/**`, in files of at most",
    ] {
        assert!(manual.contains(says), "{says:?} is not said:\n{manual}");
    }
}
