//! The days of pages that name none: from the history of their files in git, or from the files themselves.
//!
//! Git is asked once for a whole site, by its program, with fixed arguments and without a shell. Only a site that says
//! `dates: git` or `dates: file` depends on anything but what its files hold.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// Where the days of pages come from that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Dates {
    /// From nowhere: what front matter does not say is not known.
    #[default]
    FrontMatter,
    /// From the first and the last commit of the page's file.
    Git,
    /// From the time at which the page's file was last written.
    File,
}

/// When files came to be and were last changed.
#[derive(Clone, Debug, Default)]
pub(crate) enum History {
    /// Nothing is known.
    #[default]
    Unknown,
    /// By the commits of a site's folder, for each file below it.
    Commits {
        /// The folder.
        dir: PathBuf,
        /// The first and the last commit of each file, by its path below the folder.
        days: HashMap<String, Days>,
    },
    /// By the files themselves; days are those of this zone.
    Files(TimeZone),
}

/// The day on which a file came to be, and the one on which it was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days {
    /// The first.
    pub(crate) first: Date,
    /// The last.
    pub(crate) last: Date,
}

/// Why the history of a folder is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoHistory {
    /// The program cannot be run.
    NoProgram(String),
    /// Git refuses, and says why.
    Refused(String),
    /// The clone holds the last commits alone, so that every file would seem new.
    Shallow,
}

impl History {
    /// The history of the files below `dir`.
    ///
    /// # Errors
    /// See [`NoHistory`].
    pub(crate) fn read(dates: Dates, dir: &Path, zone: &TimeZone) -> Result<Self, NoHistory> {
        match dates {
            Dates::FrontMatter => Ok(Self::Unknown),
            Dates::File => Ok(Self::Files(zone.clone())),
            Dates::Git => {
                if git(dir, &["rev-parse", "--is-shallow-repository"])?.starts_with(b"true") {
                    return Err(NoHistory::Shallow);
                }
                let names = ["log", "-z", "--format=%x01%ct", "--name-only", "--no-renames", "--relative", "--", "."];
                let log = git(dir, &names)?;
                Ok(Self::Commits { dir: dir.to_owned(), days: days(&String::from_utf8_lossy(&log), zone) })
            }
        }
    }

    /// The days of `file`, as far as they are known.
    pub(crate) fn days(&self, file: &Path) -> Option<Days> {
        match self {
            Self::Unknown => None,
            Self::Commits { dir, days } => days.get(&below(dir, file)?).copied(),
            Self::Files(zone) => {
                let written = fs::metadata(file).and_then(|about| about.modified()).ok()?;
                let day = Timestamp::try_from(written).ok()?.to_zoned(zone.clone()).date();
                Some(Days { first: day, last: day })
            }
        }
    }
}

fn below(dir: &Path, file: &Path) -> Option<String> {
    Some(file.strip_prefix(dir).ok()?.to_str()?.replace('\\', "/"))
}

/// What git answers in `dir`. Its environment and the settings of the repository cannot make it look elsewhere or run
/// another program.
fn git(dir: &Path, arguments: &[&str]) -> Result<Vec<u8>, NoHistory> {
    let mut command = Command::new("git");
    command.args(["--no-pager", "-c", "log.showSignature=false", "-c", "core.fsmonitor=false"]);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_CONFIG_PARAMETERS", "GIT_EXTERNAL_DIFF"] {
        command.env_remove(variable);
    }
    command.env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0").current_dir(dir);
    let output = command.args(arguments).output().map_err(|error| NoHistory::NoProgram(error.to_string()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(NoHistory::Refused(said.lines().next().unwrap_or("it says nothing").to_owned()))
}

/// Reads a log: for each commit its time after a mark, then the names of its files, each ended by a zero byte.
fn days(log: &str, zone: &TimeZone) -> HashMap<String, Days> {
    let mut days: HashMap<String, Days> = HashMap::new();
    let mut commit = None;
    for part in log.split('\0').map(|part| part.trim_start_matches('\n')).filter(|part| !part.is_empty()) {
        if let Some(time) = part.strip_prefix('\u{1}') {
            let time = time.trim().parse().ok().and_then(|second| Timestamp::from_second(second).ok());
            commit = time.map(|time| time.to_zoned(zone.clone()).date());
        } else if let Some(day) = commit {
            let known = days.entry(part.to_owned()).or_insert(Days { first: day, last: day });
            *known = Days { first: known.first.min(day), last: known.last.max(day) };
        }
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gives_each_file_its_first_and_last_day_in_the_zone() {
        let log = "\u{1}1770073200\0\ncontent/a é.md\0content/b.md\0\0\u{1}1767394800\0\ncontent/a é.md\0";
        let found = days(log, &TimeZone::get("Asia/Tokyo").unwrap());
        let day = |text: &str| text.parse::<Date>().unwrap();
        // 23:00 UTC is the next morning in Tokyo.
        assert_eq!(found["content/a é.md"], Days { first: day("2026-01-03"), last: day("2026-02-03") });
        assert_eq!(found["content/b.md"], Days { first: day("2026-02-03"), last: day("2026-02-03") });
        assert_eq!(found.len(), 2);
    }
}
