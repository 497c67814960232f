//! `tieup check`: every mistake of a site and its partners' releases, and what an editor should know besides.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use tieup_generator::{Output, Site};
use tieup_protocol::contract::{Contract, ContractId, Owner, Partnership, Side};
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::ids::SiteId;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;
use tieup_protocol::portable;
use tieup_web::say;
use tieup_web::starter::told_of_sample;

use super::agreed::Agreed;
use super::progress::{Running, Summary};
use super::site::{configuration, load, report, say_json, state};
use super::{Format, SiteArguments};
use crate::terms::shown;

pub(super) fn check(config: &Path, arguments: &SiteArguments) -> anyhow::Result<()> {
    let running = Running::begin();
    let configured = configuration(config, &arguments.site)?;
    let agreed = Agreed::by(configured.as_ref());
    let main = configured.map(|config| config.main);
    let checked = load(arguments, &running, &state(config, &arguments.site)?).and_then(|site| {
        let checked = check_all(&site, &arguments.site, main.as_ref(), &agreed)?;
        Ok((checked, told_of_sample(site.base_url())))
    });
    let ((pages, partners), note) = report(checked, arguments.format)?;
    let notes: Vec<String> = note.into_iter().chain(agreed.unknown).collect();
    let summary = running.end(pages);
    match arguments.format {
        Format::Json => say_json(&Checked { diagnostics: [], summary, partners, notes }),
        Format::Text => {
            for Release { partner, contract, files, notes } in partners {
                say!("{partner}: {files} paths under {contract}");
                for note in notes {
                    say!("  note: {note}");
                }
            }
            say!("No mistakes in {pages} pages: {}", summary.work());
            for note in notes {
                say!("note: {note}");
            }
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
    notes: Vec<String>,
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
fn check_all(
    site: &Site,
    folder: &Path,
    main: Option<&SiteId>,
    agreed: &Agreed,
) -> Result<(usize, Vec<Release>), Report> {
    let mut problems = Vec::new();
    if let Some(main) = main {
        let foreign = site.partners().filter(|contract| contract.id.main != *main);
        problems.extend(foreign.map(|contract| other_main(site, folder, contract, main)));
    }
    for contract in site.partners() {
        let text = site.contract_text(&contract.id.partner).unwrap_or_default();
        let file = contract_file(folder, contract);
        problems.extend(contract.lint(&file, text));
        problems.extend(agreed.problem(contract, &file, text));
    }
    let pages = match site.build_main() {
        Ok(output) => output.index,
        Err(report) => {
            problems.extend_from_slice(report.diagnostics());
            Vec::new()
        }
    };
    let (mut releases, all) = (Vec::new(), site.releases());
    for contract in site.partners() {
        match all.build(&contract.id.partner) {
            Err(report) => {
                let file = contract_file(folder, contract);
                let words = format!("in what `{}` gets", contract.id.partner);
                let new = report.diagnostics().iter().filter(|problem| !problems.contains(problem)).cloned();
                let new: Vec<_> = new.map(|problem| problem.related(file.as_str(), None, words.as_str())).collect();
                problems.extend(new);
            }
            Ok(release) => {
                let unportable = unportable(folder, contract, &release.output);
                problems.extend(unportable.filter(|new| problems.iter().all(|known| known.message != new.message)));
                releases.push(Release {
                    partner: contract.id.partner.clone(),
                    contract: contract.id.clone(),
                    files: release.output.files.len(),
                    notes: notes(site, contract, &pages, &release.output.index)
                        .into_iter()
                        .chain(agreed.note(contract))
                        .collect(),
                });
            }
        }
    }
    Report::check(problems)?;
    Ok((pages.len(), releases))
}

fn other_main(site: &Site, folder: &Path, contract: &Contract, main: &SiteId) -> Diagnostic {
    let (id, partner) = (&contract.id, &contract.id.partner);
    let file = contract_file(folder, contract);
    let message = format!("the contract is made by `{}`, and tieup.yaml says that this is `{main}`", id.main);
    Diagnostic::new("other-main", file, message)
        .at_text(site.contract_text(partner).unwrap_or_default(), &id.to_string())
        .help(format!("write `{main}/{partner}@{}`, or `main: {}` in tieup.yaml", id.version, id.main))
}

/// A path for which the partner would refuse a release: the first, if there is one.
fn unportable(folder: &Path, contract: &Contract, output: &Output) -> Option<Diagnostic> {
    let is_there = |path: &str| path.parse().is_ok_and(|path: SitePath| output.files.contains_key(&path));
    let error = portable::check(output.files.keys().map(SitePath::as_str), is_there).err()?;
    let help = format!("give the page or file another path: `{}` refuses a release with this one", contract.id.partner);
    Some(Diagnostic::new("unportable-path", contract_file(folder, contract), error.to_string()).help(help))
}

/// Where a contract is written, as messages show it.
fn contract_file(folder: &Path, contract: &Contract) -> String {
    shown(&folder.join("partners").join(contract.id.partner.as_str()).join("contract.yaml"))
}

/// What an editor should know about a release, though nothing is wrong with it.
fn notes(site: &Site, contract: &Contract, pages: &[IndexedPage], released: &[IndexedPage]) -> Vec<String> {
    let mut notes = charged_twice(site, contract);
    match contract.partnership {
        Partnership::Link => notes.push("`partnership: link` publishes nothing to the partner".to_owned()),
        Partnership::Framework => notes.push("`partnership: framework` publishes the layout and no pages".to_owned()),
        Partnership::Inherited => notes.extend(left_out(contract, pages, released)),
    }
    if !contract.not_acted_on().is_empty() {
        notes.push(format!("nothing acts on these keys of the contract yet: {}", contract.not_acted_on().join(", ")));
    }
    notes
}

/// The other partners that are charged for visits to the same pages of main: main's own log, where it alone is written,
/// does not tell whose visitors came.
fn charged_twice(site: &Site, contract: &Contract) -> Vec<String> {
    let is_by_main = |contract: &Contract| contract.journal.writer == Side::Main;
    let others = site.partners().filter(|other| is_by_main(contract) && is_by_main(other) && other.id != contract.id);
    let shared = others.filter_map(|other| Some((&other.id.partner, contract.mounts.shared_with(&other.mounts)?)));
    let note = |(partner, path): (&SiteId, &SitePath)| {
        format!(
            "a visit to `{path}` of your own site is charged to `{partner}` too: your log does not tell whose visitor it \
             was, so under `writer: main` each partner needs mounts of its own"
        )
    };
    shared.map(note).collect()
}

/// How many of main's pages the partner does not get.
fn left_out(contract: &Contract, pages: &[IndexedPage], released: &[IndexedPage]) -> Vec<String> {
    let released: BTreeSet<&SitePath> = released.iter().map(|page| &page.path).collect();
    let missing = pages.iter().map(|page| &page.path).filter(|path| !released.contains(path));
    let (theirs, hidden): (Vec<_>, Vec<_>) = missing.partition(|path| contract.mounts.owner(path).0 == Owner::Partner);
    let mut notes = Vec::new();
    match theirs.as_slice() {
        [] => {}
        [one] => notes.push(format!("1 page of main is left out, since its path is the partner's: {one}")),
        [first, ..] => notes.push(format!(
            "{} pages of main are left out, since their paths are the partner's: {first} and others",
            theirs.len()
        )),
    }
    match hidden.as_slice() {
        [] => {}
        [one] => notes.push(format!("1 page of main is taken away by the partner's variations: {one}")),
        [first, ..] => {
            let count = hidden.len();
            notes.push(format!("{count} pages of main are taken away by the partner's variations: {first} and others"));
        }
    }
    notes
}
