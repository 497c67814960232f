//! The difference between the live site and the one a release would make, as it is shown to people.
//!
//! Edits that stand on the same pages form one group, so a layout edit on 340 pages is read once.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::path::SitePath;

/// From how many pages on an edit in common is spoken of as one of the layout.
pub const LAYOUT_PAGES: usize = 3;

/// Everything that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The edits of the contract.
    pub contract: Vec<Hunk>,
    /// Paths that are new.
    pub new: Vec<NewFile>,
    /// Paths that are gone.
    pub removed: Vec<SitePath>,
    /// Changed files that are not text.
    pub binary: Vec<BinaryFile>,
    /// Changed pages and texts, by what changes in them; what stands on most pages comes first.
    pub groups: Vec<EditGroup>,
}

/// A path that is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// The path.
    pub path: SitePath,
    /// Its size.
    pub bytes: u64,
}

/// A changed file that is not text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryFile {
    /// The path.
    pub path: SitePath,
    /// Its size before.
    pub before: u64,
    /// Its size after.
    pub after: u64,
}

/// Edits that stand on the same pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditGroup {
    /// The edits, as they look on the first page.
    pub hunks: Vec<Hunk>,
    /// Every page with just these edits, in order.
    pub paths: Vec<SitePath>,
}

/// One edit with the lines around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hunk {
    /// The line at which it begins before the change, counted from 1.
    pub before: usize,
    /// The line at which it begins after the change.
    pub after: usize,
    /// Its lines, in order.
    pub lines: Vec<HunkLine>,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HunkLine {
    /// It stays.
    Kept(String),
    /// It goes.
    Removed(String),
    /// It comes.
    Added(String),
}

impl Difference {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl HunkLine {
    /// The mark in front of the line, and the line.
    pub fn marked(&self) -> (char, &str) {
        match self {
            Self::Kept(text) => (' ', text),
            Self::Removed(text) => ('-', text),
            Self::Added(text) => ('+', text),
        }
    }
}

/// The difference as people read it in a terminal.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.contract.is_empty() {
            writeln!(f, "changed  the contract")?;
            self.contract.iter().try_for_each(|hunk| write!(f, "{hunk}"))?;
            writeln!(f)?;
        }
        for file in &self.new {
            writeln!(f, "new      {} ({} bytes)", file.path, file.bytes)?;
        }
        for path in &self.removed {
            writeln!(f, "removed  {path}")?;
        }
        for file in &self.binary {
            writeln!(f, "changed  {} ({} bytes, before {})", file.path, file.after, file.before)?;
        }
        self.groups.iter().try_for_each(|group| write!(f, "{group}"))
    }
}

impl fmt::Display for EditGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.paths.split_first() else { return Ok(()) };
        match others.len() {
            0 => writeln!(f, "changed  {first}")?,
            more => writeln!(f, "changed  {first} and {more} more in the same way")?,
        }
        self.hunks.iter().try_for_each(|hunk| write!(f, "{hunk}"))?;
        writeln!(f)
    }
}

impl fmt::Display for Hunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |left_out: char| self.lines.iter().filter(|line| line.marked().0 != left_out).count();
        writeln!(f, "@@ -{},{} +{},{} @@", self.before, count('+'), self.after, count('-'))?;
        for line in &self.lines {
            let (mark, text) = line.marked();
            writeln!(f, "{mark}{text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_shown_once_with_its_count() {
        let hunk = Hunk {
            before: 3,
            after: 3,
            lines: vec![
                HunkLine::Kept("<body>".to_owned()),
                HunkLine::Removed("old".to_owned()),
                HunkLine::Added("new".to_owned()),
            ],
        };
        let group = EditGroup { hunks: vec![hunk], paths: vec!["/".parse().unwrap(), "/a/".parse().unwrap()] };
        let difference = Difference {
            new: vec![NewFile { path: "/b/".parse().unwrap(), bytes: 12 }],
            removed: vec!["/c/".parse().unwrap()],
            groups: vec![group],
            ..Difference::default()
        };
        let text = "new      /b/ (12 bytes)\nremoved  /c/\nchanged  / and 1 more in the same way\n\
                    @@ -3,2 +3,2 @@\n <body>\n-old\n+new\n\n";
        assert_eq!(difference.to_string(), text);
        assert!(!difference.is_empty() && Difference::default().is_empty());
        let json = serde_json::to_string(&difference).unwrap();
        assert_eq!(serde_json::from_str::<Difference>(&json).unwrap(), difference);
    }
}
