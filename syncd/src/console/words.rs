//! What the console says, in the words of somebody who has never seen a page's source.

use std::error::Error;

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord, ReleaseState};
use tieup_protocol::change::{Change, Nature, Risks};
use tieup_web::complaint;
use tieup_web::console::{Frame, Html, layout};
use tieup_web::html;

/// How many files of the layout are named.
const NAMED: usize = 5;

/// A heading about a release.
pub(super) fn heading(release: &ReleaseRecord) -> String {
    let version = release.version;
    match &release.state {
        ReleaseState::Staged => format!("Release {version} waits for your word"),
        ReleaseState::Approved { .. } => format!("Release {version} is approved for later"),
        ReleaseState::Held { .. } => format!("You hold release {version} back"),
        ReleaseState::Live => format!("Release {version} is live"),
        ReleaseState::Retired => format!("Release {version} was live before"),
        ReleaseState::Rejected { .. } => format!("You said no to release {version}"),
        ReleaseState::Superseded => format!("Release {version} was replaced by a later one"),
    }
}

/// What became of a release that was decided on, with times as `clock` shows them.
pub(super) fn result(release: &ReleaseRecord, clock: impl Fn(Timestamp) -> String) -> Html {
    let text = match &release.state {
        ReleaseState::Live => html!("<p>Your visitors see it now.</p>"),
        ReleaseState::Approved { at } => {
            html!("<p>It goes live at {}, unless you say otherwise before.</p>", clock(*at))
        }
        ReleaseState::Held { .. } => html!("<p>Your site stays as it is, and you are not asked again.</p>"),
        ReleaseState::Rejected { reason } => {
            html!("<p>Your site stays as it was. The main site reads your reason: “{}”</p>", reason)
        }
        _ => Html::default(),
    };
    html!("<h2>{}</h2>{}", heading(release), text)
}

/// Who decided.
pub(super) fn decided_by(release: &ReleaseRecord) -> &'static str {
    match release.by {
        Some(DecidedBy::Operator) => "approved by you",
        Some(DecidedBy::Rule) => "let through by a rule of the contract",
        Some(DecidedBy::Emergency) => "live at once, as the main site called it an emergency",
        _ => "",
    }
}

/// What changes, counted.
pub(super) fn counts(change: &Change) -> Html {
    let count = |nature: Nature| change.paths().filter(|(_, found, _)| *found == nature).count();
    let lines = [
        (count(Nature::Text), "page changes in its words alone", "pages change in their words alone"),
        (count(Nature::Content), "page or file changes in more than words", "pages or files change in more than words"),
        (count(Nature::New), "page or file is new", "pages or files are new"),
        (count(Nature::Removed), "page or file goes away", "pages or files go away"),
    ];
    let contract = change.contract.map(|(from, to)| {
        html!("<li><strong>The contract changes from version {} to {}.</strong> Read its terms below.</li>", from, to)
    });
    let counted = lines
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, one, many)| html!("<li>{} {}</li>", number, if number == 1 { one } else { many }));
    let layout = Some(change.layout).filter(|pages| *pages > 0);
    let layout = layout.map(|pages| html!("<li>the layout changes on {} pages</li>", pages));
    let restyled = change.restyled.iter().take(NAMED).map(|file| {
        html!("<li>the file {} of the layout changes, and with it how your pages look or what they do</li>", file)
    });
    let more = change.restyled.len().saturating_sub(NAMED);
    let more = Some(more).filter(|more| *more > 0).map(|more| html!("<li>and {} more files of the layout</li>", more));
    let lines: Html = contract.into_iter().chain(counted).chain(layout).chain(restyled).chain(more).collect();
    if lines == Html::default() {
        html!("<p>Your visitors would notice nothing.</p>")
    } else {
        html!("<ul>{}</ul>", lines)
    }
}

/// What the pages bring that an operator wants to know of.
pub(super) fn risks(risks: &Risks) -> Html {
    if risks.is_empty() {
        return html!("<p>It brings no new scripts, forms or addresses outside of your site.</p>");
    }
    let kinds = [
        ("A program that runs in your visitors' browsers:", &risks.scripts),
        ("A form that sends what your visitors type to:", &risks.forms),
        ("Something outside of your site, linked or loaded:", &risks.hosts),
    ];
    let lines: Html = kinds
        .into_iter()
        .flat_map(|(what, found)| found.iter().map(move |one| html!("<li>{} <strong>{}</strong></li>", what, one)))
        .collect();
    html!("<div class=\"card warn\"><h2>New, and worth a look</h2><ul>{}</ul></div>", lines)
}

/// A page that says why nothing was done.
pub(super) fn refused(frame: &Frame, status: StatusCode, error: &(dyn Error + 'static)) -> Response {
    let text = html!(
        "<pre>{}</pre><p>Your site is as it was. <a href=\"/\">Go to the start</a>.</p>",
        complaint::render(error)
    );
    layout::notice(frame, status, "That could not be done", &text)
}
