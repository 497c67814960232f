//! The heads of answers as they are sent, and the dates in them.

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
pub(super) struct Place<'a> {
    pub(super) path: &'a SitePath,
    pub(super) file: &'a ServedFile,
    pub(super) policy: &'a Policy,
}

/// The heads of the answers with one content, ready to be sent but for what differs from connection to connection.
#[derive(Debug)]
pub(in crate::site) struct Heads {
    of: Described,
    whole: Vec<u8>,
    not_modified: Vec<u8>,
}

/// What heads depend on besides the content.
#[derive(Debug, PartialEq, Eq)]
struct Described {
    media_type: HeaderValue,
    policy: HeaderValue,
    is_named_by_content: bool,
}

impl Heads {
    /// Writes the head with which `content` is sent at `place`, or said to be known already, to `to`.
    pub(super) fn write(place: &Place<'_>, content: &Representation, status: StatusCode, to: &mut Vec<u8>) {
        let heads = content.heads.get_or_init(|| Self::of(place, content));
        if heads.of.is_of(place) {
            to.extend_from_slice(heads.with(status));
        } else {
            to.extend_from_slice(Self::of(place, content).with(status));
        }
    }

    fn of(place: &Place<'_>, content: &Representation) -> Self {
        let Place { path, file, policy } = *place;
        let head = |headers: &HeaderMap| {
            let asked = Asked { method: Method::Get, headers, query: None, path, file, policy };
            head_of(&answer::content(&asked, content).response)
        };
        let known = std::iter::once((header::IF_NONE_MATCH, HeaderValue::from_static("*"))).collect();
        Self { of: Described::of(place), whole: head(&HeaderMap::new()), not_modified: head(&known) }
    }

    fn with(&self, status: StatusCode) -> &[u8] {
        if status == StatusCode::NOT_MODIFIED { &self.not_modified } else { &self.whole }
    }
}

impl Described {
    fn of(place: &Place<'_>) -> Self {
        let (media_type, policy) = (place.file.media_type.value.clone(), place.policy.of(place.file.class).clone());
        Self { media_type, policy, is_named_by_content: place.file.is_named_by_content(place.path) }
    }

    fn is_of(&self, place: &Place<'_>) -> bool {
        self.media_type == place.file.media_type.value
            && self.policy == *place.policy.of(place.file.class)
            && self.is_named_by_content == place.file.is_named_by_content(place.path)
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
    use super::*;

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
