//! `tieup fee strike` and `tieup fee strikes`: entries that both sides agree to leave out.

use anyhow::bail;
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
use crate::database::PartnerRow;
use crate::partners::Hub;
use crate::statements::StatementFailure;

/// What is told of a strike that is agreed on, where the partner's books cannot be read.
const UNKNOWN: &str = "whether it has effect cannot be told: the partner's books cannot be read";

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
    list(hub, arguments).await
}

/// Lists strikes, partner by partner: where the books of one cannot be read, those of the others are told all the same.
///
/// # Errors
/// When the strikes or books of a partner cannot be read, which is told with what to do.
async fn list(hub: &Hub, arguments: &StrikesArguments) -> anyhow::Result<()> {
    let partners = match &arguments.partner {
        Some(partner) => vec![hub.partner(partner).await?],
        None => hub.database.partners().await?,
    };
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for row in partners {
        match hub.database.strikes_of(&row.id).await {
            Ok(mut strikes) => {
                strikes.retain(|kept| arguments.month.is_none_or(|only| only == kept.strike.month));
                let (told, failure) = told_of(hub, &row, strikes).await;
                found.extend(told);
                broken.extend(failure.map(|error| (row.id, anyhow::Error::from(error))));
            }
            Err(error) => broken.push((row.id, error.into())),
        }
    }
    if arguments.format == Format::Json {
        say_json(&found);
    } else if found.is_empty() && broken.is_empty() {
        say!("Nothing is proposed to be struck out.");
    } else {
        found.iter().for_each(show);
    }
    complain(broken)
}

/// The strikes of a partner as they are told, and why its books cannot be read, where they cannot.
async fn told_of(hub: &Hub, row: &PartnerRow, strikes: Vec<KeptStrike>) -> (Vec<Told>, Option<StatementFailure>) {
    let (without, failure) = match hub.without_effect(row, &strikes).await {
        Ok(without) => (without, None),
        Err(failure) => {
            let unknown = |kept: &KeptStrike| (kept.strike.digest(), UNKNOWN.to_owned());
            (strikes.iter().filter(|kept| kept.takes_effect()).map(unknown).collect(), Some(failure))
        }
    };
    let told = |strike: KeptStrike| {
        let digest = strike.strike.digest();
        let without_effect = without.get(&digest).cloned();
        Told { partner: row.id.clone(), digest: digest.to_string(), strike, without_effect }
    };
    (strikes.into_iter().map(told).collect(), failure)
}

/// Says whose books are `broken`, why, and what to do.
///
/// # Errors
/// When any are.
fn complain(broken: Vec<(SiteId, anyhow::Error)>) -> anyhow::Result<()> {
    if broken.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = broken.iter().map(|(partner, _)| format!("`{partner}`")).collect();
    for (partner, error) in broken {
        terminal::complain(error.context(format!("the books of `{partner}` cannot be read")).as_ref());
    }
    bail!(
        "not all is known of the strikes of {}: mend what is named above, and put back from a backup what is damaged in the \
         database; until then no statement of theirs is made either",
        names.join(", ")
    )
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
