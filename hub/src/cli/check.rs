//! `tieup check`: every mistake of a site and its partners' releases, and what an editor should know besides.

use std::collections::BTreeSet;
use std::path::Path;

use tieup_generator::Site;
use tieup_protocol::contract::{Contract, Partnership};
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::ids::SiteId;
use tieup_protocol::index::IndexedPage;
use tieup_protocol::path::SitePath;
use tieup_web::say;

use super::SiteArguments;
use super::site::{configuration, load, report};

pub(super) fn check(config: &Path, arguments: &SiteArguments) -> anyhow::Result<()> {
    let site = load(arguments)?;
    if let Some(config) = configuration(config, &arguments.site)? {
        report(check_names(&site, &arguments.site, &config.main), arguments.format)?;
    }
    let pages = report(site.build_main(), arguments.format)?.index;
    for contract in site.partners() {
        let partner = &contract.id.partner;
        let release = report(site.build_release(partner), arguments.format)?.output;
        say!("{partner}: {} paths under {}", release.files.len(), contract.id);
        for note in notes(contract, &pages, &release.index) {
            say!("  note: {note}");
        }
    }
    say!("No mistakes in {} pages.", pages.len());
    Ok(())
}

/// Refuses contracts that name another main site than the hub is.
fn check_names(site: &Site, folder: &Path, main: &SiteId) -> Result<(), Report> {
    let foreign = site.partners().filter(|contract| contract.id.main != *main);
    Report::check(foreign.map(|contract| other_main(site, folder, contract, main)).collect())
}

fn other_main(site: &Site, folder: &Path, contract: &Contract, main: &SiteId) -> Diagnostic {
    let (id, partner) = (&contract.id, &contract.id.partner);
    let file = folder.join("partners").join(partner.as_str()).join("contract.yaml");
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
