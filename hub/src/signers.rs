//! By which key a copy of a partner's journal is verified: the one that signed it. A partner that joined again with a new
//! journal key signs with that; what was fetched before bears the key that it had then.

use tieup_store::journal::{InvalidKey, LogVerifier, Origin, signing_key};

use crate::database::PartnerRow;

/// The keys that `partner` signs and has signed its journal with, the present one first.
pub(crate) fn signers(partner: &PartnerRow) -> Result<Vec<LogVerifier>, InvalidKey> {
    let mut keys = vec![partner.journal_key.parse()?];
    // One that cannot be read signed nothing.
    keys.extend(partner.earlier_keys.iter().filter_map(|key| key.parse().ok()));
    Ok(keys)
}

/// The key of `partner` that signed `note`, a checkpoint of `origin` among main's own copies; the present one where none
/// did or there is no note, so that whoever opens it is told. Nothing new is taken by an earlier one.
pub(crate) fn signer_of(partner: &PartnerRow, origin: &Origin, note: Option<&[u8]>) -> Result<LogVerifier, InvalidKey> {
    let keys = signers(partner)?;
    Ok(note.and_then(|note| signing_key(note, origin, &keys)).unwrap_or(&keys[0]).clone())
}
