//! A release told as the difference from one that the partner holds.
//!
//! Main walks through the files of the base and of its release side by side and says for each what becomes of it. A
//! file that changed a little travels as a patch, and its digest does not travel at all: the partner computes it from
//! what the patch makes. The manifest that comes out has to be, to the byte, the one that was signed; until then
//! nothing is kept. What is not patched is named by its digest, and is asked for once the manifest has proved genuine.

mod assembly;
mod difference;
mod file;

use serde::{Deserialize, Serialize};

pub use self::assembly::{Assembly, InvalidDelta};
pub use self::difference::difference;
use crate::digest::Digest;
use crate::manifest::{BlobRef, EntryKind, MAX_BLOB, SlotRange};

/// The largest step, in bytes.
pub const MAX_STEP: u32 = 80 << 20;

// A patch is never much larger than what it makes.
const _: () = assert!(MAX_BLOB < MAX_STEP as u64);

/// How many bytes stand before a step: its length, big-endian.
pub const STEP_HEAD: usize = 4;

/// One step of the way from the base to the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The first step, and only the first.
    Begin {
        /// The digest of the base's manifest; none where the release is told whole.
        base: Option<[u8; 32]>,
        /// The manifest as JSON, without its files.
        frame: String,
    },
    /// The next files of the base are in the release as they are.
    Keep(u64),
    /// The next files of the base are not in the release.
    Drop(u64),
    /// The next file of the base, in another version.
    Change {
        /// What it is, where that changed.
        about: Option<About>,
        /// Where its slots are.
        slots: Slots,
        /// The new content.
        content: Content,
    },
    /// A file that the base does not have.
    Add {
        /// Where it goes.
        place: Place,
        /// What it is.
        about: About,
        /// Its slots.
        slots: Vec<SlotRange>,
        /// Its content.
        content: Named,
    },
    /// The last step: what is left of the base is in the release as it is.
    End,
}

/// Where a file of a release goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// A path that is served.
    Entry(String),
    /// A file of the framework.
    Framework(String),
    /// The page index.
    Index,
}

/// What a file of a release is. A file that is not served is an asset without a media type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Page, asset or layout.
    pub kind: EntryKind,
    /// The media type.
    pub media_type: String,
}

/// The slots of a file in another version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slots {
    /// The same slots, each moved and grown by so many bytes.
    Moved(Vec<(i64, i64)>),
    /// Others.
    Other(Vec<SlotRange>),
}

/// New content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// A patch ([`crate::patch`]) against the base's file.
    Patch(Vec<u8>),
    /// A blob by name.
    Named(Named),
}

/// A blob by name: the bytes of its digest, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named([u8; 32], u64);

impl From<BlobRef> for Named {
    fn from(blob: BlobRef) -> Self {
        Self(*blob.digest.as_bytes(), blob.length)
    }
}

impl From<Named> for BlobRef {
    fn from(Named(digest, length): Named) -> Self {
        Self { digest: Digest::from_bytes(digest), length }
    }
}

impl Step {
    /// The step as it travels, its length before it.
    pub fn encode(&self) -> Vec<u8> {
        let step = postcard::to_stdvec(self).expect("a step is numbers and texts, and written into memory");
        let length = u32::try_from(step.len()).unwrap_or(u32::MAX);
        [length.to_be_bytes().as_slice(), &step].concat()
    }

    /// Reads a step, without its length.
    ///
    /// # Errors
    /// When the bytes are not those of one step.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidDelta> {
        match postcard::take_from_bytes(bytes) {
            Ok((step, [])) => Ok(step),
            _ => Err(InvalidDelta::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests;
