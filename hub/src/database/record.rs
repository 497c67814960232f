//! Main's record of what fees go by besides visits. It only grows.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use tieup_protocol::ids::SiteId;
use tieup_protocol::record::{Entry, MAX_RECORD};

use super::{Database, DatabaseError};

/// What is done with an entry whose subject the record has with other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Nothing is added.
    Refuse,
    /// It is added, and counts from then on.
    Correct,
}

/// What became of entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddedToRecord {
    /// They are in the record. Durable.
    Added(Tally),
    /// None is: those at these places have other content than the record.
    Differing(Vec<usize>),
    /// None is: this partner's record would have more entries than a record may have.
    Full(SiteId),
}

/// How many entries became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// They are new.
    pub new: usize,
    /// They count in place of earlier ones.
    pub corrected: usize,
    /// The record has them.
    pub unchanged: usize,
}

impl Database {
    /// Adds entries to the records of partners, all of them or none. What a record says already is not added again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_to_record(
        &self,
        entries: &[(SiteId, Entry)],
        existing: Existing,
        now: Timestamp,
    ) -> Result<AddedToRecord, DatabaseError> {
        let mut change = self.begin_writing().await?;
        let (mut ends, mut tally, mut differing) = (BTreeMap::new(), Tally::default(), Vec::new());
        for (place, (partner, entry)) in entries.iter().enumerate() {
            match newest(&mut change, partner, entry).await? {
                Some(before) if before == *entry => {
                    tally.unchanged += 1;
                    continue;
                }
                Some(_) if existing == Existing::Refuse => differing.push(place),
                Some(_) => tally.corrected += 1,
                None => tally.new += 1,
            }
            let number = match ends.get(partner) {
                Some(end) => *end,
                None => end_of(&mut change, partner).await?,
            };
            if number >= MAX_RECORD {
                return Ok(AddedToRecord::Full(partner.clone()));
            }
            insert(&mut change, partner, number, entry, now).await?;
            ends.insert(partner, number + 1);
        }
        if !differing.is_empty() {
            return Ok(AddedToRecord::Differing(differing));
        }
        change.commit().await?;
        Ok(AddedToRecord::Added(tally))
    }

    /// What a partner's record says last of what `entry` is about.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_recorded(&self, partner: &SiteId, entry: &Entry) -> Result<Option<Entry>, DatabaseError> {
        newest(&mut *self.pool.acquire().await?, partner, entry).await
    }

    /// How many entries a partner's record has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_size(&self, partner: &SiteId) -> Result<u64, DatabaseError> {
        end_of(&mut *self.pool.acquire().await?, partner).await
    }

    /// At most `most` entries of a partner's record, from number `from` on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record(&self, partner: &SiteId, from: u64, most: u64) -> Result<Vec<Entry>, DatabaseError> {
        let page = "SELECT entry FROM recorded WHERE partner = $1 AND number >= $2 ORDER BY number LIMIT $3";
        let rows = sqlx::query(page).bind(partner.as_str()).bind(to_sql(from)).bind(to_sql(most));
        rows.fetch_all(&self.pool).await?.iter().map(entry_from).collect()
    }

    /// Of the first `until` entries of a partner's record all that can say something of the time from `start` on and before
    /// `end`, in their order: what is about a sale that was ever said to be of that time, and what is about no sale.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn record_of(
        &self,
        partner: &SiteId,
        until: u64,
        (start, end): (Timestamp, Timestamp),
    ) -> Result<Vec<Entry>, DatabaseError> {
        // Times are kept in whole seconds, so the last one may hold a little more.
        let of = "SELECT entry FROM recorded WHERE partner = $1 AND number < $2 AND (of_sale = 0 OR subject IN \
                  (SELECT subject FROM recorded WHERE partner = $1 AND sold >= $3 AND sold <= $4)) ORDER BY number";
        let rows = sqlx::query(of)
            .bind(partner.as_str())
            .bind(to_sql(until))
            .bind(start.as_second())
            .bind(end.as_second())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(entry_from).collect()
    }
}

/// What the record says last of what `entry` is about.
async fn newest(
    connection: &mut AnyConnection,
    partner: &SiteId,
    entry: &Entry,
) -> Result<Option<Entry>, DatabaseError> {
    let Some(subject) = entry.subject() else { return Ok(None) };
    let newest = "SELECT entry FROM recorded WHERE partner = $1 AND subject = $2 ORDER BY number DESC LIMIT 1";
    let row = sqlx::query(newest).bind(partner.as_str()).bind(subject).fetch_optional(connection).await?;
    row.as_ref().map(entry_from).transpose()
}

