//! Strikes: entries that both sides agree to leave out of account, as the partner proposes, answers and keeps them. Each
//! step stands in the audit trail before it takes effect.

mod telling;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::contract::Side;
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{Claim, Decision, Ruling};
use tieup_protocol::period::Month;
use tieup_protocol::strike::{
    Checkpoint, KeptStrike, Numbers, PUT_ASIDE, Party, STRIKE_ANSWERS, STRIKES, Strike, StrikeAnswer, StrikeRefused,
    UNKNOWN_STRIKE, Waiting, by_month, is_new, named, together,
};
use tieup_store::audit::AuditError;
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable;
use tieup_store::journal::{JournalReader, ReadError, SignedCheckpoint};
use tieup_web::client::CallError;
use tokio::task::block_in_place;

use crate::daemon::Partner;
use crate::location::LocateError;
use crate::returning::cosigned;
use crate::statement::{STATEMENTS, StatementFailure};

pub(crate) use self::telling::keep_told;

/// The file beside main's statements.
const FILE: &str = "strikes.json";

/// Why a strike was not proposed, taken or answered.
#[derive(Debug, thiserror::Error)]
pub enum StrikeError {
    /// The log cannot be read, or there is no contract.
    #[error(transparent)]
    Statement(#[from] StatementFailure),
    /// The log cannot be read.
    #[error("the journal cannot be read")]
    Read(#[from] ReadError),
    /// It makes no sense.
    #[error(transparent)]
    Refused(#[from] StrikeRefused),
    /// Main cannot be called.
    #[error(transparent)]
    Main(#[from] LocateError),
    /// Main was not told.
    #[error(
        "it is kept here, and the main site did not take it yet: an answer is told again by itself, a proposal by the same command"
    )]
    Call(#[source] CallError),
    /// The audit trail could not be continued.
    #[error(transparent)]
    Trail(#[from] AuditError),
    /// Main has another proposal in the place of the one that was answered.
    #[error(
        "the main site has no strike {0} any more, so that the answer is dropped: `syncd fee strikes` shows whether it has proposed another"
    )]
    Withdrawn(Digest),
    /// The strike was changed while main was told.
    #[error(
        "the main site has no such proposal as was answered, and what is known here of strike {0} was changed at this moment: it stays as it is by now; `syncd fee strikes` shows it"
    )]
    Changed(Digest),
    /// What is known of strikes cannot be kept or read back.
    #[error("strikes cannot be kept or read back")]
    Document(#[from] DocumentError),
}

impl StrikeError {
    /// The stable name of this kind of refusal, as main is told it.
    pub(crate) fn kind(&self) -> &'static str {
        if let Self::Refused(refused) = self { refused.kind() } else { "not-struck" }
    }
}

impl Partner {
    /// Proposes to main to leave out `entries` of the log that `month` is charged by. A proposal that waits is told again.
    ///
    /// # Errors
    /// See [`StrikeError`]; after [`StrikeError::Call`] the proposal stands here.
    pub async fn propose_strike(
        &self,
        month: Month,
        (entries, reason): (&Numbers, &str),
        now: Timestamp,
    ) -> Result<KeptStrike, StrikeError> {
        let kept = block_in_place(|| self.proposal(month, (entries, reason), now))?;
        self.main().await?.post::<()>(STRIKES, &kept.strike).await.map_err(StrikeError::Call)?;
        Ok(kept)
    }

    /// The strike that waits with these words, or a new one that is kept.
    fn proposal(
        &self,
        month: Month,
        (entries, reason): (&Numbers, &str),
        now: Timestamp,
    ) -> Result<KeptStrike, StrikeError> {
        let _records = self.records();
        let known = self.strikes()?;
        let waiting = self.waiting(&known, Party::Partner);
        if let Some(kept) = waiting.with_words((month, entries, reason)) {
            return Ok(kept.clone());
        }
        let strike = self.new_strike(month, (entries, reason), now)?;
        is_new(&known, &strike, Party::Partner)?;
        waiting.check_room()?;
        self.note_strike(Actor::Operator, Event::StrikeProposed, strike.sentence(), now)?;
        self.keep_proposal(&waiting, strike)
    }

