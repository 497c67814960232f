//! Publishing: each partner gets the release that differs from what it had, and its answer is kept.
//!
//! Partners are served side by side; one that is slow or dead holds up no other.

mod delivery;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use tieup_generator::Site;
use tieup_protocol::approval::{ReleaseRecord, ReleaseState};
use tieup_protocol::contract::Partnership;
use tieup_protocol::ids::{ReleaseVersion, SiteId};
use tieup_protocol::wire::{PartnerStatus, STATUS};
use tieup_store::lock::{LockError, StateLock};
use tieup_web::client::{CallError, PeerClient};

use crate::archive::Archive;
use crate::database::{PartnerRow, ReleaseRow};
use crate::partners::{Hub, HubError};
use crate::release::BuiltRelease;
use crate::schedule::{self, Workshop};
use crate::signing::SigningError;
use crate::terms::TermsError;
use crate::trust::{AWAITING, RefreshError, RequestError, WaitingError};

/// How many partners are pushed to at once. One that does not answer takes a place until its time is over.
pub const CONCURRENT_PUSHES: usize = 128;

/// How long a command waits for another process that publishes to the same partner, such as the running hub.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often it looks whether it is its turn.
const LOOK: Duration = Duration::from_millis(50);

/// What became of publishing to one partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The partner has this content already.
    Unchanged(ReleaseVersion),
    /// The partner took the release in: it waits there, or is live by a rule.
    Delivered {
        /// What the partner made of it.
        release: ReleaseRecord,
        /// How many blobs it lacked.
        blobs: usize,
        /// How many bytes were sent, compressed.
        sent: u64,
    },
    /// The operator rejected this very content before; nothing was sent.
    RejectedBefore {
        /// The release that was rejected.
        version: ReleaseVersion,
        /// The operator's reason.
        reason: String,
    },
    /// The operator rolled back from this very content; nothing was sent.
    RolledBack(ReleaseVersion),
    /// Not enough of the release keys are on the hub: nothing was sent, and a file asks for signatures.
    AwaitingSignatures {
        /// The release.
        version: ReleaseVersion,
        /// The file that travels to whoever holds a key.
        file: PathBuf,
        /// How many signatures are there.
        given: usize,
        /// How many are needed.
        needed: u64,
    },
    /// The contract is for a link alone: there is nothing to publish. The release, if any, is live there from a time
    /// under another contract.
    LinkAlone(Option<ReleaseVersion>),
}

/// Why publishing to one partner failed. The partner's public site is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The site has errors.
    #[error("{0}")]
    Site(tieup_protocol::diagnostic::Report),
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The release could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// What is to be signed could not be made or read.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The metadata could not be made.
    #[error(transparent)]
    Metadata(#[from] RefreshError),
    /// A release that waits for signatures could not be kept or read.
    #[error(transparent)]
    Waiting(#[from] WaitingError),
    /// Signatures came that nobody asked for.
    #[error("this hub has not asked for signatures on release {0}")]
    NotAsked(ReleaseVersion),
    /// The row of a release is damaged.
    #[error("release {0} cannot be read back from the database")]
    Damaged(ReleaseVersion),
    /// The partner did not take it.
    #[error("release {version} was not published to `{partner}`")]
    Push {
        /// The partner.
        partner: SiteId,
        /// The release.
        version: ReleaseVersion,
        /// What happened.
        #[source]
        source: CallError,
    },
    /// Another command is publishing to this partner.
    #[error("another command is publishing to `{0}` at this moment")]
    Busy(SiteId, #[source] LockError),
    /// The push took too long.
    #[error("the push to `{0}` was given up after {minutes} minutes", minutes = .1.as_secs() / 60)]
    Slow(SiteId, Duration),
    /// Its contract would change what was issued.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// A fault of ours while it was built.
    #[error("the release of `{0}` was not built: the thread that built it ended")]
    NotBuilt(SiteId),
    /// The release could not be packed.
    #[error("the release could not be compressed")]
    Pack(#[from] std::io::Error),
}

/// Whether content that the operator rejected before is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// No: something must change first.
    Skip,
    /// Yes, as a new release.
    SendAgain,
}

/// What is done with a partner that does not answer when it is asked what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// The release is offered all the same, and takes its number.
    Offer,
    /// Nothing, so that trying again takes no number each time.
    Leave,
}

/// How a partner is published to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approach {
    /// What is done with content that the operator rejected.
    pub rejected: Rejected,
    /// What is done with a partner that does not answer.
    pub unheard: Unheard,
    /// Why it is an emergency, if it is one.
    pub emergency: Option<String>,
    /// How long another process is waited for that publishes to the partner.
    pub patience: Duration,
}

