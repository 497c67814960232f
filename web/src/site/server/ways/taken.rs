//! Which requests are answered by the short way, and which are handed over.

use std::sync::Arc;

use axum::http::StatusCode;
use tieup_protocol::access::Method;
use tieup_store::cache::Cache;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::shop::{Shop, answers, somebody};
use crate::access_log::NoLog;
use crate::metrics::Traffic;
use crate::site::PublicSite;
use crate::site::content::Contents;
use crate::site::pace::{Pace, Paced, Protocol};
use crate::site::short_way::{Ending, Parties, ShortWay};

/// What becomes of a connection by the short way alone.
struct Taken {
    /// How many requests were answered.
    answered: usize,
    /// What is handed over, if anything is.
    left: Option<Vec<u8>>,
    answer: Vec<u8>,
}

/// Says all of `said` at once, and that nothing more comes.
async fn taken(site: &PublicSite, said: &[u8]) -> Taken {
    let (guest, traffic, ending) = (somebody(), Traffic::default(), Ending::default());
    let pace = Arc::new(Pace::of(Protocol::Http1));
    let (mut near, far) = duplex(1 << 24);
    near.write_all(said).await.unwrap();
    near.shutdown().await.unwrap();
    let parties = Parties { site, guest: &guest, traffic: &traffic, pace: &pace, ending: &ending };
    let left = match ShortWay::of(parties, Paced::new(far, pace.clone()), None).go().await.unwrap() {
        Some(mut stream) => {
            let mut left = Vec::new();
            stream.read_to_end(&mut left).await.unwrap();
            Some(left)
        }
        None => None,
    };
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    let statuses = [StatusCode::OK, StatusCode::NOT_MODIFIED, StatusCode::INTERNAL_SERVER_ERROR];
    let counts = statuses.map(|status| [Method::Get, Method::Head].map(|method| traffic.answers(method, status)));
    let answered = usize::try_from(counts.into_iter().flatten().sum::<u64>()).unwrap();
    Taken { answered, left, answer }
}

/// Says it for itself, and again, when nothing need be read for it.
async fn assert_taken(site: &PublicSite, said: &str, requests: usize) -> Vec<u8> {
    for time in ["cold", "warm"] {
        let taken = taken(site, said.as_bytes()).await;
        assert_eq!((taken.left, taken.answered), (None, requests), "{time}: {said}");
    }
    taken(site, said.as_bytes()).await.answer
}

#[tokio::test]
async fn plain_requests_are_answered_by_the_short_way() {
    let shop = Shop::new();
    let site = shop.site(Arc::new(NoLog));
    for path in ["/", "/own/?a=b", "/tiny/", "/picture.png", "/large.png", "/empty.txt", "/lost.txt"] {
        for coding in ["", "Accept-Encoding: br\r\n", "Accept-Encoding: gzip, zstd\r\n"] {
            for method in ["GET", "HEAD"] {
                assert_taken(&site, &format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{coding}\r\n"), 1).await;
            }
        }
    }
    assert_taken(&site, "", 0).await;
    assert_taken(&site, &"GET /own/ HTTP/1.1\r\nHost: x\r\n\r\n".repeat(40), 40).await;
    assert_taken(&site, &"GET /own/ HTTP/1.1\r\nHost: x\r\n\r\n".repeat(400), 400).await;
    assert_taken(&site, "HEAD /huge.png HTTP/1.1\r\nHost: x\r\n\r\n", 1).await;
    for path in ["/", "/picture.png", "/huge.png"] {
        let head = assert_taken(&site, &format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"), 1).await;
        let tag = answers(&head)[0].0.iter().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        let said = format!("GET {path} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n");
        assert!(assert_taken(&site, &said, 1).await.starts_with(b"HTTP/1.1 304 "), "{path}");
    }
}

#[tokio::test]
async fn what_is_too_large_to_be_kept_is_made_once() {
    let shop = Shop::new();
    let mut site = PublicSite::new(shop.blobs.clone(), Arc::new(NoLog), Cache::at(shop.folder.path().join("coded")));
    site.contents = Contents::within(4096, Cache::at(shop.folder.path().join("coded")));
    site.switch(shop.live.clone());
    assert_taken(&site, "GET /large.png HTTP/1.1\r\nHost: x\r\n\r\n", 1).await;
}

#[tokio::test]
async fn others_are_handed_over_with_all_that_follows_them() {
    let shop = Shop::new();
    let site = shop.site(Arc::new(NoLog));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", "a".repeat(4096));
    let next = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for other in [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        "OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /same HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /../ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a%20b/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /leads/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /huge.png HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-3\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHo",
        "what is this\r\n\r\n",
        &many,
    ] {
        for (before, answered) in [("", 0), (next, 1)] {
            let taken = taken(&site, format!("{before}{other}{next}").as_bytes()).await;
            assert_eq!(taken.left, Some(format!("{other}{next}").into_bytes()), "{before}{other}");
            assert_eq!(taken.answered, answered, "{before}{other}");
        }
    }
}
