//! One-time tokens: used, altered, another's, out of date.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use tieup_protocol::digest::Digest;
use tieup_protocol::joining::{Invitation, Reach, Secret, main_tls_name};
use tieup_protocol::wire::{JOIN, JoinGrant, JoinRequest};
use tieup_syncd::identity::{Identity, JoinError};
use tieup_tests::journal::files_below;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};
use tieup_web::authority::KeyRequest;
use tieup_web::client::PeerClient;
use tieup_web::tls::joining_client;

/// Where the partner that joins says it can be reached. Nobody calls it in these tests.
fn address() -> Reach {
    Reach::Address("127.0.0.1:1".to_owned())
}

/// Contracts with `north` and `south`, neither of which has joined.
async fn before_joining() -> World {
    World::new()
        .contract_alone("north", Contract::inherited())
        .contract_alone("south", Contract::inherited())
        .start()
        .await
}

async fn invite(world: &World, partner: &str) -> Invitation {
    world.hub().invite(&site_id(partner), Timestamp::now()).await.unwrap()
}

/// Joins with a state folder of its own below the world's.
async fn join(world: &World, folder: &str, invitation: &Invitation) -> Result<(), JoinError> {
    Identity::join(&state(world, folder), invitation, &address()).await.map(drop)
}

fn state(world: &World, folder: &str) -> PathBuf {
    world.folder().join(folder)
}

/// Fails unless the join is refused in these words, and leaves nothing behind at either end.
async fn assert_refused(world: &World, invitation: &Invitation, says: &[&str]) {
    let before = world.hub().database.partners().await.unwrap();
    let error = join(world, "refused", invitation).await.unwrap_err();
    assert_says(&told(&error), says);
    assert!(!state(world, "refused").exists(), "a refused join left a state folder");
    assert_eq!(world.hub().database.partners().await.unwrap(), before, "a refused join changed main's partners");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_once() {
    let world = before_joining().await;
    let invitation = invite(&world, "north").await;
    join(&world, "first", &invitation).await.unwrap();
    let says = ["main site `lampworks` did not accept the join", "this token has been used already"];
    assert_refused(&world, &invitation, &says).await;
    assert_refused(&world, &invitation, &["hint: ask for a new one: `tieup partner invite north`"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_joins_with_one_token_one_is_accepted() {
    let world = before_joining().await;
    let invitation = invite(&world, "north").await;
    let (a, b, c) =
        tokio::join!(join(&world, "a", &invitation), join(&world, "b", &invitation), join(&world, "c", &invitation));
    let accepted = [a, b, c].iter().filter(|joined| joined.is_ok()).count();
    assert_eq!(accepted, 1, "how many of three joins with one token were accepted");
    let kept = ["a", "b", "c"].iter().filter(|folder| state(&world, folder).join("identity.json").exists()).count();
    assert_eq!(kept, 1, "how many identities were kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_one_character_changed_is_told_from_a_refused_one() {
    let world = before_joining().await;
    let token = invite(&world, "north").await.to_string();
    for at in 0..token.len() {
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        let altered = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        let error = altered.parse::<Invitation>().map(|_| at).unwrap_err();
        let expected = if at < 7 { "this is not a join token" } else { "the token was damaged in copying" };
        assert_says(&error.to_string(), &[expected]);
    }
    let shortened = &token[..token.len() - 1];
    assert_says(&shortened.parse::<Invitation>().unwrap_err().to_string(), &["damaged in copying"]);
    join(&world, "north", &token.parse().unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_token_is_not_known() {
    let world = before_joining().await;
    let genuine = invite(&world, "north").await;
    let guessed = Invitation { secret: Secret([7; 32]), ..genuine.clone() };
    assert_refused(&world, &guessed, &["this token is not known here"]).await;
    let of_another = Invitation { partner: site_id("south"), ..genuine.clone() };
    assert_refused(&world, &of_another, &["this token is not known here"]).await;
    let without_contract = Invitation { partner: site_id("west"), ..genuine.clone() };
    assert_refused(&world, &without_contract, &["this token is not known here"]).await;
    join(&world, "north", &genuine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_last_week_has_expired() {
    let world = before_joining().await;
    let eight_days_ago = Timestamp::now() - SignedDuration::from_hours(24 * 8);
    let invitation = world.hub().invite(&site_id("north"), eight_days_ago).await.unwrap();
    assert_refused(&world, &invitation, &["this token has expired", "hint: ask for a new one"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_with_another_authority_than_the_token_names_gets_no_secret() {
    let world = before_joining().await;
    let genuine = invite(&world, "north").await;
    let elsewhere = Invitation { authority: Digest::of(b"another authority"), ..genuine.clone() };
    let error = join(&world, "refused", &elsewhere).await.unwrap_err();
    assert_says(&told(&error), &["did not accept the join", "main.lampworks.tieup.internal"]);
    assert_eq!(world.hub().database.partners().await.unwrap(), []);
    // A call that broke off might have been accepted, for all that this end can tell: its keys are kept, and nothing else.
    let left = files_below(&state(&world, "refused")).into_keys();
    assert_eq!(left.map(|path| path.file_name().unwrap().to_owned()).collect::<Vec<_>>(), ["joining.json"]);
    join(&world, "north", &genuine).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_certified_leaves_the_token_good() {
    let world = before_joining().await;
    let invitation = invite(&world, "north").await;
    let config = joining_client(invitation.authority).unwrap();
    let hub = PeerClient::new(config, main_tls_name(&invitation.main), &invitation.hub).await.unwrap();
    let request = JoinRequest {
        partner: invitation.partner.clone(),
        secret: invitation.secret.clone(),
        csr: "not a request".to_owned(),
        address: address(),
        journal_key: "not a key".to_owned(),
    };
    let error = hub.post::<JoinGrant>(JOIN, &request).await.unwrap_err();
    assert_eq!(error.problem().map(|problem| problem.kind.as_str()), Some("tieup:bad-journal-key"), "{}", told(&error));
    let csr = KeyRequest::create(&invitation.partner).unwrap().csr.replace('M', "N");
    let error = hub.post::<JoinGrant>(JOIN, &JoinRequest { csr, ..request }).await.unwrap_err();
    assert!(error.problem().is_some(), "{}", told(&error));
    assert!(world.hub().database.partners().await.unwrap().is_empty());
    join(&world, "north", &invitation).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_joined_does_not_join_again() {
    let world = before_joining().await;
    let (first, second) = (invite(&world, "north").await, invite(&world, "south").await);
    join(&world, "north", &first).await.unwrap();
    let identity = std::fs::read(state(&world, "north").join("identity.json")).unwrap();
    let error = join(&world, "north", &second).await.unwrap_err();
    assert_says(&told(&error), &["this folder already belongs to `north`, a partner of `lampworks`"]);
    assert_eq!(std::fs::read(state(&world, "north").join("identity.json")).unwrap(), identity);
    join(&world, "south", &second).await.unwrap();
}
