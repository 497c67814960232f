//! The comparison of a candidate with the live site: what an operator is told before deciding.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::thread;

use tieup_protocol::change::{Change, ChangedPath, Nature, Risks};
use tieup_protocol::difference::{BinaryFile, Difference, NewFile};
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_protocol::shape::PageShape;
use tieup_store::blobs::{BlobStore, ReadBlobError};

use crate::candidate::{Candidate, MergedFile};
use crate::edits::{Edit, Groups, Kind, edits};

/// From how many paths on more than one thread compares them.
const WORTH_A_THREAD: usize = 16;

/// What comparing two sites finds: what the rules and the sentence go by, and what is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What would change.
    pub change: Change,
    /// How it is shown.
    pub difference: Difference,
}

/// Compares two sites path by path, each file read once.
///
/// `accepted` are the scripts, forms and hosts that the operator has let through before.
///
/// # Errors
/// When a page of the candidate cannot be read.
pub fn compare(
    live: &Candidate,
    candidate: &Candidate,
    accepted: &Risks,
    blobs: &BlobStore,
) -> Result<Comparison, ReadBlobError> {
    let paths = differing(live, candidate);
    let found = in_parallel(&paths, |path: &&SitePath| {
        Found::at(path, live.files.get(*path), candidate.files.get(*path), blobs)
    })?;
    let (mut comparison, mut groups, mut risks) = (Comparison::default(), Groups::default(), Risks::default());
    for found in found {
        risks.extend(found.risks);
        note(&mut comparison.difference, &mut groups, found.path, found.seen);
        comparison.change.paths.insert(found.path.clone(), found.changed);
    }
    // Pages name their own site by its full address; that is no external host.
    risks.hosts.retain(|host| !is_host_of(&candidate.base_url, host));
    comparison.change.first = live.files.is_empty();
    comparison.change.new_risks = risks.beyond(accepted);
    (comparison.difference.groups, comparison.change.layout) = groups.finish();
    Ok(comparison)
}

/// What is found at one path.
struct Found<'a> {
    path: &'a SitePath,
    changed: ChangedPath,
    risks: Risks,
    seen: Seen,
}

/// What is shown of one path.
enum Seen {
    Removed,
    New(u64),
    Binary { before: u64, after: u64 },
    Edits(Vec<Edit>),
}

impl<'a> Found<'a> {
    fn at(
        path: &'a SitePath,
        old: Option<&MergedFile>,
        new: Option<&MergedFile>,
        blobs: &BlobStore,
    ) -> Result<Self, ReadBlobError> {
        let Some(new) = new else {
            let changed = ChangedPath { nature: Nature::Removed, bytes: 0 };
            return Ok(Self { path, changed, risks: Risks::default(), seen: Seen::Removed });
        };
        let bytes = new.blob.length;
        let text = if is_markup(new) || is_text(new) { Some(read_text(new, blobs)?) } else { None };
        let shape = text.as_deref().filter(|_| is_markup(new)).map(PageShape::of);
        let (nature, seen) = match old {
            None => (Nature::New, Seen::New(bytes)),
            Some(old) => Self::changed(old, new, text.as_deref(), shape.as_ref(), blobs),
        };
        let risks = shape.map(|shape| shape.risks).unwrap_or_default();
        Ok(Self { path, changed: ChangedPath { nature, bytes }, risks, seen })
    }

    /// What becomes of `old`. One that cannot be read, since its blob is damaged, must not keep its replacement out.
    fn changed(
        old: &MergedFile,
        new: &MergedFile,
        text: Option<&str>,
        shape: Option<&PageShape>,
        blobs: &BlobStore,
    ) -> (Nature, Seen) {
        let before = if is_markup(old) || is_text(old) { read_text(old, blobs).ok() } else { None };
        let alone = match (before.as_deref().filter(|_| is_markup(old)), shape) {
            (Some(before), Some(shape)) => PageShape::of(before).differs_in_text_alone(shape),
            _ => false,
        };
        let seen = match (before, text) {
            (Some(before), Some(text)) if is_text(old) && is_text(new) => {
                edits(&before, text, if is_markup(new) { Kind::Markup } else { Kind::Text })
            }
            _ => Vec::new(),
        };
        // What differs in no line, but in its media type or line ends, is named at least.
        let sizes = Seen::Binary { before: old.blob.length, after: new.blob.length };
        let seen = if seen.is_empty() { sizes } else { Seen::Edits(seen) };
        (if alone { Nature::Text } else { Nature::Content }, seen)
    }
}

/// Puts what was found at a path where it is shown.
fn note(difference: &mut Difference, groups: &mut Groups, path: &SitePath, seen: Seen) {
    let path = path.clone();
    match seen {
        Seen::Removed => difference.removed.push(path),
        Seen::New(bytes) => difference.new.push(NewFile { path, bytes }),
        Seen::Binary { before, after } => difference.binary.push(BinaryFile { path, before, after }),
        Seen::Edits(edits) => groups.add(&path, edits),
    }
}

