//! Joins, certificates and their revocation in the database.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::SiteId;
use tieup_web::certificate::Serial;

use super::{Database, DatabaseError, PartnerRow, Redeemed, storable, timestamp};

/// A certificate that the authority has issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRow {
    /// Its number.
    pub serial: Serial,
    /// Whose it is.
    pub owner: Owner,
    /// BLAKE3 of the certified public key.
    pub key: Digest,
    /// Until when it holds.
    pub expires: Timestamp,
}

/// Whose a certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Main's own.
    Main,
    /// A partner's.
    Partner(SiteId),
}

/// Since when and why a partner's certificates are revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedRow {
    /// Since when.
    pub since: Timestamp,
    /// Why, in a person's words; empty where nothing was said.
    pub reason: String,
}

/// A partner that joins: its row, its certificate and the token that it joins by.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The partner.
    pub partner: PartnerRow,
    /// Its first certificate.
    pub certificate: CertificateRow,
    /// The fingerprint of the token's secret.
    pub fingerprint: Digest,
}

impl RevokedRow {
    /// The day, as people write it.
    pub fn day(&self) -> String {
        self.since.strftime("%Y-%m-%d").to_string()
    }

    /// The reason in brackets, led by a space; nothing where none was given.
    pub fn because(&self) -> String {
        if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) }
    }
}

impl Owner {
    fn to_sql(&self) -> Option<&str> {
        match self {
            Self::Main => None,
            Self::Partner(partner) => Some(partner.as_str()),
        }
    }
}

