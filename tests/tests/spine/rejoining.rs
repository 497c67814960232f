//! A partner that lost its machine and joins again with new keys: what main held stays verifiable, and a person settles that
//! log and audit trail begin anew.

use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use tieup_protocol::audit::Event;
use tieup_store::audit::AuditTrail;
use tieup_syncd::identity::Identity;
use tieup_tests::issuing::row;
use tieup_tests::world::site_id;
use tieup_tests::{World, assert_says, told};

use crate::returns::{log_visits, said, tieup};
use crate::revocation::{assert_shut_out, shared, to_hub};
use crate::settled;

/// Throws the state folder of `north` away, and lets it join again.
async fn lose_the_machine(world: &mut World) {
    let halted = world.halt("north").await;
    let (state, before) = (&halted.config.state, world.hub().partner(&site_id("north")).await.unwrap());
    let lost = shared(&Identity::load(state).unwrap().tls().unwrap());
    let mut open = to_hub(world, &lost).await.unwrap();
    assert_eq!(open.get("/versions").await.unwrap().0, 200);
    fs::remove_dir_all(state).unwrap();
    let invitation = world.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap();
    Identity::join(state, &invitation, &halted.config.address).await.unwrap();
    let now = row(world, "north").await;
    assert_ne!(now.journal_key, before.journal_key);
    assert_eq!(now.earlier_keys, [before.journal_key]);
    // Whoever found the machine is nobody to main.
    assert!(open.get("/versions").await.is_err());
    assert_shut_out(to_hub(world, &lost).await).await;
    world.resume(halted).await;
}

/// What main put aside of the trail of `north`: the copy (`jsonl`) or the signature over it (`signed`).
pub(crate) fn aside(world: &World, extension: &str) -> PathBuf {
    let files = fs::read_dir(world.mirrors("north")).unwrap().map(|file| file.unwrap().path());
    let is_it = |path: &PathBuf| {
        path.to_string_lossy().contains("/audit.aside-") && path.extension().is_some_and(|found| found == extension)
    };
    files.into_iter().find(is_it).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_partner_logged_before_it_lost_its_machine_verifies_and_log_and_trail_are_settled() {
    let mut world = settled().await;
    log_visits(&world, "north", 4).await;
    let month = world.month("north").to_string();
    world.collect("north").await;
    world.hub().fetch_audit(&row(&world, "north").await).await.unwrap();
    let before = world.hub().audit_copy(&row(&world, "north").await).entries().unwrap();
    Box::pin(lose_the_machine(&mut world)).await;

    let verifies = |world: &World, entries: u64| {
        let verified = tieup(world, &["log", "verify", "north"]);
        assert!(verified.status.success(), "{}", said(&verified));
        let expected = format!("{entries} entries match the signed checkpoint, {entries} cosigned at");
        assert_says(&said(&verified), &[&expected]);
    };
    verifies(&world, 4);
    let proof = tieup(&world, &["log", "prove", "north", &month, "3", "--format", "json"]);
    let proof: serde_json::Value = serde_json::from_slice(&proof.stdout).unwrap();
    assert_eq!(proof["key"], row(&world, "north").await.earlier_keys[0].as_str());
    for command in [&["log", "export", "north", &month][..], &["log", "findings", "north"]] {
        let done = tieup(&world, command);
        assert!(done.status.success(), "{command:?}: {}", said(&done));
    }

    // The new log and the new trail are other ones than main holds.
    log_visits(&world, "north", 2).await;
    assert_says(&told(&world.try_collect("north").await.unwrap_err()), &["is refused", "the log shrank"]);
    let refused = tieup(&world, &["audit", "north"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_says(&said(&refused), &["the audit trail of `north` is REFUSED", "tieup audit north --settle --reason"]);
    verifies(&world, 4);
    let status = tieup(&world, &["status"]);
    assert_eq!(status.status.code(), Some(1));
    assert_says(
        &said(&status),
        &["ALARM: the journal of ", "journals are refused until", "an audit trail is refused until"],
    );

    let reason = "its disk was lost; told by telephone";
    let settled = tieup(&world, &["log", "settle", "north", &month, "--put-aside", "--reason", reason]);
    assert!(settled.status.success(), "{}", said(&settled));
    let status = tieup(&world, &["status", "--format", "json"]);
    assert_eq!(status.status.code(), Some(1));
    assert_says(
        &said(&status),
        &["ALARM: the audit trail of `north` is REFUSED", "tieup audit PARTNER --settle --reason"],
    );
    let settled = tieup(&world, &["audit", "north", "--settle", "--reason", reason]);
    assert!(settled.status.success(), "{}", said(&settled));
    assert_says(&said(&settled), &["The audit trail of `north` is settled", "is kept in", "audit.aside-"]);
    let own = world.hub().own_trail().unwrap().pop().unwrap();
    assert_eq!(own.what, Event::TrailSettled);
    assert_says(&own.reason.unwrap(), &["north: its disk was lost", "was rewritten", "is kept as audit.aside-"]);
    assert_eq!(AuditTrail::at(aside(&world, "jsonl")).entries().unwrap(), before);
    let status = tieup(&world, &["status"]);
    assert!(status.status.success(), "{}", said(&status));

    assert_eq!(world.collect("north").await[0].size, 2);
    verifies(&world, 2);
    world.go_live("north").await;
    let audited = tieup(&world, &["audit", "north"]);
    assert!(audited.status.success(), "{}", said(&audited));
    assert_says(&said(&audited), &["staged", "approved", "each continues the one before it"]);
    let again = tieup(&world, &["audit", "north", "--settle", "--reason", reason]);
    assert_says(&said(&again), &["continues main's copy: there is nothing to settle"]);
    assert!(tieup(&world, &["status"]).status.success());
}
