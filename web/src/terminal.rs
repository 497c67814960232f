//! What is said to the person at the terminal: every line of every command goes through here.
//!
//! Control characters that came over a wire or out of a page are shown, never obeyed. A reader that has gone away, as
//! `head` does, ends the command without a complaint. It decides nothing about what is said.

mod told;

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::told::Told;
use crate::{complaint, paint};

/// With what every crate of this product begins, in the log.
const OURS: &str = "tieup";

/// Why something could not be said.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// Whoever read standard output has stopped reading.
    #[error("nobody reads standard output any more")]
    Closed,
    /// Standard output cannot be written, as when it is a file on a full disk.
    #[error("standard output cannot be written")]
    Failed(#[source] io::Error),
}

impl From<io::Error> for Unheard {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Closed } else { Self::Failed(error) }
    }
}

/// Says a line on standard output, written as for `format!`. The process ends where nobody hears it; see [`say`].
#[macro_export]
macro_rules! say {
    ($($line:tt)*) => { $crate::terminal::say(&format!("{}\n", format_args!($($line)*))) };
}

/// Says `text` on standard output, without a line's end of its own.
///
/// Where nobody reads any more the process ends here, quietly and with status 0; where standard output cannot be
/// written it ends with a complaint and status 1. A caller that has something to put away first calls [`try_say`].
pub fn say(text: &str) {
    match try_say(text) {
        Ok(()) => {}
        Err(Unheard::Closed) => std::process::exit(0),
        Err(error) => {
            complain(&error);
            std::process::exit(1)
        }
    }
}

/// Says `text` on standard output.
///
/// # Errors
/// When nobody hears it.
pub fn try_say(text: &str) -> Result<(), Unheard> {
    let mut out = io::stdout().lock();
    out.write_all(printable(text).as_bytes())?;
    Ok(out.flush()?)
}

/// The exit status of a command that ended so: 0, or 1 after the failure has been told.
pub fn conclude<E: AsRef<dyn StdError + 'static>>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

/// So many of something, in words: `1 entry`, `2 entries`.
pub fn counted<N: fmt::Display + PartialEq + From<u8> + Copy>(number: N, one: &str, more: &str) -> String {
    let noun = if number == N::from(1) { one } else { more };
    format!("{number} {noun}")
}

/// Tells an error with its causes on standard error. Where that is closed too, there is nobody to tell.
pub fn complain(error: &(dyn StdError + 'static)) {
    let painted = paint::paint(&complaint::render(error));
    // The stream takes the colours out again where nobody would see them: no terminal, or `NO_COLOR`.
    let _ = anstream::stderr().lock().write_all(painted.as_bytes());
}

/// Says `text` on standard error, which is for people even where standard output goes to a program.
pub fn note(text: &str) {
    let _ = io::stderr().lock().write_all(printable(text).as_bytes());
}

/// `text` with control characters made visible, such as `\u001b`; line ends and tabs stay.
///
/// So are the characters that change the direction of writing, with which a text can be made to look like another.
/// The notation is that of JSON, so that a document keeps its meaning.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

fn is_hidden(c: char) -> bool {
    let turns_writing = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns_writing || (c.is_control() && c != '\n' && c != '\t')
}

/// Sends the log to standard error: ours from `level` on, that of libraries only where something failed. Where a person
/// reads it there, in sentences; else in lines for programs.
pub fn log(level: LevelFilter) {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).log_internal_errors(false);
    let lines = if io::stderr().is_terminal() {
        let ansi = std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        lines.with_ansi(ansi).event_format(Told).boxed()
    } else {
        lines.with_ansi(false).with_target(false).boxed()
    };
    tracing_subscriber::registry().with(lines.with_filter(filter(level))).init();
}

fn filter(level: LevelFilter) -> Targets {
    Targets::new().with_default(LevelFilter::ERROR).with_target(OURS, level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        for (text, shown) in [
            ("plain, 日本語,\n\ttwo lines\n", "plain, 日本語,\n\ttwo lines\n"),
            ("\u{1b}[2K\rRelease 1", "\\u001b[2K\\u000dRelease 1"),
            ("a\u{7f}\u{9b}b\0", "a\\u007f\\u009bb\\u0000"),
            ("\u{202e}txet\u{2066}x\u{2069}", "\\u202etxet\\u2066x\\u2069"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn a_json_document_keeps_its_meaning() {
        let document = serde_json::to_string("a\u{202e}b\u{85}c").unwrap();
        assert_eq!(serde_json::from_str::<String>(&printable(&document)).unwrap(), "a\u{202e}b\u{85}c");
    }

    #[test]
    fn the_log_is_ours() {
        let filter = filter(LevelFilter::INFO);
        let level = tracing::Level::INFO;
        assert!(filter.would_enable("tieup_syncd::daemon", &level));
        assert!(!filter.would_enable("notify::inotify", &level));
        assert!(filter.would_enable("notify::inotify", &tracing::Level::ERROR));
    }
}
