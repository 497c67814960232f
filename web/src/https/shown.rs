//! The certificate that visitors are shown: replaced while the server runs, from the next handshake on.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::pair::{About, Pair};

/// The protocols that a visitor may choose from, the best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// TLS for visitors. Clones share the certificate.
#[derive(Clone, Debug)]
pub struct PublicTls {
    shown: Arc<Shown>,
    config: Arc<ServerConfig>,
}

/// How the certificate for visitors stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The certificate that is shown; none before the first was had.
    pub about: Option<About>,
    /// Why a newer one is not shown, though it should be.
    pub trouble: Option<String>,
}

#[derive(Debug, Default)]
struct Shown {
    pair: watch::Sender<Option<Pair>>,
    trouble: Mutex<Option<String>>,
}

impl PublicTls {
    /// TLS that shows `pair`; where there is none yet, handshakes fail until [`PublicTls::show`].
    ///
    /// TLS 1.3 and 1.2, hybrid post-quantum key exchange first, HTTP/2 and HTTP/1.1. Sessions are resumed by tickets whose
    /// keys live in memory alone and change every few hours.
    ///
    /// # Errors
    /// Only if the cryptographic library fails.
    pub fn new(pair: Option<Pair>) -> Result<Self, rustls::Error> {
        let shown = Arc::new(Shown { pair: watch::Sender::new(pair), trouble: Mutex::default() });
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13, &TLS12])?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(shown.clone());
        config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(Self { shown, config: Arc::new(config) })
    }

    /// Shows another certificate from the next handshake on.
    pub fn show(&self, pair: Pair) {
        *self.trouble() = None;
        self.shown.pair.send_replace(Some(pair));
    }

    /// Notes why a newer certificate is not shown. The one before stays.
    pub fn note(&self, trouble: String) {
        *self.trouble() = Some(trouble);
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let about = self.shown.pair.borrow().as_ref().map(|pair| pair.about.clone());
        Standing { about, trouble: self.trouble().clone() }
    }

    /// Whether there is a certificate to show.
    pub fn has_certificate(&self) -> bool {
        self.shown.pair.borrow().is_some()
    }

    /// Waits until there is a certificate to show.
    pub async fn certified(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.shown.pair.subscribe().wait_for(Option::is_some).await;
    }

    /// The configuration for a server of visitors. It follows the certificate.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// What accepts visitors' handshakes.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config())
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.shown.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.pair.borrow().as_ref().map(|pair| pair.key.clone())
    }
}

/// The cryptography of all TLS with visitors.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
