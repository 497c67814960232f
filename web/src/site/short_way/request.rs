//! Requests that are plain: a GET or HEAD of HTTP/1.1 whose head is here whole, for a path that is spelt as it stands, and
//! without a header that changes what HTTP does with it.
//!
//! Such a head is read by the same parser as by the protocol's library, and nothing of it is believed that the library would
//! not believe. Headers that are named nowhere here decide nothing there either, but for `Origin` at a beacon's path: such
//! paths are left to the library.

use std::mem::MaybeUninit;

use tieup_protocol::access::Method;

use crate::access_log::Introduction;
use crate::site::coding::Coding;

/// How many headers a plain request may have.
const HEADERS: usize = 48;

/// What may stand in a path that need not be decoded: characters that mean themselves wherever they stand (RFC 3986, section
/// 3.3).
const PLAIN: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/";

/// What may stand in a query besides.
const OF_QUERIES: &[u8] = b"?%";

/// Where each character may stand.
const CHARACTERS: [u8; 256] = with(OF_QUERIES, QUERY, with(PLAIN, PATH | QUERY, [0; 256]));
const PATH: u8 = 1;
const QUERY: u8 = 2;

const fn with(characters: &[u8], may: u8, mut all: [u8; 256]) -> [u8; 256] {
    let mut at = 0;
    while at < characters.len() {
        all[characters[at] as usize] = may;
        at += 1;
    }
    all
}

/// What came of a request so far.
#[derive(Clone, Copy, Debug)]
pub(super) enum Come<'a> {
    /// A whole request that is plain.
    Plain(PlainRequest<'a>),
    /// A part of its head, which may become plain.
    Part,
    /// Anything else.
    Other,
}

impl<'a> Come<'a> {
    /// What is at the beginning of `bytes`.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS];
        let mut read = httparse::Request::new(&mut []);
        match read.parse_with_uninit_headers(bytes, &mut headers) {
            Ok(httparse::Status::Complete(length)) => PlainRequest::of(&read, length).map_or(Self::Other, Self::Plain),
            Ok(httparse::Status::Partial) => Self::Part,
            Err(_) => Self::Other,
        }
    }
}

/// A plain request.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainRequest<'a> {
    /// GET or HEAD.
    pub(super) method: Method,
    /// The path, which begins with a slash.
    pub(super) path: &'a str,
    /// What it says of who asks.
    pub(super) introduction: Introduction<'a>,
    /// `Accept-Encoding`.
    pub(super) accept_encoding: Option<&'a str>,
    /// `If-None-Match`.
    pub(super) known: Option<&'a [u8]>,
    /// How many bytes it has.
    pub(super) length: usize,
}

impl<'a> PlainRequest<'a> {
    /// The request whose head was read and has `length` bytes, if it is plain.
    fn of(read: &httparse::Request<'_, 'a>, length: usize) -> Option<Self> {
        let method = match read.method? {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            _ => return None,
        };
        let (path, introduction) = (plain_path(read.path?)?, Introduction::default());
        let mut request = Self { method, path, introduction, accept_encoding: None, known: None, length };
        for header in read.headers.iter() {
            request.take(header)?;
        }
        let is_plain = read.version == Some(1) && request.introduction.host.is_some();
        is_plain.then_some(request)
    }

    /// Takes a header in; none where the request is not plain with it.
    ///
    /// What stands there twice is not plain where it matters which of both counts.
    fn take(&mut self, header: &httparse::Header<'a>) -> Option<()> {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = header.value;
        let said = &mut self.introduction;
        let (place, counts) = match header.name.len() {
            4 if is("host") => (&mut said.host, Counts::Once),
            7 if is("referer") => (&mut said.referrer, Counts::First),
            7 if is("purpose") => (&mut said.purposes[1], Counts::First),
            10 if is("user-agent") => (&mut said.user_agent, Counts::First),
            11 if is("sec-purpose") => (&mut said.purposes[0], Counts::First),
            13 if is("if-none-match") => (&mut self.known, Counts::Once),
            15 if is("accept-encoding") => return self.accept(value),
            10 if is("connection") => return value.eq_ignore_ascii_case(b"keep-alive").then_some(()),
            2 if is("te") => return None,
            5 if is("range") => return None,
            6 if is("expect") => return None,
            7 if is("upgrade") || is("trailer") => return None,
            8 if is("if-match") || is("if-range") => return None,
            14 if is("content-length") => return None,
            17 if is("transfer-encoding") => return None,
            _ => return Some(()),
        };
        match (place.is_some(), counts) {
            (false, _) => *place = Some(value),
            (true, Counts::First) => {}
            (true, Counts::Once) => return None,
        }
        Some(())
    }

    fn accept(&mut self, value: &'a [u8]) -> Option<()> {
        let is_first = self.accept_encoding.is_none();
        self.accept_encoding = std::str::from_utf8(value).ok().filter(|value| is_first && value.is_ascii());
        self.accept_encoding.map(|_| ())
    }
}

/// Which of several headers of one name counts.
#[derive(Clone, Copy)]
enum Counts {
    /// The first.
    First,
    /// There must not be several.
    Once,
}

/// The path of a target that is spelt as it stands.
fn plain_path(target: &str) -> Option<&str> {
    let is_of = |of: u8, byte: u8| CHARACTERS[usize::from(byte)] & of != 0;
    let end = target.bytes().position(|byte| !is_of(PATH, byte)).unwrap_or(target.len());
    let (path, query) = target.split_at_checked(end)?;
    let is_plain = query.is_empty() || query.starts_with('?') && query.bytes().all(|byte| is_of(QUERY, byte));
    (path.starts_with('/') && is_plain).then_some(path)
}

