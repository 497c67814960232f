//! The proof that one entry is in a log, to be checked by whoever has the keys and nothing else: c2sp.org/tlog-proof.
//!
//! The format's extra data is the entry itself. It proves nothing until its hash is found in the tree.

use std::fmt;
use std::str::FromStr;

use base64::prelude::{BASE64_STANDARD, Engine};
use jiff::Timestamp;
use tlog_tiles::{HASH_SIZE, Hash, check_record, record_hash};

use super::Origin;
use super::bundle::MAX_ENTRY;
use super::checkpoint::{CheckpointError, SignedCheckpoint, verify_cosignature};
use super::key::{CosignerVerifier, LogVerifier};
use super::reader::{JournalReader, ReadError};

/// The first line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The most hashes of a proof: the height of the largest tree.
const MAX_HASHES: usize = 64;

/// The most bytes of a proof: an entry, hashes, a note.
const MAX_TEXT: usize = MAX_ENTRY * 2 + (64 << 10);

/// An entry, and the way from it to the root of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct InclusionProof {
    /// The entry's number, from 0.
    pub number: u64,
    /// The entry.
    pub entry: Vec<u8>,
    /// The hashes beside the way, from the entry up.
    pub hashes: Vec<Hash>,
    /// The checkpoint, a signed note with whatever cosignatures it bears.
    pub note: String,
}

/// A text that is not a proof of this form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a proof of the form {HEADER}: {0}")]
pub struct InvalidProof(&'static str);

/// Why there is no proof of an entry.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The log cannot be read, or does not reach there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// What is kept of the entry, or of the hashes around it, is not what was signed for.
    #[error("the log is damaged where it is kept")]
    Damaged(#[from] ProofError),
    /// Nothing of the log has been cosigned.
    #[error("nothing of this journal has been cosigned yet")]
    NotCosigned,
    /// The entry is newer than the checkpoint.
    #[error("entry {number} is not covered: the cosigned checkpoint covers {size} entries, numbered from 0")]
    NotCovered {
        /// The entry.
        number: u64,
        /// How many entries the checkpoint covers.
        size: u64,
    },
}

/// Why a proof does not convince.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The checkpoint is malformed, of another log, or not signed by the keys.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not in the tree at that number.
    #[error("entry {number} is not in the log whose checkpoint stands in the proof")]
    NotIncluded {
        /// The entry.
        number: u64,
    },
}

/// Whose signatures a proof must bear.
#[derive(Clone, Debug)]
pub struct ProofKeys {
    /// The log's key.
    pub log: LogVerifier,
    /// Main's key, where its cosignature is wanted too.
    pub cosigner: Option<CosignerVerifier>,
}

/// What a proof says that convinces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// How many entries the checkpoint covers.
    pub size: u64,
    /// When main cosigned it; none where that was not asked.
    pub cosigned: Option<Timestamp>,
}

impl InclusionProof {
    /// Proves entry `number` of the log that `reader` reads, of `origin` and signed by `key`, against its last cosigned
    /// checkpoint.
    pub fn of(reader: &JournalReader, number: u64, origin: &Origin, key: &LogVerifier) -> Result<Self, ProveError> {
        Self::by(reader, reader.cosigned()?, number, origin, key)
    }

    /// The same against the checkpoint `cosigned`, such as the other side's receipt. A proof that is made convinces whoever
    /// has the log's key.
    pub fn by(
        reader: &JournalReader,
        cosigned: Option<String>,
        number: u64,
        origin: &Origin,
        key: &LogVerifier,
    ) -> Result<Self, ProveError> {
        let note = cosigned.ok_or(ProveError::NotCosigned)?;
        let size = SignedCheckpoint::open(note.as_bytes(), origin, key)?.size();
        if number >= size {
            return Err(ProveError::NotCovered { number, size });
        }
        let mut entries = reader.entries(number..number + 1)?;
        let entry = entries.next().transpose()?.ok_or(ProveError::NotCovered { number, size })?;
        let proof = Self { number, entry, hashes: reader.inclusion_proof(number, size)?, note };
        proof.verify(origin, &ProofKeys { log: key.clone(), cosigner: None })?;
        Ok(proof)
    }

    /// Checks the proof for the log `origin`, without anything but keys.
    pub fn verify(&self, origin: &Origin, keys: &ProofKeys) -> Result<Proven, ProofError> {
        let checkpoint = SignedCheckpoint::open(self.note.as_bytes(), origin, &keys.log)?;
        let cosigned = keys.cosigner.as_ref().map(|key| verify_cosignature(self.note.as_bytes(), key)).transpose()?;
        let (size, leaf) = (checkpoint.size(), record_hash(&self.entry));
        let included =
            self.number < size && check_record(&self.hashes, size, checkpoint.root(), self.number, leaf).is_ok();
        if included { Ok(Proven { size, cosigned }) } else { Err(ProofError::NotIncluded { number: self.number }) }
    }

    /// The first line of the checkpoint: which log it says it is of. Not verified.
    pub fn claimed_origin(&self) -> Origin {
        Origin(self.note.lines().next().unwrap_or_default().to_owned())
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nextra {}\nindex {}", BASE64_STANDARD.encode(&self.entry), self.number)?;
        for hash in &self.hashes {
            writeln!(f, "{}", BASE64_STANDARD.encode(hash.0))?;
        }
        write!(f, "\n{}", self.note)
    }
}

impl FromStr for InclusionProof {
    type Err = InvalidProof;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_TEXT {
            return Err(InvalidProof("it is too long"));
        }
        let (head, note) = text.split_once("\n\n").ok_or(InvalidProof("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(InvalidProof("its first line is another"));
        }
        let entry = lines.next().and_then(|line| BASE64_STANDARD.decode(line.strip_prefix("extra ")?).ok());
        let entry = entry.ok_or(InvalidProof("its second line is not the entry"))?;
        let number = lines.next().and_then(|line| canonical_number(line.strip_prefix("index ")?));
        let number = number.ok_or(InvalidProof("its third line is not the entry's number"))?;
        let hashes: Option<Vec<Hash>> = lines.map(parse_hash).take(MAX_HASHES + 1).collect();
        let hashes =
            hashes.filter(|hashes| hashes.len() <= MAX_HASHES).ok_or(InvalidProof("its hashes are not some"))?;
        Ok(Self { number, entry, hashes, note: note.to_owned() })
    }
}

fn canonical_number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

fn parse_hash(line: &str) -> Option<Hash> {
    let bytes: [u8; HASH_SIZE] = BASE64_STANDARD.decode(line).ok()?.try_into().ok()?;
    Some(Hash(bytes))
}
