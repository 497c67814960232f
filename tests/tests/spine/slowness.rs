//! Ends that stall, or send or take next to nothing: each is given up, and holds up nobody else.

use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use serde_json::Value;
use tieup_hub::partners::Hub;
use tieup_hub::publish::Rejected;
use tieup_protocol::wire::{BLOBS, MANIFEST, OFFER, Staged};
use tieup_tests::parcel::{self, pack};
use tieup_tests::proxy::Fault;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, Kept, World, assert_says, told};
use tieup_web::client::CallError;
use tokio::io::{AsyncWriteExt as _, DuplexStream, duplex};
use tokio_util::io::ReaderStream;

use crate::settled;

/// How long something may take before the test fails; less than the patience of a daemon that is not told otherwise.
const PATIENCE: Duration = Duration::from_secs(25);

/// How long the hub is patient here, and how long a push may take then; less than the patience of one that is not told.
const SHORT: Duration = Duration::from_secs(5);
const PUSH: Duration = Duration::from_secs(50);

/// A body, and the end into which its bytes are put. It has no end itself while that is kept.
fn open_body() -> (Body, DuplexStream) {
    let (near, far) = duplex(1 << 16);
    (Body::from_stream(ReaderStream::new(far)), near)
}

/// A body of which half comes and no more.
async fn half(bytes: &[u8]) -> (Body, DuplexStream) {
    let (body, mut near) = open_body();
    near.write_all(&bytes[..bytes.len() / 2]).await.unwrap();
    (body, near)
}

/// A frame of zstd that holds nothing: what consists of these never ends.
const SKIPPED: [u8; 8] = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];

/// A body that comes byte by byte behind what comes `at_once`, for a longer time than the test has.
fn trickle(at_once: Vec<u8>, bytes: Vec<u8>) -> Body {
    let (body, mut near) = open_body();
    tokio::spawn(async move {
        if near.write_all(&at_once).await.is_err() {
            return;
        }
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        for byte in bytes {
            pace.tick().await;
            if near.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    body
}

/// `north` with these limits, and a next release of which the content is still lacking, packed.
async fn on_offer(limits: &str) -> (World, Vec<u8>) {
    let mut world = settled().await;
    world.reconfigure("north", &format!("transfer: {limits}\n")).await;
    world.edit("/about/", "We mend everything.");
    let wanted = parcel::offer(&world.call("north").await, &world.offer("north", 2).await).await.unwrap();
    let content = pack(&world.contents("north", &wanted));
    (world, content)
}

/// The transfer is cut off with these words, changes nothing, and the release arrives after all.
async fn assert_cut_off(world: &World, sent: impl Future<Output = Result<Staged, CallError>>, says: &str) {
    let before = world.face("north").await;
    let sent = tokio::time::timeout(PATIENCE, sent).await.expect("the transfer is not cut off");
    let error = sent.unwrap_err();
    assert!(error.is_problem("broken-stream"), "{error:?}");
    assert_says(&told(&error), &["the stream broke off", says]);
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_stalls_in_the_middle_of_a_transfer_is_cut_off() {
    let (world, content) = on_offer("{silence_seconds: 1}").await;
    let (body, _kept) = half(&content).await;
    let client = world.call("north").await;
    assert_cut_off(&world, client.put_body(BLOBS, body), "main fell silent for 1 s").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_trickles_is_cut_off_though_it_is_never_silent() {
    let (world, mut content) = on_offer("{wait_seconds: 1, least_kib: 1}").await;
    content.resize(4096, 0);
    let client = world.call("north").await;
    assert_cut_off(&world, client.put_body(BLOBS, trickle(Vec::new(), content)), "main sent less than 1 KiB in 1 s")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_waits_for_one_that_stalls_no_longer_than_its_silence() {
    let (world, content) = on_offer("{silence_seconds: 1}").await;
    let (body, _kept) = half(&content).await;
    let client = world.call("north").await;
    let stalled = client.put_body::<Staged>(BLOBS, body);
    let both = async { tokio::join!(stalled, world.try_publish("north")) };
    let (stalled, published) = tokio::time::timeout(PATIENCE, both).await.expect("one transfer holds up the other");
    assert!(stalled.is_err());
    published.unwrap_or_else(|error| panic!("the other transfer: {}", told(&error)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_of_which_little_has_come_holds_up_no_other() {
    let (world, content) = on_offer("{silence_seconds: 3600, wait_seconds: 3600}").await;
    let (body, kept) = half(&content).await;
    let client = world.call("north").await;
    let stalled = tokio::spawn(async move { client.put_body::<Staged>(BLOBS, body).await });
    let published = tokio::time::timeout(PATIENCE, world.go_live("north")).await;
    published.expect("one transfer holds up the other");
    assert!(!stalled.is_finished());
    world.assert_shows("north", "/about/", "We mend everything.").await;
    drop(kept);
    assert!(stalled.await.unwrap().is_err(), "what had been staged already was staged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_keeps_others_waiting_keeps_a_pace_too() {
    let (world, _) = on_offer("{silence_seconds: 5, wait_seconds: 3600, pace_kib: 65536}").await;
    // Enough to get its turn; from then on it is neither silent nor ever done.
    let body = trickle(SKIPPED.repeat(4096), SKIPPED.repeat(4096));
    let client = world.call("north").await;
    let says = "main sent less than 65536 KiB a second of what it had announced, and others wait";
    assert_cut_off(&world, client.put_body(BLOBS, body), says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_main_sends_is_not_waited_for_without_end() {
    let (world, _) = on_offer("{silence_seconds: 1}").await;
    for (method, path) in [(Method::POST, OFFER), (Method::PUT, MANIFEST)] {
        let (body, _kept) = half(&pack(&[7; 4096])).await;
        let client = world.call("north").await;
        let call = tokio::time::timeout(PATIENCE, client.call::<Value>(method, path, body)).await;
        call.unwrap_or_else(|_| panic!("{path} is waited for without end")).unwrap_err();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_takes_no_more_is_given_up_and_holds_up_no_other() {
    let contract = || Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#);
    let mut world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", contract())
        .contract("south", contract())
        .start()
        .await;
    world.go_live("north").await;
    world.go_live("south").await;
    let proxy = world.proxy("north").await;
    world.edit("/about/", "We mend everything.");
    // More than the buffers on the way take.
    let noise: String = (0..24 << 20).map(|_| fastrand::alphanumeric()).collect();
    world.write_main("static/noise.txt", &noise);
    let before = world.face("north").await;
    let hub = Hub::open(world.hub().config.clone()).await.unwrap().patient_for(SHORT);
    let site = world.site();
    proxy.lay(Fault::Stall, 1 << 20);
    let push = tokio::time::timeout(PUSH, hub.publish(&site, &[], Rejected::Skip));
    let outcomes = push.await.expect("a partner that takes nothing is waited for").unwrap();
    assert_eq!(proxy.happened(), 1);
    for (partner, outcome) in outcomes {
        match outcome {
            Err(error) if partner == site_id("north") => {
                assert_says(&told(&error), &["was not published to `north`", "nothing came for 5 s"]);
            }
            Ok(_) if partner == site_id("south") => {}
            other => panic!("`{partner}`: {other:?}"),
        }
    }
    world.assert_shows("south", "/about/", "We mend everything.").await;
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
    proxy.let_go();
    world.publish("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}
