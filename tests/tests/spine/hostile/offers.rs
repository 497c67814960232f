//! Offers over main's own line that are not what main's release keys signed, or not for this partner, or too old.

use std::num::NonZeroU64;

use jiff::{SignedDuration, Timestamp};
use tieup_hub::keys::KeyFolder;
use tieup_hub::signing::ReleaseSigner;
use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::{BlobRef, EntryKind, Manifest, SlotRange};
use tieup_protocol::path::SitePath;
use tieup_protocol::wire::{MAX_OFFER, OFFER, Offer, Ready};
use tieup_tests::parcel::{self, Parcel, bomb, pack, send_blobs};
use tieup_tests::world::site_id;
use tieup_tests::{Contract, Kept, World, assert_says, told};

use crate::settled;

/// What is done to a manifest, at a path of it.
type Bend = fn(&mut Manifest, &SitePath);

/// Fails unless `north` refuses the offer as a problem of this kind in these words, and stays as it is.
async fn assert_refused(world: &World, offer: &Parcel, kind: &str, says: &[&str]) {
    let before = world.face("north").await;
    let error = parcel::offer(&world.call("north").await, offer).await.unwrap_err();
    let problem = error.problem().unwrap_or_else(|| panic!("no problem response: {}", told(&error)));
    assert_eq!(problem.kind, format!("tieup:{kind}"), "{}", told(&error));
    assert_says(&told(&error), says);
    // What is signed was genuine where the manifest alone is not.
    let signed = matches!(kind, "altered-manifest" | "invalid-manifest" | "unusable-contract");
    world.assert_unchanged("north", &before, if signed { Kept::AllButTrust } else { Kept::All }).await;
}

