//! Disputes: a partner claims that an issued statement is not right, main answers. The statement stays as it was issued.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::location::Located;
use crate::period::Period;
use crate::strike::{Strike, StrikeAnswer};
use crate::wire::StatementVerdict;

/// POST a [`Claim`] to hub, get an [`Opened`].
pub const DISPUTES: &str = "/v3/disputes";
/// POST a [`Ruling`] to syncd, when main has answered a dispute.
pub const RULING: &str = "/v3/disputes/ruling";

/// The kind of refusal of an answer to a dispute that the partner does not know: it has lost what it knew.
pub const UNKNOWN_DISPUTE: &str = "unknown-dispute";

/// The most characters of a reason, and of an answer.
pub const MAX_WORDS: usize = 500;

/// What a partner claims of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The period.
    #[serde(rename = "month")]
    pub period: Period,
    /// The digest of the statement's canonical bytes.
    pub statement: Digest,
    /// Why, in the operator's words.
    pub reason: String,
    /// How the partner's own statement compares.
    pub verdict: StatementVerdict,
    /// The first hour and entry that differ, where any do.
    #[serde(default)]
    pub located: Option<Located>,
    /// Entries that the partner asks to be struck out: they are, where main accepts the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strike: Option<Strike>,
}

/// That a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Since when.
    pub opened: Timestamp,
}

/// How main decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The claim holds: what is not right is corrected in the next statement.
    Accepted,
    /// The statement is right.
    Rejected,
}

/// Main's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ruling {
    /// The period.
    #[serde(rename = "month")]
    pub period: Period,
    /// The digest of the statement that was disputed.
    pub statement: Digest,
    /// The decision.
    pub decision: Decision,
    /// Why, in main's words.
    pub answer: String,
    /// When.
    pub decided: Timestamp,
}

/// A dispute, from its claim to its ruling, as each side keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// What is claimed.
    pub claim: Claim,
    /// When main took it.
    pub opened: Timestamp,
    /// Main's answer; none while it is open.
    pub ruling: Option<Ruling>,
    /// Since when main knows that the partner has the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Timestamp>,
}

impl Dispute {
    /// One that is opened at `now`.
    pub fn opened(claim: Claim, now: Timestamp) -> Self {
        Self { claim, opened: now, ruling: None, told: None }
    }

    /// Main's answer, where it is not known that the partner has it.
    pub fn untold(&self) -> Option<&Ruling> {
        self.ruling.as_ref().filter(|_| self.told.is_none())
    }
}

/// A text of at most [`MAX_WORDS`] characters that says something.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn checked_words(text: &str) -> Result<String, String> {
    let words = text.trim();
    match words.chars().count() {
        0 => Err("say why: the other side reads it".to_owned()),
        1..=MAX_WORDS => Ok(words.to_owned()),
        more => Err(format!("it has {more} characters, and may have {MAX_WORDS}")),
    }
}

impl Decision {
    /// It in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

impl Claim {
    /// It in a sentence, for audit trails.
    pub fn sentence(&self) -> String {
        let located = self.located.as_ref().map_or_else(String::new, |located| {
            let entry = located.entry.as_ref().map(|entry| format!(", entry {}", entry.number)).unwrap_or_default();
            format!("; first difference in the hour of {}{entry}", located.hour.strftime("%Y-%m-%d %H:%M"))
        });
        let strike = self.strike.as_ref().map_or_else(String::new, |strike| format!("; {}", strike.sentence()));
        format!("{}, statement {}: {}{located}{strike}", self.period, self.statement, self.reason)
    }
}

impl Ruling {
    /// What it says of a strike that the claim asked for.
    pub fn of_strike(&self, strike: &Strike) -> StrikeAnswer {
        let Self { decision, answer, decided, .. } = self;
        StrikeAnswer { strike: strike.digest(), decision: *decision, answer: answer.clone(), decided: *decided }
    }

    /// It in a sentence, for audit trails.
    pub fn sentence(&self) -> String {
        format!("{}, statement {}: {}: {}", self.period, self.statement, self.decision.word(), self.answer)
    }
}

impl fmt::Display for Dispute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minute = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
        writeln!(f, "disputed since {}: {}", minute(self.opened), self.claim.reason)?;
        if let Some(strike) = &self.claim.strike {
            writeln!(f, "  asks to strike out entries {}", strike.entries)?;
        }
        match &self.ruling {
            None => writeln!(f, "  not answered yet"),
            Some(Ruling { decision, answer, decided, .. }) => {
                writeln!(f, "  {} on {}: {answer}", decision.word(), minute(*decided))
            }
        }
    }
}
