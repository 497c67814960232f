//! How far a build is: counters that the build raises and whoever shows them reads. Waits for nothing, prints nothing.
//!
//! No page depends on them, and nothing is spent on them beyond one addition an item.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The counters of one run: reading a site and everything that is built from it.
///
/// Several threads raise them while another reads them. They are read one by one, so that a reader may see the step
/// before this one with a number of this one; they are for people to look at.
#[derive(Debug, Default)]
pub struct Progress {
    step: AtomicUsize,
    done: AtomicUsize,
    total: AtomicUsize,
    rendered: AtomicUsize,
    cached: AtomicUsize,
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Content is read and its Markdown made into HTML; an item is a file.
    Reading,
    /// Templates make pages; an item is a file to be made.
    Pages,
    /// What was made takes its place; how much that is, is not known.
    Writing,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// The step.
    pub step: Step,
    /// How many items are done.
    pub done: usize,
    /// How many items there are; 0 where that is not known.
    pub total: usize,
}

impl Progress {
    /// A step begins with `items` to do, or the step that goes on has as many more.
    pub fn begin(&self, step: Step, items: usize) {
        if self.step.swap(step as usize, Ordering::Relaxed) != step as usize {
            self.done.store(0, Ordering::Relaxed);
            self.total.store(0, Ordering::Relaxed);
        }
        self.total.fetch_add(items, Ordering::Relaxed);
    }

    /// `items` more of the step are done.
    pub fn advance(&self, items: usize) {
        self.done.fetch_add(items, Ordering::Relaxed);
    }

    /// A page was rendered by its template.
    pub fn add_rendered(&self) {
        self.rendered.fetch_add(1, Ordering::Relaxed);
    }

    /// `pages` were taken from an earlier build as they were.
    pub fn add_cached(&self, pages: usize) {
        self.cached.fetch_add(pages, Ordering::Relaxed);
    }

    /// Where the work is now.
    pub fn stand(&self) -> Stand {
        let [step, done, total] = [&self.step, &self.done, &self.total].map(|counter| counter.load(Ordering::Relaxed));
        let step = match step {
            step if step == Step::Pages as usize => Step::Pages,
            step if step == Step::Writing as usize => Step::Writing,
            _ => Step::Reading,
        };
        Stand { step, done, total }
    }

    /// How many times a page was rendered, over everything that was built.
    pub fn rendered(&self) -> usize {
        self.rendered.load(Ordering::Relaxed)
    }

    /// How many pages were taken from an earlier build as they were.
    pub fn cached(&self) -> usize {
        self.cached.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_grows_and_the_next_one_begins_anew() {
        let progress = Progress::default();
        for _ in 0..2 {
            progress.begin(Step::Reading, 5);
            progress.advance(5);
        }
        assert_eq!(progress.stand(), Stand { step: Step::Reading, done: 10, total: 10 });
        progress.begin(Step::Pages, 3);
        progress.add_rendered();
        assert_eq!(progress.stand(), Stand { step: Step::Pages, done: 0, total: 3 });
        assert_eq!((progress.rendered(), progress.cached()), (1, 0));
    }
}
