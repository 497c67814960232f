//! `tieup check`: every mistake of a site and its partners' releases, and what an editor should know besides.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use tieup_generator::Site;
use tieup_protocol::contract::{Contract, ContractId, Partnership};
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::ids::SiteId;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;
use tieup_web::say;

use super::progress::{Running, Summary};
use super::site::{configuration, load, report, say_json, state};
use super::{Format, SiteArguments};

pub(super) fn check(config: &Path, arguments: &SiteArguments) -> anyhow::Result<()> {
    let running = Running::begin();
    let configured = configuration(config, &arguments.site)?.map(|config| config.main);
    let checked = load(arguments, &running, &state(config, &arguments.site)?)
        .and_then(|site| check_all(&site, &arguments.site, configured.as_ref()));
    let (pages, partners) = report(checked, arguments.format)?;
    let summary = running.end(pages);
    match arguments.format {
        Format::Json => say_json(&Checked { diagnostics: [], summary, partners }),
        Format::Text => {
            for Release { partner, contract, files, notes } in partners {
                say!("{partner}: {files} paths under {contract}");
                for note in notes {
                    say!("  note: {note}");
                }
            }
            say!("No mistakes in {pages} pages: {}", summary.work());
        }
    }
    Ok(())
}

/// What a program reads of a site without mistakes.
#[derive(Serialize)]
struct Checked {
    diagnostics: [Diagnostic; 0],
    summary: Summary,
    partners: Vec<Release>,
}

/// What is said about one partner's release.
#[derive(Serialize)]
struct Release {
    partner: SiteId,
    contract: ContractId,
    files: usize,
    notes: Vec<String>,
}

/// Builds the site and every release. How many pages the site has, and the releases; or every mistake of all of them.
fn check_all(site: &Site, folder: &Path, main: Option<&SiteId>) -> Result<(usize, Vec<Release>), Report> {
    let mut problems = Vec::new();
    if let Some(main) = main {
        let foreign = site.partners().filter(|contract| contract.id.main != *main);
        problems.extend(foreign.map(|contract| other_main(site, folder, contract, main)));
    }
    let mut note = |report: Report| problems.extend_from_slice(report.diagnostics());
    let pages = site.build_main().map_or_else(|report| (note(report), Vec::new()).1, |output| output.index);
    let (mut releases, all) = (Vec::new(), site.releases());
    for contract in site.partners() {
        match all.build(&contract.id.partner) {
            Err(report) => note(report),
            Ok(release) => releases.push(Release {
                partner: contract.id.partner.clone(),
                contract: contract.id.clone(),
                files: release.output.files.len(),
                notes: notes(contract, &pages, &release.output.index),
            }),
        }
    }
    Report::check(problems)?;
    Ok((pages.len(), releases))
}

fn other_main(site: &Site, folder: &Path, contract: &Contract, main: &SiteId) -> Diagnostic {
    let (id, partner) = (&contract.id, &contract.id.partner);
    let file = folder.join("partners").join(partner.as_str()).join("contract.yaml");
    let file = file.strip_prefix(".").unwrap_or(&file);
    let message = format!("the contract is made by `{}`, and tieup.yaml says that this is `{main}`", id.main);
    Diagnostic::new("other-main", file.display().to_string(), message)
        .at_text(site.contract_text(partner).unwrap_or_default(), &id.to_string())
        .help(format!("write `{main}/{partner}@{}`, or `main: {}` in tieup.yaml", id.version, id.main))
}

/// What an editor should know about a release, though nothing is wrong with it.
fn notes(contract: &Contract, pages: &[IndexedPage], released: &[IndexedPage]) -> Vec<String> {
    let mut notes = Vec::new();
    match contract.partnership {
        Partnership::Link => notes.push("`partnership: link` publishes nothing to the partner".to_owned()),
        Partnership::Framework => notes.push("`partnership: framework` publishes the layout and no pages".to_owned()),
        Partnership::Inherited => notes.extend(left_out(pages, released)),
    }
    if !contract.not_acted_on().is_empty() {
        notes.push(format!("nothing acts on these keys of the contract yet: {}", contract.not_acted_on().join(", ")));
    }
    notes
}

/// How many of main's pages the partner does not get.
fn left_out(pages: &[IndexedPage], released: &[IndexedPage]) -> Option<String> {
    let released: BTreeSet<&SitePath> = released.iter().map(|page| &page.path).collect();
    let missing: Vec<_> = pages.iter().map(|page| &page.path).filter(|path| !released.contains(path)).collect();
    let first = missing.first()?;
    let (count, which) = match missing.len() {
        1 => ("1 page of main is".to_owned(), format!("its path is the partner's: {first}")),
        more => (format!("{more} pages of main are"), format!("their paths are the partner's: {first} and others")),
    };
    Some(format!("{count} left out, since {which}"))
}
