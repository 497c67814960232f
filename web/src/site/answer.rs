//! Answers: status, headers and body.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tieup_protocol::access::{Method, Purpose};
use tieup_protocol::contract::{MeterClass, WebOrigin};
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;

use super::body::SiteBody;
use super::condition::{Verdict, judge};
use super::content::Representation;
use super::live::{Policy, ServedFile};

/// The policy for every page: everything from the site itself, nothing inline.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
     form-action 'self'";

/// The same, and pictures from one other site.
pub(super) fn policy_with_pictures_of(origin: &WebOrigin) -> HeaderValue {
    const OWN: &str = "img-src 'self' data:";
    let policy = CONTENT_SECURITY_POLICY.replace(OWN, &format!("{OWN} {origin}"));
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(CONTENT_SECURITY_POLICY))
}

/// The headers of a file under a policy, as they are of most; its own media type and tag take the places of these. A copy
/// of them costs a fraction of putting them in one by one.
pub(super) fn headers_of_files(policy: &HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::ETAG, HeaderValue::from_static("\"\""));
    headers.insert(header::CACHE_CONTROL, ASK_EACH_TIME);
    headers.insert(header::VARY, CODINGS);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    secure(&mut headers, policy);
    headers
}

/// What the site answers to.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// What content that is worth a coding depends on besides its address.
const CODINGS: HeaderValue = HeaderValue::from_static("accept-encoding");

/// A page may be kept, if it is asked each time whether it is still the same.
const ASK_EACH_TIME: HeaderValue = HeaderValue::from_static("no-cache");

/// What a name stands for that is made of the content may be kept for as long as anything may.
const FOR_GOOD: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// What must be escaped in a `Location`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'%').add(b'?').add(b'#');

/// An answer, and what the log says of it.
pub(super) struct Answer {
    pub(super) response: Response<SiteBody>,
    pub(super) class: Option<MeterClass>,
    pub(super) purpose: Purpose,
}

impl Answer {
    /// An answer that is nobody's page.
    pub(super) fn unclassed(response: Response<SiteBody>) -> Self {
        Self { response, class: None, purpose: Purpose::Document }
    }
}

/// What is asked, of which file.
pub(super) struct Asked<'a> {
    pub(super) method: Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) query: Option<&'a str>,
    pub(super) path: &'a SitePath,
    pub(super) file: &'a ServedFile,
    pub(super) policy: &'a Policy,
}

/// The content of a file that stands there, or what its conditions make of it.
pub(super) fn content(asked: &Asked<'_>, content: &Representation) -> Answer {
    let verdict = judge(asked.method, asked.headers, &content.tag, content.length());
    let (status, body) = match verdict {
        Verdict::Failed => return classed(asked, plain(StatusCode::PRECONDITION_FAILED, "It is not what it was.\n")),
        Verdict::NotModified => return classed(asked, not_modified(asked, content)),
        Verdict::Whole => (StatusCode::OK, content.whole()),
        Verdict::Part(ref part) => (StatusCode::PARTIAL_CONTENT, content.part(part.clone())),
        Verdict::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, SiteBody::default()),
    };
    let mut response = described(asked, content, status, body);
    let range = match verdict {
        Verdict::Part(part) => Some(format!("bytes {}-{}/{}", part.start, part.end - 1, content.length())),
        Verdict::Unsatisfiable => Some(format!("bytes */{}", content.length())),
        _ => None,
    };
    if let Some(range) = range.and_then(|range| HeaderValue::try_from(range).ok()) {
        response.headers_mut().insert(header::CONTENT_RANGE, range);
    }
    classed(asked, response)
}

/// The content of a file that says what is not there, with `status`. Conditions do not count.
pub(super) fn explanation(asked: &Asked<'_>, content: &Representation, status: StatusCode) -> Answer {
    let mut response = described(asked, content, status, content.whole());
    // It says nothing of what is asked for, so it is no representation of it to ask for again.
    response.headers_mut().remove(header::ETAG);
    response.headers_mut().remove(header::ACCEPT_RANGES);
    Answer::unclassed(response)
}

