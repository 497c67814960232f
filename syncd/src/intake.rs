//! The intake: an offer becomes a staged release, once it is verified and every blob has arrived.
//!
//! Three steps, each refused without a trace: what is signed; the manifest, told as the difference from a release that
//! is here; the blobs that are lacking. What a patch makes is kept only once the whole manifest is the signed one.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tieup_protocol::approval::ReleaseRecord;
use tieup_protocol::delta::{Assembly, InvalidDelta, MAX_STEP, STEP_HEAD, Step};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::{BlobRef, MAX_BLOB, Manifest};
use tieup_protocol::patch::{self, InvalidPatch};
use tieup_protocol::wire::{Fresh, Metadata, Offer, Ready, Wanted};
use tieup_store::blobs::{BlobBatch, BlobStore, PutBlobError, ReadBlobError};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::DiskError;

use crate::publisher::{PublishError, Publisher};
use crate::trust::{OfferRefused, Release, Signed, TrustState, Verified, verify_metadata};

/// How many releases are named to main as bases.
const BASES: usize = 8;

/// Takes in releases, one at a time. What is offered lives in memory; after a restart main offers it again.
pub struct Intake {
    main: SiteId,
    partner: SiteId,
    trust: Document<TrustState>,
    pinned_root: String,
    /// Where the TUF client works.
    datastore: PathBuf,
    blobs: Arc<BlobStore>,
    offered: Option<Offered>,
}

/// A release on offer whose signatures have been verified.
struct Offered {
    signed: Signed,
    contract: String,
    /// Known once the manifest has arrived.
    release: Option<Verified<Release>>,
    /// What main was told is lacking, in the order in which it is sent.
    wanted: Vec<BlobRef>,
}

