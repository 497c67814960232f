//! Answers of one HTTP/2 connection that are ready together are written together.
//!
//! The protocol's library asks for each frame to be sent before it takes the next, and a small write costs about as much as
//! all else that an answer needs. So what a connection writes in one turn is gathered, and written at the turn's end.

use std::future::Future;
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

/// A connection, and at the end of each of its turns the writing of what it gathered.
///
/// Before each turn it gives way once, to those who are about to give it more answers. It ends with the connection, or when
/// the other end takes nothing more.
pub(super) struct Turns<C, S> {
    pub(super) connection: Pin<Box<C>>,
    gathered: Gathered<S>,
    has_given_way: bool,
}

impl<C, S> Turns<C, S> {
    /// The turns of `connection`, which writes to `gathered`.
    pub(super) fn of(connection: C, gathered: Gathered<S>) -> Self {
        Self { connection: Box::pin(connection), gathered, has_given_way: false }
    }
}

impl<C, S, E> Future for Turns<C, S>
where
    C: Future<Output = Result<(), E>>,
    S: AsyncWrite + Unpin,
{
    type Output = Result<(), E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.has_given_way = !self.has_given_way;
        if self.has_given_way {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Poll::Ready(ended) = self.connection.as_mut().poll(cx) {
            return Poll::Ready(ended);
        }
        match Pin::new(&mut *self.gathered.stream()).poll_flush(cx) {
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "a visitor takes no more answers");
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_is_written_in_a_turn_goes_out_at_its_end() {
        let (here, mut there) = duplex(1 << 20);
        let gathered = Gathered::new(here);
        let mut writer = gathered.clone();
        let connection = async move {
            for _ in 0..3 {
                writer.write_all(b"answer").await?;
                writer.flush().await?;
            }
            std::future::pending::<io::Result<()>>().await
        };
        let mut turns = std::pin::pin!(Turns::of(connection, gathered));
        let mut came = [0; 64];
        tokio::select! {
            biased;
            _ = turns.as_mut() => panic!("the connection goes on"),
            read = there.read(&mut came) => assert_eq!(&came[..read.unwrap()], b"answeransweranswer"),
        }
        drop(there);
    }

    #[tokio::test]
    async fn no_more_is_kept_back_than_a_turn_may_gather() {
        let (here, mut there) = duplex(1 << 20);
        let mut writer = Gathered::new(here);
        writer.write_all(&[7; GATHERED - 1]).await.unwrap();
        writer.write_all(&[8; 2]).await.unwrap();
        let mut came = vec![0; GATHERED];
        assert_eq!(there.read(&mut came).await.unwrap(), GATHERED - 1);
        writer.shutdown().await.unwrap();
        assert_eq!(there.read(&mut came).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn it_ends_when_the_other_end_takes_nothing_more() {
        let (here, there) = duplex(16);
        let gathered = Gathered::new(here);
        let mut writer = gathered.clone();
        let connection = async move {
            writer.write_all(b"answer").await?;
            std::future::pending::<io::Result<()>>().await
        };
        drop(there);
        Turns::of(connection, gathered).await.unwrap();
    }
}
