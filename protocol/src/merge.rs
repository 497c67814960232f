//! The merge: tie-up pages and originals become one site, or the conflict is named and nothing changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::contract::{Contract, Override, Owner};
use crate::manifest::{EntryKind, Manifest};
use crate::path::SitePath;

/// Who serves each path of the merged site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergePlan {
    /// In order of the paths.
    owners: Vec<(SitePath, Owner)>,
    overridden: BTreeSet<SitePath>,
    set_aside: BTreeSet<SitePath>,
}

/// Whether the partner's operator has declared an emergency, in which the contract may let them replace main's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// None is declared.
    #[default]
    Usual,
    /// One is, and has not been ended.
    Emergency,
}

/// A path that cannot be served, since two claim it or the wrong one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path.
    pub path: SitePath,
    /// What main publishes there, if it does: `release 3`.
    pub main: Option<String>,
    /// The partner's file that becomes this path, if there is one.
    pub partner: Option<String>,
    /// Whose path it is by contract, and by which mount.
    pub owner: (Owner, SitePath),
    /// The contract that says so and the names of its parties.
    pub contract: crate::contract::ContractId,
}

impl MergePlan {
    /// Decides who serves each path.
    ///
    /// `originals` maps each of the partner's paths to the file it comes from. In its own mounts the partner's file
    /// takes the place of a theme's: its own logo in the inherited layout. Under `rights.override: emergency` an
    /// original takes the place of main's page only in an emergency; otherwise it is set aside.
    ///
    /// # Errors
    /// Every path that main publishes in the partner's mounts (theme files excepted), and every original in main's
    /// mounts unless the contract lets the partner override it.
    pub fn new(
        release: &Manifest,
        originals: &BTreeMap<SitePath, String>,
        contract: &Contract,
        standing: Standing,
    ) -> Result<Self, Vec<Conflict>> {
        let may_override = match contract.rights.replace {
            Override::Always => true,
            Override::Emergency => standing == Standing::Emergency,
            Override::Never => false,
        };
        let waits = contract.rights.replace == Override::Emergency && !may_override;
        let mut plan = Self::default();
        let mut conflicts = Vec::new();
        let paths: BTreeSet<&SitePath> = release.entries.keys().chain(originals.keys()).collect();
        for path in paths {
            let (entry, original) = (release.entries.get(path), originals.get(path));
            let (owner, mount) = contract.mounts.owner(path);
            // `/map` would stand before `/map/`, to which it otherwise leads, so the two are one claim.
            let shadows = entry.is_some() && !path.is_page() && originals.contains_key(&path.with_slash());
            let layout = entry.is_none_or(|entry| entry.kind == EntryKind::Layout) && !shadows;
            let main_may = owner == Owner::Main || layout;
            let partner_may = owner == Owner::Partner || original.is_none() || may_override;
            let is_mains = owner == Owner::Main && entry.is_some() && original.is_some();
            if is_mains && waits {
                plan.owners.push((path.clone(), Owner::Main));
                plan.set_aside.insert(path.clone());
            } else if main_may && partner_may {
                plan.owners.push((path.clone(), if original.is_some() { Owner::Partner } else { Owner::Main }));
                if is_mains {
                    plan.overridden.insert(path.clone());
                }
            } else {
                conflicts.push(Conflict {
                    path: path.clone(),
                    main: entry.map(|_| format!("release {}", release.version)),
                    partner: original.cloned(),
                    owner: (owner, mount.clone()),
                    contract: contract.id.clone(),
                });
            }
        }
        if conflicts.is_empty() { Ok(plan) } else { Err(conflicts) }
    }

    /// The paths in main's mounts at which an original takes the place of main's page.
    pub fn overridden(&self) -> &BTreeSet<SitePath> {
        &self.overridden
    }

    /// The paths at which an original would do so in an emergency.
    pub fn set_aside(&self) -> &BTreeSet<SitePath> {
        &self.set_aside
    }

    /// Every path with its owner, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&SitePath, Owner)> {
        self.owners.iter().map(|(path, owner)| (path, *owner))
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let main = &self.contract.main;
        let partner = &self.contract.partner;
        write!(f, "{} is claimed by ", self.path)?;
        match (&self.main, &self.partner) {
            (Some(release), Some(file)) => {
                write!(f, "main site `{main}` ({release}) and by partner `{partner}` ({file})")?;
            }
            (Some(release), None) => write!(f, "main site `{main}` ({release})")?,
            (None, file) => write!(f, "partner `{partner}` ({})", file.as_deref().unwrap_or("an original"))?,
        }
        let (owner, mount) = &self.owner;
        let name = if *owner == Owner::Main { main } else { partner };
        write!(f, "; contract {} gives `{mount}` to {owner} `{name}`", self.contract)
    }
}

/// The conflicts of one merge, as an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Conflicts(pub Vec<Conflict>);