/// The text with the character at `at` replaced by another of the same kind.
fn with_one_changed(text: &str, at: usize) -> String {
    let old = char::from(text.as_bytes()[at]);
    let new = match old {
        'a' => 'b',
        'A' => 'B',
        '0' => '1',
        c if c.is_ascii_lowercase() => 'a',
        c if c.is_ascii_uppercase() => 'A',
        c if c.is_ascii_digit() => '0',
        _ => 'x',
    };
    format!("{}{new}{}", &text[..at], &text[at + 1..])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_with_one_thing_changed_is_refused() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    let genuine = world.offer("north", 2).await;
    let path: SitePath = "/about/".parse().unwrap();
    let bends: [(&str, Bend); 9] = [
        ("a digest", |manifest, path| manifest.entries.get_mut(path).unwrap().blob.digest = Digest::of(b"other")),
        ("a length", |manifest, path| manifest.entries.get_mut(path).unwrap().blob.length += 1),
        ("a media type", |manifest, path| manifest.entries.get_mut(path).unwrap().media_type.push('x')),
        ("a kind", |manifest, path| manifest.entries.get_mut(path).unwrap().kind = EntryKind::Asset),
        ("a page that is left out", |manifest, path| drop(manifest.entries.remove(path))),
        ("the version", |manifest, _| manifest.version = manifest.version.next()),
        ("the partner", |manifest, _| manifest.partner = site_id("south")),
        ("the theme", |manifest, _| manifest.theme.push('x')),
        ("the page index", |manifest, _| manifest.index = BlobRef::of(b"[]")),
    ];
    for (what, bend) in bends {
        println!("{what}");
        let mut altered = genuine.clone();
        bend(&mut altered.manifest, &path);
        assert_refused(&world, &altered, "altered-manifest", &["the manifest is not the one that main signed"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_with_one_byte_changed_is_refused() {
    let world = settled().await;
    let genuine = world.offer("north", 2).await;
    let places = ["keyid\": \"", "sig\": \"", "version\": ", "expires\": \"", "length\": ", "sha256\": \""];
    for place in places {
        let bend = |text: &str| text.find(place).map(|at| with_one_changed(text, at + place.len()));
        let altered = [
            bend(&genuine.offer.timestamp).map(|timestamp| Offer { timestamp, ..genuine.offer.clone() }),
            bend(&genuine.offer.snapshot).map(|snapshot| Offer { snapshot, ..genuine.offer.clone() }),
            bend(&genuine.offer.targets).map(|targets| Offer { targets, ..genuine.offer.clone() }),
        ];
        assert!(altered.iter().any(Option::is_some), "no document has {place:?}");
        for offer in altered.into_iter().flatten() {
            let says = ["the release's signatures do not verify against the pinned root of `lampworks`"];
            let altered = Parcel { offer, ..genuine.clone() };
            assert_refused(&world, &altered, "bad-signature", &says).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_tls_key_publishes_nothing() {
    let world = settled().await;
    world.edit("/about/", "Visit the thief's shop.");
    let thief = KeyFolder::new(&world.folder().join("thief"), &site_id("lampworks"));
    thief.create().unwrap();
    let manifest = world.manifest("north", 2);
    let forged = sign_with(&thief.release_signer().unwrap(), &world, &manifest, Timestamp::now());
    let says = ["signatures do not verify against the pinned root of `lampworks`"];
    assert_refused(&world, &forged, "bad-signature", &says).await;
    let with_root = Parcel { offer: Offer { roots: vec![thief.root().unwrap()], ..forged.offer }, ..forged };
    assert_refused(&world, &with_root, "bad-signature", &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_out_of_date_is_refused() {
    let world = settled().await;
    let signer = world.hub().keys.release_signer().unwrap();
    let manifest = world.manifest("north", 2);
    let a_month_ago = Timestamp::now() - SignedDuration::from_hours(24 * 31);
    let stale = sign_with(&signer, &world, &manifest, a_month_ago);
    let says = ["the release's timestamp metadata has expired: main must publish again"];
    assert_refused(&world, &stale, "expired-metadata", &says).await;
}

fn sign_with(signer: &ReleaseSigner, world: &World, manifest: &Manifest, now: Timestamp) -> Parcel {
    let freshness = NonZeroU64::new(1_000).unwrap();
    let signatures = signer.sign(manifest, freshness, now).unwrap();
    let offer = Offer {
        roots: Vec::new(),
        timestamp: signatures.timestamp,
        snapshot: signatures.snapshot,
        targets: signatures.targets,
        contract: world.built("north").contract().to_owned(),
    };
    Parcel { offer, manifest: manifest.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_older_than_the_live_one_is_refused() {
    let world = settled().await;
    let first = world.offer("north", 1).await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    assert_refused(&world, &first, "older-release", &["older than what this partner has seen"]).await;
    let first = world.offer("north", 1).await;
    let says = ["release 1 is older than release 2, which this partner already has"];
    assert_refused(&world, &first, "older-release", &says).await;
    let second = world.offer("north", 2).await;
    let old_content = Parcel { manifest: first.manifest.clone(), ..second.clone() };
    assert_refused(&world, &old_content, "altered-manifest", &["the manifest is not the one that main signed"]).await;
    let mixed = Parcel { offer: Offer { targets: first.offer.targets, ..second.offer }, ..second };
    assert_refused(&world, &mixed, "bad-signature", &["do not verify"]).await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_older_than_one_that_was_only_seen_is_refused() {
    let world = settled().await;
    let third = world.offer("north", 3).await;
    parcel::offer(&world.call("north").await, &third).await.unwrap();
    let second = world.offer("north", 2).await;
    let says = ["release 2 is older than release 3, which this partner already has"];
    assert_refused(&world, &second, "older-release", &says).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_release_offered_again_stays_live() {
    let world = settled().await;
    let again = world.offer("north", 1).await;
    let before = world.face("north").await;
    let client = world.call("north").await;
    parcel::offer(&client, &again).await.unwrap();
    let staged = send_blobs(&client, pack(b"")).await.unwrap();
    assert_eq!(staged.release, before.releases[0], "what main hears of a release that is live");
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_release_offered_again_stays_rejected() {
    let world = settled().await;
    world.edit("/about/", "We mend nothing.");
    world.publish("north").await;
    world.reject("north", "we do mend");
    let before = world.face("north").await;
    let rejected = world.offer("north", 2).await;
    let client = world.call("north").await;
    parcel::offer(&client, &rejected).await.unwrap();
    let staged = send_blobs(&client, pack(b"")).await.unwrap();
    assert_eq!(staged.release, before.releases[0], "what main hears of a release that was rejected");
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_content_under_the_live_number_is_refused() {
    let world = settled().await;
    world.edit("/about/", "We mend nothing.");
    let other = world.offer("north", 1).await;
    let before = world.face("north").await;
    let client = world.call("north").await;
    let wanted = parcel::offer(&client, &other).await.unwrap();
    let error = send_blobs(&client, pack(&world.contents("north", &wanted))).await.unwrap_err();
    assert_says(&told(&error), &["release 1 is live here with other content"]);
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_for_another_partner_is_refused() {
    let world = settled().await;
    // Each partner has a counter of statements of freshness; a few more lift south's above north's.
    world.offer("south", 2).await;
    world.offer("south", 2).await;
    let for_south = world.offer("south", 2).await;
    let says = ["the release is from `lampworks` for `south`, not for this partner"];
    assert_refused(&world, &for_south, "misdirected-release", &says).await;
    let of_another_main = Manifest { main: site_id("candleworks"), ..world.manifest("north", 2) };
    let offer = world.sign(&of_another_main, world.built("north").contract()).await;
    assert_refused(&world, &offer, "misdirected-release", &["the release is from `candleworks` for `north`"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_that_the_manifest_does_not_name_is_refused() {
    let world = settled().await;
    let genuine = world.offer("north", 2).await;
    let other_terms = genuine.offer.contract.replace("inherited: 50000", "inherited: 90000");
    let blank_more = format!("{}\n", genuine.offer.contract);
    let of_south = world.built("south").contract().to_owned();
    for contract in [other_terms, blank_more, of_south] {
        let altered = Parcel { offer: Offer { contract, ..genuine.offer.clone() }, ..genuine.clone() };
        let says = ["the release names contract lampworks/north@1, but another document came with it"];
        assert_refused(&world, &altered, "unusable-contract", &says).await;
    }
    let contract = genuine.offer.contract.replace("slots:", "slot:");
    let unreadable = Parcel { offer: Offer { contract, ..genuine.offer.clone() }, ..genuine };
    let says =
        ["the contract that came with the release cannot be used", "unknown key `slot`", "did you mean `slots`?"];
    assert_refused(&world, &unreadable, "unusable-contract", &says).await;
    let under_south = Manifest { contract: world.manifest("south", 2).contract, ..world.manifest("north", 2) };
    let offer = world.sign(&under_south, world.built("south").contract()).await;
    assert_refused(&world, &offer, "unusable-contract", &["lampworks/south@1", "another document"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_changed_under_its_number_is_refused() {
    let world = settled().await;
    let greedy = Contract::inherited().auto(r#"[{paths: "/**", only: any}]"#);
    world.write_main("partners/north/contract.yaml", &greedy.text("north"));
    world.edit("/about/", "Nobody was asked.");
    let before = world.face("north").await;
    // Main itself would not send it.
    let parcel = world.offer("north", 2).await;
    let line = world.call("north").await;
    let lacking = parcel::offer(&line, &parcel).await.unwrap();
    let error = send_blobs(&line, pack(&world.contents("north", &lacking))).await.unwrap_err();
    assert_says(&told(&error), &["contract lampworks/north@1", "higher version"]);
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
    world.write_main("partners/north/contract.yaml", &greedy.version(2).text("north"));
    let staged = world.publish("north").await;
    assert_says(staged.waits_for.as_deref().unwrap_or_default(), &["the contract changes from version 1 to 2"]);
    world.assert_shows("north", "/about/", "We mend lamps.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_manifest_that_makes_no_sense_is_refused() {
    let world = settled().await;
    let contract = world.built("north").contract().to_owned();
    let mut slot_outside = world.manifest("north", 2);
    let page = slot_outside.entries.get_mut("/about/").unwrap();
    page.slots = vec![SlotRange { name: "nav".to_owned(), at: page.blob.length, length: 1 }];
    let offer = world.sign(&slot_outside, &contract).await;
    assert_refused(&world, &offer, "invalid-manifest", &["/about/: slot `nav` lies outside its page"]).await;
    let later = Manifest { format: 2, ..world.manifest("north", 2) };
    let offer = world.sign(&later, &contract).await;
    assert_refused(&world, &offer, "invalid-manifest", &["the manifest has format 2; this version reads format 1"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_53_main_cannot_publish_into_the_partners_mount() {
    let world = settled().await;
    let before = world.face("north").await;
    let mut manifest = world.manifest("north", 2);
    let about = manifest.entries["/about/"].clone();
    manifest.entries.insert("/local/".parse().unwrap(), about.clone());
    manifest.entries.insert("/local/offers/".parse().unwrap(), about);
    let offer = world.sign(&manifest, world.built("north").contract()).await;
    let client = world.call("north").await;
    parcel::offer(&client, &offer).await.unwrap();
    let error = send_blobs(&client, pack(b"")).await.unwrap_err();
    let says = [
        "/local/ is claimed by main site `lampworks` (release 2) and by partner `north`",
        "content/local.md",
        "/local/offers/ is claimed by main site `lampworks` (release 2)",
        "contract lampworks/north@1 gives `/local/` to partner `north`",
        "hint: move the page, or change the mounts in a new version of the contract",
    ];
    assert_says(&told(&error), &says);
    assert_eq!(error.problem().map(|problem| problem.status), Some(409));
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_offer_is_refused() {
    let world = settled().await;
    let before = world.face("north").await;
    let client = world.call("north").await;
    let genuine = serde_json::to_string(&world.offer("north", 2).await.offer).unwrap();
    let cases = [
        ("cannot be unpacked", Vec::new()),
        ("cannot be unpacked", genuine.clone().into_bytes()),
        ("cannot be unpacked", pack(genuine.as_bytes())[..200].to_vec()),
        ("cannot be read", pack(b"an offer you cannot refuse")),
        ("cannot be read", pack(genuine.replacen('{', "{\"hurry\":true,", 1).as_bytes())),
        ("cannot be read", pack(format!("{genuine}{genuine}").as_bytes())),
    ];
    for (number, (what, body)) in cases.into_iter().enumerate() {
        let error = client.post_body::<Ready>(OFFER, body).await.map(|_| number).unwrap_err();
        let kind = error.problem().map(|problem| problem.kind.clone());
        assert_eq!(kind.as_deref(), Some("tieup:unreadable-offer"), "case {number}: {}", told(&error));
        assert_says(&told(&error), &[&format!("error: the offer {what}\ncaused by: ")]);
    }
    world.assert_unchanged("north", &before, Kept::All).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_unpacks_to_a_gigabyte_is_given_up_at_the_limit() {
    let world = settled().await;
    let before = world.face("north").await;
    let client = world.call("north").await;
    let packed = bomb(b"{\"contract\":\"", b'a', 1024);
    let error = client.post_body::<Ready>(OFFER, packed).await.unwrap_err();
    assert_says(&told(&error), &[&format!("error: the offer unpacks to more than {MAX_OFFER} bytes")]);
    world.assert_unchanged("north", &before, Kept::All).await;
}
