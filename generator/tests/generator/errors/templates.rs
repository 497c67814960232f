//! Mistakes in templates.

const INDEX: &str = "themes/plain/templates/index.html";

#[test]
fn names() {
    let one = |name, text| (name, [(INDEX, text)]);
    let mistakes = [
        one("a tag that does not end", "<p>\n{% if page.title %}\n"),
        one("an expression that does not end", "<p>{{ page.title </p>\n"),
        one("an unknown tag", "{% fro page in pages %}{% endfor %}"),
        one("an unknown variable near another", "{{ pgae.title }}"),
        one("an unknown variable near none", "{{ zebra }}"),
        one("an unknown field of a page", "{{ page.titel }}"),
        one("an unknown field of the site", "{{ site.titel }}"),
        one("an unknown field of a section", "{{ section.pagse }}"),
        one("an unknown field deep within", "{{ page.extra.colour.name }}"),
        one("an unknown filter", "{{ page.title | uper }}"),
        one("an unknown filter of ours", "{{ 3 | yne }}"),
        one("an unknown test", "{% if page.title is strnig %}{% endif %}"),
        one("an unknown function", "{{ gte_page(path=\"/\") }}"),
        one(
            "an unknown component",
            "{{<card title=\"A\" />}}{% component crad(title) %}{{ title }}{% endcomponent crad %}",
        ),
        one(
            "an unknown argument of a component",
            "{{<card titel=\"A\" />}}{% component card(title) %}{{ title }}{% endcomponent card %}",
        ),
        one("an argument that is missing", "{{ get_page() }}"),
        one("an argument of a wrong type", "{{ get_page(path=3) }}"),
        one("a page that does not exist", "{% set a = get_page(path=\"/abuot/\") %}"),
        one("a section that does not exist", "{% set a = get_section(path=\"/nws/\") %}"),
        one("a value that does not fit its filter", "{{ page.title | yen }}"),
        one("a day that is none", "{{ page.title | date }}"),
        one("a slot that the theme lacks", "{% filter slot(name=\"nv\") %}{% endfilter %}"),
        one(
            "a slot that is cut",
            "{% set s %}{% filter slot(name=\"nav\") %}home{% endfilter %}{% endset %}{{ s | truncate(length=4, end=\"\") | safe }}",
        ),
        one("a block that the parent lacks", "{% extends \"base.html\" %}{% block mian %}{% endblock mian %}"),
    ];
    let table: Vec<_> = mistakes.iter().map(|(name, files)| (*name, files.as_slice())).collect();
    assert_told!(&table);
}

#[test]
fn chains() {
    let base = "themes/plain/templates/base.html";
    let card = "themes/plain/templates/card.html";
    assert_told!(&[
        ("a parent that does not exist", &[(INDEX, "{% extends \"bse.html\" %}")]),
        ("an include that does not exist", &[(INDEX, "{% include \"crad.html\" %}"), (card, "x")]),
        (
            "a template that extends itself",
            &[(INDEX, "{% extends \"base.html\" %}"), (base, "{% extends \"index.html\" %}")]
        ),
        (
            "a template that includes itself",
            &[(INDEX, "{% include \"card.html\" %}"), (card, "\n{% include \"index.html\" %}")]
        ),
        (
            "a mistake in what the parent includes",
            &[
                (INDEX, "{% extends \"base.html\" %}"),
                (base, "<html>\n{% include \"head.html\" %}{% block main %}{% endblock main %}"),
                ("themes/plain/templates/head.html", "{% include \"card.html\" %}"),
                (card, "<p>\n{{ page.titel }}"),
            ],
        ),
        (
            "a mistake in a component",
            &[
                (INDEX, "<p>\n{{<card of={page} />}}"),
                (card, "{% component card(of) %}{{ of.titel }}{% endcomponent card %}")
            ],
        ),
        (
            "one mistake on many pages",
            &[
                ("site/content/b.md", "---\ntitle: B\n---\n"),
                ("site/content/a.md", "---\ntitle: A\n---\n"),
                ("themes/plain/templates/page.html", "<p>\n{{ page.titel }}\n"),
            ],
        ),
        ("lines that end as on Windows", &[(INDEX, "<p>\r\n{{ page.titel }}\r\n")]),
        (
            "a template a page names and no theme has",
            &[("site/content/a.md", "---\ntitle: A\ntemplate: pge.html\n---\n")]
        ),
        (
            "a component in two files",
            &[(INDEX, "{% component c() %}{% endcomponent c %}"), (card, "{% component c() %}{% endcomponent c %}")]
        ),
    ]);
}
