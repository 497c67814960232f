//! What a page tells search engines and other sites, and what robots find.

use serde_json::Value;
use tieup_generator::Output;

use crate::small::{Small, html};

fn has(output: &Output, path: &str) -> bool {
    output.files.contains_key(path)
}

/// A site in two languages whose `site.yaml` ends with `more`.
fn site(more: &str) -> Small {
    let small = Small::new();
    let text = format!(
        "title: Main\nbase_url: https://main.example\ntheme: plain\nlanguages: [{{code: ja, name: 日本語}}]\n{more}"
    );
    small.write("site/site.yaml", text);
    small.write("site/content/_index.ja.md", "---\ntitle: 家\n---\n");
    small
}

#[test]
fn the_sitemap_has_pictures_and_languages_and_not_what_hides() {
    let small = site("");
    small.write("site/static/a.svg", "<svg/>").write("site/static/b.svg", "<svg/>");
    small.write("site/content/a.md", "---\ntitle: A\nextra: {picture: /b.svg}\n---\n![One](a.svg) ![Two](b.svg)\n");
    small.write("site/content/thanks.md", "---\ntitle: Thanks\nnoindex: true\n---\n");
    small.write("site/content/low/_index.md", "---\ntitle: Low\ncascade: {noindex: true}\n---\n");
    small.write("site/content/low/b.md", "---\ntitle: B\n---\n");
    small.write("site/content/low/c.md", "---\ntitle: C\nnoindex: false\n---\n");
    let refused = small.main().unwrap_err();
    assert!(refused.contains("missing-image"), "a picture is relative to its page: {refused}");
    small.write("site/content/a.md", "---\ntitle: A\nextra: {picture: /b.svg}\n---\n![One](/a.svg) ![Two](/b.svg)\n");
    let output = small.main().unwrap();
    let sitemap = html(&output, "/sitemap.xml");
    let document = roxmltree::Document::parse(&sitemap).unwrap();
    assert!(document.root_element().has_tag_name(("http://www.sitemaps.org/schemas/sitemap/0.9", "urlset")));
    let pictures = document.descendants().filter(|node| node.tag_name().name() == "image");
    let pictures: Vec<String> =
        pictures.filter_map(|node| Some(node.first_element_child()?.text()?.to_owned())).collect();
    assert_eq!(pictures, ["https://main.example/b.svg", "https://main.example/a.svg"]);
    let alternates = document.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/1999/xhtml", "link")));
    let languages: Vec<&str> = alternates.filter_map(|node| node.attribute("hreflang")).collect();
    assert_eq!(languages, ["en", "ja", "x-default", "ja", "en", "x-default"]);
    assert!(["thanks", "low/b/"].iter().all(|hidden| !sitemap.contains(hidden)) && sitemap.contains("low/c/"));
}

#[test]
fn robots_find_the_sitemap_where_the_site_says_nothing_else() {
    let small = site("");
    small.contract("inherited");
    let own = html(&small.main().unwrap(), "/robots.txt");
    assert_eq!(own, "User-agent: *\nAllow: /\n\nSitemap: https://main.example/sitemap.xml\n");
    small.write("site/static/robots.txt", "User-agent: *\nDisallow: /x/\n");
    assert_eq!(html(&small.main().unwrap(), "/robots.txt"), "User-agent: *\nDisallow: /x/\n");
    let release = small.release().unwrap().output;
    assert!(!has(&release, "/robots.txt"), "the partner has a sitemap of its own to name");
}

const HEAD: &str = "{{ head_meta() }}{{ page.canonical }}|{{ page.noindex }}|\
                    {% for other in page.alternates %}{{ other.lang }} {{ other.permalink }},{% endfor %}";

fn heads(small: &Small) {
    for name in ["index", "section", "page", "404", "product"] {
        small.write(&format!("themes/plain/templates/{name}.html"), HEAD);
    }
}

/// What the JSON-LD of `html` says of each type.
fn graph(html: &str) -> Vec<Value> {
    let Some((_, rest)) = html.split_once("<script type=\"application/ld+json\">") else { return Vec::new() };
    let text = rest.split("</script>").next().unwrap();
    assert!(!text.contains(['<', '>', '&']), "{text}");
    let graph: Value = serde_json::from_str(text).unwrap();
    assert_eq!(graph["@context"], "https://schema.org");
    graph["@graph"].as_array().unwrap().clone()
}

#[track_caller]
fn typed(html: &str, kind: &str) -> Value {
    let found = graph(html).into_iter().find(|thing| thing["@type"] == kind);
    found.unwrap_or_else(|| panic!("there is no {kind} in\n{html}"))
}

