//! The table `queue`: what is due to each partner, and what the last try came to. Its times are milliseconds.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use tieup_protocol::ids::SiteId;

use super::{Database, DatabaseError, PartnerRow, partner_from, storable};
use crate::schedule::queue::{CameTo, Cause, Coming, LastTry, Queued};

impl Database {
    /// Every partner with its row in the queue, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue(&self) -> Result<Vec<(PartnerRow, Queued)>, DatabaseError> {
        let query = "SELECT partners.*, revoked_partners.revoked, revoked_partners.reason, queue.* FROM partners \
                     LEFT JOIN revoked_partners ON revoked_partners.partner = partners.id \
                     LEFT JOIN queue ON queue.partner = partners.id ORDER BY id";
        let rows = sqlx::query(query).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((partner_from(row)?, queued_from(row)?))).collect()
    }

    /// A partner's row in the queue; an empty one before the first try.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queued(&self, partner: &SiteId) -> Result<Queued, DatabaseError> {
        let query = sqlx::query("SELECT * FROM queue WHERE partner = $1").bind(partner.as_str());
        query.fetch_optional(&self.pool).await?.as_ref().map_or_else(|| Ok(Queued::default()), queued_from)
    }

    /// Keeps a partner's row after a try, but for when the partner was heard. Durable on return.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_queued(&self, partner: &SiteId, queued: &Queued) -> Result<(), DatabaseError> {
        let last = queued.last.as_ref();
        sqlx::query(
            "INSERT INTO queue (partner, covered, came_to, why, tried, since, failures, retry, coming, cause, changed) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (partner) DO UPDATE SET \
             covered = excluded.covered, came_to = excluded.came_to, why = excluded.why, tried = excluded.tried, \
             since = excluded.since, failures = excluded.failures, retry = excluded.retry, coming = excluded.coming, \
             cause = excluded.cause, changed = excluded.changed",
        )
        .bind(partner.as_str())
        .bind(queued.covered.map(Timestamp::as_millisecond))
        .bind(last.map(|last| last.came_to.word()))
        .bind(last.map(|last| storable(&last.why)))
        .bind(last.map(|last| last.at.as_millisecond()))
        .bind(last.map(|last| last.since.as_millisecond()))
        .bind(i64::from(last.map_or(0, |last| last.failures)))
        .bind(queued.retry.map(Timestamp::as_millisecond))
        .bind(queued.coming.map(|coming| coming.at.as_millisecond()))
        .bind(queued.coming.map(|coming| coming.cause.word()))
        .bind(queued.changed.map(Timestamp::as_millisecond))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Keeps what comes next for a partner, and since when the site holds something that waits for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_coming(
        &self,
        partner: &SiteId,
        coming: Option<Coming>,
        changed: Option<Timestamp>,
    ) -> Result<(), DatabaseError> {
        sqlx::query(
            "INSERT INTO queue (partner, coming, cause, changed) VALUES ($1, $2, $3, $4) ON CONFLICT (partner) DO UPDATE \
             SET coming = excluded.coming, cause = excluded.cause, changed = excluded.changed",
        )
        .bind(partner.as_str())
        .bind(coming.map(|coming| coming.at.as_millisecond()))
        .bind(coming.map(|coming| coming.cause.word()))
        .bind(changed.map(Timestamp::as_millisecond))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Keeps that a partner answered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_heard(&self, partner: &SiteId, now: Timestamp) -> Result<(), DatabaseError> {
        sqlx::query(
            "INSERT INTO queue (partner, heard) VALUES ($1, $2) ON CONFLICT (partner) DO UPDATE SET heard = excluded.heard",
        )
        .bind(partner.as_str())
        .bind(now.as_millisecond())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn queued_from(row: &AnyRow) -> Result<Queued, DatabaseError> {
    let cause = word(row, "cause", "cause of a push", Cause::of_word)?;
    let coming = time(row, "coming")?.zip(cause).map(|(at, cause)| Coming { at, cause });
    Ok(Queued {
        covered: time(row, "covered")?,
        last: last_from(row)?,
        retry: time(row, "retry")?,
        coming,
        changed: time(row, "changed")?,
        heard: time(row, "heard")?,
    })
}

fn last_from(row: &AnyRow) -> Result<Option<LastTry>, DatabaseError> {
    let came_to = word(row, "came_to", "outcome of a try", CameTo::of_word)?;
    let (at, since) = (time(row, "tried")?, time(row, "since")?);
    let (why, failures): (Option<String>, Option<i64>) = (row.try_get("why")?, row.try_get("failures")?);
    let known = came_to.zip(at).zip(since);
    Ok(known.map(|((came_to, at), since)| LastTry {
        came_to,
        why: why.unwrap_or_default(),
        at,
        since,
        failures: failures.and_then(|failures| u32::try_from(failures).ok()).unwrap_or(0),
    }))
}

fn word<T>(
    row: &AnyRow,
    column: &str,
    what: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, DatabaseError> {
    let word: Option<String> = row.try_get(column)?;
    word.map(|word| parse(&word).ok_or(DatabaseError::Damaged(word, what))).transpose()
}

fn time(row: &AnyRow, column: &str) -> Result<Option<Timestamp>, DatabaseError> {
    let time: Option<i64> = row.try_get(column)?;
    let damaged = |time: i64| DatabaseError::Damaged(time.to_string(), "time");
    time.map(|time| Timestamp::from_millisecond(time).map_err(|_| damaged(time))).transpose()
}

#[cfg(test)]
mod tests {
    use tieup_protocol::joining::Reach;

    use super::*;
    use crate::database::places::{partner, places};
    use crate::schedule::backoff::{Failure, Roll};

    #[tokio::test]
    async fn a_row_comes_back_as_it_was_kept_and_hearing_a_partner_changes_nothing_else() {
        for place in places() {
            let database = place.open().await;
            let at = |ms| Timestamp::from_millisecond(ms).unwrap();
            let partner =
                PartnerRow { address: Reach::Address("127.0.0.1:1".to_owned()), joined: at(1_000), ..partner("north") };
            database.put_partner(&partner).await.unwrap();
            assert_eq!(database.queue().await.unwrap(), [(partner.clone(), Queued::default())]);
            database.set_heard(&partner.id, at(1_500)).await.unwrap();
            let came_to = CameTo::Failed(Failure::Unreachable);
            let row = database.queued(&partner.id).await.unwrap();
            let row = row.after(came_to, "silence".to_owned(), at(2_001), at(2_002), Roll(7));
            database.put_queued(&partner.id, &row).await.unwrap();
            assert_eq!(row.heard, Some(at(1_500)));
            let coming = Some(Coming { at: at(9_999), cause: Cause::Prescribed });
            database.set_coming(&partner.id, coming, Some(at(5))).await.unwrap();
            drop(database);
            let database = place.open().await;
            let expected = Queued { coming, changed: Some(at(5)), ..row };
            assert_eq!(database.queue().await.unwrap(), [(partner.clone(), expected.clone())]);
            assert_eq!(database.queued(&partner.id).await.unwrap(), expected);
        }
    }
}
