//! Ends from different times: the version of the protocol is told and refused with a word on what to update; and the
//! handshake beneath it.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use rustls::NamedGroup;
use tieup_protocol::joining::{Invitation, main_tls_name, partner_tls_name};
use tieup_protocol::version::{CURRENT, HEADER, Speaks, Versions};
use tieup_protocol::wire::VERSIONS;
use tieup_syncd::identity::Identity;
use tieup_tests::secure::Secure;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};
use tieup_web::client::PeerClient;
use tieup_web::listener::{Shutdown, serve_tls};
use tieup_web::tls::TlsIdentity;
use tokio::net::TcpListener;

use crate::settled;

/// A version that an end from before speaks, and one that an end from the future does.
const BEFORE: u32 = CURRENT - 1;
const AFTER: u32 = CURRENT + 1;

/// Serves an end that speaks `version` of the protocol alone with an identity, to whoever `peer` says.
fn serve_other(identity: &TlsIdentity, peer: Option<&str>, listener: TcpListener, version: u32) {
    let config = match peer {
        Some(peer) => identity.server_for(peer),
        None => identity.server_for_anyone(),
    };
    let answer = move || async move {
        (StatusCode::NOT_IMPLEMENTED, [(HEADER, version.to_string())], format!("version {version} has no such path"))
    };
    let router = Router::new().fallback(answer);
    let revocations = identity.revocations().clone();
    tokio::spawn(serve_tls(listener, config.unwrap(), revocations, router, Shutdown::new()));
}

/// Fails unless `program` answers a call in another version with what it speaks and what to do about it.
async fn assert_refuses_other_versions(client: &PeerClient, program: &str) {
    let speaks: Speaks = client.get(VERSIONS).await.unwrap();
    assert_eq!(speaks.versions, Versions::spoken());
    assert!(speaks.program.starts_with(program), "{speaks:?}");
    for (version, update) in
        [(BEFORE, "hint: update the program that called".to_owned()), (AFTER, format!("hint: update {program} "))]
    {
        let error = client.exchange(Method::GET, &format!("/v{version}/status"), "").await.unwrap_err();
        let problem = error.problem().unwrap_or_else(|| panic!("{}", told(&error)));
        assert_eq!((problem.kind.as_str(), problem.status), ("tieup:protocol-version", 501));
        let says = format!("speaks version {CURRENT} of the protocol, and was called in version {version}");
        assert_says(&told(&error), &[&says, &update]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_another_version_is_refused_with_what_is_spoken_at_both_ends() {
    let mut world = World::new()
        .contract("north", Contract::inherited())
        .contract_alone("south", Contract::inherited())
        .start()
        .await;
    assert_refuses_other_versions(&world.call("north").await, "syncd").await;
    let config = world.partner_identity("north").client().unwrap();
    let address = world.hub().config.address.clone();
    let hub = PeerClient::new(config, main_tls_name(&world.hub().config.main), &address).await.unwrap();
    assert_refuses_other_versions(&hub, "tieup").await;
    let site = world.folder().join("sources/partners/south");
    world.join_dialing("south", &site, &address).await;
    let row = world.hub().partner(&site_id("south")).await.unwrap();
    assert_refuses_other_versions(&world.hub().call(&row).await.unwrap(), "syncd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_from_another_time_is_told_of_with_the_end_that_is_to_be_updated() {
    for (version, update) in [(BEFORE, "hint: update `syncd run` there"), (AFTER, "hint: update `tieup` here")] {
        let mut world = settled().await;
        world.edit("/about/", "We mend everything.");
        let (identity, peer) = (world.partner_identity("north"), world.peer("north"));
        let halted = world.halt("north").await;
        let listener = TcpListener::bind(peer).await.unwrap();
        serve_other(&identity, Some(&main_tls_name(&world.hub().config.main)), listener, version);
        let error = world.try_publish("north").await.unwrap_err();
        let says = format!("speaks version {version} of the protocol, and this end version {CURRENT}");
        assert_says(&told(&error), &[&says, update]);
        drop(halted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_from_another_time_is_told_of_and_the_token_stays_good() {
    let world = World::new().contract_alone("north", Contract::inherited()).start().await;
    let genuine = world.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap();
    let (state, reach) = (world.folder().join("state"), "127.0.0.1:1".to_owned().into());
    for (version, update) in [(BEFORE, "hint: update `tieup hub` there"), (AFTER, "hint: update `syncd` here")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let other = Invitation { hub: listener.local_addr().unwrap().to_string(), ..genuine.clone() };
        serve_other(world.hub().tls(), None, listener, version);
        let error = Identity::join(&state, &other, &reach).await.unwrap_err();
        let speaks = format!("speaks version {version} of the protocol");
        assert_says(&told(&error), &["did not accept the join", &speaks, update]);
    }
    Identity::join(&state, &genuine, &reach).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_agreed_on_by_the_post_quantum_hybrid_group_in_both_directions() {
    let world = settled().await;
    let main = main_tls_name(&world.hub().config.main);
    let north = partner_tls_name(&world.hub().config.main, &site_id("north"));
    let as_main = Arc::new(world.hub().tls().client().unwrap());
    let as_north = Arc::new(world.partner_identity("north").client().unwrap());
    let to_north = Secure::connect(&as_main, &north, world.peer("north")).await.unwrap();
    let to_main = Secure::connect(&as_north, &main, world.hub().config.join.parse().unwrap()).await.unwrap();
    for connection in [to_north, to_main] {
        assert_eq!(connection.group(), Some(NamedGroup::X25519MLKEM768));
    }
}
