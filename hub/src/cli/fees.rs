//! `tieup fee`: statements are shown and issued, disputes answered.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use tieup_protocol::dispute::{Decision, Dispute, checked_words};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::wire::StatementVerdict;
use tieup_store::journal::months;
use tieup_web::{say, terminal};

use super::Format;
use super::logs::meant;
use super::progress::Watched;
use super::report::{ReportArguments, report};
use super::simulate::{SimulateArguments, simulate};
use super::site::say_json;
use crate::database::PartnerRow;
use crate::paper::Paper;
use crate::partners::Hub;
use crate::statements::{Standing, StatementFailure};

#[derive(Subcommand)]
pub(super) enum FeeAction {
    /// Show a month's statement, hand it to the partner and show its verdict: a draft until the statement is issued.
    Statement(StatementArguments),
    /// Issue what is due: sign each statement whose month and days of grace are over, keep it for good, and hand it to its
    /// partner. What is issued never changes; what comes later is corrected in the statement after it.
    Issue {
        /// Only to this partner.
        partner: Option<SiteId>,
        /// Only for this month, such as 2026-11; one that was issued before is handed over again.
        #[arg(long)]
        month: Option<Month>,
    },
    /// Show a month of all partners side by side: their accesses, what their fees are made up of, and what their own pages
    /// contribute. Statements that were not issued are drafts. Nothing is kept, and nobody is asked.
    Report(ReportArguments),
    /// Simulate what a partner's last months would have cost under another contract, or with other visits to its originals,
    /// line by line beside what they do cost. Nothing is kept, and nobody is asked.
    Simulate(SimulateArguments),
    /// List what partners dispute of the statements that were issued to them, or answer it.
    Disputes(DisputeArguments),
}

#[derive(Args)]
pub(super) struct DisputeArguments {
    /// Only this partner's.
    partner: Option<SiteId>,
    /// Only this month, such as 2026-11.
    #[arg(long)]
    month: Option<Month>,
    /// Answer the dispute of the partner and the month, in at most 500 characters.
    #[arg(long, value_parser = checked_words, requires_all = ["partner", "month", "decision"])]
    answer: Option<String>,
    /// Whether the claim holds; what is not right is then corrected in the next statement.
    #[arg(long, value_enum, requires = "answer")]
    decision: Option<Verdict>,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Main's decision of a dispute.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verdict {
    /// The claim holds.
    Accepted,
    /// The statement is right.
    Rejected,
}

#[derive(Args)]
pub(super) struct StatementArguments {
    /// The partner.
    partner: SiteId,
    /// The month, such as 2026-11; else the newest of which a journal was fetched.
    #[arg(value_name = "MONTH")]
    of: Option<Month>,
    /// The same, by name.
    #[arg(long, conflicts_with = "of")]
    month: Option<Month>,
    /// How it is written. As text it is handed to the partner, whose verdict is shown; otherwise nobody is asked.
    #[arg(long = "as", value_enum, default_value_t = Layout::Text)]
    layout: Layout,
}

/// How a statement, or a report, is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Layout {
    /// As text.
    Text,
    /// A page to look at and to print, with charts.
    Html,
    /// Comma-separated lines.
    Csv,
    /// A JSON document.
    Json,
}

pub(super) async fn fee(hub: &Hub, action: &FeeAction) -> anyhow::Result<()> {
    match action {
        FeeAction::Statement(arguments) => statement(hub, arguments).await,
        FeeAction::Issue { partner, month } => issue(hub, partner.as_ref(), *month).await,
        FeeAction::Report(arguments) => report(hub, arguments).await,
        FeeAction::Simulate(arguments) => simulate(hub, arguments).await,
        FeeAction::Disputes(arguments) => disputes(hub, arguments).await,
    }
}

async fn statement(hub: &Hub, arguments: &StatementArguments) -> anyhow::Result<()> {
    let partner = hub.partner(&arguments.partner).await?;
    let month = match arguments.of.or(arguments.month) {
        Some(month) => month,
        None => newest(hub, &partner)?,
    };
    if arguments.layout != Layout::Text {
        return write(hub, &partner, month, arguments.layout).await;
    }
    let watched = Watched::begin(hub);
    let delivered = hub.statement(&partner, month, Timestamp::now()).await?;
    drop(watched);
    terminal::say(&delivered.notice.statement);
    say!("{}", standing_words(&partner, month, delivered.standing));
    judge(&partner, month, &delivered.verdict)
}

/// Writes out the statement as it was issued, or as a draft, from what is here.
async fn write(hub: &Hub, partner: &PartnerRow, month: Month, layout: Layout) -> anyhow::Result<()> {
    let watched = Watched::begin(hub);
    let (made, notice) = hub.made(partner, month).await?;
    drop(watched);
    let (status, note) = (notice.status, notice.note.as_deref());
    let paper = Paper { partner: &partner.id, made: &made, status, note };
    match layout {
        Layout::Html => terminal::say(&paper.html()?),
        Layout::Csv => terminal::say(&paper.csv()),
        Layout::Json => say_json(&paper.json()),
        Layout::Text => terminal::say(&notice.statement),
    }
    Ok(())
}

