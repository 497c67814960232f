//! Beacons of partners' tie-up pages, as main's own site answers them: with nothing, whatever came of them.

use std::net::SocketAddr;

use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use jiff::Timestamp;
use tieup_protocol::contract::{WebOrigin, beacon_page};
use tieup_protocol::path::SitePath;

use super::answer;
use super::body::SiteBody;
use crate::access_log::Caller;

/// Who counts beacons.
pub trait BeaconDesk: Send + Sync {
    /// Takes the beacon of the page at `page` of whoever is at `origin`. Never waits for the disk.
    fn hear(&self, origin: &WebOrigin, page: &SitePath, caller: &Caller<'_>) -> Heard;
}

/// What came of a beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Heard {
    /// It is counted.
    Counted,
    /// It is right, and not to be counted: a robot, a page that is fetched in case somebody asks for it, or a page that
    /// this visitor has seen in this hour.
    Passed,
    /// Nobody's pages with beacons are at this origin, or no such page is there.
    Unknown,
    /// More came from this address, or in all, than are counted.
    TooMany,
}

impl Heard {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Counted, Self::Passed, Self::Unknown, Self::TooMany];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Passed => "passed",
            Self::Unknown => "unknown",
            Self::TooMany => "too-many",
        }
    }

    /// Whether a beacon was counted is no business of whoever sent it.
    fn status(self) -> StatusCode {
        match self {
            Self::Counted | Self::Passed => StatusCode::NO_CONTENT,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// Whether `path` is that of a page's beacon.
pub(super) fn is_at(path: &SitePath) -> bool {
    beacon_page(path).is_some()
}

/// The answer to a request for a beacon; none for any other request.
pub(super) fn answer<B>(
    desk: &dyn BeaconDesk,
    peer: SocketAddr,
    path: &SitePath,
    request: &Request<B>,
) -> Option<Response<SiteBody>> {
    let page = beacon_page(path)?;
    match request.method().as_str() {
        "GET" => {}
        "HEAD" | "OPTIONS" => return Some(nothing(StatusCode::NO_CONTENT)),
        _ => return Some(answer::not_allowed()),
    }
    let headers = request.headers();
    let caller = Caller { time: Timestamp::now(), address: peer.ip(), introduction: headers.into() };
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()?.parse().ok());
    let heard = origin.map_or(Heard::Unknown, |origin| desk.hear(&origin, &page, &caller));
    Some(nothing(heard.status()))
}

/// An answer without content, which nobody keeps and every site may have.
fn nothing(status: StatusCode) -> Response<SiteBody> {
    let mut response = answer::plain(status, "");
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    response
}
