//! A segment: many blobs in one file, one record after another, written once and never changed.
//!
//! A record is a header and the bytes that are kept. The header says which blob it is, how many bytes follow, and
//! whether they are the blob itself or a patch against another one; its last bytes vouch for those before them. So a
//! segment can be read without anything beside it, and a header that is damaged costs the one record.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use tieup_protocol::digest::Digest;
use tieup_protocol::manifest::BlobRef;

use crate::durable::{self, Access, DiskError, Step, UnfinishedFile};
use crate::look::Look;

/// What every record begins with.
const MAGIC: [u8; 8] = *b"tieup\0b1";

/// How many bytes a header has: magic, digest, length, bytes kept, the patch's base or zeros, check.
pub(super) const HEADER: usize = 8 + 32 + 8 + 8 + 32 + CHECK;

/// How many bytes vouch for a header.
const CHECK: usize = 8;

/// How much is gathered before it is written.
const BUFFER: usize = 1 << 20;

/// How much of a damaged segment is searched at a time for the next header.
const SEARCHED: usize = 1 << 20;

/// The ending of a segment's name.
const ENDING: &str = "blobs";

/// Records with the places of their bytes.
pub(super) type Records = Vec<(Record, u64)>;

/// One record: a blob and how it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The blob.
    pub blob: BlobRef,
    /// How many bytes are kept for it.
    pub stored: u64,
    /// The blob that the kept bytes are a patch against; none where they are the blob itself.
    pub base: Option<Digest>,
}

impl Record {
    /// A record that keeps a blob's own bytes.
    pub(super) fn whole(blob: BlobRef) -> Self {
        Self { blob, stored: blob.length, base: None }
    }

    fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let base = self.base.map_or([0; 32], |base| *base.as_bytes());
        let parts: [&[u8]; 5] =
            [&MAGIC, self.blob.digest.as_bytes(), &self.blob.length.to_be_bytes(), &self.stored.to_be_bytes(), &base];
        let mut at = 0;
        for part in parts {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        let check = check(&bytes[..at]);
        bytes[at..].copy_from_slice(&check);
        bytes
    }

    fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let (head, vouched) = bytes.split_at(HEADER - CHECK);
        if head[..8] != MAGIC || check(head) != *vouched {
            return None;
        }
        let digest = |at: usize| Some(Digest::from_bytes(head.get(at..at + 32)?.try_into().ok()?));
        let number = |at: usize| Some(u64::from_be_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let base = digest(56)?;
        Some(Self {
            blob: BlobRef { digest: digest(8)?, length: number(40)? },
            stored: number(48)?,
            base: (*base.as_bytes() != [0; 32]).then_some(base),
        })
    }
}

fn check(head: &[u8]) -> [u8; CHECK] {
    let mut check = [0; CHECK];
    check.copy_from_slice(&Digest::of(head).as_bytes()[..CHECK]);
    check
}

/// A segment that is being written, under a temporary name.
///
/// After a failed write it takes nothing more and is removed.
#[derive(Debug)]
pub(super) struct SegmentWriter {
    file: UnfinishedFile,
    buffer: Vec<u8>,
    /// How long the segment is, what is still in `buffer` included.
    length: u64,
    records: Records,
    is_broken: bool,
}

impl SegmentWriter {
    pub(super) fn create_in(dir: &Path) -> Result<Self, DiskError> {
        let file = UnfinishedFile::create_in(dir, Access::Usual)?;
        Ok(Self { file, buffer: Vec::new(), length: 0, records: Vec::new(), is_broken: false })
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds a record whose bytes are at hand.
    pub(super) fn put(&mut self, record: Record, bytes: &[u8]) -> Result<(), DiskError> {
        self.begin(record)?;
        self.extend(bytes)?;
        self.finish(record);
        Ok(())
    }

    /// Begins a record whose bytes come in pieces.
    pub(super) fn begin(&mut self, record: Record) -> Result<(), DiskError> {
        self.extend(&record.encode())
    }

    /// Adds a piece of the record that was begun.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.buffer.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
        if self.buffer.len() < BUFFER { Ok(()) } else { self.flush() }
    }

    /// Ends the record that was begun.
    pub(super) fn finish(&mut self, record: Record) {
        self.records.push((record, self.length - record.stored));
    }

    /// Takes back the record that was begun: the segment ends at `length` again.
    pub(super) fn take_back(&mut self, length: u64) -> Result<(), DiskError> {
        self.flush()?;
        self.length = length;
        let cut = self.file.cut(length);
        self.is_broken |= cut.is_err();
        cut
    }

    /// Whether there is nothing in it that could be kept.
    pub(super) fn is_void(&self) -> bool {
        self.is_broken || self.records.is_empty()
    }

