//! Templates that a site has of its own, `templates/**`: they come before those of its theme. Compiles none of them.

use std::collections::BTreeMap;
use std::path::Path;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SourcePath;

use crate::source::{files_below, read_bytes, shown};

/// The name of a main site's templates: `{% extends "site/page.html" %}`.
pub(crate) const SITE: &str = "site";

/// The name of a partner's templates: `{% extends "partner/page.html" %}`.
pub(crate) const PARTNER: &str = "partner";

/// The templates of one site, by path below its `templates/`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overrides {
    /// The folder, as a person knows it.
    pub(crate) shown: String,
    /// What each file holds.
    pub(crate) files: BTreeMap<SourcePath, Vec<u8>>,
}

impl Overrides {
    /// Reads every file below `folder`; none where there is no such folder.
    pub(crate) fn load(folder: &Path, problems: &mut Vec<Diagnostic>) -> Self {
        let mut overrides = Self { shown: format!("{}/", shown(folder)), files: BTreeMap::new() };
        for found in files_below(folder, problems) {
            match read_bytes(&found.file) {
                Ok(bytes) => drop(overrides.files.insert(found.path, bytes)),
                Err(problem) => problems.push(problem),
            }
        }
        overrides
    }
}
