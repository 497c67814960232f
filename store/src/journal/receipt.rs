//! What main says of a journal, signed by the key that cosigns it: its statements.
//!
//! The note is that of c2sp.org/signed-note, its signature that of c2sp.org/tlog-cosignature, which carries the time. No
//! statement can be taken for a checkpoint, nor the reverse: the second line of a checkpoint is a number, and that of
//! what is signed here is empty.

use jiff::Timestamp;
use signed_note::{Note, NoteError, VerifierList};

use super::key::{Cosigner, CosignerAt, CosignerVerifier, cosignature_time};

/// A text that main has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedText {
    note: String,
    text: String,
    signed: Timestamp,
}

/// Why a text cannot be signed, or a note is not one that main signed.
#[derive(Debug, thiserror::Error)]
pub enum SignedTextError {
    /// Its second line is not empty, so that it could be read as a checkpoint.
    #[error("only a text whose second line is empty is signed so")]
    Checkpoint,
    /// It is no note, or not signed by the key.
    #[error("the note is not signed by the main site's key")]
    Note(#[from] NoteError),
    /// The signature bears no time.
    #[error("the signature's time is not one")]
    Time,
}

impl SignedText {
    /// Signs `text` at `now`.
    ///
    /// # Errors
    /// A second line that is not empty; what cannot stand in a note, such as control characters.
    pub fn sign(text: &str, key: &Cosigner, now: Timestamp) -> Result<Self, SignedTextError> {
        check_shape(text)?;
        let mut note = Note::new(text.as_bytes(), &[])?;
        note.add_sigs(&[&CosignerAt::new(key, now)])?;
        Self::open(&String::from_utf8_lossy(&note.to_bytes()), &key.verifier())
    }

    /// Reads a note, and checks that `key` signed it.
    ///
    /// # Errors
    /// See [`SignedTextError`].
    pub fn open(note: &str, key: &CosignerVerifier) -> Result<Self, SignedTextError> {
        let parsed = Note::from_bytes(note.as_bytes())?;
        let (verified, _) = parsed.verify(&VerifierList::new(vec![Box::new(key.clone())]))?;
        let text = String::from_utf8_lossy(parsed.text()).into_owned();
        check_shape(&text)?;
        let signed = verified.first().and_then(|signature| cosignature_time(signature.signature()));
        Ok(Self { note: note.to_owned(), text, signed: signed.ok_or(SignedTextError::Time)? })
    }

    /// The note.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What was signed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// When.
    pub fn signed(&self) -> Timestamp {
        self.signed
    }
}

fn check_shape(text: &str) -> Result<(), SignedTextError> {
    if text.lines().nth(1) == Some("") { Ok(()) } else { Err(SignedTextError::Checkpoint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> Cosigner {
        Cosigner::from_seed("nationwide", &[seed; 32]).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_795_000_000).unwrap()
    }

    #[test]
    fn a_text_with_blank_lines_is_signed_and_read_back() {
        let text = "tieup-statement/2\n\ncontract: a\n\ntotal: 5 JPY\n";
        let signed = SignedText::sign(text, &key(1), now()).unwrap();
        let read = SignedText::open(signed.note(), &key(1).verifier()).unwrap();
        assert_eq!((read.text(), read.signed()), (text, now()));
    }

    #[test]
    fn another_text_key_or_time_is_refused() {
        let note = SignedText::sign("tieup-statement/2\n\ntotal: 5 JPY\n", &key(1), now()).unwrap().note().to_owned();
        assert!(SignedText::open(&note, &key(2).verifier()).is_err());
        assert!(SignedText::open(&note.replace("5 JPY", "6 JPY"), &key(1).verifier()).is_err());
        assert!(SignedText::open("tieup-statement/2\n\ntotal: 5 JPY\n", &key(1).verifier()).is_err());
        let (text, _) = note.rsplit_once("\n\n").unwrap();
        let later = SignedText::sign(&format!("{text}\n"), &key(1), Timestamp::UNIX_EPOCH).unwrap();
        assert_ne!(later.note(), note, "the time is signed too");
    }

    #[test]
    fn a_checkpoint_is_not_signed_so() {
        let refused = SignedText::sign("nationwide/harbor-shop/2026-11\n3\nroot\n", &key(1), now());
        assert!(matches!(refused, Err(SignedTextError::Checkpoint)));
    }
}
