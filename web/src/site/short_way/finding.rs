//! What is answered to a plain request: found in the index and in memory, and recorded as a visit.

use std::sync::{Arc, PoisonError};

use axum::http::StatusCode;
use hyper::body::Bytes;
use jiff::Timestamp;
use tieup_protocol::access::{Method, Purpose};
use tieup_protocol::contract::MeterClass;
use tieup_protocol::manifest::{BlobRef, EntryKind};
use tieup_protocol::path::SitePath;

use super::heads::{FileAt, Heads, head_of};
use super::request::{Accepting, PlainRequest};
use crate::site::answer::{self, Answer};
use crate::site::coding::Coding;
use crate::site::content::Representation;
use crate::site::guest::Guest;
use crate::site::household::{self, Held};
use crate::site::{PublicSite, Recorded, Visit, beacon, condition};
use crate::visitors::Visitor;

/// Content in the coding that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    blob: BlobRef,
    coding: Coding,
}

/// What was wanted and is there now, unless it is damaged.
pub(super) struct Fetched {
    wanted: Wanted,
    content: Option<Arc<Representation>>,
}

/// What is answered, but for the head.
pub(super) struct PlainAnswer {
    pub(super) status: StatusCode,
    class: Option<MeterClass>,
    purpose: Purpose,
    pub(super) body: Body,
}

/// The content of a plain answer.
pub(super) enum Body {
    Nothing,
    Content(Arc<Representation>),
    Words(Bytes),
}

impl Body {
    /// The bytes of it.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Content(content) => content.in_memory().expect("what is sent in pieces is left to the library"),
            Self::Words(words) => words,
        }
    }
}

impl PlainAnswer {
    /// An answer that says by itself what it is; its head is written to `head`.
    pub(super) fn of(Answer { response, class, purpose }: Answer, head: &mut Vec<u8>) -> Self {
        head.extend_from_slice(&head_of(&response));
        Self { status: response.status(), class, purpose, body: Body::Words(response.into_body().into_memory()) }
    }
}

/// What came of looking up an answer.
pub(super) enum Found {
    Answer(SitePath, PlainAnswer),
    /// Its content was not asked for lately in this coding.
    Awaits(Wanted),
}

/// An answer that was looked up and recorded, and may be sent once its visit is written.
pub(super) struct Unsent<'a> {
    pub(super) visit: Recorded<'a>,
    pub(super) method: Method,
    pub(super) answer: PlainAnswer,
    /// The room that it takes until it was sent.
    pub(super) room: Option<Held>,
}

impl PublicSite {
    /// Reads content of the first part into memory.
    pub(super) async fn fetch(&self, wanted: Wanted) -> Fetched {
        let content = self.contents.get(&self.first.blobs, wanted.blob, wanted.coding).await;
        Fetched { wanted, content }
    }

    /// Finds what is answered to a plain request, and writes the head of it to `head`. None where at its path is no file of the
    /// first part, or one that is sent in pieces.
    pub(super) fn find_plain(
        &self,
        request: &PlainRequest<'_>,
        accepting: &mut Accepting,
        fetched: Option<&Fetched>,
        head: &mut Vec<u8>,
    ) -> Option<Found> {
        let live = self.first.live.read().unwrap_or_else(PoisonError::into_inner);
        let (path, file) = live.files.get_key_value(request.path)?;
        if file.kind == EntryKind::Redirect || self.beacons.is_some() && beacon::is_at(path) {
            return None;
        }
        let wanted = Wanted { blob: file.blob, coding: file.coding(|| accepting.coding(request.accept_encoding)) };
        let content = match fetched.filter(|fetched| fetched.wanted == wanted) {
            Some(Fetched { content: Some(content), .. }) => content.clone(),
            Some(Fetched { content: None, .. }) => {
                return Some(Found::Answer(path.clone(), PlainAnswer::of(answer::damaged(), head)));
            }
            None => match self.contents.kept(&wanted.blob, wanted.coding) {
                Some(content) => content,
                None => return Some(Found::Awaits(wanted)),
            },
        };
        let is_known = request.known.is_some_and(|tags| condition::is_known(std::iter::once(tags), &content.tag));
        let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let is_sent = !is_known && request.method != Method::Head;
        if is_sent && content.in_memory().is_none() {
            return None;
        }
        Heads::write(&FileAt { path, file, policy: &live.policy }, &content, status, head);
        let body = if is_sent { Body::Content(content) } else { Body::Nothing };
        let (class, purpose) = (Some(file.class), answer::purpose_of(file));
        Some(Found::Answer(path.clone(), PlainAnswer { status, class, purpose, body }))
    }

    /// Takes the room that an answer needs, and writes the visit to the log. None where there is no room; then nothing was done.
    pub(super) fn record_plain(
        &self,
        guest: &Guest,
        request: &PlainRequest<'_>,
        path: &SitePath,
        time: Timestamp,
        answer: PlainAnswer,
    ) -> Option<Unsent<'_>> {
        let (method, bytes) = (request.method, answer.body.bytes().len() as u64);
        let room = match household::needed(bytes) {
            Some(needed) => Some(guest.share.take(needed)?),
            None => None,
        };
        let PlainAnswer { status, class, purpose, .. } = answer;
        let visit = Visit { time, visitor: Visitor::NOBODY, path, class, method, status, bytes, purpose };
        let visit = self.first.record(guest, request.introduction, visit);
        Some(Unsent { visit, method, answer, room })
    }
}
