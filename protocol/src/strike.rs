//! Strikes: entries of a log that both sides agree to leave out of account. One side proposes them by their numbers and a
//! checkpoint of the log, the other answers; both stand in the audit trails of both sides before they take effect. The log
//! itself never changes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::dispute::{Decision, checked_words};
use crate::period::Month;

/// POST a [`Strike`] to the other end, to propose it.
pub const STRIKES: &str = "/v3/strikes";
/// POST a [`StrikeAnswer`] to the end that proposed.
pub const STRIKE_ANSWERS: &str = "/v3/strikes/answer";

/// The most ranges of numbers of a strike.
pub const MAX_RANGES: usize = 1_000;

/// The most entries of a strike.
pub const MAX_ENTRIES: u64 = 1_000_000;

/// The most strikes of one side that wait for an answer.
pub const MAX_WAITING: usize = 100;

/// How long an answer that the other side has not got waits until it is told again, after so many `failures` in a row: ever
/// longer, and a day at most.
pub fn told_again_after(failures: u32) -> Duration {
    const FIRST: Duration = Duration::from_mins(20);
    const LONGEST: Duration = Duration::from_hours(24);
    FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST)
}

/// What is said of a strike that was agreed on and is of a log that is not here any more.
pub const PUT_ASIDE: &str =
    "it has no effect: the log that it is of was put aside, and the one in its place has other entries";

/// Numbers of entries, counted from 0, each once: `3,7-9`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Numbers {
    /// First and last, in their order, with a gap between each and the next.
    ranges: Vec<(u64, u64)>,
}

/// Why a text has no numbers of entries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumbers {
    /// It is written otherwise.
    #[error("`{0}` names no entries: write their numbers like 3,7-9, rising and none twice")]
    Spelling(String),
    /// There are too many.
    #[error("one strike names at most {MAX_ENTRIES} entries in {MAX_RANGES} ranges: make several of it")]
    TooMany,
}

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

/// A strike, from its proposal to its answer, as each side keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptStrike {
    /// What is proposed.
    pub strike: Strike,
    /// What the other side says; none while it has not answered.
    pub answer: Option<StrikeAnswer>,
    /// When both sides had the answer; main lets a strike take effect from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Timestamp>,
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

impl Numbers {
    /// The last number.
    pub fn last(&self) -> u64 {
        self.ranges.last().map_or(0, |(_, last)| *last)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }
}

impl FromStr for Numbers {
    type Err = InvalidNumbers;

    fn from_str(text: &str) -> Result<Self, InvalidNumbers> {
        let invalid = || InvalidNumbers::Spelling(text.chars().take(80).collect());
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (number(first).ok_or_else(invalid)?, number(last).ok_or_else(invalid)?);
            let follows = ranges.last().is_none_or(|(_, before)| *before < first);
            if !follows || last < first {
                return Err(invalid());
            }
            match ranges.last_mut() {
                Some((_, before)) if *before + 1 == first => *before = last,
                _ => ranges.push((first, last)),
            }
            if ranges.len() > MAX_RANGES || ranges.iter().any(|(first, last)| last - first >= MAX_ENTRIES) {
                return Err(InvalidNumbers::TooMany);
            }
        }
        let numbers = Self { ranges };
        if numbers.count() > MAX_ENTRIES { Err(InvalidNumbers::TooMany) } else { Ok(numbers) }
    }
}

fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    // One more than any must still be a number.
    text.parse().ok().filter(|number| is_plain && *number < u64::MAX)
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            if first == last { write!(f, "{comma}{first}")? } else { write!(f, "{comma}{first}-{last}")? }
        }
        Ok(())
    }
}

impl TryFrom<String> for Numbers {
    type Error = InvalidNumbers;

    fn try_from(text: String) -> Result<Self, InvalidNumbers> {
        text.parse()
    }
}

