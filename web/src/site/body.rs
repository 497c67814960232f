//! The body of an answer: bytes that are here, or pieces that are read from the disk while they are sent.

use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tieup_store::blobs::BlobReader;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::household::{Held, Share};
use super::pace::Sending;

/// How much is read at first, which is what an answer that nobody reads keeps in memory. A connection of HTTP/2 may have
/// many of those.
const FIRST_PIECE: usize = 8 << 10;

/// How much is read at a time at most. Each piece that was taken is followed by one twice as large.
const LARGEST_PIECE: usize = 128 << 10;

/// How much room all pieces have together, in units of [`UNIT`]: whoever takes nothing of what they asked for fills no more
/// memory than that.
static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new((64 << 20) / UNIT)));

/// What room is given in.
const UNIT: usize = 4 << 10;

/// The body of an answer.
#[derive(Debug, Default)]
pub struct SiteBody {
    left: Left,
    /// Says until it is dropped that something is being sent.
    sending: Option<Sending>,
    /// The room that it takes in its household until it is dropped, where it takes any. Most answers take none, and are
    /// the smaller for it: they are moved many times.
    room: Option<Box<Taken>>,
}

/// Room for a request and for the content of its answer.
#[derive(Debug, Default)]
struct Taken {
    request: Option<Held>,
    content: Option<Held>,
}

/// What is still to be sent.
#[derive(Debug)]
enum Left {
    Whole(Bytes),
    Pieces(Box<Pieces>),
}

/// A part of a blob that is read piece by piece.
#[derive(Debug)]
struct Pieces {
    reader: Arc<BlobReader>,
    left: Range<u64>,
    /// How much is read next.
    next: usize,
    /// Whose room each piece takes; none where it is nobody's.
    share: Option<Share>,
    reading: Option<JoinHandle<io::Result<Piece>>>,
}

/// A piece, and the room that it takes until it was sent.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
    _held: Option<Held>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes, and what they take until they were sent.
#[derive(Debug)]
struct Kept {
    bytes: Bytes,
    _room: Box<Taken>,
    /// By HTTP/2 they wait where nobody sees them otherwise.
    _sending: Option<Sending>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that give `room` back when they were sent, until when they are `sending`: whoever sends them lets go of the body
/// before. What takes no room is small and of HTTP/1.1, and the pace sees whether it is taken.
fn kept(bytes: Bytes, room: Option<Box<Taken>>, sending: &mut Option<Sending>) -> Bytes {
    match room {
        None => bytes,
        Some(room) => Bytes::from_owner(Kept { bytes, _room: room, _sending: sending.take() }),
    }
}

impl Drop for Pieces {
    /// Nobody takes what is being read, so it waits for no room either.
    fn drop(&mut self) {
        if let Some(reading) = &self.reading {
            reading.abort();
        }
    }
}

impl Pieces {
    /// The next piece; there must be one.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let task = self.reading.get_or_insert_with(|| {
            let most = usize::try_from(self.left.end - self.left.start).map_or(self.next, |left| left.min(self.next));
            tokio::spawn(read(self.reader.clone(), self.left.start, most, self.share.clone()))
        });
        let piece = ready!(Pin::new(task).poll(cx));
        self.reading = None;
        let piece = piece.map_err(io::Error::other)??;
        self.left.start += piece.bytes.len() as u64;
        self.next = (self.next * 2).min(LARGEST_PIECE);
        Poll::Ready(Ok(Bytes::from_owner(piece)))
    }
}

/// Reads a piece once there is room for it, first in the household and then in all.
async fn read(reader: Arc<BlobReader>, at: u64, most: usize, share: Option<Share>) -> io::Result<Piece> {
    let held = match share {
        Some(share) => share.wait(most).await,
        None => None,
    };
    let units = u32::try_from(most.div_ceil(UNIT)).map_err(io::Error::other)?;
    let room = ROOM.clone().acquire_many_owned(units).await.map_err(io::Error::other)?;
    let read = tokio::task::spawn_blocking(move || reader.read_at(at, most)).await.map_err(io::Error::other)?;
    Ok(Piece { bytes: read.map_err(io::Error::other)?, _room: room, _held: held })
}

impl SiteBody {
    /// Bytes of a blob, of which one piece at a time is in memory.
    pub(super) fn pieces(reader: Arc<BlobReader>, part: Range<u64>) -> Self {
        let pieces = Pieces { reader, left: part, next: FIRST_PIECE, share: None, reading: None };
        Self { left: Left::Pieces(Box::new(pieces)), ..Self::default() }
    }

    /// Keeps `sending` until all of it was taken, or nobody takes it any more.
    pub(super) fn tell(&mut self, sending: Sending) {
        self.sending = Some(sending);
    }

    /// Keeps the room of its content until all of it was sent, or nobody takes it any more.
    pub(super) fn hold(&mut self, content: Held) {
        self.room.get_or_insert_default().content = Some(content);
    }

    /// Does the same with the room of its request, where that takes any.
    pub(super) fn answer_to(&mut self, request: Option<Held>) {
        if request.is_some() {
            self.room.get_or_insert_default().request = request;
        }
    }

    /// Lets each piece that is read take room in `share`.
    pub(super) fn draw_on(&mut self, share: &Share) {
        if let Left::Pieces(pieces) = &mut self.left {
            pieces.share = Some(share.clone());
        }
    }

    /// What of it is in memory and was not asked for.
    pub(super) fn into_memory(self) -> Bytes {
        match self.left {
            Left::Whole(bytes) => bytes,
            Left::Pieces(_) => Bytes::new(),
        }
    }

    /// How many of its bytes are in memory before any was asked for.
    pub(super) fn in_memory(&self) -> u64 {
        match &self.left {
            Left::Whole(bytes) => bytes.len() as u64,
            Left::Pieces(_) => 0,
        }
    }

    /// How many bytes are still to be sent.
    pub fn length(&self) -> u64 {
        match &self.left {
            Left::Whole(bytes) => bytes.len() as u64,
            Left::Pieces(pieces) => pieces.left.end - pieces.left.start,
        }
    }
}

impl Default for Left {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl From<Bytes> for SiteBody {
    fn from(bytes: Bytes) -> Self {
        Self { left: Left::Whole(bytes), ..Self::default() }
    }
}

impl From<&'static str> for SiteBody {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for SiteBody {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl Body for SiteBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.length() == 0 {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        match &mut this.left {
            Left::Whole(bytes) => {
                Poll::Ready(Some(Ok(Frame::data(kept(std::mem::take(bytes), this.room.take(), &mut this.sending)))))
            }
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
