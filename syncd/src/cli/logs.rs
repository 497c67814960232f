//! `syncd log`: what was logged is verified, written out and returned.

use std::path::Path;

use anyhow::{Context as _, bail};
use tieup_protocol::access_export::ExportFormat;
use tieup_protocol::period::Month;
use tieup_protocol::wire::CollectedMonth;
use tieup_store::journal::{
    CosignerVerifier, JournalReader, LogSigner, LogVerifier, Origin, SignedCheckpoint, VerifyError, cosigned_note,
    month_dir, months, verify_cosignature, verify_log,
};
use tieup_web::journal::export::export_to_stdout;
use tieup_web::journal::refusals::Settled;
use tieup_web::terminal::counted;
use tieup_web::{say, terminal};

use crate::config::Config;
use crate::identity::{Identity, JOURNALS};
use crate::main_journal::MainJournal;

/// How many logs were looked at, and how many of them do not verify.
#[derive(Default)]
struct Tally {
    looked: usize,
    failed: usize,
}

impl Tally {
    /// Says what the log of `month` comes to.
    fn note(&mut self, month: Month, verified: anyhow::Result<String>) {
        self.looked += 1;
        match verified {
            Ok(told) => say!("{month}: {told}"),
            Err(error) => {
                self.failed += 1;
                terminal::complain(error.as_ref());
            }
        }
    }
}

/// Verifies what was logged here, and what is held of the main site's own log: all of it, whatever one log comes to.
pub(super) fn verify(config: &Config, only: Option<Month>) -> anyhow::Result<()> {
    let identity = Identity::load(&config.state)?;
    let key = identity.journal_key.parse::<LogSigner>().context("the journal's key cannot be used")?.verifier();
    let journals = config.state.join(JOURNALS);
    let kept = MainJournal::in_state(&config.state);
    let is_meant = |month: &Month| only.is_none_or(|only| only == *month);
    let mut refused = kept.refusals().standing()?;
    refused.retain(|refused| is_meant(&refused.month));
    for refused in &refused {
        say!("ALARM: the main site's own log: {}", refused.sentence());
    }
    let months: Vec<Month> = months(&journals)?.into_iter().filter(is_meant).collect();
    if months.is_empty() {
        match only.filter(|month| !kept.dir(*month).is_dir()) {
            Some(month) => bail!("no visit was logged in {month}"),
            None => say!("No visit has been logged here yet."),
        }
    }
    let mut tally = Tally::default();
    for month in months {
        let origin = Origin::new(&identity.main, &identity.partner, month);
        tally.note(month, verify_own(&month_dir(&journals, month), &origin, &key));
    }
    verify_mains(&kept, &identity, only, &mut tally)?;
    if tally.failed > 0 {
        bail!("{} of {} did not verify", tally.failed, counted(tally.looked, "log", "logs"));
    }
    if let Some(refused) = refused.first() {
        bail!(
            "the main site's own log is refused until you settle it: syncd log settle {} --reason \"...\", with \
             --put-aside where it will not continue your copy again",
            refused.month
        );
    }
    Ok(())
}

/// What a month that was logged here comes to.
fn verify_own(dir: &Path, origin: &Origin, key: &LogVerifier) -> anyhow::Result<String> {
    let was_cosigned = cosigned_note(dir)?.is_some();
    match verify_log(dir, origin, key) {
        Ok(log) => {
            let matching = counted(log.checkpoint.size(), "entry matches", "entries match");
            Ok(format!("{matching} the signed checkpoint, {} are newer", log.unsigned))
        }
        Err(VerifyError::NoCheckpoint(_)) if !was_cosigned => Ok("nothing is signed for yet".to_owned()),
        Err(error) => Err(error).with_context(|| format!("the journal {origin} does not verify")),
    }
}

/// Verifies what is held of the main site's own log, where the contract let the main site write.
fn verify_mains(kept: &MainJournal, identity: &Identity, only: Option<Month>, tally: &mut Tally) -> anyhow::Result<()> {
    let (Some(key), Some(cosigner)) = (kept.key()?, kept.cosigner()?) else { return Ok(()) };
    for month in kept.months()?.into_iter().filter(|month| only.is_none_or(|only| only == *month)) {
        let origin = Origin::new(&identity.main, &identity.main, month);
        tally.note(month, verify_copy(&kept.dir(month), &origin, &key, &cosigner.verifier()));
    }
    Ok(())
}

/// What the copy of a month of the main site's own log comes to, and the receipt for it. One that was cut off before the
/// receipt was made has none, or an older one.
fn verify_copy(dir: &Path, origin: &Origin, key: &LogVerifier, cosigner: &CosignerVerifier) -> anyhow::Result<String> {
    let receipt = cosigned_note(dir)?;
    let log = match verify_log(dir, origin, key) {
        Ok(log) => log,
        Err(VerifyError::NoCheckpoint(_)) if receipt.is_none() => {
            let waits =
                "nothing of the main site's own log is confirmed yet; what came of it waits to be fetched whole";
            return Ok(format!("{waits}: syncd log fetch"));
        }
        Err(error) => {
            return Err(error).with_context(|| format!("the copy of the main site's own log {origin} does not verify"));
        }
    };
    let matching = format!("{} entries of the main site's own log match its checkpoint", log.checkpoint.size());
    let Some(note) = receipt else { return Ok(format!("{matching}, none cosigned by you yet: syncd log fetch")) };
    let own = SignedCheckpoint::open(&note, origin, key).and_then(|signed| {
        verify_cosignature(&note, cosigner)?;
        Ok(signed.size())
    });
    let own = own.with_context(|| format!("your receipt for the main site's own log {origin} does not verify"))?;
    Ok(format!("{matching}, {own} cosigned by you"))
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
