//! The folders of a main site, and which files in them are its sources.

use std::path::{Path, PathBuf};

use crate::source::is_hidden;

/// The folders of a site, beside the themes, and the file that are its sources.
const FILES: [&str; 6] = ["content", "data", "static", "templates", "partners", "site.yaml"];

/// What changes with each commit, by which days of pages may be told.
const COMMITS: &str = ".git/logs/HEAD";

/// The folders of a main site, in which its sources lie.
#[derive(Clone, Debug)]
pub struct Sources {
    /// That of the site.
    pub(crate) site: PathBuf,
    /// That of the themes.
    pub(crate) themes: PathBuf,
}

impl Sources {
    /// Those of the site in the folder `site`, with its themes in the folder `themes`.
    pub fn new(site: &Path, themes: &Path) -> Self {
        Self { site: site.to_owned(), themes: themes.to_owned() }
    }

    /// Whether `file`, named as the folders are, is a source. What editors hide beside their files is none; that somebody
    /// commits to the site's own repository is one.
    pub fn has(&self, file: &Path) -> bool {
        let visible = |below: &Path| !below.components().any(|part| is_hidden(part.as_os_str()));
        let of_site = |below: &Path| FILES.iter().any(|source| below.starts_with(source));
        let of_commits = |below: &Path| below == Path::new(COMMITS);
        file.strip_prefix(&self.themes).is_ok_and(visible)
            || file.strip_prefix(&self.site).is_ok_and(|below| of_site(below) && visible(below) || of_commits(below))
    }
}
