//! A visitor's connection as the operating system has it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// The most pieces of one message: what the system takes.
const PIECES: usize = 1024;

/// A TCP connection on which writing is `sendmsg`, which goes past the system's layer of files that `writev` goes through.
///
/// Writing takes nothing of the budget after which tokio lets other tasks have a turn: reading does, and whoever answers gives way
/// before each write, so that visits are logged together ([`crate::access_log::Ticket`]).
#[derive(Debug)]
pub(super) struct Socket(TcpStream);

impl Socket {
    fn poll_send(&self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Self(stream) = self;
        let pieces = &pieces[..pieces.len().min(PIECES)];
        let attempt = || Ok(sendmsg(stream, pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?);
        loop {
            match stream.try_io(Interest::WRITABLE, attempt) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_write_ready(cx))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return Poll::Ready(sent),
            }
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(stream)
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A connection, and its other end.
    async fn connected() -> (Socket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap());
        let (come, there) = tokio::join!(listener.accept(), there);
        (Socket::from(come.unwrap().0), there.unwrap())
    }

    #[tokio::test]
    async fn what_is_more_than_the_system_takes_at_once_is_sent_whole_and_in_order() {
        let (mut here, mut there) = connected().await;
        let pieces: Vec<Vec<u8>> = (0..8).map(|number| vec![number; 1 << 20]).collect();
        let expected = pieces.concat();
        let sending = async move {
            for pair in pieces.chunks(2) {
                let mut left = 0;
                while left < pair[0].len() + pair[1].len() {
                    let [first, second] = [&pair[0][left.min(1 << 20)..], &pair[1][left.saturating_sub(1 << 20)..]];
                    let written = here.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]).await.unwrap();
                    assert!(written > 0, "at {left}");
                    left += written;
                }
            }
            here.shutdown().await.unwrap();
        };
        let mut sending = std::pin::pin!(sending);
        // Nothing is taken until there is no more room.
        assert!(sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let mut came = Vec::new();
        let whole = async { tokio::join!(sending, there.read_to_end(&mut came)) };
        tokio::time::timeout(std::time::Duration::from_mins(1), whole).await.expect("it goes on").1.unwrap();
        assert!(came == expected);
    }

    #[tokio::test]
    async fn whoever_has_gone_is_an_error() {
        let (mut here, there) = connected().await;
        drop(there);
        let mut written = Ok(());
        while written.is_ok() {
            written = here.write_all(&[0; 1024]).await;
        }
        let kind = written.unwrap_err().kind();
        assert!(matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{kind}");
    }
}
