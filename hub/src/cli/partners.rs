//! What a fee manager does, and whoever looks after partners: invite, logs, statements.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tieup_generator::Site;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::Reach;
use tieup_store::durable;
use tieup_web::{complaint, say, terminal};

use super::{PartnerAction, revoke};
use crate::database::PartnerRow;
use crate::kit;
use crate::partners::{Hub, HubError};
use crate::starter;

/// How much is said of an audit trail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trail {
    /// How long it is.
    Length,
    /// Nothing, unless it is not the one main knows.
    Trouble,
}

/// Fetches the partner's audit trail and says how long it is; loudly where it is not the one main knows.
pub(super) async fn show_trail_end(hub: &Hub, partner: &PartnerRow, trail: Trail) {
    match hub.fetch_audit(partner).await {
        Ok(end) if end.lines == 0 || trail == Trail::Trouble => {}
        Ok(end) => say!("  audit trail: {} entries continue each other; tieup audit {}", end.lines, partner.id),
        Err(error) => terminal::say(&complaint::render(&error)),
    }
}

/// Fetches and shows the audit trail of `partner`; where it cannot be had, main's copy.
pub(super) async fn audit(hub: &Hub, partner: &SiteId) -> anyhow::Result<()> {
    let partner = hub.partner(partner).await?;
    let fetched = hub.fetch_audit(&partner).await;
    for entry in hub.audit_copy(&partner).entries()? {
        say!("{entry}");
    }
    let end = fetched.context("above stands what main fetched before")?;
    say!("{} entries; each continues the one before it.", end.lines);
    Ok(())
}

/// Shows main's own audit trail.
pub(super) fn own_trail(hub: &Hub) -> anyhow::Result<()> {
    let entries = hub.own_trail()?;
    for entry in &entries {
        say!("{entry}");
    }
    say!("{} entries; each continues the one before it.", entries.len());
    Ok(())
}

/// Where a partner is, as people read it.
fn place(address: &Reach) -> String {
    match address {
        Reach::Address(address) => format!("at {address}"),
        Reach::Line => "on a line that it dials".to_owned(),
    }
}

/// The partners that have joined. Says so where there are none, so that no command is silent.
pub(super) async fn joined(hub: &Hub) -> anyhow::Result<Vec<PartnerRow>> {
    let partners = hub.database.partners().await?;
    if partners.is_empty() {
        say!("No partner has joined yet: invite one with `tieup partner invite NAME`.");
    }
    Ok(partners)
}

pub(super) async fn partner(hub: &Hub, action: &PartnerAction) -> anyhow::Result<()> {
    match action {
        PartnerAction::Add { partner } => {
            let file = hub.contract_file(partner);
            if file.exists() {
                bail!("{} is there already; it is not replaced", file.display());
            }
            let month = Timestamp::now().to_zoned(TimeZone::UTC).date().first_of_month();
            starter::write_contract(&file, &hub.config.main, partner, month)?;
            say!("Wrote {}: read it, change what you have agreed on, then `tieup check`.", file.display());
            say!("When both sides agree: tieup partner invite {partner}");
        }
        PartnerAction::Invite { partner } => {
            let token = hub.invite(partner, Timestamp::now()).await?;
            eprintln!("Give this token to `{partner}`. It is good once, within a week, while `tieup hub` is running:");
            say!("{token}");
        }
        PartnerAction::Kit { partner, out } => {
            let out = out.clone().unwrap_or_else(|| PathBuf::from(format!("{partner}-kit")));
            write_kit(hub, partner, &out)?;
        }
        PartnerAction::List => {
            for partner in joined(hub).await? {
                let joined = partner.joined.strftime("%Y-%m-%d");
                let revoked = if partner.revoked.is_some() { "  REVOKED" } else { "" };
                let (place, code) = (place(&partner.address), &partner.compare_code);
                say!("{}  {place}  joined {joined}  compare code {code}{revoked}", partner.id);
            }
        }
        PartnerAction::Revoke { partner, reason } => {
            revoke::partner(hub, partner, reason.as_deref().unwrap_or_default()).await?;
        }
    }
    Ok(())
}

fn write_kit(hub: &Hub, partner: &SiteId, out: &Path) -> anyhow::Result<()> {
    if out.exists() {
        bail!("{} is there already; it is not replaced", out.display());
    }
    let site = Site::load(&hub.config.site, &hub.config.themes)?;
    let no_contract = || HubError::NoContract { partner: partner.clone(), file: hub.contract_file(partner) };
    let files = kit::files(&site, partner).ok_or_else(no_contract)?;
    durable::replace_dir(out, &files)?;
    say!(
        "Wrote {}: {} files. Give the folder to `{partner}`; its README.md says how to go on.",
        out.display(),
        files.len()
    );
    Ok(())
}
