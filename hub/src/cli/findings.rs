//! `tieup log findings`: what in the fetched journals is worth a question, for the fee manager.

use std::collections::BTreeMap;

use anyhow::bail;
use clap::Args;
use jiff::civil::DateTime;
use serde::Serialize;
use tieup_fees::Finding;
use tieup_fees::findings::{Figure, Rule};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_web::{say, terminal};

use super::Format;
use super::logs::meant;
use super::site::say_json;
use crate::findings::Examined;
use crate::partners::Hub;

#[derive(Args)]
pub(super) struct FindingsArguments {
    /// Only this partner's.
    partner: Option<SiteId>,
    /// Only this month, such as 2026-11; else every month that was fetched, or in which beacons were counted.
    #[arg(long)]
    month: Option<Month>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A month of a partner, for programs.
#[derive(Serialize)]
struct Told {
    partner: SiteId,
    month: Month,
    zone: String,
    entries: u64,
    other_month: u64,
    rules: Vec<&'static str>,
    findings: Vec<ToldFinding>,
}

/// A finding, for programs.
#[derive(Serialize)]
struct ToldFinding {
    rule: &'static str,
    severity: &'static str,
    /// What the clocks of the zone show where it begins, and where it ends.
    from: DateTime,
    until: DateTime,
    figures: BTreeMap<&'static str, serde_json::Value>,
    sentence: String,
}

/// Tells what is found. Findings are no failure; a journal that cannot be examined is one, and holds up no other.
pub(super) async fn findings(hub: &Hub, arguments: &FindingsArguments) -> anyhow::Result<()> {
    let (mut told, mut failed) = (Vec::new(), 0);
    for partner in meant(hub, arguments.partner.as_ref()).await? {
        let months = hub.examinable(&partner).await?;
        for month in months.into_iter().filter(|month| arguments.month.is_none_or(|only| only == *month)) {
            match (hub.examine(&partner, month).await, arguments.format) {
                (Ok(examined), Format::Text) => show(&partner.id, month, &examined),
                (Ok(examined), Format::Json) => told.push(tell(partner.id.clone(), month, &examined)),
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
        bail!("{failed} journals were not examined");
    }
    Ok(())
}

fn show(partner: &SiteId, month: Month, Examined { zone, found }: &Examined) {
    let number = match found.findings.len() {
        0 => "no findings".to_owned(),
        1 => "1 finding".to_owned(),
        more => format!("{more} findings"),
    };
    say!("{partner} {month}: {number} in {} entries; hours of {}", found.entries, zone.name());
    for finding in &found.findings {
        let rule = finding.rule();
        say!("  {}  {:<11}  {:<11}  {finding}", span(finding), rule.name(), rule.severity().word());
    }
}

/// From when to when, the day once where it is the same.
fn span(finding: &Finding) -> String {
    let (from, until) = (finding.from(), finding.until());
    let end = if from.date() == until.date() { "      %H:%M" } else { "%m-%d %H:%M" };
    format!("{} to {}", from.strftime("%Y-%m-%d %H:%M"), until.strftime(end))
}

fn tell(partner: SiteId, month: Month, Examined { zone, found }: &Examined) -> Told {
    Told {
        partner,
        month,
        zone: zone.name().to_owned(),
        entries: found.entries,
        other_month: found.other_month,
        rules: Rule::ALL.into_iter().map(Rule::name).collect(),
        findings: found.findings.iter().map(tell_finding).collect(),
    }
}

fn tell_finding(finding: &Finding) -> ToldFinding {
    let rule = finding.rule();
    ToldFinding {
        rule: rule.name(),
        severity: rule.severity().word(),
        from: finding.from(),
        until: finding.until(),
        figures: finding.figures().into_iter().map(|(name, figure)| (name, number(figure))).collect(),
        sentence: finding.to_string(),
    }
}

/// A whole number as a number, another as the text of a fraction: nothing is rounded.
fn number(figure: Figure) -> serde_json::Value {
    figure.integer().map_or_else(|| figure.to_string().into(), Into::into)
}
