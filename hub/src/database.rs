//! The hub's database, and the only SQL. SQLite in the state folder.

mod beacons;
mod certificates;
mod disputes;
mod heartbeats;
mod metadata;
mod queue;
mod releases;
mod statements;

use std::path::Path;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{Row, SqlitePool};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::joining::Reach;

pub use self::beacons::BeaconCounts;
pub use self::certificates::{Admission, CertificateRow, Owner, RevokedRow};
pub use self::heartbeats::HeartbeatKept;
pub use self::metadata::MetadataRow;
pub use self::releases::ReleaseRow;
pub use self::statements::StatementRow;

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
        let database = Self { pool };
        database.part_manifests().await?;
        Ok(database)
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
