//! The publisher: which release is live, which one waits, and the one step that makes a release public.
//!
//! `live.json` is that step. It holds the whole merged index of the live site and is replaced durably and atomically;
//! the releases' records follow it and are put right from it after a crash. Methods block on the disk.

mod decisions;
mod error;
mod extent;
mod holdings;
mod live;
mod originals;
mod proposal;
mod readings;
mod rebuilding;
mod rights;
mod sharing;
mod trail;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord, ReleaseState};
use tieup_protocol::audit::Event;
use tieup_protocol::contract::{Contract, Decision, reaches_back};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::Manifest;
use tieup_protocol::path::SourcePath;
use tieup_protocol::period::Zone;
use tieup_protocol::wire::{DeclaredEmergency, WaitingOriginals};
use tieup_store::audit::AuditTrail;
use tieup_store::blobs::BlobStore;
use tieup_store::cache::Cache;
use tieup_store::document::Document;
use tieup_store::quarantine::Quarantine;
use tieup_store::releases::{CONTRACT, MANIFEST, Releases};
use tokio::sync::watch;

pub use self::error::PublishError;
pub use self::holdings::{Documents, Holdings};
use self::live::Live;
pub use self::originals::{RefusedOriginals, is_original};
use self::readings::Readings;
use self::rebuilding::Found;
use self::rights::Withdrawn;
use self::trail::happening;
use crate::candidate::{Candidate, Parts};
use crate::config::OriginalsApproval;
use crate::extents::Extents;
use crate::guard::QUARANTINE;
use crate::pins::Pins;
use crate::shapes::Shapes;
use crate::shared_site::Share;
use crate::trust::{Release, Verified};

/// What every release is kept with.
const KEPT_FILES: [&str; 5] =
    [MANIFEST, CONTRACT, "metadata/timestamp.json", "metadata/snapshot.json", "metadata/targets.json"];

/// The files of a release, by their names.
pub type ReleaseFiles = BTreeMap<SourcePath, Vec<u8>>;

/// The audit trail in the state folder.
pub const AUDIT: &str = "audit.jsonl";

/// The partner's releases and its public site.
pub struct Publisher {
    main: SiteId,
    site: PathBuf,
    /// Where the originals are that the operator has approved, under their own approval.
    approved_originals: PathBuf,
    originals: OriginalsApproval,
    waiting_originals: Option<WaitingOriginals>,
    refused_originals: Option<RefusedOriginals>,
    emergency: Option<DeclaredEmergency>,
    emergency_document: Document<DeclaredEmergency>,
    audit: AuditTrail,
    releases: Releases,
    /// Those of them that were read back.
    readings: Readings,
    blobs: Arc<BlobStore>,
    /// Originals' pictures that were made narrower.
    pictures: Cache,
    /// What candidates were made of.
    parts: Parts,
    document: Document<Live>,
    /// The withdrawn paths of the live document, kept beside it.
    withdrawn_document: Document<Withdrawn>,
    /// How much is live, and was.
    extents: Extents,
    live: Live,
    /// What is known of the pages that are live or wait.
    shapes: Shapes,
    share: Share,
    records: watch::Sender<Vec<ReleaseRecord>>,
    /// Under which contracts statements were issued.
    pins: Pins,
    /// Where months of the journal begin.
    zone: Zone,
}

/// Where a publisher works.
pub struct Places {
    /// The main site it follows.
    pub main: SiteId,
    /// The partner's own site.
    pub site: PathBuf,
    /// Whether changes of it wait for the operator.
    pub originals: OriginalsApproval,
    /// The daemon's state folder.
    pub state: PathBuf,
    /// Where content is.
    pub blobs: Arc<BlobStore>,
    /// Its share in what visitors see.
    pub share: Share,
    /// The zone in which months of its journal begin.
    pub zone: Zone,
}

