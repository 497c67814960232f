//! The partner's signature over main's copy of its audit trail.

use std::path::Path;

use tieup_protocol::wire::AUDIT_SIGNED;
use tieup_store::audit::{AuditTrail, Between, SignedEnd, TrailNoteError};
use tieup_store::durable::{self, DiskError};
use tieup_web::client::PeerClient;

use super::{Contradiction, FetchAuditError};
use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::signers::signers;

/// The signature among a partner's journals, beside the copy.
const SIGNED: &str = "audit.signed";

impl Hub {
    /// What a partner signed of main's copy of its audit trail; nothing where it signed nothing, or what is there is not
    /// its signature.
    ///
    /// # Errors
    /// When the disk fails, or the partner's key is damaged in the database.
    pub fn audit_signature(&self, partner: &PartnerRow) -> Result<Option<SignedEnd>, FetchAuditError> {
        let keys = signers(partner).map_err(|error| FetchAuditError::Key(partner.id.clone(), error))?;
        let note = durable::read_file(&self.mirrors(partner).join(SIGNED))?;
        Ok(note.and_then(|note| SignedEnd::open(&note, self.between(partner), &keys).ok()))
    }

    /// Has the partner sign the whole of `copy`, unless it has with its present key. What it signed before must be in it.
    ///
    /// Durable on return.
    pub(super) async fn have_signed(
        &self,
        partner: &PartnerRow,
        copy: &mut AuditTrail,
        client: &PeerClient,
    ) -> Result<(), FetchAuditError> {
        let id = &partner.id;
        let failed = |error| FetchAuditError::Copy(id.clone(), error);
        let end = copy.end().map_err(failed)?;
        let place = self.mirrors(partner).join(SIGNED);
        if let Some(signed) = self.audit_signature(partner)? {
            let lines = signed.end().lines;
            if copy.end_after(lines).map_err(failed)? != Some(signed.end()) {
                let before = Contradiction::Signed { lines, time: signed.time(), note: place };
                return Err(FetchAuditError::Refused(id.clone(), before));
            }
            if signed.end() == end && self.opens_now(partner, signed.note().as_bytes()).is_ok() {
                return Ok(());
            }
        }
        if end.lines == 0 {
            return Ok(());
        }
        let note = client.get_bytes(&format!("{AUDIT_SIGNED}?lines={}", end.lines)).await?;
        let signed = self.opens_now(partner, &note)?;
        if signed.end() != end {
            return Err(FetchAuditError::Unsigned(id.clone(), TrailNoteError::OtherEnd));
        }
        Ok(durable::write_file(&place, &note)?)
    }

    /// What the partner signed in `note` with its present key.
    fn opens_now(&self, partner: &PartnerRow, note: &[u8]) -> Result<SignedEnd, FetchAuditError> {
        let key = partner.journal_key.parse().map_err(|error| FetchAuditError::Key(partner.id.clone(), error))?;
        SignedEnd::open(note, self.between(partner), &[key])
            .map_err(|error| FetchAuditError::Unsigned(partner.id.clone(), error))
    }

    fn between<'a>(&'a self, partner: &'a PartnerRow) -> Between<'a> {
        Between { main: &self.config.main, partner: &partner.id }
    }
}

/// Puts the signature in `folder` beside the trail that is put aside there as `trail`, where there is one.
///
/// Durable on return.
pub(super) fn put_aside(folder: &Path, trail: &str) -> Result<(), DiskError> {
    let note = folder.join(SIGNED);
    if note.exists() { durable::put_aside(&note, &folder.join(trail).with_extension("signed")) } else { Ok(()) }
}
