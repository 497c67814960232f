//! A prompt by mail: plain text, handed to a mail server over SMTP.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use serde::Deserialize;

use super::notice::Notice;
use super::settings::NotTold;
use super::trust::Authorities;

/// How long each step of handing over a mail may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// How long handing over a mail may take in all, in seconds.
const SECONDS: u64 = 90;

/// The port on which mail servers speak TLS from the first byte on.
const TLS_PORT: u16 = 465;

/// Mail to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub(super) to: Vec<Address>,
    pub(super) from: Address,
    pub(super) server: Server,
    pub(super) security: Security,
    pub(super) login: Option<Login>,
    pub(super) authorities: Authorities,
}

/// A mail address, such as `Shop <shop@example.com>`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Address(Mailbox);

/// A mail server: host and port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Server {
    host: String,
    port: u16,
}

/// How the connection to the mail server is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Security {
    /// TLS from the first byte on.
    Tls,
    /// TLS after a greeting, never without.
    Starttls,
    /// None: for a server on this machine.
    None,
}

/// How to log in at the mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: Password,
}

/// A password, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Password(pub(super) String);

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parsed = text.parse().map(Self);
        parsed.map_err(|_| format!("`{text}` is no mail address: write it like shop@example.com"))
    }
}

impl TryFrom<String> for Server {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let valid = |host: &str| !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic() && c != '/' && c != '@');
        match parts.filter(|(host, port)| valid(host) && *port > 0) {
            Some((host, port)) => Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port }),
            None => Err(format!("`{text}` is no mail server: write it like smtp.example.com:587")),
        }
    }
}

impl Server {
    pub(super) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// What such a server speaks unless the operator says otherwise.
    pub(super) fn usual_security(&self) -> Security {
        match self.port {
            _ if self.is_loopback() => Security::None,
            TLS_PORT => Security::Tls,
            _ => Security::Starttls,
        }
    }
}

impl Mail {
    /// Hands a mail about `notice` to the server.
    ///
    /// # Errors
    /// When the server cannot be reached, or does not take it.
    pub(super) async fn send(&self, notice: &Notice) -> Result<(), NotTold> {
        let message = self.message(notice)?;
        let sending = self.transport()?;
        let sent = tokio::time::timeout(Duration::from_secs(SECONDS), sending.send(message)).await;
        sent.map_err(|_| NotTold::TooSlow(SECONDS))?.map(drop).map_err(NotTold::Mail)
    }

    fn message(&self, notice: &Notice) -> Result<Message, NotTold> {
        let host = self.from.0.email.domain().to_owned();
        let mut message = Message::builder()
            .from(self.from.0.clone())
            .subject(notice.title())
            .message_id(Some(format!("<{}@{host}>", notice.id())))
            .header(ContentType::TEXT_PLAIN);
        for Address(to) in &self.to {
            message = message.to(to.clone());
        }
        message.body(notice.letter()).map_err(NotTold::Letter)
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, NotTold> {
        let tls = match self.security {
            Security::None => Tls::None,
            Security::Starttls => Tls::Required(self.tls()?),
            Security::Tls => Tls::Wrapper(self.tls()?),
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.server.host);
        let builder = builder.port(self.server.port).tls(tls).timeout(Some(STEP_TIMEOUT));
        Ok(match &self.login {
            Some(login) => builder.credentials(Credentials::new(login.user.clone(), login.password.0.clone())).build(),
            None => builder.build(),
        })
    }

    fn tls(&self) -> Result<TlsParameters, NotTold> {
        let mut builder = TlsParameters::builder(self.server.host.clone());
        for certificate in self.authorities.each() {
            builder = builder.add_root_certificate(Certificate::from_der(certificate).map_err(NotTold::Mail)?);
        }
        builder.build_rustls().map_err(NotTold::Mail)
    }
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: Vec<String> = self.to.iter().map(|Address(to)| to.to_string()).collect();
        write!(f, "mail to {} by {}:{}", to.join(", "), self.server.host, self.server.port)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}
