//! However a journal comes to main, its statement is the same: in whatever pieces and order of months, with the hub and
//! the daemon started anew in between.

use std::fs;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use tieup_hub::partners::Hub;
use tieup_protocol::access::{AccessEntry, VisitorToken};
use tieup_protocol::period::Month;
use tieup_protocol::wire::StatementVerdict;
use tieup_tests::issuing::{before, log_uncollected_as, row};
use tieup_tests::{World, told};

use crate::periods::start;

/// What is tried; each is printed, so that what fails can be repeated.
const SEEDS: [u64; 2] = [1, 2];

/// How many visits each month has.
const VISITS: usize = 60;

/// Seconds between two visits: within a double click and beyond it, across hours and days.
const STEPS: [i64; 10] = [0, 1, 5, 29, 30, 31, 300, 900, 3_600, 40_000];

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_the_same_in_whatever_pieces_and_order_its_journal_came() {
    for seed in SEEDS {
        println!("seed {seed}");
        let mut rng = Rng::with_seed(seed);
        let mut world = Box::pin(start()).await;
        world.get("north", "/about/").await;
        let last = before(world.month("north"));
        let months = [before(last), last];
        Box::pin(come_in_pieces(&mut world, &mut rng, months)).await;
        let in_pieces = statements(&world, months).await;
        // Main has lost what it has of it, and fetches and counts all of it in one go.
        for folder in ["journals/north", "rollups/north"] {
            fs::remove_dir_all(world.hub().config.state.join(folder)).unwrap();
        }
        world.collect("north").await;
        assert_eq!(statements(&world, months).await, in_pieces, "seed {seed}");
        world.stop().await;
    }
}

/// What main's statements of `months` say, which the partner, who counts its own log from its first byte, must come to.
async fn statements(world: &World, months: [Month; 2]) -> Vec<String> {
    let (hub, north, mut texts) = (started(world).await, row(world, "north").await, Vec::new());
    for month in months {
        let delivered = hub.statement(&north, month, Timestamp::now()).await;
        let delivered = delivered.unwrap_or_else(|error| panic!("{}", told(&error)));
        let text = delivered.notice.statement;
        assert_eq!(delivered.verdict, StatementVerdict::Identical, "\n{text}");
        assert!(text.contains(&format!("entries:       {VISITS}\n")), "{text}");
        texts.push(text);
    }
    texts
}

/// Lets the partner log the visits of both months in pieces, and main fetch what is there of one or of all, now and then.
async fn come_in_pieces(world: &mut World, rng: &mut Rng, months: [Month; 2]) {
    let visits = months.map(|month| visits(rng, month));
    let mut logged = [0; 2];
    while logged != [VISITS; 2] {
        let of = rng.usize(0..2);
        // Each time the daemon is started anew.
        let piece = rng.usize(1..30).min(VISITS - logged[of]);
        let visit = |number: i64, entry| visits[of][usize::try_from(number).unwrap()].made(&entry);
        Box::pin(log_uncollected_as(world, months[of], i64::try_from(piece).unwrap(), visit)).await;
        logged[of] += piece;
        fetch(world, rng, months).await;
    }
    world.collect("north").await;
}

/// Lets main fetch both months, one of them, or none, by the hub that runs or by one that was started for it.
async fn fetch(world: &World, rng: &mut Rng, months: [Month; 2]) {
    let north = row(world, "north").await;
    let anew = if rng.bool() { Some(started(world).await) } else { None };
    let hub = anew.as_ref().unwrap_or_else(|| world.hub());
    let fetched = match rng.usize(0..4) {
        0 => hub.collect(&north).await,
        1 => Ok(Vec::new()),
        _ => hub.collect_month(&north, months[rng.usize(0..2)]).await,
    };
    fetched.unwrap_or_else(|error| panic!("{}", told(&error)));
}

/// The hub as another process of it has it, which knows nothing but what is on disk and in the database.
async fn started(world: &World) -> Hub {
    Hub::open(world.hub().config.clone()).await.unwrap()
}

/// A visit at random.
struct Visit {
    time: Timestamp,
    visitor: u8,
    path: &'static str,
}

impl Visit {
    fn made(&self, entry: &AccessEntry) -> AccessEntry {
        let (time, visitor) = (self.time, VisitorToken([self.visitor; 16]));
        AccessEntry { time, visitor, path: self.path.parse().unwrap(), ..entry.clone() }
    }
}

/// Visits of `month` by three people to two pages, of which some stand out of order.
fn visits(rng: &mut Rng, month: Month) -> Vec<Visit> {
    let mut time = month.start(&"Asia/Tokyo".parse().unwrap()) + SignedDuration::from_hours(24 * 5);
    let visit = |_| {
        let step = SignedDuration::from_secs(STEPS[rng.usize(0..STEPS.len())]);
        time = if rng.u8(0..5) == 0 { time - step } else { time + step };
        Visit { time, visitor: rng.u8(0..3), path: ["/", "/about/"][rng.usize(0..2)] }
    };
    (0..VISITS).map(visit).collect()
}
