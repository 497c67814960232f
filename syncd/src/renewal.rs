//! The partner's certificate renews itself: when a third of its life is left, main certifies the same key anew. With it
//! comes main's newest list of revoked certificates.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tieup_protocol::joining::{main_tls_name, partner_tls_name};
use tieup_protocol::wire::{MAX_REVOCATIONS, OverdueCertificate, RENEW, REVOCATIONS, RenewGrant, RenewRequest};
use tieup_web::authority::{AuthorityError, KeyRequest, PemPair};
use tieup_web::certificate::Certificate;
use tieup_web::client::{CallError, PeerClient};
use tieup_web::complaint;
use tieup_web::listener::Shutdown;
use tieup_web::tls::TlsError;

use crate::daemon::{Partner, ShowError};
use crate::identity::Identity;
use crate::revocation::RevocationError;

/// How often the daemon looks whether its certificate is due.
const EVERY: Duration = Duration::from_hours(1);

/// How soon a certificate that is due is tried again.
const RETRY: Duration = Duration::from_mins(1);

/// Whether a certificate was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It holds long enough.
    NotDue,
    /// There is a new one, which expires then.
    Until(Timestamp),
}

/// Why a certificate was not renewed. The one before is shown.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The partner joined before main's address was kept.
    #[error("it is not known where the main site answers: join again with a new token")]
    NoHub,
    /// The request could not be made.
    #[error("the request for a new certificate could not be made")]
    Request(#[from] AuthorityError),
    /// TLS could not be set up, or the new certificate is not for this partner.
    #[error("the new certificate cannot be used")]
    Tls(#[from] TlsError),
    /// Main could not be reached, or refused.
    #[error("the main site did not renew the certificate")]
    Call(#[from] CallError),
    /// The new certificate does not hold longer than the one before.
    #[error("the new certificate holds no longer than the one before")]
    NoLonger,
    /// It could not be kept.
    #[error("the new certificate could not be kept")]
    Keep(#[from] ShowError),
    /// Main's list of revoked certificates was not taken.
    #[error("main's list of revoked certificates was not taken")]
    Revocations(#[from] RevocationError),
}

impl Partner {
    /// Renews the certificate if at `now` no more than a third of its life is left. Durable on return; open connections
    /// stay as they are. That it was not is in the status until it is.
    ///
    /// # Errors
    /// See [`RenewError`].
    pub async fn renew_if_due(&self, now: Timestamp) -> Result<Renewed, RenewError> {
        let renewed = self.try_renew(now).await;
        let mut overdue = self.overdue();
        *overdue = renewed.as_ref().err().map(|error| OverdueCertificate {
            expires: self.tls().certificate().expires,
            since: overdue.as_ref().map_or(now, |before| before.since),
            reason: complaint::in_one_line(error),
        });
        drop(overdue);
        renewed
    }

    async fn try_renew(&self, now: Timestamp) -> Result<Renewed, RenewError> {
        let before = self.tls().certificate();
        if !before.is_due(now) {
            return Ok(Renewed::NotDue);
        }
        let identity = self.identity();
        let request = KeyRequest::again(&identity.partner, &identity.key)?;
        let message = RenewRequest { partner: identity.partner.clone(), csr: request.csr };
        let grant: RenewGrant = self.hub(&identity).await?.post(RENEW, &message).await?;
        let pair = PemPair { certificate: grant.certificate, key: identity.key.clone() };
        let certificate = self.check(&identity, &pair, &before)?;
        let renewed = Identity { certificate: pair.certificate, ..(*identity).clone() };
        tokio::task::block_in_place(|| self.show(renewed))?;
        tracing::info!(expires = %certificate.expires, "the certificate was renewed");
        Ok(Renewed::Until(certificate.expires))
    }

    /// Fetches main's newest list of revoked certificates. Returns the number of the list in force.
    ///
    /// # Errors
    /// See [`RenewError`].
    pub async fn fetch_revocations(&self) -> Result<u64, RenewError> {
        let list = self.hub(&self.identity()).await?.get_bytes(REVOCATIONS).await?;
        if list.is_empty() {
            return Ok(self.tls().revocations().current().number());
        }
        let list = String::from_utf8_lossy(&list[..list.len().min(MAX_REVOCATIONS)]);
        Ok(tokio::task::block_in_place(|| self.take_revocations(&list))?)
    }

    /// A line to the hub that shows no certificate: this partner's own may have expired.
    async fn hub(&self, identity: &Identity) -> Result<PeerClient, RenewError> {
        let hub = identity.hub.as_deref().ok_or(RenewError::NoHub)?;
        let config = self.tls().client_without_certificate()?;
        Ok(PeerClient::new(config, main_tls_name(&identity.main), hub).await?)
    }

    fn check(&self, identity: &Identity, pair: &PemPair, before: &Certificate) -> Result<Certificate, RenewError> {
        let name = partner_tls_name(&identity.main, &identity.partner);
        let certificate = self.tls().check(pair, &name, Timestamp::now().into())?;
        if certificate.expires < before.expires || certificate.serial == before.serial {
            return Err(RenewError::NoLonger);
        }
        Ok(certificate)
    }
}

/// Renews the certificate whenever it is due, and fetches what main has revoked, until `shutdown`.
pub(crate) async fn keep_renewed(partner: Arc<Partner>, shutdown: Shutdown) {
    loop {
        let mut pause = EVERY;
        if let Err(error) = partner.renew_if_due(Timestamp::now()).await {
            pause = RETRY;
            tracing::warn!("the certificate is due, and was not renewed\n{}", complaint::render(&error));
        }
        if let Err(error) = partner.fetch_revocations().await {
            if partner.check_revocations(Timestamp::now()).is_err() {
                pause = RETRY;
            }
            tracing::debug!("what main has revoked could not be asked\n{}", complaint::render(&error));
        }
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
