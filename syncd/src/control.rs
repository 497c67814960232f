//! The operator's line to the running daemon: a socket in the state folder, which only its owner can open.
//!
//! One command a connection, one JSON document each way.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::approval::{DecidedBy, ReleaseRecord};
use tieup_protocol::difference::Difference;
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{Decision, Dispute};
use tieup_protocol::drift::GuardReport;
use tieup_protocol::ids::ReleaseVersion;
use tieup_protocol::location::{Located, LocatedHoldings};
use tieup_protocol::period::{Month, Period};
use tieup_protocol::record::{LocatedRecord, Sale};
use tieup_protocol::strike::{KeptStrike, Numbers};
use tieup_protocol::wire::{CollectedMonth, PartnerStatus, StatementVerdict};
use tieup_web::complaint::causes;
use tieup_web::console::gate::LINK_LIFETIME;
use tieup_web::listener::Shutdown;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;

use crate::daemon::Partner;
use crate::location::LocateError;
use crate::prompt::PromptStatus;
use crate::publisher::PublishError;
use crate::statement::Verified;

/// The most bytes of a command.
const MAX_COMMAND: u64 = 64 << 10;

/// What an operator may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// How things stand.
    Status,
    /// What a release would change; the staged one where none is named.
    Diff {
        /// The release.
        version: Option<ReleaseVersion>,
    },
    /// Make a staged release live.
    Approve {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
    },
    /// Let a release go live at a time.
    Schedule {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
        /// When.
        at: Timestamp,
    },
    /// Put a release aside.
    Hold {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
        /// Why.
        reason: Option<String>,
    },
    /// Let go of a held release.
    Release {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
    },
    /// What the changed originals that wait would change.
    DiffOriginals,
    /// Make the changed originals public.
    ApproveOriginals {
        /// What the operator has read about.
        digest: Digest,
    },
    /// Refuse a staged release.
    Reject {
        /// The release.
        version: ReleaseVersion,
        /// The manifest that the operator has read about.
        manifest: Digest,
        /// Why.
        reason: String,
    },
    /// Go back to an earlier release; the last one where none is named.
    RollBack {
        /// The release.
        version: Option<ReleaseVersion>,
    },
    /// Write a release into a folder; the live one where none is named.
    Export {
        /// The release.
        version: Option<ReleaseVersion>,
        /// The folder, which must not be there yet.
        to: PathBuf,
    },
    /// Make a one-time link that signs in to the console.
    SignIn,
    /// Declare an emergency.
    BeginEmergency {
        /// Why.
        reason: String,
    },
    /// End it.
    EndEmergency,
    /// Read everything that is stored, and mend what can be mended.
    Guard,
    /// Let main fetch what is new in the journal.
    ReturnJournal {
        /// This month alone.
        month: Option<Month>,
    },
    /// Fetch what is new in main's own log, verify it and cosign it.
    VerifyMainJournal,
    /// Compute a period's statement and compare it with main's.
    VerifyFee {
        /// The period.
        #[serde(rename = "month")]
        period: Period,
    },
    /// List the sales of a period that main has told.
    Sales {
        /// The period.
        period: Period,
    },
    /// Dispute main's statement for a period.
    DisputeFee {
        /// The period.
        #[serde(rename = "month")]
        period: Period,
        /// Why.
        reason: String,
        /// Entries that main is asked to strike out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strike: Option<Numbers>,
    },
    /// What is proposed to be struck out, and what was answered.
    Strikes,
    /// Propose to main to strike out entries.
    ProposeStrike {
        /// The month of the log.
        month: Month,
        /// Which entries.
        entries: Numbers,
        /// Why.
        reason: String,
    },
    /// Answer what main has proposed to strike out.
    AnswerStrike {
        /// Its digest, or the beginning of it.
        strike: String,
        /// Whether the entries are left out.
        decision: Decision,
        /// Why.
        answer: String,
    },
}

