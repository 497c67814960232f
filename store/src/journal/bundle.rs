//! How entries stand one after the other: each with its length before it.

use std::io::{self, BufRead, BufReader, Read, Seek};

use tlog_tiles::{Hash, record_hash};

/// The most bytes an entry can have.
pub const MAX_ENTRY: usize = u16::MAX as usize;

/// Bytes before each entry.
pub(super) const PREFIX: usize = 2;

/// Whether bytes that stand in a log where an entry should be are one.
pub type EntryCheck = fn(&[u8]) -> bool;

/// An entry that a log cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry has 1 to {MAX_ENTRY} bytes, not {0}")]
pub struct InvalidEntryLength(usize);

/// Bytes that are not whole entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {0} of the bundle is empty or cut off")]
pub struct InvalidBundle(usize);

/// The entries of a bundle.
pub fn split_bundle(mut bundle: &[u8]) -> Result<Vec<&[u8]>, InvalidBundle> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (entry, rest) = split_first(bundle).ok_or(InvalidBundle(entries.len()))?;
        entries.push(entry);
        bundle = rest;
    }
    Ok(entries)
}

/// Entries that are appended to a log together, as they will stand in its file.
#[derive(Clone, Debug, Default)]
pub struct EntryBatch {
    bytes: Vec<u8>,
    count: usize,
}

impl EntryBatch {
    /// A batch of these entries, in this order.
    pub fn of(entries: &[impl AsRef<[u8]>]) -> Result<Self, InvalidEntryLength> {
        let bytes = entries.iter().map(|entry| entry.as_ref().len() + PREFIX).sum();
        let mut batch = Self { bytes: Vec::with_capacity(bytes), count: 0 };
        entries.iter().try_for_each(|entry| batch.push(|bytes| bytes.extend_from_slice(entry.as_ref())))?;
        Ok(batch)
    }

    /// Adds the entry that `write` appends to the bytes it is given.
    ///
    /// After an error the batch is as it was.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), InvalidEntryLength> {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(&[0; PREFIX]);
        write(&mut self.bytes);
        let length = self.bytes.len().saturating_sub(begin + PREFIX);
        let Some(prefix) = u16::try_from(length).ok().filter(|length| *length > 0) else {
            self.bytes.truncate(begin);
            return Err(InvalidEntryLength(length));
        };
        self.bytes[begin..begin + PREFIX].copy_from_slice(&prefix.to_be_bytes());
        self.count += 1;
        Ok(())
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes all entries out, and keeps the memory for the next.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }

    /// The entries with their lengths.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries.
    pub(super) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (entry, after) = split_first(rest)?;
            rest = after;
            Some(entry)
        })
    }

    /// The hash of each entry: the leaves of the tree.
    pub(super) fn leaves(&self) -> Vec<Hash> {
        self.entries().map(record_hash).collect()
    }

    /// How many entries there are before the first that is none by `is_entry`, and how many bytes they take.
    pub(super) fn sound(&self, is_entry: EntryCheck) -> (u64, u64) {
        let sound = self.entries().take_while(|entry| is_entry(entry));
        sound.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + (PREFIX + entry.len()) as u64))
    }

    /// How long each entry is.
    pub(super) fn lengths(&self) -> impl Iterator<Item = usize> {
        self.entries().map(<[u8]>::len)
    }
}

