//! Strikes: entries that main and a partner agree to leave out of account. Whoever proposes writes it down and tells the
//! other, who answers; each side writes both into its audit trail before they take effect. A statement names the strikes
//! that it goes by, and those are the ones of which main knows that both sides have the answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{Claim, Decision, Ruling};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::strike::{
    Checkpoint, KeptStrike, Numbers, PUT_ASIDE, Party, STRIKE_ANSWERS, STRIKES, Strike, StrikeAnswer, StrikeRefused,
    UNKNOWN_STRIKE, by_month, is_new, named,
};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::listener::Peer;
use tieup_web::problem::Refusal;

use crate::database::{DatabaseError, PartnerRow};
use crate::locating::caller;
use crate::partners::{Hub, HubError};
use crate::statements::StatementFailure;
use crate::trail::TrailError;

/// The most bytes of a strike, and of an answer.
const MAX_STRIKE: usize = 64 << 10;

/// Why a strike was not proposed, taken or answered.
#[derive(Debug, thiserror::Error)]
pub enum StrikeError {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The log cannot be read, or there is no contract.
    #[error(transparent)]
    Statement(#[from] StatementFailure),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The trail could not be continued.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// It makes no sense.
    #[error(transparent)]
    Refused(#[from] StrikeRefused),
    /// The partner has another proposal in the place of the one that was answered.
    #[error(
        "{partner} has no strike {strike} any more, so that the answer is dropped: `tieup fee strikes {partner}` shows whether it has proposed another"
    )]
    Withdrawn {
        /// The partner.
        partner: SiteId,
        /// The strike.
        strike: Digest,
    },
    /// Somebody else changed it meanwhile.
    #[error("strike {0} was changed at this moment: look at it, and give the same command again")]
    Changed(Digest),
    /// The partner could not be told.
    #[error(
        "it is kept here, and the partner was not told: an answer is told again by itself, a proposal by the same command"
    )]
    Call(#[source] CallError),
}

impl Hub {
    /// Proposes to leave out `entries` of the log that `month` is charged by. A proposal that waits is told again.
    ///
    /// # Errors
    /// See [`StrikeError`]; after [`StrikeError::Call`] the proposal stands here.
    pub async fn propose_strike(
        &self,
        partner: &PartnerRow,
        month: Month,
        (entries, reason): (&Numbers, &str),
        now: Timestamp,
    ) -> Result<Strike, StrikeError> {
        let known = self.database.strikes_of(&partner.id).await?;
        let books = self.books(partner).await?;
        let strike = if let Some(kept) = books.waiting(&known, Party::Main).with_words((month, entries, reason)) {
            kept.strike.clone()
        } else {
            let (reader, log, size) = books.log(month)?;
            let checkpoint =
                Checkpoint { size, root: reader.root_at(size).map_err(StatementFailure::from)?.to_string() };
            let (entries, reason) = (entries.clone(), reason.to_owned());
            let (log, by) = (log.to_string(), Party::Main);
            let strike = Strike { month, log, checkpoint: Some(checkpoint), entries, reason, by, proposed: now };
            self.take_new(partner, &known, &strike, now).await?;
            strike
        };
        self.call(partner).await?.post::<()>(STRIKES, &strike).await.map_err(StrikeError::Call)?;
        Ok(strike)
    }

    /// Answers the strike that a partner has proposed, by its digest or the beginning of it, and tells the partner. The same
    /// answer again is told again.
    ///
    /// # Errors
    /// See [`StrikeError`]; after [`StrikeError::Call`] the answer stands, and takes effect once it is told.
    pub async fn answer_strike(
        &self,
        partner: &PartnerRow,
        name: &str,
        (decision, words): (Decision, &str),
        now: Timestamp,
    ) -> Result<KeptStrike, StrikeError> {
        let known = self.database.strikes_of(&partner.id).await?;
        let kept = named(&known, name)?;
        let (strike, words) = (kept.strike.digest(), words.to_owned());
        let given = StrikeAnswer { strike, decision, answer: words, decided: now };
        let answered = kept.answered(&given, Party::Main)?;
        if kept.answer.is_none() {
            self.note_strike(Actor::Main, Event::StrikeAnswered, &partner.id, &given.sentence(), now)?;
            self.change_strike(&partner.id, Some(kept), &answered).await?;
        }
        self.tell_answer(&partner.id, &self.call(partner).await?, answered, now).await
    }

    /// Tells a partner an answer, and keeps that both sides have it. What the partner knows nothing of any more is dropped
    /// here, too.
    pub(crate) async fn tell_answer(
        &self,
        partner: &SiteId,
        client: &PeerClient,
        answered: KeptStrike,
        now: Timestamp,
    ) -> Result<KeptStrike, StrikeError> {
        match client.post::<()>(STRIKE_ANSWERS, &answered.answer).await {
            Err(error) if error.is_problem(UNKNOWN_STRIKE) && answered.settled.is_none() => {
                self.drop_answer(partner, &answered, now).await?;
                Err(StrikeError::Withdrawn { partner: partner.clone(), strike: answered.strike.digest() })
            }
            told => {
                told.map_err(StrikeError::Call)?;
                self.settle_strike(partner, answered, now).await
            }
        }
    }

