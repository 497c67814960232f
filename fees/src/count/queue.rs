//! Open chains by the time at which their turn to end comes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::Moment;
use super::pages::PageNumber;
use super::visitors::VisitorNumber;

/// A chain, by a time that it had: its own or an earlier one, so that a repeat moves nothing here.
pub(super) type Waiting = (Moment, VisitorNumber, PageNumber);

/// How far from the end a chain is still put in its place; one that came later than that many others is kept apart.
const NEAR: usize = 64;

/// The chains that are open, each once, to be taken in the order of their times.
///
/// Journals are nearly in the order of time, so nearly all chains are put at the end of a list or close to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// In order.
    list: VecDeque<Waiting>,
    /// Those that came too late for the list.
    late: BinaryHeap<Reverse<Waiting>>,
}

impl Queue {
    /// Puts a chain where its turn is.
    pub(super) fn put(&mut self, chain: Waiting) {
        let later = self.list.iter().rev().take(NEAR + 1).take_while(|other| **other > chain).count();
        if later > NEAR {
            self.late.push(Reverse(chain));
        } else {
            self.list.insert(self.list.len() - later, chain);
        }
    }

    /// Takes out the chain whose turn is next, if its time is before `time`.
    pub(super) fn take_before(&mut self, time: Moment) -> Option<Waiting> {
        if self.late.is_empty() {
            let (oldest, ..) = self.list.front()?;
            return if *oldest < time { self.list.pop_front() } else { None };
        }
        let late = self.late.peek().map(|Reverse(chain)| *chain);
        let listed = self.list.front().copied();
        let next = [late, listed].into_iter().flatten().min().filter(|(oldest, ..)| *oldest < time)?;
        if listed == Some(next) {
            self.list.pop_front();
        } else {
            self.late.pop();
        }
        Some(next)
    }

    /// The visitors whose chains are taken next, nearly always.
    pub(super) fn next_in_line(&self) -> impl Iterator<Item = VisitorNumber> {
        self.list.iter().map(|(_, visitor, _)| *visitor)
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.list.len() + self.late.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn chains_are_taken_in_order_whenever_they_came(
            steps in proptest::collection::vec((0..2_000_u32, any::<bool>()), 0..600),
        ) {
            let (mut queue, mut sorted) = (Queue::default(), BTreeSet::new());
            for (number, (time, takes)) in (0_u32..).zip(steps) {
                // Some in order, some anywhere.
                let time = if time < 1_500 { number * 10 + time % 30 } else { time };
                queue.put((time, 7, number));
                sorted.insert((time, 7, number));
                let oldest = sorted.first().copied().filter(|(oldest, ..)| takes && *oldest < time);
                prop_assert_eq!(queue.take_before(if takes { time } else { 0 }), oldest);
                oldest.map(|oldest| sorted.remove(&oldest));
            }
            let rest: Vec<_> = std::iter::from_fn(|| queue.take_before(Moment::MAX)).collect();
            prop_assert_eq!(rest, sorted.into_iter().collect::<Vec<_>>());
        }
    }
}
