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
    let mut claimed: BTreeMap<&SitePath, &str> =
        statics.iter().map(|(path, file)| (path, file.source.as_str())).collect();
    for page in pages {
        let path = &page.entry.path;
        let file = page.source.file.as_str();
        let twin = path.twin().and_then(|twin| claimed.get(&twin).copied());
        if let Some(first) = claimed.insert(path, file).or(twin) {
            problems.push(duplicate(page, first));
        }
    }
    lookalike::check(&claimed, problems);
    for (path, file) in claimed.iter().filter(|(path, _)| !path.is_page()) {
        let below = path.with_slash();
        let inside = claimed.range::<&SitePath, _>(&below..).next().filter(|(inside, _)| inside.is_within(&below));
        if let Some((inside, other)) = inside {
            let message = format!("`{path}` cannot be a file and hold `{inside}` at once");
            problems.push(Diagnostic::new("duplicate-path", *file, message).related(
                *other,
                None,
                "claims a path below",
            ));
        }
    }
}

fn duplicate(page: &Page, first: &str) -> Diagnostic {
    let message = format!("`{}` is claimed by two files", page.entry.path);
    let other = Source { file: first.to_owned() };
    let line = other.line_of("\npath:", "").or_else(|| other.line_of("\nslug:", ""));
    let problem = Diagnostic::new("duplicate-path", page.source.file.as_str(), message)
        .related(first, line, "claimed here first")
        .help("give one of them another `slug` or `path`");
    let text = &page.source.text();
    match ["\npath:", "\nslug:"].into_iter().find_map(|key| text.find(key)) {
        Some(at) => {
            problem.at_offset(text, at + 1, text[at + 1..].lines().next().map_or(1, |line| line.chars().count()))
        }
        None => problem,
    }
}
