//! `tieup status`: how every partner stands, in a line, and its releases where one is asked for.

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::bail;
use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use tieup_protocol::audit::TrailEnd;
use tieup_protocol::contract::Partnership;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::period::Month;
use tieup_protocol::wire::PartnerStatus;
use tieup_web::terminal::counted;
use tieup_web::{complaint, say, terminal};

use super::Format;
use super::partners::joined;
use super::site::say_json;
use crate::audit::FetchAuditError;
use crate::database::{PartnerRow, ReleaseRow};
use crate::partners::{Hub, HubError};
use crate::publish::CONCURRENT_PUSHES;
use crate::refusals::RefusedJournal;
use crate::schedule::queue::Queued;
use crate::schedule::standing::{Contact, Kind, Known, Standing};

/// How many releases of a partner are shown unless all are asked for.
const NEWEST: usize = 5;

/// How long a partner may take to say how it stands. What is kept of it is shown then.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many releases of each partner are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// None: how it stands is enough.
    None,
    /// The newest.
    Newest,
    /// All.
    All,
}

/// A partner, for programs.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    standing: Standing,
    /// What it warns of.
    alarms: Vec<String>,
    /// What its newest journal is worth asking about, where it was asked for by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<Found>,
    releases: Vec<Release>,
}

/// What a partner answers.
struct Answer {
    contact: Contact,
    /// What it warns of.
    alarms: Vec<String>,
    /// Where its audit trail ends; `None` where the partner does not answer.
    trail: Option<Result<TrailEnd, FetchAuditError>>,
}

/// What partners sent that contradicts what main has, which waits for somebody to settle it.
#[derive(Clone, Copy, Default)]
struct Contradicted {
    journals: bool,
    trails: bool,
}

/// How many findings there are in a month.
#[derive(Serialize)]
struct Found {
    month: Month,
    number: NonZeroUsize,
}

/// A release, for programs.
#[derive(Serialize)]
struct Release {
    version: ReleaseVersion,
    state: String,
    since: Timestamp,
    why: String,
}

pub(super) async fn status(hub: &Hub, only: &[SiteId], shown: Shown, format: Format) -> anyhow::Result<()> {
    let unbuilt = match hub.unbuilt() {
        Ok(unbuilt) => unbuilt.map(|unbuilt| format!("ALARM: {}", unbuilt.alarm())),
        Err(error) => Some(format!("ALARM: {}", complaint::in_one_line(&error))),
    };
    if format == Format::Text {
        say_alarms(hub, unbuilt.as_deref())?;
    }
    let mut partners = if format == Format::Json { hub.database.partners().await? } else { joined(hub).await? };
    if let Some(unknown) = only.iter().find(|id| !partners.iter().any(|partner| partner.id == **id)) {
        return Err(HubError::NotJoined(unknown.clone()).into());
    }
    partners.retain(|partner| only.is_empty() || only.contains(&partner.id));
    let ask = async |partner: PartnerRow| (ask(hub, &partner).await, partner);
    let answers: Vec<_> = stream::iter(partners).map(ask).buffered(CONCURRENT_PUSHES).collect().await;
    let (mut told, mut contradicted) = (Vec::new(), Contradicted::default());
    for (Answer { contact, alarms, trail }, partner) in answers {
        let (releases, queued) = (hub.database.releases(&partner.id).await?, hub.database.queued(&partner.id).await?);
        let standing = standing(hub, &partner, &releases, &queued, &contact);
        let refused = hub.refused_journals(&partner.id)?;
        let mut alarms: Vec<String> = refused.iter().map(alarm).chain(alarms).collect();
        contradicted.journals |= !refused.is_empty();
        contradicted.trails |= matches!(trail, Some(Err(FetchAuditError::Refused(..))));
        let findings = if only.is_empty() { None } else { hub.newest_findings(&partner).await };
        match format {
            Format::Text => {
                say!("{}", standing.line(Timestamp::now()));
                for alarm in &alarms {
                    say!("  {alarm}");
                }
                if let Some((month, number)) = findings {
                    let noun = if number.get() == 1 { "finding" } else { "findings" };
                    say!("  {number} {noun} in the journal of {month}: tieup log findings {}", partner.id);
                }
                show_releases(&releases, shown);
                match trail {
                    Some(Ok(end)) if end.lines > 0 && shown != Shown::None => {
                        let lines = counted(end.lines, "entry", "entries that continue each other");
                        say!("  audit trail: {lines}; tieup audit {}", partner.id);
                    }
                    Some(Err(error)) => terminal::say(&complaint::render(&error)),
                    _ => {}
                }
            }
            Format::Json => {
                alarms.extend(unbuilt.clone());
                alarms.extend(trail.and_then(Result::err).and_then(|error| untaken(&error)));
                let rows = releases.into_iter().take(limit(shown));
                let findings = findings.map(|(month, number)| Found { month, number });
                told.push(Told { standing, alarms, findings, releases: rows.map(Release::from).collect() });
            }
        }
    }
    if format == Format::Json {
        say_json(&told);
    }
    contradicted.check()
}

