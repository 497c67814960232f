//! The releases that were made for each partner, and their manifests as they were signed. Manifests are large, so they
//! have a table of their own: nothing that looks at releases reads or writes them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use tieup_protocol::ids::{ReleaseVersion, SiteId};

use super::dialect::Dialect;
use super::{Database, DatabaseError, site_id, storable, timestamp, to_sql, version_from};

/// A release as the hub sent it, with what is known of its fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRow {
    /// Which release.
    pub version: ReleaseVersion,
    /// The contract it was made under, word for word.
    pub contract: String,
    /// `signed`, `unreachable`, `refused`, or the partner's own word: `staged`, `live`, ...
    pub state: String,
    /// Why, where there is a why.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
}

impl ReleaseRow {
    /// Whether `kept` says the same of what became of the release. Times are kept in whole seconds.
    pub(crate) fn is_kept_as(&self, kept: &Self) -> bool {
        (&self.state, &self.detail, self.since.as_second()) == (&kept.state, &kept.detail, kept.since.as_second())
    }
}

impl Database {
    /// Gives manifests their own table in a database from before they had one. That was before there were others than
    /// SQLite's.
    pub(super) async fn part_manifests(&self) -> Result<(), DatabaseError> {
        // Looked at twice, so that nobody who has nothing to change waits for those who write.
        if self.dialect != Dialect::Sqlite || !are_together(&mut *self.pool.acquire().await?).await? {
            return Ok(());
        }
        let mut change = self.begin_writing().await?;
        if are_together(&mut change).await? {
            let apart = "INSERT INTO manifests (partner, version, manifest) \
                         SELECT partner, version, manifest FROM releases WHERE manifest <> ''";
            sqlx::query(apart).execute(&mut *change).await?;
            sqlx::query("ALTER TABLE releases DROP COLUMN manifest").execute(&mut *change).await?;
        }
        Ok(change.commit().await?)
    }

