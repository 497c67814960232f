//! The publisher: which release is live, which one waits, and the one step that makes a release public.
//!
//! `live.json` is that step. It holds the whole merged index of the live site and is replaced durably and atomically;
//! the releases' records follow it and are put right from it after a crash. Methods block on the disk.

mod decisions;
mod extent;
mod holdings;
mod originals;
mod readings;
mod rebuilding;
mod rights;
mod sharing;
mod trail;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::approval::{DecidedBy, IllegalStep, ReleaseRecord, ReleaseState};
use tieup_protocol::audit::Event;
use tieup_protocol::change::Risks;
use tieup_protocol::contract::{Contract, ContractId, Decision, WebOrigin, reaches_back};
use tieup_protocol::difference::{Difference, Hunk};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::Manifest;
use tieup_protocol::path::{InvalidPath, SitePath, SourcePath};
use tieup_protocol::period::Period;
use tieup_protocol::wire::{DeclaredEmergency, WaitingOriginals};
use tieup_store::audit::{AuditError, AuditTrail};
use tieup_store::blobs::{BlobStore, ReadBlobError};
use tieup_store::cache::Cache;
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::DiskError;
use tieup_store::quarantine::Quarantine;
use tieup_store::releases::{CONTRACT, MANIFEST, Releases, ReleasesError};
use tokio::sync::watch;

pub use self::holdings::{Documents, Holdings};
pub use self::originals::is_original;
use self::readings::Readings;
use self::rebuilding::Found;
use self::rights::{Overridden, Withdrawn};
use self::trail::happening;
use crate::candidate::{Candidate, CandidateError, Parts};
use crate::comparison::{self, Comparison, Pages};
use crate::config::OriginalsApproval;
use crate::edits;
use crate::extents::Extents;
use crate::guard::QUARANTINE;
use crate::pins::Pins;
use crate::shapes::Shapes;
use crate::shared_site::Share;
use crate::trust::{OfferRefused, Release, Verified};

/// What every release is kept with.
const KEPT_FILES: [&str; 5] =
    [MANIFEST, CONTRACT, "metadata/timestamp.json", "metadata/snapshot.json", "metadata/targets.json"];

/// The files of a release, by their names.
pub type ReleaseFiles = BTreeMap<SourcePath, Vec<u8>>;

/// The audit trail in the state folder.
pub const AUDIT: &str = "audit.jsonl";

/// What is live, as one document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Live {
    /// The live release.
    version: Option<ReleaseVersion>,
    /// Who made it live.
    by: Option<DecidedBy>,
    /// The merged site.
    #[serde(with = "shared")]
    site: Arc<Candidate>,
    /// Scripts, forms and hosts that have been let through.
    accepted: Risks,
    /// The release that the operator rolled back from. Until they approve one again, no rule makes one live.
    #[serde(default)]
    rolled_back: Option<ReleaseVersion>,
    /// Pages that stood once and do not now, with the release with which they went.
    #[serde(default)]
    withdrawn: Withdrawn,
    /// Originals that take the place of main's content.
    #[serde(default)]
    overrides: BTreeMap<SitePath, Overridden>,
    /// Where the beacons of main's pages go by the contract of the live release, if they have any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beacons: Option<WebOrigin>,
}

/// A candidate that several hold is written as it is.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use crate::candidate::Candidate;

    pub(super) fn serialize<S: Serializer>(site: &Arc<Candidate>, serializer: S) -> Result<S::Ok, S::Error> {
        site.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Candidate>, D::Error> {
        Candidate::deserialize(deserializer).map(Arc::new)
    }
}

/// The partner's releases and its public site.
pub struct Publisher {
    main: SiteId,
    site: PathBuf,
    /// Where the originals are that the operator has approved, under their own approval.
    approved_originals: PathBuf,
    originals: OriginalsApproval,
    waiting_originals: Option<WaitingOriginals>,
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
    withdrawn: Document<Withdrawn>,
    /// How much is live, and was.
    extents: Extents,
    live: Live,
    /// What is known of the pages that are live or wait.
    shapes: Shapes,
    share: Share,
    records: watch::Sender<Vec<ReleaseRecord>>,
    /// Under which contracts statements were issued.
    pins: Pins,
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
}