impl fmt::Display for Conflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, conflict) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{conflict}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{BlobRef, ContractRef, Entry, FORMAT};

    const CONTRACT: &str = include_str!("../../sites/nationwide/partners/harbor-shop/contract.yaml");

    fn contract(rights: &str) -> Contract {
        let text = CONTRACT.replace("rights: {override: never}", rights);
        Contract::parse("contract.yaml", &text).unwrap()
    }

    fn release(contract: &Contract, entries: &[(&str, EntryKind)]) -> Manifest {
        let entry =
            |kind| Entry { blob: BlobRef::of(b"x"), kind, media_type: "text/html".to_owned(), slots: Vec::new() };
        Manifest {
            format: FORMAT,
            main: contract.id.main.clone(),
            partner: contract.id.partner.clone(),
            version: crate::ids::ReleaseVersion::FIRST,
            contract: ContractRef { id: contract.id.clone(), digest: contract.digest() },
            theme: "storefront".to_owned(),
            entries: entries.iter().map(|(path, kind)| (path.parse().unwrap(), entry(*kind))).collect(),
            framework: BTreeMap::new(),
            index: BlobRef::of(b"[]"),
            emergency: None,
        }
    }

    fn plan(rights: &str, entries: &[(&str, EntryKind)], originals: &[&str]) -> Result<Vec<(String, Owner)>, String> {
        plan_in(Standing::Usual, rights, entries, originals)
    }

    fn plan_in(
        standing: Standing,
        rights: &str,
        entries: &[(&str, EntryKind)],
        originals: &[&str],
    ) -> Result<Vec<(String, Owner)>, String> {
        let contract = contract(rights);
        let originals = originals.iter().map(|path| (path.parse().unwrap(), "content/x.md".to_owned())).collect();
        let plan = MergePlan::new(&release(&contract, entries), &originals, &contract, standing);
        let plan = plan.map_err(|conflicts| Conflicts(conflicts).to_string())?;
        Ok(plan.iter().map(|(path, owner)| (path.to_string(), owner)).collect())
    }

    const NEVER: &str = "rights: {override: never}";

    #[test]
    fn row_003_02_tie_up_and_original_pages_stand_side_by_side() {
        let merged = plan(NEVER, &[("/", EntryKind::Page)], &["/local/"]).unwrap();
        assert_eq!(merged, [("/".to_owned(), Owner::Main), ("/local/".to_owned(), Owner::Partner)]);
        assert_eq!(plan(NEVER, &[("/", EntryKind::Page)], &[]).unwrap().len(), 1);
    }

    #[test]
    fn a_path_claimed_by_both_is_refused_with_both_owners_named() {
        let refused = plan(NEVER, &[("/about/", EntryKind::Page)], &["/about/"]).unwrap_err();
        assert_eq!(
            refused,
            "/about/ is claimed by main site `nationwide` (release 1) and by partner `harbor-shop` (content/x.md); \
             contract nationwide/harbor-shop@3 gives `/` to main `nationwide`"
        );
    }

    #[test]
    fn neither_side_may_publish_in_the_others_mounts() {
        let main = plan(NEVER, &[("/local/offer/", EntryKind::Page)], &[]).unwrap_err();
        assert!(main.starts_with("/local/offer/ is claimed by main site `nationwide` (release 1); contract"), "{main}");
        assert!(main.ends_with("gives `/local/` to partner `harbor-shop`"), "{main}");
        let partner = plan(NEVER, &[], &["/about/"]).unwrap_err();
        assert!(partner.starts_with("/about/ is claimed by partner `harbor-shop` (content/x.md)"), "{partner}");
    }

    #[test]
    fn the_layout_reaches_everywhere_and_the_partners_own_file_takes_its_place() {
        let logo = [("/local/logo.svg", EntryKind::Layout)];
        assert_eq!(plan(NEVER, &logo, &[]).unwrap(), [("/local/logo.svg".to_owned(), Owner::Main)]);
        assert_eq!(plan(NEVER, &logo, &["/local/logo.svg"]).unwrap(), [("/local/logo.svg".to_owned(), Owner::Partner)]);
        assert!(plan(NEVER, &[("/logo.svg", EntryKind::Layout)], &["/logo.svg"]).is_err());
    }

    #[test]
    fn a_contract_may_let_the_partner_override() {
        let merged = plan("rights: {override: always}", &[("/about/", EntryKind::Page)], &["/about/"]).unwrap();
        assert_eq!(merged, [("/about/".to_owned(), Owner::Partner)]);
        let emergency = "rights: {override: emergency}";
        for (standing, owner) in [(Standing::Usual, Owner::Main), (Standing::Emergency, Owner::Partner)] {
            let merged = plan_in(standing, emergency, &[("/about/", EntryKind::Page)], &["/about/"]).unwrap();
            assert_eq!(merged, [("/about/".to_owned(), owner)]);
            assert!(plan_in(standing, NEVER, &[("/about/", EntryKind::Page)], &["/about/"]).is_err());
        }
        assert!(plan(emergency, &[], &["/about/"]).is_err(), "an original beside main's pages is no override");
    }
}
