//! TLS between our own ends: version 1.3 alone, both sides certified by main's authority, no resumption.
//!
//! A resumed session would skip the verification of the peer's certificate, so there are no tickets and no cache.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error as TlsFault, RootCertStore,
    ServerConfig, SignatureScheme,
};
use tieup_protocol::digest::Digest;

use crate::authority::PemPair;

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

/// One end's identity and the authority it trusts.
pub struct TlsIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authority: CertificateDer<'static>,
}

impl TlsIdentity {
    /// Reads an identity and main's authority from PEM.
    ///
    /// # Errors
    /// When one of the texts does not hold what it should.
    pub fn from_pem(pair: &PemPair, authority: &str) -> Result<Self, TlsError> {
        let certificate =
            CertificateDer::from_pem_slice(pair.certificate.as_bytes()).map_err(|_| TlsError::Pem("certificate"))?;
        let authority =
            CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|_| TlsError::Pem("certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(|_| TlsError::Pem("private key"))?;
        Ok(Self { chain: vec![certificate, authority.clone()], key, authority })
    }

    /// The configuration of a server that admits only the peer named `peer`, certified by the authority.
    ///
    /// # Errors
    /// When the identity is unusable.
    pub fn server_for(&self, peer: &str) -> Result<ServerConfig, TlsError> {
        let provider = provider();
        let inner = WebPkiClientVerifier::builder_with_provider(self.roots()?, provider.clone()).build()?;
        let peer = server_name(peer)?;
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?;
        let config = builder
            .with_client_cert_verifier(Arc::new(NamedPeer { inner, peer }))
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        Ok(unresumed(config))
    }

    /// The configuration of a server that admits anyone: the one that answers joins.
    ///
    /// # Errors
    /// When the identity is unusable.
    pub fn server_for_anyone(&self) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
        let config = builder.with_no_client_auth().with_single_cert(self.chain.clone(), self.key.clone_key())?;
        Ok(unresumed(config))
    }

    /// The configuration of a client that shows this identity and trusts the authority alone.
    ///
    /// # Errors
    /// When the identity is unusable.
    pub fn client(&self) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
        let mut config = builder
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())?;
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn roots(&self) -> Result<Arc<RootCertStore>, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        Ok(Arc::new(roots))
    }
}

/// The configuration of a client that joins: it trusts the one authority whose digest its token names.
///
/// # Errors
/// Only if the cryptographic library fails.
pub fn joining_client(authority: Digest) -> Result<ClientConfig, TlsError> {
    let verifier = Arc::new(PinnedAuthority { authority, provider: provider() });
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13])?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(config)
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

/// Admits the clients that `inner` admits and that are certified for one name.
#[derive(Debug)]
struct NamedPeer {
    inner: Arc<dyn ClientCertVerifier>,
    peer: ServerName<'static>,
}

impl ClientCertVerifier for NamedPeer {
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
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, &self.peer)?;
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
