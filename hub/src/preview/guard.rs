//! Who may ask. A preview shows what nobody has published yet, so it answers browsers of this machine alone, under this
//! machine's own names (against DNS rebinding), and other sites' pages can neither read it nor post to it.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tieup_web::site::CONTENT_SECURITY_POLICY;

use super::server::OWN;

/// The names under which this machine is reached from itself.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Turns strangers away, and marks every answer as one for this site alone.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let mut response = if !is_host(headers) {
        (StatusCode::MISDIRECTED_REQUEST, "The preview answers on http://localhost and http://127.0.0.1 alone.\n")
            .into_response()
    } else if request.uri().path().starts_with(OWN) && !is_own(request.method(), headers) {
        (StatusCode::FORBIDDEN, "This address is for the preview's own pages.\n").into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}

fn is_host(headers: &HeaderMap) -> bool {
    let name = host(headers).map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    });
    name.is_some_and(|name| NAMES.contains(&name))
}

/// Whether one of the preview's own pages asks. Whoever changes something must prove it.
fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let same = text("origin").map(|origin| origin.strip_prefix("http://") == host(headers));
    let site = text("sec-fetch-site").map(|site| site == "same-origin" || site == "none");
    if same == Some(false) || site == Some(false) {
        return false;
    }
    method == Method::GET || method == Method::HEAD || same.is_some() || site.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = list.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        pairs.collect::<Vec<(header::HeaderName, _)>>().into_iter().collect()
    }

    #[test]
    fn only_this_machines_names_are_answered() {
        for good in ["localhost", "localhost:8010", "127.0.0.1:1", "[::1]:8010", "[::1]"] {
            assert!(is_host(&headers(&[("host", good)])), "{good}");
        }
        for bad in ["evil.example", "127.0.0.1.evil.example:8010", "localhost:x", "", "192.168.0.7:8010"] {
            assert!(!is_host(&headers(&[("host", bad)])), "{bad}");
        }
        assert!(!is_host(&HeaderMap::new()));
    }

    #[test]
    fn other_sites_can_neither_listen_nor_post() {
        let own = |method: Method, more: &[(&'static str, &'static str)]| {
            is_own(&method, &headers(&[&[("host", "127.0.0.1:8010")], more].concat()))
        };
        assert!(own(Method::GET, &[]));
        assert!(own(Method::POST, &[("origin", "http://127.0.0.1:8010")]));
        assert!(own(Method::GET, &[("sec-fetch-site", "same-origin")]));
        assert!(!own(Method::POST, &[]));
        assert!(!own(Method::POST, &[("origin", "null")]));
        assert!(!own(Method::POST, &[("origin", "http://127.0.0.1:9000")]));
        assert!(!own(Method::GET, &[("origin", "https://evil.example")]));
        assert!(!own(Method::GET, &[("sec-fetch-site", "cross-site")]));
    }
}
