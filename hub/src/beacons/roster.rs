//! Whose pages have beacons: which partner's visitors are at an origin, and which pages its releases have.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tieup_protocol::contract::{Contract, WebOrigin};
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::{EntryKind, Manifest};
use tieup_protocol::path::SitePath;
use tieup_protocol::period::Zone;
use tokio::task::block_in_place;

use crate::database::{Database, DatabaseError};

/// Every partner whose pages have beacons.
#[derive(Debug, Default)]
pub(super) struct Roster {
    by_origin: HashMap<WebOrigin, Arc<Listed>>,
    /// Of which releases each partner's part was made.
    made_of: BTreeMap<SiteId, Vec<ReleaseVersion>>,
    hasher: RandomState,
}

/// A partner whose pages have beacons.
#[derive(Debug)]
pub(super) struct Listed {
    /// The partner.
    pub(super) partner: SiteId,
    /// The zone of its contract.
    pub(super) zone: Zone,
    /// Its pages, by what the roster's hasher makes of their paths: 8 bytes each, however many partners have them.
    pages: HashSet<u64>,
}

impl Roster {
    /// Whose page it is.
    pub(super) fn find(&self, origin: &WebOrigin, page: &SitePath) -> Option<&Listed> {
        let listed = self.by_origin.get(origin)?;
        listed.pages.contains(&self.hasher.hash_one(page)).then_some(listed)
    }

    /// The roster as it is now, if that is another one: of the newest releases to each partner and the live one, since
    /// main learns only later which of them a partner shows.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn refreshed(&self, database: &Database) -> Result<Option<Self>, DatabaseError> {
        let now = database.current_releases().await?;
        if now == self.made_of {
            return Ok(None);
        }
        let mut next = Self { by_origin: HashMap::new(), made_of: BTreeMap::new(), hasher: self.hasher.clone() };
        for (partner, releases) in now {
            if self.made_of.get(&partner) == Some(&releases) {
                let same = self.by_origin.iter().filter(|(_, listed)| listed.partner == partner);
                next.by_origin.extend(same.map(|(origin, listed)| (origin.clone(), listed.clone())));
                next.made_of.insert(partner, releases);
            } else {
                let part = Part::of(database, &partner, &releases, &next.hasher).await?;
                next.by_origin.extend(part.listed);
                next.made_of.insert(partner, part.made_of);
            }
        }
        Ok(Some(next))
    }
}

/// A partner's part of the roster.
struct Part {
    listed: Vec<(WebOrigin, Arc<Listed>)>,
    /// The releases that need not be looked at again.
    made_of: Vec<ReleaseVersion>,
}

impl Part {
    async fn of(
        database: &Database,
        partner: &SiteId,
        releases: &[ReleaseVersion],
        hasher: &RandomState,
    ) -> Result<Self, DatabaseError> {
        let (mut origins, mut made_of) = (Vec::new(), releases.to_vec());
        let mut listed = Listed { partner: partner.clone(), zone: Zone::utc(), pages: HashSet::new() };
        for version in releases {
            let contract = database.contract_of(partner, *version).await?;
            let contract = contract.and_then(|text| Contract::parse("contract.yaml", &text).ok());
            let Some((beacons, zone)) = contract.and_then(|contract| Some((contract.beacons?, contract.effective.tz)))
            else {
                continue;
            };
            origins.extend(beacons.from);
            listed.zone = zone;
            match database.manifest(partner, *version).await? {
                Some(text) => listed.pages.extend(block_in_place(|| pages(&text, hasher))),
                // The newest one's is written while it is sent.
                None => made_of.retain(|made| made != version || Some(made) != releases.last()),
            }
        }
        let listed = Arc::new(listed);
        Ok(Self { listed: origins.into_iter().map(|origin| (origin, listed.clone())).collect(), made_of })
    }
}

/// The pages of a manifest that was signed; none where it is damaged.
fn pages(text: &str, hasher: &RandomState) -> Vec<u64> {
    let Ok(manifest) = Manifest::parse(text.as_bytes()) else { return Vec::new() };
    let pages = manifest.entries.iter().filter(|(_, entry)| entry.kind == EntryKind::Page);
    pages.map(|(path, _)| hasher.hash_one(path)).collect()
}