    /// Why those of the strikes `kept` of a partner that are agreed on have no effect, for people, by their digests: they are
    /// of a log that was put aside, or nobody can say. The partner's books are read once, and where one is agreed on alone.
    ///
    /// # Errors
    /// When the partner's books cannot be read, so that nobody can say of any.
    pub async fn without_effect(
        &self,
        partner: &PartnerRow,
        kept: &[KeptStrike],
    ) -> Result<BTreeMap<Digest, String>, StatementFailure> {
        let (agreed, mut without) = (by_month(kept.iter().filter(|kept| kept.takes_effect())), BTreeMap::new());
        if agreed.is_empty() {
            return Ok(without);
        }
        let books = self.books(partner).await?;
        for (month, strikes) in agreed {
            let (others, is_known) = match books.of_other_entries(month, &strikes) {
                Ok(others) if others.is_empty() => continue,
                Ok(others) => {
                    let is_known = books.check_cosigned(month, &others);
                    (others, is_known)
                }
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

    /// The strikes of a month that take effect, in the order of their digests.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn settled_strikes(&self, partner: &SiteId) -> Result<Vec<Strike>, DatabaseError> {
        let kept = self.database.strikes_of(partner).await?.into_iter();
        let mut strikes: Vec<Strike> = kept.filter(KeptStrike::takes_effect).map(|kept| kept.strike).collect();
        strikes.sort_by_key(Strike::digest);
        Ok(strikes)
    }

    /// What a claim asks to be struck out, as it is known and answered as `ruling` says; none where it asks for nothing, or
    /// that was answered before, which stays as it is.
    ///
    /// # Errors
    /// When the database fails, or the answer cannot be taken.
    pub(crate) async fn ruled_strike(
        &self,
        partner: &SiteId,
        claim: &Claim,
        ruling: &Ruling,
    ) -> Result<Option<(Option<KeptStrike>, KeptStrike)>, StrikeError> {
        let Some(strike) = &claim.strike else { return Ok(None) };
        let before = self.known_strike(partner, strike.digest()).await?;
        if before.as_ref().is_some_and(|kept| kept.answer.is_some()) {
            return Ok(None);
        }
        let kept = before.clone().unwrap_or_else(|| KeptStrike::proposed(strike.clone()));
        let answered = kept.answered(&ruling.of_strike(strike), Party::Main)?;
        Ok(Some((before, answered)))
    }

    /// Lets what a claim asks to be struck out take effect, if it was answered so; the partner has the ruling.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn settle_ruled(
        &self,
        partner: &SiteId,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<(), StrikeError> {
        match self.claimed_strike(partner, claim).await?.filter(|kept| kept.answer.is_some()) {
            Some(kept) => self.settle_strike(partner, kept, now).await.map(drop),
            None => Ok(()),
        }
    }

    /// Drops what a claim asks to be struck out, where the partner knows nothing of it any more and it has not taken effect.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn drop_claimed(
        &self,
        partner: &SiteId,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<(), StrikeError> {
        match self.claimed_strike(partner, claim).await?.filter(|kept| kept.settled.is_none()) {
            Some(kept) => self.drop_answer(partner, &kept, now).await,
            None => Ok(()),
        }
    }

    /// What is known of what a claim asks to be struck out; none where it asks for nothing, or nothing is.
    async fn claimed_strike(&self, partner: &SiteId, claim: &Claim) -> Result<Option<KeptStrike>, DatabaseError> {
        match &claim.strike {
            Some(strike) => self.known_strike(partner, strike.digest()).await,
            None => Ok(None),
        }
    }

    /// Drops an answer with what it answers, which the other side knows nothing of any more; main's trail says so.
    ///
    /// # Errors
    /// When it was changed meanwhile, and when that it is dropped cannot be kept.
    async fn drop_answer(&self, partner: &SiteId, kept: &KeptStrike, now: Timestamp) -> Result<(), StrikeError> {
        let digest = kept.strike.digest();
        match self.known_strike(partner, digest).await? {
            // Who told it at the same time has dropped it.
            None => return Ok(()),
            Some(known) if known != *kept => return Err(StrikeError::Changed(digest)),
            Some(_) => self.note_strike(Actor::Main, Event::StrikeAnswered, partner, &kept.dropped_sentence(), now)?,
        }
        Ok(self.database.drop_strike(partner, kept).await?)
    }

    /// Keeps that both sides have the answer to the strike `kept`.
    async fn settle_strike(
        &self,
        partner: &SiteId,
        kept: KeptStrike,
        now: Timestamp,
    ) -> Result<KeptStrike, StrikeError> {
        if kept.settled.is_none() {
            let settled = kept.clone().settled(now);
            self.change_strike(partner, Some(&kept), &settled).await?;
            return Ok(settled);
        }
        Ok(kept)
    }

    async fn change_strike(
        &self,
        partner: &SiteId,
        before: Option<&KeptStrike>,
        after: &KeptStrike,
    ) -> Result<(), StrikeError> {
        let is_changed = self.database.change_strike(partner, before, after).await?;
        if is_changed { Ok(()) } else { Err(StrikeError::Changed(after.strike.digest())) }
    }

    /// What is known of a strike; none where nothing is.
    pub(crate) async fn known_strike(
        &self,
        partner: &SiteId,
        digest: Digest,
    ) -> Result<Option<KeptStrike>, DatabaseError> {
        let known = self.database.strikes_of(partner).await?;
        Ok(known.into_iter().find(|kept| kept.strike.digest() == digest))
    }

    /// Whether a strike is of entries that both sides have signed, of the log that its month is charged by.
    pub(crate) async fn check_strike(&self, partner: &PartnerRow, strike: &Strike) -> Result<(), StrikeError> {
        let (reader, origin, size) = self.books(partner).await?.log(strike.month)?;
        let root_at = |of| Ok(reader.root_at(of).map_err(StatementFailure::from)?.to_string());
        strike.check(origin.as_str(), size, root_at)
    }

    /// Keeps what a partner proposes. The same again changes nothing.
    async fn take_strike(&self, partner: &PartnerRow, strike: &Strike, now: Timestamp) -> Result<(), StrikeError> {
        let known = self.database.strikes_of(&partner.id).await?;
        if strike.by == Party::Partner {
            self.take_new(partner, &known, strike, now).await
        } else {
            Err(StrikeRefused::OwnSide.into())
        }
    }

    /// Keeps a strike that either side proposes, unless it is one of those that are `known`; in place of one with the same
    /// entries that nobody can take any more.
    async fn take_new(
        &self,
        partner: &PartnerRow,
        known: &[KeptStrike],
        strike: &Strike,
        now: Timestamp,
    ) -> Result<(), StrikeError> {
        if !is_new(known, strike, strike.by)? {
            return Ok(());
        }
        let books = self.books(partner).await?;
        let waiting = books.waiting(known, strike.by);
        waiting.check_room()?;
        self.check_strike(partner, strike).await?;
        let who = if strike.by == Party::Main { Actor::Main } else { Actor::Operator };
        self.note_strike(who, Event::StrikeProposed, &partner.id, &strike.sentence(), now)?;
        self.change_strike(&partner.id, waiting.replaced(strike), &KeptStrike::proposed(strike.clone())).await
    }

    /// Keeps what a partner answers: both sides have it then.
    async fn take_strike_answer(
        &self,
        partner: &PartnerRow,
        answer: &StrikeAnswer,
        now: Timestamp,
    ) -> Result<(), StrikeError> {
        let known = self.database.strikes_of(&partner.id).await?;
        let kept = named(&known, &answer.strike.to_string())?;
        let answered = kept.answered(answer, Party::Partner)?;
        if kept.answer.is_none() {
            self.note_strike(Actor::Operator, Event::StrikeAnswered, &partner.id, &answer.sentence(), now)?;
        }
        if kept.settled.is_none() {
            self.change_strike(&partner.id, Some(kept), &answered.settled(now)).await?;
        }
        Ok(())
    }

    fn note_strike(
        &self,
        who: Actor,
        what: Event,
        partner: &SiteId,
        sentence: &str,
        now: Timestamp,
    ) -> Result<(), TrailError> {
        let reason = Some(format!("{partner} {sentence}"));
        self.write_down(&Happening { who, what, release: None, reason }, now)
    }
}

/// The hub's answers to partners that propose and answer strikes.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route(STRIKES, post(propose))
        .route(STRIKE_ANSWERS, post(answer))
        .layer(DefaultBodyLimit::max(MAX_STRIKE))
        .with_state(hub)
}

async fn propose(
    State(hub): State<Arc<Hub>>,
    peer: Option<Extension<Peer>>,
    Json(strike): Json<Strike>,
) -> Result<Json<()>, Refusal> {
    let partner = caller(&hub, peer).await?;
    let taken = hub.take_strike(&partner, &strike, Timestamp::now()).await;
    taken.map(Json).map_err(|error| refuse(&error))
}

async fn answer(
    State(hub): State<Arc<Hub>>,
    peer: Option<Extension<Peer>>,
    Json(answer): Json<StrikeAnswer>,
) -> Result<Json<()>, Refusal> {
    let partner = caller(&hub, peer).await?;
    let taken = hub.take_strike_answer(&partner, &answer, Timestamp::now()).await;
    taken.map(Json).map_err(|error| refuse(&error))
}

fn refuse(error: &StrikeError) -> Refusal {
    tracing::warn!(error = error as &dyn std::error::Error, "a strike was not taken");
    match error {
        StrikeError::Refused(refused) => Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, refused.kind(), error),
        StrikeError::Statement(_) => Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, "not-struck", error),
        StrikeError::Changed(_) | StrikeError::Trail(TrailError::Busy(_)) => {
            Refusal::caused_by(StatusCode::CONFLICT, "not-struck", error)
        }
        _ => {
            let title = "the main site could not take the strike; its log says why";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title)
        }
    }
}
