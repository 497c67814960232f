//! Checkpoints: how large the log is and what its root hash is, signed.

use jiff::Timestamp;
use signed_note::{Note, NoteError, VerifierList};
use tlog_tiles::{Checkpoint, Hash};

use super::Origin;
use super::key::{Cosigner, CosignerAt, CosignerVerifier, LogSigner, LogVerifier, cosignature_time};

/// The largest note that is read, in bytes: a checkpoint with many cosignatures.
const MAX_NOTE: usize = 64 << 10;

/// A checkpoint whose signature and origin have been checked.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedCheckpoint {
    note: String,
    size: u64,
    root: Hash,
}

/// Why a note is not an acceptable checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note with a checkpoint in it.
    #[error("the checkpoint is not a well-formed signed note")]
    Malformed,
    /// A checkpoint of another log.
    #[error("the checkpoint is of the log `{found}`, not of `{expected}`")]
    Origin {
        /// The log that was meant.
        expected: String,
        /// The one in the checkpoint.
        found: String,
    },
    /// The expected key did not sign it.
    #[error("the checkpoint is not signed by the expected key")]
    Signature(#[from] NoteError),
    /// Its cosignature bears no time.
    #[error("the cosignature's time is not one")]
    Time,
}

impl SignedCheckpoint {
    /// Reads a note and checks that it is a checkpoint of the log `origin`, signed by `key`.
    ///
    /// Of its signatures that one alone is kept: what stands beside it is the other end's to choose, and would take the room
    /// of a cosignature.
    pub fn open(note: &[u8], origin: &Origin, key: &LogVerifier) -> Result<Self, CheckpointError> {
        let (signed, checkpoint) = Self::parse(note)?;
        if checkpoint.origin() != origin.as_str() {
            let found = checkpoint.origin().escape_debug().to_string();
            return Err(CheckpointError::Origin { expected: origin.to_string(), found });
        }
        let (verified, _) = signed.verify(&VerifierList::new(vec![Box::new(key.clone())]))?;
        Self::unverified(&Note::new(signed.text(), &verified)?.to_bytes())
    }

    /// The same where one of `keys` signed it, such as those that the log's writer has had one after the other.
    pub fn open_by_any(note: &[u8], origin: &Origin, keys: &[LogVerifier]) -> Result<Self, CheckpointError> {
        let mut failed = CheckpointError::Malformed;
        for key in keys {
            match Self::open(note, origin, key) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// How many entries it covers.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root hash of the log at that size.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The signed note.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Signs a new one.
    pub(super) fn sign(origin: &Origin, size: u64, root: Hash, key: &LogSigner) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::new(origin.as_str(), size, root, "").map_err(|_| CheckpointError::Malformed)?;
        let mut note = Note::new(&checkpoint.to_bytes(), &[])?;
        note.add_sigs(&[key])?;
        Self::unverified(&note.to_bytes())
    }

    /// Reads a note of our own that was verified before it was kept.
    pub(super) fn unverified(note: &[u8]) -> Result<Self, CheckpointError> {
        let (_, checkpoint) = Self::parse(note)?;
        let note = String::from_utf8(note.to_vec()).map_err(|_| CheckpointError::Malformed)?;
        Ok(Self { note, size: checkpoint.size(), root: *checkpoint.hash() })
    }

    /// The note with `cosigner`'s signature after those already on it. It can be read back.
    pub(super) fn cosign(&self, cosigner: &Cosigner, now: Timestamp) -> Result<String, CheckpointError> {
        let mut note = Note::from_bytes(self.note.as_bytes())?;
        note.add_sigs(&[&CosignerAt::new(cosigner, now)])?;
        Ok(Self::unverified(&note.to_bytes())?.note)
    }

    fn parse(note: &[u8]) -> Result<(Note, Checkpoint), CheckpointError> {
        if note.len() > MAX_NOTE {
            return Err(CheckpointError::Malformed);
        }
        let signed = Note::from_bytes(note).map_err(|_| CheckpointError::Malformed)?;
        let checkpoint = Checkpoint::from_bytes(signed.text()).map_err(|_| CheckpointError::Malformed)?;
        // Extension lines are discouraged by the specification, and a cosignature would cover them unread.
        if checkpoint.extension().is_empty() { Ok((signed, checkpoint)) } else { Err(CheckpointError::Malformed) }
    }
}

/// The one of `keys` that signed `note`, a checkpoint of the log `origin`, if one did.
pub fn signing_key<'a>(note: &[u8], origin: &Origin, keys: &'a [LogVerifier]) -> Option<&'a LogVerifier> {
    keys.iter().find(|key| SignedCheckpoint::open(note, origin, key).is_ok())
}