    /// Keeps a new release, with its manifest or without, which may follow. Its number is taken from then on.
    ///
    /// # Errors
    /// When the database fails, or the number is taken. Nothing was kept then.
    pub async fn add_release(
        &self,
        partner: &SiteId,
        release: &ReleaseRow,
        manifest: Option<&str>,
    ) -> Result<(), DatabaseError> {
        let mut change = self.begin_writing().await?;
        sqlx::query(
            "INSERT INTO releases (partner, version, contract, state, detail, since) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(partner.as_str())
        .bind(to_sql(release.version))
        .bind(&release.contract)
        .bind(&release.state)
        .bind(storable(&release.detail))
        .bind(release.since.as_second())
        .execute(&mut *change)
        .await
        .map_err(|error| taken(error, release.version))?;
        if let Some(manifest) = manifest {
            put_manifest(&mut change, partner, release.version, manifest).await?;
        }
        Ok(change.commit().await?)
    }

    /// Keeps the manifest of a release as it was signed.
    ///
    /// # Errors
    /// When the database fails, or there is no such release.
    pub async fn set_manifest(
        &self,
        partner: &SiteId,
        version: ReleaseVersion,
        manifest: &str,
    ) -> Result<(), DatabaseError> {
        put_manifest(&mut *self.pool.acquire().await?, partner, version, manifest).await
    }

    /// Keeps what has become of a release.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_release_state(&self, partner: &SiteId, release: &ReleaseRow) -> Result<(), DatabaseError> {
        sqlx::query("UPDATE releases SET state = $1, detail = $2, since = $3 WHERE partner = $4 AND version = $5")
            .bind(&release.state)
            .bind(storable(&release.detail))
            .bind(release.since.as_second())
            .bind(partner.as_str())
            .bind(to_sql(release.version))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The newest release to a partner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_release(&self, partner: &SiteId) -> Result<Option<ReleaseRow>, DatabaseError> {
        let newest = "SELECT version, contract, state, detail, since FROM releases WHERE partner = $1 \
                      ORDER BY version DESC LIMIT 1";
        let row = sqlx::query(newest).bind(partner.as_str()).fetch_optional(&self.pool).await?;
        row.as_ref().map(release_from).transpose()
    }

    /// Forgets a partner's manifests but for those of the `count` newest releases, and of those that are live there or
    /// wait. All else that is known of the releases stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_manifests(&self, partner: &SiteId, count: u32) -> Result<(), DatabaseError> {
        sqlx::query(
            "DELETE FROM manifests WHERE partner = $1 AND version NOT IN \
             (SELECT version FROM releases WHERE partner = $1 ORDER BY version DESC LIMIT $2) \
             AND version NOT IN (SELECT version FROM releases WHERE partner = $1 \
             AND state IN ('live', 'staged', 'approved', 'held', 'signed', 'unreachable'))",
        )
        .bind(partner.as_str())
        .bind(i64::from(count))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The manifests of a partner's releases that have not been forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kept_manifests(&self, partner: &SiteId) -> Result<Vec<String>, DatabaseError> {
        let rows = sqlx::query("SELECT manifest FROM manifests WHERE partner = $1")
            .bind(partner.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("manifest")?)).collect()
    }

    /// The manifest of a release as it was signed; none where there is none, or it was forgotten since many releases
    /// followed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn manifest(&self, partner: &SiteId, version: ReleaseVersion) -> Result<Option<String>, DatabaseError> {
        let row = sqlx::query("SELECT manifest FROM manifests WHERE partner = $1 AND version = $2")
            .bind(partner.as_str())
            .bind(to_sql(version))
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.try_get("manifest")).transpose()?)
    }

    /// The manifests of the newest `count` releases to a partner before `version`, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn manifests_before(
        &self,
        partner: &SiteId,
        version: ReleaseVersion,
        count: u32,
    ) -> Result<Vec<String>, DatabaseError> {
        let newest =
            "SELECT manifest FROM manifests WHERE partner = $1 AND version < $2 ORDER BY version DESC LIMIT $3";
        let rows = sqlx::query(newest)
            .bind(partner.as_str())
            .bind(to_sql(version))
            .bind(i64::from(count))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(row.try_get("manifest")?)).collect()
    }

    /// The release before `version` to a partner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn version_before(
        &self,
        partner: &SiteId,
        version: ReleaseVersion,
    ) -> Result<Option<ReleaseVersion>, DatabaseError> {
        let before = "SELECT version FROM releases WHERE partner = $1 AND version < $2 ORDER BY version DESC LIMIT 1";
        let row = sqlx::query(before).bind(partner.as_str()).bind(to_sql(version)).fetch_optional(&self.pool).await?;
        row.as_ref().map(version_from).transpose()
    }

    /// A release whose manifest is here and that has arrived at its partner, a new one if possible.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_delivered(&self) -> Result<Option<(SiteId, ReleaseVersion)>, DatabaseError> {
        let newest = "SELECT partner, version FROM releases JOIN manifests USING (partner, version) \
                      WHERE state IN ('live', 'staged', 'retired') ORDER BY since DESC LIMIT 1";
        let row = sqlx::query(newest).fetch_optional(&self.pool).await?;
        row.map(|row| Ok((site_id(&row, "partner")?, version_from(&row)?))).transpose()
    }

    /// All releases to a partner, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn releases(&self, partner: &SiteId) -> Result<Vec<ReleaseRow>, DatabaseError> {
        let all =
            "SELECT version, contract, state, detail, since FROM releases WHERE partner = $1 ORDER BY version DESC";
        let rows = sqlx::query(all).bind(partner.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(release_from).collect()
    }

    /// The releases that are live at partners or wait there, by main's record, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn standing_releases(&self) -> Result<BTreeMap<SiteId, Vec<ReleaseRow>>, DatabaseError> {
        let standing = "SELECT partner, version, contract, state, detail, since FROM releases \
                        WHERE state IN ('live', 'staged', 'held', 'approved') ORDER BY version DESC";
        let mut releases = BTreeMap::<SiteId, Vec<ReleaseRow>>::new();
        for row in &sqlx::query(standing).fetch_all(&self.pool).await? {
            releases.entry(site_id(row, "partner")?).or_default().push(release_from(row)?);
        }
        Ok(releases)
    }

    /// One release to a partner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(
        &self,
        partner: &SiteId,
        version: ReleaseVersion,
    ) -> Result<Option<ReleaseRow>, DatabaseError> {
        let one = "SELECT version, contract, state, detail, since FROM releases WHERE partner = $1 AND version = $2";
        let row = sqlx::query(one).bind(partner.as_str()).bind(to_sql(version)).fetch_optional(&self.pool).await?;
        row.as_ref().map(release_from).transpose()
    }
}

