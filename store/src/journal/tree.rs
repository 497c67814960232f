//! The Merkle tree over the entries: RFC 6962, section 2.1.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tlog_tiles::{EMPTY_HASH, Error, HASH_SIZE, Hash, HashReader, node_hash, split_stored_hash_index, sub_tree_index};

use crate::durable::{self, DiskError, Step};

/// How many levels of the tree one tile spans.
const TILE_HEIGHT: u32 = 8;

/// How many hashes a whole tile has.
pub(super) const TILE: usize = 1 << TILE_HEIGHT;

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

    /// Appends the hashes of entries. `keep` is called with the hashes that this adds to tiles, in the order of each tile
    /// level, and the level.
    ///
    /// Whole tiles are hashed level by level: no hash of a level waits for another, so the processor overlaps them.
    pub(super) fn extend(&mut self, mut leaves: &[Hash], mut keep: impl FnMut(usize, &[Hash])) {
        while let Some(leaf) = leaves.first() {
            let tile = leaves.get(..TILE).filter(|_| self.size.is_multiple_of(TILE as u64));
            let taken = tile.unwrap_or(std::slice::from_ref(leaf));
            keep(0, taken);
            match tile {
                Some(tile) => self.push(TILE_HEIGHT, root_of(tile.to_vec()), &mut keep),
                None => self.push(0, *leaf, &mut keep),
            }
            leaves = &leaves[taken.len()..];
        }
    }

    /// Appends a full subtree of `height` levels, where one begins. `keep` is called as [`Frontier::extend`] says, but not
    /// with leaves.
    fn push(&mut self, height: u32, root: Hash, keep: &mut impl FnMut(usize, &[Hash])) {
        let mut hash = root;
        for level in height..=height + (self.size >> height).trailing_ones() {
            if level > height {
                let left = self.peaks.pop().expect("each set bit of the size has its peak");
                hash = node_hash(left, hash);
            }
            if level > 0 && level % TILE_HEIGHT == 0 {
                keep((level / TILE_HEIGHT) as usize, &[hash]);
            }
        }
        self.peaks.push(hash);
        self.size += 1 << height;
    }

    /// The root hash.
    pub(super) fn root(&self) -> Hash {
        self.peaks.iter().rev().copied().reduce(|right, left| node_hash(left, right)).unwrap_or(EMPTY_HASH)
    }
}

/// The root hash of a full tree with these leaves.
fn root_of(mut hashes: Vec<Hash>) -> Hash {
    while hashes.len() > 1 {
        let half = hashes.len() / 2;
        for place in 0..half {
            hashes[place] = node_hash(hashes[2 * place], hashes[2 * place + 1]);
        }
        hashes.truncate(half);
    }
    hashes.first().copied().unwrap_or(EMPTY_HASH)
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
        Ok(root_of(bytes.as_chunks().0.iter().copied().map(Hash).collect()))
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
            frontier.extend(&[record_hash(&entry)], |level, _| kept.push(level));
            assert_eq!(kept.contains(&1), (number + 1) % 256 == 0);
            let hashes = stored_hashes(number, &entry, &stored).unwrap();
            stored.0.extend(hashes);
        }
    }

    #[test]
    fn hashes_that_are_appended_together_give_what_they_give_one_by_one() {
        let leaves: Vec<Hash> = (0..66_500_u32).map(|number| record_hash(&number.to_be_bytes())).collect();
        let in_steps = |steps: &[usize]| {
            let (mut frontier, mut kept) = (Frontier::default(), vec![Vec::new(); 4]);
            let (mut rest, mut steps) = (leaves.as_slice(), steps.iter().cycle());
            while let Some(step) = steps.next().filter(|_| !rest.is_empty()) {
                let (now, later) = rest.split_at(rest.len().min(*step));
                frontier.extend(now, |level, hashes| kept[level].extend_from_slice(hashes));
                rest = later;
            }
            (frontier.size(), frontier.root(), kept)
        };
        let one_by_one = in_steps(&[1]);
        assert_eq!(one_by_one.2.iter().map(Vec::len).collect::<Vec<_>>(), [66_500, 259, 1, 0]);
        for steps in [&[256][..], &[66_500], &[100, 412], &[1, 255, 512, 7], &[255, 256]] {
            assert!(in_steps(steps) == one_by_one, "{steps:?}");
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
