//! What a handler may rely on: that whoever asks is signed in, and that a change was confirmed on a page of ours.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Form, FromRef, FromRequest, FromRequestParts, Request};
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::gate::{Gate, Sign};
use super::layout::{Frame, notice};
use super::sign_in;
use crate::html;

/// The most bytes of a form.
const MAX_FORM: usize = 64 << 10;

/// Whoever asks is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn(pub Sign);

/// A form that a page of this console sent for whoever is signed in.
#[derive(Clone, Debug)]
pub struct Confirmed<T>(pub Sign, pub T);

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
}

impl<S: Send + Sync> FromRequestParts<S> for SignedIn
where
    Arc<Gate>: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let gate = Arc::<Gate>::from_ref(state);
        match signed_in(&gate, &parts.headers) {
            Some(sign) => Ok(Self(sign)),
            None => Err(sign_in::ask(&gate, parts)),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Confirmed<T>
where
    Arc<Gate>: FromRef<S>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let SignedIn(sign) = SignedIn::from_request_parts(&mut parts, state).await?;
        let frame = || Frame::of(&Arc::<Gate>::from_ref(state), Some(&sign));
        let bytes = to_bytes(body, MAX_FORM).await.map_err(|_| unreadable(&frame()))?;
        let form = || Request::from_parts(parts.clone(), Body::from(bytes.clone()));
        let Form(Token { token }) = Form::from_request(form(), &()).await.map_err(|_| unreadable(&frame()))?;
        if !sign.owns(&token) {
            let title = "Nothing was changed";
            let text = "This page was opened before you signed in, or is not one of the console's own.";
            return Err(notice(&frame(), StatusCode::FORBIDDEN, title, &html!("<p>{}</p>", text)));
        }
        let Form(form) = Form::from_request(form(), &()).await.map_err(|_| unreadable(&frame()))?;
        Ok(Self(sign, form))
    }
}

/// The session of whoever asks.
pub(super) fn signed_in(gate: &Gate, headers: &HeaderMap) -> Option<Sign> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
    gate.session(cookies, Timestamp::now())
}

fn unreadable(frame: &Frame) -> Response {
    let text = html!("<p>What your browser sent cannot be read. Go back and try once more.</p>");
    notice(frame, StatusCode::UNPROCESSABLE_ENTITY, "Nothing was changed", &text)
}
