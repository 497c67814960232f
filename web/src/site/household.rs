//! How much of what a household asked for may wait in memory until it is taken: on one connection, and on all
//! connections of its address together.
//!
//! Content waits for room before it is sent, so that many large answers on one connection come one after the other. Where
//! there is no room for another request, or content has waited for long, the household has asked and not taken. Then those
//! connections are let go that hold most of what is lacking, whoever it was that asked. Who waits holds nothing by that.

use std::cmp::Reverse;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How many requests of one HTTP/2 connection are answered at once.
pub(super) const REQUESTS_OF_CONNECTION: u32 = 128;

/// How many requests of one address are open at once: 8 MiB of memory at 8 KiB for each, for its head, its stream and the
/// beginning of its answer. The only request of a connection is answered beyond that.
pub(super) const REQUESTS_OF_ADDRESS: u32 = 1024;

/// What room for content is given in.
const UNIT: usize = 4 << 10;

/// The room for content of a connection, in units.
const OF_CONNECTION: usize = (8 << 20) / UNIT;

/// The room for content of an address.
const OF_ADDRESS: usize = (24 << 20) / UNIT;

/// Content up to this size needs no room of its own.
const SMALL: usize = 16 << 10;

/// For how long content waits for room in its household before somebody is let go: less than whoever waits is let go after.
const PATIENCE: Duration = Duration::from_secs(15);

/// For how long a request waits for those who were told to leave, before others are.
const PATIENCE_OF_REQUEST: Duration = Duration::from_secs(1);

/// The room of all connections of one address. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Household(Arc<Home>);

/// The room of one connection, within that of its household. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Share {
    own: Arc<Own>,
    household: Household,
}

/// Room that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    own: OwnedSemaphorePermit,
    /// None where a connection's only request is answered though its household has no room.
    _household: Option<Given>,
}

/// What a connection was given of its household, until this is dropped.
#[derive(Debug)]
struct Given {
    of: Of,
    to: Arc<Own>,
    permit: OwnedSemaphorePermit,
}

/// What is waited for in a household, until this is dropped.
struct Wanted<'a> {
    number: usize,
    all: &'a AtomicUsize,
}

/// What a household has.
#[derive(Debug)]
struct Home {
    left: Each<Arc<Semaphore>>,
    /// How much its connections wait for.
    wanted: Each<AtomicUsize>,
    /// For how long content waits for room before somebody is let go.
    patience: Duration,
    connections: Mutex<Vec<Weak<Own>>>,
}

/// What a connection has.
#[derive(Debug)]
struct Own {
    left: Each<Arc<Semaphore>>,
    /// How much it was given of its household and holds: what it waits for is no part of that.
    given: Each<AtomicUsize>,
    /// Whether it was told to leave.
    is_told: AtomicBool,
    /// Told when it is to leave.
    leaves: Notify,
}

/// What is given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// One for each request.
    Requests,
    /// One for each unit of content.
    Content,
}

/// Something of each that is given away.
#[derive(Debug, Default)]
struct Each<T> {
    requests: T,
    content: T,
}

impl<T> Each<T> {
    fn of(&self, of: Of) -> &T {
        match of {
            Of::Requests => &self.requests,
            Of::Content => &self.content,
        }
    }
}

impl Each<Arc<Semaphore>> {
    /// Room for so much.
    fn room(requests: u32, content: usize) -> Self {
        let requests = usize::try_from(requests).unwrap_or(Semaphore::MAX_PERMITS);
        Self { requests: Arc::new(Semaphore::new(requests)), content: Arc::new(Semaphore::new(content)) }
    }
}

impl Given {
    fn new(of: Of, to: &Arc<Own>, permit: OwnedSemaphorePermit) -> Self {
        to.given.of(of).fetch_add(permit.num_permits(), Ordering::Relaxed);
        Self { of, to: to.clone(), permit }
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.to.given.of(self.of).fetch_sub(self.permit.num_permits(), Ordering::Relaxed);
    }
}

impl<'a> Wanted<'a> {
    fn new(number: u32, all: &'a AtomicUsize) -> Self {
        let number = number as usize;
        all.fetch_add(number, Ordering::Relaxed);
        Self { number, all }
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.number, Ordering::Relaxed);
    }
}