    /// Gives the segment its name: number `number` in `dir`. What it holds is durable once the folder is synced.
    pub(super) fn seal(mut self, dir: &Path, number: u64) -> Result<(Segment, Records), DiskError> {
        self.flush()?;
        self.file.sync()?;
        let path = dir.join(name_of(number));
        self.file.rename_to(&path)?;
        Ok((Segment::open(number, path)?, self.records))
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        let written = self.file.write(&self.buffer);
        self.is_broken |= written.is_err();
        self.buffer.clear();
        written
    }
}

/// A segment that is complete.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its number; a later segment has a higher one.
    pub number: u64,
    /// Its file.
    pub path: PathBuf,
    /// How many bytes it has.
    pub length: u64,
    /// When it was written.
    pub written: SystemTime,
    file: File,
    /// What its file looked like when it was last looked at.
    seen: Mutex<Look>,
}

/// What became of a segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Nothing.
    Same,
    /// Somebody wrote to it.
    Written,
    /// Another file has its name, or none has.
    Displaced,
}

impl Segment {
    /// Opens the segment `number` at `path`.
    pub(super) fn open(number: u64, path: PathBuf) -> Result<Self, DiskError> {
        let opened = durable::step(Step::Read, &path, || {
            let file = File::open(&path)?;
            let about = file.metadata()?;
            Ok((Look::of(&about), about.modified()?, file))
        });
        let (look, written, file) = opened?;
        Ok(Self { number, path, length: look.length(), written, file, seen: Mutex::new(look) })
    }

    /// What became of the file since this was last asked.
    pub(super) fn look_again(&self) -> Result<Since, DiskError> {
        let look = durable::step(Step::Read, &self.path, || match fs::symlink_metadata(&self.path) {
            Ok(about) => Ok(Some(Look::of(&about))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match look {
            Some(look) if look == *seen => Since::Same,
            Some(look) if look.is_of_same_file(&seen) => {
                *seen = look;
                Since::Written
            }
            _ => Since::Displaced,
        })
    }

    /// What the open file looks like now.
    pub(super) fn look(&self) -> Result<Look, DiskError> {
        durable::step(Step::Read, &self.path, || Ok(Look::of(&self.file.metadata()?)))
    }

    /// Every record with the place of its bytes. What is damaged between records is passed over.
    pub(super) fn records(&self) -> Result<Records, DiskError> {
        durable::step(Step::Read, &self.path, || {
            let mut records = Vec::new();
            let mut at = 0;
            while let Some((record, place)) = self.next_record(at)? {
                records.push((record, place));
                at = place + record.stored;
            }
            Ok(records)
        })
    }

    /// The bytes of a record at `place`.
    pub(super) fn read(&self, place: u64, stored: u64) -> Result<Vec<u8>, DiskError> {
        durable::step(Step::Read, &self.path, || {
            let length = usize::try_from(stored).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            self.file.read_exact_at(&mut bytes, place)?;
            Ok(bytes)
        })
    }

    /// Removes the file, if it is there. The folder is not synced: a segment that comes back is a copy that nobody
    /// needs.
    pub(super) fn remove(&self) -> Result<(), DiskError> {
        durable::step(Step::Remove, &self.path, || match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
    }

    /// The first whole record at or after `at`.
    fn next_record(&self, at: u64) -> io::Result<Option<(Record, u64)>> {
        let mut at = at;
        while at + HEADER as u64 <= self.length {
            let mut header = [0; HEADER];
            self.file.read_exact_at(&mut header, at)?;
            let place = at + HEADER as u64;
            match Record::decode(&header) {
                Some(record) if place.checked_add(record.stored).is_some_and(|end| end <= self.length) => {
                    return Ok(Some((record, place)));
                }
                _ => match self.next_magic(at + 1)? {
                    Some(next) => at = next,
                    None => return Ok(None),
                },
            }
        }
        Ok(None)
    }

    /// Where the next header may begin, at or after `at`.
    fn next_magic(&self, mut at: u64) -> io::Result<Option<u64>> {
        let mut chunk = vec![0; SEARCHED];
        while at < self.length {
            let read = self.file.read_at(&mut chunk, at)?;
            if let Some(found) = chunk[..read].windows(MAGIC.len()).position(|window| window == MAGIC) {
                return Ok(Some(at + found as u64));
            }
            // A header may begin at the end of this piece and go on in the next.
            at += (read.saturating_sub(MAGIC.len() - 1)).max(1) as u64;
        }
        Ok(None)
    }
}

/// The number of the segment at `path`, if it is one.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let number = name.strip_suffix(ENDING)?.strip_suffix('.')?.parse().ok()?;
    (name_of(number) == name).then_some(number)
}

fn name_of(number: u64) -> String {
    format!("{number:08}.{ENDING}")
}
