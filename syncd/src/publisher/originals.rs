//! The partner's own pages: what is live of them, and what waits under their own approval.
//!
//! Where changed originals must be approved, the daemon keeps a copy of those that were. Releases are merged with the
//! copy, so that no release takes along what nobody has approved.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tieup_protocol::audit::{Actor, Event, Happening};
use tieup_protocol::change::Change;
use tieup_protocol::digest::Digest;
use tieup_protocol::path::SourcePath;
use tieup_protocol::wire::WaitingOriginals;
use tieup_store::durable;
use tieup_web::complaint::causes;

use super::{Live, PublishError, Publisher};
use crate::candidate::Candidate;
use crate::candidate::sources::{FOLDERS, SITE_FILE};
use crate::clock::Clock;
use crate::comparison::{self, Comparison};
use crate::config::OriginalsApproval;

/// The files of a partner's site.
type Sources = BTreeMap<SourcePath, Vec<u8>>;

/// The partner's own pages could not be made public as they are; the site stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedOriginals {
    /// Since when they are not.
    pub since: Timestamp,
    /// Why, as the newest attempt was told: a line or several.
    pub reason: String,
}

impl RefusedOriginals {
    /// It in sentences, by the operator's `clock`.
    pub(crate) fn told(&self, clock: &Clock) -> String {
        let (since, reason) = (clock.tell(self.since), self.reason.trim_end().replace('\n', "\n    "));
        format!("Your own pages are not published since {since}; the site stays as it was:\n    {reason}")
    }
}

/// Whether `file` is of the partner's site in the folder `site`.
pub fn is_original(site: &Path, file: &Path) -> bool {
    let below = file.strip_prefix(site);
    below.is_ok_and(|below| below == Path::new(SITE_FILE) || FOLDERS.iter().any(|folder| below.starts_with(folder)))
}

impl Publisher {
    /// Merges the originals as they are now with the live release, and makes the result public if it differs and need
    /// not be approved. What must be approved waits.
    ///
    /// # Errors
    /// When the originals have errors or conflict; then the public site stays as it is.
    pub fn refresh_originals(&mut self) -> Result<Change, PublishError> {
        if self.live.version.is_none() {
            return Ok(Change::default());
        }
        let (now, before) = (Timestamp::now(), self.refused_originals.take());
        let refreshed = match self.originals {
            OriginalsApproval::Auto => self.show_originals(),
            OriginalsApproval::Ask => self.stage_originals(now),
        };
        self.refused_originals = refreshed.as_ref().err().map(|error| RefusedOriginals {
            since: before.map_or(now, |before| before.since),
            reason: causes(error).map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        });
        refreshed
    }

    /// Why the originals are not public as they are, where that is so.
    pub fn refused_originals(&self) -> Option<&RefusedOriginals> {
        self.refused_originals.as_ref()
    }

    /// The changed originals that wait for the operator.
    pub fn waiting_originals(&self) -> Option<&WaitingOriginals> {
        self.waiting_originals.as_ref()
    }

    /// What the waiting originals would change.
    ///
    /// # Errors
    /// When none wait, or they have errors.
    pub fn originals_difference(&self) -> Result<Comparison, PublishError> {
        if let Some(refused) = &self.refused_originals {
            return Err(PublishError::OriginalsRefused(refused.clone()));
        }
        self.waiting_originals.as_ref().ok_or(PublishError::NoOriginals)?;
        self.compare_originals(&self.site).map(|(_, comparison)| comparison)
    }

    /// Makes the changed originals public. `read` is what the operator has read about.
    ///
    /// Durable on return.
    ///
    /// # Errors
    /// When none wait, they changed since, or they have errors.
    pub fn approve_originals(&mut self, read: Digest, now: Timestamp) -> Result<Change, PublishError> {
        let waiting = self.waiting_originals.clone().ok_or(PublishError::NoOriginals)?;
        let sources = sources(&self.site)?;
        if read != waiting.digest || digest(&sources) != read {
            return Err(PublishError::OtherOriginals);
        }
        // Whether they can be built is found out before they are kept.
        self.compare_originals(&self.site)?;
        let reason = Some(waiting.sentence);
        let what = Event::OriginalsApproved;
        self.audit.append(&[Happening { who: Actor::Operator, what, release: None, reason }], now)?;
        durable::replace_dir(&self.approved_originals, &sources)?;
        self.waiting_originals = None;
        let change = self.show_originals();
        if change.is_ok() {
            self.refused_originals = None;
        }
        self.announce()?;
        change
    }

