//! Texts as Markdown and the HTML that becomes of them.

use super::*;
use crate::picture::Variant;

pub(super) fn body(text: &str) -> Body {
    body_with(text, &Settings::default())
}

pub(super) fn body_with(text: &str, settings: &Settings) -> Body {
    let page: SitePath = "/help/ordering/".parse().unwrap();
    let page_of = |file: &str| (file == "help/delivery.md").then(|| "/help/post/".parse().unwrap());
    let picture_of = |path: &SitePath| {
        let variant = |path: &str, width| Variant { path: path.parse().unwrap(), width };
        let variants = vec![variant("/器-450.webp", 450), variant("/cup-900.webp", 900)];
        (path.as_str() == "/cup.jpg").then_some(Picture { width: 900, height: 600, variants })
    };
    let (folder, lang) = ("help", "en");
    render(text, 0, &Base { page: &page, lang, settings, folder, page_of: &page_of, picture_of: &picture_of })
}

#[test]
fn what_goes_beyond_plain_markdown_is_understood() {
    let table = [
        ("- [x] a\n- [ ] b\n", "<li><input type=\"checkbox\" disabled checked aria-label=\"Done\">\na</li>"),
        ("a ~~b~~", "<del>b</del>"),
        ("|a|b|\n|-|-:|\n|1|2|\n", "<td style=\"text-align: right\">2</td>"),
        (
            "Cup\n: To drink *from*.\n: Of tin.\n",
            "<dl>\n<dt>Cup</dt>\n<dd>To drink <em>from</em>.</dd>\n<dd>Of tin.</dd>\n</dl>",
        ),
        ("## Cups {#cups .wide data-n=1}\n", "<h2 id=\"cups\" class=\"wide\" data-n=\"1\">Cups</h2>"),
        (
            "> [!WARNING]\n> Hot.\n",
            "<div class=\"markdown-alert markdown-alert-warning\">\n\
             <p class=\"markdown-alert-title\">Warning</p>\n<p>Hot.</p>\n</div>\n",
        ),
        ("> Said.\n", "<blockquote>\n<p>Said.</p>\n</blockquote>"),
    ];
    for (text, html) in table {
        assert!(body(text).html.contains(html), "{text}\n{}", body(text).html);
    }
}

#[test]
fn a_summary_ends_at_its_line_and_nowhere_else() {
    let cut = body("One *two*&#4;.\n\n<!-- more -->\n\nThree.\n\n<!-- more -->\n");
    assert_eq!(cut.summary().as_deref(), Some("<p>One <em>two</em>.</p>\n"));
    assert!(!cut.html.contains("more"));
    for other in ["> <!-- more -->\n", "    <!-- more -->\n", "a `<!-- more -->`", "a\n"] {
        assert_eq!(body(other).summary(), None, "{other}");
    }
}

#[test]
fn no_control_character_survives() {
    assert_eq!(body("a&#1;b&#x2;c").html, "<p>abc</p>\n");
}

proptest::proptest! {
    #[test]
    fn any_text_renders(text in "[\\[\\]()#./a会 \n!<>&\"^:$*|{}%-]{0,60}") {
        let body = body(&text);
        for link in &body.links {
            proptest::prop_assert!(text.get(link.span.range()).is_some());
        }
    }
}

/// The HTML with each component written as `[name key=value: body]`, of hooks only `hook`.
fn filled(body: &Body, hook: &str) -> String {
    let fill = |hole: &Hole, body: Option<&str>| {
        let given = hole.arguments.iter().map(|given| format!(" {}={}", given.name, given.value));
        let given = given.collect::<Vec<_>>().concat();
        let body = body.map(|body| format!(": {body}")).unwrap_or_default();
        let is_filled = hole.asker == Asker::Call || hole.name == hook;
        Ok(is_filled.then(|| format!("[{}{given}{body}]", hole.name)))
    };
    body.filled(&fill).unwrap().into_owned()
}

