//! From where a console may be asked: under its own names (against DNS rebinding), and by its own pages alone.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::gate::Gate;

/// The names under which this machine is reached from itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What a console's pages may load: its own style sheet.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every answer of a console carries.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // `no-referrer` would take the origin out of the console's own forms too.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
];

/// Under which names a site for its operator alone is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Whether it is reached from this machine, by whatever port is forwarded to it.
    reach: Reach,
    /// What tells it from others on this machine.
    mark: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Reach {
    /// By this machine's own names.
    Loopback,
    /// By a public name, through a server that speaks HTTPS before it; and by this machine's own names, since that
    /// server may ask so.
    Public { host: String, origin: String },
}

impl Names {
    /// The names of what listens at this port of this machine.
    pub fn loopback(port: u16) -> Self {
        Self { reach: Reach::Loopback, mark: port.to_string() }
    }

    /// The names of what is reached at `url`, which is HTTPS.
    pub fn public(url: &Uri) -> Self {
        let host = url.authority().map(|authority| authority.as_str().to_ascii_lowercase()).unwrap_or_default();
        let mark = host.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        Self { reach: Reach::Public { origin: format!("https://{host}"), host }, mark }
    }

    /// The names of what listens at `address`, and is reached at `url` if there is one.
    pub fn of(address: SocketAddr, url: Option<&Uri>) -> Self {
        url.map_or_else(|| Self::loopback(address.port()), Self::public)
    }

    /// What tells this console's cookie from another's.
    pub(super) fn mark(&self) -> &str {
        &self.mark
    }

    /// With what the cookie's name begins: over HTTPS, browsers hold it to this host.
    pub(super) fn cookie_prefix(&self) -> &'static str {
        if self.reach == Reach::Loopback { "" } else { "__Host-" }
    }

    pub(super) fn cookie_attribute(&self) -> &'static str {
        if self.reach == Reach::Loopback { "" } else { "; Secure" }
    }

    /// Whether these headers name one of the names as the host.
    pub fn is_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = host(headers) else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let public = matches!(&self.reach, Reach::Public { host: own, .. } if own.eq_ignore_ascii_case(host));
        public || LOOPBACK.contains(&name)
    }

    /// Whether one of its own pages asks. Whoever changes something must prove it.
    pub fn is_own(&self, method: &Method, headers: &HeaderMap) -> bool {
        if method == Method::GET || method == Method::HEAD {
            return true;
        }
        let origin = text(headers, "origin").map(|origin| self.is_origin(origin, headers));
        // A page at another port of this machine is `same-site`, and nothing here is for it.
        let site = text(headers, "sec-fetch-site").map(|site| site == "same-origin");
        origin != Some(false) && site != Some(false) && (origin.is_some() || site.is_some())
    }

    fn is_origin(&self, origin: &str, headers: &HeaderMap) -> bool {
        let loopback = || origin.strip_prefix("http://").is_some_and(|from| Some(from) == host(headers));
        match &self.reach {
            Reach::Loopback => loopback(),
            Reach::Public { origin: own, .. } => own == origin,
        }
    }
}

/// Turns strangers away, and marks every answer as one for this console alone.
pub(super) async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let mut response = if !gate.names.is_host(request.headers()) {
        (StatusCode::MISDIRECTED_REQUEST, "There is no console under this name.\n").into_response()
    } else if !gate.names.is_own(request.method(), request.headers()) {
        (StatusCode::FORBIDDEN, "Only the console's own pages may ask for this.\n").into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

/// A header's text; `?` where it is none, which nothing is equal to.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = list.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        pairs.collect::<Vec<(HeaderName, _)>>().into_iter().collect()
    }

    fn public() -> Names {
        Names::public(&"https://console.example/".parse().unwrap())
    }

    #[test]
    fn only_its_own_names_are_answered() {
        let is_host = |names: &Names, host: &'static str| names.is_host(&headers(&[("host", host)]));
        for good in ["localhost", "localhost:7460", "127.0.0.1:1", "[::1]:7460", "[::1]"] {
            assert!(is_host(&Names::loopback(7460), good) && is_host(&public(), good), "{good}");
        }
        for bad in ["evil.example", "127.0.0.1.evil.example:7460", "localhost:x", "", "192.168.0.7:7460"] {
            assert!(!is_host(&Names::loopback(7460), bad) && !is_host(&public(), bad), "{bad}");
        }
        assert!(is_host(&public(), "console.example") && !is_host(&Names::loopback(1), "console.example"));
        assert!(!Names::loopback(1).is_host(&HeaderMap::new()));
    }

    #[test]
    fn nobody_else_can_post() {
        let own = |method: Method, more: &[(&'static str, &'static str)]| {
            Names::loopback(1).is_own(&method, &headers(&[&[("host", "127.0.0.1:8010")], more].concat()))
        };
        assert!(own(Method::GET, &[]) && own(Method::GET, &[("sec-fetch-site", "cross-site")]));
        assert!(own(Method::POST, &[("origin", "http://127.0.0.1:8010")]));
        assert!(own(Method::POST, &[("sec-fetch-site", "same-origin")]));
        assert!(!own(Method::POST, &[]));
        assert!(!own(Method::POST, &[("origin", "null")]));
        assert!(!own(Method::POST, &[("origin", "http://127.0.0.1:9000"), ("sec-fetch-site", "same-origin")]));
        assert!(!own(Method::POST, &[("origin", "https://127.0.0.1:8010")]));
        for site in ["cross-site", "same-site", "none"] {
            let both = [("origin", "http://127.0.0.1:8010"), ("sec-fetch-site", site)];
            assert!(!own(Method::POST, &both), "{site}");
        }
        let behind = |origin| public().is_own(&Method::POST, &headers(&[("host", "127.0.0.1:1"), ("origin", origin)]));
        assert!(behind("https://console.example") && !behind("http://127.0.0.1:1") && !behind("https://evil.example"));
    }
}
