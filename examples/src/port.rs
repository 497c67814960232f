//! Ports of this machine that a daemon finds free again after it was stopped.
//!
//! The system gives out ports by itself, to whoever lets it choose one and to every connection that begins. Those taken
//! here lie outside of them, and each is given out once, so that nobody gets one by chance while the daemon that had it does
//! not run.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// Which ports Linux gives out by itself, the first and the last.
const SYSTEMS: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The first port that is tried; lower ones are those of services.
const FIRST: u16 = 10_000;

/// How many ports are tried before the system may choose after all.
const TRIES: u64 = 64;

/// The ports that this process was given.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Listens at such a port, which is reachable from this machine alone.
///
/// # Errors
/// When there is no free port at all.
pub fn listen() -> io::Result<TcpListener> {
    let range = fs::read_to_string(SYSTEMS).unwrap_or_default();
    let random = RandomState::new();
    let mut tries = (0..TRIES).filter_map(|number| port(&range, random.hash_one(number)));
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = tries.find_map(|port| {
        let is_new = given.insert(port);
        is_new.then(|| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())?
    });
    found.map_or_else(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)), Ok)
}

/// Such a port, free at the moment.
///
/// # Errors
/// When there is no free port at all.
pub fn free_address() -> io::Result<SocketAddr> {
    listen()?.local_addr()
}

/// The port that `random` picks of those below the `range` that the system gives out; none where there are no such.
fn port(range: &str, random: u64) -> Option<u16> {
    let systems: u16 = range.split_whitespace().next()?.parse().ok()?;
    let many = u64::from(systems.checked_sub(FIRST)?);
    let nth = random.checked_rem(many)?;
    Some(FIRST + u16::try_from(nth).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_that_the_system_does_not_give_out() {
        let range = "32768\t60999\n";
        assert_eq!((port(range, 0), port(range, 22_767)), (Some(10_000), Some(32_767)));
        assert_eq!(port(range, 22_768), Some(10_000));
        for other in ["", "none", "1024\t65535\n", "10000\t65535\n"] {
            assert_eq!(port(other, 5), None, "{other}");
        }
        let [one, another] = [listen().unwrap(), listen().unwrap()].map(|listener| listener.local_addr().unwrap());
        assert_ne!(one, another);
    }

    #[test]
    fn no_port_is_given_out_twice() {
        let ports: BTreeSet<SocketAddr> = (0..1_000).map(|_| free_address().unwrap()).collect();
        assert_eq!(ports.len(), 1_000);
    }
}
