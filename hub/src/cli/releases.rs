//! `tieup build --partner ID` and `--partners`: what partners get, into a folder, to look at or to compare.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use serde::Serialize;
use tieup_generator::{Difference, OutputFile, Step};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_store::tree;
use tieup_web::say;

use super::build::refuse_sources;
use super::progress::{Running, Summary};
use super::site::{load, report, say_json, state};
use super::{Format, SiteArguments};

/// Where it says in the folder who shares what.
const LIST: &str = "partners.json";

/// Builds what `partner` gets.
pub(super) fn build_one(config: &Path, arguments: &SiteArguments, out: &Path, partner: &SiteId) -> anyhow::Result<()> {
    let running = Running::begin();
    let state = state(config, &arguments.site)?;
    refuse_sources(&state, arguments, out)?;
    let site = report(load(arguments, &running, &state), arguments.format)?;
    let release = report(site.build_release(partner), arguments.format)?;
    let writer = tree::Writer::begin(out)?;
    for (path, file) in &release.output.files {
        writer.write(path.to_file(), &file.bytes);
    }
    running.progress().begin(Step::Writing, 0);
    let (files, bytes) = writer.finish()?.size();
    let summary = running.end(release.output.index.len());
    let (pages, work) = (summary.pages, summary.work());
    match arguments.format {
        Format::Json => say_json(&Built { diagnostics: [], summary, partners: 1, shared: 0, files, bytes }),
        Format::Text => {
            say!(
                "Built what {partner} gets, {pages} pages, {files} files, {bytes} bytes, into {}: {work}",
                out.display()
            );
        }
    }
    Ok(())
}

/// Builds what every partner gets: `shared/K/` has what the partners of one kind share, `partners/ID/` what each has of
/// its own, and `partners.json` says who shares what.
pub(super) fn build_all(config: &Path, arguments: &SiteArguments, out: &Path) -> anyhow::Result<()> {
    let running = Running::begin();
    let state = state(config, &arguments.site)?;
    refuse_sources(&state, arguments, out)?;
    let site = report(load(arguments, &running, &state), arguments.format)?;
    let (writer, partners) = (tree::Writer::begin(out)?, Mutex::new(Vec::new()));
    let (pages, misplaced) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let releases = site.releases();
    let lay = |folder: String, path: &SitePath, file: &OutputFile| {
        pages.fetch_add(usize::from(file.kind == EntryKind::Page), Ordering::Relaxed);
        match folder.parse().and_then(|folder| path.to_file().within(&folder)) {
            Ok(place) => writer.write(place, &file.bytes),
            Err(error) => misplaced.lock().unwrap_or_else(PoisonError::into_inner).push(error),
        }
    };
    let differences = releases.differences(&|partner, Difference { kind, own, gone }| {
        for (path, file) in &own {
            lay(format!("partners/{partner}"), path, file);
        }
        let (own, shared) = (own.len(), kind.map(|kind| format!("shared/{}", kind + 1)));
        let partner = Listed { partner: partner.clone(), shared, own, gone };
        partners.lock().unwrap_or_else(PoisonError::into_inner).push(partner);
    });
    report(differences, arguments.format)?;
    let shared = AtomicUsize::new(0);
    releases.shared(&|kind, path, file| {
        shared.fetch_add(1, Ordering::Relaxed);
        lay(format!("shared/{}", kind + 1), path, file);
    });
    if let Some(error) = misplaced.into_inner().unwrap_or_else(PoisonError::into_inner).pop() {
        return Err(error).with_context(|| format!("{} cannot hold all files", out.display()));
    }
    let mut partners = partners.into_inner().unwrap_or_else(PoisonError::into_inner);
    partners.sort_by(|a, b| a.partner.cmp(&b.partner));
    writer.write(LIST.parse()?, format!("{}\n", serde_json::to_string_pretty(&partners)?).as_bytes());
    running.progress().begin(Step::Writing, 0);
    let (files, bytes) = writer.finish()?.size();
    // The process ends here, and giving back the memory of many pages piece by piece takes its time.
    std::mem::forget(releases);
    std::mem::forget(site);
    let (partners, shared) = (partners.len(), shared.into_inner());
    let summary = running.end(pages.into_inner());
    let (own, work) = (files - shared - 1, summary.work());
    match arguments.format {
        Format::Json => say_json(&Built { diagnostics: [], summary, partners, shared, files, bytes }),
        Format::Text => say!(
            "Built what each partner gets ({partners}) into {}: {shared} files that they share, {own} of their own, \
             {bytes} bytes: {work}",
            out.display()
        ),
    }
    Ok(())
}

/// What a partner has, for programs.
#[derive(Serialize)]
struct Listed {
    partner: SiteId,
    /// The folder with what it shares; none where it shares nothing.
    shared: Option<String>,
    /// How many files of its own it has, which stand in the place of shared ones or beside them.
    own: usize,
    /// Where it has nothing in the place of a shared file.
    gone: Vec<SitePath>,
}

/// What a program reads of a build without mistakes.
#[derive(Serialize)]
struct Built {
    diagnostics: [Diagnostic; 0],
    summary: Summary,
    partners: usize,
    shared: usize,
    files: usize,
    bytes: u64,
}
