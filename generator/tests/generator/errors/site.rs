//! Mistakes in `site.yaml` and in themes.

const BASE: &str = "title: M\nbase_url: https://m.example\ntheme: plain\n";

#[test]
fn config() {
    let one = |name, text: &str| (name, text.to_owned());
    let more = |name, text: &str| (name, format!("{BASE}{text}\n"));
    let mistakes = [
        one("no title", "base_url: https://m.example\ntheme: plain\n"),
        one("no theme", "title: M\nbase_url: https://m.example\n"),
        one("an empty file", ""),
        one("an address without scheme", "title: M\nbase_url: m.example\ntheme: plain\n"),
        one("a theme near another", "title: M\nbase_url: https://m.example\ntheme: plan\n"),
        more("an unknown key", "them: x"),
        more("a language that is none", "language: '../x'"),
        more("a language twice", "languages: [{code: ja, name: 日本語}, {code: ja, name: J}]"),
        more("a language without a name", "languages: [ja]"),
        more("a time zone that is none", "timezone: Mars/Base"),
        more("an unknown feed", "feeds: {site: [rs]}"),
        more("feeds that are none", "feeds: 3"),
        more("a pattern without slug", "permalinks: {news: '/:year/'}"),
        more("a pattern with an unknown word", "permalinks: {news: '/:yaer/:slug/'}"),
        more("a pattern of no shape", "permalinks: {news: ':slug'}"),
        more("a taxonomy's name", "taxonomies: [{name: My Tags}]"),
        more("a taxonomy twice", "taxonomies: [{name: a}, {name: a}]"),
        more("a taxonomy with zero pages at once", "taxonomies: [{name: a, paginate_by: 0}]"),
        more("a menu's link without an end", "menus: {main: [{title: Shop}]}"),
        more("a menu's link to nothing", "menus: {main: [{title: Shop, path: /shop/}]}"),
        more("a menu's unknown key", "menus: {main: [{title: Shop, pat: /}]}"),
        more("several mistakes", "languages: [{code: '?', name: X}]\ntimezone: Mars\npermalinks: {a: x}"),
    ];
    let files: Vec<_> = mistakes.iter().map(|(name, text)| (*name, [("site/site.yaml", text.as_str())])).collect();
    let table: Vec<_> = files.iter().map(|(name, files)| (*name, files.as_slice())).collect();
    assert_told!(&table);
}

#[test]
fn themes() {
    let theme = "themes/plain/theme.yaml";
    assert_told!(&[
        ("another version of the interface", &[(theme, "name: plain\napi: 9\n")]),
        ("another name than its folder's", &[(theme, "name: plane\napi: 1\n")]),
        ("an unknown key", &[(theme, "name: plain\napi: 1\nextend: base\n")]),
        ("a parent that does not exist", &[(theme, "name: plain\napi: 1\nextends: elegant\n")]),
        (
            "a parent near another",
            &[(theme, "name: plain\napi: 1\nextends: bsae\n"), ("themes/base/theme.yaml", "name: base\napi: 1\n")],
        ),
        (
            "themes in a circle",
            &[
                (theme, "name: plain\napi: 1\nextends: base\n"),
                ("themes/base/theme.yaml", "name: base\napi: 1\nextends: plain\n"),
            ],
        ),
        (
            "a template that is not there",
            &[
                (theme, "name: plain\napi: 1\nslots: [nav]\n"),
                ("site/site.yaml", "title: M\nbase_url: https://m.example\ntheme: bare\n"),
                ("themes/bare/theme.yaml", "name: bare\napi: 1\n")
            ]
        ),
    ]);
}
