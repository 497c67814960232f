//! A partner's signature over its audit trail: nobody can say later that it did not decide what stands there.
//!
//! A signed note of c2sp.org/signed-note, by the key that signs the partner's journals. Its text is no checkpoint, whose
//! first line is the name of a log:
//!
//! ```text
//! tieup audit trail v1
//! nationwide/harbor-shop
//! 12
//! blake3:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! 2026-11-30T12:00:00Z
//! ```
//!
//! That is whose trail it is, how many lines of it are signed, the digest of the last of them (each line has that of the
//! one before it), and when, by the partner's clock.

use jiff::Timestamp;
use signed_note::{Note, NoteError, VerifierList};
use tieup_protocol::audit::TrailEnd;
use tieup_protocol::ids::SiteId;

use crate::journal::{LogSigner, LogVerifier};

/// What every such text begins with.
const KIND: &str = "tieup audit trail v1";

/// The largest note that is read, in bytes.
const MAX_NOTE: usize = 4 << 10;

/// Whose trail it is: what the partner `partner` decided about what `main` sends.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    /// The main site.
    pub main: &'a SiteId,
    /// The partner.
    pub partner: &'a SiteId,
}

/// The end of a trail, as its owner signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEnd {
    note: String,
    end: TrailEnd,
    time: Timestamp,
}

/// Why a note is no signature over a trail.
#[derive(Debug, thiserror::Error)]
pub enum TrailNoteError {
    /// It is no note, or says something else.
    #[error("the signature over the audit trail is not well formed")]
    Malformed,
    /// It is over somebody else's.
    #[error("the signature is over the audit trail of `{0}`")]
    OtherTrail(String),
    /// It is over other lines than it was asked for.
    #[error("the signature is over other lines of the audit trail than those that came")]
    OtherEnd,
    /// The partner's daemon knows nothing of such signatures.
    #[error("its daemon is from before audit trails were signed: update `syncd` there")]
    Unknown,
    /// It was not made with the key.
    #[error("the audit trail is not signed by the partner's key")]
    Signature(#[from] NoteError),
}

impl SignedEnd {
    /// Signs that `end` is where the trail ends at `now`.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(of: Between<'_>, end: TrailEnd, now: Timestamp, key: &LogSigner) -> Result<Self, TrailNoteError> {
        let time = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let TrailEnd { lines, last } = end;
        let text = format!("{KIND}\n{}/{}\n{lines}\n{last}\n{time}\n", of.main, of.partner);
        let mut note = Note::new(text.as_bytes(), &[])?;
        note.add_sigs(&[key])?;
        let note = String::from_utf8(note.to_bytes()).map_err(|_| TrailNoteError::Malformed)?;
        Ok(Self { note, end, time })
    }

    /// Reads a note, and checks that one of `keys` signed it and that it is over that trail.
    ///
    /// # Errors
    /// When it does not say so.
    pub fn open(note: &[u8], of: Between<'_>, keys: &[LogVerifier]) -> Result<Self, TrailNoteError> {
        if note.len() > MAX_NOTE {
            return Err(TrailNoteError::Malformed);
        }
        let signed = Note::from_bytes(note).map_err(|_| TrailNoteError::Malformed)?;
        let read = Self::read(note, signed.text(), of)?;
        let mut failed = TrailNoteError::Malformed;
        for key in keys {
            match signed.verify(&VerifierList::new(vec![Box::new(key.clone())])) {
                Ok(_) => return Ok(read),
                Err(error) => failed = error.into(),
            }
        }
        Err(failed)
    }

    fn read(note: &[u8], text: &[u8], of: Between<'_>) -> Result<Self, TrailNoteError> {
        let malformed = || TrailNoteError::Malformed;
        let text = str::from_utf8(text).map_err(|_| malformed())?;
        let [KIND, trail, lines, last, time, ""] = text.split('\n').collect::<Vec<_>>()[..] else {
            return Err(malformed());
        };
        if *trail != format!("{}/{}", of.main, of.partner) {
            return Err(TrailNoteError::OtherTrail(trail.escape_debug().to_string()));
        }
        let end =
            TrailEnd { lines: lines.parse().map_err(|_| malformed())?, last: last.parse().map_err(|_| malformed())? };
        let time = time.parse().map_err(|_| malformed())?;
        Ok(Self { note: String::from_utf8(note.to_vec()).map_err(|_| malformed())?, end, time })
    }

    /// The signed note.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What is signed.
    pub fn end(&self) -> TrailEnd {
        self.end
    }

    /// When it was, by the partner's clock, in whole seconds.
    pub fn time(&self) -> Timestamp {
        self.time
    }
}

#[cfg(test)]
mod tests {
    use tieup_protocol::digest::Digest;

    use super::*;

    fn key(seed: u8) -> LogSigner {
        LogSigner::from_seed("harbor-shop", &[seed; 32]).unwrap()
    }

    fn open(note: &str, partner: &str, seed: u8) -> Result<SignedEnd, TrailNoteError> {
        let (main, partner) = ("nationwide".parse().unwrap(), partner.parse().unwrap());
        let of = Between { main: &main, partner: &partner };
        SignedEnd::open(note.as_bytes(), of, &[key(9).verifier(), key(seed).verifier()])
    }

    fn signed() -> SignedEnd {
        let (main, partner) = ("nationwide".parse().unwrap(), "harbor-shop".parse().unwrap());
        let end = TrailEnd { lines: 12, last: Digest::of(b"the last line") };
        let now = "2026-11-30T12:00:00.5Z".parse().unwrap();
        SignedEnd::sign(Between { main: &main, partner: &partner }, end, now, &key(1)).unwrap()
    }

    #[test]
    fn what_is_signed_is_read_as_it_was_meant() {
        let signed = signed();
        let last = Digest::of(b"the last line");
        let text = format!("{KIND}\nnationwide/harbor-shop\n12\n{last}\n2026-11-30T12:00:00Z\n\n— harbor-shop ");
        assert!(signed.note().starts_with(&text), "{}", signed.note());
        assert_eq!(open(signed.note(), "harbor-shop", 1).unwrap(), signed);
        assert_eq!(signed.end(), TrailEnd { lines: 12, last });
    }

    #[test]
    fn what_is_not_signed_so_is_refused() {
        let note = signed().note().to_owned();
        assert!(matches!(open(&note, "harbor-shop", 2), Err(TrailNoteError::Signature(_))));
        assert!(matches!(open(&note, "north", 1), Err(TrailNoteError::OtherTrail(trail)) if trail.contains("harbor")));
        for (from, to) in [("\n12\n", "\n13\n"), ("12:00:00Z", "12:00:01Z"), ("blake3:", "blake3:0"), ("v1", "v2")] {
            assert!(note.contains(from));
            assert!(open(&note.replacen(from, to, 1), "harbor-shop", 1).is_err(), "{to}");
        }
        for bad in ["", "\n\n", &note[..note.len() - 1], &note.replacen("\n12\n", "\n12\n12\n", 1), &note.repeat(100)] {
            assert!(open(bad, "harbor-shop", 1).is_err(), "{bad:.60}");
        }
    }
}