/// Whether manifests stand among the releases, in a database of SQLite's.
async fn are_together(connection: &mut AnyConnection) -> Result<bool, DatabaseError> {
    let column = "SELECT 1 FROM pragma_table_info('releases') WHERE name = 'manifest'";
    Ok(sqlx::query(column).fetch_optional(connection).await?.is_some())
}

/// What it means that a release could not be kept.
fn taken(error: sqlx::Error, version: ReleaseVersion) -> DatabaseError {
    match error.as_database_error() {
        Some(refusal) if refusal.is_unique_violation() => DatabaseError::NumberTaken(version),
        _ => error.into(),
    }
}

async fn put_manifest(
    connection: &mut AnyConnection,
    partner: &SiteId,
    version: ReleaseVersion,
    manifest: &str,
) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO manifests (partner, version, manifest) VALUES ($1, $2, $3) \
         ON CONFLICT (partner, version) DO UPDATE SET manifest = excluded.manifest",
    )
    .bind(partner.as_str())
    .bind(to_sql(version))
    .bind(manifest)
    .execute(connection)
    .await?;
    Ok(())
}

fn release_from(row: &AnyRow) -> Result<ReleaseRow, DatabaseError> {
    Ok(ReleaseRow {
        version: version_from(row)?,
        contract: row.try_get("contract")?,
        state: row.try_get("state")?,
        detail: row.try_get("detail")?,
        since: timestamp(row, "since")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Location;
    use crate::database::places::places;

    fn release(version: u64) -> ReleaseRow {
        ReleaseRow {
            version: ReleaseVersion::new(version).unwrap(),
            contract: String::new(),
            state: "retired".to_owned(),
            detail: String::new(),
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn manifests_are_kept_replaced_and_forgotten() {
        for place in places() {
            let otaru: SiteId = "otaru".parse().unwrap();
            let database = place.open().await;
            sqlx::query("INSERT INTO partners VALUES ('otaru', '', '', '', 0)").execute(&database.pool).await.unwrap();
            for number in 1..=3 {
                let manifest = format!("{number}");
                database.add_release(&otaru, &release(number), (number > 1).then_some(&*manifest)).await.unwrap();
            }
            let [one, three] = [1, 3].map(|number| ReleaseVersion::new(number).unwrap());
            assert_eq!(database.manifest(&otaru, one).await.unwrap(), None);
            database.set_manifest(&otaru, one, "late").await.unwrap();
            assert_eq!(database.manifests_before(&otaru, three, 4).await.unwrap(), ["2", "late"]);
            database.forget_manifests(&otaru, 1).await.unwrap();
            assert_eq!(database.kept_manifests(&otaru).await.unwrap(), ["3"]);
            assert_eq!(database.newest_delivered().await.unwrap(), Some((otaru, three)));
        }
    }

    #[tokio::test]
    async fn a_database_with_manifests_among_the_releases_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = Location::File(folder.path().join("hub.sqlite"));
        let otaru: SiteId = "otaru".parse().unwrap();
        let database = Database::open(&file).await.unwrap();
        let before = "INSERT INTO partners VALUES ('otaru', '', '', '', 0); \
                      ALTER TABLE releases ADD COLUMN manifest TEXT NOT NULL DEFAULT ''; \
                      INSERT INTO releases VALUES ('otaru', 1, '', 'retired', '', 0, ''), \
                      ('otaru', 2, '', 'live', '', 0, 'words')";
        sqlx::raw_sql(before).execute(&database.pool).await.unwrap();
        drop(database);
        let database = Database::open(&file).await.unwrap();
        assert_eq!(database.kept_manifests(&otaru).await.unwrap(), ["words"]);
        assert_eq!(database.releases(&otaru).await.unwrap().len(), 2);
        database.add_release(&otaru, &release(3), None).await.unwrap();
    }
}
