//! Drift: stored content that is no longer what was verified, as a partner tells of it, and the way back to it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::manifest::BlobRef;
use crate::path::SitePath;

/// The most blobs that a partner names as lacking at once.
pub const MOST_LACKING: usize = 4096;

/// The most paths that a partner names as not served at once.
pub const MOST_PATHS: usize = 20;

/// How many bytes stand before each piece of a restoring stream: digest and length.
pub const PIECE_HEAD: usize = 40;

/// What a partner's guard tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardReport {
    /// When everything that is kept was last read and found whole or not; none since the daemon started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Timestamp>,
    /// How many files were made whole again since the daemon started.
    pub restored: u64,
    /// What is not whole now; none where everything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

/// What is not whole at a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Since when.
    pub since: Timestamp,
    /// The content that is lacking, at most [`MOST_LACKING`].
    pub blobs: Vec<BlobRef>,
    /// The manifests and contracts that are lacking.
    pub documents: Vec<Digest>,
    /// Public paths that are not served meanwhile, at most [`MOST_PATHS`].
    pub paths: Vec<SitePath>,
}

impl GuardReport {
    /// Whether there is nothing to tell.
    pub fn is_quiet(&self) -> bool {
        self.drift.is_none() && self.restored == 0
    }
}

/// What an operator reads.
impl fmt::Display for GuardReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.drift {
            Some(drift) => write!(f, "{drift}")?,
            None => f.write_str("everything that is stored is whole")?,
        }
        if self.restored > 0 {
            let was = if self.restored == 1 { "was" } else { "were" };
            write!(f, "; {} {was} restored", counted(self.restored))?;
        }
        Ok(())
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lacking = (self.blobs.len() + self.documents.len()) as u64;
        write!(f, "DAMAGED: {} lacking since {}", counted(lacking), self.since.strftime("%Y-%m-%d %H:%M UTC"))?;
        if !self.paths.is_empty() {
            let paths: Vec<&str> = self.paths.iter().map(SitePath::as_str).collect();
            write!(f, "; not served: {}", paths.join(", "))?;
        }
        Ok(())
    }
}

fn counted(files: u64) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

/// What stands before a piece of `length` bytes in a restoring stream.
pub fn piece_head(digest: Digest, length: u64) -> [u8; PIECE_HEAD] {
    let mut head = [0; PIECE_HEAD];
    head[..32].copy_from_slice(digest.as_bytes());
    head[32..].copy_from_slice(&length.to_be_bytes());
    head
}

/// The digest and the length of the piece that follows `head`.
pub fn piece_of(head: &[u8; PIECE_HEAD]) -> (Digest, u64) {
    let (mut digest, mut length) = ([0; 32], [0; 8]);
    digest.copy_from_slice(&head[..32]);
    length.copy_from_slice(&head[32..]);
    (Digest::from_bytes(digest), u64::from_be_bytes(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_is_lacking_and_what_is_not_served() {
        let quiet = GuardReport::default();
        assert_eq!(quiet.to_string(), "everything that is stored is whole");
        let drift = Drift {
            since: Timestamp::UNIX_EPOCH,
            blobs: vec![BlobRef::of(b"a")],
            documents: vec![Digest::of(b"b")],
            paths: vec!["/about/".parse().unwrap()],
        };
        let report = GuardReport { checked: None, restored: 1, drift: Some(drift) };
        let says = "DAMAGED: 2 files lacking since 1970-01-01 00:00 UTC; not served: /about/; 1 file were restored";
        assert_eq!(report.to_string(), says.replace("1 file were", "1 file was"));
    }

    #[test]
    fn a_piece_is_named_by_digest_and_length() {
        let head = piece_head(Digest::of(b"a"), 1 << 40);
        assert_eq!(piece_of(&head), (Digest::of(b"a"), 1 << 40));
    }
}
