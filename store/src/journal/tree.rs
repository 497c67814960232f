//! The Merkle tree over the entries: RFC 6962, section 2.1.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tlog_tiles::{EMPTY_HASH, Error, HASH_SIZE, Hash, HashReader, node_hash, split_stored_hash_index, sub_tree_index};

use crate::durable::{self, DiskError, Step};

/// How many levels of the tree one tile spans.
const TILE_HEIGHT: u32 = 8;

/// The right edge of a tree: the roots of the full subtrees that it consists of.
///
/// All that is needed to append, and to know the root.
#[derive(Clone, Debug, Default)]
pub(super) struct Frontier {
    size: u64,
    /// Largest subtree first: one for each bit that is set in `size`.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of `size` entries whose hashes are in the month's folder `dir`.
    pub(super) fn read(dir: &Path, size: u64) -> Result<Self, Error> {
        let peaks = HashFiles(dir).read_hashes(&sub_tree_index(0, size, Vec::new()))?;
        Ok(Self { size, peaks })
    }

    /// How many entries the tree has.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry's hash. `keep` is called with each hash that this adds to a tile, and the tile's level.
    pub(super) fn push(&mut self, leaf: Hash, mut keep: impl FnMut(usize, Hash)) {
        let mut hash = leaf;
        keep(0, hash);
        for level in 1..=self.size.trailing_ones() {
            let left = self.peaks.pop().expect("each set bit of the size has its peak");
            hash = node_hash(left, hash);
            if level % TILE_HEIGHT == 0 {
                keep((level / TILE_HEIGHT) as usize, hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root hash.
    pub(super) fn root(&self) -> Hash {
        self.peaks.iter().rev().copied().reduce(|right, left| node_hash(left, right)).unwrap_or(EMPTY_HASH)
    }
}

/// How many hashes of tile level `level` a tree of `size` entries has.
pub(super) fn hashes_at(level: usize, size: u64) -> u64 {
    u32::try_from(level).ok().and_then(|level| size.checked_shr(level.checked_mul(TILE_HEIGHT)?)).unwrap_or(0)
}

/// The largest tree that `count` hashes of tile level `level` are enough for.
pub(super) fn size_covered(level: usize, count: u64) -> u64 {
    let span = 1_u64 << (TILE_HEIGHT * u32::try_from(level).unwrap_or(0)).min(63);
    span.saturating_mul(count.saturating_add(1)) - 1
}

/// The hash files of the month's folder.
pub(super) struct HashFiles<'a>(pub(super) &'a Path);

impl HashFiles<'_> {
    /// The file that holds the hashes of a tile level.
    pub(super) fn path(&self, level: usize) -> PathBuf {
        self.0.join(format!("hashes-{level}"))
    }

    /// The largest tree of at most `most` entries of which all hashes are stored.
    pub(super) fn reach(&self, most: u64) -> Result<u64, DiskError> {
        let mut size = most;
        for level in 0.. {
            let path = self.path(level);
            if !path.exists() {
                return Ok(size.min(size_covered(level, 0)));
            }
            let length = durable::step(Step::Read, &path, || Ok(path.metadata()?.len()))?;
            size = size.min(size_covered(level, length / HASH_SIZE as u64));
        }
        Ok(size)
    }

    /// `count` hashes of a tile level, from number `from` on.
    pub(super) fn slice(&self, level: usize, from: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count * HASH_SIZE];
        File::open(self.path(level))?.read_exact_at(&mut bytes, from * HASH_SIZE as u64)?;
        Ok(bytes)
    }

    /// The hash of node `n` of a tree level, from the tile level at or below it.
    fn node(&self, level: u8, n: u64) -> io::Result<Hash> {
        let (tile_level, above) = (u32::from(level) / TILE_HEIGHT, u32::from(level) % TILE_HEIGHT);
        let bytes = self.slice(tile_level as usize, n << above, 1 << above)?;
        let mut hashes: Vec<Hash> = bytes.as_chunks().0.iter().copied().map(Hash).collect();
        while hashes.len() > 1 {
            hashes = hashes.as_chunks().0.iter().map(|[left, right]| node_hash(*left, *right)).collect();
        }
        Ok(hashes.first().copied().unwrap_or(EMPTY_HASH))
    }
}

impl HashReader for HashFiles<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let node = |&index| {
            let (level, n) = split_stored_hash_index(index);
            self.node(level, n).map_err(|error| Error::InvalidInput(format!("{}: {error}", self.0.display())))
        };
        indexes.iter().map(node).collect()
    }
}

#[cfg(test)]
mod tests {
    use tlog_tiles::{record_hash, stored_hashes, tree_hash};

    use super::*;

    /// The hashes of a tree in the library's own order.
    #[derive(Default)]
    struct Stored(Vec<Hash>);

    impl HashReader for Stored {
        fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
            Ok(indexes.iter().map(|index| self.0[usize::try_from(*index).unwrap()]).collect())
        }
    }

    #[test]
    fn the_frontier_has_the_root_that_the_library_computes() {
        let (mut stored, mut frontier) = (Stored::default(), Frontier::default());
        for number in 0..700_u64 {
            assert_eq!(frontier.root(), tree_hash(number, &stored).unwrap(), "{number}");
            let entry = number.to_be_bytes();
            let mut kept = Vec::new();
            frontier.push(record_hash(&entry), |level, _| kept.push(level));
            assert_eq!(kept.contains(&1), (number + 1) % 256 == 0);
            let hashes = stored_hashes(number, &entry, &stored).unwrap();
            stored.0.extend(hashes);
        }
    }

    #[test]
    fn counts_and_sizes_of_levels_agree() {
        for size in [0, 1, 255, 256, 65_535, 65_536, 70_000, 1 << 60] {
            for level in 0..70 {
                let count = hashes_at(level, size);
                assert!(size_covered(level, count) >= size, "{level} {size}");
                assert!(count == 0 || level > 7 || size_covered(level, count - 1) < size, "{level} {size}");
            }
        }
        assert_eq!([0, 1, 2, 3].map(|level| hashes_at(level, 70_000)), [70_000, 273, 1, 0]);
    }
}
