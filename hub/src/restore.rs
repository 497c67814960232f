//! Restoring: what a partner's disk has lost of a release is sent again, without a new release.

use std::io::{self, Write as _};

use tieup_protocol::digest::Digest;
use tieup_protocol::drift::{Drift, GuardReport, piece_head};
use tieup_protocol::wire::RESTORE;
use tieup_web::client::CallError;

use crate::archive::Archive;
use crate::database::PartnerRow;
use crate::partners::{Hub, HubError};
use crate::stream::COMPRESSION;

/// The most bytes that are sent at once; the rest follows with the next status.
const MOST_AT_ONCE: u64 = 256 << 20;

/// Why what a partner lacks was not sent.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The partner did not take it.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It could not be packed.
    #[error("what the partner lacks could not be packed")]
    Pack(#[from] io::Error),
}

impl Hub {
    /// Sends a partner what main has of what it lacks. None where main has nothing of it.
    ///
    /// # Errors
    /// When it cannot be sent, or the partner does not take it.
    pub(crate) async fn restore(
        &self,
        partner: &PartnerRow,
        drift: &Drift,
        archive: Option<&Archive>,
    ) -> Result<Option<GuardReport>, RestoreError> {
        let documents = self.documents(partner, &drift.documents).await?;
        let packed = tokio::task::block_in_place(|| pack(drift, archive, &documents))?;
        let Some(body) = packed else { return Ok(None) };
        Ok(Some(self.call(partner).await?.put_body(RESTORE, body).await?))
    }

    /// Those of the partner's manifests and contracts that are `wanted`.
    async fn documents(&self, partner: &PartnerRow, wanted: &[Digest]) -> Result<Vec<String>, HubError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let contracts = self.database.releases(&partner.id).await?.into_iter().map(|row| row.contract);
        let manifests = self.database.kept_manifests(&partner.id).await?;
        let mut found: Vec<String> = Vec::new();
        for text in manifests.into_iter().chain(contracts) {
            if wanted.contains(&Digest::of(text.as_bytes())) && !found.contains(&text) {
                found.push(text);
            }
        }
        Ok(found)
    }
}

fn pack(drift: &Drift, archive: Option<&Archive>, documents: &[String]) -> io::Result<Option<Vec<u8>>> {
    let mut stream = zstd::Encoder::new(Vec::new(), COMPRESSION)?;
    let mut packed = 0;
    let mut add = |digest: Digest, bytes: &[u8]| {
        packed += bytes.len() as u64;
        stream.write_all(&piece_head(digest, bytes.len() as u64))?;
        stream.write_all(bytes)?;
        Ok::<_, io::Error>(packed)
    };
    let mut is_empty = true;
    for text in documents {
        add(Digest::of(text.as_bytes()), text.as_bytes())?;
        is_empty = false;
    }
    for blob in &drift.blobs {
        let Some(bytes) = archive.and_then(|archive| archive.read(blob)) else { continue };
        is_empty = false;
        if add(blob.digest, &bytes)? >= MOST_AT_ONCE {
            break;
        }
    }
    if is_empty { Ok(None) } else { stream.finish().map(Some) }
}