/// What the daemon answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Command::Status`], and to what an operator did about an emergency.
    Status {
        /// How things stand.
        status: Box<PartnerStatus>,
        /// How the operator was told of what waits, way by way.
        #[serde(default)]
        prompts: Vec<PromptStatus>,
        /// What is to be known of the certificate that visitors are shown, a sentence each. The command that asks adds it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        https: Vec<String>,
        /// What was refused of the main site's own log, a sentence each. The command that asks adds it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        main_log: Vec<String>,
    },
    /// To [`Command::Diff`].
    Diff {
        /// Edits in groups, and names.
        difference: Difference,
    },
    /// To [`Command::ApproveOriginals`].
    Originals {
        /// How many paths changed.
        paths: usize,
    },
    /// To [`Command::Guard`].
    Guard {
        /// What was found.
        report: GuardReport,
    },
    /// To a decision.
    Release {
        /// The release as it stands now.
        release: ReleaseRecord,
    },
    /// To [`Command::Export`].
    Exported {
        /// The release.
        version: ReleaseVersion,
        /// The folder.
        to: PathBuf,
        /// How many blobs it holds.
        blobs: usize,
    },
    /// To [`Command::SignIn`].
    SignIn {
        /// The link. Whoever opens it first may sign in.
        link: String,
        /// For how many minutes it is good.
        minutes: i64,
    },
    /// To [`Command::ReturnJournal`].
    Returned {
        /// What main has taken, month by month.
        months: Vec<CollectedMonth>,
    },
    /// To [`Command::VerifyMainJournal`].
    MainVerified {
        /// What was verified, month by month.
        months: Vec<CollectedMonth>,
    },
    /// To [`Command::VerifyFee`].
    Fee {
        /// The partner's own statement.
        statement: String,
        /// How it compares.
        verdict: StatementVerdict,
        /// When main signed its own; none for a draft.
        #[serde(default)]
        issued: Option<Timestamp>,
        /// The first hour and entry that differ, where any do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        located: Option<Box<Located>>,
        /// The first entry of main's record that it has otherwise now than it told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        record: Option<Box<LocatedRecord>>,
        /// How much the site held, where main goes by another size than is noted here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        holdings: Option<Box<LocatedHoldings>>,
        /// Why it is not known where they differ, outermost cause first; empty where it is.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        not_located: Vec<String>,
        /// The dispute of main's statement, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dispute: Option<Box<Dispute>>,
    },
    /// To [`Command::Sales`].
    Sales {
        /// The period.
        period: Period,
        /// The sales, by name.
        sales: Vec<Sale>,
    },
    /// To [`Command::DisputeFee`].
    Disputed {
        /// The dispute, which main has taken.
        dispute: Box<Dispute>,
    },
    /// To what is asked about strikes.
    Strikes {
        /// Those that are meant.
        strikes: Vec<KeptStrike>,
    },
    /// It was not done.
    Refused {
        /// The error and its causes, outermost first.
        causes: Vec<String>,
    },
}

/// Why a command got no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no daemon is running behind {0}: start it with `syncd run`")]
    NotRunning(String, #[source] io::Error),
    /// The line broke.
    #[error("the daemon did not answer")]
    Broken(#[from] io::Error),
}

/// Answers commands until `shutdown`.
pub async fn serve(listener: UnixListener, partner: Arc<Partner>, shutdown: Shutdown) {
    loop {
        let stream = tokio::select! {
            () = shutdown.wait() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "an operator's command was not accepted");
                    continue;
                }
            },
        };
        let partner = partner.clone();
        tokio::spawn(async move {
            if let Err(error) = converse(stream, &partner).await {
                tracing::debug!(%error, "an operator's command broke off");
            }
        });
    }
}

