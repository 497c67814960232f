//! Where the hub's database is: a file of SQLite's in the state folder, or a PostgreSQL server by URL.
//!
//! A URL may hold a password. It is shown by its host and name alone, and never by itself.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use sqlx::ConnectOptions as _;
use sqlx::any::AnyConnectOptions;
use url::{ParseError, Url};

use super::dialect::{Dialect, SESSION};

/// With what the address of a server begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// What may stand in the query of a server's address. Anything else would be left unheeded, and logged with its value.
const PARAMETERS: [&str; 12] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Where a hub's database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a file of SQLite's, which is made where it is missing.
    File(PathBuf),
    /// At a PostgreSQL server.
    Server(ServerUrl),
}

/// The address of a database at a PostgreSQL server, which may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

/// Why a text is no address of a database. Says nothing of what stands in it, but for a parameter's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// Of another kind.
    #[error("the address of a database begins with `postgres://`; without any, it is a file in the state folder")]
    Scheme,
    /// A password that is not written as URLs want it.
    #[error(
        "in the address of the database, `@`, `/`, `?`, `#` and `%` of a password are written `%40`, `%2F`, `%3F`, `%23` and `%25`"
    )]
    Unescaped,
    /// Not a URL.
    #[error("the address of the database cannot be read: {0}")]
    Unreadable(ParseError),
    /// What it asks for is not known.
    #[error("the address of the database asks for `{0}`, which it may not")]
    Parameter(String),
}

impl Location {
    /// The dialect that is spoken there.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            Self::File(_) => Dialect::Sqlite,
            Self::Server(_) => Dialect::Postgres,
        }
    }

    /// How it is connected to.
    ///
    /// # Errors
    /// When the path or the address is none that the driver takes.
    pub(super) fn options(&self) -> Result<AnyConnectOptions, sqlx::Error> {
        let url = match self {
            // Every sign that means something in a URL is escaped, so that the path comes through as it is.
            Self::File(path) => {
                let path = percent_encode(path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC);
                let url = Url::parse(&format!("sqlite:{path}?mode=rwc"));
                url.map_err(|error| sqlx::Error::Configuration(error.into()))?
            }
            Self::Server(url) => url.with_session(),
        };
        AnyConnectOptions::from_url(&url)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the database {}", path.display()),
            Self::Server(url) => write!(f, "PostgreSQL at {url}"),
        }
    }
}

impl ServerUrl {
    /// A parameter of the query, the last where there are several.
    fn parameter(&self, name: &str) -> Option<String> {
        let named = self.0.query_pairs().filter(|(key, _)| key == name);
        named.last().map(|(_, value)| value.into_owned())
    }

    /// The server's name or the folder of its socket; none where the environment says it (`PGHOST`).
    fn host(&self) -> Option<String> {
        let named = self.parameter("host").or_else(|| self.parameter("hostaddr"));
        named.or_else(|| self.0.host_str().map(decoded)).filter(|host| !host.is_empty())
    }

    /// The database's name; none where it is that of the user.
    fn name(&self) -> Option<String> {
        let path = decoded(self.0.path().trim_start_matches('/'));
        self.parameter("dbname").or(Some(path)).filter(|name| !name.is_empty())
    }

    /// Whether what is said to the server leaves this machine.
    fn is_remote(&self) -> bool {
        let Some(host) = self.host() else { return false };
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_here =
            host == "localhost" || host.starts_with('/') || address.is_ok_and(|address| address.is_loopback());
        !is_here
    }

    /// The address with what every connection asks for: TLS with a certificate that is verified where another machine
    /// is spoken to and nothing else was said, and our own settings, which win over those of the address.
    fn with_session(&self) -> Url {
        let mut url = self.0.clone();
        if self.is_remote() && self.parameter("sslmode").is_none() {
            url.query_pairs_mut().append_pair("sslmode", "verify-full");
        }
        url.query_pairs_mut().append_pair("options", SESSION);
        url
    }
}

