//! Bodies that are made while they are sent, compressed, on a thread of their own.

use std::io::{self, Write};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The zstd level of what is sent: its default, as fast as a local disk.
pub(crate) const COMPRESSION: i32 = 3;

/// How many pieces may wait to be sent.
const WAITING: usize = 16;

/// What compresses a body on its way.
pub(crate) type Encoder = zstd::Encoder<'static, Pieces>;

/// A body and the thread that makes it, which gives the number of its bytes.
pub(crate) type Made = (Body, JoinHandle<io::Result<u64>>);

/// A body of what `make` writes.
pub(crate) fn made_by(make: impl FnOnce(&mut Encoder) -> io::Result<()> + Send + 'static) -> Made {
    let (sender, mut pieces) = mpsc::channel(WAITING);
    let making = tokio::task::spawn_blocking(move || {
        let sent = compressed(Pieces { sender: sender.clone(), sent: 0 }, make);
        if let Err(error) = &sent {
            // The body breaks off, so that nobody takes it for a whole one.
            let _ = sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string())));
        }
        sent
    });
    (Body::from_stream(stream::poll_fn(move |context| pieces.poll_recv(context))), making)
}

fn compressed(pieces: Pieces, make: impl FnOnce(&mut Encoder) -> io::Result<()>) -> io::Result<u64> {
    let mut encoder = Encoder::new(pieces, COMPRESSION)?;
    make(&mut encoder)?;
    Ok(encoder.finish()?.sent)
}

/// Hands on what is written, piece by piece.
pub(crate) struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    sent: u64,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.sent += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
