//! Reading what people wrote: folders in a fixed order, text that is UTF-8, names as people know them.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::path::SourcePath;

use crate::parallel;
use crate::print::{Print, Printer};

/// A file below a folder.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Where it is below the folder.
    pub(crate) path: SourcePath,
    /// Where it is on this machine.
    pub(crate) file: PathBuf,
    /// Its state on disk.
    pub(crate) stat: Stat,
}

/// A file's state on disk: it changes whenever the file does, unless both happen within one tick of the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    /// Of length, times and number.
    pub(crate) print: Print,
    /// When the file last changed.
    pub(crate) changed: SystemTime,
}

/// The most bytes that a text may have: far more than a person writes, and less than what stops a machine.
const MAX_TEXT: usize = 32 << 20;

impl Found {
    /// The file `path` below `folder`; none where there is none.
    pub(crate) fn at(folder: &Path, path: SourcePath) -> Option<Self> {
        let file = folder.join(path.as_str());
        let state = fs::metadata(&file).ok().filter(Metadata::is_file)?;
        Some(Self { path, file, stat: Stat::of(&state) })
    }
}

/// A path as messages show it, with forward slashes.
pub(crate) fn shown(path: &Path) -> String {
    let mut shown = path.to_string_lossy();
    if shown.contains('\\') {
        shown = shown.replace('\\', "/").into();
    }
    let below = shown.strip_prefix("./").filter(|below| !below.is_empty());
    below.unwrap_or(&shown).to_owned()
}

/// Whether a file or folder of this name is hidden, so that nothing is read of it.
///
/// `.well-known` is not: what stands there is for programs to find (RFC 8615), and is published like any other file.
pub(crate) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".") && name != ".well-known"
}

