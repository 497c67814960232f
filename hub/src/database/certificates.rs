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
    /// Keeps a partner's row in the place of the one before, such as after it moved to another address.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_partner(&self, partner: &PartnerRow) -> Result<(), DatabaseError> {
        let mut transaction = self.begin_writing().await?;
        put_partner(&mut transaction, partner).await?;
        Ok(transaction.commit().await?)
    }

    /// Uses up the invitation, and keeps the partner and its certificate; one that joins again takes its own place and
    /// is not revoked any more. All of it or nothing. Of two calls with one secret at the same time, one is accepted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn admit(&self, admission: &Admission, now: Timestamp) -> Result<Redeemed, DatabaseError> {
        let partner = &admission.partner;
        let mut transaction = self.begin_writing().await?;
        if !redeem(&mut transaction, &partner.id, admission.fingerprint, now).await? {
            transaction.rollback().await?;
            return self.look_up_invitation(&partner.id, admission.fingerprint, now).await;
        }
        put_partner(&mut transaction, partner).await?;
        put_certificate(&mut transaction, &admission.certificate).await?;
        sqlx::query("DELETE FROM revoked_partners WHERE partner = $1")
            .bind(partner.id.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Redeemed::Accepted)
    }

    /// Keeps a certificate that was issued, and forgets main's own that have expired.
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

    /// The certificate of a partner that expires last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_certificate(&self, partner: &SiteId) -> Result<Option<CertificateRow>, DatabaseError> {
        let row = sqlx::query("SELECT * FROM certificates WHERE partner = $1 ORDER BY expires DESC LIMIT 1")
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
        let (number, revoked) = next_list(&mut transaction, row.since).await?;
        let pem = sign(number, &revoked)?;
        replace_list(&mut transaction, number, &pem).await?;
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
        let (number, revoked) = next_list(&mut transaction, now).await?;
        let pem = sign(number, &revoked)?;
        replace_list(&mut transaction, number, &pem).await?;
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
mod tests {
    use super::*;
    use crate::database::places::{self, places};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn certificate(partner: &str, serial: &[u8], expires: i64) -> CertificateRow {
        let owner = Owner::Partner(partner.parse().unwrap());
        CertificateRow { serial: Serial::from_bytes(serial), owner, key: Digest::of(b"key"), expires: at(expires) }
    }

    fn admission(partner: &str, secret: &[u8]) -> Admission {
        let (row, certificate) = (places::partner(partner), certificate(partner, secret, 1000));
        Admission { partner: row, certificate, fingerprint: Digest::of(secret) }
    }

    async fn revoke(database: &Database, owner: Owner, now: i64) -> (u64, Vec<Serial>) {
        let mut told = (0, Vec::new());
        let row = RevokedRow { since: at(now), reason: "stolen".to_owned() };
        let sign = |number, revoked: &[(Serial, Timestamp)]| {
            told = (number, revoked.iter().map(|(serial, _)| serial.clone()).collect());
            Ok::<_, DatabaseError>(format!("list {number}"))
        };
        database.revoke(&owner, &row, sign).await.unwrap();
        told
    }

    #[tokio::test]
    async fn an_invitation_is_good_once_and_for_a_time() {
        for place in places() {
            let database = place.open().await;
            let partner: SiteId = "sapporo".parse().unwrap();
            for secret in [b"first", b"later"] {
                database.add_invitation(&partner, Digest::of(secret), at(100)).await.unwrap();
            }
            let admit =
                async |partner, secret, now| database.admit(&admission(partner, secret), at(now)).await.unwrap();
            assert_eq!(admit("otaru", b"first", 50).await, Redeemed::Unknown);
            assert_eq!(admit("sapporo", b"guess", 50).await, Redeemed::Unknown);
            assert_eq!(database.partners().await.unwrap(), []);
            assert_eq!(admit("sapporo", b"first", 50).await, Redeemed::Accepted);
            assert_eq!(admit("sapporo", b"first", 50).await, Redeemed::Used);
            assert_eq!(admit("sapporo", b"later", 100).await, Redeemed::Expired);
            assert_eq!(database.partner(&partner).await.unwrap(), Some(admission("sapporo", b"first").partner));
        }
    }

