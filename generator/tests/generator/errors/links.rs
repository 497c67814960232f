//! Mistakes in the text of a page: links, anchors, pictures.

use super::front;

#[test]
fn links() {
    let page = |body: &str| format!("---\ntitle: Order\n---\n{body}\n");
    let delivery = ("site/content/help/delivery.md", "---\ntitle: Delivery\n---\n## What it costs\n");
    let pan = ("site/static/pan.svg", "x");
    let order = "site/content/help/order.md";
    let mistakes = [
        ("a broken link", page("See [delivery](/hlp/delivery/).")),
        ("a broken link near nothing", page("See [it](/somewhere/else/entirely/).")),
        ("a link without its last slash", page("See [delivery](/help/delivery).")),
        ("a broken relative link", page("See [delivery](../hlep/delivery/).")),
        ("a broken link to a file", page("See [delivery](delivry.md).")),
        ("a link out of the content", page("See [x](../../../etc/passwd.md).")),
        ("a link that is no path", page("See [x](/a//b/).")),
        ("a broken link by reference", page("See [delivery][d].\n\n[d]: /hlp/delivery/")),
        ("a broken anchor", page("See [costs](delivery.md#what-it-cost).")),
        ("a broken anchor on the page itself", page("See [below](#delivery).\n\n## Delivery times")),
        ("a missing picture near another", page("![A pan](/pam.svg)")),
        ("a missing picture", page("![A kettle](/kettle.svg)")),
        (
            "pictures without words",
            page("A pan: ![](/pan.svg) and ![](https://b.example/x.svg)\n\n![](/pan.svg \"decorative\")"),
        ),
        ("two mistakes in one line", page("See [a](/b/) and [c](/d/).")),
        ("a mistake after other scripts", page("会社の[案内](/会社/)")),
    ];
    let files: Vec<_> = mistakes.iter().map(|(name, text)| (*name, [delivery, pan, (order, text.as_str())])).collect();
    let table: Vec<_> = files.iter().map(|(name, files)| (*name, files.as_slice())).collect();
    assert_told!(&table);
}

#[test]
fn terms() {
    let config = "title: M\nbase_url: https://m.example\ntheme: plain\ntaxonomies: [{name: tags}]\n";
    let templates = [("themes/plain/templates/term.html", "x"), ("themes/plain/templates/taxonomy.html", "x")];
    let with = |pages: &[(&'static str, String)]| {
        let mut files = vec![("site/site.yaml", config.to_owned())];
        files.extend(templates.map(|(path, text)| (path, text.to_owned())));
        files.extend(pages.iter().cloned());
        files
    };
    let (a, b) = ("site/content/a.md", "site/content/b.md");
    let sites = [
        ("a taxonomy near another", with(&[(a, front("title: A\ntaxonomies: {tgs: [x]}"))])),
        (
            "one term in two spellings",
            with(&[
                (a, front("title: A\ntaxonomies: {tags: [Rust]}")),
                (b, front("title: B\ntaxonomies: {tags: [rust]}")),
            ]),
        ),
        ("a term without a letter", with(&[(a, front("title: A\ntaxonomies: {tags: ['!']}"))])),
        (
            "a page at a term's path",
            with(&[(a, front("title: A\ntaxonomies: {tags: [x]}")), (b, front("title: B\npath: /tags/x/"))]),
        ),
        ("no template for terms", vec![("site/site.yaml", config.to_owned())]),
    ];
    let files: Vec<(&str, Vec<(&str, &str)>)> = sites
        .iter()
        .map(|(name, files)| (*name, files.iter().map(|(path, text)| (*path, text.as_str())).collect()))
        .collect();
    let table: Vec<_> = files.iter().map(|(name, files)| (*name, files.as_slice())).collect();
    assert_told!(&table);
}
