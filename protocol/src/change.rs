//! What a staged release would change for visitors, and the sentence that says so.
//!
//! Both sides of the comparison are merged sites as visitors would get them, originals and slots included; so a
//! layout release to a partner that inherits the framework alone shows up on the partner's own pages, where it acts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::ids::{ReleaseVersion, SiteId};
use crate::path::SitePath;
use crate::shape::visible;

/// How far a path differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nature {
    /// The path is new.
    New,
    /// Words alone, and the marks around words.
    Text,
    /// More than words: layout, links out, scripts, forms, pictures; or a file that is no page.
    Content,
    /// The path is gone.
    Removed,
}

impl fmt::Display for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Text => "text changed",
            Self::Content => "more than text changed",
            Self::Removed => "removed",
        })
    }
}

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedPath {
    /// How far.
    pub nature: Nature,
    /// The size after the change; 0 for a removed path.
    pub bytes: u64,
}

/// The difference between the live site and the one a release would make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whether nothing from this main site is live yet.
    pub first: bool,
    /// The contract's versions before and after, where they differ.
    pub contract: Option<(u32, u32)>,
    /// Why main calls the release an emergency; none where it does not.
    #[serde(default)]
    pub emergency: Option<String>,
    /// How many pages have an edit in common that is more than words: a change of layout.
    #[serde(default)]
    pub layout: usize,
    /// Files of the layout that change where they stand, such as a style sheet: they change how pages look, and no page.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub restyled: BTreeSet<SitePath>,
    /// Every path that differs.
    pub paths: BTreeMap<SitePath, ChangedPath>,
    /// Scripts, forms and external hosts that the live pages do not have.
    pub new_risks: Risks,
}

/// What a page brings that an operator wants to know of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Risks {
    /// Scripts: by address, or `inline`.
    pub scripts: BTreeSet<String>,
    /// Where forms are sent.
    pub forms: BTreeSet<String>,
    /// Hosts that pages load from, send to or link to.
    pub hosts: BTreeSet<String>,
}

impl Change {
    /// Every differing path with its nature and size.
    pub fn paths(&self) -> impl Iterator<Item = (&SitePath, Nature, u64)> {
        self.paths.iter().map(|(path, changed)| (path, changed.nature, changed.bytes))
    }

    /// Whether visitors would notice nothing.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.contract.is_none()
    }

    /// The sentence an operator reads before deciding.
    pub fn sentence(&self, main: &SiteId, version: ReleaseVersion) -> String {
        let mut text = format!("Release {version} from {main}: ");
        if let Some(reason) = &self.emergency {
            let _ = write!(text, "EMERGENCY ({}); ", visible(reason));
        }
        text.push_str(&self.counts());
        if self.layout > 0 {
            let _ = write!(text, "; layout change on {} pages", self.layout);
        }
        text.push_str(&self.restyling());
        if let Some((from, to)) = self.contract {
            let _ = write!(text, "; the contract changes from version {from} to {to}");
        }
        let only_text = !self.paths.is_empty() && self.paths.values().all(|p| p.nature == Nature::Text);
        if only_text {
            text.push_str("; text only");
        }
        let _ = write!(text, "; {}; signature valid", self.new_risks);
        text
    }

    /// The sentence about changed originals, which no main site signs.
    pub fn originals_sentence(&self) -> String {
        format!("Your own pages: {}; {}", self.counts(), self.new_risks)
    }

    /// What is said of changed files of the layout; nothing where there are none.
    fn restyling(&self) -> String {
        match (self.restyled.first(), self.restyled.len()) {
            (None, _) => String::new(),
            (Some(file), 1) => format!("; the layout's file {file} changes"),
            (Some(file), many) => format!("; {many} files of the layout change, such as {file}"),
        }
    }

    fn counts(&self) -> String {
        let count = |wanted: &[Nature]| self.paths.values().filter(|p| wanted.contains(&p.nature)).count();
        let parts = [
            (count(&[Nature::Text, Nature::Content]), "changed"),
            (count(&[Nature::New]), "new"),
            (count(&[Nature::Removed]), "removed"),
        ];
        let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if said.is_empty() { "nothing that visitors would notice".to_owned() } else { said.join(", ") }
    }
}

impl Risks {
    /// What is here and not in `known`.
    #[must_use]
    pub fn beyond(&self, known: &Self) -> Self {
        let new = |here: &BTreeSet<String>, there: &BTreeSet<String>| here.difference(there).cloned().collect();
        Self {
            scripts: new(&self.scripts, &known.scripts),
            forms: new(&self.forms, &known.forms),
            hosts: new(&self.hosts, &known.hosts),
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty() && self.forms.is_empty() && self.hosts.is_empty()
    }

    /// Whether all of `other` is among them.
    pub fn contains(&self, other: &Self) -> bool {
        let scripts = self.scripts.is_superset(&other.scripts);
        scripts && self.forms.is_superset(&other.forms) && self.hosts.is_superset(&other.hosts)
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Self) {
        self.scripts.extend(other.scripts);
        self.forms.extend(other.forms);
        self.hosts.extend(other.hosts);
    }
}

impl fmt::Display for Risks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("script", &self.scripts), ("form", &self.forms), ("external host", &self.hosts)];
        if self.is_empty() {
            return f.write_str("no new scripts, forms or external hosts");
        }
        let named: Vec<String> = kinds
            .iter()
            .filter(|(_, found)| !found.is_empty())
            .map(|(kind, found)| {
                format!("NEW {kind}: {}", found.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
            })
            .collect();
        f.write_str(&named.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_counts_and_names() {
        let changed = |nature| ChangedPath { nature, bytes: 1 };
        let mut change = Change {
            paths: BTreeMap::from([
                ("/a/".parse().unwrap(), changed(Nature::Content)),
                ("/b/".parse().unwrap(), changed(Nature::New)),
            ]),
            ..Change::default()
        };
        let sentence = |change: &Change| change.sentence(&"nationwide".parse().unwrap(), ReleaseVersion::FIRST);
        assert_eq!(
            sentence(&change),
            "Release 1 from nationwide: 1 changed, 1 new; no new scripts, forms or external hosts; signature valid"
        );
        change.new_risks.hosts.insert("evil.example".to_owned());
        assert!(sentence(&change).contains("NEW external host: evil.example"));
        change.layout = 340;
        change.emergency = Some("the pan \u{1b}[2K burns".to_owned());
        let says = "Release 1 from nationwide: EMERGENCY (the pan \\u{1b}[2K burns); 1 changed, 1 new; \
                    layout change on 340 pages; NEW";
        assert!(sentence(&change).starts_with(says), "{}", sentence(&change));
        change.restyled.insert("/style.css".parse().unwrap());
        assert!(sentence(&change).contains("on 340 pages; the layout's file /style.css changes; NEW"));
        change.restyled.insert("/menu.js".parse().unwrap());
        assert!(sentence(&change).contains("; 2 files of the layout change, such as /menu.js; NEW"));
    }
}
