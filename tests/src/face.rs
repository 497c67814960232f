//! What must not change when something is refused: everything visitors get, and the files that decide about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use tieup_protocol::approval::ReleaseRecord;

use crate::world::World;

/// A path at which nothing stands.
const NOWHERE: &str = "/no/such/page/";

/// A partner as it stands at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Face {
    /// Status and body of every public path, and of one where nothing stands.
    pub pages: BTreeMap<String, (u16, String)>,
    /// Every release with its state.
    pub releases: Vec<ReleaseRecord>,
    /// The bytes of `live.json`.
    pub live: Option<Vec<u8>>,
    /// The bytes of `trust.json`.
    pub trust: Option<Vec<u8>>,
}

/// How much of a face must be as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All of it.
    All,
    /// All but the newest metadata seen: the offer was genuine, and what came after it was not accepted.
    AllButTrust,
}

impl World {
    /// How `partner` stands now.
    pub async fn face(&self, partner: &str) -> Face {
        let state = self.state(partner);
        let live = fs::read(state.join("live.json")).ok();
        let mut pages = BTreeMap::new();
        for path in public_paths(live.as_deref()) {
            let page = self.get(partner, &path).await;
            pages.insert(path, (page.status, page.text));
        }
        let releases = self.releases(partner);
        Face { pages, releases, live, trust: fs::read(state.join("trust.json")).ok() }
    }

    /// Fails if `partner` stands otherwise than `before`, and names what differs.
    pub async fn assert_unchanged(&self, partner: &str, before: &Face, kept: Kept) {
        let differences = before.differences(&self.face(partner).await, kept);
        assert!(differences.is_empty(), "`{partner}` has changed:\n{}", differences.join("\n"));
    }
}

impl Face {
    /// What is otherwise in `now`, a line for each.
    fn differences(&self, now: &Self, kept: Kept) -> Vec<String> {
        let paths: BTreeSet<&String> = self.pages.keys().chain(now.pages.keys()).collect();
        let changed = paths.into_iter().filter(|path| self.pages.get(*path) != now.pages.get(*path));
        let mut found: Vec<String> = changed.map(|path| format!("the public page {path}")).collect();
        if self.releases != now.releases {
            found.push(format!("the releases, from {:?}\nto {:?}", self.releases, now.releases));
        }
        if self.live != now.live {
            found.push("the bytes of live.json".to_owned());
        }
        if kept == Kept::All && self.trust != now.trust {
            found.push("the bytes of trust.json".to_owned());
        }
        found
    }
}

/// The paths that the live document names, wherever in it they stand, and one that it does not name.
fn public_paths(live: Option<&[u8]>) -> BTreeSet<String> {
    let mut paths = BTreeSet::from([NOWHERE.to_owned()]);
    let document: Value = live.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        let members = value.as_object().into_iter().flatten();
        for (key, member) in members {
            if key.starts_with('/') {
                paths.insert(key.clone());
            }
            open.push(member);
        }
    }
    paths
}
