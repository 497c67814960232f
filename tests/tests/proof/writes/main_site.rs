//! Writes that fail at the main site while it publishes or asks for signatures, while it collects a journal, and while it
//! gives up what no partner needs.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use tieup_hub::archive::{Archive, Remembered};
use tieup_hub::partners::Hub;
use tieup_hub::publish::Outcome;
use tieup_hub::trust::{Installed, SigningKey, SigningRequest};
use tieup_tests::world::site_id;
use tieup_tests::{marked, told};

use super::failures::{Failures, assert_named, names};
use super::{Shop, contract};

/// The kinds of files that main writes when it publishes.
pub(super) const IN_A_PUBLICATION: &[&str] = &["published/N.blobs"];

/// Those that it writes when it gives up what no partner needs.
pub(super) const IN_A_SWEEP: &[&str] = &["published/N.blobs"];

/// That in which it notes when it did so last.
pub(super) const AFTER_A_SWEEP: &[&str] = &["published/swept.json"];

/// Those that it writes when it asks for signatures.
pub(super) const IN_A_REQUEST: &[&str] = &["signing/north", "signing/north/N.json", "signing/north/blobs/N.blobs"];

/// Those that it writes when its state folder gets a name.
pub(super) const IN_A_NEW_FOLDER: &[&str] = &["identity", "identity/folder"];

/// Those that it writes when it collects a journal for the first time.
pub(super) const AT_A_COLLECTION: &[&str] =
    &["journals", "journals/north/N-N/entries", "journals/north/collected.json"];

/// Whatever main publishes goes live at once.
const BY_A_RULE: &str = r#"{policy: ask, auto: [{paths: "/**", only: any}]}"#;

