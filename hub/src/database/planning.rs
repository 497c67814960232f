//! A turn to plan what is counted: what the table `counting` says is compared with the state folder, and what is not so any
//! more is taken out, while nobody else plans.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row as _, Transaction};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Period};

use super::DatabaseError;
use super::counting::{CountingTable, period_from, size_from, size_to};

/// The periods of a month that have rows.
const PLANNED: &str = "SELECT first_day, last_day, MAX(entries) AS planned, \
                       MAX(CASE WHEN counted IS NULL THEN NULL ELSE entries END) AS noted FROM counting \
                       WHERE folder = $1 AND partner = $2 AND first_day >= $3 AND last_day <= $4 \
                       GROUP BY first_day, last_day";

/// What is planned of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Which.
    pub(crate) period: Period,
    /// How many entries are counted when all of its days are.
    pub(crate) entries: u64,
    /// How many are when those are that were; none where no day was.
    pub(crate) counted: Option<u64>,
}

/// A turn to plan, until it is dropped. Nothing is changed before it is committed.
pub(crate) struct Planning {
    transaction: Transaction<'static, Any>,
    folder: String,
    partner: SiteId,
}

impl CountingTable {
    /// Begins a turn to plan what is counted of a partner's journals. One at a time does so, among all processes; days are
    /// counted and noted meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn begin_planning(&self, partner: &SiteId) -> Result<Planning, DatabaseError> {
        let transaction = self.database.begin_writing().await?;
        Ok(Planning { transaction, folder: self.folder.clone(), partner: partner.clone() })
    }
}

impl Planning {
    /// What is planned of each period of a month.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn planned(&mut self, month: Month) -> Result<Vec<Planned>, DatabaseError> {
        let query = of_period(PLANNED, &self.folder, &self.partner, Period::whole(month));
        let rows = query.fetch_all(&mut *self.transaction).await?;
        rows.iter().map(planned_from).collect()
    }

    /// Forgets all that is planned or counted of a period.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn forget(&mut self, period: Period) -> Result<(), DatabaseError> {
        let query = "DELETE FROM counting WHERE folder = $1 AND partner = $2 AND first_day = $3 AND last_day = $4";
        of_period(query, &self.folder, &self.partner, period).execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Forgets that days of a period were counted, as far as `entries`. Those that are being counted stay, and so do those
    /// that were counted since then.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn forget_counted(&mut self, period: Period, entries: u64) -> Result<(), DatabaseError> {
        let query = "DELETE FROM counting WHERE folder = $1 AND partner = $2 AND first_day = $3 AND last_day = $4 \
                     AND counted IS NOT NULL AND entries <= $5";
        let query = of_period(query, &self.folder, &self.partner, period).bind(size_to(entries));
        query.execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Forgets the days of a period that end beyond `entries`, which the journal does not have.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn forget_beyond(&mut self, period: Period, entries: u64) -> Result<(), DatabaseError> {
        let query = "DELETE FROM counting WHERE folder = $1 AND partner = $2 AND first_day = $3 AND last_day = $4 \
                     AND entries > $5";
        let query = of_period(query, &self.folder, &self.partner, period).bind(size_to(entries));
        query.execute(&mut *self.transaction).await?;
        Ok(())
    }

    /// Keeps what was changed, and ends the turn. Durable on return.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn commit(self) -> Result<(), DatabaseError> {
        Ok(self.transaction.commit().await?)
    }
}

/// A query of a period of a partner in a folder.
fn of_period<'q>(
    query: &'static str,
    folder: &'q str,
    partner: &'q SiteId,
    period: Period,
) -> Query<'q, Any, AnyArguments> {
    let query = sqlx::query(query).bind(folder).bind(partner.as_str());
    query.bind(period.first().to_string()).bind(period.last().to_string())
}

fn planned_from(row: &AnyRow) -> Result<Planned, DatabaseError> {
    Ok(Planned {
        period: period_from(row)?,
        entries: size_from(row.try_get("planned")?)?,
        counted: row.try_get::<Option<i64>, _>("noted")?.map(size_from).transpose()?,
    })
}
