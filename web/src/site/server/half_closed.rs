//! Visitors on real sockets who say right after their request that nothing more is asked for.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown as Direction, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tieup_protocol::contract::MeterClass;
use tieup_protocol::manifest::EntryKind;
use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;
use tokio::net::TcpListener;

use super::Door;
use crate::listener::Shutdown;
use crate::site::{Admission, Crowd, LiveSite, NoLog, PublicSite, ServedFile};

/// What is small, what takes room, and what is read from the disk in pieces.
const LENGTHS: [usize; 3] = [2_000, 900_000, 3_000_000];

/// What `address` says to a request for `/LENGTH`, until it ends.
fn answer(address: SocketAddr, length: usize, besides: &str) -> Vec<u8> {
    let mut visitor = TcpStream::connect(address).unwrap();
    visitor.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    visitor.write_all(format!("GET /{length} HTTP/1.1\r\nHost: x\r\n{besides}\r\n").as_bytes()).unwrap();
    visitor.shutdown(Direction::Write).unwrap();
    let mut answer = Vec::new();
    visitor.read_to_end(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn they_have_the_whole_answer_and_then_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(BlobStore::open(folder.path().join("blobs")).unwrap());
    let site = Arc::new(PublicSite::new(blobs.clone(), Arc::new(NoLog), Cache::at(folder.path().join("coded"))));
    let files = LENGTHS.map(|length| {
        let blob = blobs.put(&vec![7; length]).unwrap();
        let (media_type, kind) = ("application/octet-stream".into(), EntryKind::Asset);
        (format!("/{length}").parse().unwrap(), ServedFile { blob, media_type, kind, class: MeterClass::Tieup })
    });
    site.switch(LiveSite { files: files.into_iter().collect(), ..LiveSite::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
    let (crowd, until) = (Crowd::new(Admission::default(), Arc::default()), shutdown.clone());
    let serving = tokio::spawn(async move { site.serve(Door::plain(listener), &crowd, until).await });
    // By the short way, and by the protocol's library.
    for besides in ["", "TE: trailers\r\n"] {
        for length in LENGTHS {
            let answer = tokio::task::spawn_blocking(move || answer(address, length, besides)).await.unwrap();
            let body = answer.windows(4).position(|end| end == b"\r\n\r\n").map(|end| &answer[end + 4..]);
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{length} {besides}");
            assert!(body.is_some_and(|body| *body == vec![7; length]), "{length} {besides}: {} bytes", answer.len());
        }
    }
    shutdown.begin();
    serving.await.unwrap();
}
