//! The public site: one index in memory, swapped whole, over content-addressed blobs.
//!
//! What is served is looked up in the index and never in the file system. Each answer to a path is logged before it
//! ends; what is no path at all is turned away.
//!
//! A site may have several parts, each with an index, blobs and a log of its own. Of a path that two have, the first
//! part's stands. A visit is logged by the part whose path it is, and by no other.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tieup_protocol::access::{Method, Purpose};
use tieup_protocol::contract::{MeterClass, Mounts, Owner};
use tieup_protocol::manifest::{BlobRef, EntryKind};
use tieup_protocol::path::SitePath;
use tieup_protocol::redirect;
use tieup_store::blobs::BlobStore;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use crate::access_log::{AccessLog, Caller, NoLog, NotLogged, Pending, Ticket, Visit};
use crate::listener::{Shutdown, serve_plain};
use crate::visitors::Remembered;

/// The policy for every page: everything from the site itself, nothing inline.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
     form-action 'self'";

/// How many blobs are read at once.
const CONCURRENT_READS: usize = 64;

/// What must be escaped in a `Location`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'%').add(b'?').add(b'#');

/// What is said where nothing stands: the status, the site's pages for it, and words where it has none.
type Nothing = (StatusCode, &'static [&'static str], &'static str);

/// Where nothing ever stood.
const NOT_FOUND: Nothing = (StatusCode::NOT_FOUND, &["/404.html"], "There is no page at this address.\n");

/// Where something stood that was withdrawn.
const GONE: Nothing = (StatusCode::GONE, &["/410.html", "/404.html"], "This page was withdrawn.\n");

/// One path as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedFile {
    /// The content.
    pub blob: BlobRef,
    /// The media type.
    pub media_type: String,
    /// Page, asset or layout.
    pub kind: EntryKind,
    /// Whose page it is.
    pub class: MeterClass,
}

/// Everything a site serves at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSite {
    /// What stands at each path.
    pub files: HashMap<SitePath, ServedFile>,
    /// Where something stood once and was withdrawn.
    pub gone: HashSet<SitePath>,
    /// Whose paths are whose by contract, where the site has several parts: a visit to where nothing stands is logged by
    /// the part whose main site owns the path.
    pub mounts: Option<Mounts>,
}

/// A public site.
pub struct PublicSite {
    first: Arc<Part>,
    others: Vec<Arc<Part>>,
    reads: Semaphore,
}

/// A part of a public site.
struct Part {
    live: RwLock<Arc<LiveSite>>,
    blobs: Arc<BlobStore>,
    log: Arc<dyn AccessLog>,
}

/// One part of a public site, to be replaced apart from the others.
#[derive(Clone)]
pub struct SitePart(Arc<Part>);

impl SitePart {
    /// Replaces everything that the part serves, in one step.
    pub fn switch(&self, site: impl Into<Arc<LiveSite>>) {
        self.0.switch(site.into());
    }

    /// What it serves now.
    pub fn live(&self) -> Arc<LiveSite> {
        self.0.live()
    }
}

impl Part {
    fn new(blobs: Arc<BlobStore>, log: Arc<dyn AccessLog>) -> Self {
        Self { live: RwLock::default(), blobs, log }
    }

    fn live(&self) -> Arc<LiveSite> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn switch(&self, site: Arc<LiveSite>) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = site;
    }
}

impl PublicSite {
    /// A site of one part that serves nothing yet.
    pub fn new(blobs: Arc<BlobStore>, log: Arc<dyn AccessLog>) -> Self {
        Self { first: Arc::new(Part::new(blobs, log)), others: Vec::new(), reads: Semaphore::new(CONCURRENT_READS) }
    }

    /// Adds a part that serves nothing yet.
    pub fn add(&mut self, blobs: Arc<BlobStore>, log: Arc<dyn AccessLog>) -> SitePart {
        let part = Arc::new(Part::new(blobs, log));
        self.others.push(part.clone());
        SitePart(part)
    }

    /// The part that every site has.
    pub fn first(&self) -> SitePart {
        SitePart(self.first.clone())
    }

    /// Replaces everything that the first part serves, in one step.
    pub fn switch(&self, site: LiveSite) {
        self.first.switch(site.into());
    }

    /// What the first part serves now.
    pub fn live(&self) -> Arc<LiveSite> {
        self.first.live()
    }

