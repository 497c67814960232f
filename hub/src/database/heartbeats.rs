//! The table `heartbeats`: what partners' daemons told of what they have answered. Its times are milliseconds.

use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use tieup_protocol::ids::SiteId;
use tieup_protocol::wire::{Answered, Heartbeat};

use super::{Database, DatabaseError};

/// How many of a partner are kept that came within a day: one in three minutes, several times as many as a daemon sends.
const MOST_A_DAY: i64 = 480;

/// What became of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatKept {
    /// It is kept. Durable.
    Kept,
    /// There are as many already as are kept of one day.
    TooMany,
}

impl Database {
    /// Keeps a heartbeat that came at `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_heartbeat(
        &self,
        partner: &SiteId,
        heartbeat: &Heartbeat,
        now: Timestamp,
    ) -> Result<HeartbeatKept, DatabaseError> {
        let Heartbeat { started, at, answered, journals } = heartbeat;
        let kept = sqlx::query(
            "INSERT INTO heartbeats (partner, came, started, told, tieup, original, no_page, journals) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
             WHERE (SELECT COUNT(*) FROM heartbeats WHERE partner = $1 AND came > $9) < $10 \
             ON CONFLICT (partner, came) DO NOTHING",
        )
        .bind(partner.as_str())
        .bind(now.as_millisecond())
        .bind(started.as_millisecond())
        .bind(at.as_millisecond())
        .bind(to_sql(answered.tieup))
        .bind(to_sql(answered.original))
        .bind(to_sql(answered.nothing))
        .bind(serde_json::to_string(journals).unwrap_or_default())
        .bind((now - SignedDuration::from_hours(24)).as_millisecond())
        .bind(MOST_A_DAY)
        .execute(&self.pool)
        .await?;
        Ok(if kept.rows_affected() == 1 { HeartbeatKept::Kept } else { HeartbeatKept::TooMany })
    }

    /// The heartbeats of a partner that came from `from` on and before `until`, in the order in which they came.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heartbeats(
        &self,
        partner: &SiteId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Heartbeat>, DatabaseError> {
        let rows =
            sqlx::query("SELECT * FROM heartbeats WHERE partner = $1 AND came >= $2 AND came < $3 ORDER BY came")
                .bind(partner.as_str())
                .bind(from.as_millisecond())
                .bind(until.as_millisecond())
                .fetch_all(&self.pool)
                .await?;
        rows.iter().map(heartbeat_from).collect()
    }

    /// Forgets the heartbeats that came before `time`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_heartbeats_before(&self, time: Timestamp) -> Result<(), DatabaseError> {
        sqlx::query("DELETE FROM heartbeats WHERE came < $1").bind(time.as_millisecond()).execute(&self.pool).await?;
        Ok(())
    }
}

fn heartbeat_from(row: &AnyRow) -> Result<Heartbeat, DatabaseError> {
    let journals: String = row.try_get("journals")?;
    let journals =
        serde_json::from_str(&journals).map_err(|_| DatabaseError::Damaged(journals, "sizes of journals"))?;
    let answered =
        Answered { tieup: number(row, "tieup")?, original: number(row, "original")?, nothing: number(row, "no_page")? };
    Ok(Heartbeat { started: time(row, "started")?, at: time(row, "told")?, answered, journals })
}

fn number(row: &AnyRow, column: &str) -> Result<u64, DatabaseError> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| DatabaseError::Damaged(number.to_string(), "number of answers"))
}

fn time(row: &AnyRow, column: &str) -> Result<Timestamp, DatabaseError> {
    let time: i64 = row.try_get(column)?;
    Timestamp::from_millisecond(time).map_err(|_| DatabaseError::Damaged(time.to_string(), "time"))
}

fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::database::places::{partner, places};

    #[tokio::test]
    async fn heartbeats_come_back_in_their_order_and_have_an_end() {
        for place in places() {
            let database = place.open().await;
            let north: SiteId = "north".parse().unwrap();
            let at = |minute: i64| Timestamp::from_second(1_000_000 + minute * 60).unwrap();
            database.put_partner(&partner("north")).await.unwrap();
            let told = |minute: i64| Heartbeat {
                started: at(0),
                at: at(minute),
                answered: Answered { tieup: minute.unsigned_abs(), original: 2, nothing: 3 },
                journals: BTreeMap::from([("2026-11".parse().unwrap(), 7)]),
            };
            for minute in 0..MOST_A_DAY {
                let kept = database.keep_heartbeat(&north, &told(minute), at(minute)).await.unwrap();
                assert_eq!(kept, HeartbeatKept::Kept);
            }
            let more = database.keep_heartbeat(&north, &told(MOST_A_DAY), at(MOST_A_DAY)).await.unwrap();
            assert_eq!(more, HeartbeatKept::TooMany);
            let next_day = 24 * 60 + 1;
            let kept = database.keep_heartbeat(&north, &told(next_day), at(next_day)).await.unwrap();
            assert_eq!(kept, HeartbeatKept::Kept);
            assert_eq!(database.heartbeats(&north, at(5), at(7)).await.unwrap(), [told(5), told(6)]);
            database.forget_heartbeats_before(at(6)).await.unwrap();
            assert_eq!(database.heartbeats(&north, at(0), at(7)).await.unwrap(), [told(6)]);
        }
    }
}
