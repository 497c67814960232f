//! What SQLite and PostgreSQL want said differently. Everything else is the same SQL for both, with `$1` where a value
//! comes, whole numbers of 64 bits, no booleans, and times as numbers.

use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Transaction};

use super::DatabaseError;

/// The tables, made where they are missing.
pub(super) const SCHEMA: &str = include_str!("../schema.sql");

/// What every connection to PostgreSQL asks for. What is committed is on the disk, whatever the server's default; a
/// statement sees all that was committed before it; nobody waits for ever, and who vanished in the middle holds up
/// nobody; a machine that is gone is found out within a minute and a half, and its locks are free; and that a table is
/// there already is nothing to tell.
pub(super) const SESSION: &str = "-c synchronous_commit=on -c default_transaction_isolation=read\\ committed \
     -c lock_timeout=30s -c idle_in_transaction_session_timeout=60s -c tcp_keepalives_idle=30 \
     -c tcp_keepalives_interval=15 -c tcp_keepalives_count=4 -c client_min_messages=warning";

/// Begins a transaction that holds a claim on a row. It takes no turn to write: it is open while something is counted, and
/// writes that row alone, which nobody else does.
pub(super) const CLAIM: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";

/// How long a claim may be held without a word.
pub(super) const CLAIMING: &str = "SET LOCAL idle_in_transaction_session_timeout = '1h'";

/// Takes the turn to write at a PostgreSQL database until the transaction ends. The number is ours, and means nothing.
const TURN: &str = "SELECT 1 FROM pg_advisory_xact_lock(8386103230513901)";

/// Which SQL a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// SQLite's.
    Sqlite,
    /// PostgreSQL's.
    Postgres,
}

impl Dialect {
    /// Begins a transaction that writes. One at a time does so, among all processes: whoever comes second waits, and
    /// then sees all that the first has written. So none has to be tried again, and what was read in it still holds when
    /// it is committed, as long as all that writes several rows writes like this.
    pub(super) async fn begin_writing(self, pool: &AnyPool) -> Result<Transaction<'static, Any>, sqlx::Error> {
        match self {
            Self::Sqlite => pool.begin_with("BEGIN IMMEDIATE").await,
            Self::Postgres => {
                let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
                sqlx::raw_sql(TURN).execute(&mut *transaction).await?;
                Ok(transaction)
            }
        }
    }

    /// Makes what is missing of the tables.
    ///
    /// # Errors
    /// When the database fails, or cannot hold every text.
    pub(super) async fn make_tables(self, connection: &mut AnyConnection) -> Result<(), DatabaseError> {
        match self {
            Self::Sqlite => {
                // Kept in the file; what else we want of SQLite is its default or the driver's: `synchronous=FULL`,
                // and `foreign_keys=ON`.
                sqlx::raw_sql("PRAGMA journal_mode = WAL").execute(&mut *connection).await?;
                sqlx::raw_sql(SCHEMA).execute(connection).await?;
            }
            Self::Postgres => {
                check_encoding(connection).await?;
                // Two hubs that begin at once would both find a table missing.
                let tables = format!("BEGIN; {TURN}; {}; COMMIT", postgres_tables());
                sqlx::raw_sql(AssertSqlSafe(tables)).execute(connection).await?;
            }
        }
        Ok(())
    }
}

/// The tables as PostgreSQL wants them: numbers of 64 bits, and texts in the order of their bytes whatever the locale.
fn postgres_tables() -> String {
    let tables: Vec<&str> = SCHEMA.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let tables = tables.join("\n").replace("INTEGER", "BIGINT").replace("BLOB", "BYTEA");
    tables.replace("TEXT", "TEXT COLLATE \"C\"").replace(" WITHOUT ROWID", "")
}

async fn check_encoding(connection: &mut AnyConnection) -> Result<(), DatabaseError> {
    let encoding: String =
        sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(connection).await?;
    if encoding == "UTF8" { Ok(()) } else { Err(DatabaseError::Encoding(encoding)) }
}

/// A text that came from elsewhere as a database can hold it: PostgreSQL takes none with a NUL in it.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
