//! `tieup fee`: statements are shown and issued, disputes answered.

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use tieup_fees::{Charged, Ungoverned};
use tieup_protocol::decimal::Decimal;
use tieup_protocol::dispute::{Decision, Dispute, checked_words};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Period;
use tieup_protocol::record::{InvalidWord, Word};
use tieup_protocol::wire::{StatementNotice, StatementVerdict};
use tieup_store::journal::months;
use tieup_web::terminal::counted;
use tieup_web::{say, terminal};

use super::Format;
use super::logs::meant;
use super::progress::Watched;
use super::report::{ReportArguments, report};
use super::sales::existing;
use super::simulate::{SimulateArguments, simulate};
use super::site::say_json;
use super::strikes::{StrikeArguments, StrikesArguments, strike, strikes};
use crate::catalogue::{Asked, Published};
use crate::database::{PartnerRow, Tally};
use crate::paper::Paper;
use crate::partners::Hub;
use crate::payments::Paid;
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
        /// Only for this month, such as 2026-11, or for a part of it that has its own statement, such as
        /// 2026-11-01_2026-11-15; one that was issued before is handed over again.
        #[arg(long)]
        month: Option<Period>,
        /// Accept what holds the statement back, for this reason, which main's audit trail keeps: somebody has looked at
        /// the findings (tieup log findings).
        #[arg(long, value_name = "REASON", value_parser = checked_words, requires_all = ["partner", "month"])]
        reviewed: Option<String>,
    },
    /// Show a month of all partners side by side: their accesses, what their fees are made up of, and what their own pages
    /// contribute. Statements that were not issued are drafts. Nothing is kept, and nobody is asked.
    Report(ReportArguments),
    /// Simulate what a partner's last months would have cost under another contract, or with other visits to its originals,
    /// line by line beside what they do cost. Nothing is kept, and nobody is asked.
    Simulate(SimulateArguments),
    /// Note the advertisements on a partner's pages and what you offer in limited number, from a day on. Your audit trail has
    /// it, and statements go by what was said last before their month ends.
    Catalogue(CatalogueArguments),
    /// Note what a partner paid in advance for a month that was not issued. Its statement takes it off what is due, and your
    /// audit trail has it.
    Paid(PaidArguments),
    /// List what partners dispute of the statements that were issued to them, or answer it.
    Disputes(DisputeArguments),
    /// Propose to a partner to leave entries of its log out of account, by their numbers. They are struck out once the
    /// partner agrees; where the month was issued, the next statement corrects it.
    Strike(StrikeArguments),
    /// List what is proposed to be struck out and what was agreed on, or answer a partner's proposal.
    Strikes(StrikesArguments),
}

#[derive(Args)]
pub(super) struct CatalogueArguments {
    /// The partner.
    partner: SiteId,
    /// From which day on, such as 2026-11-01.
    #[arg(long, required_unless_present = "ask", conflicts_with = "ask")]
    since: Option<Date>,
    /// How many advertisements of yours are on its pages.
    #[arg(long, value_name = "NUMBER", requires_all = ["ads_partner", "since"], required_unless_present_any = ["offered", "ask"])]
    ads_main: Option<u64>,
    /// How many of its own are.
    #[arg(long, value_name = "NUMBER", requires = "ads_main")]
    ads_partner: Option<u64>,
    /// How many units you offer of goods, such as lantern=40; once for each kind of goods.
    #[arg(long, value_name = "GOODS=UNITS", value_parser = parse_offered, requires = "since")]
    offered: Vec<(Word, u64)>,
    /// Ask the partner again how much its site held when this month, or period, ended.
    #[arg(long, value_name = "MONTH")]
    ask: Option<Period>,
    /// What was said of a month that was issued was wrong. The next statement charges the difference.
    #[arg(long)]
    correct: bool,
}

fn parse_offered(text: &str) -> Result<(Word, u64), String> {
    let (goods, units) = text.split_once('=').ok_or("write it like lantern=40")?;
    let units = units.parse().map_err(|_| format!("{units:?} is no whole number of units"))?;
    Ok((goods.parse().map_err(|error: InvalidWord| error.to_string())?, units))
}

