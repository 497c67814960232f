//! The catalogue: how much a partner's site holds when a month ends, whose advertisements are on it, and what main offers in
//! limited number. Each side says what it knows, and both come to the same statement.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tieup_hub::catalogue::{Asked, CatalogueError, Published};
use tieup_hub::database::Existing;
use tieup_protocol::audit::{Actor, AuditEntry, Event, Happening, TrailEnd};
use tieup_protocol::period::Month;
use tieup_protocol::record::Span;
use tieup_protocol::wire::{Cause, StatementNotice, StatementVerdict};
use tieup_store::audit::AuditTrail;
use tieup_store::lock::StateLock;
use tieup_tests::{Contract, World, assert_says, told};

use tieup_tests::issuing::{issue, log_before, log_in, row};

/// Fees by pages, the share of main's advertisements, and how scarce lanterns are.
const FEES: &str = r#"meters:
  pages: {pages: {class: both}}
  own: {content_bytes: {class: original}}
  mains: {ads: {owner: main}}
  all: {ads: {owner: both}}
  share: {ratio: [mains, all], if_zero: zero}
  left: {offered: {goods: lantern}}
charges:
  size: {flat: pages, tiers: [[0, 100], [4, 300]]}
  volume: {flat: own, tiers: [[0, 1], [41, 2]]}
  advertising: {flat: share, tiers: [[0, 50], ["0.75", 20]]}
  scarce: {flat: left, tiers: [[0, 7], [10, 3]]}
"#;

/// A partner with a live site of its own and main's pages.
async fn published() -> World {
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().fees(FEES))
        .original("north", "/local/", "Our own shelf.")
        .start()
        .await;
    world.go_live("north").await;
    world.get("north", "/about/").await;
    world
}

async fn publish(world: &World, month: Month, published: &Published, existing: Existing) -> Result<(), CatalogueError> {
    let north = row(world, "north").await;
    world.hub().note_published(&north, month.first_day(), published, existing, Timestamp::now()).await
}

fn offering(units: u64) -> Published {
    Published { ads: Some((3, 1)), offered: vec![("lantern".parse().unwrap(), units)] }
}

/// Lets `change` at what the partner has noted of how much was live, while its daemon is stopped.
async fn rewrite(world: &mut World, change: impl FnOnce(&mut Vec<Value>)) {
    world
        .restart_after("north", |state| {
            let file = state.join("extents.json");
            let mut extents: Vec<Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            change(&mut extents);
            fs::write(&file, serde_json::to_vec(&extents).unwrap()).unwrap();
        })
        .await;
}

/// Lets all that the partner's trail has be of `time`, as if its release had been approved then.
async fn antedate(world: &mut World, time: Timestamp) {
    let change = |state: &Path| {
        let file = state.join("audit.jsonl");
        let (mut end, mut text) = (TrailEnd::default(), String::new());
        for entry in AuditTrail::at(&file).entries().unwrap() {
            let AuditEntry { who, what, reason, .. } = entry;
            let release = entry.release.zip(entry.manifest);
            let (line, next) = end.append(&Happening { who, what, release, reason }, time);
            (end, text) = (next, text + &line + "\n");
        }
        fs::write(file, text).unwrap();
    };
    world.restart_after("north", change).await;
    // What main fetched of it before is another trail, and that is what was signed.
    for file in ["audit.jsonl", "audit.signed"] {
        let _ = fs::remove_file(world.mirrors("north").join(file));
    }
}