#[track_caller]
fn check(thing: &Value, expected: &[(&str, &str)]) {
    for (pointer, value) in expected {
        assert_eq!(thing.pointer(pointer).and_then(Value::as_str), Some(*value), "{pointer} of\n{thing:#}");
    }
}

#[test]
fn a_copy_names_its_source_hides_or_stands_for_itself() {
    let small = site("");
    heads(&small);
    small.write("site/content/a.md", "---\ntitle: A\n---\n");
    let own = html(&small.main().unwrap(), "/");
    assert!(own.contains("<link rel=\"canonical\" href=\"https://main.example/\">\n"));
    let languages = "en https://main.example/,ja https://main.example/ja/,x-default https://main.example/,";
    assert!(own.ends_with(&format!("https://main.example/|false|{languages}")), "{own}");
    assert_eq!(own.matches("hreflang=").count(), 3);

    let release = |index: &str| {
        small.contract("inherited");
        let file = "site/partners/shop/contract.yaml";
        let contract = std::fs::read_to_string(small.path(file)).unwrap();
        small.write(file, format!("{contract}index: {index}\n"));
        small.release().unwrap().output
    };
    assert_eq!(html(&release("canonical"), "/"), own, "the copy that names its source is the source's own page");
    let unique = release("unique");
    let page = html(&unique, "/");
    assert!(!page.contains("canonical") && !page.contains("og:url") && !page.contains("hreflang"), "{page}");
    assert!(page.ends_with("|false|") && !page.contains("noindex"), "{page}");
    assert!(unique.index.iter().all(|page| !page.discovery.noindex));
    let hidden = release("noindex");
    let page = html(&hidden, "/a/");
    assert!(page.starts_with("<meta name=\"robots\" content=\"noindex\">\n") && page.ends_with("|true|"), "{page}");
    assert!(hidden.index.iter().all(|page| page.discovery.noindex), "the partner's sitemap leaves them out");
    assert!(html(&small.main().unwrap(), "/404.html").starts_with("<meta name=\"robots\" content=\"noindex\">"));

    let partner = "title: Shop\nbase_url: https://shop.example\n";
    small.write("partner/site.yaml", partner).write("partner/content/local/_index.md", "---\ntitle: Local\n---\n");
    let original = html(&small.originals(&unique.index).unwrap().output, "/local/");
    assert!(original.contains("<link rel=\"canonical\" href=\"https://shop.example/local/\">"), "{original}");
}

#[test]
fn products_have_what_search_engines_ask_for() {
    let small = site("currency: JPY\norganization: {name: Main Co., type: online-store, logo: /logo.svg}\n");
    heads(&small);
    small.write(
        "site/content/goods/_index.md",
        "---\ntitle: Goods\npages_from: {data: goods, template: product.html, type: product}\n---\n",
    );
    small.write(
        "site/data/goods.yaml",
        "- {id: pan, name: 'Pan </script><!-- & co', price: 5280, stock: 3, picture: /pan.svg, description: Iron.}\n\
         - {id: mug, name: Mug, price: '12.80', currency: EUR, stock: 0, brand: Kiln, gtin: '4006381333931'}\n",
    );
    let output = small.main().unwrap();
    let page = html(&output, "/goods/pan/");
    check(
        &typed(&page, "Product"),
        &[
            ("/name", "Pan </script><!-- & co"),
            ("/description", "Iron."),
            ("/image/0", "https://main.example/pan.svg"),
            ("/sku", "pan"),
            ("/brand/name", "Main"),
            ("/url", "https://main.example/goods/pan/"),
            ("/offers/@type", "Offer"),
            ("/offers/price", "5280"),
            ("/offers/priceCurrency", "JPY"),
            ("/offers/availability", "https://schema.org/InStock"),
            ("/offers/url", "https://main.example/goods/pan/"),
            ("/offers/seller/@type", "OnlineStore"),
            ("/offers/seller/logo", "https://main.example/logo.svg"),
        ],
    );
    let trail = typed(&page, "BreadcrumbList");
    check(
        &trail,
        &[
            ("/itemListElement/0/name", "Main"),
            ("/itemListElement/1/item", "https://main.example/goods/"),
            ("/itemListElement/2/item", "https://main.example/goods/pan/"),
        ],
    );
    assert_eq!(trail["itemListElement"][2]["position"], 3);
    for meta in [
        "<meta property=\"og:type\" content=\"product\">",
        "<meta property=\"og:title\" content=\"Pan &lt;/script&gt;&lt;!-- &amp; co\">",
        "<meta property=\"og:image\" content=\"https://main.example/pan.svg\">",
        "<meta name=\"twitter:card\" content=\"summary_large_image\">",
    ] {
        assert!(page.contains(meta), "{meta} is missing in\n{page}");
    }
    let other = typed(&html(&output, "/goods/mug/"), "Product");
    check(
        &other,
        &[
            ("/offers/price", "12.80"),
            ("/offers/priceCurrency", "EUR"),
            ("/offers/availability", "https://schema.org/OutOfStock"),
            ("/brand/name", "Kiln"),
            ("/gtin", "4006381333931"),
        ],
    );
}

