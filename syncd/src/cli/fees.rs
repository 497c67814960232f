//! `syncd fee`: main's statements are verified and disputed.

use clap::{Subcommand, ValueEnum};
use tieup_protocol::dispute::{Decision, checked_words};
use tieup_protocol::period::{Month, Period};
use tieup_protocol::record::{Region, Sale, Word};
use tieup_protocol::strike::{KeptStrike, Numbers, Party};
use tieup_protocol::wire::StatementVerdict;
use tieup_web::{say, terminal};

use super::told::minute;
use crate::control::{Answer, Command};

#[derive(Subcommand)]
pub(super) enum FeeAction {
    /// Compute a month's statement yourself, compare it byte for byte with the one that main sent and signed, and where
    /// they differ find the first hour and entry that do.
    Verify {
        /// The month, such as 2026-11, or a part of it that has its own statement, such as 2026-11-01_2026-11-15.
        month: Period,
    },
    /// List a month's sales that fees go by, as the main site told them with its statement.
    Sales {
        /// The month, such as 2026-11.
        #[arg(long)]
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
        /// Entries that main is asked to strike out, by their numbers as `syncd log export` writes them, such as 3,7-9: they
        /// are, where main accepts the dispute.
        #[arg(long)]
        strike: Option<Numbers>,
    },
    /// Propose to the main site to leave entries of the log out of account. They are struck out once it agrees; where the
    /// month was issued, the next statement corrects it.
    Strike {
        /// The month of the log, such as 2026-11.
        #[arg(long)]
        month: Month,
        /// The numbers of the entries, counted from 0 as `syncd log export` writes them, such as 3,7-9.
        #[arg(long)]
        entries: Numbers,
        /// Why, for the main site's people, in at most 500 characters.
        #[arg(long, value_parser = checked_words)]
        reason: String,
    },
    /// List what is proposed to be struck out and what was agreed on, or answer a proposal of the main site's.
    Strikes {
        /// Answer this one, by the beginning of its digest.
        #[arg(long, requires_all = ["decision", "answer"])]
        strike: Option<String>,
        /// Whether the entries are left out.
        #[arg(long, value_enum, requires = "strike")]
        decision: Option<Verdict>,
        /// Why, for the main site's people, in at most 500 characters.
        #[arg(long, value_parser = checked_words, requires = "strike")]
        answer: Option<String>,
    },
}

/// What the operator says of a strike.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Verdict {
    /// The entries are left out.
    Accepted,
    /// They count.
    Rejected,
}

impl FeeAction {
    /// What to ask of the daemon.
    pub(super) fn command(&self) -> Command {
        match self {
            Self::Verify { month } => Command::VerifyFee { period: *month },
            Self::Sales { month } => Command::Sales { period: *month },
            Self::Dispute { month, reason, strike } => {
                Command::DisputeFee { period: *month, reason: reason.clone(), strike: strike.clone() }
            }
            Self::Strike { month, entries, reason } => {
                Command::ProposeStrike { month: *month, entries: entries.clone(), reason: reason.clone() }
            }
            Self::Strikes { strike: Some(strike), decision: Some(decision), answer: Some(answer) } => {
                let decision = match decision {
                    Verdict::Accepted => Decision::Accepted,
                    Verdict::Rejected => Decision::Rejected,
                };
                Command::AnswerStrike { strike: strike.clone(), decision, answer: answer.clone() }
            }
            Self::Strikes { .. } => Command::Strikes,
        }
    }
}

/// Says what the daemon answered.
pub(super) fn show(answer: &Answer) {
    match answer {
        Answer::Fee { statement, verdict, issued, located, record, holdings, not_located, dispute } => {
            terminal::say(statement);
            match issued {
                Some(issued) => say!("issued, and signed by the main site at {}", minute(*issued)),
                None => say!("a draft: it is not signed, and changes until it is issued"),
            }
            say!("{}", describe(verdict));
            if let Some(located) = located {
                terminal::say(&located.to_string());
            }
            if let Some(record) = record {
                terminal::say(&record.to_string());
            }
            if let Some(holdings) = holdings {
                terminal::say(&holdings.to_string());
            }
            let is_found = located.is_some() || record.is_some() || holdings.is_some() || !not_located.is_empty();
            if matches!(verdict, StatementVerdict::Different { .. }) && !is_found {
                say!("Both sides count the same visits, hour by hour: they differ in terms or words.");
            }
            if !not_located.is_empty() {
                say!("It was not found where they differ: {}", not_located.join(": "));
            }
            if let Some(dispute) = dispute {
                terminal::say(&dispute.to_string());
            }
        }
        Answer::Sales { period, sales } => show_sales(*period, sales),
        Answer::Disputed { dispute } => {
            terminal::say(&dispute.to_string());
            say!("The main site has taken the dispute. Its answer: syncd fee verify {}", dispute.claim.period.key());
        }
        Answer::Strikes { strikes, .. } if strikes.is_empty() => say!("Nothing is proposed to be struck out."),
        Answer::Strikes { strikes, without_effect } => {
            for kept in strikes {
                show_strike(kept, without_effect.get(&kept.strike.digest()));
            }
        }
        _ => {}
    }
}

fn show_sales(period: Period, sales: &[Sale]) {
    if sales.is_empty() {
        say!("The main site has told no sale of {period}. It tells them with its statement.");
    }
    for Sale { id, kind, amount, units, goods, via: _, collected, time, region } in sales {
        let goods = goods.as_ref().map_or("-", Word::as_str);
        let region = region.as_ref().map_or("-", Region::as_str);
        let collected = collected.map_or_else(String::new, |collected| format!(", {collected} collected"));
        say!("{time} {id} {kind}: {amount}, {units} of {goods}, {region}{collected}");
    }
}

fn show_strike(kept: &KeptStrike, without_effect: Option<&String>) {
    terminal::say(&kept.to_string());
    if let Some(why) = without_effect {
        say!("  {why}");
    }
    if kept.answer.is_none() && kept.strike.by == Party::Main {
        let id: String = kept.strike.digest().hex().chars().take(12).collect();
        say!("  answer: syncd fee strikes --strike {id} --decision accepted|rejected --answer \"...\"");
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