impl From<Numbers> for String {
    fn from(numbers: Numbers) -> Self {
        numbers.to_string()
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

impl KeptStrike {
    /// A strike that nobody has answered yet.
    pub fn proposed(strike: Strike) -> Self {
        Self { strike, answer: None, settled: None }
    }

    /// The same with `answer`, given by the side `by`. The same answer again changes nothing.
    ///
    /// # Errors
    /// When it was proposed by that side, or answered otherwise before.
    pub fn answered(&self, answer: &StrikeAnswer, by: Party) -> Result<Self, StrikeRefused> {
        if by == self.strike.by {
            return Err(StrikeRefused::OwnSide);
        }
        checked_words(&answer.answer).map_err(StrikeRefused::Words)?;
        match &self.answer {
            None => Ok(Self { answer: Some(answer.clone()), ..self.clone() }),
            Some(before) if (before.decision, &before.answer) == (answer.decision, &answer.answer) => Ok(self.clone()),
            Some(_) => Err(StrikeRefused::Answered(answer.strike)),
        }
    }

    /// The same, known by both sides since `now`, or since before.
    #[must_use]
    pub fn settled(self, now: Timestamp) -> Self {
        Self { settled: self.settled.or(Some(now)), ..self }
    }

    /// Whether main lets it take effect: it is agreed on, and both sides have the answer.
    pub fn takes_effect(&self) -> bool {
        self.is_agreed() && self.settled.is_some()
    }

    /// Whether it waits for an answer of `side`.
    pub fn waits_for(&self, side: Party) -> bool {
        self.answer.is_none() && self.strike.by != side
    }

    /// Whether `side` has answered it, and it is not known that the other side has the answer.
    pub fn is_untold(&self, side: Party) -> bool {
        self.answer.is_some() && self.settled.is_none() && self.strike.by != side
    }

    /// Whether both sides agree on it.
    pub fn is_agreed(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.decision == Decision::Accepted)
    }
}

/// What one side has proposed, and the other has not answered.
#[derive(Debug)]
pub struct Waiting<'a> {
    /// What is of entries that are here.
    open: Vec<&'a KeptStrike>,
    /// What nobody can take any more: it names no checkpoint, or the log is another by now.
    stale: Vec<&'a KeptStrike>,
}

impl<'a> Waiting<'a> {
    /// What the side `by` has proposed of the strikes that are `known`, where `is_in_place` says whether one is of the log
    /// that is here.
    pub fn of(known: &'a [KeptStrike], by: Party, is_in_place: impl Fn(&Strike) -> bool) -> Self {
        let waiting = known.iter().filter(|kept| kept.answer.is_none() && kept.strike.by == by);
        let is_open = |kept: &&KeptStrike| kept.strike.checkpoint.is_some() && is_in_place(&kept.strike);
        let (open, stale) = waiting.partition(is_open);
        Self { open, stale }
    }

    /// The one with these words, month, entries and reason, which can be told again.
    pub fn with_words(&self, (month, entries, reason): (Month, &Numbers, &str)) -> Option<&'a KeptStrike> {
        let is_same =
            |strike: &Strike| (strike.month, &strike.entries, strike.reason.as_str()) == (month, entries, reason);
        self.open.iter().copied().find(|kept| is_same(&kept.strike))
    }

    /// The one in whose place the new proposal `strike` comes: it names the same entries, and nobody can take it any more.
    pub fn replaced(&self, strike: &Strike) -> Option<&'a KeptStrike> {
        let is_same = |old: &Strike| (old.month, &old.entries) == (strike.month, &strike.entries);
        self.stale.iter().copied().find(|kept| is_same(&kept.strike))
    }

    /// Whether one more may wait. What nobody can take any more does not count.
    ///
    /// # Errors
    /// When [`MAX_WAITING`] do.
    pub fn check_room(&self) -> Result<(), StrikeRefused> {
        if self.open.len() < MAX_WAITING { Ok(()) } else { Err(StrikeRefused::TooManyWait) }
    }
}

/// Whether `strike`, which the side `by` proposes, is not among those that are `known` yet.
///
/// # Errors
/// When it is the other side's.
pub fn is_new(known: &[KeptStrike], strike: &Strike, by: Party) -> Result<bool, StrikeRefused> {
    let digest = strike.digest();
    if strike.by != by {
        return Err(StrikeRefused::OwnSide);
    }
    Ok(known.iter().all(|kept| kept.strike.digest() != digest))
}

