//! Heartbeats: what a daemon tells of itself, that main keeps it, and that a journal with fewer entries is found.

use jiff::{SignedDuration, Timestamp};
use tieup_protocol::joining::main_tls_name;
use tieup_protocol::wire::{HEARTBEAT, Heartbeat};
use tieup_tests::{World, assert_says, told};
use tieup_web::client::PeerClient;
use tieup_web::tls::joining_client;

use crate::findings::{findings_as_json, rules};
use crate::settled;

/// Two visits to main's pages, one to the partner's own, and one to nothing.
async fn visit(world: &World) {
    for path in ["/", "/about/", "/local/", "/nowhere/"] {
        world.get("north", path).await;
    }
}

/// Lets main have collected three hours later than it has: it looks at times that were over when it collected.
fn let_time_pass(world: &World) {
    let later = Timestamp::now() + SignedDuration::from_hours(3);
    std::fs::write(world.mirrors("north").join("collected.json"), format!("{{\"at\":\"{later}\"}}")).unwrap();
}

async fn kept(world: &World) -> Vec<Heartbeat> {
    let (hub, north) = (world.hub(), "north".parse().unwrap());
    let until = Timestamp::now() + SignedDuration::from_hours(1);
    hub.database.heartbeats(&north, Timestamp::UNIX_EPOCH, until).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_tells_what_it_has_answered_and_main_keeps_it_as_it_was_told() {
    let mut world = settled().await;
    visit(&world).await;
    visit(&world).await;
    let heartbeat = world.daemon("north").heartbeat().await.unwrap();
    let answered = heartbeat.answered;
    assert_eq!((answered.tieup, answered.original, answered.nothing), (4, 2, 2));
    assert_eq!(heartbeat.journals.values().sum::<u64>(), 8);
    assert!(heartbeat.started <= heartbeat.at);
    world.daemon("north").beat(&heartbeat).await.unwrap();
    let [kept_one] = kept(&world).await.try_into().unwrap();
    // Times are kept to the millisecond.
    assert_eq!((kept_one.answered, &kept_one.journals), (heartbeat.answered, &heartbeat.journals));
    assert_eq!(kept_one.started.as_millisecond(), heartbeat.started.as_millisecond());
    world.restart("north").await;
    let anew = world.daemon("north").heartbeat().await.unwrap();
    assert_eq!(anew.answered.tieup, 0, "another process counts anew");
    assert!(anew.started > heartbeat.started);
    assert_eq!(anew.journals, heartbeat.journals, "and goes on with the same journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_39_40_43_fewer_entries_than_a_daemon_says_it_answered_are_found() {
    let world = settled().await;
    visit(&world).await;
    let honest = world.daemon("north").heartbeat().await.unwrap();
    world.daemon("north").beat(&honest).await.unwrap();
    world.collect("north").await;
    let_time_pass(&world);
    let found = findings_as_json(&world, &["north"]);
    assert_eq!((rules(&found[0]), &found[0]["entries"]), (Vec::new(), &4.into()), "{found:?}");
    // It answers twenty more for main's pages, of which the journal gets none.
    let mut later = world.daemon("north").heartbeat().await.unwrap();
    later.answered.tieup += 20;
    world.daemon("north").beat(&later).await.unwrap();
    let found = findings_as_json(&world, &["north"]);
    assert_eq!(rules(&found[0]), ["counters/1"], "{found:?}");
    // Entries of the minute before count too: the two that there are.
    assert_eq!(found[0]["findings"][0]["figures"]["missing"], 18);
    // And it says that there are more entries than main was given.
    later.journals.values_mut().for_each(|size| *size += 7);
    world.daemon("north").beat(&later).await.unwrap();
    let found = findings_as_json(&world, &["north"]);
    assert_eq!(rules(&found[0]), ["counters/1", "counters/1"]);
    assert_says(&found[0].to_string(), &["The partner's daemon told of 11 entries, and main holds 4."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_a_partners_certificate_tells_of_heartbeats() {
    let world = settled().await;
    let heartbeat = world.daemon("north").heartbeat().await.unwrap();
    let hub = world.hub();
    let config = joining_client(hub.keys.authority().unwrap().digest().unwrap()).unwrap();
    let nobody = PeerClient::new(config, main_tls_name(&hub.config.main), &hub.config.address).await.unwrap();
    let refused = nobody.post::<()>(HEARTBEAT, &heartbeat).await.unwrap_err();
    assert_says(&told(&refused), &["a heartbeat comes with a partner's certificate"]);
    assert_eq!(kept(&world).await, []);
}
