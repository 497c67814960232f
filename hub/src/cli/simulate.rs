//! `tieup fee simulate`: what a partner's last months would have cost otherwise, line by line.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use tieup_fees::money::Exact;
use tieup_fees::simulation::{Change, Compared};
use tieup_protocol::contract::Contract;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Period;
use tieup_web::say;

use super::Format;
use super::site::say_json;
use crate::partners::Hub;
use crate::simulation::{Simulated, Supposition};

#[derive(Args)]
pub(super) struct SimulateArguments {
    /// The partner.
    partner: SiteId,
    /// The contract that the months are charged under in the simulation; it need not be in force.
    #[arg(long, required_unless_present = "originals")]
    contract: Option<PathBuf>,
    /// By how much visits to original pages change, such as +20% or -5%.
    #[arg(long, allow_hyphen_values = true)]
    originals: Option<Change>,
    /// How many months: the last ones of which a journal was fetched.
    #[arg(long, default_value_t = 3)]
    months: usize,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A simulated month, for programs.
#[derive(Serialize)]
struct Told {
    #[serde(rename = "month")]
    period: Period,
    contract: String,
    simulated_contract: String,
    currency: &'static str,
    lines: Vec<ToldLine>,
    total: String,
    simulated_total: String,
}

/// A line of it, its amounts exact.
#[derive(Serialize)]
struct ToldLine {
    line: String,
    now: Option<String>,
    simulated: Option<String>,
    difference: String,
}

pub(super) async fn simulate(hub: &Hub, arguments: &SimulateArguments) -> anyhow::Result<()> {
    let partner = hub.partner(&arguments.partner).await?;
    let contract = arguments.contract.as_ref().map(|file| {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        Contract::parse(&file.display().to_string(), &text).map_err(|error| anyhow::anyhow!("{error}"))
    });
    let supposition = Supposition { contract: contract.transpose()?, originals: arguments.originals };
    let simulated = hub.simulate(&partner, &supposition, arguments.months).await?;
    if simulated.is_empty() {
        bail!("no journal of `{}` has been fetched: tieup log fetch {0}", partner.id);
    }
    match arguments.format {
        Format::Text => simulated.iter().for_each(|month| show(month, arguments.originals)),
        Format::Json => say_json(&simulated.iter().map(tell).collect::<Vec<_>>()),
    }
    Ok(())
}

fn show(Simulated { period, now, other, bills }: &Simulated, originals: Option<Change>) {
    let visits = originals.map(|change| format!(", visits to originals {:+}%", change.percent())).unwrap_or_default();
    let code = bills.now.currency().code();
    say!("{period}: {now} as it is, beside {other}{visits}; in {code}");
    say!("  {:<24} {:>18} {:>18} {:>18}", "", "now", "simulated", "difference");
    for line in &bills.lines {
        let amount = |amount: &Option<Exact>| amount.as_ref().map_or_else(|| "-".to_owned(), Exact::to_string);
        row(&line.id, &amount(&line.now), &amount(&line.simulated), &signed(&line.difference()));
    }
    let difference = bills.simulated.exact() - &bills.now.exact();
    row("total", &bills.now.digits(), &bills.simulated.digits(), &signed(&difference));
}

fn row(label: &str, now: &str, simulated: &str, difference: &str) {
    say!("  {label:<24} {now:>18} {simulated:>18} {difference:>18}");
}

/// A difference with its sign.
fn signed(difference: &Exact) -> String {
    if difference.is_negative() || difference.is_zero() { difference.to_string() } else { format!("+{difference}") }
}

fn tell(Simulated { period, now, other, bills }: &Simulated) -> Told {
    let line = |line: &Compared| ToldLine {
        line: line.id.clone(),
        now: line.now.as_ref().map(Exact::to_string),
        simulated: line.simulated.as_ref().map(Exact::to_string),
        difference: line.difference().to_string(),
    };
    Told {
        period: *period,
        contract: now.clone(),
        simulated_contract: other.clone(),
        currency: bills.now.currency().code(),
        lines: bills.lines.iter().map(line).collect(),
        total: bills.now.digits(),
        simulated_total: bills.simulated.digits(),
    }
}
