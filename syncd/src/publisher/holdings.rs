//! What the partner holds on its disk: what is kept, whether it is still what was verified, and what may go.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord, ReleaseState};
use tieup_protocol::audit::Happening;
use tieup_protocol::contract::Contract;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_protocol::path::{SitePath, SourcePath};
use tieup_store::durable;
use tieup_store::quarantine::Quarantine;
use tieup_store::releases::{CONTRACT, MANIFEST};

use super::{PublishError, Publisher};

/// How many releases that were live before are kept with all that a rollback needs.
pub(super) const RETIRED_KEPT: usize = 5;

/// The digest of the contract of a release whose manifest was swept, in hexadecimal digits.
const TERMS: &str = "contract.b3";

/// The content that the live site and the kept releases rest on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// What visitors get, with one of the paths at which they do.
    pub served: BTreeMap<BlobRef, SitePath>,
    /// Those of them that are pages.
    pub pages: BTreeSet<BlobRef>,
    /// What the releases rest on that are live, wait, or can be rolled back to.
    pub releases: BTreeSet<BlobRef>,
    /// Of how many releases that is not known, since their records or manifests are damaged.
    pub unreadable: usize,
}

/// What was found of the documents beside the blobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// Those that were damaged and are whole again.
    pub restored: Vec<String>,
    /// The digests of those that are lacking.
    pub lacking: BTreeSet<Digest>,
}

impl Holdings {
    /// All of it, what visitors get first.
    pub fn blobs(&self) -> Vec<BlobRef> {
        let served = self.served.keys().copied();
        served.chain(self.releases.iter().filter(|blob| !self.served.contains_key(blob)).copied()).collect()
    }

    /// The digests of all of it.
    pub fn digests(&self) -> HashSet<Digest> {
        self.blobs().into_iter().map(|blob| blob.digest).collect()
    }
}

