//! Disputes of issued statements.

use sqlx::Row as _;
use tieup_protocol::dispute::{Dispute, Ruling};
use tieup_protocol::ids::SiteId;

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

    /// Keeps main's answer to a dispute.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_ruling(&self, partner: &SiteId, dispute: &Dispute, ruling: &Ruling) -> Result<(), DatabaseError> {
        let answered = Dispute { ruling: Some(ruling.clone()), ..dispute.clone() };
        sqlx::query("UPDATE disputes SET dispute = $1 WHERE partner = $2 AND month = $3")
            .bind(text_of(&answered))
            .bind(partner.as_str())
            .bind(ruling.period.key())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Every dispute with its partner, by partner and period.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn disputes(&self) -> Result<Vec<(SiteId, Dispute)>, DatabaseError> {
        let rows =
            sqlx::query("SELECT partner, dispute FROM disputes ORDER BY partner, month").fetch_all(&self.pool).await?;
        let mut disputes = Vec::new();
        for row in &rows {
            let text: String = row.try_get("dispute")?;
            let dispute = serde_json::from_str(&text).map_err(|_| DatabaseError::Damaged(text, "dispute"))?;
            disputes.push((site_id(row, "partner")?, dispute));
        }
        Ok(disputes)
    }
}

fn text_of(dispute: &Dispute) -> String {
    serde_json::to_string(dispute).expect("a dispute has text keys and no float, so it always serializes")
}
