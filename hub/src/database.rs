//! The hub's database, and the only SQL. SQLite in the state folder.

mod certificates;
mod metadata;
mod queue;

use std::path::Path;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{Row, SqlitePool};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::joining::Reach;
use tieup_protocol::period::Month;
use tieup_protocol::wire::StatementStatus;

pub use self::certificates::{Admission, CertificateRow, Owner, RevokedRow};
pub use self::metadata::MetadataRow;

/// The tables, made where they are missing.
const SCHEMA: &str = include_str!("schema.sql");

/// The partners with what is said of those that are revoked.
const ALL_PARTNERS: &str = "SELECT * FROM partners LEFT JOIN revoked_partners ON partner = id ORDER BY id";

/// The same of one partner.
const ONE_PARTNER: &str = "SELECT * FROM partners LEFT JOIN revoked_partners ON partner = id WHERE id = ?";

/// The hub's database.
#[derive(Clone, Debug)]
pub struct Database {
    pool: SqlitePool,
}

/// Why the database could not answer.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database itself failed.
    #[error("the hub's database failed")]
    Sql(#[from] sqlx::Error),
    /// A row holds what it should not.
    #[error("the hub's database holds {0:?} where a {1} should be")]
    Damaged(String, &'static str),
}

/// A partner that has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerRow {
    /// Its name.
    pub id: SiteId,
    /// How its daemon is reached.
    pub address: Reach,
    /// The key of its journal, a C2SP verifier key.
    pub journal_key: String,
    /// The code that was compared.
    pub compare_code: String,
    /// When it joined.
    pub joined: Timestamp,
    /// Since when and why its certificates are revoked, where they are.
    pub revoked: Option<RevokedRow>,
}

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

/// What became of an invitation's secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// It was good, and is used up now.
    Accepted,
    /// It has been used before.
    Used,
    /// It is too old.
    Expired,
    /// There is no such invitation for this partner.
    Unknown,
}

/// A statement that was computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementRow {
    /// The statement's text.
    pub statement: String,
    /// Whether it may still change.
    pub status: StatementStatus,
    /// The partner's verdict, where it has given one.
    pub verdict: Option<String>,
}

impl Database {
    /// Opens the database in `state`, making it where there is none. Commits are durable on return.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub async fn open(state: &Path) -> Result<Self, DatabaseError> {
        let options = SqliteConnectOptions::new()
            .filename(state.join("hub.sqlite"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        sqlx::raw_sql(SCHEMA).execute(&pool).await?;
        Ok(Self { pool })
    }

    /// Keeps an invitation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_invitation(
        &self,
        partner: &SiteId,
        fingerprint: Digest,
        expires: Timestamp,
    ) -> Result<(), DatabaseError> {
        sqlx::query("INSERT INTO invitations (fingerprint, partner, expires) VALUES (?, ?, ?)")
            .bind(fingerprint.to_string())
            .bind(partner.as_str())
            .bind(expires.as_second())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What would become of an invitation if it were used now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn look_up_invitation(
        &self,
        partner: &SiteId,
        fingerprint: Digest,
        now: Timestamp,
    ) -> Result<Redeemed, DatabaseError> {
        let row = sqlx::query("SELECT used, expires FROM invitations WHERE fingerprint = ? AND partner = ?")
            .bind(fingerprint.to_string())
            .bind(partner.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(Redeemed::Unknown) };
        let used: Option<i64> = row.try_get("used")?;
        let expired = timestamp(&row, "expires")? <= now;
        Ok(match used {
            Some(_) => Redeemed::Used,
            None if expired => Redeemed::Expired,
            None => Redeemed::Accepted,
        })
    }

    /// All partners, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn partners(&self) -> Result<Vec<PartnerRow>, DatabaseError> {
        let rows = sqlx::query(ALL_PARTNERS).fetch_all(&self.pool).await?;
        rows.iter().map(partner_from).collect()
    }

