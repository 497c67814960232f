//! `tieup.yaml`: which site this is, where it stands, and where the hub listens.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_protocol::yaml;
use tieup_web::admin::AdminAddress;
use tieup_web::https::{self, Https};
use tieup_web::service::ListenAddress;
use tieup_web::site::Admission;

use crate::database::{InvalidUrl, Location, ServerUrl};
use crate::mirror::MirrorPlace;

/// The variable that says where the database is. It wins over `tieup.yaml`, so that a password need not stand there.
pub const DATABASE_VARIABLE: &str = "TIEUP_DATABASE";

/// The file of the database in the state folder.
const DATABASE: &str = "hub.sqlite";

/// A hub's configuration, with paths resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The main site's name.
    pub main: SiteId,
    /// The folder with `site.yaml`.
    pub site: PathBuf,
    /// The folder with the themes.
    pub themes: PathBuf,
    /// The folder that the hub alone writes: keys, database, mirrors of journals.
    pub state: PathBuf,
    /// Where the database is; in the state folder where nothing is said.
    pub database: Location,
    /// Where partners join, host and port.
    pub join: String,
    /// How partners reach `join`.
    pub address: String,
    /// Where the main site's own pages are served.
    pub public: String,
    /// How they are served by HTTPS, if they are.
    pub https: Option<Https>,
    /// How many visitors are let in.
    pub visitors: Admission,
    /// Where those who watch over the hub ask how it stands, if anywhere.
    pub admin: Option<AdminAddress>,
    /// Where what was collected of journals is mirrored for others, if anywhere.
    pub mirror: Option<MirrorPlace>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    main: SiteId,
    #[serde(default = "here")]
    site: PathBuf,
    themes: PathBuf,
    state: PathBuf,
    database: Option<String>,
    join: ListenAddress,
    address: Option<String>,
    public: ListenAddress,
    https: Option<https::Document>,
    #[serde(default)]
    visitors: Admission,
    admin: Option<AdminAddress>,
    #[serde(default)]
    journal: JournalDocument,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalDocument {
    mirror: Option<MirrorPlace>,
}

fn here() -> PathBuf {
    PathBuf::from(".")
}

impl Config {
    /// Reads `file`. Relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// When the file cannot be read or a key is missing, unknown or wrong.
    pub fn load(file: &Path) -> Result<Self, Diagnostic> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| {
            Diagnostic::new("unreadable", &name, format!("the configuration cannot be read: {error}"))
                .help("make one with `tieup init`, or name it with --config")
        })?;
        Self::parse(file, &text)
    }

    /// Reads `text` as the content of `file`, which need not be there yet.
    ///
    /// # Errors
    /// When a key is missing, unknown or wrong.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Diagnostic> {
        let name = file.display().to_string();
        let document: Document = yaml::parse(&name, text).map_err(without_password)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let state = folder.join(document.state);
        let database = match document.database {
            Some(url) => server(&name, &url)?,
            None => Location::File(state.join(DATABASE)),
        };
        Ok(Self {
            main: document.main,
            site: folder.join(document.site),
            themes: folder.join(document.themes),
            state,
            database,
            address: document.address.unwrap_or_else(|| document.join.0.clone()),
            join: document.join.0,
            public: document.public.0,
            https: document.https.map(|https| Https::of((&name, text), folder, https)).transpose()?,
            visitors: document.visitors,
            admin: document.admin,
            mirror: document.journal.mirror.map(|place| place.within(folder)),
        })
    }

    /// The file that the database is in where no server is named.
    pub fn file_of_database(&self) -> PathBuf {
        self.state.join(DATABASE)
    }

    /// The same with the database at `url`, what [`DATABASE_VARIABLE`] says, if it says anything.
    ///
    /// # Errors
    /// When that is no address of a database.
    pub fn with_database(self, url: Option<OsString>) -> Result<Self, Diagnostic> {
        let Some(url) = url.filter(|url| !url.is_empty()) else { return Ok(self) };
        let database = server(DATABASE_VARIABLE, &url.to_string_lossy())?;
        Ok(Self { database, ..self })
    }
}

