//! Disputes of issued statements.

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use tieup_protocol::dispute::{Dispute, Ruling};
use tieup_protocol::ids::SiteId;
use tieup_protocol::strike::KeptStrike;

use super::strikes::change_strike;
use super::{Database, DatabaseError, site_id};

impl Database {
    /// Keeps a dispute, unless the statement is disputed already. Returns whether it is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_dispute(&self, partner: &SiteId, dispute: &Dispute) -> Result<bool, DatabaseError> {
        let added = sqlx::query(
            "INSERT INTO disputes (partner, month, dispute) VALUES ($1, $2, $3) ON CONFLICT (partner, month) DO NOTHING",
        )
        .bind(partner.as_str())
        .bind(dispute.claim.period.key())
        .bind(text_of(dispute))
        .execute(&self.pool)
        .await?;
        Ok(added.rows_affected() == 1)
    }

    /// Keeps main's answer to a dispute that has none, and with it what is known of the strike that the claim asks for: what
    /// was known before, and is from now on. Returns whether both are kept; else neither is, since somebody else was first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_ruling(
        &self,
        partner: &SiteId,
        dispute: &Dispute,
        ruling: &Ruling,
        strike: Option<(Option<&KeptStrike>, &KeptStrike)>,
    ) -> Result<bool, DatabaseError> {
        let answered = Dispute { ruling: Some(ruling.clone()), ..dispute.clone() };
        let mut change = self.begin_writing().await?;
        let mut is_kept = change_dispute(&mut change, partner, dispute, &answered).await?;
        if let (true, Some((before, after))) = (is_kept, strike) {
            is_kept = change_strike(&mut change, partner, before, after).await?;
        }
        if is_kept {
            change.commit().await?;
        } else {
            change.rollback().await?;
        }
        Ok(is_kept)
    }

    /// Keeps that a partner has main's answer to a dispute since `now`, if what is kept is what was known of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_told(&self, partner: &SiteId, dispute: &Dispute, now: Timestamp) -> Result<(), DatabaseError> {
        let told = Dispute { told: Some(now), ..dispute.clone() };
        change_dispute(&mut *self.pool.acquire().await?, partner, dispute, &told).await.map(drop)
    }

    /// Every dispute with its partner, by partner and period.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn disputes(&self) -> Result<Vec<(SiteId, Dispute)>, DatabaseError> {
        let rows =
            sqlx::query("SELECT partner, dispute FROM disputes ORDER BY partner, month").fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((site_id(row, "partner")?, dispute_from(row)?))).collect()
    }

    /// Every dispute of a partner, by period.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn disputes_of(&self, partner: &SiteId) -> Result<Vec<Dispute>, DatabaseError> {
        let of = sqlx::query("SELECT dispute FROM disputes WHERE partner = $1 ORDER BY month");
        let rows = of.bind(partner.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(dispute_from).collect()
    }
}

/// Keeps what is known of a dispute from now on, if what is kept is what was known `before`. Returns whether it is.
async fn change_dispute(
    connection: &mut AnyConnection,
    partner: &SiteId,
    before: &Dispute,
    after: &Dispute,
) -> Result<bool, DatabaseError> {
    let put = sqlx::query("UPDATE disputes SET dispute = $1 WHERE partner = $2 AND month = $3 AND dispute = $4")
        .bind(text_of(after))
        .bind(partner.as_str())
        .bind(after.claim.period.key())
        .bind(text_of(before))
        .execute(connection)
        .await?;
    Ok(put.rows_affected() == 1)
}

fn dispute_from(row: &AnyRow) -> Result<Dispute, DatabaseError> {
    let text: String = row.try_get("dispute")?;
    serde_json::from_str(&text).map_err(|_| DatabaseError::Damaged(text, "dispute"))
}

fn text_of(dispute: &Dispute) -> String {
    serde_json::to_string(dispute).expect("a dispute has text keys and no float, so it always serializes")
}
