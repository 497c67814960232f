//! Freshness: the statement, signed anew by the hub as long as it stands, that a partner has main's newest release.
//!
//! A partner that has not heard it for thirty days takes no update any more, and says so; its site is served as before.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::wire::{FRESHNESS, Fresh, Metadata};
use tieup_store::lock::{LockError, StateLock};
use tieup_web::listener::Shutdown;
use tough::schema::Signed;

use super::request::{RequestError, SigningRequest};
use super::waiting::{read_request, write_request};
use crate::database::{MetadataRow, PartnerRow};
use crate::partners::{Hub, HubError};
use crate::signing::{FRESHNESS_DAYS, SigningError};

/// How often the hub looks whom to tell.
const ROUND: Duration = Duration::from_mins(10);

/// How many partners are told at once.
const CONCURRENT: usize = 8;

/// How long before their end a release's signatures are given again where the keys are on this machine.
const RENEW_SIGNATURES: SignedDuration = SignedDuration::from_hours(24 * 60);

/// What became of telling one partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The partner knows until when its release is the newest.
    Until(Timestamp),
    /// Nothing was published to it yet.
    NothingPublished,
    /// The release's signatures no longer count, and the keys are elsewhere: this file asks for new ones.
    AwaitingSignatures(PathBuf),
}

impl fmt::Display for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Until(until) => write!(f, "told; its release is fresh until {}", until.strftime("%Y-%m-%d")),
            Self::NothingPublished => f.write_str("nothing was published yet"),
            Self::AwaitingSignatures(file) => {
                write!(f, "its release must be signed anew: tieup key sign {}", file.display())
            }
        }
    }
}

/// Why a partner could not be told.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// It could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// The kept metadata is damaged.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The release is not in the database, or is damaged there.
    #[error("release {0} cannot be read back")]
    Release(ReleaseVersion),
    /// Another command is publishing to this partner.
    #[error("another command is publishing to `{0}` at this moment")]
    Busy(SiteId, #[source] LockError),
}

impl Hub {
    /// Signs that what was published to `partner` last is still the newest, and tells it.
    ///
    /// # Errors
    /// When it cannot be signed here, or the partner does not take it.
    pub async fn refresh(&self, partner: &PartnerRow, now: Timestamp) -> Result<Refreshed, RefreshError> {
        let lock = StateLock::take(&self.publishing_folder(&partner.id));
        let _lock = lock.map_err(|error| RefreshError::Busy(partner.id.clone(), error))?;
        let Some(row) = self.database.metadata(&partner.id).await.map_err(HubError::from)? else {
            return Ok(Refreshed::NothingPublished);
        };
        let request = self.signed_anew(&partner.id, &row, now).await?;
        if !request.is_met() {
            return Ok(Refreshed::AwaitingSignatures(self.request_file(&partner.id, row.version)));
        }
        let metadata = self.seal(&partner.id, row.version, &request, now).await?;
        let fresh: Fresh = self.call(partner).await?.post(FRESHNESS, &metadata).await.map_err(HubError::from)?;
        self.told(&partner.id, fresh.until).await?;
        Ok(Refreshed::Until(fresh.until))
    }