/// The coding that a connection asked for last: most ask for the same again and again.
#[derive(Debug, Default)]
pub(super) struct Accepting {
    last: Option<(String, Coding)>,
}

impl Accepting {
    /// The coding to send where `Accept-Encoding` says so.
    pub(super) fn coding(&mut self, accepted: Option<&str>) -> Coding {
        let Some(accepted) = accepted else { return Coding::Identity };
        if let Some((_, coding)) = self.last.as_ref().filter(|(last, _)| last == accepted) {
            return *coding;
        }
        let coding = Coding::best_of(std::iter::once(accepted));
        self.last = Some((accepted.to_owned(), coding));
        coding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Option<PlainRequest<'_>> {
        match Come::read(head.as_bytes()) {
            Come::Plain(request) => Some(request),
            Come::Part | Come::Other => None,
        }
    }

    /// What a browser says of itself and of what it likes.
    const BROWSER: &str = "Host: shop.example\r\nUser-Agent: Mozilla/5.0 (X11) Firefox/140.0\r\nAccept: text/html,*/*;q=0.8\r\n\
        Accept-Language: ja,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://shop.example/\r\n\
        Connection: keep-alive\r\nCookie: a=b\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\n\
        Sec-Purpose: prefetch\r\nIf-None-Match: \"a\"\r\nPriority: u=0, i\r\n";

    #[test]
    fn what_browsers_send_is_plain() {
        let head = format!("GET /news/?from=a%20b HTTP/1.1\r\n{BROWSER}\r\n");
        let and_more = format!("{head}GET /");
        let request = read(&and_more).unwrap();
        assert_eq!((request.method, request.path, request.length), (Method::Get, "/news/", head.len()));
        assert_eq!(request.accept_encoding, Some("gzip, deflate, br, zstd"));
        assert_eq!(request.known, Some(&b"\"a\""[..]));
        let said = request.introduction;
        assert_eq!(said.host, Some(&b"shop.example"[..]));
        assert_eq!(said.user_agent, Some(&b"Mozilla/5.0 (X11) Firefox/140.0"[..]));
        assert_eq!(said.referrer, Some(&b"https://shop.example/"[..]));
        assert_eq!(said.purposes, [Some(&b"prefetch"[..]), None]);
        assert_eq!(read("HEAD / HTTP/1.1\r\nhost:x\r\n\r\n").unwrap().method, Method::Head);
    }

    #[test]
    fn of_headers_that_stand_there_twice_the_first_counts() {
        let head = "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: a\r\nUser-Agent: b\r\nPurpose: c\r\nPurpose: d\r\n\r\n";
        let said = read(head).unwrap().introduction;
        assert_eq!((said.user_agent, said.purposes), (Some(&b"a"[..]), [None, Some(&b"c"[..])]));
    }

    #[test]
    fn whatever_changes_what_http_does_is_not_plain() {
        for header in [
            "Content-Length: 0",
            "content-length: 5",
            "Transfer-Encoding: chunked",
            "Connection: close",
            "Connection: keep-alive, upgrade",
            "Upgrade: h2c",
            "Expect: 100-continue",
            "TE: trailers",
            "Trailer: x",
            "Range: bytes=0-1",
            "If-Range: \"a\"",
            "If-Match: \"a\"",
            "Host: other.example",
            "If-None-Match: \"a\"\r\nIf-None-Match: \"b\"",
            "Accept-Encoding: br\r\nAccept-Encoding: gzip",
            "Accept-Encoding: \u{e9}",
            "a b: c",
            "folded: a\r\n b",
        ] {
            assert!(read(&format!("GET / HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n")).is_none(), "{header}");
        }
    }

    #[test]
    fn what_is_not_here_whole_may_become_plain() {
        let whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for end in 0..whole.len() {
            assert!(matches!(Come::read(&whole.as_bytes()[..end]), Come::Part), "{end}");
        }
        assert!(matches!(Come::read(b"GET / HTTP/1.1\r\nHost x"), Come::Other), "whatever comes, it will not");
    }

    #[test]
    fn other_beginnings_are_not_plain() {
        for line in [
            "POST / HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "get / HTTP/1.1",
            "GET / HTTP/1.0",
            "GET / HTTP/2.0",
            "GET /",
            "GET http://x/ HTTP/1.1",
            "GET /a%20b HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET /\u{4f1a}\u{793e}/ HTTP/1.1",
            "GET /?\u{e9} HTTP/1.1",
            "GET ?a HTTP/1.1",
            "GET  / HTTP/1.1",
        ] {
            assert!(read(&format!("{line}\r\nHost: x\r\n\r\n")).is_none(), "{line}");
        }
        assert!(read("GET / HTTP/1.1\r\n\r\n").is_none(), "it names no host");
        let many = "a: b\r\n".repeat(HEADERS);
        assert!(read(&format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")).is_none());
    }

    #[test]
    fn what_is_accepted_is_worked_out_anew_when_it_changes() {
        let mut accepting = Accepting::default();
        for (accepted, coding) in [
            (None, Coding::Identity),
            (Some("br"), Coding::Brotli),
            (Some("br"), Coding::Brotli),
            (Some("gzip"), Coding::Gzip),
        ] {
            assert_eq!(accepting.coding(accepted), coding);
        }
        assert_eq!(accepting.coding(None), Coding::Identity);
    }
}
