//! Partners behind NAT: they dial main and open no port for it, and main makes the same calls over their lines.

use std::fs;

use jiff::Timestamp;
use tieup_protocol::joining::{Reach, main_tls_name, partner_tls_name};
use tieup_protocol::wire::{PartnerStatus, STATUS, StatementVerdict};
use tieup_tests::cutter::Cutter;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, Kept, World, assert_says, told};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::line::DialedLine;

/// How many lines a partner keeps.
const LINES: u64 = 2;

/// A world in which `north` dials main; nothing is published.
async fn dialing(through: impl AsyncFnOnce(&World) -> String) -> World {
    let mut world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract_alone("north", Contract::inherited())
        .original("north", "/local/", "Our own shelf.")
        .contract("south", Contract::inherited())
        .start()
        .await;
    let hub = through(&world).await;
    let site = world.folder().join("sources/partners/north");
    world.join_dialing("north", &site, &hub).await;
    world
}

async fn directly(world: &World) -> String {
    world.hub().config.address.clone()
}

/// A page of so many bytes that no compression makes small.
fn large_page(bytes: usize) -> String {
    let mut state = 7_u64;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap_or(0))
    };
    (0..bytes).map(letter).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_dials_gets_releases_is_read_and_its_journal_is_fetched() {
    let mut world = dialing(directly).await;
    let row = world.hub().partner(&site_id("north")).await.unwrap();
    assert_eq!((row.address, world.partner("north").peer), (Reach::Line, None));
    assert!(world.daemon("north").identity().hub.is_some());
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    world.assert_shows("north", "/local/", "Our own shelf.").await;
    assert!(world.collect("north").await[0].added >= 2);
    assert!(matches!(world.statement("north").await.verdict, StatementVerdict::Identical));
    world.edit("/about/", "We mend everything.");
    world.restart("north").await;
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_without_a_line_is_unreachable_until_it_dials_again() {
    let mut world = dialing(directly).await;
    world.go_live("north").await;
    world.edit("/about/", "We mend everything.");
    let halted = world.halt("north").await;
    let error = world.try_publish("north").await.unwrap_err();
    let says = ["keeps no line to it at this moment", "hint: is `syncd run` running there?"];
    assert_says(&told(&error), &says);
    let row = world.hub().database.newest_release(&site_id("north")).await.unwrap().unwrap();
    assert_eq!(row.state, "unreachable");
    world.resume(halted).await;
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_hub_runs_a_partner_that_dials_cannot_be_reached() {
    let nowhere = tempfile::tempdir().unwrap().path().join("hub.sock");
    let name = partner_tls_name(&site_id("lampworks"), &site_id("north"));
    let error = PeerClient::through(nowhere, name).get::<PartnerStatus>(STATUS).await.unwrap_err();
    assert!(error.may_pass());
    assert_says(&told(&error), &["no hub is running behind", "hub.sock", "hint: start it with `tieup hub`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_cut_in_the_middle_of_a_push_is_dialed_anew_and_the_push_goes_on() {
    let mut way = None;
    let world = dialing(async |world: &World| {
        let cutter = Cutter::before(world.hub().config.join.parse().unwrap()).await;
        let address = cutter.address.to_string();
        way = Some(cutter);
        address
    })
    .await;
    let way = way.unwrap();
    world.go_live("north").await;
    let before = world.face("north").await;
    world.edit("/about/", &large_page(2_000_000));
    let dialed = way.connections();
    assert!(dialed >= LINES);
    way.cut_after(500_000);
    let error = world.try_publish("north").await.unwrap_err();
    assert_says(&told(&error), &["was not published to `north`", "the line that it keeps to the hub broke off"]);
    let row = world.hub().database.newest_release(&site_id("north")).await.unwrap().unwrap();
    assert_eq!(row.state, "unreachable");
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
    way.more_than(dialed).await;
    world.go_live("north").await;
    assert_eq!(world.get("north", "/about/").await.status, 200);
    assert!(world.get("north", "/about/").await.text.len() > 2_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_kept_for_the_partner_whose_certificate_dialed_it_and_for_nobody_else() {
    let world = dialing(directly).await;
    let (hub, main) = (world.hub().config.address.clone(), main_tls_name(&world.hub().config.main));
    let nobody = world.partner_identity("south").client_without_certificate().unwrap();
    let Err(error) = DialedLine::dial(nobody, &main, &hub).await else { panic!("a line without a certificate") };
    assert_says(&told(&error), &["a line needs a partner's certificate"]);
    let Err(error) = DialedLine::dial(world.foreign_main().client().unwrap(), &main, &hub).await else {
        panic!("a line with a certificate by another authority")
    };
    assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
    let Err(error) = DialedLine::dial(world.hub().tls().client().unwrap(), &main, &hub).await else {
        panic!("main keeps a line to itself")
    };
    assert_says(&told(&error), &["only a partner may ask for this"]);
    // South dials in north's place: its line is south's.
    let south = DialedLine::dial(world.partner_identity("south").client().unwrap(), &main, &hub).await;
    assert!(south.is_ok());
    let row = world.hub().partner(&site_id("north")).await.unwrap();
    let status: PartnerStatus = world.hub().call(&row).await.unwrap().get(STATUS).await.unwrap();
    assert_eq!(status.partner.as_str(), "north");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_socket_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = dialing(directly).await;
    let mode = fs::metadata(world.hub().socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stranger = PeerClient::through(world.hub().socket(), "elsewhere.example".to_owned());
    assert_says(&told(&stranger.get_bytes(STATUS).await.unwrap_err()), &["`elsewhere.example` is no partner"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_dials_new_lines() {
    let world = dialing(directly).await;
    world.go_live("north").await;
    let later = Timestamp::now() + jiff::SignedDuration::from_hours(24 * 21);
    let before = world.daemon("north").tls().certificate();
    world.daemon("north").renew_if_due(later).await.unwrap();
    assert_ne!(world.daemon("north").tls().certificate().serial, before.serial);
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}