#[test]
fn components_are_called_in_lines_and_on_lines_of_their_own() {
    let table = [
        ("A {{ <day date=\"2026\" n={3} /> }} b\n", "<p>A [day date=\"2026\" n=3] b</p>\n"),
        ("{{<a.b/>}} first\n", "<p>[a.b] first</p>\n"),
        (
            "Words\n{{- <list of={[1, \"x\"]}\n    wide={true} /> -}}\nmore\n",
            "<p>Words</p>\n[list of=[1,\"x\"] wide=true]\n<p>more</p>\n",
        ),
        (
            "{% <note kind='a \\'b\\' }}'> %}\nSome *words*.\n\n- {{ <x /> }}\n{% </note> %}\nAfter\n",
            "[note kind=\"a 'b' }}\": \n<p>Some <em>words</em>.</p>\n<ul>\n<li>[x]\n</li>\n</ul>\n]\n<p>After</p>\n",
        ),
        ("A {% <b> %}*c* {% <b> %}{% </b> %}{{<x/>}}{% </b> %}\n", "<p>A [b: <em>c</em> [b: ][x]]</p>\n"),
        (
            "|a|\n|-|\n|{{ <x y=\"1|2\" /> }}|\n",
            "<table><thead><tr><th>a</th></tr></thead><tbody>\n<tr><td>[x y=\"1|2\"]</td></tr>\n</tbody></table>\n",
        ),
        ("<div>\n{{ <x /> }}\n</div>\n", "<div>\n[x]\n</div>\n"),
    ];
    for (text, html) in table {
        let body = body(text);
        assert_eq!((filled(&body, ""), &body.mistakes[..]), (html.to_owned(), &[][..]), "{text}");
    }
}

#[test]
fn what_only_shows_a_call_calls_nothing() {
    let table = [
        ("A `{{ <x y=\"1\" /> }}` b\n", "<p>A <code>{{ &lt;x y=\"1\" /&gt; }}</code> b</p>\n"),
        (
            "```html\n{% <note> %}\n{{ <x !!/> }}\n```\n",
            "<pre><code class=\"language-html\">{% &lt;note&gt; %}\n{{ &lt;x !!/&gt; }}\n</code></pre>\n",
        ),
        ("    {{ <x /> }}\n", "<pre><code>{{ &lt;x /&gt; }}\n</code></pre>\n"),
        ("\\{{ <x y=\"1\"/> }} and \\{% <x> %}\n", "<p>{{ &lt;x y=\"1\"/&gt; }} and {% &lt;x&gt; %}</p>\n"),
        ("<!--\n{{ <x /> }}\n-->\n", "<!--\n{{ <x /> }}\n-->\n"),
        ("<div>\n<!-- a -->\n{{ <x /> }}\n</div>\n", "<div>\n<!-- a -->\n[x]\n</div>\n"),
        ("a <!-- {{ <x /> }} -->\n", "<p>a <!-- {{ <x /> }} --></p>\n"),
        ("{{ x }} {% if %} {{ < 3 }} {", "<p>{{ x }} {% if %} {{ &lt; 3 }} {</p>\n"),
    ];
    for (text, html) in table {
        let body = body(text);
        assert_eq!((filled(&body, ""), &body.mistakes[..]), (html.to_owned(), &[][..]), "{text}");
    }
}

#[test]
fn calls_that_cannot_be_are_told_with_their_place() {
    let table = [
        ("A {{ <x y= /> }}", "component-syntax", "y"),
        ("A {{ <x y=\"a /> }}", "component-syntax", "y"),
        ("A {{ <x y={none} /> }}", "component-syntax", "y"),
        ("A {{ <x quiet /> }}", "component-syntax", "quiet"),
        ("A {{ <x a=\"1\" a=\"2\" /> }}", "component-syntax", "a"),
        ("A {{ <x ! /> }}", "component-syntax", "!"),
        ("A {{ <x> }}", "component-syntax", "x"),
        ("A {% <x /> %}", "component-syntax", "x"),
        ("A {{ <x /> b", "component-syntax", "{{"),
        ("A {{ </x> }}", "component-syntax", "x"),
        ("{% <note> %}\n\nA\n", "unclosed-component", "note"),
        ("A {% </note> %}\n", "unclosed-component", "note"),
        ("{% <a> %}\n{% </b> %}\n", "unclosed-component", "b"),
        ("- {% <a> %}\n\n{% </a> %}\n", "unclosed-component", "a"),
        ("[a](/b/{{<x/>}})", "misplaced-component", "{{<x/>}}"),
        ("![{{ <x/> }}](/cup.png)", "misplaced-component", "{{ <x/> }}"),
        ("A {{ <x\n\n/> }}", "misplaced-component", "{{ <x\n\n/> }}"),
    ];
    for (text, code, word) in table {
        let mistakes = body(text).mistakes;
        let found: Vec<_> = mistakes.iter().map(|mistake| (mistake.code, &text[mistake.span.range()])).collect();
        assert_eq!(found.first(), Some(&(code, word)), "{text}: {mistakes:?}");
    }
    let deep = body(&"{% <a> %}\n".repeat(40));
    assert!(deep.mistakes.iter().any(|mistake| mistake.message.contains("16 deep")));
}