impl Database {
    /// When a partner joined for the first time, by whatever keys; none where it has not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_joined(&self, partner: &SiteId) -> Result<Option<Timestamp>, DatabaseError> {
        let row = sqlx::query(
            "SELECT joined FROM (SELECT joined FROM partners WHERE id = $1 \
             UNION ALL SELECT joined FROM earlier_journal_keys WHERE partner = $1 \
             UNION ALL SELECT used AS joined FROM invitations WHERE partner = $1 AND used IS NOT NULL) AS joins \
             ORDER BY joined LIMIT 1",
        )
        .bind(partner.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| timestamp(&row, "joined")).transpose()
    }

    /// Keeps a partner's row in the place of the one before, such as after it moved to another address.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_partner(&self, partner: &PartnerRow) -> Result<(), DatabaseError> {
        let mut transaction = self.begin_writing().await?;
        put_partner(&mut transaction, partner).await?;
        Ok(transaction.commit().await?)
    }

    /// Keeps a further certificate for the key that a partner has joined by, and its row where it is told again; not where
    /// another key has taken its place meanwhile, or the partner was revoked. Returns whether it is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn certify_again(
        &self,
        certificate: &CertificateRow,
        partner: Option<&PartnerRow>,
    ) -> Result<bool, DatabaseError> {
        let mut transaction = self.begin_writing().await?;
        let holds = sqlx::query(
            "SELECT 1 FROM certificates WHERE partner = $1 AND key = $2 AND revoked IS NULL \
             AND NOT EXISTS (SELECT 1 FROM revoked_partners WHERE partner = $1) LIMIT 1",
        )
        .bind(certificate.owner.to_sql())
        .bind(certificate.key.to_string())
        .fetch_optional(&mut *transaction)
        .await?;
        if holds.is_none() {
            return Ok(false);
        }
        put_certificate(&mut transaction, certificate).await?;
        if let Some(partner) = partner {
            put_partner(&mut transaction, partner).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Uses up the invitation, and keeps the partner and its certificate; one that joins again takes its own place and
    /// is not revoked any more. Certificates of its other keys are revoked then, by a new list, which `sign` makes of its
    /// number and of the certificates that are revoked and have not expired. All of it or nothing. Of two calls with one
    /// secret at the same time, one is accepted.
    ///
    /// # Errors
    /// When the database fails, or `sign` does.
    pub async fn admit<E: From<DatabaseError>>(
        &self,
        admission: &Admission,
        now: Timestamp,
        sign: impl FnOnce(u64, &[(Serial, Timestamp)]) -> Result<String, E>,
    ) -> Result<Redeemed, E> {
        let partner = &admission.partner;
        let mut transaction = self.begin_writing().await?;
        if !redeem(&mut transaction, &partner.id, admission.fingerprint, now).await? {
            transaction.rollback().await.map_err(DatabaseError::from)?;
            return Ok(self.look_up_invitation(&partner.id, admission.fingerprint, now).await?);
        }
        put_partner(&mut transaction, partner).await?;
        put_certificate(&mut transaction, &admission.certificate).await?;
        if revoke_other_keys(&mut transaction, &partner.id, admission.certificate.key, now).await? {
            list_anew(&mut transaction, now, sign).await?;
        }
        transaction.commit().await.map_err(DatabaseError::from)?;
        Ok(Redeemed::Accepted)
    }

    /// Keeps a certificate that was issued to main itself, and forgets those of its own that have expired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_certificate(&self, certificate: &CertificateRow, now: Timestamp) -> Result<(), DatabaseError> {
        let mut transaction = self.begin_writing().await?;
        put_certificate(&mut transaction, certificate).await?;
        sqlx::query("DELETE FROM certificates WHERE partner IS NULL AND expires < $1")
            .bind(now.as_second())
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The certificate of a partner that expires last, of those that are not revoked if there are any.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_certificate(&self, partner: &SiteId) -> Result<Option<CertificateRow>, DatabaseError> {
        let row = sqlx::query(
            "SELECT * FROM certificates WHERE partner = $1 \
             ORDER BY CASE WHEN revoked IS NULL THEN 0 ELSE 1 END, expires DESC LIMIT 1",
        )
        .bind(partner.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(|row| certificate_from(row, partner)).transpose()
    }

    /// Whether a certificate for this key has been revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_key_revoked(&self, key: Digest) -> Result<bool, DatabaseError> {
        let row = sqlx::query("SELECT 1 FROM certificates WHERE key = $1 AND revoked IS NOT NULL LIMIT 1")
            .bind(key.to_string())
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Revokes every certificate of `owner`; a partner's open invitations become void. The new list, which `sign` makes
    /// of its number and of the certificates that are revoked and have not expired, is kept with it. All or nothing.
    ///
    /// # Errors
    /// When the database fails, or `sign` does.
    pub async fn revoke<E: From<DatabaseError>>(
        &self,
        owner: &Owner,
        row: &RevokedRow,
        sign: impl FnOnce(u64, &[(Serial, Timestamp)]) -> Result<String, E>,
    ) -> Result<(), E> {
        let mut transaction = self.begin_writing().await?;
        mark_revoked(&mut transaction, owner, row).await?;
        list_anew(&mut transaction, row.since, sign).await?;
        Ok(transaction.commit().await.map_err(DatabaseError::from)?)
    }

    /// Keeps the list after `before`, which `sign` makes of its number and of the certificates that are revoked and have
    /// not expired. Nothing is changed where `before` is no longer the newest: somebody else has done it.
    ///
    /// # Errors
    /// When the database fails, or `sign` does.
    pub async fn renew_revocation_list<E: From<DatabaseError>>(
        &self,
        before: &str,
        now: Timestamp,
        sign: impl FnOnce(u64, &[(Serial, Timestamp)]) -> Result<String, E>,
    ) -> Result<(), E> {
        let mut transaction = self.begin_writing().await?;
        if newest_list(&mut transaction).await?.as_deref() != Some(before) {
            return Ok(());
        }
        list_anew(&mut transaction, now, sign).await?;
        Ok(transaction.commit().await.map_err(DatabaseError::from)?)
    }

    /// The newest list of revoked certificates, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revocation_list(&self) -> Result<Option<String>, DatabaseError> {
        newest_list(&mut *self.pool.acquire().await?).await
    }

    /// The number of the list of revoked certificates that a partner was told last; 0 where it was told none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn told_revocations(&self, partner: &SiteId) -> Result<u64, DatabaseError> {
        let row = sqlx::query("SELECT number FROM told_revocations WHERE partner = $1")
            .bind(partner.as_str())
            .fetch_optional(&self.pool)
            .await?;
        let number: Option<i64> = row.map(|row| row.try_get("number")).transpose()?;
        Ok(number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0))
    }

    /// Keeps which list of revoked certificates a partner was told.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_told_revocations(&self, partner: &SiteId, number: u64) -> Result<(), DatabaseError> {
        sqlx::query(
            "INSERT INTO told_revocations (partner, number) VALUES ($1, $2) \
             ON CONFLICT (partner) DO UPDATE SET number = excluded.number",
        )
        .bind(partner.as_str())
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// What a row of a partner says of its revocation.
pub(super) fn revoked_from(row: &AnyRow) -> Result<Option<RevokedRow>, DatabaseError> {
    let since: Option<i64> = row.try_get("revoked")?;
    match since {
        None => Ok(None),
        Some(_) => Ok(Some(RevokedRow { since: timestamp(row, "revoked")?, reason: row.try_get("reason")? })),
    }
}

