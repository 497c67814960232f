//! Revocation at once, open connections included, and what a stolen TLS key is worth after it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::HandshakeKind;
use rustls::client::Resumption;
use tieup_hub::partners::{Hub, HubError};
use tieup_hub::publish::PublishError;
use tieup_hub::renewal::RenewError;
use tieup_protocol::joining::{main_tls_name, partner_tls_name};
use tieup_protocol::wire::{ExpiryState, OFFER, RENEW, REVOCATIONS, REVOCATIONS_ROLE, Ready, RenewRequest, STATUS};
use tieup_syncd::identity::Identity;
use tieup_syncd::revocation::RevocationFile;
use tieup_tests::secure::Secure;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, Kept, World, assert_says, told};
use tieup_web::authority::{Authority, KeyRequest};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::revocation::Revocations;
use tieup_web::tls::{ClientConfig, TlsIdentity};

use crate::settled;

/// A connection to the hub with this identity.
pub(crate) async fn to_hub(world: &World, config: &Arc<ClientConfig>) -> std::io::Result<Secure> {
    let main = main_tls_name(&world.hub().config.main);
    Secure::connect(config, &main, world.hub().config.join.parse().unwrap()).await
}

/// A connection to `north` with this identity.
async fn to_north(world: &World, config: &Arc<ClientConfig>) -> std::io::Result<Secure> {
    let name = partner_tls_name(&world.hub().config.main, &site_id("north"));
    Secure::connect(config, &name, world.peer("north")).await
}

/// Fails unless a connection with this identity is not served. A client learns of a refusal with its first request.
pub(crate) async fn assert_shut_out(connected: std::io::Result<Secure>) {
    if let Ok(mut connection) = connected {
        let answer = connection.get("/versions").await;
        assert!(answer.is_err(), "a revoked certificate was served: {answer:?}");
    }
}

