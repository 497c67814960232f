//! `tieup log findings`: what in the fetched journals is worth a question, for the fee manager.

use std::collections::BTreeMap;

use anyhow::bail;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Serialize;
use tieup_fees::Finding;
use tieup_fees::findings::{Figure, Rule};
use tieup_protocol::dispute::checked_words;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Zone};
use tieup_web::terminal::counted;
use tieup_web::{say, terminal};

use super::Format;
use super::logs::meant;
use super::site::say_json;
use crate::database::PartnerRow;
use crate::findings::{ExamineError, Examined, LeftOut};
use crate::partners::Hub;
use crate::reviews::{Looked, short};

#[derive(Args)]
pub(super) struct FindingsArguments {
    /// Only this partner's.
    partner: Option<SiteId>,
    /// Only this month, such as 2026-11; else every month that was fetched, or in which beacons were counted.
    #[arg(long)]
    month: Option<Month>,
    /// Accept this finding, by the beginning of its digest: somebody has looked at it, and it holds no statement back.
    #[arg(long, value_name = "ID", requires_all = ["partner", "month", "reason"])]
    accept: Option<String>,
    /// Why, in at most 500 characters; main's audit trail keeps it.
    #[arg(long, value_parser = checked_words, requires = "accept")]
    reason: Option<String>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A month of a partner, for programs.
#[derive(Serialize)]
struct Told {
    partner: SiteId,
    month: Month,
    zones: Vec<String>,
    /// The parts of the month in which nothing of main's own log was looked at.
    left_out: Vec<ToldPart>,
    entries: u64,
    other_month: u64,
    rules: Vec<&'static str>,
    findings: Vec<ToldFinding>,
}

/// A part of a month that was left out, for programs.
#[derive(Serialize)]
struct ToldPart {
    period: String,
    why: String,
}

/// A finding, for programs.
#[derive(Serialize)]
struct ToldFinding {
    digest: String,
    rule: &'static str,
    severity: &'static str,
    /// What the clocks of the zone show where it begins, and where it ends.
    from: DateTime,
    until: DateTime,
    figures: BTreeMap<&'static str, serde_json::Value>,
    sentence: String,
    /// Why it holds nothing back; none while nobody has looked at it.
    accepted: Option<String>,
}

/// Tells what is found. Findings are no failure; a journal that cannot be examined is one, and holds up no other.
pub(super) async fn findings(hub: &Hub, arguments: &FindingsArguments) -> anyhow::Result<()> {
    if let FindingsArguments {
        partner: Some(id), month: Some(month), accept: Some(name), reason: Some(reason), ..
    } = arguments
    {
        let partner = hub.partner(id).await?;
        let looked = hub.accept_finding(&partner, *month, (name, reason), Timestamp::now()).await?;
        say!("{id} {month}: accepted: {}", looked.finding);
        return Ok(());
    }
    let (mut told, mut failed) = (Vec::new(), 0);
    for partner in meant(hub, arguments.partner.as_ref()).await? {
        let months = hub.examinable(&partner).await?;
        for month in months.into_iter().filter(|month| arguments.month.is_none_or(|only| only == *month)) {
            match (look(hub, &partner, month).await, arguments.format) {
                (Ok((examined, looked)), Format::Text) => show(&partner.id, month, &examined, &looked),
                (Ok((examined, looked)), Format::Json) => {
                    told.push(tell(partner.id.clone(), month, &examined, &looked));
                }
                (Err(error), _) => {
                    failed += 1;
                    eprintln!("{} {month}:", partner.id);
                    terminal::complain(&error);
                }
            }
        }
    }
    if arguments.format == Format::Json {
        say_json(&told);
    }
    if failed > 0 {
        bail!("{} not examined", counted(failed, "journal was", "journals were"));
    }
    Ok(())
}

async fn look(hub: &Hub, partner: &PartnerRow, month: Month) -> Result<(Examined, Vec<Looked>), ExamineError> {
    let examined = hub.examine(partner, month).await?;
    let looked = hub.looked_at(partner, month, &examined).await?;
    Ok((examined, looked))
}

fn show(partner: &SiteId, month: Month, Examined { zones, left_out, found }: &Examined, looked: &[Looked]) {
    let number = match found.findings.len() {
        0 => "no findings".to_owned(),
        some => counted(some, "finding", "findings"),
    };
    let entries = counted(found.entries, "entry", "entries");
    say!("{partner} {month}: {number} in {entries}; hours of {}", names(zones));
    for part in left_out {
        say!("  {part}");
    }
    for Looked { digest, finding, accepted } in looked {
        let (rule, id) = (finding.rule(), short(*digest));
        say!("  {id}  {}  {:<11}  {:<11}  {finding}", span(finding), rule.name(), rule.severity().word());
        if let Some(reason) = accepted {
            say!("    accepted: {reason}");
        }
    }
}

/// The names of the zones by whose clocks a month's hours are cut: one, but where the contract's changes within the month.
fn names(zones: &[Zone]) -> String {
    zones.iter().map(Zone::name).collect::<Vec<_>>().join(", then ")
}

/// From when to when, the day once where it is the same.
fn span(finding: &Finding) -> String {
    let (from, until) = (finding.from(), finding.until());
    let end = if from.date() == until.date() { "      %H:%M" } else { "%m-%d %H:%M" };
    format!("{} to {}", from.strftime("%Y-%m-%d %H:%M"), until.strftime(end))
}

fn tell(partner: SiteId, month: Month, Examined { zones, left_out, found }: &Examined, looked: &[Looked]) -> Told {
    let part = |part: &LeftOut| ToldPart { period: part.period.key(), why: part.why.to_string() };
    Told {
        left_out: left_out.iter().map(part).collect(),
        partner,
        month,
        zones: zones.iter().map(|zone| zone.name().to_owned()).collect(),
        entries: found.entries,
        other_month: found.other_month,
        rules: Rule::ALL.into_iter().map(Rule::name).collect(),
        findings: looked.iter().map(tell_finding).collect(),
    }
}

fn tell_finding(Looked { digest, finding, accepted }: &Looked) -> ToldFinding {
    let rule = finding.rule();
    ToldFinding {
        digest: digest.to_string(),
        rule: rule.name(),
        severity: rule.severity().word(),
        from: finding.from(),
        until: finding.until(),
        figures: finding.figures().into_iter().map(|(name, figure)| (name, number(figure))).collect(),
        sentence: finding.to_string(),
        accepted: accepted.clone(),
    }
}

/// A whole number as a number, another as the text of a fraction: nothing is rounded.
fn number(figure: Figure) -> serde_json::Value {
    figure.integer().map_or_else(|| figure.to_string().into(), Into::into)
}
