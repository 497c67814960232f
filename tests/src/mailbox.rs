//! The receiving end of mail: an SMTP server (RFC 5321) with STARTTLS and AUTH PLAIN, small and real.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// How long a mail may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mail as it was handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Who sent it, in the envelope.
    pub from: String,
    /// To whom, in the envelope.
    pub to: Vec<String>,
    /// Headers and body.
    pub text: String,
    /// User and password, as `user:password`.
    pub login: Option<String>,
    /// Whether it came over TLS.
    pub over_tls: bool,
}

/// A mail server, listening.
pub struct Mailbox {
    /// Where.
    pub address: SocketAddr,
    /// Its certificate, PEM; it is for `localhost`, and signed by itself.
    pub certificate: String,
    mails: watch::Receiver<Vec<Mail>>,
    task: JoinHandle<()>,
}

/// What a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offers {
    /// Plain SMTP.
    Plain,
    /// STARTTLS, and a login once that is done.
    Starttls,
}

/// What ended a conversation.
enum Ended {
    Quit,
    Starttls,
}

impl Mailbox {
    /// A server that offers this.
    pub async fn start(offers: Offers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let (certificate, tls) = identity();
        let (sender, mails) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Whoever breaks off has sent no mail.
                let _ = attend(stream, offers, &tls, &sender).await;
            }
        });
        Self { address, certificate, mails, task }
    }

    /// What has come so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.borrow().clone()
    }

    /// Waits until there are `count` mails.
    pub async fn wait(&self, count: usize) -> Vec<Mail> {
        let mut mails = self.mails.clone();
        let found = tokio::time::timeout(PATIENCE, mails.wait_for(|mails| mails.len() >= count)).await;
        found.unwrap_or_else(|_| panic!("fewer than {count} mails came")).map(|mails| mails.clone()).unwrap_or_default()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn identity() -> (String, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
    let made = made.unwrap_or_else(|error| panic!("no certificate: {error}"));
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap_or_else(|error| panic!("TLS: {error}"));
    let config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let config = config.unwrap_or_else(|error| panic!("TLS: {error}"));
    (made.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

async fn attend(
    stream: TcpStream,
    offers: Offers,
    tls: &TlsAcceptor,
    mails: &watch::Sender<Vec<Mail>>,
) -> std::io::Result<()> {
    let mut plain = BufStream::new(stream);
    plain.write_all(b"220 mailbox\r\n").await?;
    let extension = if offers == Offers::Starttls { "STARTTLS" } else { "8BITMIME" };
    if let Ended::Starttls = converse(&mut plain, extension, &Mail::default(), mails).await? {
        let mut secured = BufStream::new(tls.accept(plain.into_inner()).await?);
        let begun = Mail { over_tls: true, ..Mail::default() };
        converse(&mut secured, "AUTH PLAIN", &begun, mails).await?;
    }
    Ok(())
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    extension: &str,
    begun: &Mail,
    mails: &watch::Sender<Vec<Mail>>,
) -> std::io::Result<Ended> {
    let mut mail = begun.clone();
    loop {
        stream.flush().await?;
        let line = line(stream).await?;
        let (command, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
        let answer = match command.to_ascii_uppercase().as_str() {
            "EHLO" => format!("250-mailbox\r\n250 {extension}\r\n"),
            "STARTTLS" => {
                stream.write_all(b"220 go on\r\n").await?;
                stream.flush().await?;
                return Ok(Ended::Starttls);
            }
            "AUTH" => {
                let secret = STANDARD.decode(rest.trim_start_matches("PLAIN ")).unwrap_or_default();
                let secret = String::from_utf8_lossy(&secret).into_owned();
                mail.login = Some(secret.trim_start_matches('\0').replace('\0', ":"));
                "235 welcome\r\n".to_owned()
            }
            "MAIL" => {
                mail.from = bare(rest);
                "250 ok\r\n".to_owned()
            }
            "RCPT" => {
                mail.to.push(bare(rest));
                "250 ok\r\n".to_owned()
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                stream.flush().await?;
                mail.text = data(stream).await?;
                mails.send_modify(|mails| mails.push(mail.clone()));
                "250 kept\r\n".to_owned()
            }
            "QUIT" | "" => return Ok(Ended::Quit),
            _ => "502 what?\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// What stands between the angle brackets.
fn bare(text: &str) -> String {
    text.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

async fn data(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        match line(stream).await?.as_str() {
            "." => return Ok(text),
            line => text.extend([line.strip_prefix('.').unwrap_or(line), "\n"]),
        }
    }
}

async fn line(stream: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
