//! The comparison of a candidate with the live site: what an operator is told before deciding.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use similar::TextDiff;
use tieup_protocol::change::{Change, ChangedPath, Nature, PageShape, Risks};
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_store::blobs::{BlobStore, ReadBlobError};

use crate::candidate::{Candidate, MergedFile};

/// Unchanged lines shown around a change.
const CONTEXT: usize = 2;

/// Compares two sites path by path.
///
/// `accepted` are the scripts, forms and hosts that the operator has let through before.
///
/// # Errors
/// When a page of either site cannot be read.
pub fn compare(
    live: &Candidate,
    candidate: &Candidate,
    accepted: &Risks,
    blobs: &BlobStore,
) -> Result<Change, ReadBlobError> {
    let mut paths = BTreeMap::new();
    let mut risks = Risks::default();
    for path in differing(live, candidate) {
        let (old, new) = (live.files.get(path), candidate.files.get(path));
        let changed = match (old, new) {
            (_, None) => ChangedPath { nature: Nature::Removed, bytes: 0 },
            (old, Some(new)) => {
                let shape = shape(new, blobs)?;
                let nature = nature(old, shape.as_ref(), blobs);
                risks.extend(shape.map(|shape| shape.risks).unwrap_or_default());
                ChangedPath { nature, bytes: new.blob.length }
            }
        };
        paths.insert(path.clone(), changed);
    }
    // Pages name their own site by its full address; that is no external host.
    risks.hosts.retain(|host| !is_host_of(&candidate.base_url, host));
    Ok(Change { first: live.files.is_empty(), contract: None, paths, new_risks: risks.beyond(accepted) })
}

/// A readable difference of two sites: unified diffs of pages and texts, names of everything else.
///
/// Pages whose difference is the same are shown once, with the number of others that change alike.
///
/// # Errors
/// When a page of either site cannot be read.
pub fn diff(live: &Candidate, candidate: &Candidate, blobs: &BlobStore) -> Result<String, ReadBlobError> {
    let mut names = Vec::new();
    let mut groups: Vec<(String, Vec<&SitePath>)> = Vec::new();
    for path in differing(live, candidate) {
        let (old, new) = (live.files.get(path), candidate.files.get(path));
        match (old, new) {
            (Some(old), Some(new)) if is_text(old) && is_text(new) => {
                let hunks = hunks(&read_text(old, blobs)?, &read_text(new, blobs)?);
                match groups.iter_mut().find(|(same, _)| *same == hunks) {
                    Some((_, paths)) => paths.push(path),
                    None => groups.push((hunks, vec![path])),
                }
            }
            (Some(_), Some(_)) => names.push(format!("changed  {path}")),
            (None, Some(new)) => names.push(format!("new      {path} ({} bytes)", new.blob.length)),
            _ => names.push(format!("removed  {path}")),
        }
    }
    let mut text = String::new();
    for name in names {
        let _ = writeln!(text, "{name}");
    }
    for (hunks, paths) in groups {
        let others = paths.len() - 1;
        let alike = if others == 0 { String::new() } else { format!(" and {others} more in the same way") };
        let first = paths.first().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "changed  {first}{alike}\n{hunks}");
    }
    Ok(text)
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

fn nature(old: Option<&MergedFile>, new: Option<&PageShape>, blobs: &BlobStore) -> Nature {
    let Some(old) = old else { return Nature::New };
    // An old page that cannot be read, since its blob is damaged, must not keep its replacement out.
    let text_alone = match (shape(old, blobs), new) {
        (Ok(Some(old)), Some(new)) => old.differs_in_text_alone(new),
        _ => false,
    };
    if text_alone { Nature::Text } else { Nature::Content }
}

fn shape(file: &MergedFile, blobs: &BlobStore) -> Result<Option<PageShape>, ReadBlobError> {
    let is_markup = ["html", "svg", "xml"].iter().any(|kind| file.media_type.to_ascii_lowercase().contains(kind));
    if file.kind == EntryKind::Page || is_markup { Ok(Some(PageShape::of(&read_text(file, blobs)?))) } else { Ok(None) }
}

fn is_text(file: &MergedFile) -> bool {
    file.media_type.starts_with("text/") || file.media_type.contains("xml")
}

fn read_text(file: &MergedFile, blobs: &BlobStore) -> Result<String, ReadBlobError> {
    Ok(String::from_utf8_lossy(&blobs.read(&file.blob)?).into_owned())
}

/// A unified diff of two texts.
pub fn hunks(old: &str, new: &str) -> String {
    TextDiff::from_lines(old, new).unified_diff().context_radius(CONTEXT).to_string()
}
