//! The bar below a page: who is looked at, what is shown, how the site and this page stand, how fast the last save was.

use std::fmt::Write as _;

use tieup_generator::{Audience, Drafts, Future, Mark, Workbench};
use tieup_protocol::contract::Partnership;
use tieup_protocol::path::SitePath;

use super::choice::{Choice, Slots};
use super::desk::mistakes;
use super::html::escape;

/// The bar on the page at `path`, the time of the last save being `last`.
pub(super) fn bar(bench: &Workbench, choice: &Choice, path: &SitePath, last: Option<&str>) -> String {
    let mut html = "<aside class=\"bar\" aria-label=\"Preview\">\n<details open>\n<summary>Preview".to_owned();
    let report = bench.report();
    match &report {
        Some(report) => {
            let _ = write!(html, " <span class=\"state bad\">{}</span>", mistakes(report));
        }
        None => html.push_str(" <span class=\"state good\">no mistakes</span>"),
    }
    html.push_str("</summary>\n<div class=\"row\">\n");
    html.push_str(&form(bench, choice, path));
    if let Some(mark) = bench.mark(&choice.audience, path) {
        let _ = writeln!(html, "<p class=\"mark\">{}</p>", escape(&marked(&mark)));
    }
    if report.is_some() {
        html.push_str("<button type=\"button\" class=\"bad\" data-show>Show mistakes</button>\n");
    }
    let _ = writeln!(html, "<output>{}</output>", escape(last.unwrap_or_default()));
    html.push_str("</div>\n</details>\n</aside>\n");
    html
}

fn form(bench: &Workbench, choice: &Choice, path: &SitePath) -> String {
    let mut html = format!(
        "<form method=\"post\" action=\"/.preview/choice\">\n<input type=\"hidden\" name=\"back\" value=\"{}\">\n\
         <label>Seen by <select name=\"audience\">",
        escape(path.as_str())
    );
    for audience in bench.audiences() {
        let selected = if audience == choice.audience { " selected" } else { "" };
        let (value, name) = match &audience {
            Audience::Main => (String::new(), "main site".to_owned()),
            Audience::Partner(id) => (id.to_string(), format!("{id} ({})", kind(bench, &audience))),
        };
        let _ = write!(html, "<option value=\"{}\"{selected}>{}</option>", escape(&value), escape(&name));
    }
    html.push_str("</select></label>\n");
    let shown = bench.shown();
    html.push_str(&check("drafts", "Drafts", shown.drafts == Drafts::Shown));
    html.push_str(&check("future", "Future pages", shown.future == Future::Shown));
    if choice.audience != Audience::Main {
        html.push_str(&check("slots", "Outline slots", choice.slots == Slots::Outlined));
    }
    html.push_str("<button class=\"apply\">Apply</button>\n</form>\n");
    html
}

fn kind(bench: &Workbench, audience: &Audience) -> &'static str {
    bench.partnership(audience).map_or("unknown", Partnership::as_str)
}

fn check(name: &str, label: &str, on: bool) -> String {
    let checked = if on { " checked" } else { "" };
    format!("<label><input type=\"checkbox\" name=\"{name}\"{checked}> {label}</label>\n")
}

/// What a page is besides being live, in words.
fn marked(mark: &Mark) -> String {
    match mark {
        Mark::Draft => "draft".to_owned(),
        Mark::LiveFrom(start) if start.time() == jiff::civil::Time::midnight() => {
            format!("live from {}", start.strftime("%-d %B %Y"))
        }
        Mark::LiveFrom(start) => format!("live from {}", start.strftime("%-d %B %Y, %H:%M")),
        Mark::Sample => "sample: the partner writes this page".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_said_in_words() {
        let from = |time: &str| marked(&Mark::LiveFrom(time.parse().unwrap()));
        assert_eq!(from("2026-12-01T00:00:00+09:00[Asia/Tokyo]"), "live from 1 December 2026");
        assert_eq!(from("2026-12-01T09:30:00+09:00[Asia/Tokyo]"), "live from 1 December 2026, 09:30");
    }
}
