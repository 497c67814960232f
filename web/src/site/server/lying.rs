//! Answers that are left lying: by one connection, and by a whole household.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use tieup_protocol::access::Method;
use tieup_protocol::contract::MeterClass;
use tieup_protocol::manifest::EntryKind;
use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::{Connection, Guest, Pace, Protocol};
use crate::listener::Shutdown;
use crate::metrics::{Refused, Traffic};
use crate::site::household::{Household, REQUESTS_OF_ADDRESS, REQUESTS_OF_CONNECTION};
use crate::site::{LiveSite, NoLog, PublicSite, ServedFile};

/// What a client says first (RFC 9113, section 3.4), before its settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Settings by which an answer's content has no room on its way, room for one byte, and all the room that there can be.
const NO_WINDOW: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";
const ONE_BYTE_WINDOW: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\x01";
const WIDE_WINDOW: &[u8] = b"\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0";

/// The kind of a frame of content, and the flag that it is the last one.
const DATA: u8 = 0;
const END: u8 = 1;

/// How large the page is: it is kept in memory, and nine of it are more than a connection has room for.
const LARGE: usize = 1 << 20;

const PATIENCE: Duration = Duration::from_mins(1);

/// A site with a large page at `/`, and its visitors.
struct Visited {
    site: Arc<PublicSite>,
    traffic: Arc<Traffic>,
    household: Household,
    _folder: tempfile::TempDir,
}

impl Visited {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(BlobStore::open(folder.path().join("blobs")).unwrap());
        let site = Arc::new(PublicSite::new(blobs.clone(), Arc::new(NoLog), Cache::at(folder.path().join("coded"))));
        let blob = blobs.put(&vec![7; LARGE]).unwrap();
        let media_type = "application/octet-stream".into();
        let file = ServedFile { blob, media_type, kind: EntryKind::Asset, class: MeterClass::Tieup };
        let files = std::iter::once(("/".parse().unwrap(), file)).collect();
        site.switch(LiveSite { files, ..LiveSite::default() });
        Self { site, traffic: Arc::default(), household: Household::new(), _folder: folder }
    }

    /// A connection of the household, with these settings.
    async fn connect(&self, settings: &[u8]) -> DuplexStream {
        self.connect_at(Pace::of(Protocol::Http2), settings).await
    }

    /// The same at a pace.
    async fn connect_at(&self, pace: Pace, settings: &[u8]) -> DuplexStream {
        let guest = Guest::of(SocketAddr::from(([192, 0, 2, 1], 1)), self.household.clone());
        let connection = Connection { site: self.site.clone(), guest, hsts: None, traffic: self.traffic.clone() };
        let (mut near, far) = duplex(1 << 16);
        tokio::spawn(connection.speak_http2(far, pace, Shutdown::new()));
        near.write_all(&[PREFACE, settings].concat()).await.unwrap();
        near
    }

    /// A connection by HTTP/1.1 at this pace, by which `/` is asked for, and that nothing more is.
    async fn half_closed(&self, pace: Pace) -> DuplexStream {
        let guest = Guest::of(SocketAddr::from(([192, 0, 2, 1], 1)), self.household.clone());
        let connection = Connection { site: self.site.clone(), guest, hsts: None, traffic: self.traffic.clone() };
        let (mut near, far) = duplex(1 << 16);
        tokio::spawn(connection.speak_http1(far, pace, Shutdown::new()));
        near.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        near.shutdown().await.unwrap();
        near
    }

    /// Waits until no connection is open any more.
    async fn let_go(&self) {
        let gone = async {
            while Arc::strong_count(&self.traffic) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("nobody is let go");
    }

    async fn answered(&self, status: StatusCode, times: u64) {
        let answered = async {
            while self.traffic.answers(Method::Get, status) < times {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, answered).await.expect("it is not answered");
    }
}

/// A GET at `x` on the stream `number`, from 0: of `/`, or of an index that is not there.
fn request(number: u32, path: u8) -> Vec<u8> {
    let stream = (2 * number + 1).to_be_bytes();
    [b"\0\0\x06\x01\x05".as_slice(), &stream, &[0x82, path, 0x87], b"\x41\x01x"].concat()
}

/// By which the static table names `/` and `/index.html`.
const ROOT: u8 = 0x84;
const NOWHERE: u8 = 0x85;

#[tokio::test]
async fn content_without_room_on_its_connection_waits_and_comes() {
    let visited = Visited::new();
    let mut client = visited.connect(WIDE_WINDOW).await;
    let times = 9;
    for number in 0..times {
        client.write_all(&request(number, ROOT)).await.unwrap();
    }
    // What is not read is no reason to make the ninth.
    visited.answered(StatusCode::OK, 8).await;
    assert_eq!(visited.traffic.answers(Method::Get, StatusCode::OK), 8, "more than there is room for is answered");
    let (mut bytes, mut ended) = (0, 0);
    let mut head = [0; 9];
    while ended < times {
        let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut head)).await;
        read.expect("those that wait do not come").unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        client.read_exact(&mut vec![0; length]).await.unwrap();
        if head[3] == DATA {
            bytes += length;
            ended += u32::from(head[4] & END);
        }
    }
    assert_eq!(bytes, times as usize * LARGE);
}