/// Says what somebody should know of the hub itself.
fn say_alarms(hub: &Hub, unbuilt: Option<&str>) -> anyhow::Result<()> {
    if let Some(alarm) = unbuilt {
        say!("{alarm}");
    }
    if let Some(https) = &hub.config.https {
        for warning in https.warnings(&hub.config.state, Timestamp::now()) {
            say!("ALARM: {warning}");
        }
    }
    if let Some(alarm) = hub.mirror_standing()?.and_then(|standing| standing.alarm()) {
        say!("ALARM: {alarm}");
    }
    Ok(())
}

impl Contradicted {
    /// # Errors
    /// When there is something to settle.
    fn check(self) -> anyhow::Result<()> {
        let journals = "journals are refused until somebody settles it: tieup log settle PARTNER MONTH --reason \"...\", \
                        with --put-aside where they will not continue your copy again";
        let trails =
            "an audit trail is refused until somebody settles it: tieup audit PARTNER --settle --reason \"...\"";
        match (self.journals, self.trails) {
            (false, false) => Ok(()),
            (true, false) => bail!("{journals}"),
            (false, true) => bail!("{trails}"),
            (true, true) => bail!("{journals}; {trails}"),
        }
    }
}

/// A journal that was refused for good.
fn alarm(refused: &RefusedJournal) -> String {
    format!("ALARM: {}", refused.sentence())
}

/// What is to be said, for programs, of an audit trail that was not taken: nothing while another command fetches it.
fn untaken(error: &FetchAuditError) -> Option<String> {
    let words = complaint::in_one_line(error);
    match error {
        FetchAuditError::Busy(..) => None,
        FetchAuditError::Refused(..) | FetchAuditError::Unsigned(..) => Some(format!("ALARM: {words}")),
        _ => Some(words),
    }
}

/// What a partner warns of, a sentence each.
fn warnings(status: &PartnerStatus) -> Vec<String> {
    let mut warnings: Vec<String> = status.alarms.iter().map(|alarm| format!("ALARM: {alarm}")).collect();
    warnings.extend(status.certificate.iter().map(|overdue| format!("ALARM: {overdue}")));
    warnings.extend(status.clashes.iter().map(|clash| format!("CONFLICT there: {clash}")));
    if let Some(emergency) = &status.emergency {
        let since = emergency.since.strftime("%Y-%m-%d %H:%M UTC");
        warnings.push(format!("EMERGENCY declared there since {since}: {}", emergency.reason));
        let replaced: Vec<&str> = status.overrides.iter().map(|page| page.path.as_str()).collect();
        warnings.push(format!("its own pages take the place of yours: {}", replaced.join(", ")));
    }
    if !status.guard.is_quiet() {
        warnings.push(format!("what is stored there: {}", status.guard));
    }
    warnings
}

/// Asks a partner how it stands, and follows its audit trail. What it says of its releases is kept.
async fn ask(hub: &Hub, partner: &PartnerRow) -> Answer {
    let silent = |why| Answer { contact: Contact::Silent(why), alarms: Vec::new(), trail: None };
    match tokio::time::timeout(PATIENCE, hub.status(partner)).await {
        Ok(Ok(status)) => {
            let mut alarms = warnings(&status);
            match hub.impossible_months(partner, &status.journals).await {
                Ok(impossible) => alarms.extend(impossible.map(|impossible| format!("ALARM: {impossible}"))),
                Err(error) => alarms.push(format!("ALARM: {}", complaint::in_one_line(&error))),
            }
            let trail = Some(hub.fetch_audit(partner).await);
            Answer { contact: Contact::Answers, alarms, trail }
        }
        Ok(Err(error)) => silent(complaint::in_one_line(&error)),
        Err(_) => silent(format!("it does not answer within {} s", PATIENCE.as_secs())),
    }
}

fn standing(hub: &Hub, partner: &PartnerRow, releases: &[ReleaseRow], queued: &Queued, contact: &Contact) -> Standing {
    let is_link = hub.contract(&partner.id).is_some_and(|contract| contract.partnership == Partnership::Link);
    let kind = if is_link { Kind::LinkAlone } else { Kind::Releases };
    Standing::of(Known { partner, releases, queued, kind, contact })
}

fn limit(shown: Shown) -> usize {
    match shown {
        Shown::None => 0,
        Shown::Newest => NEWEST,
        Shown::All => usize::MAX,
    }
}

/// Shows releases, of which the newest comes first.
fn show_releases(releases: &[ReleaseRow], shown: Shown) {
    let limit = limit(shown);
    for release in releases.iter().take(limit) {
        let since = release.since.strftime("%Y-%m-%d %H:%M UTC");
        let detail = if release.detail.is_empty() { String::new() } else { format!(": {}", release.detail) };
        say!("  release {:<4} {:<11} since {since}{detail}", release.version, release.state);
    }
    if limit > 0 && releases.len() > limit {
        say!("  and {} before them: tieup status --all", releases.len() - limit);
    }
}

impl From<ReleaseRow> for Release {
    fn from(row: ReleaseRow) -> Self {
        Self { version: row.version, state: row.state, since: row.since, why: row.detail }
    }
}