/// Checks that `key` cosigned the note, and tells when.
pub fn verify_cosignature(note: &[u8], key: &CosignerVerifier) -> Result<Timestamp, CheckpointError> {
    let (signed, _) = SignedCheckpoint::parse(note)?;
    let (verified, _) = signed.verify(&VerifierList::new(vec![Box::new(key.clone())]))?;
    let signature = verified.first().ok_or(CheckpointError::Time)?;
    cosignature_time(signature.signature()).ok_or(CheckpointError::Time)
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine};
    use ed25519_dalek::{Signature, SigningKey, Verifier};
    use sha2::{Digest, Sha256};
    use tlog_tiles::record_hash;

    use super::*;

    fn origin(month: &str) -> Origin {
        Origin::new(&"nationwide".parse().unwrap(), &"harbor-shop".parse().unwrap(), month.parse().unwrap())
    }

    fn key(seed: u8) -> LogSigner {
        LogSigner::from_seed("harbor-shop", &[seed; 32]).unwrap()
    }

    fn cosigner(seed: u8) -> Cosigner {
        Cosigner::from_seed("nationwide", &[seed; 32]).unwrap()
    }

    fn checkpoint() -> SignedCheckpoint {
        SignedCheckpoint::sign(&origin("2026-11"), 3, record_hash(b"x"), &key(1)).unwrap()
    }

    #[test]
    fn a_checkpoint_is_the_specifications_text() {
        let root = BASE64_STANDARD.encode(record_hash(b"x").0);
        let note = checkpoint().note().to_owned();
        assert!(note.starts_with(&format!("nationwide/harbor-shop/2026-11\n3\n{root}\n\n— harbor-shop ")), "{note}");
        assert_eq!(
            SignedCheckpoint::open(note.as_bytes(), &origin("2026-11"), &key(1).verifier()).unwrap(),
            checkpoint()
        );
    }

    #[test]
    fn hostile_checkpoints_are_refused() {
        let open = |note: &str| SignedCheckpoint::open(note.as_bytes(), &origin("2026-11"), &key(1).verifier());
        let note = checkpoint().note().to_owned();
        for (from, to) in
            [("\n3\n", "\n4\n"), ("\n3\n", "\n03\n"), ("2026-11\n3", "2026-11\n-3"), ("=\n\n", "=\nmore\n\n")]
        {
            assert!(note.contains(from));
            assert!(open(&note.replacen(from, to, 1)).is_err(), "{to:?}");
        }
        assert!(matches!(open(&note.replace("2026-11", "2026-12")), Err(CheckpointError::Origin { .. })));
        for bad in ["", "\n", "\n\n", &note[..note.len() - 1], &note.replace('—', "-"), &"x\n".repeat(1 << 20)] {
            assert!(matches!(open(bad), Err(CheckpointError::Malformed)), "{bad:.60}");
        }
        let extended = Checkpoint::new("nationwide/harbor-shop/2026-11", 3, record_hash(b"x"), "more\n").unwrap();
        let mut signed = Note::new(&extended.to_bytes(), &[]).unwrap();
        signed.add_sigs(&[&key(1)]).unwrap();
        let refused = open(std::str::from_utf8(&signed.to_bytes()).unwrap());
        assert!(matches!(refused, Err(CheckpointError::Malformed)));
        let other = SignedCheckpoint::sign(&origin("2026-11"), 3, record_hash(b"x"), &key(2)).unwrap();
        assert!(matches!(open(other.note()), Err(CheckpointError::Signature(_))));
    }

    /// By the text of c2sp.org/tlog-cosignature alone, without the code above.
    #[test]
    fn a_cosignature_holds_by_the_specification() {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let note = checkpoint().cosign(&cosigner(9), now).unwrap();
        let (text, signatures) = note.split_once("\n\n").unwrap();
        let line = signatures.lines().nth(1).unwrap().strip_prefix("— nationwide ").unwrap();
        let bytes = BASE64_STANDARD.decode(line).unwrap();
        let public = SigningKey::from_bytes(&[9; 32]).verifying_key();
        let id = Sha256::new().chain_update(b"nationwide\n\x04").chain_update(public.as_bytes()).finalize();
        assert_eq!(bytes[..4], id[..4]);
        assert_eq!(bytes[4..12], 1_795_000_000_u64.to_be_bytes());
        let message = format!("cosignature/v1\ntime 1795000000\n{text}\n");
        public.verify(message.as_bytes(), &Signature::from_slice(&bytes[12..]).unwrap()).unwrap();
        assert!(note.starts_with(checkpoint().note()));
    }

    /// A note with signatures that nobody asked for before its own: by so many keys, each of so many bytes.
    fn crowded(keys: u32, bytes: usize) -> String {
        let signature = |id| signed_note::Signature::new("stranger".to_owned(), id, vec![7; bytes]).unwrap();
        let lines: Vec<u8> = (0..keys).flat_map(|id| signature(id).to_bytes()).collect();
        checkpoint().note().replacen("\n\n", &format!("\n\n{}", str::from_utf8(&lines).unwrap()), 1)
    }

    #[test]
    fn signatures_that_nobody_asked_for_take_no_room_of_a_cosignature() {
        // As many as a note may have, and as long as a note may be: with one line more neither can be read.
        let fits = |bytes: &usize| crowded(1, *bytes).len() <= MAX_NOTE;
        let most = (MAX_NOTE / 4 * 3 - 300..MAX_NOTE / 4 * 3).rev().find(fits).unwrap();
        for (note, more) in [(crowded(99, 64), crowded(100, 64)), (crowded(1, most), crowded(1, most + 3))] {
            let open = |note: &str| SignedCheckpoint::open(note.as_bytes(), &origin("2026-11"), &key(1).verifier());
            assert!(matches!(open(&more), Err(CheckpointError::Malformed)));
            let opened = open(&note).unwrap();
            assert_eq!(opened, checkpoint());
            let cosigned = opened.cosign(&cosigner(9), Timestamp::UNIX_EPOCH).unwrap();
            verify_cosignature(cosigned.as_bytes(), &cosigner(9).verifier()).unwrap();
            // What cannot be read back is not made.
            let kept = SignedCheckpoint::unverified(note.as_bytes()).unwrap();
            assert!(matches!(kept.cosign(&cosigner(9), Timestamp::UNIX_EPOCH), Err(CheckpointError::Malformed)));
        }
    }

    #[test]
    fn a_cosignature_tells_its_time() {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let note = checkpoint().cosign(&cosigner(9), now).unwrap();
        assert_eq!(verify_cosignature(note.as_bytes(), &cosigner(9).verifier()).unwrap(), now);
        let later = Timestamp::from_second(1_795_000_060).unwrap();
        let again = SignedCheckpoint::unverified(note.as_bytes()).unwrap().cosign(&cosigner(9), later).unwrap();
        assert_eq!(again.lines().count(), note.lines().count());
        assert_eq!(verify_cosignature(again.as_bytes(), &cosigner(9).verifier()).unwrap(), later);
    }

    #[test]
    fn false_cosignatures_are_refused() {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let note = checkpoint().cosign(&cosigner(9), now).unwrap();
        let verify = |note: &str, seed| verify_cosignature(note.as_bytes(), &cosigner(seed).verifier());
        assert!(verify(&note, 8).is_err());
        assert!(verify(checkpoint().note(), 9).is_err());
        assert!(verify(&note.replacen("\n3\n", "\n4\n", 1), 9).is_err());
        let line = note.lines().last().unwrap().strip_prefix("— nationwide ").unwrap();
        for byte in [4, 11, 12, 75] {
            let mut bytes = BASE64_STANDARD.decode(line).unwrap();
            bytes[byte] ^= 1;
            assert!(verify(&note.replace(line, &BASE64_STANDARD.encode(bytes)), 9).is_err(), "{byte}");
        }
        for length in [4, 5, 12, 75] {
            let short = BASE64_STANDARD.encode(&BASE64_STANDARD.decode(line).unwrap()[..length]);
            assert!(verify(&note.replace(line, &short), 9).is_err(), "{length}");
        }
    }
}
