//! Strikes: what is proposed to be left out of account, and what was answered.

use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Period};
use tieup_protocol::strike::KeptStrike;

use super::{Database, DatabaseError, storable};

impl Database {
    /// Keeps what is known of a strike from now on, if what is kept is what was known `before`: of it, or of one in whose
    /// place it comes. Returns whether it is.
    /// With a strike that takes effect, what was counted of its month is forgotten, so that it is counted anew.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn change_strike(
        &self,
        partner: &SiteId,
        before: Option<&KeptStrike>,
        after: &KeptStrike,
    ) -> Result<bool, DatabaseError> {
        let mut change = self.begin_writing().await?;
        let is_changed = change_strike(&mut change, partner, before, after).await?;
        change.commit().await?;
        Ok(is_changed)
    }

    /// Forgets a strike, if what is kept of it is what was known `before`.
    ///
    /// # Errors
    /// When the database fails; nothing is changed then.
    pub async fn drop_strike(&self, partner: &SiteId, before: &KeptStrike) -> Result<(), DatabaseError> {
        sqlx::query("DELETE FROM strikes WHERE partner = $1 AND digest = $2 AND strike = $3")
            .bind(partner.as_str())
            .bind(before.strike.digest().to_string())
            .bind(text_of(before))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Every strike of a partner, in the order in which they were proposed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn strikes_of(&self, partner: &SiteId) -> Result<Vec<KeptStrike>, DatabaseError> {
        let of = sqlx::query("SELECT strike FROM strikes WHERE partner = $1 ORDER BY proposed, digest");
        let rows = of.bind(partner.as_str()).fetch_all(&self.pool).await?;
        rows.iter().map(strike_from).collect()
    }
}

/// The same as a part of a change.
pub(super) async fn change_strike(
    change: &mut Transaction<'static, Any>,
    partner: &SiteId,
    before: Option<&KeptStrike>,
    after: &KeptStrike,
) -> Result<bool, DatabaseError> {
    let (digest, text) = (after.strike.digest().to_string(), text_of(after));
    let query = match before {
        None => sqlx::query(
            "INSERT INTO strikes (partner, digest, proposed, strike) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (partner, digest) DO NOTHING",
        )
        .bind(partner.as_str())
        .bind(digest)
        .bind(after.strike.proposed.as_second())
        .bind(text),
        Some(before) => {
            let update = "UPDATE strikes SET digest = $1, proposed = $2, strike = $3 \
                          WHERE partner = $4 AND digest = $5 AND strike = $6";
            let of = sqlx::query(update).bind(digest).bind(after.strike.proposed.as_second()).bind(text);
            of.bind(partner.as_str()).bind(before.strike.digest().to_string()).bind(text_of(before))
        }
    };
    let is_changed = query.execute(&mut **change).await?.rows_affected() == 1;
    if is_changed && after.takes_effect() {
        forget_counted(change, partner, after.strike.month).await?;
    }
    Ok(is_changed)
}

/// Forgets that days of a month were counted. Those that are being counted at this moment stay.
async fn forget_counted(
    change: &mut Transaction<'static, Any>,
    partner: &SiteId,
    month: Month,
) -> Result<(), DatabaseError> {
    let whole = Period::whole(month);
    sqlx::query(
        "DELETE FROM counting WHERE partner = $1 AND first_day >= $2 AND last_day <= $3 AND counted IS NOT NULL",
    )
    .bind(partner.as_str())
    .bind(whole.first().to_string())
    .bind(whole.last().to_string())
    .execute(&mut **change)
    .await?;
    Ok(())
}

fn text_of(kept: &KeptStrike) -> String {
    let text = serde_json::to_string(kept).expect("a strike has text keys and no float, so it always serializes");
    storable(&text)
}

fn strike_from(row: &AnyRow) -> Result<KeptStrike, DatabaseError> {
    let text: String = row.try_get("strike")?;
    serde_json::from_str(&text).map_err(|_| DatabaseError::Damaged(text, "strike"))
}