impl Household {
    /// One that asked for nothing yet.
    pub(crate) fn new() -> Self {
        Self::of_patience(PATIENCE)
    }

    fn of_patience(patience: Duration) -> Self {
        let left = Each::room(REQUESTS_OF_ADDRESS, OF_ADDRESS);
        Self(Arc::new(Home { left, wanted: Each::default(), patience, connections: Mutex::default() }))
    }

    fn left(&self, of: Of) -> &Arc<Semaphore> {
        self.0.left.of(of)
    }

    /// Tells the connections to leave that hold most, as many as together hold `number`. None is told where all that is
    /// waited for is there as soon as those have left who were told before.
    fn relieve(&self, of: Of, number: usize) {
        let connections = self.0.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let open = connections.iter().filter_map(Weak::upgrade);
        let mut staying: Vec<_> = open
            .filter(|own| !own.is_told.load(Ordering::Relaxed))
            .map(|own| (own.given.of(of).load(Ordering::Relaxed), own))
            .filter(|(given, _)| *given > 0)
            .collect();
        staying.sort_unstable_by_key(|(given, _)| Reverse(*given));
        let stays: usize = staying.iter().map(|(given, _)| given).sum();
        let wanted = self.0.wanted.of(of).load(Ordering::Relaxed);
        let mut lacking = number.min(wanted.saturating_sub(of.all().saturating_sub(stays)));
        for (given, fullest) in staying {
            if lacking == 0 {
                break;
            }
            fullest.is_told.store(true, Ordering::Relaxed);
            fullest.leaves.notify_one();
            lacking = lacking.saturating_sub(given);
        }
    }
}

impl Of {
    /// How much of it an address has.
    fn all(self) -> usize {
        match self {
            Self::Requests => REQUESTS_OF_ADDRESS as usize,
            Self::Content => OF_ADDRESS,
        }
    }
}

impl Share {
    /// The share of a new connection of `household`.
    pub(super) fn of(household: Household) -> Self {
        let left = Each::room(REQUESTS_OF_CONNECTION, OF_CONNECTION);
        let (given, is_told, leaves) = (Each::default(), AtomicBool::new(false), Notify::new());
        let own = Arc::new(Own { left, given, is_told, leaves });
        let mut connections = household.0.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|connection| connection.strong_count() > 0);
        connections.push(Arc::downgrade(&own));
        drop(connections);
        Self { own, household }
    }

    /// Room for content of so many bytes, if there is as much now.
    pub(super) fn take(&self, bytes: usize) -> Option<Held> {
        self.take_now(Of::Content, units(bytes))
    }

    /// Room for a request, which the only one of its connection has whatever the others of the household have left lying.
    /// Where there is none for another, and again whenever that has waited for a moment, the connection is told to leave that
    /// has most requests, and what it leaves is waited for. None only where room is no longer given at all, which never is.
    pub(super) async fn for_request(&self) -> Option<Held> {
        if let Some(held) = self.take_now(Of::Requests, 1) {
            return Some(held);
        }
        let (own, all) = (self.own.left.of(Of::Requests), REQUESTS_OF_CONNECTION as usize);
        if own.available_permits() == all
            && let Ok(own) = own.clone().try_acquire_owned()
        {
            return Some(Held { own, _household: None });
        }
        let own = own.clone().acquire_owned().await.ok()?;
        let household = self.wait_at_household(Of::Requests, 1, PATIENCE_OF_REQUEST).await?;
        Some(Held { own, _household: Some(household) })
    }

    /// Room for content of so many bytes as soon as there is as much. Those who wait get it in their order; each time that one
    /// has waited for long, those connections are told to leave that hold most, as many as hold what it waits for. None only
    /// where room is no longer given at all, which never is.
    pub(super) async fn wait(&self, bytes: usize) -> Option<Held> {
        let units = units(bytes);
        let own = self.own.left.of(Of::Content).clone().acquire_many_owned(units).await.ok()?;
        let household = self.wait_at_household(Of::Content, units, self.household.0.patience).await?;
        Some(Held { own, _household: Some(household) })
    }

    /// Waits for `number` of the household's room. Each time that the patience ends others are told to leave for it; for a
    /// request some are at once.
    async fn wait_at_household(&self, of: Of, number: u32, patience: Duration) -> Option<Given> {
        let wanted = Wanted::new(number, self.household.0.wanted.of(of));
        if of == Of::Requests {
            self.household.relieve(of, wanted.number);
        }
        let mut waiting = pin!(self.household.left(of).clone().acquire_many_owned(number));
        loop {
            match tokio::time::timeout(patience, waiting.as_mut()).await {
                Ok(permit) => return Some(Given::new(of, &self.own, permit.ok()?)),
                Err(_) => self.household.relieve(of, wanted.number),
            }
        }
    }

    /// Waits until the connection is to leave, for the others of its household.
    pub(super) async fn is_to_leave(&self) {
        self.own.leaves.notified().await;
    }

    fn take_now(&self, of: Of, number: u32) -> Option<Held> {
        let [own, household] = [self.own.left.of(of), self.household.left(of)]
            .map(|left| left.clone().try_acquire_many_owned(number).ok());
        let (own, household) = (own?, household?);
        Some(Held { own, _household: Some(Given::new(of, &self.own, household)) })
    }
}

