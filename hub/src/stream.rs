//! Bodies that are made while they are sent, compressed, on a thread of their own.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The zstd level of what is sent: its default, as fast as a local disk.
pub(crate) const COMPRESSION: i32 = 3;

/// How long a piece may wait to be taken.
const SILENCE: Duration = Duration::from_mins(2);

/// How many pieces may wait to be sent.
const WAITING: usize = 16;

/// What compresses a body on its way.
pub(crate) type Encoder = zstd::Encoder<'static, Pieces>;

/// A body that is made.
pub(crate) struct Made {
    /// The body.
    pub body: Body,
    /// How many bytes of it were handed over.
    pub sent: Arc<AtomicU64>,
    /// The thread that makes it.
    pub making: JoinHandle<io::Result<()>>,
}

/// A body of what `make` writes.
pub(crate) fn made_by(make: impl FnOnce(&mut Encoder) -> io::Result<()> + Send + 'static) -> Made {
    let (sender, mut pieces) = mpsc::channel(WAITING);
    let sent = Arc::new(AtomicU64::new(0));
    let pieces_out = Pieces { sender, sent: sent.clone(), runtime: Handle::current() };
    let making = tokio::task::spawn_blocking(move || {
        let sender = pieces_out.sender.clone();
        let ended = compressed(pieces_out, make);
        if let Err(error) = &ended {
            // The body breaks off, so that nobody takes it for a whole one; without its last bytes it is none anyway.
            let _ = sender.try_send(Err(io::Error::new(error.kind(), error.to_string())));
        }
        ended
    });
    let body = Body::from_stream(stream::poll_fn(move |context| pieces.poll_recv(context)));
    Made { body, sent, making }
}

fn compressed(pieces: Pieces, make: impl FnOnce(&mut Encoder) -> io::Result<()>) -> io::Result<()> {
    let mut encoder = Encoder::new(pieces, COMPRESSION)?;
    make(&mut encoder)?;
    encoder.finish().map(drop)
}

/// Hands on what is written, piece by piece.
pub(crate) struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    sent: Arc<AtomicU64>,
    runtime: Handle,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = self.sender.send(Ok(Bytes::copy_from_slice(bytes)));
        // Whoever takes nothing for so long is gone, also where the connection does not say so.
        match self.runtime.block_on(async { timeout(SILENCE, piece).await }) {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
        self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
