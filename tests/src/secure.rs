//! A TLS connection in a test's own hands: what was negotiated, single requests on it, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, NamedGroup};
use tieup_web::certificate::Certificate;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long something may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open connection.
pub struct Secure(TlsStream<TcpStream>);

impl Secure {
    /// Connects to whoever is certified as `name` at `address`.
    ///
    /// # Errors
    /// When there is no handshake.
    pub async fn connect(config: &Arc<ClientConfig>, name: &str, address: SocketAddr) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address).await?;
        Ok(Self(TlsConnector::from(config.clone()).connect(name, stream).await?))
    }

    /// How the keys of the connection were agreed on.
    pub fn group(&self) -> Option<NamedGroup> {
        self.0.get_ref().1.negotiated_key_exchange_group().map(rustls::crypto::SupportedKxGroup::name)
    }

    /// Whether an earlier session was resumed.
    pub fn kind(&self) -> Option<HandshakeKind> {
        self.0.get_ref().1.handshake_kind()
    }

    /// The certificate at the other end.
    pub fn peer(&self) -> Certificate {
        let shown = self.0.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let shown = shown.unwrap_or_else(|| panic!("the other end showed no certificate"));
        Certificate::from_der(shown).unwrap_or_else(|error| panic!("{error}"))
    }

    /// GETs `path` and leaves the connection open: status and body.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub async fn get(&mut self, path: &str) -> io::Result<(u16, String)> {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await?;
        tokio::time::timeout(PATIENCE, self.answer()).await?
    }

    /// Begins a request with a body of which nothing comes; no answer to it can be due.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn begin(&mut self, method: &str, path: &str) -> io::Result<()> {
        let head = "content-type: application/json\r\ncontent-length: 100\r\n";
        self.send(&format!("{method} {path} HTTP/1.1\r\nhost: test\r\n{head}\r\n{{")).await
    }

    /// Everything that still comes until the other end has closed the connection.
    pub async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        // An end in order and a cut are both an end.
        let _ = ended.unwrap_or_else(|_| panic!("the connection was not ended"));
        rest
    }

    async fn send(&mut self, text: &str) -> io::Result<()> {
        self.0.write_all(text.as_bytes()).await?;
        self.0.flush().await
    }

    async fn answer(&mut self) -> io::Result<(u16, String)> {
        let mut text = String::new();
        loop {
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let fields = head.lines().filter_map(|line| line.split_once(": "));
                let length = fields.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                if body.len() >= length.and_then(|(_, length)| length.parse().ok()).unwrap_or(0) {
                    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
                    return Ok((status.unwrap_or(0), body.to_owned()));
                }
            }
            let mut bytes = [0; 4096];
            let read = self.0.read(&mut bytes).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    }
}
