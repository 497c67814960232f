//! The publisher: which release is live, which one waits, and the one step that makes a release public.
//!
//! `live.json` is that step. It holds the whole merged index of the live site and is replaced durably and atomically;
//! the releases' records follow it and are put right from it after a crash. Methods block on the disk.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::approval::{DecidedBy, IllegalStep, ReleaseRecord, ReleaseState};
use tieup_protocol::change::{Change, Risks};
use tieup_protocol::contract::{Contract, ContractId, Decision, charged_under};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::Manifest;
use tieup_protocol::period::Month;
use tieup_store::blobs::{BlobStore, ReadBlobError};
use tieup_store::cache::Cache;
use tieup_store::document::{Document, DocumentError};
use tieup_store::releases::{CONTRACT, MANIFEST, Releases, ReleasesError};
use tieup_web::site::PublicSite;
use tokio::sync::watch;

use crate::candidate::{Candidate, CandidateError};
use crate::comparison;
use crate::trust::{self, OfferRefused, Release, Verified};

/// What is live, as one document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Live {
    /// The live release.
    version: Option<ReleaseVersion>,
    /// Who made it live.
    by: Option<DecidedBy>,
    /// The merged site.
    site: Candidate,
    /// Scripts, forms and hosts that have been let through.
    accepted: Risks,
    /// The release that the operator rolled back from. Until they approve one again, no rule makes one live.
    #[serde(default)]
    rolled_back: Option<ReleaseVersion>,
}

/// The partner's releases and its public site.
pub struct Publisher {
    main: SiteId,
    site: PathBuf,
    releases: Releases,
    blobs: Arc<BlobStore>,
    /// Originals' pictures that were made narrower.
    pictures: Cache,
    document: Document<Live>,
    live: Live,
    public: Arc<PublicSite>,
    records: watch::Sender<Vec<ReleaseRecord>>,
}

/// Where a publisher works.
pub struct Places {
    /// The main site it follows.
    pub main: SiteId,
    /// The partner's own site.
    pub site: PathBuf,
    /// The daemon's state folder.
    pub state: PathBuf,
    /// Where content is.
    pub blobs: Arc<BlobStore>,
    /// What visitors see.
    pub public: Arc<PublicSite>,
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
    /// The contract is neither the one in force nor a later one.
    #[error("contract {0} is not the one in force here: changed terms need a higher version than {live}", live = .1.version)]
    ContractNotLater(ContractId, ContractId),
}

impl Publisher {
    /// Opens what is kept and puts the live site before the public.
    ///
    /// # Errors
    /// When the state folder cannot be read.
    pub fn open(places: Places) -> Result<Self, PublishError> {
        let releases = Releases::open(places.state.join("releases"))?;
        let document = Document::at(places.state.join("live.json"));
        let live: Live = document.read()?.unwrap_or_default();
        for damaged in releases.damaged()? {
            tracing::error!(error = &damaged as &dyn std::error::Error, "a release is left out");
        }
        places.public.switch(live.site.to_live());
        let publisher = Self {
            main: places.main,
            site: places.site,
            releases,
            blobs: places.blobs,
            pictures: Cache::at(places.state.join("cache/pictures")),
            document,
            live,
            public: places.public,
            records: watch::Sender::new(Vec::new()),
        };
        publisher.follow_live(Timestamp::now())?;
        publisher.supersede_all_but_newest(Timestamp::now())?;
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

    /// The digests of the manifests that are here, those that a next release is likely to be like first.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn kept_manifests(&self) -> Result<Vec<Digest>, PublishError> {
        let mut records = self.releases.list()?;
        records.sort_by_key(|record| match record.state {
            ReleaseState::Staged => 0,
            ReleaseState::Live => 1,
            _ => 2,
        });
        Ok(records.into_iter().map(|record| record.manifest).collect())
    }

