//! What a fee manager does, and whoever looks after partners: invite, status, logs, statements.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tieup_generator::Site;
use tieup_protocol::contract::Partnership;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::Reach;
use tieup_protocol::period::Month;
use tieup_protocol::wire::StatementVerdict;
use tieup_store::durable;
use tieup_store::journal::{LogVerifier, Origin, month_dir, months, verify_log};
use tieup_web::{complaint, say, terminal};

use super::{PartnerAction, revoke};
use crate::database::{PartnerRow, ReleaseRow};
use crate::kit;
use crate::partners::{Hub, HubError};
use crate::starter;

/// How many releases of each partner `tieup status` shows unless it is asked for all.
const NEWEST: usize = 5;

/// How many releases of each partner are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Newest,
    All,
}

pub(super) async fn status(hub: &Hub, shown: Shown) -> anyhow::Result<()> {
    for partner in joined(hub).await? {
        if let Some(revoked) = &partner.revoked {
            say!("{} is REVOKED since {}{}", partner.id, revoked.day(), revoked.because());
            show_releases(&hub.database.releases(&partner.id).await?, shown);
            continue;
        }
        let answer = hub.status(&partner).await;
        let reached = if answer.is_ok() { "reached now" } else { "NOT reached" };
        say!("{} {} ({reached})", partner.id, place(&partner.address));
        if hub.contract(&partner.id).is_some_and(|contract| contract.partnership == Partnership::Link) {
            say!("  the contract is for a link alone: nothing is published");
        }
        for alarm in answer.iter().flat_map(|status| &status.alarms) {
            say!("  ALARM: {alarm}");
        }
        show_releases(&hub.database.releases(&partner.id).await?, shown);
        match answer {
            Ok(status) => {
                if let Some(emergency) = &status.emergency {
                    let since = emergency.since.strftime("%Y-%m-%d %H:%M UTC");
                    say!("  EMERGENCY declared there since {since}: {}", emergency.reason);
                    let replaced = status.overrides.iter().map(|page| page.path.as_str()).collect::<Vec<_>>();
                    say!("  its own pages take the place of yours: {}", replaced.join(", "));
                }
                if !status.guard.is_quiet() {
                    say!("  what is stored there: {}", status.guard);
                }
                show_trail_end(hub, &partner).await;
            }
            Err(error) => terminal::say(&complaint::render(&error)),
        }
    }
    Ok(())
}

/// Fetches the partner's audit trail and says what was decided last; loudly where it is not the one main knows.
async fn show_trail_end(hub: &Hub, partner: &PartnerRow) {
    match hub.fetch_audit(partner).await {
        Ok(end) if end.lines == 0 => {}
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

/// Where a partner is, as people read it.
fn place(address: &Reach) -> String {
    match address {
        Reach::Address(address) => format!("at {address}"),
        Reach::Line => "on a line that it dials".to_owned(),
    }
}

/// Shows releases, of which the newest comes first.
fn show_releases(releases: &[ReleaseRow], shown: Shown) {
    let limit = if shown == Shown::All { releases.len() } else { NEWEST };
    for release in releases.iter().take(limit) {
        let since = release.since.strftime("%Y-%m-%d %H:%M UTC");
        let detail = if release.detail.is_empty() { String::new() } else { format!(": {}", release.detail) };
        say!("  release {:<4} {:<11} since {since}{detail}", release.version, release.state);
    }
    if releases.len() > limit {
        say!("  and {} before them: tieup status --all", releases.len() - limit);
    }
}

/// The partners that have joined. Says so where there are none, so that no command is silent.
async fn joined(hub: &Hub) -> anyhow::Result<Vec<PartnerRow>> {
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

pub(super) async fn fetch(hub: &Hub) -> anyhow::Result<()> {
    let mut failed = 0;
    for partner in joined(hub).await?.into_iter().filter(|partner| partner.revoked.is_none()) {
        if let Err(error) = hub.fetch_audit(&partner).await {
            failed += 1;
            eprintln!("{}:", partner.id);
            terminal::complain(&error);
        }
        match hub.collect(&partner).await {
            Ok(months) => {
                for month in months {
                    say!(
                        "{} {}: {} new entries, {} in all, cosigned",
                        partner.id,
                        month.month,
                        month.added,
                        month.size
                    );
                }
            }
            Err(error) => {
                failed += 1;
                eprintln!("{}:", partner.id);
                terminal::complain(&error);
            }
        }
    }
    if failed > 0 {
        bail!("{failed} journals or audit trails of partners were not taken");
    }
    Ok(())
}

pub(super) async fn verify(hub: &Hub) -> anyhow::Result<()> {
    for partner in joined(hub).await? {
        let key: LogVerifier = partner.journal_key.parse().context("a partner's journal key cannot be used")?;
        let folder = hub.mirrors(&partner);
        for month in months(&folder)? {
            let origin = Origin::new(&hub.config.main, &partner.id, month);
            let log = verify_log(&month_dir(&folder, month), &origin, &key)
                .with_context(|| format!("the journal {origin} does not verify"))?;
            say!("{origin}: {} entries match the signed checkpoint", log.checkpoint.size());
        }
    }
    Ok(())
}

pub(super) async fn statement(hub: &Hub, partner: &SiteId, month: Month) -> anyhow::Result<()> {
    let partner = hub.partner(partner).await?;
    let delivered = hub.statement(&partner, month, Timestamp::now()).await?;
    terminal::say(&delivered.statement.text);
    match delivered.verdict {
        StatementVerdict::Identical => say!("{}: identical", partner.id),
        StatementVerdict::Different { line, main, partner: theirs } => {
            bail!("`{}` computes another statement: line {line} is {main:?} here and {theirs:?} there", partner.id)
        }
    }
    Ok(())
}
