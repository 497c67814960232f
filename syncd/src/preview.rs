//! The preview: the public site as the waiting release would make it, at an address for the operator alone.
//!
//! It follows the release that waits. Around it stands what is public of the partner's other main sites. What is looked at here is no visit: nothing is logged and nothing is counted.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_web::complaint;
use tieup_web::console::{Html, Names};
use tieup_web::html;
use tieup_web::listener::{Shutdown, serve_plain};
use tieup_web::site::{LiveSite, SiteBody};

use crate::daemon::Partner;
use crate::door::Opened;
use crate::publisher::PublishError;
use crate::shared_site::Mirror;

/// What the preview's own pages may load: nothing.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Says of an answer which release it is a preview of.
const MARK: HeaderName = HeaderName::from_static("tieup-preview");

/// The preview of one partner's site.
pub struct Preview {
    partner: Arc<Partner>,
    names: Names,
    site: Mirror,
    shown: Mutex<Option<Shown>>,
}

/// What a preview was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    version: ReleaseVersion,
    manifest: Digest,
    /// How often the originals had changed.
    originals: u64,
}

impl Preview {
    /// A preview for `partner` under these names.
    pub fn new(partner: Arc<Partner>, names: Names) -> Self {
        let site = partner.publisher().share().mirror();
        Self { partner, names, site, shown: Mutex::default() }
    }

    /// Shows the site until `shutdown`.
    pub async fn serve(self, door: Opened, shutdown: Shutdown) {
        let preview = Arc::new(self);
        let service = move |peer| {
            let preview = preview.clone();
            service_fn(move |request| {
                let preview = preview.clone();
                async move { Ok::<_, Infallible>(preview.answer(peer, request).await) }
            })
        };
        serve_plain(door.listener, service, shutdown).await;
    }

    async fn answer(&self, peer: SocketAddr, mut request: Request<Incoming>) -> Response<SiteBody> {
        if !self.names.is_host(request.headers()) {
            let text = html!("<p>There is no preview under this name.</p>");
            return marked(page(StatusCode::MISDIRECTED_REQUEST, "Not here", &text), None);
        }
        match tokio::task::block_in_place(|| self.freshen()) {
            Ok(Some(version)) => {
                // A page of another release may carry the same tag; nothing here is kept by a browser.
                request.headers_mut().remove(header::IF_NONE_MATCH);
                marked(self.site.answer(peer, &request).await, Some(version))
            }
            Ok(None) => {
                let text = html!("<p>When a release waits for your word, your site is shown here as it would be.</p>");
                marked(page(StatusCode::NOT_FOUND, "Nothing is waiting", &text), None)
            }
            Err(error) => {
                let text = html!(
                    "<p>It cannot be approved as things are, either:</p><pre>{}</pre>",
                    complaint::render(&error)
                );
                marked(page(StatusCode::CONFLICT, "The release that waits cannot be shown", &text), None)
            }
        }
    }

    /// Makes the site anew if another release waits, or the originals have changed. The release that is shown.
    fn freshen(&self) -> Result<Option<ReleaseVersion>, PublishError> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.partner.releases().into_iter().find(|release| release.state.is_open());
        let Some(waiting) = waiting else {
            self.site.show(LiveSite::default());
            *shown = None;
            return Ok(None);
        };
        let now = Shown { version: waiting.version, manifest: waiting.manifest, originals: self.partner.originals() };
        if *shown != Some(now) {
            *shown = None;
            self.site.show(self.partner.publisher().candidate(now.version)?.to_live());
            *shown = Some(now);
        }
        Ok(Some(now.version))
    }
}

/// The answer with what keeps it out of caches, search engines and other sites' pages.
fn marked(mut response: Response<SiteBody>, version: Option<ReleaseVersion>) -> Response<SiteBody> {
    let says = version.map_or_else(|| "nothing".to_owned(), |version| format!("release {version}"));
    let headers = response.headers_mut();
    headers.remove(header::ETAG);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    if let Ok(says) = HeaderValue::from_str(&says) {
        headers.insert(MARK, says);
    }
    response
}

fn page(status: StatusCode, title: &str, text: &Html) -> Response<SiteBody> {
    let page = html!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{}</title></head>\
         <body><main><h1>{}</h1>{}</main></body></html>",
        title,
        title,
        text
    );
    let mut response = Response::new(SiteBody::from(page.as_str().to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
