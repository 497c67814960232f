//! The mistakes of a site as an overlay on the page: the same report that the terminal shows, as HTML.

use std::fmt::Write as _;

use tieup_protocol::diagnostic::{Diagnostic, Report, Span};
use tieup_protocol::digest::Digest;

use super::desk::mistakes;
use super::html::escape;

/// The overlay. Scripts show it, focus it and hide it; without them it stands as it is.
pub(super) fn overlay(report: &Report) -> String {
    let count = mistakes(report);
    let these = if report.diagnostics().len() == 1 { "This keeps" } else { "These keep" };
    let mut html = format!(
        "<section class=\"overlay\" role=\"alertdialog\" aria-labelledby=\"mistakes\" aria-describedby=\"meaning\" \
         tabindex=\"-1\" data-report=\"{}\">\n<div class=\"head\"><h2 id=\"mistakes\">{count}</h2>\
         <button type=\"button\" data-hide>Hide <kbd>Esc</kbd></button></div>\n\
         <p id=\"meaning\">{these} pages from being made anew. What you see beneath is the newest that could be \
         made; this goes away by itself once it is mended.</p>\n<ol>\n",
        digest(report)
    );
    for diagnostic in report.diagnostics() {
        let _ = writeln!(html, "<li>{}</li>", mistake(diagnostic));
    }
    html.push_str("</ol>\n</section>\n");
    html
}

/// Tells one report from another.
fn digest(report: &Report) -> String {
    Digest::of(report.to_string().as_bytes()).hex()
}

fn mistake(diagnostic: &Diagnostic) -> String {
    let mut html = format!("<h3>{} <code>{}</code></h3>\n", escape(&diagnostic.message), escape(diagnostic.code));
    let file = escape(&diagnostic.file);
    match &diagnostic.span {
        Some(span) => {
            let _ = writeln!(html, "<p class=\"place\">{file}:{}:{}</p>\n{}", span.line, span.column, source(span));
        }
        None => {
            let _ = writeln!(html, "<p class=\"place\">{file}</p>");
        }
    }
    for related in &diagnostic.related {
        let line = related.line.map(|line| format!(":{line}")).unwrap_or_default();
        let (file, message) = (escape(&related.file), escape(&related.message));
        let _ = writeln!(html, "<p class=\"note\"><span class=\"place\">{file}{line}</span> {message}</p>");
    }
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(html, "<p class=\"help\">{}</p>", escape(help));
    }
    html
}

/// The line, with what is meant marked in it.
fn source(span: &Span) -> String {
    let mut chars = span.text.chars();
    let before: String = chars.by_ref().take(span.column.saturating_sub(1)).collect();
    let meant: String = chars.by_ref().take(span.length).collect();
    let after: String = chars.collect();
    // At the end of a line there is nothing to mark but the place.
    let meant = if meant.is_empty() { " ".to_owned() } else { meant };
    let [before, meant, after] = [before, meant, after].map(|part| escape(&part));
    format!("<pre tabindex=\"0\"><span class=\"line\">{}</span>{before}<mark>{meant}</mark>{after}</pre>", span.line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_known_of_a_mistake_is_shown_and_escaped() {
        let text = "title: A\nlayout: <b>x</b>\n";
        let diagnostic = Diagnostic::new("unknown-key", "a&b.md", "unknown key `<b>`")
            .at_text(text, "<b>x</b>")
            .related("first.md", Some(3), "as \"here\"")
            .help("write <i>");
        let html = overlay(&diagnostic.into());
        for part in [
            "<h2 id=\"mistakes\">1 mistake</h2>",
            "<h3>unknown key `&lt;b&gt;` <code>unknown-key</code></h3>",
            "<p class=\"place\">a&amp;b.md:2:9</p>",
            "<span class=\"line\">2</span>layout: <mark>&lt;b&gt;x&lt;/b&gt;</mark></pre>",
            "<span class=\"place\">first.md:3</span> as &quot;here&quot;",
            "<p class=\"help\">write &lt;i&gt;</p>",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        assert!(!html.contains("<b>") && !html.contains("<i>"));
    }

    #[test]
    fn a_place_beyond_the_line_is_shown_too() {
        let span = Span { line: 7, column: 4, length: 9, text: "abc".to_owned() };
        assert!(source(&span).ends_with("</span>abc<mark> </mark></pre>"));
    }
}