#[test]
fn a_price_needs_a_currency_and_a_list_a_known_type() {
    let small = site("");
    heads(&small);
    let section = |kind: &str| {
        small.write(
            "site/content/goods/_index.md",
            format!("---\ntitle: Goods\npages_from: {{data: goods, template: product.html, type: {kind}}}\n---\n"),
        );
    };
    section("product");
    small.write("site/data/goods.yaml", "- {id: mug, name: Mug}\n- {id: pan, name: Pan, price: 5280}\n");
    let told = small.main().unwrap_err();
    let first = "error[price-without-currency]: entry 2 (`pan`) has a `price` and no `currency`";
    for part in [first, "site/data/goods.yaml:2:4", "site/content/goods/_index.md", "currency: JPY"] {
        assert!(told.contains(part), "`{part}` is missing in\n{told}");
    }
    small.write("site/data/goods.yaml", "- {id: pan, name: Pan, price: dear, currency: JPY}\n");
    assert!(small.main().unwrap_err().contains("has the price `dear`"));
    section("produce");
    let told = small.main().unwrap_err();
    assert!(told.contains("did you mean `product`?") && told.contains("_index.md:3"), "{told}");
    for (more, part) in [
        ("currency: yen\n", "three letters such as JPY"),
        ("organization: {same_as: [example.com]}\n", "`example.com` is not an address"),
        ("organization: {address: {country: Japan}}\n", "two letters such as JP"),
        ("organization: {nme: X}\n", "did you mean `name`?"),
        ("picture: a.png\n", "`a.png` is neither a path"),
    ] {
        let told = site(more).main().unwrap_err();
        assert!(told.contains(part) && told.contains("site/site.yaml:5"), "`{part}` is missing in\n{told}");
    }
}

#[test]
fn articles_and_the_first_page_say_who_wrote_them() {
    let small = site(
        "timezone: Asia/Tokyo\npicture: /front.png\nfeeds: {site: [json], sections: [atom]}\norganization:\n  \
         name: Main Co.\n  email: a@main.example\n  same_as: ['https://social.example/@main']\n  \
         address: {locality: Tokyo, country: JP}\n",
    );
    heads(&small);
    small.write("site/content/news/_index.md", "---\ntitle: News\nsort_by: date\npaginate_by: 1\n---\n");
    small.write(
        "site/content/news/a.md",
        "---\ntitle: A\ndate: 2026-01-02\nupdated: 2026-02-03\nextra: {author: Yuki}\n---\n",
    );
    small.write("site/content/news/b.md", "---\ntitle: B\ndate: 2026-01-01\n---\n");
    let output = small.main().unwrap();
    let page = html(&output, "/news/a/");
    check(
        &typed(&page, "Article"),
        &[
            ("/headline", "A"),
            ("/datePublished", "2026-01-02T00:00:00+09:00"),
            ("/dateModified", "2026-02-03T00:00:00+09:00"),
            ("/author/@type", "Person"),
            ("/author/name", "Yuki"),
            ("/publisher/name", "Main Co."),
            ("/mainEntityOfPage", "https://main.example/news/a/"),
        ],
    );
    check(&typed(&html(&output, "/news/b/"), "Article"), &[("/author/name", "Main Co.")]);
    for line in [
        "<meta property=\"og:image\" content=\"https://main.example/front.png\">",
        "<link rel=\"alternate\" type=\"application/feed+json\" title=\"Main\" href=\"https://main.example/feed.json\">",
    ] {
        assert!(page.contains(line), "{line} is missing in\n{page}");
    }
    let home = html(&output, "/");
    check(&typed(&home, "WebSite"), &[("/url", "https://main.example/"), ("/name", "Main")]);
    check(
        &typed(&home, "Organization"),
        &[
            ("/email", "a@main.example"),
            ("/address/addressCountry", "JP"),
            ("/sameAs/0", "https://social.example/@main"),
            ("/url", "https://main.example/"),
        ],
    );
    assert!(graph(&home).iter().all(|thing| thing["@type"] != "BreadcrumbList"));
    let later = html(&output, "/news/page/2/");
    assert!(later.contains("<link rel=\"canonical\" href=\"https://main.example/news/page/2/\">"), "{later}");
    assert!(later.contains("type=\"application/atom+xml\" title=\"News | Main\""), "{later}");
}

