//! What an earlier build found out, so that this one need not: the front matter and the facts of every text, and why
//! each file that it made is still good. Kept in memory while somebody works on a site, and on disk between commands.
//!
//! Nothing here is trusted beyond what it was made from: a file's state on disk or its digest, and fingerprints.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::digest::Digest;
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;

use crate::front_matter::{self, FrontMatter, Of};
use crate::maker::Record;
use crate::parallel;
use crate::print::Print;
use crate::source::{self, Found, read_bytes, shown};
use crate::text::Facts;
use crate::variation::{Origin, Written};

/// Into how many parts each table is cut: one edit writes one of them, and several threads read them.
const PARTS: u64 = 64;

/// What an earlier build knew of the Markdown files of a content folder, by their paths below it.
pub(crate) type Files = HashMap<String, Arc<KnownFile>>;

/// What an earlier build made, and why it is still good.
pub(crate) type Records = HashMap<SitePath, Record>;

/// What was found out about one Markdown file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KnownFile {
    /// Its state on disk; none where it had only just been written, and could change without showing it.
    pub(crate) stat: Option<Print>,
    /// Of its bytes.
    pub(crate) digest: Print,
    /// What its front matter says.
    pub(crate) front: FrontMatter,
    /// Where its body begins.
    pub(crate) body_at: usize,
    /// The page that it became, and what is known of its text.
    pub(crate) page: Option<(SitePath, Arc<Facts>)>,
}

/// What an earlier build knew, and when this one began.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// What it knew of the Markdown files.
    pub(crate) files: Files,
    /// When this build began, by the clock of the disk that the site is on.
    pub(crate) begun: SystemTime,
}

impl Earlier {
    /// What the Markdown file `found` says: as it was known, where the file is as it was then.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn read(&self, found: &Found, of: Of) -> Result<(Written, Arc<KnownFile>), Diagnostic> {
        let known = self.files.get(found.path.as_str());
        if let Some(known) = known.filter(|known| known.stat == Some(found.stat.print)) {
            return Ok((known.written(found, None), known.clone()));
        }
        let bytes = read_bytes(&found.file)?;
        let (digest, stat) = (Print::of(&bytes), found.stat.settled(self.begun));
        let text = source::text(&shown(&found.file), bytes)?;
        if let Some(known) = known.filter(|known| known.digest == digest) {
            let known = Arc::new(KnownFile { stat, ..KnownFile::clone(known) });
            return Ok((known.written(found, Some(text)), known));
        }
        let (front, body_at) = front_matter::parse(&shown(&found.file), &text, of)?;
        let known = Arc::new(KnownFile { stat, digest, front, body_at, page: None });
        Ok((known.written(found, Some(text)), known))
    }
}

impl KnownFile {
    fn written(&self, found: &Found, text: Option<String>) -> Written {
        let origin = Origin::plain(&found.file);
        Written { front: self.front.clone(), text, body_at: self.body_at, origin, record: None }
    }
}

/// The state of a site and of what was built of it, at the end of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Of the engine and the site's settings; nothing below is good under another.
    pub(crate) surroundings: Print,
    /// Of the state of every source; none where one had only just been written.
    pub(crate) sources: Option<Print>,
    /// Of the state of what was built, as the caller tells it.
    pub(crate) built: Option<Digest>,
    /// When it was built, in nanoseconds since 1970, and when the next page goes live or ends.
    pub(crate) at: i128,
    /// The next instant at which something changes by itself.
    pub(crate) until: Option<i128>,
    /// How many pages were built.
    pub(crate) pages: usize,
}

/// The tables on disk.
#[derive(Clone, Debug)]
pub(crate) struct Shelves {
    cache: Cache,
    /// What tells one site's tables from another's.
    name: String,
}

impl Shelves {
    /// The tables of the site `name` in `cache`.
    pub(crate) fn new(cache: Cache, name: String) -> Self {
        Self { cache, name }
    }

    /// The state at the end of the last build.
    pub(crate) fn head(&self) -> Option<Head> {
        serde_json::from_slice(&self.cache.get(&self.key("head", 0))?).ok()
    }

    /// Keeps the state at the end of a build.
    pub(crate) fn put_head(&self, head: &Head) {
        self.put("head", 0, head);
    }

    /// What was known of the Markdown files.
    pub(crate) fn files(&self) -> Files {
        self.read::<String, KnownFile>("files").map(|(file, known)| (file, Arc::new(known))).collect()
    }

    /// What was made.
    pub(crate) fn records(&self) -> Records {
        self.read("records").collect()
    }

    /// Keeps what is known of the Markdown files; `changed` are those of which something else is known than is kept.
    pub(crate) fn put_files<'a>(&self, files: &Files, changed: impl Iterator<Item = &'a str>) {
        self.write("files", files, changed, String::as_str);
    }

    /// Keeps what was made; `changed` is where something else was made than is kept.
    pub(crate) fn put_records<'a>(&self, records: &Records, changed: impl Iterator<Item = &'a str>) {
        self.write("records", records, changed, SitePath::as_str);
    }

    fn read<K: DeserializeOwned + Ord + Send, V: DeserializeOwned + Send>(
        &self,
        table: &str,
    ) -> impl Iterator<Item = (K, V)> + use<K, V> {
        let parts: Vec<u64> = (0..PARTS).collect();
        let part = |part: &u64| -> Vec<(K, V)> {
            let bytes = self.cache.get(&self.key(table, *part)).unwrap_or_default();
            serde_json::from_slice(&bytes).unwrap_or_default()
        };
        parallel::map_few(&parts, part).into_iter().flatten()
    }

    fn write<'a, K: Serialize + Ord + Sync, V: Serialize + Sync>(
        &self,
        table: &str,
        rows: &HashMap<K, V>,
        changed: impl Iterator<Item = &'a str>,
        text: impl Fn(&K) -> &str,
    ) {
        let mut stale: BTreeMap<u64, BTreeMap<&K, &V>> = changed.map(|key| (part_of(key), BTreeMap::new())).collect();
        for (key, value) in rows {
            if let Some(part) = stale.get_mut(&part_of(text(key))) {
                part.insert(key, value);
            }
        }
        let stale: Vec<(u64, Vec<(&K, &V)>)> =
            stale.into_iter().map(|(part, rows)| (part, rows.into_iter().collect())).collect();
        parallel::map_few(&stale, |(part, rows)| self.put(table, *part, rows));
    }

    fn put(&self, table: &str, part: u64, value: &impl Serialize) {
        if let Ok(bytes) = serde_json::to_vec(value) {
            self.cache.put(&self.key(table, part), &bytes);
        }
    }

    fn key(&self, table: &str, part: u64) -> Digest {
        Digest::of(format!("{}\n{table}\n{part}", self.name).as_bytes())
    }
}

/// The part of a table in which `key` stands.
fn part_of(key: &str) -> u64 {
    hash(key) % PARTS
}

/// A number for a text that is the same on every machine. Not a secure hash: only its spread matters (FNV-1a).
pub(crate) fn hash(text: &str) -> u64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash >> 32
}
