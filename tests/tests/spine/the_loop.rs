//! The loop from joining to cosigned journals, row by row: what works when everybody means well.

use std::fs;

use jiff::Timestamp;
use tieup_hub::partners::Hub;
use tieup_hub::publish::{Outcome, Rejected};
use tieup_protocol::approval::{DecidedBy, ReleaseState};
use tieup_protocol::digest::Digest;
use tieup_protocol::joining::Reach;
use tieup_store::journal::{CosignerVerifier, Origin, verify_cosignature, verify_log};
use tieup_syncd::control::{Answer, Command, ask};
use tieup_tests::journal::files_below;
use tieup_tests::parcel::release;
use tieup_tests::world::site_id;
use tieup_tests::{Contract, Kept, World, assert_says, told};

use crate::settled;

/// Sends an operator's command through the daemon's socket, as `syncd` does.
async fn command(world: &World, partner: &str, command: Command) -> Answer {
    let socket = world.partner(partner).config.control_socket();
    tokio::task::spawn_blocking(move || ask(&socket, &command)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_01_a_partner_is_certified_by_its_token_and_its_key_stays_with_it() {
    let world = settled().await;
    let row = world.hub().partner(&site_id("north")).await.unwrap();
    assert_eq!(row.compare_code, world.partner("north").compare_code, "the code that two people compare");
    assert_eq!(row.address, Reach::Address(world.peer("north").to_string()));
    let identity = world.daemon("north").identity();
    assert!(identity.key.contains("PRIVATE KEY"));
    let secret = identity.key.lines().nth(1).unwrap();
    for (path, bytes) in files_below(&world.hub().config.state) {
        assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{} holds the partner's key", path.display());
    }
    let mains = world.hub().keys.root().unwrap();
    assert_eq!(identity.root, mains, "the root that the partner pinned");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_02_there_may_be_no_originals_and_any_number_of_them() {
    let world = World::new()
        .contract("alone", Contract::inherited())
        .contract("north", Contract::inherited())
        .original("north", "/local/", "Our own shelf.")
        .original("north", "/local/hours/", "From ten to six.")
        .start()
        .await;
    world.publish_to_all().await;
    for partner in ["alone", "north"] {
        world.approve(partner);
        world.assert_shows(partner, "/", "Lamps, mended and new.").await;
    }
    assert_eq!(world.get("alone", "/local/").await.status, 404);
    world.assert_shows("north", "/local/", "Our own shelf.").await;
    world.assert_shows("north", "/local/hours/", "From ten to six.").await;
    let sitemap = world.get("north", "/sitemap.xml").await.text;
    assert_says(&sitemap, &["https://north.example/local/</loc>", "https://north.example/local/hours/</loc>"]);
    assert!(!sitemap.contains("https://north.example/</loc>"), "a copy of main's page is listed by main alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_07_visitors_see_no_difference_between_main_and_partner() {
    let world = settled().await;
    world.show_main();
    for path in ["/", "/about/", "/style.css"] {
        let (main, partner) = (world.get_main(path).await, world.get("north", path).await);
        assert_eq!((partner.status, partner.text), (200, main.text), "{path}");
        assert_eq!(partner.headers["content-type"], main.headers["content-type"], "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_12_an_update_reaches_every_partner_and_one_that_slept_catches_up() {
    let partners = ["east", "north", "south", "west"];
    let plan = World::new().main_page("/about/", "We mend lamps.");
    let plan = partners.iter().fold(plan, |plan, partner| plan.contract(partner, Contract::inherited()));
    let mut world = plan.start().await;
    world.publish_to_all().await;
    for partner in partners {
        world.approve(partner);
    }
    let sleeping = world.halt("west").await;
    world.edit("/about/", "We mend everything.");
    let outcomes = world.hub().publish(&world.site(), &[], Rejected::Skip).await.unwrap();
    assert_eq!(outcomes.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), partners);
    for (partner, outcome) in outcomes {
        match (partner.as_str(), outcome) {
            ("west", Err(error)) => assert_says(&told(&error), &["was not published to `west`", "cannot be reached"]),
            (_, Ok(Outcome::Delivered { release, .. })) => assert_eq!(release.state, ReleaseState::Staged),
            (_, other) => panic!("{partner}: {other:?}"),
        }
    }
    world.resume(sleeping).await;
    world.publish("west").await;
    for partner in partners {
        world.approve(partner);
        world.assert_shows(partner, "/about/", "We mend everything.").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_17_nothing_is_public_before_it_is_approved_and_silence_never_approves() {
    let mut world = settled().await;
    let before = world.face("north").await;
    world.edit("/about/", "We mend everything.");
    let first = world.publish("north").await;
    assert_eq!((first.state, first.by), (ReleaseState::Staged, None));
    assert_eq!(before.pages, world.face("north").await.pages, "a release that waits is public");
    world.restart("north").await;
    assert_eq!(before.pages, world.face("north").await.pages, "a release that waits became public by a restart");
    assert_eq!(world.try_publish("north").await.unwrap(), Outcome::Unchanged(first.version));
    world.edit("/about/", "We mend everything twice.");
    let second = world.publish("north").await;
    assert_eq!(before.pages, world.face("north").await.pages, "a release went public when the next one came");
    let words: Vec<_> = world.releases("north").iter().map(|r| r.state.word()).collect();
    assert_eq!(words, ["staged", "superseded", "live"]);
    let approve = |version, manifest| {
        let mut publisher = world.daemon("north").publisher();
        told(&publisher.approve(version, manifest, DecidedBy::Operator, Timestamp::now()).unwrap_err())
    };
    let says = "error: release 2 is not waiting for a decision: it is superseded\n";
    assert_eq!(approve(first.version, first.manifest), says);
    let says = "error: release 3 was staged anew since you looked: read the change again, then decide\n";
    assert_eq!(approve(second.version, first.manifest), says);
    world.approve("north");
    world.assert_shows("north", "/about/", "We mend everything twice.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_18_19_20_the_operator_is_asked_in_a_sentence_and_answers_yes() {
    let world = settled().await;
    world.edit("/about/", "We mend everything.");
    world.edit("/prices/", "Nothing is free, see [the other shop](https://elsewhere.example/).");
    world.publish("north").await;
    let Answer::Status { status, .. } = command(&world, "north", Command::Status).await else { panic!("no status") };
    let waiting = &status.releases[0];
    let sentence = "Release 2 from lampworks: 1 changed, 1 new; NEW external host: elsewhere.example; signature valid";
    assert_eq!(waiting.sentence, sentence);
    assert_eq!(waiting.waits_for.as_deref(), Some("the contract has no rule for automatic approval"));
    let Answer::Diff { difference } = command(&world, "north", Command::Diff { version: None }).await else {
        panic!("no diff")
    };
    let text = difference.to_string();
    let says = [
        "changed  /about/\n",
        "-<main><h1>about</h1><p>We mend lamps.</p>\n+<main><h1>about</h1><p>We mend everything.</p>",
        "new      /prices/",
    ];
    assert_says(&text, &says);
    let blind = Command::Approve { version: waiting.version, manifest: Digest::of(b"not read") };
    let Answer::Refused { causes } = command(&world, "north", blind).await else { panic!("approved unread") };
    assert_eq!(causes, ["release 2 was staged anew since you looked: read the change again, then decide"]);
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    let approve = Command::Approve { version: waiting.version, manifest: waiting.manifest };
    let Answer::Release { release } = command(&world, "north", approve).await else { panic!("not approved") };
    assert_eq!((release.state, release.by), (ReleaseState::Live, Some(DecidedBy::Operator)));
    world.assert_shows("north", "/about/", "We mend everything.").await;
    let main = world.hub().status(&world.hub().partner(&site_id("north")).await.unwrap()).await.unwrap();
    assert_eq!(main.releases[0].state, ReleaseState::Live, "what main hears of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_content_is_not_sent_again_where_main_has_lost_its_manifest() {
    let world = settled().await;
    world.edit("/about/", "We mend nothing.");
    world.publish("north").await;
    let (north, rejected) = (site_id("north"), world.reject("north", "we do mend"));
    // As a hub leaves it that is killed while it sends.
    world.hub().database.set_manifest(&north, rejected.version, "").await.unwrap();
    let hub = Hub::open(world.hub().config.clone()).await.unwrap();
    let (_, outcome) = hub.publish(&world.site(), &[north], Rejected::Skip).await.unwrap().remove(0);
    let expected = Outcome::RejectedBefore { version: rejected.version, reason: "we do mend".to_owned() };
    assert_eq!(outcome.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_21_a_refusal_leaves_the_site_as_it_was_and_main_hears_why() {
    let world = settled().await;
    let before = world.face("north").await;
    world.edit("/about/", "We mend nothing.");
    world.publish("north").await;
    let rejected = world.reject("north", "we do mend");
    let after = world.face("north").await;
    assert_eq!((&after.pages, &after.live), (&before.pages, &before.live), "a refusal changed the public site");
    match world.try_publish("north").await.unwrap() {
        Outcome::RejectedBefore { version, reason } => {
            assert_eq!((version, reason.as_str()), (rejected.version, "we do mend"));
        }
        other => panic!("{other:?}"),
    }
    world.assert_unchanged("north", &after, Kept::All).await;
    let row = world.hub().database.newest_release(&site_id("north")).await.unwrap().unwrap();
    assert_eq!((row.state.as_str(), row.detail.as_str()), ("rejected", "we do mend"));
    let again = world.publish_with("north", Rejected::SendAgain).await.unwrap();
    assert!(matches!(again, Outcome::Delivered { release, .. } if release.version.get() == 3));
    world.reject("north", "still not");
    world.edit("/about/", "We mend again.");
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend again.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_lets_text_through_and_asks_about_everything_else() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().auto(r#"[{paths: "/**", only: text, max_bytes: 2k}]"#))
        .start()
        .await;
    let first = world.publish("north").await;
    assert_eq!(first.waits_for.as_deref(), Some("it is the first release"));
    world.approve("north");
    world.edit("/about/", "We mend everything.");
    let text = world.publish("north").await;
    assert_eq!((text.state, text.by), (ReleaseState::Live, Some(DecidedBy::Rule)));
    world.assert_shows("north", "/about/", "We mend everything.").await;
    let more = [
        ("[a link](/)", "no rule covers /about/ (more than text changed)"),
        ("[a link](https://elsewhere.example/)", "NEW external host: elsewhere.example"),
        ("<script src=\"/a.js\"></script>", "NEW script: /a.js"),
        (&*"long ".repeat(1_000), "no rule covers /about/ (text changed)"),
    ];
    for (words, reason) in more {
        world.edit("/about/", words);
        let waiting = world.publish("north").await;
        assert_eq!((waiting.state, waiting.waits_for.as_deref()), (ReleaseState::Staged, Some(reason)));
        world.assert_shows("north", "/about/", "We mend everything.").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_is_not_undone_by_a_rule() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().auto(r#"[{paths: "/**", only: text}]"#))
        .start()
        .await;
    world.go_live("north").await;
    world.edit("/about/", "We mend nothing.");
    assert_eq!(world.publish("north").await.by, Some(DecidedBy::Rule));
    world.roll_back("north");
    let same = world.try_publish("north").await.unwrap();
    assert_eq!(same, Outcome::RolledBack(release(2)), "content that was rolled back from was sent again");
    world.edit("/about/", "We mend nothing at all.");
    let waiting = world.publish("north").await;
    assert_eq!(waiting.waits_for.as_deref(), Some("the operator rolled back from release 2"));
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    world.approve("north");
    world.edit("/about/", "We mend lamps.");
    assert_eq!(world.publish("north").await.by, Some(DecidedBy::Rule), "the rule holds again");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_operators_socket_and_the_partners_keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = settled().await;
    for name in ["control.sock", "identity.json"] {
        let mode = fs::metadata(world.state("north").join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name} is open to others");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_29_a_new_layout_restyles_the_originals_of_a_framework_partner() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("town", Contract::framework())
        .original("town", "/", "Our town.")
        .original("town", "/market/", "On Saturdays.")
        .start()
        .await;
    world.go_live("town").await;
    world.assert_shows("town", "/market/", "<footer>plain footer</footer>").await;
    assert_eq!(world.get("town", "/about/").await.status, 404, "main's content came along with its layout");
    world.restyle("plain/templates/base.html", "plain footer", "golden footer");
    world.restyle("plain/static/style.css", "2rem", "3rem");
    let staged = world.publish("town").await;
    assert_says(&staged.sentence, &["Release 2 from lampworks: 4 changed"]);
    world.assert_shows("town", "/market/", "<footer>plain footer</footer>").await;
    world.approve("town");
    for (path, words) in [("/", "Our town."), ("/market/", "On Saturdays.")] {
        world.assert_shows("town", path, words).await;
        world.assert_shows("town", path, "<footer>golden footer</footer>").await;
    }
    world.assert_shows("town", "/style.css", "3rem").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_33_a_journal_is_fetched_whole_and_in_part() {
    let world = settled().await;
    for number in 0..300 {
        world.get("north", &format!("/about/?{number}")).await;
    }
    let whole = world.collect("north").await[0];
    assert_eq!((whole.added, whole.size), (300, 300));
    for path in ["/", "/local/", "/about/"] {
        world.get("north", path).await;
    }
    let part = world.collect("north").await[0];
    assert_eq!((part.added, part.size), (3, 303));
    let nothing = world.collect("north").await[0];
    assert_eq!((nothing.added, nothing.size), (0, 303));
    let file = format!("{}/entries", world.month("north"));
    let (mains, partners) = (world.mirrors("north").join(&file), world.state("north").join("journal").join(&file));
    assert_eq!(fs::read(mains).unwrap(), fs::read(partners).unwrap(), "main's copy is not the partner's journal");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_48_49_the_partner_writes_the_journal_and_both_verify_it() {
    let world = settled().await;
    for path in ["/", "/about/", "/local/"] {
        world.get("north", path).await;
    }
    world.collect("north").await;
    let (month, key) = (world.month("north"), world.journal_key("north"));
    let origin = Origin::new(&site_id("lampworks"), &site_id("north"), month);
    for journals in [world.mirrors("north"), world.state("north").join("journal")] {
        let verified = verify_log(&journals.join(month.to_string()), &origin, &key).unwrap();
        assert_eq!((verified.checkpoint.size(), verified.unsigned), (3, 0), "{}", journals.display());
    }
    let receipt = world.daemon("north").journal().reader(month).unwrap().cosigned().unwrap();
    let cosigner: CosignerVerifier = world.daemon("north").identity().cosigner_key.parse().unwrap();
    verify_cosignature(receipt.expect("the partner holds main's receipt").as_bytes(), &cosigner).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_53_a_partner_cannot_put_a_page_at_mains_path() {
    let world = settled().await;
    let before = world.face("north").await;
    let error = world.edit_original("north", "/about/", "We mend better.").unwrap_err();
    let says = [
        "the release and the originals cannot be merged",
        "/about/ is claimed by main site `lampworks` (release 1) and by partner `north` (",
        "content/about.md); contract lampworks/north@1 gives `/` to main `lampworks`",
    ];
    assert_says(&told(&error), &says);
    world.assert_unchanged("north", &before, Kept::All).await;
    world.edit("/prices/", "Nothing is free.");
    let error = world.try_publish("north").await.unwrap_err();
    let says = [
        "release 2 was not published to `north`",
        "`lampworks` (release 2) and by partner `north` (",
        says[2],
        "hint: ",
    ];
    assert_says(&told(&error), &says);
    world.assert_unchanged("north", &before, Kept::AllButTrust).await;
    fs::remove_file(world.partner("north").config.site.join("content/about.md")).unwrap();
    world.go_live("north").await;
    world.assert_shows("north", "/prices/", "Nothing is free.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_53_an_original_goes_live_without_main() {
    let world = settled().await;
    let releases = world.releases("north");
    let changed = world.edit_original("north", "/local/", "A new shelf.").unwrap();
    assert!(changed.paths.keys().any(|path| path.as_str() == "/local/"), "{changed:?}");
    world.assert_shows("north", "/local/", "A new shelf.").await;
    world.assert_shows("north", "/about/", "We mend lamps.").await;
    assert_eq!(world.releases("north"), releases);
    assert!(world.edit_original("north", "/local/", "A new shelf.").unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_with_the_right_to_override_serves_its_own_page() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().rights("{override: always}"))
        .original("north", "/about/", "We mend better.")
        .start()
        .await;
    world.go_live("north").await;
    world.assert_shows("north", "/about/", "We mend better.").await;
    world.assert_shows("north", "/", "Lamps, mended and new.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_holds_the_partners_words_on_its_own_pages_and_on_mains() {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited())
        .original("north", "/local/", "Our own shelf.")
        .partner_file("north", "slots/nav.md", "[Our shelf](/local/)\n")
        .contract("south", Contract::inherited())
        .start()
        .await;
    world.publish_to_all().await;
    for partner in ["north", "south"] {
        world.approve(partner);
    }
    for path in ["/", "/about/", "/local/"] {
        world.assert_shows("north", path, "<nav><p><a href=\"/local/\">Our shelf</a></p>\n</nav>").await;
    }
    world.assert_shows("south", "/about/", "<nav>main's menu</nav>").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_moves_back_and_forward_and_only_to_what_was_live() {
    let world = settled().await;
    let old = world.face("north").await.pages;
    world.edit("/about/", "We mend everything.");
    world.go_live("north").await;
    let new = world.face("north").await.pages;
    assert_eq!(world.roll_back("north").version.get(), 1);
    assert_eq!(world.face("north").await.pages, old);
    assert_eq!(world.roll_back("north").version.get(), 2);
    assert_eq!(world.face("north").await.pages, new);
    world.edit("/about/", "We mend nothing.");
    let waiting = world.publish("north").await;
    let error = world.daemon("north").publisher().roll_back(Some(waiting.version), Timestamp::now()).unwrap_err();
    assert_eq!(told(&error), "error: release 3 cannot be rolled back to: it is staged, and was never live\n");
    assert_eq!(world.face("north").await.pages, new);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sites_of_this_repository_go_round_the_loop() {
    let world = World::of_repository().await;
    world.publish_to_all().await;
    for (partner, path) in [("harbor-shop", "/products/"), ("sapporo", "/guide/")] {
        world.approve(partner);
        assert_eq!(world.get(partner, path).await.status, 200, "{path} at `{partner}`");
        world.collect(partner).await;
        let verdict = world.statement(partner).await.verdict;
        assert_eq!(verdict, tieup_protocol::wire::StatementVerdict::Identical);
    }
    world.stop().await;
}