    /// Of the strikes that are `known`, what the side `by` has proposed and the other has not answered.
    fn waiting<'k>(&self, known: &'k [KeptStrike], by: Party) -> Waiting<'k> {
        Waiting::of(known, by, |month, strikes| self.not_in_place(month, strikes))
    }

    /// Keeps a proposal, in place of one among those that are `waiting` with the same entries that nobody can take any more.
    fn keep_proposal(&self, waiting: &Waiting<'_>, strike: Strike) -> Result<KeptStrike, StrikeError> {
        let before = waiting.replaced(&strike).map(|kept| kept.strike.digest());
        let kept = KeptStrike::proposed(strike);
        self.keep_strike_for(before.unwrap_or_else(|| kept.strike.digest()), &kept)?;
        Ok(kept)
    }

    /// Answers what main has proposed, by its digest or the beginning of it, and tells main. The same answer again is told
    /// again.
    ///
    /// # Errors
    /// See [`StrikeError`]; after [`StrikeError::Call`] the answer stands, and takes effect once it is told.
    pub async fn answer_strike(
        &self,
        name: &str,
        (decision, words): (Decision, &str),
        now: Timestamp,
    ) -> Result<KeptStrike, StrikeError> {
        let answered = block_in_place(|| self.answer(name, (decision, words), now))?;
        self.tell_answer(answered, now).await
    }

    /// Tells main an answer, and keeps that both sides have it. What main knows nothing of any more is dropped here, too.
    async fn tell_answer(&self, answered: KeptStrike, now: Timestamp) -> Result<KeptStrike, StrikeError> {
        match self.main().await?.post::<()>(STRIKE_ANSWERS, &answered.answer).await {
            Err(error) if error.is_problem(UNKNOWN_STRIKE) && answered.settled.is_none() => {
                return Err(block_in_place(|| self.drop_strike(&answered, now))
                    .err()
                    .unwrap_or(StrikeError::Withdrawn(answered.strike.digest())));
            }
            told => told.map_err(StrikeError::Call)?,
        }
        let settled = answered.settled(now);
        block_in_place(|| {
            let _records = self.records();
            self.keep_strike(&settled)
        })?;
        Ok(settled)
    }

    /// The strike with that name with the answer, which is kept.
    fn answer(
        &self,
        name: &str,
        (decision, words): (Decision, &str),
        now: Timestamp,
    ) -> Result<KeptStrike, StrikeError> {
        let _records = self.records();
        let known = self.strikes()?;
        let kept = named(&known, name)?;
        let (strike, answer) = (kept.strike.digest(), words.to_owned());
        let given = StrikeAnswer { strike, decision, answer, decided: now };
        let answered = kept.answered(&given, Party::Partner)?;
        if kept.answer.is_none() {
            self.note_strike(Actor::Operator, Event::StrikeAnswered, given.sentence(), now)?;
            self.keep_strike(&answered)?;
        }
        Ok(answered)
    }

    /// Every strike that was proposed by either side, in the order in which they came.
    ///
    /// # Errors
    /// When they cannot be read back.
    pub fn strikes(&self) -> Result<Vec<KeptStrike>, DocumentError> {
        Ok(self.strikes_document().read()?.unwrap_or_default())
    }

    /// Keeps what main proposes. The same again changes nothing.
    ///
    /// # Errors
    /// When it is of another log, or of entries that are not there.
    pub fn take_strike(&self, strike: &Strike, now: Timestamp) -> Result<(), StrikeError> {
        let _records = self.records();
        let known = self.strikes()?;
        if !is_new(&known, strike, Party::Main)? {
            return Ok(());
        }
        let waiting = self.waiting(&known, Party::Main);
        waiting.check_room()?;
        self.check_strike(strike)?;
        self.note_strike(Actor::Main, Event::StrikeProposed, strike.sentence(), now)?;
        self.keep_proposal(&waiting, strike.clone()).map(drop)
    }

    /// Keeps what main answers. The same answer again changes nothing.
    ///
    /// # Errors
    /// When nothing was proposed so, or it was answered otherwise before.
    pub fn take_strike_answer(&self, answer: &StrikeAnswer, now: Timestamp) -> Result<(), StrikeError> {
        let _records = self.records();
        let known = self.strikes()?;
        let kept = named(&known, &answer.strike.to_string())?;
        let answered = kept.answered(answer, Party::Main)?.settled(now);
        if kept.answer.is_some() {
            return Ok(());
        }
        self.note_strike(Actor::Main, Event::StrikeAnswered, answer.sentence(), now)?;
        self.keep_strike(&answered)
    }

    /// Lets what a claim asked to be struck out be answered as main has ruled. What was answered before stays as it is.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub(crate) fn rule_strike(&self, claim: &Claim, ruling: &Ruling, now: Timestamp) -> Result<(), StrikeError> {
        let Some(strike) = &claim.strike else { return Ok(()) };
        let digest = strike.digest();
        let known = self.strikes()?.into_iter().find(|kept| kept.strike.digest() == digest);
        let kept = known.unwrap_or_else(|| KeptStrike::proposed(strike.clone()));
        if kept.answer.is_some() {
            return Ok(());
        }
        self.keep_strike(&kept.answered(&ruling.of_strike(strike), Party::Main)?.settled(now))
    }

    /// What the operator proposes, if it is of entries that are there.
    pub(crate) fn new_strike(
        &self,
        month: Month,
        (entries, reason): (&Numbers, &str),
        now: Timestamp,
    ) -> Result<Strike, StrikeError> {
        let writer = self.writer(month)?;
        let reader = self.charged_log(writer, month)?;
        let size = cosigned(&reader)?;
        let checkpoint = Checkpoint { size, root: reader.root_at(size)?.to_string() };
        let (log, entries, reason) = (self.origin(writer, month).to_string(), entries.clone(), reason.to_owned());
        let (checkpoint, by) = (Some(checkpoint), Party::Partner);
        let strike = Strike { month, log, checkpoint, entries, reason, by, proposed: now };
        self.check_strike(&strike)?;
        Ok(strike)
    }

    /// Whether a strike is of entries that are here, of the log that its month is charged by.
    fn check_strike(&self, strike: &Strike) -> Result<(), StrikeError> {
        let writer = self.writer(strike.month)?;
        let reader = self.charged_log(writer, strike.month)?;
        let root_at = |size| Ok(reader.root_at(size)?.to_string());
        strike.check(self.origin(writer, strike.month).as_str(), reader.size(), root_at)
    }

    /// The numbers that `digests` strike out of the log of `month`; each must be agreed on here.
    ///
    /// # Errors
    /// When one is not, or is of another log.
    pub(crate) fn struck_out(&self, month: Month, digests: &[Digest]) -> Result<BTreeSet<u64>, StatementFailure> {
        let known = self.strikes()?;
        let strikes = agreed(&known, month, digests)?;
        match self.not_in_place(month, &strikes)?.first() {
            Some(strike) => Err(StatementFailure::OtherLog(strike.digest())),
            None => Ok(together(strikes)),
        }
    }

    /// Whether the strike with that digest is of the log of `month` that is here.
    ///
    /// # Errors
    /// When it is not agreed on, or the log does not verify.
    pub(crate) fn strikes_out(&self, month: Month, digest: Digest) -> Result<bool, StatementFailure> {
        let known = self.strikes()?;
        Ok(self.not_in_place(month, &agreed(&known, month, &[digest])?)?.is_empty())
    }

    /// Why strikes that are agreed on have no effect, for people, by their digests: they are of a log that was put aside, or
    /// nobody can say.
    ///
    /// # Errors
    /// When what is known of strikes cannot be read.
    pub fn without_effect(&self, kept: &[KeptStrike]) -> Result<BTreeMap<Digest, String>, StrikeError> {
        let mut without = BTreeMap::new();
        for (month, strikes) in by_month(kept.iter().filter(|kept| kept.is_agreed())) {
            let (others, is_known) = match self.of_other_entries(month, &strikes) {
                Ok(others) if others.is_empty() => continue,
                Ok(others) => (others, self.check_signed(month)),
                Err(error) => (strikes, Err(error)),
            };
            let why = match is_known {
                Ok(()) => PUT_ASIDE.to_owned(),
                Err(error) => format!("whether it has effect cannot be told: {error}"),
            };
            without.extend(others.into_iter().map(|strike| (strike.digest(), why.clone())));
        }
        Ok(without)
    }

    /// Those of `strikes` that are of another log than the one that `month` is charged by: that one was put aside.
    ///
    /// # Errors
    /// When nobody can say: the log cannot be read, or does not verify.
    fn not_in_place<'a>(&self, month: Month, strikes: &[&'a Strike]) -> Result<Vec<&'a Strike>, StatementFailure> {
        let others = self.of_other_entries(month, strikes)?;
        if !others.is_empty() {
            self.check_signed(month)?;
        }
        Ok(others)
    }

    /// Those of `strikes` with whose entries the log that `month` is charged by does not begin: it is another, or damaged.
    fn of_other_entries<'a>(&self, month: Month, strikes: &[&'a Strike]) -> Result<Vec<&'a Strike>, StatementFailure> {
        if strikes.is_empty() {
            return Ok(Vec::new());
        }
        let reader = self.charged_log(self.writer(month)?, month)?;
        let root_at = |size: u64| (size <= reader.size()).then(|| Ok(reader.root_at(size)?.to_string())).transpose();
        let mut others = Vec::new();
        for strike in strikes {
            if !strike.is_of::<ReadError>(root_at)? {
                others.push(*strike);
            }
        }
        Ok(others)
    }

    /// Fails where the log that `month` is charged by is not what was signed for: one that was damaged is not another log. All
    /// of it is read where the hashes that are stored are not those.
    pub(crate) fn check_signed(&self, month: Month) -> Result<(), StatementFailure> {
        let writer = self.writer(month)?;
        if !self.is_as_signed(writer, month, &self.charged_log(writer, month)?)? {
            self.verify_log(writer, month, |_| ())?;
        }
        Ok(())
    }

    /// Whether the stored hashes of a log are those that were signed for.
    fn is_as_signed(&self, writer: Side, month: Month, reader: &JournalReader) -> Result<bool, StatementFailure> {
        let Some(((key, _), note)) = self.log_keys(writer)?.zip(reader.checkpoint()?) else { return Ok(false) };
        let Ok(signed) = SignedCheckpoint::open(note.as_bytes(), &self.origin(writer, month), &key) else {
            return Ok(false);
        };
        Ok(reader.root_at(signed.size())? == signed.root())
    }

    /// Keeps it in place of what was known of it. Whoever does has taken the records before it read that.
    fn keep_strike(&self, kept: &KeptStrike) -> Result<(), StrikeError> {
        self.keep_strike_for(kept.strike.digest(), kept)
    }

    /// The same in place of what was known under `digest`.
    fn keep_strike_for(&self, digest: Digest, kept: &KeptStrike) -> Result<(), StrikeError> {
        durable::create_dir_all(&self.state().join(STATEMENTS)).map_err(DocumentError::from)?;
        let mut all = self.strikes()?;
        match all.iter_mut().find(|known| known.strike.digest() == digest) {
            Some(known) => *known = kept.clone(),
            None => all.push(kept.clone()),
        }
        Ok(self.strikes_document().write(&all)?)
    }

    /// Forgets a strike with its answer, if what is known of it is what was known `before`. What was forgotten before is not
    /// told of again.
    ///
    /// # Errors
    /// When it was changed meanwhile, and when that it is dropped cannot be kept.
    fn drop_strike(&self, before: &KeptStrike, now: Timestamp) -> Result<(), StrikeError> {
        let _records = self.records();
        let Some(all) = without(self.strikes()?, before)? else { return Ok(()) };
        self.note_strike(Actor::Operator, Event::StrikeAnswered, before.dropped_sentence(), now)?;
        Ok(self.strikes_document().write(&all)?)
    }

    fn strikes_document(&self) -> Document<Vec<KeptStrike>> {
        Document::at(self.state().join(STATEMENTS).join(FILE))
    }

    fn note_strike(&self, who: Actor, what: Event, reason: String, now: Timestamp) -> Result<(), AuditError> {
        self.publisher().write_down(&Happening { who, what, release: None, reason: Some(reason) }, now)
    }
}

