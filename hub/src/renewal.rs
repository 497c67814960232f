//! New certificates for keys that were certified before: a partner's at its request, and main's own.

use jiff::{SignedDuration, Timestamp};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::SiteId;
use tieup_protocol::wire::RenewRequest;
use tieup_web::authority::{Authority, AuthorityError, PemPair};
use tieup_web::certificate::{Certificate, InvalidCertificate};

use crate::database::{CertificateRow, DatabaseError, Owner};
use crate::keys::KeyError;
use crate::partners::{Hub, HubError};

/// How long after a partner's certificate has expired its key is still certified anew.
const GRACE: SignedDuration = SignedDuration::from_hours(24 * 90);

/// Why a certificate was not renewed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// The request is no valid one, or whoever made it does not have the key.
    #[error("the request for a certificate is not valid")]
    Request(#[source] AuthorityError),
    /// The partner is revoked.
    #[error("`{0}` has been revoked")]
    Revoked(SiteId),
    /// The key is not the one that was certified when the partner joined; or it has not joined.
    #[error("this key has not been certified for `{0}`")]
    OtherKey(SiteId),
    /// The certificate expired too long ago.
    #[error("the certificate of `{partner}` expired more than 90 days ago")]
    TooLate {
        /// The partner.
        partner: SiteId,
    },
    /// The hub's own parts failed.
    #[error(transparent)]
    Hub(#[from] HubError),
}

impl From<DatabaseError> for RenewError {
    fn from(error: DatabaseError) -> Self {
        Self::Hub(error.into())
    }
}

impl Hub {
    /// Certifies a partner's key anew, at `now`: the very key that was certified when it joined, unless the partner is
    /// revoked or its last certificate expired more than 90 days ago. Returns the certificate, PEM.
    ///
    /// # Errors
    /// See [`RenewError`].
    pub async fn renew(&self, request: &RenewRequest, now: Timestamp) -> Result<String, RenewError> {
        let key = Digest::of(&Authority::requested_key(&request.csr).map_err(RenewError::Request)?);
        let partner = self.database.partner(&request.partner).await?;
        let newest = self.database.newest_certificate(&request.partner).await?;
        let known = partner.zip(newest).filter(|(_, newest)| newest.key == key);
        let (partner, newest) = known.ok_or_else(|| RenewError::OtherKey(request.partner.clone()))?;
        if partner.revoked.is_some() {
            return Err(RenewError::Revoked(partner.id));
        }
        if now > newest.expires + GRACE {
            return Err(RenewError::TooLate { partner: partner.id });
        }
        let authority = self.keys.authority().map_err(HubError::from)?;
        let issued = authority.issue_partner(&partner.id, &request.csr, now.into()).map_err(RenewError::Request)?;
        let row = issued_row(&issued.certificate, Owner::Partner(partner.id))?;
        // Another key may have taken its place meanwhile.
        if !self.database.certify_again(&row, None).await? {
            return Err(RenewError::OtherKey(request.partner.clone()));
        }
        tracing::info!(partner = %request.partner, expires = %row.expires, "a certificate was renewed");
        Ok(issued.certificate)
    }

    /// Goes on with a new certificate and key of main's own, if a third of the life of the present one is left at `now`
    /// or it has been revoked. Connections that are open stay as they are.
    pub(crate) async fn renew_identity(&self, now: Timestamp) -> Result<(), HubError> {
        let shown = self.tls().certificate();
        if !shown.is_due(now) && !self.tls().revocations().has(&shown.serial) {
            return Ok(());
        }
        let pair = self.keys.issue_tls(now.into())?;
        self.keep_own(&pair, now).await?;
        Ok(self.tls().replace(&pair)?)
    }

    /// Keeps that main has this certificate, so that it can be revoked.
    pub(crate) async fn keep_own(&self, pair: &PemPair, now: Timestamp) -> Result<(), HubError> {
        Ok(self.database.add_certificate(&issued_row(&pair.certificate, Owner::Main)?, now).await?)
    }
}

/// The row for a certificate that the authority has just issued.
pub(crate) fn issued_row(pem: &str, owner: Owner) -> Result<CertificateRow, HubError> {
    let unusable = |error: InvalidCertificate| KeyError::Damaged("certificate".into(), error.to_string());
    let certificate = Certificate::from_pem(pem).map_err(unusable)?;
    let Certificate { serial, key, expires, .. } = certificate;
    Ok(CertificateRow { serial, owner, key, expires })
}
