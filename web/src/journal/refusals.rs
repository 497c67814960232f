//! Logs of the other end that were refused for good: the evidence, and how a person settles it.
//!
//! A refusal is kept apart from the copy, a document for each month, and nothing of it is ever removed. While one stands,
//! nothing of that month is taken or cosigned.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::period::Month;
use tieup_store::document::{Document, DocumentError};
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::{Mirror, MirrorError, month_dir};

/// A log that contradicts what is held of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefusedJournal {
    /// The month.
    pub month: Month,
    /// When it was refused.
    pub since: Timestamp,
    /// What does not fit.
    pub reason: String,
    /// The checkpoint that the copy stands at, as the log's key signed it.
    pub held: Option<String>,
    /// The checkpoint that was shown then, as its key signed it; none where the log was no longer there.
    pub shown: Option<String>,
    /// How a person settled it; none while it stands.
    pub settled: Option<Settled>,
}

/// What a person decided about a refused log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// When.
    pub at: Timestamp,
    /// Why, in that person's words.
    pub reason: String,
    /// What becomes of the copy.
    pub copy: Settlement,
}

/// What becomes of the copy of a log that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settlement {
    /// It stands, and the log must continue it, or stay gone where it was.
    Kept,
    /// It is put aside, and the log is taken from its beginning.
    PutAside,
}

/// Why a refusal was not settled.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// Nothing is refused.
    #[error("no journal of {month} of `{writer}` is refused")]
    Nothing {
        /// Who writes the log.
        writer: String,
        /// The month.
        month: Month,
    },
    /// There is no log that could be taken in the place of the copy.
    #[error(
        "`{writer}` has no journal of {month} any more that could be taken in the place of your copy: settle it without --put-aside, and the copy stands. If it is there again, settle it so, and then what is refused of it at the next fetch"
    )]
    Gone {
        /// Who writes the log.
        writer: String,
        /// The month.
        month: Month,
    },
    /// What is kept of refusals cannot be read or written.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The copy could not be put aside.
    #[error("the copy of the journal could not be put aside")]
    Disk(#[from] DiskError),
}

impl RefusedJournal {
    /// That a log is refused, for what `mirror` holds of it.
    pub fn of(month: Month, mirror: &Mirror, source: &MirrorError, shown: Option<&str>, now: Timestamp) -> Self {
        Self {
            month,
            since: now,
            reason: source.to_string(),
            held: mirror.checkpoint().map(|held| held.note().to_owned()),
            shown: shown.map(str::to_owned),
            settled: None,
        }
    }

    /// It in a sentence.
    pub fn sentence(&self) -> String {
        let since = self.since.strftime("%Y-%m-%d %H:%M UTC");
        format!("the journal of {} is refused since {since}: {}", self.month, self.reason)
    }
}

/// What is refused of one writer's logs.
#[derive(Clone, Debug)]
pub struct Refusals {
    folder: PathBuf,
}

impl Refusals {
    /// Those that are kept in `folder`, which need not be there.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Those that are not settled, oldest month first.
    ///
    /// # Errors
    /// When what is kept of refusals cannot be read.
    pub fn standing(&self) -> Result<Vec<RefusedJournal>, DocumentError> {
        if !self.folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut standing = Vec::new();
        let files = durable::list_dir(&self.folder)?;
        for file in files.into_iter().filter(|file| file.extension() == Some("json".as_ref())) {
            let all: Vec<RefusedJournal> = Document::at(file).read()?.unwrap_or_default();
            standing.extend(all.into_iter().filter(|refused| refused.settled.is_none()));
        }
        Ok(standing)
    }

    /// The refusal of `month` that stands, if one does.
    ///
    /// # Errors
    /// When what is kept of refusals cannot be read.
    pub fn of(&self, month: Month) -> Result<Option<RefusedJournal>, DocumentError> {
        let all = self.document(month).read()?.unwrap_or_default();
        Ok(all.into_iter().find(|refused| refused.settled.is_none()))
    }

    /// Whether a person settled last that the log of `month` is gone, and that the copy stands, which was `held` then: the
    /// checkpoint that it stands at.
    ///
    /// # Errors
    /// When what is kept of refusals cannot be read.
    pub fn is_settled_as_gone(&self, month: Month, held: Option<&str>) -> Result<bool, DocumentError> {
        let all = self.document(month).read()?.unwrap_or_default();
        Ok(all.last().is_some_and(|refused| {
            let is_kept = refused.settled.as_ref().is_some_and(|it| it.copy == Settlement::Kept);
            is_kept && refused.shown.is_none() && refused.held.as_deref() == held
        }))
    }

    /// Refuses a log for good. Durable on return.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn keep(&self, refused: RefusedJournal) -> Result<(), DocumentError> {
        let document = self.document(refused.month);
        durable::create_dir_all(&self.folder)?;
        let mut all = document.read()?.unwrap_or_default();
        tracing::error!(month = %refused.month, reason = refused.reason, "a journal is refused for good");
        all.push(refused);
        document.write(&all)
    }

    /// Settles what stands against the log of `month` of `writer`, of which a copy is among `copies`. Durable on return.
    ///
    /// What was put aside stays beside the other copies, under a name that begins with the month. That it was settled is
    /// said last: where this fails, the refusal stands.
    ///
    /// # Errors
    /// See [`SettleError`].
    pub fn settle(&self, (writer, month): (&str, Month), copies: &Path, decision: Settled) -> Result<(), SettleError> {
        let document = self.document(month);
        let mut all = document.read()?.unwrap_or_default();
        let standing = all.iter_mut().find(|refused| refused.settled.is_none());
        let standing = standing.ok_or_else(|| SettleError::Nothing { writer: writer.to_owned(), month })?;
        if decision.copy == Settlement::PutAside {
            if standing.shown.is_none() {
                return Err(SettleError::Gone { writer: writer.to_owned(), month });
            }
            let aside = copies.join(format!("{month}.aside-{}", decision.at.strftime("%Y%m%dT%H%M%SZ")));
            durable::put_aside(&month_dir(copies, month), &aside)?;
        }
        standing.settled = Some(decision);
        Ok(document.write(&all)?)
    }

    /// When a copy of the log of `month` was last put aside for another log.
    ///
    /// # Errors
    /// When what was refused cannot be read back.
    pub fn put_aside_at(&self, month: Month) -> Result<Option<Timestamp>, DocumentError> {
        let all = self.document(month).read()?.unwrap_or_default();
        let settled = all.iter().filter_map(|refused| refused.settled.as_ref());
        Ok(settled.filter(|settled| settled.copy == Settlement::PutAside).map(|settled| settled.at).max())
    }

    fn document(&self, month: Month) -> Document<Vec<RefusedJournal>> {
        Document::at(self.folder.join(format!("{month}.json")))
    }
}
