//! Statements of a month that is over: visits that were logged then, and the issuing itself.

use jiff::{SignedDuration, Timestamp};
use tieup_hub::database::PartnerRow;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::period::Month;
use tieup_protocol::wire::{StatementNotice, StatementVerdict};
use tieup_store::journal::JournalWriter;

use crate::journal::JournalOnDisk;
use crate::{World, told};

/// What the hub knows of a partner that has joined.
pub async fn row(world: &World, partner: &str) -> PartnerRow {
    world.hub().partner(&partner.parse().unwrap()).await.unwrap()
}

/// The instant at which `month` is closed under the contracts of these tests: five days after its end in Tokyo.
pub fn closes(month: Month) -> Timestamp {
    month.next().start(&"Asia/Tokyo".parse().unwrap()) + SignedDuration::from_hours(24 * 5)
}

/// Issues the statement of `month` as soon as it is closed, and hands it over.
pub async fn issue(world: &World, month: Month) -> (StatementNotice, StatementVerdict) {
    issue_at(world, month, closes(month)).await
}

/// The same now, where it was closed before.
pub async fn issue_by_now(world: &World, month: Month) -> (StatementNotice, StatementVerdict) {
    issue_at(world, month, closes(month).max(Timestamp::now())).await
}

/// The same at `now`.
pub async fn issue_at(world: &World, month: Month, now: Timestamp) -> (StatementNotice, StatementVerdict) {
    let north = row(world, "north").await;
    let issued = world.hub().issue(&north, month, now).await;
    let notice = issued.unwrap_or_else(|error| panic!("not issued:\n{}", told(&error)));
    let delivered = world.hub().hand_over(&north, notice.clone(), now).await;
    (notice, delivered.unwrap_or_else(|error| panic!("not taken:\n{}", told(&error))).verdict)
}

/// Lets `partner` have joined in `month`, unless it did before: nobody has a journal of earlier months.
pub async fn joined_in(world: &World, partner: &str, month: Month) {
    let row = row(world, partner).await;
    let joined = row.joined.min(month.start(&"Asia/Tokyo".parse().unwrap()));
    world.hub().database.put_partner(&PartnerRow { joined, ..row }).await.unwrap();
}

/// The month before `month`.
pub fn before(month: Month) -> Month {
    Month::of_day(month.first_day().yesterday().unwrap())
}

/// Lets `north` have logged, two months before this one, `views` of `/about/`, an hour after each other, besides what it
/// had logged then. Returns the month.
pub async fn log_before(world: &mut World, views: i64) -> Month {
    Box::pin(log_before_as(world, views, |_, entry| entry)).await
}

/// The same, with each visit as `change` makes it by its number in that month.
pub async fn log_before_as(world: &mut World, views: i64, change: impl Fn(i64, AccessEntry) -> AccessEntry) -> Month {
    let month = before(before(world.month("north")));
    Box::pin(log_as(world, month, views, change)).await;
    month
}

/// Lets `north` have logged as many in `month`, and main collect them.
pub async fn log_in(world: &mut World, month: Month, views: i64) {
    Box::pin(log_as(world, month, views, |_, entry| entry)).await;
}

async fn log_as(world: &mut World, month: Month, views: i64, change: impl Fn(i64, AccessEntry) -> AccessEntry) {
    Box::pin(append(world, month, views, change)).await;
    world.collect("north").await;
}

/// Lets `north` have logged as many in `month`, of which main collects none yet.
pub async fn log_uncollected(world: &mut World, month: Month, views: i64) {
    Box::pin(log_uncollected_as(world, month, views, |_, entry| entry)).await;
}

/// The same, with each visit as `change` makes it by its number in that month.
pub async fn log_uncollected_as(
    world: &mut World,
    month: Month,
    views: i64,
    change: impl Fn(i64, AccessEntry) -> AccessEntry,
) {
    Box::pin(append(world, month, views, change)).await;
}

async fn append(world: &mut World, month: Month, views: i64, change: impl Fn(i64, AccessEntry) -> AccessEntry) {
    let now = world.month("north");
    joined_in(world, "north", month).await;
    let halted = world.halt("north").await;
    let state = &halted.config.state;
    let visits = JournalOnDisk::open(state, now).entries();
    let log = JournalOnDisk::open(state, month);
    std::fs::create_dir_all(&log.dir).unwrap();
    let mut writer = JournalWriter::open(&log.dir, log.origin.clone(), log.signer.clone()).unwrap();
    let first = AccessEntry::decode(&visits[0]).unwrap();
    let tenth = month.start(&"Asia/Tokyo".parse().unwrap()) + SignedDuration::from_hours(24 * 10);
    let late = i64::try_from(writer.reader().size()).unwrap();
    for number in late..late + views {
        let time = tenth + SignedDuration::from_hours(number);
        let entry = change(number, AccessEntry { time, ..first.clone() });
        writer.append(&[entry.encode().as_slice()]).unwrap();
    }
    writer.checkpoint().unwrap();
    drop(writer);
    Box::pin(world.resume(halted)).await;
}
