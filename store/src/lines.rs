//! A file of lines that are appended and never changed, each with its number, counted from 0.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use crate::durable::{self, DiskError, Step, step};

/// Lines in one file.
///
/// The file is looked through when it is first needed. One process writes it at a time; any may read it meanwhile.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    /// How much is known to be in the file; nothing before it is looked through.
    known: Option<Known>,
}

/// Whole lines, and their bytes. What stands beyond was never told to anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Known {
    lines: u64,
    bytes: u64,
}

impl Lines {
    /// The lines in the file `path`, which is made with its first line; its folder must be there.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), known: None }
    }

    /// How many whole lines there are.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn count(&mut self) -> Result<u64, DiskError> {
        Ok(self.known()?.lines)
    }

    /// Appends `lines`, none of which has an end of its own.
    ///
    /// Durable on return. After an error none of them is there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, lines: &[String]) -> Result<(), DiskError> {
        if lines.is_empty() {
            return Ok(());
        }
        let known = self.known()?;
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        let file = self.writable()?;
        // A line that a crash cut off, or what a failed write left.
        step(Step::Cut, &self.path, || file.set_len(known.bytes))?;
        durable::write_at(&file, &self.path, known.bytes, text.as_bytes())?;
        if known.bytes == 0 {
            durable::sync_dir(durable::parent(&self.path))?;
        }
        let (lines, bytes) = (known.lines + lines.len() as u64, known.bytes + text.len() as u64);
        self.known = Some(Known { lines, bytes });
        Ok(())
    }

    /// The first `until` lines, in their order, without their ends; fewer where there are fewer.
    ///
    /// # Errors
    /// When the file cannot be opened; then each line, when it cannot be read.
    pub fn first(&mut self, until: u64) -> Result<impl Iterator<Item = Result<String, DiskError>> + use<>, DiskError> {
        let known = self.known()?;
        let opened =
            if known.lines == 0 { None } else { Some(step(Step::Read, &self.path, || File::open(&self.path))?) };
        let path = self.path.clone();
        let lines = opened.into_iter().flat_map(|file| BufReader::new(file).lines());
        let until = usize::try_from(until.min(known.lines)).unwrap_or(usize::MAX);
        Ok(lines.take(until).map(move |line| line.map_err(|source| unreadable(&path, source))))
    }

    /// Goes back to the first `lines` lines, if there are more: those after them are none from now on, and are removed with the
    /// next write. Another process finds them there until then.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn go_back_to(&mut self, lines: u64) -> Result<(), DiskError> {
        if self.known()?.lines > lines {
            self.known = Some(look_through(&self.path, lines)?);
        }
        Ok(())
    }

    fn known(&mut self) -> Result<Known, DiskError> {
        let known = match self.known {
            Some(known) => known,
            None => look_through(&self.path, u64::MAX)?,
        };
        self.known = Some(known);
        Ok(known)
    }

    fn writable(&self) -> Result<File, DiskError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        step(Step::Create, &self.path, || options.open(&self.path))
    }
}

/// The whole lines of the file, at most `most`, line by line, so that its size does not matter.
fn look_through(path: &Path, most: u64) -> Result<Known, DiskError> {
    let file = step(Step::Read, path, || match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    })?;
    let Some(file) = file else { return Ok(Known::default()) };
    let (mut reader, mut known, mut line) = (BufReader::new(file), Known::default(), Vec::new());
    while known.lines < most {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|source| unreadable(path, source))?;
        if read == 0 || line.last() != Some(&b'\n') {
            break;
        }
        known = Known { lines: known.lines + 1, bytes: known.bytes + read as u64 };
    }
    Ok(known)
}

fn unreadable(path: &Path, source: io::Error) -> DiskError {
    DiskError { step: Step::Read, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::*;
    use crate::fault::at_every_step;

    fn texts(lines: &mut Lines) -> Vec<String> {
        lines.first(u64::MAX).unwrap().map(Result::unwrap).collect()
    }

    fn owned(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn lines_are_continued_by_the_next_process() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("lines");
        assert_eq!((Lines::at(&path).count().unwrap(), texts(&mut Lines::at(&path))), (0, owned(&[])));
        Lines::at(&path).append(&owned(&["a", "b"])).unwrap();
        let mut lines = Lines::at(&path);
        lines.append(&owned(&["c"])).unwrap();
        assert_eq!((lines.count().unwrap(), texts(&mut Lines::at(&path))), (3, owned(&["a", "b", "c"])));
        assert_eq!(lines.first(2).unwrap().count(), 2);
    }

    #[test]
    fn a_line_that_was_cut_off_is_none_and_is_removed_at_the_next_write() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("lines");
        fs::write(&path, "a\nb\nhalf a li").unwrap();
        let mut lines = Lines::at(&path);
        assert_eq!((lines.count().unwrap(), texts(&mut lines)), (2, owned(&["a", "b"])));
        lines.append(&owned(&["c"])).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn lines_that_were_gone_back_from_are_none_and_are_removed_at_the_next_write() {
        let dir = tempdir().unwrap();
        let path = dir.path().join("lines");
        let mut lines = Lines::at(&path);
        lines.append(&owned(&["a", "bb", "c"])).unwrap();
        lines.go_back_to(9).unwrap();
        assert_eq!(lines.count().unwrap(), 3);
        lines.go_back_to(1).unwrap();
        assert_eq!((lines.count().unwrap(), texts(&mut lines)), (1, owned(&["a"])));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nbb\nc\n");
        lines.append(&owned(&["d"])).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nd\n");
    }

    #[test]
    fn lines_are_there_or_were_refused_whatever_fails() {
        at_every_step(|fault| {
            let dir = tempdir().unwrap();
            let path = dir.path().join("lines");
            let mut lines = Lines::at(&path);
            lines.append(&owned(&["a"])).unwrap();
            let result = fault.during(|| lines.append(&owned(&["b", "c"])));
            let expected = if result.is_ok() { owned(&["a", "b", "c"]) } else { owned(&["a"]) };
            assert_eq!(texts(&mut lines), expected, "{fault:?}: what this process knows");
            lines.append(&owned(&["d"])).unwrap();
            let expected = if result.is_ok() { owned(&["a", "b", "c", "d"]) } else { owned(&["a", "d"]) };
            assert_eq!(texts(&mut Lines::at(&path)), expected, "{fault:?}: what the next process finds");
        });
    }
}