impl Publisher {
    /// Opens what is kept and puts the live site before the public. What is damaged of it, or gone, is made anew, as far as
    /// the audit trail and the releases go.
    ///
    /// # Errors
    /// When the state folder cannot be read, or what is live can be had from nowhere.
    pub fn open(places: Places) -> Result<Self, PublishError> {
        let releases = Releases::open(places.state.join("releases"))?;
        let document = Document::at(places.state.join("live.json"));
        let live = Found::read(&document)?;
        for damaged in releases.damaged()? {
            tracing::error!(error = &damaged as &dyn std::error::Error, "a release is left out");
        }
        let emergency_document = Document::at(places.state.join("emergency.json"));
        let emergency = Found::read(&emergency_document)?;
        let quarantine = Quarantine::at(places.state.join(QUARANTINE));
        let mut publisher = Self {
            main: places.main,
            site: places.site,
            approved_originals: places.state.join("originals"),
            originals: places.originals,
            waiting_originals: None,
            refused_originals: None,
            emergency: emergency.value,
            emergency_document,
            audit: AuditTrail::at(places.state.join(AUDIT)),
            releases,
            readings: Readings::default(),
            blobs: places.blobs,
            pictures: Cache::at(places.state.join("cache/pictures")),
            parts: Parts::default(),
            document,
            withdrawn_document: Document::at(places.state.join("withdrawn.json")),
            extents: Extents::in_state(&places.state),
            live: live.value.unwrap_or_default(),
            shapes: Shapes::default(),
            share: places.share,
            records: watch::Sender::new(Vec::new()),
            pins: Pins::in_state(&places.state),
            zone: places.zone,
        };
        let now = Timestamp::now();
        publisher.rebuild(live.damage, emergency.damage, &quarantine, now)?;
        publisher.settle_withdrawn();
        publisher.show_live();
        publisher.follow_live(now)?;
        publisher.settle_trail(now);
        if let Err(error) = publisher.supersede_all_but_newest(now) {
            tracing::error!(error = &error as &dyn std::error::Error, "an earlier release still waits");
        }
        publisher.settle_originals()?;
        publisher.note_extent(now);
        publisher.announce()?;
        Ok(publisher)
    }

    /// Every release here, newest first, and each change to that list.
    pub fn watch(&self) -> watch::Receiver<Vec<ReleaseRecord>> {
        self.records.subscribe()
    }