/// A partner that a release goes to, and the line to it where one is open.
pub(crate) struct Addressee<'a> {
    /// The partner.
    pub partner: &'a PartnerRow,
    /// What it was asked over.
    pub line: Option<PeerClient>,
}

impl Hub {
    /// Publishes `site` to the partners, all of those that have joined and are not revoked where `only` is empty.
    ///
    /// # Errors
    /// Only if the partners cannot be listed; what went wrong with one partner stands in its own result.
    pub async fn publish(
        &self,
        site: &Site,
        only: &[SiteId],
        rejected: Rejected,
    ) -> Result<Vec<(SiteId, Result<Outcome, PublishError>)>, HubError> {
        let approach = Approach { rejected, unheard: Unheard::Offer, emergency: None, patience: PATIENCE };
        self.publish_as(site, only, &approach).await
    }

    /// Publishes `site` as an emergency, for `reason`. Where the contract lets it, it goes live at once; elsewhere it
    /// waits as any release does.
    ///
    /// # Errors
    /// As [`Hub::publish`].
    pub async fn publish_emergency(
        &self,
        site: &Site,
        only: &[SiteId],
        rejected: Rejected,
        reason: &str,
    ) -> Result<Vec<(SiteId, Result<Outcome, PublishError>)>, HubError> {
        let emergency = Some(reason.to_owned());
        let approach = Approach { rejected, unheard: Unheard::Offer, emergency, patience: PATIENCE };
        self.publish_as(site, only, &approach).await
    }

