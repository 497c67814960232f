//! The intake: an offer becomes a staged release, once it is verified and every blob has arrived.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tieup_protocol::approval::ReleaseRecord;
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::manifest::BlobRef;
use tieup_protocol::wire::{BlobHeader, Offer, Wanted};
use tieup_store::blobs::{BlobStore, PutBlobError};
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::DiskError;

use crate::publisher::{PublishError, Publisher};
use crate::trust::{OfferRefused, Release, TrustState, Verified, verify_metadata};

/// Takes in releases, one at a time. What is offered lives in memory; after a restart main offers it again.
pub struct Intake {
    main: SiteId,
    partner: SiteId,
    trust: Document<TrustState>,
    pinned_root: String,
    blobs: Arc<BlobStore>,
    offered: Option<Verified<Release>>,
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
    /// Blobs came without an offer.
    #[error("no release has been offered: offer it first")]
    NothingOffered,
    /// A blob that was not asked for.
    #[error("blob {0} was not asked for")]
    Unwanted(Digest),
    /// The stream broke; what had arrived is kept, and main may go on with the rest.
    #[error("the blob stream broke off")]
    Stream(#[source] io::Error),
    /// A blob could not be taken.
    #[error("a blob was refused")]
    Blob(#[from] PutBlobError),
    /// The disk failed.
    #[error("the blobs could not be kept")]
    Disk(#[from] DiskError),
    /// Not every blob has arrived.
    #[error("release {version} still lacks {missing} blobs")]
    Incomplete {
        /// The release.
        version: ReleaseVersion,
        /// How many blobs are missing.
        missing: usize,
    },
    /// It could not be staged.
    #[error("release {0} was not staged")]
    Publish(ReleaseVersion, #[source] Box<PublishError>),
}

impl Intake {
    /// An intake that keeps its state of trust in the folder `state` and begins with `pinned_root`.
    pub fn new(main: SiteId, partner: SiteId, state: &Path, pinned_root: String, blobs: Arc<BlobStore>) -> Self {
        let trust = Document::at(state.join("trust.json"));
        Self { main, partner, trust, pinned_root, blobs, offered: None }
    }

    /// Verifies an offer and says which blobs are missing.
    ///
    /// # Errors
    /// When it does not verify; then nothing has changed.
    pub async fn offer(&mut self, offer: Offer) -> Result<Wanted, IntakeError> {
        let seen = self.trust.read()?;
        let state = seen.unwrap_or_else(|| TrustState { root: self.pinned_root.clone(), seen: BTreeMap::new() });
        let (signed, state) = verify_metadata(&offer, &self.main, &self.partner, &state).await?;
        let release = signed.manifest(offer.manifest.into_bytes(), offer.contract)?;
        self.trust.write(&state)?;
        let wanted = Wanted { version: release.manifest.version, blobs: self.missing(&release) };
        self.offered = Some(release);
        Ok(wanted)
    }

    /// Takes blobs of the offered release from a stream of headers and contents, and keeps them durably.
    ///
    /// Blocks on the stream and the disk.
    ///
    /// # Errors
    /// When a blob was not asked for, is longer or shorter than the manifest says, or has another digest.
    pub fn receive(&self, mut stream: impl Read) -> Result<(), IntakeError> {
        let release = self.offered.as_ref().ok_or(IntakeError::NothingOffered)?;
        let mut wanted = release.manifest.blobs();
        let batch = self.blobs.batch();
        while let Some(BlobHeader(blob)) = next_header(&mut stream).map_err(IntakeError::Stream)? {
            // Taken out of the set as it comes, so that a stream cannot repeat itself for ever.
            if !wanted.remove(&blob) {
                return Err(IntakeError::Unwanted(blob.digest));
            }
            batch.put_expected(&blob, (&mut stream).take(blob.length))?;
        }
        Ok(batch.sync()?)
    }

    /// Stages the offered release with `publisher`. Blocks on the disk.
    ///
    /// # Errors
    /// When blobs are missing, or release and originals conflict.
    pub fn stage(&mut self, publisher: &mut Publisher, now: Timestamp) -> Result<ReleaseRecord, IntakeError> {
        let release = self.offered.as_ref().ok_or(IntakeError::NothingOffered)?;
        let version = release.manifest.version;
        let missing = self.missing(release).len();
        if missing > 0 {
            return Err(IntakeError::Incomplete { version, missing });
        }
        let staged = publisher.stage(release, now);
        let record = staged.map_err(|error| IntakeError::Publish(version, Box::new(error)))?;
        self.offered = None;
        Ok(record)
    }

    fn missing(&self, release: &Verified<Release>) -> Vec<BlobRef> {
        release.manifest.blobs().into_iter().filter(|blob| !self.blobs.contains(blob)).collect()
    }
}

/// The next header of a blob stream, or `None` at its end.
fn next_header(stream: &mut impl Read) -> io::Result<Option<BlobHeader>> {
    let mut bytes = [0; BlobHeader::LENGTH];
    let first = stream.read(&mut bytes)?;
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut bytes[first..])?;
    Ok(Some(BlobHeader::decode(&bytes)))
}
