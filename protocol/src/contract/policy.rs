//! The approval policy: when a staged release may go live without the operator's word.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use super::Span;
use crate::change::{Change, Nature};
use crate::path::SitePath;

/// What a contract says of approval.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What happens to a release that no rule covers.
    pub policy: Policy,
    /// The rules under which a release goes live at once.
    #[serde(default)]
    pub auto: Vec<AutoRule>,
    /// How long a release that a rule covers must wait before it goes live. Nothing waits yet, so with a soak time
    /// the operator is asked.
    pub soak: Option<Span>,
    /// How a release goes live.
    #[serde(default)]
    pub strategy: Strategy,
}

/// What happens to a release that no rule covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// It waits for the operator. Silence never approves.
    Ask,
}

/// How a release goes live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Staged beside the live site, then switched in one step.
    #[default]
    Staged,
}

/// One rule: every changed path must be within `paths` and obey the limits of a rule.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoRule {
    /// The paths this rule speaks of.
    pub paths: PathGlob,
    /// What kind of change it allows.
    pub only: Only,
    /// The largest allowed size of a changed file.
    pub max_bytes: Option<ByteSize>,
}

/// What kind of change a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    /// Words in pages that exist already.
    Text,
    /// Anything, new and removed paths included.
    Any,
}

/// What the policy says of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The operator must be asked; the reason says which path no rule covers.
    Ask(String),
    /// The rules cover every path.
    Auto,
}

impl Approval {
    /// Whether `change` may go live without asking.
    pub fn decide(&self, change: &Change) -> Decision {
        if self.auto.is_empty() {
            return Decision::Ask("the contract has no rule for automatic approval".to_owned());
        }
        if self.soak.is_some_and(|soak| soak.seconds() > 0) {
            return Decision::Ask("the contract asks for a soak time, and none is kept yet".to_owned());
        }
        if let Some((from, to)) = change.contract {
            return Decision::Ask(format!("the contract changes from version {from} to {to}"));
        }
        if change.first {
            return Decision::Ask("it is the first release".to_owned());
        }
        if !change.new_risks.is_empty() {
            return Decision::Ask(change.new_risks.to_string());
        }
        let uncovered = change.paths().find(|(path, nature, bytes)| {
            let allows = |rule: &AutoRule| rule.allows(path, *nature, *bytes);
            !self.auto.iter().any(allows)
        });
        match uncovered {
            Some((path, nature, _)) => Decision::Ask(format!("no rule covers {path} ({nature})")),
            None => Decision::Auto,
        }
    }
}

impl AutoRule {
    fn allows(&self, path: &SitePath, nature: Nature, bytes: u64) -> bool {
        let kind = self.only == Only::Any || nature == Nature::Text;
        let small = self.max_bytes.is_none_or(|limit| bytes <= limit.0);
        kind && small && self.paths.matches(path)
    }
}

/// A number of bytes, written `20k`, `3M` or plainly; `k` is 1,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "WrittenSize")]
pub struct ByteSize(pub u64);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a size such as 20k, 3M or 4096")]
enum WrittenSize {
    Number(u64),
    Text(String),
}

impl TryFrom<WrittenSize> for ByteSize {
    type Error = String;

    fn try_from(written: WrittenSize) -> Result<Self, String> {
        let text = match written {
            WrittenSize::Number(bytes) => return Ok(Self(bytes)),
            WrittenSize::Text(text) => text,
        };
        let (digits, factor) = match text.as_bytes().last() {
            Some(b'k') => (&text[..text.len() - 1], 1_000),
            Some(b'M') => (&text[..text.len() - 1], 1_000_000),
            _ => (text.as_str(), 1),
        };
        let number: Option<u64> = digits.parse().ok();
        let bytes = number.and_then(|n| n.checked_mul(factor));
        bytes.map(Self).ok_or_else(|| format!("`{text}` is not a size such as 20k, 3M or 4096"))
    }
}

/// A pattern over site paths: `*` within a segment, `**` over segments; `/**` is everything.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct PathGlob {
    pattern: String,
    matcher: GlobMatcher,
}

impl PathGlob {
    /// Whether `path` fits the pattern.
    pub fn matches(&self, path: &SitePath) -> bool {
        self.matcher.is_match(path.as_str())
    }
}

impl PartialEq for PathGlob {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern
    }
}

impl FromStr for PathGlob {
    type Err = String;

    fn from_str(pattern: &str) -> Result<Self, String> {
        if !pattern.starts_with('/') {
            return Err(format!("pattern `{pattern}` must begin with `/`"));
        }
        let glob = GlobBuilder::new(pattern).literal_separator(true).backslash_escape(false).build();
        let matcher = glob.map_err(|error| error.to_string())?.compile_matcher();
        Ok(Self { pattern: pattern.to_owned(), matcher })
    }
}

impl TryFrom<String> for PathGlob {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        pattern.parse()
    }
}

impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(pattern: &str, path: &str) -> bool {
        pattern.parse::<PathGlob>().unwrap().matches(&path.parse().unwrap())
    }

    #[test]
    fn globs_go_by_segments() {
        assert!(glob("/**", "/"));
        assert!(glob("/**", "/news/a/"));
        assert!(glob("/news/**", "/news/a/"));
        assert!(!glob("/news/*", "/news/a/b"));
        assert!(!glob("/news/**", "/newsletter/"));
    }

    #[test]
    fn sizes_have_units() {
        let size = |text: &str| serde_yaml::from_str::<ByteSize>(text).map(|s| s.0).ok();
        assert_eq!(size("20k"), Some(20_000));
        assert_eq!(size("3M"), Some(3_000_000));
        assert_eq!(size("4096"), Some(4_096));
        assert_eq!(size("many"), None);
    }
}
