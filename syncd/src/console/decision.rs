//! Decisions: each names the release and the manifest that were read, and is refused if something else stands there.

use std::str::FromStr as _;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Deserialize;
use tieup_protocol::approval::{DecidedBy, IllegalStep, ReleaseRecord};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_web::console::{Confirmed, Frame, layout};
use tieup_web::html;

use super::words::refused;
use super::{Console, release};
use crate::cli::parse_reason;
use crate::publisher::PublishError;

/// A yes.
#[derive(Deserialize)]
pub(super) struct Approval {
    manifest: Digest,
}

/// A yes for later.
#[derive(Deserialize)]
pub(super) struct Schedule {
    manifest: Digest,
    /// A date and a time of day, as browsers send them.
    at: String,
}

/// A no.
#[derive(Deserialize)]
pub(super) struct Rejection {
    manifest: Digest,
    reason: String,
}

/// `POST /releases/{version}/approve`.
pub(super) async fn approve(
    State(console): State<Console>,
    Path(version): Path<ReleaseVersion>,
    Confirmed(sign, form): Confirmed<Approval>,
) -> Response {
    let (by, now) = (DecidedBy::Operator, Timestamp::now());
    let done = tokio::task::block_in_place(|| console.partner.publisher().approve(version, form.manifest, by, now));
    conclude(&console, &console.frame(&sign), version, done)
}

/// `POST /releases/{version}/schedule`.
pub(super) async fn schedule(
    State(console): State<Console>,
    Path(version): Path<ReleaseVersion>,
    Confirmed(sign, form): Confirmed<Schedule>,
) -> Response {
    let frame = console.frame(&sign);
    let local = DateTime::from_str(&form.at).ok();
    let (Some(local), Some(zone)) = (local, console.clock.zone()) else {
        return undecided(&frame, &format!("“{}” is no date with a time of day", form.at));
    };
    let (by, at, now) = (DecidedBy::Operator, zone.instant(local), Timestamp::now());
    if at <= now {
        return undecided(&frame, &format!("{} is over", console.clock(at)));
    }
    let done =
        tokio::task::block_in_place(|| console.partner.publisher().schedule(version, form.manifest, by, at, now));
    conclude(&console, &frame, version, done)
}

/// `POST /releases/{version}/hold`.
pub(super) async fn hold(
    State(console): State<Console>,
    Path(version): Path<ReleaseVersion>,
    Confirmed(sign, form): Confirmed<Approval>,
) -> Response {
    let now = Timestamp::now();
    let done = tokio::task::block_in_place(|| console.partner.publisher().hold(version, form.manifest, None, now));
    conclude(&console, &console.frame(&sign), version, done)
}

/// `POST /releases/{version}/reject`.
pub(super) async fn reject(
    State(console): State<Console>,
    Path(version): Path<ReleaseVersion>,
    Confirmed(sign, form): Confirmed<Rejection>,
) -> Response {
    let frame = console.frame(&sign);
    let reason = match parse_reason(&form.reason) {
        Ok(reason) => reason,
        Err(wrong) => return undecided(&frame, &format!("your reason cannot be taken: {wrong}")),
    };
    let now = Timestamp::now();
    let done = tokio::task::block_in_place(|| console.partner.publisher().reject(version, form.manifest, reason, now));
    conclude(&console, &frame, version, done)
}

/// Says what is wrong with what was written.
fn undecided(frame: &Frame, wrong: &str) -> Response {
    let text = html!("<p>Sorry, {}. Go back, and write it once more.</p>", wrong);
    layout::notice(frame, StatusCode::UNPROCESSABLE_ENTITY, "Nothing was decided", &text)
}

/// Leads to the result, or shows what stands there instead of what was read.
pub(super) fn conclude(
    console: &Console,
    frame: &Frame,
    version: ReleaseVersion,
    done: Result<ReleaseRecord, PublishError>,
) -> Response {
    match done {
        Ok(release) => Redirect::to(&format!("/?about={}", release.version)).into_response(),
        Err(PublishError::Illegal(IllegalStep::OtherManifest(_) | IllegalStep::NotStaged(..))) => {
            let open = console.partner.releases().into_iter().find(|release| release.state.is_open());
            let waiting = open.map(|found| found.version);
            let says = match waiting {
                Some(waiting) if waiting == version => {
                    "The main site has changed this release since you opened the page. This is how it is now."
                }
                Some(_) => "That release does not wait any more. This is the one that does.",
                None => "That release does not wait any more.",
            };
            let first =
                html!("<div class=\"card warn\" role=\"alert\"><h2>Nothing was decided</h2><p>{}</p></div>", says);
            release::show(console, frame, StatusCode::CONFLICT, waiting.unwrap_or(version), &first)
        }
        Err(error) => refused(frame, StatusCode::CONFLICT, &error),
    }
}
