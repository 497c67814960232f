//! The comparison of a candidate with the live site: what an operator is told before deciding.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tieup_protocol::change::{Change, ChangedPath, Nature, Risks};
use tieup_protocol::difference::{BinaryFile, Difference, NewFile};
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_protocol::shape::PageShape;
use tieup_store::blobs::{BlobStore, ReadBlobError};

use crate::candidate::{Candidate, MergedFile};
use crate::edits::{Edit, Groups, Kind, edits};
use crate::shapes::Shapes;

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
    pages: &Pages<'_>,
) -> Result<Comparison, ReadBlobError> {
    let paths = differing(live, candidate);
    let one_address = live.files.is_empty() || live.base_url == candidate.base_url;
    let found = in_parallel(&paths, |path: &&SitePath| -> Result<_, ReadBlobError> {
        let (old, new) = (live.files.get(*path), candidate.files.get(*path));
        let found = pages.found(path, old, new)?;
        match new.filter(|new| !one_address && is_markup(new)) {
            // A host that was the site's own before its address changed is none of the page's.
            Some(new) => Ok(Found { risks: pages.risks_anew(new)?, ..found }),
            None => Ok(found),
        }
    })?;
    let (mut comparison, mut groups, mut risks) = (Comparison::default(), Groups::default(), Risks::default());
    for found in found {
        add(&mut risks, &found.risks);
        if is_restyled(candidate.files.get(found.path), found.changed.nature) {
            comparison.change.restyled.insert(found.path.clone());
        }
        note(&mut comparison.difference, &mut groups, found.path, found.seen);
        comparison.change.paths.insert(found.path.clone(), found.changed);
    }
    comparison.change.first = live.files.is_empty();
    comparison.change.new_risks = beyond(risks, accepted, candidate);
    (comparison.difference.groups, comparison.change.layout) = groups.finish();
    pages.shapes.keep(&[live, candidate]);
    Ok(comparison)
}

/// The scripts, forms and hosts that `candidate` brings beyond those in `accepted`.
///
/// # Errors
/// When a page that differs from the live one is not here or cannot be read.
pub fn new_risks(
    live: &Candidate,
    candidate: &Candidate,
    accepted: &Risks,
    pages: &Pages<'_>,
) -> Result<Risks, ReadBlobError> {
    let found = in_parallel(&differing(live, candidate), |path: &&SitePath| pages.risks(candidate.files.get(*path)))?;
    let mut risks = Risks::default();
    for of_page in &found {
        add(&mut risks, of_page);
    }
    Ok(beyond(risks, accepted, candidate))
}

/// Adds the risks of one page to those of the pages before it, which mostly have the same.
fn add(risks: &mut Risks, of_page: &Risks) {
    if !risks.contains(of_page) {
        risks.extend(of_page.clone());
    }
}

fn beyond(mut risks: Risks, accepted: &Risks, candidate: &Candidate) -> Risks {
    // Pages name their own site by its full address; that is no external host.
    risks.hosts.retain(|host| !is_host_of(&candidate.base_url, host));
    risks.beyond(accepted)
}

/// Where pages are read.
#[derive(Clone, Copy)]
pub struct Pages<'a> {
    /// Their content.
    pub blobs: &'a BlobStore,
    /// What is known of them.
    pub shapes: &'a Shapes,
}

/// What is found at one path.
struct Found<'a> {
    path: &'a SitePath,
    changed: ChangedPath,
    risks: Arc<Risks>,
    seen: Seen,
}

/// What is shown of one path.
enum Seen {
    Removed,
    New(u64),
    Binary { before: u64, after: u64 },
    Edits(Vec<Edit>),
}