/// The newest month of which a journal was fetched.
fn newest(hub: &Hub, partner: &PartnerRow) -> anyhow::Result<Month> {
    let newest = months(&hub.mirrors(partner))?.pop();
    newest.with_context(|| format!("no journal of `{}` has been fetched: tieup log fetch {0}", partner.id))
}

fn standing_words(partner: &PartnerRow, month: Month, standing: Standing) -> String {
    match standing {
        Standing::Open { closes } => {
            format!("a draft: it can be issued from {} on", closes.strftime("%Y-%m-%d %H:%M UTC"))
        }
        Standing::Due => format!("a draft of a month that is closed: tieup fee issue {} --month {month}", partner.id),
        Standing::Issued => "issued and signed".to_owned(),
    }
}

/// Says what the partner computes; another statement is a failure.
fn judge(partner: &PartnerRow, month: Month, verdict: &StatementVerdict) -> anyhow::Result<()> {
    match verdict {
        StatementVerdict::Identical => say!("{} {month}: identical", partner.id),
        StatementVerdict::Different { line, main, partner: theirs } => {
            bail!("`{}` computes another statement: line {line} is {main:?} here and {theirs:?} there", partner.id)
        }
    }
    Ok(())
}

async fn issue(hub: &Hub, only: Option<&SiteId>, month: Option<Month>) -> anyhow::Result<()> {
    let (mut issued, mut failed) = (0, 0);
    for partner in meant(hub, only).await? {
        for month in months_to_issue(hub, &partner, month).await? {
            match issue_month(hub, &partner, month).await {
                Ok(()) => issued += 1,
                Err(error) => {
                    failed += 1;
                    eprintln!("{} {month}:", partner.id);
                    terminal::complain(error.as_ref());
                }
            }
        }
    }
    if failed > 0 {
        bail!("{failed} statements were not issued, or not taken as they are");
    }
    if issued == 0 {
        say!("Nothing is due.");
    }
    Ok(())
}

async fn months_to_issue(hub: &Hub, partner: &PartnerRow, month: Option<Month>) -> anyhow::Result<Vec<Month>> {
    match month {
        Some(month) => Ok(vec![month]),
        None => match hub.due_statements(partner, Timestamp::now()).await {
            // Nothing can be due from who has approved nothing yet.
            Err(StatementFailure::NoContract) => Ok(Vec::new()),
            due => Ok(due?),
        },
    }
}

/// Issues a statement and hands it over. One that could not be handed over is issued all the same.
async fn issue_month(hub: &Hub, partner: &PartnerRow, month: Month) -> anyhow::Result<()> {
    let now = Timestamp::now();
    if let Err(error) = hub.status(partner).await {
        terminal::complain(&error);
        eprintln!("{}: not reached; what it approved is taken from the record here", partner.id);
    }
    let watched = Watched::begin(hub);
    let notice = hub.issue(partner, month, now).await?;
    drop(watched);
    let due = notice.statement.lines().last().unwrap_or_default().to_owned();
    say!("{} {month}: issued; {due}", partner.id);
    let delivered = hub.hand_over(partner, notice, now).await;
    let delivered = delivered.context("it is issued, and can be handed over again by the same command")?;
    judge(partner, month, &delivered.verdict)
}

/// A dispute, for programs.
#[derive(Serialize)]
struct ToldDispute {
    partner: SiteId,
    #[serde(flatten)]
    dispute: Dispute,
}

async fn disputes(hub: &Hub, arguments: &DisputeArguments) -> anyhow::Result<()> {
    if let DisputeArguments { partner: Some(partner), month: Some(month), answer: Some(answer), decision, .. } =
        arguments
    {
        let decision = match decision {
            Some(Verdict::Accepted) => Decision::Accepted,
            Some(Verdict::Rejected) | None => Decision::Rejected,
        };
        let row = hub.partner(partner).await?;
        let ruling = hub.rule(&row, *month, (decision, answer), Timestamp::now()).await?;
        say!("{partner} {month}: {}, and the partner is told", ruling.decision.word());
        return Ok(());
    }
    let meant = |(partner, dispute): &(SiteId, Dispute)| {
        arguments.partner.as_ref().is_none_or(|only| only == partner)
            && arguments.month.is_none_or(|only| only == dispute.claim.month)
    };
    let found: Vec<_> = hub.database.disputes().await?.into_iter().filter(meant).collect();
    if arguments.format == Format::Json {
        let told = found.into_iter().map(|(partner, dispute)| ToldDispute { partner, dispute });
        say_json(&told.collect::<Vec<_>>());
        return Ok(());
    }
    if found.is_empty() {
        say!("No statement is disputed.");
    }
    for (partner, dispute) in &found {
        show_dispute(partner, dispute);
    }
    Ok(())
}

fn show_dispute(partner: &SiteId, dispute: &Dispute) {
    let month = dispute.claim.month;
    terminal::say(&format!("{partner} {month}: {dispute}"));
    if let StatementVerdict::Different { line, main, partner } = &dispute.claim.verdict {
        say!("  line {line} is {main:?} here and {partner:?} there");
    }
    if let Some(located) = &dispute.claim.located {
        terminal::say(&located.to_string());
    }
    if dispute.ruling.is_none() {
        say!("  answer: tieup fee disputes {partner} --month {month} --decision accepted|rejected --answer \"...\"");
    }
}
