//! The short way of plain requests says and logs what the protocol's library does.

mod anything;
mod shop;
mod taken;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, mpsc};

use axum::http::StatusCode;
use futures_util::FutureExt as _;
use tieup_protocol::access::Method;
use tieup_protocol::contract::WebOrigin;
use tieup_protocol::path::SitePath;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use self::shop::{Client, Ears, PATIENCE, Shop, Way, Writing, answers, compared, somebody};
use super::{Ending, Guest, Pace, Paced, Parties, Protocol, ShortWay};
use crate::access_log::{AccessLog, Caller, NoLog, Ticket, Visit};
use crate::metrics::{Refused, Traffic};
use crate::site::household::{Household, Share};
use crate::site::{BeaconDesk, Heard, LiveSite, SitePart};
use crate::visitors::{Remembered, Visitor};

/// Headers that requests are tried with.
const HEADERS: [&str; 12] = [
    "",
    "Accept-Encoding: gzip, deflate, br, zstd\r\n",
    "accept-encoding: gzip;q=0.5, zstd;q=0.1\r\n",
    "Accept-Encoding: identity\r\n",
    "If-None-Match: *\r\n",
    "If-None-Match: \"other\", W/\"another\"\r\n",
    "Range: bytes=1-2\r\n",
    "Connection: Keep-Alive\r\n",
    "Connection: close\r\n",
    "User-Agent: Mozilla/5.0 (X11) Firefox/140.0\r\nReferer: https://shop.example/\r\nSec-Purpose: prefetch\r\n",
    "User-Agent: curl/8\r\nuser-agent: Mozilla/5.0\r\nReferer: https://other.example/\r\nPurpose: prefetch\r\nX: \u{e9}\r\n",
    "Content-Length: 3\r\n",
];

