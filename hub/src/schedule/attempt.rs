//! One try to publish to one partner, and its row in the queue afterwards.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use jiff::Timestamp;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_protocol::ids::SiteId;
use tieup_web::client::CallError;
use tieup_web::complaint::causes;

use super::backoff::{Failure, Roll};
use super::queue::{CameTo, LastTry};
use super::{Clock, Workshop};
use crate::archive::Archive;
use crate::database::{DatabaseError, PartnerRow};
use crate::partners::{Hub, HubError};
use crate::publish::{Approach, Outcome, PublishError};
use crate::terms::TermsError;

/// How long one try may take. A first release over a slow line needs its time; whatever takes longer hangs.
const LONGEST_TRY: Duration = Duration::from_mins(30);

/// A try that has ended.
#[derive(Debug)]
pub struct Attempt {
    /// The partner.
    pub partner: SiteId,
    /// What came of it.
    pub outcome: Result<Outcome, PublishError>,
    /// When it is tried again by itself.
    pub retry: Option<Timestamp>,
    /// How many tries in a row have come to this failure; 0 where it is none.
    pub failures: u32,
}

impl Attempt {
    /// What the call came to where nobody is there who answers, such as before the partner's daemon is started.
    pub fn unanswered(&self) -> Option<&CallError> {
        match self.outcome.as_ref().err()? {
            PublishError::Push { source: call, .. } | PublishError::Hub(HubError::Call(call)) => {
                matches!(call, CallError::NoAnswer { .. } | CallError::NoLine { .. }).then_some(call)
            }
            _ => None,
        }
    }
}

impl Hub {
    /// Publishes to `partner` and keeps in the queue what came of it.
    ///
    /// Takes a bounded time, whatever the partner does. The row is durable on return, unless the database failed, which
    /// is logged.
    pub(crate) async fn attempt(
        &self,
        workshop: &Workshop,
        archive: Option<&Arc<Archive>>,
        partner: &PartnerRow,
        approach: &Approach,
        clock: &Clock,
    ) -> Attempt {
        let begun = clock();
        let push = self.publish_to(workshop, archive, partner, approach);
        let outcome = match tokio::time::timeout(LONGEST_TRY, push).await {
            Ok(outcome) => outcome,
            Err(_) => Err(PublishError::Slow(partner.id.clone(), LONGEST_TRY)),
        };
        let (retry, failures) = match self.settle(&partner.id, &outcome, begun, clock()).await {
            Ok(settled) => settled,
            Err(error) => {
                tracing::error!(partner = %partner.id, error = &error as &dyn std::error::Error, "a try was not kept");
                (None, 0)
            }
        };
        Attempt { partner: partner.id.clone(), outcome, retry, failures }
    }

    async fn settle(
        &self,
        partner: &SiteId,
        outcome: &Result<Outcome, PublishError>,
        begun: Timestamp,
        ended: Timestamp,
    ) -> Result<(Option<Timestamp>, u32), DatabaseError> {
        let (came_to, why) = judge(outcome);
        self.tally.count(came_to);
        let row = self.database.queued(partner).await?.after(came_to, why, begun, ended, roll());
        self.database.put_queued(partner, &row).await?;
        Ok((row.retry, row.last.map_or(0, |LastTry { failures, .. }| failures)))
    }
}

/// What an outcome is in the queue, and why.
fn judge(outcome: &Result<Outcome, PublishError>) -> (CameTo, String) {
    match outcome {
        Ok(Outcome::Delivered { .. }) => (CameTo::Delivered, String::new()),
        Ok(Outcome::Unchanged(_)) => (CameTo::Unchanged, String::new()),
        Ok(Outcome::RejectedBefore { reason, .. }) => (CameTo::Rejected, reason.clone()),
        Ok(Outcome::RolledBack(_)) => (CameTo::RolledBack, String::new()),
        Ok(Outcome::AwaitingSignatures { given, needed, .. }) => {
            (CameTo::AwaitingSignatures, format!("{given} of {needed} signatures are there"))
        }
        Ok(Outcome::LinkAlone(_)) => (CameTo::LinkAlone, String::new()),
        Err(PublishError::Site(report)) => {
            (CameTo::Broken, report.diagnostics().first().map_or_else(String::new, placed))
        }
        Err(PublishError::Terms(TermsError::SameVersion(problem))) => (CameTo::Broken, placed(problem)),
        Err(error) => (CameTo::Failed(failure(error)), innermost(error)),
    }
}

/// A mistake in one line.
fn placed(problem: &Diagnostic) -> String {
    format!("{}: {}", problem.file, problem.message)
}

fn failure(error: &PublishError) -> Failure {
    match error {
        PublishError::Push { source: call, .. } | PublishError::Hub(HubError::Call(call)) => match call {
            call if call.may_pass() => Failure::Unreachable,
            CallError::Address(..) => Failure::Unreachable,
            CallError::Setup { .. } => Failure::Ours,
            _ => Failure::Refused,
        },
        PublishError::Slow(..) => Failure::Unreachable,
        PublishError::Busy(..) => Failure::Busy,
        _ => Failure::Ours,
    }
}

/// What the partner says, or else what the failure comes from, in one line.
fn innermost(error: &PublishError) -> String {
    let call = causes(error).find_map(|cause| cause.downcast_ref::<CallError>());
    call.map_or_else(|| error.to_string(), ToString::to_string)
}

/// A random number; without one from the operating system all partners wait equally long.
fn roll() -> Roll {
    let mut bytes = [0; 2];
    SystemRandom::new().fill(&mut bytes).map_or(Roll(u16::MAX), |()| Roll(u16::from_le_bytes(bytes)))
}