/// The one of `strikes` whose digest begins with `name`, the word before its colon left out or not.
///
/// # Errors
/// When there is none, or more than one.
pub fn named<'a>(strikes: &'a [KeptStrike], name: &str) -> Result<&'a KeptStrike, StrikeRefused> {
    let is_meant = |kept: &&KeptStrike| {
        let digest = kept.strike.digest();
        name.len() >= 4 && (digest.to_string().starts_with(name) || digest.hex().starts_with(name))
    };
    let mut meant = strikes.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(kept), None) => Ok(kept),
        _ => Err(StrikeRefused::Unknown(name.chars().take(80).collect())),
    }
}

/// The numbers that are struck out by all of `strikes` together.
pub fn together<'a>(strikes: impl IntoIterator<Item = &'a Strike>) -> BTreeSet<u64> {
    strikes.into_iter().flat_map(|strike| strike.entries.iter()).collect()
}

impl fmt::Display for KeptStrike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Strike { month, entries, reason, by, proposed, checkpoint, .. } = &self.strike;
        let minute = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
        let id: String = self.strike.digest().hex().chars().take(12).collect();
        let of = checkpoint.as_ref().map(|of| format!(" of the first {}", of.size)).unwrap_or_default();
        writeln!(f, "strike {id}: {month}, {} entries{of}: {entries}", entries.count())?;
        writeln!(f, "  proposed by {} on {}: {reason}", by.word(), minute(*proposed))?;
        match &self.answer {
            None => writeln!(f, "  not answered yet"),
            Some(StrikeAnswer { decision, answer, decided, .. }) => {
                writeln!(f, "  {} on {}: {answer}", decision.word(), minute(*decided))?;
                match self.settled {
                    Some(_) => Ok(()),
                    None => writeln!(f, "  {} has not been told yet: it is told again by itself", by.word()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strike(entries: &str) -> Strike {
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
    fn numbers_are_written_in_their_order_and_none_twice() {
        let numbers: Numbers = "3,7-9,10,12".parse().unwrap();
        assert_eq!((numbers.to_string().as_str(), numbers.count(), numbers.last()), ("3,7-10,12", 6, 12));
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [3, 7, 8, 9, 10, 12]);
        for bad in ["", "3,", "9-7", "7,3", "3,3", "3-5,5", "-3", "+3", " 3", "3;4", "18446744073709551615"] {
            assert!(matches!(bad.parse::<Numbers>(), Err(InvalidNumbers::Spelling(_))), "{bad}");
        }
        let ranges = (0..=MAX_RANGES).map(|n| (n * 2).to_string()).collect::<Vec<_>>().join(",");
        for many in [ranges.as_str(), "0-1000000", "0-18446744073709551614", "0-700000,800000-1200000"] {
            assert_eq!(many.parse::<Numbers>(), Err(InvalidNumbers::TooMany));
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

    #[test]
    fn a_side_has_a_hundred_that_wait_at_most_and_the_same_again_is_one() {
        let of = |number: usize| Strike { reason: format!("robot {number}"), ..strike("1") };
        let mut known: Vec<KeptStrike> = (0..MAX_WAITING - 1).map(of).map(KeptStrike::proposed).collect();
        let room = |known: &[KeptStrike], by| Waiting::of(known, by, |_| true).check_room();
        assert_eq!((is_new(&known, &of(MAX_WAITING), Party::Main), room(&known, Party::Main)), (Ok(true), Ok(())));
        assert_eq!(is_new(&known, &of(3), Party::Main), Ok(false));
        assert_eq!(is_new(&known, &of(3), Party::Partner), Err(StrikeRefused::OwnSide));
        known.push(KeptStrike::proposed(of(MAX_WAITING)));
        assert_eq!(room(&known, Party::Main), Err(StrikeRefused::TooManyWait));
        // The other side's do not count, nor those that were answered.
        assert_eq!(room(&known, Party::Partner), Ok(()));
        let (entries, month) = ("1".parse().unwrap(), "2026-11".parse().unwrap());
        let words = (month, &entries, "robot 3");
        let waits = |known: &[KeptStrike]| Waiting::of(known, Party::Main, |_| true).with_words(words).is_some();
        assert!(waits(&known));
        let (decision, answer, decided) = (Decision::Rejected, "no".to_owned(), of(3).proposed);
        let answer = StrikeAnswer { strike: of(3).digest(), decision, answer, decided };
        known[3] = known[3].answered(&answer, Party::Partner).unwrap();
        assert_eq!((room(&known, Party::Main), waits(&known)), (Ok(()), false));
    }

    #[test]
    fn a_proposal_that_nobody_can_take_any_more_is_renewed_and_does_not_count() {
        let of = |number: usize| Strike { reason: format!("robot {number}"), ..strike("1") };
        let mut known: Vec<KeptStrike> = (0..MAX_WAITING).map(of).map(KeptStrike::proposed).collect();
        let words = |strike: &Strike| (strike.month, strike.entries.clone(), strike.reason.clone());
        known[7].strike.checkpoint = None;
        let other = Checkpoint { size: 2, root: "of another log".to_owned() };
        known[8].strike = Strike { checkpoint: Some(other.clone()), ..strike("0,1") };
        let waiting = Waiting::of(&known, Party::Main, |strike| strike.checkpoint.as_ref() != Some(&other));
        assert_eq!(waiting.check_room(), Ok(()));
        for stale in [&known[7], &known[8]] {
            let (month, entries, reason) = words(&stale.strike);
            assert_eq!(waiting.with_words((month, &entries, &reason)), None);
            let again = Strike { checkpoint: strike("1").checkpoint, ..stale.strike.clone() };
            assert_eq!(waiting.replaced(&again), Some(stale));
        }
        assert_eq!(waiting.replaced(&strike("2")), None);
    }

    #[test]
    fn what_the_other_side_has_not_got_is_told_again_ever_more_seldom_and_once_a_day_at_least() {
        let minutes = |failures| told_again_after(failures).as_secs() / 60;
        assert_eq!([0, 1, 2, 6, 7, u32::MAX].map(minutes), [20, 40, 80, 1280, 1440, 1440]);
    }

    #[test]
    fn the_side_that_did_not_propose_answers_once() {
        let kept = KeptStrike::proposed(strike("1"));
        let answer = |decision, words: &str| StrikeAnswer {
            strike: kept.strike.digest(),
            decision,
            answer: words.to_owned(),
            decided: "2026-12-02T00:00:00Z".parse().unwrap(),
        };
        let yes = answer(Decision::Accepted, "yes");
        assert_eq!(kept.answered(&yes, Party::Main), Err(StrikeRefused::OwnSide));
        let agreed = kept.answered(&yes, Party::Partner).unwrap();
        assert!(agreed.is_agreed() && !kept.is_agreed());
        assert_eq!(agreed.answered(&yes, Party::Partner), Ok(agreed.clone()));
        assert!(agreed.to_string().contains("1 entries of the first 3: 1\n") && !agreed.takes_effect());
        assert!(agreed.to_string().contains("main has not been told yet: it is told again by itself"));
        let by_partner = Strike { by: Party::Partner, ..kept.strike.clone() };
        let by_partner = KeptStrike { strike: by_partner, ..agreed.clone() };
        assert!(by_partner.to_string().contains("the partner has not been told yet: it is told again by itself"));
        let settled = agreed.clone().settled(yes.decided);
        assert!(!settled.to_string().contains("has not been told yet") && settled.takes_effect());
        assert!(agreed.is_untold(Party::Partner) && !agreed.is_untold(Party::Main));
        assert!(!settled.is_untold(Party::Partner) && !kept.is_untold(Party::Partner));
        let no = answer(Decision::Rejected, "no");
        assert!(matches!(agreed.answered(&no, Party::Partner), Err(StrikeRefused::Answered(_))));
        let all = [kept.clone(), KeptStrike::proposed(strike("2"))];
        let id = kept.strike.digest();
        assert_eq!(named(&all, &id.hex()[..12]).unwrap(), &kept);
        assert_eq!(named(&all, &id.to_string()).unwrap(), &kept);
        assert!(named(&all, "").is_err() && named(&all, "blake3:").is_err());
    }
}
