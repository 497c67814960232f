//! `tieup log verify`: every entry that main holds is hashed again, and held against what was signed and cosigned. All logs
//! are looked at, whatever one of them comes to.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_store::journal::{
    CosignerVerifier, LogVerifier, Origin, SignedCheckpoint, VerifyError, checkpoint_note, cosigned_note, month_dir,
    stored_root, verify_cosignature, verify_log,
};
use tieup_web::terminal::counted;
use tieup_web::{say, terminal};

use super::logs::{chosen, meant};
use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::signers::signer_of;
use crate::witnesses::Receipt;

/// How many logs were looked at, how many of them do not verify, and how many are refused.
#[derive(Default)]
struct Tally {
    looked: usize,
    failed: usize,
    refused: usize,
}

pub(super) async fn verify(hub: &Hub, only: Option<&SiteId>, month: Option<Month>) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    let is_own = only == Some(&hub.config.main);
    let partners = if is_own { Vec::new() } else { meant(hub, only).await? };
    for partner in &partners {
        tally.tell_refused(hub, partner, month)?;
    }
    if is_own || only.is_none() {
        let witnesses = hub.database.partners().await?;
        for month in chosen(&hub.own_journals(), month)? {
            tally.note(&hub.own_origin(month), verify_own(hub, &witnesses, month));
        }
    }
    for partner in &partners {
        for month in chosen(&hub.mirrors(partner), month)? {
            let origin = Origin::new(&hub.config.main, &partner.id, month);
            tally.note(&origin, verify_copy(hub, partner, &origin, &month_dir(&hub.mirrors(partner), month)));
        }
    }
    if tally.looked == 0 && tally.refused == 0 {
        return nothing_to_verify(hub, only, month, partners.is_empty());
    }
    tally.conclude()
}

impl Tally {
    /// Says which journals of a partner are refused.
    fn tell_refused(&mut self, hub: &Hub, partner: &PartnerRow, only: Option<Month>) -> anyhow::Result<()> {
        let standing = hub.refused_journals(&partner.id)?;
        for refused in standing.iter().filter(|refused| only.is_none_or(|only| only == refused.month)) {
            self.refused += 1;
            say!("ALARM: {}: {}", partner.id, refused.sentence());
        }
        Ok(())
    }

    /// Says what a log comes to.
    fn note(&mut self, origin: &Origin, verified: anyhow::Result<String>) {
        self.looked += 1;
        match verified {
            Ok(told) => say!("{origin}: {told}"),
            Err(error) => {
                self.failed += 1;
                terminal::complain(error.as_ref());
            }
        }
    }

    /// # Errors
    /// When a log does not verify. A journal that is refused is no such log: main's copy stands, and is what was cosigned.
    fn conclude(&self) -> anyhow::Result<()> {
        if self.failed > 0 {
            bail!("{} of {} did not verify", self.failed, counted(self.looked, "journal", "journals"));
        }
        Ok(())
    }
}

/// Says that there is nothing. Where something was named, that is a mistake.
fn nothing_to_verify(hub: &Hub, only: Option<&SiteId>, month: Option<Month>, nobody: bool) -> anyhow::Result<()> {
    match (only, month) {
        (Some(own), Some(month)) if *own == hub.config.main => {
            bail!("no visit to your own pages was logged in {month}")
        }
        (Some(own), None) if *own == hub.config.main => bail!("no visit to your own pages has been logged yet"),
        (Some(partner), Some(month)) => {
            bail!("no journal of {month} of `{partner}` has been fetched: tieup log fetch {partner}")
        }
        (Some(partner), None) => bail!("no journal of `{partner}` has been fetched yet: tieup log fetch {partner}"),
        (None, Some(month)) => bail!("no journal of {month} has been fetched: tieup log fetch"),
        // That there is no partner has been said.
        (None, None) if nobody => Ok(()),
        (None, None) => {
            say!("No journal has been fetched yet: tieup log fetch");
            Ok(())
        }
    }
}

/// What the journal of visits to main's own pages comes to, and what partners have verified of it.
fn verify_own(hub: &Hub, partners: &[PartnerRow], month: Month) -> anyhow::Result<String> {
    let (dir, origin, key) =
        (month_dir(&hub.own_journals(), month), hub.own_origin(month), hub.keys.journal()?.verifier());
    let mut receipts: Vec<(&SiteId, Receipt)> = Vec::new();
    for partner in partners {
        receipts.extend(hub.receipt(&partner.id, month)?.map(|receipt| (&partner.id, receipt)));
    }
    let Some(size) = verify_month(&dir, &origin, &key, !receipts.is_empty())? else {
        return Ok("nothing is signed for yet; visits to your own pages".to_owned());
    };
    let mut told = format!("{}; visits to your own pages", matching(size));
    for (partner, receipt) in receipts {
        let at = receipt.cosigned.strftime("%Y-%m-%d %H:%M UTC");
        let _ = write!(told, "\n  {partner} has verified and cosigned {} of them at {at}", receipt.size);
    }
    Ok(told)
}

/// What main's copy of a partner's journal comes to.
fn verify_copy(hub: &Hub, partner: &PartnerRow, origin: &Origin, dir: &Path) -> anyhow::Result<String> {
    let key = |note: Option<Vec<u8>>| {
        signer_of(partner, origin, note.as_deref()).context("a partner's journal key cannot be used")
    };
    let cosigned = cosigned_note(dir)?;
    let Some(size) = verify_month(dir, origin, &key(checkpoint_note(dir)?)?, cosigned.is_some())? else {
        return Ok("nothing is confirmed yet; what came of it waits to be fetched whole: tieup log fetch".to_owned());
    };
    let receipt = check_cosigned(dir, origin, &key(cosigned)?, &hub.keys.cosigner()?.verifier())
        .with_context(|| format!("the cosigned checkpoint of {origin} does not verify"))?;
    Ok(format!("{}, {receipt}", matching(size)))
}

/// How many entries of a log are what was signed for; none where nothing has been signed for, as it is before anything
/// `was_cosigned` of it.
fn verify_month(dir: &Path, origin: &Origin, key: &LogVerifier, was_cosigned: bool) -> anyhow::Result<Option<u64>> {
    match verify_log(dir, origin, key) {
        Ok(log) => Ok(Some(log.checkpoint.size())),
        Err(VerifyError::NoCheckpoint(_)) if !was_cosigned => Ok(None),
        Err(error) => Err(error).with_context(|| format!("the journal {origin} does not verify")),
    }
}

/// Checks main's own receipt in a copy that was verified, and says what it covers.
fn check_cosigned(
    dir: &Path,
    origin: &Origin,
    key: &LogVerifier,
    cosigner: &CosignerVerifier,
) -> anyhow::Result<String> {
    let Some(note) = cosigned_note(dir)? else { return Ok("none cosigned".to_owned()) };
    let (checkpoint, at) = (SignedCheckpoint::open(&note, origin, key)?, verify_cosignature(&note, cosigner)?);
    if stored_root(dir, checkpoint.size())? != checkpoint.root() {
        bail!("its {} entries have another root", checkpoint.size());
    }
    Ok(format!("{} cosigned at {}", checkpoint.size(), at.strftime("%Y-%m-%d %H:%M UTC")))
}

/// That so many entries are what was signed for, as people read it.
fn matching(size: u64) -> String {
    format!("{} the signed checkpoint", counted(size, "entry matches", "entries match"))
}
