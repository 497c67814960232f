//! Findings that somebody has looked at.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row as _;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;

use super::{Database, DatabaseError};

impl Database {
    /// Keeps what was said of a finding, in place of what was said before.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn put_review(
        &self,
        partner: &SiteId,
        month: Month,
        (finding, reason): (Digest, &str),
        now: Timestamp,
    ) -> Result<(), DatabaseError> {
        sqlx::query(
            "INSERT INTO reviews (partner, finding, month, reason, reviewed) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (partner, finding) DO UPDATE SET reason = excluded.reason, reviewed = excluded.reviewed",
        )
        .bind(partner.as_str())
        .bind(finding.to_string())
        .bind(month.to_string())
        .bind(reason)
        .bind(now.as_second())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What was said of findings in a partner's journals.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn reviews(&self, partner: &SiteId) -> Result<BTreeMap<Digest, String>, DatabaseError> {
        let query = sqlx::query("SELECT finding, reason FROM reviews WHERE partner = $1").bind(partner.as_str());
        let mut reviews = BTreeMap::new();
        for row in &query.fetch_all(&self.pool).await? {
            let text: String = row.try_get("finding")?;
            let finding = text.parse().map_err(|_| DatabaseError::Damaged(text, "digest"))?;
            reviews.insert(finding, row.try_get("reason")?);
        }
        Ok(reviews)
    }
}
