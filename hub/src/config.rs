//! `tieup.yaml`: which site this is, where it stands, and where the hub listens.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_protocol::yaml;
use tieup_web::admin::AdminAddress;
use tieup_web::https::{self, Https};
use tieup_web::site::Admission;

use crate::mirror::MirrorPlace;

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
    join: String,
    address: Option<String>,
    public: String,
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
        let document: Document = yaml::parse(&name, text)?;
        let folder = file.parent().unwrap_or(Path::new("."));
        Ok(Self {
            main: document.main,
            site: folder.join(document.site),
            themes: folder.join(document.themes),
            state: folder.join(document.state),
            address: document.address.unwrap_or_else(|| document.join.clone()),
            join: document.join,
            public: document.public,
            https: document.https.map(|https| Https::of((&name, text), folder, https)).transpose()?,
            visitors: document.visitors,
            admin: document.admin,
            mirror: document.journal.mirror.map(|place| place.within(folder)),
        })
    }
}
