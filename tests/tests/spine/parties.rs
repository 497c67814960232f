//! Who there is, who may do what, and what binds them.

use tieup_hub::partners::HubError;
use tieup_protocol::wire::PartnerStatus;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, told};

use crate::settled;

#[tokio::test(flavor = "multi_thread")]
async fn row_003_04_main_operator_and_visitor_have_doors_of_their_own() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.publish("north").await;
    // Main can ask how things stand, and has no word with which to approve.
    let main = world.call("north").await;
    let status: PartnerStatus = main.get("/v3/status").await.unwrap();
    assert_eq!(status.releases.len(), 2);
    for path in ["/v3/approve", "/v3/releases/2/approve", "/v3/releases/approve", "/v3/rollback"] {
        assert!(main.post::<()>(path, &()).await.is_err(), "main reached {path}");
    }
    // A visitor reaches neither main's door nor the operator's.
    for path in ["/v3/status", "/v3/releases/offer", "/control.sock", "/live.json", "/identity.json"] {
        assert_eq!(world.get("north", path).await.status, 404, "a visitor reached {path}");
    }
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    // The operator alone decides.
    world.approve("north");
    world.assert_shows("north", "/about/", "We mend everything.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_05_one_main_has_many_partners_and_each_site_stands_for_itself() {
    let names = ["north", "south", "east", "west"];
    let plan = World::new().main_page("/about/", "We mend lamps.");
    let plan = names.iter().fold(plan, |plan, name| {
        plan.contract(name, Contract::inherited()).original(name, "/local/", &format!("This is {name}."))
    });
    let world = plan.start().await;
    world.publish_to_all().await;
    world.approve("north");
    for name in &names[1..] {
        assert_eq!(world.get(name, "/about/").await.status, 404, "{name} went live by north's word");
        world.approve(name);
        world.assert_shows(name, "/local/", &format!("This is {name}.")).await;
    }
    let keys: std::collections::BTreeSet<String> =
        names.iter().map(|name| world.daemon(name).identity().certificate.clone()).collect();
    assert_eq!(keys.len(), names.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_06_there_is_no_partner_without_a_contract_and_the_contract_names_the_fee() {
    let world = settled().await;
    let uninvited = world.hub().invite(&site_id("stranger"), jiff::Timestamp::now()).await.unwrap_err();
    assert!(matches!(uninvited, HubError::NoContract { .. }), "{}", told(&uninvited));
    world.get("north", "/about/").await;
    world.collect("north").await;
    let text = world.statement("north").await.notice.statement;
    let contract = format!("contract:        {}", world.manifest("north", 1).contract.id);
    assert!(text.contains(&contract) && text.contains("\ntotal:"), "{text}");
}
