//! The way of one release to one partner: the offer, the manifest as a difference, the blobs that are lacking.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::Method;
use serde::de::DeserializeOwned;
use tieup_protocol::delta::difference;
use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_protocol::patch;
use tieup_protocol::wire::{BLOBS, MANIFEST, OFFER, Offer, Ready, Staged, UNKNOWN_BASE, Wanted};
use tieup_web::client::{CallError, PeerClient};

use crate::archive::Archive;
use crate::manifests::Known;
use crate::partners::{Hub, HubError};
use crate::release::BuiltRelease;
use crate::stream::{self, Encoder, Made};

/// A release that is ready to go.
pub(crate) struct Parcel<'a> {
    /// What is signed of it.
    pub offer: Offer,
    /// What it holds.
    pub contents: Arc<Contents>,
    /// Who knows the releases that it may be told against.
    pub hub: &'a Hub,
}

/// What a release holds.
pub(crate) struct Contents {
    /// Its manifest and its content.
    pub built: Arc<BuiltRelease>,
    /// What was sent before.
    pub archive: Option<Arc<Archive>>,
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
    /// What was sent before could not be looked up.
    #[error(transparent)]
    Hub(#[from] Box<HubError>),
}

impl Parcel<'_> {
    /// Sends the release.
    pub(crate) async fn send(self, client: &PeerClient) -> Result<Taken, TransferError> {
        let offer = serde_json::to_vec(&self.offer).map_err(io::Error::other)?;
        let mut way = Way { client, sent: 0 };
        let made = stream::made_by(move |body| body.write_all(&offer));
        let ready: Ready = way.send(Method::POST, OFFER, made).await?;
        let wanted = match ready.wanted {
            Some(wanted) => wanted,
            None => self.send_manifest(&mut way, &ready.bases).await?,
        };
        let blobs = wanted.of(&self.contents.built.manifest().blobs_in_order());
        let (count, contents) = (blobs.len(), self.contents);
        let made = stream::made_by(move |body| contents.pack(&blobs, body));
        let staged = way.send(Method::PUT, BLOBS, made).await?;
        Ok(Taken { staged, blobs: count, sent: way.sent })
    }

    /// Sends the manifest as the difference from a release that both ends have, or else whole.
    async fn send_manifest(&self, way: &mut Way<'_>, bases: &[Digest]) -> Result<Wanted, TransferError> {
        let Manifest { partner, version, .. } = self.contents.built.manifest();
        let base = self.hub.base_among(partner, *version, bases).await.map_err(Box::new)?;
        if base.is_some() {
            match way.send(Method::PUT, MANIFEST, self.steps(base)).await {
                Err(TransferError::Call(error)) if error.is_problem(UNKNOWN_BASE) => {
                    tracing::info!(%error, "the release is told whole");
                }
                other => return other,
            }
        }
        way.send(Method::PUT, MANIFEST, self.steps(None)).await
    }

    fn steps(&self, base: Option<Arc<Known>>) -> Made {
        let contents = self.contents.clone();
        stream::made_by(move |body| contents.tell(base.as_deref(), body))
    }
}

impl Contents {
    /// Writes the steps from `base`.
    fn tell(&self, base: Option<&Known>, body: &mut Encoder) -> io::Result<()> {
        let mut written = Ok(());
        difference(
            base.map(|known| (&known.digest, &known.manifest)),
            self.built.manifest(),
            |old, new| self.patch(old, new),
            |step| {
                if written.is_ok() {
                    written = body.write_all(&step.encode());
                }
            },
        );
        written
    }

    /// The patch between two versions of a file, where the earlier one is known and the patch is worth it.
    fn patch(&self, old: &BlobRef, new: &BlobRef) -> Option<Vec<u8>> {
        let before = self.archive.as_ref()?.read(old)?;
        let after = self.built.blob(&new.digest)?;
        Some(patch::between(&before, after)).filter(|patch| patch.len() < after.len() / 2)
    }

    /// Writes the wanted blobs one after another.
    fn pack(&self, wanted: &[BlobRef], body: &mut Encoder) -> io::Result<()> {
        wanted.iter().try_for_each(|blob| {
            let bytes = self.built.blob(&blob.digest);
            body.write_all(bytes.ok_or_else(|| io::Error::other("a blob is not of the release"))?)
        })
    }
}

/// The way to a partner, and how many bytes went along it.
struct Way<'a> {
    client: &'a PeerClient,
    sent: u64,
}

impl Way<'_> {
    /// Sends a body while it is made, and reads the answer.
    async fn send<T: DeserializeOwned>(&mut self, method: Method, path: &str, made: Made) -> Result<T, TransferError> {
        let answer = self.client.call(method, path, made.body).await;
        self.sent += made.sent.load(Ordering::Relaxed);
        match answer {
            // What cannot be made breaks the call off. A call that broke off by itself ends the making, in time.
            Err(_) if made.making.is_finished() => match made.making.await.map_err(io::Error::other)? {
                Err(cause) if !is_of_call(&cause) => Err(cause.into()),
                _ => Ok(answer?),
            },
            // An answer is one, whether or not all was waited for.
            _ => Ok(answer?),
        }
    }
}

/// Whether the making of a body ended because nobody took it.
fn is_of_call(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::TimedOut)
}