/// Appends `entry` with its length.
#[cfg(test)]
pub(super) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), InvalidEntryLength> {
    let length = u16::try_from(entry.len()).ok().filter(|length| *length > 0);
    let length = length.ok_or(InvalidEntryLength(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

fn split_first(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bundle.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 { None } else { rest.split_at_checked(length) }
}

/// Reads entries from a file as it stands.
#[derive(Debug)]
pub(super) struct EntryStream<R> {
    source: BufReader<R>,
    position: u64,
}

/// What a stream finds where an entry should begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An entry.
    Entry,
    /// Nothing more.
    End,
    /// An entry that is cut off, or a length of 0, which a crash of the machine can leave and no log holds.
    Torn,
}

impl<R: Read + Seek> EntryStream<R> {
    /// A stream that begins where `source` stands, `position` bytes into the file.
    pub(super) fn new(source: R, position: u64) -> Self {
        Self { source: BufReader::with_capacity(256 << 10, source), position }
    }

    /// How many bytes of whole entries have been passed.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Reads the next entry into `entry`.
    pub(super) fn read(&mut self, entry: &mut Vec<u8>) -> io::Result<Found> {
        entry.clear();
        self.append(entry, 0)
    }

    /// Adds the next entries to `batch` until it has `count`, or something else is found: the last of what was found.
    pub(super) fn read_batch(&mut self, batch: &mut EntryBatch, count: usize) -> io::Result<Found> {
        let mut found = Found::Entry;
        while batch.count < count && found == Found::Entry {
            found = self.append(&mut batch.bytes, PREFIX)?;
            batch.count += usize::from(found == Found::Entry);
        }
        Ok(found)
    }

    /// Appends the next entry to `bytes`, with the last `before` bytes of its length before it.
    fn append(&mut self, bytes: &mut Vec<u8>, before: usize) -> io::Result<Found> {
        // Nearly always all of it is in the buffer.
        let buffer = self.source.buffer();
        if let Some((entry, _)) = split_first(buffer) {
            let length = entry.len();
            bytes.extend_from_slice(&buffer[PREFIX - before..PREFIX + length]);
            self.source.consume(PREFIX + length);
            self.position += (PREFIX + length) as u64;
            return Ok(Found::Entry);
        }
        let length = match self.length()? {
            Ok(length) => length,
            Err(found) => return Ok(found),
        };
        let begin = bytes.len();
        bytes.extend_from_slice(&length.to_be_bytes()[PREFIX - before..]);
        bytes.resize(begin + before + usize::from(length), 0);
        match self.source.read_exact(&mut bytes[begin + before..]) {
            Ok(()) => Ok(self.passed(length)),
            Err(error) => {
                bytes.truncate(begin);
                if error.kind() == io::ErrorKind::UnexpectedEof { Ok(Found::Torn) } else { Err(error) }
            }
        }
    }

    /// Passes over the next entry, which must end at or before `end`.
    pub(super) fn skip(&mut self, end: u64) -> io::Result<Found> {
        let length = match self.length()? {
            Ok(length) => length,
            Err(found) => return Ok(found),
        };
        if self.position + PREFIX as u64 + u64::from(length) > end {
            return Ok(Found::Torn);
        }
        self.source.seek_relative(i64::from(length))?;
        Ok(self.passed(length))
    }

    fn length(&mut self) -> io::Result<Result<u16, Found>> {
        if self.source.fill_buf()?.is_empty() {
            return Ok(Err(Found::End));
        }
        let mut length = [0; PREFIX];
        match self.source.read_exact(&mut length) {
            Ok(()) if length == [0; PREFIX] => Ok(Err(Found::Torn)),
            Ok(()) => Ok(Ok(u16::from_be_bytes(length))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(Found::Torn)),
            Err(error) => Err(error),
        }
    }

    fn passed(&mut self, length: u16) -> Found {
        self.position += PREFIX as u64 + u64::from(length);
        Found::Entry
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn bundle(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in entries {
            push_entry(&mut bytes, entry).unwrap();
        }
        bytes
    }

    #[test]
    fn an_entry_has_its_length_before_it() {
        assert_eq!(bundle(&[b"ab".to_vec(), vec![9]]), [0, 2, b'a', b'b', 0, 1, 9]);
        for length in [0, MAX_ENTRY + 1] {
            let mut bytes = b"before".to_vec();
            assert_eq!(push_entry(&mut bytes, &vec![0; length]), Err(InvalidEntryLength(length)));
            assert_eq!(bytes, b"before");
            let mut batch = EntryBatch::of(&[b"before"]).unwrap();
            let refused = batch.push(|bytes| bytes.extend(vec![0; length]));
            assert_eq!(refused, Err(InvalidEntryLength(length)));
            assert_eq!((batch.bytes(), batch.len()), ([&[0, 6], b"before".as_slice()].concat().as_slice(), 1));
        }
    }

    #[test]
    fn bytes_that_are_not_whole_entries_are_refused() {
        for (bad, entry) in [(vec![0], 0), (vec![0, 0], 0), (vec![0, 1, 9, 0, 2, 9], 1), (vec![255; 100], 0)] {
            assert_eq!(split_bundle(&bad), Err(InvalidBundle(entry)), "{bad:?}");
            let mut stream = EntryStream::new(Cursor::new(&bad), 0);
            let mut found = Vec::new();
            let last = std::iter::repeat_with(|| stream.read(&mut found).unwrap()).find(|it| *it != Found::Entry);
            assert_eq!(last, Some(Found::Torn));
        }
    }

    proptest! {
        #[test]
        fn entries_survive_their_bundle(entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..20)) {
            let bytes = bundle(&entries);
            let batch = EntryBatch::of(&entries).unwrap();
            prop_assert_eq!((batch.bytes(), batch.len()), (bytes.as_slice(), entries.len()));
            prop_assert_eq!(batch.lengths().collect::<Vec<_>>(), entries.iter().map(Vec::len).collect::<Vec<_>>());
            prop_assert_eq!(split_bundle(&bytes).unwrap(), entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let mut read = EntryStream::new(Cursor::new(&bytes), 0);
            let mut skip = EntryStream::new(Cursor::new(&bytes), 0);
            let mut found = Vec::new();
            for entry in &entries {
                prop_assert_eq!(read.read(&mut found).unwrap(), Found::Entry);
                prop_assert_eq!(&found, entry);
                prop_assert_eq!(skip.skip(bytes.len() as u64).unwrap(), Found::Entry);
                prop_assert_eq!(read.position(), skip.position());
            }
            prop_assert_eq!(read.read(&mut found).unwrap(), Found::End);
            prop_assert_eq!(skip.skip(bytes.len() as u64).unwrap(), Found::End);
        }

        #[test]
        fn hostile_bundles_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(entries) = split_bundle(&bytes) {
                prop_assert_eq!(bundle(&entries.iter().map(|entry| entry.to_vec()).collect::<Vec<_>>()), bytes);
            }
        }
    }
}
