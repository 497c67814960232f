//! The start: what waits, what is live, and every release.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tieup_protocol::approval::{ReleaseRecord, ReleaseState};
use tieup_protocol::ids::ReleaseVersion;
use tieup_web::console::{Html, SignedIn, layout};
use tieup_web::html;

use super::Console;
use super::words::{decided_by, heading, result};
use crate::prompt::Stand;

/// How many releases are listed.
const LISTED: usize = 30;

/// The release whose result is to be told.
#[derive(Deserialize)]
pub(super) struct About {
    about: Option<ReleaseVersion>,
}

/// `GET /`.
pub(super) async fn page(
    State(console): State<Console>,
    SignedIn(sign): SignedIn,
    Query(about): Query<About>,
) -> Response {
    let frame = console.frame(&sign);
    let releases = console.partner.releases();
    let told = about.about.and_then(|about| releases.iter().find(|release| release.version == about));
    let told = told
        .map(|release| html!("<section class=\"card good\">{}</section>", result(release, |time| console.clock(time))));
    let main = html!(
        "<h1>Your site</h1>{}{}{}{}{}{}{}<h2>All releases</h2>{}",
        told.unwrap_or_default(),
        waiting(&releases),
        originals(&console),
        refused_originals(&console),
        prompts(&console),
        troubles(&console),
        live(&console, &releases),
        list(&console, &releases)
    );
    layout::page(&frame, StatusCode::OK, "Start", &main)
}

fn waiting(releases: &[ReleaseRecord]) -> Html {
    match releases.iter().find(|release| release.state.is_open()) {
        Some(release) => html!(
            "<section class=\"card warn\"><h2>{}</h2><p class=\"lead\">{}.</p>\
             <p><a class=\"button primary\" href=\"/releases/{}\">Read and decide</a></p></section>",
            heading(release),
            release.sentence,
            release.version
        ),
        None => html!("<p class=\"lead\">Nothing waits for you.</p>"),
    }
}

fn originals(console: &Console) -> Html {
    // The start does not wait for a release that is being worked on.
    let publisher = console.partner.idle_publisher();
    match publisher.as_ref().and_then(|publisher| publisher.waiting_originals()) {
        Some(waiting) => html!(
            "<section class=\"card warn\"><h2>Your own pages wait for your word</h2><p>{}.</p>\
             <p><a class=\"button\" href=\"/originals\">Read and decide</a></p></section>",
            waiting.sentence
        ),
        None => Html::default(),
    }
}

/// The partner's own pages, where they could not be made public.
fn refused_originals(console: &Console) -> Html {
    let publisher = console.partner.idle_publisher();
    match publisher.as_ref().and_then(|publisher| publisher.refused_originals()) {
        Some(refused) => html!(
            "<section class=\"card warn\"><h2>Your own pages are not published since {}</h2><pre>{}</pre>\
             <p>The site stays as it was.</p></section>",
            console.clock(refused.since),
            refused.reason
        ),
        None => Html::default(),
    }
}

fn live(console: &Console, releases: &[ReleaseRecord]) -> Html {
    let Some(live) = releases.iter().find(|release| release.state == ReleaseState::Live) else {
        return html!(
            "<section class=\"card\"><h2>Nothing is live yet</h2><p>The first release that you approve will be.</p></section>"
        );
    };
    let before =
        releases.iter().filter(|release| release.state == ReleaseState::Retired).max_by_key(|before| before.since);
    let back = before.map(|before| {
        html!("<p><a href=\"/roll-back/{}\">Go back to release {}…</a></p>", before.version, before.version)
    });
    html!(
        "<section class=\"card\"><h2>{}</h2><p>Since {}, {}.</p>{}</section>",
        heading(live),
        console.clock(live.since),
        decided_by(live),
        back.unwrap_or_default()
    )
}

/// What could not be told by mail, webhook or command.
fn prompts(console: &Console) -> Html {
    let failed = console.partner.prompts().into_iter();
    let failed = failed.filter(|prompt| matches!(prompt.stand, Stand::Failing { .. } | Stand::GivenUp { .. }));
    let lines: Html = failed.map(|prompt| html!("<li>{}: {}</li>", prompt.way, prompt.stand)).collect();
    if lines == Html::default() {
        return lines;
    }
    html!("<section class=\"card warn\"><h2>Some prompts did not reach you</h2><ul>{}</ul></section>", lines)
}

/// What is wrong that only the operator can put right.
fn troubles(console: &Console) -> Html {
    let clashes = console.partner.idle_publisher().and_then(|publisher| publisher.lasting_clashes());
    let overdue = console.partner.overdue().as_ref().map(|overdue| html!("<li>{}</li>", overdue));
    let revoked = console.partner.revoked().map(|revoked| html!("<li>{}</li>", revoked));
    let clashes = clashes.map(|clashes| html!("<li>{}</li>", clashes));
    let lines: Html = revoked.into_iter().chain(overdue).chain(clashes).collect();
    if lines == Html::default() {
        return lines;
    }
    html!("<section class=\"card warn\"><h2>Something needs to be put right</h2><ul>{}</ul></section>", lines)
}

fn list(console: &Console, releases: &[ReleaseRecord]) -> Html {
    if releases.is_empty() {
        return html!("<p>No release has arrived yet.</p>");
    }
    let items: Html = releases
        .iter()
        .take(LISTED)
        .map(|release| {
            html!(
                "<li><p><a href=\"/releases/{}\">Release {}</a> <span class=\"state {}\">{}</span></p>\
                 <p>{}</p><p class=\"soft\">{}</p></li>",
                release.version,
                release.version,
                release.state.word(),
                release.state.word(),
                release.sentence,
                console.clock(release.since)
            )
        })
        .collect();
    let more = releases.len().saturating_sub(LISTED);
    let rest =
        if more == 0 { Html::default() } else { html!("<p>And {} earlier ones: <code>syncd status</code>.</p>", more) };
    html!("<ul class=\"releases\">{}</ul>{}", items, rest)
}
