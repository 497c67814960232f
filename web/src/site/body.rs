//! The body of an answer: bytes that are here, or pieces that are read from the disk while they are sent.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tieup_store::blobs::BlobReader;
use tieup_store::durable::DiskError;
use tokio::task::JoinHandle;

/// How much is read at a time.
const PIECE: usize = 128 << 10;

/// The body of an answer.
#[derive(Debug)]
pub struct SiteBody(Left);

/// What is still to be sent.
#[derive(Debug)]
enum Left {
    Whole(Bytes),
    Pieces { reader: Arc<BlobReader>, left: Range<u64>, reading: Option<JoinHandle<Result<Vec<u8>, DiskError>>> },
}

impl SiteBody {
    /// Bytes of a blob, of which one piece at a time is in memory.
    pub(super) fn pieces(reader: Arc<BlobReader>, part: Range<u64>) -> Self {
        Self(Left::Pieces { reader, left: part, reading: None })
    }

    /// How many bytes are still to be sent.
    pub fn length(&self) -> u64 {
        match &self.0 {
            Left::Whole(bytes) => bytes.len() as u64,
            Left::Pieces { left, .. } => left.end - left.start,
        }
    }
}

impl From<Bytes> for SiteBody {
    fn from(bytes: Bytes) -> Self {
        Self(Left::Whole(bytes))
    }
}

impl From<&'static str> for SiteBody {
    fn from(text: &'static str) -> Self {
        Self(Left::Whole(Bytes::from_static(text.as_bytes())))
    }
}

impl From<String> for SiteBody {
    fn from(text: String) -> Self {
        Self(Left::Whole(text.into()))
    }
}

impl Default for SiteBody {
    fn default() -> Self {
        Self(Left::Whole(Bytes::new()))
    }
}

impl Body for SiteBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.length() == 0 {
            return Poll::Ready(None);
        }
        match &mut self.0 {
            Left::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Left::Pieces { reader, left, reading } => {
                let task = reading.get_or_insert_with(|| {
                    let (reader, at) = (reader.clone(), left.start);
                    let most = usize::try_from(left.end - at).map_or(PIECE, |left| left.min(PIECE));
                    tokio::task::spawn_blocking(move || reader.read_at(at, most))
                });
                let piece = ready!(Pin::new(task).poll(cx));
                *reading = None;
                let piece = piece.map_err(io::Error::other)?.map_err(io::Error::other)?;
                left.start += piece.len() as u64;
                Poll::Ready(Some(Ok(Frame::data(piece.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length())
    }
}
