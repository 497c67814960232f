//! Counting and fees: what counts, what it costs under which contract, and that both ends come to the same bytes.

use std::fs;

use tieup_examples::visitor::{ROBOT, Visitor};
use tieup_hub::rollups::Standing;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{STATEMENT, StatementNotice, StatementStatus, StatementVerdict};
use tieup_tests::{Contract, World, assert_says, raw, told};

use crate::settled;

/// The numbers of the first row of a statement that begins with `label`.
fn row(statement: &str, label: &str) -> Vec<String> {
    let line = statement.lines().find_map(|line| line.strip_prefix(label));
    let line = line.unwrap_or_else(|| panic!("no row {label:?} in\n{statement}"));
    line.split_whitespace().map(str::to_owned).collect()
}

/// A draft as main tells it.
fn draft(month: Month, size: u64, statement: &str) -> StatementNotice {
    let (status, statement) = (StatementStatus::Draft, statement.to_owned());
    StatementNotice {
        period: month.into(),
        size,
        status,
        statement,
        strikes: Vec::new(),
        record: 0,
        revisions: Vec::new(),
        note: None,
    }
}

async fn statement_of(world: &World, partner: &str) -> String {
    world.collect(partner).await;
    let delivered = world.statement(partner).await;
    assert_eq!(delivered.verdict, StatementVerdict::Identical, "`{partner}` computes otherwise");
    delivered.notice.statement
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_61_both_ends_compute_the_same_bytes() {
    let world = settled().await;
    for path in ["/", "/about/", "/local/", "/about/"] {
        world.get("north", path).await;
    }
    let mains = statement_of(&world, "north").await;
    let own = world.daemon("north").verify_statement(world.month("north")).unwrap();
    assert_eq!((own.statement.text.as_str(), own.verdict), (mains.as_str(), StatementVerdict::Identical));
    assert_says(&mains, &["lampworks/north@1", "status:          draft", "total:           50001 JPY"]);
    world.get("north", "/").await;
    let still = world.daemon("north").verify_statement(world.month("north")).unwrap();
    assert_eq!(still.statement.text, mains, "a later visit changed a statement that names its entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_32_tie_up_and_original_pages_are_counted_separately() {
    let world = settled().await;
    for path in ["/", "/about/", "/local/"] {
        world.get("north", path).await;
    }
    let statement = statement_of(&world, "north").await;
    assert_eq!(row(&statement, "  views"), ["2", "1", "3"]);
    assert_eq!(row(&statement, "  unique views"), ["2", "1", "3"]);
    assert_eq!(row(&statement, "  visitors"), ["1", "1", "1"]);
    assert_eq!(row(&statement, "  own = views of original pages"), ["1"]);
    assert_eq!(row(&statement, "  tie = views of tie-up pages"), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn robots_repeated_clicks_and_parts_of_pages_do_not_count() {
    let world = settled().await;
    let robot = Visitor::new(ROBOT);
    world.get("north", "/about/").await;
    for _ in 0..2 {
        world.get("north", "/about/").await;
        world.visit("north", "/about/", &robot).await;
    }
    for path in ["/style.css", "/nothing/", "/about"] {
        world.get("north", path).await;
    }
    let public = world.partner("north").public;
    let browser = ("user-agent", "Mozilla/5.0 another");
    raw::request(public, "HEAD", "/about/", &[browser]).await;
    raw::request(public, "GET", "/about/", &[browser, ("sec-purpose", "prefetch")]).await;
    raw::request(public, "POST", "/about/", &[browser, ("content-length", "0")]).await;
    let statement = statement_of(&world, "north").await;
    assert_eq!(row(&statement, "  views"), ["1", "0", "1"], "\n{statement}");
    assert_eq!(row(&statement, "  robots  "), ["2"], "\n{statement}");
    assert_eq!(row(&statement, "  repeated clicks"), ["2"], "\n{statement}");
    assert_eq!(row(&statement, "  prefetched, or part of a page"), ["2"], "\n{statement}");
    assert_eq!(row(&statement, "  not asked for by GET"), ["1"], "\n{statement}");
    assert_eq!(row(&statement, "  no page at the path"), ["3"], "\n{statement}");
    assert_eq!(row(&statement, "  entries:"), ["11"], "\n{statement}");
}

#[tokio::test(flavor = "multi_thread")]
async fn row_003_41_47_each_partner_pays_by_its_own_criteria() {
    let by_tie_up = "meters: {tie: {views: {class: tieup}}}\ncharges:\n  \
        base: {by: partnership, link: 0, framework: 20000, inherited: 50000}\n  \
        access: {graduated: tie, tiers: [[0, \"10\"], [1, \"3\"]]}\n";
    let by_originals = "meters: {own: {unique_views: {class: original}}}\ncharges:\n  \
        base: {by: partnership, link: 0, framework: 20000, inherited: 50000}\n\
        adjust:\n  - {id: attraction, bands: own, on: [base], off: [[0, \"0%\"], [2, \"25%\"]]}\n";
    let world = World::new()
        .main_page("/about/", "We mend lamps.")
        .contract("north", Contract::inherited().fees(by_tie_up))
        .original("north", "/local/", "Our own shelf.")
        .contract("south", Contract::framework().fees(by_originals))
        .original("south", "/", "Our town.")
        .original("south", "/market/", "On Saturdays.")
        .start()
        .await;
    world.publish_to_all().await;
    for (partner, paths) in [("north", ["/", "/about/", "/local/"]), ("south", ["/", "/market/", "/market/"])] {
        world.approve(partner);
        for path in paths {
            assert_eq!(world.get(partner, path).await.status, 200, "{path} at `{partner}`");
        }
    }
    let north = statement_of(&world, "north").await;
    assert_says(&north, &["partnership inherited", "total:           50013 JPY"]);
    let south = statement_of(&world, "south").await;
    assert_says(&south, &["partnership framework", "total:           15000 JPY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_statement_is_answered_with_the_first_line_that_differs() {
    let world = settled().await;
    world.get("north", "/about/").await;
    let genuine = statement_of(&world, "north").await;
    let (month, size) = (world.month("north"), world.collect("north").await[0].size);
    let altered = genuine.replace("total:           50001 JPY", "total:           60001 JPY");
    assert_ne!(altered, genuine);
    let notice = draft(month, size, &altered);
    let client = world.call("north").await;
    let verdict: StatementVerdict = client.post(STATEMENT, &notice).await.unwrap();
    let StatementVerdict::Different { line, main, partner } = verdict else { panic!("taken for identical") };
    assert_eq!(main, "total:           60001 JPY");
    assert_eq!(partner, "total:           50001 JPY");
    assert_eq!(genuine.lines().nth(usize::try_from(line).unwrap() - 1), Some(partner.as_str()));
    let three_lines = genuine.split_inclusive('\n').take(3).collect();
    let cut = StatementNotice { statement: three_lines, ..notice.clone() };
    let verdict: StatementVerdict = client.post(STATEMENT, &cut).await.unwrap();
    assert!(matches!(verdict, StatementVerdict::Different { line: 4, .. }), "{verdict:?}");
    let whole = StatementNotice { statement: genuine, ..notice };
    assert_eq!(client.post::<StatementVerdict>(STATEMENT, &whole).await.unwrap(), StatementVerdict::Identical);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_over_more_than_was_logged_is_refused() {
    let world = settled().await;
    world.get("north", "/about/").await;
    let statement = statement_of(&world, "north").await;
    let notice = draft(world.month("north"), 1_000, &statement);
    let error = world.call("north").await.post::<StatementVerdict>(STATEMENT, &notice).await.unwrap_err();
    let kind = error.problem().map(|problem| problem.kind.as_str());
    assert_eq!(kind, Some("tieup:statement-not-verified"), "{}", told(&error));
    assert_says(&told(&error), &["1000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_or_a_notice_the_next_step_is_told() {
    let world = settled().await;
    world.get("north", "/about/").await;
    let (month, row) = (world.month("north"), world.hub().partner(&"north".parse().unwrap()).await.unwrap());
    let error = world.hub().statement(&row, month, jiff::Timestamp::now()).await.unwrap_err();
    assert_says(
        &told(&error),
        &[&format!("error: no journal of {month} has been collected: `tieup log fetch` fetches")],
    );
    let error = world.daemon("north").verify_statement(month).unwrap_err();
    assert_eq!(told(&error), format!("error: main has sent no statement for {month} yet\n"));
}

/// How the counts that main keeps of a partner's journal compare with it.
async fn kept_of(world: &World, partner: &str) -> Standing {
    let hub = world.hub();
    let row = hub.partner(&partner.parse().unwrap()).await.unwrap();
    hub.verify_rollup(&row, world.month(partner)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_kept_with_each_collection_and_a_lost_or_damaged_file_changes_no_statement() {
    let world = settled().await;
    world.get("north", "/").await;
    world.collect("north").await;
    let Standing::Agrees(first) = kept_of(&world, "north").await else { panic!("nothing was kept") };
    world.get("north", "/about/").await;
    let expected = statement_of(&world, "north").await;
    assert_eq!(kept_of(&world, "north").await, Standing::Agrees(first + 1));

    let folder = world.hub().config.state.join("rollups/north");
    let kept = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    fs::write(&kept, "tieup-rollup/1\nnot counts").unwrap();
    assert_eq!(statement_of(&world, "north").await, expected);
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(statement_of(&world, "north").await, expected);
    assert_eq!(kept_of(&world, "north").await, Standing::Agrees(first + 1));
}
