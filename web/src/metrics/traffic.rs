//! What the public server counts of its visitors.
//!
//! Every count is one relaxed atomic addition: what is read at one moment may be a few requests apart from what is read
//! beside it, and nothing is decided by it. No address, path or header is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use tieup_protocol::access::Method;

/// The classes of status, from 1xx to 5xx.
const CLASSES: usize = 5;

/// The methods that are told apart.
pub const METHODS: [Method; 3] = [Method::Get, Method::Head, Method::Other];

/// Why somebody who connected was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many connections as one address may have were open, or as much was left lying of what it asked for.
    Crowded,
    /// The TLS handshake failed.
    Handshake,
    /// The handshake, the headers or the reading of an answer took too long.
    Slow,
    /// What was sent is no HTTP, or larger than it may be.
    Malformed,
}

impl Refused {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Crowded, Self::Handshake, Self::Slow, Self::Malformed];

    /// The reason as a label.
    pub fn word(self) -> &'static str {
        match self {
            Self::Crowded => "crowded",
            Self::Handshake => "handshake",
            Self::Slow => "slow",
            Self::Malformed => "malformed",
        }
    }
}

/// What the public server has done since it started.
#[derive(Debug, Default)]
pub struct Traffic {
    answered: [[AtomicU64; CLASSES]; METHODS.len()],
    bytes: AtomicU64,
    open: AtomicU64,
    opened: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
}

/// A connection that is counted as open until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<Traffic>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    /// Counts an answer to `method` with a body of `bytes`.
    pub fn answered(&self, method: Method, status: StatusCode, bytes: u64) {
        self.cell(method, status).fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a connection, as open until what is returned is dropped.
    pub fn opened(self: &Arc<Self>) -> OpenConnection {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }

    /// Counts somebody who was not served.
    pub fn refused(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests by `method` were answered with a status of the class of `status`.
    pub fn answers(&self, method: Method, status: StatusCode) -> u64 {
        self.cell(method, status).load(Ordering::Relaxed)
    }

    /// How many bytes of bodies were sent.
    pub fn bytes_sent(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// How many connections were opened.
    pub fn connections(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// How many were not served for this reason.
    pub fn refusals(&self, why: Refused) -> u64 {
        self.refused[why as usize].load(Ordering::Relaxed)
    }

    fn cell(&self, method: Method, status: StatusCode) -> &AtomicU64 {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES) - 1;
        &self.answered[method_index(method)][class]
    }
}

/// Where `method` stands in [`METHODS`].
fn method_index(method: Method) -> usize {
    match method {
        Method::Get => 0,
        Method::Head => 1,
        Method::Other => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_method_and_class() {
        let traffic = Traffic::default();
        traffic.answered(Method::Get, StatusCode::OK, 10);
        traffic.answered(Method::Get, StatusCode::PARTIAL_CONTENT, 5);
        traffic.answered(Method::Head, StatusCode::NOT_FOUND, 0);
        assert_eq!(traffic.answers(Method::Get, StatusCode::OK), 2);
        assert_eq!(traffic.answers(Method::Head, StatusCode::GONE), 1);
        assert_eq!(traffic.answers(Method::Other, StatusCode::OK), 0);
        assert_eq!(traffic.bytes_sent(), 15);
        for (place, method) in METHODS.into_iter().enumerate() {
            assert_eq!(method_index(method), place);
        }
    }

    #[test]
    fn a_connection_is_open_until_it_is_dropped() {
        let traffic = Arc::new(Traffic::default());
        let (first, second) = (traffic.opened(), traffic.opened());
        drop(first);
        assert_eq!((traffic.open(), traffic.connections()), (1, 2));
        drop(second);
        assert_eq!((traffic.open(), traffic.connections()), (0, 2));
    }

    #[test]
    fn every_refusal_has_a_count_of_its_own() {
        let traffic = Traffic::default();
        for (times, why) in Refused::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| traffic.refused(why));
        }
        let counts = Refused::ALL.map(|why| traffic.refusals(why));
        assert_eq!(counts, [0, 1, 2, 3]);
    }
}
