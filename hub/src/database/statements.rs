//! Statements: the newest of each period, and those that were issued, which stay as they are.

use sqlx::Row as _;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Period;
use tieup_protocol::wire::{StatementNotice, StatementStatus};

use super::{Database, DatabaseError, storable};

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
    /// Keeps a statement, in place of an earlier draft for the same period. A final one stays as it is but for the
    /// partner's verdict. Returns whether the statement is the one that is kept now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_statement(
        &self,
        partner: &SiteId,
        period: Period,
        statement: &StatementRow,
    ) -> Result<bool, DatabaseError> {
        let kept = sqlx::query(
            "INSERT INTO statements (partner, month, statement, is_final, verdict) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (partner, month) DO UPDATE SET statement = excluded.statement, \
             is_final = excluded.is_final, verdict = excluded.verdict \
             WHERE statements.is_final = 0 OR statements.statement = excluded.statement",
        )
        .bind(partner.as_str())
        .bind(period.key())
        .bind(&statement.statement)
        .bind(i64::from(statement.status == StatementStatus::Final))
        .bind(statement.verdict.as_deref().map(storable))
        .execute(&self.pool)
        .await?;
        Ok(kept.rows_affected() == 1)
    }

    /// Keeps what was issued, unless something was issued for the period before: the first stands. Gives what stands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_issued(
        &self,
        partner: &SiteId,
        notice: &StatementNotice,
    ) -> Result<StatementNotice, DatabaseError> {
        let text = serde_json::to_string(notice).expect("a notice has text keys and no float, so it always serializes");
        sqlx::query(
            "INSERT INTO issued_statements (partner, month, notice) VALUES ($1, $2, $3) \
             ON CONFLICT (partner, month) DO NOTHING",
        )
        .bind(partner.as_str())
        .bind(notice.period.key())
        .bind(text)
        .execute(&self.pool)
        .await?;
        let row = sqlx::query("SELECT notice FROM issued_statements WHERE partner = $1 AND month = $2")
            .bind(partner.as_str())
            .bind(notice.period.key())
            .fetch_one(&self.pool)
            .await?;
        notice_from(&row.try_get::<String, _>("notice")?)
    }

    /// What was issued to a partner, by period.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn issued(&self, partner: &SiteId) -> Result<Vec<StatementNotice>, DatabaseError> {
        let rows = sqlx::query("SELECT notice FROM issued_statements WHERE partner = $1 ORDER BY month")
            .bind(partner.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| notice_from(&row.try_get::<String, _>("notice")?)).collect()
    }
}

fn notice_from(text: &str) -> Result<StatementNotice, DatabaseError> {
    serde_json::from_str(text).map_err(|_| DatabaseError::Damaged(text.to_owned(), "statement"))
}
