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

/// How much is read at first, which is what an answer that nobody reads keeps in memory. A connection of HTTP/2 may have
/// many of those.
const FIRST_PIECE: usize = 8 << 10;

/// How much is read at a time at most. Each piece that was taken is followed by one twice as large.
const LARGEST_PIECE: usize = 128 << 10;

/// The body of an answer.
#[derive(Debug)]
pub struct SiteBody(Left);

/// What is still to be sent.
#[derive(Debug)]
enum Left {
    Whole(Bytes),
    Pieces(Pieces),
}

/// A part of a blob that is read piece by piece.
#[derive(Debug)]
struct Pieces {
    reader: Arc<BlobReader>,
    left: Range<u64>,
    /// How much is read next.
    next: usize,
    reading: Option<JoinHandle<Result<Vec<u8>, DiskError>>>,
}

impl Pieces {
    /// The next piece; there must be one.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let task = self.reading.get_or_insert_with(|| {
            let (reader, at) = (self.reader.clone(), self.left.start);
            let most = usize::try_from(self.left.end - at).map_or(self.next, |left| left.min(self.next));
            tokio::task::spawn_blocking(move || reader.read_at(at, most))
        });
        let piece = ready!(Pin::new(task).poll(cx));
        self.reading = None;
        let piece = piece.map_err(io::Error::other)?.map_err(io::Error::other)?;
        self.left.start += piece.len() as u64;
        self.next = (self.next * 2).min(LARGEST_PIECE);
        Poll::Ready(Ok(piece.into()))
    }
}

impl SiteBody {
    /// Bytes of a blob, of which one piece at a time is in memory.
    pub(super) fn pieces(reader: Arc<BlobReader>, part: Range<u64>) -> Self {
        Self(Left::Pieces(Pieces { reader, left: part, next: FIRST_PIECE, reading: None }))
    }

    /// How many bytes are still to be sent.
    pub fn length(&self) -> u64 {
        match &self.0 {
            Left::Whole(bytes) => bytes.len() as u64,
            Left::Pieces(Pieces { left, .. }) => left.end - left.start,
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
            Left::Pieces(pieces) => {
                let piece = ready!(pieces.poll(cx))?;
                Poll::Ready(Some(Ok(Frame::data(piece))))
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
