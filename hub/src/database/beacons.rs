//! The tables `beacon_hours` and `beacon_pages`: how many beacons came, by hour and by day and page. Hours and days are
//! those of the clocks of the partner's contract, numbered as [`Zone::hour_number`](tieup_protocol::period::Zone) does.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::path::SitePath;

use super::{Database, DatabaseError, site_id, version_from};
use crate::beacons::Counted;

/// Which releases to a partner may be live: the newest, and those that are by main's record.
const CURRENT: &str = "SELECT partner, version FROM releases AS one WHERE state = 'live' OR version IN \
                       (SELECT version FROM releases WHERE partner = one.partner ORDER BY version DESC LIMIT 3) \
                       ORDER BY partner, version";

/// What was counted of a partner's beacons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeaconCounts {
    /// By hour.
    pub hours: BTreeMap<i64, u64>,
    /// By day, the hour's number divided by 24, and page.
    pub pages: BTreeMap<(i64, SitePath), u64>,
}

impl Database {
    /// Adds beacons to those that were counted before. All are added or none; durable on return.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn add_beacons(&self, counted: &Counted) -> Result<(), DatabaseError> {
        let (mut hours, mut pages) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
        for ((partner, hour, page), number) in counted {
            *hours.entry((partner, *hour)).or_default() += number;
            *pages.entry((partner, hour.div_euclid(24), page)).or_default() += number;
        }
        let mut change = self.begin_writing().await?;
        for ((partner, hour), number) in hours {
            sqlx::query(
                "INSERT INTO beacon_hours (partner, hour, beacons) VALUES ($1, $2, $3) ON CONFLICT (partner, hour) \
                 DO UPDATE SET beacons = beacon_hours.beacons + excluded.beacons",
            )
            .bind(partner.as_str())
            .bind(hour)
            .bind(to_sql(number))
            .execute(&mut *change)
            .await?;
        }
        for ((partner, day, page), number) in pages {
            sqlx::query(
                "INSERT INTO beacon_pages (partner, day, page, beacons) VALUES ($1, $2, $3, $4) ON CONFLICT \
                 (partner, day, page) DO UPDATE SET beacons = beacon_pages.beacons + excluded.beacons",
            )
            .bind(partner.as_str())
            .bind(day)
            .bind(page.as_str())
            .bind(to_sql(number))
            .execute(&mut *change)
            .await?;
        }
        Ok(change.commit().await?)
    }

    /// What was counted of a partner's beacons in these hours; pages by whole days of which the first hour is among them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn beacons(&self, partner: &SiteId, hours: Range<i64>) -> Result<BeaconCounts, DatabaseError> {
        let by_hour =
            sqlx::query("SELECT hour, beacons FROM beacon_hours WHERE partner = $1 AND hour >= $2 AND hour < $3")
                .bind(partner.as_str())
                .bind(hours.start)
                .bind(hours.end)
                .fetch_all(&self.pool)
                .await?;
        let by_page = sqlx::query(
            "SELECT day, page, beacons FROM beacon_pages WHERE partner = $1 AND day * 24 >= $2 AND day * 24 < $3",
        )
        .bind(partner.as_str())
        .bind(hours.start)
        .bind(hours.end)
        .fetch_all(&self.pool)
        .await?;
        let hour_from = |row: &AnyRow| Ok((row.try_get("hour")?, number(row)?));
        let page_from = |row: &AnyRow| {
            let page: String = row.try_get("page")?;
            let page = page.parse().map_err(|_| DatabaseError::Damaged(page, "path"))?;
            Ok(((row.try_get("day")?, page), number(row)?))
        };
        let hours = by_hour.iter().map(hour_from).collect::<Result<_, DatabaseError>>()?;
        let pages = by_page.iter().map(page_from).collect::<Result<_, DatabaseError>>()?;
        Ok(BeaconCounts { hours, pages })
    }

    /// The first and the last hour in which beacons of a partner were counted, where any were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn beacon_span(&self, partner: &SiteId) -> Result<Option<(i64, i64)>, DatabaseError> {
        let row = sqlx::query("SELECT MIN(hour) AS first, MAX(hour) AS last FROM beacon_hours WHERE partner = $1")
            .bind(partner.as_str())
            .fetch_one(&self.pool)
            .await?;
        let (first, last): (Option<i64>, Option<i64>) = (row.try_get("first")?, row.try_get("last")?);
        Ok(first.zip(last))
    }

    /// Forgets what was counted before `time`, by the clocks of UTC.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_beacons_before(&self, time: Timestamp) -> Result<(), DatabaseError> {
        let hour = time.as_second().div_euclid(3600);
        sqlx::query("DELETE FROM beacon_hours WHERE hour < $1").bind(hour).execute(&self.pool).await?;
        sqlx::query("DELETE FROM beacon_pages WHERE day < $1").bind(hour.div_euclid(24)).execute(&self.pool).await?;
        Ok(())
    }

    /// The releases to each partner that may be live there, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn current_releases(&self) -> Result<BTreeMap<SiteId, Vec<ReleaseVersion>>, DatabaseError> {
        let rows = sqlx::query(CURRENT).fetch_all(&self.pool).await?;
        let mut current = BTreeMap::<SiteId, Vec<ReleaseVersion>>::new();
        for row in &rows {
            current.entry(site_id(row, "partner")?).or_default().push(version_from(row)?);
        }
        Ok(current)
    }

    /// The contract that a release was made under, word for word.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn contract_of(
        &self,
        partner: &SiteId,
        version: ReleaseVersion,
    ) -> Result<Option<String>, DatabaseError> {
        let row = sqlx::query("SELECT contract FROM releases WHERE partner = $1 AND version = $2")
            .bind(partner.as_str())
            .bind(super::to_sql(version))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get("contract")).transpose()?)
    }
}

