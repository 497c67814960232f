//! TLS between our own ends: version 1.3 alone, both sides certified by main's authority, no resumption.
//!
//! A resumed session would skip the verification of the peer's certificate, so there are no tickets and no cache.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WantsClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ConfigBuilder, DigitallySignedStruct, DistinguishedName, Error as TlsFault, RootCertStore,
    SignatureScheme,
};
pub use rustls::{ClientConfig, ServerConfig};
use tieup_protocol::digest::Digest;
use tokio::sync::watch;

use crate::authority::PemPair;
use crate::certificate::{Certificate, Serial};
use crate::revocation::Revocations;

/// The application protocol.
const ALPN: [&[u8]; 1] = [b"http/1.1"];

/// Why a TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// PEM text without the thing it should hold.
    #[error("expected PEM text with a {0}")]
    Pem(&'static str),
    /// A name that cannot stand in a certificate.
    #[error("`{0}` cannot be a name in a certificate")]
    Name(String, #[source] InvalidDnsNameError),
    /// The certificate, key or authority is unusable.
    #[error("the TLS identity cannot be used")]
    Tls(#[from] TlsFault),
    /// The authority is unusable for verifying.
    #[error("the certificate authority cannot be used for verifying")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// One end's identity, the authority it trusts, and the certificates it no longer accepts. Clones share all of it.
///
/// The configurations made from it follow it: a certificate that is replaced is shown from the next handshake on, and
/// one that is revoked is accepted in no further one. Connections that are open stay as they are.
#[derive(Clone, Debug)]
pub struct TlsIdentity {
    shown: Arc<Shown>,
    authority: CertificateDer<'static>,
    revocations: Revocations,
}

/// The certificate that is shown now.
#[derive(Debug)]
struct Shown(watch::Sender<Arc<Current>>);

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    certificate: Certificate,
}

impl TlsIdentity {
    /// Reads an identity and main's authority from PEM. No certificate is revoked yet.
    ///
    /// # Errors
    /// When one of the texts does not hold what it should, or key and certificate do not belong together.
    pub fn from_pem(pair: &PemPair, authority: &str) -> Result<Self, TlsError> {
        let authority =
            CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|_| TlsError::Pem("certificate"))?;
        let current = Current::from_pem(pair, &authority)?;
        let shown = Arc::new(Shown(watch::Sender::new(Arc::new(current))));
        Ok(Self { shown, authority, revocations: Revocations::default() })
    }

    /// Shows another certificate from the next handshake on.
    ///
    /// # Errors
    /// When the texts do not hold what they should, or key and certificate do not belong together.
    pub fn replace(&self, pair: &PemPair) -> Result<(), TlsError> {
        self.shown.0.send_replace(Arc::new(Current::from_pem(pair, &self.authority)?));
        Ok(())
    }

    /// The certificate that is shown now.
    pub fn certificate(&self) -> Certificate {
        self.shown.0.borrow().certificate.clone()
    }

    /// Waits until another certificate than the one with this number is shown.
    pub async fn replaced(&self, serial: &Serial) {
        let mut shown = self.shown.0.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = shown.wait_for(|current| current.certificate.serial != *serial).await;
    }

    /// The revoked certificates.
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Checks that `pair` is certified for `name` by the authority, at `now`.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, pair: &PemPair, name: &str, now: SystemTime) -> Result<Certificate, TlsError> {
        let current = Current::from_pem(pair, &self.authority)?;
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        let leaf = current.key.end_entity_cert()?;
        verifier.verify_client_cert(leaf, &[], UnixTime::since_unix_epoch(since))?;
        verify_server_name(&ParsedCertificate::try_from(leaf)?, &server_name(name)?)?;
        Ok(current.certificate)
    }

    /// The configuration of a server that admits only the peer named `peer`, certified by the authority.
    ///
    /// # Errors
    /// When the identity is unusable.
    pub fn server_for(&self, peer: &str) -> Result<ServerConfig, TlsError> {
        let inner = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        self.server(inner, Some(server_name(peer)?))
    }

    /// The configuration of a server that admits anyone: the one that answers joins. Whoever shows a certificate must
    /// be certified by the authority.
    ///
    /// # Errors
    /// When the identity is unusable.
    pub fn server_for_anyone(&self) -> Result<ServerConfig, TlsError> {
        let builder = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider());
        self.server(builder.allow_unauthenticated().build()?, None)
    }

    fn server(
        &self,
        inner: Arc<dyn ClientCertVerifier>,
        peer: Option<ServerName<'static>>,
    ) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
        let verifier = Arc::new(PartnerVerifier { inner, peer, revocations: self.revocations.clone() });
        Ok(unresumed(builder.with_client_cert_verifier(verifier).with_cert_resolver(self.shown.clone())))
    }

    /// The configuration of a client that shows this identity and trusts the authority alone.
    ///
    /// # Errors
    /// When the identity is unusable.
    pub fn client(&self) -> Result<ClientConfig, TlsError> {
        let builder = self.trusting()?;
        Ok(unresumed_client(builder.with_client_cert_resolver(self.shown.clone())))
    }

    /// The configuration of a client that shows no certificate, for when this end's own has expired.
    ///
    /// # Errors
    /// When the authority is unusable.
    pub fn client_without_certificate(&self) -> Result<ClientConfig, TlsError> {
        Ok(unresumed_client(self.trusting()?.with_no_client_auth()))
    }

    fn trusting(&self) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
        let inner = WebPkiServerVerifier::builder_with_provider(self.roots()?, provider()).build()?;
        let verifier = Arc::new(UnrevokedServer { inner, revocations: self.revocations.clone() });
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        Ok(Arc::new(roots))
    }
}