impl Held {
    /// Whether it is room for content of so many bytes.
    pub(super) fn is_for(&self, bytes: usize) -> bool {
        self.own.num_permits() >= units(bytes) as usize
    }
}

/// The room that content of so many bytes needs; none where that is next to nothing.
pub(super) fn needed(bytes: u64) -> Option<usize> {
    usize::try_from(bytes).ok().filter(|bytes| *bytes > SMALL)
}

/// In units, but no more than a connection has: what is larger than that is sent alone.
fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).min(OF_CONNECTION)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// As much as a connection has, in bytes.
    const ALL: usize = OF_CONNECTION * UNIT;

    fn shares<const N: usize>(household: &Household) -> [Share; N] {
        std::array::from_fn(|_| Share::of(household.clone()))
    }

    /// Room for so many requests.
    fn ask(share: &Share, times: u32) -> Vec<Held> {
        (0..times).filter_map(|_| share.for_request().now_or_never().flatten()).collect()
    }

    fn leaves(share: &Share) -> bool {
        share.is_to_leave().now_or_never().is_some()
    }

    #[test]
    fn a_connection_has_its_room_and_a_household_what_is_left_by_all() {
        let shares: [Share; OF_ADDRESS / OF_CONNECTION + 1] = shares(&Household::new());
        let held: Vec<Held> = shares.iter().filter_map(|share| share.take(ALL)).collect();
        assert_eq!(held.len(), shares.len() - 1, "the last has its own room, and the household none");
        assert!(shares[0].take(1).is_none());
        drop(held);
        assert!(shares.iter().all(|share| share.take(1).is_some()));
        assert!(shares[0].take(usize::MAX).is_some(), "what is too large is sent alone");
    }

    #[test]
    fn content_leaves_room_for_requests() {
        let share = Share::of(Household::new());
        let _all = share.take(ALL).unwrap();
        assert_eq!(ask(&share, REQUESTS_OF_CONNECTION).len(), REQUESTS_OF_CONNECTION as usize);
        assert!(!leaves(&share));
    }

    #[tokio::test]
    async fn whoever_holds_most_is_told_to_leave_and_whoever_asks_has_the_room() {
        let household = Household::new();
        let [most, asks] = shares(&household);
        let others: [Share; 14] = shares(&household);
        let mut held = ask(&most, REQUESTS_OF_CONNECTION);
        let each = (REQUESTS_OF_ADDRESS - REQUESTS_OF_CONNECTION) / 14;
        let lying: Vec<Held> = others.iter().flat_map(|share| ask(share, each)).collect();
        assert_eq!(lying.len() + held.len(), REQUESTS_OF_ADDRESS as usize);

        let only = asks.for_request().now_or_never().flatten().expect("the only request of a connection is answered");
        let mut second = Box::pin(asks.for_request());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(leaves(&most) && !leaves(&asks) && !others.iter().any(leaves));
        held.pop();
        assert!(second.now_or_never().flatten().is_some(), "whoever goes makes no room");
        drop((held, only));
    }

    #[tokio::test]
    async fn whoever_asks_and_holds_most_leaves() {
        let household = Household::new();
        let asks = Share::of(household.clone());
        let others: [Share; 16] = shares(&household);
        let own = ask(&asks, 64);
        let lying: Vec<Held> = others.iter().flat_map(|share| ask(share, 60)).collect();
        assert_eq!(lying.len() + own.len(), REQUESTS_OF_ADDRESS as usize);
        assert!(asks.for_request().now_or_never().is_none());
        assert!(leaves(&asks) && !others.iter().any(leaves));
    }

    #[tokio::test]
    async fn a_burst_of_requests_has_as_many_leave_as_hold_what_it_needs() {
        let household = Household::new();
        let asks = Share::of(household.clone());
        let others: [Share; 16] = shares(&household);
        let lying: Vec<Held> = others.iter().flat_map(|share| ask(share, 64)).collect();
        assert_eq!(lying.len(), REQUESTS_OF_ADDRESS as usize);
        let _only = asks.for_request().now_or_never().flatten().unwrap();
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(asks.for_request())).collect();
        assert!(waiting.iter_mut().all(|request| request.as_mut().now_or_never().is_none()));
        assert_eq!(others.iter().filter(|share| leaves(share)).count(), 2);
        assert!(!leaves(&asks), "who waits holds nothing by that");
    }

    /// Connections that hold so many units each, until the household has no more.
    fn filled(household: &Household, units: usize) -> Vec<(Share, Held)> {
        let connections = std::iter::repeat_with(|| Share::of(household.clone()));
        connections.map_while(|share| share.take(units * UNIT).map(|held| (share, held))).collect()
    }

    #[tokio::test]
    async fn whoever_waits_for_content_holds_none_by_that() {
        let household = Household::of_patience(Duration::from_millis(5));
        let asks = Share::of(household.clone());
        let mut holding = filled(&household, 24);
        assert_eq!(holding.len(), 256);
        let mut waiting = Box::pin(asks.wait(25 * UNIT));
        tokio::select! {
            _ = waiting.as_mut() => panic!("there is no room"),
            () = asks.is_to_leave() => panic!("it holds nothing"),
            () = told(&holding) => {}
        }
        assert!(!leaves(&asks));
        holding.retain(|(share, _)| !share.own.is_told.load(Ordering::Relaxed));
        assert_eq!(holding.len(), 254, "as many leave as hold what is waited for, and at once");
        assert!(waiting.await.is_some());
    }

    /// Waits until one of these was told to leave.
    async fn told(holding: &[(Share, Held)]) {
        futures_util::future::select_all(holding.iter().map(|(share, _)| Box::pin(share.is_to_leave()))).await;
    }

    #[tokio::test]
    async fn whoever_waits_comes_before_whoever_comes_later() {
        let share = Share::of(Household::new());
        let all = share.take(ALL).unwrap();
        let mut waiting = Box::pin(share.wait(ALL));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(all);
        assert!(share.take(1).is_none());
        assert!(waiting.await.unwrap().is_for(ALL));
    }

    #[tokio::test]
    async fn content_that_waits_for_long_has_the_room_of_whoever_holds_most() {
        let household = Household::of_patience(Duration::from_millis(5));
        let [asks, less, most] = shares(&household);
        let others: [Share; OF_ADDRESS / OF_CONNECTION - 1] = shares(&household);
        let filled: Vec<Held> = others.iter().filter_map(|share| share.take(ALL - UNIT)).collect();
        let (some, all) = (less.take(filled.len() * UNIT).unwrap(), most.take(ALL).unwrap());
        let mut waiting = Box::pin(asks.wait(2 * UNIT));
        tokio::select! {
            _ = waiting.as_mut() => panic!("there is no room"),
            () = most.is_to_leave() => {}
        }
        assert!(!leaves(&less) && !leaves(&asks));
        drop(all);
        assert!(waiting.await.is_some());
        drop((filled, some));
    }

    #[test]
    fn small_content_needs_none() {
        assert_eq!([0, SMALL as u64, SMALL as u64 + 1].map(needed), [None, None, Some(SMALL + 1)]);
    }
}