/// Why a step of the intake was refused. The public site is as it was.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The offer does not verify.
    #[error(transparent)]
    Refused(#[from] OfferRefused),
    /// What is trusted could not be read or kept.
    #[error("the state of trust cannot be read or kept")]
    Trust(#[from] DocumentError),
    /// A manifest or blobs came without an offer.
    #[error("no release has been offered: offer it first")]
    NothingOffered,
    /// Blobs came before the manifest.
    #[error("the manifest of release {0} has not arrived: send it first")]
    NoManifest(ReleaseVersion),
    /// The release is told against one that is not here, or no longer whole.
    #[error("this partner cannot build on the release with manifest {0}")]
    UnknownBase(Digest, #[source] Option<Box<ReadBlobError>>),
    /// The steps make no release.
    #[error("the manifest cannot be put together")]
    Delta(#[from] InvalidDelta),
    /// A patch does not fit.
    #[error("a patch cannot be applied")]
    Patch(#[from] InvalidPatch),
    /// More bytes than were asked for.
    #[error("more was sent than was asked for")]
    Trailing,
    /// The stream broke; what had arrived is kept, and main may go on with the rest.
    #[error("the stream broke off")]
    Stream(#[source] io::Error),
    /// A blob could not be taken.
    #[error("a blob was refused")]
    Blob(#[from] PutBlobError),
    /// The disk failed.
    #[error("the blobs could not be kept")]
    Disk(#[from] DiskError),
    /// The disk is too full.
    #[error("release {version} takes {needed} bytes, and the disk has {free}")]
    NoSpace {
        /// The release.
        version: ReleaseVersion,
        /// How many bytes are lacking here.
        needed: u64,
        /// How many bytes are free.
        free: u64,
    },
    /// Not every blob has arrived.
    #[error("release {version} still lacks {missing} blobs")]
    Incomplete {
        /// The release.
        version: ReleaseVersion,
        /// How many blobs are missing.
        missing: usize,
    },
    /// What is kept here could not be read.
    #[error("the releases here cannot be read")]
    Releases(#[source] Box<PublishError>),
    /// It could not be staged.
    #[error("release {0} was not staged")]
    Publish(ReleaseVersion, #[source] Box<PublishError>),
}

impl Intake {
    /// An intake that keeps its state of trust in the folder `state` and begins with `pinned_root`.
    pub fn new(main: SiteId, partner: SiteId, state: &Path, pinned_root: String, blobs: Arc<BlobStore>) -> Self {
        let (trust, datastore) = (trust_document(state), state.join("cache/metadata"));
        Self { main, partner, trust, pinned_root, datastore, blobs, offered: None }
    }

    /// The content that the release on offer counts on.
    pub fn needed(&self) -> HashSet<Digest> {
        let release = self.offered.as_ref().and_then(|offered| offered.release.as_ref());
        let blobs = release.map(|release| release.manifest.blobs()).unwrap_or_default();
        blobs.into_iter().map(|blob| blob.digest).collect()
    }

    /// How many bytes the manifest on offer comes to at most, with all that patches in it may make.
    pub fn manifest_bytes(&self) -> u64 {
        self.offered.as_ref().map_or(0, |offered| offered.signed.length.saturating_add(offered.signed.label.bytes))
    }

    /// How many bytes come to at most what was asked for of the release on offer.
    pub fn wanted_bytes(&self) -> u64 {
        self.offered.as_ref().map_or(0, |offered| offered.wanted.iter().map(|blob| blob.length).sum())
    }

    /// Verifies what is signed of an offer, and says against which of the `kept` manifests it may be told.
    ///
    /// # Errors
    /// When it does not verify; then nothing has changed.
    pub async fn offer(&mut self, offer: Offer, kept: Vec<Digest>) -> Result<Ready, IntakeError> {
        let (signed, state) = self.verify(&offer.metadata()).await?;
        self.trust.write(&state)?;
        let before = self.offered.take().filter(|before| before.signed.sha256 == signed.sha256);
        let release = before.and_then(|before| before.release).filter(|known| known.contract_text() == offer.contract);
        let mut offered = Offered { signed, contract: offer.contract, release, wanted: Vec::new() };
        let wanted = offered.ask(&self.blobs);
        self.offered = Some(offered);
        Ok(Ready { bases: kept.into_iter().take(BASES).collect(), wanted })
    }

    /// Verifies that the release seen last is still main's newest, and keeps until when that holds.
    ///
    /// # Errors
    /// When it does not verify; then nothing has changed.
    pub async fn freshen(&mut self, metadata: &Metadata) -> Result<Fresh, IntakeError> {
        let (_, state) = self.verify(metadata).await?;
        let until = state.fresh_until().ok_or(OfferRefused::NoManifest)?;
        self.trust.write(&state)?;
        Ok(Fresh { until })
    }

    async fn verify(&self, metadata: &Metadata) -> Result<(Signed, TrustState), IntakeError> {
        let seen = self.trust.read()?;
        let state = seen.unwrap_or_else(|| TrustState::pinned(self.pinned_root.clone()));
        Ok(verify_metadata(metadata, &self.main, &self.partner, &state, &self.datastore).await?)
    }

    /// Puts the manifest of the offered release together from a stream of steps, and says which blobs are lacking.
    /// `kept` finds a manifest that is here.
    ///
    /// Blocks on the stream and the disk. What patches made is durable on return.
    ///
    /// # Errors
    /// When the base is not here, or what comes out is not the manifest that was signed; then nothing is kept.
    pub fn manifest(
        &mut self,
        kept: impl FnOnce(Digest) -> Result<Option<Arc<Manifest>>, PublishError>,
        mut stream: impl Read,
    ) -> Result<Wanted, IntakeError> {
        let offered = self.offered.as_mut().ok_or(IntakeError::NothingOffered)?;
        let first = next_step(&mut stream)?;
        let base = match Assembly::base(&first)? {
            None => None,
            Some(digest) => Some((digest, base_manifest(kept, digest)?)),
        };
        let mut assembly = Assembly::begin(&first, base.as_ref().map(|(_, manifest)| &**manifest))?;
        let batch = self.blobs.batch();
        let patching = Patching { blobs: &self.blobs, batch: &batch, base: base.as_ref().map(|(digest, _)| *digest) };
        let release = patching
            .run(&mut assembly, &mut stream)
            .and_then(|()| Ok(offered.signed.manifest(assembly.finish(), offered.contract.clone())?));
        match release {
            Ok(release) => {
                batch.sync()?;
                offered.release = Some(release);
            }
            Err(error) => {
                batch.discard();
                return Err(error);
            }
        }
        let wanted = offered.ask(&self.blobs).ok_or(IntakeError::NothingOffered)?;
        offered.check_space(&self.blobs)?;
        Ok(wanted)
    }

    /// Takes the blobs that were asked for from a stream, and keeps them durably.
    ///
    /// Blocks on the stream and the disk.
    ///
    /// # Errors
    /// When a blob is longer or shorter than the manifest says, or has another digest.
    pub fn receive(&mut self, mut stream: impl Read) -> Result<(), IntakeError> {
        let offered = self.offered.as_ref().ok_or(IntakeError::NothingOffered)?;
        offered.known()?;
        let batch = self.blobs.batch();
        for blob in &offered.wanted {
            batch.put_expected(blob, (&mut stream).take(blob.length)).map_err(|error| match error {
                PutBlobError::Stream { source, .. } => IntakeError::Stream(source),
                refused => IntakeError::Blob(refused),
            })?;
        }
        check_end(&mut stream)?;
        Ok(batch.sync()?)
    }

    /// Stages the offered release with `publisher`. Blocks on the disk.
    ///
    /// # Errors
    /// When blobs are missing, or release and originals conflict.
    pub fn stage(&mut self, publisher: &mut Publisher, now: Timestamp) -> Result<ReleaseRecord, IntakeError> {
        let offered = self.offered.as_ref().ok_or(IntakeError::NothingOffered)?;
        let release = offered.known()?;
        let version = release.manifest.version;
        let missing = release.manifest.blobs_in_order().iter().filter(|blob| !self.blobs.contains(blob)).count();
        if missing > 0 {
            return Err(IntakeError::Incomplete { version, missing });
        }
        let staged = publisher.stage(release, now);
        let record = staged.map_err(|error| IntakeError::Publish(version, Box::new(error)))?;
        self.offered = None;
        Ok(record)
    }
}

impl Offered {
    fn known(&self) -> Result<&Verified<Release>, IntakeError> {
        self.release.as_ref().ok_or(IntakeError::NoManifest(self.signed.label.version))
    }

    /// What is lacking now, which is what the next stream has to hold; none before the manifest is known.
    fn ask(&mut self, blobs: &BlobStore) -> Option<Wanted> {
        let all = self.release.as_ref()?.manifest.blobs_in_order();
        let wanted = Wanted::new(self.signed.label.version, &all, |blob| !blobs.contains(blob));
        self.wanted = wanted.of(&all);
        Some(wanted)
    }

    fn check_space(&self, blobs: &BlobStore) -> Result<(), IntakeError> {
        let needed = self.wanted.iter().map(|blob| blob.length).sum();
        let free = blobs.free_space()?;
        if needed > free {
            Err(IntakeError::NoSpace { version: self.signed.label.version, needed, free })
        } else {
            Ok(())
        }
    }
}

/// What the partner with the state folder `state` trusts; nothing before the first release.
pub fn trust_document(state: &Path) -> Document<TrustState> {
    Document::at(state.join("trust.json"))
}

/// Patches of a delta, applied to the blobs of its base.
struct Patching<'a> {
    blobs: &'a BlobStore,
    batch: &'a BlobBatch<'a>,
    base: Option<Digest>,
}

impl Patching<'_> {
    /// Takes every step of the stream.
    fn run(&self, assembly: &mut Assembly<'_>, stream: &mut impl Read) -> Result<(), IntakeError> {
        while !assembly.take(next_step(stream)?, |old, patch| self.apply(old, patch))? {}
        check_end(stream)
    }

    fn apply(&self, old: &BlobRef, patch: &[u8]) -> Result<BlobRef, IntakeError> {
        let base = self.blobs.read(old).map_err(|error| {
            // Told whole, the release does not need what is damaged here.
            IntakeError::UnknownBase(self.base.unwrap_or(old.digest), Some(Box::new(error)))
        })?;
        Ok(self.batch.put(&patch::apply(&base, patch, MAX_BLOB)?)?)
    }
}

fn base_manifest(
    kept: impl FnOnce(Digest) -> Result<Option<Arc<Manifest>>, PublishError>,
    digest: Digest,
) -> Result<Arc<Manifest>, IntakeError> {
    let kept = kept(digest).map_err(|error| IntakeError::Releases(Box::new(error)))?;
    kept.ok_or(IntakeError::UnknownBase(digest, None))
}

/// The next step of a delta.
fn next_step(stream: &mut impl Read) -> Result<Step, IntakeError> {
    let mut head = [0; STEP_HEAD];
    stream.read_exact(&mut head).map_err(broken_off)?;
    let length = u32::from_be_bytes(head);
    if length > MAX_STEP {
        return Err(InvalidDelta::Unreadable.into());
    }
    // Read to its end rather than into room made for it: what is announced need not come.
    let mut bytes = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut bytes).map_err(IntakeError::Stream)?;
    if bytes.len() as u64 != u64::from(length) {
        return Err(InvalidDelta::Unfinished.into());
    }
    Ok(Step::decode(&bytes)?)
}

fn broken_off(error: io::Error) -> IntakeError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        InvalidDelta::Unfinished.into()
    } else {
        IntakeError::Stream(error)
    }
}

fn check_end(stream: &mut impl Read) -> Result<(), IntakeError> {
    let more = stream.read(&mut [0; 1]).map_err(IntakeError::Stream)?;
    if more > 0 { Err(IntakeError::Trailing) } else { Ok(()) }
}
