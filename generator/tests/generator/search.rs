//! The search index: its files answer questions as `search.js` asks them, and are the same whoever makes them.

use std::collections::BTreeMap;
use std::convert::Infallible;

use serde_json::Value;
use tieup_generator::{Output, build_originals};
use tieup_protocol::index::IndexedPage;

use crate::small::Small;

const PRODUCTS: &str = r"
- {id: tea-pot, name: Tea pot, name_ja: 急須, kind: table, price: 4200, currency: JPY, stock: 3, picture: /p.svg,
   description: It pours well.}
- {id: A-100, name: Broom, kind: cleaning, price: 900, currency: JPY, stock: 0}
";

fn shop() -> Small {
    let small = Small::new();
    let site = "title: Main\nbase_url: https://main.example\ntheme: plain\nlanguages: [{code: ja, name: 日本語}]\n";
    small
        .write("site/site.yaml", format!("{site}search: {{leave_out: [\"/legal/**\"]}}\n"))
        .write("site/data/products.yaml", PRODUCTS)
        .write("site/content/products/_index.md", "---\ntitle: Products\npages_from: {data: products}\n---\n")
        .page("delivery.md", "## Parcels\n\nBoxes leave on Mondays, whatever the weather is like where you are.\n")
        .page("delivery.ja.md", "急須は箱に入れてお届けします。\n")
        .page("legal/terms.md", "Mondays are Mondays.\n");
    small
}

/// Reads an index as the module in the browser does, terms of several words apart.
struct Reader<'a> {
    files: &'a BTreeMap<String, Value>,
    folder: String,
}

impl Reader<'_> {
    fn file(&self, name: &str) -> &Value {
        &self.files[&format!("{}{name}.json", self.folder)]
    }

    fn head(&self) -> &Value {
        self.file("index")
    }

    /// The paths of the pages that have the term, the heaviest first.
    fn paths(&self, term: &str) -> Vec<String> {
        let shards = self.head()["words"].as_array().unwrap();
        let shard = shards.iter().rfind(|shard| shard[0].as_str().unwrap() <= term);
        let Some(postings) = shard.and_then(|shard| self.file(shard[1].as_str().unwrap())[term].as_str()) else {
            return Vec::new();
        };
        let (mut next, mut found) = (0, Vec::new());
        for posting in postings.split_inclusive(|c: char| c.is_ascii_digit()) {
            let (gap, weight) = posting.split_at(posting.len() - 1);
            let page = next + gap.bytes().fold(0, |gap, letter| gap * 26 + usize::from(letter - b'a'));
            found.push((weight.to_owned(), page));
            next = page + 1;
        }
        found.sort_by(|a, b| b.0.cmp(&a.0));
        found.iter().map(|(_, page)| self.record(*page)["path"].as_str().unwrap().to_owned()).collect()
    }

    fn record(&self, page: usize) -> &Value {
        let each = usize::try_from(self.head()["each"].as_u64().unwrap()).unwrap();
        &self.file(self.head()["records"][page / each].as_str().unwrap())[page % each]
    }
}

/// The files below `/search/`.
fn index(output: &Output) -> BTreeMap<String, Value> {
    let files = output.files.iter().filter(|(path, _)| path.as_str().starts_with("/search/"));
    files.map(|(path, file)| (path.to_string(), serde_json::from_slice(&file.bytes).unwrap())).collect()
}

#[test]
fn a_site_that_does_not_ask_has_no_index() {
    assert_eq!(index(&Small::new().main().unwrap()), BTreeMap::new());
    let small = Small::new();
    small.write("site/site.yaml", "title: M\nbase_url: https://m.example\ntheme: plain\nsearch: false\n");
    assert_eq!(index(&small.main().unwrap()), BTreeMap::new());
}

