//! Sockets that a service manager has opened and hands over (systemd's socket activation).
//!
//! The program then needs no right to open port 80, and visitors who come while it starts wait instead of being turned
//! away. A socket is known by its name (`FileDescriptorName=`), or else by its port.

use std::io;
use std::net::{self, SocketAddr};

use listenfd::ListenFd;
use tokio::net::TcpListener;

/// The variable with the names of the sockets, in order.
const NAMES: &str = "LISTEN_FDNAMES";

/// The sockets that were handed over and are not taken yet.
#[derive(Debug, Default)]
pub struct GivenSockets(Vec<Given>);

#[derive(Debug)]
struct Given {
    name: String,
    address: SocketAddr,
    listener: net::TcpListener,
}

/// Why sockets that were handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// It is not of this kind.
    #[error("socket {0} that the service manager hands over is not one that listens for TCP")]
    Kind(usize, #[source] io::Error),
    /// Nobody asked for it.
    #[error(
        "the service manager hands over a socket `{name}` at {address}, which the configuration does not mention: take it \
         out of the unit, or have the configuration listen at port {}", address.port()
    )]
    Surplus {
        /// Its name there.
        name: String,
        /// Where it listens.
        address: SocketAddr,
    },
    /// A port cannot be listened at.
    #[error("cannot listen on {0}")]
    Listen(String, #[source] io::Error),
}

impl GivenSockets {
    /// None: every port is opened by the program itself.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that the service manager which started this process hands over to it; none where none does.
    ///
    /// # Errors
    /// When one is no TCP socket that listens.
    pub fn take_over() -> Result<Self, SocketError> {
        let names = std::env::var(NAMES).unwrap_or_default();
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let mut sockets = Vec::new();
        for number in 0..given.len() {
            let kind = |error| SocketError::Kind(number, error);
            let name = names.next().unwrap_or_default().to_owned();
            let Some(listener) = given.take_tcp_listener(number).map_err(kind)? else { continue };
            let address = listener.local_addr().map_err(kind)?;
            sockets.push(Given { name, address, listener });
        }
        Ok(Self(sockets))
    }

    /// Takes the socket for `name` at `address`, host and port, if it was handed over.
    ///
    /// One that bears the name is meant wherever it listens; or else one at the very address, or at the port.
    pub fn take(&mut self, name: &str, address: &str) -> Option<net::TcpListener> {
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let named = self.0.iter().position(|given| given.name == name);
        let there = || self.0.iter().position(|given| given.address.to_string() == address);
        let at_port = || self.0.iter().position(|given| Some(given.address.port()) == port);
        let found = named.or_else(there).or_else(at_port)?;
        Some(self.0.remove(found).listener)
    }

    /// Listens for `name` at `address`: by the socket that was handed over, or by one of its own.
    ///
    /// # Errors
    /// When the port is taken, or not for this program.
    pub async fn listen(&mut self, name: &str, address: &str) -> Result<TcpListener, SocketError> {
        let failed = |error| SocketError::Listen(address.to_owned(), error);
        match self.take(name, address) {
            Some(listener) => adopted(listener).map_err(failed),
            None => TcpListener::bind(address).await.map_err(failed),
        }
    }

    /// Listens for `name` at `address`, if there is one.
    ///
    /// # Errors
    /// When the port is taken, or not for this program.
    pub async fn listen_if(&mut self, name: &str, address: Option<&str>) -> Result<Option<TcpListener>, SocketError> {
        match address {
            Some(address) => self.listen(name, address).await.map(Some),
            None => Ok(None),
        }
    }

    /// Fails if a socket was handed over that nobody took: whoever connects to it would wait for ever.
    ///
    /// # Errors
    /// [`SocketError::Surplus`].
    pub fn finish(self) -> Result<(), SocketError> {
        match self.0.into_iter().next() {
            Some(Given { name, address, .. }) => Err(SocketError::Surplus { name, address }),
            None => Ok(()),
        }
    }
}

fn adopted(listener: net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(names: &[&str]) -> GivenSockets {
        let sockets = names.iter().map(|name| {
            let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
            Given { name: (*name).to_owned(), address: listener.local_addr().unwrap(), listener }
        });
        GivenSockets(sockets.collect())
    }

    #[test]
    fn a_socket_is_known_by_its_name_or_else_by_its_port() {
        let mut sockets = given(&["syncd.socket", "https"]);
        let addresses: Vec<SocketAddr> = sockets.0.iter().map(|given| given.address).collect();
        let port = format!("0.0.0.0:{}", addresses[0].port());
        assert!(sockets.take("peer", "0.0.0.0:1").is_none());
        assert_eq!(sockets.take("https", &port).unwrap().local_addr().unwrap(), addresses[1]);
        assert_eq!(sockets.take("public", &port).unwrap().local_addr().unwrap(), addresses[0]);
        assert!(sockets.take("public", &port).is_none(), "taken twice");
        sockets.finish().unwrap();
    }

    #[test]
    fn one_that_nobody_took_is_named() {
        let error = given(&["smtp"]).finish().unwrap_err().to_string();
        assert!(error.contains("socket `smtp` at 127.0.0.1:"), "{error}");
    }

    #[tokio::test]
    async fn what_was_not_handed_over_is_opened() {
        let mut sockets = GivenSockets::none();
        assert!(sockets.listen("public", "127.0.0.1:0").await.is_ok());
        assert!(sockets.listen_if("https", None).await.unwrap().is_none());
        let error = sockets.listen("public", "nowhere").await.unwrap_err().to_string();
        assert_eq!(error, "cannot listen on nowhere");
    }
}
