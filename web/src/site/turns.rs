//! One HTTP/2 connection with all of its answers, as one task that takes turns.
//!
//! A turn reads what was asked, works on the answers, and writes all that are ready at once. Were each answer a task of
//! its own, each would be written by itself, and a small write costs about as much as all else that an answer needs; and
//! a few connections with many requests would fill the queue of those who wait for their turn.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::rt::Executor;
use tokio::io::AsyncWrite;

use super::gather::Gathered;

/// An answer that is being made and sent.
type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Answers that were begun in a turn. Clones are the same list.
#[derive(Clone, Default)]
pub(super) struct BegunAnswers(Arc<Mutex<Vec<Answering>>>);

impl BegunAnswers {
    fn take(&self) -> Vec<Answering> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for BegunAnswers {
    fn execute(&self, answering: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(answering));
    }
}

/// A connection, the answers under way on it, and at the end of each turn the writing of what it gathered.
///
/// It ends with the connection, or when the other end takes nothing more; what was being answered then is dropped.
pub(super) struct Turns<C, S> {
    pub(super) connection: Pin<Box<C>>,
    begun: BegunAnswers,
    answering: FuturesUnordered<Answering>,
    gathered: Gathered<S>,
}

impl<C, S> Turns<C, S> {
    /// The turns of `connection`, which hands its answers to `begun` and writes to `gathered`.
    pub(super) fn of(connection: C, begun: BegunAnswers, gathered: Gathered<S>) -> Self {
        Self { connection: Box::pin(connection), begun, answering: FuturesUnordered::new(), gathered }
    }

    /// Works on the answers. Whether one of them ended, so that the connection has something to send.
    fn answer(&mut self, cx: &mut Context<'_>) -> bool {
        self.answering.extend(self.begun.take());
        let mut has_ended = false;
        while let Poll::Ready(Some(())) = self.answering.poll_next_unpin(cx) {
            has_ended = true;
        }
        has_ended
    }
}

impl<C, S, E> Future for Turns<C, S>
where
    C: Future<Output = Result<(), E>>,
    S: AsyncWrite + Unpin,
{
    type Output = Result<(), E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if let Poll::Ready(ended) = self.connection.as_mut().poll(cx) {
                // Its last word, as far as it can be written now.
                let _ = self.gathered.poll_write_out(cx);
                return Poll::Ready(ended);
            }
            if !self.answer(cx) {
                break;
            }
        }
        match self.gathered.poll_write_out(cx) {
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
    use std::io;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_is_answered_in_a_turn_goes_out_at_its_end() {
        let (here, mut there) = duplex(1 << 20);
        let (begun, gathered) = (BegunAnswers::default(), Gathered::new(here));
        let (executor, writer) = (begun.clone(), gathered.clone());
        let connection = async move {
            for _ in 0..3 {
                let mut writer = writer.clone();
                executor.execute(async move {
                    tokio::task::yield_now().await;
                    writer.write_all(b"answer").await.unwrap();
                    writer.flush().await.unwrap();
                });
            }
            std::future::pending::<io::Result<()>>().await
        };
        let mut turns = std::pin::pin!(Turns::of(connection, begun, gathered));
        let mut came = [0; 64];
        tokio::select! {
            biased;
            _ = turns.as_mut() => panic!("the connection goes on"),
            read = there.read(&mut came) => assert_eq!(&came[..read.unwrap()], b"answeransweranswer"),
        }
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
        Turns::of(connection, BegunAnswers::default(), gathered).await.unwrap();
    }
}
