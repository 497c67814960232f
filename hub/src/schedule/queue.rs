//! One partner's row in the queue: what was tried last, what came of it, and when to try again.

use std::fmt;

use jiff::Timestamp;

use super::backoff::{Failure, Roll, delay};

/// A partner's row. Between two tries it says all that the next one depends on, so that a restart goes on from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// What was prescribed or changed up to here has been tried; none before the first try.
    pub covered: Option<Timestamp>,
    /// The last try.
    pub last: Option<LastTry>,
    /// When to try again after a failure.
    pub retry: Option<Timestamp>,
    /// What comes next, as it was planned last.
    pub coming: Option<Coming>,
    /// Since when the site holds something that waits for a prescribed time, where that is known.
    pub changed: Option<Timestamp>,
    /// When the partner answered last, to whatever was asked.
    pub heard: Option<Timestamp>,
}

/// A try to publish to one partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTry {
    /// What came of it.
    pub came_to: CameTo,
    /// Why, where there is a why.
    pub why: String,
    /// When it ended.
    pub at: Timestamp,
    /// Since when tries come to this.
    pub since: Timestamp,
    /// How many tries in a row have come to this failure; 0 where it is none.
    pub failures: u32,
}

/// What a try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CameTo {
    /// The partner took the release in.
    Delivered,
    /// The partner has this content already.
    Unchanged,
    /// The operator rejected this content before; it was not sent.
    Rejected,
    /// The operator rolled back from this content; it was not sent.
    RolledBack,
    /// People have to sign the release first; nothing was sent.
    AwaitingSignatures,
    /// The contract is for a link alone.
    LinkAlone,
    /// The site has mistakes: there is nothing to send.
    Broken,
    /// It failed.
    Failed(Failure),
}

/// A push that is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coming {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
}

/// Why a push is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The site changed, or nothing was ever sent.
    Site,
    /// Its time has come.
    Prescribed,
    /// The last try failed.
    Retry,
}

impl CameTo {
    const ALL: [Self; 11] = [
        Self::Delivered,
        Self::Unchanged,
        Self::Rejected,
        Self::RolledBack,
        Self::AwaitingSignatures,
        Self::LinkAlone,
        Self::Broken,
        Self::Failed(Failure::Unreachable),
        Self::Failed(Failure::Refused),
        Self::Failed(Failure::Busy),
        Self::Failed(Failure::Ours),
    ];

    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::RolledBack => "rolled-back",
            Self::AwaitingSignatures => "awaiting-signatures",
            Self::LinkAlone => "link-alone",
            Self::Broken => "broken",
            Self::Failed(Failure::Unreachable) => "unreachable",
            Self::Failed(Failure::Refused) => "refused",
            Self::Failed(Failure::Busy) => "busy",
            Self::Failed(Failure::Ours) => "failed",
        }
    }

    /// What `word` stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|came_to| came_to.word() == word)
    }

    /// The failure, if it is one that may pass.
    pub const fn failure(self) -> Option<Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

impl Cause {
    const ALL: [Self; 3] = [Self::Site, Self::Prescribed, Self::Retry];

    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Prescribed => "prescribed",
            Self::Retry => "retry",
        }
    }

    /// What `word` stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.word() == word)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Queued {
    /// The row after a try that took from `begun` to `ended`.
    #[must_use]
    pub fn after(&self, came_to: CameTo, why: String, begun: Timestamp, ended: Timestamp, roll: Roll) -> Self {
        let before = self.last.as_ref().filter(|last| last.came_to == came_to);
        let failures = came_to.failure().map_or(0, |_| before.map_or(0, |last| last.failures).saturating_add(1));
        let wait = came_to.failure().and_then(|failure| delay(failure, failures, roll));
        let retry = wait.map(|wait| ended.saturating_add(wait).unwrap_or(ended));
        let since = before.map_or(ended, |last| last.since);
        Self {
            covered: Some(begun),
            last: Some(LastTry { came_to, why, at: ended, since, failures }),
            retry,
            coming: retry.map(|at| Coming { at, cause: Cause::Retry }),
            changed: self.changed.filter(|changed| *changed > begun),
            heard: self.heard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn every_word_leads_back() {
        for came_to in CameTo::ALL {
            assert_eq!(CameTo::of_word(came_to.word()), Some(came_to));
        }
        for cause in Cause::ALL {
            assert_eq!(Cause::of_word(cause.word()), Some(cause));
        }
        assert_eq!(CameTo::of_word("signing"), None);
    }

    #[test]
    fn failures_of_one_kind_add_up_and_a_success_ends_them() {
        let (unreachable, roll) = (CameTo::Failed(Failure::Unreachable), Roll(u16::MAX));
        let once = Queued::default().after(unreachable, "silence".to_owned(), at(100), at(105), roll);
        assert_eq!((once.retry, once.covered), (Some(at(115)), Some(at(100))));
        let twice = once.after(unreachable, "silence".to_owned(), at(115), at(120), roll);
        let last = twice.last.as_ref().unwrap();
        assert_eq!((last.failures, last.since, twice.retry), (2, at(105), Some(at(140))));
        let refused = twice.after(CameTo::Failed(Failure::Refused), "no".to_owned(), at(140), at(141), roll);
        assert_eq!((refused.last.as_ref().unwrap().failures, refused.retry), (1, Some(at(441))));
        let done = refused.after(CameTo::Delivered, String::new(), at(500), at(501), roll);
        assert_eq!((done.last.as_ref().unwrap().failures, done.retry, done.coming), (0, None, None));
    }

    #[test]
    fn what_changed_while_it_was_pushed_still_waits() {
        let waiting = |changed| Queued { changed: Some(at(changed)), ..Queued::default() };
        let after = |row: Queued| row.after(CameTo::Delivered, String::new(), at(100), at(110), Roll(0)).changed;
        assert_eq!((after(waiting(90)), after(waiting(105))), (None, Some(at(105))));
    }
}
