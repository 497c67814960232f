//! A visitor's request: any method, any address, any headers, asked of a site with something of each kind.
//!
//! A request is written as it travels by HTTP/1.1, without the version: `GET /a/`, then headers, a line each.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use tempfile::TempDir;
use tieup_protocol::contract::MeterClass;
use tieup_protocol::manifest::EntryKind;
use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;
use tieup_web::site::{Guest, LiveSite, NoLog, PublicSite, ServedFile};
use tokio::runtime::Runtime;

use crate::targets::Target;

/// Content larger than this is read while it is sent.
const LARGE: usize = (1 << 20) + 10;

/// The statuses that a site answers with.
const STATUSES: [u16; 11] = [200, 204, 206, 304, 308, 400, 404, 405, 410, 412, 416];

/// What is asked for, in the beginning.
const SEEDS: [&str; 16] = [
    "GET /about/",
    "HEAD /about/\naccept-encoding: gzip",
    "GET /about/\naccept-encoding: br;q=0.8, zstd;q=0.9, gzip;q=1.0, identity;q=0, *;q=0.1",
    "GET /about/\naccept-encoding: zstd",
    "GET /about/\naccept-encoding: br",
    "GET /about/\nrange: bytes=0-99",
    "GET /large.bin\nrange: bytes=-100",
    "GET /large.bin\nrange: bytes=1048000-1048585, 5-6",
    "GET /about/\nif-none-match: W/\"x\", \"y\"",
    "GET /about/\nif-match: *\nif-unmodified-since: Sun, 29 Nov 2026 00:00:00 GMT",
    "GET /about/\nrange: bytes=5-\nif-range: \"x\"",
    "GET /about",
    "GET /old/?a=b",
    "OPTIONS /gone/\nuser-agent: x\nreferer: https://a.example/",
    "GET /gone/",
    "GET /%E4%BC%9A/%2e%2e/nothing\ncookie: a=b",
];

/// A site, and where it lies.
struct Asked {
    site: PublicSite,
    files: HashMap<String, Vec<u8>>,
    runtime: Runtime,
    _folder: TempDir,
}

/// All that a visitor's request reaches.
pub(crate) fn target() -> Target<'static> {
    let asked = Asked::new();
    let tagged = format!("GET /about/\nif-none-match: {}\nif-range: \"x\"", asked.tag());
    let seeds: Vec<Vec<u8>> = SEEDS.into_iter().chain([&*tagged]).map(|seed| seed.as_bytes().to_vec()).collect();
    for seed in &seeds {
        // What is coded once is kept, so that no coder's own memory is counted later.
        asked.answer(seed);
    }
    Target::new("a visitor's request", 64, seeds, move |bytes| asked.answer(bytes))
}

impl Asked {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the site");
        let blobs = Arc::new(BlobStore::open(folder.path().join("blobs")).expect("a store"));
        let about = "<p>the same words stand here again and again</p>\n".repeat(40).into_bytes();
        let leads = br#"<meta http-equiv="refresh" content="0; url=/about/">"#.to_vec();
        let files = [
            ("/about/", EntryKind::Page, "text/html; charset=utf-8", about),
            ("/old/", EntryKind::Redirect, "text/html; charset=utf-8", leads),
            ("/empty.txt", EntryKind::Asset, "text/plain", Vec::new()),
            ("/large.bin", EntryKind::Asset, "application/octet-stream", vec![7; LARGE]),
            ("/404.html", EntryKind::Page, "text/html; charset=utf-8", b"<p>nothing</p>".to_vec()),
        ];
        let mut live = LiveSite::default();
        for (path, kind, media_type, bytes) in &files {
            let blob = blobs.put(bytes).expect("a blob");
            let file = ServedFile { blob, media_type: (*media_type).into(), kind: *kind, class: MeterClass::Tieup };
            live.files.insert(path.parse().expect("a path"), file);
        }
        live.gone.insert("/gone/".parse().expect("a path"));
        let site = PublicSite::new(blobs, Arc::new(NoLog), Cache::at(folder.path().join("coded")));
        site.switch(live);
        let files = files.into_iter().map(|(path, _, _, bytes)| (path.to_owned(), bytes)).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { site, files, runtime, _folder: folder }
    }

    /// The tag of a page.
    fn tag(&self) -> String {
        let (_, headers, _) = self.ask(&read(b"GET /about/").expect("a request"));
        headers[header::ETAG].to_str().expect("a tag is text").to_owned()
    }

    fn ask(&self, request: &Request<()>) -> (StatusCode, HeaderMap, Vec<u8>) {
        self.runtime.block_on(async {
            let guest = Guest::alone(SocketAddr::from(([192, 0, 2, 1], 1)));
            let answer = self.site.answer(&guest, request).await;
            let (head, body) = answer.into_parts();
            let body = to_bytes(Body::new(body), LARGE).await.expect("the body is sent");
            (head.status, head.headers, body.to_vec())
        })
    }

    /// Asks, and fails where the answer is none that may be; the request again, if it was one.
    fn answer(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let request = read(bytes)?;
        let (status, headers, body) = self.ask(&request);
        assert!(STATUSES.contains(&status.as_u16()), "status {status}");
        let is_head = request.method() == Method::HEAD;
        assert!(body.is_empty() || ![204, 304, 308].contains(&status.as_u16()), "a body with {status}");
        // Where there is no page of the site's, the server above takes out what a HEAD has too much.
        assert!(!is_head || status != StatusCode::OK || body.is_empty(), "a body for HEAD");
        if let Some(location) = headers.get(header::LOCATION) {
            let location = location.to_str().expect("an address is text");
            assert!(location.starts_with('/') && !location.starts_with("//"), "led to {location}");
        }
        let is_coded = headers.contains_key(header::CONTENT_ENCODING);
        if let Some(file) = self.files.get(request.uri().path()).filter(|_| !is_head && !is_coded) {
            match status {
                StatusCode::OK => assert!(body == *file, "other content"),
                StatusCode::PARTIAL_CONTENT => assert_part(&headers, file, &body),
                _ => {}
            }
        }
        Some(bytes.to_vec())
    }
}

/// Fails unless `part` is what the headers say of `whole`.
fn assert_part(headers: &HeaderMap, whole: &[u8], part: &[u8]) {
    let range = headers[header::CONTENT_RANGE].to_str().expect("a range is text");
    let (bytes, length) = range.strip_prefix("bytes ").and_then(|range| range.split_once('/')).expect("a range");
    let (from, to) = bytes.split_once('-').expect("two ends");
    let [from, to, length] = [from, to, length].map(|number| number.parse::<usize>().expect("a number"));
    assert!(length == whole.len() && whole[from..=to] == *part, "other content than {range}");
}

/// The request, if it is one that gets past the reading of HTTP.
fn read(bytes: &[u8]) -> Option<Request<()>> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let mut request = Request::new(());
    *request.version_mut() = Version::HTTP_2;
    *request.method_mut() = Method::from_bytes(&first[..space]).ok()?;
    *request.uri_mut() = Uri::try_from(&first[space + 1..]).ok()?;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    Some(request)
}
