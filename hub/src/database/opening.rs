//! How the database is opened, and what is told where a server does not let us in.

use std::fmt;
use std::io::{Error as IoError, ErrorKind};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _};
use tokio::time::timeout;

use super::{Database, DatabaseError, Location};

/// How long a server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(15);

/// The same where only a look is taken.
const LOOK: Duration = Duration::from_secs(3);

/// The most connections of one process.
const CONNECTIONS: u32 = 4;

/// Why a server does not let us in, as far as it can be told apart, with what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody answers.
    Unreachable,
    /// It does not know the user, or the password is wrong.
    User,
    /// It has no such database.
    Name,
    /// The user may not make tables.
    Rights,
    /// TLS was not agreed on.
    Tls,
    /// It has as many connections as it takes.
    Full,
    /// Something else.
    Other,
}

impl Refusal {
    fn of(error: &sqlx::Error) -> Self {
        match error {
            // What is wrong with a certificate shows while bytes are read.
            sqlx::Error::Io(broken) if broken.kind() == ErrorKind::InvalidData => Self::Tls,
            sqlx::Error::Io(_) => Self::Unreachable,
            sqlx::Error::Tls(_) => Self::Tls,
            sqlx::Error::Database(refused) => match refused.code().as_deref() {
                Some("28000" | "28P01") => Self::User,
                Some("3D000") => Self::Name,
                Some("42501") => Self::Rights,
                Some("53300") => Self::Full,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// The rest of a sentence that begins with which server is meant.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => {
                "does not answer: see whether it runs, and whether host and port in `database` (or TIEUP_DATABASE) are right"
            }
            Self::User => {
                "does not let this user in: see user and password in `database` (or TIEUP_DATABASE, PGPASSWORD, ~/.pgpass) \
                 and the server's pg_hba.conf"
            }
            Self::Name => "has no such database: make it with `createdb`",
            Self::Rights => "does not let this user make tables: the database should be the user's own (`createdb --owner`)",
            Self::Tls => {
                "was not spoken to by TLS: name the certificate of its authority with `sslrootcert=`, or say with `sslmode=` \
                 what is enough"
            }
            Self::Full => "takes no more connections: raise its `max_connections`; each hub needs 5, and a command 4",
            Self::Other => "cannot be used",
        })
    }
}

impl Database {
    /// Opens the database at `location`; tables are made where they are missing, and SQLite's file too. Commits are
    /// durable on return.
    ///
    /// # Errors
    /// When the file cannot be opened, or the server cannot be reached or does not let us in.
    pub async fn open(location: &Location) -> Result<Self, DatabaseError> {
        let (options, dialect) = (location.options()?, location.dialect());
        // By itself, since a pool tries for long and then does not say why it failed.
        let mut first = connect(&options).await.map_err(|error| refused(location, error))?;
        dialect.make_tables(&mut first).await.map_err(|error| match error {
            DatabaseError::Sql(error) => refused(location, error),
            other => other,
        })?;
        let pool = AnyPoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await?;
        first.close().await?;
        let database = Self { pool, dialect };
        database.part_manifests().await?;
        Ok(database)
    }

    /// The database at `location` as it is, for a look at it: nothing is made or changed, and a server is not waited for long.
    /// None where there is no file.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub(crate) async fn look(location: &Location) -> Result<Option<Self>, DatabaseError> {
        if let Location::File(file) = location
            && !file.is_file()
        {
            return Ok(None);
        }
        let (options, dialect) = (location.options()?, location.dialect());
        let first = connect_within(&options, LOOK).await.map_err(|error| refused(location, error))?;
        let pool = AnyPoolOptions::new().max_connections(1).acquire_timeout(LOOK).connect_with(options).await?;
        first.close().await?;
        Ok(Some(Self { pool, dialect }))
    }
}

/// A connection.
pub(super) async fn connect(options: &AnyConnectOptions) -> Result<AnyConnection, sqlx::Error> {
    connect_within(options, PATIENCE).await
}

/// The same where a server is waited for no longer than `patience`.
async fn connect_within(options: &AnyConnectOptions, patience: Duration) -> Result<AnyConnection, sqlx::Error> {
    install_default_drivers();
    match timeout(patience, options.connect()).await {
        Ok(connected) => connected,
        Err(late) => Err(sqlx::Error::Io(IoError::new(ErrorKind::TimedOut, late))),
    }
}

fn refused(location: &Location, source: sqlx::Error) -> DatabaseError {
    match location {
        Location::File(_) => source.into(),
        Location::Server(_) => {
            DatabaseError::Refused { location: location.clone(), refusal: Refusal::of(&source), source }
        }
    }
}
