//! The heads of answers as they are sent, and the dates in them.

use std::sync::{PoisonError, RwLock};

use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use tieup_protocol::access::Method;
use tieup_protocol::path::SitePath;

use crate::site::answer::{self, Asked};
use crate::site::body::SiteBody;
use crate::site::content::Representation;
use crate::site::live::{Policy, ServedFile};

/// A file, where it stands, and the policy that it is under.
#[derive(Clone, Copy)]
pub(super) struct FileAt<'a> {
    pub(super) path: &'a SitePath,
    pub(super) file: &'a ServedFile,
    pub(super) policy: &'a Policy,
}

/// The heads of the answers with one content, ready to be sent but for what differs from connection to connection.
///
/// They are those of the file that was asked for last: hardly ever do several have the same content and other headers.
#[derive(Debug, Default)]
pub(in crate::site) struct Heads(RwLock<Option<Kept>>);

/// The heads that were made for a file.
#[derive(Debug)]
struct Kept {
    of: Described,
    whole: Option<Box<[u8]>>,
    not_modified: Option<Box<[u8]>>,
}

/// What heads depend on besides the content.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    media_type: HeaderValue,
    policy: HeaderValue,
    is_named_by_content: bool,
}

impl Heads {
    /// Writes the head with which `content` is sent as this file, or said to be known already, to `to`.
    pub(super) fn write(of: &FileAt<'_>, content: &Representation, status: StatusCode, to: &mut Vec<u8>) {
        let Self(kept) = &content.heads;
        if let Some(head) = Kept::head(kept.read().unwrap_or_else(PoisonError::into_inner).as_ref(), of, status) {
            return to.extend_from_slice(head);
        }
        let head = head_of(&answered(of, content, status)).into_boxed_slice();
        to.extend_from_slice(&head);
        let mut kept = kept.write().unwrap_or_else(PoisonError::into_inner);
        let kept = match &mut *kept {
            Some(kept) if kept.of.is_of(of) => kept,
            other => other.insert(Kept { of: Described::of(of), whole: None, not_modified: None }),
        };
        *kept.place(status) = Some(head);
    }
}

impl Kept {
    /// The head that is kept for this file.
    fn head<'a>(kept: Option<&'a Self>, of: &FileAt<'_>, status: StatusCode) -> Option<&'a [u8]> {
        let kept = kept.filter(|kept| kept.of.is_of(of))?;
        if status == StatusCode::NOT_MODIFIED { kept.not_modified.as_deref() } else { kept.whole.as_deref() }
    }

    fn place(&mut self, status: StatusCode) -> &mut Option<Box<[u8]>> {
        if status == StatusCode::NOT_MODIFIED { &mut self.not_modified } else { &mut self.whole }
    }
}

/// The answer to somebody who has the content or not.
fn answered(of: &FileAt<'_>, content: &Representation, status: StatusCode) -> Response<SiteBody> {
    let FileAt { path, file, policy } = *of;
    let anything = (status == StatusCode::NOT_MODIFIED).then(|| HeaderValue::from_static("*"));
    let headers: HeaderMap = anything.map(|anything| (header::IF_NONE_MATCH, anything)).into_iter().collect();
    answer::content(&Asked { method: Method::Get, headers: &headers, query: None, path, file, policy }, content)
        .response
}

impl Described {
    fn of(of: &FileAt<'_>) -> Self {
        let (media_type, policy) = (of.file.media_type.value.clone(), of.policy.of(of.file.class).clone());
        Self { media_type, policy, is_named_by_content: of.file.is_named_by_content(of.path) }
    }

    fn is_of(&self, of: &FileAt<'_>) -> bool {
        self.media_type == of.file.media_type.value
            && self.policy == *of.policy.of(of.file.class)
            && self.is_named_by_content == of.file.is_named_by_content(of.path)
    }
}

/// The head of `response`, but for its date, what else differs from connection to connection, and the empty line.
pub(super) fn head_of(response: &Response<SiteBody>) -> Vec<u8> {
    let status = response.status();
    let mut head =
        format!("HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or_default()).into_bytes();
    for (name, value) in response.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    // What is not modified is not sent, so its length says nothing (RFC 9110, section 15.4.5).
    if status != StatusCode::NOT_MODIFIED {
        head.extend_from_slice(format!("content-length: {}\r\n", response.body().length()).as_bytes());
    }
    head
}

/// The second in which an answer is made, and the line that says it and ends a head.
#[derive(Debug, Default)]
pub(super) struct Dates {
    second: i64,
    line: String,
}

impl Dates {
    /// From here on it is `now`.
    pub(super) fn set(&mut self, now: Timestamp) {
        if self.line.is_empty() || self.second != now.as_second() {
            self.second = now.as_second();
            // Years of more than four digits have no date.
            let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
            self.line = format!("date: {date}\r\n\r\n");
        }
    }

    /// The line, with the empty one after it.
    pub(super) fn line(&self) -> &[u8] {
        self.line.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tieup_protocol::contract::MeterClass;
    use tieup_protocol::manifest::EntryKind;
    use tieup_store::blobs::BlobStore;
    use tieup_store::cache::Cache;

    use super::*;
    use crate::site::coding::Coding;
    use crate::site::content::Contents;

    #[tokio::test]
    async fn the_heads_under_the_policy_of_now_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(BlobStore::open(folder.path().join("blobs")).unwrap());
        let blob = blobs.put(b"<p>page</p>").unwrap();
        let content = Contents::new(Cache::at(folder.path().join("coded")));
        let content = content.get(&blobs, blob, Coding::Identity).await.unwrap();
        let (media_type, kind, class) = ("text/html".into(), EntryKind::Page, MeterClass::Tieup);
        let (file, path) = (ServedFile { blob, media_type, kind, class }, "/".parse().unwrap());
        let policies = [Policy::default(), Policy::with_beacons(&"https://main.example".parse().unwrap())];
        for policy in [&policies[0], &policies[0], &policies[1], &policies[1], &policies[0]] {
            for status in [StatusCode::OK, StatusCode::NOT_MODIFIED] {
                let of = FileAt { path: &path, file: &file, policy };
                let expected = head_of(&answered(&of, &content, status));
                let mut head = Vec::new();
                Heads::write(&of, &content, status, &mut head);
                assert_eq!(String::from_utf8(head).unwrap(), String::from_utf8(expected.clone()).unwrap());
                let kept = content.heads.0.read().unwrap();
                assert_eq!(Kept::head(kept.as_ref(), &of, status), Some(&*expected), "it is made again and again");
            }
        }
    }

    #[test]
    fn the_date_is_that_of_the_second() {
        let mut dates = Dates::default();
        for (now, date) in [
            ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("1994-11-06T08:49:37.999Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("1994-11-06T08:49:38Z", "Sun, 06 Nov 1994 08:49:38 GMT"),
            ("1994-11-06T08:49:38.5Z", "Sun, 06 Nov 1994 08:49:38 GMT"),
            ("1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ] {
            dates.set(now.parse().unwrap());
            assert_eq!(dates.line(), format!("date: {date}\r\n\r\n").as_bytes(), "{now}");
        }
    }
}
