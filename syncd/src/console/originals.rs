//! The partner's own pages, where their changes wait for the operator too.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::Timestamp;
use serde::Deserialize;
use tieup_protocol::digest::Digest;
use tieup_web::console::{Confirmed, SignedIn, layout};
use tieup_web::html;

use super::words::{counts, refused, risks};
use super::{Console, difference};
use crate::publisher::PublishError;

/// What was read.
#[derive(Deserialize)]
pub(super) struct Read {
    digest: Digest,
}

/// `GET /originals`.
pub(super) async fn page(State(console): State<Console>, SignedIn(sign): SignedIn) -> Response {
    let frame = console.frame(&sign);
    let found = tokio::task::block_in_place(|| {
        let publisher = console.partner.publisher();
        let waiting = publisher.waiting_originals().cloned().ok_or(PublishError::NoOriginals)?;
        Ok::<_, PublishError>((waiting, publisher.originals_difference()?))
    });
    let (waiting, comparison) = match found {
        Ok(found) => found,
        Err(error) => return refused(&frame, StatusCode::CONFLICT, &error),
    };
    let fields = html!(
        "<input type=\"hidden\" name=\"digest\" value=\"{}\"><button type=\"submit\" class=\"primary\">Approve: make them live</button>",
        waiting.digest
    );
    let main = html!(
        "<h1>Your own pages wait for your word</h1><p class=\"lead\">{}.</p>{}<div class=\"choices\">{}</div>\
         <h2>What changes</h2>{}{}",
        waiting.sentence,
        risks(&comparison.change.new_risks),
        frame.form("/originals", &fields),
        counts(&comparison.change),
        difference::shown(&comparison.difference, "syncd diff originals")
    );
    layout::page(&frame, StatusCode::OK, "Your own pages", &main)
}

/// `POST /originals`.
pub(super) async fn approve(State(console): State<Console>, Confirmed(sign, read): Confirmed<Read>) -> Response {
    let now = Timestamp::now();
    match tokio::task::block_in_place(|| console.partner.publisher().approve_originals(read.digest, now)) {
        Ok(_) => Redirect::to("/").into_response(),
        Err(error) => refused(&console.frame(&sign), StatusCode::CONFLICT, &error),
    }
}
