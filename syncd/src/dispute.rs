//! Disputes of main's statements: opened by the operator with the difference that was found, answered by main. Both stand
//! in the audit trail before they take effect.

use jiff::Timestamp;
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::digest::Digest;
use tieup_protocol::dispute::{Claim, DISPUTES, Dispute, Opened, Ruling};
use tieup_protocol::period::Period;
use tieup_protocol::strike::Numbers;
use tieup_protocol::wire::StatementVerdict;
use tieup_store::audit::AuditError;
use tieup_store::document::{Document, DocumentError};
use tieup_web::client::CallError;
use tieup_web::complaint::causes;

use crate::daemon::Partner;
use crate::location::LocateError;
use crate::statement::{STATEMENTS, StatementFailure};
use crate::strikes::StrikeError;

/// Why a dispute was not opened, or an answer not taken.
#[derive(Debug, thiserror::Error)]
pub enum DisputeError {
    /// There is no statement, or it cannot be verified.
    #[error(transparent)]
    Statement(#[from] StatementFailure),
    /// A draft is no statement yet.
    #[error("the statement for {0} is a draft: it can be disputed once it is issued")]
    Draft(Period),
    /// Main cannot be called.
    #[error(transparent)]
    Main(#[from] LocateError),
    /// Main did not take it.
    #[error("the main site did not take the dispute")]
    Call(#[from] CallError),
    /// The audit trail could not be continued.
    #[error(transparent)]
    Trail(#[from] AuditError),
    /// What is known of the dispute cannot be kept or read back.
    #[error("the dispute cannot be kept or read back")]
    Document(#[from] DocumentError),
    /// What is asked to be struck out makes no sense, or cannot be kept.
    #[error(transparent)]
    Strike(#[from] Box<StrikeError>),
    /// An answer to what is not disputed here.
    #[error("no dispute of {0} is known here")]
    Unknown(Period),
    /// An answer to another dispute, or another answer than before.
    #[error("main answers a dispute of {0} that does not stand here so")]
    Strange(Period),
}

impl Partner {
    /// Disputes main's statement for `period`, with the first difference where there is one.
    ///
    /// # Errors
    /// See [`DisputeError`].
    pub async fn dispute(
        &self,
        period: impl Into<Period>,
        reason: &str,
        now: Timestamp,
    ) -> Result<Dispute, DisputeError> {
        self.dispute_striking(period, (reason, None), now).await
    }

    /// The same, and asks to strike out entries of the month's log: they are, where main accepts the claim.
    ///
    /// # Errors
    /// See [`DisputeError`].
    pub async fn dispute_striking(
        &self,
        period: impl Into<Period>,
        (reason, strike): (&str, Option<&Numbers>),
        now: Timestamp,
    ) -> Result<Dispute, DisputeError> {
        let period = period.into();
        let claim = self.claim(period, (reason, strike), now).await?;
        let opened = self.main().await?.post::<Opened>(DISPUTES, &claim).await;
        if let Err(error) = &opened {
            let why = causes(error).last().map(ToString::to_string).unwrap_or_default();
            self.note(Actor::Main, Event::DisputeRefused, format!("{period}: {why}"), now)?;
        }
        let dispute = Dispute::opened(claim, opened?.opened);
        let _records = self.records();
        // Main may have answered it by now.
        let known = self.disputed(period)?.filter(|known| known.claim == dispute.claim);
        if let Some(known) = known {
            return Ok(known);
        }
        self.dispute_document(period).write(&dispute)?;
        Ok(dispute)
    }

    /// What is claimed. It is kept before main is told, and the same words again are the same claim: main may have taken it,
    /// and its answer was lost.
    async fn claim(
        &self,
        period: Period,
        (reason, entries): (&str, Option<&Numbers>),
        now: Timestamp,
    ) -> Result<Claim, DisputeError> {
        let verified = self.verify_statement(period)?;
        verified.issued.ok_or(DisputeError::Draft(period))?;
        let statement = Digest::of(self.notice(period)?.statement.as_bytes());
        let is_same = |claim: &Claim| {
            let asked = claim.strike.as_ref().map(|strike| &strike.entries);
            (claim.statement, claim.reason.as_str(), asked) == (statement, reason, entries)
        };
        if let Some(claim) = self.claim_document(period).read()?.filter(is_same) {
            return Ok(claim);
        }
        let located = match verified.verdict {
            StatementVerdict::Identical => None,
            StatementVerdict::Different { .. } => self.locate(period).await?,
        };
        let strike = entries.map(|entries| self.new_strike(period.month(), (entries, reason), now));
        let strike = strike.transpose().map_err(Box::new)?;
        let reason = reason.to_owned();
        let claim = Claim { period, statement, reason, verdict: verified.verdict, located, strike };
        self.note(Actor::Operator, Event::StatementDisputed, claim.sentence(), now)?;
        self.claim_document(period).write(&claim)?;
        Ok(claim)
    }

    /// Takes main's answer. The same answer again changes nothing.
    ///
    /// # Errors
    /// When nothing is disputed so, or it was answered otherwise before.
    pub fn take_ruling(&self, ruling: &Ruling, now: Timestamp) -> Result<(), DisputeError> {
        let strange = || DisputeError::Strange(ruling.period);
        let _records = self.records();
        let dispute = match self.disputed(ruling.period)? {
            Some(dispute) => dispute,
            // Main took the claim, and its answer to that was lost.
            None => match self.claim_document(ruling.period).read()? {
                Some(claim) if claim.statement == ruling.statement => Dispute::opened(claim, ruling.decided),
                _ => return Err(DisputeError::Unknown(ruling.period)),
            },
        };
        match &dispute.ruling {
            Some(before) if before == ruling => return Ok(()),
            None if dispute.claim.statement == ruling.statement => {}
            _ => return Err(strange()),
        }
        self.note(Actor::Main, Event::DisputeAnswered, ruling.sentence(), now)?;
        self.rule_strike(&dispute.claim, ruling, now).map_err(Box::new)?;
        let answered = Dispute { ruling: Some(ruling.clone()), ..dispute };
        Ok(self.dispute_document(ruling.period).write(&answered)?)
    }

    /// The dispute of the statement for `period`, where there is one.
    ///
    /// # Errors
    /// When it cannot be read back.
    pub fn disputed(&self, period: impl Into<Period>) -> Result<Option<Dispute>, DocumentError> {
        self.dispute_document(period.into()).read()
    }

    fn dispute_document(&self, period: Period) -> Document<Dispute> {
        Document::at(self.state().join(STATEMENTS).join(format!("{}.dispute.json", period.key())))
    }

    /// What was claimed last, whether main has taken it or not.
    fn claim_document(&self, period: Period) -> Document<Claim> {
        Document::at(self.state().join(STATEMENTS).join(format!("{}.claim.json", period.key())))
    }

    fn note(&self, who: Actor, what: Event, reason: String, now: Timestamp) -> Result<(), AuditError> {
        self.publisher().write_down(&Happening { who, what, release: None, reason: Some(reason) }, now)
    }
}
