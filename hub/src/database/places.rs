//! Where the tests of this module keep their databases: each runs with SQLite and with PostgreSQL.

use std::path::PathBuf;

use jiff::Timestamp;
use tempfile::TempDir;
use tieup_protocol::joining::Reach;

use super::{Database, Location, PartnerRow};

#[allow(unreachable_pub, reason = "the harness of the end-to-end tests shows it to others")]
#[path = "../../../tests/src/postgres.rs"]
mod postgres;

/// An empty database, which can be opened again and again.
pub(crate) struct Place {
    location: Location,
    /// The folder of the file.
    _folder: Option<TempDir>,
}

/// One of each kind.
pub(crate) fn places() -> [Place; 2] {
    let folder = tempfile::tempdir().unwrap();
    let file = Location::File(folder.path().join("hub.sqlite"));
    [Place { location: file, _folder: Some(folder) }, Place { location: server(), _folder: None }]
}

/// An empty database at the server.
pub(crate) fn server() -> Location {
    Location::Server(postgres::new_database().parse().unwrap())
}

/// The same, with what gives the answer to a query there.
pub(crate) fn asked() -> (Location, impl Fn(&str) -> String) {
    let address = postgres::new_database();
    let location = Location::Server(address.parse().unwrap());
    (location, move |query: &str| postgres::run_sql(&address, query))
}

/// The address of a database at a server that speaks TLS, and the file with the certificate that it shows.
pub(crate) fn encrypted() -> (String, PathBuf) {
    postgres::encrypted()
}

/// Addresses at the server for a user with this password: with another password, of a database that is not there, and of
/// one that is somebody else's.
pub(crate) fn guard(password: &str) -> [String; 3] {
    let open = postgres::new_database();
    postgres::run_sql(&open, &format!("CREATE ROLE guarded LOGIN PASSWORD '{password}'"));
    let with = |more: &str| open.replace("user=tieup", &format!("user=guarded&{more}"));
    let right = format!("password={password}");
    [with(&format!("password=not-{password}")), with(&format!("{right}&dbname=nowhere")), with(&right)]
}

/// A partner that has joined, and dials its line.
pub(crate) fn partner(name: &str) -> PartnerRow {
    PartnerRow {
        id: name.parse().unwrap(),
        address: Reach::Line,
        journal_key: String::new(),
        earlier_keys: Vec::new(),
        compare_code: String::new(),
        joined: Timestamp::UNIX_EPOCH,
        revoked: None,
    }
}

impl Place {
    /// Whether it is at a server.
    pub(crate) fn is_server(&self) -> bool {
        matches!(self.location, Location::Server(_))
    }

    /// Opens the database that is here. What fails then failed with this one.
    pub(crate) async fn open(&self) -> Database {
        eprintln!("with {}", self.location);
        Database::open(&self.location).await.unwrap()
    }
}
