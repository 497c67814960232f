//! Strikes: entries of a log that both sides agree to leave out of account. One side proposes them by their numbers and a
//! checkpoint of the log, the other answers; both stand in the audit trails of both sides before they take effect. The log
//! itself never changes.

mod kept;
mod numbers;
mod telling;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::dispute::{Decision, checked_words};
use crate::period::Month;

pub use self::kept::{KeptStrike, MAX_WAITING, Waiting, by_month, is_new, named};
pub use self::numbers::{InvalidNumbers, MAX_ENTRIES, MAX_RANGES, Numbers};
pub use self::telling::{TELLING, Untaken};

/// POST a [`Strike`] to the other end, to propose it.
pub const STRIKES: &str = "/v3/strikes";
/// POST a [`StrikeAnswer`] to the end that proposed.
pub const STRIKE_ANSWERS: &str = "/v3/strikes/answer";

/// The kind of refusal of an answer to a strike that is not known: whoever proposed it has put another in its place.
pub const UNKNOWN_STRIKE: &str = "unknown-strike";

/// What is said of a strike that was agreed on and is of a log that is not here any more.
pub const PUT_ASIDE: &str =
    "it has no effect: the log that it is of was put aside, and the one in its place has other entries";

/// The beginning of a log: so many entries, with this root hash. There are no other entries that it can mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// How many entries.
    pub size: u64,
    /// Their root hash, as a signed checkpoint has it.
    pub root: String,
}

/// Which side did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The main site.
    Main,
    /// The partner.
    Partner,
}

/// Entries that one side proposes to leave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strike {
    /// The month of the log.
    pub month: Month,
    /// The origin of the log.
    pub log: String,
    /// The beginning of the log that the entries are in. A strike from before checkpoints were told has none: it stands
    /// as it was agreed on, and no new one is taken without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// The numbers of the entries.
    pub entries: Numbers,
    /// Why, in the words of whoever proposes.
    pub reason: String,
    /// Who proposes.
    pub by: Party,
    /// When.
    pub proposed: Timestamp,
}

/// What the other side says of a strike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrikeAnswer {
    /// The digest of the strike.
    pub strike: Digest,
    /// Whether it is agreed on.
    pub decision: Decision,
    /// Why, in the words of whoever answers.
    pub answer: String,
    /// When.
    pub decided: Timestamp,
}

/// Why a strike is not taken, or an answer to it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StrikeRefused {
    /// It is of another log than the one that the month is charged by.
    #[error("{0} is not charged by the log {1}")]
    OtherLog(Month, String),
    /// It does not say in which entries its numbers count.
    #[error(
        "it names no checkpoint of the log: the program that proposed it is from before those, and is to be updated"
    )]
    NoCheckpoint,
    /// It is of more entries than both sides have.
    #[error("it is of the first {of} entries of the log, and there are {size} here that both sides have signed")]
    Unsigned {
        /// How many it is of.
        of: u64,
        /// How many there are.
        size: u64,
    },
    /// The entries that it is of are not those that are here.
    #[error("the first {0} entries of the log are not here those that it is of: its numbers would mean other visits")]
    OtherEntries(u64),
    /// It names entries that are not there.
    #[error("it names entry {last}, and there are {size} that both sides have signed, counted from 0")]
    Beyond {
        /// The last number that it names.
        last: u64,
        /// How many entries there are.
        size: u64,
    },
    /// It comes from the wrong side.
    #[error("a strike is answered by the side that did not propose it")]
    OwnSide,
    /// The words cannot be kept.
    #[error("the words cannot be taken: {0}")]
    Words(String),
    /// No such strike is known.
    #[error("no strike {0} is known")]
    Unknown(String),
    /// It was answered otherwise.
    #[error("strike {0} was answered before")]
    Answered(Digest),
    /// It is known already.
    #[error("strike {0} is known already: a claim asks for one that was not proposed before")]
    Known(Digest),
    /// Too many wait.
    #[error("{MAX_WAITING} strikes wait for an answer already")]
    TooManyWait,
}

impl StrikeRefused {
    /// The stable name of this kind of refusal, as it is told.
    pub fn kind(&self) -> &'static str {
        if matches!(self, Self::Unknown(_)) { UNKNOWN_STRIKE } else { "not-struck" }
    }
}

impl Party {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Partner => "the partner",
        }
    }
}

impl Strike {
    /// Its digest, by which it is answered, and which statements name: of its text, which has the log with the checkpoint,
    /// the numbers, who proposed it when, and why.
    pub fn digest(&self) -> Digest {
        let Self { log, entries, by, proposed, reason, .. } = self;
        let (version, checkpoint) = match &self.checkpoint {
            None => (1, String::new()),
            Some(Checkpoint { size, root }) => (2, format!("checkpoint {size} {root}\n")),
        };
        let (of, by) = (format!("log {log}\n{checkpoint}entries {entries}"), by.word());
        let text = format!("tieup-strike/{version}\n{of}\nby {by} at {proposed}\nbecause {reason}\n");
        Digest::of(text.as_bytes())
    }

