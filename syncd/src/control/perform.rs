//! Doing what an operator asks, with the daemon's parts. Blocks.

use jiff::Timestamp;
use tieup_protocol::approval::{DecidedBy, ReleaseRecord};
use tieup_protocol::period::{Month, Period};
use tieup_protocol::strike::Numbers;
use tieup_protocol::wire::StatementVerdict;
use tieup_web::complaint::causes;
use tieup_web::console::gate::LINK_LIFETIME;
use tokio::runtime::Handle;

use super::{Answer, Command};
use crate::daemon::Partner;
use crate::location::LocateError;
use crate::publisher::PublishError;
use crate::statement::Verified;

/// Does what `command` says, and answers.
pub(super) fn perform(command: Command, partner: &Partner) -> Answer {
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
    let told = strikes.and_then(|strikes| {
        let without_effect = partner.without_effect(&strikes)?;
        Ok(Answer::Strikes { strikes, without_effect })
    });
    told.unwrap_or_else(|error| refused(&error))
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
            revoked: partner.revoked(),
            originals: partner.publisher().refused_originals().cloned(),
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
