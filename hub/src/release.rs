//! A release in memory: the manifest for one partner and the blobs that it names.

use std::collections::{BTreeMap, HashMap};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use tieup_generator::{OutputFile, ReleaseOutput, Releases};
use tieup_protocol::contract::Contract;
use tieup_protocol::diagnostic::{Diagnostic, Report};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::{BlobRef, ContractRef, Entry, FORMAT, Manifest};
use tieup_protocol::path::{SitePath, SourcePath};

/// A built release. It is the first one until it gets its number.
pub struct BuiltRelease {
    manifest: Manifest,
    /// The manifest's bytes, once somebody needs them.
    text: OnceLock<String>,
    blobs: HashMap<Digest, Arc<[u8]>>,
    contract: String,
}

/// The digests of what releases share, each computed once, by the address of the bytes.
#[derive(Default)]
pub struct SharedDigests(Mutex<HashMap<usize, Shared>>);

/// Bytes that are held, so that nothing else comes to stand where they are.
struct Shared {
    bytes: Arc<[u8]>,
    blob: BlobRef,
}

impl SharedDigests {
    /// Forgets bytes that nobody else holds any more.
    pub fn sweep(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, shared| Arc::strong_count(&shared.bytes) > 1);
    }

    /// The reference to `bytes`.
    pub(crate) fn of(&self, bytes: &Arc<[u8]>) -> BlobRef {
        if Arc::strong_count(bytes) == 1 {
            return BlobRef::of(bytes);
        }
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = bytes.as_ptr().addr();
        if let Some(shared) = known().get(&place).filter(|shared| Arc::ptr_eq(&shared.bytes, bytes)) {
            return shared.blob;
        }
        let blob = BlobRef::of(bytes);
        known().insert(place, Shared { bytes: bytes.clone(), blob });
        blob
    }
}

impl BuiltRelease {
    /// Builds the release for one partner, of which `releases` makes what partners share once.
    ///
    /// # Errors
    /// What is wrong with the site, or that there is no contract with this partner.
    pub fn build(releases: &Releases, partner: &SiteId) -> Result<Self, Report> {
        Self::build_with(&SharedDigests::default(), releases, partner)
    }

    /// The same, where `shared` knows digests.
    ///
    /// # Errors
    /// As [`BuiltRelease::build`].
    pub fn build_with(shared: &SharedDigests, releases: &Releases, partner: &SiteId) -> Result<Self, Report> {
        let site = releases.site();
        let contract = site.partners().find(|contract| contract.id.partner == *partner);
        let text = site.contract_text(partner);
        let Some((contract, text)) = contract.zip(text) else {
            let missing = Diagnostic::new("no-contract", "partners", format!("there is no contract with `{partner}`"));
            return Err(missing.help(format!("write partners/{partner}/contract.yaml")).into());
        };
        Ok(Self::new(contract, text, releases.build(partner)?, shared))
    }

    fn new(contract: &Contract, text: &str, release: ReleaseOutput, shared: &SharedDigests) -> Self {
        let index = release.output.index;
        let mut blobs = HashMap::with_capacity(release.output.files.len());
        let mut keep = |bytes: Arc<[u8]>, blob: BlobRef| {
            blobs.insert(blob.digest, bytes);
            blob
        };
        let (entries, framework, index) = thread::scope(|scope| {
            // The index is large too, and made beside the rest.
            let index = scope.spawn(|| {
                let text = serde_json::to_vec(&index).expect("a page index has text keys and no float");
                (BlobRef::of(&text), Arc::from(text))
            });
            let entry = |(path, file): (SitePath, OutputFile)| {
                let blob = shared.of(&file.bytes);
                let blob = keep(file.bytes, blob);
                (path, Entry { blob, kind: file.kind, media_type: file.media_type.to_owned(), slots: file.slots })
            };
            // Of files in order a map is made faster than by putting one after another into it.
            let entries: BTreeMap<SitePath, Entry> = release.output.files.into_iter().map(entry).collect();
            let theme = |(path, bytes): (&SourcePath, &Vec<u8>)| {
                (path.clone(), keep(bytes.as_slice().into(), BlobRef::of(bytes)))
            };
            let framework = release.framework.files().iter().map(theme).collect();
            let (blob, text) = index.join().unwrap_or_else(|panic| resume_unwind(panic));
            (entries, framework, keep(text, blob))
        });
        let manifest = Manifest {
            format: FORMAT,
            main: contract.id.main.clone(),
            partner: contract.id.partner.clone(),
            version: ReleaseVersion::FIRST,
            contract: ContractRef { id: contract.id.clone(), digest: contract.digest() },
            theme: release.theme,
            entries,
            framework,
            index,
            emergency: None,
        };
        Self { manifest, text: OnceLock::new(), blobs, contract: text.to_owned() }
    }

    /// A release that was built before and has been kept since.
    pub fn kept(manifest: Manifest, contract: &str, blobs: Vec<Vec<u8>>) -> Self {
        let named = |bytes: Vec<u8>| (Digest::of(&bytes), Arc::from(bytes));
        let blobs = blobs.into_iter().map(named).collect();
        Self { manifest, text: OnceLock::new(), blobs, contract: contract.to_owned() }
    }

    /// The content of all of the release's blobs.
    pub fn blobs(&self) -> impl Iterator<Item = &Arc<[u8]>> {
        self.blobs.values()
    }

    /// The same, called an emergency for `reason`.
    #[must_use]
    pub fn as_emergency(mut self, reason: &str) -> Self {
        self.manifest.emergency = Some(reason.to_owned());
        self.text = OnceLock::new();
        self
    }

    /// The same under a number.
    #[must_use]
    pub fn numbered(mut self, version: ReleaseVersion) -> Self {
        self.manifest.version = version;
        self.text = OnceLock::new();
        self
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The manifest's bytes, made once.
    pub fn text(&self) -> &str {
        let write = || String::from_utf8(self.manifest.to_bytes()).expect("JSON is UTF-8");
        self.text.get_or_init(write)
    }

    /// The digests that its manifest would have as release `version`: as any other, and as the emergency that it is.
    pub(crate) fn digests_as(&self, version: ReleaseVersion) -> [Digest; 2] {
        [None, self.manifest.emergency.clone()].map(|emergency| {
            let manifest = Manifest { version, emergency, ..self.manifest.clone() };
            Digest::of(&manifest.to_bytes())
        })
    }

    /// The contract, word for word.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// Every path of the release.
    pub fn entries(&self) -> &BTreeMap<SitePath, Entry> {
        &self.manifest.entries
    }

    /// Every blob that is not served, with what stood in its place in the release before.
    pub fn unserved<'a>(
        &'a self,
        before: Option<&'a Manifest>,
    ) -> impl Iterator<Item = (Option<BlobRef>, BlobRef)> + 'a {
        let old = move |path| before.and_then(|before| before.framework.get(path)).copied();
        let framework = self.manifest.framework.iter().map(move |(path, blob)| (old(path), *blob));
        framework.chain([(before.map(|before| before.index), self.manifest.index)])
    }

    /// The content of one of the release's blobs.
    pub fn blob(&self, digest: &Digest) -> Option<&Arc<[u8]>> {
        self.blobs.get(digest)
    }
}
