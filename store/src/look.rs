//! What a file looks like from outside, so that one that somebody wrote to is known without being read.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What a file looks like from outside. It looks otherwise once somebody has written to it, or put another in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Look {
    /// How the file at `path` looks now, or the one that a symbolic link there leads to.
    ///
    /// # Errors
    /// When there is none, or it cannot be looked at.
    pub fn at(path: &Path) -> io::Result<Self> {
        path.metadata().map(|about| Self::of(&about))
    }

    /// What the system says of a file.
    pub(crate) fn of(about: &Metadata) -> Self {
        Self {
            device: about.dev(),
            inode: about.ino(),
            length: about.len(),
            changed: (about.ctime(), about.ctime_nsec()),
        }
    }

    /// How many bytes the file has.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether this is the same file as `other`, whatever was written to it.
    pub(crate) fn is_of_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}
