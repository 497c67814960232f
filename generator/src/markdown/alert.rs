//! Alerts: quotes that begin with `[!NOTE]` and the like, as GitHub shows them.

use pulldown_cmark::{BlockQuoteKind, Event};

use super::words::Words;

/// What begins an alert in a text in the language `lang`.
pub(super) fn begin<'a>(kind: BlockQuoteKind, lang: &str) -> Event<'a> {
    let class = match kind {
        BlockQuoteKind::Note => "note",
        BlockQuoteKind::Tip => "tip",
        BlockQuoteKind::Important => "important",
        BlockQuoteKind::Warning => "warning",
        BlockQuoteKind::Caution => "caution",
    };
    let (classes, title) = (format!("markdown-alert markdown-alert-{class}"), Words::of(lang).alert(kind));
    let html = format!("<div class=\"{classes}\">\n<p class=\"markdown-alert-title\">{title}</p>\n");
    Event::Html(html.into())
}

/// What ends it.
pub(super) fn end<'a>() -> Event<'a> {
    Event::Html("</div>\n".into())
}
