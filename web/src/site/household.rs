//! How much of what a household asked for may wait in memory until it is taken: on one connection, and on all
//! connections of its address together.
//!
//! Content waits for room before it is sent, so that many large answers on one connection come one after the other. Where
//! there is no room for as much as another request, the household has asked and not taken: a connection that leaves
//! something lying and asks for more is let go then. One that does not is answered all the same.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What room is given in.
const UNIT: usize = 4 << 10;

/// The room of a connection, in bytes.
const OF_CONNECTION: usize = 8 << 20;

/// The room of an address.
const OF_ADDRESS: usize = 32 << 20;

/// The room that a request of HTTP/2 takes until its answer was sent, whatever is in it: for its head, its stream and the
/// beginning of its answer.
const REQUEST: usize = 8 << 10;

/// Content up to this size needs no room of its own.
const SMALL: usize = 16 << 10;

/// The room of all connections of one address. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Household(Arc<Semaphore>);

/// The room of one connection, within that of its household. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Share {
    connection: Arc<Semaphore>,
    household: Household,
}

/// Room that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    connection: OwnedSemaphorePermit,
    /// None where a connection's only request is answered though its household has no room.
    household: Option<OwnedSemaphorePermit>,
}

impl Household {
    /// One that asked for nothing yet.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(OF_ADDRESS / UNIT)))
    }
}

impl Share {
    /// The share of a new connection of `household`.
    pub(super) fn of(household: Household) -> Self {
        Self { connection: Arc::new(Semaphore::new(OF_CONNECTION / UNIT)), household }
    }

    /// Room for so many bytes, if there is as much now.
    pub(super) fn take(&self, bytes: usize) -> Option<Held> {
        let units = units(bytes);
        Some(Held {
            connection: self.connection.clone().try_acquire_many_owned(units).ok()?,
            household: Some(self.household.0.clone().try_acquire_many_owned(units).ok()?),
        })
    }

    /// Room for a request: there is some for the only one of its connection, whatever the others of the household have left
    /// lying.
    pub(super) fn for_request(&self) -> Option<Held> {
        self.take(REQUEST).or_else(|| {
            let is_only = self.connection.available_permits() == OF_CONNECTION / UNIT;
            let connection = self.connection.clone().try_acquire_many_owned(units(REQUEST)).ok();
            connection.filter(|_| is_only).map(|connection| Held { connection, household: None })
        })
    }

    /// Room for so many bytes as soon as there is as much. Those who wait get it in their order. None only where room is
    /// no longer given at all, which never is.
    pub(super) async fn wait(&self, bytes: usize) -> Option<Held> {
        let units = units(bytes);
        let connection = self.connection.clone().acquire_many_owned(units).await.ok()?;
        let household = self.household.0.clone().acquire_many_owned(units).await.ok()?;
        Some(Held { connection, household: Some(household) })
    }
}

impl Held {
    /// Whether it is room for so many bytes.
    pub(super) fn is_for(&self, bytes: usize) -> bool {
        self.connection.num_permits() >= units(bytes) as usize
    }

    /// Both as one; of the same connection.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.connection.merge(other.connection);
        self.household = match (self.household, other.household) {
            (Some(mut one), Some(other)) => {
                one.merge(other);
                Some(one)
            }
            (one, other) => one.or(other),
        };
        self
    }
}

/// The room that content of so many bytes needs; none where that is next to nothing.
pub(super) fn needed(bytes: u64) -> Option<usize> {
    usize::try_from(bytes).ok().filter(|bytes| *bytes > SMALL)
}

/// In units, but no more than a connection has: what is larger than that is sent alone.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.min(OF_CONNECTION).div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_connection_has_its_room_and_a_household_what_is_left_by_all() {
        let household = Household::new();
        let shares: Vec<Share> = (0..=OF_ADDRESS / OF_CONNECTION).map(|_| Share::of(household.clone())).collect();
        let held: Vec<Held> = shares.iter().filter_map(|share| share.take(OF_CONNECTION)).collect();
        assert_eq!(held.len(), shares.len() - 1, "the last has its own room, and the household none");
        assert!(shares[0].take(1).is_none());
        drop(held);
        assert!(shares.iter().all(|share| share.take(1).is_some()));
        assert!(Share::of(Household::new()).take(usize::MAX).is_some(), "what is too large is sent alone");
    }

    #[test]
    fn the_only_request_of_a_connection_has_room_and_no_second() {
        let household = Household::new();
        let others: Vec<Share> = (0..OF_ADDRESS / OF_CONNECTION).map(|_| Share::of(household.clone())).collect();
        let held: Vec<Held> = others.iter().filter_map(|share| share.take(OF_CONNECTION)).collect();
        let share = Share::of(household);
        let only = share.for_request().unwrap();
        assert!(share.for_request().is_none());
        drop(only);
        let only = share.for_request().unwrap();
        drop(held);
        let both = only.and(share.for_request().unwrap());
        drop(both);
        assert_eq!(share.household.0.available_permits(), OF_ADDRESS / UNIT);
    }

    #[tokio::test]
    async fn whoever_waits_comes_before_whoever_comes_later() {
        let share = Share::of(Household::new());
        let all = share.take(OF_CONNECTION).unwrap();
        let mut waiting = Box::pin(share.wait(OF_CONNECTION));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(all);
        assert!(share.take(1).is_none());
        assert!(waiting.await.unwrap().is_for(OF_CONNECTION));
    }

    #[test]
    fn room_that_is_put_together_is_given_back_whole() {
        let share = Share::of(Household::new());
        let half = || share.take(OF_CONNECTION / 2).unwrap();
        let held = half().and(half());
        assert!(share.take(1).is_none() && held.is_for(OF_CONNECTION));
        drop(held);
        assert!(share.take(OF_CONNECTION).is_some());
    }

    #[test]
    fn small_content_needs_none() {
        assert_eq!([0, SMALL as u64, SMALL as u64 + 1].map(needed), [None, None, Some(SMALL + 1)]);
    }
}