pub(crate) fn shared(identity: &TlsIdentity) -> Arc<ClientConfig> {
    Arc::new(identity.client().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_partner_is_cut_off_at_once_and_joins_again_by_a_new_invitation_alone() {
    let mut world = settled().await;
    let (hub, north, now) = (world.hub().clone(), site_id("north"), Timestamp::now());
    let config = shared(&world.partner_identity("north"));
    let mut open = to_hub(&world, &config).await.unwrap();
    assert_eq!(open.get("/versions").await.unwrap().0, 200);
    open.begin("POST", RENEW).await.unwrap();
    let old_invitation = hub.invite(&north, now).await.unwrap();
    hub.revoke_partner(&north, "the laptop was stolen", now).await.unwrap();
    assert_eq!(open.rest().await, b"", "a request that was under way was answered");
    assert_shut_out(to_hub(&world, &config).await).await;

    let before = world.face("north").await;
    world.edit("/about/", "We mend everything.");
    let error = world.try_publish("north").await.unwrap_err();
    assert!(matches!(error, PublishError::Hub(HubError::Revoked { .. })), "{error:?}");
    assert_says(&told(&error), &["`north` is revoked since ", "(the laptop was stolen)"]);
    world.publish_to_all().await;
    assert_eq!(world.releases("south").len(), 1, "the others are published to");
    world.assert_unchanged("north", &before, Kept::All).await;
    let partner = world.daemon("north").clone();
    partner.fetch_revocations().await.unwrap();
    let revoked = partner.revoked().unwrap();
    assert_says(
        &revoked,
        &["lampworks has revoked this partner", "nothing arrives any more", "Ask them for a new token"],
    );
    let identity = world.daemon("north").identity();
    let csr = KeyRequest::again(&north, &identity.key).unwrap().csr;
    let refused = hub.renew(&RenewRequest { partner: north.clone(), csr }, now).await.unwrap_err();
    assert!(matches!(refused, RenewError::Revoked(_)), "{refused:?}");

    let halted = world.halt("north").await;
    let refused = Identity::join(&halted.config.state, &old_invitation, &halted.config.address).await.unwrap_err();
    assert_says(&told(&refused), &["this token is not known here"]);
    let invitation = hub.invite(&north, now).await.unwrap();
    let joined = Identity::join(&halted.config.state, &invitation, &halted.config.address).await.unwrap();
    assert_ne!(joined.identity.key, identity.key, "a key that may be stolen was certified again");
    assert_eq!(joined.identity.journal_key, identity.journal_key);
    world.resume(halted).await;
    assert_eq!(world.daemon("north").revoked(), None);
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
    assert_shut_out(to_hub(&world, &config).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_revoked_partner_is_cut_in_the_middle_of_a_call() {
    let mut world = World::new().contract_alone("north", Contract::inherited()).start().await;
    let (site, address) = (world.folder().join("sources/partners/north"), world.hub().config.address.clone());
    world.join_dialing("north", &site, &address).await;
    let (hub, north) = (world.hub().clone(), site_id("north"));
    let client = hub.call(&hub.partner(&north).await.unwrap()).await.unwrap();
    // A body that never ends: the call is under way until the line is cut.
    let (sender, body) = tokio::io::duplex(1 << 16);
    let body = axum::body::Body::from_stream(tokio_util::io::ReaderStream::new(body));
    let under_way = tokio::spawn(async move { client.post_body::<Ready>(OFFER, body).await });
    let mut sender = sender;
    tokio::io::AsyncWriteExt::write_all(&mut sender, b"not yet an offer").await.unwrap();
    hub.revoke_partner(&north, "", Timestamp::now()).await.unwrap();
    let error = under_way.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::LineCut { .. } | CallError::NoLine { .. }), "{error:?}");
    let held = PeerClient::through(hub.socket(), partner_tls_name(&hub.config.main, &north));
    let error = held.get_bytes(STATUS).await.unwrap_err();
    assert!(matches!(error, CallError::NoLine { .. }), "{error:?}");
    // No new line is opened, and it asks why.
    let daemon = world.daemon("north");
    let (revocations, serial) = (daemon.tls().revocations().clone(), daemon.tls().certificate().serial);
    tokio::time::timeout(Duration::from_secs(30), revocations.revoked(&serial)).await.unwrap();
    assert_says(&daemon.revoked().unwrap(), &["lampworks has revoked this partner"]);
}

/// The identity of a process of the hub, as a thief would have it from its memory.
async fn stolen(world: &World) -> Hub {
    Hub::open(world.hub().config.clone()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_tls_key_of_mains_opens_nothing_once_it_is_revoked() {
    let mut world = settled().await;
    let stolen = stolen(&world).await;
    let config = shared(stolen.tls());
    let mut open = to_north(&world, &config).await.unwrap();
    assert_eq!(open.get(STATUS).await.unwrap().0, 200);
    open.begin("POST", OFFER).await.unwrap();
    let untold = world.hub().revoke_tls(Timestamp::now()).await.unwrap();
    assert!(untold.is_empty(), "{untold:?}");
    assert_eq!(open.rest().await, b"", "a request that was under way was answered");
    for words in ["We mend everything.", "We mend everything twice."] {
        assert_shut_out(to_north(&world, &config).await).await;
        world.edit("/about/", words);
        world.go_live("north").await;
        world.assert_shows("north", "/about/", words).await;
        // Also after a restart, without a word from main.
        world.restart("north").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_older_or_not_mains_is_refused() {
    let world = settled().await;
    world.hub().revoke_tls(Timestamp::now()).await.unwrap();
    let old = world.hub().database.revocation_list().await.unwrap().unwrap();
    world.hub().revoke_tls(Timestamp::now()).await.unwrap();
    let new = world.hub().database.revocation_list().await.unwrap().unwrap();
    let main = world.call("north").await;
    assert_eq!(main.post_body::<u64>(REVOCATIONS, new.clone()).await.unwrap(), 2, "the same list again");
    let other = Authority::create(&world.hub().config.main, Timestamp::now().into()).unwrap();
    let other = Authority::load(&world.hub().config.main, &other).unwrap();
    let foreign = other.revocation_list(9, &[], Timestamp::now().into()).unwrap();
    let cases = [
        (old, "tieup:older-revocations"),
        (foreign, "tieup:bad-revocations"),
        ("nothing".into(), "tieup:bad-revocations"),
    ];
    for (list, kind) in cases {
        let error = main.post_body::<u64>(REVOCATIONS, list).await.unwrap_err();
        assert_eq!(error.problem().map(|problem| problem.kind.as_str()), Some(kind), "{}", told(&error));
    }
    assert_eq!(fs::read_to_string(world.state("north").join("revocations.pem")).unwrap(), new);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_slept_through_a_revocation_asks_when_it_wakes() {
    let mut world = settled().await;
    let stolen = stolen(&world).await;
    let config = shared(stolen.tls());
    let halted = world.halt("north").await;
    let untold = world.hub().revoke_tls(Timestamp::now()).await.unwrap();
    assert_eq!(untold.iter().map(|untold| untold.partner.as_str()).collect::<Vec<_>>(), ["north"]);
    world.resume(halted).await;
    // Whatever it hears first: from main's next call, or because it asked.
    world.daemon("north").tls().revocations().revoked(&stolen.tls().certificate().serial).await;
    assert_shut_out(to_north(&world, &config).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_has_run_out_gives_an_alarm_and_keeps_updates_out_until_a_newer_one_comes() {
    let mut world = settled().await;
    let (hub, now, day) = (world.hub().clone(), Timestamp::now(), SignedDuration::from_hours(24));
    hub.revoke_tls(now).await.unwrap();
    assert_eq!(alarm_of_revocations(&world, now + day * 22), None);
    assert_eq!(alarm_of_revocations(&world, now + day * 24), Some(ExpiryState::Soon));
    assert_eq!(alarm_of_revocations(&world, now + day * 31), Some(ExpiryState::Expired));
    // One that ran out yesterday: what a partner has that was kept from hearing of another.
    let old = hub.keys.authority().unwrap().revocation_list(2, &[], (now - day * 31).into()).unwrap();
    assert_eq!(world.call("north").await.post_body::<u64>(REVOCATIONS, old).await.unwrap(), 2);
    world.edit("/about/", "We mend everything.");
    for _ in 0..2 {
        let error = world.try_publish("north").await.unwrap_err();
        let says = ["list 2 of revoked certificates was good until", "no update is taken before a newer one", "hint: "];
        assert_says(&told(&error), &says);
        assert_eq!(world.releases("north").len(), 1, "a release was taken in");
        let north = hub.partner(&site_id("north")).await.unwrap();
        let alarms = hub.status(&north).await.unwrap().alarms;
        assert_eq!(alarms.iter().map(|alarm| alarm.role.as_str()).collect::<Vec<_>>(), [REVOCATIONS_ROLE]);
        assert_says(&alarms[0].to_string(), &["the list of revoked certificates has expired", "the site is served"]);
        world.assert_shows("north", "/about/", "We mend lamps.").await;
        // A restart makes nothing fresh.
        world.restart("north").await;
    }
    hub.revoke_partner(&site_id("south"), "", now).await.unwrap();
    hub.revoke_tls(now).await.unwrap();
    assert_eq!(alarm_of_revocations(&world, now), None);
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

/// The files in which a partner keeps the list.
const LISTS: [&str; 2] = ["revocations.pem", "revocations-copy.pem"];

/// Leaves of the list in a file what a disk may leave of it.
fn damage(file: &Path) {
    fs::write(file, "-----BEGIN X509 CRL-----\nMIIB\0\0\0").unwrap();
}

/// Leaves nothing more of the list that a partner kept.
fn damage_list(state: &Path) {
    for name in LISTS {
        damage(&state.join(name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_which_one_file_is_damaged_keeps_its_number_and_is_whole_again() {
    let mut world = settled().await;
    let (hub, mut lists) = (world.hub().clone(), Vec::new());
    for _ in 0..2 {
        hub.revoke_tls(Timestamp::now()).await.unwrap();
        lists.push(hub.database.revocation_list().await.unwrap().unwrap());
    }
    let [older, newer] = &lists[..] else { panic!("{lists:?}") };
    for name in LISTS {
        let halted = world.halt("north").await;
        let file = halted.config.state.join(name);
        damage(&file);
        let revocations = Revocations::default();
        let kept = RevocationFile::new(&halted.config.state, &Identity::load(&halted.config.state).unwrap().authority);
        // Before main could say anything.
        kept.load(&revocations, Timestamp::now());
        assert_eq!((revocations.current().number(), kept.check(&revocations, Timestamp::now())), (2, Ok(())), "{name}");
        assert_eq!(fs::read_to_string(&file).unwrap(), *newer, "{name}");
        let error = kept.take(older, &revocations).unwrap_err();
        assert_says(&told(&error), &["list 1 of revoked certificates is older than list 2"]);
        world.resume(halted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_which_the_copy_cannot_be_written_is_in_force() {
    let mut world = settled().await;
    let (hub, copy) = (world.hub().clone(), world.state("north").join(LISTS[1]));
    hub.revoke_tls(Timestamp::now()).await.unwrap();
    fs::remove_file(&copy).unwrap();
    // Nothing takes the place of a folder in which something lies.
    fs::create_dir_all(copy.join("in the way")).unwrap();
    let untold = hub.revoke_tls(Timestamp::now()).await.unwrap();
    assert!(untold.is_empty(), "{untold:?}");
    assert_eq!(world.daemon("north").tls().revocations().current().number(), 2);
    world.restart_after("north", |state| fs::remove_dir_all(state.join(LISTS[1])).unwrap()).await;
    assert_eq!(world.daemon("north").tls().revocations().current().number(), 2);
    let newest = hub.database.revocation_list().await.unwrap().unwrap();
    assert_eq!(fs::read_to_string(&copy).unwrap(), newest, "it is mended at the start");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_damaged_takes_nothing_offline_and_keeps_updates_out_until_main_sends_another() {
    let mut world = settled().await;
    let (hub, day) = (world.hub().clone(), SignedDuration::from_hours(24));
    // Main has revoked nothing, so that it has no list to send.
    world.restart_after("north", damage_list).await;
    world.edit("/about/", "We mend everything.");
    for _ in 0..2 {
        world.assert_shows("north", "/about/", "We mend lamps.").await;
        assert_eq!(alarm_of_revocations(&world, Timestamp::now()), Some(ExpiryState::Expired));
        let error = world.try_publish("north").await.unwrap_err();
        assert_says(&told(&error), &["the list of revoked certificates that was kept is damaged", "hint: "]);
        assert_eq!(world.releases("north").len(), 1, "a release was taken in");
        // A restart mends nothing.
        world.restart("north").await;
    }
    let now = Timestamp::now();
    let untold = hub.revoke_tls(now).await.unwrap();
    assert!(untold.is_empty(), "{untold:?}");
    assert_eq!(alarm_of_revocations(&world, now), None);
    assert_eq!(
        alarm_of_revocations(&world, now + day * 31),
        Some(ExpiryState::Expired),
        "it has an end like any other"
    );
    world.restart("north").await;
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_damaged_is_asked_for_again_at_the_start() {
    let mut world = settled().await;
    let stolen = stolen(&world).await;
    world.hub().revoke_tls(Timestamp::now()).await.unwrap();
    let kept = world.state("north").join("revocations.pem");
    let before = fs::read(&kept).unwrap();
    world.restart_after("north", damage_list).await;
    world.daemon("north").tls().revocations().revoked(&stolen.tls().certificate().serial).await;
    assert_eq!(fs::read(&kept).unwrap(), before);
    assert_eq!(alarm_of_revocations(&world, Timestamp::now()), None);
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

/// What `north` says at `now` of its list of revoked certificates.
fn alarm_of_revocations(world: &World, now: Timestamp) -> Option<ExpiryState> {
    let alarms = world.daemon("north").alarms(now).unwrap();
    alarms.iter().find(|alarm| alarm.role == REVOCATIONS_ROLE).map(|alarm| alarm.state)
}

#[tokio::test(flavor = "multi_thread")]
async fn main_signs_the_list_anew_long_before_it_runs_out() {
    let world = settled().await;
    let (hub, now, day) = (world.hub().clone(), Timestamp::now(), SignedDuration::from_hours(24));
    let south = world.daemon("south").tls().certificate().serial;
    hub.revoke_partner(&site_id("south"), "", now - day * 11).await.unwrap();
    // The running hub looks by itself; this only makes it sure that it has.
    hub.refresh_tls(now).await.unwrap();
    let list = hub.tls().revocations().current();
    assert_eq!(list.number(), 2, "it was signed anew more than once, or never");
    assert!(list.until().unwrap() > now + day * 29 && list.has(&south));
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    let known = world.daemon("north").tls().revocations().current();
    assert_eq!((known.number(), known.until()), (2, list.until()));
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_then_resumed() {
    let world = settled().await;
    let resuming = |identity: &TlsIdentity| {
        let mut config = identity.client().unwrap();
        config.resumption = Resumption::in_memory_sessions(8);
        Arc::new(config)
    };
    let stolen = stolen(&world).await;
    let (thief, partner) = (resuming(stolen.tls()), resuming(&world.partner_identity("north")));
    for _ in 0..2 {
        let mut connection = to_north(&world, &thief).await.unwrap();
        assert_eq!(connection.get(STATUS).await.unwrap().0, 200);
        assert_eq!(connection.kind(), Some(HandshakeKind::Full), "a session was resumed at the partner");
        let mut connection = to_hub(&world, &partner).await.unwrap();
        assert_eq!(connection.get("/versions").await.unwrap().0, 200);
        assert_eq!(connection.kind(), Some(HandshakeKind::Full), "a session was resumed at the hub");
    }
    world.hub().revoke_tls(Timestamp::now()).await.unwrap();
    world.hub().revoke_partner(&site_id("north"), "", Timestamp::now()).await.unwrap();
    assert_shut_out(to_north(&world, &thief).await).await;
    assert_shut_out(to_hub(&world, &partner).await).await;
}
