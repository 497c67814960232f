//! What an earlier build found out, so that this one need not: the front matter and the facts of every text, and why
//! each file that it made is still good. Kept in memory while somebody works on a site, and on disk between commands.
//!
//! Nothing here is trusted beyond what it was made from: a file's state on disk or its digest, and fingerprints.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::digest::Digest;
use tieup_protocol::path::{SitePath, SourcePath};
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
pub(crate) type Files = HashMap<SourcePath, Arc<KnownFile>>;

/// What an earlier build made, and why it is still good.
pub(crate) type Records = HashMap<SitePath, Record>;

/// What was found out about one Markdown file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KnownFile {
    /// Its state on disk; none where it had only just been written, and could change without showing it.
    pub(crate) stat: Option<Print>,
    /// Of its bytes.
    pub(crate) digest: Print,
    /// What its front matter says, as JSON: it is small, and seldom asked for.
    front: Box<str>,
    /// Where its body begins.
    pub(crate) body_at: usize,
    /// The page that it became, and what is known of its text.
    pub(crate) page: Option<(SitePath, Arc<Facts>)>,
}

/// What an earlier build knew, and what this one found when it began.
#[derive(Debug)]
pub(crate) struct Earlier {
    /// What it knew of the Markdown files.
    pub(crate) files: Files,
    /// What lies in the content folder now, and what is wrong there; none where nobody has looked.
    pub(crate) content: Option<(Vec<Found>, Vec<Diagnostic>)>,
    /// When this build began, by the clock of the disk that the site is on.
    pub(crate) begun: SystemTime,
    /// The files that were read.
    read: Mutex<Vec<SourcePath>>,
}

impl Earlier {
    /// Of what was known of the `files`, and of what the content folder holds now, where somebody has looked.
    pub(crate) fn new(files: Files, content: Option<(Vec<Found>, Vec<Diagnostic>)>, begun: SystemTime) -> Self {
        Self { files, content, begun, read: Mutex::default() }
    }

    /// The files that had to be read, since their state on disk is none that was known.
    pub(crate) fn read_anew(&self) -> Vec<SourcePath> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the Markdown file `found` says: as it was known, where the file is as it was then.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn read(&self, found: &Found, of: Of) -> Result<(Written, Arc<KnownFile>), Diagnostic> {
        let known = self.files.get(&found.path).and_then(|known| Some((known, known.front()?)));
        let known = match known {
            Some((known, front)) if known.stat == Some(found.stat.print) => {
                return Ok((known.written(found, front, None), known.clone()));
            }
            known => known,
        };
        self.read.lock().unwrap_or_else(PoisonError::into_inner).push(found.path.clone());
        let bytes = read_bytes(&found.file)?;
        let (digest, stat) = (Print::of(&bytes), found.stat.settled(self.begun));
        let text = source::text(&shown(&found.file), bytes)?;
        if let Some((known, front)) = known.filter(|(known, _)| known.digest == digest) {
            let known = Arc::new(KnownFile { stat, ..KnownFile::clone(known) });
            return Ok((known.written(found, front, Some(text)), known));
        }
        let (front, body_at) = front_matter::parse(&shown(&found.file), &text, of)?;
        let kept = serde_json::to_string(&front).expect("front matter has text keys").into();
        let known = Arc::new(KnownFile { stat, digest, front: kept, body_at, page: None });
        Ok((known.written(found, front, Some(text)), known))
    }
}

impl KnownFile {
    /// What the file `found` said when this was known of it; none where that is not to be understood any more.
    pub(crate) fn recall(&self, found: &Found) -> Option<Written> {
        Some(self.written(found, self.front()?, None))
    }

    /// What its front matter says, key by key.
    pub(crate) fn keys(&self) -> Option<Map<String, Value>> {
        serde_json::from_str(&self.front).ok()
    }

    /// Whether both files say the same above their bodies.
    pub(crate) fn has_front_of(&self, other: &Self) -> bool {
        self.front == other.front
    }

    fn front(&self) -> Option<FrontMatter> {
        serde_json::from_str(&self.front).ok()
    }

    fn written(&self, found: &Found, front: FrontMatter, text: Option<String>) -> Written {
        Written { front, text, body_at: self.body_at, origin: Origin::plain(&found.file), record: None, records: None }
    }

    /// The same with what its page became.
    pub(crate) fn with(self: &Arc<Self>, path: &SitePath, facts: &Arc<Facts>) -> Arc<Self> {
        match &self.page {
            Some((known_path, known)) if known_path == path && known == facts => self.clone(),
            _ => Arc::new(Self { page: Some((path.clone(), facts.clone())), ..Self::clone(self) }),
        }
    }
}

/// The state of a site and of what was built of it, at the end of a build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Of the engine and the site's settings; nothing below is good under another.
    pub(crate) surroundings: Print,
    /// Of the state of every source; none where one had only just been written.
    pub(crate) sources: Option<Print>,
    /// The same of those that are not below the content folder.
    pub(crate) frame: Option<Print>,
    /// Of the state of what was built, as the caller tells it.
    pub(crate) built: Option<Digest>,
    /// When it was built, in nanoseconds since 1970, and when the next page goes live or ends.
    pub(crate) at: i128,
    /// The next instant at which something changes by itself.
    pub(crate) until: Option<i128>,
    /// How many pages were built.
    pub(crate) pages: usize,
    /// What was made beside the plan of the build, such as the parts of a sitemap.
    pub(crate) besides: HashSet<SitePath>,
    /// The tables that belong to it.
    pub(crate) tables: Tables,
}