impl FromStr for ServerUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let rest = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(InvalidUrl::Scheme)?;
        // Behind the host, `@` and `#` can only come from a password, part of which would be taken for a host or a name.
        let behind = rest.find(['/', '?', '#']).map_or("", |end| &rest[end..]);
        if behind.contains(['@', '#']) {
            return Err(InvalidUrl::Unescaped);
        }
        let url = Self(Url::parse(text).map_err(InvalidUrl::Unreadable)?);
        match url.0.query_pairs().find(|(key, _)| !PARAMETERS.contains(&key.as_ref())) {
            Some((key, _)) => Err(InvalidUrl::Parameter(key.into_owned())),
            None => Ok(url),
        }
    }
}

/// The host and the name: `db.example:5433/tieup`.
impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.host().as_deref().unwrap_or("the usual place"))?;
        if let Some(port) = self.parameter("port").or_else(|| self.0.port().map(|port| port.to_string())) {
            write!(f, ":{port}")?;
        }
        self.name().map_or(Ok(()), |name| write!(f, "/{name}"))
    }
}

/// As it is shown, without the password.
impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<ServerUrl>().unwrap().to_string()
    }

    #[test]
    fn an_address_is_shown_without_its_password() {
        for text in [
            "postgres://tieup:s3cret@db.example:5433/hub",
            "postgresql://db.example:5433/hub?user=tieup&password=s3cret",
            "postgres:///ignored?host=db.example&port=5433&dbname=hub&password=s3cret",
        ] {
            assert_eq!(shown(text), "db.example:5433/hub");
            let location = Location::Server(text.parse().unwrap());
            let told = format!("{location} {location:?}");
            assert!(!told.contains("s3cret"), "{told}");
        }
        assert_eq!(shown("postgres:///hub?host=/run/postgresql"), "/run/postgresql/hub");
        assert_eq!(shown("postgres://%2Frun%2Fpostgresql/hub"), "/run/postgresql/hub");
        assert_eq!(shown("postgres:///hub"), "the usual place/hub");
    }

    #[test]
    fn a_password_that_is_not_escaped_is_told_of_and_no_part_of_it_shown() {
        for (text, expected) in [
            ("postgres://tieup:s3c/ret@db.example/hub", InvalidUrl::Unescaped),
            ("postgres://tieup:12?ret@db.example/hub", InvalidUrl::Unescaped),
            ("postgres://tieup:12#ret@db.example/hub", InvalidUrl::Unescaped),
            ("postgres://db.example/hub?pasword=s3cret", InvalidUrl::Parameter("pasword".to_owned())),
            ("mysql://tieup:s3cret@db.example/hub", InvalidUrl::Scheme),
            ("tieup.sqlite", InvalidUrl::Scheme),
            ("postgres://tieup:s3cret@db.example:port/hub", InvalidUrl::Unreadable(ParseError::InvalidPort)),
        ] {
            let error = text.parse::<ServerUrl>().unwrap_err();
            assert_eq!(error, expected, "{text}");
            assert!(!error.to_string().contains("ret"), "{error}");
        }
    }

    #[test]
    fn a_server_on_another_machine_must_show_a_certificate_unless_the_address_says_otherwise() {
        let mode = |text: &str| {
            let url = ServerUrl(text.parse::<ServerUrl>().unwrap().with_session());
            url.parameter("sslmode")
        };
        assert_eq!(mode("postgres://db.example/hub").as_deref(), Some("verify-full"));
        assert_eq!(mode("postgres://10.0.0.7/hub").as_deref(), Some("verify-full"));
        assert_eq!(mode("postgres://db.example/hub?sslmode=require").as_deref(), Some("require"));
        for local in ["localhost", "127.0.0.1:5433", "[::1]", "%2Frun%2Fpostgresql", ""] {
            assert_eq!(mode(&format!("postgres://{local}/hub")), None, "{local}");
        }
    }
}
