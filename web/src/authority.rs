//! Main's certificate authority, and the keys and requests of those it certifies.
//!
//! Everything here is PEM text in memory; `store` keeps it. Keys are ECDSA P-256.

use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams,
    DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PublicKeyData, RevokedCertParams, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use tieup_protocol::digest::Digest;
use tieup_protocol::ids::SiteId;
use tieup_protocol::joining::{main_tls_name, partner_tls_name};

use crate::certificate::Serial;

/// How long an authority's own certificate holds.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(24 * 365 * 10);

/// How long an issued certificate holds.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_hours(24 * 30);

/// How far clocks may differ: certificates begin this much earlier.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// Main's certificate authority.
pub struct Authority {
    main: SiteId,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate authority or identity as PEM texts, ready to be kept.
pub struct PemPair {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

/// A partner's new key with the request to certify it.
pub struct KeyRequest {
    /// The private key, PKCS #8 PEM. It never leaves the partner.
    pub key: String,
    /// The PKCS #10 request, PEM.
    pub csr: String,
    /// The public key, DER `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
}

/// A certificate issued to a partner.
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: String,
    /// The certified public key, DER `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
}

/// A certificate that is on a list of revoked ones.
pub struct RevokedCertificate {
    /// Its number.
    pub serial: Serial,
    /// Since when.
    pub revoked: SystemTime,
}

/// Why something could not be certified.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key or certificate of the authority is unusable, or the library failed.
    #[error("the certificate authority cannot be used")]
    Authority(#[source] rcgen::Error),
    /// The request is no valid PKCS #10 request with a matching signature.
    #[error("the certificate request is not valid")]
    Request(#[source] rcgen::Error),
    /// The operating system gives no random numbers.
    #[error("the operating system gives no random numbers")]
    Randomness,
    /// PEM text that holds no certificate or request.
    #[error("expected PEM text with a {0}")]
    Pem(&'static str),
}

impl Authority {
    /// Makes a new authority for `main`, valid from `now`.
    ///
    /// # Errors
    /// Only if the cryptographic library fails.
    pub fn create(main: &SiteId, now: SystemTime) -> Result<PemPair, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Authority)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&format!("Tieup authority of {main}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, AUTHORITY_LIFETIME);
        let certificate = params.self_signed(&key).map_err(AuthorityError::Authority)?;
        Ok(PemPair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The authority of `main` from what was kept.
    ///
    /// # Errors
    /// When the texts are not a certificate and its key.
    pub fn load(main: &SiteId, pair: &PemPair) -> Result<Self, AuthorityError> {
        let key = KeyPair::from_pem(&pair.key).map_err(AuthorityError::Authority)?;
        let issuer = Issuer::from_ca_cert_pem(&pair.certificate, key).map_err(AuthorityError::Authority)?;
        Ok(Self { main: main.clone(), issuer, certificate: pair.certificate.clone() })
    }

    /// The authority's certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The digest that invitations carry.
    ///
    /// # Errors
    /// When the certificate's text is damaged.
    pub fn digest(&self) -> Result<Digest, AuthorityError> {
        certificate_digest(&self.certificate)
    }

    /// Issues main's own identity, for calling partners and for answering joins.
    ///
    /// # Errors
    /// Only if the cryptographic library fails.
    pub fn issue_main(&self, now: SystemTime) -> Result<PemPair, AuthorityError> {
        let key = KeyPair::generate().map_err(AuthorityError::Authority)?;
        let mut params = leaf(&main_tls_name(&self.main)).map_err(AuthorityError::Authority)?;
        params.serial_number = Some(serial()?);
        set_validity(&mut params, now, CERTIFICATE_LIFETIME);
        let certificate = params.signed_by(&key, &self.issuer).map_err(AuthorityError::Authority)?;
        Ok(PemPair { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Certifies the key in a partner's request. Whatever names the request holds are ignored: the name comes from
    /// the invitation.
    ///
    /// # Errors
    /// When the request is not valid.
    pub fn issue_partner(&self, partner: &SiteId, csr: &str, now: SystemTime) -> Result<Issued, AuthorityError> {
        let der = CertificateSigningRequestDer::from_pem_slice(csr.as_bytes())
            .map_err(|_| AuthorityError::Pem("certificate request"))?;
        let mut request = CertificateSigningRequestParams::from_der(&der).map_err(AuthorityError::Request)?;
        request.params = leaf(&partner_tls_name(&self.main, partner)).map_err(AuthorityError::Request)?;
        request.params.serial_number = Some(serial()?);
        set_validity(&mut request.params, now, CERTIFICATE_LIFETIME);
        let certificate = request.signed_by(&self.issuer).map_err(AuthorityError::Request)?;
        Ok(Issued { certificate: certificate.pem(), public_key: request.public_key.subject_public_key_info() })
    }

    /// The public key in a partner's request, DER `SubjectPublicKeyInfo`. The request's signature is verified: whoever
    /// made it has the key.
    ///
    /// # Errors
    /// When the request is not valid.
    pub fn requested_key(csr: &str) -> Result<Vec<u8>, AuthorityError> {
        let der = CertificateSigningRequestDer::from_pem_slice(csr.as_bytes())
            .map_err(|_| AuthorityError::Pem("certificate request"))?;
        let request = CertificateSigningRequestParams::from_der(&der).map_err(AuthorityError::Request)?;
        Ok(request.public_key.subject_public_key_info())
    }

    /// Signs list `number` of revoked certificates, in PEM. A later list has a higher number.
    ///
    /// # Errors
    /// Only if the cryptographic library fails.
    pub fn revocation_list(
        &self,
        number: u64,
        revoked: &[RevokedCertificate],
        now: SystemTime,
    ) -> Result<String, AuthorityError> {
        let revoked = revoked.iter().map(|certificate| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&certificate.serial.to_bytes()),
            revocation_time: certificate.revoked.into(),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + CERTIFICATE_LIFETIME).into(),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).map_err(AuthorityError::Authority)?;
        list.pem().map_err(AuthorityError::Authority)
    }
}

/// A random number for a certificate; rcgen's own would be the same for each certificate of one key.
fn serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| AuthorityError::Randomness)?;
    // Positive, and of one length.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

impl KeyRequest {
    /// Makes a key and the request for it.
    ///
    /// # Errors
    /// Only if the cryptographic library fails.
    pub fn create(partner: &SiteId) -> Result<Self, AuthorityError> {
        Self::for_key(partner, &KeyPair::generate().map_err(AuthorityError::Authority)?)
    }

    /// The request for a key that was made before, so that a new certificate replaces an old one.
    ///
    /// # Errors
    /// When `key` is no PKCS #8 PEM of a key that the library supports.
    pub fn again(partner: &SiteId, key: &str) -> Result<Self, AuthorityError> {
        Self::for_key(partner, &KeyPair::from_pem(key).map_err(AuthorityError::Authority)?)
    }

    fn for_key(partner: &SiteId, key: &KeyPair) -> Result<Self, AuthorityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(partner.as_str());
        let csr = params.serialize_request(key).map_err(AuthorityError::Authority)?;
        Ok(Self {
            key: key.serialize_pem(),
            csr: csr.pem().map_err(AuthorityError::Authority)?,
            public_key: key.subject_public_key_info(),
        })
    }
}

/// The digest of the first certificate in a PEM text.
///
/// # Errors
/// When there is none.
pub fn certificate_digest(pem: &str) -> Result<Digest, AuthorityError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| AuthorityError::Pem("certificate"))?;
    Ok(Digest::of(&der))
}

fn leaf(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = named(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn set_validity(params: &mut CertificateParams, now: SystemTime, lifetime: Duration) {
    params.not_before = (now - CLOCK_SKEW).into();
    params.not_after = (now + lifetime).into();
}
