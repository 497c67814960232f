//! A limit on how long nothing may move during an exchange, however long the whole takes.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

/// Nothing moved for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing came for {} s", .0.as_secs())]
pub(crate) struct Silence(Duration);

/// When something moved last. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    limit: Duration,
    last: Arc<Mutex<Instant>>,
}

impl Patience {
    /// The patience of an exchange that begins now.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, last: Arc::new(Mutex::new(Instant::now())) }
    }

    /// Something moved.
    pub(crate) fn moved(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Waits for `awaited` as long as something moves.
    pub(crate) async fn wait<F: Future>(&self, awaited: F) -> Result<F::Output, Silence> {
        let mut awaited = pin!(awaited);
        loop {
            let deadline = self.deadline();
            match tokio::time::timeout_at(deadline, awaited.as_mut()).await {
                Ok(output) => return Ok(output),
                Err(_) if self.deadline() > deadline => {}
                Err(_) => return Err(Silence(self.limit)),
            }
        }
    }

    fn deadline(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) + self.limit
    }
}

/// The body, of which each part that is sent counts as a move.
pub(crate) fn watched(body: Body, patience: &Patience) -> Body {
    Body::new(Watched { body, patience: patience.clone() })
}

struct Watched {
    body: Body,
    patience: Patience,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_ready() {
            self.patience.moved();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn patience_ends_when_nothing_moves_and_each_move_prolongs_it() {
        let impatient = Patience::new(Duration::ZERO);
        assert_eq!(impatient.wait(std::future::pending::<()>()).await, Err(Silence(Duration::ZERO)));
        assert_eq!(impatient.wait(std::future::ready(5)).await, Ok(5));
        let patience = Patience::new(Duration::from_hours(1));
        let before = patience.deadline();
        let mut sent = watched(Body::from("a part"), &patience);
        assert_eq!(hyper::body::Body::size_hint(&sent).exact(), Some(6), "the length is told, as of the body itself");
        assert!(sent.frame().await.is_some());
        assert!(patience.deadline() > before);
    }
}
