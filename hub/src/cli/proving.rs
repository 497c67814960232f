//! `tieup log prove` and `verify-proof`: one entry of a log, for whoever has the keys and nothing else.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use tieup_protocol::access::AccessEntry;
use tieup_protocol::access_export::ExportFormat;
use tieup_protocol::contract::Side;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_store::journal::{CosignerVerifier, InclusionProof, LogVerifier, Origin, ProofKeys, ProveError};
use tieup_web::{say, terminal};

use super::Format;
use super::logs::open_copy;
use super::site::say_json;
use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::signers::signer_of;

#[derive(Args)]
pub(super) struct ProofArguments {
    /// The file with the proof, as text.
    file: PathBuf,
    /// The key that signs the journal, as `tieup log prove --format json` shows it.
    #[arg(long)]
    key: String,
    /// The key that main cosigns with.
    #[arg(long)]
    cosigner: Option<String>,
    /// The log that it must be of, such as nationwide/harbor-shop/2026-11; any that the key signed if left out.
    #[arg(long)]
    origin: Option<String>,
}

/// A proof, for programs.
#[derive(Serialize)]
struct Told {
    origin: String,
    number: u64,
    entry: serde_json::Value,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cosigner: Option<String>,
    proof: String,
}

/// A proof, and what it is verified with.
struct Made {
    proof: InclusionProof,
    origin: Origin,
    key: LogVerifier,
    /// The key of the other side, which cosigned; none where it is no longer known.
    cosigner: Option<String>,
}

pub(super) async fn prove(
    hub: &Hub,
    partner: &SiteId,
    month: Month,
    number: u64,
    format: Format,
) -> anyhow::Result<()> {
    if *partner == hub.config.main {
        bail!("your own log is proven by what a partner has cosigned of it: name one that is charged by it");
    }
    let partner = hub.partner(partner).await?;
    let by_main = hub.books(&partner).await?.writer(month).is_ok_and(|writer| writer == Side::Main);
    let made = if by_main { of_own(hub, &partner, month, number) } else { of_copy(hub, &partner, month, number) };
    let Made { proof, origin, key, cosigner } = made?;
    let Format::Json = format else {
        terminal::say(&proof.to_string());
        return Ok(());
    };
    let entry = AccessEntry::decode(&proof.entry).map(|entry| ExportFormat::Ndjson.line(number, &entry));
    say_json(&Told {
        origin: origin.to_string(),
        number,
        entry: entry.ok().and_then(|line| serde_json::from_str(&line).ok()).unwrap_or_default(),
        key: key.to_string(),
        cosigner,
        proof: proof.to_string(),
    });
    Ok(())
}

/// The proof of an entry of a partner's journal, by what main has cosigned.
fn of_copy(hub: &Hub, partner: &PartnerRow, month: Month, number: u64) -> anyhow::Result<Made> {
    let (reader, origin) = (open_copy(hub, partner, month)?, Origin::new(&hub.config.main, &partner.id, month));
    let note = reader.cosigned()?.map(String::into_bytes);
    let key = signer_of(partner, &origin, note.as_deref()).context("the partner's journal key cannot be used")?;
    let proof =
        InclusionProof::of(&reader, number, &origin, &key).map_err(|error| hinted(error, &partner.id, month))?;
    Ok(Made { proof, origin, key, cosigner: Some(hub.keys.cosigner()?.verifier().to_string()) })
}

/// The proof of an entry of main's own log, by what a partner has cosigned.
fn of_own(hub: &Hub, partner: &PartnerRow, month: Month, number: u64) -> anyhow::Result<Made> {
    let (reader, origin, _) = hub.witnessed(partner, month)?;
    let receipt = hub.receipt(&partner.id, month)?;
    let cosigner = hub.cosigner_of(&partner.id)?;
    let key = hub.keys.journal()?.verifier();
    let note = receipt.map(|receipt| receipt.note);
    let proof = InclusionProof::by(&reader, note, number, &origin, &key);
    let proof = proof.map_err(|error| hinted(error, &hub.config.main, month))?;
    // It may have joined again since, by another key.
    let fits = |cosigner: &String| {
        let keys = cosigner.parse().map(|cosigner| ProofKeys { log: key.clone(), cosigner: Some(cosigner) });
        keys.is_ok_and(|keys| proof.verify(&origin, &keys).is_ok())
    };
    let cosigner = cosigner.filter(fits);
    Ok(Made { proof, origin, key, cosigner })
}

fn hinted(error: ProveError, of: &SiteId, month: Month) -> anyhow::Error {
    let is_damaged = matches!(error, ProveError::Damaged(_));
    let error = anyhow::Error::from(error);
    if is_damaged { error.context(format!("nothing is proven: tieup log verify {of} {month}")) } else { error }
}

/// Checks a proof with keys alone.
pub(super) fn verify_proof(arguments: &ProofArguments) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&arguments.file)
        .with_context(|| format!("{} cannot be read", arguments.file.display()))?;
    let proof: InclusionProof = text.parse()?;
    let cosigner = arguments.cosigner.as_deref().map(str::parse::<CosignerVerifier>).transpose();
    let keys = ProofKeys {
        log: arguments.key.parse().context("the key cannot be used")?,
        cosigner: cosigner.context("the cosigner's key cannot be used")?,
    };
    let origin = proof.claimed_origin();
    if arguments.origin.as_ref().is_some_and(|expected| expected != origin.as_str()) {
        bail!("the proof is of the log `{origin}`");
    }
    let proven = proof.verify(&origin, &keys)?;
    let receipt = proven.cosigned.map(|time| format!(", cosigned at {time}")).unwrap_or_default();
    say!("entry {} is in {origin}, whose checkpoint covers {} entries{receipt}", proof.number, proven.size);
    if let Ok(entry) = AccessEntry::decode(&proof.entry) {
        terminal::say(&ExportFormat::Ndjson.line(proof.number, &entry));
    }
    Ok(())
}