#[test]
fn rows_000_36_to_38_products_are_found_by_words_id_kind_and_price() {
    let output = shop().main().unwrap();
    let files = index(&output);
    let en = Reader { files: &files, folder: "/search/en/".to_owned() };
    assert_eq!(en.paths("box"), ["/delivery/"], "a plural is found by its singular");
    assert_eq!(en.paths("parcel"), ["/delivery/"]);
    assert_eq!(en.paths("mondai"), ["/delivery/"], "what is left out is not found");
    assert_eq!(en.paths("pot"), ["/products/tea-pot/"]);
    assert_eq!(en.paths("a-100"), ["/products/A-100/"], "the whole id");
    assert_eq!(en.paths("cleaning"), ["/products/A-100/"], "the kind");
    let products = en.file(en.head()["products"].as_str().unwrap());
    let expected = serde_json::json!({"cleaning": [[3, 900]], "table": [[4, 4200]]});
    assert_eq!(products, &expected);
    let expected = serde_json::json!({"path": "/products/tea-pot/", "title": "Tea pot", "text": "It pours well.",
        "product": {"id": "tea-pot", "kind": "table", "price": 4200, "currency": "JPY", "stock": 3, "picture": "/p.svg"}});
    assert_eq!(en.record(4), &expected);

    let ja = Reader { files: &files, folder: "/search/ja/".to_owned() };
    assert_eq!(ja.paths("急須"), ["/products/tea-pot/", "/ja/delivery/"], "a product stands in every language");
    assert_eq!(ja.record(2)["title"], "急須");
    assert_eq!(ja.record(2)["lang"], "en");
    assert_eq!(ja.paths("parcel"), [] as [&str; 0]);
}

#[test]
fn pages_make_the_same_index_wherever_it_is_made() {
    let small = shop();
    let output = small.main().unwrap();
    assert_eq!(output, small.main().unwrap());
    let release = small.contract("inherited").release().unwrap();
    assert_eq!(index(&release.output), BTreeMap::new(), "a partner makes its own, of the pages that it serves");
    small.write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\n");
    let originals = build_originals(&small.path("partner"), &release.framework, &release.output.index).unwrap();
    let search = originals.search.expect("the release carries the search");

    let mut pages: Vec<&IndexedPage> = output.index.iter().collect();
    pages.reverse();
    let read = |page: &IndexedPage| Ok::<_, Infallible>(output.files[&page.path].bytes.to_vec());
    let made = search.index(&pages, &read).unwrap();
    let made = made.iter().map(|(path, bytes)| (path.to_string(), serde_json::from_slice(bytes).unwrap()));
    assert_eq!(made.collect::<BTreeMap<_, _>>(), index(&output));
}

#[test]
fn a_word_of_nearly_every_page_is_kept_where_it_tells() {
    let small = shop();
    for number in 0..250 {
        small.page(&format!("p/{number}.md"), &format!("Everywhere number {number}, and `{number}` again.\n"));
    }
    small.write("site/content/told.md", "---\ntitle: Everywhere\n---\n");
    let files = index(&small.main().unwrap());
    let en = Reader { files: &files, folder: "/search/en/".to_owned() };
    let common = en.head()["common"].as_array().unwrap();
    assert!(common.contains(&Value::from("everywher")), "{common:?}");
    assert!(!common.contains(&Value::from("box")), "{common:?}");
    assert_eq!(en.paths("everywher"), ["/told/"]);
    assert_eq!(en.paths("117"), ["/p/117/"]);
}

#[test]
fn mistakes_in_the_search_are_told() {
    for (search, told) in [
        ("{leave_ot: [/a/]}", "unknown key `leave_ot`"),
        ("{leave_out: [a]}", "must begin with `/`"),
        ("yes please", "true, false, or what is not to be found"),
    ] {
        let small = Small::new();
        let site = format!("title: M\nbase_url: https://m.example\ntheme: plain\nsearch: {search}\n");
        let error = small.write("site/site.yaml", site).load().unwrap_err();
        assert!(error.contains(told) && error.contains("site/site.yaml:4"), "{error}");
    }
}