/// Every file below `folder`, sorted by path; none where there is no such folder. Hidden files are passed over.
pub(crate) fn files_below(folder: &Path, problems: &mut Vec<Diagnostic>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut level = if folder.exists() { vec![folder.to_owned()] } else { Vec::new() };
    while !level.is_empty() {
        let read = parallel::map_few(&level, |inner| read_folder(folder, inner));
        level.clear();
        for (files, folders, wrong) in read {
            found.extend(files);
            level.extend(folders);
            problems.extend(wrong);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The files and the folders in `inner`, which is `folder` or below it, and what is wrong with others.
fn read_folder(folder: &Path, inner: &Path) -> (Vec<Found>, Vec<PathBuf>, Vec<Diagnostic>) {
    let (mut files, mut folders, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    let unreadable = |error: &io::Error| Diagnostic::new("unreadable-file", shown(inner), error.to_string());
    let entries = match fs::read_dir(inner) {
        Ok(entries) => entries,
        Err(error) => return (files, folders, vec![unreadable(&error)]),
    };
    let hidden = |entry: &DirEntry| is_hidden(&entry.file_name());
    for entry in entries.filter(|entry| !entry.as_ref().is_ok_and(hidden)) {
        match entry.and_then(|entry| Ok((entry.metadata()?, entry))) {
            Err(error) => problems.push(unreadable(&error)),
            Ok((state, entry)) if state.is_dir() => folders.push(entry.path()),
            Ok((state, entry)) => match find(folder, entry.path(), &state) {
                Ok(file) => files.push(file),
                Err(problem) => problems.push(problem),
            },
        }
    }
    (files, folders, problems)
}

fn find(folder: &Path, file: PathBuf, state: &Metadata) -> Result<Found, Diagnostic> {
    let problem = |code, message: String| Diagnostic::new(code, shown(&file), message);
    if !state.is_file() {
        let message = "this is a symbolic link or a device, not a file".to_owned();
        return Err(problem("not-a-file", message).help("put a copy of the file here"));
    }
    let below = file.strip_prefix(folder).ok().and_then(Path::to_str);
    let below = below.ok_or_else(|| problem("bad-path", "the file's name is not UTF-8".to_owned()))?;
    let path = below.replace('\\', "/").parse().map_err(|error| problem("bad-path", format!("{error}")))?;
    Ok(Found { path, stat: Stat::of(state), file })
}

/// Within this time after a change, another one may leave a file's times as they are.
const TICK: Duration = Duration::from_millis(20);

/// The same for file systems that keep whole seconds.
const COARSE_TICK: Duration = Duration::from_secs(2);

impl Stat {
    /// The state's fingerprint, unless the file changed so shortly before `now` that a later change may not show.
    pub(crate) fn settled(self, now: SystemTime) -> Option<Print> {
        let since = self.changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let tick = if since.subsec_nanos() == 0 { COARSE_TICK } else { TICK };
        (self.changed + tick < now).then_some(self.print)
    }

    /// What `state` tells.
    pub(crate) fn of(state: &Metadata) -> Self {
        let changed = state.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let mut printer = Printer::default();
        printer.number(state.len());
        #[cfg(not(unix))]
        printer.text(&format!("{changed:?}"));
        #[cfg(unix)]
        let changed = {
            use std::os::unix::fs::MetadataExt as _;
            let times = [state.mtime(), state.mtime_nsec(), state.ctime(), state.ctime_nsec()];
            for number in times {
                printer.number(number.cast_unsigned());
            }
            printer.number(state.ino());
            let seconds = Duration::from_secs(state.ctime().try_into().unwrap_or_default());
            let part = Duration::from_nanos(state.ctime_nsec().try_into().unwrap_or_default());
            changed.max(SystemTime::UNIX_EPOCH + seconds + part)
        };
        Self { print: printer.finish(), changed }
    }
}

/// The bytes of a file.
pub(crate) fn read_bytes(file: &Path) -> Result<Vec<u8>, Diagnostic> {
    fs::read(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Diagnostic::new("missing-file", shown(file), "there is no such file"),
        _ => Diagnostic::new("unreadable-file", shown(file), format!("the file cannot be read: {error}")),
    })
}

/// The text of a file.
pub(crate) fn read_text(file: &Path) -> Result<String, Diagnostic> {
    text(&shown(file), read_bytes(file)?)
}

/// `bytes` as text: UTF-8, without byte order mark and without the control characters that slots are marked with.
pub(crate) fn text(name: &str, bytes: Vec<u8>) -> Result<String, Diagnostic> {
    if bytes.len() > MAX_TEXT {
        let message = format!("the file has {} bytes, and a text may have {MAX_TEXT}", bytes.len());
        return Err(Diagnostic::new("too-large", name, message).help("cut it into several files"));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| not_utf_8(name, &error))?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    match forbidden(&text) {
        None => Ok(text),
        Some(at) => {
            let code = text[at..].chars().next().map_or(0, u32::from);
            let message = format!("the control character U+{code:04X} may not stand in a text");
            Err(Diagnostic::new("bad-character", name, message).at_offset(&text, at, 1))
        }
    }
}

fn not_utf_8(name: &str, error: &FromUtf8Error) -> Diagnostic {
    let (bytes, good) = (error.as_bytes(), error.utf8_error().valid_up_to());
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Diagnostic::new("not-utf-8", name, "the file is UTF-16, and must be UTF-8").help("save it as UTF-8");
    }
    let message = format!("the byte 0x{:02X} is not UTF-8", bytes[good]);
    Diagnostic::new("not-utf-8", name, message)
        .at_offset(&String::from_utf8_lossy(bytes), good, 1)
        .help("save the file as UTF-8; it has another encoding, such as Windows-1252 or Shift_JIS")
}

/// Control characters that HTML text may not hold; some of them mark slots while a page is being made.
pub(crate) fn is_forbidden(c: char) -> bool {
    c < ' ' && !matches!(c, '\t' | '\n' | '\r' | '\u{c}')
}

/// Where the first forbidden character of a text is.
fn forbidden(text: &str) -> Option<usize> {
    let is_bad = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | 0xc);
    // Without a way out in the middle of a block, the compiler looks at many bytes at once.
    let blocks = text.as_bytes().chunks(256);
    let mut bad = blocks.enumerate().filter(|(_, block)| block.iter().fold(false, |bad, byte| bad | is_bad(*byte)));
    let (number, block) = bad.next()?;
    Some(number * 256 + block.iter().position(|byte| is_bad(*byte))?)
}

/// Takes forbidden characters, which YAML and JSON can write as escapes, out of a text.
pub(crate) fn scrub_text(text: &mut String) {
    if forbidden(text).is_some() {
        text.retain(|c| !is_forbidden(c));
    }
}

/// Takes forbidden characters out of every text in a value.
pub(crate) fn scrub(value: &mut Value) {
    match value {
        Value::String(text) => scrub_text(text),
        Value::Array(items) => items.iter_mut().for_each(scrub),
        Value::Object(map) => {
            if map.keys().any(|key| key.contains(is_forbidden)) {
                map.retain(|key, _| !key.contains(is_forbidden));
            }
            map.values_mut().for_each(scrub);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf_8_names_its_line() {
        let problem = text("a.md", b"one\ntwo \xff\n".to_vec()).unwrap_err();
        assert_eq!(problem.span.map(|span| (span.line, span.column)), Some((2, 5)));
    }

    #[test]
    fn a_text_has_an_end() {
        assert_eq!(text("a.md", vec![b' '; MAX_TEXT + 1]).unwrap_err().code, "too-large");
    }

    #[test]
    fn a_byte_order_mark_is_dropped_and_a_control_character_is_refused() {
        assert_eq!(text("a.md", b"\xef\xbb\xbfhello".to_vec()).unwrap(), "hello");
        let problem = text("a.md", b"one\n\x01two\n".to_vec()).unwrap_err();
        assert_eq!((problem.code, problem.span.map(|span| span.line)), ("bad-character", Some(2)));
    }

    #[test]
    fn escaped_control_characters_are_taken_out_of_values() {
        let mut value: Value = serde_json::from_str(r#"{"a": ["x\u0001y"], "b\u0002": 1}"#).unwrap();
        scrub(&mut value);
        assert_eq!(value, serde_json::json!({"a": ["xy"]}));
    }
}
