//! The lead at a PostgreSQL server: of all processes that share a database one has it, for as long as its connection lives.

use std::io::{Error as IoError, ErrorKind};
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _};
use tokio::time::timeout;

use super::opening::connect;
use super::{Database, DatabaseError, Location};

/// Takes the lead until the connection ends, unless another connection has it. The number is ours, and means nothing.
const TAKE: &str = "SELECT CASE WHEN pg_try_advisory_lock(8386103230513902) THEN 1 ELSE 0 END::BIGINT";

/// Whose the database is.
const BOUND: &str = "SELECT main, authority FROM belongs";

/// A connection that has the lead of a database.
pub(crate) struct ServerLead {
    location: Location,
    connection: AnyConnection,
}

impl ServerLead {
    /// Takes the lead of the database at `location`; none where another process has it.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub(crate) async fn take(location: &Location) -> Result<Option<Self>, DatabaseError> {
        let mut connection = connect(&location.options()?).await?;
        let taken: i64 = sqlx::query_scalar(TAKE).fetch_one(&mut connection).await?;
        Ok((taken == 1).then(|| Self { location: location.clone(), connection }))
    }

    /// Makes sure that the lead is still held; where the connection was lost it is taken again. Returns whether it is held.
    /// The server is waited for no longer than `patience`, and once more where the connection was lost.
    ///
    /// # Errors
    /// When the server cannot be reached or does not answer, so that nobody knows.
    pub(crate) async fn hold(&mut self, patience: Duration) -> Result<bool, DatabaseError> {
        match timeout(patience, self.connection.ping()).await {
            Ok(Ok(())) => return Ok(true),
            Ok(Err(_)) => {}
            // The line may still be there, and with it the lead; taking it again would find it taken by ourselves.
            Err(late) => return Err(sqlx::Error::Io(IoError::new(ErrorKind::TimedOut, late)).into()),
        }
        let again = Self::take(&self.location).await?;
        Ok(again.map(|again| *self = again).is_some())
    }
}

impl Database {
    /// Binds the database to a main site, whose certificate authority has the digest `authority`, unless it is bound
    /// already. Gives the name and the digest that it is bound to.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn bind(&self, main: &str, authority: &str) -> Result<(String, String), DatabaseError> {
        if let Some(bound) = self.bound().await? {
            return Ok(bound);
        }
        sqlx::query(
            "INSERT INTO belongs (only_row, main, authority) VALUES (1, $1, $2) ON CONFLICT (only_row) DO NOTHING",
        )
        .bind(main)
        .bind(authority)
        .execute(&self.pool)
        .await?;
        let bound = sqlx::query_as(BOUND).fetch_one(&self.pool).await?;
        Ok(bound)
    }

    /// The main site that the database is bound to, with the digest of its certificate authority.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn bound(&self) -> Result<Option<(String, String)>, DatabaseError> {
        Ok(sqlx::query_as(BOUND).fetch_optional(&self.pool).await?)
    }
}