impl Head {
    /// Whether the same pages are live at `now`.
    pub(crate) fn is_timely(&self, now: Timestamp) -> bool {
        let now = now.as_nanosecond();
        self.at <= now && self.until.is_none_or(|until| now < until)
    }
}

/// The fingerprints of the parts of the tables. The parts are written before the state that names them, so that after a
/// crash between them the parts on disk are not those of the state, and count for nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tables {
    files: Vec<Print>,
    records: Vec<Print>,
}

impl Tables {
    /// The same without what was made.
    pub(crate) fn of_files(&self) -> Self {
        Self { files: self.files.clone(), ..Self::default() }
    }
}

impl Default for Tables {
    /// Without a row.
    fn default() -> Self {
        let none = || (0..PARTS).map(|_| Print::default()).collect();
        Self { files: none(), records: none() }
    }
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
        postcard::from_bytes(&self.cache.get(&self.key("head", 0))?).ok()
    }

    /// Keeps the state at the end of a build.
    pub(crate) fn put_head(&self, head: &Head) {
        self.put("head", 0, head);
    }

    /// What was known of the Markdown files; none where it is lost.
    pub(crate) fn files(&self, of: &Tables) -> Option<Files> {
        let rows: Vec<Vec<(SourcePath, Arc<KnownFile>)>> = self.read("files", &of.files)?;
        Some(together(rows))
    }

    /// What was made; none where it is lost.
    pub(crate) fn records(&self, of: &Tables) -> Option<Records> {
        Some(together(self.read("records", &of.records)?))
    }

    /// Keeps what is known of the Markdown files; `changed` are those of which something else is known than is kept in
    /// `tables`.
    pub(crate) fn put_files<'a>(&self, files: &Files, changed: impl Iterator<Item = &'a str>, tables: &mut Tables) {
        self.write("files", files, changed, SourcePath::as_str, &mut tables.files);
    }

    /// Keeps what was made; `changed` is where something else was made than is kept in `tables`.
    pub(crate) fn put_records<'a>(&self, made: &Records, changed: impl Iterator<Item = &'a str>, tables: &mut Tables) {
        self.write("records", made, changed, SitePath::as_str, &mut tables.records);
    }

    fn read<R: DeserializeOwned + Send>(&self, table: &str, prints: &[Print]) -> Option<Vec<Vec<R>>> {
        let parts: Vec<(u64, Print)> = (0..PARTS).zip(prints.iter().copied()).collect();
        let part = |(part, print): &(u64, Print)| {
            if *print == Print::default() {
                return Some(Vec::new());
            }
            let bytes = self.cache.get(&self.key(table, *part)).filter(|bytes| Print::of(bytes) == *print)?;
            postcard::from_bytes(&bytes).ok()
        };
        parallel::map_few(&parts, part).into_iter().collect()
    }

    fn write<'a, K: Serialize + Ord + Sync, V: Serialize + Sync>(
        &self,
        table: &str,
        rows: &HashMap<K, V>,
        changed: impl Iterator<Item = &'a str>,
        text: impl Fn(&K) -> &str,
        prints: &mut [Print],
    ) {
        let mut stale: BTreeMap<u64, Vec<(&K, &V)>> = changed.map(|key| (part_of(key), Vec::new())).collect();
        for (key, value) in rows {
            if let Some(part) = stale.get_mut(&part_of(text(key))) {
                part.push((key, value));
            }
        }
        let stale: Vec<(u64, Vec<(&K, &V)>)> = stale.into_iter().collect();
        let kept = parallel::map_few(&stale, |(part, rows)| self.put(table, *part, rows));
        for ((part, _), print) in stale.iter().zip(kept) {
            prints[usize::try_from(*part).expect("there are few parts")] = print;
        }
    }

    /// Keeps one part of a table, and says what its fingerprint is.
    fn put(&self, table: &str, part: u64, value: &impl Serialize) -> Print {
        let bytes = postcard::to_stdvec(value).expect("rows are numbers and texts, and written into memory");
        self.cache.put(&self.key(table, part), &bytes);
        Print::of(&bytes)
    }

    fn key(&self, table: &str, part: u64) -> Digest {
        Digest::of(format!("{}\n{table}\n{part}", self.name).as_bytes())
    }
}

/// One table of the rows of its parts.
fn together<K: Eq + Hash, V>(parts: Vec<Vec<(K, V)>>) -> HashMap<K, V> {
    let mut table = HashMap::with_capacity(parts.iter().map(Vec::len).sum());
    table.extend(parts.into_iter().flatten());
    table
}

/// The part of a table in which `key` stands.
fn part_of(key: &str) -> u64 {
    hash(key) % PARTS
}

/// A number for a text that is the same on every machine. Not a secure hash: only its spread matters.
pub(crate) fn hash(text: &str) -> u64 {
    let word = |part: &[u8]| part.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let hash = text.as_bytes().chunks(8).fold(0, |hash: u64, part| {
        // As FNV-1a, by eight bytes at once, and with a multiplier that reaches all bits of a word (2^64 / phi).
        (hash.rotate_left(29) ^ word(part)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    });
    hash >> 32
}
