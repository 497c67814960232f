//! The preview over HTTP: the site's pages as a visitor would get them, with the preview's part in them, and the
//! preview's own addresses below `/.preview/`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Form, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use tieup_generator::{Audience, OutputFile, Workbench};
use tieup_protocol::contract::Partnership;
use tieup_protocol::digest::Digest;
use tieup_protocol::path::SitePath;

use super::choice::{self, Choice, Slots};
use super::desk::Desk;
use super::guard::guard;
use super::html::with_part;
use super::{events, panel, slots};

/// Where the preview's own addresses are. No site can have such a path, since hidden files are never read.
pub(super) const OWN: &str = "/.preview/";

/// The most that a browser may post.
const MOST_POSTED: usize = 16 * 1024;

/// How often a page that hears nothing is told that the preview is still there.
const ALIVE: Duration = Duration::from_secs(15);

/// What must be escaped in a `Location`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'%').add(b'?').add(b'#');

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// Everything that the preview answers.
pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/.preview/client.js", get(|| async { given(SCRIPT, include_str!("client.js")) }))
        .route("/.preview/panel.css", get(|| async { given(STYLE, include_str!("panel.css")) }))
        .route("/.preview/page.css", get(|| async { given(STYLE, include_str!("page.css")) }))
        .route("/.preview/events", get(events))
        .route("/.preview/panel", get(panel))
        .route("/.preview/choice", post(choose))
        .route("/.preview/received", post(received))
        .fallback(page)
        .layer(middleware::from_fn(guard))
        .layer(DefaultBodyLimit::max(MOST_POSTED))
        .with_state(desk)
}

fn given(media_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

/// The state of the site that a page shows.
#[derive(Deserialize)]
struct Seen {
    #[serde(default)]
    state: String,
}

async fn events(State(desk): State<Arc<Desk>>, Query(seen): Query<Seen>) -> Response {
    let events = events::events(&desk, &seen.state);
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

/// The page that a panel is for.
#[derive(Deserialize)]
struct On {
    #[serde(default)]
    path: String,
}

async fn panel(State(desk): State<Arc<Desk>>, Query(on): Query<On>, headers: HeaderMap) -> Response {
    let choice = Choice::of(&headers);
    let content = with_site(desk, move |desk| {
        let path = SitePath::from_request(&on.path).unwrap_or_else(|_| SitePath::root());
        let last = desk.pace().last().map(str::to_owned);
        panel::content(&desk.bench(), &choice, &path, last.as_deref())
    });
    html(StatusCode::OK, content.await)
}

async fn choose(State(desk): State<Arc<Desk>>, Form(form): Form<choice::Form>) -> Response {
    let back = SitePath::from_request(&form.back).unwrap_or_else(|_| SitePath::root());
    let shown = form.shown();
    with_site(desk, move |desk| desk.show(shown)).await;
    let mut response = to(StatusCode::SEE_OTHER, &back);
    for cookie in form.cookies() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// What a browser tells once it has new bytes.
#[derive(Deserialize)]
struct Receipt {
    /// The state of the site that the bytes are of.
    state: String,
    /// How many milliseconds ago they were there.
    ago: f64,
}

#[derive(Serialize)]
struct Thanks {
    /// The time from the save, in words, if this is the first browser to have it.
    text: Option<String>,
}

async fn received(State(desk): State<Arc<Desk>>, Json(receipt): Json<Receipt>) -> Json<Thanks> {
    // A browser cannot have had the bytes in the future, nor longer ago than anybody waits.
    let ago = Duration::try_from_secs_f64(receipt.ago / 1000.0).unwrap_or_default().min(super::GRACE);
    let text = desk.pace().received(&receipt.state, SystemTime::now() - ago);
    Json(Thanks { text })
}

async fn page(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], "").into_response();
    }
    let Ok(path) = SitePath::from_request(request.uri().path()) else {
        return (StatusCode::BAD_REQUEST, "This is not an address on this site.\n").into_response();
    };
    let tag = request.headers().get(header::IF_NONE_MATCH).cloned();
    let choice = Choice::of(request.headers());
    with_site(desk, move |desk| answer(desk, choice, &path, tag.as_ref())).await
}