/// Sends a command to the daemon behind `socket` and waits for its answer.
///
/// # Errors
/// When no daemon is running there.
pub fn ask(socket: &Path, command: &Command) -> Result<Answer, AskError> {
    let stream = std::os::unix::net::UnixStream::connect(socket);
    let mut stream = stream.map_err(|error| AskError::NotRunning(socket.display().to_string(), error))?;
    let mut line = serde_json::to_vec(command).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer).map_err(io::Error::other)?)
}

async fn converse(stream: UnixStream, partner: &Arc<Partner>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    tokio::io::BufReader::new(reader.take(MAX_COMMAND)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(command) => tokio::task::block_in_place(|| perform(command, partner)),
        Err(error) => Answer::Refused { causes: vec![format!("the command cannot be read: {error}")] },
    };
    let mut bytes = serde_json::to_vec(&answer).map_err(io::Error::other)?;
    bytes.push(b'\n');
    writer.write_all(&bytes).await
}

fn perform(command: Command, partner: &Partner) -> Answer {
    let now = Timestamp::now();
    match command {
        Command::Status => done(Ok(()), partner),
        Command::Diff { version } => match partner.publisher().difference(version) {
            Ok(difference) => Answer::Diff { difference },
            Err(error) => refused(&error),
        },
        Command::DiffOriginals => match partner.publisher().originals_difference() {
            Ok(comparison) => Answer::Diff { difference: comparison.difference },
            Err(error) => refused(&error),
        },
        Command::ApproveOriginals { digest } => match partner.publisher().approve_originals(digest, now) {
            Ok(change) => Answer::Originals { paths: change.paths.len() },
            Err(error) => refused(&error),
        },
        Command::Schedule { version, manifest, at } => {
            decided(partner.publisher().schedule(version, manifest, DecidedBy::Operator, at, now))
        }
        Command::Hold { version, manifest, reason } => {
            decided(partner.publisher().hold(version, manifest, reason, now))
        }
        Command::Release { version, manifest } => decided(partner.publisher().release(version, manifest, now)),
        Command::Approve { version, manifest } => {
            decided(partner.publisher().approve(version, manifest, DecidedBy::Operator, now))
        }
        Command::Reject { version, manifest, reason } => {
            decided(partner.publisher().reject(version, manifest, reason, now))
        }
        Command::RollBack { version } => decided(partner.publisher().roll_back(version, now)),
        Command::Export { version, to } => match partner.export(version, &to) {
            Ok((version, blobs)) => Answer::Exported { version, to, blobs },
            Err(error) => refused(&error),
        },
        Command::SignIn => match partner.front().sign_in_link(now) {
            Ok(link) => Answer::SignIn { link, minutes: LINK_LIFETIME.as_mins() },
            Err(error) => refused(&error),
        },
        // Each in a statement of its own: how things stand is asked once the publisher is free again.
        Command::BeginEmergency { reason } => {
            let begun = partner.publisher().begin_emergency(reason, now);
            done(begun, partner)
        }
        Command::EndEmergency => {
            let ended = partner.publisher().end_emergency(now);
            done(ended, partner)
        }
        Command::Guard => match partner.guard().check(partner, now) {
            Ok(report) => Answer::Guard { report },
            Err(error) => refused(&error),
        },
        Command::ReturnJournal { month } => return_journal(month, partner),
        Command::VerifyMainJournal => verify_main_journal(partner),
        Command::VerifyFee { period } => verify_fee(partner, period),
        Command::Sales { period } => sales(partner, period),
        Command::DisputeFee { period, reason, strike } => dispute_fee(partner, period, (&reason, strike.as_ref()), now),
        Command::Strikes | Command::ProposeStrike { .. } | Command::AnswerStrike { .. } => {
            strikes(command, partner, now)
        }
    }
}

fn dispute_fee(partner: &Partner, period: Period, claimed: (&str, Option<&Numbers>), now: Timestamp) -> Answer {
    match Handle::current().block_on(partner.dispute_striking(period, claimed, now)) {
        Ok(dispute) => Answer::Disputed { dispute: Box::new(dispute) },
        Err(error) => refused(&error),
    }
}

