//! Who asks on a connection, and what is kept of them while it is open.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::household::{Household, Share};
use crate::visitors::Remembered;

/// Whoever is at the other end of one connection. All of it is in memory alone, and ends with the connection.
#[derive(Debug)]
pub struct Guest {
    pub(super) peer: SocketAddr,
    remembered: Mutex<Remembered>,
    pub(super) share: Share,
}

impl Guest {
    /// Somebody new at `peer`, whose household has no other connection.
    pub fn alone(peer: SocketAddr) -> Self {
        Self::of(peer, Household::new())
    }

    /// Somebody new at `peer`, of `household`.
    pub(crate) fn of(peer: SocketAddr, household: Household) -> Self {
        Self { peer, remembered: Mutex::default(), share: Share::of(household) }
    }

    /// What is remembered of them.
    pub(super) fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
