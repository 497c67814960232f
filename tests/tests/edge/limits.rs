//! What a site's daemon does at its limits: with too many of one address, and when it is told to end amid an answer.

use std::net::SocketAddr;
use std::process::Command;

use tieup_tests::child::Program;
use tieup_tests::secure::Secure;
use tieup_tests::{assert_says, raw};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{certify, eventually, free_port, settled, trusting};

/// How long the file is that takes a while to be sent: more than the buffers on the way take.
const LONG: usize = 24 << 20;

/// Asks for `path` on a connection that stays open, and reads the first bytes of the answer.
async fn begun(site: SocketAddr, path: &str) -> std::io::Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(site).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").as_bytes()).await?;
    let mut first = vec![0; 16];
    stream.read_exact(&mut first).await?;
    Ok((stream, first))
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_one_address_has_as_many_connections_as_it_may_and_no_more() {
    let mut world = settled().await;
    world.reconfigure("north", "visitors: {of_one_address: 2}\n").await;
    let site = world.partner("north").public;
    let first = begun(site, "/about/").await.unwrap();
    let second = begun(site, "/about/").await.unwrap();
    begun(site, "/about/").await.expect_err("a third is let in");
    drop(first);
    eventually("there is a place again", async || begun(site, "/about/").await.is_ok()).await;
    drop(second);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_a_visitor_to_a_full_site_waits_until_somebody_leaves() {
    let mut world = settled().await;
    world.reconfigure("north", "visitors: {connections: 1}\n").await;
    let site = world.partner("north").public;
    let (mut first, _) = begun(site, "/about/").await.unwrap();
    let mut second = TcpStream::connect(site).await.unwrap();
    second.write_all(b"GET /about/ HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await.unwrap();
    // The first is answered ten times over; a second that was let in would have been, too.
    for _ in 0..10 {
        first.write_all(b"GET /about/ HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
        assert!(first.read(&mut [0; 16 << 10]).await.unwrap() > 0);
    }
    assert!(second.try_read(&mut [0; 16]).is_err(), "a second is answered beside the first");
    drop(first);
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.unwrap();
    assert_says(&answer, &["HTTP/1.1 200", "We mend lamps."]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_connections_at_both_ports_are_counted_together() {
    let mut world = settled().await;
    let (port, pem) = (free_port(), certify(world.folder(), "shop.example"));
    let folder = world.folder().display().to_string();
    let files = format!("certificate: '{folder}/fullchain.pem', key: '{folder}/privkey.pem'");
    let https = format!("https: {{listen: '127.0.0.1:{port}', {files}}}\nvisitors: {{of_one_address: 1}}\n");
    world.reconfigure("north", &https).await;
    let (plain, secure) = (world.partner("north").public, SocketAddr::from(([127, 0, 0, 1], port)));
    let browser = trusting(&pem, &[b"http/1.1"]);
    // A request of which the rest does not come.
    let mut half = TcpStream::connect(plain).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let connect = async || Secure::connect(&browser, "shop.example", secure).await.ok();
    eventually("the one at the plain port has the place", async || connect().await.is_none()).await;
    drop(half);
    let mut let_in = None;
    eventually("there is a place again", async || {
        let_in = connect().await;
        let_in.is_some()
    })
    .await;
    let mut connection = let_in.unwrap();
    assert_eq!(connection.get("/about/").await.unwrap().0, 200);
    begun(plain, "/").await.expect_err("the one at the port of HTTPS has the place");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_58_a_daemon_that_is_told_to_end_finishes_the_answers_that_it_began() {
    let mut world = settled().await;
    let noise: String = (0..LONG).map(|_| fastrand::alphanumeric()).collect();
    world.write_main("static/noise.txt", &noise);
    world.go_live("north").await;
    let halted = world.halt("north").await;
    let program = Program::new(env!("CARGO_BIN_EXE_syncd-to-kill"), &halted);
    let mut process = tokio::task::block_in_place(|| program.start());
    let (mut download, mut answer) = begun(halted.public, "/noise.txt").await.unwrap();
    let (mut resting, mut first) = begun(halted.public, "/about/").await.unwrap();

    Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
    let refused = async || TcpStream::connect(halted.public).await.is_err();
    eventually("nobody new is let in", refused).await;
    // One that rests is ended in order, with all of its answer.
    resting.read_to_end(&mut first).await.unwrap();
    assert_says(&String::from_utf8_lossy(&first), &["HTTP/1.1 200", "We mend lamps."]);
    download.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_says(head, &["HTTP/1.1 200 OK", &format!("content-length: {LONG}")]);
    assert!(body == noise, "{} of {LONG} bytes came", body.len());
    let status = tokio::task::block_in_place(|| process.wait());
    assert!(status.success(), "{status}:\n{}", program.logged());

    // The visit is in the journal, and the daemon starts again from what it left.
    let again = tokio::task::block_in_place(|| program.start());
    assert_eq!(raw::request(halted.public, "GET", "/about/", &[]).await.status, 200);
    drop(again);
    world.stop().await;
}
