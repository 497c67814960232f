//! Fetching a log from the other end into a copy of it: bundle by bundle, up to what the log's key has signed for.
//!
//! What has come is kept: a fetch that was cut off goes on where it was. Nothing is confirmed before the signed checkpoint
//! does. What a contradiction means is for whoever keeps the copy to say.

use tieup_protocol::access::{AccessEntry, InvalidEntry, MAX_ENTRY};
use tieup_protocol::wire::NO_SUCH_TILE;
use tieup_store::durable::DiskError;
use tieup_store::journal::{
    CheckpointError, Extended, InvalidBundle, LogVerifier, Mirror, MirrorError, Origin, SignedCheckpoint, TilePath,
    TileWidth, split_bundle,
};
use tokio::task::block_in_place;

use crate::client::{CallError, PeerClient};

/// How many bytes stay free on the disk of whoever keeps the copy: its own pages and journal need them.
const RESERVE: u64 = 256 << 20;

/// Why a log was not fetched whole. Nothing was confirmed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The other end could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The checkpoint is not the log's.
    #[error("the journal's checkpoint does not verify")]
    Checkpoint(#[from] CheckpointError),
    /// A bundle of entries is not one.
    #[error("the journal's entries cannot be read")]
    Bundle(#[from] InvalidBundle),
    /// A bundle with more entries than it may have.
    #[error("the journal's bundle {0} has too many entries")]
    Overfull(TilePath),
    /// An entry that is longer than a visit can be.
    #[error("the journal's bundle {path} has an entry of {length} bytes; a visit has {MAX_ENTRY} at most")]
    LongEntry {
        /// The bundle.
        path: TilePath,
        /// How long the entry is.
        length: usize,
    },
    /// An entry that is no visit, or one of a later encoding.
    #[error("entry {number} of the journal cannot be read")]
    Entry {
        /// The entry, from 0.
        number: u64,
        /// What is wrong with it.
        source: InvalidEntry,
    },
    /// The disk has too little room left.
    #[error("the disk has {free} bytes left, of which {RESERVE} stay free: make room before journals are fetched")]
    NoSpace {
        /// How many bytes are free.
        free: u64,
    },
    /// The entries do not fit the checkpoint, or the log was rewritten.
    #[error(transparent)]
    Refused(MirrorError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl FetchError {
    /// Whether what came of the journal is of no use: it is neither evidence nor something to go on with.
    fn spoils(&self) -> bool {
        match self {
            Self::Bundle(_)
            | Self::Overfull(_)
            | Self::LongEntry { .. }
            | Self::Entry { .. }
            | Self::NoSpace { .. } => true,
            Self::Call(_) | Self::Checkpoint(_) | Self::Refused(_) | Self::Disk(_) => false,
        }
    }
}

impl From<MirrorError> for FetchError {
    fn from(source: MirrorError) -> Self {
        match source {
            MirrorError::Disk(error) => Self::Disk(error),
            source => Self::Refused(source),
        }
    }
}

/// One month's log at the other end.
#[derive(Debug)]
pub struct RemoteLog {
    client: PeerClient,
    /// The path that its checkpoint and tiles are below.
    base: String,
    origin: Origin,
    key: LogVerifier,
}

impl RemoteLog {
    /// The log `origin`, which `key` signs, below the path `base` of `client`'s peer.
    pub fn new(client: PeerClient, base: String, origin: Origin, key: LogVerifier) -> Self {
        Self { client, base, origin, key }
    }

    /// What the log's key has signed for now.
    ///
    /// # Errors
    /// When it cannot be asked for, or is not of this log.
    pub async fn checkpoint(&self) -> Result<SignedCheckpoint, FetchError> {
        let note = self.client.get_bytes(&format!("{}/checkpoint", self.base)).await?;
        Ok(SignedCheckpoint::open(&note, &self.origin, &self.key)?)
    }

    /// Takes the entries up to `signed` into `mirror`, and confirms them.
    ///
    /// What has been fetched is kept where a call fails. What had come before a cut may be what is wrong; the other end is
    /// not blamed for that, and it is fetched once more. What is of no use is dropped.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn extend(&self, mirror: &mut Mirror, signed: &SignedCheckpoint) -> Result<Extended, FetchError> {
        let waited = mirror.size() > mirror.confirmed();
        let mut taken = self.take_up_to(mirror, signed).await;
        if waited && matches!(&taken, Err(FetchError::Refused(_))) {
            block_in_place(|| mirror.drop_waiting())?;
            taken = self.take_up_to(mirror, signed).await;
        }
        if taken.as_ref().is_err_and(FetchError::spoils) {
            block_in_place(|| mirror.drop_waiting())?;
        }
        taken
    }

    async fn take_up_to(&self, mirror: &mut Mirror, signed: &SignedCheckpoint) -> Result<Extended, FetchError> {
        let (held, size) = (mirror.size(), signed.size());
        // Only the first bundle can hold entries that are here already.
        let mut known = usize::try_from(held % TileWidth::FULL.get()).unwrap_or_default();
        for path in TilePath::bundles(held, size) {
            let bundle = self.bundle(path, size, mirror.size()).await?;
            block_in_place(|| take(mirror, path, &bundle, known, size))?;
            known = 0;
        }
        Ok(block_in_place(|| mirror.confirm(signed.note().as_bytes(), &self.origin, &self.key))?)
    }

    /// A bundle of entries. That it is not to be had, though it was signed for, is the other end's fault.
    async fn bundle(&self, path: TilePath, signed: u64, given: u64) -> Result<Vec<u8>, FetchError> {
        match self.client.get_bytes(&format!("{}/{path}", self.base)).await {
            Err(error) if error.is_problem(NO_SUCH_TILE) => {
                Err(FetchError::Refused(MirrorError::Short { signed, given }))
            }
            bundle => Ok(bundle?),
        }
    }
}

/// Takes in a bundle but for its first `known` entries. The size that is fetched up to is what the log's key signed: that
/// each bundle is whole is what makes an end of it.
fn take(mirror: &mut Mirror, path: TilePath, bundle: &[u8], known: usize, signed: u64) -> Result<(), FetchError> {
    let entries = whole(path, bundle, signed)?;
    let new = entries.get(known..).unwrap_or_default();
    check_visits(path.first().saturating_add(known as u64), new)?;
    check_room(mirror.free_space()?)?;
    Ok(mirror.take(new)?)
}

/// That `entries`, the first of which has the number `first`, are visits: what is cosigned can be counted, and nobody can take it
/// out again.
fn check_visits(first: u64, entries: &[&[u8]]) -> Result<(), FetchError> {
    (first..).zip(entries).try_for_each(|(number, entry)| match AccessEntry::decode(entry) {
        Ok(_) => Ok(()),
        Err(source) => Err(FetchError::Entry { number, source }),
    })
}

/// The entries of the bundle `path` of a log of `signed` entries: exactly as many as the path says, none longer than a
/// visit can be.
fn whole(path: TilePath, bundle: &[u8], signed: u64) -> Result<Vec<&[u8]>, FetchError> {
    let entries = split_bundle(bundle)?;
    let (given, width) = (entries.len() as u64, path.width().get());
    if given > width {
        return Err(FetchError::Overfull(path));
    }
    if given < width {
        let given = path.first().saturating_add(given);
        return Err(FetchError::Refused(MirrorError::Short { signed, given }));
    }
    match entries.iter().map(|entry| entry.len()).find(|length| *length > MAX_ENTRY) {
        Some(length) => Err(FetchError::LongEntry { path, length }),
        None => Ok(entries),
    }
}

fn check_room(free: u64) -> Result<(), FetchError> {
    if free < RESERVE { Err(FetchError::NoSpace { free }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bundle of `count` entries of `length` bytes.
    fn bundle(count: usize, length: u16) -> Vec<u8> {
        [length.to_be_bytes().as_slice(), &vec![7; length.into()]].concat().repeat(count)
    }

    #[test]
    fn a_bundle_has_exactly_the_entries_that_its_path_says() {
        let [first, last]: [TilePath; 2] = TilePath::bundles(0, 300).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(whole(first, &bundle(256, 50), 300).unwrap().len(), 256);
        assert_eq!(whole(last, &bundle(44, 50), 300).unwrap().len(), 44);
        for (path, count, held) in [(first, 0, 0), (first, 255, 255), (last, 0, 256), (last, 43, 299)] {
            let failed = whole(path, &bundle(count, 50), 300).unwrap_err();
            let is_short = matches!(
                failed,
                FetchError::Refused(MirrorError::Short { signed: 300, given }) if given == held
            );
            assert!(is_short, "{path} with {count} entries: {failed:?}");
        }
        for (path, count) in [(first, 257), (last, 45)] {
            let failed = whole(path, &bundle(count, 50), 300).unwrap_err();
            assert!(matches!(failed, FetchError::Overfull(_)), "{path} with {count}: {failed:?}");
        }
    }

    #[test]
    fn an_entry_is_no_longer_than_a_visit_can_be() {
        let path = TilePath::bundles(0, 1).next().unwrap();
        let longest = u16::try_from(MAX_ENTRY).unwrap();
        whole(path, &bundle(1, longest), 1).unwrap();
        for length in [longest + 1, u16::MAX] {
            let failed = whole(path, &bundle(1, length), 1).unwrap_err();
            assert!(matches!(failed, FetchError::LongEntry { .. }), "{failed:?}");
        }
    }

    #[test]
    fn an_entry_is_a_visit() {
        // The visit of docs/journal.md: encoding 1, a page at the path "/".
        let visit = [&[1], [0; 10].as_slice(), &[0, 200], &[0; 29], b"/"].concat();
        check_visits(0, &[&visit, &visit]).unwrap();
        let with = |at: usize, byte| [&visit[..at], &[byte], &visit[at + 1..]].concat();
        // A hole after power was lost, a later encoding, a path that is cut off.
        for bad in [vec![0; 43], with(0, 2), with(42, 0), visit[..42].to_vec()] {
            let failed = check_visits(256, &[&visit, &bad, &visit]).unwrap_err();
            assert!(matches!(failed, FetchError::Entry { number: 257, .. }) && failed.spoils(), "{failed:?}");
        }
    }

    #[test]
    fn room_stays_free_on_the_disk() {
        check_room(RESERVE).unwrap();
        assert!(matches!(check_room(RESERVE - 1), Err(FetchError::NoSpace { .. })));
    }
}
