//! Strikes and their answers as each side keeps them, and those that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Numbers, Party, Strike, StrikeAnswer, StrikeRefused};
use crate::digest::Digest;
use crate::dispute::{Decision, checked_words};
use crate::period::Month;

/// The most strikes of one side that wait for an answer.
pub const MAX_WAITING: usize = 100;

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

    /// That the answer to it is dropped, in a sentence for audit trails.
    pub fn dropped_sentence(&self) -> String {
        let (strike, by) = (self.strike.digest(), self.strike.by.word());
        format!("strike {strike}: the answer is dropped, since {by} has no such proposal any more")
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

impl fmt::Display for KeptStrike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Strike { month, entries, reason, by, proposed, checkpoint, .. } = &self.strike;
        let minute = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
        let id: String = self.strike.digest().hex().chars().take(12).collect();
        let of = checkpoint.as_ref().map(|of| format!(" of the first {}", of.size)).unwrap_or_default();
        let noun = if entries.count() == 1 { "entry" } else { "entries" };
        writeln!(f, "strike {id}: {month}, {} {noun}{of}: {entries}", entries.count())?;
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

/// What one side has proposed, and the other has not answered.
#[derive(Debug)]
pub struct Waiting<'a> {
    /// What is of entries that are here.
    open: Vec<&'a KeptStrike>,
    /// What nobody can take any more: it names no checkpoint, or the log is another by now.
    stale: Vec<&'a KeptStrike>,
}

impl<'a> Waiting<'a> {
    /// What the side `by` has proposed of the strikes that are `known`, where `not_in_place` says which of a month are of
    /// another log than the one that is here. It is asked once a month, since it may read all of a log. Where it cannot say,
    /// none is given up.
    pub fn of<E>(
        known: &'a [KeptStrike],
        by: Party,
        not_in_place: impl Fn(Month, &[&'a Strike]) -> Result<Vec<&'a Strike>, E>,
    ) -> Self {
        let waiting = || known.iter().filter(|kept| kept.answer.is_none() && kept.strike.by == by);
        let months = by_month(waiting()).into_iter();
        let others = months.flat_map(|(month, strikes)| not_in_place(month, &strikes).unwrap_or_default());
        let others: BTreeSet<Digest> = others.map(Strike::digest).collect();
        let is_open = |kept: &&KeptStrike| kept.strike.checkpoint.is_some() && !others.contains(&kept.strike.digest());
        let (open, stale) = waiting().partition(is_open);
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

/// Strikes by the month whose log they are of.
pub fn by_month<'a>(strikes: impl Iterator<Item = &'a KeptStrike>) -> BTreeMap<Month, Vec<&'a Strike>> {
    let mut months: BTreeMap<Month, Vec<&Strike>> = BTreeMap::new();
    for KeptStrike { strike, .. } in strikes {
        months.entry(strike.month).or_default().push(strike);
    }
    months
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::super::tests::strike;
    use super::super::{Checkpoint, MAX_WAITING};
    use super::*;

    /// What waits where all is of the log that is here.
    fn in_place(known: &[KeptStrike], by: Party) -> Waiting<'_> {
        Waiting::of(known, by, |_, _| Ok::<_, Infallible>(Vec::new()))
    }

    #[test]
    fn however_many_strikes_of_a_month_wait_its_log_is_looked_at_once() {
        let of =
            |month: &str, entries| KeptStrike::proposed(Strike { month: month.parse().unwrap(), ..strike(entries) });
        let known = [of("2026-11", "0"), of("2026-12", "0"), of("2026-11", "1"), of("2026-11", "2")];
        let asked = RefCell::new(Vec::new());
        let waiting = Waiting::of(&known, Party::Main, |month, strikes| {
            asked.borrow_mut().push((month.to_string(), strikes.len()));
            let others = strikes.iter().filter(|strike| strike.entries.to_string() == "1").copied().collect();
            // Nobody can say it of the other month.
            if strikes.len() == 1 { Err("damaged") } else { Ok(others) }
        });
        assert_eq!(*asked.borrow(), [("2026-11".to_owned(), 3), ("2026-12".to_owned(), 1)]);
        let is_open = |kept: &KeptStrike| {
            let Strike { month, entries, reason, .. } = &kept.strike;
            waiting.with_words((*month, entries, reason)).is_some()
        };
        assert_eq!(known.iter().map(is_open).collect::<Vec<_>>(), [true, true, false, true]);
    }

    #[test]
    fn a_side_has_a_hundred_that_wait_at_most_and_the_same_again_is_one() {
        let of = |number: usize| Strike { reason: format!("robot {number}"), ..strike("1") };
        let mut known: Vec<KeptStrike> = (0..MAX_WAITING - 1).map(of).map(KeptStrike::proposed).collect();
        let room = |known: &[KeptStrike], by| in_place(known, by).check_room();
        assert_eq!((is_new(&known, &of(MAX_WAITING), Party::Main), room(&known, Party::Main)), (Ok(true), Ok(())));
        assert_eq!(is_new(&known, &of(3), Party::Main), Ok(false));
        assert_eq!(is_new(&known, &of(3), Party::Partner), Err(StrikeRefused::OwnSide));
        known.push(KeptStrike::proposed(of(MAX_WAITING)));
        assert_eq!(room(&known, Party::Main), Err(StrikeRefused::TooManyWait));
        // The other side's do not count, nor those that were answered.
        assert_eq!(room(&known, Party::Partner), Ok(()));
        let (entries, month) = ("1".parse().unwrap(), "2026-11".parse().unwrap());
        let words = (month, &entries, "robot 3");
        let waits = |known: &[KeptStrike]| in_place(known, Party::Main).with_words(words).is_some();
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
        let waiting = Waiting::of(&known, Party::Main, |_, strikes| {
            let others = strikes.iter().filter(|strike| strike.checkpoint.as_ref() == Some(&other));
            Ok::<_, Infallible>(others.copied().collect())
        });
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
        assert!(agreed.to_string().contains("1 entry of the first 3: 1\n") && !agreed.takes_effect());
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
