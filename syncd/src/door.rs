//! Addresses for the operator alone: where the console and the preview listen, and how they are reached.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::str::FromStr;

use axum::http::Uri;
use serde::Deserialize;
use tieup_protocol::diagnostic::Diagnostic;
use tieup_web::console::Names;
use tokio::net::TcpListener;

/// Where a site for the operator alone listens, and the address under which it is reached from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How it is reached, where a server that speaks HTTPS stands before it.
    pub url: Option<Uri>,
}

/// An address to listen at, as `syncd.yaml` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Listen(SocketAddr);

/// A public address of a whole host, as `syncd.yaml` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PublicUrl(Uri);

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let address = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}").parse(),
            None => SocketAddr::from_str(&text),
        };
        address.map(Self).map_err(|_| format!("`{text}` is not an address to listen at: write it like 127.0.0.1:7460"))
    }
}

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = text.parse::<Uri>().ok().filter(|url| {
            url.scheme_str() == Some("https") && url.path() == "/" && url.query().is_none() && url.host().is_some()
        });
        url.map(Self)
            .ok_or_else(|| format!("`{text}` is not an address of a host: write it like https://console.example.com/"))
    }
}

impl Door {
    /// The door that the keys `name` and `name_url` of `text` describe.
    ///
    /// # Errors
    /// When there is a public address and nothing listens, or somebody else than this machine would hear plain HTTP.
    pub(crate) fn of(
        (file, text): (&str, &str),
        name: &str,
        listen: Option<Listen>,
        url: Option<PublicUrl>,
    ) -> Result<Option<Self>, Diagnostic> {
        let problem = |message: String| Diagnostic::new("wrong-value", file, message).at_text(text, name);
        match (listen, url) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(problem(format!("`{name}_url` stands without `{name}`"))
                .help(format!("write `{name}: 127.0.0.1:PORT` as well: where the daemon listens"))),
            (Some(Listen(listen)), None) if !listen.ip().is_loopback() => {
                let message = format!("`{name}` would speak plain HTTP to other machines");
                let help = format!(
                    "listen at 127.0.0.1, or put a server that speaks HTTPS before it and write its address as \
                     `{name}_url: https://...`"
                );
                Err(problem(message).help(help))
            }
            (Some(Listen(listen)), url) => Ok(Some(Self { listen, url: url.map(|PublicUrl(url)| url) })),
        }
    }

    /// Listens, with this machine under the name `host`.
    ///
    /// Console and preview take different names, so that a browser keeps their cookies apart.
    ///
    /// # Errors
    /// When the port is taken, or not for this process.
    pub fn open(&self, host: Host) -> io::Result<Opened> {
        self.open_at(net::TcpListener::bind(self.listen)?, host)
    }

    /// The same at a socket that listens already.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open_at(&self, listener: net::TcpListener, host: Host) -> io::Result<Opened> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Opened {
            listener: TcpListener::from_std(listener)?,
            names: Names::of(address, self.url.as_ref()),
            url: self.address(address.port(), host),
        })
    }

    /// The address that a person opens, with this machine under the name `host`, where it listens at `port`.
    pub fn address(&self, port: u16, host: Host) -> String {
        match &self.url {
            Some(url) => url.to_string(),
            None if self.listen.is_ipv6() && host == Host::Number => format!("http://[::1]:{port}/"),
            None => format!("http://{host}:{port}/"),
        }
    }
}

/// A door that is open.
pub struct Opened {
    /// Where it listens.
    pub listener: TcpListener,
    /// Under which names it may be asked.
    pub names: Names,
    /// The address that a person opens.
    pub url: String,
}

/// A name of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// By name: the console.
    Name,
    /// By number: the preview.
    Number,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "localhost",
            Self::Number => "127.0.0.1",
        })
    }
}
