//! Joins that break off in the middle, and what a used token is worth.

use jiff::Timestamp;
use tieup_protocol::joining::{Invitation, Reach};
use tieup_store::journal::LogSigner;
use tieup_syncd::identity::Identity;
use tieup_tests::cutter::Cutter;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, World, assert_says, told};

/// How many bytes of the hub's come through before the first cut, and how many more before each further one.
const BYTES: u64 = 700;

/// More bytes than a join takes.
const MOST: u64 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_was_cut_off_anywhere_is_finished_with_the_same_token_by_the_same_keys_alone() {
    let world = World::new().contract_alone("north", Contract::inherited()).start().await;
    let (folder, line) = (world.folder(), Reach::Line);
    let genuine = world.hub().invite(&site_id("north"), Timestamp::now()).await.unwrap();
    let way = Cutter::before(world.hub().config.join.parse().unwrap()).await;
    let cut = Invitation { hub: way.address.to_string(), ..genuine.clone() };
    let (state, other) = (folder.join("north-state"), folder.join("other-state"));
    let (mut failures, mut used) = (0, 0);
    let joined = loop {
        failures += 1;
        assert!(failures * BYTES < MOST, "the join is never whole");
        way.cut_after(failures * BYTES);
        match Identity::join(&state, &cut, &line).await {
            Ok(joined) => break joined,
            Err(error) => assert_says(&told(&error), &["did not accept the join"]),
        }
        assert!(Identity::load(&state).is_err(), "a join is half done");
        used += u64::from(world.hub().partner(&site_id("north")).await.is_ok());
    };
    assert!(used > 0, "main never accepted what then was cut off");
    assert!(!state.join("joining.json").exists());
    assert_eq!(Identity::load(&state).unwrap().key, joined.identity.key);
    let row = world.hub().partner(&site_id("north")).await.unwrap();
    assert_eq!(row.compare_code, joined.compare_code);

    let error = Identity::join(&other, &genuine, &line).await.unwrap_err();
    assert_says(&told(&error), &["this token has been used already", "hint: ask for a new one"]);
    // Under another key the journal could not go on.
    let journal_key = LogSigner::from_seed("lampworks/north", &[7; 32]).unwrap().to_private_text();
    Identity { journal_key, ..joined.identity }.save(&other).unwrap();
    let error = Identity::join(&other, &genuine, &line).await.unwrap_err();
    assert_says(&told(&error), &["this token has been used already"]);
    world.hub().revoke_partner(&site_id("north"), "the laptop was stolen", Timestamp::now()).await.unwrap();
    let error = Identity::join(&state, &genuine, &line).await.unwrap_err();
    assert_says(&told(&error), &["this token has been used already"]);
}
