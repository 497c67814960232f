//! What plain HTTP is answered where there is HTTPS: a certificate authority's challenges, and the way to HTTPS.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use percent_encoding::{CONTROLS, percent_decode_str, utf8_percent_encode};
use tieup_protocol::reserved::CHALLENGES;

use super::acme::Challenges;
use crate::site::SiteBody;

/// The port of HTTPS that need not be named.
const HTTPS_PORT: u16 = 443;

/// The longest address that is led on.
const LONGEST: usize = 8 << 10;

/// An answer.
pub(super) type Answer = Response<SiteBody>;

/// The answer to a challenge's address; none where the request is for another.
pub(super) fn challenge<B>(request: &Request<B>, challenges: &Challenges) -> Option<Answer> {
    let token = request.uri().path().strip_prefix(CHALLENGES)?;
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    Some(match challenges.answer(token).filter(|_| is_read) {
        Some(answer) => said(StatusCode::OK, answer),
        None => said(StatusCode::NOT_FOUND, "There is no challenge with this name.\n".to_owned()),
    })
}

/// The way to the same page at `port`, where HTTPS is served: 308, so that the method stays what it was.
pub(super) fn to_https<B>(request: &Request<B>, port: u16) -> Answer {
    let Some(host) = host(request.uri(), request.headers()) else {
        return said(StatusCode::BAD_REQUEST, "The request does not say which host it is for.\n".to_owned());
    };
    let port = if port == HTTPS_PORT { String::new() } else { format!(":{port}") };
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // What is no ASCII has no room in a header.
    let location = format!("https://{host}{port}{}", utf8_percent_encode(path, CONTROLS));
    let value = HeaderValue::from_str(&location).ok().filter(|_| path.starts_with('/') && location.len() <= LONGEST);
    let Some(value) = value else {
        return said(StatusCode::BAD_REQUEST, "This is not an address on this site.\n".to_owned());
    };
    let mut answer = said(StatusCode::PERMANENT_REDIRECT, format!("This site is at {location}\n"));
    answer.headers_mut().insert(header::LOCATION, value);
    answer
}

/// The host that a request is for, without its port: that of a whole address in the request's first line, or else its one
/// `Host` (RFC 9112, section 3.2).
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let named = match (uri.authority(), hosts.next(), hosts.next()) {
        (_, _, Some(_)) => return None,
        (Some(authority), ..) => authority.clone(),
        (None, named, None) => Authority::try_from(named?.as_bytes()).ok()?,
    };
    let host = named.host().to_ascii_lowercase();
    let is_plain = named.as_str().find('@').is_none() && percent_decode_str(&host).eq(host.bytes());
    (is_plain && is_host(&host)).then_some(host)
}

/// Whether a browser can be sent to `host`: a name or a number.
fn is_host(host: &str) -> bool {
    if let Some(inside) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inside.parse::<std::net::Ipv6Addr>().is_ok();
    }
    host.parse::<std::net::Ipv4Addr>().is_ok() || rustls::pki_types::DnsName::try_from(host).is_ok()
}

fn said(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(SiteBody::from(text));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, hosts: &[&str]) -> Request<()> {
        let mut builder = Request::builder().uri(uri);
        for host in hosts {
            builder = builder.header(header::HOST, *host);
        }
        builder.body(()).unwrap()
    }

    fn led(uri: &str, hosts: &[&str], port: u16) -> (u16, String) {
        let answer = to_https(&request(uri, hosts), port);
        let location = answer.headers().get(header::LOCATION).map_or("", |value| value.to_str().unwrap());
        (answer.status().as_u16(), location.to_owned())
    }

    #[test]
    fn a_visitor_is_led_to_the_same_page() {
        for (uri, host, port, location) in [
            ("/", "shop.example", 443, "https://shop.example/"),
            ("/a/?b=%20c&d", "Shop.Example:80", 443, "https://shop.example/a/?b=%20c&d"),
            ("/a", "shop.example:8080", 8443, "https://shop.example:8443/a"),
            ("/", "127.0.0.1:8080", 443, "https://127.0.0.1/"),
            ("/", "[::1]:80", 8443, "https://[::1]:8443/"),
            ("http://shop.example/a", "other.example", 443, "https://shop.example/a"),
            ("//evil.example/", "shop.example", 443, "https://shop.example//evil.example/"),
        ] {
            assert_eq!(led(uri, &[host], port), (308, location.to_owned()), "{uri} at {host}");
        }
    }

    #[test]
    fn a_host_that_is_none_is_refused() {
        let long = "a".repeat(300);
        for hosts in [
            &[][..],
            &["a.example", "b.example"],
            &[""],
            &["me@shop.example"],
            &["shop.example/x"],
            &["shop example"],
            &["shop%2eexample"],
            &["[::zz]"],
            &["-"],
            &[long.as_str()],
        ] {
            assert_eq!(led("/", hosts, 443), (400, String::new()), "{hosts:?}");
        }
        let star =
            Request::builder().method(Method::OPTIONS).uri("*").header(header::HOST, "a.example").body(()).unwrap();
        assert_eq!(to_https(&star, 443).status(), StatusCode::BAD_REQUEST);
        let long = format!("/{}", "a".repeat(LONGEST));
        assert_eq!(led(&long, &["a.example"], 443), (400, String::new()));
    }

    #[test]
    fn challenges_are_answered_while_they_stand() {
        let challenges = Challenges::default();
        let path = "/.well-known/acme-challenge/token";
        assert!(challenge(&request("/", &[]), &challenges).is_none());
        assert_eq!(challenge(&request(path, &[]), &challenges).unwrap().status(), StatusCode::NOT_FOUND);
        let standing = challenges.put("token".to_owned(), "token.print".to_owned());
        assert_eq!(challenge(&request(path, &[]), &challenges).unwrap().status(), StatusCode::OK);
        let posted = Request::builder().method(Method::POST).uri(path).body(()).unwrap();
        assert_eq!(challenge(&posted, &challenges).unwrap().status(), StatusCode::NOT_FOUND);
        drop(standing);
        assert_eq!(challenge(&request(path, &[]), &challenges).unwrap().status(), StatusCode::NOT_FOUND);
    }
}