/// Where the visit could not be logged.
pub(super) fn not_logged() -> Response<SiteBody> {
    plain(StatusCode::SERVICE_UNAVAILABLE, "Please try again in a moment.\n")
}

/// Where a file has to be sent that was found damaged. Neither its length nor that a copy is still good is said of it.
pub(super) fn damaged() -> Answer {
    Answer::unclassed(plain(StatusCode::INTERNAL_SERVER_ERROR, "This page is being repaired.\n"))
}

/// Sends people on, with what they asked for besides.
pub(super) fn redirected(to: &SitePath, query: Option<&str>) -> Response<SiteBody> {
    let mut response = plain(StatusCode::PERMANENT_REDIRECT, "");
    let mut location = utf8_percent_encode(to.as_str(), ESCAPED).to_string();
    if let Some(query) = query {
        location.push('?');
        // It was escaped by whoever asked, but for what is no ASCII, which a header has no room for.
        location.extend(utf8_percent_encode(query, CONTROLS));
    }
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
        // What a release says of its addresses holds until the next one.
        response.headers_mut().insert(header::CACHE_CONTROL, ASK_EACH_TIME);
    }
    response
}

/// What the site answers to.
pub(super) fn options() -> Response<SiteBody> {
    let mut response = plain(StatusCode::NO_CONTENT, "");
    response.headers_mut().remove(header::CONTENT_TYPE);
    response.headers_mut().insert(header::ALLOW, METHODS);
    response
}

/// Another method than the site answers to.
pub(super) fn not_allowed() -> Response<SiteBody> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "This site only answers GET, HEAD and OPTIONS.\n");
    response.headers_mut().insert(header::ALLOW, METHODS);
    response
}

/// A line of text.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<SiteBody> {
    let mut response = Response::new(SiteBody::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    secure(headers, &HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    response
}

fn classed(asked: &Asked<'_>, response: Response<SiteBody>) -> Answer {
    Answer { response, class: Some(asked.file.class), purpose: purpose_of(asked.file) }
}

/// What a file is asked for.
pub(super) fn purpose_of(file: &ServedFile) -> Purpose {
    if file.kind == EntryKind::Page { Purpose::Document } else { Purpose::Resource }
}

/// The response with the headers that describe content. To a HEAD it has them alone.
fn described(asked: &Asked<'_>, content: &Representation, status: StatusCode, body: SiteBody) -> Response<SiteBody> {
    let file = asked.file;
    let mut headers = asked.policy.headers_of(file.class).clone();
    headers.insert(header::CONTENT_TYPE, file.media_type.value.clone());
    headers.insert(header::ETAG, content.tag.clone());
    if file.is_named_by_content(asked.path) {
        headers.insert(header::CACHE_CONTROL, FOR_GOOD);
    }
    if !file.is_worth_coding() {
        headers.remove(header::VARY);
    }
    if let Some(coding) = content.coding.name() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if asked.method == Method::Head {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.length()));
    }
    let mut response = Response::new(if asked.method == Method::Head { SiteBody::default() } else { body });
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The response to whoever has the content already: its tag, and what may have changed since.
fn not_modified(asked: &Asked<'_>, content: &Representation) -> Response<SiteBody> {
    let mut response = Response::new(SiteBody::default());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.insert(header::ETAG, content.tag.clone());
    let is_named_by_content = asked.file.is_named_by_content(asked.path);
    headers.insert(header::CACHE_CONTROL, if is_named_by_content { FOR_GOOD } else { ASK_EACH_TIME });
    if asked.file.is_worth_coding() {
        headers.insert(header::VARY, CODINGS);
    }
    response
}

fn secure(headers: &mut HeaderMap, policy: &HeaderValue) {
    const HEADERS: [(HeaderName, HeaderValue); 2] = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin")),
    ];
    headers.insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    headers.extend(HEADERS);
}
