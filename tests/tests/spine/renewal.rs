//! Certificates that renew themselves, at both ends, and which keys are not certified anew.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tieup_hub::renewal::RenewError;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::{main_tls_name, partner_tls_name};
use tieup_protocol::wire::{RENEW, RenewGrant, RenewRequest};
use tieup_syncd::identity::Identity;
use tieup_syncd::renewal::Renewed;
use tieup_tests::neighbour::free_address;
use tieup_tests::secure::Secure;
use tieup_tests::world::site_id;
use tieup_tests::{World, assert_says, told};
use tieup_web::authority::KeyRequest;
use tieup_web::certificate::Certificate;
use tieup_web::client::PeerClient;

use crate::settled;

/// How long something may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

const fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// The request of a partner that has joined.
fn request(world: &World, partner: &str) -> RenewRequest {
    let identity = world.daemon(partner).identity();
    let request = KeyRequest::again(&identity.partner, &identity.key).unwrap();
    RenewRequest { partner: identity.partner.clone(), csr: request.csr }
}

/// A connection to `partner` as main opens it.
async fn connect(world: &World, partner: &str) -> Secure {
    let config = Arc::new(world.hub().tls().client().unwrap());
    let name = partner_tls_name(&world.hub().config.main, &site_id(partner));
    Secure::connect(&config, &name, world.peer(partner)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_renews_itself_and_nothing_is_interrupted() {
    let mut world = settled().await;
    let (north, now) = (world.daemon("north").clone(), Timestamp::now());
    let before = north.tls().certificate();
    let mut open = connect(&world, "north").await;
    assert_eq!(open.get("/versions").await.unwrap().0, 200);
    assert_eq!(north.renew_if_due(now + days(19)).await.unwrap(), Renewed::NotDue);
    assert_eq!(north.tls().certificate(), before);
    let Renewed::Until(_) = north.renew_if_due(now + days(21)).await.unwrap() else { panic!("it was not renewed") };
    let after = north.tls().certificate();
    assert_ne!(after.serial, before.serial);
    assert_eq!((after.key, &after.name), (before.key, &before.name), "the key or the name changed");
    let kept = Identity::load(&world.state("north")).unwrap();
    assert_eq!(Certificate::from_pem(&kept.certificate).unwrap(), after, "it was not kept");
    assert_eq!(open.peer().serial, before.serial);
    assert_eq!(open.get("/v3/status").await.unwrap().0, 200, "an open connection was ended");
    assert_eq!(connect(&world, "north").await.peer().serial, after.serial);
    drop(north);
    world.restart("north").await;
    assert_eq!(world.daemon("north").tls().certificate(), after);
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_certificate_has_expired_renews_it_at_its_start() {
    let mut world = settled().await;
    let long_ago = Timestamp::now() - days(40);
    let expired = world.hub().renew(&request(&world, "north"), long_ago).await.unwrap();
    let serial = Certificate::from_pem(&expired).unwrap().serial;
    world
        .restart_after("north", |state| {
            let identity = Identity { certificate: expired, ..Identity::load(state).unwrap() };
            identity.save(state).unwrap();
        })
        .await;
    world.daemon("north").tls().replaced(&serial).await;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_fails_is_in_the_status_until_it_succeeds() {
    let mut world = settled().await;
    let expired = world.hub().renew(&request(&world, "north"), Timestamp::now() - days(40)).await.unwrap();
    let hub = world.daemon("north").identity().hub.clone();
    world
        .restart_after("north", |state| {
            let nobody = Some(free_address().to_string());
            Identity { certificate: expired, hub: nobody, ..Identity::load(state).unwrap() }.save(state).unwrap();
        })
        .await;
    let overdue = async {
        loop {
            if let Some(overdue) = world.daemon("north").status().unwrap().certificate {
                return overdue;
            }
            tokio::task::yield_now().await;
        }
    };
    let overdue = tokio::time::timeout(PATIENCE, overdue).await.expect("that it failed is not in the status");
    assert_says(&overdue.reason, &["the main site did not renew the certificate", "nobody answers at"]);
    let again = world.daemon("north").renew_if_due(Timestamp::now()).await;
    again.expect_err("somebody answers where nobody is");
    assert_eq!(world.daemon("north").overdue().as_ref().map(|again| again.since), Some(overdue.since));
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncd-to-kill"));
    let shown = command.arg("--config").arg(&world.partner("north").config_file).arg("status").output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert_says(&shown, &["ALARM: the certificate, which holds until", "is not renewed since", "nobody answers at"]);
    let start = world.operator("north").await.get("/").await;
    assert_says(&start.body, &["Something needs to be put right", "is not renewed since"]);
    world
        .restart_after("north", |state| {
            Identity { hub, ..Identity::load(state).unwrap() }.save(state).unwrap();
        })
        .await;
    let (north, now) = (world.daemon("north").clone(), Timestamp::now());
    tokio::time::timeout(PATIENCE, async {
        while north.tls().certificate().expires < now {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it is not renewed");
    assert_eq!(north.renew_if_due(now).await.unwrap(), Renewed::NotDue);
    assert_eq!(north.status().unwrap().certificate, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_certified_anew_until_90_days_after_its_certificate_expired() {
    let world = settled().await;
    let (hub, request) = (world.hub(), request(&world, "north"));
    let expires = world.daemon("north").tls().certificate().expires;
    let late = hub.renew(&request, expires + days(91)).await.unwrap_err();
    assert!(matches!(late, RenewError::TooLate { .. }), "{late:?}");
    let renewed = hub.renew(&request, expires + days(89)).await.unwrap();
    assert_eq!(Certificate::from_pem(&renewed).unwrap().expires, expires + days(119));
    // And the count begins anew.
    assert!(hub.renew(&request, expires + days(119 + 89)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_key_is_certified_and_no_other_partner() {
    let world = settled().await;
    let hub = hub_client(&world).await;
    let genuine = request(&world, "north");
    let foreign = KeyRequest::create(&site_id("north")).unwrap().csr;
    let cases: [(&str, SiteId, String); 4] = [
        ("another key", site_id("north"), foreign.clone()),
        ("another partner's name", site_id("south"), genuine.csr.clone()),
        ("a partner that has not joined", site_id("west"), genuine.csr.clone()),
        ("a request that was altered", site_id("north"), altered(&genuine.csr)),
    ];
    for (which, partner, csr) in cases {
        let refused = hub.post::<RenewGrant>(RENEW, &RenewRequest { partner, csr }).await;
        let Err(error) = refused else { panic!("{which} was certified") };
        let kind = error.problem().map(|problem| problem.kind.clone()).unwrap_or_default();
        let expected = if which.contains("altered") { "tieup:bad-request" } else { "tieup:unknown-key" };
        assert_eq!(kind, expected, "{which}: {}", told(&error));
        assert_says(&told(&error), &["hint: join again: the main site makes a token with `tieup partner invite"]);
    }
    assert!(hub.post::<RenewGrant>(RENEW, &genuine).await.is_ok());
}

/// A client that shows no certificate to the hub, as one whose own has expired.
async fn hub_client(world: &World) -> PeerClient {
    let config = world.partner_identity("north").client_without_certificate().unwrap();
    let main = main_tls_name(&world.hub().config.main);
    PeerClient::new(config, main, &world.hub().config.address).await.unwrap()
}

/// The request with one bit of its signature changed.
fn altered(csr: &str) -> String {
    let mut lines: Vec<String> = csr.lines().map(str::to_owned).collect();
    let last = lines.len() - 2;
    let first = if lines[last].starts_with('A') { "B" } else { "A" };
    lines[last].replace_range(0..1, first);
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn mains_own_certificate_is_issued_anew_while_it_runs() {
    let world = settled().await;
    let (hub, now) = (world.hub(), Timestamp::now());
    let config = Arc::new(world.partner_identity("north").client().unwrap());
    let main = main_tls_name(&hub.config.main);
    let connect = async || Secure::connect(&config, &main, hub.config.join.parse().unwrap()).await.unwrap();
    let issued = |days_ago| hub.keys.issue_tls((now - days(days_ago)).into()).unwrap();
    hub.tls().replace(&issued(19)).unwrap();
    let before = hub.tls().certificate();
    hub.refresh_tls(now).await.unwrap();
    assert_eq!(hub.tls().certificate(), before);
    let pair = issued(21);
    hub.tls().replace(&pair).unwrap();
    let before = Certificate::from_pem(&pair.certificate).unwrap();
    let mut open = connect().await;
    // The running hub looks by itself; this only makes it sure that it has.
    hub.refresh_tls(now).await.unwrap();
    let after = hub.tls().certificate();
    assert_ne!((after.serial.clone(), after.key), (before.serial.clone(), before.key));
    assert_eq!(open.get("/versions").await.unwrap().0, 200, "an open connection was ended");
    assert_eq!(connect().await.peer().serial, after.serial);
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
}
