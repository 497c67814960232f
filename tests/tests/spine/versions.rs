//! Ends from different times: the version of the protocol is told and refused with a word on what to update; and the
//! handshake beneath it.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use jiff::Timestamp;
use rustls::NamedGroup;
use tieup_protocol::joining::{Invitation, main_tls_name, partner_tls_name};
use tieup_protocol::version::{HEADER, Speaks, Versions};
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

/// An end that speaks version 2 of the protocol alone.
async fn from_the_future() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, [(HEADER, "2")], "version 2 has no such path")
}

/// Serves that end with an identity, to whoever `peer` says.
fn serve_future(identity: &TlsIdentity, peer: Option<&str>, listener: TcpListener) {
    let config = match peer {
        Some(peer) => identity.server_for(peer),
        None => identity.server_for_anyone(),
    };
    let router = Router::new().fallback(from_the_future);
    let revocations = identity.revocations().clone();
    tokio::spawn(serve_tls(listener, config.unwrap(), revocations, router, Shutdown::new()));
}

/// Fails unless both programs answer a call in version 2 with what they speak and what to do.
async fn assert_refuses_version_2(client: &PeerClient, program: &str) {
    let speaks: Speaks = client.get(VERSIONS).await.unwrap();
    assert_eq!(speaks.versions, Versions::spoken());
    assert!(speaks.program.starts_with(program), "{speaks:?}");
    let error = client.exchange(Method::GET, "/v2/status", "").await.unwrap_err();
    let problem = error.problem().unwrap_or_else(|| panic!("{}", told(&error)));
    assert_eq!((problem.kind.as_str(), problem.status), ("tieup:protocol-version", 501));
    let update = format!("hint: update {program} ");
    assert_says(&told(&error), &["speaks version 1 of the protocol, and was called in version 2", &update]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_another_version_is_refused_with_what_is_spoken_at_both_ends() {
    let mut world = World::new()
        .contract("north", Contract::inherited())
        .contract_alone("south", Contract::inherited())
        .start()
        .await;
    assert_refuses_version_2(&world.call("north").await, "syncd").await;
    let config = world.partner_identity("north").client().unwrap();
    let address = world.hub().config.address.clone();
    let hub = PeerClient::new(config, main_tls_name(&world.hub().config.main), &address).await.unwrap();
    assert_refuses_version_2(&hub, "tieup").await;
    let site = world.folder().join("sources/partners/south");
    world.join_dialing("south", &site, &address).await;
    let row = world.hub().partner(&site_id("south")).await.unwrap();
    assert_refuses_version_2(&world.hub().call(&row).await.unwrap(), "syncd").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_speaks_version_2_alone_is_told_of_and_this_end_is_to_be_updated() {
    let mut world = settled().await;
    world.edit("/about/", "We mend everything.");
    let (identity, peer) = (world.partner_identity("north"), world.peer("north"));
    let halted = world.halt("north").await;
    let listener = TcpListener::bind(peer).await.unwrap();
    serve_future(&identity, Some(&main_tls_name(&world.hub().config.main)), listener);
    let error = world.try_publish("north").await.unwrap_err();
    let says = ["speaks version 2 of the protocol, and this end version 1", "hint: update `tieup` here"];
    assert_says(&told(&error), &says);
    drop(halted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_speaks_version_2_alone_is_told_of_and_the_token_stays_good() {
    let world = World::new().contract_alone("north", Contract::inherited()).start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let genuine = world.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap();
    let future = Invitation { hub: listener.local_addr().unwrap().to_string(), ..genuine.clone() };
    serve_future(world.hub().tls(), None, listener);
    let (state, reach) = (world.folder().join("state"), "127.0.0.1:1".to_owned().into());
    let error = Identity::join(&state, &future, &reach).await.unwrap_err();
    let says = ["did not accept the join", "speaks version 2 of the protocol", "hint: update `syncd` here"];
    assert_says(&told(&error), &says);
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
