//! What a fee manager does, and whoever looks after partners: invite, logs, statements.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tieup_generator::Site;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::{Range, Reach};
use tieup_store::durable;
use tieup_web::say;
use tieup_web::terminal::counted;

use super::{PartnerAction, revoke};
use crate::database::PartnerRow;
use crate::kit;
use crate::partners::{Hub, HubError};
use crate::starter;

/// Shows the audit trail of `partner`, or settles that it is another one for the reason `settled`; main's own, where no
/// partner is named.
pub(super) async fn trail(hub: &Hub, partner: Option<&SiteId>, settled: Option<&str>) -> anyhow::Result<()> {
    match (partner, settled) {
        (Some(partner), Some(reason)) => settle_audit(hub, partner, reason).await,
        (Some(partner), None) => audit(hub, partner).await,
        (None, _) => own_trail(hub),
    }
}

/// Fetches and shows the audit trail of `partner`; where it cannot be had, main's copy.
async fn audit(hub: &Hub, partner: &SiteId) -> anyhow::Result<()> {
    let partner = hub.partner(partner).await?;
    let fetched = hub.fetch_audit(&partner).await;
    for entry in hub.audit_copy(&partner).entries()? {
        say!("{entry}");
    }
    if let Some(signed) = hub.audit_signature(&partner)? {
        let at = signed.time().strftime("%Y-%m-%d %H:%M:%S UTC");
        say!("Signed by `{}` up to entry {} on {at}.", partner.id, signed.end().lines.saturating_sub(1));
    }
    let end = fetched.context("above stands what main fetched before")?;
    say!("{}.", trail_length(end.lines));
    Ok(())
}

/// Settles that the audit trail of `partner` is another one than main held.
async fn settle_audit(hub: &Hub, partner: &SiteId, reason: &str) -> anyhow::Result<()> {
    let partner = hub.partner(partner).await?;
    let aside = hub.settle_audit(&partner, reason, Timestamp::now()).await?;
    let folder = hub.mirrors(&partner);
    say!(
        "The audit trail of `{}` is settled. What you held of the one before is kept in {}.",
        partner.id,
        folder.join(aside).display()
    );
    hub.fetch_audit(&partner)
        .await
        .context("it is settled, and the new one was not fetched yet: it is with the next")?;
    say!("The new one was fetched: tieup audit {}", partner.id);
    Ok(())
}

/// Shows main's own audit trail.
fn own_trail(hub: &Hub) -> anyhow::Result<()> {
    let entries = hub.own_trail()?;
    for entry in &entries {
        say!("{entry}");
    }
    say!("{}.", trail_length(entries.len()));
    Ok(())
}

/// How long a trail is that was verified, as people read it.
fn trail_length<N: Display + PartialEq + From<u8> + Copy>(lines: N) -> String {
    counted(lines, "entry", "entries; each continues the one before it")
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
        say_why_none(hub).await?;
    }
    Ok(partners)
}

/// Says why there is no partner to do something with: those there are revoked, or have not joined, or there are none.
pub(super) async fn say_why_none(hub: &Hub) -> anyhow::Result<()> {
    let partners = hub.database.partners().await?;
    for revoked in partners.iter().filter(|partner| partner.revoked.is_some()) {
        say!("`{}` is revoked: nothing is sent to it until it joins again.", revoked.id);
    }
    let mut invited = hub.database.invited(Timestamp::now()).await?;
    invited.retain(|invited| partners.iter().all(|partner| partner.id != *invited || partner.revoked.is_some()));
    if !invited.is_empty() {
        let names: Vec<&str> = invited.iter().map(SiteId::as_str).collect();
        say!("Invited and not joined yet: {}. Each joins with its token: `syncd join`.", names.join(", "));
    } else if partners.is_empty() {
        say!("No partner has joined yet: invite one with `tieup partner invite NAME`.");
    }
    Ok(())
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
            invite(hub, partner).await?;
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

/// Prints a token on standard output, and what is to be known of it beside that.
async fn invite(hub: &Hub, partner: &SiteId) -> anyhow::Result<()> {
    let token = hub.invite(partner, Timestamp::now()).await?;
    eprintln!("Give this token to `{partner}`. It is good once, within a week, while `tieup hub` is running:");
    say!("{token}");
    if Range::of(&token.hub) == Range::ThisMachine {
        eprintln!(
            "Note: it leads to {}, so only a partner on this machine can use it. For others, write in tieup.yaml where \
             they reach you, such as `address: hub.example:7440`, and let `join` listen for them.",
            token.hub
        );
    }
    if let Some(joined) = hub.database.partner(partner).await?.filter(|row| row.revoked.is_none()) {
        eprintln!(
            "Note: `{partner}` joined on {} (code {}, {}): whoever uses this token takes its place.",
            joined.joined.strftime("%Y-%m-%d"),
            joined.compare_code,
            place(&joined.address)
        );
    }
    Ok(())
}

fn write_kit(hub: &Hub, partner: &SiteId, out: &Path) -> anyhow::Result<()> {
    if out.exists() {
        bail!("{} is there already; it is not replaced: remove it, or name another with --out", out.display());
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
