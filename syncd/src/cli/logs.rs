//! `syncd log`: what was logged is verified, written out and returned.

use anyhow::{Context as _, bail};
use tieup_protocol::access_export::ExportFormat;
use tieup_protocol::period::Month;
use tieup_protocol::wire::CollectedMonth;
use tieup_store::journal::{
    JournalReader, LogSigner, Origin, SignedCheckpoint, cosigned_note, month_dir, months, verify_cosignature,
    verify_log,
};
use tieup_web::journal::export::export_to_stdout;
use tieup_web::journal::refusals::Settled;
use tieup_web::say;
use tieup_web::terminal::counted;

use crate::config::Config;
use crate::identity::{Identity, JOURNALS};
use crate::main_journal::MainJournal;

pub(super) fn verify(config: &Config, only: Option<Month>) -> anyhow::Result<()> {
    let identity = Identity::load(&config.state)?;
    let key = identity.journal_key.parse::<LogSigner>().context("the journal's key cannot be used")?.verifier();
    let journals = config.state.join(JOURNALS);
    let kept = MainJournal::in_state(&config.state);
    let is_meant = |month: &Month| only.is_none_or(|only| only == *month);
    let months: Vec<Month> = months(&journals)?.into_iter().filter(is_meant).collect();
    if months.is_empty() {
        match only.filter(|month| !kept.dir(*month).is_dir()) {
            Some(month) => bail!("no visit was logged in {month}"),
            None => say!("No visit has been logged here yet."),
        }
    }
    for month in months {
        let origin = Origin::new(&identity.main, &identity.partner, month);
        let log = verify_log(&month_dir(&journals, month), &origin, &key)
            .with_context(|| format!("the journal of {month} does not verify"))?;
        say!(
            "{month}: {} the signed checkpoint, {} are newer",
            counted(log.checkpoint.size(), "entry matches", "entries match"),
            log.unsigned
        );
    }
    verify_mains(&kept, &identity, only)
}

/// Verifies what is held of the main site's own log, where the contract let the main site write.
fn verify_mains(kept: &MainJournal, identity: &Identity, only: Option<Month>) -> anyhow::Result<()> {
    let (Some(key), Some(cosigner)) = (kept.key()?, kept.cosigner()?) else { return Ok(()) };
    for month in kept.months()?.into_iter().filter(|month| only.is_none_or(|only| only == *month)) {
        let (dir, origin) = (kept.dir(month), Origin::new(&identity.main, &identity.main, month));
        let log = verify_log(&dir, &origin, &key)
            .with_context(|| format!("the copy of the main site's own log of {month} does not verify"))?;
        let note = cosigned_note(&dir)?.unwrap_or_default();
        let own = SignedCheckpoint::open(&note, &origin, &key).and_then(|signed| {
            verify_cosignature(&note, &cosigner.verifier())?;
            Ok(signed.size())
        });
        let own =
            own.with_context(|| format!("your receipt for the main site's own log of {month} does not verify"))?;
        say!(
            "{month}: {} entries of the main site's own log match its checkpoint, {own} cosigned by you",
            log.checkpoint.size()
        );
    }
    let refused = kept.refusals().standing()?;
    for refused in &refused {
        say!("ALARM: the main site's own log: {}", refused.sentence());
    }
    if let Some(refused) = refused.first() {
        bail!(
            "it is refused until you settle it: syncd log settle {} --reason \"...\", with --put-aside where it will not \
             continue your copy again",
            refused.month
        );
    }
    Ok(())
}

/// Settles that the main site's own log was refused.
pub(super) fn settle(config: &Config, month: Month, decision: Settled) -> anyhow::Result<()> {
    let kept = MainJournal::in_state(&config.state);
    let main = Identity::load(&config.state)?.main;
    kept.refusals().settle((main.as_str(), month), kept.folder(), decision)?;
    say!("The main site's own log of {month} is settled; fetch it again: syncd log fetch");
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

/// Says what was verified of the main site's own log.
pub(super) fn show_verified(months: &[CollectedMonth]) {
    if months.is_empty() {
        say!("The main site has logged nothing yet.");
    }
    for CollectedMonth { month, added, size } in months {
        let added = counted(*added, "new entry", "new entries");
        say!("{month}: {added} of the main site's own log, {size} in all, verified and cosigned");
    }
}

/// Says what main has taken.
pub(super) fn show_returned(months: &[CollectedMonth]) {
    if months.is_empty() {
        say!("No visit has been logged yet.");
    }
    for CollectedMonth { month, added, size } in months {
        let added = counted(*added, "new entry", "new entries");
        say!("{month}: {added}, {size} in all, cosigned by the main site");
    }
}
