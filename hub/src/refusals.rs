//! Journals that main refused for good: the evidence, and how a person settles it.
//!
//! A refusal is kept apart from main's copy, a document for each partner and month, and nothing of it is ever removed.
//! While one stands, nothing of that month is taken or cosigned.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::ids::SiteId;
use tieup_protocol::period::Month;
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::month_dir;

use crate::partners::Hub;

/// A journal that contradicts what main holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedJournal {
    /// The month.
    pub month: Month,
    /// When it was refused.
    pub since: Timestamp,
    /// What does not fit.
    pub reason: String,
    /// The checkpoint that main's copy stands at, as its key signed it.
    pub held: Option<String>,
    /// The checkpoint that was shown then, as its key signed it; none where the journal was no longer there.
    pub shown: Option<String>,
    /// How a person settled it; none while it stands.
    pub settled: Option<Settled>,
}

/// What a person decided about a refused journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// When.
    pub at: Timestamp,
    /// Why, in that person's words.
    pub reason: String,
    /// What becomes of main's copy.
    pub copy: Settlement,
}

/// What becomes of main's copy of a journal that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settlement {
    /// It stands, and the partner's journal must continue it.
    Kept,
    /// It is put aside, and the partner's journal is taken from its beginning.
    PutAside,
}

/// Why a refusal was not settled.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// Nothing is refused.
    #[error("no journal of {month} of `{partner}` is refused")]
    Nothing {
        /// The partner.
        partner: SiteId,
        /// The month.
        month: Month,
    },
    /// What is kept of refusals cannot be read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Main's copy could not be put aside.
    #[error("main's copy of the journal could not be put aside")]
    Disk(#[from] DiskError),
}

impl RefusedJournal {
    /// It in a sentence.
    pub fn sentence(&self) -> String {
        let since = self.since.strftime("%Y-%m-%d %H:%M UTC");
        format!("the journal of {} is refused since {since}: {}", self.month, self.reason)
    }
}

impl Hub {
    /// What is refused of a partner's journals and not settled, oldest month first.
    ///
    /// # Errors
    /// When what is kept of refusals cannot be read.
    pub fn refused_journals(&self, partner: &SiteId) -> Result<Vec<RefusedJournal>, DocumentError> {
        let folder = self.refusals(partner);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut standing = Vec::new();
        for file in durable::list_dir(&folder)?.into_iter().filter(|file| file.extension() == Some("json".as_ref())) {
            let all: Vec<RefusedJournal> = Document::at(file).read()?.unwrap_or_default();
            standing.extend(all.into_iter().filter(|refused| refused.settled.is_none()));
        }
        Ok(standing)
    }

    /// The refusal of a partner's journal of `month` that stands, if one does.
    ///
    /// # Errors
    /// When what is kept of refusals cannot be read.
    pub fn refused_journal(&self, partner: &SiteId, month: Month) -> Result<Option<RefusedJournal>, DocumentError> {
        let all = self.refusals_of(partner, month).read()?.unwrap_or_default();
        Ok(all.into_iter().find(|refused| refused.settled.is_none()))
    }

    /// Refuses a journal for good. Durable on return.
    pub(crate) fn refuse_journal(&self, partner: &SiteId, refused: RefusedJournal) -> Result<(), DocumentError> {
        let document = self.refusals_of(partner, refused.month);
        durable::create_dir_all(&self.refusals(partner))?;
        let mut all = document.read()?.unwrap_or_default();
        tracing::error!(%partner, month = %refused.month, reason = refused.reason, "a journal is refused for good");
        all.push(refused);
        document.write(&all)
    }

    /// Settles what stands against a partner's journal of `month`, for a person's `reason`. Durable on return.
    ///
    /// What was put aside stays beside the other copies, under a name that begins with the month. That it was settled is
    /// said last: where this fails, the refusal stands.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub fn settle_journal(
        &self,
        partner: &SiteId,
        month: Month,
        copy: Settlement,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), SettleError> {
        let document = self.refusals_of(partner, month);
        let mut all = document.read()?.unwrap_or_default();
        let standing = all.iter_mut().find(|refused| refused.settled.is_none());
        let standing = standing.ok_or_else(|| SettleError::Nothing { partner: partner.clone(), month })?;
        if copy == Settlement::PutAside {
            let copies = self.config.state.join("journals").join(partner.as_str());
            let aside = copies.join(format!("{month}.aside-{}", now.strftime("%Y%m%dT%H%M%SZ")));
            durable::put_aside(&month_dir(&copies, month), &aside)?;
        }
        standing.settled = Some(Settled { at: now, reason: reason.to_owned(), copy });
        Ok(document.write(&all)?)
    }

    fn refusals(&self, partner: &SiteId) -> std::path::PathBuf {
        self.config.state.join("refusals").join(partner.as_str())
    }

    fn refusals_of(&self, partner: &SiteId, month: Month) -> Document<Vec<RefusedJournal>> {
        Document::at(self.refusals(partner).join(format!("{month}.json")))
    }
}