    /// Where the originals are that a release is merged with.
    ///
    /// # Errors
    /// When the copy of those that were approved lost its name while the disk failed, and cannot get it back.
    pub(super) fn originals_for_release(&self) -> Result<&Path, PublishError> {
        if self.originals == OriginalsApproval::Auto {
            return Ok(&self.site);
        }
        if !self.approved_originals.is_dir()
            && let Some(state) = self.approved_originals.parent()
        {
            durable::settle(state)?;
        }
        Ok(if self.approved_originals.is_dir() { &self.approved_originals } else { &self.site })
    }

    /// Begins or ends the copy of approved originals, as the setting says. Those that stand there when it begins are
    /// taken for approved, since they are live.
    pub(super) fn settle_originals(&mut self) -> Result<(), PublishError> {
        match self.originals {
            OriginalsApproval::Ask if self.live.version.is_some() => self.keep_first_originals(),
            OriginalsApproval::Auto if self.approved_originals.is_dir() => {
                Ok(durable::remove_dir_all(&self.approved_originals)?)
            }
            _ => Ok(()),
        }
    }

    /// Keeps the originals as they are now as approved, where none have been kept yet: the first release goes live
    /// with them.
    pub(super) fn keep_first_originals(&self) -> Result<(), PublishError> {
        if self.originals == OriginalsApproval::Auto || self.approved_originals.is_dir() {
            return Ok(());
        }
        Ok(durable::replace_dir(&self.approved_originals, &sources(&self.site)?)?)
    }

    /// Makes the originals public that need no more approval.
    fn show_originals(&mut self) -> Result<Change, PublishError> {
        let (candidate, comparison) = self.compare_originals(self.originals_for_release()?)?;
        let change = comparison.change;
        if !change.is_empty() || candidate != self.live.site {
            let mut accepted = self.live.accepted.clone();
            accepted.extend(change.new_risks.clone());
            self.put_live(Live { site: candidate, accepted, ..self.live.clone() })?;
        }
        Ok(change)
    }

    /// Notes what the originals would change, for the operator to decide on.
    fn stage_originals(&mut self, now: Timestamp) -> Result<Change, PublishError> {
        // What was approved before a crash may not be live yet.
        self.show_originals()?;
        let sources = sources(&self.site)?;
        let (_, Comparison { change, .. }) = self.compare_originals(&self.site)?;
        let digest = digest(&sources);
        if change.is_empty() {
            self.waiting_originals = None;
        } else if self.waiting_originals.as_ref().is_none_or(|waiting| waiting.digest != digest) {
            let sentence = change.originals_sentence();
            self.waiting_originals = Some(WaitingOriginals { digest, sentence, since: now });
        }
        self.announce()?;
        Ok(change)
    }

    /// The live release with the originals in `site`, and how that differs from what is live.
    fn compare_originals(&self, site: &Path) -> Result<(Arc<Candidate>, Comparison), PublishError> {
        let version = self.live.version.ok_or(PublishError::NoOriginals)?;
        let release = self.reread(version)?;
        let candidate = self.merge(&release, site)?;
        let comparison = comparison::compare(&self.live.site, &candidate, &self.live.accepted, &self.pages())?;
        Ok((candidate, comparison))
    }
}

/// Every file of the partner's site in `site`.
fn sources(site: &Path) -> Result<Sources, PublishError> {
    let mut sources = Sources::new();
    let mut open: Vec<String> = FOLDERS.iter().map(|folder| (*folder).to_owned()).collect();
    if site.join(SITE_FILE).is_file() {
        take(site, SITE_FILE, &mut sources)?;
    }
    while let Some(folder) = open.pop() {
        let path = site.join(&folder);
        if !path.is_dir() {
            continue;
        }
        let unreadable = |error| PublishError::OriginalFile(path.clone(), error);
        for entry in fs::read_dir(&path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() { open.push(name) } else { take(site, &name, &mut sources)? }
        }
    }
    Ok(sources)
}

fn take(site: &Path, name: &str, sources: &mut Sources) -> Result<(), PublishError> {
    let path = site.join(name);
    let key: SourcePath = name.parse().map_err(|error| PublishError::OriginalName(name.to_owned(), error))?;
    let bytes = fs::read(&path).map_err(|error| PublishError::OriginalFile(path, error))?;
    sources.insert(key, bytes);
    Ok(())
}

/// One digest over all names and contents.
fn digest(sources: &Sources) -> Digest {
    let lines = sources.iter().map(|(name, bytes)| format!("{} {}\n", Digest::of(bytes), name.as_str()));
    Digest::of(lines.collect::<String>().as_bytes())
}
