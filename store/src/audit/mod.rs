//! The audit trail on disk: lines that continue each other, appended and never changed.
//!
//! The partner's daemon appends to its own and signs it; main keeps a copy and takes only lines that continue it.

mod signed;

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tieup_protocol::audit::{AuditEntry, BrokenTrail, Happening, TrailEnd};
use tieup_protocol::digest::Digest;

pub use self::signed::{Between, SignedEnd, TrailNoteError};
use crate::durable::{self, DiskError, Step, step};

/// An audit trail in one file.
///
/// The file is read when it is first needed. One process writes it at a time; any may read it meanwhile.
#[derive(Debug)]
pub struct AuditTrail {
    path: PathBuf,
    /// What is known to be in the file; nothing before it is opened.
    known: Option<Known>,
    /// Whether the file may hold more than is known, since a write to it failed.
    unsure: Certainty,
}

/// What is known to be in the file.
#[derive(Clone, Copy, Debug)]
struct Known {
    end: TrailEnd,
    bytes: u64,
}

/// Whether the file is as long as it is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    Sure,
    Unsure,
}

/// Why a trail could not be read or continued. What was in it is there still.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file does not hold a trail.
    #[error("the audit trail {} does not verify: move it aside, and keep it", .0.display())]
    Broken(PathBuf, #[source] BrokenTrail),
    /// Lines were offered that do not continue this trail.
    #[error("what was sent does not continue the audit trail {}", .0.display())]
    NotContinued(PathBuf, #[source] BrokenTrail),
    /// There are fewer lines, or other ones, than have been seen before.
    #[error("the audit trail was rewritten: line {line} is not the one in {}", path.display())]
    Rewritten {
        /// The copy.
        path: PathBuf,
        /// The first line that was asked for.
        line: u64,
    },
}

impl AuditTrail {
    /// The trail in the file `path`, which is made with its first line; its folder must be there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), known: None, unsure: Certainty::Sure }
    }

    /// How many lines there are, once they have been verified.
    ///
    /// # Errors
    /// When the file does not hold a trail.
    pub fn end(&mut self) -> Result<TrailEnd, AuditError> {
        Ok(self.open()?.end)
    }

    /// Where the first `lines` lines end; none where there are fewer.
    ///
    /// # Errors
    /// When the file does not hold a trail.
    pub fn end_after(&mut self, lines: u64) -> Result<Option<TrailEnd>, AuditError> {
        let end = self.end()?;
        let Some(before) = lines.checked_sub(1) else { return Ok(Some(TrailEnd::default())) };
        if lines >= end.lines {
            return Ok((lines == end.lines).then_some(end));
        }
        let line = self.lines(before, 1)?;
        Ok(Some(TrailEnd { lines, last: Digest::of(line.trim_end_matches('\n').as_bytes()) }))
    }

    /// Appends what happened at `time`, in this order.
    ///
    /// Durable on return. After an error none of it is in the trail.
    ///
    /// # Errors
    /// When the disk refuses or the file does not hold a trail.
    pub fn append(&mut self, happenings: &[Happening], time: Timestamp) -> Result<(), AuditError> {
        let mut known = self.open()?;
        if happenings.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        for happening in happenings {
            let (line, end) = known.end.append(happening, time);
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
            known.end = end;
        }
        self.write(known.end, &bytes)
    }

    /// Appends lines that another trail has after the lines of this one. The first of `lines` is the last that is here,
    /// where any is, so that a trail which was rewritten does not pass.
    ///
    /// Durable on return. After an error none of them is in the trail.
    ///
    /// # Errors
    /// When the lines do not continue what is here.
    pub fn extend(&mut self, lines: &[&str]) -> Result<(), AuditError> {
        let known = self.open()?;
        let mut lines = lines.iter();
        if let Some(held) = known.end.lines.checked_sub(1) {
            let same = |line: &&str| Digest::of(line.as_bytes()) == known.end.last;
            if !lines.next().is_some_and(same) {
                return Err(AuditError::Rewritten { path: self.path.clone(), line: held });
            }
        }
        let (mut end, mut bytes) = (known.end, Vec::new());
        for line in lines {
            let read = end.read(line).map_err(|error| AuditError::NotContinued(self.path.clone(), error))?;
            end = read.1;
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        if bytes.is_empty() { Ok(()) } else { self.write(end, &bytes) }
    }

    /// The lines from number `from` on, with their ends; whole lines of `most` bytes in all, and at least one if there
    /// is one.
    ///
    /// # Errors
    /// When the file does not hold a trail.
    pub fn lines(&mut self, from: u64, most: usize) -> Result<String, AuditError> {
        let text = self.text()?;
        let skipped = usize::try_from(from).unwrap_or(usize::MAX);
        let mut taken = String::new();
        for line in text.split_inclusive('\n').skip(skipped) {
            if !taken.is_empty() && taken.len() + line.len() > most {
                break;
            }
            taken.push_str(line);
        }
        Ok(taken)
    }

    /// Every entry, verified.
    ///
    /// # Errors
    /// When the file does not hold a trail.
    pub fn entries(&mut self) -> Result<Vec<AuditEntry>, AuditError> {
        let text = self.text()?;
        let mut end = TrailEnd::default();
        let mut entries = Vec::new();
        for line in text.lines() {
            let (entry, next) = end.read(line).map_err(|error| AuditError::Broken(self.path.clone(), error))?;
            entries.push(entry);
            end = next;
        }
        Ok(entries)
    }

    /// Gives the file the name `aside` beside its own, where it is kept, and begins anew.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When the disk refuses. The trail is at one of the two places then.
    pub fn put_aside(self, aside: &Path) -> Result<(), AuditError> {
        Ok(durable::put_aside(&self.path, aside)?)
    }

    /// What is known to be in the file, as text.
    fn text(&mut self) -> Result<String, AuditError> {
        let known = self.open()?;
        let mut bytes = durable::read_file(&self.path)?.unwrap_or_default();
        bytes.truncate(usize::try_from(known.bytes).unwrap_or(usize::MAX));
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes `bytes` after what is known, and knows them once they are durable.
    fn write(&mut self, end: TrailEnd, bytes: &[u8]) -> Result<(), AuditError> {
        let known = self.open()?;
        let before = std::mem::replace(&mut self.unsure, Certainty::Unsure);
        let file = self.writable()?;
        if before == Certainty::Unsure {
            // Nobody was told of what is beyond: a line that a crash cut off, or what a failed write left.
            step(Step::Cut, &self.path, || file.set_len(known.bytes))?;
        }
        durable::write_at(&file, &self.path, known.bytes, bytes)?;
        if known.bytes == 0 {
            durable::sync_dir(durable::parent(&self.path))?;
        }
        self.known = Some(Known { end, bytes: known.bytes + bytes.len() as u64 });
        self.unsure = Certainty::Sure;
        Ok(())
    }

    /// Reads and verifies the file, where that has not been done. Changes nothing in it.
    fn open(&mut self) -> Result<Known, AuditError> {
        let known = match self.known {
            Some(known) => known,
            None => self.read()?,
        };
        self.known = Some(known);
        Ok(known)
    }

    fn read(&mut self) -> Result<Known, AuditError> {
        let bytes = durable::read_file(&self.path)?.unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole < bytes.len() {
            self.unsure = Certainty::Unsure;
        }
        let text = String::from_utf8_lossy(&bytes[..whole]);
        let end = text.lines().try_fold(TrailEnd::default(), |end, line| Ok(end.read(line)?.1));
        let end = end.map_err(|error| AuditError::Broken(self.path.clone(), error))?;
        Ok(Known { end, bytes: whole as u64 })
    }

    fn writable(&self) -> Result<File, DiskError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        step(Step::Create, &self.path, || options.open(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::{TempDir, tempdir};
    use tieup_protocol::audit::{Actor, Event};
    use tieup_protocol::ids::ReleaseVersion;

    use super::*;
    use crate::fault::at_every_step;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn happening(reason: &str) -> Happening {
        let release = Some((ReleaseVersion::FIRST, Digest::of(b"manifest")));
        Happening { who: Actor::Operator, what: Event::Held, release, reason: Some(reason.to_owned()) }
    }

    fn file(dir: &TempDir) -> PathBuf {
        dir.path().join("audit.jsonl")
    }

    fn begun(dir: &TempDir, reasons: &[&str]) -> AuditTrail {
        let mut trail = AuditTrail::at(file(dir));
        for reason in reasons {
            trail.append(&[happening(reason)], NOW).unwrap();
        }
        trail
    }

    fn reasons(trail: &mut AuditTrail) -> Vec<String> {
        trail.entries().unwrap().into_iter().filter_map(|entry| entry.reason).collect()
    }

    #[test]
    fn a_trail_is_continued_by_the_next_process() {
        let dir = tempdir().unwrap();
        assert_eq!(begun(&dir, &[]).end().unwrap().lines, 0);
        begun(&dir, &["a", "b"]);
        let mut trail = begun(&dir, &["c"]);
        assert_eq!(reasons(&mut trail), ["a", "b", "c"]);
        assert_eq!(trail.lines(1, usize::MAX).unwrap().lines().count(), 2);
        assert_eq!(trail.lines(1, 1).unwrap().lines().count(), 1, "at least one");
        assert_eq!(trail.lines(3, usize::MAX).unwrap(), "");
        let ends = (0..5).map(|lines| trail.end_after(lines).unwrap());
        let shorter = [&[][..], &["a"], &["a", "b"], &["a", "b", "c"]];
        let expected = shorter.map(|reasons| Some(begun(&tempdir().unwrap(), reasons).end().unwrap()));
        assert_eq!(ends.collect::<Vec<_>>(), [&expected[..], &[None]].concat());
    }

    #[test]
    fn a_line_is_in_the_trail_or_was_refused_whatever_fails() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let mut trail = begun(&dir, &["a"]);
            let result = fault.during(|| trail.append(&[happening("b"), happening("c")], NOW));
            let expected: &[&str] = if result.is_ok() { &["a", "b", "c"] } else { &["a"] };
            assert_eq!(reasons(&mut trail), expected, "{fault:?}: what this process knows");
            trail.append(&[happening("d")], NOW).unwrap();
            let expected: &[&str] = if result.is_ok() { &["a", "b", "c", "d"] } else { &["a", "d"] };
            assert_eq!(reasons(&mut begun(&dir, &[])), expected, "{fault:?}: what the next process finds");
        });
    }

    #[test]
    fn the_first_line_is_there_or_was_refused_whatever_fails() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let mut trail = begun(&dir, &[]);
            let result = fault.during(|| trail.append(&[happening("a")], NOW));
            let found = reasons(&mut begun(&dir, &[]));
            assert!(found == ["a"] || (found.is_empty() && result.is_err()), "{fault:?}: {found:?}");
        });
    }

    #[test]
    fn a_torn_line_is_removed_at_the_next_write() {
        let dir = tempdir().unwrap();
        begun(&dir, &["a", "b"]);
        let whole = fs::read(file(&dir)).unwrap();
        let second = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in second..whole.len() {
            fs::write(file(&dir), &whole[..cut]).unwrap();
            assert_eq!(reasons(&mut begun(&dir, &["c"])), ["a", "c"], "cut at {cut}");
        }
    }

    #[test]
    fn a_changed_trail_is_refused_and_left_alone() {
        let dir = tempdir().unwrap();
        begun(&dir, &["a", "b"]);
        let changed = fs::read_to_string(file(&dir)).unwrap().replace("\"a\"", "\"x\"");
        fs::write(file(&dir), &changed).unwrap();
        let mut trail = begun(&dir, &[]);
        assert!(matches!(trail.append(&[happening("c")], NOW), Err(AuditError::Broken(_, BrokenTrail::Chain(1)))));
        assert_eq!(fs::read_to_string(file(&dir)).unwrap(), changed);
    }

    #[test]
    fn what_is_put_aside_is_kept_whatever_fails() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let aside = dir.path().join("audit.aside.jsonl");
            let trail = begun(&dir, &["a", "b"]);
            let result = fault.during(|| trail.put_aside(&aside));
            let (here, there) = (reasons(&mut begun(&dir, &[])), reasons(&mut AuditTrail::at(&aside)));
            assert_eq!([here.clone(), there].concat(), ["a", "b"], "{fault:?}");
            assert!(result.is_err() || here.is_empty(), "{fault:?}: {here:?}");
        });
    }

    #[test]
    fn a_copy_takes_only_what_continues_it() {
        let (here, there) = (tempdir().unwrap(), tempdir().unwrap());
        let mut trail = begun(&here, &["a", "b"]);
        let mut copy = AuditTrail::at(file(&there));
        let send = |trail: &mut AuditTrail, copy: &mut AuditTrail| {
            let from = copy.end().unwrap().lines.saturating_sub(1);
            let text = trail.lines(from, usize::MAX).unwrap();
            copy.extend(&text.lines().collect::<Vec<_>>())
        };
        send(&mut trail, &mut copy).unwrap();
        send(&mut trail, &mut copy).unwrap();
        trail.append(&[happening("c")], NOW).unwrap();
        send(&mut trail, &mut copy).unwrap();
        assert_eq!(fs::read(file(&here)).unwrap(), fs::read(file(&there)).unwrap());
        let elsewhere = tempdir().unwrap();
        for rewritten in [&["a", "b"][..], &["a", "b", "x"], &["x", "b", "c", "d"]] {
            fs::remove_file(file(&elsewhere)).ok();
            let result = send(&mut begun(&elsewhere, rewritten), &mut copy);
            assert!(matches!(result, Err(AuditError::Rewritten { line: 2, .. })), "{rewritten:?}: {result:?}");
        }
        assert_eq!(reasons(&mut copy), ["a", "b", "c"]);
    }
}
