//! Disputes: partners open them within the time of the contract, main answers. Both stand in main's audit trail before
//! they take effect; no issued statement changes by either.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Extension, Json, Router};
use jiff::{SignedDuration, Timestamp};
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{
    Claim, DISPUTES, Decision, Dispute, Opened, RULING, Ruling, UNKNOWN_DISPUTE, checked_words,
};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Period;
use tieup_protocol::strike::{Party, StrikeRefused};
use tieup_store::journal::{SignedText, SignedTextError};
use tieup_web::client::{CallError, PeerClient};
use tieup_web::listener::Peer;
use tieup_web::problem::Refusal;

use crate::database::{DatabaseError, PartnerRow};
use crate::locating::caller;
use crate::partners::{Hub, HubError};
use crate::statements::StatementFailure;
use crate::strikes::StrikeError;
use crate::trail::TrailError;
use tieup_fees::Ledger as _;

/// The most bytes of a claim: an entry of each side and a proof.
const MAX_CLAIM: usize = 256 << 10;

/// Why a dispute was not opened or answered.
#[derive(Debug, thiserror::Error)]
pub enum DisputeError {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The statements cannot be read.
    #[error(transparent)]
    Statement(#[from] StatementFailure),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The trail could not be continued.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// What was issued cannot be read.
    #[error("what was issued cannot be read")]
    Signature(#[from] SignedTextError),
    /// No such statement was issued.
    #[error("no such statement for {0} was issued")]
    NotIssued(Period),
    /// The contract says nothing of disputes.
    #[error("contract {0} has no term for disputes")]
    NoTerm(String),
    /// The time for it is over.
    #[error("the statement for {period} could be disputed until {}", until.strftime("%Y-%m-%d %H:%M UTC"))]
    TooLate {
        /// The period.
        period: Period,
        /// Until when.
        until: Timestamp,
    },
    /// It is disputed already.
    #[error("the statement for {0} is disputed already")]
    Again(Period),
    /// The words cannot be kept.
    #[error("the reason cannot be taken: {0}")]
    Words(String),
    /// Nothing is disputed.
    #[error("`{partner}` does not dispute the statement for {period}")]
    Nothing {
        /// The partner.
        partner: SiteId,
        /// The period.
        period: Period,
    },
    /// It was answered otherwise.
    #[error("the dispute of {0} was answered before")]
    Answered(Period),
    /// What is asked to be struck out makes no sense.
    #[error(transparent)]
    Refused(#[from] StrikeRefused),
    /// What was asked to be struck out could not be kept.
    #[error(transparent)]
    Strike(#[from] Box<StrikeError>),
    /// The partner knows nothing of the dispute any more.
    #[error(
        "{partner} has lost what it knew of its dispute of {period}: the answer stands here, and is not told again"
    )]
    Lost {
        /// The partner.
        partner: SiteId,
        /// The period.
        period: Period,
    },
    /// The partner could not be told.
    #[error("it is answered, and the partner was not told: it is told again by itself, and by the same answer")]
    Call(#[from] CallError),
}

impl Hub {
    /// Opens a dispute of a statement that was issued to `partner`. Durable on return.
    ///
    /// # Errors
    /// See [`DisputeError`].
    pub async fn open_dispute(
        &self,
        partner: &PartnerRow,
        claim: Claim,
        now: Timestamp,
    ) -> Result<Opened, DisputeError> {
        let period = claim.period;
        let words = checked_words(&claim.reason).map_err(DisputeError::Words)?;
        let claim = Claim { reason: words, ..claim };
        self.check_claim(partner, &claim, now).await?;
        match self.dispute(&partner.id, period).await? {
            // The partner did not hear that it was taken.
            Some(Dispute { claim: before, opened, .. }) if before == claim => return Ok(Opened { opened }),
            Some(_) => return Err(DisputeError::Again(period)),
            None => self.check_claimed_strike(partner, &claim).await?,
        }
        self.note(Actor::Operator, Event::StatementDisputed, &partner.id, &claim.sentence(), now)?;
        let dispute = Dispute::opened(claim, now);
        let kept = self.database.add_dispute(&partner.id, &dispute).await?;
        if kept { Ok(Opened { opened: now }) } else { Err(DisputeError::Again(period)) }
    }

    /// Answers a dispute and tells the partner. The same answer again is told again. Durable on return.
    ///
    /// # Errors
    /// See [`DisputeError`]; after [`DisputeError::Call`] the answer stands.
    pub async fn rule(
        &self,
        partner: &PartnerRow,
        period: impl Into<Period>,
        (decision, answer): (Decision, &str),
        now: Timestamp,
    ) -> Result<Ruling, DisputeError> {
        let period = period.into();
        let nothing = || DisputeError::Nothing { partner: partner.id.clone(), period };
        let mut dispute = self.dispute(&partner.id, period).await?.ok_or_else(nothing)?;
        match &dispute.ruling {
            Some(ruling) if ruling.decision == decision && ruling.answer == answer => {}
            Some(_) => return Err(DisputeError::Answered(period)),
            None => {
                let statement = dispute.claim.statement;
                let ruling = Ruling { period, statement, decision, answer: answer.to_owned(), decided: now };
                let strike = self.ruled_strike(&partner.id, &dispute.claim, &ruling).await.map_err(Box::new)?;
                self.note(Actor::Main, Event::DisputeAnswered, &partner.id, &ruling.sentence(), now)?;
                let strike = strike.as_ref().map(|(before, after)| (before.as_ref(), after));
                if !self.database.put_ruling(&partner.id, &dispute, &ruling, strike).await? {
                    return Err(DisputeError::Answered(period));
                }
                dispute.ruling = Some(ruling);
            }
        }
        self.tell_ruling(&partner.id, &self.call(partner).await?, &dispute, now).await?;
        dispute.ruling.ok_or_else(nothing)
    }

    /// Tells a partner how main has decided a dispute, lets what the claim asked for take effect, and keeps that the partner
    /// has it.
    pub(crate) async fn tell_ruling(
        &self,
        partner: &SiteId,
        client: &PeerClient,
        dispute: &Dispute,
        now: Timestamp,
    ) -> Result<(), DisputeError> {
        match client.post::<()>(RULING, &dispute.ruling).await {
            Err(error) if error.is_problem(UNKNOWN_DISPUTE) => {
                // Nothing of the claim takes effect then.
                self.drop_claimed(partner, &dispute.claim, now).await.map_err(Box::new)?;
                self.database.put_told(partner, dispute, now).await?;
                return Err(DisputeError::Lost { partner: partner.clone(), period: dispute.claim.period });
            }
            told => told?,
        }
        // Both sides have the answer in their trails now.
        self.settle_ruled(partner, &dispute.claim, now).await.map_err(Box::new)?;
        Ok(self.database.put_told(partner, dispute, now).await?)
    }

    /// Whether what a claim asks to be struck out could be.
    async fn check_claimed_strike(&self, partner: &PartnerRow, claim: &Claim) -> Result<(), DisputeError> {
        let Some(strike) = &claim.strike else { return Ok(()) };
        let month = claim.period.month();
        if strike.by != Party::Partner || strike.month != month {
            return Err(StrikeRefused::OtherLog(month, strike.log.clone()).into());
        }
        self.check_strike(partner, strike).await.map_err(|error| match error {
            StrikeError::Refused(refused) => DisputeError::Refused(refused),
            other => DisputeError::Strike(Box::new(other)),
        })?;
        match self.known_strike(&partner.id, strike.digest()).await? {
            Some(known) => Err(StrikeRefused::Known(known.strike.digest()).into()),
            None => Ok(()),
        }
    }

    async fn dispute(&self, partner: &SiteId, period: Period) -> Result<Option<Dispute>, DatabaseError> {
        Ok(self.database.disputes_of(partner).await?.into_iter().find(|dispute| dispute.claim.period == period))
    }

    /// Whether the claim is of a statement that was issued, and comes in time.
    async fn check_claim(&self, partner: &PartnerRow, claim: &Claim, now: Timestamp) -> Result<(), DisputeError> {
        let period = claim.period;
        let issued = self.database.issued(&partner.id).await?;
        let notice = issued.into_iter().find(|notice| notice.period == period);
        let notice = notice.filter(|notice| Digest::of(notice.statement.as_bytes()) == claim.statement);
        let note = notice.and_then(|notice| notice.note).ok_or(DisputeError::NotIssued(period))?;
        let signed = SignedText::open(&note, &self.keys.cosigner().map_err(HubError::from)?.verifier())?.signed();
        let contract = self.books(partner).await?.contract(period)?;
        let no_term = || DisputeError::NoTerm(contract.id.to_string());
        let window = contract.terms.dispute.as_ref().ok_or_else(no_term)?.window.seconds();
        let until = signed.checked_add(SignedDuration::from_secs(window.into())).unwrap_or(Timestamp::MAX);
        if now <= until { Ok(()) } else { Err(DisputeError::TooLate { period, until }) }
    }

    fn note(
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

/// The hub's answers to partners that dispute a statement.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new().route(DISPUTES, post(open)).layer(DefaultBodyLimit::max(MAX_CLAIM)).with_state(hub)
}

async fn open(
    State(hub): State<Arc<Hub>>,
    peer: Option<Extension<Peer>>,
    Json(claim): Json<Claim>,
) -> Result<Json<Opened>, Refusal> {
    let partner = caller(&hub, peer).await?;
    let opened = hub.open_dispute(&partner, claim, Timestamp::now()).await;
    opened.map(Json).map_err(|error| refuse(&error))
}

fn refuse(error: &DisputeError) -> Refusal {
    tracing::warn!(error = error as &dyn std::error::Error, "a dispute was not opened");
    match error {
        DisputeError::NotIssued(_)
        | DisputeError::NoTerm(_)
        | DisputeError::TooLate { .. }
        | DisputeError::Refused(_)
        | DisputeError::Words(_) => Refusal::caused_by(StatusCode::UNPROCESSABLE_ENTITY, "not-disputable", error),
        DisputeError::Again(_) | DisputeError::Trail(TrailError::Busy(_)) => {
            Refusal::caused_by(StatusCode::CONFLICT, "not-disputed", error)
        }
        _ => {
            let title = "the main site could not take the dispute; its log says why";
            Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title)
        }
    }
}
