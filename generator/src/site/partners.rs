//! The partners of a main site: their contracts, and what each has otherwise than the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tieup_protocol::contract::{Contract, Partnership, WebOrigin};
use tieup_protocol::diagnostic::{Diagnostic, nearest};
use tieup_protocol::ids::SiteId;

use crate::content::{Content, Reading};
use crate::source::{read_text, shown};
use crate::statics;
use crate::theme::Framework;

use super::Site;

/// One partner's folder.
#[derive(Clone, Debug)]
pub(super) struct Partner {
    /// The contract.
    pub(super) contract: Contract,
    /// Where it is written.
    pub(super) file: String,
    /// How it is written.
    pub(super) text: String,
    /// The pages that stand in the place of main's, or beside them.
    pub(super) variations: Content,
}

impl Partner {
    /// Whether it gets main's pages.
    pub(super) fn is_inherited(&self) -> bool {
        self.contract.partnership == Partnership::Inherited
    }

    /// Whether what the two get can only differ by what each varies.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let (one, other) = (&self.contract, &other.contract);
        let beacons = |contract: &Contract| contract.beacons.as_ref().map(|beacons| beacons.to.clone());
        let alike = one.theme == other.theme && one.index == other.index && one.mounts == other.mounts;
        alike && beacons(one) == beacons(other)
    }
}

impl Site {
    /// Reads the folder of the partner `id` below `dir`.
    ///
    /// # Errors
    /// What is wrong with its contract; other mistakes are `problems`.
    pub(super) fn read_partner(
        &self,
        folder: &Path,
        id: &SiteId,
        problems: &mut Vec<Diagnostic>,
    ) -> Result<Partner, Diagnostic> {
        let path = folder.join("contract.yaml");
        let file = shown(&path);
        let text = read_text(&path).map_err(|problem| match problem.code {
            "missing-file" => Diagnostic::new("missing-contract", shown(folder), format!("`{id}` has no contract"))
                .help("write contract.yaml into the folder, or rename the folder after a partner that has one"),
            _ => problem,
        })?;
        let contract = Contract::parse(&file, &text)?;
        if contract.id.partner != *id {
            let message = format!("the contract is with `{}`, and the folder is named `{id}`", contract.id.partner);
            return Err(Diagnostic::new("wrong-party", file, message)
                .at_text(&text, &contract.id.to_string())
                .help("give both the same name"));
        }
        let reading = Reading {
            config: &self.config,
            data: &self.data,
            beneath: &self.content,
            drafts: self.shown.drafts,
            progress: &self.progress,
            earlier: None,
        };
        let variations = Content::load(&folder.join("content"), &reading, problems);
        statics::check_paths(&variations.pages, &self.statics, problems);
        Ok(Partner { contract, file, text, variations })
    }

    /// All contracts of one site name the same main site.
    pub(super) fn check_parties(&self, problems: &mut Vec<Diagnostic>) {
        let Some(first) = self.partners.values().next() else { return };
        for partner in self.partners.values().filter(|partner| partner.contract.id.main != first.contract.id.main) {
            let [one, other] = [first, partner].map(|partner| &partner.contract.id.main);
            let message = format!("the contract names the main site `{other}`, and others name it `{one}`");
            let problem = Diagnostic::new("wrong-party", partner.file.as_str(), message);
            problems.push(problem.at_text(&partner.text, other.as_str()).related(first.file.as_str(), None, "as here"));
        }
    }

    /// A beacon is of one partner: no two have an origin in common.
    pub(super) fn check_beacons(&self, problems: &mut Vec<Diagnostic>) {
        let mut known: BTreeMap<&WebOrigin, &Partner> = BTreeMap::new();
        for partner in self.partners.values() {
            for origin in partner.contract.beacons.iter().flat_map(|beacons| &beacons.from) {
                if let Some(first) = known.insert(origin, partner) {
                    let message = format!("beacons from {origin} are those of `{}` already", first.contract.id.partner);
                    let problem = Diagnostic::new("bad-origins", partner.file.as_str(), message);
                    let problem = problem.at_word(&partner.text, "\nbeacons:", origin.as_str());
                    problems.push(problem.related(first.file.as_str(), None, "named here first"));
                }
            }
        }
    }

    /// Contracts give only slots that their themes have.
    pub(super) fn check_slots(&self, problems: &mut Vec<Diagnostic>) {
        for partner in self.partners.values() {
            let Some(framework) = self.themes.get(self.theme_of(&partner.contract)) else { continue };
            for slot in partner.contract.slots.iter().filter(|slot| !framework.slots().contains(slot)) {
                problems.push(unknown_slot(&partner.file, Some(&partner.text), slot, framework));
            }
        }
    }
}

/// A slot that no theme of the chain has, named in `file`.
pub(crate) fn unknown_slot(file: &str, text: Option<&str>, slot: &str, framework: &Framework) -> Diagnostic {
    let message = format!("theme `{}` has no slot `{slot}`", framework.name());
    let mut problem = Diagnostic::new("unknown-slot", file, message);
    if let Some(text) = text {
        problem = problem.at_word(text, "slots:", slot);
    }
    match nearest(slot, framework.slots().iter().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("the theme's slots: {}", framework.slots().join(", "))),
    }
}

/// The names of the folders of partners, sorted.
pub(super) fn partner_folders(partners: &Path, problems: &mut Vec<Diagnostic>) -> Vec<SiteId> {
    let mut folders = Vec::new();
    let entries = fs::read_dir(partners).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let name = entry.file_name().to_string_lossy().into_owned();
        match name.parse() {
            Ok(id) => folders.push(id),
            Err(error) => problems.push(Diagnostic::new("bad-path", shown(&entry.path()), format!("{error}"))),
        }
    }
    folders.sort();
    folders
}
