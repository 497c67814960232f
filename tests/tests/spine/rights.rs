//! What the partner may do to main's pages, and what is left of a page that was withdrawn.

use std::fs;

use jiff::Timestamp;
use tieup_protocol::access::{AccessEntry, Purpose};
use tieup_protocol::audit::Event;
use tieup_protocol::wire::OverrideState;
use tieup_syncd::control::{Answer, Command, ask};
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};

use crate::settled;

/// A partner with an original where main has a page, under these rights; release 1 is live.
async fn with_rights(rights: &str) -> World {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().rights(rights))
        .original("north", "/about/", "We sell soup.")
        .start()
        .await;
    world.go_live("north").await;
    world
}

fn overrides(world: &World) -> Vec<(String, OverrideState)> {
    let overrides = world.daemon("north").publisher().overrides();
    overrides.into_iter().map(|page| (page.path.to_string(), page.state)).collect()
}

fn about(state: OverrideState) -> Vec<(String, OverrideState)> {
    vec![("/about/".to_owned(), state)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_page_is_gone_until_something_stands_there_again() {
    let mut world = settled().await;
    world.edit("/prices/", "Nothing is free.");
    world.go_live("north").await;
    fs::remove_file(world.hub().config.site.join("content/prices.md")).unwrap();
    world.go_live("north").await;
    fs::remove_file(world.partner("north").config.site.join("content/local.md")).unwrap();
    world.daemon("north").publisher().refresh_originals().unwrap();
    world.restart("north").await;
    for path in ["/prices/", "/prices", "/local/"] {
        let page = world.get("north", path).await;
        assert_eq!(page.status, 410, "{path}");
        assert_says(&page.text, &["<h1>Not found</h1>"]);
    }
    assert_eq!(world.get("north", "/never/").await.status, 404);
    world.edit("/prices/", "Some things are free.");
    world.go_live("north").await;
    world.assert_shows("north", "/prices/", "Some things are free.").await;
    assert_eq!(world.get("north", "/local/").await.status, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_address_leads_on_and_is_no_view_of_a_page() {
    let world = settled().await;
    let page = |aliases: &str| format!("---\ntitle: Prices\naliases: [{aliases}]\n---\nNothing is free.\n");
    world.write_main("content/prices.md", &page("/what it costs/, /old.html"));
    world.go_live("north").await;
    for (path, asked) in [("/what it costs/", "/what%20it%20costs/"), ("/old.html", "/old.html")] {
        let answer = world.get("north", asked).await;
        assert_eq!((answer.status, answer.headers["location"].as_bytes()), (308, &b"/prices/"[..]), "{path}");
    }
    world.assert_shows("north", "/prices/", "Nothing is free.").await;
    let reader = world.daemon("north").journal().reader(world.month("north")).unwrap();
    let entries = reader.entries(0..reader.size()).unwrap();
    let entries: Vec<_> = entries.map(|entry| AccessEntry::decode(&entry.unwrap()).unwrap()).collect();
    let viewed = entries.iter().filter(|entry| entry.purpose == Purpose::Document);
    assert_eq!(viewed.map(|entry| entry.path.as_str()).collect::<Vec<_>>(), ["/prices/"]);
    world.write_main("content/prices.md", &page("/old.html"));
    world.go_live("north").await;
    assert_eq!(world.get("north", "/what%20it%20costs/").await.status, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_is_declared_and_ended_at_the_terminal() {
    let world = with_rights("{override: emergency}").await;
    let socket = world.partner("north").config.control_socket();
    for (command, words) in [
        (Command::BeginEmergency { reason: "the shop burns".to_owned() }, "We sell soup."),
        (Command::EndEmergency, "We mend lamps."),
    ] {
        let asked = socket.clone();
        let answer = tokio::task::spawn_blocking(move || ask(&asked, &command)).await.unwrap().unwrap();
        let Answer::Status { status, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(status.emergency.is_some(), words == "We sell soup.");
        world.assert_shows("north", "/about/", words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_54_in_an_emergency_alone_a_page_of_the_partners_takes_the_place_of_mains() {
    let mut world = with_rights("{override: emergency}").await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    assert_eq!(overrides(&world), about(OverrideState::SetAside));
    world.daemon("north").publisher().begin_emergency("the shop is flooded".to_owned(), Timestamp::now()).unwrap();
    world.assert_shows("north", "/about/", "We sell soup.").await;
    world.restart("north").await;
    world.assert_shows("north", "/about/", "We sell soup.").await;
    let row = world.hub().partner(&site_id("north")).await.unwrap();
    let status = world.hub().status(&row).await.unwrap();
    assert_eq!(status.emergency.unwrap().reason, "the shop is flooded");
    assert_eq!(status.overrides[0].state, OverrideState::Current);
    world.daemon("north").publisher().end_emergency(Timestamp::now()).unwrap();
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    assert_eq!(world.hub().status(&row).await.unwrap().emergency, None);
    let entries = world.daemon("north").publisher().audit_entries().unwrap();
    let emergencies = entries.iter().filter(|e| matches!(e.what, Event::EmergencyBegun | Event::EmergencyEnded));
    assert_eq!(emergencies.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_needs_a_contract_that_lets_it_be_declared() {
    let world = settled().await;
    let refused = world.daemon("north").publisher().begin_emergency("soup".to_owned(), Timestamp::now());
    assert_says(&told(&refused.unwrap_err()), &["its `rights.override` is not `emergency`"]);
    let refused = world.daemon("north").publisher().end_emergency(Timestamp::now());
    assert_says(&told(&refused.unwrap_err()), &["no emergency is declared"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_told_when_main_changes_its_page_beneath_their_own() {
    let world = with_rights("{override: always}").await;
    world.assert_shows("north", "/about/", "We sell soup.").await;
    assert_eq!(overrides(&world), about(OverrideState::Current));
    world.edit("/about/", "We mend everything.");
    let waiting = world.publish("north").await;
    assert_says(&waiting.sentence, &["main changes its page beneath your own /about/"]);
    world.approve("north");
    world.assert_shows("north", "/about/", "We sell soup.").await;
    assert_eq!(overrides(&world), about(OverrideState::Changed));
    world.edit_original("north", "/about/", "We sell soup, and mend everything.").unwrap();
    assert_eq!(overrides(&world), about(OverrideState::Current), "the operator has seen it");
    world.edit("/news/", "Nothing is new.");
    let waiting = world.publish("north").await;
    assert!(!waiting.sentence.contains("beneath"), "{}", waiting.sentence);
}
