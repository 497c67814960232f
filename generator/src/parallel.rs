//! Work on many items at once, with results in the order of the items.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Below this many items, threads cost more than they bring.
const WORTHWHILE: usize = 32;

/// How many items a thread takes at once: many enough to be cheap, few enough that no thread waits long for another.
const SHARE: usize = 64;

/// What `work` makes of each item, in order.
pub(crate) fn map<'a, T: Sync, R: Send>(items: &'a [T], work: impl Fn(&'a T) -> R + Sync) -> Vec<R> {
    let make = |items: &'a [T], (): &mut ()| items.iter().map(&work).collect::<Vec<R>>();
    shares(items, || (), make).into_iter().flatten().collect()
}

/// The same where the items are given away.
pub(crate) fn map_owned<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let mut items = items.into_iter();
    let mut shares = Vec::with_capacity(items.len().div_ceil(SHARE));
    while items.len() > 0 {
        shares.push(Mutex::new(items.by_ref().take(SHARE).collect::<Vec<T>>()));
    }
    let take = |share: &Mutex<Vec<T>>| std::mem::take(&mut *share.lock().unwrap_or_else(PoisonError::into_inner));
    let make = |share: &Mutex<Vec<T>>| take(share).into_iter().map(&work).collect::<Vec<R>>();
    map_few(&shares, make).into_iter().flatten().collect()
}

/// The same for a few items that take long each.
pub(crate) fn map_few<'a, T: Sync, R: Send>(items: &'a [T], work: impl Fn(&'a T) -> R + Sync) -> Vec<R> {
    let make = |items: &'a [T], (): &mut ()| items.iter().map(&work).collect::<Vec<R>>();
    cut(items, 1, || (), make).into_iter().flatten().collect()
}

/// Does both at once.
pub(crate) fn join<A, B: Send>(one: impl FnOnce() -> A, other: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let other = scope.spawn(other);
        (one(), other.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Does `work` on each item; each thread has a state of its own, which `state` makes.
pub(crate) fn each<T: Sync, S>(items: &[T], state: impl Fn() -> S + Sync, work: impl Fn(&T, &mut S) + Sync) {
    let make = |items: &[T], state: &mut S| items.iter().for_each(|item| work(item, state));
    shares(items, state, make);
}

/// Cuts `items` into shares, which the threads take as they get free; the results are in order.
fn shares<'a, T: Sync, S, R: Send>(
    items: &'a [T],
    state: impl Fn() -> S + Sync,
    work: impl Fn(&'a [T], &mut S) -> R + Sync,
) -> Vec<R> {
    if items.len() < WORTHWHILE {
        return vec![work(items, &mut state())];
    }
    cut(items, SHARE, state, work)
}

fn cut<'a, T: Sync, S, R: Send>(
    items: &'a [T],
    size: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&'a [T], &mut S) -> R + Sync,
) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(items.len().div_ceil(size));
    if threads <= 1 {
        return vec![work(items, &mut state())];
    }
    let next = AtomicUsize::new(0);
    let run = || {
        let mut state = state();
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(share) = items.chunks(size).nth(number) else { return done };
            done.push((number, work(share, &mut state)));
        }
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        assert_eq!(super::map(&items, |n| n * 2), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(super::map_owned(items.clone(), |n| n * 2), items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert!(super::map(&[] as &[usize], |n| *n).is_empty());
    }
}