/// Does `work` for each item, on as many threads as there are processors, and gives the results in order.
fn in_parallel<'a, T: Sync, R: Send, E: Send>(
    items: &'a [T],
    work: impl Fn(&'a T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    if threads == 1 || items.len() < WORTH_A_THREAD {
        return items.iter().map(work).collect();
    }
    let work = &work;
    thread::scope(|scope| {
        let chunks = items.chunks(items.len().div_ceil(threads));
        let running: Vec<_> =
            chunks.map(|chunk| scope.spawn(move || chunk.iter().map(work).collect::<Result<Vec<R>, E>>())).collect();
        let mut done = Vec::with_capacity(items.len());
        for thread in running {
            // A panic of one thread is one of the caller's.
            done.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(done)
    })
}

fn is_host_of(base_url: &str, host: &str) -> bool {
    let own = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    own.split('/').next() == Some(host)
}

fn differing<'a>(live: &'a Candidate, candidate: &'a Candidate) -> Vec<&'a SitePath> {
    let all: BTreeSet<&SitePath> = live.files.keys().chain(candidate.files.keys()).collect();
    let content = |site: &'a Candidate, path: &SitePath| site.files.get(path).map(|file| (file.blob, &file.media_type));
    all.into_iter().filter(|path| content(live, path) != content(candidate, path)).collect()
}

fn is_markup(file: &MergedFile) -> bool {
    let media_type = file.media_type.to_ascii_lowercase();
    file.kind == EntryKind::Page || ["html", "svg", "xml"].iter().any(|kind| media_type.contains(kind))
}

fn is_text(file: &MergedFile) -> bool {
    file.media_type.starts_with("text/") || file.media_type.contains("xml")
}

fn read_text(file: &MergedFile, blobs: &BlobStore) -> Result<String, ReadBlobError> {
    Ok(String::from_utf8_lossy(&blobs.read(&file.blob)?).into_owned())
}

#[cfg(test)]
mod tests {
    use tieup_protocol::contract::Owner;

    use super::*;

    /// A site of pages with these texts, by path.
    fn site(blobs: &BlobStore, pages: impl IntoIterator<Item = (String, String)>) -> Candidate {
        let page = |(path, text): (String, String)| {
            let (blob, media_type) = (blobs.put(text.as_bytes()).unwrap(), "text/html".to_owned());
            (path.parse().unwrap(), MergedFile { blob, media_type, kind: EntryKind::Page, owner: Owner::Main })
        };
        Candidate { files: pages.into_iter().map(page).collect(), ..Candidate::default() }
    }

    fn numbered(body: &str) -> impl Iterator<Item = (String, String)> {
        (0..WORTH_A_THREAD * 3).map(move |n| (format!("/{n:03}/"), format!("<p>{n}</p>\n{body}\n<p>end</p>\n")))
    }

    #[test]
    fn many_pages_are_compared_side_by_side_and_told_as_one_edit() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(folder.path()).unwrap();
        let (old, new) = (site(&blobs, numbered("<i>a</i>")), site(&blobs, numbered("<i class=b>a</i>")));
        let Comparison { change, difference } = compare(&old, &new, &Risks::default(), &blobs).unwrap();
        assert_eq!((change.paths.len(), change.layout), (WORTH_A_THREAD * 3, WORTH_A_THREAD * 3));
        assert!(change.paths.values().all(|path| path.nature == Nature::Content));
        assert_eq!(difference.groups.len(), 1);
        let in_order: Vec<&SitePath> = new.files.keys().collect();
        assert_eq!(difference.groups[0].paths.iter().collect::<Vec<_>>(), in_order);
    }

    #[test]
    fn new_removed_and_unreadable_pages_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(folder.path()).unwrap();
        let page = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let old = site(&blobs, [page("/a/", "<p>old</p>"), page("/b/", "<p>b</p>")]);
        let mut new = site(&blobs, [page("/b/", "<p>other</p>"), page("/c/", "<a href=//evil.example>c</a>")]);
        let Comparison { change, difference } = compare(&old, &new, &Risks::default(), &blobs).unwrap();
        let natures: Vec<Nature> = change.paths.values().map(|path| path.nature).collect();
        assert_eq!(natures, [Nature::Removed, Nature::Text, Nature::New]);
        assert_eq!(change.new_risks.hosts.iter().collect::<Vec<_>>(), ["evil.example"]);
        assert_eq!((difference.removed.len(), difference.new.len(), difference.groups.len()), (1, 1, 1));
        for file in new.files.values_mut() {
            file.blob = tieup_protocol::manifest::BlobRef::of(b"not here");
        }
        assert!(compare(&old, &new, &Risks::default(), &blobs).is_err());
        assert!(compare(&new, &old, &Risks::default(), &blobs).is_ok(), "what was is not needed");
    }
}
