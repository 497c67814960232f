//! Main's copies of the partners' audit trails: fetched, taken only where they continue what main has, and signed by
//! whose they are.

mod fetching;
mod signature;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tieup_protocol::audit::{Actor, AuditEntry, Event, Happening};
use tieup_protocol::ids::SiteId;
use tieup_store::audit::{AuditError, AuditTrail, TrailNoteError};
use tieup_store::durable::{self, DiskError};
use tieup_store::journal::InvalidKey;
use tieup_store::lock::{LockError, StateLock};
use tieup_web::client::CallError;
use tieup_web::complaint;

use crate::database::PartnerRow;
use crate::partners::{Hub, HubError};
use crate::trail::TrailError;

/// The copy among a partner's journals.
const COPY: &str = "audit.jsonl";

/// What the names of copies that were put aside begin with; the time follows.
const ASIDE: &str = "audit.aside-";

/// Why a partner's audit trail was not taken. Main's copy is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FetchAuditError {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The partner could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What it sent is no text.
    #[error("the audit trail of `{0}` cannot be read")]
    NoText(SiteId),
    /// What it sent does not continue main's copy, or what it signed.
    #[error(
        "the audit trail of `{0}` is REFUSED: ask its operator what happened, and settle it: tieup audit {0} --settle --reason ..."
    )]
    Refused(SiteId, #[source] Contradiction),
    /// It does not sign what it sent.
    #[error(
        "the audit trail of `{0}` came, and its daemon does not sign it as the partner that joined: until its operator puts the \
         state folder's identity.json back, or joins again, what it decides is not signed"
    )]
    Unsigned(SiteId, #[source] TrailNoteError),
    /// The partner's key is damaged in the database.
    #[error("the journal key of `{0}` cannot be used")]
    Key(SiteId, #[source] InvalidKey),
    /// Main's own copy failed.
    #[error("main's copy of the audit trail of `{0}` cannot be used")]
    Copy(SiteId, #[source] AuditError),
    /// Another command is at it.
    #[error("another command is fetching from `{0}` at this moment")]
    Busy(SiteId, #[source] LockError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What a partner's audit trail contradicts.
#[derive(Debug, thiserror::Error)]
pub enum Contradiction {
    /// Main's copy.
    #[error(transparent)]
    Copy(AuditError),
    /// What the partner signed before.
    #[error("its first {lines} lines are not those that it signed on {}: {} has its signature", time.strftime("%Y-%m-%d %H:%M:%S UTC"), note.display())]
    Signed {
        /// How many lines were signed.
        lines: u64,
        /// When, by the partner's clock.
        time: Timestamp,
        /// Where the signature is.
        note: PathBuf,
    },
}

/// Why the audit trail of a partner was not settled.
#[derive(Debug, thiserror::Error)]
pub enum SettleAuditError {
    /// It continues main's copy.
    #[error("the audit trail of `{0}` continues main's copy: there is nothing to settle")]
    Nothing(SiteId),
    /// It could not be fetched, and so nobody can say whether it is refused.
    #[error(transparent)]
    Fetch(#[from] FetchAuditError),
    /// Another command is at it.
    #[error("another command is fetching from `{0}` at this moment")]
    Busy(SiteId, #[source] LockError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Main's own trail could not be continued.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// Main's copy could not be put aside.
    #[error("main's copy of the audit trail of `{0}` could not be put aside")]
    Aside(SiteId, #[source] AuditError),
}

impl Hub {
    /// Settles that a partner's audit trail does not continue main's copy, for a person's `reason`: main's own trail says so,
    /// the copy is put aside beside its place and kept, and the partner's trail is taken from its beginning from then on.
    /// Returns the name of what was put aside.
    ///
    /// Durable on return. It is written down first: where the copy cannot be put aside then, the refusal stands.
    ///
    /// # Errors
    /// When the trail is not refused, or cannot be fetched, or the disk fails.
    pub async fn settle_audit(
        &self,
        partner: &PartnerRow,
        reason: &str,
        now: Timestamp,
    ) -> Result<String, SettleAuditError> {
        let id = &partner.id;
        let refusal = match self.fetch_audit(partner).await {
            Err(FetchAuditError::Refused(_, refusal)) => refusal,
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(SettleAuditError::Nothing(id.clone())),
        };
        let folder = self.mirrors(partner);
        let _lock = StateLock::take(&folder).map_err(|error| SettleAuditError::Busy(id.clone(), error))?;
        let name = aside_name(now, "jsonl");
        let mut copy = self.audit_copy(partner);
        let held = copy.end().map_err(|error| SettleAuditError::Aside(id.clone(), error))?;
        let said = format!("{id}: {reason} ({refusal}; the copy of {} entries is kept as {name})", held.lines);
        let happening = Happening { who: Actor::Main, what: Event::TrailSettled, release: None, reason: Some(said) };
        self.write_down(&happening, now)?;
        // First, so that this signature is never beside another trail.
        signature::put_aside(&folder, &name)?;
        copy.put_aside(&folder.join(&name)).map_err(|error| SettleAuditError::Aside(id.clone(), error))?;
        Ok(name)
    }

    /// Main's copy of a partner's audit trail.
    pub fn audit_copy(&self, partner: &PartnerRow) -> AuditTrail {
        AuditTrail::at(self.mirrors(partner).join(COPY))
    }
}

/// What stands in the copies of a partner's trails in `folder`, in the order in which it happened: in the one that goes on,
/// and in those that were put aside, of which one that cannot be read is left out.
pub(crate) fn entries_of_all_time(folder: &Path) -> Result<Vec<AuditEntry>, AuditError> {
    let mut all = Vec::new();
    for path in aside(folder)? {
        match AuditTrail::at(&path).entries() {
            Ok(entries) => all.extend(entries),
            Err(error) => tracing::warn!("{} is left out\n{}", path.display(), complaint::render(&error)),
        }
    }
    all.extend(AuditTrail::at(folder.join(COPY)).entries()?);
    all.sort_by_key(|entry| entry.time);
    Ok(all)
}

/// The name of what is put aside at `now`: a copy, or a signature.
fn aside_name(now: Timestamp, extension: &str) -> String {
    format!("{ASIDE}{}.{extension}", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// The copies that were put aside in `folder`.
fn aside(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let files = if folder.is_dir() { durable::list_dir(folder)? } else { Vec::new() };
    let is_aside = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(ASIDE)) && path.extension() == Path::new(COPY).extension()
    };
    Ok(files.into_iter().filter(is_aside).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_of_a_trail_stands_before_what_came_since() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, reason: &str, second: i64| {
            let reason = Some(reason.to_owned());
            let happening = Happening { who: Actor::Operator, what: Event::Live, release: None, reason };
            AuditTrail::at(folder.path().join(name))
                .append(&[happening], Timestamp::from_second(second).unwrap())
                .unwrap();
        };
        // A trail from a backup begins as the one before it did.
        write(COPY, "first", 1);
        write(COPY, "fourth", 4);
        write("audit.aside-20261101T000000Z.jsonl", "third", 3);
        write("audit.aside-20261001T000000Z.jsonl", "first", 1);
        write("audit.aside-20261001T000000Z.jsonl", "second", 2);
        std::fs::write(folder.path().join("audit.aside-20261002T000000Z.jsonl"), "no trail\n").unwrap();
        write("audit.aside-20261001T000000Z.signed", "a signature is no trail", 2);
        let entries = entries_of_all_time(folder.path()).unwrap();
        let reasons: Vec<_> = entries.iter().filter_map(|entry| entry.reason.as_deref()).collect();
        assert_eq!(reasons, ["first", "first", "second", "third", "fourth"]);
    }
}