    /// The manifest with this digest, if it is here and undamaged.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn kept_manifest(&self, digest: Digest) -> Result<Option<Manifest>, PublishError> {
        let record = self.releases.list()?.into_iter().find(|record| record.manifest == digest);
        let Some(record) = record else { return Ok(None) };
        let bytes = self.kept(record.version, MANIFEST)?;
        Ok(Some(bytes).filter(|bytes| Digest::of(bytes) == digest).and_then(|bytes| Manifest::parse(&bytes).ok()))
    }

    /// The contract that `month` is charged under, of all that were ever approved here.
    ///
    /// # Errors
    /// When a kept release cannot be read.
    pub fn charged_under(&self, month: Month) -> Result<Option<Contract>, PublishError> {
        let mut approved = Vec::new();
        for record in self.releases.list()? {
            if matches!(record.state, ReleaseState::Live | ReleaseState::Retired) {
                approved.push(self.reread(record.version)?.contract.clone());
            }
        }
        Ok(charged_under(approved, month))
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
        let candidate = Candidate::build(release, &self.site, &self.blobs, &self.pictures)?;
        let change = self.change(release, &candidate)?;
        let decision = match self.live.rolled_back {
            Some(from) => Decision::Ask(format!("the operator rolled back from release {from}")),
            None => release.contract.approval.decide(&change),
        };
        let record = ReleaseRecord {
            version,
            manifest: release.digest,
            state: ReleaseState::Staged,
            since: now,
            by: None,
            sentence: change.sentence(&self.main, version),
            waits_for: match &decision {
                Decision::Ask(reason) => Some(reason.clone()),
                Decision::Auto => None,
            },
        };
        self.releases.stage(&record, &release.files)?;
        self.supersede_all_but_newest(now)?;
        self.announce()?;
        match decision {
            Decision::Auto => self.approve(version, record.manifest, DecidedBy::Rule, now),
            Decision::Ask(_) => Ok(record),
        }
    }

    /// Makes the staged release `version` live. `manifest` is what was read when the decision was taken.
    ///
    /// Durable on return; after a crash either the old site is live or the new one, never a mixture.
    ///
    /// # Errors
    /// When it is not staged, was staged anew, or no longer fits the originals.
    pub fn approve(
        &mut self,
        version: ReleaseVersion,
        manifest: Digest,
        by: DecidedBy,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let record = self.record(version)?.approve(manifest, by.clone(), now)?;
        self.switch(version, by, None)?;
        self.follow_live(now)?;
        self.announce()?;
        Ok(record)
    }

    /// Refuses the staged release `version` for the operator's `reason`. The public site stays as it is.
    ///
    /// # Errors
    /// When it is not staged or was staged anew.
    pub fn reject(
        &mut self,
        version: ReleaseVersion,
        manifest: Digest,
        reason: String,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let record = self.record(version)?.reject(manifest, reason, now)?;
        self.releases.set_record(&record)?;
        self.announce()?;
        Ok(record)
    }

    /// Makes an earlier release live again: `version`, or the one that was live last.
    ///
    /// # Errors
    /// When there is none, or it no longer fits the originals.
    pub fn roll_back(
        &mut self,
        version: Option<ReleaseVersion>,
        now: Timestamp,
    ) -> Result<ReleaseRecord, PublishError> {
        let target = match version {
            Some(version) => self.record(version)?,
            None => self.last_retired()?,
        };
        let record = target.restore(now)?;
        // Going forward again to a later release ends the rollback.
        let from = self.live.version.filter(|live| *live > record.version);
        self.switch(record.version, DecidedBy::Operator, from)?;
        self.follow_live(now)?;
        self.announce()?;
        Ok(record)
    }

    /// Merges the originals as they are now with the live release, and makes the result public if it differs.
    ///
    /// # Errors
    /// When the originals have errors or conflict; then the public site stays as it is.
    pub fn refresh_originals(&mut self) -> Result<Change, PublishError> {
        let Some(version) = self.live.version else { return Ok(Change::default()) };
        let candidate = Candidate::build(&self.reread(version)?, &self.site, &self.blobs, &self.pictures)?;
        let change = comparison::compare(&self.live.site, &candidate, &self.live.accepted, &self.blobs)?;
        if !change.is_empty() || candidate.search != self.live.site.search {
            let mut accepted = self.live.accepted.clone();
            accepted.extend(change.new_risks.clone());
            self.put_live(Live { site: candidate, accepted, ..self.live.clone() })?;
        }
        Ok(change)
    }

    /// What the release `version` would change now, or the staged one, as text: the contract first, then the pages.
    ///
    /// # Errors
    /// When there is no such release or it does not fit the originals.
    pub fn diff(&self, version: Option<ReleaseVersion>) -> Result<String, PublishError> {
        let version = match version {
            Some(version) => self.record(version)?.version,
            None => self.staged()?.version,
        };
        let candidate = Candidate::build(&self.reread(version)?, &self.site, &self.blobs, &self.pictures)?;
        let pages = comparison::diff(&self.live.site, &candidate, &self.blobs)?;
        Ok(self.contract_diff(version)? + &pages)
    }

    /// The difference between the contract in force and that of `version`, as text.
    fn contract_diff(&self, version: ReleaseVersion) -> Result<String, PublishError> {
        let Some(live) = self.live.version else { return Ok(String::new()) };
        let (before, after) = (self.kept(live, CONTRACT)?, self.kept(version, CONTRACT)?);
        if before == after {
            return Ok(String::new());
        }
        let hunks = comparison::hunks(&String::from_utf8_lossy(&before), &String::from_utf8_lossy(&after));
        Ok(format!("changed  the contract\n{hunks}\n"))
    }

    /// The release that waits for a decision.
    ///
    /// # Errors
    /// When none does.
    pub fn staged(&self) -> Result<ReleaseRecord, PublishError> {
        let waiting = self.releases.list()?.into_iter().find(|record| record.state == ReleaseState::Staged);
        waiting.ok_or(PublishError::NothingStaged)
    }

    fn change(&self, release: &Verified<Release>, candidate: &Candidate) -> Result<Change, PublishError> {
        let change = comparison::compare(&self.live.site, candidate, &self.live.accepted, &self.blobs)?;
        let before = self.contract()?.map(|contract| contract.id.version);
        let after = release.contract.id.version;
        let contract = before.filter(|before| *before != after).map(|before| (before, after));
        Ok(Change { contract, first: self.live.version.is_none(), ..change })
    }

    /// Terms change only under a higher version, which the operator is then asked about.
    fn check_contract(&self, offered: &Contract) -> Result<(), PublishError> {
        match self.contract()? {
            Some(live) if live.digest() != offered.digest() && offered.id.version <= live.id.version => {
                Err(PublishError::ContractNotLater(offered.id.clone(), live.id))
            }
            _ => Ok(()),
        }
    }

    /// The one step: builds the site of `version` and replaces the live document by it.
    fn switch(
        &mut self,
        version: ReleaseVersion,
        by: DecidedBy,
        rolled_back: Option<ReleaseVersion>,
    ) -> Result<(), PublishError> {
        let release = self.reread(version)?;
        let candidate = Candidate::build(&release, &self.site, &self.blobs, &self.pictures)?;
        let mut accepted = self.live.accepted.clone();
        accepted.extend(self.change(&release, &candidate)?.new_risks);
        self.put_live(Live { version: Some(version), by: Some(by), site: candidate, accepted, rolled_back })
    }

    fn put_live(&mut self, live: Live) -> Result<(), PublishError> {
        // A write can fail after the new document has its name; then it is what the next start would serve.
        if let Err(error) = self.document.write(&live)
            && self.document.read().ok().flatten().as_ref() != Some(&live)
        {
            return Err(error.into());
        }
        self.public.switch(live.site.to_live());
        self.live = live;
        Ok(())
    }

    /// Puts the records right after the live document: one release is live, those before it are retired.
    fn follow_live(&self, now: Timestamp) -> Result<(), PublishError> {
        for record in self.releases.list()? {
            let is_live = self.live.version == Some(record.version);
            let says_live = record.state == ReleaseState::Live;
            if is_live && !says_live {
                let by = self.live.by.clone();
                let live = ReleaseRecord { state: ReleaseState::Live, since: now, by, waits_for: None, ..record };
                self.releases.set_record(&live)?;
            } else if says_live && !is_live {
                self.releases.set_record(&record.retire(now))?;
            }
        }
        Ok(())
    }

    /// Of several staged releases only the newest waits. A crash can leave two.
    fn supersede_all_but_newest(&self, now: Timestamp) -> Result<(), PublishError> {
        let staged = self.releases.list()?.into_iter().filter(|record| record.state == ReleaseState::Staged);
        for earlier in staged.skip(1) {
            self.releases.set_record(&earlier.supersede(now)?)?;
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

    fn reread(&self, version: ReleaseVersion) -> Result<Verified<Release>, PublishError> {
        let manifest = self.kept(version, MANIFEST)?;
        let contract = self.kept(version, CONTRACT)?;
        let verified = self.record(version)?.manifest;
        let release = trust::reread(&manifest, &String::from_utf8_lossy(&contract), verified);
        release.map_err(|refused| PublishError::Damaged(version, Box::new(refused)))
    }

    fn kept(&self, version: ReleaseVersion, name: &str) -> Result<Vec<u8>, PublishError> {
        let name = name.parse().expect("the names of a release's files are relative paths");
        self.releases.file(version, &name)?.ok_or(PublishError::Unknown(version))
    }
}
