//! Offers and blob streams made by hand, so that a test can bend one thing in them.

use std::io::Write as _;

use tieup_hub::release::BuiltRelease;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::manifest::{BlobRef, Manifest};
use tieup_protocol::wire::{BLOBS, BlobHeader, OFFER, Offer, Staged, Wanted};
use tieup_web::client::{CallError, PeerClient};

use crate::world::{World, site_id};

/// A blob stream in the making.
#[derive(Default)]
pub struct BlobStream(Vec<u8>);

impl World {
    /// The release that `partner` would get now.
    pub fn built(&self, partner: &str) -> BuiltRelease {
        {
            let site = self.site();
            BuiltRelease::build(&site, &site.releases(), &site_id(partner))
        }
        .unwrap_or_else(|report| panic!("{report}"))
    }

    /// The manifest that `partner` would get now, as release `version`.
    pub fn manifest(&self, partner: &str, version: u64) -> Manifest {
        self.built(partner).manifest(release(version))
    }

    /// A genuine offer of what `partner` would get now, as release `version`.
    pub async fn offer(&self, partner: &str, version: u64) -> Offer {
        let built = self.built(partner);
        self.sign(&built.manifest(release(version)), built.contract()).await
    }

    /// Signs `manifest` with main's own keys.
    pub async fn sign(&self, manifest: &Manifest, contract: &str) -> Offer {
        self.hub().sign(manifest, contract).await.unwrap_or_else(|error| panic!("main did not sign: {error}"))
    }
}

impl BlobStream {
    /// The stream with a header and these bytes at its end, whether they belong together or not.
    #[must_use]
    pub fn blob(mut self, header: &BlobRef, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&BlobHeader(*header).encode());
        self.0.extend_from_slice(bytes);
        self
    }

    /// The stream as it is sent.
    pub fn packed(&self) -> Vec<u8> {
        pack(&self.0)
    }
}

/// The release with this number.
pub fn release(version: u64) -> ReleaseVersion {
    ReleaseVersion::new(version).unwrap_or(ReleaseVersion::FIRST)
}

/// Offers as main does.
pub async fn offer(client: &PeerClient, offer: &Offer) -> Result<Wanted, CallError> {
    let document = serde_json::to_vec(offer).unwrap_or_else(|error| panic!("an offer is JSON: {error}"));
    client.post_body(OFFER, pack(&document)).await
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
