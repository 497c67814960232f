//! What becomes of a release that waits for signatures: asked for, given, sent, or overtaken by newer content.

use std::sync::Arc;

use tieup_protocol::ids::SiteId;
use tieup_protocol::manifest::Manifest;

use super::envelope::Tally;
use super::freshness::Refreshed;
use super::request::SigningRequest;
use super::waiting::{AWAITING, read_request, write_request};
use crate::archive::Archive;
use crate::database::{PartnerRow, ReleaseRow};
use crate::manifests::Known;
use crate::partners::{Hub, HubError};
use crate::publish::{Addressee, Outcome, PATIENCE, PublishError};
use crate::release::BuiltRelease;

/// What signatures that came back have led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// They are kept; more are needed.
    Waiting(Vec<Tally>),
    /// There were enough, and the release was sent.
    Sent(Outcome),
    /// There were enough, and the partner was told that the release it has is signed anew.
    Refreshed(Refreshed),
}

impl Hub {
    /// Keeps a new release with its content, and a file that asks for the signatures that are missing.
    pub(crate) async fn request_signatures(
        &self,
        partner: &PartnerRow,
        built: &BuiltRelease,
        request: &SigningRequest,
        row: ReleaseRow,
        manifest: &str,
    ) -> Result<Outcome, PublishError> {
        self.keep_waiting(&partner.id, built)?;
        let outcome = self.awaiting(&partner.id, &row, request)?;
        let row = ReleaseRow { detail: self.what_is_missing(&partner.id, &row, request), ..row };
        self.database.add_release(&partner.id, &row, Some(manifest)).await.map_err(HubError::from)?;
        Ok(outcome)
    }

    /// What to do where the newest release, that of `row`, waits for signatures: send it where they are there, go on waiting where
    /// nothing else is to be sent, and let it be overtaken otherwise. Nothing is returned where publishing goes on.
    pub(crate) async fn settle_waiting(
        &self,
        partner: &PartnerRow,
        built: &BuiltRelease,
        archive: Option<&Arc<Archive>>,
        row: &ReleaseRow,
    ) -> Result<Option<Outcome>, PublishError> {
        let known = self.manifest_of(&partner.id, row).await?;
        let same = known.manifest.same_content(built.manifest());
        let request = self.request_of(&partner.id, row, &known.manifest)?;
        if request.is_met() {
            let outcome = self.send_waiting(partner, archive, row, known.manifest.clone(), &request).await?;
            return Ok(same.then_some(outcome));
        }
        if same {
            let outcome = self.awaiting(&partner.id, row, &request)?;
            self.note_missing(&partner.id, row, &request).await?;
            return Ok(Some(outcome));
        }
        let overtaken = ReleaseRow { state: "superseded".to_owned(), detail: String::new(), ..row.clone() };
        self.database.set_release_state(&partner.id, &overtaken).await.map_err(HubError::from)?;
        self.forget_waiting(&partner.id)?;
        Ok(None)
    }

    /// Takes signatures that were given elsewhere, and sends the release once there are enough.
    ///
    /// # Errors
    /// When the hub has not asked for them, or the partner does not take the release.
    pub async fn install_signatures(&self, signed: SigningRequest) -> Result<Installed, PublishError> {
        let label = signed.label()?;
        let partner = self.partner(&label.partner).await?;
        // First, since whoever publishes meanwhile may send it or overtake it.
        let turn = self.turn(&partner.id, PATIENCE).await?;
        let row = self.database.release(&partner.id, label.version).await.map_err(HubError::from)?;
        let file = self.request_file(&partner.id, label.version);
        let known = read_request(&file)?;
        let (Some(row), Some(known)) = (row, known) else { return Err(PublishError::NotAsked(label.version)) };
        let mut request = known.under(&self.keys.root().map_err(HubError::from)?)?;
        request.merge(signed)?;
        write_request(&file, &request).map_err(HubError::from)?;
        if !request.is_met() {
            if row.state == AWAITING {
                self.note_missing(&partner.id, &row, &request).await?;
            }
            return Ok(Installed::Waiting(request.tallies().into()));
        }
        if row.state != AWAITING {
            drop(turn);
            return Ok(Installed::Refreshed(self.refresh(&partner, jiff::Timestamp::now()).await?));
        }
        let manifest = self.manifest_of(&partner.id, &row).await?.manifest.clone();
        Ok(Installed::Sent(self.send_waiting(&partner, self.archive().as_ref(), &row, manifest, &request).await?))
    }