impl Current {
    fn from_pem(pair: &PemPair, authority: &CertificateDer<'static>) -> Result<Self, TlsError> {
        let leaf =
            CertificateDer::from_pem_slice(pair.certificate.as_bytes()).map_err(|_| TlsError::Pem("certificate"))?;
        let certificate = Certificate::from_der(&leaf).map_err(|_| TlsError::Pem("certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|_| TlsError::Pem("private key"))?;
        let key = CertifiedKey::from_der(vec![leaf, authority.clone()], key, &provider())?;
        Ok(Self { key: Arc::new(key), certificate })
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.borrow().key.clone())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.borrow().key.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The configuration of a client that joins: it trusts the one authority whose digest its token names.
///
/// # Errors
/// Only if the cryptographic library fails.
pub fn joining_client(authority: Digest) -> Result<ClientConfig, TlsError> {
    let verifier = Arc::new(PinnedAuthority { authority, provider: provider() });
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    Ok(unresumed_client(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|error| TlsError::Name(name.to_owned(), error))
}

fn unresumed(mut config: ServerConfig) -> ServerConfig {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    config
}

fn unresumed_client(mut config: ClientConfig) -> ClientConfig {
    config.resumption = Resumption::disabled();
    config
}

/// An error if a certificate has been revoked.
fn check_unrevoked(certificate: &CertificateDer<'_>, revocations: &Revocations) -> Result<(), TlsFault> {
    let fault = |fault| Err(TlsFault::InvalidCertificate(fault));
    match Certificate::from_der(certificate) {
        Ok(certificate) if revocations.has(&certificate.serial) => fault(CertificateError::Revoked),
        Ok(_) => Ok(()),
        Err(_) => fault(CertificateError::BadEncoding),
    }
}

/// Admits the clients that `inner` admits, that are certified for one name where there is one, and not revoked.
#[derive(Debug)]
struct PartnerVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    peer: Option<ServerName<'static>>,
    revocations: Revocations,
}

impl ClientCertVerifier for PartnerVerifier {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsFault> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        if let Some(peer) = &self.peer {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, peer)?;
        }
        check_unrevoked(end_entity, &self.revocations)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsFault> {
        Err(TlsFault::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsFault> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Trusts the servers that `inner` trusts and that are not revoked.
#[derive(Debug)]
struct UnrevokedServer {
    inner: Arc<WebPkiServerVerifier>,
    revocations: Revocations,
}

impl ServerCertVerifier for UnrevokedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsFault> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        check_unrevoked(end_entity, &self.revocations)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsFault> {
        Err(TlsFault::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsFault> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Trusts the certificate authority with one digest, which the server sends along, and whom that authority certified.
#[derive(Debug)]
struct PinnedAuthority {
    authority: Digest,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsFault> {
        let pinned = intermediates.iter().find(|sent| Digest::of(sent) == self.authority);
        let pinned = pinned.ok_or(TlsFault::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| TlsFault::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsFault> {
        Err(TlsFault::PeerIncompatible(rustls::PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsFault> {
        let algorithms = self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