    /// Whether it can be taken: it is of entries of the log `origin` that both sides hold, of which they have signed `size`;
    /// `root_at` tells the root hash of the first so many of them.
    ///
    /// # Errors
    /// What is wrong with it, or why the log cannot be read.
    pub fn check<E: From<StrikeRefused>>(
        &self,
        origin: &str,
        size: u64,
        root_at: impl FnOnce(u64) -> Result<String, E>,
    ) -> Result<(), E> {
        let Checkpoint { size: of, root } = self.check_numbers(origin, size)?;
        if root_at(*of)? == *root { Ok(()) } else { Err(StrikeRefused::OtherEntries(*of).into()) }
    }

    /// Whether its numbers are within the log. Returns the checkpoint that they are of.
    fn check_numbers(&self, origin: &str, size: u64) -> Result<&Checkpoint, StrikeRefused> {
        checked_words(&self.reason).map_err(StrikeRefused::Words)?;
        if self.log != origin {
            return Err(StrikeRefused::OtherLog(self.month, self.log.chars().take(80).collect()));
        }
        let checkpoint = self.checkpoint.as_ref().ok_or(StrikeRefused::NoCheckpoint)?;
        let (last, of) = (self.entries.last(), checkpoint.size);
        match of {
            _ if of > size => Err(StrikeRefused::Unsigned { of, size }),
            _ if last >= of => Err(StrikeRefused::Beyond { last, size: of }),
            _ => Ok(checkpoint),
        }
    }

    /// Whether it is of the log whose root hash of the first so many entries `root_at` tells, if it has that many. One from
    /// before checkpoints were told is of whatever log has its name.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn is_of<E>(&self, root_at: impl FnOnce(u64) -> Result<Option<String>, E>) -> Result<bool, E> {
        let Some(Checkpoint { size, root }) = &self.checkpoint else { return Ok(true) };
        Ok(root_at(*size)?.is_some_and(|found| found == *root))
    }

    /// It in a sentence, for audit trails. What is long is cut short there; the digest names all of it.
    pub fn sentence(&self) -> String {
        let entries: String = self.entries.to_string().chars().take(200).collect();
        format!("strike {}: {}, entries {entries}: {}", self.digest(), self.month, self.reason)
    }
}

impl StrikeAnswer {
    /// It in a sentence, for audit trails.
    pub fn sentence(&self) -> String {
        format!("strike {}: {}: {}", self.strike, self.decision.word(), self.answer)
    }
}

/// The numbers that are struck out by all of `strikes` together.
pub fn together<'a>(strikes: impl IntoIterator<Item = &'a Strike>) -> BTreeSet<u64> {
    strikes.into_iter().flat_map(|strike| strike.entries.iter()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn strike(entries: &str) -> Strike {
        Strike {
            month: "2026-11".parse().unwrap(),
            log: "main/shop/2026-11".to_owned(),
            checkpoint: Some(Checkpoint { size: 3, root: "root3".to_owned() }),
            entries: entries.parse().unwrap(),
            reason: "a robot of ours".to_owned(),
            by: Party::Main,
            proposed: "2026-12-01T00:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_strike_is_of_entries_that_are_there() {
        let check = |strike: &Strike, origin: &str, size| {
            strike.check(origin, size, |of| Ok::<_, StrikeRefused>(format!("root{of}")))
        };
        let (three, log) = (strike("0,2"), "main/shop/2026-11");
        assert_eq!((check(&three, log, 3), check(&three, log, 4)), (Ok(()), Ok(())));
        assert_eq!(check(&three, log, 2), Err(StrikeRefused::Unsigned { of: 3, size: 2 }));
        assert_eq!(check(&strike("0,3"), log, 9), Err(StrikeRefused::Beyond { last: 3, size: 3 }));
        assert!(matches!(check(&three, "main/shop/2026-12", 3), Err(StrikeRefused::OtherLog(..))));
        let silent = Strike { reason: " ".to_owned(), ..three.clone() };
        assert!(matches!(check(&silent, log, 3), Err(StrikeRefused::Words(_))));
        let from_before = Strike { checkpoint: None, ..three.clone() };
        assert_eq!(check(&from_before, log, 3), Err(StrikeRefused::NoCheckpoint));
        let of =
            |root: &str| Strike { checkpoint: Some(Checkpoint { size: 3, root: root.to_owned() }), ..three.clone() };
        assert_eq!(check(&of("another"), log, 3), Err(StrikeRefused::OtherEntries(3)));
        // Where the log is another one by now, it means nothing.
        let is_of = |strike: &Strike, root: Option<&str>| {
            strike.is_of(|_| Ok::<_, StrikeRefused>(root.map(str::to_owned))).unwrap()
        };
        assert!(is_of(&three, Some("root3")) && !is_of(&three, Some("another")) && !is_of(&three, None));
        assert!(is_of(&from_before, Some("another")));
        // Each names other entries, and a strike from before keeps the digest that statements have of it.
        let digests = [&three, &strike("0,1"), &of("another"), &from_before].map(Strike::digest);
        assert!((0..4).all(|one| !digests[one + 1..].contains(&digests[one])));
        let text = "tieup-strike/1\nlog main/shop/2026-11\nentries 0,2\nby main at 2026-12-01T00:00:00Z\n\
                    because a robot of ours\n";
        assert_eq!(from_before.digest(), Digest::of(text.as_bytes()));
    }
}