#[test]
fn related_pages_share_rare_terms_first_then_the_newest() {
    let small = site("taxonomies: [{name: tags}]\n");
    for name in ["term", "taxonomy"] {
        small.write(&format!("themes/plain/templates/{name}.html"), "");
    }
    let template = "{% for other in related(limit=3) %}{{ other.title }} {% endfor %}";
    small.write("themes/plain/templates/page.html", template);
    for (name, day, tags) in [
        ("a", 1, "[common, rare]"),
        ("b", 2, "[common]"),
        ("c", 3, "[rare]"),
        ("d", 4, "[common]"),
        ("e", 5, "[common]"),
        ("f", 6, "[other]"),
    ] {
        let front = format!("---\ntitle: {name}\ndate: 2026-01-0{day}\ntaxonomies: {{tags: {tags}}}\n---\n");
        small.write(&format!("site/content/{name}.md"), front);
    }
    small.write("site/content/a.ja.md", "---\ntitle: ア\ntaxonomies: {tags: [rare]}\n---\n");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/a/"), "c e d ");
    assert_eq!(html(&output, "/b/"), "e d a ");
    assert_eq!((html(&output, "/f/").as_str(), html(&output, "/ja/a/").as_str()), ("", ""));
    small.write("themes/plain/templates/page.html", "{{ related(path=\"/x/\") }}");
    assert!(small.main().unwrap_err().contains("there is no page `/x/`"));
}

/// Runs git in the site's folder as somebody whose commits are made at `time`.
fn git(small: &Small, time: &str, arguments: &[&str]) {
    let mut command = std::process::Command::new("git");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "A").env(format!("GIT_{role}_EMAIL"), "a@main.example");
        command.env(format!("GIT_{role}_DATE"), time);
    }
    let command = command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.current_dir(small.path("site")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn pages_without_days_take_them_from_git_or_from_their_files() {
    let small = site("timezone: Asia/Tokyo\ndates: git\n");
    small.write("themes/plain/templates/page.html", "{{ page.date }} {{ page.updated }}");
    let told = small.main().unwrap_err();
    assert!(told.contains("error[no-history]") && told.contains("site/site.yaml:6:1"), "{told}");

    git(&small, "", &["init", "--quiet"]);
    small.write("site/content/a é.md", "---\ntitle: A\nslug: a\n---\n");
    small.write("site/content/b.md", "---\ntitle: B\ndate: 2025-05-05\nupdated: 2025-06-06\n---\n");
    for (time, body) in [("2026-01-02T23:00:00Z", "one"), ("2026-02-02T01:00:00Z", "two")] {
        small.write("site/content/a é.md", format!("---\ntitle: A\nslug: a\n---\n{body}"));
        git(&small, time, &["add", "."]);
        git(&small, time, &["commit", "--quiet", "--message", body]);
    }
    small.write("site/content/new.md", "---\ntitle: New\n---\n");
    let output = small.main().unwrap();
    assert_eq!(html(&output, "/a/"), "2026-01-03 2026-02-02", "days of the site's zone");
    assert_eq!((html(&output, "/b/").as_str(), html(&output, "/new/").as_str()), ("2025-05-05 2025-06-06", " "));
    assert!(html(&output, "/sitemap.xml").contains("/a/</loc><lastmod>2026-02-02</lastmod>"));

    let site = "title: Main\nbase_url: https://main.example\ntheme: plain\nlanguages: [{code: ja, name: 日本語}]\n";
    small.write("site/site.yaml", format!("{site}dates: file\n"));
    small.write("site/content/b.md", "---\ntitle: B\n---\n");
    let file = std::fs::File::options().append(true).open(small.path("site/content/b.md")).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_hours(24 * 365)).unwrap();
    assert_eq!(html(&small.main().unwrap(), "/b/"), "1971-01-01 ");
    small.write("site/site.yaml", format!("{site}dates: gti\n"));
    let told = small.main().unwrap_err();
    assert!(told.contains("`gti`") && told.contains("site/site.yaml:5:8"), "{told}");
}
