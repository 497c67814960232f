//! Blob streams that do not hold what was asked for. The offer before each is genuine.

use std::sync::Arc;

use tieup_protocol::manifest::BlobRef;
use tieup_tests::parcel::{self, bomb, pack, send_blobs};
use tieup_tests::{Kept, World, assert_says, told};

use crate::settled;

/// A world in which a genuine release 2 has been offered to `north`, and the blobs that it lacks.
async fn offered() -> (World, Vec<(BlobRef, Arc<[u8]>)>) {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.edit("/prices/", "Nothing is free.");
    let wanted = parcel::offer(&world.call("north").await, &world.offer("north", 2).await).await.unwrap();
    let built = world.built("north");
    let blobs: Vec<_> = wanted.iter().map(|blob| (*blob, built.blob(&blob.digest).unwrap().clone())).collect();
    assert!(blobs.len() >= 2, "the tests need blobs to bend: {wanted:?}");
    (world, blobs)
}

/// Fails unless the stream is refused as a problem of this kind in these words, and nothing changes.
async fn assert_refused(world: &World, stream: Vec<u8>, kind: &str, says: &[&str]) {
    let before = world.face("north").await;
    let error = send_blobs(&world.call("north").await, stream).await.unwrap_err();
    let problem = error.problem().unwrap_or_else(|| panic!("no problem response: {}", told(&error)));
    assert_eq!(problem.kind, format!("tieup:{kind}"), "{}", told(&error));
    assert_says(&told(&error), says);
    world.assert_unchanged("north", &before, Kept::All).await;
}

fn all(blobs: &[(BlobRef, Arc<[u8]>)]) -> Vec<u8> {
    blobs.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_with_other_bytes_is_refused_and_the_genuine_one_taken_after_it() {
    let (world, blobs) = offered().await;
    let mut other = all(&blobs);
    other[0] ^= 1;
    let says = ["a blob was refused", &format!("blob {} was announced, but the bytes are", blobs[0].0.digest)];
    assert_refused(&world, pack(&other), "bad-blob", &says).await;
    send_blobs(&world.call("north").await, pack(&all(&blobs))).await.unwrap();
    world.approve("north");
    world.assert_shows("north", "/prices/", "Nothing is free.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_of_another_length_is_refused() {
    let (world, blobs) = offered().await;
    let (last, bytes) = blobs.last().unwrap();
    let whole = all(&blobs);
    let says = [&*format!("blob {} ended after {} of {} bytes", last.digest, bytes.len() - 1, bytes.len())];
    assert_refused(&world, pack(&whole[..whole.len() - 1]), "bad-blob", &says).await;
    let (world, blobs) = offered().await;
    let longer = [all(&blobs).as_slice(), b" "].concat();
    assert_refused(&world, pack(&longer), "bad-blob", &["more was sent than was asked for"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_in_another_order_are_refused() {
    let (world, mut blobs) = offered().await;
    blobs.reverse();
    assert_refused(&world, pack(&all(&blobs)), "bad-blob", &["a blob was refused", "was announced"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_never_ends_is_cut_where_what_was_asked_for_ends() {
    let (world, blobs) = offered().await;
    let says = ["more was sent than was asked for"];
    assert_refused(&world, bomb(&all(&blobs), 0, 1024), "bad-blob", &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_is_taken_up_again() {
    let (world, blobs) = offered().await;
    let before = world.face("north").await;
    let packed = pack(&all(&blobs));
    let error = send_blobs(&world.call("north").await, packed[..packed.len() / 2].to_vec()).await.unwrap_err();
    assert!(error.problem().is_some(), "{}", told(&error));
    assert_refused(
        &world,
        b"not zstd at all".to_vec(),
        "broken-stream",
        &["the stream broke off", "hint: publish again"],
    )
    .await;
    let (first, bytes) = &blobs[0];
    let lacks = [&*format!("blob {} ended after 0 of", blobs[1].0.digest)];
    assert_refused(&world, pack(bytes), "bad-blob", &lacks).await;
    world.assert_unchanged("north", &before, Kept::All).await;
    let client = world.call("north").await;
    let ready = parcel::announce(&client, &world.offer("north", 2).await.offer).await.unwrap();
    let again = ready.wanted.unwrap().of(&world.manifest("north", 2).blobs_in_order());
    assert!(again.len() < blobs.len() && !again.contains(first), "what had arrived is asked for again");
    send_blobs(&client, pack(&world.contents("north", &again))).await.unwrap();
    assert_eq!(world.releases("north")[0].state.word(), "staged");
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_without_an_offer_or_a_manifest_are_refused() {
    let world = settled().await;
    let says = ["no release has been offered: offer it first", "hint: publish again"];
    assert_refused(&world, pack(b""), "incomplete", &says).await;
    parcel::announce(&world.call("north").await, &world.offer("north", 2).await.offer).await.unwrap();
    let says = ["the manifest of release 2 has not arrived", "hint: publish again"];
    assert_refused(&world, pack(b""), "incomplete", &says).await;
}