#[derive(Args)]
pub(super) struct PaidArguments {
    /// The partner.
    partner: SiteId,
    /// The month that it is for, such as 2026-11, or the part of one that has its own statement, such as
    /// 2026-11-01_2026-11-15.
    #[arg(long)]
    month: Period,
    /// How much, in major units of the contract's currency, such as 50000 or 12.50; 0 takes the payment back.
    #[arg(long)]
    amount: Decimal,
    /// The payment's name in one word, by which it counts once: that of the bank transfer, say.
    #[arg(long)]
    reference: Word,
    /// The payment is in the record with another amount, and this one is right.
    #[arg(long)]
    correct: bool,
}

#[derive(Args)]
pub(super) struct DisputeArguments {
    /// Only this partner's.
    partner: Option<SiteId>,
    /// Only this month, such as 2026-11, or part of one, such as 2026-11-01_2026-11-15.
    #[arg(long)]
    month: Option<Period>,
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
pub(super) enum Verdict {
    /// The claim holds.
    Accepted,
    /// The statement is right.
    Rejected,
}

impl Verdict {
    /// The decision that it says.
    pub(super) fn decision(self) -> Decision {
        match self {
            Self::Accepted => Decision::Accepted,
            Self::Rejected => Decision::Rejected,
        }
    }
}

#[derive(Args)]
pub(super) struct StatementArguments {
    /// The partner.
    partner: SiteId,
    /// The month, such as 2026-11, or a part of it that has its own statement, such as 2026-11-01_2026-11-15; else the
    /// newest month of which a journal was fetched. Of a month in parts all statements are written as text.
    #[arg(value_name = "MONTH")]
    of: Option<Period>,
    /// The same, by name.
    #[arg(long, conflicts_with = "of")]
    month: Option<Period>,
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
        FeeAction::Issue { partner, month, reviewed } => {
            issue(hub, partner.as_ref(), *month, reviewed.as_deref()).await
        }
        FeeAction::Report(arguments) => report(hub, arguments).await,
        FeeAction::Simulate(arguments) => simulate(hub, arguments).await,
        FeeAction::Catalogue(arguments) => catalogue(hub, arguments).await,
        FeeAction::Paid(arguments) => paid(hub, arguments).await,
        FeeAction::Disputes(arguments) => disputes(hub, arguments).await,
        FeeAction::Strike(arguments) => strike(hub, arguments).await,
        FeeAction::Strikes(arguments) => strikes(hub, arguments).await,
    }
}

async fn statement(hub: &Hub, arguments: &StatementArguments) -> anyhow::Result<()> {
    let partner = hub.partner(&arguments.partner).await?;
    let asked = match arguments.of.or(arguments.month) {
        Some(period) => period,
        None => newest(hub, &partner)?,
    };
    if arguments.layout != Layout::Text {
        return write(hub, &partner, asked, arguments.layout).await;
    }
    let mut judged = Ok(());
    for period in meant_by(hub, &partner, asked).await? {
        let watched = Watched::begin(hub);
        let delivered = hub.statement(&partner, period, Timestamp::now()).await?;
        drop(watched);
        terminal::say(&delivered.notice.statement);
        say!("{}", standing_words(&partner, period, delivered.standing));
        if delivered.standing != Standing::Issued
            && let Some(held) = hub.held(&partner, &hub.made(&partner, period).await?.0).await?
        {
            say!("it will be held back: {held}");
        }
        judged = judged.and(judge(&partner, period, &delivered.verdict));
    }
    judged
}

/// The periods that are meant by `asked`: those of a month that has several, where it is the month.
async fn meant_by(hub: &Hub, partner: &PartnerRow, asked: Period) -> anyhow::Result<Vec<Period>> {
    if !asked.is_whole() {
        return Ok(vec![asked]);
    }
    match hub.periods(partner, asked.month()).await {
        // What is to be said of it is said where the statement is made.
        Err(StatementFailure::Ungoverned(Ungoverned::NoContract)) => Ok(vec![asked]),
        periods => Ok(Some(periods?).filter(|periods| !periods.is_empty()).unwrap_or_else(|| vec![asked])),
    }
}