/// The number that a partner's next entry gets.
pub(super) async fn end_of(connection: &mut AnyConnection, partner: &SiteId) -> Result<u64, DatabaseError> {
    let last = "SELECT number FROM recorded WHERE partner = $1 ORDER BY number DESC LIMIT 1";
    let row = sqlx::query(last).bind(partner.as_str()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(0) };
    let number: i64 = row.try_get("number")?;
    let number = u64::try_from(number).map_err(|_| DatabaseError::Damaged(number.to_string(), "number of an entry"))?;
    Ok(number + 1)
}

async fn insert(
    connection: &mut AnyConnection,
    partner: &SiteId,
    number: u64,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO recorded (partner, number, subject, of_sale, sold, entered, entry) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(partner.as_str())
    .bind(to_sql(number))
    .bind(entry.subject())
    .bind(i64::from(entry.is_of_sale()))
    .bind(entry.sold().map(Timestamp::as_second))
    .bind(now.as_second())
    .bind(entry.line())
    .execute(connection)
    .await?;
    Ok(())
}

fn entry_from(row: &AnyRow) -> Result<Entry, DatabaseError> {
    let entry: String = row.try_get("entry")?;
    serde_json::from_str(&entry).map_err(|_| DatabaseError::Damaged(entry, "entry of the record"))
}

fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tieup_protocol::record::Withdrawal;

    use super::*;
    use crate::database::places::places;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn otaru() -> SiteId {
        "otaru".parse().unwrap()
    }

    fn sale(id: &str, amount: &str, time: &str) -> (SiteId, Entry) {
        let json =
            format!(r#"{{"entry":"sale","id":"{id}","kind":"order","amount":"{amount}","units":1,"time":"{time}"}}"#);
        (otaru(), serde_json::from_str(&json).unwrap())
    }

    async fn joined(database: &Database) {
        sqlx::query("INSERT INTO partners VALUES ('otaru', '', '', '', 0)").execute(&database.pool).await.unwrap();
    }

    fn added(new: usize, corrected: usize, unchanged: usize) -> AddedToRecord {
        AddedToRecord::Added(Tally { new, corrected, unchanged })
    }

    #[tokio::test]
    async fn a_record_grows_by_what_is_new_and_by_what_is_called_a_correction() {
        for place in places() {
            let database = place.open().await;
            joined(&database).await;
            let day = "2026-11-10T00:00:00Z";
            let add = async |entries: &[(SiteId, Entry)], existing| {
                database.add_to_record(entries, existing, NOW).await.unwrap()
            };
            let first = [sale("a", "10", day), sale("b", "20", day)];
            assert_eq!(add(&first, Existing::Refuse).await, added(2, 0, 0));
            assert_eq!(add(&first, Existing::Refuse).await, added(0, 0, 2));
            let other = [sale("c", "30", day), sale("b", "25", day)];
            assert_eq!(add(&other, Existing::Refuse).await, AddedToRecord::Differing(vec![1]));
            assert_eq!(database.record_size(&otaru()).await.unwrap(), 2, "something was kept");
            assert_eq!(add(&other, Existing::Correct).await, added(1, 1, 0));
            let withdrawn = (otaru(), Entry::Withdrawn(Withdrawal { id: "a".parse().unwrap() }));
            assert_eq!(add(std::slice::from_ref(&withdrawn), Existing::Correct).await, added(0, 1, 0));
            let all = database.record(&otaru(), 0, 10).await.unwrap();
            let expected = [&first[0], &first[1], &other[0], &other[1], &withdrawn].map(|(_, entry)| entry.clone());
            assert_eq!(all, expected);
            assert_eq!(database.record(&otaru(), 1, 2).await.unwrap(), expected[1..3]);
        }
    }

    #[tokio::test]
    async fn a_month_reads_what_is_about_its_sales_alone() {
        for place in places() {
            let database = place.open().await;
            joined(&database).await;
            let (october, november) = ("2026-10-10T00:00:00Z", "2026-11-10T00:00:00Z");
            let entries = [sale("a", "10", october), sale("b", "20", november), sale("a", "10", november)];
            let moved = sale("b", "20", october);
            database.add_to_record(&entries, Existing::Correct, NOW).await.unwrap();
            database.add_to_record(std::slice::from_ref(&moved), Existing::Correct, NOW).await.unwrap();
            let span = ("2026-11-01T00:00:00Z".parse().unwrap(), "2026-12-01T00:00:00Z".parse().unwrap());
            let of = async |until| database.record_of(&otaru(), until, span).await.unwrap();
            let [a, b, again] = entries.clone().map(|(_, entry)| entry);
            assert_eq!(of(2).await, [a.clone(), b.clone()]);
            assert_eq!(of(4).await, [a, b, again, moved.1]);
            let span = ("2026-12-01T00:00:01Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
            assert_eq!(database.record_of(&otaru(), 4, span).await.unwrap(), []);
        }
    }
}