impl Pages<'_> {
    fn found<'a>(
        &self,
        path: &'a SitePath,
        old: Option<&MergedFile>,
        new: Option<&MergedFile>,
    ) -> Result<Found<'a>, ReadBlobError> {
        let Some(new) = new else {
            let changed = ChangedPath { nature: Nature::Removed, bytes: 0 };
            return Ok(Found { path, changed, risks: Arc::default(), seen: Seen::Removed });
        };
        let bytes = new.blob.length;
        let text = if is_markup(new) || is_text(new) { Some(self.text(new)?) } else { None };
        let (nature, seen) = match old {
            None => (Nature::New, Seen::New(bytes)),
            Some(old) => self.changed(old, new, text.as_deref()),
        };
        let risks = match text.filter(|_| is_markup(new)) {
            Some(text) => self.shapes.of(&new.blob, &text).risks.clone(),
            None => Arc::default(),
        };
        Ok(Found { path, changed: ChangedPath { nature, bytes }, risks, seen })
    }

    /// What becomes of `old`. One that cannot be read, since its blob is damaged, must not keep its replacement out.
    fn changed(&self, old: &MergedFile, new: &MergedFile, text: Option<&str>) -> (Nature, Seen) {
        let before = if is_markup(old) || is_text(old) { self.text(old).ok() } else { None };
        let (mut alone, mut seen) = (false, Vec::new());
        if let (Some(before), Some(text)) = (&before, text) {
            if is_markup(old) && is_markup(new) {
                let step = self.shapes.of(&old.blob, before).step(before, text);
                alone = step.in_words_alone && (&old.media_type, old.kind) == (&new.media_type, new.kind);
                self.shapes.note(&new.blob, step.shape);
            }
            if is_text(old) && is_text(new) {
                seen = edits(before, text, if is_markup(new) { Kind::Markup } else { Kind::Text });
            }
        }
        // What differs in no line, but in its media type or line ends, is named at least.
        let sizes = Seen::Binary { before: old.blob.length, after: new.blob.length };
        let seen = if seen.is_empty() { sizes } else { Seen::Edits(seen) };
        (if alone { Nature::Text } else { Nature::Content }, seen)
    }

    /// The scripts, forms and hosts of a file, which must be here.
    fn risks(&self, file: Option<&MergedFile>) -> Result<Arc<Risks>, ReadBlobError> {
        let Some(file) = file.filter(|file| is_markup(file)) else { return Ok(Arc::default()) };
        match self.shapes.get(&file.blob).filter(|_| self.blobs.contains(&file.blob)) {
            Some(shape) => Ok(shape.risks.clone()),
            None => Ok(PageShape::of(&self.text(file)?).risks),
        }
    }

    /// The same, whatever is known of the pages that it came of.
    fn risks_anew(&self, file: &MergedFile) -> Result<Arc<Risks>, ReadBlobError> {
        let shape = PageShape::of(&self.text(file)?);
        Ok(self.shapes.note(&file.blob, shape).risks.clone())
    }

    fn text(&self, file: &MergedFile) -> Result<String, ReadBlobError> {
        let bytes = self.blobs.read(&file.blob)?;
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
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

/// Whether a file of the layout, other than a page, changes where it stands.
fn is_restyled(file: Option<&MergedFile>, nature: Nature) -> bool {
    let is_changed = matches!(nature, Nature::Text | Nature::Content);
    is_changed && file.is_some_and(|file| file.kind == EntryKind::Layout && !file.media_type.starts_with("text/html"))
}

fn is_host_of(base_url: &str, host: &str) -> bool {
    let own = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    own.split('/').next() == Some(host)
}

/// The paths at which two sites differ, in order.
fn differing<'a>(live: &'a Candidate, candidate: &'a Candidate) -> Vec<&'a SitePath> {
    let (mut old, mut new) = (live.files.iter().peekable(), candidate.files.iter().peekable());
    let mut paths = Vec::new();
    loop {
        let (before, after) = (old.peek(), new.peek());
        let (path, differs) = match (before, after) {
            (None, None) => return paths,
            (Some((path, _)), None) | (None, Some((path, _))) => (*path, true),
            (Some((a, before)), Some((b, after))) if a == b => {
                let what = |file: &'a MergedFile| (file.blob, &file.media_type, file.kind);
                (*a, what(before) != what(after))
            }
            (Some((a, _)), Some((b, _))) => (*a.min(b), true),
        };
        if differs {
            paths.push(path);
        }
        old.next_if(|(there, _)| *there == path);
        new.next_if(|(there, _)| *there == path);
    }
}

fn is_markup(file: &MergedFile) -> bool {
    let media_type = file.media_type.to_ascii_lowercase();
    file.kind == EntryKind::Page || ["html", "svg", "xml"].iter().any(|kind| media_type.contains(kind))
}

fn is_text(file: &MergedFile) -> bool {
    file.media_type.starts_with("text/") || file.media_type.contains("xml")
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
        let (blobs, shapes) = (BlobStore::open(folder.path()).unwrap(), Shapes::default());
        let pages = Pages { blobs: &blobs, shapes: &shapes };
        let (old, new) = (site(&blobs, numbered("<i>a</i>")), site(&blobs, numbered("<i class=b>a</i>")));
        let Comparison { change, difference } = compare(&old, &new, &Risks::default(), &pages).unwrap();
        assert_eq!((change.paths.len(), change.layout), (WORTH_A_THREAD * 3, WORTH_A_THREAD * 3));
        assert!(change.paths.values().all(|path| path.nature == Nature::Content));
        assert_eq!(difference.groups.len(), 1);
        let in_order: Vec<&SitePath> = new.files.keys().collect();
        assert_eq!(difference.groups[0].paths.iter().collect::<Vec<_>>(), in_order);
    }

    #[test]
    fn new_removed_and_unreadable_pages_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, shapes) = (BlobStore::open(folder.path()).unwrap(), Shapes::default());
        let pages = Pages { blobs: &blobs, shapes: &shapes };
        let page = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let old = site(&blobs, [page("/a/", "<p>old</p>"), page("/b/", "<p>b</p>")]);
        let mut new = site(&blobs, [page("/b/", "<p>other</p>"), page("/c/", "<a href=//evil.example>c</a>")]);
        let Comparison { change, difference } = compare(&old, &new, &Risks::default(), &pages).unwrap();
        let natures: Vec<Nature> = change.paths.values().map(|path| path.nature).collect();
        assert_eq!(natures, [Nature::Removed, Nature::Text, Nature::New]);
        assert_eq!(change.new_risks.hosts.iter().collect::<Vec<_>>(), ["evil.example"]);
        assert_eq!((difference.removed.len(), difference.new.len(), difference.groups.len()), (1, 1, 1));
        for file in new.files.values_mut() {
            file.blob = tieup_protocol::manifest::BlobRef::of(b"not here");
        }
        assert!(compare(&old, &new, &Risks::default(), &pages).is_err());
        assert!(compare(&new, &old, &Risks::default(), &pages).is_ok(), "what was is not needed");
    }

    #[test]
    fn what_is_known_of_pages_changes_no_finding() {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, known) = (BlobStore::open(folder.path()).unwrap(), Shapes::default());
        let warm = Pages { blobs: &blobs, shapes: &known };
        let versions = [
            "<script src=/a.js></script><p>one</p>",
            "<script src=/a.js></script><p>two</p>",
            "<script src=/a.js></script><p>two</p><a href=//evil.example/>x</a>",
            "<script src=/a.js>steal()</script><p>two</p>",
            "<script src=/a.js></script><p>three</p><a href=https://shop.example/>us</a>",
        ];
        let (mut live, mut accepted) = (Candidate::default(), Risks::default());
        for (number, version) in versions.iter().enumerate() {
            let next = Candidate { base_url: "https://shop.example".to_owned(), ..site(&blobs, numbered(version)) };
            let cold = Pages { blobs: &blobs, shapes: &Shapes::default() };
            let found = compare(&live, &next, &accepted, &warm).unwrap();
            assert_eq!(found, compare(&live, &next, &accepted, &cold).unwrap(), "version {number}");
            let risks = new_risks(&live, &next, &accepted, &warm).unwrap();
            assert_eq!(risks, found.change.new_risks);
            assert_eq!(risks, new_risks(&live, &next, &accepted, &cold).unwrap());
            accepted.extend(risks);
            live = next;
        }
        // Under another address of its own the site's pages name a foreign host, which they did all along.
        let moved = Candidate { base_url: "https://new.example".to_owned(), ..site(&blobs, numbered(versions[4])) };
        let foreign = |pages| compare(&Candidate::default(), &moved, &accepted, pages).unwrap().change.new_risks.hosts;
        assert_eq!(foreign(&warm).into_iter().collect::<Vec<_>>(), ["shop.example"]);
        let before = Candidate { files: site(&blobs, numbered(versions[0])).files, ..live };
        let found = compare(&moved, &before, &accepted, &warm).unwrap();
        assert!(found.change.new_risks.is_empty(), "{:?}", found.change.new_risks);
    }

    #[test]
    fn how_a_page_is_answered_is_more_than_words() {
        let folder = tempfile::tempdir().unwrap();
        let (blobs, shapes) = (BlobStore::open(folder.path()).unwrap(), Shapes::default());
        let pages = Pages { blobs: &blobs, shapes: &shapes };
        let old = site(&blobs, [("/a/".to_owned(), "<p>a</p>".to_owned())]);
        let with = |change: fn(&mut MergedFile)| {
            let mut new = old.clone();
            new.files.values_mut().for_each(change);
            compare(&old, &new, &Risks::default(), &pages).unwrap().change.paths.into_values().collect::<Vec<_>>()
        };
        let content = vec![ChangedPath { nature: Nature::Content, bytes: 8 }];
        assert_eq!(with(|file| file.media_type = "text/html; charset=iso-2022-jp".to_owned()), content);
        assert_eq!(with(|file| file.kind = EntryKind::Redirect), content);
        assert_eq!(with(|_| {}), []);
    }
}