    /// Sends a release that was asked for and has been signed: the very bytes of manifest and content that were kept.
    async fn send_waiting(
        &self,
        partner: &PartnerRow,
        archive: Option<&Arc<Archive>>,
        row: &ReleaseRow,
        manifest: Manifest,
        request: &SigningRequest,
    ) -> Result<Outcome, PublishError> {
        let built = Arc::new(self.read_waiting(&partner.id, manifest, &row.contract)?);
        let delivered = self.deliver(Addressee { partner, line: None }, &built, archive, request, row.clone()).await;
        match &delivered {
            // People have signed it: it waits for the partner now, and is not signed again.
            Err(PublishError::Push { source, .. }) if source.problem().is_none() => {
                let detail = "signed; the partner could not be reached".to_owned();
                let waiting = ReleaseRow { detail, since: jiff::Timestamp::now(), ..row.clone() };
                self.database.set_release_state(&partner.id, &waiting).await.map_err(HubError::from)?;
            }
            Ok(_) | Err(PublishError::Push { .. }) => self.forget_waiting(&partner.id)?,
            Err(_) => {}
        }
        delivered
    }

    async fn manifest_of(&self, partner: &SiteId, row: &ReleaseRow) -> Result<Arc<Known>, PublishError> {
        self.manifest(partner, row.version).await?.ok_or(PublishError::Damaged(row.version))
    }

    /// The request for a release that waits, with what can be signed here. It is made anew where its file was lost.
    fn request_of(
        &self,
        partner: &SiteId,
        row: &ReleaseRow,
        manifest: &Manifest,
    ) -> Result<SigningRequest, PublishError> {
        let signer = self.keys.release_signer().map_err(HubError::from)?;
        let root = self.keys.root().map_err(HubError::from)?;
        match read_request(&self.request_file(partner, row.version))? {
            None => Ok(signer.propose(manifest, &manifest.to_bytes(), jiff::Timestamp::now())?),
            Some(asked) => {
                let mut asked = asked.under(&root)?;
                signer.add_to(&mut asked)?;
                Ok(asked)
            }
        }
    }

    fn awaiting(&self, partner: &SiteId, row: &ReleaseRow, request: &SigningRequest) -> Result<Outcome, PublishError> {
        let (version, file) = (row.version, self.request_file(partner, row.version));
        write_request(&file, request).map_err(HubError::from)?;
        let (given, needed) = lowest(request);
        Ok(Outcome::AwaitingSignatures { version, file, given, needed })
    }

    async fn note_missing(
        &self,
        partner: &SiteId,
        row: &ReleaseRow,
        request: &SigningRequest,
    ) -> Result<(), PublishError> {
        let row = ReleaseRow { detail: self.what_is_missing(partner, row, request), ..row.clone() };
        Ok(self.database.set_release_state(partner, &row).await.map_err(HubError::from)?)
    }

    fn what_is_missing(&self, partner: &SiteId, row: &ReleaseRow, request: &SigningRequest) -> String {
        let (given, needed) = lowest(request);
        format!("{given} of {needed} are there; {}", self.request_file(partner, row.version).display())
    }
}

/// How many signatures are there and how many are needed, of the document that has the fewest.
fn lowest(request: &SigningRequest) -> (usize, u64) {
    let [targets, snapshot] = request.tallies();
    let fewest = if targets.given.len() <= snapshot.given.len() { targets } else { snapshot };
    (fewest.given.len(), fewest.needed)
}
