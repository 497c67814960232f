//! Connections on which nothing is asked for any more, in the hands of a client that goes on giving signs of life.

use std::net::SocketAddr;
use std::sync::Arc;

use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::{Connection, Guest, Pace, Protocol};
use crate::listener::Shutdown;
use crate::metrics::Traffic;
use crate::site::{NoLog, PublicSite};

/// What a client says first (RFC 9113, section 3.4), with settings that change nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A GET of `/` at `x`, on the first stream.
const REQUEST: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x84\x87\x41\x01x";

/// Kinds of frames, and the flag of an acknowledgement.
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// An empty site, and a connection to it that is looked at often.
fn connected(folder: &std::path::Path, protocol: Protocol) -> (DuplexStream, Arc<Traffic>) {
    let blobs = Arc::new(BlobStore::open(folder.join("blobs")).unwrap());
    let site = Arc::new(PublicSite::new(blobs, Arc::new(NoLog), Cache::at(folder.join("coded"))));
    let traffic: Arc<Traffic> = Arc::default();
    let guest = Guest::alone(SocketAddr::from(([192, 0, 2, 1], 1)));
    let connection = Connection { site, guest, hsts: None, traffic: traffic.clone() };
    let (near, far) = duplex(1 << 16);
    tokio::spawn(async move {
        let pace = Pace::hasty(protocol);
        match protocol {
            Protocol::Http1 => connection.speak_http1(far, pace, Shutdown::new()).await,
            Protocol::Http2 => connection.speak_http2(far, pace, Shutdown::new()).await,
        }
    });
    (near, traffic)
}

/// Reads frames to the end of the connection, and acknowledges those that are to be; the kinds of all of them.
async fn frames(mut client: DuplexStream) -> Vec<u8> {
    let mut kinds = Vec::new();
    let mut head = [0; 9];
    while client.read_exact(&mut head).await.is_ok() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        client.read_exact(&mut payload).await.unwrap();
        kinds.push(head[3]);
        if [SETTINGS, PING].contains(&head[3]) && head[4] & ACK == 0 {
            let payload = if head[3] == PING { &payload[..] } else { &[] };
            let length = u8::try_from(payload.len()).unwrap();
            let answer = [&[0, 0, length, head[3], ACK, 0, 0, 0, 0], payload].concat();
            // Where it has gone meanwhile, the next read says so.
            let _ = client.write_all(&answer).await;
        }
    }
    kinds
}

fn slow(traffic: &Traffic) -> u64 {
    traffic.refusals(crate::metrics::Refused::Slow)
}

#[tokio::test]
async fn an_http2_connection_that_rests_is_let_go_with_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let (mut client, traffic) = connected(folder.path(), Protocol::Http2);
    client.write_all(&[PREFACE, REQUEST].concat()).await.unwrap();
    let kinds = frames(client).await;
    assert!(kinds.contains(&GOAWAY), "{kinds:?}");
    assert_eq!(slow(&traffic), 0, "a visitor who has what was asked for was not slow");
}

#[tokio::test]
async fn an_http2_connection_that_only_chatters_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let (client, traffic) = connected(folder.path(), Protocol::Http2);
    let (reading, mut writing) = tokio::io::split(client);
    let chatter = tokio::spawn(async move {
        let ping = [&[0, 0, 8, PING, 0, 0, 0, 0, 0][..], &[7; 8]].concat().repeat(100);
        writing.write_all(PREFACE).await.unwrap();
        while writing.write_all(&ping).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let mut reading = reading;
    // An end in order and a cut are both an end.
    let mut answers = Vec::new();
    let _ = reading.read_to_end(&mut answers).await;
    assert!(answers.len() > 100 * 17, "{} bytes: it was not answered at all", answers.len());
    chatter.await.unwrap();
    assert_eq!(slow(&traffic), 1);
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let silences: [(Protocol, &[u8]); 3] =
        [(Protocol::Http1, b""), (Protocol::Http1, b"GET / HTTP/1.1\r\nhost: x\r\n"), (Protocol::Http2, b"")];
    for (protocol, begun) in silences {
        let (mut client, traffic) = connected(folder.path(), protocol);
        client.write_all(begun).await.unwrap();
        client.read_to_end(&mut Vec::new()).await.unwrap();
        assert_eq!(slow(&traffic), 1, "{protocol:?}: {begun:?}");
    }
}