    /// Tells every partner that is due at `now`: a third of what it was told is over, or the root has changed.
    ///
    /// # Errors
    /// Only if the partners cannot be listed; what went wrong with one stands in its own result.
    pub async fn refresh_due(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(SiteId, Result<Refreshed, RefreshError>)>, HubError> {
        let root = self.keys.roots()?.len() as u64 + 1;
        let mut waiting = Vec::new();
        for partner in self.database.partners().await? {
            if self.database.metadata(&partner.id).await?.is_some_and(|row| is_due(&row, root, now)) {
                waiting.push(partner);
            }
        }
        let tell = async |partner: PartnerRow| {
            let refreshed = self.refresh(&partner, now).await;
            (partner.id, refreshed)
        };
        Ok(stream::iter(waiting).map(tell).buffer_unordered(CONCURRENT).collect().await)
    }

    /// Makes metadata of a release that enough people have signed: counts and signs the statement of freshness, and keeps
    /// what is sent, before it is sent.
    pub(crate) async fn seal(
        &self,
        partner: &SiteId,
        version: ReleaseVersion,
        request: &SigningRequest,
        now: Timestamp,
    ) -> Result<Metadata, RefreshError> {
        let (targets, snapshot) = request.documents();
        let signer = self.keys.release_signer().map_err(HubError::from)?;
        let number = self.database.next_freshness(partner).await.map_err(HubError::from)?;
        let timestamp = signer.sign_timestamp(&snapshot, version, number, now)?;
        let roots = self.keys.roots().map_err(HubError::from)?;
        let root = roots.len() as u64 + 1;
        let (kept_targets, kept_snapshot) = (targets.clone(), snapshot.clone());
        let row = MetadataRow { version, root, targets: kept_targets, snapshot: kept_snapshot, fresh_until: None };
        self.database.put_metadata(partner, &row).await.map_err(HubError::from)?;
        Ok(Metadata { roots, timestamp, snapshot, targets })
    }

    /// Keeps until when the partner takes its release for the newest.
    pub(crate) async fn told(&self, partner: &SiteId, until: Timestamp) -> Result<(), HubError> {
        if let Some(row) = self.database.metadata(partner).await? {
            self.database.put_metadata(partner, &MetadataRow { fresh_until: Some(until), ..row }).await?;
        }
        Ok(())
    }

    /// What was signed for the release, with new signatures where they no longer count or end soon.
    async fn signed_anew(
        &self,
        partner: &SiteId,
        row: &MetadataRow,
        now: Timestamp,
    ) -> Result<SigningRequest, RefreshError> {
        let root = self.keys.root().map_err(HubError::from)?;
        let kept = SigningRequest::signed_before(&row.targets, &row.snapshot, &root)?;
        let ends_soon = kept.expires().duration_since(now) < RENEW_SIGNATURES;
        if kept.is_met() && !ends_soon {
            return Ok(kept);
        }
        let known = self.manifest(partner, row.version).await?.ok_or(RefreshError::Release(row.version))?;
        let signer = self.keys.release_signer().map_err(HubError::from)?;
        let mut anew = signer.propose(&known.manifest, &known.manifest.to_bytes(), now)?;
        // What people have signed of an earlier request for the same counts, as long as its dates hold.
        if let Some(asked) = read_request(&self.request_file(partner, row.version))? {
            let mut asked = asked.under(&root)?;
            signer.add_to(&mut asked)?;
            if asked.expires().duration_since(now) >= RENEW_SIGNATURES {
                anew = asked;
            }
        }
        if anew.is_met() {
            return Ok(anew);
        }
        write_request(&self.request_file(partner, row.version), &anew).map_err(HubError::from)?;
        // Signatures that still count for a while are better than none.
        Ok(if kept.is_met() { kept } else { anew })
    }
}

/// Until when the timestamp of `metadata` holds.
pub(crate) fn fresh_until(metadata: &Metadata) -> Option<Timestamp> {
    let document = serde_json::from_str::<Signed<tough::schema::Timestamp>>(&metadata.timestamp);
    document.ok().map(|document| document.signed.expires)
}

/// Whether a partner that was told `row` has to be told again at `now`, with `root` in force.
fn is_due(row: &MetadataRow, root: u64, now: Timestamp) -> bool {
    let third = SignedDuration::from_hours(24 * FRESHNESS_DAYS / 3);
    row.root != root || row.fresh_until.is_none_or(|until| until.duration_since(now) <= third * 2)
}

/// Tells partners that are due, every few minutes, until `shutdown`.
pub(crate) async fn keep_fresh(hub: Arc<Hub>, shutdown: Shutdown) {
    let mut rounds = tokio::time::interval(ROUND);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = rounds.tick() => {}
        }
        match hub.refresh_due(Timestamp::now()).await {
            Ok(refreshed) => refreshed.iter().for_each(|(partner, outcome)| log(partner, outcome)),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "nobody can be told what is fresh"),
        }
    }
}

fn log(partner: &SiteId, outcome: &Result<Refreshed, RefreshError>) {
    match outcome {
        Ok(refreshed) => tracing::info!(%partner, "{refreshed}"),
        Err(error) => {
            tracing::warn!(%partner, error = error as &dyn std::error::Error, "it was not told that what it has is the newest");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partner_is_told_again_when_a_third_is_over_or_the_root_is_new() {
        let at = |day: i64| Timestamp::from_second(day * 24 * 60 * 60).unwrap();
        let row = |until| MetadataRow {
            version: ReleaseVersion::FIRST,
            root: 1,
            targets: String::new(),
            snapshot: String::new(),
            fresh_until: until,
        };
        let told = row(Some(at(30)));
        assert!(!is_due(&told, 1, at(0)));
        assert!(!is_due(&told, 1, at(9)));
        assert!(is_due(&told, 1, at(10)));
        assert!(is_due(&told, 1, at(40)), "one that has expired too");
        assert!(is_due(&told, 2, at(0)), "the partner does not know the new root");
        assert!(is_due(&row(None), 1, at(0)), "the partner was never told");
    }
}