    /// Every release here, newest first.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn releases(&self) -> Result<Vec<ReleaseRecord>, PublishError> {
        Ok(self.releases.list()?)
    }

    /// The release that is live.
    pub fn live_version(&self) -> Option<ReleaseVersion> {
        self.live.version
    }

    /// Where content is.
    pub fn blobs(&self) -> &Arc<BlobStore> {
        &self.blobs
    }

    /// Manifest, contract and metadata of a release as they came, and the manifest read.
    ///
    /// # Errors
    /// When the release is not here, or is not what was verified.
    pub fn as_it_came(&self, version: ReleaseVersion) -> Result<(ReleaseFiles, Arc<Manifest>), PublishError> {
        let manifest = self.reread(version)?.manifest.clone();
        let roots = (2_u64..).map(|number| format!("metadata/{number}.root.json"));
        let mut files = BTreeMap::new();
        for name in KEPT_FILES {
            let name = path_of(name);
            let bytes = self.releases.file(version, &name)?.ok_or(PublishError::Unknown(version))?;
            files.insert(name, bytes);
        }
        for name in roots.map(|name| path_of(&name)) {
            let Some(bytes) = self.releases.file(version, &name)? else { break };
            files.insert(name, bytes);
        }
        Ok((files, manifest))
    }

    /// The digests of the manifests that are here, those that a next release is likely to be like first.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn kept_manifests(&self) -> Result<Vec<Digest>, PublishError> {
        let mut records = self.releases.list()?;
        records.retain(|record| !self.is_swept(record.version));
        records.sort_by_key(|record| match &record.state {
            state if state.is_open() => 0,
            ReleaseState::Live => 1,
            _ => 2,
        });
        Ok(records.into_iter().map(|record| record.manifest).collect())
    }

    /// The manifest with this digest, if it is here and undamaged.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn kept_manifest(&self, digest: Digest) -> Result<Option<Arc<Manifest>>, PublishError> {
        let record = self.releases.list()?.into_iter().find(|record| record.manifest == digest);
        record.map_or(Ok(None), |record| self.manifest_of(record.version))
    }

    /// The contracts of all releases that were ever live, each once.
    ///
    /// # Errors
    /// When a kept release cannot be read.
    pub fn approved(&self) -> Result<Vec<Contract>, PublishError> {
        self.approved_in(|_| true)
    }

    /// The contracts of those releases that were ever live and are meant, each once.
    ///
    /// # Errors
    /// When a kept release cannot be read.
    pub fn approved_in(&self, is_meant: impl Fn(ReleaseVersion) -> bool) -> Result<Vec<Contract>, PublishError> {
        let mut approved: Vec<Contract> = Vec::new();
        for record in self.releases.list()?.into_iter().filter(|record| is_meant(record.version)) {
            if matches!(record.state, ReleaseState::Live | ReleaseState::Retired) {
                let contract = self.terms(record.version)?;
                if approved.iter().all(|known| known.digest() != contract.digest()) {
                    approved.push(contract);
                }
            }
        }
        Ok(approved)
    }

    /// The contract of the live release.
    ///
    /// # Errors
    /// When it cannot be read.
    fn contract(&self) -> Result<Option<Contract>, PublishError> {
        match self.live.version {
            Some(version) => Ok(Some(self.terms(version)?)),
            None => Ok(None),
        }
    }

    /// Stages a release whose blobs are all here: says what it would change, and makes it live if a rule says so.
    ///
    /// Durable on return. A release that waited before is superseded. One that was decided on stays as it is, so that
    /// an offer sent twice revives nothing.
    ///
    /// # Errors
    /// When release and originals conflict, or the contract was changed under its number; then nothing is staged.
    pub fn stage(&mut self, release: &Verified<Release>, now: Timestamp) -> Result<ReleaseRecord, PublishError> {
        let version = release.manifest.version;
        if let Some(decided) = self.releases.record(version)?.filter(|record| record.state != ReleaseState::Staged) {
            let same = decided.manifest == release.digest;
            return if same { Ok(decided) } else { Err(PublishError::Decided(version, decided.state.word())) };
        }
        self.check_contract(&release.contract)?;
        // A trail that cannot be continued keeps releases out, too.
        self.audit.end()?;
        let candidate = self.build(release)?;
        let change = self.compare(release, &candidate)?.change;
        let before = self.decided_before(version)?;
        let sentence = change.sentence(&self.main, version) + &self.changed_beneath(&candidate);
        let record = ReleaseRecord::staged(version, release.digest, sentence, now);
        let decision = match before {
            Some(reason) => Decision::Ask(reason),
            None => release.contract.approval.decide(&change, &release.contract.effective.tz, now),
        };
        let waits_for = why_it_waits(&decision, change.emergency.as_deref());
        let record = ReleaseRecord { waits_for, ..record };
        self.releases.stage(&record, &release.files)?;
        self.remember(release);
        self.audit
            .append(&[happening(&record, DecidedBy::LaterRelease, Event::Staged, Some(&record.sentence))], now)?;
        self.supersede_all_but_newest(now)?;
        self.announce()?;
        self.act(&record, &decision, now)
    }

    /// The release that waits for a decision.
    ///
    /// # Errors
    /// When none does.
    pub fn staged(&self) -> Result<ReleaseRecord, PublishError> {
        let waiting = self.releases.list()?.into_iter().find(|record| record.state == ReleaseState::Staged);
        waiting.ok_or(PublishError::NothingStaged)
    }

    /// The release that is open: staged, or else approved for later or held.
    ///
    /// # Errors
    /// When none is.
    pub fn waiting(&self) -> Result<ReleaseRecord, PublishError> {
        let open = self.releases.list()?.into_iter().find(|record| record.state.is_open());
        open.ok_or(PublishError::NothingStaged)
    }

    fn build(&self, release: &Verified<Release>) -> Result<Arc<Candidate>, PublishError> {
        self.merge(release, self.originals_for_release()?)
    }

    /// What the operator decided before keeps every rule from approving release `version`, and why.
    fn decided_before(&self, version: ReleaseVersion) -> Result<Option<String>, PublishError> {
        if let Some(from) = self.live.rolled_back {
            return Ok(Some(format!("the operator rolled back from release {from}")));
        }
        let since_live = |record: &ReleaseRecord| record.version != version && Some(record.version) > self.live.version;
        let by_operator = |record: &ReleaseRecord| {
            matches!(record.state, ReleaseState::Approved { .. }) && record.by == Some(DecidedBy::Operator)
        };
        let reason = self.releases.list()?.into_iter().filter(since_live).find_map(|record| match &record.state {
            ReleaseState::Held { .. } | ReleaseState::Superseded if record.held.is_some() => {
                Some(format!("the operator held release {}, which it takes the place of", record.version))
            }
            ReleaseState::Approved { at } if by_operator(&record) => {
                Some(format!("it takes the place of release {}, which was approved for {at}", record.version))
            }
            _ => None,
        });
        Ok(reason)
    }

    /// Terms change only under a higher version, which the operator is then asked about, and months never.
    fn check_contract(&self, offered: &Contract) -> Result<(), PublishError> {
        let live = self.contract()?;
        let is_new = live.as_ref().is_none_or(|live| live.digest() != offered.digest());
        if is_new && offered.effective.tz != self.zone {
            let (contract, zone) = (offered.id.clone(), offered.effective.tz.clone());
            return Err(PublishError::OtherZone { contract, zone, journal: self.zone.clone() });
        }
        match live {
            Some(live) if live.digest() != offered.digest() && offered.id.version <= live.id.version => {
                Err(PublishError::ContractNotLater(offered.id.clone(), live.id))
            }
            _ => self.check_issued(offered),
        }
    }

    /// What was issued stays with the version that it was issued under.
    fn check_issued(&self, offered: &Contract) -> Result<(), PublishError> {
        let pinned = self.pins.all()?;
        if pinned.is_empty() {
            return Ok(());
        }
        match reaches_back(offered, &self.approved()?, pinned) {
            Some(period) => Err(PublishError::ReachesBack(offered.id.clone(), period)),
            None => Ok(()),
        }
    }

    /// Of several open releases only the newest waits. A crash can leave two.
    fn supersede_all_but_newest(&mut self, now: Timestamp) -> Result<(), PublishError> {
        let open = self.releases.list()?.into_iter().filter(|record| record.state.is_open());
        let earlier: Vec<ReleaseRecord> = open.skip(1).collect();
        for record in earlier {
            self.audit.append(&[happening(&record, DecidedBy::LaterRelease, Event::Superseded, None)], now)?;
            self.releases.set_record(&record.supersede(now)?)?;
        }
        Ok(())
    }

    fn announce(&self) -> Result<(), PublishError> {
        self.records.send_replace(self.releases.list()?);
        Ok(())
    }

    fn record(&self, version: ReleaseVersion) -> Result<ReleaseRecord, PublishError> {
        self.releases.record(version)?.ok_or(PublishError::Unknown(version))
    }

    fn last_retired(&self) -> Result<ReleaseRecord, PublishError> {
        let retired = self.releases.list()?.into_iter().filter(|record| record.state == ReleaseState::Retired);
        retired.max_by_key(|record| record.since).ok_or(PublishError::NothingRetired)
    }

    fn kept(&self, version: ReleaseVersion, name: &str) -> Result<Vec<u8>, PublishError> {
        self.releases.file(version, &path_of(name))?.ok_or(PublishError::Unknown(version))
    }
}

fn path_of(name: &str) -> SourcePath {
    name.parse().expect("the names of a release's files are relative paths")
}

/// Why a release waits, if the policy asks; an emergency that the contract does not speak of is named.
fn why_it_waits(decision: &Decision, emergency: Option<&str>) -> Option<String> {
    match decision {
        Decision::Ask(reason) if emergency.is_some() => Some(format!("main calls it an emergency, yet {reason}")),
        Decision::Ask(reason) => Some(reason.clone()),
        Decision::Approve { .. } => None,
    }
}