/// Writes out the statement as it was issued, or as a draft, from what is here.
async fn write(hub: &Hub, partner: &PartnerRow, period: Period, layout: Layout) -> anyhow::Result<()> {
    let watched = Watched::begin(hub);
    let (made, notice) = hub.made(partner, period).await?;
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
fn newest(hub: &Hub, partner: &PartnerRow) -> anyhow::Result<Period> {
    let newest = months(&hub.mirrors(partner))?.pop().map(Period::from);
    newest.with_context(|| format!("no journal of `{}` has been fetched: tieup log fetch {0}", partner.id))
}

fn standing_words(partner: &PartnerRow, period: Period, standing: Standing) -> String {
    match standing {
        Standing::Open { closes } => {
            format!("a draft: it can be issued from {} on", closes.strftime("%Y-%m-%d %H:%M UTC"))
        }
        Standing::Due => {
            format!("a draft of a month that is closed: tieup fee issue {} --month {}", partner.id, period.key())
        }
        Standing::Issued => "issued and signed".to_owned(),
    }
}

/// Says what the partner computes; another statement is a failure.
fn judge(partner: &PartnerRow, period: Period, verdict: &StatementVerdict) -> anyhow::Result<()> {
    match verdict {
        StatementVerdict::Identical => say!("{} {period}: identical", partner.id),
        StatementVerdict::Different { line, main, partner: theirs } => {
            bail!("`{}` computes another statement: line {line} is {main:?} here and {theirs:?} there", partner.id)
        }
    }
    Ok(())
}

async fn issue(hub: &Hub, only: Option<&SiteId>, month: Option<Period>, reviewed: Option<&str>) -> anyhow::Result<()> {
    let (mut issued, mut failed) = (0, 0);
    for partner in meant(hub, only).await? {
        for period in periods_to_issue(hub, &partner, month).await? {
            match issue_period(hub, &partner, period, reviewed).await {
                Ok(()) => issued += 1,
                Err(error) => {
                    failed += 1;
                    eprintln!("{} {period}:", partner.id);
                    terminal::complain(error.as_ref());
                }
            }
        }
    }
    if failed > 0 {
        let failed = counted(failed, "statement was", "statements were");
        bail!("{failed} not issued, or not taken as they are");
    }
    if issued == 0 {
        say!("Nothing is due.");
    }
    Ok(())
}

async fn periods_to_issue(hub: &Hub, partner: &PartnerRow, month: Option<Period>) -> anyhow::Result<Vec<Period>> {
    match month {
        Some(asked) => meant_by(hub, partner, asked).await,
        None => match hub.due_statements(partner, Timestamp::now()).await {
            // Nothing can be due from who has approved nothing yet.
            Err(StatementFailure::Ungoverned(Ungoverned::NoContract)) => Ok(Vec::new()),
            due => Ok(due?),
        },
    }
}

/// Issues a statement and hands it over. One that could not be handed over is issued all the same.
async fn issue_period(hub: &Hub, partner: &PartnerRow, period: Period, reviewed: Option<&str>) -> anyhow::Result<()> {
    let now = Timestamp::now();
    if let Err(error) = hub.status(partner).await {
        terminal::complain(&error);
        eprintln!("{}: not reached; what it approved is taken from the record here", partner.id);
    } else if let Err(error) = hub.fetch_audit(partner).await {
        terminal::complain(&error);
    }
    if let Some(reason) = reviewed {
        let number = hub.accept_all(partner, period, reason, now).await?;
        say!("{} {period}: {number} findings accepted", partner.id);
    }
    let watched = Watched::begin(hub);
    let notice = hub.issue(partner, period, now).await.map_err(|error| with_way_out(error, partner, period))?;
    drop(watched);
    let due = notice.statement.lines().last().unwrap_or_default().to_owned();
    say!("{} {period}: issued; {due}", partner.id);
    if let Some(unsigned) = unsigned_terms(hub, partner, &notice)? {
        say!("{unsigned}");
    }
    let delivered = hub.hand_over(partner, notice, now).await;
    let delivered = delivered.context("it is issued, and can be handed over again by the same command")?;
    judge(partner, period, &delivered.verdict)
}

/// What is to be said where the partner's signature under the contract of a statement is not here.
fn unsigned_terms(hub: &Hub, partner: &PartnerRow, notice: &StatementNotice) -> anyhow::Result<Option<String>> {
    let Some(charged) = Charged::read(&notice.statement) else { return Ok(None) };
    let signed = tokio::task::block_in_place(|| hub.signed_terms(partner, &charged.contract))?;
    let said = format!(
        "Note: that `{0}` took the contract of this statement is not signed by it here; it is once its audit trail is fetched: \
         tieup audit {0}",
        partner.id
    );
    Ok(signed.is_none().then_some(said))
}

/// What is held back, with what to do about it.
fn with_way_out(error: StatementFailure, partner: &PartnerRow, period: Period) -> anyhow::Error {
    let (id, month, key) = (&partner.id, period.month(), period.key());
    match error {
        StatementFailure::Held { .. } => anyhow::anyhow!(
            "{error}\nlook at them, then accept each: tieup log findings {id} --month {month} --accept ID --reason \"...\",\n\
             where a month is corrected by that one; or all that hold it back: tieup fee issue {id} --month {key} \
             --reviewed \"...\""
        ),
        other => other.into(),
    }
}

async fn catalogue(hub: &Hub, arguments: &CatalogueArguments) -> anyhow::Result<()> {
    let CatalogueArguments { partner, since, ads_main, ads_partner, offered, ask, correct } = arguments;
    let (row, existing, now) = (hub.partner(partner).await?, existing(*correct), Timestamp::now());
    if let Some(period) = ask {
        let came = match hub.ask_again(&row, *period, existing, now).await? {
            Asked::NotCharged => "nobody was asked: the contract does not charge by it",
            Asked::Unchanged => "it stands in the record as the partner says",
            Asked::Noted => "noted, as the partner says",
        };
        let is_open = hub.contract(partner).is_some_and(|contract| now < period.end(&contract.effective.tz));
        let what = if is_open { format!("holds now, in {period}") } else { format!("held when {period} ended") };
        say!("{partner}: what its site {what}: {came}");
    }
    if let Some(since) = since {
        let published = Published { ads: ads_main.zip(*ads_partner), offered: offered.clone() };
        hub.note_published(&row, *since, &published, existing, now).await?;
        say!("{partner}: noted from {since} on");
        if let Some(unused) = hub.unused_catalogue(&row, &published).await? {
            say!("note: {unused}");
        }
    }
    Ok(())
}

async fn paid(hub: &Hub, arguments: &PaidArguments) -> anyhow::Result<()> {
    let PaidArguments { partner, month, amount, reference, correct } = arguments;
    let row = hub.partner(partner).await?;
    let paid = Paid { period: *month, reference: reference.clone(), amount: *amount };
    let tally = hub.note_payment(&row, paid, existing(*correct), Timestamp::now()).await?;
    let noted = if tally == (Tally { unchanged: 1, ..Tally::default() }) { "noted before" } else { "noted" };
    say!("{partner} {month}: {amount} paid in advance, {reference}: {noted}");
    Ok(())
}

/// A dispute, for programs.
#[derive(Serialize)]
struct ToldDispute {
    partner: SiteId,
    #[serde(flatten)]
    dispute: Dispute,
}

async fn disputes(hub: &Hub, arguments: &DisputeArguments) -> anyhow::Result<()> {
    if let DisputeArguments { partner: Some(partner), month: Some(period), answer: Some(answer), decision, .. } =
        arguments
    {
        let decision = decision.map_or(Decision::Rejected, Verdict::decision);
        let row = hub.partner(partner).await?;
        let ruling = hub.rule(&row, *period, (decision, answer), Timestamp::now()).await?;
        say!("{partner} {period}: {}, and the partner is told", ruling.decision.word());
        return Ok(());
    }
    let meant = |(partner, dispute): &(SiteId, Dispute)| {
        arguments.partner.as_ref().is_none_or(|only| only == partner)
            && arguments.month.is_none_or(|only| holds(only, dispute.claim.period))
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

/// Whether `period` is meant by `asked`: the same, or a part of the month.
fn holds(asked: Period, period: Period) -> bool {
    asked == period || asked.is_whole() && asked.month() == period.month()
}

fn show_dispute(partner: &SiteId, dispute: &Dispute) {
    let period = dispute.claim.period;
    terminal::say(&format!("{partner} {period}: {dispute}"));
    if let StatementVerdict::Different { line, main, partner } = &dispute.claim.verdict {
        say!("  line {line} is {main:?} here and {partner:?} there");
    }
    if let Some(located) = &dispute.claim.located {
        terminal::say(&located.to_string());
    }
    if dispute.ruling.is_none() {
        let month = period.key();
        say!("  answer: tieup fee disputes {partner} --month {month} --decision accepted|rejected --answer \"...\"");
    }
}