#[test]
fn a_theme_may_show_links_pictures_and_code_in_its_own_way() {
    let hooks = Hooks { link: true, image: true, code: true };
    let settings = Settings { hooks, ..Settings::default() };
    let text = "See [*the* ![c](/cup.png)](delivery.md \"T\").\n\n![A cup](/cup.jpg)\n\n```rust\na < b\n```\n\n<m@b.example>\n";
    let with_hooks = body_with(text, &settings);
    assert_eq!(filled(&with_hooks, ""), body(text).html);
    let links = filled(&with_hooks, "render_link");
    let shown = "See [render_link url=\"/help/post/\" title=\"T\" external=false sponsored=false: <em>the</em> <img src=\"/cup.png\" alt=\"c\" />].";
    assert!(links.contains(shown) && links.contains("url=\"mailto:m@b.example\" title=\"\" external=true"), "{links}");
    let images = filled(&with_hooks, "render_image");
    assert!(images.contains("</p>\n[render_image url=\"/cup.jpg\" alt=\"A cup\" title=\"\" width=900 height=600 srcset=\"/%E5%99%A8-450.webp 450w, /cup-900.webp 900w\" alone=true: <img"), "{images}");
    assert!(
        images.contains("[render_image url=\"/cup.png\" alt=\"c\" title=\"\" width=0 height=0 srcset=\"\" alone=false"),
        "{images}"
    );
    let code = filled(&with_hooks, "render_code");
    assert!(code.contains("\n[render_code lang=\"rust\" code=\"a < b\\n\": a &lt; b\n]"), "{code}");
}

#[test]
fn highlighted_code_keeps_its_element() {
    let settings = Settings { highlight: Highlight::Classes, ..Settings::default() };
    let text = "- a\n  ```rust,ignore\n  let a = 1;\n  ```\n\n```klingon\n<a>\n```\n\n    let\n";
    let (plain, shown) = (body(text), body_with(text, &settings));
    let marked = "<span class=\"hl-keyword\">let</span> a = <span class=\"hl-constant\">1</span>;";
    assert_eq!(shown.html, plain.html.replacen("let a = 1;", marked, 1));
    assert!(shown.html.contains("<pre><code class=\"language-rust,ignore\">"), "{}", shown.html);
    assert!(shown.mistakes.is_empty());
}

#[test]
fn paid_links_are_marked() {
    let settings = Settings { sponsored: vec!["shop.example".to_owned()], ..Settings::default() };
    let table = [
        ("[a](sponsored:/go/ \"t\")", "<a href=\"/go/\" title=\"t\" rel=\"sponsored\">a</a>"),
        ("[a](sponsored:https://b.example/?c&d)", "<a href=\"https://b.example/?c&amp;d\" rel=\"sponsored\">a</a>"),
        (
            "[a][b]\n\n[b]: https://www.SHOP.example:8080/x",
            "<a href=\"https://www.SHOP.example:8080/x\" rel=\"sponsored\">a</a>",
        ),
        ("<https://shop.example>", "<a href=\"https://shop.example\" rel=\"sponsored\">https://shop.example</a>"),
        ("[a](https://myshop.example/shop.example)", "<a href=\"https://myshop.example/shop.example\">a</a>"),
        ("[a](mailto:x@shop.example)", "<a href=\"mailto:x@shop.example\">a</a>"),
    ];
    for (text, html) in table {
        assert!(body_with(text, &settings).html.contains(html), "{}", body_with(text, &settings).html);
    }
    assert_eq!(body("[a](sponsored:/go/)").links.len(), 1);
}

proptest::proptest! {
    #[test]
    fn any_calls_render(text in "(\\{\\{ <x /> \\}\\}|\\{% <x> %\\}|\\{% </x> %\\}|\\{\\{<|[-\\[\\](`a会 \n>!|$:^*#\\\\]|/a/\\)|<!--|    |```\n|\\[\\^1\\]){0,24}") {
        let hooks = Hooks { link: true, image: true, code: true };
        let body = body_with(&text, &Settings { hooks, math: true, ..Settings::default() });
        for hook in ["", "render_link", "render_image", "render_code"] {
            proptest::prop_assert!(filled(&body, hook).len() < 100_000);
        }
        for mistake in &body.mistakes {
            proptest::prop_assert!(text.get(mistake.span.range()).is_some());
        }
    }
}
