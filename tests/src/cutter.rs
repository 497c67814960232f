//! A network between two ends that can be cut: it passes bytes on, and counts connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long something may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// A port that passes everything on to another one.
pub struct Cutter {
    /// Where it listens.
    pub address: SocketAddr,
    budget: Arc<AtomicU64>,
    connections: watch::Receiver<u64>,
}

impl Cutter {
    /// A way to `target` that nothing cuts yet.
    pub async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap_or_else(|error| panic!("no port: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("no address: {error}"));
        let budget = Arc::new(AtomicU64::new(u64::MAX));
        let (counter, connections) = watch::channel(0);
        let shared = budget.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                counter.send_modify(|count| *count += 1);
                let budget = shared.clone();
                tokio::spawn(async move {
                    if let Ok(far) = TcpStream::connect(target).await {
                        Box::pin(pass(near, far, budget)).await;
                    }
                });
            }
        });
        Self { address, budget, connections }
    }

    /// Cuts the connection that carries the last of the next `bytes` bytes from the target, once; later ones are whole.
    pub fn cut_after(&self, bytes: u64) {
        self.budget.store(bytes, Ordering::SeqCst);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u64 {
        *self.connections.borrow()
    }

    /// Waits until there have been more than `count` connections.
    pub async fn more_than(&self, count: u64) {
        let mut connections = self.connections.clone();
        let more = connections.wait_for(|now| *now > count);
        let more = tokio::time::timeout(PATIENCE, more).await.map(|more| more.map(|count| *count));
        assert!(matches!(more, Ok(Ok(_))), "nobody dialed anew");
    }
}

async fn pass(near: TcpStream, far: TcpStream, budget: Arc<AtomicU64>) {
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    // Whichever ends first ends the connection in both directions.
    tokio::select! {
        () = copy(near_read, far_write, None) => {}
        () = copy(far_read, near_write, Some(budget)) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, budget: Option<Arc<AtomicU64>>) {
    let mut bytes = [0; 8192];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if budget.as_ref().is_some_and(|budget| is_spent(budget, read as u64)) {
            return;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// Takes `bytes` from the budget; where that spends it, it is without limit from then on.
fn is_spent(budget: &AtomicU64, bytes: u64) -> bool {
    let limited = |left: u64| (left != u64::MAX).then(|| left.checked_sub(bytes).unwrap_or(u64::MAX));
    match budget.fetch_update(Ordering::SeqCst, Ordering::SeqCst, limited) {
        Ok(before) => before < bytes,
        Err(_) => false,
    }
}