/// Does `work` on the site where it may take its time.
async fn with_site<T: Send + 'static>(desk: Arc<Desk>, work: impl FnOnce(&Desk) -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(move || work(&desk)).await;
    done.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

fn answer(desk: &Desk, mut choice: Choice, path: &SitePath, tag: Option<&HeaderValue>) -> Response {
    let bench = desk.bench();
    if !bench.audiences().contains(&choice.audience) {
        choice.audience = Audience::Main;
    }
    if choice.audience == Audience::Main {
        choice.slots = Slots::Plain;
    }
    let shown = Showing { desk, bench: &bench, choice: &choice, path };
    if bench.partnership(&choice.audience) == Some(Partnership::Link) {
        let words = "This partner has a link alone: it gets no pages and no layout, and nothing is pushed to it. \
                     Its visitors come here by the links on its own site.";
        return shown.page(StatusCode::OK, panel::page("Nothing of this site", words).as_bytes());
    }
    let Ok(file) = bench.get(&choice.audience, path) else {
        let words = "The mistakes are listed above it; the page comes by itself once they are mended.";
        let page = panel::page("This page cannot be made", words);
        return shown.page(StatusCode::INTERNAL_SERVER_ERROR, page.as_bytes());
    };
    match file {
        Some(file) => shown.file(StatusCode::OK, &file, tag),
        None if matches!(bench.get(&choice.audience, &path.with_slash()), Ok(Some(_)) | Err(_)) && !path.is_page() => {
            to(StatusCode::TEMPORARY_REDIRECT, &path.with_slash())
        }
        None => shown.not_found(),
    }
}

/// One path as one browser sees it.
struct Showing<'a> {
    desk: &'a Desk,
    bench: &'a Workbench,
    choice: &'a Choice,
    path: &'a SitePath,
}

impl Showing<'_> {
    fn file(&self, status: StatusCode, file: &OutputFile, tag: Option<&HeaderValue>) -> Response {
        if file.media_type.starts_with("text/html") {
            if self.choice.slots == Slots::Outlined {
                let filled = self.bench.filled_slots(&self.choice.audience);
                return self.page(status, &slots::marked(&file.bytes, &file.slots, &filled));
            }
            return self.page(status, &file.bytes);
        }
        let own = format!("\"{}\"", Digest::of(&file.bytes).hex());
        let headers =
            [(header::CONTENT_TYPE, file.media_type), (header::CACHE_CONTROL, "no-cache"), (header::ETAG, &own)];
        if tag.is_some_and(|tag| tag.as_bytes() == own.as_bytes()) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (status, headers, Body::from(file.bytes.to_vec())).into_response()
    }

    /// A page with the preview's part.
    fn page(&self, status: StatusCode, page: &[u8]) -> Response {
        let last = self.desk.pace().last().map(str::to_owned);
        let content = panel::content(self.bench, self.choice, self.path, last.as_deref());
        html(status, with_part(page, &panel::part(&self.desk.state(), &content)))
    }

    fn not_found(&self) -> Response {
        let path: SitePath = "/404.html".parse().expect("a constant path that a test holds");
        if let Ok(Some(file)) = self.bench.get(&self.choice.audience, &path) {
            return self.file(StatusCode::NOT_FOUND, &file, None);
        }
        let page = panel::page("Not found", "There is no page at this address.");
        self.page(StatusCode::NOT_FOUND, page.as_bytes())
    }
}

fn html(status: StatusCode, page: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, HTML), (header::CACHE_CONTROL, "no-store")], page.into()).into_response()
}

fn to(status: StatusCode, path: &SitePath) -> Response {
    let location = utf8_percent_encode(path.as_str(), ESCAPED).to_string();
    (status, [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())]).into_response()
}
