//! Findings that somebody has looked at. A statement that gives a discount by visits which a finding asks about is held
//! back until they have; what they say stands in main's audit trail before the statement can be issued.

use std::{fmt, iter};

use jiff::Timestamp;
use tieup_fees::findings::{given_by_visits, questioned};
use tieup_fees::{Finding, Made};
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::{Month, Period};

use crate::database::{DatabaseError, PartnerRow};
use crate::findings::{ExamineError, Examined};
use crate::partners::Hub;
use crate::statements::StatementFailure;
use crate::trail::TrailError;

/// A finding, and what somebody said who looked at it.
#[derive(Clone, Debug)]
pub struct Looked {
    /// Its name.
    pub digest: Digest,
    /// The finding.
    pub finding: Finding,
    /// Why it holds nothing back; none while nobody has looked at it.
    pub accepted: Option<String>,
}

/// Why a statement is held back: the discounts that it gives, itself or in what it corrects, by visits that nobody has
/// looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The discounts.
    pub discounts: Vec<HeldDiscount>,
}

/// A discount that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldDiscount {
    /// The earlier period that is corrected, where the discount is of that.
    pub corrected: Option<Period>,
    /// The name of the discount.
    pub discount: String,
    /// The findings that ask about it, in sentences.
    pub findings: Vec<String>,
}

/// Why a finding was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The journal cannot be examined.
    #[error(transparent)]
    Examine(#[from] ExamineError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The trail could not be continued.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// No such finding.
    #[error("`{0}` is the beginning of no one finding of {1}, as it is by now: tieup log findings")]
    Unknown(String, Month),
}

impl Hub {
    /// What is found in a month of a partner's journal, each with what was said of it.
    ///
    /// # Errors
    /// When the journal cannot be examined.
    pub async fn looked_at(
        &self,
        partner: &PartnerRow,
        month: Month,
        examined: &Examined,
    ) -> Result<Vec<Looked>, DatabaseError> {
        let reviews = self.database.reviews(&partner.id).await?;
        let log = format!("{}/{}", self.config.main, partner.id);
        let look = |finding: &Finding| {
            let digest = finding.digest(&log, month);
            Looked { digest, finding: finding.clone(), accepted: reviews.get(&digest).cloned() }
        };
        Ok(examined.found.findings.iter().map(look).collect())
    }

    /// Writes down that somebody has looked at a finding, and why it holds nothing back. It is named by its digest or the
    /// beginning of it. Durable on return.
    ///
    /// # Errors
    /// See [`ReviewError`].
    pub async fn accept_finding(
        &self,
        partner: &PartnerRow,
        month: Month,
        (name, reason): (&str, &str),
        now: Timestamp,
    ) -> Result<Looked, ReviewError> {
        let examined = self.examine(partner, month).await?;
        let is_meant = |looked: &Looked| name.len() >= 4 && looked.digest.hex().starts_with(name);
        let all = self.looked_at(partner, month, &examined).await?;
        let mut meant = all.into_iter().filter(is_meant);
        let (Some(looked), None) = (meant.next(), meant.next()) else {
            return Err(ReviewError::Unknown(name.to_owned(), month));
        };
        self.accept(&partner.id, month, (&looked, reason), now).await?;
        Ok(Looked { accepted: Some(reason.to_owned()), ..looked })
    }

    /// Writes down that somebody has looked at everything that holds back the statement for `period`. Returns how many
    /// findings that were.
    ///
    /// # Errors
    /// See [`ReviewError`].
    pub async fn accept_all(
        &self,
        partner: &PartnerRow,
        period: Period,
        reason: &str,
        now: Timestamp,
    ) -> Result<usize, ReviewError> {
        let (made, _) = self.made(partner, period).await.map_err(ExamineError::from)?;
        let mut number = 0;
        for made in granting(&made) {
            for looked in &self.open_findings(partner, made).await? {
                self.accept(&partner.id, made.counted.month(), (looked, reason), now).await?;
                number += 1;
            }
        }
        Ok(number)
    }

