//! Components of the theme that Markdown calls, and those that show links, pictures and code.

use crate::small::{Small, html};

const COMPONENTS: &str = "\
{% component note(kind: string = \"info\", @lang) %}<aside class=\"{{ kind }}\" lang=\"{{ lang }}\">{{ body }}</aside>{% endcomponent note %}
{% component card(path: string, big: bool = false) %}{% set other = get_page(path=path) %}<a href=\"{{ other.path }}\">{{ other.title }}</a>{% endcomponent card %}
";

fn small() -> Small {
    let small = Small::new();
    small.write("themes/plain/templates/components.html", COMPONENTS);
    small
}

#[test]
fn a_component_writes_into_the_page_and_into_feeds_and_not_into_summaries() {
    let small = small();
    small
        .write("site/site.yaml", "title: Main\nbase_url: https://main.example\ntheme: plain\nfeeds: true\n")
        .write("site/content/news/_index.md", "---\ntitle: News\nsort_by: date\n---\n")
        .write(
            "site/content/news/a.md",
            "---\ntitle: A\ndate: 2026-11-01\n---\nSee {{ <card path=\"/\" /> }}.\n\n<!-- more -->\n\n\
             {% <note kind=\"tip\"> %}\n## Title\n\n*Words*, and {{ <card path=\"/news/\" /> }}.\n{% </note> %}\n",
        )
        .write("themes/plain/templates/section.html", "{% for item in section.pages %}{{ item.summary }}{% endfor %}");
    let output = small.main().unwrap();
    let page = html(&output, "/news/a/");
    assert!(page.contains("<p>See <a href=\"/\">Home</a>.</p>"), "{page}");
    assert!(
        page.contains("<aside class=\"tip\" lang=\"en\">\n<h2 id=\"title\">Title</h2>\n<p><em>Words</em>, and <a href=\"/news/\">News</a>.</p>\n</aside>"),
        "{page}"
    );
    assert!(html(&output, "/news/").contains("<p>See .</p>"), "{}", html(&output, "/news/"));
    let feed = html(&output, "/news/atom.xml");
    assert!(feed.contains("&lt;aside class=&quot;tip&quot;"), "{feed}");
}

#[test]
fn calls_that_do_not_fit_are_told_all_at_once() {
    let small = small();
    small.page(
        "a.md",
        "{{ <crad path=\"/\" /> }}\n\n{{ <card pth=\"/\" big=\"yes\" /> }}\n\n{{ <card path={3} /> }}\n\n{% <note> %}\n\nA {{ <x\n",
    );
    let shown = small.main().unwrap_err();
    for (message, place, help) in [
        ("unknown-component]: the theme has no component `crad`", "a.md:4:5", "did you mean `card`?"),
        ("unknown-argument]: `card` takes no argument `pth`", "a.md:6:10", "did you mean `path`?"),
        ("wrong-argument]: `big` of `card` must be of type bool, and is text", "a.md:6:18", "write big={true}"),
        ("missing-argument]: `card` needs the argument `path`", "a.md:6:5", "write path=\"text\""),
        (
            "wrong-argument]: `path` of `card` must be of type string, and is a number",
            "a.md:8:10",
            "write path=\"text\"",
        ),
        ("unclosed-component]: `note` has no end", "a.md:10:5", "write {% </note> %} after its body"),
        ("component-syntax]: the call of `x` has no end", "a.md:12:7", "name={3}"),
    ] {
        for part in [message, place, help] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }
    assert!(shown.ends_with("7 errors"), "{shown}");
}

#[test]
fn what_goes_wrong_inside_a_component_names_its_place_and_the_call() {
    let small = small();
    small.page("a.md", "\n{{ <card path=\"/nowhere/\" /> }}\n");
    let shown = small.main().unwrap_err();
    assert!(shown.contains(" --> themes/plain/templates/components.html:2:"), "{shown}");
    assert!(shown.contains("site/content/a.md:5: `card` is asked for here"), "{shown}");
}

#[test]
fn links_inside_a_body_are_checked() {
    let small = small();
    small.page("a.md", "{% <note> %}\n[a](/nowhere/)\n{% </note> %}\n");
    assert!(small.main().unwrap_err().contains("nothing stands at `/nowhere/`"));
}

#[test]
fn a_theme_shows_links_pictures_and_code_in_its_own_way() {
    let small = Small::new();
    let text = "[a](/) [b](https://b.example/ \"B\")\n\n![c](/c.svg)\n\n```rust\nlet a = 1;\n```\n";
    small.write("site/static/c.svg", "<svg/>").page("a.md", text);
    let plain = html(&small.main().unwrap(), "/a/");
    small.write(
        "themes/plain/templates/hooks.html",
        "{% component render_link(url, external) %}<a href=\"{{ url }}\"{% if external %} rel=\"external\"{% endif %}>{{ body }}</a>{% endcomponent render_link %}
         {% component render_image(alt, alone) %}{% if alone %}<figure>{{ body }}{{ alt }}</figure>{% else %}{{ body }}{% endif %}{% endcomponent render_image %}
         {% component render_code(lang) %}<div data-lang=\"{{ lang }}\">{{ body }}</div>{% endcomponent render_code %}",
    );
    let shown = html(&small.main().unwrap(), "/a/");
    let expected = plain
        .replace("href=\"https://b.example/\" title=\"B\"", "href=\"https://b.example/\" rel=\"external\"")
        .replace("<p><img src=\"/c.svg\" alt=\"c\" /></p>", "<figure><img src=\"/c.svg\" alt=\"c\" />c</figure>")
        .replace("<pre><code class=\"language-rust\">", "<div data-lang=\"rust\">")
        .replace("</code></pre>", "</div>");
    assert_ne!(plain, expected);
    assert_eq!(shown.split_whitespace().collect::<String>(), expected.split_whitespace().collect::<String>());
}

#[test]
fn a_slot_calls_no_component() {
    let small = small();
    small
        .write("partner/site.yaml", "title: Shop\nbase_url: https://shop.example\n")
        .write("partner/content/_index.md", "---\ntitle: Home\n---\n")
        .write("partner/slots/nav.md", "A {{ <card path=\"/\" /> }}\n");
    let shown = small.originals(&[]).unwrap_err();
    assert!(shown.contains("error[misplaced-component]") && shown.contains("partner/slots/nav.md:1:7"), "{shown}");
}

#[test]
fn code_has_classes_where_the_site_asks_for_them() {
    let small = Small::new();
    small.page("a.md", "```rust\nlet a = 1;\n```\n");
    assert!(html(&small.main().unwrap(), "/a/").contains("<code class=\"language-rust\">let a = 1;"));
    small.write("site/site.yaml", "title: Main\nbase_url: https://main.example\ntheme: plain\nhighlight: classes\n");
    let page = html(&small.main().unwrap(), "/a/");
    assert!(page.contains("<pre><code class=\"language-rust\"><span class=\"hl-keyword\">let</span> a"), "{page}");
}
