//! Offers, manifests and blob streams made by hand, so that a test can bend one thing in them.

use std::io::Write as _;

use tieup_hub::release::BuiltRelease;
use tieup_protocol::delta::{Step, difference};
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_protocol::wire::{BLOBS, MANIFEST, OFFER, Offer, Ready, Staged, Wanted};
use tieup_web::client::{CallError, PeerClient};

use crate::world::{World, site_id};

/// A release on its way: what is signed of it, and its manifest.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// What is signed.
    pub offer: Offer,
    /// The manifest.
    pub manifest: Manifest,
}

impl World {
    /// The release that `partner` would get now.
    pub fn built(&self, partner: &str) -> BuiltRelease {
        let built = BuiltRelease::build(&self.site().releases(), &site_id(partner));
        built.unwrap_or_else(|report| panic!("{report}"))
    }

    /// The manifest that `partner` would get now, as release `version`.
    pub fn manifest(&self, partner: &str, version: u64) -> Manifest {
        self.built(partner).numbered(release(version)).manifest().clone()
    }

    /// A genuine offer of what `partner` would get now, as release `version`.
    pub async fn offer(&self, partner: &str, version: u64) -> Parcel {
        let built = self.built(partner).numbered(release(version));
        self.sign(built.manifest(), built.contract()).await
    }

    /// Signs `manifest` with main's own keys.
    pub async fn sign(&self, manifest: &Manifest, contract: &str) -> Parcel {
        let offer = self.hub().sign(manifest, contract).await;
        Parcel { offer: offer.unwrap_or_else(|error| panic!("main did not sign: {error}")), manifest: manifest.clone() }
    }

    /// The content of `blobs`, which are of the release that `partner` would get now, as it is sent.
    pub fn contents(&self, partner: &str, blobs: &[BlobRef]) -> Vec<u8> {
        let built = self.built(partner);
        let content =
            |blob: &BlobRef| built.blob(&blob.digest).unwrap_or_else(|| panic!("no blob {}", blob.digest)).to_vec();
        blobs.iter().flat_map(content).collect()
    }
}

/// The release with this number.
pub fn release(version: u64) -> ReleaseVersion {
    ReleaseVersion::new(version).unwrap_or(ReleaseVersion::FIRST)
}

/// Offers as main does, and tells the manifest whole: the blobs that the partner lacks.
pub async fn offer(client: &PeerClient, parcel: &Parcel) -> Result<Vec<BlobRef>, CallError> {
    announce(client, &parcel.offer).await?;
    let wanted = send_steps(client, &steps(None, &parcel.manifest)).await?;
    Ok(wanted.of(&parcel.manifest.blobs_in_order()))
}

/// Offers as main does, and nothing more.
pub async fn announce(client: &PeerClient, offer: &Offer) -> Result<Ready, CallError> {
    let document = serde_json::to_vec(offer).unwrap_or_else(|error| panic!("an offer is JSON: {error}"));
    client.post_body(OFFER, pack(&document)).await
}

/// The steps from `base` to `manifest`, without patches.
pub fn steps(base: Option<&Manifest>, manifest: &Manifest) -> Vec<Step> {
    let mut steps = Vec::new();
    let base = base.map(|base| (BlobRef::of(&base.to_bytes()).digest, base));
    difference(base.as_ref().map(|(digest, base)| (digest, *base)), manifest, |_, _| None, |step| steps.push(step));
    steps
}

/// Sends the steps of a manifest.
pub async fn send_steps(client: &PeerClient, steps: &[Step]) -> Result<Wanted, CallError> {
    let bytes: Vec<u8> = steps.iter().flat_map(Step::encode).collect();
    client.put_body(MANIFEST, pack(&bytes)).await
}

/// Sends a packed blob stream as main does.
pub async fn send_blobs(client: &PeerClient, packed: Vec<u8>) -> Result<Staged, CallError> {
    client.put_body(BLOBS, packed).await
}

/// Bytes compressed as they travel.
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap_or_else(|error| panic!("zstd: {error}"))
}

/// `bytes`, then `mebibytes` of the byte `filler`, compressed: a few kilobytes that unpack to very many.
pub fn bomb(bytes: &[u8], filler: u8, mebibytes: usize) -> Vec<u8> {
    let block = vec![filler; 1 << 20];
    let packed = zstd::Encoder::new(Vec::new(), 3).and_then(|mut encoder| {
        encoder.write_all(bytes)?;
        (0..mebibytes).try_for_each(|_| encoder.write_all(&block))?;
        encoder.finish()
    });
    packed.unwrap_or_else(|error| panic!("zstd: {error}"))
}
