//! The merge: tie-up pages and originals become one site, or the conflict is named and nothing changes.

use std::collections::BTreeMap;
use std::fmt;

use crate::contract::{Contract, Override, Owner};
use crate::manifest::{EntryKind, Manifest};
use crate::path::SitePath;

/// Who serves each path of the merged site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergePlan {
    owners: BTreeMap<SitePath, Owner>,
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
    /// `originals` maps each of the partner's paths to the file it comes from.
    ///
    /// # Errors
    /// Every path that main publishes in the partner's mounts (theme files excepted), and every original in main's
    /// mounts unless the contract lets the partner override it.
    pub fn new(
        release: &Manifest,
        originals: &BTreeMap<SitePath, String>,
        contract: &Contract,
    ) -> Result<Self, Vec<Conflict>> {
        let may_override = contract.rights.replace == Override::Always;
        let mut owners = BTreeMap::new();
        let mut conflicts = Vec::new();
        for (path, entry) in &release.entries {
            let (owner, mount) = contract.mounts.owner(path);
            let allowed = owner == Owner::Main || entry.kind == EntryKind::Layout;
            let clash = originals.get(path).filter(|_| !(may_override && owner == Owner::Main));
            if allowed && clash.is_none() {
                owners.insert(path.clone(), Owner::Main);
            } else {
                conflicts.push(Conflict {
                    path: path.clone(),
                    main: Some(format!("release {}", release.version)),
                    partner: clash.cloned(),
                    owner: (owner, mount.clone()),
                    contract: contract.id.clone(),
                });
            }
        }
        for (path, file) in originals {
            let (owner, mount) = contract.mounts.owner(path);
            let named_already = release.entries.contains_key(path) && !may_override;
            if owner == Owner::Partner || may_override {
                owners.insert(path.clone(), Owner::Partner);
            } else if !named_already {
                conflicts.push(Conflict {
                    path: path.clone(),
                    main: None,
                    partner: Some(file.clone()),
                    owner: (owner, mount.clone()),
                    contract: contract.id.clone(),
                });
            }
        }
        if conflicts.is_empty() { Ok(Self { owners }) } else { Err(conflicts) }
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
