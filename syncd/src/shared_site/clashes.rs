//! What two tie-ups would both serve or own: found out by paths, files and contracts, and told with both names.

use std::fmt;

use tieup_protocol::contract::{Contract, ContractId, MeterClass, Mounts, Owner};
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::EntryKind;
use tieup_protocol::path::SitePath;
use tieup_web::site::{Files, LiveSite, ServedFile};

/// The most conflicts that are named.
pub(super) const MOST_NAMED: usize = 20;

/// What a release says of whose paths are whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    release: ReleaseVersion,
    contract: ContractId,
    pub(super) mounts: Mounts,
}

impl Terms {
    /// The terms of `release`, which comes under `contract`.
    pub fn new(release: ReleaseVersion, contract: &Contract) -> Self {
        Self { release, contract: contract.id.clone(), mounts: contract.mounts.clone() }
    }
}

/// A path that two tie-ups claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    pub(super) path: SitePath,
    claims: [(SiteId, Claim); 2],
}

/// By what a tie-up claims a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Claim {
    /// A release has a page or file there.
    Release(Option<ReleaseVersion>),
    /// It is a page of the partner's own in that tie-up.
    Original,
    /// The contract gives the path, and what is below it, to the main site.
    Mount(ContractId),
}

/// What keeps a tie-up from standing beside the others.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Clashes {
    /// Everything that two tie-ups claim.
    Paths(Vec<Clash>),
    /// It is not known what belongs to this main site.
    Unknown(SiteId),
}

impl Clashes {
    /// Whether it lies in what main sites and the partner publish, and not in a file that is damaged here.
    pub fn is_of_content(&self) -> bool {
        matches!(self, Self::Paths(_))
    }
}

/// Another tie-up, as it is live.
pub(super) struct Other<'a> {
    pub(super) main: &'a SiteId,
    pub(super) terms: Option<&'a Terms>,
    pub(super) live: &'a LiveSite,
}

impl Other<'_> {
    /// What the tie-up with `main` would take of this one's if it served `site` under `terms`.
    pub(super) fn clashes(&self, main: &SiteId, site: &LiveSite, terms: &Terms) -> Vec<Clash> {
        let overlapping = self.overlapping(main, terms);
        if !overlapping.is_empty() {
            return overlapping;
        }
        let clash = |path: &SitePath, mine: Claim, other: Claim| Clash {
            path: path.clone(),
            claims: [(main.clone(), mine), (self.main.clone(), other)],
        };
        let release = self.terms.map(|terms| terms.release);
        let mut clashes = Vec::new();
        for (path, file) in &site.files {
            if let Some((path, theirs)) = taken(&self.live.files, path, file) {
                clashes.push(clash(path, claim(file, Some(terms.release)), claim(theirs, release)));
            } else if let Some(theirs) = self.terms.filter(|theirs| is_for_main(theirs, path, file)) {
                clashes.push(clash(path, claim(file, Some(terms.release)), Claim::Mount(theirs.contract.clone())));
            }
        }
        for (path, file) in self.live.files.iter().filter(|(path, file)| is_for_main(terms, path, file)) {
            if !site.files.contains_key(path) {
                clashes.push(clash(path, Claim::Mount(terms.contract.clone()), claim(file, release)));
            }
        }
        clashes
    }

    /// The mounts by which both contracts give the same paths to their main sites.
    fn overlapping(&self, main: &SiteId, terms: &Terms) -> Vec<Clash> {
        let Some(theirs) = self.terms else { return Vec::new() };
        let mut paths: Vec<&SitePath> =
            terms.mounts.iter().chain(theirs.mounts.iter()).map(|(mount, _)| mount).collect();
        paths.sort();
        paths.dedup();
        // Ownership changes at mounts alone, so what overlaps at all does so at one of them.
        paths.retain(|path| [terms, theirs].iter().all(|terms| terms.mounts.owner(path).0 == Owner::Main));
        let claims = [
            (main.clone(), Claim::Mount(terms.contract.clone())),
            (self.main.clone(), Claim::Mount(theirs.contract.clone())),
        ];
        paths.into_iter().map(|path| Clash { path: path.clone(), claims: claims.clone() }).collect()
    }
}

/// The file among `others` whose place `file` at `path` would take. `/map` would stand before `/map/`, to which it
/// otherwise leads, so the two are one claim.
fn taken<'a>(others: &'a Files, path: &SitePath, file: &ServedFile) -> Option<(&'a SitePath, &'a ServedFile)> {
    if let Some((path, other)) = others.get_key_value(path) {
        let shared = file.blob == other.blob && [file, other].iter().all(|file| !file.kind.is_visited());
        return Some((path, other)).filter(|_| !shared);
    }
    let twin = match path.as_str().strip_suffix('/') {
        Some(bare) => bare.parse().ok()?,
        None => path.with_slash(),
    };
    others.get_key_value(&twin)
}

/// Whether `terms` give `path` to their main site alone, where another tie-up has `file`. Layouts may stand anywhere but
/// in what another main site has as its own part of the site.
fn is_for_main(terms: &Terms, path: &SitePath, file: &ServedFile) -> bool {
    let (owner, mount) = terms.mounts.owner(path);
    let is_kept = match file.kind {
        EntryKind::Layout => *mount != SitePath::root(),
        EntryKind::Page | EntryKind::Redirect | EntryKind::Asset => file.class == MeterClass::Original,
    };
    owner == Owner::Main && is_kept
}

fn claim(file: &ServedFile, release: Option<ReleaseVersion>) -> Claim {
    match file.class {
        MeterClass::Tieup => Claim::Release(release),
        MeterClass::Original => Claim::Original,
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is claimed by ", self.path)?;
        for (number, (main, claim)) in self.claims.iter().enumerate() {
            let and = if number == 0 { "" } else { " and by " };
            match claim {
                Claim::Release(Some(version)) => write!(f, "{and}main site `{main}` (release {version})")?,
                Claim::Release(None) => write!(f, "{and}main site `{main}`")?,
                Claim::Original => write!(f, "{and}the partner's own page beside main site `{main}`")?,
                Claim::Mount(contract) => write!(f, "{and}main site `{main}` (mounts of contract {contract})")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Clashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clashes = match self {
            Self::Paths(clashes) => clashes,
            Self::Unknown(main) => {
                return write!(
                    f,
                    "the contract under which main site `{main}` is live here cannot be read, so it is not known which \
                     paths are its own"
                );
            }
        };
        for (number, clash) in clashes.iter().take(MOST_NAMED).enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{clash}")?;
        }
        match clashes.len().saturating_sub(MOST_NAMED) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}