/// The server's database at `url`. The complaint does not point at it, since it may hold a password.
fn server(name: &str, url: &str) -> Result<Location, Diagnostic> {
    let complain = |error: InvalidUrl| {
        let help = "for example postgres://tieup@db.example/tieup, with the password in TIEUP_DATABASE or ~/.pgpass";
        Diagnostic::new("bad-database", name, error.to_string()).help(help)
    };
    url.parse::<ServerUrl>().map(Location::Server).map_err(complain)
}

/// The same complaint without what may be the password of an address, which may stand in a line that cannot be read.
fn without_password(mut problem: Diagnostic) -> Diagnostic {
    problem.message = covered(&problem.message);
    problem.help = problem.help.as_deref().map(covered);
    if let Some(span) = &mut problem.span {
        span.text = covered(&span.text);
    }
    problem.also = problem.also.into_iter().map(without_password).collect();
    problem
}

/// `text` without what stands between `://` and the last `@` of a line that mentions PostgreSQL.
fn covered(text: &str) -> String {
    match text.split_once("://").zip(text.rsplit_once('@')) {
        Some(((before, _), (user, host))) if before.contains("postgres") && user.len() > before.len() => {
            format!("{before}://...@{host}")
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = "main: brand\nthemes: themes\nstate: state\njoin: 127.0.0.1:1\npublic: 127.0.0.1:2\n";

    fn parse(more: &str) -> Result<Config, Diagnostic> {
        Config::parse(Path::new("site/tieup.yaml"), &format!("{PLAIN}{more}"))
    }

    #[test]
    fn the_database_is_a_file_unless_an_address_is_given_and_the_environment_wins() {
        let file = Location::File("site/state/hub.sqlite".into());
        let server = |url: &str| Location::Server(url.parse().unwrap());
        let (one, other) = ("postgres://one.example/hub", "postgres://other.example/hub");
        assert_eq!(parse("").unwrap().database, file);
        assert_eq!(parse("").unwrap().with_database(None).unwrap().database, file);
        assert_eq!(parse("").unwrap().with_database(Some("".into())).unwrap().database, file);
        let named = parse(&format!("database: {one}\n")).unwrap();
        assert_eq!(named.database, server(one));
        assert_eq!(named.with_database(Some(other.into())).unwrap().database, server(other));
    }

    #[test]
    fn an_address_that_nobody_can_listen_at_is_pointed_at() {
        for (old, wrong, line) in [("127.0.0.1:1", "127.0.0.1:99999", 4), ("127.0.0.1:2", "localhost", 5)] {
            let problem = Config::parse(Path::new("tieup.yaml"), &PLAIN.replace(old, wrong)).unwrap_err();
            let says = format!("`{wrong}` is not an address to listen at");
            assert!(problem.message.contains(&says), "{problem}");
            assert_eq!(problem.help.as_deref(), Some("write it like 127.0.0.1:8080"));
            assert_eq!(problem.span.as_ref().map(|span| span.line), Some(line), "{problem}");
        }
    }

    #[test]
    fn no_complaint_shows_a_password() {
        for more in [
            "database: mysql://tieup:s3cret@db.example/hub",
            "database: postgres://tieup:s3c/ret@db.example/hub",
            "databse: postgres://tieup:s3cret@db.example/hub",
            "database: [postgres://tieup:s3cret@db.example/hub",
            "admin: postgres://tieup:s3cret@db.example/hub",
        ] {
            let told = parse(more).unwrap_err().to_string();
            assert!(!told.contains("s3c") && !told.contains("ret@"), "{told}");
        }
        let error = parse("").unwrap().with_database(Some("tieup:s3cret@db.example".into())).unwrap_err();
        assert!(error.to_string().contains("TIEUP_DATABASE"), "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
