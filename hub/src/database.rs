//! The hub's database, and the only SQL. SQLite in the state folder, or PostgreSQL by URL.

mod beacons;
mod certificates;
mod counting;
mod dialect;
mod disputes;
mod heartbeats;
mod lead;
mod location;
mod metadata;
mod moving;
mod opening;
#[cfg(test)]
pub(crate) mod places;
mod planning;
mod queue;
mod record;
mod releases;
mod reviews;
mod statements;
mod strikes;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, Row, Transaction};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::joining::Reach;

pub use self::beacons::BeaconCounts;
pub use self::certificates::{Admission, CertificateRow, Owner, RevokedRow};
pub use self::counting::CountingDay;
pub(crate) use self::counting::{ClaimError, Counting, CountingTable};
use self::dialect::{Dialect, storable};
pub use self::heartbeats::HeartbeatKept;
pub(crate) use self::lead::ServerLead;
pub use self::location::{InvalidUrl, Location, ServerUrl};
pub use self::metadata::MetadataRow;
pub use self::moving::{MoveError, Moved};
pub use self::opening::Refusal;
pub(crate) use self::planning::Planned;
pub(crate) use self::record::{Adding, Late, Unless};
pub use self::record::{Existing, Tally};
pub use self::releases::ReleaseRow;
pub use self::statements::StatementRow;

/// The partners with what is said of those that are revoked.
const ALL_PARTNERS: &str = "SELECT * FROM partners LEFT JOIN revoked_partners ON partner = id ORDER BY id";

/// The same of one partner.
const ONE_PARTNER: &str = "SELECT * FROM partners LEFT JOIN revoked_partners ON partner = id WHERE id = $1";

/// The keys that partners signed with before, newest first.
const EARLIER_KEYS: &str = "SELECT partner, key FROM earlier_journal_keys ORDER BY partner, joined DESC, key";

/// The same of one partner.
const EARLIER_KEYS_OF_ONE: &str =
    "SELECT partner, key FROM earlier_journal_keys WHERE partner = $1 ORDER BY joined DESC, key";

/// The hub's database.
#[derive(Clone, Debug)]
pub struct Database {
    pool: AnyPool,
    dialect: Dialect,
}

/// Why the database could not answer.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The database itself failed.
    #[error("the hub's database failed")]
    Sql(#[from] sqlx::Error),
    /// The server did not let us in.
    #[error("{location} {refusal}")]
    Refused {
        /// Which.
        location: Location,
        /// What it means, and what to do.
        refusal: Refusal,
        /// What the driver or the server says.
        #[source]
        source: sqlx::Error,
    },
    /// The database at a server cannot hold every text.
    #[error("the hub's database has the encoding {0}, and must have UTF8: make one with `createdb --encoding UTF8`")]
    Encoding(String),
    /// Another process was first.
    #[error("release {0} was numbered by another process at the same moment: publish again")]
    NumberTaken(ReleaseVersion),
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
    /// The keys that it signed its journal with before it joined again with another, newest first.
    pub earlier_keys: Vec<String>,
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
    /// Begins a transaction of several writes. One at a time does so, among all processes.
    async fn begin_writing(&self) -> Result<Transaction<'static, Any>, DatabaseError> {
        Ok(self.dialect.begin_writing(&self.pool).await?)
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
        sqlx::query("INSERT INTO invitations (fingerprint, partner, expires) VALUES ($1, $2, $3)")
            .bind(fingerprint.to_string())
            .bind(partner.as_str())
            .bind(expires.as_second())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Who holds an invitation that is still good, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invited(&self, now: Timestamp) -> Result<Vec<SiteId>, DatabaseError> {
        let sql = "SELECT DISTINCT partner FROM invitations WHERE used IS NULL AND expires > $1 ORDER BY partner";
        let rows = sqlx::query(sql).bind(now.as_second()).fetch_all(&self.pool).await?;
        rows.iter().map(|row| site_id(row, "partner")).collect()
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
        let row = sqlx::query("SELECT used, expires FROM invitations WHERE fingerprint = $1 AND partner = $2")
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
        let mut partners: Vec<PartnerRow> = rows.iter().map(partner_from).collect::<Result<_, _>>()?;
        let keys = sqlx::query(EARLIER_KEYS).fetch_all(&self.pool).await?;
        for (partner, key) in keys.iter().map(earlier_key_from).collect::<Result<Vec<_>, _>>()? {
            partners.iter_mut().filter(|row| row.id == partner).for_each(|row| row.signed_before_with(&key));
        }
        Ok(partners)
    }

    /// One partner.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn partner(&self, id: &SiteId) -> Result<Option<PartnerRow>, DatabaseError> {
        let row = sqlx::query(ONE_PARTNER).bind(id.as_str()).fetch_optional(&self.pool).await?;
        let Some(mut partner) = row.as_ref().map(partner_from).transpose()? else { return Ok(None) };
        for row in &sqlx::query(EARLIER_KEYS_OF_ONE).bind(id.as_str()).fetch_all(&self.pool).await? {
            partner.signed_before_with(&earlier_key_from(row)?.1);
        }
        Ok(Some(partner))
    }
}

impl PartnerRow {
    /// Takes in an earlier key, unless it is in use again, such as after a folder was brought back.
    fn signed_before_with(&mut self, key: &str) {
        if key != self.journal_key {
            self.earlier_keys.push(key.to_owned());
        }
    }
}

fn earlier_key_from(row: &AnyRow) -> Result<(SiteId, String), DatabaseError> {
    Ok((site_id(row, "partner")?, row.try_get("key")?))
}

fn partner_from(row: &AnyRow) -> Result<PartnerRow, DatabaseError> {
    Ok(PartnerRow {
        id: site_id(row, "id")?,
        address: Reach::from(row.try_get::<String, _>("address")?),
        journal_key: row.try_get("journal_key")?,
        earlier_keys: Vec::new(),
        compare_code: row.try_get("compare_code")?,
        joined: timestamp(row, "joined")?,
        revoked: certificates::revoked_from(row)?,
    })
}

fn version_from(row: &AnyRow) -> Result<ReleaseVersion, DatabaseError> {
    let number: i64 = row.try_get("version")?;
    let version = u64::try_from(number).ok().and_then(ReleaseVersion::new);
    version.ok_or_else(|| DatabaseError::Damaged(number.to_string(), "release number"))
}

fn site_id(row: &AnyRow, column: &str) -> Result<SiteId, DatabaseError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| DatabaseError::Damaged(text, "site name"))
}

fn timestamp(row: &AnyRow, column: &str) -> Result<Timestamp, DatabaseError> {
    let seconds: i64 = row.try_get(column)?;
    Timestamp::from_second(seconds).map_err(|_| DatabaseError::Damaged(seconds.to_string(), "time"))
}

fn to_sql(version: ReleaseVersion) -> i64 {
    i64::try_from(version.get()).unwrap_or(i64::MAX)
}