    /// What holds back the statement `made`; none where it can be issued.
    ///
    /// # Errors
    /// When the journal cannot be examined.
    pub async fn held(&self, partner: &PartnerRow, made: &Made) -> Result<Option<Held>, ExamineError> {
        let mut discounts = Vec::new();
        for granted in granting(made) {
            let open = self.open_findings(partner, granted).await?;
            let lines = &granted.statement.lines;
            let period = granted.counted.period();
            let corrected = Some(period).filter(|period| *period != made.counted.period());
            let sentence = |finding: &Finding| {
                let digest = open.iter().find(|open| open.finding == *finding).map(|open| short(open.digest));
                format!("{} {}: {finding}", digest.unwrap_or_default(), finding.rule().name())
            };
            for asked in questioned(&granted.contract, lines, open.iter().map(|open| &open.finding)) {
                let findings = asked.findings.into_iter().map(sentence).collect();
                discounts.push(HeldDiscount { corrected, discount: asked.discount.to_owned(), findings });
            }
        }
        Ok(Some(Held { discounts }).filter(|held| !held.discounts.is_empty()))
    }

    /// The findings that ask about a discount of the statement `made`, and that nobody has looked at. The log is read only
    /// where a discount goes by visits: what a finding is about, visitors by the hour, no count that is kept tells.
    async fn open_findings(&self, partner: &PartnerRow, made: &Made) -> Result<Vec<Looked>, ExamineError> {
        let (contract, lines, month) = (&made.contract, &made.statement.lines, made.counted.month());
        if given_by_visits(contract, lines).is_empty() {
            return Ok(Vec::new());
        }
        let examined = self.examine(partner, month).await?;
        let mut open = self.looked_at(partner, month, &examined).await?;
        open.retain(|looked| looked.accepted.is_none());
        let findings: Vec<Finding> = open.iter().map(|looked| looked.finding.clone()).collect();
        let asked = questioned(contract, lines, &findings);
        open.retain(|looked| asked.iter().any(|asked| asked.findings.contains(&&looked.finding)));
        Ok(open)
    }

    async fn accept(
        &self,
        partner: &SiteId,
        month: Month,
        (looked, reason): (&Looked, &str),
        now: Timestamp,
    ) -> Result<(), ReviewError> {
        let (name, rule) = (short(looked.digest), looked.finding.rule().name());
        let sentence = format!("{partner} {month}, finding {name}, {rule}: {} Accepted: {reason}", looked.finding);
        let what = Event::FindingAccepted;
        self.write_down(&Happening { who: Actor::Main, what, release: None, reason: Some(sentence) }, now)?;
        Ok(self.database.put_review(partner, month, (looked.digest, reason), now).await?)
    }
}

/// What grants discounts with the statement `made`: itself, and what is right of the periods that it corrects.
fn granting(made: &Made) -> impl Iterator<Item = &Made> {
    iter::once(made).chain(made.corrected.iter().map(|corrected| &**corrected))
}

/// The beginning of a finding's digest, by which people name it.
pub fn short(digest: Digest) -> String {
    digest.hex().chars().take(12).collect()
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, HeldDiscount { corrected, discount, findings }) in self.discounts.iter().enumerate() {
            let and = if at == 0 { "" } else { "\n" };
            let of = corrected.map(|period| format!(" of {period}, which it corrects,")).unwrap_or_default();
            write!(f, "{and}discount `{discount}`{of} goes by visits that nobody has looked at:")?;
            for finding in findings {
                write!(f, "\n  {finding}")?;
            }
        }
        Ok(())
    }
}

/// A journal that cannot be examined holds a statement back that gives a discount.
impl From<ExamineError> for StatementFailure {
    fn from(error: ExamineError) -> Self {
        match error {
            ExamineError::Copy(failure) => failure,
            other => Self::Examine(Box::new(other)),
        }
    }
}
