//! The table `counting`: which days of partners' journals are to be counted, and by whom they were. Journals and results
//! lie in a state folder, so each folder has rows of its own.
//!
//! Whoever counts a day claims its row first, and keeps the claim until the result is on the disk: at a PostgreSQL server
//! by a transaction that locks the row, with SQLite by a locked file. Both are given back by the death of the process.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _, SqlSafeStr, Transaction};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Period};
use tieup_store::durable::DiskError;
use tieup_store::lock::StateLock;

use super::dialect::{CLAIM, CLAIMING, Dialect};
use super::{Database, DatabaseError, site_id};

/// The first day of each period of each partner, in a folder, that is still to be counted. Those after it go on from there.
const DUE: &str = "SELECT partner, first_day, last_day, day, entries FROM counting AS one WHERE folder = $1 \
                   AND counted IS NULL AND NOT EXISTS (SELECT 1 FROM counting AS earlier \
                   WHERE earlier.folder = one.folder AND earlier.partner = one.partner \
                   AND earlier.first_day = one.first_day AND earlier.last_day = one.last_day \
                   AND earlier.counted IS NULL AND earlier.entries < one.entries) ORDER BY partner, first_day";

/// One row, as long as it is to be counted.
const ONE: &str = "SELECT entries FROM counting WHERE folder = $1 AND partner = $2 AND first_day = $3 AND last_day = $4 \
                   AND entries = $5 AND counted IS NULL";

/// The rows that are of one state folder.
#[derive(Clone, Debug)]
pub(crate) struct CountingTable {
    pub(super) database: Database,
    pub(super) folder: String,
}

/// A day of a partner's journal, as a part of what is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountingDay {
    /// The partner.
    pub partner: SiteId,
    /// What it is counted for.
    pub period: Period,
    /// The day.
    pub day: Date,
    /// How many entries of the journal are counted when this day is.
    pub entries: u64,
}

/// The right to count a day, until it is dropped or the process ends.
pub(crate) struct Claim {
    folder: String,
    of: CountingDay,
    held: Held,
}

/// How a claim is held.
enum Held {
    /// By a row that is locked for as long as the transaction is open.
    Row(Transaction<'static, Any>),
    /// By a file that is locked for as long as it is open.
    File(Database, StateLock),
}

/// What was done of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counting {
    /// From which entry on it was counted.
    pub(crate) begun: u64,
    /// By whom.
    pub(crate) counter: String,
    /// When.
    pub(crate) at: Timestamp,
}

impl Database {
    /// The rows that are of the state folder with this name.
    pub(crate) fn counting(&self, folder: String) -> CountingTable {
        CountingTable { database: self.clone(), folder }
    }
}

impl CountingTable {
    /// Plans to count these days of a period, each with how many entries are counted then. What is planned already stays.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn plan_counting(
        &self,
        partner: &SiteId,
        period: Period,
        days: &[(Date, u64)],
    ) -> Result<(), DatabaseError> {
        let mut change = self.database.begin_writing().await?;
        for (day, entries) in days {
            sqlx::query(
                "INSERT INTO counting (folder, partner, first_day, last_day, entries, day) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (folder, partner, first_day, last_day, entries) DO NOTHING",
            )
            .bind(&self.folder)
            .bind(partner.as_str())
            .bind(period.first().to_string())
            .bind(period.last().to_string())
            .bind(size_to(*entries))
            .bind(day.to_string())
            .execute(&mut *change)
            .await?;
        }
        Ok(change.commit().await?)
    }

    /// Forgets all that is planned or counted of a month, whose journal another one takes the place of.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn forget_counting(&self, partner: &SiteId, month: Month) -> Result<(), DatabaseError> {
        let whole = Period::whole(month);
        let query = "DELETE FROM counting WHERE folder = $1 AND partner = $2 AND first_day >= $3 AND last_day <= $4";
        self.of_period(query, partner, whole).execute(&self.database.pool).await?;
        Ok(())
    }

    /// The first day that is still to be counted of each period of each partner, claimed or not.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn due_counting(&self) -> Result<Vec<CountingDay>, DatabaseError> {
        let rows = sqlx::query(DUE).bind(&self.folder).fetch_all(&self.database.pool).await?;
        rows.iter().map(day_from).collect()
    }

    /// Claims a day; none where somebody else has claimed it, or has counted it by now. Nobody is waited for. `locks` is
    /// the folder for the locks of SQLite, one for each partner.
    ///
    /// # Errors
    /// When the database or the folder of locks fails.
    pub(crate) async fn claim(&self, of: &CountingDay, locks: &Path) -> Result<Option<Claim>, ClaimError> {
        let held = match self.database.dialect {
            Dialect::Postgres => {
                let mut transaction = self.database.pool.begin_with(CLAIM).await?;
                sqlx::raw_sql(CLAIMING).execute(&mut *transaction).await?;
                let locking = format!("{ONE} FOR UPDATE SKIP LOCKED");
                let row = the_day(AssertSqlSafe(locking), &self.folder, of).fetch_optional(&mut *transaction).await?;
                row.map(|_| Held::Row(transaction))
            }
            Dialect::Sqlite => {
                let folder = locks.join(of.partner.as_str());
                let Some(lock) = StateLock::try_take(&folder)? else { return Ok(None) };
                let row = the_day(ONE, &self.folder, of).fetch_optional(&self.database.pool).await?;
                row.map(|_| Held::File(self.database.clone(), lock))
            }
        };
        Ok(held.map(|held| Claim { folder: self.folder.clone(), of: of.clone(), held }))
    }

    fn of_period<'q>(&'q self, query: &'static str, partner: &'q SiteId, period: Period) -> Asked<'q> {
        let query = sqlx::query(query).bind(&self.folder).bind(partner.as_str());
        query.bind(period.first().to_string()).bind(period.last().to_string())
    }
}