/// What is asked about strikes.
fn strikes(command: Command, partner: &Partner, now: Timestamp) -> Answer {
    let runtime = Handle::current();
    let strikes = match command {
        Command::ProposeStrike { month, entries, reason } => {
            runtime.block_on(partner.propose_strike(month, (&entries, &reason), now)).map(|kept| vec![kept])
        }
        Command::AnswerStrike { strike, decision, answer } => {
            runtime.block_on(partner.answer_strike(&strike, (decision, &answer), now)).map(|kept| vec![kept])
        }
        _ => partner.strikes().map_err(Into::into),
    };
    match strikes {
        Ok(strikes) => Answer::Strikes { strikes },
        Err(error) => refused(&error),
    }
}

fn return_journal(month: Option<Month>, partner: &Partner) -> Answer {
    match Handle::current().block_on(partner.return_journal(month)) {
        Ok(months) => Answer::Returned { months },
        Err(error) => refused(&error),
    }
}

fn verify_main_journal(partner: &Partner) -> Answer {
    match Handle::current().block_on(partner.verify_main_journal()) {
        Ok(months) => Answer::MainVerified { months },
        Err(error) => refused(&error),
    }
}

fn sales(partner: &Partner, period: Period) -> Answer {
    match partner.sales(period) {
        Ok(sales) => Answer::Sales { period, sales },
        Err(error) => refused(&error),
    }
}

/// Main's statement held against the partner's own; where they differ, main is asked where.
fn verify_fee(partner: &Partner, period: Period) -> Answer {
    let verified = match partner.verify_statement(period) {
        Ok(verified) => verified,
        Err(error) => return refused(&error),
    };
    let located = match verified.verdict {
        StatementVerdict::Identical => Ok(None),
        StatementVerdict::Different { .. } => Handle::current().block_on(partner.locate(period)),
    };
    let record = match verified.verdict {
        StatementVerdict::Identical => Ok(None),
        StatementVerdict::Different { .. } => Handle::current().block_on(partner.locate_record(period)),
    };
    let holdings = match verified.verdict {
        StatementVerdict::Identical => Ok(None),
        StatementVerdict::Different { .. } => partner.locate_holdings(period).map_err(LocateError::from),
    };
    let errors = [located.as_ref().err(), record.as_ref().err(), holdings.as_ref().err()];
    let not_located = errors.into_iter().flatten().next().map_or_else(Vec::new, |error| told(error));
    let holdings = holdings.ok().flatten().map(Box::new);
    let record = record.ok().flatten().map(Box::new);
    let dispute = match partner.disputed(period) {
        Ok(dispute) => dispute.map(Box::new),
        Err(error) => return refused(&error),
    };
    let Verified { statement, verdict, issued } = verified;
    let located = located.ok().flatten().map(Box::new);
    Answer::Fee { statement: statement.text, verdict, issued, located, record, holdings, not_located, dispute }
}

/// What has become of a release.
fn decided(result: Result<ReleaseRecord, PublishError>) -> Answer {
    match result {
        Ok(release) => Answer::Release { release },
        Err(error) => refused(&error),
    }
}

/// How things stand after something was done.
fn done(result: Result<(), PublishError>, partner: &Partner) -> Answer {
    match result.map(|()| partner.status()) {
        Ok(Ok(status)) => Answer::Status {
            status: Box::new(status),
            prompts: partner.prompts(),
            https: Vec::new(),
            main_log: Vec::new(),
        },
        Ok(Err(error)) => refused(&error),
        Err(error) => refused(&error),
    }
}

fn refused(error: &(dyn std::error::Error + 'static)) -> Answer {
    Answer::Refused { causes: told(error) }
}

/// An error and its causes, outermost first.
fn told(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    causes(error).map(ToString::to_string).collect()
}