/// The strikes that are `known` without one, if that is as it was `before`; none where it is not among them.
///
/// # Errors
/// When it was changed meanwhile.
fn without(mut known: Vec<KeptStrike>, before: &KeptStrike) -> Result<Option<Vec<KeptStrike>>, StrikeError> {
    let digest = before.strike.digest();
    match known.iter().position(|kept| kept.strike.digest() == digest) {
        None => Ok(None),
        Some(at) if known[at] != *before => Err(StrikeError::Changed(digest)),
        Some(at) => {
            known.remove(at);
            Ok(Some(known))
        }
    }
}

/// The strikes of `month` among the `known` that have these digests, in their order; each must be agreed on.
fn agreed<'a>(known: &'a [KeptStrike], month: Month, digests: &[Digest]) -> Result<Vec<&'a Strike>, StatementFailure> {
    let agreed = known.iter().filter(|kept| kept.is_agreed() && kept.strike.month == month);
    let agreed: BTreeMap<Digest, &Strike> = agreed.map(|kept| (kept.strike.digest(), &kept.strike)).collect();
    let find = |digest: &Digest| agreed.get(digest).copied().ok_or(StatementFailure::NotAgreed(*digest));
    digests.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strike(month: &str, entries: &str) -> KeptStrike {
        let (log, reason, proposed) = ("tieup/brand/north".to_owned(), "x".to_owned(), Timestamp::UNIX_EPOCH);
        let checkpoint = Some(Checkpoint { size: 9, root: "r".to_owned() });
        let (month, entries, by) = (month.parse().unwrap(), entries.parse().unwrap(), Party::Partner);
        KeptStrike::proposed(Strike { month, log, checkpoint, entries, reason, by, proposed })
    }

    #[test]
    fn what_was_changed_meanwhile_is_not_dropped() {
        let (dropped, other) = (strike("2026-11", "1"), strike("2026-11", "2"));
        let known = || vec![dropped.clone(), other.clone()];
        assert_eq!(without(known(), &dropped).unwrap(), Some(vec![other.clone()]));
        assert_eq!(without(vec![other.clone()], &dropped).unwrap(), None);
        let before = KeptStrike { settled: Some(Timestamp::UNIX_EPOCH), ..dropped.clone() };
        assert!(matches!(without(known(), &before), Err(StrikeError::Changed(_))));
    }
}
