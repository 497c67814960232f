//! A journal written out for other programs, an entry at a time.

use std::io::{self, BufWriter, Write};
use std::ops::Range;

use clap::ValueEnum;
use tieup_protocol::access::{AccessEntry, InvalidEntry};
use tieup_protocol::access_export::ExportFormat;
use tieup_store::journal::{JournalReader, ReadError};

use crate::terminal::Unheard;

/// How visits are written out, as the commands of both ends are told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// A JSON object a line.
    Ndjson,
    /// The Combined Log Format, with visitor tokens for addresses.
    Combined,
    /// Comma-separated values.
    Csv,
}

impl From<Layout> for ExportFormat {
    fn from(layout: Layout) -> Self {
        match layout {
            Layout::Ndjson => Self::Ndjson,
            Layout::Combined => Self::Combined,
            Layout::Csv => Self::Csv,
        }
    }
}

/// Why a journal was not written out to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An entry is not one that this version reads.
    #[error("entry {number} cannot be read")]
    Entry {
        /// The entry.
        number: u64,
        /// What is wrong with it.
        source: InvalidEntry,
    },
    /// Nobody reads what is written, or it cannot be written.
    #[error(transparent)]
    Unheard(#[from] Unheard),
}

/// Writes the entries of `range` in their order. One is in memory at a time.
///
/// # Errors
/// See [`ExportError`]; what stands before the error has been written, or is with `out`.
pub fn export(
    reader: &JournalReader,
    range: Range<u64>,
    format: ExportFormat,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let mut out = BufWriter::new(out);
    let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(Unheard::from);
    write(format.head())?;
    for (number, entry) in range.clone().zip(reader.entries(range)?) {
        let entry = AccessEntry::decode(&entry?).map_err(|source| ExportError::Entry { number, source })?;
        write(&format.line(number, &entry))?;
    }
    Ok(out.flush().map_err(Unheard::from)?)
}

/// The same on standard output. A reader that has gone away is no error.
///
/// # Errors
/// See [`ExportError`].
pub fn export_to_stdout(reader: &JournalReader, range: Range<u64>, format: ExportFormat) -> Result<(), ExportError> {
    match export(reader, range, format, &mut io::stdout().lock()) {
        Err(ExportError::Unheard(Unheard::Closed)) => Ok(()),
        result => result,
    }
}