    #[tokio::test]
    async fn the_key_that_a_join_replaces_is_kept() {
        for place in places() {
            let database = place.open().await;
            let partner: SiteId = "sapporo".parse().unwrap();
            let keys = async |key: &str, joined| {
                let mut row = admission("sapporo", b"any").partner;
                (row.journal_key, row.joined) = (key.to_owned(), at(joined));
                database.put_partner(&row).await.unwrap();
                let row = database.partner(&partner).await.unwrap().unwrap();
                assert_eq!(database.partners().await.unwrap(), std::slice::from_ref(&row));
                (row.journal_key, row.earlier_keys)
            };
            let told =
                |now: &str, before: &[&str]| (now.to_owned(), before.iter().map(|&key| key.to_owned()).collect());
            assert_eq!(keys("a", 1).await, told("a", &[]));
            assert_eq!(keys("a", 2).await, told("a", &[]));
            assert_eq!(keys("b", 3).await, told("b", &["a"]));
            assert_eq!(keys("c", 4).await, told("c", &["b", "a"]));
            assert_eq!(keys("a", 5).await, told("a", &["c", "b"]), "a folder was brought back");
        }
    }

    #[tokio::test]
    async fn a_join_that_cannot_be_kept_leaves_the_token_good() {
        for place in places() {
            let database = place.open().await;
            let partner: SiteId = "sapporo".parse().unwrap();
            database.add_invitation(&partner, Digest::of(b"first"), at(100)).await.unwrap();
            // The certificate's number is taken: the last write of a join fails.
            database.add_certificate(&certificate("otaru", b"first", 1000), at(1)).await.unwrap();
            assert!(database.admit(&admission("sapporo", b"first"), at(50)).await.is_err());
            assert_eq!(database.partners().await.unwrap(), []);
            let found = database.look_up_invitation(&partner, Digest::of(b"first"), at(50)).await.unwrap();
            assert_eq!(found, Redeemed::Accepted);
        }
    }

    #[tokio::test]
    async fn lists_grow_in_number_and_leave_out_what_has_expired() {
        for place in places() {
            let database = place.open().await;
            let partner: SiteId = "sapporo".parse().unwrap();
            for secret in [b"first", b"later"] {
                database.add_invitation(&partner, Digest::of(secret), at(100)).await.unwrap();
            }
            database.admit(&admission("sapporo", b"first"), at(50)).await.unwrap();
            let newer = certificate("sapporo", &[9], 2000);
            database.add_certificate(&newer, at(60)).await.unwrap();
            assert_eq!(database.newest_certificate(&partner).await.unwrap(), Some(newer.clone()));
            assert_eq!(database.revocation_list().await.unwrap(), None);
            let both = vec![newer.serial.clone(), Serial::from_bytes(b"first")];
            let (number, mut revoked) = revoke(&database, Owner::Partner(partner.clone()), 90).await;
            revoked.sort();
            assert_eq!((number, revoked), (1, both));
            let row = database.partner(&partner).await.unwrap().unwrap();
            assert_eq!(row.revoked, Some(RevokedRow { since: at(90), reason: "stolen".to_owned() }));
            assert!(database.is_key_revoked(Digest::of(b"key")).await.unwrap());
            let void = database.admit(&admission("sapporo", b"later"), at(91)).await.unwrap();
            assert_eq!(void, Redeemed::Unknown, "an invitation from before the revocation was good");
            assert_eq!(revoke(&database, Owner::Main, 1500).await, (2, vec![newer.serial]));
            assert_eq!(database.revocation_list().await.unwrap().as_deref(), Some("list 2"));
            let renew = async |before: &str| {
                let sign = |number, _: &[_]| Ok::<_, DatabaseError>(format!("list {number}"));
                database.renew_revocation_list(before, at(1600), sign).await.unwrap();
                database.revocation_list().await.unwrap()
            };
            assert_eq!(renew("list 2").await.as_deref(), Some("list 3"));
            assert_eq!(renew("list 2").await.as_deref(), Some("list 3"), "somebody else had done it");
        }
    }
}