/// Where main logs visits to its own pages, which is another test's affair.
const OWN_LOG: &str = "journal";

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_of_mains_fails_while_it_publishes_the_release_arrives_whole_now_or_with_the_next_push() {
    let mut shop = Shop::open(contract(BY_A_RULE)).await;
    let state = shop.world.hub().config.state.clone();
    let mut failures = Failures::of("publishing");
    loop {
        let before = shop.seen("before");
        shop.mark += 1;
        marked::write_release(&shop.world, shop.mark);
        let laid = failures.lay_sparing(&state, &state.join(OWN_LOG));
        let told_of = shop.world.try_publish("north").await.map_err(|error| told(&error));
        let said = format!("{}: {told_of:?}", failures.said(&laid));
        let seen = shop.seen(&said);
        match &told_of {
            Ok(_) => assert_eq!(seen.mark, shop.mark, "{said}"),
            Err(told) => {
                let is_named = laid.failed().iter().any(|path| names(told, path));
                assert!(is_named, "{said}: the file is not named");
                assert!([before.mark, shop.mark].contains(&seen.mark), "{said}");
            }
        }
        let has_failed = failures.take(&state, laid);
        let again = shop.world.try_publish("north").await;
        let again = again.unwrap_or_else(|error| panic!("{said}: the push that followed: {}", told(&error)));
        assert!(matches!(again, Outcome::Delivered { .. } | Outcome::Unchanged(_)), "{said}: {again:?}");
        assert_eq!(shop.seen(&said).mark, shop.mark, "{said}: after the push that followed");
        if !has_failed {
            return failures.end(IN_A_PUBLICATION);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_of_mains_fails_while_it_gives_up_what_is_old_what_partners_may_need_is_there() {
    let mut shop = Shop::open(contract(BY_A_RULE)).await;
    let hub = shop.world.hub().clone();
    let folder = hub.config.state.join("published");
    let mut failures = Failures::of("sweeping at main");
    for day in 2.. {
        for _ in 0..3 {
            shop.publish_next().await;
        }
        let archive = Archive::open(&hub.config.state, &Remembered::default()).unwrap().unwrap();
        let laid = failures.lay(&folder);
        let at = Timestamp::now() + SignedDuration::from_hours(24 * day);
        let swept = hub.sweep(&archive, at).await;
        let said = failures.said(&laid);
        if let Err(error) = &swept {
            let named = told(error);
            assert!(laid.failed().iter().any(|path| names(&named, path)), "{said}: {named}");
        }
        let has_failed = failures.take(&hub.config.state, laid);
        drop(archive);
        // What is live can still be sent again, and the next release told as a difference from it.
        shop.world.damage("north", &shop.world.served("north", "/p1/"));
        shop.world.daemon("north").guard().check(shop.world.daemon("north"), Timestamp::now()).unwrap();
        let north = hub.partner(&site_id("north")).await.unwrap();
        assert_eq!(hub.status(&north).await.unwrap().guard.drift, None, "{said}: main lacks what is live");
        if !has_failed {
            failures.end(IN_A_SWEEP);
            return note_sweeps(&hub).await;
        }
    }
}

/// Sweeps day by day, until no write is left to fail by which that is noted.
async fn note_sweeps(hub: &Hub) {
    let file = hub.config.state.join("published/swept.json");
    let mut failures = Failures::of("noting a sweep");
    for day in 1000.. {
        let archive = Archive::open(&hub.config.state, &Remembered::default()).unwrap().unwrap();
        let laid = failures.lay(&file);
        let swept = hub.sweep(&archive, Timestamp::now() + SignedDuration::from_hours(24 * day)).await;
        let said = failures.said(&laid);
        if !failures.take(&hub.config.state, laid) {
            assert!(swept.is_ok(), "{said}: {swept:?}");
            return failures.end(AFTER_A_SWEEP);
        }
        assert!(swept.is_err(), "{said}: told as noted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_of_mains_fails_while_it_asks_for_signatures_they_can_be_given_all_the_same() {
    let mut shop = Shop::open(contract(BY_A_RULE)).await;
    let hub = shop.world.hub().clone();
    let file = hub.keys.dir().join("release.key");
    let key = SigningKey::read(&file).unwrap();
    // The key is a person's from now on.
    fs::remove_file(&file).unwrap();
    let mut failures = Failures::of("asking for signatures");
    loop {
        shop.mark += 1;
        marked::write_release(&shop.world, shop.mark);
        let laid = failures.lay_sparing(&hub.config.state, &hub.config.state.join(OWN_LOG));
        let asked = shop.world.try_publish("north").await;
        let said = failures.said(&laid);
        match &asked {
            Ok(asked) => assert!(matches!(asked, Outcome::AwaitingSignatures { .. }), "{said}: {asked:?}"),
            Err(error) => assert_named(error, &laid, &said),
        }
        let has_failed = failures.take(&hub.config.state, laid);
        let Ok(Outcome::AwaitingSignatures { file, .. }) = shop.world.try_publish("north").await else {
            panic!("{said}: nobody is asked")
        };
        let mut request = SigningRequest::parse(&fs::read_to_string(&file).unwrap()).unwrap();
        request.sign(&key).unwrap();
        let installed =
            hub.install_signatures(request).await.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        assert!(matches!(installed, Installed::Sent(Outcome::Delivered { .. })), "{said}: {installed:?}");
        assert_eq!(shop.seen(&said).mark, shop.mark, "{said}");
        if !has_failed {
            return failures.end(IN_A_REQUEST);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_of_mains_fails_while_it_collects_a_journal_the_next_collection_has_every_visit() {
    let shop = Shop::open(contract(BY_A_RULE)).await;
    let state = shop.world.hub().config.state.clone();
    let (mut failures, mut visits) = (Failures::of("collecting at main"), 0);
    loop {
        // As before the first time.
        let _ = fs::remove_dir_all(state.join("journals/north"));
        assert_eq!(shop.world.get("north", "/p0/").await.status, 200);
        visits += 1;
        let laid = failures.lay(&state.join("journals"));
        let collected = shop.world.try_collect("north").await;
        let said = failures.said(&laid);
        match &collected {
            Ok(collected) => assert_eq!(collected[0].size, visits, "{said}"),
            Err(error) => assert_named(error, &laid, &said),
        }
        let has_failed = failures.take(&state, laid);
        let again = shop.world.try_collect("north").await;
        let again = again.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        assert_eq!(again[0].size, visits, "{said}");
        if !has_failed {
            return failures.end(AT_A_COLLECTION);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_while_the_state_folder_gets_its_name_it_has_one_when_the_hub_is_opened_again() {
    let shop = Shop::open(contract(BY_A_RULE)).await;
    let config = shop.world.hub().config.clone();
    let state = config.state.clone();
    let mut failures = Failures::of("naming the state folder");
    loop {
        fs::remove_dir_all(state.join("identity")).unwrap();
        let laid = failures.lay(&state.join("identity"));
        let opened = Hub::open(config.clone()).await;
        let said = failures.said(&laid);
        if let Err(error) = &opened {
            assert_named(error, &laid, &said);
        }
        let has_failed = failures.take(&state, laid);
        Hub::open(config.clone()).await.unwrap_or_else(|error| panic!("{said}: {}", told(&error)));
        let name = fs::read_to_string(state.join("identity/folder")).unwrap();
        assert_eq!(name.trim_end().len(), 32, "{said}: {name}");
        if !has_failed {
            return failures.end(IN_A_NEW_FOLDER);
        }
    }
}
