//! Statements: the newest of each period, and those that were issued, which stay as they are.

use sqlx::Row as _;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Period;
use tieup_protocol::wire::{StatementNotice, StatementStatus};

use super::record::end_of;
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

    /// Keeps what was issued, unless something was issued for the period before: the first stands. Gives what stands; none
    /// where the partner's record has more entries than the `recorded` ones that were read for it, and nothing is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_issued(
        &self,
        partner: &SiteId,
        notice: &StatementNotice,
        recorded: u64,
    ) -> Result<Option<StatementNotice>, DatabaseError> {
        let text = serde_json::to_string(notice).expect("a notice has text keys and no float, so it always serializes");
        let mut change = self.begin_writing().await?;
        let before = sqlx::query("SELECT notice FROM issued_statements WHERE partner = $1 AND month = $2")
            .bind(partner.as_str())
            .bind(notice.period.key())
            .fetch_optional(&mut *change)
            .await?;
        if let Some(row) = before {
            return notice_from(&row.try_get::<String, _>("notice")?).map(Some);
        }
        if end_of(&mut change, partner).await? != recorded {
            return Ok(None);
        }
        sqlx::query("INSERT INTO issued_statements (partner, month, notice) VALUES ($1, $2, $3)")
            .bind(partner.as_str())
            .bind(notice.period.key())
            .bind(text)
            .execute(&mut *change)
            .await?;
        change.commit().await?;
        Ok(Some(notice.clone()))
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tieup_protocol::record::{Entry, Payment};

    use super::*;
    use crate::database::places::places;
    use crate::database::{Adding, Unless};

    #[tokio::test]
    async fn what_was_noted_after_the_record_was_read_refuses_the_issue() {
        let otaru: SiteId = "otaru".parse().unwrap();
        let notice: StatementNotice =
            serde_json::from_str(r#"{"month":"2026-11","size":3,"record":0,"status":"final","statement":"a"}"#)
                .unwrap();
        for place in places() {
            let database = place.open().await;
            sqlx::query("INSERT INTO partners VALUES ('otaru', '', '', '', 0)").execute(&database.pool).await.unwrap();
            let (day, amount) = (jiff::civil::date(2026, 11, 1), "400".parse().unwrap());
            let payment = Entry::Payment(Payment { day, reference: "BANK-7".parse().unwrap(), amount });
            let entries = [(otaru.clone(), payment)];
            let adding = database.begin_adding(&entries, Unless::Differing, Timestamp::UNIX_EPOCH).await.unwrap();
            let Adding::Ready(addition) = adding else { panic!("{adding:?}") };
            addition.keep().await.unwrap();
            assert_eq!(database.put_issued(&otaru, &notice, 0).await.unwrap(), None);
            assert_eq!(database.issued(&otaru).await.unwrap(), []);
            assert_eq!(database.put_issued(&otaru, &notice, 1).await.unwrap().as_ref(), Some(&notice));
            let other = StatementNotice { statement: "b".to_owned(), ..notice.clone() };
            assert_eq!(database.put_issued(&otaru, &other, 0).await.unwrap(), Some(notice.clone()), "the first stands");
        }
    }
}
