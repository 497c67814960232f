//! The way of one release to one partner: the offer, the manifest as a difference, the blobs that are lacking.

use std::io::{self, Write as _};

use tieup_protocol::delta::difference;
use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_protocol::patch;
use tieup_protocol::wire::{BLOBS, MANIFEST, OFFER, Offer, Ready, Staged, UNKNOWN_BASE, Wanted};
use tieup_web::client::{CallError, PeerClient};

use crate::archive::Archive;
use crate::release::BuiltRelease;

/// The zstd level of what is sent: its default, as fast as a local disk.
const COMPRESSION: i32 = 3;

/// A release that is ready to go.
pub(crate) struct Parcel<'a> {
    /// What is signed of it.
    pub offer: &'a Offer,
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// Its content.
    pub built: &'a BuiltRelease,
    /// What was sent before.
    pub archive: Option<&'a Archive>,
    /// The releases that it may be told against.
    pub earlier: &'a [(Digest, Manifest)],
}

/// What a partner said to a release, and what it took.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// The release as the partner keeps it.
    pub staged: Staged,
    /// How many blobs were sent whole.
    pub blobs: usize,
    /// How many bytes were sent.
    pub sent: u64,
}

/// Why a release did not arrive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    /// The partner did not take it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It could not be packed.
    #[error(transparent)]
    Pack(#[from] io::Error),
}

impl Parcel<'_> {
    /// Sends the release.
    pub(crate) async fn send(&self, client: &PeerClient) -> Result<Taken, TransferError> {
        let mut sent = 0;
        let offer = zstd::encode_all(&*serde_json::to_vec(self.offer).map_err(io::Error::other)?, COMPRESSION)?;
        sent += offer.len() as u64;
        let ready: Ready = client.post_body(OFFER, offer).await?;
        let wanted = match ready.wanted {
            Some(wanted) => wanted,
            None => self.send_manifest(client, &ready.bases, &mut sent).await?,
        };
        let blobs = wanted.of(&self.manifest.blobs_in_order());
        let body = self.pack(&blobs)?;
        sent += body.len() as u64;
        let staged = client.put_body(BLOBS, body).await?;
        Ok(Taken { staged, blobs: blobs.len(), sent })
    }

    /// Sends the manifest as the difference from a release that both ends have, or else whole.
    async fn send_manifest(
        &self,
        client: &PeerClient,
        bases: &[Digest],
        sent: &mut u64,
    ) -> Result<Wanted, TransferError> {
        let known = bases.iter().find_map(|base| self.earlier.iter().find(|(digest, _)| digest == base));
        if let Some((digest, base)) = known {
            let steps = self.steps(Some((digest, base)))?;
            *sent += steps.len() as u64;
            match client.put_body(MANIFEST, steps).await {
                Err(error) if error.is_problem(UNKNOWN_BASE) => tracing::info!(%error, "the release is told whole"),
                other => return Ok(other?),
            }
        }
        let steps = self.steps(None)?;
        *sent += steps.len() as u64;
        Ok(client.put_body(MANIFEST, steps).await?)
    }

    fn steps(&self, base: Option<(&Digest, &Manifest)>) -> io::Result<Vec<u8>> {
        let mut stream = zstd::Encoder::new(Vec::new(), COMPRESSION)?;
        let mut written = Ok(());
        difference(
            base,
            self.manifest,
            |old, new| self.patch(old, new),
            |step| {
                if written.is_ok() {
                    written = stream.write_all(&step.encode());
                }
            },
        );
        written.and_then(|()| stream.finish())
    }

    /// The patch between two versions of a file, where the earlier one is known and the patch is worth it.
    fn patch(&self, old: &BlobRef, new: &BlobRef) -> Option<Vec<u8>> {
        let before = self.archive?.read(old)?;
        let after = self.built.blob(&new.digest)?;
        Some(patch::between(&before, after)).filter(|patch| patch.len() < after.len() / 2)
    }

    /// The wanted blobs as one compressed stream.
    fn pack(&self, wanted: &[BlobRef]) -> io::Result<Vec<u8>> {
        let mut stream = zstd::Encoder::new(Vec::new(), COMPRESSION)?;
        for blob in wanted {
            let bytes =
                self.built.blob(&blob.digest).ok_or_else(|| io::Error::other("a blob is not of the release"))?;
            stream.write_all(bytes)?;
        }
        stream.finish()
    }
}
