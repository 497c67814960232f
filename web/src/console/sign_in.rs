//! Signing in by a one-time link, and out.
//!
//! Opening the link changes nothing, so that a program which looks at links ahead of a person does not use it up.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Form, FromRef, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use jiff::Timestamp;
use serde::Deserialize;

use super::gate::{Gate, NotSignedIn};
use super::guard::guard;
use super::layout::{Frame, STYLE_PATH, notice, style};
use super::request::{Confirmed, signed_in};
use crate::html;

/// The path of a sign-in link.
const SIGN_IN: &str = "/sign-in";

/// What a browser asks for when it was led here from another site and then sent on by us.
const HERE: &str = "here";

/// A link's secret.
#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    link: String,
}

/// Nothing but the token, which has been checked.
#[derive(Deserialize)]
struct Nothing {}

/// `pages` with what every console has: signing in and out, the style sheet, and the guard before all of it.
pub fn router<S>(pages: Router<S>, state: S) -> Router
where
    S: Clone + Send + Sync + 'static,
    Arc<Gate>: FromRef<S>,
{
    let gate = Arc::<Gate>::from_ref(&state);
    pages
        .route(SIGN_IN, get(offer).post(enter))
        .route("/sign-out", post(leave))
        .route(STYLE_PATH, get(style))
        .fallback(nowhere)
        .layer(middleware::from_fn_with_state(gate, guard))
        .with_state(state)
}

/// The address that signs in whoever opens it first and says so.
pub fn link(base: &str, secret: &str) -> String {
    format!("{}{SIGN_IN}?link={secret}", base.trim_end_matches('/'))
}

/// What somebody gets who is not signed in.
///
/// A link in a mail leads here from another site, and then the browser keeps the cookie back; asked again by a page of
/// our own it sends it along.
pub(super) fn ask(gate: &Gate, parts: &Parts) -> Response {
    let from_elsewhere = parts.headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin");
    let asked = parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == HERE));
    if parts.method == Method::GET && from_elsewhere && !asked {
        let on = format!("0; url={}?{HERE}", parts.uri.path());
        let page = html!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"{}\"><title>One moment</title></head><body><p><a href=\"{}?here\">Go on</a></p></body></html>",
            on,
            parts.uri.path()
        );
        return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.as_str().to_owned()).into_response();
    }
    let text = html!(
        "<p>Ask for a link on the machine where the daemon runs:</p><pre><code>{}</code></pre>\
         <p>Open the link in this browser. It works once, within ten minutes; then you stay signed in for twelve \
         hours.</p>",
        gate.command
    );
    notice(&Frame::of(gate, None), StatusCode::UNAUTHORIZED, "Sign in first", &text)
}

async fn offer(State(gate): State<Arc<Gate>>, Query(link): Query<Link>) -> Response {
    let form = html!(
        "<p>You are about to sign in on this browser, for twelve hours.</p>\
         <form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"link\" value=\"{}\">\
         <button type=\"submit\" class=\"primary\" autofocus>Sign in</button></form>",
        SIGN_IN,
        link.link
    );
    notice(&Frame::of(&gate, None), StatusCode::OK, "Sign in", &form)
}

async fn enter(State(gate): State<Arc<Gate>>, Form(link): Form<Link>) -> Response {
    match gate.sign_in(&link.link, Timestamp::now()) {
        Ok(sign) => {
            let headers = [(header::LOCATION, "/".to_owned()), (header::SET_COOKIE, gate.set_cookie(Some(&sign)))];
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(refused) => {
            let status = match refused {
                NotSignedIn::Link => StatusCode::FORBIDDEN,
                NotSignedIn::TooMany => StatusCode::TOO_MANY_REQUESTS,
            };
            let advice = match refused {
                NotSignedIn::Link => format!("Get a new one with `{}`.", gate.command),
                NotSignedIn::TooMany => "Wait a minute, then try your link once more.".to_owned(),
            };
            let text = html!("<p>Sorry, {}. {}</p>", refused, advice);
            notice(&Frame::of(&gate, None), status, "You are not signed in", &text)
        }
    }
}

async fn leave(State(gate): State<Arc<Gate>>, Confirmed(sign, Nothing {}): Confirmed<Nothing>) -> Response {
    gate.sign_out(&sign, Timestamp::now());
    let text = html!("<p>For a new link: <code>{}</code>.</p>", gate.command);
    let page = notice(&Frame::of(&gate, None), StatusCode::OK, "You are signed out", &text);
    ([(header::SET_COOKIE, gate.set_cookie(None))], page).into_response()
}

async fn nowhere(State(gate): State<Arc<Gate>>, headers: HeaderMap) -> Response {
    let sign = signed_in(&gate, &headers);
    let text = html!("<p>There is no page at this address. <a href=\"/\">Go to the start</a>.</p>");
    notice(&Frame::of(&gate, sign.as_ref()), StatusCode::NOT_FOUND, "Not found", &text)
}