fn number(row: &AnyRow) -> Result<u64, DatabaseError> {
    let number: i64 = row.try_get("beacons")?;
    u64::try_from(number).map_err(|_| DatabaseError::Damaged(number.to_string(), "number of beacons"))
}

fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::database::ReleaseRow;
    use crate::database::places::{Place, partner, places};

    async fn with_partner(place: &Place) -> (Database, SiteId) {
        let database = place.open().await;
        let north = partner("north");
        database.put_partner(&north).await.unwrap();
        (database, north.id)
    }

    #[tokio::test]
    async fn beacons_add_up_and_are_forgotten_after_their_time() {
        for place in places() {
            let (database, north) = with_partner(&place).await;
            let of = |hour: i64, page: &str, number| ((north.clone(), hour, page.parse().unwrap()), number);
            database.add_beacons(&Counted::from([of(47, "/", 3), of(48, "/", 1), of(48, "/a/", 2)])).await.unwrap();
            database.add_beacons(&Counted::from([of(49, "/a/", 5), of(72, "/", 7)])).await.unwrap();
            let counts = database.beacons(&north, 48..72).await.unwrap();
            assert_eq!(counts.hours, BTreeMap::from([(48, 3), (49, 5)]));
            let page = |day, page: &str| (day, page.parse().unwrap());
            assert_eq!(counts.pages, BTreeMap::from([(page(2, "/"), 1), (page(2, "/a/"), 7)]));
            assert_eq!(database.beacon_span(&north).await.unwrap(), Some((47, 72)));
            database.forget_beacons_before(Timestamp::from_second(72 * 3600).unwrap()).await.unwrap();
            let left = database.beacons(&north, 0..100).await.unwrap();
            assert_eq!((left.hours, left.pages), (BTreeMap::from([(72, 7)]), BTreeMap::from([(page(3, "/"), 7)])));
            assert_eq!(database.beacon_span(&"south".parse().unwrap()).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn the_newest_releases_and_the_live_one_may_be_live() {
        for place in places() {
            let (database, north) = with_partner(&place).await;
            for number in 1..=6 {
                let release = ReleaseRow {
                    version: ReleaseVersion::new(number).unwrap(),
                    contract: format!("terms {number}"),
                    state: if number == 2 { "live" } else { "staged" }.to_owned(),
                    detail: String::new(),
                    since: Timestamp::UNIX_EPOCH,
                };
                database.add_release(&north, &release, None).await.unwrap();
            }
            let current = database.current_releases().await.unwrap();
            assert_eq!(current[&north].iter().map(|version| version.get()).collect::<Vec<_>>(), [2, 4, 5, 6]);
            let contract = database.contract_of(&north, ReleaseVersion::new(5).unwrap()).await.unwrap();
            assert_eq!(contract.as_deref(), Some("terms 5"));
        }
    }
}
