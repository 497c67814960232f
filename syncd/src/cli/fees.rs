//! `syncd fee`: main's statements are verified and disputed.

use clap::Subcommand;
use tieup_protocol::dispute::checked_words;
use tieup_protocol::period::Period;
use tieup_protocol::wire::StatementVerdict;
use tieup_web::{say, terminal};

use super::minute;
use crate::control::{Answer, Command};

#[derive(Subcommand)]
pub(super) enum FeeAction {
    /// Compute a month's statement yourself, compare it byte for byte with the one that main sent and signed, and where
    /// they differ find the first hour and entry that do.
    Verify {
        /// The month, such as 2026-11, or a part of it that has its own statement, such as 2026-11-01_2026-11-15.
        month: Period,
    },
    /// Dispute a statement that was issued, within the time that the contract gives. The first difference that is found
    /// goes with it; the statement stays as it is, and what is not right is corrected in the next one.
    Dispute {
        /// The month, such as 2026-11, or a part of it that has its own statement, such as 2026-11-01_2026-11-15.
        #[arg(long)]
        month: Period,
        /// Why, for the main site's people, in at most 500 characters.
        #[arg(long, value_parser = checked_words)]
        reason: String,
    },
}

impl FeeAction {
    /// What to ask of the daemon.
    pub(super) fn command(&self) -> Command {
        match self {
            Self::Verify { month } => Command::VerifyFee { period: *month },
            Self::Dispute { month, reason } => Command::DisputeFee { period: *month, reason: reason.clone() },
        }
    }
}

/// Says what the daemon answered.
pub(super) fn show(answer: &Answer) {
    match answer {
        Answer::Fee { statement, verdict, issued, located, not_located, dispute } => {
            terminal::say(statement);
            match issued {
                Some(issued) => say!("issued, and signed by the main site at {}", minute(*issued)),
                None => say!("a draft: it is not signed, and changes until it is issued"),
            }
            say!("{}", describe(verdict));
            match (verdict, located) {
                (_, Some(located)) => terminal::say(&located.to_string()),
                (StatementVerdict::Different { .. }, None) if not_located.is_empty() => {
                    say!("Both sides count the same visits, hour by hour: they differ in terms or words.");
                }
                _ => {}
            }
            if !not_located.is_empty() {
                say!("It was not found where they differ: {}", not_located.join(": "));
            }
            if let Some(dispute) = dispute {
                terminal::say(&dispute.to_string());
            }
        }
        Answer::Disputed { dispute } => {
            terminal::say(&dispute.to_string());
            say!("The main site has taken the dispute. Its answer: syncd fee verify {}", dispute.claim.period.key());
        }
        _ => {}
    }
}

/// A verdict as people read it.
pub fn describe(verdict: &StatementVerdict) -> String {
    match verdict {
        StatementVerdict::Identical => "identical: main's statement and this partner's are the same bytes".to_owned(),
        StatementVerdict::Different { line, main, partner } => {
            format!("DIFFERENT from line {line} on\n  main:    {main}\n  partner: {partner}")
        }
    }
}
