//! Code as HTML whose parts have classes, which a style sheet gives their colours. A pure function of the code.

mod languages;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use pulldown_cmark_escape::escape_html_body_text;
use tree_sitter_highlight::{HighlightEvent, Highlighter};

/// What grammars tell apart, longer names first in the sense of grammars, and the class that each gets. The classes
/// are part of what themes rely on; what has none, such as brackets and operators, stays plain.
const CLASSES: [(&str, &str); 25] = [
    ("attribute", "hl-attribute"),
    ("boolean", "hl-constant"),
    ("charset", "hl-keyword"),
    ("comment", "hl-comment"),
    ("constant", "hl-constant"),
    ("constructor", "hl-type"),
    ("diff.minus", "hl-deleted"),
    ("diff.plus", "hl-inserted"),
    ("escape", "hl-escape"),
    ("function", "hl-function"),
    ("import", "hl-keyword"),
    ("keyframes", "hl-keyword"),
    ("keyword", "hl-keyword"),
    ("label", "hl-attribute"),
    ("media", "hl-keyword"),
    ("namespace", "hl-keyword"),
    ("number", "hl-constant"),
    ("property", "hl-property"),
    ("string", "hl-string"),
    ("string.escape", "hl-escape"),
    ("string.special.key", "hl-property"),
    ("supports", "hl-keyword"),
    ("tag", "hl-tag"),
    ("type", "hl-type"),
    ("variable.builtin", "hl-keyword"),
];

/// How much highlighted code a thread remembers, in bytes.
const REMEMBERED: usize = 1 << 20;

/// What a thread keeps between blocks.
#[derive(Default)]
struct Kept {
    highlighter: Option<Highlighter>,
    known: HashMap<(String, String), Option<Arc<str>>>,
    size: usize,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// `code` in the language `lang` as the HTML inside its element; none where the language is not known.
///
/// Equal blocks are highlighted once, as long as they are remembered.
pub(crate) fn highlight(code: &str, lang: &str) -> Option<Arc<str>> {
    let language = languages::find(lang)?;
    KEPT.with_borrow_mut(|kept| {
        let key = (lang.to_owned(), code.to_owned());
        if let Some(known) = kept.known.get(&key) {
            return known.clone();
        }
        let html: Option<Arc<str>> = kept.highlight(code, language).map(Arc::from);
        kept.size += code.len() + html.as_ref().map_or(0, |html| html.len());
        if kept.size > REMEMBERED {
            kept.known.clear();
            kept.size = 0;
        }
        kept.known.insert(key, html.clone());
        html
    })
}

impl Kept {
    fn highlight(&mut self, code: &str, language: &'static languages::Language) -> Option<String> {
        let configuration = language.configuration()?;
        let other = |name: &str| languages::find(name).and_then(languages::Language::configuration);
        let highlighter = self.highlighter.get_or_insert_default();
        let events = highlighter.highlight(configuration, code.as_bytes(), None, None, other).ok()?;
        let mut html = String::with_capacity(code.len() * 3);
        for event in events {
            match event.ok()? {
                HighlightEvent::Source { start, end } => {
                    escape_html_body_text(&mut html, code.get(start..end)?).ok()?;
                }
                HighlightEvent::HighlightStart(class) => {
                    html.push_str("<span class=\"");
                    html.push_str(CLASSES.get(class.0)?.1);
                    html.push_str("\">");
                }
                HighlightEvent::HighlightEnd => html.push_str("</span>"),
            }
        }
        Some(html)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words that have a class.
    fn words<'a>(html: &'a str, class: &str) -> Vec<&'a str> {
        let open = format!("<span class=\"hl-{class}\">");
        html.split(open.as_str()).skip(1).filter_map(|rest| rest.split('<').next()).collect()
    }

    /// The text that a reader sees.
    fn text(html: &str) -> String {
        let parts = html.split('<').enumerate();
        let text: String = parts
            .map(|(at, part)| if at == 0 { part } else { part.split_once('>').map_or("", |(_, text)| text) })
            .collect();
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    #[test]
    fn parts_of_code_have_classes() {
        let table = [
            ("rust", "/// A & b\nfn sum(a: u8) -> u8 { \"x\\n\"; 1 }\n", "keyword", "fn"),
            ("RS", "let a = 1;", "keyword", "let"),
            ("py", "def f():\n    return None # no\n", "comment", "# no"),
            ("js", "const a = () => 'b';\n", "string", "'b'"),
            ("jsx", "const a = <b c=\"d\">e</b>;\n", "tag", "b"),
            ("ts", "interface A { b: string }\n", "keyword", "interface"),
            ("tsx", "const a: B = <c/>;\n", "type", "B"),
            ("html", "<p class=\"a\">b</p><style>p { color: red }</style>", "property", "color"),
            ("html", "<script>const a = 1</script>", "keyword", "const"),
            ("css", "p { color: red }\n", "property", "color"),
            ("json", "{\"a\": true}\n", "property", "\"a\""),
            ("yaml", "a: 1 # b\n", "comment", "# b"),
            ("toml", "a = 1\n", "constant", "1"),
            ("sh", "if true; then echo \"$A\"; fi\n", "keyword", "if"),
            ("go", "func f() {}\n", "keyword", "func"),
            ("java", "class A { int b; }\n", "keyword", "class"),
            ("c", "int main(void) { return 0; }\n", "keyword", "return"),
            ("diff", "-a\n+b\n", "inserted", "+b"),
        ];
        for (lang, code, class, word) in table {
            let html = highlight(code, lang).unwrap();
            assert!(words(&html, class).contains(&word), "{lang}: {html}");
            assert_eq!(text(&html), code, "{lang}");
        }
    }

    #[test]
    fn an_unknown_language_stays_plain_and_what_is_remembered_is_the_same() {
        assert_eq!(highlight("a", "klingon"), None);
        assert_eq!(highlight("fn 会() {", "rust"), highlight("fn 会() {", "rust"));
        assert_eq!(text(&highlight("fn 会() {<&\r\n", "rust").unwrap()), "fn 会() {<&\r\n");
    }
}