#[tokio::test]
async fn every_file_is_answered_as_by_the_library() {
    let shop = Shop::new();
    let mut paths: Vec<String> = shop.live.files.keys().map(ToString::to_string).collect();
    paths.extend(["/same", "/?a=b", "/nothing", "/tiny/?%", "//", "/../x"].map(str::to_owned));
    for path in &paths {
        for headers in HEADERS {
            for method in ["GET", "HEAD"] {
                let said = format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n");
                let seen = compared(&shop, Writing::Written, said.as_bytes(), 1 << 16).await;
                assert_eq!(seen.answers.len(), 1, "{said}");
                let counted = seen.answered[0];
                assert_eq!(counted.tieup + counted.original + counted.nothing, seen.heard.len() as u64, "{said}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_has_the_content_is_told_so() {
    let shop = Shop::new();
    for (path, coding) in [("/", "br"), ("/", "identity"), ("/picture.png", "br"), (&shop.named, "gzip")] {
        let ask = |tag: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\n{tag}\r\n");
        let seen = compared(&shop, Writing::Written, ask("").as_bytes(), 1 << 16).await;
        let tag = seen.answers[0].0.iter().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
        for tag in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
            let said = ask(&format!("If-None-Match: {tag}\r\n"));
            let seen = compared(&shop, Writing::Written, said.as_bytes(), 1 << 16).await;
            assert_eq!(seen.answers[0].0[0], "HTTP/1.1 304 Not Modified", "{path} {coding} {tag}");
        }
    }
}

#[tokio::test]
async fn the_same_content_under_another_type_or_policy_has_heads_of_its_own() {
    let shop = Shop::new();
    let paths = ["/", "/own/", "/words.txt", "/theme/style.css", &shop.named, "/same/"];
    let said = paths.map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).concat();
    let seen = compared(&shop, Writing::Written, said.as_bytes(), 1 << 16).await;
    let types = seen.answers.iter().map(|(head, _)| head.iter().find(|line| line.starts_with("content-type")).unwrap());
    let [html, text, css] = ["html", "plain", "css"].map(|kind| format!("content-type: text/{kind}; charset=utf-8"));
    assert!(types.eq([&html, &html, &text, &css, &css, &html]));
    assert_ne!(seen.answers[0].0, seen.answers[1].0, "main's pages and the partner's are under different policies");
    assert_ne!(seen.answers[3].0, seen.answers[4].0, "what is named by its content may be kept");
}

#[tokio::test]
async fn a_door_of_plain_http_says_nothing_of_https() {
    let shop = Shop { hsts: None, ..Shop::new() };
    for path in ["/", "/lost.txt", "/nothing"] {
        let said = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let seen = compared(&shop, Writing::Written, said.as_bytes(), 1 << 16).await;
        assert!(!seen.answers[0].0.iter().any(|line| line.starts_with("strict-transport-security")), "{path}");
    }
}

#[tokio::test]
async fn of_a_path_that_two_parts_have_the_first_ones_page_is_sent() {
    let mut shop = Shop::new();
    let of_both = shop.live.files["/own/"].clone();
    let files = [("/", &of_both), ("/second/", &of_both)];
    let files = files.into_iter().map(|(path, file)| (path.parse().unwrap(), file.clone())).collect();
    shop.second = Some(LiveSite { files, ..LiveSite::default() });
    for (path, [first, second]) in [("/", [1, 0]), ("/second/", [0, 1]), ("/second", [0, 1]), ("/nothing", [1, 0])] {
        let said = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let seen = compared(&shop, Writing::Written, said.as_bytes(), 1 << 16).await;
        let counted: Vec<_> = seen.answered.iter().map(|of| of.tieup + of.original + of.nothing).collect();
        assert_eq!(counted, [first, second], "{path}");
    }
}

/// A desk that counts whatever comes.
struct Counting;

impl BeaconDesk for Counting {
    fn hear(&self, _origin: &WebOrigin, _page: &SitePath, _caller: &Caller<'_>) -> Heard {
        Heard::Counted
    }
}

#[tokio::test]
async fn where_beacons_are_counted_no_file_stands_in_their_way() {
    let mut shop = Shop::new();
    let file = shop.live.files["/tiny/"].clone();
    shop.live.files.insert("/tieup-beacon/tiny/".parse().unwrap(), file);
    let said = |header| format!("GET /tieup-beacon/tiny/ HTTP/1.1\r\nHost: x\r\n{header}\r\n");
    for (header, status) in [("", "404 Not Found"), ("Origin: https://shop.example\r\n", "204 No Content")] {
        shop.desk = None;
        let seen = compared(&shop, Writing::Written, said(header).as_bytes(), 1 << 16).await;
        assert_eq!(seen.answers[0].0[0], "HTTP/1.1 200 OK", "{header}");
        shop.desk = Some(Arc::new(Counting));
        let seen = compared(&shop, Writing::Written, said(header).as_bytes(), 1 << 16).await;
        assert_eq!(seen.answers[0].0[0], format!("HTTP/1.1 {status}"), "{header}");
    }
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_their_order() {
    let shop = Shop::new();
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let plain = ["/", "/picture.png", "/large.png", "/tiny/", "/empty.txt"].map(one).concat().repeat(40);
    let last = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nGET /";
    let said = format!("{plain}{}{last}{}", one("/nothing"), one("/"));
    for pieces in [1 << 16, 1000, 7] {
        let seen = compared(&shop, Writing::Written, said.as_bytes(), pieces).await;
        assert_eq!(seen.answers.len(), 203, "{pieces}");
    }
}

#[tokio::test]
async fn what_stands_in_a_body_is_no_request() {
    let shop = Shop::new();
    let hidden = "GET /tiny/ HTTP/1.1\r\nHost: x\r\n\r\n";
    let (length, chunk) = (hidden.len(), format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len()));
    for (framing, body) in [
        (format!("Content-Length: {length}"), hidden),
        (format!("content-length:{length}\r\nConnection: keep-alive"), hidden),
        ("Transfer-Encoding: chunked".to_owned(), &chunk),
        (format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"), &chunk),
        (format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"), &chunk),
    ] {
        for before in ["", "GET /own/ HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let said = format!("{before}GET / HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{body}");
            let seen = compared(&shop, Writing::Written, said.as_bytes(), 1 << 16).await;
            assert!(!seen.heard.iter().any(|visit| visit.contains("/tiny/")), "{said}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_logged_is_not_served() {
    let shop = Shop::new();
    for method in ["GET", "HEAD"] {
        let said = format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n").repeat(2);
        let seen = compared(&shop, Writing::Fails, said.as_bytes(), 1 << 16).await;
        assert!(seen.answers.iter().all(|(head, _)| head[0] == "HTTP/1.1 503 Service Unavailable"), "{seen:?}");
    }
}

#[tokio::test]
async fn nothing_is_sent_before_its_visit_is_written() {
    let shop = Shop::new();
    for way in [Way::Short, Way::Library] {
        let ears = Ears::new(Writing::Waits);
        let mut visitor = shop.connect(way, &ears);
        visitor.near.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        while ears.heard.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        let mut answer = vec![0; 1 << 16];
        for _ in 0..100 {
            tokio::task::yield_now().await;
            assert!(visitor.near.read(&mut answer).now_or_never().is_none(), "{way:?}");
        }
        ears.writing.send_replace(Writing::Written);
        assert!(visitor.near.read(&mut answer).await.unwrap() > 0);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{way:?}");
    }
}

#[tokio::test]
async fn when_the_server_stops_what_was_begun_is_answered_and_the_connection_ends() {
    let shop = Shop::new();
    let mut ends = Vec::new();
    for way in [Way::Short, Way::Library] {
        let ears = Ears::new(Writing::Waits);
        let mut visitor = shop.connect(way, &ears);
        visitor.near.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        while ears.heard.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        visitor.shutdown.begin();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        ears.writing.send_replace(Writing::Written);
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, visitor.near.read_to_end(&mut answer)).await.expect("it goes on").unwrap();
        ends.push(answers(&answer));
    }
    assert_eq!(ends[0], ends[1]);
    assert_eq!(ends[0].len(), 1, "a request after the last one is not answered");
    assert!(ends[0][0].0.iter().any(|line| line == "connection: close"));
}

#[tokio::test]
async fn when_the_server_stops_connections_that_rest_end() {
    let shop = Shop::new();
    for way in [Way::Short, Way::Library] {
        for asked in ["", "GET /tiny/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET /tiny/ HTTP/1.1\r\nHost: x\r\n\r\nGET /"] {
            if way == Way::Library && asked.ends_with("GET /") {
                // The library waits for the rest of it, up to the end of all.
                continue;
            }
            let mut visitor = shop.connect(way, &Ears::new(Writing::Written));
            visitor.near.write_all(asked.as_bytes()).await.unwrap();
            let mut first = [0; 1 << 12];
            if !asked.is_empty() {
                assert!(visitor.near.read(&mut first).await.unwrap() > 0);
            }
            tokio::task::yield_now().await;
            visitor.shutdown.begin();
            let end = tokio::time::timeout(PATIENCE, visitor.near.read_to_end(&mut Vec::new())).await;
            end.expect("it goes on").unwrap();
        }
    }
}

#[tokio::test]
async fn a_connection_that_rests_between_requests_is_let_go() {
    let shop = Shop::new();
    // The last one waits for content before it is handed on.
    for path in ["/", "/nothing", "/huge.png"] {
        let site = shop.site(Ears::new(Writing::Written));
        let mut visitor = Client::of(site, somebody(), Way::Short, Pace::brisk(Protocol::Http1));
        let said = format!("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        visitor.near.write_all(said.as_bytes()).await.unwrap();
        let end = tokio::time::timeout(PATIENCE, visitor.near.read_to_end(&mut Vec::new())).await;
        end.expect("it stays").unwrap();
        let slow = visitor.traffic.refusals(Refused::Slow);
        assert_eq!(slow, 0, "{path}: a visitor who has what was asked for was not slow");
    }
}

#[tokio::test]
async fn whoever_rested_and_waits_for_content_to_be_made_is_answered() {
    let shop = Shop::new();
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    for (way, path) in [Way::Short, Way::Library].into_iter().flat_map(|way| ["/", "/leads/"].map(|path| (way, path))) {
        let site = shop.site(Ears::new(Writing::Written));
        let mut visitor = Client::of(site.clone(), somebody(), way, Pace::brisk(Protocol::Http1));
        visitor.near.write_all(ask("/tiny/").as_bytes()).await.unwrap();
        let mut answer = [0; 1 << 12];
        assert!(visitor.near.read(&mut answer).await.unwrap() > 0);
        tokio::time::sleep(Pace::BRISK * 5).await;
        let held = site.contents.hold().await;
        visitor.near.write_all(ask(path).as_bytes()).await.unwrap();
        tokio::time::sleep(Pace::BRISK * 2).await;
        drop(held);
        let read = visitor.near.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 "), "{way:?} {path}");
        assert_eq!(visitor.traffic.refusals(Refused::Slow), 0, "{way:?} {path}: it was let go");
    }
}

#[tokio::test]
async fn content_without_room_in_its_household_waits() {
    const OF_CONNECTION: usize = 8 << 20;
    let shop = Shop::new();
    for way in [Way::Short, Way::Library] {
        let household = Household::new();
        let others: [Share; 3] = std::array::from_fn(|_| Share::of(household.clone()));
        let held: Vec<_> = others.iter().map(|share| share.take(OF_CONNECTION).unwrap()).collect();
        let site = shop.site(Ears::new(Writing::Written));
        // Somebody else has had it before, so that it is in memory.
        let address = SocketAddr::from(([192, 0, 2, 1], 1));
        let before = Client::of(site.clone(), Guest::alone(address), way, Pace::of(Protocol::Http1));
        before.say(b"GET /large.png HTTP/1.1\r\nHost: x\r\n\r\n", 1 << 16).await;
        let guest = Guest::of(address, household);
        let mut visitor = Client::of(site, guest, way, Pace::of(Protocol::Http1));
        visitor
            .near
            .write_all(b"GET /tiny/ HTTP/1.1\r\nHost: x\r\n\r\nGET /large.png HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        visitor.near.shutdown().await.unwrap();
        while visitor.traffic.answers(Method::Get, StatusCode::OK) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(visitor.traffic.answers(Method::Get, StatusCode::OK), 1, "{way:?}: what needs room is answered");
        drop(held);
        let mut answers = Vec::new();
        tokio::time::timeout(PATIENCE, visitor.near.read_to_end(&mut answers)).await.expect("it waits on").unwrap();
        assert!(answers.ends_with(&vec![8; 100_000]), "{way:?}");
    }
}

/// A log in which each visit is recorded while a release goes live.
#[derive(Default)]
struct Switching(OnceLock<SitePart>);

impl AccessLog for Switching {
    fn recognise(&self, _caller: &Caller<'_>, _remembered: &mut Remembered) -> Visitor {
        self.switch();
        Visitor::NOBODY
    }

    fn record(&self, _visit: &Visit<'_>) -> Ticket {
        self.switch();
        Ticket::of_no_log()
    }
}

impl Switching {
    fn switch(&self) {
        let (part, (switched, live)) = (self.0.get().unwrap().clone(), mpsc::channel());
        std::thread::spawn(move || {
            part.switch(LiveSite::default());
            switched.send(())
        });
        live.recv_timeout(PATIENCE).expect("the index is held while a visit is recorded");
    }
}

#[tokio::test]
async fn a_release_goes_live_while_visits_are_recorded() {
    let shop = Shop::new();
    for way in [Way::Short, Way::Library] {
        let log = Arc::new(Switching::default());
        let site = shop.site(log.clone());
        assert!(log.0.set(site.first()).is_ok());
        let visitor = Client::of(site, somebody(), way, Pace::of(Protocol::Http1));
        let answer = visitor.say(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1 << 16).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{way:?}");
    }
}

#[tokio::test]
async fn whoever_asks_without_end_lets_others_have_their_turn() {
    // Without a log nothing else gives way.
    let shop = Shop::new();
    let site = shop.site(Arc::new(NoLog));
    let traffic: Arc<Traffic> = Arc::default();
    // Somebody has had it before, so that nobody waits for the disk.
    let before = Client::of(site.clone(), somebody(), Way::Short, Pace::of(Protocol::Http1));
    before.say(b"HEAD /tiny/ HTTP/1.1\r\nHost: x\r\n\r\n", 1 << 16).await;
    let (mut near, far) = duplex(1 << 24);
    near.write_all("HEAD /tiny/ HTTP/1.1\r\nHost: x\r\n\r\n".repeat(5000).as_bytes()).await.unwrap();
    let (pace, counts) = (Arc::new(Pace::of(Protocol::Http1)), traffic.clone());
    let asking = tokio::spawn(async move {
        let (guest, ending) = (somebody(), Ending::default());
        let parties = Parties { site: &site, guest: &guest, traffic: &counts, pace: &pace, ending: &ending };
        ShortWay::of(parties, Paced::new(far, pace.clone()), None).go().await.unwrap().is_some()
    });
    let mut turns = 0;
    while traffic.answers(Method::Head, StatusCode::OK) < 5000 {
        assert!(!asking.is_finished(), "it is handed over");
        tokio::task::yield_now().await;
        turns += 1;
    }
    assert!(turns > 20, "{turns} turns");
}

#[tokio::test]
async fn a_head_that_does_not_come_whole_after_others_is_let_go() {
    let shop = Shop::new();
    let site = shop.site(Ears::new(Writing::Written));
    let mut visitor = Client::of(site, somebody(), Way::Short, Pace::brisk(Protocol::Http1));
    visitor.near.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHos").await.unwrap();
    let end = tokio::time::timeout(PATIENCE, visitor.near.read_to_end(&mut Vec::new())).await;
    end.expect("it stays").unwrap();
    assert_eq!(visitor.traffic.refusals(Refused::Slow), 1);
}