    async fn publish_as(
        &self,
        site: &Site,
        only: &[SiteId],
        approach: &Approach,
    ) -> Result<Vec<(SiteId, Result<Outcome, PublishError>)>, HubError> {
        let mut partners = self.database.partners().await.map_err(HubError::from)?;
        partners.retain(|partner| if only.is_empty() { partner.revoked.is_none() } else { only.contains(&partner.id) });
        if let Some(unknown) = only.iter().find(|id| !partners.iter().any(|partner| partner.id == **id)) {
            return Err(HubError::NotJoined(unknown.clone()));
        }
        let (workshop, clock) = (Workshop::open(Arc::new(site.releases()), Arc::default()), schedule::wall_clock());
        let archive = self.archive();
        let push = async |partner: PartnerRow| {
            let attempt = self.attempt(&workshop, archive.as_ref(), &partner, approach, &clock).await;
            (attempt.partner, attempt.outcome)
        };
        let mut outcomes: Vec<_> = stream::iter(partners).map(push).buffer_unordered(CONCURRENT_PUSHES).collect().await;
        outcomes.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let Some(archive) = &archive
            && let Err(error) = self.sweep(archive, Timestamp::now()).await
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "no space was given back");
        }
        Ok(outcomes)
    }

    /// What a partner says of itself, kept in the database.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn status(&self, partner: &PartnerRow) -> Result<PartnerStatus, HubError> {
        Ok(self.ask(partner, None).await?.1)
    }

    /// A line to a partner, and what it says of itself over it. What its disk has lost is sent again from `archive`, or
    /// main's own where none is open. What follows goes over the same line, so that a push makes one handshake.
    async fn ask(
        &self,
        partner: &PartnerRow,
        archive: Option<&Arc<Archive>>,
    ) -> Result<(PeerClient, PartnerStatus), HubError> {
        let line = self.call(partner).await?;
        let mut status: PartnerStatus = line.get(STATUS).await?;
        self.database.set_heard(&partner.id, Timestamp::now()).await?;
        if let Some(drift) = &status.guard.drift {
            let own = if archive.is_none() { self.archive() } else { None };
            match self.restore(partner, drift, archive.or(own.as_ref()).map(Arc::as_ref)).await {
                Ok(Some(report)) => status.guard = report,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, partner = %partner.id, "not restored");
                }
            }
        }
        self.keep_states(partner, &status).await?;
        Ok((line, status))
    }

    /// Keeps how the partner says that its releases stand, and logs what is new of it.
    async fn keep_states(&self, partner: &PartnerRow, status: &PartnerStatus) -> Result<(), HubError> {
        let rows = self.database.releases(&partner.id).await?;
        for record in &status.releases {
            let Some(row) = rows.iter().find(|row| row.version == record.version) else { continue };
            let said = told(row.clone(), record);
            if said.state != row.state {
                tracing::info!("{}: release {} is {}", partner.id, said.version, said.state);
            }
            if !said.is_kept_as(row) {
                self.database.set_release_state(&partner.id, &said).await?;
            }
        }
        Ok(())
    }

    /// The turn to publish to `partner`, for which another process is waited for no longer than `patience`.
    ///
    /// # Errors
    /// [`PublishError::Busy`].
    pub(crate) async fn turn(&self, partner: &SiteId, patience: Duration) -> Result<StateLock, PublishError> {
        let (folder, begun) = (self.publishing_folder(partner), Instant::now());
        let busy = |error| PublishError::Busy(partner.clone(), error);
        loop {
            match StateLock::try_take(&folder).map_err(|error| busy(error.into()))? {
                Some(lock) => return Ok(lock),
                None if begun.elapsed() < patience => tokio::time::sleep(LOOK).await,
                None => return Err(busy(LockError::Taken(folder))),
            }
        }
    }

    /// Publishes to one partner, once no other process does so.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub(crate) async fn publish_to(
        &self,
        workshop: &Workshop,
        archive: Option<&Arc<Archive>>,
        partner: &PartnerRow,
        approach: &Approach,
    ) -> Result<Outcome, PublishError> {
        self.check_unrevoked(partner)?;
        let _turn = self.turn(&partner.id, approach.patience).await?;
        let rows = self.database.releases(&partner.id).await.map_err(HubError::from)?;
        let mut contracts = workshop.site().partners();
        if contracts.any(|c| c.id.partner == partner.id && c.partnership == Partnership::Link) {
            let live = rows.iter().find(|row| row.state == ReleaseState::Live.word());
            return Ok(Outcome::LinkAlone(live.map(|row| row.version)));
        }
        self.check_agreed(workshop, partner, &rows, archive).await?;
        let version = rows.first().map_or(ReleaseVersion::FIRST, |row| row.version.next());
        let building = async {
            let built = workshop.build(&partner.id, version).await?;
            Ok::<_, PublishError>(match &approach.emergency {
                Some(reason) => built.as_emergency(reason),
                None => built,
            })
        };
        // What waits for signatures is settled whether or not the partner answers.
        let (built, asked) = match rows.first().filter(|row| row.state == AWAITING) {
            None => {
                let (built, asked) = tokio::join!(building, self.ask(partner, archive));
                (built?, asked)
            }
            Some(waiting) => {
                let built = building.await?;
                if let Some(outcome) = self.settle_waiting(partner, &built, archive, waiting).await? {
                    return Ok(outcome);
                }
                (built, self.ask(partner, archive).await)
            }
        };
        let (line, status) = match (asked, approach.unheard) {
            (Ok((line, status)), _) => (Some(line), Some(status)),
            (Err(error), Unheard::Leave) => return Err(error.into()),
            // Why it cannot be had shows again when the release is offered.
            (Err(_), Unheard::Offer) => (None, None),
        };
        if let Some(status) = status
            && let Some(outcome) = self.already(&partner.id, &rows, &status, &built, approach).await?
        {
            return Ok(outcome);
        }
        self.check_terms(partner, built.contract()).await?;
        self.send(Addressee { partner, line }, &Arc::new(built), archive).await
    }

    /// Refuses other terms under a version that was agreed on, before anything is built. Where main's record says so, the
    /// partner is asked first, since it may have gone back from that version meanwhile; main's record counts where it cannot be.
    async fn check_agreed(
        &self,
        workshop: &Workshop,
        partner: &PartnerRow,
        rows: &[ReleaseRow],
        archive: Option<&Arc<Archive>>,
    ) -> Result<(), PublishError> {
        let Some(text) = workshop.site().contract_text(&partner.id) else { return Ok(()) };
        let Err(mistake) = self.check_version(partner, text, rows) else { return Ok(()) };
        if self.ask(partner, archive).await.is_err() {
            return Err(mistake.into());
        }
        let rows = self.database.releases(&partner.id).await.map_err(HubError::from)?;
        Ok(self.check_version(partner, text, &rows)?)
    }

    /// Why `built` need not be sent, judged by the newest release that the partner knows; `rows` are all, newest first.
    ///
    /// Numbers that were taken for what never arrived do not count, so that content which was rejected is not sent again
    /// because something else could not be sent meanwhile.
    async fn already(
        &self,
        partner: &SiteId,
        rows: &[ReleaseRow],
        status: &PartnerStatus,
        built: &BuiltRelease,
        approach: &Approach,
    ) -> Result<Option<Outcome>, PublishError> {
        let known = |row: &ReleaseRow| status.releases.iter().find(|record| record.version == row.version);
        let Some((version, record)) = rows.iter().find_map(|row| Some((row.version, known(row)?))) else {
            return Ok(None);
        };
        let is_same = match self.manifest(partner, version).await? {
            Some(sent) => sent.manifest.same_content(built.manifest()),
            // It was not kept; the partner says which it has.
            None => built.digests_as(version).contains(&record.manifest),
        };
        if !is_same {
            return Ok(None);
        }
        Ok(match (&record.state, approach.rejected) {
            (ReleaseState::Rejected { reason }, Rejected::Skip) => {
                Some(Outcome::RejectedBefore { version, reason: reason.clone() })
            }
            (ReleaseState::Retired, Rejected::Skip) => Some(Outcome::RolledBack(version)),
            (ReleaseState::Rejected { .. } | ReleaseState::Retired | ReleaseState::Superseded, _) => None,
            // What waits is sent once more where it has become an emergency.
            (state, _) if state.is_open() && approach.emergency.is_some() => None,
            // It waits, or is live.
            _ => Some(Outcome::Unchanged(version)),
        })
    }

    async fn send(
        &self,
        to: Addressee<'_>,
        built: &Arc<BuiltRelease>,
        archive: Option<&Arc<Archive>>,
    ) -> Result<Outcome, PublishError> {
        let (manifest, text) = (built.manifest(), built.text());
        let signer = self.keys.release_signer().map_err(HubError::from)?;
        let request = signer.propose(manifest, text.as_bytes(), Timestamp::now())?;
        let state = if request.is_met() { "signed" } else { AWAITING };
        let row = ReleaseRow {
            version: manifest.version,
            contract: built.contract().to_owned(),
            state: state.to_owned(),
            detail: String::new(),
            since: Timestamp::now(),
        };
        if !request.is_met() {
            return self.request_signatures(to.partner, built, &request, row, text).await;
        }
        // Kept before it is sent, so that its number is never given to another release.
        self.database.add_release(&to.partner.id, &row, None).await.map_err(HubError::from)?;
        self.deliver(to, built, archive, &request, row).await
    }
}

/// The row with the partner's own word on the release.
fn told(row: ReleaseRow, record: &ReleaseRecord) -> ReleaseRow {
    let detail = match &record.state {
        ReleaseState::Rejected { reason } => reason.clone(),
        ReleaseState::Staged => record.waits_for.clone().unwrap_or_default(),
        ReleaseState::Held { reason } => reason.clone().unwrap_or_default(),
        ReleaseState::Approved { at } => format!("goes live at {}", at.strftime("%Y-%m-%d %H:%M UTC")),
        _ => String::new(),
    };
    ReleaseRow { state: record.state.word().to_owned(), detail, since: record.since, ..row }
}
