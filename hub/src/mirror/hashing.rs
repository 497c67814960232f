//! The hashes of the tree over the entries, computed anew: RFC 6962, section 2.1. Whether a tile is what it says is known by
//! what lies below it and above it.

use aws_lc_rs::digest::{Context, SHA256};
use tieup_store::journal::{InvalidBundle, split_bundle};

/// A hash of the tree.
type NodeHash = [u8; 32];

/// The tile of level 0 that the entries of `bundle` make.
pub(super) fn leaves(bundle: &[u8]) -> Result<Vec<u8>, InvalidBundle> {
    let leaves = split_bundle(bundle)?.into_iter().map(|entry| hash(&[&[0], entry]));
    Ok(leaves.collect::<Vec<NodeHash>>().concat())
}

/// The root of a full tile, which is a hash of the level above.
pub(super) fn root(tile: &[u8]) -> Option<NodeHash> {
    let mut hashes: Vec<NodeHash> = tile.as_chunks().0.to_vec();
    while hashes.len() > 1 {
        hashes = hashes.as_chunks().0.iter().map(|[left, right]| hash(&[&[1], left, right])).collect();
    }
    hashes.pop()
}

fn hash(parts: &[&[u8]]) -> NodeHash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = NodeHash::default();
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use tieup_store::journal::{JournalWriter, LogSigner, Origin, TileWidth};

    use super::*;

    #[test]
    fn tiles_are_those_of_a_log() {
        let [main, partner] = ["nationwide", "north"].map(|id| id.parse().unwrap());
        let origin = Origin::new(&main, &partner, "2026-11".parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let signer = LogSigner::from_seed("north", &[1; 32]).unwrap();
        let mut writer = JournalWriter::open(folder.path(), origin, signer).unwrap();
        let entries: Vec<Vec<u8>> = (0..300_u16).map(|number| number.to_be_bytes().to_vec()).collect();
        writer.append(&entries.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        writer.checkpoint().unwrap();
        let reader = writer.reader();
        for (index, width) in [(0, TileWidth::FULL), (1, TileWidth::new(44).unwrap())] {
            let bundle = reader.entry_bundle(index, width).unwrap();
            assert_eq!(leaves(&bundle).unwrap(), reader.tile(0, index, width).unwrap());
        }
        let above = reader.tile(1, 0, TileWidth::new(1).unwrap()).unwrap();
        assert_eq!(root(&reader.tile(0, 0, TileWidth::FULL).unwrap()).unwrap().as_slice(), above);
        assert_eq!((root(&[]), leaves(&[0, 9]).is_err()), (None, true));
    }
}
