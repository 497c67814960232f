//! `tieup fee strike` and `tieup fee strikes`: entries that both sides agree to leave out.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use tieup_protocol::dispute::{Decision, checked_words};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::strike::{KeptStrike, Numbers, Party};
use tieup_web::{say, terminal};

use super::Format;
use super::fees::Verdict;
use super::site::say_json;
use crate::partners::Hub;

#[derive(Args)]
pub(super) struct StrikeArguments {
    /// The partner.
    partner: SiteId,
    /// The month of the log, such as 2026-11.
    #[arg(long)]
    month: Month,
    /// The numbers of the entries, counted from 0 as `tieup log export` writes them, such as 3,7-9.
    #[arg(long)]
    entries: Numbers,
    /// Why, for the partner's people, in at most 500 characters.
    #[arg(long, value_parser = checked_words)]
    reason: String,
}

#[derive(Args)]
pub(super) struct StrikesArguments {
    /// Only this partner's.
    partner: Option<SiteId>,
    /// Only of this month, such as 2026-11.
    #[arg(long)]
    month: Option<Month>,
    /// Answer this strike of the partner's, by the beginning of its digest.
    #[arg(long, requires_all = ["partner", "decision", "answer"])]
    strike: Option<String>,
    /// Whether the entries are left out.
    #[arg(long, value_enum, requires = "strike")]
    decision: Option<Verdict>,
    /// Why, for the partner's people, in at most 500 characters.
    #[arg(long, value_parser = checked_words, requires = "strike")]
    answer: Option<String>,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A strike, for programs.
#[derive(Serialize)]
struct Told {
    partner: SiteId,
    digest: String,
    #[serde(flatten)]
    strike: KeptStrike,
    /// Why it has no effect although it is agreed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_effect: Option<String>,
}

/// Proposes a strike to a partner.
pub(super) async fn strike(hub: &Hub, arguments: &StrikeArguments) -> anyhow::Result<()> {
    let StrikeArguments { partner, month, entries, reason } = arguments;
    let row = hub.partner(partner).await?;
    let strike = hub.propose_strike(&row, *month, (entries, reason), Timestamp::now()).await?;
    say!("{partner}: {} is proposed; it takes effect once the partner agrees", strike.digest());
    Ok(())
}

/// Lists strikes, or answers one.
pub(super) async fn strikes(hub: &Hub, arguments: &StrikesArguments) -> anyhow::Result<()> {
    if let StrikesArguments { partner: Some(partner), strike: Some(name), answer: Some(answer), decision, .. } =
        arguments
    {
        let decision = decision.map_or(Decision::Rejected, Verdict::decision);
        let row = hub.partner(partner).await?;
        let kept = hub.answer_strike(&row, name, (decision, answer), Timestamp::now()).await?;
        say!("{partner}: {} is {}, and the partner is told", kept.strike.digest(), decision.word());
        return Ok(());
    }
    let meant = |(partner, kept): &(SiteId, KeptStrike)| {
        arguments.partner.as_ref().is_none_or(|only| only == partner)
            && arguments.month.is_none_or(|only| only == kept.strike.month)
    };
    let mut found = Vec::new();
    for (partner, strike) in hub.database.strikes().await?.into_iter().filter(meant) {
        let without_effect = hub.without_effect(&partner, &strike).await?;
        found.push(Told { partner, digest: strike.strike.digest().to_string(), strike, without_effect });
    }
    if arguments.format == Format::Json {
        say_json(&found);
        return Ok(());
    }
    if found.is_empty() {
        say!("Nothing is proposed to be struck out.");
    }
    found.iter().for_each(show);
    Ok(())
}

fn show(Told { partner, strike: kept, without_effect, .. }: &Told) {
    terminal::say(&format!("{partner}: {kept}"));
    if let Some(why) = without_effect {
        say!("  {why}");
    }
    if kept.answer.is_none() && kept.strike.by == Party::Partner {
        let id: String = kept.strike.digest().hex().chars().take(12).collect();
        say!("  answer: tieup fee strikes {partner} --strike {id} --decision accepted|rejected --answer \"...\"");
    }
}