/// Why a day could not be claimed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The folder of locks failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl From<sqlx::Error> for ClaimError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Claim {
    /// Fails where the claim is lost, since the server or the line to it failed.
    ///
    /// # Errors
    /// When it is lost.
    pub(crate) async fn confirm(&mut self) -> Result<(), DatabaseError> {
        if let Held::Row(transaction) = &mut self.held {
            sqlx::query("SELECT 1").execute(&mut **transaction).await?;
        }
        Ok(())
    }

    /// Keeps that the day was counted, and gives the claim back.
    ///
    /// # Errors
    /// When the database fails; whoever claims the day next finds its counts, and counts nothing of it twice.
    pub(crate) async fn finish(self, done: &Counting) -> Result<(), DatabaseError> {
        let query = sqlx::query(
            "UPDATE counting SET begun = $1, counter = $2, counted = $3, times = times + 1 \
             WHERE folder = $4 AND partner = $5 AND first_day = $6 AND last_day = $7 AND entries = $8",
        );
        let query = query.bind(size_to(done.begun)).bind(&done.counter).bind(done.at.as_millisecond());
        let query = query.bind(&self.folder).bind(self.of.partner.as_str()).bind(self.of.period.first().to_string());
        let query = query.bind(self.of.period.last().to_string()).bind(size_to(self.of.entries));
        match self.held {
            Held::Row(mut transaction) => {
                query.execute(&mut *transaction).await?;
                transaction.commit().await?;
            }
            Held::File(database, _lock) => {
                query.execute(&database.pool).await?;
            }
        }
        Ok(())
    }
}

/// A query of a period of a partner.
type Asked<'q> = Query<'q, Any, AnyArguments>;

fn the_day<'q>(query: impl SqlSafeStr, folder: &'q str, of: &'q CountingDay) -> Asked<'q> {
    let query = sqlx::query(query).bind(folder).bind(of.partner.as_str()).bind(of.period.first().to_string());
    query.bind(of.period.last().to_string()).bind(size_to(of.entries))
}

fn day_from(row: &AnyRow) -> Result<CountingDay, DatabaseError> {
    Ok(CountingDay {
        partner: site_id(row, "partner")?,
        period: period_from(row)?,
        day: date(row, "day")?,
        entries: size_from(row.try_get("entries")?)?,
    })
}

pub(super) fn period_from(row: &AnyRow) -> Result<Period, DatabaseError> {
    let (first, last) = (date(row, "first_day")?, date(row, "last_day")?);
    let period = Period::whole(Month::of_day(first)).within(first, last);
    period.ok_or_else(|| DatabaseError::Damaged(format!("{first} to {last}"), "period"))
}

fn date(row: &AnyRow, column: &str) -> Result<Date, DatabaseError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| DatabaseError::Damaged(text, "day"))
}

pub(super) fn size_from(entries: i64) -> Result<u64, DatabaseError> {
    u64::try_from(entries).map_err(|_| DatabaseError::Damaged(entries.to_string(), "number of entries"))
}

