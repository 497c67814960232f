//! One release: the sentence, what it brings, the difference, and the decision.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use tieup_protocol::approval::{ReleaseRecord, ReleaseState};
use tieup_protocol::ids::ReleaseVersion;
use tieup_web::console::{Frame, Html, SignedIn, layout};
use tieup_web::html;

use super::words::{counts, decided_by, heading, refused, risks};
use super::{Console, difference};
use crate::publisher::PublishError;

/// `GET /releases/{version}`.
pub(super) async fn page(
    State(console): State<Console>,
    SignedIn(sign): SignedIn,
    Path(version): Path<ReleaseVersion>,
) -> Response {
    show(&console, &console.frame(&sign), StatusCode::OK, version, &Html::default())
}

/// The page of a release, with `first` said before everything else.
pub(super) fn show(
    console: &Console,
    frame: &Frame,
    status: StatusCode,
    version: ReleaseVersion,
    first: &Html,
) -> Response {
    let Some(record) = console.partner.releases().into_iter().find(|release| release.version == version) else {
        return refused(frame, StatusCode::NOT_FOUND, &PublishError::Unknown(version));
    };
    let body = if record.state.is_open() { proposed(console, frame, &record) } else { decided(console, &record) };
    let main = html!("{}<h1>{}</h1><p class=\"lead\">{}.</p>{}", first, heading(&record), record.sentence, body);
    layout::page(frame, status, &heading(&record), &main)
}

/// What is shown of a release that waits.
fn proposed(console: &Console, frame: &Frame, record: &ReleaseRecord) -> Html {
    let proposal = tokio::task::block_in_place(|| console.partner.publisher().proposal(record.version));
    match proposal {
        Ok(proposal) => html!(
            "{}{}{}<section><h2>Your decision</h2>{}</section><section><h2>What changes</h2>{}{}</section>",
            reason(console, record),
            risks(&proposal.change.new_risks),
            preview(console),
            choices(console, frame, record),
            counts(&proposal.change),
            difference::shown(&proposal.difference, &format!("syncd diff {}", record.version))
        ),
        Err(error) => html!(
            "<section class=\"card warn\"><h2>It cannot go live as things are</h2><pre>{}</pre></section>{}",
            tieup_web::complaint::render(&error),
            reject(frame, record)
        ),
    }
}

/// Why it is still here.
fn reason(console: &Console, record: &ReleaseRecord) -> Html {
    match (&record.state, record.waits_for.as_deref()) {
        (ReleaseState::Approved { at }, _) => html!("<p>It goes live at {}.</p>", console.clock(*at)),
        (ReleaseState::Held { reason: Some(reason) }, _) => html!("<p>Your reason: “{}”</p>", reason),
        (ReleaseState::Staged, Some(reason)) => html!("<p class=\"soft\">You are asked because: {}.</p>", reason),
        _ => Html::default(),
    }
}

fn preview(console: &Console) -> Html {
    match console.partner.front().preview() {
        Some(url) => html!(
            "<p><a class=\"button\" href=\"{}\" target=\"_blank\" rel=\"noopener noreferrer\">See your site as it would be</a></p>",
            url
        ),
        None => Html::default(),
    }
}

fn choices(console: &Console, frame: &Frame, record: &ReleaseRecord) -> Html {
    let approve = html!("{}<button type=\"submit\" class=\"primary\">Approve: make it live</button>", manifest(record));
    let hold = match record.state {
        ReleaseState::Held { .. } => Html::default(),
        _ => frame
            .form(&action(record, "hold"), &html!("{}<button type=\"submit\">Hold it back</button>", manifest(record))),
    };
    html!(
        "<div class=\"card\"><div class=\"choices\">{}{}</div>{}{}\
         <p class=\"soft\">Until you decide, your site stays as it is.</p></div>",
        frame.form(&action(record, "approve"), &approve),
        hold,
        schedule(console, frame, record),
        reject(frame, record)
    )
}

fn schedule(console: &Console, frame: &Frame, record: &ReleaseRecord) -> Html {
    let Some(zone) = console.clock.zone() else { return Html::default() };
    let fields = html!(
        "{}<label for=\"at\">When, by the clocks of {}?</label>\
         <input id=\"at\" name=\"at\" type=\"datetime-local\" required><button type=\"submit\">Approve for then</button>",
        manifest(record),
        zone.name()
    );
    html!(
        "<details><summary>Approve for later…</summary>{}</details>",
        frame.form(&action(record, "schedule"), &fields)
    )
}

fn action(record: &ReleaseRecord, what: &str) -> String {
    format!("/releases/{}/{what}", record.version)
}

fn reject(frame: &Frame, record: &ReleaseRecord) -> Html {
    let fields = html!(
        "{}<label for=\"reason\">Why not? The main site reads it.</label>\
         <input id=\"reason\" name=\"reason\" type=\"text\" required maxlength=\"500\" autocomplete=\"off\">\
         <button type=\"submit\" class=\"stop\">Say no</button>",
        manifest(record)
    );
    html!("<details><summary>Say no…</summary>{}</details>", frame.form(&action(record, "reject"), &fields))
}

/// What was read, so that nothing else is decided on.
fn manifest(record: &ReleaseRecord) -> Html {
    html!("<input type=\"hidden\" name=\"manifest\" value=\"{}\">", record.manifest)
}

/// What is shown of a release that was decided on.
fn decided(console: &Console, record: &ReleaseRecord) -> Html {
    let since = html!("<p>Since {}. {}</p>", console.clock(record.since), decided_by(record));
    let more = match &record.state {
        ReleaseState::Rejected { reason } => html!("<p>Your reason: “{}”</p>", reason),
        ReleaseState::Retired => {
            html!("<p><a class=\"button\" href=\"/roll-back/{}\">Go back to it…</a></p>", record.version)
        }
        _ => Html::default(),
    };
    html!("{}{}<p><a href=\"/\">Go to the start</a></p>", since, more)
}