/// Why a step was not taken. The public site is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The state does not allow it.
    #[error(transparent)]
    Illegal(#[from] IllegalStep),
    /// There is no such release here.
    #[error("there is no release {0} here")]
    Unknown(ReleaseVersion),
    /// Nothing waits for a decision.
    #[error("no release is waiting for a decision")]
    NothingStaged,
    /// No earlier release to go back to.
    #[error("there is no earlier release to roll back to")]
    NothingRetired,
    /// Release and originals do not fit together, or one of them has errors.
    #[error(transparent)]
    Candidate(#[from] CandidateError),
    /// A page could not be read.
    #[error("a stored page cannot be read")]
    Blob(#[from] ReadBlobError),
    /// The releases folder failed.
    #[error(transparent)]
    Releases(#[from] ReleasesError),
    /// The live document failed.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A kept release is damaged.
    #[error("release {0} cannot be read back")]
    Damaged(ReleaseVersion, #[source] Box<OfferRefused>),
    /// A number that has been decided on came again with other content.
    #[error("release {0} is {1} here with other content: changed content needs a higher number")]
    Decided(ReleaseVersion, &'static str),
    /// What was decided could not be written down, so it was not done.
    #[error("the audit trail could not be continued")]
    Audit(#[from] AuditError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A release that was overwritten.
    #[error(
        "release {0} cannot be rolled back to: the contract's strategy is to overwrite, so only the last one is kept"
    )]
    Overwritten(ReleaseVersion),
    /// A release of which only the history is kept.
    #[error("release {0} was swept: of releases that were live before, the last {kept} are kept", kept = holdings::RETIRED_KEPT)]
    Swept(ReleaseVersion),
    /// The contract does not speak of the operator's emergencies.
    #[error("the contract does not let you declare an emergency: its `rights.override` is not `emergency`")]
    NoEmergencyRight,
    /// None is declared.
    #[error("no emergency is declared")]
    NoEmergency,
    /// No changed originals wait.
    #[error("no changed pages of your own are waiting")]
    NoOriginals,
    /// The originals changed after they were read about.
    #[error("your own pages changed since you looked: read the change again, then decide")]
    OtherOriginals,
    /// A file among the originals cannot be kept.
    #[error("the file {0} cannot be kept: its name is not one that every system can have")]
    OriginalName(String, #[source] InvalidPath),
    /// A file among the originals cannot be read.
    #[error("your own pages cannot be read: {0}")]
    OriginalFile(PathBuf, #[source] std::io::Error),
    /// The contract is neither the one in force nor a later one.
    #[error("contract {0} is not the one in force here: changed terms need a higher version than {live}", live = .1.version)]
    ContractNotLater(ContractId, ContractId),
    /// The contract would change under which version a statement was issued.
    #[error(
        "contract {0} would take effect in {1}, whose statement was issued under an earlier version: let it take effect \
         after {last}",
        last = .1.last()
    )]
    ReachesBack(ContractId, Period),
}

impl Publisher {
    /// Opens what is kept and puts the live site before the public. What is damaged of it is made anew, as far as the
    /// audit trail and the releases go.
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
            emergency: emergency.value,
            emergency_document,
            audit: AuditTrail::at(places.state.join(AUDIT)),
            releases,
            readings: Readings::default(),
            blobs: places.blobs,
            pictures: Cache::at(places.state.join("cache/pictures")),
            parts: Parts::default(),
            document,
            withdrawn: Document::at(places.state.join("withdrawn.json")),
            extents: Extents::in_state(&places.state),
            live: live.value.unwrap_or_default(),
            shapes: Shapes::default(),
            share: places.share,
            records: watch::Sender::new(Vec::new()),
            pins: Pins::in_state(&places.state),
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
            Some(version) => Ok(Some(self.reread(version)?.contract.clone())),
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

    /// What the release `version` would change now, or the one that waits: the contract, and the pages.
    ///
    /// # Errors
    /// When there is no such release or it does not fit the originals.
    pub fn difference(&self, version: Option<ReleaseVersion>) -> Result<Difference, PublishError> {
        let version = match version {
            Some(version) => self.record(version)?.version,
            None => self.waiting()?.version,
        };
        let release = self.reread(version)?;
        let pages = self.compare(&release, &self.build(&release)?)?.difference;
        Ok(Difference { contract: self.contract_hunks(version)?, ..pages })
    }

    /// The site that the release `version` would make with the originals as they are approved.
    ///
    /// # Errors
    /// When there is no such release or it does not fit the originals.
    pub fn candidate(&self, version: ReleaseVersion) -> Result<Arc<Candidate>, PublishError> {
        let release = self.reread(version)?;
        self.build(&release)
    }

    /// What an operator decides about: what the release `version` would change now, in short and in full.
    ///
    /// # Errors
    /// When there is no such release or it does not fit the originals.
    pub fn proposal(&self, version: ReleaseVersion) -> Result<Comparison, PublishError> {
        let release = self.reread(version)?;
        let Comparison { change, difference } = self.compare(&release, &self.build(&release)?)?;
        let difference = Difference { contract: self.contract_hunks(version)?, ..difference };
        Ok(Comparison { change, difference })
    }

    /// The same as text.
    ///
    /// # Errors
    /// As [`Publisher::difference`].
    pub fn diff(&self, version: Option<ReleaseVersion>) -> Result<String, PublishError> {
        Ok(self.difference(version)?.to_string())
    }

    /// The edits from the contract in force to that of `version`.
    fn contract_hunks(&self, version: ReleaseVersion) -> Result<Vec<Hunk>, PublishError> {
        let Some(live) = self.live.version else { return Ok(Vec::new()) };
        let (before, after) = (self.kept(live, CONTRACT)?, self.kept(version, CONTRACT)?);
        Ok(edits::hunks(&String::from_utf8_lossy(&before), &String::from_utf8_lossy(&after)))
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

    fn pages(&self) -> Pages<'_> {
        Pages { blobs: &self.blobs, shapes: &self.shapes }
    }

    fn compare(&self, release: &Verified<Release>, candidate: &Arc<Candidate>) -> Result<Comparison, PublishError> {
        let mut comparison = comparison::compare(&self.live.site, candidate, &self.live.accepted, &self.pages())?;
        let before = self.contract()?.map(|contract| contract.id.version);
        let after = release.contract.id.version;
        let change = &mut comparison.change;
        change.contract = before.filter(|before| *before != after).map(|before| (before, after));
        change.first = self.live.version.is_none();
        change.emergency.clone_from(&release.manifest.emergency);
        Ok(comparison)
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

    /// Terms change only under a higher version, which the operator is then asked about.
    fn check_contract(&self, offered: &Contract) -> Result<(), PublishError> {
        match self.contract()? {
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

    /// The one step: replaces the live document by the site of `version`.
    fn switch(
        &mut self,
        version: ReleaseVersion,
        by: DecidedBy,
        rolled_back: Option<ReleaseVersion>,
        site: Arc<Candidate>,
    ) -> Result<(), PublishError> {
        let mut accepted = self.live.accepted.clone();
        accepted.extend(comparison::new_risks(&self.live.site, &site, &accepted, &self.pages())?);
        let beacons = self.terms(version)?.beacons.map(|beacons| beacons.to);
        let by = Some(by);
        self.put_live(Live { version: Some(version), by, site, accepted, rolled_back, beacons, ..Live::default() })
    }

    fn put_live(&mut self, live: Live) -> Result<(), PublishError> {
        let live = live.after(&self.live);
        let terms = self.terms_beside_others(&live)?;
        // From here until it is public no other tie-up takes a path.
        let turn = self.share.turn();
        if let Some(terms) = &terms {
            turn.check(live.site.to_live(), terms).map_err(CandidateError::Taken)?;
        }
        self.keep_withdrawn(&live)?;
        // A write can fail after the new document has its name; then it is what the next start would serve.
        if let Err(error) = self.document.write_dense(&live)
            && self.document.read().ok().flatten().as_ref() != Some(&live)
        {
            return Err(error.into());
        }
        turn.show(live.shown(), terms);
        self.live = live;
        self.shapes.keep([&self.live.site, &self.live.site]);
        self.note_extent(Timestamp::now());
        Ok(())
    }

    /// Puts the records right after the live document: one release is live, those before it are retired.
    fn follow_live(&self, now: Timestamp) -> Result<(), PublishError> {
        for record in self.releases.list()? {
            let is_live = self.live.version == Some(record.version);
            let says_live = record.state == ReleaseState::Live;
            if is_live && !says_live {
                let by = self.live.by;
                let live =
                    ReleaseRecord { state: ReleaseState::Live, since: now, by, waits_for: None, held: None, ..record };
                self.releases.set_record(&live)?;
            } else if says_live && !is_live {
                self.releases.set_record(&record.retire(now)?)?;
            }
        }
        Ok(())
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
