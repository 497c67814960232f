//! Answers of one HTTP/2 connection that are ready together are written together.
//!
//! The protocol's library asks for each frame to be sent before it takes the next. What a connection writes in one turn is
//! gathered here, and written at the turn's end.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufWriter, ReadBuf};

/// How many bytes are gathered at most.
const GATHERED: usize = 32 << 10;

/// A stream whose writes are kept back until the end of the turn, or until they are many. Clones are the same stream.
#[derive(Debug)]
pub(super) struct Gathered<S>(Arc<Mutex<BufWriter<S>>>);

impl<S> Clone for Gathered<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: AsyncWrite> Gathered<S> {
    /// Gathers what is written to `stream`.
    pub(super) fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(BufWriter::with_capacity(GATHERED, stream))))
    }

    /// Writes what was gathered.
    pub(super) fn poll_write_out(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        S: Unpin,
    {
        Pin::new(&mut *self.stream()).poll_flush(cx)
    }

    fn stream(&self) -> MutexGuard<'_, BufWriter<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream()).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream().is_write_vectored()
    }

    /// Nothing is written yet: that is done at the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn no_more_is_kept_back_than_a_turn_may_gather() {
        let (here, mut there) = duplex(1 << 20);
        let mut writer = Gathered::new(here);
        writer.write_all(&vec![7; GATHERED - 1]).await.unwrap();
        writer.write_all(&[8; 2]).await.unwrap();
        let mut came = vec![0; GATHERED];
        assert_eq!(there.read(&mut came).await.unwrap(), GATHERED - 1);
        writer.shutdown().await.unwrap();
        assert_eq!(there.read(&mut came).await.unwrap(), 2);
    }
}
