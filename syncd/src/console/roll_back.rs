//! Going back to an earlier release, after one more look.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;
use tieup_protocol::approval::{IllegalStep, ReleaseState};
use tieup_protocol::ids::ReleaseVersion;
use tieup_web::console::{Confirmed, SignedIn, layout};
use tieup_web::html;

use super::Console;
use super::words::{counts, refused};
use crate::comparison::Comparison;
use crate::publisher::{PublishError, Publisher};

/// What was read when going back was decided.
#[derive(Deserialize)]
pub(super) struct From {
    /// The release that was live.
    live: ReleaseVersion,
}

/// `GET /roll-back/{version}`.
pub(super) async fn ask(
    State(console): State<Console>,
    SignedIn(sign): SignedIn,
    Path(version): Path<ReleaseVersion>,
) -> Response {
    let frame = console.frame(&sign);
    let (live, proposal) = match tokio::task::block_in_place(|| look(&console.partner.publisher(), version)) {
        Ok(found) => found,
        Err(error) => return refused(&frame, StatusCode::CONFLICT, &error),
    };
    let fields = html!(
        "<input type=\"hidden\" name=\"live\" value=\"{}\"><button type=\"submit\" class=\"primary\">Go back to release {}</button>",
        live,
        version
    );
    let main = html!(
        "<h1>Go back to release {}?</h1>\
         <p class=\"lead\">Your visitors then see the site as release {} made it, with your own pages as they are now. \
         Release {} is kept.</p><p>Afterwards no rule lets a release through until you have approved one.</p>\
         <h2>What changes</h2>{}<div class=\"choices\">{}<a class=\"button\" href=\"/\">Leave it as it is</a></div>",
        version,
        version,
        live,
        counts(&proposal.change),
        frame.form(&format!("/roll-back/{version}"), &fields)
    );
    layout::page(&frame, StatusCode::OK, "Go back", &main)
}

/// `POST /roll-back/{version}`.
pub(super) async fn do_it(
    State(console): State<Console>,
    Path(version): Path<ReleaseVersion>,
    Confirmed(sign, from): Confirmed<From>,
) -> Response {
    let frame = console.frame(&sign);
    let done = tokio::task::block_in_place(|| {
        let mut publisher = console.partner.publisher();
        if live(&publisher)? != Some(from.live) {
            return Ok(None);
        }
        publisher.roll_back(Some(version), Timestamp::now()).map(Some)
    });
    match done {
        Ok(Some(release)) => Redirect::to(&format!("/?about={}", release.version)).into_response(),
        Ok(None) => {
            let text =
                html!("<p>Another release has gone live since you opened the page. <a href=\"/\">Look again</a>.</p>");
            layout::notice(&frame, StatusCode::CONFLICT, "Nothing was changed", &text)
        }
        Err(error) => refused(&frame, StatusCode::CONFLICT, &error),
    }
}

fn live(publisher: &Publisher) -> Result<Option<ReleaseVersion>, PublishError> {
    let releases = publisher.releases()?;
    Ok(releases.into_iter().find(|release| release.state == ReleaseState::Live).map(|release| release.version))
}

/// The live release, and what going back to `version` would change.
fn look(publisher: &Publisher, version: ReleaseVersion) -> Result<(ReleaseVersion, Comparison), PublishError> {
    let live = live(publisher)?.ok_or(PublishError::NothingRetired)?;
    let record = publisher.releases()?.into_iter().find(|release| release.version == version);
    match record.ok_or(PublishError::Unknown(version))?.state {
        ReleaseState::Retired => Ok((live, publisher.proposal(version)?)),
        other => Err(IllegalStep::NeverLive(version, other.word()).into()),
    }
}