#[tokio::test]
async fn whoever_takes_nothing_makes_room_for_others_of_the_household() {
    let visited = Visited::new();
    let mut lying = Vec::new();
    for number in 0..REQUESTS_OF_ADDRESS / REQUESTS_OF_CONNECTION {
        let mut client = visited.connect(NO_WINDOW).await;
        for number in 0..REQUESTS_OF_CONNECTION {
            client.write_all(&request(number, NOWHERE)).await.unwrap();
        }
        lying.push(client);
        visited.answered(StatusCode::NOT_FOUND, u64::from((number + 1) * REQUESTS_OF_CONNECTION)).await;
    }
    assert_eq!(visited.traffic.refusals(Refused::Crowded), 0);
    // The only request of a connection is answered beyond what there is room for, a further one in the room of others.
    let mut asks = visited.connect(NO_WINDOW).await;
    for number in 0..2 {
        asks.write_all(&request(number, NOWHERE)).await.unwrap();
        visited.answered(StatusCode::NOT_FOUND, u64::from(REQUESTS_OF_ADDRESS + number + 1)).await;
        assert_eq!(visited.traffic.refusals(Refused::Crowded), u64::from(number));
    }
    let cut = futures_util::future::select_all(lying.iter_mut().map(|client| {
        Box::pin(async move {
            // An end in order and a cut are both an end.
            let _ = client.read_to_end(&mut Vec::new()).await;
        })
    }));
    tokio::time::timeout(PATIENCE, cut).await.expect("nobody is let go");
}

#[tokio::test]
async fn whoever_says_that_nothing_more_is_asked_for_has_the_whole_answer_and_the_end() {
    let visited = Visited::new();
    let mut client = visited.half_closed(Pace::of(Protocol::Http1)).await;
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, client.read_to_end(&mut answer)).await.expect("it does not end").unwrap();
    assert!(answer.ends_with(&vec![7; LARGE]), "{} bytes came", answer.len());
    assert_eq!(visited.traffic.refusals(Refused::Slow), 0);
}

#[tokio::test]
async fn whoever_says_that_nothing_more_is_asked_for_and_takes_nothing_is_let_go_as_one_who_is_slow() {
    let visited = Visited::new();
    let mut client = visited.half_closed(Pace::hasty(Protocol::Http1)).await;
    visited.let_go().await;
    assert_eq!(visited.traffic.refusals(Refused::Slow), 1, "the answer was taken to be sent");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.len() < LARGE, "all of it was sent");
}

#[tokio::test]
async fn whoever_makes_room_for_a_byte_and_takes_no_more_is_let_go_as_one_who_is_slow() {
    let visited = Visited::new();
    let mut client = visited.connect_at(Pace::hasty(Protocol::Http2), ONE_BYTE_WINDOW).await;
    client.write_all(&request(0, ROOT)).await.unwrap();
    visited.let_go().await;
    assert_eq!(visited.traffic.refusals(Refused::Slow), 1, "the answer was taken to be sent");
}
