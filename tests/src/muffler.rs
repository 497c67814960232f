//! A network between two ends that can swallow what it carries, as when a host vanishes or a router forgets a connection:
//! nothing comes through any more, and nobody is told.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A port that passes everything on to another one.
pub struct Muffler {
    /// Where it listens.
    pub address: SocketAddr,
    /// How often it has swallowed what was open.
    swallowed: Arc<watch::Sender<u64>>,
}

impl Muffler {
    /// A way to `target` on which everything comes through yet.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let swallowed = Arc::new(watch::Sender::new(0));
        let of_task = swallowed.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target, of_task.subscribe()));
            }
        });
        Self { address, swallowed }
    }

    /// From now on nothing comes through on the connections that are open, neither bytes nor their end. Later ones are whole.
    pub fn swallow(&self) {
        self.swallowed.send_modify(|times| *times += 1);
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut swallowed: watch::Receiver<u64>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        // A broken connection is what both ends are to notice.
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        // The sockets stay open for as long as the test runs.
        Ok(()) = swallowed.changed() => std::future::pending().await,
    }
}
