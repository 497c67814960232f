//! The partner's signature over main's copy of its audit trail.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tieup_protocol::audit::Event;
use tieup_protocol::digest::Digest;
use tieup_protocol::wire::AUDIT_SIGNED;
use tieup_store::audit::{AuditTrail, Between, SignedEnd, TrailNoteError};
use tieup_store::durable::{self, DiskError};
use tieup_web::client::CallError;

use super::fetching::Fetching;
use super::{COPY, FetchAuditError, aside, aside_name};
use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::signers::signers;

/// The signature among a partner's journals, beside the copy.
const SIGNED: &str = "audit.signed";

/// What its name ends with, also where it was put aside.
const EXTENSION: &str = "signed";

impl Hub {
    /// What a partner signed of main's copy of its audit trail; nothing where it signed nothing, or what is there is not
    /// its signature.
    ///
    /// # Errors
    /// When the disk fails, or the partner's key is damaged in the database.
    pub fn audit_signature(&self, partner: &PartnerRow) -> Result<Option<SignedEnd>, FetchAuditError> {
        self.signature_in(partner, &self.mirrors(partner).join(SIGNED))
    }

    /// When a partner signed that the contract with this digest came into force, by its clock: in main's copy of its audit
    /// trail, or in one that was put aside. None where no such signature is here.
    ///
    /// # Errors
    /// When the disk fails, or the partner's key is damaged in the database.
    pub fn signed_terms(&self, partner: &PartnerRow, contract: &Digest) -> Result<Option<Timestamp>, FetchAuditError> {
        let folder = self.mirrors(partner);
        let copies = aside(&folder)?.into_iter().chain([folder.join(COPY)]);
        let mut signed = Vec::new();
        for copy in copies {
            let note = self.signature_in(partner, &copy.with_extension(EXTENSION))?;
            signed.extend(note.filter(|note| names(&copy, note, contract)));
        }
        Ok(signed.iter().map(SignedEnd::time).min())
    }

    fn signature_in(&self, partner: &PartnerRow, place: &Path) -> Result<Option<SignedEnd>, FetchAuditError> {
        let keys = signers(partner).map_err(|error| FetchAuditError::Key(partner.id.clone(), error))?;
        let note = durable::read_file(place)?;
        Ok(note.and_then(|note| SignedEnd::open(&note, self.between(partner), &keys).ok()))
    }

    fn between<'a>(&'a self, partner: &'a PartnerRow) -> Between<'a> {
        Between { main: &self.config.main, partner: &partner.id }
    }
}

impl Fetching<'_> {
    /// Where the signature is.
    pub(super) fn note(&self) -> PathBuf {
        self.hub.mirrors(self.partner).join(SIGNED)
    }

    /// What the partner signed before. What is no signature of its is put aside, and that is in the log.
    pub(super) fn signed(&self) -> Result<Option<SignedEnd>, FetchAuditError> {
        let signed = self.hub.audit_signature(self.partner)?;
        let place = self.note();
        if signed.is_none() && place.exists() {
            let name = aside_name(Timestamp::now(), EXTENSION);
            durable::put_aside(&place, &self.hub.mirrors(self.partner).join(&name))?;
            let partner = &self.partner.id;
            tracing::warn!(%partner, "{} was no signature of the partner's: it is kept as {name}", place.display());
        }
        Ok(signed)
    }

    /// Has the partner sign the whole of `copy`, unless it has with its present key: what it signed last is `before`.
    ///
    /// Durable on return.
    pub(super) async fn have_signed(
        &self,
        copy: &mut AuditTrail,
        before: Option<&SignedEnd>,
    ) -> Result<(), FetchAuditError> {
        let end = self.end_of(copy)?;
        let is_whole = |signed: &SignedEnd| signed.end() == end && self.opens_now(signed.note().as_bytes()).is_ok();
        if end.lines == 0 || before.is_some_and(is_whole) {
            return Ok(());
        }
        let unsigned = |error| FetchAuditError::Unsigned(self.partner.id.clone(), error);
        let note = match self.client.get_bytes(&format!("{AUDIT_SIGNED}?lines={}", end.lines)).await {
            Err(CallError::Answer { status: 404, .. }) => return Err(unsigned(TrailNoteError::Unknown)),
            note => note?,
        };
        if self.opens_now(&note)?.end() != end {
            return Err(unsigned(TrailNoteError::OtherEnd));
        }
        Ok(durable::write_file(&self.note(), &note)?)
    }

    /// What the partner signed in `note` with its present key.
    fn opens_now(&self, note: &[u8]) -> Result<SignedEnd, FetchAuditError> {
        let id = &self.partner.id;
        let key = self.partner.journal_key.parse().map_err(|error| FetchAuditError::Key(id.clone(), error))?;
        SignedEnd::open(note, self.hub.between(self.partner), &[key])
            .map_err(|error| FetchAuditError::Unsigned(id.clone(), error))
    }
}

/// Whether the trail in `copy` is what `signed` says, and names this contract among what was signed.
fn names(copy: &Path, signed: &SignedEnd, contract: &Digest) -> bool {
    let (mut trail, lines) = (AuditTrail::at(copy), signed.end().lines);
    if !trail.end_after(lines).is_ok_and(|end| end == Some(signed.end())) {
        return false;
    }
    let contract = contract.to_string();
    let entries = trail.entries().unwrap_or_default();
    let signed = entries.iter().filter(|entry| entry.number < lines && entry.what == Event::ContractChanged);
    signed.into_iter().any(|entry| entry.reason.as_deref().is_some_and(|reason| reason.contains(&contract)))
}

/// Puts the signature in `folder` beside the trail that is put aside there as `trail`, where there is one.
///
/// Durable on return.
pub(super) fn put_aside(folder: &Path, trail: &str) -> Result<(), DiskError> {
    let note = folder.join(SIGNED);
    if note.exists() { durable::put_aside(&note, &folder.join(trail).with_extension(EXTENSION)) } else { Ok(()) }
}
