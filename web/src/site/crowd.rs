//! Who is let in, at whichever door, and how many at once.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::sockopt::set_tcp_user_timeout;
use serde::Deserialize;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::household::Household;
use crate::listener::{ACCEPT_PAUSE, Shutdown, finish};
use crate::metrics::{Refused, Traffic};

/// After how many milliseconds the operating system gives up a connection whose other end takes nothing of what was sent,
/// though it be closed here: a little longer than one that stays open is waited for. Otherwise it would keep what it has of
/// the answer for as long as the other end's system says that it is still there.
const UNTAKEN: u32 = 30_000;

/// How many bytes of an answer the operating system takes that it has not sent yet. It would take some MiB, and then nothing until
/// a third of those were taken by the other end: whoever takes a large file slowly would seem to take nothing for a minute.
const UNSENT: u32 = 64 << 10;

/// How many visitors are let in: the key `visitors` of `syncd.yaml` and `tieup.yaml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admission {
    /// How many connections there are in all, by HTTP and by HTTPS together; further ones wait until one has ended.
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

/// Those who are in, at all doors of a site together.
pub(crate) struct Crowd {
    traffic: Arc<Traffic>,
    places: Arc<Semaphore>,
    of_one_address: u32,
    present: Arc<Present>,
}

/// How many are in of each household, and the room that their answers have.
type Present = Mutex<HashMap<IpAddr, (u32, Household)>>;

/// Somebody who came in.
pub(crate) struct Come {
    /// The connection.
    pub(crate) stream: TcpStream,
    /// From where.
    pub(crate) peer: SocketAddr,
    /// Whose it is.
    pub(crate) household: Household,
}

/// A place among those of a household who are in, given back when it is dropped.
struct Place {
    network: IpAddr,
    present: Arc<Present>,
}

impl Crowd {
    /// Nobody yet, of whom no more than `admission` says are let in.
    pub(crate) fn new(admission: Admission, traffic: Arc<Traffic>) -> Self {
        let connections = usize::try_from(admission.connections.get()).unwrap_or(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self { traffic, places, of_one_address: admission.of_one_address.get(), present: Arc::default() }
    }

    /// What is counted of them.
    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Lets visitors in at `listener` until `shutdown`, and has each served by `serve`, which is given the shutdown too.
    /// Ends when they have all been served, or have been given the time for it.
    pub(crate) async fn receive<F: Future<Output = ()> + Send + 'static>(
        &self,
        listener: TcpListener,
        shutdown: Shutdown,
        serve: impl Fn(Come, Shutdown) -> F,
    ) {
        prepare(&listener);
        let mut connections = JoinSet::new();
        loop {
            let admitted = tokio::select! {
                () = shutdown.wait() => break,
                admitted = self.admit(&listener) => admitted,
            };
            match admitted {
                Ok((place, permit, come)) => {
                    let served = serve(come, shutdown.clone());
                    connections.spawn(async move {
                        served.await;
                        drop((place, permit));
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

    /// Waits for a visitor, and then for a free place among all who are in: whoever waited for the place first would keep
    /// it from the other doors.
    async fn admit(&self, listener: &TcpListener) -> std::io::Result<(Place, OwnedSemaphorePermit, Come)> {
        loop {
            let (stream, peer) = listener.accept().await?;
            let Some((place, household)) = self.enter(network_of(peer.ip())) else {
                self.traffic.refused(Refused::Crowded);
                continue;
            };
            let permit = self.places.clone().acquire_owned().await.map_err(std::io::Error::other)?;
            // What is sent is whole answers, for which waiting gains nothing; where it cannot be turned off, they wait.
            let _ = stream.set_nodelay(true);
            return Ok((place, permit, Come { stream, peer, household }));
        }
    }

    /// Counts one more of `network`, unless it has as many as it may have.
    fn enter(&self, network: IpAddr) -> Option<(Place, Household)> {
        let mut present = lock(&self.present);
        let (there, household) = present.entry(network).or_insert_with(|| (0, Household::new()));
        if *there >= self.of_one_address {
            return None;
        }
        *there += 1;
        Some((Place { network, present: self.present.clone() }, household.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = lock(&self.present);
        if let Some((there, _)) = present.get_mut(&self.network) {
            *there -= 1;
            if *there == 0 {
                present.remove(&self.network);
            }
        }
    }
}

fn lock(present: &Present) -> MutexGuard<'_, HashMap<IpAddr, (u32, Household)>> {
    present.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the operating system how long to keep of an answer what nobody takes, and how much of what it has not sent. Each
/// connection has it from its listener.
fn prepare(listener: &TcpListener) {
    if let Err(error) = set_tcp_user_timeout(listener, UNTAKEN) {
        tracing::warn!(%error, "what visitors do not take stays with the operating system");
    }
    if let Err(error) = SockRef::from(listener).set_tcp_notsent_lowat(UNSENT) {
        tracing::warn!(%error, "visitors who take large files slowly may be let go");
    }
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
    use rustix::net::sockopt::tcp_user_timeout;

    use super::*;

    #[test]
    fn a_household_counts_as_one() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.1"), "192.0.2.1");
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[tokio::test]
    async fn what_a_visitor_does_not_take_is_given_up_by_the_system_which_takes_little_that_it_cannot_send() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, mut told) = tokio::sync::mpsc::channel(1);
        let shutdown = Shutdown::new();
        let crowd = Crowd::new(Admission::default(), Arc::default());
        let serve = |come: Come, shutdown: Shutdown| {
            let tell = tell.clone();
            async move {
                let unsent = SockRef::from(&come.stream).tcp_notsent_lowat().unwrap();
                tell.send((tcp_user_timeout(&come.stream).unwrap(), unsent)).await.unwrap();
                shutdown.begin();
            }
        };
        let ((), visitor) = tokio::join!(crowd.receive(listener, shutdown, serve), TcpStream::connect(address));
        assert_eq!((told.recv().await, visitor.is_ok()), (Some((UNTAKEN, UNSENT)), true));
    }

    #[test]
    fn places_are_given_back() {
        let crowd = Crowd::new(Admission::of(3, 2), Arc::default());
        let [one, other] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let (first, second) = (crowd.enter(one).unwrap(), crowd.enter(one).unwrap());
        assert!(crowd.enter(one).is_none());
        assert!(crowd.enter(other).is_some());
        drop(first);
        let third = crowd.enter(one).unwrap();
        assert!(crowd.enter(one).is_none());
        drop((second, third));
        assert!(!lock(&crowd.present).contains_key(&one));
    }
}