async fn redeem(
    connection: &mut AnyConnection,
    partner: &SiteId,
    fingerprint: Digest,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    let taken = sqlx::query(
        "UPDATE invitations SET used = $1 WHERE fingerprint = $2 AND partner = $3 AND used IS NULL AND expires > $1",
    )
    .bind(now.as_second())
    .bind(fingerprint.to_string())
    .bind(partner.as_str())
    .execute(connection)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// The key that is replaced is kept: what was fetched under it is verified by it.
async fn put_partner(connection: &mut AnyConnection, partner: &PartnerRow) -> Result<(), DatabaseError> {
    sqlx::query(
        "INSERT INTO earlier_journal_keys (partner, key, joined) \
         SELECT id, journal_key, joined FROM partners WHERE id = $1 AND journal_key <> $2 \
         ON CONFLICT (partner, key) DO NOTHING",
    )
    .bind(partner.id.as_str())
    .bind(&partner.journal_key)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO partners (id, address, journal_key, compare_code, joined) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (id) DO UPDATE SET address = excluded.address, journal_key = excluded.journal_key, \
         compare_code = excluded.compare_code, joined = excluded.joined",
    )
    .bind(partner.id.as_str())
    .bind(storable(&partner.address.to_string()))
    .bind(&partner.journal_key)
    .bind(&partner.compare_code)
    .bind(partner.joined.as_second())
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_certificate(connection: &mut AnyConnection, certificate: &CertificateRow) -> Result<(), DatabaseError> {
    sqlx::query("INSERT INTO certificates (serial, partner, key, expires) VALUES ($1, $2, $3, $4)")
        .bind(certificate.serial.to_string())
        .bind(certificate.owner.to_sql())
        .bind(certificate.key.to_string())
        .bind(certificate.expires.as_second())
        .execute(connection)
        .await?;
    Ok(())
}

async fn mark_revoked(connection: &mut AnyConnection, owner: &Owner, row: &RevokedRow) -> Result<(), DatabaseError> {
    sqlx::query("UPDATE certificates SET revoked = $1 WHERE partner IS NOT DISTINCT FROM $2 AND revoked IS NULL")
        .bind(row.since.as_second())
        .bind(owner.to_sql())
        .execute(&mut *connection)
        .await?;
    let Owner::Partner(partner) = owner else { return Ok(()) };
    sqlx::query("DELETE FROM invitations WHERE partner = $1 AND used IS NULL")
        .bind(partner.as_str())
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO revoked_partners (partner, revoked, reason) VALUES ($1, $2, $3) \
         ON CONFLICT (partner) DO UPDATE SET reason = excluded.reason",
    )
    .bind(partner.as_str())
    .bind(row.since.as_second())
    .bind(storable(&row.reason))
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends what was revoked of a partner that has joined by `key`, and revokes its certificates for other keys. Returns whether
/// there were any.
async fn revoke_other_keys(
    connection: &mut AnyConnection,
    partner: &SiteId,
    key: Digest,
    now: Timestamp,
) -> Result<bool, DatabaseError> {
    sqlx::query("DELETE FROM revoked_partners WHERE partner = $1")
        .bind(partner.as_str())
        .execute(&mut *connection)
        .await?;
    let others =
        sqlx::query("UPDATE certificates SET revoked = $1 WHERE partner = $2 AND key <> $3 AND revoked IS NULL")
            .bind(now.as_second())
            .bind(partner.as_str())
            .bind(key.to_string())
            .execute(connection)
            .await?;
    Ok(others.rows_affected() > 0)
}

/// Replaces the list of revoked certificates by the next one, which `sign` makes.
async fn list_anew<E: From<DatabaseError>>(
    connection: &mut AnyConnection,
    now: Timestamp,
    sign: impl FnOnce(u64, &[(Serial, Timestamp)]) -> Result<String, E>,
) -> Result<(), E> {
    let (number, revoked) = next_list(connection, now).await?;
    let pem = sign(number, &revoked)?;
    Ok(replace_list(connection, number, &pem).await?)
}

async fn newest_list(connection: &mut AnyConnection) -> Result<Option<String>, DatabaseError> {
    let row =
        sqlx::query("SELECT pem FROM revocation_lists ORDER BY number DESC LIMIT 1").fetch_optional(connection).await?;
    Ok(row.map(|row| row.try_get("pem")).transpose()?)
}

/// The number of the next list, and what is to be on it.
async fn next_list(
    connection: &mut AnyConnection,
    now: Timestamp,
) -> Result<(u64, Vec<(Serial, Timestamp)>), DatabaseError> {
    let row = sqlx::query("SELECT COALESCE(MAX(number), 0) AS number FROM revocation_lists")
        .fetch_one(&mut *connection)
        .await?;
    let before: i64 = row.try_get("number")?;
    let rows = sqlx::query("SELECT serial, revoked FROM certificates WHERE revoked IS NOT NULL AND expires >= $1")
        .bind(now.as_second())
        .fetch_all(connection)
        .await?;
    let revoked = rows.iter().map(|row| Ok((serial_of(row)?, timestamp(row, "revoked")?)));
    let number = u64::try_from(before).map_err(|_| DatabaseError::Damaged(before.to_string(), "list number"))?;
    Ok((number + 1, revoked.collect::<Result<_, DatabaseError>>()?))
}

async fn replace_list(connection: &mut AnyConnection, number: u64, pem: &str) -> Result<(), DatabaseError> {
    sqlx::query("DELETE FROM revocation_lists").execute(&mut *connection).await?;
    sqlx::query("INSERT INTO revocation_lists (number, pem) VALUES ($1, $2)")
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .bind(pem)
        .execute(connection)
        .await?;
    Ok(())
}

fn certificate_from(row: &AnyRow, partner: &SiteId) -> Result<CertificateRow, DatabaseError> {
    let key: String = row.try_get("key")?;
    Ok(CertificateRow {
        serial: serial_of(row)?,
        owner: Owner::Partner(partner.clone()),
        key: key.parse().map_err(|_| DatabaseError::Damaged(key, "digest"))?,
        expires: timestamp(row, "expires")?,
    })
}

fn serial_of(row: &AnyRow) -> Result<Serial, DatabaseError> {
    let text: String = row.try_get("serial")?;
    Serial::from_text(&text).ok_or(DatabaseError::Damaged(text, "certificate's number"))
}

#[cfg(test)]
mod tests;
