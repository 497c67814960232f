//! A line between hub and partner that fails as it is told to.
//!
//! It passes on what either end sends, over TCP on loopback. One fault can be laid into it, at a place that is counted in
//! the bytes that hub has sent since; it happens once, and the line is good again.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::World;

/// The most bytes that are passed on at once.
const CHUNK: usize = 1 << 14;

/// How many bytes a slow line passes on at once.
const SLOW_CHUNK: usize = 7;

/// What happens on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends at both sides.
    Cut,
    /// Nothing more comes through, and nobody is told, until the proxy is let go.
    Stall,
    /// One bit is another.
    Corrupt,
    /// The rest of the piece comes twice.
    Duplicate,
    /// What is left of the piece comes back to front, in halves.
    Reorder,
    /// From here on a few bytes at a time.
    Slow,
}

/// A proxy before one partner.
pub struct Proxy {
    line: Arc<Line>,
    release: watch::Sender<Release>,
}

/// Whether what is stalled goes on to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    Holding,
    LetGo,
}

#[derive(Default)]
struct Line {
    fault: Mutex<Option<(Fault, u64)>>,
    passed: AtomicU64,
    happened: AtomicU64,
}

impl World {
    /// Puts a proxy between the hub and `partner`: it takes the daemon's port, and the daemon starts again on another.
    pub async fn proxy(&mut self, partner: &str) -> Proxy {
        let mut halted = self.halt(partner).await;
        let port = halted.peer.replace(SocketAddr::from(([127, 0, 0, 1], 0)));
        self.resume(halted).await;
        Proxy::start(port.unwrap_or_else(|| panic!("`{partner}` dials main")), self.peer(partner)).await
    }
}

impl Proxy {
    /// A proxy at `address` that passes on to `target`.
    pub async fn start(address: SocketAddr, target: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        let line = Arc::new(Line::default());
        let (release, held) = watch::channel(Release::Holding);
        let of_task = line.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, target, of_task.clone(), held.clone()));
            }
        });
        Self { line, release }
    }

    /// Lays a fault behind the next `after` bytes that hub sends.
    pub fn lay(&self, fault: Fault, after: u64) {
        self.line.passed.store(0, Ordering::SeqCst);
        *self.line.fault() = Some((fault, after));
    }

    /// Takes a fault away that has not happened.
    pub fn clear(&self) {
        self.line.passed.store(0, Ordering::SeqCst);
        *self.line.fault() = None;
    }

    /// How many bytes hub has sent since a fault was laid or taken away.
    pub fn passed(&self) -> u64 {
        self.line.passed.load(Ordering::SeqCst)
    }

    /// How many faults have happened.
    pub fn happened(&self) -> u64 {
        self.line.happened.load(Ordering::SeqCst)
    }

    /// Ends every connection that is stalled.
    pub fn let_go(&self) {
        self.release.send_replace(Release::LetGo);
    }
}

impl Line {
    fn fault(&self) -> std::sync::MutexGuard<'_, Option<(Fault, u64)>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the next `length` bytes, and takes the fault that lies among them with its place.
    fn next(&self, length: usize) -> Option<(Fault, usize)> {
        let before = self.passed.fetch_add(length as u64, Ordering::SeqCst);
        let mut laid = self.fault();
        let (fault, at) = (*laid)?;
        let place = usize::try_from(at.checked_sub(before)?).ok().filter(|place| *place < length)?;
        *laid = None;
        self.happened.fetch_add(1, Ordering::SeqCst);
        Some((fault, place))
    }
}

/// Passes one connection on, both ways, until either ends.
async fn carry(near: TcpStream, target: SocketAddr, line: Arc<Line>, held: watch::Receiver<Release>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let (near_reads, near_writes) = near.into_split();
    let (far_reads, far_writes) = far.into_split();
    // Whoever ends first ends both, and dropping the halves closes the sockets.
    tokio::select! {
        () = hub_to_partner(near_reads, far_writes, &line, held) => {}
        () = pass_on(far_reads, near_writes) => {}
    }
}

async fn pass_on(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    // A broken connection is what both ends are to notice.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

async fn hub_to_partner(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    line: &Line,
    mut held: watch::Receiver<Release>,
) {
    let mut buffer = vec![0; CHUNK];
    let mut piece = CHUNK;
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else { return };
        let mut bytes = buffer[..length].to_vec();
        if let Some((fault, place)) = line.next(length) {
            match fault {
                Fault::Cut => return drop(to.write_all(&bytes[..place]).await),
                Fault::Stall => {
                    let _ = to.write_all(&bytes[..place]).await;
                    let _ = held.wait_for(|release| *release == Release::LetGo).await;
                    return;
                }
                Fault::Corrupt => bytes[place] ^= 1,
                Fault::Duplicate => bytes.extend_from_within(place..),
                Fault::Reorder => {
                    let half = (length - place).div_ceil(2);
                    bytes[place..].rotate_left(half.min(length - place));
                }
                Fault::Slow => piece = SLOW_CHUNK,
            }
        }
        for part in bytes.chunks(piece) {
            if to.write_all(part).await.is_err() {
                return;
            }
            if piece == SLOW_CHUNK {
                tokio::task::yield_now().await;
            }
        }
    }
}
