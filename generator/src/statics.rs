//! A site's own files, `static/**`, and what may not stand at one path together.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;

use crate::lookalike;
use crate::output::{OutputFile, media_type};
use crate::page::{Page, Source};
use crate::source::{Found, files_below, read_bytes, shown};

/// Reads every file below `folder` by the path it is served at. `index.html` stands at its folder's path.
pub(crate) fn load(folder: &Path, problems: &mut Vec<Diagnostic>) -> BTreeMap<SitePath, OutputFile> {
    let mut files = BTreeMap::new();
    for found in files_below(folder, problems) {
        match read(&found) {
            Ok((path, file)) => drop(files.insert(path, file)),
            Err(problem) => problems.push(problem),
        }
    }
    files
}

fn read(found: &Found) -> Result<(SitePath, OutputFile), Diagnostic> {
    let source = shown(&found.file);
    let below = found.path.as_str();
    let folder = below.strip_suffix("index.html").filter(|folder| folder.is_empty() || folder.ends_with('/'));
    let path: SitePath = format!("/{}", folder.unwrap_or(below))
        .parse()
        .map_err(|error| Diagnostic::new("bad-path", source.as_str(), format!("{error}")))?;
    let kind = if path.is_page() { EntryKind::Page } else { EntryKind::Asset };
    let bytes = read_bytes(&found.file)?.into();
    let media_type = media_type(&path);
    Ok((path, OutputFile { bytes, kind, media_type, slots: Vec::new(), source }))
}

/// Names every path that two files claim, and every file that stands where a folder must be.
pub(crate) fn check_paths(
    pages: &[Arc<Page>],
    statics: &BTreeMap<SitePath, OutputFile>,
    problems: &mut Vec<Diagnostic>,
) {
    let mut claimed: Vec<Claim<'_>> = statics.iter().map(|(path, file)| (path, file.source.as_str(), None)).collect();
    claimed.extend(pages.iter().map(|page| (&page.entry.path, page.source.file.as_str(), Some(&**page))));
    // Stable, so that of two that claim a path the first one stays the first.
    claimed.sort_by_key(|(path, ..)| *path);
    for pair in claimed.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        problems.extend(pair[1].2.map(|page| duplicate(page, pair[0].1)));
    }
    claimed.dedup_by_key(|(path, ..)| *path);
    lookalike::check(&claimed, problems);
    for claim in claimed.iter().filter(|(path, ..)| !path.is_page()) {
        problems.extend(claim.0.twin().and_then(|twin| twins(claim, find(&claimed, &twin)?)));
        problems.extend(holder(claim, &claimed));
    }
}

/// A path, the file that claims it, and the page that this file is.
pub(crate) type Claim<'a> = (&'a SitePath, &'a str, Option<&'a Page>);

/// What claims `path`, of claims in order.
pub(crate) fn find<'a, 'b>(claimed: &'b [Claim<'a>], path: &SitePath) -> Option<&'b Claim<'a>> {
    claimed.binary_search_by_key(&path, |(claimed, ..)| *claimed).ok().map(|at| &claimed[at])
}

/// One file of a browsable tree cannot hold both; the later one is told.
fn twins(one: &Claim<'_>, other: &Claim<'_>) -> Option<Diagnostic> {
    let order = |claim: &Claim<'_>| claim.2.map(|page| page.order.clone());
    let (first, later) = if order(one) < order(other) { (one, other) } else { (other, one) };
    Some(duplicate(later.2?, first.1))
}

/// Where one stands that is a file, there can be no folder for another.
fn holder((path, file, _): &Claim<'_>, claimed: &[Claim<'_>]) -> Option<Diagnostic> {
    let below = path.with_slash();
    let first = claimed.partition_point(|(other, ..)| **other < below);
    let (inside, other, _) = claimed.get(first).filter(|(inside, ..)| inside.is_within(&below))?;
    let message = format!("`{path}` cannot be a file and hold `{inside}` at once");
    Some(Diagnostic::new("duplicate-path", *file, message).related(*other, None, "claims a path below"))
}

fn duplicate(page: &Page, first: &str) -> Diagnostic {
    let message = format!("`{}` is claimed by two files", page.entry.path);
    let other = Source { file: first.to_owned() };
    let line = other.line_of("\npath:", "").or_else(|| other.line_of("\nslug:", ""));
    let problem = Diagnostic::new("duplicate-path", page.source.file.as_str(), message)
        .related(first, line, "claimed here first")
        .help("give one of them another `slug` or `path`");
    where_named(problem, &page.source)
}

/// The problem where the front matter of `source` names the path of its page; of the whole file where it does not.
pub(crate) fn where_named(problem: Diagnostic, source: &Source) -> Diagnostic {
    let text = &source.text();
    match ["\npath:", "\nslug:"].into_iter().find_map(|key| text.find(key)) {
        Some(at) => {
            problem.at_offset(text, at + 1, text[at + 1..].lines().next().map_or(1, |line| line.chars().count()))
        }
        None => problem,
    }
}