impl Publisher {
    /// What must stay on the disk.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn holdings(&self) -> Result<Holdings, PublishError> {
        let mut holdings = Holdings { unreadable: self.releases.damaged()?.len(), ..Holdings::default() };
        for (path, file) in self.live.site.files.iter().chain(&self.live.site.search) {
            holdings.served.entry(file.blob).or_insert_with(|| path.clone());
            if file.kind.is_visited() {
                holdings.pages.insert(file.blob);
            }
        }
        for record in self.kept_releases()? {
            match self.known_manifest(&record)? {
                Some(manifest) => holdings.releases.extend(manifest.blobs()),
                None => holdings.unreadable += 1,
            }
        }
        Ok(holdings)
    }

    /// The digests of what must stay on the disk; none while it is not known what all kept releases rest on.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn needed(&self) -> Result<Option<HashSet<Digest>>, PublishError> {
        if !self.releases.damaged()?.is_empty() {
            return Ok(None);
        }
        let site = &self.live.site;
        let mut needed: HashSet<Digest> =
            site.files.values().chain(site.search.values()).map(|f| f.blob.digest).collect();
        for record in self.kept_releases()? {
            let Some(manifest) = self.known_manifest(&record)? else { return Ok(None) };
            needed.extend(manifest.all_blobs().map(|blob| blob.digest));
        }
        Ok(Some(needed))
    }

    /// Looks at the documents beside the blobs, sets damaged ones aside, and restores what can be restored here: what
    /// is live and where releases stand from memory or from the audit trail, a contract from another release under it.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn check_documents(&mut self, quarantine: &Quarantine, now: Timestamp) -> Result<Documents, PublishError> {
        let mut found = Documents::default();
        self.check_live(quarantine, now, &mut found)?;
        self.check_records(quarantine, now, &mut found)?;
        for record in self.kept_releases()? {
            self.check_release(&record, quarantine, now, &mut found)?;
        }
        self.settle_terms();
        Ok(found)
    }

    /// Takes a manifest or contract that is lacking, wherever it is.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn restore_document(&mut self, bytes: &[u8]) -> Result<(), PublishError> {
        let digest = Digest::of(bytes);
        for record in self.kept_releases()? {
            if record.manifest == digest {
                self.releases.restore_file(record.version, &name(MANIFEST), bytes)?;
            }
            let contract = self.whole_manifest(&record)?.map(|manifest| manifest.contract.digest);
            if contract == Some(digest) {
                self.releases.restore_file(record.version, &name(CONTRACT), bytes)?;
            }
        }
        self.settle_terms();
        Ok(())
    }

    /// Gives up what is not needed of releases that can no longer go live and were decided on before `before`. Their
    /// records stay, and the contracts that months are charged under.
    ///
    /// Each is durable before the next. Says how many there were.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sweep_releases(&mut self, before: Timestamp) -> Result<usize, PublishError> {
        let kept: HashSet<ReleaseVersion> = self.kept_releases()?.iter().map(|record| record.version).collect();
        let mut swept = 0;
        for record in self.releases.list()? {
            if kept.contains(&record.version) || record.since >= before || self.is_swept(record.version) {
                continue;
            }
            let Some(contract) = self.whole_contract(&record)? else { continue };
            let digest = Digest::of(&contract).hex().into_bytes();
            let files = BTreeMap::from([(name(CONTRACT), contract), (name(TERMS), digest)]);
            self.releases.stage(&record, &files)?;
            self.readings.forget(record.version);
            swept += 1;
        }
        Ok(swept)
    }

    /// Goes back to the newest release that was live before and is whole, since `reason` cannot be mended.
    ///
    /// Durable on return; none where there is no such release. No rule approves anything until the operator has.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn fall_back(&mut self, reason: &str, now: Timestamp) -> Result<Option<ReleaseRecord>, PublishError> {
        for record in self.newest_retired()? {
            let Some(manifest) = self.whole_manifest(&record)? else { continue };
            if manifest.blobs().iter().any(|blob| self.blobs.read(blob).is_err()) {
                continue;
            }
            match self.go_back(&record, DecidedBy::Daemon, Some(reason), now) {
                Ok(live) => return Ok(Some(live)),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "release {} is of no use", record.version);
                }
            }
        }
        Ok(None)
    }

    /// Writes down what became of stored content. It is so whether or not that can be done.
    pub fn note_drift(&mut self, happenings: &[Happening], now: Timestamp) {
        if happenings.is_empty() {
            return;
        }
        if let Err(error) = self.audit.append(happenings, now) {
            tracing::error!(error = &error as &dyn std::error::Error, "damage was not written down");
        }
    }

    /// Whether only the history of a release is kept.
    pub(super) fn is_swept(&self, version: ReleaseVersion) -> bool {
        self.releases.has_file(version, &name(TERMS)) && !self.releases.has_file(version, &name(MANIFEST))
    }

    /// The contract of a release, also of one that was swept.
    pub(super) fn terms(&self, version: ReleaseVersion) -> Result<Contract, PublishError> {
        if !self.is_swept(version) {
            return Ok(self.contract_of(version)?.as_ref().clone());
        }
        let (text, digest) = (self.kept(version, CONTRACT)?, self.kept(version, TERMS)?);
        let text = String::from_utf8_lossy(&text);
        let contract = Contract::parse(CONTRACT, &text).ok();
        let contract = contract.filter(|contract| contract.digest().hex().as_bytes() == digest);
        contract.ok_or(PublishError::Swept(version))
    }

    /// Those that are live, wait, or can be rolled back to.
    fn kept_releases(&self) -> Result<Vec<ReleaseRecord>, PublishError> {
        let mut kept = self.newest_retired()?;
        kept.extend(self.releases.list()?.into_iter().filter(|record| {
            record.state.is_open() || record.state == ReleaseState::Live || Some(record.version) == self.live.version
        }));
        Ok(kept)
    }

    /// Those that can be rolled back to, the one that was live last first.
    fn newest_retired(&self) -> Result<Vec<ReleaseRecord>, PublishError> {
        let mut retired = self.releases.list()?;
        retired.retain(|record| record.state == ReleaseState::Retired && Some(record.version) != self.live.version);
        retired.sort_by_key(|record| std::cmp::Reverse((record.since, record.version)));
        retired.truncate(RETIRED_KEPT);
        Ok(retired)
    }

    /// The same as [`Publisher::whole_manifest`], without being read where it was before and nobody wrote to it.
    fn known_manifest(&self, record: &ReleaseRecord) -> Result<Option<Arc<Manifest>>, PublishError> {
        match self.manifest_of(record.version)? {
            Some(manifest) => Ok(Some(manifest)),
            // Its contract may be what is damaged.
            None => Ok(self.whole_manifest(record)?.map(Arc::new)),
        }
    }

    fn whole_manifest(&self, record: &ReleaseRecord) -> Result<Option<Manifest>, PublishError> {
        let bytes = self.releases.file(record.version, &name(MANIFEST))?;
        let bytes = bytes.filter(|bytes| Digest::of(bytes) == record.manifest);
        Ok(bytes.and_then(|bytes| Manifest::parse(&bytes).ok()))
    }

    fn whole_contract(&self, record: &ReleaseRecord) -> Result<Option<Vec<u8>>, PublishError> {
        let Some(manifest) = self.whole_manifest(record)? else { return Ok(None) };
        let bytes = self.releases.file(record.version, &name(CONTRACT))?;
        Ok(bytes.filter(|bytes| Digest::of(bytes) == manifest.contract.digest))
    }

    fn check_live(&self, quarantine: &Quarantine, now: Timestamp, found: &mut Documents) -> Result<(), PublishError> {
        if self.live.version.is_none() || self.document.read().ok().flatten().as_ref() == Some(&self.live) {
            return Ok(());
        }
        if let Some(damaged) = durable::read_file(self.document.path())? {
            quarantine.keep("live.json", &damaged, now)?;
        }
        self.document.write_dense(&self.live)?;
        found.restored.push("live.json".to_owned());
        Ok(())
    }

    /// A record that can be read is taken as it is: memory may be behind it after a failed write.
    fn check_records(
        &mut self,
        quarantine: &Quarantine,
        now: Timestamp,
        found: &mut Documents,
    ) -> Result<(), PublishError> {
        let known = self.records.borrow().clone();
        for record in &known {
            // Read, and not remembered: a disk that forgets leaves a file looking as it did.
            let bytes = self.releases.record_bytes(record.version)?;
            if bytes.as_deref().is_some_and(|bytes| serde_json::from_slice::<ReleaseRecord>(bytes).is_ok()) {
                continue;
            }
            if let Some(damaged) = bytes {
                quarantine.keep(&format!("release-{}-record.json", record.version), &damaged, now)?;
            }
            self.releases.restore_record(record)?;
            found.restored.push(format!("the record of release {}", record.version));
        }
        // Of what was damaged when the daemon started memory knows nothing.
        let rebuilt = match self.rebuild_records(quarantine, now) {
            Err(PublishError::Audit(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "damaged records cannot be made anew");
                Vec::new()
            }
            other => other?,
        };
        self.follow_live(now)?;
        if !rebuilt.is_empty() {
            self.announce()?;
        }
        found.restored.extend(rebuilt);
        Ok(())
    }

    fn check_release(
        &self,
        record: &ReleaseRecord,
        quarantine: &Quarantine,
        now: Timestamp,
        found: &mut Documents,
    ) -> Result<(), PublishError> {
        let set_aside = |file: &str| -> Result<(), PublishError> {
            if let Some(damaged) = self.releases.file(record.version, &name(file))? {
                quarantine.keep(&format!("release-{}-{file}", record.version), &damaged, now)?;
            }
            Ok(())
        };
        let Some(manifest) = self.whole_manifest(record)? else {
            found.lacking.insert(record.manifest);
            return set_aside(MANIFEST);
        };
        if self.whole_contract(record)?.is_some() {
            return Ok(());
        }
        set_aside(CONTRACT)?;
        let wanted = manifest.contract.digest;
        for other in self.kept_releases()? {
            if let Some(contract) = self.whole_contract(&other)?.filter(|bytes| Digest::of(bytes) == wanted) {
                self.releases.restore_file(record.version, &name(CONTRACT), &contract)?;
                found.restored.push(format!("the contract of release {}", record.version));
                return Ok(());
            }
        }
        found.lacking.insert(wanted);
        Ok(())
    }
}

fn name(file: &str) -> SourcePath {
    file.parse().expect("the names of a release's files are relative paths")
}
