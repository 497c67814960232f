//! `tieup build`: the main site into a folder, only what differs from the build before.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::bail;
use jiff::Timestamp;
use serde::Serialize;
use tieup_generator::{Loading, Rebuild, Site, Step, Tree};
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SitePath;
use tieup_store::cache::Cache;
use tieup_store::durable;
use tieup_store::tree::{self, Standing};
use tieup_web::say;

use super::progress::{Running, Summary};
use super::site::{loading, report, resolve, say_json, state, themes};
use super::{Format, SiteArguments};

/// The folders of a site that people write, beside the themes.
const SOURCES: [&str; 6] = ["content", "data", "static", "templates", "themes", "partners"];

pub(super) fn build(config: &Path, arguments: &SiteArguments, out: &Path, caching: Caching) -> anyhow::Result<()> {
    let running = Running::begin();
    let state = state(config, &arguments.site)?;
    refuse_sources(&state, arguments, out)?;
    let is_new = !state.exists();
    let built = match caching {
        Caching::On => rebuild(arguments, out, &state, running)?,
        Caching::Off => build_anew(arguments, out, &state, running)?,
    };
    match arguments.format {
        Format::Json => say_json(&built),
        Format::Text => {
            let Built { summary, files, bytes, next_change, .. } = &built;
            let (pages, work) = (summary.pages, summary.work());
            say!("Built {pages} pages, {files} files, {bytes} bytes into {}: {work}", out.display());
            if let Some(change) = next_change {
                say!("The next page goes live or expires at {change}; build again then.");
            }
            if is_new && state.exists() {
                let state = state.strip_prefix(".").unwrap_or(&state).display();
                say!("Made {state} for the next build to go on from; --no-cache leaves nothing.");
            }
        }
    }
    Ok(())
}

/// Builds what differs from the build before.
fn rebuild(arguments: &SiteArguments, out: &Path, state: &Path, running: Running) -> anyhow::Result<Built> {
    let mut rebuild = open(arguments, out, state)?;
    let standing = Standing::of(out)?;
    let built = standing.digest();
    if let Some(rebuilt) = rebuild.current(built, Timestamp::now()) {
        running.progress().add_cached(rebuilt.pages);
        return Ok(Built::new(running.end(rebuilt.pages), standing.size(), rebuilt.next_change));
    }
    let folder = Folder { writer: tree::Writer::begin(out)?, dir: out };
    let loading = loading(&running, state);
    let goes_on = rebuild.goes_on(built);
    let findings = report(rebuild.run(&folder, built, Timestamp::now(), &loading), arguments.format)?;
    running.progress().begin(Step::Writing, 0);
    let standing = if goes_on { folder.writer.patch(standing)? } else { folder.writer.finish()? };
    rebuild.keep(&findings, standing.digest());
    let came_to = findings.rebuilt();
    // The process ends here, and giving back the memory of many pages piece by piece takes its time.
    std::mem::forget(findings);
    Ok(Built::new(running.end(came_to.pages), standing.size(), came_to.next_change))
}

/// Builds everything, whatever was built before.
fn build_anew(arguments: &SiteArguments, out: &Path, state: &Path, running: Running) -> anyhow::Result<Built> {
    // Narrower pictures are made anew too, and nothing of them is kept.
    let loading = Loading { pictures: None, ..loading(&running, state) };
    let site = Site::load_as(&arguments.site, &themes(arguments), &loading);
    let site = report(site, arguments.format)?.at(Timestamp::now());
    let writer = tree::Writer::begin(out)?;
    let built = site.build_main_into(&|path, file| writer.write(path.to_file(), &file.bytes));
    let pages = report(built, arguments.format)?.len();
    running.progress().begin(Step::Writing, 0);
    let standing = writer.finish()?;
    let built = Built::new(running.end(pages), standing.size(), site.next_change());
    std::mem::forget(site);
    Ok(built)
}

/// Of how many files one is made afresh to be compared.
const SHARE: usize = 20;

/// Compares a sample of what stands in `out` with what a fresh build makes.
pub(super) fn verify(config: &Path, arguments: &SiteArguments, out: &Path) -> anyhow::Result<()> {
    let rebuild = open(arguments, out, &state(config, &arguments.site)?)?;
    let folder = Folder { writer: tree::Writer::begin(out)?, dir: out };
    let verified = report(rebuild.verify(&folder, Timestamp::now(), SHARE), arguments.format)?;
    if let [first, ..] = verified.different.as_slice() {
        let (different, compared) = (verified.different.len(), verified.compared);
        bail!(
            "{different} of {compared} files are not what a fresh build makes, such as {first}; \
             build with --no-cache, and tell us how this came about"
        );
    }
    if arguments.format == Format::Text {
        say!("Verified: {} files, taken at random, are what a fresh build makes.", verified.compared);
    }
    Ok(())
}

fn open(arguments: &SiteArguments, out: &Path, state: &Path) -> anyhow::Result<Rebuild> {
    let begun = SystemTime::now();
    let cache = Cache::at(state.join("cache/build"));
    let tree = resolve(out)?.display().to_string();
    Ok(Rebuild::begin(&arguments.site, &themes(arguments), cache, &tree, begun))
}

/// The folder that a site is built into.
struct Folder<'a> {
    writer: tree::Writer,
    dir: &'a Path,
}

impl Tree for Folder<'_> {
    fn read(&self, path: &SitePath) -> Option<Vec<u8>> {
        durable::read_file(&self.dir.join(path.to_file().as_str())).ok()?
    }

    fn write(&self, path: &SitePath, bytes: &[u8]) {
        self.writer.write(path.to_file(), bytes);
    }

    fn remove(&self, path: &SitePath) {
        self.writer.remove(path.to_file());
    }
}

/// Whether a build goes on from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caching {
    /// It does.
    On,
    /// It makes everything anew.
    Off,
}

/// What a program reads of a build without mistakes.
#[derive(Serialize)]
struct Built {
    diagnostics: [Diagnostic; 0],
    summary: Summary,
    files: usize,
    bytes: u64,
    next_change: Option<Timestamp>,
}

impl Built {
    fn new(summary: Summary, (files, bytes): (usize, u64), next_change: Option<Timestamp>) -> Self {
        Self { diagnostics: [], summary, files, bytes, next_change }
    }
}

/// Refuses to build over what the site is made from, or into the hub's state.
pub(super) fn refuse_sources(state: &Path, arguments: &SiteArguments, out: &Path) -> anyhow::Result<()> {
    let site = &arguments.site;
    let mut sources: Vec<PathBuf> = SOURCES.iter().map(|folder| site.join(folder)).collect();
    sources.extend([themes(arguments), state.to_owned()]);
    let resolved = resolve(out)?;
    for source in sources {
        if resolved.starts_with(resolve(&source)?) {
            bail!(
                "{} is in {}, which is not for what is built: name another folder with --out",
                out.display(),
                source.display()
            );
        }
    }
    if resolved == resolve(site)? {
        bail!("{} is the site itself: name a folder of its own with --out, such as --out public", out.display());
    }
    Ok(())
}
