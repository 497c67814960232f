//! Revocation, at once: of a partner, of the keys that it had before it joined again, and of the TLS certificates that main
//! itself has used. Main's authority signs the list of revoked certificates, which stands in the database; every process of
//! the hub follows it, and partners are told it before anything else. It is signed anew when a third of its life is over, so
//! that a partner who hears of no list for thirty days knows that something is kept from it.

use std::time::SystemTime;

use jiff::Timestamp;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::main_tls_name;
use tieup_protocol::wire::REVOCATIONS;
use tieup_web::authority::{Authority, RevokedCertificate};
use tieup_web::certificate::Serial;
use tieup_web::client::{CallError, PeerClient};
use tieup_web::revocation::{InvalidList, RevocationList};

use crate::database::{Admission, DatabaseError, Owner, PartnerRow, Redeemed, RevokedRow};
use crate::keys::KeyError;
use crate::lines;
use crate::partners::{Hub, HubError};

/// Why something could not be revoked. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The list could not be signed.
    #[error("the list of revoked certificates could not be signed")]
    Sign(#[from] KeyError),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A partner that could not be told what was revoked. It is told with the next call to it, and it asks by itself every
/// hour.
#[derive(Debug)]
pub struct Untold {
    /// The partner.
    pub partner: SiteId,
    /// Why.
    pub error: HubError,
}

impl Hub {
    /// Revokes a partner: its certificates are accepted nowhere any more, open connections included, and it is neither
    /// called nor renewed. It can join again by a new invitation. Durable on return.
    ///
    /// # Errors
    /// When it has not joined, or the revocation cannot be kept.
    pub async fn revoke_partner(&self, partner: &SiteId, reason: &str, now: Timestamp) -> Result<(), RevokeError> {
        let owner = Owner::Partner(self.partner(partner).await?.id);
        self.revoke(&owner, RevokedRow { since: now, reason: reason.to_owned() }).await
    }

    /// Revokes every TLS certificate that main itself has used so far, and goes on with a new one. Partners are told;
    /// those that could not be are returned. Durable on return.
    ///
    /// # Errors
    /// When the revocation cannot be kept.
    pub async fn revoke_tls(&self, now: Timestamp) -> Result<Vec<Untold>, RevokeError> {
        self.revoke(&Owner::Main, RevokedRow { since: now, reason: String::new() }).await?;
        let mut untold = Vec::new();
        for partner in self.database.partners().await?.into_iter().filter(|partner| partner.revoked.is_none()) {
            if let Err(error) = self.tell_now(&partner).await {
                untold.push(Untold { partner: partner.id, error });
            }
        }
        Ok(untold)
    }

    /// Keeps a partner that joins by a token that is good. Where it has joined before by another TLS key, that one's
    /// certificates are accepted nowhere any more, open connections included. Durable on return.
    ///
    /// # Errors
    /// When the partner, or what is revoked by that, cannot be kept.
    pub(crate) async fn admit(&self, admission: &Admission, now: Timestamp) -> Result<Redeemed, RevokeError> {
        let authority = self.keys.authority()?;
        let sign = |number, revoked: &[_]| sign_list(&authority, number, revoked, now).map_err(RevokeError::from);
        let redeemed = self.database.admit(admission, now, sign).await?;
        self.refresh_tls(now).await?;
        Ok(redeemed)
    }

    async fn revoke(&self, owner: &Owner, row: RevokedRow) -> Result<(), RevokeError> {
        let authority = self.keys.authority()?;
        let sign = |number, revoked: &[_]| sign_list(&authority, number, revoked, row.since).map_err(RevokeError::from);
        self.database.revoke(owner, &row, sign).await?;
        self.refresh_tls(row.since).await?;
        self.wake_running_hub().await;
        Ok(())
    }

    /// Puts the newest list of revoked certificates in force in this process, once it has been signed anew where a third
    /// of its life is over; and renews main's own certificate where it is due or revoked. Cheap where nothing has changed.
    ///
    /// # Errors
    /// When the database or the authority cannot be used.
    pub async fn refresh_tls(&self, now: Timestamp) -> Result<(), HubError> {
        let _alone = self.renewing.lock().await;
        let revocations = self.tls().revocations();
        self.follow_list().await?;
        if revocations.current().is_due(now) {
            self.renew_list(&revocations.current(), now).await?;
            self.follow_list().await?;
        }
        self.renew_identity(now).await
    }

    /// Puts the newest list of revoked certificates in force in this process.
    async fn follow_list(&self) -> Result<(), HubError> {
        let revocations = self.tls().revocations();
        if let Some(pem) = self.database.revocation_list().await?.filter(|pem| *pem != revocations.current().pem()) {
            let list = self.read_list(&pem)?;
            // An older one can only come from a database that was put back; what was revoked stays so.
            if let Err(error) = revocations.replace(list) {
                tracing::warn!(%error, "the database has an older list of revoked certificates");
            }
        }
        Ok(())
    }

    /// Signs the list after `before`: what is on it has not changed, and partners know until when that is so. Of several
    /// processes one does it.
    async fn renew_list(&self, before: &RevocationList, now: Timestamp) -> Result<(), HubError> {
        let authority = self.keys.authority()?;
        let sign = |number, revoked: &[_]| sign_list(&authority, number, revoked, now).map_err(HubError::from);
        self.database.renew_revocation_list(before.pem(), now, sign).await
    }

    fn read_list(&self, pem: &str) -> Result<RevocationList, HubError> {
        let authority = self.keys.authority()?;
        let damaged = |error: InvalidList| DatabaseError::Damaged(error.to_string(), "list of revoked certificates");
        Ok(RevocationList::parse(pem, authority.certificate()).map_err(damaged)?)
    }

    /// Lets the `tieup hub` that is running, if one is, follow at once rather than a moment later.
    async fn wake_running_hub(&self) {
        let hub = PeerClient::through(self.socket(), main_tls_name(&self.config.main));
        match hub.post::<()>(lines::REFRESH, &()).await {
            Ok(()) | Err(CallError::NoHub { .. }) => {}
            Err(error) => tracing::warn!(%error, "the running hub was not told; it looks by itself within seconds"),
        }
    }

    /// Tells a partner the newest list, if it has not been told yet.
    pub(crate) async fn tell_revocations(&self, partner: &PartnerRow, client: &PeerClient) -> Result<(), HubError> {
        let list = self.tls().revocations().current();
        if list.number() == 0 || self.database.told_revocations(&partner.id).await? >= list.number() {
            return Ok(());
        }
        let number: u64 = client.post_body(REVOCATIONS, list.pem().to_owned()).await?;
        Ok(self.database.set_told_revocations(&partner.id, number).await?)
    }

    async fn tell_now(&self, partner: &PartnerRow) -> Result<(), HubError> {
        let client = self.line_to(partner).await?;
        self.tell_revocations(partner, &client).await
    }
}

fn sign_list(
    authority: &Authority,
    number: u64,
    revoked: &[(Serial, Timestamp)],
    now: Timestamp,
) -> Result<String, KeyError> {
    let certificate = |(serial, since): &(Serial, Timestamp)| RevokedCertificate {
        serial: serial.clone(),
        revoked: SystemTime::from(*since),
    };
    let revoked: Vec<_> = revoked.iter().map(certificate).collect();
    Ok(authority.revocation_list(number, &revoked, now.into())?)
}