    /// One partner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn partner(&self, id: &SiteId) -> Result<Option<PartnerRow>, DatabaseError> {
        let row = sqlx::query(ONE_PARTNER).bind(id.as_str()).fetch_optional(&self.pool).await?;
        row.as_ref().map(partner_from).transpose()
    }

    /// Keeps a new release with its `manifest`, which may follow. Its number is taken from then on.
    ///
    /// # Errors
    /// When the database fails, or the number is taken.
    pub async fn add_release(
        &self,
        partner: &SiteId,
        release: &ReleaseRow,
        manifest: &str,
    ) -> Result<(), DatabaseError> {
        sqlx::query(
            "INSERT INTO releases (partner, version, manifest, contract, state, detail, since) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(partner.as_str())
        .bind(to_sql(release.version))
        .bind(manifest)
        .bind(&release.contract)
        .bind(&release.state)
        .bind(&release.detail)
        .bind(release.since.as_second())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Keeps the manifest of a release.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_manifest(
        &self,
        partner: &SiteId,
        version: ReleaseVersion,
        manifest: &str,
    ) -> Result<(), DatabaseError> {
        sqlx::query("UPDATE releases SET manifest = ? WHERE partner = ? AND version = ?")
            .bind(manifest)
            .bind(partner.as_str())
            .bind(to_sql(version))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Keeps what has become of a release.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_release_state(&self, partner: &SiteId, release: &ReleaseRow) -> Result<(), DatabaseError> {
        sqlx::query("UPDATE releases SET state = ?, detail = ?, since = ? WHERE partner = ? AND version = ?")
            .bind(&release.state)
            .bind(&release.detail)
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
        let newest = "SELECT version, contract, state, detail, since FROM releases WHERE partner = ? \
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
            "UPDATE releases SET manifest = '' WHERE partner = ?1 AND manifest <> '' \
             AND state NOT IN ('live', 'staged', 'approved', 'held', 'signed', 'unreachable') AND version NOT IN \
             (SELECT version FROM releases WHERE partner = ?1 ORDER BY version DESC LIMIT ?2)",
        )
        .bind(partner.as_str())
        .bind(count)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The manifests of a partner's releases that have not been forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn kept_manifests(&self, partner: &SiteId) -> Result<Vec<String>, DatabaseError> {
        let rows = sqlx::query("SELECT manifest FROM releases WHERE partner = ? AND manifest <> ''")
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
        let row = sqlx::query("SELECT manifest FROM releases WHERE partner = ? AND version = ? AND manifest <> ''")
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
        let newest = "SELECT manifest FROM releases WHERE partner = ? AND version < ? ORDER BY version DESC LIMIT ?";
        let rows =
            sqlx::query(newest).bind(partner.as_str()).bind(to_sql(version)).bind(count).fetch_all(&self.pool).await?;
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
        let before = "SELECT version FROM releases WHERE partner = ? AND version < ? ORDER BY version DESC LIMIT 1";
        let row = sqlx::query(before).bind(partner.as_str()).bind(to_sql(version)).fetch_optional(&self.pool).await?;
        row.as_ref().map(version_from).transpose()
    }

    /// A release whose manifest is here and that has arrived at its partner, a new one if possible.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_delivered(&self) -> Result<Option<(SiteId, ReleaseVersion)>, DatabaseError> {
        let newest = "SELECT partner, version FROM releases WHERE manifest <> '' \
                      AND state IN ('live', 'staged', 'retired') ORDER BY since DESC LIMIT 1";
        let row = sqlx::query(newest).fetch_optional(&self.pool).await?;
        row.map(|row| Ok((site_id(&row, "partner")?, version_from(&row)?))).transpose()
    }

    /// All releases to a partner, newest first, without their manifests, which are large.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn releases(&self, partner: &SiteId) -> Result<Vec<ReleaseRow>, DatabaseError> {
        let all =
            "SELECT version, contract, state, detail, since FROM releases WHERE partner = ? ORDER BY version DESC";
        let rows = sqlx::query(all).bind(partner.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(release_from).collect()
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
        let one = "SELECT version, contract, state, detail, since FROM releases WHERE partner = ? AND version = ?";
        let row = sqlx::query(one).bind(partner.as_str()).bind(to_sql(version)).fetch_optional(&self.pool).await?;
        row.as_ref().map(release_from).transpose()
    }

    /// Keeps a statement, in place of an earlier draft for the same month. A final one stays as it is but for the
    /// partner's verdict. Returns whether the statement is the one that is kept now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_statement(
        &self,
        partner: &SiteId,
        month: Month,
        statement: &StatementRow,
    ) -> Result<bool, DatabaseError> {
        let kept = sqlx::query(
            "INSERT INTO statements (partner, month, statement, is_final, verdict) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT (partner, month) DO UPDATE SET statement = excluded.statement, \
             is_final = excluded.is_final, verdict = excluded.verdict \
             WHERE NOT statements.is_final OR statements.statement = excluded.statement",
        )
        .bind(partner.as_str())
        .bind(month.to_string())
        .bind(&statement.statement)
        .bind(statement.status == StatementStatus::Final)
        .bind(&statement.verdict)
        .execute(&self.pool)
        .await?;
        Ok(kept.rows_affected() == 1)
    }
}

fn partner_from(row: &SqliteRow) -> Result<PartnerRow, DatabaseError> {
    Ok(PartnerRow {
        id: site_id(row, "id")?,
        address: Reach::from(row.try_get::<String, _>("address")?),
        journal_key: row.try_get("journal_key")?,
        compare_code: row.try_get("compare_code")?,
        joined: timestamp(row, "joined")?,
        revoked: certificates::revoked_from(row)?,
    })
}

fn release_from(row: &SqliteRow) -> Result<ReleaseRow, DatabaseError> {
    Ok(ReleaseRow {
        version: version_from(row)?,
        contract: row.try_get("contract")?,
        state: row.try_get("state")?,
        detail: row.try_get("detail")?,
        since: timestamp(row, "since")?,
    })
}

fn version_from(row: &SqliteRow) -> Result<ReleaseVersion, DatabaseError> {
    let number: i64 = row.try_get("version")?;
    let version = u64::try_from(number).ok().and_then(ReleaseVersion::new);
    version.ok_or_else(|| DatabaseError::Damaged(number.to_string(), "release number"))
}

fn site_id(row: &SqliteRow, column: &str) -> Result<SiteId, DatabaseError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| DatabaseError::Damaged(text, "site name"))
}

fn timestamp(row: &SqliteRow, column: &str) -> Result<Timestamp, DatabaseError> {
    let seconds: i64 = row.try_get(column)?;
    Timestamp::from_second(seconds).map_err(|_| DatabaseError::Damaged(seconds.to_string(), "time"))
}

fn to_sql(version: ReleaseVersion) -> i64 {
    i64::try_from(version.get()).unwrap_or(i64::MAX)
}
