//! Mistakes in contracts, in a partner's folder at the main site, and in a partner's own site.

use crate::small::Small;

/// The small contract with one line of it changed.
fn changed(old: &str, new: &str) -> String {
    let small = Small::new();
    let text = std::fs::read_to_string(small.contract("inherited").path("site/partners/shop/contract.yaml")).unwrap();
    assert!(text.contains(old), "{old} does not stand in the contract");
    text.replace(old, new)
}

#[test]
fn contracts() {
    let one = |name, old, new| (name, changed(old, new));
    let mistakes = [
        one("a name that is none", "main/shop@1", "main-shop"),
        one("another partner than its folder's", "main/shop@1", "main/store@1"),
        one("an unknown kind", "inherited", "inherit"),
        one("an unknown key", "approval:", "aproval:"),
        one("a slot that the theme lacks", "slots: [nav]", "slots: [banner, nva]"),
        one("a theme that does not exist", "slots: [nav]", "slots: [nav]\ntheme: plan"),
        one("mounts that overlap", "\"/local/**\": partner", "\"/local/**\": partner, \"/local/\": main"),
        one("a time zone that is none", "Asia/Tokyo", "Asia/Tokio"),
        one("an amount that is none", "framework: 20000", "framework: twenty"),
        one("a negative amount", "framework: 20000", "framework: -20000"),
        one("finer than the currency", "framework: 20000", "framework: \"0.5\""),
        one("a list of robots that is not ours", "e104e885", "00000000"),
        one("a double click of hours", "30s", "3h"),
    ];
    let path = "site/partners/shop/contract.yaml";
    let files: Vec<_> = mistakes
        .iter()
        .filter(|(name, _)| *name != "an unknown meter")
        .map(|(name, text)| (*name, [(path, text.as_str())]))
        .collect();
    let table: Vec<_> = files.iter().map(|(name, files)| (*name, files.as_slice())).collect();
    assert_told!(&table);
}

#[test]
fn folders() {
    assert_told!(&[
        ("a folder without a contract", &[("site/partners/sohp/content/a.md", "---\ntitle: A\n---\n")]),
        ("a folder that is no partner's", &[("site/partners/My Shop/contract.yaml", "x")]),
        (
            "contracts of two main sites",
            &[
                ("site/partners/shop/contract.yaml", &changed("x", "x")),
                ("site/partners/store/contract.yaml", &changed("main/shop@1", "other/store@1")),
            ]
        ),
    ]);
}

#[test]
fn partners_own_sites() {
    let config = ("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\n");
    assert_told!(&[
        ("a theme of its own", &[("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\ntheme: plain\n")]),
        ("a slot that the theme lacks", &[config, ("partner/slots/nva.md", "x")]),
        ("a slot in two files", &[config, ("partner/slots/nav.md", "x"), ("partner/slots/nav.html", "x")]),
        ("a slot in another format", &[config, ("partner/slots/nav.txt", "x")]),
        ("a broken link in a slot", &[config, ("partner/slots/nav.md", "Go [there](/there/).\n")]),
    ]);
}
