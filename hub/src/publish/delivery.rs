//! Delivery: a release that is signed is sent, and what was sent is kept for the next one.

use std::sync::Arc;

use jiff::Timestamp;
use tieup_protocol::manifest::Manifest;
use tieup_protocol::wire::{Metadata, Offer};

use super::{Addressee, Outcome, PublishError, told};
use crate::archive::Archive;
use crate::database::ReleaseRow;
use crate::manifests::Known;
use crate::partners::{Hub, HubError};
use crate::release::BuiltRelease;
use crate::transfer::{Contents, Parcel, Taken, TransferError};
use crate::trust::{SigningRequest, fresh_until};

impl Hub {
    /// Sends a release that is in the database and that enough people have signed, over the line that is open, if one is.
    pub(crate) async fn deliver(
        &self,
        to: Addressee<'_>,
        built: &Arc<BuiltRelease>,
        archive: Option<&Arc<Archive>>,
        request: &SigningRequest,
        mut row: ReleaseRow,
    ) -> Result<Outcome, PublishError> {
        let Addressee { partner, line } = to;
        let version = row.version;
        let metadata = self.seal(&partner.id, version, request, Timestamp::now()).await?;
        let until = fresh_until(&metadata);
        let offer = offer_of(metadata, row.contract.clone());
        let contents = Contents { built: built.clone(), archive: archive.cloned() };
        let parcel = Parcel { offer, contents: Arc::new(contents), hub: self };
        let line = match line {
            Some(line) => Ok(line),
            None => self.call(partner).await,
        };
        let send = async {
            match line {
                Ok(line) => parcel.send(&line).await,
                Err(HubError::Call(error)) => Err(error.into()),
                Err(error) => Err(Box::new(error).into()),
            }
        };
        // The manifest is large, and the release can do without.
        let keep = self.database.set_manifest(&partner.id, version, built.text());
        let (kept, taken) = tokio::join!(keep, send);
        if let Err(error) = kept {
            tracing::warn!(error = &error as &dyn std::error::Error, "the next release will be told whole");
        }
        row.since = Timestamp::now();
        let outcome = match taken {
            Ok(Taken { staged, blobs, sent }) => {
                self.keep(archive, built).await;
                let digest = request.label()?.manifest;
                self.manifests.add(Arc::new(Known { digest, manifest: built.manifest().clone() }));
                row = told(row, &staged.release);
                if let Some(until) = until {
                    self.told(&partner.id, until).await?;
                }
                Ok(Outcome::Delivered { release: staged.release, blobs, sent })
            }
            Err(TransferError::Call(source)) => {
                let state = if source.problem().is_some() { "refused" } else { "unreachable" };
                row = ReleaseRow { state: state.to_owned(), detail: source.to_string(), ..row };
                Err(PublishError::Push { partner: partner.id.clone(), version, source })
            }
            Err(TransferError::Pack(error)) => return Err(error.into()),
            Err(TransferError::Hub(error)) => return Err((*error).into()),
        };
        self.database.set_release_state(&partner.id, &row).await.map_err(HubError::from)?;
        outcome
    }

    /// Keeps what was sent, so that the next release can be told against it. What is like the partner's last release, or
    /// for a new partner like another one's, takes little room.
    async fn keep(&self, archive: Option<&Arc<Archive>>, built: &Arc<BuiltRelease>) {
        let Some(archive) = archive.cloned() else { return };
        // Without it, a little more room is taken.
        let like = self.like(built.manifest()).await.ok().flatten();
        let built = built.clone();
        let kept =
            tokio::task::spawn_blocking(move || archive.keep(&built, like.as_ref().map(|known| &known.manifest)));
        // A panic in there is no reason to take back a release that has arrived.
        if let Ok(Err(error)) = kept.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the next release will be told whole");
        }
    }

    /// The release that `manifest` is like: the one before it to the same partner, or else another partner's.
    async fn like(&self, manifest: &Manifest) -> Result<Option<Arc<Known>>, HubError> {
        if let Some(last) = self.database.version_before(&manifest.partner, manifest.version).await? {
            return self.manifest(&manifest.partner, last).await;
        }
        match self.database.newest_delivered().await? {
            Some((partner, version)) => self.manifest(&partner, version).await,
            None => Ok(None),
        }
    }

    /// What partners were sent before; none where it cannot be had now, which costs nothing but bytes.
    pub(crate) fn archive(&self) -> Option<Arc<Archive>> {
        let archive = tokio::task::block_in_place(|| Archive::open(&self.config.state, &self.archived));
        match archive {
            Ok(archive) => archive.map(Arc::new),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "releases are told whole");
                None
            }
        }
    }

    /// Signs a manifest into an offer with the keys of the hub's folder.
    ///
    /// # Errors
    /// When a key is missing or is not one that the root names.
    pub async fn sign(&self, manifest: &Manifest, contract: &str) -> Result<Offer, PublishError> {
        let now = Timestamp::now();
        let signer = self.keys.release_signer().map_err(HubError::from)?;
        let request = signer.propose(manifest, &manifest.to_bytes(), now)?;
        let metadata = self.seal(&manifest.partner, manifest.version, &request, now).await?;
        Ok(offer_of(metadata, contract.to_owned()))
    }
}

fn offer_of(metadata: Metadata, contract: String) -> Offer {
    let Metadata { roots, timestamp, snapshot, targets } = metadata;
    Offer { roots, timestamp, snapshot, targets, contract }
}
