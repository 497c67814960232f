//! What the preview adds to a page: its script, and bar and overlay in a shadow tree, where the site's styles and its
//! own do not meet. It is never in what is built.

use tieup_generator::Workbench;
use tieup_protocol::path::SitePath;

use super::bar::bar;
use super::choice::Choice;
use super::html::escape;
use super::overlay::overlay;

/// What the shadow tree holds.
pub(super) fn content(bench: &Workbench, choice: &Choice, path: &SitePath, last: Option<&str>) -> String {
    let overlay = bench.report().as_ref().map(overlay).unwrap_or_default();
    let bar = bar(bench, choice, path, last);
    format!("<link rel=\"stylesheet\" href=\"/.preview/panel.css\">\n{overlay}{bar}")
}

/// What is put into a page of the site's state `state`.
pub(super) fn part(state: &str, content: &str) -> String {
    format!(
        "<tieup-preview data-state=\"{}\"><template shadowrootmode=\"open\">\n{content}</template></tieup-preview>\
         <script type=\"module\" src=\"/.preview/client.js\"></script>",
        escape(state)
    )
}

/// A whole page that has nothing of the site.
pub(super) fn page(title: &str, words: &str) -> String {
    let (title, words) = (escape(title), escape(words));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"/.preview/page.css\">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
         <p>{words}</p>\n</main>\n</body>\n</html>\n"
    )
}