/// Notes that in the month before the last a page of 40 bytes was all that the partner had of its own, and `tieup` pages of
/// main's were live. Returns the month.
pub(crate) async fn long_live(world: &mut World, tieup: Option<u64>) -> Month {
    let month = log_before(world, 2).await;
    let since = month.start(&"Asia/Tokyo".parse().unwrap());
    Box::pin(antedate(world, since)).await;
    rewrite(world, |extents| {
        let mut first = extents[0].clone();
        first["since"] = since.to_string().into();
        first["original"] = serde_json::json!({"pages": 1, "bytes": 40});
        if let Some(pages) = tieup {
            first["tieup"]["pages"] = pages.into();
        }
        extents.insert(0, first);
    })
    .await;
    month
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_42_a_draft_goes_by_what_is_live_now_and_follows_the_partners_own_pages() {
    let world = published().await;
    world.collect("north").await;
    let month = world.month("north");
    publish(&world, month, &offering(40), Existing::Refuse).await.unwrap();
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{}", delivered.notice.statement);
    let live = world.daemon("north").extents().before(Timestamp::now()).unwrap().unwrap();
    assert!(live.tieup.pages >= 2 && live.original.pages == 1 && live.original.bytes > 41, "{live:?}");
    let pages = |own: u64| format!("  pages{:>58}{:>19}", live.tieup.pages, own);
    // A share of 3 in 4 is 20; more than ten are left.
    assert_says(&delivered.notice.statement, &[&pages(1), "main's ads:    3", "  share = ", "0.75"]);

    world.edit_original("north", "/local/more/", "More of our own.").unwrap();
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{}", delivered.notice.statement);
    assert_says(&delivered.notice.statement, &[&pages(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_goes_by_what_was_live_when_it_ended() {
    let mut world = published().await;
    let month = long_live(&mut world, None).await;
    publish(&world, month, &offering(9), Existing::Refuse).await.unwrap();
    let (notice, verdict) = issue(&world, month).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", notice.statement);
    let trail = world.hub().own_trail().unwrap().len();
    // 40 bytes of its own are 1; nine lanterns are scarce.
    for line in ["  volume  ", "  scarce  "] {
        assert_says(&notice.statement, &[line]);
    }
    let charge = |name: &str| {
        let line = notice.statement.lines().find(|line| line.starts_with(&format!("  {name} ")) && line.len() == 84);
        line.and_then(|line| line.split_whitespace().last()).map(str::to_owned)
    };
    assert_eq!(
        [charge("volume"), charge("scarce"), charge("advertising")],
        ["1", "7", "20"].map(|fee| Some(fee.into()))
    );
    let late = publish(&world, month, &offering(5), Existing::Refuse).await.unwrap_err();
    assert!(matches!(late, CatalogueError::Issued { .. }), "{late}");
    assert_eq!(world.hub().own_trail().unwrap().len(), trail, "what was refused stands in the trail");

    world.restart("north").await;
    assert_eq!(world.daemon("north").verify_statement(month).unwrap().verdict, StatementVerdict::Identical);
    assert_eq!(issue(&world, month).await, (notice, StatementVerdict::Identical));
    // What the partner knows of its own is no longer what it said: that line is where the two part.
    rewrite(&mut world, |extents| extents[0]["original"] = serde_json::json!({"pages": 8, "bytes": 40})).await;
    let StatementVerdict::Different { main, partner, .. } =
        world.daemon("north").verify_statement(month).unwrap().verdict
    else {
        panic!("taken for identical")
    };
    let numbers = |line: &str| line.split_whitespace().last().map(str::to_owned);
    assert!(main.starts_with("  pages ") && partner.starts_with("  pages "), "{main}\n{partner}");
    assert_eq!((numbers(&main).as_deref(), numbers(&partner).as_deref()), (Some("1"), Some("8")));
    let located = world.daemon("north").locate_holdings(month).unwrap().unwrap().to_string();
    assert_says(&located, &["main goes by:  1 in 40 bytes", "noted here:    8 in 40 bytes"]);
    assert!(!located.contains("tie-up"), "{located}");
    let config = &world.partner("north").config_file;
    let mut syncd = std::process::Command::new(env!("CARGO_BIN_EXE_syncd-to-kill"));
    let said = syncd.arg("--config").arg(config).args(["fee", "verify", &month.to_string()]).output().unwrap();
    assert_says(&String::from_utf8_lossy(&said.stdout), &["DIFFERENT", &located]);
}

#[tokio::test(flavor = "multi_thread")]
async fn main_goes_by_its_own_release_whatever_the_partner_says_of_it() {
    let mut world = published().await;
    let month = long_live(&mut world, Some(99)).await;
    let (notice, verdict) = issue(&world, month).await;
    let StatementVerdict::Different { main, partner, .. } = verdict else { panic!("99 pages:\n{}", notice.statement) };
    assert!(main.starts_with("  pages ") && partner.contains(" 99 "), "{main}\n{partner}");
    let located = world.daemon("north").locate_holdings(month).unwrap().unwrap().to_string();
    assert_says(
        &located,
        &["tie-up pages, noted here:    99 in", "its signed manifest, which both have, says who is right"],
    );

    // Main has published a further page since, and the partner has noted that as what was live then.
    world.write_main("content/news.md", "---\ntitle: News\n---\n\nA lamp.\n");
    world.go_live("north").await;
    rewrite(&mut world, |extents| {
        let since = extents[0]["since"].clone();
        let mut last = extents.last().unwrap().clone();
        last["since"] = since;
        last["original"] = extents[0]["original"].clone();
        extents[0] = last;
    })
    .await;
    let located = world.daemon("north").locate_holdings(month).unwrap().unwrap();
    let file = located.file.clone().unwrap();
    assert_says(
        &located.to_string(),
        &["Main goes by release 1, and release 2 was live here.", &format!("differs is {}:", file.path)],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_before_anything_was_noted_has_no_catalogue_and_no_statement() {
    let mut world = published().await;
    let month = log_before(&mut world, 2).await;
    let error = world.hub().statement(&row(&world, "north").await, month, Timestamp::now()).await.unwrap_err();
    let said = [
        "`north` has no note of how much its site held at",
        "lampworks/north@1 charges by that",
        "charge by something else",
    ];
    assert_says(&told(&error), &said);
}

/// A month at whose end a second release of main's was live, which is larger, and of which main noted the first.
async fn succeeded() -> (World, Month) {
    let mut world = published().await;
    let month = Box::pin(long_live(&mut world, None)).await;
    let north = row(&world, "north").await;
    world.hub().statement(&north, month, Timestamp::now()).await.unwrap();
    assert_eq!(noted(&world, month).await.0, 1);
    world.write_main("content/news.md", "---\ntitle: News\n---\n\nA lamp.\n");
    Box::pin(world.go_live("north")).await;
    Box::pin(antedate(&mut world, month.start(&"Asia/Tokyo".parse().unwrap()))).await;
    (world, month)
}

/// The release that `month` goes by at `north`, with its pages.
async fn noted(world: &World, month: Month) -> (u64, u64) {
    let held = world.hub().database.holdings(&"north".parse().unwrap()).await.unwrap();
    let end = month.next().start(&"Asia/Tokyo".parse().unwrap());
    let last = held.iter().rfind(|held| held.at <= end).unwrap();
    (last.release.get(), last.tieup.pages)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_that_was_live_by_the_audit_trail_counts_whatever_the_partner_answers() {
    for answer in [Some(1), Some(9), None] {
        let (mut world, month) = Box::pin(succeeded()).await;
        let live = world.daemon("north").extents().before(Timestamp::now()).unwrap().unwrap();
        Box::pin(rewrite(&mut world, |extents| match answer {
            Some(release) => extents[0]["release"] = release.into(),
            None => extents.clear(),
        }))
        .await;
        let (notice, _) = Box::pin(issue(&world, month)).await;
        assert_eq!(noted(&world, month).await, (2, live.tieup.pages), "{answer:?}:\n{}", notice.statement);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_at_main_is_tried_again_and_a_partner_that_is_not_reached_is_charged_by_its_audit_trail() {
    let (mut world, month) = Box::pin(succeeded()).await;
    let north = row(&world, "north").await;
    let lock = StateLock::take(&world.hub().mirrors(&north)).unwrap();
    let error = world.hub().issue(&north, month, Timestamp::now()).await.unwrap_err();
    assert_says(&told(&error), &["another command is fetching from `north` at this moment"]);
    drop(lock);
    world.hub().fetch_audit(&north).await.unwrap();
    let halted = Box::pin(world.halt("north")).await;
    world.hub().issue(&north, month, Timestamp::now()).await.unwrap();
    assert_eq!(noted(&world, month).await.0, 2);
    Box::pin(world.resume(halted)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_approved_later_was_not_live() {
    let mut world = published().await;
    let month = Box::pin(long_live(&mut world, None)).await;
    Box::pin(antedate(&mut world, month.next().start(&"Asia/Tokyo".parse().unwrap()) + SignedDuration::from_mins(2)))
        .await;
    let error = world.hub().statement(&row(&world, "north").await, month, Timestamp::now()).await.unwrap_err();
    assert_says(
        &told(&error),
        &[
            "how many pages of main were live at `north`",
            "its audit trail has no release of main that was live by then",
        ],
    );
}

/// A month that was issued, in which a page of 40 bytes was all that the partner had of its own, and nine lanterns were left.
async fn issued() -> (World, Month, (StatementNotice, StatementVerdict)) {
    let mut world = published().await;
    let month = Box::pin(long_live(&mut world, None)).await;
    publish(&world, month, &offering(9), Existing::Refuse).await.unwrap();
    let issued = Box::pin(issue(&world, month)).await;
    (world, month, issued)
}

/// Lets the partner have noted that a page of so many bytes was all that it had of its own, and main ask it again about each of
/// `months`, which were issued.
async fn hold(world: &mut World, bytes: u64, months: &[Month]) {
    let original = serde_json::json!({"pages": 1, "bytes": bytes});
    Box::pin(rewrite(world, |extents| extents[0]["original"] = original)).await;
    let north = row(world, "north").await;
    for month in months {
        let asked = world.hub().ask_again(&north, (*month).into(), Existing::Correct, Timestamp::now()).await;
        assert_eq!(asked.unwrap_or_else(|error| panic!("{}", told(&error))), Asked::Noted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_published_is_corrected_after_the_issue_in_the_next_statement_with_its_cause() {
    let (mut world, month, issued) = Box::pin(issued()).await;
    let total = issued.0.statement.lines().find_map(|line| line.strip_prefix("total:")?.strip_suffix(" JPY"));
    let total: i64 = total.unwrap().trim().parse().unwrap();
    let corrected = |right| format!("what was published was corrected: {total} was charged, {right} is right");
    // Ten lanterns are not scarce: 3 in place of 7.
    publish(&world, month, &offering(10), Existing::Correct).await.unwrap();
    let delivered = world.statement("north").await;
    let StatementNotice { statement, revisions, .. } = &delivered.notice;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{statement}");
    assert_says(statement, &[&corrected(total - 4)]);
    let causes: Vec<_> = revisions.iter().map(|revision| (revision.period.month(), revision.cause)).collect();
    assert_eq!(causes, [(month, Cause::ChangedCatalogue)]);
    assert_eq!(issue(&world, month).await, issued, "what was issued has changed");

    // The partner had 41 bytes of its own by then, and says so when it is asked again.
    Box::pin(rewrite(&mut world, |extents| extents[0]["original"] = serde_json::json!({"pages": 1, "bytes": 41})))
        .await;
    let north = row(&world, "north").await;
    let again = async |existing| world.hub().ask_again(&north, month.into(), existing, Timestamp::now()).await;
    assert!(matches!(again(Existing::Refuse).await.unwrap_err(), CatalogueError::Issued { .. }));
    assert_eq!(again(Existing::Correct).await.unwrap(), Asked::Noted);
    let last = world.hub().own_trail().unwrap().pop().unwrap();
    assert_eq!((last.who, last.what), (Actor::Main, Event::CatalogueNoted), "a person asked");
    // Nothing is new, so that nothing is corrected either.
    assert_eq!(again(Existing::Refuse).await.unwrap(), Asked::Unchanged);
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{}", delivered.notice.statement);
    assert_says(&delivered.notice.statement, &[&corrected(total - 3)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_correction_of_what_a_site_held_begins_from_what_the_first_made_of_it() {
    let (mut world, month, _) = Box::pin(issued()).await;
    // 41 bytes are 2 instead of 1, and so it stays in the next month, which corrects it.
    hold(&mut world, 41, &[month]).await;
    let next = month.next().start(&"Asia/Tokyo".parse().unwrap());
    Box::pin(rewrite(&mut world, |extents| {
        let mut later = extents[0].clone();
        later["since"] = next.to_string().into();
        extents.insert(1, later);
    }))
    .await;
    Box::pin(log_in(&mut world, month.next(), 1)).await;
    let (first, verdict) = Box::pin(issue(&world, month.next())).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", first.statement);
    let corrected = |statement: &str| {
        let line = statement.lines().find_map(|line| line.split_once("what was published was corrected: "));
        let (_, said) = line.unwrap_or_else(|| panic!("nothing is corrected:\n{statement}"));
        let (charged, right) = said.split_once(" was charged, ").unwrap();
        [charged, right.split(' ').next().unwrap()].map(|amount| amount.parse::<i64>().unwrap())
    };
    let [issued, right] = corrected(&first.statement);
    assert_eq!(right, issued + 1, "\n{}", first.statement);
    // It was 40 after all: what the first correction charged is given back, and no more.
    hold(&mut world, 40, &[month]).await;
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{}", delivered.notice.statement);
    assert_eq!(corrected(&delivered.notice.statement), [issued + 1, issued], "\n{}", delivered.notice.statement);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_note_says_of_two_months_is_corrected_in_both_to_the_same_byte() {
    let (mut world, month, _) = Box::pin(issued()).await;
    // 41 bytes are 2 instead of 1: the next month corrects that, and goes by the same note itself.
    hold(&mut world, 41, &[month]).await;
    Box::pin(log_in(&mut world, month.next(), 1)).await;
    let (first, verdict) = Box::pin(issue(&world, month.next())).await;
    assert_eq!(verdict, StatementVerdict::Identical, "\n{}", first.statement);
    // It was 40 after all, in both. What the next month corrected stays what was signed when that one is corrected itself.
    hold(&mut world, 40, &[month, month.next()]).await;
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{}", delivered.notice.statement);
    let corrected = delivered.notice.statement.matches("what was published was corrected: ").count();
    assert_eq!(corrected, 2, "\n{}", delivered.notice.statement);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_live_is_followed_by_the_version_that_governs_the_day_whatever_that_of_the_live_release_says() {
    let world = published().await;
    let month = world.month("north");
    // From a day to come on the fee goes by visits alone, under the contract of the release that is live now.
    let by_visits =
        "meters: {tie: {views: {class: tieup}}}\ncharges:\n  access: {graduated: tie, tiers: [[0, \"10\"]]}\n";
    let later = Contract::inherited().version(2).fees(by_visits).text("north");
    world.write_main("partners/north/contract.yaml", &later.replace("from: 2020-01-01", "from: 2099-01-01"));
    Box::pin(world.go_live("north")).await;
    world.edit_original("north", "/local/more/", "More of our own.").unwrap();
    world.collect("north").await;
    let held = world.hub().database.holdings(&"north".parse().unwrap()).await.unwrap();
    assert_eq!(held.last().map(|held| (held.release.get(), held.original.pages)), Some((2, 2)), "{held:?}");
    publish(&world, month, &offering(40), Existing::Refuse).await.unwrap();
    let delivered = world.statement("north").await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{}", delivered.notice.statement);
    assert_says(&delivered.notice.statement, &["lampworks/north@1", "main's ads:    3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_main_says_of_advertisements_stands_in_its_trail() {
    let world = published().await;
    let month = world.month("north");
    let since = month.first_day().to_string();
    let run = |more: &[&str]| {
        let config = world.hub().config.state.with_file_name("tieup.yaml");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tieup-to-call"));
        command.arg("--config").arg(config).args([&["fee", "catalogue", "north", "--since", &since], more].concat());
        command.output().unwrap()
    };
    let noted = run(&["--ads-main", "3", "--ads-partner", "1", "--offered", "lantern=40", "--offered", "wick=2"]);
    assert!(noted.status.success(), "{}", String::from_utf8_lossy(&noted.stderr));
    assert!(!String::from_utf8_lossy(&noted.stdout).contains("note:"), "lanterns are charged by");
    let unused = run(&["--offered", "wick=2"]);
    let says = "note: contract lampworks/north@1 charges by nothing of this: no statement goes by these";
    assert_says(&String::from_utf8_lossy(&unused.stdout), &[says]);
    assert_eq!(run(&["--offered", "lantern"]).status.code(), Some(2));
    assert_eq!(run(&[]).status.code(), Some(2));
    let trail = world.hub().own_trail().unwrap();
    let noted = trail.iter().find(|entry| entry.who == Actor::Main).unwrap();
    assert_says(
        noted.reason.as_ref().unwrap(),
        &["north since", "3 advertisements of main, 1 of the partner", "40 of lantern offered", "2 of wick offered"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_of_what_was_noted_stands_in_the_trail_however_much_is_said_with_it() {
    let world = Box::pin(published()).await;
    let offered = (0..200).map(|at| (format!("lantern-of-the-kind-{at}").parse().unwrap(), at));
    let published = Published { ads: None, offered: offered.collect() };
    Box::pin(publish(&world, world.month("north"), &published, Existing::Refuse)).await.unwrap();
    let noted = world.hub().own_trail().unwrap().pop().unwrap();
    let reason = noted.reason.unwrap();
    let span: Span = reason.rsplit_once(": north since ").unwrap().0.parse().unwrap();
    assert_eq!(span.last - span.first, 199, "{reason}");
}
