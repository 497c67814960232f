//! Blob streams that do not hold what was asked for. The offer before each is genuine.

use std::sync::Arc;

use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::BlobRef;
use tieup_protocol::wire::Wanted;
use tieup_tests::parcel::{self, BlobStream, bomb, pack, send_blobs};
use tieup_tests::{Kept, World, assert_says, told};

use crate::settled;

/// A world in which a genuine release 2 has been offered to `north`, and the blobs that it lacks.
async fn offered() -> (World, Wanted, Vec<(BlobRef, Arc<[u8]>)>) {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.edit("/prices/", "Nothing is free.");
    let wanted = parcel::offer(&world.call("north").await, &world.offer("north", 2).await).await.unwrap();
    let built = world.built("north");
    let blobs = wanted.blobs.iter().map(|blob| (*blob, built.blob(&blob.digest).unwrap().clone())).collect();
    (world, wanted, blobs)
}

/// Fails unless the stream is refused as a problem of this kind in these words, nothing changes, and the genuine
/// blobs are taken afterwards.
async fn assert_refused(world: &World, stream: Vec<u8>, kind: &str, says: &[&str]) {
    let before = world.face("north").await;
    let error = send_blobs(&world.call("north").await, stream).await.unwrap_err();
    let problem = error.problem().unwrap_or_else(|| panic!("no problem response: {}", told(&error)));
    assert_eq!(problem.kind, format!("tieup:{kind}"), "{}", told(&error));
    assert_says(&told(&error), says);
    world.assert_unchanged("north", &before, Kept::All).await;
}

fn all(blobs: &[(BlobRef, Arc<[u8]>)]) -> BlobStream {
    blobs.iter().fold(BlobStream::default(), |stream, (blob, bytes)| stream.blob(blob, bytes))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_with_other_bytes_is_refused_and_the_genuine_one_taken_after_it() {
    let (world, wanted, blobs) = offered().await;
    assert!(wanted.blobs.len() >= 2, "the test needs blobs to bend: {wanted:?}");
    let (blob, bytes) = &blobs[0];
    let mut other = bytes.to_vec();
    other[0] ^= 1;
    let says = ["a blob was refused", &format!("blob {} was announced, but the bytes are", blob.digest)];
    assert_refused(&world, BlobStream::default().blob(blob, &other).packed(), "bad-blob", &says).await;
    send_blobs(&world.call("north").await, all(&blobs).packed()).await.unwrap();
    world.approve("north");
    world.assert_shows("north", "/prices/", "Nothing is free.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_another_length_is_refused() {
    let (world, _, blobs) = offered().await;
    let (blob, bytes) = &blobs[0];
    let not_asked = [&*format!("blob {} was not asked for", blob.digest)];
    let longer = BlobRef { length: blob.length + 1, ..*blob };
    let mut more = bytes.to_vec();
    more.push(b' ');
    assert_refused(&world, BlobStream::default().blob(&longer, &more).packed(), "bad-blob", &not_asked).await;
    let endless = BlobRef { length: u64::MAX, ..*blob };
    assert_refused(&world, BlobStream::default().blob(&endless, bytes).packed(), "bad-blob", &not_asked).await;
    let cut = BlobStream::default().blob(blob, &bytes[..bytes.len() - 1]).packed();
    let says = [&*format!("blob {} ended after {} of {} bytes", blob.digest, blob.length - 1, blob.length)];
    assert_refused(&world, cut, "bad-blob", &says).await;
    let trailing = BlobStream::default().blob(blob, &more).packed();
    assert_refused(&world, trailing, "broken-stream", &["the blob stream broke off", "hint: publish again"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_was_not_asked_for_is_refused() {
    let (world, _, blobs) = offered().await;
    let uninvited = b"<script src=//thief.example>";
    let stream = all(&blobs).blob(&BlobRef::of(uninvited), uninvited).packed();
    let says = [&*format!("blob {} was not asked for", Digest::of(uninvited))];
    assert_refused(&world, stream, "bad-blob", &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_repeats_itself_is_cut_at_the_first_repetition() {
    let (world, _, blobs) = offered().await;
    let (blob, bytes) = &blobs[0];
    let endless = (0..10_000).fold(BlobStream::default(), |stream, _| stream.blob(blob, bytes));
    let says = [&*format!("blob {} was not asked for", blob.digest)];
    assert_refused(&world, endless.packed(), "bad-blob", &says).await;
    let says = ["was not asked for"];
    assert_refused(&world, bomb(b"", 0, 1024), "bad-blob", &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_is_taken_up_again() {
    let (world, wanted, blobs) = offered().await;
    let packed = all(&blobs).packed();
    let cut = packed[..packed.len() / 2].to_vec();
    let before = world.face("north").await;
    let error = send_blobs(&world.call("north").await, cut).await.unwrap_err();
    assert!(error.problem().is_some(), "{}", told(&error));
    assert_refused(&world, b"not zstd at all".to_vec(), "broken-stream", &["the blob stream broke off"]).await;
    let (first, bytes) = &blobs[0];
    let part = BlobStream::default().blob(first, bytes).packed();
    let lacks = [&*format!("release 2 still lacks {} blobs", wanted.blobs.len() - 1), "hint: publish again"];
    assert_refused(&world, part, "incomplete", &lacks).await;
    world.assert_unchanged("north", &before, Kept::All).await;
    let again = parcel::offer(&world.call("north").await, &world.offer("north", 2).await).await.unwrap();
    assert_eq!(again.blobs.len(), wanted.blobs.len() - 1, "what had arrived is asked for again");
    send_blobs(&world.call("north").await, all(&blobs[1..]).packed()).await.unwrap();
    assert_eq!(world.releases("north")[0].state.word(), "staged");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_without_an_offer_are_refused() {
    let world = settled().await;
    let says = ["no release has been offered: offer it first", "hint: publish again"];
    assert_refused(&world, pack(b""), "incomplete", &says).await;
}
