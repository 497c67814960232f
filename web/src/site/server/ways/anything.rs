//! Anything at all, said to a site by both ways.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::shop::{Shop, Writing, compared};

/// What is asked for.
const TARGETS: [&str; 22] = [
    "/",
    "/",
    "/same/",
    "/tiny/",
    "/empty.txt",
    "/large.png",
    "/words.txt?a=b",
    "/nothing",
    "/same",
    "/leads/",
    "/a%20b/",
    "/a%2520b/",
    "/%",
    "/../",
    "//",
    "*",
    "http://x/",
    "/#a",
    "/\u{4f1a}/",
    "/?\"<>`{}|^\\",
    "",
    "/ /",
];

/// What is said besides.
const HEADERS: [&str; 30] = [
    "Host: x\r\n",
    "Host: shop.example\r\n",
    "Accept-Encoding: br, gzip\r\n",
    "Accept-Encoding: zstd;q=0.3\r\n",
    "If-None-Match: *\r\n",
    "If-Match: \"a\"\r\n",
    "If-Range: \"a\"\r\nRange: bytes=0-3\r\n",
    "Range: bytes=2-\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 4\r\n",
    "Content-Length: 4\r\nContent-Length: 5\r\n",
    "Content-Length: +4\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Connection: keep-alive\r\n",
    "Connection: close\r\n",
    "Connection: upgrade\r\nUpgrade: h2c\r\n",
    "Expect: 100-continue\r\n",
    "TE: trailers\r\n",
    "User-Agent: Mozilla/5.0 Mobile\r\n",
    "Referer: http://x/y\r\n",
    "Sec-Purpose: prefetch\r\n",
    "X: y\n",
    "X:\ty \r\n",
    "X: \u{e9}\r\n",
    "X: a\r\n b\r\n",
    ": y\r\n",
    "X\r\n",
    "X: \0\r\n",
];

/// A piece of what somebody says: mostly parts of requests, some of them wrong, some anything.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let word =
        |words: &'static [&'static str]| proptest::sample::select(words).prop_map(|word| word.as_bytes().to_vec());
    let method = word(&["GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "get", "PRI", "\r\nGET", "CONNECT"]);
    let target = word(&TARGETS);
    let version =
        word(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1", ""]);
    let header = word(&HEADERS);
    let end = word(&["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r\n\r\n", "\r", "", "\r\nbody", "\r\n0\r\n\r\n"]);
    let headers = (any::<bool>(), proptest::collection::vec(header, 0..4)).prop_map(|(names_host, headers)| {
        let host: &[u8] = if names_host { b"Host: shop.example\r\n" } else { b"" };
        [host.to_vec(), headers.concat()].concat()
    });
    let request = (method, target, version, headers, end).prop_map(|(method, target, version, headers, end)| {
        [&method[..], b" ", &target, b" ", &version, b"\r\n", &headers, &end].concat()
    });
    let whole =
        word(&["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /tiny/ HTTP/1.1\r\nhost:x\r\nAccept-Encoding: br\r\n\r\n"]);
    let anything = proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![6 => request, 3 => whole, 1 => anything]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_said_is_answered_as_by_the_library(
        said in proptest::collection::vec(piece(), 1..5),
        pieces in prop_oneof![3 => Just(1_usize << 16), 1 => 1_usize..200],
    ) {
        static SHOP: LazyLock<Shop> = LazyLock::new(Shop::new);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(compared(&SHOP, Writing::Written, &said.concat(), pieces));
    }
}
