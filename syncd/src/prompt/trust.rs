//! Which authorities a mail server or webhook may be certified by: those that this machine trusts, and named ones.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use super::settings::NotTold;

/// Authorities that are trusted besides those of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// The certificates of a PEM text, if it holds any and nothing that is damaged.
    pub(super) fn from_pem(text: &str) -> Option<Self> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        found.ok().filter(|found| !found.is_empty()).map(Self)
    }

    /// The certificates, each as DER.
    pub(super) fn each(&self) -> impl Iterator<Item = Vec<u8>> {
        self.0.iter().map(|certificate| certificate.to_vec())
    }

    /// A client that trusts them.
    pub(super) fn client(&self) -> Result<ClientConfig, NotTold> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier::new_with_extra_roots(self.0.clone(), provider.clone()).map_err(NotTold::Tls)?;
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(NotTold::Tls)?.dangerous();
        Ok(builder.with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
    }
}
