//! Who is let in at a door, and how many at once.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::listener::{ACCEPT_PAUSE, Shutdown, finish};
use crate::metrics::{Refused, Traffic};

/// How many visitors are let in: the key `visitors` of `syncd.yaml` and `tieup.yaml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// How many connections there are in all; further ones wait until one has ended.
    pub connections: NonZeroU32,
    /// How many there are of one address, or of one IPv6 network of 64 bits; further ones are closed.
    pub of_one_address: NonZeroU32,
}

impl Admission {
    /// So many connections in all and of one address; one at least.
    pub const fn of(connections: u32, of_one_address: u32) -> Self {
        Self { connections: at_least_one(connections), of_one_address: at_least_one(of_one_address) }
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::of(4096, 256)
    }
}

/// Those who are in.
pub(crate) struct Crowd {
    traffic: Arc<Traffic>,
    places: Arc<Semaphore>,
    of_one_address: u32,
    present: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A place among those who are in, given back when it is dropped.
struct Place {
    network: IpAddr,
    present: Arc<Mutex<HashMap<IpAddr, u32>>>,
    _permit: OwnedSemaphorePermit,
}

impl Crowd {
    /// Nobody yet, of whom no more than `admission` says are let in.
    pub(crate) fn new(admission: Admission, traffic: Arc<Traffic>) -> Self {
        let connections = usize::try_from(admission.connections.get()).unwrap_or(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self { traffic, places, of_one_address: admission.of_one_address.get(), present: Arc::default() }
    }

    /// Lets visitors in at `listener` until `shutdown`, and has each served by `serve`, which is given the shutdown too.
    /// Ends when they have all been served, or have been given the time for it.
    pub(crate) async fn receive<F: Future<Output = ()> + Send + 'static>(
        self,
        listener: TcpListener,
        shutdown: Shutdown,
        serve: impl Fn(TcpStream, SocketAddr, Shutdown) -> F,
    ) {
        let mut connections = JoinSet::new();
        loop {
            let admitted = tokio::select! {
                () = shutdown.wait() => break,
                admitted = self.admit(&listener) => admitted,
            };
            match admitted {
                Ok((place, stream, peer)) => {
                    let served = serve(stream, peer, shutdown.clone());
                    connections.spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a visitor's connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
        drop(listener);
        finish(connections).await;
    }

    /// Waits for a free place, then for a visitor to take it.
    async fn admit(&self, listener: &TcpListener) -> std::io::Result<(Place, TcpStream, SocketAddr)> {
        let permit = self.places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
        loop {
            let (stream, peer) = listener.accept().await?;
            if self.enter(network_of(peer.ip())) {
                let place = Place { network: network_of(peer.ip()), present: self.present.clone(), _permit: permit };
                // What is sent is whole answers, for which waiting gains nothing; where it cannot be turned off, they wait.
                let _ = stream.set_nodelay(true);
                return Ok((place, stream, peer));
            }
            self.traffic.refused(Refused::Crowded);
        }
    }

    /// Counts one more of `network`, unless it has as many as it may have.
    fn enter(&self, network: IpAddr) -> bool {
        let mut present = lock(&self.present);
        let there = present.entry(network).or_default();
        let enters = *there < self.of_one_address;
        *there += u32::from(enters);
        enters
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = lock(&self.present);
        if let Some(there) = present.get_mut(&self.network) {
            *there -= 1;
            if *there == 0 {
                present.remove(&self.network);
            }
        }
    }
}

fn lock(present: &Mutex<HashMap<IpAddr, u32>>) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
    present.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whose address it is: a household has an IPv4 address, or an IPv6 network of 64 bits.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_counts_as_one() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[tokio::test]
    async fn places_are_given_back() {
        let crowd = Crowd::new(Admission::of(3, 2), Arc::default());
        let [one, other] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let place = || Place {
            network: one,
            present: crowd.present.clone(),
            _permit: crowd.places.clone().try_acquire_owned().unwrap(),
        };
        assert!(crowd.enter(one) && crowd.enter(one) && !crowd.enter(one));
        assert!(crowd.enter(other));
        let (first, second) = (place(), place());
        drop(first);
        assert!(crowd.enter(one) && !crowd.enter(one));
        drop(second);
        drop(place());
        assert!(!lock(&crowd.present).contains_key(&one));
    }
}