    /// What every part serves now, the first part first.
    fn parts(&self) -> Vec<(&Part, Arc<LiveSite>)> {
        std::iter::once(&self.first).chain(&self.others).map(|part| (&**part, part.live())).collect()
    }

    /// Serves the site over HTTP until `shutdown`.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: Shutdown) {
        let service = move |peer| {
            let (site, visitor) = (self.clone(), Arc::new(Mutex::default()));
            service_fn(move |request| {
                let (site, visitor) = (site.clone(), visitor.clone());
                async move { Ok::<_, Infallible>(site.answer(peer, &visitor, &request).await) }
            })
        };
        serve_plain(listener, service, shutdown).await;
    }

    /// Answers one request, which came from `peer`, and logs it. `remembered` is of the request's connection.
    pub async fn answer(
        &self,
        peer: SocketAddr,
        remembered: &Mutex<Remembered>,
        request: &Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let Ok(path) = SitePath::from_request(request.uri().path()) else {
            return plain(StatusCode::BAD_REQUEST, "This is not an address on this site.\n");
        };
        let method = match request.method().as_str() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => Method::Other,
        };
        let (part, answer) = self.find(&path, method, request.headers()).await;
        let time = Timestamp::now();
        let caller = Caller { time, address: peer.ip(), headers: request.headers() };
        let visitor = part.log.recognise(&caller, &mut remembered.lock().unwrap_or_else(PoisonError::into_inner));
        let visit = Visit {
            time,
            visitor,
            path: &path,
            class: answer.class,
            method,
            status: answer.response.status(),
            bytes: answer.bytes,
            purpose: answer.purpose,
        };
        match part.log.record(&visit).await {
            Ok(()) => answer.response,
            Err(NotLogged) => plain(StatusCode::SERVICE_UNAVAILABLE, "Please try again in a moment.\n"),
        }
    }

    /// The answer, and the part whose it is.
    async fn find(&self, path: &SitePath, method: Method, headers: &HeaderMap) -> (&Part, Answer) {
        let parts = self.parts();
        let (part, standing) = self.look(path, &parts);
        if method == Method::Other {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "This site only answers GET and HEAD.\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return (part, Answer::unclassed(response));
        }
        let answer = match standing {
            Standing::File(file) if file.kind == EntryKind::Redirect => {
                match self.leads(part, file).await.filter(|to| self.is_page(to, &parts)) {
                    Some(to) => Answer { class: Some(file.class), purpose: Purpose::Resource, ..redirected(&to) },
                    None => self.send(part, file, StatusCode::OK, method, headers).await,
                }
            }
            Standing::File(file) => self.send(part, file, StatusCode::OK, method, headers).await,
            Standing::Below(page) => redirected(&page),
            Standing::Gone => self.nothing(GONE, &parts, method).await,
            Standing::Nothing => self.nothing(NOT_FOUND, &parts, method).await,
        };
        (part, answer)
    }

    /// What stands at `path`, and in which part.
    fn look<'a, 'l>(&'a self, path: &SitePath, parts: &'l [(&'a Part, Arc<LiveSite>)]) -> (&'a Part, Standing<'l>) {
        if let Some((part, file)) = parts.iter().find_map(|(part, live)| Some((part, live.files.get(path)?))) {
            return (part, Standing::File(file));
        }
        let page = path.with_slash();
        if let Some((part, _)) = parts.iter().find(|(_, live)| live.files.contains_key(&page)) {
            return (part, Standing::Below(page));
        }
        let gone = parts.iter().find(|(_, live)| live.gone.contains(path) || live.gone.contains(&page));
        match gone {
            Some((part, _)) => (part, Standing::Gone),
            None => (self.owner(path, parts), Standing::Nothing),
        }
    }

    /// The part that logs visits to a path where nothing stands: one whose main site owns it, or else the first.
    fn owner<'a>(&'a self, path: &SitePath, parts: &[(&'a Part, Arc<LiveSite>)]) -> &'a Part {
        let owns = |live: &LiveSite| live.mounts.as_ref().is_some_and(|mounts| mounts.owner(path).0 == Owner::Main);
        parts.iter().find(|(_, live)| owns(live)).map_or(&self.first, |(part, _)| part)
    }

    /// What is answered where nothing stands: the first part's page for it.
    async fn nothing(
        &self,
        (status, pages, text): Nothing,
        parts: &[(&Part, Arc<LiveSite>)],
        method: Method,
    ) -> Answer {
        let first = parts.first().map(|(_, live)| live);
        let page = first.and_then(|live| pages.iter().find_map(|page| live.files.get(&page.parse::<SitePath>().ok()?)));
        match page {
            Some(page) => {
                let answer = self.send(&self.first, page, status, method, &HeaderMap::new()).await;
                Answer { class: None, ..answer }
            }
            None => Answer::unclassed(plain(status, text)),
        }
    }

    async fn send(
        &self,
        part: &Part,
        file: &ServedFile,
        status: StatusCode,
        method: Method,
        headers: &HeaderMap,
    ) -> Answer {
        let tag = format!("\"{}\"", file.blob.digest.hex());
        let purpose = if file.kind == EntryKind::Page { Purpose::Document } else { Purpose::Resource };
        let class = Some(file.class);
        if !part.blobs.contains(&file.blob) {
            // It was found damaged. Neither its length nor that a copy is still good is said of it.
            return Answer::unclassed(plain(StatusCode::INTERNAL_SERVER_ERROR, "This page is being repaired.\n"));
        }
        if matches_tag(headers, &tag) {
            let response = with_headers(StatusCode::NOT_MODIFIED, file, &tag, Bytes::new());
            return Answer { response, class, bytes: 0, purpose };
        }
        if method == Method::Head {
            let mut response = with_headers(status, file, &tag, Bytes::new());
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(file.blob.length));
            return Answer { response, class, bytes: 0, purpose };
        }
        let Some(content) = self.read(part, file.blob).await else {
            return Answer::unclassed(plain(StatusCode::INTERNAL_SERVER_ERROR, "This page is being repaired.\n"));
        };
        let bytes = content.len() as u64;
        Answer { response: with_headers(status, file, &tag, content), class, bytes, purpose }
    }

    /// Whether a page or file stands at `path` that does not lead on, so that nobody is sent in circles.
    fn is_page(&self, path: &SitePath, parts: &[(&Part, Arc<LiveSite>)]) -> bool {
        matches!(self.look(path, parts).1, Standing::File(file) if file.kind != EntryKind::Redirect)
    }

    /// Where a page leads that only sends people on.
    async fn leads(&self, part: &Part, file: &ServedFile) -> Option<SitePath> {
        redirect::target(&self.read(part, file.blob).await?)
    }

    /// The content of a blob; none where it is damaged, which is logged.
    async fn read(&self, part: &Part, blob: BlobRef) -> Option<Bytes> {
        let blobs = part.blobs.clone();
        // Each answer is a whole blob in memory, so only so many are read at once.
        let _reading = self.reads.acquire().await;
        match tokio::task::spawn_blocking(move || blobs.read(&blob)).await {
            Ok(Ok(content)) => Some(Bytes::from(content)),
            Ok(Err(error)) => {
                tracing::error!(digest = %blob.digest, %error, "a live blob cannot be served");
                None
            }
            Err(error) => {
                tracing::error!(digest = %blob.digest, %error, "a live blob was not read");
                None
            }
        }
    }
}

/// What stands at a path.
enum Standing<'a> {
    /// A file.
    File(&'a ServedFile),
    /// Nothing, but a page whose path has one slash more.
    Below(SitePath),
    /// Nothing any more.
    Gone,
    /// Nothing.
    Nothing,
}

struct Answer {
    response: Response<Full<Bytes>>,
    class: Option<MeterClass>,
    bytes: u64,
    purpose: Purpose,
}

impl Answer {
    fn unclassed(response: Response<Full<Bytes>>) -> Self {
        Self { response, class: None, bytes: 0, purpose: Purpose::Document }
    }
}

/// RFC 9110, section 13.1.2: `If-None-Match` compares weakly and may list several tags.
fn matches_tag(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|listed| {
        let listed = listed.trim();
        listed == "*" || listed.strip_prefix("W/").unwrap_or(listed) == tag
    })
}

fn with_headers(status: StatusCode, file: &ServedFile, tag: &str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut set = |name, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, &file.media_type);
    set(header::ETAG, tag);
    set(header::CACHE_CONTROL, "no-cache");
    secure(response)
}

fn redirected(to: &SitePath) -> Answer {
    let mut response = plain(StatusCode::PERMANENT_REDIRECT, "");
    let location = utf8_percent_encode(to.as_str(), ESCAPED).to_string();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
        // What a release says of its addresses holds until the next one.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    Answer::unclassed(response)
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    secure(response)
}

fn secure(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    response
}