pub(super) fn size_to(entries: u64) -> i64 {
    i64::try_from(entries).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::places::{asked, partner, places};

    fn done(counter: &str) -> Counting {
        Counting { begun: 0, counter: counter.to_owned(), at: Timestamp::from_second(9).unwrap() }
    }

    /// How many entries are planned of each period of November, and of how many it is noted that they were counted.
    async fn planned(table: &CountingTable, partner: &SiteId) -> Vec<(u64, Option<u64>)> {
        let mut turn = table.begin_planning(partner).await.unwrap();
        let planned = turn.planned("2026-11".parse().unwrap()).await.unwrap();
        planned.into_iter().map(|planned| (planned.entries, planned.counted)).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_day_is_claimed_by_one_at_a_time_and_the_next_one_when_it_is_counted() {
        for place in places() {
            let (one, other) = (place.open().await, place.open().await);
            let locks = tempfile::tempdir().unwrap();
            let (north, month): (SiteId, Month) = ("north".parse().unwrap(), "2026-11".parse().unwrap());
            one.put_partner(&partner(north.as_str())).await.unwrap();
            let elsewhere = one.counting("elsewhere".to_owned());
            let [one, other] = [one, other].map(|database| database.counting("here".to_owned()));
            let (period, first) = (Period::whole(month), month.first_day());
            let days = [(first, 10), (first.tomorrow().unwrap(), 25)];
            for table in [&one, &other] {
                table.plan_counting(&north, period, &days).await.unwrap();
            }
            assert_eq!(planned(&one, &north).await, [(25, None)]);
            assert_eq!(planned(&elsewhere, &north).await, [], "of another folder");
            assert_eq!(elsewhere.due_counting().await.unwrap(), []);
            let [due] = one.due_counting().await.unwrap().try_into().unwrap();
            assert_eq!((due.day, due.entries), days[0]);

            let mut claim = one.claim(&due, locks.path()).await.unwrap().unwrap();
            assert!(other.claim(&due, locks.path()).await.unwrap().is_none(), "claimed twice");
            claim.confirm().await.unwrap();
            // Who dies gives it back.
            drop(claim);
            let claim = loop {
                // The rollback is on its way.
                if let Some(claim) = other.claim(&due, locks.path()).await.unwrap() {
                    break claim;
                }
            };
            assert_eq!(one.due_counting().await.unwrap(), std::slice::from_ref(&due), "noted before it was finished");
            claim.finish(&done("other")).await.unwrap();
            assert!(one.claim(&due, locks.path()).await.unwrap().is_none(), "claimed after it was counted");
            let [next] = one.due_counting().await.unwrap().try_into().unwrap();
            assert_eq!((next.day, next.entries), days[1]);

            let mut turn = one.begin_planning(&north).await.unwrap();
            let [found] = turn.planned(month).await.unwrap().try_into().unwrap();
            assert_eq!((found.entries, found.counted), (25, Some(10)));
            // With a server days are noted while somebody plans; they stay.
            let is_noted = place.is_server();
            if is_noted {
                other.claim(&next, locks.path()).await.unwrap().unwrap().finish(&done("other")).await.unwrap();
            }
            turn.forget_counted(period, 10).await.unwrap();
            turn.commit().await.unwrap();
            assert_eq!(planned(&one, &north).await, [(25, is_noted.then_some(25))]);

            let mut turn = one.begin_planning(&north).await.unwrap();
            turn.forget_beyond(period, 25).await.unwrap();
            assert_eq!(turn.planned(month).await.unwrap().len(), 1, "the end of the journal is not beyond it");
            turn.forget_beyond(period, 24).await.unwrap();
            turn.commit().await.unwrap();
            assert_eq!(planned(&one, &north).await, []);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_loses_a_claim_is_told_before_anything_is_written() {
        let (location, sql) = asked();
        let locks = tempfile::tempdir().unwrap();
        let north: SiteId = "north".parse().unwrap();
        let database = Database::open(&location).await.unwrap();
        database.put_partner(&partner(north.as_str())).await.unwrap();
        let (one, other) = (database.counting("here".to_owned()), database.counting("here".to_owned()));
        let month: Month = "2026-11".parse().unwrap();
        one.plan_counting(&north, Period::whole(month), &[(month.first_day(), 10)]).await.unwrap();
        let [due] = one.due_counting().await.unwrap().try_into().unwrap();
        let mut claim = one.claim(&due, locks.path()).await.unwrap().unwrap();
        let holder = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                      AND state = 'idle in transaction'";
        assert_eq!(sql(holder), "t");
        claim.confirm().await.unwrap_err();
        claim.finish(&done("one")).await.unwrap_err();
        // The server has given it back, at the latest when it has noticed the end of that connection.
        let claim = loop {
            if let Some(claim) = other.claim(&due, locks.path()).await.unwrap() {
                break claim;
            }
        };
        claim.finish(&done("other")).await.unwrap();
        assert_eq!(sql("SELECT counter || ' ' || times FROM counting"), "other 1");
    }
}
