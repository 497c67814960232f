//! `syncd log`: what was logged is verified, written out and returned.

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use tieup_protocol::access_export::ExportFormat;
use tieup_protocol::period::Month;
use tieup_protocol::wire::CollectedMonth;
use tieup_store::journal::{JournalReader, LogSigner, Origin, month_dir, months, verify_log};
use tieup_web::journal::export::export_to_stdout;
use tieup_web::say;

use crate::config::Config;
use crate::identity::{Identity, JOURNALS};

/// How visits are written out.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Layout {
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

pub(super) fn verify(config: &Config, only: Option<Month>) -> anyhow::Result<()> {
    let identity = Identity::load(&config.state)?;
    let key = identity.journal_key.parse::<LogSigner>().context("the journal's key cannot be used")?.verifier();
    let journals = config.state.join(JOURNALS);
    let months = match only {
        Some(month) => vec![month],
        None => months(&journals)?,
    };
    if months.is_empty() {
        say!("No visit has been logged yet.");
    }
    for month in months {
        let origin = Origin::new(&identity.main, &identity.partner, month);
        let log = verify_log(&month_dir(&journals, month), &origin, &key)
            .with_context(|| format!("the journal of {month} does not verify"))?;
        say!("{month}: {} entries match the signed checkpoint, {} are newer", log.checkpoint.size(), log.unsigned);
    }
    Ok(())
}

/// Writes out what has been logged of a month, also what is not signed for yet.
pub(super) fn export(config: &Config, month: Month, format: ExportFormat) -> anyhow::Result<()> {
    let dir = month_dir(&config.state.join(JOURNALS), month);
    if !dir.is_dir() {
        bail!("no visit was logged in {month}");
    }
    let reader = JournalReader::open(dir)?;
    Ok(export_to_stdout(&reader, 0..reader.size(), format)?)
}

/// Says what main has taken.
pub(super) fn show_returned(months: &[CollectedMonth]) {
    if months.is_empty() {
        say!("No visit has been logged yet.");
    }
    for CollectedMonth { month, added, size } in months {
        say!("{month}: {added} new entries, {size} in all, cosigned by the main site");
    }
}
