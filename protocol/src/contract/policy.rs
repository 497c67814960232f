//! The approval policy: when a staged release may go live without the operator's word.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Span;
use super::hours::{Day, Hours, next_within};
use crate::approval::DecidedBy;
use crate::change::{Change, Nature, Risks};
use crate::path::SitePath;
use crate::period::Zone;

/// What a contract says of approval.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What happens to a release that no rule covers.
    pub policy: Policy,
    /// The rules under which a release goes live without the operator's word.
    #[serde(default)]
    pub auto: Vec<AutoRule>,
    /// New scripts, forms and external hosts that the rules let through, each by the name under which the sentence
    /// would tell of it.
    #[serde(default)]
    pub accept: Risks,
    /// How long a release that a rule covers waits before it goes live, so that the operator can reject or hold it.
    pub soak: Option<Span>,
    /// The hours in which a rule may make a release live; outside of them it waits until they begin.
    pub hours: Option<Hours>,
    /// The days on which a rule may make a release live; every day where none is named.
    #[serde(default)]
    pub days: Vec<Day>,
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
    /// The same, but one that main marks as an emergency, with its reason, goes live at once; the operator is told
    /// and can roll back.
    Emergency,
}

/// How a release goes live, once it may: what an update replaces, and how far back the operator can go.
///
/// Beneath all three is the same atomic switch: every file of a release is here and verified before the first visitor
/// gets any of it, and what was live before can be had back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Staged beside the live site, then switched in one step; the operator can roll back to any earlier release.
    #[default]
    Staged,
    /// The release overwrites the one before it: of the earlier releases only that one can be rolled back to.
    Overwrite,
    /// New content stands beside the old one, and the links from paths to content are rewritten, all at once. This is
    /// what `staged` does beneath; as a word of its own it lets a contract say so.
    Links,
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
    /// It may go live without being asked about.
    Approve {
        /// By what: a rule, or the terms for emergencies.
        by: DecidedBy,
        /// When it goes live.
        at: Timestamp,
    },
}

impl Approval {
    /// Whether `change` may go live without asking, and from when on. Hours and days are those of `zone`.
    pub fn decide(&self, change: &Change, zone: &Zone, now: Timestamp) -> Decision {
        if let Some((from, to)) = change.contract {
            return Decision::Ask(format!("the contract changes from version {from} to {to}"));
        }
        if change.first {
            return Decision::Ask("it is the first release".to_owned());
        }
        if change.emergency.is_some() && self.policy == Policy::Emergency {
            return Decision::Approve { by: DecidedBy::Emergency, at: now };
        }
        match self.why_ask(change) {
            Some(reason) => Decision::Ask(reason),
            None => Decision::Approve { by: DecidedBy::Rule, at: self.goes_live(zone, now) },
        }
    }

    /// What keeps the rules from letting `change` through, if anything does.
    fn why_ask(&self, change: &Change) -> Option<String> {
        if self.auto.is_empty() {
            return Some("the contract has no rule for automatic approval".to_owned());
        }
        let risks = change.new_risks.beyond(&self.accept);
        if !risks.is_empty() {
            return Some(risks.to_string());
        }
        let uncovered = change.paths().find(|(path, nature, bytes)| {
            let allows = |rule: &AutoRule| rule.allows(path, *nature, *bytes);
            !self.auto.iter().any(allows)
        });
        uncovered.map(|(path, nature, _)| format!("no rule covers {path} ({nature})"))
    }

    /// When a release goes live that a rule covers at `now`: after the soak time, within the hours.
    fn goes_live(&self, zone: &Zone, now: Timestamp) -> Timestamp {
        let soak = SignedDuration::from_secs(self.soak.map_or(0, |soak| i64::from(soak.seconds())));
        let soaked = now.checked_add(soak).unwrap_or(Timestamp::MAX);
        if self.hours.is_none() && self.days.is_empty() {
            return soaked;
        }
        next_within(self.hours.unwrap_or(Hours::ALL), &self.days, zone, soaked)
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::change::ChangedPath;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn decide(approval: &str, change: &Change) -> Decision {
        let approval: Approval = serde_yaml::from_str(approval).unwrap();
        approval.decide(change, &"Asia/Tokyo".parse().unwrap(), NOW)
    }

    fn by_rule(at: &str) -> Decision {
        Decision::Approve { by: DecidedBy::Rule, at: at.parse().unwrap() }
    }

    fn text_at(path: &str) -> Change {
        let changed = ChangedPath { nature: Nature::Text, bytes: 100 };
        Change { paths: BTreeMap::from([(path.parse().unwrap(), changed)]), ..Change::default() }
    }

    const RULE: &str = "auto: [{paths: /news/**, only: text, max_bytes: 1k}]";

    #[test]
    fn a_rule_covers_its_paths_and_nothing_else() {
        let approval = format!("{{policy: ask, {RULE}}}");
        assert_eq!(decide(&approval, &text_at("/news/a/")), by_rule("1970-01-01T00:00:00Z"));
        assert_eq!(
            decide(&approval, &text_at("/about/")),
            Decision::Ask("no rule covers /about/ (text changed)".to_owned())
        );
        let none = Decision::Ask("the contract has no rule for automatic approval".to_owned());
        assert_eq!(decide("{policy: ask}", &text_at("/news/a/")), none);
    }

    #[test]
    fn soak_and_hours_put_it_off() {
        let soaking = format!("{{policy: ask, {RULE}, soak: 30m}}");
        assert_eq!(decide(&soaking, &text_at("/news/a/")), by_rule("1970-01-01T00:30:00Z"));
        // It is Thursday, 09:00 in Tokyo.
        let hours = format!("{{policy: ask, {RULE}, soak: 30m, hours: \"10:00-18:00\", days: [mon]}}");
        assert_eq!(decide(&hours, &text_at("/news/a/")), by_rule("1970-01-05T01:00:00Z"));
        let days = format!("{{policy: ask, {RULE}, days: [fri]}}");
        assert_eq!(decide(&days, &text_at("/news/a/")), by_rule("1970-01-01T15:00:00Z"));
    }

    #[test]
    fn new_hosts_ask_unless_the_contract_names_them() {
        let mut change = text_at("/news/a/");
        change.new_risks.hosts.insert("cdn.example".to_owned());
        let plain = format!("{{policy: ask, {RULE}}}");
        assert_eq!(decide(&plain, &change), Decision::Ask("NEW external host: cdn.example".to_owned()));
        let named = format!("{{policy: ask, {RULE}, accept: {{hosts: [cdn.example]}}}}");
        assert_eq!(decide(&named, &change), by_rule("1970-01-01T00:00:00Z"));
        change.new_risks.scripts.insert("https://cdn.example/x.js".to_owned());
        assert_eq!(decide(&named, &change), Decision::Ask("NEW script: https://cdn.example/x.js".to_owned()));
    }

    #[test]
    fn an_emergency_needs_a_contract_that_speaks_of_it() {
        let change = Change { emergency: Some("recall".to_owned()), ..text_at("/about/") };
        let at_once = Decision::Approve { by: DecidedBy::Emergency, at: NOW };
        assert_eq!(decide("{policy: emergency, soak: 1h}", &change), at_once);
        assert!(matches!(decide("{policy: ask}", &change), Decision::Ask(_)));
        assert!(matches!(decide("{policy: emergency}", &text_at("/about/")), Decision::Ask(_)));
        for always in [Change { first: true, ..change.clone() }, Change { contract: Some((1, 2)), ..change }] {
            assert!(matches!(decide("{policy: emergency}", &always), Decision::Ask(_)));
        }
    }

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
