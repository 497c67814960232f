//! What was signed for each partner last, and the counter of statements of freshness.

use std::num::NonZeroU64;

use jiff::Timestamp;
use sqlx::Row as _;
use tieup_protocol::ids::{ReleaseVersion, SiteId};

use super::{Database, DatabaseError, to_sql};

/// The metadata of the newest release that was signed for a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataRow {
    /// The release.
    pub version: ReleaseVersion,
    /// The version of the root that it was sent with last.
    pub root: u64,
    /// `targets.json`.
    pub targets: String,
    /// `snapshot.json`.
    pub snapshot: String,
    /// Until when the partner takes it for the newest; none where it has not been told.
    pub fresh_until: Option<Timestamp>,
}

impl Database {
    /// The next version of the timestamp for a partner. No number is given twice, and the first is higher than every
    /// release's, which was the timestamp's version once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_freshness(&self, partner: &SiteId) -> Result<NonZeroU64, DatabaseError> {
        let row = sqlx::query(
            "INSERT INTO metadata (partner, freshness) \
             SELECT $1, 1 + COALESCE((SELECT MAX(version) FROM releases WHERE partner = $1), 0) WHERE true \
             ON CONFLICT (partner) DO UPDATE SET freshness = metadata.freshness + 1 RETURNING freshness",
        )
        .bind(partner.as_str())
        .fetch_one(&self.pool)
        .await?;
        let number: i64 = row.try_get("freshness")?;
        let counted = u64::try_from(number).ok().and_then(NonZeroU64::new);
        counted.ok_or_else(|| DatabaseError::Damaged(number.to_string(), "counter"))
    }

    /// Keeps what was signed, in place of what was signed before, but never of what was signed for a newer release. The
    /// partner has not been told of it yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_metadata(&self, partner: &SiteId, signed: &MetadataRow) -> Result<(), DatabaseError> {
        sqlx::query(
            "UPDATE metadata SET version = $1, root = $2, targets = $3, snapshot = $4, fresh_until = $5 \
             WHERE partner = $6 AND (version IS NULL OR version <= $1)",
        )
        .bind(to_sql(signed.version))
        .bind(i64::try_from(signed.root).unwrap_or(i64::MAX))
        .bind(&signed.targets)
        .bind(&signed.snapshot)
        .bind(signed.fresh_until.map(Timestamp::as_second))
        .bind(partner.as_str())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What was signed for a partner last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn metadata(&self, partner: &SiteId) -> Result<Option<MetadataRow>, DatabaseError> {
        let row = sqlx::query("SELECT * FROM metadata WHERE partner = $1 AND version IS NOT NULL")
            .bind(partner.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (number, root): (i64, i64) = (row.try_get("version")?, row.try_get("root")?);
        let version = u64::try_from(number).ok().and_then(ReleaseVersion::new);
        let until: Option<i64> = row.try_get("fresh_until")?;
        Ok(Some(MetadataRow {
            version: version.ok_or_else(|| DatabaseError::Damaged(number.to_string(), "release number"))?,
            root: u64::try_from(root).map_err(|_| DatabaseError::Damaged(root.to_string(), "root version"))?,
            targets: row.try_get("targets")?,
            snapshot: row.try_get("snapshot")?,
            fresh_until: until.and_then(|second| Timestamp::from_second(second).ok()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::ReleaseRow;
    use crate::database::places::places;

    #[tokio::test]
    async fn no_number_is_given_twice_and_none_is_below_a_release() {
        for place in places() {
            let partner: SiteId = "sapporo".parse().unwrap();
            let database = place.open().await;
            assert_eq!(database.next_freshness(&partner).await.unwrap().get(), 1);
            assert_eq!(database.next_freshness(&partner).await.unwrap().get(), 2);
            assert_eq!(database.metadata(&partner).await.unwrap(), None);
            drop(database);
            let database = place.open().await;
            assert_eq!(database.next_freshness(&partner).await.unwrap().get(), 3);

            let otaru: SiteId = "otaru".parse().unwrap();
            sqlx::query("INSERT INTO partners VALUES ('otaru', '', '', '', 0)").execute(&database.pool).await.unwrap();
            let release = ReleaseRow {
                version: ReleaseVersion::new(7).unwrap(),
                contract: String::new(),
                state: String::new(),
                detail: String::new(),
                since: Timestamp::UNIX_EPOCH,
            };
            database.add_release(&otaru, &release, None).await.unwrap();
            assert_eq!(database.next_freshness(&otaru).await.unwrap().get(), 8);
        }
    }

    #[tokio::test]
    async fn what_was_signed_is_kept() {
        for place in places() {
            let partner: SiteId = "sapporo".parse().unwrap();
            let database = place.open().await;
            database.next_freshness(&partner).await.unwrap();
            let signed = MetadataRow {
                version: ReleaseVersion::FIRST,
                root: 1,
                targets: "t".to_owned(),
                snapshot: "s".to_owned(),
                fresh_until: Timestamp::from_second(7).ok(),
            };
            database.put_metadata(&partner, &signed).await.unwrap();
            let newer = MetadataRow { version: ReleaseVersion::FIRST.next(), ..signed.clone() };
            database.put_metadata(&partner, &newer).await.unwrap();
            database.put_metadata(&partner, &signed).await.unwrap();
            assert_eq!(database.metadata(&partner).await.unwrap(), Some(newer), "an older one took its place");
        }
    }
}
