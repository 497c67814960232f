//! Strikes: what is proposed to be left out of account, and what was answered.

use sqlx::Row as _;
use tieup_protocol::ids::SiteId;
use tieup_protocol::strike::KeptStrike;

use super::{Database, DatabaseError, site_id, storable};

impl Database {
    /// Keeps a strike, in place of what was known of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_strike(&self, partner: &SiteId, kept: &KeptStrike) -> Result<(), DatabaseError> {
        let text = serde_json::to_string(kept).expect("a strike has text keys and no float, so it always serializes");
        sqlx::query(
            "INSERT INTO strikes (partner, digest, proposed, strike) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (partner, digest) DO UPDATE SET strike = excluded.strike",
        )
        .bind(partner.as_str())
        .bind(kept.strike.digest().to_string())
        .bind(kept.strike.proposed.as_second())
        .bind(storable(&text))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Every strike with its partner, by partner and in the order in which they were proposed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn strikes(&self) -> Result<Vec<(SiteId, KeptStrike)>, DatabaseError> {
        let all = "SELECT partner, strike FROM strikes ORDER BY partner, proposed, digest";
        let rows = sqlx::query(all).fetch_all(&self.pool).await?;
        let mut strikes = Vec::new();
        for row in &rows {
            let text: String = row.try_get("strike")?;
            let strike = serde_json::from_str(&text).map_err(|_| DatabaseError::Damaged(text, "strike"))?;
            strikes.push((site_id(row, "partner")?, strike));
        }
        Ok(strikes)
    }
}
