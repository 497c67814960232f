//! Strikes: entries that main and a partner agree to leave out of account. Whoever proposes writes it down and tells the
//! other, who answers; each side writes both into its audit trail before they take effect. A statement names the strikes
//! that it goes by, and those are the ones of which main knows that both sides have the answer.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::dispute::{Claim, Decision, Ruling};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_protocol::strike::{
    KeptStrike, Numbers, Party, STRIKE_ANSWERS, STRIKES, Strike, StrikeAnswer, StrikeRefused, named,
};
use tieup_web::client::CallError;
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
    /// The partner could not be told.
    #[error("it is kept here, and the partner was not told: give the same command again")]
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
        let (log, size) = self.struck_log(partner, month).await?;
        let waiting = self.strikes_of(&partner.id).await?.into_iter().filter(|kept| kept.answer.is_none());
        let mut same = waiting.map(|kept| kept.strike).filter(|strike| {
            (strike.by, strike.month, &strike.entries, strike.reason.as_str()) == (Party::Main, month, entries, reason)
        });
        let strike = if let Some(strike) = same.next() {
            strike
        } else {
            let (entries, reason) = (entries.clone(), reason.to_owned());
            let strike = Strike { month, log: log.clone(), entries, reason, by: Party::Main, proposed: now };
            strike.check(&log, size)?;
            self.note_strike(Actor::Main, Event::StrikeProposed, &partner.id, &strike.sentence(), now)?;
            self.database.put_strike(&partner.id, &KeptStrike::proposed(strike.clone())).await?;
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
        let known = self.strikes_of(&partner.id).await?;
        let kept = named(&known, name)?;
        let (strike, words) = (kept.strike.digest(), words.to_owned());
        let given = StrikeAnswer { strike, decision, answer: words, decided: now };
        let answered = kept.answered(&given, Party::Main)?;
        let answer = answered.answer.clone().unwrap_or(given);
        if kept.answer.is_none() {
            self.note_strike(Actor::Main, Event::StrikeAnswered, &partner.id, &answer.sentence(), now)?;
            self.database.put_strike(&partner.id, &answered).await?;
        }
        self.call(partner).await?.post::<()>(STRIKE_ANSWERS, &answer).await.map_err(StrikeError::Call)?;
        self.settle_strike(&partner.id, answered, now).await
    }

    /// The strikes of a month that take effect, in the order of their digests.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn settled_strikes(&self, partner: &SiteId) -> Result<Vec<Strike>, DatabaseError> {
        let kept = self.strikes_of(partner).await?.into_iter();
        let mut strikes: Vec<Strike> =
            kept.filter(|kept| kept.is_agreed() && kept.settled.is_some()).map(|kept| kept.strike).collect();
        strikes.sort_by_key(Strike::digest);
        Ok(strikes)
    }

    /// Lets what a claim asks to be struck out be answered as the dispute was; told says that the partner has the ruling.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn rule_strike(
        &self,
        partner: &SiteId,
        claim: &Claim,
        ruling: &Ruling,
        now: Timestamp,
    ) -> Result<(), StrikeError> {
        let Some(strike) = &claim.strike else { return Ok(()) };
        let answered = KeptStrike { strike: strike.clone(), answer: Some(ruling.of_strike(strike)), settled: None };
        self.settle_strike(partner, answered, now).await.map(drop)
    }

    async fn settle_strike(
        &self,
        partner: &SiteId,
        kept: KeptStrike,
        now: Timestamp,
    ) -> Result<KeptStrike, StrikeError> {
        let settled = KeptStrike { settled: kept.settled.or(Some(now)), ..kept };
        self.database.put_strike(partner, &settled).await?;
        Ok(settled)
    }

    async fn strikes_of(&self, partner: &SiteId) -> Result<Vec<KeptStrike>, DatabaseError> {
        let all = self.database.strikes().await?.into_iter();
        Ok(all.filter(|(of, _)| of == partner).map(|(_, kept)| kept).collect())
    }

    /// The origin of the log that `month` is charged by, and how many of its entries both sides have signed.
    pub(crate) async fn struck_log(
        &self,
        partner: &PartnerRow,
        month: Month,
    ) -> Result<(String, u64), StatementFailure> {
        let (_, origin, size) = self.books(partner).await?.log(month)?;
        Ok((origin.to_string(), size))
    }

    /// Keeps what a partner proposes. The same again changes nothing.
    async fn take_strike(&self, partner: &PartnerRow, strike: Strike, now: Timestamp) -> Result<(), StrikeError> {
        if strike.by != Party::Partner {
            return Err(StrikeRefused::OwnSide.into());
        }
        let (log, size) = self.struck_log(partner, strike.month).await?;
        strike.check(&log, size)?;
        let digest = strike.digest();
        if self.strikes_of(&partner.id).await?.iter().any(|kept| kept.strike.digest() == digest) {
            return Ok(());
        }
        self.note_strike(Actor::Operator, Event::StrikeProposed, &partner.id, &strike.sentence(), now)?;
        Ok(self.database.put_strike(&partner.id, &KeptStrike::proposed(strike)).await?)
    }

    /// Keeps what a partner answers: both sides have it then.
    async fn take_strike_answer(
        &self,
        partner: &PartnerRow,
        answer: &StrikeAnswer,
        now: Timestamp,
    ) -> Result<(), StrikeError> {
        let known = self.strikes_of(&partner.id).await?;
        let kept = named(&known, &answer.strike.to_string())?;
        let answered = kept.answered(answer, Party::Partner)?;
        if kept.answer.is_none() {
            self.note_strike(Actor::Operator, Event::StrikeAnswered, &partner.id, &answer.sentence(), now)?;
        }
        self.settle_strike(&partner.id, answered, now).await.map(drop)
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
    let taken = hub.take_strike(&partner, strike, Timestamp::now()).await;
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
        StrikeError::Refused(_) | StrikeError::Statement(_) => {
            Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, "not-struck", error)
        }
        StrikeError::Trail(TrailError::Busy(_)) => Refusal::caused_by(StatusCode::CONFLICT, "not-struck", error),
        _ => {
            let title = "the main site could not take the strike; its log says why";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title)
        }
    }
}
